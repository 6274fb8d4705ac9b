package compile

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/testdata"
	"github.com/octet-nn/octet/tensor"
)

// cmsisCase is one case of CMSIS-NN's unit tests: constants and arrays, whose names begin with the case's own.
type cmsisCase struct {
	Name    string
	Defines map[string]string
	Arrays  map[string]struct {
		Type string
		Data []int64
	}
}

func (c *cmsisCase) has(name string) bool {
	_, ok := c.Defines[strings.ToUpper(c.Name)+"_"+name]
	return ok
}

// number is a constant, 0 if there is none.
func (c *cmsisCase) number(name string) int {
	n, _ := strconv.Atoi(c.Defines[strings.ToUpper(c.Name)+"_"+name])
	return n
}

// size is a constant, 1 if there is none.
func (c *cmsisCase) size(name string) int {
	if !c.has(name) {
		return 1
	}
	return c.number(name)
}

// array is the first of the arrays that there is; nil if there is none.
func (c *cmsisCase) array(names ...string) []int64 {
	for _, name := range names {
		if a, ok := c.Arrays[c.Name+"_"+name]; ok {
			return a.Data
		}
	}
	return nil
}

func (c *cmsisCase) wide(name string) bool { return c.Arrays[c.Name+"_"+name].Type == "int16_t" }

// scales finds an input and an output scale whose quotient makes a given fixed-point multiplier.
func scales(m numeric.FixedPoint) (in, out float32) {
	for k := range 1 << 20 {
		out := 1 + float32(k)/(1<<20)
		in := float32(float64(m.Q31) * pow2(m.Shift-31) * float64(out))
		if numeric.NewFixedPoint(float64(in)/float64(out)) == m {
			return in, out
		}
	}
	panic("no scales make this multiplier")
}

func pow2(n int) float64 {
	if n < 0 {
		return 1 / pow2(-n)
	}
	return float64(int64(1) << n)
}

// codesOfInts makes a tensor of codes.
func codesOfInts(dtype tensor.DType, values []int64, shape ...int) *tensor.Tensor {
	return op.FromInt64s(dtype, shape, values)
}

// activation declares an input of a case with its codes.
func (s *sketch) activation(values []int64, dtype tensor.DType, scale float32, zero int, shape ...int) *graph.Value {
	v := &graph.Value{Name: s.name("x"), Type: graph.Type{DType: dtype, Shape: graph.FixedShape(shape...), Quant: graph.PerTensor(scale, int32(zero))}}
	s.graph.Inputs = append(s.graph.Inputs, v)
	s.values[v] = codesOfInts(dtype, values, shape...)
	return v
}

// clampCodes is the fused clamp to a range of codes; nil if it is the whole range.
func clampCodes(dtype tensor.DType, lowest, highest int, scale float32, zero int) *op.Clamp {
	lo, hi := dtype.Limits()
	if lowest == int(lo) && highest == int(hi) {
		return nil
	}
	return &op.Clamp{Min: float32(lowest-zero) * scale, Max: float32(highest-zero) * scale}
}

// nibbles unpacks two 4-bit codes a byte, the low one first.
func nibbles(packed []int64, n int) []int64 {
	codes := make([]int64, n)
	for i := range codes {
		codes[i] = int64(int8(uint8(packed[i/2])>>(4*(i%2))<<4) >> 4)
	}
	return codes
}

// channel is the elements of one channel out of several, the channels being innermost.
func channel(values []int64, channels, at int) []int64 {
	var one []int64
	for i := at; i < len(values); i += channels {
		one = append(one, values[i])
	}
	return one
}

// types of the activations of a case and of its integer biases.
func (c *cmsisCase) dtype(array string) tensor.DType {
	if c.wide(array) {
		return tensor.Int16
	}
	return tensor.Int8
}

