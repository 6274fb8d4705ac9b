package kernel

import (
	"bytes"
	"fmt"
	"math"
	"testing"

	"github.com/octet-nn/octet/internal/cpu"
	"github.com/octet-nn/octet/internal/numeric"
)

// forEachVector runs a test with the kernels on elements of every tier of this machine but plain Go, to which it
// compares them.
func forEachVector(t *testing.T, f func(t *testing.T, v Vector)) {
	for _, tier := range cpu.Available() {
		if v := For(tier).Vector(); v != (Vector{}) {
			t.Run(tier.String(), func(t *testing.T) { f(t, v) })
		}
	}
}

// lengths are those around the widths of vectors, and some longer ones.
func lengths() []int {
	var all []int
	for n := 0; n <= 4*64+1; n++ {
		all = append(all, n)
	}
	return append(all, 1000, 4096, 4099)
}

// guardedFloats is floats that end where memory ends.
func guardedFloats(t testing.TB, f []float32) []float32 {
	g := view[float32](guarded(t, make([]byte, 4*len(f))))
	copy(g, f)
	return g
}

// sameFloats reports whether all bits are equal, but for the kind of a NaN and the sign of a zero.
func sameFloats(a, b []float32) bool {
	for i, x := range a {
		if x != b[i] && (x == x || b[i] == b[i]) {
			return false
		}
	}
	return len(a) == len(b)
}

// wildFloats are ordinary ones with the extremes among them.
func wildFloats(seed uint64, n int) []float32 {
	r := random(seed)
	f := randomFloats(r, n)
	extremes := []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1), math.MaxFloat32, -math.MaxFloat32,
		math.SmallestNonzeroFloat32, 1e10, -1e10}
	for i := range f {
		if r.IntN(8) == 0 {
			f[i] = float32(extremes[r.IntN(len(extremes))])
		}
	}
	return f
}

func TestVectorQuantize(t *testing.T) {
	forEachVector(t, func(t *testing.T, v Vector) {
		for i, n := range lengths() {
			lowest, highest := limits(i%2 == 0)
			zero := []int32{lowest, highest, 3}[i%3]
			if i%5 == 0 {
				lowest = zero
			}
			scale := []float32{0.0043, 1, 3e-39, 0, 1e30, float32(math.NaN())}[max(0, i%16-10)]
			src := guardedFloats(t, wildFloats(uint64(i), n))
			want, got := make([]byte, n), guarded(t, make([]byte, n))
			Quantize(want, src, scale, zero, lowest, highest)
			v.Quantize(got, src, scale, zero, lowest, highest)
			if !bytes.Equal(got, want) {
				t.Fatalf("%d elements, scale %v, zero point %d: %v, want %v", n, scale, zero, got, want)
			}
			back, wantBack := guardedFloats(t, make([]float32, n)), make([]float32, n)
			x := Int8Operand{i%2 == 0, zero, scale}
			Dequantize(wantBack, want, x)
			if v.Dequantize(back, got, x); !sameFloats(back, wantBack) {
				t.Fatalf("%d elements back: %v, want %v", n, back, wantBack)
			}
		}
	})
}

func TestVectorBinaryInt8(t *testing.T) {
	forEachVector(t, func(t *testing.T, v Vector) {
		for i, n := range lengths() {
			r := random(uint64(i))
			a, b := guarded(t, randomCodes(r, n)), guarded(t, randomCodes(r, n))
			x := Int8Operand{i%2 == 0, int32(r.IntN(256)), 0.1 * (1 + r.Float32())}
			y := Int8Operand{i%3 == 0, int32(r.IntN(256)), 0.01 * (1 + 10*r.Float32())}
			for _, o := range []*Int8Operand{&x, &y} {
				if o.Signed {
					o.ZeroPoint -= 128
				}
			}
			lowest, highest := limits(i%5 < 2)
			zero := lowest + int32(r.IntN(256))
			shape, err := NewBroadcast([]int{n}, []int{n}, []int{n})
			if err != nil {
				t.Fatal(err)
			}
			for op := Add; op <= Mul; op++ {
				k := NewBinaryInt8(op, shape, x, y, 0.09*(0.1+r.Float32()), zero, lowest, highest-int32(r.IntN(20)))
				want, got := make([]byte, n), guarded(t, make([]byte, n))
				k.Run(want, a, b, 0, k.Units())
				k.Vector = v
				if k.Run(got, a, b, 0, k.Units()); !bytes.Equal(got, want) {
					t.Fatalf("op %d, %d elements: %v, want %v", op, n, got, want)
				}
			}
		}
	})
}

