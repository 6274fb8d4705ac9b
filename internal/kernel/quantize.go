package kernel

import "github.com/octet-nn/octet/internal/numeric"

// Quantize is numeric.Quantize of each element. Split it anywhere.
func Quantize(dst []byte, src []float32, scale float32, zeroPoint, lowest, highest int32) {
	low, high := float32(lowest-zeroPoint), float32(highest-zeroPoint)
	for i, x := range src[:len(dst)] {
		dst[i] = saturate(x/scale, low, high, zeroPoint)
	}
}

// Dequantize is numeric.Dequantize of each code. Split it anywhere.
func Dequantize(dst []float32, src []byte, x Int8Operand) {
	flip, zero := unsigned(x.Signed, x.ZeroPoint)
	for i, q := range src[:len(dst)] {
		dst[i] = float32(int32(q^flip)-zero) * x.Scale
	}
}

// FillRequantizeTable makes the Lookup table of numeric.RequantizeCode. Codes that only change their signedness become
// an exclusive or with 0x80, which Flip does faster.
func FillRequantizeTable(table *[256]byte, x Int8Operand, scale float32, zeroPoint, lowest, highest int32) {
	for i := range table {
		table[i] = byte(numeric.RequantizeCode(x.code(byte(i)), x.ZeroPoint, x.Scale, zeroPoint, scale, lowest, highest))
	}
}

// Flip turns u8 codes with zero point z into s8 codes with zero point z−128, or back. dst may be src; split it
// anywhere.
func Flip(dst, src []byte) {
	for i, q := range src[:len(dst)] {
		dst[i] = q ^ 0x80
	}
}

// Extremes is the least and greatest of the elements and of zero; NaN is passed over.
func Extremes(src []float32) (least, greatest float32) {
	for _, x := range src {
		if x < least {
			least = x
		} else if x > greatest {
			greatest = x
		}
	}
	return least, greatest
}

// PerAxis is the shape of a value with parameters of its own per channel: outer × Channels × Inner elements. Its
// pieces are runs of Inner elements, which belong to one channel.
type PerAxis struct {
	Outer, Channels, Inner int
	Scale                  []float32 // per channel
	ZeroPoint              []int32   // per channel, or nil for 0
}

// Units is how many pieces the work has.
func (p *PerAxis) Units() int { return p.Outer * p.Channels }

func (p *PerAxis) parameters(unit int) (scale float32, zeroPoint int32) {
	channel := unit % p.Channels
	if p.ZeroPoint != nil {
		zeroPoint = p.ZeroPoint[channel]
	}
	return p.Scale[channel], zeroPoint
}

// Quantize is numeric.Quantize of the pieces [start, end).
func (p *PerAxis) Quantize(dst []byte, src []float32, lowest, highest int32, start, end int) {
	for unit := start; unit < end; unit++ {
		scale, zero := p.parameters(unit)
		at := unit * p.Inner
		Quantize(dst[at:at+p.Inner], src[at:], scale, zero, lowest, highest)
	}
}

// Dequantize is numeric.Dequantize of the pieces [start, end).
func (p *PerAxis) Dequantize(dst []float32, src []byte, signed bool, start, end int) {
	for unit := start; unit < end; unit++ {
		scale, zero := p.parameters(unit)
		at := unit * p.Inner
		Dequantize(dst[at:at+p.Inner], src[at:], Int8Operand{signed, zero, scale})
	}
}

// DequantizeSums is the real numbers of int32 codes, for the pieces [start, end): a bias, say.
func (p *PerAxis) DequantizeSums(dst []float32, src []int32, start, end int) {
	for unit := start; unit < end; unit++ {
		scale, zero := p.parameters(unit)
		for i := unit * p.Inner; i < (unit+1)*p.Inner; i++ {
			dst[i] = numeric.Dequantize(src[i], zero, scale)
		}
	}
}
