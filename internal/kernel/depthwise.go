package kernel

import "github.com/octet-nn/octet/internal/cpu"

// depthwiseInt8Row is one micro-kernel of integer depthwise convolutions.
type depthwiseInt8Row struct {
	Name string
	Tier cpu.Tier

	// Of rows that do strips; see depthwiseStrip.
	Width  int  // the most channels of a block: 16, 32 or 64
	Taps   int  // how many taps of one channel lie together in packed weights: 4 as s8, 2 or 1 as s16
	Masked bool // there are kernels for the first few channels of a block
	strip  stripKernel
}

func (r *depthwiseInt8Row) needs() cpu.Tier { return r.Tier }

// depthwiseInt8Table is ordered from best to plain Go, which computes pixel by pixel.
var depthwiseInt8Table = append(depthwiseInt8Assembly(), depthwiseInt8Row{Name: "qu8s16_dwconv__generic", Tier: cpu.Generic})

// depthwiseF32Row is one micro-kernel of float depthwise convolutions.
type depthwiseF32Row struct {
	Name string
	Tier cpu.Tier

	// Of rows that do strips; see depthwiseStripF32.
	Width  int  // the most channels of a block; half as many is the least
	Masked bool // there are kernels for the first few channels of a block
	strip  stripKernel
}

func (r *depthwiseF32Row) needs() cpu.Tier { return r.Tier }

// depthwiseF32Table is ordered from best to plain Go.
var depthwiseF32Table = append(depthwiseF32Assembly(), depthwiseF32Row{Name: "f32_dwconv__generic", Tier: cpu.Generic})

// PackedDepthwiseInt8 is the weights of an integer depthwise convolution, taps outermost, zero points taken away, and
// the same once more as the row of the tier reads them.
type PackedDepthwiseInt8 struct {
	channels   int
	multiplier int
	weights    []int16
	strips     depthwiseStrips
}

// PackDepthwiseInt8 packs weights for DepthwiseInt8. The filter has one input channel a group; Outputs/Groups is the
// channel multiplier.
func (s Set) PackDepthwiseInt8(w Int8Weights) *PackedDepthwiseInt8 {
	p := &PackedDepthwiseInt8{channels: w.Outputs, multiplier: w.perGroup(), weights: make([]int16, w.Height*w.Width*w.Outputs)}
	packDepthwise(p.weights, &w.Filter, func(at, channel int) int16 {
		v := int32(w.Data[at])
		if w.Signed {
			v = int32(int8(w.Data[at]))
		}
		return int16(v - w.zeroPoint(channel))
	})
	p.strips = newDepthwiseStrips(s.tier, p, w.Height, w.Width)
	return p
}

// Bytes is the memory that the packed weights take.
func (p *PackedDepthwiseInt8) Bytes() int { return 2*len(p.weights) + p.strips.bytes() }

// packDepthwise orders weights with a multiplier of m as m planes of (tap, group): plane q holds output channels
// q, q+m, q+2m …, so that within a plane neighbouring weights belong to neighbouring input channels.
func packDepthwise[T int16 | float32](dst []T, f *Filter, weight func(at, channel int) T) {
	i := 0
	for q := range f.perGroup() {
		for y := range f.Height {
			for x := range f.Width {
				for group := range f.Groups {
					channel := group*f.perGroup() + q
					dst[i] = weight(f.at(group, q, y, x), channel)
					i++
				}
			}
		}
	}
}

// DepthwiseInt8 is a convolution in which every output channel sees one input channel: output channel c sees input
// channel c/multiplier. What lies outside the image is the input's zero point. Its pieces are output pixels, of all
// channels or of some.
type DepthwiseInt8 struct {
	Weights   *PackedDepthwiseInt8
	Window    Window
	Signed    bool
	ZeroPoint int32 // of the input
	Epilogue  Epilogue
}

// Units is how many pieces the work has.
func (d *DepthwiseInt8) Units() int {
	if d.hasStrips() {
		return d.Window.pixels() * (len(d.Weights.strips.groups) - 1)
	}
	return d.Window.pixels() * d.Window.plainBlocks()
}

// Scratch is how many bytes of scratch Run needs.
func (d *DepthwiseInt8) Scratch() int {
	return max(d.stripScratch(),
		carved[int32](d.Window.Channels)+carved[int32](d.Weights.channels)+2*carved[int32](d.Window.taps()))
}

