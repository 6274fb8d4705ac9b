package main

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/octet-nn/octet/internal/format/onnx"
	"github.com/octet-nn/octet/internal/graph"
)

// TestDemoOnSmallModel: the demo's steps on a model and samples made here.
func TestDemoOnSmallModel(t *testing.T) {
	var model, archive bytes.Buffer
	input := graph.Shape{graph.Fixed(1), graph.Fixed(3), graph.Fixed(8), graph.Fixed(8)}
	if err := onnx.Write(&model, tinyGraph(input), onnx.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(9, 9))
	z := zip.NewWriter(&archive)
	labels := ""
	for i := range 60 {
		name := fmt.Sprintf("tst_%06d.bin", i)
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		data := make([]byte, 3*8*8)
		for k := range data {
			data[k] = byte(random.Uint32())
		}
		w.Write(data)
		labels += fmt.Sprintf("%s,4,%d\n", name, i%4)
	}
	w, err := z.Create(demoLabels)
	if err != nil {
		t.Fatal(err)
	}
	w.Write([]byte(labels))
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	embedded := fstest.MapFS{demoModel: {Data: model.Bytes()}, demoSamples: {Data: archive.Bytes()}}
	folder := filepath.Join(t.TempDir(), "out")
	var stdout, stderr bytes.Buffer
	if err := runDemo(t.Context(), embedded, folder, 10*time.Millisecond, &stdout, &stderr); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"calibrated on 50 samples, measured on 10 others", "right answers", "same answer", "median latency", "kws.int8.onnx"} {
		if !strings.Contains(stdout.String(), part) {
			t.Errorf("the table lacks %q:\n%s", part, &stdout)
		}
	}
	if copied, err := os.ReadFile(filepath.Join(folder, demoModel)); err != nil || !bytes.Equal(copied, model.Bytes()) {
		t.Errorf("the float model was not written as it is (%v)", err)
	}
	if err := runDemo(t.Context(), fstest.MapFS{}, folder, 10*time.Millisecond, &stdout, &stderr); err == nil || !strings.Contains(err.Error(), "without the demo's files") {
		t.Errorf("without files: %v", err)
	}
}

// TestDemo runs what is embedded.
func TestDemo(t *testing.T) {
	if _, err := fs.Stat(assets, "assets/"+demoModel); err != nil {
		t.Skip("SKIP: the demo's files are not in this build")
	}
	out := succeed(t, "demo", "--output-dir", t.TempDir()).stdout
	if !strings.Contains(out, "150 others") {
		t.Errorf("not evaluated on the other 150 samples:\n%s", out)
	}
}
