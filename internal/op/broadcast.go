package op

import (
	"fmt"

	"github.com/octet-nn/octet/internal/graph"
)

// broadcastShapes is the shape that all of the given ones are broadcast to (numpy's rule: shapes are aligned at the
// end, sizes of 1 stretch). It is never nil; unknown dimensions that could be either give an unknown dimension.
func broadcastShapes(shapes ...graph.Shape) (graph.Shape, error) {
	rank := 0
	for _, s := range shapes {
		rank = max(rank, len(s))
	}
	out := make(graph.Shape, rank)
	for i := range out {
		out[i] = graph.Fixed(1)
	}
	for _, s := range shapes {
		for i, d := range s {
			at := rank - len(s) + i
			have := out[at]
			switch {
			case d.Known() && d.Size == 1 || d.Same(have):
			case have.Known() && have.Size == 1:
				out[at] = d
			case d.Known() && have.Known():
				return nil, fmt.Errorf("shapes %v cannot be broadcast: %d meets %d", shapes, have.Size, d.Size)
			case d.Known(): // the unknown one must be 1 or equal
				out[at] = d
			case have.Known():
			default:
				out[at] = graph.Dim{Size: graph.Unknown}
			}
		}
	}
	return out, nil
}

// broadcastSizes is broadcastShapes for known sizes.
func broadcastSizes(shapes ...[]int) ([]int, error) {
	fixed := make([]graph.Shape, len(shapes))
	for i, s := range shapes {
		fixed[i] = graph.FixedShape(s...)
	}
	shape, err := broadcastShapes(fixed...)
	if err != nil {
		return nil, err
	}
	sizes, _ := shape.Known()
	return sizes, nil
}

// broadcastIndex maps a row-major offset in the broadcast shape to the offset of the element that is read there.
func broadcastIndex(from, to []int) (func(i int) int, error) {
	if len(from) > len(to) {
		return nil, fmt.Errorf("shape %v cannot be broadcast to %v", from, to)
	}
	if product(from) == 1 {
		return func(int) int { return 0 }, nil
	}
	strides := make([]int, len(to))
	own := rowMajor(from)
	same := len(from) == len(to)
	for i, n := range from {
		at := len(to) - len(from) + i
		if n != to[at] && n != 1 {
			return nil, fmt.Errorf("shape %v cannot be broadcast to %v", from, to)
		}
		same = same && n == to[at]
		if n > 1 {
			strides[at] = own[i]
		}
	}
	if same {
		return func(i int) int { return i }, nil
	}
	return func(i int) int {
		offset := 0
		for axis := len(to) - 1; axis >= 0; axis-- {
			offset += i % to[axis] * strides[axis]
			i /= to[axis]
		}
		return offset
	}, nil
}
