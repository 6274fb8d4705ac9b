package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/octet-nn/octet"
	"github.com/octet-nn/octet/internal/mace/convert"
	"github.com/octet-nn/octet/internal/mace/flow"
)

type convertFlags struct {
	maceFlags
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
With MODEL: writes the same model in the format that the name after -o ends with, .onnx or .tflite.
Flags may be written with - or _. Those of MACE's converter that concern devices are accepted. docs/mace.md has the rest.`,
		Example: `  octet convert --config inception-v3.yml
  octet convert --config inception-v3.yml --quantize_stat
  octet convert model.tflite -o model.onnx`,
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case f.config == "" && len(args) == 0:
				return usagef("convert needs a MACE deployment file or a model:\n  %s\n  %s", line.with("--config", "FILE.yml"), line.with("MODEL", "-o", "FILE.onnx"))
			case f.config != "" && len(args) > 0:
				return usagef("convert takes either --config or a model file, not also %q", args[0])
			case len(args) > 1:
				return usagef("convert takes one model file, not also %q", args[1])
			case len(args) == 1 && f.file == "":
				return usagef("convert needs the file to write: %s", line.with("-o", "FILE.onnx"))
			case f.config != "" && f.file != "":
				return usagef("-o is for one model file; with --config models go to --output FOLDER")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.config != "" {
				return f.deployment(cmd)
			}
			return f.between(cmd, args[0])
		},
	}
	f.maceFlags.add(cmd)
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

// between writes a model in another format.
func (f *convertFlags) between(cmd *cobra.Command, path string) error {
	m, err := octet.Load(path, octet.LoadOptions{})
	if err != nil {
		return err
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
