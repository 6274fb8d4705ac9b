package op

import (
	"fmt"
	"math"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/tensor"
)

// Unary is implemented by operators that apply one real function to every element. All of them share inference,
// evaluation on floats, and the table form on codes.
type Unary interface {
	Operator
	// Real is the function, built from package numeric so that its bits are the same on every architecture.
	Real(n *graph.Node) (func(float64) float64, error)
}

// inferUnary keeps the type of the operand; the element type of codes is the output's own.
func inferUnary(c *Inference) error {
	dtype := c.In(0).DType
	if c.In(0).Quant != nil {
		dtype = tensor.Invalid
	}
	c.SetOut(0, dtype, c.In(0).Shape)
	return nil
}

// integerUnary is the form of a unary operator on codes: a table from input codes to output codes.
func integerUnary(n *graph.Node, rule RangeRule) (IntegerForm, error) {
	roles := make([]Role, len(n.Inputs))
	roles[0] = Activation
	for i, v := range n.Inputs[1:] {
		if v != nil && v.Const == nil {
			return IntegerForm{}, fmt.Errorf("operand %d is computed while the model runs", i+1)
		}
	}
	return IntegerForm{Roles: roles, Range: rule, WeightAxis: -1}, nil
}

// evaluateUnary applies the function to floats, integers or codes.
func evaluateUnary(c *Evaluation, u Unary) error {
	f, err := u.Real(c.Node)
	if err != nil {
		return err
	}
	x := c.In(0)
	if c.Node.Compute == graph.Integer {
		code, err := UnaryCodes(c.Node)
		if err != nil {
			return err
		}
		codes := c.Codes(0)
		out := make([]int32, len(codes))
		if x.DType().Bits() <= 8 {
			var table [256]int32
			for i := range table {
				q := int32(i)
				if x.DType().IsSigned() {
					q = int32(int8(i))
				}
				table[i] = code(q)
			}
			code = func(q int32) int32 { return table[uint8(q)] }
		}
		for i, q := range codes {
			out[i] = code(q)
		}
		c.SetCodes(0, x.Shape(), out)
		return nil
	}
	values := Float64s(x)
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = f(v)
	}
	c.Set(0, fromFloat64sOrInts(x.DType(), x.Shape(), out))
	return nil
}

// UnaryCodes is the function from input codes to output codes of an integer node with a unary operator: what kernels
// tabulate.
func UnaryCodes(n *graph.Node) (func(q int32) int32, error) {
	u, ok := n.Op.(Unary)
	if !ok {
		return nil, fmt.Errorf("%s is not a function of single elements", n.Describe())
	}
	f, err := u.Real(n)
	if err != nil {
		return nil, err
	}
	qx, qy := n.Inputs[0].Type.Quant, n.Outputs[0].Type.Quant
	if !qx.IsPerTensor() || !qy.IsPerTensor() {
		return nil, fmt.Errorf("%s: wants one scale for input and output", n.Describe())
	}
	return n.Arithmetic.Function(n.Op.Type(), f, InputCodes(n, 0), OutputCodes(n, nil)), nil
}

// function is a unary operator without attributes.
type function struct {
	name string
	rule RangeRule
	real func(float64) float64
	// floatOnly functions come from package math: their last bits may differ by architecture, so there are no tables
	// of them.
	floatOnly bool
	// integer is the function on integers that are not codes, exact for all of them; nil: by real.
	integer func(int64) int64
}

// Function is any of the unary operators without attributes; the name tells which.
type Function struct{ is *function }

// Type is the ONNX name.
func (o *Function) Type() string { return o.is.name }

// Infer keeps the type and follows integer values.
func (o *Function) Infer(c *Inference) error {
	if data, ok := c.Data(0); ok && o.is.integer != nil {
		c.SetData(0, convert(data, func(n Int) Int {
			if !n.Known {
				return Int{}
			}
			return Literal(o.is.integer(n.Value))
		}))
	}
	return inferUnary(c)
}

// Real is the function itself.
func (o *Function) Real(*graph.Node) (func(float64) float64, error) { return o.is.real, nil }

// Integer is a table.
func (o *Function) Integer(n *graph.Node) (IntegerForm, error) {
	if o.is.floatOnly {
		return IntegerForm{}, fmt.Errorf("the operator has no integer form")
	}
	return integerUnary(n, o.is.rule)
}

