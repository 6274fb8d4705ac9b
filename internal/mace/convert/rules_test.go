package convert

import (
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/interp"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// TestRangeRules gives small networks ranges and compares what every value gets. All limits are such that zero points
// are whole numbers, so that stored ranges are the given ones.
func TestRangeRules(t *testing.T) {
	wide := Range{-102, 153} // scale 1, zero point 102
	for _, tc := range []struct {
		name    string
		text    string
		ranges  map[string]Range // nil: no range file
		options Options
		want    map[string]Range
	}{
		{
			"operators that move or choose copy the first operand's, whatever the file says",
			`input "x" f32[1,4,4,4]
const "w" f32[4,4,1,1] = seed 1
const "s" i64[2] = [1 64]
"c" f32[...] = Conv "c" ("x", "w")
"p" f32[...] = MaxPool "p" ("c") {KernelShape: [2 2], Strides: [2 2]}
"a" f32[...] = AveragePool "a" ("p") {KernelShape: [1 1]}
"t" f32[...] = Transpose "t" ("a") {Perm: [0 2 3 1]}
"f" f32[...] = Flatten "f" ("t") {Axis: 1}
output "f"`,
			map[string]Range{"c": wide, "p": {0, 255}, "a": {-255, 0}, "t": {0, 255}, "f": {0, 255}}, Options{},
			map[string]Range{"x": {-128. / 127.5, 127. / 127.5}, "c": wide, "p": wide, "a": wide, "t": wide, "f": wide},
		},
		{
			"of the model's input too",
			`input "x" f32[1,4,4,4]
const "w" f32[4,4,1,1] = seed 1
"p" f32[...] = MaxPool "p" ("x") {KernelShape: [2 2], Strides: [2 2]}
"c" f32[...] = Conv "c" ("p", "w")
output "c"`,
			map[string]Range{"c": wide}, Options{Inputs: []Input{{Name: "x", Format: "NONE", Low: 0, High: 255}}},
			map[string]Range{"x": {0, 255}, "p": {0, 255}, "c": wide},
		},
		{
			"what is known of a function wins over the file",
			`input "x" f32[1,8]
const "zero" f32[] = [0]
const "six" f32[] = [51]
"a" f32[...] = Add "a" ("x", "x")
"s" f32[...] = Sigmoid "s" ("a")
"r" f32[...] = Clip "r" ("a", "zero", "six")
"u" f32[...] = Relu "u" ("a")
"m" f32[...] = Softmax "m" ("a") {Axis: 1}
output "s"
output "r"
output "u"
output "m"`,
			map[string]Range{"a": wide, "s": wide, "r": wide, "u": {0, 510}, "m": wide}, Options{},
			map[string]Range{"x": {-128. / 127.5, 127. / 127.5}, "a": wide, "s": {0, 1}, "r": {0, 51}, "u": {0, 510}, "m": {0, 1}},
		},
		{
			"sums, differences and products of two values without a range",
			`input "x" f32[1,8]
"r" f32[...] = Relu "r" ("x")
"a" f32[...] = Add "a" ("r", "x")
"d" f32[...] = Sub "d" ("r", "x")
"p" f32[...] = Mul "p" ("r", "x")
output "a"
output "d"
output "p"`,
			map[string]Range{"r": {0, 255}}, Options{Inputs: []Input{{Name: "x", Format: "NONE", Low: -102, High: 153}}},
			// −153 to 357 for the difference: zero point 76.5, to even.
			map[string]Range{"x": wide, "r": {0, 255}, "a": {-102, 408}, "d": {-152, 358}, "p": {-102 * 255, 153 * 255}},
		},
		{
			"a concatenation keeps the file's range",
			concatenation,
			map[string]Range{"a": {0, 255}, "b": {-102, 153}, "c": {-510, 765}}, Options{},
			map[string]Range{"x": {-128. / 127.5, 127. / 127.5}, "a": {0, 255}, "b": {-102, 153}, "c": {-510, 765}},
		},
		{
			"without one it is the union",
			concatenation,
			map[string]Range{"a": {0, 153}, "b": {-102, 51}}, Options{},
			map[string]Range{"x": {-128. / 127.5, 127. / 127.5}, "a": {0, 153}, "b": {-102, 51}, "c": {-102, 153}},
		},
		{
			"with change_concat_ranges its operands get the union, which its own range begins",
			concatenation,
			map[string]Range{"a": {0, 153}, "b": {-51, 51}, "c": {-102, 0}}, Options{ChangeConcatRanges: true},
			map[string]Range{"x": {-128. / 127.5, 127. / 127.5}, "a": {-102, 153}, "b": {-102, 153}, "c": {-102, 153}},
		},
		{
			"each part of a split copies",
			`input "x" f32[1,8]
const "sizes" i64[2] = [4 4]
"a" f32[...] = Add "a" ("x", "x")
"p" f32[...], "q" f32[...] = Split "s" ("a", "sizes") {Axis: 1}
output "p"
output "q"`,
			map[string]Range{"a": wide, "p": {0, 255}, "q": {0, 510}}, Options{},
			map[string]Range{"x": {-128. / 127.5, 127. / 127.5}, "a": wide, "p": wide, "q": wide},
		},
		{
			"names in the file may end in :0",
			`input "x" f32[1,8]
"a" f32[...] = Add "a" ("x", "x")
"b:0" f32[...] = Add "b" ("a", "a")
output "b:0"`,
			map[string]Range{"a:0": wide, "b": {-204, 306}}, Options{},
			map[string]Range{"x": {-128. / 127.5, 127. / 127.5}, "a": wide, "b:0": {-204, 306}},
		},
		{
			"training wins over the file",
			`input "x" f32[1,8]
"a" f32[...] = Add "a" ("x", "x")
"aq" u8[1,8]q(1,102) = Quantize "q" ("a")
"ad" f32[...] = Dequantize "d" ("aq")
"b" f32[...] = Add "b" ("ad", "ad")
output "b"`,
			map[string]Range{"a": {0, 1}, "b": {-204, 306}}, Options{},
			map[string]Range{"x": {-128. / 127.5, 127. / 127.5}, "a": wide, "b": {-204, 306}},
		},
		{
			"training of an input wins over input_ranges; without a file sums follow",
			`input "x" f32[1,8]
"xq" u8[1,8]q(1,102) = Quantize "q" ("x")
"xd" f32[...] = Dequantize "d" ("xq")
"b" f32[...] = Add "b" ("xd", "xd")
output "b"`,
			nil, Options{},
			map[string]Range{"x": wide, "b": {-204, 306}},
		},
		{
			"FakeQuantize is training too, also in front of an output",
			`input "x" f32[1,8]
const "scale" f32[] = [1]
const "zero" f32[] = [102]
"a" f32[...] = Add "a" ("x", "x")
"f" f32[...] = FakeQuantize "q" ("a", "scale", "zero")
output "f"`,
			nil, Options{},
			map[string]Range{"x": {-128. / 127.5, 127. / 127.5}, "f": wide},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := tc.options
			o.Quantize, o.Ranges = true, tc.ranges
			_, report, err := Convert(parse(t, "graph \"g\"\n"+tc.text), o)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]Range{}
			for _, a := range report.Activations {
				got[a.Name] = Range{float64(a.Min), float64(a.Max)}
			}
			same := func(a, b Range) bool { return math.Abs(a.Min-b.Min)+math.Abs(a.Max-b.Max) < 1e-3 }
			if !maps.EqualFunc(got, tc.want, same) {
				t.Errorf("ranges are\n%v, want\n%v", got, tc.want)
			}
			if len(report.Islands) > 0 {
				t.Errorf("stayed float: %v", report.Islands)
			}
		})
	}
}

