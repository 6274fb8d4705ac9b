// Package rewrite holds the passes over graphs: simplify, widen, relayout, absorb and expand. Each works on the graph
// in place (clone it first where the original is still needed) and leaves it legal.
package rewrite

import (
	"context"
	"fmt"
	"math"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// SimplifyOptions of Simplify; the zero value is the default.
type SimplifyOptions struct {
	// Keep names values that must survive: nothing is fused across them.
	Keep []string
	// ConstantsOnly folds constants and shape arithmetic, and leaves operators as they are.
	ConstantsOnly bool
}

// rule is one rewriting rule. It looks at a node and changes the graph around it, or returns false.
type rule func(s *simplifier, n *graph.Node) bool

// rules are tried in this order on every node, until none applies any more.
var rules = []rule{
	foldConstant, inlineBranch, reshapeByInference, dropIdentity, mergeTransposes, leakyMax, extremeToClip, batchNormToAffine,
	matMulToGemm, scaleIntoProducts, addIntoBias, layerNorm, affineIntoLayerNorm, gelu, hardSwish, swish, fuseClamp,
	padIntoWindow, affineIntoNext,
}

// constantRules are the rules of them that concern constants.
var constantRules = []rule{foldConstant, inlineBranch, reshapeByInference}

// simplifier is the state of one pass over the graph.
type simplifier struct {
	g     *graph.Graph
	rules []rule
	index *graph.Index
	facts *op.Facts
	keep  map[string]bool
	gone  map[*graph.Node]bool          // removed in this pass
	extra map[*graph.Node][]*graph.Node // nodes to put before a node
}

// Simplify folds constants and shape arithmetic, drops nodes that do nothing or that nobody needs, and fuses what
// exporters write as several nodes: batch normalization, bias, activations, padding. Fused nodes produce the last
// value under its name, so that ranges and patterns find it.
func Simplify(g *graph.Graph, o SimplifyOptions) error {
	keep := map[string]bool{}
	for _, name := range o.Keep {
		keep[name] = true
	}
	rules := rules
	if o.ConstantsOnly {
		rules = constantRules
	}
	// Every rule removes a node or turns it into one that no earlier rule makes, so that the loop ends; the cap is a
	// guard against a mistake in a rule.
	for range 10*len(g.Nodes) + 100 {
		facts, err := op.Infer(g)
		if err != nil {
			return err
		}
		// Inference serves as long as only nodes around the last changes are looked at again: rules give the values
		// that they make their types.
		changed := false
		var around map[*graph.Value]bool
		for range len(g.Nodes) + 1 {
			s := &simplifier{g, rules, g.Index(), facts, keep, map[*graph.Node]bool{}, map[*graph.Node][]*graph.Node{}}
			if around = s.pass(around); len(around) == 0 {
				break
			}
			changed = true
		}
		if g.RemoveDead() {
			changed = true
		}
		if !changed {
			return nil
		}
	}
	return fmt.Errorf("simplify: rules keep applying to graph %q", g.Name)
}

// pass tries the rules on every node or, unless around is nil, on those near the values in it, and returns the values
// that it changed something about. After a change around a node, nodes that share values with it are left to the next
// pass, because the index no longer describes them.
func (s *simplifier) pass(around map[*graph.Value]bool) map[*graph.Value]bool {
	stale := map[*graph.Value]bool{}
	for _, n := range s.g.Nodes {
		if s.gone[n] || around != nil && !s.touches(n, around) || s.touches(n, stale) {
			continue
		}
		if len(n.Outputs) == 0 || n.Outputs[0] == nil {
			continue // rules are about the first result
		}
		for _, apply := range s.rules {
			before := append(append([]*graph.Value{}, n.Inputs...), n.Outputs...)
			if !apply(s, n) {
				continue
			}
			for _, v := range append(append(before, n.Inputs...), n.Outputs...) {
				if v != nil {
					stale[v] = true
				}
			}
			break
		}
	}
	var nodes []*graph.Node
	for _, n := range s.g.Nodes {
		nodes = append(nodes, s.extra[n]...)
		if !s.gone[n] {
			nodes = append(nodes, n)
		}
	}
	s.g.Nodes = nodes
	return stale
}

// touches reports whether a node or one of its neighbours reads or makes a value that has been changed.
func (s *simplifier) touches(n *graph.Node, stale map[*graph.Value]bool) bool {
	for _, v := range n.Inputs {
		if v == nil {
			continue
		}
		if stale[v] {
			return true
		}
		if p := s.index.Producer(v); p != nil {
			if s.gone[p] {
				return true
			}
			for _, u := range p.Inputs {
				if stale[u] {
					return true
				}
			}
		}
	}
	for _, v := range n.Outputs {
		if v != nil && stale[v] {
			return true
		}
	}
	return false
}

// protected reports whether a value must keep existing as it is.
func (s *simplifier) protected(v *graph.Value) bool { return s.index.IsOutput(v) || s.keep[v.Name] }

// only is the producer of v if v has no other reader than the caller and may disappear.
func (s *simplifier) only(v *graph.Value) *graph.Node {
	if v == nil || s.protected(v) || len(s.index.Uses(v)) != 1 {
		return nil
	}
	return s.index.Producer(v)
}

// constant makes a constant value.
func (s *simplifier) constant(name string, t *tensor.Tensor) *graph.Value {
	return &graph.Value{Name: s.index.Fresh(name), Type: graph.TypeOf(t), Const: t}
}

// replace makes the readers of n's result read v, and drops n. A result that must keep its name passes it on to v's
// producer; it returns false, changing nothing, where that is impossible.
func (s *simplifier) replace(n *graph.Node, v *graph.Value) bool {
	result := n.Outputs[0]
	if s.protected(result) {
		p := s.index.Producer(v)
		if p == nil || s.protected(v) || v.Type.DType != result.Type.DType {
			return false
		}
		for i, o := range p.Outputs {
			if o == v {
				result.Type = v.Type
				p.Outputs[i] = result
			}
		}
		s.g.ReplaceUses(v, result)
		s.gone[n] = true
		return true
	}
	s.g.ReplaceUses(result, v)
	s.gone[n] = true
	return true
}

// maxFolded bounds the size of a constant made by folding: large ones are cheaper to compute than to store.
const maxFolded = 16 << 20

// representation reports whether a node changes how numbers are represented; those of constants are not folded,
// because integer weights would become floats.
func representation(n *graph.Node) bool {
	switch n.Op.(type) {
	case *op.Quantize, *op.Dequantize, *op.Requantize, *op.FakeQuantize, *op.QuantizeLinear, *op.DequantizeLinear:
		return true
	}
	return false
}

// foldConstant evaluates nodes whose operands are constant, and replaces results that inference knows.
func foldConstant(s *simplifier, n *graph.Node) bool {
	_, unknown := n.Op.(*op.Unknown)
	if _, bodied := n.Op.(op.Bodied); unknown || bodied || representation(n) || n.Compute != graph.Float {
		return false // a body may run for ever
	}
	for _, v := range n.Outputs {
		if v != nil && s.protected(v) {
			return false
		}
	}
	if len(n.Outputs) == 1 {
		if t := s.known(n.Outputs[0]); t != nil {
			return s.replace(n, s.constant(n.Outputs[0].Name, t))
		}
	}
	in := make([]*tensor.Tensor, len(n.Inputs))
	size := 0
	for i, v := range n.Inputs {
		if v == nil {
			continue
		}
		if v.Const == nil {
			return false
		}
		in[i] = v.Const
		size += len(v.Const.Bytes())
	}
	for _, v := range n.Outputs {
		if v == nil {
			continue
		}
		sizes, ok := v.Type.Shape.Known()
		if count, possible := tensor.Count(sizes); ok && (!possible || v.Type.DType.Bytes(count) > max(maxFolded, 2*size)) {
			return false
		} else if !ok && size > maxFolded {
			return false
		}
	}
	results, err := op.Evaluate(context.Background(), n, in)
	if err != nil {
		return false // it fails when run, with the same message
	}
	for i, v := range n.Outputs {
		if v != nil {
			s.g.ReplaceUses(v, s.constant(v.Name, results[i]))
		}
	}
	s.gone[n] = true
	return true
}

// known is the value of a small integer tensor that follows from shapes.
func (s *simplifier) known(v *graph.Value) *tensor.Tensor {
	if v.Type.DType != tensor.Int64 && v.Type.DType != tensor.Int32 {
		return nil
	}
	data, ok := s.facts.Data(v)
	sizes, fixed := v.Type.Shape.Known()
	if !ok || !fixed {
		return nil
	}
	ints := make([]int64, len(data))
	for i, n := range data {
		if !n.Known {
			return nil
		}
		ints[i] = n.Value
	}
	if count, _ := tensor.Count(sizes); count != len(ints) {
		return nil
	}
	return op.FromInt64s(v.Type.DType, sizes, ints)
}

// dropIdentity removes nodes that change nothing.
func dropIdentity(s *simplifier, n *graph.Node) bool {
	if len(n.Inputs) == 0 || n.Inputs[0] == nil || len(n.Outputs) != 1 {
		return false
	}
	x, y := n.Inputs[0], n.Outputs[0]
	sameShape := x.Type.Shape.Same(y.Type.Shape)
	idle := false
	switch o := n.Op.(type) {
	case *op.Identity:
		idle = true
	case *op.Cast:
		idle = x.Type.DType == o.To.DType
	case *op.Reshape, *op.Flatten, *op.Squeeze, *op.Unsqueeze, *op.Expand, *op.Slice:
		idle = sameShape
		if _, slice := n.Op.(*op.Slice); slice && idle {
			_, idle = x.Type.Shape.Known()
			steps := n.Input(4)
			idle = idle && (steps == nil || steps.Const != nil && allOnes(steps.Const))
		}
	case *op.Pad:
		pads := n.Input(1)
		idle = pads != nil && pads.Const != nil && allZero(pads.Const)
	case *op.Transpose:
		idle = true
		for i, p := range o.Perm {
			idle = idle && i == p
		}
		idle = idle && len(o.Perm) > 0
	case *op.Concat:
		idle = len(n.Inputs) == 1
	case *op.Clip:
		lowest, highest, ok := o.Bounds(n)
		idle = ok && math.IsInf(lowest, -1) && math.IsInf(highest, 1)
	}
	return idle && s.replace(n, x)
}

func allZero(t *tensor.Tensor) bool {
	for _, v := range op.Int64s(t) {
		if v != 0 {
			return false
		}
	}
	return true
}

func allOnes(t *tensor.Tensor) bool {
	for _, v := range op.Int64s(t) {
		if v != 1 {
			return false
		}
	}
	return true
}

// mergeTransposes makes one permutation of two.
func mergeTransposes(s *simplifier, n *graph.Node) bool {
	second, ok := n.Op.(*op.Transpose)
	if !ok {
		return false
	}
	p := s.index.Producer(n.Inputs[0])
	if p == nil || s.keep[n.Inputs[0].Name] {
		return false
	}
	first, ok := p.Op.(*op.Transpose)
	rank, known := n.Inputs[0].Type.Rank()
	if !ok || !known {
		return false
	}
	a, errA := first.Permutation(rank)
	b, errB := second.Permutation(rank)
	if errA != nil || errB != nil {
		return false
	}
	perm := make([]int, rank)
	for i := range perm {
		perm[i] = a[b[i]]
	}
	n.Op = &op.Transpose{Perm: perm}
	n.Inputs[0] = p.Inputs[0]
	return true
}

// scalar is the single element of a constant.
func scalar(v *graph.Value) (float64, bool) {
	if v == nil || v.Const == nil || v.Const.Len() != 1 || !v.Const.DType().IsFloat() {
		return 0, false
	}
	return op.Float64s(v.Const)[0], true
}

// withScalar splits the operands of a commutative node into a computed one and a scalar constant that does not change
// its shape.
func withScalar(n *graph.Node) (x *graph.Value, c float64, ok bool) {
	if len(n.Inputs) != 2 {
		return nil, 0, false
	}
	for i := range 2 {
		a, b := n.Inputs[i], n.Inputs[1-i]
		if c, ok := scalar(b); ok && a != nil && a.Const == nil && len(b.Type.Shape) <= len(a.Type.Shape) {
			return a, c, true
		}
	}
	return nil, 0, false
}

// extremeToClip spells Max and Min with a scalar as Clip.
func extremeToClip(s *simplifier, n *graph.Node) bool {
	_, isMax := n.Op.(*op.Max)
	_, isMin := n.Op.(*op.Min)
	if !isMax && !isMin {
		return false
	}
	x, c, ok := withScalar(n)
	if !ok || x.Type.DType != tensor.Float32 {
		return false
	}
	bound := s.constant(n.Outputs[0].Name+"_bound", tensor.Of([]float32{float32(c)}))
	n.Op = &op.Clip{}
	if isMax {
		n.Inputs = []*graph.Value{x, bound}
	} else {
		n.Inputs = []*graph.Value{x, nil, bound}
	}
	return true
}

// clampOf is the clamp that a Relu or Clip applies.
func clampOf(n *graph.Node) (*op.Clamp, bool) {
	switch o := n.Op.(type) {
	case *op.Function:
		if o.Type() == "Relu" {
			return &op.Clamp{Min: 0, Max: float32(math.Inf(1))}, true
		}
	case *op.Clip:
		lowest, highest, ok := o.Bounds(n)
		if ok && n.Inputs[0].Type.DType.IsFloat() {
			return &op.Clamp{Min: float32(lowest), Max: float32(highest)}, true
		}
	}
	return nil, false
}

// WithClamp is a copy of an operator with another clamp; ok is false if the operator has none.
func WithClamp(o graph.Operator, c *op.Clamp) (graph.Operator, bool) {
	switch o := o.(type) {
	case *op.Conv:
		copied := *o
		copied.Clamp = c
		return &copied, true
	case *op.Gemm:
		copied := *o
		copied.Clamp = c
		return &copied, true
	case *op.MatMul:
		return &op.MatMul{Clamp: c}, true
	case *op.Add:
		return &op.Add{Clamp: c}, true
	case *op.ConvTranspose:
		copied := *o
		copied.Clamp = c
		return &copied, true
	}
	return o, false
}

// ClampOf is the clamp fused into an operator; nil if there is none.
func ClampOf(o graph.Operator) *op.Clamp {
	switch o := o.(type) {
	case *op.Conv:
		return o.Clamp
	case *op.Gemm:
		return o.Clamp
	case *op.MatMul:
		return o.Clamp
	case *op.Add:
		return o.Clamp
	case *op.ConvTranspose:
		return o.Clamp
	}
	return nil
}

// fuseClamp moves a Relu or Clip into the operator before it.
func fuseClamp(s *simplifier, n *graph.Node) bool {
	clamp, ok := clampOf(n)
	if !ok {
		return false
	}
	p := s.only(n.Inputs[0])
	if p == nil || p.Compute != graph.Float || !n.Inputs[0].Type.DType.IsFloat() {
		return false
	}
	if have := ClampOf(p.Op); have != nil {
		if have.Max < clamp.Min || have.Min > clamp.Max {
			return false
		}
		clamp = &op.Clamp{Min: max(have.Min, clamp.Min), Max: min(have.Max, clamp.Max)}
	}
	fused, ok := WithClamp(p.Op, clamp)
	if !ok {
		return false
	}
	p.Op = fused
	p.Outputs[0] = n.Outputs[0]
	s.gone[n] = true
	return true
}
