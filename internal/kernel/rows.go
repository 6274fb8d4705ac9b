package kernel

import "github.com/octet-nn/octet/internal/numeric"

// The kernels in this file serve the rows of the table of arithmetics other than onnx.

// requantizeBy is numeric's Requantizer.Code of each sum, with one requantizer or one per sum.
func requantizeBy(dst []byte, sums []int32, by []numeric.Requantizer, zeroPoint, lowest, highest int32) {
	sums = sums[:len(dst)]
	low, high := int64(lowest)-int64(zeroPoint), int64(highest)-int64(zeroPoint)
	for j, s := range sums {
		r := &by[0]
		if len(by) > 1 {
			r = &by[j]
		}
		m, away, ok := r.Fixed()
		if !ok || m.Shift > 0 {
			dst[j] = byte(r.Code(int64(s), zeroPoint, lowest, highest))
			continue
		}
		// FixedPoint.HalfAway and HalfUp without branches: half is half of what is shifted out, and negative numbers
		// whose halves go away from zero are one less.
		product := (int64(s)*int64(m.Q31) + 1<<30) >> 31
		shift := uint(-m.Shift) & 63
		half := int64(1) << shift >> 1
		if away && shift > 0 {
			product += product >> 63
		}
		dst[j] = byte(int32(min(max((product+half)>>shift, low), high)) + zeroPoint)
	}
}

// SumInt8 is Add or Sub of codes in any row of the arithmetics: numeric.Sum. Its pieces are runs of output elements.
// The output may be the same memory as an operand of the output's shape.
type SumInt8 struct {
	shape            Broadcast
	sum              numeric.Sum
	signedA, signedB bool
	vector           Vector
	y                numeric.Codes

	// Where the row adds in fixed point: the terms, by stored byte, and what makes codes of their sums.
	fixed          bool
	fixedA, fixedB [256]int32
	planes         [2]*[4 * 256]byte // the bytes of both, for vectors; see termsRun
	tile           fixedTile

	// Where it adds reals.
	real         bool
	realA, realB [256]float32
}

// A tile of sums in fixed point is as many rows, for each of which it has a place to go, of one vector.
const fixedSumWidth, fixedSumRows = 16, 32

// NewSumInt8 prepares a sum. The zero Vector is plain Go.
func NewSumInt8(shape Broadcast, sum numeric.Sum, signedA, signedB bool, vector Vector) *SumInt8 {
	k := &SumInt8{shape: shape, sum: sum, signedA: signedA, signedB: signedB, vector: vector}
	if m, y, ok := k.sum.FixedTerms(&k.fixedA, &k.fixedB, signedA, signedB); ok && vector.kernel != vectorNone && m.Shift <= 0 &&
		fitsBytes(y.ZeroPoint, y.Lowest, y.Highest) {
		k.fixed = true
		k.tile = fixedTile{stride: fixedSumWidth, q31: make([]int32, fixedSumWidth), shift: make([]int32, fixedSumWidth),
			away: make([]int32, fixedSumWidth), outStarts: make([]int, fixedSumRows),
			low: y.Lowest - y.ZeroPoint, high: y.Highest - y.ZeroPoint, zeroPoint: y.ZeroPoint, kernel: vector.kernel}
		fill(k.tile.q31, m.Q31)
		fill(k.tile.shift, int32(-m.Shift))
		if m.Shift < 0 {
			fill(k.tile.away, -1)
		}
		for i := range k.tile.outStarts {
			k.tile.outStarts[i] = i * fixedSumWidth
		}
		if vector.addsTerms() {
			k.planes = [2]*[4 * 256]byte{planesOf(&k.fixedA), planesOf(&k.fixedB)}
		}
	}
	k.y, k.real = k.sum.RealTerms(&k.realA, &k.realB, signedA, signedB)
	return k
}

// Units is how many pieces the work has.
func (k *SumInt8) Units() int { return k.shape.chunks }

