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
