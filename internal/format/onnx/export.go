package onnx

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/rewrite"
	"github.com/octet-nn/octet/tensor"
	"google.golang.org/protobuf/encoding/protowire"
)

// writtenOpset is the operator set of files none of whose operators needs a newer one.
const writtenOpset = 21

// irVersion is the oldest format version whose files may have an operator set (ONNX Versioning.md).
func irVersion(opset int) int {
	switch {
	case opset <= 22:
		return 10
	case opset == 23:
		return 11
	case opset == 24:
		return 12
	}
	return 13
}

// newer is the operators that the written operator set does not have, with the set that brought them.
var newer = map[string]int{"RMSNormalization": 23, "Attention": 23, "RotaryEmbedding": 23, "TensorScatter": 24, "BitCast": 26,
	"CumProd": 26, "LinearAttention": 27, "CausalConvWithState": 27}

// WriteOptions say how a model is written.
type WriteOptions struct {
	// Activations is the element type of 8-bit activations, tensor.Uint8 or tensor.Int8; the zero value is Uint8. Codes
	// of the other type are shifted by 128, which denotes the same reals.
	Activations tensor.DType
	// AsStored leaves codes the element type that they have: some arithmetics round the two types differently.
	AsStored bool
}

// Write writes a graph as an ONNX file. Integer nodes become float ones between QuantizeLinear and DequantizeLinear.
// The bytes depend on the graph only. The error lists all nodes that ONNX cannot express.
func Write(w io.Writer, g *graph.Graph, o WriteOptions) error {
	switch o.Activations {
	case tensor.Invalid:
		o.Activations = tensor.Uint8
	case tensor.Uint8, tensor.Int8:
	default:
		return fmt.Errorf("activations cannot be written as %s: u8 or i8", o.Activations)
	}
	for _, n := range g.Nodes {
		if _, ok := n.Op.(*op.SequenceLSTM); ok && n.Compute == graph.Integer { // whose states are rounded in every step
			return &FormatError{Offset: -1, Node: n.Describe(), Why: "ONNX has no LSTM that computes on codes", Next: "write it as .tflite"}
		}
	}
	g = g.Clone()
	if err := rewrite.Expand(g); err != nil {
		return err
	}
	if err := rewrite.Relayout(g, op.NCHW); err != nil {
		return err
	}
	rewrite.KeepNames(g, op.NCHW)
	for _, n := range g.Nodes {
		if _, ok := n.Op.(*op.Transpose); ok { // of codes, which ONNX moves as they are
			n.Compute, n.Arithmetic = graph.Float, numeric.None
		}
	}
	problems := decompose(g)
	e := &exporter{options: o, index: g.Index(), constants: map[*graph.Value]bool{}, nodeNames: map[string]int{}, problems: problems, opset: writtenOpset}
	if !o.AsStored {
		e.shiftActivations(g)
	}
	for _, n := range g.Nodes {
		if err := e.node(n); err != nil {
			e.problems = append(e.problems, &FormatError{Offset: -1, Node: n.Describe(), Why: err.Error()})
		}
	}
	if err := errors.Join(e.problems...); err != nil {
		return err
	}
	_, err := w.Write(e.model(g))
	return err
}

// exporter collects the parts of the file.
type exporter struct {
	options   WriteOptions
	index     *graph.Index
	nodes     []byte // encoded fields of the graph
	tensors   []byte
	constants map[*graph.Value]bool // written already
	nodeNames map[string]int        // how often a name was wanted
	problems  []error
	opset     int
	classical bool // it has operators of that domain
}

// nodeName makes a name unique: ONNX Runtime refuses models with two nodes of one name.
func (e *exporter) nodeName(name string) string {
	unique := name
	for e.nodeNames[unique] > 0 {
		unique = fmt.Sprintf("%s_%d", name, e.nodeNames[name])
		e.nodeNames[name]++
	}
	e.nodeNames[unique]++
	return unique
}

