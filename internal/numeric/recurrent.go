package numeric

import (
	"fmt"
	"math"
)

// recurrentForm is how a row computes a long short-term memory on codes.
type recurrentForm uint8

const (
	recurrentNone  recurrentForm = iota
	recurrentFixed               // TFLite: functions in fixed point, products rounded once
	recurrentTable               // TFLite for Microcontrollers: functions by tables, products in two roundings
)

// Gates of a long short-term memory, in TFLite's order.
const (
	InputGate = iota
	ForgetGate
	CellGate
	OutputGate

	GateCount
)

// Recurrent computes a long short-term memory on codes: gates with 15 fractional bits from sums with 12, a cell state of
// 16 bits whose scale is a power of two, a hidden state of 8 bits.
type Recurrent struct {
	form             recurrentForm
	power            int   // of two: the cell state's scale
	least, greatest  int32 // of the cell state
	input, state     [GateCount]FixedPoint
	forget, add, out FixedPoint
	y                Codes
}

// Recurrent is how the row computes a long short-term memory: input codes x, hidden state h, the scales of the weights
// that either is multiplied by, a cell state of a scale that is a power of two and, if clip is positive, limited to ±clip,
// and results y.
func (row Arithmetic) Recurrent(x, h Codes, inputWeights, stateWeights [GateCount]float32, cellScale, clip float32, y Codes) (Recurrent, error) {
	r := Recurrent{form: row.of().recurrent, least: math.MinInt16, greatest: math.MaxInt16, y: y}
	if r.form == recurrentNone {
		return r, fmt.Errorf("the arithmetic %s has no recurrent layers", row)
	}
	fraction, power := math.Frexp(float64(cellScale))
	if r.power = power - 1; fraction != 0.5 || r.power < -15 || r.power > -9 {
		return r, fmt.Errorf("the cell state has the scale %g, wants a power of two from 2^-15 to 2^-9", cellScale)
	}
	if clip > 0 {
		r.greatest = int32(min(clip/cellScale, math.MaxInt16))
		r.least = -r.greatest
	}
	for g := range GateCount {
		r.input[g] = NewFixedPoint(float64(float32(inputWeights[g]*x.Scale) / (1. / 4096)))
		r.state[g] = NewFixedPoint(float64(float32(stateWeights[g]*h.Scale) / (1. / 4096)))
	}
	r.forget = NewFixedPoint(1. / (1 << 15))
	r.add = NewFixedPoint(math.Ldexp(1, -30-r.power))
	out := math.Ldexp(1, -30) / float64(y.Scale)
	if r.form == recurrentFixed {
		out = float64(float32(out))
	}
	r.out = NewFixedPoint(out)
	return r, nil
}

// Gate is the value of a gate for the exact sums of the products with the input, bias included, and with the hidden
// state.
func (r *Recurrent) Gate(gate int, fromInput, fromState int32) int32 {
	sum := saturate16(r.state[gate].HalfAway(fromState) + saturate16(r.input[gate].HalfAway(fromInput)))
	if r.form == recurrentTable {
		sum = saturate16(saturate16(r.state[gate].HalfAway(fromState)) + saturate16(r.input[gate].HalfAway(fromInput)))
		if gate == CellGate {
			return tanhByTable(sum, 12)
		}
		return logisticByTable(sum)
	}
	if gate == CellGate {
		return Tanh16(sum, 3)
	}
	return Sigmoid16(sum, 3)
}

// Cell is the next cell state.
func (r *Recurrent) Cell(cell, input, forget, candidate int32) int32 {
	var kept, added int32
	if r.form == recurrentTable {
		kept, added = r.forget.HalfAway(forget*cell), r.add.HalfAway(input*candidate)
	} else {
		kept, added = ShiftHalfAway(forget*cell, 15), ShiftHalfAway(input*candidate, 30+r.power)
	}
	return min(max(saturate16(kept)+saturate16(added), r.least), r.greatest)
}

// Hidden is the next hidden state, which is the result.
func (r *Recurrent) Hidden(cell, output int32) int32 {
	t := int32(0)
	if r.form == recurrentTable {
		t = tanhByTable(cell, -r.power)
	} else {
		t = Tanh16(cell, 15+r.power)
	}
	return r.y.limit(int64(r.out.HalfAway(output*t)) + int64(r.y.ZeroPoint))
}
