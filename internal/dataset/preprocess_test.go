package dataset

import (
	"bytes"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/octet-nn/octet/tensor"
)

func TestPresetsAreValidAndNamed(t *testing.T) {
	for _, preset := range Presets() {
		if err := preset.Preprocess.Validate(); err != nil {
			t.Errorf("%s: %v", preset.Name, err)
		}
		if got := preset.Preprocess.String(); got != preset.Name {
			t.Errorf("%s is written as %s", preset.Name, got)
		}
		for _, text := range []string{preset.Name, "preset: " + preset.Name, preset.Preprocess.flow()} {
			if got, err := ParsePreprocess("p", text); err != nil || !got.Equal(&preset.Preprocess) {
				t.Errorf("%s: %v, %v", text, got, err)
			}
		}
	}
	for alias, target := range presetAliases {
		if p, err := PresetNamed(alias); err != nil || p.String() != target {
			t.Errorf("%s: %v, %v", alias, p, err)
		}
	}
	_, err := PresetNamed("imagnet")
	wantError(t, err, `"imagnet"`, "did you mean imagenet?", "caffe")
}

// drawPreprocess makes any valid Preprocess.
func drawPreprocess(t *rapid.T) *Preprocess {
	size := func(label string) Size {
		return Size{rapid.IntRange(1, 500).Draw(t, label), rapid.IntRange(1, 500).Draw(t, label)}
	}
	numbers := func(label string) []float64 {
		n := rapid.SampledFrom([]int{0, 1, 3}).Draw(t, label)
		return rapid.SliceOfN(rapid.Float64Range(1e-9, 1e9), n, n).Draw(t, label)
	}
	p := &Preprocess{
		Resize:        Resize(rapid.IntRange(0, 3).Draw(t, "resize")),
		Interpolation: Interpolation(rapid.IntRange(0, 2).Draw(t, "interpolation")),
		Channels:      Channels(rapid.IntRange(0, 3).Draw(t, "channels")),
		Scale:         1 / float64(rapid.IntRange(-500, -1).Draw(t, "scale")),
		Mean:          numbers("mean"), Std: numbers("std"),
		Layout: Layout(rapid.IntRange(0, 2).Draw(t, "layout")),
		Pad:    rapid.Byte().Draw(t, "pad"),
	}
	if p.Resize != ResizeNone {
		p.Size = size("size")
	}
	if p.Resize == ResizeShorter {
		p.Size.Width = p.Size.Height
	}
	if p.Resize != ResizeFit {
		p.Crop = size("crop")
	}
	if rapid.Bool().Draw(t, "quantized") {
		p.Quantized = &Quantized{tensor.Uint8, rapid.Float32Range(1e-30, 1e30).Draw(t, "step"), rapid.IntRange(0, 255).Draw(t, "zero")}
	}
	return p
}

func TestPreprocessRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPreprocess(t)
		if err := p.Validate(); err != nil {
			t.Fatal(err)
		}
		q, err := ParsePreprocess("p", p.String())
		if err != nil {
			t.Fatalf("%s: %v", p, err)
		}
		same := p.Resize == q.Resize && p.Size == q.Size && p.Interpolation == q.Interpolation && p.Crop == q.Crop &&
			p.Channels == q.Channels && p.Scale == q.Scale && slices.Equal(p.Mean, q.Mean) && slices.Equal(p.Std, q.Std) &&
			p.Layout == q.Layout && p.Pad == q.Pad && (p.Quantized == nil) == (q.Quantized == nil) &&
			(p.Quantized == nil || *p.Quantized == *q.Quantized)
		if !same {
			t.Fatalf("%s was read as %s", p, q)
		}
	})
}

