package rewrite

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// AbsorbOptions of Absorb.
type AbsorbOptions struct {
	Arithmetic numeric.Arithmetic // of the integer nodes it makes; None means ONNX
	Keep       []string           // values that must stay what they are
	// Float are nodes that must stay float, with the reasons.
	Float map[*graph.Node]string
}

// Island is a node that stayed float although it reads or makes values stored as codes.
type Island struct {
	Node   *graph.Node
	Reason string
}

// AbsorbReport is what Absorb could not do.
type AbsorbReport struct {
	Islands []Island
}

// Absorb turns the simulated form of a quantized network into the typed one: an operator between Dequantize and
// Quantize computes on the codes themselves. An operator becomes integer only if its activations and weights are
// dequantized codes and all readers of its result are one identical Quantize; a layer whose result is read as real
// numbers hands out its exact sums as floats; everything else stays as it is.
func Absorb(g *graph.Graph, o AbsorbOptions) (*AbsorbReport, error) {
	if o.Arithmetic == numeric.None {
		o.Arithmetic = numeric.ONNX
	}
	keep := map[string]bool{}
	for _, name := range o.Keep {
		keep[name] = true
	}
	if _, err := op.Infer(g); err != nil {
		return nil, err
	}
	if err := normalizeFakeQuantize(g); err != nil {
		return nil, err
	}
	mergeRepresentations(g, o.Arithmetic)
	a := &absorber{
		g: g, index: g.Index(), keep: keep, arithmetic: o.Arithmetic, report: &AbsorbReport{},
		gone: map[*graph.Node]bool{}, made: map[*graph.Value]*graph.Node{},
		before: map[*graph.Node][]*graph.Node{}, after: map[*graph.Node][]*graph.Node{},
	}
	for _, n := range g.Nodes {
		if n.Compute == graph.Float && !a.gone[n] && o.Float[n] == "" {
			a.absorb(n)
		}
	}
	a.apply()
	mergeRepresentations(g, o.Arithmetic)
	row := o.Arithmetic
	if row == numeric.ONNX { // it is what nodes follow that name none
		row = numeric.None
	}
	for _, n := range g.Nodes {
		if _, ok := n.Op.(*op.Quantize); ok {
			n.Arithmetic = row
		}
	}
	g.RemoveDead()
	if err := g.Sort(); err != nil {
		return nil, err
	}
	if _, err := op.Infer(g); err != nil {
		return nil, err
	}
	return a.report, nil
}

// normalizeFakeQuantize spells FakeQuantize with constant parameters as Quantize and Dequantize, and codes of
// constants as constants.
func normalizeFakeQuantize(g *graph.Graph) error {
	index := g.Index()
	var nodes []*graph.Node
	for _, n := range g.Nodes {
		switch o := n.Op.(type) {
		case *op.FakeQuantize:
			q, ok := o.Quant(n)
			if !ok {
				nodes = append(nodes, n)
				continue
			}
			x, y := n.Inputs[0], n.Outputs[0]
			if bits := o.DType().Bits(); o.Bits != 0 && o.Bits != bits {
				// Codes would be limited to more bits than the node has.
				if x.Const == nil {
					nodes = append(nodes, n)
					continue
				}
				limited := &graph.Value{Name: index.Fresh(x.Name + "_limited"), Origin: x.Source(), Type: x.Type}
				if err := evaluateConstant(&graph.Node{Name: n.Name, Op: o, Inputs: n.Inputs, Outputs: []*graph.Value{limited}}); err != nil {
					return err
				}
				x = limited
			}
			codes := &graph.Value{
				Name: index.Fresh(y.Name + "_quantized"), Origin: y.Source(),
				Type: graph.Type{DType: o.DType(), Shape: x.Type.Shape, Quant: q},
			}
			quantize := &graph.Node{Name: n.Name, Op: &op.Quantize{}, Inputs: []*graph.Value{x}, Outputs: []*graph.Value{codes}}
			if x.Const != nil {
				if err := evaluateConstant(quantize); err != nil {
					return err
				}
			} else {
				nodes = append(nodes, quantize)
			}
			n.Op, n.Inputs = &op.Dequantize{}, []*graph.Value{codes}
		case *op.Quantize:
			if x := n.Inputs[0]; x.Const != nil && !slices.Contains(g.Outputs, n.Outputs[0]) {
				if err := evaluateConstant(n); err != nil {
					return err
				}
				continue
			}
		}
		nodes = append(nodes, n)
	}
	g.Nodes = nodes
	return nil
}

