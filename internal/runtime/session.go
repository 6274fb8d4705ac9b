package runtime

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/tensor"
)

// ErrClosed is returned by runs of a session that has been closed.
var ErrClosed = errors.New("the session is closed")

// Options of a session; the zero value is the default.
type Options struct {
	// Threads is how many goroutines one run computes on; 0 means GOMAXPROCS. It never changes results.
	Threads int
	// Plans is how many plans are kept, for as many sets of input shapes; 0 means 8.
	Plans int
}

// Session runs one program. It is safe for concurrent use: every run works in an arena of its own, one at a time on
// the worker pool and the others on their own goroutine, with the same results.
type Session struct {
	program    Program
	inputs     []*graph.Value
	outputs    []*graph.Value
	pool       *Pool
	plans      planCache
	references *atomic.Int64 // apart: arenas refer to it, and must not keep the session

	running sync.RWMutex // held for reading by runs
	closed  bool
}

// NewSession makes a session. Close it to stop its goroutines; they also end when the session is garbage.
func NewSession(program Program, o Options) *Session {
	threads := o.Threads
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	plans := o.Plans
	if plans <= 0 {
		plans = 8
	}
	s := &Session{
		program: program,
		inputs:  program.Inputs(),
		outputs: program.Outputs(),
		pool:    NewPool(threads),
		plans:   planCache{limit: plans},

		references: new(atomic.Int64),
	}
	runtime.AddCleanup(s, (*Pool).Close, s.pool)
	return s
}

// Inputs are the declared inputs, in RunInto's order. Do not modify them.
func (s *Session) Inputs() []*graph.Value { return s.inputs }

// Outputs are the network's outputs and then the kept values, in RunInto's order. Do not modify them.
func (s *Session) Outputs() []*graph.Value { return s.outputs }

// Threads is how many goroutines one run computes on.
func (s *Session) Threads() int { return s.pool.Threads() }

// ReferenceEvaluations counts the reference evaluations that all runs so far have called, because a node had no
// kernel. It is 0 for a model that is fully compiled.
func (s *Session) ReferenceEvaluations() int64 { return s.references.Load() }

// Plan is the plan for inputs of these shapes, made now if it is not there yet.
func (s *Session) Plan(inputs []*tensor.Tensor) (*Plan, error) {
	s.running.RLock()
	defer s.running.RUnlock()
	if s.closed {
		return nil, ErrClosed
	}
	e, err := s.plans.entry(s.program, s.inputs, inputs)
	if err != nil {
		return nil, err
	}
	return e.plan, nil
}

// Close waits for runs to end and stops the session's goroutines. Later runs fail with ErrClosed.
func (s *Session) Close() error {
	s.running.Lock()
	defer s.running.Unlock()
	if !s.closed {
		s.closed = true
		s.plans = planCache{}
		s.pool.Close()
	}
	return nil
}

// RunOptions are the options of one run; nil means none.
type RunOptions struct {
	// Profile collects the time of every step.
	Profile *Profile
}

// Run computes the outputs and kept values, by name, from the inputs, by name. The tensors it returns belong to the
// caller. Every problem with the inputs is reported at once. A cancelled context ends the run between two steps.
func (s *Session) Run(ctx context.Context, inputs map[string]*tensor.Tensor) (map[string]*tensor.Tensor, error) {
	in, err := graph.Arrange(s.inputs, inputs)
	if err != nil {
		return nil, err
	}
	out := make([]*tensor.Tensor, len(s.outputs))
	if err := s.run(ctx, in, out, nil); err != nil {
		return nil, err
	}
	results := make(map[string]*tensor.Tensor, len(out))
	for i, v := range s.outputs {
		results[v.Name] = out[i]
	}
	return results, nil
}

