package compile

import (
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/kernel"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/runtime"
	"github.com/octet-nn/octet/tensor"
)

// A recurrent layer is, in each direction, one product of the input of all steps with W, and then step by step a product
// of the state with R and what the gates make of both.

// recurrent is a recurrent layer of float32 with constant weights, made ready.
type recurrent struct {
	op.Recurrence
	inputs, hidden, gates int
	ways                  []recurrentWay
	advance               func(w *recurrentWay, k *recurrentStep)
	linear                bool // of GRU: LinearBeforeReset
	inputForget           bool // of LSTM
}

// recurrentWay is one direction.
type recurrentWay struct {
	reverse           bool
	input             *kernel.PackedF32 // inputs × gates·hidden
	state             *kernel.PackedF32 // hidden × gates·hidden; of GRU without linear: the gates z and r
	candidate         *kernel.PackedF32 // of GRU without linear: hidden × hidden
	inputBias         []float32         // with those of the state, where they can be added before
	stateBias         []float32         // nil, or of GRU with linear
	peephole          []float32         // nil, or 3·hidden
	first, next, last kernel.UnaryF32   // activations of gates, of the candidate, of the cell state
}

// recurrentStep is the memory of one step of a sequence.
type recurrentStep struct {
	layer                  *recurrent
	pre, rec               []float32 // products with W and R, gates·hidden
	h, c, scratch          []float32 // state, cell state, 2·hidden
	clip                   float32
	products               []byte
	candidate, linearState []float32
}

// lowerRecurrent is RNN, GRU and LSTM whose sequences have equal lengths and whose activations have kernels.
func lowerRecurrent(b *builder, n *graph.Node) (prepared, error) {
	l := &recurrent{}
	defaults := []string{"Sigmoid", "Tanh", "Tanh"}
	switch o := n.Op.(type) {
	case *op.RNN:
		l.Recurrence, l.gates, l.advance, defaults = o.Recurrence, 1, advanceRNN, []string{"Tanh"}
	case *op.GRU:
		l.Recurrence, l.gates, l.advance, l.linear, defaults = o.Recurrence, 3, advanceGRU, o.LinearBeforeReset, defaults[:2]
	case *op.LSTM:
		if o.Dynamic {
			return nil, nil
		}
		l.Recurrence, l.gates, l.advance, l.inputForget = o.Recurrence, 4, advanceLSTM, o.InputForget
	}
	// Without lengths of sequences (operand 4), with constant weights, biases and peepholes.
	var weights [8][]float32
	for i, v := range n.Inputs {
		constant := i == 1 || i == 2 || i == 3 || i == 7
		switch {
		case v == nil:
		case i == 4 || constant && v.Const == nil || !isFloat32(v):
			return nil, nil
		case constant:
			var err error
			if weights[i], err = realConstant(v); err != nil {
				return nil, err
			}
		}
	}
	w, r := n.Input(1), n.Input(2)
	if w == nil || r == nil || len(w.Const.Shape()) != 3 || len(r.Const.Shape()) != 3 {
		return nil, nil
	}
	l.inputs, l.hidden = w.Const.Shape()[2], r.Const.Shape()[2]
	ways, size := 1, l.gates*l.hidden
	if l.Direction == op.Bidirectional {
		ways = 2
	}
	fits := func(i, per int) bool { return weights[i] == nil || len(weights[i]) == ways*per }
	if l.hidden == 0 || l.inputs == 0 || !fits(1, size*l.inputs) || !fits(2, size*l.hidden) || !fits(3, 2*size) || !fits(7, 3*l.hidden) {
		return nil, nil
	}
	pack := func(inputs, outputs int, data []float32) *kernel.PackedF32 {
		return b.kernels.PackF32(kernel.F32Weights{Filter: kernel.Matrix(inputs, outputs, true), Data: data})
	}
	for way := range ways {
		k := recurrentWay{reverse: l.Direction == op.Reverse || way == 1, input: pack(l.inputs, size, weights[1][way*size*l.inputs:][:size*l.inputs])}
		state := weights[2][way*size*l.hidden:][:size*l.hidden]
		if split := 2 * l.hidden * l.hidden; l.gates == 3 && !l.linear {
			k.state, k.candidate = pack(l.hidden, 2*l.hidden, state[:split]), pack(l.hidden, l.hidden, state[split:])
		} else {
			k.state = pack(l.hidden, size, state)
		}
		k.inputBias = make([]float32, size)
		if biases := weights[3]; biases != nil {
			copy(k.inputBias, biases[way*2*size:][:size])
			added := biases[way*2*size+size:][:size]
			if l.linear { // that of the candidate is multiplied with the reset gate
				k.stateBias = make([]float32, size)
				copy(k.stateBias[2*l.hidden:], added[2*l.hidden:])
				added = added[:2*l.hidden]
			}
			for i, v := range added {
				k.inputBias[i] += v
			}
		}
		if weights[7] != nil {
			k.peephole = weights[7][way*3*l.hidden:][:3*l.hidden]
		}
		for i, to := range []*kernel.UnaryF32{&k.first, &k.next, &k.last} {
			if i >= len(defaults) {
				break
			}
			name := defaults[i]
			if len(l.Activations) > 0 {
				if way*len(defaults)+i >= len(l.Activations) {
					return nil, nil
				}
				name = l.Activations[way*len(defaults)+i].Name
			}
			if name != "Sigmoid" && name != "Tanh" && name != "Relu" {
				return nil, nil
			}
			*to = unaryKernels[name]
			to.Vector = b.kernels.Vector()
		}
		l.ways = append(l.ways, k)
	}
	b.pack(n, 1, 2, 3, 7)
	return func(c *planning) error { return l.plan(c) }, nil
}

