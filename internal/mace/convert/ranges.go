package convert

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/suggest"
	"github.com/octet-nn/octet/tensor"
)

// kind is what assigning ranges distinguishes.
type kind uint8

const (
	own        kind = iota // the range file's, or learned
	copied                 // that of the first operand
	split                  // likewise, for each result
	concat                 // the union of operands, where wanted or nothing else is known
	fixed                  // known beforehand
	elementary             // by interval arithmetic where nothing else is known
)

// kindOf is how MACE finds the range of a node's results, and the range itself where it is fixed.
func kindOf(n *graph.Node) (kind, Range) {
	switch o := n.Op.(type) {
	case *op.Unsqueeze, *op.Squeeze, *op.Reshape, *op.Flatten, *op.Transpose, *op.Identity, *op.Pad, *op.Slice, *op.MaxPool,
		*op.AveragePool, *op.GlobalAveragePool, *op.GlobalMaxPool, *op.Reduce, *op.DepthToSpace, *op.SpaceToDepth:
		return copied, Range{}
	case *op.Resize:
		if o.Mode == op.ResizeLinear {
			return copied, Range{}
		}
	case *op.Split:
		return split, Range{}
	case *op.Concat:
		return concat, Range{}
	case *op.Softmax:
		return fixed, Range{0, 1}
	case *op.Add, *op.Sub, *op.Mul:
		return elementary, Range{}
	}
	switch a, _ := activation(n); a {
	case "TANH":
		return fixed, Range{-1, 1}
	case "SIGMOID":
		return fixed, Range{0, 1}
	case "RELUX":
		l, _ := limit(n)
		return fixed, Range{0, float64(l.Max)}
	}
	return own, Range{}
}

// stored is a range as MACE keeps it with a value: what adjusting made of it, in float32.
func (c *converter) stored(v *graph.Value) (Range, bool) {
	i, ok := c.infos[v]
	if !ok {
		return Range{}, false
	}
	s := i.info()
	return Range{float64(s.Min), float64(s.Max)}, true
}

func isReal(v *graph.Value) bool {
	return v != nil && v.Const == nil && v.Type.DType == tensor.Float32
}

// lookup finds a range of the range file.
func (c *converter) lookup(v *graph.Value) (Range, bool) {
	for _, name := range []string{v.Name, v.Source()} {
		for _, s := range spellings(name) {
			if r, ok := c.o.Ranges[s]; ok {
				return r, true
			}
		}
	}
	return Range{}, false
}

// assign finds how every value becomes codes, by MACE's rules in MACE's order: what training left, the range file, the
// ranges of inputs, then operator by operator in the order of execution.
func (c *converter) assign() error {
	c.infos = map[*graph.Value]codes{}
	producer := map[*graph.Value]*graph.Node{}
	for _, n := range c.g.Nodes {
		for _, v := range n.Outputs {
			if v != nil {
				producer[v] = n
			}
		}
	}
	for v, r := range c.learned {
		if !slices.Contains(c.g.Inputs, v) {
			c.infos[v] = c.numbers.activation(r.Range)
		}
	}
	for _, n := range c.g.Nodes {
		for _, v := range n.Outputs {
			if _, learned := c.infos[v]; learned || !isReal(v) {
				continue
			}
			if r, ok := c.lookup(v); ok {
				c.infos[v] = c.numbers.activation(r)
			}
		}
	}
	for _, v := range c.g.Inputs {
		if !isReal(v) {
			continue
		}
		r := c.inputs[v]
		if l, ok := c.learned[v]; ok {
			r = l.Range
		}
		c.infos[v] = c.numbers.activation(r)
	}
	for _, n := range c.g.Nodes {
		if err := c.assignNode(n, producer); err != nil {
			return err
		}
	}
	return nil
}

