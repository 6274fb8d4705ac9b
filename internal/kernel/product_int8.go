package kernel

import (
	"encoding/binary"
	"math"

	"github.com/octet-nn/octet/internal/numeric"
)

// productInt8 is what GemmInt8 and ConvInt8 have in common: rows of codes, read in place or copied, times packed weights.
type productInt8 struct {
	weights   *PackedInt8
	feed      feed
	place     *placement // nil: row i is the output's row i
	outStride int
	signed    bool
	zeroPoint int32
	epilogue  *Epilogue
	amx       bool
	before    int // how many rows of the residual belong to other products
}

func newProductInt8(weights *PackedInt8, w *Window, signed bool, zeroPoint int32, e *Epilogue) productInt8 {
	row := weights.row
	p := productInt8{weights: weights, outStride: w.OutStride, signed: signed, zeroPoint: zeroPoint, epilogue: e,
		amx: row.amx != amxNone && fitsAMX(w.pixels(), weights.Filter.depth(), weights.Filter.perGroup())}
	tile := row.MR
	if p.amx {
		tile = amxRows
	}
	p.feed = newFeed(w, weights.Filter.Inputs, weights.step, 1, tile, p.amx)
	return p
}

func (p *productInt8) units() int {
	if r, single := p.row(); single {
		return r.units()
	}
	s := p.split()
	return s.units()
}

// row is the pieces of a product of a single row, if it is one. Residuals are added to whole panels.
func (p *productInt8) row() (r rowPieces, single bool) {
	w := p.weights
	return rowPieces{w.Filter.Outputs, w.rowPiece}, w.rowPiece > 0 && p.feed.window.pixels() == 1 && w.Filter.Groups == 1 && p.place == nil && p.epilogue.Residual == nil
}

func (p *productInt8) grain() int {
	if r, single := p.row(); single {
		return max(p.weights.row.NR/r.piece, 1)
	}
	s := p.split()
	return s.grain()
}

func (p *productInt8) split() split {
	return newSplit(&p.feed, p.weights.Filter.Groups, p.weights.groupPanels())
}

// sums is how many sums are kept at once: those of a tile; with AMX those of a piece.
func (p *productInt8) sums() int {
	if p.amx {
		return p.feed.rows() * p.weights.row.NR
	}
	return p.weights.row.MR * p.weights.row.NR
}

func (p *productInt8) scratch() int {
	row, rows := p.weights.row, p.feed.rows()
	bytes := carved[int32](p.sums()) + 2*carved[int32](row.NR) + carved[float32](row.NR) + carved[int32](rows) +
		2*carved[int](rows) + carved[int](p.feed.window.KernelHeight) + carved[byte](p.feed.copied())
	if p.epilogue.Residual != nil {
		bytes += 2*carved[int](rows) + carved[byte](rows*row.NR) + carved[byte](block)
	}
	return bytes
}

