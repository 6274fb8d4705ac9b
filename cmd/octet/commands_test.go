package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/tensor"
)

// decode checks that a text is JSON with exactly the given keys at the top and returns it.
func decode(t *testing.T, text string, keys ...string) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("not JSON: %v\n%s", err, text)
	}
	checkKeys(t, v, keys...)
	return v
}

func checkKeys(t *testing.T, v map[string]any, keys ...string) {
	t.Helper()
	var have []string
	for k := range v {
		have = append(have, k)
	}
	slices.Sort(have)
	slices.Sort(keys)
	if !slices.Equal(have, keys) {
		t.Errorf("keys are %q, documented are %q", have, keys)
	}
}

func TestVersion(t *testing.T) {
	out := succeed(t, "version").stdout
	for _, part := range []string{"octet ", "go: ", "cpu features:", "tier in use:", "amx:"} {
		if !strings.Contains(out, part) {
			t.Errorf("version lacks %q:\n%s", part, out)
		}
	}
}

func TestInspect(t *testing.T) {
	f := newTiny(t)
	golden(t, "inspect_float", strings.ReplaceAll(succeed(t, "inspect", f.model).stdout, f.dir, "DIR"))
	q := f.quantized(t)
	r := succeed(t, "inspect", q, "--nodes")
	for _, part := range []string{"100.00 % of them on integers", "octet.scheme = int8", "per channel", "quantized "} {
		if !strings.Contains(r.stdout, part) {
			t.Errorf("inspect lacks %q:\n%s", part, r.stdout)
		}
	}
	v := decode(t, succeed(t, "inspect", q, "--json").stdout, "path", "file_bytes", "inputs", "outputs", "operators", "parameters",
		"macs", "integer_macs", "quantized", "states", "weight_quantization", "nodes", "islands", "metadata")
	if v["quantized"] != true || v["macs"] != v["integer_macs"] || v["macs"] == 0.0 {
		t.Errorf("quantized %v, macs %v, integer_macs %v", v["quantized"], v["macs"], v["integer_macs"])
	}
	checkKeys(t, v["nodes"].([]any)[0].(map[string]any), "node", "op", "compute", "output", "quantization", "weights", "macs")
	text := succeed(t, "inspect", f.model, "--text").stdout
	if !strings.HasPrefix(text, "graph ") || !strings.Contains(text, `"y"`) {
		t.Errorf("text form:\n%s", text)
	}
}

func TestQuantizeReports(t *testing.T) {
	f := newTiny(t)
	r := succeed(t, "quantize", f.model, "--samples", f.samples, "-o", f.path("q.onnx"), "--limit", "10")
	for _, part := range []string{f.path("q.onnx") + ": int8", "10 samples", "larger)", "100.0 % of multiply-accumulates on integers"} {
		if !strings.Contains(r.stdout, part) {
			t.Errorf("stdout lacks %q:\n%s", part, r.stdout)
		}
	}
	if !strings.Contains(r.stderr, "Warning: 10 samples is not much") {
		t.Errorf("stderr does not warn of few samples:\n%s", r.stderr)
	}
	r = succeed(t, "quantize", f.model, "--samples", f.samples, "-o", f.path("q.onnx"), "--keep-float", "fc")
	if !strings.Contains(r.stdout, `Gemm "fc"`) {
		t.Errorf("the island is not listed:\n%s", r.stdout)
	}
	fail(t, exitError, []string{"convv", "conv"}, "quantize", f.model, "--samples", f.samples, "-o", f.path("none.onnx"), "--keep-float", "convv")
	fail(t, exitError, []string{"conv", "Conv"}, "quantize", f.model, "--samples", f.samples, "-o", f.path("none.onnx"), "--keep-float-op", "conv")
	if _, err := os.Stat(f.path("none.onnx")); err == nil {
		t.Error("a failed command left a file")
	}
}

func TestQuantizeSchemes(t *testing.T) {
	f := newTiny(t)
	for _, flags := range []string{
		"--scheme uint8", "--scheme int8-per-tensor", "--activations int8", "--io int8", "--method min-max",
		"--method average", "--method entropy", "--method mse", "--percentile 99.9",
	} {
		t.Run(flags, func(t *testing.T) {
			q := f.path(strings.ReplaceAll(flags, " ", "") + ".onnx")
			succeed(t, append([]string{"quantize", f.model, "-o", q, "--samples", f.samples}, strings.Fields(flags)...)...)
			v := decode(t, succeed(t, "evaluate", f.model, q, "--samples", f.samples, "--json").stdout, "models")
			if sqnr := v["models"].([]any)[1].(map[string]any)["sqnr_db"].(float64); sqnr < 15 {
				t.Errorf("%.1f dB", sqnr)
			}
		})
	}
}

