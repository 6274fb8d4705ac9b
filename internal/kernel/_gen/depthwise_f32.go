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

	pixel, step := f.newLabel("pixel"), f.newLabel("tap")
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
	for i := range registers {
		// The sum is the second source, which is the result if it is NaN.
		f.op("VMAXPS", r(i), r(least), r(i))
		f.op("VMINPS", r(i), r(greatest), r(i))
		if masked {
			f.op("VMOVUPS", r(i), mask(i), at(v.bytes*i, "DI"))
		} else {
			f.op("VMOVUPS", r(i), at(v.bytes*i, "DI"))
		}
	}
	f.op("ADDQ", "R12", "DI")
	f.op("DECQ", "R14")
	f.op("JNE", pixel)
	f.op("VZEROUPPER")
	f.op("RET")
}
