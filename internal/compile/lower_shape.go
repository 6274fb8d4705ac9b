package compile

import (
	"context"
	"fmt"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/kernel"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/runtime"
	"github.com/octet-nn/octet/tensor"
)

// elementBytes is the size of one element; ok is false for types that share bytes.
func elementBytes(p *place) (n int, ok bool) { return p.dtype.Bits() / 8, p.dtype.Bits()%8 == 0 }

// lowerView is operators whose result is the bytes of operand 0 under another shape.
func lowerView(b *builder, n *graph.Node) (prepared, error) {
	b.can(n, isView)
	return func(c *planning) error {
		c.alias()
		return nil
	}, nil
}

// moving is operators that copy elements of operand 0. describe gives the copy, once shapes are known; ok is false
// where no kernel serves.
func moving(describe func(c *planning, x *place, element int) (k unary[byte, byte], ok bool, err error)) func(*builder, *graph.Node) (prepared, error) {
	return func(*builder, *graph.Node) (prepared, error) {
		return func(c *planning) error {
			x := c.in(0)
			element, ok := elementBytes(x)
			if !ok {
				return reference(c)
			}
			k, ok, err := describe(c, x, element)
			if !ok || err != nil {
				return otherwise(c, err)
			}
			emitUnary[byte, byte](c, "copy", k, c.out(0), x)
			return nil
		}, nil
	}
}

// shapeOf is the shape of result i, which is known.
func (c *planning) shapeOf(i int) []int {
	shape, _ := c.node.Outputs[i].Type.Shape.Known()
	return shape
}

// lowerTranspose permutes dimensions; where only dimensions of size 1 move it is a view.
func lowerTranspose(*builder, *graph.Node) (prepared, error) {
	return func(c *planning) error {
		x := c.in(0)
		if _, ok := elementBytes(x); !ok {
			return reference(c)
		}
		perm, err := c.node.Op.(*op.Transpose).Permutation(len(x.shape))
		if err != nil {
			return err
		}
		if keepsOrder(x.shape, perm) {
			c.alias()
			return nil
		}
		if c.permutedView(x, perm) {
			return nil
		}
		return c.emitTranspose(c.out(0), x, perm)
	}, nil
}

