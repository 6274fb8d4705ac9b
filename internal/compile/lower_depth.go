package compile

import (
	"github.com/octet-nn/octet/internal/kernel"
	"github.com/octet-nn/octet/internal/op"
)

// Moving blocks between channels and positions is a transposition of six dimensions: batch, the two sides, their parts
// within a block, and the channel.

// depthToSpace takes channels apart into squares.
func depthToSpace(c *planning, x *place, element int) (unary[byte, byte], bool, error) {
	o := c.node.Op.(*op.DepthToSpace)
	b := o.BlockSize
	n, height, width, channels := imageSizes(x, o.Layout)
	channels /= b * b
	var shape, perm []int
	switch {
	case o.Layout == op.NHWC && o.ColumnRowDepth:
		shape, perm = []int{n, height, width, channels, b, b}, []int{0, 1, 4, 2, 5, 3}
	case o.Layout == op.NHWC:
		shape, perm = []int{n, height, width, b, b, channels}, []int{0, 1, 3, 2, 4, 5}
	case o.ColumnRowDepth:
		shape, perm = []int{n, channels, b, b, height, width}, []int{0, 1, 4, 2, 5, 3}
	default:
		shape, perm = []int{n, b, b, channels, height, width}, []int{0, 3, 4, 1, 5, 2}
	}
	k, err := kernel.NewTranspose(element, shape, perm)
	return &k, true, err
}

// spaceToDepth puts squares into channels.
func spaceToDepth(c *planning, x *place, element int) (unary[byte, byte], bool, error) {
	o := c.node.Op.(*op.SpaceToDepth)
	b := o.BlockSize
	n, height, width, channels := imageSizes(x, o.Layout)
	height, width = height/b, width/b
	shape, perm := []int{n, channels, height, b, width, b}, []int{0, 3, 5, 1, 2, 4}
	if o.Layout == op.NHWC {
		shape, perm = []int{n, height, b, width, b, channels}, []int{0, 1, 3, 2, 4, 5}
	}
	k, err := kernel.NewTranspose(element, shape, perm)
	return &k, true, err
}

// imageSizes is the sizes of a batch of images.
func imageSizes(x *place, l op.Layout) (n, height, width, channels int) {
	first := l.Spatial(len(x.shape))
	return x.shape[l.Batch()], x.shape[first], x.shape[first+1], x.shape[l.Channel(len(x.shape))]
}
