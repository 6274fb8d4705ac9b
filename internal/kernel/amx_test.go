package kernel

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/octet-nn/octet/internal/cpu"
)

// withReferenceAMX is the kernels of the AMX tier with the micro-kernel's definition in its place: everything around it
// runs, and needs only AVX-512. ok is false where that is absent.
func withReferenceAMX() (s Set, ok bool) {
	for _, tier := range cpu.Available() {
		if tier.Includes(cpu.AVX512VNNI) {
			s = For(tier)
			for i := range gemmInt8Table {
				if gemmInt8Table[i].amx != amxNone {
					row := gemmInt8Table[i]
					row.amx = amxReference
					s.gemmInt8 = &row
					return s, true
				}
			}
		}
	}
	return s, false
}

// amxMachine executes the micro-kernel's text on this process's memory, by the definitions in Intel's SDM. It knows the
// instructions that occur there and stops at any other.
type amxMachine struct {
	registers map[string]uintptr
	zero      bool
	tiles     [8]struct {
		rows, bytes int
		data        [16][64]byte
	}
	configured bool
}

var (
	indexedOperand = regexp.MustCompile(`^(-?\d+)?\((\w+)\)(?:\((\w+)\*1\))?$`)
	fieldOperand   = regexp.MustCompile(`^amxTile_(\w+)\((\w+)\)$`)
)

func (m *amxMachine) address(t *testing.T, operand string) uintptr {
	if part := fieldOperand.FindStringSubmatch(operand); part != nil {
		field, ok := reflect.TypeFor[amxTile]().FieldByName(part[1])
		if !ok {
			t.Fatalf("no field %s", part[1])
		}
		return m.registers[part[2]] + field.Offset
	}
	part := indexedOperand.FindStringSubmatch(operand)
	if part == nil {
		t.Fatalf("operand %s", operand)
	}
	offset, _ := strconv.Atoi(part[1]) // none is 0
	return m.registers[part[2]] + m.registers[part[3]] + uintptr(offset)
}

// at is memory of this process.
func at(address uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&address)) }

func (m *amxMachine) value(t *testing.T, operand string) uintptr {
	if strings.HasPrefix(operand, "$") {
		v, err := strconv.Atoi(operand[1:])
		if err != nil {
			t.Fatal(err)
		}
		return uintptr(v)
	}
	if v, ok := m.registers[operand]; ok || !strings.Contains(operand, "(") {
		return v
	}
	return *(*uintptr)(at(m.address(t, operand)))
}

func (m *amxMachine) tile(t *testing.T, name string) int {
	i, err := strconv.Atoi(strings.TrimPrefix(name, "T"))
	if err != nil || !m.configured || m.tiles[i].rows == 0 {
		t.Fatalf("tile %s is not there", name)
	}
	return i
}

