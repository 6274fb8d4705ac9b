package onnx

import (
	"errors"
	"slices"
	"testing"

	"github.com/octet-nn/octet/internal/compile"
	"github.com/octet-nn/octet/internal/format/protobuf"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/testdata"
)

// FuzzRead reads whatever it is given; small graphs are compiled as well. Errors are of the right kind, and nothing panics.
// Its seeds are one model of each operator of ONNX's suite, where that is.
func FuzzRead(f *testing.F) {
	f.Add(modelOf(nodeText("Relu", "y", "x")))
	f.Add(modelOf(nodeText("Conv", "y", "x", "w"), initializer("w", []uint64{1}, text(9, "wxyz"))))
	f.Add(modelOf(nodeText("Softmax", "z", "x"), nodeText("QuantizeLinear", "y", "z", "w"), initializer("w", nil, text(9, "\x00\x00\x80\x3f"))))
	if testdata.SharedRoot() != "" {
		cases := readCases(f, testdata.Shared(f, "golden", "onnx_backend_tests_6be0677.tar.gz"))
		seen := map[string]bool{}
		for _, name := range slices.Sorted(mapKeys(cases)) {
			model := cases[name]["model.onnx"]
			d := decoder{Reader: protobuf.Reader{Limits: Limits{MaxNesting: 40, MaxNodes: 10000, MaxEntries: 1 << 20}}}
			if m, err := d.model(model); err == nil && len(m.graph.nodes) > 0 && len(model) < 4000 && !seen[m.graph.nodes[0].op] {
				seen[m.graph.nodes[0].op] = true
				f.Add(model)
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		IsONNX(data)
		g, err := Read(data, Options{Limits: Limits{MaxTensorBytes: 1 << 24}})
		if err != nil {
			var format *FormatError
			if !errors.As(err, &format) {
				t.Errorf("%T: %v", err, err)
			}
			return
		}
		if err := g.Check(); err != nil {
			t.Error(err)
		}
		if len(g.Nodes) > 20 || op.CheckSupported(g) != nil {
			return
		}
		if session, err := compile.Compile(g, compile.Options{Threads: 1}); err == nil {
			session.Close()
		}
	})
}
