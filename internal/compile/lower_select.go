package compile

import (
	"cmp"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/kernel"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/runtime"
	"github.com/octet-nn/octet/tensor"
)

// emitZip plans a function of two broadcast operands that gives truth values.
func emitZip[T tensor.Element](c *planning, f func(y []byte, a, b []T)) error {
	a, b := c.in(0), c.in(1)
	shape, err := kernel.NewBroadcast(c.shapeOf(0), a.shape, b.shape)
	if err != nil {
		return otherwise(c, nil) // too many dimensions
	}
	y, z := c.out(0), &kernel.Zip[T, byte]{Shape: shape, F: f}
	c.emit("compare", 0, func(m *runtime.Memory) runtime.Work {
		out, left, right := data[byte](m, y), view[T](m, a), view[T](m, b)
		return runtime.Work{Tasks: z.Units(), Run: func(begin, end, _ int) { z.Run(out, left, right, begin, end) }}
	})
	return nil
}

// lowerCompare is comparisons of numbers.
func lowerCompare(f kernel.CompareOp) func(*builder, *graph.Node) (prepared, error) {
	return func(_ *builder, n *graph.Node) (prepared, error) {
		dtype := n.Input(0).Type.DType
		if n.Input(1).Type.DType != dtype {
			return nil, nil
		}
		switch dtype {
		case tensor.Float32:
			return comparing[float32](f), nil
		case tensor.Int64:
			return comparing[int64](f), nil
		case tensor.Int32:
			return comparing[int32](f), nil
		case tensor.Int8:
			return comparing[int8](f), nil
		case tensor.Uint8, tensor.Bool:
			return comparing[uint8](f), nil
		}
		return nil, nil
	}
}

// ordered is the element types that are compared.
type ordered interface {
	tensor.Element
	cmp.Ordered
}

func comparing[T ordered](f kernel.CompareOp) prepared {
	run := kernel.Comparing[T](f)
	return func(c *planning) error { return emitZip(c, run) }
}

// lowerLogic is And, Or and Xor.
func lowerLogic(f kernel.CompareOp) func(*builder, *graph.Node) (prepared, error) {
	run := kernel.Logic(f)
	return func(_ *builder, n *graph.Node) (prepared, error) {
		if n.Input(0).Type.DType != tensor.Bool || n.Input(1).Type.DType != tensor.Bool {
			return nil, nil
		}
		return func(c *planning) error { return emitZip(c, run) }, nil
	}
}

// lowerNot inverts truth values.
func lowerNot(_ *builder, n *graph.Node) (prepared, error) {
	if n.Input(0).Type.DType != tensor.Bool {
		return nil, nil
	}
	return func(c *planning) error {
		x := c.in(0)
		y := c.out(0, x)
		c.emitElements("not", y.len(), func(m *runtime.Memory) func(begin, end int) {
			out, in := data[byte](m, y), data[byte](m, x)
			return func(begin, end int) { kernel.Not(out[begin:end], in[begin:end]) }
		})
		return nil
	}, nil
}

// lowerWhere chooses elements of two operands. One of them has to have the result's shape; else the second is expanded to
// it first.
func lowerWhere(_ *builder, n *graph.Node) (prepared, error) {
	dtype := n.Input(1).Type.DType
	if n.Input(0).Type.DType != tensor.Bool || n.Input(2).Type.DType != dtype {
		return nil, nil
	}
	switch dtype {
	case tensor.Float32:
		return choosing[float32], nil
	case tensor.Int64:
		return choosing[int64], nil
	case tensor.Int32:
		return choosing[int32], nil
	case tensor.Uint8, tensor.Bool:
		return choosing[uint8], nil
	case tensor.Int8:
		return choosing[int8], nil
	}
	return nil, nil
}

func choosing[T tensor.Element](c *planning) error {
	condition, first, second := c.in(0), c.in(1), c.in(2)
	shape := c.shapeOf(0)
	whole := func(p *place) bool { return p.len() == product(shape) }
	k := &kernel.Choose[T]{Inverted: !whole(second) && whole(first)}
	if k.Inverted {
		first, second = second, first
	}
	var err error
	if k.Shape, err = kernel.NewBroadcast(shape, condition.shape, first.shape); err != nil {
		return otherwise(c, nil) // too many dimensions
	}
	if !whole(second) {
		e, err := kernel.NewExpand(second.dtype.Bits()/8, second.shape, shape)
		if err != nil {
			return otherwise(c, nil)
		}
		all := c.temporary(second.dtype, product(shape))
		emitUnary[byte, byte](c, "copy", &e, all, second)
		second = all
	}
	y := c.out(0, second)
	c.emit("where", 0, func(m *runtime.Memory) runtime.Work {
		out, which, a, b := view[T](m, y), data[byte](m, condition), view[T](m, first), view[T](m, second)
		return runtime.Work{Tasks: k.Units(), Run: func(begin, end, _ int) { k.Run(out, which, a, b, begin, end) }}
	})
	return nil
}

// product is the number of elements of a shape.
func product(shape []int) int {
	n, _ := tensor.Count(shape)
	return n
}

// lowerArgMax finds the largest or smallest elements. Where several of wide integers are the same float64, the definition
// takes them for equal: these are left to it.
func lowerArgMax(_ *builder, n *graph.Node) (prepared, error) {
	switch n.Input(0).Type.DType {
	case tensor.Float32:
		return extremes[float32], nil
	case tensor.Int32:
		return extremes[int32], nil
	case tensor.Int8:
		return extremes[int8], nil
	case tensor.Uint8:
		return extremes[uint8], nil
	}
	return nil, nil
}

func extremes[T ordered](c *planning) error {
	o, x := c.node.Op.(*op.ArgMax), c.in(0)
	if len(x.shape) == 0 || x.len() == 0 {
		return reference(c)
	}
	k := &kernel.Extreme[T]{Smallest: o.Min, Last: o.SelectLastIndex}
	k.Outer, k.Size, k.Inner = around(x.shape, o.Axis)
	y := c.out(0)
	c.emit("argmax", 0, func(m *runtime.Memory) runtime.Work {
		out, in := view[int64](m, y), view[T](m, x)
		return runtime.Work{Tasks: k.Units(), Run: func(begin, end, _ int) { k.Run(out, in, begin, end) }}
	})
	return nil
}

// lowerCumSum is running sums: of floats in float64, as the definition adds them.
func lowerCumSum(_ *builder, n *graph.Node) (prepared, error) {
	switch n.Input(0).Type.DType {
	case tensor.Float32:
		return running[float32, float64], nil
	case tensor.Int64:
		return running[int64, int64], nil
	case tensor.Int32:
		return running[int32, int64], nil
	}
	return nil, nil
}

func running[T int32 | int64 | float32, A int64 | float64](c *planning) error {
	o, x := c.node.Op.(*op.CumSum), c.in(0)
	axis, ok := c.ints(1)
	if !ok || len(axis) != 1 || axis[0] < -int64(len(x.shape)) || axis[0] >= int64(len(x.shape)) {
		return reference(c)
	}
	k := &kernel.Running[T, A]{Exclusive: o.Exclusive, Reverse: o.Reverse}
	k.Outer, k.Size, k.Inner = around(x.shape, int(axis[0]))
	y := c.out(0, x)
	c.emit("running_sum", 0, func(m *runtime.Memory) runtime.Work {
		out, in := view[T](m, y), view[T](m, x)
		return runtime.Work{Tasks: k.Units(), Run: func(begin, end, _ int) { k.Run(out, in, begin, end) }}
	})
	return nil
}
