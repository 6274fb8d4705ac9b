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

		{domain, "SkipSimplifiedLayerNormalization"}: {3, 0, skipLayerNormalization},
		{"", "SimplifiedLayerNormalization"}:         {2, 0, simplifiedLayerNormalization}, // where ONNX Runtime has it
		{domain, "Attention"}:                        {2, 0, attention},
		{domain, "QAttention"}:                       {5, 0, qattention},
		{domain, "MultiHeadAttention"}:               {1, 0, multiHeadAttention},
		{domain, "EmbedLayerNormalization"}:          {1, 0, embedLayerNormalization},
		{domain, "QEmbedLayerNormalization"}:         {1, 0, qembedLayerNormalization},
		{domain, "DynamicQuantizeLSTM"}:              {3, 0, dynamicQuantizeLSTM},
		{domain, "GatherBlockQuantized"}:             {3, 0, gatherBlockQuantized},
		{domain, "NhwcMaxPool"}:                      {1, 0, nhwcMaxPool},
	}
}

// matMulNBits is x·W with W [K, N] stored as codes of 2, 4 or 8 bits, in blocks along K that have a scale each: operand 1
// has the shape [N, blocks, bytes], operand 2 the scales, operand 3 the zero points, packed per column or real numbers,
// operand 4 the block of each row where it is not its place that says it.
func matMulNBits(c *call) error {
	bits, n, k, block := c.int("bits", 4), c.int("N", 0), c.int("K", 0), c.int("block_size", 0)
	c.int("accuracy_level", 0)
	w, scales, zero, groups := c.in[1], c.in[2], c.input(3), c.input(4)
	for _, v := range []*graph.Value{w, scales, zero, groups} {
		if v != nil && v.Const == nil {
			return errUnknown
		}
	}
	if bits != 2 && bits != 4 && bits != 8 || n < 1 || k < 1 || block < 1 || block > 1<<20 || block*bits%8 != 0 || n > 1<<30 || k > 1<<30 {
		return errUnknown
	}
	blocks := (k + block - 1) / block
	if blocks > 1<<30/n || w.Const.Len() != n*blocks*block*bits/8 || w.Const.DType() != tensor.Uint8 || scales.Const.Len() != n*blocks || !scales.Const.DType().IsFloat() {
		return fmt.Errorf("weights %s and scales %s do not fit %d×%d with blocks of %d", w.Const, scales.Const, k, n, block)
	}
	code := func(data []byte, i int) int32 { return int32(data[i*bits/8]>>(i*bits%8)) & (1<<bits - 1) }
	codes := make([]int64, n*k)
	for i := range codes {
		codes[i] = int64(code(w.Const.Bytes()[i/k*blocks*block*bits/8:], i%k))
	}
	points := slices.Repeat([]float32{float32(int(1) << (bits - 1))}, n*blocks)
	whole := true // zero points are codes
	switch perColumn := (blocks*bits + 7) / 8; {
	case zero == nil:
	case zero.Const.DType().IsFloat() && zero.Const.Len() == n*blocks:
		points, whole = op.Float32s(zero.Const), false
	case zero.Const.DType() == tensor.Uint8 && zero.Const.Len() == n*perColumn:
		for i := range points {
			points[i] = float32(code(zero.Const.Bytes()[i/blocks*perColumn:], i%blocks))
		}
	default:
		return fmt.Errorf("zero points %s do not fit %d columns of %d blocks", zero.Const, n, blocks)
	}
	scale := slices.Clone(op.Float32s(scales.Const))
	if !whole || groups != nil {
		weights, err := dequantizedBlocks(codes, scale, points, n, k, block, groups)
		if err != nil {
			return err
		}
		c.product(c.in[0], c.constant("weights", tensor.Of(weights, k, n)), c.input(5))
		return nil
	}
	zeros := make([]int32, len(points))
	for i, s := range scale {
		zeros[i] = int32(points[i])
		columns := codes[i/blocks*k:][:k]
		columns = columns[min(i%blocks*block, k):min((i%blocks+1)*block, k)]
		switch {
		case s < 0: // scales of a graph are positive: the codes are mirrored
			scale[i], zeros[i] = -s, 1<<bits-1-zeros[i]
			for j, q := range columns {
				columns[j] = 1<<bits - 1 - q
			}
		case s == 0:
			scale[i] = 1
			for j := range columns {
				columns[j] = int64(zeros[i])
			}
		}
	}
	dtype := map[int]tensor.DType{2: tensor.Uint2, 4: tensor.Uint4, 8: tensor.Uint8}[bits]
	stored := c.constant("codes", op.FromInt64s(dtype, []int{n, k}, codes))
	stored.Origin = w.Source()
	stored.Type.Quant = &graph.Quant{Scale: scale, ZeroPoint: zeros, Axis: 1, Block: block}
	real, turned := c.temporary("weights"), c.temporary("transposed")
	c.emit(&op.Dequantize{}, []*graph.Value{stored}, real)
	c.emit(&op.Transpose{Perm: []int{1, 0}}, []*graph.Value{real}, turned)
	c.product(c.in[0], turned, c.input(5))
	return nil
}

