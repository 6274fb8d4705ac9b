package main

import (
	"encoding/binary"
	"fmt"
	"syscall"
)

// unit is the tiles of one thread: Intel SDM, volume 1, chapter on AMX.
type unit struct {
	configured bool
	config     [64]byte
	tiles      [8]tile
}

type tile struct {
	rows, bytes int
	data        [16][64]byte
}

// registers are the general registers by the number that instructions have for them.
type registers [16]uint64

// memory is what a thread sees. A read or write of what it may not touch is an error.
type memory interface {
	read(at uint64, to []byte) error
	write(at uint64, from []byte) error
}

// fault is why a processor would not execute an instruction.
type fault struct {
	signal syscall.Signal // what Linux makes of it
	why    string
}

func (f fault) Error() string { return fmt.Sprintf("%v: %s", f.signal, f.why) }

func undefined(format string, args ...any) error {
	return fault{syscall.SIGILL, fmt.Sprintf(format, args...)}
}

// isAMX reports whether bytes begin an instruction that execute knows.
func isAMX(code []byte) bool {
	return len(code) >= 5 && code[0] == 0xc4 && code[1]&0x1f == 2 && (code[3] == 0x49 || code[3] == 0x4b || code[3] == 0x5e)
}

// The prefixes that VEX has instead of bytes.
const (
	prefixNone = iota
	prefix66
	prefixF3
	prefixF2
)

// execute does one instruction and gives its length. Nothing has changed if there is an error.
func (u *unit) execute(code []byte, r *registers, m memory) (length int, err error) {
	if code[2]&0x84 != 0 { // W or L
		return 0, undefined("W or L is set in % x", code)
	}
	prefix, third := code[2]&3, int(^code[2]>>3&15)
	modrm := code[4]
	mode, reg, rm := modrm>>6, int(modrm>>3&7), int(modrm&7)
	if code[1]&0x80 == 0 {
		reg += 8
	}
	if mode == 3 {
		if code[1]&0x20 == 0 {
			rm += 8
		}
		return 5, u.registersOnly(code, prefix, reg, rm, third)
	}
	if third != 0 {
		return 0, undefined("vvvv is not 1111 in % x", code)
	}
	base, stride, length, err := operand(code, r)
	if err != nil {
		return 0, err
	}
	switch {
	case code[3] == 0x49 && prefix == prefixNone && modrm>>3&7 == 0:
		return length, u.load(base+stride, m)
	case code[3] == 0x49 && prefix == prefix66 && modrm>>3&7 == 0:
		config := u.config
		if !u.configured {
			config = [64]byte{}
		}
		return length, m.write(base+stride, config[:])
	case code[3] == 0x4b && prefix != prefixNone:
		if rm != 4 {
			return 0, undefined("no SIB in % x", code)
		}
		t, err := u.tile(reg)
		if err != nil {
			return 0, err
		}
		next := *t
		for row := range t.rows {
			at := base + uint64(row)*stride
			if prefix == prefixF3 {
				err = m.write(at, t.data[row][:t.bytes])
			} else {
				next.data[row] = [64]byte{}
				err = m.read(at, next.data[row][:t.bytes])
			}
			if err != nil {
				return 0, err
			}
		}
		clear(next.data[t.rows:])
		*t = next
		return length, nil
	}
	return 0, undefined("% x is no instruction", code)
}

// operand is the base with displacement and the scaled index of a memory operand, and how long the instruction is.
func operand(code []byte, r *registers) (base, index uint64, length int, err error) {
	mode, rm := code[4]>>6, int(code[4]&7)
	length = 5
	number := rm
	if rm == 4 {
		sib := code[5]
		length++
		i := int(sib >> 3 & 7)
		if code[1]&0x40 == 0 {
			i += 8
		}
		if i != 4 {
			index = r[i] << (sib >> 6)
		}
		number = int(sib & 7)
	}
	if number == 5 && mode == 0 {
		return 0, 0, 0, undefined("addresses without base registers are not emulated: % x", code)
	}
	if code[1]&0x20 == 0 {
		number += 8
	}
	base = r[number]
	switch mode {
	case 1:
		base += uint64(int64(int8(code[length])))
		length++
	case 2:
		base += uint64(int64(int32(binary.LittleEndian.Uint32(code[length:]))))
		length += 4
	}
	return base, index, length, nil
}