const concatenation = `input "x" f32[1,8]
"a" f32[...] = Add "a" ("x", "x")
"b" f32[...] = Sub "b" ("x", "x")
"c" f32[...] = Concat "c" ("a", "b") {Axis: 1}
output "c"`

// TestMissingRangesAreListedTogether expects every value without a range, by type, and what to do.
func TestMissingRangesAreListedTogether(t *testing.T) {
	const text = `graph "g"
input "x" f32[1,4,4,4]
const "w" f32[4,4,1,1] = seed 1
const "k" f32[4,1,1] = seed 1
"conv/one" f32[...] = Conv "1" ("x", "w")
"conv/two" f32[...] = Conv "2" ("conv/one", "w")
"sum" f32[...] = Add "s" ("conv/two", "k")
output "sum"`
	for _, tc := range []struct {
		ranges map[string]Range
		want   []string
	}{
		{nil, []string{"no range is known for 3 tensors", "Conv: conv/one, conv/two", "Add: sum", "quantize_range_file", "quantize-stat"}},
		{map[string]Range{"conv/ones": {0, 1}, "sum": {0, 1}}, []string{"for 2 tensors", "Conv: conv/one, conv/two", `"conv/ones"`}},
	} {
		_, _, err := Convert(parse(t, text), Options{Quantize: true, Ranges: tc.ranges})
		if err == nil {
			t.Fatal("no error")
		}
		for _, part := range tc.want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q does not say %q", err, part)
			}
		}
	}
}

