package compile

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// sketch builds a small graph for a test, with reproducible random values.
type sketch struct {
	t      testing.TB
	random *rand.Rand
	graph  *graph.Graph
	count  int
	values map[*graph.Value]*tensor.Tensor // of inputs, where a test has values of its own
	row    numeric.Arithmetic              // of nodes that are not float

	noKernel bool // there is only the reference for it
}

func newSketch(t testing.TB, seed uint64) *sketch {
	return &sketch{t: t, random: rand.New(rand.NewPCG(seed, 1)), graph: &graph.Graph{Name: "test"},
		values: map[*graph.Value]*tensor.Tensor{}, row: numeric.ONNX}
}

func (s *sketch) name(kind string) string {
	s.count++
	return fmt.Sprintf("%s%d", kind, s.count)
}

// floats is a random float tensor, about half of it negative.
func (s *sketch) floats(shape ...int) *tensor.Tensor {
	x := tensor.New(tensor.Float32, shape...)
	v := tensor.Values[float32](x)
	for i := range v {
		v[i] = float32(s.random.NormFloat64())
	}
	return x
}

// codes is a random tensor of 8-bit codes, the extremes among them.
func (s *sketch) codes(dtype tensor.DType, shape ...int) *tensor.Tensor {
	x := tensor.New(dtype, shape...)
	for i := range x.Bytes() {
		switch s.random.IntN(20) {
		case 0:
			lo, _ := dtype.Limits()
			x.Bytes()[i] = byte(lo)
		case 1:
			_, hi := dtype.Limits()
			x.Bytes()[i] = byte(hi)
		default:
			x.Bytes()[i] = byte(s.random.Uint32())
		}
	}
	return x
}

// input declares a graph input whose first dimension is the batch.
func (s *sketch) input(dtype tensor.DType, q *graph.Quant, shape ...int) *graph.Value {
	dims := graph.FixedShape(shape...)
	if len(dims) > 0 {
		dims[0] = graph.Dim{Size: graph.Unknown, Symbol: "N"}
	}
	v := &graph.Value{Name: s.name("in"), Type: graph.Type{DType: dtype, Shape: dims, Quant: q}}
	s.graph.Inputs = append(s.graph.Inputs, v)
	return v
}

func (s *sketch) constant(x *tensor.Tensor, q *graph.Quant) *graph.Value {
	return &graph.Value{Name: s.name("const"), Const: x, Type: graph.Type{DType: x.DType(), Shape: graph.FixedShape(x.Shape()...), Quant: q}}
}

// node adds a float node and returns its output, of unknown type.
func (s *sketch) node(o graph.Operator, inputs ...*graph.Value) *graph.Value {
	return s.typed(graph.Float, o, graph.Type{}, inputs...)
}

// typed adds a node with a compute mode and a declared output type.
func (s *sketch) typed(compute graph.Compute, o graph.Operator, out graph.Type, inputs ...*graph.Value) *graph.Value {
	n := &graph.Node{Name: s.name("node"), Op: o, Inputs: inputs, Compute: compute,
		Outputs: []*graph.Value{{Name: s.name("value"), Type: out}}}
	if compute != graph.Float {
		n.Arithmetic = s.row
	}
	s.graph.Nodes = append(s.graph.Nodes, n)
	return n.Outputs[0]
}

// integer adds an integer node whose result is quantized per tensor.
func (s *sketch) integer(o graph.Operator, dtype tensor.DType, scale float32, zero int32, inputs ...*graph.Value) *graph.Value {
	return s.typed(graph.Integer, o, graph.Type{DType: dtype, Quant: graph.PerTensor(scale, zero)}, inputs...)
}

// feed is random tensors for the inputs, at a batch size (or the declared one if the first dimension is fixed).
func (s *sketch) feed(batch int) map[string]*tensor.Tensor {
	in := map[string]*tensor.Tensor{}
	for _, v := range s.graph.Inputs {
		shape := make([]int, len(v.Type.Shape))
		for i, d := range v.Type.Shape {
			shape[i] = d.Size
			if !d.Known() {
				shape[i] = batch
			}
		}
		switch {
		case v.Type.DType.IsFloat():
			in[v.Name] = op.FromFloat32s(v.Type.DType, shape, tensor.Values[float32](s.floats(shape...)))
		default:
			in[v.Name] = s.codes(v.Type.DType, shape...)
		}
	}
	return in
}

