package op

import (
	"fmt"
	"math"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/tensor"
)

// LossReduction is how losses of single elements become one.
type LossReduction uint8

const (
	MeanLoss LossReduction = iota
	SumLoss
	NoReduction
)

var lossReductions = []string{MeanLoss: "mean", SumLoss: "sum", NoReduction: "none"}

// MarshalText is ONNX's name.
func (r LossReduction) MarshalText() ([]byte, error) { return []byte(nameOf(r, lossReductions)), nil }

// UnmarshalText is the inverse of MarshalText.
func (r *LossReduction) UnmarshalText(text []byte) error { return parseName(r, text, lossReductions) }

// Loss is what losses of class labels share. Operands: scores [batch, classes, …], labels [batch, …], weights of the
// classes. The mean is over the labels' weights.
type Loss struct {
	Reduction   LossReduction
	IgnoreIndex int // a label that does not count, if Ignores
	Ignores     bool
}

// NegativeLogLikelihoodLoss is minus the score of each label (ONNX NegativeLogLikelihoodLoss-22).
type NegativeLogLikelihoodLoss struct{ Loss }

// SoftmaxCrossEntropyLoss is minus the log-softmax of each label's score (ONNX SoftmaxCrossEntropyLoss-13); the second
// result is the log-softmax.
type SoftmaxCrossEntropyLoss struct{ Loss }

// Type is "NegativeLogLikelihoodLoss".
func (*NegativeLogLikelihoodLoss) Type() string { return "NegativeLogLikelihoodLoss" }

// Type is "SoftmaxCrossEntropyLoss".
func (*SoftmaxCrossEntropyLoss) Type() string { return "SoftmaxCrossEntropyLoss" }

// Infer states a scalar, or the labels' shape.
func (o *Loss) Infer(c *Inference) error {
	shape := graph.Shape{}
	if o.Reduction == NoReduction {
		shape = c.In(1).Shape
	}
	c.SetOut(0, c.In(0).DType, shape)
	c.SetOut(1, c.In(0).DType, c.In(0).Shape)
	return nil
}

// Evaluate computes in float64.
func (o *NegativeLogLikelihoodLoss) Evaluate(c *Evaluation) error {
	if err := o.check(c); err != nil {
		return err
	}
	return o.reduce(c, Float64s(c.In(0)))
}

// Evaluate computes in float64.
func (o *SoftmaxCrossEntropyLoss) Evaluate(c *Evaluation) error {
	if err := o.check(c); err != nil {
		return err
	}
	x := c.In(0)
	logs := slices.Clone(Float64s(x))
	rows(x.Shape(), 1, func(index func(i int) int, n int) {
		top, sum := math.Inf(-1), 0.0
		for i := range n {
			top = max(top, logs[index(i)])
		}
		for i := range n {
			sum += math.Exp(logs[index(i)] - top)
		}
		for i := range n {
			logs[index(i)] -= top + math.Log(sum)
		}
	})
	c.Set(1, FromFloat64s(x.DType(), x.Shape(), logs))
	return o.reduce(c, logs)
}

func (o *Loss) check(c *Evaluation) error {
	if err := c.require(2); err != nil {
		return err
	}
	if err := wantFloats(c, 0); err != nil {
		return err
	}
	shape, labels := c.In(0).Shape(), c.In(1).Shape()
	if len(shape) < 2 || !c.In(1).DType().IsInteger() || !slices.Equal(labels, append(slices.Clone(shape[:1]), shape[2:]...)) {
		return fmt.Errorf("labels %s do not fit scores %s", c.In(1), c.In(0))
	}
	if c.Has(2) && c.In(2).Len() != shape[1] {
		return fmt.Errorf("weights %s, wants one for each of %d classes", c.In(2), shape[1])
	}
	return nil
}

// reduce picks the labels' scores.
func (o *Loss) reduce(c *Evaluation, scores []float64) error {
	shape := c.In(0).Shape()
	classes, inner := shape[1], product(shape[2:])
	labels := Int64s(c.In(1))
	weights := slices.Repeat([]float64{1}, classes)
	if c.Has(2) {
		weights = Float64s(c.In(2))
	}
	losses := make([]float64, len(labels))
	var sum, weight float64
	for i, label := range labels {
		if o.Ignores && label == int64(o.IgnoreIndex) {
			continue
		}
		if label < 0 || label >= int64(classes) {
			return fmt.Errorf("label %d is outside %d classes", label, classes)
		}
		losses[i] = -scores[(i/inner*classes+int(label))*inner+i%inner] * weights[label]
		sum += losses[i]
		weight += weights[label]
	}
	dtype := c.In(0).DType()
	switch o.Reduction {
	case NoReduction:
		c.Set(0, FromFloat64s(dtype, c.In(1).Shape(), losses))
		return nil
	case MeanLoss:
		sum /= weight
	}
	c.Set(0, FromFloat64s(dtype, []int{}, []float64{sum}))
	return nil
}

