package op

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/tensor"
)

// Einsum sums products of its operands over indices named by letters, as numpy.einsum does (ONNX Einsum-12):
// "bij,bjk->bik". An ellipsis stands for leading dimensions that are broadcast.
type Einsum struct{ Equation string }

// Type is "Einsum".
func (*Einsum) Type() string { return "Einsum" }

// parse is the indices of each operand and of the result; those that an ellipsis stands for are named by digits,
// counted from the last. ranks are those of the operands.
func (o *Einsum) parse(ranks []int) (operands [][]byte, result []byte, err error) {
	text := strings.ReplaceAll(o.Equation, " ", "")
	left, right, explicit := strings.Cut(text, "->")
	terms := strings.Split(left, ",")
	if len(terms) != len(ranks) {
		return nil, nil, fmt.Errorf("equation %q has %d operands, the node %d", o.Equation, len(terms), len(ranks))
	}
	count := map[byte]int{}
	longest := 0
	expand := func(term string, hidden int) ([]byte, error) {
		before, after, ellipsis := strings.Cut(term, "...")
		if !ellipsis && hidden > 0 || hidden < 0 || hidden > 10 {
			return nil, fmt.Errorf("%q in equation %q does not fit its operand", term, o.Equation)
		}
		indices := []byte(before)
		for i := hidden; i > 0; i-- {
			indices = append(indices, byte('0'+i-1))
		}
		indices = append(indices, after...)
		for _, r := range before + after {
			if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z') {
				return nil, fmt.Errorf("equation %q has the index %q, wants letters", o.Equation, r)
			}
		}
		return indices, nil
	}
	for i, term := range terms {
		hidden := ranks[i] - len(strings.Replace(term, "...", "", 1))
		indices, err := expand(term, hidden)
		if err != nil {
			return nil, nil, err
		}
		longest = max(longest, hidden)
		operands = append(operands, indices)
		for _, x := range indices {
			count[x]++
		}
	}
	if explicit {
		if !strings.Contains(right, "...") {
			longest = 0
		}
		result, err = expand(right, longest)
		return operands, result, err
	}
	for i := longest; i > 0; i-- {
		result = append(result, byte('0'+i-1))
	}
	for x := byte('A'); x <= 'z'; x++ { // without "->", the indices that occur once, in alphabetical order
		if count[x] == 1 {
			result = append(result, x)
		}
	}
	return operands, result, nil
}

// Infer finds the sizes of the result's indices.
func (o *Einsum) Infer(c *Inference) error {
	var ranks []int
	for i := range c.Node.Inputs {
		rank, ok := c.In(i).Rank()
		if !ok {
			c.SetOut(0, c.In(0).DType, nil)
			return nil
		}
		ranks = append(ranks, rank)
	}
	operands, result, err := o.parse(ranks)
	if err != nil {
		return err
	}
	sizes := map[byte]graph.Dim{}
	for i, indices := range operands {
		for axis, x := range indices {
			if d := c.In(i).Shape[axis]; d != graph.Fixed(1) || sizes[x] == (graph.Dim{}) {
				sizes[x] = d
			}
		}
	}
	shape := graph.Shape{}
	for _, x := range result {
		shape = append(shape, sizes[x])
	}
	c.SetOut(0, c.In(0).DType, shape)
	return nil
}

// Evaluate sums in float64, one element of the result after the other.
func (o *Einsum) Evaluate(c *Evaluation) error {
	var ranks []int
	for i := range c.in {
		ranks = append(ranks, len(c.In(i).Shape()))
	}
	operands, result, err := o.parse(ranks)
	if err != nil {
		return err
	}
	order := slices.Clone(result) // the result's indices, then those that are summed over
	sizes := map[byte]int{}
	for i, indices := range operands {
		for axis, x := range indices {
			n, seen := sizes[x]
			size := c.In(i).Shape()[axis]
			switch {
			case !seen || n == 1:
				sizes[x] = size
			case size != n && size != 1:
				return fmt.Errorf("index %c is %d and %d", x, n, size)
			}
			if !slices.Contains(order, x) {
				order = append(order, x)
			}
		}
	}
	shape, full := make([]int, len(result)), make([]int, len(order))
	for i, x := range order {
		n, ok := sizes[x]
		if !ok {
			return fmt.Errorf("index %c of the result is in no operand", x)
		}
		full[i] = n
		if i < len(shape) {
			shape[i] = n
		}
	}
	if n, ok := tensor.Count(full); !ok || int64(n) > 1<<40 {
		return fmt.Errorf("%v terms are too many", full)
	}
	values, strides := make([][]float64, len(operands)), make([][]int, len(operands))
	for i, indices := range operands {
		values[i] = Float64s(c.In(i))
		strides[i] = make([]int, len(order))
		own := rowMajor(c.In(i).Shape())
		for axis, x := range indices {
			if c.In(i).Shape()[axis] > 1 {
				strides[i][slices.Index(order, x)] += own[axis]
			}
		}
	}
	inner := product(full[len(shape):])
	out := make([]float64, product(shape))
	for i := range out {
		for j := range inner {
			term := 1.0
			for k := range operands {
				term *= values[k][strided(full, strides[k], 0)(i*inner+j)]
			}
			out[i] += term
		}
	}
	c.Set(0, fromFloat64sOrInts(c.OutDType(0), shape, out))
	return nil
}

