package quantize

import (
	"context"
	"errors"
	"iter"
	"maps"
	"math"
	"testing"

	"github.com/octet-nn/octet/internal/calibrate"
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/interp"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

func inputsOf(s iter.Seq2[calibrate.Sample, error]) []map[string]*tensor.Tensor {
	var all []map[string]*tensor.Tensor
	for x := range s {
		all = append(all, x.Inputs)
	}
	return all
}

func tune(t *testing.T, g *graph.Graph, r *calibrate.Ranges, s iter.Seq2[calibrate.Sample, error], workers int) *Tuned {
	t.Helper()
	done, total := 0, 0
	tuned, err := Tune(context.Background(), g, r, Options{}, Tuning{
		Executor: interp.Executor{}, Workers: workers, Samples: inputsOf(s),
		Progress: func(d, n int) { done, total = d, n },
	})
	if err != nil {
		t.Fatal(err)
	}
	if done == 0 || done != total {
		t.Errorf("progress ended at %d of %d", done, total)
	}
	return tuned
}

// noiseOf is what Tune minimizes.
func noiseOf(t *testing.T, g *graph.Graph, r *calibrate.Ranges, on iter.Seq2[calibrate.Sample, error], o Options) float64 {
	t.Helper()
	s := &tuner{Tuning: Tuning{Executor: interp.Executor{}, Samples: inputsOf(on)}, g: g, ranges: r, options: o}
	if err := s.runFloat(context.Background()); err != nil {
		t.Fatal(err)
	}
	q, _, err := Quantize(g, r, o)
	if err != nil {
		t.Fatal(err)
	}
	noise, err := s.noise(context.Background(), q)
	if err != nil {
		t.Fatal(err)
	}
	return noise
}

// outliers is a network whose first value has rare large elements that nothing reads, and whose second value has rare
// large elements that are most of the output: no reduction suits both. Elements are large where spikes are.
func outliers(t *testing.T) *graph.Graph {
	b := newNetwork()
	weights := func(name string, outputs, inputs int, values ...float32) *graph.Value {
		c := tensor.Of(values, outputs, inputs, 1, 1)
		return &graph.Value{Name: name, Type: graph.TypeOf(c), Const: c}
	}
	first := b.node("first", &op.Conv{}, b.input(), weights("w1", 3, 3, 1, 0, 0, 0, 100, 0, 0, 0, 1))
	second := b.node("second", &op.Conv{}, first, weights("w2", 2, 3, 1, 0, 0, 0, 0, 20))
	return b.done(t, b.node("third", &op.Conv{}, second, weights("w3", 1, 2, .2, 1)))
}

// spikes are samples with random numbers in channel 0; in the other two, every fifth sample has one 1 and else all is 0.
func spikes(n int) iter.Seq2[calibrate.Sample, error] {
	return func(yield func(calibrate.Sample, error) bool) {
		i := 0
		for s := range samples(n) {
			x := tensor.Values[float32](s.Inputs["x"])
			for j := range x {
				if x[j] = (x[j] + 1) / 2; j >= 144 {
					x[j] = 0
				}
			}
			if i++; i%5 == 0 {
				x[144+7*i], x[288+5*i] = 1, 1
			}
			if !yield(s, nil) {
				return
			}
		}
	}
}

func TestTuneIsNoWorseThanAnyReduction(t *testing.T) {
	for _, tc := range []struct {
		name    string
		g       *graph.Graph
		samples iter.Seq2[calibrate.Sample, error]
	}{
		{"classifier", classifier(t), samples(20)},
		{"outliers", outliers(t), spikes(20)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := measureOn(t, tc.g, Options{}, tc.samples)
			tuned := tune(t, tc.g, r, tc.samples, 1)
			got := noiseOf(t, tc.g, r, tc.samples, Options{Intervals: tuned.Intervals})
			for _, c := range candidates {
				if noise := noiseOf(t, tc.g, r, tc.samples, Options{Reduction: c}); noise < got {
					t.Errorf("noise %.6f, by %v alone %.6f", got, c, noise)
				}
			}
			if tc.name == "outliers" && tuned.Changed == 0 {
				t.Error("no value has a range of its own")
			}
		})
	}
}

func TestTuneDoesNotDependOnWorkers(t *testing.T) {
	g := classifier(t)
	r := measure(t, g, Options{})
	one, many := tune(t, g, r, samples(6), 1), tune(t, g, r, samples(6), 5)
	if one.Reduction != many.Reduction || one.Changed != many.Changed || !maps.Equal(one.Intervals, many.Intervals) {
		t.Errorf("1 worker: %+v; 5 workers: %+v", one, many)
	}
}

