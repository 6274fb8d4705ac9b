package octet

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/octet-nn/octet/internal/testdata"
	"github.com/octet-nn/octet/tensor"
)

// The golden files are what TensorFlow Lite's built-in kernels answered, for every file that its version 2.9 runs.
// Integer files have to give the same bytes; answers of float files may be at most 1e-4 of the largest output off.
func TestTFLiteFilesGiveStockAnswers(t *testing.T) {
	golden := testdata.Shared(t, "golden", "tflite")
	files, err := filepath.Glob(filepath.Join(testdata.Shared(t, "tflite"), "*", "*.tflite"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no TensorFlow Lite files in the shared folder: %v", err)
	}
	for _, path := range files {
		name := filepath.Base(filepath.Dir(path)) + "__" + strings.TrimSuffix(filepath.Base(path), ".tflite")
		t.Run(name, func(t *testing.T) {
			model, err := Load(path, LoadOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for _, reference := range []bool{false, true} {
				if reference && testing.Short() {
					continue
				}
				s, err := model.Compile(CompileOptions{Reference: reference, Threads: 1})
				if unsupported := (*UnsupportedError)(nil); errors.As(err, &unsupported) {
					t.Skipf("SKIP: %v", err)
				}
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				compareWithStock(t, s, model, filepath.Join(golden, name), reference)
			}
		})
	}
}

// compareWithStock runs the samples at a path prefix, one of them by the reference.
func compareWithStock(t *testing.T, s *Session, model *Model, prefix string, reference bool) {
	t.Helper()
	samples := 4
	if reference {
		samples = 1
	}
	total, same, worst, compared := 0, 0, 0.0, 0
	for k := range samples {
		in := map[string]*tensor.Tensor{}
		for i, v := range model.Inputs() {
			data, err := os.ReadFile(fmt.Sprintf("%s.s%d.in%d.raw", prefix, k, i))
			if err != nil { // a file that version 2.9 refuses
				data = tensor.New(v.DType, v.Shape...).Bytes()
			}
			if in[v.Name], err = tensor.FromBytes(v.DType, v.Shape, data); err != nil {
				t.Fatal(err)
			}
		}
		out, err := s.Run(context.Background(), in)
		if err != nil {
			t.Fatal(err)
		}
		for j, v := range model.Outputs() {
			want, err := os.ReadFile(fmt.Sprintf("%s.s%d.out.%d.raw", prefix, k, j))
			if err != nil {
				continue
			}
			compared++
			got := out[v.Name]
			if len(got.Bytes()) != len(want) {
				t.Fatalf("output %s has %d bytes, wants %d", got, len(got.Bytes()), len(want))
			}
			if v.DType == tensor.Float32 {
				wanted, _ := tensor.FromBytes(v.DType, got.Shape(), want)
				worst = max(worst, largestDifference(tensor.Values[float32](got), tensor.Values[float32](wanted)))
				continue
			}
			total += len(want)
			for i := range want {
				if got.Bytes()[i] == want[i] {
					same++
				}
			}
		}
	}
	by := "compiled"
	if reference {
		by = "reference"
	}
	switch {
	case compared == 0:
		t.Logf("%s: runs; there is nothing to compare with", by)
	case total > 0:
		t.Logf("%s: %d of %d bytes equal", by, same, total)
		if same != total {
			t.Errorf("%s: %d bytes differ", by, total-same)
		}
	default:
		t.Logf("%s: largest difference %.2g of the largest output", by, worst)
		if !(worst <= 1e-4) {
			t.Errorf("%s: differs by more than 1e-4", by)
		}
	}
}

// largestDifference is relative to the largest wanted value.
func largestDifference(got, want []float32) float64 {
	scale, worst := 0.0, 0.0
	for i, w := range want {
		scale = max(scale, math.Abs(float64(w)))
		d := math.Abs(float64(got[i]) - float64(w))
		if math.IsNaN(d) {
			return math.Inf(1)
		}
		worst = max(worst, d)
	}
	if scale == 0 {
		return worst
	}
	return worst / scale
}
