package numeric

import "math"

// The scalar formulas of the ONNX row that are not a requantized sum of products. The reference operators and the
// kernels both call these functions, so an integer node has one meaning.

// Ratio is what a term of a sum is multiplied by to be expressed in units of the output scale.
func Ratio(inputScale, outputScale float32) float32 { return inputScale / outputScale }

// AddCode is the output code of a sum of two codes: the zero-point-free codes times their ratios (Ratio of each
// input's scale to the output's), added in float32, rounded once.
func AddCode(a, zeroA int32, ratioA float32, b, zeroB int32, ratioB float32, zeroPoint, lowest, highest int32) int32 {
	return Saturate(float32(float32(a-zeroA)*ratioA)+float32(float32(b-zeroB)*ratioB), zeroPoint, lowest, highest)
}

// SubCode is the output code of a difference of two codes; see AddCode.
func SubCode(a, zeroA int32, ratioA float32, b, zeroB int32, ratioB float32, zeroPoint, lowest, highest int32) int32 {
	return Saturate(float32(float32(a-zeroA)*ratioA)-float32(float32(b-zeroB)*ratioB), zeroPoint, lowest, highest)
}

// MulMultiplier is the multiplier of MulCode: s_a·s_b/s_y, each step rounded to float32.
func MulMultiplier(scaleA, scaleB, outputScale float32) float32 {
	return float32(scaleA*scaleB) / outputScale
}

// MulCode is the output code of a product of two codes; multiplier is MulMultiplier of the scales.
func MulCode(a, zeroA, b, zeroB int32, multiplier float32, zeroPoint, lowest, highest int32) int32 {
	// 16-bit codes have products beyond an int32.
	return Saturate(float32(int64(a-zeroA)*int64(b-zeroB))*multiplier, zeroPoint, lowest, highest)
}

// AverageMultiplier is the multiplier of AverageCode for a mean of n codes: s_x/(n·s_y), each step rounded to float32.
// A sum (ReduceSum) is a mean with n = 1.
func AverageMultiplier(inputScale, outputScale float32, n int) float32 {
	return inputScale / float32(float32(n)*outputScale)
}

// AverageCode is the output code of a mean whose zero-point-free codes add up to sum.
func AverageCode(sum int64, multiplier float32, zeroPoint, lowest, highest int32) int32 {
	return Saturate(float32(sum)*multiplier, zeroPoint, lowest, highest)
}

// RequantizeCode expresses a code in another scale and zero point: dequantized in float32, quantized again. With equal
// scales it is a shift by the difference of zero points, exactly.
func RequantizeCode(q, zeroX int32, scaleX float32, zeroY int32, scaleY float32, lowest, highest int32) int32 {
	if scaleX == scaleY {
		return min(max(q-zeroX+zeroY, lowest), highest)
	}
	return Quantize(Dequantize(q, zeroX, scaleX), scaleY, zeroY, lowest, highest)
}

// UnaryCode is the output code of a real function of a code: dequantized in float32, f evaluated in float64, rounded
// to float32, quantized. f must be built from this package's functions, not from package math's, whose bits differ by
// architecture.
func UnaryCode(q, zeroX int32, scaleX float32, f func(float64) float64, scaleY float32, zeroY, lowest, highest int32) int32 {
	return Quantize(float32(f(float64(Dequantize(q, zeroX, scaleX)))), scaleY, zeroY, lowest, highest)
}

// FillUnaryTable fills the table of UnaryCode for all 256 codes. Entry i belongs to the code whose stored byte is i:
// the code i, or int8(i) if the input is signed; the entries are stored bytes too.
func FillUnaryTable(table *[256]byte, signed bool, zeroX int32, scaleX float32, f func(float64) float64, scaleY float32, zeroY, lowest, highest int32) {
	for i := range table {
		table[i] = byte(UnaryCode(stored(i, signed), zeroX, scaleX, f, scaleY, zeroY, lowest, highest))
	}
}

// SoftmaxTerm is the exponential of a code that lies d below the row's maximum: exp(−d·scale), rounded to float32.
func SoftmaxTerm(d int, scale float32) float32 {
	return float32(Exp(-float64(float64(d) * float64(scale))))
}

// FillSoftmaxTable fills SoftmaxTerm for every difference of two 8-bit codes.
func FillSoftmaxTable(table *[256]float32, scale float32) {
	for d := range table {
		table[d] = SoftmaxTerm(d, scale)
	}
}

// SoftmaxCode is the output code of one element: its term over the float32 sum, in index order, of the row's terms.
func SoftmaxCode(term, sum, scale float32, zeroPoint, lowest, highest int32) int32 {
	return Quantize(term/sum, scale, zeroPoint, lowest, highest)
}

// ClampCodes narrows the limits of output codes to those of the real numbers in [least, greatest], the meaning of a
// Relu or Clip fused into an integer node. Infinite limits leave the code's own.
func ClampCodes(least, greatest, scale float32, zeroPoint, lowest, highest int32) (lo, hi int32) {
	return max(lowest, Quantize(least, scale, zeroPoint, lowest, highest)),
		min(highest, Quantize(greatest, scale, zeroPoint, lowest, highest))
}

// SumToFloat is the real number of an exact integer sum: acc·scale, where scale is the float32 product of the scales
// of the factors, plus a float bias.
func SumToFloat(acc int32, scale, bias float32) float32 { return float32(float32(acc)*scale) + bias }

// DynamicRange is the scale and zero point that ONNX DynamicQuantizeLinear chooses for u8 codes of numbers between
// least and greatest. Zero is always representable; a range of width 0 has scale 1.
func DynamicRange(least, greatest float32) (scale float32, zeroPoint int32) {
	least, greatest = min(least, 0), max(greatest, 0)
	scale = (greatest - least) / 255
	if scale == 0 || math.IsNaN(float64(scale)) {
		return 1, 0
	}
	return scale, Saturate(-least/scale, 0, 0, 255)
}
