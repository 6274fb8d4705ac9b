package tensorflow

import (
	"fmt"
	"slices"
	"strings"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
)

func convolution(c *call) error {
	l, err := c.layout()
	if err != nil {
		return err
	}
	o := &op.Conv{Layout: l, Filter: op.HWIO, Strides: spatial(c.list("strides"), l), Dilations: spatial(c.list("dilations"), l)}
	if o.AutoPad, o.Pads, err = c.padding(l); err != nil {
		return err
	}
	x, filter := c.in[0], c.in[1].Type.Shape
	// A filter with fewer input channels than the input has makes groups.
	if in := len(filter) - 2; in >= 1 {
		if channels, ok := channelsOf(x, l); ok && filter[in].Known() && filter[in].Size > 0 && channels != filter[in].Size {
			o.Group = channels / filter[in].Size
		}
	}
	return c.convolve(o, x, c.in[1])
}

func channelsOf(v *graph.Value, l op.Layout) (int, bool) {
	rank, ok := v.Type.Rank()
	if !ok || rank < 3 {
		return 0, false
	}
	d := v.Type.Shape[l.Channel(rank)]
	return d.Size, d.Known()
}

// convolve emits a convolution, and remembers one that SpaceToBatchND stands before: BatchToSpaceND may follow.
func (c *call) convolve(o *op.Conv, x, filter *graph.Value) error {
	if s := c.im.spread[x]; s != nil {
		c.im.dilated[c.result(0)] = &convolved{o, filter, s, false}
	}
	return c.is(o, x, filter)
}

// depthwise has a filter [height, width, channels, multiplier], whose channels stand as in 1HWC.
func depthwise(c *call) error {
	l, err := c.layout()
	if err != nil {
		return err
	}
	filter := c.in[1]
	sizes, ok := filter.Type.Shape.Known()
	if !ok || len(sizes) != 4 {
		return errUnknown
	}
	o := &op.Conv{Layout: l, Filter: op.OneHWC, Strides: spatial(c.list("strides"), l), Dilations: spatial(c.list("dilations"), l), Group: sizes[2]}
	if o.AutoPad, o.Pads, err = c.padding(l); err != nil {
		return err
	}
	flat := []int{1, sizes[0], sizes[1], sizes[2] * sizes[3]}
	return c.convolve(o, c.in[0], c.reshaped(filter, flat))
}

// reshaped is a filter in another shape. Codes and their scales, which are per tensor or along the last axis, stay.
func (c *call) reshaped(v *graph.Value, shape []int) *graph.Value {
	if v.Const != nil && v.Type.Quant == nil {
		w := &graph.Value{Name: c.im.fresh(v.Name + "/flat"), Origin: v.Source(), Const: v.Const.Reshape(shape...)}
		w.Type = graph.TypeOf(w.Const)
		return w
	}
	if codes := c.im.weights[v]; codes != nil && codes.Type.Quant.IsPerTensor() {
		stored := &graph.Value{Name: c.im.fresh(codes.Name + "/flat"), Origin: codes.Source(), Const: codes.Const.Reshape(shape...)}
		stored.Type = graph.TypeOf(stored.Const)
		stored.Type.Quant = codes.Type.Quant
		return c.dequantized(stored)
	}
	return c.apply("filter", &op.Reshape{}, v, c.ints("filter_shape", shape...))
}

// transposedConvolution has the operands sizes of the result, filter [height, width, outputs, inputs], x.
func transposedConvolution(c *call) error {
	l, err := c.layout()
	if err != nil {
		return err
	}
	sizes, err := c.fixed(0)
	if err != nil {
		return err
	}
	x, filter := c.in[2], c.in[1]
	if len(sizes) != 4 || filter.Const == nil || len(filter.Const.Shape()) != 4 {
		return errUnknown
	}
	o := &op.ConvTranspose{Layout: l, Strides: spatial(c.list("strides"), l), Dilations: spatial(c.list("dilations"), l), OutputShape: spatial(sizes, l)}
	fs := filter.Const.Shape()
	// ONNX's pads follow from the output's shape; TensorFlow's are those of the convolution that this one reverses.
	xs, ok := x.Type.Shape.Known()
	if !ok {
		xs = nil
	}
	first := l.Spatial(4)
	pads := make([]int, 4)
	for i := range 2 {
		stride, dilation := at(o.Strides, i, 1), at(o.Dilations, i, 1)
		window := (fs[i]-1)*dilation + 1
		out := o.OutputShape[i]
		in := (out + stride - 1) / stride
		if c.text("padding", "VALID") == "VALID" {
			in = (out - window + stride) / stride
		}
		if xs != nil && xs[first+i] != in {
			return fmt.Errorf("a result of %v does not fit an input of %v", sizes, xs)
		}
		if total := (in-1)*stride + window - out; total > 0 {
			pads[i], pads[2+i] = total/2, total-total/2
		}
	}
	full := true // the result is as long as the pads make it
	for i := range 2 {
		stride, dilation := at(o.Strides, i, 1), at(o.Dilations, i, 1)
		in := (o.OutputShape[i] + stride - 1) / stride
		if c.text("padding", "VALID") == "VALID" {
			in = (o.OutputShape[i] - (fs[i]-1)*dilation - 1 + stride) / stride
		}
		full = full && (in-1)*stride+(fs[i]-1)*dilation+1-pads[i]-pads[2+i] == o.OutputShape[i]
	}
	if full {
		o.Pads, o.OutputShape = pads, nil
	}
	// [height, width, outputs, inputs] → [inputs, outputs, height, width].
	w := c.apply("filter", &op.Transpose{Perm: []int{3, 2, 0, 1}}, filter)
	return c.is(o, x, w)
}

