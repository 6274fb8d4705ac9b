package numeric

import "math"

// Elementary functions in float64 whose bits are the same on every architecture: package math has assembly for some
// of them on some architectures, and Go may fuse x*y+z. They are accurate to about 1e-15 relative, far more than a
// float32 or an 8-bit table needs.

const (
	ln2High = 6.93147180369123816490e-01 // the top 32 bits of ln 2: k·ln2High is exact for every exponent k
	ln2Low  = 1.90821492927058770002e-10 // ln 2 − ln2High
)

// inverseFactorial[n] is 1/n!.
var inverseFactorial = [...]float64{
	1, 1, 1.0 / 2, 1.0 / 6, 1.0 / 24, 1.0 / 120, 1.0 / 720, 1.0 / 5040, 1.0 / 40320, 1.0 / 362880, 1.0 / 3628800,
	1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800,
}

// taylorExpm1 is e^r − 1 for |r| ≤ 0.35, by Taylor's series: the first term left out is below 1e-17 relative.
func taylorExpm1(r float64) float64 {
	p := inverseFactorial[13]
	for n := 12; n >= 1; n-- {
		p = float64(p*r) + inverseFactorial[n]
	}
	return float64(p * r)
}

// Exp is e^x. It overflows to +Inf and underflows to 0.
func Exp(x float64) float64 {
	switch {
	case x != x:
		return x
	case x > 709.782712893384:
		return math.Inf(1)
	case x < -745.2:
		return 0
	}
	k := math.Floor(float64(x*math.Log2E) + 0.5)
	r := x - float64(k*ln2High) - float64(k*ln2Low)
	y := 1 + taylorExpm1(r)
	// Scale by 2^k in two steps, so that neither factor overflows or is subnormal.
	half := int(k) / 2
	return float64(y * power2(half) * power2(int(k)-half))
}

// power2 is 2^k for −1022 ≤ k ≤ 1023.
func power2(k int) float64 { return math.Float64frombits(uint64(k+1023) << 52) }

// Expm1 is e^x − 1, accurate near 0.
func Expm1(x float64) float64 {
	if x > -0.35 && x < 0.35 {
		return taylorExpm1(x)
	}
	return Exp(x) - 1
}

// Log is the natural logarithm: −Inf for 0, NaN below.
func Log(x float64) float64 {
	switch {
	case x != x || x > math.MaxFloat64:
		return x
	case x < 0:
		return math.NaN()
	case x == 0:
		return math.Inf(-1)
	}
	m, e := math.Frexp(x) // exact; m in [1/2, 1)
	if m < math.Sqrt2/2 {
		m *= 2
		e--
	}
	k := float64(e)
	return float64(k*ln2High) + (log1p(m-1) + float64(k*ln2Low))
}

// Log1p is ln(1+x), accurate near 0.
func Log1p(x float64) float64 {
	if x > -0.25 && x < 0.4 {
		return log1p(x)
	}
	return Log(1 + x)
}

// log1p is ln(1+f) for −0.3 < f < 0.42: with s = f/(2+f), ln(1+f) = 2·artanh(s), |s| < 0.18.
func log1p(f float64) float64 {
	s := f / (2 + f)
	z := float64(s * s) // explicit: 2·z below may become z + z, and that fuse with s·s
	p := 1.0 / 25
	for n := 23; n >= 3; n -= 2 {
		p = float64(p*z) + 1/float64(n)
	}
	// 2s = f − s·f, which keeps the leading term exact.
	return f - float64(s*(f-float64(float64(2*z)*p)))
}

// Tanh is the hyperbolic tangent.
func Tanh(x float64) float64 {
	a := math.Abs(x)
	if a > 22 {
		return math.Copysign(1, x)
	}
	e := Expm1(2 * a)
	return math.Copysign(e/(e+2), x)
}

// Sigmoid is 1/(1+e^−x).
func Sigmoid(x float64) float64 {
	e := Exp(-math.Abs(x))
	if x < 0 {
		return e / (1 + e)
	}
	return 1 / (1 + e)
}

// Softplus is ln(1+e^x).
func Softplus(x float64) float64 { return max(x, 0) + Log1p(Exp(-math.Abs(x))) }

// Erf is the error function.
func Erf(x float64) float64 {
	a := math.Abs(x)
	switch {
	case x != x:
		return x
	case a > 6:
		return math.Copysign(1, x)
	case a > 2:
		return math.Copysign(1-erfcTail(a), x)
	}
	return math.Copysign(erfSeries(a), x)
}

// Erfc is 1 − Erf(x), accurate where that difference is small.
func Erfc(x float64) float64 {
	switch {
	case x > 27.3:
		return 0
	case x > 2:
		return erfcTail(x)
	}
	return 1 - Erf(x)
}

// erfSeries is erf(x) = 2/√π·e^(−x²)·Σ 2ⁿx^(2n+1)/(1·3···(2n+1)) for 0 ≤ x ≤ 2 (Abramowitz & Stegun 7.1.6). All
// terms are positive, so nothing cancels.
func erfSeries(x float64) float64 {
	square := float64(x * x)
	term, sum := x, x
	for n := 1.0; term > sum*1e-17; n++ {
		term = float64(term * (2 * square / (2*n + 1)))
		sum += term
	}
	return float64(2 / math.SqrtPi * Exp(-square) * sum)
}

// erfcTail is erfc(x) for x > 2 by its continued fraction (Abramowitz & Stegun 7.1.14), evaluated from the far end;
// 60 levels are enough at 2 and more than enough above.
func erfcTail(x float64) float64 {
	f := x
	for n := 60.0; n >= 1; n-- {
		f = x + n/2/f
	}
	return Exp(-float64(x*x)) / (f * math.SqrtPi)
}
