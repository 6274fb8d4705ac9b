package kernel

import (
	"math"

	"github.com/octet-nn/octet/internal/numeric"
)

// MaxPoolInt8 is the greatest code under the window, per channel; a window that sees nothing but padding gives the
// lowest code. Its pieces are output pixels.
type MaxPoolInt8 struct {
	Vector Vector
	Window Window
	Signed bool
}

// Units is how many pieces the work has.
func (p *MaxPoolInt8) Units() int { return p.Window.pixels() }

// Scratch is how many bytes of scratch Run needs.
func (p *MaxPoolInt8) Scratch() int {
	return max(p.Vector.stripScratch(p.kind(), &p.Window), 2*carved[int32](p.Window.taps()))
}

func (p *MaxPoolInt8) kind() poolKind {
	if p.Signed {
		return poolMaxInt8
	}
	return poolMaxUint8
}

// Run computes the pieces [start, end).
func (p *MaxPoolInt8) Run(out, in []byte, start, end int, scratch []byte) {
	w := &p.Window
	flip, _ := unsigned(p.Signed, 0)
	if start < end && p.Vector.hasStrips(p.kind(), w) {
		o, i := ends(w, out, in, end)
		p.Vector.pool(p.kind(), w, o, i, flip, 0, start, end, scratch, nil, nil)
		return
	}
	offsets, taps := carve[int32](&scratch, w.taps()), carve[int32](&scratch, w.taps())
	for pixel := start; pixel < end; pixel++ {
		source, n := w.visible(pixel, offsets, taps)
		dst := out[pixel*w.OutStride:][:w.Channels]
		if n == 0 {
			fill(dst, flip)
			continue
		}
		copy(dst, in[source+int(offsets[0]):])
		for _, offset := range offsets[1:n] {
			x := in[source+int(offset):][:len(dst)]
			if p.Signed {
				for c, v := range x {
					dst[c] = byte(max(int8(dst[c]), int8(v)))
				}
			} else {
				for c, v := range x {
					dst[c] = max(dst[c], v)
				}
			}
		}
	}
}

// MaxPoolF32 is the greatest element under the window, per channel; a window that sees nothing but padding gives
// −Inf. Its pieces are output pixels.
type MaxPoolF32 struct {
	Vector Vector
	Window Window
}

// Units is how many pieces the work has.
func (p *MaxPoolF32) Units() int { return p.Window.pixels() }

// Scratch is how many bytes of scratch Run needs.
func (p *MaxPoolF32) Scratch() int {
	return max(p.Vector.stripScratch(poolMaxF32, &p.Window), 2*carved[int32](p.Window.taps()))
}

// Run computes the pieces [start, end).
func (p *MaxPoolF32) Run(out, in []float32, start, end int, scratch []byte) {
	w := &p.Window
	if start < end && p.Vector.hasStrips(poolMaxF32, w) {
		o, i := ends(w, out, in, end)
		p.Vector.pool(poolMaxF32, w, o, i, 0, 0, start, end, scratch, nil, nil)
		return
	}
	offsets, taps := carve[int32](&scratch, w.taps()), carve[int32](&scratch, w.taps())
	for pixel := start; pixel < end; pixel++ {
		source, n := w.visible(pixel, offsets, taps)
		dst := out[pixel*w.OutStride:][:w.Channels]
		fill(dst, float32(math.Inf(-1)))
		for _, offset := range offsets[:n] {
			x := in[source+int(offset):][:len(dst)]
			for c, v := range x {
				if v > dst[c] || v != v {
					dst[c] = v
				}
			}
		}
	}
}

// AverageWindow is the window of an average pool and what a mean divides by. A global average is a window as large as
// the image.
type AverageWindow struct {
	Window
	// CountPadding divides by the positions in the padded image, of which there are PadBottom and PadRight more at the
	// far sides; otherwise by the positions in the image.
	CountPadding        bool
	PadBottom, PadRight int
}

// count is what the mean of an output pixel divides by, given the number of its taps inside the image.
func (a *AverageWindow) count(pixel, visible int) int {
	if !a.CountPadding {
		return visible
	}
	_, y, x := a.position(pixel)
	// Shift the image by its padding: then the padded image starts at 0, as inside wants it.
	fromY, toY := inside(y*a.StrideHeight, a.DilationHeight, a.KernelHeight, a.PadTop+a.InHeight+a.PadBottom)
	fromX, toX := inside(x*a.StrideWidth, a.DilationWidth, a.KernelWidth, a.PadLeft+a.InWidth+a.PadRight)
	return (toY - fromY) * (toX - fromX)
}

