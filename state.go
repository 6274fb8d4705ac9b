package octet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/octet-nn/octet/internal/format/tflite"
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/runtime"
	"github.com/octet-nn/octet/tensor"
)

// State carries what one run of a session leaves to the next: variables of TensorFlow Lite models, such as the memory of
// a recurrent layer. A run without a State begins with the model's initial state and leaves nothing; runs with the same
// State, given in RunOptions, go on from each other, as TensorFlow Lite's invocations do. A Session holds no state, so
// any number of States can go through one session at the same time. Runs with the same State wait for each other; one
// that fails leaves it as it was.
type State struct {
	session *Session
	mu      sync.Mutex
	values  []*tensor.Tensor // of the graph's states, in their order
	next    []*tensor.Tensor // what they become
	in, out []*tensor.Tensor // of the whole graph
}

// NewState is the model's initial state. Models without states (see Model.States) have an empty one, which changes
// nothing.
func (s *Session) NewState() *State {
	st := &State{session: s, in: make([]*tensor.Tensor, s.ports.ins), out: make([]*tensor.Tensor, s.ports.outs)}
	for _, g := range s.ports.states {
		st.values = append(st.values, g.Initial.Clone())
		st.next = append(st.next, tensor.New(g.Initial.DType(), g.Initial.Shape()...))
	}
	return st
}

// Reset makes the state the model's initial one again.
func (st *State) Reset() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.reset()
}

func (st *State) reset() {
	for i, g := range st.session.ports.states {
		copy(st.values[i].Bytes(), g.Initial.Bytes())
	}
}

// ports are the places of a graph's inputs and outputs that callers see, and of its states.
type ports struct {
	ins, outs       int   // of the graph
	inputs, outputs []int // places of those that are no states
	states          []graph.State
}

// newPorts divides a graph whose runs have count outputs, the graph's own and kept ones.
func newPorts(g *graph.Graph, count int) ports {
	p := ports{ins: len(g.Inputs), outs: count, states: g.States}
	for i := range g.Inputs {
		if !g.IsStateInput(i) {
			p.inputs = append(p.inputs, i)
		}
	}
	for i := range count {
		if !g.IsStateOutput(i) {
			p.outputs = append(p.outputs, i)
		}
	}
	return p
}

// outline is a graph without nodes: all that a compiled session needs to know of it, apart from the file that its constants
// are parts of.
func outline(g *graph.Graph) *graph.Graph {
	o := &graph.Graph{Inputs: g.Inputs, Outputs: g.Outputs, States: slices.Clone(g.States)}
	for i, s := range o.States {
		o.States[i].Initial = s.Initial.Clone()
	}
	return o
}

// withState runs a session whose model has states: from st, or from the initial state if it is nil.
func (s *Session) withState(ctx context.Context, in, out []*tensor.Tensor, st *State, o *runtime.RunOptions) error {
	if len(in) != len(s.inputs) {
		return fmt.Errorf("%d tensors for %d inputs", len(in), len(s.inputs))
	}
	if len(out) != len(s.outputs) {
		return fmt.Errorf("%d output tensors for %d outputs", len(out), len(s.outputs))
	}
	if st == nil {
		st = s.free.Get().(*State)
		defer s.free.Put(st)
		st.mu.Lock()
		st.reset()
	} else {
		st.mu.Lock()
	}
	defer st.mu.Unlock()
	for i, at := range s.ports.inputs {
		st.in[at] = in[i]
	}
	for i, at := range s.ports.outputs {
		st.out[at] = out[i]
	}
	for i, g := range s.ports.states {
		st.in[g.Input], st.out[g.Output] = st.values[i], st.next[i]
	}
	defer clear(st.in) // tensors are the caller's
	defer clear(st.out)
	if err := s.compiled.RunInto(ctx, st.in, st.out, o); err != nil {
		return err
	}
	for i, at := range s.ports.outputs {
		out[i] = st.out[at]
	}
	st.values, st.next = st.next, st.values
	return nil
}

// plan is how inputs of these shapes are computed.
func (s *Session) plan(in []*tensor.Tensor) (*runtime.Plan, error) {
	all := make([]*tensor.Tensor, s.ports.ins)
	for i, at := range s.ports.inputs {
		all[at] = in[i]
	}
	for _, g := range s.ports.states {
		all[g.Input] = g.Initial
	}
	return s.compiled.Plan(all)
}

