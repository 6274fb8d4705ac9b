package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// Sizes of the drawing, in pixels.
const (
	labelWidth = 230
	plotWidth  = 520
	rowHeight  = 16
	topMargin  = 60
)

type bar struct {
	label  string
	ratio  float64
	colour string
	quiet  bool
}

// bars are the ratios to draw, in the order of the tables.
func (r *report) bars() []bar {
	const integer, float = "#1f6feb", "#9a6700"
	var list []bar
	for _, c := range r.comparisons {
		for _, f := range []struct {
			pair
			name, colour string
		}{{c.int8, "int8", integer}, {c.float, "f32", float}} {
			if ratio, ok := f.ratio(); ok {
				list = append(list, bar{
					fmt.Sprintf("%s %s, %d thr.", c.model.name, f.name, c.threads), ratio, f.colour, f.ours.quiet && f.peer.quiet,
				})
			}
		}
	}
	return list
}

// svg draws a bar for each ratio from a line at 1, on a logarithmic scale: to the right, Octet is faster than the peer.
// Bars of a busy machine are pale.
func (r *report) svg() string {
	list := r.bars()
	lowest, highest := -1.0, 1.0 // logarithms, base 2
	for _, b := range list {
		lowest, highest = min(lowest, math.Floor(math.Log2(b.ratio))), max(highest, math.Ceil(math.Log2(b.ratio)))
	}
	x := func(ratio float64) float64 { return labelWidth + (math.Log2(ratio)-lowest)/(highest-lowest)*plotWidth }
	height := topMargin + rowHeight*len(list) + 30
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="11">`+"\n", labelWidth+plotWidth+60, height)
	b.WriteString("<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n")
	fmt.Fprintf(&b, "<text x=\"10\" y=\"18\" font-size=\"14\">Speed of Octet as a multiple of the peer's: ONNX Runtime, for mlperf_tiny TensorFlow Lite</text>\n")
	fmt.Fprintf(&b, "<text x=\"10\" y=\"36\">%s</text>\n", html.EscapeString(fmt.Sprintf("%s, %s, tier %s. Medians; right of the line Octet is faster. Pale: the machine was busy.",
		r.date.UTC().Format("2006-01-02"), r.machine.processor, r.machine.tier)))
	bottom := topMargin + rowHeight*len(list)
	for power := lowest; power <= highest; power++ {
		ratio := math.Exp2(power)
		colour, width := "#dddddd", 1
		if ratio == 1 {
			colour, width = "#333333", 2
		}
		fmt.Fprintf(&b, "<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\" stroke=\"%s\" stroke-width=\"%d\"/>\n", x(ratio), topMargin-6, x(ratio), bottom, colour, width)
		fmt.Fprintf(&b, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%g×</text>\n", x(ratio), bottom+16, ratio)
	}
	for i, row := range list {
		y := topMargin + rowHeight*i
		opacity := 0.9
		if !row.quiet {
			opacity = 0.45
		}
		fmt.Fprintf(&b, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", labelWidth-8, y+11, html.EscapeString(row.label))
		left, right := min(x(row.ratio), x(1)), max(x(row.ratio), x(1))
		fmt.Fprintf(&b, "<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\" fill-opacity=\"%.2f\"/>\n", left, y+2, right-left, rowHeight-4, row.colour, opacity)
		fmt.Fprintf(&b, "<text x=\"%.1f\" y=\"%d\">%.2f</text>\n", right+4, y+11, row.ratio)
	}
	b.WriteString("</svg>\n")
	return b.String()
}
