package op

import (
	"fmt"
	"math"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/tensor"
)

// MaxPool is the largest element under a sliding window (ONNX MaxPool). The second output, if wanted, is the row-major
// offset of each of them in the whole input (spatial dimensions column-major if StorageOrder is 1).
type MaxPool struct {
	KernelShape  []int
	Strides      []int // empty means 1
	Pads         []int // begin of each spatial axis, then end of each; empty means 0
	Dilations    []int // empty means 1
	AutoPad      AutoPad
	CeilMode     bool
	StorageOrder int
	Layout       Layout
}

// Type is "MaxPool".
func (*MaxPool) Type() string { return "MaxPool" }

func (o *MaxPool) window() window {
	return window{kernel: o.KernelShape, strides: o.Strides, dilations: o.Dilations, pads: o.Pads, auto: o.AutoPad, ceil: o.CeilMode}
}

// Infer computes the spatial sizes.
func (o *MaxPool) Infer(c *Inference) error {
	if err := inferPool(c, o.window(), o.Layout); err != nil {
		return err
	}
	if len(c.out) > 1 {
		c.SetOut(1, tensor.Int64, c.out[0].Shape)
	}
	return nil
}

// Integer compares codes.
func (o *MaxPool) Integer(n *graph.Node) (IntegerForm, error) {
	form := IntegerForm{Roles: []Role{Activation}, Range: RangeRule{Kind: SameAsInput}, WeightAxis: -1}
	if len(n.Outputs) > 1 && n.Outputs[1] != nil {
		return form, fmt.Errorf("it also returns indices")
	}
	return form, nil
}

// Evaluate finds the largest element, the first one among equals. Windows that see only padding give the lowest value.
func (o *MaxPool) Evaluate(c *Evaluation) error {
	if err := c.require(1); err != nil {
		return err
	}
	w, err := o.window().normalize()
	if err != nil {
		return err
	}
	x := c.In(0)
	batch, channels, spatial, err := spatialSizes(x, o.Layout)
	if err != nil {
		return err
	}
	if len(spatial) != len(w.kernel) {
		return fmt.Errorf("kernel %v does not fit the input %s", w.kernel, x)
	}
	s, err := w.over(spatial)
	if err != nil {
		return err
	}
	values := channelsLast(Float64s(x), o.Layout, batch, channels, s.inCount)
	best := make([]float64, batch*s.outCount*channels)
	where := make([]int64, len(best))
	at := make([]int, len(spatial))
	s.taps(func(out int, _, in []int) {
		for n := range batch {
			for ch := range channels {
				most, found := lowestOf(x.DType()), -1
				for _, p := range in {
					if v := values[(n*s.inCount+p)*channels+ch]; found < 0 || v > most {
						most, found = v, p
					}
				}
				i := (n*s.outCount+out)*channels + ch
				best[i] = most
				if o.StorageOrder == 1 && found >= 0 {
					unravel(at, found, spatial)
					found = 0
					for axis := len(at) - 1; axis >= 0; axis-- {
						found = found*spatial[axis] + at[axis]
					}
				}
				where[i] = int64((n*channels+ch)*s.inCount + found)
			}
		}
	})
	shape := layoutSizes(o.Layout, batch, channels, s.out)
	setCompared(c, shape, fromChannelsLast(best, o.Layout, batch, channels, s.outCount))
	c.Set(1, tensor.Of(fromChannelsLast(where, o.Layout, batch, channels, s.outCount), shape...))
	return nil
}

// setCompared sets output 0 to elements of operand 0 that were chosen by comparing: as they are or, between codes of
// different quantization, requantized, or dequantized for a float result.
func setCompared(c *Evaluation, shape []int, values []float64) {
	qx, qy := c.InQuant(0), c.OutQuant(0)
	switch {
	case c.Node.Compute == graph.IntegerToFloat && qx.IsPerTensor():
		c.SetFloats(0, shape, convert(values, func(v float64) float32 {
			return numeric.Dequantize(int32(v), qx.ZeroPoint[0], qx.Scale[0])
		}))
	case c.Node.Compute == graph.Integer && qx.IsPerTensor() && qy.IsPerTensor() && !qx.Equal(qy):
		in, out := InputCodes(c.Node, 0), OutputCodes(c.Node, nil)
		c.SetCodes(0, shape, convert(values, func(v float64) int32 { return c.Node.Arithmetic.Change(int32(v), in, out) }))
	default:
		c.Set(0, fromFloat64sOrInts(c.In(0).DType(), shape, values))
	}
}

