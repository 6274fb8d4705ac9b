package op

import (
	"context"
	"fmt"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/tensor"
)

// Evaluation is what an operator sees while it is evaluated: its node, its operands and the results it sets.
type Evaluation struct {
	Node *graph.Node
	ctx  context.Context // for operators that run bodies
	run  RunBody
	in   []*tensor.Tensor
	out  []*tensor.Tensor
}

// Evaluate computes one node from its operands (nil where absent). It returns one tensor per output; those that the
// node does not want may be nil.
func Evaluate(ctx context.Context, n *graph.Node, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	return EvaluateWith(ctx, n, in, Run)
}

// EvaluateWith is Evaluate in which the bodies of the node are run by another function, perhaps one that has them compiled.
func EvaluateWith(ctx context.Context, n *graph.Node, in []*tensor.Tensor, run RunBody) ([]*tensor.Tensor, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	o, ok := n.Op.(Operator)
	if !ok {
		return nil, fmt.Errorf("%s: operator has no definition", n.Describe())
	}
	c := &Evaluation{Node: n, ctx: ctx, run: run, in: in, out: make([]*tensor.Tensor, len(n.Outputs))}
	if err := o.Evaluate(c); err != nil {
		return nil, fmt.Errorf("%s: %w", n.Describe(), err)
	}
	for i, v := range n.Outputs {
		if v != nil && c.out[i] == nil {
			return nil, fmt.Errorf("%s: %s has no result %d, which %q would be", n.Describe(), n.Op.Type(), i, v.Name)
		}
	}
	return c.out, nil
}

// Other evaluates another node, for operators that stand for several.
func (c *Evaluation) Other(n *graph.Node, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	return EvaluateWith(c.ctx, n, in, c.run)
}

// Has reports whether operand i is present.
func (c *Evaluation) Has(i int) bool { return i < len(c.in) && c.in[i] != nil }

// require reports which of the first count operands are absent.
func (c *Evaluation) require(count int) error {
	for i := range count {
		if !c.Has(i) {
			return fmt.Errorf("operand %d is missing, wants at least %d", i, count)
		}
	}
	return nil
}

// In is operand i; nil if it is absent.
func (c *Evaluation) In(i int) *tensor.Tensor {
	if i < len(c.in) {
		return c.in[i]
	}
	return nil
}

// Wants reports whether the node has an output i.
func (c *Evaluation) Wants(i int) bool { return i < len(c.Node.Outputs) && c.Node.Outputs[i] != nil }

// Set gives the value of output i; outputs that are not wanted are ignored.
func (c *Evaluation) Set(i int, t *tensor.Tensor) {
	if i < len(c.out) {
		c.out[i] = t
	}
}

// InQuant is how operand i is quantized; nil if it is not.
func (c *Evaluation) InQuant(i int) *graph.Quant {
	if v := c.Node.Input(i); v != nil {
		return v.Type.Quant
	}
	return nil
}

// OutQuant is how output i is quantized; nil if it is not.
func (c *Evaluation) OutQuant(i int) *graph.Quant {
	if c.Wants(i) {
		return c.Node.Outputs[i].Type.Quant
	}
	return nil
}

// OutDType is the element type of output i: the declared one or, if none is known, the first operand's.
func (c *Evaluation) OutDType(i int) tensor.DType {
	if c.Wants(i) {
		if d := c.Node.Outputs[i].Type.DType; d != tensor.Invalid {
			return d
		}
	}
	if c.Has(0) {
		return c.in[0].DType()
	}
	return tensor.Float32
}

// Floats is operand i as float32, whatever its floating-point type. Read-only.
func (c *Evaluation) Floats(i int) []float32 { return Float32s(c.in[i]) }

// Codes is operand i, an integer tensor of at most 32 bits, as int32.
func (c *Evaluation) Codes(i int) []int32 { return Int32s(c.in[i]) }

// SetFloats gives output i, converted to its floating-point type.
func (c *Evaluation) SetFloats(i int, shape []int, values []float32) {
	c.Set(i, FromFloat32s(c.OutDType(i), shape, values))
}

// SetCodes gives output i from int32 codes that fit its integer type.
func (c *Evaluation) SetCodes(i int, shape []int, codes []int32) {
	wide := make([]int64, len(codes))
	for j, q := range codes {
		wide[j] = int64(q)
	}
	c.Set(i, FromInt64s(c.OutDType(i), shape, wide))
}

// Float32s reads a floating-point tensor as float32; a view where it is one already.
func Float32s(t *tensor.Tensor) []float32 {
	switch t.DType() {
	case tensor.Float32:
		return tensor.Values[float32](t)
	case tensor.Float64:
		return convert(tensor.Values[float64](t), func(v float64) float32 { return float32(v) })
	case tensor.Float16:
		return convert(tensor.Values[uint16](t), numeric.FromFloat16)
	case tensor.BFloat16:
		return convert(tensor.Values[uint16](t), numeric.FromBFloat16)
	}
	if format := smallFloat(t.DType()); format != nil {
		values := make([]float32, t.Len())
		for i := range values {
			values[i] = format.Decode(uint8(packed(t, i)))
		}
		return values
	}
	panic(fmt.Sprintf("op: %s read as floats", t))
}

// Reals reads a tensor as the real numbers that it denotes: its floats, or its codes dequantized as q says.
func Reals(t *tensor.Tensor, q *graph.Quant) []float32 { return dequantized(t, q) }

