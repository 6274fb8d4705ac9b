package op

import (
	"fmt"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/tensor"
)

// products is the operands and the rounding of a sum of products (convolution, matrix product) in a node's compute
// mode. In float modes sums are kept in float64 and rounded once; in integer modes they are exact.
type products struct {
	node    *graph.Node
	clamp   *Clamp
	integer bool
	wide    bool // sums have 64 bits, otherwise 32: codes have 16, and the bias, if there is one, 64
	// float operands, or codes less their zero points
	x, w      []float32
	xi, wi    []int32
	bias      []float32 // added to the real result; nil if there is none
	biasCodes []int64   // added to the exact sum
	scale     []float32 // s_x·s_w of each channel or one for all; s_w where each element of the batch has an s_x
	batch     []float32 // s_x of each element of the batch, where it is quantized by itself
	// of a quantized result
	requantizer           []numeric.Requantizer // of each channel or one for all
	zero, lowest, highest int32
}

// readProducts reads operands 0 (activations), 1 (weights) and 2 (bias, optional) of a node.
func readProducts(c *Evaluation, clamp *Clamp) (*products, error) {
	p := &products{node: c.Node, clamp: clamp}
	x, w := c.In(0), c.In(1)
	qx, qw, qy := c.InQuant(0), c.InQuant(1), c.OutQuant(0)
	switch c.Node.Compute {
	case graph.Float:
		if !x.DType().IsFloat() || !w.DType().IsFloat() {
			return nil, fmt.Errorf("a float node has operands %s and %s", x, w)
		}
		p.x, p.w = Float32s(x), Float32s(w)
	case graph.WeightOnly:
		p.x, p.w = Float32s(x), dequantized(w, qw)
	case graph.DynamicActivations:
		p.integer = true
		p.wi, p.scale = lessZero(w, qw), qw.Scale
		p.xi, p.batch = dynamicCodes(c.Node, x, w.Shape(), len(qw.Scale) > 1)
	case graph.Integer, graph.IntegerToFloat:
		if qx == nil || qw == nil || !qx.IsPerTensor() {
			return nil, fmt.Errorf("an integer node has operands %s and %s", c.Node.Input(0).Type, c.Node.Input(1).Type)
		}
		p.integer = true
		p.xi, p.wi = lessZero(x, qx), lessZero(w, qw)
		p.setScale(qx.Scale[0], qw)
	}
	if c.Node.Compute == graph.Integer {
		if qy == nil || !qy.IsPerTensor() {
			return nil, fmt.Errorf("an integer node has an output of type %s", c.Node.Outputs[0].Type)
		}
		layer, in, out := LayerOf(c.Node, w.Shape()), InputCodes(c.Node, 0), OutputCodes(c.Node, clamp)
		p.requantizer = convert(qw.Scale, func(s float32) numeric.Requantizer {
			return c.Node.Arithmetic.Requantizer(layer, in, s, out)
		})
		p.zero, p.lowest, p.highest = out.ZeroPoint, out.Lowest, out.Highest
		p.wide = x.DType().Bits() > 8
	}
	if b := c.In(2); b != nil {
		if b.DType().IsInteger() {
			p.biasCodes = Int64s(b)
			if p.wide && b.DType() == tensor.Int32 {
				p.wide = false
				p.requantizer = convert(p.requantizer, numeric.Requantizer.ForShortSums)
			}
		} else {
			p.bias = Float32s(b)
		}
	}
	return p, nil
}

func (p *products) setScale(inputScale float32, weights *graph.Quant) {
	p.scale = convert(weights.Scale, func(s float32) float32 { return inputScale * s })
}

