package main

import (
	"fmt"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/octet-nn/octet"
	"github.com/octet-nn/octet/internal/cpu"
	"github.com/octet-nn/octet/internal/kernel"
)

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version and what the processor can do",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := cpu.Describe()
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			fmt.Fprintf(out, "octet %s\n", octet.Version)
			fmt.Fprintf(out, "go:           %s %s/%s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH)
			fmt.Fprintf(out, "processors:   %d\n", runtime.GOMAXPROCS(0))
			fmt.Fprintf(out, "cpu features: %s\n", orNone(d.Features))
			forced := ""
			if d.Forced {
				forced = " (forced by " + cpu.Variable + ")"
			}
			fmt.Fprintf(out, "tier in use:  %s%s\n", d.Tier, forced)
			fmt.Fprintf(out, "tiers:        %s (%s chooses a lower one)\n", orNone(d.Tiers), cpu.Variable)
			tier, err := cpu.Choose()
			if err != nil {
				return err
			}
			fmt.Fprintf(out, "kernels:      %s\n", orNone(kernel.For(tier).Names()))
			if d.AMX {
				fmt.Fprintln(out, "amx:          granted by the operating system")
			} else {
				fmt.Fprintf(out, "amx:          no: %s\n", d.AMXReason)
			}
			return nil
		},
	}
}

func orNone(words []string) string {
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, " ")
}
