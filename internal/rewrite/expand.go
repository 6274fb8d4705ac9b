package rewrite

import (
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// Expand turns the typed form of a quantized network into the simulated one: every operator becomes a float one
// between Dequantize and Quantize nodes; constants stay codes behind a Dequantize. Absorb of the result gives the
// typed network back, in the one arithmetic that Absorb is told: which one a node had is lost, because a float node
// between codes has none. Nodes that quantize their activations as they run have no simulated form and stay.
func Expand(g *graph.Graph) error {
	e := &expander{index: g.Index(), real: map[*graph.Value]*graph.Value{}}
	for _, n := range g.Nodes {
		switch n.Compute {
		case graph.Integer, graph.IntegerToFloat, graph.WeightOnly:
			e.expand(n)
		default:
			e.nodes = append(e.nodes, n)
		}
	}
	g.Nodes = e.nodes
	_, err := op.Infer(g)
	return err
}

type expander struct {
	index *graph.Index
	nodes []*graph.Node
	real  map[*graph.Value]*graph.Value // dequantized values made so far
}

// dequantized is the real value of codes.
func (e *expander) dequantized(codes *graph.Value) *graph.Value {
	if v := e.real[codes]; v != nil {
		return v
	}
	v := &graph.Value{
		Name: e.index.Fresh(codes.Name + "_dequantized"), Origin: codes.Source(),
		Type: graph.Type{DType: tensor.Float32, Shape: codes.Type.Shape},
	}
	e.real[codes] = v
	e.nodes = append(e.nodes, &graph.Node{Name: codes.Name + "/dequantize", Op: &op.Dequantize{}, Inputs: []*graph.Value{codes}, Outputs: []*graph.Value{v}})
	return v
}

func (e *expander) expand(n *graph.Node) {
	if _, ok := n.Op.(*op.Requantize); ok {
		e.nodes = append(e.nodes, &graph.Node{Name: n.Name, Op: &op.Quantize{}, Inputs: []*graph.Value{e.dequantized(n.Inputs[0])}, Outputs: n.Outputs})
		return
	}
	for i, v := range n.Inputs {
		if v != nil && v.Type.Quant != nil {
			n.Inputs[i] = e.dequantized(v)
		}
	}
	n.Compute, n.Arithmetic = graph.Float, numeric.None
	e.nodes = append(e.nodes, n)
	for i, codes := range n.Outputs {
		if codes == nil || codes.Type.Quant == nil {
			continue
		}
		real := &graph.Value{
			Name: e.index.Fresh(codes.Name + "_real"), Origin: codes.Source(),
			Type: graph.Type{DType: tensor.Float32, Shape: codes.Type.Shape},
		}
		n.Outputs[i] = real
		e.nodes = append(e.nodes, &graph.Node{Name: codes.Name + "/quantize", Op: &op.Quantize{}, Inputs: []*graph.Value{real}, Outputs: []*graph.Value{codes}})
	}
}
