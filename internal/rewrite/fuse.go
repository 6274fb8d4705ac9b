package rewrite

import (
	"math"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// batchNormToAffine spells batch normalization with constant statistics as a multiplication and an addition, which
// other rules move into the layer before.
func batchNormToAffine(s *simplifier, n *graph.Node) bool {
	o, ok := n.Op.(*op.BatchNormalization)
	if !ok || len(n.Inputs) != 5 {
		return false
	}
	rank, known := n.Inputs[0].Type.Rank()
	if !known || rank < 2 || n.Inputs[0].Type.DType != tensor.Float32 {
		return false
	}
	p := make([][]float64, 5)
	for i := 1; i < 5; i++ {
		if n.Inputs[i].Const == nil {
			return false
		}
		p[i] = op.Float64s(n.Inputs[i].Const)
	}
	channels := len(p[1])
	factor, shift := make([]float32, channels), make([]float32, channels)
	for c := range channels {
		f := p[1][c] / math.Sqrt(p[4][c]+float64(o.Epsilon))
		factor[c] = float32(f)
		shift[c] = float32(p[2][c] - float64(p[3][c]*f))
	}
	shape := perChannel(o.Layout, rank, channels)
	y := n.Outputs[0]
	scaled := &graph.Value{Name: s.index.Fresh(y.Name + "_scaled"), Type: n.Inputs[0].Type}
	s.extra[n] = append(s.extra[n], &graph.Node{
		Name: n.Name + "/scale", Op: &op.Mul{},
		Inputs:  []*graph.Value{n.Inputs[0], s.constant(y.Name+"_factor", tensor.Of(factor, shape...))},
		Outputs: []*graph.Value{scaled},
	})
	n.Op = &op.Add{}
	n.Inputs = []*graph.Value{scaled, s.constant(y.Name+"_shift", tensor.Of(shift, shape...))}
	return true
}

// perChannel is the shape in which one number per channel is broadcast to a value of the given rank.
func perChannel(l op.Layout, rank, channels int) []int {
	shape := slices.Repeat([]int{1}, rank)
	shape[l.Channel(rank)] = channels
	return shape
}

// matMulToGemm gives a matrix product with a constant matrix the form that can take a bias.
func matMulToGemm(_ *simplifier, n *graph.Node) bool {
	o, ok := n.Op.(*op.MatMul)
	if !ok || n.Compute != graph.Float || len(n.Inputs[0].Type.Shape) != 2 || len(n.Inputs[1].Type.Shape) != 2 ||
		!n.Inputs[0].Type.DType.IsFloat() {
		return false
	}
	n.Op = &op.Gemm{Alpha: 1, Beta: 1, Clamp: o.Clamp}
	return true
}

// layer is a node that multiplies by constant weights, seen alike for all operators that do.
type layer struct {
	node       *graph.Node
	channels   int // output channels
	weightAxis int // of output channels in the weights
	axis       int // of output channels in the result
	rank       int // of the result
}

// layerBefore is the layer whose only reader is the caller, if nothing is fused into it yet that must come last.
func (s *simplifier) layerBefore(v *graph.Value) (layer, bool) {
	n := s.only(v)
	if n == nil || n.Compute != graph.Float || ClampOf(n.Op) != nil || len(n.Inputs) < 2 || n.Inputs[1] == nil || n.Inputs[1].Const == nil ||
		n.Inputs[1].Const.DType() != tensor.Float32 {
		return layer{}, false
	}
	w := n.Inputs[1].Type.Shape
	rank, ok := n.Outputs[0].Type.Rank()
	if !ok {
		return layer{}, false
	}
	l := layer{node: n, rank: rank}
	switch o := n.Op.(type) {
	case *op.Conv:
		l.weightAxis, l.axis = o.Filter.Output(len(w)), o.Layout.Channel(rank)
	case *op.ConvTranspose:
		if o.Groups() > 1 {
			return layer{}, false // output channels of different groups share weights' positions
		}
		l.weightAxis, l.axis = o.Filter.Output(len(w)), o.Layout.Channel(rank)
		if o.Filter == op.OIHW { // ONNX has the input channels first here
			l.weightAxis = o.Filter.Input(len(w))
		}
	case *op.Gemm:
		if o.Alpha != 1 || n.Input(2) != nil && o.Beta != 1 {
			return layer{}, false
		}
		l.weightAxis, l.axis = 1, 1
		if o.TransB {
			l.weightAxis = 0
		}
	default:
		return layer{}, false
	}
	l.channels = w[l.weightAxis].Size
	if b := n.Input(2); b != nil && (b.Const == nil || b.Const.DType() != tensor.Float32 || b.Const.Len() != l.channels) {
		return layer{}, false
	}
	return l, true
}

// perOutput reads a constant operand as one number per output channel; ok is false if it is anything else.
func (l layer) perOutput(v *graph.Value) ([]float32, bool) {
	if v == nil || v.Const == nil || v.Const.DType() != tensor.Float32 || len(v.Const.Shape()) > l.rank {
		return nil, false
	}
	values := op.Float32s(v.Const)
	if len(values) == 1 {
		return slices.Repeat(values, l.channels), true
	}
	shape := v.Const.Shape()
	at := l.axis - (l.rank - len(shape)) // operands are aligned at the last dimension
	if len(values) != l.channels || at < 0 || shape[at] != l.channels {
		return nil, false
	}
	return values, true
}

// constantOperand splits the operands of a node of two into the computed and the constant one. Nodes of other operators
// may lack one.
func constantOperand(n *graph.Node) (x, c *graph.Value, first bool) {
	if len(n.Inputs) != 2 || n.Inputs[0] == nil || n.Inputs[1] == nil {
		return nil, nil, false
	}
	if n.Inputs[1].Const != nil {
		return n.Inputs[0], n.Inputs[1], true
	}
	return n.Inputs[1], n.Inputs[0], false
}

// takeResult makes a layer produce the result of the node fused into it.
func (s *simplifier) takeResult(l layer, n *graph.Node) {
	l.node.Outputs[0] = n.Outputs[0]
	s.gone[n] = true
}

// scaleIntoProducts moves a multiplication or division by constants per output channel into the weights and bias
// before it.
func scaleIntoProducts(s *simplifier, n *graph.Node) bool {
	x, c, second := constantOperand(n)
	_, isDiv := n.Op.(*op.Div)
	if _, isMul := n.Op.(*op.Mul); !isMul && !(isDiv && second) || x == nil || x.Const != nil {
		return false
	}
	l, ok := s.layerBefore(x)
	if !ok {
		return false
	}
	factors, ok := l.perOutput(c)
	if !ok {
		return false
	}
	if isDiv {
		factors = slices.Clone(factors)
		for i, f := range factors {
			factors[i] = 1 / f
		}
	}
	w := l.node.Inputs[1]
	inner := 1
	for _, d := range w.Type.Shape[l.weightAxis+1:] {
		inner *= d.Size
	}
	scaled := slices.Clone(op.Float32s(w.Const))
	for i := range scaled {
		scaled[i] *= factors[i/inner%l.channels]
	}
	weights := s.constant(w.Name, tensor.Of(scaled, w.Const.Shape()...))
	weights.Origin = w.Source()
	l.node.Inputs[1] = weights
	if b := l.node.Input(2); b != nil {
		bias := slices.Clone(op.Float32s(b.Const))
		for i := range bias {
			bias[i] *= factors[i]
		}
		value := s.constant(b.Name, tensor.Of(bias, b.Const.Shape()...))
		value.Origin = b.Source()
		l.node.Inputs[2] = value
	}
	s.takeResult(l, n)
	return true
}

// addIntoBias moves an addition or subtraction of constants per output channel into the bias before it.
func addIntoBias(s *simplifier, n *graph.Node) bool {
	x, c, second := constantOperand(n)
	add, isAdd := n.Op.(*op.Add)
	_, isSub := n.Op.(*op.Sub)
	if !isAdd && !(isSub && second) || x == nil || x.Const != nil {
		return false
	}
	l, ok := s.layerBefore(x)
	if !ok {
		return false
	}
	shifts, ok := l.perOutput(c)
	if !ok {
		return false
	}
	bias := make([]float32, l.channels)
	if b := l.node.Input(2); b != nil {
		copy(bias, op.Float32s(b.Const))
	}
	for i, v := range shifts {
		if isSub {
			v = -v
		}
		bias[i] += v
	}
	for len(l.node.Inputs) < 3 {
		l.node.Inputs = append(l.node.Inputs, nil)
	}
	l.node.Inputs[2] = s.constant(n.Outputs[0].Name+"_bias", tensor.Of(bias, l.channels))
	if isAdd && add.Clamp != nil {
		l.node.Op, _ = WithClamp(l.node.Op, add.Clamp)
	}
	if g, ok := l.node.Op.(*op.Gemm); ok {
		copied := *g
		copied.Beta = 1
		l.node.Op = &copied
	}
	s.takeResult(l, n)
	return true
}

// sixClamped is x if v is min(max(x+3, 0), 6), in any spelling.
func (s *simplifier) sixClamped(v *graph.Value) *graph.Value {
	n := s.only(v)
	if n == nil {
		return nil
	}
	clamp := ClampOf(n.Op)
	if c, ok := clampOf(n); ok {
		clamp = c
		if n = s.only(n.Inputs[0]); n == nil {
			return nil
		}
	}
	if _, ok := n.Op.(*op.Add); !ok || clamp == nil || clamp.Min != 0 || clamp.Max != 6 {
		return nil
	}
	if x, three, ok := withScalar(n); ok && three == 3 {
		return x
	}
	return nil
}

// sixth reports whether the node divides by 6, and what.
func sixth(n *graph.Node) (*graph.Value, bool) {
	switch n.Op.(type) {
	case *op.Div:
		if c, ok := scalar(n.Inputs[1]); ok && c == 6 && n.Inputs[0].Const == nil {
			return n.Inputs[0], true
		}
	case *op.Mul:
		if x, c, ok := withScalar(n); ok && math.Abs(c*6-1) < 1e-6 {
			return x, true
		}
	}
	return nil, false
}

// hardSwish recognises x·min(max(x+3,0),6)/6 and its factor alone, the hard sigmoid.
func hardSwish(s *simplifier, n *graph.Node) bool {
	if v, ok := sixth(n); ok {
		if x := s.sixClamped(v); x != nil {
			n.Op, n.Inputs = &op.HardSigmoid{Alpha: 1.0 / 6, Beta: 0.5}, []*graph.Value{x}
			return true
		}
		if p := s.only(v); p != nil {
			if _, ok := p.Op.(*op.Mul); ok {
				for i := range 2 {
					if x := s.sixClamped(p.Inputs[i]); x != nil && x == p.Inputs[1-i] {
						n.Op, n.Inputs = op.NewFunction("HardSwish"), []*graph.Value{x}
						return true
					}
				}
			}
		}
	}
	if _, ok := n.Op.(*op.Mul); !ok {
		return false
	}
	for i := range 2 {
		p := s.only(n.Inputs[i])
		if p == nil {
			continue
		}
		h, ok := p.Op.(*op.HardSigmoid)
		if ok && math.Abs(float64(h.Alpha)-1.0/6) < 1e-6 && h.Beta == 0.5 && p.Inputs[0] == n.Inputs[1-i] {
			n.Op, n.Inputs = op.NewFunction("HardSwish"), []*graph.Value{p.Inputs[0]}
			return true
		}
	}
	return false
}

// swish recognises x·sigmoid(x).
func swish(s *simplifier, n *graph.Node) bool {
	if _, ok := n.Op.(*op.Mul); !ok {
		return false
	}
	for i := range 2 {
		p := s.only(n.Inputs[i])
		if p != nil && p.Op.Type() == "Sigmoid" && p.Inputs[0] == n.Inputs[1-i] {
			n.Op, n.Inputs = &op.Swish{Alpha: 1}, []*graph.Value{p.Inputs[0]}
			return true
		}
	}
	return false
}

// padIntoWindow moves zero padding of spatial dimensions into the convolution, or the average pool that counts
// padding, after it.
func padIntoWindow(s *simplifier, n *graph.Node) bool {
	var layout op.Layout
	var have []int
	switch o := n.Op.(type) {
	case *op.Conv:
		if o.AutoPad != op.ExplicitPads && o.AutoPad != op.Valid {
			return false
		}
		layout, have = o.Layout, o.Pads
	case *op.AveragePool:
		if !o.CountIncludePad || o.CeilMode || o.AutoPad != op.ExplicitPads {
			return false
		}
		layout, have = o.Layout, o.Pads
	default:
		return false
	}
	p := s.only(n.Inputs[0])
	if p == nil || n.Compute != graph.Float {
		return false
	}
	pad, ok := p.Op.(*op.Pad)
	rank, known := n.Inputs[0].Type.Rank()
	if !ok || !known || pad.Mode != op.PadConstant || p.Inputs[1].Const == nil {
		return false
	}
	if v := p.Input(2); v != nil {
		if c, ok := scalar(v); !ok || c != 0 {
			return false
		}
	}
	var axes []int64
	if v := p.Input(3); v != nil {
		if v.Const == nil {
			return false
		}
		axes = op.Int64s(v.Const)
	}
	begin, end, err := pad.Amounts(op.Int64s(p.Inputs[1].Const), axes, rank)
	if err != nil {
		return false
	}
	spatial := rank - 2
	pads := make([]int, 2*spatial)
	copy(pads, have)
	first := layout.Spatial(rank)
	for axis := range rank {
		inside := axis >= first && axis < first+spatial
		if begin[axis] < 0 || end[axis] < 0 || !inside && (begin[axis] != 0 || end[axis] != 0) {
			return false
		}
		if inside {
			pads[axis-first] += begin[axis]
			pads[spatial+axis-first] += end[axis]
		}
	}
	switch o := n.Op.(type) {
	case *op.Conv:
		copied := *o
		copied.Pads, copied.AutoPad = pads, op.ExplicitPads
		n.Op = &copied
	case *op.AveragePool:
		copied := *o
		copied.Pads = pads
		n.Op = &copied
	}
	n.Inputs[0] = p.Inputs[0]
	return true
}
