package image

import (
	"bytes"
	"encoding/binary"
	goimage "image"
	"image/color"
	"image/png"
	"math"
	"slices"
	"strings"
	"testing"
)

func encoded(t *testing.T, width, height int, at func(x, y int) color.Color) []byte {
	t.Helper()
	img := goimage.NewNRGBA(goimage.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			img.Set(x, y, at(x, y))
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func floats(b []byte) []float32 {
	out := make([]float32, len(b)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return out
}

// TestTensor has values worked out by hand: a row of gray 0, 255 (normalized −1, 1) stretched to four is sampled at 0,
// ½, 1 and 1½, where what lies beyond the last pixel is the last pixel.
func TestTensor(t *testing.T) {
	row := encoded(t, 2, 1, func(x, _ int) color.Color { return color.Gray{uint8(255 * x)} })
	for _, c := range []struct {
		name string
		o    Options
		want []float32
	}{
		{"stretched", Options{Height: 1, Width: 4, Channels: 1}, []float32{-1, 0, 1, 1}},
		{"narrowed", Options{Height: 1, Width: 1, Channels: 1}, []float32{-1}},
		{"two rows", Options{Height: 2, Width: 2, Channels: 1}, []float32{-1, 1, -1, 1}},
		{"colors", Options{Height: 1, Width: 2, Channels: 3}, []float32{-1, -1, -1, 1, 1, 1}},
		{"mean", Options{Height: 1, Width: 2, Channels: 1, Mean: []float64{51}}, []float32{-0.2, 0.8}},
	} {
		got, err := Tensor(row, c.o)
		if err != nil || !slices.Equal(floats(got), c.want) {
			t.Errorf("%s: %v %v, want %v", c.name, floats(got), err, c.want)
		}
	}
	red := encoded(t, 3, 2, func(int, int) color.Color { return color.NRGBA{255, 0, 0, 255} })
	got, err := Tensor(red, Options{Height: 5, Width: 7, Channels: 3, Mean: []float64{0, 51, 102}})
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range floats(got) {
		if want := []float32{1, -0.2, -0.4}[i%3]; v != want {
			t.Fatalf("element %d is %v, want %v", i, v, want)
		}
	}
}

func TestBadOptions(t *testing.T) {
	for part, o := range map[string]Options{
		"1 to 16384":          {Height: 0, Width: 5, Channels: 3},
		"wants 1 or 3":        {Height: 5, Width: 5, Channels: 4},
		"2 means for 3":       {Height: 5, Width: 5, Channels: 3, Mean: []float64{1, 2}},
		"not a JPEG, PNG, GI": {Height: 5, Width: 5, Channels: 3},
	} {
		if _, err := Tensor([]byte("text"), o); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