// productForm is the integer form of activations times weights plus an optional bias. Its weight axis is not set.
func productForm(n *graph.Node) (IntegerForm, error) {
	form := IntegerForm{WeightAxis: -1}
	roles := []Role{Activation, Weight, Bias}
	if len(n.Inputs) < 2 || len(n.Inputs) > len(roles) || n.Inputs[0] == nil || n.Inputs[1] == nil {
		return form, fmt.Errorf("it has %d operands, wants activations, weights and at most a bias", len(n.Inputs))
	}
	form.Roles = roles[:len(n.Inputs)]
	return form, nil
}

// LayerOf is what a layer with weights of the given shape is to a row of the table of arithmetics.
func LayerOf(n *graph.Node, weights []int) numeric.Layer {
	o, ok := n.Op.(*Conv)
	switch {
	case ok && (o.Groups() > 1 || o.Filter == OneHWC) && weights[o.Filter.Input(len(weights))] == 1:
		if slices.ContainsFunc(o.Dilations, func(d int) bool { return d != 1 }) {
			return numeric.DilatedDepthwiseConvolution
		}
		return numeric.DepthwiseConvolution
	case ok:
		return numeric.Convolution
	}
	if _, ok := n.Op.(*ConvTranspose); ok {
		return numeric.TransposedConvolution
	}
	return numeric.MatrixProduct
}

// OutputCodes describes the codes of output 0 of a node, which is quantized per tensor, limited by a fused clamp.
func OutputCodes(n *graph.Node, clamp *Clamp) numeric.Codes {
	t := n.Outputs[0].Type
	lowest, highest := t.Quant.Limits(t.DType)
	y := numeric.Codes{Scale: t.Quant.Scale[0], ZeroPoint: t.Quant.ZeroPoint[0], Lowest: lowest, Highest: highest}
	if clamp != nil {
		y.Lowest, y.Highest = n.Arithmetic.Quantize(clamp.Min, y), n.Arithmetic.Quantize(clamp.Max, y)
	}
	return y
}

// InputCodes describes the codes of operand i of a node, which is quantized per tensor.
func InputCodes(n *graph.Node, i int) numeric.Codes {
	t := n.Inputs[i].Type
	lowest, highest := t.Quant.Limits(t.DType)
	return numeric.Codes{Scale: t.Quant.Scale[0], ZeroPoint: t.Quant.ZeroPoint[0], Lowest: lowest, Highest: highest}
}

// fits reports per-channel operands that do not have one entry per output channel.
func (p *products) fits(channels int) error {
	for _, given := range []struct {
		what    string
		entries int
	}{{"weight scales", len(p.scale)}, {"bias entries", len(p.bias)}, {"bias entries", len(p.biasCodes)}} {
		if given.entries > 1 && given.entries != channels {
			return fmt.Errorf("%d %s for %d output channels", given.entries, given.what, channels)
		}
	}
	return nil
}

// CodeLimits are the lowest and highest code of a quantized result, narrowed by a fused clamp.
func CodeLimits(t graph.Type, clamp *Clamp) (lowest, highest int32) {
	lowest, highest = t.Quant.Limits(t.DType)
	if clamp == nil {
		return lowest, highest
	}
	return numeric.ClampCodes(clamp.Min, clamp.Max, t.Quant.Scale[0], t.Quant.ZeroPoint[0], lowest, highest)
}

// at is entry i of per-channel values, or the only one.
func at[T any](values []T, i int) T {
	if len(values) == 1 {
		return values[0]
	}
	return values[i]
}

// real is the result of a float sum for an output channel.
func (p *products) real(sum float64, channel int) float32 {
	if p.bias != nil {
		sum += float64(at(p.bias, channel))
	}
	return p.clamp.Apply(float32(sum))
}

// realOfSum is the float result of an exact integer sum; i is its place among count, the batch outermost.
func (p *products) realOfSum(sum int64, channel, i, count int) float32 {
	if p.biasCodes != nil {
		sum += at(p.biasCodes, channel)
	}
	var bias float32
	if p.bias != nil {
		bias = at(p.bias, channel)
	}
	scale := at(p.scale, channel)
	if p.batch != nil {
		scale = float32(p.batch[i/(count/len(p.batch))] * scale)
	}
	return p.clamp.Apply(numeric.SumToFloat(int32(sum), scale, bias))
}

