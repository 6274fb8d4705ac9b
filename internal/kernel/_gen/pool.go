package main

import "fmt"

const poolStrip = "poolStrip"

func pools(f *file) {
	for _, kind := range []string{"MaxUint8", "MaxInt8", "MaxF32", "SumUint8", "AverageF32"} {
		for _, masked := range []bool{false, true} {
			f.pool(isaAVX512, kind, masked)
		}
		f.pool(isaAVX2, kind, false)
	}
	for _, kind := range []string{"MaxUint8", "MaxInt8", "MaxF32", "AverageF32"} {
		for _, vectors := range []int{2, 4} {
			f.poolVectors(isaAVX512, kind, vectors)
			f.poolVectors(isaAVX2, kind, vectors)
		}
	}
}

// poolVectors writes the kernel of several vectors of channels, which finds an input of them all at once. Registers from
// 0 on are the results, from 4 on where there has been a NaN (with AVX-512 masks of where there has been none), from 8 on
// the inputs of a tap.
func (f *file) poolVectors(s isa, kind string, vectors int) {
	r := s.register
	elementBytes, meaning := 1, "the greatest code"
	switch kind {
	case "MaxF32":
		elementBytes, meaning = 4, "the greatest element"
	case "AverageF32":
		elementBytes, meaning = 4, "the mean"
	}
	channels := vectors * s.bytes / elementBytes
	name := fmt.Sprintf("pool%s%sx%d", kind, s.name, channels)
	f.function(name, "(s *poolStrip)", fmt.Sprintf("%s makes %s of %d channels of every pixel of a strip.", name, meaning, channels), 0, 8)
	f.op("MOVQ", "s+0(FP)", "AX")
	f.op("MOVQ", field(poolStrip, "in", "AX"), "BX")
	f.op("MOVQ", field(poolStrip, "pad", "AX"), "CX")
	f.op("MOVQ", field(poolStrip, "offsets", "AX"), "DX")
	f.op("MOVQ", field(poolStrip, "out", "AX"), "DI")
	f.op("MOVQ", field(poolStrip, "counts", "AX"), "SI")
	f.op("MOVQ", field(poolStrip, "pixels", "AX"), "R14")
	nan := kind == "MaxF32"
	mask := func(v int) string { return fmt.Sprintf("K%d", 2+v) }
	pixel, tap := f.newLabel("pixel"), f.newLabel("tap")
	f.place(pixel)
	f.op("MOVQ", field(poolStrip, "taps", "AX"), "R13")
	for v := range vectors {
		if kind == "AverageF32" {
			f.op(s.xor, r(v), r(v), r(v))
		} else {
			f.op("VPBROADCASTD", field(poolStrip, "lowest", "AX"), r(v))
		}
		switch {
		case nan && s.bytes == 64:
			f.op("KXNORW", mask(v), mask(v), mask(v))
		case nan:
			f.op(s.xor, r(4+v), r(4+v), r(4+v))
		}
	}
	f.place(tap)
	f.op("MOVLQSX", "(DX)", "R8")
	f.op("ADDQ", "$4", "DX")
	f.op("LEAQ", fmt.Sprintf("(BX)(R8*%d)", elementBytes), "R9")
	f.op("TESTQ", "R8", "R8")
	f.op("CMOVQLT", "CX", "R9")
	for v := range vectors {
		f.op("VMOVUPS", at(v*s.bytes, "R9"), r(8+v))
	}
	for v := range vectors {
		switch kind {
		case "MaxUint8", "MaxInt8":
			f.op(choose(kind == "MaxInt8", "VPMAXSB", "VPMAXUB"), r(8+v), r(v), r(v))
		case "AverageF32":
			f.op("VADDPS", r(8+v), r(v), r(v))
		case "MaxF32": // NaN is remembered on the side
			f.op("VMAXPS", r(v), r(8+v), r(v))
			if s.bytes == 64 {
				f.op("VCMPPS", "$7", r(8+v), r(8+v), mask(v), mask(v))
			} else {
				f.op("VCMPPS", "$3", r(8+v), r(8+v), r(8+v))
				f.op("VORPS", r(8+v), r(4+v), r(4+v))
			}
		}
	}
	f.op("DECQ", "R13")
	f.op("JNE", tap)
	if kind == "AverageF32" {
		f.op("VBROADCASTSS", "(SI)", r(8))
		f.op("ADDQ", "$4", "SI")
	}
	for v := range vectors {
		switch {
		case kind == "AverageF32":
			f.op("VDIVPS", r(8), r(v), r(v))
		case nan && s.bytes == 64:
			f.op("KNOTW", mask(v), mask(v))
			f.op("VPTERNLOGD", "$0xff", r(v), r(v), mask(v), r(v))
		case nan:
			f.op("VORPS", r(4+v), r(v), r(v))
		}
		f.op("VMOVUPS", r(v), at(v*s.bytes, "DI"))
	}
	f.op("ADDQ", field(poolStrip, "outStep", "AX"), "DI")
	f.op("DECQ", "R14")
	f.op("JNE", pixel)
	f.op("VZEROUPPER")
	f.op("RET")
}

