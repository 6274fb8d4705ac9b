package tflite

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// pair is two attributes of the options, of height and width, at least 1.
func (c *call) pair(height, width int) []int {
	return []int{max(c.options.int(height, 1), 1), max(c.options.int(width, 1), 1)}
}

// padding is how windows are padded.
func padding(p int) op.AutoPad {
	if p == paddingValid {
		return op.Valid
	}
	return op.SameUpper
}

// channels is the size of an axis of operand i, counted from the end if negative.
func (c *call) size(i, axis int) (int, error) {
	shape := c.in[i].Type.Shape
	if axis < 0 {
		axis += len(shape)
	}
	if axis < 0 || axis >= len(shape) || !shape[axis].Known() || shape[axis].Size < 1 {
		return 0, fmt.Errorf("input %d is %s; the size of dimension %d has to be known", i, c.in[i].Type, axis)
	}
	return shape[axis].Size, nil
}

// fused emits an operator with a clamp of its own, whose place is given, or with other activations after it.
func (c *call) fused(o graph.Operator, place **op.Clamp, in []*graph.Value, activation int) error {
	limits, ok := clamp(activation)
	if !ok {
		return c.activated(o, in, activation)
	}
	*place = limits
	c.emit(o, in, c.out[0])
	return nil
}

func conv2D(c *call) error {
	t := c.options
	o := &op.Conv{AutoPad: padding(t.byte(0)), Strides: c.pair(2, 1), Dilations: c.pair(5, 4), Layout: op.NHWC, Filter: op.OHWI}
	channels, err := c.size(0, -1)
	if err != nil {
		return err
	}
	each, err := c.size(1, -1)
	if err != nil {
		return err
	}
	if channels%each != 0 {
		return fmt.Errorf("%d input channels cannot be divided into groups of %d", channels, each)
	}
	o.Group = channels / each
	return c.fused(o, &o.Clamp, c.in, t.byte(3))
}

func depthwiseConv2D(c *call) error {
	t := c.options
	o := &op.Conv{AutoPad: padding(t.byte(0)), Strides: c.pair(2, 1), Dilations: c.pair(6, 5), Layout: op.NHWC, Filter: op.OneHWC}
	var err error
	if o.Group, err = c.size(0, -1); err != nil {
		return err
	}
	return c.fused(o, &o.Clamp, c.in, t.byte(4))
}

func conv3D(c *call) error {
	t := c.options
	o := &op.Conv{AutoPad: padding(t.byte(0)), Layout: op.NHWC, Filter: op.HWIO,
		Strides:   []int{max(t.int(1, 1), 1), max(t.int(3, 1), 1), max(t.int(2, 1), 1)},
		Dilations: []int{max(t.int(5, 1), 1), max(t.int(7, 1), 1), max(t.int(6, 1), 1)}}
	return c.fused(o, &o.Clamp, c.in, t.byte(4))
}

// transposeConv has the shape of its result as operand 0, then filter, input and maybe a bias.
func transposeConv(c *call) error {
	o := &op.ConvTranspose{Strides: c.pair(2, 1)}
	sizes, ok := c.constants(0)
	if !ok { // a shape that is computed; the result's own says the same unless it is not known either
		var known []int
		known, ok = c.out[0].Type.Shape.Known()
		for _, n := range known {
			sizes = append(sizes, int64(n))
		}
	}
	if !ok || len(sizes) != 4 {
		return errUnknown
	}
	in := []*graph.Value{c.in[2], c.in[1]}
	if bias := c.input(3); bias != nil {
		in = append(in, bias)
	}
	spatial := []int{int(sizes[1]), int(sizes[2])}
	return c.transposed(o, in, c.options.byte(0) == paddingSame, spatial, c.options.byte(3))
}

