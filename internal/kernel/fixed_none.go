//go:build !amd64 || noasm

package kernel

func (t *fixedTile) run() { panic("kernel: fixed-point tiles are assembly") }

func (t *amxTile) run() { panic("kernel: AMX is assembly") }

func finishAMX(*tileInt8) { panic("kernel: AMX is assembly") }
