package main

import "fmt"

const stripF32 = "depthwiseStripF32"

func depthwiseF32(f *file) {
	for _, registers := range []int{2, 1} {
		for _, masked := range []bool{false, true} {
			channels := 16 * registers
			name := fmt.Sprintf("depthwiseF32AVX512x%d", channels)
			doc := fmt.Sprintf("%s makes %d channels of every pixel of a strip.", name, channels)
			if masked {
				name += "Masked"
				doc = fmt.Sprintf("%s makes the channels of the strip's mask, up to %d, of every pixel of a strip.", name, channels)
			}
			f.depthwiseF32(name, doc, vectors[2], registers, masked, 0)
			name, doc = name+"Taps9", doc+" It has 9 taps."
			f.depthwiseF32(name, doc, vectors[2], registers, masked, 9)
		}
	}
	for _, registers := range []int{2, 1} {
		channels := 8 * registers
		name := fmt.Sprintf("depthwiseF32AVX2x%d", channels)
		f.depthwiseF32(name, fmt.Sprintf("%s makes %d channels of every pixel of a strip.", name, channels), vectors[1], registers, false, 0)
	}
}

// depthwiseF32 writes the kernel of some vectors of channels. With a known number of taps the weights stay in
// registers, from 8 on.
func (f *file) depthwiseF32(name, doc string, v vector, registers int, masked bool, taps int) {
	r := v.register
	width := v.bytes * registers
	const bias, least, greatest, weight = 2, 4, 5, 8
	f.function(name, "(s *depthwiseStripF32)", doc, 0, 8)
	f.op("MOVQ", "s+0(FP)", "AX")
	if masked {
		f.op("MOVL", field(stripF32, "mask", "AX"), "CX")
		f.op("KMOVW", "CX", "K1")
		if registers == 2 {
			f.op("SHRL", "$16", "CX")
			f.op("KMOVW", "CX", "K2")
		}
	}
	mask := func(i int) string { return fmt.Sprintf("K%d", i+1) }
	f.op("MOVQ", field(stripF32, "bias", "AX"), "BX")
	f.op("MOVQ", field(stripF32, "weights", "AX"), "SI")
	for i := range registers {
		f.op("VMOVUPS", at(v.bytes*i, "BX"), r(bias+i))
	}
	for i := range taps * registers {
		f.op("VMOVUPS", at(v.bytes*i, "SI"), r(weight+i))
	}
	f.op("VBROADCASTSS", field(stripF32, "least", "AX"), r(least))
	f.op("VBROADCASTSS", field(stripF32, "greatest", "AX"), r(greatest))
	f.op("MOVQ", field(stripF32, "in", "AX"), "BX")
	f.op("MOVQ", field(stripF32, "pad", "AX"), "CX")
	f.op("MOVQ", field(stripF32, "offsets", "AX"), "DX")
	f.op("MOVQ", field(stripF32, "out", "AX"), "DI")
	f.op("MOVQ", field(stripF32, "outStep", "AX"), "R12")
	f.op("MOVQ", field(stripF32, "pixels", "AX"), "R14")

	pixel, step, done := f.newLabel("pixel"), f.newLabel("tap"), f.newLabel("done")
	// pointer finds the input of a tap.
	pointer := func(tap int, to string) {
		f.op("MOVLQSX", at(4*tap, "DX"), to)
		f.op("TESTQ", to, to)
		f.op("LEAQ", "(BX)("+to+"*4)", to)
		f.op("CMOVQLT", "CX", to)
	}
	multiply := func(i int, from, weight string) {
		if masked {
			f.op("VFMADD231PS", at(v.bytes*i, from), weight, mask(i), r(i))
		} else {
			f.op("VFMADD231PS", at(v.bytes*i, from), weight, r(i))
		}
	}
	// finish limits and writes the sums that begin with a register.
	finish := func(sum int) {
		for i := range registers {
			// The sum is the second source, which is the result if it is NaN.
			f.op("VMAXPS", r(sum+i), r(least), r(sum+i))
			f.op("VMINPS", r(sum+i), r(greatest), r(sum+i))
			if masked {
				f.op("VMOVUPS", r(sum+i), mask(i), at(v.bytes*i, "DI"))
			} else {
				f.op("VMOVUPS", r(sum+i), at(v.bytes*i, "DI"))
			}
		}
		f.op("ADDQ", "R12", "DI")
	}
	if taps == 0 {
		f.depthwisePixels(v, registers, func(sum, i int, from string) {
			if masked {
				f.op("VFMADD231PS", at(v.bytes*i, from), r(weight+i), mask(i), r(sum))
			} else {
				f.op("VFMADD231PS", at(v.bytes*i, from), r(weight+i), r(sum))
			}
		}, finish, bias, weight, done)
	}
	f.place(pixel)
	for i := range registers {
		f.op("VMOVAPS", r(bias+i), r(i))
	}
	if taps > 0 {
		pointers := []string{"R8", "R9", "R10", "R11"}
		for tap := range taps {
			p := pointers[tap%4]
			pointer(tap, p)
			for i := range registers {
				multiply(i, p, r(weight+tap*registers+i))
			}
		}
		f.op("ADDQ", fmt.Sprintf("$%d", 4*taps), "DX")
	} else {
		f.op("MOVQ", field(stripF32, "weights", "AX"), "SI")
		f.op("MOVQ", field(stripF32, "taps", "AX"), "R13")
		f.place(step)
		pointer(0, "R8")
		for i := range registers {
			f.op("VMOVUPS", at(v.bytes*i, "SI"), r(weight+i))
			multiply(i, "R8", r(weight+i))
		}
		f.op("ADDQ", "$4", "DX")
		f.op("ADDQ", fmt.Sprintf("$%d", width), "SI")
		f.op("DECQ", "R13")
		f.op("JNE", step)
	}
	finish(0)
	f.op("DECQ", "R14")
	f.op("JNE", pixel)
	if taps == 0 {
		f.place(done)
	}
	f.op("VZEROUPPER")
	f.op("RET")
}

