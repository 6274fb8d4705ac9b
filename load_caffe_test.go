package octet

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/octet-nn/octet/internal/testdata"
)

// TestLoadCaffe finds the second file of a network.
func TestLoadCaffe(t *testing.T) {
	read := func(name string) []byte {
		data, err := os.ReadFile(testdata.Shared(t, "caffe", name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	structure, weights := read("mtcnn_det1.prototxt"), read("mtcnn_det1.caffemodel")
	files := func(names ...string) fstest.MapFS {
		fsys := fstest.MapFS{}
		for _, name := range names {
			data := structure
			if strings.HasSuffix(name, caffeWeights) {
				data = weights
			}
			fsys[name] = &fstest.MapFile{Data: data}
		}
		return fsys
	}
	for _, c := range []struct {
		names []string
		load  string
		o     LoadOptions
		wrong string
	}{
		{names: []string{"a.prototxt", "a.caffemodel", "b.caffemodel"}, load: "a.prototxt"},
		{names: []string{"a.prototxt", "a.caffemodel", "b.prototxt"}, load: "a.caffemodel"},
		{names: []string{"in/deploy.prototxt", "in/net.caffemodel"}, load: "in/deploy.prototxt"},
		{names: []string{"a.prototxt", "b.caffemodel", "c.caffemodel"}, load: "a.prototxt", o: LoadOptions{Weights: "c.caffemodel"}},
		{names: []string{"a.prototxt", "b.caffemodel", "c.caffemodel"}, load: "a.prototxt", wrong: "b.caffemodel or c.caffemodel? Name that one a.caffemodel"},
		{names: []string{"a.prototxt"}, load: "a.prototxt", wrong: "put a.caffemodel beside it"},
		{names: []string{"a.caffemodel"}, load: "a.caffemodel", wrong: "put a.prototxt beside it"},
		{names: []string{"a.prototxt", "b.prototxt"}, load: "a.prototxt", o: LoadOptions{Weights: "b.prototxt"}, wrong: "b.prototxt is no .caffemodel"},
		{names: []string{"a.prototxt"}, load: "a.prototxt", o: LoadOptions{Weights: "b.caffemodel"}, wrong: "b.caffemodel"},
	} {
		m, err := Read(files(c.names...), c.load, c.o)
		switch {
		case c.wrong != "":
			if err == nil || !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("%v: %v, want %q", c.names, err, c.wrong)
			}
		case err != nil:
			t.Errorf("%v: %v", c.names, err)
		case len(m.Inputs()) != 1 || m.size != int64(len(structure)+len(weights)):
			t.Errorf("%v: inputs %v, size %d", c.names, m.Inputs(), m.size)
		}
	}
	elsewhere := filepath.Join(t.TempDir(), "x.caffemodel")
	if err := os.WriteFile(elsewhere, weights, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(testdata.Shared(t, "caffe", "mtcnn_det1.prototxt"), LoadOptions{Weights: elsewhere}); err != nil {
		t.Error(err)
	}
}
