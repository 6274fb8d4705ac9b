//go:build (!amd64 && !arm64) || noasm

package kernel

func vectorAssembly() []vectorRow { return nil }

const noVector = "kernel: there are no vectors without assembly"

func (k vectorKernel) quantize(*codesRun)                   { panic(noVector) }
func (k vectorKernel) dequantize(*codesRun)                 { panic(noVector) }
func (k vectorKernel) binaryCodes(bool, *codesRun)          { panic(noVector) }
func (k vectorKernel) floats(floatsOp, *floatsRun)          { panic(noVector) }
func (k vectorKernel) pool(poolKind, bool, int, *poolStrip) { panic(noVector) }
func (k vectorKernel) interleave(int, *planesRun)           { panic(noVector) }
func (k vectorKernel) unary(UnaryOp, *unaryRun) bool        { panic(noVector) }
func (k vectorKernel) lookup(*codesRun)                     { panic(noVector) }
func (k vectorKernel) addTerms(*termsRun)                   { panic(noVector) }
func (k vectorKernel) bilinear(*cornersRun)                 { panic(noVector) }
func (k vectorKernel) moments(*momentsRun)                  { panic(noVector) }
func (k vectorKernel) normalize(*momentsRun)                { panic(noVector) }
func (k vectorKernel) channelMoments(*channelsRun)          { panic(noVector) }
func (k vectorKernel) channelNormalize(*channelsRun)        { panic(noVector) }

// mostPoolVectors is how many vectors of channels pools do at once.
const mostPoolVectors = 1
