package op

import (
	"errors"
	"fmt"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/tensor"
)

// maxData bounds how many elements of integer values are followed through inference; shapes are shorter.
const maxData = 1024

// Facts is what inference knows of values beyond their types: integer values (shapes, axes, bounds) that are constant
// or follow from the shapes of others, possibly with symbolic entries.
type Facts struct {
	data  map[*graph.Value][]Int
	depth int // of the graph: how many nodes it is a body within
}

// Int is an integer that inference may know: a constant, or an unknown that is the size of a named dimension.
type Int struct {
	Value  int64 // valid if Known
	Known  bool
	Symbol string // name of the dimension it is the size of; "" when known or anonymous
}

// Literal is a known integer.
func Literal(n int64) Int { return Int{Value: n, Known: true} }

// SizeOf is the integer that a dimension's size is.
func SizeOf(d graph.Dim) Int {
	if d.Known() {
		return Literal(int64(d.Size))
	}
	return Int{Symbol: d.Symbol}
}

// Dim is the dimension of this size; an unknown one if it is unknown or negative.
func (n Int) Dim() graph.Dim {
	if n.Known && n.Value >= 0 && n.Value <= tensor.MaxElements {
		return graph.Fixed(int(n.Value))
	}
	return graph.Dim{Size: graph.Unknown, Symbol: n.Symbol}
}

// Data is the integer value of v in row-major order, as far as it is known. Only integer values of at most 1024
// elements are followed.
func (f *Facts) Data(v *graph.Value) ([]Int, bool) {
	if v == nil {
		return nil, false
	}
	if v.Const != nil {
		ints, ok := constantInts(v.Const)
		if !ok {
			return nil, false
		}
		return convert(ints, Literal), true
	}
	d, ok := f.data[v]
	return d, ok
}

// constantInts reads a small integer or bool constant.
func constantInts(t *tensor.Tensor) ([]int64, bool) {
	if !t.DType().IsInteger() && t.DType() != tensor.Bool || t.Len() > maxData || t.DType().Bits() < 8 {
		return nil, false
	}
	return Int64s(t), true
}

// Infer runs inference over the whole graph, in order, writing the types of node outputs in place. Types that are
// declared and that inference cannot improve are kept; quantization of outputs is never changed. All contradictions
// are reported at once, each with its node.
func Infer(g *graph.Graph) (*Facts, error) { return infer(g, 0) }

func infer(g *graph.Graph, depth int) (*Facts, error) {
	facts := &Facts{map[*graph.Value][]Int{}, depth}
	var problems []error
	for _, n := range g.Nodes {
		if err := facts.Node(n); err != nil {
			problems = append(problems, err)
		}
	}
	return facts, errors.Join(problems...)
}

// Node infers a single node, writing the types of its outputs in place and remembering integer values.
func (f *Facts) Node(n *graph.Node) error {
	o, ok := n.Op.(Operator)
	if !ok {
		return fmt.Errorf("%s: operator has no definition", n.Describe())
	}
	c := &Inference{Node: n, facts: f, out: make([]graph.Type, len(n.Outputs)), data: make([][]Int, len(n.Outputs))}
	if err := o.Infer(c); err != nil {
		return fmt.Errorf("%s: %w", n.Describe(), err)
	}
	for i, v := range n.Outputs {
		if v == nil {
			continue
		}
		merged, err := refine(v.Type, c.out[i])
		if err != nil {
			return fmt.Errorf("%s: output %q %w", n.Describe(), v.Name, err)
		}
		v.Type = merged
		if c.data[i] != nil {
			f.data[v] = c.data[i]
		}
	}
	return nil
}

// refine merges what was declared of a value with what inference found. Inference wins where both know; the declared
// element type and quantization of quantized values are kept, because operators infer the real-valued type.
func refine(declared, found graph.Type) (graph.Type, error) {
	t := declared
	if t.DType == tensor.Invalid {
		t.DType = found.DType
	} else if t.Quant == nil && found.DType != tensor.Invalid && found.DType != t.DType {
		return t, fmt.Errorf("is declared %s but computed as %s", t.DType, found.DType)
	}
	if found.Shape == nil {
		return t, nil
	}
	if declared.Shape == nil || len(declared.Shape) != len(found.Shape) {
		t.Shape = found.Shape
		return t, nil
	}
	t.Shape = make(graph.Shape, len(found.Shape))
	for i, d := range found.Shape {
		if !d.Known() && d.Symbol == "" {
			d = declared.Shape[i]
		}
		t.Shape[i] = d
	}
	return t, nil
}

// Inference is what an operator sees while types are inferred.
type Inference struct {
	Node  *graph.Node
	facts *Facts
	out   []graph.Type
	data  [][]Int
}

// Has reports whether operand i is present.
func (c *Inference) Has(i int) bool { return c.Node.Input(i) != nil }

// In is the type of operand i; the zero Type (nothing known) if it is absent.
func (c *Inference) In(i int) graph.Type {
	if v := c.Node.Input(i); v != nil {
		return v.Type
	}
	return graph.Type{}
}

// Const is operand i if it is constant, else nil.
func (c *Inference) Const(i int) *tensor.Tensor {
	if v := c.Node.Input(i); v != nil {
		return v.Const
	}
	return nil
}

// Data is the integer value of operand i as far as it is known: see Facts.Data.
func (c *Inference) Data(i int) ([]Int, bool) { return c.facts.Data(c.Node.Input(i)) }

// Ints is the integer value of operand i if all of it is known.
func (c *Inference) Ints(i int) ([]int64, bool) {
	data, ok := c.Data(i)
	if !ok {
		return nil, false
	}
	ints := make([]int64, len(data))
	for j, n := range data {
		if !n.Known {
			return nil, false
		}
		ints[j] = n.Value
	}
	return ints, true
}

// SetOut states the type of output i. A nil shape states an unknown rank.
func (c *Inference) SetOut(i int, dtype tensor.DType, shape graph.Shape) {
	if i < len(c.out) {
		c.out[i] = graph.Type{DType: dtype, Shape: shape}
	}
}

// SetData states the integer value of output i, row-major, as far as it is known.
func (c *Inference) SetData(i int, data []Int) {
	if i < len(c.data) && len(data) <= maxData {
		if data == nil {
			data = []Int{}
		}
		c.data[i] = data
	}
}
