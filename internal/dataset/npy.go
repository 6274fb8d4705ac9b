package dataset

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/octet-nn/octet/tensor"
)

// The NumPy format: numpy.lib.format in NumPy's documentation, versions 1.0 to 3.0.
const npyMagic = "\x93NUMPY"

// npyTypes are the element types of NumPy (the descr without its byte order) that we have too.
var npyTypes = []struct {
	descr string
	dtype tensor.DType
}{
	{"f4", tensor.Float32}, {"f8", tensor.Float64}, {"f2", tensor.Float16},
	{"i1", tensor.Int8}, {"u1", tensor.Uint8}, {"i2", tensor.Int16}, {"u2", tensor.Uint16},
	{"i4", tensor.Int32}, {"u4", tensor.Uint32}, {"i8", tensor.Int64}, {"u8", tensor.Uint64},
	{"b1", tensor.Bool},
}

// npyHeader is what the header of an .npy file says.
type npyHeader struct {
	dtype     tensor.DType
	bigEndian bool
	fortran   bool
	shape     []int
	size      int // bytes of the header, that is, where the data begins
}

// bytes is how many bytes of data follow.
func (h *npyHeader) bytes() int {
	n, _ := tensor.Count(h.shape)
	return h.dtype.Bytes(n)
}

// readNPYHeader reads as far as the data.
func readNPYHeader(r io.Reader) (*npyHeader, error) {
	var start [12]byte
	if _, err := io.ReadFull(r, start[:10]); err != nil {
		return nil, fmt.Errorf("truncated .npy header: %w", noEOF(err))
	}
	if string(start[:6]) != npyMagic {
		return nil, errors.New("not an .npy file: it does not begin with \\x93NUMPY")
	}
	size, length := 10, int(binary.LittleEndian.Uint16(start[8:]))
	switch start[6] {
	case 1:
	case 2, 3:
		if _, err := io.ReadFull(r, start[10:]); err != nil {
			return nil, fmt.Errorf("truncated .npy header: %w", noEOF(err))
		}
		size, length = 12, int(binary.LittleEndian.Uint32(start[8:]))
	default:
		return nil, fmt.Errorf("unknown version %d.%d of the .npy format", start[6], start[7])
	}
	if length > 1<<16 {
		return nil, fmt.Errorf("an .npy header of %d bytes is not credible", length)
	}
	text := make([]byte, length)
	if _, err := io.ReadFull(r, text); err != nil {
		return nil, fmt.Errorf("truncated .npy header: %w", noEOF(err))
	}
	h, err := parseNPYHeader(string(text))
	if err != nil {
		return nil, fmt.Errorf("bad .npy header %.80q: %w", text, err)
	}
	h.size = size + length
	return h, nil
}

// noEOF makes an end of file where more was expected the error it is.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// parseNPYHeader reads the Python dictionary of a header: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }.
func parseNPYHeader(text string) (*npyHeader, error) {
	rest := text
	next := func(token string) bool {
		rest = strings.TrimLeft(rest, " \t\r\n")
		after, ok := strings.CutPrefix(rest, token)
		if ok {
			rest = after
		}
		return ok
	}
	quoted := func() (string, bool) {
		quote := "'"
		if !next(quote) {
			if quote = "\""; !next(quote) {
				return "", false
			}
		}
		value, after, ok := strings.Cut(rest, quote)
		rest = after
		return value, ok
	}
	h := &npyHeader{}
	seen := map[string]bool{}
	if !next("{") {
		return nil, errors.New("it is not a dictionary")
	}
	for !next("}") {
		key, ok := quoted()
		if !ok || !next(":") {
			return nil, errors.New("expected a key and a colon")
		}
		switch key {
		case "descr":
			descr, ok := quoted()
			if !ok {
				return nil, errors.New("structured arrays are not supported")
			}
			if err := h.setType(descr); err != nil {
				return nil, err
			}
		case "fortran_order":
			if h.fortran = next("True"); !h.fortran && !next("False") {
				return nil, errors.New("fortran_order is neither True nor False")
			}
		case "shape":
			if !next("(") {
				return nil, errors.New("shape is not a tuple")
			}
			for !next(")") {
				end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
				if end <= 0 || len(h.shape) == 32 {
					return nil, errors.New("shape is not a tuple of at most 32 numbers")
				}
				n, err := strconv.Atoi(rest[:end])
				if err != nil {
					return nil, err
				}
				h.shape = append(h.shape, n)
				rest = rest[end:]
				next(",")
				rest = strings.TrimLeft(rest, " ")
			}
		default:
			return nil, fmt.Errorf("unknown key %q", key)
		}
		if seen[key] {
			return nil, fmt.Errorf("%s is given twice", key)
		}
		seen[key] = true
		next(",")
	}
	if len(seen) != 3 {
		return nil, errors.New("it lacks descr, fortran_order or shape")
	}
	if _, ok := tensor.Count(h.shape); !ok {
		return nil, fmt.Errorf("impossible shape %v", h.shape)
	}
	return h, nil
}

