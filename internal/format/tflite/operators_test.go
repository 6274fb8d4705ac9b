package tflite

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/octet-nn/octet/internal/compile"
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/interp"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/testdata"
	"github.com/octet-nn/octet/tensor"
)

// operatorCase is a file of one operator, whose first operand is its input.
type operatorCase struct {
	name    string
	kind    int // of the table of options
	options []option
	in      *tensor.Tensor
	others  []*tensor.Tensor // constant operands after it
	out     []writtenTensor  // element types and shapes of the results
	quant   *graph.Quant     // of the input and other operands of its type
	before  bool             // the constants stand before the input
	version int              // of the operator; 0 means 1, or 2 for codes
}

func (c operatorCase) encode() []byte {
	f := &written{name: c.name}
	o := writtenOperator{name: c.name, version: 1, kind: c.kind, options: c.options}
	add := func(w writtenTensor) int { f.tensors = append(f.tensors, w); return len(f.tensors) - 1 }
	quant := func(t *tensor.Tensor) *graph.Quant {
		if t.DType() == tensor.Int8 {
			return c.quant
		}
		return nil
	}
	x := add(writtenTensor{name: "x", dtype: c.in.DType(), shape: c.in.Shape(), quant: quant(c.in)})
	o.in, f.inputs = []int{x}, []int{x}
	for _, t := range c.others {
		o.in = append(o.in, add(writtenTensor{name: "c", dtype: t.DType(), shape: t.Shape(), quant: quant(t), data: t.Bytes()}))
	}
	if c.before {
		o.in = append(o.in[1:], x)
	}
	for _, w := range c.out {
		w.name = "y"
		o.out = append(o.out, add(w))
	}
	f.outputs, f.operators = o.out, []writtenOperator{o}
	if c.quant != nil {
		f.operators[0].version = 2
	}
	if c.version != 0 {
		f.operators[0].version = c.version
	}
	return f.encode()
}

