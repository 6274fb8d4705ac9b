package kernel

// WinogradF32 is a convolution of NHWC floats by windows of 3×3 with stride 1, of one group, by the algorithm of
// Winograd, F(4×4, 3×3) or F(2×2, 3×3): Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2015. A tile
// of 4×4 output pixels sees 6×6 input pixels. Both the pixels and the weights are transformed to 36 planes, in each of
// which a tile is a row of a matrix product; 36 products of a pixel's channels make 16 output pixels, where direct sums
// take 144. Of F(2×2) it is 16 for 4, where 36 are taken.
//
// Its sums have other roundings than those of ConvF32. Where it gives a value that is not finite, the tile is computed
// once more, directly, so that infinities and NaN reach the pixels whose windows see them and no others.
//
// Its pieces are tiles times half panels of 16 columns.
type WinogradF32 struct {
	Weights  *PackedWinogradF32
	Window   Window
	Epilogue EpilogueF32
}

// PackedWinogradF32 is transformed weights, in panels as the micro-kernels of products read them: panel, plane, input
// channel, column.
type PackedWinogradF32 struct {
	filter Filter
	row    *gemmF32Row
	size   int // output pixels of a tile in each direction: 2 or 4
	panels []float32
}

// winogradInput is one call of the transform of the input: tiles of a line that see the image in the same way. Assembly
// reads it by field names.
type winogradInput struct {
	in, pad   *float32 // the image; 16 zeros
	offsets   *int     // for each pixel of the first tile: elements from in; outside the image negative
	planes    *float32 // of the first tile in the first plane
	planeStep int      // bytes from plane to plane
	tileStep  int      // bytes from one tile's pixels to the next one's
	tiles     int      // at least 1
	channels  int      // at least 1
	scratch   *float32 // a vector for each pixel
}

// winogradOutput is one call of the transform of the products, of tiles of a line that end in the image in the same way.
type winogradOutput struct {
	planes          *float32 // 32 columns for each tile
	planeStep       int      // bytes from plane to plane
	bias            *float32 // 32 of them
	least, greatest float32
	out, unused     *float32 // the image at the first column; 32 floats
	offsets         *int     // for each pixel of the first tile: elements from out; outside the image negative
	tileStep        int      // bytes from one tile's pixels to the next one's
	tiles           int      // at least 1
	mask            uint32   // a bit for each column
	notFinite       uint32   // result: the columns in which there were sums that are infinite or NaN
	scratch         *float32 // a vector for each plane
}

// PackWinogradF32 packs the weights of a convolution with stride 1 for WinogradF32, for an output of known height and
// width. It returns nil if ConvF32 is to be used: if the tier has no such kernel, if it is not thought to be faster, or
// if weights are not finite or very large.
func (s Set) PackWinogradF32(w F32Weights, height, width int) *PackedWinogradF32 {
	if !s.gemmF32.winograd || w.Groups != 1 || w.Height != 3 || w.Width != 3 {
		return nil
	}
	size := winogradSize(w.Inputs, w.Outputs, height, width)
	if size == 0 {
		return nil
	}
	return s.packWinograd(w, size)
}

func (s Set) packWinograd(w F32Weights, size int) *PackedWinogradF32 {
	p := &PackedWinogradF32{filter: w.Filter, row: s.gemmF32, size: size}
	p.panels = make([]float32, divideUp(w.Outputs, winogradColumns)*p.words())
	hugePages(p.panels)
	if !p.fill(w) {
		return nil
	}
	return p
}

const (
	winogradColumns = 32  // of a panel
	winogradPlanes  = 36  // at most
	winogradMemory  = 256 // KiB of transformed input that a part of the work may have, if that is enough for two tiles of rows
)

// Bytes is the memory that the packed weights take.
func (p *PackedWinogradF32) Bytes() int { return 4 * len(p.panels) }

// planes is how many planes there are.
func (p *PackedWinogradF32) planes() int { return (p.size + 2) * (p.size + 2) }

// words is the length of a panel.
func (p *PackedWinogradF32) words() int { return p.planes() * p.filter.Inputs * winogradColumns }

// plane is the weights of one plane of a panel.
func (p *PackedWinogradF32) plane(panel, plane int) []float32 {
	n := p.filter.Inputs * winogradColumns
	return p.panels[panel*p.words()+plane*n:][:n]
}

// winogradSize chooses the output pixels of a tile in each direction, or 0 for direct sums, by what each costs in
// multiply-accumulates at the speed of the micro-kernels. Measured on a Zen 5: transforming an element and back takes
// the time of 11, beginning and ending a sum that of 6. A weight is 12, as it comes from memory in most networks, and
// is read for every image.
func winogradSize(inputs, outputs, height, width int) (size int) {
	const transform, begin, weight = 11, 6, 12
	product := func(factors ...int) float64 { // converted, so that Go fuses none with a sum
		p := 1.0
		for _, f := range factors {
			p = float64(p * float64(f))
		}
		return p
	}
	least := product(9, inputs, outputs, height, width) + product(9, inputs, outputs, weight)
	for _, candidate := range []int{2, 4} {
		planes := (candidate + 2) * (candidate + 2)
		down, across := divideUp(height, candidate), divideUp(width, candidate)
		cost := product(planes, down, across, inputs+begin, outputs) + product(planes, transform, down, across, inputs+outputs) +
			product(planes, weight, inputs, outputs)
		if cost < least {
			least, size = cost, candidate
		}
	}
	return size
}

