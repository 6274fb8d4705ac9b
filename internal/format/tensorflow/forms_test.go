package tensorflow

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/rewrite"
	"github.com/octet-nn/octet/tensor"
)

func attrFloat(name string, v float32) string {
	return attr(name, string(protowire.AppendFixed32(protowire.AppendTag(nil, 4, protowire.Fixed32Type), math.Float32bits(v))))
}

func attrFlag(name string) string { return attr(name, number(5, 1)) }

func normals(r *rand.Rand, n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = float64(float32(r.NormFloat64()))
	}
	return v
}

func of(values []float64, shape ...int) *tensor.Tensor {
	narrow := make([]float32, len(values))
	for i, v := range values {
		narrow[i] = float32(v)
	}
	return tensor.Of(narrow, shape...)
}

func simplified(t *testing.T, model string) *graph.Graph {
	t.Helper()
	g, _, err := Read([]byte(model), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := rewrite.Simplify(g, rewrite.SimplifyOptions{}); err != nil {
		t.Fatal(err)
	}
	return g
}

// TestBatchNormalizationForms: batch normalization in all the arithmetic that TensorFlow 1 and Keras write for it, and a
// relu6 of Maximum and Minimum behind it, become part of the convolution before.
func TestBatchNormalizationForms(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	filter, gamma, beta, mean := normals(r, 3*3*2*4), normals(r, 4), normals(r, 4), normals(r, 4)
	variance := make([]float64, 4)
	for i := range variance {
		variance[i] = float64(float32(r.Float64() + 0.1))
	}
	const epsilon = 0.001
	begin := placeholderDef("x", 1, 5, 5, 2) + constDef("w", 1, filter, 3, 3, 2, 4) + constDef("gamma", 1, gamma, 4) + constDef("beta", 1, beta, 4) +
		constDef("mean", 1, mean, 4) + constDef("variance", 1, variance, 4) + constDef("epsilon", 1, []float64{epsilon}) +
		def("conv", "Conv2D", []string{"x", "w"}, attrInts("strides", 1, 1, 1, 1), attrText("padding", "SAME"))
	end := constDef("zero", 1, []float64{0}) + constDef("six", 1, []float64{6}) + def("least", "Maximum", []string{"bn", "zero"}) + def("y", "Minimum", []string{"least", "six"})
	forms := map[string]string{
		"tf.nn.batch_normalization": def("v", "AddV2", []string{"variance", "epsilon"}) + def("root", "Rsqrt", []string{"v"}) + def("scale", "Mul", []string{"root", "gamma"}) +
			def("scaled", "Mul", []string{"conv", "scale"}) + def("moved", "Mul", []string{"mean", "scale"}) + def("shift", "Sub", []string{"beta", "moved"}) +
			def("bn", "AddV2", []string{"scaled", "shift"}),
		"centred first": def("v", "Add", []string{"variance", "epsilon"}) + def("root", "Rsqrt", []string{"v"}) + def("centred", "Sub", []string{"conv", "mean"}) +
			def("whitened", "Mul", []string{"centred", "root"}) + def("scaled", "Mul", []string{"whitened", "gamma"}) + def("bn", "Add", []string{"scaled", "beta"}),
		"divided by the deviation": def("v", "Add", []string{"variance", "epsilon"}) + def("root", "Sqrt", []string{"v"}) + def("centred", "Sub", []string{"conv", "mean"}) +
			def("whitened", "RealDiv", []string{"centred", "root"}) + def("scaled", "Mul", []string{"gamma", "whitened"}) + def("bn", "BiasAdd", []string{"scaled", "beta"}),
		"BatchNormWithGlobalNormalization": def("bn", "BatchNormWithGlobalNormalization", []string{"conv", "mean", "variance", "beta", "gamma"},
			attrFloat("variance_epsilon", epsilon), attrFlag("scale_after_normalization")),
		"FusedBatchNormV3": def("bn", "FusedBatchNormV3", []string{"conv", "gamma", "beta", "mean", "variance"}, attrFloat("epsilon", epsilon), attr("is_training", number(5, 0))),
	}
	x := of(normals(r, 50), 1, 5, 5, 2)
	conv, _ := run(t, begin+def("y", "Identity", []string{"conv"}), Options{}, x)
	want := make([]float32, len(conv))
	for i, v := range conv {
		c := i % 4
		want[i] = float32(min(max((float64(v)-mean[c])/math.Sqrt(variance[c]+epsilon)*gamma[c]+beta[c], 0), 6))
	}
	for name, form := range forms {
		t.Run(name, func(t *testing.T) {
			if got, _ := run(t, begin+form+end, Options{}, x); !near(got, want, 1e-4) {
				t.Errorf("got %v\nwant %v", got, want)
			}
			g := simplified(t, begin+form+end)
			if len(g.Nodes) != 1 {
				t.Fatalf("it is not one convolution:\n%s", g.Text())
			}
			if o, ok := g.Nodes[0].Op.(*op.Conv); !ok || o.Clamp == nil || o.Clamp.Max != 6 {
				t.Errorf("it does not limit to 0 and 6:\n%s", g.Text())
			}
		})
	}
	// Without scale_after_normalization gamma has no say.
	model := begin + def("y", "BatchNormWithGlobalNormalization", []string{"conv", "mean", "variance", "beta", "gamma"}, attrFloat("variance_epsilon", epsilon))
	got, _ := run(t, model, Options{}, x)
	for i, v := range conv {
		c := i % 4
		if d := float64(got[i]) - ((float64(v)-mean[c])/math.Sqrt(variance[c]+epsilon) + beta[c]); math.Abs(d) > 1e-4 {
			t.Fatalf("element %d is %v off", i, d)
		}
	}
}

// TestDilationOfOpenBatches: a batch that is not known, and lines instead of images, are dilated convolutions as well.
func TestDilationOfOpenBatches(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 7))
	w := normals(r, 3*3*2*3)
	if g := simplified(t, spreadConvolution(-1, w)); len(g.Nodes) != 1 {
		t.Errorf("it is not one convolution:\n%s", g.Text())
	}
	x := of(normals(r, 2*9*7*2), 2, 9, 7, 2)
	open, _ := run(t, spreadConvolution(-1, w), Options{}, x)
	known, _ := run(t, spreadConvolution(2, w), Options{}, x)
	// With a second reader of the spread image the parts stay parts, and say the same.
	parts := spreadConvolution(-1, w) + def("other", "Relu", []string{"conv"}) + def("z", "BatchToSpaceND", []string{"other", "block", "crops"})
	apart, _ := run(t, parts, Options{Outputs: []string{"z"}}, x)
	for i := range open {
		if max(known[i], 0)-apart[i] > 1e-5 || open[i] != known[i] {
			t.Fatalf("element %d: %v with an open batch, %v with a known one, %v in parts", i, open[i], known[i], apart[i])
		}
	}

	line := func(batch int, dilated bool) string {
		s := placeholderDef("x", batch, 11, 2) + constDef("w", 1, w[:3*2*4], 1, 3, 2, 4) + constDef("one", 3, []float64{1})
		if dilated {
			return s + constDef("zeros", 3, []float64{0, 0, 4, 0, 0, 0}, 3, 2) + def("padded", "Pad", []string{"x", "zeros"}) + def("image", "ExpandDims", []string{"padded", "one"}) +
				def("conv", "Conv2D", []string{"image", "w"}, attrInts("strides", 1, 1, 1, 1), attrInts("dilations", 1, 1, 2, 1), attrText("padding", "VALID")) +
				def("y", "Squeeze", []string{"conv"}, attrInts("squeeze_dims", 1))
		}
		return s + constDef("block", 3, []float64{2}, 1) + constDef("pads", 3, []float64{4, 1}, 1, 2) + constDef("crops", 3, []float64{0, 1}, 1, 2) +
			def("spread", "SpaceToBatchND", []string{"x", "block", "pads"}) + def("image", "ExpandDims", []string{"spread", "one"}) +
			def("conv", "Conv2D", []string{"image", "w"}, attrInts("strides", 1, 1, 1, 1), attrText("padding", "VALID")) +
			def("squeezed", "Squeeze", []string{"conv"}, attrInts("squeeze_dims", 1)) + def("y", "BatchToSpaceND", []string{"squeezed", "block", "crops"})
	}
	in := of(normals(r, 22), 1, 11, 2)
	want, _ := run(t, line(1, true), Options{}, in)
	for _, batch := range []int{1, -1} {
		g := simplified(t, line(batch, false))
		convolutions := 0
		for _, n := range g.Nodes {
			if o, ok := n.Op.(*op.Conv); ok && slices.Equal(o.Dilations, []int{1, 2}) {
				convolutions++
			}
		}
		if convolutions != 1 || len(g.Nodes) > 3 {
			t.Errorf("batch %d: not one dilated convolution between two changes of shape:\n%s", batch, g.Text())
		}
		if got, _ := run(t, line(batch, false), Options{}, in); !near(got, want, 1e-5) {
			t.Errorf("batch %d: got %v, want %v", batch, got, want)
		}
	}
}

