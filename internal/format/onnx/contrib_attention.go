package onnx

import (
	"fmt"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// The operators into which ONNX Runtime's optimizer fuses transformers, and what its quantization tool makes of them.

// value emits a node with one result, which is new.
func (c *call) value(suffix string, o graph.Operator, in ...*graph.Value) *graph.Value {
	y := c.temporary(suffix)
	c.emit(o, in, y)
	return y
}

func (c *call) cast(to tensor.DType, x *graph.Value) *graph.Value {
	return c.value("cast", &op.Cast{To: op.OutputType{DType: to}}, x)
}

// length is the size of a dimension of x, a scalar.
func (c *call) length(x *graph.Value, axis int64) *graph.Value {
	return c.value("length", &op.Gather{}, c.value("shape", &op.Shape{ToEnd: true}, x), c.constant("axis", tensor.Of([]int64{axis})))
}

// positions is 0 … n−1 for a scalar n.
func (c *call) positions(n *graph.Value) *graph.Value {
	return c.value("positions", op.Lookup("Range"), c.constant("zero", tensor.Of([]int64{0})), n, c.constant("one", tensor.Of([]int64{1})))
}

// hidden is the bias of scores [batch, 1, 1 or queries, keys] that hides keys: by 0 in a mask [batch, keys] or [batch,
// queries, keys], or beyond lengths [batch].
func (c *call) hidden(mask, x *graph.Value, filter float32) (*graph.Value, error) {
	rank, ok := mask.Type.Rank()
	if !ok {
		return nil, errUnknown
	}
	axes := []int64{1, 2}
	switch rank {
	case 1:
		if batch, n := x.Type.Shape, mask.Type.Shape[0]; len(batch) == 0 || batch[0].Known() && n.Known() && n != batch[0] {
			return nil, errUnknown // with the starts as well
		}
		lengths := c.value("lengths", op.Lookup("Unsqueeze"), c.cast(tensor.Int64, mask), c.list("axes", 1))
		mask = c.value("mask", op.Lookup("Less"), c.positions(c.length(x, 1)), lengths)
	case 2:
		mask = c.cast(tensor.Bool, mask)
	case 3:
		mask, axes = c.cast(tensor.Bool, mask), []int64{1}
	default:
		return nil, errUnknown
	}
	seen := c.cast(tensor.Float32, mask)
	bias := c.value("bias", op.Lookup("Mul"), c.value("hidden", op.Lookup("Sub"), c.constant("one", tensor.Of([]float32{1})), seen),
		c.constant("filter", tensor.Of([]float32{filter})))
	return c.value("bias", op.Lookup("Unsqueeze"), bias, c.list("axes", axes...)), nil
}

// attend emits attention of q, k and v, each [batch, length, heads·size], with a mask and a bias of scores that may be nil.
// x is what has the keys' batch and length. past is [2, batch, heads, length, size] or nil; present, with the same
// dimensions, may be nil as well.
func (c *call) attend(q, k, v, x, mask, added, past, present, out *graph.Value) error {
	heads := c.int("num_heads", 0)
	o := &op.Attention{Scale: c.float("scale", 0), QNumHeads: heads, KvNumHeads: heads, IsCausal: c.int("unidirectional", 0) != 0,
		LeftWindowSize: -1, RightWindowSize: -1}
	filter := c.float("mask_filter_value", -10000)
	if heads < 1 || c.int("do_rotary", 0) != 0 || c.int("past_present_share_buffer", 0) != 0 {
		return errUnknown
	}
	bias := added
	if mask != nil {
		if past != nil && len(mask.Type.Shape) == 1 {
			return errUnknown
		}
		var err error
		if bias, err = c.hidden(mask, x, filter); err != nil {
			return err
		}
		if added != nil {
			bias = c.value("bias", op.Lookup("Add"), bias, added)
		}
	}
	in := []*graph.Value{q, k, v, bias}
	if past != nil {
		for i := range int64(2) {
			in = append(in, c.value("past", &op.Gather{}, past, c.constant("which", tensor.Of([]int64{i}))))
		}
	}
	if present == nil {
		c.emit(o, in, out)
		return nil
	}
	parts := []*graph.Value{c.temporary("key"), c.temporary("value")}
	c.emit(o, in, out, parts[0], parts[1])
	for i, p := range parts {
		parts[i] = c.value("present", op.Lookup("Unsqueeze"), p, c.list("axes", 0))
	}
	c.emit(&op.Concat{Axis: 0}, parts, present)
	return nil
}

// result is output i if anything reads it, else nil.
func (c *call) result(i int) *graph.Value {
	if c.wanted(i) {
		return c.out[i]
	}
	return nil
}

// packedAttention is attention of x·weights + bias, which holds queries, keys and values side by side.
func (c *call) packedAttention(x, weights, bias, mask, added, past *graph.Value) error {
	qkv := c.value("product", &op.MatMul{}, x, weights)
	if bias != nil {
		qkv = c.value("qkv", op.Lookup("Add"), qkv, bias)
	}
	parts := []*graph.Value{c.temporary("q"), c.temporary("k"), c.temporary("v")}
	in := []*graph.Value{qkv}
	if sizes, ok := c.ints("qkv_hidden_sizes"); ok {
		in = append(in, c.list("sizes", sizes...))
	}
	c.emit(&op.Split{Axis: -1}, in, parts...)
	return c.attend(parts[0], parts[1], parts[2], x, mask, added, past, c.result(1), c.out[0])
}

// attention has the operands x, weights, bias, mask, past, bias of scores, length of the past.
func attention(c *call) error {
	if c.input(6) != nil {
		return errUnknown
	}
	return c.packedAttention(c.in[0], c.in[1], c.input(2), c.input(3), c.input(5), c.input(4))
}

// qattention has the operands x, weights, bias, their scales, mask, their zero points, past.
func qattention(c *call) error {
	x, w := c.real("x", c.in[0], c.in[3], c.input(6), -1), c.real("weights", c.in[1], c.in[4], c.input(7), -1)
	return c.packedAttention(x, w, c.in[2], c.input(5), nil, c.input(8))
}

// multiHeadAttention has the operands query, key, value, bias, mask, bias of scores, past key, past value.
func multiHeadAttention(c *call) error {
	for i := 8; i < len(c.in); i++ {
		if c.in[i] != nil {
			return errUnknown
		}
	}
	if len(c.in) < 3 {
		return errUnknown
	}
	operands := slices.Clone(c.in[:3])
	if slices.Contains(operands, nil) || c.input(6) != nil || c.input(7) != nil || c.wanted(1) || c.wanted(2) {
		return errUnknown // packed operands, and keys of earlier runs
	}
	for _, v := range operands {
		if rank, ok := v.Type.Rank(); !ok || rank != 3 {
			return errUnknown
		}
	}
	if bias := c.input(3); bias != nil {
		var sizes []int64
		for _, v := range operands {
			last := v.Type.Shape[2]
			if !last.Known() {
				return errUnknown
			}
			sizes = append(sizes, int64(last.Size))
		}
		parts := []*graph.Value{c.temporary("bias_q"), c.temporary("bias_k"), c.temporary("bias_v")}
		c.emit(&op.Split{Axis: 0}, []*graph.Value{bias, c.list("sizes", sizes...)}, parts...)
		for i, b := range parts {
			operands[i] = c.value("biased", op.Lookup("Add"), operands[i], b)
		}
	}
	return c.attend(operands[0], operands[1], operands[2], operands[1], c.input(4), c.input(5), nil, nil, c.out[0])
}

// embedding is the operands of EmbedLayerNormalization, as real numbers.
type embedding struct {
	words, positions, segments    *graph.Value // tables; segments may be nil
	ids, segmentIDs, mask, places *graph.Value // the last three may be nil
	gamma, beta                   *graph.Value
}

// embed emits the sum of what the tables have for each word, its position and its segment, normalized.
func (c *call) embed(e embedding) error {
	if e.words == nil || e.positions == nil || e.gamma == nil || e.beta == nil {
		return fmt.Errorf("a table is missing, or its scale")
	}
	if (e.segments == nil) != (e.segmentIDs == nil) {
		return fmt.Errorf("segments and their table go together")
	}
	at := e.places
	if at == nil {
		at = c.positions(c.length(e.ids, 1))
	}
	sum := c.value("sum", op.Lookup("Add"), c.value("words", &op.Gather{}, e.words, e.ids), c.value("places", &op.Gather{}, e.positions, at))
	if e.segments != nil {
		sum = c.value("sum", op.Lookup("Add"), sum, c.value("segments", &op.Gather{}, e.segments, e.segmentIDs))
	}
	c.emit(&op.LayerNormalization{Axis: -1, Epsilon: c.float("epsilon", 1e-12)}, []*graph.Value{sum, e.gamma, e.beta}, c.out[0])
	if sums := c.result(2); sums != nil {
		c.emit(&op.Identity{}, []*graph.Value{sum}, sums)
	}
	c.int("mask_index_type", 0)
	lengths := c.result(1)
	if lengths == nil {
		return nil
	}
	if e.mask == nil {
		batch := c.value("batch", op.Lookup("Unsqueeze"), c.length(e.ids, 0), c.list("axes", 0))
		c.emit(&op.ConstantOfShape{Fill: tensor.Of([]int32{0}, 1)}, []*graph.Value{batch}, lengths)
		return nil
	}
	one := c.cast(tensor.Int32, c.value("seen", op.Lookup("Equal"), c.cast(tensor.Int32, e.mask), c.constant("one", tensor.Of([]int32{1}))))
	o := op.NewReduce("ReduceSum")
	o.KeepDims = false
	c.emit(o, []*graph.Value{one, c.list("axes", 1)}, lengths)
	return nil
}

// embedLayerNormalization has the operands ids, segments, three tables, gamma, beta, mask, positions.
func embedLayerNormalization(c *call) error {
	return c.embed(embedding{ids: c.in[0], segmentIDs: c.input(1), words: c.input(2), positions: c.input(3), segments: c.input(4),
		gamma: c.input(5), beta: c.input(6), mask: c.input(7), places: c.input(8)})
}

// qembedLayerNormalization has the operands of embedLayerNormalization but the last, codes where those are real, then
// five scales and five zero points.
func qembedLayerNormalization(c *call) error {
	real := func(code, parameter int) *graph.Value {
		if c.input(code) == nil || c.input(8+parameter) == nil {
			return nil
		}
		return c.real("table", c.in[code], c.in[8+parameter], c.input(13+parameter), -1)
	}
	e := embedding{ids: c.in[0], segmentIDs: c.input(1), words: real(2, 0), positions: real(3, 1), segments: real(4, 2),
		gamma: real(5, 3), beta: real(6, 4), mask: c.input(7)}
	return c.embed(e)
}
