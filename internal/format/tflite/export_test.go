package tflite

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/interp"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/testdata"
	"github.com/octet-nn/octet/tensor"
)

// small is a graph of one operator on seeded operands; the first is its input.
type small struct {
	name   string
	op     graph.Operator
	in     []int              // shape of the input
	others []*tensor.Tensor   // constant operands from the second on; nil where absent
	codes  *graph.Quant       // of the input, int8; nil for floats
	weight *graph.Quant       // of operand 1, if it is int8
	out    *graph.Quant       // of the result
	row    numeric.Arithmetic // of integer nodes; TFLite if not given
	wide   bool               // codes are int16
	hybrid bool               // floats are quantized as they come
}

func (s small) graph(t testing.TB) *graph.Graph {
	t.Helper()
	x := &graph.Value{Name: "x", Type: graph.Type{DType: tensor.Float32, Shape: graph.FixedShape(s.in...)}}
	y := &graph.Value{Name: "y"}
	n := &graph.Node{Name: "n", Op: s.op, Inputs: []*graph.Value{x}, Outputs: []*graph.Value{y}}
	for i, c := range s.others {
		var v *graph.Value
		if c != nil {
			v = &graph.Value{Name: fmt.Sprintf("c%d", i), Type: graph.TypeOf(c), Const: c}
			if c.DType() == tensor.Int8 || c.DType() == tensor.Int16 {
				v.Type.Quant = s.weight
			}
		}
		n.Inputs = append(n.Inputs, v)
	}
	if s.codes != nil {
		x.Type.DType, x.Type.Quant = tensor.Int8, s.codes
		y.Type.DType, y.Type.Quant = tensor.Int8, s.out
		n.Compute, n.Arithmetic = graph.Integer, s.row
		if s.row == numeric.None {
			n.Arithmetic = numeric.TFLite
		}
		if s.wide {
			x.Type.DType, y.Type.DType, n.Arithmetic = tensor.Int16, tensor.Int16, numeric.TFLite16x8
		}
	}
	if s.hybrid {
		n.Compute, n.Arithmetic = graph.DynamicActivations, numeric.TFLite
	}
	g := &graph.Graph{Name: s.name, Inputs: []*graph.Value{x}, Outputs: []*graph.Value{y}, Nodes: []*graph.Node{n}}
	if _, err := op.Infer(g); err != nil {
		t.Fatal(err)
	}
	if err := g.Check(); err != nil {
		t.Fatal(err)
	}
	return g
}

var random = func() *rand.Rand { return rand.New(rand.NewPCG(3, 4)) }

func floats(shape ...int) *tensor.Tensor {
	r := random()
	t := tensor.New(tensor.Float32, shape...)
	for i := range tensor.Values[float32](t) {
		tensor.Values[float32](t)[i] = float32(r.NormFloat64())
	}
	return t
}

func codes(shape ...int) *tensor.Tensor {
	r := random()
	t := tensor.New(tensor.Int8, shape...)
	for i := range t.Bytes() {
		t.Bytes()[i] = byte(r.IntN(255) - 127)
	}
	return t
}

func ints(values ...int64) *tensor.Tensor { return tensor.Of(values, len(values)) }

func scalar(v float32) *tensor.Tensor { return tensor.Of([]float32{v}) }

func perChannel(axis int, n int) *graph.Quant {
	q := &graph.Quant{Axis: axis, ZeroPoint: make([]int32, n)}
	for i := range n {
		q.Scale = append(q.Scale, 0.002*float32(1+i%5))
	}
	return q
}

var (
	inputCodes  = graph.PerTensor(0.05, -7)
	outputCodes = graph.PerTensor(0.11, 5)
	relu        = &op.Clamp{Min: 0, Max: float32(math.Inf(1))}
	odd         = &op.Clamp{Min: -0.5, Max: 2.5}
)

