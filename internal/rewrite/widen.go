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
	outer := map[*graph.Value]bool{} // values that keep 16 bits
	var first []*graph.Node
	for _, v := range g.Inputs {
		if !half(v.Type.DType) {
			continue
		}
		outer[v] = true
		wide := &graph.Value{Name: index.Fresh(v.Name + "_f32"), Origin: v.Source(), Type: v.Type}
		wide.Type.DType = tensor.Float32
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
	g.Nodes = append(append(first, g.Nodes...), last...)
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

func widened(t *tensor.Tensor) *tensor.Tensor {
	return op.FromFloat32s(tensor.Float32, t.Shape(), op.Float32s(t))
}
