package main

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSummarize(t *testing.T) {
	at := func(median, fastest, others float64) window {
		return window{times{Runs: 1, MedianMS: median, FastestMS: fastest}, others}
	}
	for _, tc := range []struct {
		name   string
		all    []window
		wanted int
		want   measurement
	}{
		{"all good", []window{at(3, 2, 0), at(1, 1, 0), at(2, 1.5, 0.05)}, 3, measurement{medianMS: 2, fastestMS: 1, windows: 3, quiet: true}},
		{"an even number", []window{at(3, 3, 0), at(1, 1, 0)}, 2, measurement{medianMS: 2, fastestMS: 1, windows: 2, quiet: true}},
		{"busy ones are left out, fast or not", []window{at(9, 9, 1), at(2, 2, 0), at(0.5, 0.1, 0.2), at(4, 1, 0)}, 4,
			measurement{medianMS: 3, fastestMS: 1, windows: 2, discarded: 2, quiet: true}},
		{"too few are good: the least disturbed", []window{at(9, 8, 1), at(2, 2, 0), at(4, 3, 0.2), at(7, 6, 0.6)}, 4,
			measurement{medianMS: 3, fastestMS: 2, windows: 2, discarded: 2}},
		{"fewer than wanted", []window{at(5, 4, 0.5)}, 8, measurement{medianMS: 5, fastestMS: 4, windows: 1}},
		{"none", nil, 8, measurement{quiet: true}},
	} {
		if got := summarize(tc.all, tc.wanted); got != tc.want {
			t.Errorf("%s: %+v, want %+v", tc.name, got, tc.want)
		}
	}
}

func TestTimesOfLinux(t *testing.T) {
	const stat = "cpu  100 1 20 4000 300 2 3 4 50 6\ncpu0 1 1 1 1 1 1 1 1 1 1\n"
	if used, ok := parseMachineTime(stat); !ok || used != 130*tick {
		t.Errorf("the machine used %v (%v), want %v", used, ok, 130*tick)
	}
	for _, bad := range []string{"", "cpu 1 2 3", "intr 1 2 3 4 5 6 7 8 9", "cpu a 1 1 1 1 1 1 1"} {
		if used, ok := parseMachineTime(bad); ok {
			t.Errorf("%q gives %v", bad, used)
		}
	}
	const process = "42 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 70 8 0 0 20 0 5 0 1\n"
	if used := parseProcessTime(process); used != 78*tick {
		t.Errorf("the process used %v, want %v", used, 78*tick)
	}
	if used := parseProcessTime("42 (x) S 1"); used != 0 {
		t.Errorf("a short line gives %v", used)
	}
}

// example has a win, a loss, a disturbed number, an absent peer and a model of TensorFlow Lite.
func example() *report {
	at := func(engine string, ms float64, quiet bool) *measurement {
		return &measurement{engine: engine, medianMS: ms, fastestMS: ms / 2, windows: 8, discarded: 1, quiet: quiet, loadMS: 10 * ms, peakBytes: int64(ms * 1e7)}
	}
	net, tiny := &model{name: "net<1>", macs: 4e8}, &model{name: "tiny", macs: 1e6, tflite: true}
	return &report{
		machine: machine{processor: "Processor & Co", count: 2, features: []string{"avx2"}, tier: "avx2", system: "linux/amd64", compiler: "go1", load: "1 2 3"},
		date:    time.Date(2030, 1, 2, 3, 4, 0, 0, time.UTC), windows: 8, window: time.Second,
		comparisons: []*comparison{
			{net, 1, pair{at("Octet", 2, true), at("Peer 1", 5, true)}, pair{at("Octet", 8, true), at("Peer 1", 6, false)}, time.Time{}},
			{net, 2, pair{at("Octet", 1, true), nil}, pair{at("Octet", 4, true), nil}, time.Time{}},
			{tiny, 1, pair{at("Octet", 0.05, true), at("Lite 2", 0.04, true)}, pair{}, time.Time{}},
		},
		notes: []string{"other: absent"},
	}
}

