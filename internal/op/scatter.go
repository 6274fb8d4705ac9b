package op

import (
	"fmt"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/tensor"
)

// Operators that read or write elements at computed places.
type (
	// GatherElements takes, for every element of the indices (operand 1), the element of operand 0 at the same place
	// but for dimension Axis, where the index says.
	GatherElements struct{ Axis int }
	// GatherND takes slices of operand 0 at the tuples along the last dimension of operand 1; the first BatchDims
	// dimensions of both go together.
	GatherND struct{ BatchDims int }
	// ScatterElements is operand 0 with the elements of operand 2 written where GatherElements would have read them.
	ScatterElements struct {
		Axis      int
		Reduction Reduction
	}
	// ScatterND is operand 0 with the slices of operand 2 written where GatherND would have read them.
	ScatterND struct{ Reduction Reduction }
)

// Reduction says how a scattered element joins the one that is there.
type Reduction uint8

const (
	// Replace writes over it.
	Replace Reduction = iota
	// AddTo adds to it.
	AddTo
	// MultiplyBy multiplies it.
	MultiplyBy
	// KeepMax keeps the larger.
	KeepMax
	// KeepMin keeps the smaller.
	KeepMin

	reductionCount
)

var reductionNames = [reductionCount]string{"none", "add", "mul", "max", "min"}

func (r Reduction) String() string { return reductionNames[r] }

// MarshalText is ONNX's name.
func (r Reduction) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (r *Reduction) UnmarshalText(text []byte) error {
	i := slices.Index(reductionNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("unknown reduction %q: one of %q", text, reductionNames)
	}
	*r = Reduction(i)
	return nil
}

// Type is "GatherElements".
func (*GatherElements) Type() string { return "GatherElements" }

// Type is "GatherND".
func (*GatherND) Type() string { return "GatherND" }

// Type is "ScatterElements".
func (*ScatterElements) Type() string { return "ScatterElements" }

// Type is "ScatterND".
func (*ScatterND) Type() string { return "ScatterND" }

// wrapIndex resolves an index that may count from the end.
func wrapIndex(index int64, size int) (int, error) {
	if index < -int64(size) || index >= int64(size) {
		return 0, fmt.Errorf("index %d is outside %d elements", index, size)
	}
	if index < 0 {
		index += int64(size)
	}
	return int(index), nil
}

// elementPlaces are the offsets into a tensor of a shape that the indices name, one for each of them.
func elementPlaces(shape []int, indices *tensor.Tensor, axis int) ([]int, error) {
	if len(indices.Shape()) != len(shape) {
		return nil, fmt.Errorf("indices %s for %d dimensions", indices, len(shape))
	}
	axis, err := normalAxis(axis, len(shape))
	if err != nil {
		return nil, err
	}
	for d, n := range indices.Shape() {
		if d != axis && n > shape[d] {
			return nil, fmt.Errorf("indices %s reach beyond the shape %v in dimension %d", indices, shape, d)
		}
	}
	strides, at := rowMajor(shape), make([]int, len(shape))
	places := make([]int, indices.Len())
	for i, index := range Int64s(indices) {
		unravel(at, i, indices.Shape())
		if at[axis], err = wrapIndex(index, shape[axis]); err != nil {
			return nil, err
		}
		for d, p := range at {
			places[i] += p * strides[d]
		}
	}
	return places, nil
}

// slicePlaces are the offsets of the slices that the tuples in indices name, and the number of elements of each.
func slicePlaces(shape []int, indices *tensor.Tensor, batch int) (places []int, inner int, err error) {
	rank := len(indices.Shape())
	if batch < 0 || batch >= rank || batch > len(shape) || !slices.Equal(shape[:batch], indices.Shape()[:batch]) {
		return nil, 0, fmt.Errorf("indices %s for shape %v with %d batch dimensions", indices, shape, batch)
	}
	width := indices.Shape()[rank-1]
	if batch+width > len(shape) {
		return nil, 0, fmt.Errorf("indices %s name more dimensions than %v has", indices, shape)
	}
	strides := rowMajor(shape)
	values := Int64s(indices)
	places = make([]int, product(indices.Shape()[:rank-1]))
	perBatch := product(indices.Shape()[batch : rank-1])
	for i := range places {
		places[i] = i / perBatch * product(shape[batch:])
		for k := range width {
			p, err := wrapIndex(values[i*width+k], shape[batch+k])
			if err != nil {
				return nil, 0, err
			}
			places[i] += p * strides[batch+k]
		}
	}
	return places, product(shape[batch+width:]), nil
}

