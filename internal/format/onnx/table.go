package onnx

import (
	"maps"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
)

type key struct{ domain, name string }

// row says how one ONNX operator is read.
type row struct {
	inputs int // how many leading operands are required
	until  int // newest operator set that has it; 0: it still exists
	build  func(c *call) error
}

// operators is every ONNX operator that is read, in all versions up to maxOpset.
var operators = table()

// Operators is the names of all operators that are read, in order, by domain; ONNX's own domain is "". A node may still have
// attributes or operands that are not read.
func Operators() map[string][]string {
	names := map[string][]string{}
	for _, rows := range []map[key]row{operators, controls()} {
		for k := range rows {
			if !slices.Contains(names[k.domain], k.name) {
				names[k.domain] = append(names[k.domain], k.name)
			}
		}
	}
	for _, list := range names {
		slices.Sort(list)
	}
	return names
}

func table() map[key]row {
	rows := map[key]row{
		{"", "Constant"}:                      {0, 0, constant},
		{"", "ConstantOfShape"}:               {1, 0, constantOfShape},
		{"", "Reshape"}:                       {1, 0, moved(5, "shape")},
		{"", "Squeeze"}:                       {1, 0, moved(13, "axes")},
		{"", "Unsqueeze"}:                     {1, 0, moved(13, "axes")},
		{"", "Clip"}:                          {1, 0, clip},
		{"", "Pad"}:                           {1, 0, pad},
		{"", "Slice"}:                         {1, 0, slice},
		{"", "Split"}:                         {1, 0, split},
		{"", "Softmax"}:                       {1, 0, softmax},
		{"", "LogSoftmax"}:                    {1, 0, softmax},
		{"", "Hardmax"}:                       {1, 0, softmax},
		{"", "BatchNormalization"}:            {5, 0, batchNormalization},
		{"", "Dropout"}:                       {1, 0, dropout},
		{"", "Cast"}:                          {1, 0, cast},
		{"", "CastLike"}:                      {2, 0, castLike},
		{"", "Selu"}:                          {1, 0, selu},
		{"", "Celu"}:                          {1, 0, celu},
		{"", "Gelu"}:                          {1, 0, gelu},
		{"", "ArgMax"}:                        {1, 0, argMax(false)},
		{"", "ArgMin"}:                        {1, 0, argMax(true)},
		{"", "Shape"}:                         {1, 0, shape},
		{"", "Upsample"}:                      {1, 9, upsample},
		{"", "Resize"}:                        {1, 0, resize},
		{"", "BitShift"}:                      {2, 0, bitShift},
		{"", "TopK"}:                          {1, 0, topK},
		{"", "ConvInteger"}:                   {2, 0, convolution(1)},
		{"", "MatMulInteger"}:                 {2, 0, plain(nil)},
		{"", "GroupNormalization"}:            {3, 0, groupNormalization},
		{"", "DepthToSpace"}:                  {1, 0, depthToSpace},
		{"", "ImageScaler"}:                   {1, 0, imageScaler},
		{"", "Affine"}:                        {1, 0, affine},
		{"", "Crop"}:                          {1, 0, crop},
		{"", "Compress"}:                      {2, 0, compress},
		{"", "QuantizeLinear"}:                {2, 0, quantizeLinear},
		{"", "DequantizeLinear"}:              {2, 0, dequantizeLinear},
		{"", "QLinearConv"}:                   {8, 0, qlinearConv},
		{"", "QLinearMatMul"}:                 {8, 0, qlinearMatMul},
		{"com.microsoft", "QLinearConv"}:      {8, 0, qlinearConv},
		{"com.microsoft", "QGemm"}:            {6, 0, qgemm},
		{"com.microsoft", "QLinearConcat"}:    {5, 0, qlinearConcat},
		{"com.microsoft", "QuantizeLinear"}:   {2, 0, quantizeLinear},
		{"com.microsoft", "DequantizeLinear"}: {2, 0, dequantizeLinear},
		{"com.microsoft", "QLinearAdd"}:       {7, 0, qlinearBinary("Add")},
		{"com.microsoft", "QLinearMul"}:       {7, 0, qlinearBinary("Mul")},
		{"com.microsoft", "QLinearGlobalAveragePool"}: {4, 0, qlinearUnary("GlobalAveragePool")},
		{"com.microsoft", "QLinearAveragePool"}:       {4, 0, qlinearUnary("AveragePool")},
		{"com.microsoft", "QLinearLeakyRelu"}:         {4, 0, qlinearUnary("LeakyRelu")},
		{"com.microsoft", "QLinearSigmoid"}:           {4, 0, qlinearUnary("Sigmoid")},
		{"com.microsoft", "QLinearSoftmax"}:           {4, 0, qlinearSoftmax},
		{"com.microsoft", "MatMulIntegerToFloat"}:     {4, 0, matMulIntegerToFloat},
		{"com.microsoft", "DynamicQuantizeMatMul"}:    {3, 0, dynamicQuantizeMatMul},
	}
	// Operators that were always spelled as they are now, if their attributes are filled in by name.
	for _, name := range []string{"Identity", "Flatten", "Transpose", "Concat", "Gather", "Expand", "Tile", "Size", "Range",
		"Gemm", "MatMul", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool",
		"InstanceNormalization", "LayerNormalization", "LeakyRelu", "Elu", "HardSigmoid", "Swish", "ThresholdedRelu",
		"Shrink", "PRelu", "Pow", "Mod", "Max", "Min", "Sum", "Mean", "Not", "Where", "DynamicQuantizeLinear",
		"GatherElements", "GatherND", "ScatterElements", "ScatterND", "OneHot", "NonZero", "Trilu", "ReverseSequence",
		"SpaceToDepth", "Relu", "Sigmoid", "Tanh", "Softplus", "Softsign", "HardSwish", "Mish", "Erf", "Exp", "Log", "Sqrt",
		"Reciprocal", "Neg", "Abs", "Sign", "Ceil", "Floor", "Round", "Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh",
		"Cosh", "Asinh", "Acosh", "Atanh", "Equal", "IsNaN", "IsInf", "BitwiseAnd",
		"BitwiseOr", "BitwiseXor", "BitwiseNot", "CumSum", "LRN", "LpPool", "GlobalLpPool", "RMSNormalization",
		"MeanVarianceNormalization", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "And", "Or", "Xor"} {
		rows[key{"", name}] = row{max(operands[name], 1), 0, plain(nil)}
	}
	for _, name := range []string{"Conv", "ConvTranspose"} {
		rows[key{"", name}] = row{2, 0, convolution(1)}
	}
	for _, name := range []string{"Add", "Sub", "Mul", "Div"} {
		rows[key{"", name}] = row{2, 0, broadcast}
	}
	for _, name := range []string{"ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2",
		"ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare"} {
		rows[key{"", name}] = row{1, 0, moved(18, "axes")}
	}
	rows[key{"", "ReduceSum"}] = row{1, 0, moved(13, "axes")}
	maps.Copy(rows, composed())
	maps.Copy(rows, contrib())
	maps.Copy(rows, classical())
	return rows
}

