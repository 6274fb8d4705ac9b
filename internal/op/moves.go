package op

import (
	"fmt"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/tensor"
)

// Operators that move elements.
type (
	// Transpose permutes dimensions: dimension i of the result is dimension Perm[i] of the operand; empty reverses.
	Transpose struct{ Perm []int }
	// Concat puts its operands one after the other along Axis.
	Concat struct{ Axis int }
	// Split cuts along Axis into as many parts as it has outputs: of the sizes in operand 1, or equal ones (the last
	// may be smaller).
	Split struct{ Axis int }
	// Slice takes a part of some dimensions. Operands: x, starts, ends, axes (optional: the first ones), steps
	// (optional: 1). Negative indices count from the end; steps may be negative.
	Slice struct{}
	// Gather takes slices along Axis at the indices of operand 1.
	Gather struct{ Axis int }
	// Expand broadcasts to the shape of operand 1.
	Expand struct{}
	// Tile repeats each dimension as often as operand 1 says.
	Tile struct{}
)

// Type is "Transpose".
func (*Transpose) Type() string { return "Transpose" }

// Type is "Concat".
func (*Concat) Type() string { return "Concat" }

// Type is "Split".
func (*Split) Type() string { return "Split" }

// Type is "Slice".
func (*Slice) Type() string { return "Slice" }

// Type is "Gather".
func (*Gather) Type() string { return "Gather" }

// Type is "Expand".
func (*Expand) Type() string { return "Expand" }

// Type is "Tile".
func (*Tile) Type() string { return "Tile" }

// pick makes a tensor whose element i is element index(i) of x.
func pick(x *tensor.Tensor, shape []int, index func(i int) int) *tensor.Tensor {
	n := product(shape)
	if x.DType().Bits() < 8 {
		from := Int64s(x)
		values := make([]int64, n)
		for i := range values {
			values[i] = from[index(i)]
		}
		return FromInt64s(x.DType(), shape, values)
	}
	out := tensor.New(x.DType(), shape...)
	size := x.DType().Bits() / 8
	from, to := x.Bytes(), out.Bytes()
	for i := range n {
		copy(to[i*size:(i+1)*size], from[index(i)*size:])
	}
	return out
}

// Permutation is Perm with its default, checked for a rank.
func (o *Transpose) Permutation(rank int) ([]int, error) {
	if len(o.Perm) == 0 {
		perm := make([]int, rank)
		for i := range perm {
			perm[i] = rank - 1 - i
		}
		return perm, nil
	}
	if len(o.Perm) != rank {
		return nil, fmt.Errorf("permutation %v for %d dimensions", o.Perm, rank)
	}
	sorted := slices.Sorted(slices.Values(o.Perm))
	for i, p := range sorted {
		if i != p {
			return nil, fmt.Errorf("%v is not a permutation", o.Perm)
		}
	}
	return o.Perm, nil
}

// Infer permutes the shape.
func (o *Transpose) Infer(c *Inference) error {
	x := c.In(0).Shape
	if x == nil {
		c.SetOut(0, movedType(c), nil)
		return nil
	}
	perm, err := o.Permutation(len(x))
	if err != nil {
		return err
	}
	shape := make(graph.Shape, len(x))
	for i, p := range perm {
		shape[i] = x[p]
	}
	c.SetOut(0, movedType(c), shape)
	return nil
}

// Evaluate permutes.
func (o *Transpose) Evaluate(c *Evaluation) error {
	x := c.In(0)
	perm, err := o.Permutation(len(x.Shape()))
	if err != nil {
		return err
	}
	shape, own := make([]int, len(perm)), rowMajor(x.Shape())
	strides := make([]int, len(perm))
	for i, p := range perm {
		shape[i], strides[i] = x.Shape()[p], own[p]
	}
	c.Set(0, pick(x, shape, strided(shape, strides, 0)))
	return nil
}

// strided maps row-major offsets in a shape to offsets in storage with other strides.
func strided(shape, strides []int, first int) func(i int) int {
	return func(i int) int {
		offset := first
		for axis := len(shape) - 1; axis >= 0; axis-- {
			offset += i % shape[axis] * strides[axis]
			i /= shape[axis]
		}
		return offset
	}
}

