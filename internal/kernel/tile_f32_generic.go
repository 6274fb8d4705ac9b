package kernel

import "unsafe"

func words4x4(depth int) int { return 4 * depth }

func pack4x4(dst, panel []float32, depth int) { copy(dst, panel[:4*depth]) }

func tile4x4(acc, a []float32, stride, rows int, panel []float32, depth int) {
	if depth == 0 {
		return
	}
	w := unsafe.Slice((*[4]float32)(unsafe.Pointer(&panel[:4*depth][0])), depth)
	for i := range rows {
		dot1x4((*[4]float32)(acc[4*i:]), a[i*stride:][:depth], w)
	}
}

// dot1x4 takes one row by four columns at a time. The Go compiler computes all products of a step before it adds them,
// so larger tiles (2×3, 2×4, 1×8) run out of registers and, with a sum in memory, were measured to be half as fast.
func dot1x4(acc *[4]float32, a []float32, panel [][4]float32) {
	a = a[:len(panel)]
	s0, s1, s2, s3 := acc[0], acc[1], acc[2], acc[3]
	for k := range panel {
		w := &panel[k]
		x := a[k]
		s0 += float32(x * w[0])
		s1 += float32(x * w[1])
		s2 += float32(x * w[2])
		s3 += float32(x * w[3])
	}
	acc[0], acc[1], acc[2], acc[3] = s0, s1, s2, s3
}
