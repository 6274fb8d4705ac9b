package numeric

import (
	"math"
	"math/bits"
)

// softmaxForm is how a row computes the softmax of codes.
type softmaxForm uint8

const (
	softmaxReal      softmaxForm = iota // SoftmaxTerm and SoftmaxCode
	softmaxTruncated                    // MACE: float32, truncated, below 32 classes; else fixed point in 1/256
	softmaxTable                        // float32 exponentials times the reciprocal of their sum and of the scale
	softmaxFixed                        // gemmlowp's fixed point; of 16-bit codes by interpolated tables
)

// Softmax computes rows of codes of a softmax.
type Softmax struct {
	form softmaxForm
	x, y Codes
}

// Softmax is how the row computes the softmax of codes of x in codes of y.
func (row Arithmetic) Softmax(x, y Codes) Softmax { return Softmax{row.of().softmax, x, y} }

// Row computes one row of at least one code. out may be in.
func (s *Softmax) Row(out, in []int32) {
	most := in[0]
	for _, q := range in {
		most = max(most, q)
	}
	switch {
	case s.form == softmaxTruncated && len(in) < 32:
		s.truncated(out, in, most)
	case s.form == softmaxTruncated:
		s.fixed256(out, in, most)
	case s.form == softmaxTable && !s.y.wide():
		s.table(out, in, most)
	case s.form == softmaxFixed && s.x.wide():
		s.wide(out, in, most)
	case s.form == softmaxFixed:
		s.fixed(out, in, most)
	default:
		s.real(out, in, most)
	}
}

func (s *Softmax) real(out, in []int32, most int32) {
	var sum float32
	for _, q := range in {
		sum += SoftmaxTerm(int(most-q), s.x.Scale)
	}
	for i, q := range in {
		out[i] = SoftmaxCode(SoftmaxTerm(int(most-q), s.x.Scale), sum, s.y.Scale, s.y.ZeroPoint, s.y.Lowest, s.y.Highest)
	}
}

// truncated is ⌊255·e/Σe⌋ in steps of 1/255: MACE's softmax of fewer than 32 classes.
func (s *Softmax) truncated(out, in []int32, most int32) {
	term := func(q int32) float32 { return float32(Exp(float64(float32(q-most) * s.x.Scale))) }
	var sum float32
	for _, q := range in {
		sum += term(q)
	}
	for i, q := range in {
		out[i] = s.y.limit(int64(float64(float64(term(q)/sum)*255)) + int64(s.y.ZeroPoint))
	}
}

// fixed256 is MACE's softmax of 32 classes and more: differences with 6 integer bits, their sum with 12, results in
// steps of 1/256 (which MACE calls 1/255). What is too far below the greatest is 0, which MACE leaves unwritten.
func (s *Softmax) fixed256(out, in []int32, most int32) {
	const deltaBits, sumBits = 6, 12
	scale := int64(min(float64(s.x.Scale)*(1<<(31-deltaBits)), math.MaxInt32))
	limit := -(math.MaxInt32 / max(scale, 1))
	exp := func(q int32) (int32, bool) {
		delta := int64(q) - int64(most)
		if delta < limit {
			return 0, false
		}
		return fixedExp(int32(delta*scale), deltaBits), true
	}
	var sum int32
	for _, q := range in {
		if e, ok := exp(q); ok {
			sum += rescaleFixed(e, -sumBits)
		}
	}
	reciprocal, over := fixedQuotient(sum, sumBits)
	for i, q := range in {
		code := int32(0)
		if e, ok := exp(q); ok {
			code = ShiftHalfAway(DoublingHighMultiply(reciprocal, e), min(over+31-8, 31))
		}
		out[i] = s.y.limit(int64(code) + int64(s.y.ZeroPoint))
	}
}

// table is TFLite's 8-bit softmax: e·(1/(Σe·s_y)), rounded half away from zero; unsigned codes by adding a half.
func (s *Softmax) table(out, in []int32, most int32) {
	term := func(q int32) float32 { return float32(Exp(float64(float32(-s.x.Scale * float32(most-q))))) }
	var sum float32
	for _, q := range in {
		sum += term(q)
	}
	reciprocal := 1 / float32(sum*s.y.Scale)
	for i, q := range in {
		code := float32(term(q) * reciprocal)
		if s.y.signed() {
			out[i] = saturateHalfAway(code, s.y.ZeroPoint, s.y.Lowest, s.y.Highest)
		} else {
			out[i] = s.y.limit(int64(code + 0.5))
		}
	}
}

