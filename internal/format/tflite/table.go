package tflite

import (
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
)

type key struct {
	custom bool
	name   string
}

// row says how one operator is read.
type row struct {
	inputs int // how many leading operands are required
	build  func(c *call) error
}

// operators is every operator that is read.
var operators = operatorTable()

func operatorTable() map[key]row {
	rows := map[key]row{
		{false, "CONV_2D"}:                      {2, conv2D},
		{false, "DEPTHWISE_CONV_2D"}:            {2, depthwiseConv2D},
		{false, "CONV_3D"}:                      {2, conv3D},
		{false, "TRANSPOSE_CONV"}:               {3, transposeConv},
		{true, "Convolution2DTransposeBias"}:    {3, transposeConvBias},
		{false, "FULLY_CONNECTED"}:              {2, fullyConnected},
		{false, "BATCH_MATMUL"}:                 {2, batchMatMul},
		{false, "AVERAGE_POOL_2D"}:              {1, averagePool},
		{false, "MAX_POOL_2D"}:                  {1, maxPool},
		{false, "L2_POOL_2D"}:                   {1, l2Pool},
		{false, "SOFTMAX"}:                      {1, softmax},
		{false, "LOG_SOFTMAX"}:                  {1, operator(func() graph.Operator { return &op.LogSoftmax{Axis: -1} })},
		{false, "L2_NORMALIZATION"}:             {1, l2Normalization},
		{false, "LOCAL_RESPONSE_NORMALIZATION"}: {1, localResponseNormalization},
		{false, "RESIZE_BILINEAR"}:              {2, resize(op.ResizeLinear)},
		{false, "RESIZE_NEAREST_NEIGHBOR"}:      {2, resize(op.ResizeNearest)},
		{false, "SPACE_TO_DEPTH"}: {1, depthMove(func(block int) graph.Operator {
			return &op.SpaceToDepth{BlockSize: block, Layout: op.NHWC}
		})},
		{false, "DEPTH_TO_SPACE"}: {1, depthMove(func(block int) graph.Operator {
			return &op.DepthToSpace{BlockSize: block, Layout: op.NHWC}
		})},
		{false, "UNIDIRECTIONAL_SEQUENCE_LSTM"}: {9, sequenceLSTM},
		{false, "VAR_HANDLE"}:                   {0, varHandle},
		{false, "READ_VARIABLE"}:                {1, readVariable},
		{false, "ASSIGN_VARIABLE"}:              {2, assignVariable},
		{false, "CALL_ONCE"}:                    {0, callOnce},
		{false, "FAKE_QUANT"}:                   {1, fakeQuant},
		{false, "QUANTIZE"}:                     {1, quantize},
		{false, "DEQUANTIZE"}:                   {1, dequantize},
		{false, "CAST"}:                         {1, cast},

		{false, "ADD"}:                {2, add},
		{false, "SUB"}:                {2, arithmeticOf(func() graph.Operator { return &op.Sub{} })},
		{false, "MUL"}:                {2, arithmeticOf(func() graph.Operator { return &op.Mul{} })},
		{false, "DIV"}:                {2, arithmeticOf(func() graph.Operator { return &op.Div{} })},
		{false, "ADD_N"}:              {1, operator(func() graph.Operator { return &op.Sum{} })},
		{false, "MAXIMUM"}:            {2, operator(func() graph.Operator { return &op.Max{} })},
		{false, "MINIMUM"}:            {2, operator(func() graph.Operator { return &op.Min{} })},
		{false, "POW"}:                {2, operator(func() graph.Operator { return &op.Pow{} })},
		{false, "FLOOR_DIV"}:          {2, floorDiv},
		{false, "FLOOR_MOD"}:          {2, operator(func() graph.Operator { return &op.Mod{} })},
		{false, "SQUARED_DIFFERENCE"}: {2, squaredDifference},
		{false, "SQUARE"}:             {1, square},
		{false, "RSQRT"}:              {1, rsqrt},
		{false, "RELU"}:               {1, function("Relu")},
		{false, "RELU6"}:              {1, limited(activationRelu6)},
		{false, "RELU_N1_TO_1"}:       {1, limited(activationReluN1To1)},
		{false, "RELU_0_TO_1"}:        {1, relu0To1},
		{false, "LEAKY_RELU"}:         {1, leakyRelu},
		{false, "PRELU"}:              {2, prelu},
		{false, "GELU"}:               {1, gelu},
		{false, "ELU"}:                {1, operator(func() graph.Operator { return &op.Elu{Alpha: 1, Gamma: 1, Scale: 1} })},
		{false, "EQUAL"}:              {2, comparison("Equal")},
		{false, "NOT_EQUAL"}:          {2, notEqual},
		{false, "LESS"}:               {2, comparison("Less")},
		{false, "LESS_EQUAL"}:         {2, comparison("LessOrEqual")},
		{false, "GREATER"}:            {2, comparison("Greater")},
		{false, "GREATER_EQUAL"}:      {2, comparison("GreaterOrEqual")},
		{false, "LOGICAL_AND"}:        {2, comparison("And")},
		{false, "LOGICAL_OR"}:         {2, comparison("Or")},
		{false, "LOGICAL_NOT"}:        {1, operator(func() graph.Operator { return &op.Not{} })},
		{false, "SELECT"}:             {3, selection},
		{false, "SELECT_V2"}:          {3, selection},
		{false, "ARG_MAX"}:            {2, position(false)},
		{false, "ARG_MIN"}:            {2, position(true)},
		{false, "TOPK_V2"}:            {2, topK},
		{false, "CUMSUM"}:             {2, cumSum},
		{false, "ONE_HOT"}:            {4, oneHot},
		{false, "MEAN"}:               {2, reduction("ReduceMean")},
		{false, "SUM"}:                {2, reduction("ReduceSum")},
		{false, "REDUCE_MAX"}:         {2, reduction("ReduceMax")},
		{false, "REDUCE_MIN"}:         {2, reduction("ReduceMin")},
		{false, "REDUCE_PROD"}:        {2, reduction("ReduceProd")},
		{false, "REDUCE_ALL"}:         {2, reduceBool("ReduceMin")},
		{false, "REDUCE_ANY"}:         {2, reduceBool("ReduceMax")},

		{false, "RESHAPE"}:           {1, reshape},
		{false, "SQUEEZE"}:           {1, squeeze},
		{false, "EXPAND_DIMS"}:       {2, expandDims},
		{false, "TRANSPOSE"}:         {2, transpose},
		{false, "CONCATENATION"}:     {1, concatenation},
		{false, "PAD"}:               {2, pad(op.PadConstant)},
		{false, "PADV2"}:             {2, pad(op.PadConstant)},
		{false, "MIRROR_PAD"}:        {2, pad(op.PadReflect)},
		{false, "SLICE"}:             {3, slice},
		{false, "STRIDED_SLICE"}:     {4, stridedSlice},
		{false, "REVERSE_V2"}:        {2, reverse},
		{false, "REVERSE_SEQUENCE"}:  {2, reverseSequence},
		{false, "SPLIT"}:             {2, split},
		{false, "SPLIT_V"}:           {3, splitV},
		{false, "PACK"}:              {1, pack},
		{false, "UNPACK"}:            {1, unpack},
		{false, "GATHER"}:            {2, gather},
		{false, "GATHER_ND"}:         {2, gatherND},
		{false, "SCATTER_ND"}:        {3, scatter},
		{false, "EMBEDDING_LOOKUP"}:  {2, embeddingLookup},
		{false, "SHAPE"}:             {1, shape},
		{false, "RANK"}:              {1, rank},
		{false, "ZEROS_LIKE"}:        {1, zerosLike},
		{false, "FILL"}:              {2, fill},
		{false, "RANGE"}:             {3, operator(func() graph.Operator { return &op.Range{} })},
		{false, "BROADCAST_TO"}:      {2, sized(func() graph.Operator { return &op.Expand{} })},
		{false, "TILE"}:              {2, sized(func() graph.Operator { return &op.Tile{} })},
		{false, "WHERE"}:             {1, where},
		{false, "SPACE_TO_BATCH_ND"}: {3, spaceToBatch},
		{false, "BATCH_TO_SPACE_ND"}: {3, batchToSpace},
	}
	for name, canonical := range map[string]string{"LOGISTIC": "Sigmoid", "TANH": "Tanh", "ABS": "Abs", "NEG": "Neg", "EXP": "Exp",
		"LOG": "Log", "SQRT": "Sqrt", "SIN": "Sin", "COS": "Cos", "CEIL": "Ceil", "FLOOR": "Floor", "ROUND": "Round",
		"SIGN": "Sign", "HARD_SWISH": "HardSwish"} {
		rows[key{false, name}] = row{1, function(canonical)}
	}
	return rows
}
