package op

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/tensor"
	"pgregory.net/rapid"
)

func sequence(shape ...int) *tensor.Tensor {
	t := tensor.New(tensor.Float32, shape...)
	for i := range tensor.Values[float32](t) {
		tensor.Values[float32](t)[i] = float32(i + 1)
	}
	return t
}

func TestMoreSpatialOperatorsByHand(t *testing.T) {
	ones := tensor.Of([]float32{1, 1, 1, 1}, 1, 1, 2, 2)
	floats := func(v ...float32) *tensor.Tensor { return tensor.Of(v, len(v)) }
	ints := func(v ...int64) *tensor.Tensor { return tensor.Of(v, len(v)) }
	square := sequence(1, 1, 2, 2)
	for _, tc := range []struct {
		name string
		op   Operator
		in   []*tensor.Tensor
		want []float32
	}{
		{"transposed", &ConvTranspose{}, []*tensor.Tensor{square, ones}, []float32{1, 3, 2, 4, 10, 6, 3, 7, 4}},
		{"transposed, biased and clamped", &ConvTranspose{Clamp: &Clamp{Min: 0, Max: 6}}, []*tensor.Tensor{square, ones, floats(1)},
			[]float32{2, 4, 3, 5, 6, 6, 4, 6, 5}},
		{"transposed, stride 3", &ConvTranspose{Strides: []int{3, 3}}, []*tensor.Tensor{square, ones},
			[]float32{1, 1, 0, 2, 2, 1, 1, 0, 2, 2, 0, 0, 0, 0, 0, 3, 3, 0, 4, 4, 3, 3, 0, 4, 4}},
		{"transposed, pads", &ConvTranspose{Pads: []int{1, 0, 0, 1}}, []*tensor.Tensor{square, ones}, []float32{4, 10, 3, 7}},
		{"transposed, output padding", &ConvTranspose{Strides: []int{2}, OutputPadding: []int{1}},
			[]*tensor.Tensor{sequence(1, 1, 2), tensor.Of([]float32{1, 10, 100}, 1, 1, 3)}, []float32{1, 10, 102, 20, 200, 0}},
		{"transposed, output shape larger than the result", &ConvTranspose{OutputShape: []int{5}},
			[]*tensor.Tensor{sequence(1, 1, 2), tensor.Of([]float32{1, 10, 100}, 1, 1, 3)}, []float32{1, 12, 120, 200, 0}},
		{"transposed, same upper", &ConvTranspose{AutoPad: SameUpper, Strides: []int{2}},
			[]*tensor.Tensor{sequence(1, 1, 2), tensor.Of([]float32{1, 10, 100}, 1, 1, 3)}, []float32{1, 10, 102, 20}},
		{"transposed, same lower", &ConvTranspose{AutoPad: SameLower, Strides: []int{2}},
			[]*tensor.Tensor{sequence(1, 1, 2), tensor.Of([]float32{1, 10, 100}, 1, 1, 3)}, []float32{10, 102, 20, 200}},
		{"transposed, groups", &ConvTranspose{Group: 2}, []*tensor.Tensor{tensor.Of([]float32{1, 2}, 1, 2, 1), tensor.Of([]float32{1, 2, 3, 4}, 2, 1, 2)},
			[]float32{1, 2, 6, 8}},
		{"lp pool", &LpPool{KernelShape: []int{2}, P: 2}, []*tensor.Tensor{tensor.Of([]float32{3, -4, 3}, 1, 1, 3)}, []float32{5, 5}},
		{"global lp pool", &GlobalLpPool{P: 1}, []*tensor.Tensor{tensor.Of([]float32{3, -4, 3}, 1, 1, 3)}, []float32{10}},
		{"average under padding only", &AveragePool{KernelShape: []int{1}, Pads: []int{1, 0}}, []*tensor.Tensor{sequence(1, 1, 1)}, []float32{0, 1}},
		{"LRN", &LRN{Size: 3, Alpha: 3, Beta: 1, Bias: 1}, []*tensor.Tensor{sequence(1, 3, 1)},
			[]float32{1.0 / 6, 2.0 / 15, 3.0 / 14}},
		{"LRN, even size", &LRN{Size: 2, Alpha: 2, Beta: 1, Bias: 1}, []*tensor.Tensor{sequence(1, 3, 1)},
			[]float32{1.0 / 6, 2.0 / 14, 3.0 / 10}},
		{"group normalization", &GroupNormalization{NumGroups: 1}, []*tensor.Tensor{tensor.Of([]float32{1, 3}, 1, 2, 1), floats(1, 2), floats(0, 5)},
			[]float32{-1, 7}},
		{"mean variance", &MeanVarianceNormalization{Axes: []int{2}}, []*tensor.Tensor{tensor.Of([]float32{1, 3, 5, 9}, 1, 2, 2)}, []float32{-1, 1, -1, 1}},
		{"RMS", &RMSNormalization{Axis: -1}, []*tensor.Tensor{tensor.Of([]float32{1, 7}, 1, 2), floats(5, 10)}, []float32{1, 14}},
		{"depth to space", &DepthToSpace{BlockSize: 2}, []*tensor.Tensor{sequence(1, 8, 1, 1)}, []float32{1, 3, 5, 7, 2, 4, 6, 8}},
		{"depth to space, CRD", &DepthToSpace{BlockSize: 2, ColumnRowDepth: true}, []*tensor.Tensor{sequence(1, 8, 1, 1)}, []float32{1, 2, 3, 4, 5, 6, 7, 8}},
		{"space to depth", &SpaceToDepth{BlockSize: 2}, []*tensor.Tensor{sequence(1, 2, 2, 2)}, []float32{1, 5, 2, 6, 3, 7, 4, 8}},
		{"nearest", &Resize{CoordinateTransformation: Asymmetric, Nearest: RoundFloor}, []*tensor.Tensor{square, nil, floats(1, 1, 1, 2)},
			[]float32{1, 1, 2, 2, 3, 3, 4, 4}},
		{"linear", &Resize{Mode: ResizeLinear, Axes: []int{-1}}, []*tensor.Tensor{square, nil, floats(2)},
			[]float32{1, 1.25, 1.75, 2, 3, 3.25, 3.75, 4}},
		{"linear, corners aligned", &Resize{Mode: ResizeLinear, CoordinateTransformation: AlignCorners, Axes: []int{2, 3}},
			[]*tensor.Tensor{square, nil, nil, ints(3, 3)}, []float32{1, 1.5, 2, 2, 2.5, 3, 3, 3.5, 4}},
		{"linear, not larger", &Resize{Mode: ResizeLinear, CoordinateTransformation: AlignCorners, Axes: []int{3, 2}, KeepAspectRatio: NotLarger},
			[]*tensor.Tensor{square, nil, nil, ints(7, 3)}, []float32{1, 1.5, 2, 2, 2.5, 3, 3, 3.5, 4}},
		{"crop", &Resize{Mode: ResizeLinear, CoordinateTransformation: TFCropAndResize, Axes: []int{3}, ExtrapolationValue: 9},
			[]*tensor.Tensor{square, floats(0.5, 1.5), nil, ints(3)}, []float32{1.5, 2, 9, 3.5, 4, 9}},
		// Weights of the widened triangle at distances 1.5, 0.5, 0.5, 1.5 with scale 1/2: 1/4, 3/4, 3/4, 1/4, over 2.
		{"antialias", &Resize{Mode: ResizeLinear, Axes: []int{3}, Antialias: true}, []*tensor.Tensor{tensor.Of([]float32{0, 0, 8, 0, 0, 0}, 1, 1, 1, 6), nil, floats(0.5)},
			[]float32{1, 3, 0}},
		// Keys' kernel at distances 3/4 and 5/4 … of x = −1/4, with the edge repeated, adds up to 1.
		{"cubic of a constant", &Resize{Mode: ResizeCubic, CubicCoeffA: -0.75, Axes: []int{3}}, []*tensor.Tensor{tensor.Of([]float32{2, 2}, 1, 1, 1, 2), nil, floats(2)},
			[]float32{2, 2, 2, 2}},
	} {
		got := tensor.Values[float32](evaluateNode(t, &graph.Node{Op: tc.op}, tc.in...))
		if !slices.EqualFunc(got, tc.want, func(a, b float32) bool { return math.Abs(float64(a-b)) < 1e-6 }) {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

// A transposed convolution is the adjoint of the convolution: ⟨conv(a), b⟩ = ⟨a, transposed(b)⟩, for the same filter.
func TestConvTransposeIsTheAdjointOfConv(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o, a, w, _ := drawConv(t)
		y := evaluateNode(t, &graph.Node{Op: o}, a, w)
		b := randomFloats(rand.New(rand.NewPCG(1, 2)), y.Shape()...)
		back := &ConvTranspose{Strides: o.Strides, Dilations: o.Dilations, Pads: o.Pads, Group: o.Group}
		for axis, n := range a.Shape()[2:] { // what stride rounds off
			reach := (y.Shape()[axis+2]-1)*o.Strides[axis] + (w.Shape()[axis+2]-1)*o.Dilations[axis] + 1
			back.OutputPadding = append(back.OutputPadding, n+2*o.Pads[axis]-reach)
		}
		x := evaluateNode(t, &graph.Node{Op: back}, b, w)
		if !slices.Equal(x.Shape(), a.Shape()) {
			t.Fatalf("transposed back to %v from %v", x.Shape(), a.Shape())
		}
		dot := func(p, q *tensor.Tensor) (sum float64) {
			for i, v := range Float32s(p) {
				sum += float64(v) * float64(Float32s(q)[i])
			}
			return sum
		}
		if l, r := dot(y, b), dot(a, x); math.Abs(l-r) > 1e-4*(1+math.Abs(l)) {
			t.Fatalf("⟨conv(a), b⟩ = %v, ⟨a, transposed(b)⟩ = %v", l, r)
		}
	})
}

func TestSpatialOperatorsAreTheSameInBothLayouts(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	x := randomFloats(r, 2, 8, 4, 6)
	channels := []*tensor.Tensor{randomFloats(r, 8), randomFloats(r, 8)}
	filter := randomFloats(r, 8, 3, 3, 2)
	ohwi := tensor.New(tensor.Float32, 6, 3, 2, 4) // two groups of 4 inputs and 3 outputs
	for ch := range 8 {
		for o := range 3 {
			for k := range 6 {
				to := ((ch/4*3+o)*6+k)*4 + ch%4
				tensor.Values[float32](ohwi)[to] = tensor.Values[float32](filter)[(ch*3+o)*6+k]
			}
		}
	}
	for _, tc := range []struct {
		name        string
		first, last Operator
		rest, other []*tensor.Tensor
	}{
		{"ConvTranspose", &ConvTranspose{Group: 2, Strides: []int{2, 1}}, &ConvTranspose{Group: 2, Strides: []int{2, 1}, Layout: NHWC, Filter: OHWI},
			[]*tensor.Tensor{filter}, []*tensor.Tensor{ohwi}},
		{"MaxPool", &MaxPool{KernelShape: []int{3, 2}}, &MaxPool{KernelShape: []int{3, 2}, Layout: NHWC}, nil, nil},
		{"AveragePool", &AveragePool{KernelShape: []int{3, 2}, Pads: []int{1, 0, 0, 1}}, &AveragePool{KernelShape: []int{3, 2}, Pads: []int{1, 0, 0, 1}, Layout: NHWC}, nil, nil},
		{"LpPool", &LpPool{KernelShape: []int{3, 2}, P: 3}, &LpPool{KernelShape: []int{3, 2}, P: 3, Layout: NHWC}, nil, nil},
		{"DepthToSpace", &DepthToSpace{BlockSize: 2}, &DepthToSpace{BlockSize: 2, Layout: NHWC}, nil, nil},
		{"DepthToSpace CRD", &DepthToSpace{BlockSize: 2, ColumnRowDepth: true}, &DepthToSpace{BlockSize: 2, ColumnRowDepth: true, Layout: NHWC}, nil, nil},
		{"SpaceToDepth", &SpaceToDepth{BlockSize: 2}, &SpaceToDepth{BlockSize: 2, Layout: NHWC}, nil, nil},
		{"LRN", &LRN{Size: 5, Alpha: 1, Beta: 0.75, Bias: 1}, &LRN{Size: 5, Alpha: 1, Beta: 0.75, Bias: 1, Layout: NHWC}, nil, nil},
		{"GroupNormalization", &GroupNormalization{NumGroups: 4, Epsilon: 1e-5}, &GroupNormalization{NumGroups: 4, Epsilon: 1e-5, Layout: NHWC}, channels, channels},
		{"MeanVarianceNormalization", &MeanVarianceNormalization{}, &MeanVarianceNormalization{Layout: NHWC}, nil, nil},
		{"Resize", &Resize{Mode: ResizeLinear, Axes: []int{2, 3}}, &Resize{Mode: ResizeLinear, Axes: []int{1, 2}},
			[]*tensor.Tensor{nil, tensor.Of([]float32{1.5, 0.7}, 2)}, []*tensor.Tensor{nil, tensor.Of([]float32{1.5, 0.7}, 2)}},
	} {
		want := permuted(evaluateNode(t, &graph.Node{Op: tc.first}, append([]*tensor.Tensor{x}, tc.rest...)...), toNHWC(4))
		got := evaluateNode(t, &graph.Node{Op: tc.last}, append([]*tensor.Tensor{permuted(x, toNHWC(4))}, tc.other...)...)
		if !slices.Equal(got.Shape(), want.Shape()) {
			t.Errorf("%s: %v, want %v", tc.name, got, want)
			continue
		}
		for i, v := range tensor.Values[float32](got) {
			if d := v - tensor.Values[float32](want)[i]; d > 1e-5 || d < -1e-5 {
				t.Errorf("%s: element %d is %v channels last, %v channels first", tc.name, i, v, tensor.Values[float32](want)[i])
				break
			}
		}
	}
}

func TestIntegerProductsByHand(t *testing.T) {
	a := tensor.Of([]uint8{11, 7, 3, 10, 6, 2}, 2, 3)
	b := tensor.Of([]uint8{1, 4, 2, 5, 3, 6}, 3, 2)
	got := evaluateNode(t, &graph.Node{Op: &MatMulInteger{}}, a, b, tensor.Of([]uint8{12}, 1), tensor.Of([]uint8{0}, 1))
	if want := []int32{-38, -83, -44, -98}; !slices.Equal(tensor.Values[int32](got), want) {
		t.Errorf("MatMulInteger: %v, want %v", tensor.Values[int32](got), want)
	}
	x := tensor.Of([]uint8{2, 3, 4, 5, 6, 7, 8, 9, 10}, 1, 1, 3, 3)
	w := tensor.Of([]uint8{1, 1, 1, 1}, 1, 1, 2, 2)
	got = evaluateNode(t, &graph.Node{Op: &ConvInteger{}}, x, w, tensor.Of([]uint8{1}))
	if want := []int32{12, 16, 24, 28}; !slices.Equal(tensor.Values[int32](got), want) {
		t.Errorf("ConvInteger: %v, want %v", tensor.Values[int32](got), want)
	}
}

// codeNode is a node with one quantized activation.
func codeNode(o Operator, x *tensor.Tensor, qx *graph.Quant, dtype tensor.DType, qy *graph.Quant) *graph.Node {
	compute, arithmetic := graph.Integer, numeric.ONNX
	if qy == nil {
		compute, arithmetic = graph.IntegerToFloat, numeric.None
	}
	in := graph.TypeOf(x)
	in.Quant = qx
	return &graph.Node{Op: o, Compute: compute, Arithmetic: arithmetic, Inputs: []*graph.Value{{Name: "x", Type: in}},
		Outputs: []*graph.Value{{Name: "y", Type: graph.Type{DType: dtype, Quant: qy}}}}
}

// Every operator with one activation gives, on codes, the rounded result of the numbers that they stand for, to within
// one step, and the same without rounding where the result is float.
func TestOperatorsOnCodesAreRoundedFloats(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	x := tensor.New(tensor.Uint8, 1, 4, 4, 6)
	for i := range x.Bytes() {
		x.Bytes()[i] = byte(r.Uint32())
	}
	qx := graph.PerTensor(0.02, 100)
	reals := tensor.Of(Reals(x, qx), x.Shape()...)
	scales := tensor.Of([]float32{1, 1, 1.7, 0.6}, 4)
	for _, tc := range []struct {
		op   Operator
		rest []*tensor.Tensor
	}{
		{&MaxPool{KernelShape: []int{2, 3}, Strides: []int{2, 1}}, nil},
		{&AveragePool{KernelShape: []int{2, 3}, Pads: []int{1, 1, 1, 1}, CountIncludePad: true}, nil},
		{&AveragePool{KernelShape: []int{2, 3}, Pads: []int{1, 1, 1, 1}}, nil},
		{&GlobalAveragePool{}, nil}, {&GlobalMaxPool{}, nil},
		{&Resize{Nearest: RoundCeil}, []*tensor.Tensor{nil, scales}},
		{&Resize{Mode: ResizeLinear}, []*tensor.Tensor{nil, scales}},
		{&Resize{Mode: ResizeLinear, CoordinateTransformation: AlignCorners}, []*tensor.Tensor{nil, scales}},
	} {
		want := tensor.Values[float32](evaluateNode(t, &graph.Node{Op: tc.op}, append([]*tensor.Tensor{reals}, tc.rest...)...))
		for _, qy := range []*graph.Quant{qx, graph.PerTensor(0.03, 70), nil} {
			dtype := tensor.Uint8
			if qy == nil {
				dtype = tensor.Float32
			}
			n := codeNode(tc.op, x, qx, dtype, qy)
			for _, operand := range tc.rest {
				if operand == nil {
					n.Inputs = append(n.Inputs, nil)
				} else {
					n.Inputs = append(n.Inputs, &graph.Value{Type: graph.TypeOf(operand), Const: operand})
				}
			}
			got := Float64s(evaluateNode(t, n, append([]*tensor.Tensor{x}, tc.rest...)...))
			for i, v := range want {
				ideal, tolerance := float64(v), 1e-5
				if qy != nil {
					ideal, tolerance = float64(numeric.Quantize(v, qy.Scale[0], qy.ZeroPoint[0], 0, 255)), 1
				}
				if math.Abs(got[i]-ideal) > tolerance {
					t.Errorf("%s to %v: element %d is %v, the float result %v", tc.op.Type(), qy, i, got[i], ideal)
					break
				}
			}
		}
	}
}

// What a file may get wrong is an error from inference or evaluation, never a panic.
func TestMalformedSpatialNodes(t *testing.T) {
	x := sequence(1, 2, 4, 4)
	w := sequence(2, 2, 3, 3)
	for _, tc := range []struct {
		name string
		op   Operator
		in   []*tensor.Tensor
	}{
		{"huge dilation", &Conv{Dilations: []int{math.MaxInt, 1}}, []*tensor.Tensor{x, w}},
		{"huge pads", &Conv{Pads: []int{math.MaxInt, 0, 0, 0}}, []*tensor.Tensor{x, w}},
		{"channels", &Conv{Group: 2}, []*tensor.Tensor{x, w}},
		{"strides", &Conv{Strides: []int{1}}, []*tensor.Tensor{x, w}},
		{"bias", &Conv{}, []*tensor.Tensor{x, w, sequence(3)}},
		{"a huge kernel", &MaxPool{KernelShape: []int{math.MaxInt, math.MaxInt}}, []*tensor.Tensor{x}},
		{"kernel rank", &AveragePool{KernelShape: []int{1}}, []*tensor.Tensor{x}},
		{"transposed channels", &ConvTranspose{Group: 3}, []*tensor.Tensor{x, w}},
		{"transposed pads", &ConvTranspose{Pads: []int{4, 4, 4, 4}}, []*tensor.Tensor{x, w}},
		{"output padding", &ConvTranspose{OutputPadding: []int{-1, 0}}, []*tensor.Tensor{x, w}},
		{"scales", &Resize{}, []*tensor.Tensor{x, nil, sequence(3)}},
		{"negative scale", &Resize{Axes: []int{2}}, []*tensor.Tensor{x, nil, tensor.Of([]float32{-1}, 1)}},
		{"infinite scale", &Resize{Axes: []int{2}}, []*tensor.Tensor{x, nil, tensor.Of([]float32{float32(math.Inf(1))}, 1)}},
		{"no scales", &Resize{}, []*tensor.Tensor{x}},
		{"no region", &Resize{CoordinateTransformation: TFCropAndResize}, []*tensor.Tensor{x, nil, tensor.Of([]float32{1, 1, 1, 2}, 4)}},
		{"block", &DepthToSpace{BlockSize: 2}, []*tensor.Tensor{x}},
		{"no block", &SpaceToDepth{}, []*tensor.Tensor{x}},
		{"no filter", &Conv{}, []*tensor.Tensor{x}},
		{"no second matrix", &MatMul{}, []*tensor.Tensor{x}},
		{"no scale", &GroupNormalization{NumGroups: 1}, []*tensor.Tensor{x}},
		{"groups", &GroupNormalization{NumGroups: 3}, []*tensor.Tensor{x, sequence(2), sequence(2)}},
	} {
		n := &graph.Node{Op: tc.op, Outputs: []*graph.Value{{Name: "y"}}}
		for _, operand := range tc.in {
			if operand == nil {
				n.Inputs = append(n.Inputs, nil)
			} else {
				n.Inputs = append(n.Inputs, &graph.Value{Type: graph.TypeOf(operand), Const: operand})
			}
		}
		_, inferred := Infer(&graph.Graph{Nodes: []*graph.Node{n}})
		_, evaluated := Evaluate(context.Background(), n, tc.in)
		if inferred == nil && evaluated == nil {
			t.Errorf("%s is accepted", tc.name)
		}
	}
}