// Infer has the shape of the indices.
func (*GatherElements) Infer(c *Inference) error {
	c.SetOut(0, movedType(c), c.In(1).Shape)
	return nil
}

// Evaluate copies.
func (o *GatherElements) Evaluate(c *Evaluation) error {
	places, err := elementPlaces(c.In(0).Shape(), c.In(1), o.Axis)
	if err != nil {
		return err
	}
	c.Set(0, pick(c.In(0), c.In(1).Shape(), func(i int) int { return places[i] }))
	return nil
}

// Integer moves codes.
func (*GatherElements) Integer(n *graph.Node) (IntegerForm, error) { return moved(n), nil }

// Infer replaces the last dimension of the indices by the slices' shape.
func (o *GatherND) Infer(c *Inference) error {
	x, indices := c.In(0).Shape, c.In(1).Shape
	if x == nil || len(indices) == 0 || !indices[len(indices)-1].Known() {
		c.SetOut(0, movedType(c), nil)
		return nil
	}
	last := len(indices) - 1
	from := o.BatchDims + indices[last].Size
	if o.BatchDims < 0 || from > len(x) {
		return fmt.Errorf("indices %s with %d batch dimensions for %s", c.In(1), o.BatchDims, c.In(0))
	}
	c.SetOut(0, movedType(c), joinShapes(indices[:last], x[from:]))
	return nil
}

// Evaluate copies.
func (o *GatherND) Evaluate(c *Evaluation) error {
	x, indices := c.In(0), c.In(1)
	places, inner, err := slicePlaces(x.Shape(), indices, o.BatchDims)
	if err != nil {
		return err
	}
	last := len(indices.Shape()) - 1
	shape := slices.Concat(indices.Shape()[:last], x.Shape()[o.BatchDims+indices.Shape()[last]:])
	c.Set(0, pick(x, shape, func(i int) int { return places[i/inner] + i%inner }))
	return nil
}

// Integer moves codes.
func (*GatherND) Integer(n *graph.Node) (IntegerForm, error) { return moved(n), nil }

// Infer keeps the shape.
func (*ScatterElements) Infer(c *Inference) error {
	c.SetOut(0, movedType(c), c.In(0).Shape)
	return nil
}

// Evaluate writes, in the order of the indices.
func (o *ScatterElements) Evaluate(c *Evaluation) error {
	places, err := elementPlaces(c.In(0).Shape(), c.In(1), o.Axis)
	if err != nil {
		return err
	}
	return scatter(c, places, 1, o.Reduction)
}

// Infer keeps the shape.
func (*ScatterND) Infer(c *Inference) error {
	c.SetOut(0, movedType(c), c.In(0).Shape)
	return nil
}

// Evaluate writes, in the order of the indices.
func (o *ScatterND) Evaluate(c *Evaluation) error {
	places, inner, err := slicePlaces(c.In(0).Shape(), c.In(1), 0)
	if err != nil {
		return err
	}
	return scatter(c, places, inner, o.Reduction)
}

// scatter writes the updates, inner elements at each place.
func scatter(c *Evaluation, places []int, inner int, how Reduction) error {
	x, updates := c.In(0), c.In(2)
	if updates.DType() != x.DType() || updates.Len() != len(places)*inner {
		return fmt.Errorf("updates %s are not %d elements of %s", updates, len(places)*inner, x.DType())
	}
	size := x.DType().Bits() / 8
	switch {
	case how == Replace && size > 0:
		out := x.Clone()
		for i, p := range places {
			copy(out.Bytes()[p*size:], updates.Bytes()[i*inner*size:(i+1)*inner*size])
		}
		c.Set(0, out)
	case x.DType().IsFloat():
		out := slices.Clone(Float64s(x))
		scatterValues(out, Float64s(updates), places, inner, how)
		c.Set(0, FromFloat64s(x.DType(), x.Shape(), out))
	default:
		out := slices.Clone(Int64s(x))
		scatterValues(out, Int64s(updates), places, inner, how)
		c.Set(0, FromInt64s(x.DType(), x.Shape(), out))
	}
	return nil
}

func scatterValues[T int64 | float64](out, updates []T, places []int, inner int, how Reduction) {
	for i, v := range updates {
		to := &out[places[i/inner]+i%inner]
		switch how {
		case Replace:
			*to = v
		case AddTo:
			*to += v
		case MultiplyBy:
			*to *= v
		case KeepMax:
			*to = max(*to, v)
		case KeepMin:
			*to = min(*to, v)
		}
	}
}
