package main

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/octet-nn/octet"
)

// report is everything that was measured.
type report struct {
	machine     machine
	date        time.Time
	windows     int // wanted of each engine
	window      time.Duration
	comparisons []*comparison
	notes       []string // what was not measured, and why
}

// The results stand between these lines; what people wrote around them stays.
const (
	firstMark = "<!-- results: written by go run ./benchmarks -->"
	lastMark  = "<!-- end of results -->"
)

// insert puts the results into a page between the marks. An empty page becomes one with a heading.
func insert(page, results string) (string, error) {
	results = firstMark + "\n" + results + lastMark
	if page == "" {
		return "# Benchmarks\n\n" + results + "\n", nil
	}
	before, rest, found := strings.Cut(page, firstMark)
	_, after, closed := strings.Cut(rest, lastMark)
	if !found || !closed {
		return "", errors.New("the lines " + firstMark + " and " + lastMark + " are not there: put them where the results belong")
	}
	return before + results + after, nil
}

// disturbed marks numbers from windows in which the machine was busy.
const disturbed = "~"

func number(ms float64) string {
	switch {
	case ms < 0.1:
		return fmt.Sprintf("%.4f", ms)
	case ms < 10:
		return fmt.Sprintf("%.2f", ms)
	}
	return fmt.Sprintf("%.1f", ms)
}

// cell is a time, "–" if it was not measured.
func cell(m *measurement) string {
	if m == nil {
		return "–"
	}
	mark := ""
	if !m.quiet {
		mark = disturbed
	}
	return mark + number(m.medianMS)
}

// verdict is a ratio; wins are bold.
func verdict(ratio float64, ok bool) string {
	text := fmt.Sprintf("%.2f×", ratio)
	switch {
	case !ok:
		return "–"
	case ratio >= 1:
		return "**" + text + "**"
	}
	return text
}

// speed is in 10⁹ multiply-accumulates a second.
func (c *comparison) speed(m *measurement) string {
	if m == nil || m.medianMS == 0 || c.model.macs == 0 {
		return "–"
	}
	speed := float64(c.model.macs) / m.medianMS / 1e6
	if speed < 10 {
		return fmt.Sprintf("%.1f", speed)
	}
	return fmt.Sprintf("%.0f", speed)
}

// markdown is the results, without the marks.
func (r *report) markdown() string {
	var b strings.Builder
	m := r.machine
	fmt.Fprintf(&b, "%s. %d × %s, %s; tier `%s` of %s.", r.date.UTC().Format("2006-01-02 15:04 UTC"), m.count, m.processor, m.system, m.tier, strings.Join(m.features, " "))
	fmt.Fprintf(&b, "\nOctet %s", octet.Version)
	if m.commit != "" {
		fmt.Fprintf(&b, " (%s)", m.commit)
	}
	fmt.Fprintf(&b, ", %s; %s.", m.compiler, strings.Join(r.peers(), ", "))
	fmt.Fprintf(&b, "\n%d windows of %v were wanted of each engine", r.windows, r.window)
	if m.load != "" {
		fmt.Fprintf(&b, "; load averages at the start %s", m.load)
	}
	b.WriteString(".\n")
	if c, n := r.disturbed(); c > 0 {
		fmt.Fprintf(&b, "\n**The machine was busy with other work.** %d of %d numbers, marked %s, come from the least disturbed windows, because too few were undisturbed; "+
			"there, ratios of the fastest runs say more than those of medians.\n", c, n, disturbed)
	}
	r.againstORT(&b)
	r.againstTFLite(&b)
	r.fixedCosts(&b)
	if len(r.notes) > 0 {
		b.WriteString("\nNot measured:\n\n")
		for _, note := range r.notes {
			fmt.Fprintf(&b, "* %s\n", note)
		}
	}
	return b.String()
}

// each calls f with every measurement.
func (r *report) each(f func(*measurement)) {
	for _, c := range r.comparisons {
		for _, m := range []*measurement{c.int8.ours, c.int8.peer, c.float.ours, c.float.peer} {
			if m != nil {
				f(m)
			}
		}
	}
}

// peers are the names of the other engines.
func (r *report) peers() []string {
	var names []string
	seen := map[string]bool{}
	for _, c := range r.comparisons {
		for _, m := range []*measurement{c.int8.peer, c.float.peer} {
			if m != nil && !seen[m.engine] {
				seen[m.engine] = true
				names = append(names, m.engine)
			}
		}
	}
	if names == nil {
		return []string{"no other engine"}
	}
	return names
}

// disturbed counts the measurements whose windows were not quiet.
func (r *report) disturbed() (count, all int) {
	r.each(func(m *measurement) {
		all++
		if !m.quiet {
			count++
		}
	})
	return count, all
}

