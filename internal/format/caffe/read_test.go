package caffe

import (
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/octet-nn/octet/internal/format"
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/testdata"
	"github.com/octet-nn/octet/tensor"
)

// describe is the nodes of a graph, each as operator(inputs) outputs, without constants.
func describe(g *graph.Graph) string {
	var lines []string
	for _, n := range g.Nodes {
		line := n.Op.Type() + "("
		for _, v := range n.Inputs {
			if v != nil && v.Const == nil {
				line += v.Name + " "
			}
		}
		line = strings.TrimSpace(line) + ")"
		for _, v := range n.Outputs {
			line += " " + v.Name
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "; ")
}

// TestTrainingNetwork: what only training has is left out, in both spellings of files.
func TestTrainingNetwork(t *testing.T) {
	w := []weight{{"ip", []int{2, 3}, make([]float32, 6)}, {"ip", []int{2}, make([]float32, 2)}}
	for name, c := range map[string]struct {
		text string
		old  bool
		want string
	}{
		"new": {`
layer { name: "train" type: "Data" top: "data" top: "label" include { phase: TRAIN } data_param { batch_size: 64 } }
layer { name: "test" type: "MemoryData" top: "data" top: "label" include < phase: TEST > memory_data_param { batch_size: 100 channels: 3 height: 1 width: 1 } }
layer { name: "cut" type: "Slice" bottom: "label" top: "l1" top: "l2" slice_param { slice_point: 1 } }
layer { name: "in" type: "Power" bottom: "data" top: "data" power_param { scale: 2 } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 2 } }
layer { name: "relu" type: "ReLU" bottom: "ip" top: "ip" }
layer { name: "drop" type: "Dropout" bottom: "ip" top: "ip" }
layer { name: "noise" type: "Noise" bottom: "ip" top: "ip" exclude { phase: TEST } }
layer { name: "staged" type: "Dropout" bottom: "ip" top: "ip2" include { stage: "special" } }
layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy" include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "l1" top: "loss" }
layer { name: "another" type: "CenterLoss" bottom: "ip" bottom: "l2" top: "loss2" }
`, false, "Mul(data) in/scaled; Identity(in/scaled) data#0; Flatten(data#0) ip/flat; Gemm(ip/flat) ip#0; Relu(ip#0) ip"},
		"old": {`
name: 'old' # comment
input: "data"
input_dim: 10, input_dim: 3; input_dim: 1 input_dim: 1
layers { name: "ip" type: INNER_PRODUCT bottom: "data" top: "ip" blobs_lr: 1 blobs_lr: 2. inner_product_param { num_output: 2 } }
layers { name: "relu" type: RELU bottom: "ip" top: "ip" }
layers { name: "loss" type: SOFTMAX_LOSS bottom: "ip" bottom: "label" }
`, true, "Flatten(data) ip/flat; Gemm(ip/flat) ip#0; Relu(ip#0) ip"},
	} {
		weights := weightsFile(c.old, w...)
		if !IsStructure([]byte(c.text)) || !IsWeights(weights) {
			t.Errorf("%s: not known by its content", name)
		}
		g, err := Read([]byte(c.text), weights, Options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := describe(g); got != c.want {
			t.Errorf("%s is\n%s, want\n%s", name, got, c.want)
		}
		if in := g.Inputs[0]; len(g.Inputs) != 1 || in.Name != "data" || in.Type.String() != "f32[N,3,1,1]" {
			t.Errorf("%s: input %s %s", name, in.Name, in.Type)
		}
		if len(g.Outputs) != 1 || g.Outputs[0].Name != "ip" {
			t.Errorf("%s: outputs %v", name, g.Outputs)
		}
	}
}

func TestUnknownLayersStay(t *testing.T) {
	g, err := Read([]byte(`input: "x" layer { name: "d" type: "DetectionOutput" bottom: "x" top: "y" detection_output_param { num_classes: 21 } }`), nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := op.CheckSupported(g); err == nil || !strings.Contains(err.Error(), "caffe.DetectionOutput") {
		t.Errorf("%v", err)
	}
	if got := g.Inputs[0].Type.String(); got != "f32[N,C,H,W]" {
		t.Errorf("an input without sizes is %s", got)
	}
}

// TestDataLayers: what they tell of the input, also if only training has them.
func TestDataLayers(t *testing.T) {
	const relu = `layer { name: "r" type: "ReLU" bottom: "data" top: "y" }`
	for text, want := range map[string]string{
		`layer { type: "Data" top: "data" top: "label" include { phase: TRAIN } transform_param { crop_size: 24 mirror: true } }`: "f32[N,C,24,24]",
		`layer { type: "ImageData" top: "data" transform_param { crop_h: 24 crop_w: 32 } }`:                                       "f32[N,C,24,32]",
		`layer { type: "AnnotatedData" top: "data" transform_param { resize_param { height: 300 width: 200 } mean_value: 1 } }`:   "f32[N,C,300,200]",
		`layer { type: "HDF5Data" top: "data" }`:                                                                        "f32[N,C,H,W]",
		`layer { type: "ImageSegData" top: "data" top: "label" }`:                                                       "f32[N,C,H,W]",
		`layer { type: "DummyData" top: "data" dummy_data_param { shape { dim: 1 dim: 7 } data_filler { value: 1 } } }`: "f32[1,7]",
		`layer { type: "DummyData" top: "data" dummy_data_param { num: 1 channels: 2 height: 3 width: 4 } }`:            "f32[1,2,3,4]",
	} {
		g, err := Read([]byte(text+relu), nil, Options{})
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if in := g.Inputs[0]; len(g.Inputs) != 1 || in.Type.String() != want {
			t.Errorf("%s: %s, want %s", text, in.Type, want)
		}
	}
}

// TestErrors: what is wrong, where, and what to do about it.
func TestErrors(t *testing.T) {
	w := weightsFile(false, weight{"conv1", []int{1, 1, 1, 1}, []float32{1}})
	input := "input: \"x\" input_shape { dim: 1 dim: 1 dim: 4 dim: 4 }\n"
	for text, parts := range map[string][]string{
		"":                         {"net.prototxt:1: ", "no layers"},
		"layer {":                  {"net.prototxt:1: ", "the end of the file"},
		"\nlayer { name \"a\" }":   {"net.prototxt:2: ", "want : or {"},
		"layer { name: }":          {`want the value of "name"`},
		"layer { name: \"a }\n\"":  {"has no end"},
		"layer { name: \"\\q\" }":  {`unknown escape \q`},
		"a: [1 2]":                 {"want , or ]"},
		"{":                        {"want the name of a field"},
		"a: $":                     {`unexpected character '$'`},
		strings.Repeat("a {", 100): {"nested more than 40"},
		"layer { name: \"a\" type: \"ReLU\" bottom: \"b\" top: \"c\" }":           {`ReLU layer "a" reads "b", which no layer before it writes`},
		input + `layer { name: "r" type: "Split" bottom: "x" top: "y" top: "y" }`: {`has the top "y" twice`},
		input + `layer { name: "r" type: "ReLU" bottom: "x" }`:                    {"net.prototxt:2: ", "1 bottoms and 0 tops"},
		"input: \"x\" input_shape { dim: 0 }":                                     {`"0" is not the size`},
		"input: \"x\" input: \"x\"":                                               {"there twice"},
		input + `layer { name: "conv2" type: "Convolution" bottom: "x" top: "y" convolution_param { num_output: 1 kernel_size: 1 } }`: {
			`Convolution layer "conv2": net.caffemodel has no weights for it (did you mean "conv1"?)`, "belong together"},
		input + `layer { name: "conv1" type: "Convolution" bottom: "x" top: "y" convolution_param { num_output: 1 kernel_size: 1 } }`: {"has 1 blobs of weights for it, 2 are needed"},
		input + `layer { name: "conv1" type: "Convolution" bottom: "x" top: "y" convolution_param { num_output: 1 bias_term: false kernel_size: 3 } }`: {
			"a filter of shape [1 1 1 1] does not fit num_output 1, group 1 and kernel [3 3]"},
		input + "layer { name: \"conv1\" type: \"Convolution\" bottom: \"x\" top: \"y\" convolution_param {\n num_output: 1 bias_term: false group: none kernel_size: -1\n strid: 2 } }": {
			`net.prototxt:3: convolution_param.group: want an integer from 1 on and not "none"`, `kernel_size: want an integer from 1 on and not "-1"`,
			`net.prototxt:4: Convolution layer "conv1": convolution_param has the field "strid", which has no meaning here (did you mean "stride" or`},
		input + `layer { name: "p" type: "Pooling" bottom: "x" top: "y" pooling_param { kernel_size: 1 global_pooling: maybe } }`:                                            {`want true or false and not "maybe"`},
		input + `layer { name: "p" type: "Pooling" bottom: "x" top: "y" pooling_param { pool: STOCHASTIC kernel_size: 2 } }`:                                                 {"stochastic"},
		input + `layer { name: "p" type: "Pooling" bottom: "x" top: "y" pooling_param { pool: MEAN kernel_size: 2 } }`:                                                       {`one of MAX, AVE, STOCHASTIC and not "MEAN"`},
		input + `layer { name: "p" type: "Pooling" bottom: "x" top: "y" pooling_param { kernel_size: 1 stride: 2 } }`:                                                        {"lies outside the input"},
		input + `layer { name: "p" type: "Pooling" bottom: "x" top: "y" pooling_param { kernel_size: 1 kernel_h: 2 } }`:                                                      {"given both"},
		input + `layer { name: "s" type: "Softmax" bottom: "x" top: "y" softmax_param { axis: 4 } }`:                                                                         {"axis 4 of an input with 4 dimensions"},
		input + `layer { name: "s" type: "Slice" bottom: "x" top: "a" top: "b" slice_param { axis: 2 slice_point: 5 } }`:                                                     {"slice_point 4 does not lie between 5 and 4"},
		input + `layer { name: "s" type: "Slice" bottom: "x" top: "a" top: "b" top: "c" slice_param { axis: 2 } }`:                                                           {"4 cannot be cut into 3"},
		input + `layer { name: "p" type: "Permute" bottom: "x" top: "y" permute_param { order: 1 order: 1 } }`:                                                               {"order [1 1"},
		input + `layer { name: "b" type: "PriorBox" bottom: "x" bottom: "x" top: "y" prior_box_param { max_size: 1 } }`:                                                      {"0 of min_size"},
		`input: "x" layer { name: "b" type: "PriorBox" bottom: "x" bottom: "x" top: "y" prior_box_param { min_size: 1 } }`:                                                   {"give the network's input a shape"},
		`input: "x" input_shape { dim: 1 dim: 1 dim: 9999 dim: 9999 } layer { name: "b" type: "PriorBox" bottom: "x" bottom: "x" top: "y" prior_box_param { min_size: 1 } }`: {"more than the limit"},
		"input: \"" + strings.Repeat("x", 2000) + "\" layer { name: \"" + strings.Repeat("n", 2000) + "\" }":                                                                 {"a name has 2000 bytes"},
	} {
		_, err := Read([]byte(text), w, Options{File: "net.prototxt", Weights: "net.caffemodel"})
		if err == nil {
			t.Errorf("%q was read", text)
			continue
		}
		for _, part := range parts {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q: %q lacks %q", text, err, part)
			}
		}
		var e *format.Error
		if !errors.As(err, &e) {
			t.Errorf("%q: %T", text, err)
		}
	}
	for name, weights := range map[string][]byte{
		"truncated":    w[:len(w)-1],
		"too few":      weightsFile(false, weight{"conv1", []int{2}, []float32{1}}),
		"absurd sizes": weightsFile(false, weight{"conv1", []int{1 << 40, 1 << 40}, nil}),
	} {
		if _, err := Read([]byte(input), weights, Options{Weights: "net.caffemodel"}); err == nil || !strings.Contains(err.Error(), "net.caffemodel: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestOtherFormatsAreNotTaken: files of other formats begin alike.
func TestOtherFormatsAreNotTaken(t *testing.T) {
	for _, folder := range []string{"onnx", "tf", "tflite"} {
		root := testdata.Shared(t, folder)
		err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			data, err := os.ReadFile(path)
			if err == nil && (IsStructure(data) || IsWeights(data)) {
				t.Errorf("%s is taken for Caffe", path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestLeNet: 98.65 % of the first 2000 test digits is what another reader of these files gets.
func TestLeNet(t *testing.T) {
	const n = 2000
	read := func(name string, skip, size int) []byte {
		t.Helper()
		f, err := os.Open(testdata.Shared(t, "data", "mnist", name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		unpacked, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		data := make([]byte, skip+size)
		if _, err := io.ReadFull(unpacked, data); err != nil {
			t.Fatal(err)
		}
		return data[skip:]
	}
	pixels, labels := read("t10k-images-idx3-ubyte.gz", 16, n*28*28), read("t10k-labels-idx1-ubyte.gz", 8, n)
	x := tensor.New(tensor.Float32, n, 1, 28, 28)
	for i, p := range pixels {
		tensor.Values[float32](x)[i] = float32(p) / 256
	}
	scores, right := tensor.Values[float32](outputs(t, sharedModel(t, "lenet"), x)[0]), 0
	for i, label := range labels {
		best := 0
		for c := range 10 {
			if scores[10*i+c] > scores[10*i+best] {
				best = c
			}
		}
		if best == int(label) {
			right++
		}
	}
	if right != 1973 {
		t.Errorf("%d of %d digits are right, want 1973", right, n)
	}
}

func FuzzStructure(f *testing.F) {
	for _, name := range []string{"lenet", "mtcnn_det1", "ultraface_slim320"} {
		structure, _ := sharedFiles(f, name)
		f.Add(structure)
	}
	for _, c := range layerCases {
		f.Add([]byte(c.file()))
	}
	f.Add([]byte("layer < a: [1, {b: 'x' \"y\"}]; > # c\ninput_dim: -1"))
	weights := weightsFile(false, weight{"l", []int{2, 1, 1, 2}, []float32{1, 2, 3, 4}}, weight{"l", []int{2}, []float32{1, 2}}, weight{"l", []int{1}, []float32{1}})
	f.Fuzz(func(t *testing.T, data []byte) {
		if g, err := Read(data, weights, Options{}); err == nil {
			if err := g.Check(); err != nil {
				t.Error(err)
			}
		}
		IsStructure(data)
	})
}

func FuzzWeights(f *testing.F) {
	f.Add(weightsFile(false, weight{"conv1", []int{1, 1, 1, 1}, []float32{1}}, weight{"conv1", []int{1}, []float32{1}}))
	f.Add(weightsFile(true, weight{"conv1", []int{1, 1, 1, 1}, []float32{1}}))
	structure := []byte(`input: "x" input_shape { dim: 1 dim: 1 dim: 4 dim: 4 }
layer { name: "conv1" type: "Convolution" bottom: "x" top: "y" convolution_param { num_output: 1 kernel_size: 1 } }
layer { name: "norm" type: "BatchNorm" bottom: "y" top: "y" }
layer { name: "scale" type: "Scale" bottom: "y" top: "y" scale_param { axis: 0 num_axes: -1 bias_term: true } }
layer { name: "prelu" type: "PReLU" bottom: "y" top: "y" }`)
	f.Fuzz(func(t *testing.T, data []byte) {
		if g, err := Read(structure, data, Options{}); err == nil {
			if err := g.Check(); err != nil {
				t.Error(err)
			}
		}
		IsWeights(data)
	})
}

// TestHostileFilesDoNotTakeLong reads files of a megabyte that were made to take long: the test runs out of time if one
// does.
func TestHostileFilesDoNotTakeLong(t *testing.T) {
	const size = 1 << 20
	fill := func(piece string) string { return strings.Repeat(piece, size/len(piece)) }
	relus := &strings.Builder{}
	for relus.Len() < size {
		relus.WriteString(`layer{name:"a"type:"ReLU"bottom:"x"top:"x"}`)
	}
	for name, text := range map[string]string{
		"one name for all layers": "input:\"x\"" + relus.String(),
		"absent weights":          "input:\"x\"" + fill(`layer{name:"a"type:"PReLU"bottom:"x"top:"x"}`),
		"tops":                    `input:"x" layer{name:"` + strings.Repeat("n", maxName) + `"type:"Split"bottom:"x"` + fill(`top:"a"`) + "}",
		"unknown fields":          `input:"x" layer{name:"a"type:"ReLU"bottom:"x"top:"y"relu_param{` + fill("a:1 ") + "}}",
		"dimensions":              `input:"x" layer{name:"a"type:"Reshape"bottom:"x"top:"y"reshape_param{shape{` + fill("dim:1 ") + "}}}",
		"nothing":                 fill("a "),
	} {
		if _, err := Read([]byte(text), nil, Options{}); err != nil && len(err.Error()) > 1<<20 {
			t.Errorf("%s: an error of %d bytes: %.200s", name, len(err.Error()), err)
		}
	}
}
