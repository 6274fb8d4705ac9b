package kernel

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/octet-nn/octet/internal/numeric"
)

// coordinates of element i of a dense array.
func coordinates(shape []int, i int) []int {
	c := make([]int, len(shape))
	for d := len(shape) - 1; d >= 0; d-- {
		c[d] = i % shape[d]
		i /= shape[d]
	}
	return c
}

func indexOf(shape, c []int) int {
	i := 0
	for d, n := range shape {
		i = i*n + c[d]
	}
	return i
}

// numbered is an aligned array of n elements, each of which has its number as bytes, and then some.
func numbered(n, elementBytes int) []byte {
	b := AlignedScratch(n * elementBytes)
	for i := range b {
		b[i] = byte(i/elementBytes*7 + i%elementBytes*101 + i/elementBytes>>8)
	}
	return b
}

// checkMove compares a kernel that moves elements with where each output element should come from; −1 is unwritten.
func checkMove(t *testing.T, units, elementBytes, outCount int, in []byte, run func(out []byte, start, end int), from func(out int) int) {
	t.Helper()
	got := inPieces(t, random(1), units, func() ([]byte, func(int, int)) {
		out := AlignedScratch(outCount * elementBytes)
		return out, func(start, end int) { run(out, start, end) }
	})
	for i := range outCount {
		want := make([]byte, elementBytes)
		if f := from(i); f >= 0 {
			want = in[f*elementBytes:][:elementBytes]
		}
		if !bytes.Equal(got[i*elementBytes:][:elementBytes], want) {
			t.Fatalf("element %d is %v, want %v", i, got[i*elementBytes:][:elementBytes], want)
		}
	}
}

func TestTranspose(t *testing.T) {
	for _, tc := range []struct{ shape, permutation []int }{
		{[]int{2, 3, 17, 19}, []int{0, 2, 3, 1}},
		{[]int{2, 17, 19, 3}, []int{0, 3, 1, 2}},
		{[]int{1, 40, 5, 7}, []int{0, 2, 3, 1}},
		{[]int{33, 50}, []int{1, 0}},
		{[]int{4, 5, 6}, []int{2, 1, 0}},
		{[]int{4, 5, 6}, []int{0, 1, 2}},
		{[]int{3, 1, 4, 1, 5}, []int{4, 3, 2, 1, 0}},
		{[]int{2, 2, 2, 2, 2, 2, 2, 2}, []int{7, 5, 3, 1, 6, 4, 2, 0}},
		{[]int{12288}, []int{0}},
		{[]int{5, 0}, []int{1, 0}},
		{nil, nil},
	} {
		for _, size := range []int{1, 2, 4, 8} {
			t.Run(fmt.Sprint(tc, size), func(t *testing.T) {
				k, err := NewTranspose(size, tc.shape, tc.permutation)
				if err != nil {
					t.Fatal(err)
				}
				in := numbered(count(tc.shape), size)
				out := make([]int, len(tc.shape))
				for i, p := range tc.permutation {
					out[i] = tc.shape[p]
				}
				checkMove(t, k.Units(), size, count(out), in, func(o []byte, start, end int) { k.Run(o, in, start, end) }, func(i int) int {
					c := make([]int, len(out))
					for d, v := range coordinates(out, i) {
						c[tc.permutation[d]] = v
					}
					return indexOf(tc.shape, c)
				})
			})
		}
	}
}

func TestSlice(t *testing.T) {
	for _, tc := range []struct{ shape, starts, steps, sizes []int }{
		{[]int{4, 5, 6}, []int{1, 0, 2}, []int{1, 1, 1}, []int{2, 5, 3}},
		{[]int{4, 5, 6}, []int{3, 4, 5}, []int{-1, -2, -3}, []int{4, 3, 2}},
		{[]int{4, 40, 3}, []int{0, 1, 0}, []int{2, 3, 1}, []int{2, 13, 3}},
		{[]int{50}, []int{49}, []int{-1}, []int{50}},
		{[]int{4, 5}, []int{0, 0}, []int{1, 1}, []int{4, 0}},
	} {
		t.Run(fmt.Sprint(tc), func(t *testing.T) {
			strides, first := denseStrides(tc.shape), 0
			for d := range strides {
				first += tc.starts[d] * strides[d]
				strides[d] *= tc.steps[d]
			}
			k, err := NewCopy(4, tc.sizes, denseStrides(tc.sizes), strides, 0, first)
			if err != nil {
				t.Fatal(err)
			}
			in := numbered(count(tc.shape), 4)
			checkMove(t, k.Units(), 4, count(tc.sizes), in, func(o []byte, start, end int) { k.Run(o, in, start, end) }, func(i int) int {
				c := coordinates(tc.sizes, i)
				for d := range c {
					c[d] = tc.starts[d] + c[d]*tc.steps[d]
				}
				return indexOf(tc.shape, c)
			})
		})
	}
}

