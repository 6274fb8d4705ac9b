package main

import "fmt"

const (
	codesRun  = "codesRun"
	floatsRun = "floatsRun"
)

func elementwise(f *file) {
	f.lookup()
	for _, s := range []isa{isaAVX512, isaAVX2} {
		f.binaryCodes(s, false)
		f.binaryCodes(s, true)
		f.quantize(s)
		f.dequantize(s)
		for _, op := range []struct{ name, instruction, meaning string }{
			{"add", "VADDPS", "a + b"}, {"sub", "VSUBPS", "a − b"}, {"mul", "VMULPS", "a·b"}, {"div", "VDIVPS", "a/b"},
			{"clip", "", "a"},
		} {
			f.binaryFloats(s, op.name, op.instruction, op.meaning)
		}
	}
}

// begin starts a kernel on runs of elements: DI is the output, SI and DX the operands, CX counts steps.
func (f *file) begin(structure, name, doc string) (again string) {
	f.function(name, "(r *"+structure+")", name+doc, 0, 8)
	f.op("MOVQ", "r+0(FP)", "AX")
	f.op("MOVQ", field(structure, "out", "AX"), "DI")
	f.op("MOVQ", field(structure, "a", "AX"), "SI")
	f.op("MOVQ", field(structure, "b", "AX"), "DX")
	f.op("MOVQ", field(structure, "steps", "AX"), "CX")
	again = f.newLabel("step")
	f.place(again)
	return again
}

// end closes the loop; advances are the bytes of a step of each pointer.
func (f *file) end(again string, out, a, b int) {
	f.op("ADDQ", fmt.Sprintf("$%d", out), "DI")
	f.op("ADDQ", fmt.Sprintf("$%d", a), "SI")
	if b > 0 {
		f.op("ADDQ", fmt.Sprintf("$%d", b), "DX")
	}
	f.op("DECQ", "CX")
	f.op("JNE", again)
	f.op("VZEROUPPER")
	f.op("RET")
}

// fromCodes makes four registers of floats, interleaved in lanes as toCodes wants them, from a vector of codes: less
// the zero point and, unless multiplied is empty, times that field. It uses the registers temporary and the next two.
func (f *file) fromCodes(s isa, from, flip, zero, multiplied string, to [4]int, temporary int) {
	r := s.register
	t, u, v := r(temporary), r(temporary+1), r(temporary+2)
	f.op("VPBROADCASTD", field(codesRun, flip, "AX"), t)
	f.op(s.xor, from, t, t)
	f.op(s.xor, u, u, u)
	f.op("VPUNPCKHBW", u, t, v)
	f.op("VPUNPCKLBW", u, t, t)
	f.op("VPUNPCKLWD", u, t, r(to[0]))
	f.op("VPUNPCKHWD", u, t, r(to[1]))
	f.op("VPUNPCKLWD", u, v, r(to[2]))
	f.op("VPUNPCKHWD", u, v, r(to[3]))
	f.op("VPBROADCASTD", field(codesRun, zero, "AX"), t)
	for _, x := range to {
		f.op("VPSUBD", t, r(x), r(x))
	}
	for _, x := range to {
		f.op("VCVTDQ2PS", r(x), r(x))
	}
	if multiplied == "" {
		return
	}
	f.op("VBROADCASTSS", field(codesRun, multiplied, "AX"), t)
	for _, x := range to {
		f.op("VMULPS", t, r(x), r(x))
	}
}

func (f *file) binaryCodes(s isa, multiply bool) {
	name, doc := "addCodes"+s.name, fmt.Sprintf(" is numeric.AddCode of %d elements a step.", s.bytes)
	if multiply {
		name, doc = "mulCodes"+s.name, fmt.Sprintf(" is numeric.MulCode of %d elements a step.", s.bytes)
	}
	again := f.begin(codesRun, name, doc)
	a, b := [4]int{0, 1, 2, 3}, [4]int{4, 5, 6, 7}
	ratioA, ratioB, combine := "ratioA", "ratioB", "VADDPS"
	if multiply {
		ratioA, ratioB, combine = "", "", "VMULPS"
	}
	f.fromCodes(s, "(SI)", "flipA", "zeroA", ratioA, a, 8)
	f.fromCodes(s, "(DX)", "flipB", "zeroB", ratioB, b, 8)
	for i := range 4 {
		f.op(combine, s.register(b[i]), s.register(a[i]), s.register(a[i]))
	}
	if multiply {
		f.op("VBROADCASTSS", field(codesRun, "ratioA", "AX"), s.register(8))
		for _, x := range a {
			f.op("VMULPS", s.register(8), s.register(x), s.register(x))
		}
	}
	f.toCodes(codesRun, s.vector, a, [4]int{8, 9, 10, 11}, true)
	f.op("VMOVUPS", s.register(0), "(DI)")
	f.end(again, s.bytes, s.bytes, s.bytes)
}

