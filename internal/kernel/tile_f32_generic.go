package kernel

import "unsafe"

func tile4x4(t *tileF32) {
	sums := (*[4]float32)(t.acc)
	limits := EpilogueF32{Least: t.least, Greatest: t.greatest}
	for i := range t.tiles * t.rows {
		copy(sums[:], t.bias[:t.columns])
		panel := t.panel
		for _, run := range t.runStarts {
			if t.runLength == 0 {
				continue
			}
			x := t.a[t.rowStarts[i]+run:][:t.runLength]
			dot1x4(sums, x, unsafe.Slice((*[4]float32)(unsafe.Pointer(&panel[:4*len(x)][0])), len(x)))
			panel = panel[4*len(x):]
		}
		limits.apply(t.out[t.outStarts[i]:][:t.columns], sums[:])
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
