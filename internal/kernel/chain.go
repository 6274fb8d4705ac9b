package kernel

// Chain is convolutions and pools that follow each other, computed a few output lines at a time: what one hands to the next stays
// in a cache, and in that of the processor that made it. A MobileNet's expansion, depthwise convolution and projection
// read and write six times as much between them as at their ends.
//
// Its pieces are lines of the output. Every element is the sum that the convolutions one after another would make, so
// the bits are theirs.
type Chain[T byte | float32] struct {
	stages  []ChainStage[T]
	windows []Window
	lines   int   // of the output that are computed at once
	held    []int // by stage but the last: the most lines of its output that are kept
}

// ChainStage is a convolution or pool that a Chain can do: *ConvF32, *DepthwiseF32, *MaxPoolF32, *MaxPoolInt8, or *ConvInt8
// or *DepthwiseInt8 that hands out codes.
type ChainStage[T byte | float32] interface {
	// window is the whole convolution's.
	window() *Window
	// linesScratch is how many bytes of scratch runLines needs for a window.
	linesScratch(w Window) int
	// runLines computes the convolution with another window, whose first output pixel is the given one of the whole.
	runLines(out, in []T, w Window, pixel int, scratch []byte)
}

const maxChain = 3

// ChainState is what a goroutine keeps between calls of Chain.Run in the same run, to go on where it was.
type ChainState struct {
	next  int // the line after those of the last call; 0 says that nothing is held
	lines [maxChain - 1]heldLines
}

// heldLines are lines [from, to) of a stage's output in an image.
type heldLines struct{ from, to int }

// NewChain plans the stages, each of which reads what the one before writes, with as many lines at a time as keep what
// is handed on within the given bytes of a cache. ok is false if there are not two or three stages, or if a window lies
// entirely outside the image.
func NewChain[T byte | float32](cache int, stages ...ChainStage[T]) (c *Chain[T], ok bool) {
	if len(stages) < 2 || len(stages) > maxChain {
		return nil, false
	}
	c = &Chain[T]{stages: stages, windows: make([]Window, len(stages)), held: make([]int, len(stages)-1)}
	for i, s := range stages {
		w := *s.window()
		if w.taps() == 0 || w.OutHeight <= 0 || w.OutWidth <= 0 || w.InHeight <= 0 || w.InWidth <= 0 ||
			w.PadTop >= w.extent() || (w.OutHeight-1)*w.StrideHeight-w.PadTop >= w.InHeight {
			return nil, false
		}
		if i > 0 {
			before := &c.windows[i-1]
			if w.Batch != before.Batch || w.InHeight != before.OutHeight || w.InWidth != before.OutWidth || w.InStride != before.OutStride {
				return nil, false
			}
		}
		c.windows[i] = w
	}
	last := &c.windows[len(stages)-1]
	for c.lines = last.OutHeight; ; c.lines = divideUp(c.lines, 2) {
		if c.hold(c.lines) <= cache || c.lines == 1 {
			break
		}
	}
	for c.lines < last.OutHeight && c.hold(c.lines+1) <= cache {
		c.lines++
	}
	c.hold(c.lines)
	return c, true
}

// extent is how many input lines a window reaches over.
func (w *Window) extent() int { return (w.KernelHeight-1)*w.DilationHeight + 1 }

// hold sets how many lines of each stage are kept for so many lines of the output, and returns their bytes.
func (c *Chain[T]) hold(lines int) (bytes int) {
	for i := len(c.held) - 1; i >= 0; i-- {
		w := &c.windows[i+1]
		lines = min((lines-1)*w.StrideHeight+w.extent(), w.InHeight)
		c.held[i] = lines
		bytes += carved[T](lines * w.InWidth * w.InStride)
	}
	return bytes
}

// part is the window of a stage that makes the output lines [from, to) of what it reads from input line first on.
func (c *Chain[T]) part(stage, from, to int) (w Window, first int) {
	w = c.windows[stage]
	top := from*w.StrideHeight - w.PadTop
	first = max(top, 0)
	end := min((to-1)*w.StrideHeight-w.PadTop+w.extent(), w.InHeight)
	w.Batch, w.InHeight, w.OutHeight, w.PadTop = 1, end-first, to-from, first-top
	return w, first
}

// Units is how many pieces the work has: lines of the output.
func (c *Chain[T]) Units() int {
	w := &c.windows[len(c.windows)-1]
	return w.Batch * w.OutHeight
}

// Lines is how many pieces are computed at once where there are so many.
func (c *Chain[T]) Lines() int { return c.lines }

// Scratch is how many bytes of scratch Run needs.
func (c *Chain[T]) Scratch() int {
	held, most := 0, 0
	for i, s := range c.stages {
		lines := c.lines
		if i < len(c.held) {
			lines = c.held[i]
			held += carved[T](lines * c.windows[i].OutWidth * c.windows[i].OutStride)
		}
		var last Window
		for n := range lines { // fewer lines may be cut otherwise and need more
			for from := range c.windows[i].OutHeight - n {
				if w, _ := c.part(i, from, from+n+1); w != last {
					most, last = max(most, s.linesScratch(w)), w
				}
			}
		}
	}
	return held + most
}

