package op

import (
	"fmt"
	"math"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/tensor"
)

// SequenceLSTM is a long short-term memory as TensorFlow Lite has it (UNIDIRECTIONAL_SEQUENCE_LSTM without projection,
// peepholes and normalization): in each step
//
//	i, f, o = sigmoid(W·x + R·h + b), g = tanh(W·x + R·h + b), c = clip(f·c + i·g), h = o·tanh(c).
//
// Operands: x [batch, steps, inputs]; the weights W of gates i, f, g, o [hidden, inputs]; R of the same [hidden, hidden];
// b of the same [hidden]; the first h and c [batch, hidden], zeros if absent. The result is h of all steps. On codes, x,
// weights and h are int8, and c, which then must be there, is int16 with a power of two as its scale: gates have 3
// integer bits, and every step is rounded as TFLite's kernel 8x8_16 does it.
type SequenceLSTM struct {
	CellClip  float32 // limit of c; 0 means none
	TimeMajor bool    // steps come before the batch in x and the result
}

// Type is "SequenceLSTM".
func (*SequenceLSTM) Type() string { return "SequenceLSTM" }

// Operands of SequenceLSTM after x: four of each.
const (
	lstmWeights   = 1
	lstmRecurrent = 5
	lstmBias      = 9
	lstmHidden    = 13
	lstmCell      = 14
)

// Infer replaces the last dimension.
func (o *SequenceLSTM) Infer(c *Inference) error {
	for i := range lstmHidden {
		if !c.Has(i) {
			return fmt.Errorf("operand %d is missing", i)
		}
	}
	if rank, ok := c.In(0).Rank(); !ok || rank != 3 {
		return fmt.Errorf("input is %s, wants batch, steps and inputs", c.In(0))
	}
	shape := append(graph.Shape(nil), c.In(0).Shape...)
	w, r := c.In(lstmWeights).Shape, c.In(lstmRecurrent).Shape
	if len(w) != 2 || len(r) != 2 {
		return fmt.Errorf("weights %s and %s are no matrices", c.In(lstmWeights), c.In(lstmRecurrent))
	}
	for i := range 4 {
		if !c.In(lstmWeights+i).Shape.Same(graph.Shape{w[0], shape[2]}) || !c.In(lstmRecurrent+i).Shape.Same(graph.Shape{w[0], w[0]}) ||
			!c.In(lstmBias+i).Shape.Same(graph.Shape{w[0]}) {
			return fmt.Errorf("weights %s and %s and bias %s of gate %d do not fit the input %s", c.In(lstmWeights+i), c.In(lstmRecurrent+i),
				c.In(lstmBias+i), i, c.In(0))
		}
	}
	batch := shape[0]
	if o.TimeMajor {
		batch = shape[1]
	}
	for _, state := range []int{lstmHidden, lstmCell} {
		if s := c.In(state).Shape; c.Has(state) && !s.Same(graph.Shape{batch, w[0]}) && batch.Known() {
			return fmt.Errorf("state %s is not [%s, %s]", c.In(state), batch, w[0])
		}
	}
	shape[2] = w[0]
	dtype := c.In(0).DType
	if c.In(0).Quant != nil {
		dtype = tensor.Invalid
	}
	c.SetOut(0, dtype, shape)
	return nil
}

// MACs is those of the eight products of each step.
func (o *SequenceLSTM) MACs(in, out []graph.Type) int64 {
	x, ok := in[0].Shape.Known()
	y, known := out[0].Shape.Known()
	if !ok || !known {
		return 0
	}
	return int64(product(y)) * 4 * int64(x[2]+y[2])
}

// Evaluate goes through the steps.
func (o *SequenceLSTM) Evaluate(c *Evaluation) error {
	if err := c.require(lstmHidden); err != nil {
		return err
	}
	if c.Node.Compute == graph.Integer {
		return o.evaluateCodes(c)
	}
	if c.In(0).DType() != tensor.Float32 {
		return fmt.Errorf("input is %s, wants f32 or codes", c.In(0))
	}
	s := o.sizes(c)
	x := Float64s(c.In(0))
	h, cell := make([]float64, s.batch*s.hidden), make([]float64, s.batch*s.hidden)
	if c.Has(lstmHidden) {
		copy(h, Float64s(c.In(lstmHidden)))
	}
	if c.Has(lstmCell) {
		copy(cell, Float64s(c.In(lstmCell)))
	}
	var w, r, b [4][]float64
	for i := range 4 {
		w[i], r[i], b[i] = Float64s(c.In(lstmWeights+i)), Float64s(c.In(lstmRecurrent+i)), Float64s(c.In(lstmBias+i))
	}
	out := make([]float32, s.batch*s.steps*s.hidden)
	limit := math.Inf(1)
	if o.CellClip > 0 {
		limit = float64(o.CellClip)
	}
	s.walk(func(batch, at int) {
		state, memory := h[batch*s.hidden:][:s.hidden], cell[batch*s.hidden:][:s.hidden]
		next := make([]float64, s.hidden)
		for j := range s.hidden {
			var gate [4]float64
			for i := range gate {
				gate[i] = dot(w[i][j*s.inputs:][:s.inputs], x[at*s.inputs:][:s.inputs]) + dot(r[i][j*s.hidden:][:s.hidden], state) + b[i][j]
			}
			v := float64(numeric.Sigmoid(gate[1])*memory[j]) + float64(numeric.Sigmoid(gate[0])*numeric.Tanh(gate[2]))
			memory[j] = min(max(v, -limit), limit)
			next[j] = numeric.Sigmoid(gate[3]) * numeric.Tanh(memory[j])
		}
		copy(state, next)
		for j, v := range next {
			out[at*s.hidden+j] = float32(v)
		}
	})
	c.SetFloats(0, s.shape, out)
	return nil
}

