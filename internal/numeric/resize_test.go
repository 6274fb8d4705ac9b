package numeric

import "testing"

func TestResizeCoordinate(t *testing.T) {
	for _, tc := range []struct {
		transform  CoordinateTransform
		i, in, out int
		scale      float32
		want       float32
	}{
		{HalfPixel, 0, 2, 4, 2, -0.25}, {HalfPixel, 3, 2, 4, 2, 1.25}, {HalfPixel, 0, 4, 1, 0.25, 1.5},
		{HalfPixelSymmetric, 0, 2, 4, 2, -0.25}, {HalfPixelSymmetric, 0, 4, 3, 0.875, 0.35714287},
		{PytorchHalfPixel, 0, 4, 1, 0.25, 0}, {PytorchHalfPixel, 1, 2, 4, 2, 0.25},
		{AlignCorners, 3, 2, 4, 2, 1}, {AlignCorners, 1, 3, 5, 1.6666, 0.5}, {AlignCorners, 0, 3, 1, 0.3333, 0},
		{Asymmetric, 3, 2, 4, 2, 1.5},
	} {
		if got := ResizeCoordinate(tc.transform, tc.i, tc.in, tc.out, tc.scale); got-tc.want > 1e-6 || tc.want-got > 1e-6 {
			t.Errorf("%+v: %v", tc, got)
		}
	}
}

func TestResizeNearest(t *testing.T) {
	for _, tc := range []struct {
		x    float32
		want [4]int // prefer floor, prefer ceil, floor, ceil
	}{
		{-0.25, [4]int{0, 0, 0, 0}}, {0.5, [4]int{0, 1, 0, 1}}, {1.5, [4]int{1, 2, 1, 2}}, {1.25, [4]int{1, 1, 1, 2}},
		{1.75, [4]int{2, 2, 1, 2}}, {2, [4]int{2, 2, 2, 2}}, {9.5, [4]int{4, 4, 4, 4}},
	} {
		for r, want := range tc.want {
			if got := ResizeNearest(NearestRounding(r), tc.x, 5); got != want {
				t.Errorf("rounding %d of %v is %d, want %d", r, tc.x, got, want)
			}
		}
	}
}

func TestResizeLinear(t *testing.T) {
	for _, tc := range []struct {
		x         float32
		in        int
		low, high int
		weight    float32
	}{{-0.25, 4, 0, 1, 0}, {0.25, 4, 0, 1, 0.25}, {3, 4, 3, 3, 0}, {3.5, 4, 3, 3, 0}, {0.5, 1, 0, 0, 0}} {
		low, high, weight := ResizeLinear(tc.x, tc.in)
		if low != tc.low || high != tc.high || weight != tc.weight {
			t.Errorf("%+v: %d, %d, %v", tc, low, high, weight)
		}
	}
	if Lerp(3, 5, 0.25) != 3.5 || Lerp(3, 5, 0) != 3 || Lerp(3, 5, 1) != 5 {
		t.Error("Lerp")
	}
}
