package tflite

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/octet-nn/octet/internal/format"
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/rewrite"
	"github.com/octet-nn/octet/tensor"
)

// Write writes a graph as a TensorFlow Lite file: channels last, sizes fixed (an open batch becomes 1), quantized
// operators with TFLite's tables. Codes of activations beside int8 weights are written as int8. The bytes depend on the
// graph only. The error lists all nodes that TFLite cannot express.
func Write(w io.Writer, g *graph.Graph) error {
	g, err := prepare(g)
	if err != nil {
		return err
	}
	e := &exporter{index: g.Index(), numbers: map[*graph.Value]int{}, late: map[*graph.Value]*graph.Node{}, out: &written{name: g.Name, metadata: g.Metadata}}
	for _, v := range g.Inputs {
		e.out.inputs = append(e.out.inputs, e.number(v))
	}
	for _, n := range g.Nodes {
		if err := e.node(n); err != nil {
			e.problems = append(e.problems, &format.Error{Offset: -1, Node: n.Describe(), Why: err.Error()})
		}
	}
	for _, v := range g.Outputs {
		e.out.outputs = append(e.out.outputs, e.output(v))
	}
	if err := errors.Join(e.problems...); err != nil {
		return err
	}
	_, err = w.Write(e.out.encode())
	return err
}

// prepare is a copy of the graph in the form that is written.
func prepare(g *graph.Graph) (*graph.Graph, error) {
	g = g.Clone()
	Variables(g)
	for _, v := range g.Inputs {
		if v.Type.Shape == nil {
			return nil, &format.Error{Offset: -1, Why: fmt.Sprintf("input %q has no shape, and TensorFlow Lite files have fixed ones", v.Name), Next: "give its sizes"}
		}
		shape := slices.Clone(v.Type.Shape)
		for axis, d := range shape {
			switch {
			case d.Known():
			case axis == 0:
				shape[axis] = graph.Fixed(1)
			default:
				return nil, &format.Error{Offset: -1, Why: fmt.Sprintf("input %q is %s, and TensorFlow Lite files have fixed sizes", v.Name, v.Type),
					Next: "give its sizes"}
			}
		}
		v.Type.Shape = shape
	}
	for _, n := range g.Nodes {
		if _, unknown := n.Op.(*op.Unknown); unknown {
			continue
		}
		for _, v := range n.Outputs {
			if v != nil {
				v.Type.Shape = nil // it may follow from an open batch
			}
		}
	}
	if err := rewrite.Widen(g); err != nil {
		return nil, err
	}
	floatEdges(g)
	expandFloatResults(g)
	if err := rewrite.Simplify(g, rewrite.SimplifyOptions{}); err != nil {
		return nil, err
	}
	if err := rewrite.Relayout(g, op.NHWC); err != nil {
		return nil, err
	}
	signed(g)
	return g, g.Check()
}

// floatEdges makes inputs and outputs of 16-bit floats ones of 32 bits: TFLite cannot convert half floats while it runs.
func floatEdges(g *graph.Graph) {
	index := g.Index()
	converts := func(n *graph.Node) bool {
		_, ok := n.Op.(*op.Cast)
		return ok && n.Inputs[0].Type.DType.IsFloat() && n.Outputs[0].Type.DType.IsFloat()
	}
	for _, v := range g.Inputs {
		uses := index.Uses(v)
		if !v.Type.DType.IsFloat() || v.Type.DType == tensor.Float32 || slices.ContainsFunc(uses, func(u graph.Use) bool { return !converts(u.Node) }) {
			continue
		}
		v.Type.DType = tensor.Float32
		for _, u := range uses {
			g.ReplaceUses(u.Node.Outputs[0], v)
		}
	}
	for i, v := range g.Outputs {
		if n := index.Producer(v); n != nil && converts(n) && n.Inputs[0].Type.DType == tensor.Float32 && n.Inputs[0].Const == nil &&
			!slices.Contains(g.Inputs, n.Inputs[0]) {
			wide := n.Inputs[0]
			wide.Name, v.Name = v.Name, wide.Name
			wide.Origin, v.Origin = v.Origin, wide.Origin
			g.Outputs[i] = wide
		}
	}
	g.RemoveDead()
}

