package compile

import (
	"fmt"
	"math"
	"slices"

	"github.com/octet-nn/octet/internal/runtime"
	"github.com/octet-nn/octet/tensor"
)

// storage is a piece of the arena, shared by values that alias each other or that replace each other in place. It is
// live from the step first to the step last, both included.
type storage struct {
	size        int // bytes
	first, last int
	offset      int
}

// place is where a value is found when a step runs: in the arena, among the tensors of dynamic shape, or, if it is
// constant, in the program.
type place struct {
	dtype    tensor.DType
	shape    []int
	strides  []int // elements between neighbours in each dimension; nil if they are packed. See planning.permutedView
	constant *tensor.Tensor
	storage  *storage
	dynamic  int // place among the dynamic tensors, counted from 1
}

// len is the number of elements.
func (p *place) len() int {
	n, _ := tensor.Count(p.shape)
	return n
}

// buffer is the place as the runtime knows it. It is valid once the arena has been laid out.
func (p *place) buffer() runtime.Buffer {
	b := runtime.Buffer{DType: p.dtype, Shape: p.shape, Dynamic: p.dynamic}
	if p.storage != nil {
		b.Offset = p.storage.offset
	}
	return b
}

// tensor is a view of the place in one run's memory; it must not be dynamic.
func (p *place) tensor(m *runtime.Memory) *tensor.Tensor {
	if p.constant != nil {
		return p.constant
	}
	return m.Tensor(p.buffer())
}

// view is the elements of a place in one run's memory; nil for a nil place.
func view[T tensor.Element](m *runtime.Memory, p *place) []T {
	if p == nil {
		return nil
	}
	return tensor.Values[T](p.tensor(m))
}

// layOut gives every storage its offset, so that no two overlap that are live at the same time, and returns the size
// of the arena. It places the largest first, each into the tightest gap that is free for as long as it lives (greedy
// by size: Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020). It fails if the arena
// would exceed limit bytes.
func layOut(storages []*storage, limit int) (int, error) {
	order := slices.Clone(storages)
	slices.SortStableFunc(order, func(a, b *storage) int {
		if a.size != b.size {
			return b.size - a.size
		}
		return a.first - b.first
	})
	total := 0
	var placed []*storage // by offset
	for _, s := range order {
		need := runtime.Round(s.size)
		best, bestGap, end := -1, math.MaxInt, 0
		for _, p := range placed {
			if p.last < s.first || s.last < p.first {
				continue
			}
			if gap := p.offset - end; gap >= need && gap < bestGap {
				best, bestGap = end, gap
			}
			end = max(end, p.offset+runtime.Round(p.size))
		}
		if best < 0 {
			best = end
		}
		if need > limit-best {
			return 0, fmt.Errorf("one run needs more than the limit of %d bytes of memory", limit)
		}
		s.offset = best
		total = max(total, best+need)
		at, _ := slices.BinarySearchFunc(placed, best, func(p *storage, offset int) int { return p.offset - offset })
		placed = slices.Insert(placed, at, s)
	}
	return total, nil
}
