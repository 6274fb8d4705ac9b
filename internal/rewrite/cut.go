package rewrite

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
)

// Cut makes a graph start at the values named by inputs and end at those named by outputs; an empty list leaves that
// side as it is. A name may end in :0, as TensorFlow writes it. All names that are not there are reported at once.
func Cut(g *graph.Graph, inputs, outputs []string) error {
	var problems []error
	find := func(name string) *graph.Value {
		v := g.Value(name)
		if short, ok := strings.CutSuffix(name, ":0"); v == nil && ok {
			v = g.Value(short)
		}
		switch {
		case v == nil:
			problems = append(problems, fmt.Errorf("the model has no value %q to cut at; octet inspect --text lists them", name))
		case v.Const != nil:
			problems = append(problems, fmt.Errorf("the model cannot be cut at %q, which is a constant", name))
		}
		return v
	}
	list := func(names []string) []*graph.Value {
		var values []*graph.Value
		for _, name := range names {
			if v := find(name); v != nil && v.Const == nil && !slices.Contains(values, v) {
				values = append(values, v)
			}
		}
		return values
	}
	starts, ends := list(inputs), list(outputs)
	if err := errors.Join(problems...); err != nil {
		return err
	}
	old, results := g.Ports()
	if len(ends) > 0 {
		results = ends
	}
	if len(starts) == 0 {
		g.SetPorts(old, results)
		g.RemoveDead()
		return nil
	}
	index := g.Index()
	for _, v := range starts { // what computes an input is not part of the network any more
		if p := index.Producer(v); p != nil {
			for i, out := range p.Outputs {
				if out == v {
					p.Outputs[i] = &graph.Value{Name: index.Fresh(v.Name + "_uncut"), Type: v.Type}
				}
			}
		}
	}
	g.SetPorts(starts, results)
	for i, v := range g.Outputs { // an output is computed
		if slices.Contains(starts, v) {
			y := &graph.Value{Name: index.Fresh(v.Name + "_output"), Origin: v.Source(), Type: v.Type}
			g.Nodes = append(g.Nodes, &graph.Node{Name: y.Name, Op: &op.Identity{}, Inputs: []*graph.Value{v}, Outputs: []*graph.Value{y}})
			g.Outputs[i] = y
		}
	}
	g.RemoveDead()
	index = g.Index()
	for _, v := range old {
		if !slices.Contains(starts, v) && len(index.Uses(v)) > 0 {
			problems = append(problems, fmt.Errorf("the outputs still depend on input %q: name it, or a value behind it, as an input too", v.Name))
		}
	}
	return errors.Join(problems...)
}
