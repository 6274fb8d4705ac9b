package kernel

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/octet-nn/octet/internal/numeric"
)

var reduceCases = []struct{ shape, axes []int }{
	{[]int{2, 3, 4, 5}, []int{1, 2}},
	{[]int{2, 3, 4, 5}, []int{3}},
	{[]int{2, 3, 4, 5}, []int{0}},
	{[]int{2, 3, 4, 5}, []int{0, 2}},
	{[]int{2, 3, 4, 5}, []int{1, 3}},
	{[]int{2, 3, 4, 5}, []int{0, 1, 2, 3}},
	{[]int{2, 3, 4, 5}, nil},
	{[]int{2, 1, 3, 1}, []int{1}},
	{[]int{2, 0, 3}, []int{1}},
	{[]int{2, 0, 3}, []int{0}},
	{nil, nil},
}

// groups is the elements that are reduced to each output element, in index order.
func groups(shape, axes []int) [][]int {
	var kept []int
	for d, n := range shape {
		if !slices.Contains(axes, d) {
			kept = append(kept, n)
		}
	}
	g := make([][]int, count(kept))
	for i := range count(shape) {
		var c []int
		for d, v := range coordinates(shape, i) {
			if !slices.Contains(axes, d) {
				c = append(c, v)
			}
		}
		at := indexOf(kept, c)
		g[at] = append(g[at], i)
	}
	return g
}

func TestReduceF32(t *testing.T) {
	fold := func(start float64, f func(a, x float64) float64) func(x []float64) float64 {
		return func(x []float64) float64 {
			a := start
			for _, v := range x {
				a = f(a, v)
			}
			return a
		}
	}
	sum := fold(0, func(a, x float64) float64 { return a + x })
	squares := fold(0, func(a, x float64) float64 { return a + x*x })
	ops := []func(x []float64) float64{
		ReduceSum:       sum,
		ReduceMean:      func(x []float64) float64 { return sum(x) / float64(len(x)) },
		ReduceMax:       fold(math.Inf(-1), math.Max),
		ReduceMin:       fold(math.Inf(1), math.Min),
		ReduceProd:      fold(1, func(a, x float64) float64 { return a * x }),
		ReduceSumSquare: squares,
		ReduceL1:        fold(0, func(a, x float64) float64 { return a + math.Abs(x) }),
		ReduceL2:        func(x []float64) float64 { return math.Sqrt(squares(x)) },
	}
	for op, f := range ops {
		for _, tc := range reduceCases {
			t.Run(fmt.Sprint(op, tc), func(t *testing.T) {
				k, err := NewReduction(tc.shape, tc.axes)
				if err != nil {
					t.Fatal(err)
				}
				r := random(1)
				in, all := randomFloats(r, count(tc.shape)), groups(tc.shape, tc.axes)
				out := inPieces(t, r, k.Units(), func() ([]float32, func(int, int)) {
					out := make([]float32, len(all))
					return out, func(start, end int) { k.RunF32(ReduceOp(op), out, in, start, end) }
				})
				for i, g := range all {
					x := make([]float64, len(g))
					for j, at := range g {
						x[j] = float64(in[at])
					}
					want := float32(f(x))
					if out[i] != want && !(out[i] != out[i] && want != want) && !near(float64(out[i]), float64(want), 0) {
						t.Fatalf("element %d is %v, want %v", i, out[i], want)
					}
				}
			})
		}
	}
}

func TestReduceInt8(t *testing.T) {
	for op := ReduceSum; op <= ReduceMin; op++ {
		for _, tc := range reduceCases {
			for _, signed := range []bool{false, true} {
				t.Run(fmt.Sprint(op, tc, signed), func(t *testing.T) {
					k, err := NewReduction(tc.shape, tc.axes)
					if err != nil {
						t.Fatal(err)
					}
					r := random(2)
					lowest, highest := limits(signed)
					codes := ReduceCodes{Input: Int8Operand{signed, lowest + 100, 0.1}, Scale: 0.2, ZeroPoint: lowest + 90, Lowest: lowest, Highest: highest - 3}
					in, all := randomCodes(r, count(tc.shape)), groups(tc.shape, tc.axes)
					out := inPieces(t, r, k.Units(), func() ([]byte, func(int, int)) {
						out := make([]byte, len(all))
						return out, func(start, end int) { k.RunInt8(op, out, in, &codes, start, end) }
					})
					for i, g := range all {
						sum, least, greatest := int64(0), highest, lowest
						for _, at := range g {
							q := code(in[at], signed)
							sum += int64(q - codes.Input.ZeroPoint)
							least, greatest = min(least, q), max(greatest, q)
						}
						var want int32
						switch op {
						case ReduceSum:
							want = numeric.AverageCode(sum, numeric.AverageMultiplier(0.1, 0.2, 1), codes.ZeroPoint, lowest, codes.Highest)
						case ReduceMean:
							want = numeric.AverageCode(sum, numeric.AverageMultiplier(0.1, 0.2, max(len(g), 1)), codes.ZeroPoint, lowest, codes.Highest)
						case ReduceMax:
							want = min(greatest, codes.Highest)
						case ReduceMin:
							want = min(least, codes.Highest)
						}
						if out[i] != byte(want) {
							t.Fatalf("element %d is %d, want %d", i, out[i], byte(want))
						}
					}
				})
			}
		}
	}
}

func TestNewReductionRefuses(t *testing.T) {
	for _, axis := range []int{-1, 2} {
		if _, err := NewReduction([]int{2, 3}, []int{axis}); err == nil {
			t.Errorf("axis %d of two is accepted", axis)
		}
	}
}
