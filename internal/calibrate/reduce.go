package calibrate

import (
	"fmt"
	"math"
)

// Method is how the statistics of one value become the range that its codes will cover.
type Method uint8

const (
	// Percentile covers the middle of the values: all but 100−P per cent at each end.
	Percentile Method = iota
	// MinMax covers every value seen.
	MinMax
	// Average covers from the mean of the per-sample minima to the mean of the per-sample maxima: what a moving
	// average of extremes tends to, without depending on the order of samples.
	Average
	// Entropy chooses the range whose 8-bit version diverges least (Kullback-Leibler) from the values' distribution
	// (Migacz, "8-bit inference with TensorRT", GTC 2017).
	Entropy
	// MSE chooses the range with the least mean squared quantization error, clipping included.
	MSE

	methodCount
)

var methodNames = [methodCount]string{"percentile", "min-max", "average", "entropy", "mse"}

func (m Method) String() string {
	if m >= methodCount {
		return fmt.Sprintf("method(%d)", uint8(m))
	}
	return methodNames[m]
}

// ParseMethod is the inverse of String.
func ParseMethod(name string) (Method, error) {
	for i, n := range methodNames {
		if n == name {
			return Method(i), nil
		}
	}
	return 0, fmt.Errorf("unknown calibration method %q: one of %q", name, methodNames)
}

// Reduction is a method with its parameters; the zero value is the default, percentile 99.99 for 8 bits.
type Reduction struct {
	Method     Method
	Percentile float64 // of values, for Percentile; 0 means 99.99
	Levels     int     // number of codes the range is divided into, for Entropy and MSE; 0 means 256
}

// DefaultPercentile is the share of values, in per cent, below the upper end of a range (and above the lower end).
const DefaultPercentile = 99.99

// Range reduces statistics to a range. The result contains 0, so that zero is exactly representable; it is [0, 0] if
// no finite value was seen.
func (r Reduction) Range(s *Statistics) (lowest, highest float32) {
	low, high := s.Min, s.Max
	h := s.Histogram
	if h != nil {
		low, high = h.Extremes()
	}
	switch {
	case h == nil || h.Count() == 0:
	case r.Method == Percentile:
		p := r.Percentile
		if p == 0 {
			p = DefaultPercentile
		}
		bins := h.bins()
		low = max(low, float32(quantile(bins, h.Count(), 1-p/100)))
		high = min(high, float32(quantile(bins, h.Count(), p/100)))
	case r.Method == Average:
		low, high = s.averages()
	case r.Method == Entropy:
		low, high = search(h, r.levels(), fineEnough(h.Count(), r.levels()), divergence)
	case r.Method == MSE:
		low, high = search(h, r.levels(), fineBins, squaredError)
	}
	return min(low, 0), max(high, 0)
}

func (r Reduction) levels() int {
	if r.Levels == 0 {
		return 256
	}
	return r.Levels
}

// fineBins is the resolution at which candidate ranges are compared.
const fineBins = 2048

// fineEnough is how many bins so many values can fill without sampling noise: divergence takes noise that a code
// averages away for lost information and would clip too much. As many bins as codes make it keep the whole range.
func fineEnough(count uint64, levels int) int {
	bins := fineBins
	for bins > levels && count < uint64(bins)*64 {
		bins /= 2
	}
	return max(bins, levels)
}

// search tries ranges that shrink from the extremes towards zero, both ends in proportion and then each end alone, and
// returns the one with the least loss.
func search(h *Histogram, levels, bins int, loss func(fine []float64, first, last, levels int) float64) (lowest, highest float32) {
	low, high := h.Extremes()
	low, high = min(low, 0), max(high, 0)
	if !(high > low) {
		return low, high
	}
	// Zero is exactly representable in every range: the many zeros behind a Relu lose nothing and must not count.
	fine := uniform(h.nonzeroBins(), float64(low), float64(high), bins)
	width := (float64(high) - float64(low)) / float64(bins)
	zero := min(int(-float64(low)/width), bins-1)
	first, last := 0, bins
	best := loss(fine, first, last, levels)
	try := func(f, l int) {
		if f > zero || l <= zero || l-f < 16 {
			return
		}
		if e := loss(fine, f, l, levels); e < best {
			best, first, last = e, f, l
		}
	}
	const steps = 100
	for i := 1; i < steps; i++ {
		keep := 1 - float64(i)/steps
		try(zero-int(math.Round(float64(zero)*keep)), zero+int(math.Round(float64(bins-zero)*keep)))
	}
	centerFirst, centerLast := first, last
	for i := 1; i < steps; i++ {
		keep := 1 - float64(i)/steps
		try(zero-int(math.Round(float64(zero-centerFirst)*keep)), centerLast)
		try(centerFirst, zero+int(math.Round(float64(centerLast-zero)*keep)))
	}
	return max(low, float32(float64(low)+float64(float64(first)*width))), min(high, float32(float64(low)+float64(float64(last)*width)))
}

// squaredError is the total squared error of rounding to levels codes over fine bins [first, last) and clipping the
// rest, in units of squared fine bins.
func squaredError(fine []float64, first, last, levels int) float64 {
	step := float64(last-first) / float64(levels-1)
	rounding := step * step / 12
	var sum float64
	for i, n := range fine {
		switch {
		case n == 0:
		case i < first:
			d := float64(first - i)
			sum += n * (d*d + rounding)
		case i >= last:
			d := float64(i - last + 1)
			sum += n * (d*d + rounding)
		default:
			sum += n * rounding
		}
	}
	return sum
}

// divergence is the Kullback-Leibler divergence of the distribution clipped to fine bins [first, last) from the same
// distribution after its bins have been merged into levels codes.
func divergence(fine []float64, first, last, levels int) float64 {
	p := make([]float64, last-first)
	copy(p, fine[first:last])
	for _, n := range fine[:first] {
		p[0] += n
	}
	for _, n := range fine[last:] {
		p[len(p)-1] += n
	}
	q := make([]float64, len(p))
	for level := range min(levels, len(p)) {
		from, to := level*len(p)/levels, (level+1)*len(p)/levels
		if levels > len(p) {
			from, to = level, level+1
		}
		var sum float64
		filled := 0
		for i := from; i < to; i++ {
			sum += fine[first+i]
			if p[i] > 0 {
				filled++
			}
		}
		for i := from; i < to; i++ {
			if p[i] > 0 {
				q[i] = sum / float64(filled)
			}
		}
	}
	var totalP, totalQ float64
	for i := range p {
		totalP += p[i]
		totalQ += q[i]
	}
	if totalP == 0 || totalQ == 0 {
		return math.Inf(1)
	}
	var d float64
	const tiny = 1e-10
	for i := range p {
		if p[i] > 0 {
			a, b := p[i]/totalP, max(q[i]/totalQ, tiny)
			d += a * math.Log(a/b)
		}
	}
	return d
}