// Operands that are repeated along lines, shorter and longer than vectors and blocks.
func TestVectorBroadcast(t *testing.T) {
	forEachVector(t, func(t *testing.T, v Vector) {
		for i, tc := range []struct{ out, a, b []int }{
			{[]int{5, 7, 24}, []int{5, 7, 24}, []int{24}},
			{[]int{3, 40, 9}, []int{3, 40, 9}, []int{3, 1, 9}},
			{[]int{3, 40, 9}, []int{3, 1, 9}, []int{3, 40, 9}},
			{[]int{60, 100}, []int{60, 100}, []int{60, 1}},
			{[]int{60, 100}, []int{1, 100}, []int{60, 1}},
			{[]int{9, 700}, []int{9, 700}, []int{700}},
			{[]int{9, 700}, []int{9, 1}, []int{9, 700}},
			{[]int{5000}, []int{5000}, []int{1}},
			{[]int{2, 3, 1, 300, 5}, []int{2, 1, 1, 300, 5}, []int{2, 3, 1, 300, 1}},
			{[]int{4, 511, 2}, []int{4, 511, 2}, []int{4, 1, 2}},
		} {
			shape, err := NewBroadcast(tc.out, tc.a, tc.b)
			if err != nil {
				t.Fatal(err)
			}
			r := random(uint64(i))
			a, b := randomCodes(r, count(tc.a)), randomCodes(r, count(tc.b))
			k := NewBinaryInt8(Add, shape, Int8Operand{false, 100, 0.1}, Int8Operand{true, 3, 0.2}, 0.3, 7, 0, 255)
			k.Vector = v
			got := inPieces(t, r, k.Units(), func() ([]byte, func(int, int)) {
				out := make([]byte, count(tc.out))
				return out, func(start, end int) { k.Run(out, a, b, start, end) }
			})
			for j, q := range got {
				p, s := int32(a[broadcastIndex(tc.out, tc.a, j)]), int32(int8(b[broadcastIndex(tc.out, tc.b, j)]))
				if want := numeric.AddCode(p, 100, numeric.Ratio(0.1, 0.3), s, 3, numeric.Ratio(0.2, 0.3), 7, 0, 255); q != byte(want) {
					t.Fatalf("%v: element %d is %d, want %d", tc, j, q, want)
				}
			}
			f := BinaryF32{Vector: v, Op: Sub, Shape: shape, Least: -10, Greatest: 10}
			x, y := randomFloats(r, count(tc.a)), randomFloats(r, count(tc.b))
			floats := inPieces(t, r, f.Units(), func() ([]float32, func(int, int)) {
				out := make([]float32, count(tc.out))
				return out, func(start, end int) { f.Run(out, x, y, start, end) }
			})
			for j, q := range floats {
				if want := x[broadcastIndex(tc.out, tc.a, j)] - y[broadcastIndex(tc.out, tc.b, j)]; q != want {
					t.Fatalf("%v: element %d is %v, want %v", tc, j, q, want)
				}
			}
		}
	})
}

func TestVectorFloats(t *testing.T) {
	inf := float32(math.Inf(1))
	forEachVector(t, func(t *testing.T, v Vector) {
		for i, n := range lengths() {
			a, b := guardedFloats(t, wildFloats(uint64(i), n)), guardedFloats(t, wildFloats(uint64(i)+9, n))
			shape, err := NewBroadcast([]int{n}, []int{n}, []int{n})
			if err != nil {
				t.Fatal(err)
			}
			for op := Add; op <= PRelu; op++ {
				k := BinaryF32{Op: op, Shape: shape, Least: -inf, Greatest: inf}
				if i%2 == 0 {
					k.Least, k.Greatest = -0.5, 0.75
				}
				want, got := make([]float32, n), guardedFloats(t, make([]float32, n))
				k.Run(want, a, b, 0, k.Units())
				k.Vector = v
				if k.Run(got, a, b, 0, k.Units()); !sameFloats(got, want) {
					t.Fatalf("op %d, %d elements: %v, want %v", op, n, got, want)
				}
			}
			k := UnaryF32{Op: Clip, Alpha: 0, Beta: 6}
			want, got := make([]float32, n), guardedFloats(t, make([]float32, n))
			k.Run(want, a)
			k.Vector = v
			if k.Run(got, a); !sameFloats(got, want) {
				t.Fatalf("clip, %d elements: %v, want %v", n, got, want)
			}
		}
	})
}

