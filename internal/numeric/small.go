package numeric

import "math"

// SmallFloat describes a floating-point format of at most 8 bits. The formats are those of the ONNX specification
// ("Float stored in 8 bits", "Float stored in 4 bits"), after Micikevicius et al. 2022 (FP8 Formats for Deep Learning),
// Noune et al. 2022 (8-bit Numerical Formats, FNUZ) and the OCP Microscaling Formats specification.
type SmallFloat struct {
	exponentBits, fractionBits uint
	bias                       int
	signed                     bool
	infinity                   uint8 // code of +Inf; 0 if there is none
	nan                        uint8 // code of NaN; 0 if there is none
	oneNaN                     bool  // NaN is the code of negative zero, which does not exist
	largest                    uint8 // code of the largest finite number
}

// The formats.
var (
	Float8E4M3FN   = SmallFloat{exponentBits: 4, fractionBits: 3, bias: 7, signed: true, nan: 0x7f, largest: 0x7e}
	Float8E4M3FNUZ = SmallFloat{exponentBits: 4, fractionBits: 3, bias: 8, signed: true, nan: 0x80, oneNaN: true, largest: 0x7f}
	Float8E5M2     = SmallFloat{exponentBits: 5, fractionBits: 2, bias: 15, signed: true, infinity: 0x7c, nan: 0x7e, largest: 0x7b}
	Float8E5M2FNUZ = SmallFloat{exponentBits: 5, fractionBits: 2, bias: 16, signed: true, nan: 0x80, oneNaN: true, largest: 0x7f}
	Float8E8M0     = SmallFloat{exponentBits: 8, bias: 127, nan: 0xff, largest: 0xfe}
	Float4E2M1     = SmallFloat{exponentBits: 2, fractionBits: 1, bias: 1, signed: true, largest: 0x7}
)

// sign is the sign bit; 0 for formats without one.
func (f *SmallFloat) sign() uint8 {
	if !f.signed {
		return 0
	}
	return 1 << (f.exponentBits + f.fractionBits)
}

// Decode is the number that a code stands for, exactly.
func (f *SmallFloat) Decode(code uint8) float32 {
	magnitude := code &^ f.sign()
	switch {
	case f.oneNaN && code == f.nan, !f.oneNaN && f.nan != 0 && magnitude > f.largest && magnitude != f.infinity:
		return float32(math.NaN())
	case f.infinity != 0 && magnitude == f.infinity:
		return float32(math.Inf(1 - 2*btoi(code != magnitude)))
	}
	exponent := int(magnitude >> f.fractionBits)
	fraction := float64(magnitude & (1<<f.fractionBits - 1))
	v := math.Ldexp(1+fraction/float64(uint(1)<<f.fractionBits), exponent-f.bias)
	if exponent == 0 && f.signed { // subnormal; the format without sign has no zero and no subnormals
		v = math.Ldexp(fraction, 1-f.bias-int(f.fractionBits))
	}
	if code != magnitude {
		v = -v
	}
	return float32(v)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Encode is the code nearest to v, ties to even. What is too large becomes the largest number if saturate is set or
// the format has neither infinity nor NaN, otherwise infinity where there is one, else NaN. The format of powers of two
// has no sign: it takes the magnitude, and rounds up (OCP Microscaling Formats leave that open; ONNX Cast has it as the
// default).
func (f *SmallFloat) Encode(v float32, saturate bool) uint8 {
	sign := uint8(0)
	if math.Signbit(float64(v)) {
		sign = f.sign()
	}
	x := math.Abs(float64(v))
	switch {
	case v != v && f.oneNaN:
		return f.nan
	case v != v && f.nan != 0:
		return sign | f.nan
	case v != v:
		return 0 // a format without NaN has nothing better
	}
	if !f.signed {
		return f.powerOfTwo(x, saturate)
	}
	code := f.round(x)
	if code > int(f.largest) {
		switch {
		case saturate || f.infinity == 0 && f.nan == 0:
			return sign | f.largest
		case f.infinity != 0:
			return sign | f.infinity
		case f.oneNaN:
			return f.nan
		}
		return sign | f.nan
	}
	if code == 0 && f.oneNaN {
		return 0 // there is no negative zero
	}
	return sign | uint8(code)
}

// round is the code of a magnitude, ties to even, as if exponents went on for ever.
func (f *SmallFloat) round(x float64) int {
	if math.IsInf(x, 0) {
		return math.MaxInt
	}
	if x == 0 {
		return 0
	}
	_, e := math.Frexp(x) // x = m·2^e with m in [½, 1)
	exponent := max(e-1, 1-f.bias)
	units := int(math.RoundToEven(math.Ldexp(x, int(f.fractionBits)-exponent))) // of the last place
	// Codes are consecutive: rounding up to the next power of two carries into the exponent by itself.
	return units + (exponent-1+f.bias)<<f.fractionBits
}

// powerOfTwo is the code of the least power of two that is not below x.
func (f *SmallFloat) powerOfTwo(x float64, saturate bool) uint8 {
	if x == 0 {
		return 0
	}
	m, e := math.Frexp(x)
	if m == 0.5 {
		e--
	}
	return f.power(x, e, saturate)
}

// power is the code of 2^e, standing for x.
func (f *SmallFloat) power(x float64, e int, saturate bool) uint8 {
	if math.IsInf(x, 0) || e+f.bias > int(f.largest) {
		if saturate {
			return f.largest
		}
		return f.nan
	}
	return uint8(max(e+f.bias, 0))
}

// EncodePowerDown is Float8E8M0's Encode with the greatest power of two that is not above the magnitude of v.
func EncodePowerDown(v float32, saturate bool) uint8 {
	if v != v {
		return Float8E8M0.nan
	}
	x := math.Abs(float64(v))
	_, e := math.Frexp(x)
	if x == 0 {
		return 0
	}
	return Float8E8M0.power(x, e-1, saturate)
}

// EncodePowerNearest is Float8E8M0's Encode with the nearest power of two; what lies in the middle goes up.
func EncodePowerNearest(v float32, saturate bool) uint8 {
	if v != v {
		return Float8E8M0.nan
	}
	x := math.Abs(float64(v))
	m, e := math.Frexp(x) // x = m·2^e, m in [½, 1): between 2^(e-1) and 2^e
	if m < 0.75 {
		e--
	}
	if x == 0 {
		return 0
	}
	return Float8E8M0.power(x, e, saturate)
}