// permutedView makes result 0 the elements of x in place, with strides of their own, if all who read it are products
// that take such operands, and for none of them is worse: elements of a row of a first matrix have to be consecutive.
func (c *planning) permutedView(x *place, perm []int) bool {
	v := c.node.Outputs[0]
	if len(perm) < 2 || x.strides != nil || c.lastUse[v] == forever {
		return false
	}
	for i, n := range c.graph.Nodes[c.step+1:] {
		for operand, read := range n.Inputs {
			if read == v && (c.program.traits[c.step+1+i]&readsViews == 0 || c.late[c.step+1+i] || operand == 0 && perm[len(perm)-1] != len(perm)-1) {
				return false
			}
		}
	}
	c.alias()
	strides := packedStrides(x.shape)
	c.places[v].strides = permuted(strides, perm)
	return true
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

// expand broadcasts to the result's shape.
func expand(c *planning, x *place, element int) (unary[byte, byte], bool, error) {
	k, err := kernel.NewExpand(element, x.shape, c.shapeOf(0))
	return &k, true, err
}

// tile repeats each dimension.
func tile(c *planning, x *place, element int) (unary[byte, byte], bool, error) {
	out := c.shapeOf(0)
	var sizes, in []int
	strides := packedStrides(x.shape)
	for i, n := range x.shape {
		if n == 0 {
			return nil, false, nil
		}
		sizes, in = append(sizes, out[i]/n, n), append(in, 0, strides[i])
	}
	k, err := kernel.NewCopy(element, sizes, packedStrides(sizes), in, 0, 0)
	return &k, err == nil, nil
}

// gather takes slices along an axis at indices that are known before the run.
func gather(c *planning, x *place, element int) (unary[byte, byte], bool, error) {
	indices, ok := c.ints(1)
	if !ok {
		return nil, false, nil
	}
	axis := c.node.Op.(*op.Gather).Axis
	if axis < 0 {
		axis += len(x.shape)
	}
	index := make([][]int32, len(x.shape))
	index[axis] = make([]int32, len(indices))
	for i, at := range indices {
		if at < 0 {
			at += int64(x.shape[axis])
		}
		if at < 0 || at >= int64(x.shape[axis]) {
			return nil, false, fmt.Errorf("index %d is outside %d elements", indices[i], x.shape[axis])
		}
		index[axis][i] = int32(at)
	}
	k := kernel.NewRemap(element, x.shape, index, nil)
	return &k, true, nil
}

// lowerGather is Gather at known indices or, otherwise, at computed ones.
func lowerGather(b *builder, n *graph.Node) (prepared, error) {
	known, err := moving(gather)(b, n)
	if err != nil {
		return nil, err
	}
	return func(c *planning) error {
		if _, ok := c.ints(1); ok {
			return known(c)
		}
		x, at := c.in(0), c.in(1)
		element, ok := elementBytes(x)
		if !ok || at.dtype != tensor.Int64 {
			return reference(c)
		}
		outer, size, inner := around(x.shape, n.Op.(*op.Gather).Axis)
		y := c.out(0)
		inner *= element
		c.emit("gather", 0, func(m *runtime.Memory) runtime.Work {
			out, in, indices := data[byte](m, y), data[byte](m, x), view[int64](m, at)
			return runtime.Work{Call: func(context.Context) error {
				to := out
				for o := range outer {
					for _, i := range indices {
						if i < 0 {
							i += int64(size)
						}
						if i < 0 || i >= int64(size) {
							return fmt.Errorf("%s: index %d is outside %d elements", n.Describe(), i, size)
						}
						copy(to[:inner], in[(o*size+int(i))*inner:])
						to = to[inner:]
					}
				}
				return nil
			}}
		})
		return nil
	}, nil
}

// lowerConcat copies each operand to its part of the result, unless it is there already.
func lowerConcat(b *builder, n *graph.Node) (prepared, error) {
	b.can(n, movesElements)
	return func(c *planning) error {
		shape := c.shapeOf(0)
		axis := n.Op.(*op.Concat).Axis
		if axis < 0 {
			axis += len(shape)
		}
		element, ok := elementBytes(c.in(0))
		if !ok {
			return reference(c)
		}
		y := c.out(0)
		first := 0
		for i := range n.Inputs {
			x := c.in(i)
			if x.storage != y.storage || x.offset != y.offset+first*element {
				if err := c.emitCopy(y, x, first); err != nil {
					return err
				}
			}
			first += x.shape[axis] * y.elementStrides()[axis]
		}
		return nil
	}, nil
}

// pad adds elements around those of operand 0.
func pad(c *planning, x *place, element int) (unary[byte, byte], bool, error) {
	o := c.node.Op.(*op.Pad)
	pads, ok := c.ints(1)
	var axes []int64
	if c.node.Input(3) != nil && ok {
		axes, ok = c.ints(3)
	}
	value, also := padValue(c.node)
	if !ok || !also {
		return nil, false, nil
	}
	begin, end, err := o.Amounts(pads, axes, len(x.shape))
	if err != nil {
		return nil, false, err
	}
	mode := map[op.PadMode]kernel.PadMode{op.PadConstant: kernel.PadConstant, op.PadReflect: kernel.PadReflect,
		op.PadEdge: kernel.PadEdge, op.PadWrap: kernel.PadWrap}[o.Mode]
	k, err := kernel.NewPad(mode, element, x.shape, begin, end, value)
	return &k, err == nil, nil // what the kernel refuses (reflecting one element) the reference may define
}

// padValue is the bytes of the element that Pad fills with: the code of a real number for codes. ok is false if it is
// computed.
func padValue(n *graph.Node) (value []byte, ok bool) {
	x, v := n.Input(0), n.Input(2)
	if v != nil && (v.Const == nil || v.Const.Len() != 1) {
		return nil, false
	}
	if x.Type.Quant == nil {
		if v == nil {
			return make([]byte, max(x.Type.DType.Bits()/8, 1)), true
		}
		return slices.Clone(v.Const.Bytes()), v.Const.DType() == x.Type.DType
	}
	one := []float32{0}
	if v != nil {
		one[0] = float32(op.Float64s(v.Const)[0])
	}
	if isWide(x) {
		lowest, highest := x.Type.Quant.Limits(x.Type.DType)
		code := numeric.Quantize(one[0], x.Type.Quant.Scale[0], x.Type.Quant.ZeroPoint[0], lowest, highest)
		return []byte{byte(code), byte(code >> 8)}, true
	}
	q, ok := codesOf(x)
	if !ok {
		return nil, false
	}
	code := []byte{0}
	kernel.Quantize(code, one, q.Scale, q.ZeroPoint, q.lowest, q.highest)
	return code, true
}
