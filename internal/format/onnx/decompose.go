package onnx

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/rewrite"
	"github.com/octet-nn/octet/tensor"
)

// decompose replaces nodes that ONNX spells as several nodes, or with a filter in another order, by those. The graph is
// in the NCHW layout and has no integer nodes. Types of new values are not inferred: nothing that is written needs them.
func decompose(g *graph.Graph) (problems []error) {
	d := &decomposer{index: g.Index(), filters: map[filterUse]*graph.Value{}, produced: map[*graph.Value]*graph.Node{}}
	for _, n := range g.Nodes {
		d.node = n
		if err := d.replace(n); err != nil {
			problems = append(problems, &FormatError{Offset: -1, Node: n.Describe(), Why: err.Error()})
		}
	}
	g.Nodes = d.nodes
	g.RemoveDead()
	return problems
}

// decomposer collects the new nodes.
type decomposer struct {
	index    *graph.Index
	nodes    []*graph.Node
	node     *graph.Node // that is being replaced
	filters  map[filterUse]*graph.Value
	produced map[*graph.Value]*graph.Node // dequantizations that the index does not know
}

// filterUse is a filter and the order it is wanted in.
type filterUse struct {
	filter *graph.Value
	order  string
}

// add appends a node that computes out, or a new value if that is nil.
func (d *decomposer) add(o graph.Operator, suffix string, out *graph.Value, in ...*graph.Value) *graph.Value {
	if out == nil {
		out = d.value(suffix)
	}
	d.nodes = append(d.nodes, &graph.Node{Name: d.node.Name + "/" + suffix, Op: o, Inputs: in, Outputs: []*graph.Value{out}})
	return out
}

func (d *decomposer) value(suffix string) *graph.Value {
	base := d.node.Name
	for _, v := range d.node.Outputs {
		if v != nil {
			base = v.Name
			break
		}
	}
	return &graph.Value{Name: d.index.Fresh(base + "_" + suffix)}
}

func (d *decomposer) constant(suffix string, t *tensor.Tensor, q *graph.Quant) *graph.Value {
	v := d.value(suffix)
	v.Const, v.Type = t, graph.TypeOf(t)
	v.Type.Quant = q
	return v
}

func (d *decomposer) replace(n *graph.Node) error {
	if clamp := rewrite.ClampOf(n.Op); clamp != nil {
		plain, ok := rewrite.WithClamp(n.Op, nil)
		if !ok {
			return fmt.Errorf("its clamp cannot be separated")
		}
		copied, real := *n, d.value("unclamped")
		real.Type = n.Outputs[0].Type
		copied.Op, copied.Outputs = plain, []*graph.Value{real}
		if err := d.replace(&copied); err != nil {
			return err
		}
		d.clamp(clamp, real, n.Outputs[0])
		return nil
	}
	if n.Compute == graph.DynamicActivations {
		return d.dynamic(n)
	}
	switch o := n.Op.(type) {
	case *op.Conv:
		copied := *o
		copied.Filter = op.OIHW
		return d.filtered(n, &copied, o.Filter, 1)
	case *op.ConvInteger:
		copied := *o
		copied.Filter = op.OIHW
		return d.filtered(n, &copied, o.Filter, 1)
	case *op.SequenceLSTM:
		return d.sequenceLSTM(n, o)
	case *op.ConvTranspose:
		copied := *o
		copied.Filter = op.OIHW
		return d.filtered(n, &copied, o.Filter, max(o.Group, 1))
	case *op.Swish:
		x := n.Inputs[0]
		scaled := x
		if o.Alpha != 1 {
			scaled = d.add(&op.Mul{}, "scaled", nil, x, d.constant("alpha", op.FromFloat32s(x.Type.DType, []int{}, []float32{o.Alpha}), nil))
		}
		d.add(&op.Mul{}, "mul", n.Outputs[0], x, d.add(op.Lookup("Sigmoid"), "sigmoid", nil, scaled))
		return nil
	case *op.FakeQuantize:
		return d.fakeQuantize(n, o)
	case *op.Quantize:
		return d.quantize(n)
	case *op.Dequantize:
		if d := n.Outputs[0].Type.DType; d == tensor.Float32 || d == tensor.Invalid {
			break
		}
		real := d.add(o, "f32", nil, n.Inputs[0])
		d.add(&op.Cast{To: op.OutputType{DType: n.Outputs[0].Type.DType}}, "cast", n.Outputs[0], real)
		return nil
	}
	d.nodes = append(d.nodes, n)
	return nil
}

