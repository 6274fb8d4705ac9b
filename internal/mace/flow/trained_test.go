package flow

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/octet-nn/octet/internal/mace/convert"
	"github.com/octet-nn/octet/internal/mace/deploy"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/testdata"
	"github.com/octet-nn/octet/tensor"
)

// TestTrainedTensorFlow converts a network with FakeQuant nodes, and computes what MACE makes of each: activations get codes
// from the very limits in the file, weights from their own extremes, whatever training knew of them.
func TestTrainedTensorFlow(t *testing.T) {
	dir := t.TempDir()
	model, err := os.ReadFile(testdata.Shared(t, "tf", "mobilenet_v1_0.25_128_fakequant.pb"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "m.pb"), model, 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := deploy.Parse(filepath.Join(dir, "m.yml"), []byte("models:\n  m:\n    platform: tensorflow\n    model_file_path: m.pb\n    quantize: 1\n"+
		"    subgraphs:\n      - {input_tensors: input, input_shapes: '1,128,128,3', output_tensors: Softmax, output_shapes: '1,1001'}\n"), os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	m := &f.Models[0]
	quiet := func(string) {}
	s := source{quantize: true, note: quiet}
	g, err := s.read(f, m, &m.Graphs[0], quiet)
	if err != nil {
		t.Fatal(err)
	}
	_, report, err := Convert{}.one(f, m, &m.Graphs[0], quiet)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.trained) != 29 || s.trained["op00/Relu6:0"] == (convert.Range{}) {
		t.Errorf("%d values have trained ranges, want 29: %v", len(s.trained), s.trained)
	}
	compared := 0
	for _, a := range report.Activations {
		if r, ok := s.trained[a.Name]; ok {
			scale := (max(r.Max, 0) - min(r.Min, 0)) / 255
			zero := math.RoundToEven(-min(r.Min, 0) / scale)
			want := convert.Info{Min: float32(-zero * scale), Max: float32((255 - zero) * scale), Scale: float32(scale), ZeroPoint: int32(zero)}
			if a.Info != want {
				t.Errorf("%s is %+v, want %+v", a.Name, a.Info, want)
			}
			compared++
		}
	}
	if compared != len(s.trained) {
		t.Errorf("%d of %d trained ranges were used", compared, len(s.trained))
	}
	compared = 0
	for _, n := range g.Nodes {
		if _, ok := n.Op.(*op.Conv); !ok {
			continue
		}
		w := n.Inputs[1].Const
		if w == nil || w.DType() != tensor.Float32 {
			t.Errorf("%s has no float weights", n.Describe())
			continue
		}
		values := op.Float32s(w)
		low, high := float64(slices.Min(values)), float64(slices.Max(values))
		least := low - (high-low)/254 // no weight has code 0
		scale := (high - least) / 255
		zero := -least / scale
		whole := math.RoundToEven(zero)
		if math.Abs(zero-whole) > 1e-6 {
			whole = math.Ceil(zero)
		}
		found := slices.ContainsFunc(report.Constants, func(c convert.Constant) bool {
			return c.DType == tensor.Uint8 && c.Scale == float32(scale) && c.ZeroPoint == int32(whole)
		})
		if !found {
			t.Errorf("%s: no weights have scale %v and zero point %v", n.Describe(), float32(scale), whole)
		}
		compared++
	}
	if compared != 28 {
		t.Errorf("compared the weights of %d layers, want 28", compared)
	}
}
