package main

import "fmt"

// Instructions that the Go assembler does not know, by their bytes.

// vpdpbusd is the VEX form of VPDPBUSD on 256-bit registers, for processors with AVX-VNNI but without AVX-512: the
// assembler knows the EVEX form only. It adds to each 32-bit lane of sum the products of the four u8 codes and the four
// s8 weights there. Encoding: VEX.256.66.0F38.W0 50 /r (Intel SDM, volume 2).
func (f *file) vpdpbusd(weights, codes, sum int) {
	inverted := func(register, bit int) byte { return byte(^register>>3&1) << bit }
	f.bytes(fmt.Sprintf("VPDPBUSD %s, %s, %s", y(weights), y(codes), y(sum)),
		0xc4,
		inverted(sum, 7)|1<<6|inverted(weights, 5)|2, // R, X, B inverted; map 0F38
		byte(^codes&15)<<3|1<<2|1,                    // W 0; vvvv inverted; L 256 bits; prefix 66
		0x50,
		byte(3<<6|sum&7<<3|weights&7))
}

// word writes one arm64 instruction that the assembler does not know.
func (f *file) word(code uint32, format string, args ...any) {
	fmt.Fprintf(&f.text, "\tWORD $%#08x // %s\n", code, fmt.Sprintf(format, args...))
}

// sdotLane adds to each 32-bit lane of sum the products of the four s8 weights there and the first four codes.
func (f *file) sdotLane(weights, codes, sum int) {
	f.word(0x4f80e000|uint32(codes<<16|weights<<5|sum), "sdot v%d.4s, v%d.16b, v%d.4b[0]", sum, weights, codes)
}

// mmla adds to the four 32-bit lanes of sum the products of two rows of eight codes, s8 or u8, and two columns of eight
// s8 weights: the first row with both columns, then the second.
func (f *file) mmla(unsigned bool, codes, weights, sum int) {
	code, name := uint32(0x4e80a400), "smmla"
	if unsigned {
		code, name = 0x4e80ac00, "usmmla"
	}
	f.word(code|uint32(weights<<16|codes<<5|sum), "%s v%d.4s, v%d.16b, v%d.16b", name, sum, codes, weights)
}

// smull multiplies the low, or high, eight signed bytes of two registers to 16 bits.
func (f *file) smull(high bool, a, b, to int) {
	code, name, lanes := uint32(0x0e20c000), "smull", "8b"
	if high {
		code, name, lanes = 0x4e20c000, "smull2", "16b"
	}
	f.word(code|uint32(b<<16|a<<5|to), "%s v%d.8h, v%d.%s, v%d.%s", name, to, a, lanes, b, lanes)
}

// sadalp adds pairs of signed 16-bit lanes to the 32-bit lanes of sum.
func (f *file) sadalp(from, sum int) {
	f.word(0x4e606800|uint32(from<<5|sum), "sadalp v%d.4s, v%d.8h", sum, from)
}

// AMX: Intel SDM, volume 2. Prefixes of a VEX encoding: none, 66, F3, F2.
const (
	vexNone = iota
	vex66
	vexF3
	vexF2
)

// vexMemory writes an instruction of map 0F38 with a tile and memory at base + index + displacement.
func (f *file) vexMemory(name string, prefix, opcode byte, tile int, base, index string, displacement int8, load bool) {
	number := map[string]int{"AX": 0, "CX": 1, "DX": 2, "BX": 3, "SI": 6, "DI": 7}
	for i := 8; i < 16; i++ {
		number[fmt.Sprintf("R%d", i)] = i
	}
	b, x := number[base], number[index]
	clear := func(register, bit int) byte { return byte(^register>>3&1) << bit }
	code := []byte{0xc4, 1<<7 | clear(x, 6) | clear(b, 5) | 2, 15<<3 | prefix, opcode,
		1<<6 | byte(tile)<<3 | 4, byte(x&7)<<3 | byte(b&7), byte(displacement)}
	memory := fmt.Sprintf("%d(%s)(%s*1)", displacement, base, index)
	if load {
		f.bytes(fmt.Sprintf("%s %s, T%d", name, memory, tile), code...)
	} else {
		f.bytes(fmt.Sprintf("%s T%d, %s", name, tile, memory), code...)
	}
}

func (f *file) tileLoad(base, index string, displacement int8, tile int) {
	f.vexMemory("TILELOADD", vexF2, 0x4b, tile, base, index, displacement, true)
}

func (f *file) tileStore(tile int, base, index string, displacement int8) {
	f.vexMemory("TILESTORED", vexF3, 0x4b, tile, base, index, displacement, false)
}

func (f *file) tileZero(tile int) {
	f.bytes(fmt.Sprintf("TILEZERO T%d", tile), 0xc4, 0xe2, 15<<3|vexF2, 0x49, 3<<6|byte(tile)<<3)
}

// tileConfig loads the configuration at (AX).
func (f *file) tileConfig() { f.bytes("LDTILECFG (AX)", 0xc4, 0xe2, 15<<3|vexNone, 0x49, 0) }

func (f *file) tileRelease() { f.bytes("TILERELEASE", 0xc4, 0xe2, 15<<3|vexNone, 0x49, 0xc0) }

// tileProduct adds products of codes, u8 or s8, and s8 weights to the sums.
func (f *file) tileProduct(signed bool, weights, codes, sums int) {
	name, prefix := "TDPBUSD", byte(vex66)
	if signed {
		name, prefix = "TDPBSSD", vexF2
	}
	f.bytes(fmt.Sprintf("%s T%d, T%d, T%d", name, weights, codes, sums),
		0xc4, 0xe2, byte(^weights&15)<<3|prefix, 0x5e, 3<<6|byte(sums)<<3|byte(codes))
}

// unary writes an instruction on 32-bit lanes of one register.
func (f *file) unaryS4(code uint32, name string, from, to int) {
	f.word(code|uint32(from<<5|to), "%s v%d.4s, v%d.4s", name, to, from)
}

func (f *file) scvtf(from, to int)  { f.unaryS4(0x4e21d800, "scvtf", from, to) }
func (f *file) fcvtns(from, to int) { f.unaryS4(0x4e21a800, "fcvtns", from, to) }

func (f *file) fmul(a, b, to int) {
	f.word(0x6e20dc00|uint32(b<<16|a<<5|to), "fmul v%d.4s, v%d.4s, v%d.4s", to, a, b)
}

func (f *file) sqadd(a, b, to int) {
	f.word(0x4e600c00|uint32(b<<16|a<<5|to), "sqadd v%d.8h, v%d.8h, v%d.8h", to, a, b)
}

// sqxtn saturates 32-bit lanes to 16 bits, into the low half of a register or the high one.
func (f *file) sqxtn(high bool, from, to int) {
	code, name, lanes := uint32(0x0e614800), "sqxtn", "4h"
	if high {
		code, name, lanes = 0x4e614800, "sqxtn2", "8h"
	}
	f.word(code|uint32(from<<5|to), "%s v%d.%s, v%d.4s", name, to, lanes, from)
}

// sqxtun saturates signed 16-bit lanes to unsigned bytes.
func (f *file) sqxtun(high bool, from, to int) {
	code, name, lanes := uint32(0x2e212800), "sqxtun", "8b"
	if high {
		code, name, lanes = 0x6e212800, "sqxtun2", "16b"
	}
	f.word(code|uint32(from<<5|to), "%s v%d.%s, v%d.8h", name, to, lanes, from)
}
