package testdata

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/octet-nn/octet/tensor"
)

// TFLite is stock TensorFlow Lite, its built-in kernels on one thread, as a second opinion.
type TFLite struct {
	program, library string
}

// OpenTFLite finds TensorFlow Lite: $OCTET_TFLITE names a folder with the program tflite, built of the shared tools, and
// libtensorflowlite_c.so. The test is skipped where it is not set; .ci/run makes the folder and sets it.
func OpenTFLite(t testing.TB) *TFLite {
	t.Helper()
	dir := os.Getenv("OCTET_TFLITE")
	if dir == "" {
		t.Skip("SKIP: no TensorFlow Lite to compare with (set OCTET_TFLITE to a folder with tflite and libtensorflowlite_c.so)")
	}
	p := &TFLite{filepath.Join(dir, "tflite"), filepath.Join(dir, "libtensorflowlite_c.so")}
	for _, path := range []string{p.program, p.library} {
		if _, err := os.Stat(path); err != nil {
			t.Fatalf("OCTET_TFLITE=%s is not complete: %v", dir, err)
		}
	}
	return p
}

// Run feeds a model its inputs, in the file's order, and returns the raw bytes of each of so many outputs.
func (p *TFLite) Run(t testing.TB, model string, inputs []*tensor.Tensor, outputs int) []Output {
	t.Helper()
	dir := t.TempDir()
	prefix := filepath.Join(dir, "out")
	args := []string{model, prefix}
	for i, x := range inputs {
		file := filepath.Join(dir, fmt.Sprintf("in%d.raw", i))
		if err := os.WriteFile(file, x.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, file)
	}
	cmd := exec.CommandContext(context.Background(), p.program, args...)
	cmd.Env = append(os.Environ(), "TFLITE_SO="+p.library, "THREADS=1", "XNNPACK=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("TensorFlow Lite on %s: %v\n%s", filepath.Base(model), err, text)
	}
	result := make([]Output, outputs)
	for i := range result {
		b, err := os.ReadFile(fmt.Sprintf("%s.%d.raw", prefix, i))
		if err != nil {
			t.Fatalf("TensorFlow Lite wrote no output %d: %v", i, err)
		}
		result[i] = b
	}
	return result
}
