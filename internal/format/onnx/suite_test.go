package onnx

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/octet-nn/octet/internal/compile"
	"github.com/octet-nn/octet/internal/format/protobuf"
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/interp"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/testdata"
	"github.com/octet-nn/octet/tensor"
)

var update = flag.Bool("update", false, "rewrite the list of conformance tests that pass")

// The lists that -update rewrites: tests that pass, and tests that do not with the operator and the cause.
const (
	passingFile   = "testdata/passing.txt"
	remainingFile = "testdata/remaining.txt"
)

// causes says why tests of an operator do not pass.
var causes = map[string]string{
	"StringNormalizer": "strings", "StringConcat": "strings", "StringSplit": "strings", "RegexFullMatch": "strings", "Equal": "strings",
	"TfIdfVectorizer": "strings", "LabelEncoder": "strings", "SequenceConstruct": "sequences", "SequenceEmpty": "sequences", "SequenceInsert": "sequences",
	"SequenceLength": "sequences", "SequenceMap": "sequences", "SequenceAt": "sequences", "SplitToSequence": "sequences",
	"ConcatFromSequence": "sequences", "If": "sequences", "Loop": "sequences", "Identity": "sequences and optionals",
	"OptionalGetElement": "optionals", "OptionalHasElement": "optionals", "Optional": "optionals", "Momentum": "training",
	"Adagrad": "training", "Adam": "training", "Add": "training (gradients)", "Sub": "training (gradients)",
	"BatchNormalization": "training", "Dropout": "training", "Bernoulli": "random numbers", "RandomUniformLike": "random numbers",
	"ImageDecoder": "decodes image files: octet reads them as samples instead",
	"Resize":       "the suite takes the length of the output before it is rounded; ONNX Runtime gives what Octet does",
	"DFT":          "expects 2e-6 where the exact answer is 0",
}

