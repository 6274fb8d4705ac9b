package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/octet-nn/octet"
	"github.com/octet-nn/octet/internal/dataset"
	"github.com/octet-nn/octet/tensor"
)

type runFlags struct {
	sampleFlags
	shapeFlags
	inputs       []string
	top          int
	threads      int
	outputDir    string
	outputFormat *choice
	json         bool
}

func runCommand(line commandLine) *cobra.Command {
	f := &runFlags{outputFormat: newChoice("raw", "npy")}
	config := &runConfigFlags{}
	cmd := &cobra.Command{
		Use:   "run MODEL (--samples FILE | --input NAME=FILE...) [flags] | run --config FILE.yml [flags]",
		Short: "Run a model and print or write what it says",
		Long: `Runs a model on samples (images, arrays; a file, folder or archive), or on whole tensors, one --input for each of its
inputs. Raw files are little-endian, of the input's element type. Answers of classifiers are printed best first; of
other outputs, what their values are like. --output-dir writes every output as OUTPUT.raw or OUTPUT.npy, other
characters of its name than letters and digits replaced by _; with several samples, in a folder for each.

With --config: does what MACE's runner does with the converted models of a MACE deployment file, on files of raw values
named as MACE wants them: print ranges (--quantize_stat), write outputs (--output_dir), --validate, --benchmark.
Flags may be written with - or _; MACE's flags for devices are accepted. docs/mace.md has the rest.`,
		Example: `  octet run mobilenet_v2.int8.onnx --samples cat.jpg --classes imagenet.txt --top 5
  octet run model.onnx --input x=x.npy --input mask=mask.raw:1,128 --output-dir out --output-format npy
  octet run --config inception-v3.yml --quantize_stat --input_dir samples > range_log
  octet run --config inception-v3-quantized.yml --validate --input_dir samples`,
		Args: config.arguments,
		RunE: func(cmd *cobra.Command, args []string) error {
			if config.config != "" {
				return runConfig(cmd, config, f.outputDir)
			}
			return run(cmd, args[0], f, line)
		},
	}
	f.sampleFlags.add(cmd)
	f.addClasses(cmd)
	f.shapeFlags.add(cmd)
	cmd.Flags().StringArrayVar(&f.inputs, "input", nil, "values of an input, `name=file[:dims]`: x=x.npy, x=x.raw:1,3,224,224 (repeatable)")
	cmd.Flags().IntVar(&f.top, "top", 5, "how many of a classifier's answers to print")
	cmd.Flags().IntVar(&f.threads, "threads", 0, "threads of one run (default one per processor)")
	cmd.Flags().StringVar(&f.outputDir, "output-dir", "", "write every output into this `folder`")
	cmd.Flags().Var(f.outputFormat, "output-format", "format of the files in --output-dir")
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON (keys: docs/json.md)")
	config.add(cmd)
	return cmd
}

func (f *runFlags) check(line commandLine) error {
	switch {
	case f.samples == "" && len(f.inputs) == 0:
		return usagef("run needs something to run on:\n  %s\n  %s", line.with("--samples", "FILE"), line.with("--input", "NAME=FILE"))
	case f.samples != "" && len(f.inputs) > 0:
		return usagef("run takes either --samples or --input, not both")
	case f.top < 1:
		return usagef("--top has to be at least 1")
	case f.threads < 0:
		return usagef("--threads cannot be negative")
	}
	return f.sampleFlags.check()
}

func run(cmd *cobra.Command, path string, f *runFlags, line commandLine) error {
	if err := f.check(line); err != nil {
		return err
	}
	stderr := cmd.ErrOrStderr()
	m, err := load(path, f.shapeFlags)
	if err != nil {
		return err
	}
	classes, err := f.readClasses()
	if err != nil {
		return err
	}
	samples, files, err := f.openRun(m, classes, stderr, line)
	if err != nil {
		return err
	}
	session, err := m.Compile(octet.CompileOptions{Threads: f.threads})
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer session.Close()
	r := &runner{flags: f, session: session, classes: classes, out: cmd.OutOrStdout(), stderr: stderr, several: samples.Len() > 1}
	r.result.Model = path
	if err := r.all(cmd.Context(), samples); err != nil {
		return withShapeHint(err, m, line)
	}
	if files != nil {
		reportSkipped(files, stderr)
	}
	if f.json {
		return writeJSON(r.out, r.result)
	}
	return nil
}

// openRun opens --samples, or makes one sample of all --input. files is nil for the latter.
func (f *runFlags) openRun(m *octet.Model, classes []string, stderr io.Writer, line commandLine) (s octet.Samples, files *octet.FileSamples, err error) {
	preprocess := f.storedPreprocess([]*octet.Model{m}, stderr)
	if f.samples != "" {
		files, err = f.open(m, preprocess, classes)
		return files, files, err
	}
	var parsed *dataset.Preprocess
	if preprocess != "" {
		if parsed, err = dataset.LoadPreprocess(preprocess); err != nil {
			return nil, nil, err
		}
	}
	inputs, err := readInputs(m, f.inputs, parsed)
	if err != nil {
		return nil, nil, err
	}
	if err := missingInputs(m, inputs, line); err != nil {
		return nil, nil, err
	}
	return octet.SliceSamples(octet.Sample{Inputs: inputs, Label: -1}), nil, nil
}

// runner runs samples and prints, writes or collects what comes out.
type runner struct {
	flags   *runFlags
	session *octet.Session
	classes []string
	out     io.Writer
	stderr  io.Writer
	warned  bool // that classes and answers differ in number
	several bool
	result  runResult
}