func TestPartAndExpand(t *testing.T) {
	whole, part := []int{3, 7, 5}, []int{3, 4, 5}
	k, err := NewCopy(2, part, denseStrides(whole), denseStrides(part), 2*5, 0)
	if err != nil {
		t.Fatal(err)
	}
	in := numbered(count(part), 2)
	checkMove(t, k.Units(), 2, count(whole), in, func(o []byte, start, end int) { k.Run(o, in, start, end) }, func(i int) int {
		c := coordinates(whole, i)
		if c[1] -= 2; c[1] < 0 || c[1] >= 4 {
			return -1
		}
		return indexOf(part, c)
	})
	small, large := []int{3, 1, 5}, []int{2, 3, 4, 5}
	k, err = NewExpand(8, small, large)
	if err != nil {
		t.Fatal(err)
	}
	in = numbered(count(small), 8)
	checkMove(t, k.Units(), 8, count(large), in, func(o []byte, start, end int) { k.Run(o, in, start, end) }, func(i int) int {
		return broadcastIndex(large, small, i)
	})
}

func TestNewCopyRefuses(t *testing.T) {
	if _, err := NewCopy(3, []int{1}, []int{1}, []int{1}, 0, 0); err == nil {
		t.Error("elements of 3 bytes are accepted")
	}
	nine := []int{2, 2, 2, 2, 2, 2, 2, 2, 2}
	if _, err := NewTranspose(1, nine, []int{8, 7, 6, 5, 4, 3, 2, 1, 0}); err == nil {
		t.Error("nine dimensions are accepted")
	}
}

func TestPadIndex(t *testing.T) {
	for _, tc := range []struct {
		mode                PadMode
		size, before, after int
		want                []int32
	}{
		{PadConstant, 2, 1, 2, []int32{-1, 0, 1, -1, -1}},
		{PadConstant, 4, -1, -2, []int32{1}},
		{PadConstant, 0, 1, 1, []int32{-1, -1}},
		{PadEdge, 3, 2, 1, []int32{0, 0, 0, 1, 2, 2}},
		{PadReflect, 3, 2, 2, []int32{2, 1, 0, 1, 2, 1, 0}},
		{PadReflect, 2, 3, 3, []int32{1, 0, 1, 0, 1, 0, 1, 0}},
		{PadWrap, 3, 2, 4, []int32{1, 2, 0, 1, 2, 0, 1, 2, 0}},
		{PadEdge, 3, -1, 1, []int32{1, 2, 2}},
	} {
		got, err := PadIndex(tc.mode, tc.size, tc.before, tc.after)
		if err != nil || !slices.Equal(got, tc.want) {
			t.Errorf("%+v: %v, %v", tc, got, err)
		}
	}
	for _, tc := range [][4]int{{int(PadReflect), 1, 1, 0}, {int(PadEdge), 0, 1, 0}, {int(PadConstant), 2, -2, -1}} {
		if got, err := PadIndex(PadMode(tc[0]), tc[1], tc[2], tc[3]); err == nil {
			t.Errorf("%v: %v was accepted", tc, got)
		}
	}
}

func TestPad(t *testing.T) {
	shape := []int{2, 3, 4, 5}
	for mode := PadConstant; mode <= PadWrap; mode++ {
		for _, pads := range [][2][]int{
			{{0, 1, 2, 0}, {0, 2, 1, 0}},
			{{1, 0, 0, 3}, {1, 0, 0, 2}},
			{{0, 0, 0, 0}, {0, 0, 0, 0}},
			{{0, -1, 1, 0}, {0, 1, -2, 0}},
		} {
			t.Run(fmt.Sprint(mode, pads), func(t *testing.T) {
				m, err := NewPad(mode, 2, shape, pads[0], pads[1], []byte{0, 0})
				if err != nil {
					t.Fatal(err)
				}
				out := make([]int, 4)
				for d := range out {
					out[d] = pads[0][d] + shape[d] + pads[1][d]
				}
				in := numbered(count(shape), 2)
				checkMove(t, m.Units(), 2, count(out), in, func(o []byte, start, end int) {
					if mode == PadConstant { // the constant must be written, not left
						for i := start * len(o) / max(m.Units(), 1); i < end*len(o)/max(m.Units(), 1); i++ {
							o[i] = 0xcc
						}
					}
					m.Run(o, in, start, end)
				}, func(i int) int {
					c := coordinates(out, i)
					for d := range c {
						table, err := PadIndex(mode, shape[d], pads[0][d], pads[1][d])
						if err != nil {
							t.Fatal(err)
						}
						if c[d] = int(table[c[d]]); c[d] < 0 {
							return -1
						}
					}
					return indexOf(shape, c)
				})
			})
		}
	}
}

