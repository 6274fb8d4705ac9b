package kernel

import (
	"math"

	"github.com/octet-nn/octet/internal/cpu"
)

// depthwiseStrip is one call of a micro-kernel: a block of up to 64 channels of consecutive output pixels of one line.
// Assembly reads it by field names.
type depthwiseStrip struct {
	in, pad    *byte  // the strip's first input line at the block's channels; 64 bytes of the input's zero point
	offsets    *int32 // for each pixel and tap, padded to whole steps: bytes from in; outside the image negative
	weights    *byte
	bias, sums *int32 // of the block's channels, readable up to its width; sums of the weights
	multiplier *float32
	out        *byte // codes or, if exact, int32 sums
	outStep    int   // bytes from one pixel to the next
	pixels     int   // at least 1
	steps      int   // of 4 or 2 taps, at least 1
	mask       uint64
	flip       uint32 // 0 or 0x80 in every byte
	zero       int32  // of the flipped input
	bound      float32
	zeroPoints uint32 // of the output, twice
	lowest     uint32 // codes, four times
	highest    uint32
	signed     bool // the output's codes are s8
	exact      bool // sums are wanted, not codes

	// Of a kernel that goes along columns, instead of in, offsets, pixels and steps: the first visible code of three
	// input lines, and bytes from one column to the next; padding is pad and 0. Columns before, in and after the image.
	lines     [3]*byte
	lineSteps [3]int
	columns   [3]int
}

// depthwiseBlock is a run of channels that strips have in common. The last blocks of two may overlap.
type depthwiseBlock struct {
	channel, width int
	masked         bool
	mask           uint64
	weights        int // where they begin
}

// depthwiseStrips is weights as a row of the table reads them; the zero one has no blocks.
type depthwiseStrips struct {
	kernel  stripKernel
	tier    cpu.Tier
	taps    int // of a step
	steps   int
	blocks  []depthwiseBlock
	groups  []int // of blocks
	weights []byte
	columns []byte  // the weights of a 3×3 window by columns, or nil
	sums    []int32 // per channel, the last block's padded to its width
}

const (
	stripPixels   = 512 // the most that one strip has
	maxStripWidth = 64  // the most channels of a block
	sumPixels     = 32  // the most whose sums are kept
)

// newDepthwiseStrips packs for the best row that the tier includes, that has the weights' range, and that has blocks
// for so many channels.
func newDepthwiseStrips(tier cpu.Tier, p *PackedDepthwiseInt8, height, width int) depthwiseStrips {
	taps := height * width
	if p.multiplier != 1 || taps == 0 {
		return depthwiseStrips{}
	}
	narrow := true
	for _, w := range p.weights {
		narrow = narrow && w == int16(int8(w))
	}
	for i := range depthwiseInt8Table {
		row := &depthwiseInt8Table[i]
		if !tier.Includes(row.Tier) || row.strip == stripNone || row.Taps == 4 && !narrow {
			continue
		}
		if blocks := stripBlocks(p.channels, row.Width, 16, row.Masked); blocks != nil {
			s := depthwiseStrips{kernel: row.strip, tier: row.Tier, taps: row.Taps, steps: divideUp(taps, row.Taps), blocks: blocks, groups: groupBlocks(blocks)}
			s.weights = s.pack(p, func(step, i int) int {
				if tap := step*s.taps + i; tap < taps {
					return tap
				}
				return -1
			})
			if row.Taps == 4 && height == 3 && width == 3 {
				s.columns = s.pack(p, func(column, line int) int {
					if line < 3 {
						return 3*line + column
					}
					return -1
				})
			}
			s.sum(p)
			return s
		}
	}
	return depthwiseStrips{}
}

