package compile

import (
	"archive/zip"
	"image/jpeg"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/octet-nn/octet/internal/format/onnx"
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/interp"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/testdata"
	"github.com/octet-nn/octet/tensor"
)

// realModel is a model of the shared folder and how to run it in a test.
type realModel struct {
	file string
	dims map[string]int // of unknown dimensions, by symbol; "" for all others
	// interpret compares with the interpreter too: only for models that it runs in well under a second.
	interpret bool
	// slow models take seconds to run: once, and not in short tests.
	slow bool
	// pixels says that images are in 0..255; else they are about 0 with a deviation of 1.
	pixels bool
	// references says that the model has operators without kernels.
	references bool
}

var realModels = []realModel{
	{file: "bert_toy_optimized.onnx", dims: map[string]int{"batch": 2, "": 16}, interpret: true, references: true},
	{file: "mnist_cnn_pytorch.onnx", interpret: true},
	{file: "mnist_cntk.onnx", interpret: true},
	{file: "mobilenet_v2_dq.onnx", dims: map[string]int{"": 1}},
	{file: "ppocr_v2_cls.onnx", dims: map[string]int{"p2o.DynamicDimension.0": 1, "p2o.DynamicDimension.1": 48, "p2o.DynamicDimension.2": 192}},
	{file: "ppocr_v4_det.onnx", dims: map[string]int{"p2o.DynamicDimension.0": 1, "": 96}},
	{file: "resnet20_cifar10.onnx", dims: map[string]int{"": 1}, interpret: true},
	{file: "speech_embedding.onnx", dims: map[string]int{"": 1}},
	{file: "squeezenet1.1_fp16.onnx"},
	{file: "squeezenet1.1_fp32.onnx"},
	{file: "style_candy.onnx", dims: map[string]int{"": 1}, slow: true, pixels: true},
	{file: "ultraface_slim320.onnx"},
	{file: "ultraface_slim320_simplified.onnx"},
}

func (m realModel) load(t *testing.T) (path string, g *graph.Graph) {
	t.Helper()
	path = testdata.Shared(t, "onnx", m.file)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if g, err = onnx.Read(data, onnx.Options{}); err != nil {
		t.Fatal(err)
	}
	return path, g
}

// feed is reproducible inputs: a photograph where the model wants images, else noise; small integers.
func (m realModel) feed(t *testing.T, g *graph.Graph) map[string]*tensor.Tensor {
	random := rand.New(rand.NewPCG(1, 2))
	in := map[string]*tensor.Tensor{}
	for _, v := range g.Inputs {
		shape := make([]int, len(v.Type.Shape))
		for i, d := range v.Type.Shape {
			shape[i] = d.Size
			if n, named := m.dims[d.Symbol]; !d.Known() && named {
				shape[i] = n
			} else if !d.Known() {
				shape[i] = m.dims[""]
			}
		}
		n, _ := tensor.Count(shape)
		if !v.Type.DType.IsFloat() {
			ids := make([]int64, n)
			for i := range ids {
				ids[i] = random.Int64N(2)
			}
			in[v.Name] = op.FromInt64s(v.Type.DType, shape, ids)
			continue
		}
		values := make([]float32, n)
		for i := range values {
			values[i] = float32(random.NormFloat64())
		}
		if len(shape) == 4 && shape[1] == 3 {
			fillPhotograph(t, values, shape[2], shape[3])
		}
		for i := range values {
			if m.pixels {
				values[i] = float32(values[i]*(0.225*255)) + 0.45*255
			}
		}
		in[v.Name] = op.FromFloat32s(v.Type.DType, shape, values)
	}
	return in
}

