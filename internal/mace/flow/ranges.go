package flow

import (
	"context"
	"fmt"
	"io"
	"math"

	"github.com/octet-nn/octet/internal/mace/stat"
	"github.com/octet-nn/octet/tensor"
)

// histogramBins is how many bins MACE's histograms have.
const histogramBins = 2048

// Collector logs the range of every layer of a float model, one line for each sample, in MACE's form. Layers that have
// a range already get a histogram within it.
type Collector struct {
	session *Session
	layers  []string
	ranges  map[string]stat.Range
	w       io.Writer
	// Samples and Layers count what was logged.
	Samples, Layers int
}

// Collect prepares to log a float model's ranges on w. known are ranges of a range file; nil if there is none.
func (m *Model) Collect(w io.Writer, known []stat.Range, threads int) (*Collector, error) {
	layers := m.Layers()
	if len(layers) == 0 {
		return nil, fmt.Errorf("%s has no operator with a float result, so there are no ranges to collect", m.Path)
	}
	s, err := m.Session(layers, threads)
	if err != nil {
		return nil, err
	}
	c := &Collector{session: s, layers: layers, ranges: map[string]stat.Range{}, w: w}
	for _, r := range known {
		c.ranges[r.Name] = r
	}
	return c, nil
}

// Close ends the collector's session.
func (c *Collector) Close() error { return c.session.Close() }

// Sample runs the model on one sample, logs the ranges and returns the outputs.
func (c *Collector) Sample(ctx context.Context, inputs map[string]*tensor.Tensor) (map[string]Value, error) {
	values, err := c.session.Run(ctx, inputs)
	if err != nil {
		return nil, err
	}
	c.Samples++
	c.Layers = 0
	for _, name := range c.layers {
		v := values[name]
		if v.Reals == nil || len(v.Reals) == 0 {
			continue // integers: indices, shapes
		}
		c.Layers++
		low, high := extremes(v.Reals)
		if r, ok := c.known(name); ok && r.Min < r.Max {
			err = stat.WriteHistogram(c.w, name, float32(r.Min), float32(r.Max), histogram(v.Reals, r.Min, r.Max))
		} else {
			err = stat.WriteLine(c.w, name, low, high)
		}
		if err != nil {
			return nil, err
		}
	}
	return values, nil
}

// known is the range of a layer, whose name a range file may have with or without :0.
func (c *Collector) known(name string) (stat.Range, bool) {
	for _, spelling := range []string{name, name + ":0"} {
		if r, ok := c.ranges[spelling]; ok {
			return r, true
		}
	}
	if n := len(name) - 2; n > 0 && name[n:] == ":0" {
		r, ok := c.ranges[name[:n]]
		return r, ok
	}
	return stat.Range{}, false
}

// extremes are the least and greatest of values, NaNs left out; both are NaN if there is nothing else.
func extremes(values []float32) (low, high float32) {
	low, high = float32(math.Inf(1)), float32(math.Inf(-1))
	for _, v := range values {
		low, high = min(low, notNaN(v, low)), max(high, notNaN(v, high))
	}
	if low > high {
		nan := float32(math.NaN())
		return nan, nan
	}
	return low, high
}

func notNaN(v, other float32) float32 {
	if v != v {
		return other
	}
	return v
}

// histogram counts values in equal bins between two limits; what is outside counts in the outer bins.
func histogram(values []float32, low, high float64) []int64 {
	counts := make([]int64, histogramBins)
	width := (high - low) / histogramBins
	for _, v := range values {
		if v != v {
			continue
		}
		bin := math.Floor((float64(v) - low) / width)
		counts[int(min(max(bin, 0), histogramBins-1))]++
	}
	return counts
}

// fit compares the values of inputs with input_ranges.
type fit struct {
	inputs []Port // of float values, where input_ranges matters
	spans  [][2]float64
}

// newFit is for a quantized model, or one that will be: collecting is set while ranges are collected.
func newFit(m *Model, collecting bool) *fit {
	f := &fit{}
	if m.rebinds() || !m.Quantized() && !collecting {
		return f // every input has its own range, or needs none
	}
	types := m.Types()
	for _, in := range m.Inputs {
		if !in.Integer && types[in.Name] == tensor.Float32 {
			f.inputs = append(f.inputs, in)
			f.spans = append(f.spans, [2]float64{math.Inf(1), math.Inf(-1)})
		}
	}
	return f
}

func (f *fit) add(inputs map[string]*tensor.Tensor) {
	for i, in := range f.inputs {
		low, high := extremes(tensor.Values[float32](inputs[in.Name]))
		f.spans[i][0], f.spans[i][1] = min(f.spans[i][0], float64(low)), max(f.spans[i][1], float64(high))
	}
}

// Of the span of input_ranges, values may lie outside of it by tolerated and have to fill least.
const (
	tolerated = 0.02
	least     = 0.25
)

// warnings name the inputs whose range is too narrow or much too wide.
func (f *fit) warnings() []string {
	var out []string
	for i, in := range f.inputs {
		low, high := f.spans[i][0], f.spans[i][1]
		span := in.Range[1] - in.Range[0]
		how := ""
		switch {
		case low < in.Range[0]-tolerated*span || high > in.Range[1]+tolerated*span:
			how = "a quantized model cuts off what is outside"
		case max(high, 0)-min(low, 0) < least*span:
			how = "a quantized model has few steps for them"
		default:
			continue
		}
		out = append(out, fmt.Sprintf("input %q has values from %s to %s, and its input_ranges is %v,%v: %s. If these samples are typical, write input_ranges: %s,%s",
			in.Name, stat.FormatNumber(low), stat.FormatNumber(high), in.Range[0], in.Range[1], how, stat.FormatNumber(low), stat.FormatNumber(high)))
	}
	return out
}
