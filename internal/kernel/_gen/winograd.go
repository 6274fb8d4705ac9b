package main

import "fmt"

// The transforms of Winograd's convolution (Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2015,
// section 4), F(2×2, 3×3) and F(4×4, 3×3), 16 channels at a time. Both go over the columns of a tile first, to scratch
// memory, then over the lines of that.

const (
	winogradIn  = "winogradInput"
	winogradOut = "winogradOutput"
)

func winograd(f *file) {
	f.constant("winogradFactors", 0x40800000, 0x40a00000, 0x40000000, 0x41000000)
	for _, out := range []int{2, 4} {
		f.winogradInput(out)
		f.winogradOutput(out)
	}
}

// Registers of factors, which no pass writes.
const (
	four  = 28
	five  = 29
	two   = 30
	eight = 31
)

func (f *file) winogradFactors() {
	for i, r := range []int{four, five, two, eight} {
		f.op("VBROADCASTSS", fmt.Sprintf("winogradFactors<>+%d(SB)", 4*i), z(r))
	}
}

// line4 makes 6 values in registers 6 to 11 of those in 0 to 5: Bᵀ of F(4×4, 3×3).
func (f *file) line4() {
	f.comment("6 = 4·d0 − 5·d2 + d4; 11 = 4·d1 − 5·d3 + d5")
	f.op("VMOVAPS", z(4), z(6))
	f.op("VMOVAPS", z(5), z(11))
	f.op("VFMADD231PS", z(four), z(0), z(6))
	f.op("VFMADD231PS", z(four), z(1), z(11))
	f.op("VFNMADD231PS", z(five), z(2), z(6))
	f.op("VFNMADD231PS", z(five), z(3), z(11))
	f.comment("a = d4 − 4·d2, b = d3 − 4·d1; 7 = a + b, 8 = a − b")
	f.op("VMOVAPS", z(4), z(12))
	f.op("VMOVAPS", z(3), z(13))
	f.op("VFNMADD231PS", z(four), z(2), z(12))
	f.op("VFNMADD231PS", z(four), z(1), z(13))
	f.op("VADDPS", z(13), z(12), z(7))
	f.op("VSUBPS", z(13), z(12), z(8))
	f.comment("a = d4 − d2, b = d3 − d1; 9 = a + 2·b, 10 = a − 2·b")
	f.op("VSUBPS", z(2), z(4), z(9))
	f.op("VSUBPS", z(1), z(3), z(13))
	f.op("VMOVAPS", z(9), z(10))
	f.op("VFMADD231PS", z(two), z(13), z(9))
	f.op("VFNMADD231PS", z(two), z(13), z(10))
}

// line2 makes 4 values in registers 6 to 9 of those in 0 to 3: Bᵀ of F(2×2, 3×3).
func (f *file) line2() {
	f.op("VSUBPS", z(2), z(0), z(6))
	f.op("VADDPS", z(2), z(1), z(7))
	f.op("VSUBPS", z(1), z(2), z(8))
	f.op("VSUBPS", z(3), z(1), z(9))
}

