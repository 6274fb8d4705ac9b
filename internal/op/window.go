package op

import (
	"fmt"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/tensor"
)

// AutoPad says how the padding of a window is chosen when it is not given.
type AutoPad uint8

const (
	// ExplicitPads uses the Pads attribute; absent ones are 0.
	ExplicitPads AutoPad = iota
	// SameUpper pads so that the output size is ceil(input/stride), an odd element at the end.
	SameUpper
	// SameLower is SameUpper with the odd element at the beginning.
	SameLower
	// Valid pads nothing.
	Valid

	autoPadCount
)

var autoPadNames = [autoPadCount]string{"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"}

func (a AutoPad) String() string { return autoPadNames[a] }

// MarshalText is ONNX's name.
func (a AutoPad) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (a *AutoPad) UnmarshalText(text []byte) error {
	for i, name := range autoPadNames {
		if name == string(text) {
			*a = AutoPad(i)
			return nil
		}
	}
	return fmt.Errorf("unknown auto_pad %q: one of %q", text, autoPadNames)
}

// window is how a kernel slides over the spatial dimensions: the attributes shared by convolutions and pools.
type window struct {
	kernel, strides, dilations []int
	pads                       []int // begin of each axis, then end of each axis
	auto                       AutoPad
	ceil                       bool // round output sizes up, so that the last window may start inside the padding
}

// maxWindow bounds every attribute of a window, so that a malformed file cannot overflow a size.
const maxWindow = 1 << 30

// normalize fills in defaults and checks the attributes for a number of spatial axes.
func (w window) normalize() (window, error) {
	axes := len(w.kernel)
	ones := func(name string, v []int) ([]int, error) {
		if len(v) == 0 {
			v = make([]int, axes)
			for i := range v {
				v[i] = 1
			}
		}
		if len(v) != axes {
			return nil, fmt.Errorf("%s has %d entries for %d spatial axes", name, len(v), axes)
		}
		for _, n := range v {
			if n < 1 || n > maxWindow {
				return nil, fmt.Errorf("%s %v has an entry outside 1 … %d", name, v, maxWindow)
			}
		}
		return v, nil
	}
	var err error
	if w.strides, err = ones("strides", w.strides); err != nil {
		return w, err
	}
	if w.dilations, err = ones("dilations", w.dilations); err != nil {
		return w, err
	}
	if w.auto != ExplicitPads || len(w.pads) == 0 {
		w.pads = make([]int, 2*axes)
	}
	if len(w.pads) != 2*axes {
		return w, fmt.Errorf("pads has %d entries for %d spatial axes, wants %d", len(w.pads), axes, 2*axes)
	}
	for _, p := range w.pads {
		if p < -maxWindow || p > maxWindow {
			return w, fmt.Errorf("pads %v has an entry outside ±%d", w.pads, maxWindow)
		}
	}
	count := 1
	for _, k := range w.kernel {
		if count *= k; k < 1 || k > maxWindow || count > maxWindow {
			return w, fmt.Errorf("kernel %v has an entry below 1 or more than %d elements", w.kernel, maxWindow)
		}
	}
	return w, nil
}

// extent is how far the dilated kernel reaches along an axis.
func (w window) extent(axis int) int { return (w.kernel[axis]-1)*w.dilations[axis] + 1 }

// output is the output size along an axis and the padding before it.
func (w window) output(axis, in int) (out, padBegin int, err error) {
	extent, stride := w.extent(axis), w.strides[axis]
	switch w.auto {
	case SameUpper, SameLower:
		out = (in + stride - 1) / stride
		total := max((out-1)*stride+extent-in, 0)
		padBegin = total / 2
		if w.auto == SameLower {
			padBegin = (total + 1) / 2
		}
		return out, padBegin, nil
	}
	padBegin = w.pads[axis]
	padEnd := w.pads[len(w.kernel)+axis]
	room := in + padBegin + padEnd - extent
	if room < 0 {
		return 0, 0, fmt.Errorf("a kernel that reaches over %d elements does not fit into %d with padding %d and %d", extent, in, padBegin, padEnd)
	}
	out = room/stride + 1
	if w.ceil && room%stride != 0 && out*stride < in+padBegin {
		out++ // a window must start inside the input or its left padding
	}
	return out, padBegin, nil
}

// infer is the output size along an axis whose input size may be unknown.
func (w window) infer(axis int, in graph.Dim) (graph.Dim, error) {
	if !in.Known() {
		same := w.strides[axis] == 1 && (w.auto == SameUpper || w.auto == SameLower ||
			w.auto == ExplicitPads && w.pads[axis]+w.pads[len(w.kernel)+axis] == w.extent(axis)-1)
		if same {
			return in, nil
		}
		return graph.Dim{Size: graph.Unknown}, nil
	}
	out, _, err := w.output(axis, in.Size)
	return graph.Fixed(out), err
}

// slide is a window placed over an input of known size. Offsets count spatial positions in row-major order.
type slide struct {
	window
	in, out, padBegin []int
	inCount, outCount int
}

func (w window) over(in []int) (slide, error) {
	s := slide{window: w, in: in, out: make([]int, len(in)), padBegin: make([]int, len(in)), inCount: 1, outCount: 1}
	for axis, n := range in {
		var err error
		if s.out[axis], s.padBegin[axis], err = w.output(axis, n); err != nil {
			return s, err
		}
		s.inCount *= n
		s.outCount *= s.out[axis]
	}
	return s, s.bounded()
}

