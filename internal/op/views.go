package op

import (
	"fmt"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/tensor"
)

// Operators that show the same elements, in the same order, under another shape.
type (
	// Identity is its operand.
	Identity struct{}
	// Reshape gives the shape of operand 1 (Int64): 0 copies the operand's size (unless AllowZero), one −1 is computed.
	Reshape struct{ AllowZero bool }
	// Flatten makes a matrix: dimensions before Axis, dimensions from it on.
	Flatten struct{ Axis int }
	// Squeeze removes the dimensions named by operand 1, or all of size 1 if it is absent.
	Squeeze struct{}
	// Unsqueeze inserts dimensions of size 1 where operand 1 says, counted in the result.
	Unsqueeze struct{}
)

// Type is "Identity".
func (*Identity) Type() string { return "Identity" }

// Type is "Reshape".
func (*Reshape) Type() string { return "Reshape" }

// Type is "Flatten".
func (*Flatten) Type() string { return "Flatten" }

// Type is "Squeeze".
func (*Squeeze) Type() string { return "Squeeze" }

// Type is "Unsqueeze".
func (*Unsqueeze) Type() string { return "Unsqueeze" }

// movedType is the element type of a result that holds operand 0's elements.
func movedType(c *Inference) tensor.DType {
	if c.In(0).Quant != nil {
		return tensor.Invalid
	}
	return c.In(0).DType
}

// setView states a view's shape and hands integer data on.
func setView(c *Inference, shape graph.Shape) {
	c.SetOut(0, movedType(c), shape)
	if data, ok := c.Data(0); ok {
		c.SetData(0, data)
	}
}

// Infer keeps everything.
func (*Identity) Infer(c *Inference) error {
	setView(c, c.In(0).Shape)
	return nil
}

// Infer resolves 0 and −1 where the operand's sizes are known; a −1 that stands for an unknown dimension keeps its
// symbol if everything else cancels.
func (o *Reshape) Infer(c *Inference) error {
	want, ok := c.Data(1)
	if !ok {
		if s := c.In(1).Shape; len(s) == 1 && s[0].Known() {
			setView(c, unknowns(s[0].Size))
		} else {
			setView(c, nil)
		}
		return nil
	}
	x := c.In(0).Shape
	shape := make(graph.Shape, len(want))
	hole := -1
	for i, n := range want {
		switch {
		case n.Known && n.Value == -1:
			if hole >= 0 {
				return fmt.Errorf("its shape has two −1")
			}
			hole = i
			shape[i].Size = graph.Unknown
		case n.Known && n.Value == 0 && !o.AllowZero:
			if x == nil {
				shape[i].Size = graph.Unknown
				continue
			}
			if i >= len(x) {
				return fmt.Errorf("its shape copies dimension %d of %s", i, c.In(0))
			}
			shape[i] = x[i]
		case n.Known && n.Value < -1:
			return fmt.Errorf("its shape has a size of %d", n.Value)
		default:
			shape[i] = n.Dim()
		}
	}
	if hole >= 0 && x != nil {
		d, err := remaining(x, shape, hole)
		if err != nil {
			return fmt.Errorf("%s cannot be reshaped to %s: %w", c.In(0), shape, err)
		}
		shape[hole] = d
	}
	if in, known := x.Known(); known && hole < 0 {
		if out, all := shape.Known(); all && product(in) != product(out) {
			return fmt.Errorf("%s cannot be reshaped to %s: %d elements, not %d", c.In(0), shape, product(in), product(out))
		}
	}
	setView(c, shape)
	return nil
}

// remaining is the dimension that makes the number of elements equal, after cancelling equal symbols.
func remaining(from, to graph.Shape, hole int) (graph.Dim, error) {
	unknown := graph.Dim{Size: graph.Unknown}
	left, right := 1, 1
	var symbols []string
	for _, d := range from {
		switch {
		case d.Known():
			left *= d.Size
		case d.Symbol == "":
			return unknown, nil
		default:
			symbols = append(symbols, d.Symbol)
		}
	}
	for i, d := range to {
		if i == hole {
			continue
		}
		if d.Known() {
			right *= d.Size
			continue
		}
		at := slices.Index(symbols, d.Symbol)
		if at < 0 {
			return unknown, nil
		}
		symbols = slices.Delete(symbols, at, at+1)
	}
	switch {
	case len(symbols) == 1 && left == right:
		return graph.Dim{Size: graph.Unknown, Symbol: symbols[0]}, nil
	case len(symbols) > 0:
		return unknown, nil
	case right == 0:
		if left != 0 {
			return unknown, fmt.Errorf("%d elements do not fit", left)
		}
		return graph.Fixed(0), nil
	case left%right != 0:
		return unknown, fmt.Errorf("%d elements cannot be divided by %d", left, right)
	}
	return graph.Fixed(left / right), nil
}

// Infer multiplies sizes.
func (o *Flatten) Infer(c *Inference) error {
	x := c.In(0).Shape
	if x == nil {
		setView(c, unknowns(2))
		return nil
	}
	axis, err := o.axis(len(x))
	if err != nil {
		return err
	}
	setView(c, graph.Shape{multiplied(x[:axis]), multiplied(x[axis:])})
	return nil
}

