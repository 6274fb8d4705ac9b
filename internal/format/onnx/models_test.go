package onnx

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/testdata"
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
				t.Log(err)
			}
		})
	}
}