// Operators that are read and not written mean what they mean in stock TensorFlow Lite.
func TestOperatorsAsInTFLite(t *testing.T) {
	stock := testdata.OpenTFLite(t)
	result := func(dtype tensor.DType, shape ...int) writtenTensor { return writtenTensor{dtype: dtype, shape: shape} }
	real := func(shape ...int) []writtenTensor { return []writtenTensor{result(tensor.Float32, shape...)} }
	whole := func(shape ...int) []writtenTensor { return []writtenTensor{result(tensor.Int32, shape...)} }
	i32 := func(values ...int32) *tensor.Tensor { return tensor.Of(values, len(values)) }
	one := func(v int32) *tensor.Tensor { return tensor.Of([]int32{v}) }
	table := func(rows, columns int, values ...int32) *tensor.Tensor { return tensor.Of(values, rows, columns) }
	flags := tensor.Of([]bool{true, false, false, true, true, false}, 2, 3)
	x, other := floats(2, 3), tensor.Of([]float32{0.5, -2, 3, -0.25, 1, 2}, 2, 3)
	numbers := tensor.Of([]int32{7, -7, 8, -9, 5, 0}, 2, 3)
	divisors := tensor.Of([]int32{2, 2, -3, 4, -5, 7}, 2, 3)
	positive := tensor.Of([]float32{0.5, 2, 3, 0.25, 1, 9}, 2, 3)
	valid := int8(paddingValid)
	cases := []operatorCase{
		{name: "FLOOR_DIV", kind: 88, in: x, others: []*tensor.Tensor{other}, out: real(2, 3)},
		{name: "FLOOR_MOD", kind: 95, in: x, others: []*tensor.Tensor{other}, out: real(2, 3)},
		{name: "FLOOR_MOD", kind: 95, in: numbers, others: []*tensor.Tensor{divisors}, out: whole(2, 3)},
		{name: "FLOOR_DIV", kind: 88, in: numbers, others: []*tensor.Tensor{divisors}, out: whole(2, 3)},
		{name: "SQUARED_DIFFERENCE", kind: 99, in: x, others: []*tensor.Tensor{other}, out: real(2, 3)},
		{name: "SQUARE", kind: 66, in: x, out: real(2, 3)},
		{name: "RSQRT", in: positive, out: real(2, 3)},
		{name: "POW", kind: 56, in: positive, others: []*tensor.Tensor{other}, out: real(2, 3)},
		{name: "NEG", kind: 42, in: x, out: real(2, 3)},
		{name: "ABS", in: x, out: real(2, 3)},
		{name: "RELU_N1_TO_1", in: x, out: real(2, 3)},
		{name: "ADD_N", kind: 83, in: x, others: []*tensor.Tensor{other, other}, out: real(2, 3)},
		{name: "NOT_EQUAL", kind: 50, in: numbers, others: []*tensor.Tensor{divisors}, out: []writtenTensor{result(tensor.Bool, 2, 3)}},
		{name: "GREATER_EQUAL", kind: 44, in: x, others: []*tensor.Tensor{other}, out: []writtenTensor{result(tensor.Bool, 2, 3)}},
		{name: "LOGICAL_NOT", in: flags, out: []writtenTensor{result(tensor.Bool, 2, 3)}},
		{name: "SELECT", kind: 47, in: flags, others: []*tensor.Tensor{x, other}, out: real(2, 3)},
		{name: "SELECT_V2", kind: 98, in: flags, others: []*tensor.Tensor{x, scalar(4)}, out: real(2, 3)},
		{name: "ARG_MAX", kind: 40, options: []option{{0, int8(2)}}, in: x, others: []*tensor.Tensor{one(1)}, out: whole(2)},
		{name: "ARG_MIN", kind: 57, options: []option{{0, int8(2)}}, in: x, others: []*tensor.Tensor{one(0)}, out: whole(3)},
		{name: "TOPK_V2", kind: 34, in: x, others: []*tensor.Tensor{one(2)}, out: []writtenTensor{result(tensor.Float32, 2, 2), result(tensor.Int32, 2, 2)}},
		{name: "CUMSUM", kind: 102, options: []option{{0, true}, {1, true}}, in: x, others: []*tensor.Tensor{one(1)}, out: real(2, 3)},
		{name: "ONE_HOT", kind: 61, options: []option{{0, int32(-1)}}, in: i32(1, 0, 3), others: []*tensor.Tensor{one(4), scalar(2), scalar(-1)}, out: real(3, 4)},
		{name: "ONE_HOT", kind: 61, options: []option{{0, int32(0)}}, in: i32(1, 0, 3), others: []*tensor.Tensor{one(4), scalar(2), scalar(-1)}, out: real(4, 3)},
		{name: "SUM", kind: 27, options: []option{{0, false}}, in: floats(2, 3, 4), others: []*tensor.Tensor{i32(0, 2)}, out: real(3)},
		{name: "REDUCE_PROD", kind: 27, options: []option{{0, true}}, in: x, others: []*tensor.Tensor{i32(1)}, out: real(2, 1)},
		{name: "REDUCE_ANY", kind: 27, options: []option{{0, false}}, in: flags, others: []*tensor.Tensor{i32(1)}, out: []writtenTensor{result(tensor.Bool, 2)}},
		{name: "REVERSE_V2", kind: 81, in: floats(2, 3, 4), others: []*tensor.Tensor{i32(1)}, out: real(2, 3, 4)},
		{name: "REVERSE_SEQUENCE", kind: 87, options: []option{{0, int32(1)}, {1, int32(0)}}, in: floats(2, 4, 3), others: []*tensor.Tensor{i32(3, 2)}, out: real(2, 4, 3)},
		{name: "SPLIT", kind: 35, options: []option{{0, int32(2)}}, in: floats(2, 6), others: []*tensor.Tensor{one(1)}, before: true,
			out: []writtenTensor{result(tensor.Float32, 2, 3), result(tensor.Float32, 2, 3)}},
		{name: "SPLIT_V", kind: 79, options: []option{{0, int32(2)}}, in: floats(2, 6), others: []*tensor.Tensor{i32(2, -1), one(1)},
			out: []writtenTensor{result(tensor.Float32, 2, 2), result(tensor.Float32, 2, 4)}},
		{name: "PACK", kind: 59, options: []option{{0, int32(2)}, {1, int32(1)}}, in: x, others: []*tensor.Tensor{other}, out: real(2, 2, 3)},
		{name: "UNPACK", kind: 64, options: []option{{0, int32(2)}, {1, int32(0)}}, in: x, out: []writtenTensor{result(tensor.Float32, 3), result(tensor.Float32, 3)}},
		{name: "GATHER", kind: 23, options: []option{{0, int32(1)}}, in: floats(2, 5, 3), others: []*tensor.Tensor{table(2, 2, 4, 0, 1, 1)}, out: real(2, 2, 2, 3)},
		{name: "GATHER", kind: 23, options: []option{{0, int32(1)}, {1, int32(1)}}, in: floats(2, 5, 3), others: []*tensor.Tensor{table(2, 2, 4, 0, 1, 1)}, out: real(2, 2, 3)},
		{name: "GATHER_ND", kind: 82, in: floats(2, 5, 3), others: []*tensor.Tensor{table(2, 2, 1, 4, 0, 2)}, out: real(2, 3)},
		{name: "SCATTER_ND", kind: 97, in: table(2, 1, 3, 1), others: []*tensor.Tensor{floats(2, 3), i32(5, 3)}, out: real(5, 3)},
		{name: "SPACE_TO_BATCH_ND", kind: 15, in: floats(1, 4, 5, 2), others: []*tensor.Tensor{i32(2, 3), table(2, 2, 1, 1, 0, 1)}, out: real(6, 3, 2, 2)},
		{name: "BATCH_TO_SPACE_ND", kind: 14, in: floats(6, 3, 2, 2), others: []*tensor.Tensor{i32(2, 3), table(2, 2, 1, 1, 0, 1)}, out: real(1, 4, 5, 2)},
		{name: "TILE", kind: 51, in: x, others: []*tensor.Tensor{i32(2, 3)}, out: real(4, 9)},
		{name: "BROADCAST_TO", version: 2, in: x, others: []*tensor.Tensor{i32(4, 2, 3)}, out: real(4, 2, 3)},
		{name: "RANK", kind: 84, in: floats(2, 3, 4), out: whole()},
		{name: "SHAPE", kind: 55, options: []option{{0, int8(2)}}, in: floats(2, 3, 4), out: whole(3)},
		{name: "ZEROS_LIKE", kind: 73, in: x, out: real(2, 3)},
		{name: "WHERE", kind: 86, in: flags, out: []writtenTensor{result(tensor.Int64, 3, 2)}},
		{name: "L2_NORMALIZATION", kind: 12, options: []option{{0, int8(0)}}, in: floats(1, 2, 2, 3), out: real(1, 2, 2, 3)},
		{name: "LOCAL_RESPONSE_NORMALIZATION", kind: 13, options: []option{{0, int32(1)}, {1, float32(1.5)}, {2, float32(0.3)}, {3, float32(0.75)}},
			in: floats(1, 2, 2, 5), out: real(1, 2, 2, 5)},
		{name: "L2_POOL_2D", kind: 5, options: []option{{0, valid}, {1, int32(2)}, {2, int32(1)}, {3, int32(2)}, {4, int32(2)}, {5, int8(0)}}, in: floats(1, 4, 4, 2), out: real(1, 3, 2, 2)},
		{name: "MIRROR_PAD", kind: 77, options: []option{{0, int8(0)}}, in: floats(3, 4), others: []*tensor.Tensor{table(2, 2, 1, 2, 2, 0)}, out: real(6, 6)},
		{name: "MIRROR_PAD", kind: 77, options: []option{{0, int8(1)}}, in: floats(3, 4), others: []*tensor.Tensor{table(2, 2, 1, 2, 2, 0)}, out: real(6, 6)},
		{name: "SQUEEZE", kind: 30, options: []option{{0, []int32{-2}}}, in: floats(1, 2, 1, 3), out: real(1, 2, 3)},
		{name: "EXPAND_DIMS", kind: 52, in: x, others: []*tensor.Tensor{one(-1)}, out: real(2, 3, 1)},
		{name: "BATCH_MATMUL", kind: 101, options: []option{{0, true}, {1, true}}, in: floats(2, 4, 3), others: []*tensor.Tensor{floats(2, 5, 4)}, out: real(2, 3, 5)},
		{name: "FAKE_QUANT", kind: 58, options: []option{{0, float32(-1.1)}, {1, float32(2.3)}, {2, int32(8)}, {3, false}}, in: floats(40), out: real(40)},
		{name: "FAKE_QUANT", kind: 58, options: []option{{0, float32(-1)}, {1, float32(1)}, {2, int32(4)}, {3, false}}, in: floats(40), out: real(40)},
		{name: "SUM", kind: 27, options: []option{{0, false}}, in: codes(5, 40), others: []*tensor.Tensor{i32(1)}, quant: inputCodes, out: []writtenTensor{{dtype: tensor.Int8, shape: []int{5}, quant: graph.PerTensor(0.4, 3)}}},
		{name: "MAXIMUM", kind: 39, in: codes(5, 40), others: []*tensor.Tensor{codes(40)}, quant: inputCodes, out: []writtenTensor{{dtype: tensor.Int8, shape: []int{5, 40}, quant: inputCodes}}},
		{name: "REDUCE_MAX", kind: 27, options: []option{{0, true}}, in: codes(5, 40), others: []*tensor.Tensor{i32(0)}, quant: inputCodes, out: []writtenTensor{{dtype: tensor.Int8, shape: []int{1, 40}, quant: inputCodes}}},
	}
	// On codes.
	coded := func(q *graph.Quant, shape ...int) writtenTensor {
		return writtenTensor{dtype: tensor.Int8, shape: shape, quant: q}
	}
	all := codes(256)
	for i := range all.Bytes() {
		all.Bytes()[i] = byte(i)
	}
	same, q3 := inputCodes, codes(2, 3, 4)
	cases = append(cases, []operatorCase{
		{name: "PACK", kind: 59, options: []option{{0, int32(2)}, {1, int32(1)}}, in: q3, others: []*tensor.Tensor{codes(2, 3, 4)}, quant: same, out: []writtenTensor{coded(same, 2, 2, 3, 4)}},
		{name: "UNPACK", kind: 64, options: []option{{0, int32(2)}, {1, int32(0)}}, in: q3, quant: same, out: []writtenTensor{coded(same, 3, 4), coded(same, 3, 4)}},
		{name: "SPLIT", kind: 35, options: []option{{0, int32(3)}}, in: q3, others: []*tensor.Tensor{one(1)}, before: true, quant: same, out: []writtenTensor{coded(same, 2, 1, 4), coded(same, 2, 1, 4), coded(same, 2, 1, 4)}},
		{name: "GATHER", kind: 23, options: []option{{0, int32(1)}}, in: q3, others: []*tensor.Tensor{i32(2, 0)}, quant: same, out: []writtenTensor{coded(same, 2, 2, 4)}},
		{name: "TILE", kind: 51, in: q3, others: []*tensor.Tensor{i32(1, 2, 1)}, quant: same, out: []writtenTensor{coded(same, 2, 6, 4)}},
		{name: "MIRROR_PAD", kind: 77, options: []option{{0, int8(1)}}, in: codes(3, 4), others: []*tensor.Tensor{table(2, 2, 1, 2, 2, 0)}, quant: same, out: []writtenTensor{coded(same, 6, 6)}},
		{name: "SPACE_TO_BATCH_ND", kind: 25, in: codes(1, 4, 5, 2), others: []*tensor.Tensor{i32(2, 3), table(2, 2, 1, 1, 0, 1)}, quant: same, out: []writtenTensor{coded(same, 6, 3, 2, 2)}},
		{name: "BATCH_TO_SPACE_ND", kind: 24, in: codes(6, 3, 2, 2), others: []*tensor.Tensor{i32(2, 3), table(2, 2, 1, 1, 0, 1)}, quant: same, out: []writtenTensor{coded(same, 1, 4, 5, 2)}},
		{name: "ARG_MAX", kind: 40, options: []option{{0, int8(2)}}, in: codes(5, 40), others: []*tensor.Tensor{one(1)}, quant: same, out: whole(5)},
		{name: "SQUARED_DIFFERENCE", kind: 76, in: codes(5, 40), others: []*tensor.Tensor{codes(40)}, quant: same, out: []writtenTensor{coded(graph.PerTensor(0.3, -128), 5, 40)}},
		{name: "RSQRT", in: all, quant: graph.PerTensor(0.02, -128), out: []writtenTensor{coded(graph.PerTensor(0.03, -128), 256)}},
		{name: "ABS", in: all, quant: same, out: []writtenTensor{coded(graph.PerTensor(0.04, -128), 256)}},
		{name: "ELU", version: 1, in: all, quant: same, out: []writtenTensor{coded(graph.PerTensor(0.06, -100), 256)}},
		{name: "LOG_SOFTMAX", in: codes(20, 13), quant: same, out: []writtenTensor{coded(graph.PerTensor(16.0/256, 127), 20, 13)}},
		{name: "L2_NORMALIZATION", kind: 12, options: []option{{0, int8(0)}}, in: codes(5, 40), quant: same, out: []writtenTensor{coded(graph.PerTensor(1.0/128, 0), 5, 40)}},
		{name: "EQUAL", in: codes(5, 40), others: []*tensor.Tensor{codes(40)}, quant: same, out: []writtenTensor{result(tensor.Bool, 5, 40)}},
		{name: "LESS", in: codes(5, 40), others: []*tensor.Tensor{codes(40)}, quant: same, out: []writtenTensor{result(tensor.Bool, 5, 40)}},
		{name: "BATCH_MATMUL", kind: 101, options: []option{{0, false}, {1, true}}, in: codes(2, 4, 30), others: []*tensor.Tensor{codes(2, 5, 30)}, quant: same, out: []writtenTensor{coded(graph.PerTensor(0.9, 4), 2, 4, 5)}},
		{name: "MEAN", kind: 27, options: []option{{0, true}}, in: codes(1, 6, 7, 4), others: []*tensor.Tensor{i32(1, 2)}, quant: same, out: []writtenTensor{coded(outputCodes, 1, 1, 1, 4)}},
	}...)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			data := c.encode()
			path := filepath.Join(t.TempDir(), "m.tflite")
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			g, err := Read(data, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if err := op.CheckSupported(g); err != nil {
				t.Fatal(err)
			}
			answers := stock.Run(t, path, []*tensor.Tensor{c.in}, len(c.out))
			for who, executor := range map[string]graph.Executor{"by definition": interp.Executor{}, "compiled": compile.Executor{Threads: 1}} {
				runner, err := executor.Prepare(g, nil)
				if err != nil {
					t.Fatal(err)
				}
				out, err := runner.Run(t.Context(), map[string]*tensor.Tensor{"x": c.in})
				if err != nil {
					t.Fatal(err)
				}
				for i, b := range answers {
					want, err := tensor.FromBytes(c.out[i].dtype, c.out[i].shape, slices.Clone(b))
					if err != nil {
						t.Fatal(err)
					}
					compare(t, c.name+" "+who, out[g.Outputs[i].Name], want)
				}
			}
		})
	}
}
