package main

import "fmt"

// The kernels of arm64 on elements; see vector.go. R0 is the structure that a function is given.

// loopARM64 begins a function on one structure and reads fields into registers from R1 on; the last one counts steps.
func (f *file) loopARM64(name, structure, doc string, fields ...string) (again string) {
	f.function(name, "(r *"+structure+")", name+" "+doc, 0, 8)
	f.op("MOVD", "r+0(FP)", "R0")
	for i, from := range fields {
		f.op("MOVD", field(structure, from, "R0"), fmt.Sprintf("R%d", 1+i))
	}
	return f.newLabel("step")
}

// endARM64 counts a step and returns after the last.
func (f *file) endARM64(again, counter string) {
	f.op("SUBS", "$1", counter, counter)
	f.op("BNE", again)
	f.op("RET")
}

// duplicate reads 32-bit fields into all lanes of registers.
func (f *file) duplicate(structure string, fields map[string]int, order ...string) {
	for _, name := range order {
		f.op("MOVWU", field(structure, name, "R0"), "R8")
		f.op("VDUP", "R8", v(fields[name], "S4"))
	}
}

// codesARM64 turns the floats in registers 0 to 3 into 16 codes in register 0, by the output's zero point in 13 and limits in 14
// and 15. Conversion to integers saturates, and makes NaN 0.
func (f *file) codesARM64(structure string) {
	signed, done := f.newLabel("signed"), f.newLabel("packed")
	for i := range 4 {
		f.twoMisc(0x4e21a800, "fcvtns", i, "4s", i, "4s")
	}
	for i := range 2 {
		f.twoMisc(0x0e614800, "sqxtn", i, "4h", 2*i, "4s")
		f.twoMisc(0x4e614800, "sqxtn2", i, "8h", 2*i+1, "4s")
		f.threeSame(0x4e600c00, "sqadd", "8h", i, i, 13)
	}
	f.op("MOVBU", field(structure, "signed", "R0"), "R10")
	f.op("CBNZ", "R10", signed)
	f.twoMisc(0x2e212800, "sqxtun", 0, "8b", 0, "8h")
	f.twoMisc(0x6e212800, "sqxtun2", 0, "16b", 1, "8h")
	f.op("VUMAX", v(14, "B16"), v(0, "B16"), v(0, "B16"))
	f.op("VUMIN", v(15, "B16"), v(0, "B16"), v(0, "B16"))
	f.op("B", done)
	f.place(signed)
	f.twoMisc(0x0e214800, "sqxtn", 0, "8b", 0, "8h")
	f.twoMisc(0x4e214800, "sqxtn2", 0, "16b", 1, "8h")
	f.threeSame(0x4e206400, "smax", "16b", 0, 0, 14)
	f.threeSame(0x4e206c00, "smin", "16b", 0, 0, 15)
	f.place(done)
}

// widenARM64 turns 16 u8 codes in a register into 32-bit lanes of four registers.
func (f *file) widenARM64(from, to int) {
	f.op("VUXTL2", v(from, "B16"), v(to+2, "H8"))
	f.op("VUXTL", v(from, "B8"), v(to, "H8"))
	for _, i := range []int{to + 2, to} {
		f.op("VUXTL2", v(i, "H8"), v(i+1, "S4"))
		f.op("VUXTL", v(i, "H4"), v(i, "S4"))
	}
}

func elementsARM64(f *file) {
	f.quantizeARM64()
	f.dequantizeARM64()
	f.binaryCodesARM64(false)
	f.binaryCodesARM64(true)
	f.floatsARM64()
	f.lookupARM64()
	f.interleaveARM64()
	f.fixedARM64()
}

var codeLimits = map[string]int{"zeroPoints": 13, "lowest": 14, "highest": 15}

func (f *file) limitsARM64() { f.duplicate(codesRun, codeLimits, "zeroPoints", "lowest", "highest") }

func (f *file) quantizeARM64() {
	again := f.loopARM64("quantizeNEON", codesRun, "is numeric.Quantize of 16 elements a step. r.a are floats.", "out", "a", "steps")
	f.duplicate(codesRun, map[string]int{"ratioA": 16}, "ratioA")
	f.limitsARM64()
	f.place(again)
	f.op("VLD1.P", "64(R2)", vs(0, 4, "S4"))
	for i := range 4 {
		f.threeSame(0x6e20fc00, "fdiv", "4s", i, i, 16)
	}
	f.codesARM64(codesRun)
	f.op("VST1.P", vs(0, 1, "B16"), "16(R1)")
	f.endARM64(again, "R3")
}

