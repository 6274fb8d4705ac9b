//go:build !amd64 || noasm

package kernel

func (t *amxTile) run() { panic("kernel: AMX is assembly") }
