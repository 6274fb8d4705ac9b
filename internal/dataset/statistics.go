package dataset

import (
	"bytes"
	"fmt"
	"math"

	"github.com/octet-nn/octet/tensor"
)

// Statistics sums up the samples that were added, to tell whether they are fit to calibrate with. Its memory does not
// grow with their number. The zero value is ready; it is not safe for concurrent use.
type Statistics struct {
	count  int
	inputs []*inputStatistics // in the order of first appearance
}

type inputStatistics struct {
	name string
	InputStatistics
	first    *tensor.Tensor
	allEqual bool
	mean     float64
	squares  float64 // sum of squared distances from mean
}

// InputStatistics is what is known of the elements of one input.
type InputStatistics struct {
	Elements  int     // in all samples together
	Min, Max  float64 // of finite elements; +Inf and -Inf if there are none
	Mean, Std float64
	NotFinite int  // NaN and infinite elements
	AllEqual  bool // every sample has the same values
}

// Range is the interval of real values that an input is declared to take.
type Range struct{ Min, Max float64 }

// Count is how many samples were added.
func (s *Statistics) Count() int { return s.count }

// Add takes one more sample in.
func (s *Statistics) Add(sample Sample, inputs []Input) error {
	for _, in := range inputs {
		t := sample.Inputs[in.Name]
		if t == nil {
			return fmt.Errorf("sample %s has no input %s", sample.ID, in.Name)
		}
		values, err := reals(t)
		if err != nil {
			return fmt.Errorf("sample %s, input %s: %w", sample.ID, in.Name, err)
		}
		s.input(in.Name).add(t, values)
	}
	s.count++
	return nil
}

// find is the statistics of an input, nil if it has none.
func (s *Statistics) find(name string) *inputStatistics {
	for _, i := range s.inputs {
		if i.name == name {
			return i
		}
	}
	return nil
}

func (s *Statistics) input(name string) *inputStatistics {
	i := s.find(name)
	if i == nil {
		i = &inputStatistics{name: name, allEqual: true, InputStatistics: InputStatistics{Min: math.Inf(1), Max: math.Inf(-1)}}
		s.inputs = append(s.inputs, i)
	}
	return i
}

func (i *inputStatistics) add(t *tensor.Tensor, values []float64) {
	if i.first == nil {
		i.first = t.Clone()
	} else if i.allEqual && (t.String() != i.first.String() || !bytes.Equal(t.Bytes(), i.first.Bytes())) {
		i.allEqual = false
	}
	n, sum := 0, 0.0
	for _, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			i.NotFinite++
			continue
		}
		n++
		sum += v
		i.Min, i.Max = min(i.Min, v), max(i.Max, v)
	}
	i.Elements += len(values)
	if n == 0 {
		return
	}
	mean, squares := sum/float64(n), 0.0
	for _, v := range values {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			squares += float64((v - mean) * (v - mean))
		}
	}
	// Two sets are joined as in Chan, Golub, LeVeque, "Algorithms for computing the sample variance", 1983.
	before := float64(i.Elements - i.NotFinite - n)
	total, delta := before+float64(n), mean-i.mean
	i.squares += squares + float64(delta*delta*before*float64(n)/total)
	i.mean += float64(delta * float64(n) / total)
}

// Input is the statistics of one input.
func (s *Statistics) Input(name string) InputStatistics {
	i := s.find(name)
	if i == nil {
		return InputStatistics{Min: math.Inf(1), Max: math.Inf(-1)}
	}
	out := i.InputStatistics
	out.Mean, out.AllEqual = i.mean, i.allEqual && s.count > 0
	if n := i.Elements - i.NotFinite; n > 0 {
		out.Std = math.Sqrt(i.squares / float64(n))
	}
	return out
}

// enoughSamples is the number of samples below which ranges found by calibration are a matter of luck.
const enoughSamples = 32

// Warnings says in sentences why the samples may be unfit to calibrate with. declared has the ranges of inputs for
// which the model or the user gives one.
func (s *Statistics) Warnings(declared map[string]Range) []string {
	var warnings []string
	warn := func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) }
	if s.count == 0 {
		return []string{"There are no samples."}
	}
	if s.count < enoughSamples {
		warn("%s is not much to calibrate with; give at least %d, better 100 or more.", plural(s.count, "sample"), enoughSamples)
	}
	for _, in := range s.inputs {
		i := s.Input(in.name)
		switch {
		case i.Elements == i.NotFinite:
			warn("Input %s has no finite numbers at all.", in.name)
			continue
		case i.NotFinite > 0:
			warn("Input %s has %d NaN or infinite numbers.", in.name, i.NotFinite)
		}
		switch {
		case i.Min == i.Max:
			warn("Input %s is the constant %.4g in every sample; are these real samples?", in.name, i.Min)
		case i.AllEqual && s.count > 1:
			warn("All %d samples have the same values for input %s; are these different files?", s.count, in.name)
		}
		if r, ok := declared[in.name]; ok {
			slack := 1e-3 * (r.Max - r.Min)
			if i.Min < r.Min-slack || i.Max > r.Max+slack {
				warn("Input %s goes from %.4g to %.4g, outside its declared range %.4g to %.4g; is the preprocessing right?",
					in.name, i.Min, i.Max, r.Min, r.Max)
			} else if i.Min < i.Max && i.Max-i.Min < 0.01*(r.Max-r.Min) {
				warn("Input %s goes only from %.4g to %.4g, under 1%% of its declared range %.4g to %.4g; is the preprocessing right?",
					in.name, i.Min, i.Max, r.Min, r.Max)
			}
		}
	}
	return warnings
}
