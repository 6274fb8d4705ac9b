package kernel

// unaryRun is one call of a micro-kernel of a function of one float. Assembly reads it by field names.
type unaryRun struct {
	out, in     *float32
	steps       int // of one vector, at least 1
	alpha, beta float32
	sum         [16]float32 // of exponentials, or the maximum, by lanes
}

// Functions that are parts of others.
const (
	quotient     = unaryCount + iota // x/alpha
	exponentials                     // e^(x−alpha), and their sum
	maximum                          // nothing but the greatest
)

// unary computes a function, if there is a micro-kernel for it. What a vector gives does not depend on where its
// elements are: the last few are put into a vector of their own, whose other elements are fill. sum is that of
// exponentials, or the maximum, where NaN is passed over.
//
// The functions that need exponentials are within 4e-7 of their values, relative, or 1e-7, absolute; the others are
// exact.
func (v Vector) unary(op UnaryOp, dst, src []float32, alpha, beta, fill float32) (sum float32, ok bool) {
	if v.kernel == vectorNone {
		return 0, false
	}
	n, width := len(dst), v.kernel.width()/4
	r := unaryRun{steps: n / width, alpha: alpha, beta: beta}
	done := r.steps * width
	if op == maximum {
		for i := range r.sum {
			r.sum[i] = fill
		}
	}
	if r.steps > 0 {
		r.out, r.in = &dst[0], &src[:n][0]
		if !v.kernel.unary(op, &r) {
			return 0, false
		}
	}
	if done < n {
		var last [16]float32
		for i := copy(last[:], src[done:n]); i < width; i++ {
			last[i] = fill
		}
		r.out, r.in, r.steps = &last[0], &last[0], 1
		if !v.kernel.unary(op, &r) {
			return 0, false
		}
		if op != maximum {
			copy(dst[done:], last[:width])
		}
	}
	for lanes := width / 2; lanes > 0; lanes /= 2 {
		for i := range lanes {
			if op == maximum {
				r.sum[i] = max(r.sum[i], r.sum[i+lanes])
			} else {
				r.sum[i] += r.sum[i+lanes]
			}
		}
	}
	return r.sum[0], true
}
