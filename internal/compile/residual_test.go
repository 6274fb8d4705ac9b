package compile

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/octet-nn/octet/internal/cpu"
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/runtime"
	"github.com/octet-nn/octet/tensor"
	"pgregory.net/rapid"
)

// kernelsOf is what computes the steps of one run.
func kernelsOf(t testing.TB, g *graph.Graph, o Options, in map[string]*tensor.Tensor) (out map[string]*tensor.Tensor, kernels []string) {
	t.Helper()
	session, err := Compile(g, o)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	profile := &runtime.Profile{}
	var operands []*tensor.Tensor
	for _, v := range session.Inputs() {
		operands = append(operands, in[v.Name])
	}
	results := make([]*tensor.Tensor, len(session.Outputs()))
	if err := session.RunInto(t.Context(), operands, results, &runtime.RunOptions{Profile: profile}); err != nil {
		t.Fatal(err)
	}
	out = map[string]*tensor.Tensor{}
	for i, v := range session.Outputs() {
		out[v.Name] = results[i]
	}
	for _, s := range profile.Steps {
		kernels = append(kernels, s.Kernel)
	}
	return out, kernels
}

func count(kernels []string, suffix string) (n int) {
	for _, k := range kernels {
		if strings.HasSuffix(k, suffix) {
			n++
		}
	}
	return n
}

// residualNet is x → product a → product b, added to what a or x is.
type residualNet struct {
	row                numeric.Arithmetic
	dtype              tensor.DType
	compute            graph.Compute
	gemm, second, sub  bool
	relu, twoProducts  bool
	side, channels     int
	window             int
	seed               uint64
	inputIsTheResidual bool
}

// build makes the net; middle is the product that the sum reads.
func (r *residualNet) build(t testing.TB) (s *sketch, middle, y *graph.Value) {
	s = newSketch(t, r.seed)
	s.row = r.row
	random := s.random
	scale := func() float32 { return 0.01 + random.Float32()/20 }
	integer := r.compute == graph.Integer
	quant := func() *graph.Quant {
		if !integer {
			return nil
		}
		lo, _ := r.dtype.Limits()
		return graph.PerTensor(scale(), int32(lo)+int32(random.IntN(256)))
	}
	dtype := r.dtype
	if !integer {
		dtype = tensor.Float32
	}
	shape := []int{1, r.side, r.side, r.channels}
	if r.gemm {
		shape = []int{r.side, r.channels}
	}
	x := s.input(dtype, quant(), shape...)
	clamp := func() *op.Clamp {
		if random.IntN(2) == 0 {
			return &op.Clamp{Min: 0, Max: float32(infinity)}
		}
		return nil
	}
	product := func(x *graph.Value) *graph.Value {
		window := []int{r.channels, r.window, r.window, r.channels}
		filter := op.OHWI
		var o graph.Operator = &op.Conv{Layout: op.NHWC, Filter: filter, Pads: slices.Repeat([]int{r.window / 2}, 4), Clamp: clamp()}
		if r.gemm {
			window = []int{r.channels, r.channels}
			o = &op.Gemm{Alpha: 1, Beta: 1, TransB: true, Clamp: clamp()}
		}
		if !integer {
			return s.node(o, x, s.constant(s.floats(window...), nil), s.constant(s.floats(r.channels), nil))
		}
		w := s.weights(tensor.Int8, 0, r.channels, random.IntN(2) == 0, window...)
		q := quant()
		return s.integer(o, dtype, q.Scale[0]*20, q.ZeroPoint[0], x, w, s.bias(x.Type.Quant.Scale[0], w.Type.Quant, r.channels))
	}
	a := product(x)
	other := x
	switch {
	case r.twoProducts:
		other = product(x)
	case !r.inputIsTheResidual:
		other = a
	}
	middle = product(a)
	operands := []*graph.Value{middle, other}
	if r.second {
		operands = []*graph.Value{other, middle}
	}
	var sum graph.Operator = &op.Add{}
	if r.relu {
		sum = &op.Add{Clamp: &op.Clamp{Min: 0, Max: float32(infinity)}}
	}
	if r.sub {
		sum = &op.Sub{}
	}
	if integer {
		q := quant()
		y = s.integer(sum, dtype, q.Scale[0]*20, q.ZeroPoint[0], operands...)
	} else {
		y = s.node(sum, operands...)
	}
	return s, middle, y
}

