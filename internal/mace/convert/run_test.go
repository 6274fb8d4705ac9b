package convert_test

import (
	"bytes"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/octet-nn/octet/internal/compile"
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/interp"
	"github.com/octet-nn/octet/internal/mace/convert"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/tensor"
)

// inputs are the sample's inputs in an archive, by name without the name of the tensor.
func (s sample) inputs(t testing.TB, archive string) map[string]*tensor.Tensor {
	t.Helper()
	inputs := map[string]*tensor.Tensor{}
	for name, data := range unzip(t, s.path(t, archive)) {
		x := tensor.New(tensor.Float32, 1, s.size, s.size, 3)
		if copy(x.Bytes(), data) != len(data) {
			t.Fatalf("%s has %d bytes", name, len(data))
		}
		inputs[strings.TrimPrefix(name, s.input)] = x
	}
	return inputs
}

// run gives a graph one input and returns its result.
func (s sample) run(t testing.TB, e graph.Executor, g *graph.Graph, x *tensor.Tensor) []float32 {
	t.Helper()
	r, err := e.Prepare(g, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c, ok := r.(interface{ Close() }); ok {
		defer c.Close()
	}
	out, err := r.Run(t.Context(), map[string]*tensor.Tensor{s.input: x})
	if err != nil {
		t.Fatal(err)
	}
	return tensor.Values[float32](out[s.output])
}

// bytesOf is numbers as MACE's files have them.
func bytesOf(values []float32) []byte { return tensor.Of(values, len(values)).Bytes() }

func top(values []float32) int {
	best := 0
	for i, v := range values {
		if v > values[best] {
			best = i
		}
	}
	return best
}

// TestOutputsAreMACEs runs the quantized models as MACE does, each input with its own range.
func TestOutputsAreMACEs(t *testing.T) {
	for _, s := range samples {
		outputs := unzip(t, s.path(t, "outputs.zip"))
		for _, setting := range s.settings {
			t.Run(s.folder+"/"+setting.name, func(t *testing.T) {
				o := s.quantized(t, setting.ranges)
				o.Arithmetic = numeric.MACE
				g, _, err := convert.Convert(s.graph(t), o)
				if err != nil {
					t.Fatal(err)
				}
				interpreted := 2
				if s.size > 100 {
					interpreted = 0
				}
				equal, all, worst := 0, 0, 0.
				inputs := s.inputs(t, "inputs.zip")
				for i, suffix := range slices.Sorted(maps.Keys(inputs)) {
					want := outputs["eval_"+s.prefix+"_quant_"+setting.name+"/"+s.output+suffix]
					if want == nil {
						t.Fatalf("no output for %s", suffix)
					}
					bound, err := convert.Rebind(g, map[string]*tensor.Tensor{s.input: inputs[suffix]})
					if err != nil {
						t.Fatal(err)
					}
					got := s.run(t, compile.Executor{Threads: 2}, bound, inputs[suffix])
					if i < interpreted {
						if again := s.run(t, interp.Executor{}, bound, inputs[suffix]); !slices.Equal(got, again) {
							t.Errorf("%s: compiled %v, by reference %v", suffix, got, again)
						}
					}
					all++
					if bytes.Equal(bytesOf(got), want) {
						equal++
					}
					x := tensor.New(tensor.Float32, len(want)/4)
					copy(x.Bytes(), want)
					for j, v := range tensor.Values[float32](x) {
						worst = max(worst, math.Abs(float64(got[j]-v)))
					}
				}
				t.Logf("%d of %d outputs are equal, the greatest difference is %.3g steps of 1/255", equal, all, worst*255)
				if s.prefix == "r8" && equal != all || worst*255 > 1.001 {
					t.Errorf("%d of %d outputs are MACE's, the greatest difference is %v", equal, all, worst)
				}
			})
		}
	}
}

// TestFloatRangesAreMACEs collects ranges from the inputs that MACE collected its from.
func TestFloatRangesAreMACEs(t *testing.T) {
	for _, s := range samples {
		t.Run(s.folder, func(t *testing.T) {
			o := s.options()
			o.QuantizeStat = true
			g, _, err := convert.Convert(s.graph(t), o)
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]convert.Range{} // by input and tensor
			log, err := os.ReadFile(s.path(t, "range_log_named.tsv"))
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(log)) {
				f := strings.Split(strings.TrimSpace(line), "\t")
				low, _ := strconv.ParseFloat(f[2], 64)
				high, _ := strconv.ParseFloat(f[3], 64)
				want[f[0]+" "+f[1]] = convert.Range{Min: low, Max: high}
			}
			names := convert.Logged(g)
			r, err := compile.Executor{Threads: 2}.Prepare(g, names)
			if err != nil {
				t.Fatal(err)
			}
			compared, worst := 0, 0.
			for suffix, x := range s.inputs(t, "calib_inputs.zip") {
				out, err := r.Run(t.Context(), map[string]*tensor.Tensor{s.input: x})
				if err != nil {
					t.Fatal(err)
				}
				for _, name := range names {
					w, ok := want[s.input+suffix+" "+name]
					if !ok {
						t.Fatalf("MACE logged no %s for %s", name, suffix)
					}
					v := tensor.Values[float32](out[name])
					difference := max(math.Abs(float64(slices.Min(v))-w.Min), math.Abs(float64(slices.Max(v))-w.Max)) / (w.Max - w.Min)
					if worst = max(worst, difference); difference > 1e-3 {
						t.Errorf("%s of %s is %v…%v, MACE has %v…%v", name, suffix, slices.Min(v), slices.Max(v), w.Min, w.Max)
					}
					compared++
				}
			}
			t.Logf("%d ranges, the greatest difference is %.2g of a range", compared, worst)
		})
	}
}

// TestDefaultArithmeticIsAsAccurate counts right answers of the models with the arithmetic and the input ranges that
// they have unless told otherwise.
func TestDefaultArithmeticIsAsAccurate(t *testing.T) {
	for _, s := range samples {
		outputs := unzip(t, s.path(t, "outputs.zip"))
		for _, setting := range s.settings {
			t.Run(s.folder+"/"+setting.name, func(t *testing.T) {
				g, _, err := convert.Convert(s.graph(t), s.quantized(t, setting.ranges))
				if err != nil {
					t.Fatal(err)
				}
				firstClass := 0
				if s.size > 100 {
					firstClass = 1 // class 0 is the background
				}
				ours, maces, all := 0, 0, 0
				for suffix, x := range s.inputs(t, "inputs.zip") {
					label, err := strconv.Atoi(strings.Split(suffix, "_")[1])
					if err != nil {
						t.Fatal(err)
					}
					all++
					if top(s.run(t, compile.Executor{Threads: 2}, g, x)) == label+firstClass {
						ours++
					}
					want := tensor.New(tensor.Float32, len(outputs["eval_"+s.prefix+"_quant_"+setting.name+"/"+s.output+suffix])/4)
					copy(want.Bytes(), outputs["eval_"+s.prefix+"_quant_"+setting.name+"/"+s.output+suffix])
					if top(tensor.Values[float32](want)) == label+firstClass {
						maces++
					}
				}
				t.Logf("%d of %d are right, %d of MACE's", ours, all, maces)
				if ours < maces {
					t.Errorf("%d of %d are right, %d of MACE's", ours, all, maces)
				}
			})
		}
	}
}
