package kernel

import (
	"math"

	"github.com/octet-nn/octet/internal/numeric"
)

// productInt8 is what GemmInt8 and ConvInt8 have in common: rows of codes, read in place or gathered through a window,
// times packed weights.
type productInt8 struct {
	weights             *PackedInt8
	window              *Window    // nil: row i is the input's row i
	place               *placement // nil: row i is the output's row i
	inStride, outStride int
	signed              bool
	zeroPoint           int32
	epilogue            *Epilogue
	tiling              tiling
}

func (p *productInt8) scratch() int {
	row := p.weights.row
	bytes := carved[int32](row.MR*row.NR) + carved[int32](row.NR) + carved[int32](p.tiling.rowTile)
	if p.window != nil {
		bytes += carved[byte](p.tiling.rowTile * p.weights.Filter.depth())
	}
	return bytes
}

func (p *productInt8) run(out Destination, in []byte, start, end int, scratch []byte) {
	w, row := p.weights, p.weights.row
	mr, nr, depth, perGroup := row.MR, row.NR, w.Filter.depth(), w.Filter.perGroup()
	inputs := w.Filter.Inputs
	acc := carve[int32](&scratch, mr*nr)
	offsets := carve[int32](&scratch, nr)
	rowSums := carve[int32](&scratch, p.tiling.rowTile)
	var gathered []byte
	if p.window != nil {
		gathered = carve[byte](&scratch, p.tiling.rowTile*depth)
	}
	flip, zero := byte(0), p.zeroPoint
	if p.signed {
		flip, zero = 0x80, zero+128
	}
	previousRow, previousGroup := -1, -1
	for unit := start; unit < end; unit++ {
		firstRow, rows, group, firstPanel := p.tiling.unit(unit)
		a, stride := gathered, depth
		fresh := firstRow != previousRow || group != previousGroup
		previousRow, previousGroup = firstRow, group
		if p.window == nil {
			a, stride = in[firstRow*p.inStride+group*inputs:], p.inStride
		} else if fresh {
			gather(gathered, in, p.window, firstRow, rows, group*inputs, inputs, byte(p.zeroPoint))
		}
		if w.zero != nil && fresh {
			sumRows(rowSums[:rows], a, stride, flip, depth)
		}
		lastPanel := min(firstPanel+p.tiling.panelTile, w.groupPanels())
		for panel := firstPanel; panel < lastPanel; panel++ {
			column := panel * nr
			columns := min(nr, perGroup-column)
			channel := group*perGroup + column
			packed := w.panels[(group*w.groupPanels()+panel)*w.words:][:w.words]
			// Σ(a−za)(w−zw) = Σ a·w − zw·Σ a − za·Σ(w−zw): the last term and the bias are known per column.
			for j := range columns {
				offsets[j] = -zero * w.sums[channel+j]
			}
			if bias := p.epilogue.Bias; bias != nil {
				for j := range columns {
					offsets[j] += bias[channel+j]
				}
			}
			for i := 0; i < rows; i += mr {
				m := min(mr, rows-i)
				for r := range m {
					copy(acc[r*nr:(r+1)*nr], offsets)
					if w.zero != nil {
						for j := range columns {
							acc[r*nr+j] -= w.zero[channel+j] * rowSums[i+r]
						}
					}
				}
				row.Tile(acc, a[i*stride:], stride, m, flip, packed, depth)
				for r := range m {
					p.epilogue.apply(out, p.place.pixel(firstRow+i+r)*p.outStride+channel, channel, acc[r*nr:r*nr+columns])
				}
			}
		}
	}
}

// sumRows sums the codes, flipped to u8, of each row.
func sumRows(sums []int32, a []byte, stride int, flip byte, depth int) {
	for i := range sums {
		s := int32(0)
		for _, v := range a[i*stride:][:depth] {
			s += int32(v ^ flip)
		}
		sums[i] = s
	}
}

// apply writes finished sums of the channels from channel on to the elements from at on.
func (e *Epilogue) apply(out Destination, at, channel int, sums []int32) {
	switch {
	case out.Codes != nil:
		requantize(out.Codes[at:at+len(sums)], sums, multipliers(e.Multiplier, channel, len(sums)), e.ZeroPoint, e.Lowest, e.Highest)
	case out.Sums != nil:
		copy(out.Sums[at:at+len(sums)], sums)
	default:
		m := multipliers(e.Multiplier, channel, len(sums))
		floats := out.Floats[at : at+len(sums)]
		for j, s := range sums {
			bias := float32(0)
			if e.FloatBias != nil {
				bias = e.FloatBias[channel+j]
			}
			floats[j] = limit(numeric.SumToFloat(s, m[j%len(m)], bias), e.Least, e.Greatest)
		}
	}
}

// multipliers is the multipliers of n channels from channel on: n of them, or the only one.
func multipliers(m []float32, channel, n int) []float32 {
	if len(m) == 1 {
		return m
	}
	return m[channel : channel+n]
}

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
