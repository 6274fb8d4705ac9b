package kernel

import "unsafe"

func words4x4(depth int) int { return 4 * depth }

func pack4x4(dst, panel []float32, depth int) { copy(dst, panel[:4*depth]) }

func tile4x4(acc, a []float32, stride, rows int, panel []float32, depth int) {
	if depth == 0 {
		return
	}
	w := unsafe.Slice((*[4]float32)(unsafe.Pointer(&panel[:4*depth][0])), depth)
	for rows >= 2 {
		dot2x4((*[4]float32)(acc), (*[4]float32)(acc[4:]), a[:depth], a[stride:stride+depth], w)
		acc, rows = acc[8:], rows-2
		if rows > 0 {
			a = a[2*stride:]
		}
	}
	if rows == 1 {
		dot1x4((*[4]float32)(acc), a[:depth], w)
	}
}

// dot2x4 keeps its eight sums, four weights and three temporaries in the 15 registers that Go leaves on amd64.
func dot2x4(acc0, acc1 *[4]float32, a0, a1 []float32, panel [][4]float32) {
	a0, a1 = a0[:len(panel)], a1[:len(panel)]
	s00, s01, s02, s03 := acc0[0], acc0[1], acc0[2], acc0[3]
	s10, s11, s12, s13 := acc1[0], acc1[1], acc1[2], acc1[3]
	for k := range panel {
		w := &panel[k]
		w0, w1, w2, w3 := w[0], w[1], w[2], w[3]
		x := a0[k]
		s00 += float32(x * w0)
		s01 += float32(x * w1)
		s02 += float32(x * w2)
		s03 += float32(x * w3)
		y := a1[k]
		s10 += float32(y * w0)
		s11 += float32(y * w1)
		s12 += float32(y * w2)
		s13 += float32(y * w3)
	}
	*acc0 = [4]float32{s00, s01, s02, s03}
	*acc1 = [4]float32{s10, s11, s12, s13}
}

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
	*acc = [4]float32{s0, s1, s2, s3}
}
