package main

import "fmt"

const tileInt8 = "tileInt8"

func productInt8(f *file) {
	f.constant("transpose4x4", 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)
	f.constant("transpose2x4", 0, 4, 1, 5, 2, 6, 3, 7)
	for _, flip := range []bool{false, true} {
		suffix, codes := "", "u8"
		if flip {
			suffix, codes = "Signed", "s8"
		}
		for _, vectors := range []int{2, 1} {
			name := fmt.Sprintf("tileInt8AVX512VNNIx12x%d%s", 16*vectors, suffix)
			doc := fmt.Sprintf("%s is a tile of up to 12 rows of %s codes and %d columns.", name, codes, 16*vectors)
			f.function(name, "(t *tileInt8)", doc, 24, 8)
			f.byRows(tileInt8, 12, func(rows int) { avx512vnni(f, rows, vectors, flip) })
		}
		name := "tileInt8AVXVNNIx6x16" + suffix
		f.function(name, "(t *tileInt8)", name+" is a tile of up to 6 rows of "+codes+" codes and 16 columns.", 24, 8)
		f.byRows(tileInt8, 6, func(rows int) { avxVNNI(f, rows, flip) })
		name = "tileInt8AVX2x3x16" + suffix
		f.function(name, "(t *tileInt8)", name+" is a tile of up to 3 rows of "+codes+" codes and 16 columns.", 24, 8)
		f.byRows(tileInt8, 3, func(rows int) { avx2Int8(f, rows, flip) })
	}
	finishInt8(f)
	finishRowsInt8(f)
}

// finishInt8 writes what avx512vnni does after its loop, to sums that are in acc already.
func finishInt8(f *file) {
	for _, vectors := range []int{2, 1} {
		name := fmt.Sprintf("finishInt8AVX512x12x%d", 16*vectors)
		f.function(name, "(t *tileInt8)", fmt.Sprintf("%s is what becomes of up to 12 rows of %d sums in acc.", name, 16*vectors), 0, 8)
		f.byRows(tileInt8, 12, func(rows int) {
			sum := func(r, v int) int { return r*vectors + v }
			f.comment("%d rows", rows)
			f.offsets512(vectors, func(v int) int { return 24 + v })
			f.op("MOVQ", field(tileInt8, "acc", "AX"), "BX")
			for r := range rows {
				for v := range vectors {
					f.op("VPADDD", at(128*r+64*v, "BX"), z(24+v), z(sum(r, v)))
				}
			}
			finish512(f, rows, vectors)
		})
	}
}

// finishRowsInt8 writes the same for any number of rows, of which codes are wanted and no residual is added to: what
// columns have in common is made once.
func finishRowsInt8(f *file) {
	const permutation, high, greatest = 22, 23, 28
	for _, vectors := range []int{2, 1} {
		name := fmt.Sprintf("finishRowsInt8AVX512x%d", 16*vectors)
		f.function(name, "(t *tileInt8)", fmt.Sprintf("%s is the codes of rows of sums in acc, which are 32 apart, in up to %d columns.", name, 16*vectors), 0, 8)
		f.op("MOVQ", "t+0(FP)", "AX")
		f.offsets512(vectors, func(v int) int { return 24 + v })
		f.multipliers512(vectors)
		f.limits512(greatest)
		f.op("VPBROADCASTD", field(tileInt8, "high", "AX"), z(high))
		f.op("VMOVDQU32", "transpose4x4<>(SB)", z(permutation))
		f.op("MOVQ", field(tileInt8, "out", "AX"), "BX")
		f.op("MOVQ", field(tileInt8, "outStarts", "AX"), "DX")
		f.op("MOVL", field(tileInt8, "mask", "AX"), "CX")
		f.op("KMOVD", "CX", "K1")
		f.op("MOVQ", field(tileInt8, "acc", "AX"), "R8")
		f.op("MOVQ", field(tileInt8, "rows", "AX"), "R9")
		for _, rows := range []int{8, 4, 1} {
			loop, fewer := f.newLabel("rows"), f.newLabel("fewer")
			n := rows * vectors
			f.place(loop)
			f.op("CMPQ", "R9", fmt.Sprintf("$%d", rows))
			f.op("JLT", fewer)
			for i := range n {
				f.op("VPADDD", at(128*(i/vectors)+64*(i%vectors), "R8"), z(24+i%vectors), z(i))
			}
			for i := range n {
				f.op("VCVTDQ2PS", z(i), z(i))
				f.op("VMULPS", z(26+i%vectors), z(i), z(i))
				f.op("VMINPS", z(high), z(i), z(i))
				f.op("VCVTPS2DQ", z(i), z(i))
			}
			f.pack512(n, greatest, permutation)
			f.storeCodes512(rows, vectors, true)
			f.op("ADDQ", fmt.Sprintf("$%d", 128*rows), "R8")
			f.op("ADDQ", fmt.Sprintf("$%d", 8*rows), "DX")
			f.op("SUBQ", fmt.Sprintf("$%d", rows), "R9")
			f.op("JMP", loop)
			f.place(fewer)
		}
		f.op("VZEROUPPER")
		f.op("RET")
	}
}