// Infer adds up the sizes along the axis.
func (o *Concat) Infer(c *Inference) error {
	if len(c.Node.Inputs) == 0 {
		return fmt.Errorf("it joins nothing")
	}
	dtype := movedType(c)
	var shape graph.Shape
	axis := 0
	total := graph.Fixed(0)
	for i := range c.Node.Inputs {
		s := c.In(i).Shape
		if s == nil {
			c.SetOut(0, dtype, nil)
			return nil
		}
		if i == 0 {
			var err error
			if axis, err = normalAxis(o.Axis, len(s)); err != nil {
				return err
			}
			shape = slices.Clone(s)
		}
		if len(s) != len(shape) {
			return fmt.Errorf("operands %s and %s have different ranks", c.In(0), c.In(i))
		}
		for d := range s {
			if d == axis {
				continue
			}
			if s[d].Known() && shape[d].Known() && s[d].Size != shape[d].Size {
				return fmt.Errorf("operands %s and %s differ in dimension %d", c.In(0), c.In(i), d)
			}
			if s[d].Known() {
				shape[d] = s[d]
			}
		}
		if total.Known() && s[axis].Known() {
			total.Size += s[axis].Size
		} else {
			total = graph.Dim{Size: graph.Unknown}
		}
	}
	shape[axis] = total
	c.SetOut(0, dtype, shape)
	if len(shape) != 1 {
		return nil
	}
	var data []Int
	for i := range c.Node.Inputs {
		part, ok := c.Data(i)
		if !ok {
			return nil
		}
		data = append(data, part...)
	}
	c.SetData(0, data)
	return nil
}

// Evaluate copies.
func (o *Concat) Evaluate(c *Evaluation) error {
	first := c.In(0)
	axis, err := normalAxis(o.Axis, len(first.Shape()))
	if err != nil {
		return err
	}
	shape := slices.Clone(first.Shape())
	shape[axis] = 0
	for _, x := range c.in {
		if len(x.Shape()) != len(shape) || x.DType() != first.DType() ||
			!slices.Equal(x.Shape()[:axis], shape[:axis]) || !slices.Equal(x.Shape()[axis+1:], shape[axis+1:]) {
			return fmt.Errorf("operands %s and %s cannot be joined", first, x)
		}
		shape[axis] += x.Shape()[axis]
	}
	out := tensor.New(first.DType(), shape...)
	size := first.DType().Bits()
	row := product(shape[axis:]) * size / 8
	at := 0
	for _, x := range c.in {
		part := product(x.Shape()[axis:]) * size / 8
		if part*8 != product(x.Shape()[axis:])*size {
			return fmt.Errorf("rows of %s do not end on whole bytes", x)
		}
		for outer := range product(shape[:axis]) {
			copy(out.Bytes()[outer*row+at:][:part], x.Bytes()[outer*part:])
		}
		at += part
	}
	c.Set(0, out)
	return nil
}

// Integer moves codes of one scale.
func (o *Concat) Integer(n *graph.Node) (IntegerForm, error) { return unified(n) }

// sizes are the lengths of the parts.
func (o *Split) sizes(given []int64, total, parts int) ([]int, error) {
	if given == nil {
		each := (total + parts - 1) / parts
		sizes := make([]int, parts)
		for i := range sizes {
			sizes[i] = max(min(each, total-i*each), 0)
		}
		return sizes, nil
	}
	sizes := convert(given, func(n int64) int { return int(n) })
	sum := 0
	for _, n := range sizes {
		if n < 0 {
			return nil, fmt.Errorf("split sizes %v", given)
		}
		sum += n
	}
	if sum != total || len(sizes) != parts {
		return nil, fmt.Errorf("split sizes %v for %d outputs of %d elements", given, parts, total)
	}
	return sizes, nil
}

