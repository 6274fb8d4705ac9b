package dataset

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/octet-nn/octet/tensor"
)

const noLimit = math.MaxInt64

// npyFile is an .npy file with the given header and data.
func npyFile(version byte, header string, data ...byte) []byte {
	b := append([]byte(npyMagic), version, 0)
	if version == 1 {
		b = binary.LittleEndian.AppendUint16(b, uint16(len(header)))
	} else {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(header)))
	}
	return append(append(b, header...), data...)
}

func TestReadNPY(t *testing.T) {
	six := []byte{1, 2, 3, 4, 5, 6}
	for _, tc := range []struct {
		name, want string
		file       []byte
		values     []byte // the little-endian bytes of the tensor
	}{
		{"numpy's own", "u8[2,3]", npyFile(1, "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }      \n", six...), six},
		{"version 2", "i8[6]", npyFile(2, "{'descr':'|i1','fortran_order':False,'shape':(6,)}", six...), six},
		{"other order of keys", "u8[6]", npyFile(3, `{"shape": (6,), "fortran_order": False, "descr": "|u1"}`, six...), six},
		{"scalar", "u16[]", npyFile(1, "{'descr': '<u2', 'fortran_order': False, 'shape': (), }", 7, 0), []byte{7, 0}},
		{"empty", "f32[0,4]", npyFile(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 4), }"), nil},
		{"big-endian", "i16[3]", npyFile(1, "{'descr': '>i2', 'fortran_order': False, 'shape': (3,), }", six...), []byte{2, 1, 4, 3, 6, 5}},
		{"Fortran order", "u8[2,3]", npyFile(1, "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }", six...), []byte{1, 3, 5, 2, 4, 6}},
		{"Fortran order, 3 axes", "u16[1,3,1]", npyFile(1, "{'descr': '<u2', 'fortran_order': True, 'shape': (1, 3, 1), }", six...), six},
		{"bool", "bool[2]", npyFile(1, "{'descr': '|b1', 'fortran_order': False, 'shape': (2,), }", 0, 1), []byte{0, 1}},
	} {
		got, err := ReadNPY(bytes.NewReader(tc.file), noLimit)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
		} else if got.String() != tc.want || !bytes.Equal(got.Bytes(), tc.values) {
			t.Errorf("%s: %s %v, want %s %v", tc.name, got, got.Bytes(), tc.want, tc.values)
		}
	}
}

func TestReadNPYErrors(t *testing.T) {
	good := "{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }"
	for _, tc := range []struct {
		want string
		file []byte
	}{
		{"truncated", nil},
		{"truncated", npyFile(1, good, 1)},
		{"truncated .npy header", npyFile(1, good)[:20]},
		{"more bytes follow", npyFile(1, good, 1, 2, 3)},
		{"does not begin with", bytes.Repeat([]byte("x"), 30)},
		{"version 9.0", npyFile(9, good, 1, 2)},
		{"not credible", append([]byte(npyMagic), 2, 0, 255, 255, 255, 255)},
		{`"<c8" is not supported`, npyFile(1, "{'descr': '<c8', 'fortran_order': False, 'shape': (2,), }")},
		{`"|O" is not supported`, npyFile(1, "{'descr': '|O', 'fortran_order': False, 'shape': (2,), }")},
		{"structured", npyFile(1, "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }")},
		{"unknown key", npyFile(1, "{'x': 1}")},
		{"lacks", npyFile(1, "{'descr': '|u1'}")},
		{"twice", npyFile(1, "{'descr': '|u1', 'descr': '|u1'}")},
		{"not a dictionary", npyFile(1, "[]")},
		{"tuple", npyFile(1, "{'shape': (-2,), }")},
		{"impossible shape", npyFile(1, "{'descr': '|u1', 'fortran_order': False, 'shape': (4611686018427387904, 4), }")},
		{"limit of 100", npyFile(1, "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000,), }")},
		{"is 2", npyFile(1, "{'descr': '|b1', 'fortran_order': False, 'shape': (2,), }", 0, 2)},
	} {
		_, err := ReadNPY(bytes.NewReader(tc.file), 100)
		wantError(t, err, tc.want)
	}
}

func TestNPYRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dtype := rapid.SampledFrom(npyTypes).Draw(t, "type").dtype
		shape := rapid.SliceOfN(rapid.IntRange(0, 5), 0, 5).Draw(t, "shape")
		x := tensor.New(dtype, shape...)
		for i := range x.Bytes() {
			x.Bytes()[i] = rapid.Byte().Draw(t, "byte")
			if dtype == tensor.Bool {
				x.Bytes()[i] &= 1
			}
		}
		var b bytes.Buffer
		if err := WriteNPY(&b, x); err != nil {
			t.Fatal(err)
		}
		if (b.Len()-len(x.Bytes()))%64 != 0 {
			t.Errorf("the data begins at %d, not at a multiple of 64", b.Len()-len(x.Bytes()))
		}
		y, err := ReadNPY(&b, noLimit)
		if err != nil {
			t.Fatal(err)
		}
		if x.String() != y.String() || !bytes.Equal(x.Bytes(), y.Bytes()) {
			t.Errorf("%s became %s", x, y)
		}
	})
}

func TestWriteNPYWidens(t *testing.T) {
	packed, err := tensor.FromBytes(tensor.Int4, []int{3}, []byte{0x8f, 0x07})
	if err != nil {
		t.Fatal(err)
	}
	half, err := tensor.FromBytes(tensor.BFloat16, []int{1}, []byte{0x80, 0xbf})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		in   *tensor.Tensor
		want *tensor.Tensor
	}{{packed, tensor.Of([]int8{-1, -8, 7}, 3)}, {half, tensor.Of([]float32{-1}, 1)}} {
		got, err := ReadNPY(bytes.NewReader(encodeNPY(t, tc.in)), noLimit)
		if err != nil {
			t.Fatal(err)
		}
		if got.String() != tc.want.String() || !bytes.Equal(got.Bytes(), tc.want.Bytes()) {
			t.Errorf("%s: got %s %v, want %v", tc.in, got, got.Bytes(), tc.want.Bytes())
		}
	}
}

func TestHalf(t *testing.T) {
	for _, tc := range []struct {
		f float32
		h uint16
	}{
		{0, 0}, {1, 0x3c00}, {-2, 0xc000}, {65504, 0x7bff}, {65519.996, 0x7bff}, {65520, 0x7c00}, {1e10, 0x7c00},
		{1.0 / (1 << 24), 1}, {1.0 / (1 << 25), 0}, {1.5 / (1 << 24), 2}, {1.0 / (1 << 14), 0x0400}, {0.999999 / (1 << 14), 0x0400},
		{1 + 1.0/2048, 0x3c00}, {1 + 3.0/2048, 0x3c02}, {float32(math.Inf(-1)), 0xfc00}, {1.0 / 3, 0x3555},
	} {
		if got := toHalf(tc.f); got != tc.h {
			t.Errorf("toHalf(%v) = %#04x, want %#04x", tc.f, got, tc.h)
		}
	}
	for h := range 1 << 16 {
		f := fromHalf(uint16(h))
		if got := toHalf(float32(f)); got != uint16(h) && f == f {
			t.Errorf("%#04x is %v, which is %#04x", h, f, got)
		}
		if isNaN := h&0x7c00 == 0x7c00 && h&0x3ff != 0; isNaN != (f != f) || isNaN && toHalf(float32(f))&0x7fff <= 0x7c00 {
			t.Errorf("%#04x is %v", h, f)
		}
	}
}

