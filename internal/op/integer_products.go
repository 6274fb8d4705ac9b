package op

import (
	"fmt"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/tensor"
)

// MatMulInteger is the exact int32 matrix product of 8-bit integers less their zero points, which are operands (ONNX
// MatMulInteger). Operands: A, B, zero point of A (optional: one, or one per row), zero point of B (optional: one, or
// one per column).
type MatMulInteger struct{}

// ConvInteger is the exact int32 convolution of 8-bit integers less their zero points, which are operands (ONNX
// ConvInteger). Operands: x, filter, zero point of x (optional), zero point of the filter (optional: one, or one per
// output channel). Padding counts as the zero point of x.
type ConvInteger struct {
	Strides   []int // per spatial axis; empty means 1
	Pads      []int // begin of each spatial axis, then end of each; empty means 0
	Dilations []int // per spatial axis; empty means 1
	Group     int   // 0 means 1
	AutoPad   AutoPad
	Layout    Layout
	Filter    FilterLayout
}

// Type is "MatMulInteger".
func (*MatMulInteger) Type() string { return "MatMulInteger" }

// Type is "ConvInteger".
func (*ConvInteger) Type() string { return "ConvInteger" }

// Infer follows MatMul; elements are int32.
func (*MatMulInteger) Infer(c *Inference) error { return inferInt32(c, &MatMul{}) }

// Infer follows Conv; elements are int32.
func (o *ConvInteger) Infer(c *Inference) error {
	if len(c.Node.Inputs) <= 2 {
		return inferInt32(c, o.conv())
	}
	// Conv would read the zero point of x as its bias.
	plain := *c.Node
	plain.Inputs = plain.Inputs[:2]
	saved := c.Node
	c.Node = &plain
	defer func() { c.Node = saved }()
	return inferInt32(c, o.conv())
}

func inferInt32(c *Inference, like Operator) error {
	if err := like.Infer(c); err != nil {
		return err
	}
	c.SetOut(0, tensor.Int32, c.out[0].Shape)
	return nil
}

func (o *ConvInteger) conv() *Conv {
	return &Conv{o.Strides, o.Pads, o.Dilations, o.Group, o.AutoPad, o.Layout, o.Filter, nil}
}

// MACs is those of MatMul.
func (*MatMulInteger) MACs(in, out []graph.Type) int64 { return (&MatMul{}).MACs(in, out) }

// MACs is those of Conv.
func (o *ConvInteger) MACs(in, out []graph.Type) int64 { return o.conv().MACs(in, out) }

// shifted is integer operand i less the zero points of operand z, if it is present: one, or one per index along axis.
func shifted(c *Evaluation, i, z, axis int) ([]int32, error) {
	x := c.In(i)
	codes := Int32s(x)
	if !c.Has(z) {
		return codes, nil
	}
	points := Int32s(c.In(z))
	inner, size := product(x.Shape()[axis+1:]), x.Shape()[axis]
	if len(points) != 1 && len(points) != size {
		return nil, fmt.Errorf("operand %d is %s, wants one zero point or %d", z, c.In(z), size)
	}
	out := make([]int32, len(codes))
	for e, code := range codes {
		out[e] = code - at(points, e/inner%size)
	}
	return out, nil
}

// evaluateShifted computes a product of integers by the operator like, on operands less their zero points.
func evaluateShifted(c *Evaluation, like Operator, a, b []int32) error {
	n := &graph.Node{Name: c.Node.Name, Op: like, Outputs: []*graph.Value{{Type: graph.Type{DType: tensor.Int32}}}}
	inner := &Evaluation{Node: n, out: make([]*tensor.Tensor, 1),
		in: []*tensor.Tensor{tensor.Of(a, c.In(0).Shape()...), tensor.Of(b, c.In(1).Shape()...)}}
	if err := like.Evaluate(inner); err != nil {
		return err
	}
	c.Set(0, inner.out[0])
	return nil
}

// Evaluate multiplies by MatMul's definition.
func (*MatMulInteger) Evaluate(c *Evaluation) error {
	if err := c.require(2); err != nil {
		return err
	}
	rankA, rankB := len(c.In(0).Shape()), len(c.In(1).Shape())
	if rankA == 0 || rankB == 0 {
		return fmt.Errorf("a scalar cannot be multiplied as a matrix: %s and %s", c.In(0), c.In(1))
	}
	a, err := shifted(c, 0, 2, max(rankA-2, 0))
	if err != nil {
		return err
	}
	b, err := shifted(c, 1, 3, rankB-1)
	if err != nil {
		return err
	}
	return evaluateShifted(c, &MatMul{}, a, b)
}

// Evaluate convolves by Conv's definition.
func (o *ConvInteger) Evaluate(c *Evaluation) error {
	if err := c.require(2); err != nil {
		return err
	}
	batch, channels, spatial, err := spatialSizes(c.In(0), o.Layout)
	if err != nil {
		return err
	}
	if c.Has(2) && c.In(2).Len() != 1 {
		return fmt.Errorf("the zero point of x is %s, wants one", c.In(2))
	}
	conv := o.conv()
	s, f, err := conv.slide(c.In(1).Shape(), channels, spatial)
	if err != nil {
		return err
	}
	x, err := shifted(c, 0, 2, o.Layout.Batch())
	if err != nil {
		return err
	}
	w, err := shifted(c, 1, 3, o.Filter.Output(len(c.In(1).Shape())))
	if err != nil {
		return err
	}
	sums := convolve[int32, int32](channelsLast(x, o.Layout, batch, channels, s.inCount),
		filterRows(w, c.In(1).Shape(), o.Filter), batch, conv.Groups(), f, s)
	c.Set(0, tensor.Of(fromChannelsLast(sums, o.Layout, batch, f.outputs, s.outCount),
		layoutSizes(o.Layout, batch, f.outputs, s.out)...))
	return nil
}
