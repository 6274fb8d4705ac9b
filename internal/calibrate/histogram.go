// Package calibrate observes the values of a float network while it runs on samples and reduces what it saw to ranges.
//
// Memory is histograms, never samples, and the result depends on no batch size, thread count or order: every statistic
// is a function of the multiset of values seen, and two sets of statistics add up to those of the union.
package calibrate

import (
	"fmt"
	"math"
	"slices"
)

// A Histogram counts values in bins whose width follows their magnitude: each power of two is cut into binsPerOctave
// equal bins, for negative and positive values apart. Widening the range therefore never moves a count, so that no
// rescan and no estimate is needed when larger values arrive. Octaves more than maxOctaves below the largest one are
// counted together with zero; which values those are depends only on the largest magnitude of all, not on the order.
//
// Infinities and NaNs are counted apart and belong to no bin.
type Histogram struct {
	count    uint64 // finite values
	bad      uint64 // NaN and ±Inf
	min, max float32
	small    uint64           // zeros and values below the lowest kept octave
	top      int              // index of the highest octave seen, biased exponent; 0 before any
	pages    [2][256][]uint64 // [negative][biased exponent][bin]
}

const (
	binBits       = 10
	binsPerOctave = 1 << binBits
	maxOctaves    = 24
	mantissaShift = 23 - binBits
)

// Add counts values.
func (h *Histogram) Add(values []float32) {
	for _, v := range values {
		bits := math.Float32bits(v)
		exponent := int(bits >> 23 & 0xff)
		if exponent == 0xff {
			h.bad++
			continue
		}
		if h.count == 0 {
			h.min, h.max = v, v
		}
		h.count++
		if v < h.min {
			h.min = v
		}
		if v > h.max {
			h.max = v
		}
		if exponent > h.top {
			h.raise(exponent)
		}
		if exponent <= h.top-maxOctaves || exponent == 0 {
			h.small++
			continue
		}
		sign := bits >> 31
		page := h.pages[sign][exponent]
		if page == nil {
			page = make([]uint64, binsPerOctave)
			h.pages[sign][exponent] = page
		}
		page[bits>>mantissaShift&(binsPerOctave-1)]++
	}
}

// raise makes exponent the highest octave and moves what is now too small into the common bin.
func (h *Histogram) raise(exponent int) {
	h.top = exponent
	for e := 0; e <= exponent-maxOctaves; e++ {
		for sign := range h.pages {
			for _, n := range h.pages[sign][e] {
				h.small += n
			}
			h.pages[sign][e] = nil
		}
	}
}

// Merge adds the counts of other, which is left as it is.
func (h *Histogram) Merge(other *Histogram) {
	h.bad += other.bad
	if other.count == 0 {
		return
	}
	if h.count == 0 {
		h.min, h.max = other.min, other.max
	}
	h.count += other.count
	h.min, h.max = min(h.min, other.min), max(h.max, other.max)
	h.small += other.small
	if other.top > h.top {
		h.raise(other.top)
	}
	for sign := range other.pages {
		for e, from := range other.pages[sign] {
			if from == nil {
				continue
			}
			if e <= h.top-maxOctaves {
				for _, n := range from {
					h.small += n
				}
				continue
			}
			into := h.pages[sign][e]
			if into == nil {
				h.pages[sign][e] = slices.Clone(from)
				continue
			}
			for i, n := range from {
				into[i] += n
			}
		}
	}
}

// Count is the number of finite values seen.
func (h *Histogram) Count() uint64 { return h.count }

// Bad is the number of NaNs and infinities seen.
func (h *Histogram) Bad() uint64 { return h.bad }

// Extremes are the smallest and largest finite values; 0, 0 if there were none.
func (h *Histogram) Extremes() (lowest, highest float32) { return h.min, h.max }

// bin is a half-open interval of reals with the number of values in it.
type bin struct {
	low, high float64
	count     uint64
}

// nonzeroBins is bins without the values that are 0 or next to it.
func (h *Histogram) nonzeroBins() []bin {
	others := *h
	others.small = 0
	return others.bins()
}

// bins lists the non-empty bins from the most negative to the most positive, cut at the extremes.
func (h *Histogram) bins() []bin {
	var out []bin
	add := func(low, high float64, n uint64) {
		if n > 0 {
			out = append(out, bin{max(low, float64(h.min)), min(high, float64(h.max)), n})
		}
	}
	edge := func(exponent, i int) float64 {
		return math.Ldexp(1+float64(i)/binsPerOctave, exponent-127)
	}
	for e := len(h.pages[1]) - 1; e > 0; e-- {
		page := h.pages[1][e]
		for i := len(page) - 1; i >= 0; i-- {
			add(-edge(e, i+1), -edge(e, i), page[i])
		}
	}
	limit := 0.0
	if h.top > maxOctaves {
		limit = edge(h.top-maxOctaves+1, 0)
	}
	add(-limit, limit, h.small)
	for e := 1; e < len(h.pages[0]); e++ {
		for i, n := range h.pages[0][e] {
			add(edge(e, i), edge(e, i+1), n)
		}
	}
	return out
}

// Noise is the mean squared error of storing the values as 256 codes over [low, high], rounding and clipping, as a share
// of their mean square; 0 where nothing is known of the values.
func (s *Statistics) Noise(low, high float32) float64 {
	if s.Histogram == nil {
		return 0
	}
	step := (float64(high) - float64(low)) / 255
	var signal, noise float64
	for _, b := range s.Histogram.nonzeroBins() {
		n, x := float64(b.count), (b.low+b.high)/2
		clipped := x - min(max(x, float64(low)), float64(high))
		signal += n * float64(x*x)
		noise += n * (float64(clipped*clipped) + float64(step*step)/12)
	}
	if signal == 0 {
		return 0
	}
	return noise / signal
}

// quantile is the value below which a share p (0…1) of all values lies, interpolated within its bin.
func quantile(bins []bin, total uint64, p float64) float64 {
	target := p * float64(total)
	var below float64
	for _, b := range bins {
		n := float64(b.count)
		if below+n >= target {
			share := (target - below) / n
			return b.low + float64(share*(b.high-b.low))
		}
		below += n
	}
	if len(bins) == 0 {
		return 0
	}
	return bins[len(bins)-1].high
}

// uniform spreads the histogram over n equal bins of [low, high]; what lies outside is counted in the outermost ones.
func uniform(bins []bin, low, high float64, n int) []float64 {
	out := make([]float64, n)
	width := (high - low) / float64(n)
	if !(width > 0) {
		for _, b := range bins {
			out[0] += float64(b.count)
		}
		return out
	}
	place := func(x float64) float64 { return min(max((x-low)/width, 0), float64(n)) }
	for _, b := range bins {
		from, to := place(b.low), place(b.high)
		if to-from < 1e-9 {
			out[min(int(from), n-1)] += float64(b.count)
			continue
		}
		density := float64(b.count) / (to - from)
		for i := int(from); i < n && float64(i) < to; i++ {
			out[i] += density * (min(to, float64(i+1)) - max(from, float64(i)))
		}
	}
	return out
}

// String is a summary for messages.
func (h *Histogram) String() string {
	return fmt.Sprintf("%d values in [%g, %g]", h.count, h.min, h.max)
}
