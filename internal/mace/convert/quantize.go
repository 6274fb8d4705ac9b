package convert

import (
	"fmt"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/rewrite"
	"github.com/octet-nn/octet/tensor"
)

// quantize makes the float network one on integer codes: every value that has a range is written as codes and read as
// reals again, which absorbing makes operators on codes.
func (c *converter) quantize() error {
	if err := c.assign(); err != nil {
		return err
	}
	if c.o.Schema == SchemaInt8 {
		c.foldClamps()
	}
	forms, reasons, err := c.place()
	if err != nil {
		return err
	}
	if err := c.insert(forms); err != nil {
		return err
	}
	if err := c.g.Sort(); err != nil {
		return err
	}
	absorbed, err := rewrite.Absorb(c.g, rewrite.AbsorbOptions{Arithmetic: c.o.Arithmetic, Float: reasons})
	if err != nil {
		return err
	}
	for _, island := range absorbed.Islands {
		if reasons[island.Node] == "" {
			reasons[island.Node] = island.Reason
		}
	}
	rename(c.g)
	c.islands(reasons)
	if c.o.Strict {
		return refusal(c.report.Islands)
	}
	return nil
}

// foldClamps is quantize_fold_relu, which MACE does for int8: RELU and RELUX belong to what computes their operand.
func (c *converter) foldClamps() {
	index := c.g.Index()
	gone := map[*graph.Node]bool{}
	producer := map[*graph.Value]*graph.Node{}
	for _, n := range c.g.Nodes {
		for _, v := range n.Outputs {
			producer[v] = n
		}
		l, ok := limit(n)
		if !ok {
			continue
		}
		x, y := n.Inputs[0], n.Outputs[0]
		p := producer[x]
		if _, only := index.OnlyUse(x); p == nil || len(p.Outputs) != 1 || !only {
			continue
		}
		if clamped, ok := rewrite.WithClamp(p.Op, l); ok && rewrite.ClampOf(p.Op) == nil {
			p.Op, p.Name, p.Outputs[0] = clamped, n.Name, y
			producer[y], gone[n] = p, true
		} else if i, ok := c.infos[y]; ok { // a step of its own on the same codes
			c.infos[x] = i
		}
	}
	c.g.Nodes = slices.DeleteFunc(c.g.Nodes, func(n *graph.Node) bool { return gone[n] })
}

// place decides which operators compute on codes. Those that could but lack a range are an error, all together.
func (c *converter) place() (forms map[*graph.Node]op.IntegerForm, reasons map[*graph.Node]string, err error) {
	forms, reasons = map[*graph.Node]op.IntegerForm{}, map[*graph.Node]string{}
	var lacking []*graph.Node
	for _, n := range c.g.Nodes {
		if !slices.ContainsFunc(n.Outputs, isReal) && !slices.ContainsFunc(n.Inputs, isReal) {
			continue // indices, shapes
		}
		form, reason := integer(n)
		if reason == "" {
			for i, v := range n.Inputs {
				if _, ok := c.infos[v]; v != nil && form.Roles[i] == op.Activation && v.Const == nil && !ok {
					reason = fmt.Sprintf("its operand %q has no range", v.Name)
				}
			}
			lacks := false
			for _, v := range n.Outputs {
				_, known := c.infos[v]
				switch {
				case known || !isReal(v):
				case c.loggedName(v) != "" && !c.inner[v]:
					lacks = true
				case reason == "":
					reason = fmt.Sprintf("MACE has no value %q to know a range of", v.Name)
				}
			}
			if k, _ := kindOf(n); lacks && k != copied && k != split {
				lacking = append(lacking, n)
			}
		}
		if reason != "" {
			reasons[n] = reason
			continue
		}
		forms[n] = form
	}
	return forms, reasons, c.missing(lacking)
}

// integer is the integer form of a node, or why it has none.
func integer(n *graph.Node) (op.IntegerForm, string) {
	o, ok := n.Op.(op.Integer)
	if !ok {
		return op.IntegerForm{}, "the operator has no integer form"
	}
	form, err := o.Integer(n)
	if err != nil {
		return form, err.Error()
	}
	computed := false
	for i, v := range n.Inputs {
		if v == nil {
			continue
		}
		computed = computed || form.Roles[i] == op.Activation && v.Const == nil
		switch form.Roles[i] {
		case op.Weight, op.Bias:
			if v.Const == nil {
				return form, fmt.Sprintf("its operand %q is not constant", v.Name)
			}
			fallthrough
		case op.Activation:
			if v.Type.DType != tensor.Float32 {
				return form, fmt.Sprintf("its operand %q is %s", v.Name, v.Type.DType)
			}
			if v.Const != nil {
				if _, err := extremes(op.Float32s(v.Const)); err != nil {
					return form, fmt.Sprintf("of its constant %q %v", v.Source(), err)
				}
			}
		}
	}
	if !computed {
		return form, "its operands are constant or no real numbers"
	}
	return form, ""
}