// Float64s reads any numeric tensor as float64.
func Float64s(t *tensor.Tensor) []float64 {
	switch {
	case t.DType() == tensor.Float64:
		return tensor.Values[float64](t)
	case t.DType().IsFloat():
		return convert(Float32s(t), func(v float32) float64 { return float64(v) })
	case t.DType() == tensor.Uint64:
		return convert(tensor.Values[uint64](t), func(v uint64) float64 { return float64(v) })
	}
	return convert(Int64s(t), func(v int64) float64 { return float64(v) })
}

// Int64s reads an integer or bool tensor as int64 (uint64 wraps).
func Int64s(t *tensor.Tensor) []int64 {
	switch t.DType() {
	case tensor.Int8:
		return convert(tensor.Values[int8](t), func(v int8) int64 { return int64(v) })
	case tensor.Uint8, tensor.Bool:
		return convert(tensor.Values[uint8](t), func(v uint8) int64 { return int64(v) })
	case tensor.Int16:
		return convert(tensor.Values[int16](t), func(v int16) int64 { return int64(v) })
	case tensor.Uint16:
		return convert(tensor.Values[uint16](t), func(v uint16) int64 { return int64(v) })
	case tensor.Int32:
		return convert(tensor.Values[int32](t), func(v int32) int64 { return int64(v) })
	case tensor.Uint32:
		return convert(tensor.Values[uint32](t), func(v uint32) int64 { return int64(v) })
	case tensor.Int64:
		return tensor.Values[int64](t)
	case tensor.Uint64:
		return convert(tensor.Values[uint64](t), func(v uint64) int64 { return int64(v) })
	case tensor.Int4, tensor.Uint4, tensor.Int2, tensor.Uint2:
		_, highest := t.DType().Limits()
		values := make([]int64, t.Len())
		for i := range values {
			values[i] = packed(t, i)
			if values[i] > highest {
				values[i] -= 1 << t.DType().Bits()
			}
		}
		return values
	}
	panic(fmt.Sprintf("op: %s read as integers", t))
}

// Int32s reads an integer tensor of at most 32 bits as int32.
func Int32s(t *tensor.Tensor) []int32 {
	if t.DType() == tensor.Int32 {
		return tensor.Values[int32](t)
	}
	return convert(Int64s(t), func(v int64) int32 { return int32(v) })
}

// FromFloat32s makes a floating-point tensor of type dtype, rounding to nearest even. Float32 values are not copied.
func FromFloat32s(dtype tensor.DType, shape []int, values []float32) *tensor.Tensor {
	switch dtype {
	case tensor.Float32:
		return tensor.Of(values, shape...)
	case tensor.Float64:
		return tensor.Of(convert(values, func(v float32) float64 { return float64(v) }), shape...)
	case tensor.Float16, tensor.BFloat16:
		t := tensor.New(dtype, shape...)
		out := tensor.Values[uint16](t)
		round := numeric.Float16
		if dtype == tensor.BFloat16 {
			round = numeric.BFloat16
		}
		for i, v := range values {
			out[i] = round(v)
		}
		return t
	}
	return fromSmallFloats(dtype, shape, values, CastRounding{})
}

// FromFloat64s makes a floating-point tensor of type dtype.
func FromFloat64s(dtype tensor.DType, shape []int, values []float64) *tensor.Tensor {
	if dtype == tensor.Float64 {
		return tensor.Of(values, shape...)
	}
	return FromFloat32s(dtype, shape, convert(values, func(v float64) float32 { return float32(v) }))
}

// FromInt64s makes an integer or bool tensor of type dtype; values that do not fit wrap, as conversions in C do.
func FromInt64s(dtype tensor.DType, shape []int, values []int64) *tensor.Tensor {
	switch dtype {
	case tensor.Int64:
		return tensor.Of(values, shape...)
	case tensor.Int8:
		return tensor.Of(convert(values, func(v int64) int8 { return int8(v) }), shape...)
	case tensor.Uint8:
		return tensor.Of(convert(values, func(v int64) uint8 { return uint8(v) }), shape...)
	case tensor.Int16:
		return tensor.Of(convert(values, func(v int64) int16 { return int16(v) }), shape...)
	case tensor.Uint16:
		return tensor.Of(convert(values, func(v int64) uint16 { return uint16(v) }), shape...)
	case tensor.Int32:
		return tensor.Of(convert(values, func(v int64) int32 { return int32(v) }), shape...)
	case tensor.Uint32:
		return tensor.Of(convert(values, func(v int64) uint32 { return uint32(v) }), shape...)
	case tensor.Uint64:
		return tensor.Of(convert(values, func(v int64) uint64 { return uint64(v) }), shape...)
	case tensor.Bool:
		return tensor.Of(convert(values, func(v int64) bool { return v != 0 }), shape...)
	case tensor.Int4, tensor.Uint4, tensor.Int2, tensor.Uint2:
		t := tensor.New(dtype, shape...)
		for i, v := range values {
			setPacked(t, i, byte(v))
		}
		return t
	}
	panic(fmt.Sprintf("op: integers stored as %s", dtype))
}

func convert[A, B any](in []A, f func(A) B) []B {
	out := make([]B, len(in))
	for i, v := range in {
		out[i] = f(v)
	}
	return out
}
