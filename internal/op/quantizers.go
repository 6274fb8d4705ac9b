package op

import (
	"fmt"
	"math"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/tensor"
)

// Quantize turns real numbers into codes; the type of its output says which.
type Quantize struct{}

// Dequantize turns codes into the real numbers they stand for; the type of its input says how.
type Dequantize struct{}

// Requantize expresses codes in another type, scale or zero point: that of its output.
type Requantize struct{}

// Type is "Quantize".
func (*Quantize) Type() string { return "Quantize" }

// Type is "Dequantize".
func (*Dequantize) Type() string { return "Dequantize" }

// Type is "Requantize".
func (*Requantize) Type() string { return "Requantize" }

// Infer keeps the shape; element type and quantization are the output's own.
func (*Quantize) Infer(c *Inference) error {
	c.SetOut(0, tensor.Invalid, c.In(0).Shape)
	return nil
}

// Infer keeps the shape.
func (*Dequantize) Infer(c *Inference) error {
	dtype := tensor.Float32
	if v := c.Node.Outputs[0]; v != nil && v.Type.DType != tensor.Invalid {
		dtype = v.Type.DType // any floating-point type may be declared
	}
	c.SetOut(0, dtype, c.In(0).Shape)
	return nil
}

// Infer keeps the shape; element type and quantization are the output's own.
func (*Requantize) Infer(c *Inference) error {
	c.SetOut(0, tensor.Invalid, c.In(0).Shape)
	return nil
}

// Evaluate rounds every element as the node's arithmetic does; by numeric.Quantize if it names none.
func (*Quantize) Evaluate(c *Evaluation) error {
	q := c.OutQuant(0)
	if q == nil {
		return fmt.Errorf("its output is not quantized")
	}
	if err := wantFloats(c, 0); err != nil {
		return err
	}
	x := c.In(0)
	dtype := c.Node.Outputs[0].Type.DType
	lowest, highest := q.Limits(dtype)
	channel := channelOf(x.Shape(), q)
	values := Float32s(x)
	codes := make([]int32, len(values))
	for i, v := range values {
		e := channel(i)
		codes[i] = c.Node.Arithmetic.Quantize(v, numeric.Codes{Scale: q.Scale[e], ZeroPoint: q.ZeroPoint[e], Lowest: lowest, Highest: highest})
	}
	c.SetCodes(0, x.Shape(), codes)
	return nil
}

// Evaluate multiplies out.
func (*Dequantize) Evaluate(c *Evaluation) error {
	q := c.InQuant(0)
	if q == nil {
		return fmt.Errorf("its input is not quantized")
	}
	dtype := c.Node.Outputs[0].Type.DType
	if dtype == tensor.Invalid {
		dtype = tensor.Float32
	}
	c.Set(0, FromFloat32s(dtype, c.In(0).Shape(), dequantized(c.In(0), q)))
	return nil
}

// Evaluate changes every code as the node's arithmetic does.
func (*Requantize) Evaluate(c *Evaluation) error {
	qx, qy := c.InQuant(0), c.OutQuant(0)
	if qx == nil || qy == nil {
		return fmt.Errorf("its input or output is not quantized")
	}
	x := c.In(0)
	lowest, highest := qy.Limits(c.Node.Outputs[0].Type.DType)
	from, to := channelOf(x.Shape(), qx), channelOf(x.Shape(), qy)
	codes := c.Codes(0)
	out := make([]int32, len(codes))
	for i, q := range codes {
		a, b := from(i), to(i)
		out[i] = c.Node.Arithmetic.Change(q, numeric.Codes{Scale: qx.Scale[a], ZeroPoint: qx.ZeroPoint[a]},
			numeric.Codes{Scale: qy.Scale[b], ZeroPoint: qy.ZeroPoint[b], Lowest: lowest, Highest: highest})
	}
	c.SetCodes(0, x.Shape(), out)
	return nil
}