func TestVectorPools(t *testing.T) {
	windows := []struct{ kernel, stride, dilation, pad int }{
		{2, 2, 1, 0}, {3, 2, 1, 1}, {3, 1, 2, 2}, {7, 1, 1, 0}, {5, 1, 1, 4}, {1, 1, 1, 1},
	}
	counts := []int{128, 192, 256, 7 * 64, 8*64 + 5} // whole vectors, several at once
	for channels := 1; channels <= 4*64+1; channels += 1 + channels/9 {
		counts = append(counts, channels)
	}
	forEachVector(t, func(t *testing.T, v Vector) {
		for _, channels := range counts {
			for i, shape := range windows {
				c := newConvCase("", 1, 7, 8, channels, channels, channels, shape.kernel, shape.kernel, shape.stride, shape.stride,
					shape.dilation, shape.dilation, [4]int{shape.pad, shape.pad, shape.pad, shape.pad})
				w := AverageWindow{c.window, i%2 == 0, shape.pad, shape.pad}
				seed := uint64(channels*10 + i)
				codes := guarded(t, randomCodes(random(seed), 7*8*channels))
				floats := guardedFloats(t, wildFloats(seed, 7*8*channels))
				tame := guardedFloats(t, randomFloats(random(seed), 7*8*channels))
				t.Run(fmt.Sprintf("%d channels, %v", channels, shape), func(t *testing.T) {
					var all [2][4][]byte
					var allFloats [2][2][]float32
					for j, v := range []Vector{{}, v} {
						for k := range all[j] {
							all[j][k] = guarded(t, make([]byte, w.pixels()*channels))
						}
						for k := range allFloats[j] {
							allFloats[j][k] = guardedFloats(t, make([]float32, w.pixels()*channels))
						}
						for k, signed := range []bool{false, true} {
							lowest, highest := limits(signed)
							p := MaxPoolInt8{v, w.Window, signed}
							p.Run(all[j][k], codes, 0, p.Units(), AlignedScratch(p.Scratch()))
							a := AveragePoolInt8{Vector: v, Window: w, Input: Int8Operand{signed, lowest + 200, 0.1}, Scale: 0.07,
								ZeroPoint: 3, Lowest: lowest, Highest: highest}
							a.Run(all[j][2+k], codes, 0, a.Units(), AlignedScratch(a.Scratch()))
						}
						p := MaxPoolF32{v, w.Window}
						p.Run(allFloats[j][0], floats, 0, p.Units(), AlignedScratch(p.Scratch()))
						a := AveragePoolF32{v, w}
						a.Run(allFloats[j][1], tame, 0, a.Units(), AlignedScratch(a.Scratch()))
					}
					for k, name := range []string{"maximum of u8", "maximum of s8", "mean of u8", "mean of s8"} {
						if !bytes.Equal(all[1][k], all[0][k]) {
							t.Errorf("%s: %v, want %v", name, all[1][k], all[0][k])
						}
					}
					for k, name := range []string{"maximum", "mean"} {
						if !sameFloats(allFloats[1][k], allFloats[0][k]) {
							t.Errorf("%s of floats: %v, want %v", name, allFloats[1][k], allFloats[0][k])
						}
					}
				})
			}
		}
	})
}

