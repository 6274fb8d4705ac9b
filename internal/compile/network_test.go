package compile

import (
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/interp"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// floatNetwork is what exporters write: channels first, batch normalization and activations as nodes of their own, a
// residual addition, a concatenation, and a reshape by a computed shape.
func floatNetwork(t testing.TB, dtype tensor.DType) *sketch {
	s := newSketch(t, 3)
	cast := func(x *tensor.Tensor) *graph.Value {
		return s.constant(op.FromFloat32s(dtype, x.Shape(), tensor.Values[float32](x)), nil)
	}
	positive := s.floats(8)
	for i, v := range tensor.Values[float32](positive) {
		tensor.Values[float32](positive)[i] = v*v + 0.5
	}
	x := s.input(dtype, nil, 1, 3, 12, 10)
	a := s.node(&op.Conv{Pads: []int{1, 1, 1, 1}}, x, cast(s.floats(8, 3, 3, 3)))
	a = s.node(&op.BatchNormalization{Epsilon: 1e-5}, a, cast(s.floats(8)), cast(s.floats(8)), cast(s.floats(8)), cast(positive))
	a = s.node(op.NewFunction("Relu"), a)
	b := s.node(&op.Conv{Pads: []int{1, 1, 1, 1}, Group: 8}, a, cast(s.floats(8, 1, 3, 3)), cast(s.floats(8)))
	b = s.node(&op.Clip{}, b, cast(tensor.Of([]float32{0})), cast(tensor.Of([]float32{6})))
	c := s.node(&op.Add{}, a, b)
	d := s.node(&op.Concat{Axis: 1}, c, a)
	d = s.node(&op.MaxPool{KernelShape: []int{2, 2}, Strides: []int{2, 2}}, d)
	e := s.node(&op.Mul{}, d, s.node(op.NewFunction("Sigmoid"), s.node(&op.GlobalAveragePool{}, d)))
	shape := s.node(&op.Shape{ToEnd: true}, e)
	batch := s.node(&op.Unsqueeze{}, s.node(&op.Gather{}, shape, s.constant(tensor.Of([]int64{0}), nil)), s.ints(0))
	f := s.node(&op.Reshape{}, e, s.node(&op.Concat{}, batch, s.ints(-1)))
	s.node(&op.Gemm{Alpha: 1, Beta: 1, TransB: true}, f, cast(s.floats(10, 16*6*5)), cast(s.floats(10)))
	return s
}

func TestNetworkInTheLayoutOfONNX(t *testing.T) {
	s := floatNetwork(t, tensor.Float32)
	s.check(s.graph.Nodes[len(s.graph.Nodes)-1].Outputs[0])
	session, err := Compile(s.graph, Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	plan, err := session.Plan([]*tensor.Tensor{s.floats(1, 3, 12, 10)})
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, step := range plan.Steps {
		count[step.Op]++
	}
	if count["BatchNormalization"]+count["Relu"]+count["Clip"]+count["Shape"] > 0 || count["Transpose"] > 2 {
		t.Errorf("left over in the plan: %v", count)
	}
}

// TestExecutorKeepsEveryValue compares all values of a network with the interpreter's: those that lowering would fuse
// or move to another layout come back as the graph has them.
func TestExecutorKeepsEveryValue(t *testing.T) {
	s := floatNetwork(t, tensor.Float32)
	s.graph.Outputs = s.graph.Nodes[len(s.graph.Nodes)-1].Outputs
	if _, err := op.Infer(s.graph); err != nil {
		t.Fatal(err)
	}
	var keep []string
	for _, n := range s.graph.Nodes {
		keep = append(keep, n.Outputs[0].Name)
	}
	in := s.feed(2)
	results := make([]map[string]*tensor.Tensor, 2)
	for i, executor := range []graph.Executor{Executor{Threads: 2}, interp.Executor{}} {
		runner, err := executor.Prepare(s.graph, keep)
		if err != nil {
			t.Fatal(err)
		}
		if results[i], err = runner.Run(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	if len(results[0]) != len(keep) || len(results[1]) != len(keep) {
		t.Fatalf("%d and %d values, want %d", len(results[0]), len(results[1]), len(keep))
	}
	for name, want := range results[1] {
		if err := compare(results[0][name], want); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestHalfFloats computes in float32 and rounds once, at the end, where the reference rounds every value to 16 bits.
func TestHalfFloats(t *testing.T) {
	s := floatNetwork(t, tensor.Float16)
	y := s.graph.Nodes[len(s.graph.Nodes)-1].Outputs[0]
	s.graph.Outputs = []*graph.Value{y}
	session, err := Compile(s.graph, Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	in := s.feed(1)
	got, err := session.Run(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if got[y.Name].DType() != tensor.Float16 || session.ReferenceEvaluations() != 0 {
		t.Fatalf("result %s, %d reference evaluations", got[y.Name], session.ReferenceEvaluations())
	}
	want := op.Float32s(interpret(t, s.graph, in)[y])
	for i, v := range op.Float32s(got[y.Name]) {
		if d := v - want[i]; d > 0.5 || d < -0.5 {
			t.Errorf("element %d is %v, want about %v", i, v, want[i])
		}
	}
}
