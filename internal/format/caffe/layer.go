package caffe

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/suggest"
	"github.com/octet-nn/octet/tensor"
)

// layer is one layer of the file while it is translated.
type layer struct {
	im            *importer
	message       *message
	line          int
	name, kind    string
	bottoms, tops []string
	in, out       []*graph.Value
	params        []*params
}

// oldKinds are the types of layers that are spelled as constants, in old files.
var oldKinds = map[string]string{
	"ABSVAL": "AbsVal", "ACCURACY": "Accuracy", "ARGMAX": "ArgMax", "BNLL": "BNLL", "CONCAT": "Concat",
	"CONTRASTIVE_LOSS": "ContrastiveLoss", "CONVOLUTION": "Convolution", "DATA": "Data", "DECONVOLUTION": "Deconvolution",
	"DROPOUT": "Dropout", "DUMMY_DATA": "DummyData", "EUCLIDEAN_LOSS": "EuclideanLoss", "ELTWISE": "Eltwise", "EXP": "Exp",
	"FLATTEN": "Flatten", "HDF5_DATA": "HDF5Data", "HDF5_OUTPUT": "HDF5Output", "HINGE_LOSS": "HingeLoss",
	"IM2COL": "Im2col", "IMAGE_DATA": "ImageData", "INFOGAIN_LOSS": "InfogainLoss", "INNER_PRODUCT": "InnerProduct",
	"LRN": "LRN", "MEMORY_DATA": "MemoryData", "MULTINOMIAL_LOGISTIC_LOSS": "MultinomialLogisticLoss", "MVN": "MVN",
	"POOLING": "Pooling", "POWER": "Power", "RELU": "ReLU", "SIGMOID": "Sigmoid",
	"SIGMOID_CROSS_ENTROPY_LOSS": "SigmoidCrossEntropyLoss", "SILENCE": "Silence", "SOFTMAX": "Softmax",
	"SOFTMAX_LOSS": "SoftmaxWithLoss", "SPLIT": "Split", "SLICE": "Slice", "TANH": "TanH", "WINDOW_DATA": "WindowData",
	"THRESHOLD": "Threshold",
}

func newLayer(im *importer, m *message) *layer {
	l := &layer{im: im, message: m, line: m.line, name: m.text("name"), kind: m.text("type"), bottoms: m.texts("bottom"), tops: m.texts("top")}
	if kind, old := oldKinds[l.kind]; old {
		l.kind = kind
	}
	if l.name == "" && len(l.tops) > 0 {
		l.name = l.tops[0]
	}
	return l
}

func (l *layer) String() string { return fmt.Sprintf("%s layer %q", l.kind, l.name) }

// inTest reports whether the layer is part of the network in the phase TEST, at level 0, without stages.
func (l *layer) inTest() bool {
	meets := func(rule *message) bool {
		phase := rule.text("phase")
		lowest, _ := strconv.Atoi(rule.text("min_level"))
		highest, err := strconv.Atoi(rule.text("max_level"))
		return (phase == "" || phase == "TEST" || phase == "1") && lowest <= 0 && (err != nil || highest >= 0) && len(rule.all("stage")) == 0
	}
	include, exclude := l.message.messages("include"), l.message.messages("exclude")
	if len(include) > 0 {
		return slices.ContainsFunc(include, meets)
	}
	return !slices.ContainsFunc(exclude, meets)
}

// idle reports whether the layer does nothing to the blob that it writes over.
func (l *layer) idle() bool {
	return (l.kind == "Dropout" || l.kind == "Split") && len(l.tops) == 1 && slices.Equal(l.bottoms, l.tops)
}

// params is a message with a layer's parameters. What is wrong with them is kept.
type params struct {
	key      string
	message  *message // nil if the layer has none
	asked    map[string]bool
	allowed  bool // other fields may be there
	problems []error
}

// all is the fields of a name.
func (p *params) all(name string) []*field {
	p.asked[name] = true
	return p.message.all(name)
}

