package kernel

import "unsafe"

// The plain Go tile of integer products multiplies a code with three weights at once: they are packed into one int64,
// 21 bits apart, and so is the sum of up to laneDepth products. A product's magnitude is at most 255·128 = 32640, and
// 32·32640 = 1044480 is less than 2^20, so a lane never leaves its 21 bits before it is added to the int32 sums.
const (
	laneBits  = 21
	laneDepth = 32
)

// words4x12 is four words of three weights for each step in depth.
func words4x12(depth int) int { return 4 * depth }

func pack4x12(panel []uint64, column []int8, j int) {
	for k, v := range column {
		panel[4*k+j/3] += uint64(int64(v)) << (laneBits * (j % 3))
	}
}

// tile4x12 writes the sums of a tile.
func tile4x12(t *tileInt8) {
	for i := range t.rows {
		sums := (*[12]int32)(t.acc[12*i:])
		for j := range t.columns {
			sums[j] = t.bias[j] + t.correction*t.weightSums[j]
		}
		panel := t.panel
		for _, run := range t.runStarts {
			if t.runLength == 0 {
				continue
			}
			x := t.a[t.rowStarts[i]+run:][:t.runLength]
			words := unsafe.Slice((*[4]int64)(unsafe.Pointer(&panel[:4*len(x)][0])), len(x))
			panel = panel[4*len(x):]
			for k := 0; k < len(x); k += laneDepth {
				end := min(k+laneDepth, len(x))
				lanes1x12(sums, x[k:end], t.flip, words[k:end])
			}
		}
	}
}

// lanes1x12 takes one row at a time: the sums of two rows do not fit the registers of amd64.
func lanes1x12(acc *[12]int32, a []byte, flip byte, words [][4]int64) {
	a = a[:len(words)]
	var s0, s1, s2, s3 int64
	for k := range words {
		w := &words[k]
		x := int64(a[k] ^ flip)
		s0 += x * w[0]
		s1 += x * w[1]
		s2 += x * w[2]
		s3 += x * w[3]
	}
	addLanes((*[3]int32)(acc[0:]), s0)
	addLanes((*[3]int32)(acc[3:]), s1)
	addLanes((*[3]int32)(acc[6:]), s2)
	addLanes((*[3]int32)(acc[9:]), s3)
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
