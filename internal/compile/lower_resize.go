package compile

import (
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/kernel"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/runtime"
)

// lowerResize is nearest-neighbour resizing along any axes, and linear resizing along one axis or two neighbouring
// ones. On codes, linear interpolation may change the scale; the nearest neighbour does not.
func lowerResize(_ *builder, n *graph.Node) (prepared, error) {
	o := n.Op.(*op.Resize)
	integer := n.Compute == graph.Integer
	in, isCodes := codesOf(n.Input(0))
	out, toCodes := codesOf(n.Outputs[0])
	by, own := numeric.Interpolation{}, false
	if integer {
		by, own = o.RowInterpolation(n)
	}
	switch {
	case o.CoordinateTransformation == op.TFCropAndResize || o.Mode == op.ResizeCubic,
		o.Mode == op.ResizeLinear && (o.Antialias || o.ExcludeOutside),
		integer && !(isCodes && toCodes),
		integer && o.Mode == op.ResizeLinear && n.Arithmetic != numeric.ONNX && !own,
		integer && o.Mode == op.ResizeNearest && !n.Input(0).Type.Quant.Equal(n.Outputs[0].Type.Quant),
		!integer && o.Mode == op.ResizeLinear && !isFloat32(n.Input(0)):
		return nil, nil
	}
	return func(c *planning) error {
		x := c.in(0)
		shape := c.shapeOf(0)
		scales, ok, err := c.resizeScales(o, x.shape)
		if !ok || err != nil {
			return otherwise(c, err)
		}
		if o.Mode == op.ResizeNearest {
			return c.resizeNearest(o, x, shape, scales)
		}
		first, count := resizedAxes(x.shape, shape, scales)
		if count > 2 {
			return reference(c)
		}
		// The resized axes are height and width of an image, what is before them its batch, what follows its channels.
		batch, channels := 1, 1
		for i, d := range x.shape {
			if i < first {
				batch *= d
			} else if i >= first+count {
				channels *= d
			}
		}
		size := func(i int) (in, out int, scale float32) {
			if axis := first + count - 2 + i; axis >= first {
				return x.shape[axis], shape[axis], scales[axis]
			}
			return 1, 1, 1
		}
		inHeight, outHeight, scaleY := size(0)
		inWidth, outWidth, scaleX := size(1)
		if own {
			k := kernel.NewBilinearRow(by, batch, inHeight, inWidth, channels, outHeight, outWidth, in.Signed, out.lowest, out.highest)
			emitUnary[byte, byte](c, "bilinear_row", k, c.out(0), x)
			return nil
		}
		k := kernel.NewBilinear(numeric.CoordinateTransform(o.CoordinateTransformation), batch, inHeight, inWidth, channels, outHeight, outWidth, scaleY, scaleX)
		k.Vector = c.program.vector
		y := c.out(0)
		c.emit("bilinear", 0, func(m *runtime.Memory) runtime.Work {
			if !integer {
				to, from := data[float32](m, y), data[float32](m, x)
				return runtime.Work{Tasks: k.Units(), Run: func(begin, end, _ int) { k.RunF32(to, from, begin, end) }}
			}
			codes := &kernel.BilinearCodes{Input: in.Int8Operand, Ratio: numeric.Ratio(in.Scale, out.Scale),
				ZeroPoint: out.ZeroPoint, Lowest: out.lowest, Highest: out.highest}
			to, from := data[byte](m, y), data[byte](m, x)
			return runtime.Work{Tasks: k.Units(), Run: func(begin, end, _ int) { k.RunInt8(to, from, codes, begin, end) }}
		})
		return nil
	}, nil
}

// resizeScales is the scale of every axis of a resize of known sizes; ok is false if scales are computed.
func (c *planning) resizeScales(o *op.Resize, in []int) (scales []float32, ok bool, err error) {
	var given []float32
	if v := c.node.Input(2); v != nil {
		if v.Const == nil {
			return nil, false, nil
		}
		given = op.Float32s(v.Const)
	}
	sizes, _ := c.facts.Data(c.node.Input(3))
	_, scales, err = o.Output(graph.FixedShape(in...), given, sizes)
	return scales, err == nil && !slices.Contains(scales, 0), err
}

// resizedAxes is the axes that a resize changes: the first, and how many from there to the last.
func resizedAxes(in, out []int, scales []float32) (first, count int) {
	for i := range in {
		if in[i] == out[i] && scales[i] == 1 {
			continue
		}
		if count == 0 {
			first = i
		}
		count = i - first + 1
	}
	return first, count
}

// resizeNearest plans a copy of the nearest elements.
func (c *planning) resizeNearest(o *op.Resize, x *place, shape []int, scales []float32) error {
	element, ok := elementBytes(x)
	if !ok {
		return reference(c)
	}
	index := make([][]int32, len(shape))
	for i, n := range x.shape {
		if n != shape[i] || scales[i] != 1 {
			index[i] = kernel.NearestIndex(numeric.CoordinateTransform(o.CoordinateTransformation), numeric.NearestRounding(o.Nearest), n, shape[i], scales[i])
		}
	}
	k := kernel.NewRemap(element, x.shape, index, nil)
	emitUnary[byte, byte](c, "nearest", &k, c.out(0), x)
	return nil
}
