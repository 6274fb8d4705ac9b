package op

import (
	"fmt"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/tensor"
)

// FlexAttention is attention whose scores and probabilities bodies may change (ONNX preview FlexAttention-1). Operands:
// Q [batch, heads, length, size], K, V, then what the bodies read, all of it inputs of both; the first input of a body
// is what it changes.
type FlexAttention struct {
	ScoreMod, ProbMod *graph.Graph
	Scale             float32 // 0 means 1/√size
	SoftmaxPrecision  OutputType
}

// Type is "FlexAttention".
func (*FlexAttention) Type() string { return "FlexAttention" }

// Bodies are those that there are.
func (o *FlexAttention) Bodies() []*graph.Graph {
	return slices.DeleteFunc([]*graph.Graph{o.ScoreMod, o.ProbMod}, func(g *graph.Graph) bool { return g == nil })
}

// WithBodies replaces those that there are.
func (o *FlexAttention) WithBodies(bodies []*graph.Graph) graph.Operator {
	changed := *o
	for _, field := range []**graph.Graph{&changed.ScoreMod, &changed.ProbMod} {
		if *field != nil {
			*field, bodies = bodies[0], bodies[1:]
		}
	}
	return &changed
}

// Infer takes all but the last dimension from Q.
func (o *FlexAttention) Infer(c *Inference) error {
	q, ok1 := c.In(0).Rank()
	v, ok2 := c.In(2).Rank()
	if !ok1 || !ok2 {
		c.SetOut(0, c.In(0).DType, nil)
		return nil
	}
	if q != 4 || v != 4 {
		return fmt.Errorf("operands have %d and %d dimensions, wants 4", q, v)
	}
	c.SetOut(0, c.In(0).DType, joinShapes(c.In(0).Shape[:3], c.In(2).Shape[3:]))
	return nil
}

// precision is the element type that bodies compute in, for operands of type x.
func (o *FlexAttention) precision(x tensor.DType) tensor.DType {
	switch {
	case o.SoftmaxPrecision.DType != tensor.Invalid:
		return o.SoftmaxPrecision.DType
	case x == tensor.Float64:
		return x
	}
	return tensor.Float32
}

// Evaluate runs the bodies between the steps of Attention.
func (o *FlexAttention) Evaluate(c *Evaluation) error {
	if err := c.require(3); err != nil {
		return err
	}
	if err := wantFloats(c, 0, 1, 2); err != nil {
		return err
	}
	var operands [3]*heads
	for i := range operands {
		h, err := readHeads(c, i, 0)
		if err != nil {
			return err
		}
		operands[i] = h
	}
	q, k, v := operands[0], operands[1], operands[2]
	if k.batch != q.batch || v.batch != q.batch || k.size != q.size || v.length != k.length || v.heads != k.heads || k.heads == 0 || q.heads%k.heads != 0 {
		return fmt.Errorf("Q %v, K %v and V %v do not fit each other", q.shape(), k.shape(), v.shape())
	}
	precision := o.precision(c.In(0).DType())
	plain := &Attention{Scale: o.Scale, LeftWindowSize: -1, RightWindowSize: -1}
	_, scores := plain.attend(q, k, v, func(int, int, int, int) float64 { return 0 })
	shape := []int{q.batch, q.heads, q.length, k.length}
	change := func(body *graph.Graph, values []float64) ([]float64, error) {
		if body == nil {
			return values, nil
		}
		results, err := c.run(c.ctx, body, append([]*tensor.Tensor{FromFloat64s(precision, shape, values)}, c.in[3:]...))
		if err != nil {
			return nil, err
		}
		if len(results) != 1 || results[0].Len() != len(values) || !results[0].DType().IsFloat() {
			return nil, fmt.Errorf("a body made %v of scores %v", results, shape)
		}
		return slices.Clone(Float64s(results[0])), nil
	}
	scores, err := change(o.ScoreMod, scores)
	if err != nil {
		return err
	}
	for i := 0; i < len(scores); i += k.length {
		softmaxRow(scores[i : i+k.length])
	}
	if scores, err = change(o.ProbMod, scores); err != nil {
		return err
	}
	y := make([]float64, 0, q.batch*q.heads*q.length*v.size)
	for i := range q.batch * q.heads * q.length {
		b, h := i/q.length/q.heads, i/q.length%q.heads
		for d := range v.size {
			sum := 0.0
			for j := range k.length {
				sum += scores[i*k.length+j] * v.row(b, h/(q.heads/k.heads), j)[d]
			}
			y = append(y, sum)
		}
	}
	c.Set(0, FromFloat64s(c.In(0).DType(), []int{q.batch, q.heads, q.length, v.size}, y))
	return nil
}
