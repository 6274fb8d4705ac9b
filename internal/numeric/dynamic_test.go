package numeric

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// Whatever the row, codes stand for the activations to half a step, and zero is exact.
func TestDynamicCodes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := append(rapid.SliceOfN(rapid.Float32Range(-100, 100), 1, 40).Draw(t, "x"), 0)
		row := rapid.SampledFrom([]Arithmetic{None, ONNX, TFLite}).Draw(t, "row")
		layer := Layer(rapid.IntRange(0, int(layerCount)-1).Draw(t, "layer"))
		codes := make([]byte, len(x))
		scale, zero := row.DynamicCodes(codes, x, layer, rapid.Bool().Draw(t, "per channel"))
		for i, q := range codes {
			back := float64(int32(q)-zero) * float64(scale)
			if d := math.Abs(back - float64(x[i])); d > 0.51*float64(scale)+1e-5 || x[i] == 0 && back != 0 {
				t.Fatalf("%v has code %d, which is %v (scale %v, zero point %d)", x[i], q, back, scale, zero)
			}
		}
	})
}

func TestDynamicCodesOfOddNumbers(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, x := range [][]float32{{0, 0}, {nan, 1}, {inf, -1}, {-inf, inf}, {1e-45}, {-3e38, 3e38}, {}} {
		for _, row := range []Arithmetic{ONNX, TFLite} {
			for layer := range layerCount {
				scale, zero := row.DynamicCodes(make([]byte, len(x)), x, layer, false)
				if scale != scale || scale < 0 || zero < 0 || zero > 255 {
					t.Errorf("%v by %s: scale %v, zero point %d", x, row, scale, zero)
				}
			}
		}
	}
}
