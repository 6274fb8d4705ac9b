package graph_test

import (
	"strings"
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// twoStates is y = relu(x + h), whose h becomes y and whose k becomes tanh(k), beside it.
const twoStates = `graph "g"
input "x" f32[2]
input "h" f32[2]
input "k" f32[2]
"s" f32[2] = Add "add" ("x", "h")
"y" f32[2] = Relu "relu" ("s")
"k2" f32[2] = Tanh "tanh" ("k")
output "y"
output "y"
output "k2"
state "h" becomes "y" = [1 2]
state "k" becomes "k2" = fill 0
`

func parseStates(t *testing.T) *graph.Graph {
	t.Helper()
	g, err := graph.Parse(twoStates, op.Lookup)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Check(); err != nil {
		t.Fatal(err)
	}
	return g
}

func TestStatesInText(t *testing.T) {
	g := parseStates(t)
	if len(g.States) != 2 || g.States[0].Input != 1 || tensor.Values[float32](g.States[0].Initial)[1] != 2 {
		t.Fatalf("states %v", g.States)
	}
	want := strings.Replace(twoStates, "= fill 0", "= [0 0]", 1)
	if got := g.Clone().Text(); got != twoStates && got != want {
		t.Errorf("written as\n%s", got)
	}
	for _, bad := range []string{"state \"x\" becomes \"s\" = fill 0", "state \"s\" becomes \"y\" = fill 0", "state \"h\" \"y\"", "state \"h\" becomes \"y\" = [1]"} {
		if _, err := graph.Parse(twoStates+bad, op.Lookup); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
}

func TestPorts(t *testing.T) {
	g := parseStates(t)
	in, out := g.Ports()
	if len(in) != 1 || in[0].Name != "x" || len(out) != 1 || out[0].Name != "y" {
		t.Fatalf("ports %v, %v", in, out)
	}
	g.SetPorts(in, out)
	if len(g.States) != 1 || len(g.Inputs) != 2 || g.Inputs[1].Name != "h" || g.Outputs[1].Name != "y" {
		t.Errorf("the state that does not matter stays:\n%s", g.Text())
	}
	g = parseStates(t)
	g.SetPorts([]*graph.Value{g.Value("s")}, []*graph.Value{g.Value("y")})
	if len(g.States) != 0 || len(g.Inputs) != 1 || len(g.Outputs) != 1 {
		t.Errorf("states stay that the rest does not read:\n%s", g.Text())
	}
}

func TestWrongStates(t *testing.T) {
	for name, change := range map[string]func(g *graph.Graph){
		"no output":       func(g *graph.Graph) { g.States[0].Output = 9 },
		"twice":           func(g *graph.Graph) { g.States[1] = g.States[0] },
		"nothing":         func(g *graph.Graph) { g.States[0].Initial = nil },
		"another type":    func(g *graph.Graph) { g.States[0].Initial = tensor.New(tensor.Int8, 2) },
		"another size":    func(g *graph.Graph) { g.States[0].Initial = tensor.New(tensor.Float32, 3) },
		"another element": func(g *graph.Graph) { g.Outputs[2].Type.DType = tensor.Float16 },
	} {
		g := parseStates(t)
		change(g)
		if g.Check() == nil {
			t.Errorf("%s: not refused", name)
		}
	}
}
