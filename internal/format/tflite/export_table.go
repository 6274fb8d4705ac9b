package tflite

import (
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
)

// writer writes one node.
type writer func(e *exporter, n *graph.Node) error

// writers is every operator that is written, by its type.
var writers map[string]writer = writerTable()

func writerTable() map[string]writer {
	rows := map[string]writer{
		"Conv": (*exporter).conv, "ConvTranspose": (*exporter).convTranspose, "Gemm": (*exporter).gemm, "MatMul": (*exporter).matMul,
		"SequenceLSTM": (*exporter).sequenceLSTM, "MaxPool": (*exporter).maxPool, "AveragePool": (*exporter).averagePool,
		"GlobalAveragePool": (*exporter).globalAveragePool, "GlobalMaxPool": (*exporter).globalMaxPool,
		"Softmax": (*exporter).softmax, "LogSoftmax": (*exporter).logSoftmax, "LRN": (*exporter).lrn,
		"BatchNormalization": (*exporter).batchNormalization, "InstanceNormalization": (*exporter).instanceNormalization,
		"LayerNormalization": (*exporter).layerNormalization,
		"Resize":             (*exporter).resize, "SpaceToDepth": (*exporter).spaceToDepth, "DepthToSpace": (*exporter).depthToSpace,
		"Quantize": (*exporter).quantize, "Requantize": (*exporter).quantize, "Dequantize": (*exporter).dequantize,
		"Cast": (*exporter).cast, "Add": (*exporter).addition, "Sub": (*exporter).difference, "Clip": (*exporter).clip, "LeakyRelu": (*exporter).leakyRelu,
		"HardSigmoid": (*exporter).hardSigmoid, "Swish": (*exporter).swish, "Elu": (*exporter).elu, "Gelu": (*exporter).gelu,
		"Reciprocal": (*exporter).reciprocal, "Softplus": (*exporter).softplus, "Not": plainly("LOGICAL_NOT", 63),
		"Sum": (*exporter).sum, "PRelu": plainly("PRELU", 0), "Where": plainly("SELECT_V2", 98), "ArgMax": (*exporter).argMax,

		"Reshape": (*exporter).view, "Flatten": (*exporter).view, "Squeeze": (*exporter).view, "Unsqueeze": (*exporter).view,
		"Identity": (*exporter).view, "Transpose": (*exporter).transpose, "Concat": (*exporter).concat, "Split": (*exporter).split,
		"Slice": (*exporter).slice, "Pad": (*exporter).pad, "Gather": (*exporter).gather, "Expand": (*exporter).expand, "Tile": (*exporter).tile,
	}
	for name, o := range map[string]struct {
		name string
		kind int
	}{
		"Mul": {"MUL", 21}, "Div": {"DIV", 29}, "Max": {"MAXIMUM", 39}, "Min": {"MINIMUM", 39},
		"Pow": {"POW", 56}, "Relu": {"RELU", 0}, "Sigmoid": {"LOGISTIC", 0}, "Tanh": {"TANH", 0}, "Exp": {"EXP", 33},
		"Log": {"LOG", 0}, "Sqrt": {"SQRT", 0}, "Abs": {"ABS", 78}, "Neg": {"NEG", 42}, "Sin": {"SIN", 0}, "Cos": {"COS", 84},
		"Floor": {"FLOOR", 0}, "Ceil": {"CEIL", 0}, "Round": {"ROUND", 0}, "HardSwish": {"HARD_SWISH", 91},
		"Equal": {"EQUAL", 53}, "Less": {"LESS", 41}, "LessOrEqual": {"LESS_EQUAL", 46}, "Greater": {"GREATER", 44},
		"GreaterOrEqual": {"GREATER_EQUAL", 45}, "And": {"LOGICAL_AND", 62}, "Or": {"LOGICAL_OR", 60},
	} {
		rows[name] = plainly(o.name, o.kind)
	}
	for name, o := range map[string]string{"ReduceMean": "MEAN", "ReduceSum": "SUM", "ReduceMax": "REDUCE_MAX",
		"ReduceMin": "REDUCE_MIN", "ReduceProd": "REDUCE_PROD"} {
		rows[name] = reducing(o)
	}
	return rows
}

