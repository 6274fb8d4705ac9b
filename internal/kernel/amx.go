package kernel

import (
	"encoding/binary"
	"unsafe"
)

// amxTile is one call of the AMX micro-kernel: blocks of rows, one after the other, times a panel of 32 columns. A block
// has up to 32 rows, which are the same distance apart, and so are the blocks; but the last one begins early if it
// would go beyond the last row, and makes sums again that the one before has made. So all blocks have the same shape,
// and tiles are configured once. Assembly reads it by field names.
type amxTile struct {
	config [64]byte // of the tiles; see configure

	a         *byte
	stride    int // from one row to the next
	second    int // from a block's first row to those of its second tile
	blocks    int // at least 1
	blockStep int // from one block to the next
	back      int // by how much the last block, if it is not the first, begins earlier than that
	runStarts *int
	runs      int
	steps     int // of a run, at least 1
	depthStep int // codes of a step
	panelStep int // bytes of weights of a step
	panel     *uint64
	acc       *int32 // rows of 32
	accSecond int    // bytes to the sums of the second tile
	accStep   int    // bytes from one block's sums to the next
	accBack   int    // as back
	signed    bool   // the codes are s8
	kernel    amxKernel

	// The calls for the rows of a piece: how many, and from one to the next.
	calls, callStep, accCallStep int
}

// amxKernel is what runs an amxTile.
type amxKernel uint8

const (
	amxNone      amxKernel = iota
	amxAssembly            // the micro-kernel
	amxReference           // its definition in plain Go
)

const (
	amxRows     = 32 // the most rows of a block
	amxMaxDepth = 64 // the most codes of a step
)

// amxDepthStep divides a run evenly into as few steps of at most 64 codes as possible, each a multiple of 4.
func amxDepthStep(run int) int {
	steps := max(divideUp(run, amxMaxDepth), 1)
	return max(divideUp(divideUp(run, steps), 4)*4, 4)
}

// fitsAMX reports whether tiles make a product sooner than VPDPBUSD, by a model of what was measured on a Sapphire
// Rapids, in cycles. It depends on shapes only.
func fitsAMX(pixels, depth, columns int) bool {
	const (
		call    = 210 // of the micro-kernel, most of them to configure and release tiles
		block   = 150 // the last sums, which have to be waited for and stored
		product = 16  // of two full tiles
		blocks  = 3   // of a usual call
	)
	amx := divideUp(pixels, amxRows) * (call/blocks + block + 4*product*divideUp(depth, amxMaxDepth)) * divideUp(columns, 32)
	// Two a cycle, each 16 columns and 4 codes of a row; 85 % of that is reached.
	vnni := pixels * divideUp(depth, 4) * divideUp(columns, 16) / 2 * 100 / 85
	return amx < vnni
}

// depth sets what follows from the weights.
func (t *amxTile) depth(runs []int, runLength, step int) {
	t.runStarts, t.runs = &runs[0], len(runs)
	t.steps, t.depthStep, t.panelStep = runLength/step, step, 32*step
}

// layOut sets what follows from where the rows of a piece begin: lines of the given number of rows, at the same
// distance from each other, as the rows of a line are. A line is divided into as few blocks as possible; one of a
// single block is a block of the call that makes all lines.
func (t *amxTile) layOut(starts []int, line int) {
	blocks := divideUp(line, amxRows)
	size := divideUp(line, blocks)
	stride, between := 0, 0
	if line > 1 {
		stride = starts[1] - starts[0]
	}
	if len(starts) > line {
		between = starts[line] - starts[0]
	}
	t.calls, t.callStep, t.accCallStep = len(starts)/line, between, 32*line
	overlap := blocks*size - line
	t.blocks, t.blockStep, t.back = blocks, size*stride, overlap*stride
	t.accStep, t.accBack = size*128, overlap*128
	if blocks == 1 {
		t.blocks, t.blockStep, t.calls = t.calls, between, 1
	}
	// The rows of a block are divided among two tiles. The second of a single row is that row again, with the same sums.
	first := divideUp(size, 2)
	second := size - first
	t.stride, t.second, t.accSecond = stride, first*stride, first*128
	if second == 0 {
		second, t.second, t.accSecond = 1, 0, 0
	}
	t.configure(first, second)
}

// configure lays out the tiles as LDTILECFG reads them (Intel SDM, volume 1, chapter on AMX): palette 1; bytes of a
// row at 16, two for each tile; rows at 48.
func (t *amxTile) configure(first, second int) {
	clear(t.config[:])
	t.config[0] = 1
	for tile, shape := range [8][2]int{
		{first, 64}, {first, 64}, {second, 64}, {second, 64}, {first, t.depthStep}, {second, t.depthStep},
		{t.depthStep / 4, 64}, {t.depthStep / 4, 64},
	} {
		t.config[48+tile] = byte(shape[0])
		binary.LittleEndian.PutUint16(t.config[16+2*tile:], uint16(shape[1]))
	}
}

// multiply makes the sums of all rows that are laid out. The first begins where a does.
func (t *amxTile) multiply(acc []int32, a []byte) {
	for call := range t.calls {
		t.a, t.acc = &a[call*t.callStep], &acc[call*t.accCallStep]
		if t.kernel == amxReference {
			t.reference()
		} else {
			t.run()
		}
	}
}

// reference is what the micro-kernel computes.
func (t *amxTile) reference() {
	a, panel, acc := unsafe.Pointer(t.a), unsafe.Pointer(t.panel), unsafe.Pointer(t.acc)
	for block := range t.blocks {
		from, to := block*t.blockStep, block*t.accStep
		if block > 0 && block == t.blocks-1 {
			from, to = from-t.back, to-t.accBack
		}
		for half := range 2 {
			for row := range int(t.config[48+4+half]) {
				sums := (*[32]int32)(unsafe.Add(acc, to+half*t.accSecond+row*128))
				clear(sums[:])
				weights := 0 // bytes from panel to those of the next four codes
				for _, run := range unsafe.Slice(t.runStarts, t.runs) {
					codes := unsafe.Add(a, from+half*t.second+row*t.stride+run)
					for k := range t.steps * t.depthStep {
						code := int32(*(*uint8)(unsafe.Add(codes, k)))
						if t.signed {
							code = int32(int8(code))
						}
						for j := range sums {
							sums[j] += code * int32(*(*int8)(unsafe.Add(panel, weights+4*j+k%4)))
						}
						if k%4 == 3 {
							weights += 128
						}
					}
				}
			}
		}
	}
}
