package compile

import (
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/kernel"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/runtime"
	"github.com/octet-nn/octet/tensor"
)

// integerProduct is what convolutions and matrix products of codes have in common, whatever becomes of the sums.
type integerProduct struct {
	compute  graph.Compute
	row      numeric.Arithmetic
	layer    numeric.Layer
	input    codes // of the activations, unless they are quantized as they come
	weights  kernel.Int8Weights
	scales   []float32 // of the weights: one, or one per output channel
	epilogue kernel.Epilogue
	wide     *wideProduct // of 16-bit activations, instead of input and epilogue
}

// newIntegerProduct reads the quantization and constants of a node whose operands are activations, weights and a bias;
// ok is false where no kernel computes it. axis is the output channel's in the weights.
func newIntegerProduct(n *graph.Node, f kernel.Filter, axis int, clamp *op.Clamp) (p *integerProduct, ok bool) {
	w, bias := n.Input(1), n.Input(2)
	q := w.Type.Quant
	if w.Const == nil || q == nil || q.Block > 0 || q.Dynamic || w.Type.DType.Bits() > 8 || len(q.Scale) > 1 && (q.Axis != axis || len(q.Scale) != f.Outputs) {
		return nil, false
	}
	p = &integerProduct{compute: n.Compute, row: n.Arithmetic, layer: op.LayerOf(n, w.Const.Shape()), scales: q.Scale}
	p.weights = kernel.Int8Weights{Filter: f, Data: storedCodes(w.Const), Signed: w.Type.DType.IsSigned(), ZeroPoint: q.ZeroPoint}
	p.epilogue.Least, p.epilogue.Greatest = limits(clamp)
	if n.Compute == graph.DynamicActivations {
		if !isFloat32(n.Input(0), bias) || bias != nil && !isVector(bias, f.Outputs) {
			return nil, false
		}
		if shape := n.Input(0).Type.Shape; n.Arithmetic.DynamicEach() && (len(shape) == 0 || !shape[0].Known() || shape[0].Size != 1) {
			return nil, false // a kernel has one scale of activations
		}
		if bias != nil {
			p.epilogue.FloatBias = spread(op.Float32s(bias.Const), f.Outputs)
		}
		return p, true
	}
	if isWide(n.Input(0)) {
		p.wide, ok = newWideProduct(n, f, p.scales, p.layer, clamp)
		return p, ok
	}
	if p.input, ok = codesOf(n.Input(0)); !ok {
		return nil, false
	}
	if bias != nil {
		if !isVector(bias, f.Outputs) || bias.Const.DType() != tensor.Int32 {
			return nil, false
		}
		p.epilogue.Bias = spread(op.Int32s(bias.Const), f.Outputs)
	}
	return p, p.round(n, f.Outputs, clamp)
}

// round says what becomes of the sums of an integer node: codes or, if it hands out its sums, floats; ok is false where
// no kernel computes it.
func (p *integerProduct) round(n *graph.Node, outputs int, clamp *op.Clamp) (ok bool) {
	y := n.Outputs[0]
	if n.Compute == graph.IntegerToFloat {
		p.epilogue.Multiplier = make([]float32, len(p.scales))
		for i, s := range p.scales {
			p.epilogue.Multiplier[i] = p.input.Scale * s
		}
		return y.Type.DType == tensor.Float32
	}
	out, ok := codesOf(y)
	if !ok {
		return false
	}
	limited := op.OutputCodes(n, clamp)
	out.lowest, out.highest = limited.Lowest, limited.Highest
	if n.Arithmetic == numeric.ONNX {
		p.epilogue.Multiplier = make([]float32, len(p.scales))
		for i, s := range p.scales {
			p.epilogue.Multiplier[i] = numeric.Multiplier(p.input.Scale, s, out.Scale)
		}
		p.epilogue.Bounded = kernel.AreBounded(p.epilogue.Multiplier)
	} else {
		p.epilogue.Requantizer = make([]numeric.Requantizer, len(p.scales))
		input := op.InputCodes(n, 0)
		for i, s := range p.scales {
			p.epilogue.Requantizer[i] = n.Arithmetic.Requantizer(p.layer, input, s, limited)
		}
		p.epilogue.Fixed = kernel.NewFixedPoint(p.epilogue.Requantizer, outputs)
	}
	p.epilogue.ZeroPoint, p.epilogue.Lowest, p.epilogue.Highest = out.ZeroPoint, out.lowest, out.highest
	return true
}

