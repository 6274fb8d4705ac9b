package kernel

import "github.com/octet-nn/octet/internal/cpu"

// gemmF32Row is one micro-kernel of float matrix products.
type gemmF32Row struct {
	Name       string
	Tier       cpu.Tier
	MR, NR, KR int // rows, columns and depth of a register tile

	// Words is how many floats a panel of NR columns of the given depth packs into.
	Words func(depth int) int
	// Pack packs a panel given as depth rows of NR weights.
	Pack func(dst, panel []float32, depth int)
	// Tile adds to acc, MR rows of NR, the products of up to MR rows of a with one packed panel, in order of depth.
	// It reads exactly depth elements of each row.
	Tile func(acc, a []float32, stride, rows int, panel []float32, depth int)
}

func (r *gemmF32Row) needs() cpu.Tier { return r.Tier }

// gemmF32Table is ordered from best to plain Go.
var gemmF32Table = []gemmF32Row{
	{Name: "f32_gemm_4x4c1__generic", Tier: cpu.Generic, MR: 4, NR: 4, KR: 1, Words: words4x4, Pack: pack4x4, Tile: tile4x4},
}

// F32Weights is the weights of a float convolution or matrix product as they lie in a model.
type F32Weights struct {
	Filter
	Data []float32
}

// PackedF32 is weights as one micro-kernel reads them. They do not depend on the input's shape.
type PackedF32 struct {
	Filter Filter

	row    *gemmF32Row
	panels []float32
	words  int       // of one panel
	panel  []float32 // memory for Repack
}

// PackF32 packs weights for GemmF32 and ConvF32.
func (s Set) PackF32(w F32Weights) *PackedF32 {
	p := &PackedF32{Filter: w.Filter, row: s.gemmF32}
	p.words = p.row.Words(w.depth())
	p.panels = make([]float32, w.Groups*p.groupPanels()*p.words)
	p.panel = make([]float32, w.depth()*p.row.NR)
	p.Repack(w)
	return p
}

// groupPanels is how many panels the columns of one group make.
func (p *PackedF32) groupPanels() int { return divideUp(p.Filter.perGroup(), p.row.NR) }

// Bytes is the memory that the packed weights take.
func (p *PackedF32) Bytes() int { return 4 * (len(p.panels) + len(p.panel)) }

// Repack packs other weights of the same sizes in place, for products of two computed matrices. It allocates nothing
// and must not run at the same time as a kernel that reads the weights.
func (p *PackedF32) Repack(w F32Weights) {
	depth, nr, perGroup := w.depth(), p.row.NR, w.perGroup()
	dst := p.panels
	for group := range w.Groups {
		for first := 0; first < perGroup; first += nr {
			clear(p.panel)
			for j := range min(nr, perGroup-first) {
				k := 0
				for y := range w.Height {
					for x := range w.Width {
						at := w.at(group, first+j, y, x)
						for range w.Inputs {
							p.panel[k*nr+j] = w.Data[at]
							at += w.InputStride
							k++
						}
					}
				}
			}
			p.row.Pack(dst[:p.words], p.panel, depth)
			dst = dst[p.words:]
		}
	}
}

// EpilogueF32 is what becomes of a float sum: it starts from the bias and is limited to [Least, Greatest] at the end.
type EpilogueF32 struct {
	Bias            []float32 // per output channel, or nil
	Least, Greatest float32   // -Inf and +Inf for no limit
}

// GemmF32 is Rows×K floats times K×N packed weights. Its pieces are tiles of the output.
type GemmF32 struct {
	Weights   *PackedF32 // with one group, height and width 1
	Rows      int
	InStride  int // elements from one row of the input to the next; at least K
	OutStride int // elements from one row of the output to the next; at least N
	Epilogue  EpilogueF32
}

func (g *GemmF32) product() productF32 {
	return productF32{weights: g.Weights, inStride: g.InStride, outStride: g.OutStride, epilogue: &g.Epilogue,
		tiling: g.Weights.tiling(g.Rows)}
}

// Units is how many pieces the work has.
func (g *GemmF32) Units() int { t := g.Weights.tiling(g.Rows); return t.units() }

// Scratch is how many bytes of scratch Run needs.
func (g *GemmF32) Scratch() int { p := g.product(); return p.scratch() }

