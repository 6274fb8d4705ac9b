package dataset

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/octet-nn/octet/tensor"
)

// fit makes the array read from a file the value of an input: it checks the shape, adds a missing batch axis and
// converts the elements.
func fit(t *tensor.Tensor, in Input, quantized *Quantized) (*tensor.Tensor, error) {
	shape, ok := fitShape(t.Shape(), in.Dims)
	if !ok {
		return nil, fmt.Errorf("input %s, found %s", in, t)
	}
	values, err := convert(t, in, quantized)
	if err != nil {
		return nil, fmt.Errorf("input %s: %w", in.Name, err)
	}
	return values.Reshape(shape...), nil
}

// fitShape is found, if it fits the wanted dimensions, with a batch axis put before it if only that is missing.
func fitShape(found, want []int) ([]int, bool) {
	if len(found) == len(want)-1 && len(want) >= 2 {
		found = slices.Insert(slices.Clone(found), 0, 1)
	}
	if len(found) != len(want) {
		return nil, false
	}
	for i, d := range want {
		if d >= 0 && d != found[i] {
			return nil, false
		}
	}
	return found, true
}

// convert changes the element type to the input's. Integers stay exact: a number that the input's type cannot hold is
// an error, unless the input says how it is quantized.
func convert(t *tensor.Tensor, in Input, quantized *Quantized) (*tensor.Tensor, error) {
	from, to := t.DType(), in.DType
	if quantized != nil && from == quantized.Type && (to.IsFloat() || in.Scale != 0) {
		real, err := reals(t)
		if err != nil {
			return nil, err
		}
		for i, q := range real {
			real[i] = (q - float64(quantized.ZeroPoint)) * float64(quantized.Scale)
		}
		return encode(real, in, t.Shape(), false)
	}
	if from == to {
		return t, nil
	}
	if from == tensor.Bool && to.IsInteger() {
		from = tensor.Uint8
	}
	if from.IsInteger() && to.IsInteger() && in.Scale == 0 {
		return convertIntegers(t, from, to)
	}
	real, err := reals(t)
	if err != nil {
		return nil, err
	}
	return encode(real, in, t.Shape(), in.Scale == 0)
}

// convertIntegers copies integers into another integer type.
func convertIntegers(t *tensor.Tensor, from, to tensor.DType) (*tensor.Tensor, error) {
	if to.Bits() < 8 || from.Bits() < 8 {
		return nil, fmt.Errorf("cannot convert %s to %s", t.DType(), to)
	}
	out := tensor.New(to, t.Shape()...)
	src, dst := t.Bytes(), out.Bytes()
	width, outWidth := from.Bits()/8, to.Bits()/8
	for i := range t.Len() {
		v, negative := loadInteger(src[i*width:], from)
		fits := false
		switch {
		case to.IsSigned():
			limit := uint64(1) << (to.Bits() - 1)
			fits = v < limit || negative && v >= -limit
		default:
			fits = !negative && (to.Bits() == 64 || v < 1<<to.Bits())
		}
		if !fits {
			if negative {
				return nil, fmt.Errorf("element %d is %d, which %s cannot hold", i, int64(v), to)
			}
			return nil, fmt.Errorf("element %d is %d, which %s cannot hold", i, v, to)
		}
		storeInteger(dst[i*outWidth:], to, v)
	}
	return out, nil
}

// loadInteger reads a little-endian integer, sign-extended to 64 bits.
func loadInteger(b []byte, d tensor.DType) (v uint64, negative bool) {
	switch d.Bits() {
	case 8:
		v = uint64(b[0])
	case 16:
		v = uint64(binary.LittleEndian.Uint16(b))
	case 32:
		v = uint64(binary.LittleEndian.Uint32(b))
	case 64:
		v = binary.LittleEndian.Uint64(b)
	}
	if d.IsSigned() {
		shift := 64 - d.Bits()
		v = uint64(int64(v<<shift) >> shift)
		negative = int64(v) < 0
	}
	return v, negative
}

