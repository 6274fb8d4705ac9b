package rewrite

import (
	"math"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// maker is the node that makes v; nil if there is none, if it has been removed in this pass, or if v must stay a value
// of its own. Unlike only it does not mind other readers: a pattern that reads its own operands leaves them alone.
func (s *simplifier) maker(v *graph.Value) *graph.Node {
	if v == nil || v.Const != nil || s.protected(v) {
		return nil
	}
	p := s.index.Producer(v)
	if p == nil || s.gone[p] || p.Compute != graph.Float || !slices.Contains(p.Outputs, v) {
		return nil
	}
	return p
}

// plainAdd reports whether n adds without a fused activation.
func plainAdd(n *graph.Node) bool {
	o, ok := n.Op.(*op.Add)
	return ok && o.Clamp == nil
}

// product takes apart what a value multiplies: its computed factors and the product of its scalar ones. Products that
// are not needed elsewhere in the pattern are taken apart as well, to the given depth.
func (s *simplifier) product(n *graph.Node, depth int) (factors []*graph.Value, scale float64) {
	scale = 1
	operands := n.Inputs
	switch n.Op.(type) {
	case *op.Mul:
	case *op.Div:
		c, ok := scalar(n.Input(1))
		if !ok {
			return nil, 0
		}
		operands, scale = n.Inputs[:1], 1/c
	default:
		return nil, 0
	}
	for _, v := range operands {
		if c, ok := scalar(v); ok {
			scale *= c
			continue
		}
		if p := s.maker(v); p != nil && depth > 0 {
			if inner, c := s.product(p, depth-1); inner != nil {
				factors = append(factors, inner...)
				scale *= c
				continue
			}
		}
		factors = append(factors, v)
	}
	return factors, scale
}

// near compares constants as they are written by exporters, in few digits.
func near(a, b float64) bool { return math.Abs(a-b) <= 1e-5*math.Abs(b) }

// sameRank reports whether n's result has the rank of x: scalar constants of a higher rank would raise it.
func sameRank(x *graph.Value, n *graph.Node) bool {
	a, known := x.Type.Rank()
	b, alsoKnown := n.Outputs[0].Type.Rank()
	return known && alsoKnown && a == b
}

// gelu recognises x·½·(1+erf(x/√2)) and its approximation x·½·(1+tanh(√(2/π)·(x+0.044715·x³))), their factors in any
// order.
func gelu(s *simplifier, n *graph.Node) bool {
	factors, half := s.product(n, 2)
	if len(factors) != 2 || !near(half, 0.5) {
		return false
	}
	for i, x := range factors {
		one := s.maker(factors[1-i])
		if one == nil || !plainAdd(one) || !sameRank(x, n) {
			continue
		}
		inner, c, ok := withScalar(one)
		if !ok || c != 1 {
			continue
		}
		f := s.maker(inner)
		if f == nil {
			continue
		}
		argument := s.maker(f.Inputs[0])
		if argument == nil {
			continue
		}
		scaled, scale := s.product(argument, 2)
		switch f.Op.Type() {
		case "Erf":
			if len(scaled) != 1 || scaled[0] != x || !near(scale, math.Sqrt2/2) {
				continue
			}
			n.Op = &op.Gelu{}
		case "Tanh":
			if len(scaled) != 1 || !near(scale, math.Sqrt(2/math.Pi)) || !s.cubic(scaled[0], x) {
				continue
			}
			n.Op = &op.Gelu{Tanh: true}
		default:
			continue
		}
		n.Inputs = []*graph.Value{x}
		return true
	}
	return false
}

// cubic reports whether v is x + 0.044715·x³.
func (s *simplifier) cubic(v, x *graph.Value) bool {
	sum := s.maker(v)
	if sum == nil || !plainAdd(sum) {
		return false
	}
	for i := range 2 {
		p := s.maker(sum.Inputs[i])
		if p == nil || sum.Inputs[1-i] != x {
			continue
		}
		factors, scale := s.product(p, 2)
		if !near(scale, 0.044715) {
			continue
		}
		power := 0
		for _, f := range factors {
			if f == x {
				power++
			} else if q := s.maker(f); q != nil && q.Op.Type() == "Pow" && q.Inputs[0] == x {
				if e, ok := scalar(q.Input(1)); ok && e == 3 {
					power += 3
					continue
				}
				return false
			} else {
				return false
			}
		}
		if power == 3 {
			return true
		}
	}
	return false
}

// leakyMax spells max(x, a·x) with 0 < a < 1 as LeakyRelu.
func leakyMax(s *simplifier, n *graph.Node) bool {
	if _, ok := n.Op.(*op.Max); !ok || len(n.Inputs) != 2 || n.Inputs[0] == nil || !n.Inputs[0].Type.DType.IsFloat() {
		return false
	}
	for i := range 2 {
		p := s.maker(n.Inputs[i])
		if p == nil {
			continue
		}
		factors, a := s.product(p, 0)
		if len(factors) == 1 && factors[0] == n.Inputs[1-i] && a > 0 && a < 1 && sameRank(factors[0], n) {
			n.Op, n.Inputs = &op.LeakyRelu{Alpha: float32(a)}, factors
			return true
		}
	}
	return false
}

// centred is x and the axes if v is x − mean(x).
func (s *simplifier) centred(v *graph.Value) (x *graph.Value, axis int, ok bool) {
	sub := s.maker(v)
	if sub == nil || sub.Op.Type() != "Sub" || len(sub.Inputs) != 2 {
		return nil, 0, false
	}
	of, axis, ok := s.mean(sub.Inputs[1])
	return of, axis, ok && of == sub.Inputs[0]
}

// mean is x and the first axis if v is the mean of x over all axes from one on, which stay with size 1.
func (s *simplifier) mean(v *graph.Value) (x *graph.Value, axis int, ok bool) {
	n := s.maker(v)
	if n == nil || n.Op.Type() != "ReduceMean" {
		return nil, 0, false
	}
	o, isReduce := n.Op.(*op.Reduce)
	rank, known := n.Inputs[0].Type.Rank()
	if !isReduce || !o.KeepDims || !known || n.Input(1) == nil || n.Input(1).Const == nil {
		return nil, 0, false
	}
	axes := op.Int64s(n.Input(1).Const)
	seen := map[int]bool{}
	axis = rank
	for _, a := range axes {
		if a < 0 {
			a += int64(rank)
		}
		axis = min(axis, int(a))
		seen[int(a)] = true
	}
	return n.Inputs[0], axis, axis >= 0 && axis < rank && len(seen) == rank-axis && len(axes) == len(seen)
}

// layerNorm recognises (x − mean(x)) / √(mean((x − mean(x))²) + ε) over the last axes. What follows it, a multiplication
// and an addition, is taken over by affineIntoLayerNorm.
func layerNorm(s *simplifier, n *graph.Node) bool {
	if _, ok := n.Op.(*op.Div); !ok || len(n.Inputs) != 2 || n.Inputs[0].Type.DType != tensor.Float32 {
		return false
	}
	x, axis, ok := s.centred(n.Inputs[0])
	if !ok || !sameRank(x, n) {
		return false
	}
	root := s.maker(n.Inputs[1])
	if root == nil || root.Op.Type() != "Sqrt" {
		return false
	}
	sum := s.maker(root.Inputs[0])
	if sum == nil || !plainAdd(sum) {
		return false
	}
	variance, epsilon, ok := withScalar(sum)
	if !ok {
		return false
	}
	squares, over, ok := s.mean(variance)
	square := s.maker(squares)
	if !ok || over != axis || square == nil {
		return false
	}
	switch square.Op.(type) {
	case *op.Pow:
		if e, ok := scalar(square.Input(1)); !ok || e != 2 {
			return false
		}
	case *op.Mul:
		if square.Inputs[0] != square.Input(1) {
			return false
		}
	default:
		return false
	}
	if of, from, ok := s.centred(square.Inputs[0]); !ok || of != x || from != axis {
		return false
	}
	sizes, known := x.Type.Shape[axis:].Known()
	count, possible := tensor.Count(sizes)
	if !known || !possible || count == 0 {
		return false
	}
	ones := tensor.Of(slices.Repeat([]float32{1}, count), sizes...)
	n.Op = &op.LayerNormalization{Axis: axis - len(x.Type.Shape), Epsilon: float32(epsilon)}
	n.Inputs = []*graph.Value{x, s.constant(n.Outputs[0].Name+"_scale", ones)}
	return true
}

// affineIntoLayerNorm moves a multiplication by or an addition of constants into the layer normalization before it.
func affineIntoLayerNorm(s *simplifier, n *graph.Node) bool {
	x, c, _ := constantOperand(n)
	_, isMul := n.Op.(*op.Mul)
	if !isMul && !plainAdd(n) || x == nil || x.Const != nil || c.Const == nil || c.Const.DType() != tensor.Float32 {
		return false
	}
	p := s.only(x)
	if p == nil || s.gone[p] || len(p.Outputs) != 1 {
		return false
	}
	if _, ok := p.Op.(*op.LayerNormalization); !ok {
		return false
	}
	scale := p.Input(1)
	if scale == nil || scale.Const == nil || scale.Const.DType() != tensor.Float32 {
		return false
	}
	bias := p.Input(2)
	if bias != nil && (bias.Const == nil || bias.Const.DType() != tensor.Float32 || bias.Const.Len() != scale.Const.Len()) {
		return false
	}
	shape := c.Const.Shape()
	for len(shape) > 0 && shape[0] == 1 {
		shape = shape[1:]
	}
	sizes := scale.Const.Shape()
	if !slices.Equal(shape, sizes) || len(c.Const.Shape()) > len(x.Type.Shape) {
		return false
	}
	values := op.Float32s(c.Const)
	combine := func(v *graph.Value, suffix string, with func(a, b float32) float32) *graph.Value {
		result := make([]float32, len(values))
		if v != nil {
			copy(result, op.Float32s(v.Const))
		}
		for i := range result {
			result[i] = with(result[i], values[i])
		}
		made := s.constant(n.Outputs[0].Name+suffix, tensor.Of(result, sizes...))
		if v == nil {
			made.Origin = c.Source()
		}
		return made
	}
	if isMul {
		times := func(a, b float32) float32 { return a * b }
		p.Inputs[1] = combine(scale, "_scale", times)
		if bias != nil {
			p.Inputs[2] = combine(bias, "_bias", times)
		}
	} else {
		setInput(p, 2, combine(bias, "_bias", func(a, b float32) float32 { return a + b }))
	}
	p.Outputs[0] = n.Outputs[0]
	s.gone[n] = true
	return true
}

// reshapeByInference gives a Reshape whose shape is computed, and known but for one dimension, a constant shape.
func reshapeByInference(s *simplifier, n *graph.Node) bool {
	o, ok := n.Op.(*op.Reshape)
	if !ok || o.AllowZero || n.Input(1) == nil || n.Inputs[1].Const != nil {
		return false
	}
	data, ok := s.facts.Data(n.Inputs[1])
	if !ok || len(data) == 0 {
		return false
	}
	shape := make([]int64, len(data))
	unknown := 0
	for i, d := range data {
		switch {
		case !d.Known:
			shape[i] = -1
			unknown++
		case d.Value < 1:
			return false
		default:
			shape[i] = d.Value
		}
	}
	if unknown > 1 {
		return false
	}
	n.Inputs[1] = s.constant(n.Outputs[0].Name+"_shape", tensor.Of(shape, len(shape)))
	return true
}
