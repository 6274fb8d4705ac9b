package tensorflow

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/testdata"
)

// TestModels reads all models there are.
func TestModels(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(testdata.Shared(t, "tf"), "*.pb"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !IsGraph(data) {
				t.Error("it is not recognized")
			}
			g, notes, err := Read(data, Options{File: file})
			if err != nil {
				t.Fatal(err)
			}
			if err := op.CheckSupported(g); err != nil {
				t.Error(err)
			}
			t.Log(notes, len(g.Nodes), g.Inputs[0].Name, g.Inputs[0].Type, g.Outputs[0].Name, g.Outputs[0].Type, len(g.Inputs), len(g.Outputs))
		})
	}
}
