package tflite

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/octet-nn/octet/internal/format"
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/testdata"
	"github.com/octet-nn/octet/tensor"
)

func sharedFiles(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(testdata.Shared(t, "tflite"), "*", "*.tflite"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	return files
}

func TestSharedFilesAreRead(t *testing.T) {
	for _, path := range sharedFiles(t) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		g, err := Read(data, Options{File: filepath.Base(path)})
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if len(g.Inputs) == 0 || len(g.Outputs) == 0 {
			t.Errorf("%s has %d inputs and %d outputs", path, len(g.Inputs), len(g.Outputs))
		}
	}
}

// Weights must not be copied: what a model takes beside its file is small.
func TestWeightsArePartsOfTheFile(t *testing.T) {
	data, err := os.ReadFile(testdata.Shared(t, "tflite", "imagenet", "mobilenet_v1_0.25_128_quant.tflite"))
	if err != nil {
		t.Fatal(err)
	}
	g, err := Read(data, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range g.Values() {
		if v.Const == nil || v.Const.Len() < 1000 {
			continue
		}
		b := v.Const.Bytes()
		first := b[0]
		i := strings.Index(string(data), string(b))
		data[i]++
		if b[0] == first {
			t.Errorf("%s is a copy", v.Name)
		}
		data[i]--
	}
}

func TestFilesThatAreNone(t *testing.T) {
	for name, data := range map[string]string{
		"empty": "", "short": "\x04\x00\x00\x00TFL", "other": "\x04\x00\x00\x00ONNX....",
		"offset beyond the end": "\xff\xff\xff\x7fTFL3", "offset to itself": "\x00\x00\x00\x00TFL3",
		"table beyond the end": "\x08\x00\x00\x00TFL3\x01", "fields before the file": "\x08\x00\x00\x00TFL3\xff\x00\x00\x00\x00\x00",
	} {
		_, err := Read([]byte(data), Options{File: "m.tflite"})
		var e *format.Error
		if !errors.As(err, &e) || e.File != "m.tflite" {
			t.Errorf("%s: %v is no *format.Error with the file's name", name, err)
		}
	}
}

// A file with any one byte or word changed is read or refused; it never makes the reader panic.
func TestDamagedFiles(t *testing.T) {
	data, err := os.ReadFile(testdata.Shared(t, "tflite", "mlperf_tiny", "kws_int8.tflite"))
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		damaged := append([]byte(nil), data...)
		at := random.IntN(len(damaged) - 4)
		switch random.IntN(3) {
		case 0:
			damaged[at] = byte(random.Uint32())
		case 1:
			copy(damaged[at&^3:], "\xff\xff\xff\xff")
		default:
			damaged = damaged[:at]
		}
		if g, err := Read(damaged, Options{}); err == nil {
			_, _ = op.Infer(g)
		}
	}
}