// paddings is what a case's window needs around the image: begin as given, end so that the output has its size.
func (c *cmsisCase) paddings(kernelY, kernelX, dilationY, dilationX int, padY, padX string) []int {
	end := func(out, stride, kernel, dilation, in, begin int) int {
		return max((out-1)*stride+(kernel-1)*dilation+1-in-begin, 0)
	}
	y, x := c.number(padY), c.number(padX)
	strideY, strideX := max(c.number("STRIDE_Y"), c.number("STRIDE_H")), max(c.number("STRIDE_X"), c.number("STRIDE_W"))
	return []int{y, x, end(c.number("OUTPUT_H"), strideY, kernelY, dilationY, c.number("INPUT_H"), y),
		end(c.number("OUTPUT_W"), strideX, kernelX, dilationX, c.number("INPUT_W"), x)}
}

// convolution runs a case of a convolution, one output channel at a time: each has a multiplier of its own, which only
// an input scale of its own makes to the last bit.
func (c *cmsisCase) convolution(t *testing.T, row numeric.Arithmetic, depthwise, transposed bool) error {
	in, out := c.number("IN_CH"), c.number("OUT_CH")
	ky, kx := c.number("FILTER_Y"), c.number("FILTER_X")
	dtype := c.dtype("input")
	weights := c.array("weights")
	perGroup := in
	if depthwise {
		perGroup = 1
	}
	bits4 := strings.Contains(c.Name, "int4")
	if bits4 {
		weights = nibbles(weights, out*ky*kx*perGroup)
	}
	perGroup = len(weights) / (out * ky * kx)
	biases := c.array("biases", "bias")
	shortSums := strings.Contains(c.Name, "xint32")
	if biases == nil && shortSums { // that sums have 32 bits is said by the bias
		biases = make([]int64, out)
	}
	multipliers, shifts := c.array("output_multiplier", "output_mult"), c.array("output_shift")
	want := c.array("output", "output_ref")
	batch := c.size("INPUT_BATCHES")
	zeroX, zeroY := -c.number("INPUT_OFFSET"), c.number("OUTPUT_OFFSET")
	height, width := c.number("INPUT_H"), c.number("INPUT_W")
	input := c.array("input")
	if len(input) != batch*height*width*in || len(want) != batch*c.number("OUTPUT_H")*c.number("OUTPUT_W")*out {
		return fmt.Errorf("arrays and sizes contradict each other")
	}
	for o := range out {
		s := newSketch(t, 1)
		s.row = row
		m := numeric.FixedPoint{Q31: int32(multipliers[o]), Shift: int(shifts[o])}
		scaleX, scaleY := scales(m)
		first := o / (out / (in / perGroup)) * perGroup // input channel of the group
		var seen []int64
		for i := 0; i < len(input); i += in {
			seen = append(seen, input[i+first:][:perGroup]...)
		}
		var filter []int64
		if depthwise {
			filter = channel(weights, out, o)
		} else {
			filter = weights[o*ky*kx*perGroup:][:ky*kx*perGroup]
		}
		groups := 1
		if depthwise && in > 1 { // twice the same channel: a depthwise convolution has more than one
			groups = 2
			var twice []int64
			for _, v := range seen {
				twice = append(twice, v, v)
			}
			seen, filter = twice, append(slices.Clone(filter), filter...)
		}
		x := s.activation(seen, dtype, scaleX, zeroX, batch, height, width, perGroup*groups)
		w := s.constant(codesOfInts(tensor.Int8, filter, groups, ky, kx, perGroup), graph.PerTensor(1, 0))
		operands := []*graph.Value{x, w}
		if biases != nil {
			sums := tensor.Int32
			if dtype == tensor.Int16 && !shortSums {
				sums = tensor.Int64
			}
			b := make([]int64, groups)
			for i := range b {
				b[i] = biases[o]
			}
			operands = append(operands, s.constant(codesOfInts(sums, b, groups), graph.PerTensor(scaleX, 0)))
		}
		clamp := clampCodes(dtype, c.number("OUT_ACTIVATION_MIN"), c.number("OUT_ACTIVATION_MAX"), scaleY, zeroY)
		strides := []int{c.number("STRIDE_Y"), c.number("STRIDE_X")}
		dilations := []int{c.size("DILATION_Y"), c.size("DILATION_X")}
		var o1 graph.Operator = &op.Conv{Strides: strides, Dilations: dilations, Group: groups, Layout: op.NHWC, Filter: op.OHWI, Clamp: clamp,
			Pads: c.paddings(ky, kx, dilations[0], dilations[1], "PAD_Y", "PAD_X")}
		if transposed {
			y, x := c.number("PAD_Y"), c.number("PAD_X")
			o1 = &op.ConvTranspose{Strides: strides, Layout: op.NHWC, Filter: op.OHWI, Clamp: clamp, Pads: []int{y, x,
				(height-1)*strides[0] + ky - c.number("OUTPUT_H") - y, (width-1)*strides[1] + kx - c.number("OUTPUT_W") - x}}
		}
		result := s.integer(o1, dtype, scaleY, int32(zeroY), operands...)
		expected := channel(want, out, o)
		if groups == 2 {
			var twice []int64
			for _, v := range expected {
				twice = append(twice, v, v)
			}
			expected = twice
		}
		if err := s.gives(result, codesOfInts(dtype, expected, batch, c.number("OUTPUT_H"), c.number("OUTPUT_W"), groups)); err != nil {
			return fmt.Errorf("output channel %d: %w", o, err)
		}
	}
	return nil
}

