package main

import "fmt"

// productARM64 writes the tiles of arm64. They are 16 columns wide and leave their sums in acc, rows of 16. Register R0
// is the tile, R1 and R2 the runs that remain, R3 the weights, R4 the steps of a run, R5 those that remain, R6 where
// rows begin, R7 the rows' memory; R8 to R13 are the rows.
func productARM64(f *file) {
	for _, flip := range []bool{false, true} {
		suffix, codes := "", "s8"
		if flip {
			suffix, codes = "Unsigned", "u8"
		}
		name := "tileInt8DotProd6x16" + suffix
		f.function(name, "(t *tileInt8, offsets *[16]int32)", name+" is a tile of up to 6 rows of "+codes+" codes; sums begin with offsets.", 0, 16)
		f.byRowsARM64(tileInt8, 6, func(rows int) { dotProd(f, rows, flip) })
		name = "tileInt8NEON2x16" + suffix
		f.function(name, "(t *tileInt8, offsets *[16]int32)", name+" is a tile of up to 2 rows of "+codes+" codes; sums begin with offsets.", 0, 16)
		f.byRowsARM64(tileInt8, 2, func(rows int) { neonInt8(f, rows, flip) })
	}
	for _, unsigned := range []bool{false, true} {
		name, codes := "tileInt8I8MM6x16", "s8"
		if unsigned {
			name, codes = "tileInt8I8MM6x16Unsigned", "u8"
		}
		f.function(name, "(t *tileInt8, offsets *[16]int32)", name+" is a tile of up to 6 rows of "+codes+" codes; sums begin with offsets.", 0, 16)
		f.byRowsARM64(tileInt8, 6, func(rows int) { i8mm(f, rows, unsigned) })
	}
	requantizeNEON(f)
	f.function("tileF32NEON6x16", "(t *tileF32)", "tileF32NEON6x16 is a tile of up to 6 rows.", 0, 8)
	f.byRowsARM64(tileF32, 6, func(rows int) { neonF32(f, rows) })
}

func (f *file) byRowsARM64(tile string, most int, body func(rows int)) {
	labels := make([]string, most+1)
	f.op("MOVD", "t+0(FP)", "R0")
	f.op("MOVD", field(tile, "rows", "R0"), "R1")
	for rows := most; rows > 0; rows-- {
		labels[rows] = f.newLabel(fmt.Sprintf("rows%dof", rows))
		f.op("CMP", fmt.Sprintf("$%d", rows), "R1")
		f.op("BEQ", labels[rows])
	}
	f.op("RET")
	for rows := most; rows > 0; rows-- {
		f.place(labels[rows])
		body(rows)
		f.op("RET")
	}
}

// runsARM64 is runs for arm64: step moves the rows' and the weights' registers on by itself. A step is 1<<depth elements,
// and an element 1<<shift bytes.
func (f *file) runsARM64(tile string, rows, depth, shift int, step func()) {
	f.op("MOVD", field(tile, "runStarts", "R0"), "R1")
	f.op("MOVD", field(tile, "runStarts+8", "R0"), "R2")
	f.op("MOVD", field(tile, "panel", "R0"), "R3")
	f.op("MOVD", field(tile, "runLength", "R0"), "R4")
	if depth > 0 {
		f.op("LSR", fmt.Sprintf("$%d", depth), "R4", "R4")
	}
	f.op("MOVD", field(tile, "rowStarts", "R0"), "R6")
	f.op("MOVD", field(tile, "a", "R0"), "R7")
	run, again, next, done := f.newLabel("run"), f.newLabel("step"), f.newLabel("next"), f.newLabel("done")
	f.place(run)
	f.op("CBZ", "R2", done)
	f.op("MOVD.P", "8(R1)", "R14")
	f.op("ADD", fmt.Sprintf("R14<<%d", shift), "R7", "R14")
	for r := range rows {
		f.op("MOVD", at(8*r, "R6"), "R15")
		f.op("ADD", fmt.Sprintf("R15<<%d", shift), "R14", rowARM64(r))
	}
	f.op("MOVD", "R4", "R5")
	f.op("CBZ", "R5", next)
	f.place(again)
	step()
	f.op("SUBS", "$1", "R5", "R5")
	f.op("BNE", again)
	f.place(next)
	f.op("SUB", "$1", "R2", "R2")
	f.op("B", run)
	f.place(done)
}

func rowARM64(r int) string { return fmt.Sprintf("R%d", 8+r) }

// v is a vector register, as the lanes say: v(3, "S4") is V3.S4. vs is consecutive ones.
func v(i int, lanes string) string { return fmt.Sprintf("V%d.%s", i, lanes) }

