package compile

import (
	"github.com/octet-nn/octet/internal/graph"
)

// lowerAlias is operators whose result is the bytes of operand 0 under another shape.
func lowerAlias(*builder, *graph.Node) (prepared, error) {
	return func(c *planning) error {
		c.alias()
		return nil
	}, nil
}

// lowerTranspose permutes dimensions.
func lowerTranspose(_ *builder, n *graph.Node) (prepared, error) {
	return func(c *planning) error {
		x := c.in(0)
		if !moveable(x) {
			return reference(c)
		}
		perm := transposition(n, len(x.shape))
		if keepsOrder(x.shape, perm) {
			c.alias()
			return nil
		}
		y := c.out(0)
		packed := packedStrides(x.shape)
		in := make([]int, len(perm))
		for i, axis := range perm {
			in[i] = packed[axis]
		}
		c.emitMove(newMove(x.dtype.Bits()/8, y.shape, in, packedStrides(y.shape), 0, 0), y, x)
		return nil
	}, nil
}

// keepsOrder reports whether a permutation moves only dimensions of size 1, so that elements stay in order.
func keepsOrder(shape, perm []int) bool {
	last := -1
	for _, axis := range perm {
		if shape[axis] == 1 {
			continue
		}
		if axis < last {
			return false
		}
		last = axis
	}
	return true
}

// emitSlice plans a copy of the box of x that starts at the given element and has y's shape.
func (c *planning) emitSlice(y, x *place, start, step []int) {
	packed := packedStrides(x.shape)
	in := make([]int, len(packed))
	at := 0
	for i := range packed {
		in[i] = packed[i] * step[i]
		at += packed[i] * start[i]
	}
	c.emitMove(newMove(x.dtype.Bits()/8, y.shape, in, packedStrides(y.shape), at, 0), y, x)
}
