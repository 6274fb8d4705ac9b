package numeric

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestQuantizedFormulas(t *testing.T) {
	for _, tc := range []struct {
		name      string
		got, want int32
	}{
		{"add", AddCode(130, 128, 0.5, 7, 3, 1, 10, 0, 255), 15},
		{"add, half to even", AddCode(129, 128, 0.5, 3, 3, 1, 10, 0, 255), 10},
		{"add saturates", AddCode(127, -128, 1, 127, -128, 1, 0, -128, 127), 127},
		{"sub", SubCode(130, 128, 0.5, 7, 3, 1, 10, 0, 255), 7},
		{"mul", MulCode(138, 128, -3, 0, 0.1, 5, 0, 255), 2},
		{"mul saturates", MulCode(255, 0, 255, 0, 1, 0, 0, 255), 255},
		{"average of 4", AverageCode(10, AverageMultiplier(0.5, 0.5, 4), 3, 0, 255), 5},
		{"average of a negative sum", AverageCode(-14, AverageMultiplier(0.5, 0.5, 4), 0, -128, 127), -4},
		{"requantize, same scale", RequantizeCode(255, 128, 0.3, 0, 0.3, -128, 127), 127},
		{"requantize", RequantizeCode(100, 0, 1, 0, 3, -128, 127), 33},
		{"softmax", SoftmaxCode(1, 4, 1.0/256, -128, -128, 127), -64},
		{"softmax saturates", SoftmaxCode(1, 1, 1.0/256, -128, -128, 127), 127},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: %d, want %d", tc.name, tc.got, tc.want)
		}
	}
}

func TestClampCodes(t *testing.T) {
	inf := float32(math.Inf(1))
	for _, tc := range []struct {
		least, greatest, scale float32
		zero, lowest, highest  int32
		lo, hi                 int32
	}{
		{0, inf, 0.1, 10, 0, 255, 10, 255},
		{0, 6, 0.1, -128, -128, 127, -128, -68},
		{0, 6, 0.01, -128, -128, 127, -128, 127},
		{-inf, inf, 0.1, 3, -128, 127, -128, 127},
	} {
		lo, hi := ClampCodes(tc.least, tc.greatest, tc.scale, tc.zero, tc.lowest, tc.highest)
		if lo != tc.lo || hi != tc.hi {
			t.Errorf("%+v: [%d, %d]", tc, lo, hi)
		}
	}
}

// A table entry is the stored byte of UnaryCode of the code stored as the entry's index.
func TestFillUnaryTable(t *testing.T) {
	var table [256]byte
	FillUnaryTable(&table, true, -5, 0.1, func(x float64) float64 { return -x }, 0.1, 5, -128, 127)
	for q := int32(-128); q <= 127; q++ {
		want := min(max(-q, -128), 127) // −(q+5) + 5
		if got := int32(int8(table[uint8(q)])); got != want {
			t.Fatalf("-(%d) = %d, want %d", q, got, want)
		}
	}
}

func TestSoftmaxTable(t *testing.T) {
	var table [256]float32
	FillSoftmaxTable(&table, 0.1)
	for d, e := range table {
		if want := math.Exp(-float64(d) * float64(float32(0.1))); math.Abs(float64(e)-want) > 1e-7*want {
			t.Fatalf("table[%d] = %v, want %v", d, e, want)
		}
	}
}

func TestRequantizeSameScaleIsAShift(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		scale := rapid.Float32Range(1e-6, 1e3).Draw(t, "scale")
		q := rapid.Int32Range(0, 255).Draw(t, "q")
		if got := RequantizeCode(q, 128, scale, 0, scale, -128, 127); got != q-128 {
			t.Fatalf("%d became %d", q, got)
		}
	})
}

func TestDynamicRange(t *testing.T) {
	for _, tc := range []struct {
		least, greatest, scale float32
		zero                   int32
	}{
		{0, 0, 1, 0}, {-1, 1, 2.0 / 255, 127}, {1, 255, 1, 0}, {-255, -3, 1, 255},
	} {
		if s, z := DynamicRange(tc.least, tc.greatest); s != tc.scale || z != tc.zero {
			t.Errorf("[%v, %v]: scale %v zero point %d, want %v %d", tc.least, tc.greatest, s, z, tc.scale, tc.zero)
		}
	}
}

// TestQuantizeTo compares slices with single elements, in every row: halves and what lies next to them, numbers beyond the
// limits, infinities and NaN.
func TestQuantizeTo(t *testing.T) {
	for _, row := range Arithmetics() {
		for _, y := range []Codes{{0.5, 0, 0, 255}, {0.031, 77, 0, 255}, {0.25, 255, 3, 250}, {0.1, -5, -128, 127}, {1e-30, 0, 0, 255}} {
			values := []float32{0, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()), 1e38, -1e38, 1e-40}
			for code := float32(-140); code < 260; code += 0.5 {
				x := code * y.Scale
				values = append(values, x, math.Nextafter32(x, 1e9), math.Nextafter32(x, -1e9))
			}
			got := make([]byte, len(values))
			row.QuantizeTo(got, values, y)
			for i, x := range values {
				if want := byte(row.Quantize(x, y)); got[i] != want {
					t.Errorf("%v, %+v: code of %v is %d, want %d", row, y, x, got[i], want)
				}
			}
		}
	}
}