// Integer makes Requantize a node on codes like any other.
func (*Requantize) Integer(*graph.Node) (IntegerForm, error) {
	return IntegerForm{Roles: []Role{Activation}, WeightAxis: -1}, nil
}

// FakeQuantize rounds real numbers to those that codes can stand for: the simulated form of quantization. Operands: x,
// scale, zero point (integers, as floats or any integer type), the latter two one entry or one per channel along Axis,
// or per block of Block elements.
type FakeQuantize struct {
	Bits   int // 0 means 8
	Signed bool
	Narrow bool // the lowest code is unused
	Axis   int
	Block  int
}

// Type is "FakeQuantize".
func (*FakeQuantize) Type() string { return "FakeQuantize" }

// Infer keeps the type.
func (*FakeQuantize) Infer(c *Inference) error { return inferUnary(c) }

// Limits are the lowest and highest code.
func (o *FakeQuantize) Limits() (lowest, highest int32) {
	bits := o.Bits
	if bits == 0 {
		bits = 8
	}
	lowest, highest = 0, int32(1)<<bits-1
	if o.Signed {
		lowest, highest = -int32(1)<<(bits-1), int32(1)<<(bits-1)-1
	}
	if o.Narrow {
		lowest++
	}
	return lowest, highest
}

// DType is the element type of the codes: the smallest that holds Bits.
func (o *FakeQuantize) DType() tensor.DType {
	types := []tensor.DType{tensor.Uint4, tensor.Uint8, tensor.Uint16}
	if o.Signed {
		types = []tensor.DType{tensor.Int4, tensor.Int8, tensor.Int16}
	}
	for _, d := range types {
		if o.Bits <= d.Bits() && (o.Bits != 0 || d.Bits() == 8) {
			return d
		}
	}
	return types[2]
}

// Quant is the quantization that the node simulates, if scale and zero point are constants.
func (o *FakeQuantize) Quant(n *graph.Node) (*graph.Quant, bool) {
	scale, zero := n.Input(1), n.Input(2)
	if scale == nil || scale.Const == nil || !scale.Const.DType().IsFloat() || zero != nil && zero.Const == nil {
		return nil, false
	}
	q := &graph.Quant{Scale: slices.Clone(Float32s(scale.Const)), Axis: o.Axis, Block: o.Block, Narrow: o.Narrow}
	if rank, ok := n.Inputs[0].Type.Rank(); ok && q.Axis < 0 {
		q.Axis += rank
	}
	q.ZeroPoint = make([]int32, len(q.Scale))
	if zero != nil {
		points := Float64s(zero.Const)
		if len(points) != 1 && len(points) != len(q.Scale) {
			return nil, false
		}
		for i := range q.ZeroPoint {
			q.ZeroPoint[i] = int32(math.RoundToEven(at(points, i)))
		}
	}
	return q, true
}

// Evaluate quantizes and dequantizes.
func (o *FakeQuantize) Evaluate(c *Evaluation) error {
	if err := wantFloats(c, 0, 1); err != nil {
		return err
	}
	if o.Bits < 0 || o.Bits > 16 {
		return fmt.Errorf("codes of %d bits, wants at most 16", o.Bits)
	}
	x := c.In(0)
	q := &graph.Quant{Scale: c.Floats(1)}
	q.ZeroPoint = make([]int32, len(q.Scale))
	if c.Has(2) {
		points := Float64s(c.In(2))
		if len(points) != 1 && len(points) != len(q.Scale) {
			return fmt.Errorf("zero point %s does not fit scale %s", c.In(2), c.In(1))
		}
		for i := range q.ZeroPoint {
			q.ZeroPoint[i] = int32(math.RoundToEven(at(points, i)))
		}
	}
	if err := alongChannels(q, x, o.Axis, o.Block); err != nil {
		return err
	}
	lowest, highest := o.Limits()
	channel := channelOf(x.Shape(), q)
	values := Float32s(x)
	out := make([]float32, len(values))
	for i, v := range values {
		e := channel(i)
		out[i] = numeric.Dequantize(numeric.Quantize(v, q.Scale[e], q.ZeroPoint[e], lowest, highest), q.ZeroPoint[e], q.Scale[e])
	}
	c.SetFloats(0, x.Shape(), out)
	return nil
}