// transposeConvBias is the operator that MediaPipe's models bring along: its options are three integers, padding (1:
// same, 2: valid) and the strides across and down.
func transposeConvBias(c *call) error {
	custom := c.record.custom
	if len(custom) < 12 {
		return errUnknown
	}
	number := func(i int) int { return int(int32(binary.LittleEndian.Uint32(custom[4*i:]))) }
	o := &op.ConvTranspose{Strides: []int{max(number(2), 1), max(number(1), 1)}}
	out, known := c.out[0].Type.Shape.Known()
	if !known || len(out) != 4 {
		return errUnknown
	}
	return c.transposed(o, c.in, number(0) == 1, out[1:3], activationNone)
}

// transposed emits a transposed convolution to an output of given spatial sizes. Padding is what the convolution would
// have that leads back from there.
func (c *call) transposed(o *op.ConvTranspose, in []*graph.Value, same bool, spatial []int, activation int) error {
	o.Layout, o.Filter, o.Group = op.NHWC, op.OHWI, 1
	x, ok := in[0].Type.Shape.Known()
	w, known := in[1].Type.Shape.Known()
	if !ok || !known || len(x) != 4 || len(w) != 4 {
		return errUnknown
	}
	o.Pads, o.OutputPadding = make([]int, 4), make([]int, 2)
	for axis, out := range spatial {
		total := (x[1+axis]-1)*o.Strides[axis] + w[1+axis] - out
		begin := 0
		if same {
			begin = max(total, 0) / 2
		}
		o.Pads[axis] = begin
		if end := total - begin; end >= 0 {
			o.Pads[2+axis] = end
		} else {
			o.OutputPadding[axis] = -end
		}
	}
	return c.fused(o, &o.Clamp, in, activation)
}

// fullyConnected flattens its input to a matrix; the result has the input's dimensions only if the options say so.
func fullyConnected(c *call) error {
	if c.options.byte(1) != 0 {
		return errUnknown // weights in an order of one processor's own
	}
	rank, known := c.in[1].Type.Rank()
	if known && rank != 2 {
		return fmt.Errorf("its weights are %s, not a matrix", c.in[1].Type)
	}
	depth, err := c.size(1, 1)
	if err != nil {
		return err
	}
	outputs, err := c.size(1, 0)
	if err != nil {
		return err
	}
	o := &op.Gemm{Alpha: 1, Beta: 1, TransB: true}
	x := c.in[0]
	if c.options.bool(3) && x.Type.Quant == nil && c.in[1].Type.Quant.IsPerTensor() {
		c.in[1] = c.eachChannel(c.in[1], outputs)
	}
	in := append([]*graph.Value{x}, c.in[1:]...)
	shape := x.Type.Shape
	if len(shape) != 2 || !shape[1].Known() || shape[1].Size != depth {
		in[0] = c.like(x, "matrix")
		c.emit(&op.Reshape{}, []*graph.Value{x, c.list("matrix_shape", -1, int64(depth))}, in[0])
	}
	if !c.options.bool(2) || len(shape) == 2 {
		return c.fused(o, &o.Clamp, in, c.options.byte(0))
	}
	sizes, ok := shape.Known()
	if !ok || len(sizes) == 0 {
		return errUnknown
	}
	out := c.out[0]
	c.out[0] = c.like(out, "rows")
	if err := c.fused(o, &o.Clamp, in, c.options.byte(0)); err != nil {
		return err
	}
	full := make([]int64, len(sizes))
	for i, n := range sizes[:len(sizes)-1] {
		full[i] = int64(n)
	}
	full[len(full)-1] = int64(outputs)
	rows := c.out[0]
	c.out[0] = out
	c.emit(&op.Reshape{AllowZero: true}, []*graph.Value{rows, c.list("shape", full...)}, out)
	return nil
}

// eachChannel is weights with the same scale for each output: the spelling of layers whose activations cover their range
// when they are quantized as they come, as those of layers with a scale per channel do (numeric.DynamicCodes).
func (c *call) eachChannel(w *graph.Value, outputs int) *graph.Value {
	if w.Const == nil || !c.im.decoder.spend(c.record.at, outputs) {
		return w
	}
	q := &graph.Quant{Scale: slices.Repeat(w.Type.Quant.Scale, outputs), ZeroPoint: slices.Repeat(w.Type.Quant.ZeroPoint, outputs)}
	v := &graph.Value{Name: c.fresh("weights"), Origin: w.Source(), Type: w.Type, Const: w.Const}
	v.Type.Quant = q
	return v
}

