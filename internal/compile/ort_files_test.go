package compile

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/octet-nn/octet/internal/format/onnx"
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/interp"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/rewrite"
	"github.com/octet-nn/octet/internal/testdata"
	"github.com/octet-nn/octet/tensor"
)

// ortFileExceptions are ONNX Runtime's own test files that are not compared, and why.
var ortFileExceptions = map[string]string{
	"matmul_integer_to_float_large_tensor.onnx": "it has no outputs and inputs of 3 GiB",
}

// ortFileChains are files with several quantized layers: where a float sum that falls between two codes is rounded the
// other way, the layers after it see another input. The model of six convolutions is the same one in five spellings.
var ortFileChains = map[string]tolerance{
	"layout_transform_fix_transpose_without_dq.qdq.onnx":        {1, 0.003}, // 320 terms rounded to 16 bits: as fine as ONNX Runtime's f32 sums
	"qdq_with_multi_consumer_dq_nodes.onnx":                     {3, 0.01},
	"qdq_with_multi_consumer_dq_nodes.fixed.onnx":               {3, 0.01},
	"qdq_with_multi_consumer_dq_nodes.fixed.qdq_contrib.onnx":   {3, 0.01},
	"qdq_with_multi_consumer_dq_nodes.fixed.qdq16.onnx":         {3, 0.01},
	"qdq_with_multi_consumer_dq_nodes.fixed.qdq16_contrib.onnx": {3, 0.01},
}

// ortFileDims are the sizes of dimensions that ONNX Runtime's files leave open; others are 1.
var ortFileDims = map[string]int{"M": 5, "K": 8, "N": 4, "C": 4, "batch_size": 2, "height": 12, "width": 10}

