package tflite

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/octet-nn/octet/internal/compile"
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/interp"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/testdata"
	"github.com/octet-nn/octet/tensor"
)

// compiled runs a graph's program.
func compiled(t *testing.T, g *graph.Graph, x *tensor.Tensor) *tensor.Tensor {
	t.Helper()
	runner, err := compile.Executor{Threads: 1}.Prepare(g, nil)
	if err != nil {
		t.Fatal(err)
	}
	out, err := runner.Run(t.Context(), map[string]*tensor.Tensor{g.Inputs[0].Name: x})
	if err != nil {
		t.Fatal(err)
	}
	return out[g.Outputs[0].Name]
}

// layer is a file of one layer.
type layer struct {
	operator  string
	kind      int
	options   []option
	x, w, y   writtenTensor
	bias      *tensor.Tensor
	biasQuant *graph.Quant
}

func (l layer) encode() []byte {
	f := &written{name: l.operator, inputs: []int{0}, outputs: []int{2}, tensors: []writtenTensor{l.x, l.w, l.y}}
	bias := -1
	if l.bias != nil {
		bias = 3
		f.tensors = append(f.tensors, writtenTensor{name: "b", dtype: l.bias.DType(), shape: l.bias.Shape(), quant: l.biasQuant, data: l.bias.Bytes()})
	}
	f.operators = []writtenOperator{{name: l.operator, version: 3, kind: l.kind, options: l.options, in: []int{0, 1, bias}, out: []int{2}}}
	return f.encode()
}

// layers are a fully connected one, a convolution and a depthwise convolution with weights w of a shape and an axis of
// output channels.
func layers(x, y writtenTensor, weights func(shape []int, axis int) writtenTensor) []layer {
	shaped := func(t writtenTensor, shape ...int) writtenTensor { t.shape = shape; return t }
	valid := int8(paddingValid)
	return []layer{
		{operator: "FULLY_CONNECTED", kind: 8, x: shaped(x, 2, 20), w: weights([]int{6, 20}, 0), y: shaped(y, 2, 6)},
		{operator: "CONV_2D", kind: 1, options: []option{{0, valid}, {1, int32(1)}, {2, int32(1)}, {4, int32(1)}, {5, int32(1)}},
			x: shaped(x, 1, 6, 6, 5), w: weights([]int{6, 3, 3, 5}, 0), y: shaped(y, 1, 4, 4, 6)},
		{operator: "DEPTHWISE_CONV_2D", kind: 2, options: []option{{0, valid}, {1, int32(1)}, {2, int32(1)}, {3, int32(1)}, {5, int32(1)}, {6, int32(1)}},
			x: shaped(x, 1, 6, 6, 6), w: weights([]int{1, 3, 3, 6}, 3), y: shaped(y, 1, 4, 4, 6)},
	}
}

// Weights of 4 bits, per tensor and per channel, on codes, on reals, and dequantized by an operator of the file, give what
// the same weights of 8 bits give, by definition and compiled.
func TestFourBitLayers(t *testing.T) {
	stored := func(dtype tensor.DType, channels bool) func(shape []int, axis int) writtenTensor {
		return func(shape []int, axis int) writtenTensor {
			n, _ := tensor.Count(shape)
			wide := make([]int64, n)
			for i := range wide {
				wide[i] = int64(i*7%16) - 8
			}
			q := graph.PerTensor(0.05, 0)
			if channels {
				q = perChannel(axis, shape[axis])
			}
			return writtenTensor{name: "w", dtype: dtype, shape: shape, quant: q, data: op.FromInt64s(dtype, shape, wide).Bytes()}
		}
	}
	for name, ends := range map[string][2]writtenTensor{
		"codes": {{name: "x", dtype: tensor.Int8, quant: inputCodes}, {name: "y", dtype: tensor.Int8, quant: outputCodes}},
		"reals": {{name: "x", dtype: tensor.Float32}, {name: "y", dtype: tensor.Float32}},
	} {
		for _, channels := range []bool{false, true} {
			narrow, wide := layers(ends[0], ends[1], stored(tensor.Int4, channels)), layers(ends[0], ends[1], stored(tensor.Int8, channels))
			for i := range narrow {
				x := codes(narrow[i].x.shape...)
				if name == "reals" {
					x = floats(narrow[i].x.shape...)
				}
				var answers []*tensor.Tensor
				for _, l := range []layer{wide[i], narrow[i]} {
					g, err := Read(l.encode(), Options{})
					if err != nil {
						t.Fatal(err)
					}
					answers = append(answers, evaluate(t, g, x), compiled(t, g, x))
					// What is written again is the same network.
					var again bytes.Buffer
					if err := Write(&again, g); err != nil {
						t.Fatal(err)
					}
					back, err := Read(again.Bytes(), Options{})
					if err != nil {
						t.Fatal(err)
					}
					answers = append(answers, evaluate(t, back, x))
				}
				for _, a := range answers[1:] {
					compare(t, narrow[i].operator+" on "+name, a, answers[0])
				}
			}
		}
	}
}