// stripBlocks divides channels into blocks of widths between the narrowest and the widest, powers of two: as many as
// possible of the widest, then one whose other channels are masked or, without masks, done twice. There are none for
// so few channels that they would have to be masked.
func stripBlocks(channels, widest, narrowest int, masked bool) []depthwiseBlock {
	var blocks []depthwiseBlock
	for channel := 0; channel < channels; {
		left, width := channels-channel, widest
		for width > narrowest && left <= width/2 {
			width /= 2
		}
		if left < width && !masked {
			for width > channels {
				width /= 2
			}
			if width < narrowest {
				return nil
			}
			if left < width {
				channel, left = channels-width, width
			}
		}
		mask := uint64(math.MaxUint64) >> (64 - min(left, width))
		blocks = append(blocks, depthwiseBlock{channel: channel, width: width, masked: left < width, mask: mask})
		channel += width
	}
	return blocks
}

func (s *depthwiseStrips) bytes() int { return len(s.weights) + len(s.columns) + 4*len(s.sums) }

// pack orders each block's weights as step, quarter of each 16 channels, 16 channels, channel of the quarter, tap of
// the step. That is how interleaving the codes of a step's taps orders them; see the generator. tap is the i-th tap of a
// step; it is negative where there are no more.
func (s *depthwiseStrips) pack(p *PackedDepthwiseInt8, tap func(step, i int) int) (packed []byte) {
	for i := range s.blocks {
		b := &s.blocks[i]
		b.weights = len(packed)
		for step := range s.steps {
			for quarter := range 4 {
				for lane := 0; lane < b.width; lane += 16 {
					for c := lane + 4*quarter; c < lane+4*quarter+4; c++ {
						for i := range s.taps {
							w := int16(0)
							if t := tap(step, i); t >= 0 && b.channel+c < p.channels {
								w = p.weights[t*p.channels+b.channel+c]
							}
							packed = append(packed, byte(w))
							if s.taps < 4 {
								packed = append(packed, byte(w>>8))
							}
						}
					}
				}
			}
		}
	}
	return packed
}

// sum adds up the weights of each channel.
func (s *depthwiseStrips) sum(p *PackedDepthwiseInt8) {
	last := s.blocks[len(s.blocks)-1]
	s.sums = make([]int32, last.channel+last.width)
	for i, w := range p.weights {
		s.sums[i%p.channels] += int32(w)
	}
}

// hasStrips reports whether the micro-kernels can do the convolution: the input's zero point must be a code, so that
// padding can be written as one.
func (d *DepthwiseInt8) hasStrips() bool {
	lowest, highest := int32(0), int32(math.MaxUint8)
	if d.Signed {
		lowest, highest = math.MinInt8, math.MaxInt8
	}
	return len(d.Weights.strips.blocks) > 0 && d.ZeroPoint >= lowest && d.ZeroPoint <= highest && d.Window.fitsStrips()
}

// fitsStrips reports whether there are input pixels, and offsets within a window's lines are int32.
func (w *Window) fitsStrips() bool {
	return w.InHeight*w.InWidth > 0 && w.KernelHeight*w.DilationHeight*w.InWidth*w.InStride <= math.MaxInt32
}

func (d *DepthwiseInt8) stripScratch() int {
	if !d.hasStrips() {
		return 0
	}
	s := &d.Weights.strips
	return carved[int32](stripPixels*s.steps*s.taps) + carved[int32](sumPixels*maxStripWidth) + 2*carved[int32](maxStripWidth) + carved[byte](maxStripWidth)
}

