package dataset

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/octet-nn/octet/tensor"
)

// Preprocess says how an image becomes the numbers a network takes. In this order: the image is scaled (Resize, Size,
// Interpolation) and cropped (Crop); its Channels are put in order; every pixel p, 0 to 255, becomes
// (p×Scale − Mean) / Std of its channel; Layout orders the numbers. It applies to images, also those of IDX files;
// arrays are taken as they are, but for Quantized.
//
// If a model's input has fixed sizes, they win: Size and Crop are scaled alike so that the result fits, so "shorter
// side 256, crop 224" means shorter side 146, crop 128 for a 128×128 input.
//
// String and ParsePreprocess are inverse. The zero value scales to the input's size and changes no pixel.
type Preprocess struct {
	Resize Resize
	// Size is the target of ResizeExact and ResizeFit (zero: the input's size, or the image's own); of ResizeShorter
	// the length of the shorter side, as both width and height.
	Size          Size
	Interpolation Interpolation
	// Crop keeps the middle of the resized image. Zero crops only where the input's size needs it (ResizeShorter).
	Crop     Size
	Channels Channels
	// Scale multiplies pixels; 0 means 1.
	Scale float64
	// Mean and Std have one number for all channels or one for each, in the order of Channels. Empty means 0 and 1.
	Mean, Std []float64
	Layout    Layout
	// Pad is the pixel value around an image that ResizeFit makes smaller than its target.
	Pad uint8
	// Quantized says that arrays hold quantized numbers.
	Quantized *Quantized
}

// Size is a width and height in pixels.
type Size struct{ Width, Height int }

// String is N for a square, otherwise WxH.
func (s Size) String() string {
	if s.Width == s.Height {
		return strconv.Itoa(s.Width)
	}
	return fmt.Sprintf("%dx%d", s.Width, s.Height)
}

// Quantized is how arrays that hold integers stand for real numbers: (q − ZeroPoint) × Scale. It applies to files with
// elements of Type; raw files are taken to have them if their size says so.
type Quantized struct {
	Type      tensor.DType
	Scale     float32
	ZeroPoint int
}

// Resize is a rule how an image gets the right size.
type Resize uint8

// The rules.
const (
	ResizeExact   Resize = iota // to Size, whatever its shape
	ResizeShorter               // the shorter side to Size, the longer in proportion
	ResizeFit                   // as large as fits into Size, in proportion, Pad around it (letterbox)
	ResizeNone                  // not at all
)

// Interpolation is how pixels are computed when an image is scaled.
type Interpolation uint8

// The interpolations.
const (
	Antialias Interpolation = iota // bilinear, averaging over all old pixels when shrinking: Pillow's BILINEAR, bit for bit
	Bilinear                       // between the four nearest old pixels also when shrinking: OpenCV's INTER_LINEAR, TensorFlow
	Nearest                        // the nearest old pixel
)

// Channels is the order of the colour channels.
type Channels uint8

// The orders of channels.
const (
	AutoChannels Channels = iota // RGB, or Gray if the input has one channel
	RGB
	BGR
	Gray
)

// Layout is where the channels are.
type Layout uint8

// The layouts.
const (
	AutoLayout Layout = iota // as the input's dimensions tell: the one that is 1 or 3
	NCHW
	NHWC
)

// The words for these values, in the order of the constants.
var (
	resizeNames        = []string{"exact", "shorter", "fit", "none"}
	interpolationNames = []string{"antialias", "bilinear", "nearest"}
	channelNames       = []string{"auto", "rgb", "bgr", "gray"}
	layoutNames        = []string{"auto", "nchw", "nhwc"}
)

// String is the word for a rule as in YAML: exact, shorter, fit, none.
func (r Resize) String() string { return nameOf(resizeNames, int(r)) }

// String is the word for an interpolation as in YAML: antialias, bilinear, nearest.
func (i Interpolation) String() string { return nameOf(interpolationNames, int(i)) }

