package onnx

import (
	"errors"
	"fmt"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/rewrite"
)

// control writes a node with bodies; ok is false for others. What its bodies read of the graph around them are no
// operands in ONNX: the bodies refer to it by name.
func (e *exporter) control(n *graph.Node) (ok bool, err error) {
	w := &attributeWriter{}
	var bodies []*graph.Graph
	var names []string
	operands, formal := len(n.Inputs), 0 // of the node, and inputs of the bodies, that are no captures
	switch o := n.Op.(type) {
	case *op.If:
		bodies, names = o.Bodies(), []string{"then_branch", "else_branch"}
		operands = 1
	case *op.Loop:
		bodies, names = o.Bodies(), []string{"body"}
		operands, formal = 2+o.States, 2+o.States
	case *op.Scan:
		bodies, names = o.Bodies(), []string{"body"}
		operands = o.States + o.NumScanInputs
		formal = operands
		w.number("num_scan_inputs", o.NumScanInputs)
		w.numbers("scan_input_axes", o.ScanInputAxes)
		w.numbers("scan_output_axes", o.ScanOutputAxes)
		w.numbers("scan_input_directions", o.ScanInputDirections)
		w.numbers("scan_output_directions", o.ScanOutputDirections)
	case *op.FlexAttention:
		return true, fmt.Errorf("the operator is a preview, which is not written")
	default:
		return false, nil
	}
	captured := e.names(n.Inputs[operands:])
	for i, body := range bodies {
		encoded, err := e.body(body, formal, captured)
		if err != nil {
			return true, err
		}
		w.add(names[i], 5, appendMessage(nil, 6, encoded))
	}
	e.emit(n.Op.Type(), n.Name, e.names(n.Inputs[:operands]), e.names(n.Outputs), w.encoded)
	return true, nil
}

// body is the encoded graph of a body whose inputs after the formal ones have the given names outside.
func (e *exporter) body(body *graph.Graph, formal int, captured []string) ([]byte, error) {
	g := body.Clone()
	if err := rewrite.Expand(g); err != nil {
		return nil, err
	}
	if err := rewrite.Relayout(g, op.NCHW); err != nil {
		return nil, err
	}
	problems := decompose(g)
	outside := g.Inputs[formal:]
	for i, v := range g.Outputs {
		if slices.Contains(outside, v) { // a body's result must be made in it
			y := &graph.Value{Name: v.Name + "_result", Type: v.Type}
			g.Nodes = append(g.Nodes, &graph.Node{Name: y.Name, Op: &op.Identity{}, Inputs: []*graph.Value{v}, Outputs: []*graph.Value{y}})
			g.Outputs[i] = y
		}
	}
	for _, v := range g.Values() {
		if v == nil {
			continue
		}
		if i := slices.Index(outside, v); i >= 0 {
			v.Name = captured[i]
		} else {
			v.Name = e.index.Fresh(v.Name) // names of a body must differ from those around it
		}
	}
	inner := &exporter{options: e.options, index: e.index, constants: map[*graph.Value]bool{}, nodeNames: e.nodeNames, problems: problems, opset: e.opset}
	for _, n := range g.Nodes {
		if err := inner.node(n); err != nil {
			inner.problems = append(inner.problems, &FormatError{Offset: -1, Node: n.Describe(), Why: err.Error()})
		}
	}
	e.opset, e.classical = max(e.opset, inner.opset), e.classical || inner.classical
	if err := errors.Join(inner.problems...); err != nil {
		return nil, err
	}
	if g.Name == "" {
		g.Name = "body"
	}
	g.Inputs = g.Inputs[:formal]
	return inner.graph(g), nil
}