// TestConditionals: Merge takes what a condition chooses; whether a network trains is known.
func TestConditionals(t *testing.T) {
	x := tensor.Of([]float32{1, 5}, 2)
	for name, flag := range map[string]string{
		"a constant": def("c", "Const", nil, attrType("dtype", 10), attr("value", text(8, number(1, 10)+text(4, "\x00")))),
		"learning phase": def("keras_learning_phase", "Placeholder", nil, attrType("dtype", 10), attr("shape", text(7, ""))) +
			def("c", "Identity", []string{"keras_learning_phase"}),
	} {
		got, notes := run(t, conditional(flag), Options{Outputs: []string{"y"}}, x)
		if !slices.Equal(got, []float32{2, 10}) {
			t.Errorf("%s: got %v", name, got)
		}
		if told := strings.Contains(strings.Join(notes, ""), "keras_learning_phase"); told != (name == "learning phase") {
			t.Errorf("%s: notes %q", name, notes)
		}
	}
	// A condition that is computed, and a branch that is a constant, which only a control edge ties to it.
	model := placeholderDef("x", 2) + constDef("axis", 3, []float64{0}, 1) + constDef("limit", 1, []float64{10}) + constDef("nothing", 1, []float64{0, 0}, 2) +
		def("sum", "Sum", []string{"x", "axis"}) + def("c", "Less", []string{"sum", "limit"}) +
		def("turn", "Switch", []string{"x", "c"}) + def("pivot", "Switch", []string{"c", "c"}) + def("no", "Identity", []string{"pivot"}) +
		def("none", "Identity", []string{"nothing", "^no"}) + def("double", "Add", []string{"turn:1", "turn:1"}) +
		def("y", "Merge", []string{"double", "none"})
	for want, in := range map[float32]float32{6: 3, 0: 30} {
		if got, _ := run(t, model, Options{Outputs: []string{"y"}}, tensor.Of([]float32{in, 1}, 2)); got[0] != want {
			t.Errorf("of %v: %v, want %v", in, got, want)
		}
	}
}