func TestTuneStops(t *testing.T) {
	g := classifier(t)
	ctx, cancel := context.WithCancel(context.Background())
	_, err := Tune(ctx, g, measure(t, g, Options{}), Options{}, Tuning{
		Executor: interp.Executor{}, Samples: inputsOf(samples(2)), Progress: func(done, _ int) {
			if done == 3 {
				cancel()
			}
		},
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// biased is a layer whose input lies just above a code, so that rounding takes something from every element.
func biased(t *testing.T, bias ...*graph.Value) *graph.Graph {
	b := newNetwork()
	mean := tensor.Of([]float32{1, 1, 1, -1, -1, -1}, 2, 3, 1, 1)
	w := &graph.Value{Name: "w", Type: graph.TypeOf(mean), Const: mean}
	return b.done(t, b.node("y", &op.Conv{}, append([]*graph.Value{b.input(), w}, bias...)...))
}

func TestCorrectBias(t *testing.T) {
	ctx := context.Background()
	constant := func(value float32) iter.Seq2[calibrate.Sample, error] {
		return func(yield func(calibrate.Sample, error) bool) {
			for range 4 {
				x := tensor.New(tensor.Float32, 1, 3, 12, 12)
				for i := range tensor.Values[float32](x) {
					tensor.Values[float32](x)[i] = value
				}
				if !yield(calibrate.Sample{Inputs: map[string]*tensor.Tensor{"x": x}}, nil) {
					return
				}
			}
		}
	}
	const scale = 1. / 255
	ranges := &calibrate.Ranges{Values: map[string]*calibrate.Statistics{"x": {Min: 0, Max: 1}, "y:0": {Min: -3, Max: 3}}}
	stored := tensor.Of([]float32{.5, -.5}, 2)
	for _, tc := range []struct {
		name string
		bias []*graph.Value
		have [2]float32
	}{
		{"without a bias", nil, [2]float32{}},
		{"with a bias", []*graph.Value{{Name: "b", Type: graph.TypeOf(stored), Const: stored}}, [2]float32{.5, -.5}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := biased(t, tc.bias...)
			q, _, err := Quantize(g, ranges, Options{})
			if err != nil {
				t.Fatal(err)
			}
			corrected, err := CorrectBias(ctx, g, q, interp.Executor{}, constant(100.25*scale))
			if err != nil {
				t.Fatal(err)
			}
			if corrected != 1 {
				t.Fatalf("%d layers were corrected", corrected)
			}
			// Each of three elements loses a quarter of a step.
			got := tensor.Values[float32](g.Nodes[0].Inputs[2].Const)
			for c, sign := range []float64{1, -1} {
				want := float64(tc.have[c]) + sign*3*.25*scale
				if math.Abs(float64(got[c])-want) > scale/127/2 { // how far the bias that was there is rounded
					t.Errorf("bias %d is %g, want %g", c, got[c], want)
				}
			}
		})
	}
}

// Errors of two halves that contradict each other are chance, and a fused activation hides them.
func TestCorrectBiasOnlyWhereItHelps(t *testing.T) {
	ctx := context.Background()
	alternating := func(yield func(calibrate.Sample, error) bool) {
		for i := range 4 {
			x := tensor.New(tensor.Float32, 1, 3, 12, 12)
			for j := range tensor.Values[float32](x) {
				tensor.Values[float32](x)[j] = (100 + []float32{.25, -.25}[i%2]) / 255
			}
			if !yield(calibrate.Sample{Inputs: map[string]*tensor.Tensor{"x": x}}, nil) {
				return
			}
		}
	}
	ranges := &calibrate.Ranges{Values: map[string]*calibrate.Statistics{"x": {Min: 0, Max: 1}, "y:0": {Min: -3, Max: 3}}}
	g := biased(t)
	q, _, err := Quantize(g, ranges, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := CorrectBias(ctx, g, q, interp.Executor{}, alternating); err != nil || n != 0 {
		t.Errorf("%d layers were corrected, %v", n, err)
	}
	if layers := lastLayers(g, q); len(layers) != 1 {
		t.Errorf("%d last layers", len(layers))
	}
	g.Nodes[0].Op.(*op.Conv).Clamp = &op.Clamp{Max: 6}
	if layers := lastLayers(g, q); len(layers) != 0 {
		t.Errorf("%d last layers with a fused activation", len(layers))
	}
	c := classifier(t)
	q, _, err = Quantize(c, measure(t, c, Options{}), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if layers := lastLayers(c, q); len(layers) != 1 || layers[0].node.Name != "fc" {
		t.Errorf("last layers of the classifier: %+v", layers)
	}
}
