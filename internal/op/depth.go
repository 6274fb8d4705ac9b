package op

import (
	"fmt"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/tensor"
)

// DepthToSpace moves blocks of channels into squares of BlockSize×BlockSize positions (ONNX DepthToSpace).
type DepthToSpace struct {
	BlockSize int
	// ColumnRowDepth takes a channel apart as (channel, row, column), ONNX's mode CRD; otherwise it is (row, column,
	// channel), mode DCR, as TensorFlow has it.
	ColumnRowDepth bool
	Layout         Layout
}

// SpaceToDepth moves squares of BlockSize×BlockSize positions into channels, taken apart as (row, column, channel)
// (ONNX SpaceToDepth).
type SpaceToDepth struct {
	BlockSize int
	Layout    Layout
}

// Type is "DepthToSpace".
func (*DepthToSpace) Type() string { return "DepthToSpace" }

// Type is "SpaceToDepth".
func (*SpaceToDepth) Type() string { return "SpaceToDepth" }

// Infer divides channels and multiplies the spatial dimensions.
func (o *DepthToSpace) Infer(c *Inference) error {
	return inferDepth(c, o.Layout, o.BlockSize, func(channels, side graph.Dim) (graph.Dim, graph.Dim, error) {
		square := o.BlockSize * o.BlockSize
		if channels.Known() && channels.Size%square != 0 {
			return channels, side, fmt.Errorf("%d channels cannot be divided into blocks of %d", channels.Size, square)
		}
		return overDim(channels, square), timesDim(side, o.BlockSize), nil
	})
}

// Infer multiplies channels and divides the spatial dimensions.
func (o *SpaceToDepth) Infer(c *Inference) error {
	return inferDepth(c, o.Layout, o.BlockSize, func(channels, side graph.Dim) (graph.Dim, graph.Dim, error) {
		if side.Known() && side.Size%o.BlockSize != 0 {
			return channels, side, fmt.Errorf("a side of %d cannot be divided into blocks of %d", side.Size, o.BlockSize)
		}
		return timesDim(channels, o.BlockSize*o.BlockSize), overDim(side, o.BlockSize), nil
	})
}

// inferDepth checks the input and infers channels and both spatial dimensions.
func inferDepth(c *Inference, l Layout, block int, change func(channels, side graph.Dim) (graph.Dim, graph.Dim, error)) error {
	if err := checkBlock(block); err != nil {
		return err
	}
	batch, channels, spatial, err := spatialTypes(c.In(0), l)
	if err != nil || spatial == nil {
		return err
	}
	if len(spatial) != 2 {
		return fmt.Errorf("input %s has %d spatial dimensions, wants 2", c.In(0), len(spatial))
	}
	out := make(graph.Shape, 2)
	depth := channels
	for i, side := range spatial {
		if depth, out[i], err = change(channels, side); err != nil {
			return err
		}
	}
	dtype := c.In(0).DType
	if c.In(0).Quant != nil {
		dtype = tensor.Invalid
	}
	c.SetOut(0, dtype, spatialShape(l, batch, depth, out))
	return nil
}

func checkBlock(block int) error {
	const most = 1 << 15
	if block < 1 || block > most {
		return fmt.Errorf("block size %d is outside 1 … %d", block, most)
	}
	return nil
}

func timesDim(d graph.Dim, n int) graph.Dim {
	if n == 1 {
		return d
	}
	if d.Known() {
		return graph.Fixed(d.Size * n)
	}
	return graph.Dim{Size: graph.Unknown}
}

func overDim(d graph.Dim, n int) graph.Dim {
	if n == 1 {
		return d
	}
	if d.Known() {
		return graph.Fixed(d.Size / n)
	}
	return graph.Dim{Size: graph.Unknown}
}

// movesCodes is the integer form of operators that move values.
func movesCodes() (IntegerForm, error) {
	return IntegerForm{Roles: []Role{Activation}, Range: RangeRule{Kind: SameAsInput}, WeightAxis: -1}, nil
}

// Integer moves codes.
func (o *DepthToSpace) Integer(*graph.Node) (IntegerForm, error) { return movesCodes() }

// Integer moves codes.
func (o *SpaceToDepth) Integer(*graph.Node) (IntegerForm, error) { return movesCodes() }

// Evaluate moves elements.
func (o *DepthToSpace) Evaluate(c *Evaluation) error {
	if err := c.require(1); err != nil {
		return err
	}
	batch, channels, spatial, err := spatialSizes(c.In(0), o.Layout)
	if err != nil {
		return err
	}
	b := o.BlockSize
	if err := checkBlock(b); err != nil {
		return err
	}
	if len(spatial) != 2 || channels%(b*b) != 0 {
		return fmt.Errorf("input %s cannot be divided into blocks of %d×%d", c.In(0), b, b)
	}
	depth := channels / (b * b)
	shape := layoutSizes(o.Layout, batch, depth, []int{spatial[0] * b, spatial[1] * b})
	return moveSpatial(c, o.Layout, shape, func(at *place) {
		part := at.row%b*b + at.column%b
		if o.ColumnRowDepth {
			at.channel = at.channel*b*b + part
		} else {
			at.channel += part * depth
		}
		at.row, at.column = at.row/b, at.column/b
	})
}

// Evaluate moves elements.
func (o *SpaceToDepth) Evaluate(c *Evaluation) error {
	if err := c.require(1); err != nil {
		return err
	}
	batch, channels, spatial, err := spatialSizes(c.In(0), o.Layout)
	if err != nil {
		return err
	}
	b := o.BlockSize
	if err := checkBlock(b); err != nil {
		return err
	}
	if len(spatial) != 2 || spatial[0]%b != 0 || spatial[1]%b != 0 {
		return fmt.Errorf("input %s cannot be divided into blocks of %d×%d", c.In(0), b, b)
	}
	shape := layoutSizes(o.Layout, batch, channels*b*b, []int{spatial[0] / b, spatial[1] / b})
	return moveSpatial(c, o.Layout, shape, func(at *place) {
		part := at.channel / channels
		at.channel %= channels
		at.row, at.column = at.row*b+part/b, at.column*b+part%b
	})
}

// place is the coordinates of an element of an image.
type place struct{ batch, channel, row, column int }

// moveSpatial sets output 0, of the given shape, to elements of operand 0: source turns the place of an output element
// into the place it comes from.
func moveSpatial(c *Evaluation, l Layout, shape []int, source func(at *place)) error {
	x := c.In(0)
	size := x.DType().Bits() / 8
	if size == 0 {
		return fmt.Errorf("elements of %s are smaller than a byte", x)
	}
	out := tensor.New(x.DType(), shape...)
	rank := len(shape)
	strides := rowMajor(x.Shape())
	at := make([]int, rank)
	channel, first := l.Channel(rank), l.Spatial(rank)
	for i := range out.Len() {
		unravel(at, i, shape)
		p := place{at[l.Batch()], at[channel], at[first], at[first+1]}
		source(&p)
		from := p.batch*strides[l.Batch()] + p.channel*strides[channel] + p.row*strides[first] + p.column*strides[first+1]
		copy(out.Bytes()[i*size:(i+1)*size], x.Bytes()[from*size:])
	}
	c.Set(0, out)
	return nil
}
