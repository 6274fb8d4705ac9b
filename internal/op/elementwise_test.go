package op

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/tensor"
	"pgregory.net/rapid"
)

var (
	inf = float32(math.Inf(1))
	nan = float32(math.NaN())
)

// near compares to within a few units in the last place of float32; NaNs are equal.
func near(a, b float32) bool {
	return a == b || a != a && b != b || math.Abs(float64(a-b)) <= 1e-6*math.Max(1, math.Abs(float64(b)))
}

func floats(values ...float32) *tensor.Tensor { return tensor.Of(values, len(values)) }

func TestUnaryByHand(t *testing.T) {
	for _, tc := range []struct {
		op   Operator
		x, y []float32
	}{
		{NewFunction("Relu"), []float32{-1, 0, 2, -inf, inf, nan}, []float32{0, 0, 2, 0, inf, nan}},
		{NewFunction("Sigmoid"), []float32{-inf, 0, inf, 1}, []float32{0, 0.5, 1, 0.7310586}},
		{NewFunction("Tanh"), []float32{-inf, 0, inf, 1}, []float32{-1, 0, 1, 0.7615942}},
		{NewFunction("HardSwish"), []float32{-4, -3, 0, 1, 3, 4}, []float32{0, 0, 0, 2.0 / 3, 3, 4}},
		{NewFunction("Mish"), []float32{0, 1}, []float32{0, 0.8650984}},
		{NewFunction("Softplus"), []float32{-1000, 0, 1000}, []float32{0, 0.6931472, 1000}},
		{NewFunction("Softsign"), []float32{-1, 0, 3}, []float32{-0.5, 0, 0.75}},
		{NewFunction("Erf"), []float32{-5, 0, 0.5}, []float32{-1, 0, 0.5204999}},
		{NewFunction("Exp"), []float32{-inf, 0, 1, inf}, []float32{0, 1, 2.7182817, inf}},
		{NewFunction("Log"), []float32{-1, 0, 1, inf}, []float32{nan, -inf, 0, inf}},
		{NewFunction("Sqrt"), []float32{-1, 0, 2}, []float32{nan, 0, 1.4142135}},
		{NewFunction("Reciprocal"), []float32{0, 4, -inf}, []float32{inf, 0.25, 0}},
		{NewFunction("Sign"), []float32{-2, 0, 3, nan}, []float32{-1, 0, 1, nan}},
		{NewFunction("Round"), []float32{-2.5, -1.5, 0.5, 1.5, 2.6}, []float32{-2, -2, 0, 2, 3}},
		{NewFunction("Ceil"), []float32{-1.5, 1.2}, []float32{-1, 2}},
		{NewFunction("Floor"), []float32{-1.5, 1.2}, []float32{-2, 1}},
		{NewFunction("Atanh"), []float32{0, 0.5, 1}, []float32{0, 0.54930615, inf}},
		{&LeakyRelu{Alpha: 0.25}, []float32{-4, 0, 4}, []float32{-1, 0, 4}},
		{&Elu{Alpha: 2, Gamma: 1, Scale: 1}, []float32{-inf, -1, 0, 3}, []float32{-2, -1.2642411, 0, 3}},
		{&Elu{Alpha: 1.6732632, Gamma: 1, Scale: 1.050701}, []float32{-1, 2}, []float32{-1.1113307, 2.101402}},
		{&Elu{Alpha: 2, Gamma: 2, Scale: 1}, []float32{-2, 2}, []float32{-1.2642411, 2}},
		{&HardSigmoid{Alpha: 0.2, Beta: 0.5}, []float32{-3, 0, 1, 3}, []float32{0, 0.5, 0.7, 1}},
		{&Gelu{}, []float32{-1, 0, 1}, []float32{-0.15865526, 0, 0.8413447}},
		{&Gelu{Tanh: true}, []float32{-1, 0, 1}, []float32{-0.15880801, 0, 0.841192}},
		{&Swish{Alpha: 1}, []float32{-1, 0, 1}, []float32{-0.26894143, 0, 0.7310586}},
		{&ThresholdedRelu{Alpha: 2}, []float32{1, 2, 3}, []float32{0, 0, 3}},
		{&Shrink{Bias: 1, Lambd: 1.5}, []float32{-2, -1.5, 0, 1.5, 2}, []float32{-1, 0, 0, 0, 1}},
	} {
		t.Run(tc.op.Type(), func(t *testing.T) {
			got := tensor.Values[float32](evaluateNode(t, &graph.Node{Op: tc.op}, floats(tc.x...)))
			if !slices.EqualFunc(got, tc.y, near) {
				t.Errorf("f(%v) = %v, want %v", tc.x, got, tc.y)
			}
		})
	}
}

