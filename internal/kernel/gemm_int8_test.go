package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/octet-nn/octet/internal/numeric"
)

// int8Case is everything about an integer convolution that is not its shape.
type int8Case struct {
	signed, weightSigned     bool
	zero                     int32
	weightZero, bias         []int32
	multiplier               []float32
	outZero, lowest, highest int32
}

// newInt8Case draws one; style 0 is the common scheme, 1 the extremes, 2 asymmetric u8 weights.
func newInt8Case(r *rand.Rand, style, outputs, depth int) int8Case {
	c := int8Case{signed: style == 1, weightSigned: style != 2, zero: int32(r.IntN(256))}
	c.bias = make([]int32, outputs)
	c.multiplier = make([]float32, outputs)
	for o := range outputs {
		c.bias[o] = int32(r.IntN(20001) - 10000)
		c.multiplier[o] = float32((1 + r.Float64()) / (60 * math.Sqrt(float64(depth+1))))
	}
	outSigned := r.IntN(2) == 0
	c.lowest, c.highest = limits(outSigned)
	c.outZero = c.lowest + int32(r.IntN(256))
	switch style {
	case 1:
		c.zero = []int32{-128, 127, 0}[r.IntN(3)]
		c.bias = nil
		c.multiplier = c.multiplier[:1]
	case 2:
		c.weightZero = []int32{int32(r.IntN(256))}
		if r.IntN(2) == 0 {
			c.weightZero = make([]int32, outputs)
			for o := range outputs {
				c.weightZero[o] = int32(r.IntN(256))
			}
		}
		c.lowest = min(c.outZero, c.highest) // a fused Relu
	}
	return c
}

func (c *int8Case) epilogue() Epilogue {
	return Epilogue{Bias: c.bias, Multiplier: c.multiplier, Bounded: AreBounded(c.multiplier), ZeroPoint: c.outZero, Lowest: c.lowest, Highest: c.highest,
		Least: float32(math.Inf(-1)), Greatest: float32(math.Inf(1))}
}

// sums is the exact integer convolution plus bias, element by element of a dense or strided output.
func (c *int8Case) sums(shape *convCase, in, weights []byte, n int) []int32 {
	f := &shape.filter
	w := Int8Weights{Filter: *f, ZeroPoint: c.weightZero}
	sums := make([]int32, n)
	for pixel := range shape.window.pixels() {
		for o, b := range c.bias {
			sums[pixel*shape.window.OutStride+o] = b
		}
	}
	convolve(&shape.window, f, func(out, i, weight int) {
		if i >= 0 {
			o := out % shape.window.OutStride
			sums[out] += (code(in[i], c.signed) - c.zero) * (code(weights[weight], c.weightSigned) - w.zeroPoint(o))
		}
	})
	return sums
}

// checkInt8 compares codes, sums and floats of a kernel with the scalar formulas.
func checkInt8(t *testing.T, r *rand.Rand, shape *convCase, c *int8Case, in, weights []byte, units int,
	run func(out Destination, start, end int)) {
	t.Helper()
	w, f := &shape.window, &shape.filter
	n := extent(w.pixels(), w.OutStride, f.Outputs)
	want := c.sums(shape, in, weights, n)
	sums := inPieces(t, r, units, func() ([]int32, func(int, int)) {
		out := make([]int32, n)
		return out, func(start, end int) { run(Destination{Sums: out}, start, end) }
	})
	codes := inPieces(t, r, units, func() ([]byte, func(int, int)) {
		out := make([]byte, n)
		return out, func(start, end int) { run(Destination{Codes: out}, start, end) }
	})
	floats := inPieces(t, r, units, func() ([]float32, func(int, int)) {
		out := make([]float32, n)
		return out, func(start, end int) { run(Destination{Floats: out}, start, end) }
	})
	for i := range want {
		o := i % w.OutStride
		if o >= f.Outputs {
			if sums[i] != 0 || codes[i] != 0 || floats[i] != 0 {
				t.Fatalf("wrote between the pixels, at %d", i)
			}
			continue
		}
		if sums[i] != want[i] {
			t.Fatalf("sum %d is %d, want %d", i, sums[i], want[i])
		}
		m := c.multiplier[o%len(c.multiplier)]
		if q := numeric.Requantize(want[i], m, c.outZero, c.lowest, c.highest); codes[i] != byte(q) {
			t.Fatalf("code %d is %d, want %d", i, codes[i], byte(q))
		}
		if y := numeric.SumToFloat(want[i], m, 0); floats[i] != y {
			t.Fatalf("float %d is %v, want %v", i, floats[i], y)
		}
	}
}

