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

// filter describes the constant weights of a convolution to package kernel; ok is false where they are not constant or
// not of one or two spatial dimensions.
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

// sliding is the attributes that convolutions and pools share.
type sliding struct {
	kernel, strides, dilations, pads []int // per spatial axis; pads as [begin …, end …]
}

// window describes a window sliding over x, channels last, to package kernel. The operands have one or two spatial
// dimensions.
func window(s sliding, x, y *place) kernel.Window {
	w := kernel.Window{
		Batch: x.shape[0], Channels: x.shape[len(x.shape)-1],
		InHeight: 1, OutHeight: 1, KernelHeight: 1, StrideHeight: 1, DilationHeight: 1,
	}
	last := len(x.shape) - 3 // the axis of the width among the spatial ones
	at := func(list []int, i, otherwise int) int {
		if i < len(list) {
			return list[i]
		}
		return otherwise
	}
	w.InWidth, w.OutWidth = x.shape[last+1], y.shape[last+1]
	w.KernelWidth, w.StrideWidth, w.DilationWidth = s.kernel[last], at(s.strides, last, 1), at(s.dilations, last, 1)
	w.PadLeft = at(s.pads, last, 0)
	if last == 1 {
		w.InHeight, w.OutHeight = x.shape[1], y.shape[1]
		w.KernelHeight, w.StrideHeight, w.DilationHeight = s.kernel[0], at(s.strides, 0, 1), at(s.dilations, 0, 1)
		w.PadTop = at(s.pads, 0, 0)
	}
	w.InStride, w.OutStride = w.Channels, y.shape[len(y.shape)-1]
	return w
}

// limits is a fused activation as package kernel has it.
func limits(c *op.Clamp) (least, greatest float32) {
	if c == nil {
		return float32(math.Inf(-1)), float32(math.Inf(1))
	}
	return c.Min, c.Max
}

// floatConstant copies a constant as float32, dequantizing codes; nil if v is absent.
func floatConstant(v *graph.Value) ([]float32, error) {
	if v == nil {
		return nil, nil
	}
	if v.Type.Quant != nil {
		return dequantized(v)
	}
	if !v.Const.DType().IsFloat() {
		return nil, fmt.Errorf("constant %q is %s, not floats", v.Name, v.Const)
	}
	return op.Float32s(v.Const.Clone()), nil
}

// isConstant reports whether all the given operands are constant or absent.
func isConstant(values ...*graph.Value) bool {
	for _, v := range values {
		if v != nil && v.Const == nil {
			return false
		}
	}
	return true
}

// isFloat32 reports whether all the given operands are float32 or absent.
func isFloat32(values ...*graph.Value) bool {
	for _, v := range values {
		if v != nil && v.Type.DType != tensor.Float32 {
			return false
		}
	}
	return true
}

// lowerConvFloat is convolutions of floats, with float weights or, weight-only, dequantized ones.
func lowerConvFloat(b *builder, n *graph.Node) (prepared, error) {
	o := n.Op.(*op.Conv)
	w, bias := n.Input(1), n.Input(2)
	f, ok := filter(w, o.Filter, o.Group)
	if !ok || o.Layout != op.NHWC || !isConstant(bias) || !isFloat32(n.Input(0)) {
		return nil, nil
	}
	weights, err := floatConstant(w)
	if err != nil {
		return nil, err
	}
	epilogue := kernel.EpilogueF32{}
	epilogue.Least, epilogue.Greatest = limits(o.Clamp)
	if epilogue.Bias, err = floatConstant(bias); err != nil {
		return nil, err
	}
	b.pack(n, 1, 2)
	packed := kernel.F32Weights{Filter: f, Data: weights}
	if f.Inputs == 1 && f.Groups > 1 {
		depthwise := b.kernels.PackDepthwiseF32(packed)
		return func(c *planning) error {
			x, y := c.in(0), c.out(0)
			c.emitFloat("depthwise_f32", &kernel.DepthwiseF32{Weights: depthwise, Window: c.convWindow(o, f, x, y), Epilogue: epilogue}, y, x)
			return nil
		}, nil
	}
	product := b.kernels.PackF32(packed)
	return func(c *planning) error {
		x, y := c.in(0), c.out(0)
		c.emitFloat("conv_f32", &kernel.ConvF32{Weights: product, Window: c.convWindow(o, f, x, y), Epilogue: epilogue}, y, x)
		return nil
	}, nil
}

// convWindow is the window of a convolution for operands of known shape.
func (c *planning) convWindow(o *op.Conv, f kernel.Filter, x, y *place) kernel.Window {
	size := []int{f.Height, f.Width}
	return window(sliding{size[4-len(x.shape):], o.Strides, o.Dilations, o.Pads}, x, y)
}

// floatUnits is a float kernel in package kernel's calling convention.
type floatUnits interface {
	Units() int
	Scratch() int
	Run(out, in []float32, start, end int, scratch []byte)
}

// emitFloat plans a float kernel with one input.
func (c *planning) emitFloat(name string, k floatUnits, out, in *place) {
	c.emit(name, k.Scratch(), func(m *runtime.Memory) runtime.Work {
		y, x, scratch := view[float32](m, out), view[float32](m, in), m.Scratch(k.Scratch())
		return runtime.Work{Tasks: k.Units(), Run: func(begin, end, worker int) { k.Run(y, x, begin, end, scratch[worker]) }}
	})
}
