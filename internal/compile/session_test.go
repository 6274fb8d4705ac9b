package compile

import (
	"bytes"
	"sync"
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/runtime"
	"github.com/octet-nn/octet/tensor"
)

// smallNetwork is a few layers of codes with float ends missing: convolution, depthwise convolution, pool, product.
func smallNetwork(t testing.TB) *sketch {
	s := newSketch(t, 7)
	x := s.input(tensor.Uint8, graph.PerTensor(0.05, 120), 1, 16, 16, 3)
	w1 := s.weights(tensor.Int8, 0, 24, true, 24, 3, 3, 3)
	a := s.integer(&op.Conv{Layout: op.NHWC, Pads: []int{1, 1, 1, 1}, Clamp: &op.Clamp{Max: 6}}, tensor.Uint8, 0.03, 0, x, w1, s.bias(0.05, w1.Type.Quant, 24))
	w2 := s.weights(tensor.Int8, 0, 24, true, 24, 1, 3, 3)
	b := s.integer(&op.Conv{Layout: op.NHWC, Group: 24, Strides: []int{2, 2}}, tensor.Uint8, 0.03, 128, a, w2)
	c := s.integer(&op.GlobalAveragePool{Layout: op.NHWC}, tensor.Uint8, 0.02, 128, b)
	w3 := s.weights(tensor.Int8, 0, 10, true, 10, 24, 1, 1)
	d := s.typed(graph.IntegerToFloat, &op.Conv{Layout: op.NHWC}, graph.Type{DType: tensor.Float32}, c, w3)
	s.graph.Outputs = []*graph.Value{d}
	if _, err := op.Infer(s.graph); err != nil {
		t.Fatal(err)
	}
	return s
}

