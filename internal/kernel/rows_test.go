package kernel

import (
	"fmt"
	"testing"

	"github.com/octet-nn/octet/internal/numeric"
)

func requantizers(row numeric.Arithmetic, layer numeric.Layer, n int) []numeric.Requantizer {
	var list []numeric.Requantizer
	for i := range n {
		// From multipliers greater than one to ones that leave nothing.
		weight := float32(3) / float32(int64(1)<<(i%36))
		list = append(list, row.Requantizer(layer, numeric.Codes{Scale: 1.1, Lowest: -128, Highest: 127}, weight, numeric.Codes{Scale: 0.7}))
	}
	return list
}

func TestRequantizeBy(t *testing.T) {
	sums := []int32{0, 1, -1, 2, -2, 3, -3, 1 << 10, -1 << 10, 3 << 19, -3 << 19, 1<<31 - 1, -1 << 31, -1<<31 + 1}
	r := random(1)
	for range 2000 {
		sums = append(sums, int32(r.Uint32())>>r.IntN(32))
	}
	for _, row := range numeric.Arithmetics() {
		for _, layer := range []numeric.Layer{numeric.Convolution, numeric.DepthwiseConvolution, numeric.MatrixProduct} {
			t.Run(fmt.Sprintf("%s/%d", row, layer), func(t *testing.T) {
				for _, by := range requantizers(row, layer, 36) {
					dst := make([]byte, len(sums))
					requantizeBy(dst, sums, []numeric.Requantizer{by}, 5, -100, 127)
					for i, s := range sums {
						if want := byte(by.Code(int64(s), 5, -100, 127)); dst[i] != want {
							t.Fatalf("sum %d by %+v is %d, want %d", s, by, int8(dst[i]), int8(want))
						}
					}
				}
			})
		}
	}
}

func BenchmarkRequantizeBy(b *testing.B) {
	r := random(1)
	sums, dst := make([]int32, 64), make([]byte, 64)
	for i := range sums {
		sums[i] = int32(r.IntN(1<<18) - 1<<17)
	}
	for _, row := range numeric.Arithmetics() {
		by := requantizers(row, numeric.Convolution, 64)
		for i := range by {
			by[i] = row.Requantizer(numeric.Convolution, numeric.Codes{Scale: 0.1}, 0.001*float32(i+1), numeric.Codes{Scale: 2})
		}
		b.Run(row.String(), func(b *testing.B) {
			for b.Loop() {
				requantizeBy(dst, sums, by, 3, 0, 255)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(sums)), "ns/code")
		})
	}
}
