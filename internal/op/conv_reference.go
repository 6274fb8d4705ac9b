package op

import "fmt"

// Evaluate computes the convolution by its definition, with operands reordered so that channels are innermost.
func (o *Conv) Evaluate(c *Evaluation) error {
	if err := c.require(2); err != nil {
		return err
	}
	p, err := readProducts(c, o.Clamp)
	if err != nil {
		return err
	}
	batch, channels, spatial, err := spatialSizes(c.In(0), o.Layout)
	if err != nil {
		return err
	}
	s, f, err := o.slide(c.In(1).Shape(), channels, spatial)
	if err != nil {
		return err
	}
	if err := p.fits(f.outputs); err != nil {
		return err
	}
	groups := o.Groups()
	if p.integer {
		x := channelsLast(p.xi, o.Layout, batch, channels, s.inCount)
		sums := convolve[int32, int64](x, filterRows(p.wi, c.In(1).Shape(), o.Filter), batch, groups, f, s)
		setSums(c, p, sums, o.Layout, batch, f.outputs, s.out)
		return nil
	}
	x := channelsLast(p.x, o.Layout, batch, channels, s.inCount)
	sums := convolve[float32, float64](x, filterRows(p.w, c.In(1).Shape(), o.Filter), batch, groups, f, s)
	setSums(c, p, sums, o.Layout, batch, f.outputs, s.out)
	return nil
}

// slide checks a filter against an input and places its window.
func (o *Conv) slide(filter []int, channels int, spatial []int) (slide, filterSizes, error) {
	f, err := o.filter(filter)
	if err != nil {
		return slide{}, f, err
	}
	if groups := o.Groups(); channels != f.inputs*groups || f.outputs%groups != 0 || len(f.kernel) != len(spatial) {
		return slide{}, f, fmt.Errorf("filter %v with %d groups does not fit %d channels and spatial sizes %v", filter, groups, channels, spatial)
	}
	w, err := o.window(f.kernel)
	if err != nil {
		return slide{}, f, err
	}
	s, err := w.over(spatial)
	return s, f, err
}

// filterRows reorders a filter to output channel, kernel position, input channel of the group.
func filterRows[T any](w []T, shape []int, layout FilterLayout) []T {
	if layout == OHWI {
		return w
	}
	rank := len(shape)
	outAxis, inAxis, first := layout.Output(rank), layout.Input(rank), layout.Spatial(rank)
	strides := rowMajor(shape)
	outputs, inputs, kernel := shape[outAxis], shape[inAxis], shape[first:first+rank-2]
	rows := make([]T, 0, len(w))
	positions := product(kernel)
	for o := range outputs {
		for k := range positions {
			for i := range inputs {
				// the spatial axes stand together, so that a position moves by the stride of the last of them
				rows = append(rows, w[o*strides[outAxis]+i*strides[inAxis]+k*strides[first+rank-3]])
			}
		}
	}
	return rows
}

// rowMajor is the stride of each axis in elements.
func rowMajor(shape []int) []int {
	strides := make([]int, len(shape))
	n := 1
	for axis := len(shape) - 1; axis >= 0; axis-- {
		strides[axis] = n
		n *= shape[axis]
	}
	return strides
}

// convolve sums the products: x is batch, position, channel; w is output channel, kernel position, input channel of
// the group; the result is batch, position, output channel. A product of two float32 is exact in float64, so only the
// sum rounds.
func convolve[T float32 | int32, A float64 | int32 | int64](x, w []T, batch, groups int, f filterSizes, s slide) []A {
	channels := f.inputs * groups
	perGroup := f.outputs / groups
	row := product(f.kernel) * f.inputs
	sums := make([]A, batch*s.outCount*f.outputs)
	s.taps(func(out int, kernel, in []int) {
		for n := range batch {
			image := x[n*s.inCount*channels : (n+1)*s.inCount*channels]
			result := sums[(n*s.outCount+out)*f.outputs:][:f.outputs]
			for o := range result {
				first := o / perGroup * f.inputs
				weights := w[o*row : (o+1)*row]
				var sum A
				for t, k := range kernel {
					a := image[in[t]*channels+first:][:f.inputs]
					b := weights[k*f.inputs:][:f.inputs]
					for i, v := range a {
						sum += A(v) * A(b[i])
					}
				}
				result[o] = sum
			}
		}
	})
	return sums
}
