package tensorflow

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// Graphs are written by hand here, field by field.

func text(number protowire.Number, s string) string {
	return string(protowire.AppendString(protowire.AppendTag(nil, number, protowire.BytesType), s))
}

func number(field protowire.Number, v int64) string {
	return string(protowire.AppendVarint(protowire.AppendTag(nil, field, protowire.VarintType), uint64(v)))
}

func attr(name, value string) string { return text(5, text(1, name)+text(2, value)) }

func attrInts(name string, values ...int64) string {
	var packed []byte
	for _, v := range values {
		packed = protowire.AppendVarint(packed, uint64(v))
	}
	return attr(name, text(1, text(3, string(packed))))
}

func attrText(name, v string) string { return attr(name, text(2, v)) }

func attrInt(name string, v int64) string { return attr(name, number(3, v)) }

func attrType(name string, v int64) string { return attr(name, number(6, v)) }

func shapeOf(dims ...int) string {
	var s string
	for _, d := range dims {
		s += text(2, number(1, int64(d)))
	}
	return s
}

func def(name, operator string, inputs []string, attributes ...string) string {
	s := text(1, name) + text(2, operator)
	for _, in := range inputs {
		s += text(3, in)
	}
	return text(1, s+strings.Join(attributes, ""))
}

func placeholderDef(name string, dims ...int) string {
	return def(name, "Placeholder", nil, attrType("dtype", 1), attr("shape", text(7, shapeOf(dims...))))
}

// constDef is a constant; its numbers for TensorFlow's types are 1 float, 3 int32, 12 quint8.
func constDef(name string, dtype int64, values []float64, dims ...int) string {
	var content []byte
	for _, v := range values {
		switch dtype {
		case 1:
			content = binary.LittleEndian.AppendUint32(content, math.Float32bits(float32(v)))
		case 3:
			content = binary.LittleEndian.AppendUint32(content, uint32(int32(v)))
		default:
			content = append(content, byte(v))
		}
	}
	t := number(1, dtype) + text(2, shapeOf(dims...)) + text(4, string(content))
	return def(name, "Const", nil, attrType("dtype", dtype), attr("value", text(8, t)))
}

func run(t *testing.T, model string, o Options, inputs ...*tensor.Tensor) ([]float32, []string) {
	t.Helper()
	g, notes, err := Read([]byte(model), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := op.CheckSupported(g); err != nil {
		t.Fatal(err)
	}
	out, err := op.Run(t.Context(), g, inputs)
	if err != nil {
		t.Fatalf("%v\n%s", err, g.Text())
	}
	return op.Float32s(out[0]), notes
}

func near(a, b []float32, tolerance float64) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if d := math.Abs(float64(a[i] - b[i])); !(d <= tolerance) {
			return false
		}
	}
	return true
}

