package onnx

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// call is one node of the file while it is translated.
type call struct {
	im         *importer
	proto      *nodeProto
	attributes map[string]*attributeProto
	used       map[string]bool
	in, out    []*graph.Value
	version    int // of the operator set of its domain
}

// harmless attributes may be ignored: they matter to training or to implementations only.
var harmless = map[string]bool{"consumed_inputs": true, "is_test": true, "momentum": true, "seed": true,
	"stash_type": true, "precision": true, "training_mode": true}

// unused reports attributes that nothing asked for.
func (c *call) unused() error {
	var names []string
	for name := range c.attributes {
		if !c.used[name] && !harmless[name] {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	return fmt.Errorf("attributes %q are not known for this operator", names)
}

func (c *call) attribute(name string) *attributeProto {
	c.used[name] = true
	return c.attributes[name]
}

func (c *call) int(name string, otherwise int) int {
	if a := c.attribute(name); a != nil {
		return int(a.i)
	}
	return otherwise
}

func (c *call) float(name string, otherwise float32) float32 {
	if a := c.attribute(name); a != nil {
		return a.f
	}
	return otherwise
}

func (c *call) string(name, otherwise string) string {
	if a := c.attribute(name); a != nil {
		return string(a.s)
	}
	return otherwise
}

func (c *call) ints(name string) ([]int64, bool) {
	if a := c.attribute(name); a != nil {
		return a.ints, true
	}
	return nil, false
}

// input is operand i, or nil.
func (c *call) input(i int) *graph.Value {
	if i < len(c.in) {
		return c.in[i]
	}
	return nil
}

// display is the attributes as they are shown for operators that are not known.
func (c *call) display() map[string]any {
	shown := map[string]any{}
	for name, a := range c.attributes {
		switch {
		case len(a.graphs) > 0:
			shown[name] = "(subgraph)"
		case a.t != nil:
			shown[name] = "(tensor)"
		case a.kind == 1:
			shown[name] = a.f
		case a.kind == 3:
			shown[name] = string(a.s)
		case a.kind == 6:
			shown[name] = a.floats
		case a.kind == 7:
			shown[name] = a.ints
		case a.kind == 8:
			shown[name] = a.strings
		default:
			shown[name] = a.i
		}
	}
	return shown
}

// fresh is a name for a value that the file does not have.
func (c *call) fresh(suffix string) string {
	base := nodeName(c.proto) + "/" + suffix
	name := base
	for i := 1; c.im.names[name]; i++ {
		name = base + "_" + strconv.Itoa(i)
	}
	c.im.names[name] = true
	return name
}

// temporary is a new intermediate value.
func (c *call) temporary(suffix string) *graph.Value { return &graph.Value{Name: c.fresh(suffix)} }

func (c *call) constant(suffix string, t *tensor.Tensor) *graph.Value {
	return &graph.Value{Name: c.fresh(suffix), Type: graph.TypeOf(t), Const: t}
}

// list is a constant list of integers.
func (c *call) list(suffix string, values ...int64) *graph.Value {
	return c.constant(suffix, tensor.Of(slices.Clone(values), len(values)))
}

// scalar is a constant of operand 0's element type (f32 while that is unknown).
func (c *call) scalar(suffix string, value float32) *graph.Value {
	dtype := tensor.Float32
	if c.in[0].Type.DType != tensor.Invalid {
		dtype = c.in[0].Type.DType
	}
	if !dtype.IsFloat() {
		return c.constant(suffix, op.FromInt64s(dtype, []int{}, []int64{int64(value)}))
	}
	return c.constant(suffix, op.FromFloat32s(dtype, []int{}, []float32{value}))
}

// emit adds a node and infers the types of its outputs. Operators that move codes pass quantization on.
func (c *call) emit(o graph.Operator, in []*graph.Value, out ...*graph.Value) {
	n := &graph.Node{Name: nodeName(c.proto), Op: o, Inputs: in, Outputs: out}
	moveCodes(n)
	c.add(n)
}

func (c *call) add(n *graph.Node) {
	c.im.graph.Nodes = append(c.im.graph.Nodes, n)
	if err := c.im.facts.Node(n); err != nil {
		c.im.problem(c.proto.offset, "", "%v", err)
	}
}

// moveCodes makes a node whose operator moves or compares codes an integer one if its operand is quantized.
func moveCodes(n *graph.Node) {
	o, ok := n.Op.(op.Integer)
	if !ok || len(n.Inputs) == 0 || n.Inputs[0] == nil || len(n.Outputs) != 1 {
		return
	}
	t := n.Inputs[0].Type
	if !t.Quant.IsPerTensor() || t.DType.Bits() > 16 {
		return
	}
	form, err := o.Integer(n)
	if err != nil || form.Range.Kind != op.SameAsInput && form.Range.Kind != op.Unified {
		return
	}
	for i, role := range form.Roles {
		if role == op.Activation && !n.Inputs[i].Type.Quant.Equal(t.Quant) {
			return
		}
	}
	n.Compute, n.Arithmetic = graph.Integer, numeric.ONNX
	n.Outputs[0].Type.DType, n.Outputs[0].Type.Quant = t.DType, t.Quant
}

// fill sets an operator's fields from the attributes of the same name (in ONNX's spelling) or the name that aliases
// give; fields without attribute keep their defaults.
func (c *call) fill(o graph.Operator, aliases map[string]string) error {
	fields := reflect.ValueOf(o).Elem()
	for name, a := range c.attributes {
		want := strings.ReplaceAll(strings.ToLower(name), "_", "")
		if alias := aliases[name]; alias != "" {
			want = strings.ToLower(alias)
		}
		for i := range fields.NumField() {
			if f := fields.Type().Field(i); f.IsExported() && strings.ToLower(f.Name) == want {
				c.used[name] = true
				if err := set(fields.Field(i), a); err != nil {
					return fmt.Errorf("attribute %q: %w", name, err)
				}
			}
		}
	}
	return nil
}

// set converts an attribute to a field.
func set(f reflect.Value, a *attributeProto) error {
	kind := map[reflect.Kind]int64{reflect.Float32: 1, reflect.Int: 2, reflect.Bool: 2, reflect.String: 3, reflect.Slice: 7}[f.Kind()]
	output, isType := f.Addr().Interface().(*op.OutputType)
	text, isText := f.Addr().Interface().(encoding.TextUnmarshaler)
	switch {
	case isType:
		kind = 2
	case isText:
		kind = 3
	}
	if a.kind != 0 && a.kind != kind {
		return fmt.Errorf("has type %d instead of %d", a.kind, kind)
	}
	switch {
	case isType:
		if a.i == 0 {
			return nil
		}
		dtype, ok := dtypes[a.i]
		if !ok {
			return errUnknown
		}
		output.DType = dtype
	case isText:
		return text.UnmarshalText(a.s)
	case f.Kind() == reflect.Float32:
		f.SetFloat(float64(a.f))
	case f.Kind() == reflect.Int:
		f.SetInt(a.i)
	case f.Kind() == reflect.Bool:
		f.SetBool(a.i != 0)
	case f.Kind() == reflect.String:
		f.SetString(string(a.s))
	case f.Type() == reflect.TypeFor[[]int]():
		list := make([]int, len(a.ints))
		for i, v := range a.ints {
			list[i] = int(v)
		}
		f.Set(reflect.ValueOf(list))
	default:
		return errUnknown
	}
	return nil
}
