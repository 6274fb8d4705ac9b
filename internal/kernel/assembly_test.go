package kernel

import (
	"os/exec"
	"testing"
)

// The committed assembly is what the generator writes.
func TestGeneratedAssembly(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: the generator is not built")
	}
	command := exec.Command("go", "run", ".", "-check")
	command.Dir = "_gen"
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
