package tflite

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/testdata"
	"github.com/octet-nn/octet/tensor"
)

// randomQuant is a quantization of int8 codes whose scale is around a size.
func randomQuant(r *rand.Rand, size float64) *graph.Quant {
	return graph.PerTensor(float32(size*math.Exp(r.Float64()*2-1)), int32(r.IntN(256)-128))
}

// randomSmalls are operators on codes with seeded scales and zero points, which decide how results are rounded.
func randomSmalls(seed uint64) []small {
	r := rand.New(rand.NewPCG(seed, 5))
	var list []small
	add := func(s small) { list = append(list, s) }
	in, out := randomQuant(r, 0.05), randomQuant(r, 0.05)
	weight := graph.PerTensor(float32(0.02*r.Float64()+0.001), 0)
	biases := func(n int) *tensor.Tensor {
		b := make([]int32, n)
		for i := range b {
			b[i] = int32(r.IntN(4001) - 2000)
		}
		return tensor.Of(b, n)
	}
	channels := perChannel(0, 6)
	for i := range channels.Scale {
		channels.Scale[i] *= float32(r.Float64() + 0.5)
	}
	mean := func(keep bool) *op.Reduce {
		m := op.NewReduce("ReduceMean")
		m.KeepDims = keep
		return m
	}
	add(small{name: "conv", op: &op.Conv{Layout: op.NHWC, Filter: op.OHWI, AutoPad: op.SameUpper}, in: []int{1, 9, 8, 5},
		others: []*tensor.Tensor{codes(6, 3, 3, 5), biases(6)}, codes: in, weight: channels, out: randomQuant(r, 0.2)})
	add(small{name: "depthwise", op: &op.Conv{Group: 6, Layout: op.NHWC, Filter: op.OHWI}, in: []int{1, 9, 8, 6},
		others: []*tensor.Tensor{codes(6, 3, 3, 1), biases(6)}, codes: in, weight: channels, out: randomQuant(r, 0.1)})
	add(small{name: "gemm", op: &op.Gemm{Alpha: 1, Beta: 1, TransB: true}, in: []int{7, 40},
		others: []*tensor.Tensor{codes(9, 40), biases(9)}, codes: in, weight: weight, out: randomQuant(r, 0.1)})
	add(small{name: "transposed conv", op: &op.ConvTranspose{Strides: []int{2, 2}, Layout: op.NHWC, Filter: op.OHWI}, in: []int{1, 5, 6, 5},
		others: []*tensor.Tensor{codes(6, 3, 3, 5)}, codes: in, weight: channels, out: randomQuant(r, 0.1)})
	for name, o := range map[string]graph.Operator{"add": &op.Add{}, "sub": &op.Sub{}, "mul": &op.Mul{}} {
		add(small{name: name, op: o, in: []int{23, 40}, others: []*tensor.Tensor{codes(23, 40)}, codes: in, weight: randomQuant(r, 0.05), out: out})
		add(small{name: name + " to rows", op: o, in: []int{23, 40}, others: []*tensor.Tensor{codes(40)}, codes: in, weight: randomQuant(r, 0.05), out: out})
		add(small{name: name + " to all", op: o, in: []int{23, 40}, others: []*tensor.Tensor{codes(1)}, codes: in, weight: randomQuant(r, 0.05), out: out})
	}
	add(small{name: "average pool", op: &op.AveragePool{KernelShape: []int{3, 2}, AutoPad: op.SameUpper, Layout: op.NHWC}, in: []int{1, 8, 8, 8}, codes: in, out: in})
	for name, same := range map[string]*graph.Quant{"": out, " of the same scale": in} {
		add(small{name: "mean of an image" + name, op: mean(true), in: []int{1, 7, 6, 40}, others: []*tensor.Tensor{ints(1, 2)}, codes: in, out: same})
		add(small{name: "mean of rows" + name, op: mean(false), in: []int{20, 13}, others: []*tensor.Tensor{ints(1)}, codes: in, out: same})
	}
	add(small{name: "softmax", op: &op.Softmax{Axis: -1}, in: []int{20, 13}, codes: in, out: graph.PerTensor(1.0/256, -128)})
	add(small{name: "sigmoid", op: op.NewFunction("Sigmoid"), in: []int{256}, codes: in, out: graph.PerTensor(1.0/256, -128)})
	add(small{name: "tanh", op: op.NewFunction("Tanh"), in: []int{256}, codes: in, out: graph.PerTensor(1.0/128, 0)})
	add(small{name: "relu", op: op.NewFunction("Relu"), in: []int{256}, codes: in, out: out})
	add(small{name: "hard swish", op: op.NewFunction("HardSwish"), in: []int{256}, codes: in, out: out})
	add(small{name: "leaky relu", op: &op.LeakyRelu{Alpha: r.Float32()}, in: []int{256}, codes: in, out: out})
	add(small{name: "requantize", op: &op.Requantize{}, in: []int{256}, codes: in, out: out})
	for _, mode := range []op.CoordinateTransform{op.HalfPixel, op.AlignCorners, op.Asymmetric} {
		add(small{name: fmt.Sprintf("bilinear %s", mode), op: &op.Resize{Mode: op.ResizeLinear, CoordinateTransformation: mode}, in: []int{1, 3, 4, 5},
			others: []*tensor.Tensor{nil, nil, ints(1, 3, 8+int64(r.IntN(4)), 7)}, codes: in, out: in})
	}
	return list
}

