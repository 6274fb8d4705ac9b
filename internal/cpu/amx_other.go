//go:build !linux && amd64 && !noasm

package cpu

import (
	"errors"
	"runtime"
)

func requestAMX() error {
	return errors.New("how to ask for AMX is known for Linux only, not for " + runtime.GOOS)
}
