package compile

import (
	"math"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// A Concat copies only those of its operands that cannot be computed where it wants them. The others are parts of its
// result from the beginning: a run of it, or, along channels, as many elements of every pixel. Likewise Slice and Split
// copy only what some reader wants packed. All this is decided before nodes are planned, so that each value is placed once.

// part is where a value lies in the memory of another one.
type part struct {
	whole   *graph.Value // no part itself
	first   int          // element of the whole
	strides []int        // elements between neighbours in each dimension; nil if they are packed
}

// whole is a value in whose memory others lie.
type whole struct {
	last    int      // the last step that reads it or a part of it
	bytes   int      // its size
	storage *storage // nil until a step writes to it
}

// wholeStorage is the memory of a value that has parts, made for the first step that writes to it.
func (l *planner) wholeStorage(w *whole, step int) *storage {
	if w.storage == nil {
		w.storage = l.store(w.bytes, step, max(step, w.last))
	}
	return w.storage
}

// isPlaced reports whether it has been decided where a value lies.
func (l *planner) isPlaced(v *graph.Value) bool {
	_, isPart := l.parts[v]
	return isPart || l.wholes[v] != nil
}

// placing decides which operands of Concats are parts of their results, and which results of Slices are views.
type placing struct {
	*planner
	needed  []bool
	makers  map[*graph.Value]int   // by value: the node that makes it
	readers map[*graph.Value][]use // by value: which nodes that are needed read it
	lives   map[*graph.Value]*life
	live    []int                  // by step, from −1 on: bytes that are live, were every value in memory of its own
	limit   int                    // of live
	strides map[*graph.Value][]int // of parts and of views that are not packed
}

// use is an operand of a node.
type use struct{ node, operand int }

// life is from when to when a value's memory is live; values that are views of one another share one.
type life struct{ first, last, bytes int }

// placed is a value and what it is to be a part of.
type placed struct {
	value *graph.Value
	part  part
}

// findParts places operands of Concats, and results of Slices and Splits: all of them if the run then needs no more memory
// at its worst than if all were copied, else those of which each in turn does not make that worse.
func (l *planner) findParts(needed []bool) {
	l.parts, l.wholes, l.views = map[*graph.Value]part{}, map[*graph.Value]*whole{}, map[*graph.Value]bool{}
	var moving []*graph.Node
	for i, n := range l.graph.Nodes {
		if l.program.traits[i]&movesElements != 0 && needed[i] && !l.late[i] {
			moving = append(moving, n)
		}
	}
	if len(moving) == 0 {
		return
	}
	p := &placing{planner: l, needed: needed}
	p.survey()
	most := slices.Max(p.live)
	p.limit = math.MaxInt
	p.decide(moving)
	if slices.Max(p.live) > most {
		clear(l.parts)
		clear(l.wholes)
		clear(l.views)
		p.survey()
		p.limit = most
		p.decide(moving)
	}
}

// decide goes through the nodes that move elements: first Concats, the last one first, so that results which are operands
// in turn have been placed.
func (p *placing) decide(nodes []*graph.Node) {
	for _, n := range slices.Backward(nodes) {
		if _, ok := n.Op.(*op.Concat); ok {
			p.concat(n)
		}
	}
	for _, n := range nodes {
		if _, ok := n.Op.(*op.Concat); !ok {
			p.slice(n)
		}
	}
}

// survey finds who makes and reads what, and how much memory is live when.
func (p *placing) survey() {
	p.makers, p.readers, p.lives, p.strides = map[*graph.Value]int{}, map[*graph.Value][]use{}, map[*graph.Value]*life{}, map[*graph.Value][]int{}
	p.live = make([]int, len(p.graph.Nodes)+2)
	begin := func(v *graph.Value, step int) {
		shape, ok := v.Type.Shape.Known()
		if v.Const != nil || !ok || v.Type.DType == tensor.Invalid {
			return
		}
		n, _ := tensor.Count(shape)
		p.lives[v] = &life{step, max(step, min(p.lastUse[v], len(p.graph.Nodes))), v.Type.DType.Bytes(n)}
	}
	for _, v := range p.graph.Inputs {
		begin(v, -1)
	}
	for i, n := range p.graph.Nodes {
		if !p.needed[i] {
			continue
		}
		for operand, v := range n.Inputs {
			if v != nil {
				p.readers[v] = append(p.readers[v], use{i, operand})
			}
		}
		if p.late[i] {
			continue
		}
		for _, v := range n.Outputs {
			if v == nil {
				continue
			}
			p.makers[v] = i
			begin(v, i)
			if own := p.lives[v]; own != nil && p.isView(i) {
				of := p.lives[n.Input(0)]
				if of == nil {
					delete(p.lives, v) // a view of a constant has no memory either
					continue
				}
				of.last = max(of.last, own.last)
				p.lives[v] = of
			}
		}
	}
	seen := map[*life]bool{}
	for _, l := range p.lives {
		if !seen[l] {
			seen[l] = true
			l.add(p.live, 1)
		}
	}
}

// add counts the bytes of a life, times ±1, where it is live.
func (l *life) add(live []int, times int) {
	for step := l.first; step <= l.last; step++ {
		live[step+1] += times * l.bytes
	}
}

// isView reports whether the result of node i is the bytes of its operand 0, in order.
func (p *placing) isView(i int) bool {
	n := p.graph.Nodes[i]
	if t, ok := n.Op.(*op.Transpose); ok {
		shape, known := n.Inputs[0].Type.Shape.Known()
		perm, err := t.Permutation(len(shape))
		return known && err == nil && n.Inputs[0].Type.DType.Bits()%8 == 0 && keepsOrder(shape, perm)
	}
	return p.program.traits[i]&isView != 0
}

// concat places the operands of one node.
func (p *placing) concat(n *graph.Node) {
	y := n.Outputs[0]
	shape, _ := y.Type.Shape.Known()
	if y.Const != nil || p.lives[y] == nil || y.Type.DType.Bits()%8 != 0 {
		return
	}
	base, ok := p.parts[y]
	if !ok {
		base.whole = y
	}
	strides := base.strides
	if strides == nil {
		strides = packedStrides(shape)
	}
	axis := n.Op.(*op.Concat).Axis
	if axis < 0 {
		axis += len(shape)
	}
	var operands [][]placed
	taken := map[*graph.Value]bool{}
	at := base.first
	for _, v := range n.Inputs {
		own, known := v.Type.Shape.Known()
		if !known {
			return
		}
		chain := p.chain(v, part{base.whole, at, packedOr(own, strides)}, taken)
		if chain != nil {
			operands = append(operands, chain)
		}
		for _, c := range chain {
			taken[c.value] = true
		}
		at += own[axis] * strides[axis]
	}
	// Those that are made first keep the whole result live for the longest time.
	slices.SortStableFunc(operands, func(a, b []placed) int { return p.lives[b[0].value].first - p.lives[a[0].value].first })
	for len(operands) > 0 && !p.place(base.whole, operands) {
		operands = operands[:len(operands)-1]
	}
}

// packedOr is strides, or nil if an array of the given shape that has them is packed.
func packedOr(shape, strides []int) []int {
	packed := packedStrides(shape)
	for i, d := range shape {
		if d > 1 && strides[i] != packed[i] {
			return strides
		}
	}
	return nil
}

// chain is a value as a part of another and, if it is a view, what it is a view of likewise, the first to be made first;
// nil if it cannot be one.
func (p *placing) chain(v *graph.Value, at part, taken map[*graph.Value]bool) []placed {
	maker, made := p.makers[v]
	life := p.lives[v]
	if !made || life == nil || life.bytes == 0 || taken[v] || p.isPlaced(v) || p.lastUse[v] == forever ||
		v.Type.DType != at.whole.Type.DType {
		return nil
	}
	self := placed{v, at}
	if p.isView(maker) {
		if at.strides != nil {
			return nil
		}
		if below := p.chain(p.graph.Nodes[maker].Inputs[0], at, taken); below != nil {
			return append(below, self)
		}
		return nil
	}
	if at.strides != nil && !p.writesPart(maker, v, at.strides) || !p.readAsPart(v, at.strides) {
		return nil
	}
	return []placed{self}
}

// writesPart reports whether node i can write its result where elements have the given strides.
func (p *placing) writesPart(i int, v *graph.Value, strides []int) bool {
	return p.program.traits[i]&movesElements != 0 || v == p.graph.Nodes[i].Outputs[0] && p.takesPixels(i, writesPixels, v, strides)
}

// readsPart reports whether a node can read an operand whose elements have the given strides.
func (p *placing) readsPart(u use, v *graph.Value, strides []int) bool {
	has := p.program.traits[u.node]
	if p.late[u.node] {
		return false // what runs later is given whole tensors
	}
	return has&movesElements != 0 ||
		(u.operand == 0 || u.operand == residualOperand && has&addsResiduals != 0) && p.takesPixels(u.node, readsPixels, v, strides)
}

// readAsPart reports whether all who read a value can, if its elements have the given strides.
func (p *placing) readAsPart(v *graph.Value, strides []int) bool {
	return strides == nil || !slices.ContainsFunc(p.readers[v], func(u use) bool { return !p.readsPart(u, v, strides) })
}

// takesPixels reports whether the kernel of node i reads or writes a value whose pixels are apart as the strides say.
func (p *placing) takesPixels(i int, t trait, v *graph.Value, strides []int) bool {
	shape, _ := v.Type.Shape.Known()
	_, ok := pixelStride(shape, strides)
	has := p.program.traits[i]
	return ok && has&t != 0 && (has&planarOnly == 0 || len(shape) == 3 || len(shape) == 4)
}

// pixelStride is how many elements a pixel (or row) is from the next, where pixels are all dimensions but the last; ok is
// false if that is not the same everywhere or elements of a pixel are not consecutive.
func pixelStride(shape, strides []int) (stride int, ok bool) {
	last := len(shape) - 1
	if last < 0 || shape[last] != 1 && strides[last] != 1 {
		return 0, false
	}
	stride = shape[last]
	next := 0 // what the stride of the next dimension has to be; 0 if it may be any
	for i := last - 1; i >= 0; i-- {
		switch {
		case shape[i] == 1:
			continue
		case next == 0:
			stride = strides[i]
		case strides[i] != next:
			return 0, false
		}
		next = strides[i] * shape[i]
	}
	return stride, true
}

// place makes operands parts of a whole, unless more memory than the limit would then be live.
func (p *placing) place(y *graph.Value, operands [][]placed) bool {
	all := *p.lives[y]
	live := slices.Clone(p.live)
	p.lives[y].add(live, -1)
	for _, chain := range operands {
		l := p.lives[chain[0].value]
		l.add(live, -1)
		all.first, all.last = min(all.first, l.first), max(all.last, l.last)
	}
	all.add(live, 1)
	if slices.Max(live[all.first+1:all.last+2]) > p.limit {
		return false
	}
	p.live = live
	*p.lives[y] = all
	w := p.wholes[y]
	if w == nil {
		w = &whole{last: p.lastUse[y], bytes: all.bytes}
		p.wholes[y] = w
	}
	for _, chain := range operands {
		p.lives[chain[0].value].bytes = 0
		for _, c := range chain {
			p.parts[c.value], p.strides[c.value] = c.part, c.part.strides
			w.last = max(w.last, p.lastUse[c.value])
		}
	}
	return true
}

// slice makes results of a Slice or Split views of the operand, unless somebody wants them packed or more memory than the
// limit would then be live, because the rest of the operand lives on.
func (p *placing) slice(n *graph.Node) {
	x := n.Inputs[0]
	of := p.lives[x]
	if at, ok := p.parts[x]; ok {
		of = p.lives[at.whole]
	}
	shape, ok := x.Type.Shape.Known()
	if !ok || of == nil || x.Const != nil || x.Type.DType.Bits()%8 != 0 || slices.Contains(n.Outputs, nil) {
		return
	}
	strides := p.strides[x]
	if strides == nil {
		strides = packedStrides(shape)
	}
	for i, v := range n.Outputs {
		own := p.lives[v]
		if own == nil || own.bytes == 0 || p.isPlaced(v) || p.lastUse[v] == forever {
			continue
		}
		b, ok, err := p.boxOf(n, i, shape)
		if !ok || err != nil || slices.ContainsFunc(b.steps, func(step int) bool { return step < 1 }) {
			continue
		}
		_, apart := b.in(strides)
		apart = packedOr(b.sizes, apart)
		if !p.readAsPart(v, apart) {
			continue
		}
		live := slices.Clone(p.live)
		own.add(live, -1)
		of.add(live, -1)
		longer := *of
		longer.last = max(of.last, own.last)
		longer.add(live, 1)
		if slices.Max(live[own.first+1:longer.last+2]) > p.limit {
			continue
		}
		p.live, *of = live, longer
		p.lives[v], p.views[v], p.strides[v] = of, true, apart
	}
}
