package tensorflow

import (
	"bytes"
	"os"
	"slices"
	"testing"

	"github.com/octet-nn/octet/internal/format/tflite"
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/rewrite"
	"github.com/octet-nn/octet/internal/testdata"
)

// TestTrainedNetworkAsTFLite compares a network that was trained with FakeQuant nodes, absorbed into integers, with the
// TensorFlow Lite file that TensorFlow's own converter made of the same network: codes of weights and biases, scales and
// zero points, layer by layer.
func TestTrainedNetworkAsTFLite(t *testing.T) {
	read := func(elements ...string) []byte {
		data, err := os.ReadFile(testdata.Shared(t, elements...))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	ours, _, err := Read(read("tf", "mobilenet_v1_0.25_128_fakequant.pb"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := rewrite.Simplify(ours, rewrite.SimplifyOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := rewrite.Absorb(ours, rewrite.AbsorbOptions{Arithmetic: numeric.TFLite}); err != nil {
		t.Fatal(err)
	}
	theirs, err := tflite.Read(read("tflite", "imagenet", "mobilenet_v1_0.25_128_quant.tflite"), tflite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	layers := func(g *graph.Graph) []*graph.Node {
		return slices.DeleteFunc(slices.Clone(g.Nodes), func(n *graph.Node) bool { _, conv := n.Op.(*op.Conv); return !conv })
	}
	a, b := layers(ours), layers(theirs)
	if len(a) != 28 || len(b) != 28 {
		t.Fatalf("%d and %d layers, want 28", len(a), len(b))
	}
	for i := range a {
		if a[i].Compute != graph.Integer {
			t.Errorf("%s computes on floats", a[i].Describe())
			continue
		}
		if got, want := filterCodes(a[i]), filterCodes(b[i]); !bytes.Equal(got, want) {
			t.Errorf("%s: codes of its weights differ", a[i].Describe())
		}
		if !bytes.Equal(a[i].Inputs[2].Const.Bytes(), b[i].Inputs[2].Const.Bytes()) {
			t.Errorf("%s: codes of its bias differ", a[i].Describe())
		}
		for what, pair := range map[string][2]*graph.Value{"input": {a[i].Inputs[0], b[i].Inputs[0]}, "weights": {a[i].Inputs[1], b[i].Inputs[1]},
			"result": {a[i].Outputs[0], b[i].Outputs[0]}} {
			p, q := pair[0].Type.Quant, pair[1].Type.Quant
			if d := p.Scale[0]/q.Scale[0] - 1; d > 2e-7 || d < -2e-7 || p.ZeroPoint[0] != q.ZeroPoint[0] {
				t.Errorf("%s: its %s has scale %v and zero point %d, want %v and %d", a[i].Describe(), what, p.Scale[0], p.ZeroPoint[0], q.Scale[0], q.ZeroPoint[0])
			}
		}
	}
}

// filterCodes is the codes of a layer's weights with the output channel first.
func filterCodes(n *graph.Node) []byte {
	layout := n.Op.(*op.Conv).Filter
	w := n.Inputs[1].Const
	shape := w.Shape()
	order := []int{layout.Output(4), layout.Spatial(4), layout.Spatial(4) + 1, layout.Input(4)}
	strides := []int{shape[1] * shape[2] * shape[3], shape[2] * shape[3], shape[3], 1}
	var out []byte
	for o := range shape[order[0]] {
		for y := range shape[order[1]] {
			for x := range shape[order[2]] {
				for i := range shape[order[3]] {
					out = append(out, w.Bytes()[o*strides[order[0]]+y*strides[order[1]]+x*strides[order[2]]+i*strides[order[3]]])
				}
			}
		}
	}
	return out
}

// TestNudging has the ranges of TensorFlow's own tests of FakeQuantWithMinMaxArgs (fake_quant_ops_test.cc).
func TestNudging(t *testing.T) {
	for _, c := range []struct {
		low, high       float32
		lowest, highest int32
		scale           float32
		zero            int32
	}{
		{-0.1, 63.65, 0, 255, 0.25, 0},
		{-0.125, 63.625, 0, 255, 0.25, 1}, // halves go up
		{-0.1275, 63.6225, 0, 255, 0.25, 1},
		{-0.1, 63.4, 1, 255, 0.25, 1},
		{0, 63.75, 0, 255, 0.25, 0},
		{-63.75, 0, 0, 255, 0.25, 255},
	} {
		scale, zero := nudged(c.low, c.high, c.lowest, c.highest)
		if d := scale/c.scale - 1; d > 1e-6 || d < -1e-6 || zero != c.zero {
			t.Errorf("%v to %v in %d…%d: scale %v, zero point %d; want %v, %d", c.low, c.high, c.lowest, c.highest, scale, zero, c.scale, c.zero)
		}
	}
}