// onCodes are the operators whose TFLite kernels compute on 8-bit codes as the integer nodes of the graph do.
var onCodes = map[string]bool{
	"Conv": true, "ConvTranspose": true, "Gemm": true, "MatMul": true, "Add": true, "Sub": true, "Mul": true,
	"AveragePool": true, "GlobalAveragePool": true, "MaxPool": true, "GlobalMaxPool": true, "Softmax": true,
	"Relu": true, "Clip": true, "LeakyRelu": true, "Sigmoid": true, "Tanh": true, "HardSwish": true,
	"Max": true, "Min": true, "ReduceMean": true, "ReduceMax": true, "ReduceMin": true, "Resize": true, "Requantize": true,
	"Reshape": true, "Flatten": true, "Squeeze": true, "Unsqueeze": true, "Identity": true, "Transpose": true,
	"SequenceLSTM": true, "Concat": true, "Split": true, "Slice": true, "Pad": true, "Gather": true, "SpaceToDepth": true, "DepthToSpace": true,
}

// onWideCodes are those that compute on 16-bit codes in a quantized model.
var onWideCodes = map[string]bool{
	"Conv": true, "ConvTranspose": true, "Gemm": true, "MatMul": true, "Add": true, "Sub": true, "Mul": true,
	"AveragePool": true, "GlobalAveragePool": true, "MaxPool": true, "GlobalMaxPool": true, "LeakyRelu": true,
	"Reshape": true, "Flatten": true, "Squeeze": true, "Unsqueeze": true, "Identity": true, "Transpose": true,
	"Concat": true, "Split": true, "Slice": true, "Pad": true,
}

// OnWideCodes is OnCodes for 16-bit activations.
func OnWideCodes(n *graph.Node) string {
	if !onWideCodes[n.Op.Type()] {
		return "TensorFlow Lite has no such kernel for 16-bit codes, or one that rounds in a way of its own"
	}
	return OnCodes(n)
}

// OnDynamicCodes is OnCodes for layers whose weights only are stored as codes: TFLite's hybrid kernels.
func OnDynamicCodes(n *graph.Node) string {
	const none = "TensorFlow Lite has no such kernel with 8-bit weights and floats"
	switch n.Op.(type) {
	case *op.Conv, *op.Gemm:
		return OnCodes(n)
	case *op.MatMul:
		if len(n.Inputs) > 0 && len(n.Inputs[0].Type.Shape) == 2 {
			return OnCodes(n)
		}
	}
	return none
}

// OnCodes says why a node of a float graph cannot be quantized for TFLite, where nodes on codes mean what TFLite's
// kernels do; "" if it can.
func OnCodes(n *graph.Node) string {
	const none = "TensorFlow Lite has no such kernel for codes"
	if !onCodes[n.Op.Type()] {
		return none
	}
	switch o := n.Op.(type) {
	case *op.MatMul:
		if len(n.Inputs) < 2 || n.Inputs[1].Const == nil || len(n.Inputs[1].Const.Shape()) != 2 {
			return none
		}
	case *op.Resize:
		if t := o.CoordinateTransformation; o.Mode == op.ResizeLinear && t != op.HalfPixel && t != op.Asymmetric && t != op.AlignCorners {
			return "TensorFlow Lite has no such positions"
		}
	case *op.Clip:
		low, high, ok := o.Bounds(n)
		if number, known := activation(&op.Clamp{Min: float32(low), Max: float32(high)}); !ok || !known || number == activationNone {
			return "TensorFlow Lite has no activation with these limits"
		}
	}
	return ""
}

// plainly writes an operator that has the same operands. Operands are as the graph has them.
func plainly(name string, kind int) writer {
	return func(e *exporter, n *graph.Node) error {
		e.emit(name, kind, nil, e.all(n.Inputs), e.all(n.Outputs)...)
		return nil
	}
}
