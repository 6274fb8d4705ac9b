package dataset

import (
	"fmt"

	"github.com/octet-nn/octet/tensor"
)

// imageInput is everything about turning images into the values of one input that does not depend on the image.
type imageInput struct {
	input       Input
	preprocess  Preprocess
	size        Size // 0 where unknown
	channels    int  // 1 or 3; 0 as the image has
	last        bool // channels last
	channelAxis bool // the shape has an axis for channels; without one it is gray or flat
	maxPixels   int
	table       [2]pixelTable // for 1 and for 3 channels
}

// pixelTable has the input's value, as bytes, for each channel and pixel value.
type pixelTable struct {
	values *tensor.Tensor // shape: channels, 256
	err    error
}

// newImageInput checks that images can become values of an input.
func newImageInput(in Input, p *Preprocess, maxPixels int) (*imageInput, error) {
	if p == nil {
		if in.DType.IsFloat() || in.Scale != 0 {
			return nil, fmt.Errorf("images need a preprocessing for input %s: give one (imagenet, caffe, tf, unit … or a YAML file); raw leaves pixels as they are", in)
		}
		p = &Preprocess{}
	}
	if in.DType.Bits() < 8 || in.DType == tensor.Bool {
		return nil, fmt.Errorf("images cannot become input %s", in)
	}
	m := &imageInput{input: in, preprocess: *p, maxPixels: maxPixels}
	if err := m.readDims(); err != nil {
		return nil, err
	}
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("preprocessing: %w", err)
	}
	switch {
	case p.Channels == Gray && m.channels == 3:
		return nil, fmt.Errorf("preprocessing makes gray images, but input %s has 3 channels", in)
	case (p.Channels == RGB || p.Channels == BGR) && m.channels == 1:
		return nil, fmt.Errorf("preprocessing makes %s images, but input %s has 1 channel (channels: gray)", p.Channels, in)
	case p.Channels == Gray:
		m.channels = 1
	case p.Channels != AutoChannels || m.channelAxis && m.channels == 0:
		m.channels = 3
	}
	if m.size.Width > 0 && m.size.Height > maxPixels/m.size.Width {
		return nil, fmt.Errorf("input %s wants more pixels than the limit of %d", in, maxPixels)
	}
	for i, channels := range []int{1, 3} {
		m.table[i].values, m.table[i].err = m.makeTable(channels)
		if m.channels == channels && m.table[i].err != nil {
			return nil, m.table[i].err
		}
	}
	return m, nil
}

// readDims finds width, height and channels among the input's dimensions.
func (m *imageInput) readDims() error {
	dims, layout := m.input.Dims, m.preprocess.Layout
	var height, width, channels int
	isCount := func(d int) bool { return d == 1 || d == 3 }
	switch {
	case len(dims) == 4 || len(dims) == 3 && (layout != AutoLayout || isCount(dims[0]) || isCount(dims[2])):
		d := dims[len(dims)-3:]
		first := layout == NCHW || layout == AutoLayout && isCount(d[0])
		if layout == AutoLayout && !isCount(d[0]) && !isCount(d[2]) {
			return fmt.Errorf("which dimension of input %s has the channels? Say layout: nchw or nhwc", m.input)
		}
		m.channelAxis, m.last = true, !first
		if channels, height, width = d[0], d[1], d[2]; !first {
			height, width, channels = d[0], d[1], d[2]
		}
		if channels >= 0 && !isCount(channels) {
			return fmt.Errorf("input %s has %d channels; images have 1 or 3", m.input, channels)
		}
	case len(dims) == 3: // batch, height, width
		height, width, channels = dims[1], dims[2], 1
	case len(dims) == 1 || len(dims) == 2: // flat: the preprocessing says the size
		m.last = layout == NHWC
		height, width = m.preprocess.Size.Height, m.preprocess.Size.Width
		if m.preprocess.Crop != (Size{}) {
			height, width = m.preprocess.Crop.Height, m.preprocess.Crop.Width
		}
	default:
		return fmt.Errorf("images cannot become input %s", m.input)
	}
	m.size = Size{max(width, 0), max(height, 0)}
	m.channels = max(channels, 0)
	return nil
}

