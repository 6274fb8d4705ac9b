package onnx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/octet-nn/octet/tensor"
)

// dtypes are ONNX's numbers of element types; those that are missing (strings, complex numbers) have none here.
var dtypes = map[int64]tensor.DType{
	1: tensor.Float32, 2: tensor.Uint8, 3: tensor.Int8, 4: tensor.Uint16, 5: tensor.Int16, 6: tensor.Int32,
	7: tensor.Int64, 9: tensor.Bool, 10: tensor.Float16, 11: tensor.Float64, 12: tensor.Uint32, 13: tensor.Uint64,
	16: tensor.BFloat16, 17: tensor.Float8E4M3FN, 18: tensor.Float8E4M3FNUZ, 19: tensor.Float8E5M2, 20: tensor.Float8E5M2FNUZ,
	21: tensor.Uint4, 22: tensor.Int4, 23: tensor.Float4E2M1, 24: tensor.Float8E8M0, 25: tensor.Uint2, 26: tensor.Int2,
}

// decode makes the tensor. Raw data stays where it is; typed fields are converted.
func (t *tensorProto) decode(o *Options) (*tensor.Tensor, error) {
	bad := func(format string, args ...any) (*tensor.Tensor, error) {
		return nil, wrong(t.offset, "tensor %q "+format, append([]any{t.name}, args...)...)
	}
	dtype, ok := dtypes[t.dtype]
	if !ok {
		what := map[int64]string{0: "no element type", 8: "strings as elements", 14: "complex numbers as elements", 15: "complex numbers as elements"}[t.dtype]
		if what == "" {
			what = fmt.Sprintf("elements of type %d", t.dtype)
		}
		return bad("has %s, which octet cannot compute on; cut the model behind what needs it", what)
	}
	shape := make([]int, len(t.dims))
	for i, d := range t.dims {
		shape[i] = int(d)
	}
	n, ok := tensor.Count(shape)
	if !ok {
		return bad("has the impossible shape %v; the file is damaged: fetch or export it again", t.dims)
	}
	if dtype.Bytes(n) > o.Limits.MaxTensorBytes {
		return bad("has the shape %v, too large for the limit of %d bytes (LoadOptions.MaxTensorBytes)", t.dims, o.Limits.MaxTensorBytes)
	}
	data := t.raw
	switch {
	case t.external != nil:
		b, err := t.readExternal(o, dtype.Bytes(n))
		if err != nil {
			return bad("is stored outside the model file: %v", err)
		}
		data = b
	case t.hasRaw:
	case dtype == tensor.Float32:
		data = t.floats
	case dtype == tensor.Float64:
		data = t.doubles
	default:
		count := n
		width := dtype.Bits()
		if width < 8 {
			count, width = dtype.Bytes(n), 8 // several to an entry
		}
		if len(t.ints) != count {
			return bad("has %d entries for shape %v", len(t.ints), t.dims)
		}
		data = make([]byte, 0, count*width/8)
		for _, v := range t.ints {
			data = append(data, binary.LittleEndian.AppendUint64(nil, uint64(v))[:width/8]...)
		}
	}
	out, err := tensor.FromBytes(dtype, shape, data)
	if err != nil {
		return bad("has the wrong amount of data: %v; the file is damaged: fetch or export it again", err)
	}
	return out, nil
}

// readExternal reads a tensor's bytes from the file beside the model that it names.
func (t *tensorProto) readExternal(o *Options, size int) ([]byte, error) {
	location := t.external["location"]
	name := path.Clean(strings.ReplaceAll(location, `\`, "/"))
	if !fs.ValidPath(name) || name == "." {
		return nil, fmt.Errorf("its location %q is not inside the model's folder", location)
	}
	number := func(key string, otherwise int64) (int64, error) {
		text, ok := t.external[key]
		if !ok {
			return otherwise, nil
		}
		v, err := strconv.ParseInt(text, 10, 64)
		if err != nil || v < 0 {
			return 0, fmt.Errorf("its %s %q is not a number of bytes", key, text)
		}
		return v, nil
	}
	offset, err := number("offset", 0)
	if err != nil {
		return nil, err
	}
	length, err := number("length", int64(size))
	if err != nil {
		return nil, err
	}
	if length != int64(size) {
		return nil, fmt.Errorf("its length %d is not the %d bytes of its shape", length, size)
	}
	if o.External == nil {
		return nil, fmt.Errorf("file %q is needed but the model was read without its folder", name)
	}
	unread := func(err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("file %q is not there: put it beside the model", name)
		}
		return fmt.Errorf("file %q cannot be read: %w", name, err)
	}
	if m, ok := o.External.(Mapper); ok {
		data, err := m.Map(name)
		if err != nil {
			return nil, unread(err)
		}
		if data != nil {
			if offset > int64(len(data)) || int64(size) > int64(len(data))-offset {
				return nil, fmt.Errorf("file %q has %d bytes, too few for %d at %d", name, len(data), size, offset)
			}
			return slices.Clip(data[offset:][:size]), nil
		}
	}
	f, err := o.External.Open(name)
	if err != nil {
		return nil, unread(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, unread(err)
	}
	if offset > info.Size() || int64(size) > info.Size()-offset {
		return nil, fmt.Errorf("file %q has %d bytes, too few for %d at %d", name, info.Size(), size, offset)
	}
	if at, ok := f.(io.ReaderAt); ok {
		b := make([]byte, size)
		if _, err := at.ReadAt(b, offset); err != nil && err != io.EOF {
			return nil, fmt.Errorf("read %q: %w", name, err)
		}
		return b, nil
	}
	if _, err := io.CopyN(io.Discard, f, offset); err != nil {
		return nil, fmt.Errorf("read %q: %w", name, err)
	}
	b := make([]byte, size)
	if _, err := io.ReadFull(f, b); err != nil {
		return nil, fmt.Errorf("read %q: %w", name, err)
	}
	return slices.Clip(b), nil
}
