package compile

import (
	"slices"
	"strings"
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// plusOne is an operator without a kernel: y = x + 1.
type plusOne struct{}

func (*plusOne) Type() string { return "PlusOne" }
func (*plusOne) Infer(c *op.Inference) error {
	c.SetOut(0, c.In(0).DType, c.In(0).Shape)
	return nil
}
func (*plusOne) Evaluate(c *op.Evaluation) error {
	x := slices.Clone(c.Floats(0))
	for i := range x {
		x[i]++
	}
	c.SetFloats(0, c.In(0).Shape(), x)
	return nil
}

// positive is an operator whose result's shape depends on data: the elements above 0.
type positive struct{}

func (*positive) Type() string { return "Positive" }
func (*positive) Infer(c *op.Inference) error {
	c.SetOut(0, c.In(0).DType, graph.Shape{{Size: graph.Unknown}})
	return nil
}
func (*positive) Evaluate(c *op.Evaluation) error {
	x := slices.DeleteFunc(slices.Clone(c.Floats(0)), func(v float32) bool { return v <= 0 })
	c.SetFloats(0, []int{len(x)}, x)
	return nil
}

func value(name string, dims ...graph.Dim) *graph.Value {
	return &graph.Value{Name: name, Type: graph.Type{DType: tensor.Float32, Shape: dims}}
}

func TestShapesThatDependOnData(t *testing.T) {
	n := graph.Dim{Size: graph.Unknown, Symbol: "N"}
	x, a, b, y := value("x", n), value("a"), value("b"), value("y")
	a.Type.Shape, b.Type.Shape, y.Type.Shape = nil, nil, nil
	g := &graph.Graph{Inputs: []*graph.Value{x}, Outputs: []*graph.Value{y}, Nodes: []*graph.Node{
		{Name: "a", Op: &plusOne{}, Inputs: []*graph.Value{x}, Outputs: []*graph.Value{a}},
		{Name: "b", Op: &positive{}, Inputs: []*graph.Value{a}, Outputs: []*graph.Value{b}},
		{Name: "y", Op: &plusOne{}, Inputs: []*graph.Value{b}, Outputs: []*graph.Value{y}},
	}}
	s, err := Compile(g, Options{Threads: 1, Keep: []string{"a"}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, values := range [][]float32{{-3, 1, -2, 5}, {-3, -4}, {-1, 7, -1, -1}} {
		out, err := s.Run(t.Context(), map[string]*tensor.Tensor{"x": tensor.Of(values, len(values))})
		if err != nil {
			t.Fatal(err)
		}
		var want []float32
		for _, v := range values {
			if v > -1 {
				want = append(want, v+2)
			}
		}
		if got := tensor.Values[float32](out["y"]); !slices.Equal(got, want) {
			t.Errorf("%v gives %v, want %v", values, got, want)
		}
		if got := tensor.Values[float32](out["a"]); len(got) != len(values) || got[0] != values[0]+1 {
			t.Errorf("kept value is %v", got)
		}
	}
	if got := s.ReferenceEvaluations(); got != 9 {
		t.Errorf("%d reference evaluations, want 9", got)
	}
}

func TestCompileErrors(t *testing.T) {
	x, y := value("x", graph.Fixed(3)), value("y", graph.Fixed(3))
	g := &graph.Graph{Inputs: []*graph.Value{x}, Outputs: []*graph.Value{y}, Nodes: []*graph.Node{
		{Name: "strange", Op: &op.Unknown{Domain: "com.example", Name: "Warp"}, Inputs: []*graph.Value{x}, Outputs: []*graph.Value{y}},
	}}
	if _, err := Compile(g, Options{}); err == nil || !strings.Contains(err.Error(), `com.example.Warp "strange"`) {
		t.Errorf("unknown operator: %v", err)
	}
	if _, err := Compile(g, Options{Keep: []string{"p", "q"}}); err == nil ||
		!strings.Contains(err.Error(), `"p"`) || !strings.Contains(err.Error(), `"q"`) {
		t.Errorf("unknown values to keep: %v", err)
	}

	g.Nodes[0].Op = &plusOne{}
	s, err := Compile(g, Options{Threads: 1, MaxBytes: 100})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Run(t.Context(), map[string]*tensor.Tensor{"x": tensor.New(tensor.Float32, 3)}); err == nil ||
		!strings.Contains(err.Error(), "limit") {
		t.Errorf("run beyond the memory limit: %v", err)
	}
}

func TestOutputsThatNothingComputes(t *testing.T) {
	x := value("x", graph.Fixed(2))
	c := value("c", graph.Fixed(2))
	c.Const = tensor.Of([]float32{4, 5}, 2)
	g := &graph.Graph{Inputs: []*graph.Value{x}, Outputs: []*graph.Value{x, c}}
	s, err := Compile(g, Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	out, err := s.Run(t.Context(), map[string]*tensor.Tensor{"x": tensor.Of([]float32{1, 2}, 2)})
	if err != nil {
		t.Fatal(err)
	}
	if got := tensor.Values[float32](out["x"]); !slices.Equal(got, []float32{1, 2}) {
		t.Errorf("x = %v", got)
	}
	if got := tensor.Values[float32](out["c"]); !slices.Equal(got, []float32{4, 5}) {
		t.Errorf("c = %v", got)
	}
}
