package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/octet-nn/octet/internal/cpu"
)

// chainCases draws the shapes of convolutions that follow each other: 1×1, depthwise, 1×1 as in MobileNets, and any
// other windows with any strides, dilations and pads.
func chainCases(r *rand.Rand) []convCase {
	batch, h, w, channels := 1+r.IntN(2), 1+r.IntN(17), 1+r.IntN(12), 1+r.IntN(40)
	var cases []convCase
	for range 2 + r.IntN(maxChain-1) {
		kh, kw, sh, sw, dh, dw := 1, 1, 1, 1, 1, 1
		outputs, groups := 1+r.IntN(40), 1
		if kind := r.IntN(3); kind > 0 {
			kh, kw, sh, sw, dh, dw = 1+r.IntN(5), 1+r.IntN(5), 1+r.IntN(3), 1+r.IntN(2), 1+r.IntN(2), 1+r.IntN(2)
			if kind == 1 {
				outputs, groups = channels, channels
			}
		}
		tall, wide := (kh-1)*dh+1, (kw-1)*dw+1
		pads := [4]int{r.IntN(tall), r.IntN(wide), r.IntN(tall), r.IntN(wide)}
		if h+pads[0]+pads[2] < tall || w+pads[1]+pads[3] < wide {
			kh, kw, pads = 1, 1, [4]int{}
		}
		c := newConvCase("", batch, h, w, channels, outputs, groups, kh, kw, sh, sw, dh, dw, pads)
		cases = append(cases, c)
		h, w, channels = c.window.OutHeight, c.window.OutWidth, outputs
	}
	return cases
}

// checkChain compares a chain with its stages one after another, run in calls of any lengths, each of which goes on
// where the one before ended or somewhere else.
func checkChain[T byte | float32](t *testing.T, r *rand.Rand, in []T, stages []ChainStage[T]) {
	t.Helper()
	want := in
	for _, s := range stages {
		w := s.window()
		out := make([]T, w.pixels()*w.OutStride)
		s.runLines(out, want, *w, 0, AlignedScratch(s.linesScratch(*w)))
		want = out
	}
	for _, cache := range []int{0, 3000, 1 << 20} {
		c, ok := NewChain(cache, stages...)
		if !ok {
			t.Fatal("no chain")
		}
		got, scratch := make([]T, len(want)), AlignedScratch(c.Scratch())
		first := r.IntN(c.Units()) // a goroutine begins here, another does what is before
		for _, span := range [][2]int{{first, c.Units()}, {0, first}} {
			var state ChainState
			for start := span[0]; start < span[1]; {
				end := min(start+1+r.IntN(c.Units()), span[1])
				c.Run(got, in, start, end, scratch, &state)
				start = end
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("a chain of windows %+v, %d lines at a time, differs from the convolutions one by one", c.windows, c.lines)
		}
	}
}

func TestChainIsItsStages(t *testing.T) {
	forEachTier(t, func(t *testing.T, s Set) {
		for seed := range uint64(150) {
			r := random(seed)
			cases := chainCases(r)
			first := &cases[0].window
			n := first.Batch * first.InHeight * first.InWidth * first.InStride
			var floats []ChainStage[float32]
			var codes []ChainStage[byte]
			signed := r.IntN(2) == 0
			for i := range cases {
				c := &cases[i]
				count := c.filter.Outputs * c.filter.depth()
				real := F32Weights{Filter: c.filter, Data: randomFloats(r, count)}
				e := EpilogueF32{Bias: randomFloats(r, c.filter.Outputs), Least: -0.5, Greatest: float32(math.Inf(1))}
				style := newInt8Case(r, r.IntN(3), c.filter.Outputs, c.filter.depth())
				style.signed = signed
				lowest, _ := limits(signed)
				style.zero = lowest + int32(r.IntN(256))
				integer := Int8Weights{Filter: c.filter, Data: randomCodes(r, count), Signed: style.weightSigned, ZeroPoint: style.weightZero}
				isLight := c.filter.Groups > 1 && c.filter.Inputs == 1
				if w := c.window; isLight && w.DilationHeight == 1 && w.DilationWidth == 1 && r.IntN(2) == 0 { // sees some of the image
					floats = append(floats, &MaxPoolF32{s.Vector(), w})
					codes = append(codes, &MaxPoolInt8{s.Vector(), w, signed})
					continue
				}
				if isLight {
					floats = append(floats, &DepthwiseF32{s.PackDepthwiseF32(real), c.window, e})
					codes = append(codes, &DepthwiseInt8{s.PackDepthwiseInt8(integer), c.window, style.signed, style.zero, style.epilogue()})
				} else {
					floats = append(floats, &ConvF32{s.PackF32(real), c.window, e})
					codes = append(codes, &ConvInt8{s.PackInt8(integer), c.window, style.signed, style.zero, style.epilogue()})
				}
				signed = style.lowest < 0
			}
			checkChain(t, r, randomFloats(r, n), floats)
			checkChain(t, r, randomCodes(r, n), codes)
		}
	})
}

// A run allocates nothing.
func TestChainDoesNotAllocate(t *testing.T) {
	r, s := random(1), For(cpu.Available()[0])
	c := newConvCase("", 1, 12, 12, 32, 32, 1, 1, 1, 1, 1, 1, 1, [4]int{})
	d := newConvCase("", 1, 12, 12, 32, 32, 32, 3, 3, 1, 1, 1, 1, [4]int{1, 1, 1, 1})
	e := EpilogueF32{Least: negativeInfinity, Greatest: positiveInfinity}
	integer := Epilogue{Multiplier: []float32{0.01}, Lowest: 0, Highest: 255}
	real := func(c *convCase) F32Weights {
		return F32Weights{Filter: c.filter, Data: randomFloats(r, c.filter.Outputs*c.filter.depth())}
	}
	codes := func(c *convCase) Int8Weights {
		return Int8Weights{Filter: c.filter, Data: randomCodes(r, c.filter.Outputs*c.filter.depth()), Signed: true}
	}
	floats, ok := NewChain[float32](1<<14, &ConvF32{s.PackF32(real(&c)), c.window, e}, &DepthwiseF32{s.PackDepthwiseF32(real(&d)), d.window, e})
	bytes, ok2 := NewChain[byte](1<<12, &ConvInt8{s.PackInt8(codes(&c)), c.window, false, 3, integer}, &DepthwiseInt8{s.PackDepthwiseInt8(codes(&d)), d.window, false, 0, integer})
	if !ok || !ok2 {
		t.Fatal("no chain")
	}
	in, out := randomFloats(r, 12*12*32), make([]float32, 12*12*32)
	inCodes, outCodes := randomCodes(r, 12*12*32), make([]byte, 12*12*32)
	scratch := AlignedScratch(max(floats.Scratch(), bytes.Scratch()))
	var state ChainState
	if n := testing.AllocsPerRun(10, func() {
		state = ChainState{}
		floats.Run(out, in, 0, floats.Units(), scratch, &state)
		state = ChainState{}
		bytes.Run(outCodes, inCodes, 0, bytes.Units(), scratch, &state)
	}); n != 0 {
		t.Errorf("%v allocations a run", n)
	}
}
