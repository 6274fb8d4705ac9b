package testdata

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/octet-nn/octet/tensor"
)

// ORT is ONNX Runtime, as a second opinion.
type ORT struct {
	script string
}

// OpenORT finds ONNX Runtime: $OCTET_ORT names a folder with ort.js and its installed node modules. The test is
// skipped where it is not set; .ci/run installs the peer and sets it.
func OpenORT(t testing.TB) *ORT {
	t.Helper()
	dir := os.Getenv("OCTET_ORT")
	if dir == "" {
		t.Skip("SKIP: no ONNX Runtime to compare with (set OCTET_ORT to a folder with ort.js and its node modules)")
	}
	script := filepath.Join(dir, "ort.js")
	if _, err := os.Stat(script); err != nil {
		t.Fatalf("OCTET_ORT=%s has no ort.js: %v", dir, err)
	}
	return &ORT{script}
}

var unsafeName = regexp.MustCompile(`[^A-Za-z0-9_.-]`)

// Output is one output of a model run by ONNX Runtime: its little-endian bytes.
type Output []byte

// Run feeds a model and returns the raw bytes of each of the named outputs. optimization is "all" or "disabled".
func (o *ORT) Run(t testing.TB, model, optimization string, inputs map[string]*tensor.Tensor, outputs ...string) map[string]Output {
	t.Helper()
	dir := t.TempDir()
	args := []string{o.script, "run", model, "--opt", optimization, "--out", filepath.Join(dir, "out")}
	i := 0
	for name, x := range inputs {
		file := filepath.Join(dir, fmt.Sprintf("in%d.raw", i))
		i++
		if err := os.WriteFile(file, x.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		dims := strings.Trim(strings.ReplaceAll(fmt.Sprint(x.Shape()), " ", ","), "[]")
		args = append(args, "--in", name+"="+file+":"+dims)
	}
	cmd := exec.CommandContext(context.Background(), "node", args...)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("ONNX Runtime on %s: %v\n%s", filepath.Base(model), err, text)
	}
	result := map[string]Output{}
	for _, name := range outputs {
		b, err := os.ReadFile(filepath.Join(dir, "out", unsafeName.ReplaceAllString(name, "_")+".raw"))
		if err != nil {
			t.Fatalf("ONNX Runtime wrote no output %q: %v", name, err)
		}
		result[name] = b
	}
	return result
}