// Run computes the pieces [start, end).
func (d *DepthwiseInt8) Run(out Destination, in []byte, start, end int, scratch []byte) {
	w, p := &d.Window, d.Weights
	if d.hasStrips() {
		d.runStrips(out, in, start, end, scratch)
		return
	}
	acc := carve[int32](&scratch, w.Channels)
	sums := carve[int32](&scratch, p.channels)
	offsets := carve[int32](&scratch, w.taps())
	taps := carve[int32](&scratch, w.taps())
	flip, zero := byte(0), d.ZeroPoint
	if d.Signed {
		flip, zero = 0x80, zero+128
	}
	plane := w.taps() * w.Channels
	for start < end {
		pixel, first, last, next := w.plainPart(start, end)
		start = next
		source, n := w.visible(pixel, offsets, taps)
		acc, channel := acc[:last-first], first*p.multiplier
		sums := sums[:len(acc)*p.multiplier]
		if p.multiplier == 1 {
			sums = acc
		}
		for q := range p.multiplier {
			clear(acc)
			depthwisePixelInt8(acc, in[source+first:], flip, zero, offsets[:n], taps[:n], p.weights[q*plane:][first:plane])
			if p.multiplier > 1 {
				spread(sums[q:], acc, p.multiplier)
			}
		}
		if bias := d.Epilogue.Bias; bias != nil {
			for c, b := range bias[channel:][:len(sums)] {
				sums[c] += b
			}
		}
		d.Epilogue.apply(out, pixel*w.OutStride+channel, channel, sums)
	}
}

// plainBlocks is how many blocks of channels plain Go divides pixels into: of 7×7 there are too few to share evenly.
func (w *Window) plainBlocks() int {
	const enough, channels = 16 * 64, 64
	if w.pixels() >= enough {
		return 1
	}
	return max(divideUp(w.Channels, channels), 1)
}

// plainPart is the first pixel of the pieces [start, end), and which of its channels belong to them; next is the piece
// after these.
func (w *Window) plainPart(start, end int) (pixel, first, last, next int) {
	blocks := w.plainBlocks()
	pixel = start / blocks
	next = min(end, (pixel+1)*blocks)
	return pixel, (start - pixel*blocks) * w.Channels / blocks, (next - pixel*blocks) * w.Channels / blocks, next
}

// spread writes src to every step-th element of dst.
func spread[T any](dst, src []T, step int) {
	for i, v := range src {
		dst[i*step] = v
	}
}

// visible lists the taps of an output pixel that lie inside the image: where the input pixel is, in elements from the
// start of the image that begins at source, and where the tap's weights are, in elements.
func (w *Window) visible(pixel int, offsets, taps []int32) (source, n int) {
	image, y, x := w.position(pixel)
	top, left := y*w.StrideHeight-w.PadTop, x*w.StrideWidth-w.PadLeft
	fromY, toY := inside(top, w.DilationHeight, w.KernelHeight, w.InHeight)
	fromX, toX := inside(left, w.DilationWidth, w.KernelWidth, w.InWidth)
	for ky := fromY; ky < toY; ky++ {
		line := (top + ky*w.DilationHeight) * w.InWidth
		for kx := fromX; kx < toX; kx++ {
			offsets[n] = int32((line + left + kx*w.DilationWidth) * w.InStride)
			taps[n] = int32((ky*w.KernelWidth + kx) * w.Channels)
			n++
		}
	}
	return image * w.InHeight * w.InWidth * w.InStride, n
}

// PackedDepthwiseF32 is the weights of a float depthwise convolution, taps outermost.
type PackedDepthwiseF32 struct {
	channels   int
	multiplier int
	weights    []float32
	strips     depthwiseStripsF32
}

// PackDepthwiseF32 packs weights for DepthwiseF32; see PackDepthwiseInt8.
func (s Set) PackDepthwiseF32(w F32Weights) *PackedDepthwiseF32 {
	p := &PackedDepthwiseF32{channels: w.Outputs, multiplier: w.perGroup(), weights: make([]float32, w.Height*w.Width*w.Outputs)}
	packDepthwise(p.weights, &w.Filter, func(at, _ int) float32 { return w.Data[at] })
	p.strips = newDepthwiseStripsF32(s.tier, p, w.Height*w.Width)
	return p
}

// Bytes is the memory that the packed weights take.
func (p *PackedDepthwiseF32) Bytes() int { return 4 * (len(p.weights) + len(p.strips.weights)) }

