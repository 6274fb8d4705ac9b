//go:build !noasm

package kernel

import "github.com/octet-nn/octet/internal/cpu"

// vectorAssembly is the rows of vectorTable that are written in assembly, best first.
func vectorAssembly() []vectorRow {
	return []vectorRow{
		{Name: "elements__avx512", Tier: cpu.AVX512VNNI, vector: Vector{vectorAVX512, cpu.BytePermutations()}},
		{Name: "elements__avx2", Tier: cpu.AVX2, vector: Vector{kernel: vectorAVX2}},
	}
}

// The micro-kernels are called by name, not through variables, so that the compiler knows that what they are given
// does not escape.

func (k vectorKernel) quantize(r *codesRun) {
	if k == vectorAVX512 {
		quantizeAVX512(r)
	} else {
		quantizeAVX2(r)
	}
}

func (k vectorKernel) dequantize(r *codesRun) {
	if k == vectorAVX512 {
		dequantizeAVX512(r)
	} else {
		dequantizeAVX2(r)
	}
}

func (k vectorKernel) binaryCodes(multiply bool, r *codesRun) {
	switch {
	case k == vectorAVX512 && multiply:
		mulCodesAVX512(r)
	case k == vectorAVX512:
		addCodesAVX512(r)
	case multiply:
		mulCodesAVX2(r)
	default:
		addCodesAVX2(r)
	}
}

func (k vectorKernel) floats(op floatsOp, r *floatsRun) {
	if k == vectorAVX512 {
		switch op {
		case floatsAdd:
			addFloatsAVX512(r)
		case floatsSub:
			subFloatsAVX512(r)
		case floatsMul:
			mulFloatsAVX512(r)
		case floatsDiv:
			divFloatsAVX512(r)
		case floatsClip:
			clipFloatsAVX512(r)
		}
		return
	}
	switch op {
	case floatsAdd:
		addFloatsAVX2(r)
	case floatsSub:
		subFloatsAVX2(r)
	case floatsMul:
		mulFloatsAVX2(r)
	case floatsDiv:
		divFloatsAVX2(r)
	case floatsClip:
		clipFloatsAVX2(r)
	}
}

func (k vectorKernel) pool(kind poolKind, masked bool, vectors int, s *poolStrip) {
	if vectors > 1 {
		k.poolVectors(kind, vectors == 4, s)
		return
	}
	if k == vectorAVX2 {
		switch kind {
		case poolMaxUint8:
			poolMaxUint8AVX2x32(s)
		case poolMaxInt8:
			poolMaxInt8AVX2x32(s)
		case poolMaxF32:
			poolMaxF32AVX2x8(s)
		case poolSumUint8:
			poolSumUint8AVX2x32(s)
		case poolAverageF32:
			poolAverageF32AVX2x8(s)
		}
		return
	}
	if masked {
		switch kind {
		case poolMaxUint8:
			poolMaxUint8AVX512x64Masked(s)
		case poolMaxInt8:
			poolMaxInt8AVX512x64Masked(s)
		case poolMaxF32:
			poolMaxF32AVX512x16Masked(s)
		case poolSumUint8:
			poolSumUint8AVX512x64Masked(s)
		case poolAverageF32:
			poolAverageF32AVX512x16Masked(s)
		}
		return
	}
	switch kind {
	case poolMaxUint8:
		poolMaxUint8AVX512x64(s)
	case poolMaxInt8:
		poolMaxInt8AVX512x64(s)
	case poolMaxF32:
		poolMaxF32AVX512x16(s)
	case poolSumUint8:
		poolSumUint8AVX512x64(s)
	case poolAverageF32:
		poolAverageF32AVX512x16(s)
	}
}

// mostPoolVectors is how many vectors of channels pools do at once, but those of sums.
const mostPoolVectors = 4

// poolVectors is pool of two or four whole vectors of channels.
func (k vectorKernel) poolVectors(kind poolKind, four bool, s *poolStrip) {
	if k == vectorAVX2 {
		switch {
		case four && kind == poolMaxUint8:
			poolMaxUint8AVX2x128(s)
		case four && kind == poolMaxInt8:
			poolMaxInt8AVX2x128(s)
		case four && kind == poolMaxF32:
			poolMaxF32AVX2x32(s)
		case four && kind == poolAverageF32:
			poolAverageF32AVX2x32(s)
		case kind == poolMaxUint8:
			poolMaxUint8AVX2x64(s)
		case kind == poolMaxInt8:
			poolMaxInt8AVX2x64(s)
		case kind == poolMaxF32:
			poolMaxF32AVX2x16(s)
		case kind == poolAverageF32:
			poolAverageF32AVX2x16(s)
		}
		return
	}
	switch {
	case four && kind == poolMaxUint8:
		poolMaxUint8AVX512x256(s)
	case four && kind == poolMaxInt8:
		poolMaxInt8AVX512x256(s)
	case four && kind == poolMaxF32:
		poolMaxF32AVX512x64(s)
	case four && kind == poolAverageF32:
		poolAverageF32AVX512x64(s)
	case kind == poolMaxUint8:
		poolMaxUint8AVX512x128(s)
	case kind == poolMaxInt8:
		poolMaxInt8AVX512x128(s)
	case kind == poolMaxF32:
		poolMaxF32AVX512x32(s)
	case kind == poolAverageF32:
		poolAverageF32AVX512x32(s)
	}
}

// interleave has one kernel for both tiers: wider vectors would wait for memory.
func (vectorKernel) interleave(elementBytes int, r *planesRun) {
	if elementBytes == 1 {
		interleaveBytesAVX2(r)
	} else {
		interleaveWordsAVX2(r)
	}
}

// lookup may be called only where cpu.BytePermutations says so.
func (vectorKernel) lookup(r *codesRun) { lookupAVX512VBMI(r) }

func (k vectorKernel) bilinear(r *cornersRun) {
	if k == vectorAVX512 {
		bilinearAVX512(r)
	} else {
		bilinearAVX2(r)
	}
}

func (k vectorKernel) moments(r *momentsRun) {
	if k == vectorAVX512 {
		momentsAVX512(r)
	} else {
		momentsAVX2(r)
	}
}

func (k vectorKernel) normalize(r *momentsRun) {
	if k == vectorAVX512 {
		normalizeAVX512(r)
	} else {
		normalizeAVX2(r)
	}
}

func (k vectorKernel) channelMoments(r *channelsRun) {
	if k == vectorAVX512 {
		channelMomentsAVX512(r)
	} else {
		channelMomentsAVX2(r)
	}
}

func (k vectorKernel) channelNormalize(r *channelsRun) {
	if k == vectorAVX512 {
		channelNormalizeAVX512(r)
	} else {
		channelNormalizeAVX2(r)
	}
}

// addTerms may be called only where Vector.addsTerms says so.
func (vectorKernel) addTerms(r *termsRun) { addTermsAVX512VBMI(r) }
