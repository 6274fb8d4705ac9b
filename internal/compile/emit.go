package compile

import (
	"github.com/octet-nn/octet/internal/runtime"
	"github.com/octet-nn/octet/tensor"
)

// emit adds a step to the plan. scratch is the bytes of scratch space that it needs for each worker.
func (c *planning) emit(kernel string, scratch int, bind func(m *runtime.Memory) runtime.Work) {
	c.plan.Scratch = max(c.plan.Scratch, scratch)
	c.plan.Steps = append(c.plan.Steps, runtime.Step{
		Name: c.node.Name, Op: c.node.Op.Type(), Kernel: kernel, Reference: c.reference, Bind: bind,
	})
}

// data is the elements of a place in one run's memory: floats, or stored bytes whatever the element type.
func data[T float32 | byte](m *runtime.Memory, p *place) []T {
	t := p.memory(m)
	if bytes, ok := any(t.Bytes()).([]T); ok {
		return bytes
	}
	return any(tensor.Values[float32](t)).([]T)
}

// unary is a kernel with one input in the calling convention of package kernel.
type unary[O, I any] interface {
	Units() int
	Run(out []O, in []I, start, end int)
}

// scratched is the same with scratch space.
type scratched[O, I any] interface {
	Units() int
	Scratch() int
	Run(out []O, in []I, start, end int, scratch []byte)
}

// emitUnary plans a kernel with one input.
func emitUnary[O, I float32 | byte](c *planning, name string, k unary[O, I], y, x *place) {
	c.emit(name, 0, func(m *runtime.Memory) runtime.Work {
		out, in := data[O](m, y), data[I](m, x)
		return runtime.Work{Tasks: k.Units(), Run: func(begin, end, _ int) { k.Run(out, in, begin, end) }}
	})
}

// emitScratched plans a kernel with one input that needs scratch space.
func emitScratched[O, I float32 | byte](c *planning, name string, k scratched[O, I], y, x *place) {
	size := k.Scratch()
	c.emit(name, size, func(m *runtime.Memory) runtime.Work {
		out, in, scratch := data[O](m, y), data[I](m, x), m.Scratch(size)
		return runtime.Work{Tasks: k.Units(), Grain: grain(k), Run: func(begin, end, worker int) { k.Run(out, in, begin, end, scratch[worker]) }}
	})
}

// grain is how many consecutive pieces a kernel wants to do together.
func grain(k any) int {
	if g, ok := k.(interface{ Grain() int }); ok {
		return g.Grain()
	}
	return 0
}

// binary is a kernel with two inputs.
type binary[T any] interface {
	Units() int
	Run(out, a, b []T, start, end int)
}

// emitBinary plans a kernel with two inputs.
func emitBinary[T float32 | byte](c *planning, name string, k binary[T], y, a, b *place) {
	c.emit(name, 0, func(m *runtime.Memory) runtime.Work {
		out, left, right := data[T](m, y), data[T](m, a), data[T](m, b)
		return runtime.Work{Tasks: k.Units(), Run: func(begin, end, _ int) { k.Run(out, left, right, begin, end) }}
	})
}

// elementsPerTask is how many elements of an operator that can be split anywhere one task computes.
const elementsPerTask = 4096

// emitElements plans work on n elements that can be split anywhere. bind returns what computes the elements
// begin … end−1.
func (c *planning) emitElements(name string, n int, bind func(m *runtime.Memory) func(begin, end int)) {
	c.emit(name, 0, func(m *runtime.Memory) runtime.Work {
		run := bind(m)
		return runtime.Work{Tasks: (n + elementsPerTask - 1) / elementsPerTask, Run: func(begin, end, _ int) {
			// Task by task: a kernel may be assembly, which cannot be interrupted.
			for task := begin; task < end; task++ {
				run(task*elementsPerTask, min((task+1)*elementsPerTask, n))
			}
		}}
	})
}

// emitEach plans a function of each element of x, wherever x and y lie. The node's kernel reads and writes pixels.
func emitEach[O, I float32 | byte](c *planning, name string, y, x *place, run func(out []O, in []I)) {
	if y.strides == nil && x.strides == nil {
		c.emitElements(name, y.len(), func(m *runtime.Memory) func(begin, end int) {
			out, in := data[O](m, y), data[I](m, x)
			return func(begin, end int) { run(out[begin:end], in[begin:end]) }
		})
		return
	}
	pixel := y.shape[len(y.shape)-1]
	pixels, block := y.len()/pixel, max(elementsPerTask/pixel, 1)
	outStep, inStep := y.pixelStride(), x.pixelStride()
	c.emit(name, 0, func(m *runtime.Memory) runtime.Work {
		out, in := data[O](m, y), data[I](m, x)
		return runtime.Work{Tasks: (pixels + block - 1) / block, Run: func(begin, end, _ int) {
			for at := begin * block; at < min(end*block, pixels); at++ {
				run(out[at*outStep:][:pixel], in[at*inStep:][:pixel])
			}
		}}
	})
}
