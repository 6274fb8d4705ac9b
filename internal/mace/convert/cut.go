package convert

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/suggest"
)

// sorted is the keys of a map in order.
func sorted[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }

// spellings are the names under which a value of a deployment file or range file may be known.
func spellings(name string) []string {
	if short, ok := strings.CutSuffix(name, ":0"); ok {
		return []string{name, short}
	}
	return []string{name, name + ":0"}
}

// find looks a value up by any spelling of its name.
func find(g *graph.Graph, name string) *graph.Value {
	for _, s := range spellings(name) {
		if v := g.Value(s); v != nil {
			return v
		}
	}
	return nil
}

// cut makes the network start at the input tensors and end at the output tensors of the deployment file.
func (c *converter) cut() error {
	outputs := c.o.Outputs
	if c.o.Quantize && len(c.o.CheckTensors) > 0 {
		outputs = c.o.CheckTensors
	}
	var problems []error
	known := func() []string {
		var names []string
		for _, v := range c.g.Values() {
			if v.Const == nil {
				names = append(names, v.Name)
			}
		}
		return names
	}
	lookup := func(what, name string) *graph.Value {
		v := find(c.g, name)
		switch {
		case v == nil:
			problems = append(problems, fmt.Errorf("the model has no tensor %q for %s%s. Its inputs are %s, its outputs %s",
				name, what, suggest.DidYouMean(name, known()), listed(c.g.Inputs), listed(c.g.Outputs)))
		case v.Const != nil:
			problems = append(problems, fmt.Errorf("%s: %q is a constant of the model, not a value that it computes", what, name))
		default:
			if v.Name != name && c.g.Value(name) == nil {
				v.Origin, v.Name = v.Source(), name
			}
			return v
		}
		return nil
	}
	c.inputs, c.formats = map[*graph.Value]Range{}, map[*graph.Value]string{}
	var ins, outs []*graph.Value
	for i, in := range c.o.Inputs {
		if v := lookup("input_tensors", in.Name); v != nil {
			if slices.Contains(ins, v) {
				problems = append(problems, fmt.Errorf("input_tensors names %q twice", in.Name))
				continue
			}
			ins = append(ins, v)
			c.inputs[v], c.formats[v] = in.bounds(), c.o.Inputs[i].Format
		}
	}
	for _, out := range outputs {
		if v := lookup("output_tensors", out.Name); v != nil && !slices.Contains(outs, v) {
			outs = append(outs, v)
			c.formats[v] = out.Format
		}
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	if len(c.o.Inputs) == 0 {
		ins = c.g.Inputs
		for _, v := range ins {
			c.inputs[v], c.formats[v] = Range{-1, 1}, "NONE"
		}
	}
	if len(outputs) == 0 {
		outs = c.g.Outputs
		for _, v := range outs {
			if _, ok := c.formats[v]; !ok {
				c.formats[v] = "NONE"
			}
		}
	}
	index := c.g.Index()
	for _, v := range ins { // what computes an input is not part of the model
		if p := index.Producer(v); p != nil {
			dangling := &graph.Value{Name: index.Fresh(v.Name + "_uncut"), Type: v.Type}
			p.Outputs[slices.Index(p.Outputs, v)] = dangling
		}
	}
	declared := c.g.Inputs
	c.g.Inputs, c.g.Outputs = ins, outs
	c.g.RemoveDead()
	index = c.g.Index()
	for _, v := range declared {
		if !slices.Contains(ins, v) && (len(index.Uses(v)) > 0 || index.IsOutput(v)) {
			problems = append(problems, fmt.Errorf("the outputs %s depend on the model's input %q: add it to input_tensors", listed(outs), v.Name))
		}
	}
	return errors.Join(problems...)
}

// bounds is the entry of input_ranges, or the default.
func (in Input) bounds() Range {
	if in.Low == 0 && in.High == 0 {
		return Range{-1, 1}
	}
	return Range{in.Low, in.High}
}

func listed(vs []*graph.Value) string {
	names := make([]string, len(vs))
	for i, v := range vs {
		names[i] = fmt.Sprintf("%q", v.Name)
	}
	return strings.Join(names, ", ")
}

// channelsLast permutes four dimensions from NCHW to NHWC; channelsFirst back.
var channelsLast, channelsFirst = []int{0, 2, 3, 1}, []int{0, 3, 1, 2}

func permuted(shape []int, perm []int) []int {
	out := make([]int, len(perm))
	for i, p := range perm {
		out[i] = shape[p]
	}
	return out
}

// fits reports whether known sizes contradict a shape.
func fits(shape graph.Shape, sizes []int) bool {
	if shape == nil {
		return true
	}
	if len(shape) != len(sizes) {
		return false
	}
	for i, d := range shape {
		if d.Known() && d.Size != sizes[i] {
			return false
		}
	}
	return true
}

// shapes fixes the shapes of inputs and finds those that the model file has channels first.
func (c *converter) shapes() error {
	first := c.channelsFirst()
	var problems []error
	turned := map[*graph.Value]bool{}
	c.turned = turned
	shapes := map[*graph.Value][]int{}
	for _, in := range c.o.Inputs {
		v := find(c.g, in.Name)
		have := v.Type.Shape
		spatial := len(in.Shape) == 4 && in.Format != "NONE"
		if len(in.Shape) == 0 {
			turned[v] = len(have) == 4 && in.Format != "NONE" && first
			continue
		}
		if !spatial {
			if !fits(have, in.Shape) {
				problems = append(problems, fmt.Errorf("input %q is %s in the model, not %s (input_shapes)", in.Name, have, graph.FixedShape(in.Shape...)))
			}
			shapes[v] = in.Shape
			continue
		}
		last := in.Shape
		if in.Format == "NCHW" {
			last = permuted(in.Shape, channelsLast)
		}
		asFirst, asLast := fits(have, permuted(last, channelsFirst)), fits(have, last)
		switch {
		case !asFirst && !asLast:
			problems = append(problems, fmt.Errorf("input %q is %s in the model, which is neither %s nor %s (input_shapes and input_data_formats)",
				in.Name, have, graph.FixedShape(permuted(last, channelsFirst)...), graph.FixedShape(last...)))
		case asFirst && (first || !asLast):
			turned[v], shapes[v] = true, permuted(last, channelsFirst)
		default:
			shapes[v] = last
		}
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	for v, sizes := range shapes {
		v.Type.Shape = graph.FixedShape(sizes...)
	}
	if err := c.reinfer(); err != nil {
		return fmt.Errorf("with the shapes of input_shapes: %w", err)
	}
	return nil
}

// channelsLastEdges gives inputs and outputs of four dimensions channels last, as the runtime of MACE takes and gives
// them.
func (c *converter) channelsLastEdges() error {
	first := c.channelsFirst()
	index := c.g.Index()
	var before, after []*graph.Node
	for _, v := range c.g.Inputs {
		if !c.turned[v] {
			continue
		}
		inner := &graph.Value{Name: index.Fresh(v.Name + "_NCHW"), Type: v.Type}
		for _, u := range index.Uses(v) {
			u.Node.Inputs[u.Index] = inner
		}
		v.Type.Shape = turn(v.Type.Shape, channelsLast)
		before = append(before, &graph.Node{Name: v.Name + "/NCHW", Op: &op.Transpose{Perm: channelsFirst}, Inputs: []*graph.Value{v}, Outputs: []*graph.Value{inner}})
	}
	for i, v := range c.g.Outputs {
		if len(v.Type.Shape) != 4 || c.formats[v] == "NONE" || !first || slices.Contains(c.g.Inputs, v) {
			continue
		}
		outer := &graph.Value{Name: v.Name, Origin: v.Origin, Type: v.Type}
		outer.Type.Shape = turn(v.Type.Shape, channelsLast)
		v.Origin, v.Name = v.Name, index.Fresh(v.Name+"_NCHW")
		c.g.Outputs[i] = outer
		after = append(after, &graph.Node{Name: outer.Name + "/NHWC", Op: &op.Transpose{Perm: channelsLast}, Inputs: []*graph.Value{v}, Outputs: []*graph.Value{outer}})
	}
	c.g.Nodes = slices.Concat(before, c.g.Nodes, after)
	return nil
}

func turn(shape graph.Shape, perm []int) graph.Shape {
	out := make(graph.Shape, len(perm))
	for i, p := range perm {
		out[i] = shape[p]
	}
	return out
}

// channelsFirst reports whether the spatial operators of the model file have channels before spatial dimensions.
func (c *converter) channelsFirst() bool {
	for _, n := range c.g.Nodes {
		switch o := n.Op.(type) {
		case *op.Conv:
			return o.Layout == op.NCHW
		case *op.ConvTranspose:
			return o.Layout == op.NCHW
		case *op.MaxPool:
			return o.Layout == op.NCHW
		case *op.AveragePool:
			return o.Layout == op.NCHW
		case *op.GlobalAveragePool:
			return o.Layout == op.NCHW
		case *op.GlobalMaxPool:
			return o.Layout == op.NCHW
		case *op.DepthToSpace:
			return o.Layout == op.NCHW
		case *op.SpaceToDepth:
			return o.Layout == op.NCHW
		}
	}
	return true
}
