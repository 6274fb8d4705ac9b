package rewrite

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/interp"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// builder makes small graphs for tests.
type builder struct {
	t *testing.T
	g *graph.Graph
	r *rand.Rand
	n int
}

func newBuilder(t *testing.T) *builder {
	return &builder{t: t, g: &graph.Graph{Name: "test"}, r: rand.New(rand.NewPCG(1, 2))}
}

func (b *builder) input(name string, shape ...int) *graph.Value {
	v := &graph.Value{Name: name, Type: graph.Type{DType: tensor.Float32, Shape: graph.FixedShape(shape...)}}
	b.g.Inputs = append(b.g.Inputs, v)
	return v
}

func (b *builder) constant(t *tensor.Tensor) *graph.Value {
	b.n++
	return &graph.Value{Name: "c" + string(rune('a'+b.n)), Type: graph.TypeOf(t), Const: t}
}

func (b *builder) random(shape ...int) *graph.Value {
	t := tensor.New(tensor.Float32, shape...)
	for i := range tensor.Values[float32](t) {
		tensor.Values[float32](t)[i] = b.r.Float32()*2 - 1
	}
	return b.constant(t)
}

func (b *builder) floats(values ...float32) *graph.Value {
	return b.constant(tensor.Of(values, len(values)))
}

func (b *builder) scalar(v float32) *graph.Value { return b.constant(tensor.Of([]float32{v})) }

func (b *builder) ints(values ...int64) *graph.Value {
	return b.constant(tensor.Of(values, len(values)))
}

func (b *builder) node(name string, o graph.Operator, in ...*graph.Value) *graph.Value {
	y := &graph.Value{Name: name}
	b.g.Nodes = append(b.g.Nodes, &graph.Node{Name: name, Op: o, Inputs: in, Outputs: []*graph.Value{y}})
	return y
}

// quantized inserts a round trip through codes.
func (b *builder) quantized(v *graph.Value, dtype tensor.DType, q *graph.Quant) *graph.Value {
	codes := &graph.Value{Name: v.Name + "_q", Type: graph.Type{DType: dtype, Quant: q}}
	b.g.Nodes = append(b.g.Nodes, &graph.Node{Name: v.Name + "/q", Op: &op.Quantize{}, Inputs: []*graph.Value{v}, Outputs: []*graph.Value{codes}})
	return b.node(v.Name+"_dq", &op.Dequantize{}, codes)
}

func (b *builder) done(outputs ...*graph.Value) *graph.Graph {
	b.t.Helper()
	b.g.Outputs = outputs
	if _, err := op.Infer(b.g); err != nil {
		b.t.Fatal(err)
	}
	check(b.t, b.g)
	return b.g
}

func check(t *testing.T, g *graph.Graph) {
	t.Helper()
	if err := g.Check(); err != nil {
		t.Fatal(err)
	}
}

