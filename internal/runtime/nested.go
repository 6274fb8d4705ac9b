package runtime

import (
	"context"
	"fmt"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/tensor"
)

// nestedPlans is how many plans a nested program keeps.
const nestedPlans = 8

// Nested is a program that runs within a step of another one: the body of a loop, or what follows values whose shapes are
// known only when they have been computed. It keeps plans and arenas as a session does, has the workers of the run that it
// is part of, and is safe for concurrent use.
type Nested struct {
	program Program
	inputs  []*graph.Value
	plans   planCache
}

// NewNested makes a program one that others can run.
func NewNested(program Program) *Nested {
	return &Nested{program: program, inputs: program.Inputs(), plans: planCache{limit: nestedPlans}}
}

// Run computes the outputs from the inputs, both in the program's order; m is the memory of the step that calls. The
// tensors it returns belong to the caller.
func (n *Nested) Run(ctx context.Context, m *Memory, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	e, err := n.plans.entry(n.program, n.inputs, in)
	if err != nil {
		return nil, err
	}
	workers := m.crew.pool.Threads()
	a := e.take(workers)
	defer e.give(a, workers+1)
	for i, t := range in {
		copy(a.inputs[i].Bytes(), t.Bytes())
	}
	if err := a.execute(ctx, m.crew, nil); err != nil {
		return nil, err
	}
	out := make([]*tensor.Tensor, len(e.plan.Outputs))
	for i, b := range e.plan.Outputs {
		if b.Dynamic > 0 {
			if out[i] = a.memory.Dynamic(b); out[i] == nil {
				return nil, fmt.Errorf("result %d was not computed", i)
			}
			continue // made for this run
		}
		out[i] = tensor.New(b.DType, b.Shape...)
		copy(out[i].Bytes(), a.memory.Bytes(b))
	}
	return out, nil
}
