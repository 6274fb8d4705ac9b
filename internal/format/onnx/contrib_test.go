package onnx

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/octet-nn/octet/internal/compile"
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
	absent := input{}
	ints := func(below int, shape ...int) *tensor.Tensor {
		values := make([]int32, tensorLen(shape))
		for i := range values {
			values[i] = int32(r.IntN(below))
		}
		return tensor.Of(values, shape...)
	}
	codes := func(shape ...int) *tensor.Tensor { // without those that some kernels saturate on
		values := make([]int8, tensorLen(shape))
		for i := range values {
			values[i] = int8(r.IntN(127) - 63)
		}
		return tensor.Of(values, shape...)
	}
	positive := func(shape ...int) *tensor.Tensor {
		t := floats(shape...)
		for i, v := range tensor.Values[float32](t) {
			tensor.Values[float32](t)[i] = 0.01 + 0.01*float32(math.Abs(float64(v)))
		}
		return t
	}
	numbers := func(name string, v ...int) func(w *attributeWriter) {
		return func(w *attributeWriter) { w.numbers(name, v) }
	}
	attributes := func(a ...func(w *attributeWriter)) []func(w *attributeWriter) { return a }
	f32, u8 := tensor.Float32, tensor.Uint8
	mask := tensor.Of([]int32{1, 1, 1, 0, 1, 1, 0, 0}, 2, 4)
	embeddings := []input{given(ints(9, 2, 4)), given(ints(2, 2, 4)), fixed(floats(9, 8)), fixed(floats(6, 8)), fixed(floats(2, 8)), fixed(floats(8)), fixed(floats(8))}
	quantized := []input{given(ints(9, 2, 4)), given(ints(2, 2, 4)), fixed(bytes(9, 8)), fixed(bytes(6, 8)), fixed(bytes(2, 8)), fixed(bytes(8)), fixed(bytes(8)), given(mask),
		fixed(scale(0.02)), fixed(scale(0.03)), fixed(scale(0.01)), fixed(scale(0.04)), fixed(scale(0.05)), fixed(zero(100)), fixed(zero(110)), fixed(zero(120)), fixed(zero(130)), fixed(zero(90))}
	for name, c := range map[string]struct {
		operator   string
		output     tensor.DType
		attributes []func(w *attributeWriter)
		inputs     []input
		more       []tensor.DType // other outputs
		tolerance  float64        // 0 means 1e-5
		domain     string         // "" means ONNX Runtime's own
		opset      int            // 0 means 21
	}{
		"MatMulNBits 4":             {operator: "MatMulNBits", output: tensor.Float32, attributes: []func(w *attributeWriter){number("bits", 4), number("N", 5), number("K", 64), number("block_size", 32)}, inputs: []input{given(floats(3, 64)), fixed(bytes(5, 2, 16)), fixed(floats(10))}},
		"MatMulNBits 4 zero points": {operator: "MatMulNBits", output: tensor.Float32, attributes: []func(w *attributeWriter){number("bits", 4), number("N", 3), number("K", 80), number("block_size", 16)}, inputs: []input{given(floats(2, 80)), fixed(bytes(3, 5, 8)), fixed(floats(15)), fixed(bytes(9))}},
		"QLinearWhere": {operator: "QLinearWhere", output: tensor.Uint8, inputs: []input{fixed(tensor.Of([]bool{true, false, true, false}, 2, 2)), given(bytes(2, 2)), fixed(scale(0.5)), fixed(zero(10)),
			given(bytes(2, 2)), fixed(scale(0.25)), fixed(zero(200)), fixed(scale(0.3)), fixed(zero(100))}},
		"FusedConv":              {operator: "FusedConv", output: tensor.Float32, attributes: []func(w *attributeWriter){text("activation", "Relu")}, inputs: []input{given(floats(1, 2, 5, 5)), fixed(floats(3, 2, 3, 3)), fixed(floats(3)), given(floats(1, 3, 3, 3))}},
		"FusedGemm":              {operator: "FusedGemm", output: tensor.Float32, attributes: []func(w *attributeWriter){text("activation", "LeakyRelu"), real("activation_alpha", 0.3), number("transB", 1)}, inputs: []input{given(floats(2, 4)), fixed(floats(3, 4)), fixed(floats(3))}},
		"FusedMatMul":            {operator: "FusedMatMul", output: tensor.Float32, attributes: []func(w *attributeWriter){number("transA", 1), real("alpha", 0.5)}, inputs: []input{given(floats(2, 4, 3)), given(floats(2, 4, 5))}},
		"Gelu":                   {operator: "Gelu", output: tensor.Float32, inputs: []input{given(floats(3, 4))}},
		"FastGelu":               {operator: "FastGelu", output: tensor.Float32, inputs: []input{given(floats(3, 4)), fixed(floats(4))}},
		"BiasGelu":               {operator: "BiasGelu", output: tensor.Float32, inputs: []input{given(floats(3, 4)), fixed(floats(4))}},
		"QuickGelu":              {operator: "QuickGelu", output: tensor.Float32, inputs: []input{given(floats(3, 4))}},
		"SkipLayerNormalization": {operator: "SkipLayerNormalization", output: tensor.Float32, attributes: []func(w *attributeWriter){real("epsilon", 1e-5)}, inputs: []input{given(floats(2, 3, 8)), given(floats(2, 3, 8)), fixed(floats(8)), fixed(floats(8)), fixed(floats(8))}},

		"MatMulNBits 8": {operator: "MatMulNBits", output: f32, attributes: attributes(number("bits", 8), number("N", 5), number("K", 64), number("block_size", 32)),
			inputs: []input{given(floats(3, 64)), fixed(bytes(5, 2, 32)), fixed(positive(10)), fixed(bytes(10))}},
		"MatMulNBits groups": {operator: "MatMulNBits", output: f32, attributes: attributes(number("bits", 4), number("N", 3), number("K", 32), number("block_size", 16)),
			inputs: []input{given(floats(2, 32)), fixed(bytes(3, 2, 8)), fixed(positive(6)), absent, fixed(ints(2, 32))}}, // ONNX Runtime leaves zero points out of account here
		"MatMulNBits real zero points": {operator: "MatMulNBits", output: f32, attributes: attributes(number("bits", 4), number("N", 3), number("K", 32), number("block_size", 16)),
			inputs: []input{given(floats(2, 32)), fixed(bytes(3, 2, 8)), fixed(positive(6)), fixed(floats(6))}},
		"FusedMatMul batch": {operator: "FusedMatMul", output: f32, attributes: attributes(number("transBatchA", 1), number("transBatchB", 1), number("transB", 1)),
			inputs: []input{given(floats(3, 2, 4)), given(floats(5, 2, 4))}},
		"QLinearConv last": {operator: "QLinearConv", output: u8, attributes: attributes(number("channels_last", 1), numbers("pads", 1, 1, 1, 1)), tolerance: 1,
			inputs: []input{given(bytes(1, 6, 5, 4)), fixed(scale(0.02)), fixed(zero(110)), fixed(codes(3, 4, 3, 3)), fixed(positive(3)), fixed(tensor.New(tensor.Int8, 3)), fixed(scale(0.1)), fixed(zero(120)), fixed(ints(900, 3))}},
		"QLinearAveragePool last": {operator: "QLinearAveragePool", output: u8, attributes: attributes(number("channels_last", 1), numbers("kernel_shape", 2, 2)), tolerance: 1,
			inputs: []input{given(bytes(1, 6, 5, 4)), fixed(scale(0.02)), fixed(zero(110)), fixed(scale(0.021)), fixed(zero(120))}},
		"QLinearGlobalAveragePool last": {operator: "QLinearGlobalAveragePool", output: u8, attributes: attributes(number("channels_last", 1)), tolerance: 1,
			inputs: []input{given(bytes(1, 6, 5, 4)), fixed(scale(0.02)), fixed(zero(110)), fixed(scale(0.021)), fixed(zero(120))}},
		"QLinearSoftmax of a matrix": {operator: "QLinearSoftmax", output: u8, attributes: attributes(number("axis", 1), number("opset", 11)), tolerance: 1,
			inputs: []input{given(bytes(2, 3, 4)), fixed(scale(0.02)), fixed(zero(110)), fixed(scale(1. / 256)), fixed(zero(0))}},
		"NhwcMaxPool":                       {operator: "NhwcMaxPool", output: u8, attributes: attributes(numbers("kernel_shape", 2, 2)), inputs: []input{given(bytes(1, 6, 5, 4))}},
		"DynamicQuantizeMatMul":             {operator: "DynamicQuantizeMatMul", output: f32, inputs: []input{given(floats(3, 8)), fixed(codes(8, 5)), fixed(positive(5)), absent, fixed(floats(5))}},
		"MatMulIntegerToFloat":              {operator: "MatMulIntegerToFloat", output: f32, inputs: []input{given(bytes(3, 8)), fixed(codes(8, 5)), fixed(scale(0.02)), fixed(positive(5)), fixed(zero(99)), absent, fixed(floats(5))}},
		"SkipLayerNormalization statistics": {operator: "SkipLayerNormalization", output: f32, inputs: []input{given(floats(2, 3, 8)), given(floats(2, 3, 8)), fixed(floats(8))}},
		"SkipSimplifiedLayerNormalization": {operator: "SkipSimplifiedLayerNormalization", output: f32, attributes: attributes(real("epsilon", 1e-5)),
			inputs: []input{given(floats(2, 3, 8)), given(floats(2, 3, 8)), fixed(floats(8)), fixed(floats(8))}},
		"SimplifiedLayerNormalization": {operator: "SimplifiedLayerNormalization", output: f32, domain: "ai.onnx", attributes: attributes(real("epsilon", 1e-5), number("axis", -1)),
			inputs: []input{given(floats(2, 3, 8)), fixed(floats(8))}},
		"Attention":         {operator: "Attention", output: f32, attributes: attributes(number("num_heads", 2)), inputs: []input{given(floats(2, 4, 6)), fixed(floats(6, 24)), fixed(floats(24))}},
		"Attention mask":    {operator: "Attention", output: f32, attributes: attributes(number("num_heads", 2)), inputs: []input{given(floats(2, 4, 6)), fixed(floats(6, 24)), fixed(floats(24)), given(mask)}},
		"Attention lengths": {operator: "Attention", output: f32, attributes: attributes(number("num_heads", 2)), inputs: []input{given(floats(2, 4, 6)), fixed(floats(6, 24)), fixed(floats(24)), given(tensor.Of([]int32{3, 2}, 2))}},
		"Attention causal":  {operator: "Attention", output: f32, attributes: attributes(number("num_heads", 2), number("unidirectional", 1)), inputs: []input{given(floats(2, 4, 6)), fixed(floats(6, 24)), fixed(floats(24)), given(mask)}},
		"Attention with a past": {operator: "Attention", output: f32, more: []tensor.DType{f32}, attributes: attributes(number("num_heads", 2), number("unidirectional", 1)),
			inputs: []input{given(floats(2, 1, 6)), fixed(floats(6, 24)), fixed(floats(24)), absent, given(floats(2, 2, 2, 3, 4))}},
		"QAttention": {operator: "QAttention", output: f32, attributes: attributes(number("num_heads", 2)), tolerance: 1e-4,
			inputs: []input{given(bytes(2, 4, 6)), fixed(codes(6, 24)), fixed(floats(24)), fixed(scale(0.02)), fixed(positive(24)), given(mask), fixed(zero(120)), fixed(tensor.New(tensor.Int8, 24))}},
		"MultiHeadAttention": {operator: "MultiHeadAttention", output: f32, attributes: attributes(number("num_heads", 2)),
			inputs: []input{given(floats(2, 3, 8)), given(floats(2, 4, 8)), given(floats(2, 4, 8)), fixed(floats(24)), given(mask)}},
		"EmbedLayerNormalization":           {operator: "EmbedLayerNormalization", output: f32, more: []tensor.DType{tensor.Int32}, inputs: append(embeddings[:7:7], given(mask))},
		"EmbedLayerNormalization, no masks": {operator: "EmbedLayerNormalization", output: f32, more: []tensor.DType{tensor.Int32, f32}, inputs: embeddings},
		"EmbedLayerNormalization, places":   {operator: "EmbedLayerNormalization", output: f32, more: []tensor.DType{tensor.Int32}, inputs: append(embeddings[:7:7], absent, given(ints(6, 2, 4)))},
		"QEmbedLayerNormalization":          {operator: "QEmbedLayerNormalization", output: f32, more: []tensor.DType{tensor.Int32}, inputs: quantized},
		"DynamicQuantizeLSTM": {operator: "DynamicQuantizeLSTM", output: f32, more: []tensor.DType{f32, f32}, attributes: attributes(number("hidden_size", 5)), tolerance: 1e-4,
			inputs: []input{given(floats(4, 3, 7)), fixed(codes(1, 7, 20)), fixed(codes(1, 5, 20)), fixed(floats(1, 40)), absent, absent, absent, absent,
				fixed(scale(0.01).Reshape(1)), fixed(tensor.New(tensor.Int8, 1)), fixed(scale(0.02).Reshape(1)), fixed(tensor.New(tensor.Int8, 1))}},
		"GroupNormalization by group": {operator: "GroupNormalization", output: f32, domain: "ai.onnx", opset: 18, attributes: attributes(number("num_groups", 2)),
			inputs: []input{given(floats(2, 6, 3, 3)), fixed(floats(2)), fixed(floats(2))}},
		"DynamicQuantizeLSTM lengths": {operator: "DynamicQuantizeLSTM", output: f32, more: []tensor.DType{f32, f32}, attributes: attributes(number("hidden_size", 5)), tolerance: 1e-4,
			inputs: []input{given(floats(4, 3, 7)), fixed(codes(1, 7, 20)), fixed(codes(1, 5, 20)), fixed(floats(1, 40)), given(tensor.Of([]int32{4, 2, 3}, 3)), given(floats(1, 3, 5)), given(floats(1, 3, 5)), absent,
				fixed(positive(1, 20)), fixed(tensor.New(tensor.Int8, 1, 20)), fixed(positive(1, 20)), fixed(tensor.New(tensor.Int8, 1, 20))}},
		"DynamicQuantizeLSTM both ways": {operator: "DynamicQuantizeLSTM", output: f32, more: []tensor.DType{f32, f32}, attributes: attributes(number("hidden_size", 5), text("direction", "bidirectional")), tolerance: 1e-4,
			inputs: []input{given(floats(4, 3, 7)), fixed(codes(2, 7, 20)), fixed(codes(2, 5, 20)), fixed(floats(2, 40)), given(tensor.Of([]int32{4, 2, 3}, 3)), given(floats(2, 3, 5)), given(floats(2, 3, 5)), absent,
				fixed(positive(2, 20)), fixed(tensor.New(tensor.Int8, 2, 20)), fixed(positive(2, 20)), fixed(tensor.New(tensor.Int8, 2, 20))}},
		"GatherBlockQuantized": {operator: "GatherBlockQuantized", output: f32, attributes: attributes(number("block_size", 16), number("quantize_axis", 1)),
			inputs: []input{fixed(op.FromInt64s(tensor.Uint4, []int{6, 32}, op.Int64s(ints(16, 6, 32)))), given(ints(6, 2, 3)), fixed(positive(6, 2)), fixed(op.FromInt64s(tensor.Uint4, []int{6, 2}, op.Int64s(ints(16, 6, 2))))}},
		"GatherBlockQuantized packed": {operator: "GatherBlockQuantized", output: f32, attributes: attributes(number("block_size", 16), number("quantize_axis", 1), number("bits", 4)),
			inputs: []input{fixed(bytes(6, 16)), given(ints(6, 2, 3)), fixed(positive(6, 2)), fixed(bytes(6, 1))}},
	} {
		t.Run(name, func(t *testing.T) {
			var node, body []byte
			feeds := map[string]*tensor.Tensor{}
			var order []*tensor.Tensor
			for i, in := range c.inputs {
				called := fmt.Sprintf("x%d", i)
				if in.t == nil {
					node = appendMessage(node, 1, nil)
					continue
				}
				node = appendMessage(node, 1, []byte(called))
				if in.constant {
					body = appendMessage(body, 5, tensorMessage(called, in.t))
					continue
				}
				body = appendMessage(body, 11, valueMessage(&graph.Value{Name: called, Type: graph.TypeOf(in.t)}))
				feeds[called] = in.t
				order = append(order, in.t)
			}
			if c.opset == 0 {
				c.opset = 21
			}
			if c.domain == "" {
				c.domain = "com.microsoft"
			}
			outputs := append([]tensor.DType{c.output}, c.more...)
			for i, dtype := range outputs {
				called := []byte(fmt.Sprintf("y%d", i))
				node = appendMessage(node, 2, called)
				out := appendMessage(nil, 2, appendMessage(nil, 1, appendNumber(nil, 1, dtypeNumber(dtype))))
				body = appendMessage(body, 12, append(appendMessage(nil, 1, called), out...))
			}
			node = appendMessage(appendMessage(node, 4, []byte(c.operator)), 7, []byte(c.domain))
			w := &attributeWriter{}
			for _, a := range c.attributes {
				a(w)
			}
			body = appendMessage(body, 1, append(node, w.encoded...))
			model := appendMessage(appendNumber(nil, 1, 10), 7, appendMessage(body, 2, []byte("g")))
			model = appendMessage(appendMessage(model, 8, appendNumber(nil, 2, c.opset)), 8, appendNumber(appendMessage(nil, 1, []byte("com.microsoft")), 2, 1))
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
			var names []string
			for _, v := range g.Outputs {
				names = append(names, v.Name)
			}
			peers := peer.Run(t, file, "disabled", feeds, names...)
			runner, err := compile.Executor{Threads: 1}.Prepare(g, nil)
			if err != nil {
				t.Fatal(err)
			}
			programs, err := runner.Run(t.Context(), feeds)
			if err != nil {
				t.Fatal(err)
			}
			if c.tolerance == 0 {
				c.tolerance = 1e-5
			}
			for i, dtype := range outputs {
				want, err := tensor.FromBytes(dtype, results[i].Shape(), peers[names[i]])
				if err != nil {
					t.Fatal(err)
				}
				b := op.Float64s(want)
				for how, result := range map[string]*tensor.Tensor{"interpreted": results[i], "compiled": programs[names[i]]} {
					if result.String() != want.String() {
						t.Errorf("%s, output %d: %s instead of %s", how, i, result, want)
						continue
					}
					for j, v := range op.Float64s(result) {
						if limit := c.tolerance; !(math.Abs(v-b[j]) <= max(limit, min(limit, 1e-3)*math.Abs(b[j]))) {
							t.Errorf("%s, output %d, element %d is %v, ONNX Runtime has %v", how, i, j, v, b[j])
							break
						}
					}
				}
			}
		})
	}
}

func tensorLen(shape []int) int {
	n, _ := tensor.Count(shape)
	return n
}
