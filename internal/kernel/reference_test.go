package kernel

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/octet-nn/octet/internal/cpu"
)

// forEachTier runs a test with the kernels of every tier of this machine, and with those of AMX whose micro-kernel is
// replaced by its definition.
func forEachTier(t *testing.T, f func(t *testing.T, s Set)) {
	for _, tier := range cpu.Available() {
		t.Run(tier.String(), func(t *testing.T) { f(t, For(tier)) })
	}
	if s, ok := withReferenceAMX(); ok {
		t.Run("amx by its definition", func(t *testing.T) { f(t, s) })
	}
}

func random(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

// randomCodes are bytes with the extremes over-represented.
func randomCodes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		switch r.IntN(4) {
		case 0:
			b[i] = []byte{0, 255, 127, 128}[r.IntN(4)]
		default:
			b[i] = byte(r.Uint32())
		}
	}
	return b
}

func randomFloats(r *rand.Rand, n int) []float32 {
	f := make([]float32, n)
	for i := range f {
		f[i] = r.Float32()*2 - 1
	}
	return f
}

func code(b byte, signed bool) int32 {
	if signed {
		return int32(int8(b))
	}
	return int32(b)
}

// limits of 8-bit codes.
func limits(signed bool) (lowest, highest int32) {
	if signed {
		return -128, 127
	}
	return 0, 255
}

// inPieces runs a kernel in one go, then piece by piece and in random splits, and checks that the results are equal.
// fresh returns a new output and the function that runs the kernel on it.
func inPieces[T comparable](t *testing.T, r *rand.Rand, units int, fresh func() (out []T, run func(start, end int))) []T {
	t.Helper()
	want, run := fresh()
	run(0, units)
	for split := range 2 {
		got, run := fresh()
		var starts []int
		for start := 0; start < units; {
			n := 1
			if split == 1 {
				n = 1 + r.IntN(units)
			}
			starts = append(starts, start, min(start+n, units))
			start += n
		}
		for i := len(starts) - 2; i >= 0; i -= 2 { // backwards: the order must not matter
			run(starts[i], starts[i+1])
		}
		for i := range want {
			if got[i] != want[i] && !(got[i] != got[i] && want[i] != want[i]) {
				t.Fatalf("element %d depends on how the work is split: %v or %v", i, got[i], want[i])
			}
		}
	}
	return want
}

// convolve visits every product of a convolution of dense NHWC images: for each output element, each input element it
// sees (−1 where that is padding) and the weight's index in a dense OIHW filter.
func convolve(w *Window, f *Filter, visit func(out, in, weight int)) {
	perGroup := f.perGroup()
	for pixel := range w.pixels() {
		n, oy, ox := w.position(pixel)
		for o := range f.Outputs {
			for ky := range f.Height {
				for kx := range f.Width {
					for i := range f.Inputs {
						iy, ix := oy*w.StrideHeight-w.PadTop+ky*w.DilationHeight, ox*w.StrideWidth-w.PadLeft+kx*w.DilationWidth
						in := -1
						if iy >= 0 && iy < w.InHeight && ix >= 0 && ix < w.InWidth {
							in = ((n*w.InHeight+iy)*w.InWidth+ix)*w.InStride + o/perGroup*f.Inputs + i
						}
						visit(pixel*w.OutStride+o, in, ((o*f.Inputs+i)*f.Height+ky)*f.Width+kx)
					}
				}
			}
		}
	}
}

type convCase struct {
	name   string
	window Window
	filter Filter
}

// newConvCase is a convolution of dense images with an OIHW filter and pads before and after each axis.
func newConvCase(name string, batch, h, w, channels, outputs, groups, kh, kw, sh, sw, dh, dw int, pads [4]int) convCase {
	outH := (h+pads[0]+pads[2]-dh*(kh-1)-1)/sh + 1
	outW := (w+pads[1]+pads[3]-dw*(kw-1)-1)/sw + 1
	inputs := channels / groups
	return convCase{name,
		Window{Batch: batch, InHeight: h, InWidth: w, Channels: channels, OutHeight: outH, OutWidth: outW,
			KernelHeight: kh, KernelWidth: kw, StrideHeight: sh, StrideWidth: sw, DilationHeight: dh, DilationWidth: dw,
			PadTop: pads[0], PadLeft: pads[1], InStride: channels, OutStride: outputs},
		Filter{Height: kh, Width: kw, Inputs: inputs, Outputs: outputs, Groups: groups,
			OutputStride: inputs * kh * kw, InputStride: kh * kw, HeightStride: kw, WidthStride: 1}}
}

