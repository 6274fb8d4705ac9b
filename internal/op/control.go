package op

import (
	"context"
	"fmt"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/tensor"
)

// Control flow. A body is a graph of its own: what it reads of the graph around it are inputs of the body, at the end,
// and operands of the node, at the end. Bodies are attributes and so immutable.

// Bodied is implemented by operators that hold graphs.
type Bodied interface {
	graph.Operator
	Bodies() []*graph.Graph
	// WithBodies is the operator with other graphs in the place of its own, in the same order.
	WithBodies(bodies []*graph.Graph) graph.Operator
}

// If runs one of two bodies. Operands: a condition (one bool), then what the bodies read, all of it inputs of both.
type If struct{ Then, Else *graph.Graph }

// Loop runs Body again and again: at most as often as operand 0 says and as long as the condition, first operand 1,
// then the first result of each run, is true. Both are optional. Operands: count, condition, initial states, what the
// body reads. Inputs of the body: number of the run, condition, states, what it reads. Results of the body: condition,
// states, then values of which the node's results hold all runs', along a new first axis.
type Loop struct {
	Body   *graph.Graph
	States int
}

// Scan runs Body over slices. Operands: initial states, NumScanInputs tensors to slice, what the body reads; results:
// states, and tensors put together of slices (ONNX Scan-9). Empty lists mean axis 0 and forward direction.
type Scan struct {
	Body                                      *graph.Graph
	States, NumScanInputs                     int
	ScanInputAxes, ScanOutputAxes             []int
	ScanInputDirections, ScanOutputDirections []int // 1: from the end
}

// Type is "If".
func (*If) Type() string { return "If" }

// Type is "Loop".
func (*Loop) Type() string { return "Loop" }

// Type is "Scan".
func (*Scan) Type() string { return "Scan" }

// Bodies are both branches.
func (o *If) Bodies() []*graph.Graph { return []*graph.Graph{o.Then, o.Else} }

// WithBodies replaces both branches.
func (*If) WithBodies(bodies []*graph.Graph) graph.Operator { return &If{bodies[0], bodies[1]} }

// Bodies is the body.
func (o *Loop) Bodies() []*graph.Graph { return []*graph.Graph{o.Body} }

// WithBodies replaces the body.
func (o *Loop) WithBodies(bodies []*graph.Graph) graph.Operator {
	changed := *o
	changed.Body = bodies[0]
	return &changed
}

// Bodies is the body.
func (o *Scan) Bodies() []*graph.Graph { return []*graph.Graph{o.Body} }

// WithBodies replaces the body.
func (o *Scan) WithBodies(bodies []*graph.Graph) graph.Operator {
	changed := *o
	changed.Body = bodies[0]
	return &changed
}

// inferBody is the types of a body's results when its inputs have the given types.
func (c *Inference) inferBody(body *graph.Graph, inputs []graph.Type) ([]graph.Type, error) {
	if body == nil {
		return nil, fmt.Errorf("it has no body")
	}
	if len(inputs) != len(body.Inputs) {
		return nil, fmt.Errorf("its body has %d inputs, wants %d", len(body.Inputs), len(inputs))
	}
	g := body.Clone()
	for i, t := range inputs {
		merged, err := refine(g.Inputs[i].Type, t)
		if err != nil {
			return nil, fmt.Errorf("input %q of its body %w", g.Inputs[i].Name, err)
		}
		g.Inputs[i].Type = merged
	}
	if _, err := infer(g, c.facts.depth+1); err != nil {
		return nil, err
	}
	types := make([]graph.Type, len(g.Outputs))
	for i, v := range g.Outputs {
		types[i] = v.Type
	}
	return types, nil
}

// inputTypes is the types of the operands from first on.
func inputTypes(c *Inference, first int) []graph.Type {
	var types []graph.Type
	for i := first; i < len(c.Node.Inputs); i++ {
		types = append(types, c.In(i))
	}
	return types
}

