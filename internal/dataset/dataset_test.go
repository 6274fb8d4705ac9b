package dataset

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"testing/synctest"

	"golang.org/x/image/bmp"

	"github.com/octet-nn/octet/internal/testdata"
	"github.com/octet-nn/octet/tensor"
)

// rgbInput is an input that takes colour images of any size.
var rgbInput = []Input{{Name: "x", DType: tensor.Float32, Dims: []int{-1, 3, -1, -1}}}

// solid is an image of one colour.
func solid(width, height int, c color.Color) image.Image {
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	for i := range width * height {
		img.Set(i%width, i/width, c)
	}
	return img
}

func encodePNG(t testing.TB, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func encodeNPY(t testing.TB, x *tensor.Tensor) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteNPY(&b, x); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zipped(t testing.TB, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, data := range files {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func mapFS(files map[string][]byte) fstest.MapFS {
	fsys := fstest.MapFS{}
	for name, data := range files {
		fsys[name] = &fstest.MapFile{Data: data}
	}
	return fsys
}

// all reads every sample.
func all(t testing.TB, s Samples) []Sample {
	t.Helper()
	var samples []Sample
	for sample, err := range s.All(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		samples = append(samples, sample)
	}
	return samples
}

func idsOf(samples []Sample) string {
	var ids []string
	for _, s := range samples {
		ids = append(ids, s.ID)
	}
	return strings.Join(ids, " ")
}

// numbered is n files whose pixels have the value of their number.
func numbered(t testing.TB, n int) map[string][]byte {
	files := map[string][]byte{}
	for i := range n {
		c := color.RGBA{uint8(i), uint8(i), uint8(i), 255}
		files[fmt.Sprintf("d%d/%03d.png", i%3, i)] = encodePNG(t, solid(2, 2, c))
	}
	return files
}

func TestFolderAndArchiveGiveTheSameSamplesInOrder(t *testing.T) {
	files := numbered(t, 20)
	dir := t.TempDir()
	for name, data := range files {
		path := filepath.Join(dir, "folder", filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	archive := filepath.Join(dir, "samples.zip")
	if err := os.WriteFile(archive, zipped(t, files), 0o644); err != nil {
		t.Fatal(err)
	}
	var want []string
	for name := range files {
		want = append(want, name)
	}
	slices.Sort(want)
	for _, path := range []string{filepath.Join(dir, "folder"), filepath.Join(dir, "folder") + "/", archive} {
		for _, workers := range []int{1, 2, 8} {
			d, err := Open(path, rgbInput, Options{Preprocess: &Preprocess{}, Workers: workers})
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // a pass leaves nothing behind that changes the next
				samples := all(t, d)
				if got := idsOf(samples); got != strings.Join(want, " ") {
					t.Fatalf("%s: samples %s, want %s", path, got, want)
				}
				for _, s := range samples {
					value := tensor.Values[float32](s.Inputs["x"])
					number, _ := leadingInteger(s.ID[3:])
					if len(value) != 12 || value[0] != float32(number) || value[11] != value[0] {
						t.Errorf("%s: values %v", s.ID, value)
					}
				}
			}
		}
	}
}

func TestSliceAndSubset(t *testing.T) {
	d, err := OpenFS(mapFS(numbered(t, 10)), ".", rgbInput, Options{Preprocess: &Preprocess{}})
	if err != nil {
		t.Fatal(err)
	}
	whole := all(t, d)
	for _, tc := range []struct {
		name string
		part Samples
		want []Sample
	}{
		{"first", Slice(d, 0, 4), whole[:4]},
		{"rest", Slice(d, 4, 10), whole[4:]},
		{"clipped", Slice(d, -1, 99), whole},
		{"empty", Slice(d, 7, 3), nil},
		{"slice of slice", Slice(Slice(d, 2, 8), 1, 3), whole[3:5]},
		{"subset", d.Subset([]int{9, 0, 5}), []Sample{whole[0], whole[5], whole[9]}},
		{"in memory", Slice(Of(whole...), 1, 3), whole[1:3]},
		{"unknown kind", Slice(struct{ Samples }{Of(whole...)}, 2, 5), whole[2:5]},
	} {
		got := all(t, tc.part)
		if idsOf(got) != idsOf(tc.want) || tc.part.Len() != len(tc.want) {
			t.Errorf("%s: %s (Len %d), want %s", tc.name, idsOf(got), tc.part.Len(), idsOf(tc.want))
		}
	}
}

func TestUnreadableImagesAreSkipped(t *testing.T) {
	files := numbered(t, 5)
	files["bad.png"] = files["d0/000.png"][:40]
	files["empty.jpg"] = nil
	files["text.gif"] = []byte("hello")
	d, err := OpenFS(mapFS(files), ".", rgbInput, Options{Preprocess: &Preprocess{}})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got := len(all(t, d)); got != 5 {
			t.Errorf("%d samples, want 5", got)
		}
	}
	var skipped []string
	for _, s := range d.Skipped() {
		skipped = append(skipped, s.ID)
	}
	if got := strings.Join(skipped, " "); got != "bad.png empty.jpg text.gif" {
		t.Errorf("skipped %s", got)
	}
	for name := range files {
		if strings.HasPrefix(name, "d") {
			delete(files, name)
		}
	}
	if d, err = OpenFS(mapFS(files), ".", rgbInput, Options{Preprocess: &Preprocess{}}); err != nil {
		t.Fatal(err)
	}
	wantError(t, firstError(d), "none of 3 files could be read", "bad.png")
}

func firstError(s Samples) error {
	for _, err := range s.All(context.Background()) {
		if err != nil {
			return err
		}
	}
	return nil
}

func wantError(t testing.TB, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one with %q", parts)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q lacks %q", err, part)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	two := []Input{{"a", tensor.Float32, []int{1, 2}, 0, 0}, {"b", tensor.Float32, []int{1, 2}, 0, 0}}
	vector := []Input{{Name: "x", DType: tensor.Float32, Dims: []int{-1, 4}}}
	pixel := encodePNG(t, solid(1, 1, color.White))
	for _, tc := range []struct {
		name   string
		files  map[string][]byte
		path   string
		inputs []Input
		o      Options
		want   []string
	}{
		{"missing", nil, "nowhere", rgbInput, Options{}, []string{"nowhere", "no such file or folder"}},
		{"empty folder", map[string][]byte{"dir/.keep": nil}, "dir", rgbInput, Options{}, []string{"dir", "only .keep"}},
		{"other files", map[string][]byte{"d/a.txt": nil, "d/b.mp3": nil}, "d", rgbInput, Options{}, []string{"a.txt, b.mp3", ".jpg"}},
		{"unknown type", map[string][]byte{"a.txt": []byte("hello")}, "a.txt", rgbInput, Options{}, []string{"a.txt", "unknown type", ".npy"}},
		{"empty file", map[string][]byte{"a.npy": nil}, "a.npy", vector, Options{}, []string{"empty"}},
		{"no inputs", map[string][]byte{"a.png": pixel}, "a.png", nil, Options{}, []string{"no inputs"}},
		{"images without preprocessing", map[string][]byte{"a.png": pixel}, ".", rgbInput, Options{}, []string{"preprocessing", "imagenet"}},
		{"images for a vector of another size", map[string][]byte{"a.png": pixel}, "a.png", vector, Options{Preprocess: &Preprocess{}},
			[]string{"a.png", "[1,4]", "1x1"}},
		{"images for two inputs", map[string][]byte{"a.png": pixel}, ".", two, Options{Preprocess: &Preprocess{}}, []string{"2 inputs (a, b)", ".npz", "a/ b/"}},
		{"wrong array", map[string][]byte{"a.npy": encodeNPY(t, tensor.New(tensor.Float32, 3))}, "a.npy", vector, Options{}, []string{"a.npy", "f32[1,4]", "f32[3]"}},
		{"wrong batch", map[string][]byte{"a.npy": encodeNPY(t, tensor.New(tensor.Float32, 3, 5))}, "a.npy", vector, Options{}, []string{"f32[3,5]", "[1,4]"}},
		{"truncated array", map[string][]byte{"a.npy": encodeNPY(t, tensor.New(tensor.Float32, 3, 4))[:150]}, "a.npy", vector, Options{}, []string{"needs 48 bytes, the file has 22"}},
		{"wrong raw", map[string][]byte{"a.raw": make([]byte, 15)}, "a.raw", vector, Options{}, []string{"wants 16 bytes (f32), found 15"}},
		{"raw of bytes", map[string][]byte{"d/a.bin": make([]byte, 4)}, "d", vector, Options{}, []string{"a.bin", "found 4", "quantized"}},
		{"missing input", map[string][]byte{"a/s.npy": nil, "a/t.npy": nil, "b/t.npy": nil}, ".", two, Options{}, []string{"1 sample without a file for each of the 2 inputs: s"}},
		{"zip bomb", map[string][]byte{"a.zip": zipped(t, map[string][]byte{"a.raw": make([]byte, 5000)})}, "a.zip", vector, Options{Limits: Limits{Bytes: 1000}}, []string{"limit of 1000 bytes"}},
		{"too many pixels", map[string][]byte{"a.png": pixel, "b.png": encodePNG(t, solid(30, 40, color.White))}, "b.png", rgbInput,
			Options{Preprocess: &Preprocess{}, Limits: Limits{Pixels: 1000}}, []string{"30×40", "limit of 1000"}},
		{"too many files", map[string][]byte{"d/a.png": pixel, "d/b.png": pixel}, "d", rgbInput, Options{Preprocess: &Preprocess{}, Limits: Limits{Files: 1}}, []string{"limit of 1"}},
		{"broken zip", map[string][]byte{"a.zip": []byte("PK\x03\x04 and so on")}, "a.zip", rgbInput, Options{}, []string{"a.zip", "zip"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d, err := OpenFS(mapFS(tc.files), tc.path, tc.inputs, tc.o)
			if err == nil {
				err = firstError(d)
			}
			wantError(t, err, tc.want...)
		})
	}
}

func TestCancellation(t *testing.T) {
	d, err := OpenFS(mapFS(numbered(t, 50)), ".", rgbInput, Options{Preprocess: &Preprocess{}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	n := 0
	for _, err := range d.All(ctx) {
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
			return
		}
		if n++; n == 3 {
			cancel()
		}
		if n > 3 {
			t.Fatal("samples after the cancellation")
		}
	}
	t.Error("the pass ended without an error")
}

func TestSeveralInputs(t *testing.T) {
	inputs := []Input{
		{Name: "tokens:0", DType: tensor.Int64, Dims: []int{-1, -1}},
		{Name: "mask", DType: tensor.Float32, Dims: []int{1, 2}},
	}
	tokens := encodeNPY(t, tensor.Of([]int32{7, 8, 9}, 3))
	mask := encodeNPY(t, tensor.Of([]float32{0.5, 1}, 1, 2))
	for name, files := range map[string]map[string][]byte{
		"folder for each":  {"tokens_0/a.npy": tokens, "mask/a.npy": mask},
		"arrays in an npz": {"a.npz": zipped(t, map[string][]byte{"tokens:0.npy": tokens, "mask.npy": mask, "extra.npy": mask})},
		"raw and array":    {"tokens:0/a.npy": tokens, "mask/a.raw": tensor.Of([]float32{0.5, 1}, 2).Bytes()},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := OpenFS(mapFS(map[string][]byte{"z.zip": zipped(t, files)}), "z.zip", inputs, Options{})
			if err != nil {
				t.Fatal(err)
			}
			s := all(t, d)
			if len(s) != 1 {
				t.Fatalf("%d samples", len(s))
			}
			if x := s[0].Inputs["tokens:0"]; x.String() != "i64[1,3]" || tensor.Values[int64](x)[2] != 9 {
				t.Errorf("tokens %s", x)
			}
			if x := s[0].Inputs["mask"]; x.String() != "f32[1,2]" || tensor.Values[float32](x)[0] != 0.5 {
				t.Errorf("mask %s", x)
			}
		})
	}
	d, err := OpenFS(mapFS(map[string][]byte{"a.npz": zipped(t, map[string][]byte{"mask.npy": mask})}), "a.npz", inputs, Options{})
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, firstError(d), "a.npz", "no array for input tokens:0; it has mask")
}

