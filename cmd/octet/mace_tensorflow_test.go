package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/octet-nn/octet/internal/testdata"
	"github.com/octet-nn/octet/tensor"
)

// TestFlowOfTensorFlow takes two forms of a TensorFlow network through the steps of MACE's documentation: trained with
// FakeQuant nodes, whose ranges are in the file, and float, whose ranges are collected.
func TestFlowOfTensorFlow(t *testing.T) {
	t.Chdir(t.TempDir())
	file := func(name, model, more string) string {
		data, err := os.ReadFile(testdata.Shared(t, "tf", model))
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, model, string(data))
		return writeFile(t, name+".yml", fmt.Sprintf(`library_name: mobilenet
target_abis: [host]
model_graph_format: file
model_data_format: file
models:
  %s:
    platform: tensorflow
    model_file_path: %s
    model_sha256_checksum: %x
%s    subgraphs:
      - input_tensors: input
        input_shapes: 1,128,128,3
        output_tensors: Softmax:0
        output_shapes: 1,1001
    runtime: cpu
`, name, model, sha256.Sum256(data), more))
	}
	const trained, plain = "mobilenet_v1_0.25_128_fakequant.pb", "mobilenet_v1_0.25_128_float.pb"
	float := file("float", plain, "")
	if err := os.Mkdir("images", 0o777); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"cat.bmp", "grace_hopper.bmp"} {
		data, err := os.ReadFile(testdata.Shared(t, "data", "images", name))
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join("images", name), string(data))
	}
	succeed(t, "image-to-tensor", "--input", "images", "--output_dir", "samples", "--image_shape", "128,128,3", "--prefix", "input")
	succeed(t, "convert", "--config", float, "--quantize_stat")
	log := succeed(t, "run", "--config", float, "--quantize_stat", "--input_dir", "samples")
	if n := strings.Count(log.stdout, "Tensor range @@op03/Relu6:0@@"); n != 2 {
		t.Errorf("%d ranges of a tensor, want 2:\n%s", n, log.stdout)
	}
	writeFile(t, "range_log", log.stdout)
	writeFile(t, "overall_range", succeed(t, "quantize-stat", "--log_file", "range_log").stdout)
	for name, config := range map[string]string{
		"trained":   file("trained", trained, "    quantize: 1\n"),
		"collected": file("collected", plain, "    quantize: 1\n    quantize_range_file: overall_range\n"),
	} {
		if r := succeed(t, "convert", "--config", config); strings.Contains(r.stderr, "scales for 28 of its constants") != (name == "trained") {
			t.Errorf("%s: %s", name, r.stderr)
		}
		r := succeed(t, "run", "--config", config, "--validate", "--input_dir", "samples")
		if !strings.Contains(r.stdout, "Softmax:0 MACE VS TENSORFLOW similarity: 0.9") || !strings.Contains(r.stdout, "Similarity Test Passed") {
			t.Errorf("%s:\n%s", name, r.stdout+r.stderr)
		}
		if simulated := strings.Contains(r.stdout, "compared with the original model, which rounds as in its training, on 2 samples"); simulated != (name == "trained") {
			t.Errorf("%s is compared with another model:\n%s", name, r.stdout)
		}
		if strings.Contains(r.stdout, "the lowest SQNR of 30 layers is -") {
			t.Errorf("%s: layers are compared in different orders of dimensions:\n%s", name, r.stdout)
		}
	}
	// As floats it is not what was trained.
	floats := file("floats", trained, "")
	succeed(t, "convert", "--config", floats)
	if r := octetWith(t.Context(), "run", "--config", floats, "--validate", "--input_dir", "samples"); r.code != exitError ||
		!strings.Contains(r.stderr, "is not above the threshold 0.999") || !strings.Contains(r.stderr, "quantize: 1 makes what was trained") {
		t.Errorf("a trained model as floats: %d %s%s", r.code, r.stdout, r.stderr)
	}
	missing := file("missing", plain, "    quantize: 1\n")
	fail(t, exitError, []string{"op03/Relu6:0", "quantize_range_file"}, "convert", "--config", missing)
}

// TestOutputsThatHandOn: an output that only hands another tensor on, as Keras makes them, is there under its name.
func TestOutputsThatHandOn(t *testing.T) {
	model := testdata.Shared(t, "tf", "fc_mnist.pb")
	t.Chdir(t.TempDir())
	const text = "models:\n  fc:\n    platform: tensorflow\n    model_file_path: %s\n    subgraphs:\n      - {input_tensors: 'X:0', input_shapes: '1,784', input_data_formats: NONE, output_tensors: output, output_shapes: '1,10', output_data_formats: NONE}\n%s"
	config := writeFile(t, "fc.yml", fmt.Sprintf(text, model, ""))
	if err := os.Mkdir("samples", 0o777); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		x := make([]float32, 784)
		for j := range x {
			x[j] = float32((i+j)%7) / 7
		}
		writeFile(t, fmt.Sprintf("samples/X_0_%d", i), string(tensor.Of(x, 784).Bytes()))
	}
	succeed(t, "convert", "--config", config, "--quantize_stat")
	log := succeed(t, "run", "--config", config, "--quantize_stat", "--input_dir", "samples").stdout
	if strings.Count(log, "@@output@@") != 3 {
		t.Errorf("log:\n%s", log)
	}
	writeFile(t, "log", log)
	writeFile(t, "ranges", succeed(t, "quantize-stat", "--log_file", "log").stdout)
	quantized := writeFile(t, "q.yml", fmt.Sprintf(text, model, "    quantize: 1\n    quantize_range_file: ranges\n"))
	succeed(t, "convert", "--config", quantized)
	if r := succeed(t, "run", "--config", quantized, "--validate", "--input_dir", "samples"); !strings.Contains(r.stdout, "output MACE VS TENSORFLOW similarity: 0.9") {
		t.Errorf("validate:\n%s", r.stdout)
	}
}
