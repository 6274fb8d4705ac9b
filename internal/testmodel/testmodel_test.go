package testmodel

import (
	"math"
	"testing"

	"github.com/octet-nn/octet/internal/compile"
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// TestArchitectures compares the number of multiply-accumulates with the published ones (in 10⁶, within 3 %) and sees
// that activations neither vanish nor explode.
func TestArchitectures(t *testing.T) {
	published := map[string]float64{"resnet18": 1814, "resnet50": 4089, "efficientnet_lite0": 385, "mobilenet_v3_large": 217,
		"bert_base_layers": 4 * (128*768*768*12 + 2*128*128*768) / 1e6}
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			if testing.Short() {
				t.Skip("SKIP: -short")
			}
			g := New(name)
			var macs float64
			for _, n := range g.Nodes {
				if c, ok := n.Op.(op.Coster); ok {
					in, out := make([]graph.Type, len(n.Inputs)), make([]graph.Type, len(n.Outputs))
					for i, v := range n.Inputs {
						in[i] = v.Type
					}
					for i, v := range n.Outputs {
						out[i] = v.Type
					}
					macs += float64(c.MACs(in, out)) / 1e6
				}
			}
			if math.Abs(macs/published[name]-1) > 0.03 {
				t.Errorf("%.0f million multiply-accumulates, published are %.0f", macs, published[name])
			}
			runner, err := compile.Executor{}.Prepare(g, nil)
			if err != nil {
				t.Fatal(err)
			}
			shape, _ := g.Inputs[0].Type.Shape.Known()
			n, _ := tensor.Count(shape)
			values := make([]float32, n)
			for i := range values {
				values[i] = float32(math.Sin(float64(i)))
			}
			out, err := runner.Run(t.Context(), map[string]*tensor.Tensor{"input": tensor.Of(values, shape...)})
			if err != nil {
				t.Fatal(err)
			}
			var sum float64
			results := tensor.Values[float32](out["output"])
			for _, v := range results {
				sum += float64(v) * float64(v)
			}
			if rms := math.Sqrt(sum / float64(len(results))); !(rms > 1e-3 && rms < 1e4) {
				t.Errorf("results have the root mean square %v", rms)
			}
		})
	}
	if New("alexnet") != nil {
		t.Error("there is an alexnet")
	}
}
