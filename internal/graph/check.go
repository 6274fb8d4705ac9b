package graph

import (
	"errors"
	"fmt"

	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/tensor"
)

// Check reports everything that makes the graph illegal, all at once: values used before they are made or made twice,
// duplicate names, constants that contradict their type, malformed quantization, and nodes whose Compute contradicts
// the types of their operands.
func (g *Graph) Check() error {
	var problems []error
	bad := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }

	made := map[*Value]bool{}
	names := map[string]*Value{}
	see := func(v *Value) {
		if other, ok := names[v.Name]; ok && other != v {
			bad("two values are named %q", v.Name)
		}
		names[v.Name] = v
	}
	for _, v := range g.Inputs {
		made[v] = true
		see(v)
		if v.Const != nil {
			bad("input %q is a constant", v.Name)
		}
	}
	for _, n := range g.Nodes {
		if n.Op == nil {
			bad("node %q has no operator", n.Name)
			continue
		}
		for i, v := range n.Inputs {
			switch {
			case v == nil:
			case v.Const != nil:
				see(v)
			case !made[v]:
				bad("%s reads input %d, %q, before anything produces it", n.Describe(), i, v.Name)
			}
		}
		for _, v := range n.Outputs {
			if v == nil {
				continue
			}
			if made[v] {
				bad("%s produces %q, which exists already", n.Describe(), v.Name)
			}
			if v.Const != nil {
				bad("%s produces %q, which is a constant", n.Describe(), v.Name)
			}
			made[v] = true
			see(v)
		}
		if err := checkCompute(n); err != nil {
			problems = append(problems, err)
		}
	}
	for _, v := range g.Outputs {
		if v == nil {
			bad("a graph output is nil")
		} else if !made[v] && v.Const == nil {
			bad("graph output %q is never produced", v.Name)
		}
	}
	g.checkStates(bad)
	for _, v := range g.Values() {
		if err := v.Type.check(v.Const); err != nil {
			bad("value %q: %w", v.Name, err)
		}
	}
	return errors.Join(problems...)
}

// check reports contradictions within a type and with the constant it describes.
func (t Type) check(c *tensor.Tensor) error {
	if c != nil {
		sizes, ok := t.Shape.Known()
		if !ok || tensor.Describe(t.DType, sizes) != c.String() {
			return fmt.Errorf("is declared %s but its constant is %s", t, c)
		}
	}
	q := t.Quant
	if q == nil {
		return nil
	}
	if !t.DType.IsInteger() {
		return fmt.Errorf("%s is quantized but not an integer type", t.DType)
	}
	if q.Dynamic {
		return nil
	}
	if len(q.Scale) == 0 || len(q.Scale) != len(q.ZeroPoint) {
		return fmt.Errorf("quantization has %d scales and %d zero points", len(q.Scale), len(q.ZeroPoint))
	}
	for _, s := range q.Scale {
		if !(s > 0) || s > 3.4e38 {
			return fmt.Errorf("quantization scale %v is not a positive finite number", s)
		}
	}
	if len(q.Scale) > 1 && t.Shape.Ranked() {
		if q.Axis < 0 || q.Axis >= len(t.Shape) {
			return fmt.Errorf("quantization axis %d is outside shape %s", q.Axis, t.Shape)
		}
		if d := t.Shape[q.Axis]; q.Block == 0 && d.Known() && d.Size != len(q.Scale) {
			return fmt.Errorf("%d quantization scales for %d channels along axis %d", len(q.Scale), d.Size, q.Axis)
		}
	}
	return nil
}

// checkCompute compares a node's declared computation with the types of its values.
func checkCompute(n *Node) error {
	quantizedIn, floatIn, quantizedOut, floatOut := 0, 0, 0, 0
	for _, v := range n.Inputs {
		if v == nil {
			continue
		}
		if v.Type.Quant != nil {
			quantizedIn++
		} else if v.Type.DType.IsFloat() {
			floatIn++
		}
	}
	for _, v := range n.Outputs {
		if v == nil {
			continue
		}
		if v.Type.Quant != nil {
			quantizedOut++
		} else if v.Type.DType.IsFloat() {
			floatOut++
		}
	}
	fail := func(why string) error { return fmt.Errorf("%s is %s but %s", n.Describe(), n.Compute, why) }
	switch n.Compute {
	case Integer:
		if quantizedIn == 0 || quantizedOut == 0 {
			return fail("has no quantized input or no quantized output")
		}
		if n.Arithmetic == numeric.None {
			return fail("names no arithmetic")
		}
	case IntegerToFloat:
		if quantizedIn == 0 || floatOut == 0 {
			return fail("has no quantized input or no float output")
		}
	case WeightOnly, DynamicActivations:
		if quantizedIn == 0 || floatIn == 0 || floatOut == 0 {
			return fail("does not have float activations, integer weights and a float output")
		}
	}
	return nil
}
