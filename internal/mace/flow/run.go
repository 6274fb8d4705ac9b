package flow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/octet-nn/octet/internal/atomicfile"
	"github.com/octet-nn/octet/internal/mace/deploy"
	"github.com/octet-nn/octet/internal/mace/stat"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/tensor"
)

// Run says what to do with converted models. It is what MACE's runner and its wrapper take together.
type Run struct {
	Output     string // the folder of converted models
	Layout     Layout
	Arithmetic numeric.Arithmetic // instead of the row that a model was converted for; None keeps it
	Threads    int                // 0 means one for each processor

	// InputDir has samples; InputFile is the beginning of the names of one sample's files. Without either, inputs are
	// those of validation_inputs_data or, without that, random.
	InputDir, InputFile string
	// OutputDir gets the outputs of samples of InputDir, OutputFile is the beginning of the names of one sample's.
	OutputDir, OutputFile string

	QuantizeStat bool // log ranges
	Validate     bool
	// Threshold takes the place of the deployment file's thresholds for Validate; 0 keeps them.
	Threshold float64
	Layers    string // compare these layers with the float model's: a slice of Python, first:last
	Benchmark bool   // print tables of times
	Report    bool   // append to report.csv in ReportDir
	ReportDir string // "" means <Output>/<library name>
	Round     int    // runs to average over; 0 means 1
	Restarts  int    // how often everything is repeated; 0 means once

	Stdout io.Writer
	Warn   func(string)          // gets what is doubtful
	Say    func(string)          // gets what was done, for people
	Tell   func(done, total int) // gets progress through samples
}

// All runs models one after the other.
func (r Run) All(ctx context.Context, f *deploy.File, models []deploy.Model) error {
	if r.QuantizeStat && r.InputDir == "" && r.InputFile == "" {
		return errors.New("--quantize_stat needs samples to run on: --input_dir FOLDER")
	}
	if err := r.checkNames(models); err != nil {
		return err
	}
	count := 0
	for i := range models {
		count += len(models[i].Graphs)
	}
	if r.QuantizeStat && count > 1 {
		r.Warn(fmt.Sprintf("the ranges of %d models go into one log, in which tensors of the same name are one; --model_name NAME runs one model", count))
	}
	var failed []error
	for i := range models {
		m := &models[i]
		for j := range m.Graphs {
			if count > 1 {
				r.head(m, &m.Graphs[j])
			}
			if err := r.one(ctx, f, m, &m.Graphs[j]); err != nil {
				failed = append(failed, err) // the others can be run, and all be known at once
			}
			if ctx.Err() != nil {
				return errors.Join(failed...)
			}
		}
	}
	return errors.Join(failed...)
}

// head says which of several models comes next, where what is printed of it will be.
func (r Run) head(m *deploy.Model, g *deploy.Graph) {
	name := m.Name
	if len(m.Graphs) > 1 {
		name += ", subgraph " + g.Name
	}
	if r.QuantizeStat {
		r.Say(name + ":")
		return
	}
	fmt.Fprintf(r.Stdout, "%s:\n", name)
}

// checkNames finds outputs whose files would have the same name, of one model or of several.
func (r Run) checkNames(models []deploy.Model) error {
	if r.OutputDir == "" && r.OutputFile == "" {
		return nil
	}
	type origin struct{ model, graph, output string }
	seen := map[string]origin{}
	for i := range models {
		for j := range models[i].Graphs {
			g := &models[i].Graphs[j]
			for _, p := range Outputs(g, "") {
				name, this := FormatName(p.Name), origin{models[i].Name, g.Name, p.Name}
				other, taken := seen[name]
				seen[name] = this
				switch {
				case !taken:
				case other.model != this.model:
					return fmt.Errorf("the models %s and %s have outputs that would be written to files of the same name, %s; run them one after the other, "+
						"with --model_name and folders of their own", other.model, this.model, name)
				case other.graph != this.graph:
					return fmt.Errorf("the subgraphs %s and %s of the model %s have outputs that would be written to files of the same name, %s; "+
						"write a deployment file for each, or run without writing outputs", other.graph, this.graph, this.model, name)
				default:
					return fmt.Errorf("the outputs %q and %q would be written to files of the same name, %s", other.output, this.output, name)
				}
			}
		}
	}
	return nil
}

// one runs one graph.
func (r Run) one(ctx context.Context, f *deploy.File, m *deploy.Model, g *deploy.Graph) error {
	target := &target{Run: r, file: f, model: m, graph: g}
	switch {
	case r.Layers != "":
		return target.layers(ctx)
	case r.QuantizeStat:
		return target.collect(ctx)
	case r.Validate && r.InputDir != "":
		return target.validate(ctx)
	case r.InputDir != "":
		return target.samples(ctx)
	}
	if err := target.time(ctx); err != nil {
		return err
	}
	if r.Validate {
		return target.validate(ctx)
	}
	return nil
}

// target is one graph that is run.
type target struct {
	Run
	file  *deploy.File
	model *deploy.Model
	graph *deploy.Graph
}

func (t *target) load() (*Model, error) {
	return Load(t.file, t.model, t.graph, t.Output, t.Layout, t.Arithmetic, t.QuantizeStat)
}

