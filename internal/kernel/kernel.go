// Package kernel is the engine's inner loops: plain slices in, plain slices out, no graphs, no allocation.
//
// # Calling convention
//
// Activations are NHWC: batch outermost, channels innermost. 8-bit codes are stored bytes ([]byte) whether they are
// u8 or s8; a Signed field says how to read them. An output code is stored as the low byte of its int32, so limits
// and zero point alone decide between u8 and s8.
//
// A kernel is a struct that says what to compute: shapes, strides, scales, packed weights. It is made once for a
// shape (package runtime calls that a plan), is not modified by running, and may be run by many goroutines at once:
//
//	n := k.Units()                                  // how many independent pieces the work has
//	scratch := make([]byte, k.Scratch())            // one per goroutine, 8-byte aligned; AlignedScratch makes one
//	k.Run(out, in, start, end, scratch)             // does the pieces [start, end)
//
// Pieces write disjoint parts of the output and may be done in any order, in any split; every split gives the same
// bits. Kernels without scratch take none. All lengths and strides are counted in elements. Slices must be as long as
// the shapes say (a shorter one panics) and an output must not overlap an input unless the kernel says so.
//
// # Tiers
//
// For chooses, per family, the row of the family's table that fits a tier (package cpu). Weights are packed by the row
// that will read them, so packed weights belong to one Set. Integer kernels give the bits of the scalar functions in
// package numeric at every tier; float kernels sum in an order that depends on shapes only.
package kernel

import (
	"unsafe"

	"github.com/octet-nn/octet/internal/cpu"
)

// Set is the kernels of one tier. It is immutable; copy it freely. The zero Set is invalid.
type Set struct {
	tier          cpu.Tier
	gemmInt8      *gemmInt8Row
	gemmF32       *gemmF32Row
	depthwiseInt8 *depthwiseInt8Row
	depthwiseF32  *depthwiseF32Row
	vector        *vectorRow
}

// For is the best kernels of each family that a tier can run.
func For(tier cpu.Tier) Set {
	return Set{
		tier:          tier,
		gemmInt8:      best(tier, gemmInt8Table),
		gemmF32:       best(tier, gemmF32Table),
		depthwiseInt8: best(tier, depthwiseInt8Table),
		depthwiseF32:  best(tier, depthwiseF32Table),
		vector:        best(tier, vectorTable),
	}
}

// Tier is what the set was chosen for.
func (s Set) Tier() cpu.Tier { return s.tier }

// Names lists the chosen micro-kernels, in the manner of XNNPACK: data type, family, tile, tier.
func (s Set) Names() []string {
	return []string{s.gemmInt8.Name, s.gemmF32.Name, s.depthwiseInt8.Name, s.depthwiseF32.Name, s.vector.Name}
}

type row interface{ needs() cpu.Tier }

// best is the first row that the tier includes; tables are ordered from best to plain Go, which every tier includes.
func best[R any, P interface {
	*R
	row
}](tier cpu.Tier, table []R) *R {
	for i := range table {
		if r := P(&table[i]); tier.Includes(r.needs()) {
			return &table[i]
		}
	}
	panic("kernel: a table has no row for plain Go")
}

// AlignedScratch makes scratch memory for Run.
func AlignedScratch(bytes int) []byte {
	if bytes == 0 {
		return nil
	}
	words := make([]uint64, (bytes+7)/8)
	return unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), bytes)
}

// carve takes n elements off the front of scratch, keeping the rest 8-byte aligned.
func carve[T byte | int | int32 | uint64 | float32 | float64](scratch *[]byte, n int) []T {
	if n == 0 {
		return nil
	}
	bytes := carved[T](n)
	head := (*scratch)[:bytes:bytes]
	*scratch = (*scratch)[bytes:]
	return unsafe.Slice((*T)(unsafe.Pointer(&head[0])), n)
}

// carved is how many bytes of scratch carve takes for n elements.
func carved[T byte | int | int32 | uint64 | float32 | float64](n int) int {
	var zero T
	return (n*int(unsafe.Sizeof(zero)) + 7) &^ 7
}

// bytesOf is the memory of int32 sums.
func bytesOf(sums []int32) *byte { return (*byte)(unsafe.Pointer(&sums[0])) }

func divideUp(a, b int) int { return (a + b - 1) / b }
