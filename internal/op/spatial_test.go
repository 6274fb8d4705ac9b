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

// evaluateNode infers and evaluates a node with one output on the given operands.
func evaluateNode(t interface{ Fatal(...any) }, n *graph.Node, in ...*tensor.Tensor) *tensor.Tensor {
	if n.Outputs == nil {
		n.Outputs = []*graph.Value{{Name: "y"}}
	}
	if n.Inputs == nil {
		for _, x := range in {
			if x == nil {
				n.Inputs = append(n.Inputs, nil)
				continue
			}
			n.Inputs = append(n.Inputs, &graph.Value{Type: graph.TypeOf(x), Const: x})
		}
	}
	g := &graph.Graph{Nodes: []*graph.Node{n}, Outputs: n.Outputs[:1]}
	if _, err := Infer(g); err != nil {
		t.Fatal(err)
	}
	out, err := Evaluate(context.Background(), n, in)
	if err != nil {
		t.Fatal(err)
	}
	if sizes, ok := n.Outputs[0].Type.Shape.Known(); ok && !slices.Equal(sizes, out[0].Shape()) {
		t.Fatal("inferred", sizes, "computed", out[0].Shape())
	}
	return out[0]
}

func randomFloats(r *rand.Rand, shape ...int) *tensor.Tensor {
	t := tensor.New(tensor.Float32, shape...)
	for i := range tensor.Values[float32](t) {
		tensor.Values[float32](t)[i] = r.Float32()*2 - 1
	}
	return t
}

func TestConvByHand(t *testing.T) {
	x := tensor.Of([]float32{1, 2, 3, 4, 5, 6, 7, 8, 9}, 1, 1, 3, 3)
	w := tensor.Of([]float32{1, 0, 0, -1}, 1, 1, 2, 2)
	bias := tensor.Of([]float32{0.5}, 1)
	for _, tc := range []struct {
		name string
		op   *Conv
		want []float32
	}{
		{"plain", &Conv{}, []float32{-3.5, -3.5, -3.5, -3.5}},
		{"clamped", &Conv{Clamp: &Clamp{Min: 0, Max: 6}}, []float32{0, 0, 0, 0}},
		{"stride larger than kernel", &Conv{Strides: []int{3, 3}}, []float32{-3.5}},
		{"dilated", &Conv{Dilations: []int{2, 2}}, []float32{-7.5}},
		{"one-sided padding", &Conv{Pads: []int{1, 1, 0, 0}}, []float32{-.5, -1.5, -2.5, -3.5, -3.5, -3.5, -6.5, -3.5, -3.5}},
		{"same upper", &Conv{AutoPad: SameUpper, Strides: []int{2, 2}}, []float32{-3.5, 3.5, 7.5, 9.5}},
	} {
		if got := tensor.Values[float32](evaluateNode(t, &graph.Node{Op: tc.op}, x, w, bias)); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

// drawConv makes a convolution of a random hard shape with its operands, channels first.
func drawConv(t *rapid.T) (o *Conv, x, w, bias *tensor.Tensor) {
	axes := rapid.IntRange(1, 3).Draw(t, "axes")
	groups, in, out := rapid.IntRange(1, 3).Draw(t, "groups"), rapid.IntRange(1, 3).Draw(t, "in"), rapid.IntRange(1, 3).Draw(t, "out")
	o = &Conv{Group: groups}
	xs, ws := []int{rapid.IntRange(0, 2).Draw(t, "batch"), groups * in}, []int{groups * out, in}
	for range axes {
		k, d := rapid.IntRange(1, 3).Draw(t, "kernel"), rapid.IntRange(1, 2).Draw(t, "dilation")
		ws = append(ws, k)
		o.Strides = append(o.Strides, rapid.IntRange(1, 3).Draw(t, "stride"))
		o.Dilations = append(o.Dilations, d)
		o.Pads = append(o.Pads, rapid.IntRange(0, 2).Draw(t, "pad"))
		xs = append(xs, (k-1)*d+1+rapid.IntRange(0, 4).Draw(t, "more"))
	}
	o.Pads = append(o.Pads, o.Pads...)
	r := rand.New(rand.NewPCG(uint64(rapid.IntRange(0, 1000).Draw(t, "seed")), 0))
	return o, randomFloats(r, xs...), randomFloats(r, ws...), randomFloats(r, groups*out)
}

// permuted reorders the dimensions of a float tensor; perm names, for each new axis, the old one.
func permuted(x *tensor.Tensor, perm []int) *tensor.Tensor {
	shape := make([]int, len(perm))
	for i, p := range perm {
		shape[i] = x.Shape()[p]
	}
	out := tensor.New(x.DType(), shape...)
	from, to := tensor.Values[float32](x), tensor.Values[float32](out)
	strides := rowMajor(x.Shape())
	at := make([]int, len(shape))
	for i := range to {
		unravel(at, i, shape)
		offset := 0
		for axis, p := range perm {
			offset += at[axis] * strides[p]
		}
		to[i] = from[offset]
	}
	return out
}

// toNHWC is the permutation from channels first to channels last.
func toNHWC(rank int) []int {
	perm := []int{0}
	for axis := 2; axis < rank; axis++ {
		perm = append(perm, axis)
	}
	return append(perm, 1)
}

func TestConvIsTheSameInEveryLayout(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o, x, w, bias := drawConv(t)
		rank := len(x.Shape())
		want := permuted(evaluateNode(t, &graph.Node{Op: o}, x, w, bias), toNHWC(rank))
		hwio := append(slices.Clone(toNHWC(rank)[1:rank-1]), 1, 0)
		for _, tc := range []struct {
			filter FilterLayout
			perm   []int
		}{{OHWI, toNHWC(rank)}, {HWIO, hwio}} {
			last := *o
			last.Layout, last.Filter = NHWC, tc.filter
			got := evaluateNode(t, &graph.Node{Op: &last}, permuted(x, toNHWC(rank)), permuted(w, tc.perm), bias)
			if !slices.Equal(got.Bytes(), want.Bytes()) {
				t.Fatalf("%s with filter %s differs from NCHW", last.Layout, tc.filter)
			}
		}
	})
}

