package tflite

import (
	"fmt"
	"math"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// reshape takes the shape from operand 1 or, in old files, from the options.
func reshape(c *call) error {
	var shape *graph.Value
	rank := -1
	if v := c.input(1); v != nil {
		rank, _ = v.Type.Rank()
	}
	switch {
	case rank == 1:
		shape = c.int64s(1, "shape")
	default:
		var sizes []int64
		for _, n := range c.options.ints(0) {
			sizes = append(sizes, int64(n))
		}
		shape = c.list("shape", sizes...)
	}
	c.emit(&op.Reshape{AllowZero: true}, []*graph.Value{c.in[0], shape}, c.out[0])
	return nil
}

func squeeze(c *call) error {
	in := []*graph.Value{c.in[0]}
	if axes := c.options.ints(0); len(axes) > 0 {
		wide := make([]int64, len(axes))
		for i, a := range axes {
			wide[i] = int64(a)
		}
		in = append(in, c.list("axes", wide...))
	}
	c.emit(&op.Squeeze{}, in, c.out[0])
	return nil
}

func expandDims(c *call) error {
	c.emit(&op.Unsqueeze{}, []*graph.Value{c.in[0], c.reshaped(c.int64s(1, "axes"), 1)}, c.out[0])
	return nil
}

func transpose(c *call) error {
	axes, ok := c.constants(1)
	if !ok {
		return errUnknown // an order that is computed
	}
	perm := make([]int, len(axes))
	for i, a := range axes {
		if perm[i] = int(a); a < 0 {
			perm[i] += len(axes)
		}
	}
	c.emit(&op.Transpose{Perm: perm}, c.in[:1], c.out[0])
	return nil
}

// concatenation brings quantized parts to the scale of the result where theirs differs.
func concatenation(c *call) error {
	in := append([]*graph.Value(nil), c.in...)
	out := c.out[0]
	for i, v := range in {
		if v == nil {
			return fmt.Errorf("input %d is required", i)
		}
		if v.Type.Quant != nil && out.Type.Quant.IsPerTensor() && !v.Type.Quant.Equal(out.Type.Quant) {
			in[i] = c.like(out, "part")
			c.emit(&op.Requantize{}, []*graph.Value{v}, in[i])
		}
	}
	return c.activated(&op.Concat{Axis: c.options.int(0, 0)}, in, c.options.byte(1))
}

// pad has begin and end of each dimension as the rows of operand 1.
func pad(mode op.PadMode) func(c *call) error {
	return func(c *call) error {
		if c.kind.name == "MIRROR_PAD" && c.options.byte(0) != 0 {
			return symmetricPad(c)
		}
		amounts := c.int64s(1, "amounts")
		if amounts.Const != nil {
			pairs := op.Int64s(amounts.Const)
			pads := make([]int64, len(pairs)&^1)
			for i := range len(pairs) / 2 {
				pads[i], pads[len(pairs)/2+i] = pairs[2*i], pairs[2*i+1]
			}
			amounts = c.list("pads", pads...)
		} else {
			turned := c.temporary("turned")
			c.emit(&op.Transpose{Perm: []int{1, 0}}, []*graph.Value{amounts}, turned)
			amounts = c.reshaped(turned, -1)
		}
		in := []*graph.Value{c.in[0], amounts}
		if value := c.input(2); value != nil {
			if value.Const != nil && value.Const.Len() == 1 && value.Type.Quant != nil {
				value = c.scalar("value", op.Reals(value.Const, value.Type.Quant)[0])
			}
			in = append(in, value)
		}
		c.emit(&op.Pad{Mode: mode}, in, c.out[0])
		return nil
	}
}

// symmetricPad mirrors with the edge itself: what is added are reversed slices.
func symmetricPad(c *call) error {
	pairs, ok := c.constants(1)
	if !ok || len(pairs)%2 != 0 || len(pairs) > 64 {
		return errUnknown
	}
	last := -1
	for i, n := range pairs {
		if n < 0 {
			return fmt.Errorf("negative padding %v", pairs)
		}
		if n > 0 {
			last = i / 2
		}
	}
	if last < 0 {
		c.emit(&op.Identity{}, c.in[:1], c.out[0])
		return nil
	}
	x := c.in[0]
	for axis := range len(pairs) / 2 {
		begin, end := pairs[2*axis], pairs[2*axis+1]
		if begin == 0 && end == 0 {
			continue
		}
		mirrored := func(suffix string, from, to int64) *graph.Value {
			part := c.like(x, suffix)
			c.emit(&op.Slice{}, []*graph.Value{x, c.list("starts", from), c.list("ends", to), c.list("axes", int64(axis)), c.list("steps", -1)}, part)
			return part
		}
		var parts []*graph.Value
		if begin > 0 {
			parts = append(parts, mirrored("before", begin-1, math.MinInt64))
		}
		parts = append(parts, x)
		if end > 0 {
			parts = append(parts, mirrored("after", -1, -end-1))
		}
		out := c.out[0]
		if axis != last {
			out = c.like(x, "padded")
		}
		c.emit(&op.Concat{Axis: axis}, parts, out)
		x = out
	}
	return nil
}

// slice has begins and sizes; a size of −1 is all that is left.
func slice(c *call) error {
	begins := c.int64s(1, "begins")
	sizes := c.int64s(2, "sizes")
	if begins.Const == nil || sizes.Const == nil || begins.Const.Len() != sizes.Const.Len() {
		return errUnknown // a size of −1 cannot be told from others before the run
	}
	first, count := op.Int64s(begins.Const), op.Int64s(sizes.Const)
	ends := make([]int64, len(first))
	for i := range ends {
		if ends[i] = first[i] + count[i]; count[i] < 0 {
			ends[i] = math.MaxInt64
		}
	}
	c.emit(&op.Slice{}, []*graph.Value{c.in[0], begins, c.list("ends", ends...)}, c.out[0])
	return nil
}

// stridedSlice has begins, ends and strides, and masks that say which of them count and which dimensions go or come.
func stridedSlice(c *call) error {
	t := c.options
	begin, ok1 := c.constants(1)
	end, ok2 := c.constants(2)
	stride, ok3 := c.constants(3)
	rank, known := c.in[0].Type.Rank()
	if !ok1 || !ok2 || !ok3 || !known || len(begin) != len(end) || len(begin) != len(stride) || len(begin) > 32 {
		return errUnknown
	}
	has := func(mask, i int) bool { return t.int(mask, 0)>>i&1 == 1 }
	named := 0 // axes of the input that entries are about
	for i := range begin {
		if !has(2, i) && !has(3, i) {
			named++
		}
	}
	if named > rank {
		return fmt.Errorf("it slices %d axes of a value with %d", named, rank)
	}
	var starts, ends, axes, steps, gone, added []int64
	axis, out := 0, 0 // of the input; of the result before axes are dropped
	ellipsis := false
	for i := range begin {
		switch {
		case has(2, i): // stands for all axes that no entry is about
			if ellipsis {
				return fmt.Errorf("it has two ellipses")
			}
			ellipsis = true
			axis, out = axis+rank-named, out+rank-named
			continue
		case has(3, i):
			added = append(added, int64(out))
			out++
			continue
		}
		from, to, step := begin[i], end[i], stride[i]
		if t.bool(5) { // ends are counted from begins
			to += from
		}
		switch {
		case has(4, i):
			gone = append(gone, int64(axis))
			step = 1
			if to = from + 1; to == 0 {
				to = math.MaxInt64
			}
		case step == 0:
			return fmt.Errorf("stride %d is 0", i)
		default:
			if has(0, i) {
				from = 0
				if step < 0 {
					from = math.MaxInt64
				}
			}
			if has(1, i) {
				to = math.MaxInt64
				if step < 0 {
					to = math.MinInt64
				}
			}
			out++
		}
		starts, ends, axes, steps = append(starts, from), append(ends, to), append(axes, int64(axis)), append(steps, step)
		axis++
	}
	y := func(last bool, suffix string) *graph.Value {
		if last {
			return c.out[0]
		}
		return c.like(c.in[0], suffix)
	}
	part := y(len(gone)+len(added) == 0, "part")
	c.emit(&op.Slice{}, []*graph.Value{c.in[0], c.list("begins", starts...), c.list("ends", ends...), c.list("axes", axes...), c.list("strides", steps...)}, part)
	if len(gone) > 0 {
		rest := y(len(added) == 0, "rest")
		c.emit(&op.Squeeze{}, []*graph.Value{part, c.list("gone", gone...)}, rest)
		part = rest
	}
	if len(added) > 0 {
		c.emit(&op.Unsqueeze{}, []*graph.Value{part, c.list("added", added...)}, c.out[0])
	}
	return nil
}

func reverse(c *call) error {
	axes, ok := c.constants(1)
	if !ok {
		return errUnknown
	}
	starts, ends, steps := make([]int64, len(axes)), make([]int64, len(axes)), make([]int64, len(axes))
	for i := range axes {
		starts[i], ends[i], steps[i] = math.MaxInt64, math.MinInt64, -1
	}
	c.emit(&op.Slice{}, []*graph.Value{c.in[0], c.list("starts", starts...), c.list("ends", ends...),
		c.list("axes", axes...), c.list("steps", steps...)}, c.out[0])
	return nil
}

func reverseSequence(c *call) error {
	c.emit(&op.ReverseSequence{TimeAxis: c.options.int(0, 0), BatchAxis: c.options.int(1, 0)},
		[]*graph.Value{c.in[0], c.int64s(1, "lengths")}, c.out[0])
	return nil
}

// split has the axis as operand 0.
func split(c *call) error {
	axis, ok := c.constants(0)
	if !ok || len(axis) != 1 {
		return errUnknown
	}
	c.emit(&op.Split{Axis: int(axis[0])}, []*graph.Value{c.in[1]}, c.out...)
	return nil
}

// splitV has sizes as operand 1, one of which may be −1, and the axis as operand 2.
func splitV(c *call) error {
	axis, ok := c.constants(2)
	sizes, known := c.constants(1)
	if !ok || !known || len(axis) != 1 || len(sizes) != len(c.out) {
		return errUnknown
	}
	total, hole := int64(0), -1
	for i, n := range sizes {
		if n < 0 {
			hole = i
		} else {
			total += n
		}
	}
	if hole >= 0 {
		whole, err := c.size(0, int(axis[0]))
		if err != nil {
			return err
		}
		sizes[hole] = int64(whole) - total
	}
	c.emit(&op.Split{Axis: int(axis[0])}, []*graph.Value{c.in[0], c.list("sizes", sizes...)}, c.out...)
	return nil
}

// pack puts its operands beside each other along a new dimension.
func pack(c *call) error {
	axis := int64(c.options.int(1, 0))
	in := make([]*graph.Value, len(c.in))
	for i, v := range c.in {
		if v == nil {
			return fmt.Errorf("input %d is required", i)
		}
		in[i] = c.like(v, "part")
		c.emit(&op.Unsqueeze{}, []*graph.Value{v, c.list("axis", axis)}, in[i])
	}
	c.emit(&op.Concat{Axis: int(axis)}, in, c.out[0])
	return nil
}

func unpack(c *call) error {
	axis := c.options.int(1, 0)
	parts := make([]*graph.Value, len(c.out))
	for i := range parts {
		parts[i] = c.like(c.in[0], "part")
	}
	c.emit(&op.Split{Axis: axis}, []*graph.Value{c.in[0]}, parts...)
	for i, v := range parts {
		c.emit(&op.Squeeze{}, []*graph.Value{v, c.list("axis", int64(axis))}, c.out[i])
	}
	return nil
}

func gather(c *call) error {
	if batch := c.options.int(1, 0); batch != 0 { // tables and indices in batches
		if c.options.int(0, 0) != batch || batch < 0 {
			return errUnknown
		}
		indices := c.int64s(1, "indices")
		each := c.temporary("each")
		c.emit(&op.Unsqueeze{}, []*graph.Value{indices, c.list("last", -1)}, each)
		c.emit(&op.GatherND{BatchDims: batch}, []*graph.Value{c.in[0], each}, c.out[0])
		return nil
	}
	c.emit(&op.Gather{Axis: c.options.int(0, 0)}, []*graph.Value{c.in[0], c.in[1]}, c.out[0])
	return nil
}

// embeddingLookup takes rows of a table, which are dequantized if the table is codes.
func embeddingLookup(c *call) error {
	rows := c.out[0]
	if c.in[1].Type.Quant != nil && rows.Type.Quant == nil {
		rows = c.temporary("codes")
		if !c.in[1].Type.Quant.IsPerTensor() {
			return errUnknown
		}
	}
	c.emit(&op.Gather{}, []*graph.Value{c.in[1], c.in[0]}, rows)
	if rows != c.out[0] {
		c.emit(&op.Dequantize{}, []*graph.Value{rows}, c.out[0])
	}
	return nil
}

// scatter adds updates up in a tensor of zeros.
func scatter(c *call) error {
	dtype := c.in[1].Type.DType
	if dtype == tensor.Invalid || quantized(c.in) {
		return errUnknown
	}
	zeros := c.temporary("zeros")
	c.emit(&op.ConstantOfShape{Fill: tensor.New(dtype, 1)}, []*graph.Value{c.int64s(2, "shape")}, zeros)
	c.emit(&op.ScatterND{Reduction: op.AddTo}, []*graph.Value{zeros, c.int64s(0, "indices"), c.in[1]}, c.out[0])
	return nil
}

func gatherND(c *call) error {
	c.emit(&op.GatherND{}, []*graph.Value{c.in[0], c.int64s(1, "indices")}, c.out[0])
	return nil
}

func shape(c *call) error {
	c.narrowed(&op.Shape{ToEnd: true}, c.in[:1], 0)
	return nil
}

func rank(c *call) error {
	sizes, count := c.temporary("sizes"), c.temporary("count")
	c.emit(&op.Shape{ToEnd: true}, c.in[:1], sizes)
	c.emit(&op.Size{}, []*graph.Value{sizes}, count)
	c.emit(&op.Cast{To: op.OutputType{DType: tensor.Int32}}, []*graph.Value{count}, c.out[0])
	return nil
}

func zerosLike(c *call) error {
	dtype := c.in[0].Type.DType
	if dtype == tensor.Invalid || quantized(c.in) {
		return errUnknown
	}
	sizes := c.temporary("sizes")
	c.emit(&op.Shape{ToEnd: true}, c.in[:1], sizes)
	c.emit(&op.ConstantOfShape{Fill: tensor.New(dtype, 1)}, []*graph.Value{sizes}, c.out[0])
	return nil
}

func fill(c *call) error {
	c.emit(&op.Expand{}, []*graph.Value{c.in[1], c.int64s(0, "shape")}, c.out[0])
	return nil
}

// sized is the build function of operators whose operand 1 is a list of sizes.
func sized(make func() graph.Operator) func(c *call) error {
	return func(c *call) error {
		c.emit(make(), []*graph.Value{c.in[0], c.int64s(1, "sizes")}, c.out[0])
		return nil
	}
}

func where(c *call) error {
	if len(c.in) != 1 {
		return errUnknown
	}
	positions := c.temporary("positions")
	c.emit(&op.NonZero{}, c.in, positions)
	c.emit(&op.Transpose{Perm: []int{1, 0}}, []*graph.Value{positions}, c.out[0])
	return nil
}

// spaceToBatch cuts spatial dimensions, padded, into blocks and puts what has the same place in its block into a batch
// of its own.
func spaceToBatch(c *call) error {
	block, pads, x, err := c.blocks()
	if err != nil {
		return err
	}
	axes := len(block)
	all := make([]int64, 2*len(x))
	for i := range axes {
		all[1+i], all[len(x)+1+i] = pads[2*i], pads[2*i+1]
		x[1+i] += pads[2*i] + pads[2*i+1]
		if x[1+i]%block[i] != 0 {
			return fmt.Errorf("a size of %d cannot be divided into blocks of %d", x[1+i], block[i])
		}
	}
	padded := c.like(c.in[0], "padded")
	c.emit(&op.Pad{}, []*graph.Value{c.in[0], c.list("pads", all...)}, padded)
	// [N, H/b, b, W/b, b, …] → [b, b, N, H/b, W/b, …]
	cut := []int64{x[0]}
	var order []int
	batch := x[0]
	for i := range axes {
		cut = append(cut, x[1+i]/block[i], block[i])
		order = append(order, 2+2*i)
		batch *= block[i]
	}
	order = append(order, 0)
	joined := []int64{batch}
	for i := range axes {
		order = append(order, 1+2*i)
		joined = append(joined, x[1+i]/block[i])
	}
	for i := 1 + axes; i < len(x); i++ {
		order = append(order, len(cut))
		cut = append(cut, x[i])
		joined = append(joined, x[i])
	}
	parts, turned := c.reshaped(padded, cut...), c.like(c.in[0], "turned")
	c.emit(&op.Transpose{Perm: order}, []*graph.Value{parts}, turned)
	c.emit(&op.Reshape{AllowZero: true}, []*graph.Value{turned, c.list("shape", joined...)}, c.out[0])
	return nil
}

// batchToSpace is the inverse of spaceToBatch, with crops instead of pads.
func batchToSpace(c *call) error {
	block, crops, x, err := c.blocks()
	if err != nil {
		return err
	}
	axes := len(block)
	batch := x[0]
	cut := append([]int64(nil), block...)
	for _, b := range block {
		if batch%b != 0 {
			return fmt.Errorf("a batch of %d cannot be divided into blocks of %v", x[0], block)
		}
		batch /= b
	}
	// [b, b, N, H, W, …] → [N, H, b, W, b, …]
	cut = append(append(cut, batch), x[1:]...)
	order := []int{axes}
	joined := []int64{batch}
	starts, ends, which := []int64{}, []int64{}, []int64{}
	for i := range axes {
		order = append(order, axes+1+i, i)
		size := x[1+i] * block[i]
		joined = append(joined, size)
		starts, ends, which = append(starts, crops[2*i]), append(ends, size-crops[2*i+1]), append(which, int64(1+i))
	}
	for i := 1 + axes; i < len(x); i++ {
		order = append(order, axes+i)
		joined = append(joined, x[i])
	}
	parts, turned := c.reshaped(c.in[0], cut...), c.like(c.in[0], "turned")
	c.emit(&op.Transpose{Perm: order}, []*graph.Value{parts}, turned)
	whole := c.reshaped(turned, joined...)
	c.emit(&op.Slice{}, []*graph.Value{whole, c.list("starts", starts...), c.list("ends", ends...), c.list("axes", which...)}, c.out[0])
	return nil
}

// blocks are the operands of spaceToBatch and batchToSpace: block sizes, pairs of pads or crops, the sizes of operand 0.
func (c *call) blocks() (block, pairs, sizes []int64, err error) {
	block, ok := c.constants(1)
	pairs, known := c.constants(2)
	x, fixed := c.in[0].Type.Shape.Known()
	if !ok || !known || !fixed {
		return nil, nil, nil, errUnknown
	}
	if len(block) < 1 || len(block)+1 > len(x) || len(pairs) != 2*len(block) {
		return nil, nil, nil, fmt.Errorf("%d block sizes and %d pads do not fit %s", len(block), len(pairs), c.in[0].Type)
	}
	for _, n := range x {
		sizes = append(sizes, int64(n))
	}
	for i, b := range block {
		if b < 1 || b > math.MaxInt32 || pairs[2*i] < 0 || pairs[2*i+1] < 0 {
			return nil, nil, nil, fmt.Errorf("block size %d or pads %v are out of range", b, pairs)
		}
	}
	return block, pairs, sizes, nil
}
