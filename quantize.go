package octet

import (
	"context"
	"fmt"
	"io"
	"iter"
	"os"
	"runtime"
	"strings"

	"github.com/octet-nn/octet/internal/atomicfile"
	"github.com/octet-nn/octet/internal/calibrate"
	"github.com/octet-nn/octet/internal/compile"
	"github.com/octet-nn/octet/internal/format/tflite"
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/quantize"
	"github.com/octet-nn/octet/internal/rewrite"
	"github.com/octet-nn/octet/tensor"
)

// Ranges is what calibration learned of a model's values. Ranges of different samples add up (Merge), so that many
// machines can each do a share.
type Ranges struct{ ranges *calibrate.Ranges }

// LoadRanges reads a file written by Save, or by hand.
func LoadRanges(path string) (*Ranges, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read ranges: %w", err)
	}
	defer f.Close()
	r, err := calibrate.Read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &Ranges{r}, nil
}

// Save writes the ranges, with their statistics, as JSON; the same ranges give the same bytes.
func (r *Ranges) Save(path string) error {
	return atomicfile.Write(path, func(w io.Writer) error { return r.ranges.Write(w) })
}

// Merge adds what other has seen. It fails, changing nothing, if both have seen the same sample.
func (r *Ranges) Merge(other *Ranges) error { return r.ranges.Merge(other.ranges) }

// Samples is how many samples the ranges have seen.
func (r *Ranges) Samples() int { return len(r.ranges.Samples) }

// Names lists the values whose ranges are known, by their names in the source file, sorted.
func (r *Ranges) Names() []string { return r.ranges.Names() }

// Range is the interval that the codes of a value would cover under the given method and percentile (see
// QuantizeOptions). ok is false if nothing is known of the value.
func (r *Ranges) Range(name, method string, percentile float64) (low, high float32, ok bool) {
	s := r.ranges.Values[name]
	if s == nil {
		return 0, 0, false
	}
	m, err := calibrate.ParseMethod(method)
	if err != nil {
		return 0, 0, false
	}
	low, high = calibrate.Reduction{Method: m, Percentile: percentile}.Range(s)
	return low, high, true
}

// Progress is told how far a long call has come: done of total samples.
type Progress func(done, total int)

// CalibrateOptions say how to observe; the zero value is the default.
type CalibrateOptions struct {
	// Workers is how many samples are run at the same time; 0 means one per processor. Results do not depend on it.
	Workers int
	// Resume has statistics to add to; samples that it has seen are skipped. It is changed.
	Resume *Ranges
	// Progress, if given, is told how many samples have been run.
	Progress Progress
}

// Calibrate runs the samples through the model and collects statistics of every value that quantization may need, in
// memory that does not grow with the number of samples. Every sample begins with the model's initial state, if it has one.
// If ctx ends, it returns what it has together with ctx.Err(), to be saved and resumed.
func (m *Model) Calibrate(ctx context.Context, s Samples, o CalibrateOptions) (*Ranges, error) {
	defer m.keep()
	g, err := m.floatGraph()
	if err != nil {
		return nil, err
	}
	points, err := quantize.Points(g, quantize.Options{QuantizeIO: true, Target: quantize.Target{CodeResults: true}})
	if err != nil {
		return nil, err
	}
	options := calibrate.Options{Workers: o.Workers}
	if options.Workers == 0 {
		options.Workers = runtime.GOMAXPROCS(0)
	}
	if o.Resume != nil {
		options.Resume = o.Resume.ranges
	}
	if o.Progress != nil {
		total := s.Len()
		options.Progress = func(done int) { o.Progress(done, total) }
	}
	r, err := calibrate.Run(ctx, compile.Executor{Threads: 1}, g, points, calibrationSamples(ctx, g, s), options)
	if r == nil {
		return nil, err
	}
	return &Ranges{r}, err
}

