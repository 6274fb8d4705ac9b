package compile

import "github.com/octet-nn/octet/internal/graph"

// lowering is one way in which nodes of an operator type become kernel calls.
type lowering struct {
	computes uint // set of graph.Compute, as bits
	// lower packs what is constant and returns how to plan the node; nil if this way does not suit it.
	lower func(b *builder, n *graph.Node) (prepared, error)
}

const (
	float       = 1 << graph.Float
	integer     = 1 << graph.Integer
	toFloat     = 1 << graph.IntegerToFloat
	weightOnly  = 1 << graph.WeightOnly
	activations = 1 << graph.DynamicActivations

	realProducts = float | weightOnly
	codeProducts = integer | toFloat | activations
)

// lowerings is, for each operator type, the ways to lower it, the first that suits a node being taken. An operator
// without a row runs by its reference evaluation.
var lowerings = map[string][]lowering{
	"AveragePool":           {{float, lowerAveragePoolFloat}, {integer, lowerAveragePoolInteger}},
	"Conv":                  {{realProducts, lowerConvFloat}, {codeProducts, lowerConvInteger}},
	"Gemm":                  {{realProducts, lowerGemmFloat}, {codeProducts, lowerMatrixInteger}},
	"GlobalAveragePool":     {{float, lowerAveragePoolFloat}, {integer, lowerAveragePoolInteger}},
	"GlobalMaxPool":         {{float | integer, lowerMaxPool}},
	"InstanceNormalization": {{float, lowerInstanceNormalization}},
	"MatMul":                {{realProducts, lowerMatMulFloat}, {float, lowerMatMulComputed}, {codeProducts, lowerMatrixInteger}},
	"MaxPool":               {{float | integer, lowerMaxPool}},
}

// lower rewrites the graph into the form that kernels want.
func lower(g *graph.Graph) error { return nil }
