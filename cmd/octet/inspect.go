package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/octet-nn/octet"
)

func inspectCommand() *cobra.Command {
	var shapes shapeFlags
	var asJSON, asText, nodes bool
	cmd := &cobra.Command{
		Use:   "inspect MODEL [flags]",
		Short: "Show what is in a model: inputs, operators, sizes, what is quantized and how",
		Example: `  octet inspect mobilenet_v2.int8.onnx
  octet inspect mobilenet_v2.int8.onnx --text > mobilenet_v2.txt`,
		Args: models(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if asJSON && asText {
				return usagef("inspect prints either --json or --text, not both")
			}
			m, err := load(args[0], shapes)
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if asText {
				return m.WriteText(out)
			}
			s := m.Inspect()
			if asJSON {
				return writeJSON(out, s)
			}
			writeSummary(out, m, s, nodes)
			return nil
		},
	}
	shapes.add(cmd)
	cmd.Flags().BoolVar(&nodes, "nodes", false, "list every node")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON (keys: docs/json.md)")
	cmd.Flags().BoolVar(&asText, "text", false, "print the canonical text form")
	return cmd
}

func writeSummary(w io.Writer, m *octet.Model, s *octet.Summary, nodes bool) {
	fmt.Fprintf(w, "%s", s.Path)
	if s.FileBytes > 0 {
		fmt.Fprintf(w, "  %s", bytesText(s.FileBytes))
	}
	fmt.Fprintln(w)
	writeValues(w, "inputs", m.Inputs(), s.Inputs)
	writeValues(w, "outputs", m.Outputs(), s.Outputs)
	writeValues(w, "states", m.States(), s.States)
	p := s.Parameters
	fmt.Fprintf(w, "parameters  %s: %s integer (%s), %s float (%s)\n", countText(p.Count),
		countText(p.IntegerCount), bytesText(p.IntegerBytes), countText(p.FloatCount), bytesText(p.FloatBytes))
	switch {
	case s.MACs == nil:
		line := commandLine{"inspect", m.Path()}
		fmt.Fprint(w, "MACs        not known: sizes of inputs are open")
		if flags := typicalShapes(m); flags != nil {
			fmt.Fprintf(w, ", for example:\n  %s", line.with(flags...))
		}
		fmt.Fprintln(w)
	case s.Quantized:
		fmt.Fprintf(w, "MACs        %s, %s of them on integers\n", countText(*s.MACs), percent(s.IntegerShare()))
	default:
		fmt.Fprintf(w, "MACs        %s\n", countText(*s.MACs))
	}
	writeOperatorCounts(w, s)
	if len(s.Metadata) > 0 {
		fmt.Fprintln(w, "\nmetadata")
		for _, key := range slices.Sorted(maps.Keys(s.Metadata)) {
			fmt.Fprintf(w, "  %s = %s\n", key, shortText(s.Metadata[key]))
		}
	}
	writeIslands(w, s)
	if nodes {
		writeNodes(w, s)
	}
}

func writeValues(w io.Writer, title string, values []octet.ValueInfo, summaries []octet.ValueSummary) {
	for i, v := range values {
		if i > 0 {
			title = ""
		}
		quantized := summaries[i].Quantization.String()
		fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf("%-10s  %s  %s", title, v, quantized), " "))
	}
}

func writeOperatorCounts(w io.Writer, s *octet.Summary) {
	fmt.Fprintln(w)
	var t table
	t.add("operator", "count", "integer", "float", "MACs")
	for _, o := range s.Operators {
		macs := ""
		if o.MACs > 0 {
			macs = countText(o.MACs)
		}
		t.add(o.Op, fmt.Sprint(o.Count), fmt.Sprint(o.Integer), fmt.Sprint(o.Count-o.Integer), macs)
	}
	t.write(w)
}

// writeIslands says what stays float and why, nodes of one reason together.
func writeIslands(w io.Writer, s *octet.Summary) {
	if !s.Quantized {
		fmt.Fprintln(w, "\nquantized   nothing: this is a float model (octet quantize makes an 8-bit one)")
		return
	}
	fmt.Fprintf(w, "\nquantized   %s of %d; weights %s\n", count(s.IntegerNodes(), "node"), len(s.Nodes), s.WeightQuantization)
	if len(s.Islands) == 0 {
		fmt.Fprintln(w, "float       nothing but what surrounds the integers")
		return
	}
	fmt.Fprintln(w, "float")
	var order []string
	byReason := map[string][]string{}
	for _, i := range s.Islands {
		if byReason[i.Reason] == nil {
			order = append(order, i.Reason)
		}
		byReason[i.Reason] = append(byReason[i.Reason], fmt.Sprintf("%s %q", i.Op, i.Node))
	}
	for _, reason := range order {
		nodes := byReason[reason]
		const shown = 4
		more := ""
		if len(nodes) > shown {
			more = fmt.Sprintf(" and %d more", len(nodes)-shown)
		}
		fmt.Fprintf(w, "  %s: %s%s\n", reason, strings.Join(nodes[:min(shown, len(nodes))], ", "), more)
	}
}

func writeNodes(w io.Writer, s *octet.Summary) {
	fmt.Fprintln(w)
	var t table
	t.add("node", "operator", "compute", "output", "quantization", "weights", "MACs")
	for _, n := range s.Nodes {
		macs := ""
		if n.MACs != nil && *n.MACs > 0 {
			macs = countText(*n.MACs)
		}
		t.add(shortened(n.Node, 48), n.Op, n.Compute, n.Output, n.Quantization.String(), n.Weights.String(), macs)
	}
	t.write(w)
}

// shortText is a text on one line of bearable length.
func shortText(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > 160 {
		return string(runes[:160]) + "…"
	}
	return text
}
