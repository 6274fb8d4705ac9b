package onnx

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/octet-nn/octet/internal/calibrate"
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/interp"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/quantize"
	"github.com/octet-nn/octet/internal/rewrite"
	"github.com/octet-nn/octet/internal/testdata"
	"github.com/octet-nn/octet/tensor"
)

// network builds float graphs with reproducible random weights.
type network struct {
	graph  *graph.Graph
	random *rand.Rand
}

func newNetwork(shape ...int) (*network, *graph.Value) {
	x := &graph.Value{Name: "x", Type: graph.Type{DType: tensor.Float32, Shape: graph.FixedShape(shape...)}}
	return &network{&graph.Graph{Name: "small", Inputs: []*graph.Value{x}}, rand.New(rand.NewPCG(7, 8))}, x
}

func (b *network) weights(shape ...int) *graph.Value {
	n, _ := tensor.Count(shape)
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(b.random.NormFloat64() / 3)
	}
	return b.constant(tensor.Of(values, shape...))
}

func (b *network) constant(t *tensor.Tensor) *graph.Value {
	return &graph.Value{Name: fmt.Sprintf("w%d", b.random.Uint32()), Type: graph.TypeOf(t), Const: t}
}

func (b *network) node(o graph.Operator, in ...*graph.Value) *graph.Value {
	v := &graph.Value{Name: fmt.Sprintf("v%d", len(b.graph.Nodes))}
	b.graph.Nodes = append(b.graph.Nodes, &graph.Node{Name: "n" + v.Name, Op: o, Inputs: in, Outputs: []*graph.Value{v}})
	return v
}

func (b *network) output(t *testing.T, v *graph.Value) *graph.Graph {
	t.Helper()
	b.graph.Outputs = []*graph.Value{v}
	if _, err := op.Infer(b.graph); err != nil {
		t.Fatal(err)
	}
	return b.graph
}

var relu6 = &op.Clamp{Min: 0, Max: 6}

