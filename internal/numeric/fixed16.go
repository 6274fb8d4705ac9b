package numeric

import "math"

// The elementary functions of 16-bit fixed-point numbers, after gemmlowp's fixedpoint.h: what TFLite's integer LSTM has
// as activations. A number with n integer bits is raw·2^(n−15).

// Sigmoid16 is 1/(1 + e^−a), without integer bits, of a number with the given number of integer bits, at most 6.
func Sigmoid16(a int32, integerBits int) int32 {
	if a == 0 {
		return 1 << 14
	}
	positive := rescale16(reciprocal16(exp16(-abs32(a), integerBits)), 1)
	if a > 0 {
		return positive
	}
	return math.MaxInt16 - positive
}

// Tanh16 is tanh(a), without integer bits, of a number with the given number of integer bits, at most 6: with
// e = exp(−2|a|), (1 − e)/(1 + e) = 2/(1 + e) − 1.
func Tanh16(a int32, integerBits int) int32 {
	if a == 0 {
		return 0
	}
	size := rescale16(reciprocal16(exp16(-abs32(a), integerBits+1))-1<<13, 2)
	if a < 0 {
		return -size
	}
	return size
}

func abs32(x int32) int32 { return max(x, -x) }

// rescale16 is the same number with fewer integer bits, saturated.
func rescale16(raw int32, fewer int) int32 { return saturate16(raw << fewer) }

// constant16 is a constant of 32 bits in 16 bits.
func constant16(c int32) int32 { return (c + 1<<15) >> 16 }

// exp16 is exp(a), without integer bits, for a ≤ 0 with the given number of integer bits; see fixedExp.
func exp16(a int32, integerBits int) int32 {
	if a == 0 {
		return math.MaxInt16
	}
	if integerBits > 5 && a < -(1<<(20-integerBits)) { // below −32
		return 0
	}
	fraction := 15 - integerBits
	quarter := int32(1) << (fraction - 2)
	rest := a&(quarter-1) - quarter // in [−1/4, 0)
	result := expQuarter16(rescale16(rest, integerBits))
	remainder := rest - a
	// exp(−2^e) without integer bits, for e from −2 up.
	for i, power := range [...]int32{1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242} {
		if e := i - 2; integerBits > e && remainder&(1<<(fraction+e)) != 0 {
			result = highMultiply16(result, constant16(power))
		}
	}
	return result
}

// expQuarter16 is exp(a) for a in [−1/4, 0), both without integer bits; see expQuarter.
func expQuarter16(a int32) int32 {
	expEighth, third := constant16(1895147668), constant16(715827883)
	x := a + 1<<12
	x2 := highMultiply16(x, x)
	x3 := highMultiply16(x2, x)
	x4 := highMultiply16(x2, x2)
	tail := ShiftHalfAway(highMultiply16(ShiftHalfAway(x4, 2)+x3, third)+x2, 1)
	return saturate16(expEighth + highMultiply16(expEighth, x+tail))
}

// reciprocal16 is 2/(1 + a), with two integer bits, for a in [0, 1) without any; see fixedReciprocal.
func reciprocal16(a int32) int32 {
	half := (a + math.MaxInt16 + 1) / 2
	x := constant16(1515870810) + highMultiply16(half, constant16(-1010580540))
	for range 3 {
		rest := 1<<13 - highMultiply16(half, x)
		x += rescale16(highMultiply16(x, rest), 2)
	}
	return x
}
