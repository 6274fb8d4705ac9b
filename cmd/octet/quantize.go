package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/octet-nn/octet"
	"github.com/octet-nn/octet/internal/atomicfile"
	"github.com/octet-nn/octet/tensor"
)

type quantizeFlags struct {
	sampleFlags
	shapeFlags
	output       string
	scheme       *choice
	activations  *choice
	method       *choice
	io           *choice
	percentile   float64
	keepFloat    []string
	keepFloatOps []string
	rangesIn     []string
	rangesOut    string
	resume       bool
	threads      int
}

func quantizeCommand(line commandLine) *cobra.Command {
	f := &quantizeFlags{
		scheme:      newChoice("int8", "int8-per-tensor", "uint8", "dynamic", "16x8"),
		activations: newChoice("uint8", "int8"),
		method:      newChoice("auto", "percentile", "min-max", "average", "entropy", "mse"),
		io:          newChoice("float", "int8"),
	}
	cmd := &cobra.Command{
		Use:   "quantize MODEL --samples FOLDER -o FILE [flags]",
		Short: "Make a float model an 8-bit one",
		Long: `Runs the float model on samples to learn the ranges of its values, and writes it with 8-bit weights and activations
as ONNX or, if FILE ends with .tflite, TensorFlow Lite. 100 to 500 typical samples are enough; they need no labels.

Calibration can be shared out and resumed: --ranges-out keeps what it learned, --ranges-in (repeatable) adds that up
instead of, or before, running samples; --resume goes on where an interrupted --ranges-out stopped.`,
		Example: `  octet quantize mobilenet_v2.onnx --samples photos/ --preprocess imagenet -o mobilenet_v2.int8.onnx`,
		Args:    models(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return (&quantizing{quantizeFlags: f, cmd: cmd, path: args[0], line: line}).run()
		},
	}
	f.sampleFlags.add(cmd)
	f.shapeFlags.add(cmd)
	flags := cmd.Flags()
	flags.StringVarP(&f.output, "output", "o", "", "the `file` to write")
	flags.Var(f.scheme, "scheme", "what becomes 8-bit, and how; dynamic needs no samples, 16x8 is for .tflite")
	flags.Var(f.activations, "activations", "element type of activations in the file; uint8 is ONNX Runtime's fast form on x86")
	flags.Var(f.method, "method", "how observed values become ranges; auto tries several on samples, also value by value")
	flags.Float64Var(&f.percentile, "percentile", 0, "share of values inside a range, in percent; chooses --method percentile (default 99.99)")
	flags.Var(f.io, "io", "element type of the model's own inputs and outputs")
	flags.StringArrayVar(&f.keepFloat, "keep-float", nil, "`pattern` of names of nodes or values that stay float (repeatable)")
	flags.StringArrayVar(&f.keepFloatOps, "keep-float-op", nil, "operator `type` that stays float (repeatable)")
	flags.StringVar(&f.rangesOut, "ranges-out", "", "keep what calibration learned in this `file`")
	flags.StringArrayVar(&f.rangesIn, "ranges-in", nil, "start from what another calibration learned, a `file` (repeatable: added up)")
	flags.BoolVar(&f.resume, "resume", false, "go on from --ranges-out if it is there")
	flags.IntVar(&f.threads, "threads", 0, "samples run at the same time (default one per processor; results do not depend on it)")
	return cmd
}

func (f *quantizeFlags) check(line commandLine) error {
	if err := f.sampleFlags.check(); err != nil {
		return err
	}
	dynamic := f.scheme.value == "dynamic"
	switch {
	case f.output == "" && f.rangesOut == "":
		return usagef("quantize needs a file to write:\n  %s", line.with("-o", "FILE.onnx"))
	case !dynamic && f.samples == "" && len(f.rangesIn) == 0:
		return usagef("quantize needs samples of what the model will see:\n  %s\n(or --ranges-in FILE from an earlier calibration, or --scheme dynamic, which needs none)", line.with("--samples", "FOLDER"))
	case dynamic && f.rangesOut != "":
		return usagef("--scheme dynamic learns no ranges: leave out --ranges-out")
	case f.resume && f.rangesOut == "":
		return usagef("--resume goes on from the file of --ranges-out: give that too")
	case f.percentile != 0 && !(f.percentile > 50 && f.percentile <= 100):
		return usagef("--percentile has to be above 50 and at most 100, for example 99.99")
	case f.percentile != 0 && f.method.value != "auto" && f.method.value != "percentile":
		return usagef("--percentile is for --method percentile, not %s", f.method.value)
	case f.threads < 0:
		return usagef("--threads cannot be negative")
	}
	return nil
}

