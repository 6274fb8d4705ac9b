package main

import (
	"fmt"
	"strings"
)

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
			for stride := 1; stride <= 2; stride++ {
				window := fmt.Sprintf(" The window is 3×3, the stride %d.", stride)
				f.depthwiseColumns(fmt.Sprintf("%sColumns%d", name, stride), strings.Replace(doc, name, fmt.Sprintf("%sColumns%d", name, stride), 1)+window, v, masked, stride)
			}
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

	gather := func(from string, j, to int) { f.gather(v, vnni, from, j, to) }
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

	pixel, step := f.newLabel("pixel"), f.newLabel("step")
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

	if !vnni {
		constants = [4]int{4, 5, 6, 7}
	}
	f.finish(v, masked, vnni, func(j int) string {
		if vnni {
			return r(multiplier + j)
		}
		return fmt.Sprintf("multiplier%d-%d(SP)", j, (4-j)*v.bytes)
	}, constants, !vnni)
	f.op("DECQ", "R14")
	f.op("JNE", pixel)
	f.op("VZEROUPPER")
	f.op("RET")
}

// gather loads the 32-bit elements of 16 channels in each lane that belong to sum j.
func (f *file) gather(v vector, vnni bool, from string, j, to int) {
	f.op("VMOVDQU"+choose(vnni, "32", ""), at(16*j, from), x(to))
	for lane := 1; lane < v.bytes/16; lane++ {
		f.op(choose(vnni, "VINSERTI32X4", "VINSERTI128"), fmt.Sprintf("$%d", lane), at(64*lane+16*j, from), v.register(to), v.register(to))
	}
}

// finish stores the pixel whose sums are in registers 0 to 3, as codes or as they are, and goes on to the next.
func (f *file) finish(v vector, masked, vnni bool, multiplier func(j int) string, constants [4]int, load bool) {
	r := v.register
	sums, next := f.newLabel("sums"), f.newLabel("next")
	f.op("CMPB", field(strip, "exact", "AX"), "$0")
	f.op("JNE", sums)
	for j := range 4 {
		f.op("VCVTDQ2PS", r(j), r(j))
	}
	for j := range 4 {
		f.op("VMULPS", multiplier(j), r(j), r(j))
	}
	f.toCodes(strip, v, [4]int{0, 1, 2, 3}, constants, load)
	switch {
	case masked:
		f.op("VMOVDQU8", r(0), "K1", "(DI)")
	case vnni:
		f.op("VMOVDQU8", r(0), "(DI)")
	default:
		f.op("VMOVDQU", r(0), "(DI)")
	}
	f.op("JMP", next)
	f.place(sums)
	for j := range 4 {
		f.op("VMOVDQU"+choose(vnni, "32", ""), x(j), at(16*j, "DI"))
		for lane := 1; lane < v.bytes/16; lane++ {
			f.op(choose(vnni, "VEXTRACTI32X4", "VEXTRACTI128"), fmt.Sprintf("$%d", lane), r(j), at(64*lane+16*j, "DI"))
		}
	}
	f.place(next)
	f.op("ADDQ", field(strip, "outStep", "AX"), "DI")
}

