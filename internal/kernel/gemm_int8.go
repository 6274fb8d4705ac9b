package kernel

import (
	"github.com/octet-nn/octet/internal/cpu"
	"github.com/octet-nn/octet/internal/numeric"
)

// gemmInt8Row is one micro-kernel of integer matrix products.
type gemmInt8Row struct {
	Name       string
	Tier       cpu.Tier
	MR, NR, KR int // rows, columns and depth of a register tile

	// Words is how many uint64 a panel of NR columns of the given depth packs into.
	Words func(depth int) int
	// Pack puts column j, whose length is a multiple of KR, into a panel that began as zeros.
	Pack func(panel []uint64, column []int8, j int)

	tile   tileKernel
	signed bool // the tile multiplies s8 codes, not u8
	both   bool // the tile multiplies either; tileInt8 says which
	// requantizes says that the tile can turn its sums into codes; masks, also where there are fewer columns than NR.
	requantizes, masks bool
	// joins says that it can add residuals to them.
	joins bool
	// gemv says that there is a kernel for single rows.
	gemv bool
	// amx is what makes products which fitsAMX, if anything does; the tile is for the others.
	amx amxKernel
}

// tileInt8 is the product of up to MR rows with one packed panel of up to NR columns. Micro-kernels in assembly read
// its fields; nothing is checked there.
type tileInt8 struct {
	a                    []byte
	rowStarts, runStarts []int // a row's run begins at the sum of both
	runLength            int   // a multiple of KR
	rows, columns        int
	flip                 byte // makes a code what the tile multiplies, by exclusive or
	signed               bool // the tile multiplies s8 codes
	panel                []uint64

	// The sum of a column begins with bias + correction·weightSum. Both have NR elements.
	bias, weightSums []int32
	correction       int32

	// acc is where the sums go, MR rows of NR, unless out is set: then they are requantized to codes and row i goes to
	// out[outStarts[i]:], as many elements as there are columns.
	acc        []int32
	out        []byte
	outStarts  []int
	multiplier []float32 // NR of them
	high       float32   // the highest code less the zero point
	bounded    bool      // no product of a sum and a multiplier reaches 2^31
	shift      byte      // codes plus this are u8: 0 or 128
	least      byte      // the lowest code, shifted
	greatest   byte      // the highest
	zeroPoint  int16     // shifted
	mask       uint32    // a bit for each column

	// residual, if it is set, is codes that are added to the codes that sums become: row i's begin at
	// residual[residualStarts[i]:]. Then high and low are the limits of the product's own codes, less their zero point;
	// shift, least, greatest and zeroPoint are those of the codes that go to out, and sumHigh is their high.
	residual             []byte
	residualStarts       []int
	low                  float32
	ratio, residualRatio float32 // of the scales of the product's codes and of residual to that of out
	residualFlip         uint32  // makes a residual code, as the lowest byte, the float 2^23 + code as u8, by exclusive or
	residualZero         float32 // 2^23 + its zero point then
	sumHigh              float32
}

func (r *gemmInt8Row) needs() cpu.Tier { return r.Tier }

// gemmInt8Table is ordered from best to plain Go.
var gemmInt8Table = append(gemmInt8Assembly(), gemmInt8Row{
	Name: "qu8s8_gemm_4x12c1__generic", Tier: cpu.Generic, MR: 4, NR: 12, KR: 1, Words: words4x12, Pack: pack4x12,
})

// Int8Weights is the weights of an integer convolution or matrix product as they lie in a model.
type Int8Weights struct {
	Filter
	Data      []byte  // codes
	Signed    bool    // the codes are s8
	ZeroPoint []int32 // none (0), one, or one per output channel
}

func (w *Int8Weights) zeroPoint(channel int) int32 {
	switch len(w.ZeroPoint) {
	case 0:
		return 0
	case 1:
		return w.ZeroPoint[0]
	}
	return w.ZeroPoint[channel]
}

// PackedInt8 is weights as one micro-kernel reads them. They do not depend on the input's shape or zero point.
type PackedInt8 struct {
	Filter Filter

	row      *gemmInt8Row
	step     int // a line of the window is padded to a multiple of this
	panels   []uint64
	words    int     // of one panel
	rowPiece int     // see rowPieces
	sums     []int32 // per output channel: the sum of the zero-point-free weights
	zero     []int32 // per output channel: the zero point of the weights as packed (s8); nil if all are 0
}

// PackInt8 packs weights for GemmInt8 and ConvInt8.
func (s Set) PackInt8(w Int8Weights) *PackedInt8 {
	p := &PackedInt8{Filter: w.Filter, row: s.gemmInt8, step: s.gemmInt8.KR}
	if p.row.amx != amxNone {
		p.step = amxDepthStep(w.Width * w.Inputs)
	}
	depth := w.Height * p.line()
	p.words = p.row.Words(depth)
	p.panels = make([]uint64, w.Groups*p.groupPanels()*p.words)
	p.rowPiece = rowPiece(w.Outputs, p.row.NR)
	hugePages(p.panels)
	p.sums = make([]int32, w.Outputs)
	p.zero = make([]int32, w.Outputs)
	p.fill(w, make([]int8, depth))
	return p
}

// line is the depth of one line of the filter's window as it is packed: padded with zeros to whole steps.
func (p *PackedInt8) line() int { return divideUp(p.Filter.Width*p.Filter.Inputs, p.step) * p.step }

// groupPanels is how many panels the columns of one group make.
func (p *PackedInt8) groupPanels() int { return divideUp(p.Filter.perGroup(), p.row.NR) }

