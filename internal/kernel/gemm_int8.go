package kernel

import (
	"github.com/octet-nn/octet/internal/cpu"
)

// gemmInt8Row is one micro-kernel of integer matrix products.
type gemmInt8Row struct {
	Name       string
	Tier       cpu.Tier
	MR, NR, KR int // rows, columns and depth of a register tile

	// Words is how many uint64 a panel of NR columns of the given depth packs into.
	Words func(depth int) int
	// Pack packs a panel given as depth rows of NR weights.
	Pack func(dst []uint64, panel []int8, depth int)
	// Tile adds to acc, MR rows of NR, the products of up to MR rows of a (flipped to u8 by exclusive or with flip) with
	// one packed panel. It reads exactly depth bytes of each row.
	Tile func(acc []int32, a []byte, stride, rows int, flip byte, panel []uint64, depth int)
}

func (r *gemmInt8Row) needs() cpu.Tier { return r.Tier }

// gemmInt8Table is ordered from best to plain Go.
var gemmInt8Table = []gemmInt8Row{
	{Name: "qu8s8_gemm_4x12c1__generic", Tier: cpu.Generic, MR: 4, NR: 12, KR: 1, Words: words4x12, Pack: pack4x12, Tile: tile4x12},
}

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

	row    *gemmInt8Row
	panels []uint64
	words  int     // of one panel
	sums   []int32 // per output channel: the sum of the zero-point-free weights
	zero   []int32 // per output channel: the zero point of the weights as packed (s8); nil if all are 0
}

// PackInt8 packs weights for GemmInt8 and ConvInt8.
func (s Set) PackInt8(w Int8Weights) *PackedInt8 {
	p := &PackedInt8{Filter: w.Filter, row: s.gemmInt8}
	depth, nr := w.depth(), p.row.NR
	p.words = p.row.Words(depth)
	p.panels = make([]uint64, w.Groups*p.groupPanels()*p.words)
	p.sums = make([]int32, w.Outputs)
	p.zero = make([]int32, w.Outputs)
	p.fill(w, make([]int8, depth*nr))
	return p
}

// groupPanels is how many panels the columns of one group make.
func (p *PackedInt8) groupPanels() int { return divideUp(p.Filter.perGroup(), p.row.NR) }

// Bytes is the memory that the packed weights take.
func (p *PackedInt8) Bytes() int { return 8*len(p.panels) + 4*len(p.sums) + 4*len(p.zero) }

func (p *PackedInt8) fill(w Int8Weights, panel []int8) {
	depth, nr, perGroup := w.depth(), p.row.NR, w.perGroup()
	flip := byte(0) // from a stored code to a signed one
	offset := int32(0)
	if !w.Signed {
		flip, offset = 0x80, 128
	}
	anyZero := false
	dst := p.panels
	for group := range w.Groups {
		for first := 0; first < perGroup; first += nr {
			clear(panel)
			for j := range min(nr, perGroup-first) {
				channel := group*perGroup + first + j
				zero := w.zeroPoint(channel) - offset
				sum, k := int32(0), 0
				for y := range w.Height {
					for x := range w.Width {
						at := w.at(group, first+j, y, x)
						for range w.Inputs {
							v := int8(w.Data[at] ^ flip)
							panel[k*nr+j] = v
							sum += int32(v) - zero
							at += w.InputStride
							k++
						}
					}
				}
				p.sums[channel], p.zero[channel] = sum, zero
				anyZero = anyZero || zero != 0
			}
			p.row.Pack(dst[:p.words], panel, depth)
			dst = dst[p.words:]
		}
	}
	if !anyZero {
		p.zero = nil
	}
}

// Epilogue says what becomes of an exact sum of products. Which of the three it is follows from the Destination.
type Epilogue struct {
	// Codes: numeric.Requantize(sum+Bias, Multiplier, ZeroPoint, Lowest, Highest).
	// Floats: numeric.SumToFloat(sum+Bias, Multiplier, FloatBias) limited to [Least, Greatest].
	// Sums: sum+Bias.
	Bias       []int32   // per output channel, or nil
	Multiplier []float32 // one, or one per output channel

	ZeroPoint, Lowest, Highest int32

	FloatBias       []float32 // per output channel, or nil
	Least, Greatest float32   // -Inf and +Inf for no limit
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
	return productInt8{weights: g.Weights, inStride: g.InStride, outStride: g.OutStride, signed: g.Signed,
		zeroPoint: g.ZeroPoint, epilogue: &g.Epilogue, tiling: g.Weights.tiling(g.Rows)}
}

// Units is how many pieces the work has.
func (g *GemmInt8) Units() int { t := g.Weights.tiling(g.Rows); return t.units() }

// Scratch is how many bytes of scratch Run needs.
func (g *GemmInt8) Scratch() int { p := g.product(); return p.scratch() }

// Run computes the pieces [start, end).
func (g *GemmInt8) Run(out Destination, in []byte, start, end int, scratch []byte) {
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
	p := productInt8{weights: c.Weights, inStride: c.Window.InStride, outStride: c.Window.OutStride, signed: c.Signed,
		zeroPoint: c.ZeroPoint, epilogue: &c.Epilogue, tiling: c.Weights.tiling(c.Window.pixels())}
	if !c.Window.isPointwise() {
		p.window = &c.Window
	}
	return p
}

// Units is how many pieces the work has.
func (c *ConvInt8) Units() int { t := c.Weights.tiling(c.Window.pixels()); return t.units() }

// Scratch is how many bytes of scratch Run needs.
func (c *ConvInt8) Scratch() int { p := c.product(); return p.scratch() }

// Run computes the pieces [start, end).
func (c *ConvInt8) Run(out Destination, in []byte, start, end int, scratch []byte) {
	p := c.product()
	p.run(out, in, start, end, scratch)
}

func (p *PackedInt8) tiling(rows int) tiling {
	return newTiling(rows, p.Filter.depth(), p.row.MR, p.Filter.Groups, p.groupPanels())
}
