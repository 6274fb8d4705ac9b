package op

import (
	"fmt"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/tensor"
)

// Gemm is Alpha·A·B + Beta·C for matrices (ONNX Gemm). Operands: A [M,K] ([K,M] if TransA), B [K,N] ([N,K] if TransB),
// C (optional), broadcast to [M,N].
type Gemm struct {
	Alpha, Beta    float32
	TransA, TransB bool
	Clamp          *Clamp
}

// Type is "Gemm".
func (*Gemm) Type() string { return "Gemm" }

// outputAxis is the axis of B that is the output channel.
func (o *Gemm) outputAxis() int {
	if o.TransB {
		return 0
	}
	return 1
}

// Infer gives [M,N].
func (o *Gemm) Infer(c *Inference) error {
	a, b := c.In(0), c.In(1)
	dtype := a.DType
	if a.Quant != nil {
		dtype = tensor.Invalid
	}
	unknown := graph.Dim{Size: graph.Unknown}
	m, n, k, l := unknown, unknown, unknown, unknown
	if rank, ok := a.Rank(); ok {
		if rank != 2 {
			return fmt.Errorf("input 0 is %s, wants a matrix", a)
		}
		m, k = a.Shape[0], a.Shape[1]
		if o.TransA {
			m, k = k, m
		}
	}
	if rank, ok := b.Rank(); ok {
		if rank != 2 {
			return fmt.Errorf("input 1 is %s, wants a matrix", b)
		}
		n, l = b.Shape[o.outputAxis()], b.Shape[1-o.outputAxis()]
	}
	if k.Known() && l.Known() && k.Size != l.Size {
		return fmt.Errorf("a matrix %s cannot be multiplied by %s: %d columns meet %d rows", a, b, k.Size, l.Size)
	}
	c.SetOut(0, dtype, graph.Shape{m, n})
	return nil
}

// MACs is M·N·K.
func (o *Gemm) MACs(in, out []graph.Type) int64 {
	a, ok := in[0].Shape.Known()
	y, known := out[0].Shape.Known()
	if !ok || !known {
		return 0
	}
	k := a[1]
	if o.TransA {
		k = a[0]
	}
	return int64(product(y)) * int64(k)
}

// Integer wants plain products and a bias per column.
func (o *Gemm) Integer(n *graph.Node) (IntegerForm, error) {
	form, err := productForm(n)
	if err != nil {
		return form, err
	}
	form.WeightAxis = o.outputAxis()
	if o.Alpha != 1 || n.Input(2) != nil && o.Beta != 1 {
		return form, fmt.Errorf("alpha is %v and beta %v, integers want 1", o.Alpha, o.Beta)
	}
	if o.TransA {
		return form, fmt.Errorf("its activations are transposed")
	}
	if b := n.Input(2); b != nil {
		sizes, ok := b.Type.Shape.Known()
		columns, known := n.Outputs[0].Type.Shape, false
		if len(columns) == 2 {
			known = columns[1].Known()
		}
		if !ok || !known || product(sizes) != columns[1].Size || len(sizes) == 0 || sizes[len(sizes)-1] != columns[1].Size {
			return form, fmt.Errorf("its bias %s is not one number per column", b.Type)
		}
	}
	return form, nil
}

// MatMul is the matrix product of the last two dimensions, the others broadcast (numpy.matmul, ONNX MatMul).
type MatMul struct {
	Clamp *Clamp
}

// Type is "MatMul".
func (*MatMul) Type() string { return "MatMul" }

// Infer follows numpy.matmul: one-dimensional operands are promoted to matrices and the added dimension removed.
func (o *MatMul) Infer(c *Inference) error {
	a, b := c.In(0), c.In(1)
	dtype := a.DType
	if a.Quant != nil {
		dtype = tensor.Invalid
	}
	if a.Shape == nil || b.Shape == nil {
		c.SetOut(0, dtype, nil)
		return nil
	}
	if len(a.Shape) == 0 || len(b.Shape) == 0 {
		return fmt.Errorf("a scalar cannot be multiplied as a matrix: %s and %s", a, b)
	}
	x, y := a.Shape, b.Shape
	if len(x) == 1 {
		x = graph.Shape{graph.Fixed(1), x[0]}
	}
	if len(y) == 1 {
		y = graph.Shape{y[0], graph.Fixed(1)}
	}
	k, l := x[len(x)-1], y[len(y)-2]
	if k.Known() && l.Known() && k.Size != l.Size {
		return fmt.Errorf("%s cannot be multiplied by %s: %d columns meet %d rows", a, b, k.Size, l.Size)
	}
	shape, err := broadcastShapes(x[:len(x)-2], y[:len(y)-2])
	if err != nil {
		return err
	}
	if len(a.Shape) > 1 {
		shape = append(shape, x[len(x)-2])
	}
	if len(b.Shape) > 1 {
		shape = append(shape, y[len(y)-1])
	}
	c.SetOut(0, dtype, shape)
	return nil
}

// MACs is output elements × inner dimension.
func (o *MatMul) MACs(in, out []graph.Type) int64 {
	a, ok := in[0].Shape.Known()
	y, known := out[0].Shape.Known()
	if !ok || !known || len(a) == 0 {
		return 0
	}
	return int64(product(y)) * int64(a[len(a)-1])
}

// Integer takes a constant matrix as weights with a scale per column; two computed operands are both activations.
func (o *MatMul) Integer(n *graph.Node) (IntegerForm, error) {
	form, err := productForm(n)
	if err != nil {
		return form, err
	}
	if len(form.Roles) != 2 {
		return form, fmt.Errorf("it has %d operands, wants 2", len(form.Roles))
	}
	if n.Inputs[0].Const != nil {
		return form, fmt.Errorf("its first operand is constant; integers want activations times weights")
	}
	b := n.Inputs[1]
	if b.Const == nil {
		form.Roles[1] = Activation
		return form, nil
	}
	if len(b.Type.Shape) == 2 {
		form.WeightAxis = 1
	}
	return form, nil
}
