package caffe

import (
	"errors"
	"fmt"
	"math"

	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// maxPriors bounds the numbers that all PriorBox layers of a network make together.
const maxPriors = 1 << 22

// priors says which boxes an SSD detector starts from at each position.
type priors struct {
	lowest, highest []float64 // sizes of squares, in pixels of the image
	ratios          []float64 // of further boxes: width to height
	clip            bool
	variance        []float64
	stepX, stepY    float64 // pixels from one position to the next
	width, height   float64 // of the image
	offset          float64
}

// priorBox computes the boxes, which depend on nothing but shapes: [1, 2, 4·boxes], first their corners as parts of the
// image, then their variances.
func priorBox(l *layer) error {
	p := l.param("prior_box_param")
	features, image := l.in[0].Type.Shape, l.in[1].Type.Shape
	if len(features) != 4 || len(image) != 4 || !features[2].Known() || !features[3].Known() {
		return errUnranked
	}
	b, err := readPriors(p)
	if err != nil {
		return err
	}
	rows, columns := features[2].Size, features[3].Size
	if b.width == 0 || b.height == 0 {
		if !image[2].Known() || !image[3].Known() {
			return errUnranked
		}
		b.height, b.width = float64(image[2].Size), float64(image[3].Size)
	}
	if b.stepX == 0 || b.stepY == 0 {
		b.stepX, b.stepY = b.width/float64(columns), b.height/float64(rows)
	}
	each := 4 * (len(b.lowest)*(1+len(b.ratios)) + len(b.highest))
	count, ok := tensor.Count([]int{2, rows, columns, each})
	if !ok || count > maxPriors-l.im.priors {
		return fmt.Errorf("%d×%d positions with %d numbers each are more than the limit", rows, columns, each)
	}
	l.im.priors += count
	values := make([]float32, 0, count)
	for y := range rows {
		for x := range columns {
			values = b.appendBoxes(values, (float64(x)+b.offset)*b.stepX, (float64(y)+b.offset)*b.stepY)
		}
	}
	if b.clip {
		for i, v := range values {
			values[i] = min(max(v, 0), 1)
		}
	}
	for i := range values {
		values = append(values, float32(b.variance[i%len(b.variance)]))
	}
	constant := l.im.constant(l.name+"/boxes", tensor.Of(values, 1, 2, len(values)/2))
	return l.node(&op.Identity{}, constant)
}

func readPriors(p *params) (b priors, err error) {
	// As in the original, sizes count in whole pixels.
	for _, v := range p.floats("min_size") {
		b.lowest = append(b.lowest, math.Trunc(v))
	}
	for _, v := range p.floats("max_size") {
		b.highest = append(b.highest, math.Trunc(v))
	}
	if len(b.lowest) == 0 || len(b.highest) > 0 && len(b.highest) != len(b.lowest) {
		return b, fmt.Errorf("prior_box_param has %d of min_size and %d of max_size", len(b.lowest), len(b.highest))
	}
	flip := p.bool("flip", true)
	known := []float64{1}
	add := func(ratio float64) {
		for _, k := range known {
			if math.Abs(ratio-k) < 1e-6 {
				return
			}
		}
		known = append(known, ratio)
		b.ratios = append(b.ratios, ratio)
	}
	ratios := p.floats("aspect_ratio")
	if len(ratios) > 100 {
		return b, fmt.Errorf("prior_box_param has %d of aspect_ratio", len(ratios))
	}
	for _, ratio := range ratios {
		if ratio <= 0 {
			return b, errors.New("prior_box_param.aspect_ratio must be positive")
		}
		before := len(known)
		if add(ratio); flip && len(known) > before {
			known = append(known, 1/ratio)
			b.ratios = append(b.ratios, 1/ratio)
		}
	}
	b.clip = p.bool("clip", false)
	b.variance = p.floats("variance")
	switch len(b.variance) {
	case 0:
		b.variance = []float64{0.1}
	case 1, 4:
	default:
		return b, fmt.Errorf("prior_box_param has %d of variance; it can have one or four", len(b.variance))
	}
	size, step := p.int("img_size", 0, 1), p.float("step", 0)
	b.height, b.width = float64(p.int("img_h", size, 1)), float64(p.int("img_w", size, 1))
	b.stepY, b.stepX = p.float("step_h", step), p.float("step_w", step)
	b.offset = p.float("offset", 0.5)
	return b, nil
}

// appendBoxes adds the boxes around a point.
func (b *priors) appendBoxes(to []float32, centerX, centerY float64) []float32 {
	box := func(width, height float64) {
		to = append(to, float32((centerX-width/2)/b.width), float32((centerY-height/2)/b.height),
			float32((centerX+width/2)/b.width), float32((centerY+height/2)/b.height))
	}
	for i, size := range b.lowest {
		box(size, size)
		if len(b.highest) > 0 {
			between := math.Sqrt(size * b.highest[i])
			box(between, between)
		}
		for _, ratio := range b.ratios {
			box(size*math.Sqrt(ratio), size/math.Sqrt(ratio))
		}
	}
	return to
}