// storeInteger writes the low bits of v.
func storeInteger(b []byte, d tensor.DType, v uint64) {
	switch d.Bits() {
	case 8:
		b[0] = byte(v)
	case 16:
		binary.LittleEndian.PutUint16(b, uint16(v))
	case 32:
		binary.LittleEndian.PutUint32(b, uint32(v))
	case 64:
		binary.LittleEndian.PutUint64(b, v)
	}
}

// reals reads the elements of any type of at least 8 bits as float64.
func reals(t *tensor.Tensor) ([]float64, error) {
	d := t.DType()
	if d.Bits() < 8 {
		return nil, fmt.Errorf("cannot read %s", d)
	}
	values := make([]float64, t.Len())
	b, width := t.Bytes(), d.Bits()/8
	for i := range values {
		e := b[i*width:]
		switch d {
		case tensor.Float32:
			values[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(e)))
		case tensor.Float64:
			values[i] = math.Float64frombits(binary.LittleEndian.Uint64(e))
		case tensor.Float16:
			values[i] = fromHalf(binary.LittleEndian.Uint16(e))
		case tensor.BFloat16:
			values[i] = float64(math.Float32frombits(uint32(binary.LittleEndian.Uint16(e)) << 16))
		case tensor.Bool:
			values[i] = float64(e[0])
		default:
			v, negative := loadInteger(e, d)
			values[i] = float64(v)
			if negative {
				values[i] = float64(int64(v))
			}
		}
	}
	return values, nil
}

// encode writes real numbers as the input's element type. An integer input with a Scale quantizes them; without one
// they are rounded to the nearest integer and clamped, or, if exact, must be integers in range.
func encode(real []float64, in Input, shape []int, exact bool) (*tensor.Tensor, error) {
	if in.DType.Bits() < 8 {
		return nil, fmt.Errorf("samples for %s inputs are not supported", in.DType)
	}
	out := tensor.New(in.DType, shape...)
	b, width := out.Bytes(), in.DType.Bits()/8
	lowest, highest := integerLimits(in.DType)
	for i, v := range real {
		e := b[i*width:]
		switch in.DType {
		case tensor.Float32:
			binary.LittleEndian.PutUint32(e, math.Float32bits(float32(v)))
		case tensor.Float64:
			binary.LittleEndian.PutUint64(e, math.Float64bits(v))
		case tensor.Float16:
			binary.LittleEndian.PutUint16(e, toHalf(float32(v)))
		case tensor.BFloat16:
			binary.LittleEndian.PutUint16(e, toBFloat16(float32(v)))
		default:
			q := v
			if in.Scale != 0 {
				q = float64(v/float64(in.Scale)) + float64(in.ZeroPoint)
				if math.IsNaN(q) {
					q = float64(in.ZeroPoint)
				}
			}
			q = math.RoundToEven(q)
			if exact && (q != v || q < lowest || q > highest) {
				return nil, fmt.Errorf("element %d is %v, which %s cannot hold", i, v, in.DType)
			}
			if q != q {
				q = 0
			}
			q = min(max(q, lowest), highest)
			if q < 0 {
				storeInteger(e, in.DType, uint64(int64(q)))
			} else {
				storeInteger(e, in.DType, uint64(q))
			}
		}
	}
	return out, nil
}

// integerLimits is the range of an integer type or Bool as float64. The highest of a 64-bit type is the last number
// below the power of two, so that it can be converted back.
func integerLimits(d tensor.DType) (lowest, highest float64) {
	bits := d.Bits()
	switch {
	case d == tensor.Bool:
		return 0, 1
	case d.IsSigned():
		lowest, highest = -math.Ldexp(1, bits-1), math.Ldexp(1, bits-1)
	default:
		lowest, highest = 0, math.Ldexp(1, bits)
	}
	if bits == 64 {
		return lowest, math.Nextafter(highest, 0)
	}
	return lowest, highest - 1
}