func smalls() []small {
	conv := func(c op.Conv) *op.Conv { return &c }
	var list []small
	add := func(s small) { list = append(list, s) }
	add(small{name: "conv, filter as ONNX has it", op: &op.Conv{Pads: []int{1, 1, 1, 1}}, in: []int{1, 3, 7, 5}, others: []*tensor.Tensor{floats(4, 3, 3, 3), floats(4)}})
	add(small{name: "conv, uneven pads", op: &op.Conv{Pads: []int{1, 0, 1, 0}, Strides: []int{2, 2}, Clamp: relu}, in: []int{1, 3, 8, 9}, others: []*tensor.Tensor{floats(4, 3, 3, 3)}})
	add(small{name: "conv, same", op: &op.Conv{Layout: op.NHWC, Filter: op.OHWI, AutoPad: op.SameUpper, Strides: []int{2, 1}, Clamp: odd}, in: []int{2, 9, 8, 3}, others: []*tensor.Tensor{floats(4, 3, 2, 3), floats(4)}})
	add(small{name: "conv, same lower", op: &op.Conv{AutoPad: op.SameLower, Strides: []int{2, 2}}, in: []int{1, 2, 8, 8}, others: []*tensor.Tensor{floats(3, 2, 3, 3)}})
	add(small{name: "conv, dilated", op: &op.Conv{Dilations: []int{2, 3}}, in: []int{1, 2, 9, 10}, others: []*tensor.Tensor{floats(3, 2, 3, 2)}})
	add(small{name: "conv, HWIO", op: &op.Conv{Layout: op.NHWC, Filter: op.HWIO, AutoPad: op.Valid}, in: []int{1, 6, 6, 2}, others: []*tensor.Tensor{floats(3, 3, 2, 5)}})
	add(small{name: "depthwise", op: &op.Conv{Group: 4, Pads: []int{1, 1, 1, 1}}, in: []int{1, 4, 6, 6}, others: []*tensor.Tensor{floats(8, 1, 3, 3), floats(8)}})
	add(small{name: "depthwise, 1HWC", op: &op.Conv{Group: 4, Layout: op.NHWC, Filter: op.OneHWC, AutoPad: op.SameUpper, Strides: []int{2, 2}}, in: []int{1, 6, 6, 4}, others: []*tensor.Tensor{floats(1, 3, 3, 8), floats(8)}})
	add(small{name: "transposed conv", op: &op.ConvTranspose{Strides: []int{2, 2}, Pads: []int{1, 1, 1, 1}, OutputPadding: []int{1, 1}, Clamp: relu}, in: []int{1, 3, 4, 5}, others: []*tensor.Tensor{floats(3, 2, 3, 3), floats(2)}})
	add(small{name: "transposed conv, whole", op: &op.ConvTranspose{Strides: []int{2, 2}}, in: []int{1, 3, 4, 5}, others: []*tensor.Tensor{floats(3, 2, 2, 2)}})
	for name, o := range map[string]op.ConvTranspose{"shape given": {Strides: []int{2, 2}, OutputShape: []int{8, 9}}, "same upper": {Strides: []int{2, 2}, AutoPad: op.SameUpper},
		"same lower": {Strides: []int{2, 2}, AutoPad: op.SameLower}, "uneven": {Strides: []int{2, 1}, Pads: []int{0, 1, 2, 0}}} {
		add(small{name: "transposed conv, " + name, op: &o, in: []int{1, 3, 4, 5}, others: []*tensor.Tensor{floats(3, 2, 3, 3), floats(2)}})
	}
	add(small{name: "gemm", op: &op.Gemm{Alpha: 1, Beta: 1}, in: []int{3, 5}, others: []*tensor.Tensor{floats(5, 4), floats(4)}})
	add(small{name: "gemm, transposed", op: &op.Gemm{Alpha: 1, Beta: 1, TransB: true, Clamp: relu}, in: []int{1, 5}, others: []*tensor.Tensor{floats(4, 5)}})
	add(small{name: "matmul of many rows", op: &op.MatMul{}, in: []int{2, 3, 5}, others: []*tensor.Tensor{floats(5, 4)}})
	add(small{name: "max pool", op: &op.MaxPool{KernelShape: []int{3, 3}, Strides: []int{2, 2}, Pads: []int{1, 1, 1, 1}}, in: []int{1, 3, 8, 8}})
	add(small{name: "max pool, ceil", op: &op.MaxPool{KernelShape: []int{3, 3}, Strides: []int{2, 2}, CeilMode: true}, in: []int{1, 3, 8, 8}})
	add(small{name: "average pool", op: &op.AveragePool{KernelShape: []int{2, 3}, Strides: []int{2, 1}}, in: []int{1, 3, 8, 8}})
	add(small{name: "average pool, same", op: &op.AveragePool{KernelShape: []int{3, 3}, AutoPad: op.SameUpper}, in: []int{1, 3, 8, 8}})
	add(small{name: "average pool counts pads", op: &op.AveragePool{KernelShape: []int{3, 3}, Pads: []int{1, 1, 1, 1}, Strides: []int{2, 2}, CountIncludePad: true}, in: []int{1, 3, 8, 8}})
	add(small{name: "global average", op: &op.GlobalAveragePool{}, in: []int{2, 3, 4, 5}})
	add(small{name: "global max", op: &op.GlobalMaxPool{}, in: []int{2, 3, 4, 5}})
	add(small{name: "softmax of channels", op: &op.Softmax{Axis: 1}, in: []int{2, 6, 3, 3}})
	add(small{name: "log softmax", op: &op.LogSoftmax{Axis: -1}, in: []int{2, 6}})
	add(small{name: "lrn", op: &op.LRN{Size: 3, Alpha: 0.01, Beta: 0.75, Bias: 1}, in: []int{1, 6, 3, 3}})
	add(small{name: "instance normalization", op: &op.InstanceNormalization{Epsilon: 1e-5}, in: []int{1, 3, 5, 5}, others: []*tensor.Tensor{floats(3), floats(3)}})
	add(small{name: "layer normalization", op: &op.LayerNormalization{Axis: -1, Epsilon: 1e-5}, in: []int{2, 3, 8}, others: []*tensor.Tensor{floats(8), floats(8)}})
	add(small{name: "layer normalization without bias", op: &op.LayerNormalization{Axis: 1, Epsilon: 1e-5}, in: []int{2, 3, 8}, others: []*tensor.Tensor{floats(3, 8)}})
	for _, mode := range []op.Resize{{Mode: op.ResizeLinear, CoordinateTransformation: op.HalfPixel}, {Mode: op.ResizeLinear, CoordinateTransformation: op.AlignCorners},
		{Mode: op.ResizeLinear, CoordinateTransformation: op.Asymmetric}, {Mode: op.ResizeNearest, CoordinateTransformation: op.Asymmetric, Nearest: op.RoundFloor},
		{Mode: op.ResizeNearest, CoordinateTransformation: op.HalfPixel, Nearest: op.RoundPreferCeil}} {
		add(small{name: fmt.Sprintf("resize %d %s", mode.Mode, mode.CoordinateTransformation), op: &mode, in: []int{1, 3, 4, 5}, others: []*tensor.Tensor{nil, nil, ints(1, 3, 8, 7)}})
	}
	add(small{name: "depth to space", op: &op.DepthToSpace{BlockSize: 2}, in: []int{1, 8, 3, 3}})
	add(small{name: "space to depth", op: &op.SpaceToDepth{BlockSize: 2}, in: []int{1, 2, 4, 6}})
	for _, name := range []string{"Relu", "Sigmoid", "Tanh", "Exp", "Abs", "Neg", "Sin", "Cos", "Floor", "Ceil", "Round", "HardSwish", "Reciprocal", "Softplus"} {
		add(small{name: name, op: op.NewFunction(name), in: []int{2, 7}})
	}
	add(small{name: "leaky relu", op: &op.LeakyRelu{Alpha: 0.1}, in: []int{2, 7}})
	add(small{name: "prelu", op: &op.PRelu{}, in: []int{1, 3, 4, 4}, others: []*tensor.Tensor{floats(3, 1, 1)}})
	add(small{name: "elu", op: &op.Elu{Alpha: 1, Gamma: 1, Scale: 1}, in: []int{2, 7}})
	add(small{name: "gelu", op: &op.Gelu{Tanh: true}, in: []int{2, 7}})
	add(small{name: "hard sigmoid", op: &op.HardSigmoid{Alpha: 0.2, Beta: 0.5}, in: []int{2, 7}})
	add(small{name: "swish", op: &op.Swish{Alpha: 1.5}, in: []int{2, 7}})
	add(small{name: "clip", op: &op.Clip{}, in: []int{2, 7}, others: []*tensor.Tensor{scalar(-0.3), scalar(0.4)}})
	add(small{name: "add to rows", op: &op.Add{Clamp: odd}, in: []int{2, 7}, others: []*tensor.Tensor{floats(7)}})
	add(small{name: "mul", op: &op.Mul{}, in: []int{2, 7}, others: []*tensor.Tensor{scalar(3)}})
	add(small{name: "transpose", op: &op.Transpose{Perm: []int{2, 0, 1}}, in: []int{2, 3, 4}})
	add(small{name: "transpose, reversed", op: &op.Transpose{}, in: []int{2, 3, 4}})
	add(small{name: "slice", op: &op.Slice{}, in: []int{5, 6}, others: []*tensor.Tensor{ints(4, 1), ints(math.MinInt64, 5), ints(0, 1), ints(-2, 2)}})
	add(small{name: "pad", op: &op.Pad{}, in: []int{2, 3}, others: []*tensor.Tensor{ints(0, 1, 2, 0), scalar(1.5)}})
	add(small{name: "pad, mirrored", op: &op.Pad{Mode: op.PadReflect}, in: []int{4, 3}, others: []*tensor.Tensor{ints(1, 2, 2, 1)}})
	add(small{name: "gather", op: &op.Gather{Axis: 1}, in: []int{2, 5}, others: []*tensor.Tensor{ints(4, 0, 2)}})
	add(small{name: "flatten", op: &op.Flatten{Axis: 2}, in: []int{2, 3, 4}})
	mean := op.NewReduce("ReduceMean")
	mean.KeepDims = false
	add(small{name: "mean", op: mean, in: []int{2, 3, 4}, others: []*tensor.Tensor{ints(-1, 0)}})

	// On activations that are quantized as they come.
	add(small{name: "hybrid conv", op: &op.Conv{Layout: op.NHWC, Filter: op.OHWI}, in: []int{2, 6, 6, 3}, others: []*tensor.Tensor{codes(4, 3, 3, 3), floats(4)}, weight: graph.PerTensor(0.01, 0), hybrid: true})
	add(small{name: "hybrid conv per channel", op: &op.Conv{Layout: op.NHWC, Filter: op.OHWI, Clamp: relu}, in: []int{2, 6, 6, 3}, others: []*tensor.Tensor{codes(4, 3, 3, 3), floats(4)}, weight: perChannel(0, 4), hybrid: true})
	add(small{name: "hybrid depthwise", op: &op.Conv{Group: 4, Layout: op.NHWC, Filter: op.OneHWC}, in: []int{1, 6, 6, 4}, others: []*tensor.Tensor{codes(1, 3, 3, 4), floats(4)}, weight: perChannel(3, 4), hybrid: true})
	add(small{name: "hybrid gemm", op: &op.Gemm{Alpha: 1, Beta: 1, TransB: true}, in: []int{3, 20}, others: []*tensor.Tensor{codes(7, 20), floats(7)}, weight: graph.PerTensor(0.01, 0), hybrid: true})
	add(small{name: "hybrid gemm per channel", op: &op.Gemm{Alpha: 1, Beta: 1, TransB: true}, in: []int{3, 20}, others: []*tensor.Tensor{codes(7, 20), floats(7)}, weight: perChannel(0, 7), hybrid: true})

	// On codes.
	add(small{name: "integer conv", op: conv(op.Conv{Pads: []int{1, 1, 1, 1}, Clamp: relu}), in: []int{1, 3, 7, 5}, others: []*tensor.Tensor{codes(4, 3, 3, 3), tensor.Of([]int32{100, -200, 3000, 0}, 4)},
		codes: inputCodes, weight: perChannel(0, 4), out: outputCodes})
	add(small{name: "integer conv, uneven pads, odd clamp", op: conv(op.Conv{Pads: []int{0, 1, 1, 0}, Strides: []int{2, 2}, Clamp: odd}), in: []int{1, 3, 8, 8}, others: []*tensor.Tensor{codes(4, 3, 3, 3)},
		codes: inputCodes, weight: perChannel(0, 4), out: outputCodes})
	add(small{name: "integer depthwise", op: conv(op.Conv{Group: 8, Pads: []int{1, 1, 1, 1}}), in: []int{1, 8, 7, 5}, others: []*tensor.Tensor{codes(8, 1, 3, 3)},
		codes: inputCodes, weight: perChannel(0, 8), out: outputCodes})
	add(small{name: "integer transposed conv", op: &op.ConvTranspose{Strides: []int{2, 2}, Layout: op.NHWC, Filter: op.OHWI}, in: []int{1, 8, 8, 16}, others: []*tensor.Tensor{codes(6, 2, 2, 16)},
		codes: inputCodes, weight: perChannel(0, 6), out: graph.PerTensor(0.4, 5)})
	add(small{name: "integer gemm", op: &op.Gemm{Alpha: 1, Beta: 1}, in: []int{3, 40}, others: []*tensor.Tensor{codes(40, 9), tensor.Of(make([]int32, 9), 9)},
		codes: inputCodes, weight: graph.PerTensor(0.004, 0), out: outputCodes})
	add(small{name: "integer add", op: &op.Add{}, in: []int{5, 40}, others: []*tensor.Tensor{codes(40)}, codes: inputCodes, weight: graph.PerTensor(0.03, 0), out: outputCodes})
	add(small{name: "integer mul", op: &op.Mul{}, in: []int{5, 40}, others: []*tensor.Tensor{codes(40)}, codes: inputCodes, weight: graph.PerTensor(0.03, 0), out: outputCodes})
	add(small{name: "integer sub", op: &op.Sub{}, in: []int{5, 40}, others: []*tensor.Tensor{codes(40)}, codes: inputCodes, weight: graph.PerTensor(0.03, 0), out: outputCodes})
	add(small{name: "integer average pool", op: &op.AveragePool{KernelShape: []int{3, 3}, AutoPad: op.SameUpper}, in: []int{1, 8, 8, 8}, codes: inputCodes, out: inputCodes})
	add(small{name: "integer global average", op: &op.GlobalAveragePool{}, in: []int{1, 8, 7, 7}, codes: inputCodes, out: inputCodes})
	add(small{name: "integer max pool", op: &op.MaxPool{KernelShape: []int{3, 3}, Strides: []int{2, 2}, Pads: []int{1, 1, 1, 1}}, in: []int{1, 3, 8, 8}, codes: inputCodes, out: inputCodes})
	add(small{name: "integer mean", op: mean, in: []int{2, 13, 40}, others: []*tensor.Tensor{ints(1)}, codes: inputCodes, out: outputCodes})
	add(small{name: "integer softmax", op: &op.Softmax{Axis: -1}, in: []int{20, 13}, codes: inputCodes, out: graph.PerTensor(1.0/256, -128)})
	add(small{name: "integer sigmoid", op: op.NewFunction("Sigmoid"), in: []int{256}, codes: inputCodes, out: graph.PerTensor(1.0/256, -128)})
	add(small{name: "integer tanh", op: op.NewFunction("Tanh"), in: []int{256}, codes: inputCodes, out: graph.PerTensor(1.0/128, 0)})
	add(small{name: "integer relu", op: op.NewFunction("Relu"), in: []int{256}, codes: inputCodes, out: outputCodes})
	add(small{name: "integer hard swish", op: op.NewFunction("HardSwish"), in: []int{256}, codes: inputCodes, out: outputCodes})
	add(small{name: "integer leaky relu", op: &op.LeakyRelu{Alpha: 0.1}, in: []int{256}, codes: inputCodes, out: outputCodes})
	add(small{name: "integer clip", op: &op.Clip{}, in: []int{256}, others: []*tensor.Tensor{scalar(-1), scalar(2)}, codes: inputCodes, out: inputCodes})
	add(small{name: "requantize", op: &op.Requantize{}, in: []int{256}, codes: inputCodes, out: outputCodes})
	for _, t := range []op.CoordinateTransform{op.HalfPixel, op.Asymmetric, op.AlignCorners} {
		add(small{name: "integer resize " + t.String(), op: &op.Resize{Mode: op.ResizeLinear, CoordinateTransformation: t}, in: []int{1, 3, 4, 5}, others: []*tensor.Tensor{nil, nil, ints(1, 3, 8, 7)}, codes: inputCodes, out: inputCodes})
		add(small{name: "integer resize up " + t.String(), op: &op.Resize{Mode: op.ResizeLinear, CoordinateTransformation: t}, in: []int{1, 3, 4, 6}, others: []*tensor.Tensor{nil, nil, ints(1, 3, 8, 12)}, codes: inputCodes, out: inputCodes})
		add(small{name: "integer resize down " + t.String(), op: &op.Resize{Mode: op.ResizeLinear, CoordinateTransformation: t}, in: []int{1, 3, 13, 9}, others: []*tensor.Tensor{nil, nil, ints(1, 3, 4, 5)}, codes: inputCodes, out: inputCodes})
	}
	add(small{name: "integer resize nearest", op: &op.Resize{Mode: op.ResizeNearest, CoordinateTransformation: op.HalfPixel, Nearest: op.RoundPreferCeil}, in: []int{1, 3, 4, 5}, others: []*tensor.Tensor{nil, nil, ints(1, 3, 8, 7)}, codes: inputCodes, out: inputCodes})
	add(small{name: "integer pad", op: &op.Pad{}, in: []int{2, 3}, others: []*tensor.Tensor{ints(0, 1, 2, 0)}, codes: inputCodes, out: inputCodes})
	add(small{name: "integer transpose", op: &op.Transpose{Perm: []int{1, 0}}, in: []int{20, 30}, codes: inputCodes, out: inputCodes})
	return list
}

