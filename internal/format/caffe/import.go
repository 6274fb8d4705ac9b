// Package caffe reads networks of Caffe: a .prototxt file with the layers and a .caffemodel file with their weights.
//
// Layers become operators with the semantics of ONNX, channels first. A network is read as it is used, in the phase TEST:
// what belongs to training (losses, accuracy, layers that are included in the phase TRAIN only) is left out, and a data
// layer becomes an input. Where several layers write one blob, the last value has its name and the ones before it are
// called blob#0, blob#1, …, as MACE calls them. Batch normalization uses the stored statistics. Layers that have no counterpart stay
// in the graph by their type.
package caffe

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/octet-nn/octet/internal/format"
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// Options say how a network is read. The zero value will do.
type Options struct {
	File    string // name of the .prototxt file, for messages
	Weights string // name of the .caffemodel file, for messages
	Limits  format.Limits
}

// IsStructure reports whether data looks like a .prototxt file: text with layers or inputs.
func IsStructure(data []byte) bool {
	const enough = 1 << 16
	head := data[:min(len(data), enough)]
	for _, c := range head {
		if c < ' ' && (c < '\t' || c > '\r') {
			return false
		}
	}
	p := &textParser{limits: format.Limits{}.WithDefaults(), rest: head, line: 1}
	for p.next() == nil && p.kind != 0 {
		if p.kind != 'w' {
			continue
		}
		switch word := string(p.token); word {
		case "layer", "layers", "input", "input_dim", "input_shape":
			if err := p.next(); err != nil {
				return false
			}
			return p.kind == ':' || p.kind == '{'
		}
	}
	return false
}

// Read makes a graph of a .prototxt file and the .caffemodel file with its weights. Constants are parts of weights, which
// must not change. Errors are *format.Error, joined if there are several.
func Read(structure, weights []byte, o Options) (*graph.Graph, error) {
	limits := o.Limits.WithDefaults()
	net, err := parseText(structure, limits)
	if err != nil {
		return nil, inFiles(err, o)
	}
	blobs, err := readWeights(weights, limits)
	if err != nil {
		return nil, format.InFile(err, o.Weights)
	}
	im := &importer{limits: limits, options: o, weights: blobs, blobs: map[string]*graph.Value{}, names: map[string]int{},
		dropped: map[string]bool{}, last: map[string]int{}, writes: map[string]int{}, read: map[string]bool{}, graph: &graph.Graph{Name: net.text("name")}}
	if im.facts, err = op.Infer(&graph.Graph{}); err != nil {
		return nil, err
	}
	im.run(net)
	if err := errors.Join(im.problems...); err != nil {
		return nil, inFiles(err, o)
	}
	if err := im.graph.Check(); err != nil {
		return nil, format.InFile(err, o.File)
	}
	return im.graph, nil
}

// inFiles turns errors with lines into *format.Error.
func inFiles(err error, o Options) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, inFiles(e, o))
		}
		return errors.Join(all...)
	}
	var line *lineError
	if errors.As(err, &line) {
		return &format.Error{File: o.File + ":" + strconv.Itoa(line.line), Offset: -1, Why: line.why}
	}
	return format.InFile(err, o.File)
}

// importer holds what is known while a graph is built.
type importer struct {
	limits   format.Limits
	options  Options
	weights  map[string][]*blob // by layer
	graph    *graph.Graph
	facts    *op.Facts
	blobs    map[string]*graph.Value // by name: the value that a blob has now
	names    map[string]int          // of values: how many were derived from it
	last     map[string]int          // the last layer that writes a blob
	writes   map[string]int          // how many layers wrote a blob so far
	dropped  map[string]bool         // blobs that only training has: labels, and what is computed of them
	read     map[string]bool         // names of values that a layer reads
	priors   int                     // numbers made by PriorBox layers
	problems []error
}

const (
	maxProblems = 100  // that are reported
	maxName     = 1000 // bytes of names: other names are made of them
	maxRank     = 32   // as in Caffe
)

