package main

import (
	"context"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"

	"github.com/octet-nn/octet"
	"github.com/octet-nn/octet/internal/dataset"
)

// storedPreprocess is the preprocessing of --preprocess or, without one, what the first model that stores one says;
// stderr is told of that.
func (f *sampleFlags) storedPreprocess(models []*octet.Model, stderr io.Writer) string {
	if f.preprocess != "" {
		return f.preprocess
	}
	for _, m := range models {
		if stored := m.Metadata()[octet.MetadataPreprocess]; stored != "" {
			fmt.Fprintf(stderr, "Preprocessing as stored in %s: %s (--preprocess changes it)\n", m.Path(), stored)
			return stored
		}
	}
	return ""
}

// readClasses reads the file of --classes; nil without one.
func (f *sampleFlags) readClasses() ([]string, error) {
	if f.classes == "" {
		return nil, nil
	}
	file, err := os.Open(f.classes)
	if err != nil {
		return nil, fmt.Errorf("--classes: %w", err)
	}
	defer file.Close()
	names, err := dataset.ReadClasses(file)
	if err != nil {
		return nil, fmt.Errorf("--classes %s: %w", f.classes, err)
	}
	return names, nil
}

// open opens the samples for a model.
func (f *sampleFlags) open(m *octet.Model, preprocess string, classes []string) (*octet.FileSamples, error) {
	for _, in := range m.Inputs() {
		if len(in.Shape) > 0 && in.Shape[0] > 1 {
			return nil, fmt.Errorf("input %s of %s takes %d samples at a time, but files of samples are run one by one: leave out --batch, or use a model with a batch of 1 or an open one",
				in.Name, m.Path(), in.Shape[0])
		}
	}
	s, err := octet.OpenSamples(f.samples, m.Inputs(), octet.SampleOptions{
		Preprocess: preprocess, Labels: f.labels, Classes: classes, Offset: f.offset, Limit: f.limit,
	})
	if err != nil {
		return nil, err
	}
	if s.Len() == 0 {
		return nil, fmt.Errorf("--samples %s: no samples are left after --offset %d", f.samples, f.offset)
	}
	return s, nil
}

// reportSkipped says how many files were left out, and why the first ones were.
func reportSkipped(s *octet.FileSamples, stderr io.Writer) {
	skipped := s.Skipped()
	if len(skipped) == 0 {
		return
	}
	fmt.Fprintf(stderr, "Warning: left out %s that cannot be read:\n", count(len(skipped), "file"))
	const shown = 5
	for _, file := range skipped[:min(shown, len(skipped))] {
		fmt.Fprintf(stderr, "  %s: %v\n", file.ID, file.Err)
	}
	if len(skipped) > shown {
		fmt.Fprintf(stderr, "  and %d more\n", len(skipped)-shown)
	}
}

// watched are samples whose statistics are gathered as they pass, to warn of what does not look like real inputs.
type watched struct {
	octet.Samples
	inputs     []dataset.Input
	statistics dataset.Statistics
	seen       map[string]bool
}

func watch(s octet.Samples, inputs []octet.ValueInfo) *watched {
	w := &watched{Samples: s, seen: map[string]bool{}}
	for _, in := range inputs {
		w.inputs = append(w.inputs, dataset.Input{Name: in.Name, DType: in.DType, Dims: slices.Clone(in.Shape)})
	}
	return w
}

// All passes the samples on. A sample counts once, however often it passes.
func (w *watched) All(ctx context.Context) iter.Seq2[octet.Sample, error] {
	return func(yield func(octet.Sample, error) bool) {
		for s, err := range w.Samples.All(ctx) {
			if err == nil && !w.seen[s.ID] {
				w.seen[s.ID] = true
				err = w.statistics.Add(dataset.Sample(s), w.inputs)
			}
			if !yield(s, err) {
				return
			}
		}
	}
}

// warnings says why the samples that passed may be unfit to calibrate with.
func (w *watched) warnings() []string { return w.statistics.Warnings(nil) }

// firstSamples are the first samples of others.
type firstSamples struct {
	octet.Samples
	n int
}

func first(s octet.Samples, n int) octet.Samples { return firstSamples{s, n} }

// Len is how many there are.
func (f firstSamples) Len() int { return min(f.n, f.Samples.Len()) }

// All goes through them.
func (f firstSamples) All(ctx context.Context) iter.Seq2[octet.Sample, error] {
	return func(yield func(octet.Sample, error) bool) {
		n := 0
		for s, err := range f.Samples.All(ctx) {
			if n++; n > f.n || !yield(s, err) {
				return
			}
		}
	}
}