func (h *npyHeader) setType(descr string) error {
	if descr == "" {
		return errors.New("empty descr")
	}
	for _, t := range npyTypes {
		if t.descr == descr[1:] && strings.ContainsRune("<>=|", rune(descr[0])) {
			h.dtype, h.bigEndian = t.dtype, descr[0] == '>'
			return nil
		}
	}
	return fmt.Errorf("element type %q is not supported (save the array as float32)", descr)
}

// tensor makes the data that follows a header a tensor. shape replaces the header's leading dimensions for one record
// of a file.
func (h *npyHeader) tensor(shape []int, data []byte) (*tensor.Tensor, error) {
	if h.bigEndian {
		swapBytes(data, h.dtype.Bits()/8)
	}
	if h.dtype == tensor.Bool {
		for i, b := range data {
			if b > 1 {
				return nil, fmt.Errorf("element %d of a bool array is %d", i, b)
			}
		}
	}
	if h.fortran && len(shape) > 1 {
		reversed := slices.Clone(shape)
		slices.Reverse(reversed)
		t, err := tensor.FromBytes(h.dtype, reversed, data)
		if err != nil {
			return nil, err
		}
		return reverseAxes(t), nil
	}
	return tensor.FromBytes(h.dtype, shape, data)
}

// reverseAxes transposes to the reversed order of axes.
func reverseAxes(t *tensor.Tensor) *tensor.Tensor {
	shape := slices.Clone(t.Shape())
	slices.Reverse(shape)
	out := tensor.New(t.DType(), shape...)
	width := t.DType().Bits() / 8
	strides := make([]int, len(shape)) // of t, for each axis of out
	stride := 1
	for i, d := range shape {
		strides[i] = stride
		stride *= d
	}
	index := make([]int, len(shape))
	src, dst := t.Bytes(), out.Bytes()
	from := 0
	for i := range out.Len() {
		copy(dst[i*width:(i+1)*width], src[from*width:])
		for axis := len(shape) - 1; axis >= 0; axis-- {
			index[axis]++
			from += strides[axis]
			if index[axis] < shape[axis] {
				break
			}
			from -= index[axis] * strides[axis]
			index[axis] = 0
		}
	}
	return out
}

func swapBytes(data []byte, width int) {
	for i := 0; i+width <= len(data); i += width {
		slices.Reverse(data[i : i+width])
	}
}

// ReadNPY reads one NumPy array of at most maxBytes bytes: little- or big-endian, in C or Fortran order.
func ReadNPY(r io.Reader, maxBytes int64) (*tensor.Tensor, error) {
	r = bufio.NewReader(r)
	h, err := readNPYHeader(r)
	if err != nil {
		return nil, err
	}
	data, err := readExactly(r, int64(h.bytes()), maxBytes)
	if err != nil {
		return nil, fmt.Errorf("array %s: %w", tensor.Describe(h.dtype, h.shape), err)
	}
	var extra [1]byte
	if n, _ := io.ReadFull(r, extra[:]); n != 0 {
		return nil, fmt.Errorf("array %s: more bytes follow than its shape needs", tensor.Describe(h.dtype, h.shape))
	}
	return h.tensor(h.shape, data)
}

// readExactly reads n bytes. Memory grows with what is really there, whatever a header claims.
func readExactly(r io.Reader, n, limit int64) ([]byte, error) {
	if n > limit {
		return nil, fmt.Errorf("%d bytes are more than the limit of %d", n, limit)
	}
	const trusted = 1 << 20
	if n <= trusted {
		data := make([]byte, n)
		got, err := io.ReadFull(r, data)
		if err != nil {
			return nil, fmt.Errorf("truncated: %d of %d bytes: %w", got, n, noEOF(err))
		}
		return data, nil
	}
	var b bytes.Buffer
	got, err := io.CopyN(&b, r, n)
	if err != nil {
		return nil, fmt.Errorf("truncated: %d of %d bytes: %w", got, n, noEOF(err))
	}
	return b.Bytes(), nil
}

