package compile

import (
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

func TestPools(t *testing.T) {
	pools := []graph.Operator{
		&op.MaxPool{KernelShape: []int{2, 2}, Strides: []int{2, 2}, Layout: op.NHWC},
		&op.MaxPool{KernelShape: []int{3, 2}, Strides: []int{2, 1}, Pads: []int{1, 0, 1, 1}, CeilMode: true, Layout: op.NHWC},
		&op.MaxPool{KernelShape: []int{3, 3}, AutoPad: op.SameUpper, Strides: []int{2, 2}, Layout: op.NHWC},
		&op.GlobalMaxPool{Layout: op.NHWC},
		&op.AveragePool{KernelShape: []int{3, 3}, Pads: []int{1, 1, 1, 1}, Layout: op.NHWC},
		&op.AveragePool{KernelShape: []int{3, 3}, Pads: []int{1, 1, 1, 1}, CountIncludePad: true, Strides: []int{2, 2}, CeilMode: true, Layout: op.NHWC},
		&op.AveragePool{KernelShape: []int{2, 5}, AutoPad: op.SameLower, Layout: op.NHWC},
		&op.GlobalAveragePool{Layout: op.NHWC},
	}
	for i, o := range pools {
		s := newSketch(t, uint64(i))
		x := s.input(tensor.Float32, nil, 1, 9, 7, 11)
		s.check(s.node(o, x))

		for _, dtype := range []tensor.DType{tensor.Uint8, tensor.Int8} {
			s := newSketch(t, uint64(i))
			zero := zeroPoint(dtype, 77)
			x := s.input(dtype, graph.PerTensor(0.1, zero), 1, 9, 7, 11)
			switch o.(type) {
			case *op.MaxPool, *op.GlobalMaxPool:
				s.check(s.integer(o, dtype, 0.1, zero, x))
			default:
				s.check(s.integer(o, dtype, 0.03, zeroPoint(dtype, 120), x))
			}
		}
	}
}

func TestPoolInOneDimension(t *testing.T) {
	s := newSketch(t, 1)
	x := s.input(tensor.Float32, nil, 1, 30, 5)
	s.check(s.node(&op.MaxPool{KernelShape: []int{4}, Strides: []int{3}, Layout: op.NHWC}, x),
		s.node(&op.GlobalAveragePool{Layout: op.NHWC}, x))
}
