package rewrite

import (
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// Widen makes a network of 16-bit floats compute in float32: constants are converted, inputs and outputs keep their
// element type behind a Cast, and casts between float types inside disappear. Networks without 16-bit floats are left
// as they are.
func Widen(g *graph.Graph) error {
	half := func(d tensor.DType) bool { return d == tensor.Float16 || d == tensor.BFloat16 }
	any := false
	for _, v := range g.Values() {
		any = any || half(v.Type.DType)
	}
	if !any {
		return nil
	}
	index := g.Index()
	outer := map[*graph.Value]bool{}          // values that keep 16 bits
	narrow := map[*graph.Value]*graph.Value{} // inputs, by what they are widened to
	var first []*graph.Node
	for _, v := range g.Inputs {
		if !half(v.Type.DType) {
			continue
		}
		outer[v] = true
		wide := &graph.Value{Name: index.Fresh(v.Name + "_f32"), Origin: v.Source(), Type: v.Type}
		wide.Type.DType = tensor.Float32
		narrow[wide] = v
		g.ReplaceUses(v, wide)
		for i, o := range g.Outputs {
			if o == wide {
				g.Outputs[i] = v // an input that is also an output stays itself
			}
		}
		first = append(first, &graph.Node{
			Name: v.Name + "/widen", Op: &op.Cast{To: op.OutputType{DType: tensor.Float32}},
			Inputs: []*graph.Value{v}, Outputs: []*graph.Value{wide},
		})
	}
	var last []*graph.Node
	for i, v := range g.Outputs {
		if !half(v.Type.DType) || outer[v] {
			continue
		}
		narrow := &graph.Value{Name: v.Name, Origin: v.Origin, Type: v.Type}
		outer[narrow] = true
		v.Origin, v.Name = v.Source(), index.Fresh(v.Name+"_f32")
		g.Outputs[i] = narrow
		last = append(last, &graph.Node{
			Name: narrow.Name + "/narrow", Op: &op.Cast{To: op.OutputType{DType: v.Type.DType}},
			Inputs: []*graph.Value{v}, Outputs: []*graph.Value{narrow},
		})
	}
	for _, n := range g.Nodes {
		if c, ok := n.Op.(*op.Cast); ok && half(c.To.DType) {
			n.Op = &op.Cast{To: op.OutputType{DType: tensor.Float32}}
		}
		if c, ok := n.Op.(*op.ConstantOfShape); ok && c.Fill != nil && half(c.Fill.DType()) {
			n.Op = &op.ConstantOfShape{Fill: widened(c.Fill)}
		}
	}
	nodes := first
	for _, n := range g.Nodes {
		before, after := keepAroundBodies(n, index, half, outer, narrow)
		nodes = append(append(append(nodes, before...), n), after...)
	}
	g.Nodes = append(nodes, last...)
	for _, v := range g.Values() {
		if !half(v.Type.DType) || outer[v] {
			continue
		}
		v.Type.DType = tensor.Float32
		if v.Const != nil {
			v.Const = widened(v.Const)
		}
	}
	_, err := op.Infer(g)
	return err
}

// keepAroundBodies leaves the operands and results of a node with bodies what they are, because bodies keep their types:
// it returns the casts before and after the node. What they cast from and to is marked as values that keep 16 bits; inputs
// of the graph, given by what they are widened to, are read as they are.
func keepAroundBodies(n *graph.Node, index *graph.Index, half func(tensor.DType) bool, outer map[*graph.Value]bool, inputs map[*graph.Value]*graph.Value) (before, after []*graph.Node) {
	if _, ok := n.Op.(op.Bodied); !ok {
		return nil, nil
	}
	for i, v := range n.Inputs {
		if input := inputs[v]; input != nil {
			n.Inputs[i] = input
			continue
		}
		if v == nil || !half(v.Type.DType) || outer[v] {
			continue
		}
		narrow := &graph.Value{Name: index.Fresh(v.Name + "_narrow"), Type: v.Type}
		outer[narrow] = true
		before = append(before, &graph.Node{
			Name: n.Name + "/narrow", Op: &op.Cast{To: op.OutputType{DType: v.Type.DType}},
			Inputs: []*graph.Value{v}, Outputs: []*graph.Value{narrow},
		})
		n.Inputs[i] = narrow
	}
	for i, v := range n.Outputs {
		if v == nil || !half(v.Type.DType) || outer[v] {
			continue
		}
		narrow := &graph.Value{Name: index.Fresh(v.Name + "_narrow"), Type: v.Type}
		outer[narrow] = true
		n.Outputs[i] = narrow
		after = append(after, &graph.Node{
			Name: n.Name + "/widen", Op: &op.Cast{To: op.OutputType{DType: tensor.Float32}},
			Inputs: []*graph.Value{narrow}, Outputs: []*graph.Value{v},
		})
	}
	return before, after
}

func widened(t *tensor.Tensor) *tensor.Tensor {
	return op.FromFloat32s(tensor.Float32, t.Shape(), op.Float32s(t))
}