// WriteNPY writes a tensor as a NumPy array (format version 1.0). NumPy has no bfloat16, which is written as float32,
// and no 4-bit integers, which are written as 8-bit ones.
func WriteNPY(w io.Writer, t *tensor.Tensor) error {
	t = widened(t)
	descr := ""
	for _, e := range npyTypes {
		if e.dtype == t.DType() {
			descr = e.descr
		}
	}
	if descr == "" {
		return fmt.Errorf("cannot write %s as .npy", t)
	}
	order := "<"
	if t.DType().Bits() == 8 {
		order = "|"
	}
	var shape strings.Builder
	for _, d := range t.Shape() {
		fmt.Fprintf(&shape, "%d, ", d)
	}
	tuple := strings.TrimSuffix(shape.String(), " ")
	if len(t.Shape()) > 1 {
		tuple = strings.TrimSuffix(tuple, ",")
	}
	header := fmt.Sprintf("{'descr': '%s%s', 'fortran_order': False, 'shape': (%s), }", order, descr, tuple)
	const fixed = len(npyMagic) + 4
	padded := (fixed + len(header) + 1 + 63) / 64 * 64 // NumPy aligns the data to 64 bytes
	if padded-fixed > math.MaxUint16 {
		return fmt.Errorf("cannot write a tensor of %d dimensions as .npy", len(t.Shape()))
	}
	b := append([]byte(npyMagic), 1, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(padded-fixed))
	b = append(b, header...)
	b = append(b, bytes.Repeat([]byte(" "), padded-1-len(b))...)
	b = append(b, '\n')
	if _, err := w.Write(b); err != nil {
		return err
	}
	_, err := w.Write(t.Bytes())
	return err
}

// widened is t in a type that NumPy has.
func widened(t *tensor.Tensor) *tensor.Tensor {
	switch t.DType() {
	case tensor.BFloat16:
		out := tensor.New(tensor.Float32, t.Shape()...)
		for i, b := range tensor.Values[uint16](t) {
			binary.LittleEndian.PutUint32(out.Bytes()[4*i:], uint32(b)<<16)
		}
		return out
	case tensor.Int4, tensor.Uint4:
		wide := tensor.Uint8
		if t.DType() == tensor.Int4 {
			wide = tensor.Int8
		}
		out := tensor.New(wide, t.Shape()...)
		for i := range out.Bytes() {
			v := t.Bytes()[i/2] >> (4 * (i % 2)) & 15
			if wide == tensor.Int8 {
				v = byte(int8(v<<4) >> 4)
			}
			out.Bytes()[i] = v
		}
		return out
	}
	return t
}

// ReadNPZ reads the arrays of an .npz archive by name, without .npy. Together they have at most maxBytes bytes.
func ReadNPZ(data []byte, maxBytes int64) (map[string]*tensor.Tensor, error) {
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, fmt.Errorf("not an .npz file: %w", err)
	}
	arrays := map[string]*tensor.Tensor{}
	for _, f := range z.File {
		name, ok := strings.CutSuffix(f.Name, ".npy")
		if !ok {
			continue
		}
		if arrays[name] != nil {
			return nil, fmt.Errorf("array %s is there twice", name)
		}
		r, err := f.Open()
		if err != nil {
			return nil, fmt.Errorf("array %s: %w", name, err)
		}
		t, err := ReadNPY(r, maxBytes)
		r.Close()
		if err != nil {
			return nil, fmt.Errorf("array %s: %w", name, err)
		}
		maxBytes -= int64(len(t.Bytes()))
		arrays[name] = t
	}
	return arrays, nil
}

// npzInputs picks the arrays of the inputs: by name, by name with other characters than letters and digits as _, or
// the only array for the only input.
func npzInputs(arrays map[string]*tensor.Tensor, inputs []Input, quantized *Quantized) (map[string]*tensor.Tensor, error) {
	values := map[string]*tensor.Tensor{}
	names := slices.Sorted(maps.Keys(arrays))
	var missing []string
	for _, in := range inputs {
		found := arrays[in.Name]
		for _, name := range names {
			if found == nil && (len(arrays) == 1 && len(inputs) == 1 || FileName(name) == FileName(in.Name)) {
				found = arrays[name]
			}
		}
		if found == nil {
			missing = append(missing, in.Name)
			continue
		}
		value, err := fit(found, in, quantized)
		if err != nil {
			return nil, err
		}
		values[in.Name] = value
	}
	if missing != nil {
		return nil, fmt.Errorf("no array for input %s; it has %s (save the arrays under the names of the inputs)",
			strings.Join(missing, ", "), someNames(names))
	}
	return values, nil
}

// FileName is the name of a model's input or output as part of a file's name: other characters than ASCII letters and
// digits become _.
func FileName(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, name)
}

// plural is a number with its noun: 1 sample, 2 samples.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// someNames lists up to five names.
func someNames(names []string) string {
	switch {
	case len(names) == 0:
		return "none"
	case len(names) > 5:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:5], ", "), len(names)-5)
	}
	return strings.Join(names, ", ")
}
