package quantize

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"

	"github.com/octet-nn/octet/internal/calibrate"
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// candidates are the ways to reduce statistics among which Tune chooses.
var candidates = []calibrate.Reduction{
	{Method: calibrate.Percentile, Percentile: calibrate.DefaultPercentile},
	{Method: calibrate.Percentile, Percentile: 99.999},
	{Method: calibrate.MSE},
	{Method: calibrate.Average},
	{Method: calibrate.MinMax},
	{Method: calibrate.Percentile, Percentile: 99.9},
}

const (
	// tuningBudget bounds the work of trying ranges value by value, in multiply-accumulates, so that large networks
	// take seconds too. It is work and not time, so that the result does not depend on the machine.
	tuningBudget = 1_500_000_000_000
	// leastGain is the share of the noise that another range of one value has to take away. Less may be chance.
	leastGain = 0.002
)

// Tuning is what Tune needs beside the network.
type Tuning struct {
	Executor graph.Executor // runs float and quantized graphs
	Workers  int            // networks run at the same time; 0 means 1. The result does not depend on it
	Samples  []map[string]*tensor.Tensor
	Progress func(done, total int) // of the trials
}

// Interval is the range of reals that the codes of a value cover.
type Interval struct{ Low, High float32 }

// Tuned is what Tune found.
type Tuned struct {
	Reduction calibrate.Reduction // the best one for all values
	Intervals map[string]Interval // ranges to use, by the values' names in the source file
	Changed   int                 // values with another range than by Reduction
}

// Tune finds ranges with which the quantized network comes closest to the float one on a few samples: first the
// reduction that is best for all values, then, value by value from the noisiest on, ranges by which another reduction
// does better. No rule for ranges is best for every network or value, and the outputs are what matters. Closeness is
// the ratio of noise to signal of each float output, summed over outputs.
func Tune(ctx context.Context, g *graph.Graph, ranges *calibrate.Ranges, o Options, t Tuning) (*Tuned, error) {
	o.QuantizeIO = false // the samples and the outputs to compare are floats
	o.made = &weightCodes{}
	s := &tuner{Tuning: t, g: g, ranges: ranges, options: o, intervals: make([]map[string]Interval, len(candidates))}
	if err := s.runFloat(ctx); err != nil {
		return nil, err
	}
	s.reduce()
	groups, err := s.groups()
	if err != nil {
		return nil, err
	}
	s.total = len(candidates)
	noise, err := s.try(ctx, s.intervals)
	if err != nil {
		return nil, err
	}
	best := 0
	for i, n := range noise {
		if n < noise[best] {
			best = i
		}
	}
	found := &Tuned{Reduction: candidates[best], Intervals: maps.Clone(s.intervals[best])}
	least := noise[best]
	if math.IsInf(least, 1) || least == 0 {
		return found, nil // there is nothing to compare, or nothing to gain
	}
	trials, err := s.trials(groups, best)
	if err != nil {
		return nil, err
	}
	for _, group := range trials {
		tables := make([]map[string]Interval, len(group.others))
		for i, other := range group.others {
			tables[i] = maps.Clone(found.Intervals)
			for _, name := range group.names {
				tables[i][name] = s.intervals[other][name]
			}
		}
		noise, err := s.try(ctx, tables)
		if err != nil {
			return nil, err
		}
		best := -1
		for i, n := range noise {
			if n < least*(1-leastGain) && (best < 0 || n < noise[best]) {
				best = i
			}
		}
		if best >= 0 {
			found.Intervals, least = tables[best], noise[best]
			found.Changed += len(group.names)
		}
	}
	return found, nil
}

// tuner is one call of Tune.
type tuner struct {
	Tuning
	g         *graph.Graph
	ranges    *calibrate.Ranges
	options   Options
	want      []map[string]*tensor.Tensor // the float outputs for each sample
	intervals []map[string]Interval       // for each candidate

	mu          sync.Mutex
	done, total int
}

