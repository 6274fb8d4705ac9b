package compile

import (
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// Everything that has 16-bit activations, in the two rows that may have them.
func TestWideActivations(t *testing.T) {
	relu := &op.Clamp{Min: 0, Max: 6}
	for _, row := range []numeric.Arithmetic{numeric.TFLite16x8, numeric.ONNX} {
		for _, zero := range []int32{0, -300} {
			s := newSketch(t, 8)
			s.row = row
			const dtype = tensor.Int16
			quant := graph.PerTensor(0.001, zero)
			image := s.input(dtype, quant, 1, 6, 7, 10)
			other := s.input(dtype, graph.PerTensor(0.0007, zero), 1, 6, 7, 10)
			matrix := s.input(dtype, quant, 1, 40)
			real := s.input(tensor.Float32, nil, 1, 40)
			bias := func(n int, wide bool) *graph.Value {
				codes := make([]int64, n)
				for i := range codes {
					codes[i] = int64(s.random.IntN(2000000) - 1000000)
				}
				if wide {
					return s.constant(tensor.Of(codes, n), graph.PerTensor(0.00002, 0))
				}
				short := make([]int32, n)
				for i, q := range codes {
					short[i] = int32(q)
				}
				return s.constant(tensor.Of(short, n), graph.PerTensor(0.00002, 0))
			}
			filter := func(axis, n int, shape ...int) *graph.Value { return s.weights(tensor.Int8, axis, n, true, shape...) }
			layer := func(o graph.Operator, in ...*graph.Value) *graph.Value {
				return s.integer(o, dtype, 0.004, zero, in...)
			}
			same := func(o graph.Operator, in ...*graph.Value) *graph.Value {
				return s.integer(o, dtype, 0.001, zero, in...)
			}
			dense := filter(0, 7, 7, 40)
			outputs := []*graph.Value{
				layer(&op.Conv{Layout: op.NHWC, Filter: op.OHWI, AutoPad: op.SameUpper, Clamp: relu}, image, filter(0, 5, 5, 3, 3, 10), bias(5, true)),
				layer(&op.Conv{Layout: op.NHWC, Filter: op.OHWI}, image, filter(0, 5, 5, 1, 1, 10), bias(5, false)),
				layer(&op.Conv{Layout: op.NHWC, Filter: op.HWIO, Group: 10, AutoPad: op.SameUpper}, image, filter(3, 20, 3, 3, 1, 20)),
				layer(&op.ConvTranspose{Layout: op.NHWC, Filter: op.OHWI, Strides: []int{2, 1}}, image, filter(0, 4, 4, 3, 3, 10)),
				layer(&op.Gemm{Alpha: 1, Beta: 1, TransB: true}, matrix, dense, bias(7, true)),
				s.typed(graph.IntegerToFloat, &op.Gemm{Alpha: 1, Beta: 1, TransB: true}, graph.Type{DType: tensor.Float32}, matrix, dense),
				layer(op.Lookup("Add"), image, other), layer(op.Lookup("Sub"), image, other),
				layer(op.Lookup("Mul"), image, other),
				same(&op.MaxPool{KernelShape: []int{3, 2}, Strides: []int{2, 1}, Layout: op.NHWC}, image),
				same(&op.AveragePool{KernelShape: []int{3, 2}, AutoPad: op.SameUpper, Layout: op.NHWC}, image),
				same(&op.Pad{}, image, s.constant(tensor.Of([]int64{0, 1, 2, 0, 0, 3, 0, 1}, 8), nil)), same(&op.Flatten{Axis: 1}, image), same(op.Lookup("Relu"), image),
				s.integer(op.Lookup("Sigmoid"), dtype, 1.0/32768, 0, image),
				s.typed(graph.Float, op.Lookup("Dequantize"), graph.Type{DType: tensor.Float32}, matrix),
				s.typed(graph.Float, op.Lookup("Quantize"), graph.Type{DType: dtype, Quant: quant}, real),
			}
			if zero == 0 {
				outputs = append(outputs, s.integer(&op.Softmax{Axis: -1}, dtype, 1.0/32768, 0, matrix))
			}
			s.check(outputs...)
		}
	}
}
