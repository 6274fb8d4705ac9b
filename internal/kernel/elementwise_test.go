package kernel

import (
	"fmt"
	"math"
	"testing"

	"github.com/octet-nn/octet/internal/numeric"
)

// broadcastIndex is the element of a dense operand that meets element i of the dense output.
func broadcastIndex(out, operand []int, i int) int {
	index, step := 0, 1
	for d := len(out) - 1; d >= 0; d-- {
		c := i % out[d]
		i /= out[d]
		if o := d - (len(out) - len(operand)); o >= 0 {
			if operand[o] != 1 {
				index += c * step
			}
			step *= operand[o]
		}
	}
	return index
}

func count(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

var broadcastCases = []struct{ out, a, b []int }{
	{[]int{2, 3, 4, 5}, []int{2, 3, 4, 5}, []int{2, 3, 4, 5}},
	{[]int{2, 3, 4, 5}, []int{2, 3, 4, 5}, []int{}},
	{[]int{2, 3, 4, 5}, []int{1}, []int{2, 3, 4, 5}},
	{[]int{2, 3, 4, 5}, []int{2, 3, 4, 5}, []int{5}},
	{[]int{2, 3, 4, 5}, []int{2, 3, 4, 5}, []int{2, 1, 1, 5}},
	{[]int{2, 3, 4, 5}, []int{2, 3, 4, 5}, []int{3, 1, 1}},
	{[]int{2, 3, 4, 5}, []int{2, 1, 4, 1}, []int{1, 3, 1, 5}},
	{[]int{2, 3, 4, 5}, []int{2, 3, 4, 1}, []int{2, 3, 4, 5}},
	{[]int{1, 1, 1, 1, 2, 2, 2, 3}, []int{2, 1, 2, 1}, []int{2, 2, 3}},
	{[]int{10000}, []int{10000}, []int{10000}},
	{[]int{9000}, []int{1}, []int{9000}},
	{[]int{3, 5000}, []int{3, 1}, []int{5000}},
	{[]int{}, []int{}, []int{}},
	{[]int{2, 0, 3}, []int{2, 0, 3}, []int{3}},
}

func TestNewBroadcastRefuses(t *testing.T) {
	for _, tc := range []struct{ out, a, b []int }{
		{[]int{2, 3}, []int{2}, []int{3}},
		{[]int{3}, []int{2, 3}, []int{3}},
		{make([]int, 9), nil, nil},
	} {
		if _, err := NewBroadcast(tc.out, tc.a, tc.b); err == nil {
			t.Errorf("%v and %v to %v was accepted", tc.a, tc.b, tc.out)
		}
	}
}

func TestBinaryF32(t *testing.T) {
	inf := float32(math.Inf(1))
	ops := []func(a, b float64) float64{
		Add: func(a, b float64) float64 { return a + b },
		Sub: func(a, b float64) float64 { return a - b },
		Mul: func(a, b float64) float64 { return a * b },
		Div: func(a, b float64) float64 { return a / b },
		Max: math.Max,
		Min: math.Min,
		Pow: math.Pow,
		PRelu: func(a, b float64) float64 {
			if a < 0 {
				return a * b
			}
			return a
		},
	}
	for op, f := range ops {
		for _, tc := range broadcastCases {
			t.Run(fmt.Sprint(op, tc), func(t *testing.T) {
				r := random(uint64(op))
				shape, err := NewBroadcast(tc.out, tc.a, tc.b)
				if err != nil {
					t.Fatal(err)
				}
				a, b := randomFloats(r, count(tc.a)), randomFloats(r, count(tc.b))
				for _, limits := range [][2]float32{{-inf, inf}, {0, 0.5}} {
					k := BinaryF32{Op: BinaryOp(op), Shape: shape, Least: limits[0], Greatest: limits[1]}
					out := inPieces(t, r, k.Units(), func() ([]float32, func(int, int)) {
						out := make([]float32, count(tc.out))
						return out, func(start, end int) { k.Run(out, a, b, start, end) }
					})
					for i, got := range out {
						want := float32(f(float64(a[broadcastIndex(tc.out, tc.a, i)]), float64(b[broadcastIndex(tc.out, tc.b, i)])))
						if want = limit(want, limits[0], limits[1]); got != want && !(got != got && want != want) {
							t.Fatalf("element %d is %v, want %v", i, got, want)
						}
					}
				}
			})
		}
	}
}

func TestBinaryInt8(t *testing.T) {
	for style := range 4 {
		x := Int8Operand{style&1 != 0, 3, 0.1}
		y := Int8Operand{style&2 != 0, -128, 0.07}
		if !y.Signed {
			y.ZeroPoint = 255
		}
		for op := Add; op <= Mul; op++ {
			for _, tc := range broadcastCases {
				t.Run(fmt.Sprint(style, op, tc), func(t *testing.T) {
					r := random(uint64(style))
					shape, err := NewBroadcast(tc.out, tc.a, tc.b)
					if err != nil {
						t.Fatal(err)
					}
					a, b := randomCodes(r, count(tc.a)), randomCodes(r, count(tc.b))
					lowest, highest := limits(style&1 == 0)
					k := NewBinaryInt8(op, shape, x, y, 0.11, 7, lowest, highest-20)
					out := inPieces(t, r, k.Units(), func() ([]byte, func(int, int)) {
						out := make([]byte, count(tc.out))
						return out, func(start, end int) { k.Run(out, a, b, start, end) }
					})
					for i, got := range out {
						p, q := code(a[broadcastIndex(tc.out, tc.a, i)], x.Signed), code(b[broadcastIndex(tc.out, tc.b, i)], y.Signed)
						var want int32
						switch op {
						case Add:
							want = numeric.AddCode(p, x.ZeroPoint, numeric.Ratio(x.Scale, 0.11), q, y.ZeroPoint, numeric.Ratio(y.Scale, 0.11), 7, lowest, highest-20)
						case Sub:
							want = numeric.SubCode(p, x.ZeroPoint, numeric.Ratio(x.Scale, 0.11), q, y.ZeroPoint, numeric.Ratio(y.Scale, 0.11), 7, lowest, highest-20)
						case Mul:
							want = numeric.MulCode(p, x.ZeroPoint, q, y.ZeroPoint, numeric.MulMultiplier(x.Scale, y.Scale, 0.11), 7, lowest, highest-20)
						}
						if got != byte(want) {
							t.Fatalf("element %d is %d, want %d", i, got, byte(want))
						}
					}
				})
			}
		}
	}
}

// Scales so different that the quotient is beyond what the fast rounding takes, and an output scale of 0.
func TestBinaryInt8ExtremeScales(t *testing.T) {
	a, b := []byte{0, 128, 255, 130}, []byte{127, 128, 0, 255}
	shape, err := NewBroadcast([]int{4}, []int{4}, []int{4})
	if err != nil {
		t.Fatal(err)
	}
	x := Int8Operand{ZeroPoint: 128, Scale: 1e20}
	for _, scale := range []float32{1e-20, 0} {
		ratio := numeric.Ratio(x.Scale, scale)
		for op, f := range []func(p, q int32) int32{
			Add: func(p, q int32) int32 { return numeric.AddCode(p, 128, ratio, q, 128, ratio, 5, 0, 255) },
			Sub: func(p, q int32) int32 { return numeric.SubCode(p, 128, ratio, q, 128, ratio, 5, 0, 255) },
			Mul: func(p, q int32) int32 {
				return numeric.MulCode(p, 128, q, 128, numeric.MulMultiplier(x.Scale, x.Scale, scale), 5, 0, 255)
			},
		} {
			out := make([]byte, 4)
			NewBinaryInt8(BinaryOp(op), shape, x, x, scale, 5, 0, 255).Run(out, a, b, 0, 1)
			for i, got := range out {
				if want := f(int32(a[i]), int32(b[i])); got != byte(want) {
					t.Errorf("op %d, scale %v: element %d is %d, want %d", op, scale, i, got, want)
				}
			}
		}
	}
}

// Strides that no dense operand has: a transposed one against a row taken every third element.
func TestStridedBroadcast(t *testing.T) {
	a, b := []float32{0, 1, 2, 3, 4, 5}, []float32{10, 0, 0, 20, 0, 0, 30}
	k := BinaryF32{Op: Add, Shape: NewStridedBroadcast([]int{2, 3}, []int{1, 2}, []int{0, 3}), Least: -100, Greatest: 100}
	out := make([]float32, 6)
	k.Run(out, a, b, 0, k.Units())
	if want := [6]float32{10, 22, 34, 11, 23, 35}; [6]float32(out) != want {
		t.Errorf("%v, want %v", out, want)
	}
}

func TestUnaryF32(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	const alpha, beta = float32(0.2), float32(0.5)
	clip := func(x, lo, hi float64) float64 { return math.Max(lo, math.Min(hi, x)) }
	sigmoid := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	softplus := func(x float64) float64 { return math.Max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }
	negative := func(x, y float64) float64 {
		if x < 0 {
			return y
		}
		return x
	}
	want := [unaryCount]func(x float64) float64{
		Clip:        func(x float64) float64 { return clip(x, float64(alpha), float64(beta)) },
		LeakyRelu:   func(x float64) float64 { return negative(x, float64(alpha)*x) },
		Elu:         func(x float64) float64 { return negative(x, float64(alpha)*math.Expm1(x)) },
		HardSigmoid: func(x float64) float64 { return clip(float64(alpha)*x+float64(beta), 0, 1) },
		HardSwish:   func(x float64) float64 { return x * clip(x/6+0.5, 0, 1) },
		Sigmoid:     sigmoid,
		Tanh:        math.Tanh,
		Silu:        func(x float64) float64 { return x * sigmoid(x) },
		Gelu:        func(x float64) float64 { return x / 2 * (1 + math.Erf(x/math.Sqrt2)) },
		GeluTanh:    func(x float64) float64 { return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x))) },
		Mish:        func(x float64) float64 { return x * math.Tanh(softplus(x)) },
		Softplus:    softplus,
		Erf:         math.Erf, Exp: math.Exp, Log: math.Log, Sqrt: math.Sqrt,
		Reciprocal: func(x float64) float64 { return 1 / x },
		Neg:        func(x float64) float64 { return -x },
		Abs:        math.Abs,
		Square:     func(x float64) float64 { return x * x },
		Floor:      math.Floor, Ceil: math.Ceil, Round: math.RoundToEven,
		Sign: func(x float64) float64 {
			if x == 0 || x != x {
				return x
			}
			return math.Copysign(1, x)
		},
	}
	var src []float32
	for i := -400; i <= 400; i++ {
		src = append(src, float32(i)/25)
	}
	for op := range unaryCount {
		dst := make([]float32, len(src))
		k := UnaryF32{Op: op, Alpha: alpha, Beta: beta}
		k.Run(dst, src)
		for i, got := range dst {
			w := want[op](float64(src[i]))
			if math.Abs(float64(got)-w) > 4e-7*math.Abs(w)+1e-7 || (got != got) != (w != w) {
				t.Errorf("op %d of %v is %v, want %v", op, src[i], got, w)
				break
			}
		}
		special := []float32{float32(nan)}
		if k.Run(special, special); special[0] == special[0] {
			t.Errorf("op %d of NaN is %v", op, special[0])
		}
	}
	relu := UnaryF32{Op: Clip, Alpha: 0, Beta: float32(inf)}
	x := []float32{-1, 0, 2, float32(inf)}
	if relu.Run(x, x); x[0] != 0 || x[1] != 0 || x[2] != 2 || x[3] != float32(inf) {
		t.Errorf("Relu: %v", x)
	}
	if Map(x[2:3], x[2:3], math.Sqrt); x[2] != math.Sqrt2 {
		t.Errorf("Map: %v", x[2])
	}
}

