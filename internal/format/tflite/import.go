// Package tflite reads and writes TensorFlow Lite model files.
//
// Tensors keep the file's layout: channels last, filters as OHWI or 1HWC. Quantized tensors become typed values, and the
// operators on them nodes that compute on codes. Activations fused into operators become their clamp or nodes of their
// own. Operators that have no counterpart stay in the graph by their name.
package tflite

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/octet-nn/octet/internal/format"
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// Options say how a model is read. The zero value will do.
type Options struct {
	File string // name of the file, for messages
	// Arithmetic is the key of the metadata that names the row of integer operators; without it they follow TFLite's.
	Arithmetic string
	Limits     format.Limits
}

// IsTFLite reports whether data looks like a TensorFlow Lite model.
func IsTFLite(data []byte) bool { return len(data) >= 8 && string(data[4:8]) == identifier }

// Read makes a graph of a TensorFlow Lite file: of its first subgraph, which is the one that runs. Constants are parts
// of data, which must not change. Errors are *format.Error, joined if there are several.
func Read(data []byte, o Options) (*graph.Graph, error) {
	g, err := read(data, o)
	if err != nil {
		return nil, format.InFile(err, o.File)
	}
	return g, nil
}

func read(data []byte, o Options) (*graph.Graph, error) {
	limits := o.Limits.WithDefaults()
	if !IsTFLite(data) {
		return nil, &format.Error{Offset: 4, Why: "the file is not a TensorFlow Lite model: it does not say " + identifier}
	}
	d := &decoder{data: data, budget: limits.MaxEntries}
	m, err := d.model(limits)
	if err != nil {
		return nil, err
	}
	if len(m.subgraphs) == 0 {
		return nil, &format.Error{Offset: -1, Why: "the file has no graph", Next: "check that it is a complete model"}
	}
	main := &m.subgraphs[0]
	im := &importer{decoder: d, limits: limits, key: o.Arithmetic, data: data, model: m, main: main, names: map[string]int{},
		values: make([]*graph.Value, len(main.tensors)), broken: map[int]error{}, produced: map[int]bool{},
		resources: map[string]*stateRecord{}, handles: map[*graph.Value]*stateRecord{},
		graph: &graph.Graph{Name: main.name}}
	if im.facts, err = op.Infer(&graph.Graph{}); err != nil {
		return nil, err
	}
	im.run()
	if err := errors.Join(append(im.problems, d.err)...); err != nil {
		return nil, err
	}
	if err := im.graph.Check(); err != nil {
		return nil, err
	}
	return im.graph, nil
}

// importer holds what is known while a graph is built.
type importer struct {
	decoder    *decoder // whose budget is also that of what is made beside the file's own entries
	limits     format.Limits
	key        string // of the metadata that names the arithmetic
	data       []byte
	model      *model
	main       *subgraph
	graph      *graph.Graph
	facts      *op.Facts
	values     []*graph.Value     // by number of the tensor
	names      map[string]int     // how often a name was wanted
	broken     map[int]error      // tensors that cannot be used, and why
	produced   map[int]bool       // tensors that exist: inputs, constants, results so far
	arithmetic numeric.Arithmetic // None: TFLite's own
	variables  int                // bytes of state
	states     []*stateRecord     // in the order in which they were first read
	resources  map[string]*stateRecord
	handles    map[*graph.Value]*stateRecord // results of VAR_HANDLE
	problems   []error
}

// maxProblems is how many problems of a file are listed; reading ends with the last of them.
const maxProblems = 100

func (im *importer) problem(offset int, node, text string, args ...any) {
	if len(im.problems) == maxProblems {
		return
	}
	im.problems = append(im.problems, &format.Error{Offset: offset, Node: node, Why: fmt.Sprintf(text, args...)})
}

// stopped reports whether so much is wrong that reading on is of no use.
func (im *importer) stopped() bool { return im.decoder.err != nil || len(im.problems) == maxProblems }

// maxVariables bounds the memory of state, of which a file stores nothing but the size.
const maxVariables = 64 << 20

