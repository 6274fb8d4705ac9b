package calibrate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/tensor"
	"pgregory.net/rapid"
)

// encode is the canonical form in which two sets of statistics are compared.
func encode(t interface{ Fatal(...any) }, s *Statistics) string {
	var b bytes.Buffer
	r := &Ranges{Values: map[string]*Statistics{"v": s}}
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestStatisticsDoNotDependOnOrderOrSplit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.OneOf(rapid.Float32Range(-8, 8), rapid.Float32(), rapid.Just(float32(0)), rapid.Just(float32(math.Inf(1))))
		samples := rapid.SliceOfN(rapid.SliceOfN(value, 0, 20), 1, 12).Draw(t, "samples")
		forward, backward, split := &Statistics{}, &Statistics{}, &Statistics{}
		for _, s := range samples {
			forward.Add(s)
		}
		for _, s := range slices.Backward(samples) {
			backward.Add(s)
		}
		half := len(samples) / 2
		other := &Statistics{Histogram: &Histogram{}}
		split.Histogram = &Histogram{}
		for i, s := range samples {
			if i < half {
				other.Add(s)
			} else {
				split.Add(s)
			}
		}
		if err := split.Merge(other); err != nil {
			t.Fatal(err)
		}
		want := encode(t, forward)
		if got := encode(t, backward); got != want {
			t.Fatalf("order matters:\n%s\n%s", want, got)
		}
		if got := encode(t, split); got != want {
			t.Fatalf("splitting matters:\n%s\n%s", want, got)
		}
		checkInsideExtremes(t, forward, Percentile, MinMax, Average)
	})
}

func checkInsideExtremes(t interface{ Fatalf(string, ...any) }, s *Statistics, methods ...Method) {
	for _, m := range methods {
		low, high := Reduction{Method: m}.Range(s)
		lowest, highest := s.Histogram.Extremes()
		if low > 0 || high < 0 || low < min(lowest, 0) || high > max(highest, 0) {
			t.Fatalf("%s: range [%v, %v] leaves the extremes [%v, %v] or has no zero", m, low, high, lowest, highest)
		}
	}
}

func TestSearchedRangesStayInsideExtremes(t *testing.T) {
	for _, values := range [][]float32{
		{}, {0}, {5}, {-5}, {8.59046e+09, -6.421912e+21}, {1e-42, -1e-45}, {math.MaxFloat32, -math.MaxFloat32}, {1, 2, 3, -100},
	} {
		s := &Statistics{Histogram: &Histogram{}}
		s.Add(values)
		checkInsideExtremes(t, s, Entropy, MSE)
	}
}