// operands is how many operands the operators that are plain require, where that is more than one.
var operands = map[string]int{"Gather": 2, "Expand": 2, "Tile": 2, "Range": 3, "Gemm": 2, "MatMul": 2, "InstanceNormalization": 3,
	"LayerNormalization": 2, "PRelu": 2, "Pow": 2, "Mod": 2, "Where": 3, "GatherElements": 2, "GatherND": 2, "ScatterElements": 3,
	"ScatterND": 3, "OneHot": 3, "ReverseSequence": 2, "Equal": 2, "BitwiseAnd": 2, "BitwiseOr": 2, "BitwiseXor": 2, "CumSum": 2,
	"RMSNormalization": 2, "Less": 2, "LessOrEqual": 2, "Greater": 2, "GreaterOrEqual": 2, "And": 2, "Or": 2, "Xor": 2}

// plain is the build function of operators whose canonical form has the same operands and attributes.
func plain(aliases map[string]string) func(c *call) error {
	return func(c *call) error { return c.plain(aliases, c.in) }
}

// plain emits the canonical operator of the node's own name.
func (c *call) plain(aliases map[string]string, in []*graph.Value) error {
	o := op.Lookup(c.proto.op)
	if o == nil {
		return errUnknown
	}
	if err := c.fill(o, aliases); err != nil {
		return err
	}
	c.emit(o, in, c.out...)
	return nil
}
