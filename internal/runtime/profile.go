package runtime

import "time"

// Profile is where the time of runs went, step by step. Times add up over all runs it is given to; a Profile serves
// one run at a time.
type Profile struct {
	Runs  int
	Total time.Duration // of whole runs, copying inputs and outputs included
	Steps []StepProfile // in the order of execution, of the plan that ran last
	plan  *Plan
}

// StepProfile is one step's share.
type StepProfile struct {
	Name, Op, Kernel string
	Shapes           string // of the node's operands and results
	MACs             int64  // of one run
	Runs             int
	Total, Fastest   time.Duration // of all runs, and of one
}

// start makes the profile's steps those of the plan; times of another plan's steps are dropped.
func (p *Profile) start(plan *Plan) {
	if p.plan == plan {
		return
	}
	p.plan, p.Runs, p.Total = plan, 0, 0
	p.Steps = make([]StepProfile, len(plan.Steps))
	for i, s := range plan.Steps {
		p.Steps[i] = StepProfile{Name: s.Name, Op: s.Op, Kernel: s.Kernel, Shapes: s.Shapes, MACs: s.MACs}
	}
}

// add counts one run.
func (s *StepProfile) add(took time.Duration) {
	if s.Runs == 0 || took < s.Fastest {
		s.Fastest = took
	}
	s.Runs++
	s.Total += took
}
