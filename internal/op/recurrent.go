package op

import (
	"fmt"
	"math"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/tensor"
)

// Direction is how a recurrent layer goes through time.
type Direction uint8

const (
	Forward Direction = iota
	Reverse
	Bidirectional
)

var directions = []string{Forward: "forward", Reverse: "reverse", Bidirectional: "bidirectional"}

// String is ONNX's name.
func (d Direction) String() string { return nameOf(d, directions) }

// MarshalText is ONNX's name.
func (d Direction) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (d *Direction) UnmarshalText(text []byte) error { return parseName(d, text, directions) }

// CellActivation is a function within a recurrent cell.
type CellActivation struct {
	Name        string // as ONNX has it: Sigmoid, Tanh, Relu, Affine, LeakyRelu, …
	Alpha, Beta float32
}

// function is nil if the name is not known.
func (a CellActivation) function() func(float64) float64 {
	alpha, beta := float64(a.Alpha), float64(a.Beta)
	switch a.Name {
	case "Sigmoid":
		return numeric.Sigmoid
	case "Tanh":
		return numeric.Tanh
	case "Relu":
		return func(v float64) float64 { return max(v, 0) }
	case "Affine":
		return func(v float64) float64 { return float64(alpha*v) + beta }
	case "LeakyRelu":
		return func(v float64) float64 { return max(v, 0) + alpha*min(v, 0) }
	case "ThresholdedRelu":
		return func(v float64) float64 {
			if v > alpha {
				return v
			}
			return 0
		}
	case "ScaledTanh":
		return func(v float64) float64 { return alpha * numeric.Tanh(beta*v) }
	case "HardSigmoid":
		return func(v float64) float64 { return min(max(float64(alpha*v)+beta, 0), 1) }
	case "Elu":
		return func(v float64) float64 {
			if v < 0 {
				return alpha * (numeric.Exp(v) - 1)
			}
			return v
		}
	case "Softsign":
		return func(v float64) float64 { return v / (1 + math.Abs(v)) }
	case "Softplus":
		return func(v float64) float64 { return max(v, 0) + numeric.Log(1+numeric.Exp(-math.Abs(v))) }
	}
	return nil
}

// Recurrence is the attributes that recurrent layers share.
type Recurrence struct {
	Direction   Direction
	HiddenSize  int
	BatchFirst  bool             // operands and results have the batch before the steps
	Clip        float32          // limit of what goes into activations; 0 means none
	Activations []CellActivation // of each direction's gates; the layer's defaults if empty
}

// RNN is h' = f(W·x + R·h + b) (ONNX RNN-22). Operands: x [steps, batch, inputs], W [directions, hidden, inputs], R
// [directions, hidden, hidden], b [directions, 2·hidden], lengths, initial h. Results: all h [steps, directions, batch,
// hidden], the last h [directions, batch, hidden].
type RNN struct{ Recurrence }

// GRU is a gated recurrent unit (ONNX GRU-22) with the gates z, r, h; operands and results as for RNN.
type GRU struct {
	Recurrence
	LinearBeforeReset bool // the reset gate applies to R·h+b, instead of to h
}

// LSTM is a long short-term memory (ONNX LSTM-22) with the gates i, o, f, c; operands as for RNN, then initial cell
// state and peepholes [directions, 3·hidden] (i, o, f); a third result is the last cell state.
type LSTM struct {
	Recurrence
	InputForget bool // the forget gate is 1 minus the input gate
	// Dynamic says that products are those of codes: x as a whole, and h of all sequences in every step, are quantized as
	// DynamicQuantizeLinear does (DynamicQuantizeLSTM of ONNX Runtime).
	Dynamic bool
}

// Type is "RNN".
func (*RNN) Type() string { return "RNN" }

// Type is "GRU".
func (*GRU) Type() string { return "GRU" }

// Type is "LSTM".
func (*LSTM) Type() string { return "LSTM" }

// Infer states the shapes.
func (r *Recurrence) Infer(c *Inference) error {
	dtype := c.In(0).DType
	steps, batch := graph.Dim{Size: graph.Unknown}, graph.Dim{Size: graph.Unknown}
	if rank, ok := c.In(0).Rank(); ok {
		if rank != 3 {
			return fmt.Errorf("input has %d dimensions, wants 3", rank)
		}
		steps, batch = c.In(0).Shape[0], c.In(0).Shape[1]
		if r.BatchFirst {
			steps, batch = batch, steps
		}
	}
	ways, hidden := graph.Fixed(1), graph.Dim{Size: graph.Unknown}
	if r.Direction == Bidirectional {
		ways = graph.Fixed(2)
	}
	if rank, ok := c.In(2).Rank(); ok && rank == 3 {
		hidden = c.In(2).Shape[2]
	}
	all, last := graph.Shape{steps, ways, batch, hidden}, graph.Shape{ways, batch, hidden}
	if r.BatchFirst {
		all, last = graph.Shape{batch, steps, ways, hidden}, graph.Shape{batch, ways, hidden}
	}
	c.SetOut(0, dtype, all)
	c.SetOut(1, dtype, last)
	c.SetOut(2, dtype, slices.Clone(last))
	return nil
}