// Det is the determinant of each matrix of a batch.
type Det struct{}

// Type is "Det".
func (*Det) Type() string { return "Det" }

// Infer drops the last two dimensions.
func (*Det) Infer(c *Inference) error {
	rank, ok := c.In(0).Rank()
	if !ok {
		c.SetOut(0, c.In(0).DType, nil)
		return nil
	}
	if rank < 2 {
		return fmt.Errorf("input has %d dimensions, wants matrices", rank)
	}
	c.SetOut(0, c.In(0).DType, joinShapes(c.In(0).Shape[:rank-2]))
	return nil
}

// Evaluate eliminates with row exchanges, in float64.
func (*Det) Evaluate(c *Evaluation) error {
	x := c.In(0)
	rank := len(x.Shape())
	if rank < 2 || x.Shape()[rank-1] != x.Shape()[rank-2] || !x.DType().IsFloat() {
		return fmt.Errorf("input is %s, wants square matrices of floats", x)
	}
	n := x.Shape()[rank-1]
	values := slices.Clone(Float64s(x))
	out := make([]float64, product(x.Shape()[:rank-2]))
	for i := range out {
		out[i] = determinant(values[i*n*n:][:n*n], n)
	}
	c.Set(0, FromFloat64s(x.DType(), x.Shape()[:rank-2], out))
	return nil
}

// determinant overwrites the matrix.
func determinant(m []float64, n int) float64 {
	det := 1.0
	for k := range n {
		pivot := k
		for i := k + 1; i < n; i++ {
			if math.Abs(m[i*n+k]) > math.Abs(m[pivot*n+k]) {
				pivot = i
			}
		}
		if m[pivot*n+k] == 0 {
			return 0
		}
		if pivot != k {
			for j := range n {
				m[k*n+j], m[pivot*n+j] = m[pivot*n+j], m[k*n+j]
			}
			det = -det
		}
		det *= m[k*n+k]
		for i := k + 1; i < n; i++ {
			f := m[i*n+k] / m[k*n+k]
			for j := k; j < n; j++ {
				m[i*n+j] -= f * m[k*n+j]
			}
		}
	}
	return det
}

// EyeLike is 1 where the column is the row plus K, 0 elsewhere, in the shape of its operand.
type EyeLike struct {
	K      int
	Output OutputType // of the result; the operand's if not set
}

// Type is "EyeLike".
func (*EyeLike) Type() string { return "EyeLike" }

// Infer keeps the shape.
func (o *EyeLike) Infer(c *Inference) error {
	dtype := o.Output.DType
	if dtype == tensor.Invalid {
		dtype = c.In(0).DType
	}
	c.SetOut(0, dtype, c.In(0).Shape)
	return nil
}

// Evaluate fills the diagonal.
func (o *EyeLike) Evaluate(c *Evaluation) error {
	shape := c.In(0).Shape()
	if len(shape) != 2 {
		return fmt.Errorf("input is %s, wants a matrix", c.In(0))
	}
	values := make([]float64, product(shape))
	for i := range shape[0] {
		if j := i + o.K; j >= 0 && j < shape[1] {
			values[i*shape[1]+j] = 1
		}
	}
	dtype := o.Output.DType
	if dtype == tensor.Invalid {
		dtype = c.In(0).DType()
	}
	c.Set(0, fromFloat64sOrInts(dtype, shape, values))
	return nil
}

// BitCast reads the bits of its operand as elements of another type of the same width.
type BitCast struct{ To OutputType }

// Type is "BitCast".
func (*BitCast) Type() string { return "BitCast" }

// Infer changes the element type.
func (o *BitCast) Infer(c *Inference) error {
	c.SetOut(0, o.To.DType, c.In(0).Shape)
	return nil
}

