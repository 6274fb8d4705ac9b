package compile

import (
	"context"
	"fmt"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/runtime"
	"github.com/octet-nn/octet/tensor"
)

// deferred is the part of a plan that depends on values whose shapes are known only when they have been computed, such as
// the results of NonZero. It is a program of its own, planned when it is reached, with the same kernels.
type deferred struct {
	nodes   []*graph.Node
	kernels []prepared
	traits  []trait
	stages  []stage
	makes   map[*graph.Value]bool
}

// findLate finds the nodes that have to be deferred: they read what has no known shape, or what such nodes make.
func (l *planner) findLate() {
	l.late = make([]bool, len(l.graph.Nodes))
	late := map[*graph.Value]bool{}
	for i, n := range l.graph.Nodes {
		l.late[i] = slices.ContainsFunc(n.Inputs, func(v *graph.Value) bool { return late[v] })
		for _, v := range n.Outputs {
			if v == nil || v.Const != nil {
				continue
			}
			_, known := v.Type.Shape.Known()
			late[v] = l.late[i] || !known || v.Type.DType == tensor.Invalid
		}
	}
}

// deferNode leaves a node to the deferred program.
func (l *planner) deferNode(i int, n *graph.Node) {
	d := &l.deferred
	if d.makes == nil {
		d.makes = map[*graph.Value]bool{}
	}
	d.nodes, d.kernels = append(d.nodes, n), append(d.kernels, l.program.kernels[i])
	d.traits = append(d.traits, l.program.traits[i])
	d.stages = append(d.stages, l.program.stages[i])
	for _, v := range n.Outputs {
		if v != nil && v.Const == nil {
			d.makes[v] = true
		}
	}
	// Its operands are read at the end.
	for _, v := range n.Inputs {
		if p := l.places[v]; p != nil && p.storage != nil {
			p.storage.last = max(p.storage.last, len(l.graph.Nodes))
		}
	}
}

// planDeferred plans one step that runs all deferred nodes.
func (l *planner) planDeferred() error {
	d := &l.deferred
	if len(d.nodes) == 0 {
		return nil
	}
	c := &planning{planner: l, node: d.nodes[0], step: len(l.graph.Nodes)}
	g := &graph.Graph{Name: l.graph.Name, Nodes: d.nodes}
	var in, out []*place
	seen := map[*graph.Value]bool{nil: true}
	for _, n := range d.nodes {
		for _, v := range n.Inputs {
			if seen[v] || d.makes[v] || l.places[v] == nil || l.places[v].constant != nil {
				continue // made by a deferred node, or a constant
			}
			seen[v] = true
			if v.Type.DType == tensor.Invalid {
				return fmt.Errorf("%s: the element type of %q is not known", n.Describe(), v.Name)
			}
			g.Inputs, in = append(g.Inputs, v), append(in, l.places[v])
		}
	}
	for _, v := range l.graph.Outputs {
		if d.makes[v] && !seen[v] {
			seen[v] = true
			g.Outputs, out = append(g.Outputs, v), append(out, l.makePlace(v, c.step))
		}
	}
	nested := runtime.NewNested(&program{inputs: g.Inputs, outputs: g.Outputs, graph: g, kernels: d.kernels, traits: d.traits,
		stages: d.stages, threads: l.program.threads, vector: l.program.vector, maxBytes: l.program.maxBytes})
	c.emitCall("deferred", in, out, nested.Run)
	return nil
}

// emitCall plans a step that gives its operands to run and puts the results into their places.
func (c *planning) emitCall(kernel string, in, out []*place, run func(ctx context.Context, m *runtime.Memory, in []*tensor.Tensor) ([]*tensor.Tensor, error)) {
	c.emit(kernel, 0, func(m *runtime.Memory) runtime.Work {
		fixed := make([]*tensor.Tensor, len(in))
		for i, p := range in {
			if p != nil && p.dynamic == 0 {
				fixed[i] = p.tensor(m)
			}
		}
		return runtime.Work{Call: func(ctx context.Context) error {
			operands := append([]*tensor.Tensor{}, fixed...)
			for i, p := range in {
				if p != nil && p.dynamic > 0 {
					operands[i] = m.Dynamic(p.buffer())
				}
			}
			results, err := run(ctx, m, operands)
			if err != nil {
				return err
			}
			return c.deliver(m, out, results)
		}}
	})
}
