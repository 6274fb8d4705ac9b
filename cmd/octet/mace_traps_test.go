package main

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// TestFlowOfTiny is the whole recipe on a model that is made here: both spellings of collecting ranges give the same log,
// --round and the other flags work, and outputs of the float model are those of the model file itself.
func TestFlowOfTiny(t *testing.T) {
	_, config := maceTiny(t)
	rawSamples(t, "samples", 6)
	succeed(t, "convert", "--config", config, "--quantize_stat")
	byFlag := succeed(t, "run", "--config", config, "--quantize_stat", "--input_dir", "samples", "--output_dir=")
	if !strings.Contains(byFlag.stderr, "from 6 samples") {
		t.Errorf("stderr %q", byFlag.stderr)
	}
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	withKey := writeText(t, "key.yml", "quantize_stat: 1\n"+string(text))
	succeed(t, "convert", "--config", withKey)
	if byKey := succeed(t, "run", "--config", withKey, "--quantize-stat", "--input-dir", "samples"); byKey.stdout != byFlag.stdout {
		t.Errorf("the key gives another log:\n%s\nthan the flag:\n%s", byKey.stdout, byFlag.stdout)
	}
	writeText(t, "log", byFlag.stdout)
	writeText(t, "ranges", succeed(t, "quantize-stat", "--log_file", "log").stdout)
	quantized := writeText(t, "quantized.yml", string(text)+"    quantize: 1\n    quantize_range_file: ranges\n")
	succeed(t, "convert", "--config", quantized)
	r := succeed(t, "run", "--config", quantized, "--validate", "--input_dir", "samples", "--validate_threshold", "0.9")
	if !strings.Contains(r.stdout, "y MACE VS ONNX similarity: 0.9") {
		t.Errorf("validate:\n%s", r.stdout)
	}
	// A float model with a range file gives histograms, which quantize-stat reads.
	histogram := writeText(t, "histogram.yml", "quantize_stat: 1\n"+string(text)+"    quantize_range_file: ranges\n")
	succeed(t, "convert", "--config", histogram)
	r = succeed(t, "run", "--config", histogram, "--quantize_stat", "--input_dir", "samples")
	if first, _, _ := strings.Cut(r.stdout, "\n"); !strings.Contains(first, "@@[") || strings.Count(first, ",") != 2048 {
		t.Errorf("histogram: %.200s", first)
	}
	writeText(t, "log", r.stdout)
	succeed(t, "quantize-stat", "--log_file", "log")

	succeed(t, "convert", "--config", config)
	succeed(t, "run", "--config", config, "--input_file", "samples/x_1", "--output_file", "one", "--round", "2", "--restart_round", "2", "--num_threads", "1")
	succeed(t, "run", "--config", config, "--input_dir", "samples", "--output_dir", "out/deep")
	one, err := os.ReadFile("one_y")
	if err != nil {
		t.Fatal(err)
	}
	if same, err := os.ReadFile("out/deep/y_1"); err != nil || string(same) != string(one) || len(one) != 16 {
		t.Errorf("--input_file and --input_dir give different outputs (%v)", err)
	}
	if err := os.Link("samples/x_1", "x.raw"); err != nil {
		t.Fatal(err)
	}
	succeed(t, "run", "tiny.onnx", "--input", "x=x.raw:1,3,8,8", "--output-dir", "plain")
	if same, err := os.ReadFile("plain/y.raw"); err != nil || string(same) != string(one) {
		t.Errorf("run MODEL gives other outputs than run --config (%v)", err)
	}
	if r := succeed(t, "run", "--config", config, "--validate", "--round", "0"); !strings.Contains(r.stdout, "similarity: 1.0 ,") && !strings.Contains(r.stdout, "similarity: 0.99999") {
		t.Errorf("the float model is not like itself:\n%s", r.stdout)
	}
	// The order of files: NHWC files give what NCHW files give.
	turned := tensor.New(tensor.Float32, 1, 8, 8, 3)
	data, err := os.ReadFile("samples/x_1")
	if err != nil {
		t.Fatal(err)
	}
	for c := range 3 {
		for p := range 64 {
			copy(turned.Bytes()[4*(3*p+c):][:4], data[4*(64*c+p):])
		}
	}
	writeText(t, "turned_x", string(turned.Bytes()))
	succeed(t, "run", "--config", config, "--input_file", "turned", "--output_file", "turned", "--input_data_format", "NHWC")
	if same, err := os.ReadFile("turned_y"); err != nil || string(same) != string(one) {
		t.Errorf("the order of files changes outputs (%v)", err)
	}
}