// step executes one instruction and returns the label to go on from, if it jumps.
func (m *amxMachine) step(t *testing.T, name string, operands []string) (jump string) {
	switch name {
	case "MOVQ":
		m.registers[operands[1]] = m.value(t, operands[0])
	case "LEAQ":
		m.registers[operands[1]] = m.address(t, operands[0])
	case "ADDQ":
		m.registers[operands[1]] += m.value(t, operands[0])
	case "SUBQ":
		m.registers[operands[1]] -= m.value(t, operands[0])
	case "CMPQ":
		m.zero = m.registers[operands[0]] == m.value(t, operands[1])
	case "PREFETCHT0":
	case "DECQ":
		m.registers[operands[0]]--
		m.zero = m.registers[operands[0]] == 0
	case "TESTQ":
		m.zero = m.registers[operands[0]]&m.registers[operands[1]] == 0
	case "JEQ", "JNE":
		if m.zero == (name == "JEQ") {
			return operands[0]
		}
	case "JMP":
		return operands[0]
	case "LDTILECFG":
		config := (*[64]byte)(at(m.address(t, operands[0])))
		if config[0] != 1 || config[1] != 0 {
			t.Fatalf("palette %d, first row %d", config[0], config[1])
		}
		for i := range m.tiles {
			tile := &m.tiles[i]
			tile.rows, tile.bytes = int(config[48+i]), int(binary.LittleEndian.Uint16(config[16+2*i:]))
			if tile.rows < 1 || tile.rows > 16 || tile.bytes < 4 || tile.bytes > 64 || tile.bytes%4 != 0 {
				t.Fatalf("tile %d: %d rows of %d bytes", i, tile.rows, tile.bytes)
			}
			tile.data = [16][64]byte{}
		}
		m.configured = true
	case "TILERELEASE":
		m.configured = false
	case "TILEZERO":
		m.tiles[m.tile(t, operands[0])].data = [16][64]byte{}
	case "TILELOADD", "TILESTORED":
		memory, register := operands[0], operands[1]
		if name == "TILESTORED" {
			memory, register = register, memory
		}
		part := indexedOperand.FindStringSubmatch(memory)
		tile := &m.tiles[m.tile(t, register)]
		first := m.address(t, fmt.Sprintf("%s(%s)", part[1], part[2]))
		for row := range tile.rows {
			there := unsafe.Slice((*byte)(at(first+uintptr(row)*m.registers[part[3]])), tile.bytes)
			if name == "TILELOADD" {
				tile.data[row] = [64]byte{}
				copy(tile.data[row][:], there)
			} else {
				copy(there, tile.data[row][:])
			}
		}
	case "TDPBUSD", "TDPBSSD":
		weights, codes, sums := &m.tiles[m.tile(t, operands[0])], &m.tiles[m.tile(t, operands[1])], &m.tiles[m.tile(t, operands[2])]
		if codes.rows != sums.rows || codes.bytes/4 != weights.rows || weights.bytes != sums.bytes {
			t.Fatalf("tiles of %d×%d by %d×%d make no %d×%d", codes.rows, codes.bytes, weights.rows, weights.bytes, sums.rows, sums.bytes)
		}
		for row := range sums.rows {
			for column := range sums.bytes / 4 {
				lane := sums.data[row][4*column:]
				sum := int32(binary.LittleEndian.Uint32(lane))
				for k := range codes.bytes {
					code := int32(codes.data[row][k])
					if name == "TDPBSSD" {
						code = int32(int8(code))
					}
					sum += code * int32(int8(weights.data[k/4][4*column+k%4]))
				}
				binary.LittleEndian.PutUint32(lane, uint32(sum))
			}
		}
	default:
		t.Fatalf("unknown instruction %s %v", name, operands)
	}
	return ""
}

// execute runs a function of the generated text on a tile.
func (m *amxMachine) execute(t *testing.T, text, function string, argument *amxTile) {
	_, body, ok := strings.Cut(text, "TEXT ·"+function+"(SB)")
	if !ok {
		t.Fatalf("no function %s", function)
	}
	body, _, _ = strings.Cut(body, "\nTEXT")
	lines := strings.Split(body, "\n")[1:]
	labels := map[string]int{}
	for i, line := range lines {
		if label, ok := strings.CutSuffix(line, ":"); ok {
			labels[label] = i
		}
	}
	m.registers = map[string]uintptr{"t+0(FP)": uintptr(unsafe.Pointer(argument))}
	for i := 0; i < len(lines); i++ {
		line := strings.TrimSpace(lines[i])
		if _, comment, ok := strings.Cut(line, " // "); ok && strings.HasPrefix(line, "BYTE") {
			line = comment
		}
		if line == "" || strings.HasPrefix(line, "//") || strings.HasSuffix(line, ":") {
			continue
		}
		name, rest, _ := strings.Cut(line, " ")
		if name == "RET" {
			if m.configured {
				t.Fatal("tiles are not released")
			}
			return
		}
		var operands []string
		if rest != "" {
			operands = strings.Split(rest, ", ")
		}
		if jump := m.step(t, name, operands); jump != "" {
			at, ok := labels[jump]
			if !ok {
				t.Fatalf("no label %s", jump)
			}
			i = at
		}
	}
	t.Fatal("no end")
}

