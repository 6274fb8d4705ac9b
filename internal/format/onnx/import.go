// Package onnx reads and writes ONNX model files.
//
// Whatever version of the operator set a file uses, the graph has the operators of the newest: attributes that became
// operands later are made constants. Quantized operators with constant parameters become typed values.
package onnx

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/octet-nn/octet/internal/format"
	"github.com/octet-nn/octet/internal/format/protobuf"
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
	"google.golang.org/protobuf/encoding/protowire"
)

// Limits bound what an untrusted file can ask for. The zero value of a field means its default.
type Limits = format.Limits

// Options say how a model is read. The zero value will do for models in one file.
type Options struct {
	File     string // name of the file, for messages
	External fs.FS  // the model's folder, for tensors stored in other files; it must not follow links out of itself
	Limits   Limits
}

// Mapper is implemented by folders whose files need not be read: constants are parts of what Map returns.
type Mapper interface {
	fs.FS
	// Map is the whole content of a file; nil if it is better read.
	Map(name string) ([]byte, error)
}

const maxOpset = 28

// IsONNX reports whether data looks like an ONNX model: a protobuf message with an IR version and a graph.
func IsONNX(data []byte) bool {
	d := decoder{Reader: protobuf.Reader{Limits: Limits{MaxNesting: 1, MaxEntries: 1 << 20}}}
	version, graph := false, false
	err := d.Message(data, 0, func(f protobuf.Field) error {
		switch {
		case f.Number == 0 || f.Number > 25:
			return errUnknown
		case f.Number == 1:
			version = f.Value >= 1 && f.Value < 1000
		case f.Number == 7:
			graph = f.Bytes != nil
		}
		return nil
	})
	return err == nil && version && graph
}

// MayBeONNX reports whether data begins as an ONNX model does, however it goes on: with one of the fields that a model has, of
// the right wire type.
func MayBeONNX(data []byte) bool {
	number, kind, n := protowire.ConsumeTag(data)
	if n < 0 {
		return len(data) == 0
	}
	want, ok := map[protowire.Number]protowire.Type{1: protowire.VarintType, 2: protowire.BytesType, 3: protowire.BytesType,
		4: protowire.BytesType, 5: protowire.VarintType, 6: protowire.BytesType, 7: protowire.BytesType, 8: protowire.BytesType,
		14: protowire.BytesType, 20: protowire.BytesType, 25: protowire.BytesType}[number]
	return ok && kind == want
}

// Read makes a graph of an ONNX file. Constants are parts of data, which must not change. Errors are *FormatError,
// joined if there are several.
func Read(data []byte, o Options) (*graph.Graph, error) {
	g, err := read(data, &o)
	if err != nil {
		return nil, format.InFile(err, o.File)
	}
	return g, nil
}

func read(data []byte, o *Options) (*graph.Graph, error) {
	o.Limits = o.Limits.WithDefaults()
	if len(data) == 0 {
		return nil, &FormatError{Offset: -1, Why: "the file is empty"}
	}
	d := decoder{Reader: protobuf.Reader{Limits: o.Limits}}
	m, err := d.model(data)
	if err != nil {
		return nil, err
	}
	if m.graph == nil {
		return nil, &FormatError{Offset: -1, Why: "the file has no graph", Next: "check that it is an ONNX model"}
	}
	im := &importer{options: o, values: map[string]*graph.Value{}, versions: map[string]int{},
		names: map[string]bool{}, graph: &graph.Graph{Name: m.graph.name}, rows: operators, controls: controls(),
		functions: map[key]*functionProto{}}
	for _, f := range m.functions {
		im.functions[key{f.domain, f.name}] = f
	}
	if im.facts, err = op.Infer(&graph.Graph{}); err != nil {
		return nil, err
	}
	for _, v := range m.opsets {
		domain := v.domain
		if domain == "ai.onnx" {
			domain = ""
		}
		im.versions[domain] = int(v.version)
	}
	if v := im.versions[""]; v > maxOpset {
		return nil, &FormatError{Offset: -1, Why: fmt.Sprintf("the model uses operator set %d; the newest known is %d", v, maxOpset),
			Next: fmt.Sprintf("export it with operator set %d or older", maxOpset)}
	}
	if len(m.metadata) > 0 {
		im.graph.Metadata = map[string]string{}
		for _, pair := range m.metadata {
			im.graph.Metadata[pair[0]] = pair[1]
		}
	}
	im.run(m.graph)
	if err := errors.Join(im.problems...); err != nil {
		return nil, err
	}
	if err := im.graph.Sort(); err != nil {
		return nil, err
	}
	if err := im.graph.Check(); err != nil {
		return nil, err
	}
	return im.graph, nil
}

var errCyclic = errors.New("it is on a cycle")