func TestHalfTypesAreComputedInFloat64AndRounded(t *testing.T) {
	for _, dtype := range []tensor.DType{tensor.Float16, tensor.BFloat16, tensor.Float64} {
		x := FromFloat32s(dtype, []int{3}, []float32{-2, 0.5, 3})
		for _, tc := range []struct {
			op   Operator
			in   []*tensor.Tensor
			want []float32
		}{
			{NewFunction("Relu"), []*tensor.Tensor{x}, []float32{0, 0.5, 3}},
			{&Add{Clamp: &Clamp{Min: 0, Max: 6}}, []*tensor.Tensor{x, x}, []float32{0, 1, 6}},
			{&Mul{}, []*tensor.Tensor{x, x}, []float32{4, 0.25, 9}},
			{NewReduce("ReduceSum"), []*tensor.Tensor{x}, []float32{1.5}},
		} {
			y := evaluateNode(t, &graph.Node{Op: tc.op}, tc.in...)
			if y.DType() != dtype || !slices.Equal(Float32s(y), tc.want) {
				t.Errorf("%s of %s: %v %v, want %v", tc.op.Type(), dtype, y, Float32s(y), tc.want)
			}
		}
	}
}

func TestBinaryByHand(t *testing.T) {
	for _, tc := range []struct {
		op   Operator
		a, b *tensor.Tensor
		want []float64
	}{
		{&Add{}, ints(1, math.MaxInt64), ints(2), []float64{3, math.MinInt64 + 1}},
		{&Div{}, ints(7, -7, 7, 1), ints(2, 2, -2, 0), []float64{3, -3, -3, 0}},
		{&Mod{}, ints(7, -7, 7, -7, 1), ints(3, 3, -3, -3, 0), []float64{1, 2, -2, -1, 0}},
		{&Mod{Fmod: true}, ints(7, -7, 7, -7), ints(3, 3, -3, -3), []float64{1, -1, 1, -1}},
		{&Mod{Fmod: true}, floats(-4.3, 7.5), floats(2, -2), []float64{-float64(float32(4.3) - 4), 1.5}},
		{&Pow{}, ints(3, -1, -1, 2, 0), ints(4, -3, -2, -1, 0), []float64{81, -1, 1, 0, 1}},
		{&Pow{}, ints(2, 9), floats(3, 0.5), []float64{8, 3}},
		{&Max{}, floats(1, nan, inf), floats(2, inf, nan), []float64{2, math.NaN(), math.NaN()}},
		{&Min{}, ints(math.MaxInt64, 1), ints(math.MaxInt64-1, 2), []float64{math.MaxInt64 - 1, 1}},
		{&Mean{}, floats(1, 2), floats(3), []float64{2, 2.5}},
		{&Sum{}, floats(1, 2), floats(3), []float64{4, 5}},
		{&Div{}, floats(1, 0, -1), floats(0), []float64{math.Inf(1), math.NaN(), math.Inf(-1)}},
		{NewComparison("LessOrEqual"), floats(1, 2, nan), floats(2, 2, 2), []float64{1, 1, 0}},
		{NewComparison("Xor"), tensor.Of([]bool{true, true}, 2), tensor.Of([]bool{true, false}, 2), []float64{0, 1}},
		{NewBitwise("BitwiseXor"), ints(6, -1), ints(3), []float64{5, -4}},
		{&BitShift{}, tensor.Of([]uint8{1, 129}, 2), tensor.Of([]uint8{7, 1}, 2), []float64{128, 2}},
		{&BitShift{Right: true}, tensor.Of([]uint64{1 << 63, 8}, 2), tensor.Of([]uint64{62, 64}, 2), []float64{2, 0}},
		{&PRelu{}, floats(-2, 3), floats(0.5), []float64{-1, 3}},
	} {
		got := Float64s(evaluateNode(t, &graph.Node{Op: tc.op}, tc.a, tc.b))
		if !slices.EqualFunc(got, tc.want, func(a, b float64) bool { return near(float32(a), float32(b)) }) {
			t.Errorf("%s(%s, %s): %v, want %v", tc.op.Type(), tc.a, tc.b, got, tc.want)
		}
	}
}

