package compile

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/octet-nn/octet/internal/cpu"
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/runtime"
	"github.com/octet-nn/octet/tensor"
	"pgregory.net/rapid"
)

// drawing is a random graph around Concats, of floats or of codes that are all quantized alike.
type drawing struct {
	*sketch
	rt     *rapid.T
	dtype  tensor.DType
	quant  *graph.Quant
	values []*graph.Value
	shapes map[*graph.Value][]int
}

func (d *drawing) draw(name string, least, most int) int {
	return rapid.IntRange(least, most).Draw(d.rt, name)
}

// pick is one of the values, the last ones more often than others.
func (d *drawing) pick() *graph.Value {
	last := len(d.values) - 1
	if d.draw("from the last", 0, 3) > 0 {
		return d.values[max(0, last-d.draw("back", 0, 4))]
	}
	return d.values[d.draw("value", 0, last)]
}

func (d *drawing) add(o graph.Operator, shape []int, inputs ...*graph.Value) *graph.Value {
	v := (*graph.Value)(nil)
	if d.quant != nil {
		v = d.typed(graph.Integer, o, graph.Type{DType: d.dtype, Quant: d.quant}, inputs...)
	} else {
		v = d.node(o, inputs...)
	}
	d.values, d.shapes[v] = append(d.values, v), shape
	return v
}

// random is a constant.
func (d *drawing) random(shape []int) *graph.Value {
	if d.quant != nil {
		return d.constant(d.codes(d.dtype, shape...), d.quant)
	}
	return d.constant(d.floats(shape...), nil)
}

func (d *drawing) conv(x *graph.Value) {
	shape := slices.Clone(d.shapes[x])
	in, out := shape[3], []int{1, 3, 8, 16, 40, 64}[d.draw("channels", 0, 5)]
	o := &op.Conv{Layout: op.NHWC}
	filter := []int{out, in, 1, 1}
	switch d.draw("convolution", 0, 3) {
	case 0:
		o.Pads = []int{1, 1, 1, 1}
		filter[2], filter[3] = 3, 3
	case 1:
		o.Pads, o.Group, out = []int{1, 1, 1, 1}, in, in
		filter = []int{out, 1, 3, 3}
	case 2:
		o.Clamp = &op.Clamp{Min: 0, Max: 6}
	}
	shape[3] = out
	if d.quant != nil {
		w := d.weights(tensor.Int8, 0, out, true, filter...)
		d.add(o, shape, x, w, d.bias(d.quant.Scale[0], w.Type.Quant, out))
		return
	}
	w := d.floats(filter...)
	scale(tensor.Values[float32](w), 0.3)
	d.add(o, shape, x, d.constant(w, nil), d.constant(d.floats(out), nil))
}

// concat joins up to four values that agree in all axes but one; there may be constants among them, and the same value
// twice.
func (d *drawing) concat(x *graph.Value) {
	axis := []int{3, 3, 3, 3, 2, 1, 0}[d.draw("axis", 0, 6)]
	shape := slices.Clone(d.shapes[x])
	operands := []*graph.Value{x}
	for range d.draw("more operands", 0, 3) {
		v := d.pick()
		own := d.shapes[v]
		if d.draw("constant", 0, 9) == 0 {
			v = d.random(own)
		}
		if len(own) == len(shape) && slices.Equal(slices.Delete(slices.Clone(own), axis, axis+1), slices.Delete(slices.Clone(shape), axis, axis+1)) {
			operands = append(operands, v)
			shape[axis] += own[axis]
		}
	}
	if n, _ := tensor.Count(shape); n < 30_000 {
		d.add(&op.Concat{Axis: axis - 4*d.draw("from the end", 0, 1)}, shape, operands...)
	}
}

// node adds a random operator.
func (d *drawing) operator() {
	x := d.pick()
	shape := slices.Clone(d.shapes[x])
	switch d.draw("operator", 0, 12) {
	case 0, 1, 2:
		d.conv(x)
	case 3, 4, 5, 6:
		d.concat(x)
	case 7:
		o := graph.Operator(&op.MaxPool{KernelShape: []int{3, 3}, Strides: []int{1, 1}, Pads: []int{1, 1, 1, 1}, Layout: op.NHWC})
		if d.draw("average", 0, 1) == 1 {
			o = &op.AveragePool{KernelShape: []int{3, 3}, Strides: []int{1, 1}, Pads: []int{1, 1, 1, 1}, Layout: op.NHWC}
		}
		d.add(o, shape, x)
	case 8:
		d.add([]graph.Operator{op.NewFunction("Relu"), op.NewFunction("Sigmoid"), op.NewFunction("Tanh")}[d.draw("function", 0, 2)], shape, x)
	case 9:
		for _, y := range d.values {
			if y != x && slices.Equal(d.shapes[y], shape) {
				d.add(&op.Add{}, shape, x, y)
				return
			}
		}
	case 10:
		// Through another shape and back.
		v := d.add(&op.Reshape{}, nil, x, d.ints(-1))
		d.values = d.values[:len(d.values)-1]
		d.add(&op.Reshape{}, shape, v, d.ints(int64(shape[0]), int64(shape[1]), int64(shape[2]), int64(shape[3])))
	case 12:
		axis := d.draw("split axis", 1, 3)
		first := d.draw("size of the first part", 0, shape[axis])
		sizes := []int{first, shape[axis] - first}
		d.add(&op.Split{Axis: axis}, nil, x, d.ints(int64(sizes[0]), int64(sizes[1])))
		n := d.graph.Nodes[len(d.graph.Nodes)-1]
		n.Outputs = append(n.Outputs, &graph.Value{Name: d.name("value"), Type: n.Outputs[0].Type})
		d.values = d.values[:len(d.values)-1]
		for i, v := range n.Outputs {
			shape = slices.Clone(shape)
			if shape[axis] = sizes[i]; sizes[i] > 0 {
				d.values, d.shapes[v] = append(d.values, v), shape
			}
		}
	case 11:
		axis := d.draw("sliced axis", 1, 3)
		from := d.draw("from", 0, shape[axis]-1)
		to := d.draw("to", from+1, shape[axis])
		shape[axis] = to - from
		d.add(&op.Slice{}, shape, x, d.ints(int64(from)), d.ints(int64(to)), d.ints(int64(axis)))
	}
}

// agrees compares a result with the interpreter's: codes bit for bit, floats to 1e-5 of the largest value in the graph,
// since terms may cancel out.
func agrees(got, want *tensor.Tensor, largest float64) error {
	if got.DType() != tensor.Float32 || got.String() != want.String() {
		return compare(got, want)
	}
	w := tensor.Values[float32](want)
	for i, v := range tensor.Values[float32](got) {
		if d := math.Abs(float64(v) - float64(w[i])); !(d <= 1e-5*largest) {
			return fmt.Errorf("element %d is %v, want %v; the largest value is %v", i, v, w[i], largest)
		}
	}
	return nil
}

// TestConcatsInRandomGraphs compares programs of random graphs with the interpreter at every tier and number of threads.
// Some of their values are kept.
func TestConcatsInRandomGraphs(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := &drawing{sketch: newSketch(t, rapid.Uint64().Draw(rt, "seed")), rt: rt, shapes: map[*graph.Value][]int{}}
		d.dtype = []tensor.DType{tensor.Float32, tensor.Uint8, tensor.Int8}[d.draw("type", 0, 2)]
		if d.dtype != tensor.Float32 {
			d.quant = graph.PerTensor(0.05, zeroPoint(d.dtype, 100))
		}
		shape := []int{d.draw("batch", 1, 2), d.draw("height", 1, 5), d.draw("width", 1, 5), 0}
		if d.draw("tall", 0, 3) == 0 { // enough lines for chains
			shape[1] += 13
		}
		for range d.draw("inputs", 1, 2) {
			shape[3] = d.draw("input channels", 1, 20)
			x := d.input(d.dtype, d.quant, shape...)
			x.Type.Shape = graph.FixedShape(shape...)
			d.values, d.shapes[x] = append(d.values, x), slices.Clone(shape)
		}
		for range d.draw("nodes", 3, 14) {
			d.operator()
		}
		// What nobody reads is an output; some of the rest is kept.
		read := map[*graph.Value]bool{}
		for _, n := range d.graph.Nodes {
			for _, v := range n.Inputs {
				read[v] = true
			}
		}
		var keep []string
		for _, v := range d.values {
			if slices.Contains(d.graph.Inputs, v) {
				continue
			}
			if !read[v] {
				d.graph.Outputs = append(d.graph.Outputs, v)
			} else if d.draw("kept", 0, 9) == 0 {
				keep = append(keep, v.Name)
			}
		}
		if len(d.graph.Outputs) == 0 {
			return
		}
		if _, err := op.Infer(d.graph); err != nil {
			rt.Fatal(err)
		}
		if err := d.graph.Check(); err != nil {
			rt.Fatal(err)
		}
		in := d.feed(1)
		want, largest := map[string]*tensor.Tensor{}, 0.0
		for v, x := range interpret(t, d.graph, in) {
			want[v.Name] = x
			if d.quant == nil {
				for _, f := range tensor.Values[float32](x) {
					largest = max(largest, math.Abs(float64(f)))
				}
			}
		}
		for _, tier := range cpu.Available() {
			var first map[string]*tensor.Tensor
			for _, threads := range []int{1, 2, 8} {
				session, err := Compile(d.graph, Options{Threads: threads, Tier: tier.String(), Keep: keep})
				if err != nil {
					rt.Fatal(err)
				}
				for range 2 { // the second run meets memory that was used before
					got, err := session.Run(t.Context(), in)
					if err != nil {
						rt.Fatal(err)
					}
					if first == nil {
						first = got
					}
					for name, x := range got {
						if err := agrees(x, want[name], largest); err != nil {
							rt.Fatalf("%s, %d threads, %s: %v\n%s", tier, threads, name, err, d.graph.Text())
						}
						if !bytes.Equal(x.Bytes(), first[name].Bytes()) {
							rt.Fatalf("%s, %d threads, %s: other bits than before\n%s", tier, threads, name, d.graph.Text())
						}
					}
				}
				session.Close()
			}
		}
	})
}

