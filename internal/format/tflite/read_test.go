package tflite

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/octet-nn/octet/internal/format"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/testdata"
)

func sharedFiles(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(testdata.Shared(t, "tflite"), "*", "*.tflite"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	return files
}

func TestSharedFilesAreRead(t *testing.T) {
	for _, path := range sharedFiles(t) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		g, err := Read(data, Options{File: filepath.Base(path)})
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if len(g.Inputs) == 0 || len(g.Outputs) == 0 {
			t.Errorf("%s has %d inputs and %d outputs", path, len(g.Inputs), len(g.Outputs))
		}
	}
}

// Weights must not be copied: what a model takes beside its file is small.
func TestWeightsArePartsOfTheFile(t *testing.T) {
	data, err := os.ReadFile(testdata.Shared(t, "tflite", "imagenet", "mobilenet_v1_0.25_128_quant.tflite"))
	if err != nil {
		t.Fatal(err)
	}
	g, err := Read(data, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range g.Values() {
		if v.Const == nil || v.Const.Len() < 1000 {
			continue
		}
		b := v.Const.Bytes()
		first := b[0]
		i := strings.Index(string(data), string(b))
		data[i]++
		if b[0] == first {
			t.Errorf("%s is a copy", v.Name)
		}
		data[i]--
	}
}

func TestFilesThatAreNone(t *testing.T) {
	for name, data := range map[string]string{
		"empty": "", "short": "\x04\x00\x00\x00TFL", "other": "\x04\x00\x00\x00ONNX....",
		"offset beyond the end": "\xff\xff\xff\x7fTFL3", "offset to itself": "\x00\x00\x00\x00TFL3",
		"table beyond the end": "\x08\x00\x00\x00TFL3\x01", "fields before the file": "\x08\x00\x00\x00TFL3\xff\x00\x00\x00\x00\x00",
	} {
		_, err := Read([]byte(data), Options{File: "m.tflite"})
		var e *format.Error
		if !errors.As(err, &e) || e.File != "m.tflite" {
			t.Errorf("%s: %v is no *format.Error with the file's name", name, err)
		}
	}
}

// A file with any one byte or word changed is read or refused; it never makes the reader panic.
func TestDamagedFiles(t *testing.T) {
	data, err := os.ReadFile(testdata.Shared(t, "tflite", "mlperf_tiny", "kws_int8.tflite"))
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		damaged := append([]byte(nil), data...)
		at := random.IntN(len(damaged) - 4)
		switch random.IntN(3) {
		case 0:
			damaged[at] = byte(random.Uint32())
		case 1:
			copy(damaged[at&^3:], "\xff\xff\xff\xff")
		default:
			damaged = damaged[:at]
		}
		if g, err := Read(damaged, Options{}); err == nil {
			_, _ = op.Infer(g)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("\x08\x00\x00\x00TFL3"))
	f.Fuzz(func(t *testing.T, data []byte) {
		g, err := Read(data, Options{})
		if err != nil {
			return
		}
		if err := g.Check(); err != nil {
			t.Errorf("an illegal graph was read: %v", err)
		}
	})
}