func convCases() []convCase {
	none := [4]int{}
	cases := []convCase{
		newConvCase("pointwise", 2, 3, 5, 7, 10, 1, 1, 1, 1, 1, 1, 1, none),
		newConvCase("pointwise, strided", 1, 5, 5, 8, 9, 1, 1, 1, 2, 2, 1, 1, none),
		newConvCase("pointwise, grouped", 1, 3, 3, 8, 12, 4, 1, 1, 1, 1, 1, 1, none),
		newConvCase("one element", 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, none),
		newConvCase("3x3", 1, 8, 9, 3, 17, 1, 3, 3, 1, 1, 1, 1, [4]int{1, 1, 1, 1}),
		newConvCase("3x3, stride 2, uneven pads", 2, 8, 7, 5, 19, 1, 3, 3, 2, 2, 1, 1, [4]int{0, 0, 1, 1}),
		newConvCase("5x3, strides 3 and 1", 1, 11, 6, 4, 8, 1, 5, 3, 3, 1, 1, 1, [4]int{2, 0, 1, 2}),
		newConvCase("dilated", 1, 9, 9, 3, 8, 1, 3, 3, 1, 1, 2, 3, [4]int{2, 3, 2, 3}),
		newConvCase("kernel larger than the image", 1, 2, 2, 3, 4, 1, 5, 5, 1, 1, 1, 1, [4]int{2, 2, 2, 2}),
		newConvCase("rows of padding only", 1, 1, 2, 2, 3, 1, 2, 2, 1, 1, 1, 1, [4]int{3, 4, 3, 4}),
		newConvCase("groups", 1, 5, 4, 12, 18, 3, 3, 3, 1, 1, 1, 1, [4]int{1, 1, 1, 1}),
		newConvCase("one-dimensional", 3, 1, 20, 4, 5, 1, 1, 4, 1, 2, 1, 2, [4]int{0, 3, 0, 1}),
		newConvCase("deep", 1, 2, 2, 300, 11, 1, 3, 3, 1, 1, 1, 1, [4]int{1, 1, 1, 1}),
		newConvCase("wide lines", 1, 5, 40, 8, 34, 1, 3, 3, 1, 1, 1, 1, [4]int{1, 1, 1, 1}),
		newConvCase("wide lines, strided", 2, 7, 70, 32, 20, 1, 1, 1, 2, 2, 1, 1, none),
		newConvCase("many rows", 1, 40, 30, 2, 3, 1, 1, 1, 1, 1, 1, 1, none),
		newConvCase("no rows", 0, 4, 4, 2, 3, 1, 3, 3, 1, 1, 1, 1, none),
	}
	padded := newConvCase("pixels apart", 2, 4, 5, 6, 7, 2, 3, 3, 1, 1, 1, 1, [4]int{1, 1, 1, 1})
	return append(cases, apart(padded), apart(newConvCase("pointwise, pixels apart", 2, 4, 5, 6, 7, 1, 1, 1, 1, 1, 1, 1, none)))
}

// apart leaves elements between the pixels, as in a slice of a concatenation. groups must divide the channels.
func apart(c convCase) convCase {
	if c.filter.Groups == 2 { // 7 outputs do not divide by 2
		c.filter.Outputs = 8
		c.window.OutStride = 8
	}
	c.window.InStride += 3
	c.window.OutStride += 5
	return c
}

func depthwiseCases() []convCase {
	return []convCase{
		newConvCase("3x3", 2, 7, 6, 11, 11, 11, 3, 3, 1, 1, 1, 1, [4]int{1, 1, 1, 1}),
		newConvCase("3x3, stride 2, uneven pads", 1, 8, 8, 16, 16, 16, 3, 3, 2, 2, 1, 1, [4]int{0, 0, 1, 1}),
		newConvCase("multiplier 3", 1, 5, 5, 4, 12, 4, 3, 3, 1, 1, 1, 1, [4]int{1, 1, 1, 1}),
		newConvCase("multiplier 8, one channel", 1, 9, 7, 1, 8, 1, 10, 8, 2, 2, 1, 1, [4]int{4, 3, 5, 3}),
		newConvCase("dilated", 1, 7, 7, 3, 3, 3, 3, 3, 1, 1, 3, 2, [4]int{3, 2, 3, 2}),
		newConvCase("1x1", 1, 2, 2, 5, 5, 5, 1, 1, 1, 1, 1, 1, [4]int{}),
		newConvCase("rows of padding only", 1, 1, 1, 2, 2, 2, 2, 2, 1, 1, 1, 1, [4]int{3, 3, 3, 3}),
		apart(newConvCase("pixels apart", 1, 4, 3, 5, 5, 5, 3, 2, 1, 2, 1, 1, [4]int{1, 0, 1, 1})),
	}
}

func extent(pixels, stride, channels int) int {
	if pixels == 0 {
		return 0
	}
	return (pixels-1)*stride + channels
}

// near reports whether a float32 sum of n terms of magnitude up to 1 is what it should be.
func near(got, want float64, n int) bool {
	return math.Abs(got-want) <= 1e-6*float64(n+1)
}
