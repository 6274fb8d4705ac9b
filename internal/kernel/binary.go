package kernel

import (
	"math"
	"unsafe"

	"github.com/octet-nn/octet/internal/numeric"
)

// BinaryOp is a function of two operands.
type BinaryOp uint8

// The functions of two operands. On codes there are Add, Sub and Mul.
const (
	Add BinaryOp = iota
	Sub
	Mul
	Div
	Max   // NaN if either is NaN
	Min   // NaN if either is NaN
	Pow   // a to the power of b
	PRelu // a if a ≥ 0, else a·b
)

// BinaryF32 is a float function of two operands, limited to [Least, Greatest]. Its pieces are runs of output elements.
// The output may be the same memory as an operand of the output's shape.
type BinaryF32 struct {
	Vector          Vector
	Op              BinaryOp
	Shape           Broadcast
	Least, Greatest float32 // -Inf and +Inf for no limit
}

// Units is how many pieces the work has.
func (k *BinaryF32) Units() int { return k.Shape.chunks }

// Run computes the pieces [start, end).
func (k *BinaryF32) Run(out, a, b []float32, start, end int) {
	var left, right expander[float32]
	stepA, stepB := k.Shape.a[k.Shape.rank-1], k.Shape.b[k.Shape.rank-1]
	limited := !math.IsInf(float64(k.Least), -1) || !math.IsInf(float64(k.Greatest), 1)
	all := k.Shape.from(start, end)
	for {
		l, count, lineA, lineB, ok := all.nextLines()
		if !ok {
			break
		}
		most := l.n
		if stepA != 1 || stepB != 1 {
			most = block
		}
		for i := 0; i < l.n; i += most {
			n := min(most, l.n-i)
			y := out[l.out+i:][:n*count]
			u, v := left.take(a, l.a+i*stepA, stepA, lineA, n, count), right.take(b, l.b+i*stepB, stepB, lineB, n, count)
			done := k.Vector.floats(floatsOf(k.Op), y, u, v, k.Least, k.Greatest)
			y, u, v = y[done:], u[done:], v[done:]
			binaryF32(k.Op, y, u, v)
			if limited {
				for j, v := range y {
					y[j] = min(max(v, k.Least), k.Greatest) // no branch; NaN stays NaN
				}
			}
		}
	}
}

func binaryF32(op BinaryOp, y, a, b []float32) {
	a, b = a[:len(y)], b[:len(y)]
	switch op {
	case Add:
		for i := range y {
			y[i] = a[i] + b[i]
		}
	case Sub:
		for i := range y {
			y[i] = a[i] - b[i]
		}
	case Mul:
		for i := range y {
			y[i] = a[i] * b[i]
		}
	case Div:
		for i := range y {
			y[i] = a[i] / b[i]
		}
	case Max:
		for i := range y {
			y[i] = max(a[i], b[i])
		}
	case Min:
		for i := range y {
			y[i] = min(a[i], b[i])
		}
	case Pow:
		for i := range y {
			y[i] = float32(math.Pow(float64(a[i]), float64(b[i])))
		}
	case PRelu:
		for i, v := range a {
			if v < 0 {
				v *= b[i]
			}
			y[i] = v
		}
	}
}

// BinaryInt8 is Add, Sub or Mul of codes with scales of their own: numeric.AddCode, SubCode, MulCode. Its pieces are
// runs of output elements. The output may be the same memory as an operand of the output's shape.
type BinaryInt8 struct {
	Vector                     Vector
	shape                      Broadcast
	multiply                   bool
	termA, termB               [256]float32 // of a sum, by stored byte
	signedA, signedB           bool
	zeroA, zeroB               int32
	ratioA, ratioB, multiplier float32
	extreme                    bool // a ratio of scales is too large, or no number, for saturateModerate
	zeroPoint, lowest, highest int32
}

// Int8Operand says how to read the codes of an operand.
type Int8Operand struct {
	Signed    bool
	ZeroPoint int32
	Scale     float32
}

// code is the number that a stored byte stands for.
func (o *Int8Operand) code(b byte) int32 {
	if o.Signed {
		return int32(int8(b))
	}
	return int32(b)
}

