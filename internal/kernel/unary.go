package kernel

import (
	"math"

	"github.com/octet-nn/octet/internal/numeric"
)

// UnaryOp is a float function of one operand.
type UnaryOp uint8

// The functions of one operand. Alpha and Beta are UnaryF32's.
const (
	Clip        UnaryOp = iota // limited to [Alpha, Beta]; Relu is [0, +Inf], Relu6 is [0, 6]
	LeakyRelu                  // x if x ≥ 0, else Alpha·x
	Elu                        // x if x ≥ 0, else Alpha·(eˣ − 1)
	HardSigmoid                // Alpha·x + Beta, limited to [0, 1]
	HardSwish                  // x·HardSigmoid(x) with Alpha 1/6, Beta 1/2
	Sigmoid
	Tanh
	Silu     // x·Sigmoid(x)
	Gelu     // x·(1 + Erf(x/√2))/2
	GeluTanh // the same with tanh(√(2/π)·(x + 0.044715·x³)) for Erf
	Mish     // x·Tanh(Softplus(x))
	Softplus // ln(1 + eˣ)
	Erf
	Exp
	Log
	Sqrt
	Reciprocal
	Neg
	Abs
	Square
	Floor
	Ceil
	Round // to nearest, ties to even
	Sign

	unaryCount
)

// UnaryF32 applies a function to each element; dst may be src.
type UnaryF32 struct {
	Vector      Vector
	Op          UnaryOp
	Alpha, Beta float32
}

// Run computes dst[i] from src[i]. Split it anywhere.
func (k *UnaryF32) Run(dst, src []float32) {
	src = src[:len(dst)]
	alpha, beta := k.Alpha, k.Beta
	if _, ok := k.Vector.unary(k.Op, dst, src, alpha, beta, 0); ok {
		return
	}
	switch k.Op {
	case Clip:
		done := k.Vector.floats(floatsClip, dst, src, nil, alpha, beta)
		dst, src = dst[done:], src[done:]
		for i, x := range src {
			dst[i] = min(max(x, alpha), beta) // no branch; NaN stays NaN
		}
	case LeakyRelu:
		for i, x := range src {
			if x < 0 {
				x *= alpha
			}
			dst[i] = x
		}
	case HardSigmoid:
		for i, x := range src {
			dst[i] = limit(float32(alpha*x)+beta, 0, 1)
		}
	case HardSwish:
		for i, x := range src {
			dst[i] = x * limit(x/6+0.5, 0, 1)
		}
	case Sqrt:
		for i, x := range src {
			dst[i] = float32(math.Sqrt(float64(x)))
		}
	case Reciprocal:
		for i, x := range src {
			dst[i] = 1 / x
		}
	case Neg:
		for i, x := range src {
			dst[i] = -x
		}
	case Abs:
		for i, x := range src {
			dst[i] = math.Float32frombits(math.Float32bits(x) &^ (1 << 31))
		}
	case Square:
		for i, x := range src {
			dst[i] = x * x
		}
	case Floor:
		for i, x := range src {
			dst[i] = float32(math.Floor(float64(x)))
		}
	case Ceil:
		for i, x := range src {
			dst[i] = float32(math.Ceil(float64(x)))
		}
	case Round:
		for i, x := range src {
			dst[i] = float32(math.RoundToEven(float64(x)))
		}
	case Sign:
		for i, x := range src {
			dst[i] = sign(x)
		}
	default:
		k.transcendental(dst, src)
	}
}

// transcendental is the functions that are evaluated in float64 and rounded once.
func (k *UnaryF32) transcendental(dst, src []float32) {
	switch k.Op {
	case Elu:
		for i, x := range src {
			if x < 0 {
				x = float32(float64(k.Alpha) * numeric.Expm1(float64(x)))
			}
			dst[i] = x
		}
	case Sigmoid:
		for i, x := range src {
			dst[i] = float32(numeric.Sigmoid(float64(x)))
		}
	case Tanh:
		for i, x := range src {
			dst[i] = float32(numeric.Tanh(float64(x)))
		}
	case Silu:
		for i, x := range src {
			dst[i] = float32(float64(x) * numeric.Sigmoid(float64(x)))
		}
	case Gelu:
		for i, x := range src {
			v := float64(x)
			dst[i] = float32(v / 2 * (1 + numeric.Erf(v/math.Sqrt2)))
		}
	case GeluTanh:
		for i, x := range src {
			v := float64(x)
			cube := float64(0.044715 * v * v * v)
			dst[i] = float32(v / 2 * (1 + numeric.Tanh(math.Sqrt2/math.SqrtPi*(v+cube))))
		}
	case Mish:
		for i, x := range src {
			dst[i] = float32(float64(x) * numeric.Tanh(numeric.Softplus(float64(x))))
		}
	case Softplus:
		for i, x := range src {
			dst[i] = float32(numeric.Softplus(float64(x)))
		}
	case Erf:
		for i, x := range src {
			dst[i] = float32(numeric.Erf(float64(x)))
		}
	case Exp:
		for i, x := range src {
			dst[i] = float32(numeric.Exp(float64(x)))
		}
	case Log:
		for i, x := range src {
			dst[i] = float32(numeric.Log(float64(x)))
		}
	}
}

func sign(x float32) float32 {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return x // zero and NaN stay
}

// Map applies any function, evaluated in float64 and rounded once; for functions that have no UnaryOp. dst may be src.
func Map(dst, src []float32, f func(float64) float64) {
	for i, x := range src[:len(dst)] {
		dst[i] = float32(f(float64(x)))
	}
}

// Lookup replaces each stored byte by its table entry: a function of one 8-bit operand (numeric.FillUnaryTable makes
// the table). dst may be src; split it anywhere.
func Lookup(dst, src []byte, table *[256]byte) {
	for i, x := range src[:len(dst)] {
		dst[i] = table[x]
	}
}

// LookupChannels is Lookup with a table per channel, the innermost dimension (a PRelu of codes, say). dst may be src;
// split it between pixels.
func LookupChannels(dst, src []byte, tables [][256]byte) {
	channels := len(tables)
	if channels == 0 {
		return
	}
	for len(dst) >= channels {
		for c, x := range src[:channels] {
			dst[c] = tables[c][x]
		}
		dst, src = dst[channels:], src[channels:]
	}
}
