package compile

import (
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/kernel"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/runtime"
)

// matrix describes a constant matrix to package kernel; ok is false if w is anything else.
func matrix(w *graph.Value, transposed bool) (f kernel.Filter, ok bool) {
	if w.Const == nil || len(w.Const.Shape()) != 2 {
		return f, false
	}
	k, n := w.Const.Shape()[0], w.Const.Shape()[1]
	if transposed {
		k, n = n, k
	}
	return kernel.Matrix(k, n, transposed), true
}

// lowerGemmFloat is Gemm by a constant matrix, with a constant bias.
func lowerGemmFloat(b *builder, n *graph.Node) (prepared, error) {
	o := n.Op.(*op.Gemm)
	if o.TransA {
		return nil, nil
	}
	return b.matrixFloat(n, o.TransB, o.Alpha, o.Beta, o.Clamp)
}

// lowerMatMulFloat is MatMul by a constant matrix.
func lowerMatMulFloat(b *builder, n *graph.Node) (prepared, error) {
	return b.matrixFloat(n, false, 1, 1, n.Op.(*op.MatMul).Clamp)
}

func (b *builder) matrixFloat(n *graph.Node, transposed bool, alpha, beta float32, clamp *op.Clamp) (prepared, error) {
	f, ok := matrix(n.Input(1), transposed)
	if !ok || !isFloat32(n.Input(0)) {
		return nil, nil
	}
	weights, err := realConstant(n.Input(1))
	if weights == nil || err != nil {
		return nil, err
	}
	epilogue, ok, err := epilogueFloat(n.Input(2), clamp, f.Outputs)
	if !ok || err != nil {
		return nil, err
	}
	if bias := n.Input(2); bias != nil {
		// One number per column, or one for all; a bias that differs by row is left to the reference.
		if shape := bias.Const.Shape(); len(shape) == 2 && shape[0] != 1 {
			return nil, nil
		}
	}
	scale(weights, alpha)
	scale(epilogue.Bias, beta)
	b.pack(n, 1, 2)
	product := b.kernels.PackF32(kernel.F32Weights{Filter: f, Data: weights})
	return func(c *planning) error {
		x, y := c.in(0), c.out(0)
		k := &kernel.GemmF32{Weights: product, Rows: y.len() / f.Outputs, InStride: f.Inputs, OutStride: f.Outputs, Epilogue: epilogue}
		emitScratched[float32, float32](c, "gemm_f32", k, y, x)
		return nil
	}, nil
}

func scale(values []float32, by float32) {
	for i := range values {
		values[i] *= by
	}
}

// lowerMatMulComputed is MatMul of two computed stacks of matrices. A task is one product; each worker packs the second
// matrix before it multiplies.
func lowerMatMulComputed(b *builder, n *graph.Node) (prepared, error) {
	o := n.Op.(*op.MatMul)
	if !isFloat32(n.Inputs...) || len(n.Input(0).Type.Shape) < 2 || len(n.Input(1).Type.Shape) < 2 {
		return nil, nil
	}
	product := kernel.GemmF32{}
	product.Epilogue.Least, product.Epilogue.Greatest = limits(o.Clamp)
	return func(c *planning) error {
		x, w, y := c.in(0), c.in(1), c.out(0)
		stack := len(y.shape) - 2
		rows, inner, columns := y.shape[stack], x.shape[len(x.shape)-1], y.shape[stack+1]
		left := stackOffsets(x.shape, y.shape[:stack])
		right := stackOffsets(w.shape, y.shape[:stack])
		weights := kernel.F32Weights{Filter: kernel.Matrix(inner, columns, false), Data: make([]float32, inner*columns)}
		product := product
		product.Rows, product.InStride, product.OutStride = rows, inner, columns
		product.Weights = b.kernels.PackF32(weights)
		size, units := product.Scratch(), product.Units()
		c.emit("matmul_f32", size, func(m *runtime.Memory) runtime.Work {
			out, a, bs, scratch := data[float32](m, y), data[float32](m, x), data[float32](m, w), m.Scratch(size)
			products := slices.Repeat([]kernel.GemmF32{product}, len(scratch))
			for i := range products {
				products[i].Weights = b.kernels.PackF32(weights)
			}
			return runtime.Work{Tasks: len(left), Run: func(begin, end, worker int) {
				p, second := &products[worker], weights
				for i := begin; i < end; i++ {
					second.Data = bs[right[i]:][:inner*columns]
					p.Weights.Repack(second)
					p.Run(out[i*rows*columns:][:rows*columns], a[left[i]:][:rows*inner], 0, units, scratch[worker])
				}
			}}
		})
		return nil
	}, nil
}

// stackOffsets is where each matrix of a stack that is broadcast to the given dimensions starts.
func stackOffsets(shape, stack []int) []int {
	own := shape[:len(shape)-2]
	strides := packedStrides(shape)
	offsets := []int{0}
	for d, size := range stack {
		step := 0
		if i := d - (len(stack) - len(own)); i >= 0 && own[i] != 1 {
			step = strides[i]
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
