package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/tensor"
)

// doubler is a program made by hand: y = 2x, then z = y + 1, over a vector of any length, each in tasks of 16 elements.
type doubler struct {
	plans atomic.Int64
	fail  error // returned by a step of its own, if set
}

func vector(name string) *graph.Value {
	return &graph.Value{Name: name, Type: graph.Type{
		DType: tensor.Float32, Shape: graph.Shape{{Size: graph.Unknown, Symbol: "N"}}}}
}

func (d *doubler) Inputs() []*graph.Value  { return []*graph.Value{vector("x")} }
func (d *doubler) Outputs() []*graph.Value { return []*graph.Value{vector("z"), vector("y")} }

func (d *doubler) Plan(shapes [][]int) (*Plan, error) {
	d.plans.Add(1)
	n := shapes[0][0]
	if n == 13 {
		return nil, errors.New("13 is unlucky")
	}
	at := func(i int) Buffer { return Buffer{DType: tensor.Float32, Shape: shapes[0], Offset: i * Round(4*n)} }
	x, y, z := at(0), at(1), at(2)
	elementwise := func(in, out Buffer, f func(float32) float32) func(m *Memory) Work {
		return func(m *Memory) Work {
			a, b := View[float32](m, in), View[float32](m, out)
			scratch := floats(m.Scratch(64))
			return Work{Tasks: (n + 15) / 16, Run: func(begin, end, worker int) {
				for task := begin; task < end; task++ {
					lo, hi := task*16, min(task*16+16, n)
					s := scratch[worker][:hi-lo]
					copy(s, a[lo:hi])
					for i, v := range s {
						b[lo+i] = f(v)
					}
				}
			}}
		}
	}
	return &Plan{
		Inputs: []Buffer{x}, Outputs: []Buffer{z, y}, Bytes: 3 * Round(4*n), Scratch: 64,
		Steps: []Step{
			{Name: "double", Op: "Mul", Kernel: "test", MACs: int64(n), Bind: elementwise(x, y, func(v float32) float32 { return 2 * v })},
			{Name: "fail", Op: "Maybe", Reference: true, Bind: func(*Memory) Work {
				return Work{Call: func(context.Context) error { return d.fail }}
			}},
			{Name: "increment", Op: "Add", Kernel: "test", Bind: elementwise(y, z, func(v float32) float32 { return v + 1 })},
		},
	}, nil
}

func floats(scratch [][]byte) [][]float32 {
	views := make([][]float32, len(scratch))
	for i, s := range scratch {
		t, err := tensor.FromBytes(tensor.Float32, []int{len(s) / 4}, s)
		if err != nil {
			panic(err)
		}
		views[i] = tensor.Values[float32](t)
	}
	return views
}

func ramp(n int) *tensor.Tensor {
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(i)
	}
	return tensor.Of(values, n)
}

func TestRunAtEveryThreadCount(t *testing.T) {
	for _, threads := range []int{1, 2, 3, 8} {
		for _, n := range []int{0, 1, 15, 16, 17, 1000} {
			t.Run(fmt.Sprintf("%d threads, %d elements", threads, n), func(t *testing.T) {
				s := NewSession(&doubler{}, Options{Threads: threads})
				defer s.Close()
				for range 3 {
					out, err := s.Run(t.Context(), map[string]*tensor.Tensor{"x": ramp(n)})
					if err != nil {
						t.Fatal(err)
					}
					y, z := tensor.Values[float32](out["y"]), tensor.Values[float32](out["z"])
					for i := range n {
						if y[i] != float32(2*i) || z[i] != float32(2*i+1) {
							t.Fatalf("element %d: y=%v z=%v", i, y[i], z[i])
						}
					}
				}
			})
		}
	}
}

func TestConcurrentRuns(t *testing.T) {
	s := NewSession(&doubler{}, Options{Threads: 3})
	defer s.Close()
	want, err := s.Run(t.Context(), map[string]*tensor.Tensor{"x": ramp(500)})
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for g := range 64 {
		group.Go(func() {
			for i := range 4 {
				n := 500
				if (g+i)%3 == 0 {
					n = 40 + g%20 // more shapes than plans are kept
				}
				got, err := s.Run(t.Context(), map[string]*tensor.Tensor{"x": ramp(n)})
				if err != nil {
					t.Error(err)
					return
				}
				if z := got["z"].Bytes(); !bytes.Equal(z, want["z"].Bytes()[:len(z)]) {
					t.Errorf("goroutine %d: other bytes than alone", g)
				}
			}
		})
	}
	group.Wait()
}

