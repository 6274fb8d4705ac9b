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
	Bodies() []*graph.Graph
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

// Bodies is the body.
func (o *Loop) Bodies() []*graph.Graph { return []*graph.Graph{o.Body} }

// Bodies is the body.
func (o *Scan) Bodies() []*graph.Graph { return []*graph.Graph{o.Body} }

// inferBody is the types of a body's results when its inputs have the given types.
func inferBody(body *graph.Graph, inputs []graph.Type) ([]graph.Type, error) {
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
	if _, err := Infer(g); err != nil {
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

// Infer states what both branches agree on.
func (o *If) Infer(c *Inference) error {
	then, err := inferBody(o.Then, inputTypes(c, 1))
	if err != nil {
		return err
	}
	otherwise, err := inferBody(o.Else, inputTypes(c, 1))
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

// Infer keeps element types; shapes of states may change from run to run.
func (o *Loop) Infer(c *Inference) error {
	if len(c.Node.Inputs) < 2+o.States || o.States < 0 {
		return fmt.Errorf("%d operands are too few for %d states", len(c.Node.Inputs), o.States)
	}
	types := []graph.Type{{DType: tensor.Int64, Shape: graph.Shape{}}, {DType: tensor.Bool, Shape: graph.Shape{}}}
	for i, t := range inputTypes(c, 2) {
		if i < o.States {
			t.Shape = nil
		}
		types = append(types, t)
	}
	if o.Body != nil {
		for i, v := range o.Body.Inputs[:min(2, len(o.Body.Inputs))] { // of rank 0 or 1, as the body has them
			types[i].Shape = v.Type.Shape
		}
	}
	results, err := inferBody(o.Body, types)
	if err != nil {
		return err
	}
	if len(results) < 1+len(c.Node.Outputs) {
		return fmt.Errorf("its body has %d results, too few for %d of the node", len(results), len(c.Node.Outputs))
	}
	for i := range c.Node.Outputs {
		t := results[1+i]
		switch {
		case i < o.States:
			c.SetOut(i, t.DType, commonShape(t.Shape, c.In(2+i).Shape))
		case t.Shape == nil:
			c.SetOut(i, t.DType, nil)
		default:
			c.SetOut(i, t.DType, append(graph.Shape{{Size: graph.Unknown}}, t.Shape...))
		}
	}
	return nil
}

// Infer slices and stacks the shapes.
func (o *Scan) Infer(c *Inference) error {
	if o.States < 0 || o.NumScanInputs < 1 || len(c.Node.Inputs) < o.States+o.NumScanInputs {
		return fmt.Errorf("%d operands are too few for %d states and %d tensors", len(c.Node.Inputs), o.States, o.NumScanInputs)
	}
	types := inputTypes(c, 0)
	steps := graph.Dim{Size: graph.Unknown}
	for i := range o.NumScanInputs {
		t := &types[o.States+i]
		if t.Shape == nil {
			continue
		}
		axis, err := normalAxis(listed(o.ScanInputAxes, i), len(t.Shape))
		if err != nil {
			return err
		}
		if t.Shape[axis].Known() || !steps.Known() {
			steps = t.Shape[axis]
		}
		t.Shape = joinShapes(t.Shape[:axis], t.Shape[axis+1:])
	}
	results, err := inferBody(o.Body, types)
	if err != nil {
		return err
	}
	if len(results) < len(c.Node.Outputs) {
		return fmt.Errorf("its body has %d results, too few for %d of the node", len(results), len(c.Node.Outputs))
	}
	for i := range c.Node.Outputs {
		t := results[i]
		if i >= o.States && t.Shape != nil {
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

// listed is entry i, 0 where the list has none.
func listed(list []int, i int) int {
	if i < len(list) {
		return list[i]
	}
	return 0
}

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
	results, err := Run(c.ctx, body, c.in[1:])
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
		results, err := Run(c.ctx, o.Body, append(append(in, states...), around...))
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
		results, err := Run(c.ctx, o.Body, append(in, around...))
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

// FlexAttention is attention whose scores and probabilities bodies may change (ONNX preview FlexAttention-1). Operands:
// Q [batch, heads, length, size], K, V, then what the bodies read, all of it inputs of both; the first input of a body
// is what it changes.
type FlexAttention struct {
	ScoreMod, ProbMod *graph.Graph
	Scale             float32 // 0 means 1/√size
	SoftmaxPrecision  OutputType
}

// Type is "FlexAttention".
func (*FlexAttention) Type() string { return "FlexAttention" }

// Bodies are those that there are.
func (o *FlexAttention) Bodies() []*graph.Graph {
	return slices.DeleteFunc([]*graph.Graph{o.ScoreMod, o.ProbMod}, func(g *graph.Graph) bool { return g == nil })
}

// Infer takes all but the last dimension from Q.
func (o *FlexAttention) Infer(c *Inference) error {
	q, ok1 := c.In(0).Rank()
	v, ok2 := c.In(2).Rank()
	if !ok1 || !ok2 {
		c.SetOut(0, c.In(0).DType, nil)
		return nil
	}
	if q != 4 || v != 4 {
		return fmt.Errorf("operands have %d and %d dimensions, wants 4", q, v)
	}
	c.SetOut(0, c.In(0).DType, joinShapes(c.In(0).Shape[:3], c.In(2).Shape[3:]))
	return nil
}

// Evaluate runs the bodies between the steps of Attention.
func (o *FlexAttention) Evaluate(c *Evaluation) error {
	if err := c.require(3); err != nil {
		return err
	}
	if err := wantFloats(c, 0, 1, 2); err != nil {
		return err
	}
	var operands [3]*heads
	for i := range operands {
		h, err := readHeads(c, i, 0)
		if err != nil {
			return err
		}
		operands[i] = h
	}
	q, k, v := operands[0], operands[1], operands[2]
	if k.batch != q.batch || v.batch != q.batch || k.size != q.size || v.length != k.length || v.heads != k.heads || k.heads == 0 || q.heads%k.heads != 0 {
		return fmt.Errorf("Q %v, K %v and V %v do not fit each other", q.shape(), k.shape(), v.shape())
	}
	precision := o.SoftmaxPrecision.DType
	if precision == tensor.Invalid {
		if precision = c.In(0).DType(); precision != tensor.Float64 {
			precision = tensor.Float32
		}
	}
	plain := &Attention{Scale: o.Scale, LeftWindowSize: -1, RightWindowSize: -1}
	_, scores := plain.attend(q, k, v, func(int, int, int, int) float64 { return 0 })
	shape := []int{q.batch, q.heads, q.length, k.length}
	change := func(body *graph.Graph, values []float64) ([]float64, error) {
		if body == nil {
			return values, nil
		}
		results, err := Run(c.ctx, body, append([]*tensor.Tensor{FromFloat64s(precision, shape, values)}, c.in[3:]...))
		if err != nil {
			return nil, err
		}
		if len(results) != 1 || results[0].Len() != len(values) || !results[0].DType().IsFloat() {
			return nil, fmt.Errorf("a body made %v of scores %v", results, shape)
		}
		return slices.Clone(Float64s(results[0])), nil
	}
	scores, err := change(o.ScoreMod, scores)
	if err != nil {
		return err
	}
	for i := 0; i < len(scores); i += k.length {
		softmaxRow(scores[i : i+k.length])
	}
	if scores, err = change(o.ProbMod, scores); err != nil {
		return err
	}
	y := make([]float64, 0, q.batch*q.heads*q.length*v.size)
	for i := range q.batch * q.heads * q.length {
		b, h := i/q.length/q.heads, i/q.length%q.heads
		for d := range v.size {
			sum := 0.0
			for j := range k.length {
				sum += scores[i*k.length+j] * v.row(b, h/(q.heads/k.heads), j)[d]
			}
			y = append(y, sum)
		}
	}
	c.Set(0, FromFloat64s(c.In(0).DType(), []int{q.batch, q.heads, q.length, v.size}, y))
	return nil
}
