package onnx

import (
	"fmt"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// dynamic writes a product whose activations are quantized as it runs: DynamicQuantizeLinear, the exact product of
// codes, and its scaling to reals, in the order of operations of the node: float32(sum)·(s_x·s_w) + bias.
func (d *decomposer) dynamic(n *graph.Node) error {
	x, w, bias := n.Inputs[0], n.Inputs[1], n.Input(2)
	q := w.Type.Quant
	rank, known := w.Type.Rank()
	if w.Const == nil || q == nil || q.Block > 0 || !known {
		return fmt.Errorf("its weights %s are not constant codes with a scale per tensor or channel", w.Type)
	}
	codes, axis := w.Const, q.Axis
	var product graph.Operator = &op.MatMulInteger{}
	inner := 0 // dimensions after the channel's
	switch o := n.Op.(type) {
	case *op.MatMul:
	case *op.Gemm:
		if o.Alpha != 1 || bias != nil && o.Beta != 1 {
			return fmt.Errorf("factors alpha %g and beta %g are not written", o.Alpha, o.Beta)
		}
		if o.TransA {
			x = d.add(&op.Transpose{Perm: []int{1, 0}}, "a", nil, x)
		}
		if o.TransB {
			var err error
			if codes, err = permuted(codes, []int{1, 0}); err != nil {
				return err
			}
			axis = 1 - axis
		}
	case *op.Conv:
		perm := []int{o.Filter.Output(rank), o.Filter.Input(rank)}
		for i := range rank - 2 {
			perm = append(perm, o.Filter.Spatial(rank)+i)
		}
		var err error
		if codes, err = permuted(codes, perm); err != nil {
			return err
		}
		axis, inner = slices.Index(perm, axis), rank-2
		product = &op.ConvInteger{Strides: o.Strides, Pads: o.Pads, Dilations: o.Dilations, Group: o.Group, AutoPad: o.AutoPad}
	default:
		return d.dynamicFloat(n)
	}
	if codes.DType().Bits() < 8 {
		wide := tensor.Uint8
		if codes.DType().IsSigned() {
			wide = tensor.Int8
		}
		codes = op.FromInt64s(wide, codes.Shape(), op.Int64s(codes))
	}
	// channels gives a vector the shape that broadcasts along the channels of the result.
	channels := func(n int) []int {
		if n == 1 {
			return []int{}
		}
		shape := slices.Repeat([]int{1}, inner+1)
		shape[0] = n
		return shape
	}
	if wanted := len(codes.Shape()) - 1; len(q.Scale) > 1 && (inner == 0 && axis != wanted || inner > 0 && axis != 0) {
		return fmt.Errorf("its weights %s have a scale per entry of axis %d, which is not the output channel's", w.Type, q.Axis)
	}
	measured := &graph.Node{Name: n.Name + "/quantize", Op: &op.DynamicQuantizeLinear{}, Inputs: []*graph.Value{x},
		Outputs: []*graph.Value{d.value("codes"), d.value("scale"), d.value("zero_point")}}
	d.nodes = append(d.nodes, measured)
	operands := []*graph.Value{measured.Outputs[0], d.constant("weights", codes, nil), measured.Outputs[2]}
	if slices.ContainsFunc(q.ZeroPoint, func(z int32) bool { return z != 0 }) {
		points := make([]int64, len(q.ZeroPoint))
		for i, z := range q.ZeroPoint {
			points[i] = int64(z)
		}
		shape := []int{len(points)}
		if len(points) == 1 {
			shape = []int{}
		}
		operands = append(operands, d.constant("weights_zero_point", op.FromInt64s(codes.DType(), shape, points), nil))
	}
	sum := d.add(product, "product", nil, operands...)
	real := d.add(&op.Cast{To: op.OutputType{DType: tensor.Float32}}, "cast", nil, sum)
	scale := d.add(&op.Mul{}, "scale", nil, measured.Outputs[1], d.constant("weights_scale", tensor.Of(slices.Clone(q.Scale), channels(len(q.Scale))...), nil))
	if bias == nil {
		d.add(&op.Mul{}, "scaled", n.Outputs[0], real, scale)
		return nil
	}
	if inner > 0 && bias.Const == nil {
		return fmt.Errorf("its bias %q is not constant", bias.Name)
	}
	if inner > 0 {
		bias = d.constant("bias", bias.Const.Reshape(channels(bias.Const.Len())...), nil)
	}
	d.add(&op.Add{}, "add", n.Outputs[0], d.add(&op.Mul{}, "scaled", nil, real, scale), bias)
	return nil
}

// dynamicFloat writes a product that ONNX has not on codes as one of the reals that the codes stand for.
func (d *decomposer) dynamicFloat(n *graph.Node) error {
	measured := &graph.Node{Name: n.Name + "/quantize", Op: &op.DynamicQuantizeLinear{}, Inputs: n.Inputs[:1],
		Outputs: []*graph.Value{d.value("codes"), d.value("scale"), d.value("zero_point")}}
	d.nodes = append(d.nodes, measured)
	x := d.add(&op.DequantizeLinear{}, "x", nil, measured.Outputs...)
	weights := d.value("weights")
	weights.Type = graph.Type{DType: tensor.Float32, Shape: n.Inputs[1].Type.Shape}
	dequantize := &graph.Node{Name: n.Name + "/weights", Op: &op.Dequantize{}, Inputs: n.Inputs[1:2], Outputs: []*graph.Value{weights}}
	d.nodes = append(d.nodes, dequantize)
	d.produced[weights] = dequantize
	copied := *n
	copied.Compute, copied.Arithmetic = graph.Float, numeric.None
	copied.Inputs = append([]*graph.Value{x, weights}, n.Inputs[2:]...)
	return d.replace(&copied)
}