func TestRepeatedShapeAllocatesNothing(t *testing.T) {
	for _, threads := range []int{1, 2} {
		s := NewSession(&doubler{}, Options{Threads: threads})
		defer s.Close()
		in := []*tensor.Tensor{ramp(333)}
		out := []*tensor.Tensor{tensor.New(tensor.Float32, 333), tensor.New(tensor.Float32, 333)}
		run := func() {
			if err := s.RunInto(t.Context(), in, out, nil); err != nil {
				t.Fatal(err)
			}
		}
		if n := testing.AllocsPerRun(50, run); n != 0 {
			t.Errorf("%d threads: %v allocations per run", threads, n)
		}
	}
}

func TestPlansAreKeptAndForgotten(t *testing.T) {
	p := &doubler{}
	s := NewSession(p, Options{Threads: 1, Plans: 2})
	defer s.Close()
	for i, step := range []struct{ n, plans int }{{5, 1}, {6, 2}, {5, 2}, {7, 3}, {5, 3}, {6, 4}, {7, 5}} {
		if _, err := s.Run(t.Context(), map[string]*tensor.Tensor{"x": ramp(step.n)}); err != nil {
			t.Fatal(err)
		}
		if got := int(p.plans.Load()); got != step.plans {
			t.Errorf("run %d with %d elements: %d plans made, want %d", i, step.n, got, step.plans)
		}
	}
}

func TestErrors(t *testing.T) {
	boom := errors.New("boom")
	p := &doubler{fail: boom}
	s := NewSession(p, Options{Threads: 2})
	run := func(inputs map[string]*tensor.Tensor) error {
		_, err := s.Run(t.Context(), inputs)
		return err
	}
	for _, c := range []struct {
		name   string
		inputs map[string]*tensor.Tensor
		want   []string
	}{
		{"missing and unexpected", map[string]*tensor.Tensor{"X": ramp(3)}, []string{`input "x" (f32[N]) is missing`, `no input "X"`}},
		{"element type", map[string]*tensor.Tensor{"x": tensor.New(tensor.Int8, 3)}, []string{"must be f32"}},
		{"rank", map[string]*tensor.Tensor{"x": tensor.New(tensor.Float32, 3, 1)}, []string{"1 dimensions"}},
		{"plan", map[string]*tensor.Tensor{"x": ramp(13)}, []string{"unlucky"}},
		{"step", map[string]*tensor.Tensor{"x": ramp(3)}, []string{"boom"}},
	} {
		err := run(c.inputs)
		if err == nil {
			t.Errorf("%s: no error", c.name)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q does not say %q", c.name, err, w)
			}
		}
	}
	out := []*tensor.Tensor{tensor.New(tensor.Float32, 4), tensor.New(tensor.Int8, 3)}
	err := s.RunInto(t.Context(), []*tensor.Tensor{ramp(3)}, out, nil)
	if err == nil || !strings.Contains(err.Error(), `"z"`) || !strings.Contains(err.Error(), `"y"`) {
		t.Errorf("wrong output tensors: %v", err)
	}

	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Run(cancelled, map[string]*tensor.Tensor{"x": ramp(3)}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled run: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := run(map[string]*tensor.Tensor{"x": ramp(3)}); !errors.Is(err, ErrClosed) {
		t.Errorf("run after Close: %v", err)
	}
}

func TestProfileAndCounters(t *testing.T) {
	s := NewSession(&doubler{}, Options{Threads: 2})
	defer s.Close()
	var profile Profile
	for range 3 {
		out := make([]*tensor.Tensor, 2)
		if err := s.RunInto(t.Context(), []*tensor.Tensor{ramp(100)}, out, &RunOptions{Profile: &profile}); err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	for _, step := range profile.Steps {
		names = append(names, step.Name)
		if step.Runs != 3 {
			t.Errorf("step %s ran %d times", step.Name, step.Runs)
		}
	}
	if !slices.Equal(names, []string{"double", "fail", "increment"}) || profile.Runs != 3 || profile.Steps[0].MACs != 100 {
		t.Errorf("profile %+v", profile)
	}
	if n := s.ReferenceEvaluations(); n != 3 {
		t.Errorf("%d reference evaluations, want 3", n)
	}
	plan, err := s.Plan([]*tensor.Tensor{ramp(100)})
	if err != nil || plan.MACs() != 100 || plan.References() != 1 {
		t.Errorf("plan %+v, %v", plan, err)
	}
}