// run interprets a graph on seeded inputs.
func run(t *testing.T, g *graph.Graph) map[string]*tensor.Tensor {
	t.Helper()
	runner, err := interp.Executor{}.Prepare(g, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(7, 8))
	in := map[string]*tensor.Tensor{}
	for _, v := range g.Inputs {
		shape, _ := v.Type.Shape.Known()
		x := tensor.New(tensor.Float32, shape...)
		for i := range tensor.Values[float32](x) {
			tensor.Values[float32](x)[i] = r.Float32()*4 - 2
		}
		if v.Type.DType != tensor.Float32 {
			x = op.FromFloat32s(v.Type.DType, shape, tensor.Values[float32](x))
		}
		in[v.Name] = x
	}
	out, err := runner.Run(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func operators(g *graph.Graph) []string {
	var types []string
	for _, n := range g.Nodes {
		types = append(types, n.Op.Type())
	}
	return types
}

// sameResults compares the outputs of two graphs: float ones to an NMSE of 1e-10, others exactly.
func sameResults(t *testing.T, before, after *graph.Graph) {
	t.Helper()
	want, got := run(t, before), run(t, after)
	for name, w := range want {
		g := got[name]
		if g == nil || w.String() != g.String() {
			t.Fatalf("output %q is %v, was %v", name, g, w)
		}
		if w.DType() != tensor.Float32 {
			if !bytes.Equal(w.Bytes(), g.Bytes()) {
				t.Errorf("output %q changed", name)
			}
			continue
		}
		var noise, signal float64
		for i, v := range tensor.Values[float32](w) {
			d := float64(v - tensor.Values[float32](g)[i])
			noise += d * d
			signal += float64(v) * float64(v)
		}
		if noise > 1e-10*signal {
			t.Errorf("output %q: NMSE %g", name, noise/signal)
		}
	}
}

func reduceMean() graph.Operator {
	o := op.NewReduce("ReduceMean")
	o.KeepDims = true
	return o
}

func relu() graph.Operator { return op.NewFunction("Relu") }

// TestSimplify checks, for each fusion, which operators are left and that the results are the same.
func TestSimplify(t *testing.T) {
	conv := func(b *builder, x *graph.Value) *graph.Value {
		return b.node("conv", &op.Conv{}, x, b.random(4, 3, 3, 3), b.random(4))
	}
	for _, tc := range []struct {
		name  string
		build func(b *builder, x *graph.Value) *graph.Value
		want  []string
	}{
		{"batch norm and relu into conv", func(b *builder, x *graph.Value) *graph.Value {
			y := b.node("bn", &op.BatchNormalization{Epsilon: 1e-5}, conv(b, x), b.random(4), b.random(4), b.random(4), b.floats(1, 2, 3, .5))
			return b.node("y", relu(), y)
		}, []string{"Conv"}},
		{"conv without bias, then add", func(b *builder, x *graph.Value) *graph.Value {
			y := b.node("conv", &op.Conv{}, x, b.random(4, 3, 3, 3))
			return b.node("y", &op.Add{}, y, b.random(4, 1, 1))
		}, []string{"Conv"}},
		{"scale and shift by scalars", func(b *builder, x *graph.Value) *graph.Value {
			return b.node("y", &op.Sub{}, b.node("m", &op.Mul{}, b.scalar(3), conv(b, x)), b.scalar(2))
		}, []string{"Conv"}},
		{"an addition that is not per channel stays", func(b *builder, x *graph.Value) *graph.Value {
			return b.node("y", &op.Add{}, conv(b, x), b.random(1, 1, 6, 6))
		}, []string{"Conv", "Add"}},
		{"relu6 as max and min", func(b *builder, x *graph.Value) *graph.Value {
			return b.node("y", &op.Min{}, b.node("m", &op.Max{}, conv(b, x), b.scalar(0)), b.scalar(6))
		}, []string{"Conv"}},
		{"hard swish, divided last", func(b *builder, x *graph.Value) *graph.Value {
			y := conv(b, x)
			c := b.node("c", &op.Clip{}, b.node("a", &op.Add{}, y, b.scalar(3)), b.scalar(0), b.scalar(6))
			return b.node("y", &op.Div{}, b.node("m", &op.Mul{}, y, c), b.scalar(6))
		}, []string{"Conv", "HardSwish"}},
		{"hard swish, divided first", func(b *builder, x *graph.Value) *graph.Value {
			y := conv(b, x)
			c := b.node("c", &op.Clip{}, b.node("a", &op.Add{}, y, b.scalar(3)), b.scalar(0), b.scalar(6))
			return b.node("y", &op.Mul{}, y, b.node("d", &op.Div{}, c, b.scalar(6)))
		}, []string{"Conv", "HardSwish"}},
		{"swish", func(b *builder, x *graph.Value) *graph.Value {
			y := conv(b, x)
			return b.node("y", &op.Mul{}, b.node("s", op.NewFunction("Sigmoid"), y), y)
		}, []string{"Conv", "Swish"}},
		{"a value read twice is not fused away", func(b *builder, x *graph.Value) *graph.Value {
			y := conv(b, x)
			return b.node("y", &op.Add{}, b.node("r", relu(), y), y)
		}, []string{"Conv", "Relu", "Add"}},
		{"padding into conv", func(b *builder, x *graph.Value) *graph.Value {
			return conv(b, b.node("p", &op.Pad{}, x, b.ints(0, 0, 1, 2, 0, 0, 0, 1)))
		}, []string{"Conv"}},
		{"reflected padding stays", func(b *builder, x *graph.Value) *graph.Value {
			return conv(b, b.node("p", &op.Pad{Mode: op.PadReflect}, x, b.ints(0, 0, 1, 2, 0, 0, 0, 1)))
		}, []string{"Pad", "Conv"}},
		{"transposes cancel", func(b *builder, x *graph.Value) *graph.Value {
			y := b.node("t", &op.Transpose{Perm: []int{0, 2, 3, 1}}, conv(b, x))
			return b.node("y", relu(), b.node("u", &op.Transpose{Perm: []int{0, 3, 1, 2}}, y))
		}, []string{"Conv"}},
		{"flatten as exporters spell it", func(b *builder, x *graph.Value) *graph.Value {
			y := conv(b, x)
			size := b.node("g", &op.Gather{}, b.node("s", &op.Shape{ToEnd: true}, y), b.constant(tensor.Of([]int64{0})))
			shape := b.node("cat", &op.Concat{}, b.node("u", &op.Unsqueeze{}, size, b.ints(0)), b.ints(-1))
			return b.node("y", &op.Reshape{}, y, shape)
		}, []string{"Conv", "Reshape"}},
		{"matmul and add into gemm", func(b *builder, x *graph.Value) *graph.Value {
			y := b.node("f", &op.Flatten{Axis: 1}, x)
			return b.node("y", relu(), b.node("a", &op.Add{}, b.node("m", &op.MatMul{}, y, b.random(192, 5)), b.random(5)))
		}, []string{"Flatten", "Gemm"}},
		{"gelu", func(b *builder, x *graph.Value) *graph.Value {
			y := conv(b, x)
			e := b.node("e", op.NewFunction("Erf"), b.node("d", &op.Div{}, y, b.scalar(math.Sqrt2)))
			return b.node("y", &op.Mul{}, b.node("h", &op.Mul{}, y, b.scalar(.5)), b.node("a", &op.Add{}, e, b.scalar(1)))
		}, []string{"Conv", "Gelu"}},
		{"gelu, halved last", func(b *builder, x *graph.Value) *graph.Value {
			y := conv(b, x)
			e := b.node("e", op.NewFunction("Erf"), b.node("d", &op.Mul{}, b.scalar(math.Sqrt2/2), y))
			return b.node("y", &op.Mul{}, b.scalar(.5), b.node("m", &op.Mul{}, b.node("a", &op.Add{}, b.scalar(1), e), y))
		}, []string{"Conv", "Gelu"}},
		{"gelu by tanh", func(b *builder, x *graph.Value) *graph.Value {
			y := conv(b, x)
			cube := b.node("c", &op.Mul{}, b.scalar(.044715), b.node("p", &op.Pow{}, y, b.scalar(3)))
			e := b.node("e", op.NewFunction("Tanh"), b.node("d", &op.Mul{}, b.scalar(0.7978846), b.node("s", &op.Add{}, y, cube)))
			return b.node("y", &op.Mul{}, y, b.node("h", &op.Mul{}, b.scalar(.5), b.node("a", &op.Add{}, e, b.scalar(1))))
		}, []string{"Conv", "Gelu"}},
		{"almost gelu", func(b *builder, x *graph.Value) *graph.Value {
			y := conv(b, x)
			e := b.node("e", op.NewFunction("Erf"), b.node("d", &op.Div{}, y, b.scalar(1.5)))
			return b.node("y", &op.Mul{}, b.node("h", &op.Mul{}, y, b.scalar(.5)), b.node("a", &op.Add{}, e, b.scalar(1)))
		}, []string{"Conv", "Div", "Erf", "Mul", "Add", "Mul"}},
		{"layer normalization, the difference computed twice", func(b *builder, x *graph.Value) *graph.Value {
			mean := b.node("m", reduceMean(), x, b.ints(-1))
			variance := b.node("v", reduceMean(), b.node("p", &op.Pow{}, b.node("d", &op.Sub{}, x, mean), b.scalar(2)), b.ints(-1))
			root := b.node("r", op.NewFunction("Sqrt"), b.node("e", &op.Add{}, variance, b.scalar(1e-5)))
			y := b.node("n", &op.Div{}, b.node("d2", &op.Sub{}, x, mean), root)
			return b.node("y", &op.Add{}, b.node("s", &op.Mul{}, b.random(8), y), b.random(8))
		}, []string{"LayerNormalization"}},
		{"layer normalization over two axes, squared by a product", func(b *builder, x *graph.Value) *graph.Value {
			d := b.node("d", &op.Sub{}, x, b.node("m", reduceMean(), x, b.ints(3, -2)))
			variance := b.node("v", reduceMean(), b.node("p", &op.Mul{}, d, d), b.ints(2, 3))
			root := b.node("r", op.NewFunction("Sqrt"), b.node("e", &op.Add{}, b.scalar(1e-5), variance))
			return b.node("y", &op.Mul{}, b.node("n", &op.Div{}, d, root), b.random(1, 1, 8, 8))
		}, []string{"LayerNormalization"}},
		{"normalization over other axes stays", func(b *builder, x *graph.Value) *graph.Value {
			d := b.node("d", &op.Sub{}, x, b.node("m", reduceMean(), x, b.ints(1)))
			variance := b.node("v", reduceMean(), b.node("p", &op.Mul{}, d, d), b.ints(1))
			root := b.node("r", op.NewFunction("Sqrt"), b.node("e", &op.Add{}, b.scalar(1e-5), variance))
			return b.node("y", &op.Div{}, d, root)
		}, []string{"ReduceMean", "Sub", "Mul", "ReduceMean", "Add", "Sqrt", "Div"}},
		{"leaky relu as a maximum", func(b *builder, x *graph.Value) *graph.Value {
			y := conv(b, x)
			return b.node("y", &op.Max{}, y, b.node("m", &op.Mul{}, b.scalar(.2), y))
		}, []string{"Conv", "LeakyRelu"}},
		{"a maximum that raises the rank stays", func(b *builder, x *graph.Value) *graph.Value {
			slope := b.constant(tensor.Of([]float32{.2}, 1, 1, 1, 1, 1))
			return b.node("y", &op.Max{}, x, b.node("m", &op.Mul{}, slope, x))
		}, []string{"Mul", "Max"}},
		{"batch norm into the next conv", func(b *builder, x *graph.Value) *graph.Value {
			y := b.node("bn", &op.BatchNormalization{Epsilon: 1e-5}, x, b.random(3), b.random(3), b.random(3), b.floats(1, 2, 3))
			return conv(b, y)
		}, []string{"Conv"}},
		{"only factors into a padded conv in groups", func(b *builder, x *graph.Value) *graph.Value {
			y := b.node("a", &op.Mul{}, b.node("m", &op.Sub{}, x, b.random(3, 1, 1)), b.random(1, 3, 1, 1))
			return b.node("y", &op.Conv{Group: 3, Pads: []int{1, 1, 1, 1}}, y, b.random(6, 1, 3, 3))
		}, []string{"Sub", "Conv"}},
		{"scale and shift into the next gemm", func(b *builder, x *graph.Value) *graph.Value {
			y := b.node("f", &op.Flatten{Axis: 1}, x)
			y = b.node("a", &op.Sub{}, b.node("d", &op.Div{}, y, b.floats(2)), b.random(192))
			return b.node("y", &op.Gemm{Alpha: 1, TransB: true}, y, b.random(5, 192))
		}, []string{"Flatten", "Gemm"}},
		{"an identity at the output", func(b *builder, x *graph.Value) *graph.Value {
			return b.node("y", &op.Identity{}, conv(b, x))
		}, []string{"Conv"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBuilder(t)
			g := b.done(tc.build(b, b.input("x", 2, 3, 8, 8)))
			before := g.Clone()
			output := g.Outputs[0].Name
			if err := Simplify(g, SimplifyOptions{}); err != nil {
				t.Fatal(err)
			}
			check(t, g)
			if got := operators(g); !slices.Equal(got, tc.want) {
				t.Errorf("operators %q, want %q", got, tc.want)
			}
			if g.Outputs[0].Name != output {
				t.Errorf("the output is named %q, was %q", g.Outputs[0].Name, output)
			}
			sameResults(t, before, g)
		})
	}
}

func TestSimplifyKeepsValues(t *testing.T) {
	b := newBuilder(t)
	x := b.input("x", 1, 3, 8, 8)
	g := b.done(b.node("y", relu(), b.node("kept", &op.Conv{}, x, b.random(4, 3, 3, 3))))
	if err := Simplify(g, SimplifyOptions{Keep: []string{"kept"}}); err != nil {
		t.Fatal(err)
	}
	if got := operators(g); !slices.Equal(got, []string{"Conv", "Relu"}) {
		t.Errorf("operators %q: the kept value is gone", got)
	}
}

// residual is a network with a branch, a concatenation, padding, pools and a classifier.
func residual(b *builder) *graph.Graph {
	x := b.input("x", 2, 3, 9, 8)
	y := b.node("c1", &op.Conv{Pads: []int{1, 1, 1, 1}, Clamp: &op.Clamp{Max: 6}}, x, b.random(8, 3, 3, 3), b.random(8))
	d := b.node("dw", &op.Conv{Pads: []int{1, 1, 1, 1}, Group: 8}, y, b.random(8, 1, 3, 3), b.random(8))
	s := b.node("sum", &op.Add{Clamp: &op.Clamp{Max: float32(math.Inf(1))}}, y, d)
	gate := b.node("gate", &op.HardSigmoid{Alpha: .2, Beta: .5}, b.node("squeeze", &op.GlobalAveragePool{}, s))
	s = b.node("excited", &op.Mul{}, s, gate)
	s = b.node("limited", &op.Min{}, s, b.node("limit", &op.HardSigmoid{Alpha: .2, Beta: .5}, b.input("number"))) // a number that is no constant
	p := b.node("pool", &op.MaxPool{KernelShape: []int{2, 2}, Strides: []int{2, 2}}, s)
	a := b.node("mean", &op.AveragePool{KernelShape: []int{2, 2}, Strides: []int{2, 2}}, s)
	c := b.node("cat", &op.Concat{Axis: 1}, p, a)
	c = b.node("part", &op.Slice{}, c, b.ints(1, 0), b.ints(9, 3), b.ints(1, 2))
	c = b.node("padded", &op.Pad{}, c, b.ints(0, 1, 0, 0, 0, 0, 1, 0))
	c = b.node("leaky", &op.LeakyRelu{Alpha: .1}, b.node("shifted", &op.Add{}, c, b.random(9, 1, 1)))
	f := b.node("flat", &op.Flatten{Axis: 1}, c)
	return b.done(b.node("fc", &op.Gemm{Alpha: 1, Beta: 1, TransB: true}, f, b.random(5, 9*4*4), b.random(5)), b.node("sm", &op.Softmax{Axis: 1}, c))
}

func TestRelayoutKeepsResults(t *testing.T) {
	g := residual(newBuilder(t))
	before := g.Clone()
	if err := Relayout(g, op.NHWC); err != nil {
		t.Fatal(err)
	}
	check(t, g)
	sameResults(t, before, g)
	transposes := 0
	for _, n := range g.Nodes {
		if n.Op.Type() == "Transpose" {
			transposes++
		}
	}
	if transposes != 2 { // of the input, and before Flatten and Softmax
		t.Errorf("%d transposes in %q, want 2", transposes, operators(g))
	}
	back := g.Clone()
	if err := Relayout(back, op.NCHW); err != nil {
		t.Fatal(err)
	}
	check(t, back)
	sameResults(t, before, back)
}

func TestWiden(t *testing.T) {
	b := newBuilder(t)
	x := b.input("x", 1, 3, 8, 8)
	x.Type.DType = tensor.Float16
	half := func(v *graph.Value) *graph.Value {
		v.Const = op.FromFloat32s(tensor.Float16, v.Const.Shape(), op.Float32s(v.Const))
		v.Type.DType = tensor.Float16
		return v
	}
	g := b.done(b.node("y", relu(), b.node("c", &op.Conv{}, x, half(b.random(2, 3, 3, 3)))))
	if err := Widen(g); err != nil {
		t.Fatal(err)
	}
	check(t, g)
	if got := operators(g); !slices.Equal(got, []string{"Cast", "Conv", "Relu", "Cast"}) {
		t.Errorf("operators %q", got)
	}
	if g.Inputs[0].Type.DType != tensor.Float16 || g.Outputs[0].Type.DType != tensor.Float16 || g.Outputs[0].Name != "y" {
		t.Errorf("input %s, output %q %s", g.Inputs[0].Type, g.Outputs[0].Name, g.Outputs[0].Type)
	}
	run(t, g)
}

// simulated is a small quantized network as training tools write it.
func simulated(b *builder) *graph.Graph {
	q := func(s float32) *graph.Quant { return graph.PerTensor(s, 128) }
	weight := func(outputs int, shape ...int) *graph.Value {
		t := tensor.New(tensor.Int8, append([]int{outputs}, shape...)...)
		for i := range tensor.Values[int8](t) {
			tensor.Values[int8](t)[i] = int8(b.r.IntN(255) - 127)
		}
		v := b.constant(t)
		v.Type.Quant = &graph.Quant{Narrow: true}
		for i := range outputs {
			v.Type.Quant.Scale = append(v.Type.Quant.Scale, 0.004+0.001*float32(i))
			v.Type.Quant.ZeroPoint = append(v.Type.Quant.ZeroPoint, 0)
		}
		return b.node(v.Name+"_w", &op.Dequantize{}, v)
	}
	x := b.quantized(b.input("x", 2, 3, 8, 8), tensor.Uint8, q(1.0/64))
	y := b.quantized(b.node("c1", &op.Conv{Pads: []int{1, 1, 1, 1}, Clamp: &op.Clamp{Max: 6}}, x, weight(4, 3, 3, 3), b.random(4)), tensor.Uint8, graph.PerTensor(6.0/255, 0))
	p := b.quantized(b.node("pool", &op.MaxPool{KernelShape: []int{2, 2}, Strides: []int{2, 2}}, y), tensor.Uint8, graph.PerTensor(6.0/255, 0))
	a := b.quantized(b.node("avg", &op.AveragePool{KernelShape: []int{2, 2}, Strides: []int{2, 2}}, y), tensor.Uint8, graph.PerTensor(5.0/255, 0))
	s := b.quantized(b.node("sum", &op.Add{}, p, a), tensor.Uint8, graph.PerTensor(11.0/255, 3))
	c := b.quantized(b.node("cat", &op.Concat{Axis: 1}, s, p), tensor.Uint8, graph.PerTensor(11.0/255, 3))
	r := b.quantized(b.node("flat", &op.Flatten{Axis: 1}, c), tensor.Uint8, graph.PerTensor(11.0/255, 3))
	h := b.quantized(b.node("sig", op.NewFunction("Sigmoid"), r), tensor.Uint8, graph.PerTensor(1.0/256, 0))
	return b.done(b.node("fc", &op.Gemm{Alpha: 1, Beta: 1, TransB: true}, h, weight(5, 128), b.random(5)))
}

func TestAbsorb(t *testing.T) {
	g := simulated(newBuilder(t))
	before := g.Clone()
	report, err := Absorb(g, AbsorbOptions{})
	if err != nil {
		t.Fatal(err)
	}
	check(t, g)
	if len(report.Islands) > 0 {
		t.Errorf("%d islands, the first %s: %s", len(report.Islands), report.Islands[0].Node.Describe(), report.Islands[0].Reason)
	}
	want := []string{"Quantize", "Conv", "MaxPool", "AveragePool", "Add", "Requantize", "Concat", "Flatten", "Sigmoid", "Gemm"}
	if got := operators(g); !slices.Equal(got, want) {
		t.Errorf("operators %q, want %q", got, want)
	}
	for _, n := range g.Nodes[1:] {
		if n.Compute == graph.Float {
			t.Errorf("%s is still float", n.Describe())
		}
	}
	// Rounding to codes happens at the same places, so that results differ by few steps of the last layers.
	a, b := tensor.Values[float32](run(t, before)["fc"]), tensor.Values[float32](run(t, g)["fc"])
	for i, v := range a {
		if math.Abs(float64(v-b[i])) > 0.05 {
			t.Errorf("output %d: %v simulated, %v in integers", i, v, b[i])
		}
	}
}

func TestExpandIsTheInverseOfAbsorb(t *testing.T) {
	typed := simulated(newBuilder(t))
	if _, err := Absorb(typed, AbsorbOptions{}); err != nil {
		t.Fatal(err)
	}
	again := typed.Clone()
	if err := Expand(again); err != nil {
		t.Fatal(err)
	}
	check(t, again)
	for _, n := range again.Nodes {
		if n.Compute != graph.Float {
			t.Errorf("%s is still %s", n.Describe(), n.Compute)
		}
	}
	if _, err := Absorb(again, AbsorbOptions{}); err != nil {
		t.Fatal(err)
	}
	if got, want := operators(again), operators(typed); !slices.Equal(got, want) {
		t.Errorf("operators %q, want %q", got, want)
	}
	got, want := run(t, again), run(t, typed)
	if !bytes.Equal(got["fc"].Bytes(), want["fc"].Bytes()) {
		t.Error("results differ")
	}
}

func TestAbsorbLeavesWhatIsNotQuantized(t *testing.T) {
	b := newBuilder(t)
	x := b.quantized(b.input("x", 1, 3, 8, 8), tensor.Uint8, graph.PerTensor(1.0/64, 128))
	y := b.node("c", &op.Conv{}, x, b.random(4, 3, 3, 3))
	g := b.done(b.node("out", op.NewFunction("Tanh"), y))
	report, err := Absorb(g, AbsorbOptions{Arithmetic: numeric.ONNX})
	if err != nil {
		t.Fatal(err)
	}
	check(t, g)
	if len(report.Islands) != 1 || report.Islands[0].Node.Name != "c" {
		t.Errorf("islands %v", report.Islands)
	}
	if got := operators(g); !slices.Equal(got, []string{"Quantize", "Dequantize", "Conv", "Tanh"}) {
		t.Errorf("operators %q", got)
	}
}

// TestSimplifyIsFast guards against fusions that each cost a pass over the whole graph. A network of 2000 nodes takes
// some 30 ms; the limit leaves room for slow and busy machines.
func TestSimplifyIsFast(t *testing.T) {
	b := newBuilder(t)
	x := b.input("x", 1, 4)
	add := func(o graph.Operator, constants ...*graph.Value) {
		for _, c := range constants {
			c.Name = fmt.Sprintf("c%d", len(b.g.Nodes))
		}
		x = b.node(fmt.Sprintf("n%d", len(b.g.Nodes)), o, append([]*graph.Value{x}, constants...)...)
	}
	for range 500 {
		add(&op.MatMul{}, b.random(4, 4))
		add(&op.Add{}, b.random(4))
		add(&op.Mul{}, b.random(4))
		add(relu())
	}
	g := b.done(x)
	start := time.Now()
	if err := Simplify(g, SimplifyOptions{}); err != nil {
		t.Fatal(err)
	}
	if len(g.Nodes) != 500 {
		t.Errorf("%d nodes are left, want 500", len(g.Nodes))
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("simplifying 2000 nodes took %v", took)
	}
}
