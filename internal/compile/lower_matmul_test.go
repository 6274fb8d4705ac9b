package compile

import (
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

func TestGemm(t *testing.T) {
	for i, sizes := range [][2]int{{1, 1}, {7, 5}, {64, 10}, {129, 33}} {
		k, n := sizes[0], sizes[1]
		s := newSketch(t, uint64(i))
		x := s.input(tensor.Float32, nil, 1, k)
		s.check(
			s.node(&op.Gemm{Alpha: 1, Beta: 1}, x, s.constant(s.floats(k, n), nil)),
			s.node(&op.Gemm{Alpha: 0.5, Beta: 2, TransB: true, Clamp: &op.Clamp{Min: 0, Max: 3}}, x,
				s.constant(s.floats(n, k), nil), s.constant(s.floats(1, n), nil)),
			s.node(&op.Gemm{Alpha: 1, Beta: 1}, x, s.constant(s.floats(k, n), nil), s.constant(s.floats(), nil)),
			s.node(&op.MatMul{}, x, s.constant(s.floats(k, n), nil)),
		)
	}
}

func TestMatMulOfStacks(t *testing.T) {
	s := newSketch(t, 1)
	x := s.input(tensor.Float32, nil, 1, 3, 5, 7)
	y := s.input(tensor.Float32, nil, 1, 1, 7, 9)
	z := s.input(tensor.Float32, nil, 1, 3, 7, 4)
	s.check(s.node(&op.MatMul{}, x, y), s.node(&op.MatMul{Clamp: &op.Clamp{Min: 0, Max: 2}}, x, z),
		s.node(&op.MatMul{}, x, s.constant(s.floats(7, 4), nil)), s.node(&op.MatMul{}, x, s.constant(s.floats(3, 7, 4), nil)))
}

func TestProductsOfCodes(t *testing.T) {
	integerForms(t, func(t *testing.T, in, weights, out tensor.DType, perChannel bool) {
		for i, sizes := range [][2]int{{1, 1}, {7, 5}, {64, 10}, {129, 33}} {
			k, n := sizes[0], sizes[1]
			s := newSketch(t, uint64(i))
			x := s.input(in, graph.PerTensor(0.05, zeroPoint(in, 120)), 1, k)
			stack := s.input(in, graph.PerTensor(0.05, zeroPoint(in, 120)), 1, 3, k)
			real := s.input(tensor.Float32, nil, 1, k)
			a := s.weights(weights, 1, n, perChannel, k, n)
			b := s.weights(weights, 0, n, perChannel, n, k)
			s.check(
				s.integer(&op.Gemm{Alpha: 1, Beta: 1}, out, 0.3, zeroPoint(out, 100), x, a),
				s.integer(&op.Gemm{Alpha: 1, Beta: 1, TransB: true, Clamp: &op.Clamp{Min: 0, Max: 6}}, out, 0.05, zeroPoint(out, 3), x, b,
					s.bias(0.05, b.Type.Quant, n)),
				s.integer(&op.MatMul{}, out, 0.3, zeroPoint(out, 100), stack, a),
				s.typed(graph.IntegerToFloat, &op.MatMul{}, graph.Type{DType: tensor.Float32}, stack, a),
				s.typed(graph.DynamicActivations, &op.Gemm{Alpha: 1, Beta: 1}, graph.Type{DType: tensor.Float32}, real, a,
					s.constant(s.floats(n), nil)),
				s.typed(graph.WeightOnly, &op.MatMul{}, graph.Type{DType: tensor.Float32}, real, a),
			)
		}
	})
}
