package kernel

import (
	"bytes"
	"math"
	"slices"
	"testing"
)

// A stack is products of single matrices, whose weights are packed in the usual way, with matrices shared and in any
// order in memory.
func TestStacks(t *testing.T) {
	forEachTier(t, func(t *testing.T, s Set) {
		r := random(7)
		for _, rows := range []int{1, 3, 13, 65} {
			for _, n := range []int{1, 11, 16, 31, 32, 64, 70} {
				for _, depth := range []int{1, 2, 32, 33, 64, 97} {
					for _, transposed := range []bool{false, true} {
						f := Matrix(depth, n, transposed)
						matrix, first, result := depth*n, rows*depth, rows*n
						stack := Stack{Filter: f, Seconds: []int{matrix, 0}, Rows: rows, InStride: depth, OutStride: n,
							Products: []StackProduct{{0, 0, 1}, {2 * first, result, 0}, {first, 3 * result, 1}, {0, 2 * result, 0}}}
						c := newInt8Case(r, r.IntN(3), n, depth)
						c.bias, c.multiplier = nil, c.multiplier[:1]
						c.weightZero = []int32{int32(r.IntN(256)), 0, 128}[r.IntN(3):][:1]
						if c.weightSigned {
							c.weightZero[0] -= 128
						}
						in, second := randomCodes(r, 3*first), randomCodes(r, 2*matrix)
						k := s.NewStackInt8(stack, Int8Operand{Signed: c.signed, ZeroPoint: c.zero},
							Int8Operand{Signed: c.weightSigned, ZeroPoint: c.weightZero[0]}, c.epilogue())
						scratch := AlignedScratch(max(k.PackScratch(), k.Scratch()))
						packed := AlignedScratch(k.Packed())
						for i := range packed {
							packed[i] = 0xa5 // whatever was there before
						}
						for i := range k.PackUnits() {
							k.Pack(packed, second, i, i+1, scratch)
						}
						got := inPieces(t, r, k.Units(), func() ([]byte, func(int, int)) {
							out := make([]byte, 4*result)
							return out, func(start, end int) { k.Run(Destination{Codes: out}, in, packed, start, end, scratch) }
						})
						for _, p := range stack.Products {
							g := GemmInt8{s.PackInt8(Int8Weights{f, second[stack.Seconds[p.Second]:][:matrix], c.weightSigned, c.weightZero}),
								rows, depth, n, c.signed, c.zero, c.epilogue()}
							want := make([]byte, result)
							g.Run(Destination{Codes: want}, in[p.First:], 0, g.Units(), AlignedScratch(g.Scratch()))
							if !bytes.Equal(got[p.Out:][:result], want) {
								t.Fatalf("%d×%d×%d, transposed %v, %+v: codes differ from those of the product alone", rows, depth, n, transposed, p)
							}
						}
						checkStackF32(t, s, stack, first, matrix, result)
					}
				}
			}
		}
	})
}

func checkStackF32(t *testing.T, s Set, stack Stack, first, matrix, result int) {
	t.Helper()
	r, e := random(9), EpilogueF32{Least: -1, Greatest: float32(math.Inf(1))}
	in, second := randomFloats(r, 3*first), randomFloats(r, 2*matrix)
	k := s.NewStackF32(stack, e)
	packed, scratch := make([]float32, k.Packed()), AlignedScratch(k.Scratch())
	for i := range k.PackUnits() {
		k.Pack(packed, second, i, i+1)
	}
	got := inPieces(t, r, k.Units(), func() ([]float32, func(int, int)) {
		out := make([]float32, 4*result)
		return out, func(start, end int) { k.Run(out, in, packed, start, end, scratch) }
	})
	for _, p := range stack.Products {
		g := GemmF32{s.PackF32(F32Weights{stack.Filter, second[stack.Seconds[p.Second]:][:matrix]}), stack.Rows, stack.InStride, stack.OutStride, e}
		want := make([]float32, result)
		g.Run(want, in[p.First:], 0, g.Units(), AlignedScratch(g.Scratch()))
		if !slices.Equal(got[p.Out:][:result], want) {
			t.Fatalf("%+v of %+v: floats differ from those of the product alone", p, stack)
		}
	}
}