func TestImageFormats(t *testing.T) {
	img := solid(4, 3, color.RGBA{200, 100, 50, 255})
	indexed := image.NewPaletted(img.Bounds(), color.Palette{color.RGBA{200, 100, 50, 255}, color.Black})
	var jpg, bm, animation bytes.Buffer
	if err := errors.Join(jpeg.Encode(&jpg, img, &jpeg.Options{Quality: 100}), bmp.Encode(&bm, img), gif.Encode(&animation, indexed, nil)); err != nil {
		t.Fatal(err)
	}
	gray16 := image.NewGray16(image.Rect(0, 0, 4, 3))
	for i := range 12 {
		gray16.SetGray16(i%4, i/4, color.Gray16{0x80ff})
	}
	for _, tc := range []struct {
		name      string
		data      []byte
		want      [3]byte
		tolerance int
	}{
		{"png", encodePNG(t, img), [3]byte{200, 100, 50}, 0},
		{"jpeg", jpg.Bytes(), [3]byte{200, 100, 50}, 2},
		{"bmp", bm.Bytes(), [3]byte{200, 100, 50}, 0},
		{"gif", animation.Bytes(), [3]byte{200, 100, 50}, 0},
		{"16-bit gray", encodePNG(t, gray16), [3]byte{128, 128, 128}, 0},
		{"half transparent red", encodePNG(t, solid(4, 3, color.NRGBA{255, 0, 0, 128})), [3]byte{255, 127, 127}, 0},
		{"transparent", encodePNG(t, solid(4, 3, color.NRGBA{9, 9, 9, 0})), [3]byte{255, 255, 255}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d, err := OpenFS(mapFS(map[string][]byte{"image": tc.data}), "image", rgbInput, Options{Preprocess: &Preprocess{}})
			if err != nil {
				t.Fatal(err)
			}
			x := all(t, d)[0].Inputs["x"]
			if x.String() != "f32[1,3,3,4]" {
				t.Fatalf("%s", x)
			}
			for i, v := range tensor.Values[float32](x) {
				if diff := int(v) - int(tc.want[i/12]); diff < -tc.tolerance || diff > tc.tolerance {
					t.Fatalf("element %d is %v, want %v", i, v, tc.want)
				}
			}
		})
	}
}

