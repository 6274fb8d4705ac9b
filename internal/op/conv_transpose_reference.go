package op

import "fmt"

// Evaluate adds up the products by the definition, with operands reordered so that channels are innermost.
func (o *ConvTranspose) Evaluate(c *Evaluation) error {
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
	f, err := o.filter(c.In(1).Shape())
	if err != nil {
		return err
	}
	groups := o.Groups()
	if channels != f.inputs*groups || f.outputs%groups != 0 || len(f.kernel) != len(spatial) {
		return fmt.Errorf("filter %v does not fit the input %v with %d groups", c.In(1).Shape(), c.In(0).Shape(), groups)
	}
	if err := p.fits(f.outputs); err != nil {
		return err
	}
	s, err := o.slide(f.kernel, spatial)
	if err != nil {
		return err
	}
	if p.integer {
		x := channelsLast(p.xi, o.Layout, batch, channels, s.outCount)
		sums := convolveTransposed[int32, int64](x, transposedRows(o, p.wi, c.In(1).Shape(), f), batch, groups, f, s)
		setSums(c, p, sums, o.Layout, batch, f.outputs, s.in)
		return nil
	}
	x := channelsLast(p.x, o.Layout, batch, channels, s.outCount)
	sums := convolveTransposed[float32, float64](x, transposedRows(o, p.w, c.In(1).Shape(), f), batch, groups, f, s)
	setSums(c, p, sums, o.Layout, batch, f.outputs, s.in)
	return nil
}

// slide is the convolution that is transposed: its window slides over this operator's output, and each of its outputs
// is a position of this operator's input.
func (o *ConvTranspose) slide(kernel, in []int) (slide, error) {
	w, err := o.window(kernel)
	if err != nil {
		return slide{}, err
	}
	s := slide{window: w, in: make([]int, len(in)), out: in, padBegin: make([]int, len(in)), outCount: product(in)}
	for axis, n := range in {
		if s.in[axis], s.padBegin[axis], err = o.output(w, axis, n); err != nil {
			return s, err
		}
	}
	s.inCount = product(s.in)
	return s, s.bounded()
}

// transposedRows reorders a filter to input channel of all groups, kernel position, output channel of the group.
func transposedRows[T any](o *ConvTranspose, w []T, shape []int, f filterSizes) []T {
	rank := len(shape)
	strides := rowMajor(shape)
	output, input := strides[o.Filter.Output(rank)], strides[o.Filter.Input(rank)]
	position := strides[o.Filter.Spatial(rank)+rank-3] // the spatial axes stand together
	perGroup := f.outputs / o.Groups()
	rows := make([]T, 0, len(w))
	for channel := range f.inputs * o.Groups() {
		group := channel / f.inputs
		for k := range product(f.kernel) {
			for i := range perGroup {
				if o.Filter == OIHW {
					rows = append(rows, w[channel*output+i*input+k*position])
				} else {
					rows = append(rows, w[(group*perGroup+i)*output+channel%f.inputs*input+k*position])
				}
			}
		}
	}
	return rows
}

// convolveTransposed sums the products: x is batch, position, channel; w is input channel of all groups, kernel
// position, output channel of the group; the result is batch, position, output channel. A product of two float32 is
// exact in float64, so only the sum rounds.
func convolveTransposed[T float32 | int32, A float64 | int64](x, w []T, batch, groups int, f filterSizes, s slide) []A {
	channels, perGroup := f.inputs*groups, f.outputs/groups
	row := product(f.kernel) * perGroup
	sums := make([]A, batch*s.inCount*f.outputs)
	s.taps(func(from int, kernel, to []int) {
		for n := range batch {
			pixel := x[(n*s.outCount+from)*channels:][:channels]
			image := sums[n*s.inCount*f.outputs:]
			for channel, v := range pixel {
				weights := w[channel*row : (channel+1)*row]
				first := channel / f.inputs * perGroup
				for t, k := range kernel {
					result := image[to[t]*f.outputs+first:][:perGroup]
					for i, weight := range weights[k*perGroup:][:perGroup] {
						result[i] += A(v) * A(weight)
					}
				}
			}
		}
	})
	return sums
}
