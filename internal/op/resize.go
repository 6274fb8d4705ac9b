package op

import (
	"fmt"
	"math"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/tensor"
)

// Resize scales dimensions by interpolation (ONNX Resize). Operands: x, roi (start of each axis, then end of each; only
// for TFCropAndResize), scales, sizes; exactly one of the last two, with one entry per axis in Axes.
type Resize struct {
	Mode                     ResizeMode
	CoordinateTransformation CoordinateTransform
	Nearest                  NearestRounding // for mode nearest
	CubicCoeffA              float32         // for mode cubic
	ExcludeOutside           bool            // elements outside the input weigh nothing, instead of the edge's value
	ExtrapolationValue       float32         // what TFCropAndResize gives outside the input
	Axes                     []int           // the axes that operands speak of; empty means all
	KeepAspectRatio          AspectRatio
	Antialias                bool // modes linear and cubic: widen the filter when scaling down
}

// ResizeMode is the interpolation of Resize.
type ResizeMode uint8

// The interpolations.
const (
	ResizeNearest ResizeMode = iota
	ResizeLinear
	ResizeCubic
)

// CoordinateTransform is ONNX Resize's coordinate_transformation_mode: numeric.CoordinateTransform and one more.
type CoordinateTransform uint8

// The transformations.
const (
	HalfPixel          = CoordinateTransform(numeric.HalfPixel)
	HalfPixelSymmetric = CoordinateTransform(numeric.HalfPixelSymmetric)
	PytorchHalfPixel   = CoordinateTransform(numeric.PytorchHalfPixel)
	AlignCorners       = CoordinateTransform(numeric.AlignCorners)
	Asymmetric         = CoordinateTransform(numeric.Asymmetric)
	// TFCropAndResize maps the output to the region of interest given by the operand roi.
	TFCropAndResize CoordinateTransform = iota
)

// NearestRounding is ONNX Resize's nearest_mode: numeric.NearestRounding.
type NearestRounding uint8

// The roundings.
const (
	RoundPreferFloor = NearestRounding(numeric.RoundPreferFloor)
	RoundPreferCeil  = NearestRounding(numeric.RoundPreferCeil)
	RoundFloor       = NearestRounding(numeric.RoundFloor)
	RoundCeil        = NearestRounding(numeric.RoundCeil)
)

// AspectRatio is ONNX Resize's keep_aspect_ratio_policy; it applies where sizes are given.
type AspectRatio uint8

// The policies.
const (
	Stretch    AspectRatio = iota // the sizes are met exactly
	NotLarger                     // one scale for all axes, the largest that exceeds no size
	NotSmaller                    // one scale for all axes, the smallest that meets every size
)

var (
	resizeModeNames          = []string{"nearest", "linear", "cubic"}
	coordinateTransformNames = []string{"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric", "tf_crop_and_resize"}
	nearestRoundingNames     = []string{"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"}
	aspectRatioNames         = []string{"stretch", "not_larger", "not_smaller"}
)

// nameOf is the name of an enumerated attribute.
func nameOf[E ~uint8](e E, names []string) string {
	if int(e) >= len(names) {
		return fmt.Sprintf("unknown(%d)", uint8(e))
	}
	return names[e]
}

// parseName is the inverse of nameOf.
func parseName[E ~uint8](e *E, text []byte, names []string) error {
	i := slices.Index(names, string(text))
	if i < 0 {
		return fmt.Errorf("unknown %q: one of %q", text, names)
	}
	*e = E(i)
	return nil
}

func (m ResizeMode) String() string { return nameOf(m, resizeModeNames) }

