package main

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// window is what one engine did in its turn.
type window struct {
	times
	// others is how much processor time everything else on the machine used, as a share of one processor; 0 where that
	// is not known.
	others float64
}

const (
	// busy is the share of one processor above which others spoil a window.
	busy = 0.05
	// settle lets threads that spin while they wait for work go to sleep before the next engine has its turn.
	settle = 20 * time.Millisecond
	// patience bounds how many windows are tried for each good one that is wanted.
	patience = 2
)

// measurement sums up the windows of one engine.
type measurement struct {
	engine    string
	medianMS  float64 // median of the windows' medians
	fastestMS float64 // the fastest run of all windows that count
	windows   int     // that count
	discarded int     // because the machine was busy
	quiet     bool    // enough windows were good; else the least disturbed ones count
	loadMS    float64
	peakBytes int64
}

// summarize keeps the good windows. If there are fewer than half of what was wanted, it takes the least disturbed ones
// instead and says that the machine was not quiet.
func summarize(all []window, wanted int) measurement {
	slices.SortStableFunc(all, func(a, b window) int { return cmp.Compare(a.others, b.others) })
	good := 0
	for good < len(all) && all[good].others <= busy {
		good++
	}
	least := min((wanted+1)/2, len(all))
	m := measurement{quiet: good >= least, windows: max(good, least)}
	m.discarded = len(all) - m.windows
	medians := make([]float64, m.windows)
	for i, w := range all[:m.windows] {
		medians[i] = w.MedianMS
		if i == 0 || w.FastestMS < m.fastestMS {
			m.fastestMS = w.FastestMS
		}
	}
	slices.Sort(medians)
	if n := len(medians); n > 0 {
		m.medianMS = (medians[(n-1)/2] + medians[n/2]) / 2
	}
	return m
}

// measure gives the engines windows in turns until each has enough good ones, or patience ends.
func measure(ctx context.Context, engines []engine, s settings) ([]measurement, error) {
	all := make([][]window, len(engines))
	good := make([]int, len(engines))
	for round := 0; round < patience*s.windows && slices.Min(good) < s.windows; round++ {
		for i, e := range engines {
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(settle):
			}
			w, err := oneWindow(ctx, e, s.window)
			if err != nil {
				return nil, err
			}
			if w.others <= busy {
				good[i]++
			}
			all[i] = append(all[i], w)
		}
	}
	results := make([]measurement, len(engines))
	for i, e := range engines {
		results[i] = summarize(all[i], s.windows)
		results[i].engine, results[i].loadMS, results[i].peakBytes = e.describe().Engine, e.describe().LoadMS, e.peakBytes()
	}
	return results, nil
}

func oneWindow(ctx context.Context, e engine, length time.Duration) (window, error) {
	ourselves := os.Getpid()
	begin, own := time.Now(), processTime(ourselves)
	before, known := machineTime()
	t, used, err := e.run(ctx, length)
	if err != nil {
		return window{}, err
	}
	after, _ := machineTime()
	w := window{times: t}
	if known {
		others := after - before - used - (processTime(ourselves) - own)
		w.others = max(0, float64(others)/float64(time.Since(begin)))
	}
	return w, nil
}

// pair is one model in one number format on both sides.
type pair struct{ ours, peer *measurement }

// ratio is how many times faster we are than the peer; ok is false if one of them was not measured.
func (p pair) ratio() (r float64, ok bool) {
	if p.ours == nil || p.peer == nil || p.ours.medianMS == 0 || p.peer.medianMS == 0 {
		return 0, false
	}
	return p.peer.medianMS / p.ours.medianMS, true
}

// fastestRatio is ratio, of the fastest runs.
func (p pair) fastestRatio() (r float64, ok bool) {
	if p.ours == nil || p.peer == nil || p.ours.fastestMS == 0 || p.peer.fastestMS == 0 {
		return 0, false
	}
	return p.peer.fastestMS / p.ours.fastestMS, true
}

