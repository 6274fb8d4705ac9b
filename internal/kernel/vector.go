package kernel

import (
	"math"
	"unsafe"

	"github.com/octet-nn/octet/internal/cpu"
)

// Vector is a tier's kernels on elements and pixels, which read no packed weights. The zero one is plain Go. Each gives
// the bits that plain Go gives, but for the kind of a NaN and the sign of a zero.
type Vector struct {
	kernel           vectorKernel
	bytePermutations bool // there is a lookup of bytes: AVX-512 VBMI, NEON
}

// vectorKernel names a family of micro-kernels.
type vectorKernel uint8

const (
	vectorNone vectorKernel = iota
	vectorAVX2
	vectorAVX512
	vectorNEON
)

// vectorRow is the kernels on elements and pixels of one tier.
type vectorRow struct {
	Name   string
	Tier   cpu.Tier
	vector Vector
}

func (r *vectorRow) needs() cpu.Tier { return r.Tier }

// vectorTable is ordered from best to plain Go.
var vectorTable = append(vectorAssembly(), vectorRow{Name: "elements__generic", Tier: cpu.Generic})

// Vector is the kernels on elements and pixels.
func (s Set) Vector() Vector { return s.vector.vector }

// width is the bytes of a vector.
func (k vectorKernel) width() int {
	switch k {
	case vectorAVX512:
		return 64
	case vectorNEON:
		return 16
	}
	return 32
}

// narrower is the kernels on shorter vectors that the tier has as well, for what is left of a row; or none.
func (k vectorKernel) narrower() vectorKernel {
	if k == vectorAVX512 {
		return vectorAVX2
	}
	return vectorNone
}

// codesRun is one call of a micro-kernel on codes. Assembly reads it by field names.
type codesRun struct {
	out, a, b                   unsafe.Pointer
	steps                       int    // of one vector of codes, at least 1
	flipA, flipB                uint32 // 0 or 0x80 in every byte
	zeroA, zeroB                int32  // of flipped codes
	ratioA, ratioB              float32
	bound                       float32
	zeroPoints, lowest, highest uint32 // of the output: twice, four times, four times
	signed                      bool   // the output's codes are s8
}

// floatsRun is one call of a micro-kernel on floats.
type floatsRun struct {
	out, a, b       *float32
	steps           int // of four vectors, at least 1
	least, greatest float32
}

// operand sets how to read the codes of an operand.
func operand(o Int8Operand) (flip uint32, zero int32) {
	f, zero := unsigned(o.Signed, o.ZeroPoint)
	return uint32(f) * 0x01010101, zero
}

// limit sets how to write codes; see fitsBytes.
func (r *codesRun) limit(zeroPoint, lowest, highest int32) {
	r.bound = codesBound
	r.zeroPoints = uint32(uint16(zeroPoint)) * 0x00010001
	r.lowest, r.highest = uint32(byte(lowest))*0x01010101, uint32(byte(highest))*0x01010101
	r.signed = lowest < 0
}

// codesBound is beyond every code and keeps conversions to int32 from overflowing upwards.
const codesBound = 1 << 16

// fitsBytes reports whether output codes are some of u8 or s8, as vectors of bytes make them.
func fitsBytes(zeroPoint, lowest, highest int32) bool {
	return lowest <= highest && lowest >= math.MinInt8 && highest <= math.MaxUint8 &&
		(lowest >= 0 || highest <= math.MaxInt8) && zeroPoint >= -1<<14 && zeroPoint <= 1<<14
}

// Quantize is numeric.Quantize of each element. Split it anywhere.
func (v Vector) Quantize(dst []byte, src []float32, scale float32, zeroPoint, lowest, highest int32) {
	if v.kernel != vectorNone && fitsBytes(zeroPoint, lowest, highest) {
		width := v.kernel.width()
		if steps := len(dst) / width; steps > 0 {
			done := steps * width
			_ = src[done-1]
			order := &quantizeOrder[v.kernel]
			r := codesRun{out: unsafe.Pointer(&dst[0]), a: unsafe.Pointer(&src[0]), b: unsafe.Pointer(&order[0]), steps: steps, ratioA: scale}
			r.limit(zeroPoint, lowest, highest)
			v.kernel.quantize(&r)
			dst, src = dst[done:], src[done:]
		}
	}
	Quantize(dst, src, scale, zeroPoint, lowest, highest)
}

// quantizeOrder is where packing four vectors of numbers in lanes of 128 bits leaves groups of four codes.
var quantizeOrder = [...][16]int32{
	vectorAVX2:   {0, 4, 1, 5, 2, 6, 3, 7},
	vectorAVX512: {0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15},
	vectorNEON:   {}, // packs in order
}

// Dequantize is numeric.Dequantize of each code. Split it anywhere.
func (v Vector) Dequantize(dst []float32, src []byte, x Int8Operand) {
	if v.kernel != vectorNone {
		width := v.kernel.width()
		if steps := len(dst) / width; steps > 0 {
			done := steps * width
			_ = src[done-1]
			r := codesRun{out: unsafe.Pointer(&dst[0]), a: unsafe.Pointer(&src[0]), steps: steps, ratioA: x.Scale}
			r.flipA, r.zeroA = operand(x)
			v.kernel.dequantize(&r)
			dst, src = dst[done:], src[done:]
		}
	}
	Dequantize(dst, src, x)
}

// floats computes a limited function of as many elements as make whole steps, and says how many. ok is false where
// there is no kernel; b may be nil for Clip.
func (v Vector) floats(op floatsOp, y, a, b []float32, least, greatest float32) (done int) {
	if v.kernel == vectorNone || op == floatsNone {
		return 0
	}
	steps := len(y) / v.kernel.width()
	if steps == 0 {
		return 0
	}
	done = steps * v.kernel.width()
	r := floatsRun{out: &y[0], a: &a[:done][0], b: &a[0], steps: steps, least: least, greatest: greatest}
	if b != nil {
		r.b = &b[:done][0]
	}
	v.kernel.floats(op, &r)
	return done
}

// Lookup is the package's Lookup.
func (v Vector) Lookup(dst, src []byte, table *[256]byte) {
	if steps := len(dst) / 64; v.bytePermutations && steps > 0 {
		done := steps * 64
		_ = src[done-1]
		v.kernel.lookup(&codesRun{out: unsafe.Pointer(&dst[0]), a: unsafe.Pointer(&src[0]), b: unsafe.Pointer(table), steps: steps})
		dst, src = dst[done:], src[done:]
	}
	Lookup(dst, src, table)
}

// floatsOp is a function that has micro-kernels.
type floatsOp uint8

const (
	floatsNone floatsOp = iota
	floatsAdd
	floatsSub
	floatsMul
	floatsDiv
	floatsClip
)

// floatsOf is the kernel of a function of two operands.
func floatsOf(op BinaryOp) floatsOp {
	switch op {
	case Add:
		return floatsAdd
	case Sub:
		return floatsSub
	case Mul:
		return floatsMul
	case Div:
		return floatsDiv
	}
	return floatsNone
}
