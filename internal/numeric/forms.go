package numeric

import "math"

// sumForm is how a row adds two values of scales of their own.
type sumForm uint8

const (
	sumOfRatios sumForm = iota // AddCode: terms in units of the output, rounded half to even
	sumOfReals                 // terms in float32 reals, divided by the output's scale, shifted, rounded half away
	sumFixed                   // terms as fractions of twice the greater scale, in fixed point, shifted left
)

// Sum computes output codes of Add and Sub of two quantized values.
type Sum struct {
	form     sumForm
	subtract bool
	a, b, y  Codes

	// of sumFixed
	left                   int
	fixedA, fixedB, fixedY FixedPoint
}

// Sum is how the row adds codes of a and b, or subtracts them, to codes of y.
func (row Arithmetic) Sum(subtract bool, a, b, y Codes) Sum {
	s := Sum{form: row.of().sum, subtract: subtract, a: a, b: b, y: y, left: 20}
	if y.wide() {
		s.left = 15
	}
	twice := float64(2 * max(a.Scale, b.Scale))
	s.fixedA, s.fixedB = NewFixedPoint(float64(a.Scale)/twice), NewFixedPoint(float64(b.Scale)/twice)
	s.fixedY = NewFixedPoint(twice / float64(float32(int(1)<<s.left)*y.Scale))
	return s
}

// Code is the output code for two input codes.
func (s *Sum) Code(a, b int32) int32 {
	switch s.form {
	case sumOfReals:
		return s.finishReal(s.realA(a) + s.realB(b))
	case sumFixed:
		u := s.fixedA.HalfAway((a - s.a.ZeroPoint) << s.left)
		v := s.fixedB.HalfAway((b - s.b.ZeroPoint) << s.left)
		if s.subtract {
			v = -v
		}
		return s.y.limit(int64(s.fixedY.HalfAway(u+v)) + int64(s.y.ZeroPoint))
	}
	y, code := &s.y, AddCode
	if s.subtract {
		code = SubCode
	}
	return code(a, s.a.ZeroPoint, Ratio(s.a.Scale, y.Scale), b, s.b.ZeroPoint, Ratio(s.b.Scale, y.Scale), y.ZeroPoint, y.Lowest, y.Highest)
}

// stored is the code that byte i stands for.
func stored(i int, signed bool) int32 {
	if signed {
		return int32(int8(i))
	}
	return int32(i)
}

// FixedTerms fills in what Code adds of each operand for every stored byte, and gives the multiplier of the sum (whose
// halves go away from zero) and the codes it becomes. ok is false if the row does not add in fixed point.
func (s *Sum) FixedTerms(a, b *[256]int32, signedA, signedB bool) (m FixedPoint, y Codes, ok bool) {
	if s.form != sumFixed {
		return m, y, false
	}
	for i := range 256 {
		u, v := stored(i, signedA), stored(i, signedB)
		a[i] = s.fixedA.HalfAway((u - s.a.ZeroPoint) << s.left)
		b[i] = s.fixedB.HalfAway((v - s.b.ZeroPoint) << s.left)
		if s.subtract {
			b[i] = -b[i]
		}
	}
	return s.fixedY, s.y, true
}

// RealTerms fills in the reals that Code adds for every stored byte; the code of their sum x is HalfAway(z_y + x/s_y), within
// the limits of y. ok is false if the row does not add reals, or if the terms are not all finite.
func (s *Sum) RealTerms(a, b *[256]float32, signedA, signedB bool) (y Codes, ok bool) {
	if s.form != sumOfReals || !(s.y.Scale > 0) {
		return y, false
	}
	for i := range 256 {
		u, v := stored(i, signedA), stored(i, signedB)
		a[i], b[i] = s.realA(u), s.realB(v)
		if a[i]-a[i] != 0 || b[i]-b[i] != 0 {
			return y, false
		}
	}
	return s.y, true
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

// changeForm is how a row expresses codes in another scale and zero point.
type changeForm uint8

const (
	changeThroughReals changeForm = iota // RequantizeCode
	changeShifted                        // roundHalfAway(q·s_x/s_y + (z_y − z_x·s_x/s_y)), in float32
	changeFixed                          // FixedPoint.HalfAway(q − z_x) + z_y
)

// Change is the code of y that stands for what q stands for among codes of x.
func (row Arithmetic) Change(q int32, x, y Codes) int32 {
	switch form := row.of().change; {
	case form == changeFixed:
		m := NewFixedPoint(float64(x.Scale) / float64(y.Scale))
		return y.limit(int64(m.HalfAway(q-x.ZeroPoint)) + int64(y.ZeroPoint))
	case form == changeShifted && x.Scale != y.Scale:
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
	quantizeHalfAway                         // roundHalfAway(x/s) + z
	quantizeHalfAway64                       // the same, the quotient in float64
)

// Quantize is the code of y that stands for a real number.
func (row Arithmetic) Quantize(x float32, y Codes) int32 {
	switch row.of().quantize {
	case quantizeHalfAway64:
		v := math.Round(float64(x) / float64(y.Scale))
		if v != v {
			return y.limit(int64(y.ZeroPoint))
		}
		return y.limit(int64(min(max(v, math.MinInt32), math.MaxInt32)) + int64(y.ZeroPoint))
	case quantizeHalfAway:
		return saturateHalfAway(x/y.Scale, y.ZeroPoint, y.Lowest, y.Highest)
	case quantizeByReciprocal:
		v := float32(x * (1 / y.Scale))
		if v != v {
			return y.limit(int64(y.ZeroPoint))
		}
		return saturateHalfAway(float32(y.ZeroPoint)+v, 0, y.Lowest, y.Highest)
	}
	return Quantize(x, y.Scale, y.ZeroPoint, y.Lowest, y.Highest)
}

// QuantizeTo is Quantize of each element, to stored bytes.
func (row Arithmetic) QuantizeTo(dst []byte, src []float32, y Codes) {
	src = src[:len(dst)]
	if row.of().quantize != quantizeByReciprocal {
		for i, x := range src {
			dst[i] = byte(row.Quantize(x, y))
		}
		return
	}
	reciprocal, zero := 1/y.Scale, float32(y.ZeroPoint)
	low, high := float32(y.Lowest), float32(y.Highest)
	for i, x := range src {
		v := float32(x * reciprocal)
		if v != v {
			dst[i] = byte(y.limit(int64(y.ZeroPoint)))
			continue
		}
		dst[i] = byte(HalfAway(zero+v, low, high))
	}
}

// HalfAway is a number limited to [low, high], which are integers of less than 32 bits, and rounded with halves away from
// zero. A NaN gives high.
func HalfAway(x, low, high float32) int32 {
	if x < low {
		x = low
	}
	if !(x < high) {
		x = high
	}
	return int32(float64(x) + math.Copysign(0.5, float64(x))) // the sum is exact in float64, and is cut off
}