func TestWebP(t *testing.T) {
	// One transparent pixel, lossless; there is no encoder to make more.
	file := "RIFF\x1a\x00\x00\x00WEBPVP8L\x0d\x00\x00\x00\x2f\x00\x00\x00\x10\x07\x10\x11\x11\x88\x88\xfe\x07\x00"
	p, err := decodeImage([]byte(file), 1)
	if err != nil {
		t.Fatal(err)
	}
	if p.width != 1 || p.height != 1 || !bytes.Equal(p.pixels, []byte{255, 255, 255}) {
		t.Errorf("%d×%d %v", p.width, p.height, p.pixels)
	}
}

func TestOrientation(t *testing.T) {
	// A picture with pixels 1 2 3 / 4 5 6, stored so that each orientation must bring it back.
	upright := &picture{3, 2, 1, []byte{1, 2, 3, 4, 5, 6}}
	for orientation, stored := range map[int]*picture{
		1: upright,
		2: {3, 2, 1, []byte{3, 2, 1, 6, 5, 4}},
		3: {3, 2, 1, []byte{6, 5, 4, 3, 2, 1}},
		4: {3, 2, 1, []byte{4, 5, 6, 1, 2, 3}},
		5: {2, 3, 1, []byte{1, 4, 2, 5, 3, 6}},
		6: {2, 3, 1, []byte{3, 6, 2, 5, 1, 4}}, // turned 90° counterclockwise
		7: {2, 3, 1, []byte{6, 3, 5, 2, 4, 1}},
		8: {2, 3, 1, []byte{4, 1, 5, 2, 6, 3}}, // turned 90° clockwise
		9: upright,
	} {
		got := stored.oriented(orientation)
		if got.width != 3 || got.height != 2 || !bytes.Equal(got.pixels, upright.pixels) {
			t.Errorf("orientation %d: %d×%d %v", orientation, got.width, got.height, got.pixels)
		}
	}
	exif := "Exif\x00\x00MM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00"
	file := "\xff\xd8\xff\xe0\x00\x04ab\xff\xe1" + string([]byte{0, byte(len(exif) + 2)}) + exif + "\xff\xda\x00\x02"
	for n := range len(file) + 1 {
		want := 1
		if n >= len(file)-4 {
			want = 6
		}
		if got := exifOrientation([]byte(file[:n])); got != want {
			t.Errorf("orientation of the first %d of %d bytes is %d, want %d", n, len(file), got, want)
		}
	}
}

