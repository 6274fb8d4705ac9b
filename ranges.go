package octet

import (
	"fmt"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/quantize"
)

// fit reports ranges of another model: they know none of the values that quantization would use.
func (r *Ranges) fit(g *graph.Graph, o quantize.Options) error {
	points, err := quantize.Points(g, o)
	if err != nil || len(points) == 0 || o.Scheme == quantize.Dynamic {
		return err
	}
	for _, name := range points {
		if v := g.Value(name); v != nil && r.ranges.Values[v.Source()] != nil {
			return nil
		}
	}
	return fmt.Errorf("the ranges know none of the model's %d values, such as %q: they are another model's; calibrate on samples of this one",
		len(points), points[0])
}