// expandFloatResults gives layers that compute on codes but have a float result the form that TFLite has for them: a
// float layer behind dequantizations.
func expandFloatResults(g *graph.Graph) {
	index := g.Index()
	var nodes []*graph.Node
	for _, n := range g.Nodes {
		if n.Compute != graph.IntegerToFloat && n.Compute != graph.WeightOnly {
			nodes = append(nodes, n)
			continue
		}
		for i, v := range n.Inputs {
			if v == nil || v.Type.Quant == nil {
				continue
			}
			real := &graph.Value{Name: index.Fresh(v.Name + "_dequantized"), Origin: v.Source(),
				Type: graph.Type{DType: tensor.Float32, Shape: v.Type.Shape}}
			n.Inputs[i] = real
			if v.Const != nil && v.Type.DType == tensor.Int32 { // a bias, which TFLite cannot dequantize
				real.Const = tensor.Of(op.Reals(v.Const, v.Type.Quant), v.Const.Shape()...)
				continue
			}
			nodes = append(nodes, &graph.Node{Name: real.Name, Op: &op.Dequantize{}, Inputs: []*graph.Value{v}, Outputs: []*graph.Value{real}})
		}
		n.Compute, n.Arithmetic = graph.Float, numeric.None
		nodes = append(nodes, n)
	}
	g.Nodes = nodes
}

// signed makes uint8 codes int8 ones, which stand for the same reals, if any layer has int8 weights: TFLite's kernels
// for such layers have int8 activations. Inputs and outputs of the graph keep their type behind a conversion.
func signed(g *graph.Graph) {
	has := false
	for _, n := range g.Nodes {
		for i, v := range n.Inputs {
			has = has || i > 0 && n.Compute == graph.Integer && v != nil && v.Const != nil && v.Type.DType == tensor.Int8
		}
	}
	if !has {
		return
	}
	index := g.Index()
	change := func(name string, from, to *graph.Value) *graph.Node {
		return &graph.Node{Name: name, Op: &op.Requantize{}, Inputs: []*graph.Value{from}, Outputs: []*graph.Value{to},
			Compute: graph.Integer, Arithmetic: numeric.ONNX}
	}
	unsigned := func(v *graph.Value) bool {
		return v != nil && v.Type.DType == tensor.Uint8 && v.Type.Quant != nil && !v.Type.Quant.Dynamic
	}
	var before, after []*graph.Node
	for i, v := range g.Outputs {
		if unsigned(v) && v.Const == nil && !slices.Contains(g.Inputs, v) {
			outside := *v
			v.Name, v.Origin = index.Fresh(v.Name+"_i8"), v.Source()
			g.Outputs[i] = &outside
			after = append(after, change(outside.Name, v, &outside))
		}
	}
	for _, v := range g.Inputs {
		if unsigned(v) {
			inside := *v
			inside.Name, inside.Origin = index.Fresh(v.Name+"_i8"), v.Source()
			for _, u := range index.Uses(v) {
				u.Node.Inputs[u.Index] = &inside
			}
			before = append(before, change(inside.Name, v, &inside))
		}
	}
	keep := map[*graph.Value]bool{}
	for _, v := range append(slices.Clone(g.Inputs), g.Outputs...) {
		keep[v] = true
	}
	g.Nodes = slices.Concat(before, g.Nodes, after)
	for _, v := range g.Values() {
		if !unsigned(v) || keep[v] {
			continue
		}
		v.Type.Quant = v.Type.Quant.Clone()
		for i := range v.Type.Quant.ZeroPoint {
			v.Type.Quant.ZeroPoint[i] -= 128
		}
		v.Type.DType = tensor.Int8
		if v.Const != nil {
			codes := slices.Clone(v.Const.Bytes())
			for i := range codes {
				codes[i] ^= 0x80
			}
			v.Const, _ = tensor.FromBytes(tensor.Int8, v.Const.Shape(), codes)
		}
	}
}

// exporter collects the parts of the file.
type exporter struct {
	index    *graph.Index
	out      *written
	numbers  map[*graph.Value]int
	late     map[*graph.Value]*graph.Node // dequantizations of constants, written where they are read
	current  *graph.Node
	problems []error
}

// number is the tensor of a value.
func (e *exporter) number(v *graph.Value) int {
	if v == nil {
		return -1
	}
	if i, ok := e.numbers[v]; ok {
		return i
	}
	shape, ok := v.Type.Shape.Known()
	if !ok || dtypeNumber(v.Type.DType) < 0 {
		e.problems = append(e.problems, &format.Error{Offset: -1, Node: v.Name, Why: fmt.Sprintf("a value of type %s cannot be written", v.Type),
			Next: "fix the sizes of the inputs"})
	}
	t := writtenTensor{name: v.Name, dtype: v.Type.DType, shape: shape, quant: v.Type.Quant}
	if v.Const != nil {
		t.data = v.Const.Bytes()
	}
	e.numbers[v] = e.add(t)
	if n := e.late[v]; n != nil {
		e.emit("DEQUANTIZE", 38, nil, []int{e.number(n.Inputs[0])}, e.numbers[v])
	}
	return e.numbers[v]
}