// depthwisePixels writes a loop over groups of pixels, as many as there are registers for: their sums do not wait for
// each other, and weights are read once for all of them. Pixels that are left, fewer than a group, are left to what
// follows; if there are none it goes to done. R15 is the bytes from one pixel's offsets to the next one's, R10 three
// times as many.
func (f *file) depthwisePixels(v vector, registers int, multiply func(sum, i int, from string), finish func(sum int), bias, weight int, done string) {
	pixels, sums := 3, 10
	if v.bytes == 64 {
		pixels, sums = 4, 16
	}
	group, step, rest := f.newLabel("group"), f.newLabel("tap"), f.newLabel("rest")
	f.op("MOVQ", field(stripF32, "taps", "AX"), "R15")
	f.op("SHLQ", "$2", "R15")
	f.op("LEAQ", "(R15)(R15*2)", "R10")
	f.place(group)
	f.op("CMPQ", "R14", fmt.Sprintf("$%d", pixels))
	f.op("JLT", rest)
	for p := range pixels {
		for i := range registers {
			f.op("VMOVAPS", v.register(bias+i), v.register(sums+p*registers+i))
		}
	}
	f.op("MOVQ", field(stripF32, "weights", "AX"), "SI")
	f.op("MOVQ", field(stripF32, "taps", "AX"), "R13")
	f.place(step)
	for i := range registers {
		f.op("VMOVUPS", at(v.bytes*i, "SI"), v.register(weight+i))
	}
	for p := range pixels {
		f.op("MOVLQSX", []string{"(DX)", "(DX)(R15*1)", "(DX)(R15*2)", "(DX)(R10*1)"}[p], "R8")
		f.op("TESTQ", "R8", "R8")
		f.op("LEAQ", "(BX)(R8*4)", "R8")
		f.op("CMOVQLT", "CX", "R8")
		for i := range registers {
			multiply(sums+p*registers+i, i, "R8")
		}
	}
	f.op("ADDQ", "$4", "DX")
	f.op("ADDQ", fmt.Sprintf("$%d", v.bytes*registers), "SI")
	f.op("DECQ", "R13")
	f.op("JNE", step)
	for p := range pixels {
		finish(sums + p*registers)
	}
	if pixels == 4 {
		f.op("ADDQ", "R10", "DX")
	} else {
		f.op("LEAQ", "(DX)(R15*2)", "DX")
	}
	f.op("SUBQ", fmt.Sprintf("$%d", pixels), "R14")
	f.op("JMP", group)
	f.place(rest)
	f.op("TESTQ", "R14", "R14")
	f.op("JEQ", done)
}