// TestWhatCannotBeQuantizedStaysFloat expects such operators to be named, and refused where MACE would.
func TestWhatCannotBeQuantizedStaysFloat(t *testing.T) {
	const text = `graph "g"
input "x" f32[1,4]
const "k" i64[1] = [2]
"a" f32[...] = Add "a" ("x", "x")
"values" f32[...], "indices" i64[...] = TopK "top" ("a", "k")
"b" f32[...] = Add "b" ("values", "values")
output "b"
output "indices"`
	o := Options{Quantize: true, Ranges: map[string]Range{"a": {-1, 1}, "values": {-1, 1}, "b": {-1, 1}}}
	g, report, err := Convert(parse(t, text), o)
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Islands) != 1 || report.Islands[0].Type != "TopK" || report.Islands[0].Reason == "" {
		t.Errorf("stayed float: %+v", report.Islands)
	}
	for _, n := range g.Nodes {
		if n.Op.Type() == "Add" && n.Compute != graph.Integer {
			t.Errorf("%s is %s", n.Describe(), n.Compute)
		}
	}
	o.Strict = true
	if _, _, err := Convert(parse(t, text), o); err == nil || !strings.Contains(err.Error(), "TopK") {
		t.Errorf("strict: %v", err)
	}
}

// TestSchemas compares weights and biases with values computed by hand.
func TestSchemas(t *testing.T) {
	const text = `graph "g"
input "x" f32[1,2]
const "w" f32[2,2] = [-1 0.5 0.25 1]
const "b" f32[2] = [1 -2]
"y" f32[1,2] = Gemm "y" ("x", "w", "b") {Alpha: 1, Beta: 1}
"z" f32[1,2] = Relu "z" ("y")
output "z"`
	for _, tc := range []struct {
		schema         string
		weights        []int32
		weightScale    float32
		zero           int32
		bias           []int32
		input, relu    float32 // scales
		activationType tensor.DType
		integer        bool
	}{
		// The range of weights is −1 − 2/254 … 1: scale 2.007874/255, 127.999… + ceil = 128.
		{"", []int32{1, 192, 160, 255}, 0.007874016, 128, []int32{64, -127}, 2, 1, tensor.Uint8, true},
		{"int8", []int32{-127, 64, 32, 127}, 1. / 127, 0, []int32{64, -127}, 2, 1, tensor.Int8, true},
		{"mace_apu_16bit_per_tensor", []int32{-32768, 16384, 8192, 32767}, 1. / 32768, 0, []int32{2105376, -4210752}, 510. / 32768, 255. / 32768, tensor.Int16, false},
		{"mace_htp_u16a_s8w", []int32{1, 192, 160, 255}, 0.007874016, 128, []int32{16320, -32639}, 510. / 65535, 255. / 65535, tensor.Uint16, true},
	} {
		t.Run(tc.schema, func(t *testing.T) {
			g, report, err := Convert(parse(t, text), Options{Quantize: true, Schema: tc.schema,
				Inputs: []Input{{Name: "x", Low: 0, High: 510}},
				Ranges: map[string]Range{"y": {0, 255}, "z": {0, 255}}})
			if err != nil {
				t.Fatal(err)
			}
			find := func(name string) *graph.Value {
				v := g.Value(name)
				if v == nil {
					t.Fatalf("no %q in\n%s", name, g.Text())
				}
				return v
			}
			w, b := find("w"), find("b")
			if got := op.Int32s(w.Const); !slices.Equal(got, tc.weights) || w.Type.Quant.Scale[0] != tc.weightScale || w.Type.Quant.ZeroPoint[0] != tc.zero {
				t.Errorf("weights %s %v, want %v with scale %v and zero point %d", w.Type, got, tc.weights, tc.weightScale, tc.zero)
			}
			if got := op.Int32s(b.Const); !slices.Equal(got, tc.bias) {
				t.Errorf("bias %s %v, want %v", b.Type, got, tc.bias)
			}
			x := find("mace_input_node_x")
			if x.Type.Quant.Scale[0] != tc.input || x.Type.DType != tc.activationType {
				t.Errorf("input is %s, want scale %v", x.Type, tc.input)
			}
			z := find("mace_output_node_z")
			if z.Type.Quant.Scale[0] != tc.relu {
				t.Errorf("output is %s, want scale %v", z.Type, tc.relu)
			}
			if integer := len(report.Islands) == 0; integer != tc.integer {
				t.Errorf("stayed float: %+v", report.Islands)
			}
		})
	}
}

