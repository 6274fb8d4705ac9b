package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/octet-nn/octet"
	"github.com/octet-nn/octet/internal/format/onnx"
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/testdata"
	"github.com/octet-nn/octet/tensor"
)

// The embedded model is the float form of a TFLite file whose plain convolutions store int8 weights and quantize their
// activations as they run (symmetrically, by the largest magnitude of the sample). Run with that rounding it reproduces
// stock TFLite's answers to 1e-4; without it, as the float model that it is, it is off by what the rounding does.
func TestEmbeddedModelReproducesTFLite(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("assets", "kws.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	g, err := onnx.Read(data, onnx.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name      string
		rounded   bool
		tolerance float64
	}{{"as TFLite runs it", true, 1e-4}, {"float", false, 3e-3}} {
		t.Run(tc.name, func(t *testing.T) {
			for i := range 4 {
				read := func(suffix string, shape ...int) *tensor.Tensor {
					b, err := os.ReadFile(testdata.Shared(t, "golden", "tflite", fmt.Sprintf("mlperf_tiny__kws_float.s%d.%s", i, suffix)))
					if err != nil {
						t.Fatal(err)
					}
					x, err := tensor.FromBytes(tensor.Float32, shape, b)
					if err != nil {
						t.Fatal(err)
					}
					return x
				}
				got := tensor.Values[float32](interpret(t, g, read("in0.raw", 1, 49, 10, 1), tc.rounded))
				for j, w := range tensor.Values[float32](read("out.0.raw", 1, 12)) {
					if d := math.Abs(float64(w - got[j])); d > tc.tolerance {
						t.Errorf("sample %d, class %d: off by %g", i, j, d)
					}
				}
			}
		})
	}
}

// interpret runs a network of one input and output, rounding the activations of plain convolutions if asked to.
func interpret(t *testing.T, g *graph.Graph, x *tensor.Tensor, rounded bool) *tensor.Tensor {
	t.Helper()
	values := map[*graph.Value]*tensor.Tensor{g.Inputs[0]: x}
	for _, n := range g.Nodes {
		in := make([]*tensor.Tensor, len(n.Inputs))
		for i, v := range n.Inputs {
			if in[i] = v.Const; in[i] == nil {
				in[i] = values[v]
			}
		}
		if c, ok := n.Op.(*op.Conv); ok && c.Groups() == 1 && rounded {
			in[0] = roundedBySymmetricCodes(in[0])
		}
		out, err := op.Evaluate(t.Context(), n, in)
		if err != nil {
			t.Fatal(err)
		}
		values[n.Outputs[0]] = out[0]
	}
	return values[g.Outputs[0]]
}

// roundedBySymmetricCodes is TFLite's SymmetricQuantizeFloats and back.
func roundedBySymmetricCodes(x *tensor.Tensor) *tensor.Tensor {
	values := tensor.Values[float32](x)
	var most float32
	for _, v := range values {
		most = max(most, float32(math.Abs(float64(v))))
	}
	out := make([]float32, len(values))
	for i, v := range values {
		out[i] = float32(math.Round(float64(v)*127/float64(most)) * float64(most) / 127)
	}
	return tensor.Of(out, x.Shape()...)
}

func TestEmbeddedSamplesHaveAllClasses(t *testing.T) {
	m, err := octet.Load(filepath.Join("assets", "kws.onnx"), octet.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := octet.OpenSamples(filepath.Join("assets", "samples.zip"), m.Inputs(), octet.SampleOptions{Preprocess: demoPreprocess, Labels: "y_labels.csv"})
	if err != nil {
		t.Fatal(err)
	}
	if s.Len() != 200 {
		t.Errorf("%d samples, want 200", s.Len())
	}
	first, all := map[int]bool{}, map[int]bool{}
	n := 0
	for sample, err := range s.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if n < 50 {
			first[sample.Label] = true
		}
		all[sample.Label] = true
		n++
		if strings.Contains(sample.ID, "..") {
			t.Errorf("sample %q", sample.ID)
		}
	}
	if len(first) != 12 || len(all) != 12 {
		t.Errorf("%d classes among the first 50, %d in all; want 12", len(first), len(all))
	}
}
