package kernel

import (
	"fmt"
	"math"
	"slices"

	"github.com/octet-nn/octet/internal/numeric"
)

// ReduceOp is what becomes of the elements along the reduced dimensions.
type ReduceOp uint8

// The reductions. Codes have Sum, Mean, Max and Min.
const (
	ReduceSum ReduceOp = iota
	ReduceMean
	ReduceMax // −Inf, or the lowest code, of nothing
	ReduceMin // +Inf, or the highest code, of nothing
	ReduceProd
	ReduceSumSquare
	ReduceL1
	ReduceL2
)

// Reduction is which elements of a dense array are reduced together. Sums are float64, in index order, and rounded
// once. Its pieces are output elements.
type Reduction struct {
	kept, reduced []reduceDim // outermost first, neighbours merged where possible
	units, count  int
}

type reduceDim struct{ size, stride int }

// NewReduction reduces the given axes of a dense array; whether they stay as dimensions of size 1 makes no difference
// to the elements.
func NewReduction(shape, axes []int) (Reduction, error) {
	r := Reduction{units: 1, count: 1}
	for _, a := range axes {
		if a < 0 || a >= len(shape) {
			return Reduction{}, fmt.Errorf("reducing axis %d of %v", a, shape)
		}
	}
	strides := denseStrides(shape)
	for d, n := range shape {
		dims := &r.kept
		if slices.Contains(axes, d) {
			dims = &r.reduced
			r.count *= n
		} else {
			r.units *= n
		}
		if last := len(*dims) - 1; last >= 0 && (*dims)[last].stride == n*strides[d] {
			(*dims)[last] = reduceDim{(*dims)[last].size * n, strides[d]}
		} else {
			*dims = append(*dims, reduceDim{n, strides[d]})
		}
	}
	if len(r.reduced) == 0 {
		r.reduced = []reduceDim{{1, 1}}
	}
	return r, nil
}

// Units is how many pieces the work has.
func (r *Reduction) Units() int { return r.units }

// offset is where element i of an array of the given dimensions lies.
func offset(dims []reduceDim, i int) int {
	at := 0
	for d := len(dims) - 1; d >= 0; d-- {
		at += i % dims[d].size * dims[d].stride
		i /= dims[d].size
	}
	return at
}

// runs is the innermost reduced dimension, and how many times it is repeated by the others.
func (r *Reduction) runs() (inner reduceDim, outer []reduceDim, n int) {
	last := len(r.reduced) - 1
	inner, outer = r.reduced[last], r.reduced[:last]
	n = 1
	for _, d := range outer {
		n *= d.size
	}
	return inner, outer, n
}

// RunF32 computes the pieces [start, end) of floats.
func (r *Reduction) RunF32(op ReduceOp, out, in []float32, start, end int) {
	inner, outer, n := r.runs()
	for unit := start; unit < end; unit++ {
		base := offset(r.kept, unit)
		total := [...]float64{ReduceMax: math.Inf(-1), ReduceMin: math.Inf(1), ReduceProd: 1, ReduceL2: 0}[op]
		for run := range n {
			at := base + offset(outer, run)
			total = reduceRun(op, total, in, at, inner)
		}
		switch op {
		case ReduceMean:
			total /= float64(r.count)
		case ReduceL2:
			total = math.Sqrt(total)
		}
		out[unit] = float32(total)
	}
}

func reduceRun(op ReduceOp, total float64, in []float32, at int, dim reduceDim) float64 {
	switch op {
	case ReduceSum, ReduceMean:
		for range dim.size {
			total += float64(in[at])
			at += dim.stride
		}
	case ReduceMax:
		for range dim.size {
			total = max(total, float64(in[at]))
			at += dim.stride
		}
	case ReduceMin:
		for range dim.size {
			total = min(total, float64(in[at]))
			at += dim.stride
		}
	case ReduceProd:
		for range dim.size {
			total *= float64(in[at])
			at += dim.stride
		}
	case ReduceSumSquare, ReduceL2:
		for range dim.size {
			total += float64(float64(in[at]) * float64(in[at]))
			at += dim.stride
		}
	case ReduceL1:
		for range dim.size {
			total += math.Abs(float64(in[at]))
			at += dim.stride
		}
	}
	return total
}

// ReduceCodes says how RunInt8 reads and writes codes.
type ReduceCodes struct {
	Input                      Int8Operand
	Scale                      float32          // of the output; unused by Max and Min, whose output is the input's codes
	ZeroPoint, Lowest, Highest int32            // of the output
	Mean                       *numeric.Average // of sums and means, in a row of the arithmetics other than onnx
}

// RunInt8 computes the pieces [start, end) of codes: numeric.AverageCode for a mean or (with n = 1) a sum, the code
// itself for Max and Min, limited to [Lowest, Highest]. Any other op panics.
func (r *Reduction) RunInt8(op ReduceOp, out, in []byte, codes *ReduceCodes, start, end int) {
	if op > ReduceMin {
		panic("kernel: codes are reduced by Sum, Mean, Max and Min only")
	}
	inner, outer, n := r.runs()
	flip, zero := unsigned(codes.Input.Signed, codes.Input.ZeroPoint)
	divisor := 1
	if op == ReduceMean {
		divisor = max(r.count, 1)
	}
	multiplier := numeric.AverageMultiplier(codes.Input.Scale, codes.Scale, divisor)
	for unit := start; unit < end; unit++ {
		base := offset(r.kept, unit)
		sum, least, greatest := int64(0), byte(255), byte(0)
		for run := range n {
			at := base + offset(outer, run)
			for range inner.size {
				v := in[at] ^ flip
				sum += int64(v)
				least, greatest = min(least, v), max(greatest, v)
				at += inner.stride
			}
		}
		var q int32
		switch op {
		case ReduceMax:
			q = int32(greatest) - zero + codes.Input.ZeroPoint
		case ReduceMin:
			q = int32(least) - zero + codes.Input.ZeroPoint
		default:
			if codes.Mean != nil {
				q = codes.Mean.Code(sum-int64(zero)*int64(r.count), divisor)
				break
			}
			q = numeric.AverageCode(sum-int64(zero)*int64(r.count), multiplier, codes.ZeroPoint, codes.Lowest, codes.Highest)
		}
		out[unit] = byte(min(max(q, codes.Lowest), codes.Highest))
	}
}