func TestSoftmaxF32(t *testing.T) {
	for _, shape := range [][3]int{{3, 10, 1}, {2, 5, 4}, {1, 1, 1}, {0, 4, 1}, {2, 0, 3}, {1, 1000, 1}} {
		for _, logarithm := range []bool{false, true} {
			r := random(4)
			k := SoftmaxF32{Outer: shape[0], Size: shape[1], Inner: shape[2], Log: logarithm}
			in := randomFloats(r, shape[0]*shape[1]*shape[2])
			for i := range in {
				in[i] *= 30
			}
			out := inPieces(t, r, k.Units(), func() ([]float32, func(int, int)) {
				out := make([]float32, len(in))
				return out, func(start, end int) { k.Run(out, in, start, end) }
			})
			for unit := range k.Units() {
				first := unit/k.Inner*k.Size*k.Inner + unit%k.Inner
				sum := 0.0
				for i := range k.Size {
					sum += math.Exp(float64(in[first+i*k.Inner]))
				}
				for i := range k.Size {
					at := first + i*k.Inner
					want := math.Exp(float64(in[at])) / sum
					if logarithm {
						want = float64(in[at]) - math.Log(sum)
					}
					if math.Abs(float64(out[at])-want) > 1e-5*math.Abs(want)+1e-12 {
						t.Fatalf("%v: element %d is %v, want %v", k, at, out[at], want)
					}
				}
			}
		}
	}
}

func TestSoftmaxInt8(t *testing.T) {
	forEachTier(t, func(t *testing.T, s Set) { checkSoftmaxInt8(t, s.Vector()) })
}

func checkSoftmaxInt8(t *testing.T, vector Vector) {
	t.Helper()
	for _, shape := range [][3]int{{3, 10, 1}, {2, 5, 4}, {1, 1, 1}, {0, 4, 1}, {2, 0, 3}, {1, 1000, 1}, {3, 128, 1}, {2, 77, 1}} {
		for _, signed := range []bool{false, true} {
			r := random(4)
			const scaleX, scaleY = float32(0.7), float32(1.0 / 256)
			lowest, highest := limits(signed)
			k := NewSoftmaxInt8(shape[0], shape[1], shape[2], signed, scaleX, scaleY, lowest, lowest, highest)
			k.Vector = vector
			in := randomCodes(r, shape[0]*shape[1]*shape[2])
			for i := range in { // a first row of low codes only: nothing may be left of them but for the maximum's subtraction
				if i < shape[1]*shape[2] {
					in[i] = byte(lowest) + in[i]%10
				}
			}
			out := inPieces(t, r, k.Units(), func() ([]byte, func(int, int)) {
				out := make([]byte, len(in))
				return out, func(start, end int) { k.Run(out, in, start, end) }
			})
			for unit := range k.Units() {
				first := unit/shape[2]*shape[1]*shape[2] + unit%shape[2]
				greatest, sum := int32(-1000), float32(0)
				for i := range shape[1] {
					greatest = max(greatest, code(in[first+i*shape[2]], signed))
				}
				term := func(i int) float32 {
					return numeric.SoftmaxTerm(int(greatest-code(in[first+i*shape[2]], signed)), scaleX)
				}
				for i := range shape[1] {
					sum += term(i)
				}
				for i := range shape[1] {
					want := byte(numeric.SoftmaxCode(term(i), sum, scaleY, lowest, lowest, highest))
					if got := out[first+i*shape[2]]; got != want {
						t.Fatalf("%v: row %d element %d is %d, want %d", shape, unit, i, got, want)
					}
				}
			}
		}
	}
}
