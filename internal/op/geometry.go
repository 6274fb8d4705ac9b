package op

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/tensor"
)

// SampleMode is how GridSample interpolates.
type SampleMode uint8

const (
	SampleLinear SampleMode = iota
	SampleNearest
	SampleCubic
)

var sampleModes = []string{SampleLinear: "linear", SampleNearest: "nearest", SampleCubic: "cubic"}

// MarshalText is ONNX's name.
func (m SampleMode) MarshalText() ([]byte, error) { return []byte(nameOf(m, sampleModes)), nil }

// UnmarshalText is the inverse of MarshalText; names of older operator sets are known too.
func (m *SampleMode) UnmarshalText(text []byte) error {
	switch string(text) {
	case "bilinear":
		text = []byte("linear")
	case "bicubic":
		text = []byte("cubic")
	}
	return parseName(m, text, sampleModes)
}

// PaddingMode is what GridSample finds outside the image.
type PaddingMode uint8

const (
	PadZeros PaddingMode = iota
	PadBorder
	PadReflection
)

var paddingModes = []string{PadZeros: "zeros", PadBorder: "border", PadReflection: "reflection"}

// MarshalText is ONNX's name.
func (m PaddingMode) MarshalText() ([]byte, error) { return []byte(nameOf(m, paddingModes)), nil }

// UnmarshalText is the inverse of MarshalText.
func (m *PaddingMode) UnmarshalText(text []byte) error { return parseName(m, text, paddingModes) }

// GridSample reads X [batch, channels, spatial…] at the places that a grid [batch, spatial…, dimensions] names, in
// coordinates from −1 to 1, last dimension of X first (ONNX GridSample-22).
type GridSample struct {
	Mode         SampleMode
	PaddingMode  PaddingMode
	AlignCorners bool // −1 and 1 are the centres of the outer elements, instead of their outer edges
}

// Type is "GridSample".
func (*GridSample) Type() string { return "GridSample" }

// Infer takes batch and channels from X, the rest from the grid.
func (*GridSample) Infer(c *Inference) error {
	rank, ok := c.In(0).Rank()
	grid, known := c.In(1).Rank()
	if !ok || !known {
		c.SetOut(0, c.In(0).DType, nil)
		return nil
	}
	if grid != rank || rank < 3 {
		return fmt.Errorf("an input of %d dimensions and a grid of %d", rank, grid)
	}
	c.SetOut(0, c.In(0).DType, joinShapes(c.In(0).Shape[:2], c.In(1).Shape[1:rank-1]))
	return nil
}

// Evaluate interpolates in float64.
func (o *GridSample) Evaluate(c *Evaluation) error {
	x, grid := c.In(0), c.In(1)
	shape, places := x.Shape(), grid.Shape()
	rank := len(shape)
	if rank < 3 || len(places) != rank || places[0] != shape[0] || places[rank-1] != rank-2 || !x.DType().IsFloat() || !grid.DType().IsFloat() {
		return fmt.Errorf("grid %s does not fit input %s", grid, x)
	}
	size := shape[2:]
	if product(size) == 0 && product(places) > 0 {
		return fmt.Errorf("input %s has no elements to sample", x)
	}
	values, coordinates := Float64s(x), Float64s(grid)
	points := product(places[1 : rank-1])
	out := make([]float64, 0, shape[0]*shape[1]*points)
	at := make([]float64, len(size))
	for b := range shape[0] {
		for channel := range shape[1] {
			image := values[(b*shape[1]+channel)*product(size):][:product(size)]
			for p := range points {
				for d := range at {
					at[d] = coordinates[(b*points+p)*len(size)+len(size)-1-d]
				}
				out = append(out, o.sample(image, size, at))
			}
		}
	}
	c.Set(0, FromFloat64s(x.DType(), append(slices.Clone(shape[:2]), places[1:rank-1]...), out))
	return nil
}

// sample reads one place, whose coordinates are overwritten.
func (o *GridSample) sample(image []float64, size []int, at []float64) float64 {
	for d, n := range size {
		low, high := -0.5, float64(n)-0.5
		// Coordinates are float32 in every implementation that ONNX compares with.
		v := ((at[d]+1)*float64(n) - 1) / 2
		if o.AlignCorners {
			low, high = 0, float64(n-1)
			v = (at[d] + 1) / 2 * float64(n-1)
		}
		v = float64(float32(v))
		if o.Mode == SampleNearest {
			v = math.RoundToEven(v)
		}
		if v != v {
			v = -1 // outside, whatever outside is
		}
		if v < low || v > high {
			switch o.PaddingMode {
			case PadBorder:
				v = min(max(v, 0), float64(n-1))
			case PadReflection:
				v = reflect(v, low, high)
			}
		}
		at[d] = v
	}
	return o.interpolate(image, size, at)
}

