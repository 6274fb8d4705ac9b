package main

import (
	"fmt"
	"math"
)

const unaryRun = "unaryRun"

// lanes writes arithmetic on vectors of floats. Constants are in memory, a whole vector each.
type lanes struct {
	*file
	isa
	constants map[uint32]int // the bits of a constant, and its place
	order     []uint32
}

func (l *lanes) constant(v float64) string { return l.bits(math.Float32bits(float32(v))) }

func (l *lanes) bits(b uint32) string {
	i, ok := l.constants[b]
	if !ok {
		i = len(l.order)
		l.constants[b] = i
		l.order = append(l.order, b)
	}
	return fmt.Sprintf("unaryConstants<>+%d(SB)", 64*i)
}

// write puts the constants into memory.
func (l *lanes) write() {
	fmt.Fprintln(&l.text)
	for i, b := range l.order {
		for j := range 8 {
			fmt.Fprintf(&l.text, "DATA unaryConstants<>+%d(SB)/8, $%#x\n", 64*i+8*j, uint64(b)<<32|uint64(b))
		}
	}
	fmt.Fprintf(&l.text, "GLOBL unaryConstants<>(SB), RODATA|NOPTR, $%d\n", 64*len(l.order))
}

// The operands of do are in the order of formulas: destination, then a and b of a−b, a/b, min and max, which give b if
// either is NaN.
func (l *lanes) do(name string, to, a int, b string) { l.op(name, b, l.register(a), l.register(to)) }

func (l *lanes) r(i int) string { return l.register(i) }

// load sets a register to a constant.
func (l *lanes) load(to int, v float64) { l.op("VMOVUPS", l.constant(v), l.r(to)) }

func (l *lanes) and(to, a int, b string) {
	l.do(choose(l.vector.bytes == 64, "VPANDD", "VPAND"), to, a, b)
}

func (l *lanes) or(to, a int, b string) {
	l.do(choose(l.vector.bytes == 64, "VPORD", "VPOR"), to, a, b)
}

func (l *lanes) absolute(to, a int) { l.and(to, a, l.bits(0x7fffffff)) }

// negative is −|a|.
func (l *lanes) negative(to, a int) { l.or(to, a, l.bits(0x80000000)) }

// round rounds to the nearest integer, ties to even.
func (l *lanes) round(to, a int) {
	l.op(choose(l.vector.bytes == 64, "VRNDSCALEPS", "VROUNDPS"), "$0", l.r(a), l.r(to))
}

// polynomial is c[0] + c[1]·x + c[2]·x² …
func (l *lanes) polynomial(to, x int, c ...float64) {
	l.load(to, c[len(c)-1])
	for i := len(c) - 2; i >= 0; i-- {
		l.op("VFMADD213PS", l.constant(c[i]), l.r(x), l.r(to))
	}
}

// choose sets to to b where a mask from compare is set.
func (l *lanes) selected(to int, b int, mask int) {
	if l.vector.bytes == 64 {
		l.op("VMOVAPS", l.r(b), "K1", l.r(to))
		return
	}
	l.op("VBLENDVPS", l.r(mask), l.r(b), l.r(to), l.r(to))
}

// less makes the mask a < b, in a register or K1.
func (l *lanes) less(mask, a int, b string) {
	to := l.r(mask)
	if l.vector.bytes == 64 {
		to = "K1"
	}
	l.op("VCMPPS", "$1", b, l.r(a), to)
}

// reduce splits x into k·ln 2 + r with |r| ≤ ln 2/2, for x in the range in which e^x is neither 0 nor infinite. x
// becomes r.
func (l *lanes) reduce(x, k int) {
	l.load(k, 89)
	l.do("VMINPS", x, k, l.r(x)) // x is the second source, which is the result if it is NaN
	l.load(k, -104.5)
	l.do("VMAXPS", x, k, l.r(x))
	l.do("VMULPS", k, x, l.constant(math.Log2E))
	l.round(k, k)
	l.op("VFNMADD231PS", l.constant(0.693359375), l.r(k), l.r(x)) // the top bits of ln 2
	l.op("VFNMADD231PS", l.constant(math.Ln2-0.693359375), l.r(k), l.r(x))
}

