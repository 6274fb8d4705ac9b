package op

import (
	"fmt"
	"math"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/tensor"
)

// Evaluate interpolates one axis after the other, the last one first. Floats are kept in float64 and rounded once;
// zero-point-free codes in float32, as kernels keep them.
func (o *Resize) Evaluate(c *Evaluation) error {
	if err := c.require(1); err != nil {
		return err
	}
	x := c.In(0)
	samples, shape, err := o.samples(c)
	if err != nil {
		return err
	}
	if _, ok := tensor.Count(shape); !ok {
		return fmt.Errorf("the result's shape %v is impossible", shape)
	}
	qx, qy := c.InQuant(0), c.OutQuant(0)
	if o.Mode == ResizeNearest && o.CoordinateTransformation != TFCropAndResize && x.DType().Bits() >= 8 &&
		(c.Node.Compute == graph.Float || c.Node.Compute == graph.Integer && qx.Equal(qy)) {
		c.Set(0, pickElements(x, shape, samples))
		return nil
	}
	switch c.Node.Compute {
	case graph.Integer:
		if qx == nil || !qx.IsPerTensor() || qy == nil || !qy.IsPerTensor() {
			return fmt.Errorf("an integer node has types %s and %s", c.Node.Input(0).Type, c.Node.Outputs[0].Type)
		}
		if o.interpolateCodes(c, shape, samples) {
			return nil
		}
		values := convert(lessZero(x, qx), func(v int32) float32 { return float32(v) })
		values = interpolate(values, x.Shape(), shape, samples, o.ExtrapolationValue/qx.Scale[0])
		lowest, highest := CodeLimits(c.Node.Outputs[0].Type, nil)
		ratio := numeric.Ratio(qx.Scale[0], qy.Scale[0])
		c.SetCodes(0, shape, convert(values, func(v float32) int32 {
			return numeric.Saturate(float32(v*ratio), qy.ZeroPoint[0], lowest, highest)
		}))
	case graph.IntegerToFloat:
		values := convert(Reals(x, qx), func(v float32) float64 { return float64(v) })
		values = interpolate(values, x.Shape(), shape, samples, float64(o.ExtrapolationValue))
		c.SetFloats(0, shape, convert(values, func(v float64) float32 { return float32(v) }))
	default:
		values := interpolate(Float64s(x), x.Shape(), shape, samples, float64(o.ExtrapolationValue))
		c.Set(0, fromFloat64sOrInts(x.DType(), shape, values))
	}
	return nil
}

// RowInterpolation is the own way, if there is one, in which a node's row interpolates the codes that it resizes.
func (o *Resize) RowInterpolation(n *graph.Node) (v numeric.Interpolation, ok bool) {
	if o.Mode != ResizeLinear || o.Antialias || o.ExcludeOutside || o.CoordinateTransformation == TFCropAndResize ||
		!n.Inputs[0].Type.Quant.Equal(n.Outputs[0].Type.Quant) || n.Inputs[0].Type.DType != n.Outputs[0].Type.DType {
		return v, false
	}
	return n.Arithmetic.Interpolation(numeric.CoordinateTransform(o.CoordinateTransformation))
}

// interpolateCodes resizes along at most two axes in the row's own way and reports whether there is one.
func (o *Resize) interpolateCodes(c *Evaluation, shape []int, samples [][]sample) bool {
	v, ok := o.RowInterpolation(c.Node)
	var axes []int
	for axis, s := range samples {
		if s != nil {
			axes = append(axes, axis)
		}
	}
	if !ok || len(axes) > 2 {
		return false
	}
	in := c.In(0).Shape()
	codes, strides, y := c.Codes(0), rowMajor(in), OutputCodes(c.Node, nil)
	out := make([]int32, product(shape))
	at := make([]int, len(shape))
	for i := range out {
		unravel(at, i, shape)
		base := 0
		for axis, p := range at {
			if samples[axis] == nil {
				base += p * strides[axis]
			}
		}
		// The last resized axis is x, the one before y.
		var low, high [2]int
		var weight [2]float32
		for k, axis := range axes {
			l, h, w := v.Axis(at[axis], in[axis], shape[axis])
			k += 2 - len(axes)
			low[k], high[k], weight[k] = l*strides[axis], h*strides[axis], w
		}
		out[i] = v.Code(codes[base+low[0]+low[1]], codes[base+low[0]+high[1]], codes[base+high[0]+low[1]], codes[base+high[0]+high[1]],
			weight[1], weight[0], y.Lowest, y.Highest)
	}
	c.SetCodes(0, shape, out)
	return true
}

// sample is the input elements of an axis that make one output element, and their weights. No elements means that the
// output lies outside the input and is extrapolated.
type sample struct {
	index  []int
	weight []float64
}

// samples are the samples of every axis (nil for an axis that stays as it is) and the shape of the result.
func (o *Resize) samples(c *Evaluation) ([][]sample, []int, error) {
	in := c.In(0).Shape()
	var scales []float32
	var sizes []Int
	if c.Has(2) {
		scales = c.Floats(2)
	}
	if c.Has(3) {
		sizes = convert(Int64s(c.In(3)), Literal)
	}
	out, scale, err := o.Output(graph.FixedShape(in...), scales, sizes)
	if err != nil {
		return nil, nil, err
	}
	shape, ok := out.Known()
	if !ok {
		return nil, nil, fmt.Errorf("neither scales nor valid sizes are given for the input %s", c.In(0))
	}
	axes, err := o.axes(len(in))
	if err != nil {
		return nil, nil, err
	}
	crop := o.CoordinateTransformation == TFCropAndResize
	var roi []float32
	if crop {
		if !c.Has(1) || c.In(1).Len() != 2*len(axes) {
			return nil, nil, fmt.Errorf("tf_crop_and_resize wants a region of interest of %d numbers", 2*len(axes))
		}
		roi = c.Floats(1)
	}
	samples := make([][]sample, len(in))
	for i, axis := range axes {
		a := resizedAxis{in: in[axis], out: shape[axis], scale: scale[axis], end: 1}
		if crop {
			a.start, a.end = roi[i], roi[len(axes)+i]
		}
		if a.in == a.out && a.scale == 1 && a.start == 0 && a.end == 1 {
			continue
		}
		if a.in == 0 && a.out > 0 {
			return nil, nil, fmt.Errorf("axis %d is empty and cannot be resized to %d", axis, a.out)
		}
		for at := range a.out {
			samples[axis] = append(samples[axis], o.sample(a, at))
		}
	}
	return samples, shape, nil
}

