package octet

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/octet-nn/octet/internal/cpu"
	"github.com/octet-nn/octet/internal/format/onnx"
	"github.com/octet-nn/octet/internal/mace/convert"
	"github.com/octet-nn/octet/internal/mace/stat"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/testdata"
	"github.com/octet-nn/octet/internal/testmodel"
)

// bitModel is a model that TestSameBits runs.
type bitModel struct {
	name string
	load func(t *testing.T) *Model
	bitOptions
}

// bitOptions are what has to be known of a model to run it.
type bitOptions struct {
	shape     []int          // of the inputs' dimensions that the file leaves open; 0: the batch, or 1
	symbols   map[string]int // sizes of named dimensions that are not a batch
	deviation float64        // of the input's values; 0: 1
	large     bool           // only with -models
	slow      bool           // a run takes seconds: fewer of them
	alone     bool           // no batch of three
	across    bool           // floats are compared across architectures
	skip      string         // why it cannot be run
	quantize  bool           // what the package makes of it is run too
}

// bitFiles are those of the shared folder that need more than their name.
var bitFiles = map[string]bitOptions{
	"onnx/bert_toy_optimized.onnx":                        {shape: []int{0, 16}},
	"onnx/mnist_cnn_pytorch.onnx":                         {quantize: true},
	"onnx/mnist_cntk.onnx":                                {quantize: true, deviation: 100},
	"onnx/mobilenet_v2_dq.onnx":                           {quantize: true, large: true},
	"onnx/ppocr_v2_cls.onnx":                              {quantize: true, shape: []int{0, 0, 48, 192}},
	"onnx/ppocr_v4_det.onnx":                              {quantize: true, shape: []int{0, 0, 96, 96}, large: true},
	"onnx/resnet20_cifar10.onnx":                          {quantize: true},
	"onnx/speech_embedding.onnx":                          {quantize: true, deviation: 10},
	"onnx/squeezenet1.1_fp16.onnx":                        {large: true},
	"onnx/squeezenet1.1_fp32.onnx":                        {quantize: true, large: true},
	"onnx/style_candy.onnx":                               {quantize: true, deviation: 60, large: true, alone: true, slow: true},
	"onnx/ultraface_slim320.onnx":                         {large: true},
	"onnx/ultraface_slim320_simplified.onnx":              {quantize: true, large: true},
	"tf/kws_cnn_s.pb":                                     {shape: []int{0, 49}},
	"tf/kws_dnn_s.pb":                                     {shape: []int{0, 25}},
	"tf/kws_ds_cnn_m.pb":                                  {shape: []int{0, 49}},
	"tf/kws_ds_cnn_s.pb":                                  {shape: []int{0, 49}},
	"tf/kws_lstm_s.pb":                                    {shape: []int{0, 25}},
	"tflite/imagenet/mobilenet_v2_1.0_224_quant.tflite":   {large: true},
	"tflite/imagenet/tf2_mobilenet_v2_1.0_224_ptq.tflite": {large: true},
	"caffe/squeezenet_v1.1.prototxt":                      {large: true},
	"caffe/ultraface_slim320.prototxt":                    {large: true},
	"onnx/ort_quant_tests/qdq_with_multi_consumer_dq_nodes.fixed.qdq16.onnx":         {large: true},
	"onnx/ort_quant_tests/qdq_with_multi_consumer_dq_nodes.fixed.qdq16_contrib.onnx": {large: true},
	"onnx/ort_quant_tests/matmul_integer_to_float_large_tensor.onnx":                 {skip: "it has no outputs and inputs of 3 GiB"},
}

