package op

import "fmt"

// Layout is the order of a spatial operator's data dimensions. Code reaches dimensions through it; the numbers of
// axes are known here only.
type Layout uint8

const (
	// NCHW has channels before the spatial dimensions (N, C, D1…Dk), any number of them.
	NCHW Layout = iota
	// NHWC has channels last (N, D1…Dk, C).
	NHWC
)

// Batch is the batch axis.
func (l Layout) Batch() int { return 0 }

// Channel is the channel axis of a value of the given rank.
func (l Layout) Channel(rank int) int {
	if l == NHWC {
		return rank - 1
	}
	return 1
}

// Spatial is the axis of the first spatial dimension; the others follow it.
func (l Layout) Spatial(rank int) int {
	if l == NHWC {
		return 1
	}
	return 2
}

func (l Layout) String() string {
	if l == NHWC {
		return "NHWC"
	}
	return "NCHW"
}

// MarshalText is the layout's name.
func (l Layout) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (l *Layout) UnmarshalText(text []byte) error {
	switch string(text) {
	case "NCHW":
		*l = NCHW
	case "NHWC":
		*l = NHWC
	default:
		return fmt.Errorf("unknown layout %q: NCHW or NHWC", text)
	}
	return nil
}

// FilterLayout is the order of a convolution filter's dimensions; the spatial ones stand together.
type FilterLayout uint8

const (
	// OIHW is ONNX's: output channels, input channels of one group, spatial. For ConvTranspose the first is the
	// input channel and the second the output channel of one group, as ONNX has it.
	OIHW FilterLayout = iota
	// OHWI has the input channels of one group last (TFLite Conv2D).
	OHWI
	// HWIO has spatial dimensions first (TensorFlow Conv2D).
	HWIO
	// OneHWC is 1, spatial, channels·multiplier (TFLite DepthwiseConv2D): the output channel is the last axis, and one
	// group has one input channel.
	OneHWC

	filterLayoutCount
)

var filterLayoutNames = [filterLayoutCount]string{"OIHW", "OHWI", "HWIO", "1HWC"}

// Output is the axis of output channels in a filter of the given rank.
func (f FilterLayout) Output(rank int) int {
	switch f {
	case HWIO, OneHWC:
		return rank - 1
	}
	return 0
}

// Input is the axis of the input channels of one group.
func (f FilterLayout) Input(rank int) int {
	switch f {
	case OHWI:
		return rank - 1
	case HWIO:
		return rank - 2
	case OneHWC:
		return 0
	}
	return 1
}

// Spatial is the first spatial axis.
func (f FilterLayout) Spatial(rank int) int {
	switch f {
	case OHWI, OneHWC:
		return 1
	case HWIO:
		return 0
	}
	return 2
}

func (f FilterLayout) String() string {
	if f >= filterLayoutCount {
		return fmt.Sprintf("filter layout %d", uint8(f))
	}
	return filterLayoutNames[f]
}

// MarshalText is the layout's name.
func (f FilterLayout) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (f *FilterLayout) UnmarshalText(text []byte) error {
	for i, name := range filterLayoutNames {
		if name == string(text) {
			*f = FilterLayout(i)
			return nil
		}
	}
	return fmt.Errorf("unknown filter layout %q: one of %q", text, filterLayoutNames)
}

// Clamp is an activation fused into the operator before it: the real result is limited to [Min, Max]. Relu is
// [0, +Inf], Relu6 is [0, 6]. A nil *Clamp is no activation.
type Clamp struct {
	Min, Max float32
}

// Apply limits x; a nil Clamp returns it unchanged. NaN stays NaN.
func (c *Clamp) Apply(x float32) float32 {
	if c == nil {
		return x
	}
	if x < c.Min {
		return c.Min
	}
	if x > c.Max {
		return c.Max
	}
	return x
}