func TestParsePreprocess(t *testing.T) {
	text := `# ours
preset: imagenet
resize: fit 320x240
crop: none
channels: BGR
scale: 1/128
mean: 1
std: [1, 2, 3.5]
quantized:
  type: u8
  scale: 0.25
  zero_point: 7
`
	p, err := ParsePreprocess("p.yml", text)
	if err != nil {
		t.Fatal(err)
	}
	want := "{resize: fit 320x240, channels: bgr, scale: 1/128, mean: 1, std: [1, 2, 3.5], quantized: {type: u8, scale: 0.25, zero_point: 7}}"
	if p.String() != want {
		t.Errorf("read %s, want %s", p, want)
	}
	for _, tc := range []struct {
		text string
		want []string
	}{
		{"", []string{"p.yml: it is empty"}},
		{"imagnet", []string{"p.yml:1:1", "keys"}},
		{"crop: 224\nmaen: [1]\nresise: none\n", []string{"p.yml:2:1: unknown key \"maen\"; did you mean mean?", "p.yml:3:1", "did you mean resize?"}},
		{"preset: imagnet\nscale: x", []string{"p.yml:1:9", "did you mean imagenet?", "p.yml:2:8: \"x\" is no number"}},
		{"resize: longer 3", []string{"p.yml:1:9", "no resize rule"}},
		{"resize: shorter 0", []string{"is no size"}},
		{"resize: shorter", []string{"shorter 256"}},
		{"resize: shorter 3x4", []string{"length of the shorter side"}},
		{"resize: none 3", []string{"takes no size"}},
		{"{resize: fit, crop: 3}", []string{"nothing to crop"}},
		{"crop: 1x", []string{"is no size"}},
		{"crop: [1]", []string{"p.yml:1:7: expected one value"}},
		{"channels: grb", []string{"none of auto, rgb, bgr, gray"}},
		{"mean: [1, 2]", []string{"mean has 2 numbers"}},
		{"mean: [1, 2", []string{"p.yml:1:"}},
		{"std: 0", []string{"std has a 0"}},
		{"scale: 1/0", []string{"scale is +Inf"}},
		{"pad: 256", []string{"no integer from 0 to 255"}},
		{"quantized: {type: f32, scale: 1}", []string{"type is f32"}},
		{"quantized: {type: int8, scale: 1}", []string{"p.yml:1:19: unknown type"}},
		{"quantized: {scale: 1, zero_point: 128}", []string{"outside -128 to 127"}},
		{"quantized: {zero_point: 1}", []string{"scale is 0"}},
		{"a: 1\na: 2", []string{"p.yml:2:1"}},
		{"crop: 3\n---\ncrop: 4\n", []string{"more than one"}},
		{strings.Repeat(" ", maxYAML+1), []string{"larger"}},
	} {
		_, err := ParsePreprocess("p.yml", tc.text)
		wantError(t, err, tc.want...)
	}
}

func TestLoadPreprocess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mine")
	if err := os.WriteFile(path, []byte("scale: 2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{"caffe": "caffe", path: "{scale: 2}", "{crop: 3}": "{crop: 3}"} {
		if p, err := LoadPreprocess(text); err != nil || p.String() != want {
			t.Errorf("%s: %v, %v; want %s", text, p, err, want)
		}
	}
	_, err := LoadPreprocess("cafe")
	wantError(t, err, "did you mean caffe?")
	_, err = LoadPreprocess("./none.yml")
	wantError(t, err, "none.yml", "no such file")
}