// withReferences are models some of whose operators have no kernel, so that their definition runs.
var withReferences = []string{
	"onnx/ort_quant_tests/constant_folding_dequantizelinear.qdq16.onnx",
	"onnx/ort_quant_tests/constant_folding_dequantizelinear.qdq16_contrib.onnx",
	"onnx/ort_quant_tests/constant_folding_qdq_node_unit.graph_output.qdq16_contrib.onnx",
	"onnx/ort_quant_tests/constant_folding_qdq_node_unit.qdq16_contrib.onnx",
	"onnx/ort_quant_tests/dynamic_quantize_matmul.onnx",
	"onnx/ort_quant_tests/dynamic_quantize_matmul_bias.onnx",
	"onnx/ort_quant_tests/dynamic_quantize_matmul_bias_ND.onnx",
	"onnx/ort_quant_tests/dynamic_quantize_matmul_bias_b_no_zp.onnx",
	"onnx/ort_quant_tests/dynamic_quantize_matmul_int8.onnx",
	"onnx/ort_quant_tests/dynamic_quantize_matmul_int8_bias.onnx",
	"onnx/ort_quant_tests/dynamic_quantize_matmul_uint8.onnx",
	"onnx/ort_quant_tests/dynamic_quantize_matmul_uint8_bias.onnx",
	"onnx/ort_quant_tests/layout_transform_fix_transpose_without_dq.qdq.onnx",
	"onnx/ort_quant_tests/matmul_integer_to_float.onnx",
	"onnx/ort_quant_tests/matmul_integer_to_float_int8.onnx",
	"onnx/ort_quant_tests/matmul_integer_to_float_int8_bias.onnx",
	"onnx/ort_quant_tests/matmul_integer_to_float_int8_bias_initializer_index0.onnx",
	"onnx/ort_quant_tests/matmul_integer_to_float_int8_bias_initializer_index1.onnx",
	"onnx/ort_quant_tests/matmul_integer_to_float_int8_int8.onnx",
	"onnx/ort_quant_tests/matmul_integer_to_float_int8_int8_bias.onnx",
	"onnx/ort_quant_tests/matmul_integer_to_float_uint8.onnx",
	"onnx/ort_quant_tests/matmul_integer_to_float_uint8_bias.onnx",
	"onnx/ort_quant_tests/qdq_minimal_model.onnx",
	"onnx/ort_quant_tests/qdq_with_multi_consumer_dq_nodes.fixed.qdq16.onnx",
	"onnx/ort_quant_tests/qdq_with_multi_consumer_dq_nodes.fixed.qdq16_contrib.onnx",
	"onnx/ort_quant_tests/qdq_with_multi_consumer_q_dq_axis.onnx",
	"tflite/misc/mnist_lstm_float.tflite",
	"tflite/misc/mnist_lstm_int8.tflite",
	"tf/kws_lstm_s.pb",
	"seanet/quantize/quantize0.tflite",
	"seanet/quantize/quantize1.tflite",
	"onnx/bert_toy_optimized.onnx",
}

// bitModels lists the models.
func bitModels(t *testing.T) []bitModel {
	var all []bitModel
	add := func(name string, o bitOptions, load func(t *testing.T) *Model) {
		all = append(all, bitModel{name, load, o})
	}
	path := filepath.Join("cmd", "octet", "assets", "kws.onnx")
	add("kws", bitOptions{across: true}, func(t *testing.T) *Model { return loaded(t, path) })
	for _, row := range numeric.Arithmetics() {
		if row == numeric.TFLite16x8 {
			continue // for activations of 16 bits
		}
		add("kws int8 "+row.String(), bitOptions{across: row == numeric.ONNX}, func(t *testing.T) *Model {
			return inArithmetic(loaded(t, filepath.Join("testdata", "kws.int8.onnx")), row)
		})
	}
	for _, scheme := range []string{"uint8", "int8-per-tensor", "16x8", "dynamic"} {
		add("kws "+scheme, bitOptions{}, func(t *testing.T) *Model {
			o := QuantizeOptions{Scheme: scheme}
			if scheme == "16x8" {
				o.Format = formatTFLite
			}
			return quantizedByNoise(t, loaded(t, path), bitModel{}, o)
		})
	}
	for _, name := range testmodel.Names() {
		large := name != "mobilenet_v3_large"
		add(name, bitOptions{large: true}, func(t *testing.T) *Model { return &Model{graph: testmodel.New(name)} })
		add(name+" int8", bitOptions{large: large}, func(t *testing.T) *Model {
			return quantizedByNoise(t, &Model{graph: testmodel.New(name)}, bitModel{}, QuantizeOptions{})
		})
	}
	root := testdata.SharedRoot()
	if root == "" {
		t.Log("SKIP: the shared folder of models and data is not here (set OCTET_SHARED to its path)")
		return all
	}
	for _, pattern := range []string{"onnx/*.onnx", "onnx/ort_quant_tests/*.onnx", "tflite/*/*.tflite", "tf/*.pb", "caffe/*.prototxt"} {
		files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(pattern)))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			name, err := filepath.Rel(root, file)
			if err != nil {
				t.Fatal(err)
			}
			name = filepath.ToSlash(name)
			o := bitFiles[name]
			if strings.HasPrefix(name, "onnx/ort_quant_tests/") {
				o.symbols = map[string]int{"M": 5, "K": 8, "N": 4}
			}
			if o.skip != "" {
				t.Logf("SKIP: %s: %s", name, o.skip)
				continue
			}
			add(name, o, func(t *testing.T) *Model { return loaded(t, file) })
			if o.quantize {
				add(name+" int8", o, func(t *testing.T) *Model {
					return quantizedByNoise(t, loaded(t, file), bitModel{bitOptions: o}, QuantizeOptions{})
				})
			}
		}
	}
	for folder, ranges := range map[string][]string{
		"resnet8_cifar10": {"overall_range_percentile0", "overall_range_percentile5", "overall_range_percentile0enhance"},
		"mobilenet_v2":    {"overall_range_percentile0", "overall_range_percentile5"},
	} {
		for _, file := range ranges {
			for _, row := range []numeric.Arithmetic{numeric.MACE, numeric.ONNX} {
				add("mace/"+folder+" "+file+" "+row.String(), bitOptions{large: folder == "mobilenet_v2"}, func(t *testing.T) *Model {
					return convertedAsMACE(t, folder, file, row)
				})
			}
		}
	}
	archive, err := zip.OpenReader(filepath.Join(root, "golden", "tflm_seanet_int16.zip"))
	if err != nil {
		t.Logf("SKIP: no models of 16-bit activations: %v", err)
		return all
	}
	defer archive.Close()
	for _, f := range archive.File {
		if !strings.HasSuffix(f.Name, ".tflite") {
			continue
		}
		data, err := readAll(f)
		if err != nil {
			t.Fatal(err)
		}
		add("seanet/"+f.Name, bitOptions{}, func(t *testing.T) *Model {
			m, err := Read(fstest.MapFS{"m.tflite": {Data: data}}, "m.tflite", LoadOptions{})
			if err != nil {
				t.Fatal(err)
			}
			return m
		})
	}
	return all
}

