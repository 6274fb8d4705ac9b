package convert

import (
	"fmt"
	"math"

	"github.com/octet-nn/octet/tensor"
)

// Schemas, as quantize_schema of a deployment file spells them.
const (
	SchemaDefault = ""                          // u8 codes with a zero point; weights 1..255
	SchemaInt8    = "int8"                      // i8 codes with a zero point; weights symmetric, −127..127
	SchemaAPU16   = "mace_apu_16bit_per_tensor" // i16 codes without zero point, weights alike
	SchemaHTP     = "mace_htp_u16a_s8w"         // u16 codes with a zero point; weights as by default
)

// Schemas lists what quantize_schema may be.
func Schemas() []string { return []string{SchemaDefault, SchemaInt8, SchemaAPU16, SchemaHTP} }

// Range is the interval of reals that a value takes.
type Range struct{ Min, Max float64 }

// Info is how the codes of a value denote reals, real = (code − ZeroPoint)·Scale, and the reals of the lowest and the
// highest code. It is what MACE stores with each value, in its precision.
type Info struct {
	Min, Max, Scale float32
	ZeroPoint       int32
}

// numbers makes codes of one schema as MACE's converter does, in float64 and with ties to even.
type numbers struct {
	schema string
	// exact keeps what MACE does to ranges within ±1e-6, whose negative half it loses.
	exact bool
}

// nearZero is the distance from zero within which MACE takes a limit of a range for zero.
const nearZero = 1e-6

// codes is an integer grid on reals: what adjusting a range gives, before it is rounded for storage.
type codes struct {
	scale    float64
	zero     int32
	min, max float64
}

// info is the grid as MACE stores it.
func (c codes) info() Info {
	return Info{float32(c.min), float32(c.max), float32(c.scale), c.zero}
}

// usable replaces a scale that is no positive float32: a value that is always zero needs any grid that has zero.
func usable(scale float64) float64 {
	if float32(scale) > 0 {
		return scale
	}
	return 1
}

// asymmetric is adjust_range of MACE's converter: the grid of codes 0..levels that covers a range and has zero on it.
// nonZero leaves code 0 unused.
func (n numbers) asymmetric(low, high float64, levels int32, nonZero bool) codes {
	outMax, outMin := max(0, high), min(0, low)
	if nonZero {
		outMin = min(outMin, low-(outMax-low)/float64(levels-1))
	}
	scale := (outMax - outMin) / float64(levels)
	if float32(scale) <= 0 {
		return codes{scale: 1, max: float64(levels)}
	}
	var zero int32
	switch {
	case outMin < -nearZero && outMax > nearZero, !n.exact && outMin < 0 && outMax > 0:
		z := -outMin / scale
		zero = int32(math.RoundToEven(z))
		if math.Abs(z-float64(zero)) > nearZero && nonZero {
			zero = int32(math.Ceil(z))
		}
	case outMin > -nearZero && (n.exact || outMin == 0):
		zero = 0
	default:
		zero = levels
	}
	return codes{scale, zero, float64(-zero) * scale, float64(levels-zero) * scale}
}

// activation is the grid for a value whose reals are in a range.
func (n numbers) activation(r Range) codes {
	switch n.schema {
	case SchemaInt8:
		low, high := min(0, r.Min), max(0, r.Max)
		scale := usable((high - low) / 255)
		return codes{scale, int32(-low/scale - 128), low, high} // truncated, as MACE does
	case SchemaAPU16:
		limit := max(math.Abs(r.Min), math.Abs(r.Max))
		return codes{usable(limit / (1 << 15)), 0, -limit, limit}
	case SchemaHTP:
		return n.asymmetric(r.Min, r.Max, 65535, false)
	}
	return n.asymmetric(r.Min, r.Max, 255, false)
}

// activationType is the element type of activations.
func (n numbers) activationType() tensor.DType {
	switch n.schema {
	case SchemaInt8:
		return tensor.Int8
	case SchemaAPU16:
		return tensor.Int16
	case SchemaHTP:
		return tensor.Uint16
	}
	return tensor.Uint8
}

// trained is the grid that quantization-aware training gave a constant.
type trained struct {
	scale     float64
	zero      int32
	symmetric bool // trained as signed codes
}

// constant is a constant that is not a bias as codes.
func (n numbers) constant(values []float32, shape []int, t *trained) (*tensor.Tensor, codes, error) {
	r, err := extremes(values)
	if err != nil {
		return nil, codes{}, err
	}
	switch n.schema {
	case SchemaInt8:
		scale := usable(max(math.Abs(r.Min), math.Abs(r.Max)) / 127)
		return tensor.Of(round[int8](values, scale, 0, -127, 127), shape...), codes{scale, 0, -127 * scale, 127 * scale}, nil
	case SchemaAPU16:
		limit := max(math.Abs(r.Min), math.Abs(r.Max))
		scale := usable(limit / (1 << 15))
		return tensor.Of(round[int16](values, scale, 0, -1<<15, 1<<15-1), shape...), codes{scale, 0, -limit, limit}, nil
	}
	if t != nil {
		r = Range{float64(-t.zero) * t.scale, float64(255-t.zero) * t.scale}
		if t.symmetric {
			r = Range{-127.5 * t.scale, 127.5 * t.scale}
		}
	}
	c := n.asymmetric(r.Min, r.Max, 255, true)
	return tensor.Of(round[uint8](values, c.scale, c.zero, 0, 255), shape...), c, nil
}

// stored is a constant as codes that are made floats again when the model is loaded: quantize_large_weights.
func (n numbers) stored(values []float32, shape []int) (*tensor.Tensor, codes, error) {
	r, err := extremes(values)
	if err != nil {
		return nil, codes{}, err
	}
	c := n.asymmetric(r.Min, r.Max, 255, false)
	return tensor.Of(round[uint8](values, c.scale, c.zero, 0, 255), shape...), c, nil
}

// bias is a bias in units of the sums it is added to. MACE lets codes beyond an int32 wrap around; here they are
// limited, and saturated counts them.
func (n numbers) bias(values []float32, inputScale, weightScale float32) (sums []int32, scale float32, saturated int) {
	exact := float64(inputScale) * float64(weightScale)
	if float32(exact) <= 0 {
		exact = math.SmallestNonzeroFloat32
	}
	sums = make([]int32, len(values))
	for i, v := range values {
		code := math.RoundToEven(float64(v) / exact)
		switch {
		case code > math.MaxInt32:
			code = math.MaxInt32
			saturated++
		case code < math.MinInt32:
			code = math.MinInt32
			saturated++
		case code != code:
			code = 0
			saturated++
		}
		sums[i] = int32(code)
	}
	return sums, float32(exact), saturated
}

// round is round(zero + v/scale), ties to even, within limits.
func round[T int8 | uint8 | int16](values []float32, scale float64, zero int32, least, greatest float64) []T {
	out := make([]T, len(values))
	for i, v := range values {
		out[i] = T(min(max(math.RoundToEven(float64(zero)+float64(v)/scale), least), greatest))
	}
	return out
}

// extremes is the least and the greatest of some numbers.
func extremes(values []float32) (Range, error) {
	if len(values) == 0 {
		return Range{}, nil
	}
	r := Range{math.Inf(1), math.Inf(-1)}
	for i, v := range values {
		if v-v != 0 {
			return r, fmt.Errorf("element %d is %v; only finite numbers can be codes", i, v)
		}
		r.Min, r.Max = min(r.Min, float64(v)), max(r.Max, float64(v))
	}
	return r, nil
}
