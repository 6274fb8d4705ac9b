package onnx

import (
	"errors"
	"math"
	"math/rand/v2"
	"regexp"
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
	typed := func(name string, dtype uint64) string {
		return string(message(11, string(text(1, name)), string(message(2, string(message(1, string(number(1, dtype))))))))
	}
	flatten := string(message(1, string(text(1, "x")), string(text(2, "y")), string(text(4, "Flatten")),
		string(message(5, string(text(1, "axis")), string(number(20, 3)), string(text(4, "one"))))))
	random := make([]byte, 3000)
	for i := range random {
		random[i] = byte(rand.New(rand.NewPCG(uint64(i), 1)).Uint32())
	}
	// What each says is what is wrong, where (a node or tensor, and a byte), why, and what to do.
	for name, c := range map[string]struct {
		data []byte
		want string // with … for anything
	}{
		"empty":           {nil, "m.onnx: the file is empty"},
		"random bytes":    {random, "m.onnx: …(at byte …); the file may be cut off or damaged: fetch or export it again"},
		"truncated":       {good[:len(good)-9], "m.onnx: field 7 is truncated…(at byte …); the file may be cut off or damaged: fetch or export it again"},
		"no graph":        {number(1, 8), "m.onnx: the file has no graph; check that it is an ONNX model"},
		"wire type":       {number(7, 1), "m.onnx: …wire type…"},
		"missing input":   {modelOf(nodeText("Relu", "y", "z")), `m.onnx: Relu "y": input 0: no node, input or constant provides "z"; …export it again (at byte 6)`},
		"missing weights": {modelOf(nodeText("Conv", "y", "x", "w")), `m.onnx: Conv "y": input 1: no node, input or constant provides "w"; …export it again (at byte 6)`},
		"missing operand": {modelOf(nodeText("Conv", "y", "x")), `m.onnx: Conv "y": it has 1 inputs and 1 outputs and needs 2 and 1; …`},
		"cycle": {modelOf(nodeText("Relu", "y", "z"), nodeText("Relu", "z", "y")),
			"m.onnx: Relu \"y\": it is on a cycle…export it again (at byte 6)\nm.onnx: Relu \"z\": it is on a cycle…export it again (at byte 20)"},
		"twice":           {modelOf(nodeText("Relu", "y", "x"), nodeText("Abs", "y", "x")), `m.onnx: Abs "y": its output "y" exists already (at byte …`},
		"impossible size": {modelOf(add, initializer("w", []uint64{1 << 40, 1 << 40})), `m.onnx: Add "y": input 1: tensor "w" has the impossible shape [1099511627776 1099511627776]; …fetch or export it again (at byte …)`},
		"huge tensor":     {modelOf(add, initializer("w", []uint64{1 << 15, 1 << 16})), `m.onnx: Add "y": input 1: tensor "w" has the shape [32768 65536], too large for the limit of 2147483648 bytes (LoadOptions.MaxTensorBytes) (at byte …)`},
		"negative":        {modelOf(add, initializer("w", []uint64{1<<64 - 1})), `m.onnx: Add "y": input 1: tensor "w" has the impossible shape [-1]; …`},
		"too little":      {modelOf(add, initializer("w", []uint64{2}, text(9, "1234"))), `m.onnx: …tensor "w" has the wrong amount of data: …8 bytes, got 4; …export it again (at byte …)`},
		"wrong type":      {modelOf(nodeText("Add", "y", "a", "b"), typed("a", 1), typed("b", 7)), `m.onnx: Add "y": input 0 is f32 but input 1 is i64 (at byte 6)`},
		"strings":         {modelOf(add, initializer("w", []uint64{1}, number(2, 8), text(6, "a"))), `m.onnx: …tensor "w" has strings as elements, …cut the model…`},
		"wrong attribute": {modelOf(flatten), `m.onnx: Flatten "y": attribute "axis": has type 3 instead of 2 (at byte 6)`},
		"operator set":    {append(modelOf(nodeText("Relu", "y", "x")), message(8, string(number(2, 99)))...), "m.onnx: the model uses operator set 99; the newest known is …; export it with operator set … or older"},
		"external up":     {modelOf(add, initializer("w", []uint64{1}, external("../w"))), "m.onnx: …not inside…"},
		"external abs":    {modelOf(add, initializer("w", []uint64{1}, external("/w"))), "m.onnx: …not inside…"},
		"external short":  {modelOf(add, initializer("w", []uint64{2}, external("w"))), "m.onnx: …too few…"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Read(c.data, Options{File: "m.onnx", External: fstest.MapFS{"w": {Data: []byte("1234")}}})
			var format *FormatError
			if !errors.As(err, &format) || format.File != "m.onnx" || !fits(err.Error(), c.want) {
				t.Errorf("got\n%v, want a FormatError\n%s", err, c.want)
			}
		})
	}
}

// fits reports whether a text is a pattern in which … stands for anything.
func fits(text, pattern string) bool {
	parts := strings.Split(regexp.QuoteMeta(pattern), "…")
	return regexp.MustCompile("(?s)^" + strings.Join(parts, ".*") + "$").MatchString(text)
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
