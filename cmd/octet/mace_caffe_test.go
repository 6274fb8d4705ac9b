package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/octet-nn/octet/internal/testdata"
)

// TestFlowOfCaffe takes a Caffe network through the steps of MACE's documentation.
func TestFlowOfCaffe(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	sums := map[string]string{}
	for _, name := range []string{"lenet.prototxt", "lenet.caffemodel"} {
		data, err := os.ReadFile(testdata.Shared(t, "caffe", name))
		if err != nil {
			t.Fatal(err)
		}
		sums[name] = fmt.Sprintf("%x", sha256.Sum256(data))
		writeFile(t, name, string(data))
	}
	file := func(name, more string) string {
		return writeFile(t, name+".yml", fmt.Sprintf(`library_name: lenet
target_abis: [host]
model_graph_format: file
model_data_format: file
models:
  %s:
    platform: caffe
    model_file_path: lenet.prototxt
    model_sha256_checksum: %s
%s    subgraphs:
      - input_tensors: data
        input_shapes: 1,28,28,1
        input_ranges: 0,1
        output_tensors: prob
        output_shapes: 1,10
    runtime: cpu
`, name, sums["lenet.prototxt"], more))
	}
	weights := fmt.Sprintf("    weight_file_path: lenet.caffemodel\n    weight_sha256_checksum: %s\n", sums["lenet.caffemodel"])
	float := file("float", weights)
	fail(t, exitError, []string{"weight_file_path", ".caffemodel"}, "convert", "--config", file("half", ""))
	succeed(t, "convert", "--config", float)
	if err := os.Mkdir("samples", 0o777); err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		sample := make([]byte, 28*28*4)
		for p := range 28 * 28 {
			if p/28 > 4+i && p/28 < 22 && p%28 > 10 && p%28 < 13+i {
				sample[4*p+2], sample[4*p+3] = 0x80, 0x3f // 1.0
			}
		}
		writeFile(t, filepath.Join("samples", fmt.Sprintf("data_%d", i)), string(sample))
	}
	log := succeed(t, "run", "--config", float, "--quantize_stat", "--input_dir", "samples")
	if n := strings.Count(log.stdout, "Tensor range @@ip1@@"); n != 4 || strings.Contains(log.stdout, "#") {
		t.Errorf("%d ranges of the layer whose input and output have one name:\n%s", n, log.stdout)
	}
	writeFile(t, "range_log", log.stdout)
	writeFile(t, "overall_range", succeed(t, "quantize-stat", "--log_file", "range_log").stdout)
	quantized := file("quantized", weights+"    quantize: 1\n    quantize_range_file: overall_range\n")
	succeed(t, "convert", "--config", quantized)
	r := succeed(t, "run", "--config", quantized, "--validate", "--input_dir", "samples")
	if text := r.stdout + r.stderr; !strings.Contains(text, "prob MACE VS CAFFE similarity: ") || !strings.Contains(text, "Similarity Test Passed") {
		t.Errorf("no similarity:\n%s", text)
	}
}