func (o *Flatten) axis(rank int) (int, error) {
	if o.Axis == rank {
		return rank, nil
	}
	return normalAxis(o.Axis, rank)
}

// multiplied is the product of dimensions: known, a single symbol, or unknown.
func multiplied(s graph.Shape) graph.Dim {
	n := graph.Fixed(1)
	for _, d := range s {
		switch {
		case d.Known() && n.Known():
			n.Size *= d.Size
		case d.Known() && d.Size == 1:
		case n.Known() && n.Size == 1:
			n = d
		default:
			n = graph.Dim{Size: graph.Unknown}
		}
	}
	return n
}

// Infer removes dimensions.
func (*Squeeze) Infer(c *Inference) error {
	x := c.In(0).Shape
	if x == nil {
		setView(c, nil)
		return nil
	}
	var drop []int
	if c.Has(1) {
		axes, ok := c.Ints(1)
		if !ok {
			setView(c, nil)
			return nil
		}
		var err error
		if drop, err = normalAxes(axes, len(x)); err != nil {
			return err
		}
	} else {
		for i, d := range x {
			if !d.Known() {
				setView(c, nil)
				return nil
			}
			if d.Size == 1 {
				drop = append(drop, i)
			}
		}
	}
	shape := graph.Shape{}
	for i, d := range x {
		if !slices.Contains(drop, i) {
			shape = append(shape, d)
		} else if d.Known() && d.Size != 1 {
			return fmt.Errorf("dimension %d of %s has size %d, not 1", i, c.In(0), d.Size)
		}
	}
	setView(c, shape)
	return nil
}

// Infer inserts dimensions.
func (*Unsqueeze) Infer(c *Inference) error {
	x := c.In(0).Shape
	axes, ok := c.Ints(1)
	if !ok || x == nil {
		setView(c, nil)
		return nil
	}
	insert, err := normalAxes(axes, len(x)+len(axes))
	if err != nil {
		return err
	}
	shape := make(graph.Shape, 0, len(x)+len(insert))
	next := 0
	for i := range len(x) + len(insert) {
		if slices.Contains(insert, i) {
			shape = append(shape, graph.Fixed(1))
		} else {
			shape = append(shape, x[next])
			next++
		}
	}
	setView(c, shape)
	return nil
}

// Evaluate hands the operand on.
func (*Identity) Evaluate(c *Evaluation) error {
	c.Set(0, c.In(0))
	return nil
}

// Evaluate shows the operand under the new shape.
func (*Reshape) Evaluate(c *Evaluation) error { return evaluateView(c) }

// Evaluate shows the operand as a matrix.
func (*Flatten) Evaluate(c *Evaluation) error { return evaluateView(c) }

// Evaluate shows the operand without the dimensions.
func (*Squeeze) Evaluate(c *Evaluation) error { return evaluateView(c) }

// Evaluate shows the operand with the dimensions.
func (*Unsqueeze) Evaluate(c *Evaluation) error { return evaluateView(c) }

// evaluateView infers the result's shape from the actual operands.
func evaluateView(c *Evaluation) error {
	shape, err := actualShape(c)
	if err != nil {
		return err
	}
	n, ok := tensor.Count(shape)
	if !ok || n != c.In(0).Len() {
		return fmt.Errorf("%s cannot be shown as %v", c.In(0), shape)
	}
	c.Set(0, c.In(0).Reshape(shape...))
	return nil
}

// actualShape infers the shape of output 0 from the operands at hand, as constants.
func actualShape(c *Evaluation) ([]int, error) {
	n := &graph.Node{Name: c.Node.Name, Op: c.Node.Op, Inputs: make([]*graph.Value, len(c.in)), Outputs: []*graph.Value{{}}}
	for i, t := range c.in {
		if t != nil {
			n.Inputs[i] = &graph.Value{Type: graph.TypeOf(t), Const: t}
		}
	}
	inference := &Inference{Node: n, facts: &Facts{data: map[*graph.Value][]Int{}}, out: make([]graph.Type, 1), data: make([][]Int, 1)}
	if err := c.Node.Op.(Operator).Infer(inference); err != nil {
		return nil, err
	}
	shape, ok := inference.out[0].Shape.Known()
	if !ok {
		return nil, fmt.Errorf("its shape cannot be computed from %v", c.in)
	}
	return shape, nil
}

// Integer moves codes.
func (*Identity) Integer(n *graph.Node) (IntegerForm, error) { return moved(n), nil }

// Integer moves codes.
func (*Reshape) Integer(n *graph.Node) (IntegerForm, error) { return moved(n), nil }

// Integer moves codes.
func (*Flatten) Integer(n *graph.Node) (IntegerForm, error) { return moved(n), nil }

// Integer moves codes.
func (*Squeeze) Integer(n *graph.Node) (IntegerForm, error) { return moved(n), nil }

// Integer moves codes.
func (*Unsqueeze) Integer(n *graph.Node) (IntegerForm, error) { return moved(n), nil }

// moved is the form of operators that move the codes of operand 0; the others are shapes, axes and the like.
func moved(n *graph.Node) IntegerForm {
	roles := make([]Role, len(n.Inputs))
	roles[0] = Activation
	return IntegerForm{Roles: roles, Range: RangeRule{Kind: SameAsInput}, WeightAxis: -1}
}
