package main

import "fmt"

// The tiles for 256-bit registers, 16 columns wide. They write whole rows of 16: of a panel with fewer columns, to the
// tile's acc, from where plain Go takes them. What they read of the columns has 16 elements.

// avx2F32 writes a tile of sums in registers 0 to 2·rows−1; 12 and 13 are weights, 14 and 15 take turns as an element
// of a row. The order of the sums is that of avx512.
func avx2F32(f *file, rows int) {
	f.comment("%d rows: the sums begin with the bias", rows)
	f.op("MOVQ", field(tileF32, "bias", "AX"), "BX")
	for v := range 2 {
		f.op("VMOVUPS", at(32*v, "BX"), y(v))
	}
	for r := 1; r < rows; r++ {
		for v := range 2 {
			f.op("VMOVAPS", y(v), y(2*r+v))
		}
	}
	f.runs(tileF32, rows, 2, 64, func() {
		for v := range 2 {
			f.op("VMOVUPS", at(32*v, "BX"), y(12+v))
		}
		for r := range rows {
			element := y(14 + r%2)
			f.op("VBROADCASTSS", indexed(rowRegisters[r], "AX"), element)
			for v := range 2 {
				f.op("VFMADD231PS", y(12+v), element, y(2*r+v))
			}
		}
	})
	f.comment("limits: of two operands of which one is NaN the instructions give the first here, the sum")
	f.op("MOVQ", "t+0(FP)", "AX")
	f.op("VBROADCASTSS", field(tileF32, "least", "AX"), y(12))
	f.op("VBROADCASTSS", field(tileF32, "greatest", "AX"), y(13))
	for i := range 2 * rows {
		f.op("VMAXPS", y(i), y(12), y(i))
	}
	for i := range 2 * rows {
		f.op("VMINPS", y(i), y(13), y(i))
	}
	f.residualF32(field(tileF32, "residualStarts", "AX"), rows, func() {
		f.op("VBROADCASTSS", field(tileF32, "sumLeast", "AX"), y(12))
		f.op("VBROADCASTSS", field(tileF32, "sumGreatest", "AX"), y(13))
	}, func(r int) {
		for v := range 2 {
			i := 2*r + v
			f.op("VADDPS", fmt.Sprintf("%d(SI)(DI*4)", 32*v), y(i), y(i))
			f.op("VMAXPS", y(i), y(12), y(i))
			f.op("VMINPS", y(i), y(13), y(i))
		}
	})
	f.op("MOVQ", field(tileF32, "out", "AX"), "BX")
	f.op("MOVQ", field(tileF32, "outStarts", "AX"), "DX")
	partial := f.newLabel("partial")
	f.op("CMPQ", field(tileF32, "columns", "AX"), "$16")
	f.op("JNE", partial)
	for r := range rows {
		f.op("MOVQ", at(8*r, "DX"), "SI")
		for v := range 2 {
			f.op("VMOVUPS", y(2*r+v), fmt.Sprintf("%d(BX)(SI*4)", 32*v))
		}
	}
	f.op("VZEROUPPER")
	f.op("RET")
	f.place(partial)
	f.op("MOVQ", field(tileF32, "acc", "AX"), "BX")
	for i := range 2 * rows {
		f.op("VMOVUPS", y(i), at(32*i, "BX"))
	}
	f.op("VZEROUPPER")
	f.op("RET")
}

