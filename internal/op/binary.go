package op

import (
	"errors"
	"fmt"
	"math"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/tensor"
)

// Arithmetic operators on two operands, broadcast to each other (numpy's rule). Integers wrap as in C; integer
// division truncates.
type (
	// Add is a+b, limited to Clamp.
	Add struct{ Clamp *Clamp }
	// Sub is a−b.
	Sub struct{}
	// Mul is a·b.
	Mul struct{}
	// Div is a/b.
	Div struct{}
	// Pow is a to the power of b, in the element type of a.
	Pow struct{}
	// Mod is the remainder of a/b, with the sign of b, or of a if Fmod (C's fmod).
	Mod struct{ Fmod bool }
)

// binary is the meaning of an arithmetic operator on two real numbers or two integers.
type binary struct {
	real    func(a, b float64) float64
	integer func(a, b int64) int64
}

// Type is "Add".
func (*Add) Type() string { return "Add" }

// Type is "Sub".
func (*Sub) Type() string { return "Sub" }

// Type is "Mul".
func (*Mul) Type() string { return "Mul" }

// Type is "Div".
func (*Div) Type() string { return "Div" }

// Type is "Pow".
func (*Pow) Type() string { return "Pow" }

// Type is "Mod".
func (*Mod) Type() string { return "Mod" }

var (
	addition    = binary{func(a, b float64) float64 { return a + b }, func(a, b int64) int64 { return a + b }}
	subtraction = binary{func(a, b float64) float64 { return a - b }, func(a, b int64) int64 { return a - b }}
	multiply    = binary{func(a, b float64) float64 { return a * b }, func(a, b int64) int64 { return a * b }}
	division    = binary{func(a, b float64) float64 { return a / b }, func(a, b int64) int64 {
		if b == 0 {
			return 0
		}
		return a / b
	}}
	power = binary{math.Pow, integerPower}
)

// Infer broadcasts.
func (o *Add) Infer(c *Inference) error { return inferBinary(c, addition) }

// Infer broadcasts.
func (o *Sub) Infer(c *Inference) error { return inferBinary(c, subtraction) }

// Infer broadcasts.
func (o *Mul) Infer(c *Inference) error { return inferBinary(c, multiply) }

// Infer broadcasts.
func (o *Div) Infer(c *Inference) error { return inferBinary(c, division) }

// Infer broadcasts.
func (o *Mod) Infer(c *Inference) error { return inferBinary(c, o.binary()) }

// Infer broadcasts; the exponent's type does not matter.
func (o *Pow) Infer(c *Inference) error { return inferBroadcast(c, c.In(0).DType) }

// integerPower is a to the power of b, wrapping; negative powers are truncated towards 0.
func integerPower(a, b int64) int64 {
	if b < 0 {
		switch {
		case a == 1 || a == -1 && b%2 == 0:
			return 1
		case a == -1:
			return -1
		}
		return 0
	}
	y := int64(1)
	for ; b > 0; b >>= 1 {
		if b&1 == 1 {
			y *= a
		}
		a *= a
	}
	return y
}

func (o *Mod) binary() binary {
	if o.Fmod {
		return binary{math.Mod, func(a, b int64) int64 {
			if b == 0 {
				return 0
			}
			return a % b
		}}
	}
	return binary{func(a, b float64) float64 {
		r := math.Mod(a, b)
		if r != 0 && (r < 0) != (b < 0) {
			r += b
		}
		return r
	}, func(a, b int64) int64 {
		if b == 0 {
			return 0
		}
		r := a % b
		if r != 0 && (r < 0) != (b < 0) {
			r += b
		}
		return r
	}}
}

// inferBroadcast gives all operands' broadcast shape.
func inferBroadcast(c *Inference, dtype tensor.DType) error {
	shapes := make([]graph.Shape, 0, len(c.Node.Inputs))
	for i := range c.Node.Inputs {
		if !c.Has(i) {
			continue
		}
		s := c.In(i).Shape
		if s == nil {
			c.SetOut(0, dtype, nil)
			return nil
		}
		shapes = append(shapes, s)
	}
	shape, err := broadcastShapes(shapes...)
	if err != nil {
		return err
	}
	c.SetOut(0, dtype, shape)
	return nil
}