// Control flow and operators of somebody else's are read and named; only running them fails.
func TestUnknownOperators(t *testing.T) {
	w := &written{name: "main", inputs: []int{0}, outputs: []int{4}}
	for i := range 5 {
		w.tensors = append(w.tensors, writtenTensor{name: string(rune('a' + i)), dtype: tensor.Float32, shape: []int{2}})
	}
	for i, name := range []string{"WHILE", "CUSTOM", "RELU", "CALL_ONCE"} {
		w.operators = append(w.operators, writtenOperator{name: name, version: 1, in: []int{i}, out: []int{i + 1}})
	}
	g, err := Read(w.encode(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := op.Infer(g); err != nil {
		t.Error(err)
	}
	err = op.CheckSupported(g)
	var unsupported *op.UnsupportedError
	if !errors.As(err, &unsupported) || len(unsupported.Nodes) != 3 {
		t.Fatalf("%v does not list three operators", err)
	}
	for _, name := range []string{"tflite.WHILE", "tflite.CUSTOM", "tflite.CALL_ONCE"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%v does not name %s", err, name)
		}
	}
}

// Weights of 4 bits, two to a byte, are weights like others.
func TestFourBitWeights(t *testing.T) {
	weights := tensor.New(tensor.Int4, 3, 5)
	wide := make([]int64, 15)
	for i := range wide {
		wide[i] = int64(i) - 7
	}
	weights = op.FromInt64s(tensor.Int4, weights.Shape(), wide)
	build := func(w *tensor.Tensor) []byte {
		f := &written{name: "int4", inputs: []int{0}, outputs: []int{2}}
		f.tensors = []writtenTensor{{name: "x", dtype: tensor.Int8, shape: []int{2, 5}, quant: inputCodes},
			{name: "w", dtype: w.DType(), shape: []int{3, 5}, quant: graph.PerTensor(0.1, 0), data: w.Bytes()},
			{name: "y", dtype: tensor.Int8, shape: []int{2, 3}, quant: outputCodes}}
		f.operators = []writtenOperator{{name: "FULLY_CONNECTED", version: 1, kind: 8, in: []int{0, 1, -1}, out: []int{2}}}
		return f.encode()
	}
	var answers []*tensor.Tensor
	for _, w := range []*tensor.Tensor{weights, op.FromInt64s(tensor.Int8, []int{3, 5}, wide)} {
		g, err := Read(build(w), Options{})
		if err != nil {
			t.Fatal(err)
		}
		answers = append(answers, evaluate(t, g, codes(2, 5)))
	}
	compare(t, "the layer with 4 bits", answers[0], answers[1])
}

// Files that say little and ask for much are read, or refused, in no time and little memory.
func TestGreedyFiles(t *testing.T) {
	long := strings.Repeat("x", 1<<14)
	many := &written{name: "many"}
	for range 100_000 {
		many.tensors = append(many.tensors, writtenTensor{name: "same", dtype: tensor.Float32, shape: []int{1}})
	}
	unpacked := &written{name: "unpacked", inputs: []int{0}}
	unpacked.tensors = []writtenTensor{{name: "x", dtype: tensor.Float32, shape: []int{100_000}}, {name: long, dtype: tensor.Float32}}
	outs := []int{1}
	for i := range 100_000 {
		unpacked.tensors = append(unpacked.tensors, writtenTensor{dtype: tensor.Float32})
		outs = append(outs, 2+i)
	}
	unpacked.operators = []writtenOperator{{name: "UNPACK", version: 1, kind: 64, in: []int{0}, out: outs}}
	shapes := &written{name: "shapes", inputs: []int{0}}
	shapes.tensors = []writtenTensor{{name: "x", dtype: tensor.Float32, shape: []int{1}},
		{name: "shape", dtype: tensor.Int32, shape: []int{100_000}, data: make([]byte, 400_000)}}
	for i := range 10_000 {
		shapes.tensors = append(shapes.tensors, writtenTensor{dtype: tensor.Float32})
		shapes.operators = append(shapes.operators, writtenOperator{name: "RESHAPE", version: 1, in: []int{0, 1}, out: []int{2 + i}})
	}
	state := &written{name: "state", outputs: []int{0}}
	state.tensors = []writtenTensor{{name: "state", dtype: tensor.Float32, shape: []int{1 << 20, 1 << 12}, state: true}}
	for _, w := range []*written{many, unpacked, shapes, state} {
		data := w.encode()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		_, err := Read(data, Options{})
		runtime.ReadMemStats(&after)
		if took, made := time.Since(start), after.TotalAlloc-before.TotalAlloc; took > 10*time.Second || made > 1<<30 {
			t.Errorf("%s: %v and %d MiB for %d bytes (an error: %t)", w.name, took, made>>20, len(data), err != nil)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("\x08\x00\x00\x00TFL3"))
	for _, s := range smalls() {
		var file bytes.Buffer
		if err := Write(&file, s.graph(f)); err != nil {
			f.Fatal(err)
		}
		f.Add(file.Bytes())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		g, err := Read(data, Options{})
		if err != nil {
			return
		}
		if err := g.Check(); err != nil {
			t.Errorf("an illegal graph was read: %v", err)
		}
	})
}
