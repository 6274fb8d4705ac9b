// Package quantize decides how a float network becomes an 8-bit one: which values are stored as codes, over which
// range, which operators compute on codes and which stay float, and why. It writes its decisions into the graph as
// Quantize and Dequantize nodes and lets rewrite.Absorb turn operators between them into integer ones.
package quantize

import (
	"fmt"
	"math"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// Scheme is a way to represent activations and weights by 8-bit codes.
type Scheme uint8

const (
	// Int8 is the default: asymmetric activations per tensor, symmetric int8 weights in [−127, 127] per output channel.
	Int8 Scheme = iota
	// Int8PerTensor has one symmetric scale for each weight tensor.
	Int8PerTensor
	// Uint8 has asymmetric uint8 weights 1..255 with one scale per tensor, as MACE and early TFLite.
	Uint8
	// Dynamic stores int8 weights per output channel and quantizes activations while the network runs; it needs no
	// calibration.
	Dynamic
	// Int16x8 has symmetric int16 activations, int8 weights per output channel and sums of 64 bits, as TFLite's 16x8.
	Int16x8

	schemeCount
)

var schemeNames = [schemeCount]string{"int8", "int8-per-tensor", "uint8", "dynamic", "16x8"}

func (s Scheme) String() string {
	if s >= schemeCount {
		return fmt.Sprintf("scheme(%d)", uint8(s))
	}
	return schemeNames[s]
}

// ParseScheme is the inverse of String.
func ParseScheme(name string) (Scheme, error) {
	for i, n := range schemeNames {
		if n == name {
			return Scheme(i), nil
		}
	}
	return 0, fmt.Errorf("unknown quantization scheme %q: one of %q", name, schemeNames)
}

// smallestScale keeps scales and their reciprocals normal numbers.
const smallestScale = 1e-30

// activation is the asymmetric per-tensor quantization whose codes cover [low, high] and represent 0 exactly; symmetric
// for int16.
func activation(low, high float32, dtype tensor.DType) *graph.Quant {
	low, high = min(low, 0), max(high, 0)
	if dtype == tensor.Int16 {
		return graph.PerTensor(max(-low, high, 32767*smallestScale)/32767, 0)
	}
	lowest, highest := dtype.Limits()
	levels := float64(highest - lowest)
	scale := (float64(high) - float64(low)) / levels
	if !(scale >= smallestScale) {
		scale = 1 / levels
	}
	s := float32(scale)
	zero := math.RoundToEven(float64(lowest) - float64(low)/float64(s))
	return graph.PerTensor(s, int32(min(max(zero, float64(lowest)), float64(highest))))
}

// fixed is the quantization of an operator whose results are known to lie in [rule.Min, rule.Max).
func fixed(rule op.RangeRule, dtype tensor.DType) *graph.Quant {
	if dtype == tensor.Int16 {
		return graph.PerTensor(max(-rule.Min, rule.Max)/32768, 0)
	}
	lowest, highest := dtype.Limits()
	scale := (rule.Max - rule.Min) / float32(highest-lowest+1)
	return graph.PerTensor(scale, int32(lowest)-numeric.RoundHalfEven(rule.Min/scale))
}

// biasHeadroom bounds |bias code|, so that the exact sum of products and bias still fits an int32.
const biasHeadroom = 1 << 30

// weights quantizes a constant weight tensor. axis is the output channel axis, or −1 for one scale per tensor. The
// scale of a channel is enlarged where its bias, in units of inputScale·scale, would not fit an int32; inputScale 0
// means that the bias is not stored as codes.
func weights(w *tensor.Tensor, axis int, scheme Scheme, bias []float32, inputScale float32) (*tensor.Tensor, *graph.Quant) {
	values := op.Float32s(w)
	shape := w.Shape()
	if scheme == Uint8 {
		return unsignedWeights(values, shape)
	}
	channels, inner := 1, len(values)
	if axis >= 0 && scheme != Int8PerTensor && len(shape) > 0 {
		channels, inner = shape[axis], 1
		for _, d := range shape[axis+1:] {
			inner *= d
		}
	} else {
		axis = 0
	}
	// each calls f with the stretches of elements that belong to one channel.
	each := func(f func(c, begin, end int)) {
		for begin, c := 0, 0; begin < len(values); begin, c = begin+inner, (c+1)%channels {
			f(c, begin, begin+inner)
		}
	}
	largest := make([]float32, channels)
	each(func(c, begin, end int) {
		for _, v := range values[begin:end] {
			if a := abs(v); a > largest[c] && a <= math.MaxFloat32 {
				largest[c] = a
			}
		}
	})
	q := &graph.Quant{Scale: make([]float32, channels), ZeroPoint: make([]int32, channels), Axis: axis, Narrow: true}
	for c, a := range largest {
		q.Scale[c] = max(a/127, smallestScale)
	}
	enlarge(q.Scale, bias, inputScale)
	codes := make([]int8, len(values))
	each(func(c, begin, end int) {
		for i, v := range values[begin:end] {
			codes[begin+i] = int8(numeric.Quantize(v, q.Scale[c], 0, -127, 127))
		}
	})
	return tensor.Of(codes, shape...), q
}

// enlarge makes the scales of channels larger where the bias would not fit, and reports whether there was any.
func enlarge(scales, bias []float32, inputScale float32) bool {
	if inputScale <= 0 || len(scales) == 0 {
		return false
	}
	larger := false
	for i, b := range bias {
		c := i
		if len(scales) == 1 {
			c = 0
		}
		if need := abs(b) / biasHeadroom / inputScale; c < len(scales) && need > scales[c] {
			scales[c], larger = need, true
		}
	}
	return larger
}

// unsignedWeights is asymmetric with codes 1..255 over the tensor's own extremes.
func unsignedWeights(values []float32, shape []int) (*tensor.Tensor, *graph.Quant) {
	var low, high float32
	for _, v := range values {
		if v-v == 0 {
			low, high = min(low, v), max(high, v)
		}
	}
	scale := max((high-low)/254, smallestScale)
	q := graph.PerTensor(scale, min(max(1-numeric.RoundHalfEven(low/scale), 1), 255))
	q.Narrow = true
	codes := make([]uint8, len(values))
	for i, v := range values {
		codes[i] = uint8(numeric.Quantize(v, scale, q.ZeroPoint[0], 1, 255))
	}
	return tensor.Of(codes, shape...), q
}

func abs(v float32) float32 { return float32(math.Abs(float64(v))) }
