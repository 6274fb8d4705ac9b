package rewrite

import (
	"fmt"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// inlineBranch puts the nodes of one branch in the place of an If whose condition is known: exporters write conditions
// on shapes so.
func inlineBranch(s *simplifier, n *graph.Node) bool {
	o, ok := n.Op.(*op.If)
	if !ok || n.Inputs[0] == nil {
		return false
	}
	condition := n.Inputs[0].Const
	if condition == nil {
		condition = s.known(n.Inputs[0])
	}
	if condition == nil || condition.DType() != tensor.Bool || condition.Len() != 1 {
		return false
	}
	body := o.Else
	if condition.Bytes()[0] != 0 {
		body = o.Then
	}
	g := body.Clone()
	inner := map[*graph.Value]*graph.Value{} // inputs of the body, as they are outside
	for i, v := range g.Inputs {
		inner[v] = n.Inputs[1+i]
	}
	for _, v := range g.Values() {
		if v != nil && inner[v] == nil {
			v.Origin = ""
			v.Name = s.index.Fresh(fmt.Sprintf("%s/%s", n.Name, v.Name))
		}
	}
	for _, m := range g.Nodes {
		m.Name = n.Name + "/" + m.Name
		for i, v := range m.Inputs {
			if outer := inner[v]; outer != nil {
				m.Inputs[i] = outer
			}
		}
	}
	// The node's results keep their names; an Identity gives what the branch only passes on a name of its own.
	for i, result := range n.Outputs {
		if result == nil {
			continue
		}
		v := g.Outputs[i]
		if outer := inner[v]; outer != nil {
			v = outer
		}
		g.Nodes = append(g.Nodes, &graph.Node{Name: result.Name, Op: &op.Identity{}, Inputs: []*graph.Value{v}, Outputs: []*graph.Value{result}})
	}
	s.extra[n] = append(s.extra[n], g.Nodes...)
	s.gone[n] = true
	return true
}