// String is the word for an order of channels as in YAML: auto, rgb, bgr, gray.
func (c Channels) String() string { return nameOf(channelNames, int(c)) }

// String is the word for a layout as in YAML: auto, nchw, nhwc.
func (l Layout) String() string { return nameOf(layoutNames, int(l)) }

func nameOf(names []string, i int) string {
	if i < len(names) {
		return names[i]
	}
	return strconv.Itoa(i)
}

// Preset is a Preprocess with a name.
type Preset struct {
	Name, About string
	Preprocess  Preprocess
}

// Presets are the named ways of preprocessing, in the order to list them.
func Presets() []Preset {
	square := func(n int) Size { return Size{n, n} }
	imagenetMean, imagenetStd := []float64{0.485, 0.456, 0.406}, []float64{0.229, 0.224, 0.225}
	return []Preset{
		{"imagenet", "torchvision classifiers: shorter side 256, crop 224, RGB/255, ImageNet mean and deviation",
			Preprocess{Resize: ResizeShorter, Size: square(256), Crop: square(224), Channels: RGB, Scale: 1. / 255,
				Mean: imagenetMean, Std: imagenetStd}},
		{"caffe", "Caffe classifiers: shorter side 256, crop 224, BGR minus 104, 117, 123",
			Preprocess{Resize: ResizeShorter, Size: square(256), Crop: square(224), Channels: BGR,
				Mean: []float64{104, 117, 123}}},
		{"tf", "TensorFlow's MobileNet and Inception: shorter side 256, crop 224, RGB from -1 to 1",
			Preprocess{Resize: ResizeShorter, Size: square(256), Crop: square(224), Channels: RGB,
				Mean: []float64{127.5}, Std: []float64{127.5}}},
		{"cifar10", "CIFAR-10 networks trained with akamaster/pytorch_resnet_cifar10: 32x32, RGB/255, ImageNet mean and deviation",
			Preprocess{Size: square(32), Channels: RGB, Scale: 1. / 255, Mean: imagenetMean, Std: imagenetStd}},
		{"mnist", "PyTorch's MNIST example: 28x28 gray/255, mean 0.1307, deviation 0.3081",
			Preprocess{Size: square(28), Channels: Gray, Scale: 1. / 255, Mean: []float64{0.1307}, Std: []float64{0.3081}}},
		{"ultraface", "UltraFace: 320x240, RGB, (x-127)/128",
			Preprocess{Size: Size{320, 240}, Channels: RGB, Interpolation: Bilinear,
				Mean: []float64{127}, Std: []float64{128}}},
		{"unit", "the input's size, x/255: from 0 to 1", Preprocess{Scale: 1. / 255}},
		{"signed", "the input's size, x/127.5-1: from -1 to 1", Preprocess{Mean: []float64{127.5}, Std: []float64{127.5}}},
		{"raw", "the input's size, pixels as they are: from 0 to 255", Preprocess{}},
	}
}

// presetAliases are second names of presets.
var presetAliases = map[string]string{"mobilenet": "tf", "none": "raw"}

// PresetNamed finds a preset. The error lists all of them, the nearest name first.
func PresetNamed(name string) (*Preprocess, error) {
	if target, ok := presetAliases[name]; ok {
		name = target
	}
	var names []string
	for _, p := range Presets() {
		if p.Name == name {
			return &p.Preprocess, nil
		}
		names = append(names, p.Name)
	}
	return nil, fmt.Errorf("no preprocessing is called %q%s (there are %s, or the name of a YAML file)",
		name, didYouMean(name, names), strings.Join(names, ", "))
}

// Equal says whether two ways of preprocessing do the same.
func (p *Preprocess) Equal(q *Preprocess) bool {
	return p.String() == q.String()
}