// Run computes the pieces [start, end). In the first call of a run state must be zero. Scratch must be the same and left
// alone from call to call with the same state.
func (c *Chain[T]) Run(out, in []T, start, end int, scratch []byte, state *ChainState) {
	r := chainRun[T]{Chain: c, state: state, in: in}
	for i, lines := range c.held {
		w := &c.windows[i]
		r.buffers[i] = carve[T](&scratch, lines*w.OutWidth*w.OutStride)
	}
	r.scratch = scratch
	last := len(c.stages) - 1
	w := &c.windows[last]
	for start < end {
		image, y := start/w.OutHeight, start%w.OutHeight
		if state.next != start || y == 0 {
			state.lines = [maxChain - 1]heldLines{}
		}
		lines := min(end-start, w.OutHeight-y)
		lines = divideUp(lines, divideUp(lines, c.lines))
		r.image = image
		r.compute(last, out[start*w.OutWidth*w.OutStride:], y, y+lines)
		start += lines
		state.next = start
	}
}

// chainRun is a call of Run.
type chainRun[T byte | float32] struct {
	*Chain[T]
	state   *ChainState
	in      []T
	image   int
	buffers [maxChain - 1][]T
	scratch []byte
}

// compute makes the output lines [from, to) of a stage, of the image at work on.
func (r *chainRun[T]) compute(stage int, out []T, from, to int) {
	w, first := r.part(stage, from, to)
	in := r.in
	if stage == 0 {
		in = in[(r.image*r.windows[0].InHeight+first)*w.InWidth*w.InStride:]
	} else {
		in = r.hold(stage-1, first, first+w.InHeight)
	}
	whole := &r.windows[stage]
	r.stages[stage].runLines(out, in, w, (r.image*whole.OutHeight+from)*whole.OutWidth, r.scratch)
}

// hold returns the output lines [first, end) of a stage: those that are held already, and what is to be computed.
func (r *chainRun[T]) hold(stage, first, end int) []T {
	w := &r.windows[stage]
	line := w.OutWidth * w.OutStride
	held, buffer := &r.state.lines[stage], r.buffers[stage]
	if first < held.from || first > held.to {
		*held = heldLines{first, first}
	}
	copy(buffer, buffer[(first-held.from)*line:(held.to-held.from)*line])
	held.from = first
	if from := held.to; end > from {
		held.to = end
		r.compute(stage, buffer[(from-first)*line:], from, end)
	}
	return buffer[:(end-first)*line]
}

func (c *ConvF32) window() *Window { return &c.Window }

func (c *ConvF32) linesScratch(w Window) int {
	p := newProductF32(c.Weights, &w, &c.Epilogue)
	return p.scratch()
}

func (c *ConvF32) runLines(out, in []float32, w Window, pixel int, scratch []byte) {
	p := newProductF32(c.Weights, &w, &c.Epilogue)
	p.before = pixel
	p.run(out, in, 0, p.units(), scratch)
}

func (d *DepthwiseF32) window() *Window { return &d.Window }

func (d *DepthwiseF32) linesScratch(w Window) int {
	lines := DepthwiseF32{d.Weights, w, d.Epilogue}
	return lines.Scratch()
}

func (d *DepthwiseF32) runLines(out, in []float32, w Window, _ int, scratch []byte) {
	lines := DepthwiseF32{d.Weights, w, d.Epilogue}
	lines.Run(out, in, 0, lines.Units(), scratch)
}

func (c *ConvInt8) window() *Window { return &c.Window }

func (c *ConvInt8) linesScratch(w Window) int {
	p := newProductInt8(c.Weights, &w, c.Signed, c.ZeroPoint, &c.Epilogue)
	return p.scratch()
}

func (c *ConvInt8) runLines(out, in []byte, w Window, pixel int, scratch []byte) {
	p := newProductInt8(c.Weights, &w, c.Signed, c.ZeroPoint, &c.Epilogue)
	p.before = pixel
	p.run(Destination{Codes: out}, in, 0, p.units(), scratch)
}

func (d *DepthwiseInt8) window() *Window { return &d.Window }

func (d *DepthwiseInt8) linesScratch(w Window) int {
	lines := DepthwiseInt8{d.Weights, w, d.Signed, d.ZeroPoint, d.Epilogue}
	return lines.Scratch()
}

func (d *DepthwiseInt8) runLines(out, in []byte, w Window, _ int, scratch []byte) {
	lines := DepthwiseInt8{d.Weights, w, d.Signed, d.ZeroPoint, d.Epilogue}
	lines.Run(Destination{Codes: out}, in, 0, lines.Units(), scratch)
}

func (p *MaxPoolF32) window() *Window { return &p.Window }

func (p *MaxPoolF32) linesScratch(w Window) int {
	lines := MaxPoolF32{p.Vector, w}
	return lines.Scratch()
}

func (p *MaxPoolF32) runLines(out, in []float32, w Window, _ int, scratch []byte) {
	lines := MaxPoolF32{p.Vector, w}
	lines.Run(out, in, 0, lines.Units(), scratch)
}

func (p *MaxPoolInt8) window() *Window { return &p.Window }

func (p *MaxPoolInt8) linesScratch(w Window) int {
	lines := MaxPoolInt8{p.Vector, w, p.Signed}
	return lines.Scratch()
}

func (p *MaxPoolInt8) runLines(out, in []byte, w Window, _ int, scratch []byte) {
	lines := MaxPoolInt8{p.Vector, w, p.Signed}
	lines.Run(out, in, 0, lines.Units(), scratch)
}
