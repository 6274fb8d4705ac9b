package kernel

import (
	"fmt"
	"testing"

	"github.com/octet-nn/octet/internal/cpu"
)

// The benchmarks report GMAC/s of every tier of this machine; no test depends on a time.

func BenchmarkGemm(b *testing.B) {
	r := random(1)
	for _, tier := range cpu.Available() {
		s := For(tier)
		for _, shape := range [][3]int{{196, 128, 256}, {1, 1024, 1000}, {3136, 32, 64}} {
			m, k, n := shape[0], shape[1], shape[2]
			name := fmt.Sprintf("%dx%dx%d/%v", m, k, n, tier)
			b.Run("int8/"+name, func(b *testing.B) {
				g := GemmInt8{Weights: s.PackInt8(Int8Weights{Filter: Matrix(k, n, true), Data: randomCodes(r, k*n), Signed: true}),
					Rows: m, InStride: k, OutStride: n, Epilogue: Epilogue{Multiplier: []float32{0.0002}, Highest: 255}}
				in, out, scratch := randomCodes(r, m*k), make([]byte, m*n), AlignedScratch(g.Scratch())
				for b.Loop() {
					g.Run(Destination{Codes: out}, in, 0, g.Units(), scratch)
				}
				reportMACs(b, m*k*n)
			})
			b.Run("f32/"+name, func(b *testing.B) {
				g := GemmF32{Weights: s.PackF32(F32Weights{Filter: Matrix(k, n, true), Data: randomFloats(r, k*n)}),
					Rows: m, InStride: k, OutStride: n, Epilogue: EpilogueF32{Greatest: 6}}
				in, out, scratch := randomFloats(r, m*k), make([]float32, m*n), AlignedScratch(g.Scratch())
				for b.Loop() {
					g.Run(out, in, 0, g.Units(), scratch)
				}
				reportMACs(b, m*k*n)
			})
		}
	}
}

func BenchmarkConv(b *testing.B) {
	r := random(1)
	for _, shape := range []convCase{
		newConvCase("3x3x64to64", 1, 28, 28, 64, 64, 1, 3, 3, 1, 1, 1, 1, [4]int{1, 1, 1, 1}),
		newConvCase("3x3x3to32", 1, 112, 112, 3, 32, 1, 3, 3, 2, 2, 1, 1, [4]int{0, 0, 1, 1}),
	} {
		w, f := shape.window, shape.filter
		inputs, outputs := w.Batch*w.InHeight*w.InWidth*w.Channels, w.pixels()*f.Outputs
		for _, tier := range cpu.Available() {
			s := For(tier)
			b.Run(fmt.Sprintf("int8/%s/%v", shape.name, tier), func(b *testing.B) {
				k := ConvInt8{s.PackInt8(Int8Weights{Filter: f, Data: randomCodes(r, f.Outputs*f.depth()), Signed: true}), w, false, 3,
					Epilogue{Multiplier: []float32{0.0002}, Highest: 255}}
				in, out, scratch := randomCodes(r, inputs), make([]byte, outputs), AlignedScratch(k.Scratch())
				for b.Loop() {
					k.Run(Destination{Codes: out}, in, 0, k.Units(), scratch)
				}
				reportMACs(b, outputs*f.depth())
			})
			b.Run(fmt.Sprintf("f32/%s/%v", shape.name, tier), func(b *testing.B) {
				k := ConvF32{s.PackF32(F32Weights{Filter: f, Data: randomFloats(r, f.Outputs*f.depth())}), w, EpilogueF32{Greatest: 6}}
				in, out, scratch := randomFloats(r, inputs), make([]float32, outputs), AlignedScratch(k.Scratch())
				for b.Loop() {
					k.Run(out, in, 0, k.Units(), scratch)
				}
				reportMACs(b, outputs*f.depth())
			})
		}
	}
}