// Run computes the pieces [start, end).
func (k *SumInt8) Run(out, a, b []byte, start, end int) {
	var all pairs[byte, byte]
	all.pair(&k.shape, start, end)
	for {
		at, u, v, ok := all.next(a, b)
		if !ok {
			return
		}
		k.codes(out[at:][:len(u)], u, v)
	}
}

// codes computes as many elements as y has, which may be a or b.
func (k *SumInt8) codes(y, a, b []byte) {
	a, b = a[:len(y)], b[:len(y)]
	switch {
	case k.fixed:
		k.fixedCodes(y, a, b)
	case k.real:
		zero, scale, low, high := float32(k.y.ZeroPoint), k.y.Scale, float32(k.y.Lowest), float32(k.y.Highest)
		for i := range y {
			y[i] = byte(numeric.HalfAway(zero+(k.realA[a[i]]+k.realB[b[i]])/scale, low, high))
		}
	default:
		flipA, zeroA := unsigned(k.signedA, 0)
		flipB, zeroB := unsigned(k.signedB, 0)
		for i := range y {
			y[i] = byte(k.sum.Code(int32(a[i]^flipA)-zeroA, int32(b[i]^flipB)-zeroB))
		}
	}
}

// fixedCodes is codes by fixed-point tiles.
func (k *SumInt8) fixedCodes(y, a, b []byte) {
	const width = fixedSumWidth
	var sums [fixedSumRows * width]int32
	t := k.tile
	for len(y) > 0 {
		n := min(len(sums), len(y))
		terms, u, v := sums[:n], a[:n], b[:n]
		done := 0
		if steps := n / termsStep; steps > 0 && k.vector.addsTerms() {
			done = steps * termsStep
			k.vector.kernel.addTerms(&termsRun{&sums[0], &u[0], &v[0], k.planes[0], k.planes[1], steps})
		}
		for i := done; i < n; i++ {
			terms[i] = k.fixedA[u[i]] + k.fixedB[v[i]]
		}
		t.sums, t.out, t.columns, t.rows = sums[:], y[:n], width, n/width
		if t.rows > 0 {
			t.run()
		}
		if t.columns = n % width; t.columns > 0 {
			t.sums, t.out, t.rows = sums[n-t.columns:], t.out[n-t.columns:], 1
			t.run()
		}
		y, a, b = y[n:], a[n:], b[n:]
	}
}

// termsRun is one call of a micro-kernel that adds up terms of two operands of codes. A table of terms is its lowest bytes,
// by stored byte of the code, then the others.
type termsRun struct {
	out            *int32
	a, b           *byte
	termsA, termsB *[4 * 256]byte
	steps          int // of termsStep elements, at least 1
}

const termsStep = 64

// addsTerms reports whether there is such a micro-kernel.
func (v Vector) addsTerms() bool { return v.kernel == vectorAVX512 && v.bytePermutations }

// planesOf is a table of terms as a termsRun reads it.
func planesOf(terms *[256]int32) *[4 * 256]byte {
	planes := new([4 * 256]byte)
	for i, t := range terms {
		for j := range 4 {
			planes[256*j+i] = byte(t >> (8 * j))
		}
	}
	return planes
}

// ProductInt8 is Mul of codes in any row of the arithmetics: numeric.Product. Its pieces are runs of output elements.
// The output may be the same memory as an operand of the output's shape.
type ProductInt8 struct {
	Shape            Broadcast
	Product          numeric.Product
	SignedA, SignedB bool
}

// Units is how many pieces the work has.
func (k *ProductInt8) Units() int { return k.Shape.chunks }

// Run computes the pieces [start, end).
func (k *ProductInt8) Run(out, a, b []byte, start, end int) {
	runCodes(&k.Shape, k.SignedA, k.SignedB, k.Product.Code, out, a, b, start, end)
}