// evaluateConstant makes the result of a node with constant operands a constant.
func evaluateConstant(n *graph.Node) error {
	in := make([]*tensor.Tensor, len(n.Inputs))
	for i, v := range n.Inputs {
		if v != nil {
			in[i] = v.Const
		}
	}
	out, err := op.Evaluate(context.Background(), n, in)
	if err != nil {
		return err
	}
	v := n.Outputs[0]
	v.Const = out[0]
	v.Type.Shape = graph.FixedShape(out[0].Shape()...)
	return nil
}

// mergeRepresentations makes one node of equal Quantize or Dequantize nodes of one value, and removes a Quantize of
// dequantized codes: equal parameters give the codes themselves, others a Requantize.
func mergeRepresentations(g *graph.Graph, arithmetic numeric.Arithmetic) {
	index := g.Index()
	first := map[*graph.Value][]*graph.Node{} // Quantize and Dequantize nodes that read a value
	gone := map[*graph.Node]bool{}
	for _, n := range g.Nodes {
		_, isQuantize := n.Op.(*op.Quantize)
		_, isDequantize := n.Op.(*op.Dequantize)
		if !isQuantize && !isDequantize {
			continue
		}
		x, y := n.Inputs[0], n.Outputs[0]
		if isQuantize && x.Type.DType.IsFloat() {
			if p := index.Producer(x); p != nil && p.Op.Type() == "Dequantize" {
				codes := p.Inputs[0]
				if !index.IsOutput(y) && codes.Type.DType == y.Type.DType && codes.Type.Quant.Equal(y.Type.Quant) {
					g.ReplaceUses(y, codes)
					gone[n] = true
					continue
				}
				if codes.Const == nil {
					n.Op, n.Inputs = &op.Requantize{}, []*graph.Value{codes}
					n.Compute, n.Arithmetic = graph.Integer, arithmetic
					continue
				}
			}
		}
		for _, m := range first[x] {
			z := m.Outputs[0]
			same := m.Op.Type() == n.Op.Type() && z.Type.DType == y.Type.DType && z.Type.Quant.Equal(y.Type.Quant)
			if same && !index.IsOutput(y) {
				g.ReplaceUses(y, z)
				gone[n] = true
				break
			}
		}
		if !gone[n] {
			first[x] = append(first[x], n)
		}
	}
	g.Nodes = slices.DeleteFunc(g.Nodes, func(n *graph.Node) bool { return gone[n] })
}

// absorber is the state of one Absorb.
type absorber struct {
	g          *graph.Graph
	index      *graph.Index
	keep       map[string]bool
	arithmetic numeric.Arithmetic
	gone       map[*graph.Node]bool
	before     map[*graph.Node][]*graph.Node
	after      map[*graph.Node][]*graph.Node
	made       map[*graph.Value]*graph.Node // Dequantize nodes that now produce a value
	report     *AbsorbReport
}

func (a *absorber) apply() {
	var nodes []*graph.Node
	for _, n := range a.g.Nodes {
		nodes = append(nodes, a.before[n]...)
		if !a.gone[n] {
			nodes = append(nodes, n)
		}
		nodes = append(nodes, a.after[n]...)
	}
	a.g.Nodes = nodes
}

// codes is what is dequantized to give v; nil if v is anything else.
func (a *absorber) codes(v *graph.Value) *graph.Value {
	if v == nil {
		return nil
	}
	if p := a.made[v]; p != nil {
		return p.Inputs[0]
	}
	if p := a.index.Producer(v); p != nil && p.Op.Type() == "Dequantize" {
		return p.Inputs[0]
	}
	return nil
}

// result is the single Quantize that reads v, if all readers are one.
func (a *absorber) result(v *graph.Value) *graph.Node {
	if v == nil || a.index.IsOutput(v) || a.keep[v.Name] {
		return nil
	}
	uses := a.index.Uses(v)
	if len(uses) != 1 || uses[0].Node.Op.Type() != "Quantize" {
		return nil
	}
	return uses[0].Node
}