// reflect folds v into [low, high].
func reflect(v, low, high float64) float64 {
	span := high - low
	if span <= 0 {
		return low
	}
	v = math.Mod(math.Abs(v-low), 2*span)
	if v > span {
		v = 2*span - v
	}
	return low + v
}

// interpolate goes through the dimensions, first to last.
func (o *GridSample) interpolate(image []float64, size []int, at []float64) float64 {
	if len(size) == 0 {
		return image[0]
	}
	n, inner := size[0], product(size[1:])
	read := func(i int) float64 {
		switch {
		case i >= 0 && i < n:
		case o.PaddingMode == PadZeros:
			return 0
		case o.PaddingMode == PadBorder:
			i = min(max(i, 0), n-1)
		case o.AlignCorners:
			i = int(reflect(float64(i), 0, float64(n-1)))
		default:
			i = min(max(int(reflect(float64(i), -0.5, float64(n)-0.5)), 0), n-1)
		}
		return o.interpolate(image[i*inner:(i+1)*inner], size[1:], at[1:])
	}
	// A coordinate far outside reads nothing but padding; an int holds any other.
	floor := math.Floor(min(max(at[0], -1<<30), 1<<30))
	first, t := int(floor), at[0]-floor
	switch o.Mode {
	case SampleNearest:
		return read(first)
	case SampleLinear:
		return (1-t)*read(first) + t*read(first+1)
	}
	weight := cubic(-0.75)
	sum := 0.0
	for k := -1; k <= 2; k++ {
		sum += weight(float64(k)-t) * read(first+k)
	}
	return sum
}

// AffineGrid is the grid for GridSample that a matrix per image describes. Operands: matrices [batch, n, n+1], size of
// the output [batch, channels, spatial…].
type AffineGrid struct{ AlignCorners bool }

// Type is "AffineGrid".
func (*AffineGrid) Type() string { return "AffineGrid" }

// Infer follows the size.
func (*AffineGrid) Infer(c *Inference) error {
	size, ok := c.Data(1)
	if !ok || len(size) < 3 {
		c.SetOut(0, c.In(0).DType, nil)
		return nil
	}
	shape := graph.Shape{size[0].Dim()}
	for _, n := range size[2:] {
		shape = append(shape, n.Dim())
	}
	c.SetOut(0, c.In(0).DType, append(shape, graph.Fixed(len(size)-2)))
	return nil
}

// Evaluate multiplies in float64.
func (o *AffineGrid) Evaluate(c *Evaluation) error {
	if err := wantFloats(c, 0); err != nil {
		return err
	}
	full := convert(Int64s(c.In(1)), func(n int64) int { return int(n) })
	theta := c.In(0)
	if len(full) != 4 && len(full) != 5 {
		return fmt.Errorf("size %v, wants batch, channels and 2 or 3 dimensions", full)
	}
	if _, ok := tensor.Count(full); !ok {
		return fmt.Errorf("size %v is impossible", full)
	}
	size := full[2:]
	n := len(size)
	if !slices.Equal(theta.Shape(), []int{full[0], n, n + 1}) {
		return fmt.Errorf("matrices %s do not fit size %v", theta, full)
	}
	matrices := Float64s(theta)
	at := make([]int, n)
	var out []float64
	for b := range full[0] {
		for p := range product(size) {
			unravel(at, p, size)
			for row := range n {
				m := matrices[(b*n+row)*(n+1):]
				sum := m[n]
				for d := range n {
					i, steps := float64(at[n-1-d]), float64(size[n-1-d]) // innermost first
					v := (2*i+1)/steps - 1
					if o.AlignCorners {
						v = 2*i/(steps-1) - 1
					}
					sum += m[d] * v
				}
				out = append(out, sum)
			}
		}
	}
	shape := append(append([]int{full[0]}, size...), n)
	c.Set(0, FromFloat64s(theta.DType(), shape, out))
	return nil
}

