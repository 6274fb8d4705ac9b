package kernel

import (
	"fmt"
	"unsafe"
)

// Copy moves elements between two strided arrays of the same sizes: transposes, slices (also backwards), parts of a
// concatenation, expansions. Elements are 1, 2, 4 or 8 bytes and aligned to their size. Its pieces write disjoint
// elements.
type Copy struct {
	Vector          Vector
	bytes           int // of an element
	rank            int
	size, out, in   [MaxRank]int // outermost first: sizes, and elements between neighbours on each side
	outBase, inBase int
	blocks          int // pieces of the two innermost dimensions
	units           int
}

// copyBlock is how many lines of the second innermost dimension a piece covers.
const copyBlock = 16

// NewCopy copies sizes elements with any strides (in elements; 0 repeats an input element, negative goes backwards)
// from the given first elements on.
func NewCopy(elementBytes int, sizes, outStrides, inStrides []int, outFirst, inFirst int) (Copy, error) {
	if elementBytes != 1 && elementBytes != 2 && elementBytes != 4 && elementBytes != 8 {
		return Copy{}, fmt.Errorf("copying elements of %d bytes: 1, 2, 4 or 8", elementBytes)
	}
	c := Copy{bytes: elementBytes, outBase: outFirst, inBase: inFirst}
	for i, d := range sizes {
		if d == 1 {
			continue
		}
		last := c.rank - 1
		if last >= 0 && c.out[last] == d*outStrides[i] && c.in[last] == d*inStrides[i] {
			c.size[last] *= d
			c.out[last], c.in[last] = outStrides[i], inStrides[i]
			continue
		}
		if c.rank == MaxRank {
			return Copy{}, fmt.Errorf("copying %v: more than %d dimensions", sizes, MaxRank)
		}
		c.size[c.rank], c.out[c.rank], c.in[c.rank] = d, outStrides[i], inStrides[i]
		c.rank++
	}
	for c.rank < 2 { // an outer dimension of one line
		copy(c.size[1:], c.size[:c.rank])
		copy(c.out[1:], c.out[:c.rank])
		copy(c.in[1:], c.in[:c.rank])
		c.size[0], c.out[0], c.in[0] = 1, 0, 0
		c.rank++
	}
	c.split()
	return c, nil
}

// split chooses the pieces: blocks of lines, or runs of a single long line.
func (c *Copy) split() {
	if n := c.size[c.rank-1]; c.rank == 2 && c.size[0] == 1 && n > chunk && n%chunk == 0 {
		c.size[0], c.size[1] = n/chunk, chunk
		c.out[0], c.in[0] = chunk*c.out[1], chunk*c.in[1]
	}
	c.blocks = divideUp(c.size[c.rank-2], copyBlock)
	c.units = c.blocks
	for _, d := range c.size[:c.rank-2] {
		c.units *= d
	}
	if c.size[c.rank-1] == 0 {
		c.units = 0
	}
}

// denseStrides is the strides of a row-major array.
func denseStrides(shape []int) []int {
	strides := make([]int, len(shape))
	step := 1
	for i := len(shape) - 1; i >= 0; i-- {
		strides[i] = step
		step *= shape[i]
	}
	return strides
}

// NewTranspose permutes a dense array: dimension i of the output is dimension permutation[i] of the input.
func NewTranspose(elementBytes int, shape, permutation []int) (Copy, error) {
	strides := denseStrides(shape)
	sizes, in := make([]int, len(shape)), make([]int, len(shape))
	for i, p := range permutation {
		sizes[i], in[i] = shape[p], strides[p]
	}
	return NewCopy(elementBytes, sizes, denseStrides(sizes), in, 0, 0)
}

// NewExpand repeats a dense array along its dimensions of size 1 (and missing leading ones) to a larger shape.
func NewExpand(elementBytes int, shape, out []int) (Copy, error) {
	b, err := NewBroadcast(out, shape, nil)
	if err != nil {
		return Copy{}, err
	}
	return NewCopy(elementBytes, b.size[:b.rank], denseStrides(b.size[:b.rank]), b.a[:b.rank], 0, 0)
}

// Units is how many pieces the work has.
func (c *Copy) Units() int { return c.units }

// Run copies the pieces [start, end).
func (c *Copy) Run(out, in []byte, start, end int) {
	if c.Vector.kernel != vectorNone && c.interleaves() {
		c.interleave(out, in, start, end)
		return
	}
	switch c.bytes {
	case 1:
		copyElements(c, out, in, start, end)
	case 2:
		copyElements(c, view[uint16](out), view[uint16](in), start, end)
	case 4:
		copyElements(c, view[uint32](out), view[uint32](in), start, end)
	case 8:
		copyElements(c, view[uint64](out), view[uint64](in), start, end)
	}
}

// view is bytes as elements of T.
func view[T uint16 | uint32 | uint64 | float32](b []byte) []T {
	var zero T
	n := len(b) / int(unsafe.Sizeof(zero))
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&b[0])), n)
}

