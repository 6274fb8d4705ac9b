package kernel

import (
	"fmt"
	"testing"

	"github.com/octet-nn/octet/internal/numeric"
)

var resizeShapes = [][7]int{ // batch, height, width, channels, output height, output width
	{1, 3, 4, 5, 6, 8}, {2, 4, 4, 3, 3, 7}, {1, 1, 1, 2, 4, 3}, {1, 5, 6, 1, 1, 1}, {1, 4, 5, 2, 4, 5}, {0, 2, 2, 2, 4, 4},
}

func TestBilinear(t *testing.T) {
	for _, s := range resizeShapes {
		for transform := numeric.HalfPixel; transform <= numeric.Asymmetric; transform++ {
			t.Run(fmt.Sprint(s, transform), func(t *testing.T) {
				r := random(uint64(transform))
				batch, h, w, channels, outH, outW := s[0], s[1], s[2], s[3], s[4], s[5]
				scaleY, scaleX := float32(outH)/float32(h), float32(outW)/float32(w)
				k := NewBilinear(transform, batch, h, w, channels, outH, outW, scaleY, scaleX)
				in, codes := randomFloats(r, batch*h*w*channels), randomCodes(r, batch*h*w*channels)
				quant := BilinearCodes{Int8Operand{true, -3, 0.1}, 0.9, 4, 0, 255}
				floats := inPieces(t, r, k.Units(), func() ([]float32, func(int, int)) {
					out := make([]float32, batch*outH*outW*channels)
					return out, func(start, end int) { k.RunF32(out, in, start, end) }
				})
				resized := inPieces(t, r, k.Units(), func() ([]byte, func(int, int)) {
					out := make([]byte, batch*outH*outW*channels)
					return out, func(start, end int) { k.RunInt8(out, codes, &quant, start, end) }
				})
				shape := []int{batch, outH, outW, channels}
				for i := range floats {
					c := coordinates(shape, i)
					y0, y1, wy := numeric.ResizeLinear(numeric.ResizeCoordinate(transform, c[1], h, outH, scaleY), h)
					x0, x1, wx := numeric.ResizeLinear(numeric.ResizeCoordinate(transform, c[2], w, outW, scaleX), w)
					interpolate := func(at func(y, x int) float32) float32 {
						return numeric.Lerp(numeric.Lerp(at(y0, x0), at(y0, x1), wx), numeric.Lerp(at(y1, x0), at(y1, x1), wx), wy)
					}
					index := func(y, x int) int { return ((c[0]*h+y)*w+x)*channels + c[3] }
					if want := interpolate(func(y, x int) float32 { return in[index(y, x)] }); floats[i] != want {
						t.Fatalf("element %d is %v, want %v", i, floats[i], want)
					}
					v := interpolate(func(y, x int) float32 { return float32(int32(int8(codes[index(y, x)])) + 3) })
					if want := byte(numeric.Saturate(v*0.9, 4, 0, 255)); resized[i] != want {
						t.Fatalf("code %d is %d, want %d", i, resized[i], want)
					}
				}
			})
		}
	}
}

func TestNearest(t *testing.T) {
	for _, s := range resizeShapes {
		batch, h, w, channels, outH, outW := s[0], s[1], s[2], s[3], s[4], s[5]
		y := NearestIndex(numeric.Asymmetric, numeric.RoundFloor, h, outH, float32(outH)/float32(h))
		x := NearestIndex(numeric.Asymmetric, numeric.RoundFloor, w, outW, float32(outW)/float32(w))
		in := []int{batch, h, w, channels}
		out := []int{batch, outH, outW, channels}
		k := NewRemap(2, in, [][]int32{nil, y, x, nil}, nil)
		codes := numbered(count(in), 2)
		checkMove(t, k.Units(), 2, count(out), codes, func(o []byte, start, end int) { k.Run(o, codes, start, end) }, func(i int) int {
			c := coordinates(out, i)
			return indexOf(in, []int{c[0], c[1] * h / outH, c[2] * w / outW, c[3]})
		})
	}
}