// A product and the sum that reads it are one step, with the bits of two: at every tier, with 1, 2 and 8 threads, in every
// row of the arithmetics, and as the interpreter computes them. If the product is kept as well they are two steps.
func TestProductsAddResiduals(t *testing.T) {
	rapid.Check(t, func(d *rapid.T) {
		flag := func(name string) bool { return rapid.Bool().Draw(d, name) }
		r := &residualNet{
			row:     rapid.SampledFrom([]numeric.Arithmetic{numeric.ONNX, numeric.TFLite, numeric.Gemmlowp, numeric.MACE}).Draw(d, "row"),
			dtype:   rapid.SampledFrom([]tensor.DType{tensor.Int8, tensor.Uint8}).Draw(d, "dtype"),
			compute: rapid.SampledFrom([]graph.Compute{graph.Integer, graph.Float}).Draw(d, "compute"),
			gemm:    flag("gemm"), second: flag("second"), sub: flag("sub"), relu: flag("relu"), twoProducts: flag("two products"),
			side: rapid.IntRange(1, 9).Draw(d, "side"), channels: rapid.IntRange(1, 70).Draw(d, "channels"),
			window: rapid.SampledFrom([]int{1, 3}).Draw(d, "window"), seed: rapid.Uint64().Draw(d, "seed"), inputIsTheResidual: flag("input"),
		}
		wanted := 1
		if r.compute == graph.Float && (r.sub || !r.gemm && r.window == 3) { // which may be Winograd's
			wanted = 0
		}
		s, middle, y := r.build(t)
		s.check(y)
		in := s.feed(2)
		for _, tier := range cpu.Available() {
			want, apart := kernelsOf(t, s.graph, Options{Tier: tier.String(), Keep: []string{middle.Name}}, in)
			got, kernels := kernelsOf(t, s.graph, Options{Tier: tier.String()}, in)
			n, kept := count(kernels, "+add"), count(apart, "+add")
			if n != wanted || kept != wanted*btoi(r.twoProducts) || len(kernels) != len(apart)-n+kept {
				t.Fatalf("%v: %q computed %d sums with a product; with the product kept %q", tier, kernels, n, apart)
			}
			if !bytes.Equal(got[y.Name].Bytes(), want[y.Name].Bytes()) {
				t.Fatalf("%v: other bits than in two steps", tier)
			}
		}
	})
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// What a joined node means is what its two nodes mean, and it costs what the product does.
func TestJoinedIsItsNodes(t *testing.T) {
	for _, second := range []bool{false, true} {
		r := &residualNet{row: numeric.ONNX, dtype: tensor.Int8, compute: graph.Integer, second: second, sub: true, side: 3, channels: 5, window: 3}
		s, middle, y := r.build(t)
		s.graph.Inputs[0].Type.Shape[0] = graph.Fixed(1)
		if _, err := op.Infer(s.graph); err != nil {
			t.Fatal(err)
		}
		values := interpret(t, s.graph, s.feed(1))
		product, sum := s.graph.Nodes[len(s.graph.Nodes)-2], s.graph.Nodes[len(s.graph.Nodes)-1]
		other := sum.Inputs[btoi(!second)]
		if second != (sum.Inputs[1] == middle) {
			t.Fatal("the product is the other operand")
		}
		j := &joined{Operator: product.Op.(op.Operator), product: product, sum: sum, second: second}
		n := &graph.Node{Name: "joined", Op: j, Inputs: append(slices.Clone(product.Inputs), other), Outputs: sum.Outputs}
		got, err := op.Evaluate(t.Context(), n, []*tensor.Tensor{values[product.Inputs[0]], product.Inputs[1].Const, product.Inputs[2].Const, values[other]})
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got[0].Bytes(), values[y].Bytes()) {
			t.Fatal("other codes")
		}
		if macs(n) != macs(product) || macs(n) == 0 {
			t.Fatalf("%d multiply-accumulates, the product has %d", macs(n), macs(product))
		}
	}
}
