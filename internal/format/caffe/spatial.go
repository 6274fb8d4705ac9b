package caffe

import (
	"errors"
	"fmt"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
)

// pair is a parameter of two spatial axes: name_h and name_w, or name once or for each axis.
func (p *params) pair(name, high, wide string, absent, lowest int) ([]int, error) {
	if p.has(high) || p.has(wide) {
		if p.has(name) {
			return nil, fmt.Errorf("%s is given both as %s and as %s, %s", p.key, name, high, wide)
		}
		return []int{p.int(high, absent, lowest), p.int(wide, absent, lowest)}, nil
	}
	all := p.ints(name, lowest)
	switch len(all) {
	case 0:
		return []int{absent, absent}, nil
	case 1:
		return []int{all[0], all[0]}, nil
	case 2:
		return all, nil
	}
	return nil, fmt.Errorf("%s.%s has %d entries; images have two spatial axes", p.key, name, len(all))
}

// window is the geometry that convolutions and pools share.
type window struct{ kernel, strides, pads, dilations []int }

func (p *params) window() (w window, err error) {
	var problems [4]error
	w.kernel, problems[0] = p.pair("kernel_size", "kernel_h", "kernel_w", 0, 1)
	w.strides, problems[1] = p.pair("stride", "stride_h", "stride_w", 1, 1)
	w.pads, problems[2] = p.pair("pad", "pad_h", "pad_w", 0, 0)
	w.dilations, problems[3] = p.pair("dilation", "dilation_h", "dilation_w", 1, 1)
	w.pads = append(w.pads, w.pads...) // the same before and after
	return w, errors.Join(problems[:]...)
}

// filter is the operands of a convolution, x, filter and, if there is one, bias, with the number of groups. channels is
// the axis of the filter along which the outputs of all groups lie, if it is 0, or those of one group.
func (l *layer) filter(p *params, w window, transposed bool) (in []*graph.Value, groups int, err error) {
	outputs, withBias := p.int("num_output", 0, 1), p.bool("bias_term", true)
	groups = p.int("group", 1, 1)
	if at := p.int("axis", 1, -32); at != 1 && at != -3 {
		return nil, 0, fmt.Errorf("channels at axis %d; only axis 1 is known", at)
	}
	needed := 1
	if withBias {
		needed = 2
	}
	blobs, err := l.blobs(needed)
	if err != nil {
		return nil, 0, err
	}
	shape := blobs[0].shape
	if len(shape) != 4 {
		return nil, 0, fmt.Errorf("a filter of shape %v; only those of images, with four dimensions, are known", shape)
	}
	if (l.kind == "DepthwiseConvolution" || l.kind == "ConvolutionDepthwise") && !p.has("group") {
		groups = max(outputs, 1)
	}
	produced := shape[0]
	if transposed {
		produced = shape[1] * groups
	}
	if outputs != produced || !slices.Equal(w.kernel, shape[2:]) {
		return nil, 0, fmt.Errorf("a filter of shape %v does not fit num_output %d, group %d and kernel %v", shape, outputs, groups, w.kernel)
	}
	filter, err := l.constant(blobs[0], "filter", shape...)
	if err != nil {
		return nil, 0, err
	}
	in = []*graph.Value{l.in[0], filter}
	if withBias {
		b, err := l.constant(blobs[1], "bias", outputs)
		if err != nil {
			return nil, 0, err
		}
		in = append(in, b)
	}
	return in, groups, nil
}

func convolution(l *layer) error {
	p := l.param("convolution_param")
	w, err := p.window()
	if err != nil {
		return err
	}
	in, groups, err := l.filter(p, w, false)
	if err != nil {
		return err
	}
	return l.node(&op.Conv{Strides: w.strides, Pads: w.pads, Dilations: w.dilations, Group: groups}, in...)
}

