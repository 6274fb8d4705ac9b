package onnx

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/testdata"
	"github.com/octet-nn/octet/tensor"
)

func written(t *testing.T, g *graph.Graph, o WriteOptions) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, g, o); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// spelled is a graph without its names.
func spelled(g *graph.Graph) []string {
	var lines []string
	for _, n := range g.Nodes {
		line := n.Op.Type()
		for _, v := range n.Outputs {
			if v != nil {
				line += " " + v.Type.String()
			}
		}
		lines = append(lines, line)
	}
	return lines
}

func TestWrittenModelsReadTheSame(t *testing.T) {
	for _, name := range []string{"squeezenet1.1_fp32.onnx", "mnist_cnn_pytorch.onnx", "resnet20_cifar10.onnx", "ort_quant_tests/conv_qdq_u8u8.onnx"} {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(testdata.Shared(t, "onnx", name))
			if err != nil {
				t.Fatal(err)
			}
			g, err := Read(data, Options{})
			if err != nil {
				t.Fatal(err)
			}
			first := written(t, g, WriteOptions{})
			if !bytes.Equal(first, written(t, g, WriteOptions{})) {
				t.Error("the bytes differ from one time to the next")
			}
			again, err := Read(first, Options{})
			if err != nil {
				t.Fatal(err)
			}
			want, got := spelled(g), spelled(again)
			if len(want) != len(got) {
				t.Fatalf("%d nodes became %d", len(want), len(got))
			}
			for i := range want {
				if want[i] != got[i] {
					t.Errorf("node %d: %s became %s", i, want[i], got[i])
				}
			}
		})
	}
}

// TestORTAgrees has ONNX Runtime run a model as it was and as it is written, with codes of either signedness.
func TestORTAgrees(t *testing.T) {
	ort := testdata.OpenORT(t)
	for _, name := range []string{"mnist_cnn_pytorch.onnx", "ort_quant_tests/conv_qdq_u8u8.onnx", "ort_quant_tests/conv_qdq_s8s8_perchannel.onnx"} {
		for _, activations := range []tensor.DType{tensor.Uint8, tensor.Int8} {
			t.Run(name+"/"+activations.String(), func(t *testing.T) {
				file := testdata.Shared(t, "onnx", name)
				data, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				g, err := Read(data, Options{})
				if err != nil {
					t.Fatal(err)
				}
				copied := filepath.Join(t.TempDir(), "written.onnx")
				if err := os.WriteFile(copied, written(t, g, WriteOptions{Activations: activations}), 0o600); err != nil {
					t.Fatal(err)
				}
				x := g.Inputs[0]
				shape := make([]int, len(x.Type.Shape))
				count := 1
				for i, d := range x.Type.Shape {
					shape[i] = max(d.Size, 1)
					count *= shape[i]
				}
				values := make([]float32, count)
				for i := range values {
					values[i] = float32(math.Sin(float64(i)))
				}
				in := map[string]*tensor.Tensor{x.Name: op.FromFloat32s(x.Type.DType, shape, values)}
				y := g.Outputs[0].Name
				want, got := ort.Run(t, file, "disabled", in, y)[y], ort.Run(t, copied, "disabled", in, y)[y]
				if len(want) == 0 || !bytes.Equal(want, got) {
					t.Errorf("ONNX Runtime's results differ (%d and %d bytes)", len(want), len(got))
				}
			})
		}
	}
}

func TestFilterOrders(t *testing.T) {
	for filter, shape := range map[op.FilterLayout][]int{op.OHWI: {4, 2, 3, 5}, op.HWIO: {2, 3, 5, 4}} {
		w := tensor.New(tensor.Float32, shape...)
		for i := range tensor.Values[float32](w) {
			tensor.Values[float32](w)[i] = float32(i)
		}
		x := &graph.Value{Name: "x", Type: graph.Type{DType: tensor.Float32, Shape: graph.FixedShape(1, 5, 7, 7)}}
		y := &graph.Value{Name: "y"}
		n := &graph.Node{Name: "c", Op: &op.Conv{Filter: filter}, Outputs: []*graph.Value{y},
			Inputs: []*graph.Value{x, {Name: "w", Type: graph.TypeOf(w), Const: w}}}
		g := &graph.Graph{Inputs: []*graph.Value{x}, Outputs: []*graph.Value{y}, Nodes: []*graph.Node{n}}
		if _, err := op.Infer(g); err != nil {
			t.Fatal(err)
		}
		again, err := Read(written(t, g, WriteOptions{}), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := again.Outputs[0].Type.String(); got != y.Type.String() || len(again.Nodes) != 1 {
			t.Errorf("%s: %s became %s", filter, y.Type, got)
		}
	}
}