// NewBinaryInt8 prepares Add, Sub or Mul; any other op panics. The output's codes have the given scale and zero point
// and are limited to [lowest, highest].
func NewBinaryInt8(op BinaryOp, shape Broadcast, a, b Int8Operand, scale float32, zeroPoint, lowest, highest int32) *BinaryInt8 {
	if op > Mul {
		panic("kernel: on codes there are only Add, Sub and Mul")
	}
	k := &BinaryInt8{
		shape: shape, multiply: op == Mul,
		signedA: a.Signed, signedB: b.Signed, zeroA: a.ZeroPoint, zeroB: b.ZeroPoint,
		multiplier: numeric.MulMultiplier(a.Scale, b.Scale, scale),
		zeroPoint:  zeroPoint, lowest: lowest, highest: highest,
	}
	// The terms of numeric.AddCode, once for every code; a − b is a + (−b) to the last bit.
	ratioA, ratioB := numeric.Ratio(a.Scale, scale), numeric.Ratio(b.Scale, scale)
	k.extreme = !isModerate(ratioA) || !isModerate(ratioB) || !isModerate(k.multiplier)
	k.ratioA, k.ratioB = ratioA, ratioB
	if op == Sub {
		k.ratioB = -ratioB
	}
	for i := range 256 {
		k.termA[i] = float32(a.code(byte(i))-a.ZeroPoint) * ratioA
		k.termB[i] = float32(b.code(byte(i))-b.ZeroPoint) * ratioB
		if op == Sub {
			k.termB[i] = -k.termB[i]
		}
	}
	return k
}

// Units is how many pieces the work has.
func (k *BinaryInt8) Units() int { return k.shape.chunks }

// Run computes the pieces [start, end).
func (k *BinaryInt8) Run(out, a, b []byte, start, end int) {
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
func (k *BinaryInt8) codes(y, a, b []byte) {
	done := k.vector(y, a, b)
	y, a, b = y[done:], a[done:], b[done:]
	if len(y) == 0 {
		return
	}
	low, high := int64(k.lowest-k.zeroPoint), int64(k.highest-k.zeroPoint)
	flipA, zeroA := unsigned(k.signedA, k.zeroA)
	flipB, zeroB := unsigned(k.signedB, k.zeroB)
	switch {
	case k.extreme:
		for j := range y {
			x := k.termA[a[j]] + k.termB[b[j]]
			if k.multiply {
				x = float32((int32(a[j]^flipA)-zeroA)*(int32(b[j]^flipB)-zeroB)) * k.multiplier
			}
			y[j] = byte(numeric.Saturate(x, k.zeroPoint, k.lowest, k.highest))
		}
	case k.multiply:
		for j := range y {
			product := (int32(a[j]^flipA) - zeroA) * (int32(b[j]^flipB) - zeroB)
			y[j] = saturateModerate(float32(product)*k.multiplier, low, high, k.zeroPoint)
		}
	default:
		for j := range y {
			y[j] = saturateModerate(k.termA[a[j]]+k.termB[b[j]], low, high, k.zeroPoint)
		}
	}
}

// vector computes as many elements as make whole vectors, if it can do so exactly, and says how many.
func (k *BinaryInt8) vector(y, a, b []byte) (done int) {
	const most = 1 << 10 // products of two codes less such zero points are exact in float32
	if k.Vector.kernel == vectorNone || k.extreme || !fitsBytes(k.zeroPoint, k.lowest, k.highest) ||
		k.zeroA < -most || k.zeroA > most || k.zeroB < -most || k.zeroB > most {
		return 0
	}
	for kernel := k.Vector.kernel; kernel != vectorNone; kernel = kernel.narrower() {
		if n := (len(y) - done) / kernel.width() * kernel.width(); n > 0 {
			k.run(kernel, y[done:][:n], a[done:][:n], b[done:][:n])
			done += n
		}
	}
	return done
}

// run computes whole vectors.
func (k *BinaryInt8) run(kernel vectorKernel, y, a, b []byte) {
	r := codesRun{out: unsafe.Pointer(&y[0]), a: unsafe.Pointer(&a[0]), b: unsafe.Pointer(&b[0]), steps: len(y) / kernel.width(),
		ratioA: k.ratioA, ratioB: k.ratioB}
	r.flipA, r.zeroA = operand(Int8Operand{Signed: k.signedA, ZeroPoint: k.zeroA})
	r.flipB, r.zeroB = operand(Int8Operand{Signed: k.signedB, ZeroPoint: k.zeroB})
	if k.multiply {
		r.ratioA = k.multiplier
	}
	r.limit(k.zeroPoint, k.lowest, k.highest)
	kernel.binaryCodes(k.multiply, &r)
}

// unsigned is how to read codes as u8: what to flip in the stored byte, and the zero point that goes with it.
func unsigned(signed bool, zero int32) (flip byte, zeroPoint int32) {
	if signed {
		return 0x80, zero + 128
	}
	return 0, zero
}