type lstmSizes struct {
	batch, steps, inputs, hidden int
	timeMajor                    bool
	shape                        []int // of the result
}

func (o *SequenceLSTM) sizes(c *Evaluation) lstmSizes {
	x := c.In(0).Shape()
	s := lstmSizes{batch: x[0], steps: x[1], inputs: x[2], hidden: c.In(lstmWeights).Shape()[0], timeMajor: o.TimeMajor}
	if o.TimeMajor {
		s.batch, s.steps = x[1], x[0]
	}
	s.shape = []int{x[0], x[1], s.hidden}
	return s
}

// walk visits every step of every element of the batch: at is its place in input and result.
func (s lstmSizes) walk(visit func(batch, at int)) {
	for batch := range s.batch {
		for step := range s.steps {
			at := batch*s.steps + step
			if s.timeMajor {
				at = step*s.batch + batch
			}
			visit(batch, at)
		}
	}
}

// gateCodes is one gate's products on codes: weights, biases, and the multipliers to 3 integer bits.
type gateCodes struct {
	w, r, b              []int32
	fromInput, fromState numeric.FixedPoint
}

func (o *SequenceLSTM) evaluateCodes(c *Evaluation) error {
	x, y := InputCodes(c.Node, 0), OutputCodes(c.Node, nil)
	cq := c.InQuant(lstmCell)
	if !c.Has(lstmCell) || !cq.IsPerTensor() {
		return fmt.Errorf("the cell state is no int16 codes")
	}
	fraction, power := math.Frexp(float64(cq.Scale[0]))
	power-- // scale = 2^power
	if fraction != 0.5 || power < -15 || power > -9 {
		return fmt.Errorf("the cell state's scale %v is no power of two from 2^-15 to 2^-9", cq.Scale[0])
	}
	state := y
	if q := c.InQuant(lstmHidden); q.IsPerTensor() {
		state.Scale, state.ZeroPoint = q.Scale[0], q.ZeroPoint[0]
	}
	s := o.sizes(c)
	codes := c.Codes(0)
	h, cell := make([]int32, s.batch*s.hidden), make([]int32, s.batch*s.hidden)
	for i := range h {
		h[i] = state.ZeroPoint
	}
	if c.Has(lstmHidden) {
		copy(h, c.Codes(lstmHidden))
	}
	copy(cell, c.Codes(lstmCell))
	var gates [4]gateCodes
	for i := range gates {
		wq, rq := c.InQuant(lstmWeights+i), c.InQuant(lstmRecurrent+i)
		if !wq.IsPerTensor() || !rq.IsPerTensor() {
			return fmt.Errorf("the weights of gate %d have no single scale", i)
		}
		gates[i] = gateCodes{c.Codes(lstmWeights + i), c.Codes(lstmRecurrent + i), c.Codes(lstmBias + i),
			numeric.NewFixedPoint(float64(float32(wq.Scale[0]*x.Scale) * 4096)), numeric.NewFixedPoint(float64(float32(rq.Scale[0]*state.Scale) * 4096))}
	}
	lowest, highest := int32(math.MinInt16), int32(math.MaxInt16)
	if o.CellClip > 0 {
		highest = int32(min(float64(o.CellClip/cq.Scale[0]), math.MaxInt16))
		lowest = -highest
	}
	toHidden := numeric.NewFixedPoint(float64(float32(math.Pow(2, -30) / float64(y.Scale))))
	out := make([]int32, s.batch*s.steps*s.hidden)
	s.walk(func(batch, at int) {
		before, memory := h[batch*s.hidden:][:s.hidden], cell[batch*s.hidden:][:s.hidden]
		next := make([]int32, s.hidden)
		for j := range s.hidden {
			var v [4]int32
			for i, g := range gates {
				v[i] = g.row(j, codes[at*s.inputs:][:s.inputs], x.ZeroPoint, before, state.ZeroPoint)
			}
			in, forget, output := numeric.Sigmoid16(v[0], 3), numeric.Sigmoid16(v[1], 3), numeric.Sigmoid16(v[3], 3)
			kept := numeric.ShiftHalfAway(forget*memory[j], 15)
			added := numeric.ShiftHalfAway(in*numeric.Tanh16(v[2], 3), 30+power)
			memory[j] = min(max(kept+added, lowest), highest)
			q := toHidden.HalfAway(output*numeric.Tanh16(memory[j], 15+power)) + y.ZeroPoint
			next[j] = min(max(q, y.Lowest), y.Highest)
		}
		copy(before, next)
		copy(out[at*s.hidden:], next)
	})
	c.SetCodes(0, s.shape, out)
	return nil
}

// row is what gate cell j gets, with 3 integer bits: two sums, each rounded and limited to 16 bits as it is added.
func (g *gateCodes) row(j int, x []int32, zeroX int32, h []int32, zeroH int32) int32 {
	acc := g.b[j]
	for k, q := range x {
		acc += g.w[j*len(x)+k] * (q - zeroX)
	}
	v := wide16(g.fromInput.HalfAway(acc))
	acc = 0
	for k, q := range h {
		acc += g.r[j*len(h)+k] * (q - zeroH)
	}
	return wide16(v + g.fromState.HalfAway(acc))
}

// wide16 limits to 16 bits.
func wide16(v int32) int32 { return min(max(v, math.MinInt16), math.MaxInt16) }
