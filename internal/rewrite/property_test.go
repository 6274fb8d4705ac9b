package rewrite

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// randomNetwork draws a small graph over images of 4 channels. Layers read any earlier value, so that values have
// several readers; the last value and two others are outputs.
func randomNetwork(t *testing.T, draw *rapid.T) *graph.Graph {
	b := newBuilder(t)
	b.r = rand.New(rand.NewPCG(rapid.Uint64().Draw(draw, "seed"), 0))
	values := []*graph.Value{b.input("x", 1, 4, 4, 4)}
	made := 0
	name := func() string {
		made++
		return fmt.Sprintf("v%d", made)
	}
	same := []int{1, 1, 1, 1}
	for range rapid.IntRange(1, 12).Draw(draw, "layers") {
		x := values[max(0, len(values)-1-rapid.IntRange(0, 2).Draw(draw, "back"))]
		other := values[rapid.IntRange(0, len(values)-1).Draw(draw, "other")]
		var y *graph.Value
		switch kind := rapid.IntRange(0, 18).Draw(draw, "kind"); kind {
		case 0:
			y = b.node(name(), &op.Conv{Pads: same}, x, b.random(4, 4, 3, 3))
		case 1:
			y = b.node(name(), &op.Conv{Group: 2}, x, b.random(4, 2, 1, 1), b.random(4))
		case 2:
			y = b.node(name(), &op.ConvTranspose{Pads: same}, x, b.random(4, 4, 3, 3), b.random(4))
		case 3:
			y = b.node(name(), &op.BatchNormalization{Epsilon: 1e-3}, x, b.random(4), b.random(4), b.random(4), b.floats(.5, 1, 2, 3))
		case 4:
			y = b.node(name(), &op.Add{}, x, b.random(4, 1, 1))
		case 5:
			y = b.node(name(), &op.Mul{}, b.random(1, 4, 1, 1), x)
		case 6:
			y = b.node(name(), &op.Add{}, x, other)
		case 7:
			y = b.node(name(), relu(), x)
		case 8:
			y = b.node(name(), &op.Clip{}, x, b.scalar(-.5), b.scalar(1.5))
		case 9:
			half := b.node(name(), &op.Mul{}, x, b.scalar(.5))
			e := b.node(name(), op.NewFunction("Erf"), b.node(name(), &op.Div{}, x, b.scalar(math.Sqrt2)))
			y = b.node(name(), &op.Mul{}, half, b.node(name(), &op.Add{}, e, b.scalar(1)))
		case 10:
			clipped := b.node(name(), &op.Clip{}, b.node(name(), &op.Add{}, x, b.scalar(3)), b.scalar(0), b.scalar(6))
			y = b.node(name(), &op.Div{}, b.node(name(), &op.Mul{}, x, clipped), b.scalar(6))
		case 11:
			y = b.node(name(), &op.Max{}, x, b.node(name(), &op.Mul{}, x, b.scalar(.1)))
		case 12:
			first, second := &graph.Value{Name: name() + "a"}, &graph.Value{Name: name() + "b"}
			b.g.Nodes = append(b.g.Nodes, &graph.Node{Name: "split", Op: &op.Split{Axis: 1}, Inputs: []*graph.Value{x}, Outputs: []*graph.Value{first, second}})
			y = b.node(name(), &op.Concat{Axis: 1}, second, first)
		case 13:
			up := b.node(name(), &op.Resize{}, x, nil, b.floats(1, 1, 2, 2))
			y = b.node(name(), &op.AveragePool{KernelShape: []int{2, 2}, Strides: []int{2, 2}}, up)
		case 14:
			y = b.node(name(), &op.Transpose{Perm: []int{0, 2, 3, 1}}, x)
			y = b.node(name(), &op.Transpose{Perm: []int{0, 3, 1, 2}}, b.node(name(), relu(), y))
		case 15:
			y = b.node(name(), &op.MaxPool{KernelShape: []int{3, 3}, Pads: same}, x)
		case 16:
			d := b.node(name(), &op.Sub{}, x, b.node(name(), reduceMean(), x, b.ints(-1)))
			v := b.node(name(), reduceMean(), b.node(name(), &op.Pow{}, d, b.scalar(2)), b.ints(-1))
			root := b.node(name(), op.NewFunction("Sqrt"), b.node(name(), &op.Add{}, v, b.scalar(.1)))
			y = b.node(name(), &op.Mul{}, b.node(name(), &op.Div{}, d, root), b.random(4))
		case 17:
			y = b.node(name(), &op.Softmax{Axis: 1}, x)
		case 18:
			y = b.node(name(), &op.Pad{}, x, b.ints(0, 0, 1, 1, 0, 0, 1, 1))
			y = b.node(name(), &op.Conv{}, y, b.random(4, 4, 3, 3))
		}
		values = append(values, y)
	}
	for i, v := range b.g.Values() {
		if v.Const != nil {
			v.Name = fmt.Sprintf("c%d", i)
		}
	}
	outputs := []*graph.Value{values[len(values)-1]}
	if v := values[len(values)/2]; v != outputs[0] && v != values[0] {
		outputs = append(outputs, v)
	}
	return b.done(outputs...)
}