// insert writes codes into the graph.
func (c *converter) insert(forms map[*graph.Node]op.IntegerForm) error {
	index := c.g.Index()
	real := map[*graph.Value]*graph.Value{} // constants, as reals of their codes
	for _, n := range c.g.Nodes {
		form, ok := forms[n]
		if !ok {
			continue
		}
		inputs := slices.Clone(n.Inputs)
		for i, v := range n.Inputs {
			if v == nil || v.Const == nil || form.Roles[i] != op.Weight && form.Roles[i] != op.Activation {
				continue
			}
			if real[v] == nil {
				codes, grid, err := c.numbers.constant(op.Float32s(v.Const), v.Const.Shape(), c.trained[v])
				if err != nil {
					return fmt.Errorf("%s: its constant %q: %w", n.Describe(), v.Source(), err)
				}
				real[v] = c.constantCodes(index, v, codes, grid.info())
			}
			inputs[i] = real[v]
		}
		if i := slices.Index(form.Roles, op.Bias); i >= 0 && n.Input(i) != nil {
			inputs[i] = c.biasCodes(index, n, c.scales[inputs[1]], i)
		}
		n.Inputs = inputs
	}
	reported := map[string]bool{}
	report := func(v *graph.Value) {
		name := c.loggedName(v)
		if _, input := c.inputs[v]; input {
			name = v.Name
		}
		if name != "" && !reported[name] {
			reported[name] = true
			c.report.Activations = append(c.report.Activations, Activation{name, c.infos[v].info()})
		}
	}
	nodes := c.prefix
	wanted := func(v *graph.Value, p *graph.Node) bool {
		if _, ok := c.infos[v]; !ok || !isReal(v) {
			return false
		}
		if _, ok := forms[p]; ok && p != nil {
			return true
		}
		return slices.ContainsFunc(index.Uses(v), func(u graph.Use) bool {
			form, ok := forms[u.Node]
			return ok && form.Roles[u.Index] == op.Activation
		})
	}
	for _, v := range c.g.Inputs {
		if wanted(v, nil) {
			report(v)
			nodes = append(nodes, c.roundTrip(index, v, nil)...)
		}
	}
	for _, n := range c.g.Nodes {
		nodes = append(nodes, n)
		for _, v := range n.Outputs {
			if wanted(v, n) {
				report(v)
				nodes = append(nodes, c.roundTrip(index, v, n)...)
			}
		}
	}
	c.g.Nodes = nodes
	return nil
}

// constantCodes adds the codes of a constant and the node that makes them reals.
func (c *converter) constantCodes(index *graph.Index, v *graph.Value, t *tensor.Tensor, i Info) *graph.Value {
	q := graph.PerTensor(i.Scale, i.ZeroPoint)
	q.Narrow = c.o.Quantize && c.o.Schema == SchemaInt8 && t.DType() == tensor.Int8
	codes := &graph.Value{Name: index.Fresh(v.Name + "_codes"), Origin: v.Source(), Const: t,
		Type: graph.Type{DType: t.DType(), Shape: graph.FixedShape(t.Shape()...), Quant: q}}
	c.report.Constants = append(c.report.Constants, Constant{v.Source(), t.DType(), i})
	real := &graph.Value{Name: index.Fresh(v.Name + "_real"), Origin: v.Source(), Type: graph.Type{DType: tensor.Float32, Shape: codes.Type.Shape}}
	c.prefix = append(c.prefix, &graph.Node{Name: v.Name + "/dequantize", Op: &op.Dequantize{}, Inputs: []*graph.Value{codes}, Outputs: []*graph.Value{real}})
	c.scales[real] = i.Scale
	return real
}

// biasCodes adds the codes of a bias, in units of the products of the layer's input and weights.
func (c *converter) biasCodes(index *graph.Index, n *graph.Node, weightScale float32, i int) *graph.Value {
	v := n.Inputs[i]
	input := c.infos[n.Inputs[0]].info()
	sums, scale, saturated := c.numbers.bias(op.Float32s(v.Const), input.Scale, weightScale)
	if saturated > 0 {
		c.report.note("%s: %d of %d elements of its bias do not fit into 32 bits in units of %g; they are limited", n.Describe(), saturated, len(sums), scale)
	}
	return c.constantCodes(index, v, tensor.Of(sums, v.Const.Shape()...), Info{Scale: scale})
}

