package main

import "fmt"

const termsRun = "termsRun"

// terms writes lookups of 32-bit numbers by bytes, added up: a table of 256 is four of 256 bytes, of which two permutations
// look up 64 at a time. Codes are put in an order first in which unpacking the bytes leaves the sums in theirs.
func terms(f *file) {
	f.constant("termsOrder", 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)
	f.function("addTermsAVX512VBMI", "(r *termsRun)", "addTermsAVX512VBMI is the sums of terms of 64 pairs of codes a step.", 0, 8)
	f.op("MOVQ", "r+0(FP)", "AX")
	for i, name := range []string{"out", "a", "b", "termsA", "termsB", "steps"} {
		f.op("MOVQ", field(termsRun, name, "AX"), []string{"DI", "SI", "DX", "R8", "R9", "CX"}[i])
	}
	f.op("VMOVDQU32", "termsOrder<>(SB)", z(31))
	again := f.newLabel("step")
	f.place(again)
	for operand, from := range []string{"SI", "DX"} {
		table := []string{"R8", "R9"}[operand]
		f.op("VPERMD", "("+from+")", z(31), z(30))
		f.op("VPMOVB2M", z(30), "K1")
		for plane := range 4 { // to registers 0 to 3
			at := func(quarter int) string { return fmt.Sprintf("%d(%s)", 256*plane+64*quarter, table) }
			f.op("VMOVDQU8", at(0), z(8))
			f.op("VMOVDQU8", at(2), z(9))
			f.op("VMOVDQA64", z(30), z(plane))
			f.op("VMOVDQA64", z(30), z(10))
			f.op("VPERMI2B", at(1), z(8), z(plane))
			f.op("VPERMI2B", at(3), z(9), z(10))
			f.op("VMOVDQU8", z(10), "K1", z(plane))
		}
		f.op("VPUNPCKLBW", z(1), z(0), z(8))
		f.op("VPUNPCKHBW", z(1), z(0), z(9))
		f.op("VPUNPCKLBW", z(3), z(2), z(10))
		f.op("VPUNPCKHBW", z(3), z(2), z(11))
		first := 12 + 4*operand
		f.op("VPUNPCKLWD", z(10), z(8), z(first))
		f.op("VPUNPCKHWD", z(10), z(8), z(first+1))
		f.op("VPUNPCKLWD", z(11), z(9), z(first+2))
		f.op("VPUNPCKHWD", z(11), z(9), z(first+3))
	}
	for i := range 4 {
		f.op("VPADDD", z(16+i), z(12+i), z(12+i))
		f.op("VMOVDQU32", z(12+i), at(64*i, "DI"))
	}
	f.op("ADDQ", "$64", "SI")
	f.op("ADDQ", "$64", "DX")
	f.op("ADDQ", "$256", "DI")
	f.op("DECQ", "CX")
	f.op("JNE", again)
	f.op("VZEROUPPER")
	f.op("RET")
}