// plan plans the product with W of each direction, and a step that goes through time, a task for each direction and
// sequence.
func (l *recurrent) plan(c *planning) error {
	x := c.in(0)
	steps, batch := x.shape[0], x.shape[1]
	if l.BatchFirst {
		steps, batch = batch, steps
	}
	if x.shape[2] != l.inputs {
		return reference(c)
	}
	rows, size, ways := steps*batch, l.gates*l.hidden, len(l.ways)
	initial := [2]*place{c.in(5), c.in(6)}
	for _, p := range initial {
		if p != nil && p.len() != ways*batch*l.hidden {
			return reference(c)
		}
	}
	y, lastH, lastC := c.out(0), c.out(1), c.out(2)
	pre := make([]*place, ways)
	for i, w := range l.ways {
		pre[i] = c.temporary(tensor.Float32, rows*size)
		k := &kernel.GemmF32{Weights: w.input, Rows: rows, InStride: l.inputs, OutStride: size, Epilogue: kernel.EpilogueF32{Bias: w.inputBias, Least: -infinity, Greatest: infinity}}
		emitScratched[float32, float32](c, "recurrent_input_f32", k, pre[i], x)
	}
	perTask := size + 6*l.hidden // rec, h, c, scratch (2), candidate, linear state
	own := c.temporary(tensor.Float32, ways*batch*perTask)
	products := l.scratch()
	c.emit("recurrent_f32", products, func(m *runtime.Memory) runtime.Work {
		memory, scratch := data[float32](m, own), m.Scratch(products)
		inputs := make([][]float32, ways)
		for i, p := range pre {
			inputs[i] = data[float32](m, p)
		}
		views := [5][]float32{}
		for i, p := range []*place{initial[0], initial[1], y, lastH, lastC} {
			if p != nil {
				views[i] = data[float32](m, p)
			}
		}
		return runtime.Work{Tasks: ways * batch, Run: func(begin, end, worker int) {
			for task := begin; task < end; task++ {
				l.sequence(task/batch, task%batch, steps, batch, inputs[task/batch], memory[task*perTask:][:perTask], scratch[worker], views)
			}
		}}
	})
	return nil
}

// scratch is the bytes that products with the state need.
func (l *recurrent) scratch() int {
	most := 0
	for i := range l.ways {
		for _, packed := range []*kernel.PackedF32{l.ways[i].state, l.ways[i].candidate} {
			if packed != nil {
				k := l.product(packed)
				most = max(most, k.Scratch())
			}
		}
	}
	return most
}

// product is the state, or something like it, times packed weights.
func (l *recurrent) product(packed *kernel.PackedF32) kernel.GemmF32 {
	return kernel.GemmF32{Weights: packed, Rows: 1, InStride: l.hidden, OutStride: packed.Filter.Outputs,
		Epilogue: kernel.EpilogueF32{Least: -infinity, Greatest: infinity}}
}

