package interp_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/interp"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// small is x[2,3] → Transpose t → Flatten y.
func small() *graph.Graph {
	x := &graph.Value{Name: "x", Type: graph.Type{DType: tensor.Float32, Shape: graph.FixedShape(2, 3)}}
	turned, y := &graph.Value{Name: "t"}, &graph.Value{Name: "y"}
	return &graph.Graph{Inputs: []*graph.Value{x}, Outputs: []*graph.Value{y}, Nodes: []*graph.Node{
		{Name: "turn", Op: &op.Transpose{}, Inputs: []*graph.Value{x}, Outputs: []*graph.Value{turned}},
		{Name: "flat", Op: &op.Flatten{Axis: 1}, Inputs: []*graph.Value{turned}, Outputs: []*graph.Value{y}},
	}}
}

func input() map[string]*tensor.Tensor {
	return map[string]*tensor.Tensor{"x": tensor.Of([]float32{0, 1, 2, 3, 4, 5}, 2, 3)}
}

func prepare(t *testing.T, g *graph.Graph, keep ...string) graph.Runner {
	t.Helper()
	r, err := interp.Executor{}.Prepare(g, keep)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestOutputsAndKeptValuesBelongToTheCaller(t *testing.T) {
	r, in := prepare(t, small(), "t", "x"), input()
	out, err := r.Run(context.Background(), in)
	if err != nil || len(out) != 3 {
		t.Fatal(out, err)
	}
	want := []float32{0, 3, 1, 4, 2, 5}
	for name := range out {
		clear(tensor.Values[float32](out[name])[1:]) // would show in the others if storage were shared
		again, err := r.Run(context.Background(), in)
		if err != nil {
			t.Fatal(err)
		}
		for _, other := range []string{"t", "y"} {
			if !slices.Equal(tensor.Values[float32](again[other]), want) {
				t.Errorf("after writing to %s, %s is %v", name, other, tensor.Values[float32](again[other]))
			}
		}
	}
	if in["x"].Bytes()[4] == 0 && in["x"].Bytes()[6] == 0 {
		t.Error("the caller's input was written to")
	}
}

func TestCancellation(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := prepare(t, small()).Run(ctx, input()); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestWrongInputs(t *testing.T) {
	_, err := prepare(t, small()).Run(context.Background(), map[string]*tensor.Tensor{"z": tensor.New(tensor.Int8)})
	for _, want := range []string{`"x" (f32[2,3]) is missing`, `no input "z"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %s", err, want)
		}
	}
}

func TestUnknownOperatorsAreListedTogether(t *testing.T) {
	g := small()
	g.Nodes[0].Op, g.Nodes[1].Op = &op.Unknown{Name: "Turn"}, &op.Unknown{Domain: "com.example", Name: "Flat"}
	_, err := interp.Executor{}.Prepare(g, nil)
	var unsupported *op.UnsupportedError
	if !errors.As(err, &unsupported) || len(unsupported.Nodes) != 2 || !strings.Contains(err.Error(), "com.example.Flat") {
		t.Error(err)
	}
}

func TestKeepingWhatIsNotThere(t *testing.T) {
	if _, err := (interp.Executor{}).Prepare(small(), []string{"nothing"}); err == nil || !strings.Contains(err.Error(), `"nothing"`) {
		t.Error(err)
	}
}

func TestResultsMustHaveTheDeclaredType(t *testing.T) {
	g := small()
	g.Outputs[0].Type.DType = tensor.Int8
	if _, err := prepare(t, g).Run(context.Background(), input()); err == nil || !strings.Contains(err.Error(), `"flat"`) {
		t.Error(err)
	}
}