// comparison is one model with one number of threads.
type comparison struct {
	model   *model
	threads int
	int8    pair
	float   pair // empty for int8 files of TensorFlow Lite
	date    time.Time
}

//go:embed ort.js
var ortScript []byte

// measureAll measures what the settings ask for. What cannot be measured is told and noted in the report.
func measureAll(ctx context.Context, s settings, work string, stderr io.Writer) (*report, error) {
	list, err := selected(s.only)
	if err != nil {
		return nil, err
	}
	here, err := thisMachine()
	if err != nil {
		return nil, err
	}
	r := &report{machine: here, date: time.Now(), windows: s.windows, window: s.window}
	note := func(format string, args ...any) {
		text := fmt.Sprintf(format, args...)
		fmt.Fprintln(stderr, "SKIP:", text)
		r.notes = append(r.notes, text)
	}
	if s.ort == "" {
		note("ONNX Runtime: set OCTET_ORT to a folder with node_modules/onnxruntime-node")
	}
	if s.tflite == "" {
		note("TensorFlow Lite: set OCTET_TFLITE to a folder with tflite and libtensorflowlite_c.so")
	}
	script := filepath.Join(work, "ort.js")
	if err := os.WriteFile(script, ortScript, 0o600); err != nil {
		return nil, err
	}
	shared := sharedFolder(s.shared)
	for _, m := range list {
		fmt.Fprintf(stderr, "%s: preparing\n", m.name)
		if err := m.prepare(ctx, shared, work); err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			note("%s: %v", m.name, err)
			continue
		}
		for _, threads := range s.threads {
			c, err := compareOn(ctx, m, threads, s, script, note)
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if err != nil {
				note("%s on %d threads: %v", m.name, threads, err)
				continue
			}
			fmt.Fprintln(stderr, c)
			r.comparisons = append(r.comparisons, c)
		}
	}
	return r, nil
}

// compareOn starts the engines for a model and measures them. A peer that does not run the model is noted.
func compareOn(ctx context.Context, m *model, threads int, s settings, script string, note func(string, ...any)) (*comparison, error) {
	c := &comparison{model: m, threads: threads, date: time.Now()}
	var engines []engine
	var slots []**measurement
	defer func() {
		for _, e := range engines {
			e.close()
		}
	}()
	add := func(slot **measurement, e engine) {
		engines, slots = append(engines, e), append(slots, slot)
	}
	for _, f := range []struct {
		path string
		pair *pair
	}{{m.int8, &c.int8}, {m.float, &c.float}} {
		if f.path == "" {
			continue
		}
		ours, err := startOctet(ctx, f.path, threads)
		if err != nil {
			return nil, err
		}
		add(&f.pair.ours, ours)
		var peer engine
		switch {
		case m.tflite && s.tflite != "":
			peer, err = startTFLite(ctx, s.tflite, f.path, threads)
		case !m.tflite && s.ort != "":
			peer, err = startORT(ctx, s.ort, script, f.path, threads)
		default:
			continue
		}
		if err != nil {
			note("%s: %v", filepath.Base(f.path), err)
			continue
		}
		add(&f.pair.peer, peer)
	}
	results, err := measure(ctx, engines, s)
	if err != nil {
		return nil, err
	}
	for i := range results {
		*slots[i] = &results[i]
	}
	return c, nil
}

// String is the line that tells how far the program has come.
func (c *comparison) String() string {
	text := fmt.Sprintf("%s, threads %d:", c.model.name, c.threads)
	for _, f := range []struct {
		name string
		pair
	}{{"int8", c.int8}, {"f32", c.float}} {
		if f.ours != nil {
			text += fmt.Sprintf(" %s %.3f ms", f.name, f.ours.medianMS)
		}
		if ratio, ok := f.ratio(); ok {
			text += fmt.Sprintf(" (%.2f×)", ratio)
		}
	}
	return text
}
