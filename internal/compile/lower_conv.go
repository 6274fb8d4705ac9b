package compile

import (
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/kernel"
	"github.com/octet-nn/octet/internal/op"
)

// filter describes the constant weights of a convolution to package kernel; ok is false where they are not constant or
// do not have one or two spatial dimensions.
func filter(w *graph.Value, layout op.FilterLayout, groups int) (f kernel.Filter, ok bool) {
	if w.Const == nil {
		return f, false
	}
	shape := w.Const.Shape()
	rank := len(shape)
	if rank != 3 && rank != 4 {
		return f, false
	}
	strides := packedStrides(shape)
	in, out, x := layout.Input(rank), layout.Output(rank), layout.Spatial(rank)
	f = kernel.Filter{
		Height: 1, Width: shape[x], WidthStride: strides[x],
		Inputs: shape[in], InputStride: strides[in], Outputs: shape[out], OutputStride: strides[out], Groups: groups,
	}
	if rank == 4 {
		f.Height, f.HeightStride, f.Width, f.WidthStride = shape[x], strides[x], shape[x+1], strides[x+1]
	}
	return f, f.Outputs%groups == 0
}

// packedStrides is the strides, in elements, of a packed array of this shape.
func packedStrides(shape []int) []int {
	strides := make([]int, len(shape))
	step := 1
	for i := len(shape) - 1; i >= 0; i-- {
		strides[i] = step
		step *= shape[i]
	}
	return strides
}

// isDepthwise reports whether every output channel sees one input channel out of several. It is a property of channel
// counts alone, so that packing does not depend on input shapes.
func isDepthwise(f kernel.Filter) bool { return f.Inputs == 1 && f.Groups > 1 }

