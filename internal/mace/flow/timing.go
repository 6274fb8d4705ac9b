package flow

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/octet-nn/octet/internal/compile"
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/runtime"
	"github.com/octet-nn/octet/tensor"
)

// times are what MACE prints of one start of a model.
type times struct {
	init, warmup, average time.Duration
	steps                 statistics // of Benchmark
}

// time runs the model repeatedly on one set of inputs and prints how long it took.
func (t *target) time(ctx context.Context) error {
	capability, err := capability(ctx, t.Threads)
	if err != nil {
		return err
	}
	for range max(t.Restarts, 1) {
		measured, err := t.start(ctx)
		if err != nil {
			return err
		}
		line := strings.Repeat("=", 56)
		fmt.Fprintf(t.Stdout, "%s\n%20s%12s%12s%12s\n%s\n", line, "capability(CPU)", "init", "warmup", "run_avg", line)
		fmt.Fprintf(t.Stdout, "time %15.3f %11.3f %11.3f %11.3f\n", ms(capability), ms(measured.init), ms(measured.warmup), ms(measured.average))
		measured.steps.write(t.Stdout)
		if t.Report {
			if err := t.report(measured); err != nil {
				return err
			}
		}
	}
	return nil
}

func ms(d time.Duration) float64 { return d.Seconds() * 1000 }

// start loads the model, runs it once and then for some rounds.
func (t *target) start(ctx context.Context) (times, error) {
	var measured times
	begin := time.Now()
	m, err := t.load()
	if err != nil {
		return measured, err
	}
	s, err := m.Session(nil, t.Threads)
	if err != nil {
		return measured, err
	}
	defer s.Close()
	measured.init = time.Since(begin)
	done := false
	err = t.each(ctx, m, func(sample Sample, inputs map[string]*tensor.Tensor) error {
		begin := time.Now()
		values, err := s.Run(ctx, inputs)
		if err != nil {
			return err
		}
		measured.warmup = time.Since(begin)
		done = true
		if err := t.rounds(ctx, s, inputs, &measured); err != nil {
			return err
		}
		return t.write(m, sample, values)
	})
	if err == nil && !done {
		err = fmt.Errorf("%s: there was nothing to run on", m.Path)
	}
	return measured, err
}

// rounds measures the mean time of a run and, with Benchmark, the times of its steps in runs of their own.
func (t *target) rounds(ctx context.Context, s *Session, inputs map[string]*tensor.Tensor, measured *times) error {
	in, out, err := s.arranged(inputs)
	if err != nil {
		return err
	}
	count := max(t.Round, 1)
	begin := time.Now()
	for range count {
		if err := s.compiled.RunInto(ctx, in, out, nil); err != nil {
			return err
		}
	}
	measured.average = time.Since(begin) / time.Duration(count)
	if !t.Benchmark {
		return nil
	}
	for range count {
		profile := &runtime.Profile{}
		if err := s.compiled.RunInto(ctx, in, out, &runtime.RunOptions{Profile: profile}); err != nil {
			return err
		}
		measured.steps.add(profile, s.model.graph)
	}
	return nil
}

// arranged are inputs and outputs in the order of the compiled model. The model has to have been run once.
func (s *Session) arranged(inputs map[string]*tensor.Tensor) (in, out []*tensor.Tensor, err error) {
	if in, err = graph.Arrange(s.compiled.Inputs(), inputs); err != nil {
		return nil, nil, err
	}
	return in, make([]*tensor.Tensor, len(s.compiled.Outputs())), nil
}

// report appends the times to report.csv.
func (t *target) report(measured times) error {
	folder := t.ReportDir
	if folder == "" {
		folder = filepath.Dir(t.file.Folder(t.Output, t.model))
	}
	row := fmt.Sprintf("%s,host,host,host,%s,%.3f,%.3f,%.3f,0", t.model.Name, t.graph.Runtime, ms(measured.init), ms(measured.warmup), ms(measured.average))
	path := filepath.Join(folder, "report.csv")
	if err := appendCSV(path, "model_name,device_name,soc,abi,runtime,init(ms),warmup(ms),run_avg(ms),tuned", []string{row}); err != nil {
		return err
	}
	t.Say(fmt.Sprintf("%s: one more line, of %s", path, t.model.Name))
	return nil
}

// capability measures the machine, so that times of different machines can be compared: the least time of a float
// convolution of 236 million multiply-accumulates (64 channels of 80×80 to 64 by 3×3), of five runs.
func capability(ctx context.Context, threads int) (time.Duration, error) {
	value := func(name string, t *tensor.Tensor) *graph.Value {
		return &graph.Value{Name: name, Type: graph.TypeOf(t), Const: t}
	}
	x := &graph.Value{Name: "x", Type: graph.Type{DType: tensor.Float32, Shape: graph.FixedShape(1, 64, 80, 80)}}
	y := &graph.Value{Name: "y", Type: graph.Type{DType: tensor.Float32, Shape: graph.FixedShape(1, 64, 80, 80)}}
	g := &graph.Graph{Name: "capability", Inputs: []*graph.Value{x}, Outputs: []*graph.Value{y}, Nodes: []*graph.Node{{
		Name: "conv", Op: &op.Conv{Pads: []int{1, 1, 1, 1}}, Outputs: []*graph.Value{y},
		Inputs: []*graph.Value{x, value("w", tensor.New(tensor.Float32, 64, 64, 3, 3)), value("b", tensor.New(tensor.Float32, 64))},
	}}}
	s, err := compile.Compile(g, compile.Options{Threads: threads})
	if err != nil {
		return 0, err
	}
	defer s.Close()
	in, out := []*tensor.Tensor{tensor.New(tensor.Float32, 1, 64, 80, 80)}, make([]*tensor.Tensor, 1)
	var runs []time.Duration
	for range 5 {
		begin := time.Now()
		if err := s.RunInto(ctx, in, out, nil); err != nil {
			return 0, err
		}
		runs = append(runs, time.Since(begin))
	}
	return slices.Min(runs), nil
}