// TestDilation has a dilated convolution as TensorFlow 1 writes it, and the same with the dilation as an attribute.
func TestDilation(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	weights := make([]float64, 3*3*2*3)
	for i := range weights {
		weights[i] = r.NormFloat64()
	}
	x := make([]float32, 9*7*2)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	in := tensor.Of(x, 1, 9, 7, 2)
	filter := constDef("w", 1, weights, 3, 3, 2, 3)
	spread := placeholderDef("x", 1, 9, 7, 2) + filter +
		constDef("block", 3, []float64{2, 2}, 2) + constDef("pads", 3, []float64{2, 3, 2, 3}, 2, 2) + constDef("crops", 3, []float64{0, 1, 0, 1}, 2, 2) +
		def("spread", "SpaceToBatchND", []string{"x", "block", "pads"}) +
		def("conv", "Conv2D", []string{"spread", "w"}, attrInts("strides", 1, 1, 1, 1), attrText("padding", "VALID")) +
		def("y", "BatchToSpaceND", []string{"conv", "block", "crops"})
	plain := placeholderDef("x", 1, 9, 7, 2) + filter +
		def("y", "Conv2D", []string{"x", "w"}, attrInts("strides", 1, 1, 1, 1), attrInts("dilations", 1, 2, 2, 1), attrText("padding", "SAME"))
	g, _, err := Read([]byte(spread), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(g.Nodes) != 1 {
		t.Errorf("it is not one convolution:\n%s", g.Text())
	}
	a, _ := run(t, spread, Options{}, in)
	b, _ := run(t, plain, Options{}, in)
	if !near(a, b, 1e-5) {
		t.Errorf("%v\n%v", a, b)
	}
	// The parts by themselves: what is moved into the batch comes back.
	back := placeholderDef("x", 1, 8, 6, 2) + constDef("block", 3, []float64{2, 3}, 2) + constDef("none", 3, make([]float64, 4), 2, 2) +
		def("spread", "SpaceToBatchND", []string{"x", "block", "none"}) + def("y", "BatchToSpaceND", []string{"spread", "block", "none"})
	if got, _ := run(t, back, Options{}, tensor.Of(x[:96], 1, 8, 6, 2)); !slices.Equal(got, x[:96]) {
		t.Errorf("got %v", got)
	}
}

// TestStridedSlice has x[1, ::-1, tf.newaxis] and the like on x = [[0 1 2] [3 4 5]].
func TestStridedSlice(t *testing.T) {
	x := tensor.Of([]float32{0, 1, 2, 3, 4, 5}, 2, 3)
	for name, c := range map[string]struct {
		begin, end, steps []float64
		masks             []string
		want              []float32
	}{
		"row":         {[]float64{1, 0}, []float64{2, 0}, []float64{1, 1}, []string{attrInt("shrink_axis_mask", 1), attrInt("end_mask", 2)}, []float32{3, 4, 5}},
		"last column": {[]float64{0, -1}, []float64{0, 0}, []float64{1, 1}, []string{attrInt("shrink_axis_mask", 2), attrInt("begin_mask", 1), attrInt("end_mask", 1)}, []float32{2, 5}},
		"backwards":   {[]float64{0, 0}, []float64{0, 0}, []float64{1, -1}, []string{attrInt("begin_mask", 3), attrInt("end_mask", 3)}, []float32{2, 1, 0, 5, 4, 3}},
		"ellipsis":    {[]float64{0, 1}, []float64{0, 3}, []float64{1, 1}, []string{attrInt("ellipsis_mask", 1)}, []float32{1, 2, 4, 5}},
		"new axis":    {[]float64{0, 1}, []float64{0, 2}, []float64{1, 1}, []string{attrInt("new_axis_mask", 1)}, []float32{3, 4, 5}},
	} {
		t.Run(name, func(t *testing.T) {
			model := placeholderDef("x", 2, 3) + constDef("b", 3, c.begin, len(c.begin)) + constDef("e", 3, c.end, len(c.end)) + constDef("s", 3, c.steps, len(c.steps)) +
				def("y", "StridedSlice", []string{"x", "b", "e", "s"}, c.masks...)
			if got, _ := run(t, model, Options{}, x); !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// TestWhileLoop has i = 0; while i < 3 { x = x·w + i; i = i + 1 } as nodes of TensorFlow 1.
func TestWhileLoop(t *testing.T) {
	frame := attrText("frame_name", "loop")
	model := placeholderDef("x", 2) + constDef("zero", 3, []float64{0}) + constDef("one", 3, []float64{1}) + constDef("three", 3, []float64{3}) + placeholderDef("w") +
		def("i/enter", "Enter", []string{"zero"}, frame) + def("x/enter", "Enter", []string{"x"}, frame) +
		def("w/enter", "Enter", []string{"w"}, frame, attr("is_constant", number(5, 1))) +
		def("i/merge", "Merge", []string{"i/enter", "i/next"}) + def("x/merge", "Merge", []string{"x/enter", "x/next"}) +
		def("less", "Less", []string{"i/merge", "three"}) + def("cond", "LoopCond", []string{"less"}) +
		def("i/switch", "Switch", []string{"i/merge", "cond"}) + def("x/switch", "Switch", []string{"x/merge", "cond"}) +
		def("i/body", "Identity", []string{"i/switch:1"}) + def("x/body", "Identity", []string{"x/switch:1"}) +
		def("float", "Cast", []string{"i/body"}, attrType("DstT", 1)) + def("product", "Mul", []string{"x/body", "w/enter"}) + def("sum", "Add", []string{"product", "float"}) +
		def("next", "Add", []string{"i/body", "one"}) +
		def("i/next", "NextIteration", []string{"next"}) + def("x/next", "NextIteration", []string{"sum"}) +
		def("y", "Exit", []string{"x/switch"})
	got, _ := run(t, model, Options{Outputs: []string{"y:0"}}, tensor.Of([]float32{1, 2}, 2), tensor.Of([]float32{2}))
	if want := []float32{((1*2+0)*2+1)*2 + 2, ((2*2+0)*2+1)*2 + 2}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestTransformedGraphs has weights as quantize_weights stores them, and operators on codes as quantize_nodes writes them.
func TestTransformedGraphs(t *testing.T) {
	stored := placeholderDef("x", 1, 2) + constDef("codes", 12, []float64{0, 255, 51, 204}, 2, 2) + constDef("low", 1, []float64{-1}) + constDef("high", 1, []float64{4}) +
		def("w", "Dequantize", []string{"codes", "low", "high"}) + def("y", "MatMul", []string{"x", "w"})
	got, notes := run(t, stored, Options{}, tensor.Of([]float32{1, 10}, 1, 2))
	if !near(got, []float32{-1, 4 + 30}, 1e-5) || len(notes) != 1 || !strings.Contains(notes[0], "quantize_weights") {
		t.Errorf("got %v, notes %q", got, notes)
	}
	nodes := placeholderDef("x", 1, 2) + constDef("codes", 12, []float64{0, 255, 51, 204}, 2, 2) + constDef("low", 1, []float64{-1}) + constDef("high", 1, []float64{4}) +
		constDef("from", 1, []float64{-20}) + constDef("to", 1, []float64{31}) +
		def("xq", "QuantizeV2", []string{"x", "from", "to"}) +
		def("product", "QuantizedMatMul", []string{"xq", "codes", "xq:1", "xq:2", "low", "high"}) +
		def("q", "Requantize", []string{"product", "product:1", "product:2", "from", "to"}) +
		def("relu", "QuantizedRelu", []string{"q", "q:1", "q:2"}) +
		def("y", "Dequantize", []string{"relu", "relu:1", "relu:2"})
	got, notes = run(t, nodes, Options{}, tensor.Of([]float32{1.04, 10}, 1, 2)) // codes in steps of 0.2
	if !near(got, []float32{0, 31}, 1e-4) || len(notes) == 0 || !strings.Contains(notes[0], "quantize_nodes") {
		t.Errorf("got %v, notes %q", got, notes)
	}
}

func TestPoolsAndTransposedConvolutions(t *testing.T) {
	x := tensor.Of([]float32{1, 2, 3, 4}, 1, 2, 2, 1)
	// A transposed convolution with stride 2 and SAME padding puts each element's multiples of the filter side by side.
	model := placeholderDef("x", 1, 2, 2, 1) + constDef("w", 1, []float64{1, 10, 100, 1000}, 2, 2, 1, 1) + constDef("size", 3, []float64{1, 4, 4, 1}, 4) +
		def("y", "Conv2DBackpropInput", []string{"size", "w", "x"}, attrInts("strides", 1, 2, 2, 1), attrText("padding", "SAME"))
	if got, _ := run(t, model, Options{}, x); !slices.Equal(got, []float32{1, 10, 2, 20, 100, 1000, 200, 2000, 3, 30, 4, 40, 300, 3000, 400, 4000}) {
		t.Errorf("transposed convolution: %v", got)
	}
	model = placeholderDef("x", 1, 2, 2, 1) + def("y", "AvgPool", []string{"x"}, attrInts("ksize", 1, 2, 2, 1), attrInts("strides", 1, 1, 1, 1), attrText("padding", "SAME"))
	if got, _ := run(t, model, Options{}, x); !slices.Equal(got, []float32{2.5, 3, 3.5, 4}) {
		t.Errorf("average pool: %v", got)
	}
}

func TestWrongFiles(t *testing.T) {
	for name, c := range map[string]struct {
		model string
		o     Options
		parts []string
	}{
		"empty":           {"", Options{}, []string{"empty"}},
		"no nodes":        {text(4, ""), Options{}, []string{"no nodes", "frozen GraphDef"}},
		"truncated":       {placeholderDef("x", 1)[:9], Options{}, []string{"truncated"}},
		"variable":        {def("v", "VariableV2", nil) + def("y", "Identity", []string{"v"}), Options{}, []string{`VariableV2 "v"`, "freeze"}},
		"missing node":    {def("y", "Relu", []string{"x"}), Options{}, []string{`no node computes "x"`}},
		"cycle":           {def("a", "Relu", []string{"b"}) + def("b", "Relu", []string{"a"}), Options{Outputs: []string{"a"}}, []string{"depends on its own result"}},
		"no outputs":      {def("a", "Relu", []string{"b"}) + def("b", "Relu", []string{"a"}), Options{}, []string{"--outputs"}},
		"two of a name":   {placeholderDef("x", 1) + placeholderDef("x", 1), Options{}, []string{"two nodes"}},
		"unknown output":  {placeholderDef("input", 1), Options{Outputs: []string{"inpud"}}, []string{`"inpud"`, "input"}},
		"too few inputs":  {placeholderDef("x", 1) + def("y", "Add", []string{"x"}), Options{}, []string{`Add "y"`, "1 inputs"}},
		"bad constant":    {constDef("c", 1, []float64{1, 2, 3}, 2) + def("y", "Relu", []string{"c"}), Options{}, []string{`Const "c"`, "12 bytes"}},
		"huge constant":   {constDef("c", 1, []float64{1}, 1<<20, 1<<20) + def("y", "Relu", []string{"c"}), Options{}, []string{"too large"}},
		"range without 0": {placeholderDef("x", 1) + def("y", "FakeQuantWithMinMaxArgs", []string{"x"}, attr("min", string(protowire.AppendFixed32(protowire.AppendTag(nil, 4, protowire.Fixed32Type), math.Float32bits(1))))), Options{}, []string{"holds 0"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := Read([]byte(c.model), c.o)
			for _, part := range c.parts {
				if err == nil || !strings.Contains(err.Error(), part) {
					t.Errorf("%v lacks %q", err, part)
				}
			}
		})
	}
}

// TestUnknownOperatorsLoad: they fail when the network is run.
func TestUnknownOperatorsLoad(t *testing.T) {
	g, _, err := Read([]byte(placeholderDef("x", 1)+def("f", "Frobnicate", []string{"x"})+def("y", "Add", []string{"f:1", "f"})), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := op.CheckSupported(g); err == nil || !strings.Contains(err.Error(), "tensorflow.Frobnicate") {
		t.Error(err)
	}
}

// TestShortConstants: a list of values that is shorter than the shape repeats its last one.
func TestShortConstants(t *testing.T) {
	value := string(protowire.AppendFixed32(protowire.AppendTag(nil, 5, protowire.Fixed32Type), math.Float32bits(2.5)))
	c := def("c", "Const", nil, attr("value", text(8, number(1, 1)+text(2, shapeOf(3))+value)))
	if got, _ := run(t, placeholderDef("x", 3)+c+def("y", "Add", []string{"x", "c"}), Options{}, tensor.Of([]float32{1, 2, 3}, 3)); !slices.Equal(got, []float32{3.5, 4.5, 5.5}) {
		t.Errorf("got %v", got)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(placeholderDef("x", 1, 4, 4, 1) + constDef("w", 1, make([]float64, 9), 3, 3, 1, 1) + def("y", "Conv2D", []string{"x", "w"}, attrInts("strides", 1, 1, 1, 1), attrText("padding", "SAME"))))
	f.Add([]byte(placeholderDef("x", 1, 4) + constDef("a", 3, []float64{0, 1}, 2) + def("y", "Mean", []string{"x", "a"}) + def("z", "FakeQuantWithMinMaxArgs", []string{"y"})))
	f.Add([]byte(def("e", "Enter", []string{"x"}, attrText("frame_name", "f")) + def("m", "Merge", []string{"e", "n"}) + def("s", "Switch", []string{"m", "c"}) +
		def("c", "LoopCond", []string{"m"}) + def("n", "NextIteration", []string{"s:1"}) + def("q", "Exit", []string{"s"}) + placeholderDef("x")))
	zeros := make([]float64, (inputs+hidden)*4*hidden)
	flag := def("keras_learning_phase", "Placeholder", nil, attrType("dtype", 10), attr("shape", text(7, ""))) + def("c", "Identity", []string{"keras_learning_phase"})
	for _, model := range []string{conditional(flag), spreadConvolution(-1, zeros[:54]), dynamicRNN(cellConstants(zeros, zeros[:4*hidden])), quantizedNodes(zeros[:36]),
		placeholderDef("x", 1, inputs) + cellConstants(zeros, zeros[:4*hidden]) + def("y", "LSTMBlockCell", []string{"x", "start", "start", "kernel", "start", "start", "start", "bias"}),
		placeholderDef("x", 4) + constDef("w", 1, zeros[:4], 4) + def("m", "Mul", []string{"w", "w"}) + def("q", "FakeQuantWithMinMaxArgs", []string{"m"}, attrInt("num_bits", 4)) + def("y", "Add", []string{"x", "q"})} {
		f.Add([]byte(model))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		g, _, err := Read(data, Options{})
		if err != nil {
			return
		}
		if err := g.Check(); err != nil {
			t.Error(err)
		}
		IsGraph(data)
	})
}

// TestNamedOutputs: outputs have the names by which they are asked for, also where these only hand another tensor on.
func TestNamedOutputs(t *testing.T) {
	model := placeholderDef("x", 1, 4) + def("a", "Relu", []string{"x"}) + def("b", "Identity", []string{"a"}) + def("c", "Identity", []string{"b"})
	for _, asked := range [][]string{{"a"}, {"b"}, {"c:0"}, {"a", "b", "c"}, {"c", "a"}} {
		g, _, err := Read([]byte(model), Options{Outputs: asked})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, v := range g.Outputs {
			names = append(names, v.Name)
		}
		if got, want := strings.Join(names, " "), strings.ReplaceAll(strings.Join(asked, " "), ":0", ""); got != want {
			t.Errorf("outputs are %q, asked for %q", got, want)
		}
	}
}