// storedCodes is codes of at most 8 bits as bytes: the tensor's own, if it has 8.
func storedCodes(t *tensor.Tensor) []byte {
	if t.DType().Bits() == 8 {
		return t.Bytes()
	}
	wide := op.Int64s(t)
	stored := make([]byte, len(wide))
	for i, v := range wide {
		stored[i] = byte(v)
	}
	return stored
}

// isVector reports whether a value is constant and has one entry or n.
func isVector(v *graph.Value, n int) bool {
	return v.Const != nil && (v.Const.Len() == 1 || v.Const.Len() == n)
}

// spread copies a vector of n entries, or repeats a single one.
func spread[T any](values []T, n int) []T {
	all := make([]T, n)
	for i := range all {
		all[i] = values[i%len(values)]
	}
	return all
}

// integerKernel is a product of codes in package kernel's calling convention.
type integerKernel interface {
	Units() int
	Scratch() int
	Run(out kernel.Destination, in []byte, start, end int, scratch []byte)
}

// traits is where the product's kernels read and write.
func (p *integerProduct) traits() trait {
	switch {
	case p.wide != nil:
		return 0
	case p.compute == graph.DynamicActivations:
		return writesPixels // the range of its operand is that of all elements there are
	}
	return readsPixels | writesPixels
}

// emit plans the product of operand 0. make describes it to package kernel, given how its input and result are
// quantized.
func (p *integerProduct) emit(c *planning, name string, x, y *place, make func(input kernel.Int8Operand, e kernel.Epilogue) integerKernel) {
	if p.wide != nil {
		p.wide.emit(c, name, x, y, make)
		return
	}
	if p.compute == graph.DynamicActivations {
		p.emitDynamic(c, name, x, y, make)
		return
	}
	with := func(r addend) integerKernel {
		e := p.epilogue
		e.Residual = r.codes
		return make(p.input.Int8Operand, e)
	}
	size := with(c.addend(nil)).Scratch()
	c.emit(c.kernelName(name), size, func(m *runtime.Memory) runtime.Work {
		k := with(c.addend(m))
		in, scratch := data[byte](m, x), m.Scratch(size)
		out := destination(m, y)
		return runtime.Work{Tasks: k.Units(), Grain: grain(k), Run: func(begin, end, worker int) { k.Run(out, in, begin, end, scratch[worker]) }}
	})
}

func destination(m *runtime.Memory, y *place) kernel.Destination {
	if y.dtype == tensor.Float32 {
		return kernel.Destination{Floats: data[float32](m, y)}
	}
	return kernel.Destination{Codes: data[byte](m, y)}
}

// emitDynamic plans a product whose activations are quantized as they come: first, on one goroutine, their range and
// their codes, then the product.
func (p *integerProduct) emitDynamic(c *planning, name string, x, y *place, make func(input kernel.Int8Operand, e kernel.Epilogue) integerKernel) {
	q := c.temporary(tensor.Uint8, x.len())
	size := make(kernel.Int8Operand{Scale: 1}, p.epilogue).Scratch()
	c.emit(name, size, func(m *runtime.Memory) runtime.Work {
		vector, in, stored, scratch, out := c.program.vector, data[float32](m, x), data[byte](m, q), m.Scratch(size), destination(m, y)
		epilogue := p.epilogue
		epilogue.Multiplier = append([]float32{}, p.scales...)
		k := make(kernel.Int8Operand{Scale: 1}, epilogue)
		zeroPoint := zeroPointOf(k)
		prepare := func() {
			var scale float32
			var zero int32
			if p.row.DynamicEach() {
				scale, zero = p.row.DynamicCodes(stored, in, p.layer, len(p.scales) > 1)
			} else {
				scale, zero = numeric.DynamicRange(kernel.Extremes(in))
				vector.Quantize(stored, in, scale, zero, 0, 255)
			}
			*zeroPoint = zero
			for i, s := range p.scales {
				epilogue.Multiplier[i] = scale * s
			}
		}
		return runtime.Work{Prepare: prepare, Tasks: k.Units(), Grain: grain(k), Run: func(begin, end, worker int) {
			k.Run(out, stored, begin, end, scratch[worker])
		}}
	})
}

// zeroPointOf is where a kernel keeps the zero point of its input.
func zeroPointOf(k integerKernel) *int32 {
	switch k := k.(type) {
	case *kernel.ConvInt8:
		return &k.ZeroPoint
	case *kernel.DepthwiseInt8:
		return &k.ZeroPoint
	case *kernel.GemmInt8:
		return &k.ZeroPoint
	case *kernel.ConvTransposeInt8:
		return &k.ZeroPoint
	}
	panic("compile: a kernel without a zero point")
}

