package graph_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// fill gives every exported field a value that is not zero.
func fill(v reflect.Value) {
	if fill, ok := v.Addr().Interface().(**tensor.Tensor); ok {
		*fill = tensor.Of([]int64{-7}, 1)
		return
	}
	if fill, ok := v.Addr().Interface().(**graph.Graph); ok {
		z := &graph.Value{Name: "z \"quoted\"", Type: graph.Type{DType: tensor.Bool, Shape: graph.FixedShape(2)}}
		*fill = &graph.Graph{Name: "body", Inputs: []*graph.Value{z}, Outputs: []*graph.Value{z}}
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i))
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0))
		fill(v.Index(1))
	case reflect.String:
		v.SetString("a \"b\", {c}")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint8:
		v.SetUint(1)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(-3)
	case reflect.Float32, reflect.Float64:
		v.SetFloat(1e-5)
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]any{"k": []any{int64(1), 2.5, "s"}}))
	}
}

// TestParseReadsEveryOperator writes and reads each operator with its defaults, with no attribute and with all.
func TestParseReadsEveryOperator(t *testing.T) {
	x := &graph.Value{Name: "x", Type: graph.Type{DType: tensor.Float32, Shape: graph.FixedShape(1)}}
	for _, make := range op.Table {
		for name, change := range map[string]func(v reflect.Value){
			"default": func(reflect.Value) {},
			"full":    fill,
			"empty": func(v reflect.Value) {
				for i := range v.NumField() {
					if v.Type().Field(i).IsExported() {
						v.Field(i).SetZero()
					}
				}
			},
		} {
			o := make()
			change(reflect.ValueOf(o).Elem())
			y := &graph.Value{Name: "y", Type: x.Type}
			g := &graph.Graph{Name: "one", Inputs: []*graph.Value{x}, Outputs: []*graph.Value{y},
				Nodes: []*graph.Node{{Name: "n", Op: o, Inputs: []*graph.Value{x}, Outputs: []*graph.Value{y}}}}
			text := g.Text()
			parsed, err := graph.Parse(text, op.Lookup)
			if err != nil {
				t.Errorf("%s %s: %v\n%s", o.Type(), name, err, text)
				continue
			}
			if again := parsed.Text(); again != text {
				t.Errorf("%s %s: reads back as\n%s, was\n%s", o.Type(), name, again, text)
			}
			if !reflect.DeepEqual(o, parsed.Nodes[0].Op) {
				t.Errorf("%s %s: %#v became %#v", o.Type(), name, o, parsed.Nodes[0].Op)
			}
		}
	}
}

const network = `graph "net \"1\""
metadata "k" = "v\nw"
input "x" f32[N,3,"batch size",?]
input "any" invalid[...]
input "d" u8[2]q(dynamic)
const "w" i8[2,1,1,1]q(0.5 0.25,0@0,narrow) from "file/w" = [-127 7]
const "nibbles" i4[3] = [-8 7 0]
const "half" f16[3] = [0.5 -Inf NaN]
const "brain" bf16[1] = [-0]
const "double" f64[2] = [0.1 1e-300]
const "big" u64[1] = [18446744073709551615]
const "blocks" u4[4]q(1 2 3 4,1 2 3 4@0/1) = [0 15 1 2]
const "empty" f32[0] = []
"y" f32[N,3,?,?], _ = Conv "n" ("x", "w", _) {Strides: [1 2], AutoPad: SAME_UPPER, Layout: NHWC, Clamp: {Max: +Inf}} compute weight-only
"z" i8[1]q(0.5,0), "q" i8[1]q(0.5,0) = Concat "c" ("nibbles", "half", "brain", "double", "big", "blocks", "empty", "d", "any") compute integer arithmetic onnx
output "y"
output "z"
`

func TestParseIsTheInverseOfText(t *testing.T) {
	g, err := graph.Parse(network, op.Lookup)
	if err != nil {
		t.Fatal(err)
	}
	if got := g.Text(); got != network {
		t.Errorf("got\n%s\nwant\n%s", got, network)
	}
	if n := g.Nodes[1]; n.Compute != graph.Integer || n.Arithmetic != numeric.ONNX || n.Inputs[0] != g.Value("nibbles") {
		t.Errorf("node %+v", n)
	}
}