// Infer gives each part's shape.
func (o *Split) Infer(c *Inference) error {
	x := c.In(0).Shape
	if x == nil {
		return nil
	}
	axis, err := normalAxis(o.Axis, len(x))
	if err != nil {
		return err
	}
	given, known := c.Ints(1)
	var sizes []int
	if x[axis].Known() && (known || !c.Has(1)) && len(c.Node.Outputs) > 0 {
		if sizes, err = o.sizes(given, x[axis].Size, len(c.Node.Outputs)); err != nil {
			return err
		}
	}
	for i := range c.Node.Outputs {
		shape := slices.Clone(x)
		shape[axis] = graph.Dim{Size: graph.Unknown}
		if sizes != nil {
			shape[axis] = graph.Fixed(sizes[i])
		}
		c.SetOut(i, movedType(c), shape)
	}
	if data, ok := c.Data(0); ok && sizes != nil && len(x) == 1 && len(data) == x[0].Size {
		for i, n := range sizes {
			c.SetData(i, slices.Clone(data[:n]))
			data = data[n:]
		}
	}
	return nil
}

// Evaluate copies.
func (o *Split) Evaluate(c *Evaluation) error {
	x := c.In(0)
	axis, err := normalAxis(o.Axis, len(x.Shape()))
	if err != nil {
		return err
	}
	var given []int64
	if c.Has(1) {
		given = Int64s(c.In(1))
	}
	sizes, err := o.sizes(given, x.Shape()[axis], len(c.Node.Outputs))
	if err != nil {
		return err
	}
	strides := rowMajor(x.Shape())
	first := 0
	for i, n := range sizes {
		shape := slices.Clone(x.Shape())
		shape[axis] = n
		c.Set(i, pick(x, shape, strided(shape, strides, first*strides[axis])))
		first += n
	}
	return nil
}

// Integer moves codes.
func (o *Split) Integer(n *graph.Node) (IntegerForm, error) { return moved(n), nil }

// Part is what Slice takes of one dimension: Count elements from First on, Step apart.
type Part struct{ First, Step, Count int }

// part resolves one dimension's start, end and step as the ONNX specification clamps them.
func part(start, end, step int64, size int) (Part, error) {
	if step == 0 {
		return Part{}, fmt.Errorf("a slice with step 0")
	}
	n := int64(size)
	from := func(i int64) int64 {
		if i < 0 && i > -1<<62 {
			i += n
		}
		return i
	}
	start, end = from(start), from(end)
	var count int64
	if step > 0 {
		start, end = min(max(start, 0), n), min(max(end, 0), n)
		if end > start {
			count = (end-start-1)/step + 1
		}
	} else {
		start, end = min(max(start, 0), n-1), min(max(end, -1), n-1)
		if start > end {
			count = (start-end-1)/-step + 1
		}
	}
	return Part{int(start), int(step), int(count)}, nil
}

// Infer slices shapes and known integers.
func (o *Slice) Infer(c *Inference) error {
	x := c.In(0).Shape
	if x == nil {
		c.SetOut(0, movedType(c), nil)
		return nil
	}
	starts, ok := c.Ints(1)
	ends, known := c.Ints(2)
	shape := slices.Clone(x)
	axes, steps := []int64(nil), []int64(nil)
	given := true
	if c.Has(3) {
		axes, given = c.Ints(3)
	}
	if c.Has(4) && given {
		steps, given = c.Ints(4)
	}
	if !given {
		c.SetOut(0, movedType(c), unknowns(len(x)))
		return nil
	}
	count := len(starts)
	if !ok {
		count = len(axes)
	}
	dims, err := sliceAxes(axes, count, len(x))
	if err != nil {
		return err
	}
	if !ok || !known {
		if axes == nil {
			shape = unknowns(len(x))
		}
		for _, axis := range dims {
			shape[axis] = graph.Dim{Size: graph.Unknown}
		}
		c.SetOut(0, movedType(c), shape)
		return nil
	}
	if len(ends) != count || steps != nil && len(steps) != count {
		return fmt.Errorf("%d starts, %d ends, %d steps", count, len(ends), len(steps))
	}
	data, hasData := c.Data(0)
	for i, axis := range dims {
		step := int64(1)
		if steps != nil {
			step = steps[i]
		}
		if !x[axis].Known() {
			if !(starts[i] == 0 && ends[i] >= 1<<31-1 && step == 1) {
				shape[axis] = graph.Dim{Size: graph.Unknown}
			}
			continue
		}
		p, err := part(starts[i], ends[i], step, x[axis].Size)
		if err != nil {
			return err
		}
		shape[axis] = graph.Fixed(p.Count)
		if hasData && len(x) == 1 && len(data) == x[0].Size {
			out := make([]Int, p.Count)
			for j := range out {
				out[j] = data[p.First+j*p.Step]
			}
			c.SetData(0, out)
		}
	}
	c.SetOut(0, movedType(c), shape)
	return nil
}

