package tensorflow

import (
	"fmt"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
)

// spreadOut is what SpaceToBatchND did to a value x: y. It has one entry for each axis after the batch that is spread.
type spreadOut struct {
	x, y               *graph.Value
	blocks, begin, end []int
}

// convolved is a convolution of a value that SpaceToBatchND spread over the batch.
type convolved struct {
	op     *op.Conv
	filter *graph.Value
	spread *spreadOut
	line   bool // its first spatial axis was added before it and dropped after it
}

// spaceToBatch moves squares of an image, or pieces of a line, into the batch: with a convolution after it, TensorFlow's
// way to dilate.
func spaceToBatch(c *call) error {
	blocks, err := c.fixed(1)
	if err != nil {
		return err
	}
	pads, err := c.fixed(2)
	if err != nil {
		return err
	}
	rank, ok := c.in[0].Type.Rank()
	if !ok || len(blocks) == 0 || rank < len(blocks)+1 || len(pads) != 2*len(blocks) || slices.Min(blocks) < 1 {
		return errUnknown
	}
	s := &spreadOut{x: c.in[0], blocks: blocks, y: c.result(0)}
	for i := range blocks {
		s.begin, s.end = append(s.begin, pads[2*i]), append(s.end, pads[2*i+1])
	}
	c.im.spread[s.y] = s
	return s.emit(c)
}

// rest is the sizes of a value with an open batch as −1; ok is false if more is not known.
func rest(v *graph.Value) (sizes []int, ok bool) {
	for i, d := range v.Type.Shape {
		switch {
		case d.Known():
			sizes = append(sizes, d.Size)
		case i == 0:
			sizes = append(sizes, -1)
		default:
			return nil, false
		}
	}
	return sizes, len(sizes) > 0
}

// emit spells the operator with others: pad, take the blocks apart, move them in front of the batch.
func (s *spreadOut) emit(c *call) error {
	shape, ok := rest(s.x)
	if !ok {
		return errUnknown
	}
	spread := len(s.blocks)
	begin, end := make([]int, len(shape)), make([]int, len(shape))
	copy(begin[1:], s.begin)
	copy(end[1:], s.end)
	padded := c.apply("padded", &op.Pad{}, s.x, c.ints("pads", slices.Concat(begin, end)...))
	apart, joined, perm := []int{shape[0]}, []int{shape[0]}, make([]int, spread)
	batch := 1
	for i, block := range s.blocks {
		size := shape[1+i] + begin[1+i] + end[1+i]
		if size%block != 0 {
			return fmt.Errorf("%v with %v before and %v after it cannot be divided into blocks of %v", shape, begin, end, s.blocks)
		}
		apart, joined = append(apart, size/block, block), append(joined, size/block)
		perm[i] = 2 + 2*i
		batch *= block
	}
	if shape[0] > 0 {
		joined[0] = shape[0] * batch
	}
	perm = append(perm, 0)
	for i := range spread {
		perm = append(perm, 1+2*i)
	}
	for i := 1 + spread; i < len(shape); i++ {
		perm = append(perm, i+spread)
	}
	apart, joined = append(apart, shape[1+spread:]...), append(joined, shape[1+spread:]...)
	moved := c.apply("moved", &op.Transpose{Perm: perm}, c.apply("apart", &op.Reshape{}, padded, c.ints("apart_shape", apart...)))
	c.emit(&op.Reshape{}, []*graph.Value{moved, c.ints("batch_shape", joined...)}, s.y)
	return nil
}