func calibrationSamples(ctx context.Context, g *graph.Graph, s Samples) iter.Seq2[calibrate.Sample, error] {
	return func(yield func(calibrate.Sample, error) bool) {
		for sample, err := range s.All(ctx) {
			if !yield(calibrate.Sample{ID: sample.ID, Inputs: withInitialState(g, sample.Inputs)}, err) {
				return
			}
		}
	}
}

// floatGraph is the simplified float form, in which values are observed and quantized.
func (m *Model) floatGraph() (*graph.Graph, error) {
	g := m.graph.Clone()
	realWeights(g)
	if (&Model{graph: g}).Quantized() {
		return nil, fmt.Errorf("%s is quantized already: start from the float model", m.describe())
	}
	if err := rewrite.Widen(g); err != nil {
		return nil, err
	}
	if err := rewrite.Simplify(g, rewrite.SimplifyOptions{}); err != nil {
		return nil, err
	}
	return g, nil
}

// realWeights makes weights that are stored as codes, beside activations that are not, the real numbers that they are.
func realWeights(g *graph.Graph) {
	index := g.Index()
	real := func(v *graph.Value) *graph.Value {
		t := tensor.Of(op.Reals(v.Const, v.Type.Quant), v.Const.Shape()...)
		return &graph.Value{Name: index.Fresh(v.Name + "_real"), Origin: v.Source(), Type: graph.TypeOf(t), Const: t}
	}
	for _, n := range g.Nodes {
		if _, ok := n.Op.(*op.Dequantize); ok && n.Inputs[0].Const != nil && n.Outputs[0].Type.DType == tensor.Float32 && !index.IsOutput(n.Outputs[0]) {
			g.ReplaceUses(n.Outputs[0], real(n.Inputs[0]))
			continue
		}
		if n.Compute != graph.DynamicActivations && n.Compute != graph.WeightOnly {
			continue
		}
		for i, v := range n.Inputs {
			if v != nil && v.Const != nil && v.Type.Quant != nil {
				n.Inputs[i] = real(v)
			}
		}
		n.Compute, n.Arithmetic = graph.Float, numeric.None
	}
	g.RemoveDead()
}

func (m *Model) describe() string {
	if m.path == "" {
		return "the model"
	}
	return m.path
}

// Quantized reports whether any node of the model computes on integer codes or reads stored codes.
func (m *Model) Quantized() bool {
	for _, n := range m.graph.Nodes {
		if n.Compute != graph.Float {
			return true
		}
		for _, v := range n.Inputs {
			if v != nil && v.Type.Quant != nil {
				return true
			}
		}
	}
	return false
}

// QuantizeOptions say how a float model becomes an 8-bit one; the zero value is the default.
type QuantizeOptions struct {
	// Scheme is "int8" (the default: asymmetric activations per tensor, symmetric int8 weights per output channel),
	// "int8-per-tensor", "uint8" (asymmetric uint8 weights per tensor), "dynamic" (activations quantized as the model
	// runs; no samples needed) or, for TensorFlow Lite, "16x8" (int16 activations).
	Scheme string
	// Format is the format that the model will be saved in: "onnx" (also "") or "tflite". It chooses the row of the
	// arithmetic table, and for TensorFlow Lite leaves in float what its kernels cannot compute on codes.
	Format string
	// Activations is the element type of 8-bit activations in memory: tensor.Uint8 or tensor.Int8. The default is
	// tensor.Uint8; for TensorFlow Lite tensor.Int8, but with Scheme "uint8" tensor.Uint8.
	Activations tensor.DType
	// Method reduces statistics to ranges: "percentile", "min-max", "average", "entropy", "mse" or "auto", which tries
	// several, for all values and then value by value, keeps what brings the quantized model closest to the float one on
	// the first samples, and takes mean errors out of the biases of the last layers. It runs up to about 100 times the
	// work of calibrating, within a bound. "" means "auto" where there are samples, else "percentile".
	Method string
	// Percentile of values below the upper end of a range; 0 means 99.99. Given, it chooses the method "percentile".
	Percentile float64
	// KeepFloat are patterns of node and value names that stay float: those of path.Match, but * and ? stand for slashes
	// too. One that matches nothing is an error.
	KeepFloat []string
	// KeepFloatOps are types of operators that stay float, such as "Softmax". One that the model does not have is an error.
	KeepFloatOps []string
	// QuantizeIO makes graph inputs and outputs integers, instead of float.
	QuantizeIO bool
	// Preprocess is stored in the model's metadata, for later runs on the same kind of files. See SampleOptions.
	Preprocess string

	// Calibrate says how the samples are run.
	Calibrate CalibrateOptions
	// Tuning is told how far the method "auto" has come after calibration: networks tried of those to try.
	Tuning Progress
}

