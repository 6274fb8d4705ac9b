package convert

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/interp"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

const pair = `graph "g"
input "image" f32[N,3,4,4]
input "other" f32[1,2,4,4]
const "w" f32[2,3,1,1] = [1 2 3 4 5 6]
"conv" f32[N,2,4,4] = Conv "conv" ("image", "w")
"relu:0" f32[N,2,4,4] = Relu "relu" ("conv")
"sum" f32[N,2,4,4] = Add "sum" ("relu:0", "other")
output "sum"`

// TestMistakesAreListed expects all mistakes of a deployment file at once, with what was probably meant.
func TestMistakesAreListed(t *testing.T) {
	for _, tc := range []struct {
		name string
		o    Options
		want []string
	}{
		{"names", Options{Inputs: []Input{{Name: "imge"}, {Name: "w"}}, Outputs: []Output{{Name: "summ"}}},
			[]string{`no tensor "imge" for input_tensors`, `"image"`, `"w" is a constant`, `no tensor "summ" for output_tensors`, `"sum"`}},
		{"twice", Options{Inputs: []Input{{Name: "image"}, {Name: "image"}}}, []string{`names "image" twice`}},
		{"an input is missing", Options{Inputs: []Input{{Name: "image"}}, Outputs: []Output{{Name: "sum"}}},
			[]string{`"other"`, "add it to input_tensors"}},
		{"shapes", Options{Inputs: []Input{{Name: "image", Shape: []int{1, 4, 4, 5}}, {Name: "other", Shape: []int{1, 2, 4}, Format: "NONE"}}},
			[]string{`"image" is [N,3,4,4]`, "[1,5,4,4]", `"other" is [1,2,4,4]`}},
		{"formats, ranges, schema", Options{Schema: "int4", Quantize: true, QuantizeLargeWeights: true,
			Inputs: []Input{{Name: "image", Format: "CHWN", Low: 2, High: 1}}, Ranges: map[string]Range{"sum": {1, 0}}},
			[]string{`"int4"`, "mace_htp_u16a_s8w", "exclude each other", `"CHWN"`, "2,1", "input_ranges", `"sum" is 1,0`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, _, err := Convert(parse(t, pair), tc.o)
			if err == nil {
				t.Fatal("no error")
			}
			for _, part := range tc.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
		})
	}
}

// TestCut runs parts of a network, fed channels last.
func TestCut(t *testing.T) {
	for _, tc := range []struct {
		name    string
		o       Options
		inputs  string // types
		outputs string
		nodes   int
	}{
		{"as it is", Options{}, "image f32[N,3,4,4] other f32[1,2,4,4]", "sum f32[N,2,4,4]", 2},
		{"channels last", Options{Inputs: []Input{{Name: "image", Shape: []int{1, 4, 4, 3}}, {Name: "other", Shape: []int{1, 2, 4, 4}, Format: "NCHW"}},
			Outputs: []Output{{Name: "sum"}}}, "image f32[1,4,4,3] other f32[1,4,4,2]", "sum f32[1,4,4,2]", 5},
		{"one of them as in the file", Options{Inputs: []Input{{Name: "image", Shape: []int{2, 4, 4, 3}}, {Name: "other", Format: "NONE"}},
			Outputs: []Output{{Name: "sum", Format: "NONE"}}}, "image f32[2,4,4,3] other f32[1,2,4,4]", "sum f32[2,2,4,4]", 3},
		{"the end", Options{Inputs: []Input{{Name: "relu", Shape: []int{1, 4, 4, 2}}, {Name: "other"}}, Outputs: []Output{{Name: "sum:0"}}},
			"relu f32[1,4,4,2] other f32[1,4,4,2]", "sum:0 f32[1,4,4,2]", 4},
		{"the beginning", Options{Inputs: []Input{{Name: "image", Shape: []int{1, 4, 4, 3}}}, Outputs: []Output{{Name: "conv"}, {Name: "relu:0"}}},
			"image f32[1,4,4,3]", "conv f32[1,4,4,2] relu:0 f32[1,4,4,2]", 5},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g, _, err := Convert(parse(t, pair), tc.o)
			if err != nil {
				t.Fatal(err)
			}
			types := func(vs []*graph.Value) string {
				var parts []string
				for _, v := range vs {
					parts = append(parts, v.Name+" "+v.Type.String())
				}
				return strings.Join(parts, " ")
			}
			if got := types(g.Inputs); got != tc.inputs {
				t.Errorf("inputs are %s, want %s", got, tc.inputs)
			}
			if got := types(g.Outputs); got != tc.outputs {
				t.Errorf("outputs are %s, want %s", got, tc.outputs)
			}
			if len(g.Nodes) != tc.nodes {
				t.Errorf("%d nodes, want %d:\n%s", len(g.Nodes), tc.nodes, g.Text())
			}
		})
	}
}

