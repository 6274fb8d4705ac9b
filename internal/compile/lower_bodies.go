package compile

import (
	"context"
	"fmt"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/runtime"
	"github.com/octet-nn/octet/tensor"
)

// lowerBodies compiles the bodies of a node. The node's own definition says which of them run, how often and on what;
// programs compute them, each planned for the shapes that it meets. Constants that the bodies read of the graph around
// them become their own.
func lowerBodies(b *builder, n *graph.Node) (prepared, error) {
	types, err := op.BodyInputs(n)
	if err != nil {
		return nil, err
	}
	nested := map[*graph.Graph]*runtime.Nested{}
	given := map[*graph.Graph][]int{} // which of a body's inputs its program still takes
	for _, body := range n.Op.(op.Bodied).Bodies() {
		g := body.Clone()
		inputs := g.Inputs
		g.Inputs = nil
		if len(inputs) != len(types) {
			return nil, fmt.Errorf("its body has %d inputs instead of %d", len(inputs), len(types))
		}
		for i, v := range inputs {
			if constant := types[i].Constant; constant != nil {
				v.Const, v.Type = constant.Const, constant.Type
				continue
			}
			if v.Type.DType == tensor.Invalid {
				v.Type.DType = types[i].Type.DType
			}
			if v.Type.DType == tensor.Invalid {
				return nil, nil
			}
			// Shapes that the file declares may be those of the first run; names of sizes mean nothing outside a body.
			v.Type.Shape = nil
			for _, d := range types[i].Type.Shape {
				if !d.Known() {
					d.Symbol = ""
				}
				v.Type.Shape = append(v.Type.Shape, d)
			}
			if types[i].Type.Shape != nil && v.Type.Shape == nil {
				v.Type.Shape = graph.Shape{}
			}
			g.Inputs, given[body] = append(g.Inputs, v), append(given[body], i)
		}
		p, err := b.compile(g, Options{MaxBytes: b.maxBytes, Direct: b.direct})
		if err != nil {
			return nil, err
		}
		nested[body] = runtime.NewNested(p)
	}
	return func(c *planning) error {
		in, out := make([]*place, len(c.node.Inputs)), make([]*place, len(c.node.Outputs))
		for i := range in {
			in[i] = c.in(i)
		}
		for i := range out {
			out[i] = c.out(i)
		}
		c.emitCall("bodies", in, out, func(ctx context.Context, m *runtime.Memory, operands []*tensor.Tensor) ([]*tensor.Tensor, error) {
			return op.EvaluateWith(ctx, c.node, operands, func(ctx context.Context, body *graph.Graph, inputs []*tensor.Tensor) ([]*tensor.Tensor, error) {
				variable := make([]*tensor.Tensor, len(given[body]))
				for i, from := range given[body] {
					variable[i] = inputs[from]
				}
				return nested[body].Run(ctx, m, variable)
			})
		})
		return nil
	}, nil
}
