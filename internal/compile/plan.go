package compile

import (
	"fmt"
	"math"
	"strings"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/runtime"
	"github.com/octet-nn/octet/tensor"
)

// planner makes one plan.
type planner struct {
	program  *program
	plan     *runtime.Plan
	graph    *graph.Graph // the program's, with the types that follow from the input shapes
	facts    *op.Facts
	lastUse  map[*graph.Value]int
	places   map[*graph.Value]*place
	storages []*storage
	late     []bool // by node: it is deferred
	parts    map[*graph.Value]part
	wholes   map[*graph.Value]*whole
	views    map[*graph.Value]bool // results of Slice and Split that are views of the operand
	deferred deferred
}

// planning is a planner at work on one node.
type planning struct {
	*planner
	node      *graph.Node
	step      int
	reference bool
}

// forever is a step after all others: values that live until then are never overwritten.
const forever = math.MaxInt

// Plan makes the plan for one set of input shapes.
func (p *program) Plan(shapes [][]int) (*runtime.Plan, error) {
	plan := &runtime.Plan{}
	l := &planner{program: p, plan: plan, graph: p.graph.Clone(), places: map[*graph.Value]*place{}}
	if err := l.infer(shapes); err != nil {
		return nil, err
	}
	needed := l.live()
	l.findLate()
	chains := l.findChains(needed)
	l.findParts(needed)
	for _, v := range l.graph.Inputs {
		plan.Inputs = append(plan.Inputs, runtime.Buffer{})
		l.makePlace(v, -1)
	}
	for i, n := range l.graph.Nodes {
		if !needed[i] {
			continue
		}
		if l.late[i] {
			l.deferNode(i, n)
			continue
		}
		if chain, ok := chains[i]; ok {
			if chain != nil {
				l.chain(chain)
			}
			continue
		}
		if err := l.node(i, n); err != nil {
			return nil, fmt.Errorf("%s: %w", n.Describe(), err)
		}
	}
	if err := l.planDeferred(); err != nil {
		return nil, err
	}
	outputs := make([]*place, len(l.graph.Outputs))
	for i, v := range l.graph.Outputs {
		outputs[i] = l.place(v)
		if outputs[i].constant != nil {
			outputs[i] = l.copyConstant(v, outputs[i])
		}
	}
	var err error
	if plan.Bytes, err = layOut(l.storages, p.maxBytes); err != nil {
		return nil, err
	}
	for i, v := range l.graph.Inputs {
		plan.Inputs[i] = l.places[v].buffer()
	}
	for _, o := range outputs {
		plan.Outputs = append(plan.Outputs, o.buffer())
	}
	return plan, nil
}

// infer finds the types that follow from the input shapes, and turns integer values that follow from them as well into
// constants: chains of Shape, Gather and Concat disappear from the plan.
func (l *planner) infer(shapes [][]int) error {
	sizes := map[string]int{}
	for i, v := range l.graph.Inputs {
		for axis, d := range v.Type.Shape {
			if d.Symbol != "" {
				sizes[d.Symbol] = shapes[i][axis]
			}
		}
		v.Type.Shape = graph.FixedShape(shapes[i]...)
	}
	for _, n := range l.graph.Nodes {
		for _, v := range n.Outputs {
			if v != nil {
				v.Type.Shape = bindSymbols(v.Type.Shape, sizes)
			}
		}
	}
	facts, err := op.Infer(l.graph)
	if err != nil {
		return fmt.Errorf("the model cannot be run on inputs of shapes %v: %w", shapes, err)
	}
	l.facts = facts
	for _, n := range l.graph.Nodes {
		for _, v := range n.Outputs {
			if v != nil {
				v.Const = l.knownData(v)
			}
		}
	}
	return nil
}

func bindSymbols(s graph.Shape, sizes map[string]int) graph.Shape {
	if s == nil {
		return nil
	}
	bound := make(graph.Shape, len(s))
	for i, d := range s {
		if n, ok := sizes[d.Symbol]; ok && !d.Known() {
			d = graph.Fixed(n)
		}
		bound[i] = d
	}
	return bound
}

// knownData is the value of v if inference knows it; else nil.
func (l *planner) knownData(v *graph.Value) *tensor.Tensor {
	ints, ok := l.known(v)
	shape, known := v.Type.Shape.Known()
	if !ok || !known || !(v.Type.DType.IsInteger() || v.Type.DType == tensor.Bool) {
		return nil
	}
	if n, ok := tensor.Count(shape); !ok || n != len(ints) {
		return nil
	}
	return op.FromInt64s(v.Type.DType, shape, ints)
}

// known is the integers of a value, if they follow from shapes.
func (l *planner) known(v *graph.Value) ([]int64, bool) {
	data, ok := l.facts.Data(v)
	if !ok {
		return nil, false
	}
	ints := make([]int64, len(data))
	for i, n := range data {
		if !n.Known {
			return nil, false
		}
		ints[i] = n.Value
	}
	return ints, true
}

// live finds the nodes that the outputs need and the last node that reads each value.
func (l *planner) live() (needed []bool) {
	l.lastUse = map[*graph.Value]int{}
	for _, v := range l.graph.Outputs {
		l.lastUse[v] = forever
	}
	needed = make([]bool, len(l.graph.Nodes))
	for i := len(l.graph.Nodes) - 1; i >= 0; i-- {
		n := l.graph.Nodes[i]
		for _, v := range n.Outputs {
			if v == nil || v.Const != nil {
				continue
			}
			if _, read := l.lastUse[v]; read {
				needed[i] = true
			}
		}
		if !needed[i] {
			continue
		}
		for _, v := range n.Inputs {
			if v != nil {
				l.lastUse[v] = max(l.lastUse[v], i)
			}
		}
	}
	return needed
}