// quantize reads floats in order, so what toCodes gives is in an order of its own: element 4·(part of the vector) of
// each of the four registers in turn.
func (f *file) quantize(s isa) {
	r := s.register
	again := f.begin(codesRun, "quantize"+s.name, fmt.Sprintf(" is numeric.Quantize of %d elements a step. r.a are floats, and b is in which order to take groups\n// of four.", s.bytes))
	f.op("VBROADCASTSS", field(codesRun, "ratioA", "AX"), r(4))
	for i := range 4 {
		f.op("VMOVUPS", at(s.bytes*i, "SI"), r(i))
	}
	for i := range 4 {
		f.op("VDIVPS", r(4), r(i), r(i))
	}
	for i := range 4 { // NaN becomes 0
		if s.bytes == 64 {
			f.op("VCMPPS", "$7", r(i), r(i), "K1")
			f.op("VMOVAPS.Z", r(i), "K1", r(i))
		} else {
			f.op("VCMPPS", "$7", r(i), r(i), r(5+i))
			f.op("VANDPS", r(5+i), r(i), r(i))
		}
	}
	f.toCodes(codesRun, s.vector, [4]int{0, 1, 2, 3}, [4]int{8, 9, 10, 11}, true)
	f.op("VMOVUPS", "(DX)", r(4))
	f.op("VPERMD", r(0), r(4), r(0))
	f.op("VMOVUPS", r(0), "(DI)")
	f.end(again, s.bytes, 4*s.bytes, 0)
}

func (f *file) dequantize(s isa) {
	r := s.register
	again := f.begin(codesRun, "dequantize"+s.name, fmt.Sprintf(" is numeric.Dequantize of %d elements a step. r.out are floats.", s.bytes))
	f.op("MOVBLZX", field(codesRun, "flipA", "AX"), "BX")
	f.op("VMOVD", "BX", x(4))
	f.op("VPBROADCASTD", x(4), r(4))
	f.op("VPBROADCASTD", field(codesRun, "zeroA", "AX"), r(5))
	f.op("VBROADCASTSS", field(codesRun, "ratioA", "AX"), r(6))
	for i := range 4 {
		f.op("VPMOVZXBD", at(s.bytes/4*i, "SI"), r(i))
		f.op(s.xor, r(4), r(i), r(i))
		f.op("VPSUBD", r(5), r(i), r(i))
		f.op("VCVTDQ2PS", r(i), r(i))
		f.op("VMULPS", r(6), r(i), r(i))
		f.op("VMOVUPS", r(i), at(s.bytes*i, "DI"))
	}
	f.end(again, 4*s.bytes, s.bytes, 0)
}

// lookup permutes the bytes of half a table by the low 7 bits of 64 codes, for each half; their top bit chooses.
func (f *file) lookup() {
	again := f.begin(codesRun, "lookupAVX512VBMI", " is r.b, a table of 256 bytes, at 64 codes a step.")
	for i := range 4 {
		f.op("VMOVDQU8", at(64*i, "DX"), z(i))
	}
	f.op("VMOVDQU8", "(SI)", z(4))
	f.op("VMOVDQA64", z(4), z(5))
	f.op("VPMOVB2M", z(4), "K1")
	f.op("VPERMI2B", z(1), z(0), z(4))
	f.op("VPERMI2B", z(3), z(2), z(5))
	f.op("VMOVDQU8", z(5), "K1", z(4))
	f.op("VMOVDQU8", z(4), "(DI)")
	f.end(again, 64, 64, 0)
}

// binaryFloats takes four vectors a step. NaN stays NaN: it is the second source of minimum and maximum.
func (f *file) binaryFloats(s isa, name, instruction, meaning string) {
	r := s.register
	again := f.begin(floatsRun, name+"Floats"+s.name, fmt.Sprintf(" is %s, limited, of %d elements a step.", meaning, s.bytes))
	f.op("VBROADCASTSS", field(floatsRun, "least", "AX"), r(4))
	f.op("VBROADCASTSS", field(floatsRun, "greatest", "AX"), r(5))
	b := 0
	for i := range 4 {
		f.op("VMOVUPS", at(s.bytes*i, "SI"), r(i))
		if instruction != "" {
			f.op(instruction, at(s.bytes*i, "DX"), r(i), r(i))
			b = 4 * s.bytes
		}
	}
	for i := range 4 {
		f.op("VMAXPS", r(i), r(4), r(i))
		f.op("VMINPS", r(i), r(5), r(i))
		f.op("VMOVUPS", r(i), at(s.bytes*i, "DI"))
	}
	f.end(again, 4*s.bytes, 4*s.bytes, b)
}
