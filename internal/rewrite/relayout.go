package rewrite

import (
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// Relayout gives all spatial operators the target layout. Values of other operators follow where that saves
// transpositions; graph inputs and outputs keep their layout, behind a Transpose where necessary. Filters stay as they
// are: their layout is an attribute of its own.
func Relayout(g *graph.Graph, target op.Layout) error {
	if _, err := op.Infer(g); err != nil {
		return err
	}
	r := &relayout{index: g.Index(), moved: map[*graph.Value]*graph.Value{}, original: map[*graph.Value]*graph.Value{}, target: target}
	for _, n := range g.Nodes {
		r.node(n)
	}
	// Outputs that only exist in the target layout are brought back.
	for _, v := range g.Outputs {
		r.asDeclared(v)
	}
	g.Nodes = r.nodes
	g.RemoveDead()
	_, err := op.Infer(g)
	return err
}

// relayout follows values through the graph. A value may exist as declared, moved to the target layout, or both.
type relayout struct {
	index    *graph.Index
	target   op.Layout
	nodes    []*graph.Node
	moved    map[*graph.Value]*graph.Value // the value in the target layout
	original map[*graph.Value]*graph.Value // producer pending: declared value → moved value it must be transposed from
}

// permutation leads from the other layout to the target one.
func (r *relayout) permutation(rank int) []int {
	perm := []int{0}
	if r.target == op.NHWC {
		for axis := 2; axis < rank; axis++ {
			perm = append(perm, axis)
		}
		return append(perm, 1)
	}
	perm = append(perm, rank-1)
	for axis := 1; axis < rank-1; axis++ {
		perm = append(perm, axis)
	}
	return perm
}

// newAxis is where an axis of the other layout is in the target one.
func (r *relayout) newAxis(axis, rank int) int {
	if axis < 0 {
		axis += rank
	}
	return slices.Index(r.permutation(rank), axis)
}

// inTarget is v in the target layout, transposed now if it does not exist yet. Constants are permuted.
func (r *relayout) inTarget(v *graph.Value) *graph.Value {
	if m := r.moved[v]; m != nil {
		return m
	}
	rank := len(v.Type.Shape)
	perm := r.permutation(rank)
	m := &graph.Value{Name: r.index.Fresh(v.Name + "_" + r.target.String()), Origin: v.Source(), Type: r.movedType(v.Type)}
	r.moved[v] = m
	n := &graph.Node{Name: v.Name + "/transpose", Op: &op.Transpose{Perm: perm}, Inputs: []*graph.Value{v}, Outputs: []*graph.Value{m}}
	if v.Type.Quant != nil {
		n.Compute, n.Arithmetic = graph.Integer, numeric.ONNX
	}
	if v.Const != nil {
		if err := evaluateConstant(n); err == nil {
			return m
		}
	}
	r.nodes = append(r.nodes, n)
	return m
}

// movedType is a type in the target layout.
func (r *relayout) movedType(t graph.Type) graph.Type {
	rank := len(t.Shape)
	shape := make(graph.Shape, rank)
	for i, p := range r.permutation(rank) {
		shape[i] = t.Shape[p]
	}
	t.Shape = shape
	if t.Quant != nil && len(t.Quant.Scale) > 1 {
		q := *t.Quant
		q.Axis = r.newAxis(q.Axis, rank)
		t.Quant = &q
	}
	return t
}

// asDeclared makes sure that v exists in its own layout.
func (r *relayout) asDeclared(v *graph.Value) {
	m := r.original[v]
	if m == nil {
		return
	}
	delete(r.original, v)
	perm := r.permutation(len(v.Type.Shape))
	inverse := make([]int, len(perm))
	for i, p := range perm {
		inverse[p] = i
	}
	n := &graph.Node{Name: v.Name + "/transpose", Op: &op.Transpose{Perm: inverse}, Inputs: []*graph.Value{m}, Outputs: []*graph.Value{v}}
	if v.Type.Quant != nil {
		n.Compute, n.Arithmetic = graph.Integer, numeric.ONNX
	}
	r.nodes = append(r.nodes, n)
}

// results gives a node's results in the target layout; they are brought back only if somebody needs them so.
func (r *relayout) results(n *graph.Node) {
	for i, v := range n.Outputs {
		if v == nil {
			continue
		}
		m := &graph.Value{Name: r.index.Fresh(v.Name + "_" + r.target.String()), Origin: v.Source(), Type: r.movedType(v.Type)}
		r.moved[v], r.original[v] = m, m
		n.Outputs[i] = m
	}
}

// node rewrites one node.
func (r *relayout) node(n *graph.Node) {
	if o, ok := r.spatial(n); ok {
		n.Op = o
		n.Inputs[0] = r.inTarget(n.Inputs[0])
		r.nodes = append(r.nodes, n)
		at := len(r.nodes) - 1
		for i := 1; i < len(n.Inputs); i++ {
			if n.Inputs[i] != nil {
				r.asDeclared(n.Inputs[i])
			}
		}
		if at != len(r.nodes)-1 { // operands were brought back: they come before the node
			r.nodes = append(slices.Delete(r.nodes, at, at+1), n)
		}
		r.results(n)
		return
	}
	if follow := followers[n.Op.Type()]; follow != nil && r.worthwhile(n) {
		copied := *n
		copied.Inputs = slices.Clone(n.Inputs)
		if o, constants, ok := follow(r, n); ok {
			n.Op = o
			for i, v := range n.Inputs {
				if c := constants[i]; c != nil {
					n.Inputs[i] = c
				} else if v != nil && r.carries(n, i) {
					n.Inputs[i] = r.inTarget(v)
				} else if v != nil {
					r.asDeclared(v)
				}
			}
			r.nodes = append(r.nodes, n)
			r.results(n)
			return
		}
		n.Inputs = copied.Inputs
	}
	for _, v := range n.Inputs {
		if v != nil {
			r.asDeclared(v)
		}
	}
	r.nodes = append(r.nodes, n)
}

// worthwhile reports whether a node should work in the target layout: an operand exists in it already, and all ranks
// are alike.
func (r *relayout) worthwhile(n *graph.Node) bool {
	if n.Outputs[0] == nil {
		return false
	}
	rank, ok := n.Outputs[0].Type.Rank()
	if !ok || rank < 3 {
		return false
	}
	there := false
	for i, v := range n.Inputs {
		if v == nil || !r.carries(n, i) {
			continue
		}
		if v.Const == nil && len(v.Type.Shape) != rank || v.Type.Shape == nil {
			return false
		}
		there = there || v.Const == nil && r.original[v] != nil
	}
	return there
}

// carries reports whether operand i of a follower holds data in the layout (as opposed to axes, bounds, …).
func (r *relayout) carries(n *graph.Node, i int) bool {
	switch n.Op.Type() {
	case "Clip", "Pad", "Slice", "Split", "Resize", "ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin":
		return i == 0
	}
	return true
}

// spatial is a spatial operator in the target layout; ok is false for others and for those that have it already.
func (r *relayout) spatial(n *graph.Node) (graph.Operator, bool) {
	if len(n.Inputs) == 0 || n.Inputs[0] == nil || len(n.Inputs[0].Type.Shape) < 3 {
		return nil, false
	}
	switch o := n.Op.(type) {
	case *op.Conv:
		return relaid(o, &o.Layout, r.target, func(c *op.Conv) { c.Layout = r.target })
	case *op.ConvTranspose:
		return relaid(o, &o.Layout, r.target, func(c *op.ConvTranspose) { c.Layout = r.target })
	case *op.MaxPool:
		if len(n.Outputs) > 1 && n.Outputs[1] != nil {
			return nil, false // indices count elements of the layout
		}
		return relaid(o, &o.Layout, r.target, func(c *op.MaxPool) { c.Layout = r.target })
	case *op.AveragePool:
		return relaid(o, &o.Layout, r.target, func(c *op.AveragePool) { c.Layout = r.target })
	case *op.GlobalAveragePool:
		return relaid(o, &o.Layout, r.target, func(c *op.GlobalAveragePool) { c.Layout = r.target })
	case *op.GlobalMaxPool:
		return relaid(o, &o.Layout, r.target, func(c *op.GlobalMaxPool) { c.Layout = r.target })
	case *op.InstanceNormalization:
		return relaid(o, &o.Layout, r.target, func(c *op.InstanceNormalization) { c.Layout = r.target })
	case *op.BatchNormalization:
		return relaid(o, &o.Layout, r.target, func(c *op.BatchNormalization) { c.Layout = r.target })
	}
	return nil, false
}

func relaid[T any, P interface {
	*T
	graph.Operator
}](o P, have *op.Layout, want op.Layout, set func(P)) (graph.Operator, bool) {
	if *have == want {
		return nil, false
	}
	copied := *o
	set(&copied)
	return P(&copied), true
}

// follower says how an operator works on moved operands: the operator to use, and constants that replace operands.
type follower func(r *relayout, n *graph.Node) (o graph.Operator, constants map[int]*graph.Value, ok bool)

// followers are the operators that can work in either layout.
var followers = buildFollowers()

func buildFollowers() map[string]follower {
	table := map[string]follower{
		"Clip": unchanged, "Concat": followConcat, "Split": followSplit, "Softmax": followSoftmax, "LogSoftmax": followLogSoftmax,
		"Pad": followPad, "Slice": followSlice, "Resize": followResize,
		"ReduceMean": followReduce, "ReduceSum": followReduce, "ReduceMax": followReduce, "ReduceMin": followReduce,
	}
	for _, name := range []string{"Relu", "LeakyRelu", "Elu", "HardSigmoid", "HardSwish", "Sigmoid", "Tanh", "Softplus", "Softsign", "Mish",
		"Erf", "Exp", "Log", "Sqrt", "Reciprocal", "Neg", "Abs", "Sign", "Ceil", "Floor", "Round", "Gelu", "Swish", "ThresholdedRelu",
		"Shrink", "Quantize", "Dequantize", "Requantize", "Cast", "Identity"} {
		table[name] = unchanged
	}
	for _, name := range []string{"Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Sum", "Mean", "PRelu"} {
		table[name] = followBroadcast
	}
	return table
}

func unchanged(_ *relayout, n *graph.Node) (graph.Operator, map[int]*graph.Value, bool) {
	return n.Op, nil, true
}

// followBroadcast permutes constants after giving them the full rank.
func followBroadcast(r *relayout, n *graph.Node) (graph.Operator, map[int]*graph.Value, bool) {
	rank := len(n.Outputs[0].Type.Shape)
	constants := map[int]*graph.Value{}
	for i, v := range n.Inputs {
		if v == nil || v.Const == nil || v.Const.Len() == 1 && len(v.Const.Shape()) <= 1 {
			if v != nil && v.Const != nil {
				constants[i] = v
			}
			continue
		}
		if v.Type.Quant != nil && !v.Type.Quant.IsPerTensor() {
			return nil, nil, false
		}
		shape := append(slices.Repeat([]int{1}, rank-len(v.Const.Shape())), v.Const.Shape()...)
		full := &graph.Value{Name: r.index.Fresh(v.Name + "_full"), Origin: v.Source(), Type: v.Type, Const: v.Const.Reshape(shape...)}
		full.Type.Shape = graph.FixedShape(shape...)
		constants[i] = r.inTarget(full)
	}
	return n.Op, constants, true
}

func followConcat(r *relayout, n *graph.Node) (graph.Operator, map[int]*graph.Value, bool) {
	o := n.Op.(*op.Concat)
	return &op.Concat{Axis: r.newAxis(o.Axis, len(n.Outputs[0].Type.Shape))}, nil, true
}

func followSplit(r *relayout, n *graph.Node) (graph.Operator, map[int]*graph.Value, bool) {
	o := n.Op.(*op.Split)
	return &op.Split{Axis: r.newAxis(o.Axis, len(n.Outputs[0].Type.Shape))}, nil, true
}

func followSoftmax(r *relayout, n *graph.Node) (graph.Operator, map[int]*graph.Value, bool) {
	o := n.Op.(*op.Softmax)
	return &op.Softmax{Axis: r.newAxis(o.Axis, len(n.Outputs[0].Type.Shape))}, nil, true
}

func followLogSoftmax(r *relayout, n *graph.Node) (graph.Operator, map[int]*graph.Value, bool) {
	o := n.Op.(*op.LogSoftmax)
	return &op.LogSoftmax{Axis: r.newAxis(o.Axis, len(n.Outputs[0].Type.Shape))}, nil, true
}

// constantAxes reads operand i as constant axes; absent ones are all of them or, with first, the first count.
func constantAxes(n *graph.Node, i, count int) ([]int64, bool) {
	v := n.Input(i)
	if v == nil {
		axes := make([]int64, count)
		for j := range axes {
			axes[j] = int64(j)
		}
		return axes, true
	}
	if v.Const == nil {
		return nil, false
	}
	return op.Int64s(v.Const), true
}

// movedAxes is a constant operand with axes of the target layout.
func (r *relayout) movedAxes(n *graph.Node, axes []int64, rank int) *graph.Value {
	moved := make([]int64, len(axes))
	for i, a := range axes {
		moved[i] = int64(r.newAxis(int(a), rank))
	}
	t := tensor.Of(moved, len(moved))
	return &graph.Value{Name: r.index.Fresh(n.Outputs[0].Name + "_axes"), Type: graph.TypeOf(t), Const: t}
}

// setInput replaces operand i, lengthening the list where it was absent.
func setInput(n *graph.Node, i int, v *graph.Value) {
	for len(n.Inputs) <= i {
		n.Inputs = append(n.Inputs, nil)
	}
	n.Inputs[i] = v
}

func followPad(r *relayout, n *graph.Node) (graph.Operator, map[int]*graph.Value, bool) {
	rank := len(n.Outputs[0].Type.Shape)
	axes, ok := constantAxes(n, 3, rank)
	if !ok {
		return nil, nil, false
	}
	moved := r.movedAxes(n, axes, rank)
	setInput(n, 3, moved)
	return n.Op, map[int]*graph.Value{3: moved}, true
}

func followSlice(r *relayout, n *graph.Node) (graph.Operator, map[int]*graph.Value, bool) {
	rank := len(n.Outputs[0].Type.Shape)
	starts := n.Input(1).Type.Shape
	if len(starts) != 1 || !starts[0].Known() {
		return nil, nil, false
	}
	axes, ok := constantAxes(n, 3, starts[0].Size)
	if !ok {
		return nil, nil, false
	}
	moved := r.movedAxes(n, axes, rank)
	setInput(n, 3, moved)
	return n.Op, map[int]*graph.Value{3: moved}, true
}

func followReduce(r *relayout, n *graph.Node) (graph.Operator, map[int]*graph.Value, bool) {
	o := n.Op.(*op.Reduce)
	rank := len(n.Inputs[0].Type.Shape)
	if !o.KeepDims || n.Input(1) == nil && o.NoopWithEmptyAxes {
		return nil, nil, false
	}
	axes, ok := constantAxes(n, 1, rank)
	if !ok || len(axes) == 0 {
		return nil, nil, false
	}
	moved := r.movedAxes(n, axes, rank)
	setInput(n, 1, moved)
	return n.Op, map[int]*graph.Value{1: moved}, true
}

func followResize(r *relayout, n *graph.Node) (graph.Operator, map[int]*graph.Value, bool) {
	o := *n.Op.(*op.Resize)
	rank := len(n.Outputs[0].Type.Shape)
	axes := o.Axes
	if len(axes) == 0 {
		for axis := range rank {
			axes = append(axes, axis)
		}
	}
	o.Axes = make([]int, len(axes))
	for i, axis := range axes {
		o.Axes[i] = r.newAxis(axis, rank)
	}
	return &o, nil, true
}
