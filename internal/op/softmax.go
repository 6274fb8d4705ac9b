package op

import (
	"fmt"
	"math"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/tensor"
)

// Softmax is exp(x)/Σexp(x) along Axis.
type Softmax struct{ Axis int }

// LogSoftmax is x − log Σexp(x) along Axis.
type LogSoftmax struct{ Axis int }

// Hardmax is 1 for the first largest element along Axis, 0 elsewhere.
type Hardmax struct{ Axis int }

// Type is "Softmax".
func (*Softmax) Type() string { return "Softmax" }

// Type is "LogSoftmax".
func (*LogSoftmax) Type() string { return "LogSoftmax" }

// Type is "Hardmax".
func (*Hardmax) Type() string { return "Hardmax" }

// Infer keeps the type.
func (o *Softmax) Infer(c *Inference) error { return inferAlongAxis(c, o.Axis) }

// Infer keeps the type.
func (o *LogSoftmax) Infer(c *Inference) error { return inferAlongAxis(c, o.Axis) }

// Infer keeps the type.
func (o *Hardmax) Infer(c *Inference) error { return inferAlongAxis(c, o.Axis) }

func inferAlongAxis(c *Inference, axis int) error {
	if rank, ok := c.In(0).Rank(); ok {
		if _, err := normalAxis(axis, rank); err != nil {
			return err
		}
	}
	return inferUnary(c)
}

// Integer gives codes of [0, 1).
func (o *Softmax) Integer(*graph.Node) (IntegerForm, error) {
	return IntegerForm{Roles: []Role{Activation}, Range: unitRange, WeightAxis: -1}, nil
}

// Evaluate normalizes each row; codes as numeric.Softmax says.
func (o *Softmax) Evaluate(c *Evaluation) error {
	if c.Node.Compute != graph.Integer {
		return alongAxis(c, o.Axis, func(row []float64) {
			most := largest(row)
			var sum float64
			for i, v := range row {
				row[i] = math.Exp(v - most)
				sum += row[i]
			}
			for i := range row {
				row[i] /= sum
			}
		})
	}
	if err := wantPerTensor(c.Node, 1); err != nil {
		return err
	}
	x := c.In(0)
	axis, err := normalAxis(o.Axis, len(x.Shape()))
	if err != nil {
		return err
	}
	softmax := c.Node.Arithmetic.Softmax(InputCodes(c.Node, 0), OutputCodes(c.Node, nil))
	codes := c.Codes(0)
	out := make([]int32, len(codes))
	rows(x.Shape(), axis, func(index func(i int) int, n int) {
		row := make([]int32, n)
		for i := range row {
			row[i] = codes[index(i)]
		}
		softmax.Row(row, row)
		for i, q := range row {
			out[index(i)] = q
		}
	})
	c.SetCodes(0, x.Shape(), out)
	return nil
}

// Evaluate normalizes each row.
func (o *LogSoftmax) Evaluate(c *Evaluation) error {
	return alongAxis(c, o.Axis, func(row []float64) {
		most := largest(row)
		var sum float64
		for _, v := range row {
			sum += math.Exp(v - most)
		}
		log := math.Log(sum)
		for i, v := range row {
			row[i] = v - most - log
		}
	})
}

// Evaluate marks the first largest element of each row.
func (o *Hardmax) Evaluate(c *Evaluation) error {
	return alongAxis(c, o.Axis, func(row []float64) {
		best := 0
		for i, v := range row {
			if v > row[best] {
				best = i
			}
		}
		for i := range row {
			row[i] = 0
		}
		row[best] = 1
	})
}

func largest(row []float64) float64 {
	most := math.Inf(-1)
	for _, v := range row {
		most = max(most, v)
	}
	return most
}

// rows visits every row of elements along an axis; index gives the offset of its element i. Empty rows are not
// visited.
func rows(shape []int, axis int, visit func(index func(i int) int, n int)) {
	n, inner := shape[axis], product(shape[axis+1:])
	if n == 0 {
		return
	}
	for outer := range product(shape[:axis]) {
		for k := range inner {
			visit(func(i int) int { return (outer*n+i)*inner + k }, n)
		}
	}
}

// alongAxis rewrites each row of floats in place.
func alongAxis(c *Evaluation, axis int, rewrite func(row []float64)) error {
	if err := wantFloats(c, 0); err != nil {
		return err
	}
	x := c.In(0)
	axis, err := normalAxis(axis, len(x.Shape()))
	if err != nil {
		return err
	}
	values := Float64s(x)
	out := make([]float64, len(values))
	row := make([]float64, x.Shape()[axis])
	rows(x.Shape(), axis, func(index func(i int) int, n int) {
		for i := range n {
			row[i] = values[index(i)]
		}
		rewrite(row)
		for i, v := range row {
			out[index(i)] = v
		}
	})
	c.Set(0, FromFloat64s(x.DType(), x.Shape(), out))
	return nil
}

// ArgMax is the index of the largest element along Axis (of the smallest if Min), the first one among equals, or the
// last if SelectLastIndex.
type ArgMax struct {
	Axis            int
	KeepDims        bool
	SelectLastIndex bool
	Min             bool
}

// Type is "ArgMax".
func (*ArgMax) Type() string { return "ArgMax" }

// Infer is Int64 with the axis removed or of size 1.
func (o *ArgMax) Infer(c *Inference) error {
	rank, ok := c.In(0).Rank()
	if !ok {
		c.SetOut(0, tensor.Int64, nil)
		return nil
	}
	axis, err := normalAxis(o.Axis, rank)
	if err != nil {
		return err
	}
	shape := append(graph.Shape{}, c.In(0).Shape[:axis]...)
	if o.KeepDims {
		shape = append(shape, graph.Fixed(1))
	}
	c.SetOut(0, tensor.Int64, append(shape, c.In(0).Shape[axis+1:]...))
	return nil
}

// Evaluate searches each row.
func (o *ArgMax) Evaluate(c *Evaluation) error {
	x := c.In(0)
	axis, err := normalAxis(o.Axis, len(x.Shape()))
	if err != nil {
		return err
	}
	shape := append([]int{}, x.Shape()[:axis]...)
	if o.KeepDims {
		shape = append(shape, 1)
	}
	shape = append(shape, x.Shape()[axis+1:]...)
	values := Float64s(x)
	found := make([]int64, 0, product(shape))
	rows(x.Shape(), axis, func(index func(i int) int, n int) {
		best := 0
		for i := 1; i < n; i++ {
			v, most := values[index(i)], values[index(best)]
			if o.Min {
				v, most = -v, -most
			}
			if v > most || v == most && o.SelectLastIndex {
				best = i
			}
		}
		found = append(found, int64(best))
	})
	if len(found) != product(shape) {
		return fmt.Errorf("input %s has nothing along axis %d", x, axis)
	}
	c.Set(0, tensor.Of(found, shape...))
	return nil
}
