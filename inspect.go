package octet

import (
	"fmt"
	"slices"
	"strings"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/rewrite"
)

// Summary is what a model consists of. Its JSON keys are stable; see docs/json.md.
type Summary struct {
	Path       string            `json:"path"`       // of the model file; "" for models made in memory
	FileBytes  int64             `json:"file_bytes"` // 0 for models made in memory
	Inputs     []ValueSummary    `json:"inputs"`     // in the file's order
	Outputs    []ValueSummary    `json:"outputs"`    // in the file's order
	States     []ValueSummary    `json:"states"`     // what runs can hand on to each other
	Operators  []OperatorSummary `json:"operators"`  // by name
	Parameters ParameterSummary  `json:"parameters"` // constants
	// MACs is the multiply-accumulates of one sample; nil where sizes of the inputs (other than the batch, which is
	// taken to be 1) are not known.
	MACs        *int64 `json:"macs"`
	IntegerMACs *int64 `json:"integer_macs"` // those on integers
	Quantized   bool   `json:"quantized"`    // whether anything is
	// WeightQuantization is how weights are quantized: "per channel", "per tensor", "mixed" or "none".
	WeightQuantization string            `json:"weight_quantization"`
	Nodes              []NodeSummary     `json:"nodes"`    // in the order of execution
	Islands            []IslandSummary   `json:"islands"`  // float nodes of a quantized model
	Metadata           map[string]string `json:"metadata"` // texts that travel with the file
}

// ValueSummary is an input or output.
type ValueSummary struct {
	Name         string               `json:"name"`         // in the model file
	DType        string               `json:"dtype"`        // of the elements: f32, f16, i8, u8, i64, …
	Shape        []int                `json:"shape"`        // −1 for unknown sizes; null if even their number is unknown
	Symbols      []string             `json:"symbols"`      // names of unknown sizes, "" for others
	Quantization *QuantizationSummary `json:"quantization"` // null for floats
}

// QuantizationSummary is Quantization as JSON: real = (code − zero point)·scale.
type QuantizationSummary struct {
	DType     string    `json:"dtype"`      // of the codes
	Scale     []float32 `json:"scale"`      // one entry, or one for each channel along Axis
	ZeroPoint []int32   `json:"zero_point"` // as many
	Axis      int       `json:"axis"`       // of the entries, if there are several
}

func quantizationSummary(t graph.Type) *QuantizationSummary {
	if t.Quant == nil {
		return nil
	}
	q := t.Quant.Clone()
	return &QuantizationSummary{t.DType.String(), q.Scale, q.ZeroPoint, q.Axis}
}

// String is for people: u8 scale 0.0235, zero point 128.
func (q *QuantizationSummary) String() string {
	switch {
	case q == nil:
		return ""
	case len(q.Scale) == 1:
		return fmt.Sprintf("%s scale %.4g, zero point %d", q.DType, q.Scale[0], q.ZeroPoint[0])
	case len(q.Scale) == 0:
		return q.DType + " scaled as the model runs"
	}
	return fmt.Sprintf("%s %d scales along axis %d", q.DType, len(q.Scale), q.Axis)
}

// OperatorSummary counts the nodes of one operator.
type OperatorSummary struct {
	Op      string `json:"op"`      // type of the operator: Conv
	Count   int    `json:"count"`   // nodes
	Integer int    `json:"integer"` // those that compute on, or move, integer codes
	MACs    int64  `json:"macs"`    // of those whose sizes are known
}

// ParameterSummary counts the constants of more than one element that nodes read as numbers.
type ParameterSummary struct {
	Count        int64 `json:"count"`         // elements
	IntegerCount int64 `json:"integer_count"` // elements that are codes
	IntegerBytes int64 `json:"integer_bytes"` // what they take
	FloatCount   int64 `json:"float_count"`   // elements that are floats
	FloatBytes   int64 `json:"float_bytes"`   // what they take
}

// NodeSummary is one node.
type NodeSummary struct {
	Node string `json:"node"` // name in the model file
	Op   string `json:"op"`   // type of the operator: Conv
	// Compute is "float", "integer", "integer-to-float", "weight-only" or "dynamic-activations".
	Compute      string               `json:"compute"`
	Output       string               `json:"output"`       // type of the first result: u8[1,32,112,112]
	Quantization *QuantizationSummary `json:"quantization"` // of the first result; null for floats
	Weights      *QuantizationSummary `json:"weights"`      // of constant operands; null for floats
	MACs         *int64               `json:"macs"`         // null where sizes are not known
}

