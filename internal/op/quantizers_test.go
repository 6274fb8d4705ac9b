package op

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/tensor"
	"pgregory.net/rapid"
)

func TestLinearQuantizationByHand(t *testing.T) {
	scalarOf := func(v float32) *tensor.Tensor { return tensor.Of([]float32{v}) }
	matrix := tensor.Of([]float32{1, 2, 3, 4, 5, 6, 7, 8}, 2, 4)
	for _, tc := range []struct {
		name  string
		op    Operator
		in    []*tensor.Tensor
		dtype tensor.DType
		want  []float64
	}{
		{"halves go to even, NaN to the zero point, infinities saturate", &QuantizeLinear{Axis: 1},
			[]*tensor.Tensor{floats(-1, 1, 3, 1000, -1000, nan, inf, -inf), scalarOf(2), tensor.Of([]uint8{128})},
			tensor.Uint8, []float64{128, 128, 130, 255, 0, 128, 255, 0}},
		{"no zero point", &QuantizeLinear{Axis: 1}, []*tensor.Tensor{floats(-1, 2), scalarOf(1)}, tensor.Uint8, []float64{0, 2}},
		{"declared output", &QuantizeLinear{Axis: 1, Output: OutputType{tensor.Int16}}, []*tensor.Tensor{floats(-1e6, 300), scalarOf(1)},
			tensor.Int16, []float64{math.MinInt16, 300}},
		{"4 bits", &QuantizeLinear{Axis: 1}, []*tensor.Tensor{floats(-100, -3, 100), scalarOf(1), FromInt64s(tensor.Int4, []int{}, []int64{1})},
			tensor.Int4, []float64{-8, -2, 7}},
		{"half scale, integer input", &QuantizeLinear{Axis: 1}, []*tensor.Tensor{tensor.Of([]int32{3, 300}, 2), FromFloat32s(tensor.Float16, []int{}, []float32{0.5}), tensor.Of([]int8{0})},
			tensor.Int8, []float64{6, 127}},
		{"per row", &QuantizeLinear{Axis: -2}, []*tensor.Tensor{matrix, floats(1, 2), tensor.Of([]uint8{0, 10}, 2)},
			tensor.Uint8, []float64{1, 2, 3, 4, 12, 13, 14, 14}},
		{"blocks", &QuantizeLinear{Axis: 1, BlockSize: 3}, []*tensor.Tensor{matrix, tensor.Of([]float32{1, 2, 4, 8}, 2, 2)},
			tensor.Uint8, []float64{1, 2, 3, 2, 1, 2, 2, 1}},
		{"dequantize per column", &DequantizeLinear{Axis: 1}, []*tensor.Tensor{tensor.Of([]int8{-1, 2, 3, 4}, 2, 2), floats(0.5, 2), tensor.Of([]int8{1, 0}, 2)},
			tensor.Float32, []float64{-1, 4, 1, 8}},
		{"dequantize sums", &DequantizeLinear{Axis: 0}, []*tensor.Tensor{tensor.Of([]int32{1 << 24, -5}, 2), scalarOf(0.5)},
			tensor.Float32, []float64{1 << 23, -2.5}},
		{"dequantize blocks of 4 bits to halves", &DequantizeLinear{Axis: 0, BlockSize: 2},
			[]*tensor.Tensor{FromInt64s(tensor.Uint4, []int{3}, []int64{15, 1, 8}), FromFloat32s(tensor.Float16, []int{2}, []float32{0.5, 2})},
			tensor.Float16, []float64{7.5, 0.5, 16}},
		{"fake", &FakeQuantize{Signed: true}, []*tensor.Tensor{floats(-300, 0.3, nan, 300), scalarOf(1), scalarOf(3)},
			tensor.Float32, []float64{-131, 0, 0, 124}},
		{"fake, narrow, per channel", &FakeQuantize{Bits: 4, Signed: true, Narrow: true, Axis: -1}, []*tensor.Tensor{floats(-100, 100), floats(1, 2)},
			tensor.Float32, []float64{-7, 14}},
		{"cast saturates", &Cast{To: OutputType{tensor.Int8}}, []*tensor.Tensor{floats(-1.9, 1.9, 1000, -inf, nan)}, tensor.Int8, []float64{-1, 1, 127, -128, 0}},
		{"cast to 4 bits wraps", &Cast{To: OutputType{tensor.Int4}}, []*tensor.Tensor{floats(-9, -8.5, 7, 8)}, tensor.Int4, []float64{7, -8, 7, -8}},
		{"cast of integers wraps", &Cast{To: OutputType{tensor.Uint8}}, []*tensor.Tensor{ints(-1, 257)}, tensor.Uint8, []float64{255, 1}},
		{"cast to bool", &Cast{To: OutputType{tensor.Bool}}, []*tensor.Tensor{floats(0, 0.5, nan)}, tensor.Bool, []float64{0, 1, 1}},
		{"cast of large integers", &Cast{To: OutputType{tensor.Float64}}, []*tensor.Tensor{tensor.Of([]uint64{math.MaxUint64}, 1)}, tensor.Float64, []float64{1 << 64}},
	} {
		y := evaluateNode(t, &graph.Node{Op: tc.op}, tc.in...)
		if y.DType() != tc.dtype || !slices.Equal(Float64s(y), tc.want) {
			t.Errorf("%s: %s %v, want %s %v", tc.name, y, Float64s(y), tc.dtype, tc.want)
		}
	}
}