// Broadcasting is the same as expanding both operands by hand, element by element.
func TestBroadcasting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shape := rapid.SliceOfN(rapid.IntRange(0, 3), 0, 4).Draw(t, "shape")
		operand := func(name string) *tensor.Tensor {
			own := slices.Clone(shape[rapid.IntRange(0, len(shape)).Draw(t, name):])
			for i := range own {
				if rapid.Bool().Draw(t, "stretched") {
					own[i] = 1
				}
			}
			return randomFloats(rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)), own...)
		}
		a, b := operand("a"), operand("b")
		y := evaluateNode(t, &graph.Node{Op: &Sub{}}, a, b)
		read := func(x *tensor.Tensor, index []int) float32 {
			offset := 0
			for i, n := range x.Shape() {
				offset *= n
				if n > 1 {
					offset += index[len(index)-len(x.Shape())+i]
				}
			}
			return tensor.Values[float32](x)[offset]
		}
		index := make([]int, len(y.Shape()))
		for i, got := range tensor.Values[float32](y) {
			unravel(index, i, y.Shape())
			if want := read(a, index) - read(b, index); got != want {
				t.Fatalf("%v: %v, want %v", index, got, want)
			}
		}
	})
	if _, err := Infer(&graph.Graph{Nodes: []*graph.Node{{Op: &Add{}, Inputs: []*graph.Value{
		{Type: graph.TypeOf(ints(1, 2))}, {Type: graph.TypeOf(ints(1, 2, 3))},
	}, Outputs: []*graph.Value{{Name: "y"}}}}}); err == nil || !strings.Contains(err.Error(), "broadcast") {
		t.Errorf("shapes that do not fit: %v", err)
	}
}

func TestInferenceFollowsIntegers(t *testing.T) {
	constant := func(x *tensor.Tensor) *graph.Value { return &graph.Value{Type: graph.TypeOf(x), Const: x} }
	x := &graph.Value{Name: "x", Type: graph.Type{DType: tensor.Float32, Shape: graph.Shape{{Size: graph.Unknown, Symbol: "N"}, graph.Fixed(12)}}}
	g := &graph.Graph{Inputs: []*graph.Value{x}}
	apply := func(o Operator, in ...*graph.Value) *graph.Value {
		y := &graph.Value{Name: o.Type()}
		g.Nodes = append(g.Nodes, &graph.Node{Op: o, Inputs: in, Outputs: []*graph.Value{y}})
		return y
	}
	shape := apply(&Shape{ToEnd: true}, x) // [N, 12]
	twelve := apply(&Gather{}, shape, constant(tensor.Of([]int64{1})))
	for _, tc := range []struct {
		name string
		v    *graph.Value
		want []Int
	}{
		{"shape", shape, []Int{{Symbol: "N"}, Literal(12)}},
		{"add", apply(&Add{}, twelve, constant(tensor.Of([]int64{3}))), []Int{Literal(15)}},
		{"sub", apply(&Sub{}, shape, constant(ints(1))), []Int{{}, Literal(11)}},
		{"mul", apply(&Mul{}, constant(ints(2, 3)), twelve), []Int{Literal(24), Literal(36)}},
		{"div", apply(&Div{}, constant(ints(-25)), twelve), []Int{Literal(-2)}},
		{"mod", apply(&Mod{}, constant(ints(-25)), twelve), []Int{Literal(11)}},
		{"neg", apply(NewFunction("Neg"), shape), []Int{{}, Literal(-12)}},
		{"cast", apply(&Cast{To: OutputType{tensor.Int32}}, shape), []Int{{Symbol: "N"}, Literal(12)}},
		{"cast like", apply(&CastLike{}, twelve, constant(tensor.Of([]bool{true}, 1))), []Int{Literal(1)}},
		{"where", apply(&Where{}, apply(NewComparison("Equal"), constant(ints(-1, 12)), constant(ints(-1))), constant(ints(1)), shape), []Int{Literal(1), Literal(12)}},
		{"equal", apply(NewComparison("Equal"), shape, constant(ints(12))), []Int{{}, Literal(1)}},
	} {
		facts, err := Infer(g)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := facts.Data(tc.v); !ok || !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v %v, want %v", tc.name, got, ok, tc.want)
		}
	}
}