func vs(first, n int, lanes string) string {
	list := "["
	for i := range n {
		if i > 0 {
			list += ", "
		}
		list += v(first+i, lanes)
	}
	return list + "]"
}

// store writes registers 0 to n−1 to acc.
func (f *file) storeARM64(tile string, n int) {
	f.op("MOVD", field(tile, "acc", "R0"), "R14")
	for i := 0; i < n; i += 4 {
		f.op("VST1.P", vs(i, 4, "S4"), "64(R14)")
	}
}

// dotProd writes a tile of SDOT: registers 0 to 4·rows−1 are sums, 24 to 27 weights, 28 to 30 take turns as four codes
// of a row, 31 is 0x80 in every byte.
func dotProd(f *file, rows int, flip bool) {
	f.op("MOVD", "offsets+8(FP)", "R14")
	f.op("VLD1", "(R14)", vs(0, 4, "S4"))
	for i := 4; i < 4*rows; i++ {
		f.op("VMOV", v(i%4, "B16"), v(i, "B16"))
	}
	if flip {
		f.op("VMOVI", "$128", v(31, "B16"))
	}
	f.runsARM64(tileInt8, rows, 2, 0, func() {
		f.op("VLD1.P", "64(R3)", vs(24, 4, "B16"))
		for r := range rows {
			codes := 28 + r%3
			f.op("FMOVS.P", "4("+rowARM64(r)+")", fmt.Sprintf("F%d", codes))
			if flip {
				f.op("VEOR", v(31, "B16"), v(codes, "B16"), v(codes, "B16"))
			}
			for i := range 4 {
				f.sdotLane(24+i, codes, 4*r+i)
			}
		}
	})
	f.storeARM64(tileInt8, 4*rows)
}

// i8mm writes a tile of SMMLA or USMMLA, which multiply two rows with two columns, eight deep: registers 0 to 8·pairs−1
// are sums of pairs of rows, two columns in each, 24 to 26 eight codes of both rows of a pair, 27 to 30 weights of two
// columns each. A last odd row has nothing beside it.
func i8mm(f *file, rows int, unsigned bool) {
	pairs := (rows + 1) / 2
	for i := range 8 * pairs {
		f.op("VEOR", v(i, "B16"), v(i, "B16"), v(i, "B16"))
	}
	f.runsARM64(tileInt8, rows, 3, 0, func() {
		for r := range rows {
			if r%2 == 0 {
				f.op("FMOVD.P", "8("+rowARM64(r)+")", fmt.Sprintf("F%d", 24+r/2)) // clears the upper half
			} else {
				f.op("VLD1.P", "8("+rowARM64(r)+")", v(24+r/2, "D")+"[1]")
			}
		}
		for half := range 2 {
			f.op("VLD1.P", "64(R3)", vs(27, 4, "B16"))
			for i := range 4 {
				for pair := range pairs {
					f.mmla(unsigned, 24+pair, 27+i, 8*pair+4*half+i)
				}
			}
		}
	})
	f.op("MOVD", "offsets+8(FP)", "R14")
	f.op("VLD1", "(R14)", vs(24, 4, "S4"))
	f.op("MOVD", field(tileInt8, "acc", "R0"), "R14")
	for r := range rows {
		zip := choose(r%2 == 0, "VZIP1", "VZIP2")
		for i := range 4 {
			sums := 8*(r/2) + 2*i
			f.op(zip, v(sums+1, "D2"), v(sums, "D2"), v(28+i, "D2"))
			f.op("VADD", v(24+i, "S4"), v(28+i, "S4"), v(28+i, "S4"))
		}
		f.op("VST1.P", vs(28, 4, "S4"), "64(R14)")
	}
}

