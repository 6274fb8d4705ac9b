package op

import (
	"fmt"

	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/tensor"
)

// packed is the bits of element i of a tensor whose elements have at most 8 bits.
func packed(t *tensor.Tensor, i int) int64 {
	bits := t.DType().Bits()
	perByte := 8 / bits
	return int64(t.Bytes()[i/perByte]>>(bits*(i%perByte))) & (1<<bits - 1)
}

// setPacked stores the low bits of v as element i, which must be 0 so far.
func setPacked(t *tensor.Tensor, i int, v byte) {
	bits := t.DType().Bits()
	perByte := 8 / bits
	t.Bytes()[i/perByte] |= v & (1<<bits - 1) << (bits * (i % perByte))
}

// smallFloat is the format of an element type of 8 bits or fewer that denotes reals by themselves; nil for others.
func smallFloat(dtype tensor.DType) *numeric.SmallFloat {
	switch dtype {
	case tensor.Float8E4M3FN:
		return &numeric.Float8E4M3FN
	case tensor.Float8E4M3FNUZ:
		return &numeric.Float8E4M3FNUZ
	case tensor.Float8E5M2:
		return &numeric.Float8E5M2
	case tensor.Float8E5M2FNUZ:
		return &numeric.Float8E5M2FNUZ
	case tensor.Float8E8M0:
		return &numeric.Float8E8M0
	case tensor.Float4E2M1:
		return &numeric.Float4E2M1
	}
	return nil
}

// fromSmallFloats makes a tensor of floats of at most 8 bits.
func fromSmallFloats(dtype tensor.DType, shape []int, values []float32, rounding CastRounding) *tensor.Tensor {
	format := smallFloat(dtype)
	if format == nil {
		panic(fmt.Sprintf("op: floats stored as %s", dtype))
	}
	encode := format.Encode
	if dtype == tensor.Float8E8M0 {
		switch rounding.RoundMode {
		case "down":
			encode = numeric.EncodePowerDown
		case "nearest":
			encode = numeric.EncodePowerNearest
		}
	}
	t := tensor.New(dtype, shape...)
	for i, v := range values {
		setPacked(t, i, encode(v, !rounding.Overflow))
	}
	return t
}
