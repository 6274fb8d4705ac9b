package main

import "fmt"

// The kernels of arm64 for strips; see depthwise.go. R0 is the strip, R1 the input, R2 the padding, R3 offsets, R4 the
// output, R5 bytes between its pixels, R6 pixels left, R7 taps, R8 weights, R9 taps left, R10 and R11 a tap's input.
func depthwiseARM64(f *file) {
	f.depthwiseInt8ARM64()
	for _, registers := range []int{4, 2} {
		f.depthwiseF32ARM64(registers)
	}
}

// stripARM64 writes the loops over the pixels of a strip and their taps: begin sets the sums, multiply adds the products
// of the tap at (R11) and the weights at (R8), end stores the pixel at (R4). elementShift says how long an element is.
func (f *file) stripARM64(structure, steps string, elementShift int, begin, multiply, end func()) {
	for i, name := range []string{"in", "pad", "offsets", "out", "outStep", "pixels", steps} {
		f.op("MOVD", field(structure, name, "R0"), fmt.Sprintf("R%d", 1+i))
	}
	pixel, tap := f.newLabel("pixel"), f.newLabel("tap")
	f.place(pixel)
	f.op("MOVD", field(structure, "weights", "R0"), "R8")
	f.op("MOVD", "R7", "R9")
	begin()
	f.place(tap)
	f.op("MOVW.P", "4(R3)", "R10")
	f.op("ADD", fmt.Sprintf("R10<<%d", elementShift), "R1", "R11")
	f.op("CMP", "$0", "R10")
	f.op("CSEL", "LT", "R2", "R11", "R11")
	multiply()
	f.op("SUBS", "$1", "R9", "R9")
	f.op("BNE", tap)
	end()
	f.op("ADD", "R5", "R4", "R4")
	f.op("SUBS", "$1", "R6", "R6")
	f.op("BNE", pixel)
	f.op("RET")
}

// depthwiseF32ARM64: sums 0–3, bias 4–7, input 16–19, weights 20–23, limits 24 and 25.
func (f *file) depthwiseF32ARM64(registers int) {
	name := fmt.Sprintf("depthwiseF32NEONx%d", 4*registers)
	f.function(name, "(s *depthwiseStripF32)", fmt.Sprintf("%s makes %d channels of every pixel of a strip.", name, 4*registers), 0, 8)
	f.op("MOVD", "s+0(FP)", "R0")
	f.op("MOVD", field(stripF32, "bias", "R0"), "R8")
	f.op("VLD1", "(R8)", vs(4, registers, "S4"))
	for i, limit := range []string{"least", "greatest"} {
		f.op("MOVWU", field(stripF32, limit, "R0"), "R8")
		f.op("VDUP", "R8", v(24+i, "S4"))
	}
	f.stripARM64(stripF32, "taps", 2, func() {
		for i := range registers {
			f.op("VMOV", v(4+i, "B16"), v(i, "B16"))
		}
	}, func() {
		f.op("VLD1", "(R11)", vs(16, registers, "S4"))
		f.op("VLD1.P", fmt.Sprintf("%d(R8)", 16*registers), vs(20, registers, "S4"))
		for i := range registers {
			f.op("VFMLA", v(20+i, "S4"), v(16+i, "S4"), v(i, "S4"))
		}
	}, func() {
		for i := range registers {
			f.threeSame(0x4e20f400, "fmax", "4s", i, 24, i)
			f.threeSame(0x4ea0f400, "fmin", "4s", i, 25, i)
		}
		f.op("VST1", vs(0, registers, "S4"), "(R4)")
	})
}

// depthwiseInt8ARM64 multiplies codes and weights of 16 bits: sums 0–3, bias 4–7, multipliers 8–11, flip 12, the output's
// zero point 13 and limits 14 and 15, codes 16–18, weights 20 and 21.
func (f *file) depthwiseInt8ARM64() {
	f.function("depthwiseInt8NEONx16", "(s *depthwiseStrip)", "depthwiseInt8NEONx16 makes 16 channels of every pixel of a strip.", 0, 8)
	f.op("MOVD", "s+0(FP)", "R0")
	for i, name := range []string{"bias", "sums", "multiplier"} {
		f.op("MOVD", field(strip, name, "R0"), "R8")
		f.op("VLD1", "(R8)", vs([]int{4, 16, 8}[i], 4, "S4"))
	}
	for i, name := range []string{"flip", "zeroPoints", "lowest", "highest", "zero"} {
		f.op("MOVWU", field(strip, name, "R0"), "R8")
		f.op("VDUP", "R8", v(12+i+i/4*4, "S4")) // the last to 20
	}
	for i := range 4 {
		f.threeSame(0x4ea09c00, "mul", "4s", 16+i, 16+i, 20)
		f.op("VSUB", v(16+i, "S4"), v(4+i, "S4"), v(4+i, "S4"))
	}
	f.stripARM64(strip, "steps", 0, func() {
		for i := range 4 {
			f.op("VMOV", v(4+i, "B16"), v(i, "B16"))
		}
	}, func() {
		f.op("VLD1", "(R11)", vs(16, 1, "B16"))
		f.op("VLD1.P", "32(R8)", vs(20, 2, "H8"))
		f.op("VEOR", v(12, "B16"), v(16, "B16"), v(16, "B16"))
		f.op("VUXTL", v(16, "B8"), v(17, "H8"))
		f.op("VUXTL2", v(16, "B16"), v(18, "H8"))
		for i := range 4 {
			if i%2 == 0 {
				f.word(0x0e608000|uint32((20+i/2)<<16|(17+i/2)<<5|i), "smlal v%d.4s, v%d.4h, v%d.4h", i, 17+i/2, 20+i/2)
			} else {
				f.word(0x4e608000|uint32((20+i/2)<<16|(17+i/2)<<5|i), "smlal2 v%d.4s, v%d.8h, v%d.8h", i, 17+i/2, 20+i/2)
			}
		}
	}, func() {
		sums, next := f.newLabel("sums"), f.newLabel("next")
		f.op("MOVBU", field(strip, "exact", "R0"), "R10")
		f.op("CBNZ", "R10", sums)
		for i := range 4 {
			f.twoMisc(0x4e21d800, "scvtf", i, "4s", i, "4s")
			f.threeSame(0x6e20dc00, "fmul", "4s", i, i, 8+i)
		}
		f.codesARM64(strip)
		f.op("VST1", vs(0, 1, "B16"), "(R4)")
		f.op("B", next)
		f.place(sums)
		f.op("VST1", vs(0, 4, "S4"), "(R4)")
		f.place(next)
	})
}

// threeSame writes an instruction on three registers of the same lanes: to = a ∘ b.
func (f *file) threeSame(code uint32, name, lanes string, to, a, b int) {
	f.word(code|uint32(b<<16|a<<5|to), "%s v%d.%s, v%d.%s, v%d.%s", name, to, lanes, a, lanes, b, lanes)
}

// twoMisc writes an instruction on two registers.
func (f *file) twoMisc(code uint32, name string, to int, lanesTo string, from int, lanesFrom string) {
	f.word(code|uint32(from<<5|to), "%s v%d.%s, v%d.%s", name, to, lanesTo, from, lanesFrom)
}