func (s *tuner) runFloat(ctx context.Context) error {
	runner, err := s.Executor.Prepare(s.g, nil)
	if err != nil {
		return err
	}
	defer graph.CloseRunner(runner)
	s.want = make([]map[string]*tensor.Tensor, len(s.Samples))
	return parallel(s.Workers, len(s.Samples), func(i int) error {
		out, err := runner.Run(ctx, s.Samples[i])
		s.want[i] = out
		return err
	})
}

// reduce makes the ranges of all values by each candidate.
func (s *tuner) reduce() {
	names := s.ranges.Names()
	for i := range candidates {
		s.intervals[i] = make(map[string]Interval, len(names))
	}
	found := make([][]Interval, len(names))
	parallel(s.Workers, len(names), func(n int) error {
		for _, c := range candidates {
			low, high := c.Range(s.ranges.Values[names[n]])
			found[n] = append(found[n], Interval{low, high})
		}
		return nil
	})
	for n, name := range names {
		for i, interval := range found[n] {
			s.intervals[i][name] = interval
		}
	}
}

// group is a set of values that share a range, by their names in the source file.
type group struct {
	names  []string
	others []int // candidates that would give it a range of its own
	noise  float64
}

// groups are the values whose ranges calibration decides, in the order of the graph.
func (s *tuner) groups() ([]*group, error) {
	p, err := newPlacement(s.g, &s.options)
	if err != nil {
		return nil, err
	}
	shared := p.sharing()
	byRoot := map[*graph.Value]*group{}
	var all []*group
	for _, v := range p.quantized() {
		if _, fixed := p.fixedRule(v); fixed || v.Const != nil || s.ranges.Values[v.Source()] == nil {
			continue
		}
		root := shared.find(v)
		if byRoot[root] == nil {
			byRoot[root] = &group{}
			all = append(all, byRoot[root])
		}
		byRoot[root].names = append(byRoot[root].names, v.Source())
	}
	return all, nil
}

// trials are the groups worth another range than by the candidate that is best for all, the noisiest first, as many
// as the budget allows.
func (s *tuner) trials(groups []*group, best int) ([]*group, error) {
	cost, known := s.cost()
	if !known {
		return nil, nil
	}
	left := int64(math.MaxInt)
	if cost > 0 {
		left = tuningBudget / (cost * int64(len(s.Samples)))
	}
	for _, g := range groups {
		seen := []int{best}
		for i := range candidates {
			if !slices.ContainsFunc(seen, func(j int) bool { return s.alike(g, i, j) }) {
				seen = append(seen, i)
			}
		}
		g.others = seen[1:]
		for _, name := range g.names {
			r := s.intervals[best][name]
			g.noise = max(g.noise, s.ranges.Values[name].Noise(r.Low, r.High))
		}
	}
	slices.SortStableFunc(groups, func(a, b *group) int { return cmp.Compare(b.noise, a.noise) })
	var chosen []*group
	for _, g := range groups {
		if n := int64(len(g.others)); n > 0 && n <= left {
			left -= n
			s.total += len(g.others)
			chosen = append(chosen, g)
		}
	}
	return chosen, nil
}

// alike reports whether two candidates give a group the same range, but for less than a step.
func (s *tuner) alike(g *group, a, b int) bool {
	return !slices.ContainsFunc(g.names, func(name string) bool {
		x, y := s.intervals[a][name], s.intervals[b][name]
		step := max(x.High-x.Low, y.High-y.Low) / 256
		return abs(x.Low-y.Low) > step || abs(x.High-y.High) > step
	})
}

// cost is the multiply-accumulates of the first sample.
func (s *tuner) cost() (total int64, known bool) {
	g := s.g.Clone()
	for _, v := range g.Inputs {
		if t := s.Samples[0][v.Name]; t != nil {
			v.Type.Shape = graph.FixedShape(t.Shape()...)
		}
	}
	if _, err := op.Infer(g); err != nil {
		return 0, false
	}
	for _, n := range g.Nodes {
		cost, known := macs(n)
		if !known {
			return 0, false
		}
		total += cost
	}
	return total, true
}