// auto is the method that tries others.
const auto = "auto"

func (o QuantizeOptions) resolve() (quantize.Options, error) {
	q := quantize.Options{
		Activations: o.Activations, Arithmetic: numeric.ONNX,
		KeepFloat: o.KeepFloat, KeepFloatOps: o.KeepFloatOps, QuantizeIO: o.QuantizeIO,
	}
	var err error
	if o.Scheme != "" {
		if q.Scheme, err = quantize.ParseScheme(o.Scheme); err != nil {
			return q, err
		}
	}
	switch o.Format {
	case "", formatONNX:
		if q.Scheme == quantize.Int16x8 {
			return q, fmt.Errorf("scheme %s is TensorFlow Lite's: save the model as .tflite", q.Scheme)
		}
	case formatTFLite:
		if err := forTFLite(&q); err != nil {
			return q, err
		}
	default:
		return q, unknownFormat(o.Format)
	}
	if o.Method != "" && o.Method != auto {
		if q.Reduction.Method, err = calibrate.ParseMethod(o.Method); err != nil {
			return q, err
		}
	}
	if o.Percentile != 0 && !(o.Percentile > 50 && o.Percentile <= 100) {
		return q, fmt.Errorf("percentile %v is outside (50, 100]", o.Percentile)
	}
	q.Reduction.Percentile = o.Percentile
	return q, nil
}

// forTFLite chooses what TensorFlow Lite's kernels can compute.
func forTFLite(q *quantize.Options) error {
	q.Arithmetic = numeric.TFLite
	q.Target = quantize.Target{OnCodes: tflite.OnCodes, CodeResults: true, AveragesKeepScale: true, OneScaleProducts: true}
	wanted := tensor.Int8
	switch q.Scheme {
	case quantize.Uint8:
		wanted = tensor.Uint8
	case quantize.Dynamic:
		q.Target.OnCodes = tflite.OnDynamicCodes
	case quantize.Int16x8:
		wanted, q.Arithmetic, q.Target.OnCodes = tensor.Int16, numeric.TFLite16x8, tflite.OnWideCodes
	}
	if q.Activations != tensor.Invalid && q.Activations != wanted {
		return fmt.Errorf("TensorFlow Lite has no kernels for scheme %s with activations %s: leave out the activations", q.Scheme, q.Activations)
	}
	q.Activations = wanted
	return nil
}

// NodeDecision is what became of one node.
type NodeDecision struct {
	Node    string   `json:"node"`    // name in the model file
	Op      string   `json:"op"`      // type of the operator: Conv
	Outputs []string `json:"outputs"` // names of its results
	// Compute is "float", "integer", "integer-to-float", "weight-only" or "dynamic-activations".
	Compute string `json:"compute"`
	// Reason is why the node stayed float; "" if it did not.
	Reason string `json:"reason,omitempty"`
	MACs   int64  `json:"macs"` // multiply-accumulates of one run
}

// QuantizeReport is what quantization decided.
type QuantizeReport struct {
	Nodes        []NodeDecision // those that handle real numbers, in the order of execution
	IntegerShare float64        // share (0…1) of multiply-accumulates computed on integers
	Warnings     []string       // what seems wrong with the ranges
}

// Islands are the nodes that stay float, with the reasons.
func (r *QuantizeReport) Islands() []NodeDecision {
	var out []NodeDecision
	for _, n := range r.Nodes {
		if n.Reason != "" {
			out = append(out, n)
		}
	}
	return out
}

