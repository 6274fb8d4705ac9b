package rewrite

import (
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// products is a layer seen from its operand: which weight belongs to which input and output channel.
type products struct {
	axis     int // of input channels in the operand
	inputs   int // input channels
	outputs  int // output channels
	unpadded bool
	channels func(at int) (input, output int) // of element at of the weights
}

// productsOf describes a Conv or Gemm with constant weights; ok is false for other nodes.
func productsOf(n *graph.Node) (products, bool) {
	if n.Compute != graph.Float || len(n.Inputs) < 2 || n.Inputs[1] == nil || n.Inputs[1].Const == nil ||
		n.Inputs[1].Const.DType() != tensor.Float32 || n.Inputs[0] == nil {
		return products{}, false
	}
	w := n.Inputs[1].Const.Shape()
	rank, known := n.Inputs[0].Type.Rank()
	if !known {
		return products{}, false
	}
	coordinate := func(at, axis int) int {
		for _, size := range w[axis+1:] {
			at /= size
		}
		return at % w[axis]
	}
	var l products
	switch o := n.Op.(type) {
	case *op.Conv:
		if o.Filter == op.OneHWC || len(w) != rank || rank < 3 {
			return products{}, false
		}
		group := o.Groups()
		outer, inner := o.Filter.Output(rank), o.Filter.Input(rank)
		l = products{axis: o.Layout.Channel(rank), inputs: w[inner] * group, outputs: w[outer]}
		if group < 1 || l.outputs%group != 0 || l.outputs == 0 {
			return products{}, false
		}
		l.unpadded = o.AutoPad == op.Valid ||
			o.AutoPad == op.ExplicitPads && !slices.ContainsFunc(o.Pads, func(p int) bool { return p != 0 })
		l.channels = func(at int) (int, int) {
			output := coordinate(at, outer)
			return output/(l.outputs/group)*w[inner] + coordinate(at, inner), output
		}
	case *op.Gemm:
		if o.Alpha != 1 || o.TransA || n.Input(2) != nil && o.Beta != 1 || rank != 2 || len(w) != 2 {
			return products{}, false
		}
		inner, outer := 0, 1
		if o.TransB {
			inner, outer = 1, 0
		}
		l = products{axis: 1, inputs: w[inner], outputs: w[outer], unpadded: true}
		l.channels = func(at int) (int, int) { return coordinate(at, inner), coordinate(at, outer) }
	default:
		return products{}, false
	}
	if b := n.Input(2); b != nil && (b.Const == nil || b.Const.DType() != tensor.Float32 || b.Const.Len() != l.outputs) {
		return products{}, false
	}
	return l, true
}

// affineIntoNext moves constants per channel into the layer that reads the result: factors into its weights, and
// summands, unless the layer pads with zeros, into its bias.
func affineIntoNext(s *simplifier, n *graph.Node) bool {
	l, ok := productsOf(n)
	if !ok {
		return false
	}
	p := s.only(n.Inputs[0])
	if p == nil || p.Compute != graph.Float {
		return false
	}
	x, c, second := constantOperand(p)
	rank := len(n.Inputs[0].Type.Shape)
	if x == nil || x.Const != nil || len(x.Type.Shape) != rank || x.Type.Shape[l.axis] != graph.Fixed(l.inputs) {
		return false // the constant may be what gives the operand its shape
	}
	adds, negative := false, false
	switch p.Op.(type) {
	case *op.Add:
		if adds = true; !plainAdd(p) {
			return false
		}
	case *op.Sub:
		if adds, negative = true, true; !second {
			return false
		}
	case *op.Mul:
	case *op.Div:
		if !second {
			return false
		}
	default:
		return false
	}
	if adds && !l.unpadded {
		return false
	}
	values, ok := layer{channels: l.inputs, axis: l.axis, rank: rank}.perOutput(c)
	if !ok {
		return false
	}
	w := n.Inputs[1]
	weights := op.Float32s(w.Const)
	if adds {
		sums := make([]float64, l.outputs)
		for at, v := range weights {
			input, output := l.channels(at)
			shift := float64(values[input])
			if negative {
				shift = -shift
			}
			sums[output] += float64(float64(v) * shift)
		}
		if b := n.Input(2); b != nil {
			for i, v := range op.Float32s(b.Const) {
				sums[i] += float64(v)
			}
		}
		bias := make([]float32, l.outputs)
		for i, v := range sums {
			bias[i] = float32(v)
		}
		value := s.constant(n.Outputs[0].Name+"_bias", tensor.Of(bias, l.outputs))
		if b := n.Input(2); b != nil {
			value.Origin = b.Source()
		}
		setInput(n, 2, value)
		if g, ok := n.Op.(*op.Gemm); ok {
			copied := *g
			copied.Beta = 1
			n.Op = &copied
		}
	} else {
		_, divides := p.Op.(*op.Div)
		scaled := slices.Clone(weights)
		for at := range scaled {
			input, _ := l.channels(at)
			if divides {
				scaled[at] /= values[input]
			} else {
				scaled[at] *= values[input]
			}
		}
		value := s.constant(w.Name, tensor.Of(scaled, w.Const.Shape()...))
		value.Origin = w.Source()
		n.Inputs[1] = value
	}
	n.Inputs[0] = x
	s.gone[p] = true
	return true
}
