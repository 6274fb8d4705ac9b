package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

func checkF32(t *testing.T, r *rand.Rand, shape *convCase, bias, in, weights []float32, least, greatest float32, units int,
	run func(out []float32, start, end int)) {
	t.Helper()
	w, f := &shape.window, &shape.filter
	n := extent(w.pixels(), w.OutStride, f.Outputs)
	want := make([]float64, n)
	for i := range want {
		if o := i % w.OutStride; o < len(bias) {
			want[i] = float64(bias[o])
		}
	}
	convolve(w, f, func(out, i, weight int) {
		if i >= 0 {
			want[out] += float64(in[i]) * float64(weights[weight])
		}
	})
	got := inPieces(t, r, units, func() ([]float32, func(int, int)) {
		out := make([]float32, n)
		return out, func(start, end int) { run(out, start, end) }
	})
	for i := range want {
		if i%w.OutStride >= f.Outputs {
			want[i] = 0
		} else {
			want[i] = min(max(want[i], float64(least)), float64(greatest))
		}
		if !near(float64(got[i]), want[i], f.depth()) {
			t.Fatalf("element %d is %v, want %v", i, got[i], want[i])
		}
	}
}

func TestConvF32(t *testing.T) {
	inf := float32(math.Inf(1))
	forEachTier(t, func(t *testing.T, s Set) {
		for i, shape := range convCases() {
			t.Run(shape.name, func(t *testing.T) {
				r := random(uint64(i))
				w, f := &shape.window, &shape.filter
				in := randomFloats(r, extent(w.Batch*w.InHeight*w.InWidth, w.InStride, w.Channels))
				weights, bias := randomFloats(r, f.Outputs*f.depth()), randomFloats(r, f.Outputs)
				for _, e := range []EpilogueF32{{bias, 0, 0.25, nil}, {nil, -inf, inf, nil}} {
					k := ConvF32{s.PackF32(F32Weights{*f, weights}), *w, e}
					scratch := AlignedScratch(k.Scratch())
					checkF32(t, r, &shape, e.Bias, in, weights, e.Least, e.Greatest, k.Units(), func(out []float32, start, end int) {
						k.Run(out, in, start, end, scratch)
					})
				}
			})
		}
	})
}

func TestDepthwiseF32(t *testing.T) {
	inf := float32(math.Inf(1))
	forEachTier(t, func(t *testing.T, s Set) {
		for i, shape := range depthwiseCases() {
			t.Run(shape.name, func(t *testing.T) {
				r := random(uint64(i))
				w, f := &shape.window, &shape.filter
				in := randomFloats(r, extent(w.Batch*w.InHeight*w.InWidth, w.InStride, w.Channels))
				weights, bias := randomFloats(r, f.Outputs*f.depth()), randomFloats(r, f.Outputs)
				for _, e := range []EpilogueF32{{bias, 0, 0.25, nil}, {nil, -inf, inf, nil}} {
					k := DepthwiseF32{s.PackDepthwiseF32(F32Weights{*f, weights}), *w, e}
					scratch := AlignedScratch(k.Scratch())
					checkF32(t, r, &shape, e.Bias, in, weights, e.Least, e.Greatest, k.Units(), func(out []float32, start, end int) {
						k.Run(out, in, start, end, scratch)
					})
				}
			})
		}
	})
}

func TestGemmF32(t *testing.T) {
	inf := float32(math.Inf(1))
	forEachTier(t, func(t *testing.T, s Set) {
		r := random(3)
		for _, rows := range []int{0, 1, 2, 3, 4, 5, 7, 65} {
			for _, n := range []int{1, 3, 4, 5, 8, 16, 33} {
				for _, depth := range []int{0, 1, 2, 15, 16, 17, 97} {
					shape := newConvCase("", rows, 1, 1, depth, n, 1, 1, 1, 1, 1, 1, 1, [4]int{})
					shape.window.InStride += r.IntN(3)
					in := randomFloats(r, extent(rows, shape.window.InStride, depth))
					weights, bias := randomFloats(r, n*depth), randomFloats(r, n)
					k := GemmF32{s.PackF32(F32Weights{Matrix(depth, n, true), weights}), rows, shape.window.InStride, n,
						EpilogueF32{bias, -inf, inf, nil}}
					scratch := AlignedScratch(k.Scratch())
					checkF32(t, r, &shape, bias, in, weights, -inf, inf, k.Units(), func(out []float32, start, end int) {
						k.Run(out, in, start, end, scratch)
					})
				}
			}
		}
	})
}
