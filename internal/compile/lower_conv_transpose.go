package compile

import (
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/kernel"
	"github.com/octet-nn/octet/internal/op"
)

// transposedFilter describes the constant weights of a transposed convolution; axis is that of its output channels, −1
// if there is none. ok is false where no kernel serves.
func transposedFilter(n *graph.Node, o *op.ConvTranspose) (f kernel.Filter, axis int, ok bool) {
	groups := o.Groups()
	if f, ok = filter(n.Input(1), o.Filter, groups); !ok {
		return f, -1, false
	}
	rank := len(n.Input(1).Const.Shape())
	if o.Filter != op.OIHW {
		return f, o.Filter.Output(rank), true
	}
	// ONNX has the input channels of all groups first, then the output channels of one group.
	f.Inputs, f.Outputs = f.Outputs/groups, f.Inputs*groups
	f.InputStride, f.OutputStride = f.OutputStride, f.InputStride
	f.GroupStride = f.Inputs * f.InputStride
	if groups > 1 {
		return f, -1, true
	}
	return f, o.Filter.Input(rank), true
}

// transposedWindow is the part of the window that weights are packed for: it must not depend on the input's size. ok is
// false where the padding does, because the operator states its output's size and the input's is not known yet.
func transposedWindow(f kernel.Filter, o *op.ConvTranspose, x *graph.Value) (w kernel.Window, ok bool) {
	rank := len(x.Type.Shape)
	if rank != 3 && rank != 4 {
		return w, false
	}
	s := sliding{[]int{f.Height, f.Width}[4-rank:], o.Strides, o.Dilations, o.Pads, o.AutoPad}
	entry := func(list []int, axis int) int {
		if axis < len(list) {
			return list[axis]
		}
		return 0
	}
	ok = true
	along := func(axis int) (stride, dilation, pad int) {
		stride, dilation, pad, _ = s.along(axis, 0, 0)
		// What the full result has more than the output: (in−1)·stride + extent − out. With automatic padding the output
		// is in·stride, so that the input's size cancels out.
		surplus := (s.kernel[axis]-1)*dilation + 1 - stride + entry(o.OutputPadding, axis)
		switch in := x.Type.Shape[o.Layout.Spatial(rank)+axis]; {
		case len(o.OutputShape) > 0:
			ok = ok && in.Known()
			surplus += in.Size*stride - o.OutputShape[axis]
		case o.AutoPad != op.SameUpper && o.AutoPad != op.SameLower:
			return stride, dilation, pad
		}
		surplus = max(surplus, 0)
		if o.AutoPad == op.SameUpper {
			return stride, dilation, surplus / 2
		}
		return stride, dilation, (surplus + 1) / 2
	}
	w = kernel.Window{KernelHeight: 1, StrideHeight: 1, DilationHeight: 1, KernelWidth: f.Width}
	last := rank - 3
	w.StrideWidth, w.DilationWidth, w.PadLeft = along(last)
	if last == 1 {
		w.KernelHeight = f.Height
		w.StrideHeight, w.DilationHeight, w.PadTop = along(0)
	}
	return w, ok
}

// over is the window of a transposed convolution of x.
func over(w kernel.Window, x, y *place) kernel.Window {
	last := len(x.shape) - 3
	w.Batch, w.Channels = x.shape[0], x.shape[last+2]
	w.InHeight, w.OutHeight = 1, 1
	w.InWidth, w.OutWidth = x.shape[last+1], y.shape[last+1]
	if last == 1 {
		w.InHeight, w.OutHeight = x.shape[1], y.shape[1]
	}
	w.InStride, w.OutStride = x.pixelStride(), y.pixelStride()
	return w
}

// lowerConvTransposeFloat is transposed convolutions of floats.
func lowerConvTransposeFloat(b *builder, n *graph.Node) (prepared, error) {
	o := n.Op.(*op.ConvTranspose)
	f, _, ok := transposedFilter(n, o)
	if !ok || !isFloat32(n.Input(0)) {
		return nil, nil
	}
	w, ok := transposedWindow(f, o, n.Input(0))
	if !ok {
		return nil, nil
	}
	weights, err := realWeights(n.Input(1))
	if weights == nil || err != nil {
		return nil, err
	}
	epilogue, ok, err := epilogueFloat(n.Input(2), o.Clamp, f.Outputs)
	if !ok || err != nil {
		return nil, err
	}
	b.pack(n, 1, 2)
	b.canPixels(n, o.Layout, readsPixels|writesPixels)
	packed := b.kernels.PackTransposeF32(kernel.F32Weights{Filter: f, Data: weights}, &w)
	return func(c *planning) error {
		x, y, finish, err := c.spatial(o.Layout)
		if err != nil {
			return err
		}
		k := &kernel.ConvTransposeF32{Weights: packed, Window: over(w, x, y), Epilogue: epilogue}
		emitScratched[float32, float32](c, "conv_transpose_f32", k, y, x)
		return finish()
	}, nil
}

// lowerConvTransposeInteger is transposed convolutions of codes.
func lowerConvTransposeInteger(b *builder, n *graph.Node) (prepared, error) {
	o := n.Op.(*op.ConvTranspose)
	f, axis, ok := transposedFilter(n, o)
	if !ok {
		return nil, nil
	}
	w, ok := transposedWindow(f, o, n.Input(0))
	if !ok {
		return nil, nil
	}
	p, ok := newIntegerProduct(n, f, axis, o.Clamp)
	if !ok {
		return nil, nil
	}
	b.pack(n, 1, 2)
	b.canPixels(n, o.Layout, p.traits())
	packed := b.kernels.PackTransposeInt8(p.weights, &w)
	p.weights.Data = nil
	return func(c *planning) error {
		x, y, finish, err := c.spatial(o.Layout)
		if err != nil {
			return err
		}
		window := over(w, x, y)
		p.emit(c, "conv_transpose_int8", x, y, func(input kernel.Int8Operand, e kernel.Epilogue) integerKernel {
			return &kernel.ConvTransposeInt8{Weights: packed, Window: window, Signed: input.Signed, ZeroPoint: input.ZeroPoint, Epilogue: e}
		})
		return finish()
	}, nil
}
