package compile

import (
	"fmt"
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/kernel"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// convCase is a convolution of hard or ordinary shape.
type convCase struct {
	name          string
	spatial       []int
	kernel        []int
	in, out       int // channels
	groups        int
	strides, pads []int
	dilations     []int
	auto          op.AutoPad
	filter        op.FilterLayout
}

var convCases = []convCase{
	{name: "1x1", spatial: []int{7, 5}, kernel: []int{1, 1}, in: 16, out: 24},
	{name: "1x1 stride 2", spatial: []int{7, 5}, kernel: []int{1, 1}, in: 3, out: 5, strides: []int{2, 2}},
	{name: "3x3 same", spatial: []int{9, 11}, kernel: []int{3, 3}, in: 5, out: 17, pads: []int{1, 1, 1, 1}},
	{name: "3x3 stride 2 OHWI", spatial: []int{9, 10}, kernel: []int{3, 3}, in: 3, out: 8, pads: []int{0, 0, 1, 1}, strides: []int{2, 2}, filter: op.OHWI},
	{name: "SAME_UPPER HWIO", spatial: []int{9, 10}, kernel: []int{4, 3}, in: 3, out: 8, auto: op.SameUpper, strides: []int{2, 3}, filter: op.HWIO},
	{name: "SAME_LOWER", spatial: []int{6, 6}, kernel: []int{4, 2}, in: 3, out: 8, auto: op.SameLower},
	{name: "dilated", spatial: []int{12, 9}, kernel: []int{3, 2}, in: 4, out: 6, dilations: []int{2, 3}, pads: []int{2, 0, 1, 3}},
	{name: "grouped", spatial: []int{5, 6}, kernel: []int{3, 3}, in: 12, out: 20, groups: 4, pads: []int{1, 1, 1, 1}},
	{name: "depthwise", spatial: []int{10, 7}, kernel: []int{3, 3}, in: 19, out: 19, groups: 19, pads: []int{1, 1, 1, 1}, strides: []int{2, 1}},
	{name: "depthwise multiplier 1HWC", spatial: []int{5, 7}, kernel: []int{3, 3}, in: 5, out: 15, groups: 5, filter: op.OneHWC},
	{name: "1-D", spatial: []int{33}, kernel: []int{5}, in: 6, out: 9, pads: []int{2, 2}, strides: []int{2}},
	{name: "1-D depthwise", spatial: []int{12}, kernel: []int{3}, in: 6, out: 6, groups: 6, pads: []int{2, 0}},
	{name: "single pixel", spatial: []int{1, 1}, kernel: []int{3, 3}, in: 1, out: 1, pads: []int{1, 1, 1, 1}},
}

func (cc convCase) op(clamp *op.Clamp) *op.Conv {
	return &op.Conv{Strides: cc.strides, Pads: cc.pads, Dilations: cc.dilations, Group: cc.groups, AutoPad: cc.auto,
		Layout: op.NHWC, Filter: cc.filter, Clamp: clamp}
}

func (cc convCase) inputShape() []int { return append(append([]int{1}, cc.spatial...), cc.in) }

func (cc convCase) filterShape() []int {
	rank := len(cc.kernel) + 2
	shape := make([]int, rank)
	shape[cc.filter.Input(rank)] = cc.in / max(cc.groups, 1)
	shape[cc.filter.Output(rank)] = cc.out
	copy(shape[cc.filter.Spatial(rank):], cc.kernel)
	return shape
}

func TestConvFloat(t *testing.T) {
	for i, cc := range convCases {
		t.Run(cc.name, func(t *testing.T) {
			s := newSketch(t, uint64(i))
			x := s.input(tensor.Float32, nil, cc.inputShape()...)
			a := s.node(cc.op(nil), x, s.constant(s.floats(cc.filterShape()...), nil))
			b := s.node(cc.op(&op.Clamp{Min: 0, Max: 1}), x, s.constant(s.floats(cc.filterShape()...), nil), s.constant(s.floats(cc.out), nil))
			s.check(a, b)
		})
	}
}

// weights is random codes with one scale per output channel, or one for all.
func (s *sketch) weights(dtype tensor.DType, axis, channels int, perChannel bool, shape ...int) *graph.Value {
	q := graph.PerTensor(0.02, 0)
	if dtype == tensor.Uint8 {
		q.ZeroPoint[0] = 131
	}
	if perChannel {
		q = &graph.Quant{Axis: axis}
		for range channels {
			q.Scale = append(q.Scale, 0.001+0.02*s.random.Float32())
			q.ZeroPoint = append(q.ZeroPoint, 0)
		}
	}
	return s.constant(s.codes(dtype, shape...), q)
}

// bias is random int32 codes with the scale that an integer node's bias has.
func (s *sketch) bias(inputScale float32, weights *graph.Quant, channels int) *graph.Value {
	q := &graph.Quant{}
	for _, w := range weights.Scale {
		q.Scale, q.ZeroPoint = append(q.Scale, inputScale*w), append(q.ZeroPoint, 0)
	}
	codes := make([]int32, channels)
	for i := range codes {
		codes[i] = s.random.Int32N(20000) - 10000
	}
	return s.constant(tensor.Of(codes, channels), q)
}

// integerForms calls f for every combination of element types of activations, weights and results.
func integerForms(t *testing.T, f func(t *testing.T, in, weights, out tensor.DType, perChannel bool)) {
	for _, c := range []struct {
		in, weights, out tensor.DType
		perChannel       bool
	}{
		{tensor.Uint8, tensor.Int8, tensor.Uint8, true}, {tensor.Int8, tensor.Int8, tensor.Int8, true},
		{tensor.Uint8, tensor.Uint8, tensor.Uint8, false}, {tensor.Int8, tensor.Int8, tensor.Uint8, false},
	} {
		t.Run(fmt.Sprintf("%s times %s to %s, per channel %v", c.in, c.weights, c.out, c.perChannel), func(t *testing.T) {
			f(t, c.in, c.weights, c.out, c.perChannel)
		})
	}
}

func zeroPoint(d tensor.DType, z int32) int32 {
	if d == tensor.Int8 {
		return z - 128
	}
	return z
}

func TestConvOnCodes(t *testing.T) {
	for i, cc := range convCases {
		t.Run(cc.name, func(t *testing.T) {
			integerForms(t, func(t *testing.T, in, weights, out tensor.DType, perChannel bool) {
				s := newSketch(t, uint64(i))
				x := s.input(in, graph.PerTensor(0.05, zeroPoint(in, 120)), cc.inputShape()...)
				axis := cc.filter.Output(len(cc.kernel) + 2)
				w := s.weights(weights, axis, cc.out, perChannel, cc.filterShape()...)
				b := s.bias(0.05, w.Type.Quant, cc.out)
				coded := s.integer(cc.op(&op.Clamp{Min: 0, Max: 6}), out, 0.04, zeroPoint(out, 30), x, w, b)
				free := s.integer(cc.op(nil), out, 0.3, zeroPoint(out, 130), x, w)
				real := s.typed(graph.IntegerToFloat, cc.op(&op.Clamp{Min: 0, Max: 6}), graph.Type{DType: tensor.Float32}, x, w, b)
				s.check(coded, free, real)
			})
		})
	}
}

func TestConvOfFloatsByCodes(t *testing.T) {
	for i, cc := range convCases {
		t.Run(cc.name, func(t *testing.T) {
			s := newSketch(t, uint64(i))
			x := s.input(tensor.Float32, nil, cc.inputShape()...)
			w := s.weights(tensor.Int8, cc.filter.Output(len(cc.kernel)+2), cc.out, true, cc.filterShape()...)
			b := s.constant(s.floats(cc.out), nil)
			real := graph.Type{DType: tensor.Float32}
			s.check(s.typed(graph.WeightOnly, cc.op(nil), real, x, w, b),
				s.typed(graph.DynamicActivations, cc.op(nil), real, x, w, b),
				s.typed(graph.DynamicActivations, cc.op(&op.Clamp{Min: -1, Max: 1}), real, x, w))
		})
	}
}

// 3×3 convolutions with stride 1 of images whose size is known take Winograd's algorithm where the tier has it, and none
// does if direct sums are asked for.
func TestConvChoosesWinograd(t *testing.T) {
	tier, err := (&Options{}).tier()
	if err != nil {
		t.Fatal(err)
	}
	f := kernel.Filter{Height: 3, Width: 3, Inputs: 16, Outputs: 40, Groups: 1}
	has := kernel.For(tier).PackWinogradF32(kernel.F32Weights{Filter: f, Data: make([]float32, 9*16*40)}, 20, 21) != nil
	if !has {
		t.Logf("SKIP: tier %v has no kernel for it; direct sums are checked", tier)
	}
	same := convCase{spatial: []int{20, 21}, kernel: []int{3, 3}, in: 16, out: 40, pads: []int{1, 1, 1, 1}}
	strided, dilated, grouped, unknown, hwio := same, same, same, same, same
	strided.strides, dilated.dilations, grouped.groups, unknown.spatial = []int{1, 2}, []int{2, 1}, 2, []int{-1, 21}
	hwio.filter = op.HWIO
	for _, tc := range []struct {
		name string
		convCase
		direct, want bool
	}{
		{"same", same, false, has}, {"HWIO", hwio, false, has}, {"direct", same, true, false}, {"strided", strided, false, false},
		{"dilated", dilated, false, false}, {"grouped", grouped, false, false}, {"unknown height", unknown, false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSketch(t, 7)
			x := s.input(tensor.Float32, nil, tc.inputShape()...)
			y := s.node(tc.op(&op.Clamp{Min: 0, Max: 6}), x, s.constant(s.floats(tc.filterShape()...), nil), s.constant(s.floats(tc.out), nil))
			s.check(y)
			session, err := Compile(s.graph, Options{Threads: 1, Direct: tc.direct})
			if err != nil {
				t.Fatal(err)
			}
			defer session.Close()
			plan, err := session.Plan([]*tensor.Tensor{tensor.New(tensor.Float32, 2, 20, 21, 16)})
			if err != nil {
				t.Fatal(err)
			}
			if got := plan.Steps[0].Kernel == "conv_f32_winograd"; len(plan.Steps) != 1 || got != tc.want {
				t.Errorf("%d steps, the first by %s", len(plan.Steps), plan.Steps[0].Kernel)
			}
		})
	}
}
