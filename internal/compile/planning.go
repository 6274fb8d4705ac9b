package compile

import (
	"context"
	"fmt"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/kernel"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/runtime"
	"github.com/octet-nn/octet/tensor"
)

// static reports whether the shapes of all operands and results are known before the run.
func (c *planning) static() bool {
	for _, v := range c.node.Inputs {
		if p := c.places[v]; p != nil && p.dynamic > 0 {
			return false
		}
	}
	for _, v := range c.node.Outputs {
		if v != nil {
			if _, ok := v.Type.Shape.Known(); !ok || v.Type.DType == tensor.Invalid {
				return false
			}
		}
	}
	return true
}

// elements is the number of elements of the largest result of known shape.
func (c *planning) elements() int { return largest(c.node.Outputs) }

// operandElements is the number of elements of the largest operand of known shape.
func (c *planning) operandElements() int { return largest(c.node.Inputs) }

// largest is the number of elements of the largest value of known shape.
func largest(values []*graph.Value) int {
	most := 0
	for _, v := range values {
		if v != nil {
			sizes, _ := v.Type.Shape.Known()
			n, _ := tensor.Count(sizes)
			most = max(most, n)
		}
	}
	return most
}

// in is the place of operand i; nil if it is absent.
func (c *planning) in(i int) *place {
	if v := c.node.Input(i); v != nil {
		return c.place(v)
	}
	return nil
}

// out makes the place of result i; nil if it is not wanted. The result replaces, in place, the first of the candidates
// that has its size and type and is not needed any more; a residual of the node is one.
func (c *planning) out(i int, replace ...*place) *place {
	if i >= len(c.node.Outputs) || c.node.Outputs[i] == nil {
		return nil
	}
	v := c.node.Outputs[i]
	shape, ok := v.Type.Shape.Known()
	if c.isPlaced(v) {
		return c.makePlace(v, c.step)
	}
	for _, p := range append(replace, c.replaceable()) {
		if !ok || p == nil || p.storage == nil || p.storage.last != c.step || p.dtype != v.Type.DType || !p.fills() || c.readsOtherwise(p) {
			continue
		}
		if q := (&place{dtype: p.dtype, shape: shape, storage: p.storage}); q.len() == p.len() {
			p.storage.last = max(c.step, c.lastUse[v])
			c.places[v] = q
			return q
		}
	}
	return c.makePlace(v, c.step)
}

// readsOtherwise reports whether another operand is the same memory under another shape.
func (c *planning) readsOtherwise(p *place) bool {
	for _, v := range c.node.Inputs {
		if q := c.places[v]; q != nil && q.storage == p.storage && !slices.Equal(q.shape, p.shape) {
			return true
		}
	}
	return false
}

// alias makes result 0 the same bytes as operand 0, under the result's shape.
func (c *planning) alias() {
	p, v := c.in(0), c.node.Outputs[0]
	shape, _ := v.Type.Shape.Known()
	q := &place{dtype: v.Type.DType, shape: shape, storage: p.storage, offset: p.offset}
	if p.constant != nil {
		q.constant = p.constant.Reshape(shape...)
	} else {
		p.storage.last = max(p.storage.last, c.lastUse[v])
	}
	c.places[v] = q
}

// temporary is memory that is only used by the steps of this node.
func (c *planning) temporary(dtype tensor.DType, elements int) *place {
	return &place{dtype: dtype, shape: []int{elements}, storage: c.store(dtype.Bytes(elements), c.step, c.step)}
}

// ints is the value of operand i, which must be known once shapes are.
func (c *planning) ints(i int) ([]int64, bool) { return c.known(c.node.Input(i)) }

// nothing plans nodes whose results are empty.
func nothing(c *planning) error {
	for i := range c.node.Outputs {
		c.out(i)
	}
	return nil
}

// reference plans nodes that have no kernel: a step calls the operator's reference evaluation.
func reference(c *planning) error {
	c.reference = true
	in := make([]*place, len(c.node.Inputs))
	for i := range in {
		p, err := c.packed(c.in(i))
		if err != nil {
			return err
		}
		in[i] = p
	}
	out, wanted := make([]*place, len(c.node.Outputs)), make([]*place, len(c.node.Outputs))
	for i := range out {
		wanted[i] = c.out(i)
		out[i] = wanted[i]
		if p := out[i]; p != nil && p.strides != nil {
			out[i] = c.temporary(p.dtype, p.len())
			out[i].shape = p.shape
		}
	}
	c.emitCall("reference", in, out, func(ctx context.Context, _ *runtime.Memory, operands []*tensor.Tensor) ([]*tensor.Tensor, error) {
		return op.Evaluate(ctx, c.node, operands)
	})
	for i, p := range wanted {
		if p != out[i] {
			if err := c.emitCopy(p, out[i], 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// packed is a place or, if its elements are not packed, a temporary copy.
func (c *planning) packed(x *place) (*place, error) {
	if x == nil || x.strides == nil {
		return x, nil
	}
	y := c.temporary(x.dtype, x.len())
	y.shape = x.shape
	return y, c.emitCopy(y, x, 0)
}

// emitCopy plans a copy of x to the elements of y from first on that its strides lead to.
func (c *planning) emitCopy(y, x *place, first int) error {
	k, err := kernel.NewCopy(x.dtype.Bits()/8, x.shape, y.elementStrides(), x.elementStrides(), first, 0)
	if err != nil {
		return err
	}
	if k.Units() > 0 {
		emitUnary[byte, byte](c, "copy", &k, y, x)
	}
	return nil
}

// deliver puts what a reference evaluation returned where the plan wants it.
func (c *planning) deliver(m *runtime.Memory, out []*place, results []*tensor.Tensor) error {
	for i, p := range out {
		switch {
		case p == nil:
		case results[i] == nil:
			return fmt.Errorf("%s computed no value for output %d, which is wanted", c.node.Describe(), i)
		case p.dynamic > 0:
			m.SetDynamic(p.buffer(), results[i].Clone()) // the result may be a view of memory that is used again
		case tensor.Describe(p.dtype, p.shape) != results[i].String():
			return fmt.Errorf("%s computed %s where inference promised %s",
				c.node.Describe(), results[i], tensor.Describe(p.dtype, p.shape))
		default:
			copy(m.Bytes(p.buffer()), results[i].Bytes())
		}
	}
	return nil
}