// The first converters called the weights of layers on reals uint8, without a zero point: TensorFlow Lite takes the bytes for
// int8.
func TestOldHybridWeights(t *testing.T) {
	stock := testdata.OpenTFLite(t)
	weights := func(shape []int, axis int) writtenTensor {
		return writtenTensor{name: "w", dtype: tensor.Uint8, shape: shape, quant: graph.PerTensor(0.1, 0), data: codes(shape...).Bytes()}
	}
	for _, l := range layers(writtenTensor{name: "x", dtype: tensor.Float32}, writtenTensor{name: "y", dtype: tensor.Float32}, weights)[:2] {
		l.bias = floats(6)
		x := floats(l.x.shape...)
		path := filepath.Join(t.TempDir(), "m.tflite")
		if err := os.WriteFile(path, l.encode(), 0o600); err != nil {
			t.Fatal(err)
		}
		want, err := tensor.FromBytes(tensor.Float32, l.y.shape, stock.Run(t, path, []*tensor.Tensor{x}, 1)[0])
		if err != nil {
			t.Fatal(err)
		}
		g, err := Read(l.encode(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		compare(t, l.operator, evaluate(t, g, x), want)
		compare(t, l.operator+", compiled", compiled(t, g, x), want)
	}
}

// Weights that the file itself dequantizes stay codes in memory, and mean the same as the reals.
func TestWeightsOfDequantize(t *testing.T) {
	w := codes(6, 20)
	f := &written{name: "weight only", inputs: []int{0}, outputs: []int{3}, tensors: []writtenTensor{
		{name: "x", dtype: tensor.Float32, shape: []int{2, 20}},
		{name: "w", dtype: tensor.Int8, shape: []int{6, 20}, quant: perChannel(0, 6), data: w.Bytes()},
		{name: "real", dtype: tensor.Float32, shape: []int{6, 20}}, {name: "y", dtype: tensor.Float32, shape: []int{2, 6}}}}
	f.operators = []writtenOperator{{name: "DEQUANTIZE", version: 2, kind: 38, in: []int{1}, out: []int{2}},
		{name: "FULLY_CONNECTED", version: 1, kind: 8, in: []int{0, 2, -1}, out: []int{3}}}
	g, err := Read(f.encode(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	x := floats(2, 20)
	want := make([]float32, 12)
	reals := op.Reals(w, perChannel(0, 6))
	for i := range want {
		for k := range 20 {
			want[i] += tensor.Values[float32](x)[i/6*20+k] * reals[i%6*20+k]
		}
	}
	compare(t, "by definition", evaluate(t, g, x), tensor.Of(want, 2, 6))
	compare(t, "compiled", compiled(t, g, x), tensor.Of(want, 2, 6))
}

// An LSTM whose weights alone are codes: TensorFlow Lite also quantizes its inputs as they come, so that results are near.
func TestHybridLSTM(t *testing.T) {
	stock := testdata.OpenTFLite(t)
	const batch, steps, inputs, hidden = 2, 5, 8, 16
	f := &written{name: "lstm", inputs: []int{0}, outputs: []int{1}, tensors: []writtenTensor{
		{name: "x", dtype: tensor.Float32, shape: []int{batch, steps, inputs}}, {name: "y", dtype: tensor.Float32, shape: []int{batch, steps, hidden}}}}
	add := func(w writtenTensor) int { f.tensors = append(f.tensors, w); return len(f.tensors) - 1 }
	operands := []int{0}
	for range 4 {
		operands = append(operands, add(writtenTensor{name: "w", dtype: tensor.Int8, shape: []int{hidden, inputs}, quant: graph.PerTensor(0.004, 0), data: codes(hidden, inputs).Bytes()}))
	}
	for range 4 {
		operands = append(operands, add(writtenTensor{name: "r", dtype: tensor.Int8, shape: []int{hidden, hidden}, quant: graph.PerTensor(0.003, 0), data: codes(hidden, hidden).Bytes()}))
	}
	operands = append(operands, -1, -1, -1)
	for range 4 {
		operands = append(operands, add(writtenTensor{name: "b", dtype: tensor.Float32, shape: []int{hidden}, data: floats(hidden).Bytes()}))
	}
	operands = append(operands, -1, -1)
	for range 2 {
		operands = append(operands, add(writtenTensor{name: "state", dtype: tensor.Float32, shape: []int{batch, hidden}, state: true}))
	}
	operands = append(operands, -1, -1, -1, -1)
	f.operators = []writtenOperator{{name: "UNIDIRECTIONAL_SEQUENCE_LSTM", version: 1, kind: 71,
		options: []option{{0, int8(activationTanh)}, {1, float32(10)}, {2, float32(0)}, {3, false}, {4, false}}, in: operands, out: []int{1}}}
	data := f.encode()
	path := filepath.Join(t.TempDir(), "m.tflite")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	x := floats(batch, steps, inputs)
	want, err := tensor.FromBytes(tensor.Float32, []int{batch, steps, hidden}, stock.Run(t, path, []*tensor.Tensor{x}, 1)[0])
	if err != nil {
		t.Fatal(err)
	}
	g, err := Read(data, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := op.CheckSupported(g); err != nil {
		t.Fatal(err)
	}
	runner, err := interp.Executor{}.Prepare(g, nil)
	if err != nil {
		t.Fatal(err)
	}
	zeros := tensor.New(tensor.Float32, batch, hidden)
	out, err := runner.Run(t.Context(), map[string]*tensor.Tensor{"x": x, g.Inputs[1].Name: zeros, g.Inputs[2].Name: zeros})
	if err != nil {
		t.Fatal(err)
	}
	got := out["y"]
	worst := 0.0
	for i, v := range tensor.Values[float32](want) {
		worst = max(worst, float64(max(v-tensor.Values[float32](got)[i], tensor.Values[float32](got)[i]-v)))
	}
	t.Logf("largest difference %.3g", worst)
	if !(worst < 0.02) {
		t.Errorf("TensorFlow Lite's hybrid kernel differs by %v of at most 1", worst)
	}
}