// pool writes the kernel of one vector of channels: register 0 is the result, 1 the input of a tap.
func (f *file) pool(s isa, kind string, masked bool) {
	r := s.register
	elementBytes, meaning := 1, "the greatest code"
	switch kind {
	case "MaxF32":
		elementBytes, meaning = 4, "the greatest element"
	case "AverageF32":
		elementBytes, meaning = 4, "the mean"
	case "SumUint8":
		meaning = "the sum, as int32,"
	}
	channels := s.bytes / elementBytes
	name := fmt.Sprintf("pool%s%sx%d", kind, s.name, channels)
	of := fmt.Sprintf("%d channels", channels)
	if masked {
		name += "Masked"
		of = fmt.Sprintf("the channels of the strip's mask, up to %d,", channels)
	}
	f.function(name, "(s *poolStrip)", fmt.Sprintf("%s makes %s of %s of every pixel of a strip.", name, meaning, of), 0, 8)
	f.op("MOVQ", "s+0(FP)", "AX")
	if masked {
		f.op("MOVQ", field(poolStrip, "mask", "AX"), "CX")
		f.op("KMOVQ", "CX", "K1")
	}
	f.op("MOVQ", field(poolStrip, "in", "AX"), "BX")
	f.op("MOVQ", field(poolStrip, "pad", "AX"), "CX")
	f.op("MOVQ", field(poolStrip, "offsets", "AX"), "DX")
	f.op("MOVQ", field(poolStrip, "out", "AX"), "DI")
	f.op("MOVQ", field(poolStrip, "counts", "AX"), "SI")
	f.op("MOVQ", field(poolStrip, "pixels", "AX"), "R14")
	f.op("VPBROADCASTD", field(poolStrip, "flip", "AX"), r(6))
	f.op(s.xor, r(7), r(7), r(7))

	pixel, tap := f.newLabel("pixel"), f.newLabel("tap")
	f.place(pixel)
	f.op("MOVQ", field(poolStrip, "taps", "AX"), "R13")
	first := "VMOVUPS"
	switch kind {
	case "MaxF32":
		f.op("VBROADCASTSS", field(poolStrip, "lowest", "AX"), r(0))
		f.op(s.xor, r(5), r(5), r(5))
		if s.bytes == 64 {
			f.op("KXORW", "K2", "K2", "K2")
		}
	case "MaxUint8", "MaxInt8":
		f.op("VPBROADCASTD", field(poolStrip, "lowest", "AX"), r(0))
	default:
		f.op(s.xor, r(0), r(0), r(0))
		f.op(s.xor, r(1), r(1), r(1))
	}
	f.place(tap)
	f.op("MOVLQSX", "(DX)", "R8")
	f.op("ADDQ", "$4", "DX")
	f.op("TESTQ", "R8", "R8")
	f.op("LEAQ", fmt.Sprintf("(BX)(R8*%d)", elementBytes), "R8")
	f.op("CMOVQLT", "CX", "R8")
	load := func(to int) {
		switch {
		case masked && elementBytes == 1:
			f.op("VMOVDQU8.Z", "(R8)", "K1", r(to))
		case masked:
			f.op("VMOVUPS.Z", "(R8)", "K1", r(to))
		default:
			f.op(first, "(R8)", r(to))
		}
	}
	switch kind {
	case "MaxUint8", "MaxInt8":
		load(2)
		f.op(choose(kind == "MaxInt8", "VPMAXSB", "VPMAXUB"), r(2), r(0), r(0))
	case "SumUint8": // 16-bit sums in registers 0 and 1
		load(2)
		f.op(s.xor, r(6), r(2), r(2))
		f.op("VPUNPCKLBW", r(7), r(2), r(3))
		f.op("VPUNPCKHBW", r(7), r(2), r(4))
		f.op("VPADDW", r(3), r(0), r(0))
		f.op("VPADDW", r(4), r(1), r(1))
	case "MaxF32": // NaN is remembered on the side
		load(2)
		f.op("VMAXPS", r(0), r(2), r(0))
		if s.bytes == 64 {
			f.op("VCMPPS", "$3", r(2), r(2), "K3")
			f.op("KORW", "K3", "K2", "K2")
		} else {
			f.op("VCMPPS", "$3", r(2), r(2), r(3))
			f.op("VORPS", r(3), r(5), r(5))
		}
	case "AverageF32":
		load(2)
		f.op("VADDPS", r(2), r(0), r(0))
	}
	f.op("DECQ", "R13")
	f.op("JNE", tap)

	store := func(move string) {
		if masked {
			f.op(move, r(0), "K1", "(DI)")
		} else {
			f.op("VMOVUPS", r(0), "(DI)")
		}
	}
	switch kind {
	case "MaxUint8", "MaxInt8":
		store("VMOVDQU8")
	case "MaxF32":
		if s.bytes == 64 {
			f.op("VPTERNLOGD", "$0xff", r(0), r(0), "K2", r(0))
		} else {
			f.op("VORPS", r(5), r(0), r(0))
		}
		store("VMOVUPS")
	case "AverageF32":
		f.op("VBROADCASTSS", "(SI)", r(2))
		f.op("ADDQ", "$4", "SI")
		f.op("VDIVPS", r(2), r(0), r(0))
		store("VMOVUPS")
	case "SumUint8": // all channels of the vector, in order
		f.op("VPUNPCKLWD", r(7), r(0), r(2))
		f.op("VPUNPCKHWD", r(7), r(0), r(3))
		f.op("VPUNPCKLWD", r(7), r(1), r(4))
		f.op("VPUNPCKHWD", r(7), r(1), r(5))
		for part := range 4 {
			f.op("VMOVUPS", x(2+part), at(16*part, "DI"))
			for lane := 1; lane < s.bytes/16; lane++ {
				f.op(choose(s.bytes == 64, "VEXTRACTI32X4", "VEXTRACTI128"), fmt.Sprintf("$%d", lane), r(2+part), at(64*lane+16*part, "DI"))
			}
		}
	}
	f.op("ADDQ", field(poolStrip, "outStep", "AX"), "DI")
	f.op("DECQ", "R14")
	f.op("JNE", pixel)
	f.op("VZEROUPPER")
	f.op("RET")
}
