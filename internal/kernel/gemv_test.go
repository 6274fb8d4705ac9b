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
				columns := []int{300, 1000, 1280} // pieces of 4, 16 and 4 columns
				for n := 1; n <= 165; n += 1 + r.IntN(5) {
					columns = append(columns, n)
				}
				for _, n := range columns {
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

// A single row of floats gives the same bits however it is cut, weights of codes with zero points the same codes.
func TestPiecesOfSingleRows(t *testing.T) {
	r := random(13)
	forEachTier(t, func(t *testing.T, s Set) {
		for _, n := range []int{1, 31, 300, 1000, 1001, 1280} {
			const k = 37
			weights := F32Weights{Filter: Matrix(k, n, true), Data: randomFloats(r, k*n)}
			g := GemmF32{s.PackF32(weights), 1, k, n, EpilogueF32{Bias: randomFloats(r, n), Least: -1, Greatest: 6}}
			in := guardedOf(t, randomFloats(r, k))
			want := make([]float32, n)
			g.Run(want, in, 0, g.Units(), AlignedScratch(g.Scratch()))
			for _, step := range []int{1, 3} {
				got := guardedOf(t, make([]float32, n))
				for start := 0; start < g.Units(); start += step {
					g.Run(got, in, start, min(start+step, g.Units()), AlignedScratch(g.Scratch()))
				}
				if !slices.Equal(got, want) {
					t.Errorf("%d columns, %d pieces at a time: %v, want %v", n, step, got, want)
				}
			}
			w := Int8Weights{Filter: Matrix(k, n, true), Data: randomCodes(r, k*n), ZeroPoint: []int32{131}}
			e := Epilogue{Multiplier: []float32{0.001}, ZeroPoint: 7, Highest: 255}
			of := func(s Set) GemmInt8 { return GemmInt8{s.PackInt8(w), 1, k, n, false, 99, e} }
			compare(t, fmt.Sprintf("%d columns of weights with a zero point", n), of(For(cpu.Generic)), of(s), randomCodes(r, k), func(n int) (Destination, []byte) {
				codes := guardedOf(t, make([]byte, n))
				return Destination{Codes: codes}, codes
			})
		}
	})
}

// Pieces are shared evenly, and are no smaller than that takes.
func TestRowPieces(t *testing.T) {
	for _, c := range []struct{ columns, panel, want int }{
		{10, 32, 32}, {255, 32, 32}, {1000, 32, 16}, {1000, 16, 16}, {1000, 12, 4}, {1000, 4, 4}, {1280, 32, 4}, {1280, 16, 4}, {2048, 32, 32}, {4096, 16, 16},
	} {
		if got := rowPiece(c.columns, c.panel); got != c.want {
			t.Errorf("%d columns in panels of %d: pieces of %d, want %d", c.columns, c.panel, got, c.want)
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