// input is what a small graph is run on.
func (s small) input() *tensor.Tensor {
	if s.codes == nil {
		return floats(s.in...)
	}
	x := codes(s.in...)
	if s.wide {
		x = tensor.New(tensor.Int16, s.in...)
		r := random()
		for i := range x.Bytes() {
			x.Bytes()[i] = byte(r.Uint32())
		}
		return x
	}
	if x.Len() == 256 { // of functions: every code
		for i := range x.Bytes() {
			x.Bytes()[i] = byte(i)
		}
	}
	return x
}

func evaluate(t *testing.T, g *graph.Graph, x *tensor.Tensor) *tensor.Tensor {
	t.Helper()
	runner, err := interp.Executor{}.Prepare(g, nil)
	if err != nil {
		t.Fatal(err)
	}
	out, err := runner.Run(context.Background(), map[string]*tensor.Tensor{g.Inputs[0].Name: x})
	if err != nil {
		t.Fatal(err)
	}
	return out[g.Outputs[0].Name]
}

func compare(t *testing.T, who string, got, want *tensor.Tensor) {
	t.Helper()
	if got.String() != want.String() {
		t.Fatalf("%s gives %s, want %s", who, got, want)
	}
	if want.DType() != tensor.Float32 {
		for i, b := range want.Bytes() {
			if got.Bytes()[i] != b {
				t.Fatalf("%s: element %d is %d, want %d", who, i, int8(got.Bytes()[i]), int8(b))
			}
		}
		return
	}
	for i, w := range tensor.Values[float32](want) {
		if d := math.Abs(float64(tensor.Values[float32](got)[i] - w)); !(d <= 2e-5*(1+math.Abs(float64(w)))) {
			t.Fatalf("%s: element %d is %v, want %v", who, i, tensor.Values[float32](got)[i], w)
		}
	}
}