func TestDynamicQuantizeLinearByHand(t *testing.T) {
	n := &graph.Node{Op: &DynamicQuantizeLinear{}, Outputs: []*graph.Value{{}, {}, {}}}
	out, err := Evaluate(context.Background(), n, []*tensor.Tensor{floats(0, 2, -3, -2.5, 1.34, 0.5)})
	if err != nil {
		t.Fatal(err)
	}
	// The example of the ONNX operator's documentation.
	if !slices.Equal(tensor.Values[uint8](out[0]), []uint8{153, 255, 0, 26, 221, 179}) ||
		!near(tensor.Values[float32](out[1])[0], 5.0/255) || tensor.Values[uint8](out[2])[0] != 153 {
		t.Errorf("%v, scale %v, zero point %v", tensor.Values[uint8](out[0]), tensor.Values[float32](out[1]), tensor.Values[uint8](out[2]))
	}
}

// The typed operators, the ONNX ones with parameters as operands, and FakeQuantize are spellings of one thing; and
// real numbers that codes stand for keep their codes.
func TestSpellingsOfQuantizationAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dtype := rapid.SampledFrom([]tensor.DType{tensor.Uint8, tensor.Int8, tensor.Int16, tensor.Uint16, tensor.Int4}).Draw(t, "dtype")
		lowest, highest := dtype.Limits()
		channels := rapid.IntRange(1, 3).Draw(t, "channels")
		q := &graph.Quant{Axis: 1}
		var zeros []int64
		for range channels {
			q.Scale = append(q.Scale, rapid.Float32Range(1e-3, 10).Draw(t, "scale"))
			zeros = append(zeros, rapid.Int64Range(lowest, highest).Draw(t, "zero"))
			q.ZeroPoint = append(q.ZeroPoint, int32(zeros[len(zeros)-1]))
		}
		x := tensor.Of(rapid.SliceOfN(rapid.Float32(), 2*channels, 2*channels).Draw(t, "x"), 2, channels)
		typed := func() *graph.Value { return &graph.Value{Type: graph.Type{DType: dtype, Quant: q}} }
		codes := evaluateNode(t, &graph.Node{Op: &Quantize{}, Outputs: []*graph.Value{typed()}}, x)
		scale, zero := floats(q.Scale...), FromInt64s(dtype, []int{channels}, zeros)
		linear := evaluateNode(t, &graph.Node{Op: &QuantizeLinear{Axis: 1}}, x, scale, zero)
		if !slices.Equal(codes.Bytes(), linear.Bytes()) {
			t.Fatal("QuantizeLinear", Int64s(linear), "Quantize", Int64s(codes))
		}
		held := typed()
		held.Type.Shape = graph.FixedShape(2, channels)
		reals := evaluateNode(t, &graph.Node{Op: &Dequantize{}, Inputs: []*graph.Value{held}}, codes)
		back := evaluateNode(t, &graph.Node{Op: &DequantizeLinear{Axis: 1}}, codes, scale, zero)
		fake := evaluateNode(t, &graph.Node{Op: &FakeQuantize{Bits: dtype.Bits(), Signed: dtype.IsSigned(), Axis: 1}}, x, scale, zero)
		if !slices.Equal(reals.Bytes(), back.Bytes()) || !slices.Equal(reals.Bytes(), fake.Bytes()) {
			t.Fatal("Dequantize", Float32s(reals), "DequantizeLinear", Float32s(back), "FakeQuantize", Float32s(fake))
		}
		again := evaluateNode(t, &graph.Node{Op: &Quantize{}, Outputs: []*graph.Value{typed()}}, reals)
		same := evaluateNode(t, &graph.Node{Op: &Requantize{}, Inputs: []*graph.Value{held}, Outputs: []*graph.Value{typed()}}, codes)
		if !slices.Equal(codes.Bytes(), again.Bytes()) || !slices.Equal(codes.Bytes(), same.Bytes()) {
			t.Fatal("codes", Int64s(codes), "quantized again", Int64s(again), "requantized", Int64s(same))
		}
	})
}

