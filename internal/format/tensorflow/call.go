package tensorflow

import (
	"fmt"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// call is one node of the file while it is built.
type call struct {
	im     *importer
	def    *nodeDef
	in     []*graph.Value
	prefix string // of names, inside a loop
}

// flag is a boolean attribute; false if it is absent.
func (c *call) flag(name string) bool {
	a := c.def.attributes[name]
	return a != nil && a.flag
}

func (c *call) int(name string, otherwise int) int {
	if a := c.def.attributes[name]; a != nil {
		return int(a.integer)
	}
	return otherwise
}

func (c *call) float(name string, otherwise float32) float32 {
	if a := c.def.attributes[name]; a != nil {
		return a.real
	}
	return otherwise
}

func (c *call) text(name, otherwise string) string {
	if a := c.def.attributes[name]; a != nil && len(a.text) > 0 {
		return string(a.text)
	}
	return otherwise
}

func (c *call) list(name string) []int {
	var out []int
	if a := c.def.attributes[name]; a != nil {
		for _, v := range a.ints {
			out = append(out, int(v))
		}
	}
	return out
}

// dtype is an attribute that is an element type.
func (c *call) dtype(name string) tensor.DType {
	if a := c.def.attributes[name]; a != nil {
		return dtypes[a.dtype]
	}
	return tensor.Invalid
}

// result is the value that is result i of the node, made on first use.
func (c *call) result(i int) *graph.Value {
	key := c.def.name
	if i > 0 {
		key = fmt.Sprintf("%s:%d", c.def.name, i)
	}
	if v := c.im.values[key]; v != nil {
		return v
	}
	v := &graph.Value{Name: c.im.fresh(key)}
	c.im.values[key] = v
	return v
}

// emit adds a node and infers the types of its results.
func (c *call) emit(o graph.Operator, in []*graph.Value, out ...*graph.Value) {
	n := &graph.Node{Name: c.prefix + c.def.name, Op: o, Inputs: in, Outputs: out}
	c.im.graph.Nodes = append(c.im.graph.Nodes, n)
	if len(out) == 1 {
		c.im.maker[out[0]] = n
	}
	if err := c.im.facts.Node(n); err != nil {
		c.im.problem(c.def, "%v", err)
	}
}

// is makes the node's first result the result of an operator.
func (c *call) is(o graph.Operator, in ...*graph.Value) error {
	c.emit(o, in, c.result(0))
	return nil
}

// apply is an intermediate value.
func (c *call) apply(suffix string, o graph.Operator, in ...*graph.Value) *graph.Value {
	y := &graph.Value{Name: c.im.fresh(c.def.name + "/" + suffix)}
	c.emit(o, in, y)
	return y
}

// pass makes the node's first result the value itself.
func (c *call) pass(v *graph.Value) error {
	c.im.values[c.def.name] = v
	return nil
}

func (c *call) constant(suffix string, t *tensor.Tensor) *graph.Value {
	return &graph.Value{Name: c.im.fresh(c.def.name + "/" + suffix), Type: graph.TypeOf(t), Const: t}
}

func (c *call) ints(suffix string, values ...int) *graph.Value {
	wide := make([]int64, len(values))
	for i, v := range values {
		wide[i] = int64(v)
	}
	return c.constant(suffix, tensor.Of(wide, len(wide)))
}

// scalar is a constant of the element type of operand 0.
func (c *call) scalar(suffix string, v float64) *graph.Value {
	dtype := c.in[0].Type.DType
	if !dtype.IsFloat() && dtype != tensor.Invalid {
		return c.constant(suffix, op.FromInt64s(dtype, []int{}, []int64{int64(v)}))
	}
	if dtype == tensor.Invalid {
		dtype = tensor.Float32
	}
	return c.constant(suffix, op.FromFloat64s(dtype, []int{}, []float64{v}))
}

// fixed is the integers of operand i, which must be constant or follow from shapes.
func (c *call) fixed(i int) ([]int, error) {
	if i >= len(c.in) || c.in[i] == nil {
		return nil, fmt.Errorf("input %d is missing", i)
	}
	data, ok := c.im.facts.Data(c.in[i])
	if !ok {
		return nil, errUnknown
	}
	out := make([]int, len(data))
	for j, n := range data {
		if !n.Known {
			return nil, errUnknown
		}
		out[j] = int(n.Value)
	}
	return out, nil
}

// wide is a value as int64, which ONNX's operators take where TensorFlow has int32.
func (c *call) wide(v *graph.Value) *graph.Value {
	switch {
	case v.Type.DType == tensor.Int64:
		return v
	case v.Const != nil && v.Type.DType.IsInteger():
		return c.constant("i64", op.FromInt64s(tensor.Int64, v.Const.Shape(), op.Int64s(v.Const)))
	}
	return c.apply("i64", &op.Cast{To: op.OutputType{DType: tensor.Int64}}, v)
}

// flatWide is wide with exactly one dimension.
func (c *call) flatWide(v *graph.Value) *graph.Value {
	v = c.wide(v)
	if rank, ok := v.Type.Rank(); ok && rank == 1 {
		return v
	}
	if v.Const != nil {
		return c.constant("list", v.Const.Reshape(v.Const.Len()))
	}
	return c.apply("list", &op.Reshape{}, v, c.ints("flat", -1))
}

// rank of operand i; an error if it is not known.
func (c *call) rank(i int) (int, error) {
	rank, ok := c.in[i].Type.Rank()
	if !ok {
		return 0, errUnknown
	}
	return rank, nil
}

// layout is the node's data_format; only NHWC keeps its filters HWIO, and NCHW too.
func (c *call) layout() (op.Layout, error) {
	switch f := c.text("data_format", "NHWC"); f {
	case "NHWC", "NDHWC", "NWC":
		return op.NHWC, nil
	case "NCHW", "NCDHW":
		return op.NCHW, nil
	default:
		return 0, fmt.Errorf("data_format %q is not known", f)
	}
}

// spatial picks the spatial entries of a list that has one for each dimension, such as strides.
func spatial(list []int, l op.Layout) []int {
	if len(list) < 3 {
		return nil
	}
	first := l.Spatial(len(list))
	return slices.Clone(list[first : first+len(list)-2])
}

// padding is the node's padding attribute.
func (c *call) padding(l op.Layout) (auto op.AutoPad, pads []int, err error) {
	switch p := c.text("padding", "VALID"); p {
	case "SAME":
		return op.SameUpper, nil, nil
	case "VALID":
		return op.Valid, nil, nil
	case "EXPLICIT":
		list := c.list("explicit_paddings")
		rank := len(list) / 2
		if rank < 3 {
			return 0, nil, fmt.Errorf("explicit_paddings %v", list)
		}
		first := l.Spatial(rank)
		for side := range 2 {
			for axis := first; axis < first+rank-2; axis++ {
				pads = append(pads, list[2*axis+side])
			}
		}
		return op.ExplicitPads, pads, nil
	default:
		return 0, nil, fmt.Errorf("padding %q is not known", p)
	}
}

// unknown keeps the node as an operator that is not known.
func (c *call) unknown() {
	shown := map[string]any{}
	for name, a := range c.def.attributes {
		switch {
		case a.tensor != nil:
			shown[name] = "(tensor)"
		case a.text != nil:
			shown[name] = string(a.text)
		case a.ints != nil:
			shown[name] = a.ints
		case a.real != 0:
			shown[name] = a.real
		case a.dtype != 0:
			shown[name] = dtypes[a.dtype].String()
		default:
			shown[name] = a.integer
		}
	}
	results := max(c.im.results[c.def.name], 1) // how many it has shows in who reads it
	out := make([]*graph.Value, results)
	for i := range out {
		out[i] = c.result(i)
	}
	c.emit(&op.Unknown{Domain: "tensorflow", Name: c.def.op, Attributes: shown}, c.in, out...)
}
