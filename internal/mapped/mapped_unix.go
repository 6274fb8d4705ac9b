//go:build unix && !solaris && !aix

package mapped

import (
	"os"
	"syscall"
)

// Supported says whether files are mapped here.
const Supported = true

func mapFile(f *os.File, size int) ([]byte, error) {
	return syscall.Mmap(int(f.Fd()), 0, size, syscall.PROT_READ, syscall.MAP_PRIVATE)
}

// unmapFile gives the addresses back. There is nobody to tell if that fails, and nothing depends on it.
func unmapFile(data []byte) { _ = syscall.Munmap(data) }
