package op

import (
	"fmt"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/tensor"
)

// ConvTranspose is a transposed convolution over any number of spatial dimensions (ONNX ConvTranspose): input position
// i adds its product with kernel element k to output position i·stride − pad + k·dilation. Operands: x, filter, bias
// (optional, one entry per output channel).
//
// In the filter layout OIHW the first axis is the input channel of all groups and the second the output channel of one
// group, as ONNX has it. In the other layouts the axes mean what they mean for Conv: output channels of all groups,
// input channels of one group.
type ConvTranspose struct {
	Strides       []int // per spatial axis; empty means 1
	Pads          []int // cut off the full result: begin of each spatial axis, then end of each; empty means 0
	Dilations     []int // per spatial axis; empty means 1
	OutputPadding []int // added to the end of each spatial axis; empty means 0
	OutputShape   []int // of the spatial axes; pads follow from it. Empty means that it follows from the pads
	Group         int   // 0 means 1
	AutoPad       AutoPad
	Layout        Layout
	Filter        FilterLayout
	Clamp         *Clamp
}

// Type is "ConvTranspose".
func (*ConvTranspose) Type() string { return "ConvTranspose" }

// Groups is the number of groups, at least 1.
func (o *ConvTranspose) Groups() int { return max(o.Group, 1) }

// filter reads the shape of a filter; the input channels are those of one group.
func (o *ConvTranspose) filter(shape []int) (filterSizes, error) {
	f, err := (&Conv{Filter: o.Filter}).filter(shape)
	if err != nil || o.Filter != OIHW {
		return f, err
	}
	if f.outputs%o.Groups() != 0 {
		return f, fmt.Errorf("the filter's %d input channels cannot be divided into %d groups", f.outputs, o.Groups())
	}
	f.outputs, f.inputs = f.inputs*o.Groups(), f.outputs/o.Groups()
	return f, nil
}

// window is the window of the convolution that this one transposes.
func (o *ConvTranspose) window(kernel []int) (window, error) {
	w, err := window{kernel: kernel, strides: o.Strides, dilations: o.Dilations, pads: o.Pads, auto: o.AutoPad}.normalize()
	if err != nil {
		return w, err
	}
	for name, given := range map[string][]int{"output_padding": o.OutputPadding, "output_shape": o.OutputShape} {
		if len(given) != 0 && len(given) != len(kernel) {
			return w, fmt.Errorf("%s has %d entries for %d spatial axes", name, len(given), len(kernel))
		}
		for _, n := range given {
			if n < 0 || n > maxWindow {
				return w, fmt.Errorf("%s %v has an entry outside 0 … %d", name, given, maxWindow)
			}
		}
	}
	return w, nil
}

// output is the output size along an axis and what is cut off before it.
func (o *ConvTranspose) output(w window, axis, in int) (out, padBegin int, err error) {
	full := (in-1)*w.strides[axis] + w.extent(axis)
	if len(o.OutputPadding) != 0 {
		full += o.OutputPadding[axis]
	}
	switch {
	case len(o.OutputShape) != 0:
		out = o.OutputShape[axis]
	case w.auto == SameUpper || w.auto == SameLower:
		out = in * w.strides[axis]
	default:
		padBegin = w.pads[axis]
		if out = full - padBegin - w.pads[len(w.kernel)+axis]; out < 0 {
			return 0, 0, fmt.Errorf("pads %v cut more off spatial axis %d than its %d elements", w.pads, axis, full)
		}
		return out, padBegin, nil
	}
	// The specification puts the odd element at the end for SAME_UPPER and at the beginning otherwise.
	total := max(full-out, 0)
	if w.auto == SameUpper {
		return out, total / 2, nil
	}
	return out, (total + 1) / 2, nil
}

// Infer checks channels and groups and computes spatial sizes.
func (o *ConvTranspose) Infer(c *Inference) error {
	dtype := c.In(0).DType
	if c.In(0).Quant != nil {
		dtype = tensor.Invalid
	}
	batch, channels, spatial, err := spatialTypes(c.In(0), o.Layout)
	if err != nil || spatial == nil {
		return err
	}
	sizes, known := c.In(1).Shape.Known()
	if !known {
		c.SetOut(0, dtype, spatialShape(o.Layout, batch, graph.Dim{Size: graph.Unknown}, unknowns(len(spatial))))
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
	out := unknowns(len(spatial))
	for axis, d := range spatial {
		switch {
		case d.Known():
			n, _, err := o.output(w, axis, d.Size)
			if err != nil {
				return err
			}
			out[axis] = graph.Fixed(n)
		case len(o.OutputShape) != 0:
			out[axis] = graph.Fixed(o.OutputShape[axis])
		case (w.auto == SameUpper || w.auto == SameLower) && w.strides[axis] == 1:
			out[axis] = d
		}
	}
	c.SetOut(0, dtype, spatialShape(o.Layout, batch, graph.Fixed(f.outputs), out))
	return nil
}

// MACs is input elements × filter elements that each of them meets. Products that pads cut off are counted.
func (o *ConvTranspose) MACs(in, _ []graph.Type) int64 {
	filter, ok := in[1].Shape.Known()
	sizes, known := in[0].Shape.Known()
	if !ok || !known {
		return 0
	}
	f, err := o.filter(filter)
	if err != nil {
		return 0
	}
	return int64(product(sizes)) * int64(f.outputs/o.Groups()*product(f.kernel))
}

// Integer is the usual form. ONNX's filter layout has no axis of all output channels when there are several groups, so
// such weights have one scale.
func (o *ConvTranspose) Integer(n *graph.Node) (IntegerForm, error) {
	form, err := productForm(n)
	if err != nil {
		return form, err
	}
	if rank, ok := n.Inputs[1].Type.Rank(); ok {
		switch {
		case o.Filter != OIHW:
			form.WeightAxis = o.Filter.Output(rank)
		case o.Groups() == 1:
			form.WeightAxis = o.Filter.Input(rank)
		}
	}
	return form, nil
}
