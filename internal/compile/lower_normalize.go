package compile

import (
	"fmt"
	"math"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/kernel"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/runtime"
	"github.com/octet-nn/octet/tensor"
)

// lowerInstanceNormalization is InstanceNormalization with constant scale and bias.
func lowerInstanceNormalization(b *builder, n *graph.Node) (prepared, error) {
	o := n.Op.(*op.InstanceNormalization)
	affine, err := realConstants(n, 1, 2)
	if affine == nil || err != nil {
		return nil, err
	}
	b.pack(n, 1, 2)
	return func(c *planning) error {
		x, y, finish, err := c.spatial(o.Layout)
		if err != nil {
			return err
		}
		channels := x.shape[len(x.shape)-1]
		if len(affine[0]) != channels || len(affine[1]) != channels {
			return fmt.Errorf("scale and bias have %d and %d entries for %d channels", len(affine[0]), len(affine[1]), channels)
		}
		k := &kernel.InstanceNormF32{Vector: c.program.vector, Batch: x.shape[0], Pixels: x.len() / max(x.shape[0]*channels, 1), Channels: channels,
			Scale: affine[0], Bias: affine[1], Epsilon: o.Epsilon}
		emitUnary[float32, float32](c, "instance_norm_f32", k, y, x)
		return finish()
	}, nil
}

// realConstants copies the constant operands of a float node; nil if one of them is missing or computed, or if
// operand 0 is not float32.
func realConstants(n *graph.Node, operands ...int) ([][]float32, error) {
	if !isFloat32(n.Input(0)) {
		return nil, nil
	}
	var list [][]float32
	for _, i := range operands {
		if n.Input(i) == nil {
			return nil, nil
		}
		values, err := realConstant(n.Input(i))
		if values == nil || err != nil {
			return nil, err
		}
		list = append(list, values)
	}
	return list, nil
}

// lowerBatchNormalization is BatchNormalization that could not be folded into a product: x·a + b for each channel.
func lowerBatchNormalization(b *builder, n *graph.Node) (prepared, error) {
	o := n.Op.(*op.BatchNormalization)
	rank := len(n.Input(0).Type.Shape)
	statistics, err := realConstants(n, 1, 2, 3, 4)
	if statistics == nil || rank < 2 || err != nil {
		return nil, err
	}
	scale, bias, mean, variance := statistics[0], statistics[1], statistics[2], statistics[3]
	if len(bias) != len(scale) || len(mean) != len(scale) || len(variance) != len(scale) {
		return nil, nil
	}
	factor, offset := make([]float32, len(scale)), make([]float32, len(scale))
	for i := range scale {
		f := float64(scale[i]) / math.Sqrt(float64(variance[i])+float64(o.Epsilon))
		factor[i], offset[i] = float32(f), float32(float64(bias[i])-float64(float64(mean[i])*f))
	}
	shape := []int{len(scale)}
	for range rank - 1 - o.Layout.Channel(rank) {
		shape = append(shape, 1)
	}
	constant := func(values []float32) *place {
		return &place{dtype: tensor.Float32, shape: shape, constant: tensor.Of(values, shape...)}
	}
	times, plus := constant(factor), constant(offset)
	b.pack(n, 1, 2, 3, 4)
	return func(c *planning) error {
		x := c.in(0)
		y := c.out(0, x)
		if err := c.binaryFloat(kernel.BinaryF32{Op: kernel.Mul, Least: -infinity, Greatest: infinity}, y, x, times); err != nil {
			return err
		}
		return c.binaryFloat(kernel.BinaryF32{Op: kernel.Add, Least: -infinity, Greatest: infinity}, y, y, plus)
	}, nil
}

// lowerLayerNormalization is LayerNormalization with constant scale and bias, one entry per element of a row.
func lowerLayerNormalization(b *builder, n *graph.Node) (prepared, error) {
	o := n.Op.(*op.LayerNormalization)
	operands := []int{1, 2}[:len(n.Inputs)-1]
	affine, err := realConstants(n, operands...)
	if affine == nil || err != nil || len(n.Outputs) > 1 {
		return nil, err
	}
	return func(c *planning) error {
		x := c.in(0)
		rows, size, inner := around(x.shape, o.Axis)
		size *= inner
		for _, a := range affine {
			if len(a) != size && len(a) != 1 {
				return reference(c) // broadcast in some other way
			}
		}
		k := &kernel.LayerNormF32{Vector: c.program.vector, Rows: rows, Size: size, Scale: spread(affine[0], size), Epsilon: o.Epsilon}
		if len(affine) > 1 {
			k.Bias = spread(affine[1], size)
		}
		emitUnary[float32, float32](c, "layer_norm_f32", k, c.out(0, x), x)
		return nil
	}, nil
}

// lowerFakeQuantize is FakeQuantize to at most 8 bits by constant parameters: quantized, then dequantized.
func lowerFakeQuantize(b *builder, n *graph.Node) (prepared, error) {
	o := n.Op.(*op.FakeQuantize)
	lowest, highest := o.Limits()
	if o.Block > 0 || highest-lowest > 255 || n.Input(1) == nil {
		return nil, nil
	}
	parameters, err := realConstants(n, 1)
	if parameters == nil || err != nil {
		return nil, err
	}
	scales := parameters[0]
	zeros := make([]int32, len(scales))
	if v := n.Input(2); v != nil {
		if v.Const == nil || v.Const.Len() != 1 && v.Const.Len() != len(scales) {
			return nil, nil
		}
		for i, z := range spread(op.Float64s(v.Const), len(scales)) {
			zeros[i] = int32(math.RoundToEven(z))
		}
	}
	b.pack(n, 1, 2)
	return func(c *planning) error {
		x := c.in(0)
		y := c.out(0, x)
		channels, inner := 1, x.len()
		if len(scales) > 1 {
			if _, channels, inner = around(x.shape, o.Axis); channels != len(scales) {
				return fmt.Errorf("%d scales for %d channels along axis %d", len(scales), channels, o.Axis)
			}
		}
		codes := c.temporary(tensor.Uint8, x.len())
		c.emitElements("fake_quantize", x.len(), func(m *runtime.Memory) func(begin, end int) {
			vector, out, in, stored := c.program.vector, data[float32](m, y), data[float32](m, x), data[byte](m, codes)
			return func(begin, end int) {
				for at := begin; at < end; {
					run := at / inner
					stop := min((run+1)*inner, end)
					scale, zero := scales[run%channels], zeros[run%channels]
					vector.Quantize(stored[at:stop], in[at:stop], scale, zero, lowest, highest)
					vector.Dequantize(out[at:stop], stored[at:stop], kernel.Int8Operand{Signed: o.Signed, ZeroPoint: zero, Scale: scale})
					at = stop
				}
			}
		})
		return nil
	}, nil
}