func TestVectorLookup(t *testing.T) {
	forEachVector(t, func(t *testing.T, v Vector) {
		if !v.bytePermutations {
			t.Log("no permutations of bytes: plain Go")
		}
		table := [256]byte(randomCodes(random(1), 256))
		for i, n := range lengths() {
			src := guarded(t, randomCodes(random(uint64(i)), n))
			want, got := make([]byte, n), guarded(t, make([]byte, n))
			Lookup(want, src, &table)
			if v.Lookup(got, src, &table); !bytes.Equal(got, want) {
				t.Fatalf("%d codes: %v, want %v", n, got, want)
			}
		}
	})
}

// A mean of more codes than a 16-bit sum holds.
func TestVectorGlobalAverage(t *testing.T) {
	forEachVector(t, func(t *testing.T, v Vector) {
		const height, width, channels = 40, 31, 70
		w := AverageWindow{Window: Window{Batch: 2, InHeight: height, InWidth: width, Channels: channels, OutHeight: 1, OutWidth: 1,
			KernelHeight: height, KernelWidth: width, StrideHeight: 1, StrideWidth: 1, DilationHeight: 1, DilationWidth: 1,
			InStride: channels, OutStride: channels}}
		in := bytes.Repeat([]byte{255}, 2*height*width*channels)
		copy(in, randomCodes(random(1), len(in)/2))
		var out [2][2 * channels]byte
		for i, v := range []Vector{{}, v} {
			p := AveragePoolInt8{Vector: v, Window: w, Input: Int8Operand{ZeroPoint: 100, Scale: 0.1}, Scale: 0.07, ZeroPoint: 3, Highest: 255}
			p.Run(out[i][:], in, 0, p.Units(), AlignedScratch(p.Scratch()))
		}
		if out[0] != out[1] {
			t.Errorf("%v, want %v", out[1], out[0])
		}
	})
}

// Three planes become three channels, in pieces too.
func TestVectorInterleave(t *testing.T) {
	forEachVector(t, func(t *testing.T, v Vector) {
		for i, n := range lengths() {
			for _, element := range []int{1, 4} {
				const batch = 2
				k, err := NewTranspose(element, []int{batch, 3, n}, []int{0, 2, 1})
				if err != nil {
					t.Fatal(err)
				}
				in := guarded(t, randomCodes(random(uint64(i)), batch*3*n*element))
				want := make([]byte, len(in))
				k.Run(want, in, 0, k.Units())
				k.Vector = v
				got := inPieces(t, random(uint64(n)), k.Units(), func() ([]byte, func(int, int)) {
					out := guarded(t, make([]byte, len(in)))
					return out, func(start, end int) { k.Run(out, in, start, end) }
				})
				if !bytes.Equal(got, want) {
					t.Fatalf("%d elements of %d bytes: %v, want %v", n, element, got, want)
				}
			}
		}
	})
}

// Functions of one float are as near to their values as vector.unary says, wherever the elements are.
func TestVectorUnary(t *testing.T) {
	var src []float32
	for i := -4000; i <= 4000; i++ {
		src = append(src, float32(i)/300, float32(i)*float32(i)*float32(i)/1e9)
	}
	for _, x := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1), math.MaxFloat32, -math.MaxFloat32,
		math.SmallestNonzeroFloat32, 88.72, 88.73, -87.4, -103.9, -104.1, 1e-20, -1e-20} {
		src = append(src, float32(x))
	}
	forEachVector(t, func(t *testing.T, v Vector) {
		for op := range unaryCount {
			k := UnaryF32{Op: op, Alpha: 0.2, Beta: 0.5}
			want, got := make([]float32, len(src)), guardedFloats(t, make([]float32, len(src)))
			k.Run(want, src)
			k.Vector = v
			k.Run(got, guardedFloats(t, src))
			worst, at := 0.0, 0
			for i, w := range want {
				if w != w || got[i] != got[i] || math.IsInf(float64(w), 0) || math.IsInf(float64(got[i]), 0) {
					if got[i] != w && (w == w || got[i] == got[i]) {
						t.Errorf("op %d of %v is %v, want %v", op, src[i], got[i], w)
					}
					continue
				}
				if e := math.Abs(float64(got[i])-float64(w)) / (4e-7*math.Abs(float64(w)) + 1e-7); e > worst {
					worst, at = e, i
				}
			}
			t.Logf("op %d: %.2f of the tolerance", op, worst)
			if worst > 1 {
				t.Errorf("op %d of %v is %v, want %v", op, src[at], got[at], want[at])
			}
			for n := range 40 { // every place in a vector, in place
				part := append([]float32{}, src[100:100+n]...)
				k.Run(part, part)
				if !sameFloats(part, got[100:100+n]) {
					t.Fatalf("op %d of %d elements differs from that of many: %v, %v", op, n, part, got[100:100+n])
				}
			}
		}
	})
}

