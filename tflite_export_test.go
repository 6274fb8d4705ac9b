package octet

import (
	"context"
	"io"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/octet-nn/octet/internal/testdata"
	"github.com/octet-nn/octet/tensor"
)

// exported are files, of either format, that are written as TensorFlow Lite.
var exported = []string{
	"tflite/imagenet/mobilenet_v1_0.25_128_quant.tflite", "tflite/imagenet/tf2_mobilenet_v2_1.0_224_ptq.tflite",
	"tflite/misc/selfie_segmentation_f16.tflite", "tflite/misc/person_detect_int8.tflite", "tflite/misc/speech_embedding_float.tflite",
	"tflite/mlperf_tiny/ad_float.tflite", "tflite/mlperf_tiny/ad_int8.tflite", "tflite/mlperf_tiny/ic_float.tflite",
	"tflite/mlperf_tiny/ic_int8.tflite", "tflite/mlperf_tiny/kws_int8.tflite", "tflite/mlperf_tiny/sww_int8.tflite",
	"tflite/mlperf_tiny/vww_float.tflite", "tflite/mlperf_tiny/vww_int8.tflite",
	"onnx/mnist_cnn_pytorch.onnx", "onnx/mnist_cntk.onnx", "onnx/mobilenet_v2_dq.onnx", "onnx/resnet20_cifar10.onnx",
	"onnx/speech_embedding.onnx", "onnx/squeezenet1.1_fp32.onnx", "onnx/ultraface_slim320.onnx",
	"onnx/ultraface_slim320_simplified.onnx", "onnx/ppocr_v4_det.onnx", "onnx/ppocr_v2_cls.onnx",
	"caffe/lenet.prototxt", "caffe/mtcnn_det1.prototxt", "caffe/mtcnn_det2.prototxt", "caffe/mtcnn_det3.prototxt",
	"caffe/squeezenet_v1.1.prototxt", "caffe/ultraface_slim320.prototxt",
	"tf/fc_mnist.pb", "tf/keras_mobilenet_0.25_128_notop.pb", "tf/mobilenet_v1_0.25_128_float.pb", "tf/mobilenet_v1_0.25_128_fakequant.pb",
	"tf/kws_cnn_s.pb", "tf/kws_dnn_s.pb", "tf/kws_ds_cnn_s.pb", "tf/kws_ds_cnn_m.pb",
}

// loadExported loads one of them, with fixed sizes.
func loadExported(t *testing.T, name string) *Model {
	t.Helper()
	model, err := Load(testdata.Shared(t, strings.Split(name, "/")...), LoadOptions{})
	if err == nil && strings.Contains(name, "ppocr") {
		model, err = model.WithShapes(map[string][]int{"x": {1, 3, 64, 96}})
	}
	if err == nil && strings.HasPrefix(name, "tf/kws") {
		frames := 49
		if strings.Contains(name, "dnn") {
			frames = 25
		}
		model, err = model.WithShapes(map[string][]int{"Mfcc": {1, frames, 10}})
	}
	if err != nil {
		t.Fatal(err)
	}
	return model
}

// TensorFlow Lite cannot convert half floats as it runs: inputs and outputs become float32.
func TestHalfFloatModelAsTFLite(t *testing.T) {
	model := loadExported(t, "onnx/squeezenet1.1_fp16.onnx")
	back, _ := saved(t, model, "m.tflite")
	named, _ := inputsOf(back)
	if x, y := back.Inputs()[0], back.Outputs()[0]; x.DType != tensor.Float32 || y.DType != tensor.Float32 || y.Name != model.Outputs()[0].Name {
		t.Errorf("input %s, output %s", x, y)
	}
	answersOf(t, back, named)
}

// seededInput fills an input with seeded numbers; open dimensions become 1.
func seededInput(v ValueInfo, random *rand.Rand) *tensor.Tensor {
	shape := append([]int(nil), v.Shape...)
	for i, n := range shape {
		if n < 0 {
			shape[i] = 1
		}
	}
	x := tensor.New(v.DType, shape...)
	switch v.DType {
	case tensor.Float32:
		values := tensor.Values[float32](x)
		for i := range values {
			values[i] = float32(random.NormFloat64())
		}
	default:
		for i := range x.Bytes() {
			x.Bytes()[i] = byte(random.Uint32())
		}
	}
	return x
}

