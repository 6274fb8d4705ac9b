package compile

import (
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// TestChannelsFirst runs spatial operators that lowering has left in the layout of ONNX.
func TestChannelsFirst(t *testing.T) {
	for i, shape := range [][]int{{1, 6, 9, 7}, {1, 6, 1, 1}, {1, 6, 11}} {
		axes := len(shape) - 2
		kernel := make([]int, axes)
		pads := make([]int, 2*axes)
		for a := range kernel {
			kernel[a], pads[a], pads[axes+a] = 3, 1, 1
		}
		conv := &op.Conv{Pads: pads, Clamp: &op.Clamp{Max: 6}}
		depthwise := &op.Conv{Pads: pads, Group: 6}
		s := newSketch(t, uint64(i))
		x := s.input(tensor.Float32, nil, shape...)
		w := s.constant(s.floats(append([]int{5, 6}, kernel...)...), nil)
		d := s.constant(s.floats(append([]int{6, 1}, kernel...)...), nil)
		s.check(
			s.node(conv, x, w), s.node(depthwise, x, d),
			s.node(&op.MaxPool{KernelShape: kernel, Pads: pads}, x), s.node(&op.AveragePool{KernelShape: kernel, Pads: pads}, x),
			s.node(&op.GlobalAveragePool{}, x), s.node(&op.InstanceNormalization{Epsilon: 0.1}, x, s.constant(s.floats(6), nil), s.constant(s.floats(6), nil)),
		)

		s = newSketch(t, uint64(i))
		x = s.input(tensor.Uint8, graph.PerTensor(0.05, 120), shape...)
		w = s.weights(tensor.Int8, 0, 5, true, append([]int{5, 6}, kernel...)...)
		d = s.weights(tensor.Int8, 0, 6, true, append([]int{6, 1}, kernel...)...)
		y := s.integer(conv, tensor.Uint8, 0.04, 3, x, w, s.bias(0.05, w.Type.Quant, 5))
		s.check(y, s.integer(depthwise, tensor.Uint8, 0.1, 130, x, d),
			s.integer(&op.MaxPool{KernelShape: kernel, Pads: pads}, tensor.Uint8, 0.05, 120, x),
			s.integer(&op.GlobalAveragePool{}, tensor.Uint8, 0.04, 100, x))
	}
}