func sliceAxes(axes []int64, count, rank int) ([]int, error) {
	if axes == nil {
		if count > rank {
			return nil, fmt.Errorf("%d starts for %d dimensions", count, rank)
		}
		dims := make([]int, count)
		for i := range dims {
			dims[i] = i
		}
		return dims, nil
	}
	if len(axes) != count {
		return nil, fmt.Errorf("%d axes for %d starts", len(axes), count)
	}
	return normalAxes(axes, rank)
}

// Parts resolves a slice of known starts, ends, axes and steps (nil where absent) for every dimension of a shape.
func (o *Slice) Parts(shape []int, starts, ends, axes, steps []int64) ([]Part, error) {
	parts := make([]Part, len(shape))
	for i, n := range shape {
		parts[i] = Part{0, 1, n}
	}
	dims, err := sliceAxes(axes, len(starts), len(shape))
	if err != nil {
		return nil, err
	}
	if len(ends) != len(starts) || steps != nil && len(steps) != len(starts) {
		return nil, fmt.Errorf("%d starts, %d ends, %d steps", len(starts), len(ends), len(steps))
	}
	for i, axis := range dims {
		step := int64(1)
		if steps != nil {
			step = steps[i]
		}
		if parts[axis], err = part(starts[i], ends[i], step, shape[axis]); err != nil {
			return nil, err
		}
	}
	return parts, nil
}

// Evaluate copies.
func (o *Slice) Evaluate(c *Evaluation) error {
	operand := make([][]int64, 5)
	for i := 1; i < 5; i++ {
		if c.Has(i) {
			operand[i] = Int64s(c.In(i))
		}
	}
	x := c.In(0)
	parts, err := o.Parts(x.Shape(), operand[1], operand[2], operand[3], operand[4])
	if err != nil {
		return err
	}
	shape, strides := make([]int, len(parts)), rowMajor(x.Shape())
	first := 0
	for i, p := range parts {
		shape[i] = p.Count
		first += p.First * strides[i]
		strides[i] *= p.Step
	}
	c.Set(0, pick(x, shape, strided(shape, strides, first)))
	return nil
}

// Integer moves codes.
func (o *Slice) Integer(n *graph.Node) (IntegerForm, error) { return moved(n), nil }

// Integer moves codes.
func (o *Transpose) Integer(n *graph.Node) (IntegerForm, error) { return moved(n), nil }

// Infer inserts the shape of the indices and follows known integers.
func (o *Gather) Infer(c *Inference) error {
	x, indices := c.In(0).Shape, c.In(1).Shape
	if x == nil || indices == nil {
		c.SetOut(0, movedType(c), nil)
		return nil
	}
	axis, err := normalAxis(o.Axis, len(x))
	if err != nil {
		return err
	}
	shape := joinShapes(x[:axis], indices, x[axis+1:])
	c.SetOut(0, movedType(c), shape)
	data, ok := c.Data(0)
	at, known := c.Ints(1)
	if !ok || !known || len(x) != 1 {
		return nil
	}
	out := make([]Int, len(at))
	for i, index := range at {
		if index < 0 {
			index += int64(len(data))
		}
		if index < 0 || index >= int64(len(data)) {
			return fmt.Errorf("index %d is outside %d elements", at[i], len(data))
		}
		out[i] = data[index]
	}
	c.SetData(0, out)
	return nil
}

