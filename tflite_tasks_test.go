package octet

import (
	"context"
	"os"
	"slices"
	"testing"

	"github.com/octet-nn/octet/internal/format/tensorflow"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/testdata"
	"github.com/octet-nn/octet/tensor"
)

// The files of MLPerf Tiny run. Keywords are right as often as its rules ask for, 90 %, on half of its test set. Of the
// images there are only copies that lost much, so that the 85 % of its rules cannot be asked for: the float network has
// what it has, and the integer one at most 2 points less.
func TestMLPerfTiny(t *testing.T) {
	keywords := SampleOptions{Preprocess: "{quantized: {type: i8, scale: 0.5847029, zero_point: 83}}", Labels: "y_labels.csv"}
	images := SampleOptions{Preprocess: "{mean: 0, scale: 1, layout: NHWC}", Labels: "folder"}
	for _, c := range []struct {
		name    string
		data    string
		options SampleOptions
		least   float64
	}{
		{"kws_int8", "kws01_even.zip", keywords, 0.90}, {"kws_float", "kws01_even.zip", keywords, 0.90},
		{"ic_int8", "cifar10_jpeg_test2k.zip", images, 0.72}, {"ic_float", "cifar10_jpeg_test2k.zip", images, 0.74},
		{name: "vww_int8"}, {name: "vww_float"}, {name: "ad_int8"}, {name: "ad_float"},
	} {
		t.Run(c.name, func(t *testing.T) {
			model, err := Load(testdata.Shared(t, "tflite", "mlperf_tiny", c.name+".tflite"), LoadOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if c.data == "" { // there are no samples with labels of these; golden files say what they answer
				named, _ := inputsOf(model)
				answersOf(t, model, named)
				return
			}
			samples, err := OpenSamples(testdata.Shared(t, "data", c.data), model.Inputs(), c.options)
			if err != nil {
				t.Fatal(err)
			}
			e, err := Evaluate(context.Background(), []*Model{model}, samples, EvaluateOptions{})
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d samples: top-1 %.4f", e.Models[0].N, e.Models[0].Top1)
			if e.Models[0].Top1 < c.least {
				t.Errorf("top-1 %.4f, want %.2f", e.Models[0].Top1, c.least)
			}
		})
	}
}

// A network trained with FakeQuant nodes answers the same whether these round floats or become integers. Its logits are
// codes in steps of 0.13, so that on 34 of 500 images several classes have the same greatest probability: each of them is
// an answer. With the first of them counted only, as evaluate does, the two agree on 97.0 %, no more than the integer run
// and its own simulation by floats: a float sum that rounds the other way in an early layer changes one code, and this
// network, whose weights have wide ranges, carries that through.
func TestTrainedNetworkSimulatedAndInteger(t *testing.T) {
	requireModels(t)
	path := testdata.Shared(t, "tf", "mobilenet_v1_0.25_128_fakequant.pb")
	integer, err := Load(path, LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	g, _, err := tensorflow.Read(data, tensorflow.Options{}) // without what Load does: its nodes round floats
	if err != nil {
		t.Fatal(err)
	}
	trained := &Model{graph: g, path: "as trained"}
	if integer.arithmetic() == numeric.None || trained.arithmetic() != numeric.None {
		t.Fatal("one should compute on integers, the other on floats")
	}
	samples, err := OpenSamples(testdata.Shared(t, "data", "imagenet_even.zip"), integer.Inputs(), SampleOptions{Preprocess: "tf"})
	if err != nil {
		t.Fatal(err)
	}
	var sessions []*Session
	for _, m := range []*Model{integer, trained} {
		s, err := m.Compile(CompileOptions{Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		sessions = append(sessions, s)
	}
	images, same, first := 0, 0, 0
	for sample, err := range samples.All(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		var answers [2][]int // the classes with the greatest probability
		for i, s := range sessions {
			out, err := s.Run(context.Background(), sample.Inputs)
			if err != nil {
				t.Fatal(err)
			}
			answers[i] = greatest(tensor.Values[float32](out[integer.Outputs()[0].Name]))
		}
		images++
		if answers[0][0] == answers[1][0] {
			first++
		}
		if slices.Contains(answers[1], answers[0][0]) || slices.Contains(answers[0], answers[1][0]) {
			same++
		}
	}
	t.Logf("of %d images, %d have the same answer, %d the same first one", images, same, first)
	if images != 500 || same*100 < images*99 || first*100 < images*96 {
		t.Errorf("of %d images, %d have the same answer, %d the same first one; want 99 %% and 96 %% of 500", images, same, first)
	}
}

// greatest are the places of the greatest values.
func greatest(values []float32) (places []int) {
	best := slices.Max(values)
	for i, v := range values {
		if v == best {
			places = append(places, i)
		}
	}
	return places
}
