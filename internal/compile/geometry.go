package compile

// maxDims bounds the dimensions that remain of a loop nest after merging, so that its counters fit on the stack.
const maxDims = 8

// nest is loops over several arrays at once, outermost first: in each dimension, every array has a stride. Dimensions
// of size 1 are gone and neighbours that are one loop in every array are merged.
type nest struct {
	dims    []int
	strides [][]int // by dimension, then by array
}

// newNest merges the dimensions of a loop nest. strides[i] is the stride of each array in dimension i.
func newNest(dims []int, strides [][]int) nest {
	var n nest
	for i, d := range dims {
		if d == 1 {
			continue
		}
		if last := len(n.dims) - 1; last >= 0 && continues(n.strides[last], strides[i], d) {
			n.dims[last] *= d
			n.strides[last] = strides[i]
			continue
		}
		n.dims = append(n.dims, d)
		n.strides = append(n.strides, strides[i])
	}
	return n
}

// continues reports whether a step in the outer dimension equals size steps in the inner one, in every array.
func continues(outer, inner []int, size int) bool {
	for a := range outer {
		if outer[a] != inner[a]*size {
			return false
		}
	}
	return true
}

// inner takes the last dimension off the nest: its size and strides. A nest without dimensions has one of size 1.
func (n *nest) inner() (size int, strides []int) {
	last := len(n.dims) - 1
	if last < 0 {
		return 1, nil
	}
	size, strides = n.dims[last], n.strides[last]
	n.dims, n.strides = n.dims[:last], n.strides[:last]
	return size, strides
}

// count is how many times the body of the nest runs.
func (n *nest) count() int {
	total := 1
	for _, d := range n.dims {
		total *= d
	}
	return total
}

// cursor is a position in a nest of at most maxDims dimensions over at most three arrays.
type cursor struct {
	nest  *nest
	index [maxDims]int
	at    [3]int // offset in each array
}

// from is the cursor at iteration i.
func (n *nest) from(i int) cursor {
	c := cursor{nest: n}
	for d := len(n.dims) - 1; d >= 0; d-- {
		c.index[d] = i % n.dims[d]
		i /= n.dims[d]
		for a, s := range n.strides[d] {
			c.at[a] += c.index[d] * s
		}
	}
	return c
}

// next moves to the following iteration.
func (c *cursor) next() {
	for d := len(c.nest.dims) - 1; d >= 0; d-- {
		strides := c.nest.strides[d]
		c.index[d]++
		if c.index[d] < c.nest.dims[d] {
			for a, s := range strides {
				c.at[a] += s
			}
			return
		}
		for a, s := range strides {
			c.at[a] -= s * (c.nest.dims[d] - 1)
		}
		c.index[d] = 0
	}
}

// packedStrides is the strides, in elements, of a packed array of this shape.
func packedStrides(shape []int) []int {
	strides := make([]int, len(shape))
	step := 1
	for i := len(shape) - 1; i >= 0; i-- {
		strides[i] = step
		step *= shape[i]
	}
	return strides
}

// broadcastStrides is the strides of a packed array of shape that is broadcast to dimensions of the given rank: 0
// where its size is 1.
func broadcastStrides(shape []int, rank int) []int {
	strides := make([]int, rank)
	packed := packedStrides(shape)
	for i, d := range shape {
		if d != 1 {
			strides[rank-len(shape)+i] = packed[i]
		}
	}
	return strides
}

// zip turns the strides of each array into those of each dimension.
func zip(arrays ...[]int) [][]int {
	strides := make([][]int, len(arrays[0]))
	for d := range strides {
		for _, a := range arrays {
			strides[d] = append(strides[d], a[d])
		}
	}
	return strides
}