func readAll(f *zip.File) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var b bytes.Buffer
	_, err = b.ReadFrom(r)
	return b.Bytes(), err
}

func loaded(t *testing.T, path string) *Model {
	t.Helper()
	m, err := Load(path, LoadOptions{})
	if unsupported := (*UnsupportedError)(nil); errors.As(err, &unsupported) {
		t.Skipf("SKIP: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// quantizedByNoise quantizes a model by two samples of noise. Plain Go runs it meanwhile, so that it is the same on all
// processors.
func quantizedByNoise(t *testing.T, m *Model, c bitModel, o QuantizeOptions) *Model {
	t.Helper()
	t.Setenv(cpu.Variable, cpu.Generic.String())
	o.Method = "min-max"
	q, _, err := m.Quantize(context.Background(), SliceSamples(Sample{ID: "noise", Inputs: c.feed(m, 1)}), o)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// convertedAsMACE is the quantized model that MACE's converter makes of a file in the shared folder.
func convertedAsMACE(t *testing.T, folder, ranges string, row numeric.Arithmetic) *Model {
	t.Helper()
	source, in, out, size, low, high := "mnv2.onnx", "input", "MobilenetV2_Predictions_Softmax", 224, -1., 1.
	if folder == "resnet8_cifar10" {
		source, in, out, size, low, high = "resnet8.onnx", "input_1", "Identity", 32, 0, 255
	}
	data, err := os.ReadFile(testdata.Shared(t, "mace", folder, "source", source))
	if err != nil {
		t.Fatal(err)
	}
	g, err := onnx.Read(data, onnx.Options{File: source})
	if err != nil {
		t.Fatal(err)
	}
	o := convert.Options{Quantize: true, Arithmetic: row, Ranges: map[string]convert.Range{},
		Inputs:  []convert.Input{{Name: in, Shape: []int{1, 3, size, size}, Format: "NCHW", Low: low, High: high}},
		Outputs: []convert.Output{{Name: out, Format: "NONE"}}}
	text, err := os.ReadFile(testdata.Shared(t, "mace", folder, ranges))
	if err != nil {
		t.Fatal(err)
	}
	list, _, err := stat.ReadRanges(bytes.NewReader(text), ranges)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		o.Ranges[r.Name] = convert.Range{Min: r.Min, Max: r.Max}
	}
	if g, _, err = convert.Convert(g, o); err != nil {
		t.Fatal(err)
	}
	return &Model{graph: g}
}