func (im *importer) problem(line int, text string, args ...any) {
	if len(im.problems) < maxProblems {
		im.problems = append(im.problems, wrongLine(line, text, args...))
	}
}

// fresh is base or, if that is taken, base_1, base_2, …
func (im *importer) fresh(base string) string {
	name := base
	for i, taken := im.names[base]; taken; _, taken = im.names[name] {
		i++
		name, im.names[base] = base+"_"+strconv.Itoa(i), i
	}
	im.names[name] = 0
	return name
}

func (im *importer) run(net *message) {
	var layers, trainers []*layer
	for _, key := range []string{"layer", "layers"} {
		for _, m := range net.messages(key) {
			l := newLayer(im, m)
			switch {
			case !im.checkNames(l) || l.idle():
			case l.inTest():
				layers = append(layers, l)
			case l.row().data != nil:
				trainers = append(trainers, l)
			}
		}
	}
	if len(layers) > im.limits.MaxNodes {
		im.problem(net.line, "the network has more than %d layers", im.limits.MaxNodes)
		return
	}
	for i, l := range layers {
		for _, top := range l.tops {
			im.last[top] = i
			im.names[top] = 0 // other values must not take it
		}
	}
	im.inputs(net)
	for _, l := range trainers { // where nothing else writes what they do, they tell what the inputs are
		if len(l.tops) > 0 && slices.ContainsFunc(l.tops, func(top string) bool { _, written := im.last[top]; return written }) {
			continue
		}
		im.data(l, l.row())
	}
	for i, l := range layers {
		im.layer(i, l)
	}
	im.outputs(layers)
	if len(layers) == 0 {
		im.problem(net.line, "the network has no layers")
	} else if len(im.graph.Inputs) == 0 && len(im.problems) == 0 {
		im.problem(net.line, `the network has no input; add layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 224 dim: 224 } } }`)
	}
}

// checkNames refuses names of absurd length.
func (im *importer) checkNames(l *layer) bool {
	for _, names := range [][]string{{l.name, l.kind}, l.bottoms, l.tops} {
		for _, name := range names {
			if len(name) > maxName {
				im.problem(l.line, "a name has %d bytes; the limit is %d", len(name), maxName)
				return false
			}
		}
	}
	return true
}

// inputs makes the inputs that the network itself declares, as old files do.
func (im *importer) inputs(net *message) {
	names, shapes, sizes := net.all("input"), net.messages("input_shape"), net.all("input_dim")
	for i, f := range names {
		var dims []*field
		switch {
		case i < len(shapes):
			dims = shapes[i].all("dim")
		case len(sizes) >= 4*(i+1):
			dims = sizes[4*i : 4*i+4]
		}
		im.input(f.text, f.line, im.sizes(dims))
	}
}

// sizes are dimensions, each at least 1.
func (im *importer) sizes(fields []*field) []int {
	var out []int
	for _, f := range fields {
		n, err := strconv.Atoi(f.text)
		if err != nil || n < 1 || n > tensor.MaxElements || len(out) == maxRank {
			im.problem(f.line, "%s: %q is not the size of one of at most %d dimensions", f.name, f.text, maxRank)
			return nil
		}
		out = append(out, n)
	}
	return out
}

// input adds an input. How many samples a file has in a batch is a habit of its author and not a property of the network:
// except for 1, the size becomes free. Other sizes are free if they are 0; without sizes, all four are.
func (im *importer) input(name string, line int, sizes []int) {
	if name == "" || im.blobs[name] != nil {
		im.problem(line, "the input %q has no name or is there twice", name)
		return
	}
	if sizes == nil {
		sizes = make([]int, 4)
	}
	shape := graph.FixedShape(sizes...)
	for i, n := range sizes {
		const letters = "NCHW"
		switch {
		case n == 0 && i < len(letters):
			shape[i] = graph.Dim{Size: graph.Unknown, Symbol: letters[i : i+1]}
		case n > 1 && i == 0 && len(sizes) > 1:
			shape[i] = graph.Dim{Size: graph.Unknown, Symbol: "N"}
		}
	}
	v := &graph.Value{Name: name, Type: graph.Type{DType: tensor.Float32, Shape: shape}}
	im.names[name] = 0
	im.last[name] = -1 // layers that write over the input leave it its name
	im.blobs[name] = v
	im.graph.Inputs = append(im.graph.Inputs, v)
}