// The micro-kernel's instructions, executed by their definitions, and its definition give the products of rows and
// columns, however rows lie; where there is AMX, the processor does too.
func TestAMXProduct(t *testing.T) {
	if strconv.IntSize != 64 {
		t.Skip("the micro-kernel reads 64-bit fields")
	}
	file, err := os.ReadFile("product_amx_amd64.s")
	if err != nil {
		t.Fatal(err)
	}
	hasAMX := cpu.Available()[0] == cpu.AMX
	if !hasAMX {
		t.Log("this machine has no AMX: the micro-kernel is interpreted, not run")
	}
	r := random(1)
	for _, signed := range []bool{false, true} {
		for _, run := range []int{1, 4, 30, 64, 65, 96, 144, 200} {
			for _, line := range []int{1, 2, 3, 31, 32, 33, 66, 95} {
				for _, lines := range []int{1, 3} {
					checkAMX(t, r, string(file), hasAMX, signed, run, line, lines, 1+r.IntN(3))
				}
			}
		}
	}
}

func checkAMX(t *testing.T, r *rand.Rand, text string, hasAMX, signed bool, run, line, lines, runs int) {
	t.Helper()
	step := amxDepthStep(run)
	padded := divideUp(run, step) * step
	stride := run + 3
	starts := make([]int, line*lines)
	for i := range starts {
		starts[i] = i*stride + i/line*7
	}
	runStarts := make([]int, runs)
	for i := range runStarts {
		runStarts[i] = i * (starts[len(starts)-1] + stride + 5)
	}
	a := guarded(t, randomCodes(r, runStarts[runs-1]+starts[len(starts)-1]+padded))
	panel := make([]uint64, 4*padded*runs)
	for i := range panel {
		panel[i] = r.Uint64()
	}
	want := make([]int32, 32*len(starts))
	weights := unsafe.Slice((*int8)(unsafe.Pointer(&panel[0])), 8*len(panel))
	for i, start := range starts {
		for k := range padded * runs {
			code := int32(a[start+runStarts[k/padded]+k%padded])
			if signed {
				code = int32(int8(code))
			}
			for j := range 32 {
				want[32*i+j] += code * int32(weights[k/4*128+4*j+k%4])
			}
		}
	}

	name := "amxProduct"
	if signed {
		name += "Signed"
	}
	for _, how := range []string{"defined", "interpreted", "run"} {
		tile := amxTile{panel: &panel[0], signed: signed}
		tile.depth(runStarts, padded, step)
		tile.layOut(starts, line)
		got := make([]int32, len(want)+32)
		for i := range got {
			got[i] = math.MinInt32
		}
		for call := range tile.calls {
			tile.a, tile.acc = &a[call*tile.callStep], &got[call*tile.accCallStep]
			switch {
			case how == "defined":
				tile.reference()
			case how == "interpreted":
				new(amxMachine).execute(t, text, name, &tile)
			case hasAMX:
				tile.run()
			}
		}
		if how == "run" && !hasAMX {
			continue
		}
		for i := range got {
			if i < len(want) && got[i] != want[i] || i >= len(want) && got[i] != math.MinInt32 {
				t.Fatalf("%s, signed %v, %d runs of %d, %d lines of %d rows: sum %d of %d is %d, not %d",
					how, signed, runs, run, lines, line, i, len(want), got[i], append(want, got[len(want):]...)[i])
			}
		}
	}
}

// Tiles are for products that amortize configuring and storing them.
func TestFitsAMX(t *testing.T) {
	for _, tc := range []struct {
		pixels, depth, columns int
		want                   bool
	}{
		{128, 768, 768, true}, {3136, 64, 64, true}, {784, 128, 512, true}, {49, 2048, 512, true}, {12544, 32, 64, true},
		{1, 4096, 1000, false}, {8, 32, 32, false}, {8, 4096, 1000, true}, {49, 16, 96, false}, {12544, 32, 16, false},
	} {
		if got := fitsAMX(tc.pixels, tc.depth, tc.columns); got != tc.want {
			t.Errorf("%d×%d×%d: %v", tc.pixels, tc.depth, tc.columns, got)
		}
	}
}
