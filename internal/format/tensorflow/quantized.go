package tensorflow

import (
	"context"
	"fmt"
	"math"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// nudged is the scale and the zero point that FakeQuantWithMinMax… uses for a range: computed in float32 and rounded to
// a whole zero point as TensorFlow's kernels do it (fake_quant_ops_functor.h).
func nudged(low, high float32, lowest, highest int32) (scale float32, zero int32) {
	least, greatest := float32(lowest), float32(highest)
	scale = (high - low) / (greatest - least)
	from := least - low/scale
	switch {
	case from < least:
		zero = lowest
	case from > greatest:
		zero = highest
	default:
		zero = int32(math.Floor(float64(from) + 0.5)) // std::round of a number that is not negative
	}
	return scale, zero
}

func fakeQuantArgs(c *call) error {
	return c.fakeQuant([]float32{c.float("min", -6)}, []float32{c.float("max", 6)})
}

func fakeQuantVars(c *call) error {
	low, ok1 := constantFloats(c.folded(c.in[1], maxFold))
	high, ok2 := constantFloats(c.folded(c.in[2], maxFold))
	if !ok1 || !ok2 || len(low) != len(high) || len(low) == 0 {
		return errUnknown // ranges that are computed
	}
	return c.fakeQuant(low, high)
}

// constantFloats is a value's numbers if it is constant.
func constantFloats(v *graph.Value) ([]float32, bool) {
	if v == nil || v.Const == nil || !v.Const.DType().IsFloat() {
		return nil, false
	}
	return op.Float32s(v.Const), true
}

// fakeQuant rounds to codes and back. Codes are unsigned, of num_bits bits, without the lowest if narrow_range; several
// ranges are those of the last axis.
func (c *call) fakeQuant(low, high []float32) error {
	inner := *c
	inner.in = []*graph.Value{c.folded(c.in[0], maxFold)}
	c = &inner
	bits := c.int("num_bits", 8)
	if bits < 2 || bits > 16 {
		return fmt.Errorf("num_bits %d: wants 2 to 16", bits)
	}
	lowest, highest := int32(0), int32(1)<<bits-1
	narrow := c.flag("narrow_range")
	if narrow {
		lowest = 1
	}
	q := &graph.Quant{Narrow: narrow}
	for i := range low {
		if !(low[i] < high[i]) || low[i] > 0 || high[i] < 0 {
			return fmt.Errorf("range %v to %v: wants one that holds 0", low[i], high[i])
		}
		scale, zero := nudged(low[i], high[i], lowest, highest)
		q.Scale, q.ZeroPoint = append(q.Scale, scale), append(q.ZeroPoint, zero)
	}
	if trained := c.im.options.Trained; trained != nil && len(low) == 1 {
		trained(c.in[0], low[0], high[0], bits)
		if c.in[0].Const != nil {
			return c.pass(c.in[0])
		}
		return c.is(&op.Identity{}, c.in[0])
	}
	if len(low) > 1 {
		rank, err := c.rank(0)
		if err != nil {
			return err
		}
		q.Axis = rank - 1
	}
	if bits == 8 || bits == 16 {
		dtype := tensor.Uint8
		if bits == 16 {
			dtype = tensor.Uint16
		}
		return c.roundTrip(q, dtype)
	}
	shape := []int{}
	if len(low) > 1 {
		shape = []int{len(low)}
	}
	o := &op.FakeQuantize{Bits: bits, Narrow: narrow, Axis: q.Axis}
	in := []*graph.Value{c.in[0], c.constant("scale", tensor.Of(q.Scale, shape...)), c.constant("zero_point", tensor.Of(q.ZeroPoint, shape...))}
	if x := c.in[0]; x.Const == nil || x.Type.DType != tensor.Float32 {
		return c.is(o, in...)
	}
	// Weights: rounded and limited to so many bits first, they are codes of the next larger type.
	rounded := &graph.Value{Name: c.in[0].Name, Origin: c.in[0].Source(), Type: c.in[0].Type}
	results, err := op.Evaluate(context.Background(), &graph.Node{Name: c.def.name, Op: o, Inputs: in, Outputs: []*graph.Value{rounded}},
		[]*tensor.Tensor{c.in[0].Const, in[1].Const, in[2].Const})
	if err != nil {
		return err
	}
	rounded.Const = results[0]
	c.in = []*graph.Value{rounded}
	return c.roundTrip(q, o.DType())
}

// maxFold is how many operators after each other folded looks at.
const maxFold = 16

// folded is a value as a constant if that is what it is: weights to which a batch normalization was folded for training
// are products that nobody has multiplied out. Other values stay what they are.
func (c *call) folded(v *graph.Value, depth int) *graph.Value {
	if v == nil || v.Const != nil || depth == 0 {
		return v
	}
	if y := c.im.folds[v]; y != nil {
		return y
	}
	n := c.im.maker[v]
	if n == nil {
		return v
	}
	c.im.folds[v] = v
	if _, bodied := n.Op.(op.Bodied); bodied {
		return v
	}
	in := make([]*tensor.Tensor, len(n.Inputs))
	size := 0
	for i, x := range n.Inputs {
		x = c.folded(x, depth-1)
		if x == nil {
			continue
		}
		if x.Const == nil {
			return v
		}
		in[i] = x.Const
		size += len(x.Const.Bytes())
	}
	const small = 1 << 20
	shape, ok := v.Type.Shape.Known()
	if count, possible := tensor.Count(shape); !ok || !possible || v.Type.DType.Bytes(count) > max(small, 2*size) {
		return v
	}
	results, err := op.Evaluate(context.Background(), n, in)
	if err != nil {
		return v // it fails when run, with the same message
	}
	y := &graph.Value{Name: c.im.fresh(v.Name), Origin: v.Source(), Type: graph.TypeOf(results[0]), Const: results[0]}
	c.im.folds[v] = y
	return y
}

// roundTrip is the node's operand as codes and back. Constants become codes at once: they are weights.
func (c *call) roundTrip(q *graph.Quant, dtype tensor.DType) error {
	x := c.in[0]
	if x.Const != nil && x.Type.DType == tensor.Float32 {
		stored := &graph.Value{Name: c.im.fresh(x.Name + "/codes"), Origin: x.Source(), Type: graph.Type{DType: dtype, Shape: x.Type.Shape, Quant: q}}
		results, err := op.Evaluate(context.Background(), &graph.Node{Name: c.def.name, Op: &op.Quantize{}, Inputs: c.in[:1], Outputs: []*graph.Value{stored}},
			[]*tensor.Tensor{x.Const})
		if err != nil {
			return err
		}
		stored.Const = results[0]
		y := c.result(0)
		y.Type.DType = tensor.Float32
		c.emit(&op.Dequantize{}, []*graph.Value{stored}, y)
		c.im.weights[y] = stored
		return nil
	}
	codes := &graph.Value{Name: c.im.fresh(c.def.name + "/codes"), Type: graph.Type{DType: dtype, Quant: q}}
	c.emit(&op.Quantize{}, c.in[:1], codes)
	y := c.result(0)
	y.Type.DType = tensor.Float32
	c.emit(&op.Dequantize{}, []*graph.Value{codes}, y)
	c.im.rounded[y] = codes
	return nil
}

// dequantized is stored codes as reals.
func (c *call) dequantized(codes *graph.Value) *graph.Value {
	y := &graph.Value{Name: c.im.fresh(codes.Name + "/real"), Origin: codes.Source(), Type: graph.Type{DType: tensor.Float32}}
	c.emit(&op.Dequantize{}, []*graph.Value{codes}, y)
	c.im.weights[y] = codes
	return y
}

// The operators of graphs that went through quantize_weights and quantize_nodes of TensorFlow's Graph Transform Tool:
// codes with the reals of the lowest and of the highest code as two more values. Here the reals are carried along: an
// operator on codes becomes one on reals between Quantize and Dequantize where the ranges are constant. Graphs whose ranges
// are computed are read without their rounding.

// codesOf is the quantization of codes that reach from low to high.
func codesOf(low, high float32, dtype tensor.DType) *graph.Quant {
	lowest, highest := dtype.Limits()
	scale := float32((float64(high) - float64(low)) / float64(highest-lowest))
	if !(scale > 0) {
		scale = 1
	}
	zero := int32(float64(lowest) - math.RoundToEven(float64(low)/float64(scale)))
	return &graph.Quant{Scale: []float32{scale}, ZeroPoint: []int32{zero}}
}

// dequantize: the codes are constants, weights made small by quantize_weights, or come from an operator on codes.
func dequantize(c *call) error {
	x := c.in[0]
	if x.Const == nil {
		if x.Type.DType == tensor.Float32 {
			return c.pass(x) // it is carried as reals
		}
		return errUnknown
	}
	low, ok1 := constantFloats(c.in[1])
	high, ok2 := constantFloats(c.in[2])
	if !ok1 || !ok2 || len(low) != 1 || len(high) != 1 || !x.Const.DType().IsInteger() || x.Const.DType().Bits() > 16 {
		return errUnknown
	}
	from, step, err := c.spread(low[0], high[0], x.Const.DType())
	if err != nil {
		return err
	}
	c.im.note("weights that quantize_weights stored as 8-bit codes are read back as weights")
	codes := op.Int64s(x.Const)
	values := make([]float32, len(codes))
	for i, q := range codes {
		values[i] = float32(from + float32(step*float32(q)))
	}
	v := &graph.Value{Name: c.im.fresh(c.def.name), Origin: x.Source(), Const: tensor.Of(values, x.Const.Shape()...)}
	v.Type = graph.TypeOf(v.Const)
	return c.pass(v)
}

// spread is how the node's mode spreads codes over a range: the real of code 0 and the step to the next, in float32 as
// TensorFlow's kernels have them (dequantize_op.cc, quantization_utils.h). TransformGraph writes MIN_FIRST, in which 0 is
// a code's real; in MIN_COMBINED, the default, it need not be.
func (c *call) spread(low, high float32, dtype tensor.DType) (from, step float32, err error) {
	lowest, highest := dtype.Limits()
	steps := float32(highest - lowest)
	switch mode := c.text("mode", "MIN_COMBINED"); mode {
	case "MIN_COMBINED":
		step = (high - low) / steps
		return float32(low - float32(step*float32(lowest))), step, nil
	case "MIN_FIRST":
		step = float32((float64(high) - float64(low)) / float64(steps))
		from = low
		if step > 0 {
			from = float32(math.Round(float64(low/step))) * step
		}
		return float32(from - float32(step*float32(lowest))), step, nil
	case "SCALED":
		step = high / float32(highest)
		if lowest < 0 {
			step = max(low/float32(lowest), step)
		}
		return 0, step, nil
	default:
		return 0, 0, fmt.Errorf("mode %q is not known", mode)
	}
}

// carried notes what became of a graph of operators on codes.
func (c *call) carried() {
	c.im.note("the graph went through quantize_nodes: its operators on 8-bit codes (%s, …) are read as operators on reals, "+
		"and rounded only where the file has constant ranges; quantize the model again with octet quantize", c.def.op)
}

// ends passes the two ranges on, which nobody reads as reals.
func (c *call) ends(first int, low, high *graph.Value) {
	for i, v := range []*graph.Value{low, high} {
		if v != nil {
			c.im.values[fmt.Sprintf("%s:%d", c.def.name, first+i)] = v
		}
	}
}

// real is an operand of an operator on codes: constants are decoded with their range.
func (c *call) real(i, low, high int) (*graph.Value, error) {
	v := c.in[i]
	if v.Const == nil || v.Const.DType().IsFloat() {
		return v, nil
	}
	inner := &call{im: c.im, def: &nodeDef{name: c.im.fresh(c.def.name + "/decoded"), op: "Dequantize", attributes: map[string]*attribute{"mode": {text: []byte("MIN_FIRST")}}},
		in: []*graph.Value{v, c.in[low], c.in[high]}}
	if err := dequantize(inner); err != nil {
		return nil, err
	}
	return c.im.values[inner.def.name], nil
}

// rounded rounds the node's first result to codes if the range is constant.
func (c *call) rounded(v *graph.Value, low, high *graph.Value) error {
	lows, ok1 := constantFloats(low)
	highs, ok2 := constantFloats(high)
	if !ok1 || !ok2 || len(lows) != 1 || len(highs) != 1 || !(lows[0] < highs[0]) {
		return c.pass(v)
	}
	inner := *c
	inner.in = []*graph.Value{v}
	return inner.roundTrip(codesOf(min(lows[0], 0), max(highs[0], 0), tensor.Uint8), tensor.Uint8)
}

func quantizeV2(c *call) error {
	c.carried()
	c.ends(1, c.in[1], c.in[2])
	return c.rounded(c.in[0], c.in[1], c.in[2])
}

func requantize(c *call) error {
	c.carried()
	c.ends(1, c.in[3], c.in[4])
	return c.rounded(c.in[0], c.in[3], c.in[4])
}

func requantizationRange(c *call) error {
	// The range that values have: what reads it only passes it on.
	low := c.apply("min", op.NewReduce("ReduceMin"), c.in[0])
	high := c.apply("max", op.NewReduce("ReduceMax"), c.in[0])
	c.ends(1, high, nil)
	return c.pass(low)
}

// passesOn makes the node the operator of build on reals, whose ranges are those of operand i.
func (c *call) passesOn(low, high *graph.Value, build func() error) error {
	c.carried()
	c.ends(1, low, high)
	return build()
}

func quantizedConv(c *call) error {
	filter, err := c.real(1, 4, 5)
	if err != nil {
		return err
	}
	x, err := c.real(0, 2, 3)
	if err != nil {
		return err
	}
	inner := *c
	inner.in = []*graph.Value{x, filter}
	return c.passesOn(c.in[2], c.in[3], func() error { return convolution(&inner) })
}

func quantizedDepthwise(c *call) error {
	filter, err := c.real(1, 4, 5)
	if err != nil {
		return err
	}
	inner := *c
	inner.in = []*graph.Value{c.in[0], filter}
	return c.passesOn(c.in[2], c.in[3], func() error { return depthwise(&inner) })
}

// quantizedBinary has the operands x, y and the ranges of both.
func quantizedBinary(name string) func(c *call) error {
	return func(c *call) error {
		x, err := c.real(0, 2, 3)
		if err != nil {
			return err
		}
		y, err := c.real(1, 4, 5)
		if err != nil {
			return err
		}
		return c.passesOn(c.in[2], c.in[3], func() error { return c.is(op.Lookup(name), x, y) })
	}
}

func quantizedResize(c *call) error {
	return c.passesOn(c.in[2], c.in[3], func() error { return resize(op.ResizeLinear)(c) })
}

// quantizedBatchNorm has x, mean, variance, beta and gamma, each followed by its range.
func quantizedBatchNorm(c *call) error {
	inner := *c
	inner.in = nil
	for i := range 5 {
		v, err := c.real(3*i, 3*i+1, 3*i+2)
		if err != nil {
			return err
		}
		inner.in = append(inner.in, v)
	}
	return c.passesOn(c.in[1], c.in[2], func() error { return globalBatchNorm(&inner) })
}

// shrinkRange only changes the range of codes, to that of their values.
func shrinkRange(c *call) error {
	return c.passesOn(c.in[1], c.in[2], func() error { return c.pass(c.in[0]) })
}

func quantizedMatMul(c *call) error {
	a, err := c.real(0, 2, 3)
	if err != nil {
		return err
	}
	b, err := c.real(1, 4, 5)
	if err != nil {
		return err
	}
	inner := *c
	inner.in = []*graph.Value{a, b}
	return c.passesOn(c.in[2], c.in[3], func() error { return matMul(&inner) })
}

func quantizedBiasAdd(c *call) error {
	bias, err := c.real(1, 4, 5)
	if err != nil {
		return err
	}
	return c.passesOn(c.in[2], c.in[3], func() error { return c.is(op.Lookup("Add"), c.in[0], bias) })
}

func quantizedUnary(name string) func(c *call) error {
	return func(c *call) error {
		return c.passesOn(c.in[1], c.in[2], func() error {
			if name == "Relu6" {
				return relu6(c)
			}
			return c.is(op.Lookup(name), c.in[0])
		})
	}
}

func quantizedPool(c *call) error {
	inner := *c
	def := *c.def
	def.op = map[string]string{"QuantizedMaxPool": "MaxPool", "QuantizedAvgPool": "AvgPool"}[c.def.op]
	inner.def = &def
	return c.passesOn(c.in[1], c.in[2], func() error { return pool(&inner) })
}

func quantizedReshape(c *call) error {
	return c.passesOn(c.in[2], c.in[3], func() error { return reshape(c) })
}

// quantizedConcat has the operands axis, values, least values, greatest values.
func quantizedConcat(c *call) error {
	n := (len(c.in) - 1) / 3
	if n < 1 || len(c.in) != 3*n+1 {
		return fmt.Errorf("%d inputs do not make an axis and values with two ranges each", len(c.in))
	}
	axes, err := c.fixed(0)
	if err != nil || len(axes) != 1 {
		return errUnknown
	}
	return c.passesOn(c.in[1+n], c.in[1+2*n], func() error { return c.join(c.in[1:1+n], axes[0]) })
}