// TestFloatPassesKeepResults simplifies random graphs and gives them another layout and back.
func TestFloatPassesKeepResults(t *testing.T) {
	rapid.Check(t, func(draw *rapid.T) {
		g := randomNetwork(t, draw)
		before := g.Clone()
		var keep []string
		if values := g.Values(); rapid.Bool().Draw(draw, "keep") {
			keep = []string{g.Nodes[rapid.IntRange(0, len(g.Nodes)-1).Draw(draw, "kept")].Outputs[0].Name, values[0].Name}
		}
		pass := func(what string, err error) {
			t.Helper()
			if err == nil {
				err = g.Check()
			}
			if err != nil {
				draw.Fatalf("%s: %v\n%s", what, err, before.Text())
			}
			sameResults(t, before, g)
			if t.Failed() {
				draw.Fatalf("%s changes the results of\n%s\nnow\n%s", what, before.Text(), g.Text())
			}
		}
		pass("simplify", Simplify(g, SimplifyOptions{Keep: keep}))
		for _, name := range keep {
			if before.RemoveDead(); before.Value(name) != nil && g.Value(name) == nil {
				draw.Fatalf("%q is gone", name)
			}
		}
		text := g.Text()
		if err := Simplify(g, SimplifyOptions{Keep: keep}); err != nil || g.Text() != text {
			draw.Fatalf("simplifying again changes\n%s\nto\n%s", text, g.Text())
		}
		pass("NHWC", Relayout(g, op.NHWC))
		pass("NCHW", Relayout(g, op.NCHW))
	})
}

// TestQuantizedPassesAreInverse quantizes every value of random graphs, makes them compute on codes and back.
func TestQuantizedPassesAreInverse(t *testing.T) {
	rapid.Check(t, func(draw *rapid.T) {
		b := newBuilder(t)
		b.r = rand.New(rand.NewPCG(rapid.Uint64().Draw(draw, "seed"), 0))
		q := func(scale float32) *graph.Quant { return graph.PerTensor(scale, int32(b.r.IntN(256))) }
		weight := func(shape ...int) *graph.Value {
			w := tensor.New(tensor.Int8, shape...)
			for i := range tensor.Values[int8](w) {
				tensor.Values[int8](w)[i] = int8(b.r.IntN(255) - 127)
			}
			v := b.constant(w)
			v.Name = fmt.Sprintf("w%d", len(b.g.Nodes))
			v.Type.Quant = graph.PerTensor(0.004, 0)
			return b.node(v.Name+"_d", &op.Dequantize{}, v)
		}
		values := []*graph.Value{b.quantized(b.input("x", 1, 4, 4, 4), tensor.Uint8, q(1.0/64))}
		for range rapid.IntRange(1, 8).Draw(draw, "layers") {
			x := values[max(0, len(values)-1-rapid.IntRange(0, 2).Draw(draw, "back"))]
			name := fmt.Sprintf("v%d", len(b.g.Nodes))
			var y *graph.Value
			switch rapid.IntRange(0, 7).Draw(draw, "kind") {
			case 0:
				y = b.node(name, &op.Conv{Pads: []int{1, 1, 1, 1}}, x, weight(4, 4, 3, 3))
			case 1:
				y = b.node(name, &op.ConvTranspose{Pads: []int{1, 1, 1, 1}}, x, weight(4, 4, 3, 3))
			case 2:
				y = b.node(name, &op.Add{}, x, values[rapid.IntRange(0, len(values)-1).Draw(draw, "other")])
			case 3:
				y = b.node(name, op.NewFunction("Sigmoid"), x)
			case 4:
				y = b.node(name, &op.MaxPool{KernelShape: []int{3, 3}, Pads: []int{1, 1, 1, 1}}, x)
			case 5:
				y = b.node(name, &op.Concat{Axis: 2}, x, x)
				y = b.node(name+"s", &op.Slice{}, y, b.ints(2), b.ints(6), b.ints(2))
			case 6:
				y = b.node(name, &op.Conv{}, b.node(name+"f", op.NewFunction("Tanh"), x), weight(4, 4, 1, 1)) // weights only
			case 7:
				y = b.node(name, &op.Resize{}, x, nil, b.floats(1, 1, 1, 1))
			}
			if rapid.IntRange(0, 4).Draw(draw, "quantized") > 0 {
				y = b.quantized(y, tensor.Uint8, q(.02))
			}
			values = append(values, y)
		}
		for i, v := range b.g.Values() {
			if v.Const != nil {
				v.Name = fmt.Sprintf("c%d", i)
			}
		}
		typed := b.done(values[len(values)-1])
		before := typed.Clone()
		step := func(what string, g *graph.Graph, err error) {
			if err == nil {
				err = g.Check()
			}
			if err != nil {
				draw.Fatalf("%s: %v\n%s\nnow\n%s", what, err, before.Text(), g.Text())
			}
		}
		_, err := Absorb(typed, AbsorbOptions{})
		step("absorb", typed, err)
		again := typed.Clone()
		step("expand", again, Expand(again))
		_, err = Absorb(again, AbsorbOptions{})
		step("absorb again", again, err)
		sameResults(t, typed, again)
		if t.Failed() {
			draw.Fatalf("expanding and absorbing changes the results of\n%s\nnow\n%s", typed.Text(), again.Text())
		}
	})
}
