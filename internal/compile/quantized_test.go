package compile

import (
	"bytes"
	"iter"
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/octet-nn/octet/internal/calibrate"
	"github.com/octet-nn/octet/internal/cpu"
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
	check := func(threads int, kept []string) {
		t.Helper()
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
					t.Errorf("%s, %d threads: %s differs by %g of its largest value", os.Getenv(cpu.Variable), threads, name, d)
				}
			case !bytes.Equal(x.Bytes(), want[name].Bytes()):
				t.Errorf("%s, %d threads: %s has other codes than the interpreter's", os.Getenv(cpu.Variable), threads, name)
			}
		}
	}
	for _, threads := range []int{1, 2, 8} {
		check(threads, keep)
		check(threads, nil)
	}
	for _, tier := range cpu.Available()[1:] {
		t.Setenv(cpu.Variable, tier.String())
		check(2, keep)
		check(3, nil)
	}
}

// TestTiersOfFloatModels checks that thread counts do not change a bit of the results of float models, at any tier of
// this machine, and that tiers differ by no more than the order of adding can do.
func TestTiersOfFloatModels(t *testing.T) {
	for _, m := range realModels {
		if m.slow {
			continue
		}
		t.Run(strings.TrimSuffix(m.file, ".onnx"), func(t *testing.T) {
			_, g := m.load(t)
			in := m.feed(t, g)
			run := func(threads int) map[string]*tensor.Tensor {
				session, err := Compile(g, Options{Threads: threads})
				if err != nil {
					t.Fatal(err)
				}
				defer session.Close()
				out, err := session.Run(t.Context(), in)
				if err != nil {
					t.Fatal(err)
				}
				return out
			}
			t.Setenv(cpu.Variable, cpu.Generic.String())
			want := run(1)
			for _, tier := range cpu.Available() {
				t.Setenv(cpu.Variable, tier.String())
				got := run(1)
				for name, x := range run(3) {
					if !bytes.Equal(x.Bytes(), got[name].Bytes()) {
						t.Errorf("%v: %s is not the same with 3 threads", tier, name)
					}
				}
				for name, x := range got {
					if d := meanSquares(x, want[name]); !(d <= 1e-10) {
						t.Errorf("%v: %s has a normalized mean square error of %g", tier, name, d)
					}
				}
			}
		})
	}
}

// meanSquares is the sum of squared differences over the sum of squares.
func meanSquares(got, want *tensor.Tensor) float64 {
	g, w := op.Float32s(got), op.Float32s(want)
	var difference, size float64
	for i := range w {
		d := float64(g[i]) - float64(w[i])
		difference += d * d
		size += float64(w[i]) * float64(w[i])
	}
	if difference == 0 {
		return 0
	}
	return difference / size
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