// TestNestedConditionals has a conditional in a branch of another: x if a, else x·2 if b, else x·4.
func TestNestedConditionals(t *testing.T) {
	flag := func(name, value string) string {
		return def(name, "Const", nil, attrType("dtype", 10), attr("value", text(8, number(1, 10)+text(4, value))))
	}
	computed := func(name string, limit float64) string { // x[0] < limit
		return constDef(name+"/limit", 1, []float64{limit}) + def(name, "Less", []string{"first", name + "/limit"})
	}
	nodes := constDef("two", 1, []float64{2}) + constDef("four", 1, []float64{4}) +
		def("turn", "Switch", []string{"x", "a"}) + def("b/in", "Switch", []string{"b", "a"}) +
		def("inner", "Switch", []string{"turn", "b/in"}) + def("double", "Mul", []string{"inner:1", "two"}) + def("fourfold", "Mul", []string{"inner", "four"}) +
		def("either", "Merge", []string{"fourfold", "double"}) + def("same", "Identity", []string{"turn:1"}) + def("y", "Merge", []string{"same", "either"})
	for _, c := range []struct {
		a, b string
		want float32
	}{{"\x01", "\x00", 3}, {"\x00", "\x01", 6}, {"\x00", "\x00", 12}} {
		model := placeholderDef("x", 1) + flag("a", c.a) + flag("b", c.b) + nodes
		if got, _ := run(t, model, Options{Outputs: []string{"y"}}, tensor.Of([]float32{3}, 1)); got[0] != c.want {
			t.Errorf("a %q, b %q: got %v, want %v", c.a, c.b, got, c.want)
		}
	}
	model := placeholderDef("x", 1) + constDef("axis", 3, []float64{0}, 1) + def("first", "Sum", []string{"x", "axis"}) + computed("a", 1) + computed("b", 10) + nodes
	for in, want := range map[float32]float32{0.5: 0.5, 3: 6, 30: 120} {
		if got, _ := run(t, model, Options{Outputs: []string{"y"}}, tensor.Of([]float32{in}, 1)); got[0] != want {
			t.Errorf("of %v: got %v, want %v", in, got, want)
		}
	}
}

