package onnx

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
	"google.golang.org/protobuf/encoding/protowire"
)

// Messages are written by hand here, so that the reader is not tested against this package's own writer.

func text(number protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(nil, number, protowire.BytesType), s)
}

func message(number protowire.Number, parts ...string) []byte {
	return text(number, strings.Join(parts, ""))
}

func number(field protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, field, protowire.VarintType), v)
}

func nodeText(operator, out string, inputs ...string) string {
	var b []byte
	for _, name := range inputs {
		b = append(b, text(1, name)...)
	}
	b = append(append(b, text(2, out)...), text(4, operator)...)
	return string(message(1, string(b)))
}

func modelOf(parts ...string) []byte {
	parts = append(parts, string(text(11, string(text(1, "x")))), string(text(12, string(text(1, "y")))))
	return append(append(number(1, 8), message(7, parts...)...), message(8, string(number(2, 13)))...)
}

func initializer(name string, dims []uint64, more ...[]byte) string {
	b := append(text(8, name), number(2, 1)...)
	for _, d := range dims {
		b = append(b, number(1, d)...)
	}
	for _, m := range more {
		b = append(b, m...)
	}
	return string(message(5, string(b)))
}

func TestWrongFiles(t *testing.T) {
	external := func(location string) []byte {
		return append(message(13, string(text(1, "location")), string(text(2, location))), number(14, 1)...)
	}
	add := nodeText("Add", "y", "x", "w")
	good := modelOf(nodeText("Relu", "y", "x"))
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"empty":          {nil, "empty"},
		"truncated":      {good[:len(good)-9], "truncated"},
		"no graph":       {number(1, 8), "no graph"},
		"wire type":      {number(7, 1), "wire type"},
		"missing input":  {modelOf(nodeText("Relu", "y", "z")), `provides "z"`},
		"cycle":          {modelOf(nodeText("Relu", "y", "z"), nodeText("Relu", "z", "y")), "cycle"},
		"twice":          {modelOf(nodeText("Relu", "y", "x"), nodeText("Abs", "y", "x")), "exists already"},
		"huge tensor":    {modelOf(add, initializer("w", []uint64{1 << 40, 1 << 40})), "too large"},
		"negative":       {modelOf(add, initializer("w", []uint64{1<<64 - 1})), "impossible"},
		"too little":     {modelOf(add, initializer("w", []uint64{2}, text(9, "1234"))), "wrong amount"},
		"external up":    {modelOf(add, initializer("w", []uint64{1}, external("../w"))), "not inside"},
		"external abs":   {modelOf(add, initializer("w", []uint64{1}, external("/w"))), "not inside"},
		"external short": {modelOf(add, initializer("w", []uint64{2}, external("w"))), "too few"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Read(c.data, Options{File: "m.onnx", External: fstest.MapFS{"w": {Data: []byte("1234")}}})
			var format *FormatError
			if !errors.As(err, &format) || format.File != "m.onnx" || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want a FormatError with %q", err, c.want)
			}
		})
	}
}

func TestUnknownOperatorLoads(t *testing.T) {
	g, err := Read(modelOf(nodeText("Frobnicate", "y", "x")), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := g.Nodes[0].Op.(*op.Unknown); !ok {
		t.Errorf("got %T", g.Nodes[0].Op)
	}
}

// TestFunctionsAreInlined has a model whose own operator Scaled(a) = LeakyRelu(a + a, alpha: slope), called twice, once
// with a slope and once with the default of the function.
func TestFunctionsAreInlined(t *testing.T) {
	attribute := func(name, ref string, slope float32) string {
		b := append(text(1, name), number(20, 1)...)
		if ref != "" {
			return string(message(5, string(append(b, text(21, ref)...))))
		}
		b = protowire.AppendFixed32(protowire.AppendTag(b, 2, protowire.Fixed32Type), math.Float32bits(slope))
		return string(message(5, string(b)))
	}
	node := func(operator, domain, out string, attributes string, inputs ...string) string {
		b := []byte(attributes)
		for _, name := range inputs {
			b = append(b, text(1, name)...)
		}
		b = append(append(append(b, text(2, out)...), text(4, operator)...), text(7, domain)...)
		return string(b)
	}
	defaultSlope := strings.TrimPrefix(attribute("slope", "", 0.5), "\x2a") // field 11 of a function, not 5 of a node
	function := message(25, string(text(1, "Scaled")), string(text(10, "mine")), string(text(4, "a")), string(text(5, "b")),
		"\x5a"+defaultSlope,
		string(message(7, node("Add", "", "sum", "", "a", "a"))),
		string(message(7, node("LeakyRelu", "", "b", attribute("alpha", "slope", 0), "sum"))),
		string(message(9, string(number(2, 13)))))
	model := append(modelOf(
		string(message(1, node("Scaled", "mine", "t", attribute("slope", "", 0.25), "x"))),
		string(message(1, node("Scaled", "mine", "y", "", "t")))), function...)
	g, err := Read(model, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(g.Nodes) != 4 {
		t.Fatalf("inlined to\n%s", g.Text())
	}
	results, err := op.Run(t.Context(), g, []*tensor.Tensor{tensor.Of([]float32{-8, 3}, 2)})
	if err != nil {
		t.Fatal(err)
	}
	if got := tensor.Values[float32](results[0]); !slices.Equal(got, []float32{-4, 12}) { // -8→-16·¼=-4→-8·½; 3→6→12
		t.Errorf("y is %v", got)
	}
}

// TestFunctionsThatCallEachOther must neither hang nor exhaust the memory.
func TestFunctionsThatCallEachOther(t *testing.T) {
	call := string(message(7, string(text(1, "a")), string(text(2, "b")), string(text(4, "F")), string(text(7, "mine"))))
	function := message(25, string(text(1, "F")), string(text(10, "mine")), string(text(4, "a")), string(text(5, "b")), call)
	node := string(message(1, string(text(1, "x")), string(text(2, "y")), string(text(4, "F")), string(text(7, "mine"))))
	if _, err := Read(append(modelOf(node), function...), Options{}); err == nil || !strings.Contains(err.Error(), "deeper than") {
		t.Errorf("got %v", err)
	}
}

func TestWeightsAreNotCopied(t *testing.T) {
	data := modelOf(nodeText("Add", "y", "x", "w"), initializer("w", []uint64{1}, text(9, "wxyz")))
	g, err := Read(data, Options{})
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Index(string(data), "wxyz")
	if &g.Nodes[0].Inputs[1].Const.Bytes()[0] != &data[at] {
		t.Error("the constant is a copy")
	}
}

func FuzzRead(f *testing.F) {
	f.Add(modelOf(nodeText("Relu", "y", "x")))
	f.Add(modelOf(nodeText("Conv", "y", "x", "w"), initializer("w", []uint64{1}, text(9, "wxyz"))))
	f.Add(modelOf(nodeText("Softmax", "z", "x"), nodeText("QuantizeLinear", "y", "z", "w"), initializer("w", nil, text(9, "\x00\x00\x80\x3f"))))
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
	})
}
