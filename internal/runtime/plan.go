// Package runtime runs compiled programs: it owns the memory, the threads and the clock, and knows nothing of
// operators. Package compile makes the programs.
//
// A Program is the shape-independent half. A Plan is the other: the steps for one set of input shapes and where in an
// arena each value lives. A Session runs a program: it keeps plans and arenas for shapes it has seen, so that a
// repeated shape allocates nothing, and it may be used by any number of goroutines.
package runtime

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/tensor"
)

// Program is a network ready to be planned. Package compile implements it; it must be safe for concurrent use.
type Program interface {
	// Inputs are the declared inputs, in the order in which shapes and tensors are given.
	Inputs() []*graph.Value
	// Outputs are the results of a run: the network's outputs, then the values that were asked to be kept.
	Outputs() []*graph.Value
	// Plan makes the plan for one set of input shapes, which agree with the declared ones. The error says which node
	// cannot be computed for these shapes.
	Plan(shapes [][]int) (*Plan, error)
}

// Plan is how a program is run on inputs of particular shapes. It is immutable.
type Plan struct {
	Inputs  []Buffer // where inputs are copied before the first step
	Outputs []Buffer // where outputs are after the last step
	Steps   []Step
	Bytes   int // size of the arena
	Scratch int // bytes of scratch space for one worker: the most that any step needs
	Dynamic int // number of dynamic buffers
}

// Step is one kernel call in a plan.
type Step struct {
	Name   string // the node
	Op     string // the node's operator type
	Kernel string // what computes it
	Shapes string // of the node's operands and results
	MACs   int64  // multiply-accumulates
	// Reference marks a step that calls an operator's reference evaluation because no kernel serves it.
	Reference bool
	Sharing   Sharing
	// Bind resolves the step's buffers to the memory of one run and returns what to do. It is called once for each
	// Memory; what it returns is called in every run and allocates nothing.
	Bind func(m *Memory) Work
}

// Sharing says whether the tasks of a step are given to other goroutines. It never changes results.
type Sharing uint8

const (
	// Shared steps are: they are certainly large.
	Shared Sharing = iota
	// Measured steps are computed by one goroutine and timed in the first runs of an arena, and shared if they take long.
	Measured
	// Alone is for steps that are certainly small.
	Alone
)

const (
	// trials is in how many runs a step is timed; the fastest counts.
	trials = 3
	// worthSharing is the time of a step from which two goroutines are sooner done with it than one. Giving work away
	// costs about 0.3 µs, and fetching what the other has written to its cache some more.
	worthSharing = 4 * time.Microsecond
)

// Work is a step bound to memory: either Tasks pieces of work that are independent of each other, or a Call.
//
// Into how many tasks a step is cut follows from shapes alone, never from the number of threads, and no sum crosses
// tasks, so that results do not depend on who computes what.
type Work struct {
	Tasks int
	Grain int // groups of so many tasks, counted from 0, are done sooner together; 0 if it makes no difference
	Least int // fewer consecutive tasks at once are not worth a call while there are so many; 0 if it makes no difference
	// Prepare, if there is one, is called first, by the goroutine that runs the step.
	Prepare func()
	Run     func(begin, end, worker int) // computes tasks begin … end−1 with the scratch space of worker
	// Call is for steps that can fail or that allocate; it runs on the calling goroutine.
	Call func(ctx context.Context) error
}

// Serial is the work of a step that is too small to be shared.
func Serial(run func()) Work {
	return Work{Tasks: 1, Run: func(int, int, int) { run() }}
}

// MACs is the number of multiply-accumulates of one run.
func (p *Plan) MACs() int64 {
	var total int64
	for i := range p.Steps {
		total += p.Steps[i].MACs
	}
	return total
}

// References counts the steps that call a reference evaluation.
func (p *Plan) References() int {
	n := 0
	for i := range p.Steps {
		if p.Steps[i].Reference {
			n++
		}
	}
	return n
}

// Shares is, for each step, the largest share of its tasks that one of so many equally fast goroutines gets, over the mean
// share: counted, not timed. It is 0 for steps that are not shared.
func (p *Plan) Shares(threads int) []float64 {
	a := newArena(p, 1)
	shares := make([]float64, len(p.Steps))
	for i, w := range a.work {
		if w.Call == nil && w.Tasks > 1 && p.Steps[i].Sharing != Alone {
			shares[i] = float64(busiest(&w, threads)) / (float64(w.Tasks) / float64(threads))
		}
	}
	return shares
}

// arena is a plan bound to memory of its own: what one run works in.
type arena struct {
	memory *Memory
	inputs []*tensor.Tensor // views of the input buffers
	steps  []Step           // the plan's
	work   []Work
	trials []trial
}

// trial is what is known of how long a measured step takes on one goroutine.
type trial struct {
	runs    int
	fastest time.Duration
}

// measure runs a step on this goroutine and takes its time.
func (t *trial) measure(w *Work) {
	begin := time.Now()
	w.Run(0, w.Tasks, 0)
	if took := time.Since(begin); t.runs == 0 || took < t.fastest {
		t.fastest = took
	}
	t.runs++
}

// shares reports whether a measured step has proved to be worth sharing.
func (t *trial) shares() bool { return t.fastest >= worthSharing }

func newArena(p *Plan, workers int) *arena {
	m := newMemory(p, workers)
	a := &arena{memory: m, inputs: make([]*tensor.Tensor, len(p.Inputs)), steps: p.Steps, work: make([]Work, len(p.Steps)),
		trials: make([]trial, len(p.Steps))}
	for i, b := range p.Inputs {
		a.inputs[i] = m.Tensor(b)
	}
	for i := range p.Steps {
		a.work[i] = p.Steps[i].Bind(m)
	}
	return a
}

// crew is who computes a run: the workers, if the run has them, and who counts.
type crew struct {
	pool       *Pool
	shared     bool // the run has the workers to itself
	references *atomic.Int64
}

// execute runs the steps of the plan.
func (a *arena) execute(ctx context.Context, c crew, profile *Profile) error {
	a.memory.crew = c
	for i := range a.work {
		if err := ctx.Err(); err != nil {
			return err
		}
		var begin time.Time
		if profile != nil {
			begin = time.Now()
		}
		w, step := &a.work[i], &a.steps[i]
		if w.Prepare != nil {
			w.Prepare()
		}
		switch {
		case w.Call != nil:
			if err := w.Call(ctx); err != nil {
				return err
			}
			if step.Reference {
				c.references.Add(1)
			}
		case c.shared && w.Tasks > 1 && step.Sharing == Measured && a.trials[i].runs < trials:
			a.trials[i].measure(w)
		case c.shared && w.Tasks > 1 && (step.Sharing == Shared || step.Sharing == Measured && a.trials[i].shares()):
			c.pool.Do(w)
		case w.Tasks > 0:
			w.Run(0, w.Tasks, 0)
		}
		if profile != nil {
			profile.Steps[i].add(time.Since(begin))
		}
	}
	return nil
}