// Run computes the pieces [start, end).
func (g *GemmF32) Run(out, in []float32, start, end int, scratch []byte) {
	p := g.product()
	p.run(out, in, start, end, scratch)
}

// ConvF32 is a convolution of NHWC floats, with any window and groups. Its pieces are tiles of the output.
type ConvF32 struct {
	Weights  *PackedF32
	Window   Window
	Epilogue EpilogueF32
}

func (c *ConvF32) product() productF32 {
	p := productF32{weights: c.Weights, inStride: c.Window.InStride, outStride: c.Window.OutStride, epilogue: &c.Epilogue,
		tiling: c.Weights.tiling(c.Window.pixels())}
	if !c.Window.isPointwise() {
		p.window = &c.Window
	}
	return p
}

// Units is how many pieces the work has.
func (c *ConvF32) Units() int { t := c.Weights.tiling(c.Window.pixels()); return t.units() }

// Scratch is how many bytes of scratch Run needs.
func (c *ConvF32) Scratch() int { p := c.product(); return p.scratch() }

// Run computes the pieces [start, end).
func (c *ConvF32) Run(out, in []float32, start, end int, scratch []byte) {
	p := c.product()
	p.run(out, in, start, end, scratch)
}

func (p *PackedF32) tiling(rows int) tiling {
	return newTiling(rows, 4*p.Filter.depth(), p.row.MR, p.Filter.Groups, p.groupPanels())
}

// productF32 is what GemmF32 and ConvF32 have in common; see productInt8.
type productF32 struct {
	weights             *PackedF32
	window              *Window
	inStride, outStride int
	place               *placement
	epilogue            *EpilogueF32
	tiling              tiling
}

func (p *productF32) scratch() int {
	row := p.weights.row
	bytes := carved[float32](row.MR*row.NR) + carved[float32](row.NR)
	if p.window != nil {
		bytes += carved[float32](p.tiling.rowTile * p.weights.Filter.depth())
	}
	return bytes
}

func (p *productF32) run(out, in []float32, start, end int, scratch []byte) {
	w, row := p.weights, p.weights.row
	mr, nr, depth, perGroup := row.MR, row.NR, w.Filter.depth(), w.Filter.perGroup()
	inputs := w.Filter.Inputs
	acc := carve[float32](&scratch, mr*nr)
	bias := carve[float32](&scratch, nr)
	var gathered []float32
	if p.window != nil {
		gathered = carve[float32](&scratch, p.tiling.rowTile*depth)
	}
	previousRow, previousGroup := -1, -1
	for unit := start; unit < end; unit++ {
		firstRow, rows, group, firstPanel := p.tiling.unit(unit)
		a, stride := gathered, depth
		if p.window == nil {
			a, stride = in[firstRow*p.inStride+group*inputs:], p.inStride
		} else if firstRow != previousRow || group != previousGroup {
			gather(gathered, in, p.window, firstRow, rows, group*inputs, inputs, p.window.KernelWidth*inputs, 0)
		}
		previousRow, previousGroup = firstRow, group
		lastPanel := min(firstPanel+p.tiling.panelTile, w.groupPanels())
		for panel := firstPanel; panel < lastPanel; panel++ {
			columns := min(nr, perGroup-panel*nr)
			channel := group*perGroup + panel*nr
			packed := w.panels[(group*w.groupPanels()+panel)*w.words:][:w.words]
			clear(bias)
			if b := p.epilogue.Bias; b != nil {
				copy(bias, b[channel:channel+columns])
			}
			for i := 0; i < rows; i += mr {
				m := min(mr, rows-i)
				for r := range m {
					copy(acc[r*nr:(r+1)*nr], bias)
				}
				row.Tile(acc, a[i*stride:], stride, m, packed, depth)
				for r := range m {
					p.epilogue.apply(out[p.place.pixel(firstRow+i+r)*p.outStride+channel:][:columns], acc[r*nr:])
				}
			}
		}
	}
}

// apply writes finished sums.
func (e *EpilogueF32) apply(dst, sums []float32) {
	sums = sums[:len(dst)]
	least, greatest := e.Least, e.Greatest
	for i, s := range sums {
		dst[i] = min(max(s, least), greatest) // no branch; NaN stays NaN
	}
}
