//go:build !noasm

package kernel

import "github.com/octet-nn/octet/internal/cpu"

// vectorAssembly is the rows of vectorTable that are written in assembly, best first.
func vectorAssembly() []vectorRow {
	return []vectorRow{{Name: "elements__neon", Tier: cpu.NEON, vector: Vector{vectorNEON, true}}}
}

// The micro-kernels are called by name, not through variables, so that the compiler knows that what they are given
// does not escape.

func (vectorKernel) quantize(r *codesRun) { quantizeNEON(r) }

func (vectorKernel) dequantize(r *codesRun) { dequantizeNEON(r) }

func (vectorKernel) binaryCodes(multiply bool, r *codesRun) {
	if multiply {
		mulCodesNEON(r)
	} else {
		addCodesNEON(r)
	}
}

func (vectorKernel) floats(op floatsOp, r *floatsRun) {
	switch op {
	case floatsAdd:
		addFloatsNEON(r)
	case floatsSub:
		subFloatsNEON(r)
	case floatsMul:
		mulFloatsNEON(r)
	case floatsDiv:
		divFloatsNEON(r)
	case floatsClip:
		clipFloatsNEON(r)
	}
}

// mostPoolVectors is how many vectors of channels pools do at once.
const mostPoolVectors = 1

func (vectorKernel) pool(kind poolKind, _ bool, _ int, s *poolStrip) {
	switch kind {
	case poolMaxUint8:
		poolMaxUint8NEONx16(s)
	case poolMaxInt8:
		poolMaxInt8NEONx16(s)
	case poolMaxF32:
		poolMaxF32NEONx4(s)
	case poolSumUint8:
		poolSumUint8NEONx16(s)
	case poolAverageF32:
		poolAverageF32NEONx4(s)
	}
}

func (vectorKernel) interleave(elementBytes int, r *planesRun) {
	if elementBytes == 1 {
		interleaveBytesNEON(r)
	} else {
		interleaveWordsNEON(r)
	}
}

func (vectorKernel) lookup(r *codesRun) { lookupNEON(r) }

func (vectorKernel) bilinear(r *cornersRun) { bilinearNEON(r) }

func (vectorKernel) moments(r *momentsRun) { momentsNEON(r) }

func (vectorKernel) normalize(r *momentsRun) { normalizeNEON(r) }

func (vectorKernel) channelMoments(r *channelsRun) { channelMomentsNEON(r) }

func (vectorKernel) channelNormalize(r *channelsRun) { channelNormalizeNEON(r) }

func (t *fixedTile) run() {
	fixedTileNEON(t)
	t.finish(t.columns &^ 3)
}

// unary runs the micro-kernel of a function; ok is false if there is none.
func (vectorKernel) unary(op UnaryOp, r *unaryRun) (ok bool) {
	switch op {
	case LeakyRelu:
		leakyReluNEON(r)
	case Elu:
		eluNEON(r)
	case HardSigmoid:
		hardSigmoidNEON(r)
	case HardSwish:
		hardSwishNEON(r)
	case Sigmoid:
		sigmoidNEON(r)
	case Tanh:
		tanhNEON(r)
	case Silu:
		siluNEON(r)
	case Gelu:
		geluNEON(r)
	case GeluTanh:
		geluTanhNEON(r)
	case Erf:
		erfNEON(r)
	case Exp:
		expNEON(r)
	case Sqrt:
		sqrtNEON(r)
	case Reciprocal:
		reciprocalNEON(r)
	case quotient:
		quotientNEON(r)
	case exponentials:
		expSumNEON(r)
	case maximum:
		maximumNEON(r)
	default:
		return false
	}
	return true
}

func (vectorKernel) addTerms(*termsRun) { panic("kernel: NEON adds no terms") }