func TestRangesFileRoundTrip(t *testing.T) {
	r := NewRanges()
	s := &Statistics{}
	s.Add([]float32{-1, 0, 3, 1e-20, float32(math.NaN())})
	r.Values["a/b:0"] = s
	r.Values["by hand"] = &Statistics{Min: -2, Max: 6}
	r.sawSample("cat.jpg")
	r.sawSample("ant.jpg")
	var first, second bytes.Buffer
	if err := r.Write(&first); err != nil {
		t.Fatal(err)
	}
	back, err := Read(bytes.NewReader(first.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if err := back.Write(&second); err != nil {
		t.Fatal(err)
	}
	if first.String() != second.String() {
		t.Errorf("written again:\n%s\nwant\n%s", second.String(), first.String())
	}
	if !back.Saw("ant.jpg") || back.Saw("dog.jpg") {
		t.Errorf("samples = %q", back.Samples)
	}
	if low, high := (Reduction{}).Range(back.Values["by hand"]); low != -2 || high != 6 {
		t.Errorf("bare range = [%v, %v], want [-2, 6]", low, high)
	}
}

func TestReadReportsProblems(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{``, "not a range file"},
		{`{"format":"octet ranges","version":7}`, "version"},
		{`{"format":"octet ranges","version":1,"values":{"x":{"min":2,"max":1},"y":null}}`, `value "x": min 2 is above max 1`},
		{`{"format":"octet ranges","version":1,"values":{"y":null}}`, `value "y": has no range`},
		{`{"format":"octet ranges","version":1,"values":{"x":{"min":0,"max":1,"octaves":{"*1":""}}}}`, "octave"},
		{`{"format":"octet ranges","version":1,"values":{"x":{"min":0,"max":1,"top_octave":127,"octaves":{"+127":"AA=="}}}}`, "fewer than"},
		{`{"format":"octet ranges","version":1,"values":{"x":{"min":0,"max":1,"count":3,"octaves":{}}}}`, "count says 3"},
	} {
		if _, err := Read(strings.NewReader(tc.text)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("Read(%s) = %v, want %q", tc.text, err, tc.want)
		}
	}
}

func FuzzRead(f *testing.F) {
	s := &Statistics{}
	s.Add([]float32{-1, 0.5, 3})
	f.Add([]byte(encode(f, s)))
	f.Add([]byte(`{"format":"octet ranges","version":1,"values":{"x":{"min":0,"max":1}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		for _, s := range r.Values {
			for m := Method(0); m < methodCount; m++ {
				Reduction{Method: m}.Range(s)
			}
		}
	})
}

func TestPercentileMatchesSortedValues(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	values := make([]float32, 200000)
	for i := range values {
		values[i] = float32(random.NormFloat64())
	}
	s := &Statistics{}
	s.Add(values)
	slices.Sort(values)
	for _, p := range []float64{90, 99, 99.9, 99.99} {
		low, high := Reduction{Method: Percentile, Percentile: p}.Range(s)
		wantHigh := values[int(p/100*float64(len(values)))-1]
		wantLow := values[int((1-p/100)*float64(len(values)))]
		// a bin is 1/1024 of its octave wide
		if math.Abs(float64(high-wantHigh)) > 0.02 || math.Abs(float64(low-wantLow)) > 0.02 {
			t.Errorf("percentile %v = [%v, %v], want about [%v, %v]", p, low, high, wantLow, wantHigh)
		}
	}
}

// One absurd value must not cost the rest their resolution.
func TestOutliersDoNotBlurTheRest(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	values := make([]float32, 100000)
	for i := range values {
		values[i] = random.Float32() * 6
	}
	values[777] = 5e4
	s := &Statistics{}
	s.Add(values)
	for _, r := range []Reduction{{}, {Method: Entropy}, {Method: MSE}} {
		if _, high := r.Range(s); r.Method == Percentile && (high < 5.9 || high > 6.1) {
			t.Errorf("%s: high = %v, want about 6", r.Method, high)
		} else if high > 5e4 {
			t.Errorf("%s: high = %v is above every value", r.Method, high)
		}
	}
	if _, high := (Reduction{Method: MinMax}).Range(s); high != 5e4 {
		t.Errorf("min-max: high = %v, want 50000", high)
	}
}

func TestMSEClipsHeavyTails(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	values := make([]float32, 100000)
	for i := range values {
		x := random.NormFloat64()
		values[i] = float32(x * x * x)
	}
	s := &Statistics{}
	s.Add(values)
	low, high := (Reduction{Method: MSE, Levels: 16}).Range(s)
	_, top := s.Histogram.Extremes()
	if high > top/2 || low < -top/2 {
		t.Errorf("4-bit MSE range [%v, %v] does not clip a tail that reaches %v", low, high, top)
	}
}

func TestAverageIsTheMeanOfExtremes(t *testing.T) {
	s := &Statistics{}
	s.Add([]float32{-1, 4})
	s.Add([]float32{-3, 8})
	if low, high := (Reduction{Method: Average}).Range(s); low != -2 || high != 6 {
		t.Errorf("average = [%v, %v], want [-2, 6]", low, high)
	}
}

// doubler is an executor for a network whose only node doubles its input.
type doubler struct{}

func (doubler) Prepare(*graph.Graph, []string) (graph.Runner, error) { return doubler{}, nil }
func (doubler) Run(_ context.Context, in map[string]*tensor.Tensor) (map[string]*tensor.Tensor, error) {
	x := slices.Clone(tensor.Values[float32](in["x"]))
	for i := range x {
		x[i] *= 2
	}
	return map[string]*tensor.Tensor{"y": tensor.Of(x, len(x))}, nil
}

func doublerGraph() *graph.Graph {
	float := graph.Type{DType: tensor.Float32, Shape: graph.FixedShape(3)}
	x, y := &graph.Value{Name: "x", Type: float}, &graph.Value{Name: "y", Origin: "y:0", Type: float}
	return &graph.Graph{Inputs: []*graph.Value{x}, Outputs: []*graph.Value{y}, Nodes: []*graph.Node{{Inputs: []*graph.Value{x}, Outputs: []*graph.Value{y}}}}
}

func fakeSamples(from, to int, fail error) iter.Seq2[Sample, error] {
	return func(yield func(Sample, error) bool) {
		for i := from; i < to; i++ {
			x := tensor.Of([]float32{float32(i), -float32(i) / 3, 0.5}, 3)
			if !yield(Sample{ID: fmt.Sprintf("s%03d", i), Inputs: map[string]*tensor.Tensor{"x": x}}, nil) {
				return
			}
		}
		if fail != nil {
			yield(Sample{}, fail)
		}
	}
}

func TestRunDoesNotDependOnWorkersAndResumes(t *testing.T) {
	ctx := context.Background()
	text := func(r *Ranges) string {
		var b bytes.Buffer
		if err := r.Write(&b); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	whole, err := Run(ctx, doubler{}, doublerGraph(), []string{"x", "y"}, fakeSamples(0, 40, nil), Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := text(whole)
	parallel, err := Run(ctx, doubler{}, doublerGraph(), []string{"x", "y"}, fakeSamples(0, 40, nil), Options{Workers: 8})
	if err != nil || text(parallel) != want {
		t.Errorf("8 workers (error %v) gave other ranges", err)
	}

	interrupted, cancel := context.WithCancel(ctx)
	part, err := Run(interrupted, doubler{}, doublerGraph(), []string{"x", "y"}, fakeSamples(0, 40, nil), Options{Progress: func(n int) {
		if n == 7 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) || len(part.Samples) == 0 || len(part.Samples) >= 40 {
		t.Fatalf("interrupted run: error %v with %d samples", err, len(part.Samples))
	}
	resumed, err := Run(ctx, doubler{}, doublerGraph(), []string{"x", "y"}, fakeSamples(0, 40, nil), Options{Resume: part})
	if err != nil || text(resumed) != want {
		t.Errorf("resumed run (error %v) gave other ranges", err)
	}

	first, _ := Run(ctx, doubler{}, doublerGraph(), []string{"x", "y"}, fakeSamples(0, 15, nil), Options{})
	second, _ := Run(ctx, doubler{}, doublerGraph(), []string{"x", "y"}, fakeSamples(15, 40, nil), Options{})
	if err := first.Merge(second); err != nil || text(first) != want {
		t.Errorf("merged ranges (error %v) differ", err)
	}
	if err := first.Merge(second); err == nil {
		t.Error("merging the same samples twice is not an error")
	}
	if got := whole.Names(); !slices.Equal(got, []string{"x", "y:0"}) {
		t.Errorf("names = %q, want the names in the source file", got)
	}
}

func TestRunReportsFailures(t *testing.T) {
	unreadable := errors.New("unreadable")
	if _, err := Run(context.Background(), doubler{}, doublerGraph(), []string{"x"}, fakeSamples(0, 2, unreadable), Options{Workers: 2}); !errors.Is(err, unreadable) {
		t.Errorf("error = %v, want %v", err, unreadable)
	}
	if _, err := Run(context.Background(), doubler{}, doublerGraph(), []string{"x"}, fakeSamples(0, 0, nil), Options{}); err == nil || !strings.Contains(err.Error(), "no samples") {
		t.Errorf("no samples: error = %v", err)
	}
	if _, err := Run(context.Background(), doubler{}, doublerGraph(), []string{"z"}, fakeSamples(0, 1, nil), Options{}); err == nil || !strings.Contains(err.Error(), `no value "z"`) {
		t.Errorf("unknown value: error = %v", err)
	}
}
