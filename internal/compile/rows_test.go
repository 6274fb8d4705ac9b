package compile

import (
	"math"
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// TestRowsOfArithmetic compares kernels with the reference in every row of the table of arithmetics.
func TestRowsOfArithmetic(t *testing.T) {
	relu := &op.Clamp{Min: 0, Max: float32(math.Inf(1))}
	for _, row := range numeric.Arithmetics() {
		for _, dtype := range []tensor.DType{tensor.Int8, tensor.Uint8} {
			lowest, _ := dtype.Limits()
			zero := int32(lowest) + 100
			image := func(s *sketch) *graph.Value { return s.input(dtype, graph.PerTensor(0.1, zero), 1, 6, 7, 10) }
			bias := func(s *sketch, n int) *graph.Value {
				codes := make([]int32, n)
				for i := range codes {
					codes[i] = int32(s.random.IntN(20000) - 10000)
				}
				return s.constant(tensor.Of(codes, n), graph.PerTensor(0.002, 0))
			}
			perChannel := func(n, axis int) *graph.Quant {
				q := &graph.Quant{Axis: axis, ZeroPoint: make([]int32, n)}
				for i := range n {
					q.Scale = append(q.Scale, 0.01+0.001*float32(i))
				}
				return q
			}
			for name, build := range map[string]func(s *sketch) *graph.Value{
				"Conv": func(s *sketch) *graph.Value {
					w := s.constant(s.codes(tensor.Int8, 5, 3, 3, 10), perChannel(5, 0))
					return s.integer(&op.Conv{Layout: op.NHWC, Filter: op.OHWI, AutoPad: op.SameUpper, Clamp: relu}, dtype, 0.7, zero, image(s), w, bias(s, 5))
				},
				"Conv of a greater scale": func(s *sketch) *graph.Value {
					w := s.constant(s.codes(tensor.Uint8, 5, 1, 1, 10), graph.PerTensor(0.2, 77))
					return s.integer(&op.Conv{Layout: op.NHWC, Filter: op.OHWI}, dtype, 0.01, zero, image(s), w)
				},
				"Depthwise": func(s *sketch) *graph.Value {
					w := s.constant(s.codes(tensor.Int8, 3, 3, 1, 20), perChannel(20, 3))
					return s.integer(&op.Conv{Layout: op.NHWC, Filter: op.HWIO, Group: 10}, dtype, 0.2, zero, image(s), w, bias(s, 20))
				},
				"Dilated depthwise": func(s *sketch) *graph.Value {
					w := s.constant(s.codes(tensor.Int8, 3, 3, 1, 10), perChannel(10, 3))
					return s.integer(&op.Conv{Layout: op.NHWC, Filter: op.HWIO, Group: 10, Dilations: []int{2, 2}}, dtype, 0.2, zero, image(s), w)
				},
				"ConvTranspose": func(s *sketch) *graph.Value {
					w := s.constant(s.codes(tensor.Int8, 4, 3, 3, 10), perChannel(4, 0))
					return s.integer(&op.ConvTranspose{Layout: op.NHWC, Filter: op.OHWI, Strides: []int{2, 1}}, dtype, 0.3, zero, image(s), w)
				},
				"Gemm": func(s *sketch) *graph.Value {
					x := s.input(dtype, graph.PerTensor(0.1, zero), 1, 40)
					w := s.constant(s.codes(tensor.Int8, 7, 40), graph.PerTensor(0.02, 0))
					return s.integer(&op.Gemm{Alpha: 1, Beta: 1, TransB: true}, dtype, 0.4, zero, x, w, bias(s, 7))
				},
				"Add": func(s *sketch) *graph.Value {
					other := s.input(dtype, graph.PerTensor(0.33, zero-50), 1, 1, 7, 10)
					return s.integer(&op.Add{Clamp: relu}, dtype, 0.3, zero, image(s), other)
				},
				"Sub": func(s *sketch) *graph.Value {
					other := s.input(dtype, graph.PerTensor(0.033, zero), 1, 6, 7, 10)
					return s.integer(&op.Sub{}, dtype, 0.06, zero, image(s), other)
				},
				"Mul": func(s *sketch) *graph.Value {
					other := s.input(dtype, graph.PerTensor(0.033, zero), 1, 6, 7, 10)
					return s.integer(&op.Mul{}, dtype, 0.2, zero, image(s), other)
				},
				"AveragePool": func(s *sketch) *graph.Value {
					return s.integer(&op.AveragePool{KernelShape: []int{3, 2}, Strides: []int{2, 1}, Pads: []int{1, 0, 1, 0}, Layout: op.NHWC}, dtype, 0.1, zero, image(s))
				},
				"AveragePool with padding": func(s *sketch) *graph.Value {
					return s.integer(&op.AveragePool{KernelShape: []int{3, 3}, Pads: []int{1, 1, 1, 1}, CountIncludePad: true, Layout: op.NHWC}, dtype, 0.1, zero, image(s))
				},
				"ReduceMean": func(s *sketch) *graph.Value {
					r := op.Lookup("ReduceMean").(*op.Reduce)
					return s.integer(r, dtype, 0.07, zero, image(s), s.constant(tensor.Of([]int64{1, 2}, 2), nil))
				},
				"Softmax": func(s *sketch) *graph.Value {
					return s.integer(&op.Softmax{Axis: -1}, dtype, 1./256, int32(lowest), image(s))
				},
				"Softmax of many": func(s *sketch) *graph.Value {
					x := s.input(dtype, graph.PerTensor(0.1, zero), 1, 100)
					return s.integer(&op.Softmax{Axis: -1}, dtype, 1./256, int32(lowest), x)
				},
				"Sigmoid": func(s *sketch) *graph.Value {
					return s.integer(op.Lookup("Sigmoid"), dtype, 1./256, int32(lowest), image(s))
				},
				"LeakyRelu":  func(s *sketch) *graph.Value { return s.integer(&op.LeakyRelu{Alpha: 0.3}, dtype, 0.08, zero, image(s)) },
				"HardSwish":  func(s *sketch) *graph.Value { return s.integer(op.Lookup("HardSwish"), dtype, 0.08, zero, image(s)) },
				"Requantize": func(s *sketch) *graph.Value { return s.integer(&op.Requantize{}, tensor.Int8, 0.03, 3, image(s)) },
			} {
				t.Run(row.String()+"/"+dtype.String()+"/"+name, func(t *testing.T) {
					s := newSketch(t, 7)
					s.row = row
					s.check(build(s))
				})
			}
		}
	}
}