// importer holds what is known while a graph is built.
type importer struct {
	options  *Options
	graph    *graph.Graph
	facts    *op.Facts
	values   map[string]*graph.Value // by name in the file
	names    map[string]bool         // taken
	declared map[string]graph.Type
	broken   map[string]error // initializers that cannot be used, and why
	versions map[string]int   // operator set by domain
	read     map[string]bool  // names that nodes, bodies or outputs refer to
	problems []error
	// The operators that there are: with and without bodies, and the model's own.
	rows, controls map[key]row
	functions      map[key]*functionProto
	outer          *importer      // of the graph around this body; nil for the model's own
	captured       []*graph.Value // inputs of a body that stand for values of the graph around it, by name
	given          []graph.Type   // of a body's inputs, where the file does not say
	depth, inlined int            // how deep bodies and functions are nested; nodes that functions expanded to
}

func (im *importer) problem(offset int, node, format string, args ...any) {
	im.problems = append(im.problems, &FormatError{Offset: offset, Node: node, Why: fmt.Sprintf(format, args...)})
}

func (im *importer) run(g *graphProto) {
	if g.sparse > 0 {
		im.problem(-1, "", "the model has %d sparse constants, which are not supported", g.sparse)
	}
	im.broken = map[string]error{}
	for _, t := range g.initializers {
		if im.names[t.name] {
			im.problem(t.offset, "", "two constants are named %q", t.name)
			continue
		}
		im.names[t.name] = true
		c, err := t.decode(im.options)
		if err != nil {
			im.broken[t.name] = err
			continue
		}
		im.values[t.name] = &graph.Value{Name: t.name, Type: graph.TypeOf(c), Const: c}
	}
	for _, v := range g.inputs {
		if im.names[v.name] && (im.values[v.name] != nil || im.broken[v.name] != nil) {
			if slices.ContainsFunc(im.graph.Inputs, func(i *graph.Value) bool { return i.Name == v.name }) {
				im.problem(v.offset, "", "two inputs are named %q", v.name)
			}
			continue // the default of an input is a constant
		}
		value := &graph.Value{Name: v.name, Type: im.valueType(v)}
		if at := len(im.graph.Inputs); at < len(im.given) && value.Type.DType == tensor.Invalid {
			value.Type.DType = im.given[at].DType
		}
		im.names[v.name] = true
		im.values[v.name] = value
		im.graph.Inputs = append(im.graph.Inputs, value)
	}
	im.read = map[string]bool{}
	for _, n := range g.nodes {
		for _, name := range n.reads() {
			im.read[name] = true
		}
	}
	for _, v := range g.outputs {
		im.read[v.name] = true
	}
	im.declared = map[string]graph.Type{}
	for _, v := range append(slices.Clone(g.values), g.outputs...) {
		im.declared[v.name] = im.valueType(v)
	}
	for _, n := range g.nodes {
		for _, name := range n.outputs {
			if name == "" {
				continue
			}
			if im.names[name] {
				im.problem(n.offset, describe(n), "its output %q exists already", name)
			}
			im.names[name] = true
		}
	}
	for _, n := range im.sorted(g.nodes) {
		im.node(n)
	}
	for _, v := range g.outputs {
		if value, err := im.use(v.name); errors.Is(err, errCyclic) {
			continue // said already
		} else if err != nil {
			im.problem(v.offset, "", "output %q: %v", v.name, err)
		} else {
			im.graph.Outputs = append(im.graph.Outputs, value)
		}
	}
}

// use finds a value by its name in the file.
func (im *importer) use(name string) (*graph.Value, error) {
	if v := im.values[name]; v != nil {
		return v, nil
	}
	if err := im.broken[name]; err != nil {
		return nil, err
	}
	if im.outer != nil {
		return im.capture(name)
	}
	return nil, fmt.Errorf("no node, input or constant provides %q; the file is damaged or was cut out of a larger model: export it again", name)
}

func (im *importer) valueType(v *valueProto) graph.Type {
	t := graph.Type{DType: dtypes[v.dtype]}
	if !v.ranked {
		return t
	}
	t.Shape = make(graph.Shape, len(v.shape))
	for i, d := range v.shape {
		t.Shape[i] = graph.Dim{Size: graph.Unknown, Symbol: d.symbol}
		if d.known && d.size >= 0 && d.size <= tensor.MaxElements {
			t.Shape[i] = graph.Fixed(int(d.size))
		}
	}
	return t
}