func at(list []int, i, otherwise int) int {
	if i < len(list) {
		return list[i]
	}
	return otherwise
}

func pool(c *call) error {
	l, err := c.layout()
	if err != nil {
		return err
	}
	window, strides := c.list("ksize"), c.list("strides")
	rank := len(window)
	if rank < 4 || len(strides) != rank || window[0] != 1 || window[l.Channel(rank)] != 1 {
		return errUnknown
	}
	auto, pads, err := c.padding(l)
	if err != nil {
		return err
	}
	if strings.HasPrefix(c.def.op, "MaxPool") {
		return c.is(&op.MaxPool{KernelShape: spatial(window, l), Strides: spatial(strides, l), AutoPad: auto, Pads: pads, Layout: l}, c.in[0])
	}
	o := &op.AveragePool{KernelShape: spatial(window, l), Strides: spatial(strides, l), AutoPad: auto, Pads: pads, Layout: l}
	codes := c.im.rounded[c.in[0]]
	if codes == nil || c.im.rounders[c.def.name] {
		return c.is(o, c.in[0])
	}
	// Training leaves means of rounded values as they are; converters to integers give them the range of what they average.
	inner := *c
	inner.in = []*graph.Value{c.apply("mean", o, c.in[0])}
	return inner.roundTrip(codes.Type.Quant, codes.Type.DType)
}

func biasAdd(c *call) error {
	l, err := c.layout()
	if err != nil {
		return err
	}
	bias := c.in[1]
	// The bias of a layer is its third operand, if nothing else reads its sums.
	if n := c.im.maker[c.in[0]]; n != nil && bias.Const != nil && len(n.Inputs) == 2 && c.im.readers[tensorName(c.def.inputs[0])] == 1 && c.im.dilated[c.in[0]] == nil {
		switch n.Op.(type) {
		case *op.Conv, *op.Gemm:
			n.Inputs = append(n.Inputs, bias)
			n.Outputs[0].Name, n.Name = c.im.fresh(c.def.name), c.prefix+c.def.name
			return c.pass(n.Outputs[0])
		}
	}
	if rank, ok := c.in[0].Type.Rank(); l == op.NCHW && ok && rank > 2 {
		shape := slices.Repeat([]int{1}, rank-1)
		shape[0] = -1
		bias = c.apply("bias", &op.Reshape{}, bias, c.ints("bias_shape", shape...))
	}
	return c.is(op.Lookup("Add"), c.in[0], bias)
}

// globalBatchNorm is the oldest form, with the operands x, mean, variance, beta, gamma.
func globalBatchNorm(c *call) error {
	gamma := c.in[4]
	if !c.flag("scale_after_normalization") {
		gamma = c.apply("gamma", op.Lookup("Add"), c.apply("zeros", op.Lookup("Sub"), gamma, gamma), c.scalar("one", 1))
	}
	return c.is(&op.BatchNormalization{Epsilon: c.float("variance_epsilon", 1e-3), Layout: op.NHWC}, c.in[0], gamma, c.in[3], c.in[1], c.in[2])
}

// fusedBatchNorm in inference: the results after the first are for training.
func fusedBatchNorm(c *call) error {
	if a := c.def.attributes["is_training"]; a != nil && a.flag || a == nil {
		if c.in[3].Const == nil || c.in[3].Const.Len() == 0 {
			return errUnknown // it uses the statistics of the batch
		}
		c.im.note("batch normalization that was left in training mode (%s, …) uses its stored statistics", c.def.name)
	}
	l, err := c.layout()
	if err != nil {
		return err
	}
	return c.is(&op.BatchNormalization{Epsilon: c.float("epsilon", 1e-4), Layout: l}, c.in[:5]...)
}

// localResponse: TensorFlow's radius is on either side, and its alpha is not divided by the size.
func localResponse(c *call) error {
	size := 2*c.int("depth_radius", 5) + 1
	return c.is(&op.LRN{Size: size, Alpha: c.float("alpha", 1) * float32(size), Beta: c.float("beta", 0.5), Bias: c.float("bias", 1), Layout: op.NHWC}, c.in[0])
}

func resize(mode op.ResizeMode) func(c *call) error {
	return func(c *call) error {
		o := &op.Resize{Mode: mode, CubicCoeffA: -0.75, Axes: []int{1, 2}}
		switch {
		case c.flag("align_corners"):
			o.CoordinateTransformation = op.AlignCorners
			o.Nearest = op.RoundPreferCeil
		case c.flag("half_pixel_centers"):
			o.CoordinateTransformation = op.HalfPixel
			o.Nearest = op.RoundPreferCeil
		default:
			o.CoordinateTransformation = op.Asymmetric
			o.Nearest = op.RoundFloor
		}
		return c.is(o, c.in[0], nil, nil, c.flatWide(c.in[1]))
	}
}

func spaceToDepth(c *call) error {
	l, err := c.layout()
	if err != nil {
		return err
	}
	return c.is(&op.SpaceToDepth{BlockSize: c.int("block_size", 0), Layout: l}, c.in[0])
}

func depthToSpace(c *call) error {
	l, err := c.layout()
	if err != nil {
		return err
	}
	return c.is(&op.DepthToSpace{BlockSize: c.int("block_size", 0), Layout: l}, c.in[0])
}
