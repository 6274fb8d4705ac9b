package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/octet-nn/octet/internal/atomicfile"
	"github.com/octet-nn/octet/internal/dataset"
	"github.com/octet-nn/octet/internal/format/onnx"
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// result is what one command line did.
type result struct {
	code           int
	stdout, stderr string
}

func octetWith(ctx context.Context, args ...string) result {
	var stdout, stderr bytes.Buffer
	code := execute(ctx, args, &stdout, &stderr)
	return result{code, stdout.String(), stderr.String()}
}

// succeed runs a command line that has to work.
func succeed(t *testing.T, args ...string) result {
	t.Helper()
	r := octetWith(t.Context(), args...)
	if r.code != 0 {
		t.Fatalf("octet %s: exit code %d\n%s", strings.Join(args, " "), r.code, r.stderr)
	}
	return r
}

// fail runs a command line that has to fail with a code, a message that has all of the given parts, and no results.
func fail(t *testing.T, code int, parts []string, args ...string) result {
	t.Helper()
	r := octetWith(t.Context(), args...)
	if r.code != code {
		t.Errorf("octet %s: exit code %d, want %d\n%s", strings.Join(args, " "), r.code, code, r.stderr)
	}
	if !strings.HasPrefix(r.stderr, "octet: ") && !strings.Contains(r.stderr, "\noctet: ") {
		t.Errorf("octet %s: no line of stderr begins with the program's name:\n%s", strings.Join(args, " "), r.stderr)
	}
	for _, part := range parts {
		if !strings.Contains(r.stderr, part) {
			t.Errorf("octet %s: stderr lacks %q:\n%s", strings.Join(args, " "), part, r.stderr)
		}
	}
	if r.stdout != "" {
		t.Errorf("octet %s: failed and printed results:\n%s", strings.Join(args, " "), r.stdout)
	}
	return r
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (go test ./cmd/octet -update rewrites it):\n%s", path, got)
	}
}

// tiny is a folder with a small classifier and samples for it.
type tiny struct{ dir, model, samples string }

const tinySamples = 40

// newTiny makes a classifier of 8×8 images into four classes, and 40 samples whose file names begin with a class.
func newTiny(t *testing.T) tiny {
	t.Helper()
	dir := t.TempDir()
	f := tiny{dir, filepath.Join(dir, "tiny.onnx"), filepath.Join(dir, "samples")}
	writeModel(t, f.model, tinyGraph(graph.Shape{{Size: graph.Unknown, Symbol: "N"}, graph.Fixed(3), graph.Fixed(8), graph.Fixed(8)}))
	if err := os.Mkdir(f.samples, 0o777); err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(7, 7))
	for i := range tinySamples {
		writeNPY(t, filepath.Join(f.samples, fmt.Sprintf("%d_%02d.npy", i%4, i)), floats(random, 1, 3, 8, 8))
	}
	return f
}

// path is a file in the folder.
func (f tiny) path(name string) string { return filepath.Join(f.dir, name) }

// quantized is the 8-bit model, made by the command.
func (f tiny) quantized(t *testing.T) string {
	t.Helper()
	path := f.path("tiny.int8.onnx")
	succeed(t, "quantize", f.model, "--samples", f.samples, "-o", path)
	return path
}

func floats(random *rand.Rand, shape ...int) *tensor.Tensor {
	t := tensor.New(tensor.Float32, shape...)
	for i := range tensor.Values[float32](t) {
		tensor.Values[float32](t)[i] = float32(random.NormFloat64())
	}
	return t
}

func tinyGraph(input graph.Shape) *graph.Graph {
	random := rand.New(rand.NewPCG(3, 3))
	value := func(name string) *graph.Value {
		return &graph.Value{Name: name, Type: graph.Type{DType: tensor.Float32}}
	}
	constant := func(name string, t *tensor.Tensor) *graph.Value {
		return &graph.Value{Name: name, Type: graph.TypeOf(t), Const: t}
	}
	x, c, r, p, f, y := value("x"), value("c"), value("r"), value("p"), value("f"), value("y")
	x.Type.Shape = input
	return &graph.Graph{
		Name: "tiny", Inputs: []*graph.Value{x}, Outputs: []*graph.Value{y},
		Nodes: []*graph.Node{
			{Name: "conv", Op: &op.Conv{Pads: []int{1, 1, 1, 1}}, Outputs: []*graph.Value{c},
				Inputs: []*graph.Value{x, constant("cw", floats(random, 8, 3, 3, 3)), constant("cb", floats(random, 8))}},
			{Name: "relu", Op: op.NewFunction("Relu"), Inputs: []*graph.Value{c}, Outputs: []*graph.Value{r}},
			{Name: "pool", Op: &op.GlobalAveragePool{}, Inputs: []*graph.Value{r}, Outputs: []*graph.Value{p}},
			{Name: "flatten", Op: &op.Flatten{Axis: 1}, Inputs: []*graph.Value{p}, Outputs: []*graph.Value{f}},
			{Name: "fc", Op: &op.Gemm{Alpha: 1, Beta: 1, TransB: true}, Outputs: []*graph.Value{y},
				Inputs: []*graph.Value{f, constant("fw", floats(random, 4, 8)), constant("fb", floats(random, 4))}},
		},
	}
}

func writeModel(t *testing.T, path string, g *graph.Graph) {
	t.Helper()
	err := atomicfile.Write(path, func(w io.Writer) error { return onnx.Write(w, g, onnx.WriteOptions{}) })
	if err != nil {
		t.Fatal(err)
	}
}

func writeNPY(t *testing.T, path string, values *tensor.Tensor) {
	t.Helper()
	if err := atomicfile.Write(path, func(w io.Writer) error { return dataset.WriteNPY(w, values) }); err != nil {
		t.Fatal(err)
	}
}

func writeText(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
