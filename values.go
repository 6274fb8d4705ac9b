package octet

import (
	"slices"

	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// Real is the real numbers that a tensor of this value holds, in row-major order: codes are dequantized where there is
// one scale for the whole tensor, half floats and integers widened.
func (v ValueInfo) Real(t *tensor.Tensor) []float64 {
	values := op.Float64s(t)
	if q := v.Quantization; q != nil && len(q.Scale) == 1 {
		for i, code := range values {
			values[i] = (code - float64(q.ZeroPoint[0])) * float64(q.Scale[0])
		}
	}
	return values
}

// represent is the real numbers that t holds as a value like from, as a tensor for a value like v. Where that is not
// possible, it is t itself.
func (v ValueInfo) represent(t *tensor.Tensor, from ValueInfo) *tensor.Tensor {
	q, codes := v.Quantization, v.DType == tensor.Int8 || v.DType == tensor.Uint8
	switch {
	case t.DType() == v.DType && sameCodes(q, from.Quantization):
		return t
	case v.DType == tensor.Float32 && from.Quantization != nil:
		out := tensor.New(tensor.Float32, t.Shape()...)
		for i, x := range from.Real(t) {
			tensor.Values[float32](out)[i] = float32(x)
		}
		return out
	case codes && q != nil && len(q.Scale) == 1:
		lowest, highest := v.DType.Limits()
		out := tensor.New(v.DType, t.Shape()...)
		for i, x := range from.Real(t) {
			out.Bytes()[i] = byte(numeric.Quantize(float32(x), q.Scale[0], q.ZeroPoint[0], int32(lowest), int32(highest)))
		}
		return out
	}
	return t
}

func sameCodes(a, b *Quantization) bool {
	if a == nil || b == nil {
		return a == b
	}
	return slices.Equal(a.Scale, b.Scale) && slices.Equal(a.ZeroPoint, b.ZeroPoint)
}
