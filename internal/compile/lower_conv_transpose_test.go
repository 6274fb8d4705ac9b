package compile

import (
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

func TestConvTranspose(t *testing.T) {
	for i, c := range []struct {
		name    string
		op      op.ConvTranspose
		spatial []int
		filter  []int // in the operator's layout
		in, out int
		axis    int // of the output channels in the filter; −1 if there is none
	}{
		{"2x2 stride 2", op.ConvTranspose{Strides: []int{2, 2}}, []int{5, 4}, []int{6, 5, 2, 2}, 6, 5, 1},
		{"3x3 padded", op.ConvTranspose{Strides: []int{2, 1}, Pads: []int{1, 1, 1, 0}, OutputPadding: []int{1, 0}}, []int{5, 4}, []int{6, 5, 3, 3}, 6, 5, 1},
		{"same upper", op.ConvTranspose{Strides: []int{2, 3}, AutoPad: op.SameUpper}, []int{5, 4}, []int{6, 5, 3, 4}, 6, 5, 1},
		{"same lower", op.ConvTranspose{Strides: []int{2, 2}, AutoPad: op.SameLower}, []int{5, 4}, []int{6, 5, 3, 5}, 6, 5, 1},
		{"dilated", op.ConvTranspose{Dilations: []int{2, 3}}, []int{5, 4}, []int{6, 5, 3, 2}, 6, 5, 1},
		{"stated output", op.ConvTranspose{Strides: []int{2, 2}, OutputShape: []int{12, 8}, AutoPad: op.Valid}, []int{5, 4}, []int{6, 5, 3, 3}, 6, 5, 1},
		{"grouped", op.ConvTranspose{Strides: []int{2, 2}, Group: 2}, []int{5, 4}, []int{6, 5, 2, 2}, 6, 10, -1},
		{"OHWI", op.ConvTranspose{Strides: []int{2, 2}, Filter: op.OHWI}, []int{5, 4}, []int{5, 3, 3, 6}, 6, 5, 0},
		{"1-D", op.ConvTranspose{Strides: []int{3}}, []int{7}, []int{6, 5, 4}, 6, 5, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, layout := range []op.Layout{op.NCHW, op.NHWC} {
				o := c.op
				o.Layout = layout
				limited := o
				limited.Clamp = &op.Clamp{Max: 2}
				shape := append([]int{1, c.in}, c.spatial...)
				if layout == op.NHWC {
					shape = append(append([]int{1}, c.spatial...), c.in)
				}
				s := newSketch(t, uint64(i))
				x := s.input(tensor.Float32, nil, shape...)
				s.check(s.node(&o, x, s.constant(s.floats(c.filter...), nil)),
					s.node(&limited, x, s.constant(s.floats(c.filter...), nil), s.constant(s.floats(c.out), nil)))

				s = newSketch(t, uint64(i))
				x = s.input(tensor.Uint8, graph.PerTensor(0.05, 100), shape...)
				w := s.weights(tensor.Int8, c.axis, c.out, c.axis >= 0, c.filter...)
				s.check(s.integer(&limited, tensor.Uint8, 0.05, 20, x, w, s.bias(0.05, w.Type.Quant, c.out)),
					s.typed(graph.IntegerToFloat, &o, graph.Type{DType: tensor.Float32}, x, w))
			}
		})
	}
}
