package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/octet-nn/octet/internal/numeric"
	"pgregory.net/rapid"
)

// residualCase is a sum of a product's codes and others, in a row of the arithmetics.
type residualCase struct {
	row              numeric.Arithmetic
	own, other       numeric.Codes
	signed           bool // the other operand
	y                numeric.Codes
	second, subtract bool
}

// newResidualCase draws one for a product with such codes.
func newResidualCase(r *rand.Rand, row numeric.Arithmetic, product *int8Case) residualCase {
	codes := func(signed bool) numeric.Codes {
		lowest, highest := limits(signed)
		return numeric.Codes{Scale: 0.01 + r.Float32()/50, ZeroPoint: lowest + int32(r.IntN(256)), Lowest: lowest, Highest: highest}
	}
	c := residualCase{row: row, signed: r.IntN(2) == 0, second: r.IntN(2) == 0, subtract: r.IntN(4) == 0}
	c.own, c.other, c.y = codes(product.lowest < 0), codes(c.signed), codes(r.IntN(2) == 0)
	c.own.ZeroPoint, c.own.Lowest, c.own.Highest = product.outZero, product.lowest, product.highest
	switch r.IntN(3) {
	case 0:
		c.y.Lowest = c.y.ZeroPoint // a fused Relu
	case 1:
		c.y.Scale = 1e-3 // most sums are beyond the limits
	}
	return c
}

// sum is the case's sum, as kernels compute it and, code by code, as it is defined.
func (c *residualCase) sum(v Vector) (by CodeSum, code func(own, other int32) int32) {
	a, b, signedA, signedB := c.own, c.other, c.own.Lowest < 0, c.signed
	if c.second {
		a, b, signedA, signedB = b, a, signedB, signedA
	}
	sum := c.row.Sum(c.subtract, a, b, c.y)
	code = sum.Code
	if c.second {
		code = func(own, other int32) int32 { return sum.Code(other, own) }
	}
	if c.row != numeric.ONNX {
		return NewSumInt8(Broadcast{}, sum, signedA, signedB, v), code
	}
	op := Add
	if c.subtract {
		op = Sub
	}
	k := NewBinaryInt8(op, Broadcast{}, Int8Operand{signedA, a.ZeroPoint, a.Scale}, Int8Operand{signedB, b.ZeroPoint, b.Scale},
		c.y.Scale, c.y.ZeroPoint, c.y.Lowest, c.y.Highest)
	k.Vector = v
	return k, code
}

// check compares a product with a residual with the product, then the sum. run computes pieces with an epilogue.
func (c *residualCase) check(t *testing.T, r *rand.Rand, v Vector, e Epilogue, pixels, stride, columns, units int,
	run func(out Destination, e Epilogue, start, end int)) {
	t.Helper()
	n := extent(pixels, stride, columns)
	product := make([]byte, n)
	run(Destination{Codes: product}, e, 0, units)
	by, code := c.sum(v)
	for _, apart := range []int{-1, 0, 3} { // elements between rows of the residual, more than in the output; −1 is in place
		residual := guarded(t, randomCodes(r, extent(pixels, stride+max(apart, 0), columns)))
		got := inPieces(t, r, units, func() ([]byte, func(start, end int)) {
			e, out, operand := e, make([]byte, n), residual
			if apart < 0 {
				copy(out, residual)
				operand = out
			}
			e.Residual = &Residual{Sum: by, Second: c.second, Operand: operand, Stride: stride + max(apart, 0)}
			return out, func(start, end int) { run(Destination{Codes: out}, e, start, end) }
		})
		for i := range got {
			row, column := i/stride, i%stride
			if column >= columns {
				if apart >= 0 && got[i] != 0 || apart < 0 && got[i] != residual[i] {
					t.Fatalf("wrote between the pixels, at %d", i)
				}
				continue
			}
			u, v := product[i], residual[row*(stride+max(apart, 0))+column]
			if want := byte(code(code8(u, c.own.Lowest < 0), code8(v, c.signed))); got[i] != want {
				t.Fatalf("%+v: element %d of row %d, code %d and residual %d, is %d, want %d", *c, column, row, u, v, got[i], want)
			}
		}
	}
}

// code8 is the number that a stored byte stands for.
func code8(b byte, signed bool) int32 {
	o := Int8Operand{Signed: signed}
	return o.code(b)
}

// residualEpilogue is a product's epilogue in a row of the arithmetics.
func residualEpilogue(c *int8Case, row numeric.Arithmetic, outputs int) Epilogue {
	e := c.epilogue()
	if row != numeric.ONNX {
		e.Requantizer = fixedRequantizers(row, outputs, c.multiplier[0], 0.9)
		e.Fixed = NewFixedPoint(e.Requantizer, outputs)
		e.Multiplier = nil
	}
	return e
}