// resizedAxis is one axis that changes. start and end are its region of interest, as fractions of the input.
type resizedAxis struct {
	in, out    int
	scale      float32
	start, end float32
}

// sample finds what output element i is made of.
func (o *Resize) sample(a resizedAxis, i int) sample {
	var x float32
	if o.CoordinateTransformation == TFCropAndResize {
		last := float32(a.in - 1)
		x = float32(float32(a.start+a.end)*last) / 2
		if a.out > 1 {
			step := float32(float32(a.end-a.start)*last) / float32(a.out-1)
			x = float32(a.start*last) + float32(float32(i)*step)
		}
		if !(x >= 0 && x <= last) {
			return sample{}
		}
	} else {
		x = numeric.ResizeCoordinate(numeric.CoordinateTransform(o.CoordinateTransformation), i, a.in, a.out, a.scale)
	}
	if o.Mode == ResizeNearest {
		return sample{[]int{numeric.ResizeNearest(numeric.NearestRounding(o.Nearest), x, a.in)}, []float64{1}}
	}
	if o.Mode == ResizeLinear && !(o.Antialias && a.scale < 1) {
		low, high, weight := numeric.ResizeLinear(x, a.in)
		return sample{[]int{low, high}, []float64{float64(1 - weight), float64(weight)}}
	}
	return o.filtered(a, float64(x))
}

// filtered samples by the interpolation's kernel around x, made wider by 1/scale to avoid aliasing. Elements beyond an
// edge have the value of the edge or, with ExcludeOutside, no weight; weights then add up to 1.
func (o *Resize) filtered(a resizedAxis, x float64) sample {
	shrink := 1.0
	if o.Antialias {
		shrink = min(float64(a.scale), 1)
	}
	kernel, radius := triangle, 1
	if o.Mode == ResizeCubic {
		kernel, radius = cubic(float64(o.CubicCoeffA)), 2
	}
	reach := int(math.Ceil(float64(radius) / shrink))
	base := int(math.Floor(x))
	var s sample
	var total float64
	for i := base - reach + 1; i <= base+reach; i++ {
		weight := kernel(float64((float64(i) - x) * shrink))
		if o.ExcludeOutside && (i < 0 || i >= a.in) {
			continue
		}
		s.index = append(s.index, min(max(i, 0), a.in-1))
		s.weight = append(s.weight, weight)
		total += weight
	}
	if o.Antialias || o.ExcludeOutside {
		for i := range s.weight {
			s.weight[i] /= total
		}
	}
	return s
}

// triangle is the kernel of linear interpolation.
func triangle(x float64) float64 { return max(1-math.Abs(x), 0) }

// cubic is the kernel of cubic convolution with coefficient a (Keys, 1981).
func cubic(a float64) func(x float64) float64 {
	return func(x float64) float64 {
		x = math.Abs(x)
		switch {
		case x <= 1:
			return float64((float64((a+2)*x)-(a+3))*float64(x*x)) + 1
		case x < 2:
			return float64(a * (float64((float64((x-5)*x)+8)*x) - 4))
		}
		return 0
	}
}

// interpolate replaces every axis that has samples by their weighted sums, the last axis first. A sum starts with its
// first product, so that two elements give exactly numeric.Lerp.
func interpolate[T float32 | float64](values []T, in, out []int, samples [][]sample, outside T) []T {
	shape := slices.Clone(in)
	for axis := len(shape) - 1; axis >= 0; axis-- {
		if samples[axis] == nil {
			shape[axis] = out[axis]
			continue
		}
		outer, size, inner := product(shape[:axis]), shape[axis], product(shape[axis+1:])
		next := make([]T, 0, outer*out[axis]*inner)
		for n := range outer {
			block := values[n*size*inner : (n+1)*size*inner]
			for _, s := range samples[axis] {
				for i := range inner {
					sum := outside
					for e, at := range s.index {
						term := T(block[at*inner+i] * T(s.weight[e]))
						if e == 0 {
							sum = term
						} else {
							sum += term
						}
					}
					next = append(next, sum)
				}
			}
		}
		values, shape[axis] = next, out[axis]
	}
	return values
}

// pickElements moves the one element that each sample names, of any type of whole bytes.
func pickElements(x *tensor.Tensor, shape []int, samples [][]sample) *tensor.Tensor {
	out := tensor.New(x.DType(), shape...)
	size := x.DType().Bits() / 8
	strides := rowMajor(x.Shape())
	at := make([]int, len(shape))
	for i := range out.Len() {
		unravel(at, i, shape)
		from := 0
		for axis, p := range at {
			if s := samples[axis]; s != nil {
				p = s[p].index[0]
			}
			from += p * strides[axis]
		}
		copy(out.Bytes()[i*size:(i+1)*size], x.Bytes()[from*size:])
	}
	return out
}
