package tflite

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// background is for evaluating constants, which takes no time worth cancelling.
var background = context.Background()

// real is a temporary f32 tensor of the shape of the node's result.
func (e *exporter) real(suffix string, n *graph.Node) int {
	return e.temporary(suffix, graph.Type{DType: tensor.Float32}, sizes(n.Outputs[0]))
}

func (e *exporter) addition(n *graph.Node) error {
	o := n.Op.(*op.Add)
	e.clamped(n, o.Clamp, func(activation int8, out int) {
		e.emit("ADD", 11, []option{{0, activation}, {1, false}}, e.all(n.Inputs), out)
	})
	return nil
}

// difference is written like a sum: of 16-bit codes whose scales are no powers of two.
func (e *exporter) difference(n *graph.Node) error {
	e.emit("SUB", 28, []option{{0, int8(activationNone)}, {1, false}}, e.all(n.Inputs), e.all(n.Outputs)...)
	return nil
}

func (e *exporter) sum(n *graph.Node) error {
	if len(n.Inputs) == 1 {
		return e.view(n)
	}
	sum := e.number(n.Inputs[0])
	for i, v := range n.Inputs[1:] {
		out := e.number(n.Outputs[0])
		if i < len(n.Inputs)-2 {
			out = e.temporary("sum", n.Outputs[0].Type, sizes(n.Outputs[0]))
		}
		e.emit("ADD", 11, []option{{0, int8(activationNone)}}, []int{sum, e.number(v)}, out)
		sum = out
	}
	return nil
}

func (e *exporter) clip(n *graph.Node) error {
	low, high := float32(math.Inf(-1)), float32(math.Inf(1))
	for i, bound := range []*float32{&low, &high} {
		v := n.Input(1 + i)
		if v == nil {
			continue
		}
		if v.Const == nil || v.Const.Len() != 1 || !v.Const.DType().IsFloat() {
			return fmt.Errorf("its bounds are computed or no floats")
		}
		*bound = op.Float32s(v.Const)[0]
	}
	number, ok := activation(&op.Clamp{Min: low, Max: high})
	if ok && number != activationNone {
		e.emit(map[int8]string{activationRelu: "RELU", activationRelu6: "RELU6", activationReluN1To1: "RELU_N1_TO_1"}[number], 0, nil,
			e.all(n.Inputs[:1]), e.all(n.Outputs)...)
		return nil
	}
	if n.Compute == graph.Integer && !n.Inputs[0].Type.Quant.Equal(n.Outputs[0].Type.Quant) {
		return fmt.Errorf("it limits codes to an interval that TensorFlow Lite has no activation for")
	}
	e.limit(e.number(n.Inputs[0]), low, high, n.Outputs[0].Type, n.Outputs[0])
	return nil
}

func (e *exporter) leakyRelu(n *graph.Node) error {
	e.emit("LEAKY_RELU", 75, []option{{0, n.Op.(*op.LeakyRelu).Alpha}}, e.all(n.Inputs), e.all(n.Outputs)...)
	return nil
}

// hardSigmoid is clamp(Alpha·x + Beta, 0, 1).
func (e *exporter) hardSigmoid(n *graph.Node) error {
	o := n.Op.(*op.HardSigmoid)
	scaled, shifted := e.real("scaled", n), e.real("shifted", n)
	e.emit("MUL", 21, nil, []int{e.number(n.Inputs[0]), e.scalar("alpha", o.Alpha)}, scaled)
	e.emit("ADD", 11, nil, []int{scaled, e.scalar("beta", o.Beta)}, shifted)
	e.limit(shifted, 0, 1, n.Outputs[0].Type, n.Outputs[0])
	return nil
}

// swish is x·sigmoid(Alpha·x).
func (e *exporter) swish(n *graph.Node) error {
	x := e.number(n.Inputs[0])
	inner := x
	if alpha := n.Op.(*op.Swish).Alpha; alpha != 1 {
		inner = e.real("scaled", n)
		e.emit("MUL", 21, nil, []int{x, e.scalar("alpha", alpha)}, inner)
	}
	gate := e.real("gate", n)
	e.emit("LOGISTIC", 0, nil, []int{inner}, gate)
	e.emit("MUL", 21, nil, []int{x, gate}, e.number(n.Outputs[0]))
	return nil
}