// inverseFactorials are 1/n! from n on, up to 1/7!: the next term of e^r is below 1e-8 for |r| ≤ ln 2/2.
func inverseFactorials(n int) []float64 {
	var c []float64
	factorial := 1.0
	for i := 0; i <= 7; i++ {
		if i > 0 {
			factorial *= float64(i)
		}
		if i >= n {
			c = append(c, 1/factorial)
		}
	}
	return c
}

// exp replaces x by e^x. It uses the registers k and p and one more.
func (l *lanes) exp(x, k, p int) {
	l.reduce(x, k)
	l.polynomial(p, x, inverseFactorials(0)...)
	if l.vector.bytes == 64 {
		l.op("VSCALEFPS", l.r(k), l.r(p), l.r(x))
		return
	}
	// 2^k in two factors, neither of which overflows or is subnormal.
	l.op("VCVTPS2DQ", l.r(k), l.r(k))
	l.op("VPSRAD", "$1", l.r(k), l.r(p+1))
	l.op("VPSUBD", l.r(p+1), l.r(k), l.r(k))
	for _, half := range []int{p + 1, k} {
		l.op("VPADDD", l.bits(127), l.r(half), l.r(half))
		l.op("VPSLLD", "$23", l.r(half), l.r(half))
		l.op("VMULPS", l.r(half), l.r(p), l.r(p))
	}
	l.op("VMOVAPS", l.r(p), l.r(x))
}

// sigmoid replaces x by 1/(1+e^−x): with e = e^−|x| that is 1/(1+e), or e/(1+e) for negative x.
func (l *lanes) sigmoid(x, e int) {
	l.negative(e, x)
	l.exp(e, e+1, e+2)
	l.load(e+1, 1)
	l.do("VADDPS", e+2, e, l.r(e+1))
	l.op(l.xor, l.r(e+3), l.r(e+3), l.r(e+3))
	l.less(e+3, x, l.r(e+3))
	l.selected(e+1, e, e+3)
	l.do("VDIVPS", x, e+1, l.r(e+2))
}

// erfc sets to to erfc(a), a ≥ 0, given e = e^(−a²): e·t·h(t) with t = 1/(1+0.3275911·a). h is a polynomial in t scaled
// to [−1, 1], interpolated at the Chebyshev nodes of degree 9 for a ≤ 10; its relative error is 1.1e-8.
func (l *lanes) erfc(to, a, e, t, h int) {
	const p = 0.3275911
	const low, high = 1 / (1 + 10*p), 1.0
	l.load(h, 1)
	l.op("VMOVAPS", l.r(h), l.r(t))
	l.op("VFMADD231PS", l.constant(p), l.r(a), l.r(t))
	l.do("VDIVPS", t, h, l.r(t))
	l.do("VMULPS", e, e, l.r(t))
	l.do("VSUBPS", t, t, l.constant((low+high)/2))
	l.do("VMULPS", t, t, l.constant(2/(high-low)))
	l.polynomial(h, t, 0.43285250663757324, 0.309278666973114, 0.16864700615406036, 0.06834680587053299, 0.018884355202317238,
		0.00253337062895298, -0.0003559231117833406, -0.00019642524421215057, -9.866737400443526e-07, 1.0639442734827753e-05)
	l.do("VMULPS", to, e, l.r(h))
}