// Evaluate applies the function.
func (o *Function) Evaluate(c *Evaluation) error {
	x := c.In(0)
	if c.Node.Compute == graph.Float && x.DType().IsInteger() && o.is.integer != nil {
		c.Set(0, FromInt64s(x.DType(), x.Shape(), convert(Int64s(x), o.is.integer)))
		return nil
	}
	return evaluateUnary(c, o)
}

var (
	unitRange      = RangeRule{Kind: Fixed, Min: 0, Max: 1}
	symmetricRange = RangeRule{Kind: Fixed, Min: -1, Max: 1}
)

// functions are the unary operators without attributes.
var functions = []*function{
	{name: "Relu", real: func(x float64) float64 { return max(x, 0) }},
	{name: "Sigmoid", rule: unitRange, real: numeric.Sigmoid},
	{name: "Tanh", rule: symmetricRange, real: numeric.Tanh},
	{name: "Softplus", real: numeric.Softplus},
	{name: "Softsign", rule: symmetricRange, real: func(x float64) float64 { return x / (1 + math.Abs(x)) }},
	{name: "HardSwish", real: func(x float64) float64 { return x * min(max(x+3, 0), 6) / 6 }},
	{name: "Mish", real: func(x float64) float64 { return x * numeric.Tanh(numeric.Softplus(x)) }},
	{name: "Erf", rule: symmetricRange, real: numeric.Erf},
	{name: "Exp", real: numeric.Exp},
	{name: "Log", real: numeric.Log},
	{name: "Sqrt", real: math.Sqrt},
	{name: "Reciprocal", real: func(x float64) float64 { return 1 / x }},
	{name: "Neg", real: func(x float64) float64 { return -x }, integer: func(x int64) int64 { return -x }},
	{name: "Abs", real: math.Abs, integer: func(x int64) int64 { return max(x, -x) }},
	{name: "Sign", real: func(x float64) float64 {
		switch {
		case x > 0:
			return 1
		case x < 0:
			return -1
		}
		return x // ±0 and NaN
	}},
	{name: "Ceil", real: math.Ceil},
	{name: "Floor", real: math.Floor},
	{name: "Round", real: math.RoundToEven},
	{name: "Sin", real: math.Sin, floatOnly: true},
	{name: "Cos", real: math.Cos, floatOnly: true},
	{name: "Tan", real: math.Tan, floatOnly: true},
	{name: "Asin", real: math.Asin, floatOnly: true},
	{name: "Acos", real: math.Acos, floatOnly: true},
	{name: "Atan", real: math.Atan, floatOnly: true},
	{name: "Sinh", real: math.Sinh, floatOnly: true},
	{name: "Cosh", real: math.Cosh, floatOnly: true},
	{name: "Asinh", real: math.Asinh, floatOnly: true},
	{name: "Acosh", real: math.Acosh, floatOnly: true},
	{name: "Atanh", real: math.Atanh, floatOnly: true},
}

// NewFunction makes the unary operator of a name; nil if there is none.
func NewFunction(name string) *Function {
	for _, f := range functions {
		if f.name == name {
			return &Function{f}
		}
	}
	return nil
}

// LeakyRelu is x for positive x, Alpha·x otherwise.
type LeakyRelu struct{ Alpha float32 }

// Type is "LeakyRelu".
func (*LeakyRelu) Type() string { return "LeakyRelu" }

// Infer keeps the type.
func (o *LeakyRelu) Infer(c *Inference) error { return inferUnary(c) }

// Integer is a table.
func (o *LeakyRelu) Integer(n *graph.Node) (IntegerForm, error) { return integerUnary(n, RangeRule{}) }

// Evaluate applies the function.
func (o *LeakyRelu) Evaluate(c *Evaluation) error { return evaluateUnary(c, o) }

// Real is the function.
func (o *LeakyRelu) Real(*graph.Node) (func(float64) float64, error) {
	return func(x float64) float64 {
		if x < 0 {
			return float64(o.Alpha) * x
		}
		return x
	}, nil
}

// Elu is x for positive x, Alpha·(exp(x/Gamma)−1) otherwise, all times Scale: ONNX Elu (Gamma 1, Scale 1), Celu
// (Gamma = Alpha, Scale 1) and Selu (Gamma 1, Scale its gamma attribute) are spellings of it.
type Elu struct{ Alpha, Gamma, Scale float32 }

