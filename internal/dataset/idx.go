package dataset

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/octet-nn/octet/tensor"
)

// The IDX format (Y. LeCun, "The MNIST database"): two zero bytes, the element type, the number of dimensions, each
// dimension as a big-endian uint32, then the elements, big-endian.
var idxTypes = map[byte]tensor.DType{
	0x08: tensor.Uint8, 0x09: tensor.Int8, 0x0b: tensor.Int16, 0x0c: tensor.Int32, 0x0d: tensor.Float32, 0x0e: tensor.Float64,
}

// isIDX says whether a file that begins like this can be an IDX file.
func isIDX(start []byte) bool {
	return len(start) >= 8 && start[0] == 0 && start[1] == 0 && idxTypes[start[2]] != tensor.Invalid &&
		start[3] >= 1 && start[3] <= 8
}

// readIDXHeader reads as far as the elements, which begin at byte size.
func readIDXHeader(r io.Reader) (dtype tensor.DType, shape []int, size int64, err error) {
	start := make([]byte, 4)
	if _, err := io.ReadFull(r, start); err != nil {
		return 0, nil, 0, fmt.Errorf("truncated IDX header: %w", noEOF(err))
	}
	if !isIDX(append(start, 0, 0, 0, 0)) {
		return 0, nil, 0, errors.New("not an IDX file")
	}
	rank := int(start[3])
	dims := make([]byte, 4*rank)
	if _, err := io.ReadFull(r, dims); err != nil {
		return 0, nil, 0, fmt.Errorf("truncated IDX header: %w", noEOF(err))
	}
	for i := range rank {
		shape = append(shape, int(binary.BigEndian.Uint32(dims[4*i:])))
	}
	if _, ok := tensor.Count(shape); !ok {
		return 0, nil, 0, fmt.Errorf("impossible shape %v", shape)
	}
	return idxTypes[start[2]], shape, int64(4 + 4*rank), nil
}

// readIDXLabels reads the class of each sample of an IDX file.
func readIDXLabels(r io.Reader, maxBytes int64) ([]int, error) {
	dtype, shape, _, err := readIDXHeader(r)
	if err != nil {
		return nil, err
	}
	if len(shape) != 1 || dtype.IsFloat() {
		return nil, fmt.Errorf("found %s, labels are one integer for each sample", tensor.Describe(dtype, shape))
	}
	width := dtype.Bits() / 8
	data, err := readExactly(r, int64(shape[0]*width), maxBytes)
	if err != nil {
		return nil, err
	}
	swapBytes(data, width)
	labels := make([]int, shape[0])
	for i := range labels {
		v, _ := loadInteger(data[i*width:], dtype)
		if labels[i] = int(v); labels[i] < 0 {
			return nil, fmt.Errorf("label %d is %d", i, labels[i])
		}
	}
	return labels, nil
}

// idx is the samples of an IDX file: images if its elements are bytes and the shape is that of gray or colour images,
// otherwise arrays.
func (b *builder) idx(size int64) (source, error) {
	if len(b.inputs) > 1 {
		return nil, b.severalInputs("IDX file")
	}
	probe := &records{place: b.place, compressed: true}
	r, c, err := probe.start()
	if err != nil {
		probe.compressed = false
		if r, c, err = probe.start(); err != nil {
			return nil, err
		}
	}
	defer c.Close()
	dtype, shape, header, err := readIDXHeader(r)
	if err != nil {
		return nil, err
	}
	found := tensor.Describe(dtype, shape)
	n, _ := tensor.Count(shape)
	if n == 0 {
		return nil, fmt.Errorf("%s has no samples", found)
	}
	if want := int64(dtype.Bytes(n)) + header; !probe.compressed && want != size {
		return nil, fmt.Errorf("%s needs %d bytes, the file has %d (is it truncated?)", found, want, size)
	}
	in := b.inputs[0]
	value := func(data []byte) (*tensor.Tensor, error) {
		swapBytes(data, dtype.Bits()/8)
		t, err := tensor.FromBytes(dtype, append([]int{1}, shape[1:]...), data)
		if err != nil {
			return nil, err
		}
		return fit(t, in, b.quantized())
	}
	if dtype == tensor.Uint8 && (len(shape) == 3 || len(shape) == 4 && (shape[3] == 1 || shape[3] == 3)) {
		if b.imageErrors[0] != nil {
			return nil, b.imageErrors[0]
		}
		channels := 1
		if len(shape) == 4 {
			channels = shape[3]
		}
		if shape[2] > b.options.Limits.Pixels/shape[1] {
			return nil, fmt.Errorf("%s: more pixels than the limit of %d", found, b.options.Limits.Pixels)
		}
		value = func(data []byte) (*tensor.Tensor, error) {
			return b.images[0].value(&picture{shape[2], shape[1], channels, data})
		}
	} else if _, ok := fitShape(append([]int{1}, shape[1:]...), in.Dims); !ok {
		return nil, fmt.Errorf("input %s, found %s: every sample along the first axis must have shape %s",
			in, found, dimsText(in.Dims))
	}
	return b.records(probe.compressed, header, shape[0], dtype.Bytes(n/shape[0]), value)
}