// inferBinary broadcasts two operands of one type and computes integers that are known.
func inferBinary(c *Inference, b binary) error {
	if c.In(0).Quant != nil || c.In(1).Quant != nil {
		return inferBroadcast(c, tensor.Invalid)
	}
	dtype, err := element(c, 0, 1)
	if err != nil {
		return err
	}
	if err := inferBroadcast(c, dtype); err != nil {
		return err
	}
	left, right, ok := knownPairs(c)
	if !ok {
		return nil
	}
	data := make([]Int, len(left))
	for i := range data {
		if p, q := left[i], right[i]; p.Known && q.Known {
			data[i] = Literal(b.integer(p.Value, q.Value))
		}
	}
	c.SetData(0, data)
	return nil
}

// Evaluate adds; on codes as numeric.Sum says.
func (o *Add) Evaluate(c *Evaluation) error {
	if c.Node.Compute == graph.Integer {
		return evaluateSum(c, o.Clamp, false)
	}
	if o.Clamp == nil {
		return evaluateBinary(c, addition)
	}
	if err := wantFloats(c, 0, 1); err != nil {
		return err
	}
	// Limits are exact as float32, so limiting before or after rounding is the same.
	limit := clip(float64(o.Clamp.Min), float64(o.Clamp.Max))
	return evaluateBinary(c, binary{real: func(a, b float64) float64 { return limit(a + b) }})
}

// Evaluate subtracts; on codes as numeric.Sum says.
func (o *Sub) Evaluate(c *Evaluation) error {
	if c.Node.Compute == graph.Integer {
		return evaluateSum(c, nil, true)
	}
	return evaluateBinary(c, subtraction)
}

// Evaluate multiplies; on codes as numeric.Product says.
func (o *Mul) Evaluate(c *Evaluation) error {
	if c.Node.Compute != graph.Integer {
		return evaluateBinary(c, multiply)
	}
	if err := wantPerTensor(c.Node, 2); err != nil {
		return err
	}
	product := c.Node.Arithmetic.Product(InputCodes(c.Node, 0), InputCodes(c.Node, 1), OutputCodes(c.Node, nil))
	return onCodes(c, product.Code)
}

// Evaluate divides; codes are dequantized, divided in float32 and quantized.
func (o *Div) Evaluate(c *Evaluation) error {
	if c.Node.Compute == graph.Integer {
		return onReals(c, func(a, b float32) float32 { return a / b })
	}
	return evaluateBinary(c, division)
}

// Evaluate raises to a power.
func (o *Pow) Evaluate(c *Evaluation) error { return evaluateBinary(c, power) }

// Evaluate takes the remainder.
func (o *Mod) Evaluate(c *Evaluation) error { return evaluateBinary(c, o.binary()) }

// Integer adds codes of any scales.
func (o *Add) Integer(n *graph.Node) (IntegerForm, error) { return twoActivations(n) }

// Integer subtracts codes of any scales.
func (o *Sub) Integer(n *graph.Node) (IntegerForm, error) { return twoActivations(n) }

// Integer multiplies codes of any scales.
func (o *Mul) Integer(n *graph.Node) (IntegerForm, error) { return twoActivations(n) }

// Integer divides codes of any scales.
func (o *Div) Integer(n *graph.Node) (IntegerForm, error) { return twoActivations(n) }

func twoActivations(n *graph.Node) (IntegerForm, error) {
	if n.Inputs[0].Const != nil && n.Inputs[1].Const != nil {
		return IntegerForm{}, fmt.Errorf("both its operands are constant")
	}
	return IntegerForm{Roles: []Role{Activation, Activation}, WeightAxis: -1}, nil
}

// evaluateBinary applies the operator to floats (in float64, rounded once) or integers.
func evaluateBinary(c *Evaluation, b binary) error {
	x, y := c.In(0), c.In(1)
	if x.DType().IsInteger() && y.DType().IsInteger() {
		return zip(c, Int64s(x), Int64s(y), b.integer, func(shape []int, values []int64) {
			c.Set(0, FromInt64s(x.DType(), shape, values))
		})
	}
	return zip(c, Float64s(x), Float64s(y), b.real, func(shape []int, values []float64) {
		c.Set(0, fromFloat64sOrInts(x.DType(), shape, values))
	})
}