// sigmoid is that of the definitions below.
func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// lstm is BasicLSTMCell by its definition, over all steps of x [steps][inputs]: h of each.
func lstm(x [][]float64, w, b []float64, hidden int) (all [][]float64) {
	h, c := make([]float64, hidden), make([]float64, hidden)
	for _, in := range x {
		both := append(slices.Clone(in), h...)
		gate := func(k, j int) float64 { // of i, j, f, o
			sum := b[k*hidden+j]
			for r, v := range both {
				sum += v * w[r*4*hidden+k*hidden+j]
			}
			return sum
		}
		next := make([]float64, hidden)
		for j := range hidden {
			c[j] = c[j]*sigmoid(gate(2, j)+1) + sigmoid(gate(0, j))*math.Tanh(gate(1, j))
			next[j] = math.Tanh(c[j]) * sigmoid(gate(3, j))
		}
		h = next
		all = append(all, h)
	}
	return all
}

// basicLSTM is the nodes of tf.nn.rnn_cell.BasicLSTMCell: of x, c and h the new c, at prefix/c, and h, at prefix/h.
func basicLSTM(prefix, x, c, h string) string {
	p := func(name string) string { return prefix + "/" + name }
	return def(p("both"), "ConcatV2", []string{x, h, "one"}) + def(p("product"), "MatMul", []string{p("both"), "kernel"}) + def(p("gates"), "BiasAdd", []string{p("product"), "bias"}) +
		def(p("split"), "Split", []string{"one", p("gates")}, attrInt("num_split", 4)) +
		def(p("f"), "Add", []string{p("split:2"), "forget"}) + def(p("sf"), "Sigmoid", []string{p("f")}) + def(p("kept"), "Mul", []string{c, p("sf")}) +
		def(p("si"), "Sigmoid", []string{p("split")}) + def(p("tj"), "Tanh", []string{p("split:1")}) + def(p("added"), "Mul", []string{p("si"), p("tj")}) +
		def(p("c"), "Add", []string{p("kept"), p("added")}) + def(p("tc"), "Tanh", []string{p("c")}) + def(p("so"), "Sigmoid", []string{p("split:3")}) +
		def(p("h"), "Mul", []string{p("tc"), p("so")})
}

const steps, inputs, hidden = 3, 2, 4 // of recurrent cells

