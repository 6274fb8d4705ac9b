// Package tensorflow reads frozen TensorFlow graphs: GraphDef files whose variables have been made constants.
//
// The graph keeps TensorFlow's order of dimensions (NHWC, filters HWIO): nothing is transposed. A value has the name of
// the node that computes it, without :0; other results have :1, :2, ….
package tensorflow

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/octet-nn/octet/internal/format"
	"github.com/octet-nn/octet/internal/format/protobuf"
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/suggest"
	"github.com/octet-nn/octet/tensor"
)

// Options say how a model is read. The zero value will do.
type Options struct {
	File   string // name of the file, for messages
	Limits format.Limits
	// Inputs and Outputs cut the graph at these tensors. Without them it starts at its placeholders, or after the nodes
	// that decode sound and images, and ends at what no other node reads.
	Inputs, Outputs []string
	// Trained, if it is set, is told what every FakeQuant node of one range says of its operand, and the graph has none of
	// these nodes: for callers that find codes in their own way.
	Trained func(operand *graph.Value, low, high float32, bits int)
}

// IsGraph reports whether data looks like a GraphDef: a protobuf message whose first field is a node with a name and an
// operator.
func IsGraph(data []byte) bool {
	d := decoder{protobuf.Reader{Limits: format.Limits{MaxNesting: 4, MaxEntries: 1000}}}
	found := false
	stop := errors.New("enough")
	err := d.Message(data, 0, func(f protobuf.Field) error {
		if f.Number != 1 || f.Bytes == nil {
			return stop
		}
		n := nodeDef{attributes: map[string]*attribute{}}
		err := d.Message(f.Bytes, f.Offset, func(f protobuf.Field) error {
			switch f.Number {
			case 1:
				n.name = string(f.Bytes)
			case 2:
				n.op = string(f.Bytes)
			case 3, 4, 5, 6, 7:
			default:
				return stop
			}
			return nil
		})
		found = err == nil && plainName(n.name) && plainName(n.op)
		return stop
	})
	return found && errors.Is(err, stop)
}

// plainName reports whether a text could be the name of a node or an operator.
func plainName(name string) bool {
	if name == "" || len(name) > 1000 {
		return false
	}
	for _, r := range name {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_./>-\\", r)) {
			return false
		}
	}
	return true
}

// Read makes a graph of a frozen GraphDef. Constants are parts of data, which must not change. notes say what was done
// that the caller should know of: where the graph was cut, what was converted. Errors are *format.Error, joined if there
// are several.
func Read(data []byte, o Options) (g *graph.Graph, notes []string, err error) {
	o.Limits = o.Limits.WithDefaults()
	im := &importer{options: o, rows: table(), nodes: map[string]*nodeDef{}, values: map[string]*graph.Value{}, made: &made{names: map[string]int{}, repeated: maxRepeated},
		graph: &graph.Graph{}, state: map[string]int{}, spread: map[*graph.Value]*spreadOut{}, dilated: map[*graph.Value]*convolved{},
		weights: map[*graph.Value]*graph.Value{}, rounded: map[*graph.Value]*graph.Value{}, maker: map[*graph.Value]*graph.Node{}, readers: map[string]int{},
		results: map[string]int{}, rounders: map[string]bool{}, folds: map[*graph.Value]*graph.Value{}}
	if err := im.read(data); err != nil {
		return nil, nil, format.InFile(err, o.File)
	}
	return im.graph, im.notes, nil
}

// importer holds what is known while a graph is built.
type importer struct {
	options  Options
	graph    *graph.Graph
	facts    *op.Facts
	rows     map[string]row
	order    []*nodeDef
	nodes    map[string]*nodeDef
	values   map[string]*graph.Value // by "node" or "node:1"
	made     *made
	state    map[string]int                // of nodes: being built, built
	cuts     map[string]bool               // tensors where the graph starts
	loops    map[*nodeDef]*frame           // while loops, by their Exit nodes
	spread   map[*graph.Value]*spreadOut   // results of SpaceToBatchND
	dilated  map[*graph.Value]*convolved   // results of convolutions of those
	weights  map[*graph.Value]*graph.Value // the codes of constants that are read dequantized
	rounded  map[*graph.Value]*graph.Value // the codes of values that are rounded to codes and back
	folds    map[*graph.Value]*graph.Value // constants that values turned out to be, or the values themselves
	maker    map[*graph.Value]*graph.Node  // of values that one node of the file makes
	readers  map[string]int                // how many nodes of the file read a tensor; outputs count too
	results  map[string]int                // the most results of a node that are read
	rounders map[string]bool               // nodes whose result a FakeQuant node reads
	traced   int                           // nodes that were looked at to find out where conditionals begin
	notes    []string
	problems []error
}