// RoiAlign pools regions of images to OutputHeight×OutputWidth, each cell from points between the elements (ONNX
// RoiAlign-22). Operands: X [batch, channels, height, width], regions [n, 4] of x1, y1, x2, y2, the image of each.
type RoiAlign struct {
	OutputHeight, OutputWidth int
	SamplingRatio             int // points along each side of a cell; 0: as many as elements it covers
	SpatialScale              float32
	HalfPixel                 bool // coordinates have elements' centres at halves
	Max                       bool // greatest weighted element, instead of the mean
}

// Type is "RoiAlign".
func (*RoiAlign) Type() string { return "RoiAlign" }

// Infer states the shape.
func (o *RoiAlign) Infer(c *Inference) error {
	shape := unknowns(4)
	if rank, ok := c.In(0).Rank(); ok && rank == 4 {
		shape[1] = c.In(0).Shape[1]
	}
	if rank, ok := c.In(1).Rank(); ok && rank == 2 {
		shape[0] = c.In(1).Shape[0]
	}
	shape[2], shape[3] = graph.Fixed(o.OutputHeight), graph.Fixed(o.OutputWidth)
	c.SetOut(0, c.In(0).DType, shape)
	return nil
}

// Evaluate interpolates in float64.
func (o *RoiAlign) Evaluate(c *Evaluation) error {
	if err := c.require(3); err != nil {
		return err
	}
	if err := wantFloats(c, 0, 1); err != nil {
		return err
	}
	shape, regions, images := c.In(0).Shape(), c.In(1), Int64s(c.In(2))
	out := []int{len(images), 0, o.OutputHeight, o.OutputWidth}
	if len(shape) != 4 || !slices.Equal(regions.Shape(), []int{len(images), 4}) {
		return fmt.Errorf("regions %s and images %s do not fit %s", regions, c.In(2), c.In(0))
	}
	out[1] = shape[1]
	if n, ok := tensor.Count(out); !ok || int64(n) > 1<<34 || o.SamplingRatio > 1<<12 {
		return fmt.Errorf("an output of %v with %d points a side", out, o.SamplingRatio)
	}
	values, corners := Float64s(c.In(0)), Float64s(regions)
	height, width := shape[2], shape[3]
	y := make([]float64, 0, product(out))
	offset := 0.0
	if o.HalfPixel {
		offset = 0.5
	}
	for n, image := range images {
		if image < 0 || image >= int64(shape[0]) {
			return fmt.Errorf("image %d of %d", image, shape[0])
		}
		var at [4]float64
		for i := range at {
			at[i] = corners[n*4+i]*float64(o.SpatialScale) - offset
		}
		w, h := at[2]-at[0], at[3]-at[1]
		if !o.HalfPixel {
			w, h = max(w, 1), max(h, 1)
		}
		cellHeight, cellWidth := h/float64(o.OutputHeight), w/float64(o.OutputWidth)
		pointsY, pointsX := o.SamplingRatio, o.SamplingRatio
		if o.SamplingRatio <= 0 {
			pointsY, pointsX = int(math.Ceil(min(cellHeight, 1<<12))), int(math.Ceil(min(cellWidth, 1<<12)))
		}
		for channel := range shape[1] {
			plane := values[(int(image)*shape[1]+channel)*height*width:][:height*width]
			for i := range o.OutputHeight {
				for j := range o.OutputWidth {
					sum, top := 0.0, math.Inf(-1)
					for py := range pointsY {
						for px := range pointsX {
							corners := bilinear(plane, height, width,
								at[1]+float64(i)*cellHeight+(float64(py)+0.5)*cellHeight/float64(pointsY),
								at[0]+float64(j)*cellWidth+(float64(px)+0.5)*cellWidth/float64(pointsX))
							for _, v := range corners {
								sum += v
								top = max(top, v)
							}
						}
					}
					switch {
					case o.Max && pointsX > 0 && pointsY > 0:
						y = append(y, top)
					case o.Max:
						y = append(y, 0)
					default:
						y = append(y, sum/float64(max(pointsX*pointsY, 1)))
					}
				}
			}
		}
	}
	c.Set(0, FromFloat64s(c.In(0).DType(), out, y))
	return nil
}

// bilinear is the four elements around a place, each times its weight.
func bilinear(plane []float64, height, width int, y, x float64) [4]float64 {
	if y < -1 || y > float64(height) || x < -1 || x > float64(width) || y != y || x != x {
		return [4]float64{}
	}
	low := func(v float64, n int) (first, second int, fraction float64) {
		v = max(v, 0)
		if first = int(v); first >= n-1 {
			return n - 1, n - 1, 0
		}
		return first, first + 1, v - float64(first)
	}
	y0, y1, fy := low(y, height)
	x0, x1, fx := low(x, width)
	return [4]float64{(1 - fy) * (1 - fx) * plane[y0*width+x0], (1 - fy) * fx * plane[y0*width+x1],
		fy * (1 - fx) * plane[y1*width+x0], fy * fx * plane[y1*width+x1]}
}

