package compile

import (
	"slices"
	"unsafe"

	"github.com/octet-nn/octet/internal/runtime"
)

// move copies a box of elements from one array to another, each with strides of its own: what Transpose, Slice,
// Concat, Split, Pad and Expand come down to.
type move struct {
	element int // bytes of one element
	outer   nest
	inAt    int // offset of the first element, in elements
	outAt   int
	// The innermost loops: rows times columns. In the plane that remains of a transposition, rows are contiguous in one
	// array and columns in the other.
	rows, rowIn, rowOut          int
	columns, columnIn, columnOut int
}

// newMove describes a copy of the elements of a box of the given dimensions. Strides and offsets count elements.
func newMove(element int, dims, in, out []int, inAt, outAt int) *move {
	n := newNest(dims, zip(in, out))
	m := &move{element: element, inAt: inAt, outAt: outAt, rows: 1}
	// The order of the loops is free: the innermost is the one that is contiguous in the output, next to it the one
	// that is contiguous in the input.
	bring := func(array int) (size, strideIn, strideOut int) {
		best := -1
		for d := range n.dims {
			if best < 0 || n.strides[d][array] < n.strides[best][array] {
				best = d
			}
		}
		if best < 0 {
			return 1, 0, 0
		}
		size, strideIn, strideOut = n.dims[best], n.strides[best][0], n.strides[best][1]
		n.dims, n.strides = slices.Delete(n.dims, best, best+1), slices.Delete(n.strides, best, best+1)
		return size, strideIn, strideOut
	}
	m.columns, m.columnIn, m.columnOut = bring(1)
	m.rows, m.rowIn, m.rowOut = bring(0)
	m.outer = n
	return m
}

// moveBlock is how many rows of a plane are copied column by column: few enough that what they touch stays in L1.
const moveBlock = 32

// tasks is how many pieces the work has: blocks of rows.
func (m *move) tasks() int { return m.outer.count() * m.blocks() }

func (m *move) blocks() int { return (m.rows + moveBlock - 1) / moveBlock }

// run copies the pieces begin … end−1.
func (m *move) run(out, in []byte, begin, end int) {
	blocks := m.blocks()
	c := m.outer.from(begin / blocks)
	for i := begin; i < end; i++ {
		block := i % blocks
		first := block * moveBlock
		rows := min(moveBlock, m.rows-first)
		from, to := m.inAt+c.at[0]+first*m.rowIn, m.outAt+c.at[1]+first*m.rowOut
		switch {
		case m.columnIn == 1 && m.columnOut == 1 || m.columns == 1:
			for range rows {
				copy(out[to*m.element:(to+m.columns)*m.element], in[from*m.element:(from+m.columns)*m.element])
				from, to = from+m.rowIn, to+m.rowOut
			}
		case m.element == 1:
			movePlane(m, elements[uint8](out), elements[uint8](in), from, to, rows)
		case m.element == 2:
			movePlane(m, elements[uint16](out), elements[uint16](in), from, to, rows)
		case m.element == 4:
			movePlane(m, elements[uint32](out), elements[uint32](in), from, to, rows)
		default:
			movePlane(m, elements[uint64](out), elements[uint64](in), from, to, rows)
		}
		if block == blocks-1 {
			c.next()
		}
	}
}

// movePlane copies rows × columns elements, the longer loop inside.
func movePlane[T uint8 | uint16 | uint32 | uint64](m *move, out, in []T, from, to, rows int) {
	if rows > m.columns {
		for j := range m.columns {
			x, y := from+j*m.columnIn, to+j*m.columnOut
			for range rows {
				out[y] = in[x]
				x, y = x+m.rowIn, y+m.rowOut
			}
		}
		return
	}
	for i := range rows {
		x, y := from+i*m.rowIn, to+i*m.rowOut
		for range m.columns {
			out[y] = in[x]
			x, y = x+m.columnIn, y+m.columnOut
		}
	}
}

// elements views aligned bytes as unsigned integers of their size.
func elements[T uint8 | uint16 | uint32 | uint64](b []byte) []T {
	var zero T
	if len(b) == 0 {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&b[0])), len(b)/int(unsafe.Sizeof(zero)))
}

// moveable reports whether the element type occupies whole bytes.
func moveable(p *place) bool { return p.dtype.Bits()%8 == 0 }

// emitMove plans a copy.
func (c *planning) emitMove(k *move, out, in *place) {
	if k.outer.count() == 0 || k.rows == 0 || k.columns == 0 {
		return
	}
	c.emit("copy", 0, func(m *runtime.Memory) runtime.Work {
		y, x := out.tensor(m).Bytes(), in.tensor(m).Bytes()
		return runtime.Work{Tasks: k.tasks(), Run: func(begin, end, _ int) { k.run(y, x, begin, end) }}
	})
}