// QuantizeLinear is the ONNX operator with parameters that are operands: x, scale, zero point (optional; its type is
// the output's, u8 if it is absent and Output is not set).
type QuantizeLinear struct {
	Axis      int
	BlockSize int
	Output    OutputType
	Overflow  bool // see CastRounding
}

// OutputType is an element type as an attribute; the zero value means that none is given.
type OutputType struct{ tensor.DType }

// MarshalText is the type's short name.
func (t OutputType) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (t *OutputType) UnmarshalText(text []byte) error {
	d, ok := tensor.ParseDType(string(text))
	if !ok {
		return fmt.Errorf("unknown element type %q", text)
	}
	t.DType = d
	return nil
}

// Type is "QuantizeLinear".
func (*QuantizeLinear) Type() string { return "QuantizeLinear" }

func (o *QuantizeLinear) dtype(zero tensor.DType) tensor.DType {
	switch {
	case o.Output.DType != tensor.Invalid:
		return o.Output.DType
	case zero != tensor.Invalid:
		return zero
	}
	return tensor.Uint8
}

// Infer keeps the shape.
func (o *QuantizeLinear) Infer(c *Inference) error {
	c.SetOut(0, o.dtype(c.In(2).DType), c.In(0).Shape)
	return nil
}

// linearQuant builds the quantization that the operands of QuantizeLinear and DequantizeLinear describe.
func linearQuant(x, scale, zero *tensor.Tensor, axis, block int) (*graph.Quant, error) {
	if !scale.DType().IsFloat() {
		return nil, fmt.Errorf("scale is %s, wants floats", scale)
	}
	q := &graph.Quant{Scale: Float32s(scale)}
	q.ZeroPoint = make([]int32, len(q.Scale))
	if zero != nil {
		small := smallFloat(zero.DType()) != nil
		if zero.Len() != len(q.Scale) || !zero.DType().IsInteger() && !small {
			return nil, fmt.Errorf("zero point %s does not fit scale %s", zero, scale)
		}
		if small && slices.ContainsFunc(Float32s(zero), func(z float32) bool { return z != 0 }) {
			return nil, fmt.Errorf("zero point %s is not 0, as that of floats must be", zero)
		}
		if !small {
			q.ZeroPoint = Int32s(zero)
		}
	}
	return q, alongChannels(q, x, axis, block)
}

// alongChannels completes a quantization of x with its axis and blocks; an error if it has not as many scales as they
// take.
func alongChannels(q *graph.Quant, x *tensor.Tensor, axis, block int) error {
	if block < 0 {
		return fmt.Errorf("blocks of %d elements", block)
	}
	q.Block = block
	if len(q.Scale) == 1 && block == 0 {
		return nil
	}
	var err error
	if q.Axis, err = normalAxis(axis, len(x.Shape())); err != nil {
		return err
	}
	size := x.Shape()[q.Axis]
	want := size
	if block > 0 {
		want = product(x.Shape()[:q.Axis]) * ((size + block - 1) / block) * product(x.Shape()[q.Axis+1:])
	}
	if len(q.Scale) != want {
		return fmt.Errorf("%d scales do not fit input %s along axis %d", len(q.Scale), x, q.Axis)
	}
	return nil
}

