package kernel

import (
	"fmt"
	"math"
	"testing"
)

// newTransposeCase is a transposed convolution of dense images with an ONNX filter (input, output of one group, height,
// width).
func newTransposeCase(name string, batch, h, w, channels, outputs, groups, kh, kw, sh, sw, dh, dw int, pads [4]int, extraH, extraW int) convCase {
	outH := (h-1)*sh + dh*(kh-1) + 1 - pads[0] - pads[2] + extraH
	outW := (w-1)*sw + dw*(kw-1) + 1 - pads[1] - pads[3] + extraW
	inputs, perGroup := channels/groups, outputs/groups
	return convCase{name,
		Window{Batch: batch, InHeight: h, InWidth: w, Channels: channels, OutHeight: outH, OutWidth: outW,
			KernelHeight: kh, KernelWidth: kw, StrideHeight: sh, StrideWidth: sw, DilationHeight: dh, DilationWidth: dw,
			PadTop: pads[0], PadLeft: pads[1], InStride: channels, OutStride: outputs},
		Filter{Height: kh, Width: kw, Inputs: inputs, Outputs: outputs, Groups: groups,
			InputStride: perGroup * kh * kw, OutputStride: kh * kw, HeightStride: kw, WidthStride: 1,
			GroupStride: inputs * perGroup * kh * kw}}
}

func transposeCases() []convCase {
	return []convCase{
		newTransposeCase("2x2, stride 2", 2, 3, 4, 5, 10, 1, 2, 2, 2, 2, 1, 1, [4]int{}, 0, 0),
		newTransposeCase("3x3, stride 2, padded", 1, 4, 5, 3, 7, 1, 3, 3, 2, 2, 1, 1, [4]int{1, 1, 1, 1}, 1, 1),
		newTransposeCase("4x4, stride 2, padded", 1, 4, 3, 6, 4, 2, 4, 4, 2, 2, 1, 1, [4]int{1, 1, 1, 1}, 0, 0),
		newTransposeCase("stride 1", 1, 5, 5, 3, 4, 1, 3, 3, 1, 1, 1, 1, [4]int{1, 0, 1, 2}, 0, 0),
		newTransposeCase("stride larger than the kernel", 1, 3, 3, 2, 3, 1, 2, 1, 3, 4, 1, 1, [4]int{}, 1, 2),
		newTransposeCase("dilated", 1, 4, 4, 2, 3, 1, 3, 3, 3, 4, 2, 6, [4]int{2, 1, 0, 3}, 0, 0),
		newTransposeCase("one input", 1, 1, 1, 4, 3, 1, 5, 3, 2, 3, 1, 1, [4]int{}, 0, 0),
		newTransposeCase("depthwise", 1, 3, 3, 4, 4, 4, 3, 3, 2, 2, 1, 1, [4]int{1, 1, 1, 1}, 0, 0),
		newTransposeCase("no images", 0, 3, 3, 4, 4, 1, 3, 3, 2, 2, 1, 1, [4]int{1, 1, 1, 1}, 0, 0),
	}
}

// scatter visits every product of a transposed convolution from the input's side: output element, input element, index
// of the weight.
func scatter(w *Window, f *Filter, visit func(out, in, weight, channel int)) {
	perGroup := f.perGroup()
	for i := range w.Batch * w.InHeight * w.InWidth {
		n, iy, ix := i/w.InWidth/w.InHeight, i/w.InWidth%w.InHeight, i%w.InWidth
		for c := range w.Channels {
			for o := range perGroup {
				for ky := range f.Height {
					for kx := range f.Width {
						oy, ox := iy*w.StrideHeight-w.PadTop+ky*w.DilationHeight, ix*w.StrideWidth-w.PadLeft+kx*w.DilationWidth
						if oy < 0 || oy >= w.OutHeight || ox < 0 || ox >= w.OutWidth {
							continue
						}
						channel := c/f.Inputs*perGroup + o
						visit(((n*w.OutHeight+oy)*w.OutWidth+ox)*w.OutStride+channel, i*w.InStride+c,
							((c*perGroup+o)*f.Height+ky)*f.Width+kx, channel)
					}
				}
			}
		}
	}
}

func TestConvTransposeInt8(t *testing.T) {
	forEachTier(t, func(t *testing.T, s Set) {
		for _, shape := range transposeCases() {
			for style := range 3 {
				t.Run(fmt.Sprintf("%s/%d", shape.name, style), func(t *testing.T) {
					r := random(uint64(style))
					w, f := &shape.window, &shape.filter
					c := newInt8Case(r, style, f.Outputs, f.depth())
					in := randomCodes(r, w.Batch*w.InHeight*w.InWidth*w.Channels)
					weights := randomCodes(r, w.Channels*f.perGroup()*f.Height*f.Width)
					packed := Int8Weights{*f, weights, c.weightSigned, c.weightZero}
					k := ConvTransposeInt8{s.PackTransposeInt8(packed, w), *w, c.signed, c.zero, c.epilogue()}
					scratch := AlignedScratch(k.Scratch())
					want := make([]int32, w.pixels()*f.Outputs)
					for i := range want {
						if c.bias != nil {
							want[i] = c.bias[i%f.Outputs]
						}
					}
					scatter(w, f, func(out, i, weight, channel int) {
						want[out] += (code(in[i], c.signed) - c.zero) * (code(weights[weight], c.weightSigned) - packed.zeroPoint(channel))
					})
					got := inPieces(t, r, k.Units(), func() ([]int32, func(int, int)) {
						out := make([]int32, len(want))
						return out, func(start, end int) { k.Run(Destination{Sums: out}, in, start, end, scratch) }
					})
					for i := range want {
						if got[i] != want[i] {
							t.Fatalf("sum %d is %d, want %d", i, got[i], want[i])
						}
					}
					if n := testing.AllocsPerRun(1, func() { k.Run(Destination{Sums: got}, in, 0, k.Units(), scratch) }); n != 0 {
						t.Errorf("%v allocations", n)
					}
				})
			}
		}
	})
}

func TestConvTransposeF32(t *testing.T) {
	inf := float32(math.Inf(1))
	forEachTier(t, func(t *testing.T, s Set) {
		for _, shape := range transposeCases() {
			t.Run(shape.name, func(t *testing.T) {
				r := random(1)
				w, f := &shape.window, &shape.filter
				in := randomFloats(r, w.Batch*w.InHeight*w.InWidth*w.Channels)
				weights, bias := randomFloats(r, w.Channels*f.perGroup()*f.Height*f.Width), randomFloats(r, f.Outputs)
				k := ConvTransposeF32{s.PackTransposeF32(F32Weights{*f, weights}, w), *w, EpilogueF32{bias, 0, inf, nil}}
				scratch := AlignedScratch(k.Scratch())
				want := make([]float64, w.pixels()*f.Outputs)
				for i := range want {
					want[i] = float64(bias[i%f.Outputs])
				}
				scatter(w, f, func(out, i, weight, _ int) { want[out] += float64(in[i]) * float64(weights[weight]) })
				got := inPieces(t, r, k.Units(), func() ([]float32, func(int, int)) {
					out := make([]float32, len(want))
					return out, func(start, end int) { k.Run(out, in, start, end, scratch) }
				})
				for i := range want {
					if !near(float64(got[i]), max(want[i], 0), f.depth()) {
						t.Fatalf("element %d is %v, want %v", i, got[i], want[i])
					}
				}
			})
		}
	})
}
