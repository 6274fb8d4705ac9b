package flow

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/runtime"
)

// table is a table as MACE prints it.
func table(title string, header []string, rows [][]string) string {
	widths := make([]int, len(header))
	total := 1
	for i, h := range header {
		widths[i] = len(h)
		for _, row := range rows {
			widths[i] = max(widths[i], len(row[i]))
		}
		total += widths[i] + 3
	}
	line := strings.Repeat("-", total) + "\n"
	var b strings.Builder
	b.WriteString(line)
	fmt.Fprintf(&b, "%*s\n", total/2+len(title)/2, title)
	b.WriteString(line)
	for r, row := range append([][]string{header}, rows...) {
		b.WriteString("|")
		for i, cell := range row {
			fmt.Fprintf(&b, " %*s |", widths[i], cell)
		}
		b.WriteString("\n")
		if r == 0 || r == len(rows) {
			b.WriteString(line)
		}
	}
	return b.String()
}

// whole is an integer with commas between thousands, as MACE prints it.
func whole[T int | int64](v T) string {
	text := strconv.FormatInt(int64(v), 10)
	for at := len(text) - 3; at > 0 && text[at-1] != '-'; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

// step is what was measured of one step of a model.
type step struct {
	name, kind string
	times      []time.Duration // in the order of rounds
	start      time.Duration   // since the first step, on average
	macs       int64
	// stride, pad, filter, output and dilation are as MACE's tables have them; empty where they mean nothing.
	stride, pad, filter, output, dilation string
}

func (s *step) total() time.Duration {
	var sum time.Duration
	for _, t := range s.times {
		sum += t
	}
	return sum
}

// statistics are the times of a model's steps over some rounds.
type statistics struct {
	steps  []step
	rounds []time.Duration // time of all steps, by round
}

// add takes in one round.
func (s *statistics) add(p *runtime.Profile, g *graph.Graph) {
	if s.steps == nil {
		nodes := map[string]*graph.Node{}
		for _, n := range slices.Backward(g.Nodes) {
			nodes[n.Name] = n
		}
		for _, measured := range p.Steps {
			s.steps = append(s.steps, describe(measured, nodes[measured.Name]))
		}
	}
	var since time.Duration
	n := time.Duration(len(s.rounds))
	for i, measured := range p.Steps {
		s.steps[i].times = append(s.steps[i].times, measured.Total)
		s.steps[i].start = (s.steps[i].start*n + since) / (n + 1)
		since += measured.Total
	}
	s.rounds = append(s.rounds, since)
}

// describe is a step with what its node says; node is nil for steps that the compiler added.
func describe(p runtime.StepProfile, node *graph.Node) step {
	s := step{name: p.Name, kind: maceType(p.Op, node), macs: p.MACs}
	if node == nil || node.Op.Type() != p.Op {
		return s
	}
	if len(node.Outputs) > 0 && node.Outputs[0] != nil {
		if shape, ok := node.Outputs[0].Type.Shape.Known(); ok {
			s.output = list(shape)
		}
	}
	if w := node.Input(1); w != nil && w.Const != nil {
		switch node.Op.(type) {
		case *op.Conv, *op.ConvTranspose, *op.Gemm, *op.MatMul:
			s.filter = list(w.Const.Shape())
		}
	}
	switch o := node.Op.(type) {
	case *op.Conv:
		s.stride, s.pad, s.dilation = list(ones(o.Strides)), list(pads(o.Pads)), list(ones(o.Dilations))
	case *op.MaxPool:
		s.stride, s.pad, s.filter = list(ones(o.Strides)), list(pads(o.Pads)), list(o.KernelShape)
	case *op.AveragePool:
		s.stride, s.pad, s.filter = list(ones(o.Strides)), list(pads(o.Pads)), list(o.KernelShape)
	}
	return s
}

func list(values []int) string { return "[" + dims(values) + "]" }

func ones(values []int) []int {
	if len(values) == 0 {
		return []int{1, 1}
	}
	return values
}

// pads are the sums of both ends, as MACE gives them.
func pads(values []int) []int {
	half := len(values) / 2
	sums := make([]int, half)
	for i := range sums {
		sums[i] = values[i] + values[half+i]
	}
	if half == 0 {
		return []int{0, 0}
	}
	return sums
}

// maceTypes are MACE's names of operators.
var maceTypes = map[string]string{
	"Conv": "Conv2D", "ConvTranspose": "Deconv2D", "Gemm": "FullyConnected", "MaxPool": "Pooling", "AveragePool": "Pooling",
	"GlobalAveragePool": "Pooling", "GlobalMaxPool": "Pooling", "Add": "Eltwise", "Sub": "Eltwise", "Mul": "Eltwise", "Div": "Eltwise",
	"Relu": "Activation", "Clip": "Activation", "Sigmoid": "Activation", "Tanh": "Activation", "PRelu": "Activation", "LeakyRelu": "Activation",
	"BatchNormalization": "BatchNorm", "Resize": "ResizeBilinear", "ReduceMean": "Reduce", "ReduceMax": "Reduce", "ReduceSum": "Reduce",
}

// maceType is MACE's name of an operator; our own where MACE has none.
func maceType(kind string, node *graph.Node) string {
	if node != nil {
		if c, ok := node.Op.(*op.Conv); ok && c.Groups() > 1 {
			return "DepthwiseConv2d"
		}
	}
	if name := maceTypes[kind]; name != "" {
		return name
	}
	return kind
}

// fixed is a number with three decimals.
func fixed(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		v = 0
	}
	return strconv.FormatFloat(v, 'f', 3, 64)
}