// gives compares by reference and, for 8-bit codes, by kernels.
func (s *sketch) gives(result *graph.Value, want *tensor.Tensor) error {
	if want.DType().Bits() == 8 && !s.noKernel {
		return s.bothGive(result, want)
	}
	s.graph.Outputs = []*graph.Value{result}
	if _, err := op.Infer(s.graph); err != nil {
		return err
	}
	return s.referenceGives(result, want)
}

// elementwise runs a case of an operator of two activations.
func (c *cmsisCase) elementwise(t *testing.T, row numeric.Arithmetic) error {
	s := newSketch(t, 1)
	s.row = row
	dtype := c.dtype("input1")
	a, b := c.array("input1"), c.array("input2")
	zeroY := c.number("OUTPUT_OFFSET")
	var o graph.Operator
	scaleA, scaleB, scaleY := float32(1), float32(1), float32(1)
	lowest, highest := c.number("OUT_ACTIVATION_MIN"), c.number("OUT_ACTIVATION_MAX")
	if strings.HasPrefix(c.Name, "mul") {
		m := numeric.FixedPoint{Q31: int32(c.number("OUTPUT_MULT")), Shift: c.number("OUTPUT_SHIFT")}
		scaleA = float32(float64(m.Q31) * pow2(m.Shift-31))
		o = &op.Mul{}
	} else {
		// Both inputs of these cases have the same scale, 1.
		half := numeric.FixedPoint{Q31: 1 << 30}
		for _, input := range []string{"INPUT1", "INPUT2"} {
			if (numeric.FixedPoint{Q31: int32(c.number(input + "_MULT")), Shift: c.number(input + "_SHIFT")}) != half {
				return fmt.Errorf("inputs of different scales")
			}
		}
		scaleY = float32(2 / (float64(c.number("OUTPUT_MULT")) * pow2(c.number("OUTPUT_SHIFT")-31) * pow2(c.number("LEFT_SHIFT"))))
		o = &op.Add{Clamp: clampCodes(dtype, lowest, highest, scaleY, zeroY)}
	}
	result := s.integer(o, dtype, scaleY, int32(zeroY),
		s.activation(a, dtype, scaleA, -c.number("INPUT1_OFFSET"), len(a)), s.activation(b, dtype, scaleB, -c.number("INPUT2_OFFSET"), len(b)))
	if _, ok := o.(*op.Mul); ok {
		result = s.clip(result, dtype, lowest, highest, scaleY, zeroY)
	}
	return s.gives(result, codesOfInts(dtype, c.array("output_ref"), len(a)))
}

// clip limits codes to a range, if it is not the whole.
func (s *sketch) clip(x *graph.Value, dtype tensor.DType, lowest, highest int, scale float32, zero int) *graph.Value {
	clamp := clampCodes(dtype, lowest, highest, scale, zero)
	if clamp == nil {
		return x
	}
	return s.integer(op.Lookup("Clip"), dtype, scale, int32(zero), x,
		s.constant(tensor.Of([]float32{clamp.Min}), nil), s.constant(tensor.Of([]float32{clamp.Max}), nil))
}

