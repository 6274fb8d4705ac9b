package octet

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"testing/fstest"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// TestQuantizedBodies has an If whose branches simulate quantization. Loaded, they compute on codes; compiled and
// interpreted runs give the same bits, and the file that is written gives them again.
func TestQuantizedBodies(t *testing.T) {
	const width = 32
	random := rand.New(rand.NewPCG(3, 3))
	branch := func(scale float32) *graph.Graph {
		codes := make([]int8, width*width)
		for i := range codes {
			codes[i] = int8(random.IntN(255) - 127)
		}
		stored := tensor.Of(codes, width, width)
		x := &graph.Value{Name: "in", Type: graph.Type{DType: tensor.Float32, Shape: graph.FixedShape(2, width)}}
		g := &graph.Graph{Name: "branch", Inputs: []*graph.Value{x}}
		node := func(o graph.Operator, out graph.Type, in ...*graph.Value) *graph.Value {
			y := &graph.Value{Name: o.Type() + string(rune('a'+len(g.Nodes))), Type: out}
			g.Nodes = append(g.Nodes, &graph.Node{Name: y.Name, Op: o, Inputs: in, Outputs: []*graph.Value{y}})
			return y
		}
		quantized := func(v *graph.Value, scale float32) *graph.Value {
			q := node(&op.Quantize{}, graph.Type{DType: tensor.Uint8, Quant: graph.PerTensor(scale, 128)}, v)
			return node(&op.Dequantize{}, graph.Type{}, q)
		}
		w := &graph.Value{Name: "w", Const: stored, Type: graph.TypeOf(stored)}
		w.Type.Quant = graph.PerTensor(0.01, 0)
		y := node(&op.MatMul{}, graph.Type{}, quantized(x, scale), node(&op.Dequantize{}, graph.Type{}, w))
		g.Outputs = []*graph.Value{quantized(y, 0.5)}
		return g
	}
	yes := &graph.Value{Name: "yes", Type: graph.Type{DType: tensor.Bool, Shape: graph.Shape{}}}
	x := &graph.Value{Name: "x", Type: graph.Type{DType: tensor.Float32, Shape: graph.FixedShape(2, width)}}
	y := &graph.Value{Name: "y"}
	g := &graph.Graph{Name: "g", Inputs: []*graph.Value{yes, x}, Outputs: []*graph.Value{y}, Nodes: []*graph.Node{
		{Name: "if", Op: &op.If{Then: branch(0.02), Else: branch(0.05)}, Inputs: []*graph.Value{yes, x}, Outputs: []*graph.Value{y}}}}
	if _, err := op.Infer(g); err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	m := &Model{graph: g}
	given, err := randomInput(valueInfo(x))
	if err != nil {
		t.Fatal(err)
	}
	in := map[string]*tensor.Tensor{"x": given}
	var first map[bool][]byte
	for round := range 2 {
		file.Reset()
		if err := m.Write(&file, SaveOptions{}); err != nil {
			t.Fatal(err)
		}
		if m, err = Read(fstest.MapFS{"m.onnx": {Data: bytes.Clone(file.Bytes())}}, "m.onnx", LoadOptions{}); err != nil {
			t.Fatal(err)
		}
		integer := 0
		for _, n := range m.graph.Nodes {
			if b, ok := n.Op.(op.Bodied); ok {
				for _, body := range b.Bodies() {
					for _, n := range body.Nodes {
						if n.Compute == graph.Integer {
							integer++
						}
					}
				}
			}
		}
		if integer != 2 {
			t.Errorf("%d integer nodes instead of one in each branch", integer)
		}
		results := map[bool][]byte{}
		for _, reference := range []bool{true, false} {
			s, err := m.Compile(CompileOptions{Threads: 1, Reference: reference})
			if err != nil {
				t.Fatal(err)
			}
			for _, condition := range []bool{true, false} {
				in["yes"] = tensor.Of([]bool{condition})
				out, err := s.Run(t.Context(), in)
				if err != nil {
					t.Fatal(err)
				}
				if reference {
					results[condition] = out["y"].Bytes()
				} else if !bytes.Equal(out["y"].Bytes(), results[condition]) {
					t.Errorf("condition %v: compiled and interpreted results differ", condition)
				}
			}
			if !reference && s.ReferenceEvaluations() != 0 {
				t.Errorf("%d reference evaluations", s.ReferenceEvaluations())
			}
			s.Close()
		}
		if round == 0 {
			first = results
			continue
		}
		for condition, want := range first {
			if !bytes.Equal(results[condition], want) {
				t.Errorf("condition %v: the model that was written gives another result", condition)
			}
		}
	}
}