// TestConformance runs ONNX's own node and simple tests through reader and interpreter. It fails if a test of the
// checked-in list no longer passes; -update rewrites the list.
func TestConformance(t *testing.T) {
	cases := readCases(t, testdata.Shared(t, "golden", "onnx_backend_tests_6be0677.tar.gz"))
	var passing []string
	failures := map[string][]string{}
	var remaining strings.Builder
	for _, name := range slices.Sorted(mapKeys(cases)) {
		files := cases[name]
		if files["model.onnx"] == nil {
			continue
		}
		if operator, err := runCase(t, files, asRead); err != nil {
			failures[operator] = append(failures[operator], fmt.Sprintf("%s: %.200v", path.Base(name), err))
			if causes[operator] == "" {
				t.Errorf("%s (%s) does not pass, and the list of causes does not say why: %v", name, operator, err)
			}
			fmt.Fprintf(&remaining, "%s\t%s\t%s\n", name, operator, causes[operator])
		} else {
			passing = append(passing, name)
		}
	}
	t.Logf("%d conformance tests pass", len(passing))
	for _, operator := range slices.Sorted(mapKeys(failures)) {
		t.Logf("%s: %d fail\n  %s", operator, len(failures[operator]), strings.Join(failures[operator], "\n  "))
	}
	if *update {
		if err := errors.Join(os.WriteFile(passingFile, []byte(strings.Join(passing, "\n")+"\n"), 0o644),
			os.WriteFile(remainingFile, []byte(remaining.String()), 0o644)); err != nil {
			t.Fatal(err)
		}
		return
	}
	list, err := os.ReadFile(passingFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range strings.Fields(string(list)) {
		if !slices.Contains(passing, name) {
			t.Errorf("%s passed before", name)
		}
	}
}

// TestConformanceWritten runs the tests of the checked-in list on models that were read, written and read again.
func TestConformanceWritten(t *testing.T) {
	cases := readCases(t, testdata.Shared(t, "golden", "onnx_backend_tests_6be0677.tar.gz"))
	list, err := os.ReadFile(passingFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range strings.Fields(string(list)) {
		if strings.Contains(name, "_flexattention") && !strings.HasSuffix(name, "_expanded") {
			continue // a preview operator is not written
		}
		if operator, err := runCase(t, cases[name], rewritten); err != nil {
			t.Errorf("%s (%s): %v", name, operator, err)
		}
	}
}

// TestConformanceCompiled runs the tests of the checked-in list compiled.
func TestConformanceCompiled(t *testing.T) {
	cases := readCases(t, testdata.Shared(t, "golden", "onnx_backend_tests_6be0677.tar.gz"))
	list, err := os.ReadFile(passingFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range strings.Fields(string(list)) {
		if operator, err := runCase(t, cases[name], compiled); err != nil {
			t.Errorf("%s (%s): %v", name, operator, err)
		}
	}
}

func mapKeys[V any](m map[string]V) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// readCases is the files of each test folder that has one data set or more.
func readCases(t testing.TB, archive string) map[string]map[string][]byte {
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]map[string][]byte{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return cases
		}
		if err != nil {
			t.Fatal(err)
		}
		_, rest, ok := strings.Cut(h.Name, "test/data/")
		parts := strings.SplitN(rest, "/", 3)
		if !ok || h.Typeflag != tar.TypeReg || len(parts) < 3 {
			continue
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		name := parts[0] + "/" + parts[1]
		if cases[name] == nil {
			cases[name] = map[string][]byte{}
		}
		cases[name][parts[2]] = b
	}
}

// How a model of the suite is run.
const (
	asRead    = iota // interpreted
	rewritten        // written, read again and interpreted
	compiled
)

// runCase runs the first data set of a test. The operator is what failures are listed by.
func runCase(t *testing.T, files map[string][]byte, how int) (operator string, err error) {
	operator = "(unread)"
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("%s: panic: %v", operator, p)
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	d := decoder{Reader: protobuf.Reader{Limits: Limits{MaxNesting: 40, MaxNodes: 10000, MaxEntries: 1 << 20}}}
	if m, err := d.model(files["model.onnx"]); err == nil && len(m.graph.nodes) > 0 {
		operator = m.graph.nodes[0].op
	}
	g, err := Read(files["model.onnx"], Options{})
	if err != nil {
		return operator, err
	}
	if err := op.CheckSupported(g); err != nil {
		return operator, errors.New("unknown operator")
	}
	if how == rewritten {
		var file bytes.Buffer
		if err := Write(&file, g, WriteOptions{}); err != nil {
			return operator, fmt.Errorf("write: %w", err)
		}
		if g, err = Read(file.Bytes(), Options{}); err != nil {
			return operator, fmt.Errorf("read what was written: %w", err)
		}
	}
	var executor graph.Executor = interp.Executor{}
	if how == compiled {
		executor = compile.Executor{Threads: 1}
	}
	runner, err := executor.Prepare(g, nil)
	if err != nil {
		return operator, err
	}
	inputs := map[string]*tensor.Tensor{}
	for i, v := range g.Inputs {
		if inputs[v.Name], err = readTensor(files[fmt.Sprintf("test_data_set_0/input_%d.pb", i)]); err != nil {
			return operator, err
		}
	}
	results, err := runner.Run(t.Context(), inputs)
	if err != nil {
		return operator, err
	}
	for i, v := range g.Outputs {
		want, err := readTensor(files[fmt.Sprintf("test_data_set_0/output_%d.pb", i)])
		if err != nil {
			return operator, err
		}
		if err := compare(v, results[v.Name], want); err != nil {
			return operator, err
		}
	}
	return operator, nil
}

func readTensor(b []byte) (*tensor.Tensor, error) {
	if b == nil {
		return nil, errors.New("a data file is missing")
	}
	d := decoder{Reader: protobuf.Reader{Limits: Limits{MaxNesting: 40, MaxNodes: 1, MaxEntries: 1 << 20}}}
	p, err := d.tensor(protobuf.Field{Kind: 2, Bytes: b})
	if err != nil {
		return nil, err
	}
	o := Options{}
	o.Limits = o.Limits.WithDefaults()
	return p.decode(&o)
}

// compare allows what ONNX's own runner allows: a relative error of 1e-3 and an absolute one of 1e-7.
func compare(v *graph.Value, got, want *tensor.Tensor) error {
	if got.String() != want.String() {
		return fmt.Errorf("%q is %s instead of %s", v.Name, got, want)
	}
	if !want.DType().IsFloat() {
		if string(got.Bytes()) != string(want.Bytes()) {
			return fmt.Errorf("%q differs", v.Name)
		}
		return nil
	}
	a, b := op.Float64s(got), op.Float64s(want)
	for i := range b {
		same := a[i] == b[i] || math.IsNaN(a[i]) && math.IsNaN(b[i])
		if !same && !(math.Abs(a[i]-b[i]) <= 1e-7+1e-3*math.Abs(b[i])) {
			return fmt.Errorf("%q[%d] is %v instead of %v", v.Name, i, a[i], b[i])
		}
	}
	return nil
}