func TestAlongAxesByHand(t *testing.T) {
	x := tensor.Of([]float32{1, 3, 2, 6, 5, 6}, 2, 3)
	axis := func(n int64) *tensor.Tensor { return tensor.Of([]int64{n}) }
	reduce := func(name string, keep, noop bool) *Reduce {
		r := NewReduce(name)
		r.KeepDims, r.NoopWithEmptyAxes = keep, noop
		return r
	}
	for _, tc := range []struct {
		name  string
		op    Operator
		in    []*tensor.Tensor
		shape []int
		want  []float64
	}{
		{"mean", reduce("ReduceMean", true, false), []*tensor.Tensor{x, ints(-1)}, []int{2, 1}, []float64{2, 17.0 / 3}},
		{"sum of all", reduce("ReduceSum", false, false), []*tensor.Tensor{x}, nil, []float64{23}},
		{"no axes, no operation", reduce("ReduceSum", true, true), []*tensor.Tensor{x, tensor.New(tensor.Int64, 0)}, []int{2, 3}, []float64{1, 3, 2, 6, 5, 6}},
		{"max", reduce("ReduceMax", false, false), []*tensor.Tensor{x, ints(0)}, []int{3}, []float64{6, 5, 6}},
		{"min of nothing", reduce("ReduceMin", false, false), []*tensor.Tensor{tensor.New(tensor.Float32, 0, 2), ints(0)}, []int{2}, []float64{math.Inf(1), math.Inf(1)}},
		{"product", reduce("ReduceProd", false, false), []*tensor.Tensor{x, ints(1)}, []int{2}, []float64{6, 180}},
		{"L1", reduce("ReduceL1", false, false), []*tensor.Tensor{floats(-1, 2)}, nil, []float64{3}},
		{"L2", reduce("ReduceL2", false, false), []*tensor.Tensor{floats(-3, 4)}, nil, []float64{5}},
		{"log sum", reduce("ReduceLogSum", false, false), []*tensor.Tensor{floats(0.25, 0.75)}, nil, []float64{0}},
		{"log sum exp", reduce("ReduceLogSumExp", false, false), []*tensor.Tensor{floats(1000, 1000)}, nil, []float64{1000.6931}},
		{"sum of squares", reduce("ReduceSumSquare", false, false), []*tensor.Tensor{floats(-3, 4)}, nil, []float64{25}},
		{"argmax", &ArgMax{Axis: 1}, []*tensor.Tensor{x}, []int{2}, []float64{1, 0}},
		{"last argmax", &ArgMax{Axis: -1, KeepDims: true, SelectLastIndex: true}, []*tensor.Tensor{x}, []int{2, 1}, []float64{1, 2}},
		{"argmin", &ArgMax{Axis: 1, Min: true}, []*tensor.Tensor{x}, []int{2}, []float64{0, 1}},
		{"cumsum", &CumSum{}, []*tensor.Tensor{x, axis(1)}, []int{2, 3}, []float64{1, 4, 6, 6, 11, 17}},
		{"cumsum, exclusive, reverse", &CumSum{Exclusive: true, Reverse: true}, []*tensor.Tensor{x, axis(-1)}, []int{2, 3}, []float64{5, 2, 0, 11, 6, 0}},
		{"top 2", &TopK{Axis: -1, Largest: true}, []*tensor.Tensor{x, ints(2)}, []int{2, 2}, []float64{3, 2, 6, 6}},
		{"least of columns", &TopK{Axis: 0}, []*tensor.Tensor{x, ints(1)}, []int{1, 3}, []float64{1, 3, 2}},
		{"softmax", &Softmax{Axis: -1}, []*tensor.Tensor{floats(1000, 1000, -inf)}, []int{3}, []float64{0.5, 0.5, 0}},
		{"log softmax", &LogSoftmax{Axis: 0}, []*tensor.Tensor{floats(1000, 1000)}, []int{2}, []float64{-0.6931472, -0.6931472}},
		{"hardmax", &Hardmax{Axis: 1}, []*tensor.Tensor{x}, []int{2, 3}, []float64{0, 1, 0, 1, 0, 0}},
	} {
		y := evaluateNode(t, &graph.Node{Op: tc.op}, tc.in...)
		if !slices.Equal(y.Shape(), tc.shape) || !slices.EqualFunc(Float64s(y), tc.want, func(a, b float64) bool { return near(float32(a), float32(b)) }) {
			t.Errorf("%s: %s %v, want %v %v", tc.name, y, Float64s(y), tc.shape, tc.want)
		}
	}
	n := &graph.Node{Op: &TopK{Axis: 1, Largest: true}, Inputs: []*graph.Value{{}, {}}, Outputs: []*graph.Value{{}, {}}}
	out, err := Evaluate(context.Background(), n, []*tensor.Tensor{x, ints(2)})
	if err != nil || !slices.Equal(Int64s(out[1]), []int64{1, 2, 0, 2}) {
		t.Errorf("indices of the 2 largest: %v %v, want the first of equals first", Int64s(out[1]), err)
	}
}

