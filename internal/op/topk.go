package op

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/tensor"
)

// CumSum is running sums along the axis in operand 1 (a scalar): of the elements up to and including each, or only
// those before it if Exclusive; from the end if Reverse.
type CumSum struct{ Exclusive, Reverse bool }

// CumProd is running products; see CumSum.
type CumProd struct{ Exclusive, Reverse bool }

// Type is "CumProd".
func (*CumProd) Type() string { return "CumProd" }

// Infer keeps the type.
func (*CumProd) Infer(c *Inference) error { return inferUnary(c) }

// Evaluate multiplies floats in float64, integers with wrap-around.
func (o *CumProd) Evaluate(c *Evaluation) error {
	return running(c, o.Exclusive, o.Reverse, 1, func(a, b float64) float64 { return a * b }, func(a, b int64) int64 { return a * b })
}

// Type is "CumSum".
func (*CumSum) Type() string { return "CumSum" }

// Infer keeps the type.
func (*CumSum) Infer(c *Inference) error { return inferUnary(c) }

// Evaluate sums floats in float64, integers exactly.
func (o *CumSum) Evaluate(c *Evaluation) error {
	return running(c, o.Exclusive, o.Reverse, 0, func(a, b float64) float64 { return a + b }, func(a, b int64) int64 { return a + b })
}

// running folds each row along the axis in operand 1, from first on.
func running(c *Evaluation, exclusive, reverse bool, first int64, real func(a, b float64) float64, integer func(a, b int64) int64) error {
	x := c.In(0)
	axis, err := scalarInt(c, 1)
	if err != nil {
		return err
	}
	along, err := normalAxis(int(axis), len(x.Shape()))
	if err != nil {
		return err
	}
	if x.DType().IsFloat() {
		c.Set(0, FromFloat64s(x.DType(), x.Shape(), runningFolds(Float64s(x), x.Shape(), along, exclusive, reverse, float64(first), real)))
	} else {
		c.Set(0, FromInt64s(x.DType(), x.Shape(), runningFolds(Int64s(x), x.Shape(), along, exclusive, reverse, first, integer)))
	}
	return nil
}

func runningFolds[T float64 | int64](values []T, shape []int, axis int, exclusive, reverse bool, first T, f func(a, b T) T) []T {
	out := make([]T, len(values))
	rows(shape, axis, func(index func(i int) int, n int) {
		so := first
		for i := range n {
			if reverse {
				i = n - 1 - i
			}
			if exclusive {
				out[index(i)] = so
			}
			so = f(so, values[index(i)])
			if !exclusive {
				out[index(i)] = so
			}
		}
	})
	return out
}

// scalarInt is the only element of an integer operand.
func scalarInt(c *Evaluation, i int) (int64, error) {
	if !c.Has(i) || !c.In(i).DType().IsInteger() || c.In(i).Len() != 1 {
		return 0, fmt.Errorf("input %d is %v, wants one integer", i, c.In(i))
	}
	return Int64s(c.In(i))[0], nil
}

// TopK is the K largest (smallest unless Largest) elements along Axis and their indices; K is operand 1. They are in
// order, equal ones by index, whether or not Sorted asks for it.
type TopK struct {
	Axis            int
	Largest, Sorted bool
}

// Type is "TopK".
func (*TopK) Type() string { return "TopK" }

// Infer replaces the size of the axis by K.
func (o *TopK) Infer(c *Inference) error {
	dtype := movedType(c)
	rank, ok := c.In(0).Rank()
	if !ok {
		c.SetOut(0, dtype, nil)
		c.SetOut(1, tensor.Int64, nil)
		return nil
	}
	axis, err := normalAxis(o.Axis, rank)
	if err != nil {
		return err
	}
	shape := slices.Clone(c.In(0).Shape)
	shape[axis] = graph.Dim{Size: graph.Unknown}
	if k, ok := c.Data(1); ok && len(k) == 1 {
		shape[axis] = k[0].Dim()
	}
	c.SetOut(0, dtype, shape)
	c.SetOut(1, tensor.Int64, slices.Clone(shape))
	return nil
}

// Evaluate sorts each row.
func (o *TopK) Evaluate(c *Evaluation) error {
	x := c.In(0)
	axis, err := normalAxis(o.Axis, len(x.Shape()))
	if err != nil {
		return err
	}
	k, err := scalarInt(c, 1)
	if err != nil {
		return err
	}
	if k < 0 || k > int64(x.Shape()[axis]) {
		return fmt.Errorf("%d elements of %s are wanted along axis %d", k, x, axis)
	}
	shape := slices.Clone(x.Shape())
	shape[axis] = int(k)
	var indices, offsets []int64
	if x.DType().IsFloat() {
		indices, offsets = topK(Float64s(x), x.Shape(), axis, int(k), o.Largest)
	} else {
		indices, offsets = topK(Int64s(x), x.Shape(), axis, int(k), o.Largest)
	}
	c.Set(0, pick(x, shape, func(i int) int { return int(offsets[i]) }))
	c.Set(1, tensor.Of(indices, shape...))
	return nil
}

// topK is, for each element of the result, its index along the axis and its offset in values.
func topK[T float64 | int64](values []T, shape []int, axis, k int, largest bool) (indices, offsets []int64) {
	inner := product(shape[axis+1:])
	indices = make([]int64, product(shape[:axis])*k*inner)
	offsets = make([]int64, len(indices))
	row := 0
	rows(shape, axis, func(index func(i int) int, n int) {
		order := make([]int, n)
		for i := range order {
			order[i] = i
		}
		slices.SortStableFunc(order, func(a, b int) int {
			if largest {
				a, b = b, a
			}
			return cmp.Compare(values[index(a)], values[index(b)])
		})
		for i, from := range order[:k] {
			to := (row/inner*k+i)*inner + row%inner
			indices[to], offsets[to] = int64(from), int64(index(from))
		}
		row++
	})
	return indices, offsets
}
