//go:build (!amd64 && !arm64) || noasm

package kernel

func depthwiseInt8Assembly() []depthwiseInt8Row { return nil }

func depthwiseF32Assembly() []depthwiseF32Row { return nil }

type stripKernel uint8

const stripNone stripKernel = iota

func (b *depthwiseBlock) run(stripKernel, int, *depthwiseStrip) {
	panic("kernel: there are no strips without assembly")
}

func (b *depthwiseBlock) runF32(stripKernel, *depthwiseStripF32) {
	panic("kernel: there are no strips without assembly")
}
