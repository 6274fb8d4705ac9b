package kernel

import "math"

// InstanceNormF32 normalizes each channel of each NHWC image to mean 0 and variance 1, then scales and shifts it.
// Its pieces are blocks of channels of the images.
type InstanceNormF32 struct {
	Vector                  Vector
	Batch, Pixels, Channels int
	Scale, Bias             []float32 // per channel
	Epsilon                 float32
}

// Units is how many pieces the work has.
func (k *InstanceNormF32) Units() int { return k.Batch * k.blocks() }

func (k *InstanceNormF32) blocks() int { return divideUp(k.Channels, channelBlock) }

// Run computes the pieces [start, end).
func (k *InstanceNormF32) Run(out, in []float32, start, end int) {
	image := k.Pixels * k.Channels
	if image == 0 {
		return
	}
	for unit := start; unit < end; unit++ {
		first := unit % k.blocks() * channelBlock
		at := unit/k.blocks()*image + first
		x, y := in[at:][:image-first], out[at:][:image-first]
		channels := min(channelBlock, k.Channels-first)
		r := channelsRun{stride: 4 * k.Channels}
		vector := k.Vector.kernel != vectorNone && channels == channelBlock
		k.moments(&r, vector, x, channels)
		for c := range channels {
			r.mean[c] = r.sum[c] / float64(k.Pixels)
		}
		k.moments(&r, vector, x, channels)
		for c := range channels {
			deviation := math.Sqrt(r.squares[c]/float64(k.Pixels) + float64(k.Epsilon))
			r.sum[c], r.squares[c] = float64(k.Scale[first+c])/deviation, float64(k.Bias[first+c])
		}
		if vector {
			step := k.Channels
			for first := 0; first < k.Pixels; first += channelPixels {
				r.in, r.out, r.pixels = &x[first*step], &y[first*step], min(k.Pixels-first, channelPixels)
				k.Vector.kernel.channelNormalize(&r)
			}
			continue
		}
		for i := 0; i < len(x); i += k.Channels {
			for c, v := range x[i : i+channels] {
				y[i+c] = float32(float64((float64(v)-r.mean[c])*r.sum[c]) + r.squares[c])
			}
		}
	}
}

// moments adds up, over the pixels of x, elements less the mean, and the squares of that, of the first channels.
func (k *InstanceNormF32) moments(r *channelsRun, vector bool, x []float32, channels int) {
	r.sum, r.squares = [channelBlock]float64{}, [channelBlock]float64{}
	if vector {
		for first := 0; first < k.Pixels; first += channelPixels {
			r.in, r.pixels = &x[first*k.Channels], min(k.Pixels-first, channelPixels)
			k.Vector.kernel.channelMoments(r)
		}
		return
	}
	for i := 0; i < len(x); i += k.Channels {
		for c, e := range x[i : i+channels] {
			d := float64(e) - r.mean[c]
			r.sum[c] += d
			r.squares[c] += float64(d * d)
		}
	}
}

// LayerNormF32 normalizes each row of Size elements to mean 0 and variance 1, then scales and shifts its elements. The
// output may be the same memory as the input. Its pieces are the rows.
type LayerNormF32 struct {
	Vector      Vector
	Rows, Size  int
	Scale, Bias []float32 // per element of a row; Bias may be nil
	Epsilon     float32
}

// Units is how many pieces the work has.
func (k *LayerNormF32) Units() int { return k.Rows }

// Run computes the pieces [start, end).
func (k *LayerNormF32) Run(out, in []float32, start, end int) {
	for row := start; row < end; row++ {
		x, y := in[row*k.Size:][:k.Size], out[row*k.Size:][:k.Size]
		sum, _ := k.Vector.moments(x, 0)
		mean := sum / float64(k.Size)
		_, variance := k.Vector.moments(x, mean)
		factor := 1 / math.Sqrt(variance/float64(k.Size)+float64(k.Epsilon))
		done := k.Vector.normalize(y, x, k.Scale, k.Bias, mean, factor)
		for i := done; i < len(x); i++ {
			v := x[i]
			n := float64((float64(v) - mean) * factor * float64(k.Scale[i]))
			if k.Bias != nil {
				n += float64(k.Bias[i])
			}
			y[i] = float32(n)
		}
	}
}
