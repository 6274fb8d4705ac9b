package op

import (
	"fmt"
	"math"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/tensor"
)

// Reduce combines the elements along some axes: ONNX ReduceMean, ReduceSum, ReduceMax, ReduceMin, ReduceProd,
// ReduceL1, ReduceL2, ReduceLogSum, ReduceLogSumExp, ReduceSumSquare; the name tells which. Operands: x, axes
// (optional, constant or computed; absent means all).
type Reduce struct {
	is *reduction
	// KeepDims leaves the reduced dimensions with size 1 instead of removing them.
	KeepDims bool
	// NoopWithEmptyAxes makes absent or empty axes mean none instead of all.
	NoopWithEmptyAxes bool
}

type reduction struct {
	name string
	real func(values []float64) float64
	code bool      // it has an integer form
	rule RangeKind // of the integer form
}

func summed(f func(v float64) float64, after func(sum float64) float64) func([]float64) float64 {
	return func(values []float64) float64 {
		var sum float64
		for _, v := range values {
			sum += f(v)
		}
		return after(sum)
	}
}

func same(v float64) float64 { return v }

func square(v float64) float64 { return v * v }

var reductions = []*reduction{
	{name: "ReduceMean", code: true, real: func(values []float64) float64 {
		return summed(same, same)(values) / float64(len(values))
	}},
	{name: "ReduceSum", code: true, real: summed(same, same)},
	{name: "ReduceMax", code: true, rule: SameAsInput, real: largest},
	{name: "ReduceMin", code: true, rule: SameAsInput, real: func(values []float64) float64 {
		least := math.Inf(1)
		for _, v := range values {
			least = min(least, v)
		}
		return least
	}},
	{name: "ReduceProd", real: func(values []float64) float64 {
		p := 1.0
		for _, v := range values {
			p *= v
		}
		return p
	}},
	{name: "ReduceL1", real: summed(math.Abs, same)},
	{name: "ReduceL2", real: summed(square, math.Sqrt)},
	{name: "ReduceLogSum", real: summed(same, math.Log)},
	{name: "ReduceLogSumExp", real: func(values []float64) float64 {
		most := largest(values)
		if math.IsInf(most, 0) {
			return most
		}
		return most + summed(func(v float64) float64 { return math.Exp(v - most) }, math.Log)(values)
	}},
	{name: "ReduceSumSquare", real: summed(square, same)},
}

// NewReduce makes the reduction of a name, keeping dimensions; nil if there is none.
func NewReduce(name string) *Reduce {
	for _, r := range reductions {
		if r.name == name {
			return &Reduce{is: r, KeepDims: true}
		}
	}
	return nil
}

// Type is the ONNX name.
func (o *Reduce) Type() string { return o.is.name }

// axes are the reduced dimensions, sorted; known says whether they are known.
func (o *Reduce) axes(given []int64, present bool, rank int) ([]int, error) {
	if !present || len(given) == 0 {
		if o.NoopWithEmptyAxes {
			return nil, nil
		}
		all := make([]int, rank)
		for i := range all {
			all[i] = i
		}
		return all, nil
	}
	return normalAxes(given, rank)
}

// Infer removes or shrinks the reduced dimensions.
func (o *Reduce) Infer(c *Inference) error {
	x := c.In(0)
	dtype := x.DType
	if x.Quant != nil {
		dtype = tensor.Invalid
	}
	rank, ok := x.Rank()
	given, known := c.Ints(1)
	if !ok || c.Has(1) && !known {
		var shape graph.Shape
		if ok && o.KeepDims {
			shape = unknowns(rank)
		}
		c.SetOut(0, dtype, shape)
		return nil
	}
	axes, err := o.axes(given, c.Has(1), rank)
	if err != nil {
		return err
	}
	reduced := map[int]bool{}
	for _, a := range axes {
		reduced[a] = true
	}
	shape := graph.Shape{}
	for i, d := range x.Shape {
		switch {
		case !reduced[i]:
			shape = append(shape, d)
		case o.KeepDims:
			shape = append(shape, graph.Fixed(1))
		}
	}
	c.SetOut(0, dtype, shape)
	return nil
}

// Integer averages, adds and compares codes.
func (o *Reduce) Integer(n *graph.Node) (IntegerForm, error) {
	if !o.is.code {
		return IntegerForm{}, fmt.Errorf("the operator has no integer form")
	}
	return IntegerForm{Roles: []Role{Activation, Plain}[:len(n.Inputs)], Range: RangeRule{Kind: o.is.rule}, WeightAxis: -1}, nil
}

// OverImage reports whether the node averages an image, channels last, over its pixels and keeps their dimensions: rows
// of the table of arithmetics may round such means differently.
func (o *Reduce) OverImage(axes []int, rank int) bool {
	return o.is.name == "ReduceMean" && o.KeepDims && rank == 4 && len(axes) == 2 && min(axes[0], axes[1]) == 1 && max(axes[0], axes[1]) == 2
}

// Evaluate reduces.
func (o *Reduce) Evaluate(c *Evaluation) error {
	x := c.In(0)
	var given []int64
	if c.Has(1) {
		given = Int64s(c.In(1))
	}
	axes, err := o.axes(given, c.Has(1), len(x.Shape()))
	if err != nil {
		return err
	}
	reduced := map[int]bool{}
	for _, a := range axes {
		reduced[a] = true
	}
	shape, groupStrides := []int{}, make([]int, len(x.Shape()))
	groups, count := 1, 1
	for i := len(x.Shape()) - 1; i >= 0; i-- {
		if reduced[i] {
			count *= x.Shape()[i]
			continue
		}
		groupStrides[i] = groups
		groups *= x.Shape()[i]
	}
	for i, n := range x.Shape() {
		switch {
		case !reduced[i]:
			shape = append(shape, n)
		case o.KeepDims:
			shape = append(shape, 1)
		}
	}
	group := func(i int) int {
		g := 0
		for axis := len(groupStrides) - 1; axis >= 0; axis-- {
			g += i % x.Shape()[axis] * groupStrides[axis]
			i /= x.Shape()[axis]
		}
		return g
	}
	if c.Node.Compute == graph.Integer && o.is.rule == Calibrated {
		if err := wantPerTensor(c.Node, 1); err != nil {
			return err
		}
		n := count
		if o.is.name == "ReduceSum" {
			n = 1
		}
		in := InputCodes(c.Node, 0)
		mean := c.Node.Arithmetic.Mean(o.OverImage(axes, len(x.Shape())), in, OutputCodes(c.Node, nil))
		sums := make([]int64, groups)
		for i, q := range c.Codes(0) {
			sums[group(i)] += int64(q - in.ZeroPoint)
		}
		c.SetCodes(0, shape, convert(sums, func(sum int64) int32 {
			return mean.Code(sum, n)
		}))
		return nil
	}
	gathered := make([][]float64, groups)
	for g := range gathered {
		gathered[g] = make([]float64, 0, count)
	}
	for i, v := range Float64s(x) {
		g := group(i)
		gathered[g] = append(gathered[g], v)
	}
	c.Set(0, fromFloat64sOrInts(x.DType(), shape, convert(gathered, o.is.real)))
	return nil
}
