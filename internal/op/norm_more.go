package op

import (
	"fmt"
	"math"
)

// GroupNormalization normalizes each of NumGroups groups of channels of each sample by its own mean and variance (ONNX
// GroupNormalization, opset 21). Operands: x, scale, bias (per channel).
type GroupNormalization struct {
	NumGroups int
	Epsilon   float32
	Layout    Layout
}

// Type is "GroupNormalization".
func (*GroupNormalization) Type() string { return "GroupNormalization" }

// Infer keeps the type of x and checks the groups.
func (o *GroupNormalization) Infer(c *Inference) error {
	x := c.In(0)
	c.SetOut(0, x.DType, x.Shape)
	if o.NumGroups < 1 {
		return fmt.Errorf("there are %d groups", o.NumGroups)
	}
	_, channels, _, err := spatialTypes(x, o.Layout)
	if err == nil && channels.Known() && channels.Size%o.NumGroups != 0 {
		return fmt.Errorf("%d channels cannot be divided into %d groups", channels.Size, o.NumGroups)
	}
	return err
}

// Evaluate applies the formula.
func (o *GroupNormalization) Evaluate(c *Evaluation) error {
	if err := c.require(3); err != nil {
		return err
	}
	x := c.In(0)
	batch, channels, spatial, err := spatialSizes(x, o.Layout)
	if err != nil {
		return err
	}
	scale, bias := Float64s(c.In(1)), Float64s(c.In(2))
	if o.NumGroups < 1 || channels%o.NumGroups != 0 || len(scale) != channels || len(bias) != channels {
		return fmt.Errorf("scale %s and bias %s do not fit the input %s in %d groups", c.In(1), c.In(2), x, o.NumGroups)
	}
	positions, perGroup := product(spatial), channels/o.NumGroups
	values := channelsLast(Float64s(x), o.Layout, batch, channels, positions)
	out := make([]float64, len(values))
	for n := range batch {
		for group := range o.NumGroups {
			index := func(i int) int { return (n*positions+i/perGroup)*channels + group*perGroup + i%perGroup }
			normalize(values, out, positions*perGroup, index, float64(o.Epsilon), func(i int) (float64, float64) {
				channel := group*perGroup + i%perGroup
				return scale[channel], bias[channel]
			})
		}
	}
	c.Set(0, FromFloat64s(x.DType(), x.Shape(), fromChannelsLast(out, o.Layout, batch, channels, positions)))
	return nil
}

// LRN divides each element by a power of the squares around it across channels (ONNX LRN):
// y = x/(Bias + Alpha/Size·Σx²)^Beta, the sum going over Size channels, one more after the element's own than before
// it if Size is even.
type LRN struct {
	Size              int
	Alpha, Beta, Bias float32
	Layout            Layout
}

// Type is "LRN".
func (*LRN) Type() string { return "LRN" }

// Infer keeps the type of x.
func (o *LRN) Infer(c *Inference) error {
	c.SetOut(0, c.In(0).DType, c.In(0).Shape)
	if o.Size < 1 {
		return fmt.Errorf("the size of the neighbourhood is %d, wants at least 1", o.Size)
	}
	return nil
}

// Evaluate applies the formula.
func (o *LRN) Evaluate(c *Evaluation) error {
	if err := c.require(1); err != nil {
		return err
	}
	x := c.In(0)
	batch, channels, spatial, err := spatialSizes(x, o.Layout)
	if err != nil {
		return err
	}
	if o.Size < 1 {
		return fmt.Errorf("the size of the neighbourhood is %d, wants at least 1", o.Size)
	}
	positions := product(spatial)
	values := channelsLast(Float64s(x), o.Layout, batch, channels, positions)
	out := make([]float64, len(values))
	factor := float64(o.Alpha) / float64(o.Size)
	for pixel := range batch * positions {
		row := values[pixel*channels : (pixel+1)*channels]
		for ch, v := range row {
			var sum float64
			for i := max(ch-(o.Size-1)/2, 0); i < min(ch+o.Size/2+1, channels); i++ {
				sum += float64(row[i] * row[i])
			}
			out[pixel*channels+ch] = v / positivePower(float64(o.Bias)+float64(factor*sum), float64(o.Beta))
		}
	}
	c.Set(0, FromFloat64s(x.DType(), x.Shape(), fromChannelsLast(out, o.Layout, batch, channels, positions)))
	return nil
}