// TestFlowTraps: what MACE's tools pass over in silence or abort for is said, with what to do.
func TestFlowTraps(t *testing.T) {
	_, config := maceTiny(t)
	rawSamples(t, "samples", 3)
	run := func(more ...string) []string { return append([]string{"run", "--config", config}, more...) }

	fail(t, exitError, []string{"there is no converted model", "octet convert --config tiny.yml"}, run("--input_dir", "samples")...)
	succeed(t, "convert", "--config", config)
	fail(t, exitUsage, []string{"--quantize_stat needs samples", "--input_dir"}, run("--quantize_stat")...)

	// Names of input files.
	if err := os.MkdirAll("names", 0o777); err != nil {
		t.Fatal(err)
	}
	fail(t, exitError, []string{"starts with 'x' in names", "has no files"}, run("--quantize_stat", "--input_dir", "names")...)
	writeText(t, "names/photo_1.dat", "")
	fail(t, exitError, []string{"starts with 'x' in names", "photo_1.dat", "mv "}, run("--input_dir", "names")...)
	fail(t, exitError, []string{"absent"}, run("--input_dir", "absent")...)

	// Sizes.
	data, err := os.ReadFile("samples/x_0")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ text, part string }{
		"short": {string(data[:len(data)-1]), "has 767 bytes, input \"x\" wants 768: float32 elements of four bytes in the shape 1,3,8,8"},
		"bytes": {string(data[:len(data)/4]), "one byte"},
		"long":  {string(data) + string(data), "eight bytes"},
		"numpy": {"\x93NUMPY" + string(data), "NumPy"},
		"empty": {"", "has 0 bytes"},
	} {
		if err := os.MkdirAll(name, 0o777); err != nil {
			t.Fatal(err)
		}
		writeText(t, filepath.Join(name, "x_a"), c.text)
		writeText(t, filepath.Join(name, "x_b"), string(data))
		fail(t, exitError, []string{"x_a", c.part}, run("--input_dir", name)...)
	}

	// Range files.
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	quantized := func(file string) []string {
		return []string{"convert", "--config", writeText(t, "quantized.yml", string(text)+"    quantize: 1\n"+file)}
	}
	fail(t, exitError, []string{"quantized.yml:8:9: model tiny", "no range is known for", "quantize_stat"}, quantized("")...)
	fail(t, exitError, []string{"quantized.yml:17:26: quantize_range_file: there is no file absent"}, quantized("    quantize_range_file: absent\n")...)
	writeText(t, "empty.range", "")
	fail(t, exitError, []string{"empty.range", "no ranges"}, quantized("    quantize_range_file: empty.range\n")...)
	succeed(t, "convert", "--config", config, "--quantize_stat")
	log := succeed(t, run("--quantize_stat", "--input_dir", "samples")...).stdout
	writeText(t, "log", log)
	ranges := succeed(t, "quantize-stat", "--log_file", "log").stdout
	writeText(t, "blank.range", "\n"+strings.ReplaceAll(ranges, "\n", "\n\n")) // a blank line is an IndexError in MACE
	succeed(t, quantized("    quantize_range_file: blank.range\n")...)
	writeText(t, "some.range", strings.SplitAfter(ranges, "\n")[0])
	fail(t, exitError, []string{"no range is known for"}, quantized("    quantize_range_file: some.range\n")...)
	writeText(t, "odd.range", "y@@1\n")
	fail(t, exitError, []string{"odd.range:1"}, quantized("    quantize_range_file: odd.range\n")...)

	// A quantized model has no ranges to collect.
	fail(t, exitError, []string{"is quantized; ranges are collected from the float model", "--quantize_stat"},
		"run", "--config", "quantized.yml", "--output", "q", "--quantize_stat", "--input_dir", "samples", "--model_name", "tiny", "--config", quantizedInto(t, quantized("    quantize_range_file: blank.range\n"), "q"))

	// Shapes that are not the model's.
	for old, part := range map[string]string{
		"output_shapes: 1,4": `tiny.yml:13:24: output_shapes says that "y" has the shape 1,5; with the given input_shapes it has 1,4`,
	} {
		changed := writeText(t, "tiny.yml", strings.Replace(string(text), old, "output_shapes: 1,5", 1))
		fail(t, exitError, []string{part}, "convert", "--config", changed)
	}
	changed := writeText(t, "tiny.yml", strings.Replace(string(text), "input_shapes: 1,3,8,8", "input_shapes: 1,4,8,8", 1))
	fail(t, exitError, []string{"tiny.yml:8:9", "x"}, "convert", "--config", changed)
	changed = writeText(t, "tiny.yml", strings.Replace(string(text), "output_tensors: y", "output_tensors: yy", 1))
	fail(t, exitError, []string{"yy"}, "convert", "--config", changed)
	// The deployment file was changed after converting.
	changed = writeText(t, "tiny.yml", strings.Replace(string(text), "input_tensors: x", "input_tensors: r", 1))
	fail(t, exitError, []string{"does not fit tiny.yml", "Convert again"}, "run", "--config", changed, "--input_dir", "samples")
	// The model file is another one.
	changed = writeText(t, "tiny.yml", strings.Replace(string(text), "model_sha256_checksum: ", "model_sha256_checksum: 0", 1))
	fail(t, exitError, []string{"tiny.yml:6:28"}, "convert", "--config", changed)

	// Nothing was left half done.
	files, err := filepath.Glob("build/lib/model/.*")
	if err != nil || len(files) > 0 {
		t.Errorf("left behind: %v, %v", files, err)
	}
}