// Infer states what both branches agree on or, where the condition is known, what its branch gives.
func (o *If) Infer(c *Inference) error {
	inputs := inputTypes(c, 1)
	if yes, ok := c.Ints(0); ok && len(yes) == 1 {
		body := o.Else
		if yes[0] != 0 {
			body = o.Then
		}
		types, err := c.inferBody(body, inputs)
		if err != nil {
			return err
		}
		if len(types) < len(c.Node.Outputs) {
			return fmt.Errorf("its branch has %d results, the node %d", len(types), len(c.Node.Outputs))
		}
		for i := range c.Node.Outputs {
			c.SetOut(i, types[i].DType, types[i].Shape)
		}
		return nil
	}
	then, err := c.inferBody(o.Then, inputs)
	if err != nil {
		return err
	}
	otherwise, err := c.inferBody(o.Else, inputs)
	if err != nil {
		return err
	}
	if len(then) != len(otherwise) || len(then) < len(c.Node.Outputs) {
		return fmt.Errorf("its branches have %d and %d results, the node %d", len(then), len(otherwise), len(c.Node.Outputs))
	}
	for i := range c.Node.Outputs {
		t := then[i]
		if t.DType != otherwise[i].DType {
			t.DType = tensor.Invalid
		}
		c.SetOut(i, t.DType, commonShape(t.Shape, otherwise[i].Shape))
	}
	return nil
}

// commonShape keeps the dimensions that two shapes agree on.
func commonShape(a, b graph.Shape) graph.Shape {
	if a == nil || b == nil || len(a) != len(b) {
		return nil
	}
	shape := slices.Clone(a)
	for i, d := range b {
		if shape[i] != d {
			shape[i] = graph.Dim{Size: graph.Unknown}
		}
	}
	return shape
}

// deepest is how deep loops may be nested for the shapes of their states to be followed: it takes several looks at a body.
const deepest = 3

// steady is the types of a body's results, of which those from the given index on are the next states. The shapes of the
// states among the inputs are widened until every run that begins with such shapes ends with them.
func (c *Inference) steady(body *graph.Graph, inputs []graph.Type, first, states, result int) ([]graph.Type, error) {
	for look := 0; look < deepest && c.facts.depth < deepest; look++ {
		results, err := c.inferBody(body, inputs)
		if err != nil || len(results) < result+states {
			break // perhaps of shapes that later runs do not have
		}
		changed := false
		for i := range states {
			t := &inputs[first+i]
			common := commonShape(t.Shape, results[result+i].Shape)
			if common == nil != (t.Shape == nil) || !slices.Equal(common, t.Shape) {
				t.Shape, changed = common, true
			}
		}
		if !changed {
			return results, nil
		}
	}
	for i := range states {
		inputs[first+i].Shape = nil
	}
	return c.inferBody(body, inputs)
}

// bodyInputs is the types of the body's inputs in every run, but for shapes of states, which are those of the first run.
func (o *Loop) bodyInputs(c *Inference) ([]graph.Type, error) {
	if len(c.Node.Inputs) < 2+o.States || o.States < 0 || o.Body == nil {
		return nil, fmt.Errorf("%d operands are too few for %d states", len(c.Node.Inputs), o.States)
	}
	types := []graph.Type{{DType: tensor.Int64, Shape: graph.Shape{}}, {DType: tensor.Bool, Shape: graph.Shape{}}}
	for i, v := range o.Body.Inputs[:min(2, len(o.Body.Inputs))] { // of rank 0 or 1, as the body has them
		if rank, ok := v.Type.Rank(); ok && rank == 1 {
			types[i].Shape = graph.FixedShape(1)
		}
	}
	return append(types, inputTypes(c, 2)...), nil
}

// endless reports whether the condition that the body gives is always true or the one that it was given.
func (o *Loop) endless() bool {
	v := o.Body.Outputs[0]
	for range o.Body.Nodes {
		if v.Const != nil || v == o.Body.Inputs[1] {
			break
		}
		i := slices.IndexFunc(o.Body.Nodes, func(n *graph.Node) bool { return slices.Contains(n.Outputs, v) })
		if i < 0 || o.Body.Nodes[i].Op.Type() != "Identity" {
			return false
		}
		v = o.Body.Nodes[i].Inputs[0]
	}
	if v.Const != nil {
		ints, ok := constantInts(v.Const)
		return ok && len(ints) == 1 && ints[0] != 0
	}
	return v == o.Body.Inputs[1]
}

