package kernel

import (
	"math"

	"github.com/octet-nn/octet/internal/numeric"
)

// SoftmaxF32 is softmax, or its logarithm, along the middle dimension of Outer × Size × Inner elements. The output
// may be the same memory as the input. Its pieces are the rows along which numbers add up to one.
type SoftmaxF32 struct {
	Vector             Vector
	Outer, Size, Inner int
	Log                bool
}

// Units is how many pieces the work has.
func (k *SoftmaxF32) Units() int { return k.Outer * k.Inner }

// Run computes the pieces [start, end).
func (k *SoftmaxF32) Run(out, in []float32, start, end int) {
	if k.Size == 0 {
		return
	}
	for unit := start; unit < end; unit++ {
		first := unit/k.Inner*k.Size*k.Inner + unit%k.Inner
		last := first + (k.Size-1)*k.Inner
		greatest := k.greatest(in, first, last)
		if k.vectors() {
			y := out[first : last+1]
			if sum, ok := k.Vector.unary(exponentials, y, in[first:last+1], greatest, 0, float32(math.Inf(-1))); ok {
				k.Vector.unary(quotient, y, y, sum, 0, 0)
				continue
			}
		}
		top, sum := float64(greatest), 0.0
		if k.Log {
			for i := first; i <= last; i += k.Inner {
				sum += numeric.Exp(float64(in[i]) - top)
			}
			log := numeric.Log(sum)
			for i := first; i <= last; i += k.Inner {
				out[i] = float32(float64(in[i]) - top - log)
			}
			continue
		}
		for i := first; i <= last; i += k.Inner {
			e := float32(numeric.Exp(float64(in[i]) - top))
			out[i] = e
			sum += float64(e)
		}
		for i := first; i <= last; i += k.Inner {
			out[i] = float32(float64(out[i]) / sum)
		}
	}
}

// vectors reports whether rows are worth vectors.
func (k *SoftmaxF32) vectors() bool { return k.Inner == 1 && !k.Log && k.Size >= 8 }

// greatest is the maximum of a row; NaN if there is one.
func (k *SoftmaxF32) greatest(in []float32, first, last int) float32 {
	if k.vectors() { // exponentials of NaN show it
		row := in[first : last+1]
		if most, ok := k.Vector.unary(maximum, row, row, 0, 0, float32(math.Inf(-1))); ok {
			return most
		}
	}
	most := in[first]
	for i := first; i <= last; i += k.Inner {
		most = max(most, in[i])
	}
	return most
}

// SoftmaxInt8 is softmax of codes along the middle dimension of Outer × Size × Inner elements: numeric.SoftmaxTerm,
// SoftmaxCode. The output may be the same memory as the input. Its pieces are the rows along which numbers add up to
// one.
type SoftmaxInt8 struct {
	Vector                     Vector
	outer, size, inner         int
	signed                     bool
	terms                      [256]float32
	scale                      float32
	zeroPoint, lowest, highest int32
}

// NewSoftmaxInt8 prepares a softmax of codes of the given signedness and scale to codes of another scale and zero
// point, limited to [lowest, highest].
func NewSoftmaxInt8(outer, size, inner int, signed bool, inputScale, scale float32, zeroPoint, lowest, highest int32) *SoftmaxInt8 {
	k := &SoftmaxInt8{outer: outer, size: size, inner: inner, signed: signed, scale: scale, zeroPoint: zeroPoint,
		lowest: lowest, highest: highest}
	numeric.FillSoftmaxTable(&k.terms, inputScale)
	return k
}

// Units is how many pieces the work has.
func (k *SoftmaxInt8) Units() int { return k.outer * k.inner }

// Run computes the pieces [start, end).
func (k *SoftmaxInt8) Run(out, in []byte, start, end int) {
	flip, _ := unsigned(k.signed, 0)
	for unit := start; unit < end; unit++ {
		first := unit/k.inner*k.size*k.inner + unit%k.inner
		last := first + (k.size-1)*k.inner
		if k.inner == 1 && k.size >= 8 && k.Vector.kernel != vectorNone {
			row := in[first : last+1]
			k.row(out[first:last+1], row, greatestCode(row, flip), flip)
			continue
		}
		greatest := byte(0)
		for i := first; i <= last; i += k.inner {
			greatest = max(greatest, in[i]^flip)
		}
		sum := float32(0)
		for i := first; i <= last; i += k.inner {
			sum += k.terms[greatest-(in[i]^flip)]
		}
		for i := first; i <= last; i += k.inner {
			term := k.terms[greatest-(in[i]^flip)]
			out[i] = byte(numeric.SoftmaxCode(term, sum, k.scale, k.zeroPoint, k.lowest, k.highest))
		}
	}
}

// row is one row with vectors.
func (k *SoftmaxInt8) row(out, in []byte, greatest, flip byte) {
	const most = 256
	var terms [most]float32
	sum, filled := float32(0), len(in) <= most
	if filled {
		for i, q := range in {
			term := k.terms[greatest-(q^flip)]
			terms[uint8(i)] = term
			sum += term
		}
	} else {
		for _, q := range in {
			sum += k.terms[greatest-(q^flip)]
		}
	}
	for len(in) > 0 {
		n := min(len(in), most)
		if !filled {
			for i, q := range in[:n] {
				terms[uint8(i)] = k.terms[greatest-(q^flip)]
			}
		}
		if _, ok := k.Vector.unary(quotient, terms[:n], terms[:n], sum, 0, 0); !ok {
			for i, term := range terms[:n] {
				terms[i] = term / sum
			}
		}
		k.Vector.Quantize(out[:n], terms[:n], k.scale, k.zeroPoint, k.lowest, k.highest)
		out, in = out[n:], in[n:]
	}
}

// greatestCode is the greatest of at least four codes, flipped.
func greatestCode(codes []byte, flip byte) byte {
	a, b, c, d := codes[0]^flip, codes[1]^flip, codes[2]^flip, codes[3]^flip
	for ; len(codes) >= 4; codes = codes[4:] { // four that do not wait for each other
		a, b, c, d = max(a, codes[0]^flip), max(b, codes[1]^flip), max(c, codes[2]^flip), max(d, codes[3]^flip)
	}
	for _, q := range codes {
		a = max(a, q^flip)
	}
	return max(a, b, c, d)
}
