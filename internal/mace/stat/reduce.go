package stat

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// Range is the range of one tensor.
type Range struct {
	Name     string
	Min, Max float64
}

// Options say how the ranges of samples become one.
type Options struct {
	// Percentile (0…50) cuts off as many per cent of the samples' minima below, and of their maxima above.
	Percentile float64
	// Enhance cuts long tails: samples are dropped, outermost first, while the range shrinks more than EnhanceRatio
	// times faster than the share of samples that is left.
	Enhance      bool
	EnhanceRatio float64 // 0 means 10
}

// Reduce is one range for each tensor, in order of first appearance, as MACE's quantize_stat.py computes it. It empties
// the log. Ranges without width are widened, with a warning, where MACE gives up.
func (l *Log) Reduce(o Options) (ranges []Range, warnings []string, err error) {
	if !(o.Percentile >= 0 && o.Percentile <= 50) {
		return nil, nil, fmt.Errorf("percentile %v: wants 0 to 50", o.Percentile)
	}
	if o.EnhanceRatio == 0 {
		o.EnhanceRatio = 10
	}
	if !(o.EnhanceRatio > 0) {
		return nil, nil, errors.New("the enhance ratio must be above 0")
	}
	for _, t := range l.tensors {
		if t.mins.n == 0 {
			warnings = append(warnings, fmt.Sprintf("%s: no sample has a finite range; it is left out", t.name))
			continue
		}
		mins, maxs := t.mins.take(), t.maxs.take()
		slices.Sort(mins)
		slices.Sort(maxs)
		low, high := percentile(mins, o.Percentile), percentile(maxs, 100-o.Percentile)
		if low >= high {
			wideLow, wideHigh := widen(low, high)
			warnings = append(warnings, fmt.Sprintf("%s: its least value %v is not below its greatest %v (a constant tensor?): taken as %v to %v", t.name, low, high, wideLow, wideHigh))
			low, high = wideLow, wideHigh
		} else if o.Enhance && len(mins) > 1 {
			low, high = enhance(mins, maxs, low, high, o.EnhanceRatio)
		}
		ranges = append(ranges, Range{t.name, low, high})
	}
	return ranges, warnings, nil
}

// widen makes a range of some width around what has none.
func widen(low, high float64) (float64, float64) {
	low, high = min(low, high), max(low, high)
	d := max(math.Abs(low)/256, math.Abs(high)/256, 1e-5)
	return low - d, high + d
}

// percentile is numpy.percentile with its default, linear interpolation, in float64: sorted is ascending.
func percentile(sorted []float32, p float64) float64 {
	at := float64(float64(len(sorted)-1) * (p / 100)) // rounded, so that it is the same on all processors
	below := min(int(math.Floor(at)), len(sorted)-1)
	above := min(below+1, len(sorted)-1)
	t := at - math.Floor(at)
	a, b := decimal(sorted[below]), decimal(sorted[above])
	if t >= 0.5 {
		return b - float64((b-a)*(1-t))
	}
	return a + float64((b-a)*t)
}

// enhance is the loop of MACE's quantize_stat.py, step for step; sorted lists are ascending.
func enhance(mins, maxs []float32, low, high, ratio float64) (float64, float64) {
	n := float64(len(mins))
	lowAt, highAt := 0.0, 0.0 // how many samples have been dropped at either end
	for i := range mins {
		least, greatest := decimal(mins[i]), decimal(maxs[len(maxs)-1-i])
		if least+0.1 > high {
			break
		}
		if shrinks(least-low, high-low, float64(i)-lowAt, n-lowAt, ratio) {
			lowAt, low = float64(i), least
		}
		if low+0.1 > greatest {
			break
		}
		if shrinks(high-greatest, high-low, float64(i)-highAt, n-highAt, ratio) {
			highAt, high = float64(i), greatest
		}
	}
	return low, high
}

// shrinks reports whether dropping samples narrows the range faster, by more than ratio, than it loses samples.
func shrinks(cut, width, dropped, left, ratio float64) bool {
	share := dropped / left
	return share > 0 && cut/width/share > ratio
}
