package kernel

import "github.com/octet-nn/octet/internal/cpu"

// gemmF32Row is one micro-kernel of float matrix products.
type gemmF32Row struct {
	Name       string
	Tier       cpu.Tier
	MR, NR, KR int // rows, columns and depth of a register tile

	tile     tileKernel
	winograd bool // the tier has Winograd's transforms, for panels of 32 columns
	// joins says that the tile can add residuals, of as many columns as NR; masks, also of fewer.
	joins, masks bool
}

// tileF32 is the product of tiles of up to MR rows, one below the other, with one packed panel of up to NR columns.
// Micro-kernels in assembly read its fields; nothing is checked there.
type tileF32 struct {
	a                    []float32
	rowStarts, runStarts []int // a row's run begins at the sum of both
	runLength            int
	rows, columns        int // of a tile
	tiles                int // at least 1
	panel                []float32

	bias            []float32 // NR of them: where the sum of a column begins
	least, greatest float32
	out             []float32 // row i goes to out[outStarts[i]:], as many elements as there are columns
	outStarts       []int
	acc             []float32 // MR rows of NR, for micro-kernels that want them
	mask            uint32    // a bit for each column

	// residual, if it is set, is added to the sums that are limited: row i's begins at residual[residualStarts[i]:]. What
	// that gives is limited once more.
	residual              []float32
	residualStarts        []int
	sumLeast, sumGreatest float32
}

// next goes on to the next tile.
func (t *tileF32) next() {
	if t.residual != nil {
		t.residualStarts = t.residualStarts[t.rows:]
	}
	t.rowStarts, t.outStarts = t.rowStarts[t.rows:], t.outStarts[t.rows:]
	t.tiles--
}

func (r *gemmF32Row) needs() cpu.Tier { return r.Tier }

// gemmF32Table is ordered from best to plain Go.
var gemmF32Table = append(gemmF32Assembly(), gemmF32Row{
	Name: "f32_gemm_4x4c1__generic", Tier: cpu.Generic, MR: 4, NR: 4, KR: 1,
})

// F32Weights is the weights of a float convolution or matrix product as they lie in a model.
type F32Weights struct {
	Filter
	Data []float32
}

// PackedF32 is weights as one micro-kernel reads them. They do not depend on the input's shape.
type PackedF32 struct {
	Filter Filter

	row      *gemmF32Row
	panels   []float32
	words    int // of one panel
	rowPiece int // see rowPieces; 0 of stacks
}

// PackF32 packs weights for GemmF32 and ConvF32.
func (s Set) PackF32(w F32Weights) *PackedF32 {
	p := &PackedF32{Filter: w.Filter, row: s.gemmF32}
	p.words = w.depth() * p.row.NR
	p.panels = make([]float32, w.Groups*p.groupPanels()*p.words)
	p.rowPiece = rowPiece(w.Outputs, p.row.NR)
	hugePages(p.panels)
	p.fill(w)
	return p
}

// groupPanels is how many panels the columns of one group make.
func (p *PackedF32) groupPanels() int { return divideUp(p.Filter.perGroup(), p.row.NR) }

// Bytes is the memory that the packed weights take.
func (p *PackedF32) Bytes() int { return 4 * len(p.panels) }

func (p *PackedF32) fill(w F32Weights) {
	nr, perGroup := p.row.NR, w.perGroup()
	dst := p.panels
	for group := range w.Groups {
		for first := 0; first < perGroup; first += nr {
			w.panel(dst[:p.words], nr, group, first, min(nr, perGroup-first))
			dst = dst[p.words:]
		}
	}
}

// panel packs columns of a group: for each step in depth, nr weights.
func (w *F32Weights) panel(dst []float32, nr, group, first, columns int) {
	for y := range w.Height {
		for x := range w.Width {
			at := w.at(group, first, y, x)
			if w.OutputStride == 1 {
				for i := range w.Inputs {
					copy(dst[i*nr:], w.Data[at+i*w.InputStride:][:columns])
				}
			} else {
				for j := w.sideBySide(dst, nr, at, columns); j < columns; j++ {
					from := at + j*w.OutputStride
					for i := j; i < w.Inputs*nr; i += nr {
						dst[i] = w.Data[from]
						from += w.InputStride
					}
				}
			}
			dst = dst[w.Inputs*nr:]
		}
	}
}

// sideBySide packs four columns at a time, whose weights for one element of the window lie behind each other, and returns
// how many are done.
func (w *F32Weights) sideBySide(dst []float32, nr, at, columns int) (done int) {
	if w.InputStride != 1 {
		return 0
	}
	n, step := w.Inputs, w.OutputStride
	for ; done+4 <= columns; done += 4 {
		from := w.Data[at+done*step:]
		a, b, c, d := from[:n], from[step:][:n], from[2*step:][:n], from[3*step:][:n]
		for i, v := range a {
			to := (*[4]float32)(dst[i*nr+done:])
			to[0], to[1], to[2], to[3] = v, b[i], c[i], d[i]
		}
	}
	return done
}

// EpilogueF32 is what becomes of a float sum: it starts from the bias and is limited to [Least, Greatest] at the end.
type EpilogueF32 struct {
	Bias            []float32 // per output channel, or nil
	Least, Greatest float32   // -Inf and +Inf for no limit

	Residual *ResidualF32 // what is added then, or nil; of GemmF32 and ConvF32
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
	w := rowsWindow(g.Rows, g.Weights.Filter.Inputs, g.InStride, g.OutStride)
	return newProductF32(g.Weights, &w, &g.Epilogue)
}

// Units is how many pieces the work has.
func (g *GemmF32) Units() int { p := g.product(); return p.units() }

// Grain is how many consecutive pieces, counted from the first, are done sooner together: they read the same weights or
// the same lines.
func (g *GemmF32) Grain() int { p := g.product(); return p.grain() }

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

func (c *ConvF32) product() productF32 { return newProductF32(c.Weights, &c.Window, &c.Epilogue) }

// Units is how many pieces the work has.
func (c *ConvF32) Units() int { p := c.product(); return p.units() }

// Grain is how many consecutive pieces, counted from the first, are done sooner together: they read the same weights or
// the same lines.
func (c *ConvF32) Grain() int { p := c.product(); return p.grain() }

// Scratch is how many bytes of scratch Run needs.
func (c *ConvF32) Scratch() int { p := c.product(); return p.scratch() }

// Run computes the pieces [start, end).
func (c *ConvF32) Run(out, in []float32, start, end int, scratch []byte) {
	p := c.product()
	p.run(out, in, start, end, scratch)
}
