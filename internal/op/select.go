package op

import (
	"fmt"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/tensor"
)

// Operators that pick elements by condition or position.
type (
	// OneHot puts a new dimension at Axis, of the size in operand 1, that holds operand 2's second value at each index
	// of operand 0 and its first value elsewhere (everywhere if the index is outside).
	OneHot struct{ Axis int }
	// NonZero is the positions of the elements that are not 0, in order: one row per dimension, Int64.
	NonZero struct{}
	// Trilu keeps the upper or lower triangle of matrices, from diagonal operand 1 (optional: 0) on; the rest is 0.
	Trilu struct{ Upper bool }
	// Compress takes the slices along Axis, or with Flat the elements, for which operand 1 is true.
	Compress struct {
		Axis int
		Flat bool
	}
	// ReverseSequence reverses the first elements along TimeAxis, as many for each element of BatchAxis as operand 1
	// says.
	ReverseSequence struct{ BatchAxis, TimeAxis int }
)

// Type is "OneHot".
func (*OneHot) Type() string { return "OneHot" }

// Type is "NonZero".
func (*NonZero) Type() string { return "NonZero" }

// Type is "Trilu".
func (*Trilu) Type() string { return "Trilu" }

// Type is "Compress".
func (*Compress) Type() string { return "Compress" }

// Type is "ReverseSequence".
func (*ReverseSequence) Type() string { return "ReverseSequence" }

// Infer inserts the dimension.
func (o *OneHot) Infer(c *Inference) error {
	dtype, x := c.In(2).DType, c.In(0).Shape
	if x == nil {
		c.SetOut(0, dtype, nil)
		return nil
	}
	axis, err := normalAxis(o.Axis, len(x)+1)
	if err != nil {
		return err
	}
	depth := graph.Dim{Size: graph.Unknown}
	if data, ok := c.Data(1); ok && len(data) == 1 {
		depth = data[0].Dim()
	}
	c.SetOut(0, dtype, slices.Insert(slices.Clone(x), axis, depth))
	return nil
}

// Evaluate compares each position with the index.
func (o *OneHot) Evaluate(c *Evaluation) error {
	x, values := c.In(0), c.In(2)
	axis, err := normalAxis(o.Axis, len(x.Shape())+1)
	if err != nil {
		return err
	}
	given := Float64s(c.In(1))
	if len(given) != 1 || !(given[0] >= 1 && given[0] <= tensor.MaxElements) || values.Len() != 2 {
		return fmt.Errorf("wants a depth of at least 1 and two values, got %v and %s", given, values)
	}
	depth := int(given[0])
	shape := slices.Insert(slices.Clone(x.Shape()), axis, depth)
	if _, ok := tensor.Count(shape); !ok {
		return fmt.Errorf("%s with depth %d is too large", x, depth)
	}
	indices, inner := Float64s(x), product(x.Shape()[axis:])
	c.Set(0, pick(values, shape, func(i int) int {
		k, position := i%inner, i/inner
		index := indices[position/depth*inner+k]
		if index < 0 {
			index += float64(depth)
		}
		if index == float64(position%depth) {
			return 1
		}
		return 0
	}))
	return nil
}

// Infer knows the number of rows.
func (*NonZero) Infer(c *Inference) error {
	shape := unknowns(2)
	if x := c.In(0).Shape; x != nil {
		shape[0] = graph.Fixed(len(x))
	}
	c.SetOut(0, tensor.Int64, shape)
	return nil
}

// Evaluate searches.
func (*NonZero) Evaluate(c *Evaluation) error {
	x := c.In(0)
	var found []int
	for i, v := range Float64s(x) {
		if v != 0 {
			found = append(found, i)
		}
	}
	rank := len(x.Shape())
	rows, at := make([]int64, rank*len(found)), make([]int, rank)
	for j, i := range found {
		unravel(at, i, x.Shape())
		for axis, p := range at {
			rows[axis*len(found)+j] = int64(p)
		}
	}
	c.Set(0, tensor.Of(rows, rank, len(found)))
	return nil
}

