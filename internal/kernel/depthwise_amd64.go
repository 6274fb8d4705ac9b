//go:build !noasm

package kernel

import "github.com/octet-nn/octet/internal/cpu"

// depthwiseInt8Assembly is the rows of depthwiseInt8Table that are written in assembly, best first.
func depthwiseInt8Assembly() []depthwiseInt8Row {
	return []depthwiseInt8Row{
		{Name: "qu8s8_dwconv_64c4__avx512vnni", Tier: cpu.AVX512VNNI, Width: 64, Taps: 4, Masked: true, strip: stripAVX512VNNI},
		{Name: "qu8s16_dwconv_32c2__avx2", Tier: cpu.AVX2, Width: 32, Taps: 2, strip: stripAVX2},
	}
}

// stripKernel names a family of micro-kernels.
type stripKernel uint8

const (
	stripNone stripKernel = iota
	stripAVX512VNNI
	stripAVX2
)

// run makes a block of a strip. The micro-kernels are called by name, not through a variable, so that the compiler
// knows that the strip does not escape.
func (b *depthwiseBlock) run(kernel stripKernel, s *depthwiseStrip) {
	switch {
	case kernel == stripAVX2 && b.width == 32:
		depthwiseInt8AVX2x32(s)
	case kernel == stripAVX2:
		depthwiseInt8AVX2x16(s)
	case b.width == 64 && b.masked:
		depthwiseInt8AVX512VNNIx64Masked(s)
	case b.width == 64:
		depthwiseInt8AVX512VNNIx64(s)
	case b.width == 32 && b.masked:
		depthwiseInt8AVX512VNNIx32Masked(s)
	case b.width == 32:
		depthwiseInt8AVX512VNNIx32(s)
	case b.masked:
		depthwiseInt8AVX512VNNIx16Masked(s)
	default:
		depthwiseInt8AVX512VNNIx16(s)
	}
}