// roundTrip makes a value codes and reals again. The names of inputs and outputs stay with their reals.
func (c *converter) roundTrip(index *graph.Index, v *graph.Value, p *graph.Node) []*graph.Node {
	name := v.Name
	info := c.infos[v].info()
	codes := &graph.Value{Name: index.Fresh(name + "_codes"), Origin: v.Source(),
		Type: graph.Type{DType: c.numbers.activationType(), Shape: v.Type.Shape, Quant: graph.PerTensor(info.Scale, info.ZeroPoint)}}
	back := &graph.Value{Name: index.Fresh(name + "_real"), Type: v.Type}
	for _, u := range index.Uses(v) {
		u.Node.Inputs[u.Index] = back
	}
	for i, o := range c.g.Outputs {
		if o == v {
			c.g.Outputs[i] = back
		}
	}
	switch {
	case p == nil: // as MACE names them
		codes.Name, codes.Origin = index.Fresh("mace_input_node_"+name), ""
	case index.IsOutput(v):
		codes.Name, codes.Origin = index.Fresh("mace_output_node_"+name), ""
		back.Name, v.Name = name, back.Name
	}
	return []*graph.Node{
		{Name: name + "/quantize", Op: &op.Quantize{}, Inputs: []*graph.Value{v}, Outputs: []*graph.Value{codes}},
		{Name: name + "/dequantize", Op: &op.Dequantize{}, Inputs: []*graph.Value{codes}, Outputs: []*graph.Value{back}},
	}
}

// rename gives values the names that they come from where nothing else is named so.
func rename(g *graph.Graph) {
	taken := map[string]bool{}
	values := g.Values()
	for _, v := range values {
		taken[v.Name] = true
	}
	for _, v := range values {
		if v.Origin != "" && !taken[v.Origin] {
			taken[v.Origin] = true
			v.Name, v.Origin = v.Origin, ""
		}
	}
}

// islands lists the operators that stayed float.
func (c *converter) islands(reasons map[*graph.Node]string) {
	for _, n := range c.g.Nodes {
		switch n.Op.(type) {
		case *op.Quantize, *op.Dequantize, *op.Requantize:
			continue
		}
		if n.Compute != graph.Float || !slices.ContainsFunc(n.Outputs, isReal) && !slices.ContainsFunc(n.Inputs, isReal) {
			continue
		}
		reason := reasons[n]
		if reason == "" {
			reason = "its operands are not codes"
		}
		i := Island{Node: n.Name, Type: n.Op.Type(), Reason: reason}
		for _, v := range n.Outputs {
			if v != nil {
				i.Outputs = append(i.Outputs, v.Source())
			}
		}
		c.report.Islands = append(c.report.Islands, i)
	}
}

// storeLargeWeights is quantize_large_weights: constants of convolutions and products are stored as codes and made
// floats again when the model is loaded. MACE does so to their biases too, which costs accuracy and saves nothing;
// only its own arithmetic does here.
func (c *converter) storeLargeWeights() error {
	index := c.g.Index()
	for _, n := range slices.Clone(c.g.Nodes) {
		last := 1
		switch o := n.Op.(type) {
		case *op.Conv:
			if o.Groups() > 1 && n.Inputs[1].Type.Shape[o.Filter.Input(len(n.Inputs[1].Type.Shape))].Size == 1 {
				continue // depthwise
			}
		case *op.Gemm, *op.MatMul:
		default:
			continue
		}
		if c.o.Arithmetic == numeric.MACE {
			last = 2
		}
		for i := range n.Inputs {
			v := n.Inputs[i]
			if v == nil || i > last || v.Const == nil || v.Const.DType() != tensor.Float32 || len(index.Uses(v)) != 1 {
				continue
			}
			t, grid, err := c.numbers.stored(op.Float32s(v.Const), v.Const.Shape())
			if err != nil {
				return fmt.Errorf("%s: its constant %q: %w", n.Describe(), v.Source(), err)
			}
			n.Inputs[i] = c.constantCodes(index, v, t, grid.info())
		}
	}
	c.g.Nodes = append(c.prefix, c.g.Nodes...)
	if _, err := rewrite.Absorb(c.g, rewrite.AbsorbOptions{Arithmetic: c.o.Arithmetic}); err != nil {
		return err
	}
	rename(c.g)
	return nil
}
