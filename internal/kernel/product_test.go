package kernel

import (
	"bytes"
	"math"
	"testing"
	"unsafe"

	"github.com/octet-nn/octet/internal/numeric"
)

// guardedOf is guarded for elements of any size.
func guardedOf[T float32 | int32 | byte](t *testing.T, s []T) []T {
	if len(s) == 0 {
		return nil
	}
	bytes := guarded(t, unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), len(s)*int(unsafe.Sizeof(s[0]))))
	return unsafe.Slice((*T)(unsafe.Pointer(&bytes[0])), len(s))
}

// Nothing is read or written past the ends of what a product is given: behind them is memory that faults.
func TestProductsStayInside(t *testing.T) {
	shapes := convCases()
	for _, n := range []int{1, 15, 16, 17, 31, 32, 33, 48, 49} {
		for _, depth := range []int{1, 3, 4, 8} {
			shapes = append(shapes, newConvCase("", 1, n, 1, depth, n, 1, 1, 1, 1, 1, 1, 1, [4]int{}))
		}
	}
	forEachTier(t, func(t *testing.T, s Set) {
		r := random(5)
		for _, shape := range shapes {
			w, f := shape.window, shape.filter
			inputs, outputs := extent(w.Batch*w.InHeight*w.InWidth, w.InStride, w.Channels), extent(w.pixels(), w.OutStride, f.Outputs)
			c := newInt8Case(r, 0, f.Outputs, f.depth())
			e := c.epilogue()
			e.Bias, e.Multiplier = guardedOf(t, e.Bias), guardedOf(t, e.Multiplier)
			in := guardedOf(t, randomCodes(r, inputs))
			k := ConvInt8{s.PackInt8(Int8Weights{f, randomCodes(r, f.Outputs*f.depth()), true, nil}), w, r.IntN(2) == 0, c.zero, e}
			scratch := guardedOf(t, make([]byte, (k.Scratch()+7)&^7))
			for _, out := range []Destination{
				{Codes: guardedOf(t, make([]byte, outputs))}, {Sums: guardedOf(t, make([]int32, outputs))},
				{Floats: guardedOf(t, make([]float32, outputs))},
			} {
				k.Run(out, in, 0, k.Units(), scratch)
			}
			kf := ConvF32{s.PackF32(F32Weights{f, randomFloats(r, f.Outputs*f.depth())}), w,
				EpilogueF32{guardedOf(t, randomFloats(r, f.Outputs)), 0, 6, nil}}
			kf.Run(guardedOf(t, make([]float32, outputs)), guardedOf(t, randomFloats(r, inputs)), 0, kf.Units(),
				guardedOf(t, make([]byte, (kf.Scratch()+7)&^7)))
		}
	})
}

// What numeric.Requantize does with sums and multipliers at their extremes, for every position in a tile.
func TestProductRequantizesLikeNumeric(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	multipliers := []float32{nan, inf, -inf, 0, 1e30, -0.5, 0.5, 1 << 20, 1, 1e-42, math.MaxFloat32, -math.MaxFloat32, 0.001, 1.0 / (1 << 31)}
	sums := []int32{0, 1, -1, 3, 5, 255, 256, 500, 1500, 2500, -500, math.MaxInt32, math.MinInt32, 1 << 24, 1<<24 + 1, -1<<24 - 1, 127, 128, 129}
	limits := [][3]int32{{0, 0, 255}, {-128, -128, 127}, {255, 0, 255}, {127, -128, 127}, {3, -128, 127}, {10, 20, 200}, {10, 0, 5}}
	const n = 45
	forEachTier(t, func(t *testing.T, s Set) {
		for _, limit := range limits {
			for shift := range len(multipliers) {
				bias, each := make([]int32, n), make([]float32, n)
				for i := range n {
					bias[i], each[i] = sums[i%len(sums)], multipliers[(i+shift)%len(multipliers)]
				}
				for _, m := range [][]float32{each, each[:1]} {
					for rows := range 14 {
						k := GemmInt8{s.PackInt8(Int8Weights{Matrix(4, n, true), make([]byte, 4*n), true, nil}), rows, 4, n, false, 7,
							Epilogue{Bias: bias, Multiplier: m, ZeroPoint: limit[0], Lowest: limit[1], Highest: limit[2]}}
						out := make([]byte, rows*n)
						k.Run(Destination{Codes: out}, make([]byte, rows*4), 0, k.Units(), AlignedScratch(k.Scratch()))
						for i, got := range out {
							b, m := bias[i%n], m[i%n%len(m)]
							if want := byte(numeric.Requantize(b, m, limit[0], limit[1], limit[2])); got != want {
								t.Fatalf("%d·%v to [%d, %d] around %d = %d, want %d", b, m, limit[1], limit[2], limit[0], int8(got), int8(want))
							}
						}
					}
				}
			}
		}
	})
}