// functions of one float: register 0 is the argument and the result, 14 and 15 are the parameters alpha and beta.
var functions = []struct {
	name, meaning string
	write         func(l *lanes)
}{
	{"leakyRelu", "x if x ≥ 0, else alpha·x", func(l *lanes) {
		l.do("VMULPS", 1, 0, l.r(14))
		l.op(l.xor, l.r(2), l.r(2), l.r(2))
		l.less(2, 0, l.r(2))
		l.selected(0, 1, 2)
	}},
	{"hardSigmoid", "alpha·x + beta, limited to [0, 1]", func(l *lanes) {
		l.do("VMULPS", 0, 0, l.r(14))
		l.do("VADDPS", 0, 0, l.r(15))
		l.unit(0)
	}},
	{"hardSwish", "x times x/6 + 1/2 limited to [0, 1]", func(l *lanes) {
		l.do("VDIVPS", 1, 0, l.constant(6))
		l.do("VADDPS", 1, 1, l.constant(0.5))
		l.unit(1)
		l.do("VMULPS", 0, 0, l.r(1))
	}},
	{"sqrt", "the square root", func(l *lanes) { l.op("VSQRTPS", l.r(0), l.r(0)) }},
	{"reciprocal", "1/x", func(l *lanes) {
		l.load(1, 1)
		l.do("VDIVPS", 0, 1, l.r(0))
	}},
	{"quotient", "x/alpha", func(l *lanes) { l.do("VDIVPS", 0, 0, l.r(14)) }},
	{"exp", "e^x", func(l *lanes) { l.exp(0, 1, 2) }},
	{"expSum", "e^(x−alpha), whose sum by lanes is added to r.sum,", func(l *lanes) {
		l.do("VSUBPS", 0, 0, l.r(14))
		l.exp(0, 1, 2)
		l.op("VADDPS", field(unaryRun, "sum", "AX"), l.r(0), l.r(1))
		l.op("VMOVUPS", l.r(1), field(unaryRun, "sum", "AX"))
	}},
	{"maximum", "", func(l *lanes) { // the accumulator is the second source, which is the result if x is NaN
		l.do("VMAXPS", 0, 0, field(unaryRun, "sum", "AX"))
		l.op("VMOVUPS", l.r(0), field(unaryRun, "sum", "AX"))
	}},
	{"sigmoid", "1/(1+e^−x)", func(l *lanes) { l.sigmoid(0, 1) }},
	{"silu", "x/(1+e^−x)", func(l *lanes) {
		l.op("VMOVAPS", l.r(0), l.r(6))
		l.sigmoid(0, 1)
		l.do("VMULPS", 0, 0, l.r(6))
	}},
	{"geluTanh", "x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³))), which is x/(1+e^−2√(2/π)·(…)),", func(l *lanes) {
		l.op("VMOVAPS", l.r(0), l.r(6))
		l.do("VMULPS", 1, 0, l.r(0))
		l.do("VMULPS", 1, 1, l.constant(0.044715*2*math.Sqrt2/math.SqrtPi))
		l.do("VADDPS", 1, 1, l.constant(2*math.Sqrt2/math.SqrtPi))
		l.do("VMULPS", 0, 0, l.r(1))
		l.sigmoid(0, 1)
		l.do("VMULPS", 0, 0, l.r(6))
	}},
	{"tanh", "tanh x", func(l *lanes) {
		// Large: (1−e)/(1+e) with e = e^−2|x|. Small: x + x³·P(x²), from the Cephes library.
		l.negative(1, 0)
		l.do("VADDPS", 1, 1, l.r(1))
		l.exp(1, 2, 3)
		l.load(2, 1)
		l.do("VADDPS", 3, 2, l.r(1))
		l.do("VSUBPS", 1, 2, l.r(1))
		l.do("VDIVPS", 1, 1, l.r(3))
		l.sign(1, 0, 3)
		l.do("VMULPS", 2, 0, l.r(0))
		l.polynomial(3, 2, -3.33332819422e-1, 1.33314422036e-1, -5.37397155531e-2, 2.06390887954e-2, -5.70498872745e-3)
		l.do("VMULPS", 3, 3, l.r(2))
		l.op("VFMADD213PS", l.r(0), l.r(0), l.r(3))
		l.absolute(4, 0)
		l.op("VMOVAPS", l.r(1), l.r(0))
		l.less(4, 4, l.constant(0.625))
		l.selected(0, 3, 4)
	}},
	{"elu", "x if x ≥ 0, else alpha·(e^x − 1)", func(l *lanes) {
		// e^x − 1 = 2^k·(e^r − 1) + (2^k − 1): exact near 0, where k is 0.
		l.op("VMOVAPS", l.r(0), l.r(1))
		l.op(l.xor, l.r(2), l.r(2), l.r(2))
		l.do("VMINPS", 1, 2, l.r(1))
		l.load(2, -80)
		l.do("VMAXPS", 1, 2, l.r(1))
		l.reduce(1, 2)
		l.polynomial(3, 1, inverseFactorials(1)...)
		l.do("VMULPS", 3, 3, l.r(1))
		l.op("VCVTPS2DQ", l.r(2), l.r(2))
		l.op("VPADDD", l.bits(127), l.r(2), l.r(2))
		l.op("VPSLLD", "$23", l.r(2), l.r(2))
		l.do("VSUBPS", 4, 2, l.constant(1))
		l.op("VFMADD213PS", l.r(4), l.r(2), l.r(3))
		l.do("VMULPS", 3, 3, l.r(14))
		l.op(l.xor, l.r(2), l.r(2), l.r(2))
		l.less(2, 0, l.r(2))
		l.selected(0, 3, 2)
	}},
	{"gelu", "x/2·(1 + erf(x/√2)), which is x·erfc(|x|/√2)/2 for negative x and x minus that for others,", func(l *lanes) {
		l.absolute(1, 0)
		l.do("VMULPS", 1, 1, l.constant(1/math.Sqrt2))
		l.do("VMULPS", 2, 0, l.r(0))
		l.do("VMULPS", 2, 2, l.constant(-0.5))
		l.exp(2, 3, 4)
		l.erfc(2, 1, 2, 3, 4)
		l.do("VMULPS", 2, 2, l.constant(0.5))
		l.load(1, 1)
		l.do("VSUBPS", 1, 1, l.r(2))
		l.op(l.xor, l.r(3), l.r(3), l.r(3))
		l.less(3, 0, l.r(3))
		l.selected(1, 2, 3)
		l.do("VMULPS", 0, 0, l.r(1))
	}},
	{"erf", "erf x", func(l *lanes) {
		// Large: 1 − erfc|x|. Small: x·P(x²), interpolated at the Chebyshev nodes for |x| ≤ 1.
		l.absolute(1, 0)
		l.do("VMULPS", 2, 0, l.r(0))
		l.op("VMOVAPS", l.r(2), l.r(6))
		l.do("VMULPS", 2, 2, l.constant(-1))
		l.exp(2, 3, 4)
		l.erfc(2, 1, 2, 3, 4)
		l.load(3, 1)
		l.do("VSUBPS", 2, 3, l.r(2))
		l.sign(2, 0, 3)
		l.polynomial(3, 6, 1.128379225730896, -0.37612637877464294, 0.11283782124519348, -0.026865430176258087,
			0.005221031606197357, -0.0008484080317430198, 0.00011265958892181516, -9.667044650996104e-06)
		l.do("VMULPS", 3, 3, l.r(0))
		l.op("VMOVAPS", l.r(2), l.r(0))
		l.less(4, 1, l.constant(1))
		l.selected(0, 3, 4)
	}},
}

