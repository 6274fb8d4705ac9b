package main

import (
	"fmt"
	"strings"
)

// The kernels of arm64 on rows of floats and on functions of one float; see rows.go and unary.go.

func rowsARM64(f *file) {
	f.bilinearARM64()
	f.momentsARM64()
	f.normalizeARM64()
	f.channelMomentsARM64()
	f.channelNormalizeARM64()
}

// doubleARM64 converts the floats in a register to float64 in two others.
func (f *file) doubleARM64(from, low, high int) {
	f.twoMisc(0x4e617800, "fcvtl2", high, "2d", from, "4s")
	f.twoMisc(0x0e617800, "fcvtl", low, "2d", from, "2s")
}

// singleARM64 rounds float64 in two registers to floats.
func (f *file) singleARM64(low, high, to int) {
	f.twoMisc(0x0e616800, "fcvtn", to, "2s", low, "2d")
	f.twoMisc(0x4e616800, "fcvtn2", to, "4s", high, "2d")
}

// bilinearARM64 keeps to the order of roundings of numeric.Lerp: no fused operations.
func (f *file) bilinearARM64() {
	again := f.loopARM64("bilinearNEON", cornersRun, "interpolates the elements of four pixels, as many as make whole vectors.",
		"out", "topLeft", "topRight", "bottomLeft", "bottomRight", "n")
	f.duplicate(cornersRun, map[string]int{"left": 4, "right": 5, "top": 6, "bottom": 7}, "left", "right", "top", "bottom")
	done := f.newLabel("done")
	f.op("LSR", "$2", "R6", "R6")
	f.op("CBZ", "R6", done)
	f.place(again)
	for i := range 4 {
		f.op("VLD1.P", fmt.Sprintf("16(R%d)", 2+i), vs(i, 1, "S4"))
		f.fmul(i, 4+i%2, i)
	}
	add := func(a, b int) { f.threeSame(0x4e20d400, "fadd", "4s", a, a, b) }
	add(0, 1)
	add(2, 3)
	f.fmul(0, 6, 0)
	f.fmul(2, 7, 2)
	add(0, 2)
	f.op("VST1.P", vs(0, 1, "S4"), "16(R1)")
	f.op("SUBS", "$1", "R6", "R6")
	f.op("BNE", again)
	f.place(done)
	f.op("RET")
}

// The instructions on float64.
func (f *file) fadd2d(to, a, b int) { f.threeSame(0x4e60d400, "fadd", "2d", to, a, b) }
func (f *file) fsub2d(to, a, b int) { f.threeSame(0x4ee0d400, "fsub", "2d", to, a, b) }
func (f *file) fmul2d(to, a, b int) { f.threeSame(0x6e60dc00, "fmul", "2d", to, a, b) }

// duplicate64 reads a float64 into both lanes of a register.
func (f *file) duplicate64(structure, name string, to int) {
	f.op("MOVD", field(structure, name, "R0"), "R8")
	f.op("VDUP", "R8", v(to, "D2"))
}

// momentsARM64: sums in registers 0 and 1, squares in 2 and 3.
func (f *file) momentsARM64() {
	again := f.loopARM64("momentsNEON", momentsRun,
		"adds up elements less the mean in r.sum, by lanes, and the squares of that in r.squares, 4 elements a step.", "in", "steps")
	f.duplicate64(momentsRun, "mean", 8)
	for i := range 4 {
		f.op("VEOR", v(i, "B16"), v(i, "B16"), v(i, "B16"))
	}
	f.place(again)
	f.op("VLD1.P", "16(R1)", vs(6, 1, "S4"))
	f.doubleARM64(6, 4, 5)
	for i := range 2 {
		f.fsub2d(4+i, 4+i, 8)
		f.fadd2d(i, i, 4+i)
		f.op("VFMLA", v(4+i, "D2"), v(4+i, "D2"), v(2+i, "D2"))
	}
	f.op("SUBS", "$1", "R2", "R2")
	f.op("BNE", again)
	for i, name := range []string{"sum", "squares"} {
		f.op("MOVD", "$"+field(momentsRun, name, "R0"), "R8")
		f.op("VST1", vs(2*i, 2, "D2"), "(R8)")
	}
	f.op("RET")
}

// normalizeARM64: elements in registers 0 and 1.
func (f *file) normalizeARM64() {
	again := f.loopARM64("normalizeNEON", momentsRun, "makes (x − mean)·factor·scale + bias of each element, 4 elements a step.",
		"out", "in", "scale", "bias", "steps")
	f.duplicate64(momentsRun, "mean", 8)
	f.duplicate64(momentsRun, "factor", 9)
	noBias := f.newLabel("nobias")
	f.place(again)
	f.op("VLD1.P", "16(R2)", vs(6, 1, "S4"))
	f.doubleARM64(6, 0, 1)
	f.op("VLD1.P", "16(R3)", vs(6, 1, "S4"))
	f.doubleARM64(6, 4, 5)
	for i := range 2 {
		f.fsub2d(i, i, 8)
		f.fmul2d(i, i, 9)
		f.fmul2d(i, i, 4+i)
	}
	f.op("CBZ", "R4", noBias)
	f.op("VLD1.P", "16(R4)", vs(6, 1, "S4"))
	f.doubleARM64(6, 4, 5)
	for i := range 2 {
		f.fadd2d(i, i, 4+i)
	}
	f.place(noBias)
	f.singleARM64(0, 1, 6)
	f.op("VST1.P", vs(6, 1, "S4"), "16(R1)")
	f.endARM64(again, "R5")
}