// zip applies f to pairs of elements of operands 0 and 1, broadcast.
func zip[T, R any](c *Evaluation, x, y []T, f func(a, b T) R, set func(shape []int, values []R)) error {
	shape, err := broadcastSizes(c.In(0).Shape(), c.In(1).Shape())
	if err != nil {
		return err
	}
	left, err := broadcastIndex(c.In(0).Shape(), shape)
	if err != nil {
		return err
	}
	right, err := broadcastIndex(c.In(1).Shape(), shape)
	if err != nil {
		return err
	}
	values := make([]R, product(shape))
	for i := range values {
		values[i] = f(x[left(i)], y[right(i)])
	}
	set(shape, values)
	return nil
}

// onCodes applies a function of two codes.
func onCodes(c *Evaluation, f func(a, b int32) int32) error {
	return zip(c, c.Codes(0), c.Codes(1), f, func(shape []int, codes []int32) { c.SetCodes(0, shape, codes) })
}

// onReals applies a function to the reals that two codes stand for and quantizes the result.
func onReals(c *Evaluation, f func(a, b float32) float32) error {
	if err := wantPerTensor(c.Node, 2); err != nil {
		return err
	}
	qa, qb, out := c.InQuant(0), c.InQuant(1), OutputCodes(c.Node, nil)
	return onCodes(c, func(a, b int32) int32 {
		y := f(numeric.Dequantize(a, qa.ZeroPoint[0], qa.Scale[0]), numeric.Dequantize(b, qb.ZeroPoint[0], qb.Scale[0]))
		return c.Node.Arithmetic.Quantize(y, out)
	})
}

// evaluateSum adds or subtracts codes.
func evaluateSum(c *Evaluation, clamp *Clamp, subtract bool) error {
	if err := wantPerTensor(c.Node, 2); err != nil {
		return err
	}
	sum := c.Node.Arithmetic.Sum(subtract, InputCodes(c.Node, 0), InputCodes(c.Node, 1), OutputCodes(c.Node, clamp))
	return onCodes(c, sum.Code)
}

// PRelu is x for positive x, slope·x otherwise; slope is broadcast to x. Operands: x, slope.
type PRelu struct{}

// Type is "PRelu".
func (*PRelu) Type() string { return "PRelu" }

// Infer keeps the type of x.
func (o *PRelu) Infer(c *Inference) error { return inferUnary(c) }

// Integer takes a constant slope as it is, in float.
func (o *PRelu) Integer(n *graph.Node) (IntegerForm, error) {
	if n.Inputs[1].Const == nil {
		return IntegerForm{}, fmt.Errorf("its slope is not constant")
	}
	return IntegerForm{Roles: []Role{Activation, Plain}, WeightAxis: -1}, nil
}

// Evaluate applies the slope to negative elements.
func (o *PRelu) Evaluate(c *Evaluation) error {
	x := c.In(0)
	index, err := broadcastIndex(c.In(1).Shape(), x.Shape())
	if err != nil {
		return err
	}
	if c.Node.Compute == graph.Integer {
		if err := errors.Join(wantPerTensor(c.Node, 1), wantFloats(c, 1)); err != nil {
			return err
		}
		slope := c.Floats(1)
		in, result := InputCodes(c.Node, 0), OutputCodes(c.Node, nil)
		codes := c.Codes(0)
		out := make([]int32, len(codes))
		for i, q := range codes {
			out[i] = c.Node.Arithmetic.Function("PRelu", preluFunction(slope[index(i)]), in, result)(q)
		}
		c.SetCodes(0, x.Shape(), out)
		return nil
	}
	values, slope := Float64s(x), Float64s(c.In(1))
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = v
		if v < 0 {
			out[i] = v * slope[index(i)]
		}
	}
	c.Set(0, fromFloat64sOrInts(x.DType(), x.Shape(), out))
	return nil
}

// preluFunction is the real function of one channel.
func preluFunction(slope float32) func(float64) float64 {
	f, _ := (&LeakyRelu{Alpha: slope}).Real(nil)
	return f
}
