// Package testmodel makes well-known architectures with random weights: what speed is measured on where no trained
// model may be passed on. The same name gives the same bits everywhere.
package testmodel

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// builder adds layers to a graph. Convolutions are followed by no batch normalization: trained networks have it folded.
type builder struct {
	g      *graph.Graph
	random *rand.Rand
	count  int
}

func newBuilder(name string, seed uint64, shape ...int) (*builder, *graph.Value) {
	x := &graph.Value{Name: "input", Type: graph.Type{DType: tensor.Float32, Shape: graph.FixedShape(shape...)}}
	return &builder{g: &graph.Graph{Name: name, Inputs: []*graph.Value{x}}, random: rand.New(rand.NewPCG(seed, 0))}, x
}

// finish makes the value the output. It panics on a graph that is wrong: that is a mistake in this package.
func (b *builder) finish(y *graph.Value) *graph.Graph {
	y.Name = "output"
	b.g.Outputs = []*graph.Value{y}
	if _, err := op.Infer(b.g); err != nil {
		panic(err)
	}
	if err := b.g.Check(); err != nil {
		panic(err)
	}
	return b.g
}

func (b *builder) name(kind string) string {
	b.count++
	return fmt.Sprintf("%s_%d", kind, b.count)
}

func (b *builder) node(o graph.Operator, in ...*graph.Value) *graph.Value {
	name := b.name(o.Type())
	y := &graph.Value{Name: name}
	b.g.Nodes = append(b.g.Nodes, &graph.Node{Name: name, Op: o, Inputs: in, Outputs: []*graph.Value{y}})
	return y
}

func (b *builder) apply(name string, in ...*graph.Value) *graph.Value {
	return b.node(op.Lookup(name), in...)
}

// weights are normally distributed with the given deviation.
func (b *builder) weights(deviation float64, shape ...int) *graph.Value {
	n, _ := tensor.Count(shape)
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(b.random.NormFloat64() * deviation)
	}
	t := tensor.Of(values, shape...)
	return &graph.Value{Name: b.name("weights"), Type: graph.TypeOf(t), Const: t}
}

func (b *builder) constant(values []float32, shape ...int) *graph.Value {
	t := tensor.Of(values, shape...)
	return &graph.Value{Name: b.name("constant"), Type: graph.TypeOf(t), Const: t}
}

func (b *builder) ints(values ...int64) *graph.Value {
	t := tensor.Of(values, len(values))
	return &graph.Value{Name: b.name("constant"), Type: graph.TypeOf(t), Const: t}
}

// conv is a convolution with "same" padding and a bias. gain 1 keeps the size of activations after a Relu (He et al.
// 2015).
func (b *builder) conv(x *graph.Value, in, out, kernel, stride, groups int, gain float64) *graph.Value {
	fan := float64(in / groups * kernel * kernel)
	pad := kernel / 2
	o := &op.Conv{Strides: []int{stride, stride}, Pads: []int{pad, pad, pad, pad}, Group: groups}
	return b.node(o, x, b.weights(gain*math.Sqrt(2/fan), out, in/groups, kernel, kernel), b.weights(0.05, out))
}

func (b *builder) relu(x *graph.Value) *graph.Value { return b.apply("Relu", x) }

func (b *builder) clip6(x *graph.Value) *graph.Value {
	return b.node(&op.Clip{}, x, b.constant([]float32{0}), b.constant([]float32{6}))
}

// head pools and classifies.
func (b *builder) head(x *graph.Value, channels, classes int) *graph.Value {
	pooled := b.node(&op.Flatten{Axis: 1}, b.apply("GlobalAveragePool", x))
	return b.dense(pooled, channels, classes)
}

func (b *builder) dense(x *graph.Value, in, out int) *graph.Value {
	return b.node(&op.Gemm{Alpha: 1, Beta: 1, TransB: true}, x, b.weights(math.Sqrt(1/float64(in)), out, in), b.weights(0.05, out))
}

