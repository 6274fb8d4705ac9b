package dataset

import (
	"bytes"
	"image/color"
	"testing"

	"github.com/octet-nn/octet/tensor"
)

func FuzzReadNPY(f *testing.F) {
	f.Add(encodeNPY(f, tensor.Of([]float32{1, 2, 3, 4, 5, 6}, 2, 3)))
	f.Add(npyFile(1, "{'descr': '>i2', 'fortran_order': True, 'shape': (1, 2), }", 1, 2, 3, 4))
	f.Add(npyFile(3, "{'descr': '|b1', 'fortran_order': False, 'shape': (), }", 1))
	f.Add(npyFile(1, "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000, 0), }"))
	f.Fuzz(func(t *testing.T, data []byte) {
		x, err := ReadNPY(bytes.NewReader(data), 1<<20)
		if err != nil {
			return
		}
		y, err := ReadNPY(bytes.NewReader(encodeNPY(t, x)), 1<<20)
		if err != nil || x.String() != y.String() || !bytes.Equal(x.Bytes(), y.Bytes()) {
			t.Errorf("%s became %s, %v", x, y, err)
		}
	})
}

func FuzzReadNPZ(f *testing.F) {
	array := encodeNPY(f, tensor.Of([]float32{1, 2}, 2))
	f.Add(zipped(f, map[string][]byte{"x.npy": array}))
	f.Add(zipped(f, map[string][]byte{"x.npy": array, "../y.npy": array, "z.txt": nil}))
	f.Add(zipped(f, nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		arrays, err := ReadNPZ(data, 1<<20)
		if err != nil {
			return
		}
		total := 0
		for _, x := range arrays {
			total += len(x.Bytes())
		}
		if total > 1<<20 {
			t.Errorf("%d bytes are above the limit", total)
		}
	})
}

func FuzzIDX(f *testing.F) {
	f.Add(idxFile(2, 2, 2))
	f.Add(idxFile(2, 4))
	f.Add(gzipped(f, idxFile(3, 1, 1, 3)))
	f.Add([]byte{0, 0, 0x0d, 2, 0, 0, 0, 1, 0, 0, 0, 1, 0x3f, 0x80, 0, 0})
	f.Add(gzipped(f, []byte{0, 0, 8, 3, 0x20, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1})) // half a billion samples, it says
	f.Fuzz(func(t *testing.T, data []byte) {
		inputs := []Input{{Name: "x", DType: tensor.Float32, Dims: []int{-1, 1, 2, 2}}}
		o := Options{Preprocess: &Preprocess{}, Workers: 1, Limits: Limits{Pixels: 1 << 10, Bytes: 1 << 14, Files: 100}} // small, so that a decompression bomb is soon over
		d, err := OpenFS(mapFS(map[string][]byte{"a": data}), "a", inputs, o)
		if err != nil {
			return
		}
		// One after the other and not through All: goroutines that outlive an execution stall the fuzzer's minimizer.
		r, err := d.source.open()
		if err != nil {
			return
		}
		defer r.close()
		for i := range min(d.Len(), 8) {
			p, err := r.fetch(i)
			if err != nil {
				break
			}
			in, err := r.decode(i, p)
			if err != nil {
				break
			}
			if x := in["x"].String(); x != "f32[1,1,2,2]" {
				t.Fatalf("a sample is %s", x)
			}
		}
		if _, err := readIDXLabels(bytes.NewReader(data), 1<<14); err != nil {
			return
		}
	})
}

func FuzzLabels(f *testing.F) {
	f.Add([]byte("file,label\na.raw,3\n"))
	f.Add([]byte("a.raw, 12, 3\r\n\"b\"\"c\",1,dog\n"))
	f.Add([]byte("\xef\xbb\xbf# x\n..\\a,cat"))
	f.Fuzz(func(t *testing.T, data []byte) {
		labels, err := parseLabels("l.csv", data, []string{"cat", "dog"})
		if err != nil {
			return
		}
		for name, label := range labels {
			if label < 0 {
				t.Errorf("%s has the label %d", name, label)
			}
		}
	})
}

func FuzzPreprocess(f *testing.F) {
	f.Add("preset: imagenet\ncrop: 192\n")
	f.Add("{resize: fit 320x240, scale: 1/128, mean: [1, 2, 3], quantized: {type: u8, scale: 0.5, zero_point: 3}}")
	f.Add("a: &a {b: *a}\n<<: *a\n")
	f.Add("crop: [\n  - x: |\n     y")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePreprocess("p", text)
		if err != nil {
			return
		}
		q, err := ParsePreprocess("p", p.String())
		if err != nil || !p.Equal(q) {
			t.Errorf("%s was read as %v, %v", p, q, err)
		}
	})
}

func FuzzImage(f *testing.F) {
	f.Add(encodePNG(f, solid(2, 2, color.RGBA{255, 0, 0, 255})))
	f.Add([]byte("\xff\xd8\xff\xe1\x00\x10Exif\x00\x00II\x2a\x00\x08\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		exifOrientation(data)
		p, err := decodeImage(data, 1<<16)
		if err == nil && len(p.pixels) != p.width*p.height*p.channels {
			t.Errorf("%d×%d×%d with %d bytes", p.width, p.height, p.channels, len(p.pixels))
		}
	})
}
