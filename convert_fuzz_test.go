package octet

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/octet-nn/octet/internal/testdata"
)

// FuzzConvert loads files of any format and writes what loads in both formats. Nothing may panic, and what was written
// loads again.
func FuzzConvert(f *testing.F) {
	const largest = 64 << 10
	files := []string{filepath.Join("cmd", "octet", "assets", "kws.onnx")}
	if root := testdata.SharedRoot(); root != "" {
		for _, pattern := range []string{"onnx/mnist*.onnx", "onnx/ort_quant_tests/*.onnx", "tflite/*/*.tflite"} {
			found, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(pattern)))
			if err != nil {
				f.Fatal(err)
			}
			files = append(files, found...)
		}
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		if len(data) <= largest {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		load := func(data []byte) (*Model, error) {
			return Read(fstest.MapFS{"m": &fstest.MapFile{Data: data}}, "m", LoadOptions{})
		}
		m, err := load(data)
		if err != nil {
			return
		}
		m.Inspect()
		if err := m.WriteText(io.Discard); err != nil {
			t.Error(err)
		}
		for _, format := range []string{formatONNX, formatTFLite} {
			var out bytes.Buffer
			if err := m.Write(&out, SaveOptions{Format: format}); err != nil {
				continue // what cannot be expressed
			}
			if _, err := load(out.Bytes()); err != nil {
				t.Errorf("the %s file that was written: %v", format, err)
			}
		}
	})
}