func (f *file) dequantizeARM64() {
	again := f.loopARM64("dequantizeNEON", codesRun, "is numeric.Dequantize of 16 elements a step. r.out are floats.", "out", "a", "steps")
	f.duplicate(codesRun, map[string]int{"flipA": 16, "zeroA": 17, "ratioA": 18}, "flipA", "zeroA", "ratioA")
	f.place(again)
	f.op("VLD1.P", "16(R2)", vs(4, 1, "B16"))
	f.op("VEOR", v(16, "B16"), v(4, "B16"), v(4, "B16"))
	f.widenARM64(4, 0)
	for i := range 4 {
		f.op("VSUB", v(17, "S4"), v(i, "S4"), v(i, "S4"))
		f.scvtf(i, i)
		f.fmul(i, 18, i)
	}
	f.op("VST1.P", vs(0, 4, "S4"), "64(R1)")
	f.endARM64(again, "R3")
}

// binaryCodesARM64: codes of a in registers 0 to 3, of b in 4 to 7.
func (f *file) binaryCodesARM64(multiply bool) {
	name, doc := "addCodesNEON", "is numeric.AddCode of 16 elements a step."
	if multiply {
		name, doc = "mulCodesNEON", "is numeric.MulCode of 16 elements a step."
	}
	again := f.loopARM64(name, codesRun, doc, "out", "a", "b", "steps")
	f.duplicate(codesRun, map[string]int{"flipA": 16, "flipB": 17, "zeroA": 18, "zeroB": 19, "ratioA": 20, "ratioB": 21},
		"flipA", "flipB", "zeroA", "zeroB", "ratioA", "ratioB")
	f.limitsARM64()
	f.place(again)
	for i, operand := range []string{"R2", "R3"} {
		f.op("VLD1.P", "16("+operand+")", vs(8, 1, "B16"))
		f.op("VEOR", v(16+i, "B16"), v(8, "B16"), v(8, "B16"))
		f.widenARM64(8, 4*i)
		for j := 4 * i; j < 4*i+4; j++ {
			f.op("VSUB", v(18+i, "S4"), v(j, "S4"), v(j, "S4"))
			if !multiply {
				f.scvtf(j, j)
				f.fmul(j, 20+i, j)
			}
		}
	}
	for i := range 4 {
		if multiply {
			f.threeSame(0x4ea09c00, "mul", "4s", i, i, 4+i)
			f.scvtf(i, i)
			f.fmul(i, 20, i)
		} else {
			f.threeSame(0x4e20d400, "fadd", "4s", i, i, 4+i)
		}
	}
	f.codesARM64(codesRun)
	f.op("VST1.P", vs(0, 1, "B16"), "16(R1)")
	f.endARM64(again, "R4")
}

// floatsARM64 writes functions of floats; FMAX and FMIN keep NaN.
func (f *file) floatsARM64() {
	for _, fn := range []struct {
		name, meaning, instruction string
		code                       uint32
	}{
		{"add", "a + b", "fadd", 0x4e20d400}, {"sub", "a − b", "fsub", 0x4ea0d400}, {"mul", "a·b", "fmul", 0x6e20dc00},
		{"div", "a/b", "fdiv", 0x6e20fc00}, {"clip", "a", "", 0},
	} {
		again := f.loopARM64(fn.name+"FloatsNEON", floatsRun, "is "+fn.meaning+", limited, of 16 elements a step.", "out", "a", "b", "steps")
		f.duplicate(floatsRun, map[string]int{"least": 16, "greatest": 17}, "least", "greatest")
		f.place(again)
		f.op("VLD1.P", "64(R2)", vs(0, 4, "S4"))
		if fn.code != 0 {
			f.op("VLD1.P", "64(R3)", vs(4, 4, "S4"))
		}
		for i := range 4 {
			if fn.code != 0 {
				f.threeSame(fn.code, fn.instruction, "4s", i, i, 4+i)
			}
			f.threeSame(0x4e20f400, "fmax", "4s", i, i, 16)
			f.threeSame(0x4ea0f400, "fmin", "4s", i, i, 17)
		}
		f.op("VST1.P", vs(0, 4, "S4"), "64(R1)")
		f.endARM64(again, "R4")
	}
}

// lookupARM64 keeps the table in registers 0 to 15. A lookup gives 0, or what was there, for indices outside of its 64
// entries.
func (f *file) lookupARM64() {
	again := f.loopARM64("lookupNEON", codesRun, "is r.b, a table of 256 bytes, at 64 codes a step.", "out", "a", "b", "steps")
	for i := 0; i < 16; i += 4 {
		f.op("VLD1.P", "64(R3)", vs(i, 4, "B16"))
	}
	f.op("VMOVI", "$64", v(31, "B16"))
	f.place(again)
	f.op("VLD1.P", "64(R2)", vs(16, 4, "B16"))
	for quarter := range 4 {
		for i := range 4 {
			if quarter == 0 {
				f.op("VTBL", v(16+i, "B16"), vs(0, 4, "B16"), v(20+i, "B16"))
				continue
			}
			f.op("VSUB", v(31, "B16"), v(16+i, "B16"), v(16+i, "B16"))
			f.op("VTBX", v(16+i, "B16"), vs(4*quarter, 4, "B16"), v(20+i, "B16"))
		}
	}
	f.op("VST1.P", vs(20, 4, "B16"), "64(R1)")
	f.endARM64(again, "R4")
}