// CenterCropPad cuts or pads Axes (all if empty) around their centres to the sizes in operand 1.
type CenterCropPad struct{ Axes []int }

// Type is "CenterCropPad".
func (*CenterCropPad) Type() string { return "CenterCropPad" }

func (o *CenterCropPad) axes(rank int) ([]int, error) {
	if len(o.Axes) == 0 {
		all := make([]int, rank)
		for i := range all {
			all[i] = i
		}
		return all, nil
	}
	return normalAxes(convert(o.Axes, func(a int) int64 { return int64(a) }), rank)
}

// Infer replaces the sizes.
func (o *CenterCropPad) Infer(c *Inference) error {
	rank, ok := c.In(0).Rank()
	if !ok {
		c.SetOut(0, movedType(c), nil)
		return nil
	}
	axes, err := o.axes(rank)
	if err != nil {
		return err
	}
	shape := slices.Clone(c.In(0).Shape)
	sizes, known := c.Data(1)
	for i, axis := range axes {
		shape[axis] = graph.Dim{Size: graph.Unknown}
		if known && i < len(sizes) {
			shape[axis] = sizes[i].Dim()
		}
	}
	c.SetOut(0, movedType(c), shape)
	return nil
}

// Evaluate moves elements.
func (o *CenterCropPad) Evaluate(c *Evaluation) error {
	x, sizes := c.In(0), Int64s(c.In(1))
	axes, err := o.axes(len(x.Shape()))
	if err != nil {
		return err
	}
	if len(sizes) != len(axes) {
		return fmt.Errorf("%d sizes for %d axes", len(sizes), len(axes))
	}
	shape, offset := slices.Clone(x.Shape()), make([]int, len(x.Shape()))
	for i, axis := range axes {
		if sizes[i] < 0 || sizes[i] > tensor.MaxElements {
			return fmt.Errorf("size %d", sizes[i])
		}
		shape[axis] = int(sizes[i])
		// Where the difference is odd, the element more is cut off, or added, at the end.
		if d := x.Shape()[axis] - shape[axis]; d >= 0 {
			offset[axis] = d / 2
		} else {
			offset[axis] = -(-d / 2)
		}
	}
	at, strides := make([]int, len(shape)), rowMajor(x.Shape())
	c.Set(0, pickOrZero(x, shape, func(i int) int {
		unravel(at, i, shape)
		from := 0
		for axis, k := range at {
			k += offset[axis]
			if k < 0 || k >= x.Shape()[axis] {
				return -1
			}
			from += k * strides[axis]
		}
		return from
	}))
	return nil
}

// Col2Im adds up columns of blocks [batch, channels·block, positions] into images of the size in operand 1; operand 2
// is the block's size (ONNX Col2Im-18).
type Col2Im struct{ Dilations, Pads, Strides []int }

// Type is "Col2Im".
func (*Col2Im) Type() string { return "Col2Im" }

// Infer follows the size of the images.
func (*Col2Im) Infer(c *Inference) error {
	size, ok := c.Data(1)
	block, known := c.Ints(2)
	rank, ranked := c.In(0).Rank()
	if !ok || !ranked || rank != 3 {
		c.SetOut(0, c.In(0).DType, nil)
		return nil
	}
	shape := graph.Shape{c.In(0).Shape[0], {Size: graph.Unknown}}
	if channels := c.In(0).Shape[1]; known && channels.Known() {
		n := int64(1)
		for _, b := range block {
			n *= b
		}
		if n > 0 {
			shape[1] = graph.Fixed(channels.Size / int(n))
		}
	}
	for _, n := range size {
		shape = append(shape, n.Dim())
	}
	c.SetOut(0, c.In(0).DType, shape)
	return nil
}

