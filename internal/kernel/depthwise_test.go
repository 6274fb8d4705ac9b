package kernel

import (
	"fmt"
	"math"
	"testing"

	"github.com/octet-nn/octet/internal/cpu"
)

var depthwiseWindows = []struct{ kernel, stride, dilation, pad int }{
	{3, 1, 1, 1}, {3, 2, 1, 1}, {5, 1, 1, 2}, {5, 2, 1, 2}, {3, 1, 2, 2}, {3, 3, 1, 0}, {1, 1, 1, 0}, {2, 1, 1, 1}, {4, 2, 1, 3},
}

// TestDepthwiseInt8Rows compares every tier with plain Go over channels around the widths of vectors, on operands that
// end where memory ends.
func TestDepthwiseInt8Rows(t *testing.T) {
	plain := For(cpu.Generic)
	forEachTier(t, func(t *testing.T, s Set) {
		for channels := 1; channels <= 4*64+1; channels += 1 + channels/9 {
			for i, shape := range depthwiseWindows {
				style := (channels + i) % 3
				r := random(uint64(channels*10 + i))
				c := newConvCase("", 1, 7, 6, channels, channels, channels, shape.kernel, shape.kernel, shape.stride, shape.stride,
					shape.dilation, shape.dilation, [4]int{shape.pad, shape.pad, shape.pad, shape.pad})
				w, f := &c.window, &c.filter
				q := newInt8Case(r, style, channels, f.depth())
				weights := Int8Weights{*f, randomCodes(r, channels*f.depth()), q.weightSigned, q.weightZero}
				in := guarded(t, randomCodes(r, 7*6*channels))
				t.Run(fmt.Sprintf("%d channels, %v, %d", channels, shape, style), func(t *testing.T) {
					want := make([]byte, w.pixels()*channels)
					got := guarded(t, want)
					for _, s := range []struct {
						Set
						out    []byte
						pieces int // at a time
					}{{plain, want, math.MaxInt}, {s, got, 5 + channels%7}} {
						k := DepthwiseInt8{s.PackDepthwiseInt8(weights), *w, q.signed, q.zero, q.epilogue()}
						for start := 0; start < k.Units(); {
							end := start + min(s.pieces, k.Units()-start)
							k.Run(Destination{Codes: s.out}, in, start, end, AlignedScratch(k.Scratch()))
							start = end
						}
					}
					for i := range want {
						if got[i] != want[i] {
							t.Fatalf("pixel %d, channel %d: %d, want %d", i/channels, i%channels, got[i], want[i])
						}
					}
				})
			}
		}
	})
}

// TestDepthwiseF32Rows is the same for floats, whose sums may differ by roundings.
func TestDepthwiseF32Rows(t *testing.T) {
	plain := For(cpu.Generic)
	forEachTier(t, func(t *testing.T, s Set) {
		for channels := 1; channels <= 4*32+1; channels += 1 + channels/9 {
			for i, shape := range depthwiseWindows {
				r := random(uint64(channels*10 + i))
				c := newConvCase("", 1, 7, 6, channels, channels, channels, shape.kernel, shape.kernel, shape.stride, shape.stride,
					shape.dilation, shape.dilation, [4]int{shape.pad, shape.pad, shape.pad, shape.pad})
				w, f := &c.window, &c.filter
				weights := F32Weights{*f, randomFloats(r, channels*f.depth()*f.Height)}
				in := view[float32](guarded(t, make([]byte, 4*7*6*channels)))
				copy(in, randomFloats(r, len(in)))
				in[r.IntN(len(in))] = float32(math.NaN())
				t.Run(fmt.Sprintf("%d channels, %v", channels, shape), func(t *testing.T) {
					want := make([]float32, w.pixels()*channels)
					got := view[float32](guarded(t, make([]byte, 4*len(want))))
					for _, s := range []struct {
						Set
						out    []float32
						pieces int // at a time
					}{{plain, want, math.MaxInt}, {s, got, 5 + channels%7}} {
						k := DepthwiseF32{s.PackDepthwiseF32(weights), *w, EpilogueF32{Bias: randomFloats(random(1), channels), Least: -0.5, Greatest: 1.5}}
						for start := 0; start < k.Units(); {
							end := start + min(s.pieces, k.Units()-start)
							k.Run(s.out, in, start, end, AlignedScratch(k.Scratch()))
							start = end
						}
					}
					for i, x := range want {
						if !near(float64(got[i]), float64(x), f.Height*f.Width) && (x == x || got[i] == got[i]) {
							t.Fatalf("pixel %d, channel %d: %v, want %v", i/channels, i%channels, got[i], x)
						}
					}
				})
			}
		}
	})
}

// Layers of more than a million products have at least 16 pieces for each of 64 goroutines, which is what package runtime
// shares evenly.
func TestDepthwisePieces(t *testing.T) {
	forEachTier(t, func(t *testing.T, s Set) {
		for _, shape := range [][3]int{{112, 32, 3}, {56, 144, 3}, {28, 192, 3}, {14, 576, 3}, {14, 384, 5}, {7, 960, 5}, {20, 300, 3}} {
			size, channels, kernel := shape[0], shape[1], shape[2]
			pad := kernel / 2
			c := newConvCase("", 1, size, size, channels, channels, channels, kernel, kernel, 1, 1, 1, 1, [4]int{pad, pad, pad, pad})
			packed := s.PackDepthwiseInt8(Int8Weights{Filter: c.filter, Data: make([]byte, channels*kernel*kernel), Signed: true})
			d := DepthwiseInt8{Weights: packed, Window: c.window}
			f := DepthwiseF32{Weights: s.PackDepthwiseF32(F32Weights{c.filter, make([]float32, channels*kernel*kernel)}), Window: c.window}
			least := 16 * 64
			if size == 7 {
				least = 7 * 64 // 49 pixels: at 64 goroutines, 11 pieces each
			}
			for name, n := range map[string]int{"int8": d.Units(), "f32": f.Units()} {
				if n < least {
					t.Errorf("%s, %d×%d×%d: %d pieces", name, size, size, channels, n)
				}
			}
		}
	})
}
