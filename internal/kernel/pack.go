//go:build (amd64 || arm64) && !noasm

package kernel

import "unsafe"

// packRows keeps a panel as it is: for each step in depth, the weights of its columns.
func packRows(dst, panel []float32, _ int) { copy(dst, panel) }

// pack16c4 packs, for each step of four in depth, the four weights of each of 16 columns.
func pack16c4(dst []uint64, panel []int8, depth int) {
	if depth == 0 {
		return
	}
	steps := unsafe.Slice((*[16][4]int8)(unsafe.Pointer(&dst[:2*depth][0])), depth/4)
	for k := range steps {
		for i := range 4 {
			for j, v := range panel[(4*k+i)*16:][:16] {
				steps[k][j][i] = v
			}
		}
	}
}