// avx2Int8 writes a tile of exact sums of products of 16-bit integers, of up to 3 rows. A step is four codes of a row,
// widened and repeated, times four vectors of weights; each holds four columns, a column's four weights in two
// neighbouring 32-bit lanes, whose sums are added at the end. Registers 0 to 4·rows−1 are sums, 12 the codes, 13 a
// product, 15 is 0x80 in every byte.
func avx2Int8(f *file, rows int, flip bool) {
	f.comment("%d rows", rows)
	for i := range 4 * rows {
		f.op("VPXOR", y(i), y(i), y(i))
	}
	if flip {
		f.flip256()
	}
	f.runs(tileInt8, rows, 0, 128, func() {
		for r := range rows {
			f.op("VPBROADCASTD", indexed(rowRegisters[r], "AX"), x(12))
			if flip {
				f.op("VPXOR", x(15), x(12), x(12))
			}
			f.op("VPMOVZXBW", x(12), y(12))
			for v := range 4 {
				f.op("VPMADDWD", at(32*v, "BX"), y(12), y(13))
				f.op("VPADDD", y(13), y(4*r+v), y(4*r+v))
			}
		}
	})
	for r := range rows {
		f.op("VPHADDD", y(4*r+1), y(4*r), y(2*r))
		f.op("VPHADDD", y(4*r+3), y(4*r+2), y(2*r+1))
	}
	f.finish256(rows)
}

// avxVNNI writes a tile of up to 6 rows by the VEX form of VPDPBUSD. Registers 0 to 2·rows−1 are sums, 12 and 13
// weights, 14 the codes of a row, 15 is 0x80 in every byte.
func avxVNNI(f *file, rows int, flip bool) {
	f.comment("%d rows", rows)
	for i := range 2 * rows {
		f.op("VPXOR", y(i), y(i), y(i))
	}
	if flip {
		f.flip256()
	}
	f.runs(tileInt8, rows, 0, 64, func() {
		for v := range 2 {
			f.op("VMOVDQU", at(32*v, "BX"), y(12+v))
		}
		for r := range rows {
			f.op("VPBROADCASTD", indexed(rowRegisters[r], "AX"), y(14))
			if flip {
				f.op("VPXOR", y(15), y(14), y(14))
			}
			for v := range 2 {
				f.vpdpbusd(12+v, 14, 2*r+v)
			}
		}
	})
	f.finish256(rows)
}

// flip256 makes register 15 0x80 in every byte.
func (f *file) flip256() {
	f.op("MOVL", "$0x80808080", "CX")
	f.op("VMOVD", "CX", x(15))
	f.op("VPBROADCASTD", x(15), y(15))
}

