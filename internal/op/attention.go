package op

import (
	"fmt"
	"math"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/tensor"
)

// Attention is scaled dot-product attention (ONNX Attention-25): softmax(softcap(Q·Kᵀ·scale) + bias)·V per head.
// Operands: Q, K, V, mask, past key, past value, number of keys that are not padding. Q, K and V have the shape
// [batch, heads, length, size] or, with QNumHeads and KvNumHeads set, [batch, length, heads·size]. The mask is a bias or
// says which keys are attended; a query that may attend to none gives 0. Several query heads may share a key head.
// Results: as Q, key and value with the past in front, the scores.
type Attention struct {
	Scale                 float32 // 0 means 1/√size
	IsCausal              bool
	QNumHeads, KvNumHeads int
	Softcap               float32 // 0 means none
	// QkMatmulOutputMode says which scores are the last result: 0 products, 1 after the cap, 2 with bias, 3 softmax.
	QkMatmulOutputMode int
	SoftmaxPrecision   OutputType
	// Keys farther than these before and behind a query are not attended; −1 means no limit.
	LeftWindowSize, RightWindowSize int
}

// Type is "Attention".
func (*Attention) Type() string { return "Attention" }

// Infer follows the shapes as far as they are known.
func (o *Attention) Infer(c *Inference) error {
	dtype := c.In(0).DType
	rank, ok := c.In(0).Rank()
	if !ok {
		for i := range c.Node.Outputs {
			c.SetOut(i, dtype, nil)
		}
		return nil
	}
	if rank != 3 && rank != 4 {
		return fmt.Errorf("input 0 has %d dimensions, wants 3 or 4", rank)
	}
	if rank == 3 && (o.QNumHeads <= 0 || o.KvNumHeads <= 0) {
		return fmt.Errorf("inputs of 3 dimensions need q_num_heads and kv_num_heads")
	}
	shape := slices.Clone(c.In(0).Shape)
	shape[rank-1] = graph.Dim{Size: graph.Unknown}
	if v, ok := c.In(2).Rank(); ok && v == rank {
		last := c.In(2).Shape[v-1]
		if rank == 3 && last.Known() && last.Size%o.KvNumHeads == 0 {
			last = graph.Fixed(last.Size / o.KvNumHeads * o.QNumHeads)
		} else if rank == 3 && o.KvNumHeads != o.QNumHeads {
			last = graph.Dim{Size: graph.Unknown}
		}
		shape[rank-1] = last
	}
	c.SetOut(0, dtype, shape)
	c.SetOut(1, c.In(1).DType, unknowns(4))
	c.SetOut(2, c.In(2).DType, unknowns(4))
	c.SetOut(3, dtype, unknowns(4))
	return nil
}

// heads is an operand as [batch, heads, length, size].
type heads struct {
	values                     []float64
	batch, heads, length, size int
}

func (h *heads) row(b, head, i int) []float64 {
	at := ((b*h.heads+head)*h.length + i) * h.size
	return h.values[at : at+h.size]
}

func readHeads(c *Evaluation, i, count int) (*heads, error) {
	t := c.In(i)
	shape, values := t.Shape(), Float64s(t)
	switch {
	case len(shape) == 4:
		return &heads{values, shape[0], shape[1], shape[2], shape[3]}, nil
	case len(shape) != 3 || count <= 0 || shape[2]%count != 0:
		return nil, fmt.Errorf("input %d is %s, wants 4 dimensions or 3 with the last a multiple of %d heads", i, t, count)
	}
	h := &heads{nil, shape[0], count, shape[1], shape[2] / count}
	h.values = make([]float64, 0, len(values))
	for b := range h.batch {
		for head := range h.heads {
			for j := range h.length {
				at := ((b*h.length+j)*h.heads + head) * h.size
				h.values = append(h.values, values[at:at+h.size]...)
			}
		}
	}
	return h, nil
}

// follow puts the keys or values of earlier runs in front.
func (h *heads) follow(past *heads) (*heads, error) {
	if past.batch != h.batch || past.heads != h.heads || past.size != h.size {
		return nil, fmt.Errorf("the past %d×%d×·×%d does not fit %d×%d×·×%d", past.batch, past.heads, past.size, h.batch, h.heads, h.size)
	}
	all := &heads{nil, h.batch, h.heads, past.length + h.length, h.size}
	for b := range h.batch {
		for head := range h.heads {
			for i := range past.length {
				all.values = append(all.values, past.row(b, head, i)...)
			}
			for i := range h.length {
				all.values = append(all.values, h.row(b, head, i)...)
			}
		}
	}
	return all, nil
}

func (h *heads) shape() []int { return []int{h.batch, h.heads, h.length, h.size} }