// code is the quantized result of an exact integer sum.
func (p *products) code(sum int64, channel int) int32 {
	if p.biasCodes != nil {
		sum += at(p.biasCodes, channel)
	}
	r := at(p.requantizer, channel)
	if !p.wide {
		sum = int64(int32(sum))
	}
	return r.Code(sum, p.zero, p.lowest, p.highest)
}

// setSums rounds sums in the order batch, position, channel and sets output 0 in the order of the layout.
func setSums[A float64 | int64](c *Evaluation, p *products, sums []A, l Layout, batch, channels int, spatial []int) {
	shape, positions := layoutSizes(l, batch, channels, spatial), product(spatial)
	if c.Node.Compute == graph.Integer {
		codes := make([]int32, len(sums))
		for i, sum := range sums {
			codes[i] = p.code(int64(sum), i%channels)
		}
		c.SetCodes(0, shape, fromChannelsLast(codes, l, batch, channels, positions))
		return
	}
	values := make([]float32, len(sums))
	for i, sum := range sums {
		if p.integer {
			values[i] = p.realOfSum(int64(sum), i%channels, i, len(sums))
		} else {
			values[i] = p.real(float64(sum), i%channels)
		}
	}
	c.SetFloats(0, shape, fromChannelsLast(values, l, batch, channels, positions))
}

// channelOf maps the index of an element to its quantization entry.
func channelOf(shape []int, q *graph.Quant) func(i int) int {
	if len(q.Scale) == 1 && q.Block == 0 {
		return func(int) int { return 0 }
	}
	inner := product(shape[q.Axis+1:])
	if q.Block == 0 {
		size := shape[q.Axis]
		return func(i int) int { return i / inner % size }
	}
	size := shape[q.Axis]
	blocks := (size + q.Block - 1) / q.Block
	return func(i int) int {
		outer, rest := i/(inner*size), i%(inner*size)
		return (outer*blocks+rest/inner/q.Block)*inner + rest%inner
	}
}

// lessZero is integer codes less their zero points.
func lessZero(t *tensor.Tensor, q *graph.Quant) []int32 {
	codes := Int32s(t)
	channel := channelOf(t.Shape(), q)
	out := make([]int32, len(codes))
	for i, v := range codes {
		out[i] = v - q.ZeroPoint[channel(i)]
	}
	return out
}

// dequantized is the real numbers of codes.
func dequantized(t *tensor.Tensor, q *graph.Quant) []float32 {
	if q == nil {
		return Float32s(t)
	}
	codes := Int32s(t)
	channel := channelOf(t.Shape(), q)
	out := make([]float32, len(codes))
	for i, v := range codes {
		e := channel(i)
		out[i] = numeric.Dequantize(v, q.ZeroPoint[e], q.Scale[e])
	}
	return out
}

// dynamicCodes quantizes the activations of a layer as the row of its node does, all together or each element of the
// batch by itself. It returns codes less their zero points, and the scales.
func dynamicCodes(n *graph.Node, x *tensor.Tensor, weights []int, perChannel bool) (codes []int32, scales []float32) {
	values := Float32s(x)
	parts := 1
	if n.Arithmetic.DynamicEach() && len(x.Shape()) > 0 {
		parts = max(x.Shape()[0], 1)
	}
	layer, size := LayerOf(n, weights), len(values)/parts
	codes, scales = make([]int32, len(values)), make([]float32, parts)
	stored := make([]byte, size)
	for i := range parts {
		scale, zero := n.Arithmetic.DynamicCodes(stored, values[i*size:(i+1)*size], layer, perChannel)
		for j, q := range stored {
			codes[i*size+j] = int32(q) - zero
		}
		scales[i] = scale
	}
	return codes, scales
}
