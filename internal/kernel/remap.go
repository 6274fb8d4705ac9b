package kernel

import "fmt"

// PadMode is where padding takes its values from.
type PadMode uint8

// The modes of ONNX Pad.
const (
	PadConstant PadMode = iota
	PadReflect          // mirrored, without the edge
	PadEdge             // the edge repeated
	PadWrap             // the other side
)

// Remap moves whole coordinates: output coordinate i of each dimension takes input coordinate index[d][i], or a
// constant where that is −1. Padding and nearest-neighbour resizing are remaps. Elements are 1, 2, 4 or 8 bytes and
// aligned to their size. Its pieces are lines of the innermost remapped dimension.
type Remap struct {
	bytes   int
	index   [][]int32 // of every dimension but the innermost ones that are kept as they are
	strides []int     // of the input, in runs
	run     int       // bytes of the innermost dimensions that are kept as they are
	value   []byte    // the constant, as long as a line of the innermost remapped dimension
	units   int
}

// NewRemap remaps a dense array. index has one table per dimension, nil where coordinates stay as they are; value is
// the constant's bytes and may be nil if no index is −1.
func NewRemap(elementBytes int, shape []int, index [][]int32, value []byte) Remap {
	rank := len(shape)
	m := Remap{bytes: elementBytes, run: elementBytes, units: 1}
	for rank > 0 && index[rank-1] == nil {
		rank--
		m.run *= shape[rank]
	}
	m.strides = denseStrides(shape[:rank])
	for d := range rank {
		table := index[d]
		if table == nil {
			table = make([]int32, shape[d])
			for i := range table {
				table[i] = int32(i)
			}
		}
		m.index = append(m.index, table)
		if d < rank-1 {
			m.units *= len(table)
		}
	}
	if len(value) > 0 {
		m.value = make([]byte, m.run)
		if rank > 0 {
			m.value = make([]byte, m.run*len(m.index[rank-1]))
		}
		for i := range m.value {
			m.value[i] = value[i%len(value)]
		}
	}
	return m
}

// PadIndex is the index table of a dimension of the given size with padding before and after it; negative padding
// takes elements away. A dimension too small to reflect or repeat is an error.
func PadIndex(mode PadMode, size, before, after int) ([]int32, error) {
	n := before + size + after
	if n < 0 {
		return nil, fmt.Errorf("padding %d elements by %d and %d leaves less than nothing", size, before, after)
	}
	table := make([]int32, n)
	for i := range table {
		from := i - before
		if from < 0 || from >= size {
			switch {
			case mode == PadConstant:
				from = -1
			case size == 0:
				return nil, fmt.Errorf("padding an empty dimension with its own elements")
			case mode == PadEdge:
				from = min(max(from, 0), size-1)
			case mode == PadWrap:
				from = (from%size + size) % size
			case mode == PadReflect:
				if size == 1 {
					return nil, fmt.Errorf("reflecting a dimension of one element")
				}
				period := 2 * (size - 1)
				from = (from%period + period) % period
				from = min(from, period-from)
			}
		}
		table[i] = int32(from)
	}
	return table, nil
}

// NewPad pads a dense array. value is the constant's bytes, for PadConstant.
func NewPad(mode PadMode, elementBytes int, shape, before, after []int, value []byte) (Remap, error) {
	index := make([][]int32, len(shape))
	for d, size := range shape {
		if before[d] == 0 && after[d] == 0 {
			continue
		}
		table, err := PadIndex(mode, size, before[d], after[d])
		if err != nil {
			return Remap{}, fmt.Errorf("dimension %d: %w", d, err)
		}
		index[d] = table
	}
	return NewRemap(elementBytes, shape, index, value), nil
}

// Units is how many pieces the work has.
func (m *Remap) Units() int { return m.units }

// Run moves the pieces [start, end).
func (m *Remap) Run(out, in []byte, start, end int) {
	if len(m.index) == 0 {
		if start < end {
			copy(out[:m.run], in)
		}
		return
	}
	inner := m.index[len(m.index)-1]
	for unit := start; unit < end; unit++ {
		from, rest, constant := 0, unit, false
		for d := len(m.index) - 2; d >= 0; d-- {
			i := m.index[d][rest%len(m.index[d])]
			rest /= len(m.index[d])
			constant = constant || i < 0
			from += int(i) * m.strides[d]
		}
		dst := out[unit*len(inner)*m.run:][:len(inner)*m.run]
		for i := 0; i < len(inner); {
			first := i
			if constant || inner[i] < 0 {
				for i++; i < len(inner) && (constant || inner[i] < 0); i++ {
				}
				copy(dst[first*m.run:i*m.run], m.value)
				continue
			}
			for i++; i < len(inner) && inner[i] == inner[i-1]+1; i++ {
			}
			source := (from + int(inner[first])) * m.run
			copy(dst[first*m.run:i*m.run], in[source:])
		}
	}
}