// IslandSummary is a float node of a quantized model.
type IslandSummary struct {
	Node   string `json:"node"`   // name in the model file
	Op     string `json:"op"`     // type of the operator
	Reason string `json:"reason"` // why it does not compute on integers
}

// IntegerShare is the share (0…1) of multiply-accumulates on integers; 1 if there are none at all, 0 if they are not
// known.
func (s *Summary) IntegerShare() float64 {
	switch {
	case s.MACs == nil:
		return 0
	case *s.MACs == 0:
		return 1
	}
	return float64(*s.IntegerMACs) / float64(*s.MACs)
}

// IntegerNodes is how many nodes compute on, or move, integer codes.
func (s *Summary) IntegerNodes() int {
	n := 0
	for _, o := range s.Operators {
		n += o.Integer
	}
	return n
}

// Inspect sums up the model. Quantized models are shown as they compute: operators between dequantized and quantized
// values are integer operators.
func (m *Model) Inspect() *Summary {
	defer m.keep()
	g, islands := computedForm(m.graph)
	inputs, outputs := m.graph.Ports()
	var states []*graph.Value
	for _, state := range m.graph.States {
		states = append(states, m.graph.Inputs[state.Input])
	}
	s := &Summary{
		Path: m.path, FileBytes: m.size, Inputs: valueSummaries(inputs), Outputs: valueSummaries(outputs), States: valueSummaries(states),
		Operators: []OperatorSummary{}, Nodes: []NodeSummary{}, Islands: []IslandSummary{}, Metadata: m.Metadata(),
	}
	if s.Metadata == nil {
		s.Metadata = map[string]string{}
	}
	i := inspection{summary: s, counted: map[*graph.Value]bool{}, operators: map[string]*OperatorSummary{}}
	for _, n := range g.Nodes {
		i.node(n)
	}
	i.finish()
	if s.Quantized {
		for _, n := range g.Nodes {
			if reason := islandReason(n, islands); reason != "" {
				s.Islands = append(s.Islands, IslandSummary{n.Name, n.Op.Type(), reason})
			}
		}
	}
	return s
}

// computedForm is the graph as it computes: the simulated form of a quantized network absorbed into the typed one, with
// the reasons why nodes stayed float, and batches of unknown size taken to be 1. A graph that cannot be rewritten is
// shown as it is.
func computedForm(source *graph.Graph) (*graph.Graph, map[*graph.Node]string) {
	g := source.Clone()
	reasons := map[*graph.Node]string{}
	for _, v := range g.Inputs {
		if shape := v.Type.Shape; len(shape) > 0 && !shape[0].Known() {
			v.Type.Shape = slices.Clone(shape)
			v.Type.Shape[0] = graph.Fixed(1)
		}
	}
	if reinfer(g) != nil {
		g = source.Clone() // a model that only works with another batch
	}
	if !slices.ContainsFunc(g.Nodes, simulates) {
		return g, reasons
	}
	absorbed := g.Clone()
	if rewrite.Simplify(absorbed, rewrite.SimplifyOptions{}) != nil {
		return g, reasons
	}
	report, err := rewrite.Absorb(absorbed, rewrite.AbsorbOptions{})
	if err != nil {
		return g, reasons
	}
	for _, island := range report.Islands {
		reasons[island.Node] = island.Reason
	}
	return absorbed, reasons
}

// simulates reports whether a node rounds floats to codes and back.
func simulates(n *graph.Node) bool {
	switch n.Op.(type) {
	case *op.Quantize, *op.Dequantize, *op.FakeQuantize:
		return true
	}
	return false
}

func valueSummaries(values []*graph.Value) []ValueSummary {
	out := []ValueSummary{}
	for i, v := range infos(values) {
		out = append(out, ValueSummary{v.Name, v.DType.String(), v.Shape, v.Symbols, quantizationSummary(values[i].Type)})
	}
	return out
}

// inspection adds up nodes.
type inspection struct {
	summary       *Summary
	counted       map[*graph.Value]bool
	operators     map[string]*OperatorSummary
	macs, integer int64
	unknown       bool // MACs of some node are not known
	perChannel    bool
	perTensor     bool
}