// stacksNetwork multiplies stacks of matrices of floats and of codes, and has 16-bit codes.
func stacksNetwork(t testing.TB) *sketch {
	s := newSketch(t, 12)
	x := s.input(tensor.Uint8, graph.PerTensor(0.05, 100), 1, 6, 3, 8)
	heads := s.typed(graph.Integer, &op.Transpose{Perm: []int{0, 2, 1, 3}}, x.Type, x)
	keys := s.typed(graph.Integer, &op.Transpose{Perm: []int{0, 2, 3, 1}}, x.Type, x)
	heads.Type.Shape, keys.Type.Shape = nil, nil
	scores := s.integer(&op.Softmax{Axis: -1}, tensor.Uint8, 1.0/256, 0, s.integer(&op.MatMul{}, tensor.Uint8, 0.3, 128, heads, keys))
	mixed := s.node(op.Lookup("Dequantize"), s.integer(&op.MatMul{}, tensor.Uint8, 0.05, 100, scores, heads))
	mixed.Type = graph.Type{DType: tensor.Float32}
	products := s.node(&op.MatMul{}, mixed, s.node(&op.Transpose{Perm: []int{0, 1, 3, 2}}, mixed))
	wide := s.typed(graph.Float, op.Lookup("Quantize"), graph.Type{DType: tensor.Int16, Quant: graph.PerTensor(0.001, 0)}, products)
	sums := s.integer(op.Lookup("Add"), tensor.Int16, 0.002, 0, wide, wide)
	y := s.typed(graph.IntegerToFloat, &op.MatMul{}, graph.Type{DType: tensor.Float32}, sums, s.weights(tensor.Int8, 1, 5, true, 6, 5))
	s.graph.Outputs = []*graph.Value{y}
	if _, err := op.Infer(s.graph); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRunIntoAllocatesNothing(t *testing.T) {
	for _, network := range []func(testing.TB) *sketch{smallNetwork, stacksNetwork} {
		checkRunIntoAllocatesNothing(t, network(t))
	}
}

func checkRunIntoAllocatesNothing(t *testing.T, s *sketch) {
	t.Helper()
	for _, threads := range []int{1, 2} {
		session, err := Compile(s.graph, Options{Threads: threads})
		if err != nil {
			t.Fatal(err)
		}
		defer session.Close()
		in := []*tensor.Tensor{s.feed(2)[s.graph.Inputs[0].Name]}
		out := make([]*tensor.Tensor, 1)
		if err := session.RunInto(t.Context(), in, out, nil); err != nil {
			t.Fatal(err)
		}
		allocations := testing.AllocsPerRun(20, func() {
			if err := session.RunInto(t.Context(), in, out, nil); err != nil {
				t.Fatal(err)
			}
		})
		if allocations != 0 {
			t.Errorf("%d threads: %v allocations per run", threads, allocations)
		}
		if n := session.ReferenceEvaluations(); n > 0 {
			t.Errorf("%d reference evaluations", n)
		}
	}
}

func TestManyGoroutinesOneSession(t *testing.T) {
	s := smallNetwork(t)
	session, err := Compile(s.graph, Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	inputs := []map[string]*tensor.Tensor{s.feed(1), s.feed(2), s.feed(3)}
	name := s.graph.Outputs[0].Name
	want := make([][]byte, len(inputs))
	for i, in := range inputs {
		out, err := session.Run(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		want[i] = out[name].Bytes()
	}
	var group sync.WaitGroup
	for g := range 64 {
		group.Go(func() {
			i := g % len(inputs)
			out, err := session.Run(t.Context(), inputs[i])
			if err != nil {
				t.Error(err)
			} else if !bytes.Equal(out[name].Bytes(), want[i]) {
				t.Errorf("goroutine %d: other bytes than alone", g)
			}
		})
	}
	group.Wait()
}

func TestBatchEqualsSingleRuns(t *testing.T) {
	s := smallNetwork(t)
	session, err := Compile(s.graph, Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	input, output := s.graph.Inputs[0].Name, s.graph.Outputs[0].Name
	three := s.feed(3)
	all, err := session.Run(t.Context(), three)
	if err != nil {
		t.Fatal(err)
	}
	size := three[input].Len() / 3
	for i := range 3 {
		one, err := tensor.FromBytes(tensor.Uint8, []int{1, 16, 16, 3}, three[input].Bytes()[i*size:(i+1)*size])
		if err != nil {
			t.Fatal(err)
		}
		got, err := session.Run(t.Context(), map[string]*tensor.Tensor{input: one})
		if err != nil {
			t.Fatal(err)
		}
		part := len(got[output].Bytes())
		if !bytes.Equal(got[output].Bytes(), all[output].Bytes()[i*part:(i+1)*part]) {
			t.Errorf("entry %d of the batch differs from a run of its own", i)
		}
	}
}

func TestKeepReturnsEveryValue(t *testing.T) {
	s := smallNetwork(t)
	var keep []string
	for _, n := range s.graph.Nodes {
		keep = append(keep, n.Outputs[0].Name)
	}
	session, err := Compile(s.graph, Options{Threads: 1, Keep: keep})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	in := s.feed(2)
	got, err := session.Run(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	for v, want := range interpret(t, s.graph, in) {
		if v != s.graph.Inputs[0] {
			if err := compare(got[v.Name], want); err != nil {
				t.Errorf("%s: %v", v.Name, err)
			}
		}
	}
}

func TestProfileNamesKernels(t *testing.T) {
	s := smallNetwork(t)
	session, err := Compile(s.graph, Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	var profile runtime.Profile
	in := []*tensor.Tensor{s.feed(1)[s.graph.Inputs[0].Name]}
	if err := session.RunInto(t.Context(), in, make([]*tensor.Tensor, 1), &runtime.RunOptions{Profile: &profile}); err != nil {
		t.Fatal(err)
	}
	plan, err := session.Plan(in)
	if err != nil {
		t.Fatal(err)
	}
	if want := int64(16*16*24*27 + 7*7*24*9 + 10*24); plan.MACs() != want {
		t.Errorf("%d MACs, want %d", plan.MACs(), want)
	}
	for i, name := range []string{"conv_int8", "depthwise_int8", "average_pool_int8", "conv_int8"} {
		if p := profile.Steps[i]; p.Kernel != name || p.Runs != 1 || p.Total <= 0 {
			t.Errorf("step %d: %+v", i, p)
		}
	}
}
