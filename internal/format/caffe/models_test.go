package caffe

import (
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/octet-nn/octet/internal/compile"
	"github.com/octet-nn/octet/internal/format/onnx"
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/testdata"
	"github.com/octet-nn/octet/tensor"
)

func sharedFiles(t testing.TB, name string) (structure, weights []byte) {
	t.Helper()
	read := func(file string) []byte {
		data, err := os.ReadFile(testdata.Shared(t, "caffe", file))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	return read(name + ".prototxt"), read(name + ".caffemodel")
}

func sharedModel(t testing.TB, name string) *graph.Graph {
	t.Helper()
	structure, weights := sharedFiles(t, name)
	if !IsStructure(structure) || IsStructure(weights) || !IsWeights(weights) || IsWeights(structure) {
		t.Errorf("%s: the files are not known by their content", name)
	}
	g, err := Read(structure, weights, Options{File: name + ".prototxt", Weights: name + ".caffemodel"})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestSharedModelsAreRead(t *testing.T) {
	for name, want := range map[string]string{
		"lenet":             "data f32[N,1,28,28] -> prob f32[N,10]",
		"mtcnn_det1":        "data f32[1,3,12,12] -> conv4-2 f32[1,4,1,1] prob1 f32[1,2,1,1]",
		"mtcnn_det2":        "data f32[1,3,24,24] -> conv5-2 f32[1,4] prob1 f32[1,2]",
		"mtcnn_det3":        "data f32[1,3,48,48] -> conv6-2 f32[1,4] conv6-3 f32[1,10] prob1 f32[1,2]",
		"squeezenet_v1.1":   "data f32[N,3,227,227] -> prob f32[N,1000,1,1]",
		"ultraface_slim320": "input f32[1,3,240,320] -> boxes f32[1,4420,4] scores f32[1,4420,2]",
	} {
		g := sharedModel(t, name)
		words := []string{}
		for _, v := range g.Inputs {
			words = append(words, v.Name, v.Type.String())
		}
		words = append(words, "->")
		for _, v := range g.Outputs {
			words = append(words, v.Name, v.Type.String())
		}
		if got := strings.Join(words, " "); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
		if err := op.CheckSupported(g); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// outputs runs a network.
func outputs(t *testing.T, g *graph.Graph, x *tensor.Tensor) []*tensor.Tensor {
	t.Helper()
	session, err := compile.Compile(g, compile.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	results, err := session.Run(t.Context(), map[string]*tensor.Tensor{g.Inputs[0].Name: x})
	if err != nil {
		t.Fatal(err)
	}
	var all []*tensor.Tensor
	for _, v := range g.Outputs {
		all = append(all, results[v.Name])
	}
	return all
}

// difference is how far apart two results are at most.
func difference(t *testing.T, a, b *tensor.Tensor) float64 {
	t.Helper()
	x, y := op.Float64s(a), op.Float64s(b)
	if len(x) != len(y) {
		t.Fatalf("%s and %s differ in size", a, b)
	}
	most := 0.0
	for i := range x {
		d := math.Abs(x[i] - y[i])
		if !(d <= most) {
			most = d
		}
	}
	return most
}

func sharedONNX(t *testing.T, name string) *graph.Graph {
	t.Helper()
	path := testdata.Shared(t, "onnx", name)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	g, err := onnx.Read(data, onnx.Options{File: name, External: os.DirFS(filepath.Dir(path))})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func noise(shape ...int) *tensor.Tensor {
	x := tensor.New(tensor.Float32, shape...)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range tensor.Values[float32](x) {
		tensor.Values[float32](x)[i] = float32(random.NormFloat64())
	}
	return x
}

// TestUltraFace: the same network as ONNX, without the decoding of boxes, gives the same boxes and scores.
func TestUltraFace(t *testing.T) {
	x := noise(1, 3, 240, 320)
	got, want := outputs(t, sharedModel(t, "ultraface_slim320"), x), outputs(t, sharedONNX(t, "ultraface_slim320_simplified.onnx"), x)
	if boxes, scores := difference(t, got[0], want[1]), difference(t, got[1], want[0]); boxes > 1e-5 || scores > 1e-5 {
		t.Errorf("boxes are %v apart, scores %v", boxes, scores)
	}
}

// TestSqueezeNet: the weights are those of the ONNX file, rounded to half precision.
func TestSqueezeNet(t *testing.T) {
	structure, weights := sharedFiles(t, "squeezenet_v1.1")
	structure = []byte(strings.ReplaceAll(string(structure), "227", "224"))
	g, err := Read(structure, weights, Options{})
	if err != nil {
		t.Fatal(err)
	}
	x := noise(1, 3, 224, 224)
	got, want := outputs(t, g, x), outputs(t, sharedONNX(t, "squeezenet1.1_fp32.onnx"), x)
	if d := difference(t, got[0], want[0]); d > 1e-3 {
		t.Errorf("%v apart", d)
	}
}
