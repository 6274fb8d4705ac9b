package compile

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestNestMergesLoops(t *testing.T) {
	// Two packed arrays of 2·3·4·5 are one loop; a channel vector broadcast over the rest leaves two.
	same := newNest([]int{2, 3, 1, 4, 5}, zip(packedStrides([]int{2, 3, 1, 4, 5}), packedStrides([]int{2, 3, 1, 4, 5})))
	if !slices.Equal(same.dims, []int{120}) {
		t.Errorf("packed arrays: %v", same.dims)
	}
	vector := newNest([]int{2, 3, 4, 5}, zip(packedStrides([]int{2, 3, 4, 5}), broadcastStrides([]int{5}, 4)))
	if !slices.Equal(vector.dims, []int{24, 5}) {
		t.Errorf("broadcast vector: %v", vector.dims)
	}
}

// TestMove compares a move with the plainest loop, for random boxes, permutations, strides and splits.
func TestMove(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rank := rapid.IntRange(0, 5).Draw(t, "rank")
		dims := make([]int, rank)
		order := make([]int, rank)
		for i := range dims {
			dims[i] = rapid.SampledFrom([]int{1, 2, 3, 5, 33, 40}).Draw(t, "size")
			if i > 2 {
				dims[i] = min(dims[i], 3)
			}
			order[i] = i
		}
		size := rapid.SampledFrom([]int{1, 2, 4, 8}).Draw(t, "element")
		// Both arrays hold the box with a margin, the output with its dimensions permuted.
		strides := func(order []int, margin int) (strides []int, length int) {
			strides, length = make([]int, rank), 1
			for i := len(order) - 1; i >= 0; i-- {
				strides[order[i]] = length
				length *= dims[order[i]] + margin
			}
			return strides, length
		}
		in, inLen := strides(order, rapid.IntRange(0, 2).Draw(t, "margin"))
		out, outLen := strides(rapid.Permutation(order).Draw(t, "order"), rapid.IntRange(0, 2).Draw(t, "margin"))
		inAt, outAt := rapid.IntRange(0, 3).Draw(t, "at"), rapid.IntRange(0, 3).Draw(t, "at")

		source := make([]byte, (inLen+inAt+8)*size)
		for i := range source {
			source[i] = byte(i*7 + i>>8)
		}
		want := make([]byte, (outLen+outAt+8)*size)
		var walk func(d, from, to int)
		walk = func(d, from, to int) {
			if d == rank {
				copy(want[to*size:(to+1)*size], source[from*size:])
				return
			}
			for i := range dims[d] {
				walk(d+1, from+i*in[d], to+i*out[d])
			}
		}
		walk(0, inAt, outAt)

		m := newMove(size, dims, in, out, inAt, outAt)
		got := make([]byte, len(want))
		step := rapid.IntRange(1, 7).Draw(t, "step")
		for begin := 0; begin < m.tasks(); begin += step {
			m.run(got, source, begin, min(begin+step, m.tasks()))
		}
		if !slices.Equal(got, want) {
			t.Fatalf("dims %v in %v out %v: %+v", dims, in, out, m)
		}
	})
}