func (c *comparison) windows() (count, discarded int) {
	for _, m := range []*measurement{c.int8.ours, c.int8.peer, c.float.ours, c.float.peer} {
		if m != nil {
			count += m.windows
			discarded += m.discarded
		}
	}
	return count, discarded
}

// some is the comparisons of ONNX or TensorFlow Lite files.
func (r *report) some(tflite bool) []*comparison {
	var list []*comparison
	for _, c := range r.comparisons {
		if c.model.tflite == tflite {
			list = append(list, c)
		}
	}
	return list
}

func (r *report) againstORT(b *strings.Builder) {
	list := r.some(false)
	if list == nil {
		return
	}
	b.WriteString("\n## Against ONNX Runtime\n\nMedian milliseconds of a run, batch 1; × is ONNX Runtime's time divided by ours, of medians and of the fastest runs; wins are bold.\n\n" +
		"| model | threads | int8: Octet | ONNX Runtime | × | × fastest | f32: Octet | ONNX Runtime | × | × fastest | our int8 over our f32 | GMAC/s int8, f32 | windows kept (discarded) |\n" +
		"|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, c := range list {
		own := pair{c.int8.ours, c.float.ours}
		kept, discarded := c.windows()
		fmt.Fprintf(b, "| %s | %d | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s, %s | %d (%d) |\n", c.model.name, c.threads,
			cell(c.int8.ours), cell(c.int8.peer), verdict(c.int8.ratio()), verdict(c.int8.fastestRatio()),
			cell(c.float.ours), cell(c.float.peer), verdict(c.float.ratio()), verdict(c.float.fastestRatio()),
			verdict(own.ratio()), c.speed(c.int8.ours), c.speed(c.float.ours), kept, discarded)
	}
}

func (r *report) againstTFLite(b *strings.Builder) {
	list := r.some(true)
	if list == nil {
		return
	}
	b.WriteString("\n## Against TensorFlow Lite with XNNPACK\n\nThe int8 models of MLPerf Tiny, milliseconds as above.\n\n" +
		"| model | threads | Octet | TensorFlow Lite | × | fastest: Octet | TensorFlow Lite | × | GMAC/s | windows kept (discarded) |\n" +
		"|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	fastest := func(m *measurement) string {
		if m == nil {
			return "–"
		}
		return number(m.fastestMS)
	}
	for _, c := range list {
		kept, discarded := c.windows()
		fmt.Fprintf(b, "| %s | %d | %s | %s | %s | %s | %s | %s | %s | %d (%d) |\n", c.model.name, c.threads,
			cell(c.int8.ours), cell(c.int8.peer), verdict(c.int8.ratio()), fastest(c.int8.ours), fastest(c.int8.peer), verdict(c.int8.fastestRatio()),
			c.speed(c.int8.ours), kept, discarded)
	}
}

// fixedCosts is a table of load times and memory.
func (r *report) fixedCosts(b *strings.Builder) {
	list := r.some(false)
	if list == nil {
		return
	}
	b.WriteString("\n## Loading and memory\n\nMilliseconds from the file to a session, page cache warm (the shorter of one start for each number of threads), " +
		"and peak resident memory of the whole process in MB, which includes Node.js on ONNX Runtime's side.\n\n" +
		"| model | load int8: Octet | ONNX Runtime | load f32: Octet | ONNX Runtime | MB int8: Octet | ONNX Runtime | MB f32: Octet | ONNX Runtime |\n" +
		"|---|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for first := 0; first < len(list); {
		end := first
		for end < len(list) && list[end].model == list[first].model {
			end++
		}
		load, memory := "", ""
		for _, of := range []func(*comparison) *measurement{
			func(c *comparison) *measurement { return c.int8.ours }, func(c *comparison) *measurement { return c.int8.peer },
			func(c *comparison) *measurement { return c.float.ours }, func(c *comparison) *measurement { return c.float.peer },
		} {
			shortest, peak := math.Inf(1), int64(0)
			for _, c := range list[first:end] {
				if m := of(c); m != nil {
					shortest, peak = min(shortest, m.loadMS), max(peak, m.peakBytes)
				}
			}
			if math.IsInf(shortest, 1) {
				load += " – |"
			} else {
				load += fmt.Sprintf(" %.0f |", shortest)
			}
			if peak == 0 {
				memory += " – |"
			} else {
				memory += fmt.Sprintf(" %.0f |", float64(peak)/1e6)
			}
		}
		fmt.Fprintf(b, "| %s |%s%s\n", list[first].model.name, load, memory)
		first = end
	}
}
