package compile

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/interp"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/quantize"
	"github.com/octet-nn/octet/tensor"
)

// mobileNetwork draws a network of expansions, depthwise convolutions or pools, and projections, with residuals, values
// that have another reader as well, Concats, and images of any size.
func mobileNetwork(t testing.TB, r *rapid.T) *sketch {
	s := newSketch(t, rapid.Uint64().Draw(r, "seed"))
	draw := func(name string, from, to int) int { return rapid.IntRange(from, to).Draw(r, name) }
	conv := func(x *graph.Value, inputs, outputs, group, size, stride int) *graph.Value {
		pads := []int{draw("top", 0, size/2), draw("left", 0, size/2), draw("bottom", 0, size/2), draw("right", 0, size/2)}
		w := s.floats(outputs, inputs/group, size, size)
		for i, v := range tensor.Values[float32](w) {
			tensor.Values[float32](w)[i] = v / float32(size*size*inputs/group)
		}
		x = s.node(&op.Conv{Pads: pads, Group: group, Strides: []int{stride, stride}}, x, s.constant(w, nil), s.constant(s.floats(outputs), nil))
		if draw("relu", 0, 1) == 1 {
			x = s.node(op.NewFunction("Relu"), x)
		}
		return x
	}
	channels := draw("channels", 1, 9)
	x := s.input(tensor.Float32, nil, 1, channels, draw("height", 9, 40), draw("width", 9, 20))
	for range draw("blocks", 1, 4) {
		wide, before := draw("wide", 1, 40), x
		expanded := conv(x, channels, wide, 1, 1, 1)
		if draw("pool", 0, 3) == 0 {
			stride := draw("stride", 1, 2)
			expanded = s.node(&op.MaxPool{KernelShape: []int{3, 3}, Pads: []int{draw("top", 0, 1), 1, 1, 1}, Strides: []int{stride, stride}}, expanded)
		} else {
			expanded = conv(expanded, wide, wide, wide, 3, draw("stride", 1, 2))
		}
		switch draw("end", 0, 5) {
		case 0: // no projection
			x, channels = expanded, wide
		case 1: // the depthwise convolution has another reader
			x = s.node(&op.Concat{Axis: 1}, conv(expanded, wide, channels, 1, 1, 1), expanded)
			channels += wide
		case 2, 3: // a residual, the block's own input or what is made of it
			y := s.node(&op.Conv{}, before, s.constant(s.floats(wide, channels, 1, 1), nil))
			y = s.node(&op.Conv{Group: wide, Pads: []int{1, 1, 1, 1}}, y, s.constant(s.floats(wide, 1, 3, 3), nil))
			y = s.node(&op.Conv{}, y, s.constant(s.floats(channels, wide, 1, 1), nil))
			if draw("other", 0, 1) == 1 {
				before = s.node(op.NewFunction("Relu"), before)
			}
			if draw("order", 0, 1) == 1 {
				before, y = y, before
			}
			x = s.node(&op.Add{}, before, y)
		default:
			x = conv(expanded, wide, channels, 1, 1, 1)
		}
	}
	s.graph.Outputs = []*graph.Value{x}
	return s
}

// A chain hands out the bits of its convolutions one by one: at any number of threads, in floats and codes, with values
// in the middle that are kept.
func TestChainsAreTheirConvolutions(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s := mobileNetwork(t, r)
		in := s.feed(rapid.IntRange(1, 2).Draw(r, "batch"))
		if _, err := op.Infer(s.graph.Clone()); err != nil {
			r.Skip("a window larger than its image")
		}
		var keep []string
		if n := s.graph.Nodes; rapid.Bool().Draw(r, "keep") {
			keep = []string{n[rapid.IntRange(0, len(n)-1).Draw(r, "kept")].Outputs[0].Name}
		}
		alone := run(t, Executor{Threads: 1}, s.graph, in, keep)
		for _, threads := range []int{2, 3} {
			sameResults(r, fmt.Sprintf("%d goroutines", threads), alone, run(t, Executor{Threads: threads}, s.graph, in, keep))
		}
		g := quantized(t, s.graph, in, quantize.Options{})
		want := run(t, interp.Executor{}, g, in, nil)
		for _, threads := range []int{1, 2, 3} {
			sameResults(r, fmt.Sprintf("%d goroutines, codes", threads), want, run(t, Executor{Threads: threads}, g, in, nil))
		}
	})
}

