package numeric

import "math"

// sumForm is how a row adds two values of scales of their own.
type sumForm uint8

const (
	sumOfRatios sumForm = iota // AddCode: terms in units of the output, rounded half to even
	sumOfReals                 // terms in float32 reals, divided by the output's scale, shifted, rounded half away
)

// Sum computes output codes of Add and Sub of two quantized values.
type Sum struct {
	form     sumForm
	subtract bool
	a, b, y  Codes
}

// Sum is how the row adds codes of a and b, or subtracts them, to codes of y.
func (row Arithmetic) Sum(subtract bool, a, b, y Codes) Sum {
	return Sum{row.of().sum, subtract, a, b, y}
}

// Code is the output code for two input codes.
func (s *Sum) Code(a, b int32) int32 {
	switch s.form {
	case sumOfReals:
		return s.finishReal(s.realA(a) + s.realB(b))
	}
	y, code := &s.y, AddCode
	if s.subtract {
		code = SubCode
	}
	return code(a, s.a.ZeroPoint, Ratio(s.a.Scale, y.Scale), b, s.b.ZeroPoint, Ratio(s.b.Scale, y.Scale), y.ZeroPoint, y.Lowest, y.Highest)
}

func (s *Sum) realA(a int32) float32 { return Dequantize(a, s.a.ZeroPoint, s.a.Scale) }

func (s *Sum) realB(b int32) float32 {
	x := Dequantize(b, s.b.ZeroPoint, s.b.Scale)
	if s.subtract {
		return -x
	}
	return x
}

func (s *Sum) finishReal(x float32) int32 {
	return saturateHalfAway(float32(s.y.ZeroPoint)+x/s.y.Scale, 0, s.y.Lowest, s.y.Highest)
}

// Product computes output codes of Mul of two quantized values.
type Product struct {
	rescale      Requantizer
	zeroA, zeroB int32
	y            Codes
}

// Product is how the row multiplies codes of a and b to codes of y.
func (row Arithmetic) Product(a, b, y Codes) Product {
	return Product{newRequantizer(row.of().product, a.Scale, b.Scale, y.Scale), a.ZeroPoint, b.ZeroPoint, y}
}

// Code is the output code for two input codes.
func (p *Product) Code(a, b int32) int32 {
	return p.rescale.Code(int64(a-p.zeroA)*int64(b-p.zeroB), p.y.ZeroPoint, p.y.Lowest, p.y.Highest)
}

// averageForm is how a row averages codes.
type averageForm uint8

const (
	averageOfReals averageForm = iota // AverageCode: float32, rounded half to even, to codes of any scale
	averageOfCodes                    // (Σ + n/2)/n of the codes themselves, which keep their scale
)

// Average computes output codes of pools, means and sums of quantized values.
type Average struct {
	form averageForm
	x, y Codes
}

// Average is how the row averages codes of x under a window to codes of y.
func (row Arithmetic) Average(x, y Codes) Average { return Average{row.of().average, x, y} }

// Mean is how the row's reductions average codes of x to codes of y.
func (row Arithmetic) Mean(x, y Codes) Average { return Average{row.of().mean, x, y} }

// Code is the output code of the mean of n codes whose differences from the zero point add up to sum. What is not
// summed but counted is real zero.
func (v *Average) Code(sum int64, n int) int32 {
	y := &v.y
	if v.form == averageOfCodes && v.x.Scale == y.Scale && n > 0 {
		// The sum of the codes as they are, none of which is negative in this form.
		codes := sum + int64(n)*int64(v.x.ZeroPoint)
		return y.limit(floorDivide(codes+int64(n/2), int64(n)) - int64(v.x.ZeroPoint) + int64(y.ZeroPoint))
	}
	return AverageCode(sum, AverageMultiplier(v.x.Scale, y.Scale, n), y.ZeroPoint, y.Lowest, y.Highest)
}

func floorDivide(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// changeForm is how a row expresses codes in another scale and zero point.
type changeForm uint8

const (
	changeThroughReals changeForm = iota // RequantizeCode
	changeShifted                        // roundHalfAway(q·s_x/s_y + (z_y − z_x·s_x/s_y)), in float32
)

// Change is the code of y that stands for what q stands for among codes of x.
func (row Arithmetic) Change(q int32, x, y Codes) int32 {
	if row.of().change == changeShifted && x.Scale != y.Scale {
		ratio := x.Scale / y.Scale
		offset := float32(float32(-x.ZeroPoint)*ratio) + float32(y.ZeroPoint)
		return saturateHalfAway(float32(float32(q)*ratio)+offset, 0, y.Lowest, y.Highest)
	}
	return RequantizeCode(q, x.ZeroPoint, x.Scale, y.ZeroPoint, y.Scale, y.Lowest, y.Highest)
}

// quantizeForm is how a row rounds reals to codes.
type quantizeForm uint8

const (
	quantizeHalfEven     quantizeForm = iota // Quantize
	quantizeByReciprocal                     // roundHalfAway(z + x·(1/s)), in float32
)

// Quantize is the code of y that stands for a real number.
func (row Arithmetic) Quantize(x float32, y Codes) int32 {
	if row.of().quantize == quantizeByReciprocal {
		v := float32(x * (1 / y.Scale))
		if v != v {
			return y.limit(int64(y.ZeroPoint))
		}
		return saturateHalfAway(float32(y.ZeroPoint)+v, 0, y.Lowest, y.Highest)
	}
	return Quantize(x, y.Scale, y.ZeroPoint, y.Lowest, y.Highest)
}

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
