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
// of packed weights a step reads. Elements of the rows are 1<<shift bytes. The tile's pointer is in AX.
func (f *file) runs(tile string, rows, shift, panelStep int, step func()) {
	f.runsFrom(tile, rows, shift, panelStep, field(tile, "rowStarts", "AX"), step)
}

// runsFrom is runs of the rows whose beginnings are where an operand says.
func (f *file) runsFrom(tile string, rows, shift, panelStep int, rowStarts string, step func()) {
	f.op("MOVQ", "t+0(FP)", "AX")
	f.op("MOVQ", field(tile, "runLength", "AX"), "CX")
	if shift > 0 {
		f.op("SHLQ", fmt.Sprintf("$%d", shift), "CX")
	}
	f.op("MOVQ", "CX", "length-16(SP)")
	f.op("MOVQ", field(tile, "runStarts", "AX"), "BP")
	f.op("MOVQ", field(tile, "runStarts+8", "AX"), "CX")
	f.op("LEAQ", "(BP)(CX*8)", "CX")
	f.op("MOVQ", "CX", "last-8(SP)")
	f.op("MOVQ", rowStarts, "AX")
	for r := range rows {
		f.op("MOVQ", at(8*r, "AX"), rowRegisters[r])
	}
	f.op("MOVQ", "t+0(FP)", "AX")
	f.op("MOVQ", field(tile, "a", "AX"), "BX")
	for r := range rows {
		f.op("LEAQ", fmt.Sprintf("(BX)(%s*%d)", rowRegisters[r], 1<<shift), rowRegisters[r])
	}
	f.op("MOVQ", field(tile, "panel", "AX"), "BX")

	run, again, next, done := f.newLabel("run"), f.newLabel("step"), f.newLabel("next"), f.newLabel("done")
	f.place(run)
	f.op("CMPQ", "BP", "last-8(SP)")
	f.op("JEQ", done)
	begin := func() {
		f.op("MOVQ", "(BP)", "AX")
		if shift > 0 {
			f.op("SHLQ", fmt.Sprintf("$%d", shift), "AX")
		}
	}
	begin()
	f.op("ADDQ", "length-16(SP)", "AX")
	f.op("MOVQ", "AX", "end-24(SP)")
	begin()
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

// masks512 makes K1 and K2 the columns of the first and second vector of 16.
func (f *file) masks512(tile string, vectors int) {
	f.op("MOVL", field(tile, "mask", "AX"), "CX")
	f.op("KMOVW", "CX", "K1")
	if vectors == 2 {
		f.op("SHRL", "$16", "CX")
		f.op("KMOVW", "CX", "K2")
	}
}

// column is the mask register of a vector.
func column(vector int) string { return fmt.Sprintf("K%d", vector+1) }

// prefetch asks for the weights of later steps, as many bytes as a step reads. The first tile of a panel reads weights
// from memory that is far away, and hardware that fetches ahead stops at the ends of pages. Behind the last panel
// nothing is read: a prefetch never faults.
func (f *file) prefetch(vectors int) {
	const distance = 8192
	for v := range vectors {
		f.op("PREFETCHT0", at(distance+64*v, "BX"))
	}
}
