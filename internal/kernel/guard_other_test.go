//go:build !linux

package kernel

import (
	"slices"
	"testing"
)

// guarded is a copy of b; only on Linux is it followed by memory that faults.
func guarded(_ testing.TB, b []byte) []byte { return slices.Clone(b) }
