package main

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"syscall"
	"testing"
)

// array is memory that begins at address 0.
type array []byte

func (a array) read(at uint64, to []byte) error {
	if at > uint64(len(a)) || uint64(len(to)) > uint64(len(a))-at {
		return fault{syscall.SIGSEGV, "outside"}
	}
	copy(to, a[at:])
	return nil
}

func (a array) write(at uint64, from []byte) error {
	if at > uint64(len(a)) || uint64(len(from)) > uint64(len(a))-at {
		return fault{syscall.SIGSEGV, "outside"}
	}
	copy(a[at:], from)
	return nil
}

// The bytes of instructions, as objdump of binutils shows them.
var (
	configure = []byte{0xc4, 0xe2, 0x78, 0x49, 0x00}             // ldtilecfg (%rax)
	release   = []byte{0xc4, 0xe2, 0x78, 0x49, 0xc0}             // tilerelease
	zero0     = []byte{0xc4, 0xe2, 0x7b, 0x49, 0xc0}             // tilezero %tmm0
	load4     = []byte{0xc4, 0x82, 0x7b, 0x4b, 0x24, 0x18}       // tileloadd (%r8,%r11,1),%tmm4
	load6     = []byte{0xc4, 0xa2, 0x7b, 0x4b, 0x74, 0x33, 0x40} // tileloadd 0x40(%rbx,%r14,1),%tmm6
	store0    = []byte{0xc4, 0x82, 0x7a, 0x4b, 0x04, 0x22}       // tilestored %tmm0,(%r10,%r12,1)
)

// products are tdp…d %tmm6,%tmm4,%tmm0 by whether the codes, and the weights, are signed.
var products = map[[2]bool][]byte{
	{false, false}: {0xc4, 0xe2, 0x48, 0x5e, 0xc4}, {false, true}: {0xc4, 0xe2, 0x49, 0x5e, 0xc4},
	{true, false}: {0xc4, 0xe2, 0x4a, 0x5e, 0xc4}, {true, true}: {0xc4, 0xe2, 0x4b, 0x5e, 0xc4},
}

// newMemory is a configuration at 0, of tiles 0, 4 and 6 for a product of rows by depth codes with 16 columns, then random
// bytes, and the registers that the instructions use.
func newMemory(rows, depth int) (array, registers) {
	m := make(array, 8192)
	r := rand.New(rand.NewPCG(1, uint64(rows)))
	for i := 64; i < len(m); i++ {
		m[i] = byte(r.Uint32())
	}
	m[0] = 1
	for tile, shape := range map[int][2]int{0: {rows, 64}, 4: {rows, depth}, 6: {depth / 4, 64}} {
		m[48+tile] = byte(shape[0])
		binary.LittleEndian.PutUint16(m[16+2*tile:], uint16(shape[1]))
	}
	return m, registers{3: 2000, 8: 100, 10: 6000, 11: 71, 12: 64, 14: 128} // rbx, r8, r10, r11, r12, r14
}

func TestProducts(t *testing.T) {
	for signs, product := range products {
		for _, shape := range [][2]int{{16, 64}, {1, 4}, {13, 36}} {
			rows, depth := shape[0], shape[1]
			m, r := newMemory(rows, depth)
			var u unit
			for _, code := range [][]byte{configure, zero0, load4, load6, product, product, store0} {
				if n, err := u.execute(append(code, make([]byte, 8)...), &r, m); err != nil || n != len(code) {
					t.Fatalf("% x: %d bytes, %v", code, n, err)
				}
			}
			value := func(at int, signed bool) int32 {
				if signed {
					return int32(int8(m[at]))
				}
				return int32(m[at])
			}
			for row := range rows {
				for column := range 16 {
					want := int32(0)
					for k := range depth {
						want += 2 * value(100+71*row+k, signs[0]) * value(2064+128*(k/4)+4*column+k%4, signs[1])
					}
					if got := int32(binary.LittleEndian.Uint32(m[6000+64*row+4*column:])); got != want {
						t.Fatalf("signs %v, %d×%d: sum %d, %d is %d, not %d", signs, rows, depth, row, column, got, want)
					}
				}
			}
		}
	}
}

// What a processor refuses is refused, with the signal that Linux makes of it, and nothing changes.
func TestFaults(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(m array, r *registers)
		codes  [][]byte
		signal syscall.Signal
	}{
		{"no configuration", nil, [][]byte{zero0}, syscall.SIGILL},
		{"released", nil, [][]byte{configure, release, load4}, syscall.SIGILL},
		{"palette 2", func(m array, r *registers) { m[0] = 2 }, [][]byte{configure}, syscall.SIGSEGV},
		{"reserved byte", func(m array, r *registers) { m[40] = 1 }, [][]byte{configure}, syscall.SIGSEGV},
		{"17 rows", func(m array, r *registers) { m[48] = 17 }, [][]byte{configure}, syscall.SIGSEGV},
		{"rows of no bytes", func(m array, r *registers) { m[16] = 0 }, [][]byte{configure}, syscall.SIGSEGV},
		{"tile that is not there", func(m array, r *registers) { m[48], m[16] = 0, 0 }, [][]byte{configure, zero0}, syscall.SIGILL},
		{"rows do not fit", func(m array, r *registers) { m[52] = 3 }, [][]byte{configure, products[[2]bool{}]}, syscall.SIGILL},
		{"depth does not fit", func(m array, r *registers) { m[54] = 3 }, [][]byte{configure, products[[2]bool{}]}, syscall.SIGILL},
		{"read beyond memory", func(m array, r *registers) { r[8] = 8000 }, [][]byte{configure, load4}, syscall.SIGSEGV},
		{"written beyond memory", func(m array, r *registers) { r[10] = 8000 }, [][]byte{configure, store0}, syscall.SIGSEGV},
	} {
		m, r := newMemory(8, 32)
		if tc.change != nil {
			tc.change(m, &r)
		}
		var u unit
		for i, code := range tc.codes {
			before := u
			_, err := u.execute(append(code, make([]byte, 8)...), &r, m)
			last := i == len(tc.codes)-1
			var f fault
			switch {
			case !last && err != nil:
				t.Fatalf("%s: % x: %v", tc.name, code, err)
			case last && (!errors.As(err, &f) || f.signal != tc.signal):
				t.Errorf("%s: %v, not %v", tc.name, err, tc.signal)
			case last && u != before:
				t.Errorf("%s: tiles changed", tc.name)
			}
		}
	}
}
