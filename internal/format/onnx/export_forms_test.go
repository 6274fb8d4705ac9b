package onnx

import (
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/quantize"
	"github.com/octet-nn/octet/tensor"
)

// TestDynamicNetworks writes networks whose activations are quantized as they run.
func TestDynamicNetworks(t *testing.T) {
	for _, name := range []string{"convolutions NHWC", "depthwise", "gemm", "residual", "softmax", "transposed convolution", "transposed convolution OHWI"} {
		t.Run(name, func(t *testing.T) {
			typed := quantizedNetwork(t, networks[name](t), quantize.Options{Scheme: quantize.Dynamic})
			dynamic := 0
			for _, n := range typed.Nodes {
				if n.Compute == graph.DynamicActivations {
					dynamic++
				}
			}
			if dynamic == 0 {
				t.Fatal("no node quantizes its activations")
			}
			file := written(t, typed, WriteOptions{})
			in := noise(typed.Inputs[0], 1)
			want := interpreted(t, typed, in)
			again, err := Read(file, Options{})
			if err != nil {
				t.Fatal(err)
			}
			near(t, interpreted(t, again, in), want, 1e-6)
			t.Run("ONNX Runtime", func(t *testing.T) { agree(t, file, typed, in, want, largest(want)/50) })
		})
	}
}

func largest(x *tensor.Tensor) float64 {
	most := 0.0
	for _, v := range op.Float64s(x) {
		most = max(most, math.Abs(v))
	}
	return most
}

// near compares floats; the error is relative to the largest.
func near(t *testing.T, got, want *tensor.Tensor, tolerance float64) {
	t.Helper()
	a, b := op.Float64s(got), op.Float64s(want)
	if len(a) != len(b) {
		t.Fatalf("%s, want %s", got, want)
	}
	most := largest(want)
	for i := range a {
		if d := math.Abs(a[i] - b[i]); !(d <= tolerance*most) {
			t.Fatalf("element %d is %v, want %v", i, a[i], b[i])
		}
	}
}

