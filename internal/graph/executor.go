package graph

import (
	"context"

	"github.com/octet-nn/octet/tensor"
)

// Executor prepares graphs to be run. Rooms that need to run a model (calibration, analysis, training) take one as a
// parameter; the reference interpreter and the compiler both are executors.
type Executor interface {
	// Prepare makes a graph ready to run. keep names values, beside the outputs, to be returned by every run.
	Prepare(g *Graph, keep []string) (Runner, error)
}

// Reuser is implemented by runners that can write results into tensors of an earlier run, so that running many samples
// leaves no garbage.
type Reuser interface {
	Runner
	// RunReusing is Run with results, by name, put into the tensors of results where they are of the right type and shape;
	// others are replaced.
	RunReusing(ctx context.Context, inputs, results map[string]*tensor.Tensor) error
}

// Runner runs one prepared graph. It is safe for concurrent use.
type Runner interface {
	// Run computes the outputs and the kept values, by name, from the inputs, by name. The tensors it returns belong
	// to the caller.
	Run(ctx context.Context, inputs map[string]*tensor.Tensor) (map[string]*tensor.Tensor, error)
}

// CloseRunner ends what a runner holds, if it holds anything.
func CloseRunner(r Runner) {
	if c, ok := r.(interface{ Close() error }); ok {
		c.Close()
	}
}
