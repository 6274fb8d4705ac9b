package kernel

// Window is how a two-dimensional window (of a convolution or a pool) slides over NHWC images. A one-dimensional one
// has height 1 everywhere.
type Window struct {
	Batch               int
	InHeight, InWidth   int
	Channels            int // input channels, of all groups
	OutHeight, OutWidth int // explicit: rounding of the output size is the caller's business

	KernelHeight, KernelWidth     int
	StrideHeight, StrideWidth     int
	DilationHeight, DilationWidth int
	PadTop, PadLeft               int // the other sides follow from the output size

	InStride  int // elements from one input pixel to the next; at least Channels
	OutStride int // elements from one output pixel to the next; at least the output channels
}

// pixels is how many output pixels there are in the batch.
func (w *Window) pixels() int { return w.Batch * w.OutHeight * w.OutWidth }

// taps is the size of the window.
func (w *Window) taps() int { return w.KernelHeight * w.KernelWidth }

// isPointwise reports whether output pixel i sees input pixel i and nothing else.
func (w *Window) isPointwise() bool {
	return w.taps() == 1 && w.StrideHeight == 1 && w.StrideWidth == 1 && w.PadTop == 0 && w.PadLeft == 0 &&
		w.OutHeight == w.InHeight && w.OutWidth == w.InWidth
}

// position is the image, row and column of an output pixel.
func (w *Window) position(pixel int) (n, y, x int) {
	x = pixel % w.OutWidth
	pixel /= w.OutWidth
	return pixel / w.OutHeight, pixel % w.OutHeight, x
}

// inside is the range of kernel positions [from, to) whose input coordinate start + i·dilation lies in [0, size).
func inside(start, dilation, kernel, size int) (from, to int) {
	if start < 0 {
		from = divideUp(-start, dilation)
	}
	to = kernel
	if last := size - 1 - start; last < 0 {
		to = 0
	} else if last/dilation+1 < to {
		to = last/dilation + 1
	}
	return min(from, to), to
}

// gather copies what output pixels [first, first+count) see of channels [channel, channel+channels) to the rows of
// dst, KernelHeight lines a pixel, each KernelWidth·channels elements padded to length; what lies outside the image is
// pad.
func gather[T byte | float32](dst, in []T, w *Window, first, count, channel, channels, length int, pad T) {
	n, y, x := w.position(first)
	image := w.InHeight * w.InWidth * w.InStride
	dense := w.DilationWidth == 1 && channels == w.InStride
	line := w.KernelWidth * channels
	for range count {
		top, left := y*w.StrideHeight-w.PadTop, x*w.StrideWidth-w.PadLeft
		fromX, toX := inside(left, w.DilationWidth, w.KernelWidth, w.InWidth)
		for ky := range w.KernelHeight {
			row := dst[:line]
			dst = dst[length:]
			iy := top + ky*w.DilationHeight
			if iy < 0 || iy >= w.InHeight || fromX == toX {
				fill(row, pad)
				continue
			}
			fill(row[:fromX*channels], pad)
			fill(row[toX*channels:], pad)
			source := n*image + (iy*w.InWidth+left+fromX*w.DilationWidth)*w.InStride + channel
			if dense {
				copy(row[fromX*channels:toX*channels], in[source:])
				continue
			}
			for kx := fromX; kx < toX; kx++ {
				copy(row[kx*channels:(kx+1)*channels], in[source:])
				source += w.DilationWidth * w.InStride
			}
		}
		if x++; x == w.OutWidth {
			x = 0
			if y++; y == w.OutHeight {
				y = 0
				n++
			}
		}
	}
}

func fill[T any](s []T, v T) {
	for i := range s {
		s[i] = v
	}
}

// Filter says how the weights of a convolution or matrix product lie in memory, so that no file's layout has to be
// transposed before packing. A matrix has Height and Width 1, Inputs = K, Outputs = N.
type Filter struct {
	Height, Width int
	Inputs        int // input channels of one group
	Outputs       int // output channels of all groups
	Groups        int

	HeightStride, WidthStride, InputStride, OutputStride int // elements between neighbours in each dimension

	// GroupStride is the elements from one group to the next; 0 means that output channels of all groups are
	// OutputStride apart. First is where the first element is.
	GroupStride, First int
}

// at is where the weights of a group's output channel and a kernel position begin.
func (f *Filter) at(group, output, y, x int) int {
	stride := f.GroupStride
	if stride == 0 {
		stride = f.perGroup() * f.OutputStride
	}
	return f.First + group*stride + output*f.OutputStride + y*f.HeightStride + x*f.WidthStride
}

// depth is the length of the sum that makes one output.
func (f *Filter) depth() int { return f.Height * f.Width * f.Inputs }

// perGroup is the output channels of one group.
func (f *Filter) perGroup() int { return f.Outputs / f.Groups }

// Matrix is the Filter of a matrix in memory as K rows of N, or (transposed) as N rows of K.
func Matrix(k, n int, transposed bool) Filter {
	f := Filter{Height: 1, Width: 1, Inputs: k, Outputs: n, Groups: 1, InputStride: n, OutputStride: 1}
	if transposed {
		f.InputStride, f.OutputStride = 1, k
	}
	return f
}
