package convert

import (
	"fmt"
	"math"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/rewrite"
	"github.com/octet-nn/octet/tensor"
)

// Rebind makes, of a quantized model that Convert made or that was read from its file, the model that MACE's kernels
// run: every input named in inputs is quantized by its own least and greatest number (find_range_every_time), what
// hands codes on keeps their scale although the model stores another one, biases are rounded to the scales that they
// meet, and layers have no activation but the limits of their codes. Inputs that are not named keep the range of
// input_ranges. The model given, whose arithmetic should be numeric.MACE, is left as it is.
//
// Where MACE leaves a bias in another scale than its layer's input and weights (fully-connected layers), it is rounded
// like the others.
func Rebind(g *graph.Graph, inputs map[string]*tensor.Tensor) (*graph.Graph, error) {
	g = g.Clone()
	b := &binder{g: g, index: g.Index()}
	for _, v := range g.Inputs {
		x, ok := inputs[v.Name]
		if !ok {
			continue
		}
		if x.DType() != tensor.Float32 {
			continue // indices
		}
		q, err := ownRange(x)
		if err != nil {
			return nil, fmt.Errorf("input %q: %w", v.Name, err)
		}
		for _, u := range b.index.Uses(v) {
			if _, ok := u.Node.Op.(*op.Quantize); ok && u.Node.Outputs[0].Type.DType == tensor.Uint8 {
				u.Node.Outputs[0].Type.Quant = q
			}
		}
	}
	for _, n := range g.Nodes {
		if n.Compute == graph.Integer || n.Compute == graph.IntegerToFloat {
			if err := b.bind(n); err != nil {
				return nil, err
			}
		}
	}
	var nodes []*graph.Node
	for _, n := range g.Nodes {
		nodes = append(append(nodes, b.before(n)...), n)
	}
	g.Nodes = nodes
	return g, g.Check()
}

// ownRange quantizes numbers by their least and greatest, as MACE's AdjustRange does in float32 with ties away from
// zero.
func ownRange(x *tensor.Tensor) (*graph.Quant, error) {
	least, greatest := float32(0), float32(0) // zero is in every range
	for i, v := range tensor.Values[float32](x) {
		if v-v != 0 {
			return nil, fmt.Errorf("element %d is %v; only finite numbers can be codes", i, v)
		}
		least, greatest = min(least, v), max(greatest, v)
	}
	scale := (greatest - least) / 255
	if !(scale > 0) {
		return graph.PerTensor(1, 0), nil
	}
	const small = float32(nearZero)
	switch {
	case least < -small && greatest > small:
		return graph.PerTensor(scale, int32(numeric.RoundHalfAway(-least/scale))), nil
	case least > -small:
		return graph.PerTensor(scale, 0), nil
	}
	return graph.PerTensor(scale, 255), nil
}

// binder is the state of one Rebind.
type binder struct {
	g     *graph.Graph
	index *graph.Index
}

// bind gives one integer node the scales that MACE's kernel works with.
func (b *binder) bind(n *graph.Node) error {
	if rewrite.ClampOf(n.Op) != nil {
		n.Op, _ = rewrite.WithClamp(n.Op, nil)
	}
	if keeps(n) {
		for _, v := range n.Outputs {
			if v != nil && v.Type.Quant != nil && v.Type.DType == n.Inputs[0].Type.DType {
				v.Type.Quant = n.Inputs[0].Type.Quant
			}
		}
	}
	switch n.Op.(type) {
	case *op.Conv, *op.ConvTranspose, *op.Gemm, *op.MatMul:
		return b.bindBias(n)
	}
	return nil
}

// keeps reports whether the result has the scale of the operand in MACE's kernels, whatever the model says.
func keeps(n *graph.Node) bool {
	if len(n.Inputs) == 0 || n.Inputs[0] == nil || !n.Inputs[0].Type.Quant.IsPerTensor() {
		return false
	}
	if _, ok := limit(n); ok { // RELU and RELUX
		return true
	}
	if k, _ := kindOf(n); k == copied || k == split {
		return true
	}
	o, ok := n.Op.(op.Integer)
	if !ok {
		return false
	}
	form, err := o.Integer(n)
	return err == nil && form.Range.Kind == op.SameAsInput
}

// rescaled is the difference of scales up to which MACE leaves a bias as it is.
const rescaled = 1e-6

// bindBias expresses a bias in units of the sums that it is added to.
func (b *binder) bindBias(n *graph.Node) error {
	v := n.Input(2)
	if v == nil || v.Const == nil || v.Type.Quant == nil {
		return nil
	}
	x, w, q := n.Inputs[0].Type.Quant, n.Inputs[1].Type.Quant, v.Type.Quant
	if !x.IsPerTensor() || !w.IsPerTensor() || !q.IsPerTensor() {
		return fmt.Errorf("%s has several scales; MACE knows one for each value", n.Describe())
	}
	scale := float32(x.Scale[0] * w.Scale[0])
	if scale == q.Scale[0] {
		return nil
	}
	bound := *v
	bound.Type.Quant = graph.PerTensor(scale, 0)
	if math.Abs(float64(scale-q.Scale[0])) > rescaled {
		ratio := q.Scale[0] / scale
		sums := slices.Clone(tensor.Values[int32](v.Const))
		for i, s := range sums {
			sums[i] = int32(min(max(numeric.RoundHalfAway(float32(s)*ratio), math.MinInt32), math.MaxInt32-127))
		}
		bound.Const = tensor.Of(sums, v.Const.Shape()...)
	}
	if len(b.index.Uses(v)) > 1 { // each layer has its own from here on
		bound.Name = b.index.Fresh(v.Name)
	}
	n.Inputs = slices.Clone(n.Inputs)
	n.Inputs[2] = &bound
	return nil
}

// before is what a node needs in front of it: operands that must share the scale of the result, requantized.
func (b *binder) before(n *graph.Node) []*graph.Node {
	if n.Compute != graph.Integer || len(n.Outputs) == 0 || n.Outputs[0] == nil {
		return nil
	}
	o, ok := n.Op.(op.Integer)
	if !ok {
		return nil
	}
	form, err := o.Integer(n)
	if err != nil || form.Range.Kind != op.Unified {
		return nil
	}
	y := n.Outputs[0].Type
	var nodes []*graph.Node
	for i, v := range n.Inputs {
		if v == nil || v.Type.Quant == nil || v.Type.Quant.Equal(y.Quant) {
			continue
		}
		same := &graph.Value{Name: b.index.Fresh(v.Name + "_requantized"), Origin: v.Source(), Type: v.Type}
		same.Type.Quant = y.Quant
		n.Inputs[i] = same
		nodes = append(nodes, &graph.Node{Name: v.Name + "/requantize", Op: &op.Requantize{}, Inputs: []*graph.Value{v},
			Outputs: []*graph.Value{same}, Compute: graph.Integer, Arithmetic: n.Arithmetic})
	}
	return nodes
}
