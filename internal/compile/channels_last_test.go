package compile

import (
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// TestUnknownRank compiles spatial operators whose rank is known only when they are run, so that lowering has to leave
// them in the layout of ONNX.
func TestUnknownRank(t *testing.T) {
	for i, shape := range [][]int{{2, 6, 9, 7}, {1, 6, 1, 1}, {3, 6, 11}} {
		axes := len(shape) - 2
		kernel := make([]int, axes)
		pads := make([]int, 2*axes)
		for a := range kernel {
			kernel[a], pads[a], pads[axes+a] = 3, 1, 1
		}
		conv := &op.Conv{Pads: pads, Clamp: &op.Clamp{Max: 6}}
		depthwise := &op.Conv{Pads: pads, Group: 6}
		maximum, average := &op.MaxPool{KernelShape: kernel, Pads: pads}, &op.AveragePool{KernelShape: kernel, Pads: pads}

		s := newSketch(t, uint64(i))
		x := s.input(tensor.Float32, nil, shape...)
		x.Type.Shape = nil
		w := s.constant(s.floats(append([]int{5, 6}, kernel...)...), nil)
		d := s.constant(s.floats(append([]int{6, 1}, kernel...)...), nil)
		s.checkOn(s.floats(shape...), s.node(conv, x, w), s.node(depthwise, x, d), s.node(maximum, x), s.node(average, x),
			s.node(&op.GlobalAveragePool{}, x),
			s.node(&op.InstanceNormalization{Epsilon: 0.1}, x, s.constant(s.floats(6), nil), s.constant(s.floats(6), nil)))

		s = newSketch(t, uint64(i))
		x = s.input(tensor.Uint8, graph.PerTensor(0.05, 120), shape...)
		x.Type.Shape = nil
		w = s.weights(tensor.Int8, 0, 5, true, append([]int{5, 6}, kernel...)...)
		d = s.weights(tensor.Int8, 0, 6, true, append([]int{6, 1}, kernel...)...)
		s.checkOn(s.codes(tensor.Uint8, shape...),
			s.integer(conv, tensor.Uint8, 0.04, 3, x, w, s.bias(0.05, w.Type.Quant, 5)), s.integer(depthwise, tensor.Uint8, 0.1, 130, x, d),
			s.integer(maximum, tensor.Uint8, 0.05, 120, x), s.integer(&op.GlobalAveragePool{}, tensor.Uint8, 0.04, 100, x))
	}
}

// checkOn compares the compiled graph with its reference evaluation on one input.
func (s *sketch) checkOn(x *tensor.Tensor, outputs ...*graph.Value) {
	s.t.Helper()
	s.graph.Outputs = outputs
	in := map[string]*tensor.Tensor{s.graph.Inputs[0].Name: x}
	session, err := Compile(s.graph, Options{Threads: 2})
	if err != nil {
		s.t.Fatal(err)
	}
	defer session.Close()
	got, err := session.Run(s.t.Context(), in)
	if err != nil {
		s.t.Fatal(err)
	}
	if n := session.ReferenceEvaluations(); n > 0 {
		s.t.Fatalf("%d nodes have no kernel", n)
	}
	want := interpret(s.t, s.graph, in)
	for _, v := range outputs {
		if err := compare(got[v.Name], want[v]); err != nil {
			s.t.Errorf("%s: %v", v.Name, err)
		}
	}
}
