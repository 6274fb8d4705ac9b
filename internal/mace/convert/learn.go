package convert

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// learn takes the ranges that quantization-aware training left in the model, and the nodes that express them, out of
// it: FakeQuantize, and Quantize followed by Dequantize.
func (c *converter) learn() error {
	var problems []error
	index := c.g.Index()
	for _, n := range c.g.Nodes {
		switch o := n.Op.(type) {
		case *op.FakeQuantize:
			if n.Inputs[0].Const != nil { // MACE finds the ranges of constants itself
				v, err := c.rounded(index, n.Inputs[0], n)
				if err != nil {
					problems = append(problems, err)
					continue
				}
				c.hand(index, n, v)
				continue
			}
			q, ok := o.Quant(n)
			if !ok || len(q.Scale) != 1 {
				problems = append(problems, fmt.Errorf("%s has other than one constant scale; MACE knows one scale for each value", n.Describe()))
				continue
			}
			if o.Bits != 0 && o.Bits != 8 {
				c.report.note("%s was trained with %d bits; 8 are used", n.Describe(), o.Bits)
			}
			lowest, highest := o.Limits()
			c.learned[n.Inputs[0]] = learned{realRange(q, lowest, highest), q, o.DType()}
			c.hand(index, n, n.Inputs[0])
		case *op.Dequantize:
			if err := c.learnPair(index, n); err != nil {
				problems = append(problems, err)
			}
		}
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	for _, v := range c.g.Values() {
		if r, ok := c.o.Trained[v.Name]; ok && v.Const == nil {
			c.learned[v] = learned{Range: r}
		}
	}
	c.g.RemoveDead()
	return nil
}

// learned is what training knows of a value: its range, and the codes that it was rounded to.
type learned struct {
	Range
	quant *graph.Quant
	dtype tensor.DType
}

// rounded is a constant as nodes in a row make it of v, for models that simulate their training; v itself for others.
func (c *converter) rounded(index *graph.Index, v *graph.Value, nodes ...*graph.Node) (*graph.Value, error) {
	if !c.o.Simulate || c.o.Quantize {
		return v, nil
	}
	t := v.Const
	for _, n := range nodes {
		in := []*tensor.Tensor{t}
		for _, operand := range n.Inputs[1:] {
			switch {
			case operand == nil:
				in = append(in, nil)
			case operand.Const == nil:
				return nil, fmt.Errorf("%s rounds the constant %q by a scale that is computed", n.Describe(), v.Source())
			default:
				in = append(in, operand.Const)
			}
		}
		out, err := op.Evaluate(context.Background(), n, in)
		if err != nil {
			return nil, err
		}
		t = out[0]
	}
	return &graph.Value{Name: index.Fresh(v.Name + "_rounded"), Origin: v.Source(), Type: graph.TypeOf(t), Const: t}, nil
}

// simulate puts the rounding of training behind the values that it was learned from. Outputs are rounded under their names.
func (c *converter) simulate() error {
	if !c.o.Simulate || c.o.Quantize {
		return nil
	}
	index := c.g.Index()
	var nodes []*graph.Node
	round := func(v *graph.Value) {
		l := c.learned[v]
		if l.quant == nil {
			return
		}
		c.report.Simulated++
		x, y := v, &graph.Value{Name: index.Fresh(v.Name + "_rounded"), Type: v.Type}
		if p := index.Producer(v); p != nil && index.IsOutput(v) {
			x, y = y, v
			p.Outputs[slices.Index(p.Outputs, v)] = x
		} else {
			for _, u := range index.Uses(v) {
				u.Node.Inputs[u.Index] = y
			}
		}
		if lowest, highest := l.quant.Limits(l.dtype); realRange(l.quant, lowest, highest) != l.Range { // codes of, say, 7 bits
			limited := &graph.Value{Name: index.Fresh(v.Name + "_limited"), Type: v.Type}
			nodes = append(nodes, &graph.Node{Name: v.Name + "/limit", Op: &op.Clip{}, Outputs: []*graph.Value{limited}, Inputs: []*graph.Value{x,
				constant(index, v.Name+"_lowest", tensor.Of([]float32{float32(l.Min)})), constant(index, v.Name+"_highest", tensor.Of([]float32{float32(l.Max)}))}})
			x = limited
		}
		codes := &graph.Value{Name: index.Fresh(v.Name + "_codes"), Type: graph.Type{DType: l.dtype, Shape: v.Type.Shape, Quant: l.quant}}
		nodes = append(nodes,
			&graph.Node{Name: v.Name + "/quantize", Op: &op.Quantize{}, Inputs: []*graph.Value{x}, Outputs: []*graph.Value{codes}},
			&graph.Node{Name: v.Name + "/dequantize", Op: &op.Dequantize{}, Inputs: []*graph.Value{codes}, Outputs: []*graph.Value{y}})
	}
	for _, v := range c.g.Inputs {
		round(v)
	}
	for _, n := range c.g.Nodes {
		results := slices.Clone(n.Outputs)
		nodes = append(nodes, n)
		for _, v := range results {
			if v != nil {
				round(v)
			}
		}
	}
	c.g.Nodes = nodes
	return nil
}

// realRange is the reals of the lowest and the highest code.
func realRange(q *graph.Quant, lowest, highest int32) Range {
	s := float64(q.Scale[0])
	return Range{float64(lowest-q.ZeroPoint[0]) * s, float64(highest-q.ZeroPoint[0]) * s}
}

// learnPair takes what a Dequantize node and the Quantize node before it say, and makes the first an Identity.
func (c *converter) learnPair(index *graph.Index, n *graph.Node) error {
	y := n.Inputs[0]
	q := y.Type.Quant
	single := q.IsPerTensor() && len(q.Scale) == 1
	if y.Const != nil { // constant codes
		real, err := evaluate(n)
		if err != nil {
			return err
		}
		v := &graph.Value{Name: index.Fresh(y.Name + "_real"), Origin: y.Source(), Type: graph.TypeOf(real), Const: real}
		if single && (y.Type.DType == tensor.Int8 || y.Type.DType == tensor.Uint8) {
			c.trained[v] = &trained{float64(q.Scale[0]), q.ZeroPoint[0], y.Type.DType == tensor.Int8 && q.ZeroPoint[0] == 0}
		}
		c.hand(index, n, v)
		return nil
	}
	p := index.Producer(y)
	if p == nil || p.Op.Type() != "Quantize" {
		return fmt.Errorf("%s reads codes, %q, that no Quantize makes; only float models can be converted", n.Describe(), y.Source())
	}
	x := p.Inputs[0]
	if x.Const != nil {
		v, err := c.rounded(index, x, p, n)
		if err != nil {
			return err
		}
		if c.o.Simulate {
			c.hand(index, n, v)
			return nil
		}
		if single {
			c.trained[x] = &trained{float64(q.Scale[0]), q.ZeroPoint[0], y.Type.DType == tensor.Int8 && q.ZeroPoint[0] == 0}
		} else {
			c.report.note("constant %q was trained with a scale for each channel; MACE has one, found anew", x.Source())
		}
	} else {
		if !single {
			return fmt.Errorf("%s has several scales; MACE knows one scale for each value", p.Describe())
		}
		lowest, highest := q.Limits(y.Type.DType)
		c.learned[x] = learned{realRange(q, lowest, highest), q, y.Type.DType}
	}
	c.hand(index, n, x)
	return nil
}

// hand makes the readers of a node's result read v: constants now, so that they stay what training is known of, others
// as operators that do nothing are dropped.
func (c *converter) hand(index *graph.Index, n *graph.Node, v *graph.Value) {
	n.Op, n.Inputs = &op.Identity{}, []*graph.Value{v}
	if v.Const == nil {
		return
	}
	for _, u := range index.Uses(n.Outputs[0]) {
		u.Node.Inputs[u.Index] = v
	}
}
