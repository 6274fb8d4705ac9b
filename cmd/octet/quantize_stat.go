package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/octet-nn/octet/internal/mace/stat"
)

func quantizeStatCommand() *cobra.Command {
	var file, format string
	var o stat.Options
	cmd := &cobra.Command{
		Use:     "quantize-stat --log_file RANGE_LOG [flags]",
		Aliases: []string{"quantize_stat"},
		Short:   "Reduce a MACE range log to a range file",
		Long: `Reduce a range log, made by octet run --quantize_stat or by MACE itself, to one range for each tensor, printed as
name@@min,max: what quantize_range_file of a deployment file takes.`,
		Example: `  octet quantize-stat --log_file range_log > overall_range
  octet quantize-stat --log_file range_log --percentile 5 --enhance > overall_range`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && file == "" {
				return usagef("quantize-stat takes the log as --log_file %s", quoted(args[0]))
			}
			return noArguments(cmd, args)
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" {
				return usagef("quantize-stat needs a range log: --log_file FILE")
			}
			how, ok := map[string]stat.Format{"exact": stat.Exact, "mace": stat.MACE}[format]
			if !ok {
				return usagef("--format %q: exact or mace", format)
			}
			f, err := os.Open(file)
			if err != nil {
				return err
			}
			defer f.Close()
			report, done := progress(cmd.ErrOrStderr(), "reading")
			size := int64(0)
			if info, err := f.Stat(); err == nil {
				size = info.Size()
			}
			log, err := stat.ReadLog(cmd.Context(), f, file, func(bytes int64) {
				if report != nil && size > 0 {
					report(int(bytes>>10), int(size>>10))
				}
			})
			done()
			if err != nil {
				return err
			}
			ranges, warnings, err := log.Reduce(o)
			if err != nil {
				return usagef("%w", err)
			}
			for _, w := range append(log.Warnings, warnings...) {
				fmt.Fprintf(cmd.ErrOrStderr(), "Warning: %s\n", w)
			}
			if len(ranges) == 0 {
				return fmt.Errorf("%s: no tensor has a range that can be used", file)
			}
			return stat.WriteRanges(cmd.OutOrStdout(), ranges, how)
		},
	}
	flags := cmd.Flags()
	flags.SetNormalizeFunc(underscores)
	flags.StringVar(&file, "log_file", "", "range log to reduce")
	flags.Float64Var(&o.Percentile, "percentile", 0, "per cent of the samples' extremes to cut off at either end")
	flags.BoolVar(&o.Enhance, "enhance", false, "cut long tails: drop samples while the range shrinks faster than their share")
	flags.Float64Var(&o.EnhanceRatio, "enhance_ratio", 10, "how many times faster it must shrink, for --enhance")
	flags.StringVar(&format, "format", "exact", "numbers: exact, or mace (six decimals)")
	return cmd
}
