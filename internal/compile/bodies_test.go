package compile

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/interp"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// layer is a body, or part of one: tanh(x·w), with w random.
func layer(s *sketch, x *graph.Value, width int) *graph.Value {
	w := s.constant(s.floats(width, width), nil)
	scale(tensor.Values[float32](w.Const), float32(1/math.Sqrt(float64(width)))) // errors do not grow from layer to layer
	return s.node(op.Lookup("Tanh"), s.node(&op.MatMul{}, x, w))
}

// bodyOf is a graph with the given inputs, built by build, which returns its results.
func bodyOf(t *testing.T, seed uint64, inputs []*graph.Value, build func(s *sketch) []*graph.Value) *graph.Graph {
	s := newSketch(t, seed)
	s.graph.Inputs = inputs
	s.graph.Outputs = build(s)
	return s.graph
}

func typed(name string, dtype tensor.DType, shape graph.Shape) *graph.Value {
	return &graph.Value{Name: name, Type: graph.Type{DType: dtype, Shape: shape}}
}

// agree runs a graph interpreted and compiled, by several goroutines at once, and compares; floats may differ by 1e-5.
// It returns how many reference evaluations one run took.
func agree(t *testing.T, g *graph.Graph, in map[string]*tensor.Tensor, threads int) int64 {
	t.Helper()
	runner, err := interp.Executor{}.Prepare(g, nil)
	if err != nil {
		t.Fatal(err)
	}
	want, err := runner.Run(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	session, err := Compile(g, Options{Threads: threads})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	const runs = 4
	var all sync.WaitGroup
	for range runs {
		all.Go(func() {
			got, err := session.Run(t.Context(), in)
			if err != nil {
				t.Error(err)
				return
			}
			for name, w := range want {
				if got[name].String() != w.String() {
					t.Errorf("%q is %s instead of %s", name, got[name], w)
					continue
				}
				a, b := op.Float64s(got[name]), op.Float64s(w)
				for i := range b {
					if math.Abs(a[i]-b[i]) > 1e-5*max(1, math.Abs(b[i])) {
						t.Errorf("%q[%d] is %v instead of %v", name, i, a[i], b[i])
						break
					}
				}
			}
		})
	}
	all.Wait()
	return session.ReferenceEvaluations() / runs
}

// TestBodiesAreCompiled has each operator with bodies around layers, of which one reads a value and a constant of the graph
// around it: results are the interpreter's and no layer runs by its definition.
func TestBodiesAreCompiled(t *testing.T) {
	const width = 24
	row := graph.FixedShape(1, width)
	f32 := tensor.Float32
	scalar := graph.Shape{}
	outerConstant := func(s *sketch) *graph.Value {
		w := s.floats(width, width)
		scale(tensor.Values[float32](w), 0.2)
		return s.constant(w, nil)
	}
	body := func(seed uint64, extra ...*graph.Value) *graph.Graph { // results: the state, and the state again
		return bodyOf(t, seed, extra, func(s *sketch) []*graph.Value {
			x, w := extra[len(extra)-2], extra[len(extra)-1]
			y := layer(s, s.node(&op.MatMul{}, x, w), width)
			return []*graph.Value{y}
		})
	}
	cases := map[string]func(s *sketch) []*graph.Value{
		"If": func(s *sketch) []*graph.Value {
			x := s.input(f32, nil, 1, width)
			yes := typed("yes", tensor.Bool, scalar)
			s.graph.Inputs = append(s.graph.Inputs, yes)
			branch := func(seed uint64) *graph.Graph {
				return body(seed, typed("x", f32, nil), typed("w", f32, nil))
			}
			return []*graph.Value{s.node(&op.If{Then: branch(1), Else: branch(2)}, yes, x, outerConstant(s))}
		},
		"Loop": func(s *sketch) []*graph.Value {
			x := s.input(f32, nil, 1, width)
			x.Type.Shape = row
			inputs := []*graph.Value{typed("i", tensor.Int64, scalar), typed("c", tensor.Bool, scalar), typed("x", f32, row), typed("w", f32, nil)}
			b := body(3, inputs...)
			b.Outputs = []*graph.Value{inputs[1], b.Outputs[0], b.Outputs[0]}
			count := s.constant(tensor.Of([]int64{5}), nil)
			y := s.node(&op.Loop{Body: b, States: 1}, count, nil, x, outerConstant(s))
			all := &graph.Value{Name: "all"}
			s.graph.Nodes[len(s.graph.Nodes)-1].Outputs = []*graph.Value{y, all}
			return []*graph.Value{layer(s, y, width), layer(s, all, width)}
		},
		"Scan": func(s *sketch) []*graph.Value {
			x, state := s.input(f32, nil, 7, 1, width), s.input(f32, nil, 1, width)
			x.Type.Shape, state.Type.Shape = graph.FixedShape(7, 1, width), row
			inputs := []*graph.Value{typed("s", f32, nil), typed("x", f32, nil), typed("w", f32, nil)}
			b := bodyOf(t, 4, inputs, func(s *sketch) []*graph.Value {
				y := layer(s, s.node(&op.Add{}, inputs[0], s.node(&op.MatMul{}, inputs[1], inputs[2])), width)
				return []*graph.Value{y, y}
			})
			y := s.node(&op.Scan{Body: b, States: 1, NumScanInputs: 1}, state, x, outerConstant(s))
			all := &graph.Value{Name: "all"}
			s.graph.Nodes[len(s.graph.Nodes)-1].Outputs = []*graph.Value{y, all}
			return []*graph.Value{y, layer(s, all, width)}
		},
	}
	for name, build := range cases {
		t.Run(name, func(t *testing.T) {
			s := newSketch(t, 9)
			s.graph.Outputs = build(s)
			if _, err := op.Infer(s.graph); err != nil {
				t.Fatal(err)
			}
			for _, v := range s.graph.Outputs {
				if _, known := v.Type.Shape.Known(); !known && name != "If" {
					t.Errorf("%q is %s: its shape is not inferred", v.Name, v.Type)
				}
			}
			for _, threads := range []int{1, 2} {
				in := s.feed(1)
				for _, yes := range []bool{true, false} {
					if in["yes"] != nil {
						in["yes"] = tensor.Of([]bool{yes})
					}
					if n := agree(t, s.graph, in, threads); n != 0 {
						t.Errorf("%d reference evaluations", n)
					}
				}
			}
		})
	}
}

// TestLoopThatGrows has a state that is longer after every run, and a count and a condition that are computed: nothing about
// its shape is known, and what follows is planned when it is.
func TestLoopThatGrows(t *testing.T) {
	const width = 16
	s := newSketch(t, 5)
	x, count := s.input(tensor.Float32, nil, 1, width), typed("count", tensor.Int64, graph.Shape{})
	x.Type.Shape = graph.FixedShape(1, width)
	s.graph.Inputs = append(s.graph.Inputs, count)
	inputs := []*graph.Value{typed("i", tensor.Int64, graph.Shape{}), typed("c", tensor.Bool, graph.Shape{}), typed("s", tensor.Float32, graph.FixedShape(1, width))}
	b := bodyOf(t, 6, inputs, func(s *sketch) []*graph.Value {
		y := layer(s, inputs[2], width)
		longer := s.node(&op.Concat{Axis: 0}, inputs[2], s.node(op.NewReduce("ReduceMax"), y, s.constant(tensor.Of([]int64{0}, 1), nil)))
		more := s.node(op.Lookup("Less"), inputs[0], s.constant(tensor.Of([]int64{3}), nil))
		return []*graph.Value{more, longer}
	})
	y := s.node(&op.Loop{Body: b, States: 1}, count, nil, x)
	s.graph.Outputs = []*graph.Value{layer(s, y, width), s.node(op.Lookup("Relu"), x)}
	for _, n := range []int64{0, 1, 2, 9} {
		in := map[string]*tensor.Tensor{x.Name: s.floats(1, width), "count": tensor.Of([]int64{n})}
		if refs := agree(t, s.graph, in, 1); refs > min(n, 4) { // Less has no kernel
			t.Errorf("%d runs: %d reference evaluations", n, refs)
		}
	}
}

// TestWhatFollowsComputedShapesIsCompiled has layers with packed weights after NonZero, another such value after them, and a
// value that is read both before and after.
func TestWhatFollowsComputedShapesIsCompiled(t *testing.T) {
	const width = 16
	s := newSketch(t, 7)
	x := s.input(tensor.Float32, nil, 9, width)
	x.Type.Shape = graph.FixedShape(9, width)
	rows := func(v *graph.Value) *graph.Value { // those whose first element is positive
		first := s.node(&op.Slice{}, v, s.constant(tensor.Of([]int64{0}, 1), nil), s.constant(tensor.Of([]int64{1}, 1), nil), s.constant(tensor.Of([]int64{1}, 1), nil))
		found := s.node(op.Lookup("NonZero"), s.node(op.Lookup("Relu"), s.node(op.Lookup("Squeeze"), first, s.constant(tensor.Of([]int64{1}, 1), nil))))
		index := s.node(op.Lookup("Squeeze"), found, s.constant(tensor.Of([]int64{0}, 1), nil))
		return s.node(&op.Gather{Axis: 0}, v, index)
	}
	a := layer(s, x, width)
	b := layer(s, rows(a), width)
	c := layer(s, rows(b), width)
	d := layer(s, a, width) // needs nothing of b
	s.graph.Outputs = []*graph.Value{b, c, d, s.node(&op.Concat{Axis: 0}, a, c, d)}
	for range 5 {
		if refs := agree(t, s.graph, s.feed(9), 2); refs > 2 { // NonZero
			t.Errorf("%d reference evaluations", refs)
		}
	}
	// Nothing is found.
	in := map[string]*tensor.Tensor{x.Name: tensor.New(tensor.Float32, 9, width)}
	agree(t, s.graph, in, 1)
}

// TestLoopsWithinLoops has bodies nested deeper than shapes are followed.
func TestLoopsWithinLoops(t *testing.T) {
	row := graph.FixedShape(1, 8)
	var nest func(depth int, s *sketch, x *graph.Value) *graph.Value
	nest = func(depth int, s *sketch, x *graph.Value) *graph.Value {
		if depth == 0 {
			return layer(s, x, 8)
		}
		inputs := []*graph.Value{typed("i", tensor.Int64, graph.Shape{}), typed("c", tensor.Bool, graph.Shape{}), typed("x", tensor.Float32, row)}
		b := bodyOf(t, uint64(depth), inputs, func(s *sketch) []*graph.Value {
			return []*graph.Value{inputs[1], nest(depth-1, s, inputs[2])}
		})
		return s.node(&op.Loop{Body: b, States: 1}, s.constant(tensor.Of([]int64{2}), nil), nil, x)
	}
	s := newSketch(t, rand.Uint64())
	x := s.input(tensor.Float32, nil, 1, 8)
	x.Type.Shape = row
	s.graph.Outputs = []*graph.Value{nest(6, s, x)}
	if refs := agree(t, s.graph, s.feed(1), 1); refs != 0 {
		t.Errorf("%d reference evaluations", refs)
	}
}
