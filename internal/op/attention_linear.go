package op

import (
	"fmt"
	"math"

	"github.com/octet-nn/octet/internal/graph"
)

// UpdateRule is how LinearAttention changes its state.
type UpdateRule uint8

const (
	GatedDelta UpdateRule = iota
	LinearUpdate
	Gated
	Delta
)

var updateRules = []string{GatedDelta: "gated_delta", LinearUpdate: "linear", Gated: "gated", Delta: "delta"}

// String is ONNX's name.
func (u UpdateRule) String() string { return nameOf(u, updateRules) }

// MarshalText is ONNX's name.
func (u UpdateRule) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (u *UpdateRule) UnmarshalText(text []byte) error { return parseName(u, text, updateRules) }

// LinearAttention is attention with a state of constant size per head, S [size of keys, size of values] (ONNX
// LinearAttention-27): for each step, S decays by exp(decay), takes up the outer product of key and value (Delta: of key
// and beta·(value − Sᵀ·key)), and the result is scale·Sᵀ·query. Operands: query, key, value, state, decay, beta, all
// but the state [batch, steps, heads·size]. Results: output, state.
type LinearAttention struct {
	UpdateRule            UpdateRule
	Scale                 float32 // 0 means 1/√(size of keys)
	QNumHeads, KvNumHeads int
	ChunkSize             int // a hint for implementations
}

// Type is "LinearAttention".
func (*LinearAttention) Type() string { return "LinearAttention" }

// Infer knows types; the result's last dimension depends on the heads.
func (o *LinearAttention) Infer(c *Inference) error {
	c.SetOut(0, c.In(0).DType, unknowns(3))
	dtype := c.In(0).DType
	if c.Has(3) {
		dtype = c.In(3).DType
	}
	c.SetOut(1, dtype, unknowns(4))
	if rank, ok := c.In(0).Rank(); ok && rank == 3 {
		shape := graph.Shape{c.In(0).Shape[0], c.In(0).Shape[1], {Size: graph.Unknown}}
		c.SetOut(0, c.In(0).DType, shape)
	}
	return nil
}

// Evaluate goes through the steps in float64.
func (o *LinearAttention) Evaluate(c *Evaluation) error {
	if err := c.require(3); err != nil {
		return err
	}
	if o.QNumHeads <= 0 || o.KvNumHeads <= 0 || o.QNumHeads%o.KvNumHeads != 0 {
		return fmt.Errorf("%d query heads cannot share %d key heads", o.QNumHeads, o.KvNumHeads)
	}
	gated, delta := o.UpdateRule == Gated || o.UpdateRule == GatedDelta, o.UpdateRule == Delta || o.UpdateRule == GatedDelta
	if c.Has(4) != gated || c.Has(5) != delta {
		return fmt.Errorf("update rule %s does not go with these operands (decay %t, beta %t)", o.UpdateRule, c.Has(4), c.Has(5))
	}
	q, err := readHeads(c, 0, o.QNumHeads)
	if err != nil {
		return err
	}
	k, err := readHeads(c, 1, o.KvNumHeads)
	if err != nil {
		return err
	}
	v, err := readHeads(c, 2, o.KvNumHeads)
	if err != nil {
		return err
	}
	if k.batch != q.batch || v.batch != q.batch || k.length != q.length || v.length != q.length || k.size != q.size {
		return fmt.Errorf("query %s, key %s and value %s do not fit each other", c.In(0), c.In(1), c.In(2))
	}
	var decay, beta *heads
	if gated {
		if decay, err = readHeads(c, 4, o.KvNumHeads); err != nil {
			return err
		}
	}
	if delta {
		last := c.In(5).Shape()[len(c.In(5).Shape())-1]
		if last != 1 && last != o.KvNumHeads {
			return fmt.Errorf("beta %s has neither 1 nor %d heads", c.In(5), o.KvNumHeads)
		}
		if beta, err = readHeads(c, 5, last); err != nil {
			return err
		}
	}
	state := make([]float64, k.batch*k.heads*k.size*v.size)
	stateType := c.In(0).DType()
	if c.Has(3) {
		if c.In(3).Len() != len(state) {
			return fmt.Errorf("state %s has not %d elements", c.In(3), len(state))
		}
		copy(state, Float64s(c.In(3)))
		stateType = c.In(3).DType()
	}
	scale := float64(o.Scale)
	if scale == 0 {
		scale = 1 / math.Sqrt(float64(k.size))
	}
	y := make([]float64, q.batch*q.heads*q.length*v.size)
	for b := range q.batch {
		for h := range k.heads {
			s := state[(b*k.heads+h)*k.size*v.size:][:k.size*v.size]
			for i := range q.length {
				key, value := k.row(b, h, i), append([]float64(nil), v.row(b, h, i)...)
				if gated {
					gates := decay.row(b, h, i)
					for d := range k.size {
						g := math.Exp(gates[d%len(gates)])
						for m := range v.size {
							s[d*v.size+m] *= g
						}
					}
				}
				if delta {
					rate := beta.row(b, h%beta.heads, i)[0]
					for m := range value {
						known := 0.0
						for d := range k.size {
							known += s[d*v.size+m] * key[d]
						}
						value[m] = rate * (value[m] - known)
					}
				}
				for d := range k.size {
					for m := range value {
						s[d*v.size+m] += key[d] * value[m]
					}
				}
				group := q.heads / k.heads
				for reader := h * group; reader < (h+1)*group; reader++ {
					query := q.row(b, reader, i)
					for m := range value {
						sum := 0.0
						for d := range k.size {
							sum += query[d] * s[d*v.size+m]
						}
						y[((b*q.length+i)*q.heads+reader)*v.size+m] = scale * sum
					}
				}
			}
		}
	}
	c.Set(0, FromFloat64s(c.In(0).DType(), []int{q.batch, q.length, q.heads * v.size}, y))
	c.Set(1, FromFloat64s(stateType, []int{k.batch, k.heads, k.size, v.size}, state))
	return nil
}