func (p *productInt8) run(out Destination, in []byte, start, end int, scratch []byte) {
	w, row, feed := p.weights, p.weights.row, &p.feed
	mr, nr, perGroup := row.MR, row.NR, w.Filter.perGroup()
	most := feed.rows()
	acc := carve[int32](&scratch, p.sums())
	bias, weightSums := carve[int32](&scratch, nr), carve[int32](&scratch, nr)
	multiplier := carve[float32](&scratch, nr)
	rowSums := carve[int32](&scratch, most)
	starts := carve[int](&scratch, most)
	outStarts := carve[int](&scratch, most)
	runs := carve[int](&scratch, feed.window.KernelHeight)
	copies := carve[byte](&scratch, feed.copied())

	e := p.epilogue
	residual := e.Residual
	// Codes to which a residual is added elsewhere than in registers are staged, panel by panel: out may be the residual.
	var residualStarts, stagedStarts []int
	var staged, gathered []byte
	stagedColumns := 0
	if residual != nil {
		residualStarts, stagedStarts = carve[int](&scratch, most), carve[int](&scratch, most)
		staged, gathered = carve[byte](&scratch, most*nr), carve[byte](&scratch, block)
	}
	requantizes := row.requantizes && out.Codes != nil && e.Requantizer == nil && w.zero == nil &&
		fitsBytes(e.ZeroPoint, e.Lowest, e.Highest)
	// What rows contribute where weights have zero points is taken off sums in memory, which are then requantized.
	afterwards := row.finishes() && row.requantizes && out.Codes != nil && e.Requantizer == nil && w.zero != nil &&
		fitsBytes(e.ZeroPoint, e.Lowest, e.Highest)
	fixed, isFixed := newFixedTile(e, row.Tier, out)
	fixed.stride = nr
	t := tileInt8{runStarts: runs, runLength: feed.paddedRun(), correction: -p.zeroPoint, acc: acc}
	signed := row.signed || (row.both || p.amx) && p.signed // AMX multiplies both
	t.signed = signed
	switch {
	case p.signed && !signed:
		t.flip, t.correction = 0x80, t.correction-128
	case !p.signed && signed:
		t.flip, t.correction = 0x80, t.correction+128
	}
	t.high, t.bounded = float32(e.Highest-e.ZeroPoint), e.Bounded
	t.limit(e.ZeroPoint, e.Lowest, e.Highest)
	joins := row.joins && (requantizes || afterwards) && residual.join(&t, e)
	var tiles amxTile
	if p.amx {
		tiles.signed, tiles.kernel = p.signed, row.amx
		tiles.depth(runs, t.runLength, w.step)
	}
	laidOut := -1
	pieces, single := p.row()
	firstColumn, lastColumn := 0, perGroup
	if single {
		firstColumn, lastColumn = pieces.bounds(start, end)
		start, end = firstColumn/nr, divideUp(lastColumn, nr)
	}
	split := p.split()
	all := parts{split: &split, start: start, end: end}
	previous := part{first: -1}
	for b, ok := all.next(); ok; b, ok = all.next() {
		first, rows, group := b.first, b.rows, b.group
		if first != previous.first || rows != previous.rows || group != previous.group {
			if rows != laidOut {
				feed.layout(starts[:rows], runs)
				if p.amx {
					tiles.layOut(starts[:rows], feed.line(rows))
				}
				laidOut = rows
			}
			t.a = supply(feed, copies, in, first, rows, group, byte(p.zeroPoint))
			if w.zero != nil {
				sumRows(rowSums[:rows], t.a, starts, runs, feed.run, t.flip, signed)
			}
			p.place.starts(outStarts[:rows], first, p.outStride)
			if residual != nil {
				p.place.starts(residualStarts[:rows], p.before+first, residual.Stride)
			}
		}
		previous = b
		size, larger := evenTiles(rows, mr)
		for panel := b.firstPanel; panel < b.lastPanel; panel++ {
			column, skip, columns, half := pieces.part(panel, nr, firstColumn, lastColumn)
			t.columns = columns
			t.mask = uint32(1<<t.columns - 1)
			channel := group*perGroup + column
			t.panel = w.panels[(group*w.groupPanels()+panel)*w.words:][:w.words]
			if half {
				t.panel = t.panel[vectorColumns/2:] // of which a word has two
			}
			// Σ(a−za)(w−zw) = Σ a·w − zw·Σ a − za·Σ(w−zw): the last term and the bias are known per column.
			t.weightSums = columnsOf(weightSums, w.sums, channel, t.columns)
			t.bias = columnsOf(bias, e.Bias, channel, t.columns)
			codes := requantizes && (row.masks || t.columns == nr) && skip == 0
			t.out, t.residual = nil, nil
			finishes := afterwards && (row.masks || t.columns == nr) && skip == 0
			isFixed := isFixed && skip == 0
			if codes || finishes {
				t.multiplier = columnsOf(multiplier, e.Multiplier, channel, t.columns)
			}
			// to and toStarts is where the panel's results go, from the element at on.
			to, toStarts, at := out, outStarts, channel
			switch {
			case residual == nil:
			case joins && (codes || finishes):
				t.residual = residual.Operand[channel : residualStarts[rows-1]+channel+t.columns]
			default:
				to, toStarts, at = Destination{Codes: staged}, stagedStarts, 0
				if stagedColumns != t.columns { // rows lie without gaps
					stagedColumns = t.columns
					for i := range stagedStarts {
						stagedStarts[i] = i * stagedColumns
					}
				}
			}
			if codes {
				t.out = to.Codes[at : toStarts[rows-1]+at+t.columns]
			}
			if isFixed {
				fixed.of(e.Fixed, channel, t.columns)
				fixed.out = to.Codes[at : toStarts[rows-1]+at+t.columns]
				if w.zero != nil {
					fixed.weightZero = w.zero[channel:][:t.columns]
				}
			}
			finished := 0 // rows
			if p.amx {
				tiles.panel = &t.panel[0]
				tiles.multiply(acc, t.a)
				if codes && t.residual == nil {
					t.acc, t.rows, t.outStarts = acc, rows, toStarts[:rows]
					row.finishRows(&t)
					finished = rows
				}
			}
			for i, tile := finished, 0; i < rows; i, tile = i+t.rows, tile+1 {
				t.rows = size
				if tile < larger {
					t.rows++
				}
				t.rowStarts, t.outStarts = starts[i:], toStarts[i:]
				if residual != nil {
					t.residualStarts = residualStarts[i:]
				}
				if p.amx {
					t.acc = acc[i*nr:]
					row.finish(&t)
				} else {
					row.run(&t)
				}
				if codes {
					continue
				}
				if isFixed {
					fixed.sums, fixed.rows, fixed.rowSums, fixed.outStarts = t.acc, t.rows, rowSums[i:], t.outStarts
					fixed.run()
					continue
				}
				if finishes {
					last := t
					last.bias, last.correction = zeroSums[:nr], 0
					last.out = to.Codes[at : toStarts[rows-1]+at+t.columns]
					for r := range t.rows {
						subtract(t.acc[r*nr:][:t.columns], w.zero[channel:], rowSums[i+r])
					}
					row.finish(&last)
					continue
				}
				for r := range t.rows {
					sums := t.acc[r*nr:][:t.columns]
					if w.zero != nil {
						for j := range sums {
							sums[j] -= w.zero[channel+j] * rowSums[i+r]
						}
					}
					e.apply(to, toStarts[i+r]+at+skip, channel+skip, sums[skip:])
				}
			}
			if residual != nil && t.residual == nil {
				residual.add(out.Codes, outStarts[:rows], staged, residualStarts, channel, t.columns, gathered)
			}
		}
	}
}

