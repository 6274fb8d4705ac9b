package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/octet-nn/octet"
)

type benchFlags struct {
	shapeFlags
	threads  int
	duration time.Duration
	runs     int
	inputs   []string
	json     bool
	kernels  bool
	assert   bool
}

func benchCommand(line commandLine) *cobra.Command {
	f := &benchFlags{}
	cmd := &cobra.Command{
		Use:   "bench MODEL... [flags]",
		Short: "Measure how fast models run on this machine",
		Long: `Measures the models in turns, so that a slow moment of the machine meets all of them, on random inputs or those of
--input. Moments in which the process did not get its processors are left out.`,
		Example: `  octet bench mobilenet_v2.onnx mobilenet_v2.int8.onnx --threads 1
  octet bench mobilenet_v2.int8.onnx --kernels --threads 1`,
		Args: models(1, 0),
		RunE: func(cmd *cobra.Command, args []string) error {
			return bench(cmd, args, f, line)
		},
	}
	f.shapeFlags.add(cmd)
	cmd.Flags().IntVar(&f.threads, "threads", 0, "threads of one run (default one per processor)")
	cmd.Flags().DurationVar(&f.duration, "duration", 2*time.Second, "how long to measure each model")
	cmd.Flags().IntVar(&f.runs, "runs", 10, "how often to run each model at least")
	cmd.Flags().StringArrayVar(&f.inputs, "input", nil, "values of an input, `name=file[:dims]` (repeatable; default random)")
	cmd.Flags().BoolVar(&f.kernels, "kernels", false, "print, for each shape of layer of one model, the time of every kernel that this machine has")
	cmd.Flags().BoolVar(&f.assert, "assert", false, "with --kernels: fail if a kernel is used that is more than 10 % slower than another")
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON (keys: docs/json.md)")
	return cmd
}

func bench(cmd *cobra.Command, args []string, f *benchFlags, line commandLine) error {
	if f.threads < 0 || f.runs < 1 || f.duration <= 0 {
		return usagef("--threads, --runs and --duration have to be positive")
	}
	if f.assert && !f.kernels {
		return usagef("--assert is about --kernels")
	}
	if f.kernels && len(args) != 1 {
		return usagef("--kernels measures one model, not %d", len(args))
	}
	stderr := cmd.ErrOrStderr()
	models, err := loadAll(args, f.shapeFlags)
	if err != nil {
		return err
	}
	options := octet.BenchOptions{Threads: f.threads, Duration: f.duration, Runs: f.runs, Operators: true}
	if len(f.inputs) > 0 {
		if options.Inputs, err = readInputs(models[0], f.inputs, nil); err != nil {
			return err
		}
	}
	for _, m := range models {
		for _, in := range m.Inputs() {
			if openDims(in) && options.Inputs[in.Name] == nil {
				return openShapesError(m, line)
			}
		}
	}
	if f.kernels {
		return benchKernels(cmd, models[0], options, f.json, f.assert)
	}
	results, err := benchOn(cmd.Context(), models, options, stderr)
	if err != nil {
		return err
	}
	if !f.json {
		writeBench(cmd.OutOrStdout(), results)
		return nil
	}
	var list []benchResult
	for _, r := range results {
		list = append(list, benchJSON(r))
	}
	if len(list) == 1 {
		return writeJSON(cmd.OutOrStdout(), list[0])
	}
	return writeJSON(cmd.OutOrStdout(), list)
}

// benchOn measures with a display of progress.
func benchOn(ctx context.Context, models []*octet.Model, o octet.BenchOptions, stderr io.Writer) ([]octet.BenchResult, error) {
	report, done := progress(stderr, "measuring")
	defer done()
	o.Progress = report
	return octet.Bench(ctx, models, o)
}

// shownOperators is how many rows the table of operators has.
const shownOperators = 15