// assignNode applies MACE's rule for one operator.
func (c *converter) assignNode(n *graph.Node, producer map[*graph.Value]*graph.Node) error {
	if len(n.Outputs) == 0 || !isReal(n.Outputs[0]) {
		return nil
	}
	y := n.Outputs[0]
	rule, known := kindOf(n)
	switch rule {
	case copied, split:
		from := n.Input(0)
		if p := producer[from]; p != nil && rule == copied && isReal(p.Outputs[0]) {
			from = p.Outputs[0] // MACE only knows the first result of the producer
		}
		if i, ok := c.infos[from]; ok {
			for _, v := range n.Outputs {
				if isReal(v) {
					c.infos[v] = i
				}
			}
		}
	case fixed:
		c.infos[y] = c.numbers.activation(known)
	case concat:
		c.assignConcat(n, producer)
	case elementary:
		if _, ok := c.infos[y]; ok || len(n.Inputs) != 2 || n.Inputs[0].Const != nil || n.Inputs[1].Const != nil {
			return nil
		}
		a, okA := c.stored(n.Inputs[0])
		b, okB := c.stored(n.Inputs[1])
		if okA && okB {
			c.infos[y] = c.numbers.activation(combine(n.Op, a, b))
		}
	}
	return nil
}

// combine is the range of a sum, difference or product of values with ranges.
func combine(o graph.Operator, a, b Range) Range {
	switch o.(type) {
	case *op.Add:
		return Range{a.Min + b.Min, a.Max + b.Max}
	case *op.Sub:
		return Range{a.Min - b.Max, a.Max - b.Min}
	}
	p, q, r, s := float64(a.Min*b.Min), float64(a.Min*b.Max), float64(a.Max*b.Min), float64(a.Max*b.Max)
	return Range{min(p, q, r, s), max(p, q, r, s)}
}

// assignConcat gives a concatenation the union of its operands' ranges. With change_concat_ranges what makes the
// operands gets it too, so that codes are only moved.
func (c *converter) assignConcat(n *graph.Node, producer map[*graph.Value]*graph.Node) {
	y := n.Outputs[0]
	union, have := c.stored(y)
	if have && !c.o.ChangeConcatRanges {
		return
	}
	if !have {
		union = Range{math.Inf(1), math.Inf(-1)}
	}
	for _, v := range n.Inputs {
		if r, ok := c.stored(v); ok {
			union = Range{min(union.Min, r.Min), max(union.Max, r.Max)}
		} else if isReal(v) {
			return // what its producer lacks is reported there
		}
	}
	if union.Min > union.Max {
		return
	}
	i := c.numbers.activation(union)
	c.infos[y] = i
	if !c.o.ChangeConcatRanges {
		return
	}
	for _, v := range n.Inputs {
		if _, input := c.inputs[v]; isReal(v) && (producer[v] != nil || input) {
			c.infos[v] = i
		}
	}
}

// missing reports all values that should become codes and have no range, by operator type.
func (c *converter) missing(lacking []*graph.Node) error {
	if len(lacking) == 0 {
		return nil
	}
	byType := map[string][]string{}
	count := 0
	for _, n := range lacking {
		for _, v := range n.Outputs {
			if _, ok := c.infos[v]; isReal(v) && !ok {
				byType[n.Op.Type()] = append(byType[n.Op.Type()], v.Name)
				count++
			}
		}
	}
	var text strings.Builder
	for _, kind := range slices.Sorted(maps.Keys(byType)) {
		fmt.Fprintf(&text, "\n  %s: %s", kind, strings.Join(byType[kind], ", "))
	}
	known := sorted(c.o.Ranges)
	first := byType[slices.Sorted(maps.Keys(byType))[0]][0]
	remedy := "The model has no ranges of its own. Collect them (convert with quantize_stat, run --quantize_stat on samples, quantize-stat) " +
		"and name the result in quantize_range_file"
	switch near := suggest.DidYouMean(first, known); {
	case len(known) > 0 && near != "":
		remedy = fmt.Sprintf("The range file has no %q%s. If it is of another model or of another conversion, collect ranges anew with this one", first, near)
	case len(known) > 0:
		remedy = "The range file is of another model, or of one converted otherwise: collect ranges anew with this model"
	}
	tensors := "tensors"
	if count == 1 {
		tensors = "tensor"
	}
	return fmt.Errorf("no range is known for %d %s:%s\n%s", count, tensors, text.String(), remedy)
}

// refusal lists operators that stay float, for conversions that must not leave any.
func refusal(islands []Island) error {
	if len(islands) == 0 {
		return nil
	}
	problems := []error{errors.New("these operators cannot be quantized (without --strict they stay float):")}
	for _, i := range islands {
		problems = append(problems, fmt.Errorf("  %s %q: %s", i.Type, i.Node, i.Reason))
	}
	return errors.Join(problems...)
}