// offsets512 makes registers the bias − zero point·Σ weights of each vector of columns.
func (f *file) offsets512(vectors int, to func(v int) int) {
	f.masks512(tileInt8, vectors)
	f.op("MOVQ", field(tileInt8, "bias", "AX"), "BX")
	f.op("MOVQ", field(tileInt8, "weightSums", "AX"), "DX")
	f.op("VPBROADCASTD", field(tileInt8, "correction", "AX"), z(31))
	for v := range vectors {
		f.op("VMOVDQU32.Z", at(64*v, "DX"), column(v), z(30))
		f.op("VMOVDQU32.Z", at(64*v, "BX"), column(v), z(to(v)))
		f.op("VPMULLD", z(31), z(30), z(30))
		f.op("VPADDD", z(30), z(to(v)), z(to(v)))
	}
}

// avx512vnni writes a tile whose sums are registers 0 to rows·vectors−1, row by row. Registers 24 and 25 are weights,
// 26 to 30 take turns as four codes of a row, 31 is 0x80 in every byte.
func avx512vnni(f *file, rows, vectors int, flip bool) {
	sum := func(r, v int) int { return r*vectors + v }
	f.comment("%d rows: the sums begin with bias − zero point·Σ weights", rows)
	f.offsets512(vectors, func(v int) int { return sum(0, v) })
	for r := 1; r < rows; r++ {
		for v := range vectors {
			f.op("VMOVDQA64", z(sum(0, v)), z(sum(r, v)))
		}
	}
	if flip {
		f.op("MOVL", "$0x80808080", "CX")
		f.op("VPBROADCASTD", "CX", z(31))
	}
	f.runs(tileInt8, rows, 0, 128, func() {
		for v := range vectors {
			f.op("VMOVDQU64", at(64*v, "BX"), z(24+v))
		}
		f.prefetch(vectors)
		for r := range rows {
			codes := z(26 + r%5)
			f.op("VPBROADCASTD", indexed(rowRegisters[r], "AX"), codes)
			if flip {
				f.op("VPXORD", z(31), codes, codes)
			}
			for v := range vectors {
				f.op("VPDPBUSD", z(24+v), codes, z(sum(r, v)))
			}
		}
	})

	finish512(f, rows, vectors)
}

// finish512 writes what becomes of the sums in registers 0 to rows·vectors−1: to acc, or requantized to out.
func finish512(f *file, rows, vectors int) {
	sum := func(r, v int) int { return r*vectors + v }
	codes := f.newLabel("codes")
	f.op("MOVQ", "t+0(FP)", "AX")
	f.op("MOVQ", field(tileInt8, "out", "AX"), "BX")
	f.op("TESTQ", "BX", "BX")
	f.op("JNE", codes)
	f.comment("sums as they are, 32 a row")
	f.op("MOVQ", field(tileInt8, "acc", "AX"), "BX")
	for r := range rows {
		for v := range vectors {
			f.op("VMOVDQU32", z(sum(r, v)), at(128*r+64*v, "BX"))
		}
	}
	f.op("VZEROUPPER")
	f.op("RET")

	f.place(codes)
	f.multipliers512(vectors)
	n := rows * vectors
	each := func(write func(i int)) {
		for i := range n {
			write(i)
		}
	}
	each(func(i int) { f.op("VCVTDQ2PS", z(i), z(i)) })
	each(func(i int) { f.op("VMULPS", z(26+i%vectors), z(i), z(i)) })
	alone, rounded := f.newLabel("alone"), f.newLabel("rounded")
	f.op("MOVQ", field(tileInt8, "residual", "AX"), "SI")
	f.op("TESTQ", "SI", "SI")
	f.op("JEQ", alone)
	join512(f, rows, vectors)
	f.op("JMP", rounded)
	f.place(alone)
	f.op("CMPB", field(tileInt8, "bounded", "AX"), "$0")
	f.op("JNE", rounded)
	f.op("VPBROADCASTD", field(tileInt8, "high", "AX"), z(28))
	each(func(i int) { f.op("VMINPS", z(28), z(i), z(i)) })
	f.place(rounded)
	each(func(i int) { f.op("VCVTPS2DQ", z(i), z(i)) })
	f.limits512(28)
	f.op("VMOVDQU32", "transpose4x4<>(SB)", z(26))
	f.pack512(n, 28, 26)
	f.op("MOVQ", field(tileInt8, "outStarts", "AX"), "DX")
	f.op("MOVL", field(tileInt8, "mask", "AX"), "CX")
	f.op("KMOVD", "CX", "K1")
	partial := f.newLabel("partial")
	full := "$-1"
	if vectors == 1 {
		full = "$0xffff"
	}
	f.op("CMPL", "CX", full)
	f.op("JNE", partial)
	f.storeCodes512(rows, vectors, false)
	f.op("VZEROUPPER")
	f.op("RET")
	f.place(partial)
	f.storeCodes512(rows, vectors, true)
	f.op("VZEROUPPER")
	f.op("RET")
}