// AveragePoolInt8 is numeric.AverageCode of the codes under the window, per channel; padding counts as real zero, and
// a mean of nothing is real zero. Its pieces are output pixels.
type AveragePoolInt8 struct {
	Vector                     Vector
	Window                     AverageWindow
	Input                      Int8Operand
	Scale                      float32          // of the output
	ZeroPoint, Lowest, Highest int32            // of the output
	Average                    *numeric.Average // instead of all that, in a row of the arithmetics other than onnx
}

// Units is how many pieces the work has.
func (p *AveragePoolInt8) Units() int { return p.Window.pixels() }

// Scratch is how many bytes of scratch Run needs.
func (p *AveragePoolInt8) Scratch() int {
	return max(p.Vector.stripScratch(poolSumUint8, &p.Window.Window),
		2*carved[int32](p.Window.taps())+carved[int32](p.Window.Channels))
}

// Run computes the pieces [start, end).
func (p *AveragePoolInt8) Run(out, in []byte, start, end int, scratch []byte) {
	w := &p.Window
	flip, zero := unsigned(p.Input.Signed, p.Input.ZeroPoint)
	if start < end && p.Vector.hasStrips(poolSumUint8, &w.Window) && zero >= 0 && zero <= math.MaxUint8 {
		o, i := ends(&w.Window, out, in, end)
		all := zero * int32(w.taps()) // padding counts too: it is the zero point
		p.Vector.pool(poolSumUint8, &w.Window, o, i, byte(zero)^flip, flip, start, end, scratch, nil, func(pixel int, sums []int32) {
			for c := range sums {
				sums[c] -= all
			}
			p.finish(out, pixel, w.visibleCount(pixel), sums)
		})
		return
	}
	offsets, taps := carve[int32](&scratch, w.taps()), carve[int32](&scratch, w.taps())
	sums := carve[int32](&scratch, w.Channels)
	for pixel := start; pixel < end; pixel++ {
		source, n := w.visible(pixel, offsets, taps)
		fill(sums, -zero*int32(n))
		for _, offset := range offsets[:n] {
			for c, v := range in[source+int(offset):][:len(sums)] {
				sums[c] += int32(v ^ flip)
			}
		}
		p.finish(out, pixel, n, sums)
	}
}

// finish makes the codes of an output pixel of which n taps are inside the image.
func (p *AveragePoolInt8) finish(out []byte, pixel, n int, sums []int32) {
	w := &p.Window
	count := max(w.count(pixel, n), 1)
	if p.Average != nil {
		for c, sum := range sums {
			out[pixel*w.OutStride+c] = byte(p.Average.Code(int64(sum), count))
		}
		return
	}
	multiplier := [1]float32{numeric.AverageMultiplier(p.Input.Scale, p.Scale, count)}
	requantize(out[pixel*w.OutStride:][:len(sums)], sums, multiplier[:], p.ZeroPoint, p.Lowest, p.Highest)
}

// AveragePoolF32 is the mean of the elements under the window, per channel, added in window order; a mean of nothing
// is 0. Its pieces are output pixels.
type AveragePoolF32 struct {
	Vector Vector
	Window AverageWindow
}

// Units is how many pieces the work has.
func (p *AveragePoolF32) Units() int { return p.Window.pixels() }

// Scratch is how many bytes of scratch Run needs.
func (p *AveragePoolF32) Scratch() int {
	return max(p.Vector.stripScratch(poolAverageF32, &p.Window.Window), 2*carved[int32](p.Window.taps()))
}

// Run computes the pieces [start, end).
func (p *AveragePoolF32) Run(out, in []float32, start, end int, scratch []byte) {
	w := &p.Window
	if start < end && p.Vector.hasStrips(poolAverageF32, &w.Window) {
		o, i := ends(&w.Window, out, in, end)
		p.Vector.pool(poolAverageF32, &w.Window, o, i, 0, 0, start, end, scratch, func(pixel int) int {
			return max(w.count(pixel, w.visibleCount(pixel)), 1)
		}, nil)
		return
	}
	offsets, taps := carve[int32](&scratch, w.taps()), carve[int32](&scratch, w.taps())
	for pixel := start; pixel < end; pixel++ {
		source, n := w.visible(pixel, offsets, taps)
		dst := out[pixel*w.OutStride:][:w.Channels]
		clear(dst)
		for _, offset := range offsets[:n] {
			for c, v := range in[source+int(offset):][:len(dst)] {
				dst[c] += v
			}
		}
		count := float32(max(w.count(pixel, n), 1))
		for c := range dst {
			dst[c] /= count
		}
	}
}
