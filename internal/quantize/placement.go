package quantize

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/suggest"
	"github.com/octet-nn/octet/tensor"
)

// placement decides which nodes compute on codes and which values are stored as codes.
type placement struct {
	g       *graph.Graph
	index   *graph.Index
	options *Options
	forms   map[*graph.Node]op.IntegerForm // nodes that will compute on codes
	reasons map[*graph.Node]string         // why the others stay float; nodes without float values are in neither
}

func newPlacement(g *graph.Graph, o *Options) (*placement, error) {
	p := &placement{g, g.Index(), o, map[*graph.Node]op.IntegerForm{}, map[*graph.Node]string{}}
	kept, err := keptFloat(g, o)
	if err != nil {
		return nil, err
	}
	for _, n := range g.Nodes {
		if !handlesFloats(n) {
			continue
		}
		form, why := o.Target.form(n)
		if reason := kept[n]; reason != "" {
			why = reason
		}
		if why != "" {
			p.reasons[n] = why
			continue
		}
		p.forms[n] = form
	}
	p.keepPostProcessing()
	p.dropUnanchored()
	return p, nil
}

// reject makes a node stay float.
func (p *placement) reject(n *graph.Node, why string) {
	delete(p.forms, n)
	p.reasons[n] = why
}

// handlesFloats reports whether a node reads or makes float values; others (shape arithmetic, nodes that already are
// integer) are not quantize's business.
func handlesFloats(n *graph.Node) bool {
	if n.Compute != graph.Float {
		return false
	}
	isFloat := func(v *graph.Value) bool { return v != nil && v.Type.DType.IsFloat() }
	return slices.ContainsFunc(n.Outputs, isFloat)
}

// integerForm asks the operator, and checks what it presumes of its operands.
func integerForm(n *graph.Node) (op.IntegerForm, string) {
	o, ok := n.Op.(op.Integer)
	if !ok {
		if _, unknown := n.Op.(*op.Unknown); unknown {
			return op.IntegerForm{}, "the operator is not known"
		}
		return op.IntegerForm{}, "the operator has no integer form"
	}
	form, err := o.Integer(n)
	if err != nil {
		return form, err.Error()
	}
	for i, v := range n.Inputs {
		if v == nil {
			continue
		}
		switch role := form.Roles[i]; {
		case role != op.Plain && v.Type.DType != tensor.Float32:
			return form, fmt.Sprintf("input %d is %s, not f32", i, v.Type.DType)
		case role == op.Weight && v.Const == nil:
			return form, "its weights are not constant"
		case role == op.Bias && v.Const == nil:
			return form, "its bias is not constant"
		}
	}
	for i, v := range n.Outputs {
		if v != nil && v.Type.DType != tensor.Float32 {
			return form, fmt.Sprintf("output %d is %s, not f32", i, v.Type.DType)
		}
	}
	return form, ""
}

// postProcessing lists operators that are kept float after the last layer that multiplies by weights or pools: the
// decoding of boxes, probabilities and the like, where 1/256 steps hurt and nothing is gained.
var postProcessing = []string{"Softmax", "LogSoftmax", "Sigmoid", "HardSigmoid", "Tanh", "Exp", "Log", "Sqrt", "Pow", "Erf",
	"Add", "Sub", "Mul", "Div", "Reciprocal", "Neg", "Abs"}

// anchors reports whether quantizing the node is worth something by itself: it multiplies by weights, or two
// activations by each other.
func anchors(form op.IntegerForm, n *graph.Node) bool {
	return slices.Contains(form.Roles, op.Weight) || n.Op.Type() == "MatMul"
}

// summarizes reports whether the node reduces many values to few, as pools do: what comes before it is not
// post-processing.
func summarizes(n *graph.Node) bool {
	if len(n.Inputs) == 0 || n.Inputs[0] == nil || n.Outputs[0] == nil {
		return false
	}
	_, costs := n.Op.(op.Coster)
	in, inKnown := n.Inputs[0].Type.Shape.Known()
	out, outKnown := n.Outputs[0].Type.Shape.Known()
	if inKnown && outKnown {
		a, _ := tensor.Count(in)
		b, _ := tensor.Count(out)
		return a >= 4*b && costs
	}
	switch n.Op.Type() {
	case "GlobalAveragePool", "GlobalMaxPool", "AveragePool", "ReduceMean", "ReduceMax", "ReduceSum":
		return true
	}
	return false
}

// keepPostProcessing rejects arithmetic from which no further layer is reached.
func (p *placement) keepPostProcessing() {
	reaches := map[*graph.Value]bool{} // values that lead to a layer
	for _, n := range slices.Backward(p.g.Nodes) {
		form, integer := p.forms[n]
		leads := integer && anchors(form, n) || summarizes(n) ||
			slices.ContainsFunc(n.Outputs, func(v *graph.Value) bool { return v != nil && reaches[v] })
		if leads {
			for _, v := range n.Inputs {
				if v != nil {
					reaches[v] = true
				}
			}
			continue
		}
		if integer && slices.Contains(postProcessing, n.Op.Type()) && !p.options.QuantizeIO {
			p.reject(n, "it comes after the last layer, where 8-bit steps would coarsen the results")
		}
	}
}