// makeTable computes what each pixel value becomes.
func (m *imageInput) makeTable(channels int) (*tensor.Tensor, error) {
	p := m.preprocess
	scale := p.Scale
	if scale == 0 {
		scale = 1
	}
	pick := func(name string, values []float64, channel int, otherwise float64) (float64, error) {
		switch len(values) {
		case 0:
			return otherwise, nil
		case 1:
			return values[0], nil
		case channels:
			return values[channel], nil
		}
		return 0, fmt.Errorf("preprocessing has %d numbers in %s, but input %s has %d channel", len(values), name, m.input, channels)
	}
	values := make([]float64, 0, 256*channels)
	for c := range channels {
		mean, err := pick("mean", p.Mean, c, 0)
		if err != nil {
			return nil, err
		}
		std, err := pick("std", p.Std, c, 1)
		if err != nil {
			return nil, err
		}
		for pixel := range 256 {
			values = append(values, (float64(float64(pixel)*scale)-mean)/std)
		}
	}
	return encode(values, m.input, []int{channels, 256}, false)
}

// value turns an image into the input's value.
func (m *imageInput) value(p *picture) (*tensor.Tensor, error) {
	channels := m.channels
	if channels == 0 {
		channels = p.channels
	}
	if channels == 1 {
		p = p.gray()
	}
	scaled, result, err := m.preprocess.geometry(Size{p.width, p.height}, m.size)
	if err != nil {
		return nil, err
	}
	for _, s := range []Size{scaled, result} {
		if s.Width <= 0 || s.Height <= 0 || s.Width > m.maxPixels/s.Height {
			return nil, unreadable{fmt.Errorf("the image is %dx%d, which would become %dx%d: the limit is %d pixels",
				p.width, p.height, s.Width, s.Height, m.maxPixels)}
		}
	}
	p = p.resized(scaled.Width, scaled.Height, m.preprocess.Interpolation)
	if m.preprocess.Resize == ResizeFit {
		p = p.padded(result.Width, result.Height, m.preprocess.Pad)
	} else {
		p = p.cropped(result.Width, result.Height)
	}
	shape, err := m.shape(channels, p)
	if err != nil {
		return nil, err
	}
	table := m.table[channels/2]
	if table.err != nil {
		return nil, table.err
	}
	out := tensor.New(m.input.DType, shape...)
	switch m.input.DType.Bits() {
	case 8:
		fill[uint8](m, out, table.values, p, channels)
	case 16:
		fill[uint16](m, out, table.values, p, channels)
	case 32:
		fill[uint32](m, out, table.values, p, channels)
	case 64:
		fill[uint64](m, out, table.values, p, channels)
	}
	return out, nil
}

// shape is the shape of the value of an image that has its final size.
func (m *imageInput) shape(channels int, p *picture) ([]int, error) {
	var shape []int
	switch {
	case !m.channelAxis && len(m.input.Dims) == 3:
		shape = []int{1, p.height, p.width}
	case !m.channelAxis:
		shape = []int{channels * p.height * p.width}
	case m.last:
		shape = []int{p.height, p.width, channels}
	default:
		shape = []int{channels, p.height, p.width}
	}
	want := m.input.sample().Dims
	if m.channelAxis && len(want) == 3 {
		want = m.input.Dims // no batch axis: the first dimension belongs to the image
	}
	shape, ok := fitShape(shape, want)
	if !ok {
		return nil, fmt.Errorf("the image is %dx%d with %d channels, input %s wants %s (set the size in the preprocessing: resize: exact 28x28)",
			p.width, p.height, channels, m.input.Name, dimsText(want))
	}
	return shape, nil
}

// fill looks up every pixel. T is an unsigned integer as wide as the elements, which are moved as bits.
func fill[T uint8 | uint16 | uint32 | uint64](m *imageInput, out, table *tensor.Tensor, p *picture, channels int) {
	dst, values := bits[T](out), bits[T](table)
	plane := p.width * p.height
	for c := range channels {
		lookup := values[256*c:][:256]
		from := 0
		if p.channels == 3 {
			from = c
			if m.preprocess.Channels == BGR {
				from = 2 - c
			}
		}
		to, step := c*plane, 1
		if m.last {
			to, step = c, channels
		}
		for range plane {
			dst[to] = lookup[p.pixels[from]]
			from += p.channels
			to += step
		}
	}
}

// bits views elements as unsigned integers of the same width.
func bits[T uint8 | uint16 | uint32 | uint64](t *tensor.Tensor) []T {
	view, err := tensor.FromBytes(tensor.DTypeOf[T](), t.Shape(), t.Bytes())
	if err != nil {
		panic(err) // the caller chose T by the width of the elements
	}
	return tensor.Values[T](view)
}
