package main

import "fmt"

// vector is a width of vector registers: xmm, ymm or zmm.
type vector struct {
	bytes int
	name  string
}

var vectors = []vector{{16, "X"}, {32, "Y"}, {64, "Z"}}

func (v vector) register(i int) string { return fmt.Sprintf("%s%d", v.name, i) }

// isa is instructions that differ between AVX2 and AVX-512, and the vectors that elementwise kernels use.
type isa struct {
	vector
	name string
	xor  string
}

var (
	isaAVX2   = isa{vectors[1], "AVX2", "VPXOR"}
	isaAVX512 = isa{vectors[2], "AVX512", "VPXORD"}
)

// toCodes turns the floats in sums, four registers whose elements are interleaved in lanes of 128 bits as unpacking
// does it, into codes in order, in the first of them. The limits are fields of a structure that AX points to; they are
// read to the four registers in constants if load is set.
func (f *file) toCodes(structure string, v vector, sums, constants [4]int, load bool) {
	r := v.register
	bound, zeroPoint, lowest, highest := r(constants[0]), r(constants[1]), r(constants[2]), r(constants[3])
	if load {
		f.loadCodes(structure, v, constants)
	}
	for _, s := range sums {
		f.op("VMINPS", bound, r(s), r(s))
	}
	for _, s := range sums {
		f.op("VCVTPS2DQ", r(s), r(s))
	}
	low, high := r(sums[0]), r(sums[2])
	f.op("VPACKSSDW", r(sums[1]), low, low)
	f.op("VPACKSSDW", r(sums[3]), high, high)
	f.op("VPADDSW", zeroPoint, low, low)
	f.op("VPADDSW", zeroPoint, high, high)
	signed, done := f.newLabel("signed"), f.newLabel("packed")
	f.op("CMPB", field(structure, "signed", "AX"), "$0")
	f.op("JNE", signed)
	f.op("VPACKUSWB", high, low, low)
	f.op("VPMAXUB", lowest, low, low)
	f.op("VPMINUB", highest, low, low)
	f.op("JMP", done)
	f.place(signed)
	f.op("VPACKSSWB", high, low, low)
	f.op("VPMAXSB", lowest, low, low)
	f.op("VPMINSB", highest, low, low)
	f.place(done)
}

// loadCodes reads the limits that toCodes needs.
func (f *file) loadCodes(structure string, v vector, constants [4]int) {
	for i, name := range []string{"bound", "zeroPoints", "lowest", "highest"} {
		f.op("VPBROADCASTD", field(structure, name, "AX"), v.register(constants[i]))
	}
}

func choose(condition bool, yes, no string) string {
	if condition {
		return yes
	}
	return no
}