func run(t *testing.T, e graph.Executor, g *graph.Graph, in map[string]*tensor.Tensor, keep []string) map[string]*tensor.Tensor {
	t.Helper()
	r, err := e.Prepare(g, keep)
	if err != nil {
		t.Fatal(err)
	}
	defer graph.CloseRunner(r)
	var out map[string]*tensor.Tensor
	for range 2 { // goroutines go on where they were, but only within a run
		if out, err = r.Run(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func sameResults(t rapid.TB, what string, want, got map[string]*tensor.Tensor) {
	t.Helper()
	for name, v := range want {
		if got[name] == nil || !bytes.Equal(v.Bytes(), got[name].Bytes()) {
			t.Fatalf("%s: %s is %v, want %v", what, name, got[name], v)
		}
	}
}

// The beginning of a ResNet or SqueezeNet: a convolution, a pool, and another convolution.
func TestPoolsAreChained(t *testing.T) {
	s := newSketch(t, 1)
	x := s.input(tensor.Float32, nil, 1, 3, 40, 40)
	y := s.node(&op.Conv{Strides: []int{2, 2}, Pads: []int{1, 1, 1, 1}}, x, s.constant(s.floats(16, 3, 3, 3), nil))
	y = s.node(&op.MaxPool{KernelShape: []int{2, 2}}, y)
	s.graph.Outputs = []*graph.Value{s.node(&op.Conv{}, y, s.constant(s.floats(8, 16, 1, 1), nil))}
	session, err := Compile(s.graph, Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	plan, err := session.Plan([]*tensor.Tensor{s.floats(1, 3, 40, 40)})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(plan.Steps); n != 3 || plan.Steps[1].Kernel != "chain_f32" {
		t.Errorf("%d steps, the second by %s", n, plan.Steps[1].Kernel)
	}
}

// Where they pay, the blocks of a MobileNet are chains; a value that is kept, a second reader or an image with fewer
// lines than goroutines need makes them steps of their own.
func TestBlocksAreChained(t *testing.T) {
	for _, tc := range []struct {
		name          string
		height        int
		threads       int
		keep, another bool
		kernels       string
	}{
		{"two goroutines", 20, 2, false, false, "chain_f32"},
		{"three goroutines, 7 lines each", 21, 3, false, false, "chain_f32"},
		{"three goroutines, one of which would have few lines", 19, 3, false, false, "conv_f32 depthwise_f32 conv_f32"},
		{"few lines", 12, 2, false, false, "conv_f32 depthwise_f32 conv_f32"},
		{"one goroutine, small", 20, 1, false, false, "conv_f32 depthwise_f32 conv_f32"},
		{"one goroutine, large", 600, 1, false, false, "chain_f32"},
		{"kept", 20, 2, true, false, "conv_f32 chain_f32"},
		{"read by another", 20, 2, false, true, "chain_f32 conv_f32 unary_f32"},
	} {
		s := newSketch(t, 1)
		x := s.input(tensor.Float32, nil, 1, 8, tc.height, 20)
		wide := s.node(&op.Conv{}, x, s.constant(s.floats(32, 8, 1, 1), nil))
		deep := s.node(&op.Conv{Group: 32, Pads: []int{1, 1, 1, 1}}, wide, s.constant(s.floats(32, 1, 3, 3), nil))
		s.graph.Outputs = []*graph.Value{s.node(&op.Conv{}, deep, s.constant(s.floats(8, 32, 1, 1), nil))}
		if tc.another {
			s.graph.Outputs = append(s.graph.Outputs, s.node(op.NewFunction("Exp"), deep))
		}
		o := Options{Threads: tc.threads}
		if tc.keep {
			o.Keep = []string{wide.Name}
		}
		session, err := Compile(s.graph, o)
		if err != nil {
			t.Fatal(err)
		}
		plan, err := session.Plan([]*tensor.Tensor{s.floats(1, 8, tc.height, 20)})
		session.Close()
		if err != nil {
			t.Fatal(err)
		}
		var kernels []string
		for _, step := range plan.Steps {
			if step.Op != "Transpose" && step.Kernel != transposeKernel {
				kernels = append(kernels, step.Kernel)
			}
		}
		if got := strings.Join(kernels, " "); got != tc.kernels {
			t.Errorf("%s: steps %q, want %q", tc.name, got, tc.kernels)
		}
	}
}