// TestRuntimeFiles runs ONNX Runtime's own test models of quantization in the interpreter, as they are and with the
// quantization absorbed, and compiled, and compares with ONNX Runtime's unoptimized run: integers and quantized floats
// within 1 step and 99.9 % equal, other floats within 1e-4 of the largest.
func TestRuntimeFiles(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(testdata.Shared(t, "onnx", "ort_quant_tests"), "*.onnx"))
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	ort := testdata.OpenORT(t)
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			limit, chain := ortFileChains[name]
			if !chain {
				limit = tolerance{1, 0.001}
			}
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			g, err := onnx.Read(data, onnx.Options{External: os.DirFS(filepath.Dir(file))})
			if err != nil {
				t.Fatal(err)
			}
			if err := op.CheckSupported(g); err != nil {
				t.Fatal(err)
			}
			if why := ortFileExceptions[name]; why != "" {
				t.Skip("SKIP: it loads, but " + why)
			}
			in := randomInputs(g)
			var outputs []string
			for _, v := range g.Outputs {
				outputs = append(outputs, v.Name)
			}
			want := ort.Run(t, file, "disabled", in, outputs...)
			check := func(how string, got map[string]*tensor.Tensor) {
				for _, v := range g.Outputs {
					if err := withinSteps(got[v.Name], want[v.Name], stepOf(g, v), limit); err != nil {
						t.Errorf("%s, output %q: %v", how, v.Name, err)
					}
				}
			}
			interpret := func(g *graph.Graph) map[string]*tensor.Tensor {
				t.Helper()
				runner, err := interp.Executor{}.Prepare(g, nil)
				if err != nil {
					t.Fatal(err)
				}
				got, err := runner.Run(t.Context(), in)
				if err != nil {
					t.Fatal(err)
				}
				return got
			}
			if !chain || name == "qdq_with_multi_consumer_dq_nodes.fixed.onnx" { // the interpreter takes a second for the others
				check("interpreted", interpret(g))
			}
			typed := g.Clone()
			if err := rewrite.Simplify(typed, rewrite.SimplifyOptions{}); err != nil {
				t.Fatal(err)
			}
			if _, err := rewrite.Absorb(typed, rewrite.AbsorbOptions{Arithmetic: numeric.ONNX}); err != nil {
				t.Fatal(err)
			}
			if !chain {
				check("absorbed and interpreted", interpret(typed))
			}
			for how, g := range map[string]*graph.Graph{"compiled": g, "absorbed and compiled": typed} {
				session, err := Compile(g, Options{Threads: 1})
				if err != nil {
					t.Fatal(err)
				}
				got, err := session.Run(t.Context(), in)
				if err != nil {
					t.Fatal(err)
				}
				check(how, got)
				if err := session.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// randomInputs is reproducible: normal floats (positive ones for scales), codes of 8-bit types in the range that ONNX
// Runtime's kernels cannot saturate on, 1 for other integers.
func randomInputs(g *graph.Graph) map[string]*tensor.Tensor {
	random := rand.New(rand.NewPCG(3, 4))
	in := map[string]*tensor.Tensor{}
	for _, v := range g.Inputs {
		shape := make([]int, len(v.Type.Shape))
		for i, d := range v.Type.Shape {
			if shape[i] = d.Size; !d.Known() {
				shape[i] = max(ortFileDims[d.Symbol], 1)
			}
		}
		n, _ := tensor.Count(shape)
		switch {
		case v.Type.DType.IsFloat() && len(shape) > 1:
			values := make([]float32, n)
			for i := range values {
				values[i] = float32(random.NormFloat64())
			}
			in[v.Name] = op.FromFloat32s(v.Type.DType, shape, values)
		case v.Type.DType.IsFloat():
			values := make([]float32, n)
			for i := range values {
				values[i] = 0.01 + 0.1*random.Float32()
			}
			in[v.Name] = op.FromFloat32s(v.Type.DType, shape, values)
		default:
			lowest, highest := int64(1), int64(1)
			if v.Type.DType.Bits() == 8 {
				lowest, highest = v.Type.DType.Limits()
			}
			values := make([]int64, n)
			for i := range values {
				values[i] = lowest + random.Int64N(highest-lowest+1)
			}
			in[v.Name] = op.FromInt64s(v.Type.DType, shape, values)
		}
	}
	return in
}

// stepOf is the distance of neighboring values of an output: 1 for integers, the scale if it is dequantized codes
// (the larger one in a sum of such), 0 for other floats.
func stepOf(g *graph.Graph, v *graph.Value) float64 {
	if !v.Type.DType.IsFloat() {
		return 1
	}
	return stepAt(g.Index(), v)
}

func stepAt(index *graph.Index, v *graph.Value) float64 {
	if q := v.Type.Quant; q.IsPerTensor() && v.Const == nil {
		return float64(q.Scale[0])
	}
	producer := index.Producer(v)
	if producer == nil {
		return 0
	}
	switch producer.Op.(type) {
	case *op.Dequantize, *op.Transpose, *op.Reshape, *op.Squeeze, *op.Unsqueeze:
		return stepAt(index, producer.Inputs[0])
	case *op.Add:
		return max(stepAt(index, producer.Inputs[0]), stepAt(index, producer.Inputs[1]))
	}
	return 0
}

// tolerance is how much a result may differ.
type tolerance struct {
	steps float64 // at most
	share float64 // of elements that may differ at all
}

// withinSteps compares a result with ONNX Runtime's bytes.
func withinSteps(got *tensor.Tensor, bytes []byte, step float64, limit tolerance) error {
	want, err := tensor.FromBytes(got.DType(), got.Shape(), bytes)
	if err != nil {
		return fmt.Errorf("other type or shape: %w", err)
	}
	g, w := op.Float64s(got), op.Float64s(want)
	var largest float64
	for _, v := range w {
		largest = max(largest, math.Abs(v))
	}
	different, furthest := 0, 0.0
	for i := range w {
		d := math.Abs(g[i] - w[i])
		if !(d <= 1e-4*largest && (step == 0 || d < 0.5*step)) {
			different++
			furthest = max(furthest, d)
		}
	}
	if different > max(1, int(limit.share*float64(len(w)))) || furthest > 1.01*limit.steps*step {
		return fmt.Errorf("%d of %d elements differ, by up to %g (step %g, largest %g)", different, len(w), furthest, step, largest)
	}
	return nil
}
