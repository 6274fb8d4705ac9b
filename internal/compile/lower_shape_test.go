package compile

import (
	"math"
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

func (s *sketch) ints(v ...int64) *graph.Value { return s.constant(tensor.Of(v, len(v)), nil) }

// moves adds one node of each operator that moves elements of x, of shape [N,6,5,8], made by add.
func (s *sketch) moves(x, y *graph.Value, add func(o graph.Operator, inputs ...*graph.Value) *graph.Value) []*graph.Value {
	return []*graph.Value{
		add(&op.Identity{}, x),
		add(&op.Reshape{}, x, s.ints(0, -1, 4)),
		add(&op.Flatten{Axis: 2}, x),
		add(&op.Unsqueeze{}, x, s.ints(1, -1)),
		add(&op.Squeeze{}, add(&op.Slice{}, x, s.ints(2), s.ints(3), s.ints(2)), s.ints(2)),
		add(&op.Transpose{Perm: []int{0, 3, 1, 2}}, x),
		add(&op.Transpose{Perm: []int{2, 0, 3, 1}}, x),
		add(&op.Transpose{}, add(&op.Unsqueeze{}, x, s.ints(0))),
		add(&op.Concat{Axis: 3}, x, y, x),
		add(&op.Concat{Axis: -3}, x, x),
		add(&op.Slice{}, x, s.ints(1, -1), s.ints(5, 0), s.ints(1, 3), s.ints(2, -3)),
		add(&op.Expand{}, add(&op.Slice{}, x, s.ints(2), s.ints(3), s.ints(2)), s.ints(2, 1, 1, 7, 1)),
		add(&op.Tile{}, x, s.ints(1, 2, 1, 3)),
		add(&op.Gather{Axis: 1}, x, s.constant(tensor.Of([]int64{3, -1, 0, 0}, 2, 2), nil)),
		add(&op.Gather{Axis: -1}, x, s.constant(tensor.Of([]int64{2}), nil)),
		add(&op.Pad{}, x, s.ints(0, 1, 0, 2, 0, 0, 3, 0)),
		add(&op.Pad{Mode: op.PadReflect}, x, s.ints(1, 2, 3, 0), nil, s.ints(1, 3)),
		add(&op.Pad{Mode: op.PadEdge}, x, s.ints(0, -1, 4, 0, 0, 2, 0, -2)),
	}
}

func TestMoves(t *testing.T) {
	s := newSketch(t, 1)
	x, y := s.input(tensor.Float32, nil, 1, 6, 5, 8), s.input(tensor.Float32, nil, 1, 6, 5, 3)
	outputs := append(s.moves(x, y, s.node), s.node(&op.Pad{}, x, s.ints(0, 1, 0, 2, 0, 0, 3, 0), s.constant(s.floats(), nil)))
	n := &graph.Node{Name: "split", Op: &op.Split{Axis: 3}, Inputs: []*graph.Value{x, s.ints(3, 1, 4)},
		Outputs: []*graph.Value{{Name: "a"}, {Name: "b"}, {Name: "c"}}}
	s.graph.Nodes = append(s.graph.Nodes, n)
	s.check(append(outputs, n.Outputs...)...)

	for _, dtype := range []tensor.DType{tensor.Uint8, tensor.Int8} {
		s := newSketch(t, 2)
		q := graph.PerTensor(0.1, zeroPoint(dtype, 33))
		x, y := s.input(dtype, q, 1, 6, 5, 8), s.input(dtype, q, 1, 6, 5, 3)
		s.check(s.moves(x, y, func(o graph.Operator, inputs ...*graph.Value) *graph.Value {
			return s.integer(o, dtype, 0.1, q.ZeroPoint[0], inputs...)
		})...)
	}
	s = newSketch(t, 3)
	x, y = s.input(tensor.Int64, nil, 1, 6, 5, 8), s.input(tensor.Int64, nil, 1, 6, 5, 3)
	s.check(s.moves(x, y, s.node)...)
}

// TestShapesAreFolded makes a reshape whose shape is computed from the input's: nothing of that remains in the plan.
func TestShapesAreFolded(t *testing.T) {
	s := newSketch(t, 1)
	x := s.input(tensor.Float32, nil, 1, 6, 5, 8)
	shape := s.node(&op.Shape{ToEnd: true}, x)
	batch := s.node(&op.Gather{}, shape, s.constant(tensor.Of([]int64{0}), nil))
	target := s.node(&op.Concat{}, s.node(&op.Unsqueeze{}, batch, s.ints(0)), s.ints(-1))
	y := s.node(&op.Reshape{}, x, target)
	s.check(y, target)
	session, err := Compile(s.graph, Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	plan, err := session.Plan([]*tensor.Tensor{s.floats(2, 6, 5, 8)})
	if err != nil {
		t.Fatal(err)
	}
	if len(plan.Steps) != 1 || plan.Steps[0].Op != "Constant" { // the target is an output
		t.Errorf("steps %+v", plan.Steps)
	}
}

func TestGatherAtComputedIndices(t *testing.T) {
	s := newSketch(t, 1)
	table := s.constant(s.floats(10, 4), nil)
	at := s.input(tensor.Int64, nil, 1, 5)
	y := s.node(&op.Gather{}, table, at)
	s.graph.Outputs = []*graph.Value{y}
	if _, err := op.Infer(s.graph); err != nil {
		t.Fatal(err)
	}
	session, err := Compile(s.graph, Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	for _, c := range []struct {
		indices []int64
		ok      bool
	}{{[]int64{0, 9, -1, -10, 3}, true}, {[]int64{0, 10, 0, 0, 0}, false}, {[]int64{0, -11, 0, 0, 0}, false}} {
		in := map[string]*tensor.Tensor{at.Name: tensor.Of(c.indices, 1, 5)}
		got, err := session.Run(t.Context(), in)
		if (err == nil) != c.ok {
			t.Errorf("%v: %v", c.indices, err)
		}
		if c.ok {
			if err := compare(got[y.Name], interpret(t, s.graph, in)[y]); err != nil {
				t.Error(err)
			}
		}
	}
	if session.ReferenceEvaluations() != 0 {
		t.Error("Gather has no kernel")
	}
}

func TestCast(t *testing.T) {
	s := newSketch(t, 1)
	x := s.input(tensor.Float32, nil, 1, 50)
	half := s.node(&op.Cast{To: op.OutputType{DType: tensor.Float16}}, x)
	i := s.input(tensor.Int64, nil, 1, 7)
	h := s.input(tensor.Float16, nil, 1, 50)
	var all []*graph.Value
	for pair := range conversions {
		from := x // of any type: floats beyond integers too
		if pair.from != tensor.Float32 {
			from = s.input(pair.from, nil, 1, 50)
		} else if pair.to.IsInteger() {
			from = s.node(op.Lookup("Mul"), x, s.constant(tensor.Of([]float32{300}), nil))
		}
		all = append(all, s.node(&op.Cast{To: op.OutputType{DType: pair.to}}, from))
	}
	s.check(append(all, s.node(&op.Cast{To: op.OutputType{DType: tensor.Bool}}, s.constant(tensor.Of([]float32{0, float32(math.NaN()), 1}, 3), nil)))...)
	s.check(half, s.node(&op.Cast{To: op.OutputType{DType: tensor.Float32}}, h),
		s.node(&op.Cast{To: op.OutputType{DType: tensor.Float32}}, i), s.node(&op.Cast{To: op.OutputType{DType: tensor.Int32}}, i))
}

// Parts of what is a view of a constant are no views: there is nothing in the arena that they could be parts of.
func TestPartsOfConstants(t *testing.T) {
	s := newSketch(t, 4)
	q := graph.PerTensor(0.1, 3)
	x := s.input(tensor.Int8, q, 1, 6, 5, 4)
	table := s.constant(s.codes(tensor.Int8, 1, 30, 8), q)
	integer := func(o graph.Operator, inputs ...*graph.Value) *graph.Value {
		return s.integer(o, tensor.Int8, 0.1, 3, inputs...)
	}
	image := integer(&op.Transpose{Perm: []int{1, 0, 2}}, table)
	image = integer(&op.Reshape{}, image, s.ints(1, 6, 5, 8))
	part := integer(&op.Slice{}, image, s.ints(2), s.ints(6), s.ints(3))
	s.check(integer(&op.MaxPool{KernelShape: []int{2, 2}, Layout: op.NHWC}, part), integer(&op.MaxPool{KernelShape: []int{2, 2}, Layout: op.NHWC}, x))
}
