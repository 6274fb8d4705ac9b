package main

import (
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/octet-nn/octet/internal/testdata"
)

func writeFile(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestQuantizeStat(t *testing.T) {
	log := writeFile(t, filepath.Join(t.TempDir(), "range_log"), "* Run 'net' with round=1\nI a.cc:1] Tensor range @@a:0@@-1,0.0000001\nI a.cc:1] Tensor range @@a:0@@-3,2\nI a.cc:1] Tensor range @@c@@5,5\n")
	r := succeed(t, "quantize-stat", "--log_file", log)
	if r.stdout != "a:0@@-3,2\nc@@4.98046875,5.01953125\n" || !strings.Contains(r.stderr, "Warning: c: its least value 5 is not below its greatest 5") {
		t.Errorf("%q\n%s", r.stdout, r.stderr)
	}
	if r := succeed(t, "quantize-stat", "--log_file", log, "--percentile", "12.5", "--format", "mace"); !strings.HasPrefix(r.stdout, "a:0@@-2.750000,1.750000\n") {
		t.Errorf("%q", r.stdout)
	}
	empty := writeFile(t, filepath.Join(t.TempDir(), "empty"), "nothing\n")
	fail(t, 1, []string{"no line with", "octet run --config"}, "quantize-stat", "--log_file", empty)
	fail(t, 1, []string{"no such file"}, "quantize-stat", "--log_file", empty+"x")
	fail(t, 2, []string{"--log_file"}, "quantize-stat")
	fail(t, 2, []string{"exact or mace"}, "quantize-stat", "--log_file", log, "--format", "x")
	fail(t, 2, []string{"percentile 70"}, "quantize-stat", "--log_file", log, "--percentile", "70")
}

// TestQuantizeStatOfMACE runs the command as MACE's documentation has it, on MACE's own log.
func TestQuantizeStatOfMACE(t *testing.T) {
	want, err := os.ReadFile(testdata.Shared(t, "mace", "resnet8_cifar10", "overall_range_percentile5enhance"))
	if err != nil {
		t.Fatal(err)
	}
	log := testdata.Shared(t, "mace", "resnet8_cifar10", "range_log")
	r := succeed(t, "quantize-stat", "--log_file", log, "--percentile", "5", "--enhance", "--enhance_ratio", "10", "--format", "mace")
	if r.stdout != string(want) || r.stderr != "" {
		t.Errorf("got\n%s\n%s", r.stdout, r.stderr)
	}
}

func TestImageToTensor(t *testing.T) {
	in, out := t.TempDir(), filepath.Join(t.TempDir(), "deep", "samples")
	f, err := os.Create(filepath.Join(in, "gray.one.png"))
	if err != nil {
		t.Fatal(err)
	}
	if err := png.Encode(f, image.NewGray(image.Rect(0, 0, 3, 2))); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	succeed(t, "image-to-tensor", "--input", in, "--output_dir", out, "--image_shape", "4,5,3")
	succeed(t, "image-to-tensor", "--input", in, "--output_dir", out, "--image_shape", "4, 5, 1", "--mean", "51", "--prefix", "in:put")
	for name, size := range map[string]int64{"gray.one.dat": 4 * 4 * 5 * 3, "in_put_gray.one": 4 * 4 * 5} {
		if info, err := os.Stat(filepath.Join(out, name)); err != nil || info.Size() != size {
			t.Errorf("%s: %v %v", name, info, err)
		}
	}
	writeFile(t, filepath.Join(in, "text.jpg"), "no image")
	r := succeed(t, "image-to-tensor", "--input", in, "--output_dir", out, "--image_shape", "4,5,3")
	for _, part := range []string{"wrote 1 files", "1 of 2 images", "text.jpg: not a JPEG"} {
		if !strings.Contains(r.stderr, part) {
			t.Errorf("stderr lacks %q:\n%s", part, r.stderr)
		}
	}
	fail(t, 1, []string{"none of 1 images", "text.jpg: not a JPEG"}, "image-to-tensor", "--input", filepath.Join(in, "text.jpg"), "--output_dir", out, "--image_shape", "4,5,3")
	fail(t, 2, []string{"height,width,channels"}, "image-to-tensor", "--input", in, "--image_shape", "4x5x3")
	fail(t, 2, []string{"1 means for 3"}, "image-to-tensor", "--input", in, "--image_shape", "4,5,3", "--mean", "1")
	fail(t, 2, []string{"--input"}, "image-to-tensor")
	fail(t, 1, []string{"has no files"}, "image-to-tensor", "--input", t.TempDir(), "--output_dir", out, "--image_shape", "4,5,3")
}
