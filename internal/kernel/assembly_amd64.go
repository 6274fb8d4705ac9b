//go:build !noasm

package kernel

import (
	"github.com/octet-nn/octet/internal/cpu"
)

//go:generate go -C _gen run .

// gemmInt8Assembly is the rows of gemmInt8Table that are written in assembly, best first.
func gemmInt8Assembly() []gemmInt8Row {
	return []gemmInt8Row{
		{Name: "qx8s8_gemm_32x32c64__amx", Tier: cpu.AMX, MR: 12, NR: 32, KR: 4,
			Words: func(depth int) int { return 4 * depth }, Pack: pack32c4, tile: tileAVX512VNNI, requantizes: true, masks: true, joins: true, gemv: true, amx: amxAssembly},
		{Name: "qu8s8_gemm_12x32c4__avx512vnni", Tier: cpu.AVX512VNNI, MR: 12, NR: 32, KR: 4,
			Words: func(depth int) int { return 4 * depth }, Pack: pack32c4, tile: tileAVX512VNNI, requantizes: true, masks: true, joins: true, gemv: true},
		{Name: "qu8s8_gemm_6x16c4__avxvnni", Tier: cpu.AVXVNNI, MR: 6, NR: 16, KR: 4,
			Words: func(depth int) int { return 2 * depth }, Pack: pack16c4, tile: tileAVXVNNI, requantizes: true, joins: true},
		{Name: "qu8s8_gemm_3x16c4__avx2", Tier: cpu.AVX2, MR: 3, NR: 16, KR: 4,
			Words: func(depth int) int { return 4 * depth }, Pack: pack16c4Wide, tile: tileAVX2, requantizes: true, joins: true},
	}
}

// gemmF32Assembly is the same for gemmF32Table.
func gemmF32Assembly() []gemmF32Row {
	return []gemmF32Row{
		{Name: "f32_gemm_12x32c1__avx512", Tier: cpu.AVX512VNNI, MR: 12, NR: 32, KR: 1, tile: tileAVX512, joins: true, masks: true, winograd: true},
		{Name: "f32_gemm_6x16c1__avx2", Tier: cpu.AVX2, MR: 6, NR: 16, KR: 1, tile: tileAVX2, joins: true},
	}
}

// tileKernel names a micro-kernel.
type tileKernel uint8

const (
	tileGeneric tileKernel = iota
	tileAVX2
	tileAVXVNNI
	tileAVX512
	tileAVX512VNNI
)

// run computes a tile. The micro-kernels are called by name, not through a variable, so that the compiler knows that
// the tile does not escape.
func (r *gemmInt8Row) run(t *tileInt8) {
	signed := t.flip != 0
	switch r.tile {
	case tileAVX512VNNI:
		switch {
		case t.columns > 16 && signed:
			tileInt8AVX512VNNIx12x32Signed(t)
		case t.columns > 16:
			tileInt8AVX512VNNIx12x32(t)
		case signed:
			tileInt8AVX512VNNIx12x16Signed(t)
		default:
			tileInt8AVX512VNNIx12x16(t)
		}
	case tileAVXVNNI:
		if signed {
			tileInt8AVXVNNIx6x16Signed(t)
		} else {
			tileInt8AVXVNNIx6x16(t)
		}
	case tileAVX2:
		if signed {
			tileInt8AVX2x3x16Signed(t)
		} else {
			tileInt8AVX2x3x16(t)
		}
	default:
		tile4x12(t)
	}
}

func (t *amxTile) run() {
	if t.signed {
		amxProductSigned(t)
	} else {
		amxProduct(t)
	}
}

func (r *gemmF32Row) run(t *tileF32) {
	switch r.tile {
	case tileAVX512:
		if t.columns > 16 {
			tileF32AVX512x12x32(t)
		} else {
			tileF32AVX512x12x16(t)
		}
	case tileAVX2:
		for ; t.tiles > 0; t.next() {
			tileF32AVX2x6x16(t)
			if t.columns < 16 {
				for i := range t.rows {
					copy(t.out[t.outStarts[i]:][:t.columns], t.acc[16*i:])
				}
			}
		}
	default:
		tile4x4(t)
	}
}

func (t *fixedTile) run() {
	if t.kernel == vectorAVX512 {
		fixedTileAVX512(t)
		return
	}
	fixedTileAVX2(t)
	t.finish(t.columns &^ 7)
}

// pack32c4 packs, for each step of four in depth, the four weights of each of 32 columns.
func pack32c4(panel []uint64, column []int8, j int) { packC4(panel, column, j, 32) }

// pack16c4Wide packs weights as 16-bit integers. Of 8 columns, the first vector has 0, 1, 4 and 5, the second 2, 3, 6
// and 7: adding neighbours of both in the instruction's own order leaves the columns in theirs.
func pack16c4Wide(panel []uint64, column []int8, j int) {
	at := j&^7 | j&2<<1 | j&4>>1 | j&1
	for ; len(column) >= 4; column = column[4:] {
		word := uint64(0)
		for i, v := range column[:4] {
			word |= uint64(uint16(v)) << (16 * i)
		}
		panel[at] = word
		at += 16
	}
}

func (t *gemvInt8) run() { gemvInt8AVX512VNNI(t) }

func (s *winogradInput) run(size int) {
	if size == 4 {
		winogradInput4AVX512(s)
	} else {
		winogradInput2AVX512(s)
	}
}

func (s *winogradOutput) run(size int) {
	if size == 4 {
		winogradOutput4AVX512(s)
	} else {
		winogradOutput2AVX512(s)
	}
}