func writeBench(w io.Writer, results []octet.BenchResult) {
	var t table
	t.add("model", "median", "p95", "p99", "min", "runs", "GMAC/s", "MACs", "speed")
	for i, r := range results {
		ratio := "1.00x"
		if i > 0 {
			ratio = fmt.Sprintf("%.2fx", float64(results[0].Median)/float64(r.Median))
		}
		t.add(r.Path, milliseconds(r.Median), milliseconds(r.P95), milliseconds(r.P99), milliseconds(r.Minimum), fmt.Sprint(r.Runs),
			fmt.Sprintf("%.2f", r.GMACs()), countText(r.MACs), ratio)
	}
	t.write(w)
	fmt.Fprintf(w, "\nthreads: %d", results[0].Threads)
	if peak := results[len(results)-1].PeakBytes; peak > 0 {
		fmt.Fprintf(w, "; peak memory of the process: %s", bytesText(peak))
	}
	fmt.Fprintln(w)
	for _, r := range results {
		if r.Discarded > 0 {
			fmt.Fprintf(w, "%s: %s left out because the machine was busy\n", r.Path, count(r.Discarded, "run"))
		}
	}
	for _, r := range results {
		writeOperators(w, r)
	}
}

func writeOperators(w io.Writer, r octet.BenchResult) {
	operators := slices.Clone(r.Operators)
	slices.SortStableFunc(operators, func(a, b octet.OperatorTime) int {
		switch {
		case a.MeanMS > b.MeanMS:
			return -1
		case a.MeanMS < b.MeanMS:
			return 1
		}
		return 0
	})
	var all float64
	for _, o := range operators {
		all += o.MeanMS
	}
	if all == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s, by operator:\n", filepath.Base(r.Path))
	var t table
	t.add("  node", "operator", "kernel", "ms", "share", "GMAC/s")
	for _, o := range operators[:min(shownOperators, len(operators))] {
		speed := ""
		if o.MACs > 0 && o.MeanMS > 0 {
			speed = fmt.Sprintf("%.2f", float64(o.MACs)/o.MeanMS/1e6)
		}
		t.add("  "+shortened(o.Node, 48), o.Op, o.Kernel, fmt.Sprintf("%.4f", o.MeanMS), fmt.Sprintf("%.1f %%", 100*o.MeanMS/all), speed)
	}
	t.write(w)
	if rest := len(operators) - shownOperators; rest > 0 {
		fmt.Fprintf(w, "  and %d more (--json has all)\n", rest)
	}
}

// shortened is the end of a long name.
func shortened(name string, most int) string {
	runes := []rune(strings.ToValidUTF8(name, "?"))
	if len(runes) <= most {
		return string(runes)
	}
	return "…" + string(runes[len(runes)-most+1:])
}

// benchResult is the JSON of bench.
type benchResult struct {
	Path      string               `json:"path"`
	MedianMS  number               `json:"median_ms"`
	P95MS     number               `json:"p95_ms"`
	P99MS     number               `json:"p99_ms"`
	MinMS     number               `json:"min_ms"`
	Threads   int                  `json:"threads"`
	Runs      int                  `json:"runs"`
	Discarded int                  `json:"discarded"`
	PeakBytes int64                `json:"peak_bytes"`
	MACs      int64                `json:"macs"`
	GMACs     number               `json:"gmacs_per_s"`
	Operators []octet.OperatorTime `json:"operators"`
}

func benchJSON(r octet.BenchResult) benchResult {
	return benchResult{
		Path: r.Path, MedianMS: number(ms(r.Median)), P95MS: number(ms(r.P95)), P99MS: number(ms(r.P99)), MinMS: number(ms(r.Minimum)),
		Threads: r.Threads, Runs: r.Runs, Discarded: r.Discarded, PeakBytes: r.PeakBytes,
		MACs: r.MACs, GMACs: number(r.GMACs()), Operators: append([]octet.OperatorTime{}, r.Operators...),
	}
}