// A convolution with a residual is the convolution, then the sum, in every row of the arithmetics.
func TestConvInt8WithResidual(t *testing.T) {
	forEachTier(t, func(t *testing.T, s Set) {
		for _, shape := range convCases() {
			for style := range 3 {
				for i, row := range numeric.Arithmetics() {
					t.Run(fmt.Sprintf("%s/%d/%v", shape.name, style, row), func(t *testing.T) {
						r := random(uint64(100*style + i))
						w, f := &shape.window, &shape.filter
						product := newInt8Case(r, style, f.Outputs, f.depth())
						in := randomCodes(r, extent(w.Batch*w.InHeight*w.InWidth, w.InStride, w.Channels))
						weights := s.PackInt8(Int8Weights{*f, randomCodes(r, f.Outputs*f.depth()), product.weightSigned, product.weightZero})
						e := residualEpilogue(&product, row, f.Outputs)
						k := ConvInt8{weights, *w, product.signed, product.zero, e}
						c := newResidualCase(r, row, &product)
						c.check(t, r, s.Vector(), e, w.pixels(), w.OutStride, f.Outputs, k.Units(), func(out Destination, e Epilogue, start, end int) {
							k := k
							k.Epilogue = e
							k.Run(out, in, start, end, AlignedScratch(k.Scratch()))
						})
					})
				}
			}
		}
	})
}

// The same of matrix products of any shape, around the sizes of tiles and panels.
func TestGemmInt8WithResidual(t *testing.T) {
	forEachTier(t, func(t *testing.T, s Set) {
		rapid.Check(t, func(d *rapid.T) {
			rows, depth, columns := rapid.IntRange(1, 40).Draw(d, "rows"), rapid.IntRange(1, 70).Draw(d, "depth"), rapid.IntRange(1, 100).Draw(d, "columns")
			style, row := rapid.IntRange(0, 2).Draw(d, "style"), rapid.SampledFrom(numeric.Arithmetics()).Draw(d, "row")
			r := random(rapid.Uint64().Draw(d, "seed"))
			product := newInt8Case(r, style, columns, depth)
			in := randomCodes(r, rows*depth)
			weights := s.PackInt8(Int8Weights{Matrix(depth, columns, true), randomCodes(r, columns*depth), product.weightSigned, product.weightZero})
			e := residualEpilogue(&product, row, columns)
			k := GemmInt8{weights, rows, depth, columns, product.signed, product.zero, e}
			units := GemmInt8{weights, rows, depth, columns, product.signed, product.zero, e}
			units.Epilogue.Residual = &Residual{}
			c := newResidualCase(r, row, &product)
			c.check(t, r, s.Vector(), e, rows, columns, columns, units.Units(), func(out Destination, e Epilogue, start, end int) {
				k := k
				k.Epilogue = e
				k.Run(out, in, start, end, AlignedScratch(k.Scratch()))
			})
		})
	})
}

// A product of floats with a residual is the product, then the sum, to the bit.
func TestGemmF32WithResidual(t *testing.T) {
	forEachTier(t, func(t *testing.T, s Set) {
		rapid.Check(t, func(d *rapid.T) {
			rows, depth, columns := rapid.IntRange(1, 60).Draw(d, "rows"), rapid.IntRange(1, 70).Draw(d, "depth"), rapid.IntRange(1, 100).Draw(d, "columns")
			r := random(rapid.Uint64().Draw(d, "seed"))
			in := randomFloats(r, rows*depth)
			limits := func() (least, greatest float32) {
				if r.IntN(2) == 0 {
					return 0, 6
				}
				return negativeInfinity, positiveInfinity
			}
			e := EpilogueF32{Bias: randomFloats(r, columns)}
			e.Least, e.Greatest = limits()
			k := GemmF32{s.PackF32(F32Weights{Matrix(depth, columns, true), randomFloats(r, columns*depth)}), rows, depth, columns, e}
			product := make([]float32, rows*columns)
			k.Run(product, in, 0, k.Units(), AlignedScratch(k.Scratch()))
			sum := ResidualF32{Vector: s.Vector(), Stride: columns}
			sum.Least, sum.Greatest = limits()
			for _, apart := range []int{-1, 0, 3} { // as for codes
				sum := sum
				sum.Stride += max(apart, 0)
				residual := randomFloats(r, extent(rows, sum.Stride, columns))
				k := k
				k.Epilogue.Residual = &sum
				got := inPieces(t, r, k.Units(), func() ([]float32, func(start, end int)) {
					k, sum, out := k, sum, make([]float32, rows*columns)
					sum.Operand = residual
					if apart < 0 {
						copy(out, residual)
						sum.Operand = out
					}
					k.Epilogue.Residual = &sum
					return out, func(start, end int) { k.Run(out, in, start, end, AlignedScratch(k.Scratch())) }
				})
				for i := range got {
					want := min(max(product[i]+residual[i/columns*sum.Stride+i%columns], sum.Least), sum.Greatest)
					if got[i] != want {
						t.Fatalf("element %d of row %d is %v, want %v", i%columns, i/columns, got[i], want)
					}
				}
			}
		})
	})
}
