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
	strides  []int // elements between neighbours in each dimension; nil if they are packed. See planning.permutedView and part
	constant *tensor.Tensor
	storage  *storage
	offset   int // bytes from the beginning of the storage
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
		b.Offset = p.storage.offset + p.offset
	}
	return b
}

// elementStrides is the elements between neighbours in each dimension.
func (p *place) elementStrides() []int {
	if p.strides != nil {
		return p.strides
	}
	return packedStrides(p.shape)
}

// pixelStride is how many elements a pixel, all dimensions but the last, is from the next.
func (p *place) pixelStride() int {
	stride, ok := pixelStride(p.shape, p.elementStrides())
	if !ok {
		panic(fmt.Sprintf("compile: shape %v with strides %v has no pixels", p.shape, p.strides)) // see placing.takesPixels
	}
	return stride
}

// fills reports whether the place is all of its storage.
func (p *place) fills() bool {
	return p.strides == nil && p.offset == 0 && p.storage.size == p.dtype.Bytes(p.len())
}

// tensor is a view of the place in one run's memory; it must not be dynamic, and packed.
func (p *place) tensor(m *runtime.Memory) *tensor.Tensor {
	if p.constant != nil {
		return p.constant
	}
	if p.strides != nil {
		panic(fmt.Sprintf("compile: shape %v with strides %v is no tensor", p.shape, p.strides)) // see planning.packed
	}
	return m.Tensor(p.buffer())
}

// memory is the place in one run's memory, as far as its last element; what is between its elements belongs to others.
func (p *place) memory(m *runtime.Memory) *tensor.Tensor {
	switch {
	case p.constant != nil:
		return p.constant
	case p.strides == nil:
		return p.tensor(m)
	}
	b, n := p.buffer(), 1
	for i, d := range p.shape {
		if d == 0 {
			n = 0
			break
		}
		n += (d - 1) * p.strides[i]
	}
	b.Shape = []int{n}
	return m.Tensor(b)
}

// view is the elements of a place in one run's memory; nil for a nil place.
func view[T tensor.Element](m *runtime.Memory, p *place) []T {
	if p == nil {
		return nil
	}
	return tensor.Values[T](p.memory(m))
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