func TestClipAndTests(t *testing.T) {
	low, high := tensor.Of([]float32{-1}), tensor.Of([]float32{1})
	for _, tc := range []struct {
		op   Operator
		in   []*tensor.Tensor
		want []float64
	}{
		{&Clip{}, []*tensor.Tensor{floats(-2, 0.5, inf, nan), low, high}, []float64{-1, 0.5, 1, math.NaN()}},
		{&Clip{}, []*tensor.Tensor{floats(-2, 2), nil, high}, []float64{-2, 1}},
		{&Clip{}, []*tensor.Tensor{ints(math.MinInt64, math.MaxInt64), tensor.Of([]int64{math.MinInt64 + 1})}, []float64{math.MinInt64 + 1, math.MaxInt64}},
		{&IsNaN{}, []*tensor.Tensor{floats(nan, 1)}, []float64{1, 0}},
		{&IsInf{DetectPositive: true}, []*tensor.Tensor{floats(nan, inf, -inf)}, []float64{0, 1, 0}},
		{&Not{}, []*tensor.Tensor{tensor.Of([]bool{true, false}, 2)}, []float64{0, 1}},
		{&BitwiseNot{}, []*tensor.Tensor{ints(5)}, []float64{-6}},
		{&Where{}, []*tensor.Tensor{tensor.Of([]bool{true, false}, 2, 1), floats(1, 2), floats(8)}, []float64{1, 2, 8, 8}},
	} {
		got := Float64s(evaluateNode(t, &graph.Node{Op: tc.op}, tc.in...))
		if !slices.EqualFunc(got, tc.want, func(a, b float64) bool { return near(float32(a), float32(b)) }) {
			t.Errorf("%s: %v, want %v", tc.op.Type(), got, tc.want)
		}
	}
}

// codeValue is a quantized value and random codes for it.
func codeValue(t *rapid.T, name string, dtype tensor.DType, shape ...int) (*graph.Value, *tensor.Tensor, *tensor.Tensor) {
	lowest, highest := dtype.Limits()
	q := graph.PerTensor(rapid.Float32Range(0.004, 0.1).Draw(t, name+" scale"), int32(rapid.Int64Range(lowest, highest).Draw(t, name+" zero")))
	n := product(shape)
	codes := rapid.SliceOfN(rapid.Int64Range(lowest, highest), n, n).Draw(t, name)
	x := FromInt64s(dtype, shape, codes)
	return &graph.Value{Name: name, Type: graph.Type{DType: dtype, Shape: graph.FixedShape(shape...), Quant: q}}, x, tensor.Of(dequantized(x, q), shape...)
}