// Evaluate rounds every element.
func (o *QuantizeLinear) Evaluate(c *Evaluation) error {
	x, zero := c.In(0), c.In(2)
	q, err := linearQuant(x, c.In(1), zero, o.Axis, o.BlockSize)
	if err != nil {
		return err
	}
	dtype := o.dtype(tensor.Invalid)
	if zero != nil {
		dtype = o.dtype(zero.DType())
	}
	channel := channelOf(x.Shape(), q)
	if smallFloat(dtype) != nil && x.DType().IsFloat() {
		values := slices.Clone(Float32s(x))
		for i := range values {
			values[i] /= q.Scale[channel(i)]
		}
		c.Set(0, fromSmallFloats(dtype, x.Shape(), values, CastRounding{Overflow: o.Overflow}))
		return nil
	}
	if !dtype.IsInteger() || dtype.Bits() > 16 {
		return fmt.Errorf("codes of type %s", dtype)
	}
	lowest, highest := dtype.Limits()
	var values []float32
	if x.DType().IsFloat() {
		values = Float32s(x)
	} else {
		values = convert(Int64s(x), func(v int64) float32 { return float32(v) })
	}
	codes := make([]int64, len(values))
	for i, v := range values {
		e := channel(i)
		codes[i] = int64(numeric.Quantize(v, q.Scale[e], q.ZeroPoint[e], int32(lowest), int32(highest)))
	}
	c.Set(0, FromInt64s(dtype, x.Shape(), codes))
	return nil
}

// DequantizeLinear is the ONNX operator with parameters that are operands: x, scale, zero point (optional). The output
// has the type of the scale, or Output.
type DequantizeLinear struct {
	Axis      int
	BlockSize int
	Output    OutputType
}

// Type is "DequantizeLinear".
func (*DequantizeLinear) Type() string { return "DequantizeLinear" }

// Infer keeps the shape.
func (o *DequantizeLinear) Infer(c *Inference) error {
	dtype := o.Output.DType
	if dtype == tensor.Invalid {
		dtype = c.In(1).DType
	}
	c.SetOut(0, dtype, c.In(0).Shape)
	return nil
}

// Evaluate multiplies out.
func (o *DequantizeLinear) Evaluate(c *Evaluation) error {
	x := c.In(0)
	small := smallFloat(x.DType()) != nil
	if !x.DType().IsInteger() && !small {
		return fmt.Errorf("input %s, wants integers or floats of at most 8 bits", x)
	}
	q, err := linearQuant(x, c.In(1), c.In(2), o.Axis, o.BlockSize)
	if err != nil {
		return err
	}
	dtype := o.Output.DType
	if dtype == tensor.Invalid {
		dtype = c.In(1).DType()
	}
	if small {
		values, channel := Float32s(x), channelOf(x.Shape(), q)
		for i := range values {
			values[i] *= q.Scale[channel(i)]
		}
		c.Set(0, FromFloat32s(dtype, x.Shape(), values))
		return nil
	}
	c.Set(0, FromFloat32s(dtype, x.Shape(), dequantized(x, q)))
	return nil
}

// DynamicQuantizeLinear quantizes to u8 over the range that the values have (ONNX). Outputs: codes, scale, zero point.
type DynamicQuantizeLinear struct{}

// Type is "DynamicQuantizeLinear".
func (*DynamicQuantizeLinear) Type() string { return "DynamicQuantizeLinear" }

// Infer keeps the shape; the parameters are scalars.
func (*DynamicQuantizeLinear) Infer(c *Inference) error {
	c.SetOut(0, tensor.Uint8, c.In(0).Shape)
	c.SetOut(1, tensor.Float32, graph.Shape{})
	c.SetOut(2, tensor.Uint8, graph.Shape{})
	return nil
}

// Evaluate measures and rounds.
func (*DynamicQuantizeLinear) Evaluate(c *Evaluation) error {
	if err := wantFloats(c, 0); err != nil {
		return err
	}
	values := c.Floats(0)
	var least, greatest float32
	for _, v := range values {
		least, greatest = min(least, v), max(greatest, v)
	}
	scale, zero := numeric.DynamicRange(least, greatest)
	codes := make([]uint8, len(values))
	for i, v := range values {
		codes[i] = uint8(numeric.Quantize(v, scale, zero, 0, 255))
	}
	c.Set(0, tensor.Of(codes, c.In(0).Shape()...))
	c.Set(1, tensor.Of([]float32{scale}))
	c.Set(2, tensor.Of([]uint8{uint8(zero)}))
	return nil
}

