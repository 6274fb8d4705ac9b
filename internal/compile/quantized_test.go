package compile

import (
	"bytes"
	"iter"
	"maps"
	"strings"
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

// TestQuantizedModels compares every value of quantized models with the interpreter's: codes bit for bit, floats behind
// them closely; and the outputs of the program as it is normally compiled, at 1, 2 and 8 threads.
func TestQuantizedModels(t *testing.T) {
	for _, m := range realModels {
		if m.slow || m.references {
			continue
		}
		t.Run(strings.TrimSuffix(m.file, ".onnx"), func(t *testing.T) {
			if testing.Short() {
				t.Skip("SKIP: the interpreter takes seconds")
			}
			m.dims = maps.Clone(m.dims)
			_, g := m.load(t)
			typed := quantized(t, g, m.feed(t, g), quantize.Options{})
			checkEveryValue(t, typed, m.feed(t, typed))
			batch := g.Inputs[0].Type.Shape[0]
			if m.interpret && !batch.Known() {
				m.dims[""] = 3
				checkEveryValue(t, typed, m.feed(t, typed))
			}
		})
	}
}

func checkEveryValue(t *testing.T, g *graph.Graph, in map[string]*tensor.Tensor) {
	t.Helper()
	var keep []string
	integers := 0
	for _, n := range g.Nodes {
		for _, v := range n.Outputs {
			if v != nil {
				keep = append(keep, v.Name)
			}
		}
		if n.Compute == graph.Integer {
			integers++
		}
	}
	reference, err := interp.Executor{}.Prepare(g, keep)
	if err != nil {
		t.Fatal(err)
	}
	want, err := reference.Run(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if integers == 0 {
		t.Fatal("no node computes on codes")
	}
	for _, threads := range []int{1, 2, 8} {
		for _, kept := range [][]string{keep, nil} {
			session, err := Compile(g, Options{Threads: threads, Keep: kept})
			if err != nil {
				t.Fatal(err)
			}
			defer session.Close()
			got, err := session.Run(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			if n := session.ReferenceEvaluations(); n > 0 {
				t.Errorf("%d reference evaluations", n)
			}
			for name, x := range got {
				switch {
				case x.DType().IsFloat():
					if d := closeTo(x, want[name]); d > 1e-5 {
						t.Errorf("%d threads: %s differs by %g of its largest value", threads, name, d)
					}
				case !bytes.Equal(x.Bytes(), want[name].Bytes()):
					t.Errorf("%d threads: %s has other codes than the interpreter's", threads, name)
				}
			}
		}
	}
}

// TestQuantizationSchemes runs one model under every scheme.
func TestQuantizationSchemes(t *testing.T) {
	m := realModel{file: "mnist_cnn_pytorch.onnx"}
	_, g := m.load(t)
	in := m.feed(t, g)
	for _, name := range []string{"int8", "uint8", "int8-per-tensor", "dynamic"} {
		scheme, err := quantize.ParseScheme(name)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		typed := quantized(t, g, in, quantize.Options{Scheme: scheme})
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
