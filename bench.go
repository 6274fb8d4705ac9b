package octet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/octet-nn/octet/internal/runtime"
	"github.com/octet-nn/octet/tensor"
)

// BenchOptions say how speed is measured; the zero value is the default.
type BenchOptions struct {
	Threads int // goroutines of one run; 0 means one per processor
	// Duration is for how long each model is measured; 0 means 2 s.
	Duration time.Duration
	// Runs is how many runs are made at least; 0 means 10.
	Runs int
	// Operators measures every operator too, in runs of its own.
	Operators bool
	// Inputs are the tensors to run on, by name; missing ones are random, with unknown dimensions 1.
	Inputs map[string]*tensor.Tensor
	// Progress, if given, is told how many of the turns to measure in are over.
	Progress Progress
}

// OperatorTime is one step of a model.
type OperatorTime struct {
	Node   string  `json:"node"`    // name in the model file
	Op     string  `json:"op"`      // type of the operator: Conv
	Kernel string  `json:"kernel"`  // what computed it: conv_int8
	MACs   int64   `json:"macs"`    // multiply-accumulates of one run
	MeanMS float64 `json:"mean_ms"` // time of one run in milliseconds, mean of several
}

// BenchResult is how fast a model ran on this machine. Windows of time in which the process did not get its
// processors are left out.
type BenchResult struct {
	Path      string // of the model file; "" for a model made in memory
	Threads   int    // goroutines of one run
	Runs      int    // runs that counted
	Discarded int    // runs left out because the machine was busy
	// Median, P95, P99 and Minimum are of the time of one run: half of the runs took at most Median, 95 % at most P95, 99 % at
	// most P99.
	Median, P95, P99, Minimum time.Duration
	MACs                      int64 // multiply-accumulates of one run
	// PeakBytes is the largest resident size of the process so far, as the operating system reports it; 0 where it
	// does not.
	PeakBytes int64
	// Operators are the steps in the order of execution, if BenchOptions.Operators asked for them.
	Operators []OperatorTime
}

// GMACs is the speed in 10⁹ multiply-accumulates a second, at the median.
func (r *BenchResult) GMACs() float64 {
	if r.Median == 0 {
		return 0
	}
	return float64(r.MACs) / r.Median.Seconds() / 1e9
}

// window is how long one model runs before the next has its turn: long enough to be warm, short enough that all
// models see the same machine.
const window = 100 * time.Millisecond

// Bench measures the models in turns, so that a slow moment of the machine meets all of them.
func Bench(ctx context.Context, models []*Model, o BenchOptions) ([]BenchResult, error) {
	duration, least := o.Duration, o.Runs
	if duration == 0 {
		duration = 2 * time.Second
	}
	if least == 0 {
		least = 10
	}
	benches := make([]*bench, len(models))
	for i, m := range models {
		b, err := newBench(ctx, m, o)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.describe(), err)
		}
		defer b.session.Close()
		benches[i] = b
	}
	rounds := max(1, int(duration/window))
	for round := 0; ; round++ {
		enough := round >= rounds
		for _, b := range benches {
			enough = enough && (len(b.times) >= least || round >= 10*rounds)
		}
		if enough {
			break
		}
		for _, b := range benches {
			if err := b.window(ctx); err != nil {
				return nil, err
			}
		}
		if o.Progress != nil {
			o.Progress(min(round+1, rounds), rounds)
		}
	}
	results := make([]BenchResult, len(models))
	for i, b := range benches {
		r, err := b.result(ctx, o.Operators)
		if err != nil {
			return nil, err
		}
		results[i] = r
	}
	return results, nil
}

type bench struct {
	model     *Model
	session   *Session
	in, out   []*tensor.Tensor
	threads   int
	times     []time.Duration
	recent    []time.Duration // memory for those of a window: garbage would be collected while runs are timed
	busy      []time.Duration // runs in windows when the machine was busy
	discarded int
}

