package octet

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/mapped"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/testdata"
	"github.com/octet-nn/octet/tensor"
)

const listOfMappings = "/proc/self/maps"

// skipWithoutMappings skips where it cannot be seen what is mapped.
func skipWithoutMappings(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(listOfMappings); err != nil || !mapped.Supported {
		t.Skip("SKIP: this system has no list of mappings")
	}
}

func isMapped(t *testing.T, path string) bool {
	t.Helper()
	text, err := os.ReadFile(listOfMappings)
	if err != nil {
		t.Fatal(err)
	}
	if path, err = filepath.EvalSymlinks(path); err != nil { // the list has no links
		t.Fatal(err)
	}
	return bytes.Contains(text, []byte(path))
}

// waitUntilUnmapped collects garbage until a file is no longer mapped.
func waitUntilUnmapped(t *testing.T, path string) {
	t.Helper()
	for range 200 {
		runtime.GC()
		if !isMapped(t, path) {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("%s is still mapped", path)
}

// TestSessionsOutliveMappings loads models mapped, compiles them and lets the models go. Sessions give the same bytes
// as those of models that were read; one that touched the file would end the program.
func TestSessionsOutliveMappings(t *testing.T) {
	skipWithoutMappings(t)
	shared := testdata.Shared(t, "onnx")
	var files []string
	for _, pattern := range []string{"*.onnx", "ort_quant_tests/*.onnx", "../tflite/*/*.tflite", "../tf/*.pb", "../caffe/*.caffemodel"} {
		found, err := filepath.Glob(filepath.Join(shared, pattern))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	seen := 0
	for _, file := range files {
		if strings.HasSuffix(file, "matmul_integer_to_float_large_tensor.onnx") {
			continue // its inputs have 3 GiB
		}
		run := func(o LoadOptions) (results map[string]*tensor.Tensor, saved []byte) {
			m, err := Load(file, o)
			if err != nil {
				t.Fatal(err)
			}
			if want := o.mapFrom == 1; isMapped(t, file) != want {
				t.Fatalf("%s: mapped: %v", file, !want)
			}
			if m, err = m.WithShapes(nil); err != nil { // derived models hold on to the file
				t.Fatal(err)
			}
			runtime.GC()
			var b bytes.Buffer
			if err := m.Write(&b, SaveOptions{}); err != nil && !strings.Contains(err.Error(), "cannot be written") {
				b.Reset()
			}
			s, err := m.Compile(CompileOptions{Threads: 1})
			if err != nil {
				return nil, b.Bytes() // the same for both
			}
			defer s.Close()
			m = nil
			if o.mapFrom == 1 {
				waitUntilUnmapped(t, file)
			}
			in := map[string]*tensor.Tensor{}
			for _, v := range s.Inputs() {
				x, err := randomInput(v)
				if err != nil {
					t.Fatal(err)
				}
				in[v.Name] = x
			}
			if results, err = s.Run(t.Context(), in); err == nil {
				seen++
			}
			return results, b.Bytes()
		}
		name, _ := filepath.Rel(shared, file)
		want, wantSaved := run(LoadOptions{})
		got, gotSaved := run(LoadOptions{mapFrom: 1})
		if !bytes.Equal(gotSaved, wantSaved) {
			t.Errorf("%s: saved in another way", name)
		}
		if len(got) != len(want) {
			t.Errorf("%s: %d results, %d of the model that was read", name, len(got), len(want))
		}
		for output, w := range want {
			if g := got[output]; g == nil || !bytes.Equal(g.Bytes(), w.Bytes()) {
				t.Errorf("%s: output %q differs", name, output)
			}
		}
	}
	t.Logf("%d runs of %d models", seen, len(files))
	if seen < len(files) {
		t.Errorf("only %d of %d runs", seen, 2*len(files))
	}
}

// TestSaveOverMappedFile saves a model over the file that it is mapped from.
func TestSaveOverMappedFile(t *testing.T) {
	skipWithoutMappings(t)
	path := filepath.Join(t.TempDir(), "net.onnx")
	if err := largeModel(1<<20).Save(path, SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Load(path, LoadOptions{mapFrom: 1})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := m.Save(path, SaveOptions{}); err != nil {
			t.Fatal(err)
		}
		after, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(before, after) {
			t.Fatal("the file changed")
		}
	}
}

// TestLargeFilesAreNotCopied loads files of 100 MB: Go's memory may grow by the structure only, and the resident memory
// by less than 1.2 times the file even after every byte of it was looked at.
func TestLargeFilesAreNotCopied(t *testing.T) {
	skipWithoutMappings(t)
	if testing.Short() {
		t.Skip("SKIP: writes 200 MB")
	}
	const size = 100 << 20
	m := largeModel(size)
	dir := t.TempDir()
	for _, name := range []string{"net.onnx", "net.tflite"} {
		path := filepath.Join(dir, name)
		if err := m.Save(path, SaveOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	m = nil
	for _, name := range []string{"net.onnx", "net.tflite"} {
		path := filepath.Join(dir, name)
		runtime.GC()
		runtime.GC()
		resident := residentBytes(t)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		begin := time.Now()
		m, err := Load(path, LoadOptions{})
		took := time.Since(begin)
		if err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		allocated := after.TotalAlloc - before.TotalAlloc
		loaded := residentBytes(t) - resident
		var sum float64
		for _, n := range m.graph.Nodes {
			for _, v := range n.Inputs {
				if v.Const != nil {
					for _, b := range v.Const.Bytes() {
						sum += float64(b)
					}
				}
			}
		}
		touched := residentBytes(t) - resident
		t.Logf("%s, %d MB: loaded in %v; Go allocated %d KB; resident %+d KB, with all pages %+d KB (sum of bytes %g)", name, m.size/1e6, took,
			allocated>>10, loaded>>10, touched>>10, sum)
		if allocated > 8<<20 {
			t.Errorf("%s: loading allocated %d MiB", name, allocated>>20)
		}
		if touched > size*12/10 {
			t.Errorf("%s: %d MiB are resident", name, touched>>20)
		}
		m = nil
		waitUntilUnmapped(t, path)
	}
}

// largeModel is a float network of about size bytes: products with wide matrices.
func largeModel(size int) *Model {
	const width = 1024
	x := &graph.Value{Name: "x", Type: graph.Type{DType: tensor.Float32, Shape: graph.FixedShape(1, width)}}
	g := &graph.Graph{Name: "large", Inputs: []*graph.Value{x}}
	random := rand.New(rand.NewPCG(1, 2))
	for i := range max(1, size/(4*width*width)) {
		values := make([]float32, width*width)
		for j := range values {
			values[j] = (random.Float32() - 0.5) / 16
		}
		w := tensor.Of(values, width, width)
		y := &graph.Value{Name: fmt.Sprintf("y%d", i)}
		g.Nodes = append(g.Nodes, &graph.Node{Name: y.Name, Op: &op.Gemm{Alpha: 1, Beta: 1, TransB: true}, Outputs: []*graph.Value{y},
			Inputs: []*graph.Value{x, {Name: fmt.Sprintf("w%d", i), Type: graph.TypeOf(w), Const: w}}})
		x = y
	}
	g.Outputs = []*graph.Value{x}
	if _, err := op.Infer(g); err != nil {
		panic(err)
	}
	return &Model{graph: g}
}

// residentBytes is the present resident size of the process.
func residentBytes(t *testing.T) int {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, found := strings.CutPrefix(lines.Text(), "VmRSS:"); found {
			kib, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")))
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatal("no VmRSS")
	return 0
}
