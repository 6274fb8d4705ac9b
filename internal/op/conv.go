package op

import (
	"fmt"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/tensor"
)

// Conv is a convolution over any number of spatial dimensions (ONNX Conv). Operands: x, filter, bias (optional, one
// entry per output channel). Depthwise convolutions have as many groups as input channels.
type Conv struct {
	Strides   []int // per spatial axis; empty means 1
	Pads      []int // begin of each spatial axis, then end of each; empty means 0
	Dilations []int // per spatial axis; empty means 1
	Group     int   // 0 means 1
	AutoPad   AutoPad
	Layout    Layout
	Filter    FilterLayout
	Clamp     *Clamp
}

// Type is "Conv".
func (*Conv) Type() string { return "Conv" }

// Groups is the number of groups, at least 1.
func (o *Conv) Groups() int { return max(o.Group, 1) }

// filterSizes are what a filter's shape says.
type filterSizes struct {
	outputs, inputs int // output channels in all; input channels of one group
	kernel          []int
}

// check compares the filter with the other operands of a convolution: spatial axes, groups, channels of the input, bias.
func (f filterSizes) check(c *Inference, sizes []int, groups int, channels graph.Dim, axes int) error {
	if len(f.kernel) != axes {
		return fmt.Errorf("filter %v has %d spatial axes, the input %s has %d", sizes, len(f.kernel), c.In(0), axes)
	}
	if f.outputs%groups != 0 {
		return fmt.Errorf("%d output channels cannot be divided into %d groups", f.outputs, groups)
	}
	if channels.Known() && channels.Size != f.inputs*groups {
		return fmt.Errorf("the input has %d channels, but %d groups of filters with %d channels want %d",
			channels.Size, groups, f.inputs, f.inputs*groups)
	}
	if b := c.In(2).Shape; len(b) == 1 && b[0].Known() && b[0].Size != f.outputs {
		return fmt.Errorf("bias has %d entries for %d output channels", b[0].Size, f.outputs)
	}
	return nil
}

func (o *Conv) filter(shape []int) (filterSizes, error) {
	rank := len(shape)
	if rank < 3 {
		return filterSizes{}, fmt.Errorf("filter %v has %d dimensions, wants at least 3", shape, rank)
	}
	first := o.Filter.Spatial(rank)
	return filterSizes{shape[o.Filter.Output(rank)], shape[o.Filter.Input(rank)], shape[first : first+rank-2]}, nil
}

func (o *Conv) window(kernel []int) (window, error) {
	return window{kernel: kernel, strides: o.Strides, dilations: o.Dilations, pads: o.Pads, auto: o.AutoPad}.normalize()
}

// Infer checks channels and groups and computes spatial sizes.
func (o *Conv) Infer(c *Inference) error {
	dtype := c.In(0).DType
	if c.In(0).Quant != nil {
		dtype = tensor.Invalid
	}
	batch, channels, spatial, err := spatialTypes(c.In(0), o.Layout)
	if err != nil {
		return err
	}
	sizes, known := c.In(1).Shape.Known()
	if !known || spatial == nil {
		if spatial != nil {
			unknown := make(graph.Shape, len(spatial))
			for i := range unknown {
				unknown[i].Size = graph.Unknown
			}
			c.SetOut(0, dtype, spatialShape(o.Layout, batch, graph.Dim{Size: graph.Unknown}, unknown))
		}
		return nil
	}
	f, err := o.filter(sizes)
	if err != nil {
		return err
	}
	if err := f.check(c, sizes, o.Groups(), channels, len(spatial)); err != nil {
		return err
	}
	w, err := o.window(f.kernel)
	if err != nil {
		return err
	}
	out := make(graph.Shape, len(spatial))
	for axis, d := range spatial {
		if out[axis], err = w.infer(axis, d); err != nil {
			return err
		}
	}
	c.SetOut(0, dtype, spatialShape(o.Layout, batch, graph.Fixed(f.outputs), out))
	return nil
}

// MACs is output elements × filter elements of one output.
func (o *Conv) MACs(in, out []graph.Type) int64 {
	filter, ok := in[1].Shape.Known()
	sizes, known := out[0].Shape.Known()
	if !ok || !known {
		return 0
	}
	f, err := o.filter(filter)
	if err != nil {
		return 0
	}
	return int64(product(sizes)) * int64(f.inputs*product(f.kernel))
}

// Integer is the usual form: activations, constant weights with a scale per output channel, bias.
func (o *Conv) Integer(n *graph.Node) (IntegerForm, error) {
	form, err := productForm(n)
	if err != nil {
		return form, err
	}
	if rank, ok := n.Inputs[1].Type.Rank(); ok {
		form.WeightAxis = o.Filter.Output(rank)
	}
	return form, nil
}