// What is written is read again as something that answers the same.
func TestWrittenOperators(t *testing.T) {
	for _, s := range smalls() {
		t.Run(s.name, func(t *testing.T) {
			g := s.graph(t)
			want := evaluate(t, g, s.input())
			var file bytes.Buffer
			if err := Write(&file, g); err != nil {
				t.Fatal(err)
			}
			back, err := Read(file.Bytes(), Options{})
			if err != nil {
				t.Fatal(err)
			}
			compare(t, "what was written", evaluate(t, back, s.input()), want)
			var again bytes.Buffer
			if err := Write(&again, g); err != nil || !bytes.Equal(again.Bytes(), file.Bytes()) {
				t.Errorf("a second file differs: %v", err)
			}
		})
	}
}

// An exact Gelu is the operator of its own, which the stock version here is too old for.
func TestExactGelu(t *testing.T) {
	s := small{name: "gelu", op: &op.Gelu{}, in: []int{2, 7}}
	var file bytes.Buffer
	if err := Write(&file, s.graph(t)); err != nil {
		t.Fatal(err)
	}
	back, err := Read(file.Bytes(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if o, ok := back.Nodes[0].Op.(*op.Gelu); !ok || o.Tanh {
		t.Errorf("it came back as %s", back.Text())
	}
	compare(t, "what was written", evaluate(t, back, s.input()), evaluate(t, s.graph(t), s.input()))
}

// Stock TensorFlow Lite runs what is written and answers the same, codes to the byte.
func TestWrittenOperatorsInTFLite(t *testing.T) {
	stock := testdata.OpenTFLite(t)
	for _, s := range smalls() {
		t.Run(s.name, func(t *testing.T) {
			g := s.graph(t)
			want := evaluate(t, g, s.input())
			path := filepath.Join(t.TempDir(), "m.tflite")
			var file bytes.Buffer
			if err := Write(&file, g); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			b := stock.Run(t, path, []*tensor.Tensor{s.input()}, 1)[0]
			got, err := tensor.FromBytes(want.DType(), want.Shape(), b)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, "TensorFlow Lite", got, want)
		})
	}
}

func TestWhatCannotBeWritten(t *testing.T) {
	for _, tc := range []struct {
		s    small
		want string
	}{
		{small{name: "erf", op: op.NewFunction("Erf"), in: []int{3}}, `Erf "n"`},
		{small{name: "pool of another scale", op: &op.AveragePool{KernelShape: []int{2, 2}}, in: []int{1, 3, 4, 4}, codes: inputCodes, out: outputCodes}, "another scale"},
	} {
		err := Write(&bytes.Buffer{}, tc.s.graph(t))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want an error about %s", tc.s.name, err, tc.want)
		}
	}
}
