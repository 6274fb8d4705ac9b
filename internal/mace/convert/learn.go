package convert

import (
	"errors"
	"fmt"

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
				c.hand(index, n, n.Inputs[0])
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
			c.learned[n.Inputs[0]] = realRange(q, lowest, highest)
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
	c.g.RemoveDead()
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
		c.learned[x] = realRange(q, lowest, highest)
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