// zeroSums are sums that begin at 0.
var zeroSums [32]int32

// subtract takes the zero points of columns, times what a row's codes add up to, off the row's sums.
func subtract(sums, zero []int32, rowSum int32) {
	zero = zero[:len(sums)]
	for j := range sums {
		sums[j] -= zero[j] * rowSum
	}
}

// columnsOf is the entries of the columns of a panel from channel on, as many as memory has elements: where there are
// fewer columns, or all have the same entry, or there are none (zeros), it is memory.
func columnsOf[T int32 | float32](memory, entries []T, channel, columns int) []T {
	switch {
	case len(entries) == 0:
		clear(memory)
	case len(entries) == 1:
		fill(memory, entries[0])
	case columns == len(memory):
		return entries[channel:][:columns]
	default:
		clear(memory[copy(memory, entries[channel:][:columns]):])
	}
	return memory
}

// sumRows sums the codes of each row, flipped to what the tile multiplies: s8 or u8.
func sumRows(sums []int32, a []byte, starts, runs []int, length int, flip byte, signed bool) {
	bias := int32(0)
	if signed {
		flip ^= 0x80
		bias = int32(128 * length * len(runs))
	}
	for i := range sums {
		s := -bias
		for _, run := range runs {
			s += sumCodes(a[starts[i]+run:][:length], flip)
		}
		sums[i] = s
	}
}

// sumCodes adds eight codes at a time in four lanes of a word, and those up before one of them overflows.
func sumCodes(codes []byte, flip byte) int32 {
	const (
		even = 0x00ff00ff00ff00ff
		most = 8 * 128 // codes: 128 times two of 255 in a lane
	)
	flips := uint64(flip) * 0x0101010101010101
	s := int32(0)
	for len(codes) >= 8 {
		lanes := uint64(0)
		n := min(len(codes)&^7, most)
		for i := 0; i < n; i += 8 {
			x := binary.LittleEndian.Uint64(codes[i:]) ^ flips
			lanes += x&even + x>>8&even
		}
		s += int32(lanes&0xffff + lanes>>16&0xffff + lanes>>32&0xffff + lanes>>48)
		codes = codes[n:]
	}
	for _, v := range codes {
		s += int32(v ^ flip)
	}
	return s
}

