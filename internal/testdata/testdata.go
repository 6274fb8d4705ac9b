// Package testdata finds what tests compare with: the shared folder of real models and data, and ONNX Runtime. Both
// are optional; a test that needs one that is absent is skipped, and says so.
package testdata

import (
	"os"
	"path/filepath"
	"testing"
)

// Shared is the path of a file in the shared folder: $OCTET_SHARED or, without it, the folder named shared beside the
// checkout or beside one of its parents. The test is skipped where there is none.
func Shared(t testing.TB, elements ...string) string {
	t.Helper()
	root := SharedRoot()
	if root == "" {
		t.Skip("SKIP: the shared folder of models and data is not here (set OCTET_SHARED to its path)")
	}
	path := filepath.Join(append([]string{root}, elements...)...)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("SKIP: %s is not in the shared folder", filepath.Join(elements...))
	}
	return path
}

// start is the folder that the program was started in: tests may change theirs.
var start, _ = os.Getwd()

// SharedRoot is the shared folder, found as Shared says; "" where there is none.
func SharedRoot() string {
	const marker = "MANIFEST.tsv"
	if root := os.Getenv("OCTET_SHARED"); root != "" {
		return root
	}
	dir := start
	for dir != "" {
		candidate := filepath.Join(dir, "shared")
		if _, err := os.Stat(filepath.Join(candidate, marker)); err == nil {
			return candidate
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
	return ""
}
