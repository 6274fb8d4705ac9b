package main

import "fmt"

const planesRun = "planesRun"

func moves(f *file) {
	f.interleaveBytes()
	f.interleaveWords()
}

func (f *file) planes(name, doc string) (again string) {
	f.function(name, "(r *planesRun)", doc, 0, 8)
	f.op("MOVQ", "r+0(FP)", "AX")
	f.op("MOVQ", field(planesRun, "out", "AX"), "DI")
	for i, p := range []string{"SI", "DX", "R8"} {
		f.op("MOVQ", field(planesRun, "planes", "AX")[:len("planesRun_planes")]+fmt.Sprintf("+%d(AX)", 8*i), p)
	}
	f.op("MOVQ", field(planesRun, "order", "AX"), "BX")
	f.op("MOVQ", field(planesRun, "steps", "AX"), "CX")
	again = f.newLabel("step")
	return again
}

func (f *file) endPlanes(again string, in int) {
	f.op("ADDQ", fmt.Sprintf("$%d", 3*in), "DI")
	for _, p := range []string{"SI", "DX", "R8"} {
		f.op("ADDQ", fmt.Sprintf("$%d", in), p)
	}
	f.op("DECQ", "CX")
	f.op("JNE", again)
	f.op("VZEROUPPER")
	f.op("RET")
}

// interleaveBytes shuffles 16 bytes of each plane into place three times; elsewhere the shuffles give 0.
func (f *file) interleaveBytes() {
	again := f.planes("interleaveBytesAVX2", "interleaveBytesAVX2 writes the bytes of three planes side by side, 16 of each a step.")
	for i := range 9 {
		f.op("VMOVDQU", at(16*i, "BX"), x(6+i))
	}
	f.place(again)
	for i, p := range []string{"SI", "DX", "R8"} {
		f.op("VMOVDQU", "("+p+")", x(i))
	}
	for part := range 3 {
		f.op("VPSHUFB", x(6+3*part), x(0), x(3))
		f.op("VPSHUFB", x(7+3*part), x(1), x(4))
		f.op("VPSHUFB", x(8+3*part), x(2), x(5))
		f.op("VPOR", x(3), x(4), x(3))
		f.op("VPOR", x(3), x(5), x(3))
		f.op("VMOVDQU", x(3), at(16*part, "DI"))
	}
	f.endPlanes(again, 16)
}

// interleaveWords permutes 8 elements of each plane alike and blends them.
func (f *file) interleaveWords() {
	again := f.planes("interleaveWordsAVX2", "interleaveWordsAVX2 writes the 32-bit elements of three planes side by side, 8 of each a step.")
	for part := range 3 {
		f.op("VMOVDQU", at(32*part, "BX"), y(6+part))
	}
	f.place(again)
	for part := range 3 {
		masks := [3]int{}
		for i := range 8 {
			masks[(8*part+i)%3] |= 1 << i
		}
		f.op("VPERMD", "(SI)", y(6+part), y(0))
		f.op("VPERMD", "(DX)", y(6+part), y(1))
		f.op("VPERMD", "(R8)", y(6+part), y(2))
		f.op("VPBLENDD", fmt.Sprintf("$%d", masks[1]), y(1), y(0), y(0))
		f.op("VPBLENDD", fmt.Sprintf("$%d", masks[2]), y(2), y(0), y(0))
		f.op("VMOVDQU", y(0), at(32*part, "DI"))
	}
	f.endPlanes(again, 32)
}
