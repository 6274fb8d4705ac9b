package main

import "fmt"

const gemvStruct = "gemvInt8"

// gemvAVX512 writes the product of one row of codes with packed panels of 32 columns, the panels of
// product_int8.go. A single row would leave the multipliers idle for the latency of each sum, so four panels are
// taken at a time; of two, one or half a one, even and odd steps have sums of their own.
func gemvAVX512(f *file) {
	name := "gemvInt8AVX512VNNI"
	f.function(name, "(t *gemvInt8)", name+" is one row of codes times panels of 32 columns.", 0, 8)
	f.op("MOVQ", "t+0(FP)", "AX")
	f.op("VPBROADCASTD", field(gemvStruct, "flip", "AX"), z(31))
	f.op("VPBROADCASTD", field(gemvStruct, "correction", "AX"), z(30))
	f.op("MOVQ", field(gemvStruct, "panels", "AX"), "R12")
	f.op("MOVQ", field(gemvStruct, "panelBytes", "AX"), "R13")
	f.op("MOVQ", field(gemvStruct, "columns", "AX"), "R14")
	f.op("XORQ", "BX", "BX") // first column
	next, two, one, done := f.newLabel("next"), f.newLabel("two"), f.newLabel("one"), f.newLabel("done")
	half := f.newLabel("half")
	f.place(next)
	f.op("CMPQ", "R14", "$64")
	f.op("JLE", two)
	gemvPanels(f, 4, 1, next)
	f.place(two)
	f.op("CMPQ", "R14", "$32")
	f.op("JLE", one)
	gemvPanels(f, 2, 2, done)
	f.place(one)
	f.op("TESTQ", "R14", "R14")
	f.op("JLE", done)
	f.op("CMPQ", "R14", "$16")
	f.op("JLE", half)
	gemvPanels(f, 1, 2, done)
	f.place(half)
	gemvPanels(f, 0, 2, done)
	f.place(done)
	f.op("VZEROUPPER")
	f.op("RET")
}