// Quantize calibrates on the samples and returns the 8-bit model.
func (m *Model) Quantize(ctx context.Context, s Samples, o QuantizeOptions) (*Model, *QuantizeReport, error) {
	defer m.keep()
	if o.Scheme == quantize.Dynamic.String() {
		return m.QuantizeRanges(ctx, &Ranges{calibrate.NewRanges()}, o)
	}
	if _, err := o.resolve(); err != nil {
		return nil, nil, err
	}
	r, err := m.Calibrate(ctx, s, o.Calibrate)
	if err != nil {
		return nil, nil, err
	}
	if o.Method == auto || o.Method == "" && o.Percentile == 0 {
		return m.quantizeRanges(ctx, r, s, o)
	}
	return m.QuantizeRanges(ctx, r, o)
}

// QuantizeRanges returns the 8-bit model for ranges measured before.
func (m *Model) QuantizeRanges(ctx context.Context, r *Ranges, o QuantizeOptions) (*Model, *QuantizeReport, error) {
	return m.quantizeRanges(ctx, r, nil, o)
}

// quantizeRanges tunes on the samples, if there are any.
func (m *Model) quantizeRanges(ctx context.Context, r *Ranges, s Samples, o QuantizeOptions) (*Model, *QuantizeReport, error) {
	defer m.keep()
	options, err := o.resolve()
	if err != nil {
		return nil, nil, err
	}
	preprocess := ""
	if o.Preprocess != "" {
		if preprocess, err = Preprocess(o.Preprocess); err != nil {
			return nil, nil, err
		}
	}
	g, err := m.floatGraph()
	if err != nil {
		return nil, nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	if err := r.fit(g, options); err != nil {
		return nil, nil, err
	}
	calibration := describeReduction(options.Reduction)
	if s != nil {
		if calibration, err = m.tune(ctx, g, r, s, &options, o.Tuning); err != nil {
			return nil, nil, err
		}
	}
	calibration += fmt.Sprintf(", %d samples", r.Samples())
	if options.Scheme == quantize.Dynamic {
		calibration = ""
	}
	typed, report, err := quantize.Quantize(g, r.ranges, options)
	if err != nil {
		return nil, nil, err
	}
	quantized := (&Model{graph: typed}).WithMetadata(map[string]string{
		MetadataVersion:     Version,
		MetadataScheme:      options.Scheme.String(),
		MetadataArithmetic:  options.Arithmetic.String(),
		MetadataPreprocess:  preprocess,
		MetadataCalibration: calibration,
	})
	public := &QuantizeReport{IntegerShare: report.IntegerShare(), Warnings: report.Warnings}
	for _, d := range report.Decisions {
		public.Nodes = append(public.Nodes, NodeDecision{
			Node: d.Node, Op: d.Type, Outputs: d.Outputs, Compute: d.Compute.String(), Reason: d.Reason, MACs: d.MACs,
		})
	}
	return quantized, public, nil
}

// Summary is the report in a few lines: how much runs on integers, and what stays float and why.
func (r *QuantizeReport) Summary() string {
	var b strings.Builder
	islands := r.Islands()
	fmt.Fprintf(&b, "%.1f %% of multiply-accumulates on integers; %d of %d operators stay float", 100*r.IntegerShare, len(islands), len(r.Nodes))
	byReason := map[string][]string{}
	var order []string
	for _, d := range islands {
		if byReason[d.Reason] == nil {
			order = append(order, d.Reason)
		}
		byReason[d.Reason] = append(byReason[d.Reason], fmt.Sprintf("%s %q", d.Op, d.Node))
	}
	for _, reason := range order {
		nodes := byReason[reason]
		const shown = 4
		fmt.Fprintf(&b, "\n  %s: %s", reason, strings.Join(nodes[:min(shown, len(nodes))], ", "))
		if len(nodes) > shown {
			fmt.Fprintf(&b, " and %d more", len(nodes)-shown)
		}
	}
	return b.String()
}