// Every integer form is the float function of the numbers its codes stand for, rounded, to within one step.
func TestIntegerFormsAreRoundedFloats(t *testing.T) {
	slope, six := floats(0.25, -0.5, 0), tensor.Of([]float32{1.5})
	none := []*tensor.Tensor(nil)
	for _, tc := range []struct {
		op       Operator
		operands int
		plain    []*tensor.Tensor
		unified  bool // all values have the first one's quantization
	}{
		{NewFunction("Relu"), 1, none, false},
		{NewFunction("Sigmoid"), 1, none, false},
		{NewFunction("HardSwish"), 1, none, false},
		{NewFunction("Exp"), 1, none, false},
		{NewFunction("Sqrt"), 1, none, false},
		{&Gelu{}, 1, none, false},
		{&LeakyRelu{Alpha: 0.1}, 1, none, false},
		{&Clip{}, 1, []*tensor.Tensor{tensor.Of([]float32{-1}), six}, false},
		{&PRelu{}, 1, []*tensor.Tensor{slope}, false},
		{&Add{}, 2, none, false},
		{&Add{Clamp: &Clamp{Min: 0, Max: 6}}, 2, none, false},
		{&Sub{}, 2, none, false},
		{&Mul{}, 2, none, false},
		{&Div{}, 2, none, false},
		{&Max{}, 2, none, true},
		{&Min{}, 2, none, true},
		{&Softmax{Axis: -1}, 1, none, false},
		{NewReduce("ReduceMean"), 1, []*tensor.Tensor{ints(1)}, false},
		{NewReduce("ReduceSum"), 1, []*tensor.Tensor{ints(0)}, false},
		{NewReduce("ReduceMax"), 1, []*tensor.Tensor{ints(0)}, true},
		{&Requantize{}, 1, none, false},
	} {
		t.Run(tc.op.Type(), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				dtype := rapid.SampledFrom([]tensor.DType{tensor.Uint8, tensor.Int8, tensor.Int16}).Draw(t, "dtype")
				n := &graph.Node{Op: tc.op, Compute: graph.Integer, Arithmetic: numeric.ONNX}
				var codes, reals []*tensor.Tensor
				for range tc.operands {
					v, c, r := codeValue(t, "x", dtype, 2, 3)
					if tc.unified && len(n.Inputs) > 0 {
						v.Type.Quant = n.Inputs[0].Type.Quant
						r = tensor.Of(dequantized(c, v.Type.Quant), 2, 3)
					}
					n.Inputs, codes, reals = append(n.Inputs, v), append(codes, c), append(reals, r)
				}
				for _, x := range tc.plain {
					n.Inputs = append(n.Inputs, &graph.Value{Type: graph.TypeOf(x), Const: x})
					codes, reals = append(codes, x), append(reals, x)
				}
				if form, err := tc.op.(Integer).Integer(n); err != nil || len(form.Roles) != len(n.Inputs) {
					t.Fatal("integer form", form, err)
				}
				y, _, _ := codeValue(t, "y", dtype, 0)
				y.Type.Shape = nil
				if tc.unified {
					y.Type.Quant = n.Inputs[0].Type.Quant
				}
				n.Outputs = []*graph.Value{y}
				want := reals[0]
				if _, ok := tc.op.(*Requantize); !ok {
					want = evaluateNode(t, &graph.Node{Op: tc.op}, reals...)
				}
				q := y.Type.Quant
				lowest, highest := q.Limits(dtype)
				for i, code := range Int32s(evaluateNode(t, n, codes...)) {
					ideal := numeric.Quantize(Float32s(want)[i], q.Scale[0], q.ZeroPoint[0], lowest, highest)
					if d := code - ideal; d < -1 || d > 1 {
						t.Fatalf("element %d: code %d, float says %d (%v)", i, code, ideal, Float32s(want)[i])
					}
				}
			})
		})
	}
}

// A broken graph gives an error that names the node, never a panic.
func TestIntegerFormsWithoutQuantizationAreErrors(t *testing.T) {
	x := tensor.Of([]uint8{1, 2}, 2)
	for _, o := range []Operator{&Add{}, &Mul{}, &Div{}, &Softmax{}, NewFunction("Relu"), NewReduce("ReduceMean"), &PRelu{}} {
		n := &graph.Node{Name: "broken", Op: o, Compute: graph.Integer, Inputs: []*graph.Value{{}, {}}, Outputs: []*graph.Value{{}}}
		if _, err := Evaluate(context.Background(), n, []*tensor.Tensor{x, x}); err == nil || !strings.Contains(err.Error(), "broken") {
			t.Errorf("%s: %v", o.Type(), err)
		}
	}
}