// joins is whether kernels other than those of depthwise convolutions can add residuals: they make codes, of operands that
// are codes of 8 bits.
func (p *integerProduct) joins() trait {
	if p.compute == graph.Integer && p.wide == nil {
		return addsResiduals
	}
	return 0
}

// lowerConvInteger is convolutions of codes, whatever becomes of their sums.
func lowerConvInteger(b *builder, n *graph.Node) (prepared, error) {
	o := n.Op.(*op.Conv)
	f, ok := filter(n.Input(1), o.Filter, o.Groups())
	if !ok {
		return nil, nil
	}
	p, ok := newIntegerProduct(n, f, o.Filter.Output(len(n.Input(1).Const.Shape())), o.Clamp)
	if !ok {
		return nil, nil
	}
	b.pack(n, 1, 2)
	b.canPixels(n, o.Layout, p.traits())
	if isDepthwise(f) {
		depthwise := b.kernels.PackDepthwiseInt8(p.weights)
		p.weights.Data = nil
		return p.lowerSpatial(b, n, o.Layout, "depthwise_int8", func(x, y *place, input kernel.Int8Operand, e kernel.Epilogue) integerKernel {
			return &kernel.DepthwiseInt8{Weights: depthwise, Window: convWindow(o, f, x, y), Signed: input.Signed, ZeroPoint: input.ZeroPoint, Epilogue: e}
		}), nil
	}
	b.canPixels(n, o.Layout, p.joins())
	product := b.kernels.PackInt8(p.weights)
	p.weights.Data = nil
	return p.lowerSpatial(b, n, o.Layout, "conv_int8", func(x, y *place, input kernel.Int8Operand, e kernel.Epilogue) integerKernel {
		return &kernel.ConvInt8{Weights: product, Window: convWindow(o, f, x, y), Signed: input.Signed, ZeroPoint: input.ZeroPoint, Epilogue: e}
	}), nil
}

// lowerSpatial plans a convolution of codes by the kernel that make describes for operands of known shape.
func (p *integerProduct) lowerSpatial(b *builder, n *graph.Node, layout op.Layout, name string,
	make func(x, y *place, input kernel.Int8Operand, e kernel.Epilogue) integerKernel) prepared {
	if layout == op.NHWC && p.compute == graph.Integer && p.wide == nil {
		b.chainable(n, func(x, y *place, r addend) any {
			e := p.epilogue
			e.Residual = r.codes
			return make(x, y, p.input.Int8Operand, e)
		})
	}
	return func(c *planning) error {
		x, y, finish, err := c.spatial(layout)
		if err != nil {
			return err
		}
		p.emit(c, name, x, y, func(input kernel.Int8Operand, e kernel.Epilogue) integerKernel { return make(x, y, input, e) })
		return finish()
	}
}

// lowerMatrixInteger is Gemm and MatMul of codes by a constant matrix.
func lowerMatrixInteger(b *builder, n *graph.Node) (prepared, error) {
	transposed, clamp := false, (*op.Clamp)(nil)
	switch o := n.Op.(type) {
	case *op.Gemm:
		if o.TransA || o.Alpha != 1 || n.Input(2) != nil && o.Beta != 1 {
			return nil, nil
		}
		transposed, clamp = o.TransB, o.Clamp
	case *op.MatMul:
		clamp = o.Clamp
	}
	f, ok := matrix(n.Input(1), transposed)
	if !ok {
		return nil, nil
	}
	axis := 1
	if transposed {
		axis = 0
	}
	p, ok := newIntegerProduct(n, f, axis, clamp)
	if !ok {
		return nil, nil
	}
	b.pack(n, 1, 2)
	b.can(n, p.traits()|p.joins())
	product := b.kernels.PackInt8(p.weights)
	p.weights.Data = nil
	return func(c *planning) error {
		x, y := c.in(0), c.out(0)
		p.emit(c, "gemm_int8", x, y, func(input kernel.Int8Operand, e kernel.Epilogue) integerKernel {
			return &kernel.GemmInt8{Weights: product, Rows: y.len() / f.Outputs, InStride: x.pixelStride(), OutStride: y.pixelStride(),
				Signed: input.Signed, ZeroPoint: input.ZeroPoint, Epilogue: e}
		})
		return nil
	}, nil
}
