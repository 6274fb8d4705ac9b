package runtime

import (
	"slices"
	"sync"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/tensor"
)

// planCache keeps the plans that were used last, each with the arenas that are free at the moment.
type planCache struct {
	mu      sync.Mutex
	limit   int
	entries []*planEntry // most recently used first
}

// planEntry is a plan and its arenas. An entry that was evicted stays usable by the runs that hold it.
type planEntry struct {
	shapes [][]int
	ready  sync.Once
	plan   *Plan
	err    error

	mu   sync.Mutex
	free []*arena
}

// entry finds or makes the plan for the inputs of a program after checking them against what it declares.
func (c *planCache) entry(program Program, declared []*graph.Value, in []*tensor.Tensor) (*planEntry, error) {
	// Shapes in the cache have been checked; element types are not part of its key.
	if len(in) == len(declared) && !slices.Contains(in, nil) {
		if e := c.find(in); e != nil && sameElements(declared, in) {
			return e, e.prepare(program)
		}
	}
	if err := graph.CheckInputs(declared, in); err != nil {
		return nil, err
	}
	e := c.add(in)
	return e, e.prepare(program)
}

func sameElements(declared []*graph.Value, in []*tensor.Tensor) bool {
	for i, v := range declared {
		if v.Type.DType != in[i].DType() {
			return false
		}
	}
	return true
}

// find returns the entry for inputs of these shapes, without allocating where there is one; nil if there is none.
func (c *planCache) find(inputs []*tensor.Tensor) *planEntry {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lookup(inputs)
}

func (c *planCache) lookup(inputs []*tensor.Tensor) *planEntry {
	for i, e := range c.entries {
		if !e.fits(inputs) {
			continue
		}
		copy(c.entries[1:i+1], c.entries[:i])
		c.entries[0] = e
		return e
	}
	return nil
}

func (e *planEntry) fits(inputs []*tensor.Tensor) bool {
	for i, s := range e.shapes {
		if !slices.Equal(s, inputs[i].Shape()) {
			return false
		}
	}
	return true
}

// add returns the entry for inputs of these shapes, making an empty one if need be and forgetting the one that was
// not used for longest.
func (c *planCache) add(inputs []*tensor.Tensor) *planEntry {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.lookup(inputs); e != nil {
		return e
	}
	e := &planEntry{shapes: make([][]int, len(inputs))}
	for i, t := range inputs {
		e.shapes[i] = slices.Clone(t.Shape())
	}
	c.entries = slices.Insert(c.entries, 0, e)
	if len(c.entries) > c.limit {
		c.entries[c.limit] = nil
		c.entries = c.entries[:c.limit]
	}
	return e
}

// prepare makes the plan unless it is there; runs that come meanwhile wait for it.
func (e *planEntry) prepare(program Program) error {
	e.ready.Do(func() { e.plan, e.err = program.Plan(e.shapes) })
	return e.err
}

// take returns a free arena or a new one.
func (e *planEntry) take(workers int) *arena {
	e.mu.Lock()
	if n := len(e.free); n > 0 {
		a := e.free[n-1]
		e.free[n-1] = nil
		e.free = e.free[:n-1]
		e.mu.Unlock()
		return a
	}
	e.mu.Unlock()
	return newArena(e.plan, workers)
}

// give returns an arena to the free list, which holds at most limit.
func (e *planEntry) give(a *arena, limit int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.free) < limit {
		e.free = append(e.free, a)
	}
}