// runs is how often the body runs, as far as that is known.
func (o *Loop) runs(c *Inference) graph.Dim {
	count, ok := c.Ints(0)
	if !ok || len(count) != 1 || !o.endless() {
		return graph.Dim{Size: graph.Unknown}
	}
	if c.Has(1) {
		if goOn, ok := c.Ints(1); !ok || len(goOn) != 1 {
			return graph.Dim{Size: graph.Unknown}
		} else if goOn[0] == 0 {
			count[0] = 0
		}
	}
	return Literal(max(count[0], 0)).Dim()
}

// Infer follows the shapes of states as long as runs do not change them.
func (o *Loop) Infer(c *Inference) error {
	types, err := o.bodyInputs(c)
	if err != nil {
		return err
	}
	results, err := c.steady(o.Body, types, 2, o.States, 1)
	if err != nil {
		return err
	}
	if len(results) < 1+len(c.Node.Outputs) {
		return fmt.Errorf("its body has %d results, too few for %d of the node", len(results), len(c.Node.Outputs))
	}
	runs := o.runs(c)
	for i := range c.Node.Outputs {
		t := results[1+i]
		switch {
		case i < o.States:
			c.SetOut(i, t.DType, commonShape(t.Shape, types[2+i].Shape))
		case t.Shape == nil:
			c.SetOut(i, t.DType, nil)
		default:
			c.SetOut(i, t.DType, append(graph.Shape{runs}, t.Shape...))
		}
	}
	return nil
}

// bodyInputs is the types of the body's inputs in every run, and how many runs there are.
func (o *Scan) bodyInputs(c *Inference) ([]graph.Type, graph.Dim, error) {
	steps := graph.Dim{Size: graph.Unknown}
	if o.States < 0 || o.NumScanInputs < 1 || len(c.Node.Inputs) < o.States+o.NumScanInputs {
		return nil, steps, fmt.Errorf("%d operands are too few for %d states and %d tensors", len(c.Node.Inputs), o.States, o.NumScanInputs)
	}
	types := inputTypes(c, 0)
	for i := range o.NumScanInputs {
		t := &types[o.States+i]
		if t.Shape == nil {
			continue
		}
		axis, err := normalAxis(listed(o.ScanInputAxes, i), len(t.Shape))
		if err != nil {
			return nil, steps, err
		}
		if t.Shape[axis].Known() || !steps.Known() {
			steps = t.Shape[axis]
		}
		t.Shape = joinShapes(t.Shape[:axis], t.Shape[axis+1:])
	}
	return types, steps, nil
}

// Infer slices and stacks the shapes.
func (o *Scan) Infer(c *Inference) error {
	types, steps, err := o.bodyInputs(c)
	if err != nil {
		return err
	}
	results, err := c.steady(o.Body, types, 0, o.States, 0)
	if err != nil {
		return err
	}
	if len(results) < len(c.Node.Outputs) {
		return fmt.Errorf("its body has %d results, too few for %d of the node", len(results), len(c.Node.Outputs))
	}
	for i := range c.Node.Outputs {
		t := results[i]
		switch {
		case i < o.States:
			t.Shape = commonShape(t.Shape, types[i].Shape)
		case t.Shape != nil:
			axis, err := normalAxis(listed(o.ScanOutputAxes, i-o.States), len(t.Shape)+1)
			if err != nil {
				return err
			}
			t.Shape = slices.Insert(slices.Clone(t.Shape), axis, steps)
		}
		c.SetOut(i, t.DType, t.Shape)
	}
	return nil
}

// BodyInput is what a body is given as one of its inputs in every run.
type BodyInput struct {
	Type     graph.Type   // its shape is nil where it may change from run to run
	Constant *graph.Value // what the body reads of the graph around it, if that is constant
}

// BodyInputs is what the inputs of a node's bodies are, the same for all of them. Types of operands must have been
// inferred.
func BodyInputs(n *graph.Node) ([]BodyInput, error) {
	c := &Inference{Node: n, facts: &Facts{data: map[*graph.Value][]Int{}}}
	var types []graph.Type
	var err error
	var around int // operand of the node that the first of what bodies read around them is
	switch o := n.Op.(type) {
	case *If:
		around = 1
	case *FlexAttention:
		types = []graph.Type{{DType: o.precision(c.In(0).DType)}}
		around = 3
	case *Loop:
		if types, err = o.bodyInputs(c); err != nil {
			return nil, err
		}
		_, err = c.steady(o.Body, types, 2, o.States, 1)
		around, types = 2+o.States, types[:2+o.States]
	case *Scan:
		if types, _, err = o.bodyInputs(c); err != nil {
			return nil, err
		}
		_, err = c.steady(o.Body, types, 0, o.States, 0)
		around = o.States + o.NumScanInputs
		types = types[:around]
	default:
		return nil, fmt.Errorf("%s has no bodies", n.Op.Type())
	}
	inputs := convert(types, func(t graph.Type) BodyInput { return BodyInput{Type: t} })
	for _, v := range n.Inputs[min(around, len(n.Inputs)):] {
		in := BodyInput{Type: v.Type}
		if v.Const != nil {
			in.Constant = v
		}
		inputs = append(inputs, in)
	}
	return inputs, err
}