// MarshalText is ONNX's name.
func (m ResizeMode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (m *ResizeMode) UnmarshalText(text []byte) error { return parseName(m, text, resizeModeNames) }

func (t CoordinateTransform) String() string { return nameOf(t, coordinateTransformNames) }

// MarshalText is ONNX's name.
func (t CoordinateTransform) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (t *CoordinateTransform) UnmarshalText(text []byte) error {
	return parseName(t, text, coordinateTransformNames)
}

func (r NearestRounding) String() string { return nameOf(r, nearestRoundingNames) }

// MarshalText is ONNX's name.
func (r NearestRounding) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (r *NearestRounding) UnmarshalText(text []byte) error {
	return parseName(r, text, nearestRoundingNames)
}

func (a AspectRatio) String() string { return nameOf(a, aspectRatioNames) }

// MarshalText is ONNX's name.
func (a AspectRatio) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (a *AspectRatio) UnmarshalText(text []byte) error { return parseName(a, text, aspectRatioNames) }

// Type is "Resize".
func (*Resize) Type() string { return "Resize" }

// Infer computes sizes from whichever of scales and sizes is known.
func (o *Resize) Infer(c *Inference) error {
	x := c.In(0)
	dtype := x.DType
	if x.Quant != nil {
		dtype = tensor.Invalid
	}
	if x.Shape == nil {
		c.SetOut(0, dtype, nil)
		return nil
	}
	var scales []float32
	if t := c.Const(2); t != nil && t.DType().IsFloat() {
		scales = Float32s(t)
	}
	sizes, _ := c.Data(3)
	shape, _, err := o.Output(x.Shape, scales, sizes)
	c.SetOut(0, dtype, shape)
	return err
}

// Output is the shape of the result and the scale of every axis (0 where it is not known). scales or sizes have one
// entry per axis in Axes, or are empty where they are absent or not known.
func (o *Resize) Output(in graph.Shape, scales []float32, sizes []Int) (graph.Shape, []float32, error) {
	axes, err := o.axes(len(in))
	if err != nil {
		return nil, nil, err
	}
	out, scale := slices.Clone(in), make([]float32, len(in))
	for i := range scale {
		scale[i] = 1
	}
	switch {
	case len(scales) != 0:
		if len(scales) != len(axes) {
			return nil, nil, fmt.Errorf("%d scales for %d axes", len(scales), len(axes))
		}
		for i, axis := range axes {
			scale[axis] = scales[i]
			if out[axis], err = scaled(in[axis], scales[i], 0); err != nil {
				return nil, nil, err
			}
		}
	case len(sizes) != 0:
		if len(sizes) != len(axes) {
			return nil, nil, fmt.Errorf("%d sizes for %d axes", len(sizes), len(axes))
		}
		common := float32(0)
		for i, axis := range axes {
			out[axis], scale[axis] = sizes[i].Dim(), 0
			if out[axis].Known() && in[axis].Known() && in[axis].Size > 0 {
				scale[axis] = float32(out[axis].Size) / float32(in[axis].Size)
			}
			switch s := scale[axis]; {
			case i == 0, o.KeepAspectRatio == NotLarger && s < common, o.KeepAspectRatio == NotSmaller && s > common && common != 0:
				common = s
			case s == 0:
				common = 0
			}
		}
		if o.KeepAspectRatio == Stretch {
			break
		}
		for _, axis := range axes {
			scale[axis], out[axis] = common, graph.Dim{Size: graph.Unknown}
			if common == 0 {
				continue
			}
			if out[axis], err = scaled(in[axis], common, 0.5); err != nil {
				return nil, nil, err
			}
		}
	default:
		for _, axis := range axes {
			out[axis], scale[axis] = graph.Dim{Size: graph.Unknown}, 0
		}
	}
	return out, scale, nil
}

// axes are the axes that operands speak of.
func (o *Resize) axes(rank int) ([]int, error) {
	wide := convert(o.Axes, func(a int) int64 { return int64(a) })
	if len(wide) == 0 {
		for axis := range rank {
			wide = append(wide, int64(axis))
		}
	}
	return normalAxes(wide, rank)
}

// scaled is floor(size·scale + offset), in float32 as ONNX Runtime computes it.
func scaled(d graph.Dim, scale float32, offset float32) (graph.Dim, error) {
	if !(scale > 0) || scale > math.MaxInt32 {
		return d, fmt.Errorf("scale %v is not a positive number", scale)
	}
	if scale == 1 {
		return d, nil
	}
	if !d.Known() {
		return graph.Dim{Size: graph.Unknown}, nil
	}
	n := math.Floor(float64(float32(float32(d.Size)*scale) + offset))
	if n > math.MaxInt32 {
		return d, fmt.Errorf("scale %v makes %d elements of %d", scale, int64(n), d.Size)
	}
	return graph.Fixed(int(n)), nil
}

// Integer moves codes (nearest) or interpolates between them (linear); the results lie in the input's range.
func (o *Resize) Integer(n *graph.Node) (IntegerForm, error) {
	form := IntegerForm{Roles: make([]Role, len(n.Inputs)), Range: RangeRule{Kind: SameAsInput}, WeightAxis: -1}
	form.Roles[0] = Activation
	switch {
	case o.Mode == ResizeCubic:
		return form, fmt.Errorf("cubic interpolation leaves the input's range")
	case o.CoordinateTransformation == TFCropAndResize:
		return form, fmt.Errorf("tf_crop_and_resize extrapolates by a value outside the input's range")
	case o.Mode == ResizeLinear && (o.Antialias || o.ExcludeOutside):
		return form, fmt.Errorf("antialias and exclude_outside have no integer form")
	}
	return form, nil
}