func TestMarkdown(t *testing.T) {
	text := example().markdown()
	for _, want := range []string{
		"2030-01-02 03:04 UTC. 2 × Processor & Co, linux/amd64; tier `avx2` of avx2.",
		"go1; Peer 1, Lite 2.",
		"1 of 8 numbers",
		"| net<1> | 1 | 2.00 | 5.00 | **2.50×** | **2.50×** | 8.00 | ~6.00 | 0.75× | 0.75× | **4.00×** | 200, 50 | 32 (4) |",
		"| net<1> | 2 | 1.00 | – | – | – | 4.00 | – | – | – | **4.00×** | 400, 100 | 16 (2) |",
		"| tiny | 1 | 0.0500 | 0.0400 | 0.80× | 0.0250 | 0.0200 | 0.80× | 20 | 16 (2) |",
		"| net<1> | 10 | 50 | 40 | 60 | 20 | 50 | 80 | 60 |",
		"* other: absent",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the report lacks %q", want)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
	columns := 0
	for line := range strings.Lines(text) {
		n := strings.Count(line, "|")
		if n > 0 && columns > 0 && n != columns {
			t.Errorf("%d bars, %d in the line before: %s", n, columns, line)
		}
		columns = n
	}
}

func TestDrawingIsXML(t *testing.T) {
	text := example().svg()
	decoder := xml.NewDecoder(strings.NewReader(text))
	rectangles := 0
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == "rect" {
			rectangles++
		}
	}
	if rectangles != 1+3 {
		t.Errorf("%d rectangles, want the ground and 3 bars", rectangles)
	}
}

func TestResultsReplaceOnlyResults(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "README.md")
	r := example()
	if err := r.save(dir); err != nil {
		t.Fatal(err)
	}
	first, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := "by hand\n\n" + string(first) + "\nthe end\n"
	if err := os.WriteFile(path, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	r.notes = []string{"all is new"}
	if err := r.save(dir); err != nil {
		t.Fatal(err)
	}
	second, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Replace(page, "other: absent", "all is new", 1); string(second) != want {
		t.Errorf("page is %s\nwant %s", second, want)
	}
	if _, err := insert("no marks", "results"); err == nil {
		t.Error("results went into a page without marks")
	}
}

func TestCommandLineMistakes(t *testing.T) {
	for _, args := range [][]string{
		{"--threads", "0"}, {"--threads", "1,x"}, {"--only", "["}, {"--only", "no_such_model"}, {"--windows", "0"}, {"model.onnx"},
		{"--out", filepath.Join(t.TempDir(), "absent")}, {"--serve", filepath.Join(t.TempDir(), "absent.onnx")},
	} {
		if err := run(t.Context(), args, strings.NewReader(""), io.Discard, io.Discard); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
}

// Results that are there stay when the program is interrupted.
func TestInterruptedRunWritesNothing(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := run(ctx, []string{"--out", dir, "--only", "resnet18"}, strings.NewReader(""), io.Discard, &bytes.Buffer{})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
	if files, _ := os.ReadDir(dir); len(files) > 0 {
		t.Errorf("%v was written", files)
	}
}

// What is measured in parts gives the tables of what is measured at once.
func TestResultsAreJoined(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results.json")
	part := func(name string, threads int, ms float64) *report {
		r := example()
		r.notes = nil
		r.date = r.date.Add(time.Hour * time.Duration(threads))
		m := &measurement{engine: "Octet", medianMS: ms, fastestMS: ms, windows: 8, quiet: true, loadMS: 5, peakBytes: 1e7}
		for _, listed := range models() {
			if listed.name == name {
				listed.macs = 1e6
				r.comparisons = []*comparison{{listed, threads, pair{m, nil}, pair{m, m}, r.date}}
			}
		}
		return r
	}
	first, second, again := part("resnet50", 2, 4), part("mobilenet_v2", 1, 8), part("resnet50", 2, 3)
	for _, r := range []*report{first, second, again} {
		if err := r.merge(path); err != nil {
			t.Fatal(err)
		}
	}
	var lines []string
	for _, c := range again.comparisons {
		lines = append(lines, c.String())
	}
	want := []string{"mobilenet_v2, threads 1: int8 8.000 ms f32 8.000 ms (1.00×)", "resnet50, threads 2: int8 3.000 ms f32 3.000 ms (1.00×)"}
	if !slices.Equal(lines, want) || !again.date.Equal(second.date) {
		t.Errorf("%q of %v, want %q of %v", lines, again.date, want, second.date)
	}
	other := part("resnet50", 2, 1)
	other.machine.processor = "another"
	if err := other.merge(path); err == nil {
		t.Error("results of two machines were joined")
	}
}
