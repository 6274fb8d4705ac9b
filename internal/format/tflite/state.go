package tflite

import (
	"fmt"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// What one invocation leaves to the next is, in TFLite, either a tensor that is marked as variable, which one operator
// reads and writes, or a resource variable, which READ_VARIABLE and ASSIGN_VARIABLE reach by a handle and which a
// subgraph that is called once gives its first value.

// stateRecord is a state while the operators that read and write it are translated.
type stateRecord struct {
	in      *graph.Value   // what a run begins with; nil while nothing has read it
	now     *graph.Value   // its value after the operators so far; nil while nothing has read or assigned it
	initial *tensor.Tensor // nil: zeros
}

// silent are operators without results.
var silent = map[string]bool{"ASSIGN_VARIABLE": true, "CALL_ONCE": true}

// keepStates makes states of what was read before it was written.
func (im *importer) keepStates() {
	for _, s := range im.states {
		im.graph.AddState(s.in, s.now, s.initial)
	}
}

// zeros is what a state begins with of which the file stores nothing but the size.
func (im *importer) zeros(dtype tensor.DType, shape []int) (*tensor.Tensor, error) {
	n, ok := tensor.Count(shape)
	if !ok || dtype == tensor.Invalid {
		return nil, fmt.Errorf("state of an impossible type or shape %v", shape)
	}
	if im.variables += dtype.Bytes(n); n > maxVariables || im.variables > maxVariables {
		return nil, fmt.Errorf("state takes more than %d MiB", maxVariables>>20)
	}
	return tensor.New(dtype, shape...), nil
}

// variable is what becomes of operand i, which becomes a state, as a result for the operator to have; nil if operand i
// is no variable tensor.
func (c *call) variable(i int, suffix string) *graph.Value {
	t, v := c.record.inputs[i], c.in[i]
	if !c.im.main.tensors[t].variable || v.Type.DType == tensor.Invalid {
		return nil
	}
	at := slices.IndexFunc(c.im.states, func(s *stateRecord) bool { return s.now == v })
	if at < 0 {
		if v.Const == nil { // some operator computes it
			return nil
		}
		at = len(c.im.states)
		c.im.states = append(c.im.states, &stateRecord{in: v, initial: v.Const})
		v.Const = nil
	}
	next := &graph.Value{Name: c.fresh(suffix), Type: v.Type}
	c.im.states[at].now, c.im.values[t] = next, next // what operators after this one see
	return next
}

// varHandle names a resource variable.
func varHandle(c *call) error {
	c.im.handles[c.out[0]] = c.im.resource(c.options)
	return nil
}

// resource is the resource variable that a VAR_HANDLE with these options names.
func (im *importer) resource(options table) *stateRecord {
	const container, sharedName = 0, 1
	key := fmt.Sprintf("%q %q", options.string(container), options.string(sharedName))
	if im.resources[key] == nil {
		im.resources[key] = &stateRecord{}
	}
	return im.resources[key]
}

// readVariable makes the variable's present value the result.
func readVariable(c *call) error {
	s, v := c.im.handles[c.in[0]], c.out[0]
	if s == nil {
		return errUnknown
	}
	if s.now != nil {
		c.im.values[c.record.outputs[0]] = s.now
		return nil
	}
	sizes, known := v.Type.Shape.Known()
	if !known && s.initial == nil {
		return fmt.Errorf("the shape of the variable is not known")
	}
	if s.initial == nil {
		var err error
		if s.initial, err = c.im.zeros(v.Type.DType, sizes); err != nil {
			return err
		}
	}
	v.Type.Shape = graph.FixedShape(s.initial.Shape()...)
	s.in, s.now = v, v
	c.im.states = append(c.im.states, s)
	return nil
}

// assignVariable changes the variable's value.
func assignVariable(c *call) error {
	s := c.im.handles[c.in[0]]
	if s == nil {
		return errUnknown
	}
	s.now = c.in[1]
	return nil
}

// callOnce takes first values of resource variables from a subgraph that does nothing but assign constants.
func callOnce(c *call) error {
	const initSubgraph = 0
	im := c.im
	number := c.options.int(initSubgraph, 0)
	if number < 1 || number >= len(im.model.subgraphs) {
		return errUnknown
	}
	sub := &im.model.subgraphs[number]
	exists := func(list []int, i int) (int, bool) {
		if i >= len(list) || list[i] < 0 || list[i] >= len(sub.tensors) {
			return 0, false
		}
		return list[i], true
	}
	handles := map[int]*stateRecord{}
	for i := range sub.operators {
		o := &sub.operators[i]
		if o.code < 0 || o.code >= len(im.model.codes) {
			return errUnknown
		}
		switch im.model.codes[o.code].name {
		case "VAR_HANDLE":
			if t, ok := exists(o.outputs, 0); ok {
				handles[t] = im.resource(o.options)
			}
		case "ASSIGN_VARIABLE":
			handle, ok := exists(o.inputs, 0)
			value, also := exists(o.inputs, 1)
			if !ok || !also || handles[handle] == nil {
				return errUnknown
			}
			r := &sub.tensors[value]
			data, err := im.bytes(r)
			if err != nil {
				return err
			}
			if len(data) == 0 {
				return errUnknown
			}
			if handles[handle].initial, err = tensor.FromBytes(dtypes[r.dtype], r.shape, data); err != nil {
				return fmt.Errorf("the first value of a variable: %w", err)
			}
		default:
			return errUnknown
		}
	}
	return nil
}

// Variables makes the states of recurrent operators, which Write writes as variable tensors, the constants that they begin
// with. Other states stay, and are written as inputs and outputs.
func Variables(g *graph.Graph) {
	const states, results = 13, 1 // hidden and cell state, and what becomes of them
	index := g.Index()
	inputs, outputs := g.Ports()
	for _, s := range g.States {
		in, next := g.Inputs[s.Input], g.Outputs[s.Output]
		u, ok := index.OnlyUse(in)
		n := index.Producer(next)
		if !ok || n == nil || u.Node != n || len(index.Uses(next)) > 0 || slices.Contains(outputs, next) {
			continue
		}
		result := u.Index - states + results
		if _, recurrent := n.Op.(*op.SequenceLSTM); !recurrent || result < results || result >= len(n.Outputs) || n.Outputs[result] != next {
			continue
		}
		in.Const, n.Outputs[result] = s.Initial, nil
	}
	g.SetPorts(inputs, outputs)
}