func TestConvInt8(t *testing.T) {
	forEachTier(t, func(t *testing.T, s Set) {
		for _, shape := range convCases() {
			for style := range 3 {
				t.Run(fmt.Sprintf("%s/%d", shape.name, style), func(t *testing.T) {
					r := random(uint64(style))
					w, f := &shape.window, &shape.filter
					c := newInt8Case(r, style, f.Outputs, f.depth())
					in := randomCodes(r, extent(w.Batch*w.InHeight*w.InWidth, w.InStride, w.Channels))
					weights := randomCodes(r, f.Outputs*f.depth())
					k := ConvInt8{s.PackInt8(Int8Weights{*f, weights, c.weightSigned, c.weightZero}), *w, c.signed, c.zero, c.epilogue()}
					scratch := AlignedScratch(k.Scratch())
					checkInt8(t, r, &shape, &c, in, weights, k.Units(), func(out Destination, start, end int) {
						k.Run(out, in, start, end, scratch)
					})
				})
			}
		}
	})
}

func TestDepthwiseInt8(t *testing.T) {
	forEachTier(t, func(t *testing.T, s Set) {
		for _, shape := range depthwiseCases() {
			for style := range 3 {
				t.Run(fmt.Sprintf("%s/%d", shape.name, style), func(t *testing.T) {
					r := random(uint64(style))
					w, f := &shape.window, &shape.filter
					c := newInt8Case(r, style, f.Outputs, f.depth())
					in := randomCodes(r, extent(w.Batch*w.InHeight*w.InWidth, w.InStride, w.Channels))
					weights := randomCodes(r, f.Outputs*f.depth())
					k := DepthwiseInt8{s.PackDepthwiseInt8(Int8Weights{*f, weights, c.weightSigned, c.weightZero}), *w, c.signed, c.zero, c.epilogue()}
					scratch := AlignedScratch(k.Scratch())
					checkInt8(t, r, &shape, &c, in, weights, k.Units(), func(out Destination, start, end int) {
						k.Run(out, in, start, end, scratch)
					})
				})
			}
		}
	})
}

// Every number of rows, columns and depth around the tiles of the kernels, both orders of the matrix in memory.
func TestGemmInt8(t *testing.T) {
	forEachTier(t, func(t *testing.T, s Set) {
		r := random(3)
		for _, rows := range []int{0, 1, 2, 3, 7, 16, 65} {
			for _, n := range []int{1, 2, 11, 12, 13, 24, 31, 64} {
				for _, depth := range []int{0, 1, 2, 31, 32, 33, 64, 97} {
					style := r.IntN(3)
					shape := newConvCase("", rows, 1, 1, depth, n, 1, 1, 1, 1, 1, 1, 1, [4]int{})
					shape.window.InStride += r.IntN(3)
					c := newInt8Case(r, style, n, depth)
					in := randomCodes(r, extent(rows, shape.window.InStride, depth))
					weights := randomCodes(r, n*depth)
					k := GemmInt8{s.PackInt8(Int8Weights{Matrix(depth, n, true), weights, c.weightSigned, c.weightZero}),
						rows, shape.window.InStride, n, c.signed, c.zero, c.epilogue()}
					scratch := AlignedScratch(k.Scratch())
					checkInt8(t, r, &shape, &c, in, weights, k.Units(), func(out Destination, start, end int) {
						k.Run(out, in, start, end, scratch)
					})
					turned := make([]byte, len(weights))
					for i := range n {
						for j := range depth {
							turned[j*n+i] = weights[i*depth+j]
						}
					}
					k.Weights = s.PackInt8(Int8Weights{Matrix(depth, n, false), turned, c.weightSigned, c.weightZero})
					checkInt8(t, r, &shape, &c, in, weights, k.Units(), func(out Destination, start, end int) {
						k.Run(out, in, start, end, scratch)
					})
				}
			}
		}
	})
}

// Random windows: whatever combination of sizes, strides, dilations, pads and groups nobody thought of.
func TestRandomWindows(t *testing.T) {
	forEachTier(t, func(t *testing.T, s Set) {
		r := random(11)
		from := func(least, greatest int) int { return least + r.IntN(greatest-least+1) }
		for range 150 {
			groups, kh, kw, dh, dw := from(1, 3), from(1, 4), from(1, 4), from(1, 3), from(1, 3)
			pads := [4]int{from(0, 4), from(0, 4), from(0, 4), from(0, 4)}
			h, w := from(max(1, dh*(kh-1)+1-pads[0]-pads[2]), 14), from(max(1, dw*(kw-1)+1-pads[1]-pads[3]), 14)
			shape := newConvCase("", from(1, 2), h, w, groups*from(1, 6), groups*from(1, 14), groups, kh, kw, from(1, 4), from(1, 4), dh, dw, pads)
			f := &shape.filter
			c := newInt8Case(r, r.IntN(3), f.Outputs, f.depth())
			in := randomCodes(r, shape.window.Batch*h*w*shape.window.Channels)
			weights := randomCodes(r, f.Outputs*f.depth())
			packed := Int8Weights{*f, weights, c.weightSigned, c.weightZero}
			k := ConvInt8{s.PackInt8(packed), shape.window, c.signed, c.zero, c.epilogue()}
			scratch := AlignedScratch(k.Scratch())
			t.Run(fmt.Sprintf("%+v", shape), func(t *testing.T) {
				checkInt8(t, r, &shape, &c, in, weights, k.Units(), func(out Destination, start, end int) {
					k.Run(out, in, start, end, scratch)
				})
			})
		}
	})
}

