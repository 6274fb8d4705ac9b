package dataset

import (
	"fmt"
	"slices"

	"github.com/octet-nn/octet/tensor"
)

// rawType is the element type of a raw file of size bytes with count samples: the input's own, float32, or the
// declared quantized one. ok is false if size fits none of them; count is 1 if several is false.
func rawType(in Input, quantized *Quantized, size int64, several bool) (dtype tensor.DType, count int, ok bool) {
	n, known := in.elements()
	if !known || n == 0 {
		return tensor.Invalid, 0, false
	}
	types := []tensor.DType{in.DType, tensor.Float32}
	if quantized != nil {
		types = []tensor.DType{quantized.Type, in.DType, tensor.Float32}
	}
	for _, d := range types {
		if size == int64(d.Bytes(n)) {
			return d, 1, true
		}
	}
	if d := types[0]; several && size > 0 && size%int64(d.Bytes(n)) == 0 {
		return d, int(size / int64(d.Bytes(n))), true
	}
	return tensor.Invalid, 0, false
}

// rawValue is the value of the bytes of a raw file with one sample.
func rawValue(data []byte, in Input, quantized *Quantized) (*tensor.Tensor, error) {
	dims, unknown := slices.Clone(in.Dims), -1
	for i, d := range dims {
		if d < 0 {
			if unknown >= 0 {
				return nil, rawUnknown(in)
			}
			unknown = i
		}
	}
	dtype := tensor.Invalid
	if unknown >= 0 {
		// One unknown dimension follows from the size, if the element type is the first choice.
		dtype = in.DType
		if quantized != nil {
			dtype = quantized.Type
		}
		dims[unknown] = 1
		n, _ := tensor.Count(dims)
		if step := dtype.Bytes(n); step > 0 && len(data)%step == 0 {
			dims[unknown] = len(data) / step
		}
	} else {
		dtype, _, _ = rawType(in, quantized, int64(len(data)), false)
	}
	t, err := tensor.FromBytes(dtype, dims, data)
	if err != nil {
		return nil, rawSize(in, quantized, int64(len(data)))
	}
	return fit(t, in, quantized)
}

func rawUnknown(in Input) error {
	return fmt.Errorf("input %s has unknown dimensions, so a raw file does not say its shape: give --shape, or use .npy", in)
}

// rawSize explains that a raw file has the wrong size.
func rawSize(in Input, quantized *Quantized, size int64) error {
	n, known := in.elements()
	if !known {
		return fmt.Errorf("input %s: %d bytes are no whole number of samples", in, size)
	}
	want := fmt.Sprintf("%d bytes (%s)", in.DType.Bytes(n), in.DType)
	if in.DType != tensor.Float32 {
		want += fmt.Sprintf(" or %d (f32)", tensor.Float32.Bytes(n))
	}
	if quantized != nil && quantized.Type != in.DType {
		return fmt.Errorf("input %s wants %d bytes (%s) or %s, found %d", in, quantized.Type.Bytes(n), quantized.Type, want, size)
	}
	if int64(n) == size {
		return fmt.Errorf("input %s wants %s, found %d: if the file holds quantized numbers, say so in the preprocessing "+
			"(quantized: {type: i8, scale: …, zero_point: …})", in, want, size)
	}
	return fmt.Errorf("input %s wants %s, found %d", in, want, size)
}

// raw is the samples of one raw file, one after the other.
func (b *builder) raw(size int64) (source, error) {
	if len(b.inputs) > 1 {
		return nil, b.severalInputs("raw file")
	}
	in := b.inputs[0]
	if _, known := in.elements(); !known {
		return b.single()
	}
	_, count, ok := rawType(in, b.quantized(), size, true)
	if !ok {
		return nil, rawSize(in, b.quantized(), size)
	}
	return b.records(false, 0, count, int(size)/count, func(data []byte) (*tensor.Tensor, error) {
		return rawValue(data, in, b.quantized())
	})
}
