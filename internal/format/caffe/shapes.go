package caffe

import (
	"errors"
	"fmt"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
)

// channelAxis is the parameter axis, or its old name.
func (l *layer) channelAxis(p *params, old string) (int, error) {
	if p.has(old) {
		return l.axisOf(p, old, 1)
	}
	return l.axisOf(p, "axis", 1)
}

func concat(l *layer) error {
	at, err := l.channelAxis(l.param("concat_param"), "concat_dim")
	if err != nil {
		return err
	}
	return l.node(&op.Concat{Axis: at}, l.in...)
}

// slice cuts the input at given points, or into equal parts.
func slice(l *layer) error {
	p := l.param("slice_param")
	points := p.ints("slice_point", 0)
	at, err := l.channelAxis(p, "slice_dim")
	if err != nil {
		return err
	}
	s, err := l.shape(0)
	if err != nil {
		return err
	}
	if !s[at].Known() {
		return errUnranked
	}
	size, n := s[at].Size, len(l.out)
	if len(points) == 0 {
		if size%n != 0 {
			return fmt.Errorf("a size of %d cannot be cut into %d equal parts", size, n)
		}
		for i := 1; i < n; i++ {
			points = append(points, i*size/n)
		}
	}
	if len(points) != n-1 {
		return fmt.Errorf("%d slice_points for %d tops", len(points), n)
	}
	sizes, from := []int64{}, 0
	for _, to := range append(points, size) {
		if to <= from {
			return fmt.Errorf("slice_point %d does not lie between %d and %d", to, from, size)
		}
		sizes = append(sizes, int64(to-from))
		from = to
	}
	return l.im.add(l, &op.Split{Axis: at}, []*graph.Value{l.in[0], l.list("sizes", sizes...)}, l.out)
}

// crop takes as much of the first input as the second one has.
func crop(l *layer) error {
	p := l.param("crop_param")
	at, err := l.axisOf(p, "axis", 2)
	if err != nil {
		return err
	}
	s, err := l.shape(0)
	if err != nil {
		return err
	}
	like, err := l.shape(1)
	if err != nil {
		return err
	}
	offsets := p.ints("offset", 0)
	if len(like) != len(s) || len(offsets) > 1 && len(offsets) != len(s)-at {
		return fmt.Errorf("%d offsets from axis %d on, for inputs with %d and %d dimensions", len(offsets), at, len(s), len(like))
	}
	var axes, starts, ends []int64
	for i := at; i < len(s); i++ {
		offset := 0
		if len(offsets) == 1 {
			offset = offsets[0]
		} else if len(offsets) > 1 {
			offset = offsets[i-at]
		}
		if offset == 0 && s[i].Same(like[i]) && (s[i].Known() || s[i].Symbol != "") {
			continue
		}
		if !like[i].Known() {
			return errUnranked
		}
		if s[i].Known() && offset+like[i].Size > s[i].Size {
			return fmt.Errorf("axis %d has %d elements, of which %d cannot be taken from %d on", i, s[i].Size, like[i].Size, offset)
		}
		axes = append(axes, int64(i))
		starts = append(starts, int64(offset))
		ends = append(ends, int64(offset+like[i].Size))
	}
	if axes == nil {
		return l.node(&op.Identity{}, l.in[0])
	}
	return l.node(&op.Slice{}, l.in[0], l.list("starts", starts...), l.list("ends", ends...), l.list("axes", axes...))
}

// permute orders the axes; those that are not named follow in their order.
func permute(l *layer) error {
	order := l.param("permute_param").ints("order", 0)
	s, err := l.shape(0)
	if err != nil {
		return err
	}
	for i := range s {
		if !slices.Contains(order, i) {
			order = append(order, i)
		}
	}
	sorted := slices.Sorted(slices.Values(order))
	if len(order) != len(s) || len(slices.Compact(sorted)) != len(s) {
		return fmt.Errorf("order %v of an input with %d dimensions", order, len(s))
	}
	return l.node(&op.Transpose{Perm: order}, l.in[0])
}

