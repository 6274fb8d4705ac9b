package kernel

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/octet-nn/octet/internal/cpu"
)

// The committed assembly is what the generator writes.
func TestGeneratedAssembly(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIP: the generator is not built in short tests")
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("SKIP: no go command to run the generator with")
	}
	command := exec.Command("go", "run", ".", "-check")
	command.Dir = "_gen"
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

var (
	byteLine = regexp.MustCompile(`(?m)^\t(BYTE \$0x[0-9a-f]{2}(?:; BYTE \$0x[0-9a-f]{2})*) // (.*)$`)
	byteCode = regexp.MustCompile(`0x[0-9a-f]{2}`)
	register = regexp.MustCompile(`%([xyz])mm(\d+)`)
	tile     = regexp.MustCompile(`%tmm(\d)`)
	memory   = regexp.MustCompile(`(0x[0-9a-f]+)?\(%(r\w+)(?:,%(r\w+),1)?\)`)
	listed   = regexp.MustCompile(`(?m)^ +[0-9a-f]+:\t(?:\{vex\} )?(\S+) *([^\n]*?) *$`)
)

// generalName is what Go's assembler calls a register.
func generalName(register string) string {
	if register[1] >= '0' && register[1] <= '9' {
		return strings.ToUpper(register)
	}
	return strings.ToUpper(register[1:])
}

// Instructions written as bytes are what their comments say, by the word of another disassembler.
func TestBytesAreTheInstructionsTheyClaim(t *testing.T) {
	files, err := filepath.Glob("*_amd64.s")
	if err != nil {
		t.Fatal(err)
	}
	claims := map[string]string{} // by bytes
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range byteLine.FindAllStringSubmatch(string(text), -1) {
			claims[m[1]] = m[2]
		}
		if got, all := len(byteLine.FindAll(text, -1)), strings.Count(string(text), "\tBYTE"); got != all {
			t.Errorf("%s: %d of %d lines of bytes do not say what they are", file, all-got, all)
		}
	}
	objdump, err := exec.LookPath("objdump")
	if err != nil {
		t.Skipf("SKIP: no objdump to check %d encodings with", len(claims))
	}
	var code []byte
	var want []string
	for bytes, claim := range claims {
		for _, hex := range byteCode.FindAllString(bytes, -1) {
			b, err := strconv.ParseUint(hex[2:], 16, 8)
			if err != nil {
				t.Fatal(err)
			}
			code = append(code, byte(b))
		}
		want = append(want, claim)
	}
	binaryFile := filepath.Join(t.TempDir(), "code")
	if err := os.WriteFile(binaryFile, code, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(objdump, "-D", "-b", "binary", "-m", "i386:x86-64", "--no-show-raw-insn", binaryFile).CombinedOutput()
	if err != nil {
		t.Skipf("SKIP: %s does not know amd64, %d encodings unchecked: %v\n%s", objdump, len(claims), err, out)
	}
	var got []string
	for _, m := range listed.FindAllStringSubmatch(string(out), -1) {
		operands := memory.ReplaceAllStringFunc(m[2], func(s string) string {
			part := memory.FindStringSubmatch(s)
			displacement, _ := strconv.ParseInt(part[1], 0, 64) // none is 0
			if part[3] == "" {
				return "(" + generalName(part[2]) + ")"
			}
			return fmt.Sprintf("%d(%s)(%s*1)", displacement, generalName(part[2]), generalName(part[3]))
		})
		operands = tile.ReplaceAllString(operands, "T$1")
		operands = register.ReplaceAllStringFunc(operands, func(r string) string { return strings.ToUpper(r[1:2]) + r[4:] })
		got = append(got, strings.TrimSpace(strings.ToUpper(m[1])+" "+strings.ReplaceAll(operands, ",", ", ")))
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] {
				t.Errorf("%q is %q", want[i], got[i])
			}
		}
		t.Errorf("%d instructions claimed, %d found", len(want), len(got))
	}
}

var wordLine = regexp.MustCompile(`(?m)^\tWORD \$0x([0-9a-f]{8}) // (.*)$`)

func TestWordsAreTheInstructionsTheyClaim(t *testing.T) {
	files, err := filepath.Glob("*_arm64.s")
	if err != nil {
		t.Fatal(err)
	}
	claims := map[uint32]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lines := wordLine.FindAllStringSubmatch(string(text), -1)
		for _, m := range lines {
			word, err := strconv.ParseUint(m[1], 16, 32)
			if err != nil {
				t.Fatal(err)
			}
			claims[uint32(word)] = m[2]
		}
		if all := strings.Count(string(text), "\tWORD"); len(lines) != all {
			t.Errorf("%s: %d of %d words do not say what they are", file, all-len(lines), all)
		}
	}
	objdump, err := exec.LookPath("aarch64-linux-gnu-objdump")
	if err != nil && runtime.GOARCH == "arm64" {
		objdump, err = exec.LookPath("objdump")
	}
	if err != nil {
		t.Skipf("SKIP: no aarch64-linux-gnu-objdump to check %d encodings with", len(claims))
	}
	var code []byte
	var want []string
	for word, claim := range claims {
		code = binary.LittleEndian.AppendUint32(code, word)
		want = append(want, claim)
	}
	file := filepath.Join(t.TempDir(), "code")
	if err := os.WriteFile(file, code, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(objdump, "-D", "-b", "binary", "-m", "aarch64", "--no-show-raw-insn", file).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var got []string
	for _, m := range listed.FindAllStringSubmatch(string(out), -1) {
		got = append(got, m[1]+" "+strings.TrimSpace(m[2]))
	}
	if len(got) != len(want) {
		t.Fatalf("%d instructions claimed, %d found:\n%s", len(want), len(got), out)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("%q is %q", want[i], got[i])
		}
	}
}

// No tier gets a kernel that needs more than the tier has, and every tier gets one.
func TestTiersGetWhatTheyCanRun(t *testing.T) {
	available := cpu.Available()
	for tier := cpu.Generic; tier <= cpu.I8MM; tier++ {
		s := For(tier)
		for i, r := range []row{s.gemmInt8, s.gemmF32, s.depthwiseInt8, s.depthwiseF32, s.vector} {
			if !tier.Includes(r.needs()) {
				t.Errorf("at tier %v, %s needs %v", tier, s.Names()[i], r.needs())
			}
		}
	}
	for _, r := range gemmInt8Table {
		tested := false
		for _, tier := range available {
			tested = tested || For(tier).gemmInt8.Name == r.Name
		}
		if !tested {
			t.Logf("SKIP: this machine has no %v: %s is not run by the tests", r.Tier, r.Name)
		}
	}
}