func TestQuantize(t *testing.T) {
	r := random(1)
	src := randomFloats(r, 1000)
	src = append(src, float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), 0, 1e30, -1e30)
	for _, signed := range []bool{false, true} {
		lowest, highest := limits(signed)
		for _, zero := range []int32{lowest, highest, 5} {
			const scale = float32(0.0043)
			codes := make([]byte, len(src))
			Quantize(codes, src, scale, zero, lowest, highest)
			back := make([]float32, len(src))
			Dequantize(back, codes, Int8Operand{signed, zero, scale})
			for i, x := range src {
				q := numeric.Quantize(x, scale, zero, lowest, highest)
				if codes[i] != byte(q) || back[i] != numeric.Dequantize(q, zero, scale) {
					t.Fatalf("%v: code %d and back %v, want %d", x, code(codes[i], signed), back[i], q)
				}
			}
		}
	}
	if lo, hi := Extremes(src[:1001]); lo > -0.9 || lo < -1 || hi < 0.9 || hi > 1 {
		t.Errorf("extremes %v, %v", lo, hi)
	}
}

func TestPerAxis(t *testing.T) {
	p := PerAxis{Outer: 2, Channels: 3, Inner: 4, Scale: []float32{0.1, 0.2, 0.3}, ZeroPoint: []int32{1, -2, 3}}
	r := random(2)
	src := randomFloats(r, 24)
	codes := inPieces(t, r, p.Units(), func() ([]byte, func(int, int)) {
		out := make([]byte, 24)
		return out, func(start, end int) { p.Quantize(out, src, -128, 127, start, end) }
	})
	back := make([]float32, 24)
	p.Dequantize(back, codes, true, 0, p.Units())
	sums, reals := make([]int32, 24), make([]float32, 24)
	for i, x := range src {
		c := i / 4 % 3
		q := numeric.Quantize(x, p.Scale[c], p.ZeroPoint[c], -128, 127)
		if codes[i] != byte(q) || back[i] != numeric.Dequantize(q, p.ZeroPoint[c], p.Scale[c]) {
			t.Fatalf("element %d: %d and back %v, want %d", i, int8(codes[i]), back[i], q)
		}
		sums[i] = q * 1000
	}
	p.DequantizeSums(reals, sums, 0, p.Units())
	for i, got := range reals {
		if c := i / 4 % 3; got != numeric.Dequantize(sums[i], p.ZeroPoint[c], p.Scale[c]) {
			t.Fatalf("sum %d is %v", i, got)
		}
	}
}