// Type is "Elu".
func (*Elu) Type() string { return "Elu" }

// Infer keeps the type.
func (o *Elu) Infer(c *Inference) error { return inferUnary(c) }

// Integer is a table.
func (o *Elu) Integer(n *graph.Node) (IntegerForm, error) { return integerUnary(n, RangeRule{}) }

// Evaluate applies the function.
func (o *Elu) Evaluate(c *Evaluation) error { return evaluateUnary(c, o) }

// Real is the function.
func (o *Elu) Real(*graph.Node) (func(float64) float64, error) {
	alpha, gamma, scale := float64(o.Alpha), float64(o.Gamma), float64(o.Scale)
	return func(x float64) float64 {
		if x < 0 {
			return scale * float64(alpha*numeric.Expm1(x/gamma))
		}
		return scale * x
	}, nil
}

// HardSigmoid is clamp(Alpha·x + Beta, 0, 1).
type HardSigmoid struct{ Alpha, Beta float32 }

// Type is "HardSigmoid".
func (*HardSigmoid) Type() string { return "HardSigmoid" }

// Infer keeps the type.
func (o *HardSigmoid) Infer(c *Inference) error { return inferUnary(c) }

// Integer is a table.
func (o *HardSigmoid) Integer(n *graph.Node) (IntegerForm, error) { return integerUnary(n, unitRange) }

// Evaluate applies the function.
func (o *HardSigmoid) Evaluate(c *Evaluation) error { return evaluateUnary(c, o) }

// Real is the function.
func (o *HardSigmoid) Real(*graph.Node) (func(float64) float64, error) {
	return func(x float64) float64 { return min(max(float64(float64(o.Alpha)*x)+float64(o.Beta), 0), 1) }, nil
}

// Gelu is x·Φ(x): exactly, or by the tanh approximation (Hendrycks and Gimpel 2016) if Tanh.
type Gelu struct{ Tanh bool }

// Type is "Gelu".
func (*Gelu) Type() string { return "Gelu" }

// Infer keeps the type.
func (o *Gelu) Infer(c *Inference) error { return inferUnary(c) }

// Integer is a table.
func (o *Gelu) Integer(n *graph.Node) (IntegerForm, error) { return integerUnary(n, RangeRule{}) }

// Evaluate applies the function.
func (o *Gelu) Evaluate(c *Evaluation) error { return evaluateUnary(c, o) }

// Real is the function.
func (o *Gelu) Real(*graph.Node) (func(float64) float64, error) {
	if o.Tanh {
		return func(x float64) float64 {
			inner := math.Sqrt(2/math.Pi) * (x + float64(0.044715*x*x*x))
			return 0.5 * x * (1 + numeric.Tanh(inner))
		}, nil
	}
	return func(x float64) float64 { return 0.5 * x * (1 + numeric.Erf(x/math.Sqrt2)) }, nil
}

// Swish is x·sigmoid(Alpha·x); SiLU with Alpha 1.
type Swish struct{ Alpha float32 }

// Type is "Swish".
func (*Swish) Type() string { return "Swish" }

// Infer keeps the type.
func (o *Swish) Infer(c *Inference) error { return inferUnary(c) }

// Integer is a table.
func (o *Swish) Integer(n *graph.Node) (IntegerForm, error) { return integerUnary(n, RangeRule{}) }

// Evaluate applies the function.
func (o *Swish) Evaluate(c *Evaluation) error { return evaluateUnary(c, o) }

// Real is the function.
func (o *Swish) Real(*graph.Node) (func(float64) float64, error) {
	return func(x float64) float64 { return x * numeric.Sigmoid(float64(o.Alpha)*x) }, nil
}

// ThresholdedRelu is x where it is above Alpha, else 0.
type ThresholdedRelu struct{ Alpha float32 }

// Type is "ThresholdedRelu".
func (*ThresholdedRelu) Type() string { return "ThresholdedRelu" }

// Infer keeps the type.
func (o *ThresholdedRelu) Infer(c *Inference) error { return inferUnary(c) }