// runStrips is Run by micro-kernels.
func (d *DepthwiseInt8) runStrips(out Destination, in []byte, start, end int, scratch []byte) {
	w, p := &d.Window, &d.Weights.strips
	if start >= end {
		return
	}
	// Assembly does not check: a slice that is too short panics here.
	_ = in[(w.Batch*w.InHeight*w.InWidth-1)*w.InStride+w.Channels-1]
	if out.Codes != nil {
		_ = out.Codes[w.lastPixel(end, p.groups)*w.OutStride+w.Channels-1]
	}
	perPixel := p.steps * p.taps
	offsets := carve[int32](&scratch, stripPixels*perPixel)
	sums := carve[int32](&scratch, sumPixels*maxStripWidth)
	bias := carve[int32](&scratch, maxStripWidth)
	multiplier := carve[float32](&scratch, maxStripWidth)
	pad := carve[byte](&scratch, maxStripWidth)
	fill(pad, byte(d.ZeroPoint))
	strip := depthwiseStrip{pad: &pad[0], steps: p.steps, zero: d.ZeroPoint, exact: !d.Epilogue.fitsBytes(out)}
	if d.Signed {
		strip.flip, strip.zero = 0x80808080, d.ZeroPoint+128
	}
	d.Epilogue.describe(&strip)
	fixed, isFixed := newFixedTile(&d.Epilogue, p.tier, out)
	fixed.sums = sums
	var sumStarts [sumPixels]int
	byColumns := p.columns != nil && w.DilationHeight == 1 && w.DilationWidth == 1 && w.StrideWidth <= 2
	weights, stride := p.weights, 0
	if byColumns {
		weights, stride = p.columns, w.StrideWidth
	}
	var have stripWindow
	for start < end {
		pixel, group, most := w.stripUnit(start, end, p.groups)
		want, line := w.strip(pixel, pixel+most)
		if !byColumns && want != have {
			w.stripOffsets(offsets, want, perPixel)
			have = want
		}
		n := want.n
		for i := range p.blocks[p.groups[group]:p.groups[group+1]] {
			b := &p.blocks[p.groups[group]+i]
			strip.in = &in[line*w.InWidth*w.InStride+b.channel]
			strip.weights, strip.sums, strip.mask = &weights[b.weights], &p.sums[b.channel], b.mask
			strip.bias = padded(d.Epilogue.Bias, b.channel, b.width, bias)
			strip.multiplier = &multiplier[0]
			at := pixel*w.OutStride + b.channel
			if !strip.exact {
				strip.multiplier = padded(d.Epilogue.Multiplier, b.channel, b.width, multiplier)
				strip.out, strip.outStep = &out.Codes[at], w.OutStride
				strip.offsets, strip.pixels = &offsets[0], n
				if byColumns {
					w.stripColumns(&strip, in, pixel, n, b.channel)
				}
				b.run(p.kernel, stride, &strip)
				continue
			}
			strip.out, strip.outStep = bytesOf(sums), 4*b.width
			channels := min(b.width, w.Channels-b.channel)
			for first := 0; first < n; first += sumPixels {
				strip.offsets, strip.pixels = &offsets[first*perPixel], min(sumPixels, n-first)
				if byColumns {
					w.stripColumns(&strip, in, pixel+first, strip.pixels, b.channel)
				}
				b.run(p.kernel, stride, &strip)
				if isFixed {
					for i := range strip.pixels {
						sumStarts[i] = (first + i) * w.OutStride
					}
					fixed.of(d.Epilogue.Fixed, b.channel, channels)
					fixed.stride, fixed.rows, fixed.outStarts = b.width, strip.pixels, sumStarts[:]
					fixed.out = out.Codes[at : at+sumStarts[strip.pixels-1]+channels]
					fixed.run()
					continue
				}
				for i := range strip.pixels {
					d.Epilogue.apply(out, at+(first+i)*w.OutStride, b.channel, sums[i*b.width:][:channels])
				}
			}
		}
		start += n
	}
}

// The pieces of a depthwise convolution by micro-kernels are pixels of blocks of channels: for each line, for each
// group of blocks, its pixels. Groups are one block, or two that overlap.

// groupBlocks is where groups of blocks begin, and after the last how many blocks there are.
func groupBlocks(blocks []depthwiseBlock) []int {
	var starts []int
	for i, b := range blocks {
		if i == 0 || b.channel == blocks[i-1].channel+blocks[i-1].width {
			starts = append(starts, i)
		}
	}
	return append(starts, len(blocks))
}

// stripUnit is the output pixel and the group of a piece, and how many pieces before end are next to it in its line.
func (w *Window) stripUnit(unit, end int, groups []int) (pixel, group, count int) {
	n := len(groups) - 1
	x := unit % w.OutWidth
	rest := unit / w.OutWidth
	return rest/n*w.OutWidth + x, rest % n, min(end-unit, w.OutWidth-x)
}

