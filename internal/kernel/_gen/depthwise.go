package main

import "fmt"

const strip = "depthwiseStrip"

func depthwiseInt8(f *file) {
	for _, v := range vectors {
		for _, masked := range []bool{false, true} {
			name := fmt.Sprintf("depthwiseInt8AVX512VNNIx%d", v.bytes)
			doc := fmt.Sprintf("%s makes %d channels of every pixel of a strip.", name, v.bytes)
			if masked {
				name += "Masked"
				doc = fmt.Sprintf("%s makes the channels of the strip's mask, up to %d, of every pixel of a strip.", name, v.bytes)
			}
			f.depthwiseInt8(name, doc, v, masked, true)
		}
	}
	for _, v := range vectors[:2] {
		name := fmt.Sprintf("depthwiseInt8AVX2x%d", v.bytes)
		f.depthwiseInt8(name, fmt.Sprintf("%s makes %d channels of every pixel of a strip.", name, v.bytes), v, false, false)
	}
}

// depthwiseInt8 writes the kernel of one vector of channels. A step takes 4 taps (vnni) or 2: their codes are
// interleaved, so that each 32-bit element holds the codes of one channel, which VPDPBUSD or, widened to 16 bits,
// VPMADDWD multiplies and adds. Interleaving works in 128-bit lanes: sum j has channels 4j … 4j+3 of each 16. Packing
// the sums to bytes, also in lanes, puts them in order again.
//
// Registers: sums 0–3, codes 4–7, interleaved 8–11; bias 12–15 (vnni: 16–19), multipliers (vnni) 20–23; constants.
func (f *file) depthwiseInt8(name, doc string, v vector, masked, vnni bool) {
	r := v.register
	taps := 2
	if vnni {
		taps = 4
	}
	lanes := v.bytes / 16
	frame := 0
	if !vnni {
		frame = 4 * v.bytes // the multipliers
	}
	f.function(name, "(s *depthwiseStrip)", doc, frame, 8)
	f.op("MOVQ", "s+0(FP)", "AX")
	bias, multiplier := 12, 20
	flip, zero := 24, 29
	constants := [4]int{25, 26, 27, 28}
	if vnni {
		bias = 16
	} else {
		flip, zero = 11, 10
	}

	// gather loads the elements of 16 channels in each lane that belong to sum j.
	gather := func(from string, j, to int) {
		f.op("VMOVDQU"+choose(vnni, "32", ""), at(16*j, from), x(to))
		for lane := 1; lane < lanes; lane++ {
			if vnni && v.bytes == 64 {
				f.op("VINSERTI32X4", fmt.Sprintf("$%d", lane), at(64*lane+16*j, from), r(to), r(to))
			} else if vnni {
				f.op("VINSERTI32X4", fmt.Sprintf("$%d", lane), at(64*lane+16*j, from), r(to), r(to))
			} else {
				f.op("VINSERTI128", fmt.Sprintf("$%d", lane), at(64*lane+16*j, from), r(to), r(to))
			}
		}
	}
	if masked {
		f.op("MOVQ", field(strip, "mask", "AX"), "CX")
		f.op("KMOVQ", "CX", "K1")
	}
	f.comment("bias − zero point·Σ weights")
	f.op("MOVQ", field(strip, "bias", "AX"), "BX")
	f.op("MOVQ", field(strip, "sums", "AX"), "CX")
	f.op("VPBROADCASTD", field(strip, "zero", "AX"), r(5))
	for j := range 4 {
		gather("CX", j, 4)
		gather("BX", j, bias+j)
		f.op("VPMULLD", r(5), r(4), r(4))
		f.op("VPSUBD", r(4), r(bias+j), r(bias+j))
	}
	f.op("MOVQ", field(strip, "multiplier", "AX"), "BX")
	for j := range 4 {
		if vnni {
			gather("BX", j, multiplier+j)
		} else {
			gather("BX", j, 4)
			f.op("VMOVDQU", r(4), fmt.Sprintf("multiplier%d-%d(SP)", j, (4-j)*v.bytes))
		}
	}
	f.op("VPBROADCASTD", field(strip, "flip", "AX"), r(flip))
	if vnni {
		f.loadCodes(strip, v, constants)
	}
	f.op("MOVQ", field(strip, "in", "AX"), "BX")
	f.op("MOVQ", field(strip, "pad", "AX"), "CX")
	f.op("MOVQ", field(strip, "offsets", "AX"), "DX")
	f.op("MOVQ", field(strip, "out", "AX"), "DI")
	f.op("MOVQ", field(strip, "pixels", "AX"), "R14")

	pixel, step, sums, next := f.newLabel("pixel"), f.newLabel("step"), f.newLabel("sums"), f.newLabel("next")
	f.place(pixel)
	f.op("MOVQ", field(strip, "weights", "AX"), "SI")
	f.op("MOVQ", field(strip, "steps", "AX"), "R13")
	for j := range 4 {
		f.op("VMOVDQA"+choose(vnni, "64", ""), r(bias+j), r(j))
	}
	if !vnni {
		f.op("VPXOR", r(zero), r(zero), r(zero))
	}
	f.place(step)
	pointers := []string{"R8", "R9", "R10", "R11"}[:taps]
	for i, p := range pointers {
		f.op("MOVLQSX", at(4*i, "DX"), p)
	}
	for _, p := range pointers {
		f.op("TESTQ", p, p)
		f.op("LEAQ", "(BX)("+p+"*1)", p)
		f.op("CMOVQLT", "CX", p)
	}
	for i, p := range pointers {
		switch {
		case masked:
			f.op("VMOVDQU8.Z", at(0, p), "K1", r(4+i))
			f.op("VPXORD", r(flip), r(4+i), r(4+i))
		case vnni:
			f.op("VPXORD", at(0, p), r(flip), r(4+i))
		default:
			f.op("VPXOR", at(0, p), r(flip), r(4+i))
		}
	}
	if vnni {
		f.op("VPUNPCKLBW", r(5), r(4), r(8))
		f.op("VPUNPCKHBW", r(5), r(4), r(9))
		f.op("VPUNPCKLBW", r(7), r(6), r(10))
		f.op("VPUNPCKHBW", r(7), r(6), r(11))
		f.op("VPUNPCKLWD", r(10), r(8), r(4))
		f.op("VPUNPCKHWD", r(10), r(8), r(5))
		f.op("VPUNPCKLWD", r(11), r(9), r(6))
		f.op("VPUNPCKHWD", r(11), r(9), r(7))
		for j := range 4 {
			f.op("VPDPBUSD", at(v.bytes*j, "SI"), r(4+j), r(j))
		}
	} else {
		f.op("VPUNPCKLBW", r(5), r(4), r(8))
		f.op("VPUNPCKHBW", r(5), r(4), r(9))
		f.op("VPUNPCKLBW", r(zero), r(8), r(4))
		f.op("VPUNPCKHBW", r(zero), r(8), r(5))
		f.op("VPUNPCKLBW", r(zero), r(9), r(6))
		f.op("VPUNPCKHBW", r(zero), r(9), r(7))
		for j := range 4 {
			f.op("VPMADDWD", at(v.bytes*j, "SI"), r(4+j), r(4+j))
			f.op("VPADDD", r(4+j), r(j), r(j))
		}
	}
	f.op("ADDQ", fmt.Sprintf("$%d", 4*taps), "DX")
	f.op("ADDQ", fmt.Sprintf("$%d", 4*v.bytes), "SI")
	f.op("DECQ", "R13")
	f.op("JNE", step)

	f.op("CMPB", field(strip, "exact", "AX"), "$0")
	f.op("JNE", sums)
	if !vnni {
		constants = [4]int{4, 5, 6, 7}
	}
	each := func(write func(j int)) {
		for j := range 4 {
			write(j)
		}
	}
	each(func(j int) { f.op("VCVTDQ2PS", r(j), r(j)) })
	each(func(j int) {
		if vnni {
			f.op("VMULPS", r(multiplier+j), r(j), r(j))
		} else {
			f.op("VMULPS", fmt.Sprintf("multiplier%d-%d(SP)", j, (4-j)*v.bytes), r(j), r(j))
		}
	})
	f.toCodes(strip, v, [4]int{0, 1, 2, 3}, constants, !vnni)
	switch {
	case masked:
		f.op("VMOVDQU8", r(0), "K1", "(DI)")
	case vnni:
		f.op("VMOVDQU8", r(0), "(DI)")
	default:
		f.op("VMOVDQU", r(0), "(DI)")
	}
	f.place(next)
	f.op("ADDQ", field(strip, "outStep", "AX"), "DI")
	f.op("DECQ", "R14")
	f.op("JNE", pixel)
	f.op("VZEROUPPER")
	f.op("RET")

	f.place(sums)
	for j := range 4 {
		f.op("VMOVDQU"+choose(vnni, "32", ""), x(j), at(16*j, "DI"))
		for lane := 1; lane < lanes; lane++ {
			f.op(choose(vnni, "VEXTRACTI32X4", "VEXTRACTI128"), fmt.Sprintf("$%d", lane), r(j), at(64*lane+16*j, "DI"))
		}
	}
	f.op("JMP", next)
}