// quantizedInto converts into another folder and returns the deployment file.
func quantizedInto(t *testing.T, line []string, output string) string {
	t.Helper()
	succeed(t, append(line, "--output", output)...)
	return line[2]
}

// TestCommandLineOfFlow: contradictions are found before anything is done.
func TestCommandLineOfFlow(t *testing.T) {
	_, config := maceTiny(t)
	for _, c := range []struct {
		line  string
		parts []string
	}{
		{"convert", []string{"octet convert --config FILE.yml", "octet convert MODEL -o FILE.onnx"}},
		{"convert tiny.onnx", []string{"-o FILE.onnx"}},
		{"convert tiny.yml", []string{"given as --config tiny.yml"}},
		{"run tiny.yml --input_dir d", []string{"given as --config tiny.yml"}},
		{"quantize-stat range_log", []string{"--log_file range_log"}},
		{"quantize_stat --log_file range_log other", []string{`not "other"`}},
		{"convert tiny.onnx -o tiny", []string{"end it in .onnx or .tflite"}},
		{"convert tiny.onnx -o tiny.pb", []string{".pb files but does not write them"}},
		{"convert tiny.onnx -o a.onnx --arithmetic mace", []string{"--arithmetic is for a deployment file"}},
		{"convert --config tiny.yml --weights w", []string{"--weights is for a model file"}},
		{"convert tiny.onnx --config tiny.yml", []string{"either --config or a model file"}},
		{"convert a b -o c", []string{`not also "b"`}},
		{"convert --config tiny.yml -o c", []string{"--output FOLDER"}},
		{"convert --config tiny.yml --arithmetic gcc", []string{"onnx, mace"}},
		{"convert --config tiny.yml --model_name tinny", []string{`no model "tinny" (did you mean "tiny"?)`}},
		{"run", []string{"needs a model file", "octet run --config FILE.yml"}},
		{"run tiny.onnx --config tiny.yml", []string{"either --config or a model file"}},
		{"run tiny.onnx --benchmark", []string{"--benchmark is for the models of a MACE deployment file"}},
		{"run --config tiny.yml --samples s", []string{"--samples is for a model file"}},
		{"run --config tiny.yml --quantize_stat --validate --input_dir d", []string{"prints ranges only"}},
		{"run --config tiny.yml --input_dir d --input_file f", []string{"either"}},
		{"run --config tiny.yml --input_data_format NHCW", []string{`not "NHCW"`}},
		{"run --config tiny.yml --validate_threshold 2", []string{"up to 1"}},
		{"run --config tiny.yml --inptu_dir d", []string{`did you mean "--input-dir"`}},
	} {
		fail(t, exitUsage, c.parts, strings.Fields(c.line)...)
	}
	fail(t, exitError, []string{"absent.yml"}, "convert", "--config", "absent.yml")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	for platform, part := range map[string]string{"megengine": "Export the model to ONNX", "tflow": "tiny.yml:4:15: platform"} {
		fail(t, exitError, []string{part}, "convert", "--config", writeText(t, "tiny.yml", strings.Replace(string(text), "platform: onnx", "platform: "+platform, 1)))
	}
	// Flags that have no meaning are said once, keys too; unknown keys are warned about.
	writeText(t, "tiny.yml", strings.Replace(string(text), "runtime: cpu", "runtime: gpu\n    winogard: 4", 1))
	r := succeed(t, "convert", "--config", "tiny.yml", "--target_socs", "all", "--address_sanitizer", "--vlog_level=2")
	for _, part := range []string{
		"Note: --address_sanitizer, --target_socs, --vlog_level: accepted, without a meaning here\n", "Note: runtime gpu: models run on the processor\n",
		`Warning: tiny.yml:16:5: unknown key "winogard" in model tiny (did you mean "winograd"?); it is ignored`,
	} {
		if strings.Count(r.stderr, part) != 1 {
			t.Errorf("stderr lacks %q:\n%s", part, r.stderr)
		}
	}
}