// depthwiseColumns writes the kernel of one vector of channels of a 3×3 window without dilation. It goes along the
// columns of the three input lines: a column's codes are interleaved once and multiplied with the weights of every
// column of the window that meets it there. Columns outside the image, before and after the others, are padding.
//
// Registers: the sums of the outputs whose last, second and first column it is (a stride of 2 needs the first four
// only) 0–11, weights of the three columns 12–23, codes 24–30, flip 31.
func (f *file) depthwiseColumns(name, doc string, v vector, masked bool, stride int) {
	r := v.register
	const weights, flip = 12, 31
	constants := [4]int{24, 25, 26, 27}
	f.function(name, "(s *depthwiseStrip)", doc, 8*v.bytes, 8)
	bias := func(j int) string { return fmt.Sprintf("bias%d-%d(SP)", j, (8-j)*v.bytes) }
	multiplier := func(j int) string { return fmt.Sprintf("multiplier%d-%d(SP)", j, (4-j)*v.bytes) }
	f.op("MOVQ", "s+0(FP)", "AX")
	if masked {
		f.op("MOVQ", field(strip, "mask", "AX"), "CX")
		f.op("KMOVQ", "CX", "K1")
	}
	f.comment("bias − zero point·Σ weights")
	f.op("MOVQ", field(strip, "bias", "AX"), "BX")
	f.op("MOVQ", field(strip, "sums", "AX"), "CX")
	f.op("MOVQ", field(strip, "multiplier", "AX"), "DX")
	f.op("VPBROADCASTD", field(strip, "zero", "AX"), r(24))
	for j := range 4 {
		f.gather(v, true, "CX", j, 25)
		f.gather(v, true, "BX", j, j)
		f.op("VPMULLD", r(24), r(25), r(25))
		f.op("VPSUBD", r(25), r(j), r(j))
		f.op("VMOVDQU32", r(j), bias(j))
		f.gather(v, true, "DX", j, 25)
		f.op("VMOVDQU32", r(25), multiplier(j))
	}
	for i := 1; i < 3 && stride == 1; i++ {
		for j := range 4 {
			f.op("VMOVDQA64", r(j), r(4*i+j))
		}
	}
	f.op("MOVQ", field(strip, "weights", "AX"), "SI")
	for i := range 12 {
		f.op("VMOVDQU32", at(v.bytes*i, "SI"), r(weights+i))
	}
	f.op("VPBROADCASTD", field(strip, "flip", "AX"), r(flip))
	f.op("MOVQ", field(strip, "out", "AX"), "DI")
	f.op("MOVQ", "$2", "DX") // columns until there is an output
	if stride == 2 {
		f.op("MOVQ", "$0", "DX") // columns so far
	}
	f.op("XORQ", "CX", "CX") // before, in, after the image

	segment, column, nextSegment, nextColumn := f.newLabel("segment"), f.newLabel("column"), f.newLabel("nextsegment"), f.newLabel("nextcolumn")
	f.place(segment)
	pad := f.newLabel("pad")
	part := func(name string, i int) string {
		return fmt.Sprintf("(%s_%s+%d)(AX)", strip, name, 8*i)
	}
	f.op("MOVQ", fmt.Sprintf("%s_columns(AX)(CX*8)", strip), "R14")
	f.op("TESTQ", "R14", "R14")
	f.op("JEQ", nextSegment)
	f.op("CMPQ", "CX", "$1")
	f.op("JNE", pad)
	lines, steps := []string{"R8", "R9", "R10"}, []string{"R11", "R12", "R13"}
	for i := range 3 {
		f.op("MOVQ", part("lines", i), lines[i])
		f.op("MOVQ", part("lineSteps", i), steps[i])
	}
	f.op("JMP", column)
	f.place(pad)
	for i := range 3 {
		f.op("MOVQ", field(strip, "pad", "AX"), lines[i])
		f.op("XORQ", steps[i], steps[i])
	}

	f.place(column)
	for i := range 3 {
		if masked {
			f.op("VMOVDQU8.Z", "("+lines[i]+")", "K1", r(28+i))
			f.op("VPXORD", r(flip), r(28+i), r(28+i))
		} else {
			f.op("VPXORD", "("+lines[i]+")", r(flip), r(28+i))
		}
		f.op("ADDQ", steps[i], lines[i])
	}
	// The fourth of the interleaved codes has weight 0; it is that of the third line once more.
	f.op("VPUNPCKLBW", r(29), r(28), r(24))
	f.op("VPUNPCKHBW", r(29), r(28), r(25))
	f.op("VPUNPCKLBW", r(30), r(30), r(26))
	f.op("VPUNPCKHBW", r(30), r(30), r(27))
	f.op("VPUNPCKLWD", r(26), r(24), r(28))
	f.op("VPUNPCKHWD", r(26), r(24), r(29))
	f.op("VPUNPCKLWD", r(27), r(25), r(30))
	f.op("VPUNPCKHWD", r(27), r(25), r(24))
	codes := []int{28, 29, 30, 24}
	multiply := func(column, sums int) {
		for j, c := range codes {
			f.op("VPDPBUSD", r(weights+4*column+j), r(c), r(sums+j))
		}
	}
	if stride == 1 {
		warming := f.newLabel("warming")
		multiply(2, 0)
		multiply(1, 4)
		multiply(0, 8)
		f.op("DECQ", "DX")
		f.op("JGE", warming)
		f.finish(v, masked, true, multiplier, constants, true)
		f.place(warming)
		for j := range 8 {
			f.op("VMOVDQA64", r(4+j), r(j))
		}
		for j := range 4 {
			f.op("VMOVDQU32", bias(j), r(8+j))
		}
	} else {
		even, first := f.newLabel("even"), f.newLabel("first")
		f.op("INCQ", "DX")
		f.op("TESTQ", "$1", "DX") // odd for the columns 0, 2, 4 …
		f.op("JNE", even)
		multiply(1, 0)
		f.op("JMP", nextColumn)
		f.place(even)
		f.op("CMPQ", "DX", "$1")
		f.op("JEQ", first)
		for j := range 4 { // the codes are needed again after finish
			f.op("VMOVDQA64", r(codes[j]), r(8+j))
		}
		multiply(2, 0)
		f.finish(v, masked, true, multiplier, constants, true)
		for j := range 4 {
			f.op("VMOVDQA64", r(8+j), r(codes[j]))
			f.op("VMOVDQU32", bias(j), r(j))
		}
		f.place(first)
		multiply(0, 0)
	}
	f.place(nextColumn)
	f.op("DECQ", "R14")
	f.op("JNE", column)
	f.place(nextSegment)
	f.op("INCQ", "CX")
	f.op("CMPQ", "CX", "$3")
	f.op("JNE", segment)
	f.op("VZEROUPPER")
	f.op("RET")
}
