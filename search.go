package octet

import (
	"context"
	"math"

	"github.com/octet-nn/octet/internal/calibrate"
	"github.com/octet-nn/octet/tensor"
)

// candidates are the reductions among which the method "auto" chooses, best guess first.
var candidates = []calibrate.Reduction{
	{Method: calibrate.Percentile, Percentile: calibrate.DefaultPercentile},
	{Method: calibrate.Percentile, Percentile: 99.999},
	{Method: calibrate.MSE},
	{Method: calibrate.Average},
}

// searchSamples is how many calibration samples decide between reductions.
const searchSamples = 32

// chooseReduction finds the reduction with which the quantized model comes closest to the float one on the first
// calibration samples: no rule for ranges is best for every network, and the outputs are what matters. Closeness is
// the noise-to-signal ratio of each float output, averaged over outputs.
func (m *Model) chooseReduction(ctx context.Context, r *Ranges, s Samples, o QuantizeOptions) (calibrate.Reduction, error) {
	float, err := m.Compile(CompileOptions{})
	if err != nil {
		return calibrate.Reduction{}, err
	}
	defer float.Close()
	type contender struct {
		session       *Session
		signal, noise map[string]float64
	}
	var contenders []contender
	for _, c := range candidates {
		o.Method, o.Percentile, o.QuantizeIO = c.Method.String(), c.Percentile, false // the samples are floats
		q, _, err := m.QuantizeRanges(ctx, r, o)
		if err != nil {
			return c, err
		}
		session, err := q.Compile(CompileOptions{})
		if err != nil {
			return c, err
		}
		defer session.Close()
		contenders = append(contenders, contender{session, map[string]float64{}, map[string]float64{}})
	}
	n := 0
	for sample, err := range s.All(ctx) {
		if err != nil {
			return calibrate.Reduction{}, err
		}
		want, err := float.Run(ctx, sample.Inputs)
		if err != nil {
			return calibrate.Reduction{}, err
		}
		for _, c := range contenders {
			got, err := c.session.Run(ctx, sample.Inputs)
			if err != nil {
				return calibrate.Reduction{}, err
			}
			for name, w := range want {
				if w.DType() == tensor.Float32 && got[name] != nil && got[name].DType() == tensor.Float32 {
					signal, noise := signalAndNoise(tensor.Values[float32](w), tensor.Values[float32](got[name]))
					c.signal[name] += signal
					c.noise[name] += noise
				}
			}
		}
		if n++; n == searchSamples {
			break
		}
	}
	best, least := 0, math.Inf(1)
	for i, c := range contenders {
		var ratio float64
		for name, signal := range c.signal {
			if signal > 0 {
				ratio += c.noise[name] / signal
			}
		}
		if ratio < least {
			best, least = i, ratio
		}
	}
	return candidates[best], nil
}

// signalAndNoise are Σ want² and Σ (want − got)².
func signalAndNoise(want, got []float32) (signal, noise float64) {
	for i, w := range want {
		d := float64(w) - float64(got[i])
		signal += float64(w) * float64(w)
		noise += d * d
	}
	return signal, noise
}