// TestIntegerOutputs: a model with an output of indices gives ranges of its float layers, where MACE aborts.
func TestIntegerOutputs(t *testing.T) {
	f, _ := maceTiny(t)
	g := tinyGraph(graph.FixedShape(1, 3, 8, 8))
	best := &graph.Value{Name: "best", Type: graph.Type{DType: tensor.Int64}}
	g.Nodes = append(g.Nodes, &graph.Node{Name: "best", Op: &op.ArgMax{Axis: 1, KeepDims: true}, Inputs: g.Outputs, Outputs: []*graph.Value{best}})
	g.Outputs = []*graph.Value{g.Outputs[0], best}
	writeModel(t, f.model, g)
	text, err := os.ReadFile("tiny.yml")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	lines = append(lines[:5], lines[6:]...) // without the checksum of the other model
	config := writeText(t, "tiny.yml", strings.NewReplacer("output_tensors: y", "output_tensors: [y, best]", "output_shapes: 1,4", "output_shapes: ['1,4', '1,1']",
		"output_data_formats: NONE", "output_data_formats: NONE\n        output_data_types: [float32, int32]").Replace(strings.Join(lines, "\n")))
	rawSamples(t, "samples", 2)
	r := succeed(t, "convert", "--config", config, "--quantize_stat")
	if !strings.Contains(r.stderr, "no model_sha256_checksum") {
		t.Errorf("stderr %q", r.stderr)
	}
	r = succeed(t, "run", "--config", config, "--quantize_stat", "--input_dir", "samples", "--output_dir", "out")
	if strings.Contains(r.stdout, "@@best@@") || strings.Count(r.stdout, "@@y@@") != 2 {
		t.Errorf("log:\n%s", r.stdout)
	}
	if data, err := os.ReadFile("out/best_1"); err != nil || len(data) != 4 || data[0] > 3 || data[1]|data[2]|data[3] != 0 {
		t.Errorf("indices: %v, %v", data, err)
	}
}

