package quantize

import (
	"context"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/octet-nn/octet/internal/calibrate"
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/interp"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// network builds small graphs.
type network struct {
	g *graph.Graph
	r *rand.Rand
	n int
}

func newNetwork() *network {
	x := &graph.Value{Name: "x", Type: graph.Type{DType: tensor.Float32, Shape: graph.FixedShape(1, 3, 12, 12)}}
	return &network{g: &graph.Graph{Inputs: []*graph.Value{x}}, r: rand.New(rand.NewPCG(3, 4))}
}

func (b *network) input() *graph.Value { return b.g.Inputs[0] }

func (b *network) weights(scale float32, shape ...int) *graph.Value {
	t := tensor.New(tensor.Float32, shape...)
	for i := range tensor.Values[float32](t) {
		tensor.Values[float32](t)[i] = scale * float32(b.r.NormFloat64())
	}
	b.n++
	return &graph.Value{Name: "w" + string(rune('a'+b.n)), Type: graph.TypeOf(t), Const: t}
}

func (b *network) node(name string, o graph.Operator, in ...*graph.Value) *graph.Value {
	y := &graph.Value{Name: name, Origin: name + ":0"}
	b.g.Nodes = append(b.g.Nodes, &graph.Node{Name: name, Op: o, Inputs: in, Outputs: []*graph.Value{y}})
	return y
}

func (b *network) done(t *testing.T, outputs ...*graph.Value) *graph.Graph {
	t.Helper()
	b.g.Outputs = outputs
	if _, err := op.Infer(b.g); err != nil {
		t.Fatal(err)
	}
	if err := b.g.Check(); err != nil {
		t.Fatal(err)
	}
	return b.g
}

// classifier has a residual block, a concatenation, a depthwise layer and a softmax.
func classifier(t *testing.T) *graph.Graph {
	b := newNetwork()
	relu6 := &op.Clamp{Max: 6}
	y := b.node("c1", &op.Conv{Pads: []int{1, 1, 1, 1}, Clamp: relu6}, b.input(), b.weights(.3, 8, 3, 3, 3), b.weights(.1, 8))
	d := b.node("dw", &op.Conv{Pads: []int{1, 1, 1, 1}, Group: 8}, y, b.weights(.3, 8, 1, 3, 3), b.weights(.1, 8))
	s := b.node("sum", &op.Add{}, y, d)
	p := b.node("pool", &op.MaxPool{KernelShape: []int{2, 2}, Strides: []int{2, 2}}, s)
	c := b.node("cat", &op.Concat{Axis: 1}, p, b.node("c2", &op.Conv{Strides: []int{2, 2}}, y, b.weights(.2, 4, 8, 1, 1)))
	a := b.node("gap", &op.GlobalAveragePool{}, b.node("swish", op.NewFunction("HardSwish"), c))
	f := b.node("fc", &op.Gemm{Alpha: 1, Beta: 1, TransB: true}, b.node("flat", &op.Flatten{Axis: 1}, a), b.weights(.5, 10, 12), b.weights(.1, 10))
	return b.done(t, b.node("prob", &op.Softmax{Axis: 1}, f), f)
}

func samples(n int) iter.Seq2[calibrate.Sample, error] {
	return func(yield func(calibrate.Sample, error) bool) {
		r := rand.New(rand.NewPCG(5, 6))
		for i := range n {
			x := tensor.New(tensor.Float32, 1, 3, 12, 12)
			for j := range tensor.Values[float32](x) {
				tensor.Values[float32](x)[j] = r.Float32()*2 - 1
			}
			if !yield(calibrate.Sample{ID: string(rune('a' + i)), Inputs: map[string]*tensor.Tensor{"x": x}}, nil) {
				return
			}
		}
	}
}

func measure(t *testing.T, g *graph.Graph, o Options) *calibrate.Ranges {
	t.Helper()
	return measureOn(t, g, o, samples(20))
}

func measureOn(t *testing.T, g *graph.Graph, o Options, on iter.Seq2[calibrate.Sample, error]) *calibrate.Ranges {
	t.Helper()
	o.QuantizeIO = true
	points, err := Points(g, o)
	if err != nil {
		t.Fatal(err)
	}
	r, err := calibrate.Run(context.Background(), interp.Executor{}, g, points, on, calibrate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// sqnr compares an output of two graphs on fresh samples, in dB.
func sqnr(t *testing.T, a, b *graph.Graph, output string) float64 {
	t.Helper()
	ra, err := interp.Executor{}.Prepare(a, nil)
	if err != nil {
		t.Fatal(err)
	}
	rb, err := interp.Executor{}.Prepare(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	var signal, noise float64
	for s := range samples(24) {
		x, err := ra.Run(context.Background(), s.Inputs)
		if err != nil {
			t.Fatal(err)
		}
		y, err := rb.Run(context.Background(), s.Inputs)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range tensor.Values[float32](x[output]) {
			d := float64(v - tensor.Values[float32](y[output])[i])
			signal += float64(v) * float64(v)
			noise += d * d
		}
	}
	return 10 * math.Log10(signal/noise)
}

func TestSchemesKeepTheAnswers(t *testing.T) {
	g := classifier(t)
	for _, tc := range []struct {
		name    string
		options Options
		least   float64 // dB: 8-bit rounding of a dozen layers leaves 25 to 40
	}{
		{"default", Options{}, 28},
		{"int8 activations", Options{Activations: tensor.Int8}, 28},
		{"min-max", Options{Reduction: calibrate.Reduction{Method: calibrate.MinMax}}, 28},
		{"mse", Options{Reduction: calibrate.Reduction{Method: calibrate.MSE}}, 25},
		{"entropy", Options{Reduction: calibrate.Reduction{Method: calibrate.Entropy}}, 20},
		{"per tensor", Options{Scheme: Int8PerTensor}, 25},
		{"uint8", Options{Scheme: Uint8}, 25},
		{"dynamic", Options{Scheme: Dynamic}, 28},
	} {
		t.Run(tc.name, func(t *testing.T) {
			q, report, err := Quantize(g, measure(t, g, tc.options), tc.options)
			if err != nil {
				t.Fatal(err)
			}
			if share := report.IntegerShare(); share != 1 {
				t.Errorf("%.3f of the multiply-accumulates are integer: %+v", share, report.Islands())
			}
			if got := sqnr(t, g, q, "fc"); got < tc.least {
				t.Errorf("SQNR %.1f dB, want %.0f", got, tc.least)
			}
			for i, v := range g.Outputs {
				if q.Outputs[i].Name != v.Name {
					t.Errorf("output %q is now %q", v.Name, q.Outputs[i].Name)
				}
			}
		})
	}
}

func TestOnlyTheFinalSoftmaxStaysFloat(t *testing.T) {
	g := classifier(t)
	q, report, err := Quantize(g, measure(t, g, Options{}), Options{})
	if err != nil {
		t.Fatal(err)
	}
	islands := report.Islands()
	if len(islands) != 1 || islands[0].Type != "Softmax" || !strings.Contains(islands[0].Reason, "after the last layer") {
		t.Errorf("islands %+v", islands)
	}
	for _, n := range q.Nodes {
		if n.Name == "fc" && n.Compute != graph.IntegerToFloat {
			t.Errorf("the classifier is %s: its sums should be handed out as floats", n.Compute)
		}
		if n.Name == "pool" && !n.Inputs[0].Type.Quant.Equal(n.Outputs[0].Type.Quant) {
			t.Error("a max pool must keep its input's scale")
		}
		if n.Name == "cat" {
			for _, v := range n.Inputs {
				if !v.Type.Quant.Equal(n.Outputs[0].Type.Quant) {
					t.Error("a concatenation must have one scale")
				}
			}
		}
	}
}

func TestQuantizeIO(t *testing.T) {
	g := classifier(t)
	q, _, err := Quantize(g, measure(t, g, Options{}), Options{QuantizeIO: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range append(slices.Clone(q.Inputs), q.Outputs...) {
		if v.Type.DType != tensor.Uint8 || v.Type.Quant == nil {
			t.Errorf("%q is %s", v.Name, v.Type)
		}
	}
	if p := q.Outputs[0].Type.Quant; p.Scale[0] != 1.0/256 || p.ZeroPoint[0] != 0 {
		t.Errorf("softmax codes are %s, want 1/256 from 0", p)
	}
}

func TestKeepFloat(t *testing.T) {
	g := classifier(t)
	r := measure(t, g, Options{})
	q, report, err := Quantize(g, r, Options{KeepFloat: []string{"dw"}, KeepFloatOps: []string{"HardSwish"}})
	if err != nil {
		t.Fatal(err)
	}
	reasons := map[string]string{}
	for _, d := range report.Islands() {
		reasons[d.Node] = d.Reason
	}
	if !strings.Contains(reasons["dw"], `matches "dw"`) || !strings.Contains(reasons["swish"], "all HardSwish are") {
		t.Errorf("reasons %v", reasons)
	}
	if got := sqnr(t, g, q, "fc"); got < 28 {
		t.Errorf("SQNR %.1f dB", got)
	}
	_, _, err = Quantize(g, r, Options{KeepFloat: []string{"conv1", "dww", "*swis_*"}, KeepFloatOps: []string{"HardSwitch"}})
	if err == nil {
		t.Fatal("patterns that match nothing are accepted")
	}
	for _, want := range []string{`"conv1" matches no node`, `did you mean "dw"`, `did you mean "swish"`, `did you mean "HardSwish"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
}

func TestPatternsCrossSlashes(t *testing.T) {
	for pattern, want := range map[string]bool{"*/conv*": true, "/block.1/conv1/Conv": true, "/block.[0-9]*": true, "/block?1/*": true,
		"/block": false, "*/conv2/*": false, "/block.1/conv1/[A-Z]onv": true} {
		if got, err := matches(pattern, "/block.1/conv1/Conv"); err != nil || got != want {
			t.Errorf("%q matches: %v, %v", pattern, got, err)
		}
	}
}

func TestMissingRangesAreIslands(t *testing.T) {
	g := classifier(t)
	r := measure(t, g, Options{})
	delete(r.Values, "dw:0")
	q, report, err := Quantize(g, r, Options{})
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, d := range report.Islands() {
		found = found || strings.Contains(d.Reason, "no range is known for dw:0")
	}
	if !found {
		t.Errorf("islands %+v", report.Islands())
	}
	if got := sqnr(t, g, q, "fc"); got < 28 {
		t.Errorf("SQNR %.1f dB", got)
	}
}

// A channel with tiny weights and a large bias needs a larger weight scale, or its bias would not fit an int32.
func TestBiasNeverOverflows(t *testing.T) {
	b := newNetwork()
	w, bias := b.weights(1e-9, 4, 3, 1, 1), b.weights(0, 4)
	for i := range tensor.Values[float32](bias.Const) {
		tensor.Values[float32](bias.Const)[i] = float32(100 * (i - 1))
	}
	clear(tensor.Values[float32](w.Const)[:3]) // and one channel without any weights
	g := b.done(t, b.node("y", &op.Conv{}, b.input(), w, bias))
	q, report, err := Quantize(g, measure(t, g, Options{}), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if report.IntegerShare() != 1 {
		t.Errorf("islands %+v", report.Islands())
	}
	if got := sqnr(t, g, q, "y"); got < 100 {
		t.Errorf("SQNR %.1f dB: the bias was lost", got)
	}
}

func TestSharedWeights(t *testing.T) {
	b := newNetwork()
	w := b.weights(.3, 3, 3, 3, 3)
	o := &op.Conv{Pads: []int{1, 1, 1, 1}}
	g := b.done(t, b.node("second", o, b.node("first", o, b.input(), w), w))
	q, _, err := Quantize(g, measure(t, g, Options{}), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := sqnr(t, g, q, "second"); got < 28 {
		t.Errorf("SQNR %.1f dB", got)
	}
}

func TestActivationQuant(t *testing.T) {
	for _, tc := range []struct {
		low, high float32
		dtype     tensor.DType
		scale     float32
		zero      int32
	}{
		{0, 6, tensor.Uint8, 6.0 / 255, 0},
		{0, 6, tensor.Int8, 6.0 / 255, -128},
		{-1, 1, tensor.Uint8, 2.0 / 255, 127},
		{2, 4, tensor.Uint8, 4.0 / 255, 0}, // zero is always representable
		{-4, -2, tensor.Uint8, 4.0 / 255, 255},
		{0, 0, tensor.Uint8, 1.0 / 255, 0},
	} {
		q := activation(tc.low, tc.high, tc.dtype)
		if q.Scale[0] != tc.scale || q.ZeroPoint[0] != tc.zero {
			t.Errorf("[%v, %v] as %s: %s, want scale %v and zero point %d", tc.low, tc.high, tc.dtype, q, tc.scale, tc.zero)
		}
	}
}
