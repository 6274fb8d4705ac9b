package onnx

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// qlinearCase is a model of one operator on codes. Its operands are x, of the shape given, and constants.
type qlinearCase struct {
	domain, operator string
	shape            []int
	attributes       []byte
	operands         []*tensor.Tensor // a nil one is x
}

func scaleOf(s ...float32) *tensor.Tensor {
	if len(s) == 1 {
		return tensor.Of(s)
	}
	return tensor.Of(s, len(s))
}

func zeroOf[T uint8 | int8](z T) *tensor.Tensor { return tensor.Of([]T{z}) }

func codesOf[T uint8 | int8 | int32](seed uint64, width int64, shape ...int) *tensor.Tensor {
	random := rand.New(rand.NewPCG(seed, 9))
	n, _ := tensor.Count(shape)
	values := make([]T, n)
	for i := range values {
		values[i] = T(random.Int64N(width))
	}
	return tensor.Of(values, shape...)
}

func repeated(name string, values ...int) []byte {
	b := appendMessage(nil, 1, []byte(name))
	for _, v := range values {
		b = appendNumber(b, 8, v)
	}
	return appendMessage(nil, 5, appendNumber(b, 20, 7))
}

// TestQLinear compares operators on codes with ONNX Runtime's: 99.9 % equal, the rest within a step.
func TestQLinear(t *testing.T) {
	const contrib = "com.microsoft"
	sx, zx, sy, zy := scaleOf(0.02), zeroOf[uint8](110), scaleOf(0.05), zeroOf[uint8](120)
	weights := codesOf[int8](1, 256, 4, 3, 3, 3)
	for i, c := range []qlinearCase{
		{"", "QLinearConv", []int{1, 3, 7, 7}, nil, []*tensor.Tensor{nil, sx, zx, weights, scaleOf(0.01, 0.02, 0.03, 0.005),
			tensor.Of(make([]int8, 4), 4), sy, zy, codesOf[int32](2, 2000, 4)}},
		{"", "QLinearMatMul", []int{5, 8}, nil, []*tensor.Tensor{nil, sx, zx, codesOf[uint8](3, 256, 8, 6), scaleOf(0.01), zeroOf[uint8](128), sy, zy}},
		{contrib, "QGemm", []int{5, 8}, integer("transB", 1), []*tensor.Tensor{nil, sx, zx, codesOf[int8](4, 256, 6, 8), scaleOf(0.01), zeroOf[int8](0),
			codesOf[int32](5, 3000, 6), sy, zy}},
		{contrib, "QLinearAdd", []int{3, 40}, nil, []*tensor.Tensor{nil, sx, zx, codesOf[uint8](6, 256, 3, 40), scaleOf(0.03), zeroOf[uint8](90), sy, zy}},
		{contrib, "QLinearMul", []int{3, 40}, nil, []*tensor.Tensor{nil, sx, zx, codesOf[uint8](7, 256, 40), scaleOf(0.03), zeroOf[uint8](90), sy, zy}},
		{contrib, "QLinearConcat", []int{2, 3, 4}, integer("axis", 1), []*tensor.Tensor{sy, zy, nil, sx, zx, codesOf[uint8](8, 256, 2, 5, 4), scaleOf(0.04), zeroOf[uint8](7)}},
		{contrib, "QLinearGlobalAveragePool", []int{2, 9, 5, 5}, nil, []*tensor.Tensor{nil, sx, zx, scaleOf(0.011), zy}},
		{contrib, "QLinearAveragePool", []int{1, 4, 8, 8}, repeated("kernel_shape", 3, 3), []*tensor.Tensor{nil, sx, zx, scaleOf(0.013), zy}},
		{contrib, "QLinearLeakyRelu", []int{4, 64}, nil, []*tensor.Tensor{nil, sx, zx, scaleOf(0.011), zy}},
		{contrib, "QLinearSigmoid", []int{4, 64}, nil, []*tensor.Tensor{nil, sx, zx, scaleOf(1. / 256), zeroOf[uint8](0)}},
		{contrib, "QLinearSoftmax", []int{4, 16}, append(integer("axis", -1), integer("opset", 13)...), []*tensor.Tensor{nil, sx, zx, scaleOf(1. / 256), zeroOf[uint8](0)}},
	} {
		t.Run(c.operator, func(t *testing.T) {
			x := codesOf[uint8](uint64(100+i), 256, c.shape...)
			file := c.model()
			g, err := Read(file, Options{})
			if err != nil {
				t.Fatal(err)
			}
			in := map[string]*tensor.Tensor{"x": x}
			got := interpreted(t, g, in)
			want := runORT(t, file, got, in, "y")
			a, b := op.Int64s(got), op.Int64s(want)
			different := 0
			for i := range a {
				if d := a[i] - b[i]; d < -1 || d > 1 {
					t.Fatalf("code %d is %d, ONNX Runtime has %d", i, a[i], b[i])
				} else if d != 0 {
					different++
				}
			}
			if different > len(a)/1000 {
				t.Errorf("%d of %d codes differ by a step", different, len(a))
			}
		})
	}
}

// model is the case as a file.
func (c qlinearCase) model() []byte {
	var node, body []byte
	for i, o := range c.operands {
		name := "x"
		if o != nil {
			name = fmt.Sprintf("w%d", i)
			body = appendMessage(body, 5, tensorMessage(name, o))
		}
		node = appendMessage(node, 1, []byte(name))
	}
	node = appendMessage(appendMessage(node, 2, []byte("y")), 4, []byte(c.operator))
	node = append(appendMessage(node, 7, []byte(c.domain)), c.attributes...)
	typed := func(name string, dtype tensor.DType, shape []int) []byte {
		typ := appendNumber(nil, 1, dtypeNumber(dtype))
		if shape != nil {
			var dims []byte
			for _, d := range shape {
				dims = appendMessage(dims, 1, appendNumber(nil, 1, d))
			}
			typ = appendMessage(typ, 2, dims)
		}
		return appendMessage(appendMessage(nil, 1, []byte(name)), 2, appendMessage(nil, 1, typ))
	}
	body = appendMessage(append(appendMessage(nil, 1, node), body...), 2, []byte("one"))
	body = appendMessage(body, 11, typed("x", tensor.Uint8, c.shape))
	body = appendMessage(body, 12, typed("y", tensor.Uint8, nil))
	m := appendMessage(appendNumber(nil, 1, 8), 7, body)
	m = appendMessage(m, 8, appendNumber(nil, 2, 13))
	return appendMessage(m, 8, appendNumber(appendMessage(nil, 1, []byte("com.microsoft")), 2, 1))
}
