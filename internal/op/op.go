// Package op is the operators: what each means. An operator is a struct of typed attributes with inference of result
// types, a reference evaluation in plain Go that is obviously right, and what quantization and cost estimates need to
// know of it. Names and semantics follow ONNX, newest opset; importers lower everything else to that.
//
// Adding an operator is its files here (conv.go, conv_reference.go) and one row in each table that should know it:
// Table below, importers, exporters, lowering to kernels. Nothing else.
package op

import (
	"fmt"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/tensor"
)

// Operator is what every operator of this package implements.
type Operator interface {
	graph.Operator
	// Infer finds element types and shapes of the outputs from what is known of the inputs. It reports operands that
	// contradict the operator's definition; what is merely unknown stays unknown.
	Infer(c *Inference) error
	// Evaluate computes the outputs. It is the definition: plain, slow, and in every Compute mode that the operator
	// supports (c.Node.Compute).
	Evaluate(c *Evaluation) error
}

// Coster is implemented by operators whose work is counted in multiply-accumulates.
type Coster interface {
	// MACs is the number of multiply-accumulates for operands and results of known shape.
	MACs(in, out []graph.Type) int64
}

// Integer is implemented by operators that can compute on integer codes.
type Integer interface {
	Operator
	// Integer says how this node's operands take part when it computes on codes. The error says why this particular
	// node cannot (attributes, operands that would have to be constant, …).
	Integer(n *graph.Node) (IntegerForm, error)
}

// IntegerForm describes a node computed in integers.
type IntegerForm struct {
	Roles []Role // one per operand present or absent
	Range RangeRule
	// WeightAxis is the axis of the Weight operand along which it may have one scale per output channel; -1 where
	// only per-tensor weights make sense.
	WeightAxis int
}

// Role is the part an operand plays in an integer node.
type Role uint8

const (
	// Plain operands are not quantized: shapes, axes, bounds.
	Plain Role = iota
	// Activation operands are 8-bit (or 16-bit) codes, quantized per tensor.
	Activation
	// Weight operands are constant, symmetric codes, per tensor or per output channel.
	Weight
	// Bias operands are constant int32 codes with scale s_activation·s_weight and zero point 0.
	Bias
)

// RangeKind says where the quantization of a node's (first) output comes from.
type RangeKind uint8

const (
	// Calibrated: the output has a range of its own, observed on samples.
	Calibrated RangeKind = iota
	// SameAsInput: codes are moved or compared, never recomputed; output and first activation share their quantization.
	SameAsInput
	// Unified: all activations and the output must share one quantization (Concat, Max).
	Unified
	// Fixed: the range is known beforehand (Softmax, Sigmoid, Tanh).
	Fixed
)

// RangeRule is where the quantization of a node's output comes from.
type RangeRule struct {
	Kind RangeKind
	// For Fixed: real range [Min, Max); the scale is (Max−Min)/2^bits and Min is the lowest code, as the TFLite int8
	// specification has it for Softmax and Sigmoid (0, 1: scale 1/256) and Tanh (−1, 1: scale 1/128).
	Min, Max float32
}

// Unknown is an operator this program has no definition of. Models with such nodes load and can be inspected; running
// them fails with the list of all such nodes.
type Unknown struct {
	Domain     string // "" for the standard operator set of the format
	Name       string
	Attributes map[string]any // as the file had them, for display
}

// Type is the operator's name in its file, with its domain.
func (u *Unknown) Type() string {
	if u.Domain == "" {
		return u.Name
	}
	return u.Domain + "." + u.Name
}

// Infer leaves the declared types of the outputs as they are.
func (u *Unknown) Infer(*Inference) error { return nil }

// Evaluate fails: there is no definition.
func (u *Unknown) Evaluate(c *Evaluation) error {
	return fmt.Errorf("operator %s is not known", u.Type())
}

// Lookup makes a new operator of a canonical type with default attributes; nil if there is none. It is what the
// parser of the text form needs.
func Lookup(name string) graph.Operator {
	for _, make := range Table {
		if o := make(); o.Type() == name {
			return o
		}
	}
	return nil
}

// element reports the element type shared by the given inputs, ignoring unknown ones; an error if they disagree.
func element(c *Inference, inputs ...int) (tensor.DType, error) {
	found, at := tensor.Invalid, 0
	for _, i := range inputs {
		d := c.In(i).DType
		switch {
		case d == tensor.Invalid:
		case found == tensor.Invalid:
			found, at = d, i
		case found != d:
			return found, fmt.Errorf("input %d is %s but input %d is %s", at, found, i, d)
		}
	}
	return found, nil
}
