package kernel

import (
	"encoding/binary"
	"unsafe"
)

// amxTile is one call of the AMX micro-kernel: blocks of rows, one after the other, times a panel of 32 columns. A block
// has up to 32 rows, which are the same distance apart, and so are the blocks. Assembly reads it by field names.
type amxTile struct {
	config [64]byte // of the tiles; see configure

	a         *byte
	stride    int // from one row to the next
	second    int // from a block's first row to those of its second tile
	blocks    int // at least 1
	blockStep int // from one block to the next
	runStarts *int
	runs      int
	steps     int // of a run, at least 1
	depthStep int // codes of a step
	panelStep int // bytes of weights of a step
	panel     *uint64
	acc       *int32 // rows of 32
	accSecond int    // bytes to the sums of the second tile
	accStep   int    // bytes from one block's sums to the next
	signed    bool   // the codes are s8
	kernel    amxKernel
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

// fitsAMX reports whether a product is large enough for tiles. It depends on shapes only.
func fitsAMX(pixels, depth int) bool { return pixels >= 8 && depth >= 32 }

// depth sets what follows from the weights.
func (t *amxTile) depth(runs []int, runLength, step int) {
	t.runStarts, t.runs = &runs[0], len(runs)
	t.steps, t.depthStep, t.panelStep = runLength/step, step, 32*step
}

// rows sets what follows from the rows of a block and the distance between rows: its rows are divided among two tiles.
// The second tile of a single row is that row again, whose sums the next block or nobody overwrites.
func (t *amxTile) rows(size, stride int) {
	first := divideUp(size, 2)
	second := size - first
	t.stride, t.second, t.blockStep = stride, first*stride, size*stride
	t.accSecond, t.accStep = first*128, size*128
	if second == 0 {
		second, t.second = 1, 0
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

// multiply makes the sums of all rows of a piece, lines of the given number of rows. starts is where they begin in a.
func (t *amxTile) multiply(acc []int32, a []byte, starts []int, line int) {
	for first := 0; first < len(starts); {
		size, larger := evenTiles(line, amxRows)
		tiles := divideUp(line, amxRows)
		for _, blocks := range [2][2]int{{larger, size + 1}, {tiles - larger, size}} {
			if t.blocks = blocks[0]; t.blocks == 0 {
				continue
			}
			stride := 0
			if blocks[1] > 1 || t.blocks > 1 {
				stride = starts[first+1] - starts[first]
			}
			t.rows(blocks[1], stride)
			t.a, t.acc = &a[starts[first]], &acc[32*first]
			if t.kernel == amxReference {
				t.reference()
			} else {
				t.run()
			}
			first += blocks[0] * blocks[1]
		}
	}
}

// reference is what the micro-kernel computes.
func (t *amxTile) reference() {
	a, panel, acc := unsafe.Pointer(t.a), unsafe.Pointer(t.panel), unsafe.Pointer(t.acc)
	for block := range t.blocks {
		for half := range 2 {
			for row := range int(t.config[48+4+half]) {
				sums := (*[32]int32)(unsafe.Add(acc, block*t.accStep+half*t.accSecond+row*128))
				clear(sums[:])
				weights := 0 // bytes from panel to those of the next four codes
				for _, run := range unsafe.Slice(t.runStarts, t.runs) {
					codes := unsafe.Add(a, block*t.blockStep+half*t.second+row*t.stride+run)
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