// winogradInput writes the transform of tiles of the input that are next to each other. AX is the argument, BX the
// input at a block of channels, CX zeros, DX where the pixels of a tile are, DI the place in the result, SI the bytes
// between its planes, R9 scratch memory; R10 is the first tile's input and R11 counts tiles, R12 channels.
func (f *file) winogradInput(out int) {
	in := out + 2
	name := fmt.Sprintf("winogradInput%dAVX512", out)
	f.function(name, "(s *winogradInput)", fmt.Sprintf("%s makes %d planes of tiles of %d×%d pixels.", name, in*in, in, in), 0, 8)
	f.op("MOVQ", "s+0(FP)", "AX")
	f.op("MOVQ", field(winogradIn, "in", "AX"), "R10")
	f.op("MOVQ", field(winogradIn, "pad", "AX"), "CX")
	f.op("MOVQ", field(winogradIn, "offsets", "AX"), "DX")
	f.op("MOVQ", field(winogradIn, "planes", "AX"), "DI")
	f.op("MOVQ", field(winogradIn, "planeStep", "AX"), "SI")
	f.op("MOVQ", field(winogradIn, "scratch", "AX"), "R9")
	f.op("MOVQ", field(winogradIn, "tiles", "AX"), "R11")
	if out == 4 {
		f.winogradFactors()
	}
	line := f.line2
	if out == 4 {
		line = f.line4
	}
	tile, block, whole := f.newLabel("tile"), f.newLabel("block"), f.newLabel("whole")
	f.place(tile)
	f.op("MOVQ", "R10", "BX")
	f.op("MOVQ", field(winogradIn, "channels", "AX"), "R12")
	f.place(block)
	f.op("MOVL", "$-1", "R8")
	f.op("CMPQ", "R12", "$16")
	f.op("JGE", whole)
	f.comment("the last channels, fewer than 16")
	f.op("MOVQ", "CX", "R13")
	f.op("MOVQ", "R12", "CX")
	f.op("SHLL", "CX", "R8")
	f.op("NOTL", "R8")
	f.op("MOVQ", "R13", "CX")
	f.place(whole)
	f.op("KMOVW", "R8", "K1")
	for x := range in {
		f.comment("column %d", x)
		for y := range in {
			f.op("MOVQ", at(8*(y*in+x), "DX"), "R8")
			f.op("TESTQ", "R8", "R8")
			f.op("LEAQ", "(BX)(R8*4)", "R8")
			f.op("CMOVQLT", "CX", "R8")
			f.op("VMOVUPS.Z", "(R8)", "K1", z(y))
		}
		line()
		for y := range in {
			f.op("VMOVUPS", z(6+y), at(64*(y*in+x), "R9"))
		}
	}
	f.op("MOVQ", "DI", "R8")
	for y := range in {
		f.comment("line %d", y)
		for x := range in {
			f.op("VMOVUPS", at(64*(y*in+x), "R9"), z(x))
		}
		line()
		for x := range in {
			f.op("VMOVUPS", z(6+x), "K1", "(R8)")
			f.op("ADDQ", "SI", "R8")
		}
	}
	f.op("ADDQ", "$64", "BX")
	f.op("ADDQ", "$64", "DI")
	f.op("SUBQ", "$16", "R12")
	f.op("JG", block)
	f.comment("back by the channels that the last block did not have")
	f.op("LEAQ", "(DI)(R12*4)", "DI")
	f.op("ADDQ", field(winogradIn, "tileStep", "AX"), "R10")
	f.op("DECQ", "R11")
	f.op("JNE", tile)
	f.op("VZEROUPPER")
	f.op("RET")
}

// points4 makes 4 values in registers 6 to 9 of those in 0 to 5: Aᵀ of F(4×4, 3×3).
func (f *file) points4() {
	f.op("VADDPS", z(2), z(1), z(10))
	f.op("VSUBPS", z(2), z(1), z(7))
	f.op("VADDPS", z(4), z(3), z(11))
	f.op("VSUBPS", z(4), z(3), z(12))
	f.op("VADDPS", z(10), z(0), z(6))
	f.op("VADDPS", z(5), z(7), z(9))
	f.op("VMOVAPS", z(10), z(8))
	f.op("VADDPS", z(11), z(6), z(6))
	f.op("VFMADD231PS", z(two), z(12), z(7))
	f.op("VFMADD231PS", z(four), z(11), z(8))
	f.op("VFMADD231PS", z(eight), z(12), z(9))
}

// points2 makes 2 values in registers 6 and 7 of those in 0 to 3: Aᵀ of F(2×2, 3×3).
func (f *file) points2() {
	f.op("VADDPS", z(1), z(0), z(6))
	f.op("VSUBPS", z(2), z(1), z(7))
	f.op("VADDPS", z(2), z(6), z(6))
	f.op("VSUBPS", z(3), z(7), z(7))
}