func deconvolution(l *layer) error {
	p := l.param("convolution_param")
	w, err := p.window()
	if err != nil {
		return err
	}
	in, groups, err := l.filter(p, w, true)
	if err != nil {
		return err
	}
	return l.node(&op.ConvTranspose{Strides: w.strides, Pads: w.pads, Dilations: w.dilations, Group: groups}, in...)
}

// innerProduct flattens the input from an axis on.
func innerProduct(l *layer) error {
	p := l.param("inner_product_param")
	outputs, withBias, transposed := p.int("num_output", 0, 1), p.bool("bias_term", true), p.bool("transpose", false)
	at, err := l.axisOf(p, "axis", 1)
	if err != nil {
		return err
	}
	needed := 1
	if withBias {
		needed = 2
	}
	blobs, err := l.blobs(needed)
	if err != nil {
		return err
	}
	if outputs == 0 || blobs[0].len()%outputs != 0 {
		return fmt.Errorf("weights of shape %v do not fit num_output %d", blobs[0].shape, outputs)
	}
	shape := []int{outputs, blobs[0].len() / outputs}
	if transposed {
		slices.Reverse(shape)
	}
	weights, err := l.constant(blobs[0], "weights", shape...)
	if err != nil {
		return err
	}
	x := l.in[0]
	if at != 1 || len(x.Type.Shape) != 2 {
		if x, err = l.step("flat", &op.Flatten{Axis: at}, x); err != nil {
			return err
		}
	}
	in := []*graph.Value{x, weights}
	if withBias {
		b, err := l.constant(blobs[1], "bias", outputs)
		if err != nil {
			return err
		}
		in = append(in, b)
	}
	gemm := &op.Gemm{Alpha: 1, Beta: 1, TransB: !transposed}
	if at == 1 {
		return l.node(gemm, in...)
	}
	flat, err := l.step("products", gemm, in...)
	if err != nil {
		return err
	}
	s, err := l.shape(0)
	if err != nil {
		return err
	}
	leading, known := s[:at].Known()
	if !known {
		return errUnranked
	}
	sizes := []int64{}
	for _, n := range leading {
		sizes = append(sizes, int64(n))
	}
	return l.node(&op.Reshape{}, flat, l.list("shape", append(sizes, int64(outputs))...))
}

func pooling(l *layer) error {
	p := l.param("pooling_param")
	method := p.enum("pool", "MAX", "AVE", "STOCHASTIC")
	if method == "STOCHASTIC" {
		return errors.New("stochastic pooling is not supported")
	}
	if p.bool("global_pooling", false) {
		for _, name := range []string{"kernel_size", "kernel_h", "kernel_w", "stride", "stride_h", "stride_w", "pad", "pad_h", "pad_w", "ceil_mode", "round_mode"} {
			p.all(name) // they say what is the case anyway
		}
		if method == "MAX" {
			return l.node(&op.GlobalMaxPool{}, l.in[0])
		}
		return l.node(&op.GlobalAveragePool{}, l.in[0])
	}
	w, err := p.window()
	if err != nil {
		return err
	}
	if w.kernel[0] == 0 || w.kernel[1] == 0 {
		return errors.New("pooling_param has no kernel_size")
	}
	ceil := p.bool("ceil_mode", true) && p.enum("round_mode", "CEIL", "FLOOR") == "CEIL"
	for i := range w.kernel {
		// Caffe makes a window that sees nothing; what it gives is not a number or the lowest one there is.
		if ceil && w.pads[i] == 0 && w.strides[i] > w.kernel[i] && l.seesNothing(i, w) {
			return fmt.Errorf("a window of %d with stride %d lies outside the input", w.kernel[i], w.strides[i])
		}
	}
	if method == "MAX" {
		return l.node(&op.MaxPool{KernelShape: w.kernel, Strides: w.strides, Pads: w.pads, Dilations: w.dilations, CeilMode: ceil}, l.in[0])
	}
	return l.node(&op.AveragePool{KernelShape: w.kernel, Strides: w.strides, Pads: w.pads, Dilations: w.dilations, CeilMode: ceil,
		CountIncludePad: true}, l.in[0])
}

