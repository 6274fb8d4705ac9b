//go:build !linux

package kernel

// hugePages does something on Linux only.
func hugePages[T uint64 | float32]([]T) {}