// withInitialState adds what states begin with to the inputs of a run, which are given by name.
func withInitialState(g *graph.Graph, inputs map[string]*tensor.Tensor) map[string]*tensor.Tensor {
	if len(g.States) == 0 {
		return inputs
	}
	all := make(map[string]*tensor.Tensor, len(g.Inputs))
	for name, t := range inputs {
		all[name] = t
	}
	for _, s := range g.States {
		all[g.Inputs[s.Input].Name] = s.Initial
	}
	return all
}

// States describes what runs hand on to each other if they are given a State; empty for most models.
func (m *Model) States() []ValueInfo {
	out := []ValueInfo{}
	for _, s := range m.graph.States {
		out = append(out, valueInfo(m.graph.Inputs[s.Input]))
	}
	return out
}

// MetadataStates is the key of metadata under which files that cannot say so themselves have which inputs and outputs
// are states. Load takes it away.
const MetadataStates = "octet.states"

// storedState is one entry of MetadataStates, a list as JSON.
type storedState struct {
	Input   string `json:"input"`
	Output  string `json:"output"`
	Initial []byte `json:"initial,omitempty"` // base64 of the bytes; absent: zeros
}

// withStatesNamed is the model with the states that a file of the format has as inputs and outputs in its metadata.
func (m *Model) withStatesNamed(format string) *Model {
	g := m.graph.Clone()
	if format == formatTFLite {
		tflite.Variables(g)
	}
	named := &Model{graph: g, path: m.path, size: m.size, notes: m.notes}
	if len(g.States) == 0 {
		return named
	}
	var stored []storedState
	for _, s := range g.States {
		e := storedState{Input: g.Inputs[s.Input].Name, Output: g.Outputs[s.Output].Name}
		if slices.ContainsFunc(s.Initial.Bytes(), func(b byte) bool { return b != 0 }) {
			e.Initial = s.Initial.Bytes()
		}
		stored = append(stored, e)
	}
	text, err := json.Marshal(stored)
	if err != nil {
		panic(err) // it is made of strings
	}
	return named.WithMetadata(map[string]string{MetadataStates: string(text)})
}

// maxState bounds the bytes of one state, of which a file stores nothing but the size.
const maxState = 64 << 20

// restoreStates makes states of the inputs and outputs that the metadata names.
func restoreStates(g *graph.Graph) error {
	text, ok := g.Metadata[MetadataStates]
	if !ok {
		return nil
	}
	delete(g.Metadata, MetadataStates)
	var stored []storedState
	if err := json.Unmarshal([]byte(text), &stored); err != nil {
		return &FormatError{Offset: -1, Why: fmt.Sprintf("metadata %q cannot be read: %v", MetadataStates, err)}
	}
	var problems []error
	for _, s := range stored {
		in := slices.IndexFunc(g.Inputs, func(v *graph.Value) bool { return v.Name == s.Input })
		out := slices.IndexFunc(g.Outputs, func(v *graph.Value) bool { return v.Name == s.Output })
		if err := restoreState(g, in, out, s.Initial); err != nil {
			problems = append(problems, &FormatError{Offset: -1,
				Why: fmt.Sprintf("metadata %q: %q and %q are no state: %v", MetadataStates, s.Input, s.Output, err)})
		}
	}
	return errors.Join(problems...)
}

func restoreState(g *graph.Graph, in, out int, initial []byte) error {
	if in < 0 || out < 0 {
		return errors.New("the file has no such input or output")
	}
	if g.IsStateInput(in) || g.IsStateOutput(out) {
		return errors.New("one of them is another state's")
	}
	t := g.Inputs[in].Type
	sizes, known := t.Shape.Known()
	n, possible := tensor.Count(sizes)
	if !known || !possible || t.DType == tensor.Invalid || n > maxState || t.DType.Bytes(n) > maxState {
		return fmt.Errorf("its type %s has no size, or one beyond %d MiB", t, maxState>>20)
	}
	if initial == nil {
		initial = make([]byte, t.DType.Bytes(n))
	}
	first, err := tensor.FromBytes(t.DType, sizes, initial)
	if err != nil {
		return err
	}
	g.States = append(g.States, graph.State{Input: in, Output: out, Initial: first})
	return nil
}
