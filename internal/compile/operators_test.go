package compile

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/octet-nn/octet/internal/format/onnx"
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/op"
)

var update = flag.Bool("update", false, "rewrite docs/operators.md from the tables")

const operatorsFile = "../../docs/operators.md"

// TestOperatorsDocument compares docs/operators.md with the tables it is made of, and the tables with each other.
func TestOperatorsDocument(t *testing.T) {
	var operators []op.Operator
	known := map[string]bool{}
	for _, make := range op.Table {
		o := make()
		if known[o.Type()] {
			t.Errorf("op.Table has two rows for %s", o.Type())
		}
		known[o.Type()] = true
		operators = append(operators, o)
	}
	for name, rows := range lowerings {
		if !known[name] {
			t.Errorf("lowerings has a row for %q, which is no operator", name)
		}
		if len(rows) == 0 {
			t.Errorf("the row of lowerings for %q is empty", name)
		}
	}
	slices.SortFunc(operators, func(a, b op.Operator) int { return strings.Compare(a.Type(), b.Type()) })

	var b bytes.Buffer
	b.WriteString(`# Operators

Made by ` + "`go test ./internal/compile -run OperatorsDocument -update`" + ` from [op.Table](../internal/op/table.go) and
[lowerings](../internal/compile/lowering.go); do not edit.

* **On codes**: the operator has an integer form. A particular node may still stay float; ` + "`octet quantize`" + ` says why.
* **Kernel, float** and **kernel, codes**: compiled programs have kernels for it, perhaps only for some element types,
  ranks and attributes. Everything else runs by its definition: slowly, with the same meaning.

Operators of ONNX that are not in this table may still be read: the [importer](../internal/format/onnx/table.go) writes them
with these; [below](#onnx-operators-that-are-read) is all that it knows.

| operator | on codes | kernel, float | kernel, codes |
|---|---|---|---|
`)
	mark := func(yes bool) string {
		if yes {
			return "yes"
		}
		return "–"
	}
	for _, o := range operators {
		var computes uint
		for _, row := range lowerings[o.Type()] {
			computes |= row.computes
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", o.Type(), mark(hasIntegerForm(o)), mark(computes&float != 0), mark(computes&integer != 0))
	}
	writeRows(t, &b)
	writeRead(&b)
	writeConformance(t, &b)
	if *update {
		if err := os.WriteFile(operatorsFile, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(operatorsFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(bytes.ReplaceAll(have, []byte("\r\n"), []byte("\n")), b.Bytes()) {
		t.Error("docs/operators.md does not say what the tables say: run this test with -update and look at the difference")
	}
}

// How many cases prove each row of the table of arithmetics; the tests count them.
const (
	layersOfMACE       = 55
	casesOfGemmlowp    = 115
	casesOfTFLite16x8  = 45
	casesOfCMSIS       = 210
	modelsOfTFLite16x8 = 127
)

// writeRows adds which suite proves which row of the table of arithmetics.
func writeRows(t *testing.T, b *bytes.Buffer) {
	suites := map[numeric.Arithmetic]string{
		numeric.ONNX: "ONNX Runtime's integer operators, run without optimization ([test](../internal/compile/ort_files_test.go))",
		numeric.MACE: fmt.Sprintf("%d layers of a network run by MACE, each given MACE's own codes ([test](../internal/compile/mace_layers_test.go)), "+
			"and whole networks ([test](../internal/mace/convert/run_test.go))", layersOfMACE),
		numeric.TFLite: "every integer file of the shared folder that TensorFlow Lite 2.9 runs by its built-in kernels ([test](../tflite_test.go)), and, " +
			"where TensorFlow Lite is installed, operators with seeded scales, those of 16-bit activations in the row tflite16x8 " +
			"([test](../internal/format/tflite/stock_test.go))",
		numeric.Gemmlowp: fmt.Sprintf("%d of CMSIS-NN's %d unit tests, those of 8-bit activations ([test](../internal/compile/cmsis_test.go))", casesOfGemmlowp, casesOfCMSIS),
		numeric.TFLite16x8: fmt.Sprintf("%d of CMSIS-NN's unit tests, those of 16-bit activations, and %d operator models of TensorFlow Lite for Microcontrollers "+
			"([test](../internal/format/tflite/seanet_test.go))", casesOfTFLite16x8, modelsOfTFLite16x8),
	}
	b.WriteString(`
## Rows of arithmetic

An operator on codes rounds as the row of the [table of arithmetics](../internal/numeric/rows.go) says that its node
names. A suite runs under one row and, except for onnx, whose results may be one step off, all results are equal bit for
bit, by definition and by kernels. The suites of mace, gemmlowp and tflite16x8 also show that they fail in every other
row. Cases that are left out are listed by the tests, with reasons.

| row | suite |
|---|---|
`)
	for _, row := range numeric.Arithmetics() {
		if suites[row] == "" {
			t.Errorf("no suite proves the row %s", row)
		}
		fmt.Fprintf(b, "| %s | %s |\n", row, suites[row])
	}
}

// writeRead adds the operators that the ONNX reader knows.
func writeRead(b *bytes.Buffer) {
	b.WriteString(`
## ONNX operators that are read

In all versions up to the newest. Those of com.microsoft are compared with ONNX Runtime, where it runs them
([test](../internal/format/onnx/contrib_test.go), [test](../internal/format/onnx/qlinear_test.go)).

`)
	read := onnx.Operators()
	for _, domain := range slices.Sorted(maps.Keys(read)) {
		name := domain
		if name == "" {
			name = "ai.onnx"
		}
		fmt.Fprintf(b, "* %s (%d): %s\n", name, len(read[domain]), strings.Join(read[domain], ", "))
	}
}

// writeConformance adds what the conformance test of the ONNX reader found last.
func writeConformance(t *testing.T, b *bytes.Buffer) {
	lines := func(name string) []string {
		text, err := os.ReadFile("../format/onnx/testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return strings.FieldsFunc(string(text), func(r rune) bool { return r == '\n' || r == '\r' })
	}
	passing, remaining := lines("passing.txt"), lines("remaining.txt")
	count := 0
	for _, name := range passing {
		if strings.HasPrefix(name, "node/") {
			count++
		}
	}
	all := count
	byCause := map[string][]string{}
	for _, line := range remaining {
		fields := strings.Split(line, "\t")
		byCause[fields[2]] = append(byCause[fields[2]], strings.TrimPrefix(fields[0], "node/"))
		if strings.HasPrefix(fields[0], "node/") {
			all++
		}
	}
	fmt.Fprintf(b, `
## ONNX conformance

%d of the %d node tests of ONNX's own suite pass, interpreted, compiled, and interpreted again after being written and read
back; with the simple tests it is %d of %d. ([The test](../internal/format/onnx/suite_test.go) renews these lists with
-update.) All 9 networks of the [light tests](../light_test.go) pass, compiled. The others, by cause:

`, count, all, len(passing), len(passing)+len(remaining))
	var causes []string
	for cause := range byCause {
		causes = append(causes, cause)
	}
	slices.Sort(causes)
	for _, cause := range causes {
		fmt.Fprintf(b, "* %s (%d): %s\n", cause, len(byCause[cause]), strings.Join(byCause[cause], ", "))
	}
}

// hasIntegerForm reports whether some node of the operator can compute on codes. Members of the two families that
// share one Go type are asked; the others have the method only if they have the form.
func hasIntegerForm(o op.Operator) bool {
	i, ok := o.(op.Integer)
	if !ok {
		return false
	}
	switch o.(type) {
	case *op.Function, *op.Reduce:
		_, err := i.Integer(&graph.Node{Op: o, Inputs: []*graph.Value{{}}, Outputs: []*graph.Value{{}}})
		return err == nil
	}
	return true
}
