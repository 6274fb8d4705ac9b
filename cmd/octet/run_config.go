package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/octet-nn/octet/internal/mace/flow"
)

// runConfigFlags are the flags of run --config: those of MACE's runner.
type runConfigFlags struct {
	maceFlags
	flow.Run
	restart int
}

func (f *runConfigFlags) add(cmd *cobra.Command) {
	f.maceFlags.add(cmd, "converted")
	flags := cmd.Flags()
	flags.StringVar(&f.InputDir, "input_dir", "", "`folder` of samples: files <input name><rest> of raw values, one for each input")
	flags.StringVar(&f.InputFile, "input_file", "", "one sample: files `prefix`_<input name>")
	flags.StringVar(&f.OutputFile, "output_file", "", "write the outputs of the one sample to `prefix`_<output name>")
	flags.StringVar(&f.Layout.Input, "input_data_format", "", "order of input files, NHWC or NCHW (default as in --config)")
	flags.StringVar(&f.Layout.Output, "output_data_format", "", "order of output files, NHWC or NCHW (default as in --config)")
	flags.BoolVar(&f.QuantizeStat, "quantize_stat", false, "print the range of every layer, one line for each sample")
	flags.BoolVar(&f.Validate, "validate", false, "compare with the float model; exit code 1 if they are too different")
	flags.Float64Var(&f.Threshold, "validate_threshold", 0, "similarity that --validate wants (default as in --config, else MACE's)")
	flags.StringVar(&f.Layers, "layers", "", "compare these layers with the float model's, `first:last`, and append them to log.csv")
	flags.BoolVar(&f.Benchmark, "benchmark", false, "print MACE's tables of times by layer")
	flags.IntVar(&f.Round, "round", 1, "runs to average over")
	flags.IntVar(&f.restart, "restart_round", 1, "how often to load the model and measure")
	flags.IntVar(&f.Threads, "num_threads", -1, "threads (default one per processor)")
	flags.BoolVar(&f.Report, "report", false, "append times to report.csv")
	flags.StringVar(&f.ReportDir, "report_dir", "", "`folder` of report.csv (default that of --output and the library)")
}

// configOnly are the flags that need --config.
var configOnly = []string{
	"input_dir", "input_file", "output_file", "input_data_format", "output_data_format", "quantize_stat", "validate", "validate_threshold",
	"layers", "benchmark", "round", "restart_round", "num_threads", "report", "report_dir", "model_name", "output", "arithmetic",
}

// modelOnly are the flags of run that need a model file.
var modelOnly = []string{"samples", "preprocess", "labels", "classes", "limit", "offset", "shape", "batch", "input", "top", "threads", "output-format", "json"}

// arguments checks that run has a model or --config, and the flags that go with it.
func (f *runConfigFlags) arguments(cmd *cobra.Command, args []string) error {
	wrong := configOnly
	if f.config != "" {
		if len(args) > 0 {
			return usagef("run takes either --config or a model file, not also %q", args[0])
		}
		wrong = modelOnly
	} else if err := models(1, 1)(cmd, args); err != nil {
		return usagef("%w, or a MACE deployment file: octet run --config FILE.yml", err)
	} else if isYAML(args[0]) {
		return usagef("a MACE deployment file is given as --config %s", quoted(args[0]))
	}
	for _, name := range wrong {
		if !cmd.Flags().Changed(name) {
			continue
		}
		if f.config != "" {
			return usagef("--%s is for a model file; with --config, see docs/mace.md", name)
		}
		return usagef("--%s is for the models of a MACE deployment file: add --config FILE.yml", name)
	}
	return nil
}

// check finds contradictions before anything is done.
func (f *runConfigFlags) check() error {
	switch {
	case f.Round < 0 || f.restart < 0:
		return usagef("--round and --restart_round cannot be negative")
	case f.InputDir != "" && f.InputFile != "":
		return usagef("give either --input_dir or --input_file")
	case f.QuantizeStat && f.InputDir == "" && f.InputFile == "":
		return usagef("--quantize_stat needs samples to run on: --input_dir FOLDER, or --input_file PREFIX for one")
	case f.QuantizeStat && (f.Validate || f.Benchmark || f.Layers != ""):
		return usagef("--quantize_stat prints ranges only; run --validate, --benchmark and --layers on their own")
	case f.Threshold > 1 || f.Threshold != f.Threshold:
		return usagef("--validate_threshold is a similarity, up to 1")
	}
	for _, format := range []*string{&f.Layout.Input, &f.Layout.Output} {
		*format = strings.ToUpper(*format)
		if *format != "" && *format != "NHWC" && *format != "NCHW" {
			return usagef("the order of files is NHWC or NCHW, not %q", *format)
		}
	}
	return nil
}

// logsRanges is the environment variable by which MACE's engine is told to print ranges.
const logsRanges = "MACE_LOG_TENSOR_RANGE"

// obeyMACE takes what MACE's scripts say in other ways than by flags: --layers -1, its default, is no comparison of
// layers, and MACE_LOG_TENSOR_RANGE, in the environment or in --envs "NAME=VALUE NAME=VALUE", asks for ranges.
func (f *runConfigFlags) obeyMACE(cmd *cobra.Command) {
	if f.Layers == "-1" {
		f.Layers = ""
	}
	value := os.Getenv(logsRanges)
	if envs, err := cmd.Flags().GetString("envs"); err == nil {
		for _, e := range strings.Fields(envs) {
			if name, v, _ := strings.Cut(e, "="); name == logsRanges {
				value = v
			}
		}
	}
	asked := value != "" && value[0] != '0'
	busy := f.QuantizeStat || f.Validate || f.Benchmark || f.Layers != ""
	if asked && !busy && (f.InputDir != "" || f.InputFile != "") {
		f.QuantizeStat = true
		fmt.Fprintf(cmd.ErrOrStderr(), "Note: %s=%s: ranges are printed, as with --quantize_stat\n", logsRanges, value)
	}
}

// runConfig runs the models of a deployment file.
func runConfig(cmd *cobra.Command, f *runConfigFlags, outputDir string) error {
	if err := f.check(); err != nil {
		return err
	}
	f.obeyMACE(cmd)
	file, models, err := f.load(cmd)
	if err != nil {
		return err
	}
	stderr := cmd.ErrOrStderr()
	switch {
	case outputDir != "" && f.InputDir == "":
		fmt.Fprintln(stderr, "Note: --output_dir is for the samples of --input_dir; without it --output_file PREFIX writes outputs")
	case f.OutputFile != "" && f.InputDir != "":
		fmt.Fprintln(stderr, "Note: --output_file is for one sample; the outputs of those of --input_dir are written by --output_dir FOLDER")
	}
	report, done := progress(stderr, "running")
	defer done()
	r := f.Run
	r.Output, r.OutputDir, r.Arithmetic = f.output, outputDir, f.row()
	r.Restarts, r.Threads = f.restart, max(f.Threads, 0)
	r.Stdout, r.Warn = cmd.OutOrStdout(), warner(cmd)
	r.Say = func(text string) { fmt.Fprintln(stderr, text) }
	r.Tell = func(n, total int) {
		if report != nil {
			report(n, total)
		}
	}
	return r.All(cmd.Context(), file, models)
}