// wideSmalls are operators on 16-bit codes with seeded scales.
func wideSmalls(seed uint64) []small {
	r := rand.New(rand.NewPCG(seed, 6))
	var list []small
	add := func(s small) { s.wide = true; list = append(list, s) }
	scale := func(size float64) *graph.Quant { return graph.PerTensor(float32(size*math.Exp(r.Float64()*2-1)), 0) }
	in, out := scale(0.0002), scale(0.0002)
	channels := perChannel(0, 6)
	for i := range channels.Scale {
		channels.Scale[i] *= float32(r.Float64() + 0.5)
	}
	biases := func(n int) *tensor.Tensor {
		b := make([]int64, n)
		for i := range b {
			b[i] = int64(r.IntN(4000001) - 2000000)
		}
		return tensor.Of(b, n)
	}
	wide := func(shape ...int) *tensor.Tensor {
		t := tensor.New(tensor.Int16, shape...)
		for i := range t.Bytes() {
			t.Bytes()[i] = byte(r.Uint32())
		}
		return t
	}
	add(small{name: "conv", op: &op.Conv{Layout: op.NHWC, Filter: op.OHWI, AutoPad: op.SameUpper}, in: []int{1, 9, 8, 5},
		others: []*tensor.Tensor{codes(6, 3, 3, 5), biases(6)}, codes: in, weight: channels, out: scale(0.001)})
	add(small{name: "depthwise", op: &op.Conv{Group: 6, Layout: op.NHWC, Filter: op.OHWI}, in: []int{1, 9, 8, 6},
		others: []*tensor.Tensor{codes(6, 3, 3, 1), biases(6)}, codes: in, weight: channels, out: scale(0.0005)})
	add(small{name: "gemm", op: &op.Gemm{Alpha: 1, Beta: 1, TransB: true}, in: []int{7, 40},
		others: []*tensor.Tensor{codes(9, 40), biases(9)}, codes: in, weight: graph.PerTensor(float32(0.02*r.Float64()+0.001), 0), out: scale(0.0005)})
	for name, o := range map[string]graph.Operator{"add": &op.Add{}, "sub": &op.Sub{}, "mul": &op.Mul{}} {
		add(small{name: name, op: o, in: []int{23, 40}, others: []*tensor.Tensor{wide(23, 40)}, codes: in, weight: scale(0.0002), out: out})
	}
	add(small{name: "average pool", op: &op.AveragePool{KernelShape: []int{3, 2}, AutoPad: op.SameUpper, Layout: op.NHWC}, in: []int{1, 8, 8, 8}, codes: in, out: in})
	add(small{name: "softmax", op: &op.Softmax{Axis: -1}, in: []int{20, 13}, codes: in, out: graph.PerTensor(1.0/32768, 0)})
	for _, q := range []*graph.Quant{in, graph.PerTensor(1./4096, 0)} {
		add(small{name: "sigmoid", op: op.NewFunction("Sigmoid"), in: []int{256}, codes: q, out: graph.PerTensor(1.0/32768, 0)})
		add(small{name: "tanh", op: op.NewFunction("Tanh"), in: []int{256}, codes: q, out: graph.PerTensor(1.0/32768, 0)})
	}
	add(small{name: "leaky relu", op: &op.LeakyRelu{Alpha: r.Float32()}, in: []int{256}, codes: in, out: out})
	add(small{name: "relu", op: op.NewFunction("Relu"), in: []int{256}, codes: in, out: in})
	add(small{name: "requantize", op: &op.Requantize{}, in: []int{256}, codes: in, out: out})
	add(small{name: "mean of an image", op: op.NewReduce("ReduceMean"), in: []int{1, 7, 6, 40}, others: []*tensor.Tensor{ints(1, 2)}, codes: in, out: out})
	return list
}

// TestRowTFLite compares the row tflite with stock TensorFlow Lite, operator by operator, for seeded scales.
func TestRowTFLite(t *testing.T) {
	stock := testdata.OpenTFLite(t)
	seeds := 4
	if testing.Short() {
		seeds = 1
	}
	for seed := range seeds {
		for _, s := range append(randomSmalls(uint64(seed)), wideSmalls(uint64(seed))...) {
			t.Run(fmt.Sprintf("%s/%v/%d", s.name, s.wide, seed), func(t *testing.T) {
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
				got, err := tensor.FromBytes(want.DType(), want.Shape(), stock.Run(t, path, []*tensor.Tensor{s.input()}, 1)[0])
				if err != nil {
					t.Fatal(err)
				}
				different := 0
				for i, b := range want.Bytes() {
					if got.Bytes()[i] != b {
						different++
					}
				}
				if different > 0 {
					t.Errorf("%d of %d codes differ", different, want.Len())
				}
			})
		}
	}
}