// cell is the weights of one direction.
type cell struct {
	inputs, hidden int
	w, r           []float64 // [gates·hidden, inputs], [gates·hidden, hidden]
	wb, rb         []float64 // [gates·hidden]
	peephole       []float64 // [3·hidden]
	functions      []func(float64) float64
	clip           float64
}

// product is row i of W·x + b.
func (k *cell) fromInput(i int, x []float64) float64 {
	return dot(k.w[i*k.inputs:][:k.inputs], x) + k.wb[i]
}

// fromState is row i of R·h + b.
func (k *cell) fromState(i int, h []float64) float64 {
	return dot(k.r[i*k.hidden:][:k.hidden], h) + k.rb[i]
}

// apply is activation f of v, which is limited first.
func (k *cell) apply(f int, v float64) float64 {
	if k.clip > 0 {
		v = min(max(v, -k.clip), k.clip)
	}
	return k.functions[f](v)
}

// Evaluate computes in float64.
func (o *RNN) Evaluate(c *Evaluation) error {
	return o.run(c, 1, -1, []string{"Tanh"}, nil, func(k *cell, x, h, _ []float64) []float64 {
		next := make([]float64, k.hidden)
		for i := range next {
			next[i] = k.apply(0, k.fromInput(i, x)+k.fromState(i, h))
		}
		return next
	})
}

// Evaluate computes in float64.
func (o *GRU) Evaluate(c *Evaluation) error {
	return o.run(c, 3, -1, []string{"Sigmoid", "Tanh"}, nil, func(k *cell, x, h, _ []float64) []float64 {
		n := k.hidden
		next, reset, resetState := make([]float64, n), make([]float64, n), make([]float64, n)
		for i := range n {
			reset[i] = k.apply(0, k.fromInput(n+i, x)+k.fromState(n+i, h))
			resetState[i] = reset[i] * h[i]
		}
		for i := range n {
			z := k.apply(0, k.fromInput(i, x)+k.fromState(i, h))
			candidate := k.fromInput(2*n+i, x)
			if o.LinearBeforeReset {
				candidate += reset[i] * k.fromState(2*n+i, h)
			} else {
				candidate += k.fromState(2*n+i, resetState)
			}
			next[i] = (1-z)*k.apply(1, candidate) + z*h[i]
		}
		return next
	})
}

// Evaluate computes in float64.
func (o *LSTM) Evaluate(c *Evaluation) error {
	var round func(values []float64)
	if o.Dynamic {
		round = roundDynamically
	}
	return o.run(c, 4, 6, []string{"Sigmoid", "Tanh", "Tanh"}, round, func(k *cell, x, h, memory []float64) []float64 {
		n := k.hidden
		next := make([]float64, n)
		for i := range n {
			gate := func(g int) float64 { return k.fromInput(g*n+i, x) + k.fromState(g*n+i, h) }
			input := k.apply(0, gate(0)+k.peephole[i]*memory[i])
			forget := 1 - input
			if !o.InputForget {
				forget = k.apply(0, gate(2)+k.peephole[2*n+i]*memory[i])
			}
			memory[i] = forget*memory[i] + input*k.apply(1, gate(3))
			output := k.apply(0, gate(1)+k.peephole[n+i]*memory[i])
			next[i] = output * k.functions[2](memory[i])
		}
		return next
	})
}

// roundDynamically replaces values by what their codes stand for, quantized by their own extremes.
func roundDynamically(values []float64) {
	codes := make([]byte, len(values))
	scale, zero := numeric.ONNX.DynamicCodes(codes, convert(values, func(v float64) float32 { return float32(v) }), numeric.MatrixProduct, false)
	for i, q := range codes {
		values[i] = float64(int32(q)-zero) * float64(scale)
	}
}

