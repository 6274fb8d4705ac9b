package numeric

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

// rounded is num/2^shift to the nearest integer, halves up or away from zero.
func rounded(num *big.Int, shift int, away bool) *big.Int {
	half := new(big.Int).Lsh(big.NewInt(1), uint(shift))
	half.Rsh(half, 1)
	x := new(big.Int).Abs(num)
	if !away {
		x.Set(num)
	}
	x.Add(x, half)
	x.Rsh(x, uint(shift)) // towards −∞
	if away && num.Sign() < 0 {
		x.Neg(x)
	}
	return x
}

func TestFixedPointByBigIntegers(t *testing.T) {
	limit := func(x *big.Int) int32 { return saturate32(x.Int64()) }
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.Int32().Draw(t, "x")
		m := FixedPoint{rapid.Int32Range(1<<30, math.MaxInt32).Draw(t, "q31"), rapid.IntRange(-31, 8).Draw(t, "shift")}
		left := new(big.Int).Lsh(big.NewInt(int64(x)), uint(max(m.Shift, 0)))
		left.SetInt64(int64(limit(left)))
		high := rounded(left.Mul(left, big.NewInt(int64(m.Q31))), 31, false)
		if got, want := m.HalfAway(x), limit(rounded(high, max(-m.Shift, 0), true)); got != want {
			t.Fatalf("HalfAway %d, want %d", got, want)
		}
		if got, want := m.HalfUp(x), limit(rounded(high, max(-m.Shift, 0), false)); got != want {
			t.Fatalf("HalfUp %d, want %d", got, want)
		}
	})
}

func TestNewFixedPoint(t *testing.T) {
	for _, c := range []struct {
		real float64
		want FixedPoint
	}{
		{0, FixedPoint{}}, {-1, FixedPoint{}}, {math.NaN(), FixedPoint{}},
		{1, FixedPoint{1 << 30, 1}}, {0.5, FixedPoint{1 << 30, 0}}, {0.75, FixedPoint{3 << 29, 0}}, {3, FixedPoint{3 << 29, 2}},
		{math.Nextafter(1, 0), FixedPoint{1 << 30, 1}}, // the fraction rounds up to 2^31
		{math.Ldexp(1, -40), FixedPoint{}}, {math.Ldexp(1, 40), FixedPoint{math.MaxInt32, 30}},
	} {
		if got := NewFixedPoint(c.real); got != c.want {
			t.Errorf("%g: %v, want %v", c.real, got, c.want)
		}
	}
}

func TestFixedExp(t *testing.T) {
	for bits := range 7 {
		for i := range 2000 {
			a := -int32(uint64(i) * uint64(i) * 500)
			real := float64(a) / math.Ldexp(1, 31-bits)
			if got := float64(fixedExp(a, bits)) / (1 << 31); math.Abs(got-math.Exp(real)) > 1e-6 {
				t.Fatalf("exp(%g) with %d integer bits is %g", real, bits, got)
			}
		}
	}
}

func TestFixedQuotient(t *testing.T) {
	for _, sum := range []int32{1, 1 << 19, 1<<19 + 1, 3 << 18, 1<<20 - 1, 5 << 20, math.MaxInt32} {
		reciprocal, over := fixedQuotient(sum, 12)
		real := float64(sum) / (1 << 19)
		if got := float64(reciprocal) / (1 << 31) / math.Ldexp(1, over); math.Abs(got*real-1) > 1e-7 {
			t.Errorf("1/%g is %g", real, got)
		}
	}
}

func TestArithmeticNames(t *testing.T) {
	names := map[string]bool{}
	for _, a := range Arithmetics() {
		if parsed, err := ParseArithmetic(a.String()); err != nil || parsed != a || names[a.String()] {
			t.Errorf("%s is parsed as %s: %v", a, parsed, err)
		}
		names[a.String()] = true
	}
}
