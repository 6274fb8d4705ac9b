package kernel

import "unsafe"

// cornersRun is one call of a micro-kernel of bilinear interpolation.
type cornersRun struct {
	out, topLeft, topRight, bottomLeft, bottomRight *float32
	n                                               int
	left, right, top, bottom                        float32 // weights
}

// bilinear interpolates between the elements of four pixels, as many as out has or as make whole vectors, and says how
// many.
func (v Vector) bilinear(out, topLeft, topRight, bottomLeft, bottomRight []float32, wx, wy float32) (done int) {
	if v.kernel == vectorNone || len(out) == 0 {
		return 0
	}
	v.kernel.bilinear(&cornersRun{&out[0], &topLeft[0], &topRight[0], &bottomLeft[0], &bottomRight[0], len(out), 1 - wx, wx, 1 - wy, wy})
	if v.kernel == vectorAVX512 {
		return len(out)
	}
	return len(out) &^ (v.kernel.width()/4 - 1)
}

// momentsRun is one call of a micro-kernel of normalization.
type momentsRun struct {
	in, out, scale, bias unsafe.Pointer // bias may be nil
	steps                int            // of one vector of floats, at least 1
	mean, factor         float64
	sum, squares         [8]float64 // by lanes
}

// moments is the sum of elements less mean, and of the squares of that, in float64. The order of adding depends on the
// number of elements alone.
func (v Vector) moments(x []float32, mean float64) (sum, squares float64) {
	width := v.kernel.width() / 4
	if steps := len(x) / width; v.kernel != vectorNone && steps > 0 {
		r := momentsRun{in: unsafe.Pointer(&x[0]), steps: steps, mean: mean}
		v.kernel.moments(&r)
		for i := range r.sum {
			sum += r.sum[i]
			squares += r.squares[i]
		}
		x = x[steps*width:]
	}
	for _, e := range x {
		d := float64(e) - mean
		sum += d
		squares += float64(d * d)
	}
	return sum, squares
}

// normalize makes (x − mean)·factor·scale + bias of as many elements as make whole vectors, and says how many. bias may
// be nil.
func (v Vector) normalize(y, x, scale, bias []float32, mean, factor float64) (done int) {
	width := v.kernel.width() / 4
	steps := len(y) / width
	if v.kernel == vectorNone || steps == 0 {
		return 0
	}
	done = steps * width
	r := momentsRun{out: unsafe.Pointer(&y[0]), in: unsafe.Pointer(&x[:done][0]), scale: unsafe.Pointer(&scale[:done][0]),
		steps: steps, mean: mean, factor: factor}
	if bias != nil {
		r.bias = unsafe.Pointer(&bias[:done][0])
	}
	v.kernel.normalize(&r)
	return done
}

// channelsRun is one call of a micro-kernel of normalization by channels: 16 of them. channelMoments adds to sum and
// squares; for channelNormalize they are what to multiply by and what to add.
type channelsRun struct {
	in, out            *float32
	stride             int // bytes from one pixel to the next
	pixels             int // at least 1
	mean, sum, squares [16]float64
}

const (
	channelBlock  = 16      // how many channels a channelsRun takes
	channelPixels = 4 << 10 // the most pixels of a call: assembly cannot be interrupted
)
