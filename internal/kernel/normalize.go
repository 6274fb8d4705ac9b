package kernel

import "math"

// InstanceNormF32 normalizes each channel of each NHWC image to mean 0 and variance 1, then scales and shifts it.
// Its pieces are the images.
type InstanceNormF32 struct {
	Batch, Pixels, Channels int
	Scale, Bias             []float32 // per channel
	Epsilon                 float32
}

// Units is how many pieces the work has.
func (k *InstanceNormF32) Units() int { return k.Batch }

// Scratch is how many bytes of scratch Run needs.
func (k *InstanceNormF32) Scratch() int { return 2 * carved[float64](k.Channels) }

// Run computes the pieces [start, end).
func (k *InstanceNormF32) Run(out, in []float32, start, end int, scratch []byte) {
	mean, variance := carve[float64](&scratch, k.Channels), carve[float64](&scratch, k.Channels)
	image := k.Pixels * k.Channels
	for unit := start; unit < end; unit++ {
		x, y := in[unit*image:(unit+1)*image], out[unit*image:(unit+1)*image]
		clear(mean)
		clear(variance)
		for row := x; len(row) > 0; row = row[k.Channels:] {
			for c, v := range row[:k.Channels] {
				mean[c] += float64(v)
			}
		}
		for c := range mean {
			mean[c] /= float64(k.Pixels)
		}
		for row := x; len(row) > 0; row = row[k.Channels:] {
			for c, v := range row[:k.Channels] {
				d := float64(v) - mean[c]
				variance[c] += float64(d * d)
			}
		}
		for c, v := range variance {
			variance[c] = float64(k.Scale[c]) / math.Sqrt(v/float64(k.Pixels)+float64(k.Epsilon))
		}
		for i := 0; i < len(x); i += k.Channels {
			for c, v := range x[i : i+k.Channels] {
				y[i+c] = float32(float64((float64(v)-mean[c])*variance[c]) + float64(k.Bias[c]))
			}
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
