package quantize

import (
	"fmt"
	"slices"
	"strings"

	"github.com/octet-nn/octet/internal/calibrate"
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/rewrite"
	"github.com/octet-nn/octet/tensor"
)

// Options say how to quantize. The zero value is the default scheme.
type Options struct {
	Scheme       Scheme
	Activations  tensor.DType        // Uint8 or Int8; Invalid means Uint8
	Reduction    calibrate.Reduction // how statistics become ranges
	Intervals    map[string]Interval // ranges of values, by their names in the source file, that Reduction does not decide
	Arithmetic   numeric.Arithmetic  // None means ONNX
	KeepFloat    []string            // patterns of node and value names that stay float, see matches
	KeepFloatOps []string            // operator types that stay float
	QuantizeIO   bool                // graph inputs and outputs are codes too, instead of float
	Target       Target              // the runtime that will run the model

	made *weightCodes // codes of weights that other calls made; nil remembers nothing
}

// Decision is what became of one node that handled floats.
type Decision struct {
	Node    string
	Type    string
	Outputs []string
	Compute graph.Compute
	Reason  string // why it stayed float; "" if it did not
	MACs    int64  // multiply-accumulates at batch 1; 0 where shapes are not known
}

// Report is what quantization decided.
type Report struct {
	Decisions []Decision
	Warnings  []string
}

// IntegerShare is the share (0…1) of multiply-accumulates that run on integers; 1 if there are none at all.
func (r *Report) IntegerShare() float64 {
	var integer, all int64
	for _, d := range r.Decisions {
		all += d.MACs
		if d.Compute != graph.Float {
			integer += d.MACs
		}
	}
	if all == 0 {
		return 1
	}
	return float64(integer) / float64(all)
}

// Islands are the nodes that stay float, with the reasons.
func (r *Report) Islands() []Decision {
	return slices.DeleteFunc(slices.Clone(r.Decisions), func(d Decision) bool { return d.Reason == "" })
}

// Points lists the names of the values whose ranges Quantize needs, for a simplified float graph: what calibration
// has to observe.
func Points(g *graph.Graph, o Options) ([]string, error) {
	if o.Scheme == Dynamic {
		return nil, nil
	}
	p, err := newPlacement(g, &o)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, v := range p.quantized() {
		if v.Const == nil {
			names = append(names, v.Name)
		}
	}
	return names, nil
}

// Quantize returns the typed form of a simplified float graph, which is left as it is. Ranges are found by the names
// that values have in their source file; layers without the ranges they need stay float, and the report says so.
func Quantize(g *graph.Graph, ranges *calibrate.Ranges, o Options) (*graph.Graph, *Report, error) {
	if o.Activations == tensor.Invalid {
		o.Activations = tensor.Uint8
	}
	wide := o.Activations == tensor.Int16
	if o.Activations != tensor.Uint8 && o.Activations != tensor.Int8 && !wide || wide != (o.Scheme == Int16x8) {
		return nil, nil, fmt.Errorf("activations can be u8 or i8, or i16 in scheme %s; not %s in scheme %s", Int16x8, o.Activations, o.Scheme)
	}
	if o.Arithmetic == numeric.None {
		o.Arithmetic = numeric.ONNX
	}
	g = g.Clone()
	p, err := newPlacement(g, &o)
	if err != nil {
		return nil, nil, err
	}
	report := &Report{}
	if o.Scheme == Dynamic {
		p.quantizeDynamic()
		report.decisions(g, p.reasons)
		return g, report, g.Check()
	}
	p.dropWithoutRange(ranges)
	quants := p.assign(ranges)
	p.insert(quants)
	absorbed, err := rewrite.Absorb(g, rewrite.AbsorbOptions{Arithmetic: o.Arithmetic, Float: p.reasons})
	if err != nil {
		return nil, nil, err
	}
	for _, island := range absorbed.Islands {
		if p.reasons[island.Node] == "" {
			p.reasons[island.Node] = island.Reason
		}
	}
	if o.QuantizeIO {
		quantizeEdges(g)
	}
	report.decisions(g, p.reasons)
	report.warn(ranges)
	return g, report, g.Check()
}

// dropWithoutRange rejects layers that need a range nobody measured, until all others have theirs.
func (p *placement) dropWithoutRange(ranges *calibrate.Ranges) {
	for {
		known := p.ranges(ranges)
		var lacking *graph.Node
		var missing []string
		for _, n := range p.g.Nodes {
			if !p.isInteger(n) {
				continue
			}
			values := p.activations(n)
			if !p.floatResult(n) {
				values = append(values, n.Outputs...)
			}
			for _, v := range values {
				if v != nil && known(v) == nil {
					missing = append(missing, v.Source())
				}
			}
			if missing != nil {
				lacking = n
				break
			}
		}
		if lacking == nil {
			return
		}
		p.reject(lacking, "no range is known for "+strings.Join(missing, ", "))
		p.dropUnanchored()
	}
}

