package quantize

import (
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// editor collects nodes to insert before and after existing ones and puts them in place at the end, so that the
// graph's order stays valid.
type editor struct {
	g      *graph.Graph
	index  *graph.Index
	first  []*graph.Node
	before map[*graph.Node][]*graph.Node
	after  map[*graph.Node][]*graph.Node
}

// roundTrip stores v as codes: Quantize and Dequantize follow it, and those readers for which reads holds, and the
// graph output if v is one, take the dequantized value. The codes are named after v, so that ranges, reports and
// patterns find them; a graph output keeps its name on the value that the caller receives.
func (e *editor) roundTrip(v *graph.Value, quant *graph.Quant, dtype tensor.DType, reads func(graph.Use) bool) {
	if v.Const != nil {
		codes := quantizeConstant(v.Const, quant, dtype)
		for _, u := range e.index.Uses(v) {
			if reads(u) {
				u.Node.Inputs[u.Index] = e.dequantized(v, codes, quant, u.Node)
			}
		}
		return
	}
	source := v.Source()
	name := v.Name
	if e.index.IsOutput(v) {
		v.Name = e.index.Fresh(name + "_float")
	}
	codes := &graph.Value{Name: e.index.Fresh(name + "_quantized"), Origin: source, Type: graph.Type{DType: dtype, Shape: v.Type.Shape, Quant: quant}}
	back := &graph.Value{Name: e.index.Fresh(name + "_dequantized"), Origin: source, Type: v.Type}
	if e.index.IsOutput(v) {
		back.Name, back.Origin = name, v.Origin
		if v.Origin == "" {
			v.Origin = name
		}
		for i, out := range e.g.Outputs {
			if out == v {
				e.g.Outputs[i] = back
			}
		}
	}
	nodes := []*graph.Node{
		{Name: name + "/quantize", Op: &op.Quantize{}, Inputs: []*graph.Value{v}, Outputs: []*graph.Value{codes}},
		{Name: name + "/dequantize", Op: &op.Dequantize{}, Inputs: []*graph.Value{codes}, Outputs: []*graph.Value{back}},
	}
	if producer := e.index.Producer(v); producer != nil {
		e.after[producer] = append(e.after[producer], nodes...)
	} else {
		e.first = append(e.first, nodes...)
	}
	for _, u := range e.index.Uses(v) {
		if reads(u) {
			u.Node.Inputs[u.Index] = back
		}
	}
}

// dequantized is a constant stored as codes, as seen by one reader.
func (e *editor) dequantized(from *graph.Value, codes *tensor.Tensor, quant *graph.Quant, reader *graph.Node) *graph.Value {
	stored := &graph.Value{
		Name:   e.index.Fresh(from.Name + "_codes"),
		Origin: from.Source(),
		Type:   graph.Type{DType: codes.DType(), Shape: graph.FixedShape(codes.Shape()...), Quant: quant},
		Const:  codes,
	}
	back := &graph.Value{Name: e.index.Fresh(from.Name + "_dequantized"), Origin: from.Source(), Type: from.Type}
	e.before[reader] = append(e.before[reader], &graph.Node{
		Name: stored.Name + "/dequantize", Op: &op.Dequantize{}, Inputs: []*graph.Value{stored}, Outputs: []*graph.Value{back},
	})
	return back
}

// apply puts the new nodes into the graph.
func (e *editor) apply() {
	nodes := slices.Clone(e.first)
	for _, n := range e.g.Nodes {
		nodes = append(nodes, e.before[n]...)
		nodes = append(nodes, n)
		nodes = append(nodes, e.after[n]...)
	}
	e.g.Nodes = nodes
}

// quantizeConstant rounds a constant to codes with one scale.
func quantizeConstant(t *tensor.Tensor, quant *graph.Quant, dtype tensor.DType) *tensor.Tensor {
	lowest, highest := quant.Limits(dtype)
	values := op.Float32s(t)
	codes := make([]int64, len(values))
	for i, v := range values {
		codes[i] = int64(numeric.Quantize(v, quant.Scale[0], quant.ZeroPoint[0], lowest, highest))
	}
	return op.FromInt64s(dtype, t.Shape(), codes)
}
