package compile

import (
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/kernel"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/runtime"
	"github.com/octet-nn/octet/tensor"
)

// The lowerings in this file are of 16-bit activations.

// isWide reports whether values are 16-bit codes, quantized per tensor.
func isWide(values ...*graph.Value) bool {
	for _, v := range values {
		if v == nil || v.Type.DType != tensor.Int16 || !v.Type.Quant.IsPerTensor() {
			return false
		}
	}
	return true
}

// wideProduct is what becomes of the sums of a layer with 16-bit activations.
type wideProduct struct {
	zeroPoint int32 // of the activations
	finish    kernel.SumsInt16
}

// widestDepth keeps sums of products of 8-bit codes in 32 bits: 2^16·255·128 < 2^31.
const widestDepth = 1 << 16

// newWideProduct describes a node whose activations have 16 bits; ok is false where no kernel computes it.
func newWideProduct(n *graph.Node, f kernel.Filter, scales []float32, layer numeric.Layer, clamp *op.Clamp) (w *wideProduct, ok bool) {
	x, bias, y := n.Input(0), n.Input(2), n.Outputs[0]
	if !isWide(x) || f.Height*f.Width*f.Inputs > widestDepth {
		return nil, false
	}
	w = &wideProduct{zeroPoint: x.Type.Quant.ZeroPoint[0]}
	k := &w.finish
	k.Channels = f.Outputs
	k.Least, k.Greatest = limits(clamp)
	if bias != nil {
		if !isVector(bias, f.Outputs) {
			return nil, false
		}
		switch {
		case bias.Const.DType().IsFloat():
			k.FloatBias = spread(op.Float32s(bias.Const), f.Outputs)
		default:
			k.Bias = spread(op.Int64s(bias.Const), f.Outputs)
			k.Short = bias.Const.DType() == tensor.Int32
		}
	}
	if n.Compute == graph.IntegerToFloat {
		for _, s := range scales {
			k.Multiplier = append(k.Multiplier, x.Type.Quant.Scale[0]*s)
		}
		return w, y.Type.DType == tensor.Float32
	}
	if !isWide(y) || k.FloatBias != nil {
		return nil, false
	}
	input, output := op.InputCodes(n, 0), op.OutputCodes(n, clamp)
	for _, s := range scales {
		r := n.Arithmetic.Requantizer(layer, input, s, output)
		if k.Short {
			r = r.ForShortSums()
		}
		k.Requantizer = append(k.Requantizer, r)
	}
	k.ZeroPoint, k.Lowest, k.Highest = output.ZeroPoint, output.Lowest, output.Highest
	return w, true
}

// emit plans the product: the activations are split into two values of 8 bits, both are multiplied, and the sums joined.
func (w *wideProduct) emit(c *planning, name string, x, y *place, make func(input kernel.Int8Operand, e kernel.Epilogue) integerKernel) {
	halves := [2]*place{c.temporary(tensor.Uint8, x.len()), c.temporary(tensor.Uint8, x.len())}
	sums := [2]*place{c.temporary(tensor.Int32, y.len()), c.temporary(tensor.Int32, y.len())}
	c.emitElements("split_int16", x.len(), func(m *runtime.Memory) func(begin, end int) {
		high, low, in := data[byte](m, halves[0]), data[byte](m, halves[1]), view[int16](m, x)
		return func(begin, end int) { kernel.SplitInt16(high[begin:end], low[begin:end], in[begin:end]) }
	})
	operands := [2]kernel.Int8Operand{{Signed: true, ZeroPoint: w.zeroPoint >> 8}, {ZeroPoint: w.zeroPoint & 255}}
	for i, operand := range operands {
		k := make(operand, kernel.Epilogue{})
		size := k.Scratch()
		c.emit(name, size, func(m *runtime.Memory) runtime.Work {
			in, scratch := data[byte](m, halves[i]), m.Scratch(size)
			out := kernel.Destination{Sums: view[int32](m, sums[i])}
			return runtime.Work{Tasks: k.Units(), Run: func(begin, end, worker int) { k.Run(out, in, begin, end, scratch[worker]) }}
		})
	}
	c.emitElements("join_int16", y.len(), func(m *runtime.Memory) func(begin, end int) {
		high, low := view[int32](m, sums[0]), view[int32](m, sums[1])
		if y.dtype == tensor.Float32 {
			out := data[float32](m, y)
			return func(begin, end int) { w.finish.Floats(out, high, low, begin, end) }
		}
		out := view[int16](m, y)
		return func(begin, end int) { w.finish.Codes(out, high, low, begin, end) }
	})
}