func batchMatMul(c *call) error {
	in := []*graph.Value{c.in[0], c.in[1]}
	for i := range in {
		if !c.options.bool(i) {
			continue
		}
		rank, known := in[i].Type.Rank()
		if !known || rank < 2 {
			return errUnknown
		}
		perm := make([]int, rank)
		for axis := range perm {
			perm[axis] = axis
		}
		perm[rank-1], perm[rank-2] = rank-2, rank-1
		turned := c.like(in[i], "transposed")
		c.emit(&op.Transpose{Perm: perm}, []*graph.Value{in[i]}, turned)
		in[i] = turned
	}
	c.emit(&op.MatMul{}, in, c.out[0])
	return nil
}

func averagePool(c *call) error {
	t := c.options
	o := &op.AveragePool{AutoPad: padding(t.byte(0)), Strides: c.pair(2, 1), KernelShape: c.pair(4, 3), Layout: op.NHWC}
	return c.activated(o, c.in[:1], t.byte(5))
}

func maxPool(c *call) error {
	t := c.options
	o := &op.MaxPool{AutoPad: padding(t.byte(0)), Strides: c.pair(2, 1), KernelShape: c.pair(4, 3), Layout: op.NHWC}
	return c.activated(o, c.in[:1], t.byte(5))
}

// l2Pool is the root of the mean of squares.
func l2Pool(c *call) error {
	x := c.real(c.in[0])
	square, mean := c.temporary("square"), c.temporary("mean")
	c.emit(&op.Mul{}, []*graph.Value{x, x}, square)
	t := c.options
	o := &op.AveragePool{AutoPad: padding(t.byte(0)), Strides: c.pair(2, 1), KernelShape: c.pair(4, 3), Layout: op.NHWC}
	c.emit(o, []*graph.Value{square}, mean)
	return c.activated(op.NewFunction("Sqrt"), []*graph.Value{mean}, t.byte(5))
}

func softmax(c *call) error {
	x := c.in[0]
	if beta := c.options.float(0, 1); beta != 1 {
		scaled := c.temporary("scaled")
		c.emit(&op.Mul{}, []*graph.Value{c.real(x), c.scalar("beta", beta)}, scaled)
		x = scaled
	}
	c.emit(&op.Softmax{Axis: -1}, []*graph.Value{x}, c.out[0])
	return nil
}

// l2Normalization divides by the root of the sum of squares along the last axis, at least 1e-6.
func l2Normalization(c *call) error {
	x := c.real(c.in[0])
	norm, limited := c.temporary("norm"), c.temporary("limited")
	c.emit(op.NewReduce("ReduceL2"), []*graph.Value{x, c.list("axis", -1)}, norm)
	c.emit(&op.Max{}, []*graph.Value{norm, c.scalar("least", 1e-6)}, limited)
	return c.activated(&op.Div{}, []*graph.Value{x, limited}, c.options.byte(0))
}

func localResponseNormalization(c *call) error {
	t := c.options
	size := 2*t.int(0, 0) + 1
	if size < 1 {
		return fmt.Errorf("radius %d is negative", t.int(0, 0))
	}
	c.emit(&op.LRN{Size: size, Alpha: t.float(2, 0) * float32(size), Beta: t.float(3, 0), Bias: t.float(1, 0), Layout: op.NHWC},
		c.in[:1], c.out[0])
	return nil
}

