package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/octet-nn/octet"
	"github.com/octet-nn/octet/internal/mace/convert"
	"github.com/octet-nn/octet/internal/mace/flow"
)

type convertFlags struct {
	maceFlags
	shapeFlags
	quantizeStat, strict bool
	file                 string
}

func convertCommand(line commandLine) *cobra.Command {
	f := &convertFlags{}
	cmd := &cobra.Command{
		Use:   "convert --config FILE.yml [flags] | convert MODEL -o FILE",
		Short: "Convert the models of a MACE deployment file, or one model between formats",
		Long: `With --config: converts every model of a MACE deployment file into <output>/<library_name>/model/<model_name>.onnx;
quantized, where it says quantize: 1, with the ranges of its quantize_range_file. --quantize_stat makes the float models
whose ranges octet run --quantize_stat collects. Files are written whole or not at all.
With MODEL: writes the same model in the format that the name after -o ends with, .onnx or .tflite. Float values and
codes are kept; of a quantized model, how it rounds goes along in the metadata of the file. TensorFlow Lite files have
fixed sizes: --shape gives those that the model leaves open, and an open batch becomes 1.
Flags may be written with - or _. Those of MACE's converter that concern devices are accepted. docs/mace.md has the rest.`,
		Example: `  octet convert --config inception-v3.yml
  octet convert --config inception-v3.yml --quantize_stat
  octet convert model.tflite -o model.onnx
  octet convert deploy.prototxt --weights net.caffemodel -o net.onnx
  octet convert frozen.pb --inputs features --outputs logits --shape features=1,49,10 -o net.tflite`,
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case f.config == "" && len(args) == 0:
				return usagef("convert needs a MACE deployment file or a model:\n  %s\n  %s", line.with("--config", "FILE.yml"), line.with("MODEL", "-o", "FILE.onnx"))
			case f.config != "" && len(args) > 0:
				return usagef("convert takes either --config or a model file, not also %q", args[0])
			case len(args) > 1:
				return usagef("convert takes one model file, not also %q", args[1])
			case len(args) == 1 && f.file == "" && isYAML(args[0]):
				return usagef("a MACE deployment file is given as --config %s", quoted(args[0]))
			case len(args) == 1 && f.file == "":
				return usagef("convert needs the file to write: %s", line.with("-o", "FILE.onnx"))
			case f.config != "" && f.file != "":
				return usagef("-o is for one model file; with --config models go to --output FOLDER")
			case len(args) == 1:
				return f.forModel(cmd)
			}
			return f.forDeployment(cmd)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.config != "" {
				return f.deployment(cmd)
			}
			return f.between(cmd, args[0], line)
		},
	}
	f.maceFlags.add(cmd)
	f.shapeFlags.add(cmd)
	cmd.Flags().BoolVar(&f.quantizeStat, "quantize_stat", false, "make float models whose ranges are to be collected (as quantize_stat: 1 in the file)")
	cmd.Flags().BoolVar(&f.strict, "strict", false, "fail where an operator cannot be quantized, instead of leaving it float")
	cmd.Flags().StringVarP(&f.file, "out", "o", "", "the `file` to write, when a model is converted between formats")
	return cmd
}

// deployment converts the models of --config.
func (f *convertFlags) deployment(cmd *cobra.Command) error {
	file, models, err := f.load(cmd)
	if err != nil {
		return err
	}
	how := flow.Convert{Output: f.output, QuantizeStat: f.quantizeStat, Arithmetic: f.row(), Strict: f.strict}
	done, err := how.All(cmd.Context(), file, models, warner(cmd))
	for _, c := range done {
		f.report(cmd, c)
	}
	return err
}

// report says what a conversion did.
func (f *convertFlags) report(cmd *cobra.Command, c flow.Converted) {
	for _, n := range c.Report.Notes {
		fmt.Fprintf(cmd.ErrOrStderr(), "Note: %s: %s\n", c.Model, n)
	}
	out := cmd.OutOrStdout()
	kind := "float"
	switch {
	case c.Quantized:
		kind = "quantized"
		for _, l := range c.Report.Lines() {
			fmt.Fprintln(out, l)
		}
		writeFloatOperators(out, c.Report.Islands)
	case c.Stat:
		kind = "float, for collecting ranges"
	case c.LargeWeights:
		kind = "float, weights stored in 8 bits"
	}
	fmt.Fprintf(out, "%s: %s, %s\n", c.Path, kind, bytesText(c.Bytes))
}

func writeFloatOperators(w io.Writer, islands []convert.Island) {
	if len(islands) == 0 {
		return
	}
	fmt.Fprintf(w, "%s float (MACE would fail here; --strict does too):\n", count(len(islands), "operator")+" stayed")
	for _, i := range islands {
		fmt.Fprintf(w, "  %s %s: %s\n", i.Type, i.Node, i.Reason)
	}
}

// forModel refuses what has no meaning for a model file.
func (f *convertFlags) forModel(cmd *cobra.Command) error {
	if err := f.only(cmd, "a deployment file (--config)", "model_name", "output", "arithmetic", "quantize_stat", "strict"); err != nil {
		return err
	}
	switch ending := strings.ToLower(filepath.Ext(f.file)); ending {
	case ".onnx", ".tflite":
		return nil
	case ".pb", ".prototxt", ".caffemodel":
		return usagef("-o %s: octet reads %s files but does not write them; end the name in .onnx or .tflite", quoted(f.file), ending)
	default:
		return usagef("-o %s: the format follows from the name; end it in .onnx or .tflite", quoted(f.file))
	}
}

// forDeployment refuses what has no meaning for a deployment file.
func (f *convertFlags) forDeployment(cmd *cobra.Command) error {
	return f.only(cmd, "a model file; deployment files say it themselves", "shape", "batch", "inputs", "outputs", "weights")
}

// only refuses flags that are for something else than what was given.
func (f *convertFlags) only(cmd *cobra.Command, what string, flags ...string) error {
	for _, name := range flags {
		if cmd.Flags().Changed(name) {
			return usagef("--%s is for %s", name, what)
		}
	}
	return nil
}

// between writes a model in another format.
func (f *convertFlags) between(cmd *cobra.Command, path string, line commandLine) error {
	m, err := load(path, f.shapeFlags)
	if err != nil {
		return err
	}
	if octet.FormatOf(f.file) == "tflite" && slices.ContainsFunc(m.Inputs(), openDims) {
		return openShapesError(m, line)
	}
	if err := m.Save(f.file, octet.SaveOptions{}); err != nil {
		return err
	}
	info, err := os.Stat(f.file)
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", f.file, bytesText(info.Size()))
	return nil
}