// shiftActivations gives codes between Quantize and Dequantize the wanted signedness.
func (e *exporter) shiftActivations(g *graph.Graph) {
	for _, n := range g.Nodes {
		if _, ok := n.Op.(*op.Quantize); !ok {
			continue
		}
		v := n.Outputs[0]
		d := v.Type.DType
		only := !e.index.IsOutput(v) && (d == tensor.Int8 || d == tensor.Uint8) && d != e.options.Activations
		for _, u := range e.index.Uses(v) {
			_, ok := u.Node.Op.(*op.Dequantize)
			only = only && ok
		}
		if !only {
			continue
		}
		q := v.Type.Quant.Clone()
		for i := range q.ZeroPoint {
			if d == tensor.Int8 {
				q.ZeroPoint[i] += 128
			} else {
				q.ZeroPoint[i] -= 128
			}
		}
		v.Type.DType, v.Type.Quant = e.options.Activations, q
	}
}

func (e *exporter) node(n *graph.Node) error {
	if n.Compute != graph.Float {
		return fmt.Errorf("a %s node has no ONNX form", n.Compute)
	}
	switch n.Op.(type) {
	case *op.Quantize:
		return e.linear("QuantizeLinear", n, n.Outputs[0])
	case *op.Dequantize:
		return e.linear("DequantizeLinear", n, n.Inputs[0])
	case *op.TreeEnsemble:
		w := &attributeWriter{encoded: appendMessage(nil, 7, []byte(classicalDomain))}
		w.writeTrees(n.Op.(*op.TreeEnsemble))
		e.classical = true
		e.emit(n.Op.Type(), n.Name, e.names(n.Inputs), e.names(n.Outputs), w.encoded)
		return nil
	case *op.LSTM:
		if o := n.Op.(*op.LSTM); o.Dynamic {
			return fmt.Errorf("ONNX has no LSTM that quantizes its activations")
		}
	case *op.Unknown, *op.Requantize:
		return fmt.Errorf("it cannot be written for operator set %d", writtenOpset)
	}
	if ok, err := e.control(n); ok {
		return err
	}
	name, attributes, err := spell(n, n.Op)
	if err != nil {
		return err
	}
	e.opset = max(e.opset, newer[name])
	if o, ok := n.Op.(*op.Attention); ok && (o.LeftWindowSize >= 0 || o.RightWindowSize >= 0) {
		e.opset = max(e.opset, 25)
	}
	e.emit(name, n.Name, e.names(n.Inputs), e.names(n.Outputs), attributes)
	return nil
}

// linear writes Quantize or Dequantize, whose parameters are those of codes.
func (e *exporter) linear(name string, n *graph.Node, codes *graph.Value) error {
	t := codes.Type
	q := t.Quant
	if q == nil || q.Dynamic {
		return fmt.Errorf("%q has no constant quantization", codes.Name)
	}
	shape := []int{}
	var attributes []byte
	if !q.IsPerTensor() {
		shape = []int{len(q.Scale)}
		attributes = append(attributes, integer("axis", q.Axis)...)
	}
	if q.Block > 0 {
		sizes, ok := t.Shape.Known()
		if !ok {
			return fmt.Errorf("%q is quantized in blocks but its shape %s is not known", codes.Name, t.Shape)
		}
		shape = slices.Clone(sizes)
		shape[q.Axis] = (shape[q.Axis] + q.Block - 1) / q.Block
		attributes = append(attributes, integer("block_size", q.Block)...)
	}
	points := make([]int64, len(q.ZeroPoint))
	for i, z := range q.ZeroPoint {
		points[i] = int64(z)
	}
	in := append(e.names(n.Inputs[:1]), e.constant(n.Name+"_scale", tensor.Of(slices.Clone(q.Scale), shape...)))
	if t.DType != tensor.Int32 { // whose zero point is always 0
		in = append(in, e.constant(n.Name+"_zero_point", op.FromInt64s(t.DType, shape, points)))
	}
	e.emit(name, n.Name, in, e.names(n.Outputs), attributes)
	return nil
}