func TestKeywordSpottingSamples(t *testing.T) {
	path := testdata.Shared(t, "data", "kws01_even.zip")
	d, err := Open(path, []Input{{Name: "input_1", DType: tensor.Float32, Dims: []int{1, 49, 10, 1}}}, Options{
		Preprocess: &Preprocess{Quantized: &Quantized{tensor.Int8, 0.5847029, 83}}, Labels: "y_labels.csv"})
	if err != nil {
		t.Fatal(err)
	}
	if d.Len() != 500 {
		t.Fatalf("%d samples, want 500", d.Len())
	}
	for i, s := range all(t, d.Slice(0, 20)) {
		var want int
		if _, err := fmt.Sscanf(s.ID[strings.LastIndexByte(s.ID, '_')+1:], "%d.bin", &want); err != nil || s.Label != want {
			t.Errorf("sample %d, %s: label %d, want %d", i, s.ID, s.Label, want)
		}
		for _, v := range tensor.Values[float32](s.Inputs["input_1"]) {
			if v < -211*0.5847030 || v > 44*0.5847030 {
				t.Fatalf("%s: %v is outside the range of int8 with this quantization", s.ID, v)
			}
		}
	}
}

// countingSource gives empty samples and counts those that were fetched.
type countingSource struct {
	n       int
	fetched atomic.Int64
	closed  atomic.Int64
}

