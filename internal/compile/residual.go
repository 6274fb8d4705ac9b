package compile

import (
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/kernel"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/runtime"
	"github.com/octet-nn/octet/tensor"
)

// joined is a convolution or matrix product that adds a residual to its result: the two nodes of the graph are one of
// the program, whose operands are the product's and then, as operand residualOperand, the residual. Its name and type are
// the product's.
type joined struct {
	op.Operator // the product's

	product, sum *graph.Node // as they were, with the types of their values
	second       bool        // the product is operand 1 of the sum, not operand 0
	by           residualSum
}

// residualOperand is more than the operands of products: activations, weights and a bias.
const residualOperand = 3

// residualSum is how a node adds up two operands.
type residualSum struct {
	codes  kernel.CodeSum      // nil if it adds floats
	floats *kernel.ResidualF32 // how, without an operand; nil if it adds codes
}

// MACs are the product's.
func (j *joined) MACs(in, out []graph.Type) int64 {
	if c, ok := j.Operator.(op.Coster); ok {
		return c.MACs(in[:len(j.product.Inputs)], out)
	}
	return 0
}

// Evaluate computes the product, then the sum.
func (j *joined) Evaluate(c *op.Evaluation) error {
	in := make([]*tensor.Tensor, len(j.product.Inputs))
	for i := range in {
		in[i] = c.In(i)
	}
	results, err := c.Other(j.product, in)
	if err != nil {
		return err
	}
	operands := []*tensor.Tensor{results[0], c.In(residualOperand)}
	if j.second {
		slices.Reverse(operands)
	}
	if results, err = c.Other(j.sum, operands); err != nil {
		return err
	}
	c.Set(0, results[0])
	return nil
}

// sums notes that a node adds up its two operands element by element, if they have the same shape.
func (b *builder) sums(n *graph.Node, by residualSum) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.residuals[n] = by
}

// join makes products and the sums that alone read their results one node each, where the sum is: there its other
// operand has been computed. Of two products, the later one takes the sum. kernels are by node.
func (b *builder) join(g *graph.Graph, kernels []prepared) []prepared {
	maker, reads := map[*graph.Value]int{}, map[*graph.Value]int{}
	for i, n := range g.Nodes {
		for _, v := range n.Outputs {
			maker[v] = i
		}
		for _, v := range n.Inputs {
			reads[v]++
		}
	}
	for _, v := range g.Outputs {
		reads[v] = 2 // it is wanted itself
	}
	gone := make([]bool, len(g.Nodes))
	for at, n := range g.Nodes {
		by, ok := b.residuals[n]
		if !ok || !sameShape(n.Inputs[0], n.Inputs[1], n.Outputs[0]) {
			continue
		}
		from, operand := -1, 0
		for i, v := range n.Inputs {
			p, made := maker[v]
			if !made || reads[v] != 1 || b.traits[g.Nodes[p]]&addsResiduals == 0 {
				continue
			}
			if _, already := g.Nodes[p].Op.(*joined); !already && p > from {
				from, operand = p, i
			}
		}
		if from < 0 {
			continue
		}
		product := g.Nodes[from]
		before := *product
		product.Op = &joined{product.Op.(op.Operator), &before, n, operand == 1, by}
		product.Inputs = append(slices.Clone(before.Inputs), make([]*graph.Value, residualOperand-len(before.Inputs))...)
		product.Inputs = append(product.Inputs, n.Inputs[1-operand])
		product.Outputs = n.Outputs
		g.Nodes[at], kernels[at] = product, kernels[from]
		gone[from] = true
	}
	n := 0
	for i := range gone {
		if !gone[i] {
			g.Nodes[n], kernels[n] = g.Nodes[i], kernels[i]
			n++
		}
	}
	g.Nodes = g.Nodes[:n]
	return kernels[:n]
}

// sameShape reports whether values are known to have one shape, whatever the sizes that symbols stand for.
func sameShape(values ...*graph.Value) bool {
	shape := values[0].Type.Shape
	for _, d := range shape {
		if !d.Known() && d.Symbol == "" {
			return false
		}
	}
	return shape != nil && !slices.ContainsFunc(values, func(v *graph.Value) bool { return !slices.Equal(v.Type.Shape, shape) })
}

// residual is the residual of the node at hand and how it is added; nil if it has none.
func (c *planning) residual() (*place, *joined) {
	j, ok := c.node.Op.(*joined)
	if !ok {
		return nil, nil
	}
	return c.in(residualOperand), j
}

// replaceable is the residual of the node at hand, which its result may replace; nil if there is none or if the node
// reads that memory otherwise as well.
func (c *planning) replaceable() *place {
	r, _ := c.residual()
	if r == nil || c.in(0).storage == r.storage {
		return nil
	}
	return r
}

// kernelName is the name of a product's kernel, which may add a residual.
func (c *planning) kernelName(name string) string {
	if _, j := c.residual(); j != nil {
		return name + "+add"
	}
	return name
}

// addend is what a kernel is told of a residual: of codes, of floats, or nothing.
type addend struct {
	codes  *kernel.Residual
	floats *kernel.ResidualF32
}

// addend is the residual of the node at hand in one run's memory, without the operand if m is nil.
func (c *planning) addend(m *runtime.Memory) (a addend) {
	r, j := c.residual()
	switch {
	case j == nil:
	case j.by.floats != nil:
		k := *j.by.floats
		k.Stride = r.pixelStride()
		if m != nil {
			k.Operand = data[float32](m, r)
		}
		a.floats = &k
	default:
		a.codes = &kernel.Residual{Sum: j.by.codes, Second: j.second, Stride: r.pixelStride()}
		if m != nil {
			a.codes.Operand = data[byte](m, r)
		}
	}
	return a
}

// emitProductF32 plans a product of floats, which may add a residual. make describes it to package kernel.
func (c *planning) emitProductF32(name string, x, y *place, e kernel.EpilogueF32, make func(e kernel.EpilogueF32) scratched[float32, float32]) {
	with := func(r addend) scratched[float32, float32] {
		e := e
		e.Residual = r.floats
		return make(e)
	}
	size := with(c.addend(nil)).Scratch()
	c.emit(c.kernelName(name), size, func(m *runtime.Memory) runtime.Work {
		k := with(c.addend(m))
		out, in, scratch := data[float32](m, y), data[float32](m, x), m.Scratch(size)
		return runtime.Work{Tasks: k.Units(), Grain: grain(k), Run: func(begin, end, worker int) { k.Run(out, in, begin, end, scratch[worker]) }}
	})
}
