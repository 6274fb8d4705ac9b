package main

import "fmt"

const tileF32 = "tileF32"

func productF32(f *file) {
	for _, vectors := range []int{2, 1} {
		name := fmt.Sprintf("tileF32AVX512x12x%d", 16*vectors)
		doc := fmt.Sprintf("%s is tiles of up to 12 rows and %d columns, one below the other.", name, 16*vectors)
		f.function(name, "(t *tileF32)", doc, 56, 8)
		f.byRows(tileF32, 12, func(rows int) { avx512(f, rows, vectors) })
	}
	f.function("tileF32AVX2x6x16", "(t *tileF32)", "tileF32AVX2x6x16 is a tile of up to 6 rows and 16 columns.", 24, 8)
	f.byRows(tileF32, 6, func(rows int) { avx2F32(f, rows) })
}

// avx512 writes a tile whose sums are registers 0 to rows·vectors−1, row by row. Registers 24 and 25 are weights, 26 to
// 29 take turns as an element of a row, 30 and 31 are the limits. Each sum is one chain of fused multiply-adds in order of depth, so that its bits
// do not depend on the tile it is in.
func avx512(f *file, rows, vectors int) {
	sum := func(r, v int) int { return r*vectors + v }
	f.comment("%d rows a tile", rows)
	f.masks512(tileF32, vectors)
	f.op("VBROADCASTSS", field(tileF32, "least", "AX"), z(30))
	f.op("VBROADCASTSS", field(tileF32, "greatest", "AX"), z(31))
	f.op("MOVQ", field(tileF32, "rowStarts", "AX"), "CX")
	f.op("MOVQ", "CX", "rowStarts-32(SP)")
	f.op("MOVQ", field(tileF32, "outStarts", "AX"), "CX")
	f.op("MOVQ", "CX", "outStarts-40(SP)")
	f.op("MOVQ", field(tileF32, "residualStarts", "AX"), "CX")
	f.op("MOVQ", "CX", "residualStarts-56(SP)")
	f.op("MOVQ", field(tileF32, "tiles", "AX"), "CX")
	f.op("MOVQ", "CX", "tiles-48(SP)")
	tile := f.newLabel("tile")
	f.place(tile)
	f.comment("the sums begin with the bias")
	f.op("MOVQ", "t+0(FP)", "AX")
	f.op("MOVQ", field(tileF32, "bias", "AX"), "BX")
	for v := range vectors {
		f.op("VMOVUPS.Z", at(64*v, "BX"), column(v), z(sum(0, v)))
	}
	for r := 1; r < rows; r++ {
		for v := range vectors {
			f.op("VMOVAPS", z(sum(0, v)), z(sum(r, v)))
		}
	}
	f.runsFrom(tileF32, rows, 2, 128, "rowStarts-32(SP)", func() {
		for v := range vectors {
			f.op("VMOVUPS", at(64*v, "BX"), z(24+v))
		}
		f.prefetch(vectors)
		for r := range rows {
			element := z(26 + r%4)
			f.op("VBROADCASTSS", indexed(rowRegisters[r], "AX"), element)
			for v := range vectors {
				f.op("VFMADD231PS", z(24+v), element, z(sum(r, v)))
			}
		}
	})
	f.comment("limits: of two operands of which one is NaN the instructions give the first here, the sum")
	f.op("MOVQ", "t+0(FP)", "AX")
	f.op("MOVQ", field(tileF32, "out", "AX"), "BX")
	f.op("MOVQ", "outStarts-40(SP)", "DX")
	for i := range rows * vectors {
		f.op("VMAXPS", z(i), z(30), z(i))
	}
	for i := range rows * vectors {
		f.op("VMINPS", z(i), z(31), z(i))
	}
	f.residualF32("residualStarts-56(SP)", rows, func() {
		f.op("VBROADCASTSS", field(tileF32, "sumLeast", "AX"), z(28))
		f.op("VBROADCASTSS", field(tileF32, "sumGreatest", "AX"), z(29))
		f.op("ADDQ", fmt.Sprintf("$%d", 8*rows), "residualStarts-56(SP)")
	}, func(r int) {
		for v := range vectors {
			i := sum(r, v)
			f.op("VADDPS", fmt.Sprintf("%d(SI)(DI*4)", 64*v), z(i), column(v), z(i))
			f.op("VMAXPS", z(i), z(28), z(i))
			f.op("VMINPS", z(i), z(29), z(i))
		}
	})
	full := "$-1"
	if vectors == 1 {
		full = "$0xffff"
	}
	partial := f.newLabel("partial")
	f.op("CMPL", field(tileF32, "mask", "AX"), full)
	f.op("JNE", partial)
	for _, masked := range []bool{false, true} {
		if masked {
			f.place(partial)
		}
		for r := range rows {
			f.op("MOVQ", at(8*r, "DX"), "SI")
			for v := range vectors {
				to := fmt.Sprintf("%d(BX)(SI*4)", 64*v)
				if masked {
					f.op("VMOVUPS", z(sum(r, v)), column(v), to)
				} else {
					f.op("VMOVUPS", z(sum(r, v)), to)
				}
			}
		}
		f.op("ADDQ", fmt.Sprintf("$%d", 8*rows), "rowStarts-32(SP)")
		f.op("ADDQ", fmt.Sprintf("$%d", 8*rows), "outStarts-40(SP)")
		f.op("DECQ", "tiles-48(SP)")
		f.op("JNE", tile)
		f.op("VZEROUPPER")
		f.op("RET")
	}
}

// residualF32 writes what adds residuals to sums that are limited, if there are any: what prepares it, then a row, whose
// residuals begin DI elements from SI. DX and BX are left alone.
func (f *file) residualF32(starts string, rows int, prepare func(), row func(r int)) {
	alone := f.newLabel("alone")
	f.op("MOVQ", field(tileF32, "residual", "AX"), "SI")
	f.op("TESTQ", "SI", "SI")
	f.op("JEQ", alone)
	f.op("MOVQ", starts, "CX")
	prepare()
	for r := range rows {
		f.op("MOVQ", at(8*r, "CX"), "DI")
		row(r)
	}
	f.place(alone)
}
