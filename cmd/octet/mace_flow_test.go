package main

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/octet-nn/octet/internal/mace/stat"
	"github.com/octet-nn/octet/internal/testdata"
	"github.com/octet-nn/octet/tensor"
)

// unzip unpacks the files of an archive whose names begin with a prefix into a folder, at most so many.
func unzip(t *testing.T, archive, prefix, dir string, most int) []string {
	t.Helper()
	r, err := zip.OpenReader(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range r.File {
		if !strings.HasPrefix(f.Name, prefix) || f.FileInfo().IsDir() || len(names) == most {
			continue
		}
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(f.Name)
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	return names
}

// deployment is a deployment file of the shared ResNet-8 that can lie anywhere.
func deployment(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(testdata.Shared(t, "mace", "resnet8_cifar10", "float.yml"))
	if err != nil {
		t.Fatal(err)
	}
	model := testdata.Shared(t, "mace", "resnet8_cifar10", "source", "resnet8.onnx")
	return strings.Replace(string(text), "source/resnet8.onnx", model, 1)
}

// TestRecipe is the documented way from a float model to a quantized one, with MACE's own inputs: every step of it, and
// at its end the bytes that MACE's own build gives.
func TestRecipe(t *testing.T) {
	calibration := testdata.Shared(t, "mace", "resnet8_cifar10", "calib_inputs.zip")
	inputs := testdata.Shared(t, "mace", "resnet8_cifar10", "inputs.zip")
	outputs := testdata.Shared(t, "mace", "resnet8_cifar10", "outputs.zip")
	named, err := os.ReadFile(testdata.Shared(t, "mace", "resnet8_cifar10", "range_log_named.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	reduced, err := os.ReadFile(testdata.Shared(t, "mace", "resnet8_cifar10", "overall_range_percentile0"))
	if err != nil {
		t.Fatal(err)
	}
	text := deployment(t)
	t.Chdir(t.TempDir())
	float := writeText(t, "float.yml", text)
	quantized := writeText(t, "quantized.yml", text+"    quantize: 1\n    quantize_range_file: overall_range\n")

	r := succeed(t, "convert", "--config", float, "--quantize_stat", "--target_socs", "all")
	path := filepath.Join("build", "resnet8", "model", "r8_float.onnx")
	if !strings.HasPrefix(r.stdout, path+": float, for collecting ranges") || !strings.Contains(r.stderr, "--target_socs: accepted") {
		t.Errorf("convert: %s%s", r.stdout, r.stderr)
	}
	samples := unzip(t, calibration, "", "calib", 50)
	// The deployment file says NCHW; these files are in the order in which MACE's engine takes them.
	r = succeed(t, "run", "--config", float, "--example", "--quantize_stat", "--input_dir", "calib", "--input_data_format", "NHWC", "--output_dir", "")
	compareRanges(t, r.stdout, string(named), len(samples))
	writeText(t, "range_log", r.stdout)
	r = succeed(t, "quantize-stat", "--log_file", "range_log", "--format", "mace")
	sameRanges(t, r.stdout, string(reduced))
	// MACE's own ranges go on, since bytes are compared: the last digit of a range decides some of them.
	writeText(t, "overall_range", string(reduced))
	r = succeed(t, "convert", "--config", quantized, "--arithmetic", "mace")
	if !strings.Contains(r.stdout, "Op output Identity range: [0.000000, 1.000000]\n") || !strings.Contains(r.stdout, ": quantized, ") {
		t.Errorf("convert: %s%s", r.stdout, r.stderr)
	}
	unzip(t, inputs, "", "eval", 100)
	succeed(t, "run", "--config", quantized, "--input_dir", "eval", "--input_data_format", "nhwc", "--output_dir", "out")
	expected := unzip(t, outputs, "eval_r8_quant_p0/", "expected", 100)
	if len(expected) != 100 {
		t.Fatalf("%d outputs", len(expected))
	}
	for _, name := range expected {
		got, err := os.ReadFile(filepath.Join("out", name))
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join("expected", name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs from MACE's", name)
		}
	}
	r = succeed(t, "run", "--config", quantized, "--validate", "--input_dir", "eval", "--input_data_format", "NHWC", "--arithmetic", "onnx")
	for _, part := range []string{"Identity MACE VS ONNX similarity: 0.9", " , sqnr: ", " , pixel_accuracy: 0.9", "Similarity Test Passed", " dB; first answer agrees in 9", "of 18 layers"} {
		if !strings.Contains(r.stdout, part) {
			t.Errorf("validate lacks %q:\n%s", part, r.stdout)
		}
	}
	r = octetWith(t.Context(), "run", "--config", quantized, "--validate", "--validate_threshold", "0.9999", "--input_dir", "eval", "--input_data_format", "NHWC")
	if r.code != exitError || !strings.Contains(r.stdout, "Similarity Test Failed") || !strings.Contains(r.stderr, "is not above the threshold 0.9999") {
		t.Errorf("validate: %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	r = succeed(t, "run", "--config", quantized, "--benchmark", "--round", "2", "--report")
	for _, part := range []string{"Sort by Run Order", "Sort by Computation Time", "Stat by Op Type", "Stat by MACs(Multiply-Accumulation)",
		"Summary of Ops' Stat", " ops total.\n", "| 12,501,632 |", "     capability(CPU)        init      warmup     run_avg\n", "\ntime "} {
		if !strings.Contains(r.stdout, part) {
			t.Errorf("benchmark lacks %q:\n%s", part, r.stdout)
		}
	}
	report, err := os.ReadFile(filepath.Join("build", "resnet8", "report.csv"))
	if lines := strings.Split(string(report), "\n"); err != nil || len(lines) != 3 || lines[0] != "model_name,device_name,soc,abi,runtime,init(ms),warmup(ms),run_avg(ms),tuned" {
		t.Errorf("report: %v\n%s", err, report)
	}
	succeed(t, "run", "--config", quantized, "--layers", "0:3", "--input_dir", "eval", "--input_data_format", "NHWC")
	log, err := os.ReadFile(filepath.Join("build", "resnet8", "model", "cpu", "log.csv"))
	if err != nil || strings.Count(string(log), "\n") != 4 || !strings.HasPrefix(string(log), "output_name,similarity,sqnr,pixel_accuracy\nmodel_activation_Relu_2,0.99") {
		t.Errorf("layers: %v\n%s", err, log)
	}
}

// compareRanges compares a range log with MACE's, sample by sample: to a thousandth of what a tensor's values span.
func compareRanges(t *testing.T, log, named string, samples int) {
	t.Helper()
	type span struct{ low, high float64 }
	got := map[string][]span{}
	for line := range strings.Lines(log) {
		if !strings.HasPrefix(line, "I octet/") || !strings.Contains(line, "] Tensor range @@") {
			t.Fatalf("line %q", line)
		}
		parts := strings.Split(strings.TrimSpace(line), "@@")
		low, high, _ := strings.Cut(parts[2], ",")
		got[parts[1]] = append(got[parts[1]], span{number64(t, low), number64(t, high)})
	}
	// MACE's samples are in the order of its folder, ours in that of names.
	place := map[string]int{}
	var order []string
	for line := range strings.Lines(named) {
		if sample, _, _ := strings.Cut(line, "\t"); strings.HasPrefix(sample, "input") && place[sample] == 0 {
			order = append(order, sample)
			place[sample] = 1
		}
	}
	slices.Sort(order)
	for i, sample := range order {
		place[sample] = i
	}
	compared := 0
	for line := range strings.Lines(named) {
		fields := strings.Split(strings.TrimSpace(line), "\t")
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "input") || got[fields[1]] == nil {
			continue
		}
		s := got[fields[1]][place[fields[0]]]
		low, high := number64(t, fields[2]), number64(t, fields[3])
		if limit := 1e-3 * (high - low); math.Abs(s.low-low) > limit || math.Abs(s.high-high) > limit {
			t.Errorf("%s of %s: %v, MACE has %v,%v", fields[1], fields[0], s, low, high)
		}
		compared++
	}
	if compared != samples*len(got) {
		t.Errorf("compared %d ranges of %d tensors and %d samples", compared, len(got), samples)
	}
}

func number64(t *testing.T, text string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// sameRanges compares range files to a thousandth.
func sameRanges(t *testing.T, got, want string) {
	t.Helper()
	read := func(text string) map[string]stat.Range {
		ranges, _, err := stat.ReadRanges(strings.NewReader(text), "ranges")
		if err != nil {
			t.Fatal(err)
		}
		byName := map[string]stat.Range{}
		for _, r := range ranges {
			byName[r.Name] = r
		}
		return byName
	}
	ours, theirs := read(got), read(want)
	if len(ours) != len(theirs) {
		t.Errorf("%d ranges, MACE has %d", len(ours), len(theirs))
	}
	for name, r := range theirs {
		o := ours[name]
		if limit := 1e-3 * (r.Max - r.Min); math.Abs(o.Min-r.Min) > limit || math.Abs(o.Max-r.Max) > limit {
			t.Errorf("%s: %v, MACE has %v", name, o, r)
		}
	}
}

// maceTiny is the tiny classifier with a deployment file.
func maceTiny(t *testing.T, changes ...string) (f tiny, config string) {
	t.Helper()
	f = newTiny(t)
	data, err := os.ReadFile(f.model)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	text := `library_name: lib
models:
  tiny:
    platform: onnx
    model_file_path: tiny.onnx
    model_sha256_checksum: ` + hex.EncodeToString(sum[:]) + `
    subgraphs:
      - input_tensors: x
        input_shapes: 1,3,8,8
        input_data_formats: NCHW
        input_ranges: -4,4
        output_tensors: y
        output_shapes: 1,4
        output_data_formats: NONE
    runtime: cpu
`
	for i := 0; i+1 < len(changes); i += 2 {
		if !strings.Contains(text, changes[i]) {
			t.Fatalf("no %q", changes[i])
		}
		text = strings.Replace(text, changes[i], changes[i+1], 1)
	}
	t.Chdir(f.dir)
	return f, writeText(t, "tiny.yml", text)
}

// rawSamples writes the samples of a tiny classifier as MACE wants them.
func rawSamples(t *testing.T, dir string, count int) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	for i := range count {
		x := tensor.New(tensor.Float32, 1, 3, 8, 8)
		for j := range tensor.Values[float32](x) {
			tensor.Values[float32](x)[j] = float32(math.Sin(float64(i*7 + j*j)))
		}
		writeText(t, filepath.Join(dir, "x_"+strconv.Itoa(i)), string(x.Bytes()))
	}
}

// TestCaffeFlow: a Caffe network, whose deployment file gives shapes channels last.
func TestCaffeFlow(t *testing.T) {
	structure := testdata.Shared(t, "caffe", "lenet.prototxt")
	weights := testdata.Shared(t, "caffe", "lenet.caffemodel")
	checksum := func(path string) string {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(data)
		return hex.EncodeToString(sum[:])
	}
	text := "models:\n  lenet:\n    platform: Caffe\n    model_file_path: " + structure + "\n    model_sha256_checksum: " + checksum(structure) +
		"\n    weight_file_path: " + weights + "\n    weight_sha256_checksum: " + checksum(weights) +
		"\n    subgraphs:\n      - {input_tensors: data, input_shapes: '1,28,28,1', input_ranges: '0,1', output_tensors: prob, output_shapes: '1,10'}\n"
	t.Chdir(t.TempDir())
	float := writeText(t, "lenet.yml", text)
	if err := os.Mkdir("samples", 0o777); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		x := tensor.New(tensor.Float32, 1, 28, 28, 1)
		for j := range tensor.Values[float32](x) {
			tensor.Values[float32](x)[j] = float32(math.Abs(math.Sin(float64((i + 2) * j / 9))))
		}
		writeText(t, filepath.Join("samples", "data_"+strconv.Itoa(i)), string(x.Bytes()))
	}
	r := succeed(t, "convert", "--config", float, "--quantize_stat")
	if !strings.HasPrefix(r.stdout, filepath.Join("build", "lenet", "model", "lenet.onnx")+": ") {
		t.Errorf("a file without a library name:\n%s", r.stdout)
	}
	writeText(t, "log", succeed(t, "run", "--config", float, "--quantize_stat", "--input_dir", "samples").stdout)
	writeText(t, "ranges", succeed(t, "quantize-stat", "--log_file", "log").stdout)
	quantized := writeText(t, "quantized.yml", text+"    quantize: 1\n    quantize_range_file: ranges\n")
	succeed(t, "convert", "--config", quantized)
	if r := succeed(t, "run", "--config", quantized, "--validate", "--input_dir", "samples"); !strings.Contains(r.stdout, "prob MACE VS CAFFE similarity: 0.99") {
		t.Errorf("validate:\n%s", r.stdout)
	}
}