// sequence goes through the steps of one sequence in one direction. views are the initial states and the results, nil
// where there are none.
func (l *recurrent) sequence(way, b, steps, batch int, pre, memory []float32, products []byte, views [5][]float32) {
	w, n, size := &l.ways[way], l.hidden, l.gates*l.hidden
	k := &recurrentStep{layer: l, rec: memory[:size], clip: l.Clip, products: products}
	rest := memory[size:]
	k.h, k.c, k.scratch, k.candidate, k.linearState = rest[:n], rest[n:2*n], rest[2*n:4*n], rest[4*n:5*n], rest[5*n:6*n]
	at := (way*batch + b) * n // of a state
	if l.BatchFirst {
		at = (b*len(l.ways) + way) * n
	}
	for i, state := range [][]float32{k.h, k.c} {
		if views[i] != nil {
			copy(state, views[i][at:])
		} else {
			clear(state)
		}
	}
	for t := range steps {
		i := t
		if w.reverse {
			i = steps - 1 - t
		}
		row, to := i*batch+b, (i*len(l.ways)+way)*batch+b
		if l.BatchFirst {
			row, to = b*steps+i, (b*steps+i)*len(l.ways)+way
		}
		k.pre = pre[row*size:][:size]
		l.advance(w, k)
		if views[2] != nil {
			copy(views[2][to*n:], k.h)
		}
	}
	for i, state := range [][]float32{k.h, k.c} {
		if views[3+i] != nil {
			copy(views[3+i][at:][:n], state)
		}
	}
}

// times computes out = state·weights.
func (k *recurrentStep) times(packed *kernel.PackedF32, out, state []float32) {
	g := k.layer.product(packed)
	g.Run(out, state, 0, g.Units(), k.products)
}

// gate applies an activation to values that are limited first.
func (k *recurrentStep) gate(f *kernel.UnaryF32, values []float32) {
	if k.clip > 0 {
		for i, v := range values {
			values[i] = min(max(v, -k.clip), k.clip)
		}
	}
	f.Run(values, values)
}

func advanceRNN(w *recurrentWay, k *recurrentStep) {
	k.times(w.state, k.rec, k.h)
	for i, v := range k.rec {
		k.h[i] = k.pre[i] + v
	}
	k.gate(&w.first, k.h)
}

func advanceGRU(w *recurrentWay, k *recurrentStep) {
	n := len(k.h)
	k.times(w.state, k.rec, k.h)
	gates := k.scratch // z and r
	for i := range gates {
		gates[i] = k.pre[i] + k.rec[i]
	}
	k.gate(&w.first, gates)
	z, r := gates[:n], gates[n:]
	candidate := k.candidate
	if k.layer.linear {
		for i := range candidate {
			v := k.rec[2*n+i]
			if w.stateBias != nil {
				v += w.stateBias[2*n+i]
			}
			candidate[i] = k.pre[2*n+i] + float32(r[i]*v)
		}
	} else {
		for i := range k.linearState {
			k.linearState[i] = r[i] * k.h[i]
		}
		k.times(w.candidate, candidate, k.linearState)
		for i := range candidate {
			candidate[i] += k.pre[2*n+i]
		}
	}
	k.gate(&w.next, candidate)
	for i, v := range candidate {
		k.h[i] = float32((1-z[i])*v) + float32(z[i]*k.h[i])
	}
}

func advanceLSTM(w *recurrentWay, k *recurrentStep) {
	n := len(k.h)
	k.times(w.state, k.rec, k.h)
	for i, v := range k.rec {
		k.rec[i] = k.pre[i] + v
	}
	input, output, forget, candidate := k.rec[:n], k.rec[n:2*n], k.rec[2*n:3*n], k.rec[3*n:]
	look := func(gate []float32, which int) {
		if w.peephole != nil {
			for i, p := range w.peephole[which*n:][:n] {
				gate[i] += float32(p * k.c[i])
			}
		}
	}
	look(input, 0)
	k.gate(&w.first, input)
	if k.layer.inputForget {
		for i, v := range input {
			forget[i] = 1 - v
		}
	} else {
		look(forget, 2)
		k.gate(&w.first, forget)
	}
	k.gate(&w.next, candidate)
	for i, v := range candidate {
		k.c[i] = float32(forget[i]*k.c[i]) + float32(input[i]*v)
	}
	look(output, 1)
	k.gate(&w.first, output)
	w.last.Run(k.h, k.c)
	for i, v := range output {
		k.h[i] *= v
	}
}
