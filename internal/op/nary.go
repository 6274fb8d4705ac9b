package op

import (
	"fmt"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/tensor"
)

// Operators on any number of operands, broadcast to each other.
type (
	// Max is the largest of the operands, element by element.
	Max struct{}
	// Min is the smallest of the operands, element by element.
	Min struct{}
	// Sum is the sum of the operands.
	Sum struct{}
	// Mean is the mean of the operands.
	Mean struct{}
)

// Type is "Max".
func (*Max) Type() string { return "Max" }

// Type is "Min".
func (*Min) Type() string { return "Min" }

// Type is "Sum".
func (*Sum) Type() string { return "Sum" }

// Type is "Mean".
func (*Mean) Type() string { return "Mean" }

func inferNary(c *Inference) error {
	for i := range c.Node.Inputs {
		if c.In(i).Quant != nil {
			return inferBroadcast(c, tensor.Invalid)
		}
	}
	all := make([]int, len(c.Node.Inputs))
	for i := range all {
		all[i] = i
	}
	dtype, err := element(c, all...)
	if err != nil {
		return err
	}
	return inferBroadcast(c, dtype)
}

// knownPairs pairs up the integer values of operands 0 and 1 as far as they are known, broadcast; operands of more
// than one dimension are not followed.
func knownPairs(c *Inference) (left, right []Int, ok bool) {
	x, ok := c.Data(0)
	y, known := c.Data(1)
	if !ok || !known || len(c.In(0).Shape) > 1 || len(c.In(1).Shape) > 1 {
		return nil, nil, false
	}
	n := max(len(x), len(y))
	if len(x) == 0 || len(y) == 0 {
		n = 0
	}
	if n > 0 && (len(x) != n && len(x) != 1 || len(y) != n && len(y) != 1) {
		return nil, nil, false
	}
	for i := range n {
		left, right = append(left, at(x, i)), append(right, at(y, i))
	}
	return left, right, true
}

// Infer broadcasts.
func (*Max) Infer(c *Inference) error { return inferNary(c) }

// Infer broadcasts.
func (*Min) Infer(c *Inference) error { return inferNary(c) }

// Infer broadcasts.
func (*Sum) Infer(c *Inference) error { return inferNary(c) }

// Infer broadcasts.
func (*Mean) Infer(c *Inference) error { return inferNary(c) }

// Evaluate compares floats, integers or codes of one scale.
func (*Max) Evaluate(c *Evaluation) error { return evaluateExtreme(c, maxReal, maxInt) }

// Evaluate compares floats, integers or codes of one scale.
func (*Min) Evaluate(c *Evaluation) error { return evaluateExtreme(c, minReal, minInt) }

// Evaluate adds.
func (*Sum) Evaluate(c *Evaluation) error { return evaluateFold(c, addition.real, 1) }

// Evaluate averages.
func (*Mean) Evaluate(c *Evaluation) error {
	return evaluateFold(c, addition.real, float64(len(c.Node.Inputs)))
}

// Integer compares codes that share one scale.
func (*Max) Integer(n *graph.Node) (IntegerForm, error) { return unified(n) }

// Integer compares codes that share one scale.
func (*Min) Integer(n *graph.Node) (IntegerForm, error) { return unified(n) }

func unified(n *graph.Node) (IntegerForm, error) {
	roles := make([]Role, len(n.Inputs))
	for i := range roles {
		roles[i] = Activation
	}
	return IntegerForm{Roles: roles, Range: RangeRule{Kind: Unified}, WeightAxis: -1}, nil
}

// The built-in max and min give NaN if either operand is NaN, as ONNX does; those of package math prefer infinities.
func maxReal(a, b float64) float64 { return max(a, b) }
func minReal(a, b float64) float64 { return min(a, b) }

func maxInt(a, b int64) int64 { return max(a, b) }
func minInt(a, b int64) int64 { return min(a, b) }

func evaluateExtreme(c *Evaluation, real func(a, b float64) float64, integer func(a, b int64) int64) error {
	if !c.In(0).DType().IsInteger() {
		return evaluateFold(c, real, 1)
	}
	shape, err := fold(c, Int64s, integer, func(dtype tensor.DType, shape []int, values []int64) {
		c.Set(0, FromInt64s(dtype, shape, values))
	})
	if err != nil {
		return fmt.Errorf("operands cannot be broadcast to %v: %w", shape, err)
	}
	return nil
}

func evaluateFold(c *Evaluation, f func(a, b float64) float64, divisor float64) error {
	_, err := fold(c, Float64s, f, func(dtype tensor.DType, shape []int, values []float64) {
		if divisor != 1 {
			for i := range values {
				values[i] /= divisor
			}
		}
		c.Set(0, fromFloat64sOrInts(dtype, shape, values))
	})
	return err
}

// fold combines all operands with f, from the first to the last.
func fold[T any](c *Evaluation, read func(*tensor.Tensor) []T, f func(a, b T) T, set func(tensor.DType, []int, []T)) ([]int, error) {
	shapes := make([][]int, len(c.in))
	for i, x := range c.in {
		shapes[i] = x.Shape()
	}
	shape, err := broadcastSizes(shapes...)
	if err != nil {
		return shape, err
	}
	values := make([]T, product(shape))
	for i, x := range c.in {
		index, err := broadcastIndex(x.Shape(), shape)
		if err != nil {
			return shape, err
		}
		operand := read(x)
		for j := range values {
			if i == 0 {
				values[j] = operand[index(j)]
			} else {
				values[j] = f(values[j], operand[index(j)])
			}
		}
	}
	set(c.in[0].DType(), shape, values)
	return shape, nil
}

