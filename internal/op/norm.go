package op

import (
	"fmt"
	"math"

	"github.com/octet-nn/octet/tensor"
)

// BatchNormalization scales and shifts each channel by trained statistics (ONNX BatchNormalization, inference form):
// y = (x − mean)/√(variance + Epsilon)·scale + bias. Operands: x, scale, bias, mean, variance.
type BatchNormalization struct {
	Epsilon float32
	Layout  Layout
}

// Type is "BatchNormalization".
func (*BatchNormalization) Type() string { return "BatchNormalization" }

// Infer keeps the type of x.
func (o *BatchNormalization) Infer(c *Inference) error {
	c.SetOut(0, c.In(0).DType, c.In(0).Shape)
	return nil
}

// Evaluate applies the formula.
func (o *BatchNormalization) Evaluate(c *Evaluation) error {
	if err := c.require(5); err != nil {
		return err
	}
	x := c.In(0)
	rank := len(x.Shape())
	channel := 1
	if o.Layout == NHWC {
		channel = rank - 1
	}
	if rank < 2 {
		return fmt.Errorf("input %s has no channels", x)
	}
	channels, inner := x.Shape()[channel], product(x.Shape()[channel+1:])
	for i := 1; i < 5; i++ {
		if c.In(i).Len() != channels {
			return fmt.Errorf("operand %d is %s, wants %d entries", i, c.In(i), channels)
		}
	}
	values := Float64s(x)
	scale, bias, mean, variance := Float64s(c.In(1)), Float64s(c.In(2)), Float64s(c.In(3)), Float64s(c.In(4))
	out := make([]float64, len(values))
	for i, v := range values {
		ch := i / inner % channels
		out[i] = float64((v-mean[ch])/math.Sqrt(variance[ch]+float64(o.Epsilon))*scale[ch]) + bias[ch]
	}
	c.Set(0, FromFloat64s(x.DType(), x.Shape(), out))
	return nil
}

// InstanceNormalization normalizes each channel of each sample by its own mean and variance over the spatial
// positions (ONNX InstanceNormalization). Operands: x, scale, bias (per channel).
type InstanceNormalization struct {
	Epsilon float32
	Layout  Layout
}

// Type is "InstanceNormalization".
func (*InstanceNormalization) Type() string { return "InstanceNormalization" }

// Infer keeps the type of x.
func (o *InstanceNormalization) Infer(c *Inference) error {
	c.SetOut(0, c.In(0).DType, c.In(0).Shape)
	return nil
}

// Evaluate applies the formula.
func (o *InstanceNormalization) Evaluate(c *Evaluation) error {
	if err := c.require(3); err != nil {
		return err
	}
	x := c.In(0)
	batch, channels, spatial, err := spatialSizes(x, o.Layout)
	if err != nil {
		return err
	}
	positions := product(spatial)
	values := channelsLast(Float64s(x), o.Layout, batch, channels, positions)
	scale, bias := Float64s(c.In(1)), Float64s(c.In(2))
	if len(scale) != channels || len(bias) != channels {
		return fmt.Errorf("scale %s and bias %s, want %d entries", c.In(1), c.In(2), channels)
	}
	out := make([]float64, len(values))
	for n := range batch {
		for ch := range channels {
			index := func(p int) int { return (n*positions+p)*channels + ch }
			normalize(values, out, positions, index, float64(o.Epsilon), func(int) (float64, float64) { return scale[ch], bias[ch] })
		}
	}
	c.Set(0, FromFloat64s(x.DType(), x.Shape(), fromChannelsLast(out, o.Layout, batch, channels, positions)))
	return nil
}

// normalize subtracts the mean of count elements and divides by their standard deviation, then scales and shifts.
func normalize(in, out []float64, count int, index func(i int) int, epsilon float64, affine func(i int) (scale, bias float64)) (mean, inverse float64) {
	for i := range count {
		mean += in[index(i)]
	}
	mean /= float64(count)
	var variance float64
	for i := range count {
		d := in[index(i)] - mean
		variance += float64(d * d)
	}
	inverse = 1 / math.Sqrt(variance/float64(count)+epsilon)
	for i := range count {
		scale, bias := affine(i)
		out[index(i)] = float64((in[index(i)]-mean)*inverse*scale) + bias
	}
	return mean, inverse
}

// LayerNormalization normalizes over the dimensions from Axis on (ONNX LayerNormalization). Operands: x, scale, bias
// (optional), both broadcast to the normalized dimensions. The optional second and third outputs are the mean and the
// inverse standard deviation.
type LayerNormalization struct {
	Axis    int
	Epsilon float32
}

// Type is "LayerNormalization".
func (*LayerNormalization) Type() string { return "LayerNormalization" }

// Infer keeps the type of x; statistics have 1 in the normalized dimensions.
func (o *LayerNormalization) Infer(c *Inference) error {
	x := c.In(0)
	c.SetOut(0, x.DType, x.Shape)
	if rank, ok := x.Rank(); ok {
		axis, err := normalAxis(o.Axis, rank)
		if err != nil {
			return err
		}
		statistics := append(x.Shape[:axis:axis], ones(rank-axis)...)
		c.SetOut(1, tensor.Float32, statistics)
		c.SetOut(2, tensor.Float32, statistics)
	}
	return nil
}

// Evaluate applies the formula.
func (o *LayerNormalization) Evaluate(c *Evaluation) error {
	if err := c.require(2); err != nil {
		return err
	}
	x := c.In(0)
	axis, err := normalAxis(o.Axis, len(x.Shape()))
	if err != nil {
		return err
	}
	outer, inner := product(x.Shape()[:axis]), product(x.Shape()[axis:])
	affine := make([][]float64, 2)
	for i := range affine {
		affine[i] = make([]float64, inner)
		if !c.Has(i + 1) {
			continue
		}
		index, err := broadcastIndex(c.In(i+1).Shape(), x.Shape()[axis:])
		if err != nil {
			return err
		}
		from := Float64s(c.In(i + 1))
		for j := range inner {
			affine[i][j] = from[index(j)]
		}
	}
	values := Float64s(x)
	out := make([]float64, len(values))
	means, inverses := make([]float32, outer), make([]float32, outer)
	for n := range outer {
		mean, inverse := normalize(values, out, inner, func(i int) int { return n*inner + i }, float64(o.Epsilon),
			func(i int) (float64, float64) { return affine[0][i], affine[1][i] })
		means[n], inverses[n] = float32(mean), float32(inverse)
	}
	c.Set(0, FromFloat64s(x.DType(), x.Shape(), out))
	statistics := append([]int{}, x.Shape()...)
	for i := axis; i < len(statistics); i++ {
		statistics[i] = 1
	}
	c.Set(1, tensor.Of(means, statistics...))
	c.Set(2, tensor.Of(inverses, statistics...))
	return nil
}
