package octet

import (
	"os"
	"path/filepath"
	"testing"
)

// A model file may be a link to anywhere, as in the caches of download tools; the external data that a file names may
// not.
func TestLoadFollowsLinksOfTheCallerOnly(t *testing.T) {
	model, err := filepath.Abs("testdata/kws.int8.onnx")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for _, mapFrom := range []int64{0, 1} { // read, mapped
		link := filepath.Join(folder, []string{"read.onnx", "mapped.onnx"}[mapFrom])
		if err := os.Symlink(model, link); err != nil {
			t.Skipf("SKIP: this system makes no links: %v", err)
		}
		m, err := Load(link, LoadOptions{mapFrom: mapFrom})
		if err != nil {
			t.Fatal(err)
		}
		if m.path != link {
			t.Errorf("the model's path is %s, want %s", m.path, link)
		}
	}
	files, err := openFolder(filepath.Join(folder, "read.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	if f, err := files.Open("mapped.onnx"); err == nil {
		f.Close()
		t.Error("a link out of the folder, which the caller has not named, was followed")
	}
}