// multipliers512 makes registers 26 and 27 the columns' multipliers.
func (f *file) multipliers512(vectors int) {
	f.comment("NaN multipliers become 0 and infinite ones the greatest: the codes are the same, and no product is NaN")
	f.op("MOVQ", field(tileInt8, "multiplier", "AX"), "DX")
	f.op("MOVL", "$0x7f7fffff", "CX")
	f.op("VPBROADCASTD", "CX", z(28))
	f.op("MOVL", "$0xff7fffff", "CX")
	f.op("VPBROADCASTD", "CX", z(29))
	for v := range vectors {
		f.op("VMOVUPS.Z", at(64*v, "DX"), column(v), z(26+v))
		f.op("VCMPPS", "$7", z(26+v), z(26+v), "K3")
		f.op("VMINPS.Z", z(28), z(26+v), "K3", z(26+v))
		f.op("VMAXPS", z(29), z(26+v), z(26+v))
	}
}

// limits512 makes a register and registers 29 to 31 what pack512 needs.
func (f *file) limits512(greatest int) {
	f.op("VPBROADCASTB", field(tileInt8, "greatest", "AX"), z(greatest))
	f.op("VPBROADCASTW", field(tileInt8, "zeroPoint", "AX"), z(29))
	f.op("VPBROADCASTB", field(tileInt8, "least", "AX"), z(30))
	f.op("VPBROADCASTB", field(tileInt8, "shift", "AX"), z(31))
}

// pack512 turns the integers in registers 0 to n−1 into codes: those of four of them are in the first of the four then.
func (f *file) pack512(n, greatest, permutation int) {
	f.comment("four vectors at a time: saturated to 16 bits, moved to where the codes are u8, saturated to 8, limited, in order")
	quarter := func(i int) string { return z(min(i, n-1)) }
	for i := 0; i < n; i += 4 {
		f.op("VPACKSSDW", quarter(i+1), z(i), z(i))
		f.op("VPADDSW", z(29), z(i), z(i))
		second := z(i)
		if i+2 < n {
			second = z(i + 2)
			f.op("VPACKSSDW", quarter(i+3), second, second)
			f.op("VPADDSW", z(29), second, second)
		}
		f.op("VPACKUSWB", second, z(i), z(i))
		f.op("VPMAXUB", z(30), z(i), z(i))
		f.op("VPMINUB", z(greatest), z(i), z(i))
		f.op("VPXORD", z(31), z(i), z(i))
		f.op("VPERMD", z(i), z(permutation), z(i))
	}
}

// storeCodes512 writes rows of codes to where outStarts, at DX, says from BX on; with a mask those of the columns in K1.
func (f *file) storeCodes512(rows, vectors int, mask bool) {
	for r := range rows {
		i := r * vectors
		from := x(i / 4 * 4)
		if vectors == 2 {
			from = y(i / 4 * 4)
		}
		if part := i % 4; part > 0 {
			if vectors == 2 {
				f.op("VEXTRACTI64X4", "$1", z(i-part), from)
			} else {
				from = x(i)
				f.op("VEXTRACTI32X4", fmt.Sprintf("$%d", part), z(i-part), from)
			}
		}
		f.op("MOVQ", at(8*r, "DX"), "SI")
		if mask {
			f.op("VMOVDQU8", from, "K1", indexed("BX", "SI"))
		} else {
			f.op("VMOVDQU8", from, indexed("BX", "SI"))
		}
	}
}

// join512 adds residuals to products, as floats, in registers 0 to rows·vectors−1; the products are rounded and limited
// first. Subtractions and additions are spelled as multiplications by one that add, which other units of a processor do
// than conversions; their results are the same.
func join512(f *file, rows, vectors int) {
	f.op("MOVQ", field(tileInt8, "residualStarts", "AX"), "DX")
	low, high, ratio, flip, zero, residualRatio, one, other := z(24), z(25), z(26), z(27), z(28), z(29), z(30), z(31)
	f.op("MOVL", "$0x3f800000", "CX")
	f.op("VPBROADCASTD", "CX", one)
	for i, name := range []string{"low", "high", "ratio", "residualFlip", "residualZero", "residualRatio"} {
		f.op("VPBROADCASTD", field(tileInt8, name, "AX"), z(24+i))
	}
	for r := range rows {
		f.op("MOVQ", at(8*r, "DX"), "DI")
		for v := range vectors {
			sum := z(r*vectors + v)
			f.op("VPMOVZXBD.Z", fmt.Sprintf("%d(SI)(DI*1)", 16*v), column(v), other)
			f.op("VMINPS", high, sum, sum)
			f.op("VPXORD", flip, other, other)
			f.op("VMAXPS", low, sum, sum)
			f.op("VFMSUB213PS", zero, one, other)
			f.op("VRNDSCALEPS", "$8", sum, sum)
			f.op("VMULPS", residualRatio, other, other)
			f.op("VMULPS", ratio, sum, sum)
			f.op("VFMADD213PS", other, one, sum)
		}
	}
}