// Bytes is the memory that the packed weights take.
func (p *PackedInt8) Bytes() int { return 8*len(p.panels) + 4*len(p.sums) + 4*len(p.zero) }

func (p *PackedInt8) fill(w Int8Weights, column []int8) {
	line, nr, perGroup := p.line(), p.row.NR, w.perGroup()
	flip := byte(0) // from a stored code to a signed one
	offset := int32(0)
	if !w.Signed {
		flip, offset = 0x80, 128
	}
	anyZero := false
	dst := p.panels
	for group := range w.Groups {
		for first := 0; first < perGroup; first += nr {
			for j := range min(nr, perGroup-first) {
				channel := group*perGroup + first + j
				zero := w.zeroPoint(channel) - offset
				sum := -int32(w.depth()) * zero
				for y := range w.Height {
					k := y * line
					for x := range w.Width {
						at := w.at(group, first+j, y, x)
						for i := range column[k : k+w.Inputs] {
							v := int8(w.Data[at] ^ flip)
							column[k+i] = v
							sum += int32(v)
							at += w.InputStride
						}
						k += w.Inputs
					}
				}
				p.sums[channel], p.zero[channel] = sum, zero
				anyZero = anyZero || zero != 0
				p.row.Pack(dst[:p.words], column, j)
			}
			dst = dst[p.words:]
		}
	}
	if !anyZero {
		p.zero = nil
	}
}

// Epilogue says what becomes of an exact sum of products. Which of the three it is follows from the Destination.
type Epilogue struct {
	// Codes: numeric.Requantize(sum+Bias, Multiplier, ZeroPoint, Lowest, Highest); or, in a row of the arithmetics
	// other than onnx, Requantizer.Code of the sum.
	// Floats: numeric.SumToFloat(sum+Bias, Multiplier, FloatBias) limited to [Least, Greatest].
	// Sums: sum+Bias.
	Bias       []int32   // per output channel, or nil
	Multiplier []float32 // one, or one per output channel
	Bounded    bool      // every Multiplier is less than 1: then no product with a sum leaves int32, which is faster

	Requantizer []numeric.Requantizer // nil, or one, or one per output channel, instead of Multiplier
	Fixed       *FixedPoint           // nil, or the same as Requantizer, faster

	ZeroPoint, Lowest, Highest int32

	FloatBias       []float32 // per output channel, or nil
	Least, Greatest float32   // -Inf and +Inf for no limit

	Residual *Residual // codes that are added to the codes, or nil; of GemmInt8 and ConvInt8
}

// Destination is where an integer kernel writes; exactly one field is set.
type Destination struct {
	Codes  []byte
	Sums   []int32
	Floats []float32
}

// GemmInt8 is Rows×K codes times K×N packed weights. Its pieces are tiles of the output.
type GemmInt8 struct {
	Weights   *PackedInt8 // with one group, height and width 1
	Rows      int
	InStride  int // elements from one row of the input to the next; at least K
	OutStride int // elements from one row of the output to the next; at least N
	Signed    bool
	ZeroPoint int32 // of the input
	Epilogue  Epilogue
}

func (g *GemmInt8) product() productInt8 {
	w := rowsWindow(g.Rows, g.Weights.Filter.Inputs, g.InStride, g.OutStride)
	return newProductInt8(g.Weights, &w, g.Signed, g.ZeroPoint, &g.Epilogue)
}

// Units is how many pieces the work has.
func (g *GemmInt8) Units() int { p := g.product(); return p.units() }

// Grain is how many consecutive pieces, counted from the first, are done sooner together: they read the same weights or
// the same lines.
func (g *GemmInt8) Grain() int { p := g.product(); return p.grain() }

// Scratch is how many bytes of scratch Run needs.
func (g *GemmInt8) Scratch() int { p := g.product(); return p.scratch() }

// Run computes the pieces [start, end).
func (g *GemmInt8) Run(out Destination, in []byte, start, end int, scratch []byte) {
	if g.Rows == 1 && g.Epilogue.Residual == nil && g.Weights.fitsGemv(&g.Epilogue) {
		g.Weights.gemv(out, in, g.Signed, g.ZeroPoint, &g.Epilogue, start, end, scratch)
		return
	}
	p := g.product()
	p.run(out, in, start, end, scratch)
}

// ConvInt8 is a convolution of NHWC codes, with any window and groups. What lies outside the image is the input's
// zero point. Its pieces are tiles of the output.
type ConvInt8 struct {
	Weights   *PackedInt8
	Window    Window
	Signed    bool
	ZeroPoint int32 // of the input
	Epilogue  Epilogue
}

func (c *ConvInt8) product() productInt8 {
	return newProductInt8(c.Weights, &c.Window, c.Signed, c.ZeroPoint, &c.Epilogue)
}

// Units is how many pieces the work has.
func (c *ConvInt8) Units() int { p := c.product(); return p.units() }

// Grain is how many consecutive pieces, counted from the first, are done sooner together: they read the same weights or
// the same lines.
func (c *ConvInt8) Grain() int { p := c.product(); return p.grain() }

// Scratch is how many bytes of scratch Run needs.
func (c *ConvInt8) Scratch() int { p := c.product(); return p.scratch() }

// Run computes the pieces [start, end).
func (c *ConvInt8) Run(out Destination, in []byte, start, end int, scratch []byte) {
	if c.Window.pixels() == 1 && c.Epilogue.Residual == nil && c.Window.isPointwise() && c.Weights.fitsGemv(&c.Epilogue) {
		c.Weights.gemv(out, in, c.Signed, c.ZeroPoint, &c.Epilogue, start, end, scratch)
		return
	}
	p := c.product()
	p.run(out, in, start, end, scratch)
}
