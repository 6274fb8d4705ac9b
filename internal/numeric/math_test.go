package numeric

import (
	"math"
	"testing"
)

func TestElementaryFunctions(t *testing.T) {
	functions := []struct {
		name      string
		got, want func(float64) float64
		from, to  float64
	}{
		{"Exp", Exp, math.Exp, -745, 709},
		{"Exp near 0", Exp, math.Exp, -1, 1},
		{"Expm1", Expm1, math.Expm1, -2, 2},
		{"Log", Log, math.Log, 1e-9, 3},
		{"Log large", Log, math.Log, 3, 1e12},
		{"Log1p", Log1p, math.Log1p, -0.9, 2},
		{"Tanh", Tanh, math.Tanh, -25, 25},
		{"Tanh near 0", Tanh, math.Tanh, -0.1, 0.1},
		{"Sigmoid", Sigmoid, func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }, -700, 100},
		{"Softplus", Softplus, func(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }, -40, 40},
		{"Erf", Erf, math.Erf, -7, 7},
		{"Erf near 0", Erf, math.Erf, -0.1, 0.1},
		{"Erfc", Erfc, math.Erfc, -3, 26},
	}
	for _, f := range functions {
		const n = 20001
		for i := range n {
			x := f.from + (f.to-f.from)*float64(i)/(n-1)
			got, want := f.got(x), f.want(x)
			// Subnormal results have few bits: allow the least one.
			if math.Abs(got-want) > 1e-12*math.Abs(want)+1e-322 {
				t.Errorf("%s(%v) = %v, want %v", f.name, x, got, want)
				break
			}
		}
	}
}

func TestElementaryFunctionsAtTheEdges(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	for _, tc := range []struct {
		name string
		f    func(float64) float64
		x    float64
		want float64
	}{
		{"Exp", Exp, inf, inf}, {"Exp", Exp, -inf, 0}, {"Exp", Exp, nan, nan}, {"Exp", Exp, 0, 1}, {"Exp", Exp, 710, inf},
		{"Log", Log, 0, -inf}, {"Log", Log, -1, nan}, {"Log", Log, 1, 0}, {"Log", Log, inf, inf}, {"Log", Log, nan, nan},
		{"Tanh", Tanh, inf, 1}, {"Tanh", Tanh, -inf, -1}, {"Tanh", Tanh, nan, nan}, {"Tanh", Tanh, 0, 0},
		{"Sigmoid", Sigmoid, inf, 1}, {"Sigmoid", Sigmoid, -inf, 0}, {"Sigmoid", Sigmoid, nan, nan}, {"Sigmoid", Sigmoid, 0, 0.5},
		{"Erf", Erf, inf, 1}, {"Erf", Erf, -inf, -1}, {"Erf", Erf, nan, nan}, {"Erf", Erf, 0, 0},
		{"Erfc", Erfc, inf, 0}, {"Erfc", Erfc, -inf, 2}, {"Erfc", Erfc, nan, nan},
		{"Softplus", Softplus, inf, inf}, {"Softplus", Softplus, -inf, 0}, {"Softplus", Softplus, nan, nan},
	} {
		if got := tc.f(tc.x); got != tc.want && !(got != got && tc.want != tc.want) {
			t.Errorf("%s(%v) = %v, want %v", tc.name, tc.x, got, tc.want)
		}
	}
}

// TestElementaryFunctionBits pins the bits, so that a build for another architecture (or one that fuses) shows.
func TestElementaryFunctionBits(t *testing.T) {
	hash := uint64(14695981039346656037)
	for _, f := range []func(float64) float64{Exp, Log, Tanh, Sigmoid, Erf, Erfc, Expm1, Log1p, Softplus} {
		for i := -300; i <= 300; i++ {
			b := math.Float64bits(f(float64(i) * 0.0371))
			if b&^(1<<63) > 0x7ff0000000000000 {
				b = 0 // a NaN's sign and payload are the machine's business
			}
			hash = (hash ^ b) * 1099511628211
		}
	}
	const want = 0x53c33e1ecb22ba54
	if hash != want {
		t.Errorf("the bits changed: %#x, want %#x", hash, uint64(want))
	}
}
