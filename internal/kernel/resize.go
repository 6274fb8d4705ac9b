package kernel

import "github.com/octet-nn/octet/internal/numeric"

// NearestIndex is the index table (see NewRemap) of nearest-neighbour resizing of one dimension.
func NearestIndex(t numeric.CoordinateTransform, r numeric.NearestRounding, in, out int, scale float32) []int32 {
	table := make([]int32, out)
	for i := range table {
		table[i] = int32(numeric.ResizeNearest(r, numeric.ResizeCoordinate(t, i, in, out, scale), in))
	}
	return table
}

// linearAxis is the two input coordinates and the weight of the second for every output coordinate.
type linearAxis struct {
	low, high []int32
	weight    []float32
}

func newLinearAxis(t numeric.CoordinateTransform, in, out int, scale float32) linearAxis {
	a := linearAxis{make([]int32, out), make([]int32, out), make([]float32, out)}
	for i := range out {
		low, high, weight := numeric.ResizeLinear(numeric.ResizeCoordinate(t, i, in, out, scale), in)
		a.low[i], a.high[i], a.weight[i] = int32(low), int32(high), weight
	}
	return a
}

// Bilinear is bilinear resizing of dense NHWC images, along x first, then y (numeric.Lerp). Its pieces are output
// pixels.
type Bilinear struct {
	Vector                         Vector
	batch, height, width, channels int // of the input
	y, x                           linearAxis
}

// NewBilinear prepares a resize. The scales are the model's, or output size over input size.
func NewBilinear(t numeric.CoordinateTransform, batch, inHeight, inWidth, channels, outHeight, outWidth int, scaleY, scaleX float32) *Bilinear {
	return &Bilinear{Vector{}, batch, inHeight, inWidth, channels,
		newLinearAxis(t, inHeight, outHeight, scaleY), newLinearAxis(t, inWidth, outWidth, scaleX)}
}

// Units is how many pieces the work has.
func (k *Bilinear) Units() int { return k.batch * len(k.y.low) * len(k.x.low) }

// corners is where the four pixels around an output pixel start, and the weights along x and y.
func (k *Bilinear) corners(unit int) (topLeft, topRight, bottomLeft, bottomRight int, wx, wy float32) {
	l := k.line(unit)
	topLeft, topRight, bottomLeft, bottomRight, wx = l.corners(unit % len(k.x.low))
	return topLeft, topRight, bottomLeft, bottomRight, wx, l.weight
}

// bilinearLine is what the output pixels of a line have in common.
type bilinearLine struct {
	k           *Bilinear
	top, bottom int     // where the two input lines start
	weight      float32 // of the bottom one
}

// line is that of an output pixel.
func (k *Bilinear) line(unit int) bilinearLine {
	unit /= len(k.x.low)
	oy := unit % len(k.y.low)
	image := unit / len(k.y.low) * k.height
	line := k.width * k.channels
	return bilinearLine{k, (image + int(k.y.low[oy])) * line, (image + int(k.y.high[oy])) * line, k.y.weight[oy]}
}

func (l *bilinearLine) corners(ox int) (topLeft, topRight, bottomLeft, bottomRight int, wx float32) {
	left, right := int(l.k.x.low[ox])*l.k.channels, int(l.k.x.high[ox])*l.k.channels
	return l.top + left, l.top + right, l.bottom + left, l.bottom + right, l.k.x.weight[ox]
}

// RunF32 computes the pieces [start, end) of floats.
func (k *Bilinear) RunF32(out, in []float32, start, end int) {
	for start < end {
		l, ox := k.line(start), start%len(k.x.low)
		for ; start < end && ox < len(k.x.low); ox++ {
			tl, tr, bl, br, wx := l.corners(ox)
			dst := out[start*k.channels:][:k.channels]
			a, b, c, d := in[tl:][:len(dst)], in[tr:][:len(dst)], in[bl:][:len(dst)], in[br:][:len(dst)]
			for i := k.Vector.bilinear(dst, a, b, c, d, wx, l.weight); i < len(dst); i++ {
				dst[i] = numeric.Lerp(numeric.Lerp(a[i], b[i], wx), numeric.Lerp(c[i], d[i], wx), l.weight)
			}
			start++
		}
	}
}

// BilinearCodes says how RunInt8 reads and writes codes.
type BilinearCodes struct {
	Input                      Int8Operand
	Ratio                      float32 // numeric.Ratio of the scales
	ZeroPoint, Lowest, Highest int32   // of the output
}

// RunInt8 computes the pieces [start, end) of codes: zero-point-free codes are interpolated in float32, multiplied by
// the ratio of the scales and saturated.
func (k *Bilinear) RunInt8(out, in []byte, codes *BilinearCodes, start, end int) {
	flip, zero := unsigned(codes.Input.Signed, codes.Input.ZeroPoint)
	low, high := float32(codes.Lowest-codes.ZeroPoint), float32(codes.Highest-codes.ZeroPoint)
	for unit := start; unit < end; unit++ {
		tl, tr, bl, br, wx, wy := k.corners(unit)
		dst := out[unit*k.channels:][:k.channels]
		a, b, c, d := in[tl:][:len(dst)], in[tr:][:len(dst)], in[bl:][:len(dst)], in[br:][:len(dst)]
		for i := range dst {
			top := numeric.Lerp(float32(int32(a[i]^flip)-zero), float32(int32(b[i]^flip)-zero), wx)
			bottom := numeric.Lerp(float32(int32(c[i]^flip)-zero), float32(int32(d[i]^flip)-zero), wx)
			dst[i] = saturate(numeric.Lerp(top, bottom, wy)*codes.Ratio, low, high, codes.ZeroPoint)
		}
	}
}
