package graph_test

import (
	"bytes"
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/tensor"
)

type bound struct{ Min, Max float32 }

type fancy struct {
	Strides []int
	Mode    graph.Compute // any enum with a name
	Label   string
	Clamp   *bound
	Unset   int
}

func (*fancy) Type() string { return "Fancy" }

func TestTextIsCanonical(t *testing.T) {
	x := &graph.Value{Name: "x", Type: graph.Type{DType: tensor.Uint8, Shape: graph.FixedShape(1, 2), Quant: graph.PerTensor(0.5, 128)}}
	w := &graph.Value{Name: "w", Origin: "file/w", Const: tensor.Of([]int8{-1, 7}, 2)}
	w.Type = graph.TypeOf(w.Const)
	big := &graph.Value{Name: "big", Const: tensor.New(tensor.Float32, 17)}
	big.Type = graph.TypeOf(big.Const)
	y := &graph.Value{Name: "y", Type: x.Type}
	g := &graph.Graph{Name: "net", Inputs: []*graph.Value{x}, Outputs: []*graph.Value{y},
		Metadata: map[string]string{"b": "2", "a": "1"},
		Nodes: []*graph.Node{{Name: "n", Op: &fancy{Strides: []int{1, 2}, Mode: graph.WeightOnly, Label: "l", Clamp: &bound{0, 6}},
			Inputs: []*graph.Value{x, w, nil, big}, Outputs: []*graph.Value{y, nil},
			Compute: graph.Integer, Arithmetic: numeric.ONNX}}}
	const want = `graph "net"
metadata "a" = "1"
metadata "b" = "2"
input "x" u8[1,2]q(0.5,128)
const "w" i8[2] from "file/w" = [-1 7]
const "big" f32[17] = sha256:1751ac12e70e15b4
"y" u8[1,2]q(0.5,128), _ = Fancy "n" ("x", "w", _, "big") {Strides: [1 2], Mode: weight-only, Label: "l", Clamp: {Max: 6}} compute integer arithmetic onnx
output "y"
`
	if got := g.Text(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if a, b := g.Text(), g.Clone().Text(); a != b {
		t.Errorf("a clone prints differently:\n%s\n%s", a, b)
	}
}

// Constants of every element type are printed, and read again as the same bytes.
func TestTextOfEveryElementType(t *testing.T) {
	for d := tensor.Float32; d <= tensor.Float4E2M1; d++ {
		c := tensor.New(d, 5)
		for i := range c.Bytes() {
			c.Bytes()[i] = byte(16*i + 1)
			if d == tensor.Bool {
				c.Bytes()[i] = byte(i & 1)
			}
		}
		if unused := len(c.Bytes())*8 - 5*d.Bits(); unused > 0 { // of the last byte
			c.Bytes()[len(c.Bytes())-1] &= 0xff >> unused
		}
		v := &graph.Value{Name: "c", Type: graph.TypeOf(c), Const: c}
		g := &graph.Graph{Inputs: []*graph.Value{{Name: "x", Type: graph.Type{DType: d}}}}
		g.Nodes = []*graph.Node{{Name: "n", Op: &fancy{}, Inputs: []*graph.Value{g.Inputs[0], v}, Outputs: []*graph.Value{{Name: "y", Type: graph.Type{DType: d}}}}}
		g.Outputs = g.Nodes[0].Outputs
		back, err := graph.Parse(g.Text(), func(string) graph.Operator { return &fancy{} })
		if err != nil {
			t.Errorf("%s: %v\n%s", d, err, g.Text())
			continue
		}
		if got := back.Nodes[0].Inputs[1].Const; got == nil || !bytes.Equal(got.Bytes(), c.Bytes()) {
			t.Errorf("%s came back as %v\n%s", d, got, g.Text())
		}
	}
}
