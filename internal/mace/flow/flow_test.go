package flow

import (
	"bytes"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/mace/deploy"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/runtime"
	"github.com/octet-nn/octet/tensor"
)

func TestFormatName(t *testing.T) {
	for name, want := range map[string]string{"input": "input", "a/b:0": "a_b_0", "ä.1": "___1", "": ""} {
		if got := FormatName(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func TestPythonFloat(t *testing.T) {
	for v, want := range map[float64]string{
		1: "1.0", 0: "0.0", 0.98: "0.98", 1e16: "1e+16", 123456789012345680: "1.2345678901234568e+17", 0.0001: "0.0001", 0.00001234: "1.234e-05",
		math.Inf(1): "inf", math.Inf(-1): "-inf", -2.5: "-2.5", 1e15: "1000000000000000.0",
	} {
		if got := pythonFloat(v); got != want {
			t.Errorf("%v: %q, want %q", v, got, want)
		}
	}
	if got := pythonFloat(math.NaN()); got != "nan" {
		t.Error(got)
	}
}

func TestPythonSlice(t *testing.T) {
	for _, c := range []struct {
		text        string
		first, last int
	}{
		{":", 0, 10}, {"2:5", 2, 5}, {"7:", 7, 10}, {":3", 0, 3}, {"-3:", 7, 10}, {":-8", 0, 2}, {"4", 4, 5}, {"-1", 9, 10}, {"5:2", 5, 5}, {"8:99", 8, 10}, {"99", 10, 10},
	} {
		if first, last, err := pythonSlice(c.text, 10); err != nil || first != c.first || last != c.last {
			t.Errorf("%q: %d:%d, %v", c.text, first, last, err)
		}
	}
	for _, text := range []string{"a", "1:b", "1:2:3", ""} {
		if first, last, err := pythonSlice(text, 10); err == nil && text != "" {
			t.Errorf("%q: %d:%d", text, first, last)
		}
	}
}

// TestComparison: the measures are those of MACE's validate.py, and nothing is ever divided by zero.
func TestComparison(t *testing.T) {
	nan := float32(math.NaN())
	for _, c := range []struct {
		name              string
		want, got         []float32
		shape             []int
		similarity, sqnr  float64
		accuracy, decibel float64
		passed            bool
	}{
		{"equal", []float32{3, 4}, []float32{3, 4}, []int{1, 2}, 1, 25 / 1e-15, 1, math.Inf(1), true},
		{"right angle", []float32{1, 0}, []float32{0, 1}, []int{1, 2}, 0, 0.5, 0, 10 * math.Log10(0.5), false},
		{"both zero", []float32{0, 0}, []float32{0, 0}, []int{1, 2}, 1, 0, 1, math.Inf(1), true},
		{"one zero", []float32{1, 2}, []float32{0, 0}, []int{1, 2}, 0, 1, 0, 0, false},
		{"half of the rows", []float32{1, 0, 1, 0}, []float32{1, 0, 0, 1}, []int{2, 2}, 0.5, 1, 0.5, 0, false},
		{"vector", []float32{1, 0}, []float32{0, 1}, []int{2}, 0, 0.5, 1, 10 * math.Log10(0.5), false},
		{"scaled", []float32{1, 2}, []float32{2, 4}, []int{1, 2}, 1, 1, 1, 0, true},
		{"nan", []float32{1, 2}, []float32{1, nan}, []int{1, 2}, math.NaN(), math.NaN(), 1, math.NaN(), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := Comparison{Name: "y"}
			if err := m.Add(c.want, c.got, c.shape); err != nil {
				t.Fatal(err)
			}
			near := func(what string, got, want float64) {
				if !(math.Abs(got-want) <= 1e-9*max(1, math.Abs(want)) || got == want || got != got && want != want) {
					t.Errorf("%s: %v, want %v", what, got, want)
				}
			}
			near("similarity", m.Similarity(), c.similarity)
			near("sqnr", m.SQNR(), c.sqnr)
			near("accuracy", m.PixelAccuracy(), c.accuracy)
			near("dB", m.Decibels(), c.decibel)
			if m.Passed(0.99) != c.passed {
				t.Errorf("passed: %t", m.Passed(0.99))
			}
		})
	}
	if err := (&Comparison{Name: "y"}).Add([]float32{1}, []float32{1, 2}, []int{2}); err == nil {
		t.Error("outputs of different sizes were compared")
	}
	m := Comparison{Name: "out:0"}
	if err := m.Add([]float32{3, 4}, []float32{3, 4}, []int{1, 2}); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	m.WriteLine(&b, "tensorflow")
	if got, want := b.String(), "out:0 MACE VS TENSORFLOW similarity: 1.0 , sqnr: 2.5e+16 , pixel_accuracy: 1.0\n"; got != want {
		t.Errorf("got  %swant %s", got, want)
	}
	if got, want := Block("Passed"), "**************************\n          Passed          \n**************************\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestJump(t *testing.T) {
	layer := func(name string, noise float64) Comparison { return Comparison{Name: name, reference: 1, noise: noise} }
	for _, c := range []struct {
		layers []Comparison
		want   string
	}{
		{nil, ""},
		{[]Comparison{layer("a", 1e-3), layer("b", 2e-3), layer("c", 1e-4)}, "the error jumps nowhere; the lowest SQNR of 3 layers is 27.0 dB, at b\n"},
		{[]Comparison{layer("a", 0), layer("b", 0)}, "no layer differs, of 2\n"},
		{[]Comparison{layer("a", 1e-3)}, "the error jumps nowhere; the SQNR of the only layer, a, is 30.0 dB\n"},
		{[]Comparison{layer("a", 1e-3), layer("b", 1e-2), layer("c", 1)}, "the error jumps first at b: SQNR 20.0 dB, 30.0 dB before it\nthe lowest SQNR of 3 layers is 0.0 dB, at c\n"},
	} {
		var b bytes.Buffer
		if writeJump(&b, c.layers); b.String() != c.want {
			t.Errorf("got %q, want %q", b.String(), c.want)
		}
	}
}

// TestTable has the form of MACE's StringFormatter.
func TestTable(t *testing.T) {
	line := strings.Repeat("-", 15) + "\n"
	want := line + "      Tt\n" + line + "|  a | longer |\n" + line + "| 12 |      x |\n|  3 |      y |\n" + line
	if got := table("Tt", []string{"a", "longer"}, [][]string{{"12", "x"}, {"3", "y"}}); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	for v, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 551355392: "551,355,392", -999: "-999", -1234: "-1,234"} {
		if got := whole(v); got != want {
			t.Errorf("%d is %s, want %s", v, got, want)
		}
	}
}

func TestStatistics(t *testing.T) {
	s := &statistics{}
	s.write(&bytes.Buffer{}) // nothing was measured
	for round := range 2 {
		s.add(&runtime.Profile{Steps: []runtime.StepProfile{
			{Name: "conv", Op: "Conv", MACs: 2000000, Runs: 1, Total: time.Duration(round+1) * time.Millisecond},
			{Name: "soft", Op: "Softmax", Runs: 1, Total: time.Millisecond},
		}}, &graph.Graph{})
	}
	var b bytes.Buffer
	s.write(&b)
	for _, part := range []string{
		"|  Conv2D | 0.000 | 1.000 |   1.500 | 60.000 |  60.000 |  1.333 |", "| Softmax | 1.500 | 1.000 |   1.000 | 40.000 | 100.000 |  0.000 |",
		"| 2,000,000 |     2 |      1.000 |    0.800 | 500.000 |", "2 ops total.\n",
	} {
		if !strings.Contains(b.String(), part) {
			t.Errorf("lacks %q:\n%s", part, b.String())
		}
	}
}

func TestPads(t *testing.T) {
	if got := pads([]int{1, 2, 3, 4}); !slices.Equal(got, []int{4, 6}) {
		t.Error(got)
	}
	if maceType("Conv", nil) != "Conv2D" || maceType("Novel", nil) != "Novel" || (&op.Conv{}).Groups() != 1 {
		t.Error("names of operators")
	}
}

func TestExtremes(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		values    []float32
		low, high float32
	}{
		{[]float32{1, -2, 3}, -2, 3}, {[]float32{nan, 5, nan}, 5, 5}, {[]float32{-inf, inf}, -inf, inf}, {[]float32{0}, 0, 0},
	} {
		if low, high := extremes(c.values); low != c.low || high != c.high {
			t.Errorf("%v: %v, %v", c.values, low, high)
		}
	}
	if low, high := extremes([]float32{nan}); low == low || high == high {
		t.Error("a tensor of NaNs has a range")
	}
}