// fixed is the softmax of TFLite's reference kernels, of 8-bit codes: differences with 5 integer bits, their sum with
// 12, results in as many bits as the output's codes have, from the lowest code up.
func (s *Softmax) fixed(out, in []int32, most int32) {
	const deltaBits, sumBits = 5, 12
	m := NewFixedPoint(min(float64(s.x.Scale)*(1<<(31-deltaBits)), math.MaxInt32))
	// The greatest difference that does not overflow once it is multiplied.
	radius := int32(math.Floor(float64((1<<deltaBits)-1) * math.Ldexp(1, 31-deltaBits) / math.Ldexp(1, m.Shift)))
	width := 8
	if s.y.wide() {
		width = 16
	}
	exp := func(q int32) (int32, bool) {
		delta := q - most
		if delta < -radius {
			return 0, false
		}
		return fixedExp(DoublingHighMultiply(delta<<m.Shift, m.Q31), deltaBits), true
	}
	var sum int32
	for _, q := range in {
		if e, ok := exp(q); ok {
			sum += rescaleFixed(e, -sumBits)
		}
	}
	reciprocal, over := fixedQuotient(sum, sumBits)
	for i, q := range in {
		code := int32(0)
		if e, ok := exp(q); ok {
			code = ShiftHalfAway(DoublingHighMultiply(reciprocal, e), over+31-width)
		}
		out[i] = s.y.limit(int64(code) + int64(s.y.ZeroPoint))
	}
}

// wide is TFLite's softmax of 16-bit codes: exponentials of differences in [−10, 0] and the reciprocal of their sum are
// interpolated in tables, both with 15 fractional bits.
func (s *Softmax) wide(out, in []int32, most int32) {
	m := NewFixedPoint(float64(s.x.Scale) * 65535 / 10)
	exp := func(q int32) int32 {
		return interpolate(&expTable, saturate16(m.HalfAway(q-most)+math.MaxInt16))
	}
	var sum int32
	for _, q := range in {
		sum += exp(q)
	}
	// The sum shifted into [1, 2), of which the table wants the fraction, with 16 bits and without the middle.
	zeros := bits.LeadingZeros32(uint32(sum))
	shifted := int32((int64(sum)<<(zeros-1) + 1<<13) >> 14)
	reciprocal := interpolate(&reciprocalTable, saturate16(shifted-(1<<15+1<<16)))
	for i, q := range in {
		shift := 31 - zeros
		code := (int64(exp(q))*int64(reciprocal) + 1<<shift>>1) >> shift
		out[i] = s.y.limit(code + int64(s.y.ZeroPoint))
	}
}

// interpolationTable is a function at 513 places, with 15 fractional bits, for 16-bit arguments from the lowest up.
type interpolationTable [513]int32

var (
	expTable        = newInterpolationTable(-10, 0, Exp)
	reciprocalTable = newInterpolationTable(0, 1, func(x float64) float64 { return 1 / (1 + x) })
)

// newInterpolationTable makes a table of f between least and greatest. Entries are moved by half of the error that
// interpolation makes in the middle of a step.
func newInterpolationTable(least, greatest float64, f func(float64) float64) interpolationTable {
	const one = 1 << 15
	step := (greatest - least) / 512
	clamp := func(x float64) int32 { return int32(min(max(x, math.MinInt16), math.MaxInt16)) }
	var table interpolationTable
	for i := range 512 {
		x := least + float64(float64(i)*step)
		sample := math.Round(f(x) * one)
		middle := math.Round((float64(f(least+float64(float64(i+1)*step))*one) + sample) / 2)
		bias := math.Round((middle - math.Round(f(x+float64(step/2))*one)) / 2)
		table[i] = clamp(sample - bias)
	}
	table[512] = clamp(math.Round(f(greatest) * one))
	return table
}

// interpolate looks up a 16-bit argument.
func interpolate(table *interpolationTable, x int32) int32 {
	i, rest := 256+x>>7, x&0x7f
	return table[i] + ((table[i+1]-table[i])*rest+64)>>7
}