// dropUnanchored rejects nodes that are not connected, through nodes on codes, with any layer worth quantizing.
func (p *placement) dropUnanchored() {
	group := newSets[*graph.Node]()
	anchored := map[*graph.Node]bool{}
	for n := range p.forms {
		for _, v := range n.Inputs {
			if v == nil || v.Const != nil {
				continue
			}
			if m := p.index.Producer(v); m != nil && p.isInteger(m) {
				group.union(n, m)
			}
			for _, use := range p.index.Uses(v) {
				if p.isInteger(use.Node) {
					group.union(n, use.Node)
				}
			}
		}
	}
	for n, form := range p.forms {
		if anchors(form, n) {
			anchored[group.find(n)] = true
		}
	}
	for _, n := range p.g.Nodes {
		if p.isInteger(n) && !anchored[group.find(n)] {
			p.reject(n, "no neighbouring layer is quantized, so that converting would cost more than it gains")
		}
	}
}

func (p *placement) isInteger(n *graph.Node) bool {
	_, ok := p.forms[n]
	return ok
}

// activations lists the operands of a node on codes that are activations.
func (p *placement) activations(n *graph.Node) []*graph.Value {
	var vs []*graph.Value
	for i, v := range n.Inputs {
		if v != nil && p.forms[n].Roles[i] == op.Activation {
			vs = append(vs, v)
		}
	}
	return vs
}

// floatResult reports whether a layer on codes hands out its exact sums as floats: it multiplies by weights, and
// nobody reads its result as codes.
func (p *placement) floatResult(n *graph.Node) bool {
	form := p.forms[n]
	if !slices.Contains(form.Roles, op.Weight) || len(n.Outputs) != 1 || p.options.Target.CodeResults {
		return false
	}
	v := n.Outputs[0]
	if p.options.QuantizeIO && p.index.IsOutput(v) {
		return false
	}
	return !slices.ContainsFunc(p.index.Uses(v), func(u graph.Use) bool {
		return p.isInteger(u.Node) && p.forms[u.Node].Roles[u.Index] == op.Activation
	})
}

// quantized lists the values that will be stored as codes, constants used as activations included, in graph order.
func (p *placement) quantized() []*graph.Value {
	seen := map[*graph.Value]bool{}
	var all []*graph.Value
	add := func(v *graph.Value) {
		if v != nil && !seen[v] {
			seen[v] = true
			all = append(all, v)
		}
	}
	for _, n := range p.g.Nodes {
		if !p.isInteger(n) {
			continue
		}
		for _, v := range p.activations(n) {
			add(v)
		}
		if !p.floatResult(n) {
			for _, v := range n.Outputs {
				add(v)
			}
		}
	}
	return all
}

// matches reports whether a name fits a pattern of path.Match, in which * and ? stand for slashes too: parts of names
// are no folders.
func matches(pattern, name string) (bool, error) {
	const other = "\x00"
	return path.Match(strings.ReplaceAll(pattern, "/", other), strings.ReplaceAll(name, "/", other))
}

// literal is the longest part of a pattern that stands for itself.
func literal(pattern string) string {
	longest := ""
	for _, part := range strings.FieldsFunc(pattern, func(r rune) bool { return strings.ContainsRune(`*?[]\`, r) }) {
		if len(part) > len(longest) {
			longest = part
		}
	}
	return longest
}

// keptFloat finds the nodes that the user wants float and the reason to show. Patterns and types that match nothing
// are errors, all reported at once, with the nearest names.
func keptFloat(g *graph.Graph, o *Options) (map[*graph.Node]string, error) {
	kept := map[*graph.Node]string{}
	var problems []error
	var names, types []string
	for _, n := range g.Nodes {
		names = append(names, nodeNames(n)...)
		types = append(types, n.Op.Type())
	}
	for _, pattern := range o.KeepFloat {
		matched := false
		for _, n := range g.Nodes {
			for _, name := range nodeNames(n) {
				ok, err := matches(pattern, name)
				if err != nil {
					return nil, fmt.Errorf("keep-float pattern %q: %w (a pattern has * ? [a-z]; write \\[ for a bracket)", pattern, err)
				}
				if ok || name == pattern {
					kept[n] = fmt.Sprintf("kept float because its name matches %q", pattern)
					matched = true
				}
			}
		}
		if !matched {
			problems = append(problems, fmt.Errorf("keep-float pattern %q matches no node or value%s; octet inspect --nodes lists the names",
				pattern, suggest.DidYouMean(literal(pattern), names)))
		}
	}
	for _, t := range o.KeepFloatOps {
		matched := false
		for _, n := range g.Nodes {
			if n.Op.Type() == t {
				kept[n] = fmt.Sprintf("kept float because all %s are", t)
				matched = true
			}
		}
		if !matched {
			problems = append(problems, fmt.Errorf("no operator of the model is a %q%s", t, suggest.DidYouMean(t, types)))
		}
	}
	return kept, errors.Join(problems...)
}

// nodeNames are the names by which a pattern can select a node: its own and those of its results.
func nodeNames(n *graph.Node) []string {
	names := []string{n.Name}
	for _, v := range n.Outputs {
		if v == nil {
			continue
		}
		names = append(names, v.Name)
		if v.Origin != "" && v.Origin != v.Name {
			names = append(names, v.Origin)
		}
	}
	return names
}

// sets is a union-find structure.
type sets[T comparable] struct{ parent map[T]T }

func newSets[T comparable]() *sets[T] { return &sets[T]{map[T]T{}} }

func (s *sets[T]) find(x T) T {
	p, ok := s.parent[x]
	if !ok || p == x {
		return x
	}
	root := s.find(p)
	s.parent[x] = root
	return root
}

func (s *sets[T]) union(a, b T) {
	if ra, rb := s.find(a), s.find(b); ra != rb {
		s.parent[ra] = rb
	}
}
