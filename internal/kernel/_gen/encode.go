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