// names are what values are called in the file; constants are written the first time.
func (e *exporter) names(values []*graph.Value) []string {
	names := make([]string, len(values))
	for i, v := range values {
		if v == nil {
			continue
		}
		names[i] = v.Name
		if v.Const != nil && !e.constants[v] {
			e.constants[v] = true
			e.tensors = appendMessage(e.tensors, 5, tensorMessage(v.Name, v.Const))
		}
	}
	return names
}

func (e *exporter) constant(name string, t *tensor.Tensor) string {
	name = e.index.Fresh(name)
	e.tensors = appendMessage(e.tensors, 5, tensorMessage(name, t))
	return name
}

func (e *exporter) emit(operator, name string, in, out []string, attributes []byte) {
	var b []byte
	for len(in) > 0 && in[len(in)-1] == "" {
		in = in[:len(in)-1]
	}
	for _, s := range in {
		b = appendMessage(b, 1, []byte(s))
	}
	for _, s := range out {
		b = appendMessage(b, 2, []byte(s))
	}
	b = appendMessage(appendMessage(b, 3, []byte(e.nodeName(name))), 4, []byte(operator))
	e.nodes = appendMessage(e.nodes, 1, append(b, attributes...))
}

// graph is the encoded graph, whose nodes have been written.
func (e *exporter) graph(g *graph.Graph) []byte {
	e.names(g.Outputs)
	body := append(e.nodes, appendMessage(nil, 2, []byte(g.Name))...)
	body = append(body, e.tensors...)
	for _, v := range g.Inputs {
		body = appendMessage(body, 11, valueMessage(v))
	}
	for _, v := range g.Outputs {
		body = appendMessage(body, 12, valueMessage(v))
	}
	return body
}

func (e *exporter) model(g *graph.Graph) []byte {
	body := e.graph(g)
	m := appendNumber(nil, 1, irVersion(e.opset))
	m = appendMessage(m, 2, []byte("octet"))
	m = appendMessage(m, 7, body)
	m = appendMessage(m, 8, appendNumber(nil, 2, e.opset))
	if e.classical {
		m = appendMessage(m, 8, appendNumber(appendMessage(nil, 1, []byte(classicalDomain)), 2, classicalOpset))
	}
	keys := make([]string, 0, len(g.Metadata))
	for k := range g.Metadata {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		m = appendMessage(m, 14, appendMessage(appendMessage(nil, 1, []byte(k)), 2, []byte(g.Metadata[k])))
	}
	return m
}

func appendMessage(b []byte, number protowire.Number, content []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, number, protowire.BytesType), content)
}

func appendNumber(b []byte, number protowire.Number, v int) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, number, protowire.VarintType), uint64(v))
}

// dtypeNumber is the inverse of dtypes.
func dtypeNumber(d tensor.DType) int {
	for number, dtype := range dtypes {
		if dtype == d {
			return int(number)
		}
	}
	return 0
}

func tensorMessage(name string, t *tensor.Tensor) []byte {
	var b []byte
	for _, d := range t.Shape() {
		b = appendNumber(b, 1, d)
	}
	b = appendMessage(appendNumber(b, 2, dtypeNumber(t.DType())), 8, []byte(name))
	return appendMessage(b, 9, t.Bytes())
}

func valueMessage(v *graph.Value) []byte {
	typ := appendNumber(nil, 1, dtypeNumber(v.Type.DType))
	if v.Type.Shape != nil {
		var dims []byte
		for _, d := range v.Type.Shape {
			var dim []byte
			if d.Known() {
				dim = appendNumber(nil, 1, d.Size)
			} else if d.Symbol != "" {
				dim = appendMessage(nil, 2, []byte(d.Symbol))
			}
			dims = appendMessage(dims, 1, dim)
		}
		typ = appendMessage(typ, 2, dims)
	}
	return appendMessage(appendMessage(nil, 1, []byte(v.Name)), 2, appendMessage(nil, 1, typ))
}

func integer(name string, v int) []byte {
	return appendMessage(nil, 5, appendNumber(appendNumber(appendMessage(nil, 1, []byte(name)), 3, v), 20, 2))
}
