package onnx

import (
	"fmt"
	"math"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// contrib is the rows of the operators of ONNX Runtime's own domain that its optimizer and its quantization tools write,
// other than those that take the place of an ONNX operator.
func contrib() map[key]row {
	const domain = "com.microsoft"
	return map[key]row{
		{domain, "MatMulNBits"}:            {3, 0, matMulNBits},
		{domain, "QLinearWhere"}:           {9, 0, qlinearWhere},
		{domain, "QLinearReduceMean"}:      {5, 0, qlinearReduceMean},
		{domain, "FusedConv"}:              {2, 0, fusedConv},
		{domain, "FusedGemm"}:              {2, 0, fusedGemm},
		{domain, "FusedMatMul"}:            {2, 0, fusedMatMul},
		{domain, "Gelu"}:                   {1, 0, contribGelu(false)},
		{domain, "FastGelu"}:               {1, 0, contribGelu(true)},
		{domain, "BiasGelu"}:               {2, 0, contribGelu(false)},
		{domain, "QuickGelu"}:              {1, 0, quickGelu},
		{domain, "SkipLayerNormalization"}: {3, 0, skipLayerNormalization},
	}
}

// matMulNBits is x·W with W [K, N] stored as codes of 4 or 8 bits, in blocks along K that have a scale each: operand 1
// has the shape [N, blocks, bytes], operand 2 the scales, operand 3 the zero points, packed per column.
func matMulNBits(c *call) error {
	bits, n, k, block := c.int("bits", 4), c.int("N", 0), c.int("K", 0), c.int("block_size", 0)
	c.int("accuracy_level", 0)
	w, scales := c.in[1], c.in[2]
	if bits != 4 && bits != 8 || n < 1 || k < 1 || block < 1 || w.Const == nil || scales.Const == nil || c.input(4) != nil {
		return errUnknown
	}
	blocks := (k + block - 1) / block
	if blocks > 1<<30/n || w.Const.Len() != n*blocks*block*bits/8 || scales.Const.Len() != n*blocks {
		return fmt.Errorf("weights %s and scales %s do not fit %d×%d with blocks of %d", w.Const, scales.Const, k, n, block)
	}
	code := func(data []byte, i int) int32 {
		if bits == 8 {
			return int32(data[i])
		}
		return int32(data[i/2]>>(4*(i%2))) & 15
	}
	points := slices.Repeat([]int32{1 << (bits - 1)}, n*blocks)
	if zero := c.input(3); zero != nil {
		perColumn := (blocks*bits + 7) / 8
		if zero.Const == nil || zero.Const.DType() != tensor.Uint8 {
			return errUnknown // zero points that are floats
		}
		if zero.Const.Len() != n*perColumn {
			return fmt.Errorf("zero points %s do not fit %d columns of %d blocks", zero.Const, n, blocks)
		}
		for i := range points {
			points[i] = code(zero.Const.Bytes()[i/blocks*perColumn:], i%blocks)
		}
	}
	codes := make([]int64, n*k)
	for i := range codes {
		codes[i] = int64(code(w.Const.Bytes()[i/k*blocks*block*bits/8:], i%k))
	}
	scale := slices.Clone(op.Float32s(scales.Const))
	for i, s := range scale {
		columns := codes[i/blocks*k:][:k]
		columns = columns[min(i%blocks*block, k):min((i%blocks+1)*block, k)]
		switch {
		case s < 0: // scales of a graph are positive: the codes are mirrored
			scale[i], points[i] = -s, 1<<bits-1-points[i]
			for j, q := range columns {
				columns[j] = 1<<bits - 1 - q
			}
		case s == 0:
			scale[i] = 1
			for j := range columns {
				columns[j] = int64(points[i])
			}
		}
	}
	dtype := tensor.Uint4
	if bits == 8 {
		dtype = tensor.Uint8
	}
	stored := c.constant("codes", op.FromInt64s(dtype, []int{n, k}, codes))
	stored.Origin = w.Source()
	stored.Type.Quant = &graph.Quant{Scale: scale, ZeroPoint: points, Axis: 1, Block: block}
	real, turned := c.temporary("weights"), c.temporary("transposed")
	c.emit(&op.Dequantize{}, []*graph.Value{stored}, real)
	c.emit(&op.Transpose{Perm: []int{1, 0}}, []*graph.Value{real}, turned)
	c.product(c.in[0], turned, c.input(5))
	return nil
}

// qlinearWhere has the operands condition, x and y with scale and zero point each, scale and zero point of the result.
func qlinearWhere(c *call) error {
	y := c.temporary("y")
	in := []*graph.Value{c.in[0], c.real("a", c.in[1], c.in[2], c.in[3], 1), c.real("b", c.in[4], c.in[5], c.in[6], 1)}
	c.emit(&op.Where{}, in, y)
	c.quantizeTo(y, c.in[7], c.in[8], c.out[0])
	return nil
}

func qlinearReduceMean(c *call) error {
	o := op.NewReduce("ReduceMean")
	o.KeepDims = c.int("keepdims", 1) != 0
	in := []*graph.Value{c.real("x", c.in[0], c.in[1], c.in[2], 1)}
	if axes, ok := c.ints("axes"); ok {
		in = append(in, c.list("axes", axes...))
	}
	y := c.temporary("y")
	c.emit(o, in, y)
	c.quantizeTo(y, c.in[3], c.in[4], c.out[0])
	return nil
}

// activated emits what build computes, followed by the activation in the attributes that fused operators have.
func (c *call) activated(build func(out *graph.Value) error) error {
	name := c.string("activation", "")
	parameters := []float32{}
	if a := c.attribute("activation_params"); a != nil {
		parameters = a.floats
	}
	for _, p := range []string{"activation_alpha", "activation_beta", "activation_gamma"} { // of FusedGemm
		if a := c.attribute(p); a != nil {
			parameters = append(parameters, a.f)
		}
	}
	if name == "" {
		return build(c.out[0])
	}
	y := c.temporary("sum")
	if err := build(y); err != nil {
		return err
	}
	parameter := func(i int, otherwise float32) float32 {
		if i < len(parameters) {
			return parameters[i]
		}
		return otherwise
	}
	switch name {
	case "Relu", "Sigmoid", "Tanh", "HardSwish", "Softplus", "Softsign":
		c.emit(op.Lookup(name), []*graph.Value{y}, c.out...)
	case "LeakyRelu":
		c.emit(&op.LeakyRelu{Alpha: parameter(0, 0.01)}, []*graph.Value{y}, c.out...)
	case "HardSigmoid":
		c.emit(&op.HardSigmoid{Alpha: parameter(0, 0.2), Beta: parameter(1, 0.5)}, []*graph.Value{y}, c.out...)
	case "Clip":
		limits := []*graph.Value{y, c.scalar("min", parameter(0, -math.MaxFloat32)), c.scalar("max", parameter(1, math.MaxFloat32))}
		c.emit(&op.Clip{}, limits, c.out...)
	default:
		return fmt.Errorf("activation %q is not known", name)
	}
	return nil
}

// fusedConv is Conv with an activation after it, and a fourth operand that is added before that.
func fusedConv(c *call) error {
	return c.activated(func(out *graph.Value) error {
		o := op.Lookup("Conv").(*op.Conv)
		if err := c.fill(o, nil); err != nil {
			return err
		}
		if err := c.kernel(1); err != nil {
			return err
		}
		in := c.in[:min(len(c.in), 3)]
		if c.input(3) == nil {
			c.emit(o, in, out)
			return nil
		}
		y := c.temporary("conv")
		c.emit(o, in, y)
		c.emit(&op.Add{}, []*graph.Value{y, c.in[3]}, out)
		return nil
	})
}

func fusedGemm(c *call) error {
	return c.activated(func(out *graph.Value) error {
		o := op.Lookup("Gemm")
		if err := c.fill(o, nil); err != nil {
			return err
		}
		c.emit(o, c.in, out)
		return nil
	})
}

// fusedMatMul is alpha·a·b with the last two dimensions of either perhaps exchanged.
func fusedMatMul(c *call) error {
	alpha := c.float("alpha", 1)
	if c.int("transBatchA", 0) != 0 || c.int("transBatchB", 0) != 0 {
		return errUnknown
	}
	in := slices.Clone(c.in[:2])
	for i, name := range []string{"transA", "transB"} {
		if c.int(name, 0) == 0 {
			continue
		}
		rank, ok := in[i].Type.Rank()
		if !ok {
			return errUnknown
		}
		if rank < 2 {
			continue
		}
		perm := make([]int, rank)
		for d := range perm {
			perm[d] = d
		}
		perm[rank-2], perm[rank-1] = rank-1, rank-2
		turned := c.temporary(name)
		c.emit(&op.Transpose{Perm: perm}, []*graph.Value{in[i]}, turned)
		in[i] = turned
	}
	if alpha == 1 {
		c.emit(&op.MatMul{}, in, c.out...)
		return nil
	}
	y := c.temporary("product")
	c.emit(&op.MatMul{}, in, y)
	c.emit(&op.Mul{}, []*graph.Value{y, c.scalar("alpha", alpha)}, c.out...)
	return nil
}

// contribGelu is Gelu of x, or of x plus operand 1 where there is one.
func contribGelu(tanh bool) func(c *call) error {
	return func(c *call) error {
		x := c.in[0]
		if bias := c.input(1); bias != nil {
			x = c.temporary("biased")
			c.emit(&op.Add{}, []*graph.Value{c.in[0], bias}, x)
		}
		c.emit(&op.Gelu{Tanh: tanh}, []*graph.Value{x}, c.out...)
		return nil
	}
}

// quickGelu is x·sigmoid(alpha·x).
func quickGelu(c *call) error {
	c.emit(&op.Swish{Alpha: c.float("alpha", 1.702)}, c.in, c.out...)
	return nil
}

// skipLayerNormalization has the operands x, skip, gamma, beta, bias and normalizes x + skip + bias, which is the fourth
// result.
func skipLayerNormalization(c *call) error {
	if c.wanted(1) || c.wanted(2) {
		return errUnknown
	}
	sum := c.temporary("sum")
	if len(c.out) > 3 && c.out[3] != nil {
		sum = c.out[3]
	}
	in := []*graph.Value{c.in[0], c.in[1]}
	if bias := c.input(4); bias != nil {
		plain := c.temporary("skipped")
		c.emit(&op.Add{}, in, plain)
		in = []*graph.Value{plain, bias}
	}
	c.emit(&op.Add{}, in, sum)
	operands := []*graph.Value{sum, c.in[2]}
	if beta := c.input(3); beta != nil {
		operands = append(operands, beta)
	}
	c.emit(&op.LayerNormalization{Axis: -1, Epsilon: c.float("epsilon", 1e-12)}, operands, c.out[0])
	return nil
}