// load is LDTILECFG.
func (u *unit) load(at uint64, m memory) error {
	var config [64]byte
	if err := m.read(at, config[:]); err != nil {
		return err
	}
	next := unit{configured: config[0] != 0, config: config}
	protection := func(format string, args ...any) error {
		return fault{syscall.SIGSEGV, "LDTILECFG: " + fmt.Sprintf(format, args...)}
	}
	if config[0] > 1 {
		return protection("palette %d", config[0])
	}
	if config[0] == 1 {
		for i, b := range config {
			if b != 0 && (i >= 2 && i < 16 || i >= 32 && i < 48 || i >= 56) {
				return protection("byte %d is %d", i, b)
			}
		}
		for i := range next.tiles {
			t := &next.tiles[i]
			t.rows, t.bytes = int(config[48+i]), int(binary.LittleEndian.Uint16(config[16+2*i:]))
			if t.rows > 16 || t.bytes > 64 || (t.rows == 0) != (t.bytes == 0) {
				return protection("tile %d has %d rows of %d bytes", i, t.rows, t.bytes)
			}
		}
		if config[1] != 0 {
			return protection("a start in row %d is not emulated", config[1])
		}
	}
	*u = next
	return nil
}

// tile is a tile that is there.
func (u *unit) tile(i int) (*tile, error) {
	if !u.configured {
		return nil, undefined("tiles are not configured")
	}
	if i > 7 || u.tiles[i].rows == 0 || u.tiles[i].bytes%4 != 0 {
		return nil, undefined("tile %d is not there", i)
	}
	return &u.tiles[i], nil
}

func (u *unit) registersOnly(code []byte, prefix byte, reg, rm, third int) error {
	switch {
	case code[3] == 0x49 && prefix == prefixNone && code[4] == 0xc0 && third == 0:
		*u = unit{}
		return nil
	case code[3] == 0x49 && prefix == prefixF2 && rm == 0 && third == 0:
		t, err := u.tile(reg)
		if err == nil {
			t.data = [16][64]byte{}
		}
		return err
	case code[3] == 0x5e:
		return u.multiply(reg, rm, third, prefix == prefixF3 || prefix == prefixF2, prefix == prefix66 || prefix == prefixF2)
	}
	return undefined("% x is no instruction", code)
}

// multiply is TDPBUUD, TDPBUSD, TDPBSUD and TDPBSSD: to adds up a's rows times b's columns, four bytes at a time.
func (u *unit) multiply(to, a, b int, aSigned, bSigned bool) error {
	if to == a || a == b || to == b {
		return undefined("tiles %d, %d and %d are not three", to, a, b)
	}
	var t [3]*tile
	for i, number := range [3]int{to, a, b} {
		var err error
		if t[i], err = u.tile(number); err != nil {
			return err
		}
	}
	sums, left, right := t[0], t[1], t[2]
	if sums.bytes != right.bytes || sums.rows != left.rows || left.bytes/4 != right.rows {
		return undefined("%d×%d by %d×%d is no %d×%d", left.rows, left.bytes, right.rows, right.bytes, sums.rows, sums.bytes)
	}
	extend := func(x byte, signed bool) int32 {
		if signed {
			return int32(int8(x))
		}
		return int32(x)
	}
	for row := range sums.rows {
		for k := range right.rows {
			for column := range sums.bytes / 4 {
				lane := sums.data[row][4*column:]
				sum := int32(binary.LittleEndian.Uint32(lane))
				for i := range 4 {
					sum += extend(left.data[row][4*k+i], aSigned) * extend(right.data[k][4*column+i], bSigned)
				}
				binary.LittleEndian.PutUint32(lane, uint32(sum))
			}
		}
		clear(sums.data[row][sums.bytes:])
	}
	clear(sums.data[sums.rows:])
	return nil
}
