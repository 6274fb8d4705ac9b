package octet

import (
	"bytes"
	"context"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// smallNetwork is a float network with the operators of a mobile classifier.
func smallNetwork(t *testing.T) *Model {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	weights := func(name string, shape ...int) *graph.Value {
		x := tensor.New(tensor.Float32, shape...)
		for i := range tensor.Values[float32](x) {
			tensor.Values[float32](x)[i] = float32(r.NormFloat64()) * 0.3
		}
		return &graph.Value{Name: name, Type: graph.TypeOf(x), Const: x}
	}
	x := &graph.Value{Name: "image", Type: graph.Type{DType: tensor.Float32, Shape: graph.Shape{{Size: graph.Unknown, Symbol: "N"}, graph.Fixed(3), graph.Fixed(16), graph.Fixed(16)}}}
	g := &graph.Graph{Name: "small", Inputs: []*graph.Value{x}}
	node := func(name string, o graph.Operator, in ...*graph.Value) *graph.Value {
		y := &graph.Value{Name: name}
		g.Nodes = append(g.Nodes, &graph.Node{Name: name, Op: o, Inputs: in, Outputs: []*graph.Value{y}})
		return y
	}
	y := node("conv", &op.Conv{Pads: []int{1, 1, 1, 1}, Strides: []int{2, 2}, Clamp: &op.Clamp{Max: 6}}, x, weights("w1", 8, 3, 3, 3), weights("b1", 8))
	d := node("depthwise", &op.Conv{Pads: []int{1, 1, 1, 1}, Group: 8}, y, weights("w2", 8, 1, 3, 3), weights("b2", 8))
	s := node("sum", &op.Add{}, y, d)
	p := node("pool", &op.MaxPool{KernelShape: []int{2, 2}, Strides: []int{2, 2}}, node("swish", op.NewFunction("HardSwish"), s))
	f := node("flat", &op.Flatten{Axis: 1}, node("mean", &op.GlobalAveragePool{}, p))
	g.Outputs = []*graph.Value{node("logits", &op.Gemm{Alpha: 1, Beta: 1, TransB: true}, f, weights("w3", 5, 8), weights("b3", 5))}
	if _, err := op.Infer(g); err != nil {
		t.Fatal(err)
	}
	return &Model{graph: g}
}

func smallSamples(n int) Samples {
	r := rand.New(rand.NewPCG(3, 4))
	samples := make([]Sample, n)
	for i := range samples {
		x := tensor.New(tensor.Float32, 1, 3, 16, 16)
		for j := range tensor.Values[float32](x) {
			tensor.Values[float32](x)[j] = r.Float32()*2 - 1
		}
		samples[i] = Sample{ID: string(rune('a' + i)), Inputs: map[string]*tensor.Tensor{"image": x}, Label: i % 5}
	}
	return SliceSamples(samples...)
}

func runOnce(t *testing.T, m *Model, s Samples) *tensor.Tensor {
	t.Helper()
	session, err := m.Compile(CompileOptions{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	for sample := range s.All(context.Background()) {
		out, err := session.Run(context.Background(), sample.Inputs)
		if err != nil {
			t.Fatal(err)
		}
		return out["logits"]
	}
	t.Fatal("no samples")
	return nil
}

// A model that is saved and loaded gives the same bits, whatever way its activations are spelled.
func TestSavedModelsGiveTheSameBits(t *testing.T) {
	m, s := smallNetwork(t), smallSamples(12)
	quantize := func(o QuantizeOptions) *Model {
		q, _, err := m.Quantize(context.Background(), s, o)
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	for _, tc := range []struct {
		name  string
		model *Model
		save  SaveOptions
	}{
		{"float", m, SaveOptions{}},
		{"default", quantize(QuantizeOptions{}), SaveOptions{}},
		{"spelled int8", quantize(QuantizeOptions{}), SaveOptions{Activations: tensor.Int8}},
		{"int8 in memory", quantize(QuantizeOptions{Activations: tensor.Int8}), SaveOptions{}},
		{"per tensor", quantize(QuantizeOptions{Scheme: "int8-per-tensor"}), SaveOptions{}},
		{"uint8", quantize(QuantizeOptions{Scheme: "uint8"}), SaveOptions{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "model.onnx")
			if err := tc.model.Save(path, tc.save); err != nil {
				t.Fatal(err)
			}
			back, err := Load(path, LoadOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if back.Quantized() != tc.model.Quantized() {
				t.Errorf("quantized: %v, was %v", back.Quantized(), tc.model.Quantized())
			}
			for _, n := range back.graph.Nodes {
				if back.Quantized() && n.Compute == graph.Float && n.Op.Type() != "Quantize" && n.Op.Type() != "Dequantize" {
					t.Errorf("%s came back as float", n.Describe())
				}
			}
			if got, want := runOnce(t, back, s), runOnce(t, tc.model, s); !bytes.Equal(got.Bytes(), want.Bytes()) {
				t.Errorf("logits %v, were %v", tensor.Values[float32](got), tensor.Values[float32](want))
			}
			for k, v := range tc.model.Metadata() {
				if back.Metadata()[k] != v {
					t.Errorf("metadata %q is %q, was %q", k, back.Metadata()[k], v)
				}
			}
		})
	}
}

// A tensor that does not fit its result is refused, by programs and by the interpreter alike.
func TestRunIntoRefusesWrongTensors(t *testing.T) {
	m := smallNetwork(t)
	for _, reference := range []bool{false, true} {
		session, err := m.Compile(CompileOptions{Threads: 1, Reference: reference})
		if err != nil {
			t.Fatal(err)
		}
		defer session.Close()
		in := []*tensor.Tensor{tensor.New(tensor.Float32, 1, 3, 16, 16)}
		if err := session.RunInto(context.Background(), in, []*tensor.Tensor{tensor.New(tensor.Float32, 1, 4)}, nil); err == nil {
			t.Errorf("reference %v: an output that is too small is accepted", reference)
		}
	}
}