// try returns the noise of the network quantized with each table of ranges; +Inf where there is nothing to compare.
func (s *tuner) try(ctx context.Context, tables []map[string]Interval) ([]float64, error) {
	noise := make([]float64, len(tables))
	err := parallel(s.Workers, len(tables), func(i int) error {
		o := s.options
		o.Intervals = tables[i]
		q, _, err := Quantize(s.g, s.ranges, o)
		if err != nil {
			return err
		}
		if noise[i], err = s.noise(ctx, q); err != nil {
			return err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.done++
		if s.Progress != nil {
			s.Progress(s.done, s.total)
		}
		return nil
	})
	return noise, err
}

// SignalAndNoise are Σ want² and Σ (want − got)². Where got ends before want, because their shape depends on data, it
// counts as 0.
func SignalAndNoise(want, got []float32) (signal, noise float64) {
	for i, w := range want {
		e := float64(w)
		if i < len(got) {
			e -= float64(got[i])
		}
		signal += float64(w) * float64(w)
		noise += e * e
	}
	return signal, noise
}

// noise is Σ|q − f|² / Σ|f|² of each float output over all samples, summed over outputs.
func (s *tuner) noise(ctx context.Context, q *graph.Graph) (float64, error) {
	runner, err := s.Executor.Prepare(q, nil)
	if err != nil {
		return 0, err
	}
	defer graph.CloseRunner(runner)
	signal, noise := map[string]float64{}, map[string]float64{}
	for i, sample := range s.Samples {
		got, err := runner.Run(ctx, sample)
		if err != nil {
			return 0, err
		}
		for name, want := range s.want[i] {
			if want.DType() != tensor.Float32 || got[name] == nil || got[name].DType() != tensor.Float32 {
				continue
			}
			s, e := SignalAndNoise(tensor.Values[float32](want), tensor.Values[float32](got[name]))
			signal[name], noise[name] = signal[name]+s, noise[name]+e
		}
	}
	sum, compared := 0.0, false
	for _, v := range s.g.Outputs {
		if signal[v.Name] > 0 {
			sum += noise[v.Name] / signal[v.Name]
			compared = true
		}
	}
	if !compared || math.IsNaN(sum) {
		return math.Inf(1), nil
	}
	return sum, nil
}

// weightCodes remembers the codes of weights, so that networks that differ in ranges alone share them. It is safe for
// concurrent use.
type weightCodes struct{ made sync.Map }

type weightKey struct {
	weight *tensor.Tensor
	axis   int
}

type quantizedWeight struct {
	codes *tensor.Tensor
	quant *graph.Quant
}

// weights is the function of that name. Codes whose scales a bias enlarges are made anew: they depend on more.
func (m *weightCodes) weights(w *tensor.Tensor, axis int, scheme Scheme, bias []float32, inputScale float32) (*tensor.Tensor, *graph.Quant) {
	if m == nil {
		return weights(w, axis, scheme, bias, inputScale)
	}
	key := weightKey{w, axis}
	made, found := m.made.Load(key)
	if !found {
		codes, quant := weights(w, axis, scheme, nil, 0)
		made, _ = m.made.LoadOrStore(key, quantizedWeight{codes, quant})
	}
	q := made.(quantizedWeight)
	if scheme != Uint8 && enlarge(slices.Clone(q.quant.Scale), bias, inputScale) {
		return weights(w, axis, scheme, bias, inputScale)
	}
	return q.codes, q.quant
}

// parallel calls f for 0…n−1 on some goroutines and returns the error of the lowest index that failed.
func parallel(workers, n int, f func(i int) error) error {
	errs := make([]error, n)
	var group sync.WaitGroup
	next := make(chan int)
	for range min(max(workers, 1), n) {
		group.Go(func() {
			for i := range next {
				errs[i] = f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	group.Wait()
	for _, err := range errs {
		if err != nil {
			return fmt.Errorf("choosing ranges: %w", err)
		}
	}
	return nil
}
