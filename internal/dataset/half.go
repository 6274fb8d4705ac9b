package dataset

import "math"

// toHalf rounds to IEEE 754 binary16, ties to even.
func toHalf(f float32) uint16 {
	bits := math.Float32bits(f)
	sign := uint16(bits >> 16 & 0x8000)
	magnitude := math.Abs(float64(f))
	switch {
	case magnitude != magnitude:
		return sign | 0x7e00
	case magnitude >= 65520:
		return sign | 0x7c00
	case magnitude < 1.0/(1<<14): // subnormal: a multiple of 2^-24
		return sign | uint16(math.RoundToEven(magnitude*(1<<24)))
	}
	fraction, exponent := math.Frexp(magnitude) // fraction in [0.5, 1)
	steps := math.RoundToEven(fraction * (1 << 11))
	return sign | uint16(int(steps)-(1<<10)+(exponent-1+15)<<10)
}

// fromHalf converts from IEEE 754 binary16, exactly.
func fromHalf(h uint16) float64 {
	exponent, fraction := int(h>>10&0x1f), float64(h&0x3ff)
	v := math.Ldexp(1024+fraction, exponent-25)
	switch {
	case exponent == 0:
		v = math.Ldexp(fraction, -24)
	case exponent == 0x1f && fraction != 0:
		v = math.NaN()
	case exponent == 0x1f:
		v = math.Inf(1)
	}
	if h&0x8000 != 0 {
		return -v
	}
	return v
}

// toBFloat16 rounds to bfloat16, ties to even.
func toBFloat16(f float32) uint16 {
	bits := math.Float32bits(f)
	if f != f {
		return uint16(bits>>16) | 0x40
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}