// CausalConvWithState is a depthwise convolution over time that sees only the past, of which it carries the last steps
// along (ONNX CausalConvWithState-27). Operands: input [batch, channels, steps], weight [channels, 1, taps], bias,
// state [batch, channels, taps−1]. Results: output, state.
type CausalConvWithState struct{ Silu bool }

// Type is "CausalConvWithState".
func (*CausalConvWithState) Type() string { return "CausalConvWithState" }

// Infer keeps the input's type.
func (*CausalConvWithState) Infer(c *Inference) error {
	if err := inferUnary(c); err != nil {
		return err
	}
	c.SetOut(1, c.In(0).DType, unknowns(3))
	return nil
}

// Evaluate convolves in float64.
func (o *CausalConvWithState) Evaluate(c *Evaluation) error {
	if err := c.require(2); err != nil {
		return err
	}
	if err := wantFloats(c, 0, 1); err != nil {
		return err
	}
	shape, filter := c.In(0).Shape(), c.In(1).Shape()
	if len(shape) != 3 || len(filter) != 3 || filter[0] != shape[1] || filter[1] != 1 || filter[2] < 1 {
		return fmt.Errorf("input %s and weight %s do not fit each other", c.In(0), c.In(1))
	}
	batch, channels, steps, taps := shape[0], shape[1], shape[2], filter[2]
	x, w := Float64s(c.In(0)), Float64s(c.In(1))
	var bias, state []float64
	if c.Has(2) {
		bias = Float64s(c.In(2))
	}
	if c.Has(3) {
		state = Float64s(c.In(3))
		if len(state) != batch*channels*(taps-1) {
			return fmt.Errorf("state %s has not %d elements", c.In(3), batch*channels*(taps-1))
		}
	}
	if bias != nil && len(bias) != channels {
		return fmt.Errorf("bias %s has not %d elements", c.In(2), channels)
	}
	y := make([]float64, 0, len(x))
	next := make([]float64, 0, batch*channels*(taps-1))
	for row := range batch * channels {
		history := make([]float64, taps-1, taps-1+steps)
		if state != nil {
			copy(history, state[row*(taps-1):])
		}
		history = append(history, x[row*steps:(row+1)*steps]...)
		for i := range steps {
			sum := dot(w[row%channels*taps:][:taps], history[i:])
			if bias != nil {
				sum += bias[row%channels]
			}
			if o.Silu {
				sum /= 1 + math.Exp(-sum)
			}
			y = append(y, sum)
		}
		next = append(next, history[steps:]...)
	}
	c.Set(0, FromFloat64s(c.In(0).DType(), shape, y))
	c.Set(1, FromFloat64s(c.In(0).DType(), []int{batch, channels, taps - 1}, next))
	return nil
}