// apply writes finished sums of the channels from channel on to the elements from at on.
func (e *Epilogue) apply(out Destination, at, channel int, sums []int32) {
	switch {
	case out.Codes != nil && e.Requantizer != nil:
		requantizeBy(out.Codes[at:at+len(sums)], sums, channelsOf(e.Requantizer, channel, len(sums)), e.ZeroPoint, e.Lowest, e.Highest)
	case out.Codes != nil:
		requantize(out.Codes[at:at+len(sums)], sums, channelsOf(e.Multiplier, channel, len(sums)), e.ZeroPoint, e.Lowest, e.Highest)
	case out.Sums != nil:
		copy(out.Sums[at:at+len(sums)], sums)
	default:
		e.floats(out.Floats[at:at+len(sums)], channel, sums)
	}
}

// floats is numeric.SumToFloat of each sum, limited.
func (e *Epilogue) floats(dst []float32, channel int, sums []int32) {
	m := channelsOf(e.Multiplier, channel, len(sums))
	dst = dst[:len(sums)]
	if len(m) == 1 {
		for j, s := range sums {
			dst[j] = numeric.SumToFloat(s, m[0], 0)
		}
	} else {
		m = m[:len(sums)]
		for j, s := range sums {
			dst[j] = numeric.SumToFloat(s, m[j], 0)
		}
	}
	if e.FloatBias != nil {
		for j, b := range e.FloatBias[channel:][:len(sums)] {
			dst[j] += b
		}
	}
	if e.Least > negativeInfinity || e.Greatest < positiveInfinity {
		for j, x := range dst {
			dst[j] = min(max(x, e.Least), e.Greatest) // no branch; NaN stays NaN
		}
	}
}

// channelsOf is the entries of n channels from channel on: n of them, or the only one.
func channelsOf[T any](m []T, channel, n int) []T {
	if len(m) == 1 {
		return m
	}
	return m[channel : channel+n]
}

var negativeInfinity, positiveInfinity = float32(math.Inf(-1)), float32(math.Inf(1))

// limit clamps x to [least, greatest]; NaN stays NaN.
func limit(x, least, greatest float32) float32 {
	if x < least {
		return least
	}
	if x > greatest {
		return greatest
	}
	return x
}

// requantize is numeric.Requantize of each sum, with one multiplier or one per sum.
func requantize(dst []byte, sums []int32, m []float32, zeroPoint, lowest, highest int32) {
	low, high := int64(lowest-zeroPoint), int64(highest-zeroPoint)
	sums = sums[:len(dst)]
	if len(m) == 1 {
		only := m[0]
		if !isModerate(only) {
			for j, s := range sums {
				dst[j] = byte(numeric.Requantize(s, only, zeroPoint, lowest, highest))
			}
			return
		}
		for j, s := range sums {
			dst[j] = saturateModerate(float32(s)*only, low, high, zeroPoint)
		}
		return
	}
	m = m[:len(dst)]
	for j, s := range sums {
		if !isModerate(m[j]) {
			dst[j] = byte(numeric.Requantize(s, m[j], zeroPoint, lowest, highest))
			continue
		}
		dst[j] = saturateModerate(float32(s)*m[j], low, high, zeroPoint)
	}
}

// isModerate reports whether the product of a multiplier and an int32 is less than 2^51.
func isModerate(multiplier float32) bool { return multiplier > -(1<<20) && multiplier < 1<<20 }

// saturateModerate is the stored byte of numeric.Saturate for |x| < 2^51, without a branch that data could mislead: half
// of what goes into a Relu is below its limit. In float64, 1.5·2^52 + x is rounded to an integer, ties to even.
func saturateModerate(x float32, low, high int64, zeroPoint int32) byte {
	const magic = 3 << 51
	n := int64(math.Float64bits(float64(float32(x))+magic)) - 0x4338000000000000
	return byte(int32(min(max(n, low), high)) + zeroPoint)
}

// saturate is the stored byte of numeric.Saturate, cheap enough to be inlined: low and high are the limits of the
// code less the zero point. Within them the magic addend of numeric.RoundHalfEven rounds exactly.
func saturate(x, low, high float32, zeroPoint int32) byte {
	if !(x > low) { // also NaN
		return saturateLow(x, low, high, zeroPoint)
	}
	if x > high {
		x = high
	}
	return byte(int32(math.Float32bits(float32(x)+roundMagic)) + zeroPoint)
}

// roundMagic is 1.5·2^23; its low byte is zero, so the low byte of the sum's bits is the rounded number's.
const roundMagic = 12582912

func saturateLow(x, low, high float32, zeroPoint int32) byte {
	if x != x {
		return byte(int32(min(max(0, low), high)) + zeroPoint)
	}
	return byte(int32(min(low, high)) + zeroPoint)
}
