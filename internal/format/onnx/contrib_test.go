package onnx

import (
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

// TestContribOperators compares ONNX Runtime's own operators with ONNX Runtime.
func TestContribOperators(t *testing.T) {
	peer := testdata.OpenORT(t)
	r := rand.New(rand.NewPCG(1, 2))
	floats := func(shape ...int) *tensor.Tensor {
		values := make([]float32, tensorLen(shape))
		for i := range values {
			values[i] = float32(r.NormFloat64())
		}
		return tensor.Of(values, shape...)
	}
	bytes := func(shape ...int) *tensor.Tensor {
		values := make([]uint8, tensorLen(shape))
		for i := range values {
			values[i] = uint8(r.IntN(256))
		}
		return tensor.Of(values, shape...)
	}
	scale := func(v float32) *tensor.Tensor { return tensor.Of([]float32{v}) }
	zero := func(v uint8) *tensor.Tensor { return tensor.Of([]uint8{v}) }
	number := func(name string, v int) func(w *attributeWriter) {
		return func(w *attributeWriter) { w.number(name, v) }
	}
	real := func(name string, v float32) func(w *attributeWriter) {
		return func(w *attributeWriter) { w.real(name, v) }
	}
	text := func(name, v string) func(w *attributeWriter) { return func(w *attributeWriter) { w.text(name, v) } }
	type input struct {
		t        *tensor.Tensor
		constant bool
	}
	given := func(t *tensor.Tensor) input { return input{t, false} }
	fixed := func(t *tensor.Tensor) input { return input{t, true} }
	for name, c := range map[string]struct {
		operator   string
		output     tensor.DType
		attributes []func(w *attributeWriter)
		inputs     []input
	}{
		"MatMulNBits 4": {"MatMulNBits", tensor.Float32, []func(w *attributeWriter){number("bits", 4), number("N", 5), number("K", 64), number("block_size", 32)},
			[]input{given(floats(3, 64)), fixed(bytes(5, 2, 16)), fixed(floats(10))}},
		"MatMulNBits 4 zero points": {"MatMulNBits", tensor.Float32, []func(w *attributeWriter){number("bits", 4), number("N", 3), number("K", 80), number("block_size", 16)},
			[]input{given(floats(2, 80)), fixed(bytes(3, 5, 8)), fixed(floats(15)), fixed(bytes(9))}},
		"QLinearWhere": {"QLinearWhere", tensor.Uint8, nil, []input{fixed(tensor.Of([]bool{true, false, true, false}, 2, 2)), given(bytes(2, 2)), fixed(scale(0.5)), fixed(zero(10)),
			given(bytes(2, 2)), fixed(scale(0.25)), fixed(zero(200)), fixed(scale(0.3)), fixed(zero(100))}},
		"FusedConv": {"FusedConv", tensor.Float32, []func(w *attributeWriter){text("activation", "Relu")}, []input{given(floats(1, 2, 5, 5)), fixed(floats(3, 2, 3, 3)), fixed(floats(3)), given(floats(1, 3, 3, 3))}},
		"FusedGemm": {"FusedGemm", tensor.Float32, []func(w *attributeWriter){text("activation", "LeakyRelu"), real("activation_alpha", 0.3), number("transB", 1)},
			[]input{given(floats(2, 4)), fixed(floats(3, 4)), fixed(floats(3))}},
		"FusedMatMul":            {"FusedMatMul", tensor.Float32, []func(w *attributeWriter){number("transA", 1), real("alpha", 0.5)}, []input{given(floats(2, 4, 3)), given(floats(2, 4, 5))}},
		"Gelu":                   {"Gelu", tensor.Float32, nil, []input{given(floats(3, 4))}},
		"FastGelu":               {"FastGelu", tensor.Float32, nil, []input{given(floats(3, 4)), fixed(floats(4))}},
		"BiasGelu":               {"BiasGelu", tensor.Float32, nil, []input{given(floats(3, 4)), fixed(floats(4))}},
		"QuickGelu":              {"QuickGelu", tensor.Float32, nil, []input{given(floats(3, 4))}},
		"SkipLayerNormalization": {"SkipLayerNormalization", tensor.Float32, []func(w *attributeWriter){real("epsilon", 1e-5)}, []input{given(floats(2, 3, 8)), given(floats(2, 3, 8)), fixed(floats(8)), fixed(floats(8)), fixed(floats(8))}},
	} {
		t.Run(name, func(t *testing.T) {
			var node, body []byte
			feeds := map[string]*tensor.Tensor{}
			var order []*tensor.Tensor
			for i, in := range c.inputs {
				called := fmt.Sprintf("x%d", i)
				node = appendMessage(node, 1, []byte(called))
				if in.constant {
					body = appendMessage(body, 5, tensorMessage(called, in.t))
					continue
				}
				body = appendMessage(body, 11, valueMessage(&graph.Value{Name: called, Type: graph.TypeOf(in.t)}))
				feeds[called] = in.t
				order = append(order, in.t)
			}
			node = appendMessage(appendMessage(appendMessage(node, 2, []byte("y")), 4, []byte(c.operator)), 7, []byte("com.microsoft"))
			w := &attributeWriter{}
			for _, a := range c.attributes {
				a(w)
			}
			out := appendMessage(nil, 2, appendMessage(nil, 1, appendNumber(nil, 1, dtypeNumber(c.output))))
			body = appendMessage(appendMessage(body, 1, append(node, w.encoded...)), 12, append(appendMessage(nil, 1, []byte("y")), out...))
			model := appendMessage(appendNumber(nil, 1, 8), 7, appendMessage(body, 2, []byte("g")))
			model = appendMessage(appendMessage(model, 8, appendNumber(nil, 2, 17)), 8, appendNumber(appendMessage(nil, 1, []byte("com.microsoft")), 2, 1))
			g, err := Read(model, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if err := op.CheckSupported(g); err != nil {
				t.Fatal(err)
			}
			results, err := op.Run(t.Context(), g, order)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "model.onnx")
			if err := os.WriteFile(file, model, 0o600); err != nil {
				t.Fatal(err)
			}
			raw := peer.Run(t, file, "all", feeds, "y")["y"]
			want, err := tensor.FromBytes(c.output, results[0].Shape(), raw)
			if err != nil {
				t.Fatal(err)
			}
			a, b := op.Float64s(results[0]), op.Float64s(want)
			for i := range b {
				if tolerance := 1e-5 * (1 + math.Abs(b[i])); math.Abs(a[i]-b[i]) > tolerance {
					t.Errorf("element %d is %v, ONNX Runtime has %v", i, a[i], b[i])
				}
			}
		})
	}
}

func tensorLen(shape []int) int {
	n, _ := tensor.Count(shape)
	return n
}