// made is what reading a file has made beside the file's own entries.
type made struct {
	names    map[string]int // taken in the graph, and how many were derived from each
	values   int
	repeated int // bytes that constants may still take by repeating a value
}

// maxMade bounds the values of a graph: an operator of a few bytes can have many results.
const maxMade = 1 << 20

// maxProblems is how many problems of a file are listed.
const maxProblems = 100

const (
	building = 1
	built    = 2
)

func (im *importer) problem(n *nodeDef, text string, args ...any) {
	if len(im.problems) >= maxProblems {
		return
	}
	im.problems = append(im.problems, &format.Error{Offset: n.offset, Node: fmt.Sprintf("%s %q", n.op, n.name), Why: fmt.Sprintf(text, args...)})
}

func (im *importer) note(text string, args ...any) {
	if note := fmt.Sprintf(text, args...); !slices.Contains(im.notes, note) {
		im.notes = append(im.notes, note)
	}
}

func (im *importer) read(data []byte) error {
	if len(data) == 0 {
		return &format.Error{Offset: -1, Why: "the file is empty"}
	}
	d := decoder{protobuf.Reader{Limits: im.options.Limits}}
	nodes, functions, err := d.graphDef(data)
	if err != nil {
		return err
	}
	if len(nodes) == 0 {
		return &format.Error{Offset: -1, Why: "the file has no nodes", Next: "check that it is a frozen GraphDef (.pb)"}
	}
	for _, n := range nodes {
		if im.nodes[n.name] != nil {
			im.problem(n, "two nodes have this name")
			continue
		}
		im.nodes[n.name] = n
		im.order = append(im.order, n)
	}
	if functions > 0 {
		im.note("the file has a library of %d functions, which are not read", functions)
	}
	if im.facts, err = op.Infer(&graph.Graph{}); err != nil {
		return err
	}
	im.checkFrozen()
	outputs := im.outputs()
	im.cut(outputs)
	if len(im.problems) == 0 {
		im.build(outputs)
	}
	if err := errors.Join(im.problems...); err != nil {
		return err
	}
	if err := im.graph.Sort(); err != nil {
		return err
	}
	im.graph.RemoveDead()
	if len(im.options.Inputs) == 0 { // placeholders that the outputs do not need are no inputs
		index := im.graph.Index()
		im.graph.Inputs = slices.DeleteFunc(im.graph.Inputs, func(v *graph.Value) bool { return len(index.Uses(v)) == 0 && !index.IsOutput(v) })
	}
	return im.graph.Check()
}

// checkFrozen reports variables: their values are not in the file.
func (im *importer) checkFrozen() {
	for _, n := range im.order {
		switch n.op {
		case "Variable", "VariableV2", "VarHandleOp", "ReadVariableOp", "HashTableV2":
			im.problems = append(im.problems, &format.Error{Offset: n.offset, Node: fmt.Sprintf("%s %q", n.op, n.name),
				Why: "it is a variable, whose value is not in this file", Next: "freeze the graph first (tf.compat.v1.graph_util.convert_variables_to_constants)"})
			return
		}
	}
}

// tensorName is a tensor's name as values have it: without :0 and without the ^ of control edges.
func tensorName(name string) string {
	return strings.TrimSuffix(strings.TrimPrefix(name, "^"), ":0")
}

// split is the node and the number of the result of a tensor.
func split(name string) (node string, result int) {
	node, number, ok := strings.Cut(tensorName(name), ":")
	if n, err := strconv.Atoi(number); ok && err == nil && n >= 0 && n < 1<<16 {
		return node, n
	}
	return node, 0
}

// aside are operators that are no result of a network when nothing reads them.
var aside = map[string]bool{"Const": true, "NoOp": true, "Placeholder": true, "PlaceholderWithDefault": true, "Assert": true, "SaveV2": true, "RestoreV2": true}

// outputs are the tensors asked for, or those of nodes that no node reads.
func (im *importer) outputs() []string {
	if len(im.options.Outputs) > 0 {
		for _, name := range im.options.Outputs {
			if node, _ := split(name); im.nodes[node] == nil {
				im.unknown("output", name)
			}
		}
		return im.options.Outputs
	}
	read := map[string]bool{}
	for _, n := range im.order {
		for _, in := range n.inputs {
			node, _ := split(in)
			read[node] = true
		}
	}
	var outputs []string
	for _, n := range im.order {
		if !read[n.name] && !aside[n.op] {
			outputs = append(outputs, n.name)
		}
	}
	if len(outputs) == 0 {
		im.problems = append(im.problems, &format.Error{Offset: -1, Why: "every node is read by another, so that it is not clear what the outputs are", Next: "name them with --outputs"})
	}
	return outputs
}

