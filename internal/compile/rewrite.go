package compile

import (
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/rewrite"
)

// lower rewrites the graph into the form that kernels want: 32-bit floats, fused, channels last. Its outputs, the kept
// values among them, stay as they are.
func lower(g *graph.Graph, keep []string) error {
	if err := rewrite.Widen(g); err != nil {
		return err
	}
	if err := rewrite.Simplify(g, rewrite.SimplifyOptions{Keep: keep}); err != nil {
		return err
	}
	if err := rewrite.Relayout(g, op.NHWC); err != nil {
		return err
	}
	// Transpositions that meet cancel out.
	return rewrite.Simplify(g, rewrite.SimplifyOptions{Keep: keep})
}