// batchToSpace undoes spaceToBatch. After a convolution the three together are one with dilation.
func batchToSpace(c *call) error {
	blocks, err := c.fixed(1)
	if err != nil {
		return err
	}
	crops, err := c.fixed(2)
	if err != nil {
		return err
	}
	spread := len(blocks)
	if spread == 0 || len(crops) != 2*spread || slices.Min(blocks) < 1 {
		return errUnknown
	}
	if d := c.im.dilated[c.in[0]]; d != nil && c.dilate(d, blocks, crops) {
		return nil
	}
	shape, ok := rest(c.in[0])
	if !ok || len(shape) < 1+spread {
		return errUnknown
	}
	batch := 1
	for _, b := range blocks {
		batch *= b
	}
	if shape[0] > 0 {
		batch = shape[0] / batch
	} else {
		batch = -1
	}
	apart, joined, perm := append(slices.Clone(blocks), batch), []int{batch}, []int{spread}
	var starts, ends, axes []int
	for i, block := range blocks {
		apart, joined = append(apart, shape[1+i]), append(joined, shape[1+i]*block)
		perm = append(perm, spread+1+i, i)
		starts, ends, axes = append(starts, crops[2*i]), append(ends, shape[1+i]*block-crops[2*i+1]), append(axes, 1+i)
	}
	for i := 1 + spread; i < len(shape); i++ {
		perm = append(perm, i+spread)
	}
	apart, joined = append(apart, shape[1+spread:]...), append(joined, shape[1+spread:]...)
	moved := c.apply("moved", &op.Transpose{Perm: perm}, c.apply("apart", &op.Reshape{}, c.in[0], c.ints("apart_shape", apart...)))
	whole := c.apply("joined", &op.Reshape{}, moved, c.ints("joined_shape", joined...))
	return c.is(&op.Slice{}, whole, c.ints("starts", starts...), c.ints("ends", ends...), c.ints("axes", axes...))
}

// dilate makes the node's result that of a dilated convolution, if the convolution before it allows that: cropping the
// result is padding the input less.
func (c *call) dilate(d *convolved, blocks, crops []int) bool {
	if d.line {
		blocks, crops = append([]int{1}, blocks...), append([]int{0, 0}, crops...)
	}
	if !slices.Equal(d.spread.blocks, blocks) || d.op.AutoPad != op.Valid || slices.ContainsFunc(d.op.Strides, func(s int) bool { return s != 1 }) ||
		slices.ContainsFunc(d.op.Dilations, func(s int) bool { return s != 1 }) || d.op.Layout != op.NHWC {
		return false
	}
	if rank, ok := d.spread.x.Type.Rank(); !ok || rank != len(blocks)+2 {
		return false
	}
	merged := *d.op
	merged.AutoPad, merged.Dilations, merged.Pads = op.ExplicitPads, slices.Clone(blocks), nil
	for side, amounts := range [][]int{d.spread.begin, d.spread.end} {
		for i, n := range amounts {
			merged.Pads = append(merged.Pads, n-crops[2*i+side])
		}
	}
	if slices.Min(merged.Pads) < 0 {
		return false
	}
	if !d.line {
		c.emit(&merged, []*graph.Value{d.spread.x, d.filter}, c.result(0))
		return true
	}
	y := c.apply("line", &merged, d.spread.x, d.filter)
	c.emit(&op.Squeeze{}, []*graph.Value{y, c.ints("axes", 1)}, c.result(0))
	return true
}

// secondOf reports whether axes are the second of three dimensions alone: the axis by which TensorFlow makes images of
// lines, to convolve them. rank counts the dimensions with that axis.
func secondOf(axes []int, rank int) bool {
	return len(axes) == 1 && (axes[0] == 1 || axes[0] == 1-rank)
}

// asImage remembers that a spread line became a spread image of one row.
func (c *call) asImage(axes []int) {
	s := c.im.spread[c.in[0]]
	if s == nil || len(s.blocks) != 1 || !secondOf(axes, 4) {
		return
	}
	x := c.apply("image", &op.Unsqueeze{}, s.x, c.ints("image_axes", 1))
	y := c.result(0)
	c.im.spread[y] = &spreadOut{x: x, y: y, blocks: []int{1, s.blocks[0]}, begin: []int{0, s.begin[0]}, end: []int{0, s.end[0]}}
}

// asLine remembers that the convolution of a spread image of one row became a line again.
func (c *call) asLine(axes []int) {
	if d := c.im.dilated[c.in[0]]; d != nil && len(d.spread.blocks) == 2 && d.spread.blocks[0] == 1 && secondOf(axes, 4) {
		c.im.dilated[c.result(0)] = &convolved{d.op, d.filter, d.spread, true}
	}
}
