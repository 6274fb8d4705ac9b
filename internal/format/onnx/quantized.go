package onnx

import (
	"fmt"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// quant is the quantization that constant scale and zero point describe; ok is false if they are not constant, not
// f32, or no legal quantization of x.
func quant(x graph.Type, scale, zero *graph.Value, axis, block int) (q *graph.Quant, ok bool) {
	if scale == nil || scale.Const == nil || scale.Const.DType() != tensor.Float32 || zero != nil && zero.Const == nil {
		return nil, false
	}
	q = &graph.Quant{Scale: slices.Clone(op.Float32s(scale.Const)), Block: block}
	q.ZeroPoint = make([]int32, len(q.Scale))
	if zero != nil {
		if !zero.Const.DType().IsInteger() { // of an 8-bit float, whose 0 it is
			return nil, false
		}
		if q.ZeroPoint = slices.Clone(op.Int32s(zero.Const)); len(q.ZeroPoint) != len(q.Scale) {
			return nil, false
		}
	}
	if slices.ContainsFunc(q.Scale, func(s float32) bool { return !(s > 0) || s > 3.4e38 }) {
		return nil, false
	}
	if len(q.Scale) == 1 && block == 0 {
		return q, true
	}
	rank, known := x.Rank()
	if axis < 0 {
		axis += rank
	}
	if !known || axis < 0 || axis >= rank {
		return nil, false
	}
	q.Axis = axis
	size := x.Shape[axis]
	return q, block > 0 || size.Known() && size.Size == len(q.Scale)
}

// codes is v as a value with quantization q. Values that have none yet get it; constants become another value of the
// same bytes. ok is false if v is quantized otherwise.
func (c *call) codes(v *graph.Value, q *graph.Quant) (*graph.Value, bool) {
	switch {
	case v.Type.Quant.Equal(q) && v.Type.Quant != nil:
		return v, true
	case v.Const != nil:
		w := &graph.Value{Name: c.fresh("codes"), Origin: v.Source(), Type: v.Type, Const: v.Const}
		w.Type.Quant = q
		return w, true
	case v.Type.Quant == nil && slices.Contains(c.im.graph.Inputs, v):
		v.Type.Quant = q
		return v, true
	}
	return nil, false
}

func quantizeLinear(c *call) error {
	o := &op.QuantizeLinear{Axis: 1, Overflow: c.int("saturate", 1) == 0}
	if err := c.fill(o, map[string]string{"output_dtype": "Output"}); err != nil {
		return err
	}
	dtype := tensor.Uint8
	zero := c.input(2)
	switch {
	case zero != nil:
		dtype = zero.Type.DType
	case o.Output.DType != tensor.Invalid:
		dtype = o.Output.DType
	}
	x := c.in[0].Type
	q, ok := quant(x, c.in[1], zero, o.Axis, o.BlockSize)
	if !ok || !dtype.IsInteger() || x.DType != tensor.Float32 && x.DType != tensor.Invalid {
		c.emit(o, c.in, c.out...)
		return nil
	}
	c.out[0].Type.DType, c.out[0].Type.Quant = dtype, q
	c.emit(&op.Quantize{}, c.in[:1], c.out...)
	return nil
}

func dequantizeLinear(c *call) error {
	o := &op.DequantizeLinear{Axis: 1}
	if err := c.fill(o, map[string]string{"output_dtype": "Output"}); err != nil {
		return err
	}
	c.dequantize(c.in[0], c.in[1], c.input(2), o, c.out[0])
	return nil
}

// dequantize emits the conversion of x to reals: typed if it can be.
func (c *call) dequantize(x, scale, zero *graph.Value, o *op.DequantizeLinear, out *graph.Value) {
	if q, ok := quant(x.Type, scale, zero, o.Axis, o.BlockSize); ok && x.Type.DType.IsInteger() {
		if x, ok := c.codes(x, q); ok {
			if out.Type.DType == tensor.Invalid {
				out.Type.DType = tensor.Float32
			}
			c.emit(&op.Dequantize{}, []*graph.Value{x}, out)
			return
		}
	}
	in := []*graph.Value{x, scale}
	if zero != nil {
		in = append(in, zero)
	}
	c.emit(o, in, out)
}

// real is operand i, with scale and zero point in operands i+1 and i+2, as real numbers.
func (c *call) real(suffix string, x, scale, zero *graph.Value, axis int) *graph.Value {
	out := c.temporary(suffix)
	c.dequantize(x, scale, zero, &op.DequantizeLinear{Axis: axis}, out)
	return out
}

// quantizeTo emits the conversion of reals to codes with the parameters of operands.
func (c *call) quantizeTo(x, scale, zero, out *graph.Value) {
	dtype := tensor.Uint8
	if zero != nil {
		dtype = zero.Type.DType
	}
	if q, ok := quant(x.Type, scale, zero, 0, 0); ok && dtype.IsInteger() {
		out.Type.DType, out.Type.Quant = dtype, q
		c.emit(&op.Quantize{}, []*graph.Value{x}, out)
		return
	}
	in := []*graph.Value{x, scale}
	if zero != nil {
		in = append(in, zero)
	}
	c.emit(&op.QuantizeLinear{Axis: 1}, in, out)
}

// integer emits an integer node if operands 0-2 (activation), 3-5 (weights) and 6-7 (result) allow; axis is the
// weights' channel axis.
func (c *call) integer(o graph.Operator, axis int, bias *graph.Value) bool {
	w := c.in[3]
	if w.Const == nil {
		return false
	}
	xq, ok1 := quant(c.in[0].Type, c.in[1], c.in[2], 0, 0)
	wq, ok2 := quant(w.Type, c.in[4], c.in[5], axis, 0)
	yq, ok3 := quant(graph.Type{}, c.in[6], c.in[7], 0, 0)
	if !ok1 || !ok2 || !ok3 || c.in[7] == nil || bias != nil && bias.Const == nil {
		return false
	}
	x, ok := c.codes(c.in[0], xq)
	if !ok {
		return false
	}
	weights, _ := c.codes(w, wq)
	in := []*graph.Value{x, weights}
	if bias != nil {
		b, ok := c.codes(bias, biasQuant(xq, wq))
		if !ok {
			return false
		}
		in = append(in, b)
	}
	c.out[0].Type.DType, c.out[0].Type.Quant = c.in[7].Type.DType, yq
	c.add(&graph.Node{Name: nodeName(c.proto), Op: o, Inputs: in, Outputs: c.out[:1],
		Compute: graph.Integer, Arithmetic: numeric.ONNX})
	return true
}

// biasQuant is the quantization of a bias: s_x·s_w, along axis 0.
func biasQuant(x, w *graph.Quant) *graph.Quant {
	q := &graph.Quant{ZeroPoint: make([]int32, len(w.Scale))}
	for _, s := range w.Scale {
		q.Scale = append(q.Scale, float32(x.Scale[0]*s))
	}
	return q
}

func qlinearConv(c *call) error {
	o := &op.Conv{}
	if err := c.kernel(3); err != nil {
		return err
	}
	if c.int("channels_last", 0) != 0 {
		o.Layout = op.NHWC
	}
	if err := c.fill(o, nil); err != nil {
		return err
	}
	if c.integer(o, 0, c.input(8)) {
		return nil
	}
	in := []*graph.Value{c.real("x", c.in[0], c.in[1], c.in[2], 1), c.real("w", c.in[3], c.in[4], c.in[5], 0)}
	if bias := c.input(8); bias != nil {
		xq, ok1 := quant(c.in[0].Type, c.in[1], c.in[2], 0, 0)
		wq, ok2 := quant(c.in[3].Type, c.in[4], c.in[5], 0, 0)
		if !ok1 || !ok2 || bias.Const == nil {
			return errUnknown
		}
		codes, _ := c.codes(bias, biasQuant(xq, wq))
		b := c.temporary("b")
		c.emit(&op.Dequantize{}, []*graph.Value{codes}, b)
		in = append(in, b)
	}
	y := c.temporary("y")
	c.emit(o, in, y)
	c.quantizeTo(y, c.in[6], c.in[7], c.out[0])
	return nil
}

func qlinearMatMul(c *call) error {
	rank, _ := c.in[3].Type.Rank()
	if c.in[3].Const != nil && rank == 2 && c.integer(&op.MatMul{}, rank-1, nil) {
		return nil
	}
	y := c.temporary("y")
	c.emit(&op.MatMul{}, []*graph.Value{c.real("a", c.in[0], c.in[1], c.in[2], -2),
		c.real("b", c.in[3], c.in[4], c.in[5], -1)}, y)
	c.quantizeTo(y, c.in[6], c.in[7], c.out[0])
	return nil
}

// qgemm is Gemm on codes; without scale for the result (operand 7) the result is real. C is int32 at s_a·s_b.
func qgemm(c *call) error {
	o := &op.Gemm{Alpha: 1, Beta: 1}
	if err := c.fill(o, nil); err != nil {
		return err
	}
	if o.Alpha != 1 {
		return errUnknown
	}
	axis := 1
	if o.TransB {
		axis = 0
	}
	in := []*graph.Value{c.real("a", c.in[0], c.in[1], c.in[2], 1), c.real("b", c.in[3], c.in[4], c.in[5], axis)}
	if bias := c.input(6); bias != nil {
		aq, ok1 := quant(c.in[0].Type, c.in[1], c.in[2], 0, 0)
		bq, ok2 := quant(c.in[3].Type, c.in[4], c.in[5], axis, 0)
		if !ok1 || !ok2 || bias.Const == nil {
			return errUnknown
		}
		codes, _ := c.codes(bias, biasQuant(aq, bq))
		if rank, _ := bias.Type.Rank(); rank > 0 {
			q := codes.Type.Quant.Clone()
			q.Axis = rank - 1
			codes.Type.Quant = q
		}
		b := c.temporary("c")
		c.emit(&op.Dequantize{}, []*graph.Value{codes}, b)
		in = append(in, b)
	}
	if c.input(7) == nil {
		c.emit(o, in, c.out...)
		return nil
	}
	y := c.temporary("y")
	c.emit(o, in, y)
	c.quantizeTo(y, c.in[7], c.input(8), c.out[0])
	return nil
}

func qlinearBinary(name string) func(c *call) error {
	return func(c *call) error {
		y := c.temporary("y")
		in := []*graph.Value{c.real("a", c.in[0], c.in[1], c.in[2], 1), c.real("b", c.in[3], c.in[4], c.in[5], 1)}
		c.emit(op.Lookup(name), in, y)
		c.quantizeTo(y, c.in[6], c.input(7), c.out[0])
		return nil
	}
}

func qlinearUnary(name string) func(c *call) error {
	return func(c *call) error {
		o := op.Lookup(name)
		if c.int("channels_last", 0) != 0 {
			switch o := o.(type) {
			case *op.AveragePool:
				o.Layout = op.NHWC
			case *op.GlobalAveragePool:
				o.Layout = op.NHWC
			}
		}
		if err := c.fill(o, nil); err != nil {
			return err
		}
		y := c.temporary("y")
		c.emit(o, []*graph.Value{c.real("x", c.in[0], c.in[1], c.in[2], 1)}, y)
		c.quantizeTo(y, c.in[3], c.input(4), c.out[0])
		return nil
	}
}

// qlinearSoftmax is Softmax as the operator set in an attribute has it.
func qlinearSoftmax(c *call) error {
	y := c.temporary("y")
	x := c.real("x", c.in[0], c.in[1], c.in[2], 1)
	var err error
	if c.int("opset", 1) >= 13 {
		c.emit(&op.Softmax{Axis: c.int("axis", -1)}, []*graph.Value{x}, y)
	} else {
		err = c.softmaxOfMatrix("Softmax", x, y)
	}
	c.quantizeTo(y, c.in[3], c.input(4), c.out[0])
	return err
}

func qlinearConcat(c *call) error {
	o := &op.Concat{}
	if err := c.fill(o, nil); err != nil {
		return err
	}
	if (len(c.in)-2)%3 != 0 {
		return fmt.Errorf("has %d inputs instead of 2 and 3 for each part", len(c.in))
	}
	var in []*graph.Value
	for i := 2; i < len(c.in); i += 3 {
		if c.in[i] == nil || c.in[i+1] == nil {
			return fmt.Errorf("input %d is required", i)
		}
		in = append(in, c.real("x", c.in[i], c.in[i+1], c.in[i+2], 1))
	}
	y := c.temporary("y")
	c.emit(o, in, y)
	c.quantizeTo(y, c.in[0], c.in[1], c.out[0])
	return nil
}

// product emits a·b + bias.
func (c *call) product(a, b, bias *graph.Value) {
	if bias == nil {
		c.emit(&op.MatMul{}, []*graph.Value{a, b}, c.out...)
		return
	}
	y := c.temporary("product")
	c.emit(&op.MatMul{}, []*graph.Value{a, b}, y)
	c.emit(&op.Add{}, []*graph.Value{y, bias}, c.out...)
}

func matMulIntegerToFloat(c *call) error {
	c.product(c.real("a", c.in[0], c.in[2], c.input(4), -1), c.real("b", c.in[1], c.in[3], c.input(5), -1), c.input(6))
	return nil
}

func dynamicQuantizeMatMul(c *call) error {
	codes, scale, zero := c.temporary("codes"), c.temporary("scale"), c.temporary("zero")
	c.emit(&op.DynamicQuantizeLinear{}, c.in[:1], codes, scale, zero)
	c.product(c.real("a", codes, scale, zero, 0), c.real("b", c.in[1], c.in[2], c.input(3), -1), c.input(4))
	return nil
}