// pool runs a case of a pool.
func (c *cmsisCase) pool(t *testing.T, row numeric.Arithmetic) error {
	s := newSketch(t, 1)
	s.row = row
	dtype := c.dtype("input_tensor")
	batch, height, width, channels := c.number("BATCH_SIZE"), c.number("INPUT_H"), c.number("INPUT_W"), c.number("INPUT_C")
	kernel := []int{c.number("FILTER_H"), c.number("FILTER_W")}
	strides := []int{c.number("STRIDE_H"), c.number("STRIDE_W")}
	if len(c.array("input_tensor")) != batch*height*width*channels {
		return fmt.Errorf("arrays and sizes contradict each other")
	}
	x := s.activation(c.array("input_tensor"), dtype, 1, 0, batch, height, width, channels)
	pads := c.paddings(kernel[0], kernel[1], 1, 1, "PADDING_H", "PADDING_W")
	var o graph.Operator = &op.MaxPool{KernelShape: kernel, Strides: strides, Pads: pads, Layout: op.NHWC}
	if strings.HasPrefix(c.Name, "avg") {
		o = &op.AveragePool{KernelShape: kernel, Strides: strides, Pads: pads, Layout: op.NHWC}
	}
	y := s.integer(o, dtype, 1, 0, x)
	y = s.clip(y, dtype, c.number("ACTIVATION_MIN"), c.number("ACTIVATION_MAX"), 1, 0)
	return s.gives(y, codesOfInts(dtype, c.array("output"), batch, c.number("OUTPUT_H"), c.number("OUTPUT_W"), channels))
}

// extremum runs a case of Maximum or Minimum, whose operands share a scale.
func (c *cmsisCase) extremum(t *testing.T, row numeric.Arithmetic) error {
	s := newSketch(t, 1)
	s.row = row
	operand := func(i string) *graph.Value {
		return s.activation(c.array("input_tensor_"+i), tensor.Int8, 1, 0, c.number("BATCH_"+i), c.number("HEIGHT_"+i), c.number("WIDTH_"+i), c.number("CHANNEL_"+i))
	}
	name := "Max"
	if strings.HasPrefix(c.Name, "min") {
		name = "Min"
	}
	y := s.integer(op.Lookup(name).(graph.Operator), tensor.Int8, 1, 0, operand("1"), operand("2"))
	want := codesOfInts(tensor.Int8, c.array("output"), c.number("OUTPUT_BATCH"), c.number("OUTPUT_HEIGHT"), c.number("OUTPUT_WIDTH"), c.number("OUTPUT_CHANNEL"))
	return s.gives(y, want)
}

// batchMatMul runs a case of a product of two stacks of computed matrices, the transposed ones transposed.
func (c *cmsisCase) batchMatMul(t *testing.T, row numeric.Arithmetic) error {
	s := newSketch(t, 1)
	s.row = row
	dtype := c.dtype("lhs_input_tensor")
	scaleX, scaleY := scales(numeric.FixedPoint{Q31: int32(c.number("OUTPUT_MULTIPLIER")), Shift: c.number("OUTPUT_SHIFT")})
	operand := func(side, adjoint string, scale float32) *graph.Value {
		up := strings.ToUpper(side)
		v := s.activation(c.array(side+"_input_tensor"), dtype, scale, -c.number(up+"_OFFSET"),
			c.number(up+"_BATCH"), c.number(up+"_HEIGHT"), c.number(up+"_ROWS"), c.number(up+"_COLS"))
		if c.number(adjoint) == 1 {
			return s.integer(&op.Transpose{Perm: []int{0, 1, 3, 2}}, dtype, scale, v.Type.Quant.ZeroPoint[0], v)
		}
		return v
	}
	zeroY := c.number("OUTPUT_OFFSET")
	s.noKernel = true // both matrices are computed
	y := s.integer(&op.MatMul{}, dtype, scaleY, int32(zeroY), operand("lhs", "ADJ_X", scaleX), operand("rhs", "ADJ_Y", 1))
	return s.gives(y, codesOfInts(dtype, c.array("output"), c.number("OUTPUT_BATCH"), c.number("OUTPUT_HEIGHT"), c.number("OUTPUT_ROWS"), c.number("OUTPUT_COLS")))
}

