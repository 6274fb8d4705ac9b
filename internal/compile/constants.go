package compile

import (
	"fmt"
	"math"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/kernel"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// realConstant copies the real numbers of a constant: floats, or dequantized codes. It is nil if v is not constant.
func realConstant(v *graph.Value) ([]float32, error) {
	values, err := realWeights(v)
	if err == nil && v.Const != nil && v.Type.Quant == nil {
		values = slices.Clone(values)
	}
	return values, err
}

// realWeights is realConstant to pack at once: it may be the model's own memory.
func realWeights(v *graph.Value) ([]float32, error) {
	switch {
	case v.Const == nil:
		return nil, nil
	case v.Type.Quant == nil && v.Const.DType().IsFloat():
		return op.Float32s(v.Const), nil
	case v.Type.Quant == nil:
		return nil, fmt.Errorf("constant %q is %s, not real numbers", v.Name, v.Const)
	}
	return op.Reals(v.Const, v.Type.Quant), nil
}

// scalarConstant is a constant of one float; ok is false if v is anything else.
func scalarConstant(v *graph.Value) (x float32, ok bool) {
	if v == nil || v.Const == nil || v.Const.Len() != 1 || !v.Const.DType().IsFloat() {
		return 0, false
	}
	return op.Float32s(v.Const)[0], true
}

var infinity = float32(math.Inf(1))

// limits is a fused activation as package kernel has it.
func limits(c *op.Clamp) (least, greatest float32) {
	if c == nil {
		return -infinity, infinity
	}
	return c.Min, c.Max
}

// isFloat32 reports whether all the given operands are float32 or absent.
func isFloat32(values ...*graph.Value) bool {
	return !slices.ContainsFunc(values, func(v *graph.Value) bool { return v != nil && v.Type.DType != tensor.Float32 })
}

// codes is a value of 8-bit codes, quantized per tensor: how to read or write them.
type codes struct {
	kernel.Int8Operand
	lowest, highest int32
}

// codesOf describes a value; ok is false if it is not 8-bit codes quantized per tensor.
func codesOf(v *graph.Value) (q codes, ok bool) {
	if v == nil || !v.Type.Quant.IsPerTensor() || v.Type.DType != tensor.Int8 && v.Type.DType != tensor.Uint8 {
		return q, false
	}
	q.Signed, q.Scale, q.ZeroPoint = v.Type.DType == tensor.Int8, v.Type.Quant.Scale[0], v.Type.Quant.ZeroPoint[0]
	q.lowest, q.highest = v.Type.Quant.Limits(v.Type.DType)
	return q, true
}

// clamped is q with its limits narrowed by a fused activation.
func clamped(q codes, v *graph.Value, c *op.Clamp) codes {
	q.lowest, q.highest = op.CodeLimits(v.Type, c)
	return q
}
