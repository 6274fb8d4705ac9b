package rewrite_test

import (
	"strings"
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/rewrite"
	"github.com/octet-nn/octet/tensor"
)

// TestKnownBranchIsInlined has an If on a shape, as exporters write it: x has two dimensions, so that the else branch
// runs.
func TestKnownBranchIsInlined(t *testing.T) {
	branch := func(name string) *graph.Graph {
		x := &graph.Value{Name: "x", Type: graph.Type{DType: tensor.Float32}}
		y := &graph.Value{Name: "y"}
		return &graph.Graph{Inputs: []*graph.Value{x}, Outputs: []*graph.Value{y},
			Nodes: []*graph.Node{{Name: "n", Op: op.Lookup(name).(graph.Operator), Inputs: []*graph.Value{x}, Outputs: []*graph.Value{y}}}}
	}
	text := `graph "g"
input "x" f32[2,3]
const "three" i64[1] = [3]
"shape" i64[2] = Shape "s" ("x") {ToEnd: true}
"rank" i64[1] = Shape "r" ("shape") {ToEnd: true}
"is" bool[1] = Equal "e" ("rank", "three")
output "is"
`
	g, err := graph.Parse(text, op.Lookup)
	if err != nil {
		t.Fatal(err)
	}
	y := &graph.Value{Name: "y", Type: graph.Type{DType: tensor.Float32, Shape: graph.FixedShape(2, 3)}}
	g.Nodes = append(g.Nodes, &graph.Node{Name: "if", Op: &op.If{Then: branch("Exp"), Else: branch("Neg")},
		Inputs: []*graph.Value{g.Outputs[0], g.Inputs[0]}, Outputs: []*graph.Value{y}})
	g.Outputs = []*graph.Value{y}
	if again, err := graph.Parse(g.Text(), op.Lookup); err != nil || again.Text() != g.Text() {
		t.Fatalf("the text form does not come back: %v\n%s", err, g.Text())
	}
	if err := rewrite.Simplify(g, rewrite.SimplifyOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := g.Check(); err != nil {
		t.Fatal(err)
	}
	if got := g.Text(); len(g.Nodes) != 1 || !strings.Contains(got, `"y" f32[2,3] = Neg "if/n" ("x")`) {
		t.Errorf("simplified to\n%s", got)
	}
}