// channelsARM64 reads 16 float64 of a field, or writes them, in 8 registers.
func (f *file) channelsARM64(name string, first int, write bool) {
	f.op("MOVD", "$"+field(channelsRun, name, "R0"), "R8")
	for i := 0; i < 8; i += 4 {
		if write {
			f.op("VST1.P", vs(first+i, 4, "D2"), "64(R8)")
		} else {
			f.op("VLD1.P", "64(R8)", vs(first+i, 4, "D2"))
		}
	}
}

// channelMomentsARM64: sums in registers 0 to 7, squares in 8 to 15, means in 16 to 23.
func (f *file) channelMomentsARM64() {
	again := f.loopARM64("channelMomentsNEON", channelsRun,
		"adds to r.sum the elements less the mean, and to r.squares the squares of that, of 16 channels, pixel by pixel.", "in", "stride", "pixels")
	for i, name := range []string{"sum", "squares", "mean"} {
		f.channelsARM64(name, 8*i, false)
	}
	f.place(again)
	f.op("VLD1", "(R1)", vs(24, 4, "S4"))
	f.op("ADD", "R2", "R1", "R1")
	for i := range 4 {
		f.doubleARM64(24+i, 28, 29)
		for half := range 2 {
			f.fsub2d(28+half, 28+half, 16+2*i+half)
			f.fadd2d(2*i+half, 2*i+half, 28+half)
			f.fmul2d(28+half, 28+half, 28+half)
			f.fadd2d(8+2*i+half, 8+2*i+half, 28+half)
		}
	}
	f.op("SUBS", "$1", "R3", "R3")
	f.op("BNE", again)
	f.channelsARM64("sum", 0, true)
	f.channelsARM64("squares", 8, true)
	f.op("RET")
}

// channelNormalizeARM64: factors in registers 0 to 7, what to add in 8 to 15, means in 16 to 23.
func (f *file) channelNormalizeARM64() {
	again := f.loopARM64("channelNormalizeNEON", channelsRun, "makes (x − mean)·factor + bias of 16 channels, pixel by pixel.",
		"in", "out", "stride", "pixels")
	for i, name := range []string{"sum", "squares", "mean"} {
		f.channelsARM64(name, 8*i, false)
	}
	f.place(again)
	f.op("VLD1", "(R1)", vs(24, 4, "S4"))
	f.op("ADD", "R3", "R1", "R1")
	for i := range 4 {
		f.doubleARM64(24+i, 28, 29)
		for half := range 2 {
			f.fsub2d(28+half, 28+half, 16+2*i+half)
			f.fmul2d(28+half, 28+half, 2*i+half)
			f.fadd2d(28+half, 28+half, 8+2*i+half)
		}
		f.singleARM64(28, 29, 24+i)
	}
	f.op("VST1", vs(24, 4, "S4"), "(R2)")
	f.op("ADD", "R3", "R2", "R2")
	f.endARM64(again, "R4")
}

var isaNEON = isa{vector{16, "V"}, "NEON", "VPXOR"}

// unaryARM64 writes the functions of unary.go with NEON, an instruction at a time. Registers 0 to 7, 14 and 15 are theirs;
// 28 to 30 are those of instructions that NEON does not have.
func unaryARM64(f *file) {
	l := &lanes{file: f, isa: isaNEON, constants: map[uint32]int{}}
	for _, fn := range functions {
		name := fn.name + "NEON"
		doc := "is " + fn.meaning + " of 4 elements a step."
		if fn.meaning == "" {
			doc = "keeps the maximum by lanes in r.sum, passing over NaN, of 4 elements a step."
		}
		again := f.loopARM64(name, unaryRun, doc, "out", "in", "steps")
		f.duplicate(unaryRun, map[string]int{"alpha": 14, "beta": 15}, "alpha", "beta")
		f.op("MOVD", "$unaryConstants<>(SB)", "R9")
		f.place(again)
		f.op("VLD1.P", "16(R2)", vs(0, 1, "S4"))
		fn.write(l)
		if fn.meaning != "" {
			f.op("VST1.P", vs(0, 1, "S4"), "16(R1)")
		}
		f.endARM64(again, "R3")
	}
	l.write()
}

// op writes an instruction; for arm64, what the instruction of AVX2 does.
func (l *lanes) op(name string, operands ...string) {
	if l.isa.name != isaNEON.name {
		l.file.op(name, operands...)
		return
	}
	l.neon(name, operands...)
}