// bounded reports sizes that are too large to be counted.
func (s slide) bounded() error {
	for _, sizes := range [][]int{s.in, s.out} {
		if _, ok := tensor.Count(sizes); !ok {
			return fmt.Errorf("spatial sizes %v are impossible", sizes)
		}
	}
	return nil
}

// overInput places a window, not yet normalized, over a spatial tensor.
func (w window) overInput(x *tensor.Tensor, l Layout) (slide, error) {
	w, err := w.normalize()
	if err != nil {
		return slide{}, err
	}
	_, _, spatial, err := spatialSizes(x, l)
	if err != nil {
		return slide{}, err
	}
	if len(spatial) != len(w.kernel) {
		return slide{}, fmt.Errorf("kernel %v does not fit the input %s", w.kernel, x)
	}
	return w.over(spatial)
}

// taps calls visit for every output position with the kernel positions that lie inside the input and the input
// positions under them. It reuses the slices between calls.
func (s slide) taps(visit func(out int, kernel, in []int)) {
	axes := len(s.in)
	kernelCount := 1
	for _, k := range s.kernel {
		kernelCount *= k
	}
	at, k := make([]int, axes), make([]int, axes)
	var kernel, in []int
	for out := range s.outCount {
		unravel(at, out, s.out)
		kernel, in = kernel[:0], in[:0]
	next:
		for i := range kernelCount {
			unravel(k, i, s.kernel)
			position := 0
			for axis := range axes {
				p := at[axis]*s.strides[axis] - s.padBegin[axis] + k[axis]*s.dilations[axis]
				if p < 0 || p >= s.in[axis] {
					continue next
				}
				position = position*s.in[axis] + p
			}
			kernel, in = append(kernel, i), append(in, position)
		}
		visit(out, kernel, in)
	}
}

// unravel writes the coordinates of a row-major offset.
func unravel(at []int, offset int, shape []int) {
	for axis := len(shape) - 1; axis >= 0; axis-- {
		at[axis] = offset % shape[axis]
		offset /= shape[axis]
	}
}

// spatialTypes checks the type of a spatial operand and splits its shape: batch, channels, spatial dimensions.
func spatialTypes(t graph.Type, l Layout) (batch, channels graph.Dim, spatial graph.Shape, err error) {
	rank, ok := t.Rank()
	if !ok {
		unknown := graph.Dim{Size: graph.Unknown}
		return unknown, unknown, nil, nil
	}
	if rank < 3 {
		return batch, channels, nil, fmt.Errorf("input %s has %d dimensions, wants a batch, channels and at least one spatial one", t, rank)
	}
	first := l.Spatial(rank)
	return t.Shape[l.Batch()], t.Shape[l.Channel(rank)], t.Shape[first : first+rank-2], nil
}

// spatialShape is the inverse of spatialTypes.
func spatialShape(l Layout, batch, channels graph.Dim, spatial graph.Shape) graph.Shape {
	shape := make(graph.Shape, len(spatial)+2)
	shape[l.Batch()] = batch
	shape[l.Channel(len(shape))] = channels
	copy(shape[l.Spatial(len(shape)):], spatial)
	return shape
}

// spatialSizes splits the shape of a spatial tensor.
func spatialSizes(t *tensor.Tensor, l Layout) (batch, channels int, spatial []int, err error) {
	shape := t.Shape()
	rank := len(shape)
	if rank < 3 {
		return 0, 0, nil, fmt.Errorf("input %s has %d dimensions, wants a batch, channels and at least one spatial one", t, rank)
	}
	first := l.Spatial(rank)
	return shape[l.Batch()], shape[l.Channel(rank)], shape[first : first+rank-2], nil
}

// layoutSizes is the shape of a spatial tensor in a layout.
func layoutSizes(l Layout, batch, channels int, spatial []int) []int {
	shape := make([]int, len(spatial)+2)
	shape[l.Batch()] = batch
	shape[l.Channel(len(shape))] = channels
	copy(shape[l.Spatial(len(shape)):], spatial)
	return shape
}

// channelsLast reorders values to batch, position, channel; the same slice if they are already.
func channelsLast[T any](values []T, l Layout, batch, channels, positions int) []T {
	if l == NHWC || channels == 1 || positions == 1 {
		return values
	}
	return swapInner(values, batch, channels, positions)
}

// fromChannelsLast is the inverse of channelsLast.
func fromChannelsLast[T any](values []T, l Layout, batch, channels, positions int) []T {
	if l == NHWC || channels == 1 || positions == 1 {
		return values
	}
	return swapInner(values, batch, positions, channels)
}

// swapInner reorders outer×a×b values to outer×b×a.
func swapInner[T any](values []T, outer, a, b int) []T {
	out := make([]T, len(values))
	for o := range outer {
		from, to := values[o*a*b:(o+1)*a*b], out[o*a*b:(o+1)*a*b]
		for i := range a {
			for j := range b {
				to[j*a+i] = from[i*b+j]
			}
		}
	}
	return out
}

// product is the product of sizes.
func product(sizes []int) int {
	n := 1
	for _, s := range sizes {
		n *= s
	}
	return n
}