// fillPhotograph fills a [3,height,width] tensor with a photograph, of mean about 0 and deviation about 1.
func fillPhotograph(t *testing.T, values []float32, height, width int) {
	t.Helper()
	archive, err := zip.OpenReader(testdata.Shared(t, "data", "imagenet_even.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	for _, f := range archive.File {
		if !strings.HasSuffix(strings.ToLower(f.Name), ".jpeg") && !strings.HasSuffix(strings.ToLower(f.Name), ".jpg") {
			continue
		}
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		photo, err := jpeg.Decode(r)
		if err != nil {
			t.Fatal(err)
		}
		size := photo.Bounds().Size()
		for y := range height {
			for x := range width {
				red, green, blue, _ := photo.At(x*size.X/width, y*size.Y/height).RGBA()
				for c, v := range []uint32{red, green, blue} {
					values[(c*height+y)*width+x] = (float32(v)/65535 - 0.45) / 0.225
				}
			}
		}
		return
	}
	t.Fatal("no photograph in the archive")
}

// closeTo reports the largest difference of two results as a fraction of the largest magnitude, or of 0.01 if that is
// smaller: where a detector finds nothing its results are some 1e-8, of which ONNX Runtime's sigmoid has no digit right.
func closeTo(got, want *tensor.Tensor) float64 {
	g, w := op.Float32s(got), op.Float32s(want)
	var most, difference float64
	for i := range w {
		most = max(most, math.Abs(float64(w[i])))
		d := math.Abs(float64(g[i]) - float64(w[i]))
		if d != d {
			return math.Inf(1)
		}
		difference = max(difference, d)
	}
	return difference / max(most, 1e-2)
}

func TestRealModels(t *testing.T) {
	for _, m := range realModels {
		t.Run(strings.TrimSuffix(m.file, ".onnx"), func(t *testing.T) {
			path, g := m.load(t)
			in := m.feed(t, g)
			session, err := Compile(g, Options{Threads: 2})
			if err != nil {
				t.Fatal(err)
			}
			defer session.Close()
			ordered, err := graph.Arrange(session.Inputs(), in)
			if err != nil {
				t.Fatal(err)
			}
			plan, err := session.Plan(ordered)
			if err != nil {
				t.Fatal(err)
			}
			for _, step := range plan.Steps {
				if step.Reference && !m.references {
					t.Errorf("%s %q has no kernel", step.Op, step.Name)
				}
			}
			t.Logf("%d steps, %d MACs, %d bytes", len(plan.Steps), plan.MACs(), plan.Bytes)
			if m.slow && testing.Short() {
				t.Skip("SKIP: takes seconds")
			}
			got, err := session.Run(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			if n := session.ReferenceEvaluations(); n > 0 && !m.references {
				t.Errorf("%d reference evaluations", n)
			}
			if m.interpret {
				runner, err := interp.Executor{}.Prepare(g, nil)
				if err != nil {
					t.Fatal(err)
				}
				want, err := runner.Run(t.Context(), in)
				if err != nil {
					t.Fatal(err)
				}
				for name := range got {
					if d := closeTo(got[name], want[name]); d > 1e-5 {
						t.Errorf("%s differs from the interpreter by %g of its largest value", name, d)
					}
				}
			}
			t.Run("ONNX Runtime", func(t *testing.T) { compareWithORT(t, path, in, got) })
		})
	}
}

// compareWithORT allows 1e-4 of the largest value, or 2 units in the last place of it for 16-bit results.
func compareWithORT(t *testing.T, path string, in, got map[string]*tensor.Tensor) {
	ort := testdata.OpenORT(t)
	var names []string
	for name := range got {
		names = append(names, name)
	}
	for name, b := range ort.Run(t, path, "disabled", in, names...) {
		want, err := tensor.FromBytes(got[name].DType(), got[name].Shape(), b)
		if err != nil {
			t.Errorf("%s of %s: %v", name, filepath.Base(path), err)
			continue
		}
		limit := 1e-4
		if want.DType() == tensor.Float16 {
			limit = 2. / 1024
		}
		d := closeTo(got[name], want)
		t.Logf("%s differs by %g", name, d)
		if d > limit {
			t.Errorf("%s differs from ONNX Runtime by %g of its largest value, more than %g", name, d, limit)
		}
	}
}
