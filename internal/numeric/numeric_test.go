package numeric

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestSaturate(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, tc := range []struct {
		x      float32
		zp     int32
		lo, hi int32
		want   int32
	}{
		{0.5, 0, -128, 127, 0}, {1.5, 0, -128, 127, 2}, {2.5, 0, -128, 127, 2}, {-0.5, 0, -128, 127, 0}, {-1.5, 0, -128, 127, -2},
		{nan, 7, 0, 255, 7}, {inf, 7, 0, 255, 255}, {-inf, 7, 0, 255, 0}, {1e30, 0, -128, 127, 127}, {254.5, 1, 0, 255, 255}, {-0.49, 0, 0, 255, 0},
	} {
		if got := Saturate(tc.x, tc.zp, tc.lo, tc.hi); got != tc.want {
			t.Errorf("Saturate(%v, %d, %d, %d) = %d, want %d", tc.x, tc.zp, tc.lo, tc.hi, got, tc.want)
		}
	}
}

func TestRoundHalfEvenMatchesMath(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.Float32Range(-2147483000, 2147483000).Draw(t, "x")
		if got, want := RoundHalfEven(x), int32(math.RoundToEven(float64(x))); got != want {
			t.Fatalf("RoundHalfEven(%v) = %d, want %d", x, got, want)
		}
	})
	for i := -1000; i < 1000; i++ {
		x := float32(i) / 2
		if got, want := RoundHalfEven(x), int32(math.RoundToEven(float64(x))); got != want {
			t.Errorf("RoundHalfEven(%v) = %d, want %d", x, got, want)
		}
	}
}

// Every binary16 survives the trip through float32, and every float32 halfway between two of them goes to the even one.
func TestFloat16(t *testing.T) {
	for h := 0; h < 1<<16; h++ {
		f := FromFloat16(uint16(h))
		if f != f {
			if back := FromFloat16(Float16(f)); back == back {
				t.Fatalf("%#04x: NaN became %v", h, back)
			}
			continue
		}
		if got := Float16(f); got != uint16(h) {
			t.Fatalf("%#04x -> %v -> %#04x", h, f, got)
		}
		next := FromFloat16(uint16(h) + 1)
		if h&0x7fff >= 0x7bff || next != next {
			continue
		}
		middle := float32((float64(f) + float64(next)) / 2)
		if got := Float16(middle); got != uint16(h+h&1) {
			t.Fatalf("middle of %#04x and its successor, %v -> %#04x", h, middle, got)
		}
	}
	if Float16(65520) != 0x7c00 || Float16(65519) != 0x7bff {
		t.Errorf("overflow limit is wrong: %#04x %#04x", Float16(65520), Float16(65519))
	}
}

func TestBFloat16(t *testing.T) {
	for h := 0; h < 1<<16; h++ {
		f := FromBFloat16(uint16(h))
		if f == f && BFloat16(f) != uint16(h) {
			t.Fatalf("%#04x -> %v -> %#04x", h, f, BFloat16(f))
		}
	}
}