func inMS(d time.Duration) string { return fixed(d.Seconds() * 1000) }

// perSecond is 10⁹ multiply-accumulates a second.
func perSecond(macs int64, d time.Duration) string {
	if macs == 0 || d == 0 {
		return fixed(0)
	}
	return fixed(float64(macs) / d.Seconds() / 1e9)
}

// topSteps is how many steps the table by computation time has.
const topSteps = 10

// write prints MACE's five tables.
func (s *statistics) write(w io.Writer) {
	if len(s.rounds) == 0 {
		return
	}
	byTime := slices.Clone(s.steps)
	slices.SortStableFunc(byTime, func(a, b step) int { return cmp.Compare(b.total(), a.total()) })
	fmt.Fprintln(w, s.list("Sort by Run Order", s.steps))
	fmt.Fprintln(w, s.list("Sort by Computation Time", byTime[:min(topSteps, len(byTime))]))
	fmt.Fprintln(w, s.byType())
	fmt.Fprint(w, s.byMACs())
	fmt.Fprint(w, s.summary())
	fmt.Fprintf(w, "%d ops total.\n", len(s.steps))
}

// all is the time of all rounds.
func (s *statistics) all() time.Duration {
	var sum time.Duration
	for _, r := range s.rounds {
		sum += r
	}
	return sum
}

func (s *statistics) list(title string, steps []step) string {
	var rows [][]string
	var so time.Duration
	all, n := float64(s.all()), time.Duration(len(s.rounds))
	for i := range steps {
		t := &steps[i]
		total := t.total()
		so += total
		rows = append(rows, []string{
			t.kind, inMS(t.start), inMS(t.times[0]), inMS(total / n), fixed(100 * float64(total) / all), fixed(100 * float64(so) / all),
			perSecond(t.macs, total/n), t.stride, t.pad, t.filter, t.output, t.dilation, t.name,
		})
	}
	return table(title, []string{"Op Type", "Start", "First", "Avg(ms)", "%", "cdf%", "GMACPS", "Stride", "Pad", "Filter Shape",
		"Output Shape", "Dilation", "name"}, rows)
}

func (s *statistics) byType() string {
	type kind struct {
		name  string
		count int
		time  time.Duration
		macs  int64
	}
	var kinds []kind
	for i := range s.steps {
		t := &s.steps[i]
		at := slices.IndexFunc(kinds, func(k kind) bool { return k.name == t.kind })
		if at < 0 {
			at = len(kinds)
			kinds = append(kinds, kind{name: t.kind})
		}
		kinds[at].count++
		kinds[at].time += t.total()
		kinds[at].macs += t.macs
	}
	slices.SortStableFunc(kinds, func(a, b kind) int { return cmp.Compare(b.time, a.time) })
	var rows [][]string
	var so time.Duration
	all, n := float64(s.all()), time.Duration(len(s.rounds))
	for _, k := range kinds {
		so += k.time
		rows = append(rows, []string{
			k.name, whole(k.count), inMS(k.time / n), fixed(100 * float64(k.time) / all), fixed(100 * float64(so) / all),
			whole(k.macs), perSecond(k.macs, k.time/n), whole(k.count),
		})
	}
	return table("Stat by Op Type", []string{"Op Type", "Count", "Avg(ms)", "%", "cdf%", "MACs", "GMACPS", "Called times"}, rows)
}

func (s *statistics) byMACs() string {
	var macs int64
	for i := range s.steps {
		macs += s.steps[i].macs
	}
	return table("Stat by MACs(Multiply-Accumulation)", []string{"total", "round", "first(G/s)", "avg(G/s)", "std"}, [][]string{{
		whole(macs), whole(len(s.rounds)), perSecond(macs, s.rounds[0]),
		perSecond(macs, s.all()/time.Duration(len(s.rounds))), fixed(s.deviation()),
	}})
}

func (s *statistics) summary() string {
	n := len(s.rounds)
	return table("Summary of Ops' Stat", []string{"round", "first(ms)", "curr(ms)", "min(ms)", "max(ms)", "avg(ms)", "std"}, [][]string{{
		whole(n), inMS(s.rounds[0]), inMS(s.rounds[n-1]), inMS(slices.Min(s.rounds)), inMS(slices.Max(s.rounds)),
		inMS(s.all() / time.Duration(n)), fixed(s.deviation()),
	}})
}

// deviation is the standard deviation of rounds in microseconds, as MACE gives it.
func (s *statistics) deviation() float64 {
	mean := float64(s.all()) / float64(len(s.rounds))
	var squares float64
	for _, r := range s.rounds {
		d := float64(r) - mean
		squares += d * d
	}
	return math.Sqrt(squares/float64(len(s.rounds))) / 1e3
}