func TestGeometry(t *testing.T) {
	imagenet := Preprocess{Resize: ResizeShorter, Size: Size{256, 256}, Crop: Size{224, 224}}
	for _, tc := range []struct {
		name           string
		p              Preprocess
		image, want    Size
		scaled, result Size // zero result for an error
	}{
		{"landscape", imagenet, Size{500, 375}, Size{224, 224}, Size{341, 256}, Size{224, 224}},
		{"portrait, unknown input", imagenet, Size{375, 500}, Size{}, Size{256, 341}, Size{224, 224}},
		{"smaller input", imagenet, Size{500, 375}, Size{128, 128}, Size{194, 146}, Size{128, 128}},
		{"shorter without crop", Preprocess{Resize: ResizeShorter, Size: Size{10, 10}}, Size{40, 20}, Size{}, Size{20, 10}, Size{20, 10}},
		{"shorter too small", Preprocess{Resize: ResizeShorter, Size: Size{10, 10}}, Size{40, 20}, Size{12, 12}, Size{}, Size{}},
		{"exact", Preprocess{}, Size{7, 9}, Size{3, 4}, Size{3, 4}, Size{3, 4}},
		{"exact, unknown", Preprocess{}, Size{7, 9}, Size{}, Size{7, 9}, Size{7, 9}},
		{"exact size, unknown", Preprocess{Size: Size{5, 6}}, Size{7, 9}, Size{}, Size{5, 6}, Size{5, 6}},
		{"the input wins", Preprocess{Size: Size{5, 6}}, Size{7, 9}, Size{8, 8}, Size{8, 8}, Size{8, 8}},
		{"half unknown", Preprocess{}, Size{7, 9}, Size{0, 4}, Size{7, 4}, Size{7, 4}},
		{"exact and crop", Preprocess{Size: Size{40, 40}, Crop: Size{32, 32}}, Size{99, 9}, Size{64, 64}, Size{80, 80}, Size{64, 64}},
		{"fit wide", Preprocess{Resize: ResizeFit}, Size{100, 50}, Size{32, 32}, Size{32, 16}, Size{32, 32}},
		{"fit tall", Preprocess{Resize: ResizeFit, Size: Size{30, 20}}, Size{1, 1000}, Size{}, Size{1, 20}, Size{30, 20}},
		{"none", Preprocess{Resize: ResizeNone}, Size{7, 9}, Size{7, 9}, Size{7, 9}, Size{7, 9}},
		{"none, another size", Preprocess{Resize: ResizeNone}, Size{7, 9}, Size{6, 9}, Size{}, Size{}},
		{"none and crop", Preprocess{Resize: ResizeNone, Crop: Size{4, 4}}, Size{7, 9}, Size{}, Size{7, 9}, Size{4, 4}},
		{"crop too large", Preprocess{Resize: ResizeNone, Crop: Size{8, 8}}, Size{7, 9}, Size{}, Size{}, Size{}},
	} {
		scaled, result, err := tc.p.geometry(tc.image, tc.want)
		if tc.result == (Size{}) {
			wantError(t, err, "use resize: exact or fit")
		} else if err != nil || scaled != tc.scaled || result != tc.result {
			t.Errorf("%s: %v, %v, %v; want %v, %v", tc.name, scaled, result, err, tc.scaled, tc.result)
		}
	}
}

