package kernel

import "github.com/octet-nn/octet/internal/cpu"

// depthwiseStripF32 is the float form of depthwiseStrip.
type depthwiseStripF32 struct {
	in, pad         *float32 // the strip's first input line at the block's channels; zeros, as many as a block has channels
	offsets         *int32   // for each pixel and tap: elements from in; outside the image negative
	weights, bias   *float32 // readable up to the block's width
	out             *float32
	outStep         int // bytes from one pixel to the next
	pixels          int // at least 1
	taps            int // at least 1
	mask            uint32
	least, greatest float32
}

// depthwiseStripsF32 is weights as a row of the table reads them; the zero one has no blocks.
type depthwiseStripsF32 struct {
	kernel  stripKernel
	taps    int
	blocks  []depthwiseBlock
	groups  []int // of blocks
	weights []float32
}

// newDepthwiseStripsF32 packs for the best row that the tier includes and that has blocks for so many channels.
// Weights that are no numbers are left to plain Go: padding is multiplied too.
func newDepthwiseStripsF32(tier cpu.Tier, p *PackedDepthwiseF32, taps int) depthwiseStripsF32 {
	if p.multiplier != 1 || taps == 0 {
		return depthwiseStripsF32{}
	}
	for _, w := range p.weights {
		if w-w != 0 {
			return depthwiseStripsF32{}
		}
	}
	for i := range depthwiseF32Table {
		row := &depthwiseF32Table[i]
		if !tier.Includes(row.Tier) || row.strip == stripNone {
			continue
		}
		if blocks := stripBlocks(p.channels, row.Width, row.Width/2, row.Masked); blocks != nil {
			s := depthwiseStripsF32{kernel: row.strip, taps: taps, blocks: blocks, groups: groupBlocks(blocks)}
			s.pack(p)
			return s
		}
	}
	return depthwiseStripsF32{}
}

// pack orders each block's weights as tap, channel.
func (s *depthwiseStripsF32) pack(p *PackedDepthwiseF32) {
	for i := range s.blocks {
		b := &s.blocks[i]
		b.weights = len(s.weights)
		s.weights = append(s.weights, make([]float32, s.taps*b.width)...)
		for tap := range s.taps {
			channels := p.weights[tap*p.channels:][:p.channels]
			copy(s.weights[b.weights+tap*b.width:][:b.width], channels[b.channel:])
		}
	}
}

// hasStrips reports whether the micro-kernels can do the convolution.
func (d *DepthwiseF32) hasStrips() bool {
	return len(d.Weights.strips.blocks) > 0 && d.Window.fitsStrips()
}

func (d *DepthwiseF32) stripScratch() int {
	if !d.hasStrips() {
		return 0
	}
	return carved[int32](stripPixels*d.Weights.strips.taps) + 2*carved[float32](maxStripWidth)
}

// runStrips is Run by micro-kernels.
func (d *DepthwiseF32) runStrips(out, in []float32, start, end int, scratch []byte) {
	w, p := &d.Window, &d.Weights.strips
	if start >= end {
		return
	}
	// Assembly does not check: a slice that is too short panics here.
	_ = in[(w.Batch*w.InHeight*w.InWidth-1)*w.InStride+w.Channels-1]
	_ = out[w.lastPixel(end, p.groups)*w.OutStride+w.Channels-1]
	offsets := carve[int32](&scratch, stripPixels*p.taps)
	bias := carve[float32](&scratch, maxStripWidth)
	pad := carve[float32](&scratch, maxStripWidth)
	clear(pad)
	strip := depthwiseStripF32{pad: &pad[0], offsets: &offsets[0], outStep: 4 * w.OutStride, taps: p.taps,
		least: d.Epilogue.Least, greatest: d.Epilogue.Greatest}
	var have stripWindow
	for start < end {
		pixel, group, most := w.stripUnit(start, end, p.groups)
		want, line := w.strip(pixel, pixel+most)
		if want != have {
			w.stripOffsets(offsets, want, p.taps)
			have = want
		}
		strip.pixels = want.n
		for i := range p.blocks[p.groups[group]:p.groups[group+1]] {
			b := &p.blocks[p.groups[group]+i]
			strip.in = &in[line*w.InWidth*w.InStride+b.channel]
			strip.weights, strip.mask = &p.weights[b.weights], uint32(b.mask)
			strip.bias = padded(d.Epilogue.Bias, b.channel, b.width, bias)
			strip.out = &out[pixel*w.OutStride+b.channel]
			b.runF32(p.kernel, &strip)
		}
		start += want.n
	}
}