// An integer convolution is the float convolution of the numbers its codes stand for, rounded, to within one step.
func TestIntegerConvIsRoundedFloatConv(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o, x, w, bias := drawConv(t)
		if rapid.Bool().Draw(t, "clamp") {
			o.Clamp = &Clamp{Min: 0, Max: float32(math.Inf(1))}
		}
		dtype := rapid.SampledFrom([]tensor.DType{tensor.Uint8, tensor.Int8}).Draw(t, "dtype")
		lowest, highest := dtype.Limits()
		qx := graph.PerTensor(1.0/100, int32(lowest+highest+1)/2)
		qy := graph.PerTensor(rapid.Float32Range(0.005, 0.1).Draw(t, "scale"), int32(rapid.IntRange(int(lowest), int(highest)).Draw(t, "zero")))
		qw := &graph.Quant{Narrow: true}
		for range w.Shape()[0] {
			qw.Scale = append(qw.Scale, rapid.Float32Range(0.008, 0.02).Draw(t, "weight scale"))
			qw.ZeroPoint = append(qw.ZeroPoint, 0)
		}
		quantized := func(x *tensor.Tensor, d tensor.DType, q *graph.Quant) (*graph.Value, *tensor.Tensor, *tensor.Tensor) {
			channel := channelOf(x.Shape(), q)
			codes, reals := make([]int64, x.Len()), make([]float32, x.Len())
			lo, hi := q.Limits(d)
			for i, v := range Float32s(x) {
				c := channel(i)
				code := numeric.Quantize(v, q.Scale[c], q.ZeroPoint[c], lo, hi)
				codes[i], reals[i] = int64(code), numeric.Dequantize(code, q.ZeroPoint[c], q.Scale[c])
			}
			stored := FromInt64s(d, x.Shape(), codes)
			return &graph.Value{Type: graph.Type{DType: d, Shape: graph.FixedShape(x.Shape()...), Quant: q}}, stored, tensor.Of(reals, x.Shape()...)
		}
		vx, cx, rx := quantized(x, dtype, qx)
		vw, cw, rw := quantized(w, tensor.Int8, qw)
		qb := &graph.Quant{ZeroPoint: qw.ZeroPoint}
		for _, s := range qw.Scale {
			qb.Scale = append(qb.Scale, qx.Scale[0]*s)
		}
		vb, cb, rb := quantized(bias, tensor.Int32, qb)
		want := tensor.Values[float32](evaluateNode(t, &graph.Node{Op: o}, rx, rw, rb))

		y := &graph.Value{Type: graph.Type{DType: dtype, Quant: qy}}
		n := &graph.Node{Op: o, Inputs: []*graph.Value{vx, vw, vb}, Outputs: []*graph.Value{y}, Compute: graph.Integer, Arithmetic: numeric.ONNX}
		for i, code := range Int32s(evaluateNode(t, n, cx, cw, cb)) {
			ideal := numeric.Quantize(want[i], qy.Scale[0], qy.ZeroPoint[0], int32(lowest), int32(highest))
			if d := code - ideal; d < -1 || d > 1 {
				t.Fatalf("element %d: code %d, float says %d", i, code, ideal)
			}
		}
		toFloat := &graph.Node{Op: o, Inputs: n.Inputs, Outputs: []*graph.Value{{Type: graph.Type{DType: tensor.Float32}}}, Compute: graph.IntegerToFloat}
		for i, v := range tensor.Values[float32](evaluateNode(t, toFloat, cx, cw, cb)) {
			if d := math.Abs(float64(v - want[i])); d > 1e-4 {
				t.Fatalf("element %d: %v from exact sums, float says %v", i, v, want[i])
			}
		}
	})
}