func copyElements[T byte | uint16 | uint32 | uint64](c *Copy, out, in []T, start, end int) {
	r := c.rank
	lines, n := c.size[r-2], c.size[r-1]
	for unit := start; unit < end; unit++ {
		first := unit % c.blocks * copyBlock
		to, from := c.outBase+first*c.out[r-2], c.inBase+first*c.in[r-2]
		rest := unit / c.blocks
		for d := r - 3; d >= 0; d-- {
			i := rest % c.size[d]
			rest /= c.size[d]
			to += i * c.out[d]
			from += i * c.in[d]
		}
		m := min(copyBlock, lines-first)
		switch {
		case c.out[r-1] == 1 && c.in[r-1] == 1:
			for range m {
				copy(out[to:to+n], in[from:from+n])
				to += c.out[r-2]
				from += c.in[r-2]
			}
		case c.in[r-2] == 1 && m == copyBlock:
			// A transpose: read 16 neighbours, write one to each of 16 lines.
			copyAcross(out[to:], in[from:], n, c.out[r-1], c.in[r-1], c.out[r-2])
		default:
			for range m {
				o, i := to, from
				for range n {
					out[o] = in[i]
					o += c.out[r-1]
					i += c.in[r-1]
				}
				to += c.out[r-2]
				from += c.in[r-2]
			}
		}
	}
}

// interleaves reports whether the copy puts the elements of three planes side by side, as channels-first images become
// channels-last ones.
func (c *Copy) interleaves() bool {
	last := c.rank - 1
	return (c.bytes == 1 || c.bytes == 4) && c.size[last] == 3 && c.out[last] == 1 && c.out[last-1] == 3 && c.in[last-1] == 1
}

// planesRun is one call of a micro-kernel that interleaves three planes.
type planesRun struct {
	out    unsafe.Pointer
	planes [3]unsafe.Pointer
	order  unsafe.Pointer // for shuffles
	steps  int            // of 16 bytes or 8 words of each plane, at least 1
}

// The orders of interleaved elements, for each third of a step: of bytes, for each plane, 0x80 where another plane's are;
// of words, for all planes.
var interleavedBytes, interleavedWords = func() (b [3][3][16]byte, w [3][8]int32) {
	for part := range 3 {
		for i := range 16 {
			for plane := range 3 {
				b[part][plane][i] = 0x80
			}
			b[part][(16*part+i)%3][i] = byte((16*part + i) / 3)
		}
		for i := range 8 {
			w[part][i] = int32((8*part + i) / 3)
		}
	}
	return b, w
}()

// interleaveBlocks is the most pieces of a call: assembly cannot be interrupted.
const interleaveBlocks = 1 << 10

// interleave copies the pieces [start, end) of what interleaves.
func (c *Copy) interleave(out, in []byte, start, end int) {
	lines := c.size[c.rank-2]
	for unit := start; unit < end; {
		first := unit % c.blocks * copyBlock
		units := min(end-unit, c.blocks-unit%c.blocks, interleaveBlocks)
		n := min(units*copyBlock, lines-first)
		to, from := c.outBase+first*3, c.inBase+first
		rest := unit / c.blocks
		for d := c.rank - 3; d >= 0; d-- {
			i := rest % c.size[d]
			rest /= c.size[d]
			to += i * c.out[d]
			from += i * c.in[d]
		}
		plane := c.in[c.rank-1]
		if c.bytes == 1 {
			interleave(c.Vector.kernel, out[to:to+3*n], in[from:], plane, n)
		} else {
			interleave(c.Vector.kernel, view[uint32](out)[to:to+3*n], view[uint32](in)[from:], plane, n)
		}
		unit += units
	}
}

func interleave[T byte | uint32](k vectorKernel, out, in []T, plane, n int) {
	a, b, c := in[:n], in[plane:][:n], in[2*plane:][:n]
	r := planesRun{order: unsafe.Pointer(&interleavedBytes)}
	step, bytes := 16, int(unsafe.Sizeof(in[0]))
	if bytes == 4 {
		step, r.order = 8, unsafe.Pointer(&interleavedWords)
	}
	if r.steps = n / step; r.steps > 0 {
		r.out, r.planes = unsafe.Pointer(&out[0]), [3]unsafe.Pointer{unsafe.Pointer(&a[0]), unsafe.Pointer(&b[0]), unsafe.Pointer(&c[0])}
		k.interleave(bytes, &r)
	}
	for i := r.steps * step; i < n; i++ {
		out[3*i], out[3*i+1], out[3*i+2] = a[i], b[i], c[i]
	}
}

// copyAcross copies n times copyBlock input neighbours to elements that are line apart.
func copyAcross[T any](out, in []T, n, outStep, inStep, line int) {
	o, i := 0, 0
	for range n {
		at := o
		for _, v := range (*[copyBlock]T)(in[i:]) {
			out[at] = v
			at += line
		}
		o += outStep
		i += inStep
	}
}
