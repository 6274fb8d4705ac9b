//go:build (!amd64 && !arm64) || noasm

package kernel

func (t *fixedTile) run() { panic("kernel: fixed-point tiles are assembly") }