func (e *exporter) add(t writtenTensor) int {
	e.out.tensors = append(e.out.tensors, t)
	return len(e.out.tensors) - 1
}

// constant is a new constant tensor.
func (e *exporter) constant(suffix string, t *tensor.Tensor, q *graph.Quant) int {
	return e.add(writtenTensor{e.current.Name + "/" + suffix, t.DType(), t.Shape(), q, t.Bytes(), false})
}

// list is a new constant list of integers.
func (e *exporter) list(suffix string, values ...int) int {
	narrow := make([]int32, len(values))
	for i, v := range values {
		narrow[i] = int32(v)
	}
	return e.constant(suffix, tensor.Of(narrow, len(narrow)), nil)
}

// scalar is a new constant number.
func (e *exporter) scalar(suffix string, value float32) int {
	return e.constant(suffix, tensor.Of([]float32{value}), nil)
}

// temporary is a new intermediate tensor of a type, with another shape.
func (e *exporter) temporary(suffix string, like graph.Type, shape []int) int {
	return e.add(writtenTensor{e.current.Name + "/" + suffix, like.DType, shape, like.Quant, nil, false})
}

// emit adds an operator; kind is the number of its table of options.
func (e *exporter) emit(name string, kind int, options []option, in []int, out ...int) {
	version := 1
	for _, i := range in {
		if i < 0 {
			continue
		}
		switch e.out.tensors[i].dtype {
		case tensor.Int8:
			version = max(version, versions[name].int8)
		case tensor.Int16:
			version = max(version, versions[name].int16)
		}
	}
	e.out.operators = append(e.out.operators, writtenOperator{name, version, kind, options, in, out, nil})
}

// versions are the versions of operators that brought 8-bit and 16-bit codes.
var versions = map[string]struct{ int8, int16 int }{
	"CONV_2D": {3, 4}, "DEPTHWISE_CONV_2D": {3, 5}, "FULLY_CONNECTED": {4, 7}, "TRANSPOSE_CONV": {2, 2}, "ADD": {2, 3},
	"SUB": {2, 5}, "MUL": {2, 4}, "AVERAGE_POOL_2D": {2, 3}, "MAX_POOL_2D": {2, 3}, "SOFTMAX": {2, 3}, "CONCATENATION": {2, 3},
	"PAD": {2, 2}, "PADV2": {2, 2}, "MEAN": {2, 3}, "LOGISTIC": {2, 3}, "TANH": {2, 3}, "RELU": {2, 3}, "RELU6": {2, 3},
	"LEAKY_RELU": {2, 2}, "RESIZE_BILINEAR": {2, 2}, "RESIZE_NEAREST_NEIGHBOR": {2, 2}, "TRANSPOSE": {2, 4},
	"STRIDED_SLICE": {2, 4}, "SPLIT": {2, 4}, "SPLIT_V": {2, 2}, "GATHER": {2, 4}, "MAXIMUM": {2, 3}, "MINIMUM": {2, 3},
	"REDUCE_MAX": {2, 3}, "REDUCE_MIN": {2, 3}, "QUANTIZE": {2, 2}, "DEQUANTIZE": {2, 3}, "BATCH_MATMUL": {2, 3},
	"SPACE_TO_DEPTH": {2, 2}, "DEPTH_TO_SPACE": {2, 2}, "RESHAPE": {1, 1},
}

// node writes one node.
func (e *exporter) node(n *graph.Node) error {
	e.current = n
	write := writers[n.Op.Type()]
	if _, unknown := n.Op.(*op.Unknown); unknown || write == nil || n.Compute == graph.Integer && !onCodes[n.Op.Type()] {
		if n.Compute == graph.Integer {
			return fmt.Errorf("TensorFlow Lite has no such operator on codes")
		}
		return fmt.Errorf("TensorFlow Lite has no such operator")
	}
	return write(e, n)
}

// output is the tensor of a graph output: a copy where the value is an input or a constant.
func (e *exporter) output(v *graph.Value) int {
	if e.index.Producer(v) != nil {
		return e.number(v)
	}
	e.current = &graph.Node{Name: v.Name}
	shape, _ := v.Type.Shape.Known()
	out := e.temporary("copy", v.Type, shape)
	e.emit("RESHAPE", 0, nil, []int{e.number(v), e.list("shape", shape...)}, out)
	return out
}

// all are the tensors of values.
func (e *exporter) all(vs []*graph.Value) []int {
	out := make([]int, len(vs))
	for i, v := range vs {
		out[i] = e.number(v)
	}
	return out
}