func TestImageValues(t *testing.T) {
	// Two pixels: (10, 20, 30) and (40, 50, 60).
	two := &picture{2, 1, 3, []byte{10, 20, 30, 40, 50, 60}}
	gray := &picture{2, 1, 1, []byte{10, 40}}
	floats := func(shape []int, values ...float32) *tensor.Tensor { return tensor.Of(values, shape...) }
	for _, tc := range []struct {
		name  string
		image *picture
		in    Input
		p     *Preprocess
		want  *tensor.Tensor
	}{
		{"nchw", two, Input{DType: tensor.Float32, Dims: []int{-1, 3, 1, 2}}, &Preprocess{}, floats([]int{1, 3, 1, 2}, 10, 40, 20, 50, 30, 60)},
		{"nhwc", two, Input{DType: tensor.Float32, Dims: []int{1, -1, -1, 3}}, &Preprocess{}, floats([]int{1, 1, 2, 3}, 10, 20, 30, 40, 50, 60)},
		{"nhwc said", two, Input{DType: tensor.Float32, Dims: []int{1, -1, -1, -1}}, &Preprocess{Layout: NHWC}, floats([]int{1, 1, 2, 3}, 10, 20, 30, 40, 50, 60)},
		{"bgr", two, Input{DType: tensor.Float32, Dims: []int{1, 3, -1, -1}}, &Preprocess{Channels: BGR, Mean: []float64{1, 2, 3}, Std: []float64{1, 2, 4}},
			floats([]int{1, 3, 1, 2}, 29, 59, 9, 24, 1.75, 9.25)},
		{"scale before mean", two, Input{DType: tensor.Float32, Dims: []int{1, 3, 1, 2}}, &Preprocess{Scale: 0.1, Mean: []float64{1}, Std: []float64{0.5}},
			floats([]int{1, 3, 1, 2}, 0, 6, 2, 8, 4, 10)},
		{"gray of colour", two, Input{DType: tensor.Float32, Dims: []int{1, 1, -1, -1}}, &Preprocess{}, floats([]int{1, 1, 1, 2}, 18, 48)},
		{"colour of gray", gray, Input{DType: tensor.Float32, Dims: []int{1, 3, -1, -1}}, &Preprocess{Channels: BGR}, floats([]int{1, 3, 1, 2}, 10, 40, 10, 40, 10, 40)},
		{"no channel axis", gray, Input{DType: tensor.Float32, Dims: []int{-1, 1, 2}}, &Preprocess{}, floats([]int{1, 1, 2}, 10, 40)},
		{"no channel axis, larger", &picture{2, 2, 1, []byte{1, 2, 3, 4}}, Input{DType: tensor.Float32, Dims: []int{-1, 2, 2}}, &Preprocess{}, floats([]int{1, 2, 2}, 1, 2, 3, 4)},
		{"no batch axis", two, Input{DType: tensor.Float32, Dims: []int{3, 1, 2}}, &Preprocess{}, floats([]int{3, 1, 2}, 10, 40, 20, 50, 30, 60)},
		{"flat", gray, Input{DType: tensor.Float32, Dims: []int{-1, 2}}, &Preprocess{}, floats([]int{1, 2}, 10, 40)},
		{"bytes", two, Input{DType: tensor.Uint8, Dims: []int{1, -1, 2, 3}}, nil, tensor.Of([]uint8{10, 20, 30, 40, 50, 60}, 1, 1, 2, 3)},
		{"quantized", gray, Input{DType: tensor.Int8, Dims: []int{1, 1, 2, 1}, Scale: 1. / 256, ZeroPoint: -128}, &Preprocess{Scale: 1. / 256, Layout: NHWC},
			tensor.Of([]int8{-118, -88}, 1, 1, 2, 1)},
		{"clamped", gray, Input{DType: tensor.Int8, Dims: []int{1, 1, 2, 1}}, &Preprocess{Mean: []float64{200}, Layout: NHWC}, tensor.Of([]int8{-128, -128}, 1, 1, 2, 1)},
		{"int64", gray, Input{DType: tensor.Int64, Dims: []int{1, 1, 1, 2}}, nil, tensor.Of([]int64{10, 40}, 1, 1, 1, 2)},
		{"letterbox", gray, Input{DType: tensor.Float32, Dims: []int{1, 1, 3, 2}}, &Preprocess{Resize: ResizeFit, Pad: 9}, floats([]int{1, 1, 3, 2}, 9, 9, 10, 40, 9, 9)},
		{"cropped", &picture{3, 3, 1, []byte{1, 2, 3, 4, 5, 6, 7, 8, 9}}, Input{DType: tensor.Float32, Dims: []int{1, 1, 1, 1}}, &Preprocess{Resize: ResizeNone, Crop: Size{1, 1}},
			floats([]int{1, 1, 1, 1}, 5)},
	} {
		m, err := newImageInput(tc.in, tc.p, 1000)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		got, err := m.value(tc.image)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
		} else if got.String() != tc.want.String() || !bytes.Equal(got.Bytes(), tc.want.Bytes()) {
			t.Errorf("%s: %s %v, want %s %v", tc.name, got, got.Bytes(), tc.want, tc.want.Bytes())
		}
	}
	half, err := newImageInput(Input{DType: tensor.Float16, Dims: []int{1, 1, 1, 2}}, &Preprocess{}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	if x, err := half.value(gray); err != nil || !bytes.Equal(x.Bytes(), []byte{0x00, 0x49, 0x00, 0x51}) {
		t.Errorf("f16: %v, %v", x, err)
	}
}