// interval is a real range.
type interval struct {
	low, high float32
	rule      *op.RangeRule // the operator's own range, if one made a value of the group
}

// quant is the quantization that covers the interval.
func (i *interval) quant(dtype tensor.DType) *graph.Quant {
	if i.rule != nil && i.low == i.rule.Min && i.high == i.rule.Max {
		return fixed(*i.rule, dtype)
	}
	return activation(i.low, i.high, dtype)
}

// ranges resolves which values share one quantization and returns the range of each quantized value, nil if unknown.
func (p *placement) ranges(r *calibrate.Ranges) func(*graph.Value) *interval {
	shared := p.sharing()
	found := map[*graph.Value]*interval{}
	for _, v := range p.quantized() {
		var own *interval
		if v.Const != nil {
			own = constantRange(v.Const)
		} else if rule, ok := p.fixedRule(v); ok {
			own = &interval{rule.Min, rule.Max, &rule}
		} else if chosen, ok := p.options.Intervals[v.Source()]; ok {
			own = &interval{low: chosen.Low, high: chosen.High}
		} else if s := r.Values[v.Source()]; s != nil {
			low, high := p.options.Reduction.Range(s)
			own = &interval{low: low, high: high}
		}
		if own == nil {
			continue
		}
		root := shared.find(v)
		if have := found[root]; have != nil {
			rule := own.rule
			if rule == nil {
				rule = have.rule
			}
			own = &interval{min(own.low, have.low), max(own.high, have.high), rule}
		}
		found[root] = own
	}
	return func(v *graph.Value) *interval { return found[shared.find(v)] }
}

// sharing joins values whose codes must mean the same: operands and results of operators that move codes.
func (p *placement) sharing() *sets[*graph.Value] {
	shared := newSets[*graph.Value]()
	for n, form := range p.forms {
		if form.Range.Kind != op.SameAsInput && form.Range.Kind != op.Unified {
			continue
		}
		activations := p.activations(n)
		if form.Range.Kind == op.SameAsInput {
			activations = activations[:min(1, len(activations))]
		}
		for _, v := range activations {
			for _, out := range n.Outputs {
				if out != nil {
					shared.union(v, out)
				}
			}
		}
	}
	return shared
}

// fixedRule is the known range of a value made by an operator such as Softmax.
func (p *placement) fixedRule(v *graph.Value) (op.RangeRule, bool) {
	n := p.index.Producer(v)
	if n == nil || !p.isInteger(n) {
		return op.RangeRule{}, false
	}
	rule := p.forms[n].Range
	return rule, rule.Kind == op.Fixed
}

func constantRange(t *tensor.Tensor) *interval {
	r := &interval{}
	for _, v := range op.Float32s(t) {
		if v-v == 0 {
			r.low, r.high = min(r.low, v), max(r.high, v)
		}
	}
	return r
}

// assign chooses the quantization of every value that is stored as codes.
func (p *placement) assign(r *calibrate.Ranges) map[*graph.Value]*graph.Quant {
	known := p.ranges(r)
	quants := map[*graph.Value]*graph.Quant{}
	for _, v := range p.quantized() {
		quants[v] = known(v).quant(p.options.Activations)
	}
	return quants
}

// insert writes the decisions into the graph: Quantize and Dequantize after every value stored as codes, constants
// and weights as codes followed by Dequantize.
func (p *placement) insert(quants map[*graph.Value]*graph.Quant) {
	e := &editor{g: p.g, index: p.index, before: map[*graph.Node][]*graph.Node{}, after: map[*graph.Node][]*graph.Node{}}
	weightOf := map[*graph.Node]*graph.Value{}
	for _, n := range p.g.Nodes {
		if p.isInteger(n) {
			if w := p.weightCodes(e, n, quants); w != nil {
				weightOf[n] = w
			}
		}
	}
	for _, v := range p.quantized() {
		e.roundTrip(v, quants[v], p.options.Activations, func(u graph.Use) bool {
			return v.Const == nil || p.isInteger(u.Node) && p.forms[u.Node].Roles[u.Index] == op.Activation
		})
	}
	for n, w := range weightOf {
		for i, role := range p.forms[n].Roles {
			if role == op.Weight && i < len(n.Inputs) {
				n.Inputs[i] = w
			}
		}
	}
	e.apply()
}

// weightCodes makes the dequantized codes of a layer's weights.
func (p *placement) weightCodes(e *editor, n *graph.Node, quants map[*graph.Value]*graph.Quant) *graph.Value {
	form := p.forms[n]
	var weight, bias, input *graph.Value
	for i, v := range n.Inputs {
		if v == nil {
			continue
		}
		switch form.Roles[i] {
		case op.Weight:
			weight = v
		case op.Bias:
			bias = v
		case op.Activation:
			input = v
		}
	}
	if weight == nil {
		return nil
	}
	var biasValues []float32
	if bias != nil {
		biasValues = op.Float32s(bias.Const)
	}
	var inputScale float32
	if q := quants[input]; q != nil {
		inputScale = q.Scale[0]
	}
	codes, quant := p.options.made.weights(weight.Const, form.WeightAxis, p.options.Scheme, biasValues, inputScale)
	return e.dequantized(weight, codes, quant, n)
}

