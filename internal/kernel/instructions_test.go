//go:build linux && (amd64 || arm64) && !noasm

package kernel

import (
	"debug/elf"
	"debug/gosym"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/octet-nn/octet/internal/cpu"
)

// need is what a micro-kernel wants of the processor.
type need struct {
	tier             cpu.Tier
	bytePermutations bool
}

// includes reports whether a processor that has n has m too.
func (n need) includes(m need) bool {
	return n.tier.Includes(m.tier) && (n.bytePermutations || !m.bytePermutations)
}

// instructionSets are the ends of micro-kernels' names, before their tiles, and what they promise to need at most.
var instructionSets = []struct {
	name string
	need need
}{
	{"AVX512VBMI", need{cpu.AVX512VNNI, true}}, {"AVX512VNNI", need{tier: cpu.AVX512VNNI}}, {"AVX512", need{tier: cpu.AVX512VNNI}},
	{"AVXVNNI", need{tier: cpu.AVXVNNI}}, {"AVX2", need{tier: cpu.AVX2}}, {"amx", need{tier: cpu.AMX}},
	{"I8MM", need{tier: cpu.I8MM}}, {"DotProd", need{tier: cpu.DotProd}}, {"NEON", need{tier: cpu.NEON}},
}

func promised(function string) (need, bool) {
	for _, set := range instructionSets {
		if strings.Contains(function, set.name) {
			return set.need, true
		}
	}
	return need{}, false
}

// Instructions beyond those of the lowest tier, by the names of objdump; any that are in forbidden belong to no tier.
var (
	bytePermutations = regexp.MustCompile(`^vpermi2b|^vpermt2b|^vpermb$|^vpmultishiftqb`)
	amxInstruction   = regexp.MustCompile(`^tile|^tdp|^ldtilecfg|^sttilecfg`)
	maskInstruction  = regexp.MustCompile(`^k(mov|and|or|xor|xnor|not|shift|test|add|unpck)`)
	forbiddenAMD64   = regexp.MustCompile(`ph$|sh$|bf16|^vp2intersect|^vpopcnt|^vpcompress[bw]|^vpexpand[bw]|^vpsh[lr]d|^vpmadd52|^vpshufbitqmb|gf2p8|^vcvtph2ps|^vcvtps2ph|` +
		`^v?aes|^v?pclmul|^sha|^(andn|bextr|bls|bzhi|mulx|pdep|pext|rorx|sarx|shlx|shrx|lzcnt|tzcnt|popcnt|adcx|adox)|^vpdpb(ss|su|uu)|^vpdpw(us|su|uu)|^vscatter|^\(bad\)`)
	dotProd        = regexp.MustCompile(`^[su]dot$`)
	matrixProduct  = regexp.MustCompile(`^[su]mmla$|^usmmla$|^usdot$|^sudot$`)
	forbiddenARM64 = regexp.MustCompile(`^bf|^eor3|^bcax|^xar|^rax1|^f?cadd|^fcmla|^fml[as]l|^sqrdml|^aes|^sha|^sm[34]|^pmull|^crc|^cas|^ld(add|set|clr|eor)|^swp|\.inst`)
	halfFloats     = regexp.MustCompile(`^f(add|sub|mul|mla|mls|div|max|min|abs|neg|sqrt)$`)
	scalable       = regexp.MustCompile(`\b[zp]\d+(\.|/)`)
	instruction    = regexp.MustCompile(`(?m)^ +([0-9a-f]+):\t([0-9a-f ]+?) *\t(?:\{vex\} )?(\S+) *(.*?) *$`)
)

// needOf is what an instruction wants: its code in hexadecimal, name and operands are objdump's. ok is false if no tier has it.
func needOf(code, name, operands string) (n need, ok bool) {
	if runtime.GOARCH == "arm64" {
		switch {
		case forbiddenARM64.MatchString(name), scalable.MatchString(operands),
			halfFloats.MatchString(name) && strings.Contains(operands, "h,"):
			return n, false
		case matrixProduct.MatchString(name):
			return need{tier: cpu.I8MM}, true
		case dotProd.MatchString(name):
			return need{tier: cpu.DotProd}, true
		}
		return need{tier: cpu.NEON}, true
	}
	vector := strings.Contains(operands, "mm")
	switch {
	case bytePermutations.MatchString(name):
		return need{cpu.AVX512VNNI, true}, true
	case amxInstruction.MatchString(name):
		return need{tier: cpu.AMX}, true
	case forbiddenAMD64.MatchString(name) && (vector || !strings.HasSuffix(name, "sh")):
		return n, false
	case strings.HasPrefix(code, "62"), maskInstruction.MatchString(name): // the prefix EVEX
		return need{tier: cpu.AVX512VNNI}, true
	case strings.HasPrefix(name, "vpdp"):
		return need{tier: cpu.AVXVNNI}, true
	case strings.HasPrefix(name, "v"):
		return need{tier: cpu.AVX2}, true
	}
	return need{}, true
}