func (e *exporter) elu(n *graph.Node) error {
	if o := n.Op.(*op.Elu); o.Alpha != 1 || o.Gamma != 1 || o.Scale != 1 {
		return fmt.Errorf("TensorFlow Lite has Elu with factors of 1 only")
	}
	e.emit("ELU", 0, nil, e.all(n.Inputs), e.all(n.Outputs)...)
	return nil
}

// gelu in its tanh form is x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³))). The exact form needs an error function, which only
// the operator of its own has, that TensorFlow Lite 2.11 brought.
func (e *exporter) gelu(n *graph.Node) error {
	if !n.Op.(*op.Gelu).Tanh {
		e.emit("GELU", 116, []option{{0, false}}, []int{e.number(n.Inputs[0])}, e.number(n.Outputs[0]))
		return nil
	}
	x := e.number(n.Inputs[0])
	square, cube, small, inner, scaled := e.real("square", n), e.real("cube", n), e.real("small", n), e.real("inner", n), e.real("scaled", n)
	curve, gate, half := e.real("curve", n), e.real("gate", n), e.real("half", n)
	e.emit("MUL", 21, nil, []int{x, x}, square)
	e.emit("MUL", 21, nil, []int{square, x}, cube)
	e.emit("MUL", 21, nil, []int{cube, e.scalar("cubic", 0.044715)}, small)
	e.emit("ADD", 11, nil, []int{x, small}, inner)
	e.emit("MUL", 21, nil, []int{inner, e.scalar("slope", float32(math.Sqrt(2/math.Pi)))}, scaled)
	e.emit("TANH", 0, nil, []int{scaled}, curve)
	e.emit("ADD", 11, nil, []int{curve, e.scalar("one", 1)}, gate)
	e.emit("MUL", 21, nil, []int{x, e.scalar("half", 0.5)}, half)
	e.emit("MUL", 21, nil, []int{half, gate}, e.number(n.Outputs[0]))
	return nil
}

func (e *exporter) reciprocal(n *graph.Node) error {
	e.emit("DIV", 29, nil, []int{e.scalar("one", 1), e.number(n.Inputs[0])}, e.number(n.Outputs[0]))
	return nil
}

// softplus is log(1 + exp(x)) = max(x, 0) + log(1 + exp(−|x|)), which does not overflow.
func (e *exporter) softplus(n *graph.Node) error {
	x := e.number(n.Inputs[0])
	size, negative, power, one, tail, positive := e.real("size", n), e.real("negative", n), e.real("power", n), e.real("one", n), e.real("tail", n), e.real("positive", n)
	e.emit("ABS", 78, nil, []int{x}, size)
	e.emit("NEG", 42, nil, []int{size}, negative)
	e.emit("EXP", 33, nil, []int{negative}, power)
	e.emit("ADD", 11, nil, []int{power, e.scalar("one", 1)}, one)
	e.emit("LOG", 0, nil, []int{one}, tail)
	e.emit("RELU", 0, nil, []int{x}, positive)
	e.emit("ADD", 11, nil, []int{positive, tail}, e.number(n.Outputs[0]))
	return nil
}

// alongLast writes an operator that works along the last axis, between transpositions if the axis is another.
func (e *exporter) alongLast(n *graph.Node, axis int, write func(x, y int)) {
	shape := sizes(n.Inputs[0])
	rank := len(shape)
	if axis < 0 {
		axis += rank
	}
	if axis == rank-1 {
		write(e.number(n.Inputs[0]), e.number(n.Outputs[0]))
		return
	}
	perm := make([]int, rank)
	turned := slices.Clone(shape)
	for i := range perm {
		perm[i] = i
	}
	perm[axis], perm[rank-1] = rank-1, axis
	turned[axis], turned[rank-1] = shape[rank-1], shape[axis]
	x, y := e.temporary("turned", n.Inputs[0].Type, turned), e.temporary("result", n.Outputs[0].Type, turned)
	e.emit("TRANSPOSE", 26, nil, []int{e.number(n.Inputs[0]), e.list("order", perm...)}, x)
	write(x, y)
	e.emit("TRANSPOSE", 26, nil, []int{y, e.list("order_back", perm...)}, e.number(n.Outputs[0]))
}