func (r *runner) all(ctx context.Context, samples octet.Samples) error {
	for s, err := range samples.All(ctx) {
		if err != nil {
			return err
		}
		values, err := r.session.Run(ctx, s.Inputs)
		if err != nil {
			if s.ID != "" {
				return fmt.Errorf("sample %s: %w", s.ID, err)
			}
			return err
		}
		if err := r.one(s.ID, values); err != nil {
			return err
		}
	}
	return nil
}

func (r *runner) one(id string, values map[string]*tensor.Tensor) error {
	outputs := r.session.Outputs()
	var files map[string]string
	if r.flags.outputDir != "" {
		folder := r.flags.outputDir
		if r.several {
			folder = filepath.Join(folder, sampleFolder(id))
		}
		var err error
		if files, err = writeOutputs(folder, r.flags.outputFormat.value, outputs, values); err != nil {
			return err
		}
	}
	result := runSample{ID: id}
	for _, v := range outputs {
		result.Outputs = append(result.Outputs, r.describe(v, values[v.Name], files[v.Name]))
	}
	if r.flags.json {
		r.result.Samples = append(r.result.Samples, result)
		return nil
	}
	r.print(result)
	return nil
}

// sampleFolder is a sample's name as a folder's: the characters that file systems give a meaning become _.
func sampleFolder(id string) string {
	name := strings.Map(func(r rune) rune {
		if strings.ContainsRune(`/\:*?"<>|`, r) || r < ' ' {
			return '_'
		}
		return r
	}, id)
	if strings.Trim(name, ".") == "" {
		return "_" + name
	}
	return name
}

func (r *runner) describe(v octet.ValueInfo, t *tensor.Tensor, file string) runOutput {
	numbers := v.Real(t)
	out := runOutput{
		Name: v.Name, DType: t.DType().String(), Shape: append([]int{}, t.Shape()...), Summary: summarize(numbers), File: file,
	}
	for row, values := range answers(t, numbers) {
		if row > 0 {
			out.Rows = append(out.Rows, r.best(values))
		} else {
			out.Top = r.best(values)
		}
	}
	if len(out.Rows) > 0 {
		out.Rows = append([][]answer{out.Top}, out.Rows...)
	}
	return out
}

// maxAnswerRows is how many samples of a batch have their answers printed.
const maxAnswerRows = 64

// answers are the rows of an output that looks like a classifier's, one a sample of the batch: [batch, classes], with
// dimensions of 1 anywhere after the batch. It is nil for other outputs.
func answers(t *tensor.Tensor, values []float64) [][]float64 {
	shape := t.Shape()
	if len(shape) == 0 || t.DType() == tensor.Bool {
		return nil
	}
	rows := 1
	if len(shape) > 1 {
		rows = shape[0]
	}
	if rows == 0 || rows > maxAnswerRows || len(values) == 0 {
		return nil
	}
	classes := len(values) / rows
	for i, n := range shape {
		if (i > 0 || len(shape) == 1) && n != 1 && n != classes {
			return nil
		}
	}
	if classes < 2 {
		return nil
	}
	return slices.Collect(slices.Chunk(values, classes))
}

// best are the largest values, largest first, ties to the lower index.
func (r *runner) best(values []float64) []answer {
	if len(r.classes) > 0 && len(r.classes) != len(values) && !r.warned {
		r.warned = true
		fmt.Fprintf(r.stderr, "Warning: --classes has %s, the model answers with %d: they may belong to other answers\n",
			count(len(r.classes), "name"), len(values))
	}
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := values[a], values[b]
		switch {
		case x > y || math.IsNaN(y) && !math.IsNaN(x):
			return -1
		case x < y || math.IsNaN(x) && !math.IsNaN(y):
			return 1
		}
		return 0
	})
	var best []answer
	for _, i := range order[:min(r.flags.top, len(order))] {
		a := answer{Index: i, Value: number(values[i])}
		if i < len(r.classes) {
			a.Class = r.classes[i]
		}
		best = append(best, a)
	}
	return best
}

func (r *runner) print(s runSample) {
	if s.ID != "" {
		fmt.Fprintln(r.out, s.ID)
	}
	for _, o := range s.Outputs {
		fmt.Fprintf(r.out, "  %s %s%s", o.Name, o.DType, strings.ReplaceAll(fmt.Sprint(o.Shape), " ", ","))
		if len(o.Top) == 0 {
			fmt.Fprintf(r.out, "  from %.6g to %.6g, mean %.6g", float64(o.Minimum), float64(o.Maximum), float64(o.Mean))
		}
		if o.File != "" {
			fmt.Fprintf(r.out, "  in %s", o.File)
		}
		fmt.Fprintln(r.out)
		rows := o.Rows
		if rows == nil {
			rows = [][]answer{o.Top}
		}
		for i, row := range rows {
			if o.Rows != nil {
				fmt.Fprintf(r.out, "    sample %d of the batch\n", i)
			}
			for _, a := range row {
				fmt.Fprintln(r.out, strings.TrimRight(fmt.Sprintf("    %6d  %10.4f  %s", a.Index, float64(a.Value), a.Class), " "))
			}
		}
	}
}

// runResult is the JSON of run.
type runResult struct {
	Model   string      `json:"model"`
	Samples []runSample `json:"samples"`
}

type runSample struct {
	ID      string      `json:"id,omitempty"`
	Outputs []runOutput `json:"outputs"`
}

type runOutput struct {
	Name  string `json:"name"`
	DType string `json:"dtype"`
	Shape []int  `json:"shape"`
	Summary
	Top  []answer   `json:"top,omitempty"`
	Rows [][]answer `json:"rows,omitempty"`
	File string     `json:"file,omitempty"`
}

type answer struct {
	Index int    `json:"index"`
	Class string `json:"class,omitempty"`
	Value number `json:"value"`
}
