package kernel

import "github.com/octet-nn/octet/internal/numeric"

// The kernels in this file compute on 16-bit codes.

// SplitInt16 writes 16-bit codes as two of 8 bits: code = 256·high + low, high being s8 and low u8. A product of 16-bit
// codes is then two products of 8-bit ones.
func SplitInt16(high, low []byte, codes []int16) {
	high, low = high[:len(codes)], low[:len(codes)]
	for i, q := range codes {
		high[i], low[i] = byte(q>>8), byte(q)
	}
}

// SumsInt16 makes results of the two sums of a layer whose activations SplitInt16 split. Its elements are in the order
// of the sums, channels innermost.
type SumsInt16 struct {
	Channels int
	Bias     []int64 // per channel, or nil

	// Codes, if they are wanted: numeric's Requantizer.Code, one or one per channel. Short says that sums have 32 bits.
	Requantizer                []numeric.Requantizer
	Short                      bool
	ZeroPoint, Lowest, Highest int32

	Multiplier      []float32 // Floats: numeric.SumToFloat, one or one per channel
	FloatBias       []float32 // per channel, or nil
	Least, Greatest float32
}

// sum is the whole sum of element i of a channel.
func (k *SumsInt16) sum(high, low []int32, i, channel int) int64 {
	sum := int64(high[i])<<8 + int64(low[i])
	if k.Bias != nil {
		sum += k.Bias[channel]
	}
	return sum
}

// Codes writes the codes of the elements [start, end).
func (k *SumsInt16) Codes(out []int16, high, low []int32, start, end int) {
	channel := start % k.Channels
	for i := start; i < end; i++ {
		sum := k.sum(high, low, i, channel)
		if k.Short {
			sum = int64(int32(sum))
		}
		r := &k.Requantizer[0]
		if len(k.Requantizer) > 1 {
			r = &k.Requantizer[channel]
		}
		out[i] = int16(r.Code(sum, k.ZeroPoint, k.Lowest, k.Highest))
		if channel++; channel == k.Channels {
			channel = 0
		}
	}
}

// Floats writes the real numbers of the elements [start, end).
func (k *SumsInt16) Floats(out []float32, high, low []int32, start, end int) {
	channel := start % k.Channels
	for i := start; i < end; i++ {
		multiplier, bias := k.Multiplier[0], float32(0)
		if len(k.Multiplier) > 1 {
			multiplier = k.Multiplier[channel]
		}
		if k.FloatBias != nil {
			bias = k.FloatBias[channel]
		}
		out[i] = limit(numeric.SumToFloat(int32(k.sum(high, low, i, channel)), multiplier, bias), k.Least, k.Greatest)
		if channel++; channel == k.Channels {
			channel = 0
		}
	}
}

// BinaryInt16 is a function of two codes, numeric's Sum.Code or Product.Code. Its pieces are runs of output elements.
// The output may be the same memory as an operand of the output's shape.
type BinaryInt16 struct {
	Shape Broadcast
	Code  func(a, b int32) int32
}

// Units is how many pieces the work has.
func (k *BinaryInt16) Units() int { return k.Shape.chunks }

// Run computes the pieces [start, end).
func (k *BinaryInt16) Run(out, a, b []int16, start, end int) {
	stepA, stepB := k.Shape.a[k.Shape.rank-1], k.Shape.b[k.Shape.rank-1]
	all := k.Shape.from(start, end)
	for l, ok := all.next(); ok; l, ok = all.next() {
		for i := range l.n {
			out[l.out+i] = int16(k.Code(int32(a[l.a+i*stepA]), int32(b[l.b+i*stepB])))
		}
	}
}

// MaxPoolInt16 is the greatest code under the window, per channel. Its pieces are output pixels.
type MaxPoolInt16 struct{ Window Window }

// Units is how many pieces the work has.
func (p *MaxPoolInt16) Units() int { return p.Window.pixels() }

// Scratch is how many bytes of scratch Run needs.
func (p *MaxPoolInt16) Scratch() int { return 2 * carved[int32](p.Window.taps()) }

