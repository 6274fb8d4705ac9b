package calibrate

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/tensor"
)

// Sample is one set of inputs.
type Sample struct {
	ID     string // file name or the like; a sample is counted once per identity
	Inputs map[string]*tensor.Tensor
}

// Options of Run; the zero value runs one sample at a time and starts from nothing.
type Options struct {
	Workers  int     // samples run at the same time; 0 means 1. The result does not depend on it
	Resume   *Ranges // statistics to add to; samples it has seen are skipped. It is not changed unless it is the result
	Progress func(samplesDone int)
}

// Run runs the samples through g and collects the statistics of the named float values. Names of the result are the
// values' names in their source file. When ctx ends, what has been collected so far is returned together with
// ctx.Err(), so that the caller can save it and resume.
func Run(ctx context.Context, exec graph.Executor, g *graph.Graph, values []string, samples iter.Seq2[Sample, error], o Options) (*Ranges, error) {
	ranges := o.Resume
	if ranges == nil {
		ranges = NewRanges()
	}
	inputs := map[string]bool{}
	for _, v := range g.Inputs {
		inputs[v.Name] = true
	}
	observed := make([]*observedValue, 0, len(values))
	var keep []string
	for _, name := range values {
		v := g.Value(name)
		if v == nil {
			return nil, fmt.Errorf("calibrate: the network has no value %q", name)
		}
		if !inputs[v.Name] {
			keep = append(keep, v.Name)
		}
		stats := ranges.Values[v.Source()]
		if stats == nil {
			stats = &Statistics{Histogram: &Histogram{}}
			ranges.Values[v.Source()] = stats
		}
		observed = append(observed, &observedValue{name: v.Name, isInput: inputs[v.Name], statistics: stats})
	}
	runner, err := exec.Prepare(g, keep)
	if err != nil {
		return nil, err
	}
	defer graph.CloseRunner(runner)

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	work := make(chan Sample)
	seen := &Ranges{Samples: slices.Clone(ranges.Samples)}
	go func() {
		defer close(work)
		for s, err := range samples {
			if err != nil {
				cancel(err)
				return
			}
			if seen.Saw(s.ID) && s.ID != "" {
				continue
			}
			select {
			case work <- s:
			case <-ctx.Done():
				return
			}
		}
	}()

	var mu sync.Mutex // guards ranges.Samples and done
	done := 0
	one := func(s Sample, out map[string]*tensor.Tensor) error {
		if err := runReusing(ctx, runner, s.Inputs, out); err != nil {
			return fmt.Errorf("sample %q: %w", s.ID, err)
		}
		for _, o := range observed {
			t := out[o.name]
			if o.isInput {
				t = s.Inputs[o.name]
			}
			if err := o.add(t); err != nil {
				return err
			}
		}
		mu.Lock()
		defer mu.Unlock()
		if s.ID != "" {
			ranges.sawSample(s.ID)
		}
		done++
		if o.Progress != nil {
			o.Progress(done)
		}
		return nil
	}
	var group sync.WaitGroup
	for range max(o.Workers, 1) {
		group.Go(func() {
			out := map[string]*tensor.Tensor{}
			for s := range work {
				if ctx.Err() != nil {
					return
				}
				if err := one(s, out); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	group.Wait()
	if err := context.Cause(ctx); err != nil {
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			return ranges, err
		}
		return nil, err
	}
	if done == 0 && len(ranges.Samples) == 0 {
		return nil, fmt.Errorf("calibrate: there are no samples; give at least one, better 100, that look like real inputs")
	}
	return ranges, nil
}

// observedValue is a value of the network whose statistics several workers add to.
type observedValue struct {
	name       string
	isInput    bool
	mu         sync.Mutex
	statistics *Statistics
}

func (o *observedValue) add(t *tensor.Tensor) error {
	if t == nil {
		return fmt.Errorf("calibrate: the executor did not return value %q", o.name)
	}
	if t.DType() != tensor.Float32 {
		return fmt.Errorf("calibrate: value %q is %s, only f32 values have ranges", o.name, t.DType())
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.statistics.Add(tensor.Values[float32](t))
	return nil
}

// runReusing runs one sample into the tensors of the one before, if the runner can do that.
func runReusing(ctx context.Context, runner graph.Runner, inputs, out map[string]*tensor.Tensor) error {
	if r, ok := runner.(graph.Reuser); ok {
		return r.RunReusing(ctx, inputs, out)
	}
	results, err := runner.Run(ctx, inputs)
	maps.Copy(out, results)
	return err
}
