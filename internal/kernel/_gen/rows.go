package main

import "fmt"

const (
	cornersRun = "cornersRun"
	momentsRun = "momentsRun"
)

func rows(f *file) {
	for _, s := range []isa{isaAVX512, isaAVX2} {
		f.bilinear(s)
		f.moments(s)
		f.normalize(s)
		f.channelMoments(s)
		f.channelNormalize(s)
	}
}

// bilinear keeps to the order of roundings of numeric.Lerp: no fused operations.
func (f *file) bilinear(s isa) {
	r := s.register
	masks := s.bytes == 64
	name, doc := "bilinear"+s.name, "interpolates the elements of four pixels"
	if !masks {
		doc += ", as many as make whole vectors"
	}
	f.function(name, "(r *cornersRun)", fmt.Sprintf("%s %s.", name, doc), 0, 8)
	f.op("MOVQ", "r+0(FP)", "AX")
	f.op("MOVQ", field(cornersRun, "out", "AX"), "DI")
	corners := []string{"R8", "R9", "R10", "R11"}
	for i, name := range []string{"topLeft", "topRight", "bottomLeft", "bottomRight"} {
		f.op("MOVQ", field(cornersRun, name, "AX"), corners[i])
	}
	for i, name := range []string{"left", "right", "top", "bottom"} {
		f.op("VBROADCASTSS", field(cornersRun, name, "AX"), r(4+i))
	}
	f.op("MOVQ", field(cornersRun, "n", "AX"), "CX")
	f.op("XORQ", "SI", "SI")
	if masks {
		f.op("MOVL", "$0xffff", "DX")
		f.op("KMOVW", "DX", "K1")
	}
	again, whole, done := f.newLabel("again"), f.newLabel("whole"), f.newLabel("done")
	f.place(again)
	f.op("CMPQ", "CX", fmt.Sprintf("$%d", s.bytes/4))
	f.op("JGE", whole)
	if masks {
		f.op("TESTQ", "CX", "CX")
		f.op("JLE", done)
		f.op("MOVL", "$1", "DX")
		f.op("SHLL", "CX", "DX")
		f.op("DECL", "DX")
		f.op("KMOVW", "DX", "K1")
	} else {
		f.op("JMP", done)
	}
	f.place(whole)
	for i, p := range corners {
		if masks {
			f.op("VMOVUPS.Z", indexed(p, "SI"), "K1", r(i))
		} else {
			f.op("VMOVUPS", indexed(p, "SI"), r(i))
		}
	}
	for i := range 4 {
		f.op("VMULPS", r(4+i%2), r(i), r(i))
	}
	f.op("VADDPS", r(1), r(0), r(0))
	f.op("VADDPS", r(3), r(2), r(2))
	f.op("VMULPS", r(6), r(0), r(0))
	f.op("VMULPS", r(7), r(2), r(2))
	f.op("VADDPS", r(2), r(0), r(0))
	if masks {
		f.op("VMOVUPS", r(0), "K1", indexed("DI", "SI"))
	} else {
		f.op("VMOVUPS", r(0), indexed("DI", "SI"))
	}
	f.op("ADDQ", fmt.Sprintf("$%d", s.bytes), "SI")
	f.op("SUBQ", fmt.Sprintf("$%d", s.bytes/4), "CX")
	f.op("JMP", again)
	f.place(done)
	f.op("VZEROUPPER")
	f.op("RET")
}

// doubles begins a loop over float64 of as many elements as a vector has; two vectors a step.
func (f *file) doubles(s isa, name, doc string) (again string) {
	f.function(name, "(r *momentsRun)", fmt.Sprintf("%s %s, %d elements a step.", name, doc, s.bytes/4), 0, 8)
	f.op("MOVQ", "r+0(FP)", "AX")
	f.op("MOVQ", field(momentsRun, "in", "AX"), "SI")
	f.op("MOVQ", field(momentsRun, "steps", "AX"), "CX")
	f.op("VBROADCASTSD", field(momentsRun, "mean", "AX"), s.register(8))
	return f.newLabel("step")
}

// moments adds up differences from a mean, and their squares, in float64.
func (f *file) moments(s isa) {
	r := s.register
	again := f.doubles(s, "moments"+s.name, "adds up elements less the mean in r.sum, by lanes, and the squares of that in r.squares")
	for i := range 4 {
		f.op(s.xor, r(i), r(i), r(i))
	}
	f.place(again)
	for i := range 2 {
		f.op("VCVTPS2PD", at(s.bytes/2*i, "SI"), r(4+i))
		f.op("VSUBPD", r(8), r(4+i), r(4+i))
		f.op("VADDPD", r(4+i), r(i), r(i))
		f.op("VFMADD231PD", r(4+i), r(4+i), r(2+i))
	}
	f.op("ADDQ", fmt.Sprintf("$%d", s.bytes), "SI")
	f.op("DECQ", "CX")
	f.op("JNE", again)
	f.op("VADDPD", r(1), r(0), r(0))
	f.op("VADDPD", r(3), r(2), r(2))
	f.op("VMOVUPD", r(0), field(momentsRun, "sum", "AX"))
	f.op("VMOVUPD", r(2), field(momentsRun, "squares", "AX"))
	f.op("VZEROUPPER")
	f.op("RET")
}