// quantizeDynamic stores the weights of layers as codes; their activations are quantized as they run.
func (p *placement) quantizeDynamic() {
	for _, n := range p.g.Nodes {
		form, ok := p.forms[n]
		if !ok {
			continue
		}
		i := slices.Index(form.Roles, op.Weight)
		if i < 0 || i >= len(n.Inputs) {
			p.reject(n, "dynamic quantization concerns layers with weights only")
			continue
		}
		w := n.Inputs[i]
		codes, quant := weights(w.Const, form.WeightAxis, p.options.Scheme, nil, 0)
		n.Inputs[i] = &graph.Value{
			Name:   p.index.Fresh(w.Name + "_codes"),
			Origin: w.Source(),
			Type:   graph.Type{DType: codes.DType(), Shape: graph.FixedShape(codes.Shape()...), Quant: quant},
			Const:  codes,
		}
		n.Compute = graph.DynamicActivations
		if p.options.Arithmetic != numeric.ONNX {
			n.Arithmetic = p.options.Arithmetic
		}
	}
}

// quantizeEdges makes graph inputs and outputs codes where they are only converted from and to float. States stay float.
func quantizeEdges(g *graph.Graph) {
	index := g.Index()
	drop := map[*graph.Node]bool{}
	for i, v := range g.Inputs {
		if u, ok := index.OnlyUse(v); ok && !g.IsStateInput(i) && u.Node.Op.Type() == "Quantize" {
			codes := u.Node.Outputs[0]
			name, origin := v.Name, v.Origin
			codes.Name, codes.Origin = name, origin
			g.Inputs[i] = codes
			drop[u.Node] = true
		}
	}
	for i, v := range g.Outputs {
		if n := index.Producer(v); n != nil && !g.IsStateOutput(i) && n.Op.Type() == "Dequantize" && len(index.Uses(v)) == 0 && n.Inputs[0].Const == nil {
			codes := n.Inputs[0]
			codes.Name, codes.Origin = v.Name, v.Origin
			g.Outputs[i] = codes
			drop[n] = true
		}
	}
	g.Nodes = slices.DeleteFunc(g.Nodes, func(n *graph.Node) bool { return drop[n] })
}

// decisions lists what became of every node that handles real numbers.
func (r *Report) decisions(g *graph.Graph, reasons map[*graph.Node]string) {
	for _, n := range g.Nodes {
		switch n.Op.(type) {
		case *op.Quantize, *op.Dequantize, *op.Requantize:
			continue
		}
		if n.Compute == graph.Float && !handlesFloats(n) {
			continue
		}
		d := Decision{Node: n.Name, Type: n.Op.Type(), Compute: n.Compute}
		if n.Compute == graph.Float {
			d.Reason = reasons[n]
			if d.Reason == "" {
				d.Reason = "its operands are not quantized"
			}
		}
		for _, v := range n.Outputs {
			if v != nil {
				d.Outputs = append(d.Outputs, v.Source())
			}
		}
		d.MACs, _ = macs(n)
		r.Decisions = append(r.Decisions, d)
	}
}

// macs is the cost of a node at batch 1 (an unknown leading dimension counts as 1), unless other sizes are unknown.
func macs(n *graph.Node) (cost int64, known bool) {
	coster, ok := n.Op.(op.Coster)
	if !ok {
		return 0, true
	}
	types := func(vs []*graph.Value) ([]graph.Type, bool) {
		ts := make([]graph.Type, len(vs))
		for i, v := range vs {
			if v == nil {
				continue
			}
			ts[i] = v.Type
			ts[i].Shape = slices.Clone(v.Type.Shape)
			for axis, d := range ts[i].Shape {
				if !d.Known() && axis == 0 {
					ts[i].Shape[axis] = graph.Fixed(1)
				} else if !d.Known() {
					return nil, false
				}
			}
		}
		return ts, true
	}
	in, ok := types(n.Inputs)
	out, known := types(n.Outputs)
	if !ok || !known {
		return 0, false
	}
	return coster.MACs(in, out), true
}

// warn adds what the user should know of the ranges.
func (r *Report) warn(ranges *calibrate.Ranges) {
	for _, name := range ranges.Names() {
		h := ranges.Values[name].Histogram
		if h == nil {
			continue
		}
		if h.Bad() > 0 {
			r.Warnings = append(r.Warnings, fmt.Sprintf("value %q had %d NaN or infinite elements during calibration; they were left out of its range", name, h.Bad()))
		}
		if low, high := h.Extremes(); h.Count() > 1 && low == high {
			r.Warnings = append(r.Warnings, fmt.Sprintf("value %q was %g in every sample: are the samples real inputs?", name, low+0)) // -0 is 0
		}
	}
}