// listed is entry i, 0 where the list has none.
func listed(list []int, i int) int {
	if i < len(list) {
		return list[i]
	}
	return 0
}

// RunBody runs a graph, which is a body of the node that asks. Inputs and outputs are in the graph's order; those that are
// returned must not change later.
type RunBody func(ctx context.Context, body *graph.Graph, inputs []*tensor.Tensor) ([]*tensor.Tensor, error)

// Run evaluates a graph node by node by the operators' definitions and returns its outputs. Inputs and outputs are in
// the graph's order.
func Run(ctx context.Context, g *graph.Graph, inputs []*tensor.Tensor) ([]*tensor.Tensor, error) {
	if len(inputs) != len(g.Inputs) {
		return nil, fmt.Errorf("graph %q takes %d inputs, not %d", g.Name, len(g.Inputs), len(inputs))
	}
	values := map[*graph.Value]*tensor.Tensor{}
	for i, v := range g.Inputs {
		values[v] = inputs[i]
	}
	read := func(v *graph.Value) *tensor.Tensor {
		if v != nil && v.Const != nil {
			return v.Const
		}
		return values[v]
	}
	for _, n := range g.Nodes {
		results, err := Evaluate(ctx, n, convert(n.Inputs, read))
		if err != nil {
			return nil, err
		}
		for i, v := range n.Outputs {
			if v != nil {
				values[v] = results[i]
			}
		}
	}
	return convert(g.Outputs, read), nil
}

// condition reads a single bool.
func condition(t *tensor.Tensor) (bool, error) {
	if t.DType() != tensor.Bool || t.Len() != 1 {
		return false, fmt.Errorf("the condition is %s, wants one bool", t)
	}
	return t.Bytes()[0] != 0, nil
}

// Evaluate runs the branch that the condition chooses.
func (o *If) Evaluate(c *Evaluation) error {
	if err := c.require(1); err != nil {
		return err
	}
	yes, err := condition(c.In(0))
	if err != nil {
		return err
	}
	body := o.Else
	if yes {
		body = o.Then
	}
	results, err := c.run(c.ctx, body, c.in[1:])
	if err != nil {
		return err
	}
	for i, t := range results {
		c.Set(i, t)
	}
	return nil
}

// Evaluate runs the body until count or condition end it.
func (o *Loop) Evaluate(c *Evaluation) error {
	goOn, most := true, int64(-1)
	if c.Has(0) {
		n, err := scalarInt(c, 0)
		if err != nil {
			return err
		}
		most = max(n, 0)
	}
	if c.Has(1) {
		var err error
		if goOn, err = condition(c.In(1)); err != nil {
			return err
		}
	}
	states, around := slices.Clone(c.in[2:2+o.States]), c.in[2+o.States:]
	scans := make([][]*tensor.Tensor, len(o.Body.Outputs)-1-o.States)
	scalarLike := func(v *graph.Value, t *tensor.Tensor) *tensor.Tensor {
		if rank, ok := v.Type.Rank(); ok && rank == 1 {
			return t.Reshape(1)
		}
		return t
	}
	for run := int64(0); goOn && (most < 0 || run < most); run++ {
		if most < 0 && !c.Has(1) && run == 0 && o.Body.Outputs[0].Const != nil {
			return fmt.Errorf("it has neither a count nor a condition that can end it")
		}
		in := []*tensor.Tensor{scalarLike(o.Body.Inputs[0], tensor.Of([]int64{run})), scalarLike(o.Body.Inputs[1], tensor.Of([]bool{true}))}
		results, err := c.run(c.ctx, o.Body, append(append(in, states...), around...))
		if err != nil {
			return err
		}
		if goOn, err = condition(results[0]); err != nil {
			return err
		}
		states = slices.Clone(results[1 : 1+o.States])
		for i, t := range results[1+o.States:] {
			scans[i] = append(scans[i], t)
		}
	}
	for i, t := range states {
		c.Set(i, t)
	}
	for i, slices := range scans {
		t, err := stack(slices, 0, o.Body.Outputs[1+o.States+i].Type)
		if err != nil {
			return err
		}
		c.Set(o.States+i, t)
	}
	return nil
}

