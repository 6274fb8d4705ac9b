package main

const amxTile = "amxTile"

// amxPrefetched is the lines of weights that a step asks for: as many as a full one reads.
const amxPrefetched = 32

// productAMX writes blocks of two by two tiles: T0 to T3 are sums, T4 and T5 the upper and lower rows' codes, T6 and T7
// the left and right columns' weights. The configuration is loaded and released in one call, because tiles belong to
// a thread of the operating system, and goroutines move between those.
func productAMX(f *file) {
	for _, signed := range []bool{false, true} {
		name, codes := "amxProduct", "u8"
		if signed {
			name, codes = "amxProductSigned", "s8"
		}
		f.function(name, "(t *amxTile)", name+" is the sums of blocks of rows of "+codes+" codes with a panel of 32 columns.", 0, 8)
		f.op("MOVQ", "t+0(FP)", "DX")
		f.op("LEAQ", field(amxTile, "config", "DX"), "AX")
		f.tileConfig()
		f.op("MOVQ", field(amxTile, "a", "DX"), "R8")
		f.op("MOVQ", field(amxTile, "stride", "DX"), "R9")
		f.op("MOVQ", field(amxTile, "second", "DX"), "R10")
		f.op("MOVQ", field(amxTile, "blocks", "DX"), "R11")
		f.op("MOVQ", field(amxTile, "acc", "DX"), "R12")
		f.op("MOVQ", "$128", "R14")
		block, run, step, store, end := f.newLabel("block"), f.newLabel("run"), f.newLabel("step"), f.newLabel("store"), f.newLabel("end")
		f.place(block)
		for i := range 4 {
			f.tileZero(i)
		}
		f.op("MOVQ", field(amxTile, "panel", "DX"), "BX")
		f.op("MOVQ", field(amxTile, "runStarts", "DX"), "SI")
		f.op("MOVQ", field(amxTile, "runs", "DX"), "DI")
		f.place(run)
		f.op("TESTQ", "DI", "DI")
		f.op("JEQ", store)
		f.op("MOVQ", "(SI)", "R13")
		f.op("ADDQ", "$8", "SI")
		f.op("ADDQ", "R8", "R13")
		f.op("MOVQ", field(amxTile, "steps", "DX"), "CX")
		f.place(step)
		f.op("LEAQ", "(R13)(R10*1)", "R15")
		f.tileLoad("R13", "R9", 0, 4)
		f.tileLoad("BX", "R14", 0, 6)
		f.tileProduct(signed, 6, 4, 0)
		f.tileLoad("BX", "R14", 64, 7)
		f.tileProduct(signed, 7, 4, 1)
		f.tileLoad("R15", "R9", 0, 5)
		f.tileProduct(signed, 6, 5, 2)
		f.tileProduct(signed, 7, 5, 3)
		f.prefetch(amxPrefetched)
		f.op("ADDQ", field(amxTile, "depthStep", "DX"), "R13")
		f.op("ADDQ", field(amxTile, "panelStep", "DX"), "BX")
		f.op("DECQ", "CX")
		f.op("JNE", step)
		f.op("DECQ", "DI")
		f.op("JMP", run)
		f.place(store)
		f.op("MOVQ", "R12", "R15")
		f.op("ADDQ", field(amxTile, "accSecond", "DX"), "R15")
		f.tileStore(0, "R12", "R14", 0)
		f.tileStore(1, "R12", "R14", 64)
		f.tileStore(2, "R15", "R14", 0)
		f.tileStore(3, "R15", "R14", 64)
		f.op("ADDQ", field(amxTile, "blockStep", "DX"), "R8")
		f.op("ADDQ", field(amxTile, "accStep", "DX"), "R12")
		f.op("DECQ", "R11")
		f.op("JEQ", end)
		f.op("CMPQ", "R11", "$1")
		f.op("JNE", block)
		f.op("SUBQ", field(amxTile, "back", "DX"), "R8")
		f.op("SUBQ", field(amxTile, "accBack", "DX"), "R12")
		f.op("JMP", block)
		f.place(end)
		f.tileRelease()
		f.op("RET")
	}
}