// MeanVarianceNormalization subtracts the mean over Axes and divides by the standard deviation plus 1e-9 (ONNX
// MeanVarianceNormalization).
type MeanVarianceNormalization struct {
	Axes []int // empty means batch and spatial dimensions of Layout
	// Layout is what empty Axes refer to.
	Layout Layout
}

// Type is "MeanVarianceNormalization".
func (*MeanVarianceNormalization) Type() string { return "MeanVarianceNormalization" }

// Infer keeps the type of x.
func (o *MeanVarianceNormalization) Infer(c *Inference) error {
	x := c.In(0)
	c.SetOut(0, x.DType, x.Shape)
	if rank, ok := x.Rank(); ok {
		_, err := o.axes(rank)
		return err
	}
	return nil
}

func (o *MeanVarianceNormalization) axes(rank int) ([]int, error) {
	var axes []int64
	for axis := range rank {
		if len(o.Axes) == 0 && axis != o.Layout.Channel(rank) {
			axes = append(axes, int64(axis))
		}
	}
	for _, axis := range o.Axes {
		axes = append(axes, int64(axis))
	}
	return normalAxes(axes, rank)
}

// Evaluate applies the formula.
func (o *MeanVarianceNormalization) Evaluate(c *Evaluation) error {
	if err := c.require(1); err != nil {
		return err
	}
	x := c.In(0)
	shape := x.Shape()
	axes, err := o.axes(len(shape))
	if err != nil {
		return err
	}
	// An element belongs to the group that its coordinates along the other axes say.
	strides := rowMajor(shape)
	groupStrides := make([]int, len(shape))
	groups, count := 1, 1
	reduced := make([]bool, len(shape))
	for _, axis := range axes {
		reduced[axis] = true
	}
	for axis, n := range shape {
		if reduced[axis] {
			count *= n
		} else {
			groupStrides[axis] = groups
			groups *= n
		}
	}
	group := func(i int) int {
		g := 0
		for axis, n := range shape {
			g += i / strides[axis] % n * groupStrides[axis]
		}
		return g
	}
	values := Float64s(x)
	mean, variance := make([]float64, groups), make([]float64, groups)
	for i, v := range values {
		mean[group(i)] += v / float64(count)
	}
	for i, v := range values {
		d := v - mean[group(i)]
		variance[group(i)] += float64(d*d) / float64(count)
	}
	out := make([]float64, len(values))
	for i, v := range values {
		g := group(i)
		out[i] = (v - mean[g]) / (math.Sqrt(variance[g]) + 1e-9)
	}
	c.Set(0, FromFloat64s(x.DType(), shape, out))
	return nil
}

// RMSNormalization divides by the root of the mean square over the dimensions from Axis on, then scales (ONNX
// RMSNormalization). Operands: x, scale, broadcast to the normalized dimensions.
type RMSNormalization struct {
	Axis    int
	Epsilon float32
}

// Type is "RMSNormalization".
func (*RMSNormalization) Type() string { return "RMSNormalization" }

// Infer keeps the type of x.
func (o *RMSNormalization) Infer(c *Inference) error {
	x := c.In(0)
	c.SetOut(0, x.DType, x.Shape)
	if rank, ok := x.Rank(); ok {
		_, err := normalAxis(o.Axis, rank)
		return err
	}
	return nil
}

// Evaluate applies the formula.
func (o *RMSNormalization) Evaluate(c *Evaluation) error {
	if err := c.require(2); err != nil {
		return err
	}
	x := c.In(0)
	axis, err := normalAxis(o.Axis, len(x.Shape()))
	if err != nil {
		return err
	}
	outer, inner := product(x.Shape()[:axis]), product(x.Shape()[axis:])
	index, err := broadcastIndex(c.In(1).Shape(), x.Shape()[axis:])
	if err != nil {
		return err
	}
	values, scale := Float64s(x), Float64s(c.In(1))
	out := make([]float64, len(values))
	for n := range outer {
		row := values[n*inner : (n+1)*inner]
		var squares float64
		for _, v := range row {
			squares += float64(v * v)
		}
		root := math.Sqrt(squares/float64(inner) + float64(o.Epsilon))
		for i, v := range row {
			out[n*inner+i] = v / root * scale[index(i)]
		}
	}
	c.Set(0, FromFloat64s(x.DType(), x.Shape(), out))
	return nil
}
