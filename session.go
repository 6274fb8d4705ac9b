package octet

import (
	"context"
	"fmt"

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
	inputs    []ValueInfo
	outputs   []ValueInfo
}

// Compile makes the model ready to run: weights are packed for this machine, and the session never touches the file
// again. Models with unknown operators fail with an *UnsupportedError that lists them all.
func (m *Model) Compile(o CompileOptions) (*Session, error) {
	s := &Session{inputs: m.Inputs(), outputs: m.Outputs()}
	if o.Reference {
		r, err := interp.Executor{}.Prepare(m.graph, o.Keep)
		if err != nil {
			return nil, err
		}
		s.reference = r
		return s, nil
	}
	c, err := compile.Compile(m.graph, compile.Options{Threads: o.Threads, Keep: o.Keep})
	if err != nil {
		return nil, err
	}
	s.compiled = c
	s.outputs = infos(c.Outputs())
	return s, nil
}

// Inputs describes what a run takes, in RunInto's order.
func (s *Session) Inputs() []ValueInfo { return s.inputs }

// Outputs describes what a run gives, in RunInto's order: the model's outputs, then the kept values.
func (s *Session) Outputs() []ValueInfo { return s.outputs }

// Run computes the outputs, by name, from the inputs, by name. The tensors it returns belong to the caller. All
// problems with the inputs are reported at once.
func (s *Session) Run(ctx context.Context, inputs map[string]*tensor.Tensor) (map[string]*tensor.Tensor, error) {
	if s.reference != nil {
		return s.reference.Run(ctx, inputs)
	}
	return s.compiled.Run(ctx, inputs)
}

// RunOptions are the options of one run; nil means none.
type RunOptions struct {
	profile *runtime.Profile
}

// RunInto is Run with inputs and outputs in the order of Inputs and Outputs. Outputs are written into the tensors of
// out, which must have the right element types and shapes; nil entries are replaced by new tensors. With no nil entry
// and inputs of shapes seen before it allocates nothing. o may be nil.
func (s *Session) RunInto(ctx context.Context, in, out []*tensor.Tensor, o *RunOptions) error {
	if s.reference != nil {
		return s.referenceInto(ctx, in, out)
	}
	if o == nil || o.profile == nil {
		return s.compiled.RunInto(ctx, in, out, nil)
	}
	return s.compiled.RunInto(ctx, in, out, &runtime.RunOptions{Profile: o.profile})
}

func (s *Session) referenceInto(ctx context.Context, in, out []*tensor.Tensor) error {
	named := map[string]*tensor.Tensor{}
	for i, info := range s.inputs {
		if i < len(in) && in[i] != nil {
			named[info.Name] = in[i]
		}
	}
	results, err := s.reference.Run(ctx, named)
	if err != nil {
		return err
	}
	for i, info := range s.outputs {
		if i >= len(out) {
			break
		}
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
