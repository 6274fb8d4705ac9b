// Package convert makes models as MACE's converter does: a float network cut and folded so that its values have the
// names that MACE gives them, or a network on integer codes whose scales, zero points, weights and biases are MACE's
// to the bit.
//
// Weights are quantized as they are. What would change them before (equalization, bias correction, a scale per
// channel) belongs between [Convert]'s folding and its assignment of ranges.
package convert

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/rewrite"
	"github.com/octet-nn/octet/tensor"
)

// Input is one entry of input_tensors with what the deployment file says of it.
type Input struct {
	Name string
	// Shape is in the order that Format says; nil keeps the file's.
	Shape []int
	// Format is NHWC (also if empty), NCHW or NONE. Data of four dimensions is fed channels last for the first two, as
	// MACE wants it, whatever the order in the model file; NONE leaves it alone.
	Format string
	// Low and High are the entry of input_ranges; both zero mean MACE's default, −1 and 1.
	Low, High float64
}

// Output is one entry of output_tensors, or of check_tensors.
type Output struct {
	Name   string
	Format string // as in Input: results of four dimensions are given channels last unless it is NONE
}

// Options of Convert; the zero value converts the float network with the inputs and outputs of its file.
type Options struct {
	Inputs  []Input  // none: those of the file
	Outputs []Output // none: those of the file
	// CheckTensors replace the outputs of a quantized model, to look into it.
	CheckTensors []Output

	// Platform is that of the deployment file, in lower case; "" means onnx. What is folded depends on it.
	Platform string

	Quantize     bool // quantize: 1
	QuantizeStat bool // the float model is for collecting ranges; it wins over Quantize
	Schema       string
	// Ranges are those of quantize_range_file by name; a trailing ":0" does not matter. nil means that there is no such
	// file.
	Ranges map[string]Range
	// Trained are ranges that quantization-aware training left in the model file and its reader took out, by name. They
	// come before those of Ranges.
	Trained              map[string]Range
	ChangeConcatRanges   bool
	QuantizeLargeWeights bool
	// Simulate makes the float network that quantization-aware training computed: values and weights are rounded as its nodes
	// say, instead of the nodes only being asked for ranges. It has no effect on quantized models.
	Simulate bool
	// Strict refuses models with an operator that cannot be quantized, as MACE does, instead of leaving it float.
	Strict bool
	// Arithmetic is the row that integer operators follow; None means ONNX. numeric.MACE also keeps MACE's treatment of
	// ranges within ±1e-6 and of large biases in weights-only models.
	Arithmetic numeric.Arithmetic
}

// Activation is how a value became codes.
type Activation struct {
	Name string // MACE's
	Info
}

// Constant is how a constant became codes.
type Constant struct {
	Name  string
	DType tensor.DType
	Info
}

// Island is an operator that stayed float.
type Island struct {
	Node, Type string
	Outputs    []string
	Reason     string
}

// Report is what a conversion did.
type Report struct {
	Activations []Activation // inputs first, then in order of execution
	Constants   []Constant
	Islands     []Island
	Simulated   int // values that are rounded as in training
	Notes       []string
}

// Lines are MACE's lines on the ranges of operators' results, for the log.
func (r *Report) Lines() []string {
	lines := make([]string, len(r.Activations))
	for i, a := range r.Activations {
		lines[i] = fmt.Sprintf("Op output %s range: [%f, %f]", a.Name, a.Min, a.Max)
	}
	return lines
}

func (r *Report) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// Keys of a converted model's metadata.
const (
	// MetadataLogged lists the values whose ranges MACE logs, one name a line; see Logged.
	MetadataLogged = "octet.mace.logged"
	// MetadataArithmetic is the row of the arithmetic table; the same key as in every quantized model.
	MetadataArithmetic = "octet.arithmetic"
	// MetadataScheme says how the model was quantized; the same key as in every quantized model.
	MetadataScheme = "octet.scheme"
)

