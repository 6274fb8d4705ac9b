package octet

import (
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