func (i *inspection) node(n *graph.Node) {
	row := NodeSummary{Node: n.Name, Op: n.Op.Type(), Compute: n.Compute.String()}
	integer := onCodes(n)
	if integer && n.Compute == graph.Float && !simulates(n) {
		row.Compute = graph.Integer.String() // moves codes
	}
	if len(n.Outputs) > 0 && n.Outputs[0] != nil {
		t := n.Outputs[0].Type
		row.Output = t.DType.String() + t.Shape.String()
		row.Quantization = quantizationSummary(t)
	}
	for _, v := range n.Inputs {
		if v == nil || v.Const == nil {
			continue
		}
		i.constant(v)
		if q := v.Type.Quant; q != nil && row.Weights == nil {
			row.Weights = quantizationSummary(v.Type)
			i.perTensor = i.perTensor || q.IsPerTensor()
			i.perChannel = i.perChannel || !q.IsPerTensor()
		}
	}
	o := i.operators[row.Op]
	if o == nil {
		o = &OperatorSummary{Op: row.Op}
		i.operators[row.Op] = o
	}
	o.Count++
	if integer {
		o.Integer++
		i.summary.Quantized = true
	}
	if macs, ok := nodeMACs(n); ok {
		row.MACs = &macs
		o.MACs += macs
		i.macs += macs
		if n.Compute != graph.Float {
			i.integer += macs
		}
	} else {
		i.unknown = true
	}
	i.summary.Nodes = append(i.summary.Nodes, row)
}

// constant counts a parameter once, however many nodes read it. Scalars and shapes are not parameters.
func (i *inspection) constant(v *graph.Value) {
	t := v.Const
	if i.counted[v] || t.Len() <= 1 {
		return
	}
	i.counted[v] = true
	p := &i.summary.Parameters
	n, bytes := int64(t.Len()), int64(len(t.Bytes()))
	switch {
	case t.DType().IsFloat():
		p.FloatCount += n
		p.FloatBytes += bytes
	case v.Type.Quant != nil:
		p.IntegerCount += n
		p.IntegerBytes += bytes
	default:
		return
	}
	p.Count += n
}

func (i *inspection) finish() {
	s := i.summary
	for _, o := range i.operators {
		s.Operators = append(s.Operators, *o)
	}
	slices.SortFunc(s.Operators, func(a, b OperatorSummary) int { return strings.Compare(a.Op, b.Op) })
	if !i.unknown {
		s.MACs, s.IntegerMACs = &i.macs, &i.integer
	}
	switch {
	case i.perChannel && i.perTensor:
		s.WeightQuantization = "mixed"
	case i.perChannel:
		s.WeightQuantization = "per channel"
	case i.perTensor:
		s.WeightQuantization = "per tensor"
	default:
		s.WeightQuantization = "none"
	}
}

// onCodes reports whether a node computes on or moves codes.
func onCodes(n *graph.Node) bool {
	if n.Compute != graph.Float {
		return true
	}
	if simulates(n) {
		return false
	}
	for _, v := range n.Outputs {
		if v != nil && v.Type.Quant != nil {
			return true
		}
	}
	return false
}

// nodeMACs is the multiply-accumulates of a node; ok is false if they depend on sizes that are not known.
func nodeMACs(n *graph.Node) (macs int64, ok bool) {
	coster, isCoster := n.Op.(op.Coster)
	if !isCoster {
		_, unknown := n.Op.(*op.Unknown)
		return 0, !unknown
	}
	types := func(values []*graph.Value) ([]graph.Type, bool) {
		out := make([]graph.Type, len(values))
		for i, v := range values {
			if v == nil {
				continue
			}
			if _, known := v.Type.Shape.Known(); !known {
				return nil, false
			}
			out[i] = v.Type
		}
		return out, true
	}
	in, okIn := types(n.Inputs)
	out, okOut := types(n.Outputs)
	if !okIn || !okOut {
		return 0, false
	}
	return coster.MACs(in, out), true
}

// islandReason is why a node of a quantized model computes floats; "" if it does not, or is no loss.
func islandReason(n *graph.Node, absorbed map[*graph.Node]string) string {
	if n.Compute != graph.Float || onCodes(n) || simulates(n) || !readsFloats(n) {
		return ""
	}
	if reason := absorbed[n]; reason != "" {
		return reason
	}
	switch o := n.Op.(type) {
	case *op.Unknown:
		return "its operator is not known"
	case op.Integer:
		if _, err := o.Integer(n); err != nil {
			return err.Error()
		}
		return "its operands or results are stored as floats"
	}
	return fmt.Sprintf("%s has no integer form", n.Op.Type())
}

// readsFloats reports whether a node computes on real numbers: nodes that compute shapes are no islands.
func readsFloats(n *graph.Node) bool {
	for _, v := range n.Outputs {
		if v != nil && v.Type.DType.IsFloat() {
			return true
		}
	}
	return false
}
