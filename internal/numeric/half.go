package numeric

import "math"

// Float16 converts to IEEE 754 binary16, rounding to nearest, ties to even; overflow gives infinity.
func Float16(f float32) uint16 {
	b := math.Float32bits(f)
	sign := uint16(b >> 16 & 0x8000)
	b &= 0x7fffffff
	switch {
	case b > 0x7f800000: // NaN: keep the payload's top bits, stay quiet
		return sign | 0x7e00 | uint16(b>>13&0x3ff)
	case b >= 0x477ff000: // rounds to 65520 or more
		return sign | 0x7c00
	case b < 0x38800000: // subnormal or zero: let float32 addition do the rounding
		const magic = uint32(127-15+23-10+1) << 23
		f := math.Float32frombits(b) + math.Float32frombits(magic)
		return sign | uint16(math.Float32bits(f)-magic)
	default:
		b += 0xc8000fff + b>>13&1 // rebias the exponent by 15-127, round
		return sign | uint16(b>>13)
	}
}

// FromFloat16 converts from IEEE 754 binary16, exactly.
func FromFloat16(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	exponent, fraction := uint32(h>>10&0x1f), uint32(h&0x3ff)
	switch exponent {
	case 0:
		f := float32(fraction) * (1.0 / (1 << 24))
		return math.Float32frombits(sign | math.Float32bits(f))
	case 0x1f:
		return math.Float32frombits(sign | 0x7f800000 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+127-15)<<23 | fraction<<13)
}

// BFloat16 converts to bfloat16, rounding to nearest, ties to even.
func BFloat16(f float32) uint16 {
	b := math.Float32bits(f)
	if b&0x7fffffff > 0x7f800000 {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

// FromBFloat16 converts from bfloat16, exactly.
func FromBFloat16(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }
