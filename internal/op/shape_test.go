package op

import (
	"bytes"
	"context"
	"slices"
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/tensor"
	"pgregory.net/rapid"
)

// counting is 0, 1, 2, … in a shape.
func counting(shape ...int) *tensor.Tensor {
	t := tensor.New(tensor.Float32, shape...)
	for i := range tensor.Values[float32](t) {
		tensor.Values[float32](t)[i] = float32(i)
	}
	return t
}

func ints(values ...int64) *tensor.Tensor { return tensor.Of(values, len(values)) }

func scalar(v int64) *tensor.Tensor { return tensor.Of([]int64{v}) }

func TestMovingOperators(t *testing.T) {
	x := counting(2, 3)
	type in = []*tensor.Tensor
	for _, tc := range []struct {
		name  string
		op    Operator
		in    in
		shape []int
		want  []float64
	}{
		{"reshape −1", &Reshape{}, in{x, ints(-1, 2)}, []int{3, 2}, []float64{0, 1, 2, 3, 4, 5}},
		{"reshape 0 copies", &Reshape{}, in{x, ints(0, 3, 1)}, []int{2, 3, 1}, []float64{0, 1, 2, 3, 4, 5}},
		{"reshape to a scalar", &Reshape{}, in{counting(1, 1), ints()}, []int{}, []float64{0}},
		{"reshape allowzero", &Reshape{AllowZero: true}, in{counting(0, 3), ints(3, 0)}, []int{3, 0}, []float64{}},
		{"flatten at the end", &Flatten{Axis: 2}, in{x}, []int{6, 1}, []float64{0, 1, 2, 3, 4, 5}},
		{"flatten at 0", &Flatten{Axis: 0}, in{x}, []int{1, 6}, []float64{0, 1, 2, 3, 4, 5}},
		{"squeeze all", &Squeeze{}, in{counting(1, 2, 1)}, []int{2}, []float64{0, 1}},
		{"squeeze −1", &Squeeze{}, in{counting(1, 2, 1), ints(-1)}, []int{1, 2}, []float64{0, 1}},
		{"unsqueeze a scalar", &Unsqueeze{}, in{counting(), ints(0, -1)}, []int{1, 1}, []float64{0}},
		{"transpose reverses", &Transpose{}, in{x}, []int{3, 2}, []float64{0, 3, 1, 4, 2, 5}},
		{"transpose nothing", &Transpose{Perm: []int{1, 0}}, in{counting(0, 3)}, []int{3, 0}, []float64{}},
		{"concat −1", &Concat{Axis: -1}, in{x, counting(2, 1)}, []int{2, 4}, []float64{0, 1, 2, 0, 3, 4, 5, 1}},
		{"concat with nothing", &Concat{}, in{counting(0, 3), x}, []int{2, 3}, []float64{0, 1, 2, 3, 4, 5}},
		{"slice", &Slice{}, in{x, ints(1), ints(1 << 60), ints(-1)}, []int{2, 2}, []float64{1, 2, 4, 5}},
		{"slice backwards", &Slice{}, in{x, ints(-1), ints(-1 << 63), ints(1), ints(-2)}, []int{2, 2}, []float64{2, 0, 5, 3}},
		{"slice of nothing", &Slice{}, in{x, ints(5), ints(9)}, []int{0, 3}, []float64{}},
		{"slice nothing backwards", &Slice{}, in{counting(0), ints(-1), ints(-9), ints(0), ints(-1)}, []int{0}, []float64{}},
		{"gather a scalar index", &Gather{Axis: 1}, in{x, scalar(-1)}, []int{2}, []float64{2, 5}},
		{"gather a matrix", &Gather{}, in{x, tensor.Of([]int64{1, 0}, 2, 1)}, []int{2, 1, 3}, []float64{3, 4, 5, 0, 1, 2}},
		{"gather nothing", &Gather{}, in{x, ints()}, []int{0, 3}, []float64{}},
		{"expand both ways", &Expand{}, in{counting(2, 1), ints(3, 1, 2)}, []int{3, 2, 2}, []float64{0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1}},
		{"tile", &Tile{}, in{counting(1, 2), ints(2, 2)}, []int{2, 4}, []float64{0, 1, 0, 1, 0, 1, 0, 1}},
		{"tile 0 times", &Tile{}, in{x, ints(1, 0)}, []int{2, 0}, []float64{}},
		{"pad", &Pad{}, in{counting(2), ints(1, 2)}, []int{5}, []float64{0, 0, 1, 0, 0}},
		{"pad with a value, an axis", &Pad{}, in{counting(1, 2), ints(1, 0), tensor.Of([]float32{7}), ints(-1)}, []int{1, 3}, []float64{7, 0, 1}},
		{"pad less", &Pad{}, in{x, ints(-1, 0, 0, -1)}, []int{1, 2}, []float64{3, 4}},
		{"pad reflect", &Pad{Mode: PadReflect}, in{counting(3), ints(2, 2)}, []int{7}, []float64{2, 1, 0, 1, 2, 1, 0}},
		{"pad edge", &Pad{Mode: PadEdge}, in{counting(2), ints(2, 1)}, []int{5}, []float64{0, 0, 0, 1, 1}},
		{"pad wrap", &Pad{Mode: PadWrap}, in{counting(3), ints(1, 4)}, []int{8}, []float64{2, 0, 1, 2, 0, 1, 2, 0}},
		{"shape", &Shape{ToEnd: true}, in{counting(2, 0, 4)}, []int{3}, []float64{2, 0, 4}},
		{"shape of a scalar", &Shape{ToEnd: true}, in{counting()}, []int{0}, []float64{}},
		{"shape from −2 to −1", &Shape{Start: -2, End: -1}, in{counting(2, 0, 4)}, []int{1}, []float64{0}},
		{"shape ending before it starts", &Shape{Start: 2, End: 1}, in{counting(2, 0, 4)}, []int{0}, []float64{}},
		{"size", &Size{}, in{x}, []int{}, []float64{6}},
		{"constant of shape", &ConstantOfShape{Fill: ints(5)}, in{ints(1, 2)}, []int{1, 2}, []float64{5, 5}},
		{"range down", &Range{}, in{scalar(5), scalar(0), scalar(-2)}, []int{3}, []float64{5, 3, 1}},
		{"range of nothing", &Range{}, in{scalar(5), scalar(0), scalar(2)}, []int{0}, []float64{}},
		{"gather elements", &GatherElements{Axis: 1}, in{x, tensor.Of([]int64{-1, 0}, 2, 1)}, []int{2, 1}, []float64{2, 3}},
		{"gather tuples", &GatherND{}, in{x, tensor.Of([]int64{1, 2, 0, -1}, 2, 2)}, []int{2}, []float64{5, 2}},
		{"gather rows by tuples", &GatherND{}, in{x, tensor.Of([]int64{1}, 1, 1)}, []int{1, 3}, []float64{3, 4, 5}},
		{"gather tuples in batches", &GatherND{BatchDims: 1}, in{x, tensor.Of([]int64{2, 0}, 2, 1)}, []int{2}, []float64{2, 3}},
		{"scatter elements", &ScatterElements{Axis: -1}, in{x, tensor.Of([]int64{2, -3}, 2, 1), tensor.Of([]float32{8, 9}, 2, 1)},
			[]int{2, 3}, []float64{0, 1, 8, 9, 4, 5}},
		{"scatter adds twice", &ScatterElements{Reduction: AddTo}, in{counting(2), ints(1, 1), tensor.Of([]float32{8, 9}, 2)},
			[]int{2}, []float64{0, 18}},
		{"scatter rows", &ScatterND{}, in{x, tensor.Of([]int64{1}, 1, 1), counting(1, 3)}, []int{2, 3}, []float64{0, 1, 2, 0, 1, 2}},
		{"scatter keeps the larger", &ScatterND{Reduction: KeepMax}, in{ints(4, 4), tensor.Of([]int64{0, 1}, 2, 1), ints(3, 5)},
			[]int{2}, []float64{4, 5}},
		{"one hot", &OneHot{Axis: 0}, in{ints(2, -1, 7), scalar(3), tensor.Of([]float32{-1, 1}, 2)},
			[]int{3, 3}, []float64{-1, -1, -1, -1, -1, -1, 1, 1, -1}},
		{"non-zero", &NonZero{}, in{tensor.Of([]float32{0, 1, 2, 0}, 2, 2)}, []int{2, 2}, []float64{0, 1, 1, 0}},
		{"upper triangle", &Trilu{Upper: true}, in{x, scalar(1)}, []int{2, 3}, []float64{0, 1, 2, 0, 0, 5}},
		{"lower triangle", &Trilu{}, in{x}, []int{2, 3}, []float64{0, 0, 0, 3, 4, 0}},
		{"compress", &Compress{Axis: -1}, in{x, tensor.Of([]bool{false, true}, 2)}, []int{2, 1}, []float64{1, 4}},
		{"compress flat", &Compress{Flat: true}, in{x, tensor.Of([]bool{true, false, false, false, true}, 5)}, []int{2}, []float64{0, 4}},
		{"reverse sequences", &ReverseSequence{TimeAxis: 1}, in{x, ints(1, 3)}, []int{2, 3}, []float64{0, 1, 2, 5, 4, 3}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := evaluateNode(t, &graph.Node{Op: tc.op}, tc.in...)
			if !slices.Equal(got.Shape(), tc.shape) || !slices.Equal(Float64s(got), tc.want) {
				t.Errorf("%v %v, want %v %v", got.Shape(), Float64s(got), tc.shape, tc.want)
			}
		})
	}
}

func TestMovingOperatorsRefuse(t *testing.T) {
	x := counting(2, 3)
	for _, tc := range []struct {
		name string
		op   Operator
		in   []*tensor.Tensor
	}{
		{"reshape to other counts", &Reshape{}, []*tensor.Tensor{x, ints(4, 2)}},
		{"reshape with two holes", &Reshape{}, []*tensor.Tensor{x, ints(-1, -1)}},
		{"permutation", &Transpose{Perm: []int{0, 0}}, []*tensor.Tensor{x}},
		{"concat", &Concat{}, []*tensor.Tensor{x, counting(2, 2)}},
		{"step 0", &Slice{}, []*tensor.Tensor{x, ints(0), ints(1), ints(0), ints(0)}},
		{"axis twice", &Slice{}, []*tensor.Tensor{x, ints(0, 0), ints(1, 1), ints(0, -2)}},
		{"index", &Gather{}, []*tensor.Tensor{x, ints(2)}},
		{"element index", &GatherElements{}, []*tensor.Tensor{x, tensor.Of([]int64{-3}, 1, 1)}},
		{"tuple", &GatherND{}, []*tensor.Tensor{x, tensor.Of([]int64{0, 3}, 1, 2)}},
		{"updates", &ScatterND{}, []*tensor.Tensor{x, tensor.Of([]int64{0}, 1, 1), counting(1, 2)}},
		{"pads", &Pad{}, []*tensor.Tensor{x, ints(1, 1)}},
		{"padding value of another type", &Pad{}, []*tensor.Tensor{x, ints(1, 1, 1, 1), scalar(0)}},
		{"endless range", &Range{}, []*tensor.Tensor{scalar(0), scalar(1 << 62), scalar(1)}},
		{"size −1", &ConstantOfShape{}, []*tensor.Tensor{ints(-1)}},
		{"depth", &OneHot{}, []*tensor.Tensor{x, scalar(0), counting(2)}},
		{"length", &ReverseSequence{BatchAxis: 1}, []*tensor.Tensor{x, ints(1, 2, 3)}},
	} {
		n := &graph.Node{Op: tc.op, Outputs: []*graph.Value{{Name: "y"}}}
		for _, v := range tc.in {
			n.Inputs = append(n.Inputs, &graph.Value{Type: graph.TypeOf(v)})
		}
		if out, err := Evaluate(context.Background(), n, tc.in); err == nil {
			t.Errorf("%s: gave %v", tc.name, out)
		}
	}
}

// chain builds graphs for tests of inference.
type chain struct{ graph.Graph }

func (c *chain) constant(t *tensor.Tensor) *graph.Value {
	return &graph.Value{Type: graph.TypeOf(t), Const: t}
}

func (c *chain) node(o Operator, in ...*graph.Value) *graph.Value {
	out := &graph.Value{}
	c.Nodes = append(c.Nodes, &graph.Node{Op: o, Inputs: in, Outputs: []*graph.Value{out}})
	return out
}

// Exporters compute the shape operand of Reshape from the shape of its input, though the batch may be a symbol.
func TestExportersShapeArithmeticResolves(t *testing.T) {
	batch := graph.Dim{Size: graph.Unknown, Symbol: "N"}
	image := graph.Type{DType: tensor.Float32, Shape: graph.Shape{batch, graph.Fixed(8), graph.Fixed(4), graph.Fixed(5)}}
	for _, tc := range []struct {
		name  string
		build func(c *chain, x *graph.Value) *graph.Value
		want  string
	}{
		{"Shape, Gather, Unsqueeze, Concat, Reshape", func(c *chain, x *graph.Value) *graph.Value {
			n := c.node(&Gather{}, c.node(&Shape{ToEnd: true}, x), c.constant(scalar(0)))
			rows := c.node(&Unsqueeze{}, n, c.constant(ints(0)))
			return c.node(&Reshape{}, x, c.node(&Concat{}, rows, c.constant(ints(-1))))
		}, "[N,160]"},
		{"Shape, Cast, Slice, Concat, Cast, Reshape", func(c *chain, x *graph.Value) *graph.Value {
			s := c.node(&Cast{To: OutputType{tensor.Int32}}, c.node(&Shape{ToEnd: true}, x))
			head := c.node(&Slice{}, s, c.constant(ints(0)), c.constant(ints(2)), c.constant(ints(0)))
			rest := c.constant(tensor.Of([]int32{20}, 1))
			return c.node(&Reshape{}, x, c.node(&Cast{To: OutputType{tensor.Int64}}, c.node(&Concat{}, head, rest)))
		}, "[N,8,20]"},
		{"the symbol where −1 is", func(c *chain, x *graph.Value) *graph.Value {
			return c.node(&Reshape{}, x, c.constant(ints(-1, 160)))
		}, "[N,160]"},
		{"Shape, Slice backwards, Squeeze, Expand", func(c *chain, x *graph.Value) *graph.Value {
			s := c.node(&Slice{}, c.node(&Shape{ToEnd: true}, x), c.constant(ints(-1)), c.constant(ints(-9)), c.constant(ints(0)), c.constant(ints(-1)))
			return c.node(&Expand{}, c.constant(tensor.New(tensor.Float32)), s)
		}, "[5,4,8,N]"},
		{"ConstantOfShape of a Shape", func(c *chain, x *graph.Value) *graph.Value {
			return c.node(&ConstantOfShape{}, c.node(&Shape{End: 2}, x))
		}, "[N,8]"},
		{"Shape, Split, Concat, Expand", func(c *chain, x *graph.Value) *graph.Value {
			head := c.node(&Split{}, c.node(&Shape{ToEnd: true}, x), c.constant(ints(1, 3)))
			tail := &graph.Value{}
			n := c.Nodes[len(c.Nodes)-1]
			n.Outputs = append(n.Outputs, tail)
			return c.node(&Expand{}, c.constant(tensor.New(tensor.Float32)), c.node(&Concat{}, tail, head))
		}, "[8,4,5,N]"},
		{"NonZero depends on data", func(c *chain, x *graph.Value) *graph.Value { return c.node(&NonZero{}, x) }, "[4,?]"},
		{"Slice of a symbol", func(c *chain, x *graph.Value) *graph.Value {
			return c.node(&Slice{}, x, c.constant(ints(0, 1)), c.constant(ints(1<<63-1, -1)))
		}, "[N,6,4,5]"},
	} {
		c := &chain{}
		y := tc.build(c, &graph.Value{Type: image})
		if _, err := Infer(&c.Graph); err != nil || y.Type.Shape.String() != tc.want {
			t.Errorf("%s: %s, want %s (%v)", tc.name, y.Type.Shape, tc.want, err)
		}
	}
}

func drawTensor(t *rapid.T) *tensor.Tensor {
	shape := rapid.SliceOfN(rapid.IntRange(0, 4), 1, 4).Draw(t, "shape")
	x := tensor.New(rapid.SampledFrom([]tensor.DType{tensor.Float32, tensor.Int8, tensor.Float64, tensor.Bool, tensor.Int4}).Draw(t, "type"), shape...)
	values := make([]int64, x.Len())
	for i := range values {
		values[i] = int64(i) % 7
	}
	return fromFloat64sOrInts(x.DType(), shape, convert(values, func(v int64) float64 { return float64(v) }))
}

func TestTransposeInverts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := drawTensor(t)
		perm := rapid.Permutation([]int{0, 1, 2, 3}[:len(x.Shape())]).Draw(t, "perm")
		inverse := make([]int, len(perm))
		for i, p := range perm {
			inverse[p] = i
		}
		there := evaluateNode(t, &graph.Node{Op: &Transpose{Perm: perm}}, x)
		back := evaluateNode(t, &graph.Node{Op: &Transpose{Perm: inverse}}, there)
		if !slices.Equal(back.Shape(), x.Shape()) || !bytes.Equal(back.Bytes(), x.Bytes()) {
			t.Fatalf("%v came back as %v", x, back)
		}
	})
}

func TestSplitThenConcat(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := drawTensor(t)
		if x.DType().Bits() < 8 {
			t.Skip("packed rows may not end on bytes")
		}
		axis := rapid.IntRange(-len(x.Shape()), len(x.Shape())-1).Draw(t, "axis")
		parts := rapid.IntRange(1, 3).Draw(t, "parts")
		split := &graph.Node{Op: &Split{Axis: axis}, Inputs: []*graph.Value{{Type: graph.TypeOf(x)}}}
		for range parts {
			split.Outputs = append(split.Outputs, &graph.Value{})
		}
		pieces, err := Evaluate(context.Background(), split, []*tensor.Tensor{x})
		if err != nil {
			t.Fatal(err)
		}
		back := evaluateNode(t, &graph.Node{Op: &Concat{Axis: axis}}, pieces...)
		if !slices.Equal(back.Shape(), x.Shape()) || !bytes.Equal(back.Bytes(), x.Bytes()) {
			t.Fatalf("%v came back as %v", x, back)
		}
	})
}

func TestSliceByDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(t, "n")
		start, end := rapid.IntRange(-n, n-1).Draw(t, "start"), rapid.IntRange(-8, 8).Draw(t, "end")
		step := rapid.SampledFrom([]int{-3, -1, 1, 2}).Draw(t, "step")
		first, last := start, end
		if first < 0 {
			first += n
		}
		if last < 0 {
			last += n
		}
		want := []float64{}
		for i := first; i >= 0 && i < n && (step > 0 && i < last || step < 0 && i > last); i += step {
			want = append(want, float64(i))
		}
		got := evaluateNode(t, &graph.Node{Op: &Slice{}}, counting(n), ints(int64(start)), ints(int64(end)), ints(0), ints(int64(step)))
		if !slices.Equal(Float64s(got), want) {
			t.Fatalf("%v, want %v", Float64s(got), want)
		}
	})
}

func TestPadFillsWithTheZeroPoint(t *testing.T) {
	q := graph.PerTensor(0.5, 3)
	x := tensor.Of([]int8{7}, 1)
	n := &graph.Node{Op: &Pad{}, Compute: graph.Integer,
		Inputs:  []*graph.Value{{Type: graph.Type{DType: tensor.Int8, Shape: graph.FixedShape(1), Quant: q}}, {}},
		Outputs: []*graph.Value{{Type: graph.Type{DType: tensor.Int8, Quant: q}}}}
	out, err := Evaluate(context.Background(), n, []*tensor.Tensor{x, ints(1, 1)})
	if err != nil || !slices.Equal(Int64s(out[0]), []int64{3, 7, 3}) {
		t.Errorf("%v, %v", out, err)
	}
}

func TestViewQuantFollowsTheAxis(t *testing.T) {
	q := &graph.Quant{Scale: []float32{1, 2, 3}, ZeroPoint: []int32{0, 0, 0}, Axis: 1}
	for _, tc := range []struct {
		name string
		op   Operator
		to   []int
		axis int // −1: it does not survive
	}{
		{"transpose", &Transpose{Perm: []int{1, 2, 0}}, []int{3, 4, 2}, 0},
		{"unsqueeze", &Unsqueeze{}, []int{2, 1, 3, 4}, 2},
		{"reshape behind it", &Reshape{}, []int{2, 3, 2, 2}, 1},
		{"reshape across it", &Reshape{}, []int{6, 4}, -1},
	} {
		n := &graph.Node{Op: tc.op,
			Inputs:  []*graph.Value{{Type: graph.Type{DType: tensor.Int8, Shape: graph.FixedShape(2, 3, 4), Quant: q}}},
			Outputs: []*graph.Value{{Type: graph.Type{Shape: graph.FixedShape(tc.to...)}}}}
		got, ok := ViewQuant(n)
		if ok != (tc.axis >= 0) || ok && got.Axis != tc.axis {
			t.Errorf("%s: %v, %v", tc.name, got, ok)
		}
	}
}