// TestFit: input_ranges that does not fit the values of samples is noticed.
func TestFit(t *testing.T) {
	for _, c := range []struct {
		values []float32
		limits [2]float64
		want   string
	}{
		{[]float32{-1, 1}, [2]float64{-1, 1}, ""},
		{[]float32{0, 0.3}, [2]float64{0, 1}, ""},
		{[]float32{-1.01, 1.01}, [2]float64{-1, 1}, ""},
		{[]float32{0, 255}, [2]float64{-1, 1}, "cuts off"},
		{[]float32{-0.5, 0.5}, [2]float64{-128, 128}, "few steps for them. If these samples are typical, write input_ranges: -0.5,0.5"},
	} {
		f := &fit{inputs: []Port{{Name: "x", Range: c.limits}}, spans: [][2]float64{{math.Inf(1), math.Inf(-1)}}}
		f.add(map[string]*tensor.Tensor{"x": tensor.Of(c.values, 2)})
		got := strings.Join(f.warnings(), "\n")
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%v in %v: %q", c.values, c.limits, got)
		}
	}
}

func TestHistogram(t *testing.T) {
	counts := histogram([]float32{0, 1, 0.5, -9, 9, float32(math.NaN()), float32(math.Inf(1))}, 0, 1)
	if len(counts) != 2048 || counts[0] != 2 || counts[2047] != 3 || counts[1024] != 1 {
		t.Errorf("%d bins, ends %d and %d, middle %d", len(counts), counts[0], counts[2047], counts[1024])
	}
}

