package tensorflow

import (
	"fmt"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// While loops of TensorFlow 1 are nodes of the graph itself: every state goes in by Enter, Merge takes it or what
// NextIteration brings back, LoopCond decides, Switch sends it on or out, Exit leaves. Constants go in by an Enter of
// their own. Together they become one Loop.

// frame is one while loop.
type frame struct {
	name      string
	states    []loopState
	constants []*nodeDef // Enter nodes of what does not change
	condition *nodeDef   // LoopCond
	done      bool
}

// loopState is the nodes of one state.
type loopState struct{ enter, merge, turn, next, exit *nodeDef }

// findLoops puts the frames of the file together. Incomplete ones are left alone; their nodes are not known then.
func (im *importer) findLoops() {
	im.loops = map[*nodeDef]*frame{}
	readers := map[string][]*nodeDef{}
	for _, n := range im.order {
		for _, in := range n.inputs {
			node, _ := split(in)
			readers[node] = append(readers[node], n)
		}
	}
	reader := func(n *nodeDef, operator string) *nodeDef {
		for _, r := range readers[n.name] {
			if r.op == operator {
				return r
			}
		}
		return nil
	}
	frames := map[string]*frame{}
	var names []string
	for _, n := range im.order {
		if n.op != "Enter" {
			continue
		}
		name := ""
		if a := n.attributes["frame_name"]; a != nil {
			name = string(a.text)
		}
		f := frames[name]
		if f == nil {
			f = &frame{name: name}
			frames[name] = f
			names = append(names, name)
		}
		merge := reader(n, "Merge")
		if merge == nil {
			f.constants = append(f.constants, n)
			continue
		}
		s := loopState{enter: n, merge: merge, turn: reader(merge, "Switch")}
		for _, in := range merge.inputs {
			if node, _ := split(in); im.nodes[node] != nil && im.nodes[node].op == "NextIteration" {
				s.next = im.nodes[node]
			}
		}
		if s.turn != nil && len(s.turn.inputs) > 1 {
			node, _ := split(s.turn.inputs[1])
			f.condition = im.nodes[node]
			s.exit = reader(s.turn, "Exit")
		}
		f.states = append(f.states, s)
	}
	for _, name := range names {
		f := frames[name]
		whole := f.condition != nil && f.condition.op == "LoopCond" && len(f.condition.inputs) > 0
		for _, s := range f.states {
			whole = whole && s.turn != nil && s.next != nil && len(s.next.inputs) > 0 && len(s.enter.inputs) > 0
		}
		if !whole {
			continue
		}
		for _, s := range f.states {
			if s.exit != nil {
				im.loops[s.exit] = f
			}
		}
	}
}

// loopOf is the loop that a node ends, or nil.
func (im *importer) loopOf(n *nodeDef) *frame { return im.loops[n] }

// needs are the tensors that go into the loop.
func (f *frame) needs() []string {
	var names []string
	for _, s := range f.states {
		names = append(names, s.enter.inputs[0])
	}
	for _, n := range f.constants {
		if len(n.inputs) > 0 {
			names = append(names, n.inputs[0])
		}
	}
	return names
}

// inside is an importer for nodes of the loop: states and constants are the given values.
func (f *frame) inside(im *importer, g *graph.Graph, states, constants []*graph.Value) *importer {
	inner := &importer{options: im.options, graph: g, facts: im.facts, rows: im.rows, order: im.order, nodes: im.nodes, values: map[string]*graph.Value{},
		names: im.names, state: map[string]int{}, cuts: map[string]bool{}, loops: map[*nodeDef]*frame{},
		spread: map[*graph.Value]*spreadOut{}, dilated: map[*graph.Value]*convolved{}, weights: map[*graph.Value]*graph.Value{},
		rounded: map[*graph.Value]*graph.Value{}, maker: map[*graph.Value]*graph.Node{}, readers: im.readers}
	for i, s := range f.states {
		inner.values[s.merge.name] = states[i]
		inner.values[s.turn.name] = states[i]
		inner.values[s.turn.name+":1"] = states[i]
	}
	for i, n := range f.constants {
		inner.values[n.name] = constants[i]
	}
	return inner
}

// finish hands what an inner importer found wrong to the outer one.
func (im *importer) finish(inner *importer) {
	im.problems = append(im.problems, inner.problems...)
	for _, note := range inner.notes {
		im.note("%s", note)
	}
}

// build makes the Loop.
func (f *frame) build(im *importer) error {
	if f.done {
		return nil
	}
	f.done = true
	outer := func(n *nodeDef) (*graph.Value, error) {
		if len(n.inputs) > 0 {
			if v := im.values[tensorName(n.inputs[0])]; v != nil {
				return v, nil
			}
		}
		return nil, fmt.Errorf("nothing goes into loop %q by %q", f.name, n.name)
	}
	body := &graph.Graph{Name: f.name}
	var initial, states, operands, constants []*graph.Value
	for _, s := range f.states {
		v, err := outer(s.enter)
		if err != nil {
			return err
		}
		initial = append(initial, v)
		states = append(states, &graph.Value{Name: im.fresh(s.merge.name), Type: graph.Type{DType: v.Type.DType, Shape: v.Type.Shape}})
	}
	var outside []*graph.Value // what constants are outside
	for _, n := range f.constants {
		v, err := outer(n)
		if err != nil {
			return err
		}
		outside = append(outside, v)
		if v.Const != nil {
			constants = append(constants, &graph.Value{Name: im.fresh(n.name), Type: v.Type, Const: v.Const})
			continue
		}
		inner := &graph.Value{Name: im.fresh(n.name), Type: v.Type}
		constants, operands = append(constants, inner), append(operands, v)
		body.Inputs = append(body.Inputs, inner)
	}
	run := &graph.Value{Name: im.fresh(f.name + "/run"), Type: graph.Type{DType: tensor.Int64, Shape: graph.Shape{}}}
	goesOn := &graph.Value{Name: im.fresh(f.name + "/condition"), Type: graph.Type{DType: tensor.Bool, Shape: graph.Shape{}}}
	body.Inputs = slices.Concat([]*graph.Value{run, goesOn}, states, body.Inputs)

	first := f.inside(im, im.graph, initial, outside)
	begins, err := first.value(f.condition.inputs[0])
	im.finish(first)
	if err != nil || begins == nil {
		return err
	}
	steps := f.inside(im, body, states, constants)
	var next []*graph.Value
	for _, s := range f.states {
		v, err := steps.value(s.next.inputs[0])
		if err != nil || v == nil {
			im.finish(steps)
			return err
		}
		next = append(next, v)
	}
	im.finish(steps)
	again := f.inside(im, body, next, constants)
	condition, err := again.value(f.condition.inputs[0])
	im.finish(again)
	if err != nil || condition == nil {
		return err
	}
	for i, v := range next { // a body's results are made in it
		if slices.Contains(body.Inputs, v) || v.Const != nil {
			y := &graph.Value{Name: im.fresh(v.Name + "_kept"), Type: v.Type}
			body.Nodes = append(body.Nodes, &graph.Node{Name: y.Name, Op: &op.Identity{}, Inputs: []*graph.Value{v}, Outputs: []*graph.Value{y}})
			next[i] = y
		}
	}
	body.Outputs = append([]*graph.Value{condition}, next...)
	if err := body.Sort(); err != nil {
		return err
	}
	if err := body.Check(); err != nil {
		return err
	}
	out := make([]*graph.Value, len(f.states))
	for i, s := range f.states {
		if s.exit != nil {
			out[i] = &graph.Value{Name: im.fresh(s.exit.name)}
			im.values[s.exit.name] = out[i]
		}
	}
	n := &graph.Node{Name: f.name, Op: &op.Loop{Body: body, States: len(f.states)}, Inputs: slices.Concat([]*graph.Value{nil, begins}, initial, operands), Outputs: out}
	im.graph.Nodes = append(im.graph.Nodes, n)
	return im.facts.Node(n)
}

// The operators of tensor arrays that are filled before a loop and read in it. The flow, a value that orders reads and
// writes, stands for the tensor itself.

func tensorArray(c *call) error {
	handle := c.constant("handle", tensor.Of([]float32{0}))
	c.im.values[c.def.name+":1"] = handle
	return c.pass(handle)
}

// tensorArrayScatter has the operands handle, indices, value, flow.
func tensorArrayScatter(c *call) error { return c.pass(c.in[2]) }

// tensorArrayRead has the operands handle, index, flow.
func tensorArrayRead(c *call) error {
	if rank, ok := c.in[2].Type.Rank(); ok && rank == 0 {
		return errUnknown // nothing was scattered to it
	}
	return c.is(&op.Gather{}, c.in[2], c.wide(c.in[1]))
}