func newBench(ctx context.Context, m *Model, o BenchOptions) (*bench, error) {
	s, err := m.Compile(CompileOptions{Threads: o.Threads})
	if err != nil {
		return nil, err
	}
	b := &bench{model: m, session: s, out: make([]*tensor.Tensor, len(s.Outputs())), threads: s.compiled.Threads()}
	for _, v := range s.Inputs() {
		t := o.Inputs[v.Name]
		if t == nil {
			if t, err = randomInput(v); err != nil {
				s.Close()
				return nil, err
			}
		}
		b.in = append(b.in, t)
	}
	for range 3 { // the first run plans and allocates, the next ones warm caches
		if err := s.RunInto(ctx, b.in, b.out, nil); err != nil {
			s.Close()
			return nil, err
		}
	}
	return b, nil
}

// maxRandomInput is the most bytes of an input that is made up, the bound of a run's memory.
const maxRandomInput = 8 << 30

// randomInput is a tensor of seeded random values; unknown dimensions are 1.
func randomInput(v ValueInfo) (*tensor.Tensor, error) {
	shape := slices.Clone(v.Shape)
	for i, n := range shape {
		if n < 0 {
			shape[i] = 1
		}
	}
	if n, ok := tensor.Count(shape); !ok || int64(n) > maxRandomInput*8/int64(max(v.DType.Bits(), 1)) {
		return nil, fmt.Errorf("input %s takes more than %d GiB; give smaller sizes, or tensors for it", v, maxRandomInput>>30)
	}
	t := tensor.New(v.DType, shape...)
	random := rand.New(rand.NewPCG(1, 1))
	if v.DType == tensor.Float32 {
		for i := range tensor.Values[float32](t) {
			tensor.Values[float32](t)[i] = random.Float32()
		}
	} else if v.DType == tensor.Int8 || v.DType == tensor.Uint8 {
		for i := range t.Bytes() {
			t.Bytes()[i] = byte(random.Uint32())
		}
	}
	return t, nil
}

// window runs the model for a while and keeps the times if the process had its processors: what it used of them is
// at least what one busy thread uses. Threads that wait for each other spin only briefly, so that more cannot be
// asked of them.
func (b *bench) window(ctx context.Context) error {
	cpu, known := processorTime()
	begin := time.Now()
	times := b.recent[:0]
	for time.Since(begin) < window || len(times) == 0 {
		start := time.Now()
		if err := b.session.RunInto(ctx, b.in, b.out, nil); err != nil {
			return err
		}
		times = append(times, time.Since(start))
	}
	elapsed := time.Since(begin)
	b.recent = times
	after, _ := processorTime()
	if known && float64(after-cpu) < 0.96*float64(elapsed) {
		b.discarded += len(times)
		b.busy = append(b.busy, times...)
		return nil
	}
	b.times = append(b.times, times...)
	return nil
}

// percentile is the time that so many per cent of the runs took at most, of sorted ones.
func percentile(times []time.Duration, percent int) time.Duration {
	return times[(len(times)*percent+99)/100-1]
}

func (b *bench) result(ctx context.Context, operators bool) (BenchResult, error) {
	times := b.times
	if len(times) == 0 { // the machine was never quiet: better a noisy number than none
		times, b.discarded = b.busy, 0
	}
	slices.Sort(times)
	r := BenchResult{
		Path: b.model.path, Threads: b.threads, Runs: len(times), Discarded: b.discarded,
		Median: times[len(times)/2], P95: percentile(times, 95), P99: percentile(times, 99), Minimum: times[0],
		PeakBytes: peakBytes(),
	}
	plan, err := b.session.plan(b.in)
	if err != nil {
		return r, err
	}
	r.MACs = plan.MACs()
	if !operators {
		return r, nil
	}
	profile := &runtime.Profile{}
	for range max(3, min(50, len(times))) {
		if err := b.session.RunInto(ctx, b.in, b.out, &RunOptions{profile: profile}); err != nil {
			return r, err
		}
	}
	for _, s := range profile.Steps {
		r.Operators = append(r.Operators, OperatorTime{
			Node: s.Name, Op: s.Op, Kernel: s.Kernel, MACs: s.MACs,
			MeanMS: s.Total.Seconds() * 1000 / float64(max(s.Runs, 1)),
		})
	}
	return r, nil
}
