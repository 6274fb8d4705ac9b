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
type loopState struct {
	enter, merge, turn, next, exit *nodeDef
	written                        string // of the flow of an array that gets one element in each run: that element
}

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
		for i := range f.states {
			f.states[i].written = im.written(f, &f.states[i])
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
		made: im.made, results: im.results, rounders: im.rounders, folds: im.folds, state: map[string]int{}, cuts: map[string]bool{}, loops: map[*nodeDef]*frame{},
		spread: map[*graph.Value]*spreadOut{}, dilated: map[*graph.Value]*convolved{}, weights: map[*graph.Value]*graph.Value{},
		rounded: map[*graph.Value]*graph.Value{}, maker: map[*graph.Value]*graph.Node{}, readers: im.readers}
	for i, s := range f.states {
		if s.written != "" { // nothing but writing reads it
			flow := tensor.Of([]float32{0})
			states[i] = &graph.Value{Name: im.fresh(s.merge.name), Type: graph.TypeOf(flow), Const: flow}
		}
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
		if s.written != "" {
			states = append(states, nil)
			continue
		}
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
	body.Inputs = slices.Concat([]*graph.Value{run, goesOn}, f.carried(states), body.Inputs)

	first := f.inside(im, im.graph, slices.Clone(initial), outside)
	begins, err := first.value(f.condition.inputs[0])
	im.finish(first)
	if err != nil || begins == nil {
		return err
	}
	steps := f.inside(im, body, slices.Clone(states), constants)
	var next []*graph.Value
	for _, s := range f.states {
		name := s.next.inputs[0]
		if s.written != "" {
			name = s.written
		}
		v, err := steps.value(name)
		if err != nil || v == nil {
			im.finish(steps)
			return err
		}
		next = append(next, v)
	}
	im.finish(steps)
	again := f.inside(im, body, slices.Clone(next), constants)
	condition, err := again.value(f.condition.inputs[0])
	im.finish(again)
	if err != nil || condition == nil {
		return err
	}
	made := map[*graph.Value]bool{condition: true}
	for i, v := range next { // a body's results are made in it, each once
		if slices.Contains(body.Inputs, v) || v.Const != nil || made[v] {
			y := &graph.Value{Name: im.fresh(v.Name + "_kept"), Type: v.Type}
			body.Nodes = append(body.Nodes, &graph.Node{Name: y.Name, Op: &op.Identity{}, Inputs: []*graph.Value{v}, Outputs: []*graph.Value{y}})
			next[i] = y
		}
		made[next[i]] = true
	}
	body.Outputs = slices.Concat([]*graph.Value{condition}, f.carried(next), f.collected(next))
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
	n := &graph.Node{Name: f.name, Op: &op.Loop{Body: body, States: len(f.carried(out))},
		Inputs: slices.Concat([]*graph.Value{nil, begins}, f.carried(initial), operands), Outputs: slices.Concat(f.carried(out), f.collected(out))}
	im.graph.Nodes = append(im.graph.Nodes, n)
	return im.facts.Node(n)
}

// carried are the values, one for each state, of the states that the runs hand on; collected those of which all runs'
// are put together: arrays.
func (f *frame) carried(all []*graph.Value) (some []*graph.Value) {
	for i, v := range all {
		if f.states[i].written == "" {
			some = append(some, v)
		}
	}
	return some
}

func (f *frame) collected(all []*graph.Value) (some []*graph.Value) {
	for i, v := range all {
		if f.states[i].written != "" {
			some = append(some, v)
		}
	}
	return some
}

// behind is the node behind others that only pass a tensor on, and which of its results that is.
func (im *importer) behind(name string) (n *nodeDef, result int) {
	node, result := split(im.condition(name))
	return im.nodes[node], result
}

// written is the element that each run writes to the array whose flow is a state, if its place is the number of the run:
// a state that begins as 0 and grows by 1. "" if the state is none such.
func (im *importer) written(f *frame, s *loopState) string {
	write, _ := im.behind(s.next.inputs[0])
	if write == nil || write.op != "TensorArrayWriteV3" || len(write.inputs) < 4 {
		return ""
	}
	if flow, _ := im.behind(write.inputs[3]); flow == nil || flow != s.turn && flow != s.merge {
		return ""
	}
	index, _ := im.behind(write.inputs[1])
	for i := range f.states {
		counter := &f.states[i]
		if index == nil || index != counter.turn && index != counter.merge {
			continue
		}
		first, begins := im.integer(counter.enter.inputs[0])
		sum, _ := im.behind(counter.next.inputs[0])
		if !begins || first != 0 || sum == nil || sum.op != "Add" && sum.op != "AddV2" || len(sum.inputs) < 2 {
			return ""
		}
		for k := range 2 {
			before, _ := im.behind(sum.inputs[k])
			if step, ok := im.integer(sum.inputs[1-k]); ok && step == 1 && before == index {
				return write.inputs[2]
			}
		}
	}
	return ""
}

// integer is the number that a tensor is if it is a constant of one.
func (im *importer) integer(name string) (int64, bool) {
	n, _ := im.behind(name)
	if n == nil || n.op != "Const" || n.attributes["value"] == nil || n.attributes["value"].tensor == nil {
		return 0, false
	}
	t, err := n.attributes["value"].tensor.decode(im.options.Limits, &im.made.repeated)
	if err != nil || t.Len() != 1 || !t.DType().IsInteger() {
		return 0, false
	}
	return op.Int64s(t)[0], true
}

// The operators of tensor arrays that are filled before a loop and read in it, or filled in a loop and read behind it. The
// flow, a value that orders reads and writes, stands for the tensor itself.

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

// tensorArraySize has the operands handle, flow.
func tensorArraySize(c *call) error {
	if rank, ok := c.in[1].Type.Rank(); ok && rank == 0 {
		return errUnknown
	}
	size := c.apply("size", &op.Gather{}, c.apply("shape", &op.Shape{ToEnd: true}, c.in[1]), c.constant("first", tensor.Of([]int64{0})))
	return c.is(&op.Cast{To: op.OutputType{DType: tensor.Int32}}, size)
}

// tensorArrayGather has the operands handle, indices, flow. Indices of 0 to the size of the array are all of it.
func tensorArrayGather(c *call) error {
	if rank, ok := c.in[2].Type.Rank(); ok && rank == 0 {
		return errUnknown
	}
	im := c.im
	if all, _ := im.behind(c.def.inputs[1]); all != nil && all.op == "Range" && len(all.inputs) >= 3 {
		from, ok1 := im.integer(all.inputs[0])
		step, ok2 := im.integer(all.inputs[2])
		size, _ := im.behind(all.inputs[1])
		if ok1 && ok2 && from == 0 && step == 1 && size != nil && size.op == "TensorArraySizeV3" && len(size.inputs) > 1 &&
			im.condition(size.inputs[1]) == im.condition(c.def.inputs[2]) {
			return c.pass(c.in[2])
		}
	}
	return c.is(&op.Gather{}, c.in[2], c.wide(c.in[1]))
}
