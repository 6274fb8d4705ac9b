package numeric

import "math"

// functionForm makes the function from codes of x to codes of y of a real function.
type functionForm func(real func(float64) float64, x, y Codes) func(q int32) int32

// Function is the function from codes of x to codes of y of an operator (its type) that computes a real function,
// which must be built from this package's functions.
func (row Arithmetic) Function(operator string, real func(float64) float64, x, y Codes) func(q int32) int32 {
	if form := row.of().functions[operator]; form != nil {
		return form(real, x, y)
	}
	return func(q int32) int32 {
		return row.Quantize(float32(real(float64(Dequantize(q, x.ZeroPoint, x.Scale)))), y)
	}
}

// truncatedFunction truncates instead of rounding.
func truncatedFunction(real func(float64) float64, x, y Codes) func(q int32) int32 {
	return func(q int32) int32 {
		v := float32(real(float64(Dequantize(q, x.ZeroPoint, x.Scale)))) / y.Scale
		return y.limit(int64(math.Trunc(float64(v))) + int64(y.ZeroPoint))
	}
}

// tfliteFunctions are the functions of the rows that follow TensorFlow Lite's kernels.
var tfliteFunctions = map[string]functionForm{
	"Sigmoid":   sigmoidFunction,
	"Tanh":      tabulatedFunction,
	"Elu":       tabulatedFunction,
	"Relu":      clippedFunction,
	"Clip":      clippedFunction,
	"LeakyRelu": slopedFunction,
	"HardSwish": hardSwishFunction,
}

// wideFunctions are those of 16-bit codes.
var wideFunctions = map[string]functionForm{
	"Sigmoid":   wideFunction(func(x int32) int32 { return Sigmoid16(x, 3) }, logisticAt, 0),
	"Tanh":      wideFunction(func(x int32) int32 { return Tanh16(x, 3) }, tanhAt, 1),
	"Relu":      clippedFunction,
	"Clip":      clippedFunction,
	"LeakyRelu": slopedFunction,
}

// wideFunction is a function of 16-bit codes, to codes of scale 2^−15: in fixed point where the input's scale is a power of
// two from 2^−12 up to 2^(most−12), else by a table of x/(3·2^12), to which codes are rescaled by 15 bits.
func wideFunction(fixed, table func(x int32) int32, most int) functionForm {
	return func(_ func(float64) float64, x, y Codes) func(q int32) int32 {
		if power, ok := powerOfTwo(x.Scale); ok && power >= -12 && power <= most-12 {
			return func(q int32) int32 {
				return y.limit(int64(fixed(rescale16(q-x.ZeroPoint, power+12))) + int64(y.ZeroPoint))
			}
		}
		m, shift := float64(x.Scale)*(3<<12), 0
		for m <= 32767./2 && shift <= 30 {
			m, shift = m*2, shift+1
		}
		multiplier, half := int64(min(m, math.MaxInt32)), int64(1)<<shift>>1
		return func(q int32) int32 {
			v := saturate32((int64(q-x.ZeroPoint)*multiplier + half) >> shift)
			return y.limit(int64(table(max(v, -math.MaxInt32))) + int64(y.ZeroPoint))
		}
	}
}

// powerOfTwo is the power of two that a scale is, but for a thousandth of its logarithm.
func powerOfTwo(scale float32) (power int, ok bool) {
	const near = 0.000693 // ln 2 / 1000
	fraction, power := math.Frexp(float64(scale))
	if fraction < 0.5*(1+near) {
		return power - 1, true
	}
	return power, fraction > 1-near
}

// tabulatedFunction multiplies by the reciprocal of the output's scale and rounds halves away from zero: the lookup
// tables of TFLite's 8-bit kernels.
func tabulatedFunction(real func(float64) float64, x, y Codes) func(q int32) int32 {
	reciprocal := 1 / y.Scale
	return func(q int32) int32 {
		v := float32(real(float64(Dequantize(q, x.ZeroPoint, x.Scale))))
		return saturateHalfAway(float32(v*reciprocal), y.ZeroPoint, y.Lowest, y.Highest)
	}
}