// runCodes applies a function of two codes to the pieces [start, end).
func runCodes(shape *Broadcast, signedA, signedB bool, code func(a, b int32) int32, out, a, b []byte, start, end int) {
	stepA, stepB := shape.a[shape.rank-1], shape.b[shape.rank-1]
	flipA, zeroA := unsigned(signedA, 0)
	flipB, zeroB := unsigned(signedB, 0)
	all := shape.from(start, end)
	for l, ok := all.next(); ok; l, ok = all.next() {
		for i := range l.n {
			u, v := a[l.a+i*stepA], b[l.b+i*stepB]
			out[l.out+i] = byte(code(int32(u^flipA)-zeroA, int32(v^flipB)-zeroB))
		}
	}
}

// SoftmaxRows is softmax of codes along the middle dimension of Outer × Size × Inner elements in any row of the
// arithmetics: numeric.Softmax. The output may be the same memory as the input. Its pieces are the rows along which
// numbers add up to one.
type SoftmaxRows struct {
	Outer, Size, Inner int
	Signed             bool
	Softmax            numeric.Softmax
}

// Units is how many pieces the work has.
func (k *SoftmaxRows) Units() int { return k.Outer * k.Inner }

// Scratch is how many bytes of scratch Run needs.
func (k *SoftmaxRows) Scratch() int { return carved[int32](k.Size) }

// Run computes the pieces [start, end).
func (k *SoftmaxRows) Run(out, in []byte, start, end int, scratch []byte) {
	row := carve[int32](&scratch, k.Size)
	flip, zero := unsigned(k.Signed, 0)
	for unit := start; unit < end; unit++ {
		first := unit/k.Inner*k.Size*k.Inner + unit%k.Inner
		for i := range row {
			row[i] = int32(in[first+i*k.Inner]^flip) - zero
		}
		k.Softmax.Row(row, row)
		for i, q := range row {
			out[first+i*k.Inner] = byte(q)
		}
	}
}

// QuantizeBy is numeric's Arithmetic.Quantize of each element. Split it anywhere.
func QuantizeBy(dst []byte, src []float32, row numeric.Arithmetic, codes numeric.Codes) {
	row.QuantizeTo(dst, src, codes)
}

// BilinearRow is bilinear resizing of dense NHWC codes, which keep their scale, in a row of the arithmetics that has its
// own way: numeric.Interpolation. Its pieces are output pixels.
type BilinearRow struct {
	grid            Bilinear
	by              numeric.Interpolation
	signed          bool
	lowest, highest int32
}

// NewBilinearRow prepares a resize of codes limited to [lowest, highest].
func NewBilinearRow(by numeric.Interpolation, batch, inHeight, inWidth, channels, outHeight, outWidth int, signed bool, lowest, highest int32) *BilinearRow {
	axis := func(in, out int) linearAxis {
		a := linearAxis{make([]int32, out), make([]int32, out), make([]float32, out)}
		for i := range out {
			low, high, weight := by.Axis(i, in, out)
			a.low[i], a.high[i], a.weight[i] = int32(low), int32(high), weight
		}
		return a
	}
	return &BilinearRow{Bilinear{Vector{}, batch, inHeight, inWidth, channels, axis(inHeight, outHeight), axis(inWidth, outWidth)}, by, signed, lowest, highest}
}

// Units is how many pieces the work has.
func (k *BilinearRow) Units() int { return k.grid.Units() }

// Run computes the pieces [start, end).
func (k *BilinearRow) Run(out, in []byte, start, end int) {
	flip, zero := unsigned(k.signed, 0)
	for unit := start; unit < end; unit++ {
		tl, tr, bl, br, wx, wy := k.grid.corners(unit)
		dst := out[unit*k.grid.channels:][:k.grid.channels]
		a, b, c, d := in[tl:][:len(dst)], in[tr:][:len(dst)], in[bl:][:len(dst)], in[br:][:len(dst)]
		for i := range dst {
			dst[i] = byte(k.by.Code(int32(a[i]^flip)-zero, int32(b[i]^flip)-zero, int32(c[i]^flip)-zero, int32(d[i]^flip)-zero, wx, wy, k.lowest, k.highest))
		}
	}
}