// lowerBinaryWide is Add, Sub and Mul.
func lowerBinaryWide(f kernel.BinaryOp) func(*builder, *graph.Node) (prepared, error) {
	return func(_ *builder, n *graph.Node) (prepared, error) {
		if !isWide(n.Input(0), n.Input(1), n.Outputs[0]) {
			return nil, nil
		}
		a, b, y := op.InputCodes(n, 0), op.InputCodes(n, 1), op.OutputCodes(n, clampOf(n.Op))
		var code func(a, b int32) int32
		if f == kernel.Mul {
			product := n.Arithmetic.Product(a, b, y)
			code = product.Code
		} else {
			sum := n.Arithmetic.Sum(f == kernel.Sub, a, b, y)
			code = sum.Code
		}
		return func(c *planning) error {
			left, right := c.in(0), c.in(1)
			y := c.out(0, left, right)
			shape, err := kernel.NewBroadcast(y.shape, left.shape, right.shape)
			if err != nil {
				return err
			}
			k := &kernel.BinaryInt16{Shape: shape, Code: code}
			c.emit("binary_int16", 0, func(m *runtime.Memory) runtime.Work {
				out, a, b := view[int16](m, y), view[int16](m, left), view[int16](m, right)
				return runtime.Work{Tasks: k.Units(), Run: func(begin, end, _ int) { k.Run(out, a, b, begin, end) }}
			})
			return nil
		}, nil
	}
}

// emitScratchedWide is emitScratched for codes of 16 bits.
func emitScratchedWide(c *planning, name string, k interface {
	Units() int
	Scratch() int
	Run(out, in []int16, start, end int, scratch []byte)
}, y, x *place) {
	size := k.Scratch()
	c.emit(name, size, func(m *runtime.Memory) runtime.Work {
		out, in, scratch := view[int16](m, y), view[int16](m, x), m.Scratch(size)
		return runtime.Work{Tasks: k.Units(), Run: func(begin, end, worker int) { k.Run(out, in, begin, end, scratch[worker]) }}
	})
}

// lowerPoolWide is pools.
func lowerPoolWide(b *builder, n *graph.Node) (prepared, error) {
	p := poolingOf(n.Op)
	x, y := n.Input(0), n.Outputs[0]
	if !p.suits(n) || !isWide(x, y) {
		return nil, nil
	}
	greatest := n.Op.Type() == "MaxPool" || n.Op.Type() == "GlobalMaxPool"
	if greatest && !x.Type.Quant.Equal(y.Type.Quant) {
		return nil, nil
	}
	return p.plan(b, n, func(c *planning, y, x *place) {
		if greatest {
			emitScratchedWide(c, "max_pool_int16", &kernel.MaxPoolInt16{Window: p.window(x, y).Window}, y, x)
			return
		}
		input := op.InputCodes(n, 0)
		emitScratchedWide(c, "average_pool_int16", &kernel.AveragePoolInt16{Window: p.window(x, y), ZeroPoint: input.ZeroPoint,
			Average: n.Arithmetic.Average(input, op.OutputCodes(n, nil))}, y, x)
	})
}

