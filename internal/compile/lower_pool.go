package compile

import (
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/kernel"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/op"
)

// pooling is what a pool slides over its input.
type pooling struct {
	sliding
	global       bool
	countPadding bool
	layout       op.Layout
}

func poolingOf(o graph.Operator) pooling {
	switch o := o.(type) {
	case *op.MaxPool:
		return pooling{sliding{o.KernelShape, o.Strides, o.Dilations, o.Pads, o.AutoPad}, false, false, o.Layout}
	case *op.AveragePool:
		return pooling{sliding{o.KernelShape, o.Strides, o.Dilations, o.Pads, o.AutoPad}, false, o.CountIncludePad, o.Layout}
	case *op.GlobalMaxPool:
		return pooling{global: true, layout: o.Layout}
	case *op.GlobalAveragePool:
		return pooling{global: true, layout: o.Layout}
	}
	panic("compile: not a pool")
}

// window is the pool's window over x.
func (p pooling) window(x, y *place) kernel.AverageWindow {
	s := p.sliding
	if p.global {
		s = sliding{kernel: x.shape[1 : len(x.shape)-1]}
	}
	w := kernel.AverageWindow{CountPadding: p.countPadding}
	w.Window, w.PadBottom, w.PadRight = window(s, x, y)
	return w
}

// suits reports whether package kernel has the pool: one result.
func (p pooling) suits(n *graph.Node) bool {
	return (len(n.Outputs) < 2 || n.Outputs[1] == nil)
}

// plan is how a pool of two dimensions is planned: emit adds its step.
func (p pooling) plan(b *builder, n *graph.Node, emit func(c *planning, y, x *place)) (prepared, error) {
	b.canPixels(n, p.layout, readsPixels|writesPixels|planarOnly)
	return func(c *planning) error {
		if !isPlanar(c.in(0)) {
			return reference(c)
		}
		x, y, finish, err := c.spatial(p.layout)
		if err != nil {
			return err
		}
		emit(c, y, x)
		return finish()
	}, nil
}

func lowerMaxPool(b *builder, n *graph.Node) (prepared, error) {
	p := poolingOf(n.Op)
	if !p.suits(n) {
		return nil, nil
	}
	vector := b.kernels.Vector()
	if isFloat32(n.Input(0)) {
		make := func(x, y *place) *kernel.MaxPoolF32 {
			return &kernel.MaxPoolF32{Vector: vector, Window: p.window(x, y).Window}
		}
		p.chainable(b, n, func(x, y *place, _ addend) any { return make(x, y) })
		return p.plan(b, n, func(c *planning, y, x *place) {
			emitScratched[float32, float32](c, "max_pool_f32", make(x, y), y, x)
		})
	}
	q, ok := codesOf(n.Input(0))
	if !ok || !n.Input(0).Type.Quant.Equal(n.Outputs[0].Type.Quant) || n.Input(0).Type.DType != n.Outputs[0].Type.DType {
		return nil, nil
	}
	make := func(x, y *place) *kernel.MaxPoolInt8 {
		return &kernel.MaxPoolInt8{Vector: vector, Window: p.window(x, y).Window, Signed: q.Signed}
	}
	p.chainable(b, n, func(x, y *place, _ addend) any { return make(x, y) })
	return p.plan(b, n, func(c *planning, y, x *place) {
		emitScratched[byte, byte](c, "max_pool_int8", make(x, y), y, x)
	})
}

// chainable notes that a pool can be a stage of a chain, if channels are last.
func (p pooling) chainable(b *builder, n *graph.Node, s stage) {
	if p.layout == op.NHWC {
		b.chainable(n, s)
	}
}

func lowerAveragePoolFloat(b *builder, n *graph.Node) (prepared, error) {
	p := poolingOf(n.Op)
	if !p.suits(n) || !isFloat32(n.Input(0)) {
		return nil, nil
	}
	return p.plan(b, n, func(c *planning, y, x *place) {
		emitScratched[float32, float32](c, "average_pool_f32", &kernel.AveragePoolF32{Vector: c.program.vector, Window: p.window(x, y)}, y, x)
	})
}

func lowerAveragePoolInteger(b *builder, n *graph.Node) (prepared, error) {
	p := poolingOf(n.Op)
	in, ok := codesOf(n.Input(0))
	out, also := codesOf(n.Outputs[0])
	if !p.suits(n) || !ok || !also {
		return nil, nil
	}
	return p.plan(b, n, func(c *planning, y, x *place) {
		k := &kernel.AveragePoolInt8{Vector: c.program.vector, Window: p.window(x, y), Input: in.Int8Operand,
			Scale: out.Scale, ZeroPoint: out.ZeroPoint, Lowest: out.lowest, Highest: out.highest}
		if n.Arithmetic != numeric.ONNX {
			average := n.Arithmetic.Average(op.InputCodes(n, 0), op.OutputCodes(n, nil))
			k.Average = &average
		}
		emitScratched[byte, byte](c, "average_pool_int8", k, y, x)
	})
}
