package op

import (
	"fmt"
	"math"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/tensor"
)

// Operators that compute shapes and make tensors from them.
type (
	// Shape is the sizes of dimensions Start to End (not included) of its operand, Int64.
	Shape struct {
		Start int
		End   int
		ToEnd bool // End is not given
	}
	// Size is the number of elements of its operand, Int64.
	Size struct{}
	// ConstantOfShape is a tensor of the shape in operand 0, filled with Fill (one element; nil: a float 0).
	ConstantOfShape struct{ Fill *tensor.Tensor }
	// Range is start, start+delta, … below limit. Operands: start, limit, delta.
	Range struct{}
)

// Type is "Shape".
func (*Shape) Type() string { return "Shape" }

// Type is "Size".
func (*Size) Type() string { return "Size" }

// Type is "ConstantOfShape".
func (*ConstantOfShape) Type() string { return "ConstantOfShape" }

// Type is "Range".
func (*Range) Type() string { return "Range" }

// span is the dimensions that are listed.
func (o *Shape) span(rank int) (from, to int) {
	limit := func(i int) int {
		if i < 0 {
			i += rank
		}
		return min(max(i, 0), rank)
	}
	from, to = limit(o.Start), rank
	if !o.ToEnd {
		to = limit(o.End)
	}
	return from, max(from, to)
}

// Infer knows the sizes.
func (o *Shape) Infer(c *Inference) error {
	x := c.In(0).Shape
	if x == nil {
		c.SetOut(0, tensor.Int64, unknowns(1))
		return nil
	}
	from, to := o.span(len(x))
	c.SetOut(0, tensor.Int64, graph.FixedShape(to-from))
	c.SetData(0, convert(x[from:to], SizeOf))
	return nil
}

// Evaluate lists the sizes.
func (o *Shape) Evaluate(c *Evaluation) error {
	shape := c.In(0).Shape()
	from, to := o.span(len(shape))
	c.Set(0, tensor.Of(convert(shape[from:to], func(n int) int64 { return int64(n) }), to-from))
	return nil
}

// Infer knows the product.
func (*Size) Infer(c *Inference) error {
	c.SetOut(0, tensor.Int64, graph.Shape{})
	if x := c.In(0).Shape; x != nil {
		c.SetData(0, []Int{SizeOf(multiplied(x))})
	}
	return nil
}

// Evaluate counts.
func (*Size) Evaluate(c *Evaluation) error {
	c.Set(0, tensor.Of([]int64{int64(c.In(0).Len())}))
	return nil
}

func (o *ConstantOfShape) fill() *tensor.Tensor {
	if o.Fill == nil {
		return tensor.New(tensor.Float32, 1)
	}
	return o.Fill
}

// Infer reads the shape.
func (o *ConstantOfShape) Infer(c *Inference) error {
	dtype := o.fill().DType()
	want, ok := c.Data(0)
	if !ok {
		var shape graph.Shape
		if s := c.In(0).Shape; len(s) == 1 && s[0].Known() {
			shape = unknowns(s[0].Size)
		}
		c.SetOut(0, dtype, shape)
		return nil
	}
	shape := convert(want, Int.Dim)
	c.SetOut(0, dtype, graph.Shape(shape))
	if sizes, known := graph.Shape(shape).Known(); known && len(sizes) <= 1 && dtype == tensor.Int64 && product(sizes) <= maxData {
		data := make([]Int, product(sizes))
		for i := range data {
			data[i] = Literal(Int64s(o.fill())[0])
		}
		c.SetData(0, data)
	}
	return nil
}

// Evaluate fills.
func (o *ConstantOfShape) Evaluate(c *Evaluation) error {
	shape := convert(Int64s(c.In(0)), func(n int64) int { return int(n) })
	if _, ok := tensor.Count(shape); !ok {
		return fmt.Errorf("impossible shape %v", shape)
	}
	c.Set(0, pick(o.fill(), shape, func(int) int { return 0 }))
	return nil
}

// Infer counts where the operands are known.
func (*Range) Infer(c *Inference) error {
	dtype := c.In(0).DType
	start, ok1 := c.Ints(0)
	limit, ok2 := c.Ints(1)
	delta, ok3 := c.Ints(2)
	if !ok1 || !ok2 || !ok3 || len(start) != 1 || len(limit) != 1 || len(delta) != 1 || delta[0] == 0 {
		c.SetOut(0, dtype, unknowns(1))
		return nil
	}
	n := rangeCount(float64(start[0]), float64(limit[0]), float64(delta[0]))
	c.SetOut(0, dtype, graph.FixedShape(n))
	if n <= maxData {
		data := make([]Int, n)
		for i := range data {
			data[i] = Literal(start[0] + int64(i)*delta[0])
		}
		c.SetData(0, data)
	}
	return nil
}

func rangeCount(start, limit, delta float64) int {
	n := math.Ceil((limit - start) / delta)
	if !(n > 0) {
		return 0
	}
	return int(min(n, tensor.MaxElements+1)) // callers refuse more than MaxElements
}

// Evaluate counts up.
func (*Range) Evaluate(c *Evaluation) error {
	dtype := c.In(0).DType()
	start, limit, delta := Float64s(c.In(0)), Float64s(c.In(1)), Float64s(c.In(2))
	if len(start) != 1 || len(limit) != 1 || len(delta) != 1 || delta[0] == 0 {
		return fmt.Errorf("wants three scalars and a step other than 0")
	}
	n := rangeCount(start[0], limit[0], delta[0])
	if n > tensor.MaxElements {
		return fmt.Errorf("%d elements are too many", n)
	}
	values := make([]float64, n)
	for i := range values {
		values[i] = start[0] + float64(float64(i)*delta[0])
	}
	c.Set(0, fromFloat64sOrInts(dtype, []int{n}, values))
	return nil
}

// ViewQuant is how the result of a node that moves the codes of operand 0 is quantized. ok is false if no single
// quantization describes it (the axis with several scales does not survive).
func ViewQuant(n *graph.Node) (q *graph.Quant, ok bool) {
	x, y := n.Inputs[0].Type, n.Outputs[0].Type
	q = x.Quant
	if q == nil || len(q.Scale) == 1 && q.Block == 0 {
		return q, true
	}
	if q.Block > 0 || x.Shape == nil || y.Shape == nil {
		return nil, false
	}
	axis := -1
	switch o := n.Op.(type) {
	case *Identity:
		axis = q.Axis
	case *Transpose:
		perm, err := o.Permutation(len(x.Shape))
		if err != nil {
			return nil, false
		}
		for i, p := range perm {
			if p == q.Axis {
				axis = i
			}
		}
	case *Reshape, *Flatten, *Squeeze, *Unsqueeze:
		// The axis survives if as many elements lie before and after it.
		for i, d := range y.Shape {
			if d.Same(x.Shape[q.Axis]) && d.Known() &&
				multiplied(y.Shape[:i]).Same(multiplied(x.Shape[:q.Axis])) && multiplied(y.Shape[i+1:]).Same(multiplied(x.Shape[q.Axis+1:])) {
				axis = i
			}
		}
	}
	if axis < 0 {
		return nil, false
	}
	moved := *q
	moved.Axis = axis
	return &moved, true
}