func (s *countingSource) len() int                   { return s.n }
func (s *countingSource) id(i int) string            { return fmt.Sprint(i) }
func (s *countingSource) open() (reader, error)      { return s, nil }
func (s *countingSource) fetch(int) (payload, error) { s.fetched.Add(1); return nil, nil }
func (s *countingSource) close() error               { s.closed.Add(1); return nil }
func (s *countingSource) decode(int, payload) (map[string]*tensor.Tensor, error) {
	return nil, nil
}

func TestFewSamplesAreReadAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &countingSource{n: 100}
		d := &Dataset{source: s, workers: 3}
		used := 0
		for range d.All(t.Context()) {
			used++
			synctest.Wait() // until nobody can read further
			if ahead := int(s.fetched.Load()) - used; ahead > d.workers+1 {
				t.Fatalf("%d samples were read ahead of sample %d", ahead, used)
			}
			if used == 50 {
				break
			}
		}
		synctest.Wait()
		if s.closed.Load() != 1 || s.fetched.Load() > int64(used+d.workers+1) {
			t.Errorf("after the end: closed %d times, %d samples fetched", s.closed.Load(), s.fetched.Load())
		}
	})
}

// plainFS hides that its files can be read at any place.
type plainFS struct{ fs.FS }

type plainFile struct{ fs.File }

func (p plainFS) Open(name string) (fs.File, error) {
	f, err := p.FS.Open(name)
	return plainFile{f}, err
}

