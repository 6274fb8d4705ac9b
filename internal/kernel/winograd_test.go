package kernel

import (
	"fmt"
	"math"
	"testing"

	"github.com/octet-nn/octet/internal/cpu"
)

func winogradCases() []convCase {
	one := [4]int{1, 1, 1, 1}
	cases := []convCase{
		newConvCase("one tile", 1, 4, 4, 16, 32, 1, 3, 3, 1, 1, 1, 1, one),
		newConvCase("one pixel", 1, 1, 1, 1, 1, 1, 3, 3, 1, 1, 1, 1, one),
		newConvCase("few channels", 2, 9, 7, 3, 5, 1, 3, 3, 1, 1, 1, 1, one),
		newConvCase("no padding", 1, 11, 12, 17, 33, 1, 3, 3, 1, 1, 1, 1, [4]int{}),
		newConvCase("uneven padding", 2, 8, 13, 31, 48, 1, 3, 3, 1, 1, 1, 1, [4]int{0, 2, 1, 0}),
		newConvCase("more padding than a window", 1, 5, 6, 20, 49, 1, 3, 3, 1, 1, 1, 1, [4]int{3, 4, 5, 3}),
		newConvCase("many tiles", 1, 30, 57, 16, 40, 1, 3, 3, 1, 1, 1, 1, one),
		newConvCase("many channels", 3, 14, 14, 130, 80, 1, 3, 3, 1, 1, 1, 1, one),
		newConvCase("several parts", 1, 29, 31, 128, 64, 1, 3, 3, 1, 1, 1, 1, one),
		newConvCase("no images", 0, 4, 4, 16, 16, 1, 3, 3, 1, 1, 1, 1, one),
	}
	return append(cases, apart(newConvCase("pixels apart", 2, 10, 9, 18, 34, 1, 3, 3, 1, 1, 1, 1, one)))
}

// forEachWinograd runs a test with the tiers that have the algorithm, and both sizes of tiles.
func forEachWinograd(t *testing.T, f func(t *testing.T, s Set, size int)) {
	ran := false
	for _, tier := range cpu.Available() {
		if s := For(tier); s.gemmF32.winograd {
			for _, size := range []int{2, 4} {
				ran = true
				t.Run(fmt.Sprintf("%v, %d×%d", tier, size, size), func(t *testing.T) { f(t, s, size) })
			}
		}
	}
	if !ran {
		t.Skip("SKIP: no tier of this machine has Winograd's transforms")
	}
}

func TestWinogradF32(t *testing.T) {
	inf := float32(math.Inf(1))
	forEachWinograd(t, func(t *testing.T, s Set, size int) {
		for i, shape := range winogradCases() {
			t.Run(shape.name, func(t *testing.T) {
				r := random(uint64(i))
				w, f := &shape.window, &shape.filter
				in := guardedOf(t, randomFloats(r, extent(w.Batch*w.InHeight*w.InWidth, w.InStride, w.Channels)))
				weights, bias := randomFloats(r, f.Outputs*f.depth()), guardedOf(t, randomFloats(r, f.Outputs))
				for _, limit := range [][2]float32{{-inf, inf}, {0, 6}, {-0.25, 0.5}} {
					k := WinogradF32{s.packWinograd(F32Weights{*f, weights}, size), *w, EpilogueF32{bias, limit[0], limit[1], nil}}
					scratch := AlignedScratch(k.Scratch())
					checkF32(t, r, &shape, bias, in, weights, limit[0], limit[1], k.Units(), func(out []float32, start, end int) {
						k.Run(out, in, start, end, scratch)
					})
					n := extent(w.pixels(), w.OutStride, f.Outputs)
					k.Run(guardedOf(t, make([]float32, n)), in, 0, k.Units(), scratch)
				}
			})
		}
	})
}

// nmse is the error's power over that of what is wanted.
func nmse(got []float32, want []float64) float64 {
	wrong, power := 0., 0.
	for i, v := range want {
		d := float64(got[i]) - v
		wrong, power = wrong+d*d, power+v*v
	}
	return wrong / power
}

// The error that the transforms add is stated: 1e-12 of the power of the results for tiles of 2×2 pixels, 3e-11 of 4×4. Direct
// sums, one chain for each, have 3e-13.
func TestWinogradError(t *testing.T) {
	most := map[int]float64{2: 1e-12, 4: 3e-11}
	forEachWinograd(t, func(t *testing.T, s Set, size int) {
		for _, inputs := range []int{16, 64, 512} {
			r := random(uint64(inputs))
			shape := newConvCase("", 1, 14, 14, inputs, 32, 1, 3, 3, 1, 1, 1, 1, [4]int{1, 1, 1, 1})
			w, f := &shape.window, &shape.filter
			in, weights := randomFloats(r, w.InHeight*w.InWidth*inputs), randomFloats(r, f.Outputs*f.depth())
			for i := range in { // like the results of a Relu
				in[i] = max(in[i], 0)
			}
			want := make([]float64, w.pixels()*f.Outputs)
			convolve(w, f, func(out, i, weight int) {
				if i >= 0 {
					want[out] += float64(in[i]) * float64(weights[weight])
				}
			})
			inf := float32(math.Inf(1))
			k := WinogradF32{s.packWinograd(F32Weights{*f, weights}, size), *w, EpilogueF32{Least: -inf, Greatest: inf}}
			got := make([]float32, len(want))
			k.Run(got, in, 0, k.Units(), AlignedScratch(k.Scratch()))
			e := nmse(got, want)
			direct := ConvF32{s.PackF32(F32Weights{*f, weights}), *w, k.Epilogue}
			direct.Run(got, in, 0, direct.Units(), AlignedScratch(direct.Scratch()))
			t.Logf("%d channels: %.2g, direct sums %.2g", inputs, e, nmse(got, want))
			if !(e < most[size]) {
				t.Errorf("%d channels: the error is %.2g of the results' power", inputs, e)
			}
		}
	})
}