// clamp limits x to y: what a Relu does, or a Clip.
func (d *decomposer) clamp(c *op.Clamp, x, y *graph.Value) {
	if c.Min == 0 && math.IsInf(float64(c.Max), 1) {
		d.add(op.Lookup("Relu"), "relu", y, x)
		return
	}
	dtype := x.Type.DType
	if !dtype.IsFloat() {
		dtype = tensor.Float32
	}
	limit := func(suffix string, v float32) *graph.Value {
		return d.constant(suffix, op.FromFloat32s(dtype, []int{}, []float32{v}), nil)
	}
	d.add(&op.Clip{}, "clip", y, x, limit("min", c.Min), limit("max", c.Max))
}

// quantize sees to what QuantizeLinear has no words for: operands that are not f32, and an unused lowest code, below
// which reals are cut off.
func (d *decomposer) quantize(n *graph.Node) error {
	x, codes := n.Inputs[0], n.Outputs[0].Type
	if x.Type.DType.IsFloat() && x.Type.DType != tensor.Float32 {
		x = d.add(&op.Cast{To: op.OutputType{DType: tensor.Float32}}, "f32", nil, x)
	}
	if q := codes.Quant; q != nil && q.Narrow {
		if !q.IsPerTensor() {
			return fmt.Errorf("it leaves the lowest code unused in several channels, which is not written")
		}
		lowest, _ := q.Limits(codes.DType)
		least := float32(float32(lowest-q.ZeroPoint[0]) * q.Scale[0])
		cut := d.value("narrow")
		d.clamp(&op.Clamp{Min: least, Max: math.MaxFloat32}, x, cut)
		x = cut
	}
	copied := *n
	copied.Inputs = []*graph.Value{x}
	d.nodes = append(d.nodes, &copied)
	return nil
}

// fakeQuantize becomes a quantization and its inverse: with constant parameters if they are, else with operands.
func (d *decomposer) fakeQuantize(n *graph.Node, o *op.FakeQuantize) error {
	dtype, bits := o.DType(), o.Bits
	if bits == 0 {
		bits = 8
	}
	if bits != dtype.Bits() {
		return fmt.Errorf("codes of %d bits have no ONNX type", bits)
	}
	if q, ok := o.Quant(n); ok && !slices.ContainsFunc(q.Scale, func(s float32) bool { return !(s > 0) }) {
		codes := d.value("codes")
		codes.Type = graph.Type{DType: dtype, Shape: n.Inputs[0].Type.Shape, Quant: q}
		quantize := &graph.Node{Name: n.Name + "/quantize", Op: &op.Quantize{}, Inputs: n.Inputs[:1], Outputs: []*graph.Value{codes}}
		if err := d.quantize(quantize); err != nil {
			return err
		}
		return d.replace(&graph.Node{Name: n.Name + "/dequantize", Op: &op.Dequantize{}, Inputs: []*graph.Value{codes}, Outputs: n.Outputs})
	}
	if o.Narrow {
		return fmt.Errorf("it leaves the lowest code unused and its parameters are computed, which is not written")
	}
	parameters := []*graph.Value{n.Inputs[1]}
	if zero := n.Input(2); zero != nil {
		if zero.Type.DType.IsFloat() {
			zero = d.add(op.Lookup("Round"), "rounded", nil, zero)
		}
		if zero.Type.DType != dtype {
			zero = d.add(&op.Cast{To: op.OutputType{DType: dtype}}, "zero_point", nil, zero)
		}
		parameters = append(parameters, zero)
	}
	codes := d.add(&op.QuantizeLinear{Axis: o.Axis, BlockSize: o.Block, Output: op.OutputType{DType: dtype}}, "quantize", nil,
		append(n.Inputs[:1:1], parameters...)...)
	d.add(&op.DequantizeLinear{Axis: o.Axis, BlockSize: o.Block}, "dequantize", n.Outputs[0], append([]*graph.Value{codes}, parameters...)...)
	return nil
}

