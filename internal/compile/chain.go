package compile

import (
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/kernel"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/runtime"
	"github.com/octet-nn/octet/tensor"
)

// Convolutions and MaxPools that follow each other, one of them depthwise or a pool, are one step where that saves more
// than it costs: a few lines of each at a time, so that what they hand on stays in the cache of the processor that made it
// (kernel.Chain). The bits are those of the nodes one by one, so whether they are a chain may depend on the number of
// threads.

// stage makes the kernel of a convolution or pool, in most cases a kernel.ChainStage, for operands of known shape, channels
// last, and the residual that is added to its results, if there is one.
type stage func(x, y *place, residual addend) any

// chainable notes that a node can be a stage of a chain.
func (b *builder) chainable(n *graph.Node, s stage) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stages[n] = s
}

const (
	// chainCache is how many bytes a chain hands on at a time: half of an L2 cache of 1 MiB; the rest is for weights.
	chainCache = 512 << 10
	// chainAlone is how many bytes must be handed on for one goroutine to gain by a chain: caches fetch ahead well.
	chainAlone = 2 << 20
	// chainLines is the least lines of a goroutine: at the border of its part, lines are computed twice.
	chainLines = 7
)

// chains is, for the last node of each chain, its nodes, and nil for its other nodes.
type chains map[int][]int

// findChains finds the chains. What they read is needed until their last node.
func (l *planner) findChains(needed []bool) chains {
	found := chains{}
	next := l.onlyReaders(needed)
	for i := range l.graph.Nodes {
		if _, taken := found[i]; taken || !l.canChain(i, needed) {
			continue
		}
		chain := []int{i}
		for last := i; len(chain) < 3 && !l.isJoined(last); { // only the last stage may add a residual
			reader, ok := next[last]
			if !ok || !l.canChain(reader, needed) {
				break
			}
			chain, last = append(chain, reader), reader
		}
		for len(chain) > 1 && !l.isWorthChaining(chain) {
			chain = chain[:len(chain)-1]
		}
		if len(chain) == 1 {
			continue
		}
		last := chain[len(chain)-1]
		for _, member := range chain {
			found[member] = nil
		}
		found[last] = chain
		x := l.graph.Nodes[i].Inputs[0]
		l.lastUse[x] = max(l.lastUse[x], last)
	}
	return found
}

// canChain reports whether a node can be a stage: a convolution or pool of planes of known shape.
func (l *planner) canChain(i int, needed []bool) bool {
	n := l.graph.Nodes[i]
	o := n.Op
	if j, ok := o.(*joined); ok {
		o = j.Operator
	}
	switch o.(type) {
	case *op.Conv, *op.MaxPool:
	default:
		return false
	}
	if !needed[i] || l.late[i] || l.program.stages[i] == nil {
		return false
	}
	for _, v := range []*graph.Value{n.Inputs[0], n.Outputs[0]} {
		if shape, ok := v.Type.Shape.Known(); !ok || len(shape) != 4 || v.Const != nil {
			return false
		}
	}
	return true
}

// isJoined reports whether a node adds a residual.
func (l *planner) isJoined(i int) bool {
	_, ok := l.graph.Nodes[i].Op.(*joined)
	return ok
}

// onlyReaders is, for each node whose one result is operand 0 of another node and read by nothing else, that node.
func (l *planner) onlyReaders(needed []bool) map[int]int {
	reads, reader := map[*graph.Value]int{}, map[*graph.Value]int{}
	for _, v := range l.graph.Outputs {
		reads[v]++
	}
	for i, n := range l.graph.Nodes {
		if !needed[i] {
			continue
		}
		for operand, v := range n.Inputs {
			reads[v]++
			if operand == 0 {
				reader[v] = i
			}
		}
	}
	next := map[int]int{}
	for i, n := range l.graph.Nodes {
		if len(n.Outputs) != 1 {
			continue
		}
		if at, ok := reader[n.Outputs[0]]; ok && reads[n.Outputs[0]] == 1 {
			next[i] = at
		}
	}
	return next
}

