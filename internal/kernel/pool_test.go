package kernel

import (
	"fmt"
	"math"
	"testing"

	"github.com/octet-nn/octet/internal/numeric"
)

type poolCase struct {
	name string
	AverageWindow
}

func poolCases() []poolCase {
	make2 := func(name string, batch, h, w, channels, outH, outW, kh, kw, sh, sw, dh, dw int, pads [4]int) poolCase {
		return poolCase{name, AverageWindow{Window: Window{Batch: batch, InHeight: h, InWidth: w, Channels: channels,
			OutHeight: outH, OutWidth: outW, KernelHeight: kh, KernelWidth: kw, StrideHeight: sh, StrideWidth: sw,
			DilationHeight: dh, DilationWidth: dw, PadTop: pads[0], PadLeft: pads[1], InStride: channels + 1, OutStride: channels + 2},
			PadBottom: pads[2], PadRight: pads[3]}}
	}
	return []poolCase{
		make2("2x2", 2, 4, 6, 5, 2, 3, 2, 2, 2, 2, 1, 1, [4]int{}),
		make2("3x3, padded", 1, 5, 5, 3, 5, 5, 3, 3, 1, 1, 1, 1, [4]int{1, 1, 1, 1}),
		make2("rounded up", 1, 5, 6, 4, 3, 4, 3, 2, 2, 2, 1, 1, [4]int{0, 1, 0, 0}),
		make2("dilated", 1, 7, 7, 2, 5, 3, 2, 3, 1, 1, 2, 2, [4]int{}),
		make2("global", 3, 7, 7, 9, 1, 1, 7, 7, 1, 1, 1, 1, [4]int{}),
		make2("nothing but padding", 1, 1, 1, 1, 3, 3, 1, 1, 1, 1, 1, 1, [4]int{1, 1, 1, 1}),
	}
}

// under visits the input elements under the window of each output element, and counts positions: in the image, and in
// the padded image.
func under(w *AverageWindow, visit func(out int, in []int, inImage, inPadded int)) {
	for pixel := range w.pixels() {
		n, oy, ox := w.position(pixel)
		for c := range w.Channels {
			var in []int
			padded := 0
			for ky := range w.KernelHeight {
				for kx := range w.KernelWidth {
					y, x := oy*w.StrideHeight-w.PadTop+ky*w.DilationHeight, ox*w.StrideWidth-w.PadLeft+kx*w.DilationWidth
					if y < w.InHeight+w.PadBottom && x < w.InWidth+w.PadRight {
						padded++
					}
					if y >= 0 && y < w.InHeight && x >= 0 && x < w.InWidth {
						in = append(in, ((n*w.InHeight+y)*w.InWidth+x)*w.InStride+c)
					}
				}
			}
			visit(pixel*w.OutStride+c, in, len(in), padded)
		}
	}
}

func TestPoolsInt8(t *testing.T) {
	for _, tc := range poolCases() {
		for style := range 4 {
			t.Run(fmt.Sprintf("%s/%d", tc.name, style), func(t *testing.T) {
				r := random(uint64(style))
				signed := style&1 != 0
				w := tc.AverageWindow
				w.CountPadding = style&2 != 0
				lowest, highest := limits(signed)
				zero := lowest + int32(r.IntN(256))
				in := randomCodes(r, extent(w.Batch*w.InHeight*w.InWidth, w.InStride, w.Channels))
				n := extent(w.pixels(), w.OutStride, w.Channels)
				greatest := MaxPoolInt8{Window: w.Window, Signed: signed}
				average := AveragePoolInt8{Window: w, Input: Int8Operand{signed, zero, 0.1}, Scale: 0.07, ZeroPoint: 3, Lowest: lowest, Highest: highest}
				scratch := AlignedScratch(average.Scratch())
				maxima := inPieces(t, r, greatest.Units(), func() ([]byte, func(int, int)) {
					out := make([]byte, n)
					return out, func(start, end int) { greatest.Run(out, in, start, end, scratch) }
				})
				means := inPieces(t, r, average.Units(), func() ([]byte, func(int, int)) {
					out := make([]byte, n)
					return out, func(start, end int) { average.Run(out, in, start, end, scratch) }
				})
				under(&w, func(out int, at []int, inImage, inPadded int) {
					best, sum, count := lowest, int64(0), inImage
					for _, i := range at {
						best = max(best, code(in[i], signed))
						sum += int64(code(in[i], signed) - zero)
					}
					if w.CountPadding {
						count = inPadded
					}
					if maxima[out] != byte(best) {
						t.Fatalf("maximum %d is %d, want %d", out, maxima[out], byte(best))
					}
					want := numeric.AverageCode(sum, numeric.AverageMultiplier(0.1, 0.07, max(count, 1)), 3, lowest, highest)
					if means[out] != byte(want) {
						t.Fatalf("mean %d is %d, want %d", out, means[out], byte(want))
					}
				})
			})
		}
	}
}

func TestPoolsF32(t *testing.T) {
	for _, tc := range poolCases() {
		for _, countPadding := range []bool{false, true} {
			t.Run(fmt.Sprint(tc.name, countPadding), func(t *testing.T) {
				r := random(1)
				w := tc.AverageWindow
				w.CountPadding = countPadding
				in := randomFloats(r, extent(w.Batch*w.InHeight*w.InWidth, w.InStride, w.Channels))
				n := extent(w.pixels(), w.OutStride, w.Channels)
				greatest, average := MaxPoolF32{Window: w.Window}, AveragePoolF32{Window: w}
				scratch := AlignedScratch(average.Scratch())
				maxima := inPieces(t, r, greatest.Units(), func() ([]float32, func(int, int)) {
					out := make([]float32, n)
					return out, func(start, end int) { greatest.Run(out, in, start, end, scratch) }
				})
				means := inPieces(t, r, average.Units(), func() ([]float32, func(int, int)) {
					out := make([]float32, n)
					return out, func(start, end int) { average.Run(out, in, start, end, scratch) }
				})
				under(&w, func(out int, at []int, inImage, inPadded int) {
					best, sum, count := float32(math.Inf(-1)), 0.0, inImage
					for _, i := range at {
						best = max(best, in[i])
						sum += float64(in[i])
					}
					if countPadding {
						count = inPadded
					}
					if maxima[out] != best {
						t.Fatalf("maximum %d is %v, want %v", out, maxima[out], best)
					}
					if want := sum / float64(max(count, 1)); !near(float64(means[out]), want, 1) {
						t.Fatalf("mean %d is %v, want %v", out, means[out], want)
					}
				})
			})
		}
	}
}