// absorb makes one node compute on codes if it can.
func (a *absorber) absorb(n *graph.Node) {
	if representation(n) {
		return
	}
	touches := false // does it read dequantized codes?
	for _, v := range n.Inputs {
		touches = touches || a.codes(v) != nil
	}
	if !touches {
		return
	}
	island := func(format string, args ...any) {
		a.report.Islands = append(a.report.Islands, Island{n, fmt.Sprintf(format, args...)})
	}
	o, ok := n.Op.(op.Integer)
	if !ok {
		island("the operator has no integer form")
		return
	}
	form, err := a.form(o, n)
	if err != nil {
		island("%v", err)
		return
	}
	operands, missing := a.operands(n, form)
	if missing != "" {
		if a.weightOnly(n, form) {
			return
		}
		island("%s", missing)
		return
	}
	quantized := make([]*graph.Node, len(n.Outputs))
	all := true
	for i, v := range n.Outputs {
		if v == nil {
			continue
		}
		quantized[i] = a.result(v)
		all = all && quantized[i] != nil && quantized[i].Outputs[0].Type.Quant.IsPerTensor()
	}
	isLayer := slices.Contains(form.Roles, op.Weight)
	if isLayer && len(n.Inputs) > 2 && n.Inputs[2] != nil {
		bias, why := a.bias(n, operands)
		if why != "" {
			island("%s", why)
			return
		}
		operands[2] = bias
	}
	switch {
	case form.Range.Kind == op.SameAsInput:
		a.move(n, operands, quantized)
	case !all && isLayer:
		n.Inputs = operands
		n.Compute = graph.IntegerToFloat
		n.Arithmetic = a.arithmetic
	case !all:
		island("its result is not quantized, or not by all its readers alike")
	case form.Range.Kind == op.Unified:
		a.unify(n, operands, quantized[0].Outputs[0])
		a.finish(n, operands, quantized)
	default:
		a.finish(n, operands, quantized)
	}
}

// form asks for the integer form of a node as if its dequantized constants were plain constants.
func (a *absorber) form(o op.Integer, n *graph.Node) (op.IntegerForm, error) {
	seen := *n
	seen.Inputs = slices.Clone(n.Inputs)
	for i, v := range seen.Inputs {
		if c := a.codes(v); c != nil && c.Const != nil {
			seen.Inputs[i] = &graph.Value{Name: v.Name, Type: v.Type, Const: c.Const}
		}
	}
	return o.Integer(&seen)
}

// operands are the node's operands as codes; missing says why that is impossible.
func (a *absorber) operands(n *graph.Node, form op.IntegerForm) (operands []*graph.Value, missing string) {
	operands = slices.Clone(n.Inputs)
	for i, v := range n.Inputs {
		if v == nil {
			continue
		}
		switch form.Roles[i] {
		case op.Activation:
			c := a.codes(v)
			if c == nil {
				return nil, fmt.Sprintf("its operand %q is not quantized", v.Source())
			}
			if !c.Type.Quant.IsPerTensor() && form.Range.Kind != op.SameAsInput {
				return nil, fmt.Sprintf("its operand %q has several scales", v.Source())
			}
			operands[i] = c
		case op.Weight:
			c := a.codes(v)
			if c == nil || c.Const == nil {
				return nil, fmt.Sprintf("its weights %q are not constant codes", v.Source())
			}
			q := c.Type.Quant
			if q.Block > 0 || len(q.Scale) > 1 && q.Axis != form.WeightAxis {
				return nil, fmt.Sprintf("its weights %q have a scale per something else than the output channel", v.Source())
			}
			if d := c.Type.DType; d.Bits() > 8 {
				return nil, fmt.Sprintf("its weights %q are %s; integer layers multiply by 8-bit weights", v.Source(), d)
			}
			operands[i] = c
		}
	}
	return operands, ""
}

// weightOnly gives a layer with float activations its weights as codes.
func (a *absorber) weightOnly(n *graph.Node, form op.IntegerForm) bool {
	i := slices.Index(form.Roles, op.Weight)
	if i < 0 || i >= len(n.Inputs) {
		return false
	}
	w := a.codes(n.Inputs[i])
	if w == nil || w.Const == nil || a.codes(n.Inputs[0]) != nil {
		return false
	}
	n.Inputs[i] = w
	n.Compute = graph.WeightOnly
	return true
}

