//go:build !noasm

package kernel

import "github.com/octet-nn/octet/internal/cpu"

// gemmInt8Assembly is the rows of gemmInt8Table that are written in assembly, best first. Without I8MM their products are
// of s8 codes: there are none of u8 and s8.
func gemmInt8Assembly() []gemmInt8Row {
	return []gemmInt8Row{
		{Name: "qx8s8_gemm_6x16c8__i8mm", Tier: cpu.I8MM, MR: 6, NR: 16, KR: 8,
			Words: func(depth int) int { return 2 * depth }, Pack: pack16c8, tile: tileI8MM, both: true, requantizes: true},
		{Name: "qs8s8_gemm_6x16c4__dotprod", Tier: cpu.DotProd, MR: 6, NR: 16, KR: 4,
			Words: func(depth int) int { return 2 * depth }, Pack: pack16c4, tile: tileDotProd, signed: true, requantizes: true},
		{Name: "qs8s8_gemm_2x16c4__neon", Tier: cpu.NEON, MR: 2, NR: 16, KR: 4,
			Words: func(depth int) int { return 2 * depth }, Pack: pack16c4, tile: tileNEON, signed: true, requantizes: true},
	}
}

// gemmF32Assembly is the same for gemmF32Table.
func gemmF32Assembly() []gemmF32Row {
	return []gemmF32Row{
		{Name: "f32_gemm_6x16c1__neon", Tier: cpu.NEON, MR: 6, NR: 16, KR: 1, tile: tileNEON},
	}
}

// tileKernel names a micro-kernel.
type tileKernel uint8

const (
	tileGeneric tileKernel = iota
	tileNEON
	tileDotProd
	tileI8MM
)

// run computes a tile. The micro-kernels are called by name, not through a variable, so that the compiler knows that
// the tile does not escape.
func (r *gemmInt8Row) run(t *tileInt8) {
	if r.tile == tileGeneric {
		tile4x12(t)
		return
	}
	var offsets [16]int32
	for j := range offsets {
		offsets[j] = t.bias[j] + t.correction*t.weightSums[j]
	}
	unsigned := t.flip != 0
	switch {
	case r.tile == tileI8MM && t.signed:
		tileInt8I8MM6x16(t, &offsets)
	case r.tile == tileI8MM:
		tileInt8I8MM6x16Unsigned(t, &offsets)
	case r.tile == tileDotProd && unsigned:
		tileInt8DotProd6x16Unsigned(t, &offsets)
	case r.tile == tileDotProd:
		tileInt8DotProd6x16(t, &offsets)
	case unsigned:
		tileInt8NEON2x16Unsigned(t, &offsets)
	default:
		tileInt8NEON2x16(t, &offsets)
	}
	if t.out != nil {
		requantizeNEON(t)
	}
}

func (r *gemmF32Row) run(t *tileF32) {
	if r.tile == tileGeneric {
		tile4x4(t)
		return
	}
	limits := EpilogueF32{Least: t.least, Greatest: t.greatest}
	for ; t.tiles > 0; t.next() {
		tileF32NEON6x16(t)
		for i := range t.rows {
			limits.apply(t.out[t.outStarts[i]:][:t.columns], t.acc[16*i:])
		}
	}
}

// pack16c8 packs, for each step of eight in depth, the eight weights of each of 16 columns: a word a column.
func pack16c8(panel []uint64, column []int8, j int) {
	for ; len(column) >= 8; column = column[8:] {
		word := uint64(0)
		for i, v := range column[:8] {
			word |= uint64(uint8(v)) << (8 * i)
		}
		panel[j] = word
		j += 16
	}
}
