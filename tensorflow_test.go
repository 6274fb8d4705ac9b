package octet_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/octet-nn/octet"
	"github.com/octet-nn/octet/internal/testdata"
	"github.com/octet-nn/octet/tensor"
)

// TestTensorFlowModels loads every TensorFlow model as users do. The network trained with FakeQuant nodes computes on
// integers; speech models are cut behind their features, which a note says.
func TestTensorFlowModels(t *testing.T) {
	for name, c := range map[string]struct {
		input string // of the model
		note  string
		float bool
	}{
		"fc_mnist.pb":                        {"X", "", true},
		"keras_mobilenet_0.25_128_notop.pb":  {"input_1", "", true},
		"kws_cnn_s.pb":                       {"Mfcc", "cut after Mfcc", true},
		"kws_dnn_s.pb":                       {"Mfcc", "cut after Mfcc", true},
		"kws_ds_cnn_m.pb":                    {"Mfcc", "cut after Mfcc", true},
		"kws_ds_cnn_s.pb":                    {"Mfcc", "cut after Mfcc", true},
		"kws_lstm_s.pb":                      {"Mfcc", "cut after Mfcc", true},
		"mobilenet_v1_0.25_128_fakequant.pb": {"input", "", false},
		"mobilenet_v1_0.25_128_float.pb":     {"input", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := octet.Load(testdata.Shared(t, "tf", name), octet.LoadOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if notes := strings.Join(m.Notes(), "\n"); !strings.Contains(notes, c.note) || c.note == "" && notes != "" {
				t.Errorf("notes %q", notes)
			}
			if in := m.Inputs(); len(in) != 1 || in[0].Name != c.input {
				t.Fatalf("inputs %v", in)
			}
			if m.Quantized() == c.float {
				t.Errorf("computes on integers: %t", m.Quantized())
			}
			shape := slices.Clone(m.Inputs()[0].Shape)
			for i, d := range shape {
				if d < 0 {
					shape[i] = 1
				}
			}
			if c.note != "" { // features of a second, in the file's windows
				frames := map[string]int{"kws_lstm_s.pb": 25, "kws_cnn_s.pb": 49, "kws_dnn_s.pb": 25, "kws_ds_cnn_m.pb": 49, "kws_ds_cnn_s.pb": 49}
				shape[1] = frames[name]
			}
			n, _ := tensor.Count(shape)
			values := make([]float32, n)
			for i := range values {
				values[i] = float32(i%17)/8 - 1
			}
			in := map[string]*tensor.Tensor{c.input: tensor.Of(values, shape...)}
			var results [2][]float32
			for i, reference := range []bool{false, true} {
				s, err := m.Compile(octet.CompileOptions{Reference: reference, Threads: 1})
				if err != nil {
					t.Fatal(err)
				}
				out, err := s.Run(context.Background(), in)
				if err != nil {
					t.Fatal(err)
				}
				results[i] = tensor.Values[float32](out[m.Outputs()[0].Name])
				s.Close()
			}
			for i, v := range results[1] {
				if d := results[0][i] - v; d > 1e-3 || d < -1e-3 {
					t.Fatalf("element %d: compiled %v, by definition %v", i, results[0][i], v)
				}
			}
		})
	}
}

// TestCutting starts and ends a network at values in the middle of it.
func TestCutting(t *testing.T) {
	path := testdata.Shared(t, "tf", "mobilenet_v1_0.25_128_float.pb")
	m, err := octet.Load(path, octet.LoadOptions{Inputs: []string{"op01/Relu6:0"}, Outputs: []string{"op05/Relu6"}})
	if err != nil {
		t.Fatal(err)
	}
	if m.Inputs()[0].Name != "op01/Relu6" || m.Outputs()[0].Name != "op05/Relu6" {
		t.Errorf("from %v to %v", m.Inputs(), m.Outputs())
	}
	if _, err := octet.Load(path, octet.LoadOptions{Outputs: []string{"op05/Relu7"}}); err == nil || !strings.Contains(err.Error(), `"op05/Relu6"`) {
		t.Errorf("the near name is not suggested: %v", err)
	}
}
