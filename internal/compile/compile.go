// Package compile turns a graph into a program for this machine: it lowers the graph (half floats widened, simplified,
// channels last), chooses a kernel for every node and packs its constants once; then, for each set of input shapes, it
// plans memory and steps. Package runtime runs the result.
//
// How nodes of one operator type become kernel calls is one row of the table in lowering.go.
package compile

import (
	"errors"
	"fmt"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/runtime"
)

// Options of a compiled program; the zero value is the default.
type Options struct {
	// Threads is how many goroutines one run computes on; 0 means GOMAXPROCS. It never changes results.
	Threads int
	// Keep names values, beside the outputs, that every run returns, as they are in the graph: nothing is fused across
	// them.
	Keep []string
	// Plans is how many plans are kept, for as many sets of input shapes; 0 means the default of package runtime.
	Plans int
	// MaxBytes bounds the memory of one run, so that a hostile shape is an error and not the end of the process;
	// 0 means 8 GiB.
	MaxBytes int
	// Direct makes convolutions add up products in order of depth, never by an algorithm that does with fewer, whose
	// roundings are others.
	Direct bool
	// Tier is whose kernels are used, one of Tiers; "" for what package cpu chooses.
	Tier string
}

// Executor prepares graphs by compiling them. Its convolutions are Direct: what is made of its results, like the ranges
// of calibration, does not depend on which algorithms are fast.
type Executor struct {
	Threads int // as in Options
}

// Prepare compiles a graph that returns the values named by keep as well.
func (e Executor) Prepare(g *graph.Graph, keep []string) (graph.Runner, error) {
	return Compile(g, Options{Threads: e.Threads, Keep: keep, Direct: true})
}

// Compile makes a session for a graph, which is not changed. It fails if the graph is illegal,
// if it has operators without a definition (an *op.UnsupportedError names them all), or if a kept value does not exist.
func Compile(g *graph.Graph, o Options) (*runtime.Session, error) {
	p, err := newProgram(g, o)
	if err != nil {
		return nil, err
	}
	return runtime.NewSession(p, runtime.Options{Threads: o.Threads, Plans: o.Plans}), nil
}

// keepValues makes the kept values outputs of the graph, so that rewriting leaves them as they are.
func keepValues(g *graph.Graph, keep []string) error {
	var problems []error
	for _, name := range keep {
		v := g.Value(name)
		switch {
		case v == nil:
			problems = append(problems, fmt.Errorf("there is no value %q to keep", name))
		case !slices.Contains(g.Outputs, v):
			g.Outputs = append(g.Outputs, v)
		}
	}
	return errors.Join(problems...)
}