// Values that are not finite, or too large to transform, reach the pixels whose windows see them, as in direct sums.
func TestWinogradNotFinite(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	forEachWinograd(t, func(t *testing.T, s Set, size int) {
		r := random(uint64(size))
		for round := range 60 {
			shape := newConvCase("", 1+r.IntN(2), 5+r.IntN(20), 5+r.IntN(20), 1+r.IntN(40), 1+r.IntN(70), 1, 3, 3, 1, 1, 1, 1, [4]int{1, 1, 1, 1})
			w, f := &shape.window, &shape.filter
			in, weights := randomFloats(r, w.Batch*w.InHeight*w.InWidth*w.Channels), randomFloats(r, f.Outputs*f.depth())
			// Beside large values roundings are large: only pixels that share no tile with them are compared.
			large := make([]bool, w.pixels())
			for range 1 + r.IntN(3) {
				at := r.IntN(len(in))
				in[at] = []float32{inf, -inf, nan, 1e38, -3e38}[r.IntN(5)]
				if math.Abs(float64(in[at])) < math.Inf(1) {
					n, y, x := w.position(at / w.Channels)
					for oy := max(y-size, 0); oy <= min(y+size, w.OutHeight-1); oy++ {
						for ox := max(x-size, 0); ox <= min(x+size, w.OutWidth-1); ox++ {
							large[(n*w.OutHeight+oy)*w.OutWidth+ox] = true
						}
					}
				}
			}
			e := EpilogueF32{randomFloats(r, f.Outputs), -inf, inf, nil}
			if round%2 == 0 {
				e.Least, e.Greatest = 0, 6
			}
			direct := ConvF32{s.PackF32(F32Weights{*f, weights}), *w, e}
			k := WinogradF32{s.packWinograd(F32Weights{*f, weights}, size), *w, e}
			want := make([]float32, w.pixels()*f.Outputs)
			direct.Run(want, in, 0, direct.Units(), AlignedScratch(direct.Scratch()))
			scratch := AlignedScratch(k.Scratch())
			got := inPieces(t, r, k.Units(), func() ([]uint32, func(int, int)) {
				bits := make([]uint32, len(want))
				return bits, func(start, end int) {
					out := make([]float32, len(want))
					for i, b := range bits {
						out[i] = math.Float32frombits(b)
					}
					k.Run(out, in, start, end, scratch)
					for i, v := range out {
						bits[i] = math.Float32bits(v)
					}
				}
			})
			for i, v := range want {
				g := math.Float32frombits(got[i])
				same := g == v || g != g && v != v || near(float64(g), float64(v), 2*f.depth())
				if large[i/f.Outputs] {
					same = (g-g == 0) == (v-v == 0) // both finite, or neither
				}
				if !same {
					t.Fatalf("round %d: element %d is %v, want %v", round, i, g, v)
				}
			}
		}
	})
}

// Weights that are not finite or very large are left to direct sums; the transforms of others are finite.
func TestWinogradWeights(t *testing.T) {
	forEachWinograd(t, func(t *testing.T, s Set, size int) {
		f := newConvCase("", 1, 8, 8, 4, 5, 1, 3, 3, 1, 1, 1, 1, [4]int{1, 1, 1, 1}).filter
		for value, packed := range map[float32]bool{1: true, -1e37: true, 1e38: false, float32(math.Inf(-1)): false, float32(math.NaN()): false} {
			weights := randomFloats(random(1), f.Outputs*f.depth())
			weights[17] = value
			if got := s.packWinograd(F32Weights{f, weights}, size) != nil; got != packed {
				t.Errorf("weight %v: packed is %v", value, got)
			}
		}
		weights := make([]float32, f.Outputs*f.depth())
		fill(weights, winogradLargest)
		for _, v := range s.packWinograd(F32Weights{f, weights}, size).panels {
			if v-v != 0 {
				t.Fatal("a transformed weight is ", v)
			}
		}
	})
}

func TestWinogradSize(t *testing.T) {
	for _, tc := range []struct{ inputs, outputs, height, width, want int }{
		{64, 64, 56, 56, 4}, {128, 128, 28, 28, 4}, // ResNet
		{256, 256, 14, 14, 2}, {512, 512, 7, 7, 2}, // many weights for few pixels
		{16, 64, 55, 55, 4}, {64, 256, 13, 13, 4}, // SqueezeNet
		{3, 64, 224, 224, 0}, {16, 16, 1, 1, 0}, {512, 512, 2, 2, 0}, {2048, 2048, 1, 1, 0},
		{1 << 20, 1 << 20, 1 << 20, 1 << 20, 4},
	} {
		if got := winogradSize(tc.inputs, tc.outputs, tc.height, tc.width); got != tc.want {
			t.Errorf("%+v: %d", tc, got)
		}
	}
}
