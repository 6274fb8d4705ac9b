package convert

import (
	"slices"
	"strings"
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/interp"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// TestOwnRange compares with MACE's AdjustRange by hand.
func TestOwnRange(t *testing.T) {
	for _, tc := range []struct {
		values []float32
		scale  float32
		zero   int32
	}{
		{[]float32{0, 51, 102}, 0.4, 0},
		{[]float32{51, 102}, 0.4, 0}, // zero is in every range
		{[]float32{-51, -102}, 0.4, 255},
		{[]float32{-127.5, 127.5}, 1, 128}, // 127.5 away from zero
		{[]float32{-102, 153}, 1, 102},
		{[]float32{0, 0}, 1, 0}, // MACE divides by zero
		{[]float32{-1e-7, 255}, 1, 0},
		{nil, 1, 0},
	} {
		q, err := ownRange(tensor.Of(tc.values, len(tc.values)))
		if err != nil || q.Scale[0] != tc.scale || q.ZeroPoint[0] != tc.zero {
			t.Errorf("%v: %s, %v; want scale %v and zero point %d", tc.values, q, err, tc.scale, tc.zero)
		}
	}
	var infinite float32 = 3e38
	infinite *= 10
	if _, err := ownRange(tensor.Of([]float32{0, infinite}, 2)); err == nil || !strings.Contains(err.Error(), "element 1") {
		t.Errorf("an infinite input: %v", err)
	}
}

// TestRebind looks at what a model with one operator of each kind computes with: scales by hand.
func TestRebind(t *testing.T) {
	const text = `graph "g"
input "x" f32[1,2]
const "w" f32[2,2] = [-127 0 127 64]
const "b" f32[2] = [1000 -1000.2]
"y" f32[1,2] = Gemm "y" ("x", "w", "b") {Alpha: 1, Beta: 1}
"r" f32[1,2] = Relu "r" ("y")
"s" f32[1,2] = Add "s" ("r", "y")
"p" f32[1,2] = Relu "p" ("s")
"m" f32[1,4] = Concat "m" ("p", "s") {Axis: 1}
"o" f32[1,4] = Softmax "o" ("m") {Axis: 1}
output "o"`
	g, _, err := Convert(parse(t, text), Options{
		Quantize: true, Arithmetic: numeric.MACE, Inputs: []Input{{Name: "x", Low: 0, High: 255}},
		Ranges: map[string]Range{"y": {-510, 510}, "r": {0, 510}, "s": {-1020, 1020}, "p": {0, 1020}, "m": {-102, 153}},
	})
	if err != nil {
		t.Fatal(err)
	}
	before := g.Text()
	x := tensor.Of([]float32{51, 63.75}, 1, 2)
	bound, err := Rebind(g, map[string]*tensor.Tensor{"x": x})
	if err != nil {
		t.Fatal(err)
	}
	if g.Text() != before {
		t.Error("the model itself has changed")
	}
	quant := func(name string) *graph.Quant {
		v := bound.Value(name)
		if v == nil {
			t.Fatalf("no %q in\n%s", name, bound.Text())
		}
		return v.Type.Quant
	}
	for name, want := range map[string]*graph.Quant{
		"mace_input_node_x":  graph.PerTensor(0.25, 0),
		"y":                  graph.PerTensor(4, 128), // 127.5 to even
		"r":                  graph.PerTensor(4, 128), // the operand's, not 2
		"s":                  graph.PerTensor(8, 128),
		"p":                  graph.PerTensor(8, 128), // likewise
		"m":                  graph.PerTensor(1, 102),
		"mace_output_node_o": graph.PerTensor(1./255, 0),
	} {
		if got := quant(name); !got.Equal(want) {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	// Weights: −127 − 254/254 … 127: scale 1, zero point 128. The bias was in units of 1, and meets 0.25.
	b := bound.Value("b")
	if got := op.Int32s(b.Const); !slices.Equal(got, []int32{4000, -4000}) || b.Type.Quant.Scale[0] != 0.25 {
		t.Errorf("bias is %s %v", b.Type, got)
	}
	if b := g.Value("b"); !slices.Equal(op.Int32s(b.Const), []int32{1000, -1000}) {
		t.Errorf("before, it is %v", op.Int32s(b.Const))
	}
	for _, n := range bound.Nodes {
		if n.Op.Type() != "Concat" {
			continue
		}
		for _, v := range n.Inputs {
			if !v.Type.Quant.Equal(quant("m")) {
				t.Errorf("Concat reads %s %s", v.Name, v.Type)
			}
		}
	}
	r, err := interp.Executor{}.Prepare(bound, []string{"y"})
	if err != nil {
		t.Fatal(err)
	}
	out, err := r.Run(t.Context(), map[string]*tensor.Tensor{"x": x})
	if err != nil {
		t.Fatal(err)
	}
	// 51·−127 + 63.75·127 + 1000 = 2619.25 is beyond the range, 63.75·64 − 1000 = 3080 too.
	if got := op.Int32s(out["y"]); !slices.Equal(got, []int32{255, 255}) {
		t.Errorf("y is %v", got)
	}
}

// TestRebindWithoutInputs keeps the range of input_ranges, but not scales that MACE's kernels do not use.
func TestRebindWithoutInputs(t *testing.T) {
	const text = `graph "g"
input "x" f32[1,2]
const "w" f32[2,2] = [-127 0 127 64]
const "b" f32[2] = [1000 -1000]
"a" f32[1,2] = Add "a" ("x", "x")
"r" f32[1,2] = Relu "r" ("a")
"y" f32[1,2] = Gemm "y" ("r", "w", "b") {Alpha: 1, Beta: 1}
output "y"`
	g, _, err := Convert(parse(t, text), Options{
		Quantize: true, Arithmetic: numeric.MACE, Inputs: []Input{{Name: "x", Low: 0, High: 255}},
		Ranges: map[string]Range{"a": {-510, 510}, "r": {0, 510}, "y": {-510, 510}},
	})
	if err != nil {
		t.Fatal(err)
	}
	bound, err := Rebind(g, nil)
	if err != nil {
		t.Fatal(err)
	}
	if x := bound.Value("mace_input_node_x"); x.Type.Quant.Scale[0] != 1 {
		t.Errorf("input is %s", x.Type)
	}
	if b := bound.Value("b"); !slices.Equal(op.Int32s(b.Const), []int32{250, -250}) {
		t.Errorf("bias is %s %v", b.Type, op.Int32s(b.Const))
	}
	if b := g.Value("b"); !slices.Equal(op.Int32s(b.Const), []int32{500, -500}) {
		t.Errorf("before, it is %s %v", b.Type, op.Int32s(b.Const))
	}
}
