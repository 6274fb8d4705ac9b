package main

import "fmt"

// rowRegisters hold where the rows of a tile begin. With AX for the offset in a row, BX for the packed weights and BP
// for the table of runs that is every general register of amd64 but the stack pointer.
var rowRegisters = []string{"R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15", "SI", "DI", "CX", "DX"}

// field is the operand of a field of the tile that a register points to. Of a slice, that is its first element's
// address; its length is 8 bytes further.
func field(tile, name, register string) string { return fmt.Sprintf("%s_%s(%s)", tile, name, register) }

// runs writes the loop over the depth of a tile: over its runs, and in each over steps of 4 bytes of every row. step
// writes the work of one step; AX is the offset in the rows and BX points to the weights. panelStep is how many bytes
// of packed weights a step reads.
func (f *file) runs(tile string, rows, panelStep int, step func()) {
	f.op("MOVQ", "t+0(FP)", "AX")
	f.op("MOVQ", field(tile, "runLength", "AX"), "CX")
	f.op("MOVQ", "CX", "length-16(SP)")
	f.op("MOVQ", field(tile, "runStarts", "AX"), "BP")
	f.op("MOVQ", field(tile, "runStarts+8", "AX"), "CX")
	f.op("LEAQ", "(BP)(CX*8)", "CX")
	f.op("MOVQ", "CX", "last-8(SP)")
	f.op("MOVQ", field(tile, "rowStarts", "AX"), "AX")
	for r := range rows {
		f.op("MOVQ", at(8*r, "AX"), rowRegisters[r])
	}
	f.op("MOVQ", "t+0(FP)", "AX")
	f.op("MOVQ", field(tile, "a", "AX"), "BX")
	for r := range rows {
		f.op("ADDQ", "BX", rowRegisters[r])
	}
	f.op("MOVQ", field(tile, "panel", "AX"), "BX")

	run, again, next, done := f.newLabel("run"), f.newLabel("step"), f.newLabel("next"), f.newLabel("done")
	f.place(run)
	f.op("CMPQ", "BP", "last-8(SP)")
	f.op("JEQ", done)
	f.op("MOVQ", "(BP)", "AX")
	f.op("ADDQ", "length-16(SP)", "AX")
	f.op("MOVQ", "AX", "end-24(SP)")
	f.op("MOVQ", "(BP)", "AX")
	f.op("ADDQ", "$8", "BP")
	f.op("CMPQ", "AX", "end-24(SP)")
	f.op("JEQ", next)
	f.place(again)
	step()
	f.op("ADDQ", fmt.Sprintf("$%d", panelStep), "BX")
	f.op("ADDQ", "$4", "AX")
	f.op("CMPQ", "AX", "end-24(SP)")
	f.op("JNE", again)
	f.place(next)
	f.op("JMP", run)
	f.place(done)
}

// byRows writes one body for each number of rows, most first, and the jump to the one for the tile's rows.
func (f *file) byRows(tile string, most int, body func(rows int)) {
	labels := make([]string, most+1)
	f.op("MOVQ", "t+0(FP)", "AX")
	f.op("MOVQ", field(tile, "rows", "AX"), "CX")
	for rows := most; rows > 0; rows-- {
		labels[rows] = f.newLabel(fmt.Sprintf("rows%dof", rows))
		f.op("CMPQ", "CX", fmt.Sprintf("$%d", rows))
		f.op("JEQ", labels[rows])
	}
	f.op("RET")
	for rows := most; rows > 0; rows-- {
		f.place(labels[rows])
		body(rows)
	}
}

const tileInt8 = "tileInt8"

func productInt8(f *file) {
	for _, flip := range []bool{false, true} {
		for _, vectors := range []int{2, 1} {
			name := fmt.Sprintf("tileInt8AVX512VNNI%dx%d", 12, 16*vectors)
			doc := fmt.Sprintf("%s is a tile of up to 12 rows and %d columns.", name, 16*vectors)
			if flip {
				name += "Signed"
				doc = fmt.Sprintf("%s is a tile of up to 12 rows of s8 codes and %d columns.", name, 16*vectors)
			}
			f.function(name, "(t *tileInt8)", doc, 24, 8)
			f.byRows(tileInt8, 12, func(rows int) { avx512vnni(f, rows, vectors, flip) })
		}
	}
}