// String is the name of a preset, or the whole on one line as YAML: {resize: shorter 256, crop: 224, scale: 1/255}.
// ParsePreprocess reads it.
func (p *Preprocess) String() string {
	text := p.flow()
	for _, preset := range Presets() {
		if preset.Preprocess.flow() == text {
			return preset.Name
		}
	}
	return text
}

// flow writes what differs from the zero value as a YAML flow mapping.
func (p *Preprocess) flow() string {
	var fields []string
	add := func(format string, args ...any) { fields = append(fields, fmt.Sprintf(format, args...)) }
	switch {
	case p.Size != Size{}:
		add("resize: %s %s", p.Resize, p.Size)
	case p.Resize != ResizeExact:
		add("resize: %s", p.Resize)
	}
	if p.Interpolation != Antialias {
		add("interpolation: %s", p.Interpolation)
	}
	if p.Crop != (Size{}) {
		add("crop: %s", p.Crop)
	}
	if p.Channels != AutoChannels {
		add("channels: %s", p.Channels)
	}
	if p.Scale != 0 && p.Scale != 1 {
		add("scale: %s", numberText(p.Scale))
	}
	if len(p.Mean) > 0 {
		add("mean: %s", numbersText(p.Mean))
	}
	if len(p.Std) > 0 {
		add("std: %s", numbersText(p.Std))
	}
	if p.Layout != AutoLayout {
		add("layout: %s", p.Layout)
	}
	if p.Pad != 0 {
		add("pad: %d", p.Pad)
	}
	if q := p.Quantized; q != nil {
		add("quantized: {type: %s, scale: %s, zero_point: %d}",
			q.Type, strconv.FormatFloat(float64(q.Scale), 'g', -1, 32), q.ZeroPoint)
	}
	return "{" + strings.Join(fields, ", ") + "}"
}

// numberText writes a number so that it reads back the same, as a fraction 1/n if it is one.
func numberText(v float64) string {
	text := strconv.FormatFloat(v, 'g', -1, 64)
	if n := math.Round(1 / v); len(text) > 8 && n >= 2 && n <= 1<<20 && 1/n == v {
		return fmt.Sprintf("1/%.0f", n)
	}
	return text
}

func numbersText(values []float64) string {
	if len(values) == 1 {
		return numberText(values[0])
	}
	text := make([]string, len(values))
	for i, v := range values {
		text[i] = numberText(v)
	}
	return "[" + strings.Join(text, ", ") + "]"
}

// Validate finds what makes no sense whatever the input, all of it at once.
func (p *Preprocess) Validate() error {
	var problems []error
	bad := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if int(p.Resize) >= len(resizeNames) || int(p.Interpolation) >= len(interpolationNames) ||
		int(p.Channels) >= len(channelNames) || int(p.Layout) >= len(layoutNames) {
		bad("resize, interpolation, channels or layout has an unknown value")
	}
	for _, size := range []Size{p.Size, p.Crop} {
		if size.Width < 0 || size.Height < 0 || size.Width > 1<<20 || size.Height > 1<<20 ||
			(size.Width == 0) != (size.Height == 0) {
			bad("impossible size %dx%d", size.Width, size.Height)
		}
	}
	switch {
	case p.Resize == ResizeShorter && (p.Size.Height == 0 || p.Size.Width != p.Size.Height):
		bad("resize shorter needs the length of the shorter side: shorter 256")
	case p.Resize == ResizeFit && p.Crop != Size{}:
		bad("resize fit leaves nothing to crop")
	case p.Resize == ResizeNone && p.Size != Size{}:
		bad("resize none takes no size")
	}
	if math.IsNaN(p.Scale) || math.IsInf(p.Scale, 0) {
		bad("scale is %v", p.Scale)
	}
	for _, values := range []struct {
		name    string
		numbers []float64
	}{{"mean", p.Mean}, {"std", p.Std}} {
		if n := len(values.numbers); n != 0 && n != 1 && n != 3 {
			bad("%s has %d numbers; give one, or one for each of 3 channels", values.name, n)
		}
		for _, v := range values.numbers {
			if math.IsNaN(v) || math.IsInf(v, 0) || v == 0 && values.name == "std" {
				bad("%s has a %v", values.name, v)
			}
		}
	}
	if q := p.Quantized; q != nil {
		if !q.Type.IsInteger() || q.Type.Bits() < 8 || q.Type.Bits() > 32 {
			bad("quantized type is %s; it can be i8, u8, i16, u16, i32 or u32", q.Type)
		} else if lowest, highest := q.Type.Limits(); int64(q.ZeroPoint) < lowest || int64(q.ZeroPoint) > highest {
			bad("quantized zero_point is %d, outside %d to %d", q.ZeroPoint, lowest, highest)
		}
		if s := float64(q.Scale); !(s > 0) || math.IsInf(s, 0) {
			bad("quantized scale is %v; it must be above 0", q.Scale)
		}
	}
	return errors.Join(problems...)
}

