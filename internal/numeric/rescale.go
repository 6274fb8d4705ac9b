package numeric

import "math"

// rescaling is how a row multiplies an exact sum of products.
type rescaling struct {
	form       rescaleForm
	multiplier multiplierForm
}

// rescaleForm is the form of the multiplication and of its rounding.
type rescaleForm uint8

const (
	floatHalfEven        rescaleForm = iota // roundHalfEven(float32(sum)·m) + zero point
	floatHalfAway                           // roundHalfAway(float32(sum)·m) + zero point
	floatHalfAwayShifted                    // roundHalfAway(float32(sum)·m + zero point)
	fixedHalfAway                           // FixedPoint.HalfAway(sum) + zero point
	fixedHalfUp                             // FixedPoint.HalfUp(sum) + zero point
	fixedNarrow                             // FixedPoint.Narrow(sum) + zero point
)

// multiplierForm is the precision in which s_x·s_w/s_y is computed.
type multiplierForm uint8

const (
	product32       multiplierForm = iota // product and quotient in float32
	product64                             // both in float64
	quotient64                            // the product in float32, the quotient in float64
	product64Signed                       // product64 for signed codes, quotient64 for unsigned ones
)

func (f multiplierForm) of(a, b, y float32) float64 {
	switch f {
	case product64, product64Signed:
		return float64(float64(a)*float64(b)) / float64(y)
	case quotient64:
		return float64(float32(a*b)) / float64(y)
	}
	return float64(float32(a*b) / y)
}

// Requantizer turns the exact sums of one output channel into codes, as a row of the table does.
type Requantizer struct {
	form  rescaleForm
	real  float32
	fixed FixedPoint
}

// Requantizer is how the row turns the sums of a layer into codes, for codes of input and output and the
// scale of the weights.
func (a Arithmetic) Requantizer(layer Layer, input Codes, weightScale float32, output Codes) Requantizer {
	s := a.of().layers[layer]
	if s.multiplier == product64Signed && !input.signed() {
		s.multiplier = quotient64
	}
	return newRequantizer(s, input.Scale, weightScale, output.Scale)
}

func newRequantizer(s rescaling, a, b, y float32) Requantizer {
	real := s.multiplier.of(a, b, y)
	return Requantizer{s.form, float32(real), NewFixedPoint(real)}
}

// ForShortSums is what the row does to sums of 32 bits, which 16-bit activations have if their bias has 32 bits.
func (r Requantizer) ForShortSums() Requantizer {
	if r.form == fixedNarrow {
		r.form = fixedHalfAway
	}
	return r
}

// Fixed is the multiplier of requantizers that multiply sums of 32 bits in fixed point, and whether the right shift rounds
// halves away from zero, rather than up; ok is false for all others.
func (r *Requantizer) Fixed() (m FixedPoint, away, ok bool) {
	return r.fixed, r.form == fixedHalfAway, r.form == fixedHalfAway || r.form == fixedHalfUp
}

// Code is the output code of a sum.
func (r *Requantizer) Code(sum int64, zeroPoint, lowest, highest int32) int32 {
	switch r.form {
	case fixedHalfAway:
		return limitedCode(r.fixed.HalfAway(int32(sum)), zeroPoint, lowest, highest)
	case fixedHalfUp:
		return limitedCode(r.fixed.HalfUp(int32(sum)), zeroPoint, lowest, highest)
	case fixedNarrow:
		return limitedCode(r.fixed.Narrow(sum), zeroPoint, lowest, highest)
	case floatHalfAway:
		return saturateHalfAway(float32(sum)*r.real, zeroPoint, lowest, highest)
	case floatHalfAwayShifted:
		return saturateHalfAway(float32(float32(sum)*r.real)+float32(zeroPoint), 0, lowest, highest)
	}
	return Saturate(float32(sum)*r.real, zeroPoint, lowest, highest)
}

// limitedCode is a rounded number plus the zero point, within the limits.
func limitedCode(rounded, zeroPoint, lowest, highest int32) int32 {
	return int32(min(max(int64(rounded)+int64(zeroPoint), int64(lowest)), int64(highest)))
}

// RoundHalfAway rounds to the nearest integer, halves away from zero, in float32.
func RoundHalfAway(x float32) float32 { return float32(math.Round(float64(x))) }

// saturateHalfAway is clamp(roundHalfAway(x) + zeroPoint, lowest, highest); NaN gives the zero point.
func saturateHalfAway(x float32, zeroPoint, lowest, highest int32) int32 {
	if x != x {
		return min(max(zeroPoint, lowest), highest)
	}
	x = min(max(x, float32(lowest-zeroPoint)), float32(highest-zeroPoint))
	return int32(RoundHalfAway(x)) + zeroPoint
}