// TestRecurrentCells: cells of many nodes in a static_rnn, in the loop of a dynamic_rnn whose results of all steps are
// read, and as one operator.
func TestRecurrentCells(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	kernel, bias, x := normals(r, (inputs+hidden)*4*hidden), normals(r, 4*hidden), normals(r, steps*inputs)
	var rows [][]float64
	for i := range steps {
		rows = append(rows, x[i*inputs:][:inputs])
	}
	var want []float32
	for _, h := range lstm(rows, kernel, bias, hidden) {
		for _, v := range h {
			want = append(want, float32(v))
		}
	}
	shared := cellConstants(kernel, bias)
	in := of(x, steps, 1, inputs) // time first

	static := placeholderDef("x", steps, 1, inputs) + shared + def("part", "Unpack", []string{"x"}, attrInt("num", steps), attrInt("axis", 0))
	c, h := "start", "start"
	var all []string
	for i := range steps {
		prefix := fmt.Sprintf("step%d", i)
		static += basicLSTM(prefix, fmt.Sprintf("part:%d", i), c, h)
		c, h = prefix+"/c", prefix+"/h"
		all = append(all, h)
	}
	static += def("y", "Pack", all, attrInt("N", steps), attrInt("axis", 0))
	if got, _ := run(t, static, Options{Outputs: []string{"y"}}, in); !near(got, want, 1e-5) {
		t.Errorf("static_rnn: got %v, want %v", got, want)
	}

	dynamic := dynamicRNN(shared)
	if got, _ := run(t, dynamic, Options{Outputs: []string{"y"}}, in); !near(got, want, 1e-5) {
		t.Errorf("dynamic_rnn: got %v, want %v", got, want)
	}
	// The indices may also be computed, and the last state may be asked for instead.
	picked := dynamic + constDef("last", 3, []float64{2}, 1) + def("z", "TensorArrayGatherV3", []string{"out", "last", "flow/exit"})
	for output, name := range map[string]string{"z": "the last element", "h/exit": "the last state"} {
		if got, _ := run(t, picked, Options{Outputs: []string{output}}, in); !near(got, want[(steps-1)*hidden:], 1e-5) {
			t.Errorf("%s: got %v", name, got)
		}
	}

	block := placeholderDef("x", 1, inputs) + shared + constDef("peephole", 1, make([]float64, hidden), hidden) +
		def("cell", "LSTMBlockCell", []string{"x", "start", "start", "kernel", "peephole", "peephole", "peephole", "bias"}, attrFloat("forget_bias", 1), attrFloat("cell_clip", -1)) +
		def("y", "Identity", []string{"cell:6"})
	if got, _ := run(t, block, Options{Outputs: []string{"y"}}, of(x[:inputs], 1, inputs)); !near(got, want[:hidden], 1e-5) {
		t.Errorf("LSTMBlockCell: got %v, want %v", got, want[:hidden])
	}
}

