package numeric

import (
	"math"
	"testing"
)

func TestSmallFloats(t *testing.T) {
	formats := map[string]struct {
		format   *SmallFloat
		codes    int
		largest  float32
		least    float32 // positive
		overflow float32 // what 1e30 becomes without saturation
	}{
		"e4m3fn":   {&Float8E4M3FN, 256, 448, 1.0 / 512, float32(math.NaN())},
		"e4m3fnuz": {&Float8E4M3FNUZ, 256, 240, 1.0 / 1024, float32(math.NaN())},
		"e5m2":     {&Float8E5M2, 256, 57344, 1.0 / 65536, float32(math.Inf(1))},
		"e5m2fnuz": {&Float8E5M2FNUZ, 256, 57344, 1.0 / 131072, float32(math.NaN())},
		"e8m0":     {&Float8E8M0, 256, 1 << 127, float32(math.Ldexp(1, -127)), 1 << 100},
		"e2m1":     {&Float4E2M1, 16, 6, 0.5, 6},
	}
	same := func(a, b float32) bool { return a == b || a != a && b != b }
	for name, c := range formats {
		t.Run(name, func(t *testing.T) {
			var numbers []float32
			for code := range c.codes {
				v := c.format.Decode(uint8(code))
				if again := c.format.Decode(c.format.Encode(v, false)); !same(again, v) {
					t.Errorf("code %#x is %v, which becomes %v", code, v, again)
				}
				if v-v == 0 {
					numbers = append(numbers, v)
				}
			}
			var largest, least float32 = 0, math.MaxFloat32
			for _, v := range numbers {
				largest = max(largest, v)
				if v > 0 {
					least = min(least, v)
				}
			}
			if largest != c.largest || least != c.least {
				t.Errorf("numbers from %v to %v, want %v to %v", least, largest, c.least, c.largest)
			}
			if got := c.format.Decode(c.format.Encode(1e30, false)); !same(got, c.overflow) {
				t.Errorf("1e30 becomes %v, want %v", got, c.overflow)
			}
			if got := c.format.Decode(c.format.Encode(math.MaxFloat32, true)); got != c.largest {
				t.Errorf("the largest float32 becomes %v, want %v", got, c.largest)
			}
			if name == "e8m0" {
				return // rounds up, not to nearest
			}
			for x := float32(-2 * 3.1); x < 6; x += 0.01 { // the nearest number is found
				got := c.format.Decode(c.format.Encode(x, true))
				for _, v := range numbers {
					if d := math.Abs(float64(v - x)); d < math.Abs(float64(got-x)) && math.Abs(float64(x)) <= float64(largest) {
						t.Fatalf("%v becomes %v, but %v is nearer", x, got, v)
					}
				}
			}
		})
	}
}

func TestPowersOfTwo(t *testing.T) {
	for _, c := range []struct{ v, up, down, nearest float32 }{{1, 1, 1, 1}, {1.25, 2, 1, 1}, {1.5, 2, 1, 2}, {-3, 4, 2, 4}, {5, 8, 4, 4}} {
		for _, way := range []struct {
			encode func(float32, bool) uint8
			want   float32
		}{{Float8E8M0.Encode, c.up}, {EncodePowerDown, c.down}, {EncodePowerNearest, c.nearest}} {
			if got := Float8E8M0.Decode(way.encode(c.v, true)); got != way.want {
				t.Errorf("%v becomes %v, want %v", c.v, got, way.want)
			}
		}
	}
}