// lowestOf is the value that every element of the type exceeds or equals.
func lowestOf(d tensor.DType) float64 {
	if d.IsFloat() {
		return math.Inf(-1)
	}
	lowest, _ := d.Limits()
	return float64(lowest)
}

// fromFloat64sOrInts makes a tensor of any numeric type from values that it holds exactly.
func fromFloat64sOrInts(d tensor.DType, shape []int, values []float64) *tensor.Tensor {
	if d.IsFloat() {
		return FromFloat64s(d, shape, values)
	}
	return FromInt64s(d, shape, convert(values, func(v float64) int64 { return int64(v) }))
}

// AveragePool is the mean under a sliding window (ONNX AveragePool). Padding counts as zeros if CountIncludePad.
type AveragePool struct {
	KernelShape     []int
	Strides         []int
	Pads            []int
	Dilations       []int
	AutoPad         AutoPad
	CeilMode        bool
	CountIncludePad bool
	Layout          Layout
}

// Type is "AveragePool".
func (*AveragePool) Type() string { return "AveragePool" }

func (o *AveragePool) window() window {
	return window{kernel: o.KernelShape, strides: o.Strides, dilations: o.Dilations, pads: o.Pads, auto: o.AutoPad, ceil: o.CeilMode}
}

// Infer computes the spatial sizes.
func (o *AveragePool) Infer(c *Inference) error { return inferPool(c, o.window(), o.Layout) }

// Integer averages codes.
func (o *AveragePool) Integer(*graph.Node) (IntegerForm, error) {
	return IntegerForm{Roles: []Role{Activation}, WeightAxis: -1}, nil
}

// Evaluate averages. The divisor is the number of elements under the window: with CountIncludePad those of the padding
// too, but not what lies beyond it because sizes were rounded up.
func (o *AveragePool) Evaluate(c *Evaluation) error {
	if err := c.require(1); err != nil {
		return err
	}
	s, err := o.window().overInput(c.In(0), o.Layout)
	if err != nil {
		return err
	}
	divisor := func(out, seen int) int {
		if !o.CountIncludePad {
			return seen
		}
		at := make([]int, len(s.out))
		unravel(at, out, s.out)
		n := 1
		for axis, p := range at {
			first := p*s.strides[axis] - s.padBegin[axis]
			limit := s.in[axis] + s.pads[len(s.in)+axis]
			inside := 0
			for k := range s.kernel[axis] {
				if first+k*s.dilations[axis] < limit || o.AutoPad != ExplicitPads {
					inside++
				}
			}
			n *= inside
		}
		return n
	}
	return averageWindows(c, o.Layout, s, divisor)
}

// averageWindows averages the elements under each window, divided by what divisor says.
func averageWindows(c *Evaluation, l Layout, s slide, divisor func(out, seen int) int) error {
	x := c.In(0)
	batch, channels, _, err := spatialSizes(x, l)
	if err != nil {
		return err
	}
	shape := layoutSizes(l, batch, channels, s.out)
	if c.Node.Compute != graph.Integer {
		values := channelsLast(Reals(x, c.InQuant(0)), l, batch, channels, s.inCount)
		out := make([]float32, batch*s.outCount*channels)
		s.taps(func(at int, _, in []int) {
			n := float64(max(divisor(at, len(in)), 1)) // a window that sees only padding gives 0
			for i := range batch {
				for ch := range channels {
					var sum float64
					for _, p := range in {
						sum += float64(values[(i*s.inCount+p)*channels+ch])
					}
					out[(i*s.outCount+at)*channels+ch] = float32(sum / n)
				}
			}
		})
		c.SetFloats(0, shape, fromChannelsLast(out, l, batch, channels, s.outCount))
		return nil
	}
	codes := channelsLast(lessZero(x, c.InQuant(0)), l, batch, channels, s.inCount)
	average := c.Node.Arithmetic.Average(InputCodes(c.Node, 0), OutputCodes(c.Node, nil))
	out := make([]int32, batch*s.outCount*channels)
	s.taps(func(at int, _, in []int) {
		n := max(divisor(at, len(in)), 1)
		for i := range batch {
			for ch := range channels {
				var sum int64
				for _, p := range in {
					sum += int64(codes[(i*s.inCount+p)*channels+ch])
				}
				out[(i*s.outCount+at)*channels+ch] = average.Code(sum, n)
			}
		}
	})
	c.SetCodes(0, shape, fromChannelsLast(out, l, batch, channels, s.outCount))
	return nil
}

