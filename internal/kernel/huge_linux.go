package kernel

import (
	"syscall"
	"unsafe"
)

// hugePages asks the system for large pages under what memory has whole ones of. Packed weights are read from the first
// to the last; with small pages, hardware that reads ahead stops every 4 KiB, and addresses are translated anew. It is
// to be called before the memory is written. A system that does not know or want it changes nothing.
func hugePages[T uint64 | float32](memory []T) {
	const page, adviseHuge = 2 << 20, 14
	if len(memory) == 0 {
		return
	}
	first := uintptr(unsafe.Pointer(&memory[0]))
	last := first + uintptr(len(memory))*unsafe.Sizeof(memory[0])
	first, last = (first+page-1)&^(page-1), last&^(page-1)
	if first < last {
		_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, first, last-first, adviseHuge)
	}
}