// Evaluate keeps the bytes.
func (o *BitCast) Evaluate(c *Evaluation) error {
	x := c.In(0)
	if x.DType().Bits() != o.To.Bits() {
		return fmt.Errorf("the bits of %s do not make elements of type %s", x, o.To)
	}
	y, err := tensor.FromBytes(o.To.DType, x.Shape(), x.Bytes())
	if err != nil {
		return err
	}
	c.Set(0, y)
	return nil
}

// LpNormalization divides by the L1 or L2 norm along Axis; where that is 0, the result is 0.
type LpNormalization struct{ Axis, P int }

// Type is "LpNormalization".
func (*LpNormalization) Type() string { return "LpNormalization" }

// Infer keeps the type.
func (o *LpNormalization) Infer(c *Inference) error { return inferAlongAxis(c, o.Axis) }

// Evaluate works in float64.
func (o *LpNormalization) Evaluate(c *Evaluation) error {
	if o.P != 1 && o.P != 2 {
		return fmt.Errorf("norm of order %d, wants 1 or 2", o.P)
	}
	return alongAxis(c, o.Axis, func(row []float64) {
		norm := 0.0
		for _, v := range row {
			if o.P == 1 {
				norm += math.Abs(v)
			} else {
				norm += v * v
			}
		}
		if o.P == 2 {
			norm = math.Sqrt(norm)
		}
		for i := range row {
			if norm == 0 {
				row[i] = 0
			} else {
				row[i] /= norm
			}
		}
	})
}

// Unique is the different elements, or slices along Axis unless Flat: sorted, or in order of first appearance.
// Results: they, the index of the first of each, for every element which one it is, how often each occurs.
type Unique struct {
	Axis   int
	Flat   bool
	Sorted bool
}

// Type is "Unique".
func (*Unique) Type() string { return "Unique" }

// Infer does not know how many there are.
func (o *Unique) Infer(c *Inference) error {
	shape := unknowns(1)
	if !o.Flat {
		shape = slices.Clone(c.In(0).Shape)
		if rank, ok := c.In(0).Rank(); ok {
			axis, err := normalAxis(o.Axis, rank)
			if err != nil {
				return err
			}
			shape[axis] = graph.Dim{Size: graph.Unknown}
		}
	}
	c.SetOut(0, movedType(c), shape)
	for i := 1; i < 4; i++ {
		c.SetOut(i, tensor.Int64, unknowns(1))
	}
	return nil
}

// Evaluate compares slices element by element.
func (o *Unique) Evaluate(c *Evaluation) error {
	x := c.In(0)
	if o.Flat {
		x = x.Reshape(x.Len())
	}
	axis, err := normalAxis(o.Axis, len(x.Shape()))
	if o.Flat {
		axis, err = 0, nil
	}
	if err != nil {
		return err
	}
	shape := x.Shape()
	n, inner := shape[axis], product(shape[axis+1:])
	outer := product(shape[:axis])
	values := Float64s(x)
	compare := func(a, b int) int {
		for i := range outer {
			for j := range inner {
				if d := cmp.Compare(values[(i*n+a)*inner+j], values[(i*n+b)*inner+j]); d != 0 {
					return d
				}
			}
		}
		return 0
	}
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, compare)
	var first []int // of each group, in the order of the result
	group := make([]int, n)
	for i, at := range order {
		if i == 0 || compare(order[i-1], at) != 0 {
			first = append(first, at)
		}
		group[at] = len(first) - 1
	}
	if !o.Sorted {
		appearance := make([]int, len(first)) // of the groups, by their first element
		for i := range appearance {
			appearance[i] = i
		}
		slices.SortFunc(appearance, func(a, b int) int { return cmp.Compare(first[a], first[b]) })
		rank := make([]int, len(first))
		for i, g := range appearance {
			rank[g] = i
		}
		for i := range group {
			group[i] = rank[group[i]]
		}
		slices.Sort(first)
	}
	inverse, counts := make([]int64, n), make([]int64, len(first))
	for i, g := range group {
		inverse[i] = int64(g)
		counts[g]++
	}
	result := slices.Clone(shape)
	result[axis] = len(first)
	c.Set(0, pick(x, result, func(i int) int {
		j := i % inner
		k := i / inner % len(first)
		return (i/inner/len(first)*n+first[k])*inner + j
	}))
	indices := convert(first, func(i int) int64 { return int64(i) })
	c.Set(1, tensor.Of(indices, len(first)))
	c.Set(2, tensor.Of(inverse, n))
	c.Set(3, tensor.Of(counts, len(first)))
	return nil
}
