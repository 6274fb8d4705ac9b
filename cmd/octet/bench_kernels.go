package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/octet-nn/octet"
)

const (
	// allowedLoss is how much slower than the best kernel the chosen one may be under --assert.
	allowedLoss = 1.1
	// leastMS is the least time of a layer that is judged: of less, the clock says too little.
	leastMS = 0.002
)

// benchKernels prints the time of every kernel for each shape of layer.
func benchKernels(cmd *cobra.Command, m *octet.Model, o octet.BenchOptions, asJSON, assert bool) error {
	report, done := progress(cmd.ErrOrStderr(), "measuring")
	o.Progress = report
	list, err := octet.BenchKernels(cmd.Context(), m, o)
	done()
	if err != nil {
		return err
	}
	if asJSON {
		if err := writeJSON(cmd.OutOrStdout(), list); err != nil {
			return err
		}
	} else {
		writeKernels(cmd.OutOrStdout(), list)
	}
	if !assert {
		return nil
	}
	var lost []string
	for _, l := range list {
		if loses(l) {
			lost = append(lost, fmt.Sprintf("%s %s: %.2f times the fastest", l.Op, l.Shapes, l.Loss()))
		}
	}
	if lost != nil {
		return fmt.Errorf("a kernel was chosen that is more than 10 %% slower than another:\n  %s", strings.Join(lost, "\n  "))
	}
	return nil
}

// loses reports whether another kernel is faster than the chosen one, by more than is allowed.
func loses(l octet.LayerKernels) bool { return l.Loss() > allowedLoss && chosenTime(l) >= leastMS }

func chosenTime(l octet.LayerKernels) float64 {
	for _, t := range l.Times {
		if t.Chosen {
			return t.MS
		}
	}
	return 0
}

// writeKernels prints one row a layer; the chosen kernel's time has a star, a loser's an exclamation mark.
func writeKernels(w io.Writer, list []octet.LayerKernels) {
	if len(list) == 0 {
		return
	}
	var t table
	head := []string{"operator", "kernel", "shapes", "nodes", "MACs"}
	for _, k := range list[0].Times {
		head = append(head, k.Tier+" ms")
	}
	t.add(append(head, "GMAC/s")...)
	for _, l := range list {
		row := []string{l.Op, l.Times[0].Kernel, l.Shapes, fmt.Sprint(len(l.Nodes)), countText(l.MACs)}
		for _, k := range l.Times {
			mark := ""
			if k.Chosen {
				mark = "*"
				if loses(l) {
					mark = "!"
				}
			}
			row = append(row, fmt.Sprintf("%.4f%s", k.MS, mark))
		}
		speed := ""
		if ms := chosenTime(l); l.MACs > 0 && ms > 0 {
			speed = fmt.Sprintf("%.1f", float64(l.MACs)/ms/1e6)
		}
		t.add(append(row, speed)...)
	}
	t.write(w)
	fmt.Fprintln(w, "\nThe fastest run of each; * marks the kernel that is used, ! one that is more than 10 % slower than another.")
}
