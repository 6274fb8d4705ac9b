package kernel

import "unsafe"

// The plain Go tile of integer products multiplies a code with three weights at once: they are packed into one int64,
// 21 bits apart, and so is the sum of up to laneDepth products. A product's magnitude is at most 255·128 = 32640, and
// 32·32640 = 1044480 is less than 2^20, so a lane never leaves its 21 bits before it is added to the int32 sums.
const (
	laneBits  = 21
	laneDepth = 32
)

// words2x9 is three words of three weights for each step in depth.
func words2x9(depth int) int { return 3 * depth }

func pack2x9(dst []uint64, panel []int8, depth int) {
	for k := range depth {
		for i := range 3 {
			p := panel[k*9+i*3:][:3]
			dst[k*3+i] = uint64(int64(p[0]) + int64(p[1])<<laneBits + int64(p[2])<<(2*laneBits))
		}
	}
}

func tile2x9(acc []int32, a []byte, stride, rows int, flip byte, panel []uint64, depth int) {
	if depth == 0 {
		return
	}
	words := unsafe.Slice((*[3]int64)(unsafe.Pointer(&panel[:3*depth][0])), depth)
	acc0 := (*[9]int32)(acc)
	a0 := a[:depth]
	if rows == 1 {
		for len(words) > laneDepth {
			lanes1x9(acc0, a0[:laneDepth], flip, words[:laneDepth])
			a0, words = a0[laneDepth:], words[laneDepth:]
		}
		lanes1x9(acc0, a0, flip, words)
		return
	}
	acc1 := (*[9]int32)(acc[9:])
	a1 := a[stride : stride+depth]
	for len(words) > laneDepth {
		lanes2x9(acc0, acc1, a0[:laneDepth], a1[:laneDepth], flip, words[:laneDepth])
		a0, a1, words = a0[laneDepth:], a1[laneDepth:], words[laneDepth:]
	}
	lanes2x9(acc0, acc1, a0, a1, flip, words)
}

func lanes2x9(acc0, acc1 *[9]int32, a0, a1 []byte, flip byte, words [][3]int64) {
	a0, a1 = a0[:len(words)], a1[:len(words)]
	var s00, s01, s02, s10, s11, s12 int64
	for k := range words {
		w := &words[k]
		x, y := int64(a0[k]^flip), int64(a1[k]^flip)
		s00 += x * w[0]
		s10 += y * w[0]
		s01 += x * w[1]
		s11 += y * w[1]
		s02 += x * w[2]
		s12 += y * w[2]
	}
	addLanes((*[3]int32)(acc0[0:]), s00)
	addLanes((*[3]int32)(acc0[3:]), s01)
	addLanes((*[3]int32)(acc0[6:]), s02)
	addLanes((*[3]int32)(acc1[0:]), s10)
	addLanes((*[3]int32)(acc1[3:]), s11)
	addLanes((*[3]int32)(acc1[6:]), s12)
}

func lanes1x9(acc *[9]int32, a []byte, flip byte, words [][3]int64) {
	a = a[:len(words)]
	var s0, s1, s2 int64
	for k := range words {
		w := &words[k]
		x := int64(a[k] ^ flip)
		s0 += x * w[0]
		s1 += x * w[1]
		s2 += x * w[2]
	}
	addLanes((*[3]int32)(acc[0:]), s0)
	addLanes((*[3]int32)(acc[3:]), s1)
	addLanes((*[3]int32)(acc[6:]), s2)
}

// addLanes adds the three signed lanes of a word: the lowest is its low bits, sign-extended, and what remains after
// taking it away holds the others.
func addLanes(acc *[3]int32, s int64) {
	const unused = 64 - laneBits
	lane := s << unused >> unused
	acc[0] += int32(lane)
	s = (s - lane) >> laneBits
	lane = s << unused >> unused
	acc[1] += int32(lane)
	acc[2] += int32((s - lane) >> laneBits)
}
