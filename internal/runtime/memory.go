package runtime

import (
	"fmt"
	"unsafe"

	"github.com/octet-nn/octet/tensor"
)

// Alignment is that of every buffer in an arena that is no part of another, in bytes: a cache line, and the widest vector
// register.
const Alignment = 64

// Buffer is where a plan keeps a value.
type Buffer struct {
	DType  tensor.DType
	Shape  []int
	Offset int // first byte in the arena, a multiple of Alignment or, in a part of another buffer, of the element's size
	// Dynamic is, for a value whose shape is known only when it has been computed, its place among the tensors that
	// the run allocates, counted from 1; Shape and Offset mean nothing then.
	Dynamic int
}

// Len is the number of elements.
func (b Buffer) Len() int {
	n, _ := tensor.Count(b.Shape)
	return n
}

// Size is the number of bytes in the arena.
func (b Buffer) Size() int {
	if b.Dynamic > 0 {
		return 0
	}
	return b.DType.Bytes(b.Len())
}

// Round is n rounded up to a multiple of Alignment.
func Round(n int) int { return (n + Alignment - 1) &^ (Alignment - 1) }

// Memory is what one run computes in: an arena, scratch space for each worker and the tensors of dynamic shape. Steps
// are bound to it once.
type Memory struct {
	arena   []byte
	scratch []byte
	stride  int // bytes of scratch space per worker
	workers int
	dynamic []*tensor.Tensor
	crew    crew // of the run that has the memory now
}

// newMemory allocates what a plan needs for the given number of workers.
func newMemory(p *Plan, workers int) *Memory {
	stride := Round(p.Scratch)
	return &Memory{
		arena:   alignedBytes(p.Bytes),
		scratch: alignedBytes(stride * workers),
		stride:  stride,
		workers: workers,
		dynamic: make([]*tensor.Tensor, p.Dynamic),
	}
}

func alignedBytes(n int) []byte {
	raw := make([]byte, n+Alignment)
	skip := int(-uintptr(unsafe.Pointer(&raw[0])) % Alignment)
	return raw[skip : skip+n : skip+n]
}

// Bytes is the memory of a buffer that is not dynamic.
func (m *Memory) Bytes(b Buffer) []byte {
	end := b.Offset + b.Size()
	return m.arena[b.Offset:end:end]
}

// Tensor is a view of a buffer that is not dynamic.
func (m *Memory) Tensor(b Buffer) *tensor.Tensor {
	t, err := tensor.FromBytes(b.DType, b.Shape, m.Bytes(b))
	if err != nil {
		panic(fmt.Sprintf("runtime: %v", err)) // a buffer has the size that its shape needs
	}
	return t
}

// Dynamic is the present value of a dynamic buffer, nil before it has been computed.
func (m *Memory) Dynamic(b Buffer) *tensor.Tensor { return m.dynamic[b.Dynamic-1] }

// SetDynamic gives a dynamic buffer its value.
func (m *Memory) SetDynamic(b Buffer, t *tensor.Tensor) { m.dynamic[b.Dynamic-1] = t }

// View is the memory of a buffer as a slice of its elements. It panics if T is not the buffer's element type.
func View[T tensor.Element](m *Memory, b Buffer) []T { return tensor.Values[T](m.Tensor(b)) }

// Scratch is the first size bytes of each worker's scratch space, by worker. What is in them does not survive the step.
func (m *Memory) Scratch(size int) [][]byte {
	all := make([][]byte, m.workers)
	for i := range all {
		begin := i * m.stride
		all[i] = m.scratch[begin : begin+size : begin+size]
	}
	return all
}
