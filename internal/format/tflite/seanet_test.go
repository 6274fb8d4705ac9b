package tflite

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/testdata"
	"github.com/octet-nn/octet/tensor"
)

// TestSeanet runs the single-operator models of 16-bit activations that TensorFlow Lite for Microcontrollers tests its
// kernels with: the suite of the row tflite16x8.
func TestSeanet(t *testing.T) {
	files := seanetFiles(t)
	passed, unlike := map[string]int{}, map[numeric.Arithmetic]int{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if !strings.HasSuffix(name, ".tflite") {
			continue
		}
		if err := runSeanet(t, files, strings.TrimSuffix(name, ".tflite"), numeric.TFLite16x8); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		passed[path.Dir(name)]++
		for _, row := range numeric.Arithmetics() {
			if runSeanet(t, files, strings.TrimSuffix(name, ".tflite"), row) != nil {
				unlike[row]++
			}
		}
	}
	t.Logf("passed: %v; unlike other rows: %v", passed, unlike)
	want := map[string]int{"add": 17, "conv": 22, "leaky_relu": 23, "pad": 19, "quantize": 2, "strided_slice": 34, "sub": 5, "transpose_conv": 5}
	if !maps.Equal(passed, want) {
		t.Errorf("%v models pass, want %v", passed, want)
	}
	for _, row := range numeric.Arithmetics() {
		if row != numeric.TFLite16x8 && unlike[row] == 0 {
			t.Errorf("all models pass in the row %s too", row)
		}
	}
}

// Models of 16-bit activations stay the same when they are written again.
func TestSeanetWrittenAgain(t *testing.T) {
	files := seanetFiles(t)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if !strings.HasSuffix(name, ".tflite") {
			continue
		}
		g, err := Read(files[name], Options{})
		if err != nil {
			t.Fatal(err)
		}
		var again bytes.Buffer
		if err := Write(&again, g); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		files[name] = again.Bytes()
		if err := runSeanet(t, files, strings.TrimSuffix(name, ".tflite"), numeric.TFLite16x8); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// seanetFiles are the files of the archive by name.
func seanetFiles(t *testing.T) map[string][]byte {
	t.Helper()
	archive, err := zip.OpenReader(testdata.Shared(t, "golden", "tflm_seanet_int16.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	files := map[string][]byte{}
	for _, f := range archive.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if files[f.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// runSeanet runs one model by reference, in a row of the arithmetics, and compares its result with the one recorded.
func runSeanet(t *testing.T, files map[string][]byte, name string, row numeric.Arithmetic) error {
	g, err := Read(files[name+".tflite"], Options{File: name})
	if err != nil {
		return err
	}
	values := map[*graph.Value]*tensor.Tensor{}
	given := 0
	for _, v := range g.Inputs {
		x, err := readIntegers(files, fmt.Sprintf("%s_input%d", name, given), v.Type)
		if err != nil {
			return err
		}
		given++
		values[v] = x
	}
	for _, n := range g.Nodes {
		if n.Compute == graph.Integer && n.Arithmetic != numeric.TFLite16x8 {
			return fmt.Errorf("%s follows the row %s", n.Describe(), n.Arithmetic)
		}
		n.Arithmetic = row
		operands := make([]*tensor.Tensor, len(n.Inputs))
		for i, v := range n.Inputs {
			if v == nil {
				continue
			}
			if operands[i] = values[v]; v.Const != nil {
				operands[i] = v.Const
			}
		}
		results, err := op.Evaluate(t.Context(), n, operands)
		if err != nil {
			return err
		}
		for i, v := range n.Outputs {
			values[v] = results[i]
		}
	}
	y := g.Outputs[0]
	want, err := readIntegers(files, name+"_golden", y.Type)
	if err != nil {
		return err
	}
	got, expected := op.Int64s(values[y]), op.Int64s(want)
	different, first := 0, -1
	for i := range expected {
		if got[i] != expected[i] {
			if different++; first < 0 {
				first = i
			}
		}
	}
	if different > 0 {
		return fmt.Errorf("%d of %d results differ; number %d is %d, want %d", different, len(got), first, got[first], expected[first])
	}
	return nil
}

// readIntegers reads a table of numbers as a tensor.
func readIntegers(files map[string][]byte, name string, like graph.Type) (*tensor.Tensor, error) {
	shape, ok := like.Shape.Known()
	file := files[fmt.Sprintf("%s_int%d.csv", name, like.DType.Bits())]
	if !ok || file == nil {
		return nil, fmt.Errorf("no values for %s of type %s", name, like)
	}
	var values []int64
	for _, field := range strings.FieldsFunc(string(file), func(r rune) bool { return r == ',' || r == '\n' || r == '\r' || r == ' ' }) {
		v, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	if n, _ := tensor.Count(shape); n != len(values) {
		return nil, fmt.Errorf("%d values for a tensor of shape %v", len(values), shape)
	}
	return op.FromInt64s(like.DType, shape, values), nil
}