// lowerConvFloat is convolutions of floats, with float weights or, weight-only, dequantized ones.
func lowerConvFloat(b *builder, n *graph.Node) (prepared, error) {
	o := n.Op.(*op.Conv)
	f, ok := filter(n.Input(1), o.Filter, o.Groups())
	if !ok || !isFloat32(n.Input(0)) {
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
	packed := kernel.F32Weights{Filter: f, Data: weights}
	if isDepthwise(f) {
		depthwise := b.kernels.PackDepthwiseF32(packed)
		return lowerSpatial(b, n, o.Layout, "depthwise_f32", epilogue, func(x, y *place, e kernel.EpilogueF32) scratched[float32, float32] {
			return &kernel.DepthwiseF32{Weights: depthwise, Window: convWindow(o, f, x, y), Epilogue: e}
		}), nil
	}
	if winograd := b.packWinograd(n, packed); winograd != nil {
		return lowerSpatial(b, n, o.Layout, "conv_f32_winograd", epilogue, func(x, y *place, e kernel.EpilogueF32) scratched[float32, float32] {
			return &kernel.WinogradF32{Weights: winograd, Window: convWindow(o, f, x, y), Epilogue: e}
		}), nil
	}
	if !winogradMay(o, f) { // plans of all tiers have the same steps
		b.canPixels(n, o.Layout, addsResiduals)
	}
	product := b.kernels.PackF32(packed)
	return lowerSpatial(b, n, o.Layout, "conv_f32", epilogue, func(x, y *place, e kernel.EpilogueF32) scratched[float32, float32] {
		return &kernel.ConvF32{Weights: product, Window: convWindow(o, f, x, y), Epilogue: e}
	}), nil
}

// lowerSpatial plans a convolution of floats by the kernel that make describes for operands of known shape.
func lowerSpatial(b *builder, n *graph.Node, layout op.Layout, name string, epilogue kernel.EpilogueF32,
	make func(x, y *place, e kernel.EpilogueF32) scratched[float32, float32]) prepared {
	if layout == op.NHWC {
		b.chainable(n, func(x, y *place, r addend) any {
			e := epilogue
			e.Residual = r.floats
			return make(x, y, e)
		})
	}
	return func(c *planning) error {
		x, y, finish, err := c.spatial(layout)
		if err != nil {
			return err
		}
		c.emitProductF32(name, x, y, epilogue, func(e kernel.EpilogueF32) scratched[float32, float32] { return make(x, y, e) })
		return finish()
	}
}

// packWinograd packs the weights of a convolution for Winograd's algorithm, or returns nil. What is best depends on the
// size of the image, so that it must be known.
func (b *builder) packWinograd(n *graph.Node, w kernel.F32Weights) *kernel.PackedWinogradF32 {
	o := n.Op.(*op.Conv)
	in, out := n.Input(0).Type.Shape, n.Outputs[0].Type.Shape
	if b.direct || len(in) != 4 || len(out) != 4 || !winogradMay(o, w.Filter) {
		return nil
	}
	y := o.Layout.Spatial(4)
	if min(in[y].Size, in[y+1].Size, out[y].Size, out[y+1].Size) < 1 { // unknown, or there are no pixels
		return nil
	}
	return b.kernels.PackWinogradF32(w, out[y].Size, out[y+1].Size)
}

// winogradMay reports whether Winograd's algorithm may be the best for a convolution at some tier, whose kernels add no
// residuals.
func winogradMay(o *op.Conv, f kernel.Filter) bool {
	return f.Height == 3 && f.Width == 3 && all(o.Strides, 1) && all(o.Dilations, 1)
}

// all reports whether all attributes, of which there may be none, are v.
func all(attributes []int, v int) bool {
	return !slices.ContainsFunc(attributes, func(a int) bool { return a != v })
}

// epilogueFloat is a constant bias and a fused activation; ok is false if the bias is computed or is not one
// number per output channel or one for all.
func epilogueFloat(bias *graph.Value, clamp *op.Clamp, outputs int) (e kernel.EpilogueF32, ok bool, err error) {
	e.Least, e.Greatest = limits(clamp)
	if bias == nil {
		return e, true, nil
	}
	values, err := realConstant(bias)
	if err != nil || len(values) != 1 && len(values) != outputs {
		return e, false, err
	}
	e.Bias = spread(values, outputs)
	return e, true, nil
}

// sliding is the attributes that convolutions and pools share, per spatial axis.
type sliding struct {
	kernel, strides, dilations []int
	pads                       []int // begin of each axis, then end of each
	auto                       op.AutoPad
}

// along is the attributes of one axis.
func (s sliding) along(axis, in, out int) (stride, dilation, padBegin, padEnd int) {
	at := func(list []int, i, otherwise int) int {
		if i < len(list) {
			return list[i]
		}
		return otherwise
	}
	stride, dilation = at(s.strides, axis, 1), at(s.dilations, axis, 1)
	switch s.auto {
	case op.ExplicitPads:
		return stride, dilation, at(s.pads, axis, 0), at(s.pads, axis+len(s.kernel), 0)
	case op.Valid:
		return stride, dilation, 0, 0
	}
	total := max((out-1)*stride+(s.kernel[axis]-1)*dilation+1-in, 0)
	if s.auto == op.SameLower {
		return stride, dilation, (total + 1) / 2, total / 2
	}
	return stride, dilation, total / 2, (total + 1) / 2
}

// window describes a window sliding over x, channels last and with one or two spatial dimensions, to package kernel.
func window(s sliding, x, y *place) (w kernel.Window, padBottom, padRight int) {
	last := len(x.shape) - 3 // the axis of the width among the spatial ones
	w = kernel.Window{
		Batch: x.shape[0], Channels: x.shape[last+2],
		InHeight: 1, OutHeight: 1, KernelHeight: 1, StrideHeight: 1, DilationHeight: 1,
		InWidth: x.shape[last+1], OutWidth: y.shape[last+1], KernelWidth: s.kernel[last],
		InStride: x.pixelStride(), OutStride: y.pixelStride(),
	}
	w.StrideWidth, w.DilationWidth, w.PadLeft, padRight = s.along(last, w.InWidth, w.OutWidth)
	if last == 1 {
		w.InHeight, w.OutHeight, w.KernelHeight = x.shape[1], y.shape[1], s.kernel[0]
		w.StrideHeight, w.DilationHeight, w.PadTop, padBottom = s.along(0, w.InHeight, w.OutHeight)
	}
	return w, padBottom, padRight
}

// convWindow is the window of a convolution for operands of known shape.
func convWindow(o *op.Conv, f kernel.Filter, x, y *place) kernel.Window {
	size := []int{f.Height, f.Width}
	w, _, _ := window(sliding{size[4-len(x.shape):], o.Strides, o.Dilations, o.Pads, o.AutoPad}, x, y)
	return w
}

// isPlanar reports whether a value has one or two spatial dimensions.
func isPlanar(x *place) bool { return len(x.shape) == 3 || len(x.shape) == 4 }
