package kernel

// A transposed convolution adds, to output position i·stride − pad + k·dilation, the product of input i and weight k.
// Seen from the output, positions of equal remainder modulo the stride (a phase) see the same weights, and each phase
// is an ordinary convolution of stride 1 with those weights, backwards. So every output is computed once, by one piece
// of the work, and no product with an inserted zero is ever made.

// phase is one remainder of each axis.
type phase struct{ y, x phaseAxis }

// phaseAxis is the ordinary convolution, along one axis, that makes every stride-th output from first on.
type phaseAxis struct {
	first, stride       int
	taps, dilation, pad int // of the ordinary convolution
	lastTap, tapStep    int // the weight of its first tap, and the distance to the next, backwards
}

func newPhaseAxis(first, kernel, stride, dilation, pad int) phaseAxis {
	common := greatestCommonDivisor(stride, dilation)
	a := phaseAxis{first: first, stride: stride, dilation: dilation / common, tapStep: stride / common}
	for k := range kernel {
		if distance := first + pad - k*dilation; distance%stride == 0 {
			a.taps++
			a.lastTap = k
			a.pad = -distance / stride
		}
	}
	return a
}

func greatestCommonDivisor(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// outputs is how many of n output positions belong to the phase.
func (a *phaseAxis) outputs(n int) int { return max(divideUp(n-a.first, a.stride), 0) }

// newPhases lists the phases of a window. They depend on its kernel, strides, dilations and pads only.
func newPhases(w *Window) []phase {
	var phases []phase
	for y := range w.StrideHeight {
		for x := range w.StrideWidth {
			phases = append(phases, phase{
				newPhaseAxis(y, w.KernelHeight, w.StrideHeight, w.DilationHeight, w.PadTop),
				newPhaseAxis(x, w.KernelWidth, w.StrideWidth, w.DilationWidth, w.PadLeft),
			})
		}
	}
	return phases
}

// filter is the part of a filter that the phase sees, backwards.
func (p *phase) filter(f Filter) Filter {
	if f.GroupStride == 0 {
		f.GroupStride = f.perGroup() * f.OutputStride
	}
	f.First += p.y.lastTap*f.HeightStride + p.x.lastTap*f.WidthStride
	f.Height, f.Width = p.y.taps, p.x.taps
	f.HeightStride *= -p.y.tapStep
	f.WidthStride *= -p.x.tapStep
	return f
}

// window is the phase's ordinary convolution.
func (p *phase) window(w *Window) Window {
	o := *w
	o.OutHeight, o.OutWidth = p.y.outputs(w.OutHeight), p.x.outputs(w.OutWidth)
	o.KernelHeight, o.KernelWidth = p.y.taps, p.x.taps
	o.StrideHeight, o.StrideWidth = 1, 1
	o.DilationHeight, o.DilationWidth = p.y.dilation, p.x.dilation
	o.PadTop, o.PadLeft = p.y.pad, p.x.pad
	return o
}

// placement is where the rows of a matrix product go that are not consecutive output pixels.
type placement struct {
	phase         *phase
	rows, columns int // of the phase's output
	height, width int // of the whole output
}

func (p *phase) placement(w *Window) placement {
	return placement{p, p.y.outputs(w.OutHeight), p.x.outputs(w.OutWidth), w.OutHeight, w.OutWidth}
}

// starts fills in where the rows from first on begin in the output, whose pixels are stride elements apart. A nil
// placement is no rearrangement.
func (p *placement) starts(to []int, first, stride int) {
	if p == nil {
		at := first * stride
		for i := range to {
			to[i] = at
			at += stride
		}
		return
	}
	for i := range to {
		row := first + i
		x := row % p.columns
		row /= p.columns
		y, n := row%p.rows, row/p.rows
		to[i] = ((n*p.height+p.phase.y.first+y*p.phase.y.stride)*p.width + p.phase.x.first + x*p.phase.x.stride) * stride
	}
}

// PackedTransposeInt8 is the weights of an integer transposed convolution, one part per phase.
type PackedTransposeInt8 struct {
	phases []phase
	parts  []*PackedInt8
}

// PackTransposeInt8 packs weights for ConvTransposeInt8. Of the window it reads kernel, strides, dilations and pads.
// In the filter, Inputs is the input channels of one group, Outputs the output channels of all groups; ONNX's
// [inputs, outputs of one group, height, width] has InputStride = outputs of one group·height·width, OutputStride =
// height·width, GroupStride = Inputs·InputStride.
func (s Set) PackTransposeInt8(w Int8Weights, window *Window) *PackedTransposeInt8 {
	p := &PackedTransposeInt8{phases: newPhases(window)}
	for i := range p.phases {
		part := w
		part.Filter = p.phases[i].filter(w.Filter)
		p.parts = append(p.parts, s.PackInt8(part))
	}
	return p
}

// Bytes is the memory that the packed weights take.
func (p *PackedTransposeInt8) Bytes() int {
	n := 0
	for _, part := range p.parts {
		n += part.Bytes()
	}
	return n
}

// ConvTransposeInt8 is a transposed convolution of NHWC codes. The window's InHeight and InWidth are the sizes of the
// operator's input, OutHeight and OutWidth of its output. Its pieces are tiles of the output.
type ConvTransposeInt8 struct {
	Weights   *PackedTransposeInt8
	Window    Window
	Signed    bool
	ZeroPoint int32 // of the input
	Epilogue  Epilogue
}

// conv is the ordinary convolution of a phase.
func (c *ConvTransposeInt8) conv(i int) ConvInt8 {
	return ConvInt8{c.Weights.parts[i], c.Weights.phases[i].window(&c.Window), c.Signed, c.ZeroPoint, c.Epilogue}
}

// Units is how many pieces the work has.
func (c *ConvTransposeInt8) Units() int {
	n := 0
	for i := range c.Weights.phases {
		conv := c.conv(i)
		n += conv.Units()
	}
	return n
}

// Scratch is how many bytes of scratch Run needs.
func (c *ConvTransposeInt8) Scratch() int {
	n := 0
	for i := range c.Weights.phases {
		conv := c.conv(i)
		n = max(n, conv.Scratch())
	}
	return n
}

// Run computes the pieces [start, end).
func (c *ConvTransposeInt8) Run(out Destination, in []byte, start, end int, scratch []byte) {
	for i := range c.Weights.phases {
		conv := c.conv(i)
		place := c.Weights.phases[i].placement(&c.Window)
		p := conv.product()
		p.place = &place
		units := p.units()
		if from, to := max(start, 0), min(end, units); from < to {
			p.run(out, in, from, to, scratch)
		}
		start, end = start-units, end-units
	}
}

// PackedTransposeF32 is the weights of a float transposed convolution, one part per phase.
type PackedTransposeF32 struct {
	phases []phase
	parts  []*PackedF32
}

// PackTransposeF32 packs weights for ConvTransposeF32; see PackTransposeInt8.
func (s Set) PackTransposeF32(w F32Weights, window *Window) *PackedTransposeF32 {
	p := &PackedTransposeF32{phases: newPhases(window)}
	for i := range p.phases {
		part := w
		part.Filter = p.phases[i].filter(w.Filter)
		p.parts = append(p.parts, s.PackF32(part))
	}
	return p
}

// Bytes is the memory that the packed weights take.
func (p *PackedTransposeF32) Bytes() int {
	n := 0
	for _, part := range p.parts {
		n += part.Bytes()
	}
	return n
}

// ConvTransposeF32 is the float form of ConvTransposeInt8. Its pieces are tiles of the output.
type ConvTransposeF32 struct {
	Weights  *PackedTransposeF32
	Window   Window
	Epilogue EpilogueF32
}

func (c *ConvTransposeF32) conv(i int) ConvF32 {
	return ConvF32{c.Weights.parts[i], c.Weights.phases[i].window(&c.Window), c.Epilogue}
}

// Units is how many pieces the work has.
func (c *ConvTransposeF32) Units() int {
	n := 0
	for i := range c.Weights.phases {
		conv := c.conv(i)
		n += conv.Units()
	}
	return n
}

// Scratch is how many bytes of scratch Run needs.
func (c *ConvTransposeF32) Scratch() int {
	n := 0
	for i := range c.Weights.phases {
		conv := c.conv(i)
		n = max(n, conv.Scratch())
	}
	return n
}

// Run computes the pieces [start, end).
func (c *ConvTransposeF32) Run(out, in []float32, start, end int, scratch []byte) {
	for i := range c.Weights.phases {
		conv := c.conv(i)
		place := c.Weights.phases[i].placement(&c.Window)
		p := conv.product()
		p.place = &place
		units := p.units()
		if from, to := max(start, 0), min(end, units); from < to {
			p.run(out, in, from, to, scratch)
		}
		start, end = start-units, end-units
	}
}