func TestVectorInstanceNorm(t *testing.T) {
	forEachVector(t, func(t *testing.T, v Vector) {
		for channels := 1; channels < 70; channels += 3 {
			r := random(uint64(channels))
			pixels := 19
			if channels == 16 {
				pixels = channelPixels + 5
			}
			in := guardedFloats(t, randomFloats(r, 2*pixels*channels))
			k := InstanceNormF32{Batch: 2, Pixels: pixels, Channels: channels, Scale: randomFloats(r, channels), Bias: randomFloats(r, channels), Epsilon: 1e-5}
			want := make([]float32, len(in))
			k.Run(want, in, 0, k.Units())
			k.Vector = v
			got := inPieces(t, r, k.Units(), func() ([]float32, func(int, int)) {
				out := guardedFloats(t, make([]float32, len(in)))
				return out, func(start, end int) { k.Run(out, in, start, end) }
			})
			if !sameFloats(got, want) {
				t.Fatalf("%d channels: %v, want %v", channels, got, want)
			}
		}
	})
}

func TestVectorLayerNorm(t *testing.T) {
	forEachVector(t, func(t *testing.T, v Vector) {
		for n := 1; n < 140; n++ {
			r := random(uint64(n))
			x, scale, bias := guardedFloats(t, randomFloats(r, 3*n)), guardedFloats(t, randomFloats(r, n)), guardedFloats(t, randomFloats(r, n))
			if n%3 == 0 {
				bias = nil
			}
			k := LayerNormF32{Rows: 3, Size: n, Scale: scale, Bias: bias, Epsilon: 1e-5}
			want, got := make([]float32, 3*n), guardedFloats(t, make([]float32, 3*n))
			k.Run(want, x, 0, 3)
			k.Vector = v
			k.Run(got, x, 0, 3)
			for i, w := range want {
				if math.Abs(float64(got[i])-float64(w)) > 1e-6 {
					t.Fatalf("%d elements: element %d is %v, want %v", n, i, got[i], w)
				}
			}
		}
	})
}

func TestVectorBilinear(t *testing.T) {
	forEachVector(t, func(t *testing.T, v Vector) {
		for channels := 1; channels < 70; channels++ {
			in := guardedFloats(t, randomFloats(random(uint64(channels)), 2*3*4*channels))
			k := NewBilinear(numeric.HalfPixel, 2, 3, 4, channels, 5, 7, 5.0/3, 7.0/4)
			want, got := make([]float32, 2*5*7*channels), guardedFloats(t, make([]float32, 2*5*7*channels))
			k.RunF32(want, in, 0, k.Units())
			k.Vector = v
			if k.RunF32(got, in, 0, k.Units()); !sameFloats(got, want) {
				t.Fatalf("%d channels: %v, want %v", channels, got, want)
			}
		}
	})
}

func TestVectorSoftmax(t *testing.T) {
	forEachVector(t, func(t *testing.T, v Vector) {
		for n := 1; n < 200; n++ {
			in := randomFloats(random(uint64(n)), 3*n)
			in[0] = float32(math.Inf(-1)) // masked
			for i := range in[n : 2*n] {
				in[n+i] *= 100
			}
			k := SoftmaxF32{Outer: 3, Size: n, Inner: 1}
			want, got := make([]float32, 3*n), guardedFloats(t, make([]float32, 3*n))
			k.Run(want, in, 0, k.Units())
			k.Vector = v
			k.Run(got, guardedFloats(t, in), 0, k.Units())
			for i, w := range want {
				if !near(float64(got[i]), float64(w), 1) && (w == w || got[i] == got[i]) {
					t.Fatalf("%d elements: element %d is %v, want %v", n, i, got[i], w)
				}
			}
		}
	})
}