func TestPlainFileSystem(t *testing.T) {
	vector := []Input{{Name: "x", DType: tensor.Float32, Dims: []int{-1, 2}}}
	x := encodeNPY(t, tensor.Of([]float32{1, 2, 3, 4, 5, 6}, 3, 2))
	files := plainFS{mapFS(map[string][]byte{
		"a.npy": x, "b.zip": zipped(t, map[string][]byte{"b.raw": make([]byte, 8), "c.npy": encodeNPY(t, tensor.New(tensor.Float64, 2))})})}
	for name, want := range map[string]string{"a.npy": "a.npy#1 a.npy#2", "b.zip": "c.npy"} {
		d, err := OpenFS(files, name, vector, Options{})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if got := idsOf(all(t, d.Slice(1, d.Len()))); got != want {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
		}
		if d.ID(1) != strings.Fields(want)[0] || d.Label(1) != -1 {
			t.Errorf("%s: sample 1 is %s, label %d", name, d.ID(1), d.Label(1))
		}
	}
	_, err := OpenFS(files, "b.zip", vector, Options{Limits: Limits{Bytes: 10}})
	wantError(t, err, "b.zip", "limit of 10")
}

func TestLinksAndHiddenFiles(t *testing.T) {
	dir := t.TempDir()
	pixel := encodePNG(t, solid(1, 1, color.White))
	for _, name := range []string{"a.png", ".b.png", "__MACOSX/c.png", ".git/d.png", "sub/e.PNG"} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, pixel, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{"f.png": "a.png", "loop": ".", "g.png": "nowhere"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Skipf("SKIP: no symbolic links here: %v", err)
		}
	}
	d, err := Open(dir, rgbInput, Options{Preprocess: &Preprocess{}})
	if err != nil {
		t.Fatal(err)
	}
	if got := idsOf(all(t, d)); got != "a.png f.png sub/e.PNG" {
		t.Errorf("samples %s", got)
	}
}

func TestRawFiles(t *testing.T) {
	q := &Preprocess{Quantized: &Quantized{tensor.Int8, 2, 1}}
	for _, tc := range []struct {
		name string
		in   Input
		p    *Preprocess
		file []byte
		want string // the sample's type, or an error
		err  string
	}{
		{"float", Input{DType: tensor.Float32, Dims: []int{1, 2}}, nil, make([]byte, 8), "f32[1,2]", ""},
		{"integers", Input{DType: tensor.Int64, Dims: []int{1, 2}}, nil, make([]byte, 16), "i64[1,2]", ""},
		{"floats for integers", Input{DType: tensor.Int64, Dims: []int{1, 2}}, nil, make([]byte, 8), "i64[1,2]", ""},
		{"quantized", Input{DType: tensor.Float32, Dims: []int{1, 2}}, q, make([]byte, 2), "f32[1,2]", ""},
		{"floats although quantized", Input{DType: tensor.Float32, Dims: []int{1, 2}}, q, make([]byte, 8), "f32[1,2]", ""},
		{"one unknown", Input{DType: tensor.Int32, Dims: []int{-1, -1, 2}}, nil, make([]byte, 24), "i32[1,3,2]", ""},
		{"one unknown, a fraction", Input{DType: tensor.Int32, Dims: []int{-1, -1, 2}}, nil, make([]byte, 20), "", "no whole number"},
		{"two unknown", Input{DType: tensor.Float32, Dims: []int{-1, -1, -1}}, nil, make([]byte, 24), "", "unknown dimensions"},
		{"quantized, wrong", Input{DType: tensor.Float32, Dims: []int{1, 2}}, q, make([]byte, 3), "", "wants 2 bytes (i8) or 8 bytes (f32), found 3"},
		{"integers, wrong", Input{DType: tensor.Int64, Dims: []int{1, 2}}, nil, make([]byte, 3), "", "wants 16 bytes (i64) or 8 (f32), found 3"},
	} {
		tc.in.Name = "x"
		d, err := OpenFS(mapFS(map[string][]byte{"d/a.raw": tc.file}), "d", []Input{tc.in}, Options{Preprocess: tc.p})
		if err == nil {
			err = firstError(d)
		}
		if tc.err != "" {
			wantError(t, err, "a.raw", tc.err)
		} else if err != nil {
			t.Errorf("%s: %v", tc.name, err)
		} else if got := all(t, d)[0].Inputs["x"].String(); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
}
