package tflite

import (
	"fmt"
	"math"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// sizes is the shape of a value, all of which is known once a graph is prepared.
func sizes(v *graph.Value) []int {
	s, _ := v.Type.Shape.Known()
	return s
}

// activation is the number of a fused activation; ok is false if TFLite has none with these limits.
func activation(c *op.Clamp) (number int8, ok bool) {
	switch {
	case c == nil:
		return activationNone, true
	case c.Min == 0 && math.IsInf(float64(c.Max), 1):
		return activationRelu, true
	case c.Min == 0 && c.Max == 6:
		return activationRelu6, true
	case c.Min == -1 && c.Max == 1:
		return activationReluN1To1, true
	}
	return activationNone, false
}

// clamped writes an operator with a fused clamp: as its activation or, where TFLite has no such one, as operators after
// it that limit.
func (e *exporter) clamped(n *graph.Node, c *op.Clamp, write func(activation int8, out int)) {
	number, ok := activation(c)
	if ok {
		write(number, e.number(n.Outputs[0]))
		return
	}
	t := n.Outputs[0].Type
	sum := e.temporary("unclamped", t, sizes(n.Outputs[0]))
	write(activationNone, sum)
	e.limit(sum, c.Min, c.Max, t, n.Outputs[0])
}

// limit writes what limits a tensor to an interval.
func (e *exporter) limit(x int, low, high float32, t graph.Type, out *graph.Value) {
	bound := func(name string, v float32) int {
		if t.Quant == nil {
			return e.scalar(name, v)
		}
		lowest, highest := op.CodeLimits(t, &op.Clamp{Min: low, Max: high})
		code := lowest
		if v == high {
			code = highest
		}
		return e.constant(name, op.FromInt64s(t.DType, []int{}, []int64{int64(code)}), t.Quant)
	}
	most := e.temporary("limited", t, sizes(out))
	e.emit("MAXIMUM", 39, nil, []int{x, bound("min", low)}, most)
	e.emit("MINIMUM", 39, nil, []int{most, bound("max", high)}, e.number(out))
}

// place finds TFLite's padding for a window over the spatial axes of x, writing an operator that pads before it where
// neither of the two is right. codes is what padding is filled with.
func (e *exporter) place(x *graph.Value, kernel, strides, dilations, pads []int, auto op.AutoPad, outSizes []int, fill func(op.AutoPad) (int, bool)) (int, int8, error) {
	in := sizes(x)
	if len(in) != 4 || len(kernel) != 2 {
		return 0, 0, fmt.Errorf("its input is %s; TensorFlow Lite has windows over two spatial dimensions only", x.Type)
	}
	at := func(v []int, i, otherwise int) int {
		if i < len(v) {
			return v[i]
		}
		return otherwise
	}
	same, valid := true, true
	amounts := make([]int, 8)
	for axis := range 2 {
		stride, extent := at(strides, axis, 1), (kernel[axis]-1)*at(dilations, axis, 1)+1
		size, out := in[1+axis], outSizes[1+axis]
		begin := at(pads, axis, 0)
		total := max((out-1)*stride+extent-size, 0)
		switch auto {
		case op.SameUpper:
			begin = total / 2
		case op.SameLower:
			begin = (total + 1) / 2
		case op.Valid:
			begin = 0
		}
		// What the windows reach beyond the end; what is given but not reached does not matter.
		end := max((out-1)*stride+extent-size-begin, 0)
		if begin < 0 || auto == op.ExplicitPads && at(pads, 2+axis, 0) < 0 {
			return 0, 0, fmt.Errorf("negative padding %v", pads)
		}
		same = same && out == (size+stride-1)/stride && begin == total/2 && end == total-total/2
		valid = valid && begin == 0 && end == 0 && out == (size-extent)/stride+1
		amounts[2+2*axis], amounts[3+2*axis] = begin, end
	}
	number := e.number(x)
	switch {
	case valid:
		return number, paddingValid, nil
	case same:
		return number, paddingSame, nil
	}
	padded := slices.Clone(in)
	for axis := range 2 {
		padded[1+axis] += amounts[2+2*axis] + amounts[3+2*axis]
	}
	value, ok := fill(auto)
	if !ok {
		return 0, 0, fmt.Errorf("its padding %v is none of TensorFlow Lite's, and cannot be an operator of its own", pads)
	}
	out := e.temporary("padded", x.Type, padded)
	narrow := make([]int32, len(amounts))
	for i, a := range amounts {
		narrow[i] = int32(a)
	}
	operands := []int{number, e.constant("pads", tensor.Of(narrow, 4, 2), nil)}
	name := "PAD"
	kind := 22
	if value >= 0 {
		operands, name, kind = append(operands, value), "PADV2", 43
	}
	// The windows now begin at 0 and end where they have to, if the rest is cut off by VALID.
	e.emit(name, kind, nil, operands, out)
	return out, paddingValid, nil
}

// zeroFill is padding with real zeros.
func zeroFill(op.AutoPad) (int, bool) { return -1, true }

// permuted is a constant with its axes in another order.
func permuted(t *tensor.Tensor, perm []int) *tensor.Tensor {
	x := &graph.Value{Name: "x", Type: graph.TypeOf(t), Const: t}
	n := &graph.Node{Op: &op.Transpose{Perm: perm}, Inputs: []*graph.Value{x}, Outputs: []*graph.Value{{Name: "y"}}}
	out, err := op.Evaluate(background, n, []*tensor.Tensor{t})
	if err != nil {
		panic(fmt.Sprintf("tflite: a constant %s cannot be transposed by %v: %v", t, perm, err))
	}
	return out[0]
}

// filterOrders lead from each filter layout to OHWI and to 1HWC, for filters of two spatial dimensions.
var filterOrders = map[op.FilterLayout]struct{ toOHWI, to1HWC []int }{
	op.OIHW:   {[]int{0, 2, 3, 1}, []int{1, 2, 3, 0}},
	op.OHWI:   {[]int{0, 1, 2, 3}, []int{3, 1, 2, 0}},
	op.HWIO:   {[]int{3, 0, 1, 2}, []int{2, 0, 1, 3}},
	op.OneHWC: {[]int{3, 1, 2, 0}, []int{0, 1, 2, 3}},
}

// stored is the constant behind a value: the value itself, or codes that are dequantized; nil if it is computed.
func (e *exporter) stored(v *graph.Value) (constant *graph.Value, dequantized bool) {
	if v.Const != nil {
		return v, false
	}
	if n := e.index.Producer(v); n != nil {
		if _, ok := n.Op.(*op.Dequantize); ok && n.Inputs[0].Const != nil {
			return n.Inputs[0], true
		}
	}
	return nil, false
}

// filter is a filter or matrix with its axes in another order.
func (e *exporter) filter(v *graph.Value, perm []int) (int, error) {
	if slices.IsSorted(perm) {
		return e.number(v), nil
	}
	codes, dequantized := e.stored(v)
	if codes == nil {
		return 0, fmt.Errorf("its weights are computed")
	}
	q := codes.Type.Quant.Clone()
	if q != nil && len(q.Scale) > 1 {
		q.Axis = slices.Index(perm, q.Axis)
	}
	ordered := permuted(codes.Const, perm)
	filter := e.constant("filter", ordered, q)
	if !dequantized {
		return filter, nil
	}
	real := e.temporary("real_filter", graph.Type{DType: tensor.Float32}, ordered.Shape())
	e.emit("DEQUANTIZE", 38, nil, []int{filter}, real)
	return real, nil
}

// bias is operand i as TFLite wants it: a list of one entry for each output channel, zeros if there is none.
func (e *exporter) bias(n *graph.Node, i, channels int) (int, error) {
	b := n.Input(i)
	if b != nil && b.Const == nil {
		if s := sizes(b); len(s) == 1 && s[0] == channels {
			return e.number(b), nil
		}
		return 0, fmt.Errorf("its bias is computed")
	}
	if n.Compute != graph.Integer {
		values := make([]float32, channels)
		if b != nil {
			given := op.Reals(b.Const, b.Type.Quant)
			for c := range values {
				if len(given) != 1 && len(given) != channels {
					return 0, fmt.Errorf("its bias has %d entries for %d channels", len(given), channels)
				}
				values[c] = given[min(c, len(given)-1)]
			}
		}
		return e.constant("bias", tensor.Of(values, channels), nil), nil
	}
	x, w := n.Inputs[0].Type, n.Inputs[1].Type
	q := &graph.Quant{ZeroPoint: make([]int32, len(w.Quant.Scale))}
	for _, s := range w.Quant.Scale {
		q.Scale = append(q.Scale, float32(x.Quant.Scale[0]*s))
	}
	codes := make([]int64, channels)
	if b != nil {
		if !b.Const.DType().IsInteger() {
			return 0, fmt.Errorf("its bias is %s, wants integers", b.Type)
		}
		given := op.Int64s(b.Const)
		for c := range codes {
			if len(given) != 1 && len(given) != channels {
				return 0, fmt.Errorf("its bias has %d entries for %d channels", len(given), channels)
			}
			codes[c] = given[min(c, len(given)-1)]
		}
	}
	dtype := tensor.Int32
	switch {
	case b != nil:
		dtype = b.Const.DType() // beside 16-bit activations it says how wide sums are
	case x.DType == tensor.Int16:
		dtype = tensor.Int64
	}
	return e.constant("bias", op.FromInt64s(dtype, []int{channels}, codes), q), nil
}

func int32s(pair []int, i int) int32 {
	if i < len(pair) {
		return int32(pair[i])
	}
	return 1
}

func (e *exporter) conv(n *graph.Node) error {
	o := n.Op.(*op.Conv)
	filter := sizes(n.Inputs[1])
	if len(filter) != 4 {
		return fmt.Errorf("its filter is %s; TensorFlow Lite has two-dimensional convolutions", n.Inputs[1].Type)
	}
	first := o.Filter.Spatial(4)
	kernel := filter[first : first+2]
	out := n.Outputs[0]
	x, padding, err := e.place(n.Inputs[0], kernel, o.Strides, o.Dilations, o.Pads, o.AutoPad, sizes(out), zeroFill)
	if err != nil {
		return err
	}
	depthwise := o.Filter == op.OneHWC || filter[o.Filter.Input(4)] == 1 && o.Groups() > 1
	order := filterOrders[o.Filter].toOHWI
	if depthwise {
		order = filterOrders[o.Filter].to1HWC
	}
	w, err := e.filter(n.Inputs[1], order)
	if err != nil {
		return err
	}
	channels := filter[o.Filter.Output(4)]
	b, err := e.bias(n, 2, channels)
	if err != nil {
		return err
	}
	e.clamped(n, o.Clamp, func(activation int8, out int) {
		if depthwise {
			e.emit("DEPTHWISE_CONV_2D", 2, []option{{0, padding}, {1, int32s(o.Strides, 1)}, {2, int32s(o.Strides, 0)},
				{3, int32(channels / o.Groups())}, {4, activation}, {5, int32s(o.Dilations, 1)}, {6, int32s(o.Dilations, 0)}},
				[]int{x, w, b}, out)
			return
		}
		e.emit("CONV_2D", 1, []option{{0, padding}, {1, int32s(o.Strides, 1)}, {2, int32s(o.Strides, 0)}, {3, activation},
			{4, int32s(o.Dilations, 1)}, {5, int32s(o.Dilations, 0)}}, []int{x, w, b}, out)
	})
	return nil
}

// convTranspose is written with the padding that leads back from its result: SAME or VALID, or VALID to a larger result
// of which a part is cut out.
func (e *exporter) convTranspose(n *graph.Node) error {
	o := n.Op.(*op.ConvTranspose)
	filter, x, out := sizes(n.Inputs[1]), sizes(n.Inputs[0]), sizes(n.Outputs[0])
	if len(filter) != 4 || o.Groups() != 1 {
		return fmt.Errorf("TensorFlow Lite has transposed convolutions of two dimensions and one group only")
	}
	for _, d := range o.Dilations {
		if d != 1 {
			return fmt.Errorf("TensorFlow Lite has no dilated transposed convolutions")
		}
	}
	order := filterOrders[o.Filter].toOHWI
	if o.Filter == op.OIHW {
		order = []int{1, 2, 3, 0} // which ONNX has input channels first
	}
	ordered := sizes(n.Inputs[1])
	kernel, channels := []int{ordered[order[1]], ordered[order[2]]}, ordered[order[0]]
	w, err := e.filter(n.Inputs[1], order)
	if err != nil {
		return err
	}
	strides := []int{int(int32s(o.Strides, 0)), int(int32s(o.Strides, 1))}
	full, begin, whole := slices.Clone(out), make([]int, 4), true
	for axis := range 2 {
		full[1+axis] = (x[1+axis]-1)*strides[axis] + kernel[axis]
		total := full[1+axis] - out[1+axis] // what is cut off where the sizes are given
		if len(o.OutputPadding) > 0 {
			total += o.OutputPadding[axis]
		}
		switch {
		case o.AutoPad == op.SameUpper:
			begin[1+axis] = max(total, 0) / 2
		case o.AutoPad == op.SameLower || len(o.OutputShape) > 0:
			begin[1+axis] = (max(total, 0) + 1) / 2
		case len(o.Pads) > 0:
			begin[1+axis] = o.Pads[axis]
		}
		if begin[1+axis] < 0 {
			return fmt.Errorf("negative padding %v", o.Pads)
		}
		if full[1+axis] < begin[1+axis]+out[1+axis] {
			full[1+axis] = begin[1+axis] + out[1+axis]
		}
		whole = whole && full[1+axis] == out[1+axis]
	}
	b := -1
	if n.Input(2) != nil || n.Compute == graph.Integer {
		if b, err = e.bias(n, 2, channels); err != nil {
			return err
		}
	}
	result := n.Outputs[0]
	e.clamped(n, o.Clamp, func(activation int8, y int) {
		to := y
		if !whole {
			to = e.temporary("full", result.Type, full)
		}
		if activation != activationNone { // whose fused form is newer than the rest
			plain := e.temporary("sum", result.Type, full)
			defer func(to int) {
				e.emit(map[int8]string{activationRelu: "RELU", activationRelu6: "RELU6", activationReluN1To1: "RELU_N1_TO_1"}[activation], 0, nil, []int{plain}, to)
				if !whole {
					e.cut(to, begin, out, y)
				}
			}(to)
			to = plain
		}
		operands := []int{e.list("shape", full...), w, e.number(n.Inputs[0])}
		if b >= 0 {
			operands = append(operands, b)
		}
		e.emit("TRANSPOSE_CONV", 49, []option{{0, int8(paddingValid)}, {1, int32(strides[1])}, {2, int32(strides[0])}}, operands, to)
		if b >= 0 {
			last := &e.out.operators[len(e.out.operators)-1]
			last.version = max(last.version, 3)
		}
		if !whole && activation == activationNone {
			e.cut(to, begin, out, y)
		}
	})
	return nil
}

// cut writes the part of a tensor that begins somewhere and has a size.
func (e *exporter) cut(x int, begin, size []int, out int) {
	e.emit("SLICE", 48, nil, []int{x, e.list("begin", begin...), e.list("size", size...)}, out)
}

// gemm is a fully connected layer where the second operand is constant.
func (e *exporter) gemm(n *graph.Node) error {
	o := n.Op.(*op.Gemm)
	b := n.Inputs[1]
	if codes, _ := e.stored(b); codes == nil {
		if b.Type.DType != tensor.Float32 || o.TransA || o.Alpha != 1 || n.Input(2) != nil || o.Clamp != nil {
			return fmt.Errorf("its second operand is computed")
		}
		e.emit("BATCH_MATMUL", 101, []option{{0, false}, {1, o.TransB}}, e.all(n.Inputs[:2]), e.all(n.Outputs)...)
		return nil
	}
	if o.TransA || o.Alpha != 1 || n.Input(2) != nil && o.Beta != 1 {
		return fmt.Errorf("it transposes its first operand or scales")
	}
	return e.fullyConnected(n, !o.TransB, o.Clamp)
}

func (e *exporter) matMul(n *graph.Node) error {
	o := n.Op.(*op.MatMul)
	if codes, _ := e.stored(n.Inputs[1]); codes != nil && len(sizes(codes)) == 2 {
		return e.fullyConnected(n, true, o.Clamp)
	}
	if n.Compute == graph.Integer {
		return fmt.Errorf("its second operand is computed")
	}
	e.clamped(n, o.Clamp, func(number int8, out int) {
		if number == activationNone {
			e.emit("BATCH_MATMUL", 101, []option{{0, false}, {1, false}}, e.all(n.Inputs[:2]), out)
			return
		}
		sum := e.temporary("sum", n.Outputs[0].Type, sizes(n.Outputs[0]))
		e.emit("BATCH_MATMUL", 101, []option{{0, false}, {1, false}}, e.all(n.Inputs[:2]), sum)
		e.emit(map[int8]string{activationRelu: "RELU", activationRelu6: "RELU6", activationReluN1To1: "RELU_N1_TO_1"}[number], 0, nil, []int{sum}, out)
	})
	return nil
}

// fullyConnected writes a product with a constant matrix. Weights with a scale for each output are written as a
// convolution of 1×1, whose kernels have always had such scales.
func (e *exporter) fullyConnected(n *graph.Node, turn bool, clamp *op.Clamp) error {
	w := n.Inputs[1]
	order := []int{0, 1}
	if turn {
		order = []int{1, 0}
	}
	shape := sizes(w)
	outputs, depth := shape[order[0]], shape[order[1]]
	in, out := sizes(n.Inputs[0]), sizes(n.Outputs[0])
	var rest int = -1
	if c := n.Input(2); c != nil && c.Const != nil && c.Const.Len() != 1 && c.Const.Len() != outputs {
		if n.Compute == graph.Integer {
			return fmt.Errorf("its bias is not one number per output")
		}
		rest = e.number(c)
	}
	b := -1
	var err error
	if rest < 0 {
		if b, err = e.bias(n, 2, outputs); err != nil {
			return err
		}
	}
	x := e.number(n.Inputs[0])
	t := n.Outputs[0].Type
	if q := w.Type.Quant; q != nil && len(q.Scale) > 1 {
		rows := 1
		for _, s := range in[:len(in)-1] {
			rows *= s
		}
		wide := e.temporary("rows", n.Inputs[0].Type, []int{rows, 1, 1, depth})
		e.emit("RESHAPE", 17, nil, []int{x, e.list("rows_shape", rows, 1, 1, depth)}, wide)
		codes := w.Const
		if turn {
			codes = permuted(codes, order)
		}
		filter := *q
		filter.Axis = 0
		f := e.constant("filter", codes.Reshape(outputs, 1, 1, depth), &filter)
		e.clamped(n, clamp, func(activation int8, y int) {
			result := e.temporary("columns", t, []int{rows, 1, 1, outputs})
			e.emit("CONV_2D", 1, []option{{0, int8(paddingValid)}, {1, int32(1)}, {2, int32(1)}, {3, activation}, {4, int32(1)}, {5, int32(1)}},
				[]int{wide, f, b}, result)
			e.emit("RESHAPE", 17, nil, []int{result, e.list("columns_shape", out...)}, y)
		})
		return nil
	}
	f, err := e.filter(w, order)
	if err != nil {
		return err
	}
	keep := len(out) != 2 || len(in) != 2
	if rest >= 0 {
		sum := e.temporary("sum", t, out)
		e.emit("FULLY_CONNECTED", 8, []option{{0, int8(activationNone)}, {1, int8(0)}, {2, keep}}, []int{x, f, -1}, sum)
		e.clamped(n, clamp, func(activation int8, y int) { e.emit("ADD", 11, []option{{0, activation}}, []int{sum, rest}, y) })
		return nil
	}
	e.clamped(n, clamp, func(activation int8, y int) {
		e.emit("FULLY_CONNECTED", 8, []option{{0, activation}, {1, int8(0)}, {2, keep}}, []int{x, f, b}, y)
	})
	return nil
}

// pool writes a pool whose kernel and strides are given.
func (e *exporter) pool(name string, x int, padding int8, kernel, strides []int, out int) {
	e.emit(name, 5, []option{{0, padding}, {1, int32s(strides, 1)}, {2, int32s(strides, 0)}, {3, int32(kernel[1])}, {4, int32(kernel[0])},
		{5, int8(activationNone)}}, []int{x}, out)
}

func (e *exporter) maxPool(n *graph.Node) error {
	o := n.Op.(*op.MaxPool)
	for _, d := range o.Dilations {
		if d != 1 {
			return fmt.Errorf("TensorFlow Lite has no dilated pools")
		}
	}
	if len(n.Outputs) > 1 && n.Outputs[1] != nil {
		return fmt.Errorf("it also returns indices")
	}
	t := n.Inputs[0].Type
	x, padding, err := e.place(n.Inputs[0], o.KernelShape, o.Strides, nil, o.Pads, o.AutoPad, sizes(n.Outputs[0]), func(op.AutoPad) (int, bool) {
		if t.DType == tensor.Float32 {
			return e.scalar("lowest", -math.MaxFloat32), true
		}
		lowest, _ := t.DType.Limits()
		return e.constant("lowest", op.FromInt64s(t.DType, []int{}, []int64{int64(lowest)}), t.Quant), true
	})
	if err != nil {
		return err
	}
	e.pool("MAX_POOL_2D", x, padding, o.KernelShape, o.Strides, e.number(n.Outputs[0]))
	return nil
}

// keepsScale reports a pool on codes whose result has another scale, which TFLite's pools cannot.
func keepsScale(n *graph.Node) error {
	x, y := n.Inputs[0].Type, n.Outputs[0].Type
	if n.Compute == graph.Integer && (!x.Quant.Equal(y.Quant) || x.DType != y.DType) {
		return fmt.Errorf("its result has another scale than its input, which TensorFlow Lite's pools do not allow")
	}
	return nil
}

func (e *exporter) averagePool(n *graph.Node) error {
	o := n.Op.(*op.AveragePool)
	for _, d := range o.Dilations {
		if d != 1 {
			return fmt.Errorf("TensorFlow Lite has no dilated pools")
		}
	}
	if err := keepsScale(n); err != nil {
		return err
	}
	x, padding, err := e.place(n.Inputs[0], o.KernelShape, o.Strides, nil, o.Pads, o.AutoPad, sizes(n.Outputs[0]), func(op.AutoPad) (int, bool) {
		return -1, o.CountIncludePad && !o.CeilMode
	})
	if err != nil {
		return err
	}
	if padding == paddingSame && o.CountIncludePad {
		return fmt.Errorf("it counts padding, which TensorFlow Lite's pools do not")
	}
	e.pool("AVERAGE_POOL_2D", x, padding, o.KernelShape, o.Strides, e.number(n.Outputs[0]))
	return nil
}

// globalAveragePool is a pool with a window of all positions, or a mean where its result has a scale of its own.
func (e *exporter) globalAveragePool(n *graph.Node) error {
	in := sizes(n.Inputs[0])
	if len(in) == 4 && keepsScale(n) == nil {
		e.pool("AVERAGE_POOL_2D", e.number(n.Inputs[0]), paddingValid, in[1:3], in[1:3], e.number(n.Outputs[0]))
		return nil
	}
	return e.reduce("MEAN", n, spatialAxes(len(in)), true)
}

func (e *exporter) globalMaxPool(n *graph.Node) error {
	in := sizes(n.Inputs[0])
	if len(in) != 4 {
		return e.reduce("REDUCE_MAX", n, spatialAxes(len(in)), true)
	}
	e.pool("MAX_POOL_2D", e.number(n.Inputs[0]), paddingValid, in[1:3], in[1:3], e.number(n.Outputs[0]))
	return nil
}

func spatialAxes(rank int) []int {
	var axes []int
	for axis := 1; axis < rank-1; axis++ {
		axes = append(axes, axis)
	}
	return axes
}

func (e *exporter) reduce(name string, n *graph.Node, axes []int, keep bool) error {
	e.emit(name, 27, []option{{0, keep}}, []int{e.number(n.Inputs[0]), e.list("axes", axes...)}, e.number(n.Outputs[0]))
	return nil
}

// reducing writes a reduction over constant axes.
func reducing(name string) writer {
	return func(e *exporter, n *graph.Node) error {
		o := n.Op.(*op.Reduce)
		rank := len(sizes(n.Inputs[0]))
		var axes []int
		if v := n.Input(1); v != nil {
			if v.Const == nil {
				return fmt.Errorf("its axes are computed")
			}
			given, err := constants(n, 1)
			if err != nil {
				return err
			}
			for _, a := range given {
				axes = append(axes, int(a))
			}
		}
		if len(axes) == 0 {
			if o.NoopWithEmptyAxes {
				return e.view(n)
			}
			for axis := range rank {
				axes = append(axes, axis)
			}
		}
		return e.reduce(name, n, axes, o.KeepDims)
	}
}

// sequenceLSTM writes the operands in TFLite's places; states that begin as zeros are variables.
func (e *exporter) sequenceLSTM(n *graph.Node) error {
	o := n.Op.(*op.SequenceLSTM)
	operands := slices.Repeat([]int{-1}, 24)
	copy(operands, e.all(n.Inputs[:9]))
	copy(operands[12:], e.all(n.Inputs[9:13]))
	x, y := sizes(n.Inputs[0]), sizes(n.Outputs[0])
	batch := x[0]
	if o.TimeMajor {
		batch = x[1]
	}
	for i := range 2 {
		t := writtenTensor{name: fmt.Sprintf("%s/state_%d", n.Name, i), dtype: n.Outputs[0].Type.DType, shape: []int{batch, y[2]},
			quant: n.Outputs[0].Type.Quant, state: true}
		if v := n.Input(13 + i); v != nil {
			if v.Const == nil || slices.ContainsFunc(v.Const.Bytes(), func(b byte) bool { return b != 0 }) {
				return fmt.Errorf("its state does not begin as zeros")
			}
			t.dtype, t.quant = v.Type.DType, v.Type.Quant
		}
		operands[18+i] = e.add(t)
	}
	e.emit("UNIDIRECTIONAL_SEQUENCE_LSTM", 71, []option{{0, int8(activationTanh)}, {1, o.CellClip}, {2, float32(0)}, {3, o.TimeMajor}, {4, false}},
		operands, e.number(n.Outputs[0]))
	if n.Compute == graph.Integer {
		last := &e.out.operators[len(e.out.operators)-1]
		for i := range 4 {
			last.between = append(last.between, e.add(writtenTensor{name: fmt.Sprintf("%s/gate_%d", n.Name, i), dtype: tensor.Float32, shape: []int{0}}))
		}
		last.between = append(last.between, e.add(writtenTensor{name: n.Name + "/hidden", dtype: tensor.Int8, shape: []int{0}, quant: n.Outputs[0].Type.Quant}))
	}
	return nil
}
