package compile

import (
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/numeric"
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

// Products of two computed stacks of codes, in every row of the arithmetics that has 8-bit codes, transposed operands
// among them.
func TestStacksOfCodes(t *testing.T) {
	for _, row := range []numeric.Arithmetic{numeric.ONNX, numeric.MACE, numeric.TFLite, numeric.Gemmlowp} {
		for _, in := range []tensor.DType{tensor.Int8, tensor.Uint8} {
			for _, second := range []tensor.DType{tensor.Int8, tensor.Uint8} {
				s := newSketch(t, 5)
				s.row = row
				quant := func(d tensor.DType, u8 int32) *graph.Quant { return graph.PerTensor(0.05, zeroPoint(d, u8)) }
				x := s.input(in, quant(in, 120), 1, 3, 5, 8)
				y := s.input(second, quant(second, 99), 1, 1, 8, 9)
				z := s.input(second, quant(second, 128), 1, 3, 8, 40)
				heads := s.input(in, quant(in, 3), 1, 6, 3, 8) // batch, tokens, heads, size
				keys := s.input(second, quant(second, 200), 1, 6, 3, 8)
				permuted := func(v *graph.Value, perm ...int) *graph.Value {
					return s.typed(graph.Integer, &op.Transpose{Perm: perm}, graph.Type{DType: v.Type.DType, Quant: v.Type.Quant}, v)
				}
				product := func(o *op.MatMul, a, b *graph.Value) *graph.Value {
					return s.integer(o, in, 0.3, zeroPoint(in, 100), a, b)
				}
				table := s.constant(s.codes(second, 3, 4, 8), quant(second, 77))
				queries, columns := permuted(heads, 0, 2, 1, 3), permuted(keys, 0, 2, 3, 1)
				s.check(
					product(&op.MatMul{}, x, y), product(&op.MatMul{Clamp: &op.Clamp{Min: 0, Max: 6}}, x, z),
					s.typed(graph.IntegerToFloat, &op.MatMul{}, graph.Type{DType: tensor.Float32}, x, z),
					product(&op.MatMul{}, x, s.constant(s.codes(second, 3, 8, 4), quant(second, 77))),
					product(&op.MatMul{}, x, s.constant(s.codes(second, 8), quant(second, 77))),
					product(&op.MatMul{}, x, permuted(table, 0, 2, 1)),
					product(&op.MatMul{}, queries, columns), queries,
				)
			}
		}
	}
}

func TestTransposedStacks(t *testing.T) {
	s := newSketch(t, 6)
	a := s.input(tensor.Float32, nil, 1, 6, 3, 8)
	b := s.input(tensor.Float32, nil, 1, 6, 3, 8)
	permuted := func(v *graph.Value, perm ...int) *graph.Value { return s.node(&op.Transpose{Perm: perm}, v) }
	s.check(
		s.node(&op.MatMul{}, permuted(a, 0, 2, 1, 3), permuted(b, 0, 2, 3, 1)),
		s.node(&op.MatMul{}, permuted(a, 0, 2, 3, 1), permuted(b, 0, 2, 1, 3)),
		s.node(&op.MatMul{}, permuted(a, 0, 2, 1, 3), s.node(op.Lookup("Relu"), permuted(b, 0, 2, 3, 1))),
		s.node(&op.MatMul{}, s.constant(s.floats(3), nil), a), s.node(&op.MatMul{}, a, s.constant(s.floats(8), nil)),
	)
}
