package compile

import (
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/kernel"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/runtime"
	"github.com/octet-nn/octet/tensor"
)

// What ONNX Runtime's dynamic quantization writes: activations that are quantized as they come, times constant codes.

// lowerDynamicQuantize is DynamicQuantizeLinear: one goroutine finds the range, then all make codes.
func lowerDynamicQuantize(b *builder, n *graph.Node) (prepared, error) {
	if !isFloat32(n.Input(0)) || n.Outputs[0] == nil {
		return nil, nil
	}
	vector := b.kernels.Vector()
	return func(c *planning) error {
		x, y, s, z := c.in(0), c.out(0), c.out(1), c.out(2)
		c.emit("dynamic_quantize", 0, func(m *runtime.Memory) runtime.Work {
			out, in, scales, zeros := view[uint8](m, y), view[float32](m, x), view[float32](m, s), view[uint8](m, z)
			scale, zero := float32(1), int32(0)
			prepare := func() {
				var least, greatest float32
				for _, v := range in {
					least, greatest = min(least, v), max(greatest, v)
				}
				scale, zero = numeric.DynamicRange(least, greatest)
				if scales != nil {
					scales[0] = scale
				}
				if zeros != nil {
					zeros[0] = uint8(zero)
				}
			}
			tasks := (len(out) + elementsPerTask - 1) / elementsPerTask
			return runtime.Work{Prepare: prepare, Tasks: tasks, Run: func(begin, end, _ int) {
				from, to := begin*elementsPerTask, min(end*elementsPerTask, len(out))
				vector.Quantize(out[from:to], in[from:to], scale, zero, 0, 255)
			}}
		})
		return nil
	}, nil
}

// lowerMatMulInteger is the product of codes and a constant matrix of codes. The zero point of the first, if it has one,
// may be computed in the run.
func lowerMatMulInteger(b *builder, n *graph.Node) (prepared, error) {
	a, w, zero := n.Input(0), n.Input(1), n.Input(3)
	if !isByte(a.Type.DType) || w.Const == nil || !isByte(w.Type.DType) || len(w.Const.Shape()) != 2 {
		return nil, nil
	}
	inputs, columns := w.Const.Shape()[0], w.Const.Shape()[1]
	if inputs == 0 || columns == 0 {
		return nil, nil
	}
	weights := kernel.Int8Weights{Filter: kernel.Matrix(inputs, columns, false), Data: w.Const.Bytes(), Signed: w.Type.DType == tensor.Int8}
	if zero != nil {
		if !isVector(zero, columns) || zero.Type.DType != w.Type.DType {
			return nil, nil
		}
		weights.ZeroPoint = op.Int32s(zero.Const)
	}
	packed := b.kernels.PackInt8(weights)
	signed := a.Type.DType == tensor.Int8
	return func(c *planning) error {
		x, zeroPoint := c.in(0), c.in(2)
		if rank := len(x.shape); rank == 0 || x.shape[rank-1] != inputs || zeroPoint != nil && zeroPoint.len() != 1 {
			return reference(c)
		}
		y := c.out(0)
		describe := func() *kernel.GemmInt8 {
			return &kernel.GemmInt8{Weights: packed, Rows: x.len() / inputs, InStride: inputs, OutStride: columns, Signed: signed}
		}
		size := describe().Scratch()
		c.emit("matmul_integer", size, func(m *runtime.Memory) runtime.Work {
			k, zero := describe(), []byte(nil)
			if zeroPoint != nil {
				zero = data[byte](m, zeroPoint)
			}
			in, out, scratch := data[byte](m, x), kernel.Destination{Sums: view[int32](m, y)}, m.Scratch(size)
			prepare := func() {
				switch {
				case zero == nil:
				case signed:
					k.ZeroPoint = int32(int8(zero[0]))
				default:
					k.ZeroPoint = int32(zero[0])
				}
			}
			return runtime.Work{Prepare: prepare, Tasks: k.Units(), Grain: grain(k), Run: func(begin, end, worker int) {
				k.Run(out, in, begin, end, scratch[worker])
			}}
		})
		return nil
	}, nil
}

func isByte(t tensor.DType) bool { return t == tensor.Int8 || t == tensor.Uint8 }