func (im *importer) run() {
	for i := range im.main.tensors {
		im.values[i] = im.value(i)
	}
	inputs := map[int]bool{}
	for _, i := range im.main.inputs {
		if i < 0 || i >= len(im.values) {
			im.problem(-1, "", "input tensor %d does not exist", i)
			continue
		}
		if inputs[i] {
			im.problem(im.main.tensors[i].at, "", "tensor %q is an input twice", im.values[i].Name)
			continue
		}
		im.values[i].Const = nil
		im.produced[i], inputs[i] = true, true
		im.graph.Inputs = append(im.graph.Inputs, im.values[i])
	}
	im.metadata()
	if name := im.graph.Metadata[im.key]; name != "" {
		var err error
		if im.arithmetic, err = numeric.ParseArithmetic(name); err != nil {
			im.problem(-1, "", "metadata %q: %v", im.key, err)
		}
	}
	for i := range im.main.operators {
		if im.stopped() {
			return
		}
		im.operator(i, &im.main.operators[i])
	}
	for _, i := range im.main.outputs {
		if v, err := im.use(i); err != nil {
			im.problem(-1, "", "an output: %v", err)
		} else {
			im.graph.Outputs = append(im.graph.Outputs, v)
		}
	}
	im.keepStates()
}

// metadata takes the texts that travel with the file.
func (im *importer) metadata() {
	const longest = 1 << 20
	for _, e := range im.model.metadata {
		if e.buffer < 0 || e.buffer >= len(im.model.buffers) {
			continue
		}
		data := im.model.buffers[e.buffer].data
		if len(data) > longest {
			continue
		}
		if !im.decoder.spend(im.model.buffers[e.buffer].at, 1+len(data)/8) {
			return
		}
		if !isText(data) {
			continue
		}
		if im.graph.Metadata == nil {
			im.graph.Metadata = map[string]string{}
		}
		im.graph.Metadata[e.name] = string(data)
	}
}

// isText reports whether metadata is a text: some of it is not.
func isText(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\n' && c != '\t' || c >= 0x7f {
			return false
		}
	}
	return true
}

// fresh is base or, if that is taken, base_1, base_2, …
func (im *importer) fresh(base string) string {
	if !im.decoder.spend(-1, 1+len(base)/8) {
		return base
	}
	name := base
	for im.names[name] > 0 {
		name = base + "_" + strconv.Itoa(im.names[base])
		im.names[base]++
	}
	im.names[name]++
	return name
}

// value is tensor i as a value of the graph; constants have their bytes.
func (im *importer) value(i int) *graph.Value {
	r := &im.main.tensors[i]
	name := r.name
	if name == "" {
		name = "tensor_" + strconv.Itoa(i)
	}
	v := &graph.Value{Name: im.fresh(name), Type: graph.Type{DType: dtypes[r.dtype]}}
	if v.Name != name {
		v.Origin = name
	}
	for _, n := range r.shape {
		if n < 0 || n > tensor.MaxElements {
			im.broken[i] = format.Wrong(r.at, "tensor %q has a size of %d", name, n)
			return v
		}
	}
	data, err := im.bytes(r)
	if err != nil {
		im.broken[i] = err
		return v
	}
	if len(r.shape) > 0 || r.ranked || len(data) > 0 {
		v.Type.Shape = graph.FixedShape(r.shape...)
	}
	if len(data) > 0 || r.sparse {
		im.constant(i, v, data)
	}
	if im.broken[i] != nil {
		return v
	}
	q, err := im.quant(r, v)
	if err != nil {
		im.broken[i] = err
		return v
	}
	v.Type.Quant = q
	return v
}

// bytes is the stored value of a tensor; empty if it has none.
func (im *importer) bytes(r *tensorRecord) ([]byte, error) {
	if r.buffer < 0 || r.buffer >= len(im.model.buffers) {
		if r.buffer == 0 {
			return nil, nil
		}
		return nil, format.Wrong(r.at, "tensor %q is in buffer %d of %d", r.name, r.buffer, len(im.model.buffers))
	}
	b := &im.model.buffers[r.buffer]
	if b.from <= 1 || b.size == 0 {
		return b.data, nil
	}
	if size := uint64(len(im.data)); b.from > size || b.size > size-b.from {
		return nil, format.Wrong(b.at, "buffer %d, %d bytes at %d, lies beyond the end of the file", r.buffer, b.size, b.from)
	}
	end := b.from + b.size
	return im.data[b.from:end:end], nil
}