// TestLargeWeightsAreStoredAsCodes compares with MACE's formula by hand.
func TestLargeWeightsAreStoredAsCodes(t *testing.T) {
	const text = `graph "g"
input "x" f32[1,2]
const "w" f32[2,2] = [-102 0 1 153]
const "b" f32[2] = [0 255]
"y" f32[1,2] = Gemm "y" ("x", "w", "b") {Alpha: 1, Beta: 1}
output "y"`
	for _, row := range []numeric.Arithmetic{numeric.ONNX, numeric.MACE} {
		g, _, err := Convert(parse(t, text), Options{QuantizeLargeWeights: true, Arithmetic: row})
		if err != nil {
			t.Fatal(err)
		}
		w := g.Value("w")
		if got := op.Int32s(w.Const); !slices.Equal(got, []int32{0, 102, 103, 255}) || w.Type.Quant.ZeroPoint[0] != 102 || w.Type.DType != tensor.Uint8 {
			t.Errorf("weights are %s %v", w.Type, got)
		}
		if b := g.Value("b"); (b.Type.DType == tensor.Uint8) != (row == numeric.MACE) {
			t.Errorf("arithmetic %s: bias is %s", row, b.Type)
		}
		if n := g.Nodes[len(g.Nodes)-1]; n.Compute != graph.WeightOnly {
			t.Errorf("%s is %s", n.Describe(), n.Compute)
		}
	}
}

