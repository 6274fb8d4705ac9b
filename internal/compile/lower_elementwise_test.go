package compile

import (
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// functions is one of each function of one operand, with attributes off their defaults.
func functions() []graph.Operator {
	list := []graph.Operator{
		&op.Clip{}, &op.LeakyRelu{Alpha: 0.1}, &op.Elu{Alpha: 0.7, Gamma: 1, Scale: 1}, &op.Elu{Alpha: 1.67, Gamma: 1.05, Scale: 1},
		&op.HardSigmoid{Alpha: 0.25, Beta: 0.4}, &op.Gelu{}, &op.Gelu{Tanh: true}, &op.Swish{Alpha: 1}, &op.Swish{Alpha: 1.7},
		&op.ThresholdedRelu{Alpha: 0.3}, &op.Shrink{Lambd: 0.4, Bias: 0.1},
	}
	for name, rows := range lowerings {
		if o := op.NewFunction(name); o != nil && len(rows) > 0 {
			list = append(list, o)
		}
	}
	return list
}

func TestFunctions(t *testing.T) {
	for i, o := range functions() {
		t.Run(o.Type(), func(t *testing.T) {
			s := newSketch(t, uint64(i))
			x := s.input(tensor.Float32, nil, 1, 37, 129)
			operands := []*graph.Value{s.node(op.NewFunction("Abs"), x)} // where logarithms and roots are real
			if o.Type() == "Clip" {
				operands = append(operands, s.constant(s.floats(), nil), nil)
			}
			s.check(s.node(o, operands...))

			if len(lowerings[o.Type()]) == len(floatFunction) {
				return // of floats only
			}
			for _, dtype := range []tensor.DType{tensor.Uint8, tensor.Int8} {
				s := newSketch(t, uint64(i))
				operands := []*graph.Value{s.input(dtype, graph.PerTensor(0.05, zeroPoint(dtype, 100)), 1, 37, 129)}
				if o.Type() == "Clip" {
					operands = append(operands, nil, s.constant(tensor.Of([]float32{2}), nil))
				}
				s.check(s.integer(o, dtype, 0.04, zeroPoint(dtype, 90), operands...))
			}
		})
	}
}

// broadcasts is pairs of shapes, the first dimension of the first being the batch.
var broadcasts = [][2][]int{
	{{1, 5, 7, 19}, {1, 5, 7, 19}}, {{1, 5, 7, 19}, {19}}, {{1, 5, 7, 19}, {1, 1, 19}}, {{1, 5, 7, 19}, {}},
	{{1, 5, 7, 19}, {7, 1}}, {{1, 5, 7, 19}, {1, 5, 1, 1}}, {{1, 1}, {3, 4}}, {{1, 400}, {1}},
}

func TestBinary(t *testing.T) {
	operators := []graph.Operator{&op.Add{}, &op.Add{Clamp: &op.Clamp{Min: 0, Max: 1}}, &op.Sub{}, &op.Mul{}, &op.Div{}, &op.Max{}, &op.Min{}, &op.Sum{}}
	for i, shapes := range broadcasts {
		s := newSketch(t, uint64(i))
		x := s.input(tensor.Float32, nil, shapes[0]...)
		y := s.constant(s.floats(shapes[1]...), nil)
		var outputs []*graph.Value
		for _, o := range operators {
			outputs = append(outputs, s.node(o, x, y), s.node(o, y, x))
		}
		outputs = append(outputs, s.node(&op.Pow{}, s.node(op.NewFunction("Abs"), x), y), s.node(&op.Max{}, x, y, x), s.node(&op.Sum{}, x, y, y))
		if len(shapes[1]) <= 4 && shapes[0][len(shapes[0])-1] != 1 {
			outputs = append(outputs, s.node(&op.PRelu{}, x, y))
		}
		s.check(outputs...)
	}
}

func TestBinaryOnCodes(t *testing.T) {
	for i, shapes := range broadcasts {
		for _, out := range []tensor.DType{tensor.Uint8, tensor.Int8} {
			s := newSketch(t, uint64(i))
			x := s.input(tensor.Uint8, graph.PerTensor(0.05, 100), shapes[0]...)
			y := s.constant(s.codes(tensor.Int8, shapes[1]...), graph.PerTensor(0.03, -10))
			z := s.constant(s.codes(out, shapes[1]...), graph.PerTensor(0.04, zeroPoint(out, 77)))
			w := s.input(out, graph.PerTensor(0.04, zeroPoint(out, 77)), shapes[0]...)
			zero := zeroPoint(out, 77)
			outputs := []*graph.Value{
				s.integer(&op.Add{Clamp: &op.Clamp{Min: 0, Max: 2}}, out, 0.02, zero, x, y),
				s.integer(&op.Add{}, out, 0.07, zero, y, x),
				s.integer(&op.Sub{}, out, 0.07, zero, x, y),
				s.integer(&op.Sub{}, out, 0.07, zero, y, x),
				s.integer(&op.Mul{}, out, 0.1, zero, x, y),
				s.integer(&op.Mul{}, out, 0.1, zero, x, x),
				s.integer(&op.Div{}, out, 0.1, zero, x, y),
				s.integer(&op.Max{}, out, 0.04, zero, w, z),
				s.integer(&op.Min{}, out, 0.04, zero, z, w),
			}
			if shapes[0][len(shapes[0])-1] != 1 {
				outputs = append(outputs, s.integer(&op.PRelu{}, out, 0.04, zero, x, s.constant(s.floats(shapes[1]...), nil)))
			}
			s.check(outputs...)
		}
	}
}

// TestInPlace makes a chain in which results replace their operands, beside one value that is read again at the end.
func TestInPlace(t *testing.T) {
	s := newSketch(t, 1)
	x := s.input(tensor.Float32, nil, 1, 100)
	relu := s.node(op.NewFunction("Relu"), x)
	a := s.node(&op.Add{}, relu, x)
	b := s.node(&op.Mul{}, a, a)
	c := s.node(&op.Sub{}, b, relu)
	d := s.node(&op.Add{}, c, s.node(&op.Add{}, x, s.constant(s.floats(100), nil)))
	s.check(d, a)

	s = newSketch(t, 2)
	x = s.input(tensor.Float32, nil, 1, 100)
	y := s.node(op.NewFunction("Neg"), x)
	y = s.node(op.NewFunction("Abs"), y)
	s.check(s.node(&op.Add{}, y, y))
	session, err := Compile(s.graph, Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	plan, err := session.Plan([]*tensor.Tensor{s.floats(1, 100)})
	if err != nil {
		t.Fatal(err)
	}
	if plan.Bytes != 448 {
		t.Errorf("a chain of elementwise operators needs %d bytes, want those of one value", plan.Bytes)
	}
}

func TestSoftmaxAndReductions(t *testing.T) {
	s := newSketch(t, 1)
	x := s.input(tensor.Float32, nil, 1, 5, 7, 11)
	outputs := []*graph.Value{
		s.node(&op.Softmax{Axis: -1}, x), s.node(&op.Softmax{Axis: 1}, x), s.node(&op.LogSoftmax{Axis: 2}, x),
	}
	ints := func(v ...int64) *graph.Value { return s.constant(tensor.Of(v, len(v)), nil) }
	reduce := func(name string, keep bool) *op.Reduce {
		r := op.NewReduce(name)
		r.KeepDims = keep
		return r
	}
	for name, rows := range lowerings {
		if r := op.NewReduce(name); r != nil && len(rows) > 0 {
			outputs = append(outputs, s.node(reduce(name, true), x, ints(1, 2)), s.node(reduce(name, false), x, ints(-1)), s.node(reduce(name, true), x))
		}
	}
	s.check(outputs...)

	for _, dtype := range []tensor.DType{tensor.Uint8, tensor.Int8} {
		s := newSketch(t, 2)
		ints := func(v ...int64) *graph.Value { return s.constant(tensor.Of(v, len(v)), nil) }
		zero := zeroPoint(dtype, 100)
		x := s.input(dtype, graph.PerTensor(0.05, zero), 1, 5, 7, 11)
		s.check(
			s.integer(&op.Softmax{Axis: -1}, dtype, 1./256, zeroPoint(dtype, 0), x),
			s.integer(&op.Softmax{Axis: 1}, dtype, 1./256, zeroPoint(dtype, 0), x),
			s.integer(reduce("ReduceMean", true), dtype, 0.01, zero, x, ints(1, 2)),
			s.integer(reduce("ReduceMean", false), dtype, 0.01, zero, x, ints(3)),
			s.integer(reduce("ReduceSum", false), dtype, 0.1, zero, x, ints(-1)),
			s.integer(reduce("ReduceMax", true), dtype, 0.05, zero, x, ints(2)),
			s.integer(reduce("ReduceMin", true), dtype, 0.05, zero, x),
		)
	}
}

func TestChangesOfRepresentation(t *testing.T) {
	s := newSketch(t, 1)
	x := s.input(tensor.Float32, nil, 1, 6, 50)
	channels := &graph.Quant{Scale: []float32{0.1, 0.2, 0.05, 0.01, 0.3, 0.02}, ZeroPoint: []int32{0, 3, -2, 0, 7, 1}, Axis: 1}
	a := s.typed(graph.Float, &op.Quantize{}, graph.Type{DType: tensor.Uint8, Quant: graph.PerTensor(0.02, 128)}, x)
	b := s.typed(graph.Float, &op.Quantize{}, graph.Type{DType: tensor.Int8, Quant: channels}, x)
	c := s.typed(graph.Float, &op.Dequantize{}, graph.Type{DType: tensor.Float32}, a)
	d := s.typed(graph.Float, &op.Dequantize{}, graph.Type{DType: tensor.Float32}, b)
	e := s.integer(&op.Requantize{}, tensor.Int8, 0.03, 5, a)
	f := s.integer(&op.Requantize{}, tensor.Int8, 0.02, 0, a)
	s.check(a, b, c, d, e, f)
}