// TestChannelsLast compares a network fed channels last with the one in its file.
func TestChannelsLast(t *testing.T) {
	original := parse(t, pair)
	g, _, err := Convert(original, Options{Inputs: []Input{{Name: "image", Shape: []int{1, 4, 4, 3}}, {Name: "other", Shape: []int{1, 4, 4, 2}}}, Outputs: []Output{{Name: "sum"}}})
	if err != nil {
		t.Fatal(err)
	}
	run := func(g *graph.Graph, in map[string]*tensor.Tensor) []float32 {
		r, err := interp.Executor{}.Prepare(g, nil)
		if err != nil {
			t.Fatal(err)
		}
		out, err := r.Run(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		return tensor.Values[float32](out["sum"])
	}
	first, last := map[string]*tensor.Tensor{}, map[string]*tensor.Tensor{}
	for name, channels := range map[string]int{"image": 3, "other": 2} {
		x, y := make([]float32, 16*channels), make([]float32, 16*channels)
		for i := range x {
			x[i] = float32(i) / 7
			y[i%16*channels+i/16] = x[i]
		}
		first[name], last[name] = tensor.Of(x, 1, channels, 4, 4), tensor.Of(y, 1, 4, 4, channels)
	}
	want, got := run(original, first), run(g, last)
	for i := range want {
		if got[i%16*2+i/16] != want[i] {
			t.Fatalf("got %v, want %v permuted", got, want)
		}
	}
}

// TestInputsOfModelsWithChannelsLast leaves a network as it is that is channels last in its file.
func TestInputsOfModelsWithChannelsLast(t *testing.T) {
	const text = `graph "g"
input "x" f32[1,5,6,3]
const "w" f32[1,1,3,4] = seed 1
"y" f32[1,5,6,4] = Conv "c" ("x", "w") {Layout: NHWC, Filter: HWIO}
output "y"`
	for _, in := range []Input{{Name: "x"}, {Name: "x", Shape: []int{1, 5, 6, 3}, Format: "NHWC"}, {Name: "x", Shape: []int{1, 3, 5, 6}, Format: "NCHW"}} {
		g, _, err := Convert(parse(t, text), Options{Inputs: []Input{in}, Outputs: []Output{{Name: "y"}}})
		if err != nil {
			t.Fatal(err)
		}
		if len(g.Nodes) != 1 || !g.Inputs[0].Type.Shape.Same(graph.FixedShape(1, 5, 6, 3)) {
			t.Errorf("%+v:\n%s", in, g.Text())
		}
	}
}

// TestCheckTensorsReplaceOutputs of quantized models only.
func TestCheckTensorsReplaceOutputs(t *testing.T) {
	o := Options{CheckTensors: []Output{{Name: "relu"}}, Inputs: []Input{{Name: "image"}, {Name: "other"}}, Outputs: []Output{{Name: "sum"}}}
	for _, quantized := range []bool{false, true} {
		o.Quantize, o.Ranges = quantized, map[string]Range{"relu": {0, 6}, "sum": {0, 7}}
		if quantized {
			o.Inputs = o.Inputs[:1]
		}
		g, _, err := Convert(parse(t, pair), o)
		if err != nil {
			t.Fatal(err)
		}
		if name := g.Outputs[0].Name; (name == "relu") != quantized || len(g.Outputs) != 1 {
			t.Errorf("quantized %v: the output is %q", quantized, name)
		}
	}
}

// TestTrainedWeights compares weights that training quantized with MACE's formulas by hand.
func TestTrainedWeights(t *testing.T) {
	const text = `graph "g"
input "x" f32[1,2]
const "w" f32[2,2] = [-1 0.5 0.25 1]
"q" TYPE[2,2]QUANT = Quantize "q" ("w")
"d" f32[2,2] = Dequantize "d" ("q")
"y" f32[1,2] = MatMul "y" ("x", "d")
output "y"`
	for _, tc := range []struct {
		dtype, quant string
		scale        float32
		zero         int32
		weights      []int32
	}{
		// Symmetric: −1.275 … 1.275, and a code less than −1.275 − 2.55/254: scale 2.56003937/255, zero point ceil(128).
		{"i8", "q(0.01,0)", 0.010039370, 128, []int32{28, 178, 153, 228}},
		// −1.02 … 1.53, widened to −1.03003937: zero point 102.6 → 103.
		{"u8", "q(0.01,102)", 0.010039370, 103, []int32{3, 153, 128, 203}},
	} {
		text := strings.NewReplacer("TYPE", tc.dtype, "QUANT", tc.quant).Replace(text)
		g, _, err := Convert(parse(t, text), Options{Quantize: true, Ranges: map[string]Range{"y": {-1, 1}}})
		if err != nil {
			t.Fatal(err)
		}
		w := g.Value("w")
		if got := op.Int32s(w.Const); w.Type.Quant.Scale[0] != tc.scale || w.Type.Quant.ZeroPoint[0] != tc.zero || !slices.Equal(got, tc.weights) {
			t.Errorf("trained as %s%s: weights are %s %v, want %v with scale %v and zero point %d", tc.dtype, tc.quant, w.Type, got, tc.weights, tc.scale, tc.zero)
		}
	}
}

// TestTrainedWeightsOfTensorFlow expects what FakeQuantize says of constants to be ignored, as MACE does.
func TestTrainedWeightsOfTensorFlow(t *testing.T) {
	const text = `graph "g"
input "x" f32[1,2]
const "w" f32[2,2] = [-1 0.5 0.25 1]
const "scale" f32[2] = [0.1 0.2]
"d" f32[2,2] = FakeQuantize "q" ("w", "scale") {Axis: 1}
"y" f32[1,2] = MatMul "y" ("x", "d")
output "y"`
	g, _, err := Convert(parse(t, text), Options{Quantize: true, Ranges: map[string]Range{"y": {-1, 1}}})
	if err != nil {
		t.Fatal(err)
	}
	if w := g.Value("w"); !slices.Equal(op.Int32s(w.Const), []int32{1, 192, 160, 255}) {
		t.Errorf("weights are %s %v", w.Type, op.Int32s(w.Const))
	}
}

// TestSimulate expects the float network that training computed, by hand: inputs, weights and results are rounded, each as
// its nodes say, whatever the width of their codes and whether they are FakeQuantize or Quantize and Dequantize.
func TestSimulate(t *testing.T) {
	const text = `graph "g"
input "x" f32[1,2]
const "w" f32[2,2] = [-1 0.5 0.25 1]
const "ws" f32[1] = [0.3]
const "bits" f32[1] = [0.5]
const "point" u8[1] = [2]
"xq" i8[1,2]q(0.25,0) = Quantize "xq" ("x")
"xd" f32[1,2] = Dequantize "xd" ("xq")
"wd" f32[2,2] = FakeQuantize "wd" ("w", "ws") {Signed: true}
"m" f32[1,2] = MatMul "m" ("xd", "wd")
"y" f32[1,2] = FakeQuantize "y" ("m", "bits", "point") {Bits: 2}
output "y"`
	input := map[string]*tensor.Tensor{"x": tensor.Of([]float32{1.1, -0.9}, 1, 2)}
	for _, tc := range []struct {
		options Options
		want    []float32
		rounded int
	}{
		{Options{}, []float32{1.1*-1 - 0.9*0.25, 1.1*0.5 - 0.9}, 0},
		// x is 1, −1; w is −0.9, 0.6, 0.3, 0.9; the products −1.2 and −0.3 become codes 0 and 1 of 0…3.
		{Options{Simulate: true}, []float32{-1, -0.5}, 2},
	} {
		g, report, err := Convert(parse(t, text), tc.options)
		if err != nil {
			t.Fatal(err)
		}
		r, err := interp.Executor{}.Prepare(g, nil)
		if err != nil {
			t.Fatal(err)
		}
		out, err := r.Run(t.Context(), input)
		if err != nil {
			t.Fatal(err)
		}
		got := tensor.Values[float32](out["y"])
		for i := range got {
			if math.Abs(float64(got[i]-tc.want[i])) > 1e-6 {
				t.Errorf("simulate %v: %v, want %v", tc.options.Simulate, got, tc.want)
			}
		}
		if report.Simulated != tc.rounded {
			t.Errorf("%d values are rounded, want %d", report.Simulated, tc.rounded)
		}
	}
}
