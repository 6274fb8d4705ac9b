package dataset

import (
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/octet-nn/octet/tensor"
)

// summed is the statistics of one-dimensional samples of input x.
func summed(t testing.TB, samples ...[]float32) *Statistics {
	t.Helper()
	var s Statistics
	for _, values := range samples {
		sample := Sample{ID: "s", Inputs: map[string]*tensor.Tensor{"x": tensor.Of(values, len(values))}}
		if err := s.Add(sample, []Input{{Name: "x"}}); err != nil {
			t.Fatal(err)
		}
	}
	return &s
}

func TestStatistics(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		samples := rapid.SliceOfN(rapid.SliceOfN(rapid.Float32Range(-100, 100), 1, 10), 1, 10).Draw(t, "samples")
		var s Statistics
		for _, values := range samples {
			if err := s.Add(Sample{Inputs: map[string]*tensor.Tensor{"x": tensor.Of(values, len(values))}}, []Input{{Name: "x"}}); err != nil {
				t.Fatal(err)
			}
		}
		flat := slices.Concat(samples...)
		mean, variance := 0.0, 0.0
		for _, v := range flat {
			mean += float64(v) / float64(len(flat))
		}
		for _, v := range flat {
			variance += (float64(v) - mean) * (float64(v) - mean) / float64(len(flat))
		}
		got := s.Input("x")
		if s.Count() != len(samples) || got.Elements != len(flat) || got.NotFinite != 0 ||
			got.Min != float64(slices.Min(flat)) || got.Max != float64(slices.Max(flat)) ||
			math.Abs(got.Mean-mean) > 1e-9 || math.Abs(got.Std-math.Sqrt(variance)) > 1e-6 {
			t.Errorf("%+v, want %d elements with mean %v and deviation %v", got, len(flat), mean, math.Sqrt(variance))
		}
		for _, values := range samples {
			if got.AllEqual && !slices.Equal(values, samples[0]) {
				t.Errorf("%v are not all equal", samples)
			}
		}
	})
}

func TestWarnings(t *testing.T) {
	nan := float32(math.NaN())
	many := func(values ...[]float32) [][]float32 {
		return slices.Repeat(values, 32)
	}
	for _, tc := range []struct {
		name    string
		samples [][]float32
		want    []string // a part of each warning
	}{
		{"good", many([]float32{-1, 1}, []float32{0, 0.5}), nil},
		{"few", [][]float32{{-1, 1}, {0, 0}}, []string{"2 samples is not much"}},
		{"none", nil, []string{"no samples"}},
		{"constant", many([]float32{0.5, 0.5}), []string{"is the constant 0.5"}},
		{"equal", many([]float32{0.25, 0.5}), []string{"All 32 samples have the same values"}},
		{"outside", many([]float32{0, 255}, []float32{1, 2}), []string{"from 0 to 255, outside its declared range -1 to 1"}},
		{"tiny", many([]float32{0, 0.001}, []float32{0, 0.002}), []string{"only from 0 to 0.002, under 1%"}},
		{"NaN", many([]float32{nan, 1}, []float32{0, 0.5}), []string{"has 32 NaN"}},
		{"only NaN", many([]float32{nan}), []string{"no finite numbers"}},
	} {
		got := summed(t, tc.samples...).Warnings(map[string]Range{"x": {-1, 1}})
		if len(got) != len(tc.want) {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
			continue
		}
		for i := range got {
			if !strings.Contains(got[i], tc.want[i]) {
				t.Errorf("%s: %q, want %q", tc.name, got[i], tc.want[i])
			}
		}
	}
	var s Statistics
	wantError(t, s.Add(Sample{ID: "a.npy"}, []Input{{Name: "x"}}), "a.npy", "x")
}