// dequantizedBlocks is the matrix [k, n] that the codes [n, k] stand for, whose zero points are real numbers or whose rows
// belong to the blocks that groups says.
func dequantizedBlocks(codes []int64, scale, points []float32, n, k, block int, groups *graph.Value) ([]float32, error) {
	blocks := len(scale) / n
	group := make([]int, k)
	for i := range group {
		group[i] = i / block
	}
	if groups != nil {
		if !groups.Const.DType().IsInteger() || groups.Const.Len() < k {
			return nil, fmt.Errorf("blocks %s do not fit %d rows", groups.Const, k)
		}
		for i, g := range op.Int64s(groups.Const)[:k] {
			if g < 0 || g >= int64(blocks) {
				return nil, fmt.Errorf("row %d is of block %d, there are %d", i, g, blocks)
			}
			group[i] = int(g)
		}
	}
	weights := make([]float32, n*k)
	for column := range n {
		for row := range k {
			at := column*blocks + group[row]
			weights[row*n+column] = (float32(codes[column*k+row]) - points[at]) * scale[at]
		}
	}
	return weights, nil
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

// fusedMatMul is alpha·a·b with the last two dimensions of either perhaps exchanged, and the first perhaps moved to them.
func fusedMatMul(c *call) error {
	alpha := c.float("alpha", 1)
	in := slices.Clone(c.in[:2])
	for i, name := range []string{"A", "B"} {
		batch, matrix := c.int("transBatch"+name, 0) != 0, c.int("trans"+name, 0) != 0
		if !batch && !matrix {
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
		if batch { // the first dimension is that of rows, the stack comes after it
			perm = append(append(perm[1:rank-1:rank-1], 0), rank-1)
		}
		if matrix {
			perm[rank-2], perm[rank-1] = perm[rank-1], perm[rank-2]
		}
		in[i] = c.value("turned", &op.Transpose{Perm: perm}, in[i])
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
// result. The simplified one has no beta and does not subtract the mean.
func skipLayerNormalization(c *call) error {
	sum := c.temporary("sum")
	if len(c.out) > 3 && c.out[3] != nil {
		sum = c.out[3]
	}
	simplified := c.proto.op == "SkipSimplifiedLayerNormalization"
	at := 4
	if simplified {
		at = 3
	}
	in := []*graph.Value{c.in[0], c.in[1]}
	if bias := c.input(at); bias != nil {
		in = []*graph.Value{c.value("skipped", &op.Add{}, in...), bias}
	}
	c.emit(&op.Add{}, in, sum)
	epsilon := c.float("epsilon", 1e-12)
	switch {
	case simplified && (c.wanted(1) || c.wanted(2)):
		return errUnknown
	case simplified:
		c.emit(&op.RMSNormalization{Axis: -1, Epsilon: epsilon}, []*graph.Value{sum, c.in[2]}, c.out[0])
		return nil
	}
	operands := []*graph.Value{sum, c.in[2]}
	if beta := c.input(3); beta != nil {
		operands = append(operands, beta)
	}
	c.emit(&op.LayerNormalization{Axis: -1, Epsilon: epsilon}, operands, c.out[0], c.result(1), c.result(2))
	return nil
}

// simplifiedLayerNormalization is RMSNormalization by the name that ONNX Runtime had for it before ONNX did.
func simplifiedLayerNormalization(c *call) error {
	if c.wanted(1) {
		return errUnknown
	}
	o := &op.RMSNormalization{Axis: c.int("axis", -1), Epsilon: c.float("epsilon", 1e-5)}
	c.emit(o, c.in[:2], c.out[0])
	return nil
}

// nhwcMaxPool is MaxPool of codes whose channels are the last dimension.
func nhwcMaxPool(c *call) error {
	o := op.Lookup("MaxPool").(*op.MaxPool)
	if err := c.fill(o, nil); err != nil {
		return err
	}
	o.Layout = op.NHWC
	c.emit(o, c.in[:1], c.out[0])
	return nil
}

// dynamicQuantizeLSTM is LSTM whose weights are codes [directions, inputs, 4·hidden] and whose activations are quantized as
// it runs. Operands: those of LSTM, then scale and zero point of the weights, and of the recurrent weights.
func dynamicQuantizeLSTM(c *call) error {
	if len(c.in) < 12 {
		return fmt.Errorf("has %d inputs instead of 12", len(c.in))
	}
	in := slices.Clone(c.in[:8])
	for i, at := range []int{8, 10} {
		codes, scale, zero := c.in[1+i], c.in[at], c.input(at+1)
		if codes == nil || codes.Const == nil || scale == nil || scale.Const == nil || zero != nil && zero.Const == nil {
			return errUnknown
		}
		real, err := recurrentWeights(codes.Const, scale.Const, zero)
		if err != nil {
			return err
		}
		in[1+i] = c.constant("weights", real)
	}
	return recurrentLayer(c, "LSTM", in, true)
}

// recurrentWeights is the real numbers [directions, columns, rows] that codes [directions, rows, columns] stand for, with
// a scale per direction or per column of each.
func recurrentWeights(codes, scale *tensor.Tensor, zero *graph.Value) (*tensor.Tensor, error) {
	shape := codes.Shape()
	if len(shape) != 3 || !codes.DType().IsInteger() || !scale.DType().IsFloat() {
		return nil, fmt.Errorf("weights %s with scales %s", codes, scale)
	}
	ways, rows, columns := shape[0], shape[1], shape[2]
	scales, points := op.Float32s(scale), make([]int64, scale.Len())
	if zero != nil {
		if zero.Const.Len() != len(scales) || !zero.Const.DType().IsInteger() {
			return nil, fmt.Errorf("zero points %s do not fit scales %s", zero.Const, scale)
		}
		points = op.Int64s(zero.Const)
	}
	if len(scales) != ways && len(scales) != ways*columns {
		return nil, fmt.Errorf("scales %s do not fit weights %s", scale, codes)
	}
	stored, real := op.Int64s(codes), make([]float32, codes.Len())
	for way := range ways {
		for row := range rows {
			for column := range columns {
				at := way
				if len(scales) != ways {
					at = way*columns + column
				}
				real[(way*columns+column)*rows+row] = float32(stored[(way*rows+row)*columns+column]-points[at]) * scales[at]
			}
		}
	}
	return tensor.Of(real, ways, columns, rows), nil
}

// gatherBlockQuantized gathers codes and their scales, then dequantizes. Codes of 4 bits may be packed in bytes, along the
// last dimension, which is also the one of the blocks.
func gatherBlockQuantized(c *call) error {
	axis, along, block, bits := c.int("gather_axis", 0), c.int("quantize_axis", 1), c.int("block_size", 128), c.int("bits", 4)
	data, indices, scales, zero := c.in[0], c.in[1], c.in[2], c.input(3)
	rank, ok := data.Type.Rank()
	indexRank, known := indices.Type.Rank()
	if !ok || !known {
		return errUnknown
	}
	if axis < 0 {
		axis += rank
	}
	if along < 0 {
		along += rank
	}
	if axis < 0 || axis >= rank || along < 0 || along >= rank || axis == along || block < 1 {
		return fmt.Errorf("axes %d and %d, blocks of %d and %d dimensions do not fit each other", axis, along, block, rank)
	}
	if data.Type.DType == tensor.Uint8 && bits < 8 {
		if data.Const == nil || along != rank-1 || zero != nil && zero.Const == nil || bits != 4 {
			return errUnknown
		}
		unpacked := func(v *graph.Value, last int) (*graph.Value, error) {
			shape := slices.Clone(v.Const.Shape())
			if len(shape) != rank || (last+1)/2 != shape[rank-1] {
				return nil, fmt.Errorf("%s does not hold packed codes", v.Const)
			}
			codes := make([]int64, 0, 2*v.Const.Len())
			for i, b := range v.Const.Bytes() {
				codes = append(codes, int64(b&15))
				if (i+1)%shape[rank-1] != 0 || last%2 == 0 {
					codes = append(codes, int64(b>>4))
				}
			}
			shape[rank-1] = last
			return c.constant("codes", op.FromInt64s(tensor.Uint4, shape, codes)), nil
		}
		columns := scales.Type.Shape
		if len(columns) != rank || !columns[rank-1].Known() {
			return errUnknown
		}
		var err error
		if data, err = unpacked(data, 2*data.Const.Shape()[rank-1]); err != nil {
			return err
		}
		if zero == nil {
			middle := slices.Repeat([]int64{8}, max(scales.Const.Len(), 1))
			zero = c.constant("zero", op.FromInt64s(tensor.Uint4, scales.Const.Shape(), middle))
		} else if zero, err = unpacked(zero, columns[rank-1].Size); err != nil {
			return err
		}
	}
	gather := func(name string, v *graph.Value) *graph.Value {
		return c.value(name, &op.Gather{Axis: axis}, v, indices)
	}
	in := []*graph.Value{gather("codes", data), gather("scales", scales)}
	if zero != nil {
		in = append(in, gather("zeros", zero))
	}
	if along > axis {
		along += indexRank - 1
	}
	c.emit(&op.DequantizeLinear{Axis: along, BlockSize: block}, in, c.out[0])
	return nil
}