// Evaluate copies.
func (o *Gather) Evaluate(c *Evaluation) error {
	x := c.In(0)
	axis, err := normalAxis(o.Axis, len(x.Shape()))
	if err != nil {
		return err
	}
	size, inner := x.Shape()[axis], product(x.Shape()[axis+1:])
	indices := slices.Clone(Int64s(c.In(1)))
	for i, index := range indices {
		if index < 0 {
			indices[i] += int64(size)
		}
		if indices[i] < 0 || indices[i] >= int64(size) {
			return fmt.Errorf("index %d is outside %d elements", index, size)
		}
	}
	shape := slices.Concat(x.Shape()[:axis], c.In(1).Shape(), x.Shape()[axis+1:])
	c.Set(0, pick(x, shape, func(i int) int {
		k, rest := i%inner, i/inner
		return (rest/len(indices)*size+int(indices[rest%len(indices)]))*inner + k
	}))
	return nil
}

// Integer moves codes; the indices must be a plain operand.
func (o *Gather) Integer(n *graph.Node) (IntegerForm, error) {
	if n.Inputs[0].Const != nil {
		return IntegerForm{}, fmt.Errorf("it looks up a constant table")
	}
	return moved(n), nil
}

// Infer broadcasts to the given shape.
func (o *Expand) Infer(c *Inference) error {
	want, ok := c.Data(1)
	if !ok || c.In(0).Shape == nil {
		c.SetOut(0, movedType(c), nil)
		return nil
	}
	shape, err := broadcastShapes(c.In(0).Shape, convert(want, Int.Dim))
	if err != nil {
		return err
	}
	c.SetOut(0, movedType(c), shape)
	if data, known := c.Data(0); known && len(data) == 1 && len(shape) == 1 && shape[0].Known() && shape[0].Size <= maxData {
		c.SetData(0, slices.Repeat(data, shape[0].Size))
	}
	return nil
}

// Evaluate copies.
func (o *Expand) Evaluate(c *Evaluation) error {
	x := c.In(0)
	shape, err := broadcastSizes(x.Shape(), convert(Int64s(c.In(1)), func(n int64) int { return int(n) }))
	if err != nil {
		return err
	}
	index, err := broadcastIndex(x.Shape(), shape)
	if err != nil {
		return err
	}
	c.Set(0, pick(x, shape, index))
	return nil
}

// Integer moves codes.
func (o *Expand) Integer(n *graph.Node) (IntegerForm, error) { return moved(n), nil }

// Infer multiplies sizes.
func (o *Tile) Infer(c *Inference) error {
	x := c.In(0).Shape
	repeats, ok := c.Ints(1)
	if x == nil || !ok || len(repeats) != len(x) {
		var shape graph.Shape
		if x != nil {
			shape = unknowns(len(x))
		}
		c.SetOut(0, movedType(c), shape)
		return nil
	}
	shape := make(graph.Shape, len(x))
	for i, d := range x {
		shape[i] = d
		if d.Known() {
			shape[i] = Literal(int64(d.Size) * repeats[i]).Dim()
		} else if repeats[i] != 1 {
			shape[i] = graph.Dim{Size: graph.Unknown}
		}
	}
	c.SetOut(0, movedType(c), shape)
	return nil
}

// Evaluate copies.
func (o *Tile) Evaluate(c *Evaluation) error {
	x := c.In(0)
	repeats := Int64s(c.In(1))
	if len(repeats) != len(x.Shape()) {
		return fmt.Errorf("%d repeats for %s", len(repeats), x)
	}
	shape, strides := make([]int, len(repeats)), rowMajor(x.Shape())
	for i, n := range repeats {
		shape[i] = x.Shape()[i] * int(n)
	}
	if _, ok := tensor.Count(shape); !ok {
		return fmt.Errorf("%s repeated %v times is too large", x, repeats)
	}
	c.Set(0, pick(x, shape, func(i int) int {
		offset := 0
		for axis := len(shape) - 1; axis >= 0; axis-- {
			offset += i % shape[axis] % x.Shape()[axis] * strides[axis]
			i /= shape[axis]
		}
		return offset
	}))
	return nil
}

// Integer moves codes.
func (o *Tile) Integer(n *graph.Node) (IntegerForm, error) { return moved(n), nil }