// Run computes the pieces [start, end).
func (p *MaxPoolInt16) Run(out, in []int16, start, end int, scratch []byte) {
	w := &p.Window
	offsets, taps := carve[int32](&scratch, w.taps()), carve[int32](&scratch, w.taps())
	for pixel := start; pixel < end; pixel++ {
		source, n := w.visible(pixel, offsets, taps)
		dst := out[pixel*w.OutStride:][:w.Channels]
		fill(dst, -1<<15)
		for _, offset := range offsets[:n] {
			for c, v := range in[source+int(offset):][:len(dst)] {
				dst[c] = max(dst[c], v)
			}
		}
	}
}

// AveragePoolInt16 is numeric.Average of the codes under the window, per channel; padding counts as real zero. Its pieces
// are output pixels.
type AveragePoolInt16 struct {
	Window    AverageWindow
	ZeroPoint int32 // of the input
	Average   numeric.Average
}

// Units is how many pieces the work has.
func (p *AveragePoolInt16) Units() int { return p.Window.pixels() }

// Scratch is how many bytes of scratch Run needs.
func (p *AveragePoolInt16) Scratch() int {
	return 2*carved[int32](p.Window.taps()) + carved[uint64](p.Window.Channels)
}

// Run computes the pieces [start, end).
func (p *AveragePoolInt16) Run(out, in []int16, start, end int, scratch []byte) {
	w := &p.Window
	offsets, taps := carve[int32](&scratch, w.taps()), carve[int32](&scratch, w.taps())
	sums := carve[uint64](&scratch, w.Channels) // as two's complement
	for pixel := start; pixel < end; pixel++ {
		source, n := w.visible(pixel, offsets, taps)
		fill(sums, uint64(-int64(p.ZeroPoint)*int64(n)))
		for _, offset := range offsets[:n] {
			for c, v := range in[source+int(offset):][:len(sums)] {
				sums[c] += uint64(int64(v))
			}
		}
		count := max(w.count(pixel, n), 1)
		for c, sum := range sums {
			out[pixel*w.OutStride+c] = int16(p.Average.Code(int64(sum), count))
		}
	}
}

// RunInt16 computes the pieces [start, end) of 16-bit codes: numeric.Average for a mean or a sum. Any other op panics.
func (r *Reduction) RunInt16(op ReduceOp, out, in []int16, zeroPoint int32, average *numeric.Average, start, end int) {
	divisor := 1
	switch op {
	case ReduceSum:
	case ReduceMean:
		divisor = max(r.count, 1)
	default:
		panic("kernel: 16-bit codes are reduced by Sum and Mean only")
	}
	inner, outer, n := r.runs()
	for unit := start; unit < end; unit++ {
		base := offset(r.kept, unit)
		sum := -int64(zeroPoint) * int64(r.count)
		for run := range n {
			at := base + offset(outer, run)
			for range inner.size {
				sum += int64(in[at])
				at += inner.stride
			}
		}
		out[unit] = int16(average.Code(sum, divisor))
	}
}

// SoftmaxInt16 is softmax of codes along the middle dimension of Outer × Size × Inner elements: numeric.Softmax. The
// output may be the same memory as the input. Its pieces are the rows along which numbers add up to one.
type SoftmaxInt16 struct {
	Outer, Size, Inner int
	Softmax            numeric.Softmax
}

// Units is how many pieces the work has.
func (k *SoftmaxInt16) Units() int { return k.Outer * k.Inner }

// Scratch is how many bytes of scratch Run needs.
func (k *SoftmaxInt16) Scratch() int { return carved[int32](k.Size) }

// Run computes the pieces [start, end).
func (k *SoftmaxInt16) Run(out, in []int16, start, end int, scratch []byte) {
	row := carve[int32](&scratch, k.Size)
	for unit := start; unit < end; unit++ {
		first := unit/k.Inner*k.Size*k.Inner + unit%k.Inner
		for i := range row {
			row[i] = int32(in[first+i*k.Inner])
		}
		k.Softmax.Row(row, row)
		for i, q := range row {
			out[first+i*k.Inner] = int16(q)
		}
	}
}
