package tflite

import (
	"fmt"
	"math"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// view writes any operator that shows the same elements under another shape.
func (e *exporter) view(n *graph.Node) error {
	shape := sizes(n.Outputs[0])
	e.emit("RESHAPE", 17, nil, []int{e.number(n.Inputs[0]), e.list("shape", shape...)}, e.number(n.Outputs[0]))
	return nil
}

func (e *exporter) transpose(n *graph.Node) error {
	perm := slices.Clone(n.Op.(*op.Transpose).Perm)
	rank := len(sizes(n.Inputs[0]))
	if len(perm) == 0 {
		for axis := range rank {
			perm = append(perm, rank-1-axis)
		}
	}
	e.emit("TRANSPOSE", 26, nil, []int{e.number(n.Inputs[0]), e.list("order", perm...)}, e.number(n.Outputs[0]))
	return nil
}

func (e *exporter) concat(n *graph.Node) error {
	e.emit("CONCATENATION", 10, []option{{0, int32(n.Op.(*op.Concat).Axis)}, {1, int8(activationNone)}}, e.all(n.Inputs), e.all(n.Outputs)...)
	return nil
}

func (e *exporter) split(n *graph.Node) error {
	axis := n.Op.(*op.Split).Axis
	shape := sizes(n.Inputs[0])
	if axis < 0 {
		axis += len(shape)
	}
	parts := make([]int, len(n.Outputs))
	outs := make([]int, len(n.Outputs))
	for i, v := range n.Outputs {
		if v == nil {
			return fmt.Errorf("a part that nobody wants")
		}
		parts[i], outs[i] = sizes(v)[axis], e.number(v)
	}
	where := e.constant("axis", tensor.Of([]int32{int32(axis)}), nil)
	e.emit("SPLIT_V", 79, []option{{0, int32(len(parts))}}, []int{e.number(n.Inputs[0]), e.list("sizes", parts...), where}, outs...)
	return nil
}

// constants are the integers of an optional operand.
func constants(n *graph.Node, i int) (values []int64, err error) {
	v := n.Input(i)
	if v == nil {
		return nil, nil
	}
	if v.Const == nil {
		return nil, fmt.Errorf("operand %d, %q, is computed", i, v.Name)
	}
	if !v.Const.DType().IsInteger() {
		return nil, fmt.Errorf("operand %d, %q, is %s; wants integers", i, v.Name, v.Type)
	}
	return op.Int64s(v.Const), nil
}

func (e *exporter) slice(n *graph.Node) error {
	var operands [4][]int64
	for i := range operands {
		var err error
		if operands[i], err = constants(n, 1+i); err != nil {
			return err
		}
	}
	in := sizes(n.Inputs[0])
	parts, err := n.Op.(*op.Slice).Parts(in, operands[0], operands[1], operands[2], operands[3])
	if err != nil {
		return err
	}
	begin, end, stride := make([]int, len(in)), make([]int, len(in)), make([]int, len(in))
	ends := int32(0)
	for i, p := range parts {
		begin[i], stride[i] = p.First, p.Step
		end[i] = p.First + p.Step*p.Count
		if end[i] < 0 { // before the first element: only a mask says so
			end[i] = 0
			ends |= 1 << i
		}
		end[i] = min(end[i], math.MaxInt32)
	}
	zero := int32(0)
	e.emit("STRIDED_SLICE", 32, []option{{0, zero}, {1, ends}, {2, zero}, {3, zero}, {4, zero}},
		[]int{e.number(n.Inputs[0]), e.list("begin", begin...), e.list("end", end...), e.list("strides", stride...)}, e.number(n.Outputs[0]))
	return nil
}

func (e *exporter) pad(n *graph.Node) error {
	o := n.Op.(*op.Pad)
	pads, err := constants(n, 1)
	if err != nil {
		return err
	}
	axes, err := constants(n, 3)
	if err != nil {
		return err
	}
	rank := len(sizes(n.Inputs[0]))
	if axes == nil {
		for axis := range rank {
			axes = append(axes, int64(axis))
		}
	}
	amounts := make([]int32, 2*rank)
	for i, a := range axes {
		if a < 0 {
			a += int64(rank)
		}
		if pads[i] < 0 || pads[len(axes)+i] < 0 {
			return fmt.Errorf("TensorFlow Lite has no negative padding")
		}
		amounts[2*a], amounts[2*a+1] = int32(pads[i]), int32(pads[len(axes)+i])
	}
	operands := []int{e.number(n.Inputs[0]), e.constant("pads", tensor.Of(amounts, rank, 2), nil)}
	out := e.number(n.Outputs[0])
	switch o.Mode {
	case op.PadReflect:
		e.emit("MIRROR_PAD", 77, []option{{0, int8(0)}}, operands, out)
		return nil
	case op.PadConstant:
	default:
		return fmt.Errorf("TensorFlow Lite does not pad by mode %s", o.Mode)
	}
	value := n.Input(2)
	if value == nil || value.Const != nil && value.Const.DType() == tensor.Float32 && value.Const.Len() == 1 && op.Float32s(value.Const)[0] == 0 {
		e.emit("PAD", 22, nil, operands, out)
		return nil
	}
	t := n.Inputs[0].Type
	switch {
	case value.Const == nil || value.Const.Len() != 1:
		return fmt.Errorf("its value is computed")
	case t.Quant != nil && !value.Const.DType().IsFloat():
		return fmt.Errorf("its value is %s, wants a real number", value.Type)
	case t.Quant != nil:
		lowest, highest := op.CodeLimits(t, nil)
		code := n.Arithmetic.Quantize(op.Float32s(value.Const)[0], op.InputCodes(n, 0))
		operands = append(operands, e.constant("value", op.FromInt64s(t.DType, []int{}, []int64{int64(min(max(code, lowest), highest))}), t.Quant))
	default:
		operands = append(operands, e.constant("value", value.Const.Reshape(), nil))
	}
	e.emit("PADV2", 43, nil, operands, out)
	return nil
}

func (e *exporter) gather(n *graph.Node) error {
	e.emit("GATHER", 23, []option{{0, int32(n.Op.(*op.Gather).Axis)}, {1, int32(0)}}, e.all(n.Inputs), e.all(n.Outputs)...)
	return nil
}

func (e *exporter) expand(n *graph.Node) error {
	e.emit("BROADCAST_TO", 104, nil, []int{e.number(n.Inputs[0]), e.list("shape", sizes(n.Outputs[0])...)}, e.number(n.Outputs[0]))
	return nil
}

func (e *exporter) tile(n *graph.Node) error {
	times, err := constants(n, 1)
	if err != nil {
		return err
	}
	list := make([]int, len(times))
	for i, t := range times {
		list[i] = int(t)
	}
	e.emit("TILE", 51, nil, []int{e.number(n.Inputs[0]), e.list("times", list...)}, e.number(n.Outputs[0]))
	return nil
}

func (e *exporter) spaceToDepth(n *graph.Node) error {
	e.emit("SPACE_TO_DEPTH", 19, []option{{0, int32(n.Op.(*op.SpaceToDepth).BlockSize)}}, e.all(n.Inputs), e.all(n.Outputs)...)
	return nil
}

func (e *exporter) depthToSpace(n *graph.Node) error {
	o := n.Op.(*op.DepthToSpace)
	if o.ColumnRowDepth {
		return fmt.Errorf("TensorFlow Lite has the order row, column, channel only")
	}
	e.emit("DEPTH_TO_SPACE", 94, []option{{0, int32(o.BlockSize)}}, e.all(n.Inputs), e.all(n.Outputs)...)
	return nil
}

// resize is written where only the two spatial dimensions change and the positions are one of TFLite's kinds.
func (e *exporter) resize(n *graph.Node) error {
	o := n.Op.(*op.Resize)
	in, out := slices.Clone(sizes(n.Inputs[0])), slices.Clone(sizes(n.Outputs[0]))
	// An image beside nothing that wants channels last may still have them first.
	first := len(in) == 4 && in[0] == out[0] && in[1] == out[1] && in[3] != out[3]
	if first {
		in, out = append(in[:1], in[2], in[3], in[1]), append(out[:1], out[2], out[3], out[1])
	}
	if len(in) != 4 || in[0] != out[0] || in[3] != out[3] {
		return fmt.Errorf("TensorFlow Lite resizes height and width of images")
	}
	var align, half bool
	switch o.CoordinateTransformation {
	case op.AlignCorners:
		align = true
	case op.HalfPixel, op.PytorchHalfPixel:
		half = true
		if o.CoordinateTransformation == op.PytorchHalfPixel && (out[1] == 1 || out[2] == 1) {
			return fmt.Errorf("TensorFlow Lite has no such positions")
		}
	case op.Asymmetric:
	default:
		return fmt.Errorf("TensorFlow Lite has no coordinates of kind %s", o.CoordinateTransformation)
	}
	whole := out[1]%in[1] == 0 && out[2]%in[2] == 0
	if scales := n.Input(2); scales != nil && !whole {
		return fmt.Errorf("its scales do not lead to whole sizes")
	}
	x, y := e.number(n.Inputs[0]), e.number(n.Outputs[0])
	if first {
		last := e.temporary("channels_last", n.Inputs[0].Type, in)
		e.emit("TRANSPOSE", 26, nil, []int{x, e.list("order", 0, 2, 3, 1)}, last)
		x, y = last, e.temporary("resized", n.Outputs[0].Type, out)
	}
	operands := []int{x, e.list("size", out[1], out[2])}
	switch {
	case o.Mode == op.ResizeLinear && !o.Antialias && !o.ExcludeOutside:
		e.emit("RESIZE_BILINEAR", 15, []option{{2, align}, {3, half}}, operands, y)
	case o.Mode == op.ResizeNearest:
		right := align && o.Nearest == op.RoundPreferCeil || half && o.Nearest == op.RoundPreferCeil || !align && !half && o.Nearest == op.RoundFloor
		if half && whole && o.Nearest == op.RoundPreferFloor {
			// No position is half way between two when sizes are multiplied.
			right = true
		}
		if !right {
			return fmt.Errorf("TensorFlow Lite does not round %s so", o.Nearest)
		}
		e.emit("RESIZE_NEAREST_NEIGHBOR", 74, []option{{0, align}, {1, half}}, operands, y)
	default:
		return fmt.Errorf("TensorFlow Lite interpolates linearly or not at all")
	}
	if first {
		e.emit("TRANSPOSE", 26, nil, []int{y, e.list("order_back", 0, 3, 1, 2)}, e.number(n.Outputs[0]))
	}
	return nil
}
