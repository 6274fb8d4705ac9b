package compile

import (
	"fmt"
	"math"
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// someEqual makes some elements of both the same, and some NaN.
func (s *sketch) someEqual(dtype tensor.DType, shape ...int) *tensor.Tensor {
	n, _ := tensor.Count(shape)
	if dtype == tensor.Float32 {
		values := make([]float32, n)
		for i := range values {
			values[i] = float32(s.random.IntN(3) - 1)
			if s.random.IntN(9) == 0 {
				values[i] = float32(math.NaN())
			}
		}
		return tensor.Of(values, shape...)
	}
	values := make([]int64, n)
	for i := range values {
		values[i] = int64(s.random.IntN(3) - 1)
	}
	return op.FromInt64s(dtype, shape, values)
}

func TestComparisons(t *testing.T) {
	for i, shapes := range broadcasts {
		for _, dtype := range []tensor.DType{tensor.Float32, tensor.Int64, tensor.Int32, tensor.Int8, tensor.Uint8} {
			t.Run(fmt.Sprint(shapes, dtype), func(t *testing.T) {
				s := newSketch(t, uint64(i))
				x := s.input(dtype, nil, shapes[0]...)
				// Both have elements of three values only.
				y := s.constant(s.someEqual(dtype, shapes[1]...), nil)
				z := s.node(&op.Where{}, s.node(op.NewComparison("Less"), x, s.constant(s.someEqual(dtype), nil)), s.constant(s.someEqual(dtype, shapes[0][1:]...), nil), x)
				var outputs []*graph.Value
				for _, name := range []string{"Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"} {
					outputs = append(outputs, s.node(op.NewComparison(name), z, y), s.node(op.NewComparison(name), y, z))
				}
				s.check(outputs...)
			})
		}
	}
}

func TestTruthValues(t *testing.T) {
	for i, shapes := range broadcasts {
		s := newSketch(t, uint64(i))
		x := s.input(tensor.Bool, nil, shapes[0]...)
		y := s.constant(s.someEqual(tensor.Bool, shapes[1]...), nil)
		outputs := []*graph.Value{s.node(&op.Not{}, x), s.node(op.NewComparison("Equal"), s.node(&op.Not{}, x), y)}
		for _, name := range []string{"And", "Or", "Xor"} {
			outputs = append(outputs, s.node(op.NewComparison(name), x, y), s.node(op.NewComparison(name), y, x))
		}
		s.check(outputs...)
	}
}

func TestWhere(t *testing.T) {
	for i, shapes := range broadcasts {
		for _, dtype := range []tensor.DType{tensor.Float32, tensor.Int64, tensor.Int32, tensor.Int8, tensor.Uint8, tensor.Bool} {
			s := newSketch(t, uint64(i))
			wide, narrow := s.input(tensor.Bool, nil, shapes[0]...), s.constant(s.someEqual(tensor.Bool, shapes[1]...), nil)
			x, y := s.input(dtype, nil, shapes[0]...), s.constant(s.someEqual(dtype, shapes[1]...), nil)
			scalar := s.constant(s.someEqual(dtype), nil)
			s.check(s.node(&op.Where{}, wide, x, y), s.node(&op.Where{}, wide, y, x), s.node(&op.Where{}, narrow, x, scalar),
				s.node(&op.Where{}, wide, y, scalar), s.node(&op.Where{}, wide, x, x))
		}
	}
}

func TestArgMax(t *testing.T) {
	for _, dtype := range []tensor.DType{tensor.Float32, tensor.Int32, tensor.Int8, tensor.Uint8} {
		s := newSketch(t, 1)
		x := s.input(dtype, nil, 1, 3, 21, 520)
		few := s.node(&op.Where{}, s.constant(s.someEqual(tensor.Bool, 3, 21, 520), nil), s.constant(s.someEqual(dtype, 3, 21, 520), nil), x)
		var outputs []*graph.Value
		for axis := range 4 {
			for i := range 4 {
				outputs = append(outputs, s.node(&op.ArgMax{Axis: axis - 4*(i%2), KeepDims: axis == 1, SelectLastIndex: i < 2, Min: i%2 == 0}, few))
			}
		}
		s.check(outputs...)
	}
}

func TestCumSum(t *testing.T) {
	for _, dtype := range []tensor.DType{tensor.Float32, tensor.Int64, tensor.Int32} {
		s := newSketch(t, 2)
		x := s.input(dtype, nil, 1, 5, 600)
		var outputs []*graph.Value
		for axis := range int64(3) {
			for i := range 4 {
				along := s.constant(tensor.Of([]int64{axis}), nil)
				outputs = append(outputs, s.node(&op.CumSum{Exclusive: i < 2, Reverse: i%2 == 0}, x, along))
			}
		}
		s.check(outputs...)
	}
}
