package compile

import (
	"context"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/kernel"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// lowerBinary is functions of two float operands, which are broadcast.
func lowerBinary(f kernel.BinaryOp) func(*builder, *graph.Node) (prepared, error) {
	return func(b *builder, n *graph.Node) (prepared, error) {
		if !isFloat32(n.Inputs...) || len(n.Inputs) < 2 {
			return nil, nil
		}
		k := kernel.BinaryF32{Op: f}
		k.Least, k.Greatest = limits(clampOf(n.Op))
		if f == kernel.Add && len(n.Inputs) == 2 {
			b.sums(n, residualSum{floats: &kernel.ResidualF32{Vector: b.kernels.Vector(), Least: k.Least, Greatest: k.Greatest}})
		}
		return func(c *planning) error {
			if len(n.Inputs) == 2 {
				a, b := c.in(0), c.in(1)
				return c.binaryFloat(k, c.out(0, a, b), a, b)
			}
			// Max and Min of more than two operands are folded from the left.
			y := c.out(0)
			left := c.in(0)
			for i := 1; i < len(n.Inputs); i++ {
				if err := c.binaryFloat(k, y, left, c.in(i)); err != nil {
					return err
				}
				left = y
			}
			return nil
		}, nil
	}
}

func (c *planning) binaryFloat(k kernel.BinaryF32, y, a, b *place) (err error) {
	k.Vector = c.program.vector
	if k.Shape, err = kernel.NewBroadcast(y.shape, a.shape, b.shape); err != nil {
		return err
	}
	emitBinary[float32](c, "binary_f32", &k, y, a, b)
	return nil
}

// clampOf is the activation fused into an elementwise operator.
func clampOf(o graph.Operator) *op.Clamp {
	if add, ok := o.(*op.Add); ok {
		return add.Clamp
	}
	return nil
}

// lowerBinaryInteger is Add, Sub and Mul of codes.
func lowerBinaryInteger(f kernel.BinaryOp) func(*builder, *graph.Node) (prepared, error) {
	return func(builder *builder, n *graph.Node) (prepared, error) {
		a, okA := codesOf(n.Input(0))
		b, okB := codesOf(n.Input(1))
		y, okY := codesOf(n.Outputs[0])
		if !okA || !okB || !okY {
			return nil, nil
		}
		y = clamped(y, n.Outputs[0], clampOf(n.Op))
		sum := func(shape kernel.Broadcast) *kernel.BinaryInt8 {
			k := kernel.NewBinaryInt8(f, shape, a.Int8Operand, b.Int8Operand, y.Scale, y.ZeroPoint, y.lowest, y.highest)
			k.Vector = builder.kernels.Vector()
			return k
		}
		switch {
		case f == kernel.Mul:
		case n.Arithmetic == numeric.ONNX:
			builder.sums(n, residualSum{codes: sum(kernel.Broadcast{})})
		default:
			builder.sums(n, residualSum{codes: sumByRow(n, f, kernel.Broadcast{}, a.Signed, b.Signed, builder.kernels.Vector())})
		}
		return func(c *planning) error {
			left, right := c.in(0), c.in(1)
			out := c.out(0, left, right)
			shape, err := kernel.NewBroadcast(out.shape, left.shape, right.shape)
			if err != nil {
				return err
			}
			if n.Arithmetic != numeric.ONNX {
				c.binaryByRow(f, shape, a.Signed, b.Signed, out, left, right)
				return nil
			}
			emitBinary[byte](c, "binary_int8", sum(shape), out, left, right)
			return nil
		}, nil
	}
}

// binaryByRow is Add, Sub and Mul of codes in a row of the arithmetics other than onnx.
func (c *planning) binaryByRow(f kernel.BinaryOp, shape kernel.Broadcast, signedA, signedB bool, y, a, b *place) {
	n := c.node
	if f == kernel.Mul {
		codesA, codesB, codesY := op.InputCodes(n, 0), op.InputCodes(n, 1), op.OutputCodes(n, clampOf(n.Op))
		k := &kernel.ProductInt8{Shape: shape, Product: n.Arithmetic.Product(codesA, codesB, codesY), SignedA: signedA, SignedB: signedB}
		emitBinary[byte](c, "product_int8", k, y, a, b)
		return
	}
	emitBinary[byte](c, "sum_int8", sumByRow(n, f, shape, signedA, signedB, c.program.vector), y, a, b)
}

// sumByRow is the kernel of Add and Sub.
func sumByRow(n *graph.Node, f kernel.BinaryOp, shape kernel.Broadcast, signedA, signedB bool, v kernel.Vector) *kernel.SumInt8 {
	codesA, codesB, codesY := op.InputCodes(n, 0), op.InputCodes(n, 1), op.OutputCodes(n, clampOf(n.Op))
	return kernel.NewSumInt8(shape, n.Arithmetic.Sum(f == kernel.Sub, codesA, codesB, codesY), signedA, signedB, v)
}

// lowerBinaryThroughFloat is functions of two operands of codes that are computed on their real numbers: dequantized,
// computed in float32, quantized.
func lowerBinaryThroughFloat(f kernel.BinaryOp) func(*builder, *graph.Node) (prepared, error) {
	return func(_ *builder, n *graph.Node) (prepared, error) {
		y, ok := codesOf(n.Outputs[0])
		if len(n.Inputs) != 2 || !ok {
			return nil, nil
		}
		if compares := f == kernel.Max || f == kernel.Min; n.Arithmetic != numeric.ONNX && !(compares && sameQuant(n)) {
			return nil, nil
		}
		for _, v := range n.Inputs {
			if _, ok := codesOf(v); !ok && !isFloat32(v) {
				return nil, nil
			}
		}
		return func(c *planning) error {
			a, b := c.real(0), c.real(1)
			out := c.out(0)
			result := c.temporary(tensor.Float32, out.len())
			result.shape = out.shape
			if err := c.binaryFloat(kernel.BinaryF32{Op: f, Least: -infinity, Greatest: infinity}, result, a, b); err != nil {
				return err
			}
			c.quantize(out, result, y)
			return nil
		}, nil
	}
}

// sameQuant reports whether all operands are quantized like the result: then comparing them rounds nothing.
func sameQuant(n *graph.Node) bool {
	y := n.Outputs[0].Type
	return !slices.ContainsFunc(n.Inputs, func(v *graph.Value) bool { return v.Type.DType != y.DType || !v.Type.Quant.Equal(y.Quant) })
}

// real is operand i as floats: its place, or, if it is codes, a temporary one that a step fills.
func (c *planning) real(i int) *place {
	x := c.in(i)
	q, ok := codesOf(c.node.Inputs[i])
	if !ok {
		return x
	}
	y := c.temporary(tensor.Float32, x.len())
	y.shape = x.shape
	c.dequantize(y, x, q)
	return y
}

func (c *planning) dequantize(y, x *place, q codes) {
	vector := c.program.vector
	emitEach(c, "dequantize", y, x, func(out []float32, in []byte) { vector.Dequantize(out, in, q.Int8Operand) })
}

func (c *planning) quantize(y, x *place, q codes) {
	vector := c.program.vector
	emitEach(c, "quantize", y, x, func(out []byte, in []float32) {
		vector.Quantize(out, in, q.Scale, q.ZeroPoint, q.lowest, q.highest)
	})
}

// lowerFunction is any function of one float operand: by the kernel of its own if there is one, else element by element.
func lowerFunction(b *builder, n *graph.Node) (prepared, error) {
	o, ok := n.Op.(op.Unary)
	if !ok || !isFloat32(n.Input(0)) {
		return nil, nil
	}
	name, run := "unary_f32", (func(dst, src []float32))(nil)
	if k, ok := unaryKernel(n); ok {
		k.Vector = b.kernels.Vector()
		run = k.Run
	} else {
		for _, v := range n.Inputs[1:] {
			if v != nil && v.Const == nil {
				return nil, nil
			}
		}
		f, err := o.Real(n)
		if err != nil {
			return nil, err
		}
		name, run = "map_f32", func(dst, src []float32) { kernel.Map(dst, src, f) }
	}
	b.can(n, readsPixels|writesPixels)
	return func(c *planning) error {
		x := c.in(0)
		y := c.out(0, x)
		emitEach(c, name, y, x, run)
		return nil
	}, nil
}

// unaryKernels is the functions without attributes that have a kernel of their own.
var unaryKernels = map[string]kernel.UnaryF32{
	"Relu":       {Op: kernel.Clip, Beta: infinity},
	"HardSwish":  {Op: kernel.HardSwish},
	"Sigmoid":    {Op: kernel.Sigmoid},
	"Tanh":       {Op: kernel.Tanh},
	"Mish":       {Op: kernel.Mish},
	"Softplus":   {Op: kernel.Softplus},
	"Erf":        {Op: kernel.Erf},
	"Exp":        {Op: kernel.Exp},
	"Log":        {Op: kernel.Log},
	"Sqrt":       {Op: kernel.Sqrt},
	"Reciprocal": {Op: kernel.Reciprocal},
	"Neg":        {Op: kernel.Neg},
	"Abs":        {Op: kernel.Abs},
	"Floor":      {Op: kernel.Floor},
	"Ceil":       {Op: kernel.Ceil},
	"Round":      {Op: kernel.Round},
	"Sign":       {Op: kernel.Sign},
}

// unaryKernel is the kernel of a node's function, if it has one of its own.
func unaryKernel(n *graph.Node) (kernel.UnaryF32, bool) {
	switch o := n.Op.(type) {
	case *op.Clip:
		return clip(n)
	case *op.LeakyRelu:
		return kernel.UnaryF32{Op: kernel.LeakyRelu, Alpha: o.Alpha}, true
	case *op.Elu:
		return kernel.UnaryF32{Op: kernel.Elu, Alpha: o.Alpha}, o.Gamma == 1 && o.Scale == 1
	case *op.HardSigmoid:
		return kernel.UnaryF32{Op: kernel.HardSigmoid, Alpha: o.Alpha, Beta: o.Beta}, true
	case *op.Swish:
		return kernel.UnaryF32{Op: kernel.Silu}, o.Alpha == 1
	case *op.Gelu:
		if o.Tanh {
			return kernel.UnaryF32{Op: kernel.GeluTanh}, true
		}
		return kernel.UnaryF32{Op: kernel.Gelu}, true
	}
	k, ok := unaryKernels[n.Op.Type()]
	return k, ok
}

// clip is Clip with constant bounds in order.
func clip(n *graph.Node) (kernel.UnaryF32, bool) {
	k := kernel.UnaryF32{Op: kernel.Clip, Alpha: -infinity, Beta: infinity}
	for i, bound := range []*float32{&k.Alpha, &k.Beta} {
		if v := n.Input(i + 1); v != nil {
			x, ok := scalarConstant(v)
			if !ok {
				return k, false
			}
			*bound = x
		}
	}
	return k, k.Alpha <= k.Beta
}

// lowerTable is functions of one operand of codes, as a table of all 256 of them. The table is what the reference
// evaluation makes of all codes, so that there is no second definition.
func lowerTable(b *builder, n *graph.Node) (prepared, error) {
	x, y := n.Input(0), n.Outputs[0]
	if _, ok := codesOf(x); !ok || y.Type.DType.Bits() != 8 {
		return nil, nil
	}
	for _, v := range n.Inputs[1:] {
		if v != nil && (v.Const == nil || v.Const.Len() != 1) {
			return nil, nil
		}
	}
	table, err := tableOf(n)
	if err != nil {
		return nil, err
	}
	b.can(n, readsPixels|writesPixels)
	return func(c *planning) error {
		x := c.in(0)
		y := c.out(0, x)
		vector := c.program.vector
		emitEach(c, "table", y, x, func(out, in []byte) { vector.Lookup(out, in, table) })
		return nil
	}, nil
}

// tableOf evaluates a node of one 8-bit operand for every stored byte.
func tableOf(n *graph.Node) (*[256]byte, error) {
	domain := tensor.New(n.Input(0).Type.DType, 256)
	for i := range domain.Bytes() {
		domain.Bytes()[i] = byte(i)
	}
	result, err := evaluateDomain(n, domain)
	if err != nil {
		return nil, err
	}
	return (*[256]byte)(result.Bytes()), nil
}

// evaluateDomain evaluates a node whose first operand is all codes that there are.
func evaluateDomain(n *graph.Node, domain *tensor.Tensor) (*tensor.Tensor, error) {
	all := *n
	out := *n.Outputs[0]
	out.Type.Shape = graph.FixedShape(domain.Len())
	all.Outputs = []*graph.Value{&out}
	operands := []*tensor.Tensor{domain}
	for _, v := range n.Inputs[1:] {
		if v == nil {
			operands = append(operands, nil)
		} else {
			operands = append(operands, v.Const)
		}
	}
	results, err := op.Evaluate(context.Background(), &all, operands)
	if err != nil {
		return nil, err
	}
	return results[0], nil
}