// constant makes v the tensor of these bytes.
func (im *importer) constant(i int, v *graph.Value, data []byte) {
	r := &im.main.tensors[i]
	dtype := v.Type.DType
	n, ok := tensor.Count(r.shape)
	switch {
	case r.sparse:
		im.broken[i] = format.Wrong(r.at, "tensor %q is stored sparsely, which is not supported", v.Name)
	case dtype == tensor.Invalid:
		im.broken[i] = format.Wrong(r.at, "tensor %q has element type %d, which is not supported", v.Name, r.dtype)
	case !ok || dtype.Bytes(n) > im.limits.MaxTensorBytes:
		im.broken[i] = format.Wrong(r.at, "tensor %q has an impossible or too large shape %v", v.Name, r.shape)
	default:
		t, err := tensor.FromBytes(dtype, r.shape, data)
		if err != nil {
			im.broken[i] = format.Wrong(r.at, "tensor %q has the wrong amount of data: %v", v.Name, err)
			return
		}
		v.Const, im.produced[i] = t, true
	}
}

// quant is how a tensor's integers stand for reals; nil if they do not.
func (im *importer) quant(r *tensorRecord, v *graph.Value) (*graph.Quant, error) {
	dtype := v.Type.DType
	if !dtype.IsInteger() || dtype == tensor.Bool {
		return nil, nil
	}
	if r.details != 0 && r.details != blockwise {
		return nil, format.Wrong(r.at, "tensor %q is quantized in a way of its own (details %d)", v.Name, r.details)
	}
	if r.details == blockwise {
		return im.blocks(r, v)
	}
	if len(r.scale) == 0 || slices.ContainsFunc(r.scale, func(s float32) bool { return !(s > 0) || s > math.MaxFloat32 }) {
		return nil, nil // some writers give integers that are no codes a scale of 0
	}
	q := &graph.Quant{Scale: r.scale, ZeroPoint: make([]int32, len(r.scale))}
	lowest, highest := dtype.Limits()
	for i := range q.ZeroPoint {
		var zero int64
		switch len(r.zero) {
		case 0:
		case 1:
			zero = r.zero[0]
		case len(r.scale):
			zero = r.zero[i]
		default:
			return nil, format.Wrong(r.at, "tensor %q has %d scales and %d zero points", v.Name, len(r.scale), len(r.zero))
		}
		if zero < max(int64(lowest), math.MinInt32) || zero > min(int64(highest), math.MaxInt32) {
			return nil, format.Wrong(r.at, "tensor %q has zero point %d, which is no code of %s", v.Name, zero, dtype)
		}
		q.ZeroPoint[i] = int32(zero)
	}
	if len(q.Scale) > 1 {
		if len(r.shape) == 1 {
			return q, sameCount(r, v) // old converters gave biases the axis of their filter
		}
		if r.axis < 0 || r.axis >= len(r.shape) || r.shape[r.axis] != len(q.Scale) {
			return nil, format.Wrong(r.at, "tensor %q has %d scales along axis %d of shape %v", v.Name, len(q.Scale), r.axis, r.shape)
		}
		q.Axis = r.axis
	}
	return q, nil
}

// sameCount reports a list whose scales are not one for each entry.
func sameCount(r *tensorRecord, v *graph.Value) error {
	if r.shape[0] != len(r.scale) {
		return format.Wrong(r.at, "tensor %q has %d scales and shape %v", v.Name, len(r.scale), r.shape)
	}
	return nil
}

// blocks is a quantization whose scales, one for each block of a row, are a tensor of their own.
func (im *importer) blocks(r *tensorRecord, v *graph.Value) (*graph.Quant, error) {
	wrong := func(why string) (*graph.Quant, error) {
		return nil, format.Wrong(r.at, "tensor %q is quantized in blocks, but %s", v.Name, why)
	}
	rank := len(r.shape)
	if rank == 0 || r.blockSize < 1 || r.shape[rank-1]%r.blockSize != 0 {
		return wrong(fmt.Sprintf("blocks of %d do not divide shape %v", r.blockSize, r.shape))
	}
	if r.blockScales < 0 || r.blockScales >= len(im.main.tensors) {
		return wrong("the tensor with its scales does not exist")
	}
	s := &im.main.tensors[r.blockScales]
	data, err := im.bytes(s)
	if err != nil {
		return nil, err
	}
	scales, err := tensor.FromBytes(dtypes[s.dtype], s.shape, data)
	count, _ := tensor.Count(r.shape)
	if err != nil || !scales.DType().IsFloat() || scales.Len() != count/r.blockSize {
		return wrong("its scales are not one number for each block")
	}
	q := &graph.Quant{Scale: slices.Clone(op.Float32s(scales)), Axis: rank - 1, Block: r.blockSize}
	q.ZeroPoint = make([]int32, len(q.Scale))
	return q, nil
}

