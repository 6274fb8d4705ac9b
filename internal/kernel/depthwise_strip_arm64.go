//go:build !noasm

package kernel

import "github.com/octet-nn/octet/internal/cpu"

// depthwiseInt8Assembly is the rows of depthwiseInt8Table that are written in assembly, best first.
func depthwiseInt8Assembly() []depthwiseInt8Row {
	return []depthwiseInt8Row{
		{Name: "qu8s16_dwconv_16c1__neon", Tier: cpu.NEON, Width: 16, Taps: 1, strip: stripNEON},
	}
}

// depthwiseF32Assembly is the same for depthwiseF32Table.
func depthwiseF32Assembly() []depthwiseF32Row {
	return []depthwiseF32Row{
		{Name: "f32_dwconv_16c__neon", Tier: cpu.NEON, Width: 16, strip: stripNEON},
	}
}

// stripKernel names a family of micro-kernels.
type stripKernel uint8

const (
	stripNone stripKernel = iota
	stripNEON
)

// run makes a block of a strip.
func (b *depthwiseBlock) run(_ stripKernel, _ int, s *depthwiseStrip) { depthwiseInt8NEONx16(s) }

func (b *depthwiseBlock) runF32(_ stripKernel, s *depthwiseStripF32) {
	if b.width == 16 {
		depthwiseF32NEONx16(s)
	} else {
		depthwiseF32NEONx8(s)
	}
}
