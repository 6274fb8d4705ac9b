//go:build !noasm

package kernel

// unary runs the micro-kernel of a function; ok is false if there is none.
func (k vectorKernel) unary(op UnaryOp, r *unaryRun) (ok bool) {
	if k == vectorAVX512 {
		return unaryAVX512(op, r)
	}
	return unaryAVX2(op, r)
}

func unaryAVX512(op UnaryOp, r *unaryRun) bool {
	switch op {
	case LeakyRelu:
		leakyReluAVX512(r)
	case Elu:
		eluAVX512(r)
	case HardSigmoid:
		hardSigmoidAVX512(r)
	case HardSwish:
		hardSwishAVX512(r)
	case Sigmoid:
		sigmoidAVX512(r)
	case Tanh:
		tanhAVX512(r)
	case Silu:
		siluAVX512(r)
	case Gelu:
		geluAVX512(r)
	case GeluTanh:
		geluTanhAVX512(r)
	case Erf:
		erfAVX512(r)
	case Exp:
		expAVX512(r)
	case Sqrt:
		sqrtAVX512(r)
	case Reciprocal:
		reciprocalAVX512(r)
	case quotient:
		quotientAVX512(r)
	case exponentials:
		expSumAVX512(r)
	case maximum:
		maximumAVX512(r)
	default:
		return false
	}
	return true
}

func unaryAVX2(op UnaryOp, r *unaryRun) bool {
	switch op {
	case LeakyRelu:
		leakyReluAVX2(r)
	case Elu:
		eluAVX2(r)
	case HardSigmoid:
		hardSigmoidAVX2(r)
	case HardSwish:
		hardSwishAVX2(r)
	case Sigmoid:
		sigmoidAVX2(r)
	case Tanh:
		tanhAVX2(r)
	case Silu:
		siluAVX2(r)
	case Gelu:
		geluAVX2(r)
	case GeluTanh:
		geluTanhAVX2(r)
	case Erf:
		erfAVX2(r)
	case Exp:
		expAVX2(r)
	case Sqrt:
		sqrtAVX2(r)
	case Reciprocal:
		reciprocalAVX2(r)
	case quotient:
		quotientAVX2(r)
	case exponentials:
		expSumAVX2(r)
	case maximum:
		maximumAVX2(r)
	default:
		return false
	}
	return true
}