// layer translates layer number i.
func (im *importer) layer(i int, l *layer) {
	r := l.row()
	if r.data != nil {
		im.data(l, r)
		return
	}
	drop := r.training
	for _, bottom := range l.bottoms {
		if im.blobs[bottom] == nil && im.dropped[bottom] {
			drop = true
		}
	}
	if drop {
		for _, top := range l.tops {
			im.dropped[top] = im.blobs[top] == nil
		}
		return
	}
	for _, bottom := range l.bottoms {
		v := im.blobs[bottom]
		if v == nil {
			im.problem(l.line, "%s reads %q, which no layer before it writes", l, bottom)
			for _, top := range l.tops {
				im.dropped[top] = true // one message is enough
			}
			return
		}
		l.in = append(l.in, v)
		im.read[v.Name] = true
	}
	if len(l.in) < r.inputs || len(l.tops) == 0 || len(l.in) > r.most && r.most > 0 {
		im.problem(l.line, "%s has %d bottoms and %d tops", l, len(l.in), len(l.tops))
		return
	}
	tops := map[string]bool{}
	for _, top := range l.tops {
		if tops[top] {
			im.problem(l.line, "%s has the top %q twice", l, top)
			return
		}
		tops[top] = true
		name := top
		if im.last[top] != i {
			name = im.fresh(top + "#" + strconv.Itoa(im.writes[top]))
		}
		im.writes[top]++
		l.out = append(l.out, &graph.Value{Name: name})
	}
	err := r.build(l)
	if err != nil {
		im.problem(l.line, "%s: %v", l, err)
	}
	l.checkFields(err == nil)
	for k, top := range l.tops {
		im.blobs[top] = l.out[k]
	}
}

// data makes an input of what a data layer brings in, of the first top, the others being labels; Input layers have no
// labels.
func (im *importer) data(l *layer, r row) {
	sizes := r.data(l)
	for k, top := range l.tops {
		switch {
		case k > 0 && l.kind != "Input":
			im.dropped[top] = true
		case len(sizes) == 0:
			im.replaceInput(top, l.line, nil)
		default:
			im.replaceInput(top, l.line, sizes[min(k, len(sizes)-1)])
		}
	}
	l.checkFields(true)
}

// replaceInput adds the input that a data layer becomes. An input that the network declares already stays.
func (im *importer) replaceInput(name string, line int, sizes []int) {
	if im.blobs[name] == nil {
		im.input(name, line, sizes)
	}
}

// outputs makes outputs of the blobs that no layer reads.
func (im *importer) outputs(layers []*layer) {
	for _, l := range layers {
		for k, v := range l.out {
			if !im.read[v.Name] && im.blobs[l.tops[k]] == v {
				im.graph.Outputs = append(im.graph.Outputs, v)
			}
		}
	}
	if len(im.graph.Outputs) == 0 && len(im.problems) == 0 {
		im.problem(1, "the network has no outputs: every blob is read by a layer")
	}
}

// constant is a new constant.
func (im *importer) constant(name string, t *tensor.Tensor) *graph.Value {
	return &graph.Value{Name: im.fresh(name), Type: graph.TypeOf(t), Const: t}
}

// add appends a node and infers the types of its outputs.
func (im *importer) add(l *layer, o graph.Operator, in, out []*graph.Value) error {
	if len(im.graph.Nodes) == im.limits.MaxNodes {
		return fmt.Errorf("the network has more than %d operators", im.limits.MaxNodes)
	}
	n := &graph.Node{Name: l.name, Op: o, Inputs: in, Outputs: out}
	im.graph.Nodes = append(im.graph.Nodes, n)
	return im.facts.Node(n)
}
