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

// depthwiseF32Assembly is the same for depthwiseF32Table.
func depthwiseF32Assembly() []depthwiseF32Row {
	return []depthwiseF32Row{
		{Name: "f32_dwconv_32c__avx512", Tier: cpu.AVX512VNNI, Width: 32, Masked: true, strip: stripAVX512},
		{Name: "f32_dwconv_16c__avx2", Tier: cpu.AVX2, Width: 16, strip: stripAVX2},
	}
}

// stripKernel names a family of micro-kernels.
type stripKernel uint8

const (
	stripNone stripKernel = iota
	stripAVX512VNNI
	stripAVX512
	stripAVX2
)

// run makes a block of a strip, along columns if the stride is not 0. The micro-kernels are called by name, not through
// a variable, so that the compiler knows that the strip does not escape.
func (b *depthwiseBlock) run(kernel stripKernel, stride int, s *depthwiseStrip) {
	switch {
	case kernel == stripAVX2 && b.width == 32:
		depthwiseInt8AVX2x32(s)
	case kernel == stripAVX2:
		depthwiseInt8AVX2x16(s)
	case b.width == 64:
		b.run64(stride, s)
	case b.width == 32:
		b.run32(stride, s)
	default:
		b.run16(stride, s)
	}
}

func (b *depthwiseBlock) run64(stride int, s *depthwiseStrip) {
	switch {
	case b.masked && stride == 1:
		depthwiseInt8AVX512VNNIx64MaskedColumns1(s)
	case b.masked && stride == 2:
		depthwiseInt8AVX512VNNIx64MaskedColumns2(s)
	case b.masked:
		depthwiseInt8AVX512VNNIx64Masked(s)
	case stride == 1:
		depthwiseInt8AVX512VNNIx64Columns1(s)
	case stride == 2:
		depthwiseInt8AVX512VNNIx64Columns2(s)
	default:
		depthwiseInt8AVX512VNNIx64(s)
	}
}

func (b *depthwiseBlock) run32(stride int, s *depthwiseStrip) {
	switch {
	case b.masked && stride == 1:
		depthwiseInt8AVX512VNNIx32MaskedColumns1(s)
	case b.masked && stride == 2:
		depthwiseInt8AVX512VNNIx32MaskedColumns2(s)
	case b.masked:
		depthwiseInt8AVX512VNNIx32Masked(s)
	case stride == 1:
		depthwiseInt8AVX512VNNIx32Columns1(s)
	case stride == 2:
		depthwiseInt8AVX512VNNIx32Columns2(s)
	default:
		depthwiseInt8AVX512VNNIx32(s)
	}
}

func (b *depthwiseBlock) run16(stride int, s *depthwiseStrip) {
	switch {
	case b.masked && stride == 1:
		depthwiseInt8AVX512VNNIx16MaskedColumns1(s)
	case b.masked && stride == 2:
		depthwiseInt8AVX512VNNIx16MaskedColumns2(s)
	case b.masked:
		depthwiseInt8AVX512VNNIx16Masked(s)
	case stride == 1:
		depthwiseInt8AVX512VNNIx16Columns1(s)
	case stride == 2:
		depthwiseInt8AVX512VNNIx16Columns2(s)
	default:
		depthwiseInt8AVX512VNNIx16(s)
	}
}

func (b *depthwiseBlock) runF32(kernel stripKernel, s *depthwiseStripF32) {
	if kernel == stripAVX2 {
		if b.width == 16 {
			depthwiseF32AVX2x16(s)
		} else {
			depthwiseF32AVX2x8(s)
		}
		return
	}
	nine := s.taps == 9
	switch {
	case b.width == 32 && b.masked && nine:
		depthwiseF32AVX512x32MaskedTaps9(s)
	case b.width == 32 && b.masked:
		depthwiseF32AVX512x32Masked(s)
	case b.width == 32 && nine:
		depthwiseF32AVX512x32Taps9(s)
	case b.width == 32:
		depthwiseF32AVX512x32(s)
	case b.masked && nine:
		depthwiseF32AVX512x16MaskedTaps9(s)
	case b.masked:
		depthwiseF32AVX512x16Masked(s)
	case nine:
		depthwiseF32AVX512x16Taps9(s)
	default:
		depthwiseF32AVX512x16(s)
	}
}