// given are the samples to run on, nil for random inputs, and the suffixes of which name outputs.
func (t *target) given(inputs []Port) ([]Sample, error) {
	switch {
	case t.InputDir != "":
		samples, warnings, err := OpenDir(t.InputDir, inputs)
		for _, w := range warnings {
			t.Warn(w)
		}
		return samples, err
	case t.InputFile != "":
		s, err := OneSample(t.InputFile, inputs)
		return []Sample{s}, err
	case t.graph.ValidationInputs != nil:
		s, err := FilesSample(t.file, t.model, t.graph.ValidationInputs, inputs)
		return []Sample{s}, err
	}
	return nil, nil
}

// each calls do with the tensors of every sample, or with random ones if there are none. Afterwards it warns of inputs
// that input_ranges does not fit, by which quantized models read them.
func (t *target) each(ctx context.Context, m *Model, do func(s Sample, inputs map[string]*tensor.Tensor) error) error {
	samples, err := t.given(m.Inputs)
	if err != nil {
		return err
	}
	if samples == nil {
		inputs, err := Random(m.Inputs, m.Types())
		if err != nil {
			return err
		}
		return do(Sample{}, inputs)
	}
	types := m.Types()
	fit := newFit(m, t.QuantizeStat)
	warn := t.Warn // of the first sample's values; the others are arranged alike
	for i, s := range samples {
		if err := ctx.Err(); err != nil {
			return err
		}
		inputs, err := s.Read(m.Inputs, types, warn)
		if err != nil {
			return err
		}
		warn = func(string) {}
		fit.add(inputs)
		if err := do(s, inputs); err != nil {
			return fmt.Errorf("sample %s: %w", filepath.Base(s.Files[0]), err)
		}
		t.Tell(i+1, len(samples))
	}
	for _, w := range fit.warnings() {
		t.Warn(w)
	}
	return nil
}

// known are the ranges of the range file, within which histograms are counted; nil if there is none yet.
func (t *target) known() ([]stat.Range, error) {
	if t.graph.Ranges == nil {
		return nil, nil
	}
	found, err := t.file.Find(t.model, *t.graph.Ranges)
	if err != nil {
		return nil, nil // it is what these ranges will be reduced to
	}
	t.Warn(fmt.Sprintf("the lines of tensors that have a range in %s get histograms within it, as in MACE; for ranges that are independent of it, leave quantize_range_file out", found.Path))
	return readRanges(t.file, t.model, t.graph, t.Warn)
}

// collect logs ranges.
func (t *target) collect(ctx context.Context) error {
	m, err := t.load()
	if err != nil {
		return err
	}
	if m.Quantized() {
		return fmt.Errorf("%s is quantized; ranges are collected from the float model. Make it with:\n  octet convert --config %s --quantize_stat", m.Path, t.file.Path)
	}
	known, err := t.known()
	if err != nil {
		return err
	}
	c, err := m.Collect(t.Stdout, known, t.Threads)
	if err != nil {
		return err
	}
	defer c.Close()
	err = t.each(ctx, m, func(s Sample, inputs map[string]*tensor.Tensor) error {
		values, err := c.Sample(ctx, inputs)
		if err != nil {
			return err
		}
		return t.write(m, s, values)
	})
	if err != nil {
		return err
	}
	if c.Layers == 0 {
		return fmt.Errorf("%s: no operator gave floats, so no range was logged", m.Path)
	}
	t.Say(fmt.Sprintf("%s: ranges of %d tensors from %d samples", m.Name, c.Layers, c.Samples))
	return nil
}

// samples runs the model on all samples and writes outputs.
func (t *target) samples(ctx context.Context) error {
	m, err := t.load()
	if err != nil {
		return err
	}
	s, err := m.Session(nil, t.Threads)
	if err != nil {
		return err
	}
	defer s.Close()
	count := 0
	err = t.each(ctx, m, func(sample Sample, inputs map[string]*tensor.Tensor) error {
		values, err := s.Run(ctx, inputs)
		if err != nil {
			return err
		}
		count++
		return t.write(m, sample, values)
	})
	if err != nil {
		return err
	}
	where := "; --output_dir FOLDER writes what comes out"
	if t.OutputDir != "" {
		where = "; outputs are in " + t.OutputDir
	}
	t.Say(fmt.Sprintf("%s: ran on %d samples%s", m.Name, count, where))
	return nil
}

// write writes the outputs of a sample as files of raw values.
func (t *target) write(m *Model, s Sample, values map[string]Value) error {
	prefix := ""
	switch {
	case t.InputDir != "" && t.OutputDir != "":
		if err := os.MkdirAll(t.OutputDir, 0o777); err != nil {
			return fmt.Errorf("--output_dir: %w", err)
		}
		prefix = t.OutputDir + string(filepath.Separator)
	case t.InputDir == "" && t.OutputFile != "":
		prefix = t.OutputFile + "_"
		if err := os.MkdirAll(filepath.Dir(prefix), 0o777); err != nil {
			return fmt.Errorf("--output_file: %w", err)
		}
	default:
		return nil
	}
	for _, p := range m.Outputs {
		v := values[p.Name]
		path := prefix + FormatName(p.Name) + s.Suffix
		data := p.Data(v.Tensor, v.Reals)
		err := atomicfile.Write(path, func(w io.Writer) error {
			_, err := w.Write(data)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
