package compile

import (
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/kernel"
	"github.com/octet-nn/octet/internal/op"
)

// lowerSlice is Slice and Split: their results are views of the operand or copies of parts of it; see placing.slice.
func lowerSlice(b *builder, n *graph.Node) (prepared, error) {
	b.can(n, movesElements)
	return func(c *planning) error {
		x := c.in(0)
		element, ok := elementBytes(x)
		if !ok || slices.Contains(c.node.Outputs, nil) {
			return reference(c)
		}
		boxes := make([]box, len(c.node.Outputs))
		for i := range boxes {
			var err error
			if boxes[i], ok, err = c.boxOf(c.node, i, x.shape); !ok || err != nil {
				return otherwise(c, err)
			}
		}
		for i, v := range c.node.Outputs {
			first, strides := boxes[i].in(x.elementStrides())
			if c.views[v] {
				c.places[v] = &place{dtype: x.dtype, shape: boxes[i].sizes, strides: packedOr(boxes[i].sizes, strides),
					storage: x.storage, offset: x.offset + first*element}
				x.storage.last = max(x.storage.last, c.lastUse[v])
				continue
			}
			y := c.out(i)
			k, err := kernel.NewCopy(element, boxes[i].sizes, y.elementStrides(), strides, 0, first)
			if err != nil {
				return err
			}
			if k.Units() > 0 {
				emitUnary[byte, byte](c, "copy", &k, y, x)
			}
		}
		return nil
	}, nil
}

// box is a part of an array: of each dimension some elements, from a first one on and some steps apart.
type box struct{ starts, steps, sizes []int }

// boxOf is what result i of a Slice or Split takes of operand 0; ok is false if that is not known before the run.
func (l *planner) boxOf(n *graph.Node, i int, shape []int) (b box, ok bool, err error) {
	b = box{make([]int, len(shape)), slices.Repeat([]int{1}, len(shape)), slices.Clone(shape)}
	switch o := n.Op.(type) {
	case *op.Split:
		axis := o.Axis
		if axis < 0 {
			axis += len(shape)
		}
		for _, v := range n.Outputs[:i] {
			if v == nil || !v.Type.Shape[axis].Known() {
				return b, false, nil
			}
			b.starts[axis] += v.Type.Shape[axis].Size
		}
		b.sizes[axis] = n.Outputs[i].Type.Shape[axis].Size
	case *op.Slice:
		var operands [5][]int64
		for j := 1; j < 5; j++ {
			if n.Input(j) == nil {
				continue
			}
			if operands[j], ok = l.known(n.Input(j)); !ok {
				return b, false, nil
			}
		}
		parts, err := o.Parts(shape, operands[1], operands[2], operands[3], operands[4])
		if err != nil {
			return b, false, err
		}
		for d, p := range parts {
			b.starts[d], b.steps[d], b.sizes[d] = p.First, p.Step, p.Count
		}
	}
	return b, true, nil
}

// in is the first element and the strides of the box in an array of the given strides.
func (b *box) in(of []int) (first int, strides []int) {
	strides = make([]int, len(of))
	for d, s := range of {
		first += b.starts[d] * s
		strides[d] = b.steps[d] * s
	}
	return first, strides
}