// sigmoidFunction is 1/(1 + e^−x), each step in float32, tabulated.
func sigmoidFunction(_ func(float64) float64, x, y Codes) func(q int32) int32 {
	return tabulatedFunction(func(v float64) float64 {
		return float64(1 / (1 + float32(Exp(-v))))
	}, x, y)
}

// clippedFunction rescales in fixed point and limits codes to those of the function's limits.
func clippedFunction(real func(float64) float64, x, y Codes) func(q int32) int32 {
	limits := y
	limits.Lowest = saturateHalfAway(float32(real(math.Inf(-1)))/y.Scale, y.ZeroPoint, y.Lowest, y.Highest)
	limits.Highest = saturateHalfAway(float32(real(math.Inf(1)))/y.Scale, y.ZeroPoint, y.Lowest, y.Highest)
	m := NewFixedPoint(float64(x.Scale / y.Scale))
	return func(q int32) int32 {
		return limits.limit(int64(m.HalfAway(q-x.ZeroPoint)) + int64(y.ZeroPoint))
	}
}

// slopedFunction has one fixed-point slope for positive and one for negative numbers.
func slopedFunction(real func(float64) float64, x, y Codes) func(q int32) int32 {
	identity := NewFixedPoint(float64(x.Scale / y.Scale))
	slope := float32(-real(-1))
	alpha := NewFixedPoint(float64(float32(x.Scale*float32(math.Abs(float64(slope)))) / y.Scale))
	if slope < 0 {
		alpha.Q31 = -alpha.Q31
	}
	return func(q int32) int32 {
		m := identity
		if q < x.ZeroPoint {
			m = alpha
		}
		return y.limit(int64(m.HalfAway(q-x.ZeroPoint)) + int64(y.ZeroPoint))
	}
}

// hardSwishFunction is x·relu6(x+3)/6 in 16-bit fixed point, as TFLite's 8-bit kernel has it: the input with 7 more
// bits, once on the output's scale and once, saturated, as a fraction of 3 in [−1, 1], of which [0, 1] is made.
func hardSwishFunction(_ func(float64) float64, x, y Codes) func(q int32) int32 {
	fine := x.Scale / 128
	toOutput := NewFixedPoint(float64(fine / y.Scale))
	toFraction := NewFixedPoint(float64(fine / (3.0 / 32768)))
	outputMultiplier, fractionMultiplier := toOutput.narrow(), toFraction.narrow()
	return func(q int32) int32 {
		v := saturate16((q - x.ZeroPoint) << 7)
		onOutput := highMultiply16(v, outputMultiplier)
		f := v
		if toFraction.Shift > 0 {
			f = saturate16(f << (toFraction.Shift - 1))
		}
		f = highMultiply16(f, fractionMultiplier)
		switch {
		case toFraction.Shift > 0:
			f = saturate16(f << 1)
		case toFraction.Shift < 0:
			f = ShiftHalfAway(f, -toFraction.Shift)
		}
		f = (f + 1<<15) >> 1
		product := int32(int64(f) * int64(onOutput) / (1 << 15))
		shifted := product
		if toOutput.Shift < 0 {
			shifted = ShiftHalfAway(product, -toOutput.Shift)
		}
		return y.limit(int64(shifted) + int64(y.ZeroPoint))
	}
}

// narrow is the multiplier's fraction rounded to 16 bits.
func (m FixedPoint) narrow() int32 {
	if m.Q31 >= math.MaxInt32-1<<15 {
		return math.MaxInt16
	}
	return (m.Q31 + 1<<15) >> 16
}

func saturate16(x int32) int32 { return min(max(x, math.MinInt16), math.MaxInt16) }

// highMultiply16 is the high 16 bits of 2·a·b of 16-bit numbers, rounded to nearest, halves up.
func highMultiply16(a, b int32) int32 {
	if a == math.MinInt16 && b == math.MinInt16 {
		return math.MaxInt16
	}
	return (a*b + 1<<14) >> 15
}