// Names lists the architectures.
func Names() []string {
	return []string{"resnet18", "resnet50", "efficientnet_lite0", "mobilenet_v3_large", "bert_base_layers"}
}

// New makes an architecture by name, for images of 224×224 pixels and 1000 classes or 128 tokens; nil if there is none.
func New(name string) *graph.Graph {
	switch name {
	case "resnet18":
		return resNet(name, []int{2, 2, 2, 2}, false)
	case "resnet50":
		return resNet(name, []int{3, 4, 6, 3}, true)
	case "efficientnet_lite0":
		return efficientNetLite0()
	case "mobilenet_v3_large":
		return mobileNetV3()
	case "bert_base_layers":
		return bert(4, 128, 768, 12)
	}
	return nil
}

// resNet is He et al. 2016 (Deep Residual Learning), in the variant with the stride in the 3×3 convolution.
func resNet(name string, blocks []int, bottleneck bool) *graph.Graph {
	b, x := newBuilder(name, 18, 1, 3, 224, 224)
	x = b.relu(b.conv(x, 3, 64, 7, 2, 1, 1))
	x = b.node(&op.MaxPool{KernelShape: []int{3, 3}, Strides: []int{2, 2}, Pads: []int{1, 1, 1, 1}}, x)
	in := 64
	for stage, count := range blocks {
		width := 64 << stage
		out := width
		if bottleneck {
			out = 4 * width
		}
		for i := range count {
			stride := 1
			if i == 0 && stage > 0 {
				stride = 2
			}
			short := x
			if in != out || stride != 1 {
				short = b.conv(x, in, out, 1, stride, 1, 0.7)
			}
			var y *graph.Value
			if bottleneck {
				y = b.relu(b.conv(x, in, width, 1, 1, 1, 1))
				y = b.relu(b.conv(y, width, width, 3, stride, 1, 1))
				y = b.conv(y, width, out, 1, 1, 1, 0.5)
			} else {
				y = b.relu(b.conv(x, in, width, 3, stride, 1, 1))
				y = b.conv(y, width, out, 3, 1, 1, 0.5)
			}
			x = b.relu(b.apply("Add", y, short))
			in = out
		}
	}
	return b.finish(b.head(x, in, 1000))
}

// efficientNetLite0 is Tan and Le 2019 without squeeze-and-excitation and with Relu6, as its authors published it for
// integer hardware.
func efficientNetLite0() *graph.Graph {
	b, x := newBuilder("efficientnet_lite0", 19, 1, 3, 224, 224)
	x = b.clip6(b.conv(x, 3, 32, 3, 2, 1, 1))
	in := 32
	for _, s := range []struct{ expand, out, count, stride, kernel int }{
		{1, 16, 1, 1, 3}, {6, 24, 2, 2, 3}, {6, 40, 2, 2, 5}, {6, 80, 3, 2, 3}, {6, 112, 3, 1, 5}, {6, 192, 4, 2, 5}, {6, 320, 1, 1, 3},
	} {
		for i := range s.count {
			stride := 1
			if i == 0 {
				stride = s.stride
			}
			y, width := x, in*s.expand
			if s.expand > 1 {
				y = b.clip6(b.conv(y, in, width, 1, 1, 1, 1))
			}
			y = b.clip6(b.conv(y, width, width, s.kernel, stride, width, 1))
			y = b.conv(y, width, s.out, 1, 1, 1, 0.6)
			if in == s.out && stride == 1 {
				y = b.apply("Add", y, x)
			}
			x, in = y, s.out
		}
	}
	x = b.clip6(b.conv(x, in, 1280, 1, 1, 1, 1))
	return b.finish(b.head(x, 1280, 1000))
}

