package calibrate

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"sort"
)

// Statistics is what is known of one value of the network: all of it (a histogram with per-sample extremes) or, where
// it was written by hand or by another tool, only a range.
type Statistics struct {
	Min, Max  float32 // the range itself where Histogram is nil, otherwise unused
	Histogram *Histogram
	samples   int64   // samples whose extremes were added
	sumMin    big.Int // exact sums of per-sample extremes, in units of 2^-149
	sumMax    big.Int
}

// Add counts the values of one sample.
func (s *Statistics) Add(values []float32) {
	if s.Histogram == nil {
		s.Histogram = &Histogram{}
	}
	s.Histogram.Add(values)
	low, high := float32(math.Inf(1)), float32(math.Inf(-1))
	for _, v := range values {
		if v-v != 0 { // NaN or infinite
			continue
		}
		low, high = min(low, v), max(high, v)
	}
	if low <= high {
		s.samples++
		s.sumMin.Add(&s.sumMin, exact(low))
		s.sumMax.Add(&s.sumMax, exact(high))
	}
}

// Merge adds what other has seen. It fails if one of the two is only a range.
func (s *Statistics) Merge(other *Statistics) error {
	if s.Histogram == nil || other.Histogram == nil {
		return fmt.Errorf("a bare range has no statistics to add up")
	}
	s.Histogram.Merge(other.Histogram)
	s.samples += other.samples
	s.sumMin.Add(&s.sumMin, &other.sumMin)
	s.sumMax.Add(&s.sumMax, &other.sumMax)
	return nil
}

// exact is a float32 as a multiple of 2^-149, so that sums do not depend on their order.
func exact(v float32) *big.Int {
	bits := math.Float32bits(v)
	mantissa, exponent := int64(bits&(1<<23-1)), uint(bits>>23&0xff)
	if exponent > 0 {
		mantissa |= 1 << 23
		exponent--
	}
	n := big.NewInt(mantissa)
	n.Lsh(n, exponent)
	if bits>>31 == 1 {
		n.Neg(n)
	}
	return n
}

// averages are the mean per-sample extremes.
func (s *Statistics) averages() (low, high float32) {
	if s.samples == 0 {
		return s.Histogram.Extremes()
	}
	mean := func(sum *big.Int) float32 {
		f := new(big.Float).SetPrec(200).SetInt(sum)
		f.Quo(f, new(big.Float).SetInt64(s.samples))
		f.SetMantExp(f, -149)
		v, _ := f.Float32()
		return v
	}
	return mean(&s.sumMin), mean(&s.sumMax)
}

// Ranges is what calibration knows of a network's values, by their names in the source file.
type Ranges struct {
	Values  map[string]*Statistics
	Samples []string // identities of the samples seen, sorted
}

// NewRanges is a set of ranges that has seen nothing.
func NewRanges() *Ranges { return &Ranges{Values: map[string]*Statistics{}} }

// Names lists the values, sorted.
func (r *Ranges) Names() []string {
	names := make([]string, 0, len(r.Values))
	for n := range r.Values {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// Saw reports whether a sample has been counted already.
func (r *Ranges) Saw(sample string) bool {
	_, found := slices.BinarySearch(r.Samples, sample)
	return found
}

// sawSample remembers a sample.
func (r *Ranges) sawSample(sample string) {
	if i, found := slices.BinarySearch(r.Samples, sample); !found {
		r.Samples = slices.Insert(r.Samples, i, sample)
	}
}

// Merge adds what other has seen, so that several machines can each do a share. It fails, changing nothing, if a
// sample was counted by both or if one side holds bare ranges for a value that both know.
func (r *Ranges) Merge(other *Ranges) error {
	var twice []string
	for _, s := range other.Samples {
		if r.Saw(s) {
			twice = append(twice, s)
		}
	}
	if len(twice) > 0 {
		return fmt.Errorf("%d samples were counted by both sides, for example %q: merge ranges of different samples", len(twice), twice[0])
	}
	for name, s := range other.Values {
		if mine := r.Values[name]; mine != nil && (mine.Histogram == nil || s.Histogram == nil) {
			return fmt.Errorf("value %q: a bare range has no statistics to add up", name)
		}
	}
	for name, s := range other.Values {
		mine := r.Values[name]
		if mine == nil {
			mine = &Statistics{Min: s.Min, Max: s.Max}
			if s.Histogram != nil {
				mine.Histogram = &Histogram{}
			}
			r.Values[name] = mine
			if s.Histogram == nil {
				continue
			}
		}
		if err := mine.Merge(s); err != nil {
			return fmt.Errorf("value %q: %w", name, err)
		}
	}
	for _, s := range other.Samples {
		r.sawSample(s)
	}
	return nil
}