// normalize makes (x − mean)·factor·scale + bias of each element, in float64, rounded once.
func (f *file) normalize(s isa) {
	r := s.register
	again := f.doubles(s, "normalize"+s.name, "makes (x − mean)·factor·scale + bias of each element")
	f.op("MOVQ", field(momentsRun, "out", "AX"), "DI")
	f.op("MOVQ", field(momentsRun, "scale", "AX"), "DX")
	f.op("MOVQ", field(momentsRun, "bias", "AX"), "BX")
	f.op("VBROADCASTSD", field(momentsRun, "factor", "AX"), r(9))
	f.place(again)
	noBias := f.newLabel("nobias")
	for i := range 2 {
		half := s.bytes / 2 * i
		f.op("VCVTPS2PD", at(half, "SI"), r(i))
		f.op("VSUBPD", r(8), r(i), r(i))
		f.op("VMULPD", r(9), r(i), r(i))
		f.op("VCVTPS2PD", at(half, "DX"), r(4))
		f.op("VMULPD", r(4), r(i), r(i))
	}
	f.op("TESTQ", "BX", "BX")
	f.op("JEQ", noBias)
	for i := range 2 {
		f.op("VCVTPS2PD", at(s.bytes/2*i, "BX"), r(4))
		f.op("VADDPD", r(4), r(i), r(i))
	}
	f.op("ADDQ", fmt.Sprintf("$%d", s.bytes), "BX")
	f.place(noBias)
	for i := range 2 {
		if s.bytes == 64 {
			f.op("VCVTPD2PS", r(i), y(i))
			f.op("VMOVUPS", y(i), at(32*i, "DI"))
		} else {
			f.op("VCVTPD2PSY", r(i), x(i))
			f.op("VMOVUPS", x(i), at(16*i, "DI"))
		}
	}
	for _, p := range []string{"SI", "DX", "DI"} {
		f.op("ADDQ", fmt.Sprintf("$%d", s.bytes), p)
	}
	f.op("DECQ", "CX")
	f.op("JNE", again)
	f.op("VZEROUPPER")
	f.op("RET")
}

const channelsRun = "channelsRun"

// channelDoubles begins a loop over pixels that takes 16 channels as float64: registers 0 … parts−1. Register
// mean+i is the mean.
func (f *file) channelDoubles(s isa, name, doc string) (again string, parts, half int) {
	r := s.register
	f.function(name, "(r *channelsRun)", fmt.Sprintf("%s %s of 16 channels, pixel by pixel.", name, doc), 0, 8)
	f.op("MOVQ", "r+0(FP)", "AX")
	f.op("MOVQ", field(channelsRun, "in", "AX"), "SI")
	f.op("MOVQ", field(channelsRun, "stride", "AX"), "R8")
	f.op("MOVQ", field(channelsRun, "pixels", "AX"), "CX")
	parts, half = 128/s.bytes, s.bytes/2
	for i := range parts {
		f.op("VMOVUPD", fmt.Sprintf("%s_mean+%d(AX)", channelsRun, s.bytes*i), r(4+i))
	}
	return f.newLabel("pixel"), parts, half
}

func (f *file) channelMoments(s isa) {
	r := s.register
	again, parts, half := f.channelDoubles(s, "channelMoments"+s.name, "adds to r.sum the elements less the mean, and to r.squares the squares of that,")
	for i := range parts {
		f.op("VMOVUPD", fmt.Sprintf("%s_sum+%d(AX)", channelsRun, s.bytes*i), r(8+i))
		f.op("VMOVUPD", fmt.Sprintf("%s_squares+%d(AX)", channelsRun, s.bytes*i), r(12+i))
	}
	f.place(again)
	for i := range parts {
		f.op("VCVTPS2PD", at(half*i, "SI"), r(i))
		f.op("VSUBPD", r(4+i), r(i), r(i))
		f.op("VADDPD", r(i), r(8+i), r(8+i))
		f.op("VMULPD", r(i), r(i), r(i))
		f.op("VADDPD", r(i), r(12+i), r(12+i))
	}
	f.op("ADDQ", "R8", "SI")
	f.op("DECQ", "CX")
	f.op("JNE", again)
	for i := range parts {
		f.op("VMOVUPD", r(8+i), fmt.Sprintf("%s_sum+%d(AX)", channelsRun, s.bytes*i))
		f.op("VMOVUPD", r(12+i), fmt.Sprintf("%s_squares+%d(AX)", channelsRun, s.bytes*i))
	}
	f.op("VZEROUPPER")
	f.op("RET")
}

func (f *file) channelNormalize(s isa) {
	r := s.register
	again, parts, half := f.channelDoubles(s, "channelNormalize"+s.name, "makes (x − mean)·factor + bias")
	f.op("MOVQ", field(channelsRun, "out", "AX"), "DI")
	for i := range parts {
		f.op("VMOVUPD", fmt.Sprintf("%s_sum+%d(AX)", channelsRun, s.bytes*i), r(8+i))
		f.op("VMOVUPD", fmt.Sprintf("%s_squares+%d(AX)", channelsRun, s.bytes*i), r(12+i))
	}
	f.place(again)
	for i := range parts {
		f.op("VCVTPS2PD", at(half*i, "SI"), r(i))
		f.op("VSUBPD", r(4+i), r(i), r(i))
		f.op("VMULPD", r(8+i), r(i), r(i))
		f.op("VADDPD", r(12+i), r(i), r(i))
		if s.bytes == 64 {
			f.op("VCVTPD2PS", r(i), y(i))
			f.op("VMOVUPS", y(i), at(half*i, "DI"))
		} else {
			f.op("VCVTPD2PSY", r(i), x(i))
			f.op("VMOVUPS", x(i), at(half*i, "DI"))
		}
	}
	f.op("ADDQ", "R8", "SI")
	f.op("ADDQ", "R8", "DI")
	f.op("DECQ", "CX")
	f.op("JNE", again)
	f.op("VZEROUPPER")
	f.op("RET")
}
