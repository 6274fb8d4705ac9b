package octet

import (
	"bytes"
	"context"
	"encoding/binary"
	"flag"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/octet-nn/octet/internal/quantize"
	"github.com/octet-nn/octet/internal/testdata"
	"github.com/octet-nn/octet/tensor"
)

// modelsFlag turns on the tests that quantize and evaluate real models on hundreds of images; they take minutes.
var modelsFlag = flag.Bool("models", false, "run the tests of real models on real data (minutes)")

// realModel is a model with the data it is calibrated and evaluated on.
type realModel struct {
	name              string
	model             []string // in the shared folder
	preprocess        string
	calibration, test []string
	labels            string
	calibrate         int     // samples to calibrate on, the first by name
	sameFile          bool    // evaluate on the rest of the calibration file
	drop              float64 // most that top-1 may drop
	logits            bool    // the first output is not a softmax
	islands           []string
	batch             bool // the batch dimension is free
}

var realModels = []realModel{
	{
		name: "mobilenet_v2", model: []string{"onnx", "mobilenet_v2_dq.onnx"}, preprocess: "imagenet", labels: "filename",
		calibration: []string{"data", "imagenet_even.zip"}, calibrate: 100, drop: 0.010, logits: true, batch: true,
	},
	{
		name: "squeezenet", model: []string{"onnx", "squeezenet1.1_fp32.onnx"}, preprocess: "caffe", labels: "filename",
		calibration: []string{"data", "imagenet_even.zip"}, calibrate: 100, drop: 0.010, islands: []string{"Softmax"},
	},
	{
		name: "resnet20", model: []string{"onnx", "resnet20_cifar10.onnx"}, preprocess: "cifar10", labels: "folder",
		calibration: []string{"data", "cifar10_jpeg_train5k.zip"}, test: []string{"data", "cifar10_jpeg_test2k.zip"}, calibrate: 100, drop: 0.010,
		logits: true, batch: true,
	},
	{
		name: "kws", model: []string{"cmd", "octet", "assets", "kws.onnx"}, preprocess: "{quantized: {type: i8, scale: 0.5847029, zero_point: 83}}", labels: "y_labels.csv",
		calibration: []string{"data", "kws01_even.zip"}, calibrate: 100, drop: 0.005, islands: []string{"Softmax"}, batch: true,
	},
}