// Integer is a table.
func (o *ThresholdedRelu) Integer(n *graph.Node) (IntegerForm, error) {
	return integerUnary(n, RangeRule{})
}

// Evaluate applies the function.
func (o *ThresholdedRelu) Evaluate(c *Evaluation) error { return evaluateUnary(c, o) }

// Real is the function.
func (o *ThresholdedRelu) Real(*graph.Node) (func(float64) float64, error) {
	return func(x float64) float64 {
		if x > float64(o.Alpha) {
			return x
		}
		return 0
	}, nil
}

// Shrink is x+Bias below −Lambd, x−Bias above Lambd, else 0.
type Shrink struct{ Bias, Lambd float32 }

// Type is "Shrink".
func (*Shrink) Type() string { return "Shrink" }

// Infer keeps the type.
func (o *Shrink) Infer(c *Inference) error { return inferUnary(c) }

// Integer is a table.
func (o *Shrink) Integer(n *graph.Node) (IntegerForm, error) { return integerUnary(n, RangeRule{}) }

// Evaluate applies the function.
func (o *Shrink) Evaluate(c *Evaluation) error { return evaluateUnary(c, o) }

// Real is the function.
func (o *Shrink) Real(*graph.Node) (func(float64) float64, error) {
	return func(x float64) float64 {
		switch {
		case x < -float64(o.Lambd):
			return x + float64(o.Bias)
		case x > float64(o.Lambd):
			return x - float64(o.Bias)
		}
		return 0
	}, nil
}

// Clip limits elements to [min, max]. Operands: x, min (scalar, optional), max (scalar, optional).
type Clip struct{}

// Type is "Clip".
func (*Clip) Type() string { return "Clip" }

// Infer keeps the type.
func (o *Clip) Infer(c *Inference) error { return inferUnary(c) }

// Integer is a table; the bounds must be constant.
func (o *Clip) Integer(n *graph.Node) (IntegerForm, error) { return integerUnary(n, RangeRule{}) }

// Bounds are the constant bounds of a node, infinite where absent; ok is false if one is computed.
func (o *Clip) Bounds(n *graph.Node) (lowest, highest float64, ok bool) {
	lowest, highest = math.Inf(-1), math.Inf(1)
	for i, bound := range []*float64{&lowest, &highest} {
		v := n.Input(i + 1)
		if v == nil {
			continue
		}
		if v.Const == nil || v.Const.Len() != 1 {
			return 0, 0, false
		}
		*bound = Float64s(v.Const)[0]
	}
	return lowest, highest, true
}

// Real is the function for constant bounds.
func (o *Clip) Real(n *graph.Node) (func(float64) float64, error) {
	lowest, highest, ok := o.Bounds(n)
	if !ok {
		return nil, fmt.Errorf("its bounds are not constant")
	}
	return clip(lowest, highest), nil
}

func clip(lowest, highest float64) func(float64) float64 {
	return func(x float64) float64 { return min(max(x, lowest), highest) }
}

// Evaluate limits the elements, by bounds that may be computed.
func (o *Clip) Evaluate(c *Evaluation) error {
	if c.Node.Compute == graph.Integer {
		return evaluateUnary(c, o)
	}
	x := c.In(0)
	if x.DType().IsInteger() { // int64 bounds do not fit a float64
		values := Int64s(x)
		lowest, highest := int64(math.MinInt64), int64(math.MaxInt64)
		for i, bound := range []*int64{&lowest, &highest} {
			if c.Has(i + 1) {
				var err error
				if *bound, err = scalarInt(c, i+1); err != nil {
					return err
				}
			}
		}
		c.Set(0, FromInt64s(x.DType(), x.Shape(), convert(values, func(v int64) int64 { return min(max(v, lowest), highest) })))
		return nil
	}
	if err := wantFloats(c, 0); err != nil {
		return err
	}
	lowest, highest := math.Inf(-1), math.Inf(1)
	for i, bound := range []*float64{&lowest, &highest} {
		if c.Has(i + 1) {
			if c.In(i+1).Len() != 1 {
				return fmt.Errorf("bound %s is not a scalar", c.In(i+1))
			}
			*bound = Float64s(c.In(i + 1))[0]
		}
	}
	c.Set(0, FromFloat64s(x.DType(), x.Shape(), convert(Float64s(x), clip(lowest, highest))))
	return nil
}