func TestRequantizeTable(t *testing.T) {
	var table [256]byte
	x := Int8Operand{false, 130, 0.3}
	FillRequantizeTable(&table, x, 0.3, 2, -128, 127)
	codes := make([]byte, 256)
	for i := range codes {
		codes[i] = byte(i)
	}
	flipped, looked := make([]byte, 256), make([]byte, 256)
	Flip(flipped, codes)
	if Lookup(looked, codes, &table); string(flipped) != string(looked) {
		t.Error("a change of signedness is not a flip")
	}
	FillRequantizeTable(&table, x, 0.4, -5, -128, 127)
	for i, got := range table {
		if want := numeric.RequantizeCode(int32(i), 130, 0.3, -5, 0.4, -128, 127); int32(int8(got)) != want {
			t.Fatalf("code %d became %d, want %d", i, int8(got), want)
		}
	}
}

func TestLookupChannels(t *testing.T) {
	r := random(7)
	tables := make([][256]byte, 3)
	for c := range tables {
		copy(tables[c][:], randomCodes(r, 256))
	}
	src := randomCodes(r, 3*7)
	dst := make([]byte, len(src))
	LookupChannels(dst, src, tables)
	for i, got := range dst {
		if want := tables[i%3][src[i]]; got != want {
			t.Fatalf("element %d is %d, want %d", i, got, want)
		}
	}
	LookupChannels(nil, nil, nil)
}
