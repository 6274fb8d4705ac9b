//go:build linux && amd64 && !noasm

package cpu

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"
)

// requestAMX asks Linux for permission to use tile data, which is per process and, once given, holds for every
// thread. The kernel refuses while a thread has a signal stack too small for the tiles (C code may have made one):
// that means no AMX, nothing worse. See Documentation/arch/x86/xstate.rst of Linux.
func requestAMX() error {
	const (
		getPermission     = 0x1022 // ARCH_GET_XCOMP_PERM
		requestPermission = 0x1023 // ARCH_REQ_XCOMP_PERM
		tileData          = 18     // XFEATURE_XTILEDATA
	)
	if _, _, errno := syscall.RawSyscall(syscall.SYS_ARCH_PRCTL, requestPermission, tileData, 0); errno != 0 {
		return fmt.Errorf("the kernel refused permission for AMX: %w", errno)
	}
	var granted uint64
	if _, _, errno := syscall.RawSyscall(syscall.SYS_ARCH_PRCTL, getPermission, uintptr(unsafe.Pointer(&granted)), 0); errno != 0 {
		return fmt.Errorf("the kernel does not say whether AMX is permitted: %w", errno)
	}
	if granted&(1<<tileData) == 0 {
		return errors.New("the kernel took the request for AMX but did not grant it")
	}
	return nil
}