func TestConvert(t *testing.T) {
	nan := float32(math.NaN())
	signed := &Quantized{tensor.Int8, 0.5, 10}
	for _, tc := range []struct {
		name      string
		from      *tensor.Tensor
		to        Input
		quantized *Quantized
		want      *tensor.Tensor // nil for an error
	}{
		{"same", tensor.Of([]float32{1}, 1), Input{DType: tensor.Float32}, nil, tensor.Of([]float32{1}, 1)},
		{"f64 to f32", tensor.Of([]float64{0.1}, 1), Input{DType: tensor.Float32}, nil, tensor.Of([]float32{0.1}, 1)},
		{"u8 to f32", tensor.Of([]uint8{255}, 1), Input{DType: tensor.Float32}, nil, tensor.Of([]float32{255}, 1)},
		{"i64 to i32", tensor.Of([]int64{-5, 1<<31 - 1}, 2), Input{DType: tensor.Int32}, nil, tensor.Of([]int32{-5, 1<<31 - 1}, 2)},
		{"i64 too large for i32", tensor.Of([]int64{1 << 31}, 1), Input{DType: tensor.Int32}, nil, nil},
		{"negative to unsigned", tensor.Of([]int8{-1}, 1), Input{DType: tensor.Uint64}, nil, nil},
		{"u64 too large for i64", tensor.Of([]uint64{1 << 63}, 1), Input{DType: tensor.Int64}, nil, nil},
		{"lowest i64", tensor.Of([]int64{math.MinInt64}, 1), Input{DType: tensor.Int64}, nil, tensor.Of([]int64{math.MinInt64}, 1)},
		{"bool to i64", tensor.Of([]bool{true}, 1), Input{DType: tensor.Int64}, nil, tensor.Of([]int64{1}, 1)},
		{"i64 to bool", tensor.Of([]int64{2}, 1), Input{DType: tensor.Bool}, nil, nil},
		{"whole f32 to i64", tensor.Of([]float32{-3}, 1), Input{DType: tensor.Int64}, nil, tensor.Of([]int64{-3}, 1)},
		{"f32 to i64", tensor.Of([]float32{0.5}, 1), Input{DType: tensor.Int64}, nil, nil},
		{"f32 too large", tensor.Of([]float32{1 << 31}, 1), Input{DType: tensor.Int32}, nil, nil},
		{"NaN", tensor.Of([]float32{nan}, 1), Input{DType: tensor.Int32}, nil, nil},
		{"f32 into a quantized input", tensor.Of([]float32{0, 1, -100, nan, 0.75}, 5), Input{DType: tensor.Int8, Scale: 0.5, ZeroPoint: -1}, nil,
			tensor.Of([]int8{-1, 1, -128, -1, 0}, 5)}, // 0.75/0.5-1 = 0.5, a tie
		{"declared quantized", tensor.Of([]int8{10, -128}, 2), Input{DType: tensor.Float32}, signed, tensor.Of([]float32{0, -69}, 2)},
		{"quantized for a quantized input", tensor.Of([]int8{12}, 1), Input{DType: tensor.Uint8, Scale: 1, ZeroPoint: 3}, signed, tensor.Of([]uint8{4}, 1)},
		{"quantized as it is", tensor.Of([]int8{12}, 1), Input{DType: tensor.Int8}, signed, tensor.Of([]int8{12}, 1)},
		{"another type than declared", tensor.Of([]float32{7}, 1), Input{DType: tensor.Float32}, signed, tensor.Of([]float32{7}, 1)},
	} {
		got, err := convert(tc.from, tc.to, tc.quantized)
		switch {
		case (err != nil) != (tc.want == nil):
			t.Errorf("%s: error %v", tc.name, err)
		case err == nil && (got.String() != tc.want.String() || !bytes.Equal(got.Bytes(), tc.want.Bytes())):
			t.Errorf("%s: %s %v, want %s %v", tc.name, got, got.Bytes(), tc.want, tc.want.Bytes())
		}
	}
}

// idxFile is an IDX file of unsigned bytes that count up.
func idxFile(dims ...int) []byte {
	b := []byte{0, 0, 8, byte(len(dims))}
	n := 1
	for _, d := range dims {
		b = binary.BigEndian.AppendUint32(b, uint32(d))
		n *= d
	}
	for i := range n {
		b = append(b, byte(i))
	}
	return b
}

func gzipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestManySamplesInOneFile(t *testing.T) {
	image := []Input{{Name: "x", DType: tensor.Float32, Dims: []int{-1, 1, 2, 2}}}
	vector := []Input{{Name: "x", DType: tensor.Float32, Dims: []int{1, 4}}}
	floats := make([]float32, 12)
	for i := range floats {
		floats[i] = float32(i)
	}
	raw := tensor.Of(floats, 12).Bytes()
	idx := idxFile(3, 2, 2)
	labels := append([]byte{0, 0, 8, 1, 0, 0, 0, 3}, 7, 8, 9)
	for _, tc := range []struct {
		name   string
		data   []byte
		inputs []Input
		o      Options
	}{
		{"images-idx3-ubyte", idx, image, Options{Preprocess: &Preprocess{}}},
		{"images-idx3-ubyte.gz", gzipped(t, idx), image, Options{Preprocess: &Preprocess{}, Labels: "labels"}},
		{"images-idx4-ubyte", idxFile(3, 2, 2, 1), image, Options{Preprocess: &Preprocess{}, Labels: "labels.gz"}},
		{"flat images", idx, vector, Options{Preprocess: &Preprocess{}}},
		{"vectors-idx2-ubyte", idxFile(3, 4), vector, Options{Labels: "labels.csv"}},
		{"x.npy", encodeNPY(t, tensor.Of(floats, 3, 4)), vector, Options{}},
		{"x4.npy", encodeNPY(t, tensor.Of(floats, 3, 1, 2, 2)), image, Options{}},
		{"x.raw", raw, vector, Options{}},
		{"x.bin", raw, image, Options{}},
	} {
		files := mapFS(map[string][]byte{tc.name: tc.data, "labels": labels, "labels.gz": gzipped(t, labels), "labels.csv": []byte("0,7\n1,8\n2,9\n")})
		d, err := OpenFS(files, tc.name, tc.inputs, tc.o)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		for _, s := range []struct {
			samples Samples
			from    int
		}{{d, 0}, {d.Slice(1, 3), 1}, {d, 0}, {d.Subset([]int{2}), 2}} {
			for i, sample := range all(t, s.samples) {
				i += s.from
				value := tensor.Values[float32](sample.Inputs["x"])
				if sample.ID != fmt.Sprintf("%s#%d", tc.name, i) || value[0] != float32(4*i) || value[3] != float32(4*i+3) {
					t.Errorf("%s: sample %d is %s %v", tc.name, i, sample.ID, value)
				}
				if want := map[bool]int{true: -1, false: 7 + i}[tc.o.Labels == ""]; sample.Label != want {
					t.Errorf("%s: label %d, want %d", tc.name, sample.Label, want)
				}
			}
		}
	}
	for _, tc := range []struct {
		data []byte
		want string
	}{
		{idx[:len(idx)-1], "truncated"},
		{gzipped(t, idx[:len(idx)-1]), "truncated"},
		{gzipped(t, idx)[:30], "EOF"},
		{idxFile(0, 2, 2), "no samples"},
		{gzipped(t, []byte("hello world")), "not an IDX file"},
		{append([]byte{0, 0, 8, 3}, bytes.Repeat([]byte{255}, 12)...), "impossible shape"},
	} {
		d, err := OpenFS(mapFS(map[string][]byte{"a": tc.data}), "a", image, Options{Preprocess: &Preprocess{}})
		if err == nil {
			err = firstError(d)
		}
		wantError(t, err, tc.want)
	}
}

func TestReadTensor(t *testing.T) {
	dir := t.TempDir()
	six := tensor.Of([]float32{1, 2, 3, 4, 5, 6}, 2, 3)
	for name, data := range map[string][]byte{
		"x.npy": encodeNPY(t, six), "x.raw": six.Bytes(), "x.npz": zipped(t, map[string][]byte{"y.npy": encodeNPY(t, six)}),
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		for _, dims := range [][]int{{2, 3}, {-1, 3}} {
			x, err := ReadTensor(path, Input{Name: "x", DType: tensor.Float32, Dims: dims}, Options{})
			if err != nil {
				t.Errorf("%s: %v", name, err)
			} else if x.String() != "f32[2,3]" || !bytes.Equal(x.Bytes(), six.Bytes()) {
				t.Errorf("%s: %s", name, x)
			}
		}
		_, err := ReadTensor(path, Input{Name: "x", DType: tensor.Float32, Dims: []int{7}}, Options{})
		wantError(t, err, name, "x f32[7]")
	}
	_, err := ReadTensor(filepath.Join(dir, "none.npy"), Input{Name: "x", DType: tensor.Float32}, Options{})
	wantError(t, err, "none.npy: no such file")
}

func TestReadExactlyGrowsWithTheData(t *testing.T) {
	if data, err := readAll(strings.NewReader("short"), noLimit); err != nil || len(data) != 5 {
		t.Errorf("read %d bytes without a limit, %v", len(data), err)
	}
	_, err := readExactly(strings.NewReader("short"), 1<<40, noLimit)
	wantError(t, err, "5 of 1099511627776 bytes", io.ErrUnexpectedEOF.Error())
}
