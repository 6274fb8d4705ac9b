package compile

import (
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/kernel"
	"github.com/octet-nn/octet/internal/op"
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
	weights, err := realWeights(n.Input(1))
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
	if alpha != 1 {
		weights = slices.Clone(weights)
		scale(weights, alpha)
	}
	scale(epilogue.Bias, beta)
	b.pack(n, 1, 2)
	b.can(n, readsPixels|writesPixels|addsResiduals)
	product := b.kernels.PackF32(kernel.F32Weights{Filter: f, Data: weights})
	return func(c *planning) error {
		x, y := c.in(0), c.out(0)
		c.emitProductF32("gemm_f32", x, y, epilogue, func(e kernel.EpilogueF32) scratched[float32, float32] {
			return &kernel.GemmF32{Weights: product, Rows: y.len() / f.Outputs, InStride: x.pixelStride(), OutStride: y.pixelStride(), Epilogue: e}
		})
		return nil
	}, nil
}

func scale(values []float32, by float32) {
	for i := range values {
		values[i] *= by
	}
}
