package compile

import (
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/kernel"
)

// lowering is one way in which nodes of an operator type become kernel calls.
type lowering struct {
	computes uint // set of graph.Compute, as bits
	// lower packs what is constant and returns how to plan the node; nil if this way does not suit it.
	lower func(b *builder, n *graph.Node) (prepared, error)
}

const (
	float       = 1 << graph.Float
	integer     = 1 << graph.Integer
	toFloat     = 1 << graph.IntegerToFloat
	weightOnly  = 1 << graph.WeightOnly
	activations = 1 << graph.DynamicActivations

	realProducts = float | weightOnly
	codeProducts = integer | toFloat | activations
)

// function is the row of a function of one operand.
var function = []lowering{{float, lowerFunction}, {integer, lowerTable}, {integer, lowerTableWide}}

// floatFunction is the row of one that has no integer form.
var floatFunction = function[:1]

// bodies is the row of an operator with bodies.
var bodies = []lowering{{float, lowerBodies}}

// lowerings is, for each operator type, the ways to lower it, the first that suits a node being taken. An operator
// without a row runs by its reference evaluation.
var lowerings = map[string][]lowering{
	// Products, pools, normalizations.
	"AveragePool":           {{float, lowerAveragePoolFloat}, {integer, lowerAveragePoolInteger}, {integer, lowerPoolWide}},
	"ConvTranspose":         {{realProducts, lowerConvTransposeFloat}, {codeProducts, lowerConvTransposeInteger}},
	"Resize":                {{float | integer, lowerResize}},
	"DepthToSpace":          {{float | integer, moving(depthToSpace)}},
	"SpaceToDepth":          {{float | integer, moving(spaceToDepth)}},
	"Conv":                  {{realProducts, lowerConvFloat}, {codeProducts, lowerConvInteger}},
	"Gemm":                  {{realProducts, lowerGemmFloat}, {codeProducts, lowerMatrixInteger}},
	"GlobalAveragePool":     {{float, lowerAveragePoolFloat}, {integer, lowerAveragePoolInteger}, {integer, lowerPoolWide}},
	"GlobalMaxPool":         {{float | integer, lowerMaxPool}, {integer, lowerPoolWide}},
	"InstanceNormalization": {{float, lowerInstanceNormalization}},
	"BatchNormalization":    {{float, lowerBatchNormalization}},
	"LayerNormalization":    {{float, lowerLayerNormalization}},
	"MatMul":                {{realProducts, lowerMatMulFloat}, {float, lowerStackFloat}, {codeProducts, lowerMatrixInteger}, {codeProducts, lowerStackInteger}},
	"MatMulInteger":         {{float, lowerMatMulInteger}},
	"MaxPool":               {{float | integer, lowerMaxPool}, {integer, lowerPoolWide}},

	// Functions of one operand.
	"Abs": function, "Ceil": function, "Clip": function, "Elu": function, "Erf": function, "Exp": function,
	"Floor": function, "Gelu": function, "HardSigmoid": function, "HardSwish": function, "LeakyRelu": function,
	"Log": function, "Mish": function, "Neg": function, "Reciprocal": function, "Relu": function, "Round": function,
	"Shrink": function, "Sigmoid": function, "Sign": function, "Softplus": function, "Softsign": function,
	"Sqrt": function, "Swish": function, "Tanh": function, "ThresholdedRelu": function,

	"Acos": floatFunction, "Acosh": floatFunction, "Asin": floatFunction, "Asinh": floatFunction, "Atan": floatFunction,
	"Atanh": floatFunction, "Cos": floatFunction, "Cosh": floatFunction, "Sin": floatFunction, "Sinh": floatFunction, "Tan": floatFunction,

	// Functions of several operands.
	"Add":   {{float, lowerBinary(kernel.Add)}, {integer, lowerBinaryInteger(kernel.Add)}, {integer, lowerBinaryWide(kernel.Add)}},
	"Sub":   {{float, lowerBinary(kernel.Sub)}, {integer, lowerBinaryInteger(kernel.Sub)}, {integer, lowerBinaryWide(kernel.Sub)}},
	"Mul":   {{float, lowerBinary(kernel.Mul)}, {integer, lowerBinaryInteger(kernel.Mul)}, {integer, lowerBinaryWide(kernel.Mul)}},
	"Div":   {{float, lowerBinary(kernel.Div)}, {integer, lowerBinaryThroughFloat(kernel.Div)}},
	"Pow":   {{float, lowerBinary(kernel.Pow)}},
	"PRelu": {{float, lowerBinary(kernel.PRelu)}, {integer, lowerBinaryThroughFloat(kernel.PRelu)}},
	"Max":   {{float, lowerBinary(kernel.Max)}, {integer, lowerBinaryThroughFloat(kernel.Max)}},
	"Min":   {{float, lowerBinary(kernel.Min)}, {integer, lowerBinaryThroughFloat(kernel.Min)}},
	"Sum":   {{float, lowerBinary(kernel.Add)}},

	// Comparisons, choices.
	"And":            {{float, lowerLogic(kernel.And)}},
	"ArgMax":         {{float, lowerArgMax}},
	"Equal":          {{float, lowerCompare(kernel.Equal)}},
	"Greater":        {{float, lowerCompare(kernel.Greater)}},
	"GreaterOrEqual": {{float, lowerCompare(kernel.GreaterOrEqual)}},
	"Less":           {{float, lowerCompare(kernel.Less)}},
	"LessOrEqual":    {{float, lowerCompare(kernel.LessOrEqual)}},
	"Not":            {{float, lowerNot}},
	"Or":             {{float, lowerLogic(kernel.Or)}},
	"Where":          {{float, lowerWhere}},
	"Xor":            {{float, lowerLogic(kernel.Xor)}},

	// Rows that add up to one, and reductions.
	"CumSum":          {{float, lowerCumSum}},
	"LogSoftmax":      {{float, lowerSoftmax}},
	"Softmax":         {{float, lowerSoftmax}, {integer, lowerSoftmaxInteger}, {integer, lowerSoftmaxWide}},
	"ReduceL1":        {{float, lowerReduce(kernel.ReduceL1)}},
	"ReduceL2":        {{float, lowerReduce(kernel.ReduceL2)}},
	"ReduceMax":       {{float, lowerReduce(kernel.ReduceMax)}, {integer, lowerReduceInteger(kernel.ReduceMax)}},
	"ReduceMean":      {{float, lowerReduce(kernel.ReduceMean)}, {integer, lowerReduceInteger(kernel.ReduceMean)}, {integer, lowerReduceWide(kernel.ReduceMean)}},
	"ReduceMin":       {{float, lowerReduce(kernel.ReduceMin)}, {integer, lowerReduceInteger(kernel.ReduceMin)}},
	"ReduceProd":      {{float, lowerReduce(kernel.ReduceProd)}},
	"ReduceSum":       {{float, lowerReduce(kernel.ReduceSum)}, {integer, lowerReduceInteger(kernel.ReduceSum)}, {integer, lowerReduceWide(kernel.ReduceSum)}},
	"ReduceSumSquare": {{float, lowerReduce(kernel.ReduceSumSquare)}},

	// Views and copies.
	"Concat":    {{float | integer, lowerConcat}},
	"Expand":    {{float | integer, moving(expand)}},
	"Flatten":   {{float | integer, lowerView}},
	"Gather":    {{float | integer, lowerGather}},
	"Identity":  {{float | integer, lowerView}},
	"Pad":       {{float | integer, moving(pad)}},
	"Reshape":   {{float | integer, lowerView}},
	"Slice":     {{float | integer, lowerSlice}},
	"Split":     {{float | integer, lowerSlice}},
	"Squeeze":   {{float | integer, lowerView}},
	"Tile":      {{float | integer, moving(tile)}},
	"Transpose": {{float | integer, lowerTranspose}},
	"Unsqueeze": {{float | integer, lowerView}},

	// Recurrent layers.
	"GRU":  {{float, lowerRecurrent}},
	"LSTM": {{float, lowerRecurrent}},
	"RNN":  {{float, lowerRecurrent}},

	// Bodies.
	"FlexAttention": bodies,
	"If":            bodies,
	"Loop":          bodies,
	"Scan":          bodies,

	// Changes of representation.
	"Cast":                  {{float, lowerCast}},
	"DynamicQuantizeLinear": {{float, lowerDynamicQuantize}},
	"Dequantize":            {{float, lowerDequantize}, {float, lowerDequantizeWide}},
	"FakeQuantize":          {{float, lowerFakeQuantize}},
	"Quantize":              {{float, lowerQuantize}, {float, lowerQuantizeWide}},
	"Requantize":            {{float | integer, lowerTable}, {float | integer, lowerTableWide}},
}