// Cast converts element types: floats to integers by truncation (out-of-range values saturate, those of 4-bit types
// wrap; NaN gives 0), numbers to Bool by comparison with 0.
type Cast struct {
	To OutputType
	CastRounding
}

// CastRounding is how numbers become floats of at most 8 bits.
type CastRounding struct {
	// Overflow turns numbers that are too large into infinity or NaN; without it they become the largest number.
	Overflow bool
	// RoundMode is for powers of two: "" or "up", "down" or "nearest".
	RoundMode string
}

// Type is "Cast".
func (*Cast) Type() string { return "Cast" }

// Infer changes the element type and follows integer values.
func (o *Cast) Infer(c *Inference) error {
	c.SetOut(0, o.To.DType, c.In(0).Shape)
	return followCast(c, o.To.DType)
}

// followCast passes integer values that are known on to the result.
func followCast(c *Inference, to tensor.DType) error {
	data, ok := c.Data(0)
	switch {
	case !ok:
	case to == tensor.Int64 || to == tensor.Int32:
		c.SetData(0, data)
	case to == tensor.Bool:
		c.SetData(0, convert(data, func(n Int) Int {
			if n.Known && n.Value != 0 {
				n.Value = 1
			}
			return n
		}))
	}
	return nil
}

// Evaluate converts.
func (o *Cast) Evaluate(c *Evaluation) error { return evaluateCast(c, o.To.DType, o.CastRounding) }

// CastLike is Cast to the element type of operand 1.
type CastLike struct{ CastRounding }

// Type is "CastLike".
func (*CastLike) Type() string { return "CastLike" }

// Infer changes the element type and follows integer values.
func (*CastLike) Infer(c *Inference) error {
	to := c.In(1).DType
	c.SetOut(0, to, c.In(0).Shape)
	return followCast(c, to)
}

// Evaluate converts.
func (o *CastLike) Evaluate(c *Evaluation) error {
	return evaluateCast(c, c.In(1).DType(), o.CastRounding)
}

func evaluateCast(c *Evaluation, to tensor.DType, rounding CastRounding) error {
	x := c.In(0)
	switch {
	case to == tensor.Invalid:
		return fmt.Errorf("the element type to convert to is not known")
	case to == x.DType():
		c.Set(0, x)
	case smallFloat(to) != nil:
		values := convert(Float64s(x), func(v float64) float32 { return float32(v) })
		c.Set(0, fromSmallFloats(to, x.Shape(), values, rounding))
	case to.IsFloat():
		c.Set(0, FromFloat64s(to, x.Shape(), Float64s(x)))
	case to == tensor.Bool:
		c.Set(0, tensor.Of(convert(Float64s(x), func(v float64) bool { return v != 0 }), x.Shape()...))
	case x.DType().IsFloat():
		c.Set(0, FromInt64s(to, x.Shape(), convert(Float64s(x), func(v float64) int64 { return Truncated(v, to) })))
	default:
		c.Set(0, FromInt64s(to, x.Shape(), Int64s(x)))
	}
	return nil
}

// Truncated is a float as an integer of type to, saturated; 4-bit integers keep the low bits of the saturated 64-bit
// integer instead, as the ONNX node tests have it.
func Truncated(v float64, to tensor.DType) int64 {
	if v != v {
		return 0
	}
	v = math.Trunc(v)
	if to.Bits() == 64 || to.Bits() < 8 {
		switch {
		case v >= math.MaxInt64 && (to.IsSigned() || to.Bits() < 8):
			return math.MaxInt64
		case v >= math.MaxInt64:
			return int64(uint64(min(v, math.Nextafter(1<<64, 0))))
		case v <= math.MinInt64:
			return math.MinInt64
		}
		return int64(v)
	}
	lowest, highest := to.Limits()
	return int64(min(max(v, float64(lowest)), float64(highest)))
}