// interpret runs the graph node by node by reference evaluation.
func interpret(t testing.TB, g *graph.Graph, in map[string]*tensor.Tensor) map[*graph.Value]*tensor.Tensor {
	t.Helper()
	values, err := evaluate(t, g, in)
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// evaluate is interpret that hands out errors.
func evaluate(t testing.TB, g *graph.Graph, in map[string]*tensor.Tensor) (map[*graph.Value]*tensor.Tensor, error) {
	values := map[*graph.Value]*tensor.Tensor{}
	for _, v := range g.Inputs {
		values[v] = in[v.Name]
	}
	for _, n := range g.Nodes {
		operands := make([]*tensor.Tensor, len(n.Inputs))
		for i, v := range n.Inputs {
			if v == nil {
				continue
			}
			if operands[i] = values[v]; v.Const != nil {
				operands[i] = v.Const
			}
		}
		results, err := op.Evaluate(t.Context(), n, operands)
		if err != nil {
			return nil, err
		}
		for i, v := range n.Outputs {
			if v != nil {
				values[v] = results[i]
			}
		}
	}
	return values, nil
}

// check compares the compiled graph with its reference evaluation: floats to an NMSE of 1e-10, codes bit for bit; at
// batch 1 and 3 and with 1, 2 and 8 threads, which must give the same bits. It fails if a node has no kernel.
func (s *sketch) check(outputs ...*graph.Value) {
	s.t.Helper()
	s.graph.Outputs = outputs
	if _, err := op.Infer(s.graph); err != nil {
		s.t.Fatal(err)
	}
	if err := s.graph.Check(); err != nil {
		s.t.Fatal(err)
	}
	for _, batch := range []int{1, 3} {
		in := s.feed(batch)
		want := interpret(s.t, s.graph, in)
		var first map[string]*tensor.Tensor
		for _, threads := range []int{1, 2, 8} {
			session, err := Compile(s.graph, Options{Threads: threads})
			if err != nil {
				s.t.Fatal(err)
			}
			defer session.Close()
			for range 2 { // the second run meets memory that was used before
				got, err := session.Run(s.t.Context(), in)
				if err != nil {
					s.t.Fatal(err)
				}
				if n := session.ReferenceEvaluations(); n > 0 {
					s.t.Fatalf("%d nodes have no kernel", n)
				}
				if first == nil {
					first = got
				}
				for _, v := range outputs {
					if err := compare(got[v.Name], want[v]); err != nil {
						s.t.Fatalf("batch %d, %d threads, %s: %v", batch, threads, v.Name, err)
					}
					if !bytes.Equal(got[v.Name].Bytes(), first[v.Name].Bytes()) {
						s.t.Fatalf("batch %d, %d threads, %s: other bits than with 1 thread", batch, threads, v.Name)
					}
				}
			}
		}
	}
}

// compare reports whether a result differs from the reference: floats by their normalized mean square error, which is
// to be at most 1e-10, everything else by its bytes.
func compare(got, want *tensor.Tensor) error {
	if got.String() != want.String() {
		return fmt.Errorf("is %s, want %s", got, want)
	}
	if got.DType() != tensor.Float32 {
		if !bytes.Equal(got.Bytes(), want.Bytes()) {
			for i := range got.Bytes() {
				if a, b := got.Bytes()[i], want.Bytes()[i]; a != b {
					return fmt.Errorf("byte %d of %s is %d, want %d", i, got, a, b)
				}
			}
		}
		return nil
	}
	var difference, power float64
	g, w := tensor.Values[float32](got), tensor.Values[float32](want)
	for i := range g {
		if g[i] != g[i] && w[i] != w[i] {
			continue
		}
		if g[i] == w[i] {
			power += float64(w[i]) * float64(w[i])
			continue
		}
		d := float64(g[i]) - float64(w[i])
		difference += d * d
		power += float64(w[i]) * float64(w[i])
	}
	if !(difference <= 1e-10*power) {
		return fmt.Errorf("normalized mean square error %g", difference/power)
	}
	return nil
}