func resize(mode op.ResizeMode) func(c *call) error {
	return func(c *call) error {
		first := 0
		o := &op.Resize{Mode: mode, CubicCoeffA: -0.75, Axes: []int{1, 2}, CoordinateTransformation: op.Asymmetric, Nearest: op.RoundFloor}
		if mode == op.ResizeLinear {
			first = 2
		}
		align, half := c.options.bool(first), c.options.bool(first+1)
		switch {
		case align:
			o.CoordinateTransformation, o.Nearest = op.AlignCorners, op.RoundPreferCeil
		case half:
			o.CoordinateTransformation, o.Nearest = op.HalfPixel, op.RoundPreferCeil
		}
		c.emit(o, []*graph.Value{c.in[0], nil, nil, c.int64s(1, "sizes")}, c.out[0])
		return nil
	}
}

// depthMove emits SpaceToDepth or DepthToSpace.
func depthMove(make func(block int) graph.Operator) func(c *call) error {
	return func(c *call) error {
		block := c.options.int(0, 0)
		if block < 1 {
			return fmt.Errorf("block size is %d", block)
		}
		c.emit(make(block), c.in[:1], c.out[0])
		return nil
	}
}

// fakeQuant has a range as attributes, which is moved so that 0 is one of its steps.
func fakeQuant(c *call) error {
	t := c.options
	low, high, bits := t.float(0, 0), t.float(1, 0), t.int(2, 8)
	if !(low <= 0 && high >= 0 && low < high) || bits < 2 || bits > 16 {
		return fmt.Errorf("range [%v, %v] with %d bits cannot be quantized", low, high, bits)
	}
	first := 0
	if t.bool(3) {
		first = 1
	}
	last := 1<<bits - 1
	scale := (high - low) / float32(last-first)
	zero := min(max(int(float32(first)-low/scale+0.5), first), last)
	c.emit(&op.FakeQuantize{Bits: bits, Narrow: first == 1},
		[]*graph.Value{c.in[0], c.scalar("scale", scale), c.constant("zero_point", tensor.Of([]int32{int32(zero)}))}, c.out[0])
	return nil
}

// sequenceLSTM is read without coupled gates, peepholes, projection and normalization. Its operands are the input; four
// input weights, recurrent weights, peepholes (three) and biases; two of the projection; two states; four of
// normalization.
func sequenceLSTM(c *call) error {
	const biases, states = 12, 18
	if len(c.in) < 20 {
		return fmt.Errorf("has %d inputs instead of 20 or 24", len(c.in))
	}
	for i, v := range c.in {
		wanted := i < 9 || i >= biases && i < 16 || i == states || i == states+1
		if wanted != (v != nil) {
			return errUnknown
		}
	}
	t := c.options
	if t.byte(0) != activationTanh || t.bool(5) {
		return errUnknown
	}
	o := &op.SequenceLSTM{CellClip: t.float(1, 0), TimeMajor: t.bool(3)}
	in := append(append(append([]*graph.Value{}, c.in[:9]...), c.in[biases:16]...), c.in[states:states+2]...)
	x, y := c.in[0].Type, c.out[0].Type
	n := &graph.Node{Name: c.name(), Op: o, Inputs: in, Outputs: c.out[:1]}
	switch {
	case !quantized(c.in):
	case x.Quant == nil && y.Quant == nil:
		// Weights alone are codes. TFLite's kernel also quantizes what they are multiplied with, as it comes; here they are
		// reals of 8 bits, which is nearer to the network that was trained.
		for i, v := range n.Inputs {
			if v != nil && v.Type.Quant != nil && v.Const == nil {
				return errUnknown
			}
			if v != nil {
				n.Inputs[i] = c.real(v)
			}
		}
	default:
		// Without projection the hidden state is the result; TFLite's kernel is only known for a zero point of 0.
		whole := x.Quant.IsPerTensor() && x.DType == tensor.Int8 && y.Quant.IsPerTensor() && y.DType == tensor.Int8 &&
			y.Quant.ZeroPoint[0] == 0 && in[14].Type.DType == tensor.Int16
		if !whole {
			return errUnknown
		}
		n.Compute, n.Arithmetic = graph.Integer, c.arithmetic(x)
	}
	n.Outputs = append(n.Outputs, c.variable(states, "hidden"), c.variable(states+1, "cell"))
	c.add(n)
	return nil
}
