package compile

import (
	"fmt"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/kernel"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/runtime"
)

// lowerQuantize is Quantize to 8-bit codes, per tensor or per channel.
func lowerQuantize(b *builder, n *graph.Node) (prepared, error) {
	v := n.Outputs[0]
	if !isFloat32(n.Input(0)) {
		return nil, nil
	}
	onnx := n.Arithmetic == numeric.ONNX || n.Arithmetic == numeric.None
	if q, ok := codesOf(v); ok {
		b.can(n, readsPixels|writesPixels)
		return func(c *planning) error {
			x := c.in(0)
			if onnx {
				c.quantize(c.out(0), x, q)
			} else {
				c.quantizeByRow(c.out(0), x, op.OutputCodes(n, nil))
			}
			return nil
		}, nil
	}
	q, ok := perAxis(v)
	if !ok || !onnx {
		return nil, nil
	}
	lowest, highest := v.Type.Quant.Limits(v.Type.DType)
	return func(c *planning) error {
		x, y := c.in(0), c.out(0)
		k, err := q(y.shape)
		if err != nil {
			return err
		}
		c.emit("quantize_per_axis", 0, func(m *runtime.Memory) runtime.Work {
			out, in := data[byte](m, y), data[float32](m, x)
			return runtime.Work{Tasks: k.Units(), Run: func(begin, end, _ int) { k.Quantize(out, in, lowest, highest, begin, end) }}
		})
		return nil
	}, nil
}

// quantizeByRow plans the rounding of floats to codes in a row of the arithmetics other than onnx.
func (c *planning) quantizeByRow(y, x *place, codes numeric.Codes) {
	row := c.node.Arithmetic
	emitEach(c, "quantize_by_row", y, x, func(out []byte, in []float32) { kernel.QuantizeBy(out, in, row, codes) })
}

// lowerDequantize is Dequantize of 8-bit codes, per tensor or per channel.
func lowerDequantize(b *builder, n *graph.Node) (prepared, error) {
	v := n.Input(0)
	if !isFloat32(n.Outputs[0]) {
		return nil, nil
	}
	if q, ok := codesOf(v); ok {
		b.can(n, readsPixels|writesPixels)
		return func(c *planning) error {
			x := c.in(0)
			c.dequantize(c.out(0), x, q)
			return nil
		}, nil
	}
	q, ok := perAxis(v)
	if !ok {
		return nil, nil
	}
	signed := v.Type.DType.IsSigned()
	return func(c *planning) error {
		x, y := c.in(0), c.out(0)
		k, err := q(x.shape)
		if err != nil {
			return err
		}
		c.emit("dequantize_per_axis", 0, func(m *runtime.Memory) runtime.Work {
			out, in := data[float32](m, y), data[byte](m, x)
			return runtime.Work{Tasks: k.Units(), Run: func(begin, end, _ int) { k.Dequantize(out, in, signed, begin, end) }}
		})
		return nil
	}, nil
}

// perAxis describes 8-bit codes with parameters of their own for each channel, for any shape.
func perAxis(v *graph.Value) (describe func(shape []int) (*kernel.PerAxis, error), ok bool) {
	q := v.Type.Quant
	if q == nil || q.Dynamic || q.Block > 0 || v.Type.DType.Bits() != 8 {
		return nil, false
	}
	return func(shape []int) (*kernel.PerAxis, error) {
		if q.Axis >= len(shape) || shape[q.Axis] != len(q.Scale) {
			return nil, fmt.Errorf("%d scales along axis %d of shape %v", len(q.Scale), q.Axis, shape)
		}
		k := &kernel.PerAxis{Outer: 1, Channels: shape[q.Axis], Inner: 1, Scale: q.Scale, ZeroPoint: q.ZeroPoint}
		for i, d := range shape {
			if i < q.Axis {
				k.Outer *= d
			} else if i > q.Axis {
				k.Inner *= d
			}
		}
		return k, nil
	}, true
}
