package compile

import (
	"context"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/kernel"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/runtime"
	"github.com/octet-nn/octet/tensor"
)

// lowerGemmFloat is Gemm with constant weights and bias and an untransposed input.
func lowerGemmFloat(b *builder, n *graph.Node) (prepared, error) {
	o := n.Op.(*op.Gemm)
	w, bias := n.Input(1), n.Input(2)
	if o.TransA || !isConstant(w, bias) || !isFloat32(n.Input(0)) {
		return nil, nil
	}
	weights, err := floatConstant(w)
	if err != nil {
		return nil, err
	}
	scale(weights, o.Alpha)
	shape := w.Const.Shape()
	k, columns := shape[0], shape[1]
	if o.TransB {
		k, columns = columns, k
	}
	epilogue := kernel.EpilogueF32{}
	epilogue.Least, epilogue.Greatest = limits(o.Clamp)
	if bias != nil {
		vector, ok, err := biasVector(bias, columns)
		if !ok || err != nil {
			return nil, err
		}
		scale(vector, o.Beta)
		epilogue.Bias = vector
	}
	b.pack(n, 1, 2)
	packed := b.kernels.PackF32(kernel.F32Weights{Filter: kernel.Matrix(k, columns, o.TransB), Data: weights})
	return func(c *planning) error {
		c.emitProduct(packed, k, columns, epilogue)
		return nil
	}, nil
}

// lowerMatMulFloat is MatMul by a constant matrix.
func lowerMatMulFloat(b *builder, n *graph.Node) (prepared, error) {
	o := n.Op.(*op.MatMul)
	w := n.Input(1)
	if !isConstant(w) || len(w.Const.Shape()) != 2 || !isFloat32(n.Input(0)) {
		return nil, nil
	}
	weights, err := floatConstant(w)
	if err != nil {
		return nil, err
	}
	k, columns := w.Const.Shape()[0], w.Const.Shape()[1]
	epilogue := kernel.EpilogueF32{}
	epilogue.Least, epilogue.Greatest = limits(o.Clamp)
	b.pack(n, 1)
	packed := b.kernels.PackF32(kernel.F32Weights{Filter: kernel.Matrix(k, columns, false), Data: weights})
	return func(c *planning) error {
		c.emitProduct(packed, k, columns, epilogue)
		return nil
	}, nil
}

// emitProduct plans operand 0, as rows of k, times packed weights.
func (c *planning) emitProduct(w *kernel.PackedF32, k, columns int, e kernel.EpilogueF32) {
	x, y := c.in(0), c.out(0)
	c.emitFloat("gemm_f32", &kernel.GemmF32{
		Weights: w, Rows: y.len() / columns, InStride: k, OutStride: columns, Epilogue: e,
	}, y, x)
}

// biasVector copies the bias of Gemm as one number per column; ok is false if it differs by row.
func biasVector(bias *graph.Value, columns int) (vector []float32, ok bool, err error) {
	values, err := floatConstant(bias)
	if err != nil {
		return nil, false, err
	}
	shape := bias.Const.Shape()
	if len(shape) == 2 && shape[0] != 1 {
		return nil, false, nil
	}
	switch len(values) {
	case columns:
		return values, true, nil
	case 1:
		vector = make([]float32, columns)
		for i := range vector {
			vector[i] = values[0]
		}
		return vector, true, nil
	}
	return nil, false, nil
}

func scale(values []float32, by float32) {
	if by == 1 {
		return
	}
	for i := range values {
		values[i] *= by
	}
}

// lowerMatMulComputed is MatMul of two computed operands: each worker packs the second matrix of a batch entry before
// it multiplies.
func lowerMatMulComputed(b *builder, n *graph.Node) (prepared, error) {
	o := n.Op.(*op.MatMul)
	if !isFloat32(n.Inputs...) {
		return nil, nil
	}
	epilogue := kernel.EpilogueF32{}
	epilogue.Least, epilogue.Greatest = limits(o.Clamp)
	return func(c *planning) error {
		x, w := c.in(0), c.in(1)
		if len(x.shape) < 2 || len(w.shape) < 2 {
			return reference(c)
		}
		y := c.out(0)
		rank := len(y.shape)
		rows, k, columns := y.shape[rank-2], w.shape[len(w.shape)-2], y.shape[rank-1]
		batch := newNest(y.shape[:rank-2], zip(
			broadcastStrides(x.shape[:len(x.shape)-2], rank-2), broadcastStrides(w.shape[:len(w.shape)-2], rank-2)))
		matrix := kernel.F32Weights{Filter: kernel.Matrix(k, columns, false)}
		product := kernel.GemmF32{Rows: rows, InStride: k, OutStride: columns, Epilogue: epilogue}
		matrix.Data = make([]float32, k*columns)
		product.Weights = b.kernels.PackF32(matrix)
		scratchBytes, units := product.Scratch(), product.Units()
		c.emit("matmul_f32", scratchBytes, func(m *runtime.Memory) runtime.Work {
			out, left, right := view[float32](m, y), view[float32](m, x), view[float32](m, w)
			scratch := m.Scratch(scratchBytes)
			products := make([]kernel.GemmF32, len(scratch))
			for i := range products {
				products[i] = product
				products[i].Weights = b.kernels.PackF32(matrix)
			}
			return runtime.Work{Tasks: batch.count(), Run: func(begin, end, worker int) {
				p := &products[worker]
				at := batch.from(begin)
				for i := begin; i < end; i++ {
					second := matrix
					second.Data = right[at.at[1]*k*columns:][:k*columns]
					p.Weights.Repack(second)
					p.Run(out[i*rows*columns:][:rows*columns], left[at.at[0]*rows*k:][:rows*k], 0, units, scratch[worker])
					at.next()
				}
			}}
		})
		return nil
	}, nil
}

// dequantized is the real numbers of a quantized constant: (code − zero point)·scale, per tensor, per channel along
// the axis or per block of it.
func dequantized(v *graph.Value) ([]float32, error) {
	n := &graph.Node{Op: &op.Dequantize{}, Inputs: []*graph.Value{v},
		Outputs: []*graph.Value{{Name: v.Name, Type: graph.Type{DType: tensor.Float32, Shape: v.Type.Shape}}}}
	results, err := op.Evaluate(context.Background(), n, []*tensor.Tensor{v.Const})
	if err != nil {
		return nil, err
	}
	return op.Float32s(results[0]), nil
}