// fullyConnected runs a case of a matrix product by constant weights, one row of which belongs to an output channel.
func (c *cmsisCase) fullyConnected(t *testing.T, row numeric.Arithmetic) error {
	batch, out := c.size("INPUT_BATCHES"), c.number("OUT_CH")
	dtype := c.dtype("input")
	input := c.array("input")
	depth := len(input) / batch
	weights := c.array("input_weights", "weights")
	if strings.Contains(c.Name, "int4") {
		weights = nibbles(weights, out*depth)
	}
	want := c.array("output_ref")
	if want == nil {
		want = c.array("output")
	}
	if len(weights) != out*depth || len(want) != batch*out {
		return fmt.Errorf("arrays and sizes contradict each other")
	}
	biases := c.array("input_bias", "biases", "bias")
	zeroX, zeroY := -c.number("INPUT_OFFSET"), c.number("OUTPUT_OFFSET")
	for o := range out {
		m := numeric.FixedPoint{Q31: int32(c.number("OUTPUT_MULTIPLIER")), Shift: c.number("OUTPUT_SHIFT")}
		if strings.Contains(c.Name, "per_ch") {
			m = numeric.FixedPoint{Q31: int32(c.array("output_multiplier", "output_mult")[o]), Shift: int(c.array("output_shift")[o])}
		}
		s := newSketch(t, 1)
		s.row = row
		scaleX, scaleY := scales(m)
		operands := []*graph.Value{s.activation(input, dtype, scaleX, zeroX, batch, depth),
			s.constant(codesOfInts(tensor.Int8, weights[o*depth:][:depth], 1, depth), graph.PerTensor(1, -int32(c.number("FILTER_OFFSET"))))}
		if biases != nil {
			sums := tensor.Int32
			if dtype == tensor.Int16 {
				sums = tensor.Int64
			}
			operands = append(operands, s.constant(codesOfInts(sums, biases[o:o+1], 1), graph.PerTensor(scaleX, 0)))
		}
		clamp := clampCodes(dtype, c.number("OUT_ACTIVATION_MIN"), c.number("OUT_ACTIVATION_MAX"), scaleY, zeroY)
		y := s.integer(&op.Gemm{Alpha: 1, Beta: 1, TransB: true, Clamp: clamp}, dtype, scaleY, int32(zeroY), operands...)
		if err := s.gives(y, codesOfInts(dtype, channel(want, out, o), batch, 1)); err != nil {
			return fmt.Errorf("output channel %d: %w", o, err)
		}
	}
	return nil
}

// softmax runs a case of a softmax.
func (c *cmsisCase) softmax(t *testing.T, row numeric.Arithmetic) error {
	s := newSketch(t, 1)
	s.row = row
	in, out := c.dtype("input"), c.dtype("output_ref")
	rows, size := c.number("NUM_ROWS"), c.number("ROW_SIZE")
	m := numeric.FixedPoint{Q31: int32(c.number("INPUT_MULT")), Shift: c.number("INPUT_LEFT_SHIFT")}
	// The multiplier is that of the input's scale: with 5 integer bits for 8-bit codes, of 2^15 steps in −10 … 0 for
	// 16-bit ones.
	scaleX := float32(float64(m.Q31) * pow2(m.Shift-31) / (1 << 26))
	if in == tensor.Int16 {
		scaleX = float32(float64(m.Q31) * pow2(m.Shift-31) * 10 / 65535)
	}
	scaleY, zeroY := float32(1./256), int32(-128)
	if out == tensor.Int16 {
		scaleY, zeroY = 1./32768, 0
		if in == tensor.Int8 {
			scaleY, zeroY = 1./65536, -32768
		}
	}
	y := s.integer(&op.Softmax{Axis: -1}, out, scaleY, zeroY, s.activation(c.array("input"), in, scaleX, 0, rows, size))
	return s.gives(y, codesOfInts(out, c.array("output_ref"), rows, size))
}