// unit limits x to [0, 1].
func (l *lanes) unit(x int) {
	l.op(l.xor, l.r(3), l.r(3), l.r(3))
	l.do("VMAXPS", x, 3, l.r(x))
	l.load(3, 1)
	l.do("VMINPS", x, 3, l.r(x))
}

// sign gives x, which is not negative, the sign of a.
func (l *lanes) sign(x, a, temporary int) {
	l.and(temporary, a, l.bits(0x80000000))
	l.or(x, x, l.r(temporary))
}

func unary(f *file) {
	l := &lanes{file: f, constants: map[uint32]int{}}
	for _, l.isa = range []isa{isaAVX512, isaAVX2} {
		for _, fn := range functions {
			name := fn.name + l.isa.name
			what := fn.meaning
			doc := fmt.Sprintf("%s is %s of %d elements a step.", name, what, l.vector.bytes/4)
			if what == "" {
				doc = fmt.Sprintf("%s keeps the maximum by lanes in r.sum, passing over NaN, of %d elements a step.", name, l.vector.bytes/4)
			}
			f.function(name, "(r *unaryRun)", doc, 0, 8)
			f.op("MOVQ", "r+0(FP)", "AX")
			f.op("MOVQ", field(unaryRun, "out", "AX"), "DI")
			f.op("MOVQ", field(unaryRun, "in", "AX"), "SI")
			f.op("MOVQ", field(unaryRun, "steps", "AX"), "CX")
			f.op("VBROADCASTSS", field(unaryRun, "alpha", "AX"), l.r(14))
			f.op("VBROADCASTSS", field(unaryRun, "beta", "AX"), l.r(15))
			again := f.newLabel("step")
			f.place(again)
			f.op("VMOVUPS", "(SI)", l.r(0))
			fn.write(l)
			if what != "" {
				f.op("VMOVUPS", l.r(0), "(DI)")
			}
			f.op("ADDQ", fmt.Sprintf("$%d", l.vector.bytes), "SI")
			f.op("ADDQ", fmt.Sprintf("$%d", l.vector.bytes), "DI")
			f.op("DECQ", "CX")
			f.op("JNE", again)
			f.op("VZEROUPPER")
			f.op("RET")
		}
	}
	l.write()
}