func (f *file) interleaveARM64() {
	for _, element := range []struct {
		name, doc, lanes string
		stores, per      int
	}{
		{"interleaveBytesNEON", "writes the bytes of three planes side by side, 16 of each a step.", "B16", 1, 16},
		{"interleaveWordsNEON", "writes the 32-bit elements of three planes side by side, 8 of each a step.", "S4", 2, 16},
	} {
		again := f.loopARM64(element.name, planesRun, element.doc, "out", "planes", "planes+8", "planes+16", "steps")
		f.place(again)
		for range element.stores {
			for plane := range 3 {
				f.op("VLD1.P", fmt.Sprintf("16(R%d)", 2+plane), vs(plane, 1, element.lanes))
			}
			f.op("VST3.P", vs(0, 3, element.lanes), "48(R1)")
		}
		f.endARM64(again, "R5")
	}
}

// fixedARM64 writes the fixed-point requantization of a tile of sums: four columns at a time, all rows of each. Registers
// 16 to 19 belong to the columns: multipliers, shifts, where halves go away from zero, zero points of the weights; 20 to
// 22 are limits and zero point. R1 is the first column, R2 and R3 its distance in bytes of int32 and of codes.
func (f *file) fixedARM64() {
	f.function("fixedTileNEON", "(t *fixedTile)", "fixedTileNEON requantizes a tile of sums, as many columns as make whole vectors.", 0, 8)
	f.op("MOVD", "t+0(FP)", "R0")
	f.duplicate(tileFixed, map[string]int{"low": 20, "high": 21, "zeroPoint": 22}, "low", "high", "zeroPoint")
	f.op("MOVD", field(tileFixed, "columns", "R0"), "R1")
	f.op("LSR", "$2", "R1", "R1")
	f.op("MOVD", "$0", "R2")
	columns, row, same, done := f.newLabel("columns"), f.newLabel("row"), f.newLabel("same"), f.newLabel("done")
	f.place(columns)
	f.op("CBZ", "R1", done)
	for i, name := range []string{"q31", "shift", "away"} {
		f.op("MOVD", field(tileFixed, name, "R0"), "R8")
		f.op("ADD", "R2<<2", "R8", "R8")
		f.op("VLD1", "(R8)", vs(16+i, 1, "S4"))
	}
	f.twoMisc(0x6ea0b800, "neg", 17, "4s", 17, "4s")
	f.op("MOVD", field(tileFixed, "weightZero", "R0"), "R9")
	f.op("MOVD", field(tileFixed, "rowSums", "R0"), "R10")
	f.op("CBZ", "R9", row+"first")
	f.op("ADD", "R2<<2", "R9", "R8")
	f.op("VLD1", "(R8)", vs(19, 1, "S4"))
	f.place(row + "first")
	f.op("MOVD", field(tileFixed, "sums", "R0"), "R3")
	f.op("ADD", "R2<<2", "R3", "R3")
	f.op("MOVD", field(tileFixed, "stride", "R0"), "R4")
	f.op("LSL", "$2", "R4", "R4")
	f.op("MOVD", field(tileFixed, "outStarts", "R0"), "R5")
	f.op("MOVD", field(tileFixed, "out", "R0"), "R6")
	f.op("ADD", "R2", "R6", "R6")
	f.op("MOVD", field(tileFixed, "rows", "R0"), "R7")
	f.place(row)
	f.op("VLD1", "(R3)", vs(0, 1, "S4"))
	f.op("ADD", "R4", "R3", "R3")
	f.op("CBZ", "R9", same)
	f.op("MOVWU.P", "4(R10)", "R8")
	f.op("VDUP", "R8", v(1, "S4"))
	f.threeSame(0x6ea09400, "mls", "4s", 0, 1, 19)
	f.place(same)
	f.threeSame(0x6ea0b400, "sqrdmulh", "4s", 0, 0, 16)
	f.comment("negative numbers whose halves go away from zero are one less")
	f.word(0x4f210401, "sshr v1.4s, v0.4s, #31")
	f.op("VAND", v(18, "B16"), v(1, "B16"), v(1, "B16"))
	f.op("VADD", v(1, "S4"), v(0, "S4"), v(0, "S4"))
	f.threeSame(0x4ea05400, "srshl", "4s", 0, 0, 17)
	f.threeSame(0x4ea06400, "smax", "4s", 0, 0, 20)
	f.threeSame(0x4ea06c00, "smin", "4s", 0, 0, 21)
	f.op("VADD", v(22, "S4"), v(0, "S4"), v(0, "S4"))
	f.twoMisc(0x0e612800, "xtn", 0, "4h", 0, "4s")
	f.twoMisc(0x0e212800, "xtn", 0, "8b", 0, "8h")
	f.op("MOVD.P", "8(R5)", "R8")
	f.op("FMOVS", "F0", "(R6)(R8)")
	f.op("SUBS", "$1", "R7", "R7")
	f.op("BNE", row)
	f.op("ADD", "$4", "R2", "R2")
	f.op("SUB", "$1", "R1", "R1")
	f.op("B", columns)
	f.place(done)
	f.op("RET")
}