// Evaluate computes in float64.
func (o *Attention) Evaluate(c *Evaluation) error {
	if err := c.require(3); err != nil {
		return err
	}
	if err := wantFloats(c, 0, 1, 2); err != nil {
		return err
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
	past := 0
	if c.Has(4) != c.Has(5) {
		return fmt.Errorf("past key and past value go together")
	}
	if c.Has(4) {
		pastKey, err := readHeads(c, 4, 0)
		if err != nil {
			return err
		}
		pastValue, err := readHeads(c, 5, 0)
		if err != nil {
			return err
		}
		past = pastKey.length
		if k, err = k.follow(pastKey); err != nil {
			return err
		}
		if v, err = v.follow(pastValue); err != nil {
			return err
		}
	}
	switch {
	case k.batch != q.batch || v.batch != q.batch || k.size != q.size || v.length != k.length || v.heads != k.heads:
		return fmt.Errorf("Q %v, K %v and V %v do not fit each other", q.shape(), k.shape(), v.shape())
	case k.heads == 0 || q.heads%k.heads != 0:
		return fmt.Errorf("%d query heads cannot share %d key heads", q.heads, k.heads)
	}
	bias, err := o.bias(c, q, k, past)
	if err != nil {
		return err
	}
	y, scores := o.attend(q, k, v, bias)
	dtype := c.OutDType(0)
	shape := []int{q.batch, q.heads, q.length, v.size}
	if len(c.In(0).Shape()) == 3 {
		y = swapHeads(y, shape)
		shape = []int{q.batch, q.length, q.heads * v.size}
	}
	c.Set(0, FromFloat64s(dtype, shape, y))
	c.Set(1, FromFloat64s(c.In(1).DType(), k.shape(), k.values))
	c.Set(2, FromFloat64s(c.In(2).DType(), v.shape(), v.values))
	c.Set(3, FromFloat64s(dtype, []int{q.batch, q.heads, q.length, k.length}, scores))
	return nil
}

// swapHeads turns [batch, heads, length, size] into [batch, length, heads, size].
func swapHeads(y []float64, shape []int) []float64 {
	out := make([]float64, 0, len(y))
	for b := range shape[0] {
		for i := range shape[2] {
			for h := range shape[1] {
				at := ((b*shape[1]+h)*shape[2] + i) * shape[3]
				out = append(out, y[at:at+shape[3]]...)
			}
		}
	}
	return out
}

// attend is the result and the scores that are asked for, both [batch, heads, length, …].
func (o *Attention) attend(q, k, v *heads, bias func(b, h, i, j int) float64) (y, scores []float64) {
	scale := float64(o.Scale)
	if scale == 0 {
		scale = 1 / math.Sqrt(float64(q.size))
	}
	row := make([]float64, k.length)
	y = make([]float64, 0, q.batch*q.heads*q.length*v.size)
	for b := range q.batch {
		for h := range q.heads {
			shared := h / (q.heads / k.heads)
			for i := range q.length {
				masked := true
				start := len(scores)
				for j := range row {
					score := dot(q.row(b, h, i), k.row(b, shared, j)) * scale
					if o.Softcap > 0 {
						score = math.Tanh(score/float64(o.Softcap)) * float64(o.Softcap)
					}
					add := bias(b, h, i, j)
					masked = masked && math.IsInf(add, -1)
					row[j] = score + add
					if o.QkMatmulOutputMode < 2 {
						scores = append(scores, score)
					}
				}
				if o.QkMatmulOutputMode == 2 {
					scores = append(scores, row...)
				}
				if masked {
					clear(row)
				} else {
					softmaxRow(row)
				}
				if o.QkMatmulOutputMode == 3 {
					scores = append(scores[:start], row...)
				}
				for d := range v.size {
					sum := 0.0
					for j, p := range row {
						if p != 0 {
							sum += p * v.row(b, shared, j)[d]
						}
					}
					y = append(y, sum)
				}
			}
		}
	}
	return y, scores
}

func dot(a, b []float64) float64 {
	sum := 0.0
	for i, v := range a {
		sum += v * b[i]
	}
	return sum
}

// softmaxRow replaces logits by their softmax.
func softmaxRow(row []float64) {
	top, sum := slices.Max(row), 0.0
	for i, v := range row {
		row[i] = math.Exp(v - top)
		sum += row[i]
	}
	for i := range row {
		row[i] /= sum
	}
}

// bias is what is added to a score: −Inf where query i of head h may not attend to key j.
func (o *Attention) bias(c *Evaluation, q, k *heads, past int) (func(b, h, i, j int) float64, error) {
	full := []int{q.batch, q.heads, q.length, k.length}
	mask := func(b, h, i, j int) float64 { return 0 }
	if c.Has(3) {
		t := c.In(3)
		shape := t.Shape()
		if len(shape) == 0 || shape[len(shape)-1] > k.length {
			return nil, fmt.Errorf("the mask %s does not fit %d keys", t, k.length)
		}
		// A mask for fewer keys than there are hides the last ones.
		width := shape[len(shape)-1]
		if width == 1 && k.length > 1 {
			width = k.length // broadcast
		}
		index, err := broadcastIndex(shape, append(slices.Clone(full[:3]), width))
		if err != nil {
			return nil, fmt.Errorf("mask: %w", err)
		}
		values, isBool := Float64s(t), t.DType() == tensor.Bool
		mask = func(b, h, i, j int) float64 {
			if j >= width {
				return math.Inf(-1)
			}
			m := values[index(((b*q.heads+h)*q.length+i)*width+j)]
			switch {
			case !isBool:
				return m
			case m == 0:
				return math.Inf(-1)
			}
			return 0
		}
	}
	valid := func(b int) int { return k.length } // keys that are no padding
	offset := func(b int) int { return past }    // of query 0 among the keys
	if c.Has(6) {
		lengths := Int64s(c.In(6))
		if len(lengths) != q.batch {
			return nil, fmt.Errorf("input 6 is %s, wants one length for each of %d", c.In(6), q.batch)
		}
		valid = func(b int) int { return int(lengths[b]) }
		if !c.Has(4) {
			offset = func(b int) int { return int(lengths[b]) - q.length }
		}
	}
	return func(b, h, i, j int) float64 {
		at := i + offset(b)
		if j >= valid(b) || o.IsCausal && j > at || o.LeftWindowSize >= 0 && j < at-o.LeftWindowSize ||
			o.RightWindowSize >= 0 && j > at+o.RightWindowSize {
			return math.Inf(-1)
		}
		return mask(b, h, i, j)
	}, nil
}

// MACs counts both products.
func (o *Attention) MACs(in, out []graph.Type) int64 {
	if len(in) < 3 || len(out) == 0 {
		return 0
	}
	q, ok1 := in[0].Shape.Known()
	k, ok2 := in[1].Shape.Known()
	v, ok3 := in[2].Shape.Known()
	if !ok1 || !ok2 || !ok3 || len(k) != len(q) || len(v) != len(q) || len(q) < 3 {
		return 0
	}
	queries, keys := int64(product(q)), int64(k[len(k)-2])
	if len(q) == 3 {
		return queries*keys + int64(q[0]*q[1])*keys*int64(v[2]/max(o.KvNumHeads, 1)*o.QNumHeads)
	}
	return queries*keys + int64(q[0]*q[1]*q[2])*keys*int64(v[3])
}

// RotaryEmbedding rotates pairs of elements by the angles whose cosines and sines are given (ONNX RotaryEmbedding-23).
// Operands: x [batch, heads, length, size] or, with NumHeads, [batch, length, heads·size]; cosines and sines
// [positions, half] with the positions [batch, length] of operand 3, or [batch, length, half] without.
type RotaryEmbedding struct {
	Interleaved        bool // pairs are neighbours, instead of the first and second half
	RotaryEmbeddingDim int  // elements that are rotated, the rest stays; 0 means all
	NumHeads           int
}

// Type is "RotaryEmbedding".
func (*RotaryEmbedding) Type() string { return "RotaryEmbedding" }

// Infer keeps the type.
func (*RotaryEmbedding) Infer(c *Inference) error { return inferUnary(c) }

// Evaluate rotates in float64.
func (o *RotaryEmbedding) Evaluate(c *Evaluation) error {
	if err := c.require(3); err != nil {
		return err
	}
	if err := wantFloats(c, 0, 1, 2); err != nil {
		return err
	}
	x, err := readHeads(c, 0, o.NumHeads)
	if err != nil {
		return err
	}
	turned := o.RotaryEmbeddingDim
	if turned == 0 {
		turned = x.size
	}
	half := turned / 2
	cos, sin := Float64s(c.In(1)), Float64s(c.In(2))
	row := func(b, i int) int { return b*x.length + i }
	rowsOfAngles := len(cos) / max(half, 1)
	if c.Has(3) {
		positions := Int64s(c.In(3))
		if len(positions) != x.batch*x.length {
			return fmt.Errorf("positions %s do not fit %s", c.In(3), c.In(0))
		}
		for _, p := range positions {
			if p < 0 || p >= int64(rowsOfAngles) {
				return fmt.Errorf("position %d is outside %s", p, c.In(1))
			}
		}
		row = func(b, i int) int { return int(positions[b*x.length+i]) }
	} else if rowsOfAngles < x.batch*x.length {
		return fmt.Errorf("angles %s do not fit %s", c.In(1), c.In(0))
	}
	if turned > x.size || turned%2 != 0 || len(sin) != len(cos) || c.In(1).Shape()[len(c.In(1).Shape())-1] != half {
		return fmt.Errorf("angles %s and %s do not fit %d elements of %d", c.In(1), c.In(2), turned, x.size)
	}
	out := slices.Clone(x.values)
	for b := range x.batch {
		for h := range x.heads {
			for i := range x.length {
				at := ((b*x.heads+h)*x.length + i) * x.size
				for p := range half {
					one, two := at+p, at+half+p
					if o.Interleaved {
						one, two = at+2*p, at+2*p+1
					}
					cosine, sine := cos[row(b, i)*half+p], sin[row(b, i)*half+p]
					out[one] = cosine*x.values[one] - sine*x.values[two]
					out[two] = sine*x.values[one] + cosine*x.values[two]
				}
			}
		}
	}
	if len(c.In(0).Shape()) == 3 {
		out = swapHeads(out, x.shape())
	}
	c.Set(0, FromFloat64s(c.In(0).DType(), c.In(0).Shape(), out))
	return nil
}
