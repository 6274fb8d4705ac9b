package compile

import (
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

func TestResize(t *testing.T) {
	modes := []*op.Resize{
		{Mode: op.ResizeNearest, CoordinateTransformation: op.Asymmetric, Nearest: op.RoundFloor},
		{Mode: op.ResizeNearest},
		{Mode: op.ResizeLinear},
		{Mode: op.ResizeLinear, CoordinateTransformation: op.AlignCorners},
		{Mode: op.ResizeLinear, CoordinateTransformation: op.PytorchHalfPixel},
	}
	for i, o := range modes {
		for _, scales := range [][]float32{{1, 2, 2, 1}, {1, 1.7, 0.6, 1}, {1, 1, 3, 1}, {1, 1, 2, 2}} {
			s := newSketch(t, uint64(i))
			x := s.input(tensor.Float32, nil, 1, 6, 7, 5)
			s.check(
				s.node(o, x, nil, s.constant(tensor.Of(scales, 4), nil)),
				s.node(&op.Resize{Mode: o.Mode, Axes: []int{1, 2}}, x, nil, nil, s.ints(9, 4)),
			)
			s = newSketch(t, uint64(i))
			x = s.input(tensor.Uint8, graph.PerTensor(0.1, 99), 1, 6, 7, 5)
			s.check(s.integer(o, tensor.Uint8, 0.1, 99, x, nil, s.constant(tensor.Of(scales, 4), nil)))
		}
	}
}

func TestDepthAndSpace(t *testing.T) {
	for _, layout := range []op.Layout{op.NCHW, op.NHWC} {
		s := newSketch(t, 1)
		x := s.input(tensor.Float32, nil, 1, 4, 8, 12)
		if layout == op.NCHW {
			x = s.input(tensor.Float32, nil, 1, 12, 4, 8)
		}
		s.check(
			s.node(&op.DepthToSpace{BlockSize: 2, Layout: layout}, x),
			s.node(&op.DepthToSpace{BlockSize: 2, Layout: layout, ColumnRowDepth: true}, x),
			s.node(&op.SpaceToDepth{BlockSize: 4, Layout: layout}, x),
		)
	}
}