// TestValidationFiles: validation_inputs_data is what runs, validation_outputs_data what outputs are compared with.
func TestValidationFiles(t *testing.T) {
	_, config := maceTiny(t, "output_data_formats: NONE", "output_data_formats: NONE\n        validation_inputs_data: [https://example.org/samples/x_1]\n"+
		"        validation_outputs_data: [${EXPECTED}]")
	rawSamples(t, "samples", 2)
	fail(t, exitError, []string{"tiny.yml:16:35: the environment variable EXPECTED is not set"}, "convert", "--config", config)
	t.Setenv("EXPECTED", "expected")
	succeed(t, "convert", "--config", config)
	fail(t, exitError, []string{"tiny.yml:15:34", "nothing is ever downloaded"}, "run", "--config", config, "--validate")
	if err := os.MkdirAll("build/cache", 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Link("samples/x_1", "build/cache/x_1"); err != nil {
		t.Fatal(err)
	}
	fail2 := octetWith(t.Context(), "run", "--config", config, "--validate")
	if fail2.code != exitError || !strings.Contains(fail2.stderr, "there is no file expected") {
		t.Errorf("no outputs to compare with: %d %s", fail2.code, fail2.stderr)
	}
	succeed(t, "run", "--config", config, "--output_file", "out")
	if err := os.Rename("out_y", "expected"); err != nil {
		t.Fatal(err)
	}
	r := succeed(t, "run", "--config", config, "--validate")
	if !strings.Contains(r.stdout, "y MACE VS ONNX similarity: ") || !strings.Contains(r.stdout, "y: SQNR equal; first answer agrees in 1 of 1") {
		t.Errorf("validate:\n%s", r.stdout)
	}
	opposite := tensor.Of([]float32{1, -1, 1, -1}, 4)
	writeText(t, "expected", string(opposite.Bytes()))
	if r := octetWith(t.Context(), "run", "--config", config, "--validate"); r.code != exitError || !strings.Contains(r.stdout, "Similarity Test Failed") {
		t.Errorf("validate: %d\n%s", r.code, r.stdout)
	}
	nan := tensor.Of([]float32{float32(math.NaN()), 1, 1, 1}, 4)
	writeText(t, "expected", string(nan.Bytes()))
	if r := octetWith(t.Context(), "run", "--config", config, "--validate"); r.code != exitError || !strings.Contains(r.stdout, "similarity: nan") {
		t.Errorf("validate with NaN: %d\n%s", r.code, r.stdout)
	}
	writeText(t, "expected", "short")
	if r := octetWith(t.Context(), "run", "--config", config, "--validate"); r.code != exitError || !strings.Contains(r.stderr, `expected has 5 bytes, output "y" has 16`) {
		t.Errorf("a short file: %d\n%s", r.code, r.stderr)
	}
}

// TestStaleModels: a converted model that is not what the deployment file says by now is not run.
func TestStaleModels(t *testing.T) {
	_, config := maceTiny(t)
	rawSamples(t, "samples", 2)
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	checked := strings.Replace(string(text), "output_tensors: y", "check_tensors: f\n        check_shapes: 1,8\n        output_tensors: y", 1)
	quantized := writeText(t, "quantized.yml", checked+"    quantize: 1\n    quantize_range_file: ranges\n")
	// One deployment file for both: its float model gives the ranges that it names.
	succeed(t, "convert", "--config", quantized, "--quantize_stat")
	r := succeed(t, "run", "--config", quantized, "--quantize_stat", "--input_dir", "samples")
	writeText(t, "log", r.stdout)
	fail(t, exitError, []string{"it is a float model, and the deployment file says quantize: 1", "octet convert --config quantized.yml"},
		"run", "--config", quantized, "--input_dir", "samples")
	writeText(t, "ranges", succeed(t, "quantize-stat", "--log_file", "log").stdout)
	if again := succeed(t, "run", "--config", quantized, "--quantize_stat", "--input_dir", "samples"); !strings.Contains(again.stderr, "get histograms within it") {
		t.Errorf("stderr:\n%s", again.stderr)
	}
	succeed(t, "convert", "--config", quantized)
	// check_tensors take the place of outputs in the quantized model.
	succeed(t, "run", "--config", quantized, "--input_dir", "samples", "--output_dir", "out")
	if data, err := os.ReadFile("out/f_0"); err != nil || len(data) != 32 {
		t.Errorf("check_tensors: %d bytes, %v", len(data), err)
	}
	if r := succeed(t, "run", "--config", quantized, "--validate", "--validate_threshold", "0.9", "--input_dir", "samples"); !strings.Contains(r.stdout, "f MACE VS ONNX") {
		t.Errorf("validate:\n%s", r.stdout)
	}
	// Files to compare with are those of output_tensors, of which there may be another number.
	more := strings.NewReplacer("check_tensors: f", "check_tensors: [f, r]", "check_shapes: 1,8", "check_shapes: ['1,8', '1,8,8,8']").Replace(checked)
	more = writeText(t, "more.yml", more+"    quantize: 1\n    quantize_range_file: ranges\n    validation_outputs_data: expected\n")
	succeed(t, "convert", "--config", more)
	if r := octetWith(t.Context(), "run", "--config", more, "--validate"); r.code != exitError || !strings.Contains(r.stderr, "validation_outputs_data has 1, the model with check_tensors has 2 outputs") {
		t.Errorf("validate: %d\n%s", r.code, r.stderr)
	}
	succeed(t, "convert", "--config", quantized)
	fail(t, exitError, []string{"it is quantized, and the deployment file does not say quantize: 1"}, "run", "--config", config, "--input_dir", "samples")
}

// TestIntermediateOutputs: results from inside of the network are the right ones (MACE gives another layer's data).
func TestIntermediateOutputs(t *testing.T) {
	rename := []string{"output_tensors: y", "output_tensors: [y, r]", "output_shapes: 1,4", "output_shapes: ['1,4', '1,8,8,8']",
		"output_data_formats: NONE", "output_data_formats: [NONE, NCHW]"}
	_, config := maceTiny(t, rename...)
	rawSamples(t, "samples", 2)
	succeed(t, "convert", "--config", config)
	succeed(t, "run", "--config", config, "--input_dir", "samples", "--output_dir", "both")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	one := writeText(t, "one.yml", strings.NewReplacer("[y, r]", "r", "['1,4', '1,8,8,8']", "1,8,8,8", "[NONE, NCHW]", "NCHW").Replace(string(text)))
	succeed(t, "convert", "--config", one)
	succeed(t, "run", "--config", one, "--input_dir", "samples", "--output_dir", "one")
	both, err := os.ReadFile("both/r_1")
	if err != nil {
		t.Fatal(err)
	}
	if alone, err := os.ReadFile("one/r_1"); err != nil || string(alone) != string(both) || len(both) != 4*512 {
		t.Errorf("an intermediate output depends on what else is asked for (%v)", err)
	}
}

// TestSeveralModels: models of a file are converted together or not at all, and subgraphs are files of their own.
func TestSeveralModels(t *testing.T) {
	_, config := maceTiny(t)
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	top, model, _ := strings.Cut(string(text), "  tiny:\n")
	two := writeText(t, "two.yml", top+"  tiny:\n"+model+"  wrong:\n"+strings.Replace(model, "output_tensors: y", "output_tensors: z", 1))
	fail(t, exitError, []string{"two.yml:", `"z"`}, "convert", "--config", two)
	if _, err := os.Stat("build"); err == nil {
		t.Error("one of two models was written")
	}
	succeed(t, "convert", "--config", two, "--model_name", "tiny")
	graphs := strings.Replace(string(text), "      - input_tensors: x", "      head:\n        input_tensors: x", 1)
	i, j := strings.Index(graphs, "      head:\n"), strings.Index(graphs, "    runtime:")
	tail := strings.NewReplacer("head:", "tail:", "input_tensors: x", "input_tensors: c", "1,3,8,8", "1,8,8,8").Replace(graphs[i:j])
	head := strings.NewReplacer("output_tensors: y", "output_tensors: c", "output_shapes: 1,4", "output_shapes: 1,8,8,8", "formats: NONE", "formats: NCHW").Replace(graphs[i:j])
	several := writeText(t, "several.yml", graphs[:i]+head+tail+graphs[j:])
	r := succeed(t, "convert", "--config", several)
	for _, name := range []string{"tiny_head.onnx", "tiny_tail.onnx"} {
		if !strings.Contains(r.stdout, filepath.Join("build", "lib", "model", name)+": float") {
			t.Errorf("lacks %s:\n%s", name, r.stdout)
		}
	}
}

// TestSchemas: every quantize_schema converts and runs; MACE's rounding is there where MACE has kernels.
func TestSchemas(t *testing.T) {
	_, config := maceTiny(t)
	rawSamples(t, "samples", 4)
	succeed(t, "convert", "--config", config, "--quantize_stat")
	writeText(t, "log", succeed(t, "run", "--config", config, "--quantize_stat", "--input_dir", "samples").stdout)
	writeText(t, "ranges", succeed(t, "quantize-stat", "--log_file", "log").stdout)
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	for schema, exact := range map[string]bool{"''": true, "int8": true, "mace_apu_16bit_per_tensor": false, "mace_htp_u16a_s8w": false} {
		changed := writeText(t, "schema.yml", string(text)+"    quantize: 1\n    quantize_range_file: ranges\n    quantize_schema: "+schema+"\n")
		succeed(t, "convert", "--config", changed)
		line := []string{"run", "--config", changed, "--validate", "--input_dir", "samples"}
		succeed(t, line...)
		mace := append(line, "--arithmetic", "mace")
		if exact {
			succeed(t, mace...)
			succeed(t, "convert", "--config", changed, "--arithmetic", "mace")
			succeed(t, line...)
		} else {
			fail(t, exitError, []string{"for accelerators"}, mace...)
			fail(t, exitError, []string{"schema.yml:8:9", "for accelerators"}, "convert", "--config", changed, "--arithmetic", "mace")
		}
	}
	weights := writeText(t, "weights.yml", string(text)+"    quantize_large_weights: 1\n")
	if r := succeed(t, "convert", "--config", weights); !strings.Contains(r.stdout, ": float, weights stored in 8 bits, ") {
		t.Errorf("stdout %q", r.stdout)
	}
	if r := succeed(t, "run", "--config", weights, "--validate", "--input_dir", "samples"); strings.Contains(r.stdout, "similarity: 1.0 ") {
		t.Errorf("weights of 8 bits change nothing:\n%s", r.stdout)
	}
}

// TestInputRanges: samples that input_ranges does not fit are noticed, when ranges are collected and when they are used.
func TestInputRanges(t *testing.T) {
	_, config := maceTiny(t, "input_ranges: -4,4", "input_ranges: 0,255")
	rawSamples(t, "samples", 4)
	succeed(t, "convert", "--config", config, "--quantize_stat")
	r := succeed(t, "run", "--config", config, "--quantize_stat", "--input_dir", "samples")
	if !strings.Contains(r.stderr, `Warning: input "x" has values from -`) || !strings.Contains(r.stderr, "write input_ranges: -") {
		t.Errorf("stderr:\n%s", r.stderr)
	}
	if r := succeed(t, "run", "--config", config, "--input_dir", "samples"); strings.Contains(r.stderr, "Warning") {
		t.Errorf("a float model needs no input_ranges:\n%s", r.stderr)
	}
	writeText(t, "log", r.stdout)
	writeText(t, "ranges", succeed(t, "quantize-stat", "--log_file", "log").stdout)
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	quantized := writeText(t, "quantized.yml", string(text)+"    quantize: 1\n    quantize_range_file: ranges\n")
	succeed(t, "convert", "--config", quantized)
	if r := succeed(t, "run", "--config", quantized, "--input_dir", "samples"); strings.Count(r.stderr, "Warning") != 1 {
		t.Errorf("stderr:\n%s", r.stderr)
	}
	if r := succeed(t, "run", "--config", quantized, "--input_dir", "samples", "--arithmetic", "mace"); strings.Contains(r.stderr, "Warning") {
		t.Errorf("MACE's arithmetic has no use of input_ranges:\n%s", r.stderr)
	}
}

// TestOutputsOfSeveralModels: files of one model are never written over by those of another, and flags for outputs that
// go with other inputs are not passed over in silence.
func TestOutputsOfSeveralModels(t *testing.T) {
	_, config := maceTiny(t)
	rawSamples(t, "samples", 2)
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	_, model, _ := strings.Cut(string(text), "models:\n")
	two := writeText(t, "two.yml", string(text)+strings.Replace(model, "tiny:", "other:", 1))
	succeed(t, "convert", "--config", two)
	fail(t, exitError, []string{"tiny and other", "same name, y", "--model_name"}, "run", "--config", two, "--input_dir", "samples", "--output_dir", "out")
	if _, err := os.Stat("out"); err == nil {
		t.Error("outputs were written")
	}
	succeed(t, "run", "--config", two, "--input_dir", "samples")
	// Which model it is stands before what is said of it; what fails with one does not keep the others from running.
	r := octetWith(t.Context(), "run", "--config", two, "--input_dir", "samples", "--validate", "--validate_threshold", "1")
	if first, second, ok := strings.Cut(r.stdout, "other:\ny MACE VS"); r.code != exitError || !ok || !strings.HasPrefix(first, "tiny:\ny MACE VS") || second == "" ||
		strings.Count(r.stderr, "is not above the threshold") != 2 {
		t.Errorf("validate: %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	r = succeed(t, "run", "--config", two, "--input_dir", "samples", "--quantize_stat")
	if !strings.Contains(r.stderr, "the ranges of 2 models go into one log") || !strings.HasPrefix(r.stdout, "I octet/") {
		t.Errorf("ranges: %.80s\n%s", r.stdout, r.stderr)
	}
	succeed(t, "run", "--config", two, "--model_name", "other", "--input_file", "samples/x_1", "--output_file", "deep/er/one")
	if _, err := os.Stat("deep/er/one_y"); err != nil {
		t.Error(err)
	}
	if r := succeed(t, "run", "--config", config, "--output_dir", "out"); !strings.Contains(r.stderr, "--output_dir is for the samples of --input_dir") {
		t.Errorf("stderr %q", r.stderr)
	}
	if r := succeed(t, "run", "--config", config, "--input_dir", "samples", "--output_file", "out"); !strings.Contains(r.stderr, "--output_file is for one sample") {
		t.Errorf("stderr %q", r.stderr)
	}
}

// TestInterruptedFlow: what is interrupted says so and leaves no file behind.
func TestInterruptedFlow(t *testing.T) {
	_, config := maceTiny(t)
	rawSamples(t, "samples", 2)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, line := range []string{
		"convert --config tiny.yml", "run --config tiny.yml --input_dir samples --output_dir out",
		"run --config tiny.yml --quantize_stat --input_dir samples", "run --config tiny.yml --validate --input_dir samples", "run --config tiny.yml --benchmark",
	} {
		if r := octetWith(ctx, strings.Fields(line)...); r.code != exitInterrupted || !strings.Contains(r.stderr, "interrupted") || r.stdout != "" {
			t.Errorf("%s: %d %s%s", line, r.code, r.stdout, r.stderr)
		}
		if files, err := filepath.Glob("out/*"); err != nil || len(files) > 0 {
			t.Errorf("%s left %v, %v", line, files, err)
		}
		if line == "convert --config tiny.yml" {
			if _, err := os.Stat("build"); err == nil {
				t.Error("an interrupted conversion wrote files")
			}
			succeed(t, "convert", "--config", config)
		}
	}
}

// TestWaysOfMACE: what MACE's scripts and programs take in other ways than by the flags of the documentation, and under
// which names.
func TestWaysOfMACE(t *testing.T) {
	_, config := maceTiny(t)
	rawSamples(t, "samples", 3)
	succeed(t, "convert", "--config", config, "--devices_to_run", "d", "--quantize_stat")
	byFlag := succeed(t, "run", "--config", config, "--quantize_stat", "--input_dir", "samples")
	byList := succeed(t, "run", "--config", config, "--envs", "MACE_OUT_OF_RANGE_CHECK=0 MACE_LOG_TENSOR_RANGE=1", "--input_dir", "samples")
	t.Setenv("MACE_LOG_TENSOR_RANGE", "1")
	byEnvironment := succeed(t, "run", "--config", config, "--input_dir", "samples", "--gpu_out_of_range_check", "--use_system_libhexagon_nn")
	if byFlag.stdout == "" || byList.stdout != byFlag.stdout || byEnvironment.stdout != byFlag.stdout {
		t.Errorf("three ways to ask for ranges give %d, %d and %d bytes", len(byFlag.stdout), len(byList.stdout), len(byEnvironment.stdout))
	}
	if !strings.Contains(byEnvironment.stderr, "Note: MACE_LOG_TENSOR_RANGE=1: ranges are printed, as with --quantize_stat\n") {
		t.Errorf("stderr %q", byEnvironment.stderr)
	}
	t.Setenv("MACE_LOG_TENSOR_RANGE", "0")
	if r := succeed(t, "run", "--config", config, "--input_dir", "samples"); r.stdout != "" {
		t.Errorf("ranges that nobody asked for:\n%s", r.stdout)
	}
	// --layers -1 is MACE's default: none. Others are numbered from the end.
	r := succeed(t, "run", "--config", config, "--layers", "-1", "--validate", "--input_dir", "samples")
	if !strings.Contains(r.stdout, "Similarity Test Passed") {
		t.Errorf("--layers -1:\n%s", r.stdout)
	}
	if r := succeed(t, "run", "--config", config, "--layers", "-1:", "--input_dir", "samples"); !strings.HasPrefix(r.stdout, "y MACE VS ONNX") || !strings.Contains(r.stderr, "1 of 4 layers") {
		t.Errorf("--layers -1:: %s%s", r.stdout, r.stderr)
	}
	writeText(t, "range_log", byFlag.stdout)
	if succeed(t, "quantize_stat", "--log_file", "range_log").stdout != succeed(t, "quantize-stat", "--log-file=range_log").stdout {
		t.Error("quantize_stat is not quantize-stat")
	}
	fail(t, exitUsage, []string{"--image_shape"}, "image_to_tensor", "--input", "x")
}

// TestAllThatIsMissing: every file that is not there is named at once, and folders that cannot be written say by which
// flag they are meant.
func TestAllThatIsMissing(t *testing.T) {
	_, config := maceTiny(t)
	rawSamples(t, "samples", 1)
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	gone := writeText(t, "gone.yml", strings.NewReplacer("platform: onnx", "platform: caffe\n    weight_file_path: w.caffemodel", "tiny.onnx", "n.prototxt").Replace(string(text))+
		"    quantize: 1\n    quantize_range_file: ranges\n")
	fail(t, exitError, []string{"gone.yml:6:22: model_file_path: there is no file n.prototxt", "gone.yml:5:23: weight_file_path: there is no file w.caffemodel",
		"gone.yml:18:26: quantize_range_file: there is no file ranges"}, "convert", "--config", gone)
	succeed(t, "convert", "--config", config)
	fail(t, exitError, []string{"--output_dir: mkdir " + config}, "run", "--config", config, "--input_dir", "samples", "--output_dir", config)
	fail(t, exitError, []string{"--output_file: mkdir " + config}, "run", "--config", config, "--output_file", config+"/out")
}
