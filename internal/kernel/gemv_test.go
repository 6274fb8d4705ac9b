package kernel

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/octet-nn/octet/internal/cpu"
	"github.com/octet-nn/octet/internal/numeric"
)

// Single rows give the bits of plain Go, for every number of columns around those of one to five panels and of depths
// around a step, into codes, sums and floats, however the panels are cut; nothing is touched past what is given.
func TestSingleRows(t *testing.T) {
	plain := For(cpu.Generic)
	forEachTier(t, func(t *testing.T, s Set) {
		r := random(11)
		for _, k := range []int{1, 3, 4, 5, 7, 8, 9, 12, 63, 64, 65, 127, 640, 257} {
			t.Run(fmt.Sprint(k), func(t *testing.T) {
				for n := 1; n <= 165; n += 1 + r.IntN(5) {
					w := Int8Weights{Filter: Matrix(k, n, r.IntN(2) == 0), Data: randomCodes(r, k*n), Signed: true}
					for style := range 6 {
						e := Epilogue{Multiplier: make([]float32, n), Least: float32(math.Inf(-1)), Greatest: float32(math.Inf(1))}
						e.Lowest, e.Highest = limits(style%2 == 0)
						e.ZeroPoint = e.Lowest + int32(r.IntN(256))
						for i := range e.Multiplier {
							e.Multiplier[i] = r.Float32() / (40 * float32(math.Sqrt(float64(k))))
						}
						e.Multiplier[r.IntN(n)] = []float32{float32(math.NaN()), float32(math.Inf(1)), -1e30, 1 << 21, 0}[r.IntN(5)]
						if style > 1 {
							e.Bias = make([]int32, n)
							for i := range e.Bias {
								e.Bias[i] = int32(r.IntN(20001) - 10000)
							}
							e.Bias[r.IntN(n)] = []int32{math.MaxInt32, math.MinInt32}[r.IntN(2)]
						}
						switch style {
						case 3:
							e.Multiplier = e.Multiplier[:1]
							e.Lowest = min(e.ZeroPoint, e.Highest)
						case 5:
							e.Requantizer = fixedRequantizers(numeric.TFLite, n, 0.02, 0.99)
							e.Fixed = NewFixedPoint(e.Requantizer, n)
						}
						signed := r.IntN(2) == 0
						zero := code(byte(r.Uint32()), signed)
						in := randomCodes(r, k)
						of := func(s Set) GemmInt8 {
							return GemmInt8{s.PackInt8(w), 1, k, n, signed, zero, e}
						}
						reference, g := of(plain), of(s)
						g.Epilogue.Bias, g.Epilogue.Multiplier = guardedOf(t, e.Bias), guardedOf(t, e.Multiplier)
						where := fmt.Sprintf("%d×%d, style %d", k, n, style)
						compare(t, where+", codes", reference, g, in, func(n int) (Destination, []byte) {
							codes := guardedOf(t, make([]byte, n))
							return Destination{Codes: codes}, codes
						})
						compare(t, where+", sums", reference, g, in, func(n int) (Destination, []int32) {
							sums := guardedOf(t, make([]int32, n))
							return Destination{Sums: sums}, sums
						})
					}
				}
			})
		}
	})
}

// compare runs a product whole and in pieces.
func compare[T byte | int32](t *testing.T, where string, reference, g GemmInt8, in []byte, out func(n int) (Destination, []T)) {
	t.Helper()
	n := g.Weights.Filter.Outputs
	to, want := out(n)
	reference.Run(to, in, 0, reference.Units(), AlignedScratch(reference.Scratch()))
	in = guardedOf(t, in)
	for _, step := range []int{g.Units(), 1} {
		to, got := out(n)
		for start := 0; start < g.Units(); start += step {
			g.Run(to, in, start, start+step, AlignedScratch(g.Scratch()))
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%s: %v, want %v", where, got, want)
		}
	}
}

// A pointwise convolution of one pixel is a single row.
func TestSinglePixels(t *testing.T) {
	r := random(12)
	shape := newConvCase("", 1, 1, 1, 96, 40, 1, 1, 1, 1, 1, 1, 1, [4]int{})
	c := newInt8Case(r, 0, 40, 96)
	in, weights := randomCodes(r, 96), randomCodes(r, 96*40)
	var want []byte
	forEachTier(t, func(t *testing.T, s Set) {
		k := ConvInt8{s.PackInt8(Int8Weights{shape.filter, weights, true, nil}), shape.window, false, c.zero, c.epilogue()}
		out := make([]byte, 40)
		k.Run(Destination{Codes: out}, in, 0, k.Units(), AlignedScratch(k.Scratch()))
		if want == nil {
			want = out
		}
		if !bytes.Equal(out, want) {
			t.Errorf("%v, want %v", out, want)
		}
	})
}