// lstm runs a case of a long short-term memory.
func (c *cmsisCase) lstm(t *testing.T, row numeric.Arithmetic) error {
	s := newSketch(t, 1)
	s.row, s.noKernel = row, true
	batch, steps, inputs, hidden := c.number("BATCH_SIZE"), c.number("TIME_STEPS"), c.number("INPUT_SIZE"), c.number("HIDDEN_SIZE")
	timeMajor := c.Defines[strings.ToUpper(c.Name)+"_TIME_MAJOR"] == "true"
	shape := []int{batch, steps}
	if timeMajor {
		shape = []int{steps, batch}
	}
	operands := []*graph.Value{s.activation(c.array("input_tensor"), tensor.Int8, 1, -c.number("INPUT_ZERO_POINT"), shape[0], shape[1], inputs)}
	// Gates are sums with 12 fractional bits; the other scales are 1 and the multipliers those of the weights.
	for _, from := range []struct {
		name string
		size int
	}{{"input", inputs}, {"hidden", hidden}} {
		for _, gate := range []string{"input", "forget", "cell", "output"} {
			define := strings.ToUpper(gate + "_gate_" + from.name)
			scale := float32(float64(c.number(define+"_MULTIPLIER")) * pow2(c.number(define+"_SHIFT")-31) / 4096)
			codes := codesOfInts(tensor.Int8, c.array(gate+"_gate_"+from.name+"_weights"), hidden, from.size)
			operands = append(operands, s.constant(codes, graph.PerTensor(scale, 0)))
		}
	}
	for _, gate := range []string{"input", "forget", "cell", "output"} {
		operands = append(operands, s.constant(codesOfInts(tensor.Int32, c.array(gate+"_gate_bias"), hidden), graph.PerTensor(1, 0)))
	}
	zero := c.number("OUTPUT_ZERO_POINT")
	h := tensor.New(tensor.Int8, batch, hidden)
	for i := range h.Bytes() {
		h.Bytes()[i] = byte(zero)
	}
	operands = append(operands, s.constant(h, graph.PerTensor(1, int32(zero))),
		s.constant(tensor.New(tensor.Int16, batch, hidden), graph.PerTensor(float32(pow2(c.number("CELL_SCALE_POWER"))), 0)))
	scaleY := float32(pow2(-30) / (float64(c.number("OUTPUT_MULTIPLIER")) * pow2(c.number("OUTPUT_SHIFT")-31)))
	y := s.integer(&op.SequenceLSTM{TimeMajor: timeMajor}, tensor.Int8, scaleY, int32(zero), operands...)
	return s.gives(y, codesOfInts(tensor.Int8, c.array("output"), shape[0], shape[1], hidden))
}

// pad runs a case of Pad.
func (c *cmsisCase) pad(t *testing.T, row numeric.Arithmetic) error {
	s := newSketch(t, 1)
	s.row = row
	var begin, end []int64
	var shape, padded []int
	for _, axis := range []string{"N", "H", "W", "C"} {
		n, before, after := c.number("INPUT_"+axis), c.number("PRE_PAD_"+axis), c.number("POST_PAD_"+axis)
		begin, end = append(begin, int64(before)), append(end, int64(after))
		shape, padded = append(shape, n), append(padded, n+before+after)
	}
	// Padding is with the code of 0, which is the zero point.
	zero := c.number("PAD_VALUE")
	x := s.activation(c.array("input_tensor"), tensor.Int8, 1, zero, shape...)
	pads := s.constant(tensor.Of(append(begin, end...), 8), nil)
	return s.gives(s.integer(&op.Pad{}, tensor.Int8, 1, int32(zero), x, pads), codesOfInts(tensor.Int8, c.array("output"), padded...))
}

