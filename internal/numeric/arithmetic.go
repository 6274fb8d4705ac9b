// Package numeric defines, once, every number the engine rounds: integer arithmetics, half precision, and elementary
// functions whose bits are the same on every architecture.
//
// Nothing here may be computed with a fused multiply-add: Go fuses x*y+z on some architectures, so a product that is
// added to something is wrapped in an explicit conversion, float32(x*y)+z.
package numeric

import (
	"fmt"
	"math"
)

// Arithmetic names a row of the closed table of integer arithmetics: which multiplier form, accumulator and rounding
// an integer node uses. Accumulation itself is exact in every row; a row says how the sum becomes an output code.
type Arithmetic uint8

const (
	// None is the arithmetic of float nodes. Integer nodes, also those that only move codes, name another one.
	None Arithmetic = iota
	// ONNX requantizes in float32, in ONNX Runtime's order of operations: the multiplier is s_x·s_w/s_y and
	// y = clamp(roundHalfEven(float32(acc)·m) + zp). Softmax, pools and additions are float32 sums of dequantized or
	// zero-point-free codes.
	ONNX
	// MACE is XiaoMi MACE on the CPU: sums are multiplied in fixed point as gemmlowp does (FixedPoint.HalfAway); sums of
	// two values are rounded once from reals, pools average codes, softmax truncates.
	MACE
	// TFLite is the built-in kernels of TensorFlow Lite on x86: sums are multiplied in fixed point; the right shift of
	// convolutions and matrix products rounds halves up, that of other operators away from zero.
	TFLite
	// Gemmlowp is TensorFlow Lite for Microcontrollers and CMSIS-NN: like TFLite, but every right shift rounds halves
	// away from zero, and softmax is in fixed point.
	Gemmlowp
	// TFLite16x8 is TensorFlow Lite's arithmetic of 16-bit activations and 8-bit weights: sums of 64 bits times
	// multipliers of 16.
	TFLite16x8

	arithmeticCount
)

// String is the row's name in the text form and in file metadata.
func (a Arithmetic) String() string {
	if a >= arithmeticCount {
		return fmt.Sprintf("arithmetic(%d)", uint8(a))
	}
	return rows[a].name
}

// ParseArithmetic is the inverse of String.
func ParseArithmetic(name string) (Arithmetic, error) {
	known := make([]string, len(rows))
	for i := range rows {
		if known[i] = rows[i].name; known[i] == name {
			return Arithmetic(i), nil
		}
	}
	return None, fmt.Errorf("unknown arithmetic %q: known are %q", name, known)
}

// Multiplier is the ONNX row's requantization multiplier: (s_x·s_w)/s_y, each step rounded to float32, as ONNX
// Runtime's QLinearConv and QLinearMatMul compute it.
func Multiplier(inputScale, weightScale, outputScale float32) float32 {
	return float32(inputScale*weightScale) / outputScale
}

// Requantize turns an exact sum into an output code in the ONNX row:
// clamp(roundHalfEven(float32(acc)·multiplier) + zeroPoint, lowest, highest).
func Requantize(acc int32, multiplier float32, zeroPoint, lowest, highest int32) int32 {
	return Saturate(float32(acc)*multiplier, zeroPoint, lowest, highest)
}

// Saturate is clamp(roundHalfEven(x) + zeroPoint, lowest, highest) for a value x already divided by the scale.
// The clamp happens on the real number first, so that no float is too large to convert; NaN gives the zero point.
func Saturate(x float32, zeroPoint, lowest, highest int32) int32 {
	if x != x {
		return min(max(zeroPoint, lowest), highest)
	}
	// lowest-zeroPoint and highest-zeroPoint are small integers, exact in float32, and rounding is monotonic:
	// clamping before rounding gives the same code as clamping after.
	x = min(max(x, float32(lowest-zeroPoint)), float32(highest-zeroPoint))
	return RoundHalfEven(x) + zeroPoint
}

// Quantize is the code of a real number: clamp(roundHalfEven(x/scale) + zeroPoint, lowest, highest), the meaning of
// ONNX QuantizeLinear. NaN gives the zero point, ±Inf saturate.
func Quantize(x, scale float32, zeroPoint, lowest, highest int32) int32 {
	return Saturate(x/scale, zeroPoint, lowest, highest)
}

// Dequantize is the real number of a code: (q − zeroPoint)·scale, in float32.
func Dequantize(q, zeroPoint int32, scale float32) float32 {
	return float32(float32(q-zeroPoint) * scale) // converted: where it is inlined, what is added must not be fused
}

// roundMagic is 1.5·2^23: adding it to a float32 of magnitude below 2^22 leaves the nearest integer, ties to even, in
// the low bits, where the bits of roundMagic itself are 0x4b400000.
const roundMagic = 12582912

// RoundHalfEven rounds a float32 to the nearest int32, ties to even. x must be in the range of int32 and no NaN.
func RoundHalfEven(x float32) int32 {
	if x > -4194304 && x < 4194304 {
		return int32(math.Float32bits(float32(x)+roundMagic)) - 0x4b400000 // float32(x): x may be an inlined product
	}
	return int32(math.RoundToEven(float64(x)))
}