// poolsARM64 writes pools of one vector of channels: register 0 is the result, 2 the input of a tap. R1 is the input, R2
// the padding, R3 offsets, R4 the output, R5 counts, R6 pixels left, R7 taps left.
func poolsARM64(f *file) {
	for _, kind := range []struct {
		name, meaning string
		channels      int
	}{
		{"MaxUint8", "the greatest code", 16}, {"MaxInt8", "the greatest code", 16}, {"MaxF32", "the greatest element", 4},
		{"SumUint8", "the sum, as int32,", 16}, {"AverageF32", "the mean", 4},
	} {
		name := fmt.Sprintf("pool%sNEONx%d", kind.name, kind.channels)
		f.function(name, "(s *poolStrip)", fmt.Sprintf("%s makes %s of %d channels of every pixel of a strip.", name, kind.meaning, kind.channels), 0, 8)
		f.op("MOVD", "s+0(FP)", "R0")
		for i, name := range []string{"in", "pad", "offsets", "out", "counts", "pixels"} {
			f.op("MOVD", field(poolStrip, name, "R0"), fmt.Sprintf("R%d", 1+i))
		}
		f.duplicate(poolStrip, map[string]int{"flip": 6, "lowest": 7}, "flip", "lowest")
		pixel, tap := f.newLabel("pixel"), f.newLabel("tap")
		f.place(pixel)
		f.op("MOVD", field(poolStrip, "taps", "R0"), "R7")
		switch kind.name {
		case "SumUint8", "AverageF32":
			f.op("VEOR", v(0, "B16"), v(0, "B16"), v(0, "B16"))
			f.op("VEOR", v(1, "B16"), v(1, "B16"), v(1, "B16"))
		default:
			f.op("VMOV", v(7, "B16"), v(0, "B16"))
		}
		f.place(tap)
		f.op("MOVW.P", "4(R3)", "R10")
		f.op("ADD", choose(kind.channels == 4, "R10<<2", "R10"), "R1", "R11")
		f.op("CMP", "$0", "R10")
		f.op("CSEL", "LT", "R2", "R11", "R11")
		f.op("VLD1", "(R11)", vs(2, 1, "B16"))
		switch kind.name {
		case "MaxUint8":
			f.op("VUMAX", v(2, "B16"), v(0, "B16"), v(0, "B16"))
		case "MaxInt8":
			f.threeSame(0x4e206400, "smax", "16b", 0, 0, 2)
		case "MaxF32":
			f.threeSame(0x4e20f400, "fmax", "4s", 0, 0, 2)
		case "SumUint8": // 16-bit sums in registers 0 and 1
			f.op("VEOR", v(6, "B16"), v(2, "B16"), v(2, "B16"))
			f.op("VUADDW", v(2, "B8"), v(0, "H8"), v(0, "H8"))
			f.op("VUADDW2", v(2, "B16"), v(1, "H8"), v(1, "H8"))
		case "AverageF32":
			f.threeSame(0x4e20d400, "fadd", "4s", 0, 0, 2)
		}
		f.op("SUBS", "$1", "R7", "R7")
		f.op("BNE", tap)
		switch kind.name {
		case "SumUint8":
			f.op("VUXTL2", v(1, "H8"), v(5, "S4"))
			f.op("VUXTL", v(1, "H4"), v(4, "S4"))
			f.op("VUXTL2", v(0, "H8"), v(3, "S4"))
			f.op("VUXTL", v(0, "H4"), v(2, "S4"))
			f.op("VST1", vs(2, 4, "S4"), "(R4)")
		case "AverageF32":
			f.op("VLD1R.P", "4(R5)", "["+v(2, "S4")+"]")
			f.threeSame(0x6e20fc00, "fdiv", "4s", 0, 0, 2)
			fallthrough
		default:
			f.op("VST1", vs(0, 1, "B16"), "(R4)")
		}
		f.op("MOVD", field(poolStrip, "outStep", "R0"), "R8")
		f.op("ADD", "R8", "R4", "R4")
		f.endARM64(pixel, "R6")
	}
}