// The largest magnitudes in every lane, longer than a lane can hold without being emptied.
func TestGemmInt8Extremes(t *testing.T) {
	forEachTier(t, func(t *testing.T, s Set) {
		const rows, n, depth = 5, 20, 4000
		for _, a := range []byte{0, 255} {
			for _, b := range []byte{0x80, 0x7f} {
				in, weights := make([]byte, rows*depth), make([]byte, n*depth)
				fill(in, a)
				for i := range weights {
					weights[i] = b
					if i/depth%3 == 1 { // neighbours of opposite sign
						weights[i] = ^b
					}
				}
				k := GemmInt8{s.PackInt8(Int8Weights{Filter: Matrix(depth, n, true), Data: weights, Signed: true}), rows, depth, n, false, 0, Epilogue{}}
				out := make([]int32, rows*n)
				k.Run(Destination{Sums: out}, in, 0, k.Units(), AlignedScratch(k.Scratch()))
				for i, got := range out {
					if want := depth * int32(a) * int32(int8(weights[i%n*depth])); got != want {
						t.Fatalf("%d·%d: element %d is %d, want %d", a, int8(b), i, got, want)
					}
				}
			}
		}
	})
}

func TestSaturateIsNumericSaturate(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	values := []float32{0, inf, -inf, nan, 1e30, -1e30, math.MaxFloat32, 1e-40}
	for i := -2000; i < 2000; i++ {
		x := float32(i) / 4
		values = append(values, x, math.Nextafter32(x, inf), math.Nextafter32(x, -inf))
	}
	for _, limit := range [][3]int32{{0, 0, 255}, {-128, -128, 127}, {255, 0, 255}, {127, -128, 127}, {3, -128, 127}, {10, 20, 200}, {10, 0, 5}} {
		z, lowest, highest := limit[0], limit[1], limit[2]
		for _, x := range values {
			got := saturate(x, float32(lowest-z), float32(highest-z), z)
			if want := byte(numeric.Saturate(x, z, lowest, highest)); got != want {
				t.Fatalf("saturate(%v) to [%d, %d] around %d = %d, want %d", x, lowest, highest, z, got, want)
			}
			if x > -(1<<51) && x < 1<<51 {
				got := saturateModerate(x, int64(lowest-z), int64(highest-z), z)
				if want := byte(numeric.Saturate(x, z, lowest, highest)); got != want {
					t.Fatalf("saturateModerate(%v) to [%d, %d] around %d = %d, want %d", x, lowest, highest, z, got, want)
				}
			}
		}
	}
}

func TestRequantizeIsNumericRequantize(t *testing.T) {
	multipliers := []float32{0.001, 0, -0.5, 1, 1 << 19, 1 << 20, -(1 << 20), math.MaxFloat32, float32(math.Inf(1)), float32(math.NaN()), 1e-42}
	sums := []int32{0, 1, -1, 500, 1500, 2500, -500, math.MaxInt32, math.MinInt32, 1 << 24, 1<<24 + 1}
	for _, m := range multipliers {
		each := make([]float32, len(sums))
		fill(each, m)
		for _, multiplier := range [][]float32{{m}, each} {
			got := make([]byte, len(sums))
			requantize(got, sums, multiplier, 3, -100, 120)
			for i, s := range sums {
				if want := byte(numeric.Requantize(s, m, 3, -100, 120)); got[i] != want {
					t.Errorf("%d·%v = %d, want %d", s, m, int8(got[i]), int8(want))
				}
			}
		}
	}
}

func TestRunDoesNotAllocate(t *testing.T) {
	shape := newConvCase("", 1, 6, 6, 8, 20, 1, 3, 3, 1, 1, 1, 1, [4]int{1, 1, 1, 1})
	forEachTier(t, func(t *testing.T, s Set) {
		weights := make([]byte, 20*72)
		k := ConvInt8{s.PackInt8(Int8Weights{Filter: shape.filter, Data: weights, Signed: true}), shape.window, false, 3,
			Epilogue{Multiplier: []float32{1}, Highest: 255}}
		in, out, scratch := make([]byte, 36*8), make([]byte, 36*20), AlignedScratch(k.Scratch())
		if n := testing.AllocsPerRun(10, func() { k.Run(Destination{Codes: out}, in, 0, k.Units(), scratch) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}