func TestParseFillsConstants(t *testing.T) {
	const text = `
# a comment
const "s" f32[3,100] = seed 7
const "i" i8[1000] = seed 7
const "b" bool[100] = seed 1
const "n" u4[3] = fill 9
"y" f32[3,100] = Concat "c" ("s", "i", "b", "n")`
	g, err := graph.Parse(text, op.Lookup)
	if err != nil {
		t.Fatal(err)
	}
	again, err := graph.Parse(text, op.Lookup)
	if err != nil || again.Text() != g.Text() {
		t.Fatalf("two readings differ: %v", err)
	}
	for _, v := range tensor.Values[float32](g.Value("s").Const) {
		if !(v >= -1 && v < 1) {
			t.Errorf("%v is outside [-1, 1)", v)
		}
	}
	lowest, highest := int8(0), int8(0)
	for _, v := range tensor.Values[int8](g.Value("i").Const) {
		lowest, highest = min(lowest, v), max(highest, v)
	}
	if lowest > -120 || highest < 120 {
		t.Errorf("integers from %d to %d", lowest, highest)
	}
	if !reflect.DeepEqual(g.Value("n").Const.Bytes(), []byte{0x99, 0x09}) {
		t.Errorf("filled with % x", g.Value("n").Const.Bytes())
	}
	for _, v := range g.Value("b").Const.Bytes() {
		if v > 1 {
			t.Errorf("a bool is %d", v)
		}
	}
}

func TestParseSaysWhatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		`graph net`:                                     `1:7: unexpected "net", want a name`,
		"\ninput \"x\" f99[1]":                          `2:11: there is no element type "f99"`,
		`input "x" f32[1`:                               `1:16: unexpected end of line, want ","`,
		`input "x" f32[-1]`:                             `1:15: unexpected "-1"`,
		"input \"x\" f32[1]\ninput \"x\" f32[1]":        `2:7: there is a value "x" already`,
		`"y" f32[1] = Relu "n" ("x")`:                   `1:24: there is no value "x" yet`,
		`"y" f32[1] = Rely "n" ()`:                      `1:14: there is no operator "Rely"`,
		`"y" f32[1] = Relu "n" () {Alpha: 1}`:           `1:27: there is no attribute "Alpha"`,
		`"y" f32[1] = Concat "n" () {Axis: x}`:          `1:35: "x" is not an integer`,
		`"y" f32[1] = Concat "n" () {Axis: 1, Axis: 2}`: `given twice`,
		`"y" f32[1] = Conv "n" () {Layout: WCHN}`:       `unknown layout`,
		`"y" f32[1] = Relu "n" () compute fast`:         `1:34: there is no computation "fast"`,
		`"y" f32[1] = Relu "n" () {} x`:                 `1:29: unexpected "x"`,
		`const "c" f32[2] = [1]`:                        `1:22: unexpected "]"`,
		`const "c" i8[1] = [128]`:                       `1:20: "128" is not a number of type i8`,
		`const "c" f32[1000000000,1000] = seed 1`:       `constants of more than`,
		`const "c" f32[N] = fill 1`:                     `no fixed size`,
		`const "c" f32[17] = sha256:1751ac12e70e15b4`:   `only a digest`,
		`input "x" u8[2]q(1 2,3 4 5@0)`:                 `2 scales and 3 zero points`,
		"x\ny":                                          `2:1`,
	} {
		if _, err := graph.Parse(text, op.Lookup); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n%v, want %q", text, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(network)
	for _, make := range op.Table {
		o := make()
		fill(reflect.ValueOf(o).Elem())
		y := &graph.Value{Name: "y"}
		f.Add((&graph.Graph{Outputs: []*graph.Value{y}, Nodes: []*graph.Node{{Op: o, Outputs: []*graph.Value{y}}}}).Text())
	}
	f.Add(`const "s" f32[3,4] = seed 7` + "\n" + `"y" f32[1] = x.Custom "c" ("s") {Attributes: {"a": [1 2.5 "s" true nil]}}`)
	lookup := func(name string) graph.Operator {
		if o := op.Lookup(name); o != nil {
			return o
		}
		return &op.Unknown{}
	}
	f.Fuzz(func(t *testing.T, text string) {
		g, err := graph.Parse(text, lookup)
		if err != nil {
			return
		}
		first := g.Text()
		if strings.Contains(first, "sha256:") {
			return // a large constant
		}
		again, err := graph.Parse(first, lookup)
		if err != nil {
			t.Fatalf("%v\n%s", err, first)
		}
		if second := again.Text(); second != first {
			t.Fatalf("got\n%s\nwant\n%s", second, first)
		}
	})
}
