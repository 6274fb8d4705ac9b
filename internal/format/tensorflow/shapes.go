package tensorflow

import (
	"fmt"
	"math"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// reshape: TensorFlow's shapes have no 0 that stands for the input's size, but dimensions of size 0.
func reshape(c *call) error {
	return c.is(&op.Reshape{AllowZero: true}, c.in[0], c.flatWide(c.in[1]))
}

func squeeze(c *call) error {
	axes := c.list("squeeze_dims")
	if axes == nil {
		axes = c.list("axis")
	}
	if len(axes) == 0 {
		return c.is(&op.Squeeze{}, c.in[0])
	}
	c.asLine(axes)
	return c.is(&op.Squeeze{}, c.in[0], c.ints("axes", axes...))
}

func expandDims(c *call) error {
	if axes, err := c.fixed(1); err == nil {
		c.asImage(axes)
	}
	return c.is(&op.Unsqueeze{}, c.in[0], c.flatWide(c.in[1]))
}

// narrow gives integers the type that the node's attribute asks for, int32 without one.
func (c *call) narrow(v *graph.Value, attribute string) error {
	to := c.dtype(attribute)
	if to == tensor.Invalid {
		to = tensor.Int32
	}
	if to == tensor.Int64 {
		return c.pass(v)
	}
	return c.is(&op.Cast{To: op.OutputType{DType: to}}, v)
}

func shape(c *call) error {
	return c.narrow(c.apply("i64", &op.Shape{ToEnd: true}, c.in[0]), "out_type")
}

func size(c *call) error { return c.narrow(c.apply("i64", &op.Size{}, c.in[0]), "out_type") }

func rankOf(c *call) error {
	rank, err := c.rank(0)
	if err != nil {
		return err
	}
	return c.pass(c.constant("rank", tensor.Of([]int32{int32(rank)})))
}

// stridedSlice is Slice with masks: bits of begin_mask and end_mask leave an end open, those of shrink_axis_mask take one
// element and drop the axis, new_axis_mask adds one, ellipsis_mask stands for all axes that are not named.
func stridedSlice(c *call) error {
	rank, err := c.rank(0)
	if err != nil {
		return err
	}
	begin, err := c.fixed(1)
	if err != nil {
		return c.computedSlice()
	}
	end, err := c.fixed(2)
	if err != nil {
		return err
	}
	steps, err := c.fixed(3)
	if err != nil {
		return err
	}
	if len(end) != len(begin) || len(steps) != len(begin) {
		return fmt.Errorf("%d begins, %d ends and %d steps", len(begin), len(end), len(steps))
	}
	set := func(mask string, i int) bool { return c.int(mask, 0)>>i&1 != 0 }
	named := 0
	for i := range begin {
		if !set("new_axis_mask", i) && !set("ellipsis_mask", i) {
			named++
		}
	}
	var starts, ends, axes, strides, shrink, added []int
	axis, out := 0, 0 // of the input; of the result before axes are dropped
	for i := range begin {
		switch {
		case set("ellipsis_mask", i):
			axis += rank - named
			out += rank - named
			continue
		case set("new_axis_mask", i):
			added = append(added, out)
			out++
			continue
		case axis >= rank:
			return fmt.Errorf("it slices %d axes of a value with %d", named, rank)
		}
		from, to, step := begin[i], end[i], steps[i]
		const open = math.MaxInt32 // more than any dimension that is sliced
		if set("begin_mask", i) {
			from = 0
			if step < 0 {
				from = open
			}
		}
		if set("end_mask", i) {
			to = open
			if step < 0 {
				to = -open
			}
		}
		if set("shrink_axis_mask", i) {
			from, step = begin[i], 1
			if to = from + 1; to == 0 {
				to = open
			}
			shrink = append(shrink, axis)
		}
		starts, ends, axes, strides = append(starts, from), append(ends, to), append(axes, axis), append(strides, step)
		axis++
		out++
	}
	y := c.in[0]
	if len(axes) > 0 {
		y = c.apply("sliced", &op.Slice{}, y, c.ints("starts", starts...), c.ints("ends", ends...), c.ints("axes", axes...), c.ints("steps", strides...))
	}
	if len(shrink) > 0 && len(added) > 0 {
		return errUnknown
	}
	switch {
	case len(shrink) > 0:
		return c.is(&op.Squeeze{}, y, c.ints("squeezed", shrink...))
	case len(added) > 0:
		return c.is(&op.Unsqueeze{}, y, c.ints("added", added...))
	}
	return c.is(&op.Identity{}, y)
}

// computedSlice takes one element of a list by a computed index.
func (c *call) computedSlice() error {
	rank, err := c.rank(0)
	if err != nil || c.int("shrink_axis_mask", 0) != 1 || c.int("ellipsis_mask", 0) != 0 || c.int("new_axis_mask", 0) != 0 || rank < 1 {
		return errUnknown
	}
	index := c.wide(c.in[1])
	if r, ok := index.Type.Rank(); !ok || r != 1 {
		return errUnknown
	}
	return c.is(&op.Squeeze{}, c.apply("taken", &op.Gather{}, c.in[0], index), c.ints("axes", 0))
}

// slice has sizes instead of ends; −1 means all that is left.
func slice(c *call) error {
	begin, err := c.fixed(1)
	if err != nil {
		return err
	}
	sizes, err := c.fixed(2)
	if err != nil {
		return err
	}
	if len(sizes) != len(begin) {
		return fmt.Errorf("%d begins and %d sizes", len(begin), len(sizes))
	}
	ends, axes := make([]int, len(begin)), make([]int, len(begin))
	for i := range begin {
		axes[i], ends[i] = i, begin[i]+sizes[i]
		if sizes[i] == -1 {
			ends[i] = math.MaxInt32
		}
	}
	return c.is(&op.Slice{}, c.in[0], c.ints("starts", begin...), c.ints("ends", ends...), c.ints("axes", axes...))
}

func pack(c *call) error {
	axis := c.int("axis", 0)
	parts := make([]*graph.Value, len(c.in))
	for i, v := range c.in {
		parts[i] = c.apply("part", &op.Unsqueeze{}, v, c.ints("axes", axis))
	}
	return c.is(&op.Concat{Axis: axis}, parts...)
}

func unpack(c *call) error {
	n, axis := c.int("num", 0), c.int("axis", 0)
	if n < 1 || n > 1<<16 {
		return errUnknown
	}
	parts := make([]*graph.Value, n)
	for i := range parts {
		parts[i] = &graph.Value{Name: c.im.fresh(c.def.name + "/part")}
	}
	c.emit(&op.Split{Axis: axis}, []*graph.Value{c.in[0]}, parts...)
	for i, p := range parts {
		c.emit(&op.Squeeze{}, []*graph.Value{p, c.ints("axes", axis)}, c.result(i))
	}
	return nil
}

// concat has its axis last, concatOld first.
func concat(c *call) error {
	axes, err := c.fixed(len(c.in) - 1)
	if err != nil || len(axes) != 1 {
		return errUnknown
	}
	return c.join(c.in[:len(c.in)-1], axes[0])
}

func concatOld(c *call) error {
	axes, err := c.fixed(0)
	if err != nil || len(axes) != 1 {
		return errUnknown
	}
	return c.join(c.in[1:], axes[0])
}

func (c *call) join(parts []*graph.Value, axis int) error {
	if len(parts) == 1 {
		return c.pass(parts[0])
	}
	return c.is(&op.Concat{Axis: axis}, parts...)
}

// split2 has its axis first.
func split2(c *call) error {
	axes, err := c.fixed(0)
	n := c.int("num_split", 0)
	if err != nil || len(axes) != 1 || n < 1 || n > 1<<16 {
		return errUnknown
	}
	return c.parts(axes[0], c.in[1:2], n)
}

func splitV(c *call) error {
	axes, err := c.fixed(2)
	if err != nil || len(axes) != 1 {
		return errUnknown
	}
	sizes, err := c.fixed(1)
	if err != nil || len(sizes) == 0 || slices.Min(sizes) < 0 {
		return errUnknown
	}
	return c.parts(axes[0], []*graph.Value{c.in[0], c.ints("sizes", sizes...)}, len(sizes))
}

func (c *call) parts(axis int, in []*graph.Value, n int) error {
	out := make([]*graph.Value, n)
	for i := range out {
		out[i] = c.result(i)
	}
	c.emit(&op.Split{Axis: axis}, in, out...)
	return nil
}

func transpose(c *call) error {
	perm, err := c.fixed(1)
	if err != nil {
		return err
	}
	return c.is(&op.Transpose{Perm: perm}, c.in[0])
}

// pads turns [[begin, end], …] into the begins, then the ends.
func (c *call) pads() (*graph.Value, error) {
	list, err := c.fixed(1)
	if err != nil || len(list)%2 != 0 {
		return nil, errUnknown
	}
	var begin, end []int
	for i := 0; i < len(list); i += 2 {
		begin, end = append(begin, list[i]), append(end, list[i+1])
	}
	return c.ints("pads", append(begin, end...)...), nil
}

func pad(c *call) error {
	pads, err := c.pads()
	if err != nil {
		return err
	}
	if len(c.in) > 2 {
		return c.is(&op.Pad{}, c.in[0], pads, c.in[2])
	}
	return c.is(&op.Pad{}, c.in[0], pads)
}

func mirrorPad(c *call) error {
	pads, err := c.pads()
	if err != nil {
		return err
	}
	if c.text("mode", "REFLECT") != "REFLECT" {
		return errUnknown
	}
	return c.is(&op.Pad{Mode: op.PadReflect}, c.in[0], pads)
}

func gather(c *call) error {
	axis := 0
	if len(c.in) > 2 {
		axes, err := c.fixed(2)
		if err != nil || len(axes) != 1 {
			return errUnknown
		}
		axis = axes[0]
	}
	if c.int("batch_dims", 0) != 0 {
		return errUnknown
	}
	return c.is(&op.Gather{Axis: axis}, c.in[0], c.wide(c.in[1]))
}

func tile(c *call) error { return c.is(&op.Tile{}, c.in[0], c.flatWide(c.in[1])) }

func fill(c *call) error { return c.is(&op.Expand{}, c.in[1], c.flatWide(c.in[0])) }

func filledLike(v float64) func(c *call) error {
	return func(c *call) error {
		return c.is(&op.Expand{}, c.scalar("value", v), c.apply("shape", &op.Shape{ToEnd: true}, c.in[0]))
	}
}

// reverse turns axes around.
func reverse(c *call) error {
	axes, err := c.fixed(1)
	if err != nil || len(axes) == 0 {
		return errUnknown
	}
	steps := slices.Repeat([]int{-1}, len(axes))
	return c.is(&op.Slice{}, c.in[0], c.ints("starts", slices.Repeat([]int{math.MaxInt32}, len(axes))...),
		c.ints("ends", slices.Repeat([]int{-math.MaxInt32}, len(axes))...), c.ints("axes", axes...), c.ints("steps", steps...))
}

func reverseSequence(c *call) error {
	return c.is(&op.ReverseSequence{TimeAxis: c.int("seq_dim", 0), BatchAxis: c.int("batch_dim", 0)}, c.in[0], c.wide(c.in[1]))
}

func gatherND(c *call) error { return c.is(op.Lookup("GatherND"), c.in[0], c.wide(c.in[1])) }

func broadcastTo(c *call) error { return c.is(&op.Expand{}, c.in[0], c.flatWide(c.in[1])) }

// oneHot has the operands indices, depth, value of the one, value of the others.
func oneHot(c *call) error {
	one, other := c.in[2], c.in[3]
	values := c.apply("values", &op.Concat{}, c.apply("other", &op.Reshape{}, other, c.ints("list", 1)), c.apply("one", &op.Reshape{}, one, c.ints("list", 1)))
	return c.is(&op.OneHot{Axis: c.int("axis", -1)}, c.in[0], c.flatWide(c.in[1]), values)
}

func cumSum(c *call) error {
	return c.is(&op.CumSum{Exclusive: c.flag("exclusive"), Reverse: c.flag("reverse")}, c.in[0], c.wide(c.in[1]))
}

func einsum(c *call) error { return c.is(&op.Einsum{Equation: c.text("equation", "")}, c.in...) }
