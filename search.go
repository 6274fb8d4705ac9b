package octet

import (
	"context"
	"fmt"
	"iter"
	"runtime"

	"github.com/octet-nn/octet/internal/calibrate"
	"github.com/octet-nn/octet/internal/compile"
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/quantize"
	"github.com/octet-nn/octet/tensor"
)

const (
	// TuningSamples is how many of the samples the method "auto" uses, the first ones, beside their ranges.
	TuningSamples = 64
	// comparedSamples are those among them on which ranges are compared; fewer, where they would need more memory than
	// comparedBytes.
	comparedSamples = 16
	comparedBytes   = 64 << 20
)

// tune is the method "auto": it changes biases in g, a float graph, and the options, so that the quantized network
// comes closest to the float one. It returns what it did, for people to read.
func (m *Model) tune(ctx context.Context, g *graph.Graph, r *Ranges, s Samples, o *quantize.Options, progress Progress) (string, error) {
	compared, err := firstSamples(calibrationSamples(ctx, g, s))
	if err != nil {
		return "", err
	}
	if len(compared) == 0 {
		return describeReduction(o.Reduction), nil
	}
	tuned, err := quantize.Tune(ctx, g, r.ranges, *o, quantize.Tuning{
		Executor: compile.Executor{Threads: 1}, Workers: runtime.GOMAXPROCS(0), Samples: compared, Progress: progress,
	})
	if err != nil {
		return "", err
	}
	o.Reduction, o.Intervals = tuned.Reduction, tuned.Intervals
	done := describeReduction(o.Reduction)
	switch tuned.Changed {
	case 0:
	case 1:
		done += " (1 value otherwise)"
	default:
		done += fmt.Sprintf(" (%d values otherwise)", tuned.Changed)
	}
	plain := *o
	plain.QuantizeIO = false // the samples are floats
	q, _, err := quantize.Quantize(g, r.ranges, plain)
	if err != nil {
		return "", err
	}
	corrected, err := quantize.CorrectBias(ctx, g, q, compile.Executor{}, limit(calibrationSamples(ctx, g, s), TuningSamples))
	if err != nil {
		return "", err
	}
	if corrected > 0 {
		done += ", bias corrected"
	}
	return done, nil
}

// firstSamples are the inputs of the samples to compare networks on.
func firstSamples(samples iter.Seq2[calibrate.Sample, error]) ([]map[string]*tensor.Tensor, error) {
	var inputs []map[string]*tensor.Tensor
	bytes := 0
	for sample, err := range samples {
		if err != nil {
			return nil, err
		}
		for _, t := range sample.Inputs {
			bytes += len(t.Bytes())
		}
		inputs = append(inputs, sample.Inputs)
		if len(inputs) == comparedSamples || bytes > comparedBytes {
			break
		}
	}
	return inputs, nil
}

func limit[T any](s iter.Seq2[T, error], n int) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		left := n
		for x, err := range s {
			if left--; !yield(x, err) || left <= 0 {
				return
			}
		}
	}
}

func describeReduction(r calibrate.Reduction) string {
	if r.Method != calibrate.Percentile {
		return r.Method.String()
	}
	p := r.Percentile
	if p == 0 {
		p = calibrate.DefaultPercentile
	}
	return fmt.Sprintf("%s %g", r.Method, p)
}
