package numeric

import (
	"math"
	"testing"
)

// The functions of every 16-bit number are near the real ones: gemmlowp's own tests allow as much.
func TestFixed16Functions(t *testing.T) {
	for bits := range 7 {
		for a := int32(math.MinInt16); a <= math.MaxInt16; a++ {
			x := float64(a) * math.Pow(2, float64(bits-15))
			if got, want := float64(Sigmoid16(a, bits)), 32768/(1+math.Exp(-x)); math.Abs(got-want) > 16 {
				t.Fatalf("sigmoid of %v with %d integer bits is %v, want %v", x, bits, got, want)
			}
			if got, want := float64(Tanh16(a, bits)), 32768*math.Tanh(x); math.Abs(got-want) > 16 {
				t.Fatalf("tanh of %v with %d integer bits is %v, want %v", x, bits, got, want)
			}
		}
	}
}
