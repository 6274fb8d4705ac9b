package compile

import (
	"iter"
	"testing"

	"github.com/octet-nn/octet/internal/calibrate"
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/interp"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/quantize"
	"github.com/octet-nn/octet/internal/rewrite"
	"github.com/octet-nn/octet/tensor"
)

// quantized is a float model with codes for everything that can have them, calibrated on one input.
func quantized(t *testing.T, g *graph.Graph, in map[string]*tensor.Tensor, o quantize.Options) *graph.Graph {
	t.Helper()
	g = g.Clone()
	if err := rewrite.Widen(g); err != nil {
		t.Fatal(err)
	}
	if err := rewrite.Simplify(g, rewrite.SimplifyOptions{}); err != nil {
		t.Fatal(err)
	}
	points, err := quantize.Points(g, o)
	if err != nil {
		t.Fatal(err)
	}
	var samples iter.Seq2[calibrate.Sample, error] = func(yield func(calibrate.Sample, error) bool) {
		yield(calibrate.Sample{ID: "one", Inputs: in}, nil)
	}
	ranges, err := calibrate.Run(t.Context(), Executor{Threads: 1}, g, points, samples, calibrate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	typed, _, err := quantize.Quantize(g, ranges, o)
	if err != nil {
		t.Fatal(err)
	}
	return typed
}

// TestQuantizationSchemes runs one model under every scheme.
func TestQuantizationSchemes(t *testing.T) {
	m := realModel{file: "mnist_cnn_pytorch.onnx"}
	_, g := m.load(t)
	in := m.feed(t, g)
	for _, name := range []string{"int8", "uint8", "int8-per-tensor", "dynamic", "16x8"} {
		scheme, err := quantize.ParseScheme(name)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		o := quantize.Options{Scheme: scheme}
		if scheme == quantize.Int16x8 {
			o.Activations = tensor.Int16
		}
		typed := quantized(t, g, in, o)
		session, err := Compile(typed, Options{Threads: 2})
		if err != nil {
			t.Fatal(err)
		}
		defer session.Close()
		got, err := session.Run(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if n := session.ReferenceEvaluations(); n > 0 {
			t.Errorf("%s: %d reference evaluations", name, n)
		}
		runner, err := interp.Executor{}.Prepare(typed, nil)
		if err != nil {
			t.Fatal(err)
		}
		want, err := runner.Run(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		for name, x := range got {
			if d := closeTo(x, want[name]); d > 1e-5 {
				t.Errorf("%s: %v differs by %g from %v", scheme, op.Float32s(x), d, op.Float32s(want[name]))
			}
		}
	}
}
