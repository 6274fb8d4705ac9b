package op

import (
	"fmt"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/tensor"
)

// PadMode says what padding is filled with.
type PadMode uint8

const (
	// PadConstant fills with a value.
	PadConstant PadMode = iota
	// PadReflect mirrors without repeating the edge.
	PadReflect
	// PadEdge repeats the edge.
	PadEdge
	// PadWrap continues at the other end.
	PadWrap

	padModeCount
)

var padModeNames = [padModeCount]string{"constant", "reflect", "edge", "wrap"}

func (m PadMode) String() string { return padModeNames[m] }

// MarshalText is ONNX's name.
func (m PadMode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (m *PadMode) UnmarshalText(text []byte) error {
	for i, name := range padModeNames {
		if name == string(text) {
			*m = PadMode(i)
			return nil
		}
	}
	return fmt.Errorf("unknown pad mode %q: one of %q", text, padModeNames)
}

// Pad adds elements at the begin and end of dimensions; negative numbers remove some. Operands: x, pads (the begin of
// each axis, then the end of each), value (optional scalar, 0 if absent), axes (optional: all).
type Pad struct{ Mode PadMode }

// Type is "Pad".
func (*Pad) Type() string { return "Pad" }

// Amounts spreads the pads operand over all dimensions: begin and end of each.
func (o *Pad) Amounts(pads, axes []int64, rank int) (begin, end []int, err error) {
	begin, end = make([]int, rank), make([]int, rank)
	if axes == nil {
		for i := range rank {
			axes = append(axes, int64(i))
		}
	}
	dims, err := normalAxes(axes, rank)
	if err != nil {
		return nil, nil, err
	}
	if len(pads) != 2*len(dims) {
		return nil, nil, fmt.Errorf("%d pads for %d axes, wants two for each", len(pads), len(dims))
	}
	for i, axis := range dims {
		begin[axis], end[axis] = int(pads[i]), int(pads[len(dims)+i])
	}
	return begin, end, nil
}

// Infer adds to the sizes.
func (o *Pad) Infer(c *Inference) error {
	x := c.In(0).Shape
	pads, ok := c.Ints(1)
	axes, known := c.Ints(3)
	if x == nil || !ok || c.Has(3) && !known {
		var shape graph.Shape
		if x != nil {
			shape = unknowns(len(x))
		}
		c.SetOut(0, movedType(c), shape)
		return nil
	}
	begin, end, err := o.Amounts(pads, axes, len(x))
	if err != nil {
		return err
	}
	shape := make(graph.Shape, len(x))
	for i, d := range x {
		shape[i] = d
		switch {
		case d.Known():
			n := d.Size + begin[i] + end[i]
			if n < 0 {
				return fmt.Errorf("pads %v leave nothing of %s", pads, c.In(0))
			}
			shape[i] = graph.Fixed(n)
		case begin[i]+end[i] != 0:
			shape[i] = graph.Dim{Size: graph.Unknown}
		}
	}
	c.SetOut(0, movedType(c), shape)
	return nil
}

// Evaluate copies and fills; codes are filled with the code of the value.
func (o *Pad) Evaluate(c *Evaluation) error {
	x := c.In(0)
	var axes []int64
	if c.Has(3) {
		axes = Int64s(c.In(3))
	}
	begin, end, err := o.Amounts(Int64s(c.In(1)), axes, len(x.Shape()))
	if err != nil {
		return err
	}
	shape := make([]int, len(begin))
	for i, n := range x.Shape() {
		shape[i] = n + begin[i] + end[i]
	}
	if _, ok := tensor.Count(shape); !ok {
		return fmt.Errorf("%s cannot be padded by %v and %v", x, begin, end)
	}
	strides := rowMajor(x.Shape())
	at := make([]int, len(shape))
	source := func(i int) int { // −1 where the padding value belongs
		unravel(at, i, shape)
		offset := 0
		for axis, p := range at {
			p -= begin[axis]
			n := x.Shape()[axis]
			if p < 0 || p >= n {
				if n == 0 || o.Mode == PadConstant {
					return -1
				}
				p = o.Mode.inside(p, n)
			}
			offset += p * strides[axis]
		}
		return offset
	}
	filled, err := o.fill(c)
	if err != nil {
		return err
	}
	joined := tensor.New(x.DType(), x.Len()+1) // the padding value stands behind the elements
	copy(joined.Bytes(), x.Bytes())
	size := x.DType().Bits() / 8
	if size == 0 {
		return fmt.Errorf("%s cannot be padded", x)
	}
	copy(joined.Bytes()[x.Len()*size:], filled.Bytes())
	c.Set(0, pick(joined, shape, func(i int) int {
		if s := source(i); s >= 0 {
			return s
		}
		return x.Len()
	}))
	return nil
}

// inside is the position that a position outside n elements stands for.
func (m PadMode) inside(p, n int) int {
	switch m {
	case PadEdge:
		return min(max(p, 0), n-1)
	case PadWrap:
		return ((p % n) + n) % n
	}
	if n == 1 {
		return 0
	}
	period := 2 * (n - 1)
	p = ((p % period) + period) % period
	return min(p, period-p)
}

// fill is the padding value as one element of the operand's type.
func (o *Pad) fill(c *Evaluation) (*tensor.Tensor, error) {
	x := c.In(0)
	value := c.In(2)
	if value != nil && value.Len() != 1 {
		return nil, fmt.Errorf("padding value %s is not a scalar", value)
	}
	if q := c.InQuant(0); q != nil {
		if !q.IsPerTensor() {
			return nil, fmt.Errorf("%s has several scales and cannot be padded", c.Node.Input(0).Type)
		}
		lowest, highest := q.Limits(x.DType())
		real := float32(0)
		if value != nil {
			real = float32(Float64s(value)[0])
		}
		return FromInt64s(x.DType(), []int{1}, []int64{int64(numeric.Quantize(real, q.Scale[0], q.ZeroPoint[0], lowest, highest))}), nil
	}
	if value == nil {
		return tensor.New(x.DType(), 1), nil
	}
	if value.DType() != x.DType() {
		return nil, fmt.Errorf("padding value %s for %s", value, x)
	}
	return value, nil
}

// Integer moves codes and fills with the code of 0.
func (o *Pad) Integer(n *graph.Node) (IntegerForm, error) {
	if v := n.Input(2); v != nil && o.Mode == PadConstant && (v.Const == nil || Float64s(v.Const)[0] != 0) {
		return IntegerForm{}, fmt.Errorf("it pads with something else than 0")
	}
	return moved(n), nil
}