func (im *importer) unknown(what, name string) {
	names := make([]string, 0, len(im.order))
	for _, n := range im.order {
		names = append(names, n.name)
	}
	im.problems = append(im.problems, &format.Error{Offset: -1, Why: fmt.Sprintf("no node computes the %s %q%s", what, name, suggest.DidYouMean(tensorName(name), names))})
}

// decoders are operators that make features of sound, images and records. A network is cut after them.
var decoders = map[string]bool{"Mfcc": true, "AudioSpectrogram": true, "DecodeWav": true, "DecodeJpeg": true, "DecodePng": true, "DecodeImage": true,
	"DecodeBmp": true, "DecodeGif": true, "DecodeRaw": true, "ParseExample": true, "ParseSingleExample": true, "IteratorGetNext": true}

// cut decides where the graph starts.
func (im *importer) cut(outputs []string) {
	im.cuts = map[string]bool{}
	for _, name := range im.options.Inputs {
		if node, _ := split(name); im.nodes[node] == nil {
			im.unknown("input", name)
		}
		im.cuts[tensorName(name)] = true
	}
	if len(im.options.Inputs) > 0 {
		return
	}
	// The last decoders on the way to the outputs.
	seen := map[string]bool{}
	stack := slices.Clone(outputs)
	for len(stack) > 0 {
		name := tensorName(stack[len(stack)-1])
		stack = stack[:len(stack)-1]
		node, _ := split(name)
		n := im.nodes[node]
		if n == nil || seen[node] && !decoders[n.op] {
			continue
		}
		seen[node] = true
		if decoders[n.op] {
			if !im.cuts[name] {
				im.cuts[name] = true
				im.note("the network is cut after %s: its input is %q", n.op, name)
			}
			continue
		}
		stack = append(stack, n.inputs...)
	}
}

// build makes nodes of everything that the outputs need.
func (im *importer) build(outputs []string) {
	im.findLoops()
	for _, n := range im.order {
		for _, in := range n.inputs {
			im.readers[tensorName(in)]++
			node, i := split(in)
			im.results[node] = max(im.results[node], i+1)
		}
		if strings.HasPrefix(n.op, "FakeQuant") && len(n.inputs) > 0 {
			im.rounders[tensorName(n.inputs[0])] = true
		}
	}
	for _, name := range outputs {
		im.readers[tensorName(name)]++
	}
	for _, name := range outputs {
		v, err := im.value(name)
		if err != nil {
			im.problems = append(im.problems, err)
			continue
		}
		_, taken := im.made.names[tensorName(name)]
		if v != nil && len(im.options.Outputs) > 0 && !taken {
			// What is asked for only hands another tensor on, and is not there otherwise.
			y := &graph.Value{Name: im.fresh(tensorName(name)), Origin: v.Source(), Type: v.Type}
			im.graph.Nodes = append(im.graph.Nodes, &graph.Node{Name: y.Name, Op: &op.Identity{}, Inputs: []*graph.Value{v}, Outputs: []*graph.Value{y}})
			v = y
		}
		if v != nil && !slices.Contains(im.graph.Outputs, v) {
			im.graph.Outputs = append(im.graph.Outputs, v)
		}
	}
	for i, v := range im.graph.Outputs { // an output is no input and no constant
		if v.Const != nil || slices.Contains(im.graph.Inputs, v) {
			y := &graph.Value{Name: im.fresh(v.Name + "_output"), Origin: v.Source(), Type: v.Type}
			im.graph.Nodes = append(im.graph.Nodes, &graph.Node{Name: y.Name, Op: &op.Identity{}, Inputs: []*graph.Value{v}, Outputs: []*graph.Value{y}})
			im.graph.Outputs[i] = y
		}
	}
}

// maxDepth bounds how deep nodes are followed without a list of their own.
const maxDepth = 100_000