// mobileNetV3 is the large network of Howard et al. 2019, with squeeze-and-excitation and hard swish.
func mobileNetV3() *graph.Graph {
	b, x := newBuilder("mobilenet_v3_large", 20, 1, 3, 224, 224)
	swish := func(x *graph.Value) *graph.Value { return b.apply("HardSwish", x) }
	x = swish(b.conv(x, 3, 16, 3, 2, 1, 1))
	in := 16
	for _, s := range []struct {
		kernel, width, out int
		squeeze, swish     bool
		stride             int
	}{
		{3, 16, 16, false, false, 1}, {3, 64, 24, false, false, 2}, {3, 72, 24, false, false, 1}, {5, 72, 40, true, false, 2},
		{5, 120, 40, true, false, 1}, {5, 120, 40, true, false, 1}, {3, 240, 80, false, true, 2}, {3, 200, 80, false, true, 1},
		{3, 184, 80, false, true, 1}, {3, 184, 80, false, true, 1}, {3, 480, 112, true, true, 1}, {3, 672, 112, true, true, 1},
		{5, 672, 160, true, true, 2}, {5, 960, 160, true, true, 1}, {5, 960, 160, true, true, 1},
	} {
		act := b.relu
		if s.swish {
			act = swish
		}
		y := x
		if s.width != in {
			y = act(b.conv(y, in, s.width, 1, 1, 1, 1))
		}
		y = act(b.conv(y, s.width, s.width, s.kernel, s.stride, s.width, 1))
		if s.squeeze {
			small := (s.width/4 + 7) / 8 * 8
			gate := b.relu(b.conv(b.apply("GlobalAveragePool", y), s.width, small, 1, 1, 1, 1))
			gate = b.node(&op.HardSigmoid{Alpha: 1.0 / 6, Beta: 0.5}, b.conv(gate, small, s.width, 1, 1, 1, 1))
			y = b.apply("Mul", y, gate)
		}
		y = b.conv(y, s.width, s.out, 1, 1, 1, 0.6)
		if in == s.out && s.stride == 1 {
			y = b.apply("Add", y, x)
		}
		x, in = y, s.out
	}
	x = swish(b.conv(x, in, 960, 1, 1, 1, 1))
	pooled := b.node(&op.Flatten{Axis: 1}, b.apply("GlobalAveragePool", x))
	return b.finish(b.dense(swish(b.dense(pooled, 960, 1280)), 1280, 1000))
}

// bert is encoder layers of Devlin et al. 2019 for one sequence of embedded tokens.
func bert(layers, tokens, width, heads int) *graph.Graph {
	b, x := newBuilder("bert_base_layers", 21, 1, tokens, width)
	size := width / heads
	project := func(x *graph.Value, in, out int) *graph.Value {
		y := b.apply("MatMul", x, b.weights(math.Sqrt(1/float64(in)), in, out))
		return b.apply("Add", y, b.weights(0.02, out))
	}
	norm := func(x *graph.Value) *graph.Value {
		ones := make([]float32, width)
		for i := range ones {
			ones[i] = 1
		}
		return b.node(&op.LayerNormalization{Axis: -1, Epsilon: 1e-12}, x, b.constant(ones, width), b.weights(0.02, width))
	}
	split := func(x *graph.Value, perm ...int) *graph.Value {
		return b.node(&op.Transpose{Perm: perm}, b.node(&op.Reshape{}, x, b.ints(1, int64(tokens), int64(heads), int64(size))))
	}
	for range layers {
		q, k, v := split(project(x, width, width), 0, 2, 1, 3), split(project(x, width, width), 0, 2, 3, 1), split(project(x, width, width), 0, 2, 1, 3)
		scores := b.apply("Mul", b.apply("MatMul", q, k), b.constant([]float32{float32(1 / math.Sqrt(float64(size)))}))
		mixed := b.node(&op.Transpose{Perm: []int{0, 2, 1, 3}}, b.apply("MatMul", b.node(&op.Softmax{Axis: -1}, scores), v))
		joined := b.node(&op.Reshape{}, mixed, b.ints(1, int64(tokens), int64(width)))
		x = norm(b.apply("Add", x, project(joined, width, width)))
		hidden := b.node(&op.Gelu{}, project(x, width, 4*width))
		x = norm(b.apply("Add", x, project(hidden, 4*width, width)))
	}
	return b.finish(x)
}
