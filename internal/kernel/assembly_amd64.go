//go:build !noasm

package kernel

import (
	"unsafe"

	"github.com/octet-nn/octet/internal/cpu"
)

//go:generate go -C _gen run .

// gemmInt8Assembly is the rows of gemmInt8Table that are written in assembly, best first.
func gemmInt8Assembly() []gemmInt8Row {
	return []gemmInt8Row{
		{Name: "qu8s8_gemm_12x32c4__avx512vnni", Tier: cpu.AVX512VNNI, MR: 12, NR: 32, KR: 4,
			Words: func(depth int) int { return 4 * depth }, Pack: pack32c4, tile: tileAVX512VNNI, requantizes: true},
	}
}

// gemmF32Assembly is the same for gemmF32Table.
func gemmF32Assembly() []gemmF32Row {
	return []gemmF32Row{
		{Name: "f32_gemm_12x32c1__avx512", Tier: cpu.AVX512VNNI, MR: 12, NR: 32, KR: 1,
			Words: func(depth int) int { return 32 * depth }, Pack: func(dst, panel []float32, depth int) { copy(dst, panel[:32*depth]) },
			tile: tileAVX512},
	}
}

// tileKernel names a micro-kernel.
type tileKernel uint8

const (
	tileGeneric tileKernel = iota
	tileAVX512VNNI
	tileAVX512
)

// run computes a tile. The micro-kernels are called by name, not through a variable, so that the compiler knows that
// the tile does not escape.
func (r *gemmInt8Row) run(t *tileInt8) {
	switch r.tile {
	case tileAVX512VNNI:
		switch {
		case t.columns > 16 && t.flip == 0:
			tileInt8AVX512VNNI12x32(t)
		case t.columns > 16:
			tileInt8AVX512VNNI12x32Signed(t)
		case t.flip == 0:
			tileInt8AVX512VNNI12x16(t)
		default:
			tileInt8AVX512VNNI12x16Signed(t)
		}
	default:
		tile4x12(t)
	}
}

func (r *gemmF32Row) run(t *tileF32) {
	switch {
	case r.tile == tileAVX512 && t.columns > 16:
		tileF32AVX512x12x32(t)
	case r.tile == tileAVX512:
		tileF32AVX512x12x16(t)
	default:
		tile4x4(t)
	}
}

// pack32c4 packs, for each step of four in depth, the four weights of each of 32 columns.
func pack32c4(dst []uint64, panel []int8, depth int) {
	if depth == 0 {
		return
	}
	steps := unsafe.Slice((*[32][4]int8)(unsafe.Pointer(&dst[:4*depth][0])), depth/4)
	for k := range steps {
		step := &steps[k]
		for i := range 4 {
			for j, v := range panel[(4*k+i)*32:][:32] {
				step[j][i] = v
			}
		}
	}
}