func TestImageInputErrors(t *testing.T) {
	for _, tc := range []struct {
		in   Input
		p    *Preprocess
		want string
	}{
		{Input{DType: tensor.Float32, Dims: []int{1, 3, 4, 4}}, nil, "need a preprocessing"},
		{Input{DType: tensor.Float32, Dims: []int{1, -1, -1, -1}}, &Preprocess{}, "layout: nchw or nhwc"},
		{Input{DType: tensor.Float32, Dims: []int{1, 4, 8, 8}}, &Preprocess{Layout: NCHW}, "has 4 channels"},
		{Input{DType: tensor.Float32, Dims: []int{1, 3, 8, 8}}, &Preprocess{Channels: Gray}, "has 3 channels"},
		{Input{DType: tensor.Float32, Dims: []int{1, 1, 8, 8}}, &Preprocess{Channels: RGB}, "has 1 channel"},
		{Input{DType: tensor.Float32, Dims: []int{1, 1, 8, 8}}, &Preprocess{Mean: []float64{1, 2, 3}}, "3 numbers in mean"},
		{Input{DType: tensor.Float32, Dims: []int{1, 1, 8, 8, 8}}, &Preprocess{}, "cannot become"},
		{Input{DType: tensor.Bool, Dims: []int{1, 1, 8, 8}}, &Preprocess{}, "cannot become"},
		{Input{DType: tensor.Float32, Dims: []int{1, 1, 800, 8}}, &Preprocess{}, "more pixels than the limit"},
	} {
		_, err := newImageInput(tc.in, tc.p, 1000)
		wantError(t, err, tc.want)
	}
	m, err := newImageInput(Input{DType: tensor.Float32, Dims: []int{1, 3, -1, -1}}, &Preprocess{Size: Size{1000, 1000}}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.value(&picture{1, 1, 3, make([]byte, 3)})
	wantError(t, err, "would become 1000x1000")
}

// slowResize is the definition of triangular resampling in floating point, without rounding in between.
func slowResize(p *picture, width, height int, how Interpolation) []float64 {
	weight := func(from, to, i, k int) float64 {
		scale := float64(from) / float64(to)
		support := 1.0
		if how == Antialias {
			support = max(scale, 1)
		}
		tri := func(k int) float64 {
			return max(0, 1-math.Abs((float64(k)+0.5-(float64(i)+0.5)*scale)/support))
		}
		sum := 0.0
		for j := range from {
			sum += tri(j)
		}
		return tri(k) / sum
	}
	out := make([]float64, width*height)
	for y := range height {
		for x := range width {
			for fromY := range p.height {
				for fromX := range p.width {
					out[y*width+x] += weight(p.width, width, x, fromX) * weight(p.height, height, y, fromY) * float64(p.pixels[fromY*p.width+fromX])
				}
			}
		}
	}
	return out
}

func TestResizeAgainstTheDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		side := rapid.IntRange(1, 12)
		p := &picture{side.Draw(t, "width"), side.Draw(t, "height"), 1, nil}
		p.pixels = rapid.SliceOfN(rapid.Byte(), p.width*p.height, p.width*p.height).Draw(t, "pixels")
		width, height := side.Draw(t, "new width"), side.Draw(t, "new height")
		how := rapid.SampledFrom([]Interpolation{Antialias, Bilinear}).Draw(t, "how")
		got := p.resized(width, height, how)
		for i, want := range slowResize(p, width, height, how) {
			if diff := math.Abs(float64(got.pixels[i]) - want); diff > 1.01 { // rounded twice
				t.Fatalf("pixel %d is %d, want %.2f", i, got.pixels[i], want)
			}
		}
	})
}

func TestResizeByHand(t *testing.T) {
	row := &picture{4, 1, 1, []byte{0, 100, 200, 40}}
	for _, tc := range []struct {
		width int
		how   Interpolation
		want  []byte
	}{
		{2, Nearest, []byte{100, 40}},
		// Centres at 1 and 3, a triangle of half-width 2: weights 3 3 1 0 and 0 1 3 3, of 7.
		{2, Antialias, []byte{71, 117}},
		{2, Bilinear, []byte{50, 120}},
		{8, Bilinear, []byte{0, 25, 75, 125, 175, 160, 80, 40}},
		{8, Antialias, []byte{0, 25, 75, 125, 175, 160, 80, 40}},
		{4, Antialias, []byte{0, 100, 200, 40}},
	} {
		if got := row.resized(tc.width, 1, tc.how).pixels; !bytes.Equal(got, tc.want) {
			t.Errorf("%d, %s: %v, want %v", tc.width, tc.how, got, tc.want)
		}
		column := &picture{1, 4, 1, row.pixels}
		if got := column.resized(1, tc.width, tc.how).pixels; !bytes.Equal(got, tc.want) {
			t.Errorf("column, %d, %s: %v, want %v", tc.width, tc.how, got, tc.want)
		}
	}
}

func BenchmarkImageNetPicture(b *testing.B) {
	m, err := newImageInput(Input{DType: tensor.Float32, Dims: []int{1, 3, 224, 224}}, &Presets()[0].Preprocess, 1<<20)
	if err != nil {
		b.Fatal(err)
	}
	p := pictureOf(solid(500, 375, color.White))
	for b.Loop() {
		if _, err := m.value(p); err != nil {
			b.Fatal(err)
		}
	}
}