func (e *exporter) softmax(n *graph.Node) error {
	e.alongLast(n, n.Op.(*op.Softmax).Axis, func(x, y int) { e.emit("SOFTMAX", 9, []option{{0, float32(1)}}, []int{x}, y) })
	return nil
}

func (e *exporter) logSoftmax(n *graph.Node) error {
	e.alongLast(n, n.Op.(*op.LogSoftmax).Axis, func(x, y int) { e.emit("LOG_SOFTMAX", 36, nil, []int{x}, y) })
	return nil
}

func (e *exporter) lrn(n *graph.Node) error {
	o := n.Op.(*op.LRN)
	if o.Size%2 == 0 || len(sizes(n.Inputs[0])) != 4 {
		return fmt.Errorf("TensorFlow Lite normalizes over an odd number of channels of images")
	}
	e.emit("LOCAL_RESPONSE_NORMALIZATION", 13, []option{{0, int32(o.Size / 2)}, {1, o.Bias}, {2, o.Alpha / float32(o.Size)}, {3, o.Beta}},
		e.all(n.Inputs), e.all(n.Outputs)...)
	return nil
}

// batchNormalization is x·factor + offset, channel by channel.
func (e *exporter) batchNormalization(n *graph.Node) error {
	o := n.Op.(*op.BatchNormalization)
	var given [4][]float32
	for i := range given {
		v := n.Input(1 + i)
		if v == nil || v.Const == nil {
			return fmt.Errorf("its statistics are computed")
		}
		if !v.Const.DType().IsFloat() || v.Const.Len() != n.Inputs[1].Const.Len() {
			return fmt.Errorf("its statistics are %s and %s", n.Inputs[1].Type, v.Type)
		}
		given[i] = op.Float32s(v.Const)
	}
	factor, offset := make([]float32, len(given[0])), make([]float32, len(given[0]))
	for c := range factor {
		f := float64(given[0][c]) / math.Sqrt(float64(given[3][c])+float64(o.Epsilon))
		factor[c], offset[c] = float32(f), float32(float64(given[1][c])-float64(f*float64(given[2][c])))
	}
	scaled := e.real("scaled", n)
	e.emit("MUL", 21, nil, []int{e.number(n.Inputs[0]), e.constant("factor", tensor.Of(factor, len(factor)), nil)}, scaled)
	e.emit("ADD", 11, nil, []int{scaled, e.constant("offset", tensor.Of(offset, len(offset)), nil)}, e.number(n.Outputs[0]))
	return nil
}

// instanceNormalization is (x − mean)/√(variance + Epsilon)·scale + bias over the spatial dimensions.
func (e *exporter) instanceNormalization(n *graph.Node) error {
	e.normalized(n, spatialAxes(len(sizes(n.Inputs[0]))), n.Op.(*op.InstanceNormalization).Epsilon)
	return nil
}

// layerNormalization is the same over the dimensions from an axis on.
func (e *exporter) layerNormalization(n *graph.Node) error {
	o := n.Op.(*op.LayerNormalization)
	if len(n.Outputs) > 1 {
		return fmt.Errorf("it also returns statistics")
	}
	rank := len(sizes(n.Inputs[0]))
	first := o.Axis
	if first < 0 {
		first += rank
	}
	var axes []int
	for axis := first; axis < rank; axis++ {
		axes = append(axes, axis)
	}
	e.normalized(n, axes, o.Epsilon)
	return nil
}

