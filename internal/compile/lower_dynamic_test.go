package compile

import (
	"fmt"
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// TestDynamicQuantization is what ONNX Runtime's dynamic quantization writes for a layer: codes, an exact product, and the
// scales multiplied in; with zero points of all kinds, of one row and of many.
func TestDynamicQuantization(t *testing.T) {
	for i, shape := range [][]int{{1, 37}, {1, 5, 37}, {1, 700, 37}} {
		for _, dtype := range []tensor.DType{tensor.Int8, tensor.Uint8} {
			for zeros := range 3 {
				t.Run(fmt.Sprint(shape, dtype, zeros), func(t *testing.T) {
					s := newSketch(t, uint64(i))
					x := s.input(tensor.Float32, nil, shape...)
					q := s.node(op.Lookup("DynamicQuantizeLinear"), x)
					n := s.graph.Nodes[len(s.graph.Nodes)-1]
					scale, zero := &graph.Value{Name: "scale"}, &graph.Value{Name: "zero"}
					n.Outputs = append(n.Outputs, scale, zero)
					w := s.constant(s.codes(dtype, 37, 300), nil)
					operands := []*graph.Value{q, w, zero}
					if zeros > 0 {
						operands = append(operands, s.constant(s.codes(dtype, [][]int{{}, {300}}[zeros-1]...), nil))
					}
					sums := s.node(op.Lookup("MatMulInteger"), operands...)
					real := s.node(&op.Cast{To: op.OutputType{DType: tensor.Float32}}, sums)
					s.check(q, scale, zero, sums, s.node(op.Lookup("Mul"), real, scale))
				})
			}
		}
	}
	for _, dtype := range []tensor.DType{tensor.Int8, tensor.Uint8} { // zero points of activations that are known, or absent
		s := newSketch(t, 1)
		x, w := s.input(dtype, nil, 1, 37), s.constant(s.codes(tensor.Int8, 37, 40), nil)
		s.check(s.node(op.Lookup("MatMulInteger"), x, w), s.node(op.Lookup("MatMulInteger"), x, w, s.constant(s.codes(dtype), nil)))
	}
}