// run goes through the steps of each sequence and direction. memory is the operand with the initial cell state, −1 if
// there is none; round, if there is one, is what happens to x and, in every step, to h before they are multiplied; step
// computes the next state and changes the cell state in place.
func (r *Recurrence) run(c *Evaluation, gates, memory int, defaults []string, round func(values []float64), step func(k *cell, x, h, memory []float64) []float64) error {
	if err := c.require(3); err != nil {
		return err
	}
	if err := wantFloats(c, 0, 1, 2); err != nil {
		return err
	}
	shape, hidden := c.In(0).Shape(), 0
	if rs := c.In(2).Shape(); len(shape) == 3 && len(rs) == 3 {
		hidden = rs[2]
	}
	ways := 1
	if r.Direction == Bidirectional {
		ways = 2
	}
	if len(shape) != 3 || !slices.Equal(c.In(1).Shape(), []int{ways, gates * hidden, shape[2]}) || !slices.Equal(c.In(2).Shape(), []int{ways, gates * hidden, hidden}) {
		return fmt.Errorf("input %s, weights %s and %s do not fit %d gates in %d directions", c.In(0), c.In(1), c.In(2), gates, ways)
	}
	steps, batch := shape[0], shape[1]
	if r.BatchFirst {
		steps, batch = batch, steps
	}
	cells, err := r.cells(c, ways, gates, hidden, defaults)
	if err != nil {
		return err
	}
	lengths, err := sequenceLengths(c, steps, batch)
	if err != nil {
		return err
	}
	// at is the index of row [way, b] of a state.
	at := func(way, b int) int {
		if r.BatchFirst {
			return (b*ways + way) * hidden
		}
		return (way*batch + b) * hidden
	}
	initial := func(operand int) ([]float64, error) {
		state := make([]float64, ways*batch*hidden)
		if operand >= 0 && c.Has(operand) {
			if c.In(operand).Len() != len(state) {
				return nil, fmt.Errorf("input %d is %s, wants %d elements", operand, c.In(operand), len(state))
			}
			copy(state, Float64s(c.In(operand)))
		}
		return state, nil
	}
	h, err := initial(5)
	if err != nil {
		return err
	}
	m, err := initial(memory)
	if err != nil {
		return err
	}
	x := Float64s(c.In(0))
	if round != nil {
		x = slices.Clone(x)
		round(x)
	}
	all := make([]float64, steps*ways*batch*hidden)
	before := make([]float64, batch*hidden) // h of the sequences, as it is multiplied
	for way, k := range cells {
		reverse := r.Direction == Reverse || way == 1
		for t := range steps {
			clear(before)
			for b := range batch {
				if t <= lengths[b] { // when h is rounded, sequences count up to the step after their last
					copy(before[b*hidden:], h[at(way, b):][:hidden])
				}
			}
			if round != nil {
				round(before)
			}
			for b := range batch {
				if t >= lengths[b] {
					continue
				}
				i := t
				if reverse {
					i = lengths[b] - 1 - t
				}
				row, to := i*batch+b, (i*ways+way)*batch+b
				if r.BatchFirst {
					row, to = b*steps+i, (b*steps+i)*ways+way
				}
				state := step(k, x[row*shape[2]:][:shape[2]], before[b*hidden:][:hidden], m[at(way, b):][:hidden])
				copy(h[at(way, b):], state)
				copy(all[to*hidden:], state)
			}
		}
	}
	dtype := c.OutDType(0)
	if !dtype.IsFloat() {
		dtype = c.In(0).DType()
	}
	full, last := []int{steps, ways, batch, hidden}, []int{ways, batch, hidden}
	if r.BatchFirst {
		full, last = []int{batch, steps, ways, hidden}, []int{batch, ways, hidden}
	}
	c.Set(0, FromFloat64s(dtype, full, all))
	c.Set(1, FromFloat64s(dtype, last, h))
	c.Set(2, FromFloat64s(dtype, last, m))
	return nil
}

// sequenceLengths is operand 4, or all steps.
func sequenceLengths(c *Evaluation, steps, batch int) ([]int, error) {
	if !c.Has(4) {
		return slices.Repeat([]int{steps}, batch), nil
	}
	lengths := convert(Int64s(c.In(4)), func(n int64) int { return int(n) })
	if len(lengths) != batch || slices.ContainsFunc(lengths, func(n int) bool { return n < 0 || n > steps }) {
		return nil, fmt.Errorf("lengths %v do not fit %d sequences of %d steps", lengths, batch, steps)
	}
	return lengths, nil
}

