package numeric

import "math"

// CoordinateTransform is how resizing maps an output coordinate to an input coordinate: ONNX Resize's
// coordinate_transformation_mode. The reference operator and the kernels share these functions.
type CoordinateTransform uint8

// The transformations, all in float32.
const (
	HalfPixel          CoordinateTransform = iota // (i + 0.5)/scale − 0.5
	HalfPixelSymmetric                            // the same, centred if out ≠ in·scale
	PytorchHalfPixel                              // the same as HalfPixel, but 0 if there is one output
	AlignCorners                                  // i·(in − 1)/(out − 1), 0 if there is one output
	Asymmetric                                    // i/scale
)

// ResizeCoordinate is the input coordinate of output coordinate i of a dimension. scale is the model's scale factor,
// or float32(out)/float32(in) where the model states sizes.
func ResizeCoordinate(t CoordinateTransform, i, in, out int, scale float32) float32 {
	x := float32(i)
	switch t {
	case PytorchHalfPixel:
		if out == 1 {
			return 0
		}
	case AlignCorners:
		if out == 1 {
			return 0
		}
		return float32(x*float32(in-1)) / float32(out-1)
	case Asymmetric:
		return x / scale
	case HalfPixelSymmetric:
		adjustment := float32(out) / float32(scale*float32(in))
		offset := float32(float32(in) / 2 * (1 - adjustment))
		return offset + (x+0.5)/scale - 0.5
	}
	return (x+0.5)/scale - 0.5
}

// NearestRounding is how resizing rounds an input coordinate: ONNX Resize's nearest_mode.
type NearestRounding uint8

// The roundings.
const (
	RoundPreferFloor NearestRounding = iota // halves down
	RoundPreferCeil                         // halves up
	RoundFloor
	RoundCeil
)

// ResizeNearest is the input element, in [0, in), nearest to an input coordinate.
func ResizeNearest(r NearestRounding, x float32, in int) int {
	v := float64(x)
	switch r {
	case RoundPreferFloor:
		v = math.Ceil(v - 0.5)
	case RoundPreferCeil:
		v = math.Floor(v + 0.5)
	case RoundFloor:
		v = math.Floor(v)
	case RoundCeil:
		v = math.Ceil(v)
	}
	return int(min(max(v, 0), float64(in-1)))
}

// ResizeLinear is the two input elements around an input coordinate, which is first limited to the image, and the
// weight of the second.
func ResizeLinear(x float32, in int) (low, high int, weight float32) {
	x = min(max(x, 0), float32(in-1))
	low = int(x)
	return low, min(low+1, in-1), x - float32(low)
}

// Lerp is a·(1−w) + b·w, each product rounded to float32. Bilinear interpolation is a Lerp along x of two pairs, then
// one along y.
func Lerp(a, b, w float32) float32 { return float32(a*(1-w)) + float32(b*w) }