func (f *quantizeFlags) options(preprocess string) octet.QuantizeOptions {
	return octet.QuantizeOptions{
		Scheme: f.scheme.value, Method: f.methodName(), Percentile: f.percentile,
		KeepFloat: f.keepFloat, KeepFloatOps: f.keepFloatOps, QuantizeIO: f.io.value == "int8", Preprocess: preprocess,
		Activations: f.activationType(), Format: octet.FormatOf(f.output),
	}
}

// methodName is the method to use: "" leaves the choice to the package.
func (f *quantizeFlags) methodName() string {
	if f.method.value != "auto" {
		return f.method.value
	}
	if f.percentile != 0 {
		return "percentile"
	}
	return ""
}

func (f *quantizeFlags) activationType() tensor.DType {
	switch {
	case f.activations.value == "int8":
		return tensor.Int8
	case f.activations.given || octet.FormatOf(f.output) == "onnx":
		return tensor.Uint8
	}
	return tensor.Invalid // what the format has
}

// quantizing is one run of the command.
type quantizing struct {
	*quantizeFlags
	cmd  *cobra.Command
	path string
	line commandLine
}

func (q *quantizing) run() error {
	if err := q.check(q.line); err != nil {
		return err
	}
	for _, path := range []string{q.output, q.rangesOut} {
		if err := q.checkWritable(path); err != nil {
			return err
		}
	}
	m, err := load(q.path, q.shapeFlags)
	if err != nil {
		return err
	}
	stderr := q.cmd.ErrOrStderr()
	preprocess := q.storedPreprocess([]*octet.Model{m}, stderr)
	ctx, options := q.cmd.Context(), q.options(preprocess)
	if q.scheme.value == "dynamic" {
		quantized, report, err := m.Quantize(ctx, octet.SliceSamples(), options)
		if err != nil {
			return err
		}
		return q.write(m, quantized, report)
	}
	ranges, files, err := q.calibrate(m, preprocess)
	if err != nil || q.output == "" {
		return err
	}
	var quantized *octet.Model
	var report *octet.QuantizeReport
	if files != nil {
		// The samples are known to the ranges, so that none is observed again; the first ones choose ranges.
		show, done := progress(stderr, "choosing ranges")
		options.Calibrate.Resume, options.Tuning = ranges, show
		quantized, report, err = m.Quantize(ctx, first(files, octet.TuningSamples), options)
		done()
	} else {
		quantized, report, err = m.QuantizeRanges(ctx, ranges, options)
	}
	if err != nil {
		return err
	}
	return q.write(m, quantized, report)
}

// checkWritable finds out before the work whether a file can be written after it.
func (q *quantizing) checkWritable(path string) error {
	if path == "" {
		return nil
	}
	if err := atomicfile.Check(path); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil // it is not there yet
	}
	if info.IsDir() {
		return fmt.Errorf("cannot write %s: it is a folder; give the name of a file", path)
	}
	if source, err := os.Stat(q.path); err == nil && os.SameFile(info, source) {
		return fmt.Errorf("cannot write %s: that is the float model itself; give another name", path)
	}
	return nil
}

// calibrate is the ranges of --ranges-in and --samples together, kept in --ranges-out, and the samples; nil without
// --samples.
func (q *quantizing) calibrate(m *octet.Model, preprocess string) (*octet.Ranges, *octet.FileSamples, error) {
	ranges, err := q.earlier()
	if err != nil || q.samples == "" {
		if err == nil && q.rangesOut != "" {
			err = q.keep(ranges)
		}
		return ranges, nil, err
	}
	files, err := q.open(m, preprocess, nil)
	if err != nil {
		return nil, nil, err
	}
	stderr := q.cmd.ErrOrStderr()
	before := 0
	if ranges != nil {
		before = ranges.Samples()
	}
	samples := watch(files, m.Inputs())
	show, done := progress(stderr, "calibrating")
	defer collectOften()()
	ranges, err = m.Calibrate(q.cmd.Context(), samples, octet.CalibrateOptions{Workers: q.threads, Resume: ranges, Progress: show})
	done()
	if err != nil {
		return nil, nil, q.stopped(err, ranges, m)
	}
	reportSkipped(files, stderr)
	if before == 0 {
		for _, w := range samples.warnings() {
			fmt.Fprintf(stderr, "Warning: %s\n", w)
		}
	}
	if q.rangesOut != "" {
		err = q.keep(ranges)
	}
	return ranges, files, err
}

