package tflite

import (
	"math"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// call is one operator of the file while it is translated.
type call struct {
	im      *importer
	record  *operatorRecord
	kind    operatorKind
	options table
	in, out []*graph.Value
}

// name is that of the first result, by which TFLite's own tools know operators.
func (c *call) name() string {
	for _, v := range c.out {
		if v != nil {
			return v.Source()
		}
	}
	return c.kind.name
}

// input is operand i, or nil.
func (c *call) input(i int) *graph.Value {
	if i < len(c.in) {
		return c.in[i]
	}
	return nil
}

// fresh is a name for a value that the file does not have.
func (c *call) fresh(suffix string) string {
	if c.im.stopped() {
		return ""
	}
	return c.im.fresh(c.name() + "/" + suffix)
}

// temporary is a new intermediate value.
func (c *call) temporary(suffix string) *graph.Value {
	return &graph.Value{Name: c.fresh(suffix)}
}

func (c *call) constant(suffix string, t *tensor.Tensor) *graph.Value {
	return &graph.Value{Name: c.fresh(suffix), Type: graph.TypeOf(t), Const: t}
}

// list is a constant list of integers.
func (c *call) list(suffix string, values ...int64) *graph.Value {
	return c.constant(suffix, tensor.Of(slices.Clone(values), len(values)))
}

// scalar is a constant f32.
func (c *call) scalar(suffix string, value float32) *graph.Value {
	return c.constant(suffix, tensor.Of([]float32{value}))
}

// constants are the integers of operand i if it is constant.
func (c *call) constants(i int) ([]int64, bool) {
	v := c.input(i)
	if v == nil || v.Const == nil || !v.Const.DType().IsInteger() || !c.im.decoder.spend(c.record.at, v.Const.Len()) {
		return nil, false
	}
	return slices.Clone(op.Int64s(v.Const)), true
}

// int64s is operand i, integers of any width, as int64: what canonical operators take shapes and axes in.
func (c *call) int64s(i int, suffix string) *graph.Value {
	v := c.in[i]
	if v.Type.DType == tensor.Int64 {
		return v
	}
	if v.Const != nil && v.Const.DType().IsInteger() && c.im.decoder.spend(c.record.at, v.Const.Len()) {
		return c.constant(suffix, tensor.Of(op.Int64s(v.Const), v.Const.Shape()...))
	}
	wide := c.temporary(suffix)
	c.emit(&op.Cast{To: op.OutputType{DType: tensor.Int64}}, []*graph.Value{v}, wide)
	return wide
}

// arithmetic is the row that an integer operator with such activations follows: TFLite's or, in files that name one, as
// those that this package wrote, another.
func (c *call) arithmetic(t graph.Type) numeric.Arithmetic {
	switch {
	case c.im.arithmetic != numeric.None:
		return c.im.arithmetic
	case t.DType == tensor.Int16:
		return numeric.TFLite16x8
	}
	return numeric.TFLite
}

// rounding is the row by which reals become codes of such a type: none for the onnx row, which needs no name there.
func (c *call) rounding(t graph.Type) numeric.Arithmetic {
	if row := c.arithmetic(t); row != numeric.ONNX {
		return row
	}
	return numeric.None
}

// quantized reports whether any of the values is.
func quantized(vs []*graph.Value) bool {
	return slices.ContainsFunc(vs, func(v *graph.Value) bool { return v != nil && v.Type.Quant != nil })
}

// emit adds a node for an operator. On quantized values it computes on codes if it can; otherwise its operands are
// dequantized and its results quantized.
func (c *call) emit(o graph.Operator, in []*graph.Value, out ...*graph.Value) {
	n := &graph.Node{Name: c.name(), Op: o, Inputs: in, Outputs: out}
	if !quantized(in) && !quantized(out) {
		c.add(n)
		return
	}
	after, ok := c.onCodes(n)
	if !ok {
		c.onReals(n)
		return
	}
	c.add(n)
	for _, change := range after {
		c.add(change)
	}
}

// add appends a node and infers the types of its outputs.
func (c *call) add(n *graph.Node) {
	if c.im.stopped() {
		return
	}
	c.im.graph.Nodes = append(c.im.graph.Nodes, n)
	if err := c.im.facts.Node(n); err != nil {
		c.im.problem(c.record.at, "", "%v", err)
	}
}

// onCodes makes n a node that computes on codes, as its operands' types ask for; false if its operator does not. What
// comes after it changes the scale of its results.
func (c *call) onCodes(n *graph.Node) (after []*graph.Node, ok bool) {
	switch n.Op.(type) {
	case *op.Dequantize:
		return nil, true
	case *op.Quantize:
		n.Arithmetic = c.rounding(n.Outputs[0].Type)
		return nil, true
	case *op.Requantize: // of codes of any width
		n.Compute, n.Arithmetic = graph.Integer, c.arithmetic(n.Inputs[0].Type)
		if y := n.Outputs[0].Type; y.DType == tensor.Int16 {
			n.Arithmetic = c.arithmetic(y)
		}
		return nil, true
	}
	o, ok := n.Op.(op.Integer)
	if !ok || len(n.Inputs) == 0 || n.Inputs[0] == nil {
		return nil, false
	}
	form, err := o.Integer(n)
	if err != nil {
		return nil, false
	}
	x := n.Inputs[0].Type
	if x.DType == tensor.Float32 && x.Quant == nil {
		return nil, c.onCodesOfWeights(n, form)
	}
	if !c.fitting(n, form) {
		return nil, false
	}
	moves := form.Range.Kind == op.SameAsInput || form.Range.Kind == op.Unified
	outputs := slices.Clone(n.Outputs)
	for i, v := range outputs {
		if v == nil {
			continue
		}
		if v.Type.Quant == nil && moves && (v.Type.DType == x.DType || v.Type.DType == tensor.Invalid) {
			v.Type.DType, v.Type.Quant = x.DType, x.Quant // a temporary
		}
		if !v.Type.Quant.IsPerTensor() {
			return nil, false
		}
		if !moves || v.Type.Quant.Equal(x.Quant) && v.Type.DType == x.DType {
			continue
		}
		// The file says that what is moved changes its scale.
		outputs[i] = c.like(n.Inputs[0], "codes")
		after = append(after, &graph.Node{Name: c.name(), Op: &op.Requantize{}, Inputs: outputs[i : i+1 : i+1],
			Outputs: []*graph.Value{v}, Compute: graph.Integer, Arithmetic: c.arithmetic(x)})
	}
	n.Compute, n.Arithmetic, n.Outputs = graph.Integer, c.arithmetic(x), outputs
	return after, true
}

// fitting reports whether the operands of n are quantized as an integer node wants them.
func (c *call) fitting(n *graph.Node, form op.IntegerForm) bool {
	x := n.Inputs[0].Type
	for i, role := range form.Roles {
		v := n.Inputs[i]
		if v == nil {
			continue
		}
		q := v.Type.Quant
		switch role {
		case op.Activation:
			if !q.IsPerTensor() || v.Type.DType.Bits() > 16 {
				return false
			}
			if form.Range.Kind == op.Unified && (!q.Equal(x.Quant) || v.Type.DType != x.DType) {
				return false
			}
		case op.Weight:
			if q == nil || v.Const == nil || q.Block > 0 || len(q.Scale) > 1 && q.Axis != form.WeightAxis {
				return false
			}
		case op.Bias:
			if v.Const == nil || !v.Type.DType.IsInteger() {
				return false
			}
		}
	}
	return true
}

// onCodesOfWeights makes n a node on real activations that are quantized while it runs, if its weights are codes.
func (c *call) onCodesOfWeights(n *graph.Node, form op.IntegerForm) bool {
	for i, role := range form.Roles {
		v := n.Inputs[i]
		if v == nil {
			continue
		}
		q := v.Type.Quant
		if (role == op.Weight) != (q != nil) {
			return false
		}
		if role == op.Weight && (v.Const == nil || q.Block > 0 || len(q.Scale) > 1 && q.Axis != form.WeightAxis) {
			return false
		}
	}
	if quantized(n.Outputs) {
		return false
	}
	for i, role := range form.Roles {
		if v := n.Inputs[i]; v != nil && role == op.Weight {
			n.Inputs[i] = c.signedWeights(v)
		}
	}
	n.Compute, n.Arithmetic = graph.DynamicActivations, c.arithmetic(graph.Type{})
	return true
}

// signedWeights is v or, of the first converters, whose weights for real activations are int8 codes that are called uint8
// and have no zero point, what TFLite's kernels make of them.
func (c *call) signedWeights(v *graph.Value) *graph.Value {
	if v.Type.DType != tensor.Uint8 || slices.ContainsFunc(v.Type.Quant.ZeroPoint, func(z int32) bool { return z != 0 }) {
		return v
	}
	codes, err := tensor.FromBytes(tensor.Int8, v.Const.Shape(), v.Const.Bytes())
	if err != nil {
		return v
	}
	w := &graph.Value{Name: c.fresh("weights"), Origin: v.Source(), Type: v.Type, Const: codes}
	w.Type.DType = tensor.Int8
	return w
}

// onReals computes n in floats: its quantized operands are dequantized, its results quantized.
func (c *call) onReals(n *graph.Node) {
	for i, v := range n.Inputs {
		if v != nil && v.Type.Quant != nil {
			n.Inputs = slices.Clone(n.Inputs)
			n.Inputs[i] = c.real(v)
		}
	}
	var after []*graph.Node
	for i, v := range n.Outputs {
		if v == nil || v.Type.Quant == nil {
			continue
		}
		real := c.temporary("real")
		after = append(after, &graph.Node{Name: c.name(), Op: &op.Quantize{}, Inputs: []*graph.Value{real}, Outputs: []*graph.Value{v},
			Arithmetic: c.rounding(v.Type)})
		n.Outputs = slices.Clone(n.Outputs)
		n.Outputs[i] = real
	}
	c.add(n)
	for _, q := range after {
		c.add(q)
	}
}

// real is v as reals.
func (c *call) real(v *graph.Value) *graph.Value {
	if v.Type.Quant == nil {
		return v
	}
	real := c.temporary("real")
	real.Type.DType = tensor.Float32
	c.add(&graph.Node{Name: c.name(), Op: &op.Dequantize{}, Inputs: []*graph.Value{v}, Outputs: []*graph.Value{real}})
	return real
}

// like is a new intermediate value of v's element type and quantization.
func (c *call) like(v *graph.Value, suffix string) *graph.Value {
	t := c.temporary(suffix)
	t.Type.DType, t.Type.Quant = v.Type.DType, v.Type.Quant
	return t
}

// clamp is a fused activation as the clamp of an operator; ok is false if it is none.
func clamp(activation int) (limits *op.Clamp, ok bool) {
	inf := float32(math.Inf(1))
	switch activation {
	case activationNone:
		return nil, true
	case activationRelu:
		return &op.Clamp{Min: 0, Max: inf}, true
	case activationReluN1To1:
		return &op.Clamp{Min: -1, Max: 1}, true
	case activationRelu6:
		return &op.Clamp{Min: 0, Max: 6}, true
	}
	return nil, false
}

// activated emits an operator that cannot be clamped itself, and what was fused into it after it.
func (c *call) activated(o graph.Operator, in []*graph.Value, activation int) error {
	out := c.out[0]
	if activation == activationNone {
		c.emit(o, in, out)
		return nil
	}
	y := c.like(out, "sum")
	limits, ok := clamp(activation)
	switch {
	case ok && limits.Min == 0 && limits.Max > 6:
		c.emit(o, in, y)
		c.emit(op.NewFunction("Relu"), []*graph.Value{y}, out)
	case ok:
		c.emit(o, in, y)
		c.emit(&op.Clip{}, []*graph.Value{y, c.scalar("min", limits.Min), c.scalar("max", limits.Max)}, out)
	case activation == activationTanh && out.Type.Quant == nil:
		c.emit(o, in, y)
		c.emit(op.NewFunction("Tanh"), []*graph.Value{y}, out)
	default:
		return errUnknown
	}
	return nil
}
