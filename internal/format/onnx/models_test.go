package onnx

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/octet-nn/octet/internal/compile"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/testdata"
	"github.com/octet-nn/octet/tensor"
)

func TestModelsLoad(t *testing.T) {
	root := testdata.Shared(t, "onnx")
	var files []string
	for _, pattern := range []string{"*.onnx", "ort_quant_tests/*.onnx"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	if len(files) == 0 {
		t.Fatal("there are no models")
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !IsONNX(data) {
				t.Error("not recognized as ONNX")
			}
			g, err := Read(data, Options{File: filepath.Base(file), External: os.DirFS(filepath.Dir(file))})
			if err != nil {
				t.Fatal(err)
			}
			if len(g.Inputs) == 0 || len(g.Nodes) == 0 { // one of the models has no outputs
				t.Errorf("%d inputs, %d outputs, %d nodes", len(g.Inputs), len(g.Outputs), len(g.Nodes))
			}
			if err := op.CheckSupported(g); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestPublishedResult reproduces the result that was published with the model, from the input published with it.
func TestPublishedResult(t *testing.T) {
	read := func(name string) []byte {
		t.Helper()
		data, err := os.ReadFile(testdata.Shared(t, "onnx", name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	g, err := Read(read("squeezenet1.1_fp32.onnx"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	x, err := readTensor(read("squeezenet_test_input.pb"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := readTensor(read("squeezenet_test_output.pb"))
	if err != nil {
		t.Fatal(err)
	}
	session, err := compile.Compile(g, compile.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	results, err := session.Run(t.Context(), map[string]*tensor.Tensor{g.Inputs[0].Name: x})
	if err != nil {
		t.Fatal(err)
	}
	if n := session.ReferenceEvaluations(); n > 0 {
		t.Errorf("%d reference evaluations", n)
	}
	a, b := op.Float64s(results[g.Outputs[0].Name]), op.Float64s(want)
	if len(a) != len(b) {
		t.Fatalf("%d values, want %d", len(a), len(b))
	}
	for i := range b {
		if d := math.Abs(a[i] - b[i]); !(d <= 5e-4) {
			t.Errorf("value %d is %v, want %v", i, a[i], b[i])
		}
	}
}
