package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/octet-nn/octet"
	"github.com/octet-nn/octet/tensor"
)

// ready is what an engine's process says first.
type ready struct {
	Engine string  `json:"engine"`
	LoadMS float64 `json:"load_ms"` // from the file to the first run
}

// times is what an engine's process says of one window.
type times struct {
	Runs      int     `json:"runs"`
	MedianMS  float64 `json:"median_ms"`
	FastestMS float64 `json:"fastest_ms"`
}

// engine runs one model for a window of time when told to.
type engine interface {
	describe() ready
	// run also tells how much processor time the engine used, where that is known.
	run(ctx context.Context, window time.Duration) (t times, used time.Duration, err error)
	peakBytes() int64 // largest resident size so far; 0 if not known
	close()
}

// process is an engine that lives in a process of its own and is spoken to in lines.
type process struct {
	ready   ready
	command *exec.Cmd
	input   io.WriteCloser
	output  *bufio.Reader
	problem *bytes.Buffer
}

func startProcess(ctx context.Context, name string, env []string, args ...string) (*process, error) {
	p := &process{command: exec.CommandContext(ctx, name, args...), problem: &bytes.Buffer{}}
	p.command.Env = append(os.Environ(), env...)
	p.command.Stderr = p.problem
	var err error
	if p.input, err = p.command.StdinPipe(); err != nil {
		return nil, err
	}
	output, err := p.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.output = bufio.NewReader(output)
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	if err := p.read(&p.ready); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// startOctet runs this program again, as the engine.
func startOctet(ctx context.Context, model string, threads int) (engine, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return startProcess(ctx, self, nil, "--serve", model, "--threads", strconv.Itoa(threads))
}

// startORT runs ort.js beside this file.
func startORT(ctx context.Context, folder, script, model string, threads int) (engine, error) {
	return startProcess(ctx, "node", []string{"OCTET_ORT=" + folder}, script, model, strconv.Itoa(threads))
}

func (p *process) read(into any) error {
	line, err := p.output.ReadBytes('\n')
	if err != nil {
		p.close()
		return fmt.Errorf("%s ended: %s", filepath.Base(p.command.Path), strings.TrimSpace(p.problem.String()))
	}
	return json.Unmarshal(line, into)
}

func (p *process) describe() ready { return p.ready }

func (p *process) run(_ context.Context, window time.Duration) (t times, used time.Duration, err error) {
	before := processTime(p.command.Process.Pid)
	if _, err := fmt.Fprintf(p.input, "run %d\n", window.Milliseconds()); err != nil {
		return t, 0, err
	}
	err = p.read(&t)
	return t, processTime(p.command.Process.Pid) - before, err
}

func (p *process) peakBytes() int64 { return processPeak(p.command.Process.Pid) }

// close ends the process; it may be called again.
func (p *process) close() {
	p.input.Close()
	_ = p.command.Wait() // a process that ended badly has said so on its standard error
}

// serveModel is the process of our own engine: it runs a model through the public API.
func serveModel(ctx context.Context, path string, threads int, stdin io.Reader, stdout io.Writer) error {
	begin := time.Now()
	model, err := octet.Load(path, octet.LoadOptions{})
	if err != nil {
		return err
	}
	session, err := model.Compile(octet.CompileOptions{Threads: threads})
	if err != nil {
		return err
	}
	defer session.Close()
	load := time.Since(begin)
	in, out := randomInputs(session.Inputs(), 1), make([]*tensor.Tensor, len(session.Outputs()))
	for range 5 { // the first run plans and allocates, the next ones warm caches
		if err := session.RunInto(ctx, in, out, nil); err != nil {
			return err
		}
	}
	answers := json.NewEncoder(stdout)
	if err := answers.Encode(ready{"Octet " + octet.Version, milliseconds(load)}); err != nil {
		return err
	}
	lines := bufio.NewScanner(stdin)
	for lines.Scan() {
		var window int
		if _, err := fmt.Sscanf(lines.Text(), "run %d", &window); err != nil {
			return fmt.Errorf("%q is no request: %w", lines.Text(), err)
		}
		var all []time.Duration
		for begin := time.Now(); len(all) == 0 || time.Since(begin) < time.Duration(window)*time.Millisecond; {
			start := time.Now()
			if err := session.RunInto(ctx, in, out, nil); err != nil {
				return err
			}
			all = append(all, time.Since(start))
		}
		slices.Sort(all)
		if err := answers.Encode(times{len(all), milliseconds(all[len(all)/2]), milliseconds(all[0])}); err != nil {
			return err
		}
	}
	return lines.Err()
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// randomInputs are seeded tensors; unknown dimensions are 1.
func randomInputs(values []octet.ValueInfo, seed uint64) []*tensor.Tensor {
	random := rand.New(rand.NewPCG(seed, 1))
	inputs := make([]*tensor.Tensor, len(values))
	for i, v := range values {
		shape := slices.Clone(v.Shape)
		for axis, n := range shape {
			if n < 0 {
				shape[axis] = 1
			}
		}
		t := tensor.New(v.DType, shape...)
		switch v.DType {
		case tensor.Float32:
			for k := range tensor.Values[float32](t) {
				tensor.Values[float32](t)[k] = random.Float32()
			}
		case tensor.Int8, tensor.Uint8:
			for k := range t.Bytes() {
				t.Bytes()[k] = byte(random.Uint32())
			}
		}
		inputs[i] = t
	}
	return inputs
}

// stockTFLite is TensorFlow Lite with XNNPACK, which is started for every window: its program measures a given number
// of runs.
type stockTFLite struct {
	folder, model string
	threads       int
	ready         ready
	medianMS      float64 // of the last window
}

var tfliteAnswer = regexp.MustCompile(`(?m)^tflite (\S+) .*median_ms=(\S+) min_ms=(\S+)`)

func startTFLite(ctx context.Context, folder, model string, threads int) (engine, error) {
	e := &stockTFLite{folder: folder, model: model, threads: threads, medianMS: 1}
	_, _, err := e.run(ctx, 20*time.Millisecond)
	return e, err
}

func (e *stockTFLite) describe() ready  { return e.ready }
func (e *stockTFLite) peakBytes() int64 { return 0 }
func (e *stockTFLite) close()           {}

func (e *stockTFLite) run(ctx context.Context, window time.Duration) (t times, used time.Duration, err error) {
	t.Runs = max(1, int(milliseconds(window)/e.medianMS))
	c := exec.CommandContext(ctx, filepath.Join(e.folder, "tflite"), e.model, "-")
	c.Env = append(os.Environ(), "TFLITE_SO="+filepath.Join(e.folder, "libtensorflowlite_c.so"), "XNNPACK=1",
		fmt.Sprint("THREADS=", e.threads), fmt.Sprint("RUNS=", t.Runs))
	text, err := c.CombinedOutput()
	if err != nil {
		return t, 0, fmt.Errorf("TensorFlow Lite: %w: %s", err, bytes.TrimSpace(text))
	}
	m := tfliteAnswer.FindSubmatch(text)
	if m == nil {
		return t, 0, fmt.Errorf("TensorFlow Lite said %q, which has no times", text)
	}
	e.ready.Engine = "TensorFlow Lite " + string(m[1])
	if t.MedianMS, err = strconv.ParseFloat(string(m[2]), 64); err != nil {
		return t, 0, err
	}
	if t.FastestMS, err = strconv.ParseFloat(string(m[3]), 64); err != nil {
		return t, 0, err
	}
	e.medianMS = max(t.MedianMS, 1e-3)
	return t, c.ProcessState.UserTime() + c.ProcessState.SystemTime(), nil
}
