//go:build noasm || !(amd64 || arm64)

package cpu

import (
	"errors"
	"runtime"
)

func detectArchitecture() capabilities {
	if runtime.GOARCH == "amd64" {
		return capabilities{amx: errors.New("built with the tag noasm: plain Go only")}
	}
	return capabilities{amx: errNotAMD64}
}