// cells reads the weights of each direction.
func (r *Recurrence) cells(c *Evaluation, ways, gates, hidden int, defaults []string) ([]*cell, error) {
	activations := r.Activations
	if len(activations) == 0 {
		for range ways {
			for _, name := range defaults {
				activations = append(activations, CellActivation{Name: name})
			}
		}
	}
	if len(activations) != ways*len(defaults) {
		return nil, fmt.Errorf("%d activations, wants %d for each of %d directions", len(activations), len(defaults), ways)
	}
	size := gates * hidden
	part := func(operand, count int, what string) ([]float64, error) {
		if !c.Has(operand) {
			return make([]float64, ways*count), nil
		}
		if c.In(operand).Len() != ways*count {
			return nil, fmt.Errorf("%s %s have not %d elements", what, c.In(operand), ways*count)
		}
		return Float64s(c.In(operand)), nil
	}
	bias, err := part(3, 2*size, "biases")
	if err != nil {
		return nil, err
	}
	peephole, err := part(7, 3*hidden, "peepholes")
	if err != nil {
		return nil, err
	}
	inputs := c.In(0).Shape()[2]
	cells := make([]*cell, ways)
	for way := range cells {
		k := &cell{
			inputs: inputs, hidden: hidden, clip: float64(r.Clip),
			w: Float64s(c.In(1))[way*size*inputs:], r: Float64s(c.In(2))[way*size*hidden:],
			wb: bias[way*2*size:], rb: bias[way*2*size+size:], peephole: peephole[way*3*hidden:],
		}
		for _, a := range activations[way*len(defaults):][:len(defaults)] {
			f := a.function()
			if f == nil {
				return nil, fmt.Errorf("activation %q is not known", a.Name)
			}
			k.functions = append(k.functions, f)
		}
		cells[way] = k
	}
	return cells, nil
}

// MACs counts the products with W and R, per direction, sequence and step.
func (r *Recurrence) MACs(in, out []graph.Type) int64 {
	if len(in) < 3 {
		return 0
	}
	x, ok1 := in[0].Shape.Known()
	w, ok2 := in[1].Shape.Known()
	h, ok3 := in[2].Shape.Known()
	if !ok1 || !ok2 || !ok3 || len(x) != 3 {
		return 0
	}
	return int64(x[0]*x[1]) * int64(product(w)+product(h))
}

// TensorScatter writes an update into a cache along Axis, each batch element from its own index in operand 2 on (ONNX
// TensorScatter-24). Operands: cache, update, indices.
type TensorScatter struct {
	Axis     int
	Circular bool // indices beyond the end go on at the start
}

// Type is "TensorScatter".
func (*TensorScatter) Type() string { return "TensorScatter" }

// Infer keeps the cache's type.
func (o *TensorScatter) Infer(c *Inference) error { return inferAlongAxis(c, o.Axis) }

// Evaluate copies slices.
func (o *TensorScatter) Evaluate(c *Evaluation) error {
	if err := c.require(2); err != nil {
		return err
	}
	cache, update := c.In(0), c.In(1)
	shape := cache.Shape()
	axis, err := normalAxis(o.Axis, len(shape))
	if err != nil {
		return err
	}
	if len(update.Shape()) != len(shape) || update.DType() != cache.DType() || cache.DType().Bits() < 8 || axis == 0 {
		return fmt.Errorf("update %s does not fit cache %s along axis %d", update, cache, axis)
	}
	for d, n := range update.Shape() {
		if d != axis && n != shape[d] || d == axis && n > shape[d] {
			return fmt.Errorf("update %s does not fit cache %s along axis %d", update, cache, axis)
		}
	}
	starts := make([]int64, shape[0])
	if c.Has(2) {
		if c.In(2).Len() != len(starts) {
			return fmt.Errorf("indices %s, wants one for each of %d", c.In(2), len(starts))
		}
		starts = Int64s(c.In(2))
	}
	y := tensor.New(cache.DType(), shape...)
	copy(y.Bytes(), cache.Bytes())
	row := product(shape[axis+1:]) * cache.DType().Bits() / 8
	steps, length := update.Shape()[axis], shape[axis]
	outer := product(shape[:axis])
	for i := range outer {
		start := starts[i/(outer/shape[0])]
		for s := range steps {
			to := start + int64(s)
			if o.Circular {
				to = (to%int64(length) + int64(length)) % int64(length)
			}
			if to < 0 || to >= int64(length) {
				return fmt.Errorf("index %d is outside a cache of %d", to, length)
			}
			copy(y.Bytes()[(i*length+int(to))*row:][:row], update.Bytes()[(i*steps+s)*row:])
		}
	}
	c.Set(0, y)
	return nil
}