func BenchmarkDepthwise(b *testing.B) {
	r := random(1)
	shape := newConvCase("", 1, 28, 28, 128, 128, 128, 3, 3, 1, 1, 1, 1, [4]int{1, 1, 1, 1})
	w, f := shape.window, shape.filter
	for _, tier := range cpu.Available() {
		s := For(tier)
		b.Run("int8/"+tier.String(), func(b *testing.B) {
			d := DepthwiseInt8{s.PackDepthwiseInt8(Int8Weights{Filter: f, Data: randomCodes(r, 9*128), Signed: true}), w, false, 3,
				Epilogue{Multiplier: []float32{0.002}, Highest: 255}}
			in, out, scratch := randomCodes(r, 28*28*128), make([]byte, 28*28*128), AlignedScratch(d.Scratch())
			for b.Loop() {
				d.Run(Destination{Codes: out}, in, 0, d.Units(), scratch)
			}
			reportMACs(b, 28*28*128*9)
		})
		b.Run("f32/"+tier.String(), func(b *testing.B) {
			d := DepthwiseF32{s.PackDepthwiseF32(F32Weights{Filter: f, Data: randomFloats(r, 9*128)}), w, EpilogueF32{Greatest: 6}}
			in, out, scratch := randomFloats(r, 28*28*128), make([]float32, 28*28*128), AlignedScratch(d.Scratch())
			for b.Loop() {
				d.Run(out, in, 0, d.Units(), scratch)
			}
			reportMACs(b, 28*28*128*9)
		})
	}
}

func reportMACs(b *testing.B, macs int) {
	b.ReportMetric(float64(macs)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GMAC/s")
}

// BenchmarkElements reports elements per nanosecond of kernels on elements, plain Go and vectors.
func BenchmarkElements(b *testing.B) {
	const n = 1 << 14
	r := random(1)
	codesA, codesB, codes := randomCodes(r, n), randomCodes(r, n), make([]byte, n)
	floatsA, floatsB, floats := randomFloats(r, n), randomFloats(r, n), make([]float32, n)
	table := [256]byte(codesA)
	shape, err := NewBroadcast([]int{n}, []int{n}, []int{n})
	if err != nil {
		b.Fatal(err)
	}
	operand := Int8Operand{ZeroPoint: 3, Scale: 0.1}
	for _, tier := range cpu.Available() {
		v := For(tier).Vector()
		add, mul := NewBinaryInt8(Add, shape, operand, operand, 0.2, 3, 0, 255), NewBinaryInt8(Mul, shape, operand, operand, 0.2, 3, 0, 255)
		add.Vector, mul.Vector = v, v
		sum := BinaryF32{Vector: v, Op: Add, Shape: shape, Greatest: 6}
		kernels := []struct {
			name string
			run  func()
		}{
			{"add codes", func() { add.Run(codes, codesA, codesB, 0, add.Units()) }},
			{"mul codes", func() { mul.Run(codes, codesA, codesB, 0, mul.Units()) }},
			{"quantize", func() { v.Quantize(codes, floatsA, 0.01, 3, 0, 255) }},
			{"dequantize", func() { v.Dequantize(floats, codesA, operand) }},
			{"lookup", func() { v.Lookup(codes, codesA, &table) }},
			{"add", func() { sum.Run(floats, floatsA, floatsB, 0, sum.Units()) }},
		}
		for _, op := range []struct {
			name string
			op   UnaryOp
		}{{"clip", Clip}, {"sigmoid", Sigmoid}, {"tanh", Tanh}, {"gelu", Gelu}, {"exp", Exp}, {"hard-swish", HardSwish}} {
			k := UnaryF32{Vector: v, Op: op.op, Beta: 6}
			kernels = append(kernels, struct {
				name string
				run  func()
			}{op.name, func() { k.Run(floats, floatsA) }})
		}
		for _, k := range kernels {
			b.Run(fmt.Sprintf("%s/%v", k.name, tier), func(b *testing.B) {
				for b.Loop() {
					k.run()
				}
				b.ReportMetric(float64(n)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "elements/ns")
			})
		}
	}
}
