package tensorflow

import (
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
)

// Recurrent cells that are one operator. Cells made of many nodes are read as these nodes.

// joined is the product of [x, h] with weights, and a bias: what cells compute of their input and their state.
func (c *call) joined(suffix string, x, h, w, b *graph.Value) *graph.Value {
	both := c.apply(suffix+"/both", &op.Concat{Axis: 1}, x, h)
	return c.apply(suffix, &op.Gemm{Alpha: 1, Beta: 1}, both, w, b)
}

// slices splits a value along axis 1 into equal parts.
func (c *call) slices(suffix string, v *graph.Value, n int) []*graph.Value {
	parts := make([]*graph.Value, n)
	for i := range parts {
		parts[i] = &graph.Value{Name: c.im.fresh(c.def.name + "/" + suffix)}
	}
	c.emit(&op.Split{Axis: 1}, []*graph.Value{v}, parts...)
	return parts
}

// lstmBlockCell has the operands x, cell, h, w, three peepholes, b and computes the gates i, c, f, o in this order
// (tensorflow/core/ops/rnn_ops.cc).
func lstmBlockCell(c *call) error {
	x, cell, h, w, b := c.in[0], c.in[1], c.in[2], c.in[3], c.in[7]
	gates := c.slices("gate", c.joined("gates", x, h, w, b), 4)
	peep := func(suffix string, gate, cell, weight *graph.Value) *graph.Value {
		if !c.flag("use_peephole") {
			return gate
		}
		return c.apply(suffix, &op.Add{}, gate, c.apply(suffix+"_seen", &op.Mul{}, cell, weight))
	}
	biased := c.apply("forget", &op.Add{}, gates[2], c.scalar("forget_bias", float64(c.float("forget_bias", 1))))
	one := func(result int, name string, v *graph.Value) *graph.Value {
		c.emit(op.Lookup(name), []*graph.Value{v}, c.result(result))
		return c.result(result)
	}
	input := one(0, "Sigmoid", peep("input_peephole", gates[0], cell, c.in[4]))
	forget := one(2, "Sigmoid", peep("forget_peephole", biased, cell, c.in[5]))
	news := one(4, "Tanh", gates[1])
	state := c.result(1)
	kept, added := c.apply("kept", &op.Mul{}, forget, cell), c.apply("added", &op.Mul{}, news, input)
	if clip := c.float("cell_clip", 3); clip > 0 {
		sum := c.apply("sum", &op.Add{}, added, kept)
		c.emit(&op.Clip{}, []*graph.Value{sum, c.scalar("least", float64(-clip)), c.scalar("most", float64(clip))}, state)
	} else {
		c.emit(&op.Add{}, []*graph.Value{added, kept}, state)
	}
	output := one(3, "Sigmoid", peep("output_peephole", gates[3], state, c.in[6]))
	shown := one(5, "Tanh", state)
	c.emit(&op.Mul{}, []*graph.Value{shown, output}, c.result(6))
	return nil
}

// gruBlockCell has the operands x, h, w_ru, w_c, b_ru, b_c and the results r, u, c, h.
func gruBlockCell(c *call) error {
	x, h := c.in[0], c.in[1]
	gates := c.slices("gate", c.joined("gates", x, h, c.in[2], c.in[4]), 2)
	c.emit(op.Lookup("Sigmoid"), gates[:1], c.result(0))
	c.emit(op.Lookup("Sigmoid"), gates[1:], c.result(1))
	reset := c.apply("reset", &op.Mul{}, c.result(0), h)
	c.emit(op.Lookup("Tanh"), []*graph.Value{c.joined("candidate", x, reset, c.in[3], c.in[5])}, c.result(2))
	u, candidate := c.result(1), c.result(2)
	kept := c.apply("kept", &op.Mul{}, u, h)
	rest := c.apply("rest", op.Lookup("Sub"), c.scalar("one", 1), u)
	c.emit(&op.Add{}, []*graph.Value{c.apply("news", &op.Mul{}, rest, candidate), kept}, c.result(3))
	return nil
}