// bias is the bias operand as codes in units of the sums: int32, int64 beside 16-bit activations.
func (a *absorber) bias(n *graph.Node, operands []*graph.Value) (*graph.Value, string) {
	qx, qw := operands[0].Type.Quant, operands[1].Type.Quant
	scales := make([]float32, len(qw.Scale))
	for c, s := range qw.Scale {
		scales[c] = qx.Scale[0] * s
	}
	v := n.Inputs[2]
	quant := &graph.Quant{Scale: scales, ZeroPoint: make([]int32, len(scales))}
	dtype, limit := tensor.Int32, float64(1<<31)
	if operands[0].Type.DType.Bits() > 8 {
		dtype, limit = tensor.Int64, 1<<39 // TFLite adds biases of 40 bits
	}
	store := func(codes []int64) *graph.Value {
		q := *quant
		if len(q.Scale) != len(codes) && len(q.Scale) > 1 {
			return nil
		}
		return &graph.Value{
			Name: a.index.Fresh(v.Name + "_codes"), Origin: v.Source(),
			Type:  graph.Type{DType: dtype, Shape: graph.FixedShape(len(codes)), Quant: &q},
			Const: op.FromInt64s(dtype, []int{len(codes)}, codes),
		}
	}
	var values []float64
	if c := a.codes(v); c != nil && c.Const != nil {
		if q := c.Type.Quant; c.Type.DType == dtype && slices.Equal(q.Scale, scales) && !slices.ContainsFunc(q.ZeroPoint, func(z int32) bool { return z != 0 }) {
			if b := store(slices.Clone(op.Int64s(c.Const))); b != nil {
				return b, ""
			}
		}
		q := c.Type.Quant
		for i, code := range op.Int64s(c.Const) {
			e := min(i, len(q.Scale)-1)
			values = append(values, float64(code-int64(q.ZeroPoint[e]))*float64(q.Scale[e]))
		}
	} else if v.Const != nil {
		values = op.Float64s(v.Const)
	} else {
		return nil, fmt.Sprintf("its bias %q is not constant", v.Source())
	}
	codes := make([]int64, len(values))
	for i, b := range values {
		code := math.RoundToEven(b / float64(scales[min(i, len(scales)-1)]))
		if !(math.Abs(code) < limit) {
			return nil, fmt.Sprintf("its bias %g is too large for an %s in units of %g", b, dtype, scales[min(i, len(scales)-1)])
		}
		codes[i] = int64(code)
	}
	if len(scales) > 1 && len(codes) != len(scales) {
		return nil, fmt.Sprintf("its bias %q has %d entries for %d channels", v.Source(), len(codes), len(scales))
	}
	return store(codes), ""
}

// finish makes the node integer: its results are the codes that the Quantize nodes made.
func (a *absorber) finish(n *graph.Node, operands []*graph.Value, quantized []*graph.Node) {
	n.Inputs = operands
	n.Compute, n.Arithmetic = graph.Integer, a.arithmetic
	for i, q := range quantized {
		if q != nil {
			n.Outputs[i] = q.Outputs[0]
			a.gone[q] = true
		}
	}
}

// move makes a node move codes. Its results have the operand's quantization; a Quantize with another one becomes a
// Requantize, and real readers get a Dequantize.
func (a *absorber) move(n *graph.Node, operands []*graph.Value, quantized []*graph.Node) {
	dtype := operands[0].Type.DType
	quants := make([]*graph.Quant, len(n.Outputs))
	for i, v := range n.Outputs {
		if v == nil {
			continue
		}
		var ok bool
		if quants[i], ok = op.ViewQuant(&graph.Node{Op: n.Op, Inputs: operands, Outputs: []*graph.Value{v}}); !ok {
			a.report.Islands = append(a.report.Islands, Island{n, "its operand has several scales, whose axis does not survive"})
			return
		}
	}
	n.Inputs = operands
	n.Compute, n.Arithmetic = graph.Integer, a.arithmetic
	for i, v := range n.Outputs {
		if v == nil {
			continue
		}
		q := quantized[i]
		if q != nil && q.Outputs[0].Type.DType == dtype && q.Outputs[0].Type.Quant.Equal(quants[i]) {
			n.Outputs[i] = q.Outputs[0]
			a.gone[q] = true
			continue
		}
		moved := &graph.Value{
			Name: a.index.Fresh(v.Name + "_codes"), Origin: v.Source(),
			Type: graph.Type{DType: dtype, Shape: v.Type.Shape, Quant: quants[i]},
		}
		n.Outputs[i] = moved
		if q != nil {
			q.Op, q.Inputs = &op.Requantize{}, []*graph.Value{moved}
			q.Compute, q.Arithmetic = graph.Integer, a.arithmetic
			continue
		}
		back := &graph.Node{Name: n.Name + "/dequantize", Op: &op.Dequantize{}, Inputs: []*graph.Value{moved}, Outputs: []*graph.Value{v}}
		a.after[n] = append(a.after[n], back)
		a.made[v] = back
	}
}

// unify requantizes the operands that differ from the result.
func (a *absorber) unify(n *graph.Node, operands []*graph.Value, result *graph.Value) {
	for i, v := range operands {
		if v == nil || v.Type.Quant == nil || v.Type.DType == result.Type.DType && v.Type.Quant.Equal(result.Type.Quant) {
			continue
		}
		same := &graph.Value{
			Name: a.index.Fresh(v.Name + "_requantized"), Origin: v.Source(),
			Type: graph.Type{DType: result.Type.DType, Shape: v.Type.Shape, Quant: result.Type.Quant},
		}
		a.before[n] = append(a.before[n], &graph.Node{
			Name: v.Name + "/requantize", Op: &op.Requantize{}, Inputs: []*graph.Value{v}, Outputs: []*graph.Value{same},
			Compute: graph.Integer, Arithmetic: a.arithmetic,
		})
		operands[i] = same
	}
}