// TestFolds compares the names that operators' results get, which decide what ranges are found.
func TestFolds(t *testing.T) {
	const norm = `const "w" f32[4,3,1,1] = seed 1
const "wt" f32[3,4,1,1] = seed 9
const "gamma" f32[4] = seed 2
const "beta" f32[4] = seed 3
const "mean" f32[4] = seed 4
const "variance" f32[4] = fill 2
const "three" f32[3] = fill 1
const "ones" f32[4] = fill 1
const "zeros" f32[4] = fill 0
const "ahead" f32[4,1,1] = seed 8
const "zero" f32[] = [0]
const "six" f32[] = [6]
const "one" f32[] = [1]
`
	first := "input \"x\" f32[1,3,4,4]\n" + norm
	for _, tc := range []struct {
		name, text string
		platform   string
		want       []string
	}{
		{"batch normalization leaves the convolution its name; an activation does not", first + `
"c" f32[...] = Conv "c" ("x", "w")
"n" f32[...] = BatchNormalization "n" ("c", "gamma", "beta", "mean", "variance")
"d" f32[...] = Add "d" ("n", "n")
"r" f32[...] = Relu "r" ("d")
output "r"`, "", []string{"c", "d", "r"}},
		{"an output of the model keeps its own", first + `
"c" f32[...] = Conv "c" ("x", "w")
"n" f32[...] = BatchNormalization "n" ("c", "gamma", "beta", "mean", "variance")
output "n"`, "", []string{"n"}},
		{"convolution, normalization, Relu", first + `
"c" f32[...] = Conv "c" ("x", "w")
"n" f32[...] = BatchNormalization "n" ("c", "gamma", "beta", "mean", "variance")
"r" f32[...] = Relu "r" ("n")
output "r"`, "", []string{"r"}},
		{"Clip from zero folds, other activations and other clips have a range of their own", first + `
"c" f32[...] = Conv "c" ("x", "w")
"r" f32[...] = Clip "r" ("c", "zero", "six")
"d" f32[...] = Conv "d" ("x", "w")
"s" f32[...] = Sigmoid "s" ("d")
"e" f32[...] = Conv "e" ("x", "w")
"t" f32[...] = Clip "t" ("e", "one", "six")
output "r"
output "s"
output "t"`, "", []string{"r", "d", "s", "e", "t"}},
		{"nothing folds into what has two readers", first + `
"c" f32[...] = Conv "c" ("x", "w")
"r" f32[...] = Relu "r" ("c")
"a" f32[...] = Add "a" ("c", "r")
output "a"`, "", []string{"c", "r", "a"}},
		{"nor into what is an output as well", first + `
"c" f32[...] = Conv "c" ("x", "w")
"r" f32[...] = Relu "r" ("c")
output "c"
output "r"`, "", []string{"c", "r"}},
		{"a bias gives its name", `input "x" f32[1,4,4,3]
const "w" f32[1,1,3,4] = seed 1
const "k" f32[4] = seed 2
"c" f32[...] = Conv "c" ("x", "w") {Layout: NHWC, Filter: HWIO}
"b" f32[...] = Add "b" ("c", "k")
"r" f32[...] = Relu "r" ("b")
"d" f32[...] = Conv "d" ("x", "w") {Layout: NHWC, Filter: HWIO}
"e" f32[...] = Add "e" ("d", "k")
"p" f32[...] = Mul "p" ("e", "k")
"q" f32[...] = Add "q" ("p", "k")
output "r"
output "q"`, "tensorflow", []string{"r", "e", "q"}},
		{"matrix products take neither bias nor activation", `input "x" f32[2,4]
const "w" f32[4,4] = seed 1
const "k" f32[4] = seed 2
"c" f32[...] = MatMul "c" ("x", "w")
"b" f32[...] = Add "b" ("c", "k")
"r" f32[...] = Relu "r" ("b")
output "r"`, "tensorflow", []string{"c", "b", "r"}},
		{"fully-connected layers do", `input "x" f32[2,4]
const "w" f32[4,4] = seed 1
const "k" f32[4] = seed 2
"c" f32[...] = MatMul "c" ("x", "w")
"b" f32[...] = Add "b" ("c", "k")
"r" f32[...] = Relu "r" ("b")
output "r"`, "caffe", []string{"r"}},
		{"transposed convolutions fold batch normalization where the platform is TensorFlow", first + `
"c" f32[...] = ConvTranspose "c" ("x", "wt")
"n" f32[...] = BatchNormalization "n" ("c", "gamma", "beta", "mean", "variance")
"r" f32[...] = Relu "r" ("n")
output "r"`, "tensorflow", []string{"r"}},
		{"and not where it is ONNX", first + `
"c" f32[...] = ConvTranspose "c" ("x", "wt")
"n" f32[...] = BatchNormalization "n" ("c", "gamma", "beta", "mean", "variance")
"r" f32[...] = Relu "r" ("n")
output "r"`, "", []string{"c", "r"}},
		{"a bias before the spatial dimensions, of Caffe", first + `
"c" f32[...] = Conv "c" ("x", "w")
"b" f32[...] = Add "b" ("c", "ahead")
"r" f32[...] = Relu "r" ("b")
output "r"`, "caffe", []string{"r"}},
		{"not of ONNX", first + `
"c" f32[...] = Conv "c" ("x", "w")
"b" f32[...] = Add "b" ("c", "ahead")
"r" f32[...] = Relu "r" ("b")
output "r"`, "onnx", []string{"c", "b", "r"}},
		{"BatchNorm and Scale of Caffe are one", first + `
"c" f32[...] = Conv "c" ("x", "w")
"d" f32[...] = Add "d" ("c", "c")
"n" f32[...] = BatchNormalization "n" ("d", "ones", "zeros", "mean", "variance")
"s" f32[...] = BatchNormalization "s" ("n", "gamma", "beta", "zeros", "ones") {Epsilon: 0}
output "s"`, "caffe", []string{"c", "d", "s"}},
		{"a normalization with Relu is one operator", first + `
"n" f32[...] = InstanceNormalization "n" ("x", "three", "three")
"r" f32[...] = Relu "r" ("n")
"c" f32[...] = Conv "c" ("r", "w")
output "c"`, "", []string{"r", "c"}},
		{"what does nothing disappears, and a matrix in front of Softmax", first + `
"c" f32[...] = Conv "c" ("x", "w")
"i" f32[...] = Identity "i" ("c")
"j" f32[...] = Mul "j" ("i", "one")
"f" f32[...] = Flatten "f" ("j") {Axis: 1}
"s" f32[...] = Softmax "s" ("f") {Axis: 1}
output "s"`, "", []string{"c", "s"}},
		{"operands come before what reads them, in their order", first + `
"a" f32[...] = Conv "a" ("x", "w")
"b" f32[...] = Conv "b" ("x", "w")
"unused" f32[...] = Relu "u" ("b")
"c" f32[...] = Sub "c" ("b", "a")
output "c"`, "", []string{"b", "a", "c"}},
		{"integers are not logged", first + `
"c" f32[...] = Conv "c" ("x", "w")
"i" i64[...] = ArgMax "i" ("c") {Axis: 1}
output "i"`, "", []string{"c"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			original := parse(t, "graph \"g\"\n"+tc.text)
			for _, stat := range []bool{true, false} {
				g, _, err := Convert(original, Options{QuantizeStat: stat, Platform: tc.platform})
				if err != nil {
					t.Fatal(err)
				}
				if got := Logged(g); !slices.Equal(got, tc.want) {
					t.Errorf("results are %q, want %q", got, tc.want)
				}
				sameOutputs(t, original, g)
			}
		})
	}
}

