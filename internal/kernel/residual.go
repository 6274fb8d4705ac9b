package kernel

import "math"

// CodeSum is a sum of two operands of codes, element by element: a *BinaryInt8 of Add or Sub, or a *SumInt8.
type CodeSum interface {
	// codes computes as many elements as y has, which may be a or b.
	codes(y, a, b []byte)
}

// Residual is codes in memory, one for each code of a product, that are added to it. The sum is that of two operands of
// codes: the product's are rounded and limited first, as if they went to memory. The output may be the same memory as
// the residual, if both have the same stride.
type Residual struct {
	Sum     CodeSum
	Second  bool   // the product is operand b of the sum; else it is operand a
	Operand []byte // the other one
	Stride  int    // elements from one of its rows or pixels to the next; at least as many as the output has columns
}

// join says to a tile how to add a residual to codes in registers; it reports false, and does nothing, where that is
// not for the tiles. The epilogue's codes are some of u8 or s8.
func (r *Residual) join(t *tileInt8, e *Epilogue) bool {
	if r == nil {
		return false
	}
	k, ok := r.Sum.(*BinaryInt8)
	if !ok || k.multiply || k.extreme || !fitsBytes(k.zeroPoint, k.lowest, k.highest) {
		return false
	}
	own, other := Int8Operand{k.signedA, k.zeroA, k.ratioA}, Int8Operand{k.signedB, k.zeroB, k.ratioB}
	if r.Second {
		own, other = other, own
	}
	const most = 1 << 14 // with such ratios and zero points no sum of two terms leaves int32
	small := func(ratio float32) bool { return ratio > -most && ratio < most }
	if !e.Bounded || !small(own.Scale) || !small(other.Scale) || other.ZeroPoint < -most || other.ZeroPoint > most {
		return false
	}
	// What the product makes must be what the sum reads.
	if own.ZeroPoint != e.ZeroPoint || own.Signed && e.Highest > 127 || !own.Signed && e.Lowest < 0 {
		return false
	}
	t.low, t.ratio, t.residualRatio = float32(e.Lowest-e.ZeroPoint), own.Scale, other.Scale
	const magic = 1 << 23
	flip, zero := unsigned(other.Signed, other.ZeroPoint)
	t.residualFlip, t.residualZero = math.Float32bits(magic)|uint32(flip), float32(magic+zero)
	t.sumHigh = float32(k.highest - k.zeroPoint)
	t.limit(k.zeroPoint, k.lowest, k.highest)
	return true
}

// limit sets how codes are written; see fitsBytes.
func (t *tileInt8) limit(zeroPoint, lowest, highest int32) {
	shift := int32(0)
	if lowest < 0 {
		shift = 128
	}
	t.shift, t.least, t.greatest, t.zeroPoint = byte(shift), byte(lowest+shift), byte(highest+shift), int16(zeroPoint+shift)
}

// add adds the residual to rows of a panel: their codes lie without gaps in staged, and the sums go to out. rows of out and
// of the residual begin at their starts, and there at channel. gathered is memory of a block, which is longer than a row of
// a panel.
func (r *Residual) add(out []byte, outStarts []int, staged []byte, residualStarts []int, channel, columns int, gathered []byte) {
	most := block / columns // rows at a time
	for first := 0; first < len(outStarts); first += most {
		n := min(most, len(outStarts)-first)
		own := staged[first*columns:][:n*columns]
		other := gapless(r.Operand, residualStarts[first:][:n], channel, columns)
		if other == nil {
			other = gathered[:n*columns]
			for i := range n {
				copy(other[i*columns:][:columns], r.Operand[residualStarts[first+i]+channel:][:columns])
			}
		}
		if y := gapless(out, outStarts[first:][:n], channel, columns); y != nil {
			r.addRow(y, own, other)
			continue
		}
		r.addRow(own, own, other)
		for i := range n {
			copy(out[outStarts[first+i]+channel:][:columns], own[i*columns:])
		}
	}
}

// gapless is rows that begin at starts, and there at channel, where nothing lies between them; else nil. Rows do not overlap.
func gapless(x []byte, starts []int, channel, columns int) []byte {
	last := len(starts) - 1
	if starts[last]-starts[0] != last*columns {
		return nil
	}
	return x[starts[0]+channel:][:len(starts)*columns]
}

// addRow adds as many elements as y has.
func (r *Residual) addRow(y, own, other []byte) {
	a, b := own[:len(y)], other[:len(y)]
	if r.Second {
		a, b = b, a
	}
	r.Sum.codes(y, a, b)
}

// ResidualF32 is floats in memory, one for each that a product makes, that are added to it; the product is limited first,
// the sum is limited to [Least, Greatest]. The output may be the same memory, if both have the same stride.
type ResidualF32 struct {
	Vector          Vector
	Operand         []float32
	Stride          int     // elements from one of its rows or pixels to the next; at least as many as the output has columns
	Least, Greatest float32 // -Inf and +Inf for no limit
}

// add adds the residual to rows of a panel, as that of Residual does.
func (r *ResidualF32) add(out []float32, outStarts []int, staged []float32, stride int, residualStarts []int, channel, columns int) {
	for i, start := range outStarts {
		y, a, b := out[start+channel:][:columns], staged[i*stride:][:columns], r.Operand[residualStarts[i]+channel:][:columns]
		for j := r.Vector.floats(floatsAdd, y, a, b, r.Least, r.Greatest); j < columns; j++ {
			y[j] = min(max(a[j]+b[j], r.Least), r.Greatest)
		}
	}
}

// AreBounded reports whether multipliers are all less than 1; see Epilogue.
func AreBounded(multipliers []float32) bool {
	for _, m := range multipliers {
		if !(m > -1 && m < 1) {
			return false
		}
	}
	return true
}
