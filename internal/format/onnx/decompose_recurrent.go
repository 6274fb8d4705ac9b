package onnx

import (
	"fmt"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// sequenceLSTM spells TensorFlow Lite's LSTM on reals as a Scan over its steps: ONNX's LSTM limits what goes into gates,
// not the state of the cell.
func (d *decomposer) sequenceLSTM(n *graph.Node, o *op.SequenceLSTM) error {
	x, w := n.Inputs[0], n.Inputs[1]
	shape, hidden := x.Type.Shape, w.Type.Shape
	if len(shape) != 3 || len(hidden) != 2 || !hidden[0].Known() {
		return fmt.Errorf("its input %s and its weights %s have no known sizes", x.Type, w.Type)
	}
	batch := shape[0]
	if o.TimeMajor {
		batch = shape[1]
	}
	turn := func(suffix string, v, out *graph.Value) *graph.Value {
		return d.add(&op.Transpose{Perm: []int{1, 0, 2}}, suffix, out, v)
	}
	real := func(dims ...graph.Dim) graph.Type {
		return graph.Type{DType: tensor.Float32, Shape: append(graph.Shape{}, dims...)}
	}

	body := &graph.Graph{Name: n.Name}
	input := func(name string, t graph.Type) *graph.Value {
		v := &graph.Value{Name: d.index.Fresh(n.Name + "/" + name), Type: t}
		body.Inputs = append(body.Inputs, v)
		return v
	}
	step := func(name string, operator graph.Operator, in ...*graph.Value) *graph.Value {
		y := &graph.Value{Name: d.index.Fresh(n.Name + "/" + name)}
		body.Nodes = append(body.Nodes, &graph.Node{Name: y.Name, Op: operator, Inputs: in, Outputs: []*graph.Value{y}})
		return y
	}
	h, c := input("h", real(batch, hidden[0])), input("c", real(batch, hidden[0]))
	in := input("x", real(batch, shape[2]))
	var read []*graph.Value // weights, recurrent weights and biases of gates i, f, g, o
	for _, v := range n.Inputs[1:13] {
		read = append(read, input("weights", v.Type))
	}
	var gates [4]*graph.Value
	for i, function := range []string{"Sigmoid", "Sigmoid", "Tanh", "Sigmoid"} {
		product := &op.Gemm{Alpha: 1, Beta: 1, TransB: true}
		sum := step("sum", &op.Add{}, step("of_input", product, in, read[i], read[8+i]), step("of_state", product, h, read[4+i]))
		gates[i] = step("gate", op.Lookup(function), sum)
	}
	cell := step("cell", &op.Add{}, step("kept", &op.Mul{}, gates[1], c), step("added", &op.Mul{}, gates[0], gates[2]))
	if o.CellClip > 0 {
		bound := func(name string, v float32) *graph.Value {
			t := tensor.Of([]float32{v})
			return &graph.Value{Name: d.index.Fresh(n.Name + "/" + name), Type: graph.TypeOf(t), Const: t}
		}
		cell = step("limited", &op.Clip{}, cell, bound("least", -o.CellClip), bound("most", o.CellClip))
	}
	next := step("next", &op.Mul{}, gates[3], step("shown", op.Lookup("Tanh"), cell))
	body.Outputs = []*graph.Value{next, cell, step("result", op.Lookup("Identity"), next)}

	operands := []*graph.Value{n.Input(13), n.Input(14)}
	for i, v := range operands {
		if v != nil {
			continue
		}
		if !batch.Known() {
			return fmt.Errorf("its state begins as zeros of a size that is not known; fix the batch")
		}
		operands[i] = d.constant("zeros", tensor.New(tensor.Float32, batch.Size, hidden[0].Size), nil)
	}
	steps := x
	if !o.TimeMajor {
		steps = turn("steps", x, nil)
	}
	results := []*graph.Value{d.value("last_h"), d.value("last_c"), n.Outputs[0]}
	for i, v := range n.Outputs[1:] {
		if v != nil {
			results[i] = v
		}
	}
	if !o.TimeMajor {
		results[2] = d.value("of_steps")
	}
	d.nodes = append(d.nodes, &graph.Node{Name: n.Name, Op: &op.Scan{Body: body, States: 2, NumScanInputs: 1},
		Inputs: append(append(operands, steps), n.Inputs[1:13]...), Outputs: results})
	if !o.TimeMajor {
		turn("result", results[2], n.Outputs[0])
	}
	return nil
}
