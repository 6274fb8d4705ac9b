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
// b of the same [hidden]; the first h and c [batch, hidden], zeros if absent. The results are h of all steps and, if
// wanted, the last h and c: another run that begins with them goes on where this one ended. On codes, x, weights and h
// are int8, and c, which then must be there, is int16 with a power of two as its scale: gates have 3 integer bits, and
// every step is rounded as the row of the node says (numeric.Recurrent).
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
	c.SetOut(1, dtype, graph.Shape{batch, w[0]})
	c.SetOut(2, dtype, graph.Shape{batch, w[0]})
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
	narrow := func(wide []float64) []float32 {
		values := make([]float32, len(wide))
		for i, v := range wide {
			values[i] = float32(v)
		}
		return values
	}
	if c.Wants(1) {
		c.SetFloats(1, []int{s.batch, s.hidden}, narrow(h))
	}
	if c.Wants(2) {
		c.SetFloats(2, []int{s.batch, s.hidden}, narrow(cell))
	}
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

func (o *SequenceLSTM) evaluateCodes(c *Evaluation) error {
	x, y := InputCodes(c.Node, 0), OutputCodes(c.Node, nil)
	if !c.Has(lstmCell) || !c.InQuant(lstmCell).IsPerTensor() {
		return fmt.Errorf("the cell state is no int16 codes")
	}
	state := y
	if q := c.InQuant(lstmHidden); q.IsPerTensor() {
		state.Scale, state.ZeroPoint = q.Scale[0], q.ZeroPoint[0]
	}
	s := o.sizes(c)
	h, cell := make([]int32, s.batch*s.hidden), make([]int32, s.batch*s.hidden)
	for i := range h {
		h[i] = state.ZeroPoint
	}
	if c.Has(lstmHidden) {
		copy(h, c.Codes(lstmHidden))
	}
	copy(cell, c.Codes(lstmCell))
	var w, r, b [numeric.GateCount][]int32
	var scaleW, scaleR [numeric.GateCount]float32
	for g := range w {
		wq, rq := c.InQuant(lstmWeights+g), c.InQuant(lstmRecurrent+g)
		if !wq.IsPerTensor() || !rq.IsPerTensor() {
			return fmt.Errorf("the weights of gate %d have no single scale", g)
		}
		w[g], r[g], b[g] = c.Codes(lstmWeights+g), c.Codes(lstmRecurrent+g), c.Codes(lstmBias+g)
		scaleW[g], scaleR[g] = wq.Scale[0], rq.Scale[0]
	}
	rounding, err := c.Node.Arithmetic.Recurrent(x, state, scaleW, scaleR, c.InQuant(lstmCell).Scale[0], o.CellClip, y)
	if err != nil {
		return err
	}
	codes := c.Codes(0)
	out := make([]int32, s.batch*s.steps*s.hidden)
	s.walk(func(batch, at int) {
		before, memory := h[batch*s.hidden:][:s.hidden], cell[batch*s.hidden:][:s.hidden]
		next := make([]int32, s.hidden)
		for j := range s.hidden {
			var gate [numeric.GateCount]int32
			for g := range gate {
				gate[g] = rounding.Gate(g, b[g][j]+dotCodes(w[g][j*s.inputs:], codes[at*s.inputs:][:s.inputs], x.ZeroPoint),
					dotCodes(r[g][j*s.hidden:], before, state.ZeroPoint))
			}
			memory[j] = rounding.Cell(memory[j], gate[numeric.InputGate], gate[numeric.ForgetGate], gate[numeric.CellGate])
			next[j] = rounding.Hidden(memory[j], gate[numeric.OutputGate])
		}
		copy(before, next)
		copy(out[at*s.hidden:], next)
	})
	c.SetCodes(0, s.shape, out)
	if c.Wants(1) {
		c.SetCodes(1, []int{s.batch, s.hidden}, h)
	}
	if c.Wants(2) {
		c.SetCodes(2, []int{s.batch, s.hidden}, cell)
	}
	return nil
}

// dotCodes sums the products of codes, less their zero point, and the beginning of weights.
func dotCodes(weights, codes []int32, zero int32) (sum int32) {
	for i, q := range codes {
		sum += weights[i] * (q - zero)
	}
	return sum
}
