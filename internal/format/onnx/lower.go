package onnx

import (
	"fmt"
	"math"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// constant names a tensor; there is no node.
func constant(c *call) error {
	var t *tensor.Tensor
	for _, a := range c.attributes {
		c.used[a.name] = true
		switch a.name {
		case "value":
			if a.t == nil {
				return fmt.Errorf("attribute value is not a tensor")
			}
			var err error
			if t, err = a.t.decode(c.im.options); err != nil {
				// Like a bad initializer, it matters only where it is used.
				delete(c.im.values, c.out[0].Name)
				c.im.broken[c.out[0].Name] = err
				return nil
			}
		case "value_float":
			t = tensor.Of([]float32{a.f})
		case "value_floats":
			t = tensor.Of(a.floats, len(a.floats))
		case "value_int":
			t = tensor.Of([]int64{a.i})
		case "value_ints":
			t = tensor.Of(a.ints, len(a.ints))
		default:
			return errUnknown
		}
	}
	if t == nil {
		return fmt.Errorf("it has no value")
	}
	c.out[0].Const, c.out[0].Type = t, graph.TypeOf(t)
	return nil
}

func constantOfShape(c *call) error {
	o := &op.ConstantOfShape{}
	if a := c.attribute("value"); a != nil && a.t != nil {
		t, err := a.t.decode(c.im.options)
		if err != nil {
			return errUnknown
		}
		if t.Len() != 1 {
			return fmt.Errorf("attribute value has %d elements instead of 1", t.Len())
		}
		o.Fill = t
	}
	c.emit(o, c.in, c.out...)
	return nil
}

// moved reads an operator whose list of integers became operand 1 with an operator set.
func moved(since int, name string) func(c *call) error {
	return func(c *call) error {
		in := c.in
		if c.version < since {
			if list, ok := c.ints(name); ok {
				in = []*graph.Value{c.in[0], c.list(name, list...)}
			}
		}
		return c.plain(nil, in)
	}
}

func clip(c *call) error {
	in := c.in
	if c.version < 11 {
		in = []*graph.Value{c.in[0], nil, nil}
		if a := c.attribute("min"); a != nil {
			in[1] = c.scalar("min", a.f)
		}
		if a := c.attribute("max"); a != nil {
			in[2] = c.scalar("max", a.f)
		}
	}
	return c.plain(nil, in)
}

func pad(c *call) error {
	in := c.in
	if c.version < 11 {
		pads, ok := c.ints("pads")
		if !ok {
			if pads, ok = c.ints("paddings"); !ok {
				return fmt.Errorf("attribute pads is missing")
			}
		}
		in = []*graph.Value{c.in[0], c.list("pads", pads...), c.scalar("value", c.float("value", 0))}
	}
	return c.plain(nil, in)
}

func slice(c *call) error {
	in := c.in
	if c.version < 10 {
		starts, ok1 := c.ints("starts")
		ends, ok2 := c.ints("ends")
		if !ok1 || !ok2 {
			return fmt.Errorf("attributes starts and ends are required")
		}
		in = []*graph.Value{c.in[0], c.list("starts", starts...), c.list("ends", ends...)}
		if axes, ok := c.ints("axes"); ok {
			in = append(in, c.list("axes", axes...))
		}
	}
	return c.plain(nil, in)
}

func split(c *call) error {
	in := c.in
	if c.version < 13 {
		if sizes, ok := c.ints("split"); ok {
			in = []*graph.Value{c.in[0], c.list("split", sizes...)}
		}
	}
	c.int("num_outputs", 0) // as many as there are
	return c.plain(nil, in)
}

// softmax before operator set 13 worked on the matrix that dimensions before axis and from it on make.
func softmax(c *call) error {
	if c.version >= 13 {
		return c.plain(nil, c.in)
	}
	return c.softmaxOfMatrix(c.proto.op, c.in[0], c.out[0])
}

func (c *call) softmaxOfMatrix(name string, x, out *graph.Value) error {
	axis := c.int("axis", 1)
	rank, known := x.Type.Rank()
	o, err := withAxis(name, -1)
	if err != nil {
		return err
	}
	if known && (axis == rank-1 || axis == -1) {
		c.emit(o, []*graph.Value{x}, out)
		return nil
	}
	matrix, result, size := c.temporary("matrix"), c.temporary("result"), c.temporary("shape")
	c.emit(&op.Flatten{Axis: axis}, []*graph.Value{x}, matrix)
	c.emit(o, []*graph.Value{matrix}, result)
	c.emit(&op.Shape{ToEnd: true}, []*graph.Value{x}, size)
	c.emit(&op.Reshape{AllowZero: true}, []*graph.Value{result, size}, out)
	return nil
}

func withAxis(name string, axis int) (graph.Operator, error) {
	switch name {
	case "Softmax":
		return &op.Softmax{Axis: axis}, nil
	case "LogSoftmax":
		return &op.LogSoftmax{Axis: axis}, nil
	case "Hardmax":
		return &op.Hardmax{Axis: axis}, nil
	}
	return nil, errUnknown
}

func batchNormalization(c *call) error {
	training := c.int("training_mode", 0) != 0 || c.int("spatial", 1) != 1
	for i := 1; i < len(c.out); i++ {
		training = training || c.wanted(i)
	}
	if training {
		return errUnknown
	}
	c.out = c.out[:1]
	return c.plain(nil, c.in)
}

// dropout passes its operand on, as in inference; the mask is all ones: of the operand's element type before operator
// set 10, bool since.
func dropout(c *call) error {
	c.float("ratio", 0)
	if v := c.input(2); v != nil && (v.Const == nil || v.Const.Len() != 1 || v.Const.DType().IsFloat() || op.Int64s(v.Const)[0] != 0) {
		return errUnknown
	}
	c.emit(&op.Identity{}, c.in[:1], c.out[0])
	if !c.wanted(1) {
		return nil
	}
	one := tensor.Of([]bool{true}, 1)
	if c.version < 10 {
		one = c.scalar("one", 1).Const.Reshape(1)
	}
	size := c.temporary("shape")
	c.emit(&op.Shape{ToEnd: true}, c.in[:1], size)
	c.emit(&op.ConstantOfShape{Fill: one}, []*graph.Value{size}, c.out[1])
	return nil
}

func castLike(c *call) error {
	dtype := c.in[1].Type.DType
	if dtype == tensor.Invalid {
		c.emit(&op.CastLike{CastRounding: c.castRounding()}, c.in, c.out...)
		return nil
	}
	c.emit(&op.Cast{To: op.OutputType{DType: dtype}, CastRounding: c.castRounding()}, c.in[:1], c.out...)
	return nil
}

// castRounding is what the attributes of casts say of floats of at most 8 bits.
func (c *call) castRounding() op.CastRounding {
	return op.CastRounding{Overflow: c.int("saturate", 1) == 0, RoundMode: c.string("round_mode", "")}
}

func cast(c *call) error {
	dtype := dtypes[int64(c.int("to", 0))]
	if dtype == tensor.Invalid {
		return errUnknown
	}
	c.emit(&op.Cast{To: op.OutputType{DType: dtype}, CastRounding: c.castRounding()}, c.in, c.out...)
	return nil
}

// selu's defaults are those of the ONNX specification.
func selu(c *call) error {
	o := &op.Elu{Alpha: c.float("alpha", 1.67326319217681884765625), Gamma: 1,
		Scale: c.float("gamma", 1.05070102214813232421875)}
	c.emit(o, c.in, c.out...)
	return nil
}

func celu(c *call) error {
	alpha := c.float("alpha", 1)
	c.emit(&op.Elu{Alpha: alpha, Gamma: alpha, Scale: 1}, c.in, c.out...)
	return nil
}

func gelu(c *call) error {
	c.emit(&op.Gelu{Tanh: c.string("approximate", "none") == "tanh"}, c.in, c.out...)
	return nil
}

func argMax(least bool) func(c *call) error {
	return func(c *call) error {
		o := &op.ArgMax{KeepDims: true, Min: least}
		err := c.fill(o, nil)
		c.emit(o, c.in, c.out...)
		return err
	}
}

func shape(c *call) error {
	o := &op.Shape{ToEnd: c.attributes["end"] == nil}
	err := c.fill(o, nil)
	c.emit(o, c.in, c.out...)
	return err
}

// resizeAliases are attributes of Resize that have other names here.
var resizeAliases = map[string]string{"nearest_mode": "Nearest", "keep_aspect_ratio_policy": "KeepAspectRatio",
	"coordinate_transformation_mode": "CoordinateTransformation"}

func resize(c *call) error {
	if c.version < 11 {
		return scaled(c, c.input(1))
	}
	in := slices.Clone(c.in)
	for i := 1; i < len(in); i++ {
		if in[i] != nil && in[i].Const != nil && in[i].Const.Len() == 0 {
			in[i] = nil // how operator set 11 spells an absent operand
		}
	}
	return c.plain(resizeAliases, in)
}

func upsample(c *call) error {
	scales := c.input(1)
	if a := c.attribute("scales"); c.version < 9 && a != nil {
		scales = c.constant("scales", tensor.Of(a.floats, len(a.floats)))
	}
	return scaled(c, scales)
}

// scaled is Resize as it was before operator set 11: output position x reads input position x/scale.
func scaled(c *call, scales *graph.Value) error {
	o := op.Lookup("Resize")
	if o == nil || scales == nil {
		return errUnknown
	}
	mode := c.string("mode", "nearest")
	if mode == "bilinear" {
		mode = "linear"
	}
	c.attributes = map[string]*attributeProto{
		"mode":                           {s: []byte(mode)},
		"nearest_mode":                   {s: []byte("floor")},
		"coordinate_transformation_mode": {s: []byte("asymmetric")},
	}
	err := c.fill(o, resizeAliases)
	c.emit(o, []*graph.Value{c.in[0], nil, scales}, c.out...)
	return err
}

func depthToSpace(c *call) error {
	flag := int64(0)
	if c.string("mode", "DCR") == "CRD" {
		flag = 1
	}
	c.attributes["column_row_depth"] = &attributeProto{name: "column_row_depth", i: flag}
	return c.plain(nil, c.in)
}

func compress(c *call) error {
	flag := int64(0)
	if c.attributes["axis"] == nil {
		flag = 1
	}
	c.attributes["flat"] = &attributeProto{name: "flat", i: flag}
	return c.plain(nil, c.in)
}

// broadcast before operator set 7 broadcast only when told to, operand 1 aligned at an axis.
func broadcast(c *call) error {
	in := c.in
	told, axis := c.int("broadcast", 0) != 0, c.int("axis", math.MaxInt)
	if c.version < 7 && told && axis != math.MaxInt {
		rank, ok1 := in[0].Type.Rank()
		small, ok2 := in[1].Type.Rank()
		if !ok1 || !ok2 {
			return errUnknown
		}
		if axis < 0 {
			axis += rank
		}
		var axes []int64
		for i := axis + small; i < rank; i++ {
			axes = append(axes, int64(small+i-axis-small))
		}
		if len(axes) > 0 {
			aligned := c.temporary("aligned")
			c.emit(&op.Unsqueeze{}, []*graph.Value{in[1], c.list("axes", axes...)}, aligned)
			in = []*graph.Value{in[0], aligned}
		}
	}
	return c.plain(nil, in)
}

// imageScaler is x·scale + bias, one bias per channel.
func imageScaler(c *call) error {
	var bias []float32
	if a := c.attribute("bias"); a != nil {
		bias = a.floats
	}
	product := c.temporary("scaled")
	c.emit(&op.Mul{}, []*graph.Value{c.in[0], c.scalar("scale", c.float("scale", 1))}, product)
	if len(bias) == 0 {
		bias = []float32{0}
	}
	c.emit(&op.Add{}, []*graph.Value{product, c.constant("bias", tensor.Of(bias, len(bias), 1, 1))}, c.out...)
	return nil
}

func affine(c *call) error {
	product := c.temporary("scaled")
	c.emit(&op.Mul{}, []*graph.Value{c.in[0], c.scalar("alpha", c.float("alpha", 1))}, product)
	c.emit(&op.Add{}, []*graph.Value{product, c.scalar("beta", c.float("beta", 0))}, c.out...)
	return nil
}

// crop cuts left, top, right and bottom borders off images, or keeps scale = height, width from the top left border on.
func crop(c *call) error {
	border, _ := c.ints("border")
	if len(border) != 4 {
		return fmt.Errorf("attribute border has %d entries instead of 4", len(border))
	}
	ends := []int64{-border[3], -border[2]}
	for i, b := range []int64{border[3], border[2]} {
		if b == 0 {
			ends[i] = math.MaxInt64
		}
	}
	if scale, ok := c.ints("scale"); ok {
		if len(scale) != 2 {
			return fmt.Errorf("attribute scale has %d entries instead of 2", len(scale))
		}
		ends = []int64{border[1] + scale[0], border[0] + scale[1]}
	}
	in := []*graph.Value{c.in[0], c.list("starts", border[1], border[0]), c.list("ends", ends...), c.list("axes", 2, 3)}
	c.emit(&op.Slice{}, in, c.out...)
	return nil
}

// convolution says its kernel_shape twice: it must be the filter's.
func convolution(filter int) func(c *call) error {
	return func(c *call) error {
		if err := c.kernel(filter); err != nil {
			return err
		}
		return c.plain(nil, c.in)
	}
}

// kernel compares the kernel_shape attribute with the shape of the filter, which is operand i.
func (c *call) kernel(i int) error {
	sizes, given := c.ints("kernel_shape")
	shape := c.in[i].Type.Shape
	if !given || shape == nil {
		return nil
	}
	if len(sizes)+2 != len(shape) {
		return fmt.Errorf("attribute kernel_shape %v does not fit filter %s", sizes, c.in[i].Type)
	}
	for axis, size := range sizes {
		if d := shape[axis+2]; d.Known() && int64(d.Size) != size {
			return fmt.Errorf("attribute kernel_shape %v does not fit filter %s", sizes, c.in[i].Type)
		}
	}
	return nil
}

// wanted reports whether anything reads output i.
func (c *call) wanted(i int) bool {
	return i < len(c.out) && c.out[i] != nil && c.im.read[c.out[i].Name]
}

func bitShift(c *call) error {
	o := &op.BitShift{Right: c.string("direction", "") == "RIGHT"}
	c.emit(o, c.in, c.out...)
	return nil
}

// topK before operator set 10 had K as an attribute.
func topK(c *call) error {
	in := c.in
	if c.version < 10 {
		in = []*graph.Value{c.in[0], c.list("k", int64(c.int("k", -1)))}
	}
	return c.plain(nil, in)
}

// groupNormalization before operator set 21 had scale and bias per group.
func groupNormalization(c *call) error {
	groups := c.int("num_groups", 0)
	if c.version >= 21 {
		return c.plain(nil, c.in)
	}
	shape := c.in[0].Type.Shape
	if len(shape) < 2 || !shape[1].Known() || groups < 1 {
		return errUnknown
	}
	channels := shape[1].Size
	in := slices.Clone(c.in)
	for i, v := range in[1:] {
		column := c.value("column", op.Lookup("Unsqueeze"), v, c.list("axes", 1))
		spread := c.value("spread", op.Lookup("Expand"), column, c.list("sizes", int64(groups), int64(channels/groups)))
		in[1+i] = c.value("channels", op.Lookup("Reshape"), spread, c.list("size", int64(channels)))
	}
	return c.plain(nil, in)
}