// neonInt8 writes a tile of products of 16 bits, added in pairs: registers 0 to 8·rows−1 are sums, two columns in each
// with two lanes a column; 16 to 19 weights, 20 and 21 codes of a row four times, 22 and 23 products, 31 is 0x80.
func neonInt8(f *file, rows int, flip bool) {
	for i := range 8 * rows {
		f.op("VEOR", v(i, "B16"), v(i, "B16"), v(i, "B16"))
	}
	if flip {
		f.op("VMOVI", "$128", v(31, "B16"))
	}
	f.runsARM64(tileInt8, rows, 2, 0, func() {
		f.op("VLD1.P", "64(R3)", vs(16, 4, "B16"))
		for r := range rows {
			f.op("VLD1R.P", "4("+rowARM64(r)+")", "["+v(20+r, "S4")+"]")
			if flip {
				f.op("VEOR", v(31, "B16"), v(20+r, "B16"), v(20+r, "B16"))
			}
			for i := range 4 {
				f.smull(false, 20+r, 16+i, 22)
				f.smull(true, 20+r, 16+i, 23)
				f.sadalp(22, 8*r+2*i)
				f.sadalp(23, 8*r+2*i+1)
			}
		}
	})
	f.op("MOVD", "offsets+8(FP)", "R14")
	f.op("VLD1", "(R14)", vs(24, 4, "S4"))
	for r := range rows {
		for i := range 4 {
			f.op("VADDP", v(8*r+2*i+1, "S4"), v(8*r+2*i, "S4"), v(20, "S4"))
			f.op("VADD", v(24+i, "S4"), v(20, "S4"), v(4*r+i, "S4"))
		}
	}
	f.storeARM64(tileInt8, 4*rows)
}

// neonF32 writes a tile of VFMLA: registers 0 to 4·rows−1 are sums, 24 to 27 weights, 28 to 31 take turns as an element
// of a row.
func neonF32(f *file, rows int) {
	f.op("MOVD", field(tileF32, "bias", "R0"), "R14")
	f.op("VLD1", "(R14)", vs(0, 4, "S4"))
	for i := 4; i < 4*rows; i++ {
		f.op("VMOV", v(i%4, "B16"), v(i, "B16"))
	}
	f.runsARM64(tileF32, rows, 0, 2, func() {
		f.op("VLD1.P", "64(R3)", vs(24, 4, "S4"))
		for r := range rows {
			element := v(28+r%4, "S4")
			f.op("VLD1R.P", "4("+rowARM64(r)+")", "["+element+"]")
			for i := range 4 {
				f.op("VFMLA", v(24+i, "S4"), element, v(4*r+i, "S4"))
			}
		}
	})
	f.storeARM64(tileF32, 4*rows)
}

// requantizeNEON writes the requantization of the sums in acc, 16 columns a row: registers 0 to 3 are a row, 16 to 19
// multipliers, 20 the zero point, 21 and 22 the limits, 23 what makes codes u8. Conversion to integers saturates, and
// makes NaN 0, which is what numeric.Requantize does.
func requantizeNEON(f *file) {
	f.function("requantizeNEON", "(t *tileInt8)", "requantizeNEON requantizes the rows of 16 sums in acc.", 0, 8)
	f.op("MOVD", "t+0(FP)", "R0")
	f.op("MOVD", field(tileInt8, "multiplier", "R0"), "R1")
	f.op("VLD1", "(R1)", vs(16, 4, "S4"))
	f.op("MOVH", field(tileInt8, "zeroPoint", "R0"), "R1")
	f.op("VDUP", "R1", v(20, "H8"))
	for i, name := range []string{"least", "greatest", "shift"} {
		f.op("MOVBU", field(tileInt8, name, "R0"), "R1")
		f.op("VDUP", "R1", v(21+i, "B16"))
	}
	f.op("MOVD", field(tileInt8, "acc", "R0"), "R1")
	f.op("MOVD", field(tileInt8, "out", "R0"), "R2")
	f.op("MOVD", field(tileInt8, "outStarts", "R0"), "R3")
	f.op("MOVD", field(tileInt8, "rows", "R0"), "R4")
	row := f.newLabel("row")
	f.place(row)
	f.op("VLD1.P", "64(R1)", vs(0, 4, "S4"))
	for i := range 4 {
		f.scvtf(i, i)
	}
	for i := range 4 {
		f.fmul(i, 16+i, i)
	}
	for i := range 4 {
		f.fcvtns(i, i)
	}
	for i := range 2 {
		f.sqxtn(false, 2*i, 4+i)
		f.sqxtn(true, 2*i+1, 4+i)
		f.sqadd(4+i, 20, 4+i)
	}
	f.sqxtun(false, 4, 6)
	f.sqxtun(true, 5, 6)
	f.op("VUMAX", v(21, "B16"), v(6, "B16"), v(6, "B16"))
	f.op("VUMIN", v(22, "B16"), v(6, "B16"), v(6, "B16"))
	f.op("VEOR", v(23, "B16"), v(6, "B16"), v(6, "B16"))
	f.op("MOVD.P", "8(R3)", "R5")
	f.op("ADD", "R5", "R2", "R5")
	f.op("VST1", "[V6.B16]", "(R5)")
	f.op("SUBS", "$1", "R4", "R4")
	f.op("BNE", row)
	f.op("RET")
}