// lastPixel is the last output pixel of the pieces before end.
func (w *Window) lastPixel(end int, groups []int) int {
	n := len(groups) - 1
	if lines := divideUp(end, w.OutWidth*n); lines*w.OutWidth*n > end {
		return lines*w.OutWidth - 1
	}
	return end/n - 1
}

// stripWindow is what the offsets of a strip depend on: the kernel's lines inside the image, and its output pixels.
type stripWindow struct{ from, to, x, n int }

// strip is the strip that begins at an output pixel, and the input line that its offsets count from.
func (w *Window) strip(start, end int) (s stripWindow, line int) {
	image, y, x := w.position(start)
	top := y*w.StrideHeight - w.PadTop
	s.from, s.to = inside(top, w.DilationHeight, w.KernelHeight, w.InHeight)
	s.x, s.n = x, min(end-start, w.OutWidth-x, stripPixels)
	line = image * w.InHeight
	if s.from < s.to {
		line += top + s.from*w.DilationHeight
	}
	return s, line
}

// stripColumns says what a kernel that goes along columns reads for n pixels of a line.
func (w *Window) stripColumns(s *depthwiseStrip, in []byte, pixel, n, channel int) {
	image, y, x := w.position(pixel)
	left := x*w.StrideWidth - w.PadLeft
	all := (n-1)*w.StrideWidth + 3
	before := min(max(-left, 0), all)
	visible := max(min(left+all, w.InWidth)-max(left, 0), 0)
	s.columns = [3]int{before, visible, all - before - visible}
	for i := range s.lines {
		line := y*w.StrideHeight - w.PadTop + i
		s.lines[i], s.lineSteps[i] = s.pad, 0
		if visible > 0 && line >= 0 && line < w.InHeight {
			s.lines[i] = &in[((image*w.InHeight+line)*w.InWidth+max(left, 0))*w.InStride+channel]
			s.lineSteps[i] = w.InStride
		}
	}
}

// stripOffsets lists, for every pixel of a strip and every tap, padded to perPixel, where the input pixel is from the
// first visible line on; outside the image it is negative.
func (w *Window) stripOffsets(offsets []int32, s stripWindow, perPixel int) {
	for x := s.x; x < s.x+s.n; x++ {
		list := offsets[:perPixel]
		offsets = offsets[perPixel:]
		fill(list, -1)
		left := x*w.StrideWidth - w.PadLeft
		from, to := inside(left, w.DilationWidth, w.KernelWidth, w.InWidth)
		for ky := s.from; ky < s.to; ky++ {
			line := (ky - s.from) * w.DilationHeight * w.InWidth
			for kx := from; kx < to; kx++ {
				list[ky*w.KernelWidth+kx] = int32((line + left + kx*w.DilationWidth) * w.InStride)
			}
		}
	}
}

// padded is where values of n channels from channel on begin: in values, or in buffer if there are too few. No values
// are zeros, a single one is that of every channel.
func padded[T int32 | float32](values []T, channel, n int, buffer []T) *T {
	switch {
	case len(values) == 0:
		clear(buffer[:n])
	case len(values) == 1:
		fill(buffer[:n], values[0])
	case len(values)-channel >= n:
		return &values[channel]
	default:
		clear(buffer[copy(buffer, values[channel:]):n])
	}
	return &buffer[0]
}

// fitsBytes reports whether an epilogue is one that vectors of bytes can do: to 8-bit codes, by multipliers that make
// no NaN and no overflow.
func (e *Epilogue) fitsBytes(out Destination) bool {
	if out.Codes == nil || e.Requantizer != nil || !fitsBytes(e.ZeroPoint, e.Lowest, e.Highest) {
		return false
	}
	for _, m := range e.Multiplier {
		if !isModerate(m) {
			return false
		}
	}
	return true
}

// describe says to a strip how codes are made; see fitsBytes.
func (e *Epilogue) describe(s *depthwiseStrip) {
	var r codesRun
	r.limit(e.ZeroPoint, e.Lowest, e.Highest)
	s.bound, s.zeroPoints, s.lowest, s.highest, s.signed = r.bound, r.zeroPoints, r.lowest, r.highest, r.signed
}