// normalized writes (x − mean)/√(variance + epsilon)·scale + bias; operand 2, the bias, may be absent.
func (e *exporter) normalized(n *graph.Node, axes []int, epsilon float32) {
	small := slices.Clone(sizes(n.Inputs[0]))
	for _, a := range axes {
		small[a] = 1
	}
	f32 := graph.Type{DType: tensor.Float32}
	statistic := func(suffix string) int { return e.temporary(suffix, f32, small) }
	x := e.number(n.Inputs[0])
	mean, variance, safe, inverse := statistic("mean"), statistic("variance"), statistic("safe"), statistic("inverse")
	centred, square, unit := e.real("centred", n), e.real("square", n), e.real("unit", n)
	over := e.list("axes", axes...)
	e.emit("MEAN", 27, []option{{0, true}}, []int{x, over}, mean)
	e.emit("SUB", 28, nil, []int{x, mean}, centred)
	e.emit("MUL", 21, nil, []int{centred, centred}, square)
	e.emit("MEAN", 27, []option{{0, true}}, []int{square, over}, variance)
	e.emit("ADD", 11, nil, []int{variance, e.scalar("epsilon", epsilon)}, safe)
	e.emit("RSQRT", 0, nil, []int{safe}, inverse)
	e.emit("MUL", 21, nil, []int{centred, inverse}, unit)
	y := e.number(n.Outputs[0])
	scaled := y
	if n.Input(2) != nil {
		scaled = e.real("scaled", n)
	}
	e.emit("MUL", 21, nil, []int{unit, e.number(n.Inputs[1])}, scaled)
	if n.Input(2) != nil {
		e.emit("ADD", 11, nil, []int{scaled, e.number(n.Inputs[2])}, y)
	}
}

func (e *exporter) quantize(n *graph.Node) error {
	if !n.Outputs[0].Type.Quant.IsPerTensor() {
		return fmt.Errorf("TensorFlow Lite quantizes with one scale only while a model runs")
	}
	e.emit("QUANTIZE", 89, nil, e.all(n.Inputs), e.all(n.Outputs)...)
	return nil
}

func (e *exporter) dequantize(n *graph.Node) error {
	x := n.Inputs[0]
	switch {
	case x.Const != nil:
		e.late[n.Outputs[0]] = n // where it is read, perhaps in another order of axes
		return nil
	case !x.Type.Quant.IsPerTensor():
		return fmt.Errorf("TensorFlow Lite dequantizes computed codes of one scale only")
	}
	e.emit("DEQUANTIZE", 38, nil, e.all(n.Inputs), e.all(n.Outputs)...)
	return nil
}

func (e *exporter) cast(n *graph.Node) error {
	from, to := n.Inputs[0].Type.DType, n.Outputs[0].Type.DType
	e.emit("CAST", 37, []option{{0, int8(dtypeNumber(from))}, {1, int8(dtypeNumber(to))}}, e.all(n.Inputs), e.all(n.Outputs)...)
	return nil
}

func (e *exporter) argMax(n *graph.Node) error {
	o := n.Op.(*op.ArgMax)
	if o.SelectLastIndex {
		return fmt.Errorf("TensorFlow Lite gives the first of equal positions")
	}
	name, kind := "ARG_MAX", 40
	if o.Min {
		name, kind = "ARG_MIN", 57
	}
	shape := slices.Clone(sizes(n.Inputs[0]))
	axis := o.Axis
	if axis < 0 {
		axis += len(shape)
	}
	out := e.number(n.Outputs[0])
	if o.KeepDims {
		out = e.temporary("positions", n.Outputs[0].Type, slices.Delete(shape, axis, axis+1))
	}
	e.emit(name, kind, []option{{0, int8(dtypeNumber(tensor.Int64))}}, []int{e.number(n.Inputs[0]), e.list("axis", axis)}, out)
	if o.KeepDims {
		e.emit("RESHAPE", 17, nil, []int{out, e.list("shape", sizes(n.Outputs[0])...)}, e.number(n.Outputs[0]))
	}
	return nil
}