// RunReusing is Run that writes results into the tensors of results where they fit; see graph.Reuser.
func (s *Session) RunReusing(ctx context.Context, inputs, results map[string]*tensor.Tensor) error {
	in, err := graph.Arrange(s.inputs, inputs)
	if err != nil {
		return err
	}
	plan, err := s.Plan(in)
	if err != nil {
		return err
	}
	out := make([]*tensor.Tensor, len(s.outputs))
	for i, b := range plan.Outputs {
		t := results[s.outputs[i].Name]
		if t != nil && b.Dynamic == 0 && t.DType() == b.DType && slices.Equal(t.Shape(), b.Shape) {
			out[i] = t
		}
	}
	if err := s.run(ctx, in, out, nil); err != nil {
		return err
	}
	for i, v := range s.outputs {
		results[v.Name] = out[i]
	}
	return nil
}

// RunInto is Run with inputs and outputs in the order of Inputs and Outputs. Outputs are written into the tensors of
// out, which must have the element types and shapes of the results; nil entries are replaced by new tensors. With no
// nil entry and inputs of shapes it has seen before, it allocates nothing. o may be nil.
func (s *Session) RunInto(ctx context.Context, in, out []*tensor.Tensor, o *RunOptions) error {
	if len(out) != len(s.outputs) {
		return fmt.Errorf("%d output tensors for %d outputs", len(out), len(s.outputs))
	}
	return s.run(ctx, in, out, o)
}

func (s *Session) run(ctx context.Context, in, out []*tensor.Tensor, o *RunOptions) error {
	s.running.RLock()
	defer s.running.RUnlock()
	if s.closed {
		return ErrClosed
	}
	e, err := s.plans.entry(s.program, s.inputs, in)
	if err != nil {
		return err
	}
	if err := s.checkOutputs(e.plan, out); err != nil {
		return err
	}
	a := e.take(s.pool.Threads())
	defer e.give(a, s.pool.Threads()+1)

	var profile *Profile
	var begin time.Time
	if o != nil && o.Profile != nil {
		profile = o.Profile
		profile.start(e.plan)
		begin = time.Now()
	}
	for i, t := range in {
		copy(a.inputs[i].Bytes(), t.Bytes())
	}
	shared := s.pool.Acquire()
	err = a.execute(ctx, crew{s.pool, shared, s.references}, profile)
	if shared {
		s.pool.Release()
	}
	if err != nil {
		return err
	}
	if err := s.deliver(e.plan, a, out); err != nil {
		return err
	}
	if profile != nil {
		profile.Runs++
		profile.Total += time.Since(begin)
	}
	return nil
}

// checkOutputs reports all tensors of out that cannot take their result.
func (s *Session) checkOutputs(plan *Plan, out []*tensor.Tensor) error {
	var problems []error
	for i, b := range plan.Outputs {
		if t := out[i]; t != nil && b.Dynamic == 0 && (t.DType() != b.DType || !slices.Equal(t.Shape(), b.Shape)) {
			problems = append(problems, mismatch(s.outputs[i], t, b.DType, b.Shape))
		}
	}
	return errors.Join(problems...)
}

func mismatch(v *graph.Value, given *tensor.Tensor, dtype tensor.DType, shape []int) error {
	return fmt.Errorf("output %q is %s; the tensor given for it is %s", v.Name, tensor.Describe(dtype, shape), given)
}

// deliver copies the results out of the arena.
func (s *Session) deliver(plan *Plan, a *arena, out []*tensor.Tensor) error {
	for i, b := range plan.Outputs {
		if b.Dynamic > 0 {
			t := a.memory.Dynamic(b)
			switch {
			case out[i] == nil:
				out[i] = t.Clone()
			case out[i].DType() != t.DType() || !slices.Equal(out[i].Shape(), t.Shape()):
				return mismatch(s.outputs[i], out[i], t.DType(), t.Shape())
			default:
				copy(out[i].Bytes(), t.Bytes())
			}
			continue
		}
		if out[i] == nil {
			out[i] = tensor.New(b.DType, b.Shape...)
		}
		copy(out[i].Bytes(), a.memory.Bytes(b))
	}
	return nil
}