// TestSharedCalibration: ranges of two halves, added up, give the very file that all samples give.
func TestSharedCalibration(t *testing.T) {
	f := newTiny(t)
	quantize := func(args ...string) {
		t.Helper()
		succeed(t, append([]string{"quantize", f.model}, args...)...)
	}
	quantize("--samples", f.samples, "--ranges-out", f.path("all.json"), "-o", f.path("all.onnx"), "--method", "mse")
	quantize("--samples", f.samples, "--ranges-out", f.path("a.json"), "--limit", "20")
	quantize("--samples", f.samples, "--ranges-out", f.path("b.json"), "--offset", "20")
	quantize("--ranges-in", f.path("a.json"), "--ranges-in", f.path("b.json"), "-o", f.path("merged.onnx"), "--method", "mse")
	quantize("--ranges-in", f.path("a.json"), "--samples", f.samples, "-o", f.path("continued.onnx"), "--method", "mse")
	quantize("--samples", f.samples, "--ranges-out", f.path("a.json"), "--resume", "-o", f.path("resumed.onnx"), "--method", "mse")
	want, err := os.ReadFile(f.path("all.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"merged.onnx", "continued.onnx", "resumed.onnx"} {
		if got, err := os.ReadFile(f.path(name)); err != nil || string(got) != string(want) {
			t.Errorf("%s differs from the file made in one go (%v)", name, err)
		}
	}
	fail(t, exitError, []string{"b.json"}, "quantize", f.model, "--ranges-in", f.path("b.json"), "--ranges-in", f.path("b.json"), "-o", f.path("twice.onnx"))
	other := f.path("other.json")
	text, err := os.ReadFile(f.path("a.json"))
	if err != nil {
		t.Fatal(err)
	}
	writeText(t, other, strings.NewReplacer(`"x":`, `"xx":`, `"c":`, `"cc":`, `"r":`, `"rr":`, `"p":`, `"pp":`, `"f":`, `"ff":`, `"y":`, `"yy":`).Replace(string(text)))
	fail(t, exitError, []string{"another model's"}, "quantize", f.model, "--ranges-in", other, "-o", f.path("other.onnx"))
}

func TestInterruptedCalibrationIsKept(t *testing.T) {
	f := newTiny(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := octetWith(ctx, "quantize", f.model, "--samples", f.samples, "--ranges-out", f.path("r.json"), "-o", f.path("q.onnx"))
	if r.code != exitInterrupted || !strings.Contains(r.stderr, "interrupted") || !strings.Contains(r.stderr, "--resume") {
		t.Errorf("exit code %d\n%s", r.code, r.stderr)
	}
	if _, err := os.Stat(f.path("q.onnx")); err == nil {
		t.Error("an interrupted command wrote its output")
	}
	succeed(t, "quantize", f.model, "--samples", f.samples, "--ranges-out", f.path("r.json"), "-o", f.path("q.onnx"), "--resume")
}

func TestEvaluate(t *testing.T) {
	f := newTiny(t)
	q := f.quantized(t)
	labels := ""
	for i := range tinySamples {
		labels += fmt.Sprintf("%d_%02d.npy,%d\n", i%4, i, i%4)
	}
	csv := writeText(t, f.path("labels.csv"), labels)
	for _, source := range []string{"filename", csv} {
		v := decode(t, succeed(t, "evaluate", f.model, q, "--samples", f.samples, "--labels", source, "--json").stdout, "models")
		models := v["models"].([]any)
		second := models[1].(map[string]any)
		checkKeys(t, second, "path", "n", "labeled", "top1", "top5", "top1_interval", "agreement", "agreement_interval", "drop",
			"drop_interval", "sqnr_db")
		if second["n"] != 40.0 || second["labeled"] != 40.0 || second["agreement"].(float64) < 0.8 {
			t.Errorf("%s: %v", source, second)
		}
		if first := models[0].(map[string]any); first["agreement"] != 1.0 || first["sqnr_db"] != nil {
			t.Errorf("%s: the first model agrees with itself: %v", source, first)
		}
	}
	unlabeled := decode(t, succeed(t, "evaluate", f.model, "--samples", f.samples, "--json").stdout, "models")
	if v := unlabeled["models"].([]any)[0].(map[string]any); v["top1"] != nil || v["labeled"] != 0.0 {
		t.Errorf("without labels: %v", v)
	}
	table := succeed(t, "evaluate", f.model, q, "--samples", f.samples, "--labels", "filename").stdout
	for _, part := range []string{"40 samples, 40 with labels", "top-1 (95 %)", "same answer", "drop", q} {
		if !strings.Contains(table, part) {
			t.Errorf("table lacks %q:\n%s", part, table)
		}
	}
	none := writeText(t, f.path("none.csv"), "other.npy,1\n")
	if r := octetWith(t.Context(), "evaluate", f.model, "--samples", f.samples, "--labels", none); r.code != exitError {
		t.Errorf("labels of other files: exit code %d\n%s", r.code, r.stderr)
	}
}

func TestRunSamples(t *testing.T) {
	f := newTiny(t)
	classes := writeText(t, f.path("classes.txt"), "cat\ndog\nbird\nfish\n")
	sample := filepath.Join(f.samples, "0_00.npy")
	out := succeed(t, "run", f.model, "--samples", sample, "--classes", classes, "--top", "2").stdout
	if n := strings.Count(out, "\n"); n != 4 {
		t.Errorf("%d lines, want the sample, the output and two answers:\n%s", n, out)
	}
	five := writeText(t, f.path("five.txt"), "none\ncat\ndog\nbird\nfish\n")
	if r := succeed(t, "run", f.model, "--samples", f.samples, "--limit", "3", "--classes", five); strings.Count(r.stderr, "has 5 names, the model answers with 4") != 1 {
		t.Errorf("the wrong number of classes is not told, once:\n%s", r.stderr)
	}
	v := decode(t, succeed(t, "run", f.model, "--samples", f.samples, "--limit", "3", "--classes", classes, "--json").stdout, "model", "samples")
	samples := v["samples"].([]any)
	if len(samples) != 3 {
		t.Fatalf("%d samples", len(samples))
	}
	output := samples[0].(map[string]any)["outputs"].([]any)[0].(map[string]any)
	checkKeys(t, output, "name", "dtype", "shape", "min", "max", "mean", "top")
	checkKeys(t, output["top"].([]any)[0].(map[string]any), "index", "class", "value")
}

// TestRunTensors: raw and .npy inputs give the same outputs, written in both formats.
func TestRunTensors(t *testing.T) {
	f := newTiny(t)
	x := floats(rand.New(rand.NewPCG(1, 2)), 3, 3, 8, 8)
	writeNPY(t, f.path("x.npy"), x)
	writeText(t, f.path("x.raw"), string(x.Bytes()))
	succeed(t, "run", f.model, "--input", "x="+f.path("x.npy"), "--output-dir", f.path("npy"), "--output-format", "npy")
	succeed(t, "run", f.model, "--input", "x="+f.path("x.raw")+":3,3,8,8", "--output-dir", f.path("raw"))
	succeed(t, "run", f.model, "--input", "x="+f.path("x.raw"), "--batch", "3", "--output-dir", f.path("batch"))
	raw, err := os.ReadFile(f.path("raw/y.raw"))
	if err != nil || len(raw) != 3*4*4 {
		t.Fatalf("%d bytes, %v", len(raw), err)
	}
	npy, err := os.ReadFile(f.path("npy/y.npy"))
	if err != nil || !strings.HasSuffix(string(npy), string(raw)) {
		t.Errorf("the .npy file does not end with the same numbers (%v)", err)
	}
	if batch, err := os.ReadFile(f.path("batch/y.raw")); err != nil || string(batch) != string(raw) {
		t.Errorf("--batch 3 gives something else (%v)", err)
	}
	fail(t, exitUsage, []string{"x=x.npy"}, "run", f.model, "--input", "x")
	fail(t, exitError, []string{`no input "xx"`, `"x"`}, "run", f.model, "--input", "xx="+f.path("x.npy"))
	fail(t, exitError, []string{"absent.npy"}, "run", f.model, "--input", "x="+f.path("absent.npy"))
	fail(t, exitError, []string{"3,3,8,9", "x f32[N,3,8,8]"}, "run", f.model, "--input", "x="+f.path("x.raw")+":3,3,8,9")
}

func TestBench(t *testing.T) {
	f := newTiny(t)
	q := f.quantized(t)
	keys := []string{"path", "median_ms", "p95_ms", "p99_ms", "min_ms", "threads", "runs", "discarded", "peak_bytes", "macs", "gmacs_per_s", "operators"}
	v := decode(t, succeed(t, "bench", f.model, "--duration", "10ms", "--threads", "1", "--json").stdout, keys...)
	if v["threads"] != 1.0 || v["median_ms"].(float64) <= 0 || v["macs"] != float64(8*8*8*27+4*8) {
		t.Errorf("%v", v)
	}
	var list []map[string]any
	text := succeed(t, "bench", f.model, q, "--duration", "10ms", "--json").stdout
	if err := json.Unmarshal([]byte(text), &list); err != nil || len(list) != 2 {
		t.Fatalf("%d results, %v", len(list), err)
	}
	checkKeys(t, list[1], keys...)
	kernels := succeed(t, "bench", f.model, "--kernels", "--duration", "10ms", "--runs", "1", "--threads", "1").stdout
	for _, want := range []string{"generic ms", "shapes", "→", "*"} {
		if !strings.Contains(kernels, want) {
			t.Errorf("the table of kernels lacks %q:\n%s", want, kernels)
		}
	}
	fail(t, exitUsage, []string{"--kernels"}, "bench", f.model, "--assert")
	fail(t, exitUsage, []string{"one model"}, "bench", f.model, q, "--kernels")
	table := succeed(t, "bench", f.model, q, "--duration", "10ms").stdout
	for _, part := range []string{"median", "GMAC/s", "1.00x", "by operator", "peak memory"} {
		if !strings.Contains(table, part) {
			t.Errorf("table lacks %q:\n%s", part, table)
		}
	}
}

// TestOpenSizes: where sizes are needed and absent, the message is the line to type, and that line works.
func TestOpenSizes(t *testing.T) {
	f := newTiny(t)
	open := f.path("open.onnx")
	writeModel(t, open, tinyGraph(graph.Shape{
		{Size: graph.Unknown, Symbol: "N"}, graph.Fixed(3), {Size: graph.Unknown, Symbol: "H"}, {Size: graph.Unknown, Symbol: "W"},
	}))
	r := fail(t, exitError, []string{"octet bench " + open + " --duration 1ms --shape x=1,3,224,224"}, "bench", open, "--duration", "1ms")
	lines := strings.Split(strings.TrimSpace(r.stderr), "\n")
	succeed(t, strings.Fields(lines[len(lines)-1])[1:]...)
	if out := succeed(t, "inspect", open).stdout; !strings.Contains(out, "not known") || !strings.Contains(out, "--shape x=1,3,224,224") {
		t.Errorf("inspect does not say how to know the MACs:\n%s", out)
	}
}

// TestHugeInputs: an input that nobody has memory for is an error, not the end of the process.
func TestHugeInputs(t *testing.T) {
	f := newTiny(t)
	for _, shape := range []graph.Shape{graph.FixedShape(1, 3, 1<<20, 1<<20), graph.FixedShape(1<<30, 3, 1<<20, 1<<20)} {
		huge := f.path("huge.onnx")
		writeModel(t, huge, tinyGraph(shape))
		succeed(t, "inspect", huge)
		fail(t, exitError, []string{"huge.onnx", "8 GiB", "smaller sizes"}, "bench", huge, "--duration", "1ms")
	}
}

func TestStoredPreprocessing(t *testing.T) {
	f := newTiny(t)
	q := f.path("q.onnx")
	r := succeed(t, "quantize", f.model, "--samples", f.samples, "--preprocess", "{scale: 1/255}", "-o", q)
	if strings.Contains(r.stderr, "stored") {
		t.Errorf("nothing is stored yet:\n%s", r.stderr)
	}
	for _, args := range [][]string{{"run", q}, {"evaluate", f.model, q}} {
		args = append(args, "--samples", f.samples, "--limit", "2")
		if r := succeed(t, args...); !strings.Contains(r.stderr, "Preprocessing as stored in "+q+": unit") {
			t.Errorf("%s does not say which preprocessing it uses:\n%s", args[0], r.stderr)
		}
		if r := succeed(t, append(args, "--preprocess", "imagenet")...); strings.Contains(r.stderr, "stored") {
			t.Errorf("%s: --preprocess has to win:\n%s", args[0], r.stderr)
		}
	}
}

func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		shape []int
		rows  int
	}{
		{[]int{1, 4}, 1}, {[]int{3, 4}, 3}, {[]int{4}, 1}, {[]int{1, 4, 1, 1}, 1}, {[]int{2, 1, 1, 4}, 2},
		{[]int{1, 2, 2}, 0}, {[]int{}, 0}, {[]int{0, 4}, 0}, {[]int{4, 0}, 0}, {[]int{1, 1}, 0}, {[]int{1000, 4}, 0},
	} {
		x := tensor.New(tensor.Float32, c.shape...)
		if got := len(answers(x, make([]float64, x.Len()))); got != c.rows {
			t.Errorf("%v: %d rows, want %d", c.shape, got, c.rows)
		}
	}
}