// sameOutputs interprets two networks on one input.
func sameOutputs(t *testing.T, a, b *graph.Graph) {
	t.Helper()
	in := map[string]*tensor.Tensor{}
	for _, v := range a.Inputs {
		sizes, _ := v.Type.Shape.Known()
		x := tensor.New(tensor.Float32, sizes...)
		for i := range tensor.Values[float32](x) {
			tensor.Values[float32](x)[i] = float32(math.Sin(float64(i)))
		}
		in[v.Name] = x
	}
	run := func(g *graph.Graph) map[string]*tensor.Tensor {
		r, err := interp.Executor{}.Prepare(g, nil)
		if err != nil {
			t.Fatal(err)
		}
		out, err := r.Run(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	want := run(a)
	for name, got := range run(b) {
		x, y := op.Float64s(got), op.Float64s(want[name])
		for i := range y {
			if math.Abs(x[i]-y[i]) > 1e-5 {
				t.Fatalf("output %q is %v, was %v", name, x, y)
			}
		}
	}
}

// TestConstantsThatAreNoCodes leaves operators float whose constants are infinite, as the masks of attention are.
func TestConstantsThatAreNoCodes(t *testing.T) {
	g, report, err := Convert(parse(t, `graph "g"
input "x" f32[1,2]
const "mask" f32[2] = [0 -Inf]
"a" f32[1,2] = Add "a" ("x", "x")
"b" f32[1,2] = Add "b" ("a", "mask")
"c" f32[1,2] = Softmax "c" ("b") {Axis: 1}
output "c"`), Options{Quantize: true, Ranges: map[string]Range{"a": {-1, 1}, "b": {-3e38, 1}, "c": {0, 1}}})
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Islands) != 1 || !strings.Contains(report.Islands[0].Reason, `"mask" element 1 is -Inf`) {
		t.Errorf("stayed float: %+v\n%s", report.Islands, g.Text())
	}
}

// TestValuesInsideOfLayers need no range: what a layer of Caffe was read as is not what MACE has.
func TestValuesInsideOfLayers(t *testing.T) {
	const text = `graph "g"
input "x" f32[1,2]
const "two" f32[] = [2]
"a" f32[1,2] = Add "a" ("x", "x")
"power/scaled" f32[1,2] = Mul "power" ("a", "two")
"power" f32[1,2] = Add "power" ("power/scaled", "two")
"y" f32[1,2] = Add "y" ("power", "power")
output "y"`
	for platform, ok := range map[string]bool{"caffe": true, "onnx": false} {
		_, report, err := Convert(parse(t, text), Options{Quantize: true, Platform: platform,
			Ranges: map[string]Range{"a": {-1, 1}, "power": {-1, 4}, "y": {-2, 8}}})
		if (err == nil) != ok {
			t.Errorf("%s: %v", platform, err)
		} else if ok && (len(report.Islands) != 2 || report.Islands[0].Node != "power") {
			t.Errorf("%s: stayed float: %+v", platform, report.Islands)
		}
	}
}
