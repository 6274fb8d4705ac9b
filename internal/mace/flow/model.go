package flow

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/octet-nn/octet/internal/compile"
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/mace/convert"
	"github.com/octet-nn/octet/internal/mace/deploy"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/rewrite"
	"github.com/octet-nn/octet/internal/runtime"
	"github.com/octet-nn/octet/tensor"
)

// Model is a converted model, ready to be compiled.
type Model struct {
	Name, Path      string
	Inputs, Outputs []Port
	// Arithmetic is the row that its integer operators follow; None for a float model.
	Arithmetic numeric.Arithmetic
	// Simulates is whether a float model rounds as quantization-aware training did.
	Simulates bool
	graph     *graph.Graph
}

// Layout says in which order files have four-dimensional tensors, NHWC or NCHW; "" means as the deployment file says.
type Layout struct{ Input, Output string }

// Load reads the converted model of a graph from the output folder. arithmetic, if it is not None, takes the place of
// the row that the model was converted for. forRanges allows a float model of a graph that is to be quantized.
func Load(f *deploy.File, m *deploy.Model, g *deploy.Graph, output string, layout Layout, arithmetic numeric.Arithmetic, forRanges bool) (*Model, error) {
	path := ModelPath(f, m, g, output)
	read, err := readONNX(&source{model: path})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no converted model %s; make it first:\n  octet convert --config %s", path, f.Path)
	} else if err != nil {
		return nil, err
	}
	row := numeric.ONNX
	if name := read.Metadata[convert.MetadataArithmetic]; name != "" {
		if row, err = numeric.ParseArithmetic(name); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	if arithmetic != numeric.None {
		if row, err = rowOf(arithmetic, g); err != nil {
			return nil, err
		}
	}
	if err := typed(read, row); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if forRanges && read.Metadata[convert.MetadataScheme] == "" {
		g = asFloat(g)
	}
	model := &Model{Name: m.Name, Path: path, Inputs: Inputs(g, layout.Input), Outputs: Outputs(g, layout.Output), graph: read}
	if slices.ContainsFunc(read.Nodes, func(n *graph.Node) bool { return n.Compute == graph.Integer || n.Compute == graph.IntegerToFloat }) {
		model.Arithmetic = row
	}
	return model, model.check(f, g)
}

// rowOf is the row that stands for one of onnx and mace in a graph: MACE's kernels for its 8-bit unsigned scheme, those of
// CMSIS-NN, which MACE's engine for microcontrollers calls, for int8. The 16-bit schemes run on accelerators only.
func rowOf(wanted numeric.Arithmetic, g *deploy.Graph) (numeric.Arithmetic, error) {
	if wanted != numeric.MACE || !g.Quantize {
		return wanted, nil
	}
	switch g.Schema {
	case convert.SchemaDefault:
		return numeric.MACE, nil
	case convert.SchemaInt8:
		return numeric.Gemmlowp, nil
	}
	return numeric.None, fmt.Errorf("--arithmetic mace is the rounding of MACE's kernels for processors, and there are none for quantize_schema %s, which is for accelerators; leave the flag out", g.Schema)
}

// typed gives a quantized model, which its file spells as float operators between codes, the form in which operators
// compute on codes.
func typed(g *graph.Graph, row numeric.Arithmetic) error {
	quantized := slices.ContainsFunc(g.Nodes, func(n *graph.Node) bool {
		_, ok := n.Op.(*op.Dequantize)
		return ok
	})
	if !quantized {
		return nil
	}
	if err := rewrite.Simplify(g, rewrite.SimplifyOptions{}); err != nil {
		return err
	}
	if _, err := rewrite.Absorb(g, rewrite.AbsorbOptions{Arithmetic: row}); err != nil {
		return err
	}
	return g.Check()
}

// FloatModel is a graph's original model, with the names of the converted one: what that is compared with. If it was
// trained with quantization it rounds as then, as it does in the framework that it comes from.
func FloatModel(f *deploy.File, m *deploy.Model, g *deploy.Graph, layout Layout) (*Model, error) {
	quiet := func(string) {} // converting has said it
	s := source{simulate: true, note: quiet}
	read, err := s.read(f, m, g, quiet)
	if err != nil {
		return nil, err
	}
	found, err := f.Find(m, m.File)
	if err != nil {
		return nil, err
	}
	float := asFloat(g)
	float.LargeWeights, float.Outputs = false, outputsOf(g)
	o, err := options(f, m, float, quiet)
	if err != nil {
		return nil, err
	}
	o.QuantizeStat = true // the folds are then those of a quantized model
	o.Simulate = true
	converted, report, err := convert.Convert(read, o)
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", m.Name, err)
	}
	// Converted models are ONNX files, whose results of operators have channels first.
	if err := rewrite.Relayout(converted, op.NCHW); err != nil {
		return nil, fmt.Errorf("model %s: %w", m.Name, err)
	}
	rewrite.KeepNames(converted, op.NCHW)
	return &Model{Name: m.Name, Path: found.Path, Inputs: Inputs(g, layout.Input), Outputs: Outputs(g, layout.Output), graph: converted,
		Simulates: report.Simulated > 0}, nil
}