// reshape replaces the sizes of some axes, by default all. 0 is the size that the input has there.
func reshape(l *layer) error {
	p := l.param("reshape_param")
	var dims []*field
	for _, m := range p.messages("shape") {
		dims = append(dims, m.all("dim")...)
	}
	first, count := p.int("axis", 0, -32), p.int("num_axes", -1, -1)
	if len(dims) == 0 || len(dims) > maxRank {
		return fmt.Errorf("reshape_param.shape has %d dimensions", len(dims))
	}
	sizes := make([]int64, len(dims))
	for i, f := range dims {
		sizes[i] = int64(p.parseInt(f, -1))
	}
	if first == 0 && count == -1 {
		return l.node(&op.Reshape{}, l.in[0], l.list("shape", sizes...))
	}
	s, err := l.shape(0)
	if err != nil {
		return err
	}
	at := first
	if first < 0 {
		at += len(s) + 1 // −1 is after the last axis
	}
	if at < 0 || at > len(s) {
		return fmt.Errorf("axis %d of an input with %d dimensions", first, len(s))
	}
	end := len(s)
	if count >= 0 {
		end = at + count
	}
	if end > len(s) {
		return fmt.Errorf("num_axes %d from axis %d of an input with %d dimensions", count, at, len(s))
	}
	out := make([]int64, at, len(s)+len(sizes)) // 0: as it is
	out = append(out, sizes...)
	return l.reshaped(out, s[end:])
}

// reshaped reshapes to leading sizes, in which 0 and −1 mean what they mean to Reshape, and sizes of the input.
func (l *layer) reshaped(leading []int64, trailing graph.Shape) error {
	inferred := slices.Contains(leading, -1)
	for _, d := range trailing {
		switch {
		case d.Known():
			leading = append(leading, int64(d.Size))
		case inferred:
			return errUnranked
		default:
			leading = append(leading, -1)
			inferred = true
		}
	}
	return l.node(&op.Reshape{}, l.in[0], l.list("shape", leading...))
}

// flatten joins some axes, by default all but the first.
func flatten(l *layer) error {
	p := l.param("flatten_param")
	first, last := p.int("axis", 1, -32), p.int("end_axis", -1, -32)
	if first == 1 && last == -1 {
		return l.node(&op.Flatten{Axis: 1}, l.in[0])
	}
	s, err := l.shape(0)
	if err != nil {
		return err
	}
	from, err := axis(first, len(s), len(s)-1)
	if err != nil {
		return err
	}
	to, err := axis(last, len(s), len(s)-1)
	if err != nil {
		return err
	}
	if from > to {
		return fmt.Errorf("axis %d comes after end_axis %d", from, to)
	}
	return l.reshaped(append(make([]int64, from), -1), s[to+1:])
}

// shuffleChannel writes channels, which lie in groups, group by group, one of each in turn.
func shuffleChannel(l *layer) error {
	groups := l.param("shuffle_channel_param").int("group", 1, 1)
	s, err := l.shape(0)
	if err != nil {
		return err
	}
	if len(s) != 4 || !s[1].Known() || s[1].Size%groups != 0 {
		return errors.New("it needs an image whose number of channels is a multiple of group")
	}
	each := int64(s[1].Size / groups)
	height, width := int64(s[2].Size), int64(s[3].Size)
	if !s[2].Known() || !s[3].Known() {
		return errUnranked
	}
	x, err := l.step("groups", &op.Reshape{}, l.in[0], l.list("grouped", 0, int64(groups), each, height, width))
	if err != nil {
		return err
	}
	if x, err = l.step("shuffled", &op.Transpose{Perm: []int{0, 2, 1, 3, 4}}, x); err != nil {
		return err
	}
	return l.node(&op.Reshape{}, x, l.list("shape", 0, int64(s[1].Size), height, width))
}
