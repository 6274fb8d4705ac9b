package quantize

import (
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
)

// Target is what the runtime that a model is quantized for can do with codes, where that is less than this engine. The
// zero value has no demands.
type Target struct {
	// OnCodes says why a node, of a float graph, cannot compute on codes there; "" if it can. nil: every node can.
	OnCodes func(n *graph.Node) string
	// CodeResults makes layers hand out codes, never their exact sums as floats.
	CodeResults bool
	// AveragesKeepScale makes pools that average have results of their input's scale.
	AveragesKeepScale bool
	// OneScaleProducts makes weights of matrix products have one scale.
	OneScaleProducts bool
}

// form is the integer form of a node as the target has it, or why there is none.
func (t *Target) form(n *graph.Node) (op.IntegerForm, string) {
	form, why := integerForm(n)
	if why != "" {
		return form, why
	}
	if t.OnCodes != nil {
		if why := t.OnCodes(n); why != "" {
			return form, why
		}
	}
	switch n.Op.(type) {
	case *op.AveragePool, *op.GlobalAveragePool:
		if t.AveragesKeepScale {
			form.Range = op.RangeRule{Kind: op.SameAsInput}
		}
	case *op.Gemm, *op.MatMul:
		if t.OneScaleProducts {
			form.WeightAxis = -1
		}
	}
	return form, ""
}