// lowerReduceWide is sums and means.
func lowerReduceWide(f kernel.ReduceOp) func(*builder, *graph.Node) (prepared, error) {
	return func(_ *builder, n *graph.Node) (prepared, error) {
		if !isWide(n.Input(0), n.Outputs[0]) {
			return nil, nil
		}
		input, output := op.InputCodes(n, 0), op.OutputCodes(n, nil)
		return func(c *planning) error {
			x := c.in(0)
			r, ok, err := c.reduction(x)
			if !ok || err != nil {
				return otherwise(c, err)
			}
			axes, _ := c.reducedAxes(x)
			average := n.Arithmetic.Mean(n.Op.(*op.Reduce).OverImage(axes, len(x.shape)), input, output)
			y := c.out(0)
			c.emit("reduce_int16", 0, func(m *runtime.Memory) runtime.Work {
				out, in := view[int16](m, y), view[int16](m, x)
				return runtime.Work{Tasks: r.Units(), Run: func(begin, end, _ int) {
					r.RunInt16(f, out, in, input.ZeroPoint, &average, begin, end)
				}}
			})
			return nil
		}, nil
	}
}

// lowerSoftmaxWide is Softmax.
func lowerSoftmaxWide(_ *builder, n *graph.Node) (prepared, error) {
	if !isWide(n.Input(0), n.Outputs[0]) {
		return nil, nil
	}
	softmax := n.Arithmetic.Softmax(op.InputCodes(n, 0), op.OutputCodes(n, nil))
	axis := n.Op.(*op.Softmax).Axis
	return func(c *planning) error {
		x := c.in(0)
		y := c.out(0, x)
		k := &kernel.SoftmaxInt16{Softmax: softmax}
		k.Outer, k.Size, k.Inner = around(x.shape, axis)
		emitScratchedWide(c, "softmax_int16", k, y, x)
		return nil
	}, nil
}

// lowerTableWide is functions of one operand, as a table of all 65536 codes; see lowerTable.
func lowerTableWide(_ *builder, n *graph.Node) (prepared, error) {
	if !isWide(n.Input(0), n.Outputs[0]) {
		return nil, nil
	}
	for _, v := range n.Inputs[1:] {
		if v != nil && (v.Const == nil || v.Const.Len() != 1) {
			return nil, nil
		}
	}
	domain := tensor.New(tensor.Int16, 1<<16)
	for i := range tensor.Values[int16](domain) {
		tensor.Values[int16](domain)[i] = int16(i)
	}
	results, err := evaluateDomain(n, domain)
	if err != nil {
		return nil, err
	}
	table := tensor.Values[int16](results.Clone())
	return func(c *planning) error {
		x := c.in(0)
		y := c.out(0, x)
		c.emitElements("table_int16", y.len(), func(m *runtime.Memory) func(begin, end int) {
			out, in := view[int16](m, y), view[int16](m, x)
			return func(begin, end int) {
				for i, q := range in[begin:end] {
					out[begin+i] = table[uint16(q)]
				}
			}
		})
		return nil
	}, nil
}

// lowerQuantizeWide is Quantize to 16-bit codes.
func lowerQuantizeWide(_ *builder, n *graph.Node) (prepared, error) {
	if !isFloat32(n.Input(0)) || !isWide(n.Outputs[0]) {
		return nil, nil
	}
	row, codes := n.Arithmetic, op.OutputCodes(n, nil)
	return func(c *planning) error {
		x, y := c.in(0), c.out(0)
		c.emitElements("quantize_int16", y.len(), func(m *runtime.Memory) func(begin, end int) {
			out, in := view[int16](m, y), data[float32](m, x)
			return func(begin, end int) {
				for i, v := range in[begin:end] {
					out[begin+i] = int16(row.Quantize(v, codes))
				}
			}
		})
		return nil
	}, nil
}

// lowerDequantizeWide is Dequantize of 16-bit codes.
func lowerDequantizeWide(_ *builder, n *graph.Node) (prepared, error) {
	if !isWide(n.Input(0)) || !isFloat32(n.Outputs[0]) {
		return nil, nil
	}
	codes := op.InputCodes(n, 0)
	return func(c *planning) error {
		x, y := c.in(0), c.out(0)
		c.emitElements("dequantize_int16", y.len(), func(m *runtime.Memory) func(begin, end int) {
			out, in := data[float32](m, y), view[int16](m, x)
			return func(begin, end int) {
				for i, q := range in[begin:end] {
					out[begin+i] = numeric.Dequantize(int32(q), codes.ZeroPoint, codes.Scale)
				}
			}
		})
		return nil
	}, nil
}
