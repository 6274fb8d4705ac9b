//go:build (!amd64 && !arm64) || noasm

package kernel

// tileKernel names a micro-kernel: there is only plain Go.
type tileKernel struct{}

func gemmInt8Assembly() []gemmInt8Row { return nil }

func gemmF32Assembly() []gemmF32Row { return nil }

func (r *gemmInt8Row) run(t *tileInt8) { tile4x12(t) }

func (r *gemmF32Row) run(t *tileF32) { tile4x4(t) }