// param is the layer's parameters of a name.
func (l *layer) param(key string) *params {
	p := &params{key: key, asked: map[string]bool{}}
	if all := l.message.messages(key); len(all) > 0 {
		p.message = &message{line: all[0].line}
		for _, m := range all { // protobuf merges them
			p.message.fields = append(p.message.fields, m.fields...)
		}
	}
	l.params = append(l.params, p)
	return p
}

// messages are the messages of a name.
func (p *params) messages(name string) []*message {
	p.asked[name] = true
	return p.message.messages(name)
}

func (p *params) bad(f *field, want string) {
	p.problems = append(p.problems, wrongLine(f.line, "%s.%s: want %s and not %q", p.key, f.name, want, f.text))
}

// last is the field of a name that counts; nil if there is none.
func (p *params) last(name string) *field {
	if all := p.all(name); len(all) > 0 {
		return all[len(all)-1]
	}
	return nil
}

// maxParam bounds integers, so that no sum of a few overflows.
const maxParam = 1 << 30

func (p *params) parseInt(f *field, lowest int) int {
	n, err := strconv.Atoi(f.text)
	if err != nil || n < lowest || n > maxParam {
		p.bad(f, fmt.Sprintf("an integer from %d on", lowest))
		return max(lowest, 1)
	}
	return n
}

// int is an integer of at least lowest.
func (p *params) int(name string, absent, lowest int) int {
	if f := p.last(name); f != nil {
		return p.parseInt(f, lowest)
	}
	return absent
}

func (p *params) has(name string) bool { return len(p.all(name)) > 0 }

// ints are integers of at least lowest.
func (p *params) ints(name string, lowest int) []int {
	var out []int
	for _, f := range p.all(name) {
		out = append(out, p.parseInt(f, lowest))
	}
	return out
}

func (p *params) parseFloat(f *field) float64 {
	v, err := strconv.ParseFloat(strings.TrimSuffix(f.text, "f"), 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		p.bad(f, "a number")
		return 0
	}
	return v
}

func (p *params) float(name string, absent float64) float64 {
	if f := p.last(name); f != nil {
		return p.parseFloat(f)
	}
	return absent
}

func (p *params) floats(name string) []float64 {
	var out []float64
	for _, f := range p.all(name) {
		out = append(out, p.parseFloat(f))
	}
	return out
}

func (p *params) bool(name string, absent bool) bool {
	f := p.last(name)
	if f == nil {
		return absent
	}
	switch f.text {
	case "true", "True", "t", "1":
		return true
	case "false", "False", "f", "0":
		return false
	}
	p.bad(f, "true or false")
	return absent
}

// enum is one of several words, which the file may also give by its number.
func (p *params) enum(name string, words ...string) string {
	f := p.last(name)
	if f == nil {
		return words[0]
	}
	if i, err := strconv.Atoi(f.text); err == nil && i >= 0 && i < len(words) {
		return words[i]
	}
	if !slices.Contains(words, f.text) {
		p.bad(f, "one of "+strings.Join(words, ", "))
		return words[0]
	}
	return f.text
}

// idle are fields that change nothing when a network is used.
var idle = []string{"weight_filler", "bias_filler", "filler", "scale_filler", "engine", "stable_prod_grad", "force_nd_im2col",
	"moving_average_fraction", "dropout_ratio", "scale_train", "fuse_type", "share_in_parallel", "use_global_stats", "kernel_dim", "code_type"}

// checkFields reports wrong parameters and, of a layer that could be built, those that nobody asked for: Caffe refuses
// them too, and one that is mistyped would leave its default.
func (l *layer) checkFields(built bool) {
	for _, p := range l.params {
		l.im.problems = append(l.im.problems, p.problems[:min(len(p.problems), max(maxProblems-len(l.im.problems), 0))]...)
		if p.message == nil || p.allowed || !built {
			continue
		}
		known := slices.Collect(maps.Keys(p.asked))
		for _, f := range p.message.fields {
			if !f.used && !slices.Contains(idle, f.name) && len(l.im.problems) < maxProblems {
				l.im.problem(f.line, "%s: %s has the field %q, which has no meaning here%s", l, p.key, f.name, near(f.name, known))
			}
		}
	}
}

