package numeric

import "math"

// resizeForm is how a row interpolates codes.
type resizeForm uint8

const (
	resizeLerp  resizeForm = iota // Lerp of zero-point-free codes, rescaled, rounded half to even
	resizeFixed                   // TFLite: coordinates and weights in 1/1024, rounded half away
	resizeCodes                   // MACE: a + (b − a)·w of the codes in float32, rounded half away
)

// Interpolation is a row's own way of bilinear resizing of codes, which keep their scale.
type Interpolation struct {
	form      resizeForm
	transform CoordinateTransform
}

// Interpolation is how the row interpolates codes between coordinates; ok is false where it does so like ONNX: by
// ResizeLinear and Lerp.
func (row Arithmetic) Interpolation(t CoordinateTransform) (v Interpolation, ok bool) {
	v = Interpolation{row.of().resize, t}
	switch v.form {
	case resizeFixed:
		return v, t == HalfPixel || t == AlignCorners || t == Asymmetric
	case resizeCodes:
		return v, t == AlignCorners || t == Asymmetric
	}
	return v, false
}

// Axis is the two input elements between which output element i of a dimension lies, and the weight of the second.
func (v Interpolation) Axis(i, in, out int) (low, high int, weight float32) {
	corners := v.transform == AlignCorners && out > 1
	if v.form == resizeCodes {
		scale := float32(in) / float32(out)
		if corners {
			scale = float32(in-1) / float32(out-1)
		}
		x := float32(float32(i) * scale)
		low = min(int(x), in-1)
		return low, min(low+1, in-1), x - float32(low)
	}
	scale := (1024*in + out/2) / out
	if corners {
		scale = (1024*(in-1) + (out-1)/2) / (out - 1)
	}
	x := i * scale
	if v.transform == HalfPixel {
		x += scale/2 - 512
	}
	low = max(x/1024, 0)
	return low, min((x+1023)/1024, in-1), float32(x - 1024*low)
}

// Code is the code between four: top left, top right, bottom left, bottom right, by the weights of the right and the
// bottom ones.
func (v Interpolation) Code(a, b, c, d int32, x, y float32, lowest, highest int32) int32 {
	if v.form == resizeCodes {
		top := float32(a) + float32(float32(b-a)*x)
		bottom := float32(c) + float32(float32(d-c)*x)
		return saturateHalfAway(top+float32((bottom-top)*y), 0, lowest, highest)
	}
	right, below := int64(x), int64(y)
	sum := (int64(a)*(1024-right)+int64(b)*right)*(1024-below) + (int64(c)*(1024-right)+int64(d)*right)*below
	return int32(min(max((sum+int64(math.Copysign(1<<19, float64(sum))))/(1<<20), int64(lowest)), int64(highest)))
}