// geometry is the size an image of the given size is scaled to, and the size of the result. want is the input's size,
// 0 where unknown.
func (p *Preprocess) geometry(image, want Size) (scaled, result Size, err error) {
	result = p.Crop
	if result == (Size{}) && (p.Resize == ResizeExact || p.Resize == ResizeFit) {
		result = p.Size
	}
	if want.Width > 0 {
		result.Width = want.Width
	}
	if want.Height > 0 {
		result.Height = want.Height
	}
	switch p.Resize {
	case ResizeNone:
		scaled = image
	case ResizeShorter:
		side := float64(p.Size.Height)
		if p.Crop != (Size{}) {
			side = math.Round(side * max(ratio(result.Width, p.Crop.Width), ratio(result.Height, p.Crop.Height)))
		}
		shorter := min(image.Width, image.Height)
		scaled = Size{int(side) * image.Width / shorter, int(side) * image.Height / shorter}
	case ResizeExact:
		scaled = result
		if p.Crop != (Size{}) && p.Size != (Size{}) {
			scaled.Width = int(math.Round(float64(p.Size.Width) * ratio(result.Width, p.Crop.Width)))
			scaled.Height = int(math.Round(float64(p.Size.Height) * ratio(result.Height, p.Crop.Height)))
		}
	case ResizeFit:
		target := orElse(result, image)
		factor := min(ratio(target.Width, image.Width), ratio(target.Height, image.Height))
		scaled.Width = min(max(int(math.Round(float64(image.Width)*factor)), 1), target.Width)
		scaled.Height = min(max(int(math.Round(float64(image.Height)*factor)), 1), target.Height)
		return scaled, target, nil
	}
	scaled = orElse(scaled, image)
	result = orElse(result, scaled)
	if scaled.Width < result.Width || scaled.Height < result.Height ||
		p.Resize == ResizeNone && p.Crop == (Size{}) && scaled != result {
		return scaled, result, fmt.Errorf("the image is %dx%d, after resize %s %dx%d, the input wants %dx%d (use resize: exact or fit)",
			image.Width, image.Height, p.Resize, scaled.Width, scaled.Height, result.Width, result.Height)
	}
	return scaled, result, nil
}

// orElse fills in what is 0.
func orElse(s, other Size) Size {
	if s.Width == 0 {
		s.Width = other.Width
	}
	if s.Height == 0 {
		s.Height = other.Height
	}
	return s
}

func ratio(a, b int) float64 { return float64(a) / float64(b) }

// didYouMean names the candidate nearest to name if one is near.
func didYouMean(name string, candidates []string) string {
	best, distance := "", max(len(name)/3, 2)+1
	for _, c := range candidates {
		if d := editDistance(strings.ToLower(name), c); d < distance {
			best, distance = c, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", best)
}

// editDistance is how many bytes must be inserted, removed or replaced to make a into b.
func editDistance(a, b string) int {
	if len(a) > 64 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
