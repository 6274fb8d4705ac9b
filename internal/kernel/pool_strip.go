package kernel

import (
	"math"
	"unsafe"
)

// poolStrip is one call of a micro-kernel of pools: one vector of channels, or several, of consecutive output pixels of
// one line; see depthwiseStrip.
type poolStrip struct {
	in, pad unsafe.Pointer // the strip's first input line at the channels; as much of what padding is
	offsets *int32         // for each pixel and tap: elements from in; outside the image negative
	out     unsafe.Pointer // elements, or int32 sums
	counts  *float32       // of an average: what each pixel divides by
	outStep int            // bytes from one pixel to the next
	pixels  int            // at least 1
	taps    int            // at least 1
	mask    uint64
	flip    uint32 // of sums: 0 or 0x80 in every byte
	lowest  uint32 // of maxima: that of the type, bytes four times
}

// poolKind is what a pool makes of the elements under its window.
type poolKind uint8

const (
	poolMaxUint8 poolKind = iota
	poolMaxInt8
	poolMaxF32
	poolSumUint8
	poolAverageF32
)

func (k poolKind) elementBytes() int {
	if k == poolMaxF32 || k == poolAverageF32 {
		return 4
	}
	return 1
}

// poolPadding is the bytes of padding that a kernel reads at most: those of four vectors.
const poolPadding = 4 * 64

// sumTaps is how many codes a 16-bit sum holds; there is one more.
const sumTaps = 256

// hasStrips reports whether there are micro-kernels for a window.
func (v Vector) hasStrips(kind poolKind, w *Window) bool {
	return v.kernel != vectorNone && w.taps() > 0 && w.stripPixels()*w.taps() <= 1<<16 && w.fitsStrips() &&
		(v.kernel == vectorAVX512 || w.Channels*kind.elementBytes() >= v.kernel.width())
}

func (v Vector) stripScratch(kind poolKind, w *Window) int {
	if !v.hasStrips(kind, w) {
		return 0
	}
	return carved[int32](w.stripPixels()*w.taps()) + carved[float32](w.stripPixels()) + carved[byte](poolPadding) + 2*carved[int32](w.Channels+64)
}

// stripPixels is the most pixels of a strip: lines need no more.
func (w *Window) stripPixels() int { return min(stripPixels, w.OutWidth) }

// pool makes the pixels [start, end) of a pool by micro-kernels. in and out are as long as the window says. sums, for
// poolSumUint8 alone, takes the sums of one pixel; count, for poolAverageF32 alone, is what a pixel divides by.
func (v Vector) pool(kind poolKind, w *Window, out, in unsafe.Pointer, pad byte, flip byte, start, end int, scratch []byte,
	count func(pixel int) int, sums func(pixel int, sums []int32)) {
	taps, size := w.taps(), kind.elementBytes()
	offsets := carve[int32](&scratch, w.stripPixels()*taps)
	counts := carve[float32](&scratch, w.stripPixels())
	padding := carve[byte](&scratch, poolPadding)
	fill(padding, pad)
	total, part := carve[int32](&scratch, w.Channels+64), carve[int32](&scratch, w.Channels+64)
	s := poolStrip{pad: unsafe.Pointer(&padding[0]), offsets: &offsets[0], counts: &counts[0], taps: taps,
		flip: uint32(flip) * 0x01010101, lowest: uint32(pad) * 0x01010101, outStep: size * w.OutStride}
	if kind == poolMaxF32 {
		s.lowest = math.Float32bits(float32(math.Inf(-1)))
		fill(unsafe.Slice((*float32)(unsafe.Pointer(&padding[0])), poolPadding/4), float32(math.Inf(-1)))
	}
	channels := v.kernel.width() / size
	var have stripWindow
	for start < end {
		want, line := w.strip(start, end)
		if kind == poolSumUint8 {
			want.n = 1
		}
		if want != have {
			w.stripOffsets(offsets, want, taps)
			have = want
		}
		s.pixels = want.n
		if kind == poolAverageF32 {
			for i := range want.n {
				counts[i] = float32(count(start + i))
			}
		}
		for c := 0; c < w.Channels; {
			left := w.Channels - c
			vectors := poolVectors(kind, left/channels)
			masked := left < channels
			if masked && c > 0 { // the last vector overlaps the one before
				c, left, masked = w.Channels-channels, channels, false
			}
			s.mask = math.MaxUint64 >> (64 - min(left, channels))
			s.in = unsafe.Add(in, size*(line*w.InWidth*w.InStride+c))
			if kind == poolSumUint8 {
				s.out = unsafe.Pointer(&total[c])
				s.taps = min(taps, sumTaps)
			} else {
				s.out = unsafe.Add(out, size*(start*w.OutStride+c))
			}
			s.offsets = &offsets[0]
			v.kernel.pool(kind, masked, vectors, &s)
			if kind == poolSumUint8 {
				for tap := sumTaps; tap < taps; tap += sumTaps {
					s.offsets, s.taps, s.out = &offsets[tap], min(taps-tap, sumTaps), unsafe.Pointer(&part[c])
					v.kernel.pool(kind, masked, 1, &s)
					for i := c; i < min(c+channels, w.Channels); i++ {
						total[i] += part[i]
					}
				}
			}
			c += vectors * channels
		}
		if kind == poolSumUint8 {
			sums(start, total[:w.Channels])
		}
		start += want.n
	}
}

// poolVectors is how many vectors of channels, of so many whole ones that are left, are done at once.
func poolVectors(kind poolKind, left int) int {
	vectors := min(left, mostPoolVectors)
	switch {
	case kind == poolSumUint8 || vectors < 2:
		return 1
	case vectors < 4:
		return 2
	}
	return 4
}

// visibleCount is how many taps of an output pixel lie inside the image.
func (w *Window) visibleCount(pixel int) int {
	_, y, x := w.position(pixel)
	fromY, toY := inside(y*w.StrideHeight-w.PadTop, w.DilationHeight, w.KernelHeight, w.InHeight)
	fromX, toX := inside(x*w.StrideWidth-w.PadLeft, w.DilationWidth, w.KernelWidth, w.InWidth)
	return (toY - fromY) * (toX - fromX)
}

// ends are pointers to the first elements of the output and input of a window, after checking that they are as long as
// the window says: assembly does not.
func ends[T byte | float32](w *Window, out, in []T, end int) (o, i unsafe.Pointer) {
	_ = in[(w.Batch*w.InHeight*w.InWidth-1)*w.InStride+w.Channels-1]
	_ = out[(end-1)*w.OutStride+w.Channels-1]
	return unsafe.Pointer(&out[0]), unsafe.Pointer(&in[0])
}
