//go:build !amd64 || noasm

package kernel

func (t *gemvInt8) run() { panic("kernel: no row of gemmInt8Table has a kernel for single rows") }