func (m realModel) samples(t *testing.T, path []string, inputs []ValueInfo, offset, limit int) *FileSamples {
	t.Helper()
	s, err := OpenSamples(testdata.Shared(t, path...), inputs, SampleOptions{Preprocess: m.preprocess, Labels: m.labels, Offset: offset, Limit: limit})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// quantize loads and quantizes the model with default options.
func (m realModel) quantize(t *testing.T) (float, quantized *Model, report *QuantizeReport) {
	t.Helper()
	path := filepath.Join(m.model...)
	if m.model[0] != "cmd" { // the others are not in the repository
		path = testdata.Shared(t, m.model...)
	}
	float, err := Load(path, LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s := m.samples(t, m.calibration, float.Inputs(), 0, m.calibrate)
	quantized, report, err = float.Quantize(context.Background(), s, QuantizeOptions{Preprocess: m.preprocess})
	if err != nil {
		t.Fatal(err)
	}
	return float, quantized, report
}

// evaluation is the samples to evaluate on, from an offset on.
func (m realModel) evaluation(t *testing.T, inputs []ValueInfo, offset int) *FileSamples {
	t.Helper()
	if m.test == nil {
		return m.samples(t, m.calibration, inputs, m.calibrate+offset, 0)
	}
	return m.samples(t, m.test, inputs, offset, 0)
}

func requireModels(t *testing.T) {
	t.Helper()
	if !*modelsFlag {
		t.Skip("SKIP: takes minutes; run with -models")
	}
}

func TestAccuracyOfQuantizedModels(t *testing.T) {
	requireModels(t)
	for _, m := range realModels {
		t.Run(m.name, func(t *testing.T) {
			float, quantized, report := m.quantize(t)
			var islands []string
			for _, d := range report.Islands() {
				if d.MACs > 0 || !slices.Contains([]string{"Reshape", "Flatten"}, d.Op) {
					islands = append(islands, d.Op)
				}
			}
			if !slices.Equal(islands, m.islands) {
				t.Errorf("islands %q, want %q", islands, m.islands)
			}
			e, err := Evaluate(context.Background(), []*Model{float, quantized}, m.evaluation(t, float.Inputs(), 0), EvaluateOptions{})
			if err != nil {
				t.Fatal(err)
			}
			f, q := e.Models[0], e.Models[1]
			t.Logf("n %d: float top-1 %.4f, int8 %.4f, drop %.4f (95 %% interval %.4f to %.4f), same answer %.4f (%.4f to %.4f), SQNR %.1f dB, ranges %s",
				q.N, f.Top1, q.Top1, q.Drop, q.DropInterval[0], q.DropInterval[1], q.Agreement, q.AgreementInterval[0], q.AgreementInterval[1], q.SQNR,
				quantized.Metadata()[MetadataCalibration])
			if q.Drop > m.drop+1e-9 {
				t.Errorf("top-1 drops by %.4f, want at most %.4f", q.Drop, m.drop)
			}
			if q.Agreement < 0.93 {
				t.Errorf("same answer on %.4f, want 0.93", q.Agreement)
			}
		})
	}
}

// batchOf joins samples along the batch dimension.
func batchOf(t *testing.T, s Samples, input string, n int) *tensor.Tensor {
	t.Helper()
	var joined []byte
	var shape []int
	count := 0
	for sample, err := range s.All(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		x := sample.Inputs[input]
		joined = append(joined, x.Bytes()...)
		shape = slices.Clone(x.Shape())
		if count++; count == n {
			break
		}
	}
	shape[0] = count
	x, err := tensor.FromBytes(tensor.Float32, shape, joined)
	if err != nil {
		t.Fatal(err)
	}
	return x.Clone()
}

func floatsOf(t *testing.T, b []byte) []float32 {
	t.Helper()
	values := make([]float32, len(b)/4)
	for i := range values {
		values[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return values
}

// Exported models are run by ONNX Runtime in their reference meaning (optimization disabled) and by us. A single float
// sum that falls on the other side of a rounding step changes everything after it, so that deep networks drift apart
// between any two correct engines: ONNX Runtime's own fused run measures how far. Ours must give the same answer as
// the fused run, which is what its users run, on 99 %, and as the other on 99 % or, where even ONNX Runtime does not
// agree with itself so often, as often as it does, less 1 %.
func TestExportedModelsInONNXRuntime(t *testing.T) {
	requireModels(t)
	ort := testdata.OpenORT(t)
	for _, m := range realModels {
		t.Run(m.name, func(t *testing.T) {
			float, quantized, _ := m.quantize(t)
			path := filepath.Join(t.TempDir(), "int8.onnx")
			if err := quantized.Save(path, SaveOptions{}); err != nil {
				t.Fatal(err)
			}
			saved, err := Load(path, LoadOptions{})
			if err != nil {
				t.Fatal(err)
			}
			// In small files names, scales and biases weigh as much as the weights.
			const small = 500_000
			if ratio := float64(saved.FileSize()) / float64(float.FileSize()); ratio > 0.3 && float.FileSize() > small {
				t.Errorf("the file has %.2f of the float one's size", ratio)
			}
			session, err := quantized.Compile(CompileOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer session.Close()
			again, err := saved.Compile(CompileOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			in, out := float.Inputs()[0].Name, float.Outputs()[0].Name
			runs, n := 40, 1
			if m.batch {
				runs, n = 4, 50
			}
			same, itself, sameAsFused, total := 0, 0, 0, 0
			var signal, noise, fused, beside float64 // beside: ours against its fused run
			for run := range runs {
				x := batchOf(t, m.evaluation(t, float.Inputs(), run*n), in, n)
				ours, err := session.Run(context.Background(), map[string]*tensor.Tensor{in: x})
				if err != nil {
					t.Fatal(err)
				}
				reloaded, err := again.Run(context.Background(), map[string]*tensor.Tensor{in: x})
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(ours[out].Bytes(), reloaded[out].Bytes()) {
					t.Error("the saved model gives other bits than the one that was saved")
				}
				a := tensor.Values[float32](ours[out])
				inputs := map[string]*tensor.Tensor{in: x}
				b := floatsOf(t, ort.Run(t, path, "disabled", inputs, out)[out])
				c := floatsOf(t, ort.Run(t, path, "all", inputs, out)[out])
				s, e := quantize.SignalAndNoise(b, a)
				signal, noise = signal+s, noise+e
				_, e = quantize.SignalAndNoise(b, c)
				fused += e
				_, e = quantize.SignalAndNoise(c, a)
				beside += e
				classes := len(a) / n
				for i := range n {
					total++
					answer := top(b[i*classes:(i+1)*classes], 1)[0]
					ours, fused := top(a[i*classes:(i+1)*classes], 1)[0], top(c[i*classes:(i+1)*classes], 1)[0]
					if ours == answer {
						same++
					}
					if fused == answer {
						itself++
					}
					if ours == fused {
						sameAsFused++
					}
				}
			}
			sqnr := 10 * math.Log10(signal/noise)
			t.Logf("same answer as ONNX Runtime on %d of %d, SQNR %.1f dB; its own fused run: %d, %.1f dB; ours against its fused run: %d, %.1f dB",
				same, total, sqnr, itself, 10*math.Log10(signal/fused), sameAsFused, 10*math.Log10(signal/beside))
			if float64(same) < min(0.99*float64(total), float64(itself)-0.01*float64(total)) {
				t.Errorf("same answer on %d of %d", same, total)
			}
			if float64(sameAsFused) < 0.99*float64(total) {
				t.Errorf("same answer as the fused run on %d of %d", sameAsFused, total)
			}
			if m.logits && sqnr < 25 {
				t.Errorf("SQNR %.1f dB, want 25", sqnr)
			}
		})
	}
}

// The float model gives ONNX Runtime's answers on the images that int8 models are evaluated on.
func TestFloatAnswersOfONNXRuntime(t *testing.T) {
	requireModels(t)
	ort := testdata.OpenORT(t)
	m := realModels[0]
	path := testdata.Shared(t, m.model...)
	float, err := Load(path, LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	session, err := float.Compile(CompileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	in, out := float.Inputs()[0].Name, float.Outputs()[0].Name
	const runs, n = 8, 50
	same, largest := 0, 0.0
	for run := range runs {
		inputs := map[string]*tensor.Tensor{in: batchOf(t, m.evaluation(t, float.Inputs(), run*n), in, n)}
		ours, err := session.Run(context.Background(), inputs)
		if err != nil {
			t.Fatal(err)
		}
		a := tensor.Values[float32](ours[out])
		b := floatsOf(t, ort.Run(t, path, "all", inputs, out)[out])
		classes := len(a) / n
		var most, off float64
		for i, v := range b {
			most, off = max(most, math.Abs(float64(v))), max(off, math.Abs(float64(v-a[i])))
		}
		largest = max(largest, off/most)
		for i := range n {
			if top(a[i*classes:(i+1)*classes], 1)[0] == top(b[i*classes:(i+1)*classes], 1)[0] {
				same++
			}
		}
	}
	t.Logf("same answer on %d of %d; largest difference %.2g of the largest value", same, runs*n, largest)
	if same < 398 {
		t.Errorf("same answer on %d of %d, want 398", same, runs*n)
	}
	if largest > 1e-4 {
		t.Errorf("outputs differ by %.2g of the largest value, want 1e-4", largest)
	}
}
