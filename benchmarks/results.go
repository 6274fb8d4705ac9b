package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/octet-nn/octet/internal/atomicfile"
)

// kept is what a file of results holds, so that a long measurement can be made in parts. Its machine is told apart by
// what the tables say of it, without the load.
type kept struct {
	Processor   string           `json:"processor"`
	Tier        string           `json:"tier"`
	Comparisons []keptComparison `json:"comparisons"`
}

// keptComparison is one model with one number of threads; what was not measured is absent.
type keptComparison struct {
	Model     string           `json:"model"`
	Threads   int              `json:"threads"`
	MACs      int64            `json:"macs"`
	Date      time.Time        `json:"date"`
	Int8Ours  *keptMeasurement `json:"int8_octet,omitempty"`
	Int8Peer  *keptMeasurement `json:"int8_peer,omitempty"`
	FloatOurs *keptMeasurement `json:"f32_octet,omitempty"`
	FloatPeer *keptMeasurement `json:"f32_peer,omitempty"`
}

// keptMeasurement has the fields of measurement.
type keptMeasurement struct {
	Engine    string  `json:"engine"`
	MedianMS  float64 `json:"median_ms"`
	FastestMS float64 `json:"fastest_ms"`
	Windows   int     `json:"windows"`
	Discarded int     `json:"discarded"`
	Quiet     bool    `json:"quiet"`
	LoadMS    float64 `json:"load_ms"`
	PeakBytes int64   `json:"peak_bytes"`
}

func keep(m *measurement) *keptMeasurement {
	if m == nil {
		return nil
	}
	return &keptMeasurement{m.engine, m.medianMS, m.fastestMS, m.windows, m.discarded, m.quiet, m.loadMS, m.peakBytes}
}

func (k *keptMeasurement) measurement() *measurement {
	if k == nil {
		return nil
	}
	return &measurement{k.Engine, k.MedianMS, k.FastestMS, k.Windows, k.Discarded, k.Quiet, k.LoadMS, k.PeakBytes}
}

// merge adds to the report what the file has of models and numbers of threads that were not measured now, in the order
// of models(), and writes all of it back. A file that is not there counts as empty.
func (r *report) merge(path string) error {
	file := kept{Processor: r.machine.processor, Tier: r.machine.tier}
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return err
	default:
		old := kept{}
		if err := json.Unmarshal(text, &old); err != nil {
			return fmt.Errorf("%s is no file of results: %w", path, err)
		}
		if old.Processor != file.Processor || old.Tier != file.Tier {
			return fmt.Errorf("%s is of %s, tier %s; this is %s, tier %s: name another file", path, old.Processor, old.Tier, file.Processor, file.Tier)
		}
		if err := r.take(old.Comparisons); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	for _, c := range r.comparisons {
		file.Comparisons = append(file.Comparisons, keptComparison{c.model.name, c.threads, c.model.macs, c.date,
			keep(c.int8.ours), keep(c.int8.peer), keep(c.float.ours), keep(c.float.peer)})
	}
	return atomicfile.Write(path, func(w io.Writer) error {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", " ")
		return encoder.Encode(file)
	})
}

// take adds comparisons from a file. The first measurement's date becomes the report's.
func (r *report) take(list []keptComparison) error {
	byName := map[string]*model{}
	var order []string
	for _, m := range models() {
		byName[m.name] = m
		order = append(order, m.name)
	}
	for _, c := range r.comparisons {
		byName[c.model.name] = c.model
	}
	for _, k := range list {
		m := byName[k.Model]
		if m == nil {
			return fmt.Errorf("there is no model %q", k.Model)
		}
		if slices.ContainsFunc(r.comparisons, func(c *comparison) bool { return c.model == m && c.threads == k.Threads }) {
			continue
		}
		m.macs = max(m.macs, k.MACs)
		r.comparisons = append(r.comparisons, &comparison{m, k.Threads, pair{k.Int8Ours.measurement(), k.Int8Peer.measurement()},
			pair{k.FloatOurs.measurement(), k.FloatPeer.measurement()}, k.Date})
		if k.Date.Before(r.date) {
			r.date = k.Date
		}
	}
	slices.SortStableFunc(r.comparisons, func(a, b *comparison) int {
		if a.model != b.model {
			return slices.Index(order, a.model.name) - slices.Index(order, b.model.name)
		}
		return a.threads - b.threads
	})
	return nil
}