// networks is one small graph for each family of operators that quantization knows.
var networks = map[string]func(t *testing.T) *graph.Graph{
	"residual": func(t *testing.T) *graph.Graph {
		b, x := newNetwork(1, 8, 9, 9)
		y := b.node(&op.Conv{Pads: []int{1, 1, 1, 1}, Clamp: relu6}, x, b.weights(8, 8, 3, 3), b.weights(8))
		return b.output(t, b.node(&op.Add{}, x, y))
	},
	"depthwise": func(t *testing.T) *graph.Graph {
		b, x := newNetwork(1, 8, 9, 9)
		y := b.node(&op.Conv{Pads: []int{1, 1, 1, 1}, Group: 8, Strides: []int{2, 2}}, x, b.weights(8, 1, 3, 3))
		return b.output(t, b.node(op.Lookup("HardSwish"), y))
	},
	"depthwise NHWC": func(t *testing.T) *graph.Graph {
		b, x := newNetwork(1, 9, 9, 8)
		return b.output(t, b.node(&op.Conv{Layout: op.NHWC, Filter: op.OneHWC, Pads: []int{1, 1, 1, 1}, Group: 8}, x, b.weights(1, 3, 3, 8), b.weights(8)))
	},
	"convolutions NHWC": func(t *testing.T) *graph.Graph {
		b, x := newNetwork(1, 7, 9, 5)
		y := b.node(&op.Conv{Layout: op.NHWC, Filter: op.OHWI, Clamp: relu6}, x, b.weights(6, 3, 3, 5), b.weights(6))
		return b.output(t, b.node(&op.Conv{Layout: op.NHWC, Filter: op.HWIO}, y, b.weights(1, 1, 6, 4)))
	},
	"gemm": func(t *testing.T) *graph.Graph {
		b, x := newNetwork(3, 20)
		y := b.node(&op.Gemm{Alpha: 1, Beta: 1, TransB: true}, x, b.weights(16, 20), b.weights(16))
		return b.output(t, b.node(&op.MatMul{}, y, b.weights(16, 5)))
	},
	"pools": func(t *testing.T) *graph.Graph {
		b, x := newNetwork(1, 4, 8, 8)
		y := b.node(&op.MaxPool{KernelShape: []int{2, 2}, Strides: []int{1, 1}}, x)
		y = b.node(&op.AveragePool{KernelShape: []int{3, 3}, Pads: []int{1, 1, 1, 1}}, y)
		y = b.node(&op.Conv{}, y, b.weights(6, 4, 1, 1))
		return b.output(t, b.node(&op.GlobalAveragePool{}, y))
	},
	"concat": func(t *testing.T) *graph.Graph {
		b, x := newNetwork(1, 4, 6, 6)
		y := b.node(&op.Conv{}, x, b.weights(6, 4, 1, 1))
		z := b.node(&op.Conv{Clamp: relu6}, x, b.weights(3, 4, 1, 1))
		return b.output(t, b.node(&op.Concat{Axis: 1}, y, z))
	},
	"softmax": func(t *testing.T) *graph.Graph {
		b, x := newNetwork(2, 12)
		y := b.node(&op.MatMul{}, x, b.weights(12, 10))
		y = b.node(&op.Softmax{Axis: -1}, y)
		return b.output(t, b.node(&op.MatMul{}, y, b.weights(10, 4)))
	},
	"resize": func(t *testing.T) *graph.Graph {
		b, x := newNetwork(1, 4, 5, 5)
		y := b.node(&op.Conv{}, x, b.weights(4, 4, 1, 1))
		o := op.Lookup("Resize")
		return b.output(t, b.node(o, y, nil, b.constant(tensor.Of([]float32{1, 1, 2, 2}, 4))))
	},
	"transposed convolution": func(t *testing.T) *graph.Graph {
		b, x := newNetwork(1, 4, 5, 5)
		return b.output(t, b.node(&op.ConvTranspose{Strides: []int{2, 2}, Clamp: relu6}, x, b.weights(4, 3, 3, 3), b.weights(3)))
	},
	"transposed convolution OHWI": func(t *testing.T) *graph.Graph {
		b, x := newNetwork(1, 5, 5, 4)
		return b.output(t, b.node(&op.ConvTranspose{Layout: op.NHWC, Filter: op.OHWI, Strides: []int{2, 2}}, x, b.weights(3, 2, 2, 4)))
	},
	"activations": func(t *testing.T) *graph.Graph {
		b, x := newNetwork(1, 4, 5, 5)
		y := b.node(&op.Conv{}, x, b.weights(4, 4, 1, 1))
		for _, o := range []graph.Operator{&op.Swish{Alpha: 1}, &op.Elu{Alpha: 1.5, Gamma: 1, Scale: 1.1}, &op.Elu{Alpha: 2, Gamma: 2, Scale: 1},
			&op.Elu{Alpha: 0.5, Gamma: 1, Scale: 1}, &op.Swish{Alpha: 1.7}} {
			y = b.node(o, y)
		}
		return b.output(t, y)
	},
}

func noise(v *graph.Value, seed uint64) map[string]*tensor.Tensor {
	random := rand.New(rand.NewPCG(seed, 1))
	shape, _ := v.Type.Shape.Known()
	n, _ := tensor.Count(shape)
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(random.NormFloat64())
	}
	return map[string]*tensor.Tensor{v.Name: tensor.Of(values, shape...)}
}