// filtered adds the convolution with its filter in ONNX's order. groups is those of a transposed convolution, whose
// filter has the input channels of all groups first.
func (d *decomposer) filtered(n *graph.Node, o graph.Operator, order op.FilterLayout, groups int) error {
	if order == op.OIHW {
		d.nodes = append(d.nodes, n)
		return nil
	}
	w := n.Inputs[1]
	rank, known := w.Type.Rank()
	if !known {
		return fmt.Errorf("its filter is in the order %s and of unknown rank", order)
	}
	perm := []int{order.Output(rank), order.Input(rank)}
	for i := range rank - 2 {
		perm = append(perm, order.Spatial(rank)+i)
	}
	if o.Type() == "ConvTranspose" {
		if groups > 1 {
			return fmt.Errorf("its filter is in the order %s, which is not written for %d groups", order, groups)
		}
		perm[0], perm[1] = perm[1], perm[0]
	}
	ordered, err := d.ordered(w, perm)
	if err != nil {
		return err
	}
	copied := *n
	copied.Op = o
	copied.Inputs = append([]*graph.Value{n.Inputs[0], ordered}, n.Inputs[2:]...)
	d.nodes = append(d.nodes, &copied)
	return nil
}

// ordered is a value with its axes permuted: another constant where the value or the codes behind it are one, else a
// Transpose.
func (d *decomposer) ordered(v *graph.Value, perm []int) (*graph.Value, error) {
	use := filterUse{v, fmt.Sprint(perm)}
	if w := d.filters[use]; w != nil {
		return w, nil
	}
	var w *graph.Value
	producer := d.index.Producer(v)
	if p := d.produced[v]; p != nil {
		producer = p
	}
	switch {
	case v.Const != nil && (v.Type.Quant == nil || v.Type.Quant.Block == 0):
		t, err := permuted(v.Const, perm)
		if err != nil {
			return nil, err
		}
		w = &graph.Value{Name: d.index.Fresh(v.Name + "_oihw"), Origin: v.Source(), Type: graph.TypeOf(t), Const: t}
		if q := v.Type.Quant.Clone(); q != nil {
			q.Axis = max(slices.Index(perm, q.Axis), 0)
			w.Type.Quant = q
		}
	case producer != nil && producer.Op.Type() == "Dequantize" && producer.Inputs[0].Const != nil && producer.Inputs[0].Type.Quant.Block == 0:
		codes, err := d.ordered(producer.Inputs[0], perm)
		if err != nil {
			return nil, err
		}
		w = &graph.Value{Name: d.index.Fresh(v.Name + "_oihw"), Origin: v.Source(), Type: graph.Type{DType: v.Type.DType}}
		if err := d.replace(&graph.Node{Name: producer.Name, Op: producer.Op, Inputs: []*graph.Value{codes}, Outputs: []*graph.Value{w}}); err != nil {
			return nil, err
		}
	default:
		w = d.add(&op.Transpose{Perm: perm}, "filter", nil, v)
	}
	d.filters[use] = w
	return w, nil
}

// permuted is a tensor with its axes in another order.
func permuted(t *tensor.Tensor, perm []int) (*tensor.Tensor, error) {
	n := &graph.Node{Name: "filter", Op: &op.Transpose{Perm: perm}, Inputs: []*graph.Value{{Type: graph.TypeOf(t)}}, Outputs: []*graph.Value{{}}}
	out, err := op.Evaluate(context.Background(), n, []*tensor.Tensor{t})
	if err != nil {
		return nil, err
	}
	return out[0], nil
}