// Evaluate adds in float64.
func (o *Col2Im) Evaluate(c *Evaluation) error {
	x := c.In(0)
	toInts := func(i int) []int { return convert(Int64s(c.In(i)), func(n int64) int { return int(n) }) }
	size, block := toInts(1), toInts(2)
	n := len(size)
	attribute := func(list []int, count, otherwise int) []int {
		if len(list) == 0 {
			return slices.Repeat([]int{otherwise}, count)
		}
		return list
	}
	strides, dilations, pads := attribute(o.Strides, n, 1), attribute(o.Dilations, n, 1), attribute(o.Pads, 2*n, 0)
	if len(x.Shape()) != 3 || len(block) != n || len(strides) != n || len(dilations) != n || len(pads) != 2*n {
		return fmt.Errorf("input %s, images %v, blocks %v, strides %v, dilations %v and pads %v do not fit each other", x, size, block, strides, dilations, pads)
	}
	if _, ok := tensor.Count(size); !ok || slices.Min(block) < 1 || slices.Min(strides) < 1 {
		return fmt.Errorf("images %v, blocks %v, strides %v", size, block, strides)
	}
	positions := make([]int, n)
	for d := range n {
		positions[d] = (size[d]+pads[d]+pads[n+d]-dilations[d]*(block[d]-1)-1)/strides[d] + 1
	}
	cells := product(block)
	if slices.Min(positions) < 1 || x.Shape()[1]%cells != 0 || x.Shape()[2] != product(positions) {
		return fmt.Errorf("input %s does not hold %v blocks of %v", x, positions, block)
	}
	planes := x.Shape()[0] * x.Shape()[1] / cells
	values, out := Float64s(x), make([]float64, planes*product(size))
	cell, position := make([]int, n), make([]int, n)
	own := rowMajor(size)
	for plane := range planes {
		for k := range cells {
			unravel(cell, k, block)
			for p := range product(positions) {
				unravel(position, p, positions)
				to, inside := plane*product(size), true
				for d := range n {
					at := position[d]*strides[d] - pads[d] + cell[d]*dilations[d]
					inside = inside && at >= 0 && at < size[d]
					to += at * own[d]
				}
				if inside {
					out[to] += values[(plane*cells+k)*product(positions)+p]
				}
			}
		}
	}
	shape := append([]int{x.Shape()[0], x.Shape()[1] / cells}, size...)
	c.Set(0, FromFloat64s(x.DType(), shape, out))
	return nil
}

// MaxUnpool puts each element where its index says, in an image of zeros; operand 2 may give the image's shape.
type MaxUnpool struct{ KernelShape, Pads, Strides []int }

// Type is "MaxUnpool".
func (*MaxUnpool) Type() string { return "MaxUnpool" }

// size is the image that a pool with these attributes would have made the input from.
func (o *MaxUnpool) size(shape []int) ([]int, error) {
	n := len(shape) - 2
	if n < 1 || len(o.KernelShape) != n || len(o.Strides) != 0 && len(o.Strides) != n || len(o.Pads) != 0 && len(o.Pads) != 2*n {
		return nil, fmt.Errorf("windows %v, strides %v and pads %v do not fit input %v", o.KernelShape, o.Strides, o.Pads, shape)
	}
	out := slices.Clone(shape)
	for d := range n {
		stride, pad := 1, 0
		if len(o.Strides) > 0 {
			stride = o.Strides[d]
		}
		if len(o.Pads) > 0 {
			pad = o.Pads[d] + o.Pads[n+d]
		}
		out[2+d] = (shape[2+d]-1)*stride - pad + o.KernelShape[d]
	}
	if _, ok := tensor.Count(out); !ok {
		return nil, fmt.Errorf("an image %v", out)
	}
	return out, nil
}

// Infer computes or reads the shape.
func (o *MaxUnpool) Infer(c *Inference) error {
	shape, ok := c.In(0).Shape.Known()
	switch {
	case c.Has(2):
		var dims graph.Shape
		if size, known := c.Data(2); known {
			dims = graph.Shape{}
			for _, n := range size {
				dims = append(dims, n.Dim())
			}
		}
		c.SetOut(0, c.In(0).DType, dims)
	case !ok:
		c.SetOut(0, c.In(0).DType, nil)
	default:
		size, err := o.size(shape)
		if err != nil {
			return err
		}
		c.SetOut(0, c.In(0).DType, graph.FixedShape(size...))
	}
	return nil
}

