package compile

import (
	"slices"

	"github.com/octet-nn/octet/internal/kernel"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/runtime"
)

// spatial is operand 0 and result 0 of a spatial operator, channels last. Lowering leaves few operators in another
// layout; around those the operand is transposed before, and the result by finish, which is to be called after the
// operator's own step has been emitted.
func (c *planning) spatial(l op.Layout) (x, y *place, finish func() error, err error) {
	x = c.in(0)
	if l == op.NHWC {
		return x, c.out(0), func() error { return nil }, nil
	}
	toLast := channelsToLast(len(x.shape))
	last, err := c.transposed(x, toLast)
	if err != nil {
		return nil, nil, nil, err
	}
	result := c.out(0)
	shape := permuted(result.shape, toLast)
	if keepsOrder(result.shape, toLast) {
		return last, c.reshaped(result, shape), func() error { return nil }, nil
	}
	y = c.temporary(result.dtype, result.len())
	y.shape = shape
	return last, y, func() error { return c.emitTranspose(result, y, channelsToFirst(len(shape))) }, nil
}

// channelsToLast is the permutation from (N, C, D1 … Dk) to (N, D1 … Dk, C).
func channelsToLast(rank int) []int {
	perm := []int{0}
	for i := 2; i < rank; i++ {
		perm = append(perm, i)
	}
	return append(perm, 1)
}

// channelsToFirst is the inverse of channelsToLast.
func channelsToFirst(rank int) []int {
	perm := []int{0, rank - 1}
	for i := 1; i < rank-1; i++ {
		perm = append(perm, i)
	}
	return perm
}

func permuted(shape, perm []int) []int {
	p := make([]int, len(perm))
	for i, axis := range perm {
		p[i] = shape[axis]
	}
	return p
}

// reshaped is the same bytes under another shape.
func (c *planning) reshaped(p *place, shape []int) *place {
	q := *p
	q.shape = slices.Clone(shape)
	if p.constant != nil {
		q.constant = p.constant.Reshape(shape...)
	}
	return &q
}

// transposed is x with its dimensions permuted: the same bytes if their order stays, else a temporary copy.
func (c *planning) transposed(x *place, perm []int) (*place, error) {
	shape := permuted(x.shape, perm)
	if keepsOrder(x.shape, perm) {
		return c.reshaped(x, shape), nil
	}
	y := c.temporary(x.dtype, x.len())
	y.shape = shape
	return y, c.emitTranspose(y, x, perm)
}

// emitTranspose plans a copy of x to y with dimensions permuted.
func (c *planning) emitTranspose(y, x *place, perm []int) error {
	k, err := kernel.NewTranspose(x.dtype.Bits()/8, x.shape, perm)
	if err != nil {
		return err
	}
	k.Vector = c.program.vector
	c.emit(transposeKernel, 0, func(m *runtime.Memory) runtime.Work {
		out, in := data[byte](m, y), data[byte](m, x)
		return runtime.Work{Tasks: k.Units(), Run: func(begin, end, _ int) { k.Run(out, in, begin, end) }}
	})
	return nil
}

const transposeKernel = "transpose"