// Comparison compares two operands of one type, broadcast, to a Bool: Equal, Less, LessOrEqual, Greater,
// GreaterOrEqual; and And, Or, Xor of Bools.
type Comparison struct{ is *comparison }

type comparison struct {
	name string
	real func(a, b float64) bool
	ints func(a, b int64) bool
}

var comparisons = []*comparison{
	{"Equal", func(a, b float64) bool { return a == b }, func(a, b int64) bool { return a == b }},
	{"Less", func(a, b float64) bool { return a < b }, func(a, b int64) bool { return a < b }},
	{"LessOrEqual", func(a, b float64) bool { return a <= b }, func(a, b int64) bool { return a <= b }},
	{"Greater", func(a, b float64) bool { return a > b }, func(a, b int64) bool { return a > b }},
	{"GreaterOrEqual", func(a, b float64) bool { return a >= b }, func(a, b int64) bool { return a >= b }},
	{"And", nil, func(a, b int64) bool { return a != 0 && b != 0 }},
	{"Or", nil, func(a, b int64) bool { return a != 0 || b != 0 }},
	{"Xor", nil, func(a, b int64) bool { return (a != 0) != (b != 0) }},
}

// NewComparison makes the comparison of a name; nil if there is none.
func NewComparison(name string) *Comparison {
	for _, is := range comparisons {
		if is.name == name {
			return &Comparison{is}
		}
	}
	return nil
}

// Type is the ONNX name.
func (o *Comparison) Type() string { return o.is.name }

// Infer broadcasts and compares integers that are known.
func (o *Comparison) Infer(c *Inference) error {
	if err := inferBroadcast(c, tensor.Bool); err != nil {
		return err
	}
	left, right, ok := knownPairs(c)
	if !ok {
		return nil
	}
	data := make([]Int, len(left))
	for i := range data {
		if !left[i].Known || !right[i].Known {
			continue
		}
		data[i] = Literal(0)
		if o.is.ints(left[i].Value, right[i].Value) {
			data[i] = Literal(1)
		}
	}
	c.SetData(0, data)
	return nil
}

// Evaluate compares.
func (o *Comparison) Evaluate(c *Evaluation) error {
	set := func(shape []int, values []bool) { c.Set(0, tensor.Of(values, shape...)) }
	if c.In(0).DType().IsFloat() {
		if o.is.real == nil {
			return fmt.Errorf("%s wants Bools, not %s", o.is.name, c.In(0))
		}
		return zip(c, Float64s(c.In(0)), Float64s(c.In(1)), o.is.real, set)
	}
	return zip(c, Int64s(c.In(0)), Int64s(c.In(1)), o.is.ints, set)
}

// Not inverts Bools.
type Not struct{}

// Type is "Not".
func (*Not) Type() string { return "Not" }

// Infer keeps the type.
func (*Not) Infer(c *Inference) error { return inferUnary(c) }

// Evaluate inverts.
func (*Not) Evaluate(c *Evaluation) error {
	c.Set(0, tensor.Of(convert(Int64s(c.In(0)), func(v int64) bool { return v == 0 }), c.In(0).Shape()...))
	return nil
}

// Where chooses elements of operand 1 where operand 0 (Bool) holds, of operand 2 elsewhere; all are broadcast.
type Where struct{}

// Type is "Where".
func (*Where) Type() string { return "Where" }

// Infer broadcasts.
func (*Where) Infer(c *Inference) error {
	dtype, err := element(c, 1, 2)
	if err != nil {
		return err
	}
	if err := inferBroadcast(c, dtype); err != nil {
		return err
	}
	which, ok := c.Data(0)
	a, known := c.Data(1)
	b, both := c.Data(2)
	if !ok || !known || !both || len(which) == 0 || len(a) == 0 || len(b) == 0 {
		return nil
	}
	if len(c.In(0).Shape) > 1 || len(c.In(1).Shape) > 1 || len(c.In(2).Shape) > 1 {
		return nil
	}
	data := make([]Int, max(len(which), len(a), len(b)))
	for _, n := range []int{len(which), len(a), len(b)} {
		if n != 1 && n != len(data) {
			return nil
		}
	}
	for i := range data {
		switch w := at(which, i); {
		case !w.Known:
		case w.Value != 0:
			data[i] = at(a, i)
		default:
			data[i] = at(b, i)
		}
	}
	c.SetData(0, data)
	return nil
}

// Evaluate chooses.
func (*Where) Evaluate(c *Evaluation) error {
	shape, err := broadcastSizes(c.In(0).Shape(), c.In(1).Shape(), c.In(2).Shape())
	if err != nil {
		return err
	}
	index := make([]func(int) int, 3)
	for i := range index {
		if index[i], err = broadcastIndex(c.In(i).Shape(), shape); err != nil {
			return err
		}
	}
	which := Int64s(c.In(0))
	if c.In(1).DType() != c.In(2).DType() || c.In(1).DType().Bits() < 8 {
		return fmt.Errorf("cannot choose between %s and %s", c.In(1), c.In(2))
	}
	out := tensor.New(c.In(1).DType(), shape...)
	size := out.DType().Bits() / 8
	for i := range product(shape) {
		from, at := c.In(2), index[2](i)
		if which[index[0](i)] != 0 {
			from, at = c.In(1), index[1](i)
		}
		copy(out.Bytes()[i*size:(i+1)*size], from.Bytes()[at*size:])
	}
	c.Set(0, out)
	return nil
}