// Logged lists the values of a converted model whose ranges MACE logs during quantize_stat, in MACE's order: the float
// results of its operators, neither inputs nor constants. It is nil for models that Convert did not make.
func Logged(g *graph.Graph) []string {
	text := g.Metadata[MetadataLogged]
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// Convert makes the model that MACE's converter would make of a network as it is read from its file. The graph given
// is left as it is. Errors list all problems of a kind.
func Convert(g *graph.Graph, o Options) (*graph.Graph, *Report, error) {
	if o.QuantizeStat {
		o.Quantize = false
	}
	if err := o.check(); err != nil {
		return nil, nil, err
	}
	if o.Arithmetic == numeric.None {
		o.Arithmetic = numeric.ONNX
	}
	g = g.Clone()
	if err := rewrite.Widen(g); err != nil {
		return nil, nil, err
	}
	if err := rewrite.Expand(g); err != nil { // operators on codes become float ones between codes
		return nil, nil, err
	}
	c := &converter{g: g, o: o, numbers: numbers{o.Schema, o.Arithmetic == numeric.MACE}, report: &Report{},
		learned: map[*graph.Value]learned{}, trained: map[*graph.Value]*trained{}, scales: map[*graph.Value]float32{}}
	for _, step := range []func() error{c.cut, c.shapes, c.learn, c.fold, c.simulate, c.channelsLastEdges} {
		if err := step(); err != nil {
			return nil, nil, err
		}
	}
	if g.Metadata == nil {
		g.Metadata = map[string]string{}
	}
	g.Metadata[MetadataLogged] = strings.Join(c.logged, "\n")
	switch {
	case o.Quantize:
		if err := c.quantize(); err != nil {
			return nil, nil, err
		}
		g.Metadata[MetadataArithmetic] = o.Arithmetic.String()
		g.Metadata[MetadataScheme] = strings.TrimRight("mace "+o.Schema, " ")
	case o.QuantizeLargeWeights:
		if err := c.storeLargeWeights(); err != nil {
			return nil, nil, err
		}
		g.Metadata[MetadataScheme] = "mace weights"
	}
	return g, c.report, g.Check()
}

// check reports options that contradict each other.
func (o *Options) check() error {
	var problems []error
	known := false
	for _, s := range Schemas() {
		known = known || s == o.Schema
	}
	if !known {
		problems = append(problems, fmt.Errorf("quantize_schema %q is not known: leave it out, or write %s", o.Schema, strings.Join(Schemas()[1:], ", ")))
	}
	if o.Quantize && o.QuantizeLargeWeights {
		problems = append(problems, errors.New("quantize and quantize_large_weights exclude each other: set one of them to 0"))
	}
	formats := func(what, name, format string) {
		switch format {
		case "", "NHWC", "NCHW", "NONE":
		default:
			problems = append(problems, fmt.Errorf("the data format of %s %q is %q: NHWC, NCHW or NONE", what, name, format))
		}
	}
	for _, in := range o.Inputs {
		formats("input", in.Name, in.Format)
		if !(in.Low <= in.High) || in.Low-in.Low != 0 || in.High-in.High != 0 {
			problems = append(problems, fmt.Errorf("the range of input %q is %v,%v: the first number must not be greater than the second (input_ranges)", in.Name, in.Low, in.High))
		}
	}
	for _, out := range slices.Concat(o.Outputs, o.CheckTensors) {
		formats("output", out.Name, out.Format)
	}
	for _, name := range sorted(o.Ranges) {
		if r := o.Ranges[name]; !(r.Min <= r.Max) || r.Min-r.Min != 0 || r.Max-r.Max != 0 {
			problems = append(problems, fmt.Errorf("the range of %q is %v,%v: want two finite numbers, the least first (quantize_range_file)", name, r.Min, r.Max))
		}
	}
	return errors.Join(problems...)
}

// converter is the state of one conversion.
type converter struct {
	g       *graph.Graph
	o       Options
	numbers numbers
	report  *Report

	learned  map[*graph.Value]learned  // what quantization-aware training left in the model about activations
	trained  map[*graph.Value]*trained // constants likewise
	inputs   map[*graph.Value]Range    // input_ranges
	formats  map[*graph.Value]string   // of inputs and outputs
	turned   map[*graph.Value]bool     // inputs that the model file has channels first
	logged   []string                  // results of what are operators to MACE
	isLogged map[string]bool           // the same as a set
	inner    map[*graph.Value]bool     // results that a range file need not have
	infos    map[*graph.Value]codes    // how values become codes
	prefix   []*graph.Node             // what makes reals of constant codes
	scales   map[*graph.Value]float32  // of the codes that such reals come from
}

// reinfer finds types anew after inputs have changed.
func (c *converter) reinfer() error {
	for _, n := range c.g.Nodes {
		if _, unknown := n.Op.(*op.Unknown); unknown {
			continue
		}
		for _, v := range n.Outputs {
			if v != nil {
				v.Type.Shape = nil
			}
		}
	}
	_, err := op.Infer(c.g)
	return err
}