// stack puts tensors of one type and shape together along a new axis. Without any, the shape is that of t as far as it
// is known.
func stack(parts []*tensor.Tensor, axis int, t graph.Type) (*tensor.Tensor, error) {
	if len(parts) == 0 {
		shape := []int{0}
		for _, d := range t.Shape {
			shape = append(shape, max(d.Size, 0))
		}
		if t.DType == tensor.Invalid {
			return nil, fmt.Errorf("nothing was computed, and its element type is not known")
		}
		return tensor.New(t.DType, shape...), nil
	}
	first := parts[0]
	axis, err := normalAxis(axis, len(first.Shape())+1)
	if err != nil {
		return nil, err
	}
	for _, p := range parts {
		if p.DType() != first.DType() || !slices.Equal(p.Shape(), first.Shape()) {
			return nil, fmt.Errorf("one run gave %s, another %s", first, p)
		}
	}
	shape := slices.Insert(slices.Clone(first.Shape()), axis, len(parts))
	bits := first.DType().Bits()
	if bits < 8 {
		return nil, fmt.Errorf("%s cannot be collected: its elements are smaller than a byte", first)
	}
	out := tensor.New(first.DType(), shape...)
	row := product(first.Shape()[axis:]) * bits / 8
	for outer := range product(first.Shape()[:axis]) {
		for i, p := range parts {
			copy(out.Bytes()[(outer*len(parts)+i)*row:][:row], p.Bytes()[outer*row:])
		}
	}
	return out, nil
}

// Evaluate slices, runs and stacks.
func (o *Scan) Evaluate(c *Evaluation) error {
	states := slices.Clone(c.in[:o.States])
	sliced, around := c.in[o.States:o.States+o.NumScanInputs], c.in[o.States+o.NumScanInputs:]
	steps := -1
	for i, t := range sliced {
		if t == nil {
			return fmt.Errorf("operand %d is missing", o.States+i)
		}
		axis, err := normalAxis(listed(o.ScanInputAxes, i), len(t.Shape()))
		if err != nil {
			return err
		}
		if n := t.Shape()[axis]; steps >= 0 && n != steps {
			return fmt.Errorf("operands have %d and %d slices", steps, n)
		}
		steps = t.Shape()[axis]
	}
	scans := make([][]*tensor.Tensor, len(o.Body.Outputs)-o.States)
	for step := range steps {
		in := slices.Clone(states)
		for i, t := range sliced {
			axis, _ := normalAxis(listed(o.ScanInputAxes, i), len(t.Shape()))
			at := step
			if listed(o.ScanInputDirections, i) == 1 {
				at = steps - 1 - step
			}
			in = append(in, sliceAt(t, axis, at))
		}
		results, err := c.run(c.ctx, o.Body, append(in, around...))
		if err != nil {
			return err
		}
		states = slices.Clone(results[:o.States])
		for i, t := range results[o.States:] {
			scans[i] = append(scans[i], t)
		}
	}
	for i, t := range states {
		c.Set(i, t)
	}
	for i, parts := range scans {
		if listed(o.ScanOutputDirections, i) == 1 {
			slices.Reverse(parts)
		}
		t, err := stack(parts, listed(o.ScanOutputAxes, i), o.Body.Outputs[o.States+i].Type)
		if err != nil {
			return err
		}
		c.Set(o.States+i, t)
	}
	return nil
}

// sliceAt is one slice along an axis, without that axis.
func sliceAt(t *tensor.Tensor, axis, at int) *tensor.Tensor {
	shape := slices.Delete(slices.Clone(t.Shape()), axis, axis+1)
	inner, size := product(t.Shape()[axis+1:]), t.Shape()[axis]
	return pick(t, shape, func(i int) int { return (i/inner*size+at)*inner + i%inner })
}
