package kernel

import (
	"math"
	"testing"
)

func TestInstanceNormF32(t *testing.T) {
	r := random(5)
	k := InstanceNormF32{Batch: 3, Pixels: 20, Channels: 4, Scale: randomFloats(r, 4), Bias: randomFloats(r, 4), Epsilon: 1e-5}
	in := randomFloats(r, 3*20*4)
	out := inPieces(t, r, k.Units(), func() ([]float32, func(int, int)) {
		out := make([]float32, len(in))
		return out, func(start, end int) { k.Run(out, in, start, end) }
	})
	for n := range 3 {
		for c := range 4 {
			sum, squares := 0.0, 0.0
			for p := range 20 {
				v := float64(in[(n*20+p)*4+c])
				sum += v
				squares += v * v
			}
			mean := sum / 20
			deviation := math.Sqrt(squares/20 - mean*mean + 1e-5)
			for p := range 20 {
				at := (n*20+p)*4 + c
				want := (float64(in[at])-mean)/deviation*float64(k.Scale[c]) + float64(k.Bias[c])
				if !near(float64(out[at]), want, 3) {
					t.Fatalf("element %d is %v, want %v", at, out[at], want)
				}
			}
		}
	}
}

func TestLayerNormF32(t *testing.T) {
	r := random(6)
	for _, bias := range [][]float32{nil, randomFloats(r, 30)} {
		k := LayerNormF32{Rows: 5, Size: 30, Scale: randomFloats(r, 30), Bias: bias, Epsilon: 1e-3}
		in := randomFloats(r, 150)
		out := inPieces(t, r, k.Units(), func() ([]float32, func(int, int)) {
			out := make([]float32, len(in))
			return out, func(start, end int) { k.Run(out, in, start, end) }
		})
		for row := range 5 {
			sum, squares := 0.0, 0.0
			for _, v := range in[row*30 : row*30+30] {
				sum += float64(v)
				squares += float64(v) * float64(v)
			}
			mean := sum / 30
			deviation := math.Sqrt(squares/30 - mean*mean + 1e-3)
			for i := range 30 {
				want := (float64(in[row*30+i]) - mean) / deviation * float64(k.Scale[i])
				if bias != nil {
					want += float64(bias[i])
				}
				if got := out[row*30+i]; !near(float64(got), want, 3) {
					t.Fatalf("row %d element %d is %v, want %v", row, i, got, want)
				}
			}
		}
	}
}
