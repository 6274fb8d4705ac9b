package dataset

import "math"

// resized scales a picture.
func (p *picture) resized(width, height int, how Interpolation) *picture {
	if width == p.width && height == p.height {
		return p
	}
	if how == Nearest {
		return p.resizedNearest(width, height)
	}
	// First along rows, then along columns, with 8-bit pixels in between: so does Pillow, bit for bit.
	q := p
	if width != p.width {
		w := linearWeights(p.width, width, how)
		q = &picture{width, p.height, p.channels, make([]byte, width*p.height*p.channels)}
		for y := range p.height {
			row := p.pixels[y*p.width*p.channels:][:p.width*p.channels]
			w.apply(q.pixels[y*width*p.channels:], row, p.channels)
		}
	}
	if height == q.height {
		return q
	}
	w := linearWeights(q.height, height, how)
	stride := q.width * q.channels
	out := &picture{q.width, height, q.channels, make([]byte, stride*height)}
	sums := make([]int32, stride)
	for y := range height {
		for i := range sums {
			sums[i] = 1 << (weightBits - 1)
		}
		for k, weight := range w.of(y) {
			row := q.pixels[(w.first[y]+k)*stride:][:stride]
			for i, v := range row {
				sums[i] += int32(v) * weight
			}
		}
		dst := out.pixels[y*stride:][:stride]
		for i, sum := range sums {
			dst[i] = clampPixel(sum)
		}
	}
	return out
}

// resizedNearest takes the pixel under the centre of each new one.
func (p *picture) resizedNearest(width, height int) *picture {
	q := &picture{width, height, p.channels, make([]byte, width*height*p.channels)}
	for y := range height {
		fromY := (2*y + 1) * p.height / (2 * height)
		for x := range width {
			fromX := (2*x + 1) * p.width / (2 * width)
			to, from := (y*width+x)*p.channels, (fromY*p.width+fromX)*p.channels
			copy(q.pixels[to:to+p.channels], p.pixels[from:])
		}
	}
	return q
}

// weightBits is the precision of weights: a sum of 8-bit pixels times weights that add up to 1<<weightBits, and a
// rounding half, fit 31 bits.
const weightBits = 22

// weights says, for each new pixel of a row or column, which old pixels make it: count[i] of them from first[i] on.
type weights struct {
	first, count []int
	values       []int32 // most for each new pixel
	most         int
}

func (w *weights) of(i int) []int32 { return w.values[i*w.most:][:w.count[i]] }

// linearWeights computes the weights of a triangular filter as Pillow's precompute_coeffs does. With Antialias the
// triangle is as wide as the new pixels where those are wider than the old ones.
func linearWeights(from, to int, how Interpolation) *weights {
	scale := float64(from) / float64(to)
	support := 1.0
	if how == Antialias {
		support = max(scale, 1)
	}
	w := &weights{first: make([]int, to), count: make([]int, to), most: 2*int(math.Ceil(support)) + 1}
	w.values = make([]int32, to*w.most)
	real := make([]float64, w.most)
	for i := range to {
		center := float64((float64(i) + 0.5) * scale) // never fused with what follows
		first := max(int(center-support+0.5), 0)
		count := min(int(center+support+0.5), from) - first
		sum := 0.0
		for k := range count {
			distance := math.Abs((float64(k+first) - center + 0.5) / support)
			real[k] = max(1-distance, 0)
			sum += real[k]
		}
		w.first[i], w.count[i] = first, count
		for k, v := range real[:count] {
			w.values[i*w.most+k] = int32(0.5 + v/sum*(1<<weightBits))
		}
	}
	return w
}

// apply makes one row of new pixels of interleaved channels.
func (w *weights) apply(dst, src []byte, channels int) {
	for i := range w.first {
		values := w.of(i)
		for c := range channels {
			sum := int32(1 << (weightBits - 1))
			at := w.first[i]*channels + c
			for _, weight := range values {
				sum += int32(src[at]) * weight
				at += channels
			}
			dst[i*channels+c] = clampPixel(sum)
		}
	}
}

func clampPixel(sum int32) byte { return byte(min(max(sum>>weightBits, 0), 255)) }

// cropped is the middle of a picture, rounded as torchvision does. The picture must be large enough.
func (p *picture) cropped(width, height int) *picture {
	if width == p.width && height == p.height {
		return p
	}
	left := int(math.RoundToEven(float64(p.width-width) / 2))
	top := int(math.RoundToEven(float64(p.height-height) / 2))
	q := &picture{width, height, p.channels, make([]byte, width*height*p.channels)}
	row := width * p.channels
	for y := range height {
		copy(q.pixels[y*row:(y+1)*row], p.pixels[((top+y)*p.width+left)*p.channels:])
	}
	return q
}

// padded puts a picture in the middle of a larger one of one colour.
func (p *picture) padded(width, height int, fill byte) *picture {
	if width == p.width && height == p.height {
		return p
	}
	q := &picture{width, height, p.channels, make([]byte, width*height*p.channels)}
	for i := range q.pixels {
		q.pixels[i] = fill
	}
	left, top := (width-p.width)/2, (height-p.height)/2
	row := p.width * p.channels
	for y := range p.height {
		copy(q.pixels[((top+y)*width+left)*p.channels:], p.pixels[y*row:(y+1)*row])
	}
	return q
}