func TestSumCodes(t *testing.T) {
	r := random(2)
	for _, n := range []int{0, 1, 7, 8, 9, 63, 1023, 1024, 1025, 5000} {
		for _, codes := range [][]byte{randomCodes(r, n), bytes.Repeat([]byte{255}, n), make([]byte, n)} {
			for _, flip := range []byte{0, 0x80} {
				want := int32(0)
				for _, c := range codes {
					want += int32(c ^ flip)
				}
				if got := sumCodes(codes, flip); got != want {
					t.Errorf("%d codes flipped by %#x: %d, want %d", n, flip, got, want)
				}
			}
		}
	}
}

// Layers of more than a million products have many pieces for each of 64 goroutines, or one piece per line and panel.
func TestProductPieces(t *testing.T) {
	forEachTier(t, func(t *testing.T, s Set) {
		for _, shape := range []struct{ size, inputs, outputs, kernel, least int }{
			{112, 16, 96, 1, 16 * 64}, {28, 192, 32, 1, 12 * 64}, {14, 384, 64, 1, 6 * 64}, {7, 960, 320, 1, 7 * 64},
			{56, 64, 64, 3, 112}, {28, 128, 128, 3, 112}, {7, 512, 512, 3, 112},
		} {
			pad := shape.kernel / 2
			c := newConvCase("", 1, shape.size, shape.size, shape.inputs, shape.outputs, 1, shape.kernel, shape.kernel, 1, 1, 1, 1, [4]int{pad, pad, pad, pad})
			k := ConvInt8{Weights: s.PackInt8(Int8Weights{Filter: c.filter, Data: make([]byte, shape.outputs*c.filter.depth()), Signed: true}), Window: c.window}
			if n := k.Units(); n < shape.least {
				t.Errorf("%+v: %d pieces", shape, n)
			}
		}
	})
}

// Pieces are put together to parts that cover each line and panel once.
func TestPartsCoverEverything(t *testing.T) {
	r := random(4)
	for range 300 {
		batch, height, width, groups, panels := 1+r.IntN(3), 1+r.IntN(40), 1+r.IntN(20), 1+r.IntN(3), 1+r.IntN(12)
		w := newConvCase("", batch, height, width, groups, groups, groups, 1, 1, 1, 1, 1, 1, [4]int{}).window
		if r.IntN(2) == 0 {
			w.KernelHeight, w.PadTop = 3, 1
		}
		f := newFeed(&w, 1, 1, 1, 4, false)
		s := newSplit(&f, groups, panels)
		seen := map[[3]int]int{}
		for start := 0; start < s.units(); {
			end := min(start+1+r.IntN(s.units()), s.units())
			all := parts{split: &s, start: start, end: end}
			for p, ok := all.next(); ok; p, ok = all.next() {
				if p.rows < 1 || p.rows > f.rows() || p.firstPanel >= p.lastPanel {
					t.Fatalf("part %+v", p)
				}
				for row := p.first; row < p.first+p.rows; row++ {
					for panel := p.firstPanel; panel < p.lastPanel; panel++ {
						seen[[3]int{p.group, row, panel}]++
					}
				}
			}
			start = end
		}
		if want := groups * w.pixels() * panels; len(seen) != want {
			t.Fatalf("%d of %d rows and panels", len(seen), want)
		}
		for at, n := range seen {
			if n != 1 {
				t.Fatalf("%v is done %d times", at, n)
			}
		}
	}
}