// finish256 writes what becomes of the sums in registers 0 to 2·rows−1: to acc, or requantized to out.
func (f *file) finish256(rows int) {
	f.comment("bias − zero point·Σ weights")
	f.op("MOVQ", "t+0(FP)", "AX")
	f.op("MOVQ", field(tileInt8, "bias", "AX"), "BX")
	f.op("MOVQ", field(tileInt8, "weightSums", "AX"), "DX")
	f.op("VPBROADCASTD", field(tileInt8, "correction", "AX"), y(14))
	for v := range 2 {
		f.op("VPMULLD", at(32*v, "DX"), y(14), y(12))
		f.op("VPADDD", at(32*v, "BX"), y(12), y(12))
		for r := range rows {
			f.op("VPADDD", y(12), y(2*r+v), y(2*r+v))
		}
	}
	codes := f.newLabel("codes")
	f.op("MOVQ", field(tileInt8, "out", "AX"), "BX")
	f.op("TESTQ", "BX", "BX")
	f.op("JNE", codes)
	f.comment("sums as they are, 16 a row")
	f.op("MOVQ", field(tileInt8, "acc", "AX"), "BX")
	for i := range 2 * rows {
		f.op("VMOVDQU", y(i), at(32*i, "BX"))
	}
	f.op("VZEROUPPER")
	f.op("RET")

	f.place(codes)
	f.comment("NaN multipliers become 0 and infinite ones the greatest: the codes are the same, and no product is NaN")
	f.op("MOVQ", field(tileInt8, "multiplier", "AX"), "DX")
	broadcast := func(bits string, register int) {
		f.op("MOVL", bits, "CX")
		f.op("VMOVD", "CX", x(register))
		f.op("VPBROADCASTD", x(register), y(register))
	}
	for v := range 2 {
		f.op("VMOVUPS", at(32*v, "DX"), y(12))
		f.op("VCMPPS", "$7", y(12), y(12), y(13))
		f.op("VANDPS", y(13), y(12), y(12))
		broadcast("$0x7f7fffff", 13)
		f.op("VMINPS", y(13), y(12), y(12))
		broadcast("$0xff7fffff", 13)
		f.op("VMAXPS", y(13), y(12), y(12))
		for r := range rows {
			f.op("VCVTDQ2PS", y(2*r+v), y(2*r+v))
			f.op("VMULPS", y(12), y(2*r+v), y(2*r+v))
		}
	}
	f.op("VBROADCASTSS", field(tileInt8, "high", "AX"), y(12))
	for i := range 2 * rows {
		f.op("VMINPS", y(12), y(i), y(i))
	}
	f.join256(rows)
	for i := range 2 * rows {
		f.op("VCVTPS2DQ", y(i), y(i))
	}
	f.comment("four vectors at a time, as with 512 bits")
	f.op("VPBROADCASTW", field(tileInt8, "zeroPoint", "AX"), y(12))
	f.op("VPBROADCASTB", field(tileInt8, "least", "AX"), y(13))
	f.op("VPBROADCASTB", field(tileInt8, "shift", "AX"), y(14))
	f.op("VMOVDQU", "transpose2x4<>(SB)", y(15))
	f.op("MOVQ", field(tileInt8, "outStarts", "AX"), "DX")
	for r := 0; r < rows; r += 2 {
		i := 2 * r
		f.op("VPACKSSDW", y(i+1), y(i), y(i))
		f.op("VPADDSW", y(12), y(i), y(i))
		second := y(i)
		if r+1 < rows {
			second = y(i + 2)
			f.op("VPACKSSDW", y(i+3), second, second)
			f.op("VPADDSW", y(12), second, second)
		}
		f.op("VPACKUSWB", second, y(i), y(i))
		f.op("VPMAXUB", y(13), y(i), y(i))
		f.op("VPXOR", y(14), y(i), y(i))
		f.op("VPERMD", y(i), y(15), y(i))
		f.op("MOVQ", at(8*r, "DX"), "SI")
		f.op("VMOVDQU", x(i), indexed("BX", "SI"))
		if r+1 < rows {
			f.op("VEXTRACTI128", "$1", y(i), x(i))
			f.op("MOVQ", at(8*r+8, "DX"), "SI")
			f.op("VMOVDQU", x(i), indexed("BX", "SI"))
		}
	}
	f.op("VZEROUPPER")
	f.op("RET")
}

// join256 adds residuals, if there are any, to products that are only limited from above, as floats, in registers 0 to
// 2·rows−1; the products are rounded and limited first.
func (f *file) join256(rows int) {
	alone := f.newLabel("alone")
	f.op("MOVQ", field(tileInt8, "residual", "AX"), "SI")
	f.op("TESTQ", "SI", "SI")
	f.op("JEQ", alone)
	f.op("MOVQ", field(tileInt8, "residualStarts", "AX"), "DX")
	constants := func(names ...string) {
		for i, name := range names {
			f.op("VPBROADCASTD", field(tileInt8, name, "AX"), y(12+i))
		}
	}
	constants("low", "ratio")
	for i := range 2 * rows {
		f.op("VMAXPS", y(12), y(i), y(i))
		f.op("VROUNDPS", "$8", y(i), y(i))
		f.op("VMULPS", y(13), y(i), y(i))
	}
	constants("residualFlip", "residualZero", "residualRatio")
	for i := range 2 * rows {
		if i%2 == 0 {
			f.op("MOVQ", at(4*i, "DX"), "DI")
		}
		f.op("VPMOVZXBD", fmt.Sprintf("%d(SI)(DI*1)", i%2*8), y(15))
		f.op("VPXOR", y(12), y(15), y(15))
		f.op("VSUBPS", y(13), y(15), y(15))
		f.op("VMULPS", y(14), y(15), y(15))
		f.op("VADDPS", y(15), y(i), y(i))
	}
	constants("sumHigh")
	for i := range 2 * rows {
		f.op("VMINPS", y(12), y(i), y(i))
	}
	f.place(alone)
}