func TestMalformedQuantizationIsAnError(t *testing.T) {
	x := tensor.Of([]float32{1, 2, 3, 4}, 2, 2)
	codes := tensor.Of([]uint8{1, 2, 3, 4}, 2, 2)
	for _, tc := range []struct {
		op   Operator
		in   []*tensor.Tensor
		want string
	}{
		{&QuantizeLinear{Axis: 2}, []*tensor.Tensor{x, floats(1, 1)}, "axis 2"},
		{&QuantizeLinear{Axis: 1}, []*tensor.Tensor{x, floats(1, 1, 1)}, "3 scales"},
		{&QuantizeLinear{Axis: 1}, []*tensor.Tensor{x, floats(1, 1), tensor.Of([]uint8{1}, 1)}, "zero point"},
		{&QuantizeLinear{Axis: 1}, []*tensor.Tensor{x, ints(1)}, "scale is"},
		{&QuantizeLinear{Axis: 1, BlockSize: -1}, []*tensor.Tensor{x, floats(1)}, "blocks"},
		{&DequantizeLinear{Axis: 1}, []*tensor.Tensor{x, floats(1)}, "wants integers"},
		{&FakeQuantize{Axis: 5}, []*tensor.Tensor{x, floats(1, 1)}, "axis 5"},
		{&FakeQuantize{}, []*tensor.Tensor{x, floats(1), ints(1, 2)}, "zero point"},
		{&FakeQuantize{Bits: 40}, []*tensor.Tensor{x, floats(1)}, "40 bits"},
		{&Quantize{}, []*tensor.Tensor{x}, "not quantized"},
		{&Dequantize{}, []*tensor.Tensor{codes}, "not quantized"},
		{&Requantize{}, []*tensor.Tensor{codes}, "not quantized"},
		{&DynamicQuantizeLinear{}, []*tensor.Tensor{codes}, "wants floats"},
		{&Cast{}, []*tensor.Tensor{x}, "not known"},
	} {
		n := &graph.Node{Op: tc.op, Outputs: []*graph.Value{{}}}
		for range tc.in {
			n.Inputs = append(n.Inputs, &graph.Value{})
		}
		if _, err := Evaluate(context.Background(), n, tc.in); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want an error with %q", tc.op.Type(), err, tc.want)
		}
	}
}
