package op

import (
	"fmt"
	"math"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/tensor"
)

// Bitwise combines the bits of two integers of one type, broadcast: BitwiseAnd, BitwiseOr, BitwiseXor; the name tells
// which.
type Bitwise struct{ is *bitwise }

type bitwise struct {
	name    string
	combine func(a, b int64) int64
}

var bitwises = []*bitwise{
	{"BitwiseAnd", func(a, b int64) int64 { return a & b }},
	{"BitwiseOr", func(a, b int64) int64 { return a | b }},
	{"BitwiseXor", func(a, b int64) int64 { return a ^ b }},
}

// NewBitwise makes the bitwise operator of a name; nil if there is none.
func NewBitwise(name string) *Bitwise {
	for _, is := range bitwises {
		if is.name == name {
			return &Bitwise{is}
		}
	}
	return nil
}

// Type is the ONNX name.
func (o *Bitwise) Type() string { return o.is.name }

// Infer broadcasts.
func (o *Bitwise) Infer(c *Inference) error { return inferNary(c) }

// Evaluate combines.
func (o *Bitwise) Evaluate(c *Evaluation) error { return evaluateIntegers(c, o.is.combine) }

// evaluateIntegers applies a function of two integers.
func evaluateIntegers(c *Evaluation, f func(a, b int64) int64) error {
	x, y := c.In(0), c.In(1)
	if !x.DType().IsInteger() || !y.DType().IsInteger() {
		return fmt.Errorf("operands %s and %s, wants integers", x, y)
	}
	return zip(c, Int64s(x), Int64s(y), f, func(shape []int, values []int64) {
		c.Set(0, FromInt64s(x.DType(), shape, values))
	})
}

// BitwiseNot inverts the bits of integers.
type BitwiseNot struct{}

// BitShift shifts unsigned integers by as many bits as operand 1 says, to the left, or to the right if Right (ONNX
// direction RIGHT). What is shifted out is lost.
type BitShift struct{ Right bool }

// Type is "BitwiseNot".
func (*BitwiseNot) Type() string { return "BitwiseNot" }

// Type is "BitShift".
func (*BitShift) Type() string { return "BitShift" }

// Infer keeps the type.
func (*BitwiseNot) Infer(c *Inference) error { return inferUnary(c) }

// Infer broadcasts.
func (*BitShift) Infer(c *Inference) error { return inferNary(c) }

// Evaluate inverts.
func (*BitwiseNot) Evaluate(c *Evaluation) error {
	x := c.In(0)
	if !x.DType().IsInteger() {
		return fmt.Errorf("input %s, wants integers", x)
	}
	c.Set(0, FromInt64s(x.DType(), x.Shape(), convert(Int64s(x), func(v int64) int64 { return ^v })))
	return nil
}

// Evaluate shifts. Unsigned elements of every width are exact as uint64.
func (o *BitShift) Evaluate(c *Evaluation) error {
	if c.In(0).DType().IsSigned() {
		return fmt.Errorf("input %s, wants unsigned integers", c.In(0))
	}
	return evaluateIntegers(c, func(a, b int64) int64 {
		if o.Right {
			return int64(uint64(a) >> uint64(b))
		}
		return int64(uint64(a) << uint64(b))
	})
}

// IsNaN tells which floats are no number.
type IsNaN struct{}

// IsInf tells which floats are infinite, of the signs to be detected.
type IsInf struct{ DetectNegative, DetectPositive bool }

// Type is "IsNaN".
func (*IsNaN) Type() string { return "IsNaN" }

// Type is "IsInf".
func (*IsInf) Type() string { return "IsInf" }

// Infer is Bool.
func (*IsNaN) Infer(c *Inference) error { return inferTest(c) }

// Infer is Bool.
func (*IsInf) Infer(c *Inference) error { return inferTest(c) }

func inferTest(c *Inference) error {
	c.SetOut(0, tensor.Bool, append(graph.Shape(nil), c.In(0).Shape...))
	return nil
}

// Evaluate tests every element.
func (*IsNaN) Evaluate(c *Evaluation) error { return evaluateTest(c, math.IsNaN) }

// Evaluate tests every element.
func (o *IsInf) Evaluate(c *Evaluation) error {
	return evaluateTest(c, func(v float64) bool {
		return o.DetectPositive && math.IsInf(v, 1) || o.DetectNegative && math.IsInf(v, -1)
	})
}

func evaluateTest(c *Evaluation, test func(v float64) bool) error {
	if err := wantFloats(c, 0); err != nil {
		return err
	}
	c.Set(0, tensor.Of(convert(Float64s(c.In(0)), test), c.In(0).Shape()...))
	return nil
}

// wantFloats is an error if one of the given operands is not floating-point.
func wantFloats(c *Evaluation, operands ...int) error {
	for _, i := range operands {
		if !c.In(i).DType().IsFloat() {
			return fmt.Errorf("input %d is %s, wants floats", i, c.In(i))
		}
	}
	return nil
}

// wantPerTensor is an error unless the first inputs and the output have one scale each.
func wantPerTensor(n *graph.Node, inputs int) error {
	for i := range inputs {
		if v := n.Input(i); v == nil || !v.Type.Quant.IsPerTensor() {
			return fmt.Errorf("its input %d is not quantized with one scale", i)
		}
	}
	if v := n.Outputs[0]; v == nil || !v.Type.Quant.IsPerTensor() {
		return fmt.Errorf("its output is not quantized with one scale")
	}
	return nil
}
