package tensorflow

import (
	"slices"
	"strings"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// row says how one TensorFlow operator is read.
type row struct {
	inputs int // at least so many
	build  func(c *call) error
}

// table is every operator that is read. It is no variable because loops lead back to it.
func table() map[string]row {
	t := map[string]row{
		"Const":                            {0, constant},
		"Placeholder":                      {0, placeholder},
		"PlaceholderWithDefault":           {0, placeholder},
		"Conv2D":                           {2, convolution},
		"DepthwiseConv2dNative":            {2, depthwise},
		"Conv3D":                           {2, convolution},
		"Conv2DBackpropInput":              {3, transposedConvolution},
		"MatMul":                           {2, matMul},
		"BatchMatMul":                      {2, batchMatMul},
		"BatchMatMulV2":                    {2, batchMatMul},
		"BiasAdd":                          {2, biasAdd},
		"FusedBatchNorm":                   {5, fusedBatchNorm},
		"FusedBatchNormV2":                 {5, fusedBatchNorm},
		"FusedBatchNormV3":                 {5, fusedBatchNorm},
		"BatchNormWithGlobalNormalization": {5, globalBatchNorm},
		"MaxPool":                          {1, pool},
		"AvgPool":                          {1, pool},
		"MaxPool3D":                        {1, pool},
		"AvgPool3D":                        {1, pool},
		"LRN":                              {1, localResponse},
		"Relu6":                            {1, relu6},
		"LeakyRelu":                        {1, leakyRelu},
		"Elu":                              {1, elu},
		"Selu":                             {1, selu},
		"Softmax":                          {1, alongLast(func() graph.Operator { return &op.Softmax{Axis: -1} })},
		"LogSoftmax":                       {1, alongLast(func() graph.Operator { return &op.LogSoftmax{Axis: -1} })},
		"Rsqrt":                            {1, rsqrt},
		"Square":                           {1, square},
		"SquaredDifference":                {2, squaredDifference},
		"AddN":                             {1, addN},
		"FloorDiv":                         {2, floorDiv},
		"FloorMod":                         {2, floorMod},
		"NotEqual":                         {2, notEqual},
		"Cast":                             {1, cast},
		"Reshape":                          {2, reshape},
		"Squeeze":                          {1, squeeze},
		"ExpandDims":                       {2, expandDims},
		"Shape":                            {1, shape},
		"Rank":                             {1, rankOf},
		"Size":                             {1, size},
		"StridedSlice":                     {4, stridedSlice},
		"Slice":                            {3, slice},
		"Pack":                             {1, pack},
		"Unpack":                           {1, unpack},
		"ConcatV2":                         {2, concat},
		"Concat":                           {2, concatOld},
		"Split":                            {2, split2},
		"SplitV":                           {3, splitV},
		"Transpose":                        {2, transpose},
		"Pad":                              {2, pad},
		"PadV2":                            {3, pad},
		"MirrorPad":                        {2, mirrorPad},
		"Gather":                           {2, gather},
		"GatherV2":                         {2, gather},
		"Tile":                             {2, tile},
		"Fill":                             {2, fill},
		"Range":                            {3, plain("Range")},
		"ZerosLike":                        {1, filledLike(0)},
		"OnesLike":                         {1, filledLike(1)},
		"ArgMax":                           {2, argMax(false)},
		"ArgMin":                           {2, argMax(true)},
		"TopKV2":                           {2, topK},
		"Select":                           {3, plain("Where")},
		"SelectV2":                         {3, plain("Where")},
		"ResizeBilinear":                   {2, resize(op.ResizeLinear)},
		"ResizeNearestNeighbor":            {2, resize(op.ResizeNearest)},
		"SpaceToDepth":                     {1, spaceToDepth},
		"DepthToSpace":                     {1, depthToSpace},
		"SpaceToBatchND":                   {3, spaceToBatch},
		"BatchToSpaceND":                   {3, batchToSpace},

		"ReverseV2":       {2, reverse},
		"ReverseSequence": {2, reverseSequence},
		"GatherNd":        {2, gatherND},
		"BroadcastTo":     {2, broadcastTo},
		"OneHot":          {4, oneHot},
		"Cumsum":          {2, cumSum},
		"Einsum":          {1, einsum},
		"ClipByValue":     {3, clipByValue},
		"Log1p":           {1, log1p},
		"DivNoNan":        {2, divNoNan},
		"All":             {2, reduceBool("ReduceMin")},
		"Any":             {2, reduceBool("ReduceMax")},

		"LSTMBlockCell": {8, lstmBlockCell},
		"GRUBlockCell":  {6, gruBlockCell},

		"Switch": {2, turn},
		"Merge":  {1, merge},

		"TensorArrayV3":        {1, tensorArray},
		"TensorArrayScatterV3": {4, tensorArrayScatter},
		"TensorArrayReadV3":    {3, tensorArrayRead},
		"TensorArraySizeV3":    {2, tensorArraySize},
		"TensorArrayGatherV3":  {3, tensorArrayGather},

		"FakeQuantWithMinMaxVars":                   {3, fakeQuantVars},
		"FakeQuantWithMinMaxArgs":                   {1, fakeQuantArgs},
		"FakeQuantWithMinMaxVarsPerChannel":         {3, fakeQuantVars},
		"Dequantize":                                {3, dequantize},
		"QuantizeV2":                                {3, quantizeV2},
		"QuantizedConv2D":                           {6, quantizedConv},
		"QuantizedMatMul":                           {6, quantizedMatMul},
		"QuantizedBiasAdd":                          {6, quantizedBiasAdd},
		"QuantizedRelu":                             {3, quantizedUnary("Relu")},
		"QuantizedRelu6":                            {3, quantizedUnary("Relu6")},
		"QuantizedMaxPool":                          {3, quantizedPool},
		"QuantizedAvgPool":                          {3, quantizedPool},
		"QuantizedReshape":                          {4, quantizedReshape},
		"QuantizedConcat":                           {3, quantizedConcat},
		"Requantize":                                {5, requantize},
		"QuantizedDepthwiseConv2D":                  {6, quantizedDepthwise},
		"QuantizedAdd":                              {6, quantizedBinary("Add")},
		"QuantizedMul":                              {6, quantizedBinary("Mul")},
		"QuantizedResizeBilinear":                   {4, quantizedResize},
		"QuantizedBatchNormWithGlobalNormalization": {15, quantizedBatchNorm},
		"QuantizeDownAndShrinkRange":                {3, shrinkRange},
		"RequantizationRange":                       {3, requantizationRange},
	}
	for _, name := range []string{"Identity", "StopGradient", "CheckNumerics", "Snapshot", "PreventGradient", "EnsureShape"} {
		t[name] = row{1, func(c *call) error { return c.pass(c.in[0]) }}
	}
	for name, canonical := range map[string]string{"Relu": "Relu", "Sigmoid": "Sigmoid", "Tanh": "Tanh", "Softplus": "Softplus", "Softsign": "Softsign",
		"Exp": "Exp", "Log": "Log", "Sqrt": "Sqrt", "Neg": "Neg", "Abs": "Abs", "Sign": "Sign", "Ceil": "Ceil", "Floor": "Floor",
		"Round": "Round", "Rint": "Round", "Sin": "Sin", "Cos": "Cos", "Tan": "Tan", "Asin": "Asin", "Acos": "Acos",
		"Atan": "Atan", "Sinh": "Sinh", "Cosh": "Cosh", "Asinh": "Asinh", "Acosh": "Acosh", "Atanh": "Atanh", "IsNan": "IsNaN", "IsInf": "IsInf", "Erf": "Erf", "Reciprocal": "Reciprocal",
		"Inv": "Reciprocal", "LogicalNot": "Not"} {
		t[name] = row{1, plain(canonical)}
	}
	for name, canonical := range map[string]string{"Add": "Add", "AddV2": "Add", "Sub": "Sub", "Mul": "Mul", "RealDiv": "Div", "Div": "Div",
		"Maximum": "Max", "Minimum": "Min", "Pow": "Pow", "Less": "Less", "LessEqual": "LessOrEqual", "Greater": "Greater",
		"GreaterEqual": "GreaterOrEqual", "Equal": "Equal", "LogicalAnd": "And", "LogicalOr": "Or", "LogicalXor": "Xor"} {
		t[name] = row{2, plain(canonical)}
	}
	for name, canonical := range map[string]string{"Mean": "ReduceMean", "Sum": "ReduceSum", "Max": "ReduceMax", "Min": "ReduceMin",
		"Prod": "ReduceProd"} {
		t[name] = row{2, reduce(canonical)}
	}
	return t
}

// plain is an operator that means the same under another name.
func plain(name string) func(c *call) error {
	return func(c *call) error { return c.is(op.Lookup(name), c.in...) }
}

func alongLast(make func() graph.Operator) func(c *call) error {
	return func(c *call) error { return c.is(make(), c.in[0]) }
}

func constant(c *call) error {
	a := c.def.attributes["value"]
	if a == nil || a.tensor == nil {
		return errUnknown
	}
	if a.tensor.dtype == 7 { // strings: names of files and the like, beside the network
		return errUnknown
	}
	t, err := a.tensor.decode(c.im.options.Limits, &c.im.made.repeated)
	if err != nil {
		return err
	}
	v := &graph.Value{Name: c.im.fresh(c.def.name), Type: graph.TypeOf(t), Const: t}
	return c.pass(v)
}

// trainingFlags are parts of the names of placeholders by which networks are told whether they train.
var trainingFlags = []string{"learning_phase", "is_training", "is_train", "phase_train", "train_phase", "training"}

func placeholder(c *call) error {
	if c.dtype("dtype") == tensor.Bool && c.def.op == "Placeholder" &&
		slices.ContainsFunc(trainingFlags, func(part string) bool { return strings.Contains(strings.ToLower(c.def.name), part) }) {
		c.im.note("%s, which tells the network whether it trains, is false", c.def.name)
		return c.pass(c.constant("value", tensor.Of([]bool{false})))
	}
	if c.def.op == "PlaceholderWithDefault" && len(c.in) > 0 && c.in[0].Const != nil && c.in[0].Type.DType == tensor.Bool {
		return c.pass(c.in[0]) // whether the network trains: it does not
	}
	c.im.input(c.def, c.def.name)
	return nil
}