// avx512vnni writes a tile whose sums are registers 0 to rows·vectors−1, row by row. Registers 24 and 25 are weights,
// 26 to 30 take turns as four codes of a row, 31 is 0x80 in every byte.
func avx512vnni(f *file, rows, vectors int, flip bool) {
	sum := func(r, v int) int { return r*vectors + v }
	f.comment("%d rows: the sums begin with bias − zero point·Σ weights", rows)
	f.op("MOVL", field(tileInt8, "mask", "AX"), "CX")
	f.op("KMOVW", "CX", "K1")
	if vectors == 2 {
		f.op("SHRL", "$16", "CX")
		f.op("KMOVW", "CX", "K2")
	}
	f.op("MOVQ", field(tileInt8, "bias", "AX"), "BX")
	f.op("MOVQ", field(tileInt8, "weightSums", "AX"), "DX")
	f.op("VPBROADCASTD", field(tileInt8, "correction", "AX"), z(31))
	for v := range vectors {
		mask := fmt.Sprintf("K%d", v+1)
		f.op("VMOVDQU32.Z", at(64*v, "DX"), mask, z(24+v))
		f.op("VMOVDQU32.Z", at(64*v, "BX"), mask, z(sum(0, v)))
		f.op("VPMULLD", z(31), z(24+v), z(24+v))
		f.op("VPADDD", z(24+v), z(sum(0, v)), z(sum(0, v)))
	}
	for r := 1; r < rows; r++ {
		for v := range vectors {
			f.op("VMOVDQA64", z(sum(0, v)), z(sum(r, v)))
		}
	}
	if flip {
		f.op("MOVL", "$0x80808080", "CX")
		f.op("VPBROADCASTD", "CX", z(31))
	}
	f.runs(tileInt8, rows, 128, func() {
		for v := range vectors {
			f.op("VMOVDQU64", at(64*v, "BX"), z(24+v))
		}
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
	f.comment("NaN multipliers become 0 and infinite ones the greatest: the codes are the same, and no product is NaN")
	f.op("MOVQ", field(tileInt8, "multiplier", "AX"), "DX")
	f.op("MOVL", "$0x7f7fffff", "CX")
	f.op("VPBROADCASTD", "CX", z(28))
	f.op("MOVL", "$0xff7fffff", "CX")
	f.op("VPBROADCASTD", "CX", z(29))
	for v := range vectors {
		f.op("VMOVUPS.Z", at(64*v, "DX"), fmt.Sprintf("K%d", v+1), z(26+v))
		f.op("VCMPPS", "$7", z(26+v), z(26+v), "K3")
		f.op("VMINPS.Z", z(28), z(26+v), "K3", z(26+v))
		f.op("VMAXPS", z(29), z(26+v), z(26+v))
	}
	f.op("VPBROADCASTD", field(tileInt8, "low", "AX"), z(28))
	f.op("VPBROADCASTD", field(tileInt8, "high", "AX"), z(29))
	f.op("VPBROADCASTD", field(tileInt8, "zeroPoint", "AX"), z(30))
	n := rows * vectors
	each := func(write func(i int)) {
		for i := range n {
			write(i)
		}
	}
	each(func(i int) { f.op("VCVTDQ2PS", z(i), z(i)) })
	each(func(i int) { f.op("VMULPS", z(26+i%vectors), z(i), z(i)) })
	each(func(i int) { f.op("VMAXPS", z(28), z(i), z(i)) })
	each(func(i int) { f.op("VMINPS", z(29), z(i), z(i)) })
	each(func(i int) { f.op("VCVTPS2DQ", z(i), z(i)) })
	each(func(i int) { f.op("VPADDD", z(30), z(i), z(i)) })
	each(func(i int) { f.op("VPMOVDB", z(i), x(i)) })
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
	store := func(mask bool) {
		for r := range rows {
			f.op("MOVQ", at(8*r, "DX"), "SI")
			from, move := x(sum(r, 0)), "VMOVDQU8"
			if vectors == 2 {
				f.op("VINSERTI64X2", "$1", x(sum(r, 1)), y(sum(r, 0)), y(sum(r, 0)))
				from = y(sum(r, 0))
			}
			if mask {
				f.op(move, from, "K1", indexed("BX", "SI"))
			} else {
				f.op(move, from, indexed("BX", "SI"))
			}
		}
		f.op("VZEROUPPER")
		f.op("RET")
	}
	store(false)
	f.place(partial)
	store(true)
}
