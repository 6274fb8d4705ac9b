package octet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/octet-nn/octet/internal/compile"
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/interp"
	"github.com/octet-nn/octet/internal/runtime"
	"github.com/octet-nn/octet/tensor"
)

// CompileOptions say how a model is made ready to run; the zero value is the default. None of them changes integer
// results.
type CompileOptions struct {
	// Threads is how many goroutines one run computes on; 0 means one per processor.
	Threads int
	// Keep names intermediate values that every run returns beside the outputs. Nothing is fused across them.
	Keep []string
	// Reference runs the model in the reference interpreter: slow, and the definition of right.
	Reference bool
}

// Session runs a model. It is safe for concurrent use.
type Session struct {
	compiled  *runtime.Session // nil for a reference session
	reference graph.Runner
	graph     *graph.Graph
	inputs    []ValueInfo
	outputs   []ValueInfo
	ports     ports
	free      sync.Pool // states for runs that are not given one
}

// Compile makes the model ready to run: weights are packed for this machine, and the session never touches the file
// again. Models with unknown operators fail with an *UnsupportedError that lists them all.
func (m *Model) Compile(o CompileOptions) (*Session, error) {
	defer m.keep()
	s := &Session{graph: m.graph, inputs: m.Inputs(), outputs: m.Outputs(), ports: newPorts(m.graph, len(m.graph.Outputs))}
	s.free.New = func() any { return s.NewState() }
	if o.Reference {
		r, err := interp.Executor{}.Prepare(m.graph, o.Keep)
		if err != nil {
			return nil, err
		}
		s.reference = r
		for _, name := range o.Keep {
			if v := m.graph.Value(name); !slices.Contains(m.graph.Outputs, v) {
				s.outputs = append(s.outputs, valueInfo(v))
			}
		}
		return s, nil
	}
	c, err := compile.Compile(m.graph, compile.Options{Threads: o.Threads, Keep: o.Keep})
	if err != nil {
		return nil, err
	}
	s.compiled = c
	s.graph = outline(m.graph)
	all := c.Outputs()
	s.ports = newPorts(s.graph, len(all))
	s.outputs = nil
	for _, at := range s.ports.outputs {
		s.outputs = append(s.outputs, valueInfo(all[at]))
	}
	return s, nil
}

// Inputs describes what a run takes, in RunInto's order.
func (s *Session) Inputs() []ValueInfo { return s.inputs }

// Outputs describes what a run gives, in RunInto's order: the model's outputs, then the kept values.
func (s *Session) Outputs() []ValueInfo { return s.outputs }

// Run computes the outputs, by name, from the inputs, by name. The tensors it returns belong to the caller. All
// problems with the inputs are reported at once. A model that has states begins with its initial one; RunInto can go on
// from another.
func (s *Session) Run(ctx context.Context, inputs map[string]*tensor.Tensor) (map[string]*tensor.Tensor, error) {
	if len(s.ports.states) > 0 {
		return s.runWithoutState(ctx, inputs)
	}
	if s.reference != nil {
		return s.reference.Run(ctx, inputs)
	}
	return s.compiled.Run(ctx, inputs)
}

// runWithoutState is Run for a model that has states.
func (s *Session) runWithoutState(ctx context.Context, inputs map[string]*tensor.Tensor) (map[string]*tensor.Tensor, error) {
	visible, _ := s.graph.Ports()
	in, err := graph.Arrange(visible, inputs)
	if err != nil {
		return nil, err
	}
	out := make([]*tensor.Tensor, len(s.outputs))
	if err := s.RunInto(ctx, in, out, nil); err != nil {
		return nil, err
	}
	results := make(map[string]*tensor.Tensor, len(out))
	for i, v := range s.outputs {
		results[v.Name] = out[i]
	}
	return results, nil
}

// RunOptions are the options of one run; nil means none.
type RunOptions struct {
	// State is what the run begins with and what it changes; nil means the model's initial state, and that nothing is
	// left for later runs. It must be of the same session. See Session.NewState.
	State *State

	profile *runtime.Profile
}

// RunInto is Run with inputs and outputs in the order of Inputs and Outputs. Outputs are written into the tensors of
// out, which must have the right element types and shapes; nil entries are replaced by new tensors. With no nil entry
// and inputs of shapes seen before it allocates nothing. o may be nil.
func (s *Session) RunInto(ctx context.Context, in, out []*tensor.Tensor, o *RunOptions) error {
	var state *State
	var options *runtime.RunOptions
	if o != nil {
		if state = o.State; state != nil && state.session != s {
			return errors.New("the state is another session's: make it with this session's NewState")
		}
		if o.profile != nil {
			options = &runtime.RunOptions{Profile: o.profile}
		}
	}
	switch {
	case s.reference != nil:
		return s.referenceInto(ctx, in, out, state)
	case len(s.ports.states) > 0:
		return s.withState(ctx, in, out, state, options)
	}
	return s.compiled.RunInto(ctx, in, out, options)
}

func (s *Session) referenceInto(ctx context.Context, in, out []*tensor.Tensor, st *State) error {
	if len(out) != len(s.outputs) {
		return fmt.Errorf("%d output tensors for %d outputs", len(out), len(s.outputs))
	}
	named := map[string]*tensor.Tensor{}
	for i, info := range s.inputs {
		if i < len(in) && in[i] != nil {
			named[info.Name] = in[i]
		}
	}
	named = withInitialState(s.graph, named)
	if st != nil {
		st.mu.Lock()
		defer st.mu.Unlock()
		for i, g := range s.ports.states {
			named[s.graph.Inputs[g.Input].Name] = st.values[i]
		}
	}
	results, err := s.reference.Run(ctx, named)
	if err != nil {
		return err
	}
	for i, info := range s.outputs {
		result := results[info.Name]
		switch {
		case out[i] == nil:
			out[i] = result
		case out[i].String() != result.String():
			return fmt.Errorf("output %q is %s; the tensor given for it is %s", info.Name, result, out[i])
		default:
			copy(out[i].Bytes(), result.Bytes())
		}
	}
	if st != nil {
		for i, g := range s.ports.states {
			copy(st.values[i].Bytes(), results[s.graph.Outputs[g.Output].Name].Bytes())
		}
	}
	return nil
}

// ReferenceEvaluations counts how often runs so far fell back to an operator's reference evaluation because no kernel
// serves it; 0 for a model that is fully compiled.
func (s *Session) ReferenceEvaluations() int64 {
	if s.compiled == nil {
		return 0
	}
	return s.compiled.ReferenceEvaluations()
}

// Close stops the session's goroutines after the runs under way. A session that is garbage is closed by itself.
func (s *Session) Close() error {
	if s.compiled == nil {
		return nil
	}
	return s.compiled.Close()
}