// Evaluate scatters.
func (o *MaxUnpool) Evaluate(c *Evaluation) error {
	x := c.In(0)
	inner, err := o.size(x.Shape())
	if err != nil {
		return err
	}
	shape := inner
	if c.Has(2) {
		shape = convert(Int64s(c.In(2)), func(n int64) int { return int(n) })
		if n, ok := tensor.Count(shape); !ok || len(shape) != len(inner) || n < product(inner) {
			return fmt.Errorf("shape %v does not hold %v", shape, inner)
		}
	}
	indices, values := Int64s(c.In(1)), Float64s(x)
	if len(indices) != len(values) {
		return fmt.Errorf("indices %s do not fit %s", c.In(1), x)
	}
	out := make([]float64, product(shape))
	at, strides := make([]int, len(inner)), rowMajor(shape)
	for i, v := range values {
		if indices[i] < 0 || indices[i] >= int64(product(inner)) {
			return fmt.Errorf("index %d is outside %v", indices[i], inner)
		}
		unravel(at, int(indices[i]), inner)
		to := 0
		for d, k := range at {
			if k >= shape[d] {
				return fmt.Errorf("shape %v does not hold %v", shape, inner)
			}
			to += k * strides[d]
		}
		out[to] = v
	}
	c.Set(0, FromFloat64s(x.DType(), shape, out))
	return nil
}

// NonMaxSuppression picks boxes by score that do not overlap a better one of their class too much. Operands: boxes
// [batch, boxes, 4], scores [batch, classes, boxes], most boxes per class, greatest overlap (intersection over union),
// least score. Result: [picked, 3] of batch, class and box.
type NonMaxSuppression struct{ CenterPointBox bool }

// Type is "NonMaxSuppression".
func (*NonMaxSuppression) Type() string { return "NonMaxSuppression" }

// Infer does not know how many are picked.
func (*NonMaxSuppression) Infer(c *Inference) error {
	c.SetOut(0, tensor.Int64, graph.Shape{{Size: graph.Unknown}, graph.Fixed(3)})
	return nil
}

// Evaluate picks greedily; of equal scores the lower index comes first.
func (o *NonMaxSuppression) Evaluate(c *Evaluation) error {
	if err := wantFloats(c, 0, 1); err != nil {
		return err
	}
	boxes, scores := c.In(0), c.In(1)
	bs, ss := boxes.Shape(), scores.Shape()
	if len(bs) != 3 || len(ss) != 3 || bs[2] != 4 || bs[0] != ss[0] || bs[1] != ss[2] {
		return fmt.Errorf("boxes %s and scores %s do not fit each other", boxes, scores)
	}
	most := int64(0)
	if c.Has(2) && c.In(2).Len() > 0 {
		most = Int64s(c.In(2))[0]
	}
	overlap, least := 0.0, math.Inf(-1)
	if c.Has(3) && c.In(3).Len() > 0 {
		overlap = Float64s(c.In(3))[0]
	}
	if c.Has(4) && c.In(4).Len() > 0 {
		least = Float64s(c.In(4))[0]
	}
	corners, score := Float64s(boxes), Float64s(scores)
	picked := []int64{}
	for b := range ss[0] {
		for class := range ss[1] {
			row := score[(b*ss[1]+class)*ss[2]:][:ss[2]]
			var order, taken []int
			for i, s := range row {
				if s > least {
					order = append(order, i)
				}
			}
			slices.SortStableFunc(order, func(x, y int) int { return cmp.Compare(row[y], row[x]) })
			for _, i := range order {
				if int64(len(taken)) >= most {
					break
				}
				box := func(i int) []float64 { return o.corners(corners[(b*bs[1]+i)*4:][:4]) }
				if !slices.ContainsFunc(taken, func(j int) bool { return intersectionOverUnion(box(i), box(j)) > overlap }) {
					taken = append(taken, i)
					picked = append(picked, int64(b), int64(class), int64(i))
				}
			}
		}
	}
	c.Set(0, tensor.Of(picked, len(picked)/3, 3))
	return nil
}

// corners is a box as least y, least x, greatest y, greatest x.
func (o *NonMaxSuppression) corners(box []float64) []float64 {
	if o.CenterPointBox {
		return []float64{box[1] - box[3]/2, box[0] - box[2]/2, box[1] + box[3]/2, box[0] + box[2]/2}
	}
	return []float64{min(box[0], box[2]), min(box[1], box[3]), max(box[0], box[2]), max(box[1], box[3])}
}

func intersectionOverUnion(a, b []float64) float64 {
	height := min(a[2], b[2]) - max(a[0], b[0])
	width := min(a[3], b[3]) - max(a[1], b[1])
	areaA, areaB := float64((a[2]-a[0])*(a[3]-a[1])), float64((b[2]-b[0])*(b[3]-b[1]))
	if height <= 0 || width <= 0 || areaA <= 0 || areaB <= 0 {
		return 0
	}
	both := float64(height * width)
	return both / (areaA + areaB - both)
}