// run runs the case, or says why it is left out.
func (c *cmsisCase) run(t *testing.T, row numeric.Arithmetic) (leftOut string, err error) {
	const mixed = "arrays of two versions of the case under one name; the constants of one are lost"
	switch {
	case strings.HasPrefix(c.Name, "svdf"):
		return "there is no operator with a state", nil
	case strings.HasPrefix(c.Name, "lstm") && c.wide("input_tensor"):
		return "a recurrent layer with a 16-bit hidden state", nil
	case strings.HasPrefix(c.Name, "lstm") && c.array("output_ref") != nil:
		return mixed, nil
	case strings.HasPrefix(c.Name, "lstm"):
		return "", c.lstm(t, row)
	case strings.HasPrefix(c.Name, "transpose_") && !c.has("FILTER_X"):
		return "the constants have no sizes: they span lines in the source", nil
	case strings.HasPrefix(c.Name, "ds_cnn"):
		return "a network, not an operator", nil
	case strings.Contains(c.Name, "int4") && c.array("output") != nil && c.array("output_ref") != nil:
		return mixed, nil
	case strings.HasPrefix(c.Name, "add"), strings.HasPrefix(c.Name, "mul"):
		return "", c.elementwise(t, row)
	case strings.HasPrefix(c.Name, "avgpool"), strings.HasPrefix(c.Name, "maxpool"):
		return "", c.pool(t, row)
	case strings.HasPrefix(c.Name, "maximum"), strings.HasPrefix(c.Name, "minimum"):
		return "", c.extremum(t, row)
	case strings.HasPrefix(c.Name, "batch_matmul"):
		return "", c.batchMatMul(t, row)
	case strings.HasPrefix(c.Name, "fully_connected"), strings.HasPrefix(c.Name, "fc_"):
		return "", c.fullyConnected(t, row)
	case strings.HasPrefix(c.Name, "softmax"):
		return "", c.softmax(t, row)
	case strings.HasPrefix(c.Name, "pad"):
		return "", c.pad(t, row)
	case strings.Contains(c.Name, "transpose_conv"):
		return "", c.convolution(t, row, false, true)
	case strings.HasPrefix(c.Name, "depthwise"), strings.HasPrefix(c.Name, "dw_"), c.has("CH_MULT"):
		return "", c.convolution(t, row, true, false)
	case c.has("FILTER_X"):
		return "", c.convolution(t, row, false, false)
	}
	return "", fmt.Errorf("a case of no known kind")
}

// TestCMSIS runs all cases of CMSIS-NN's unit tests that apply, those of 8-bit activations under the row gemmlowp, those
// of 16-bit activations under tflite16x8.
func TestCMSIS(t *testing.T) {
	file, err := os.Open(testdata.Shared(t, "golden", "cmsis_nn_int_cases.jsonl.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(unzipped)
	lines.Buffer(nil, 64<<20)
	passed, cases := map[numeric.Arithmetic]int{}, 0
	unlike := map[numeric.Arithmetic]map[numeric.Arithmetic]int{numeric.Gemmlowp: {}, numeric.TFLite16x8: {}}
	out := map[string][]string{}
	for lines.Scan() {
		cases++
		var c cmsisCase
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		row := numeric.Gemmlowp
		if slices.ContainsFunc(slices.Collect(maps.Keys(c.Arrays)), c.isWideInput) {
			row = numeric.TFLite16x8
		}
		switch why, err := c.run(t, row); {
		case why != "":
			out[why] = append(out[why], c.Name)
		case err != nil:
			t.Errorf("%s: %v", c.Name, err)
		default:
			passed[row]++
			for _, other := range numeric.Arithmetics() {
				if _, err := c.run(t, other); err != nil {
					unlike[row][other]++
				}
			}
		}
	}
	for row, n := range map[numeric.Arithmetic]int{numeric.Gemmlowp: casesOfGemmlowp, numeric.TFLite16x8: casesOfTFLite16x8} {
		if passed[row] != n {
			t.Errorf("%d cases pass in the row %s, want %d", passed[row], row, n)
		}
		for _, other := range numeric.Arithmetics() {
			if other != row && unlike[row][other] == 0 {
				t.Errorf("all cases of the row %s pass in the row %s too", row, other)
			}
		}
	}
	if cases != casesOfCMSIS {
		t.Errorf("there are %d cases, not %d", cases, casesOfCMSIS)
	}
	t.Logf("passed: %v; unlike other rows: %v", passed, unlike)
	for why, names := range out {
		t.Logf("%d left out, %s: %s", len(names), why, strings.Join(names, " "))
	}
}

// isWideInput reports whether an array is the case's 16-bit input.
func (c *cmsisCase) isWideInput(array string) bool {
	name := strings.TrimPrefix(array, c.Name+"_")
	return strings.Contains(name, "input") && !strings.Contains(name, "weights") && c.Arrays[array].Type == "int16_t"
}
