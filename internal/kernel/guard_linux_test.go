package kernel

import (
	"testing"

	"golang.org/x/sys/unix"
)

// guarded is a copy of b that ends where memory that must not be touched begins: reading or writing beyond it is a
// fault, not luck.
func guarded(t testing.TB, b []byte) []byte {
	t.Helper()
	page := unix.Getpagesize()
	size := (len(b) + page - 1) / page * page
	memory, err := unix.Mmap(-1, 0, size+page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Munmap(memory); err != nil {
			t.Error(err)
		}
	})
	if err := unix.Mprotect(memory[size:], unix.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	end := memory[size-len(b) : size : size]
	copy(end, b)
	return end
}