// near suggests names like one, where that does not take long.
func near(name string, known []string) string {
	const longest, most = 100, 1000
	if len(name) > longest || len(known) > most {
		return ""
	}
	return suggest.DidYouMean(name, known)
}

// blobs are the layer's weights, at least n.
func (l *layer) blobs(n int) ([]*blob, error) {
	all := l.im.weights[l.name]
	if len(all) >= n {
		return all, nil
	}
	file := l.im.options.Weights
	if file == "" {
		file = "the .caffemodel"
	}
	if len(all) > 0 {
		return nil, fmt.Errorf("%s has %d blobs of weights for it, %d are needed", file, len(all), n)
	}
	return nil, fmt.Errorf("%s has no weights for it%s; do the two files belong together?", file, near(l.name, slices.Collect(maps.Keys(l.im.weights))))
}

// constant is a blob as a constant of a shape with as many elements.
func (l *layer) constant(b *blob, suffix string, shape ...int) (*graph.Value, error) {
	count, ok := tensor.Count(shape)
	if !ok || count != b.len() {
		return nil, fmt.Errorf("%s: its weights have shape %v, but %v is needed", suffix, b.shape, shape)
	}
	t, err := tensor.FromBytes(tensor.Float32, shape, b.data)
	if err != nil {
		return nil, err
	}
	return l.im.constant(l.name+"/"+suffix, t), nil
}

// list is a constant list of integers.
func (l *layer) list(suffix string, values ...int64) *graph.Value {
	return l.im.constant(l.name+"/"+suffix, tensor.Of(slices.Clone(values), len(values)))
}

// scalar is a constant number.
func (l *layer) scalar(suffix string, v float64) *graph.Value {
	return l.im.constant(l.name+"/"+suffix, tensor.Of([]float32{float32(v)}))
}

// filled is n times a number.
func (l *layer) filled(suffix string, n int, v float32) *graph.Value {
	return l.im.constant(l.name+"/"+suffix, tensor.Of(slices.Repeat([]float32{v}, n), n))
}

// node adds an operator that makes the layer's first result.
func (l *layer) node(o graph.Operator, in ...*graph.Value) error {
	return l.im.add(l, o, in, l.out[:1])
}

// step adds an operator that makes an intermediate value.
func (l *layer) step(suffix string, o graph.Operator, in ...*graph.Value) (*graph.Value, error) {
	v := &graph.Value{Name: l.im.fresh(l.name + "/" + suffix)}
	return v, l.im.add(l, o, in, []*graph.Value{v})
}

// errUnranked is a layer that depends on a shape that does not follow from the file.
var errUnranked = errors.New("it depends on the shape of its input, which is not known; give the network's input a shape")

// shape is the shape of bottom i, whose number of dimensions must be known.
func (l *layer) shape(i int) (graph.Shape, error) {
	s := l.in[i].Type.Shape
	if s == nil {
		return nil, errUnranked
	}
	return s, nil
}

// axis is an axis parameter, which may count from the end, as a number from 0 to limit.
func axis(value, rank, limit int) (int, error) {
	at := value
	if at < 0 {
		at += rank
	}
	if at < 0 || at > limit {
		return 0, fmt.Errorf("axis %d of an input with %d dimensions", value, rank)
	}
	return at, nil
}

// axisOf is the axis that a parameter names, of bottom 0.
func (l *layer) axisOf(p *params, name string, absent int) (int, error) {
	value := p.int(name, absent, -32)
	s := l.in[0].Type.Shape
	if s == nil {
		if value < 0 {
			return 0, errUnranked
		}
		return value, nil
	}
	return axis(value, len(s), len(s)-1)
}

// unknown keeps a layer that has no counterpart.
func unknown(l *layer) error {
	return l.im.add(l, &op.Unknown{Domain: "caffe", Name: l.kind}, l.in, l.out)
}
