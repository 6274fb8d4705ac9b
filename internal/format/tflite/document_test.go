package tflite

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite docs/tflite.md and testdata/state")

const documentFile = "../../../docs/tflite.md"

// docs/tflite.md is made from the tables of this package.
func TestDocument(t *testing.T) {
	var b bytes.Buffer
	var read, others []string
	for k := range operators {
		name := k.name
		if k.custom {
			name += " (custom)"
		}
		read = append(read, name)
	}
	for _, name := range builtins {
		if _, ok := operators[key{false, name}]; !ok {
			others = append(others, name)
		}
	}
	slices.Sort(read)
	slices.Sort(others)
	fmt.Fprintf(&b, `# TensorFlow Lite

Made from the tables in [internal/format/tflite](../internal/format/tflite) by its test; `+"`-update`"+` renews it.

The first subgraph of a file is read. Layouts stay the file's; sizes are those of the file, not of its shape signatures.
Integer operators follow the rows tflite and tflite16x8 of the table of arithmetics ([operators.md](operators.md)), unless the
metadata of the file, as written by Octet, names another. State (LSTM) begins as zeros in every run.

## Operators that are read (%d)

%s.

Some forms of these are not: orders, axes and slices that are computed, LSTM with
projection, peepholes, normalization or coupled gates, a gather with batch dimensions along another axis. They, and the operators below, stay in
the graph by their name; a model with them loads, but does not run. An LSTM whose weights alone are codes is computed on reals.
As ONNX, an LSTM on reals is a Scan; ONNX has none on codes. PRELU on codes is rounded from reals, at times a step beside
TensorFlow Lite.

## Operators that are not read (%d)

%s.

## Operators that are written (%d)

Their names here are Octet's; a bold one is also written on 8-bit codes, the others in float only. An exact Gelu is written
as GELU, which TensorFlow Lite has since version 2.11; older ones refuse such a file. Networks that are rounded by another
row, those of ONNX and of TensorFlow, keep it in the metadata, which TensorFlow Lite does not read: there, codes may be a step
off. What octet quantize makes for TensorFlow Lite has its rounding.

%s.
`, len(read), strings.Join(read, ", "), len(others), strings.Join(others, ", "), len(writers), writtenNames())
	if *update {
		if err := os.WriteFile(documentFile, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(documentFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(bytes.ReplaceAll(have, []byte("\r\n"), []byte("\n")), b.Bytes()) {
		t.Error("docs/tflite.md does not say what the tables say: run this test with -update and look at the difference")
	}
}

func writtenNames() string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(writers)) {
		if onCodes[name] {
			name = "**" + name + "**"
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}
