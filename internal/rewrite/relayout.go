package rewrite

import (
	"slices"
	"strings"

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

// KeepNames gives values that Relayout made, and that now exist in the target layout only, the names that they had before.
func KeepNames(g *graph.Graph, target op.Layout) {
	taken := map[string]bool{}
	for _, v := range g.Values() {
		taken[v.Name] = true
	}
	for _, v := range g.Values() {
		name, moved := strings.CutSuffix(v.Name, "_"+target.String())
		if moved && v.Const == nil && v.Origin != "" && !taken[name] {
			v.Name = name
			taken[name] = true
		}
	}
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
	if r.worthwhile(n) {
		copied := *n
		copied.Inputs = slices.Clone(n.Inputs)
		if o, constants, ok := r.follow(n); ok {
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
	if len(n.Outputs) == 0 || n.Outputs[0] == nil {
		return false
	}
	rank, ok := n.Outputs[0].Type.Rank()
	if !ok || rank < 3 || slices.ContainsFunc(n.Outputs, func(v *graph.Value) bool { return v != nil && len(v.Type.Shape) != rank }) {
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
	switch n.Op.(type) {
	case *op.Clip, *op.Pad, *op.Slice, *op.Split, *op.Resize, *op.Reduce:
		return i == 0
	case *op.Add, *op.Sub, *op.Mul, *op.Div, *op.Pow, *op.Max, *op.Min, *op.Sum, *op.Mean, *op.PRelu:
		return !isNumber(n.Inputs[i])
	}
	return true
}

// isNumber reports whether a value that is computed (the real of a constant's code, say) is a single number, which is the same
// in every layout.
func isNumber(v *graph.Value) bool {
	if v == nil || v.Const != nil || v.Type.Shape == nil || len(v.Type.Shape) > 1 {
		return false
	}
	shape, known := v.Type.Shape.Known()
	return known && (len(shape) == 0 || shape[0] == 1)
}

// spatial is a spatial operator in the target layout; ok is false for others and for those that have it already.
func (r *relayout) spatial(n *graph.Node) (graph.Operator, bool) {
	if len(n.Inputs) == 0 || n.Inputs[0] == nil || len(n.Inputs[0].Type.Shape) < 3 {
		return nil, false
	}
	rank := len(n.Inputs[0].Type.Shape)
	if slices.ContainsFunc(n.Outputs, func(v *graph.Value) bool { return v != nil && len(v.Type.Shape) != rank }) {
		return nil, false // statistics of training
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
	case *op.GroupNormalization:
		return relaid(o, &o.Layout, r.target, func(c *op.GroupNormalization) { c.Layout = r.target })
	case *op.LRN:
		return relaid(o, &o.Layout, r.target, func(c *op.LRN) { c.Layout = r.target })
	case *op.LpPool:
		return relaid(o, &o.Layout, r.target, func(c *op.LpPool) { c.Layout = r.target })
	case *op.GlobalLpPool:
		return relaid(o, &o.Layout, r.target, func(c *op.GlobalLpPool) { c.Layout = r.target })
	case *op.DepthToSpace:
		return relaid(o, &o.Layout, r.target, func(c *op.DepthToSpace) { c.Layout = r.target })
	case *op.SpaceToDepth:
		return relaid(o, &o.Layout, r.target, func(c *op.SpaceToDepth) { c.Layout = r.target })
	case *op.MeanVarianceNormalization:
		return relaid(o, &o.Layout, r.target, func(c *op.MeanVarianceNormalization) {
			c.Layout = r.target
			c.Axes = slices.Clone(c.Axes)
			for i, axis := range c.Axes {
				c.Axes[i] = r.newAxis(axis, rank)
			}
		})
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

// follow says how an operator that is not tied to a layout works on moved operands: the operator to use, and constants
// that replace operands. ok is false for operators that cannot.
func (r *relayout) follow(n *graph.Node) (o graph.Operator, constants map[int]*graph.Value, ok bool) {
	axis := func(a int) int { return r.newAxis(a, len(n.Outputs[0].Type.Shape)) }
	switch o := n.Op.(type) {
	case *op.Function, *op.LeakyRelu, *op.Elu, *op.HardSigmoid, *op.Gelu, *op.Swish, *op.ThresholdedRelu, *op.Shrink,
		*op.Clip, *op.Quantize, *op.Dequantize, *op.Requantize, *op.Cast, *op.Identity:
		return o, nil, true
	case *op.Add, *op.Sub, *op.Mul, *op.Div, *op.Pow, *op.Max, *op.Min, *op.Sum, *op.Mean, *op.PRelu:
		return r.followBroadcast(n)
	case *op.Concat:
		return &op.Concat{Axis: axis(o.Axis)}, nil, true
	case *op.Split:
		return &op.Split{Axis: axis(o.Axis)}, nil, true
	case *op.Softmax:
		return &op.Softmax{Axis: axis(o.Axis)}, nil, true
	case *op.LogSoftmax:
		return &op.LogSoftmax{Axis: axis(o.Axis)}, nil, true
	case *op.ArgMax:
		copied := *o
		copied.Axis = axis(o.Axis)
		return &copied, nil, o.KeepDims
	case *op.Pad:
		return r.followPad(n)
	case *op.Slice:
		return r.followSlice(n)
	case *op.Reduce:
		return r.followReduce(n, o)
	case *op.Resize:
		return r.followResize(n, o)
	}
	return nil, nil, false
}

// followBroadcast permutes constants after giving them the full rank.
func (r *relayout) followBroadcast(n *graph.Node) (graph.Operator, map[int]*graph.Value, bool) {
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

func (r *relayout) followPad(n *graph.Node) (graph.Operator, map[int]*graph.Value, bool) {
	rank := len(n.Outputs[0].Type.Shape)
	axes, ok := constantAxes(n, 3, rank)
	if !ok {
		return nil, nil, false
	}
	moved := r.movedAxes(n, axes, rank)
	setInput(n, 3, moved)
	return n.Op, map[int]*graph.Value{3: moved}, true
}

func (r *relayout) followSlice(n *graph.Node) (graph.Operator, map[int]*graph.Value, bool) {
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

func (r *relayout) followReduce(n *graph.Node, o *op.Reduce) (graph.Operator, map[int]*graph.Value, bool) {
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

func (r *relayout) followResize(n *graph.Node, from *op.Resize) (graph.Operator, map[int]*graph.Value, bool) {
	o := *from
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