// TestConcatsReadLater has an operand that a node reads which is only planned in the run, since its result has any shape.
func TestConcatsReadLater(t *testing.T) {
	s := newSketch(t, 1)
	x := s.input(tensor.Float32, nil, 1, 4, 5, 8)
	conv := func(x *graph.Value, in, out int) *graph.Value {
		return s.node(&op.Conv{Layout: op.NHWC}, x, s.constant(s.floats(out, in, 1, 1), nil))
	}
	y := conv(x, 8, 8)
	z := conv(s.node(&op.Concat{Axis: 3}, y, conv(x, 8, 8)), 16, 8)
	images := s.node(&op.Gather{}, s.node(op.Lookup("NonZero"), x), s.constant(tensor.Of([]int64{0}), nil))
	s.graph.Outputs = []*graph.Value{z, s.node(&op.Gather{}, y, images)}
	agree(t, s.graph, s.feed(2), 2)
}

// TestConcatsTakeNoMemory is a Fire module: its result of 16 channels, and what it is made of or makes of 8, is all that is
// live at any time.
func TestConcatsTakeNoMemory(t *testing.T) {
	s := newSketch(t, 1)
	conv := func(x *graph.Value, in, out, size int) *graph.Value {
		return s.node(&op.Conv{Pads: slices.Repeat([]int{size / 2}, 4), Layout: op.NHWC}, x, s.constant(s.floats(out, in, size, size), nil))
	}
	x := s.input(tensor.Float32, nil, 1, 8, 8, 8)
	y := conv(s.node(&op.Concat{Axis: 3}, conv(x, 8, 8, 1), conv(x, 8, 8, 3)), 16, 8, 1)
	if got, want := s.planOf(y).Bytes, 4*8*8*(16+8); got != want {
		t.Errorf("an arena of %d bytes, want %d", got, want)
	}
}

// planOf is the plan of a graph at batch 1.
func (s *sketch) planOf(outputs ...*graph.Value) *runtime.Plan {
	s.t.Helper()
	s.graph.Outputs = outputs
	session, err := Compile(s.graph, Options{Threads: 1})
	if err != nil {
		s.t.Fatal(err)
	}
	defer session.Close()
	var in []*tensor.Tensor
	for _, v := range s.graph.Inputs {
		in = append(in, s.feed(1)[v.Name])
	}
	plan, err := session.Plan(in)
	if err != nil {
		s.t.Fatal(err)
	}
	return plan
}

func copies(plan *runtime.Plan) int {
	n := 0
	for _, step := range plan.Steps {
		if step.Kernel == "copy" {
			n++
		}
	}
	return n
}

// TestConcatsThatCopyNothing has the patterns of well-known networks, and how many copies they need nevertheless.
func TestConcatsThatCopyNothing(t *testing.T) {
	conv := func(s *sketch, x *graph.Value, in, out, size int) *graph.Value {
		pad := size / 2
		return s.node(&op.Conv{Pads: []int{pad, pad, pad, pad}}, x, s.constant(s.floats(out, in, size, size), nil))
	}
	pool := &op.MaxPool{KernelShape: []int{3, 3}, Strides: []int{1, 1}, Pads: []int{1, 1, 1, 1}}
	for _, c := range []struct {
		name   string
		copies int
		build  func(s *sketch, x *graph.Value) *graph.Value // of an operand with 8 channels, channels first
	}{
		{"Fire", 0, func(s *sketch, x *graph.Value) *graph.Value {
			return conv(s, s.node(&op.Concat{Axis: 1}, conv(s, x, 8, 16, 1), conv(s, x, 8, 24, 3)), 40, 8, 1)
		}},
		{"Inception", 0, func(s *sketch, x *graph.Value) *graph.Value {
			y := s.node(&op.Concat{Axis: 1}, conv(s, x, 8, 5, 1), conv(s, conv(s, x, 8, 4, 1), 4, 7, 3), s.node(pool, x))
			return s.node(&op.GlobalAveragePool{}, y)
		}},
		{"dense", 0, func(s *sketch, x *graph.Value) *graph.Value {
			y := conv(s, x, 8, 8, 3)
			for i := range 3 {
				y = s.node(&op.Concat{Axis: 1}, y, conv(s, y, 8*(i+1), 8, 3))
			}
			return conv(s, y, 32, 8, 1)
		}},
		{"U", 0, func(s *sketch, x *graph.Value) *graph.Value {
			down := conv(s, x, 8, 8, 3)
			up := s.node(&op.ConvTranspose{Strides: []int{2, 2}}, s.node(&op.MaxPool{KernelShape: []int{2, 2}, Strides: []int{2, 2}}, down),
				s.constant(s.floats(8, 8, 2, 2), nil))
			return conv(s, s.node(&op.Concat{Axis: 1}, down, up), 16, 8, 3)
		}},
		{"heads of a detector", 0, func(s *sketch, x *graph.Value) *graph.Value {
			head := func(x *graph.Value) *graph.Value {
				y := s.node(&op.Transpose{Perm: []int{0, 2, 3, 1}}, conv(s, x, 8, 12, 3))
				return s.node(&op.Reshape{}, y, s.ints(1, -1, 4))
			}
			return s.node(&op.Concat{Axis: 1}, head(x), head(s.node(&op.MaxPool{KernelShape: []int{2, 2}, Strides: []int{2, 2}}, x)))
		}},
		{"functions", 0, func(s *sketch, x *graph.Value) *graph.Value {
			y := s.node(&op.Concat{Axis: 1}, s.node(op.NewFunction("Sigmoid"), conv(s, x, 8, 8, 1)), s.node(op.NewFunction("Tanh"), conv(s, x, 8, 8, 3)))
			return conv(s, y, 16, 8, 1)
		}},
		{"cross stage", 0, func(s *sketch, x *graph.Value) *graph.Value {
			y := conv(s, x, 8, 16, 1)
			half := func(from int64) *graph.Value { return s.node(&op.Slice{}, y, s.ints(from), s.ints(from+8), s.ints(1)) }
			return conv(s, s.node(&op.Concat{Axis: 1}, conv(s, half(0), 8, 8, 3), conv(s, half(8), 8, 8, 1)), 16, 8, 1)
		}},
		{"rows of an image", 0, func(s *sketch, x *graph.Value) *graph.Value {
			y := conv(s, x, 8, 8, 1)
			half := func(from int64) *graph.Value { return s.node(&op.Slice{}, y, s.ints(from), s.ints(from+3), s.ints(2)) }
			return s.node(&op.Add{}, s.node(op.NewFunction("Relu"), half(0)), half(3))
		}},
		{"an operand and the graph's input", 1, func(s *sketch, x *graph.Value) *graph.Value {
			return s.node(&op.Concat{Axis: 1}, x, conv(s, x, 8, 8, 1))
		}},
		{"the same twice", 1, func(s *sketch, x *graph.Value) *graph.Value {
			y := conv(s, x, 8, 8, 1)
			return s.node(&op.Concat{Axis: 1}, y, y)
		}},
		{"an operand that a reader wants packed", 1, func(s *sketch, x *graph.Value) *graph.Value {
			y := conv(s, x, 8, 8, 1)
			z := s.node(&op.Concat{Axis: 1}, y, conv(s, x, 8, 8, 3))
			return s.node(&op.Add{}, s.node(&op.Flatten{Axis: 1}, y), s.node(&op.Flatten{Axis: 1}, conv(s, z, 16, 8, 1)))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSketch(t, 1)
			y := c.build(s, s.input(tensor.Float32, nil, 1, 8, 6, 8))
			if n := copies(s.planOf(y)); n != c.copies {
				t.Errorf("%d copies, want %d", n, c.copies)
			}
			if c.name != "heads of a detector" { // of one image
				s.check(y)
			}
		})
	}
}
