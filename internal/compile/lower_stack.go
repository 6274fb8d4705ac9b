package compile

import (
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/kernel"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/runtime"
	"github.com/octet-nn/octet/tensor"
)

// lowerStackFloat is MatMul of two stacks of matrices of floats.
func lowerStackFloat(b *builder, n *graph.Node) (prepared, error) {
	if !isFloat32(n.Inputs...) {
		return nil, nil
	}
	b.can(n, readsViews)
	epilogue := kernel.EpilogueF32{}
	epilogue.Least, epilogue.Greatest = limits(n.Op.(*op.MatMul).Clamp)
	return func(c *planning) error {
		x, w, y := c.in(0), c.in(1), c.out(0)
		stack, ok := c.stack(x, w, y)
		if !ok {
			return reference(c)
		}
		k := b.kernels.NewStackF32(stack, epilogue)
		packed := c.temporary(tensor.Float32, k.Packed())
		c.emit(packKernel, 0, func(m *runtime.Memory) runtime.Work {
			to, from := data[float32](m, packed), data[float32](m, w)
			return runtime.Work{Tasks: k.PackUnits(), Run: func(begin, end, _ int) { k.Pack(to, from, begin, end) }}
		})
		size := k.Scratch()
		c.emit("matmul_f32", size, func(m *runtime.Memory) runtime.Work {
			out, in, second, scratch := data[float32](m, y), data[float32](m, x), data[float32](m, packed), m.Scratch(size)
			return runtime.Work{Tasks: k.Units(), Run: func(begin, end, worker int) {
				k.Run(out, in, second, begin, end, scratch[worker])
			}}
		})
		return nil
	}, nil
}

// lowerStackInteger is MatMul of two stacks of matrices of codes, quantized per tensor.
func lowerStackInteger(b *builder, n *graph.Node) (prepared, error) {
	second, ok := codesOf(n.Input(1))
	if n.Compute == graph.DynamicActivations || !ok || len(n.Inputs) != 2 {
		return nil, nil
	}
	clamp := n.Op.(*op.MatMul).Clamp
	p := &integerProduct{compute: n.Compute, row: n.Arithmetic, layer: op.LayerOf(n, nil), scales: []float32{second.Scale}}
	p.epilogue.Least, p.epilogue.Greatest = limits(clamp)
	// There are as many entries in fixed point as columns, which are not known yet: vectors of them are made for a plan.
	if p.input, ok = codesOf(n.Input(0)); !ok || !p.round(n, 1, clamp) {
		return nil, nil
	}
	b.can(n, readsViews)
	return func(c *planning) error {
		x, w, y := c.in(0), c.in(1), c.out(0)
		stack, ok := c.stack(x, w, y)
		if !ok {
			return reference(c)
		}
		epilogue := p.epilogue
		if epilogue.Fixed != nil {
			epilogue.Fixed = kernel.NewFixedPoint(epilogue.Requantizer, stack.Filter.Outputs)
		}
		k := b.kernels.NewStackInt8(stack, p.input.Int8Operand, second.Int8Operand, epilogue)
		packed := c.temporary(tensor.Uint8, k.Packed())
		size := k.PackScratch()
		c.emit(packKernel, size, func(m *runtime.Memory) runtime.Work {
			to, from, scratch := data[byte](m, packed), data[byte](m, w), m.Scratch(size)
			return runtime.Work{Tasks: k.PackUnits(), Run: func(begin, end, worker int) { k.Pack(to, from, begin, end, scratch[worker]) }}
		})
		work := k.Scratch()
		c.emit("matmul_int8", work, func(m *runtime.Memory) runtime.Work {
			out, in, second, scratch := destination(m, y), data[byte](m, x), data[byte](m, packed), m.Scratch(work)
			return runtime.Work{Tasks: k.Units(), Run: func(begin, end, worker int) {
				k.Run(out, in, second, begin, end, scratch[worker])
			}}
		})
		return nil
	}, nil
}

// packKernel brings matrices that are computed in the run into the order of the kernels that multiply by them.
const packKernel = "pack"

// stack describes the product of two stacks of matrices to package kernel; ok is false if the sums have no terms.
func (c *planning) stack(x, w, y *place) (s kernel.Stack, ok bool) {
	left, right, result := strided(x), strided(w), strided(y)
	if len(x.shape) == 1 {
		left = matrices{[]int{1, x.shape[0]}, []int{0, left.strides[0]}}
		result = matrices{slices.Insert(slices.Clone(result.shape), len(w.shape)-min(len(w.shape), 2), 1), nil}
	}
	if len(w.shape) == 1 {
		right = matrices{[]int{w.shape[0], 1}, []int{right.strides[0], 0}}
		result = matrices{append(slices.Clone(result.shape), 1), nil}
	}
	result.strides = packedStrides(result.shape)
	outer := len(result.shape) - 2
	last := len(left.shape) - 1
	columns := result.shape[outer+1]
	rightLast := len(right.shape) - 1
	s = kernel.Stack{
		Rows: result.shape[outer], InStride: left.strides[last-1], OutStride: columns,
		Filter: kernel.Filter{Height: 1, Width: 1, Inputs: left.shape[last], Outputs: columns, Groups: 1,
			InputStride: right.strides[rightLast-1], OutputStride: right.strides[rightLast]},
	}
	if s.Filter.Inputs == 0 {
		return s, false
	}
	firsts, seconds, outs := left.starts(result.shape[:outer]), right.starts(result.shape[:outer]), result.starts(result.shape[:outer])
	place := map[int]int{}
	for i, at := range seconds {
		second, seen := place[at]
		if !seen {
			second = len(s.Seconds)
			place[at] = second
			s.Seconds = append(s.Seconds, at)
		}
		s.Products = append(s.Products, kernel.StackProduct{First: firsts[i], Out: outs[i], Second: second})
	}
	return s, true
}

// matrices is a stack of matrices in memory: sizes and elements between neighbours in each dimension.
type matrices struct{ shape, strides []int }

func strided(p *place) matrices {
	if p.strides != nil {
		return matrices{p.shape, p.strides}
	}
	return matrices{p.shape, packedStrides(p.shape)}
}

// starts is where each matrix of a stack that is broadcast to the given dimensions begins.
func (s matrices) starts(stack []int) []int {
	own := len(s.shape) - 2
	offsets := []int{0}
	for d, size := range stack {
		step := 0
		if i := d - (len(stack) - own); i >= 0 && s.shape[i] != 1 {
			step = s.strides[i]
		}
		next := make([]int, 0, len(offsets)*size)
		for _, at := range offsets {
			for i := range size {
				next = append(next, at+i*step)
			}
		}
		offsets = next
	}
	return offsets
}