// Below both small limits a step takes less than a microsecond wherever there are vectors, and is not worth timing; from
// one of the large ones on it takes more than it costs to share it on every machine. What is between them is timed.
const (
	smallMACs, smallElements = 20_000, 1_000
	largeMACs, largeElements = 5_000_000, 200_000
)

// node plans one node: it adds what computes it to the plan's steps.
func (l *planner) node(i int, n *graph.Node) error {
	c := &planning{planner: l, node: n, step: i}
	first := len(l.plan.Steps)
	plan := l.program.kernels[i]
	if _, bodied := n.Op.(op.Bodied); plan != nil && bodied {
		// Its results may have any shape.
	} else if plan == nil || !c.static() {
		plan, c.reference = reference, true
	} else if c.elements() == 0 { // nothing to compute
		plan = nothing
	}
	if err := plan(c); err != nil {
		return err
	}
	added := l.plan.Steps[first:]
	if len(added) == 0 {
		return nil
	}
	cost := macs(n)
	main := len(added) - 1
	for main > 0 && added[main].Kernel == transposeKernel {
		main--
	}
	added[main].MACs = cost
	shapes := describeShapes(n)
	for i := range added {
		added[i].Shapes = shapes
		added[i].Sharing = sharing(cost, max(c.elements(), c.operandElements()))
	}
	return nil
}

// describeShapes is the shapes of a node's operands and results, without those of its bias and attributes.
func describeShapes(n *graph.Node) string {
	var text strings.Builder
	for i, v := range n.Inputs[:min(len(n.Inputs), 2)] {
		if v != nil {
			if i > 0 {
				text.WriteString(", ")
			}
			text.WriteString(v.Type.Shape.String())
		}
	}
	text.WriteString(" → ")
	for _, v := range n.Outputs[:min(len(n.Outputs), 1)] {
		if v != nil {
			text.WriteString(v.Type.Shape.String())
		}
	}
	return text.String()
}

// sharing is what the size of a step says of sharing it.
func sharing(macs int64, elements int) runtime.Sharing {
	switch {
	case macs < smallMACs && elements < smallElements:
		return runtime.Alone
	case macs < largeMACs && elements < largeElements:
		return runtime.Measured
	}
	return runtime.Shared
}

// macs is the cost of a node, as far as its types are known.
func macs(n *graph.Node) int64 {
	coster, ok := n.Op.(op.Coster)
	if !ok {
		return 0
	}
	types := func(values []*graph.Value) []graph.Type {
		list := make([]graph.Type, len(values))
		for i, v := range values {
			if v == nil {
				continue
			}
			if _, known := v.Type.Shape.Known(); !known {
				ok = false
			}
			list[i] = v.Type
		}
		return list
	}
	in, out := types(n.Inputs), types(n.Outputs)
	if !ok {
		return 0
	}
	return coster.MACs(in, out)
}

// place is where a value is; its producer has been planned.
func (l *planner) place(v *graph.Value) *place {
	p, ok := l.places[v]
	if !ok {
		if v.Const == nil {
			panic(fmt.Sprintf("compile: %q is read before it is planned", v.Name))
		}
		p = &place{dtype: v.Const.DType(), shape: v.Const.Shape(), constant: v.Const}
		l.places[v] = p
	}
	return p
}

// makePlace gives a value that step makes a storage of its own, its part of another's or, if its shape is unknown, a
// dynamic place.
func (l *planner) makePlace(v *graph.Value, step int) *place {
	p := &place{dtype: v.Type.DType}
	shape, ok := v.Type.Shape.Known()
	if ok && v.Type.DType != tensor.Invalid {
		p.shape = shape
		if of, ok := l.parts[v]; ok {
			p.storage, p.offset, p.strides = l.wholeStorage(l.wholes[of.whole], step), p.dtype.Bytes(of.first), of.strides
		} else if w := l.wholes[v]; w != nil {
			p.storage = l.wholeStorage(w, step)
		} else {
			p.storage = l.store(p.dtype.Bytes(p.len()), step, max(step, l.lastUse[v]))
		}
	} else {
		l.plan.Dynamic++
		p.dynamic = l.plan.Dynamic
	}
	l.places[v] = p
	return p
}

// store reserves memory from the step first to the step last.
func (l *planner) store(size, first, last int) *storage {
	s := &storage{size: size, first: first, last: last}
	l.storages = append(l.storages, s)
	return s
}

// copyConstant plans a step that puts a constant, which is an output of the graph, into the arena.
func (l *planner) copyConstant(v *graph.Value, from *place) *place {
	to := &place{dtype: from.dtype, shape: from.shape, storage: l.store(len(from.constant.Bytes()), -1, forever)}
	l.plan.Steps = append(l.plan.Steps, runtime.Step{Name: v.Name, Op: "Constant", Kernel: "copy",
		Bind: func(m *runtime.Memory) runtime.Work {
			out := m.Bytes(to.buffer())
			return runtime.Serial(func() { copy(out, from.constant.Bytes()) })
		}})
	return to
}
