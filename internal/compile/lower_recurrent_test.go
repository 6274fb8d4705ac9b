package compile

import (
	"fmt"
	"math"
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// TestRecurrentLayers compares kernels of recurrent layers with their definitions: directions, layouts, optional operands,
// attributes and sizes around the width of vectors.
func TestRecurrentLayers(t *testing.T) {
	type layer struct {
		gates int
		make  func(r op.Recurrence) graph.Operator
	}
	layers := map[string]layer{
		"RNN":               {1, func(r op.Recurrence) graph.Operator { return &op.RNN{Recurrence: r} }},
		"GRU":               {3, func(r op.Recurrence) graph.Operator { return &op.GRU{Recurrence: r} }},
		"GRU linear":        {3, func(r op.Recurrence) graph.Operator { return &op.GRU{Recurrence: r, LinearBeforeReset: true} }},
		"LSTM":              {4, func(r op.Recurrence) graph.Operator { return &op.LSTM{Recurrence: r} }},
		"LSTM input forget": {4, func(r op.Recurrence) graph.Operator { return &op.LSTM{Recurrence: r, InputForget: true} }},
	}
	for name, l := range layers {
		for i, c := range []struct {
			op.Recurrence
			steps, batch, inputs int
			bare                 bool // no biases and states
		}{
			{op.Recurrence{HiddenSize: 5}, 4, 1, 3, true},
			{op.Recurrence{HiddenSize: 16}, 7, 2, 16, false},
			{op.Recurrence{HiddenSize: 33, Direction: op.Reverse}, 5, 3, 9, false},
			{op.Recurrence{HiddenSize: 17, Direction: op.Bidirectional}, 3, 2, 7, false},
			{op.Recurrence{HiddenSize: 17, Direction: op.Bidirectional, BatchFirst: true}, 3, 2, 7, false},
			{op.Recurrence{HiddenSize: 8, Clip: 0.5, BatchFirst: true}, 6, 2, 4, false},
			{op.Recurrence{HiddenSize: 6}, 0, 2, 4, false},
		} {
			t.Run(fmt.Sprintf("%s %d", name, i), func(t *testing.T) {
				s := newSketch(t, uint64(i))
				ways := 1
				if c.Direction == op.Bidirectional {
					ways = 2
				}
				random := func(shape ...int) *graph.Value {
					x := s.floats(shape...)
					scale(tensor.Values[float32](x), float32(1/math.Sqrt(float64(c.HiddenSize))))
					return s.constant(x, nil)
				}
				size := l.gates * c.HiddenSize
				shape, state := []int{c.steps, c.batch, c.inputs}, []int{ways, c.batch, c.HiddenSize}
				if c.BatchFirst {
					shape[0], shape[1] = shape[1], shape[0]
					state[0], state[1] = state[1], state[0]
				}
				x := &graph.Value{Name: "x", Type: graph.Type{DType: tensor.Float32, Shape: graph.FixedShape(shape...)}}
				h := &graph.Value{Name: "h", Type: graph.Type{DType: tensor.Float32, Shape: graph.FixedShape(state...)}}
				s.graph.Inputs = []*graph.Value{x, h}
				in := []*graph.Value{x, random(ways, size, c.inputs), random(ways, size, c.HiddenSize)}
				if !c.bare {
					in = append(in, random(ways, 2*size), nil, h)
					if l.gates == 4 {
						in = append(in, random(state...), random(ways, 3*c.HiddenSize))
					}
				}
				s.node(l.make(c.Recurrence), in...)
				n := s.graph.Nodes[0]
				n.Outputs = append(n.Outputs, &graph.Value{Name: "last"})
				if l.gates == 4 {
					n.Outputs = append(n.Outputs, &graph.Value{Name: "cell"})
				}
				s.graph.Outputs = n.Outputs
				for _, threads := range []int{1, 2} {
					if refs := agree(t, s.graph, s.feed(1), threads); refs != 0 {
						t.Errorf("%d reference evaluations", refs)
					}
				}
			})
		}
	}
}
