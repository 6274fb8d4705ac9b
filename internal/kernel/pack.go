//go:build (amd64 || arm64) && !noasm

package kernel

import "unsafe"

// pack16c4 packs, for each step of four in depth, the four weights of each of 16 columns.
func pack16c4(panel []uint64, column []int8, j int) { packC4(panel, column, j, 16) }

// packC4 is pack16c4 for a number of columns.
func packC4(panel []uint64, column []int8, j, columns int) {
	if len(panel) == 0 {
		return
	}
	words := unsafe.Slice((*uint32)(unsafe.Pointer(&panel[0])), 2*len(panel))
	for ; len(column) >= 4; column = column[4:] {
		words[j] = uint32(uint8(column[0])) | uint32(uint8(column[1]))<<8 | uint32(uint8(column[2]))<<16 | uint32(uint8(column[3]))<<24
		j += columns
	}
}