// answersOf runs a model once.
func answersOf(t *testing.T, m *Model, inputs map[string]*tensor.Tensor) map[string]*tensor.Tensor {
	t.Helper()
	s, err := m.Compile(CompileOptions{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	out, err := s.Run(context.Background(), inputs)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// saved is a model written to a file of some name and read again, and the file's path.
func saved(t *testing.T, m *Model, name string) (*Model, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := m.Save(path, SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	back, err := Load(path, LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return back, path
}

// requireSame compares answers: integers are the same, floats differ by at most a share of the largest.
func requireSame(t *testing.T, who, output string, got, want *tensor.Tensor, most float64) {
	t.Helper()
	if len(got.Bytes()) != len(want.Bytes()) || got.DType() != want.DType() {
		t.Errorf("output %s of %s is %s, wants %s", output, who, got, want)
		return
	}
	if want.DType() == tensor.Float32 {
		if d := largestDifference(tensor.Values[float32](got), tensor.Values[float32](want)); !(d <= most) {
			t.Errorf("output %s of %s differs by %.2g", output, who, d)
		}
		return
	}
	differ := 0
	for i, b := range want.Bytes() {
		if got.Bytes()[i] != b {
			differ++
		}
	}
	if differ > 0 {
		t.Errorf("output %s of %s: %d of %d bytes differ", output, who, differ, len(want.Bytes()))
	}
}

// inputsOf are seeded inputs of a model, by name and in order.
func inputsOf(m *Model) (map[string]*tensor.Tensor, []*tensor.Tensor) {
	random := rand.New(rand.NewPCG(7, 7))
	named := map[string]*tensor.Tensor{}
	var all []*tensor.Tensor
	for _, v := range m.Inputs() {
		x := seededInput(v, random)
		named[v.Name] = x
		all = append(all, x)
	}
	return named, all
}

func TestExportedFilesRunInTFLite(t *testing.T) {
	stock := testdata.OpenTFLite(t)
	// ONNX has no such LSTM.
	for _, name := range append(slices.Clone(exported), "tflite/misc/mnist_lstm_float.tflite", "tflite/misc/mnist_lstm_int8.tflite") {
		if strings.Contains(name, "fakequant") {
			continue // it is rounded as in ONNX Runtime, which its metadata says to Octet but not to TensorFlow Lite
		}
		t.Run(strings.ReplaceAll(name, "/", "_"), func(t *testing.T) {
			model := loadExported(t, name)
			named, inputs := inputsOf(model)
			want := answersOf(t, model, named)
			_, path := saved(t, model, "m.tflite")
			for i, b := range stock.Run(t, path, inputs, len(model.Outputs())) {
				v := model.Outputs()[i]
				got, err := tensor.FromBytes(v.DType, want[v.Name].Shape(), b)
				if err != nil {
					t.Fatalf("output %s: %v", v.Name, err)
				}
				requireSame(t, "TensorFlow Lite", v.Name, got, want[v.Name], 1e-4)
			}
		})
	}
}

// From ONNX to TensorFlow Lite and back, and the other way round, a model answers the same.
func TestFormatsConvertIntoEachOther(t *testing.T) {
	for _, name := range exported {
		t.Run(strings.ReplaceAll(name, "/", "_"), func(t *testing.T) {
			model := loadExported(t, name)
			named, _ := inputsOf(model)
			want := answersOf(t, model, named)
			there, back := "m.onnx", "m.tflite"
			if strings.HasSuffix(name, ".onnx") {
				there, back = back, there
			}
			other, _ := saved(t, model, there)
			again, _ := saved(t, other, back)
			for who, m := range map[string]*Model{there: other, there + " written as " + back: again} {
				got := answersOf(t, m, named)
				for _, v := range model.Outputs() {
					requireSame(t, who, v.Name, got[v.Name], want[v.Name], 1e-5)
				}
			}
		})
	}
}

// quantizedFor are float models that are quantized for TensorFlow Lite.
var quantizedFor = []string{
	"tflite/mlperf_tiny/kws_float.tflite", // with 8-bit weights
	"tflite/mlperf_tiny/ic_float.tflite", "tflite/mlperf_tiny/vww_float.tflite", "tflite/mlperf_tiny/ad_float.tflite",
	"tflite/misc/speech_embedding_float.tflite", "tflite/misc/selfie_segmentation_f16.tflite",
	"onnx/mnist_cnn_pytorch.onnx", "onnx/mobilenet_v2_dq.onnx", "onnx/resnet20_cifar10.onnx", "onnx/squeezenet1.1_fp32.onnx",
	"onnx/ultraface_slim320.onnx", "onnx/speech_embedding.onnx",
}

// What is quantized for TensorFlow Lite gives the same bytes there, with codes as inputs and outputs; with floats, what
// stays float may round otherwise.
func TestQuantizedForTFLiteGivesTheSameBytes(t *testing.T) {
	stock := testdata.OpenTFLite(t)
	for _, name := range append(slices.Clone(quantizedFor), filepath.Join("cmd", "octet", "assets", "kws.onnx")) {
		for _, scheme := range []string{"int8", "uint8", "16x8", "dynamic"} {
			if scheme == "16x8" && strings.Contains(name, "selfie") {
				continue // its activations stay float, and the last bit of a float decides some of 65536 codes
			}
			t.Run(scheme+"_"+strings.ReplaceAll(filepath.ToSlash(name), "/", "_"), func(t *testing.T) {
				path := name
				if !strings.HasPrefix(filepath.ToSlash(name), "cmd/") {
					path = testdata.Shared(t, strings.Split(name, "/")...)
				}
				model, err := Load(path, LoadOptions{})
				if err != nil {
					t.Fatal(err)
				}
				random := rand.New(rand.NewPCG(1, 1))
				var samples []Sample
				for i := range 2 {
					x := map[string]*tensor.Tensor{}
					for _, v := range model.Inputs() {
						x[v.Name] = seededInput(v, random)
					}
					samples = append(samples, Sample{ID: strconv.Itoa(i), Inputs: x})
				}
				for _, codes := range []bool{true, false} {
					if codes && scheme == "dynamic" {
						continue // inputs and outputs are floats
					}
					if !codes && scheme == "16x8" && model.FileSize() > 4<<20 {
						continue // its layers run by their definition: half a minute
					}
					q, report, err := model.Quantize(context.Background(), SliceSamples(samples...),
						QuantizeOptions{Format: "tflite", Scheme: scheme, Method: "min-max", QuantizeIO: codes})
					if err != nil {
						t.Fatal(err)
					}
					if report.IntegerShare < 0.97 {
						t.Errorf("only %.2f of the work is on codes: %s", report.IntegerShare, report.Summary())
					}
					named, inputs := inputsOf(q)
					want := answersOf(t, q, named)
					back, file := saved(t, q, "m.tflite")
					again := answersOf(t, back, named)
					asONNX := want
					if codes {
						other, _ := saved(t, q, "m.onnx")
						asONNX = answersOf(t, other, named)
					}
					for i, b := range stock.Run(t, file, inputs, len(q.Outputs())) {
						v := q.Outputs()[i]
						got, err := tensor.FromBytes(v.DType, want[v.Name].Shape(), b)
						if err != nil {
							t.Fatalf("output %s: %v", v.Name, err)
						}
						most := 1e-5
						if scheme == "dynamic" {
							most = 0.05 // the last bit of a float decides some codes of the layer after it
						}
						requireSame(t, "TensorFlow Lite", v.Name, got, want[v.Name], most)
						requireSame(t, "the file", v.Name, again[v.Name], want[v.Name], 1e-5)
						requireSame(t, "the file as ONNX", v.Name, asONNX[v.Name], want[v.Name], 1e-5)
					}
				}
			})
		}
	}
}

// Models that are rounded as ONNX Runtime does keep doing so through a TensorFlow Lite file, whose metadata says so.
func TestONNXModelsThroughTFLite(t *testing.T) {
	for _, scheme := range []string{"int8", "int8-per-tensor", "uint8", "dynamic"} {
		for _, name := range []string{"onnx/resnet20_cifar10.onnx", "onnx/mnist_cnn_pytorch.onnx", "onnx/squeezenet1.1_fp32.onnx"} {
			t.Run(scheme+"_"+filepath.Base(name), func(t *testing.T) {
				model, err := Load(testdata.Shared(t, strings.Split(name, "/")...), LoadOptions{})
				if err != nil {
					t.Fatal(err)
				}
				named, _ := inputsOf(model)
				q, _, err := model.Quantize(context.Background(), SliceSamples(Sample{ID: "0", Inputs: named}), QuantizeOptions{Scheme: scheme, Method: "min-max"})
				if err != nil {
					t.Fatal(err)
				}
				want := answersOf(t, q, named)
				there, _ := saved(t, q, "m.tflite")
				back, _ := saved(t, there, "m.onnx")
				for who, m := range map[string]*Model{"the .tflite": there, "the .onnx of the .tflite": back} {
					got := answersOf(t, m, named)
					for _, v := range q.Outputs() {
						requireSame(t, who, v.Name, got[v.Name], want[v.Name], 0)
					}
				}
			})
		}
	}
}

// An LSTM of TensorFlow Lite, whose cell state is limited, is a Scan in ONNX; on codes ONNX has none.
func TestLSTMAsONNX(t *testing.T) {
	model := loadExported(t, "tflite/misc/mnist_lstm_float.tflite")
	named, _ := inputsOf(model)
	want := answersOf(t, model, named)
	back, path := saved(t, model, "m.onnx")
	got := answersOf(t, back, named)
	y := model.Outputs()[0].Name
	requireSame(t, "the ONNX file", y, got[y], want[y], 1e-5)
	if len(back.States()) != len(model.States()) {
		t.Errorf("it has %d states, the file had %d", len(back.States()), len(model.States()))
	}
	coded := loadExported(t, "tflite/misc/mnist_lstm_int8.tflite")
	if err := coded.Write(io.Discard, SaveOptions{}); err == nil || !strings.Contains(err.Error(), "LSTM that computes on codes") {
		t.Errorf("on codes: %v", err)
	}
	ort := testdata.OpenORT(t)
	given := map[string]*tensor.Tensor{}
	maps.Copy(given, named)
	for _, s := range model.States() {
		given[s.Name] = tensor.New(s.DType, s.Shape...)
	}
	data := ort.Run(t, path, "disabled", given, y)[y]
	theirs, err := tensor.FromBytes(tensor.Float32, want[y].Shape(), data)
	if err != nil {
		t.Fatal(err)
	}
	requireSame(t, "ONNX Runtime", y, theirs, want[y], 1e-5)
}
