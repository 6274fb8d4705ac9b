package compile

import (
	"math"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/kernel"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/runtime"
	"github.com/octet-nn/octet/tensor"
)

// elementsPerTask is how many elements of an elementwise operator one task computes.
const elementsPerTask = 8192

// emitElements plans n elements that can be split anywhere. bind returns what computes the elements begin … end−1.
func (c *planning) emitElements(name string, n int, bind func(m *runtime.Memory) func(begin, end int)) {
	c.emit(name, 0, func(m *runtime.Memory) runtime.Work {
		run := bind(m)
		return runtime.Work{Tasks: (n + elementsPerTask - 1) / elementsPerTask, Run: func(begin, end, _ int) {
			run(begin*elementsPerTask, min(end*elementsPerTask, n))
		}}
	})
}

var infinity = float32(math.Inf(1))

// lowerBinaryFloat is a function of two float operands, which are broadcast.
func lowerBinaryFloat(f kernel.BinaryOp, clamp func(graph.Operator) *op.Clamp) func(*builder, *graph.Node) (prepared, error) {
	return func(_ *builder, n *graph.Node) (prepared, error) {
		if !isFloat32(n.Inputs...) {
			return nil, nil
		}
		k := kernel.BinaryF32{Op: f}
		k.Least, k.Greatest = limits(clamp(n.Op))
		return func(c *planning) error {
			a, b := c.in(0), c.in(1)
			c.emitBinary(k, c.out(0, a, b), a, b)
			return nil
		}, nil
	}
}

// lowerChainFloat is a function of any number of float operands, folded from the left: Max, Min, Sum.
func lowerChainFloat(f kernel.BinaryOp) func(*builder, *graph.Node) (prepared, error) {
	return func(_ *builder, n *graph.Node) (prepared, error) {
		if !isFloat32(n.Inputs...) || len(n.Inputs) < 2 {
			return nil, nil
		}
		k := kernel.BinaryF32{Op: f, Least: -infinity, Greatest: infinity}
		return func(c *planning) error {
			if len(n.Inputs) == 2 {
				a, b := c.in(0), c.in(1)
				c.emitBinary(k, c.out(0, a, b), a, b)
				return nil
			}
			y := c.out(0)
			c.emitBinary(k, y, c.in(0), c.in(1))
			for i := 2; i < len(n.Inputs); i++ {
				c.emitBinary(k, y, y, c.in(i))
			}
			return nil
		}, nil
	}
}

// emitBinary plans one function of two operands.
func (c *planning) emitBinary(k kernel.BinaryF32, y, a, b *place) {
	k.Shape = kernel.NewBroadcast(y.shape, a.shape, b.shape)
	c.emit("binary_f32", 0, func(m *runtime.Memory) runtime.Work {
		out, left, right := view[float32](m, y), view[float32](m, a), view[float32](m, b)
		return runtime.Work{Tasks: k.Units(), Run: func(begin, end, _ int) { k.Run(out, left, right, begin, end) }}
	})
}

// lowerUnaryFloat is a function of one float operand. choose says which; ok is false where the node's other operands
// or attributes are not served.
func lowerUnaryFloat(choose func(n *graph.Node) (k kernel.UnaryF32, ok bool)) func(*builder, *graph.Node) (prepared, error) {
	return func(_ *builder, n *graph.Node) (prepared, error) {
		k, ok := choose(n)
		if !ok || !isFloat32(n.Input(0)) {
			return nil, nil
		}
		return func(c *planning) error {
			x := c.in(0)
			y := c.out(0, x)
			c.emitElements("unary_f32", y.len(), func(m *runtime.Memory) func(begin, end int) {
				out, in := view[float32](m, y), view[float32](m, x)
				return func(begin, end int) { k.Run(out[begin:end], in[begin:end]) }
			})
			return nil
		}, nil
	}
}

// plain is a function without parameters.
func plain(f kernel.UnaryOp) func(*graph.Node) (kernel.UnaryF32, bool) {
	return func(*graph.Node) (kernel.UnaryF32, bool) { return kernel.UnaryF32{Op: f}, true }
}

// clip is Clip with constant bounds.
func clip(n *graph.Node) (kernel.UnaryF32, bool) {
	k := kernel.UnaryF32{Op: kernel.Clip, Alpha: -infinity, Beta: infinity}
	for i, bound := range []*float32{&k.Alpha, &k.Beta} {
		v := n.Input(i + 1)
		if v == nil {
			continue
		}
		if v.Const == nil || v.Type.DType != tensor.Float32 || v.Const.Len() != 1 {
			return k, false
		}
		*bound = tensor.Values[float32](v.Const)[0]
	}
	return k, k.Alpha <= k.Beta // an empty range gives its maximum, by the definition, which the kernel need not know
}