// seesNothing reports whether the last window along a spatial axis without padding begins beyond the end.
func (l *layer) seesNothing(i int, w window) bool {
	s := l.in[0].Type.Shape
	if len(s) != 4 || !s[2+i].Known() {
		return false
	}
	size, stride := s[2+i].Size, w.strides[i]
	return size >= w.kernel[i] && (size-w.kernel[i]+stride-1)/stride*stride >= size
}

// lrn is Caffe's two normalizations by the squares of neighbours.
func lrn(l *layer) error {
	p := l.param("lrn_param")
	size := p.int("local_size", 5, 1)
	alpha, beta, k := p.float("alpha", 1), p.float("beta", 0.75), p.float("k", 1)
	if size%2 == 0 {
		return fmt.Errorf("local_size %d: it must be odd", size)
	}
	if p.enum("norm_region", "ACROSS_CHANNELS", "WITHIN_CHANNEL") == "ACROSS_CHANNELS" {
		return l.node(&op.LRN{Size: size, Alpha: float32(alpha), Beta: float32(beta), Bias: float32(k)}, l.in[0])
	}
	// Within a channel, k is 1 whatever the file says: x·(1 + alpha·mean of squares)^−beta.
	x, pad := l.in[0], (size-1)/2
	squares, err := l.step("squares", &op.Mul{}, x, x)
	if err != nil {
		return err
	}
	pool := &op.AveragePool{KernelShape: []int{size, size}, Pads: []int{pad, pad, pad, pad}, CountIncludePad: true}
	mean, err := l.step("mean", pool, squares)
	if err != nil {
		return err
	}
	factor, err := l.powered("factor", mean, alpha, 1, -beta)
	if err != nil {
		return err
	}
	return l.node(&op.Mul{}, x, factor)
}

// sizeParams are how Interp layers give the size of their result.
type sizeParams struct{ height, width, zoom, shrink int }

// interp is bilinear with the corners aligned.
func interp(l *layer) error {
	p := l.param("interp_param")
	sizes := sizeParams{p.int("height", 0, 1), p.int("width", 0, 1), p.int("zoom_factor", 1, 1), p.int("shrink_factor", 1, 1)}
	if p.int("pad_beg", 0, -maxParam) != 0 || p.int("pad_end", 0, -maxParam) != 0 {
		return errors.New("interp_param: pad_beg and pad_end are not supported")
	}
	s, err := l.shape(0)
	if err != nil {
		return err
	}
	if len(s) != 4 {
		return fmt.Errorf("an input with %d dimensions; want 4", len(s))
	}
	target := []int64{int64(sizes.height), int64(sizes.width)}
	if len(l.in) == 2 {
		reference := l.in[1].Type.Shape
		if len(reference) != 4 || !reference[2].Known() || !reference[3].Known() {
			return errUnranked
		}
		target = []int64{int64(reference[2].Size), int64(reference[3].Size)}
	} else if sizes.height == 0 || sizes.width == 0 {
		for i := range target {
			if !s[2+i].Known() {
				return errUnranked
			}
			n := int64(s[2+i].Size-1)/int64(sizes.shrink) + 1
			target[i] = n + (n-1)*int64(sizes.zoom-1)
		}
	}
	o := &op.Resize{Mode: op.ResizeLinear, CoordinateTransformation: op.AlignCorners, Axes: []int{2, 3}}
	return l.node(o, l.in[0], nil, nil, l.list("sizes", target...))
}

// upsample repeats pixels.
func upsample(l *layer) error {
	p := l.param("upsample_param")
	factor := p.int("scale", 0, 1)
	if factor == 0 {
		return errors.New("upsample_param has no scale")
	}
	o := &op.Resize{Mode: op.ResizeNearest, CoordinateTransformation: op.Asymmetric, Nearest: op.RoundFloor, Axes: []int{2, 3}}
	scales := l.im.constant(l.name+"/scales", twice(float32(factor)))
	return l.node(o, l.in[0], nil, scales)
}