// earlier adds up --ranges-in and, with --resume, what --ranges-out has; nil if there is nothing.
func (q *quantizing) earlier() (*octet.Ranges, error) {
	paths := q.rangesIn
	if q.resume && !contains(paths, q.rangesOut) {
		if _, err := os.Stat(q.rangesOut); err == nil {
			paths = append(paths[:len(paths):len(paths)], q.rangesOut)
		}
	}
	var sum *octet.Ranges
	for _, path := range paths {
		r, err := octet.LoadRanges(path)
		if errors.Is(err, fs.ErrNotExist) && path == q.rangesOut && q.samples != "" {
			continue // the first run of a calibration that is to be resumed
		}
		if err != nil {
			return nil, err
		}
		if sum == nil {
			sum = r
		} else if err := sum.Merge(r); err != nil {
			return nil, fmt.Errorf("--ranges-in %s: %w", path, err)
		}
	}
	return sum, nil
}

func contains(paths []string, path string) bool {
	for _, p := range paths {
		if filepath.Clean(p) == filepath.Clean(path) {
			return true
		}
	}
	return false
}

func (q *quantizing) keep(ranges *octet.Ranges) error {
	if err := ranges.Save(q.rangesOut); err != nil {
		return err
	}
	fmt.Fprintf(q.cmd.OutOrStdout(), "%s: ranges of %s from %s\n", q.rangesOut, count(len(ranges.Names()), "value"), count(ranges.Samples(), "sample"))
	return nil
}

// stopped is the error of a calibration that did not finish. What it learned so far is kept if that was asked for.
func (q *quantizing) stopped(err error, ranges *octet.Ranges, m *octet.Model) error {
	if q.cmd.Context().Err() == nil {
		return withShapeHint(err, m, q.line)
	}
	if q.rangesOut == "" || ranges == nil {
		return &interruption{"nothing was written", err}
	}
	if saveErr := ranges.Save(q.rangesOut); saveErr != nil {
		return &interruption{"what was learned is lost: " + saveErr.Error(), err}
	}
	again := q.line.with("--resume")
	if q.resume {
		again = q.line.with()
	}
	return &interruption{fmt.Sprintf("%s keeps the %s done; to go on:\n  %s", q.rangesOut, count(ranges.Samples(), "sample"), again), err}
}

// write saves the quantized model and prints what it is.
func (q *quantizing) write(m, quantized *octet.Model, report *octet.QuantizeReport) error {
	if err := quantized.Save(q.output, octet.SaveOptions{Activations: q.activationType()}); err != nil {
		return err
	}
	stderr, out := q.cmd.ErrOrStderr(), q.cmd.OutOrStdout()
	for _, w := range report.Warnings {
		fmt.Fprintf(stderr, "Warning: %s\n", w)
	}
	writeQuantized(out, m, quantized, q.output)
	fmt.Fprintln(out, report.Summary())
	return nil
}

func writeQuantized(w io.Writer, m, quantized *octet.Model, path string) {
	fmt.Fprintf(w, "%s: %s", path, quantized.Metadata()[octet.MetadataScheme])
	if calibration := quantized.Metadata()[octet.MetadataCalibration]; calibration != "" {
		fmt.Fprintf(w, ", %s", calibration)
	}
	fmt.Fprintln(w)
	if info, err := os.Stat(path); err == nil && m.FileSize() > 0 && info.Size() > 0 {
		ratio, what := float64(m.FileSize())/float64(info.Size()), "smaller"
		if ratio < 1 { // nearly all of a very small file is names
			ratio, what = 1/ratio, "larger"
		}
		fmt.Fprintf(w, "%s instead of %s (%.2fx %s)\n", bytesText(info.Size()), bytesText(m.FileSize()), ratio, what)
	}
}