// winogradOutput writes the transform of the products of tiles that are next to each other, of two vectors of columns:
// bias and limits, and what becomes of values that are not finite: they are reported. AX is the argument, BX the
// product, DI the output, DX where the pixels of a tile are, CX memory that is not needed, SI the bytes between planes,
// R12 between lines of them, R10 a column of planes, R9 scratch memory, R11 counts tiles. Registers 19 and 20 are 0 times all results, 21 and 22 the bias, 23 and 24 the limits, 25
// is zero.
func (f *file) winogradOutput(out int) {
	in := out + 2
	name := fmt.Sprintf("winogradOutput%dAVX512", out)
	f.function(name, "(s *winogradOutput)", fmt.Sprintf("%s makes tiles of %d×%d pixels of %d planes.", name, out, out, in*in), 0, 8)
	f.op("MOVQ", "s+0(FP)", "AX")
	f.masks512(winogradOut, 2)
	f.op("MOVQ", field(winogradOut, "bias", "AX"), "R8")
	for v := range 2 {
		f.op("VMOVUPS", at(64*v, "R8"), z(21+v))
	}
	f.op("VBROADCASTSS", field(winogradOut, "least", "AX"), z(23))
	f.op("VBROADCASTSS", field(winogradOut, "greatest", "AX"), z(24))
	f.op("VPXORD", z(25), z(25), z(25))
	for v := range 2 {
		f.op("VPXORD", z(19+v), z(19+v), z(19+v))
	}
	f.op("MOVQ", field(winogradOut, "planes", "AX"), "BX")
	f.op("MOVQ", field(winogradOut, "planeStep", "AX"), "SI")
	f.op("LEAQ", "(SI)(SI*1)", "R12")
	if out == 4 {
		f.op("ADDQ", "SI", "R12")
	}
	f.op("ADDQ", "R12", "R12")
	f.op("MOVQ", field(winogradOut, "unused", "AX"), "CX")
	f.op("MOVQ", field(winogradOut, "offsets", "AX"), "DX")
	f.op("MOVQ", field(winogradOut, "out", "AX"), "DI")
	f.op("MOVQ", field(winogradOut, "scratch", "AX"), "R9")
	f.op("MOVQ", field(winogradOut, "tiles", "AX"), "R11")
	points := f.points2
	if out == 4 {
		f.winogradFactors()
		points = f.points4
	}
	tile := f.newLabel("tile")
	f.place(tile)
	for v := range 2 {
		f.comment("vector %d: planes to scratch memory", v)
		f.op("LEAQ", at(64*v, "BX"), "R10")
		for x := range in {
			f.op("MOVQ", "R10", "R8")
			f.op("ADDQ", "SI", "R10")
			for y := range in {
				f.op("VMOVUPS", "(R8)", z(y))
				f.op("ADDQ", "R12", "R8")
			}
			points()
			for y := range out {
				f.op("VMOVUPS", z(6+y), at(64*(y*in+x), "R9"))
			}
		}
		for y := range out {
			f.comment("line %d", y)
			for x := range in {
				f.op("VMOVUPS", at(64*(y*in+x), "R9"), z(x))
			}
			points()
			for x := range out {
				r := z(6 + x)
				f.op("VADDPS", z(21+v), r, r)
				f.op("VFMADD231PS", z(25), r, column(v), z(19+v))
				f.op("MOVQ", at(8*(y*out+x), "DX"), "R8")
				f.op("TESTQ", "R8", "R8")
				f.op("LEAQ", "(DI)(R8*4)", "R8")
				f.op("CMOVQLT", "CX", "R8")
				f.op("VMAXPS", r, z(23), r)
				f.op("VMINPS", r, z(24), r)
				f.op("VMOVUPS", r, column(v), at(64*v, "R8"))
			}
		}
	}
	f.op("ADDQ", "$128", "BX")
	f.op("ADDQ", field(winogradOut, "tileStep", "AX"), "DI")
	f.op("DECQ", "R11")
	f.op("JNE", tile)
	for v := range 2 {
		f.op("VCMPPS", "$3", z(19+v), z(19+v), column(v))
		f.op("KMOVW", column(v), []string{"CX", "R8"}[v])
	}
	f.op("SHLL", "$16", "R8")
	f.op("ORL", "R8", "CX")
	f.op("MOVL", "CX", field(winogradOut, "notFinite", "AX"))
	f.op("VZEROUPPER")
	f.op("RET")
}