// forms is networks with representations that scheme-made ones do not have.
var forms = map[string]func(t *testing.T) *graph.Graph{
	"fake quantization": func(t *testing.T) *graph.Graph {
		b, x := newNetwork(1, 3, 6, 6)
		scalar := func(v float32) *graph.Value { return b.constant(tensor.Of([]float32{v})) }
		y := b.node(&op.FakeQuantize{Bits: 8}, x, scalar(0.03), scalar(120))
		w := b.node(&op.FakeQuantize{Bits: 8, Signed: true, Narrow: true}, b.weights(4, 3, 3, 3), scalar(0.007), scalar(0))
		y = b.node(&op.Conv{Clamp: relu6}, y, w)
		return b.output(t, b.node(&op.FakeQuantize{Bits: 8, Signed: true, Narrow: true}, y, scalar(0.01), scalar(-3)))
	},
	"fake quantization per channel": func(t *testing.T) *graph.Graph {
		b, x := newNetwork(2, 6)
		scales := b.constant(tensor.Of([]float32{0.01, 0.02, 0.03}, 3))
		w := b.node(&op.FakeQuantize{Bits: 4, Signed: true, Axis: 1}, b.weights(6, 3), scales, b.constant(tensor.Of([]int8{0, 1, -1}, 3)))
		return b.output(t, b.node(&op.MatMul{}, x, w))
	},
	"fake quantization with computed parameters": func(t *testing.T) *graph.Graph {
		b, x := newNetwork(2, 6)
		half := b.constant(tensor.Of([]float32{0.01}))
		scale := b.node(&op.Add{}, b.node(op.Lookup("ReduceMean"), b.node(op.Lookup("Abs"), x)), half)
		scale = b.node(&op.Mul{}, b.node(&op.Reshape{}, scale, b.constant(tensor.Of([]int64{}, 0))), half)
		zero := b.node(&op.Mul{}, scale, b.constant(tensor.Of([]float32{500})))
		return b.output(t, b.node(&op.FakeQuantize{Bits: 8, Signed: true}, x, scale, zero))
	},
	"quantization with computed parameters": func(t *testing.T) *graph.Graph {
		b, x := newNetwork(2, 6)
		scale := b.node(&op.Mul{}, b.constant(tensor.Of([]float32{0.02})), b.constant(tensor.Of([]float32{0.5})))
		zero := b.constant(tensor.Of([]uint8{100}))
		codes := b.node(&op.QuantizeLinear{Axis: 1}, x, scale, zero)
		return b.output(t, b.node(&op.DequantizeLinear{Axis: 1}, codes, scale, zero))
	},
	"4-bit weights": func(t *testing.T) *graph.Graph {
		b, x := newNetwork(2, 5)
		q := &graph.Quant{Scale: []float32{0.1, 0.2, 0.3}, ZeroPoint: []int32{0, 0, 0}, Axis: 1}
		w := b.constant(op.FromInt64s(tensor.Int4, []int{5, 3}, []int64{-8, 7, 1, 2, 3, -4, 5, 6, 0, -1, 2, 3, 4, -5, 7}))
		w.Type.Quant = q
		y := b.node(&op.MatMul{}, x, w)
		b.graph.Nodes[0].Compute = graph.WeightOnly
		return b.output(t, y)
	},
	"weights in blocks": func(t *testing.T) *graph.Graph {
		b, x := newNetwork(2, 6)
		q := &graph.Quant{Scale: []float32{0.1, 0.2, 0.3, 0.05}, ZeroPoint: []int32{0, 0, 0, 0}, Axis: 0, Block: 3}
		w := b.constant(tensor.Of([]int8{1, 2, 3, 4, 5, 6, -7, -8, -9, 10, 11, 12}, 6, 2))
		w.Type.Quant = q
		return b.output(t, b.node(&op.MatMul{}, x, b.node(&op.Dequantize{}, w)))
	},
	"half floats": func(t *testing.T) *graph.Graph {
		b, x := newNetwork(2, 6)
		h := b.node(&op.Cast{To: op.OutputType{DType: tensor.Float16}}, x)
		codes := b.node(&op.Quantize{}, h)
		codes.Type = graph.Type{DType: tensor.Uint8, Quant: graph.PerTensor(0.03, 100)}
		y := b.node(&op.Dequantize{}, codes)
		y.Type.DType = tensor.Float16
		return b.output(t, b.node(&op.Cast{To: op.OutputType{DType: tensor.Float32}}, b.node(&op.Swish{Alpha: 2}, y)))
	},
}

func TestForms(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(forms)) {
		t.Run(name, func(t *testing.T) {
			g := forms[name](t)
			file := written(t, g, WriteOptions{})
			in := noise(g.Inputs[0], 3)
			want := interpreted(t, g, in)
			again, err := Read(file, Options{})
			if err != nil {
				t.Fatal(err)
			}
			tolerance := 1e-6
			if name == "half floats" {
				tolerance = 2e-3
			}
			near(t, interpreted(t, again, in), want, tolerance)
			t.Run("ONNX Runtime", func(t *testing.T) { agree(t, file, g, in, want, tolerance*largest(want)) })
		})
	}
}

// TestWrittenSize says that codes are stored as such: a quantized file has about a quarter of the float one's size.
func TestWrittenSize(t *testing.T) {
	b, x := newNetwork(1, 64, 8, 8)
	y := b.node(&op.Conv{}, x, b.weights(96, 64, 3, 3), b.weights(96))
	g := b.output(t, b.node(&op.Conv{}, y, b.weights(64, 96, 3, 3), b.weights(64)))
	float := len(written(t, g, WriteOptions{}))
	for _, o := range []quantize.Options{{}, {Scheme: quantize.Dynamic}} {
		codes := len(written(t, quantizedNetwork(t, g.Clone(), o), WriteOptions{}))
		if ratio := float64(codes) / float64(float); ratio > 0.27 {
			t.Errorf("%s: %d bytes of %d, %.3f", o.Scheme, codes, float, ratio)
		}
	}
}

func TestMetadata(t *testing.T) {
	g := networks["gemm"](t)
	g.Metadata = map[string]string{"octet.arithmetic": "onnx", "author": "", "ü": "日本"}
	again, err := Read(written(t, g, WriteOptions{}), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(again.Metadata, g.Metadata) {
		t.Errorf("%v became %v", g.Metadata, again.Metadata)
	}
}
