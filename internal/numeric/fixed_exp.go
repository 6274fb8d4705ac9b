package numeric

import (
	"math"
	"math/bits"
)

// The elementary functions of fixed-point numbers follow gemmlowp's fixedpoint.h: a number with n integer bits is
// raw·2^(n−31), a product is DoublingHighMultiply of the raw numbers, and integer bits add up.

// rescaleFixed is the same number with fewer (shift > 0) or more integer bits.
func rescaleFixed(raw int32, shift int) int32 {
	if shift >= 0 {
		return saturate32(int64(raw) << shift)
	}
	return ShiftHalfAway(raw, -shift)
}

// fixedExp is exp(a), without integer bits, for a ≤ 0 with the given number of integer bits, at most 6.
func fixedExp(a int32, integerBits int) int32 {
	if a == 0 {
		return math.MaxInt32
	}
	if integerBits > 5 && a < -(1<<(36-integerBits)) { // below −32
		return 0
	}
	fraction := 31 - integerBits
	quarter := int32(1) << (fraction - 2)
	rest := a&(quarter-1) - quarter // in [−1/4, 0)
	result := expQuarter(rescaleFixed(rest, integerBits))
	remainder := rest - a
	// exp(−2^e) without integer bits, for e from −2 up.
	for i, power := range [...]int32{1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242} {
		if e := i - 2; integerBits > e && remainder&(1<<(fraction+e)) != 0 {
			result = DoublingHighMultiply(result, power)
		}
	}
	return result
}

// expQuarter is exp(a) for a in [−1/4, 0), both without integer bits: four terms of the Taylor series around −1/8.
func expQuarter(a int32) int32 {
	const expEighth, third = 1895147668, 715827883
	x := a + 1<<28
	x2 := DoublingHighMultiply(x, x)
	x3 := DoublingHighMultiply(x2, x)
	x4 := DoublingHighMultiply(x2, x2)
	tail := ShiftHalfAway(DoublingHighMultiply(ShiftHalfAway(x4, 2)+x3, third)+x2, 1)
	return expEighth + DoublingHighMultiply(expEighth, x+tail)
}

// fixedReciprocal is 1/(1 + a) for a in [0, 1), both without integer bits: three steps of Newton's method for the half
// of the denominator, with two integer bits.
func fixedReciprocal(a int32) int32 {
	half := int32((int64(a) + math.MaxInt32 + 1) / 2)
	x := 1515870810 + DoublingHighMultiply(half, -1010580540) // 48/17 − 32/17·half
	for range 3 {
		rest := 1<<29 - DoublingHighMultiply(half, x)
		x += rescaleFixed(DoublingHighMultiply(x, rest), 2)
	}
	return rescaleFixed(x, 1)
}

// fixedQuotient is 1/sum for a sum with the given number of integer bits: the reciprocal of the sum shifted into
// [1, 2), without integer bits, and by how many bits the sum is greater than one.
func fixedQuotient(sum int32, integerBits int) (reciprocal int32, over int) {
	zeros := bits.LeadingZeros32(uint32(sum))
	shifted := uint32(sum)<<zeros - 1<<31
	return fixedReciprocal(int32(shifted)), integerBits - zeros
}