// DeformConv is a convolution whose window is bent: each tap reads at a place of its own (ONNX DeformConv-22). Operands:
// X [batch, channels, height, width], W [outputs, channels/Group, kernel…], offsets [batch, OffsetGroup·kernel·2,
// output…] in y and x, bias, mask [batch, OffsetGroup·kernel, output…].
type DeformConv struct {
	Dilations, KernelShape, Pads, Strides []int
	Group, OffsetGroup                    int
}

// Type is "DeformConv".
func (*DeformConv) Type() string { return "DeformConv" }

// Infer takes the places from the offsets.
func (*DeformConv) Infer(c *Inference) error {
	x, ok1 := c.In(0).Rank()
	w, ok2 := c.In(1).Rank()
	offsets, ok3 := c.In(2).Rank()
	if !ok1 || !ok2 || !ok3 {
		c.SetOut(0, c.In(0).DType, nil)
		return nil
	}
	if x != 4 || w != 4 || offsets != 4 {
		return fmt.Errorf("operands of %d, %d and %d dimensions, wants 4", x, w, offsets)
	}
	c.SetOut(0, c.In(0).DType, joinShapes(c.In(0).Shape[:1], c.In(1).Shape[:1], c.In(2).Shape[2:]))
	return nil
}

// Evaluate interpolates and sums in float64.
func (o *DeformConv) Evaluate(c *Evaluation) error {
	if err := c.require(3); err != nil {
		return err
	}
	if err := wantFloats(c, 0, 1, 2); err != nil {
		return err
	}
	x, w, offset := c.In(0), c.In(1), c.In(2)
	xs, ws, fs := x.Shape(), w.Shape(), offset.Shape()
	pair := func(list []int) []int {
		if len(list) == 0 {
			return []int{1, 1}
		}
		return list
	}
	strides, dilations, pads := pair(o.Strides), pair(o.Dilations), o.Pads
	if len(pads) == 0 {
		pads = []int{0, 0, 0, 0}
	}
	groups, offsetGroups := max(o.Group, 1), max(o.OffsetGroup, 1)
	if len(xs) != 4 || len(ws) != 4 || len(fs) != 4 || len(strides) != 2 || len(dilations) != 2 || len(pads) != 4 ||
		xs[1] != ws[1]*groups || ws[0]%groups != 0 || xs[1]%offsetGroups != 0 || fs[0] != xs[0] || fs[1] != offsetGroups*ws[2]*ws[3]*2 {
		return fmt.Errorf("input %s, filter %s and offsets %s do not fit each other", x, w, offset)
	}
	var bias, mask []float64
	if c.Has(3) {
		bias = Float64s(c.In(3))
	}
	if c.Has(4) {
		mask = Float64s(c.In(4))
	}
	taps, places := ws[2]*ws[3], fs[2]*fs[3]
	if bias != nil && len(bias) != ws[0] || mask != nil && len(mask) != xs[0]*offsetGroups*taps*places {
		return fmt.Errorf("bias or mask do not fit filter %s and offsets %s", w, offset)
	}
	values, filter, offsets := Float64s(x), Float64s(w), Float64s(offset)
	sampler := &GridSample{}
	out := make([]float64, 0, xs[0]*ws[0]*places)
	for b := range xs[0] {
		for oc := range ws[0] {
			for p := range places {
				sum := 0.0
				if bias != nil {
					sum = bias[oc]
				}
				for ic := range ws[1] {
					channel := oc/(ws[0]/groups)*ws[1] + ic
					group := b*offsetGroups + channel/(xs[1]/offsetGroups)
					for tap := range taps {
						y := float64(p/fs[3]*strides[0]-pads[0]+tap/ws[3]*dilations[0]) + offsets[(group*taps+tap)*2*places+p]
						at := float64(p%fs[3]*strides[1]-pads[1]+tap%ws[3]*dilations[1]) + offsets[((group*taps+tap)*2+1)*places+p]
						v := sampler.interpolate(values[(b*xs[1]+channel)*xs[2]*xs[3]:][:xs[2]*xs[3]], xs[2:], []float64{y, at})
						if mask != nil {
							v *= mask[(group*taps+tap)*places+p]
						}
						sum += v * filter[(oc*ws[1]+ic)*taps+tap]
					}
				}
				out = append(out, sum)
			}
		}
	}
	c.Set(0, FromFloat64s(x.DType(), []int{xs[0], ws[0], fs[2], fs[3]}, out))
	return nil
}