// TestPorts: the order of files is turned into the model's and back.
func TestPorts(t *testing.T) {
	g := &deploy.Graph{
		Inputs:  []deploy.Input{{Name: "x", Shape: []int{1, 2, 2, 3}, Type: "float32", Format: "NCHW"}},
		Outputs: []deploy.Output{{Name: "x", Shape: []int{1, 2, 2, 3}, Type: "float32", Format: "NCHW"}, {Name: "n", Shape: []int{1, 2, 2, 3}, Format: "NONE"}},
	}
	in, out := Inputs(g, "")[0], Outputs(g, "")[0]
	if !slices.Equal(in.Shape, []int{1, 2, 3, 2}) || !slices.Equal(in.FileShape(), []int{1, 2, 2, 3}) || in.Bytes() != 48 {
		t.Errorf("input %+v", in)
	}
	data := make([]byte, 48)
	for i := range 12 {
		copy(data[4*i:], tensor.Of([]float32{float32(i)}, 1).Bytes())
	}
	x, err := in.Tensor(data, tensor.Float32)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := tensor.Values[float32](x), []float32{0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if !bytes.Equal(out.Data(x, tensor.Values[float32](x)), data) {
		t.Error("there and back is not the same")
	}
	if p := Inputs(g, "NHWC")[0]; p.ChannelsFirst || !slices.Equal(p.Shape, []int{1, 2, 3, 2}) {
		t.Errorf("NHWC files of an NCHW input: %+v", p)
	}
	if p := Outputs(g, "NCHW")[1]; p.ChannelsFirst || !slices.Equal(p.Shape, []int{1, 2, 2, 3}) {
		t.Errorf("NONE: %+v", p)
	}
}

func TestIntegers(t *testing.T) {
	p := Port{Name: "i", Shape: []int{3}, Integer: true}
	data := tensor.Of([]int32{-1, 0, 7}, 3).Bytes()
	x, err := p.Tensor(data, tensor.Int64)
	if err != nil || !slices.Equal(tensor.Values[int64](x), []int64{-1, 0, 7}) {
		t.Errorf("%v, %v", x, err)
	}
	if !bytes.Equal(p.Data(x, nil), data) {
		t.Error("there and back is not the same")
	}
	if b, err := p.Tensor(data, tensor.Bool); err != nil || !bytes.Equal(b.Bytes(), []byte{1, 0, 1}) {
		t.Errorf("%v, %v", b, err)
	}
	if _, err := p.Tensor(data, tensor.Float32); err == nil || !strings.Contains(err.Error(), "input_data_types") {
		t.Errorf("integers for a float input: %v", err)
	}
	for _, dtype := range []tensor.DType{tensor.Int8, tensor.Uint8, tensor.Int16, tensor.Uint16, tensor.Int32, tensor.Uint32} {
		if got := integers(tensor.New(dtype, 2)); !slices.Equal(got, []int64{0, 0}) {
			t.Errorf("%s: %v", dtype, got)
		}
	}
}

// TestSamplesOfSeveralInputs: files of inputs whose names begin alike are told apart, and every input needs its file.
func TestSamplesOfSeveralInputs(t *testing.T) {
	dir := t.TempDir()
	touch := func(names ...string) {
		for _, n := range names {
			if err := os.WriteFile(filepath.Join(dir, n), make([]byte, 4), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	inputs := []Port{{Name: "in", Shape: []int{1}}, {Name: "in:2", Shape: []int{1}}}
	touch("in_b", "in_2_b", "in_a", "in_2_a", "other")
	samples, warnings, err := OpenDir(dir, inputs)
	if err != nil || len(samples) != 2 || samples[0].Suffix != "_a" || filepath.Base(samples[1].Files[1]) != "in_2_b" {
		t.Errorf("%+v, %v", samples, err)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], `"in" and "in:2" begin alike`) {
		t.Errorf("warnings %q", warnings)
	}
	touch("in_c")
	if _, _, err := OpenDir(dir, inputs); err == nil || !strings.Contains(err.Error(), `in_2_c is missing: there is one file for each input, this one for "in:2"`) {
		t.Errorf("a missing file: %v", err)
	}
	for i := range 9 {
		touch("in_" + string(rune('d'+i)))
	}
	if _, _, err := OpenDir(dir, inputs); err == nil || !strings.Contains(err.Error(), "and 5 more files") {
		t.Errorf("many missing files: %v", err)
	}
}

// TestOtherOrder: an image whose channels are in the other order is noticed, in color and gray; noise is not.
func TestOtherOrder(t *testing.T) {
	const side = 32
	last := Port{Name: "x", Shape: []int{1, side, side, 3}}
	first := last
	first.ChannelsFirst = true
	random := rand.New(rand.NewPCG(1, 1))
	for name, at := range map[string]func(y, x, c int) float32{
		"color": func(y, x, c int) float32 {
			return float32(math.Sin(float64(y)/5+float64(c)) * math.Cos(float64(x)/7-2*float64(c)))
		},
		"gray":  func(y, x, c int) float32 { return float32(math.Sin(float64(y)/5) * math.Cos(float64(x)/7)) },
		"noise": func(y, x, c int) float32 { return random.Float32() },
	} {
		values := make([]float32, 0, side*side*3)
		for y := range side {
			for x := range side {
				for c := range 3 {
					values = append(values, at(y, x, c))
				}
			}
		}
		image := tensor.Of(values, 1, side, side, 3)
		turned := first.Data(image, values)
		if right := last.otherOrder(image.Bytes()) + first.otherOrder(turned); right != "" {
			t.Errorf("%s: %s", name, right)
		}
		wrong, wrongToo := first.otherOrder(image.Bytes()), last.otherOrder(turned)
		if said := strings.Contains(wrong, "--input_data_format NHWC") && strings.Contains(wrongToo, "--input_data_format NCHW"); said != (name != "noise") {
			t.Errorf("%s: %q, %q", name, wrong, wrongToo)
		}
	}
}

func TestRandom(t *testing.T) {
	inputs := []Port{{Name: "f", Shape: []int{100}, Range: [2]float64{-5, 15}}, {Name: "i", Shape: []int{9}, Range: [2]float64{0, 3}}}
	types := map[string]tensor.DType{"f": tensor.Float32, "i": tensor.Int64}
	first, err := Random(inputs, types)
	if err != nil {
		t.Fatal(err)
	}
	low, high := extremes(tensor.Values[float32](first["f"]))
	if low < -5 || high > 15 || high-low < 10 {
		t.Errorf("from %v to %v", low, high)
	}
	again, _ := Random(inputs, types)
	if !bytes.Equal(first["f"].Bytes(), again["f"].Bytes()) {
		t.Error("not the same in every run")
	}
	if _, err := Random(inputs, map[string]tensor.DType{"f": tensor.Float64, "i": tensor.Bool}); err == nil {
		t.Error("values of a type that is not known")
	}
}

// TestFirstAnswers expects rows of classes where they are, which is not always in the last dimension.
func TestFirstAnswers(t *testing.T) {
	want, got := []float32{1, 2, 3, 9, 5, 6}, []float32{1, 2, 3, 4, 5, 6}
	for _, c := range []struct {
		shape         []int
		answers, same int64
		varied        bool
	}{
		{[]int{2, 3}, 2, 1, true}, {[]int{2, 3, 1, 1}, 2, 1, true}, {[]int{1, 6, 1, 1}, 1, 0, false}, {[]int{6}, 1, 0, false},
		{[]int{6, 1}, 0, 0, false}, {[]int{1, 1, 6}, 1, 0, false}, {[]int{3, 2}, 3, 3, false},
	} {
		m := Comparison{Name: "y"}
		if err := m.Add(want, got, c.shape); err != nil {
			t.Fatal(err)
		}
		if m.Varied != c.varied {
			t.Errorf("%v: the reference's answers differ: %v", c.shape, m.Varied)
		}
		if m.Answers != c.answers || m.SameAnswers != c.same {
			t.Errorf("%v: %d of %d agree, want %d of %d", c.shape, m.SameAnswers, m.Answers, c.same, c.answers)
		}
		var b bytes.Buffer
		if m.WriteDetails(&b); strings.Contains(b.String(), "first answer") != (c.answers > 0) {
			t.Errorf("%v: %s", c.shape, b.String())
		}
	}
}

// TestInOrder compares a tensor with channels last with the same with channels first, both ways.
func TestInOrder(t *testing.T) {
	first, last := tensor.New(tensor.Float32, 2, 3, 4, 5), tensor.New(tensor.Float32, 2, 4, 5, 3)
	for n := range 2 {
		for c := range 3 {
			for y := range 4 {
				for x := range 5 {
					v := float32(1000*n + 100*c + 10*y + x)
					tensor.Values[float32](first)[((n*3+c)*4+y)*5+x] = v
					tensor.Values[float32](last)[((n*4+y)*5+x)*3+c] = v
				}
			}
		}
	}
	value := func(x *tensor.Tensor) Value { return Value{x, tensor.Values[float32](x)} }
	for _, pair := range [][2]*tensor.Tensor{{first, last}, {last, first}, {first, first}} {
		if got := inOrder(value(pair[0]), pair[1].Shape()); !slices.Equal(got, tensor.Values[float32](pair[1])) {
			t.Errorf("%v in the order of %v: %v", pair[0].Shape(), pair[1].Shape(), got)
		}
	}
	if other := value(tensor.New(tensor.Float32, 1, 120)); len(inOrder(other, []int{2, 3, 4, 5})) != 120 {
		t.Error("another shape was changed")
	}
}