// check compares inputs and outputs with the deployment file, which may have been changed since the model was made.
func (m *Model) check(f *deploy.File, g *deploy.Graph) error {
	stale := func(format string, args ...any) error {
		return fmt.Errorf("%s does not fit %s: %s. Convert again:\n  octet convert --config %s", m.Path, f.Path, fmt.Sprintf(format, args...), f.Path)
	}
	switch scheme := m.graph.Metadata[convert.MetadataScheme]; {
	case g.Quantize && scheme == "":
		return stale("it is a float model, and the deployment file says quantize: 1")
	case !g.Quantize && strings.HasPrefix(scheme, "mace") && scheme != "mace weights":
		return stale("it is quantized, and the deployment file does not say quantize: 1")
	}
	if len(m.graph.Inputs) != len(m.Inputs) {
		return stale("it has %d inputs, the deployment file %d", len(m.graph.Inputs), len(m.Inputs))
	}
	for _, in := range m.Inputs {
		i := slices.IndexFunc(m.graph.Inputs, func(v *graph.Value) bool { return v.Name == in.Name })
		if i < 0 {
			return stale("it has no input %q", in.Name)
		}
		if shape, known := m.graph.Inputs[i].Type.Shape.Known(); known && !slices.Equal(shape, in.Shape) {
			return stale("its input %q has the shape %s, not %s", in.Name, dims(shape), dims(in.Shape))
		}
	}
	for _, out := range m.Outputs {
		i := slices.IndexFunc(m.graph.Outputs, func(v *graph.Value) bool { return v.Name == out.Name })
		if i < 0 {
			return stale("it has no output %q", out.Name)
		}
		if d := m.graph.Outputs[i].Type.DType; d.IsFloat() && out.Integer {
			return fmt.Errorf("%s: output_data_types says that %q is int32, but the model computes %s: write float32, or leave the key out", f.Path, out.Name, d)
		}
	}
	return nil
}

// Quantized reports whether some of the model computes on codes.
func (m *Model) Quantized() bool { return m.Arithmetic != numeric.None }

// Types are the element types of inputs, by name.
func (m *Model) Types() map[string]tensor.DType {
	types := map[string]tensor.DType{}
	for _, v := range m.graph.Inputs {
		types[v.Name] = v.Type.DType
	}
	return types
}

// Layers are the results of the model's operators in MACE's order, by name, without those that are no floats.
func (m *Model) Layers() []string { return convert.Logged(m.graph) }

// Session runs a model. It is not safe for concurrent use.
type Session struct {
	model    *Model
	keep     []string
	threads  int
	compiled *runtime.Session
	results  map[string]*tensor.Tensor // of the last run, to be written over by the next
	// bound is for which least and greatest values of inputs the model is compiled, where that matters.
	bound string
}

// Session makes the model ready to run. keep names values that every run returns beside the outputs; threads 0 means one
// for each processor. Models that are rounded as MACE does quantize every input by its own least and greatest value, as
// MACE's kernels do, and are compiled for each sample.
func (m *Model) Session(keep []string, threads int) (*Session, error) {
	s := &Session{model: m, keep: keep, threads: threads}
	if m.rebinds() {
		return s, nil
	}
	return s, s.compile(m.graph)
}

// rebinds reports whether inputs are quantized by their own range.
func (m *Model) rebinds() bool { return m.Arithmetic == numeric.MACE }

func (s *Session) compile(g *graph.Graph) error {
	compiled, err := compile.Compile(g, compile.Options{Threads: s.threads, Keep: s.keep})
	if err != nil {
		return fmt.Errorf("%s: %w", s.model.Path, err)
	}
	s.compiled, s.results = compiled, map[string]*tensor.Tensor{}
	return nil
}

// bind compiles the model for the ranges of inputs, unless it is.
func (s *Session) bind(inputs map[string]*tensor.Tensor) error {
	if !s.model.rebinds() {
		return nil
	}
	bound := ""
	for _, in := range s.model.Inputs {
		if t := inputs[in.Name]; t != nil && t.DType() == tensor.Float32 {
			low, high := extremes(tensor.Values[float32](t))
			bound += fmt.Sprintf("%x %x ", low, high)
		}
	}
	if s.compiled != nil && bound == s.bound {
		return nil
	}
	g, err := convert.Rebind(s.model.graph, inputs)
	if err != nil {
		return fmt.Errorf("%s: %w", s.model.Path, err)
	}
	if err := s.Close(); err != nil {
		return err
	}
	s.bound = bound
	return s.compile(g)
}

// Close ends the session's goroutines.
func (s *Session) Close() error {
	if s.compiled == nil {
		return nil
	}
	compiled := s.compiled
	s.compiled = nil
	return compiled.Close()
}

// Value is a result of a run: the tensor, and its values as real numbers if they are floats or stand for reals.
type Value struct {
	*tensor.Tensor
	Reals []float32 // nil for integers that stand for themselves
}

// Run computes the outputs and kept values, by name. They are valid until the next run.
func (s *Session) Run(ctx context.Context, inputs map[string]*tensor.Tensor) (map[string]Value, error) {
	if err := s.bind(inputs); err != nil {
		return nil, err
	}
	if err := s.compiled.RunReusing(ctx, inputs, s.results); err != nil {
		return nil, fmt.Errorf("%s: %w", s.model.Path, err)
	}
	return valuesOf(s.compiled.Outputs(), s.results), nil
}

func valuesOf(infos []*graph.Value, out map[string]*tensor.Tensor) map[string]Value {
	values := map[string]Value{}
	for _, v := range infos {
		t := out[v.Name]
		value := Value{Tensor: t}
		switch {
		case t.DType() == tensor.Float32:
			value.Reals = tensor.Values[float32](t)
		case v.Type.Quant != nil, t.DType().IsFloat():
			value.Reals = op.Reals(t, v.Type.Quant)
		}
		values[v.Name] = value
	}
	return values
}