type winogradVector [winogradColumns]float32

// winogradLargest bounds weights, so that their transforms are finite: they are at most 2.25 times as large.
const winogradLargest = 1e37

// fill transforms weights: G·g·Gᵀ. It reports whether none is too large.
func (p *PackedWinogradF32) fill(w F32Weights) bool {
	var taps [9]winogradVector
	for panel := range divideUp(w.Outputs, winogradColumns) {
		first := panel * winogradColumns
		columns := min(winogradColumns, w.Outputs-first)
		for channel := range w.Inputs {
			for i := range taps {
				at := w.at(0, first, i/3, i%3) + channel*w.InputStride
				tap := taps[i][:columns]
				for j := range tap {
					v := w.Data[at]
					if !(v <= winogradLargest && v >= -winogradLargest) {
						return false
					}
					tap[j] = v
					at += w.OutputStride
				}
			}
			if p.size == 4 {
				p.transform4(&taps, panel, channel)
			} else {
				p.transform2(&taps, panel, channel)
			}
		}
	}
	return true
}

// transform4 makes the 36 vectors of weights of a channel, by G of F(4×4, 3×3).
func (p *PackedWinogradF32) transform4(taps *[9]winogradVector, panel, channel int) {
	var lines [18]winogradVector // line y, column x of G·g is 3·y + x
	for x := range 3 {
		winogradPoints4(&lines[x], &lines[3+x], &lines[6+x], &lines[9+x], &lines[12+x], &lines[15+x], &taps[x], &taps[3+x], &taps[6+x])
	}
	for y := range 6 {
		to := func(x int) *winogradVector { return p.vector(panel, 6*y+x, channel) }
		winogradPoints4(to(0), to(1), to(2), to(3), to(4), to(5), &lines[3*y], &lines[3*y+1], &lines[3*y+2])
	}
}

// transform2 makes the 16 vectors of weights of a channel, by G of F(2×2, 3×3).
func (p *PackedWinogradF32) transform2(taps *[9]winogradVector, panel, channel int) {
	var lines [12]winogradVector
	for x := range 3 {
		winogradPoints2(&lines[x], &lines[3+x], &lines[6+x], &lines[9+x], &taps[x], &taps[3+x], &taps[6+x])
	}
	for y := range 4 {
		to := func(x int) *winogradVector { return p.vector(panel, 4*y+x, channel) }
		winogradPoints2(to(0), to(1), to(2), to(3), &lines[3*y], &lines[3*y+1], &lines[3*y+2])
	}
}

// vector is the weights of one channel in a plane.
func (p *PackedWinogradF32) vector(panel, plane, channel int) *winogradVector {
	return (*winogradVector)(p.plane(panel, plane)[channel*winogradColumns:])
}

func winogradPoints4(u0, u1, u2, u3, u4, u5, a, b, c *winogradVector) {
	for j, g0 := range a {
		g1, g2 := b[j], c[j]
		u0[j], u5[j] = g0/4, g2
		even := g0 + g2
		u1[j], u2[j] = float32(-1./6)*(even+g1), float32(-1./6)*(even-g1)
		even, odd := g0+float32(4*g2), 2*g1
		u3[j], u4[j] = float32(1./24)*(even+odd), float32(1./24)*(even-odd)
	}
}

func winogradPoints2(u0, u1, u2, u3, a, b, c *winogradVector) {
	for j, g0 := range a {
		g1, g2 := b[j], c[j]
		even := g0 + g2
		u0[j], u1[j], u2[j], u3[j] = g0, (even+g1)/2, (even-g1)/2, g2
	}
}

// winogradProduct is a WinogradF32 and how its work is divided.
type winogradProduct struct {
	*WinogradF32
	feed        feed // of tiles as pixels of one tall column
	across, all int  // tiles in a line, in an image
}

func (k *WinogradF32) product() winogradProduct {
	w, size := &k.Window, k.Weights.size
	p := winogradProduct{WinogradF32: k, across: divideUp(w.OutWidth, size)}
	p.all = p.across * divideUp(w.OutHeight, size)
	p.feed.window = rowsWindow(p.all, 1, 1, 1)
	p.feed.window.Batch = w.Batch
	most := max(winogradMemory<<10/(4*k.Weights.planes()*k.Weights.filter.Inputs), 2*k.Weights.row.MR)
	p.feed.lines = max(1, divideUp(p.all, max(1, divideUp(p.all, most))))
	return p
}

func (p *winogradProduct) split() split {
	return newSplit(&p.feed, 1, divideUp(p.Weights.filter.Outputs, winogradColumns/2))
}

// Units is how many pieces the work has.
func (k *WinogradF32) Units() int { p := k.product(); s := p.split(); return s.units() }

// Grain is how many consecutive pieces, counted from the first, are done sooner together: they read the same weights or
// the same tiles.
func (k *WinogradF32) Grain() int {
	p := k.product()
	s := p.split()
	if s.byPanel && s.panels%2 == 0 {
		return 2 * s.rows // both halves of a panel
	}
	return s.grain()
}
