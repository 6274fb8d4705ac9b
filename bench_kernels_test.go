package octet

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/octet-nn/octet/internal/cpu"
)

func TestBenchKernelsMeasuresEveryTier(t *testing.T) {
	m, err := Load(filepath.Join("testdata", "kws.int8.onnx"), LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	list, err := BenchKernels(t.Context(), m, BenchOptions{Threads: 1, Runs: 1, Duration: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, tier := range cpu.Available() {
		want = append(want, tier.String())
	}
	layers := 0
	for _, l := range list {
		var tiers []string
		chosen := 0
		for _, k := range l.Times {
			tiers = append(tiers, k.Tier)
			if k.MS < 0 {
				t.Errorf("%+v took less than no time", k)
			}
			if k.Chosen {
				chosen++
			}
		}
		if !slices.Equal(tiers, want) || chosen != 1 || len(l.Nodes) == 0 {
			t.Errorf("%+v: want one chosen kernel among tiers %v", l, want)
		}
		if l.MACs > 0 {
			layers++
		}
	}
	if layers == 0 {
		t.Error("no layer was measured")
	}
}

func TestLossOfAKernel(t *testing.T) {
	for want, l := range map[float64]LayerKernels{
		1:   {Times: []KernelTime{{MS: 1, Chosen: true}, {MS: 2}}},
		2:   {Times: []KernelTime{{MS: 3}, {MS: 1}, {MS: 2, Chosen: true}}},
		1.5: {Times: []KernelTime{{MS: 3, Chosen: true}, {MS: 2}}},
	} {
		if got := l.Loss(); got != want {
			t.Errorf("%+v loses %v, want %v", l, got, want)
		}
	}
}