// number is that of a vector register, of which operands say "V3"; operands in memory are read to a temporary one.
func (l *lanes) number(operand string, temporary int) int {
	var i int
	if _, err := fmt.Sscanf(operand, "V%d", &i); err == nil {
		return i
	}
	if name, constant := strings.CutPrefix(operand, "unaryConstants<>+"); constant {
		l.file.op("FMOVQ", strings.TrimSuffix(name, "(SB)")+"(R9)", fmt.Sprintf("F%d", temporary))
	} else {
		l.file.op("FMOVQ", l.memory(operand), fmt.Sprintf("F%d", temporary))
	}
	return temporary
}

// memory is an operand of amd64 relative to the structure.
func (l *lanes) memory(operand string) string { return strings.Replace(operand, "(AX)", "(R0)", 1) }

func (l *lanes) neon(name string, operands ...string) {
	f := l.file
	last := operands[len(operands)-1]
	if name == "VMOVUPS" && strings.HasSuffix(last, "(AX)") {
		f.op("FMOVQ", "F"+operands[0][1:], l.memory(last))
		return
	}
	to := l.number(last, 28)
	if name == "VMOVUPS" || name == "VMOVAPS" {
		if from := l.number(operands[0], to); from != to {
			f.op("VMOV", v(from, "B16"), v(to, "B16"))
		}
		return
	}
	var immediate, a, b int // a∘b
	operands = operands[:len(operands)-1]
	mask := 0
	if name == "VBLENDVPS" {
		mask = l.number(operands[0], 28)
		operands = operands[1:]
	} else if strings.HasPrefix(operands[0], "$") {
		fmt.Sscanf(operands[0], "$%d", &immediate)
		operands = operands[1:]
	}
	b = l.number(operands[0], 28)
	if len(operands) > 1 {
		a = l.number(operands[1], 29)
	}
	float := func(code uint32, name string) { f.threeSame(code, name, "4s", to, a, b) }
	switch name {
	case "VADDPS":
		float(0x4e20d400, "fadd")
	case "VSUBPS":
		float(0x4ea0d400, "fsub")
	case "VMULPS":
		float(0x6e20dc00, "fmul")
	case "VDIVPS":
		float(0x6e20fc00, "fdiv")
	case "VMINPS", "VMAXPS": // b, unless a is less, or greater: also if either is NaN
		if name == "VMINPS" {
			f.threeSame(0x6ea0e400, "fcmgt", "4s", 30, b, a)
		} else {
			f.threeSame(0x6ea0e400, "fcmgt", "4s", 30, a, b)
		}
		f.op("VBSL", v(b, "B16"), v(a, "B16"), v(30, "B16"))
		f.op("VMOV", v(30, "B16"), v(to, "B16"))
	case "VCMPPS": // less
		f.threeSame(0x6ea0e400, "fcmgt", "4s", to, b, a)
	case "VBLENDVPS": // b where the mask is set
		f.op("VBIT", v(mask, "B16"), v(b, "B16"), v(to, "B16"))
	case "VFMADD231PS":
		f.op("VFMLA", v(b, "S4"), v(a, "S4"), v(to, "S4"))
	case "VFNMADD231PS":
		f.op("VFMLS", v(b, "S4"), v(a, "S4"), v(to, "S4"))
	case "VFMADD213PS": // to·a + b
		f.op("VMOV", v(b, "B16"), v(30, "B16"))
		f.op("VFMLA", v(to, "S4"), v(a, "S4"), v(30, "S4"))
		f.op("VMOV", v(30, "B16"), v(to, "B16"))
	case "VSQRTPS":
		f.twoMisc(0x6ea1f800, "fsqrt", to, "4s", b, "4s")
	case "VROUNDPS":
		f.twoMisc(0x4e218800, "frintn", to, "4s", b, "4s")
	case "VCVTPS2DQ":
		f.twoMisc(0x4e21a800, "fcvtns", to, "4s", b, "4s")
	case "VPAND":
		f.op("VAND", v(b, "B16"), v(a, "B16"), v(to, "B16"))
	case "VPOR":
		f.op("VORR", v(b, "B16"), v(a, "B16"), v(to, "B16"))
	case "VPXOR":
		f.op("VEOR", v(b, "B16"), v(a, "B16"), v(to, "B16"))
	case "VPADDD":
		f.op("VADD", v(b, "S4"), v(a, "S4"), v(to, "S4"))
	case "VPSUBD":
		f.op("VSUB", v(b, "S4"), v(a, "S4"), v(to, "S4"))
	case "VPSLLD":
		f.op("VSHL", fmt.Sprintf("$%d", immediate), v(b, "S4"), v(to, "S4"))
	case "VPSRAD":
		f.word(0x4f000400|uint32((64-immediate)<<16|b<<5|to), "sshr v%d.4s, v%d.4s, #%d", to, b, immediate)
	default:
		panic(name + " is not written for arm64")
	}
}