// value is a tensor, with all nodes it needs built before it.
func (im *importer) value(name string) (*graph.Value, error) {
	// Nodes are built from the bottom by a list instead of by recursion: networks are deep.
	type entry struct {
		name  string
		needs []string
		next  int
	}
	stack := []entry{{name: tensorName(name)}}
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		if im.values[top.name] != nil {
			stack = stack[:len(stack)-1]
			continue
		}
		node, _ := split(top.name)
		n := im.nodes[node]
		switch {
		case n == nil:
			return nil, &format.Error{Offset: -1, Why: fmt.Sprintf("no node computes %q", top.name)}
		case im.made.values > maxMade:
			return nil, &format.Error{Offset: n.offset, Node: fmt.Sprintf("%s %q", n.op, n.name), Why: fmt.Sprintf("the network has more than %d values", maxMade)}
		case im.cuts[top.name]:
			im.input(n, top.name)
			stack = stack[:len(stack)-1]
			continue
		}
		if top.next == 0 {
			if im.state[node] == building {
				return nil, &format.Error{Offset: n.offset, Node: fmt.Sprintf("%s %q", n.op, n.name), Why: "it depends on its own result"}
			}
			im.state[node] = building
			top.needs = im.needs(n)
		}
		if top.next < len(top.needs) {
			top.next++
			if need := tensorName(top.needs[top.next-1]); im.values[need] == nil {
				stack = append(stack, entry{name: need})
				if len(stack) > maxDepth {
					return nil, &format.Error{Offset: n.offset, Why: "nodes depend on each other too deeply"}
				}
			}
			continue
		}
		im.state[node] = built
		im.node(n)
		if im.values[top.name] == nil {
			if len(im.problems) > 0 {
				return nil, nil // which say why
			}
			return nil, &format.Error{Offset: n.offset, Node: fmt.Sprintf("%s %q", n.op, n.name), Why: fmt.Sprintf("it has no result %q", top.name)}
		}
		stack = stack[:len(stack)-1]
	}
	return im.values[tensorName(name)], nil
}

// needs are the tensors that a node reads; control edges mean nothing in a frozen graph.
func (im *importer) needs(n *nodeDef) []string {
	if f := im.loopOf(n); f != nil {
		return f.needs()
	}
	return slices.DeleteFunc(slices.Clone(n.inputs), func(in string) bool { return strings.HasPrefix(in, "^") })
}

// fresh is a name that the graph does not have: base or, if that is taken, base_1, base_2, …
func (im *importer) fresh(base string) string {
	im.made.values++
	names := im.made.names
	name := base
	for i, taken := names[base]; taken || im.nodes[name] != nil && name != base; _, taken = names[name] {
		i++
		name, names[base] = base+"_"+strconv.Itoa(i), i
	}
	names[name] = 0
	return name
}

// input makes a tensor an input of the graph. Its type is what the node says of its result.
func (im *importer) input(n *nodeDef, name string) {
	v := &graph.Value{Name: im.fresh(name)}
	v.Type.DType = tensor.Float32
	for _, key := range []string{"dtype", "T", "DstT"} {
		if a := n.attributes[key]; a != nil {
			if d := dtypes[a.dtype]; d != tensor.Invalid {
				v.Type.DType = d
				break
			}
		}
	}
	if a := n.attributes["shape"]; a != nil && a.shape != nil && !a.shape.unknown {
		v.Type.Shape = dims(a.shape)
	}
	if a := n.attributes["dct_coefficient_count"]; n.op == "Mfcc" && a != nil && a.integer > 0 && a.integer < 1<<20 {
		v.Type.Shape = graph.Shape{graph.Fixed(1), {Size: graph.Unknown, Symbol: "frames"}, graph.Fixed(int(a.integer))}
	}
	im.values[name] = v
	im.graph.Inputs = append(im.graph.Inputs, v)
}

func dims(s *shapeProto) graph.Shape {
	shape := graph.Shape{}
	for i, n := range s.dims {
		d := graph.Dim{Size: graph.Unknown}
		if n >= 0 && n <= tensor.MaxElements {
			d = graph.Fixed(int(n))
		} else if i == 0 {
			d.Symbol = "N"
		}
		shape = append(shape, d)
	}
	return shape
}

// node builds one node.
func (im *importer) node(n *nodeDef) {
	if f := im.loopOf(n); f != nil {
		if err := f.build(im); err != nil {
			im.problem(n, "%v", err)
		}
		return
	}
	c := &call{im: im, def: n}
	for _, in := range n.inputs {
		if strings.HasPrefix(in, "^") {
			continue
		}
		c.in = append(c.in, im.values[tensorName(in)])
	}
	row, known := im.rows[n.op]
	if !known {
		c.unknown()
		return
	}
	if len(c.in) < row.inputs {
		im.problem(n, "it has %d inputs, wants at least %d", len(c.in), row.inputs)
		return
	}
	if err := row.build(c); errors.Is(err, errUnknown) {
		c.unknown()
	} else if err != nil {
		im.problem(n, "%v", err)
	}
}

// errUnknown is a node that has a row but cannot be expressed: it is kept as an operator that is not known.
var errUnknown = errors.New("the node cannot be expressed")