// DepthwiseF32 is the float form of DepthwiseInt8, with the same pieces.
type DepthwiseF32 struct {
	Weights  *PackedDepthwiseF32
	Window   Window
	Epilogue EpilogueF32
}

// Units is how many pieces the work has.
func (d *DepthwiseF32) Units() int {
	if d.hasStrips() {
		return d.Window.pixels() * (len(d.Weights.strips.groups) - 1)
	}
	return d.Window.pixels() * d.Window.plainBlocks()
}

// Scratch is how many bytes of scratch Run needs.
func (d *DepthwiseF32) Scratch() int {
	return max(d.stripScratch(),
		carved[float32](d.Window.Channels)+carved[float32](d.Weights.channels)+2*carved[int32](d.Window.taps()))
}

// Run computes the pieces [start, end).
func (d *DepthwiseF32) Run(out, in []float32, start, end int, scratch []byte) {
	w, p := &d.Window, d.Weights
	if d.hasStrips() {
		d.runStrips(out, in, start, end, scratch)
		return
	}
	acc := carve[float32](&scratch, w.Channels)
	sums := carve[float32](&scratch, p.channels)
	offsets := carve[int32](&scratch, w.taps())
	taps := carve[int32](&scratch, w.taps())
	plane := w.taps() * w.Channels
	for start < end {
		pixel, first, last, next := w.plainPart(start, end)
		start = next
		source, n := w.visible(pixel, offsets, taps)
		acc, channel := acc[:last-first], first*p.multiplier
		sums := sums[:len(acc)*p.multiplier]
		if p.multiplier == 1 {
			sums = acc
		}
		for q := range p.multiplier {
			clear(acc)
			if bias := d.Epilogue.Bias; bias != nil {
				for c := range acc {
					acc[c] = bias[channel+c*p.multiplier+q]
				}
			}
			depthwisePixelF32(acc, in[source+first:], offsets[:n], taps[:n], p.weights[q*plane:][first:plane])
			if p.multiplier > 1 {
				spread(sums[q:], acc, p.multiplier)
			}
		}
		d.Epilogue.apply(out[pixel*w.OutStride+channel:][:len(sums)], sums)
	}
}

// depthwisePixelInt8 adds to acc, for each channel c, the products (in[offsets[i]+c]^flip − zero)·weights[taps[i]+c]
// over all i.
func depthwisePixelInt8(acc []int32, in []byte, flip byte, zero int32, offsets, taps []int32, weights []int16) {
	n := len(acc)
	for len(offsets) >= 3 {
		x0, x1, x2 := in[offsets[0]:][:n], in[offsets[1]:][:n], in[offsets[2]:][:n]
		w0, w1, w2 := weights[taps[0]:][:n], weights[taps[1]:][:n], weights[taps[2]:][:n]
		for c := range acc {
			acc[c] += (int32(x0[c]^flip)-zero)*int32(w0[c]) + (int32(x1[c]^flip)-zero)*int32(w1[c]) +
				(int32(x2[c]^flip)-zero)*int32(w2[c])
		}
		offsets, taps = offsets[3:], taps[3:]
	}
	for i, offset := range offsets {
		x, w := in[offset:][:n], weights[taps[i]:][:n]
		for c := range acc {
			acc[c] += (int32(x[c]^flip) - zero) * int32(w[c])
		}
	}
}

// depthwisePixelF32 adds to acc, for each channel c, the products in[offsets[i]+c]·weights[taps[i]+c] over all i in
// order.
func depthwisePixelF32(acc, in []float32, offsets, taps []int32, weights []float32) {
	n := len(acc)
	for len(offsets) >= 3 {
		x0, x1, x2 := in[offsets[0]:][:n], in[offsets[1]:][:n], in[offsets[2]:][:n]
		w0, w1, w2 := weights[taps[0]:][:n], weights[taps[1]:][:n], weights[taps[2]:][:n]
		for c, s := range acc {
			s += float32(x0[c] * w0[c])
			s += float32(x1[c] * w1[c])
			s += float32(x2[c] * w2[c])
			acc[c] = s
		}
		offsets, taps = offsets[3:], taps[3:]
	}
	for i, offset := range offsets {
		x, w := in[offset:][:n], weights[taps[i]:][:n]
		for c := range acc {
			acc[c] += float32(x[c] * w[c])
		}
	}
}
