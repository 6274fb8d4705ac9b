package compile

import (
	"testing"

	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

func TestNormalizations(t *testing.T) {
	s := newSketch(t, 1)
	x := s.input(tensor.Float32, nil, 1, 9, 7, 11)
	last, first := s.constant(s.floats(11), nil), s.constant(s.floats(9), nil)
	rows := s.constant(s.floats(7, 11), nil)
	positive := s.floats(11)
	for i, v := range tensor.Values[float32](positive) {
		tensor.Values[float32](positive)[i] = v*v + 0.1
	}
	variance := s.constant(positive, nil)
	s.check(
		s.node(&op.InstanceNormalization{Epsilon: 1e-5, Layout: op.NHWC}, x, last, last),
		s.node(&op.InstanceNormalization{Epsilon: 1e-5}, x, first, first),
		s.node(&op.BatchNormalization{Epsilon: 1e-5, Layout: op.NHWC}, x, last, last, last, variance),
		s.node(&op.LayerNormalization{Axis: -1, Epsilon: 1e-5}, x, last, last),
		s.node(&op.LayerNormalization{Axis: 2, Epsilon: 1e-5}, x, rows),
	)
}

func TestFakeQuantize(t *testing.T) {
	s := newSketch(t, 1)
	x := s.input(tensor.Float32, nil, 1, 6, 5, 301)
	scalar := func(v float32) *tensor.Tensor { return tensor.Of([]float32{v}) }
	scales := s.constant(tensor.Of([]float32{0.1, 0.02, 0.3, 0.4, 0.05}, 5), nil)
	points := s.constant(tensor.Of([]float32{0, 1, -2, 3, 4}, 5), nil)
	s.check(
		s.node(&op.FakeQuantize{}, x, s.constant(scalar(0.02), nil), s.constant(scalar(128), nil)),
		s.node(&op.FakeQuantize{Bits: 4, Signed: true, Narrow: true, Axis: 2}, x, scales, points),
		s.node(&op.FakeQuantize{Signed: true, Axis: 2}, x, scales),
	)
}
