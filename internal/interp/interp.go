// Package interp is the reference interpreter: it evaluates a graph node by node by the operators' definitions. It is
// slow and obviously right, and the oracle for compiled programs.
package interp

import (
	"context"
	"fmt"
	"runtime"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// Executor prepares graphs for the interpreter.
type Executor struct{}

// Prepare checks the graph. Graphs with unknown operators are refused with an *op.UnsupportedError that lists them
// all.
func (Executor) Prepare(g *graph.Graph, keep []string) (graph.Runner, error) {
	if err := g.Check(); err != nil {
		return nil, err
	}
	if err := op.CheckSupported(g); err != nil {
		return nil, err
	}
	r := &Runner{graph: g, wanted: map[*graph.Value]bool{}, lastUse: map[*graph.Value]int{}}
	for _, name := range keep {
		v := g.Value(name)
		if v == nil {
			return nil, fmt.Errorf("the network has no value %q to keep", name)
		}
		r.wanted[v] = true
	}
	for _, v := range g.Outputs {
		r.wanted[v] = true
	}
	for i, n := range g.Nodes {
		for _, v := range n.Inputs {
			r.lastUse[v] = i
		}
	}
	return r, nil
}

// Runner interprets one graph. It is safe for concurrent use.
type Runner struct {
	graph   *graph.Graph
	wanted  map[*graph.Value]bool
	lastUse map[*graph.Value]int
}

// Run evaluates all nodes and returns the outputs and kept values, by name.
func (r *Runner) Run(ctx context.Context, inputs map[string]*tensor.Tensor) (map[string]*tensor.Tensor, error) {
	defer runtime.KeepAlive(r.graph) // its constants may be parts of a mapped file
	arranged, err := graph.Arrange(r.graph.Inputs, inputs)
	if err != nil {
		return nil, err
	}
	values := map[*graph.Value]*tensor.Tensor{}
	for i, v := range r.graph.Inputs {
		values[v] = arranged[i]
	}
	for i, n := range r.graph.Nodes {
		operands := make([]*tensor.Tensor, len(n.Inputs))
		for j, v := range n.Inputs {
			switch {
			case v == nil:
			case v.Const != nil:
				operands[j] = v.Const
			default:
				operands[j] = values[v]
			}
		}
		results, err := op.Evaluate(ctx, n, operands)
		if err != nil {
			return nil, err
		}
		for j, v := range n.Outputs {
			if v == nil {
				continue
			}
			t := results[j]
			if t == nil {
				return nil, fmt.Errorf("%s gave no output %d", n.Describe(), j)
			}
			if v.Type.DType != tensor.Invalid && v.Type.DType != t.DType() {
				return nil, fmt.Errorf("%s gave %s for %q, which is declared %s", n.Describe(), t, v.Name, v.Type)
			}
			values[v] = t
		}
		for _, v := range n.Inputs {
			if v != nil && r.lastUse[v] == i && !r.wanted[v] {
				delete(values, v)
			}
		}
	}
	out := map[string]*tensor.Tensor{}
	for v := range r.wanted {
		t := values[v]
		if v.Const != nil {
			t = v.Const
		}
		out[v.Name] = t.Clone() // the value may be an input, a constant, or seen under two names
	}
	return out, nil
}
