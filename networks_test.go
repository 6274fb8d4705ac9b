package octet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/octet-nn/octet/internal/testdata"
	"github.com/octet-nn/octet/tensor"
)

// network is a model of the shared folder and what its quantized form has to be like.
type network struct {
	file     string
	shape    []int    // of its input, for one sample
	islands  []string // operators that compute floats; nil: any, but 90 % of the work in integers
	deviates float64  // deviation of the input's values, 0: 1
	slow     bool     // it takes seconds
}

var networks = []network{
	{file: "mobilenet_v2_dq.onnx", shape: []int{1, 3, 224, 224}, islands: []string{}},
	{file: "squeezenet1.1_fp32.onnx", shape: []int{1, 3, 224, 224}, islands: []string{"Softmax"}},
	{file: "resnet20_cifar10.onnx", shape: []int{1, 3, 32, 32}, islands: []string{}},
	{file: "mnist_cntk.onnx", shape: []int{1, 1, 28, 28}, islands: []string{}, deviates: 100},
	{file: "mnist_cnn_pytorch.onnx", shape: []int{1, 1, 28, 28}, islands: []string{"LogSoftmax"}},
	{file: "ultraface_slim320_simplified.onnx", shape: []int{1, 3, 240, 320}, islands: []string{"Softmax"}},
	{file: "speech_embedding.onnx", shape: []int{1, 76, 32, 1}, islands: []string{}, deviates: 10},
	{file: "ppocr_v2_cls.onnx", shape: []int{1, 3, 48, 192}},
	{file: "ppocr_v4_det.onnx", shape: []int{1, 3, 96, 96}},
	{file: "style_candy.onnx", shape: []int{1, 3, 720, 720}, deviates: 60, slow: true},
}

// noise is a tensor for the network's input.
func (n network) noise(input ValueInfo, seed uint64) *tensor.Tensor {
	x := tensor.New(input.DType, n.shape...)
	random := rand.New(rand.NewPCG(seed, 1))
	for i := range tensor.Values[float32](x) {
		tensor.Values[float32](x)[i] = float32(random.NormFloat64() * max(n.deviates, 1))
	}
	return x
}

// TestNetworksAreIntegers: of the networks nothing stays float but what comes last. That they compute what they should,
// and allocate nothing, is for TestSameBits.
func TestNetworksAreIntegers(t *testing.T) {
	for _, n := range networks {
		t.Run(n.file, func(t *testing.T) {
			if n.slow {
				requireModels(t)
			}
			m, err := Load(testdata.Shared(t, "onnx", n.file), LoadOptions{})
			if err != nil {
				t.Fatal(err)
			}
			in := m.Inputs()[0]
			var list []Sample
			for i := range 2 {
				list = append(list, Sample{ID: fmt.Sprint(i), Inputs: map[string]*tensor.Tensor{in.Name: n.noise(in, uint64(i))}})
			}
			_, report, err := m.Quantize(context.Background(), SliceSamples(list...), QuantizeOptions{Method: "min-max"})
			if err != nil {
				t.Fatal(err)
			}
			n.checkIslands(t, report)
		})
	}
}

func (n network) checkIslands(t *testing.T, report *QuantizeReport) {
	var islands []string
	for _, d := range report.Islands() {
		if d.Reason == "" {
			t.Errorf("%s %q stays float without a reason", d.Op, d.Node)
		}
		if d.MACs > 0 || !slices.Contains([]string{"Reshape", "Flatten", "Transpose", "Concat"}, d.Op) { // the others only move floats
			islands = append(islands, d.Op)
		}
	}
	t.Logf("%.1f %% on integers, islands %q", 100*report.IntegerShare, islands)
	if n.islands != nil && !slices.Equal(slices.Compact(islands), n.islands) && len(islands)+len(n.islands) > 0 {
		t.Errorf("islands %q, want %q", islands, n.islands)
	}
	if report.IntegerShare < 0.9 {
		t.Errorf("%.1f %% on integers", 100*report.IntegerShare)
	}
}