// use is tensor i where it is read.
func (im *importer) use(i int) (*graph.Value, error) {
	if i < 0 || i >= len(im.values) {
		return nil, fmt.Errorf("tensor %d does not exist", i)
	}
	if err := im.broken[i]; err != nil {
		return nil, err
	}
	v := im.values[i]
	if im.produced[i] {
		return v, nil
	}
	r := &im.main.tensors[i]
	n, ok := tensor.Count(r.shape)
	if ok && (n == 0 || r.variable) && v.Type.DType != tensor.Invalid && v.Type.Shape != nil {
		zeros, err := im.zeros(v.Type.DType, r.shape)
		if err != nil {
			return nil, err
		}
		v.Const, im.produced[i] = zeros, true
		return v, nil
	}
	return nil, fmt.Errorf("no operator, input or constant provides tensor %d, %q", i, v.Name)
}

// result makes tensor i the result of an operator.
func (im *importer) result(i int) (*graph.Value, error) {
	switch {
	case i < 0 || i >= len(im.values):
		return nil, fmt.Errorf("tensor %d does not exist", i)
	case im.produced[i]:
		return nil, fmt.Errorf("tensor %d, %q, exists already", i, im.values[i].Name)
	case im.broken[i] != nil:
		return nil, im.broken[i]
	}
	im.produced[i] = true
	return im.values[i], nil
}

// operator translates operator number i.
func (im *importer) operator(i int, r *operatorRecord) {
	if r.code < 0 || r.code >= len(im.model.codes) {
		im.problem(r.at, fmt.Sprintf("operator %d", i), "its code %d does not exist", r.code)
		return
	}
	kind := im.model.codes[r.code]
	c := &call{im: im, record: r, kind: kind, options: r.options}
	where := func() string { return fmt.Sprintf("%s %q", kind.name, c.name()) }
	problems := len(im.problems)
	for _, t := range r.inputs {
		if t == -1 {
			c.in = append(c.in, nil)
			continue
		}
		v, err := im.use(t)
		if err != nil {
			if len(im.problems) < maxProblems {
				im.problems = append(im.problems, format.Within(r.at, kind.name, fmt.Sprintf("input %d", len(c.in)), err))
			}
		}
		c.in = append(c.in, v)
	}
	for _, t := range r.outputs {
		v, err := im.result(t)
		if err != nil {
			im.problem(r.at, kind.name, "output %d: %v", len(c.out), err)
		}
		c.out = append(c.out, v)
	}
	if len(im.problems) > problems {
		return
	}
	row := operators[key{kind.custom, kind.name}]
	err := errUnknown
	start := len(im.graph.Nodes)
	if row.build != nil {
		if len(c.out) == 0 && !silent[kind.name] || len(c.in) < row.inputs || slices.Contains(c.in[:row.inputs], nil) {
			im.problem(r.at, where(), "has %d inputs and %d outputs, too few", len(c.in), len(c.out))
			return
		}
		err = row.build(c)
	}
	if errors.Is(err, errUnknown) {
		im.graph.Nodes = im.graph.Nodes[:start]
		for i, v := range c.in {
			if im.handles[v] != nil {
				c.in[i] = nil // no node of the graph makes handles
			}
		}
		o := &op.Unknown{Domain: "tflite", Name: kind.name}
		im.graph.Nodes = append(im.graph.Nodes, &graph.Node{Name: c.name(), Op: o, Inputs: c.in, Outputs: c.out})
		return
	}
	if err != nil {
		im.problem(r.at, where(), "%v", err)
	}
}

// errUnknown marks nodes that are legal but that no canonical operator expresses; they become op.Unknown.
var errUnknown = errors.New("not expressible")
