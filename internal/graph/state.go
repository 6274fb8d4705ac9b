package graph

import (
	"fmt"
	"slices"

	"github.com/octet-nn/octet/tensor"
)

// State is what one run hands on to the next: graph input number Input takes it, and graph output number Output is what
// becomes of it. A run that is not given a state begins with Initial, which is never written to. States are numbers and
// not values so that rewriting, which keeps inputs and outputs in their places, leaves them right.
type State struct {
	Input, Output int
	Initial       *tensor.Tensor
}

// AddState makes in, which nothing produces, and next, what becomes of it, a state.
func (g *Graph) AddState(in, next *Value, initial *tensor.Tensor) {
	g.States = append(g.States, State{len(g.Inputs), len(g.Outputs), initial})
	g.Inputs, g.Outputs = append(g.Inputs, in), append(g.Outputs, next)
}

// IsStateInput reports whether input number i is a state.
func (g *Graph) IsStateInput(i int) bool {
	return slices.ContainsFunc(g.States, func(s State) bool { return s.Input == i })
}

// IsStateOutput reports whether output number i is what becomes of a state.
func (g *Graph) IsStateOutput(i int) bool {
	return slices.ContainsFunc(g.States, func(s State) bool { return s.Output == i })
}

// Ports are the inputs and outputs that are no states.
func (g *Graph) Ports() (inputs, outputs []*Value) {
	for i, v := range g.Inputs {
		if !g.IsStateInput(i) {
			inputs = append(inputs, v)
		}
	}
	for i, v := range g.Outputs {
		if !g.IsStateOutput(i) {
			outputs = append(outputs, v)
		}
	}
	return inputs, outputs
}

// SetPorts replaces the inputs and outputs that are no states. States that do not matter to the outputs any more, or
// that have been made constants, are dropped.
func (g *Graph) SetPorts(inputs, outputs []*Value) {
	type carried struct {
		in, next *Value
		initial  *tensor.Tensor
	}
	var left []carried
	for _, s := range g.States {
		if in := g.Inputs[s.Input]; in.Const == nil && !slices.Contains(inputs, in) {
			left = append(left, carried{in, g.Outputs[s.Output], s.Initial})
		}
	}
	g.Inputs, g.Outputs, g.States = slices.Clone(inputs), slices.Clone(outputs), nil
	given := map[*Value]bool{}
	for _, v := range inputs {
		given[v] = true
	}
	producer := map[*Value]*Node{}
	for _, n := range g.Nodes {
		for _, v := range n.Outputs {
			if v != nil {
				producer[v] = n
			}
		}
	}
	needed := map[*Value]bool{nil: true}
	need := func(v *Value) {
		for open := []*Value{v}; len(open) > 0; {
			v, open = open[len(open)-1], open[:len(open)-1]
			if needed[v] {
				continue
			}
			needed[v] = true
			if n := producer[v]; n != nil && !given[v] {
				open = append(open, n.Inputs...)
			}
		}
	}
	for _, v := range outputs {
		need(v)
	}
	for found := true; found; { // what becomes of one state may depend on another
		found = false
		for i, s := range left {
			if s.in != nil && needed[s.in] {
				need(s.next)
				g.AddState(s.in, s.next, s.initial)
				left[i].in, found = nil, true
			}
		}
	}
}

// checkStates reports states whose ends do not fit each other.
func (g *Graph) checkStates(bad func(format string, args ...any)) {
	inputs, outputs := map[int]bool{}, map[int]bool{}
	for _, s := range g.States {
		if s.Input < 0 || s.Input >= len(g.Inputs) || s.Output < 0 || s.Output >= len(g.Outputs) || g.Outputs[s.Output] == nil {
			bad("a state is input %d of %d and output %d of %d", s.Input, len(g.Inputs), s.Output, len(g.Outputs))
			continue
		}
		in, next := g.Inputs[s.Input], g.Outputs[s.Output]
		if inputs[s.Input] || outputs[s.Output] {
			bad("state %q is one twice", in.Name)
		}
		inputs[s.Input], outputs[s.Output] = true, true
		if in.Type.DType != next.Type.DType || !in.Type.Quant.Equal(next.Type.Quant) {
			bad("state %q is %s but becomes %q, which is %s", in.Name, in.Type, next.Name, next.Type)
		}
		if err := in.Type.accepts(s.Initial); err != nil {
			bad("state %q: %w", in.Name, err)
		}
	}
}

// accepts reports why a tensor cannot be a value of the type.
func (t Type) accepts(x *tensor.Tensor) error {
	if x == nil {
		return fmt.Errorf("has no initial value")
	}
	if x.DType() != t.DType || t.Shape.Ranked() && len(t.Shape) != len(x.Shape()) {
		return fmt.Errorf("is %s but begins with %s", t, x)
	}
	for axis, d := range t.Shape {
		if d.Known() && d.Size != x.Shape()[axis] {
			return fmt.Errorf("is %s but begins with %s", t, x)
		}
	}
	return nil
}