// quantizedNetwork is the typed form of a float graph.
func quantizedNetwork(t *testing.T, g *graph.Graph, o quantize.Options) *graph.Graph {
	t.Helper()
	if err := rewrite.Simplify(g, rewrite.SimplifyOptions{}); err != nil {
		t.Fatal(err)
	}
	points, err := quantize.Points(g, o)
	if err != nil {
		t.Fatal(err)
	}
	samples := func(yield func(calibrate.Sample, error) bool) {
		yield(calibrate.Sample{ID: "one", Inputs: noise(g.Inputs[0], 1)}, nil)
	}
	ranges, err := calibrate.Run(t.Context(), interp.Executor{}, g, points, samples, calibrate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	typed, _, err := quantize.Quantize(g, ranges, o)
	if err != nil {
		t.Fatal(err)
	}
	return typed
}

func interpreted(t *testing.T, g *graph.Graph, in map[string]*tensor.Tensor) *tensor.Tensor {
	t.Helper()
	runner, err := interp.Executor{}.Prepare(g, nil)
	if err != nil {
		t.Fatal(err)
	}
	results, err := runner.Run(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return results[g.Outputs[0].Name]
}

// runORT is output y of a model in ONNX Runtime without optimization; its type and shape are those of like.
func runORT(t *testing.T, file []byte, like *tensor.Tensor, in map[string]*tensor.Tensor, y string) *tensor.Tensor {
	t.Helper()
	ort := testdata.OpenORT(t)
	path := filepath.Join(t.TempDir(), "m.onnx")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := tensor.FromBytes(like.DType(), like.Shape(), ort.Run(t, path, "disabled", in, y)[y])
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// agree runs a written model in ONNX Runtime and compares with a result. A step is 0 for results that are not rounded.
func agree(t *testing.T, file []byte, g *graph.Graph, in map[string]*tensor.Tensor, want *tensor.Tensor, step float64) {
	t.Helper()
	got := runORT(t, file, want, in, g.Outputs[0].Name)
	a, b := op.Float64s(got), op.Float64s(want)
	most, steps := 0.0, 0
	for _, v := range b {
		most = max(most, math.Abs(v))
	}
	for i := range a {
		d := math.Abs(a[i] - b[i])
		if d > max(1e-5*most, 0.5*step) {
			steps++
		}
		if !(d <= 1e-5*most+1.01*step) {
			t.Fatalf("element %d is %v, ONNX Runtime has %v (step %g)", i, b[i], a[i], step)
		}
	}
	if steps > 1+len(a)/100 {
		t.Errorf("%d of %d elements differ from ONNX Runtime's", steps, len(a))
	}
}

// lastStep is the scale of the last codes before the output.
func lastStep(g *graph.Graph) float64 {
	step := 0.0
	for _, n := range g.Nodes {
		for _, v := range append(slices.Clone(n.Inputs), n.Outputs...) {
			if v != nil && v.Const == nil && v.Type.Quant.IsPerTensor() {
				step = float64(v.Type.Quant.Scale[0])
			}
		}
	}
	return step
}

// anonymous is a graph's text without what a file does not keep: original names, and that a code is never used.
func anonymous(g *graph.Graph) string {
	text := regexp.MustCompile(`%?"[^"]*"|%[^\s,:)\]]+`).ReplaceAllString(g.Text(), "_")
	return strings.NewReplacer(" from _", "", ",narrow", "").Replace(text)
}

func TestQuantizedNetworks(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(networks)) {
		for _, activations := range []tensor.DType{tensor.Uint8, tensor.Int8} {
			t.Run(name+" "+activations.String(), func(t *testing.T) {
				typed := quantizedNetwork(t, networks[name](t), quantize.Options{Activations: activations})
				file := written(t, typed, WriteOptions{Activations: activations})
				in := noise(typed.Inputs[0], 1)
				want := interpreted(t, typed, in)

				again, err := Read(file, Options{})
				if err != nil {
					t.Fatal(err)
				}
				if err := rewrite.Simplify(again, rewrite.SimplifyOptions{}); err != nil {
					t.Fatal(err)
				}
				if _, err := rewrite.Absorb(again, rewrite.AbsorbOptions{Arithmetic: numeric.ONNX}); err != nil {
					t.Fatal(err)
				}
				if got := interpreted(t, again, in); string(got.Bytes()) != string(want.Bytes()) {
					t.Errorf("what was read again gives other bits:\n%s\nwas\n%s", again.Text(), typed.Text())
				}
				if !strings.Contains(name, "NHWC") && !strings.Contains(name, "OHWI") && name != "activations" {
					if a, b := anonymous(typed), anonymous(again); a != b {
						t.Errorf("what was read again is\n%s\nwas\n%s", b, a)
					}
				}
				t.Run("ONNX Runtime", func(t *testing.T) { agree(t, file, typed, in, want, lastStep(typed)) })
			})
		}
	}
}