// inferPool infers the first output of a pool.
func inferPool(c *Inference, w window, l Layout) error {
	w, err := w.normalize()
	if err != nil {
		return err
	}
	dtype := c.In(0).DType
	if c.In(0).Quant != nil {
		dtype = tensor.Invalid
	}
	batch, channels, spatial, err := spatialTypes(c.In(0), l)
	if err != nil || spatial == nil {
		return err
	}
	if len(spatial) != len(w.kernel) {
		return fmt.Errorf("kernel %v has %d axes, the input %s has %d spatial ones", w.kernel, len(w.kernel), c.In(0), len(spatial))
	}
	out := make(graph.Shape, len(spatial))
	for axis, d := range spatial {
		if out[axis], err = w.infer(axis, d); err != nil {
			return err
		}
	}
	c.SetOut(0, dtype, spatialShape(l, batch, channels, out))
	return nil
}

// GlobalAveragePool is the mean over all spatial positions, which become 1.
type GlobalAveragePool struct{ Layout Layout }

// Type is "GlobalAveragePool".
func (*GlobalAveragePool) Type() string { return "GlobalAveragePool" }

// Infer keeps batch and channels.
func (o *GlobalAveragePool) Infer(c *Inference) error { return inferGlobalPool(c, o.Layout) }

// Integer averages codes.
func (o *GlobalAveragePool) Integer(*graph.Node) (IntegerForm, error) {
	return IntegerForm{Roles: []Role{Activation}, WeightAxis: -1}, nil
}

// Evaluate averages all positions.
func (o *GlobalAveragePool) Evaluate(c *Evaluation) error {
	if err := c.require(1); err != nil {
		return err
	}
	s, err := everything(c.In(0), o.Layout)
	if err != nil {
		return err
	}
	return averageWindows(c, o.Layout, s, func(_, seen int) int { return seen })
}

// GlobalMaxPool is the largest element over all spatial positions, which become 1.
type GlobalMaxPool struct{ Layout Layout }

// Type is "GlobalMaxPool".
func (*GlobalMaxPool) Type() string { return "GlobalMaxPool" }

// Infer keeps batch and channels.
func (o *GlobalMaxPool) Infer(c *Inference) error { return inferGlobalPool(c, o.Layout) }

// Integer compares codes.
func (o *GlobalMaxPool) Integer(*graph.Node) (IntegerForm, error) {
	return IntegerForm{Roles: []Role{Activation}, Range: RangeRule{Kind: SameAsInput}, WeightAxis: -1}, nil
}

// Evaluate is MaxPool with a window of the input's size.
func (o *GlobalMaxPool) Evaluate(c *Evaluation) error {
	if err := c.require(1); err != nil {
		return err
	}
	_, _, spatial, err := spatialSizes(c.In(0), o.Layout)
	if err != nil {
		return err
	}
	return (&MaxPool{KernelShape: spatial, Layout: o.Layout}).Evaluate(c)
}

// everything is a window over all spatial positions.
func everything(x *tensor.Tensor, l Layout) (slide, error) {
	_, _, spatial, err := spatialSizes(x, l)
	if err != nil {
		return slide{}, err
	}
	w, err := window{kernel: spatial}.normalize()
	if err != nil {
		return slide{}, err
	}
	return w.over(spatial)
}

func inferGlobalPool(c *Inference, l Layout) error {
	dtype := c.In(0).DType
	if c.In(0).Quant != nil {
		dtype = tensor.Invalid
	}
	batch, channels, spatial, err := spatialTypes(c.In(0), l)
	if err != nil || spatial == nil {
		return err
	}
	ones := make(graph.Shape, len(spatial))
	for i := range ones {
		ones[i] = graph.Fixed(1)
	}
	c.SetOut(0, dtype, spatialShape(l, batch, channels, ones))
	return nil
}
