package op

import (
	"fmt"

	"github.com/octet-nn/octet/internal/graph"
)

// normalAxis turns an axis counted from the end (negative) into one counted from the start.
func normalAxis(axis, rank int) (int, error) {
	if axis < -rank || axis >= rank {
		return 0, fmt.Errorf("axis %d is outside a shape of %d dimensions", axis, rank)
	}
	if axis < 0 {
		axis += rank
	}
	return axis, nil
}

// normalAxes is normalAxis for several axes, which must differ.
func normalAxes(axes []int64, rank int) ([]int, error) {
	out := make([]int, len(axes))
	seen := map[int]bool{}
	for i, a := range axes {
		axis, err := normalAxis(int(a), rank)
		if err != nil {
			return nil, err
		}
		if seen[axis] {
			return nil, fmt.Errorf("axes %v name dimension %d twice", axes, axis)
		}
		seen[axis] = true
		out[i] = axis
	}
	return out, nil
}

// ones is a shape of n dimensions of size 1.
func ones(n int) graph.Shape {
	s := make(graph.Shape, n)
	for i := range s {
		s[i] = graph.Fixed(1)
	}
	return s
}

// unknowns is a shape of n anonymous unknown dimensions.
func unknowns(n int) graph.Shape {
	s := make(graph.Shape, n)
	for i := range s {
		s[i].Size = graph.Unknown
	}
	return s
}

// joinShapes puts ranked shapes one after the other. The result is ranked even if it is a scalar's, which
// slices.Concat would make nil.
func joinShapes(shapes ...graph.Shape) graph.Shape {
	joined := graph.Shape{}
	for _, s := range shapes {
		joined = append(joined, s...)
	}
	return joined
}
