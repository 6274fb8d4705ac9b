package numeric

import "math"

// dynamicForm is how a row quantizes the activations of layers that are stored in 8 bits only by their weights.
type dynamicForm uint8

const (
	dynamicTensor dynamicForm = iota // ONNX DynamicQuantizeLinear over all of them
	dynamicBatch                     // TFLite: each element of the batch (row of a matrix) by itself
)

// DynamicEach reports whether the row quantizes each element of the batch by itself, instead of all together.
func (a Arithmetic) DynamicEach() bool { return a.of().dynamic == dynamicBatch }

// DynamicCodes writes 8-bit codes of the activations of a layer and returns their scale and the code of zero.
//
// The onnx row does what DynamicQuantizeLinear does. TFLite has codes −127…127 about zero for matrix products and
// convolutions whose weights have one scale; for depthwise ones, and where weights have a scale for each output
// channel, its codes −128…127 cover the range of the activations. Here they are stored as unsigned, 128 more.
func (a Arithmetic) DynamicCodes(dst []byte, x []float32, layer Layer, perChannel bool) (scale float32, zeroPoint int32) {
	var least, greatest float32
	for _, v := range x {
		if v == v || a.of().dynamic == dynamicTensor {
			least, greatest = min(least, v), max(greatest, v)
		}
	}
	if a.of().dynamic != dynamicTensor {
		least, greatest = max(least, -math.MaxFloat32), min(greatest, math.MaxFloat32)
	}
	switch {
	case a.of().dynamic == dynamicTensor:
		scale, zeroPoint = DynamicRange(least, greatest)
		for i, v := range x {
			dst[i] = byte(Quantize(v, scale, zeroPoint, 0, 255))
		}
	case perChannel || layer == DepthwiseConvolution || layer == DilatedDepthwiseConvolution:
		var zero int32
		scale, zero = tfliteRange(least, greatest)
		dynamicBytes(dst, x, 1/scale, zero, -128)
		zeroPoint = zero + 128
	default:
		size := max(-least, greatest)
		if size == 0 {
			size = 127 // any scale will do for zeros
		}
		dynamicBytes(dst, x, 127/size, 0, -127)
		scale, zeroPoint = size/127, 128
	}
	return scale, zeroPoint
}

// tfliteRange is the scale and zero point of codes −128…127 that TFLite chooses for a range, at which zero is exact.
func tfliteRange(least, greatest float32) (scale float32, zeroPoint int32) {
	low, high := float64(least), float64(greatest)
	if low == high {
		return 1, 0
	}
	step := (high - low) / 255
	// Of the two ends that the zero point can be found from, the one whose numbers are smaller is the more exact.
	zero := 127 - high/step
	if 128+math.Abs(low/step) < 127+math.Abs(high/step) {
		zero = -128 - low/step
	}
	return float32(step), int32(math.Round(min(max(zero, -128), 127)))
}

// dynamicBytes rounds halves away from zero; NaN gives the zero point.
func dynamicBytes(dst []byte, x []float32, reciprocal float32, zero, lowest int32) {
	for i, v := range x {
		y := float32(v*reciprocal) + float32(zero)
		if y != y {
			y = float32(zero)
		}
		dst[i] = byte(int32(RoundHalfAway(min(max(y, float32(lowest)), 127))) + 128)
	}
}