// assemblyCode is the machine code of this program's functions that are written in assembly, by name. Programs without
// symbols have the table of lines still.
func assemblyCode(t *testing.T) map[string][]byte {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	text, lines := program.Section(".text"), program.Section(".gopclntab")
	if text == nil || lines == nil {
		t.Fatal("the test program has no .text or no .gopclntab")
	}
	code, err := text.Data()
	if err != nil {
		t.Fatal(err)
	}
	data, err := lines.Data()
	if err != nil {
		t.Fatal(err)
	}
	table, err := gosym.NewTable(nil, gosym.NewLineTable(data, text.Addr))
	if err != nil {
		t.Fatal(err)
	}
	functions := map[string][]byte{}
	for _, f := range table.Funcs {
		file, _, _ := table.PCToLine(f.Entry)
		name := strings.TrimSuffix(f.Name[strings.LastIndexByte(f.Name, '/')+1:], ".abi0")
		if name, ok := strings.CutPrefix(name, "kernel."); ok && strings.HasSuffix(file, "_"+runtime.GOARCH+".s") {
			functions[name] = code[f.Entry-text.Addr : f.End-text.Addr]
		}
	}
	return functions
}

// neededBy is what the instructions of each micro-kernel want, by the word of a disassembler.
func neededBy(t *testing.T) map[string]need {
	t.Helper()
	arguments, tools := []string{"-m", "i386:x86-64"}, []string{"objdump"}
	if runtime.GOARCH == "arm64" {
		arguments, tools = []string{"-m", "aarch64"}, []string{"aarch64-linux-gnu-objdump", "objdump"}
	}
	var objdump string
	for _, tool := range tools {
		if path, err := exec.LookPath(tool); err == nil && objdump == "" {
			objdump = path
		}
	}
	if objdump == "" {
		t.Skipf("SKIP: none of %v is here to say which instructions the micro-kernels have", tools)
	}
	functions := assemblyCode(t)
	var all []byte
	names, ends := slices.Sorted(maps.Keys(functions)), []int(nil)
	for _, name := range names {
		all = append(all, functions[name]...)
		ends = append(ends, len(all))
	}
	file := filepath.Join(t.TempDir(), "code")
	if err := os.WriteFile(file, all, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(objdump, append(arguments, "-D", "-w", "-b", "binary", file)...).CombinedOutput()
	if err != nil {
		t.Skipf("SKIP: %s does not know %s: %v", objdump, runtime.GOARCH, err)
	}
	needs := map[string]need{}
	seen := map[string]int{}
	for _, m := range instruction.FindAllStringSubmatch(string(out), -1) {
		address, err := strconv.ParseInt(m[1], 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		i, _ := slices.BinarySearch(ends, int(address)+1)
		name := names[i]
		seen[name]++
		n, ok := needOf(m[2], m[3], m[4])
		if !ok {
			t.Errorf("%s: %s %s belongs to no tier", name, m[3], m[4])
		}
		has := needs[name]
		if !has.tier.Includes(n.tier) {
			if has.tier != cpu.Generic && !n.tier.Includes(has.tier) {
				t.Errorf("%s: %s %s, which is %v, among instructions of %v", name, m[3], m[4], n.tier, has.tier)
			}
			has.tier = n.tier
		}
		has.bytePermutations = has.bytePermutations || n.bytePermutations
		needs[name] = has
	}
	for _, name := range names {
		if seen[name] < 3 {
			t.Errorf("%s: only %d instructions found", name, seen[name])
		}
	}
	return needs
}

// A micro-kernel has no instruction that the instruction set in its name has not.
func TestMicroKernelsNeedWhatTheirNamesSay(t *testing.T) {
	needs := neededBy(t)
	tiers := map[cpu.Tier]int{}
	for name, n := range needs {
		tiers[n.tier]++
		most, ok := promised(name)
		if !ok {
			t.Errorf("%s does not name its instruction set", name)
		} else if !most.includes(n) {
			t.Errorf("%s needs %+v, its name says %+v", name, n, most)
		}
	}
	t.Logf("%d micro-kernels, by what they need: %v", len(needs), tiers)
	if len(needs) < 20 || len(tiers) < 3 {
		t.Error("there should be more")
	}
}