// sorted puts nodes into an order in which values are made before they are read; most files have them so already. Nodes
// on a cycle are a problem.
func (im *importer) sorted(nodes []*nodeProto) []*nodeProto {
	waiting := map[string][]*nodeProto{} // for the value
	missing := map[*nodeProto]int{}
	producer := map[string]bool{}
	for _, n := range nodes {
		for _, name := range n.outputs {
			producer[name] = name != ""
		}
	}
	var ready []*nodeProto
	for _, n := range nodes {
		for _, name := range n.reads() {
			if producer[name] {
				waiting[name] = append(waiting[name], n)
				missing[n]++
			}
		}
	}
	position := 0
	made := map[string]bool{}
	var order []*nodeProto
	place := func(n *nodeProto) {
		order = append(order, n)
		for _, name := range n.outputs {
			if name == "" || made[name] {
				continue
			}
			made[name] = true
			for _, w := range waiting[name] {
				if missing[w]--; missing[w] == 0 {
					ready = append(ready, w)
				}
			}
		}
	}
	started := map[*nodeProto]bool{}
	for position < len(nodes) || len(ready) > 0 {
		var n *nodeProto
		if position < len(nodes) && (missing[nodes[position]] == 0 || len(ready) == 0) {
			n = nodes[position]
			position++
		} else {
			n, ready = ready[0], ready[1:]
		}
		if missing[n] == 0 && !started[n] {
			started[n] = true
			place(n)
		}
	}
	for _, n := range nodes {
		if !started[n] {
			im.problem(n.offset, describe(n), "it is on a cycle or depends on one; networks have loops as Loop and Scan only: export it again")
			for _, name := range n.outputs {
				im.broken[name] = errCyclic
			}
		}
	}
	return order
}

func describe(n *nodeProto) string { return fmt.Sprintf("%s %q", n.op, nodeName(n)) }

// nodeName is the node's name, or that of its first output.
func nodeName(n *nodeProto) string {
	if n.name != "" {
		return n.name
	}
	for _, name := range n.outputs {
		if name != "" {
			return name
		}
	}
	return ""
}

// optionalResults are operators whose first result may be left out.
var optionalResults = map[string]bool{"RNN": true, "GRU": true, "LSTM": true, "DynamicQuantizeLSTM": true, "If": true, "Loop": true, "Scan": true}

// node translates one node.
func (im *importer) node(n *nodeProto) {
	domain := n.domain
	if domain == "ai.onnx" {
		domain = ""
	}
	c := &call{im: im, proto: n, attributes: map[string]*attributeProto{}, used: map[string]bool{}, version: im.versions[domain]}
	subgraph := false
	for _, a := range n.attributes {
		if c.attributes[a.name] != nil {
			im.problem(n.offset, describe(n), "attribute %q is given twice", a.name)
		}
		c.attributes[a.name] = a
		subgraph = subgraph || len(a.graphs) > 0
	}
	for _, name := range n.inputs {
		if name == "" {
			c.in = append(c.in, nil)
			continue
		}
		v, err := im.use(name)
		if err != nil {
			im.problems = append(im.problems, format.Within(n.offset, describe(n), fmt.Sprintf("input %d", len(c.in)), err))
			v = &graph.Value{Name: name}
		}
		c.in = append(c.in, v)
	}
	for _, name := range n.outputs {
		if name == "" {
			c.out = append(c.out, nil)
			continue
		}
		v := &graph.Value{Name: name, Type: im.declared[name]}
		im.values[name] = v
		c.out = append(c.out, v)
	}
	row := im.rows[key{domain, n.op}]
	if subgraph {
		row = im.controls[key{domain, n.op}]
	}
	err := errUnknown
	start := len(im.graph.Nodes)
	if row.build != nil && (row.until == 0 || c.version <= row.until) {
		if len(c.in) < row.inputs || len(c.out) == 0 {
			im.problem(n.offset, describe(n), "it has %d inputs and %d outputs and needs %d and 1; the file is damaged or its exporter is wrong",
				len(c.in), len(c.out), row.inputs)
			return
		}
		for i := range row.inputs {
			if c.in[i] == nil {
				im.problem(n.offset, describe(n), "input %d is required; the file is damaged or its exporter is wrong", i)
				return
			}
		}
		if c.out[0] == nil && !optionalResults[n.op] {
			c.out[0] = c.temporary("unused")
		}
		err = row.build(c)
	}
	if f := im.functions[key{domain, n.op}]; f != nil && errors.Is(err, errUnknown) {
		if err := c.inline(f); err != nil {
			im.problem(n.offset, describe(n), "%v", err)
		}
		return
	}
	if errors.Is(err, errUnknown) {
		im.graph.Nodes = im.graph.Nodes[:start]
		c.emit(&op.Unknown{Domain: domain, Name: n.op, Attributes: c.display()}, c.in, c.out...)
		return
	}
	if err == nil {
		err = c.unused()
	}
	if err != nil {
		im.problem(n.offset, describe(n), "%v", err)
	}
}
