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
	batch, height, width, channels int // of the input
	y, x                           linearAxis
}

// NewBilinear prepares a resize. The scales are the model's, or output size over input size.
func NewBilinear(t numeric.CoordinateTransform, batch, inHeight, inWidth, channels, outHeight, outWidth int, scaleY, scaleX float32) *Bilinear {
	return &Bilinear{batch, inHeight, inWidth, channels,
		newLinearAxis(t, inHeight, outHeight, scaleY), newLinearAxis(t, inWidth, outWidth, scaleX)}
}

// Units is how many pieces the work has.
func (k *Bilinear) Units() int { return k.batch * len(k.y.low) * len(k.x.low) }

// corners is where the four pixels around an output pixel start, and the weights along x and y.
func (k *Bilinear) corners(unit int) (topLeft, topRight, bottomLeft, bottomRight int, wx, wy float32) {
	ox := unit % len(k.x.low)
	unit /= len(k.x.low)
	oy := unit % len(k.y.low)
	image := unit / len(k.y.low) * k.height
	top, bottom := (image+int(k.y.low[oy]))*k.width, (image+int(k.y.high[oy]))*k.width
	left, right := int(k.x.low[ox]), int(k.x.high[ox])
	c := k.channels
	return (top + left) * c, (top + right) * c, (bottom + left) * c, (bottom + right) * c, k.x.weight[ox], k.y.weight[oy]
}

// RunF32 computes the pieces [start, end) of floats.
func (k *Bilinear) RunF32(out, in []float32, start, end int) {
	for unit := start; unit < end; unit++ {
		tl, tr, bl, br, wx, wy := k.corners(unit)
		dst := out[unit*k.channels:][:k.channels]
		a, b, c, d := in[tl:][:len(dst)], in[tr:][:len(dst)], in[bl:][:len(dst)], in[br:][:len(dst)]
		for i := range dst {
			dst[i] = numeric.Lerp(numeric.Lerp(a[i], b[i], wx), numeric.Lerp(c[i], d[i], wx), wy)
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
