package dataset

import (
	"compress/gzip"
	"fmt"
	"io"
	"path"

	"github.com/octet-nn/octet/tensor"
)

// records is the source of one file with many samples of equal size, one after the other.
type records struct {
	place       place
	compressed  bool
	header      int64 // bytes before the first
	count, size int
	value       func(data []byte) (map[string]*tensor.Tensor, error)
}

func (s *records) len() int { return s.count }

func (s *records) id(i int) string {
	if s.count == 1 {
		return path.Base(s.place.name)
	}
	return fmt.Sprintf("%s#%0*d", path.Base(s.place.name), len(fmt.Sprint(s.count-1)), i)
}

// start opens the file at its beginning, decompressing.
func (s *records) start() (io.Reader, io.Closer, error) {
	f, err := s.place.fsys.Open(s.place.name)
	if err != nil || !s.compressed {
		return f, f, err
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		f.Close()
		return nil, nil, fmt.Errorf("bad gzip file: %w", err)
	}
	return z, f, nil
}

func (s *records) open() (reader, error) {
	r, c, err := s.start()
	if err != nil {
		return nil, fmt.Errorf("samples %s: %w", s.place.path, err)
	}
	return &recordReader{records: s, r: r, closer: c}, nil
}

type recordReader struct {
	*records
	r      io.Reader
	closer io.Closer
	at     int64
}

func (r *recordReader) fetch(i int) (payload, error) {
	offset := r.header + int64(i)*int64(r.size)
	if seeker, ok := r.r.(io.Seeker); ok {
		if _, err := seeker.Seek(offset, io.SeekStart); err != nil {
			return nil, err
		}
	} else if _, err := io.CopyN(io.Discard, r.r, offset-r.at); err != nil {
		return nil, fmt.Errorf("truncated file: %w", noEOF(err))
	}
	data, err := readExactly(r.r, int64(r.size), int64(r.size))
	if err != nil {
		return nil, fmt.Errorf("%w file", err)
	}
	r.at = offset + int64(r.size)
	return payload{data}, nil
}

func (r *recordReader) decode(_ int, p payload) (map[string]*tensor.Tensor, error) {
	return r.value(p[0])
}

func (r *recordReader) close() error { return r.closer.Close() }

// npy is the samples along the first axis of one array, or one sample that is the whole array.
func (b *builder) npy(size int64) (source, error) {
	if len(b.inputs) > 1 {
		return nil, b.severalInputs(".npy file")
	}
	f, err := b.place.fsys.Open(b.place.name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h, err := readNPYHeader(f)
	if err != nil {
		return nil, err
	}
	if found := size - int64(h.size); found != int64(h.bytes()) {
		return nil, fmt.Errorf("array %s needs %d bytes, the file has %d (is it truncated?)",
			tensor.Describe(h.dtype, h.shape), h.bytes(), found)
	}
	in := b.inputs[0]
	if len(h.shape) != len(in.Dims) || len(h.shape) < 2 || h.shape[0] == 1 {
		return b.single()
	}
	switch {
	case h.shape[0] == 0:
		return nil, fmt.Errorf("array %s has no samples", tensor.Describe(h.dtype, h.shape))
	case h.fortran:
		return nil, fmt.Errorf("array %s is in Fortran order, its samples are not one after the other; save it with numpy.ascontiguousarray",
			tensor.Describe(h.dtype, h.shape))
	}
	shape := append([]int{1}, h.shape[1:]...)
	if _, ok := fitShape(shape, in.Dims); !ok {
		return nil, fmt.Errorf("input %s, found %s: every sample along the first axis must have shape %s",
			in, tensor.Describe(h.dtype, h.shape), dimsText(in.Dims))
	}
	return b.records(false, int64(h.size), h.shape[0], h.bytes()/h.shape[0], func(data []byte) (*tensor.Tensor, error) {
		t, err := h.tensor(shape, data)
		if err != nil {
			return nil, err
		}
		return fit(t, in, b.quantized())
	})
}

// records checks the size of a sample and makes the source for the only input.
func (b *builder) records(compressed bool, header int64, count, size int, value func([]byte) (*tensor.Tensor, error)) (source, error) {
	if int64(size) > b.options.Limits.Bytes {
		return nil, fmt.Errorf("a sample has %d bytes, more than the limit of %d", size, b.options.Limits.Bytes)
	}
	if compressed && count > b.options.Limits.Files { // what is not compressed has been compared with the file's size
		return nil, fmt.Errorf("it claims %d samples, more than the limit of %d", count, b.options.Limits.Files)
	}
	name := b.inputs[0].Name
	return &records{b.place, compressed, header, count, size, func(data []byte) (map[string]*tensor.Tensor, error) {
		t, err := value(data)
		if err != nil {
			return nil, err
		}
		return map[string]*tensor.Tensor{name: t}, nil
	}}, nil
}
