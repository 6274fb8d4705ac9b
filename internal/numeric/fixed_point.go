package numeric

import "math"

// FixedPoint is a real multiplier as a 31-bit fraction and a power of two: Q31·2^(Shift−31), 2^30 ≤ Q31 < 2^31 unless it
// is 0. It is what gemmlowp, TFLite and MACE multiply exact sums by (quantization-aware arithmetic of Jacob et al. 2018).
type FixedPoint struct {
	Q31   int32
	Shift int // to the left; negative to the right
}

// NewFixedPoint is the fixed-point multiplier nearest to a real one, halves away from zero. What is too small for a
// shift of 31 bits is 0; what is not less than 2^30 is the largest multiplier there is.
func NewFixedPoint(real float64) FixedPoint {
	if !(real > 0) {
		return FixedPoint{}
	}
	fraction, shift := math.Frexp(real)
	q := int64(math.Round(fraction * (1 << 31)))
	if q == 1<<31 {
		q /= 2
		shift++
	}
	switch {
	case shift < -31:
		return FixedPoint{}
	case shift > 30:
		return FixedPoint{Q31: math.MaxInt32, Shift: 30}
	}
	return FixedPoint{int32(q), shift}
}

// HalfAway multiplies x in two roundings: a saturating rounding doubling high multiply, whose halves go up, and a right
// shift, whose halves go away from zero. This is gemmlowp's order.
func (m FixedPoint) HalfAway(x int32) int32 {
	return ShiftHalfAway(m.high(x), max(-m.Shift, 0))
}

// HalfUp multiplies like HalfAway, but the halves of the shift go up too.
func (m FixedPoint) HalfUp(x int32) int32 {
	return shiftHalfUp(m.high(x), max(-m.Shift, 0))
}

// high is the part of a multiplication before the right shift: the left shift, if there is one, saturates.
func (m FixedPoint) high(x int32) int32 {
	if m.Shift > 0 {
		x = saturate32(int64(x) << m.Shift)
	}
	return DoublingHighMultiply(x, m.Q31)
}

// Narrow multiplies a wide sum by the multiplier rounded to 16 bits, in one rounding, halves up: TFLite's arithmetic of
// 16-bit activations, whose sums need 64 bits.
func (m FixedPoint) Narrow(x int64) int32 {
	reduced := int64(0x7fff)
	if m.Q31 < 0x7fff0000 {
		reduced = (int64(m.Q31) + 1<<15) >> 16
	}
	shift := 15 - m.Shift
	if shift <= 0 {
		return saturate32(x * reduced << -shift)
	}
	return saturate32((x*reduced + 1<<(shift-1)) >> shift)
}

// DoublingHighMultiply is the high 32 bits of 2·a·b, rounded to nearest, halves up; −2^31·−2^31 saturates.
func DoublingHighMultiply(a, b int32) int32 {
	if a == math.MinInt32 && b == math.MinInt32 {
		return math.MaxInt32
	}
	return int32((int64(a)*int64(b) + 1<<30) >> 31)
}

// ShiftHalfAway is x/2^n rounded to nearest, halves away from zero.
func ShiftHalfAway(x int32, n int) int32 {
	mask := int32(int64(1)<<n - 1)
	threshold := mask >> 1
	if x < 0 {
		threshold++
	}
	y := x >> n
	if x&mask > threshold {
		y++
	}
	return y
}

// shiftHalfUp is x/2^n rounded to nearest, halves up.
func shiftHalfUp(x int32, n int) int32 {
	if n == 0 {
		return x
	}
	return int32((int64(x) + 1<<(n-1)) >> n)
}

// saturate32 is x limited to the range of an int32.
func saturate32(x int64) int32 { return int32(min(max(x, math.MinInt32), math.MaxInt32)) }