func TestPoolsByHand(t *testing.T) {
	x := tensor.Of([]float32{1, 2, 3, 4, 5, 6, 7, 8, 9}, 1, 1, 3, 3)
	for _, tc := range []struct {
		name string
		op   Operator
		want []float32
	}{
		{"max", &MaxPool{KernelShape: []int{2, 2}}, []float32{5, 6, 8, 9}},
		{"max, padded", &MaxPool{KernelShape: []int{2, 2}, Strides: []int{2, 2}, Pads: []int{1, 1, 0, 0}}, []float32{1, 3, 7, 9}},
		{"max, rounded up", &MaxPool{KernelShape: []int{2, 2}, Strides: []int{2, 2}, CeilMode: true}, []float32{5, 6, 8, 9}},
		{"average", &AveragePool{KernelShape: []int{2, 2}}, []float32{3, 4, 6, 7}},
		{"average without padding", &AveragePool{KernelShape: []int{3, 3}, Pads: []int{1, 1, 1, 1}, Strides: []int{2, 2}}, []float32{3, 4, 6, 7}},
		{"average with padding", &AveragePool{KernelShape: []int{3, 3}, Pads: []int{1, 1, 1, 1}, Strides: []int{3, 3}, CountIncludePad: true}, []float32{12.0 / 9}},
		{"global average", &GlobalAveragePool{}, []float32{5}},
		{"global max", &GlobalMaxPool{}, []float32{9}},
	} {
		if got := tensor.Values[float32](evaluateNode(t, &graph.Node{Op: tc.op}, x)); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestProductsByHand(t *testing.T) {
	a := tensor.Of([]float32{1, 2, 3, 4, 5, 6}, 2, 3)
	b := tensor.Of([]float32{1, 0, 0, 1, 1, 1}, 3, 2)
	row := tensor.Of([]float32{10, 20}, 2)
	for _, tc := range []struct {
		name string
		op   Operator
		in   []*tensor.Tensor
		want []float32
	}{
		{"gemm", &Gemm{Alpha: 1, Beta: 1}, []*tensor.Tensor{a, b, row}, []float32{14, 25, 20, 31}},
		{"gemm, scaled", &Gemm{Alpha: 2, Beta: 0.5}, []*tensor.Tensor{a, b, row}, []float32{13, 20, 25, 32}},
		{"gemm, transposed", &Gemm{Alpha: 1, Beta: 1, TransA: true, TransB: true}, []*tensor.Tensor{b, a}, []float32{4, 10, 5, 11}},
		{"matmul", &MatMul{}, []*tensor.Tensor{a, b}, []float32{4, 5, 10, 11}},
		{"matmul by a vector", &MatMul{}, []*tensor.Tensor{a, tensor.Of([]float32{1, 1, 1}, 3)}, []float32{6, 15}},
		{"vector by matmul", &MatMul{}, []*tensor.Tensor{tensor.Of([]float32{1, 1, 1}, 3), b}, []float32{2, 2}},
		{"matmul, broadcast", &MatMul{}, []*tensor.Tensor{a.Reshape(2, 1, 3), b}, []float32{4, 5, 10, 11}},
		{"matmul of nothing", &MatMul{}, []*tensor.Tensor{tensor.New(tensor.Float32, 0, 3), b}, nil},
	} {
		if got := tensor.Values[float32](evaluateNode(t, &graph.Node{Op: tc.op}, tc.in...)); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}