// gemvPanels writes a number of panels, of which the last may be ragged, or, if it is 0, the 16 columns of half a panel,
// and jumps to next. Steps take turns at sets of sums.
func gemvPanels(f *file, panels, sets int, next string) {
	vectors := max(2*panels, 1)
	f.comment("%d panels", panels)
	for i := range sets * vectors {
		f.op("VPXORD", z(i), z(i), z(i))
	}
	f.op("MOVQ", "R12", rowRegisters[0])
	for p := 1; p < panels; p++ {
		f.op("LEAQ", indexed(rowRegisters[p-1], "R13"), rowRegisters[p])
	}
	f.op("MOVQ", field(gemvStruct, "a", "AX"), "SI")
	f.op("MOVQ", field(gemvStruct, "steps", "AX"), "CX")
	f.op("XORQ", "DX", "DX") // in the panels
	step := func(set int) {
		f.op("VPBROADCASTD", at(4*set, "SI"), z(28+set))
		f.op("VPXORD", z(31), z(28+set), z(28+set))
		for v := range vectors {
			f.op("VPDPBUSD", fmt.Sprintf("%d(%s)(DX*1)", 128*set+64*(v%2), rowRegisters[v/2]), z(28+set), z(set*vectors+v))
		}
	}
	last, again, sums := f.newLabel("last"), f.newLabel("step"), f.newLabel("sums")
	f.op("SUBQ", fmt.Sprintf("$%d", sets), "CX")
	f.op("JLT", last)
	f.place(again)
	for set := range sets {
		step(set)
	}
	f.op("ADDQ", fmt.Sprintf("$%d", 4*sets), "SI")
	f.op("ADDQ", fmt.Sprintf("$%d", 128*sets), "DX")
	f.op("SUBQ", fmt.Sprintf("$%d", sets), "CX")
	f.op("JGE", again)
	f.place(last)
	if sets == 2 {
		f.op("CMPQ", "CX", "$-1")
		f.op("JNE", sums)
		step(0)
		f.place(sums)
		for v := range vectors {
			f.op("VPADDD", z(vectors+v), z(v), z(v))
		}
	}
	for range panels {
		f.op("ADDQ", "R13", "R12")
	}
	f.comment("the columns of the vectors that may be ragged")
	f.op("MOVQ", "$-1", "DX")
	f.op("MOVQ", choose(panels == 4, "$128", "$64"), "CX")
	f.op("SUBQ", "R14", "CX")
	ragged := f.newLabel("ragged")
	f.op("JLE", ragged)
	f.op("SHRQ", "CX", "DX")
	f.place(ragged)
	whole := vectors / 2 // the others have masks from K1 on
	switch panels {
	case 0, 1:
		whole = 0
	case 2:
		f.op("SHRQ", "$32", "DX")
	}
	for v := whole; v < vectors; v++ {
		f.op("KMOVW", "DX", gemvMask(v, whole))
		f.op("SHRQ", "$16", "DX")
	}
	load := func(from string, v, to int) {
		if v < whole {
			f.op("VMOVDQU32", from, z(to))
		} else {
			f.op("VMOVDQU32.Z", from, gemvMask(v, whole), z(to))
		}
	}
	store := func(name string, v int, to string) {
		if v < whole {
			f.op(name, z(v), to)
		} else {
			f.op(name, z(v), gemvMask(v, whole), to)
		}
	}
	f.comment("bias − zero point·Σ weights")
	column := func(v int, base string) string { return fmt.Sprintf("%d(%s)(BX*4)", 64*v, base) }
	f.op("MOVQ", field(gemvStruct, "weightSums", "AX"), "DX")
	for v := range vectors {
		load(column(v, "DX"), v, 28)
		f.op("VPMULLD", z(30), z(28), z(28))
		f.op("VPADDD", z(28), z(v), z(v))
	}
	noBias, codes, counted := f.newLabel("noBias"), f.newLabel("codes"), f.newLabel("counted")
	f.op("MOVQ", field(gemvStruct, "bias", "AX"), "DX")
	f.op("TESTQ", "DX", "DX")
	f.op("JEQ", noBias)
	for v := range vectors {
		load(column(v, "DX"), v, 28)
		f.op("VPADDD", z(28), z(v), z(v))
	}
	f.place(noBias)
	f.op("MOVQ", field(gemvStruct, "out", "AX"), "SI")
	f.op("TESTQ", "SI", "SI")
	f.op("JNE", codes)
	f.op("MOVQ", field(gemvStruct, "sums", "AX"), "DX")
	for v := range vectors {
		store("VMOVDQU32", v, column(v, "DX"))
	}
	f.op("JMP", counted)

	f.place(codes)
	f.comment("NaN multipliers become 0 and infinite ones the greatest: the codes are the same, and no product is NaN")
	f.op("MOVL", "$0x7f7fffff", "CX")
	f.op("VPBROADCASTD", "CX", z(28))
	f.op("MOVL", "$0xff7fffff", "CX")
	f.op("VPBROADCASTD", "CX", z(29))
	f.op("MOVQ", field(gemvStruct, "multiplier", "AX"), "DX")
	each, multiplied := f.newLabel("each"), f.newLabel("multiplied")
	multiply := func(v, by int) {
		f.op("VMINPS", z(28), z(by), z(by))
		f.op("VMAXPS", z(29), z(by), z(by))
		f.op("VCVTDQ2PS", z(v), z(v))
		f.op("VMULPS", z(by), z(v), z(v))
	}
	f.op("CMPB", field(gemvStruct, "oneMultiplier", "AX"), "$0")
	f.op("JEQ", each)
	f.op("VBROADCASTSS", "(DX)", z(27))
	f.op("VCMPPS", "$7", z(27), z(27), "K7")
	f.op("VMOVAPS.Z", z(27), "K7", z(27))
	for v := range vectors {
		multiply(v, 27)
	}
	f.op("JMP", multiplied)
	f.place(each)
	for v := range vectors {
		load(column(v, "DX"), v, 27)
		f.op("VCMPPS", "$7", z(27), z(27), "K7")
		f.op("VMOVAPS.Z", z(27), "K7", z(27))
		multiply(v, 27)
	}
	f.place(multiplied)
	f.op("VPBROADCASTD", field(gemvStruct, "highest", "AX"), z(27)) // as a float
	f.op("VPBROADCASTD", field(gemvStruct, "low", "AX"), z(28))
	f.op("VPBROADCASTD", field(gemvStruct, "high", "AX"), z(29))
	f.op("VPBROADCASTD", field(gemvStruct, "zeroPoint", "AX"), z(26))
	for v := range vectors {
		f.op("VMINPS", z(27), z(v), z(v))
		f.op("VCVTPS2DQ", z(v), z(v))
		f.op("VPMAXSD", z(28), z(v), z(v))
		f.op("VPMINSD", z(29), z(v), z(v))
		f.op("VPADDD", z(26), z(v), z(v))
		store("VPMOVDB", v, fmt.Sprintf("%d(SI)(BX*1)", 16*v))
	}
	f.place(counted)
	f.op("ADDQ", fmt.Sprintf("$%d", 32*panels), "BX")
	f.op("SUBQ", fmt.Sprintf("$%d", 32*panels), "R14")
	f.op("JMP", next)
}

// gemvMask is the mask register of a vector, after those that are whole.
func gemvMask(v, whole int) string { return fmt.Sprintf("K%d", v-whole+1) }