// isWorthChaining reports whether nodes that follow each other are worth a chain: one of them does little with much, every
// goroutine gets about as many lines of the result as any other, and not few; and they hand much on if there is only one.
func (l *planner) isWorthChaining(nodes []int) bool {
	light, bytes := false, 0
	for at, i := range nodes {
		x, y := shaped(l.graph.Nodes[i].Inputs[0]), shaped(l.graph.Nodes[i].Outputs[0])
		switch l.program.stages[i](x, y, addend{}).(type) {
		case *kernel.DepthwiseF32, *kernel.DepthwiseInt8, *kernel.MaxPoolF32, *kernel.MaxPoolInt8:
			light = true
		}
		if at < len(nodes)-1 {
			bytes += y.dtype.Bytes(y.len())
		}
	}
	first, last := l.graph.Nodes[nodes[0]], l.graph.Nodes[nodes[len(nodes)-1]]
	x, y := shaped(first.Inputs[0]), shaped(last.Outputs[0])
	lines, threads := y.shape[0]*y.shape[1], l.program.threads
	most := (lines + threads - 1) / threads
	if !light || most < chainLines || 10*most*threads > 11*lines || threads == 1 && bytes < chainAlone {
		return false
	}
	var ok bool
	if y.dtype == tensor.Float32 {
		_, ok = newChain[float32](l, nodes, y, x, addend{})
	} else {
		_, ok = newChain[byte](l, nodes, y, x, addend{})
	}
	return ok
}

// shaped is a packed place of known shape that is not in memory.
func shaped(v *graph.Value) *place {
	shape, _ := v.Type.Shape.Known()
	return &place{dtype: v.Type.DType, shape: shape}
}

// chain plans the nodes of a chain as one step. It has the name of the last one.
func (l *planner) chain(nodes []int) {
	last := nodes[len(nodes)-1]
	c := &planning{planner: l, node: l.graph.Nodes[last], step: last}
	x, y := l.place(l.graph.Nodes[nodes[0]].Inputs[0]), l.makePlace(c.node.Outputs[0], last) // nothing is replaced: x is read twice
	if y.dtype == tensor.Float32 {
		emitChain[float32](c, nodes, "chain_f32", y, x)
	} else {
		emitChain[byte](c, nodes, "chain_int8", y, x)
	}
	step := &l.plan.Steps[len(l.plan.Steps)-1]
	for _, i := range nodes {
		step.MACs += macs(l.graph.Nodes[i])
	}
	step.Shapes = describeShapes(l.graph.Nodes[nodes[0]]) + " … " + describeShapes(c.node)
	step.Sharing = sharing(step.MACs, max(x.len(), y.len()))
}

// newChain makes the kernel of nodes that follow each other, from x to y; the last one may have a residual.
func newChain[T byte | float32](l *planner, nodes []int, y, x *place, residual addend) (k *kernel.Chain[T], ok bool) {
	stages := make([]kernel.ChainStage[T], len(nodes))
	for i, node := range nodes {
		to, add := y, residual
		if i < len(nodes)-1 {
			to, add = shaped(l.graph.Nodes[node].Outputs[0]), addend{}
		}
		if stages[i], ok = l.program.stages[node](x, to, add).(kernel.ChainStage[T]); !ok {
			return nil, false
		}
		x = to
	}
	return kernel.NewChain(chainCache, stages...)
}

func emitChain[T byte | float32](c *planning, nodes []int, name string, y, x *place) {
	with := func(residual addend) *kernel.Chain[T] {
		k, ok := newChain[T](c.planner, nodes, y, x, residual)
		if !ok {
			panic("compile: a chain that is none") // see isWorthChaining
		}
		return k
	}
	size := with(c.addend(nil)).Scratch()
	c.emit(c.kernelName(name), size, func(m *runtime.Memory) runtime.Work {
		k := with(c.addend(m))
		out, in, scratch := data[T](m, y), data[T](m, x), m.Scratch(size)
		states := make([]chainState, len(scratch))
		return runtime.Work{Tasks: k.Units(), Least: k.Lines(), Prepare: func() { clear(states) }, Run: func(begin, end, worker int) {
			k.Run(out, in, begin, end, scratch[worker], &states[worker].ChainState)
		}}
	})
}

// chainState is that of a worker, in cache lines of its own.
type chainState struct {
	kernel.ChainState
	_ [128]byte
}
