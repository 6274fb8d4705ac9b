package numeric

import (
	"math"
	"testing"
)

func TestSigmoidTable(t *testing.T) {
	for x := math.MinInt16; x <= math.MaxInt16; x += 7 {
		a := int32(x)
		real := float64(x) / 4096
		if got, want := logisticByTable(a), 32768/(1+math.Exp(-real)); math.Abs(float64(got)-want) > 4 {
			t.Fatalf("logistic(%g) is %d, want %g", real, got, want)
		}
		for fraction := 9; fraction <= 15; fraction++ {
			got, want := tanhByTable(a, fraction), 32768*math.Tanh(float64(x)/math.Ldexp(1, fraction))
			if math.Abs(float64(got)-want) > 8 {
				t.Fatalf("tanh of %d with %d bits is %d, want %g", x, fraction, got, want)
			}
		}
	}
}