// pickOrZero is pick with zeros where the index is −1.
func pickOrZero(x *tensor.Tensor, shape []int, index func(i int) int) *tensor.Tensor {
	joined := make([]int64, 0, x.Len()+1)
	if x.DType().Bits() < 8 {
		joined = append(append(joined, Int64s(x)...), 0)
		x = FromInt64s(x.DType(), []int{len(joined)}, joined)
	} else {
		wider := tensor.New(x.DType(), x.Len()+1)
		copy(wider.Bytes(), x.Bytes())
		x = wider
	}
	return pick(x, shape, func(i int) int {
		if s := index(i); s >= 0 {
			return s
		}
		return x.Len() - 1
	})
}

// Infer keeps the shape.
func (*Trilu) Infer(c *Inference) error {
	c.SetOut(0, movedType(c), c.In(0).Shape)
	return nil
}

// Evaluate compares row and column.
func (o *Trilu) Evaluate(c *Evaluation) error {
	x, diagonal := c.In(0), 0
	rank := len(x.Shape())
	if rank < 2 {
		return fmt.Errorf("%s is not a matrix", x)
	}
	if c.Has(1) {
		k := Int64s(c.In(1))
		if len(k) != 1 {
			return fmt.Errorf("diagonal %s is not a scalar", c.In(1))
		}
		diagonal = int(k[0])
	}
	rows, columns := x.Shape()[rank-2], x.Shape()[rank-1]
	c.Set(0, pickOrZero(x, x.Shape(), func(i int) int {
		over := i%columns - i/columns%rows
		if o.Upper && over >= diagonal || !o.Upper && over <= diagonal {
			return i
		}
		return -1
	}))
	return nil
}

// Infer leaves the size open.
func (o *Compress) Infer(c *Inference) error {
	x := c.In(0).Shape
	switch {
	case o.Flat:
		c.SetOut(0, movedType(c), unknowns(1))
	case x == nil:
		c.SetOut(0, movedType(c), nil)
	default:
		axis, err := normalAxis(o.Axis, len(x))
		if err != nil {
			return err
		}
		shape := slices.Clone(x)
		shape[axis] = graph.Dim{Size: graph.Unknown}
		c.SetOut(0, movedType(c), shape)
	}
	return nil
}

// Evaluate copies.
func (o *Compress) Evaluate(c *Evaluation) error {
	x, axis := c.In(0), 0
	if o.Flat {
		x = x.Reshape(x.Len())
	} else {
		var err error
		if axis, err = normalAxis(o.Axis, len(x.Shape())); err != nil {
			return err
		}
	}
	size, inner := x.Shape()[axis], product(x.Shape()[axis+1:])
	var kept []int
	for i, yes := range Int64s(c.In(1)) {
		if yes == 0 {
			continue
		}
		if i >= size {
			return fmt.Errorf("condition %d is outside %d elements", i, size)
		}
		kept = append(kept, i)
	}
	shape := slices.Clone(x.Shape())
	shape[axis] = len(kept)
	c.Set(0, pick(x, shape, func(i int) int {
		k, rest := i%inner, i/inner
		return (rest/len(kept)*size+kept[rest%len(kept)])*inner + k
	}))
	return nil
}

// Integer moves codes.
func (*Compress) Integer(n *graph.Node) (IntegerForm, error) { return moved(n), nil }

// Infer keeps the shape.
func (*ReverseSequence) Infer(c *Inference) error {
	c.SetOut(0, movedType(c), c.In(0).Shape)
	return nil
}

// Evaluate copies.
func (o *ReverseSequence) Evaluate(c *Evaluation) error {
	x, lengths := c.In(0), Int64s(c.In(1))
	shape := x.Shape()
	axes, err := normalAxes([]int64{int64(o.BatchAxis), int64(o.TimeAxis)}, len(shape))
	if err != nil {
		return err
	}
	batch, time := axes[0], axes[1]
	if len(lengths) != shape[batch] {
		return fmt.Errorf("%d lengths for %d sequences", len(lengths), shape[batch])
	}
	for _, n := range lengths {
		if n < 0 || n > int64(shape[time]) {
			return fmt.Errorf("length %d of a sequence of %d", n, shape[time])
		}
	}
	strides, at := rowMajor(shape), make([]int, len(shape))
	c.Set(0, pick(x, shape, func(i int) int {
		unravel(at, i, shape)
		if n := int(lengths[at[batch]]); at[time] < n {
			return i + (n-1-2*at[time])*strides[time]
		}
		return i
	}))
	return nil
}

// Integer moves codes.
func (*ReverseSequence) Integer(n *graph.Node) (IntegerForm, error) { return moved(n), nil }