// TestGRUCells compares GRUCell's nodes and GRUBlockCell with the definition.
func TestGRUCells(t *testing.T) {
	const hidden = 3
	r := rand.New(rand.NewPCG(4, 4))
	gates, candidate := normals(r, (inputs+hidden)*2*hidden), normals(r, (inputs+hidden)*hidden)
	gateBias, bias, x, h := normals(r, 2*hidden), normals(r, hidden), normals(r, inputs), normals(r, hidden)
	product := func(in, w, b []float64) []float64 {
		out := slices.Clone(b)
		for i, v := range in {
			for j := range out {
				out[j] += v * w[i*len(out)+j]
			}
		}
		return out
	}
	ru := product(append(slices.Clone(x), h...), gates, gateBias)
	reset := slices.Clone(h)
	for j := range reset {
		reset[j] *= sigmoid(ru[j])
	}
	news := product(append(slices.Clone(x), reset...), candidate, bias)
	var want []float32
	for j := range h {
		u := sigmoid(ru[hidden+j])
		want = append(want, float32(u*h[j]+(1-u)*math.Tanh(news[j])))
	}
	begin := placeholderDef("x", 1, inputs) + placeholderDef("h", 1, hidden) + constDef("wg", 1, gates, inputs+hidden, 2*hidden) + constDef("wc", 1, candidate, inputs+hidden, hidden) +
		constDef("bg", 1, gateBias, 2*hidden) + constDef("bc", 1, bias, hidden) + constDef("axis", 3, []float64{1}) + constDef("one", 1, []float64{1})
	nodes := begin + def("both", "ConcatV2", []string{"x", "h", "axis"}) + def("mg", "MatMul", []string{"both", "wg"}) + def("g", "BiasAdd", []string{"mg", "bg"}) +
		def("sg", "Sigmoid", []string{"g"}) + def("s", "Split", []string{"axis", "sg"}, attrInt("num_split", 2)) +
		def("rh", "Mul", []string{"s", "h"}) + def("again", "ConcatV2", []string{"x", "rh", "axis"}) + def("mc", "MatMul", []string{"again", "wc"}) +
		def("cb", "BiasAdd", []string{"mc", "bc"}) + def("c", "Tanh", []string{"cb"}) + def("kept", "Mul", []string{"s:1", "h"}) +
		def("rest", "Sub", []string{"one", "s:1"}) + def("new", "Mul", []string{"rest", "c"}) + def("y", "Add", []string{"kept", "new"})
	block := begin + def("cell", "GRUBlockCell", []string{"x", "h", "wg", "wc", "bg", "bc"}) + def("y", "Identity", []string{"cell:3"})
	for name, model := range map[string]string{"GRUCell": nodes, "GRUBlockCell": block} {
		if got, _ := run(t, model, Options{Outputs: []string{"y"}}, of(x, 1, inputs), of(h, 1, hidden)); !near(got, want, 1e-5) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}

// TestStoredCodes: each mode of Dequantize spreads codes over their range in its own way. The numbers follow from the
// formulas in the documentation of tf.quantization.dequantize.
func TestStoredCodes(t *testing.T) {
	for name, c := range map[string]struct {
		mode      string
		dtype     int64 // 12 is quint8, 11 qint8
		low, high float64
		codes     []float64
		want      []float32
	}{
		"MIN_COMBINED":         {"MIN_COMBINED", 12, -1, 4.1, []float64{0, 50, 255}, []float32{-1, 0, 4.1}},
		"MIN_COMBINED, signed": {"MIN_COMBINED", 11, -1, 4.1, []float64{128, 178, 127}, []float32{-1, 0, 4.1}},
		"MIN_FIRST has 0":      {"MIN_FIRST", 12, -1.007, 4.093, []float64{0, 50, 255}, []float32{-1, 0, 4.1}},
		"SCALED":               {"SCALED", 11, -1.28, 1.0, []float64{128, 0, 100}, []float32{-1.28, 0, 1}},
		"SCALED, unsigned":     {"SCALED", 12, 0, 5.1, []float64{0, 5, 255}, []float32{0, 0.1, 5.1}},
	} {
		model := placeholderDef("x", 3) + constDef("codes", c.dtype, c.codes, 3) + constDef("low", 1, []float64{c.low}) + constDef("high", 1, []float64{c.high}) +
			def("w", "Dequantize", []string{"codes", "low", "high"}, attrText("mode", c.mode)) + def("y", "Add", []string{"x", "w"})
		if got, _ := run(t, model, Options{}, tensor.Of([]float32{0, 0, 0}, 3)); !near(got, c.want, 1e-5) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

// TestQuantizedNodes is a convolution as quantize_nodes writes it: the range of its input and of its result are computed
// as it runs, so that only its weights are rounded.
func TestQuantizedNodes(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	codes := make([]float64, 3*3*2*2)
	for i := range codes {
		codes[i] = float64(r.IntN(256))
	}
	model := quantizedNodes(codes)
	weights := make([]float64, len(codes))
	for i, q := range codes {
		weights[i] = (q - 50) * 0.02 // −1 is code 0, in steps of 5.1 / 255
	}
	plain := placeholderDef("x", 1, 5, 5, 2) + constDef("w", 1, weights, 3, 3, 2, 2) +
		def("conv", "Conv2D", []string{"x", "w"}, attrInts("strides", 1, 1, 1, 1), attrText("padding", "SAME")) +
		def("pool", "MaxPool", []string{"conv"}, attrInts("ksize", 1, 2, 2, 1), attrInts("strides", 1, 2, 2, 1), attrText("padding", "SAME")) + def("y", "Relu6", []string{"pool"})
	x := of(normals(r, 50), 1, 5, 5, 2)
	got, notes := run(t, model, Options{}, x)
	want, _ := run(t, plain, Options{}, x)
	if !near(got, want, 1e-4) || !strings.Contains(strings.Join(notes, "\n"), "quantize_nodes") {
		t.Errorf("got %v\nwant %v\nnotes %q", got, want, notes)
	}
	// An operator on codes that is not known is named, not guessed.
	g, _, err := Read([]byte(placeholderDef("x", 2)+constDef("a", 1, []float64{0})+constDef("b", 1, []float64{1})+
		def("q", "QuantizeV2", []string{"x", "a", "b"})+def("y", "QuantizedInstanceNorm", []string{"q", "q:1", "q:2"})), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := op.CheckSupported(g); err == nil || !strings.Contains(err.Error(), "QuantizedInstanceNorm") {
		t.Error(err)
	}
}

// TestFewBits: num_bits and narrow_range decide which codes weights become.
func TestFewBits(t *testing.T) {
	for _, c := range []struct {
		bits   int64
		narrow bool
		want   []float32
		dtype  tensor.DType
	}{
		{8, false, []float32{-1, 0, 0.5, 1.55}, tensor.Uint8}, {4, false, []float32{-1.0667, 0, 0.5333, 1.6}, tensor.Uint4}, {4, true, []float32{-1, 0, 0.4, 1.6}, tensor.Uint4},
	} {
		attributes := []string{attrFloat("min", -1), attrFloat("max", 1.55), attrInt("num_bits", c.bits)}
		if c.bits == 4 {
			attributes[1] = attrFloat("max", 3)
		}
		if c.narrow {
			attributes = append(attributes, attrFlag("narrow_range"))
			attributes[1] = attrFloat("max", 1.8)
		}
		model := placeholderDef("x", 4) + constDef("w", 1, []float64{-1, 0, 0.5, 1.55}, 4) + def("q", "FakeQuantWithMinMaxArgs", []string{"w"}, attributes...) + def("y", "Add", []string{"x", "q"})
		if got, _ := run(t, model, Options{}, tensor.Of(make([]float32, 4), 4)); !near(got, c.want, 2e-2) {
			t.Errorf("%d bits, narrow %t: got %v, want %v", c.bits, c.narrow, got, c.want)
		}
		g, _, err := Read([]byte(model), Options{})
		if err != nil {
			t.Fatal(err)
		}
		stored := slices.ContainsFunc(g.Nodes, func(n *graph.Node) bool {
			_, ok := n.Op.(*op.Dequantize)
			return ok && n.Inputs[0].Const != nil && n.Inputs[0].Type.DType == c.dtype
		})
		if !stored {
			t.Errorf("%d bits: the weights are no %s codes:\n%s", c.bits, c.dtype, g.Text())
		}
	}
}

// TestFoldedTraining has a network as it is trained with batch normalization folded into its weights: products of
// constants, rounded. All of it computes on codes.
func TestFoldedTraining(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	for _, depthwise := range []bool{false, true} {
		fake := func(name, of string, low, high float32) string {
			return constDef(name+"/min", 1, []float64{float64(low)}) + constDef(name+"/max", 1, []float64{float64(high)}) +
				def(name+"/read", "Identity", []string{name + "/min"}) + def(name, "FakeQuantWithMinMaxVars", []string{of, name + "/read", name + "/max"})
		}
		shape, operator := []int{3, 3, 2, 4}, "Conv2D"
		if depthwise {
			shape, operator = []int{3, 3, 2, 2}, "DepthwiseConv2dNative"
		}
		scales := []int{4}
		if depthwise {
			scales = []int{2, 2}
		}
		model := placeholderDef("x", 1, 6, 6, 2) + fake("in", "x", -1, 1) + constDef("w", 1, normals(r, shape[0]*shape[1]*shape[2]*shape[3]), shape...) +
			constDef("gamma", 1, normals(r, 4), scales...) + constDef("variance", 1, []float64{1, 2, 0.5, 3}, scales...) + constDef("epsilon", 1, []float64{0.001}) +
			def("v", "Add", []string{"variance", "epsilon"}) + def("root", "Rsqrt", []string{"v"}) + def("scale", "Mul", []string{"root", "gamma"}) +
			def("fold", "Mul", []string{"w", "scale"}) + fake("weights", "fold", -3, 3) +
			def("conv", operator, []string{"in", "weights"}, attrInts("strides", 1, 1, 1, 1), attrText("padding", "SAME")) +
			constDef("b", 1, normals(r, 4), 4) + def("sum", "BiasAdd", []string{"conv", "b"}) + def("limited", "Relu6", []string{"sum"}) + fake("y", "limited", 0, 6)
		g, _, err := Read([]byte(model), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := rewrite.Simplify(g, rewrite.SimplifyOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := rewrite.Absorb(g, rewrite.AbsorbOptions{}); err != nil {
			t.Fatal(err)
		}
		for _, n := range g.Nodes {
			if _, ok := n.Op.(*op.Conv); ok && n.Compute != graph.Integer || strings.Contains(n.Op.Type(), "Mul") {
				t.Errorf("%s does not compute on codes:\n%s", operator, g.Text())
			}
		}
	}
}

// greedy reads a file and checks what that took.
func greedy(t *testing.T, name string, data []byte) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	_, _, err := Read(data, Options{})
	runtime.ReadMemStats(&after)
	if took, made := time.Since(start), after.TotalAlloc-before.TotalAlloc; took > 10*time.Second || made > 1<<30 {
		t.Errorf("%s: %v and %d MiB for %d bytes (%v)", name, took, made>>20, len(data), err)
	}
}

// TestGreedyFiles: a few bytes cannot ask for much memory or time.
func TestGreedyFiles(t *testing.T) {
	var many, unknowns, repeated strings.Builder
	many.WriteString(placeholderDef("x", 1<<16))
	unknowns.WriteString(placeholderDef("x", 4))
	for i := range 5000 {
		fmt.Fprint(&many, def(fmt.Sprintf("u%d", i), "Unpack", []string{"x"}, attrInt("num", 1<<16)))
		fmt.Fprint(&repeated, def(fmt.Sprintf("c%d", i), "Const", nil, attr("value", text(8, number(1, 1)+text(2, shapeOf(1<<20))))), def(fmt.Sprintf("r%d", i), "Relu", []string{fmt.Sprintf("c%d", i)}))
	}
	for i := range 20000 {
		fmt.Fprint(&unknowns, def(fmt.Sprintf("f%d", i), "Frobnicate", []string{"x"}))
	}
	floats := text(1, text(1, "c")+text(2, "Const")+attr("value", text(8, number(1, 1)+text(2, shapeOf(200_000))+
		strings.Repeat(string(protowire.AppendFixed32(protowire.AppendTag(nil, 5, protowire.Fixed32Type), 1)), 200_000)))) + def("y", "Relu", []string{"c"})
	inputs := slices.Repeat([]string{"x"}, 50_000)
	for name, model := range map[string]string{"unpacked": many.String(), "unknown": unknowns.String(), "repeated": repeated.String(), "one by one": floats,
		"packed": placeholderDef("x", 1) + def("y", "Pack", inputs)} {
		greedy(t, name, []byte(model))
	}
}
