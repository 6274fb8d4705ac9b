package octet

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/octet-nn/octet/internal/cpu"
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/tensor"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestSmallModels runs a float model and its int8 form end to end, at every tier of the machine and several thread
// counts. Codes have the hashes that testdata/architectures.json has, whatever the processor: .ci/run runs this test on
// amd64 and 386, for arm64 in an emulator, and as WebAssembly. The int8 model is what `octet demo` makes of the float one.
func TestSmallModels(t *testing.T) {
	const (
		golden     = "testdata/architectures.json"
		preprocess = "{quantized: {type: i8, scale: 0.5847029, zero_point: 83}}"
		count      = 3
	)
	type results struct {
		Codes  map[string]string    // by arithmetic: the hash of all values that are codes, by name
		Floats map[string][]float32 // by model
	}
	var want results
	if data, err := os.ReadFile(golden); err == nil {
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatal(err)
		}
	} else if !*update {
		t.Fatal(err)
	}
	float, err := Load(filepath.Join("cmd", "octet", "assets", "kws.onnx"), LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	samples, err := OpenSamples(filepath.Join("cmd", "octet", "assets", "samples.zip"), float.Inputs(),
		SampleOptions{Preprocess: preprocess, Labels: "y_labels.csv"})
	if err != nil {
		t.Fatal(err)
	}
	var inputs []map[string]*tensor.Tensor
	for sample, err := range samples.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if inputs = append(inputs, sample.Inputs); len(inputs) == count {
			break
		}
	}
	run := func(m *Model, o CompileOptions) []map[string]*tensor.Tensor {
		t.Helper()
		session, err := m.Compile(o)
		if err != nil {
			t.Fatal(err)
		}
		defer session.Close()
		var all []map[string]*tensor.Tensor
		for _, in := range inputs {
			out, err := session.Run(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, out)
		}
		return all
	}
	got := results{Codes: map[string]string{}, Floats: map[string][]float32{}}
	tiers := cpu.Available()
	for _, tier := range tiers {
		t.Setenv(cpu.Variable, tier.String())
		floats := func(name string, m *Model) {
			values := valuesOf(run(m, CompileOptions{Threads: 1}))
			for _, threads := range []int{2, 3} {
				if other := valuesOf(run(m, CompileOptions{Threads: threads})); !slices.Equal(values, other) {
					t.Errorf("%v, %s: other bits with %d threads", tier, name, threads)
				}
			}
			if known, ok := want.Floats[name]; ok {
				if e := squareError(values, known); e > 1e-9 {
					t.Errorf("%v, %s: a normalized mean square error of %g", tier, name, e)
				}
			}
			got.Floats[name] = values
		}
		floats("float", float)
		for _, row := range numeric.Arithmetics() {
			m, err := Load("testdata/kws.int8.onnx", LoadOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if row == numeric.ONNX {
				floats("int8", m)
			}
			if row == numeric.TFLite16x8 {
				continue // for activations of 16 bits
			}
			codes := arithmeticOf(m, row)
			reference := hashOf(run(m, CompileOptions{Reference: true, Keep: codes}), codes)
			for _, threads := range []int{1, 3} {
				if hash := hashOf(run(m, CompileOptions{Threads: threads, Keep: codes}), codes); hash != reference {
					t.Errorf("%v, %v, %d threads: other codes than the interpreter's", tier, row, threads)
				}
			}
			if known, ok := want.Codes[row.String()]; ok && known != reference {
				t.Errorf("%v on %s: the hash of the codes is %s, want %s", row, runtime.GOARCH, reference, known)
			}
			got.Codes[row.String()] = reference
		}
	}
	t.Logf("%s: tiers %v", runtime.GOARCH, tiers)
	if *update {
		data, err := json.MarshalIndent(got, "", "\t")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, append(data, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !slices.Equal(slices.Sorted(maps.Keys(got.Codes)), slices.Sorted(maps.Keys(want.Codes))) || len(want.Floats) != len(got.Floats) {
		t.Errorf("%s has not what this test computes: run it with -update", golden)
	}
}

// arithmeticOf makes all integer nodes of a model compute in a row of the arithmetics, and names the codes they make.
func arithmeticOf(m *Model, row numeric.Arithmetic) (codes []string) {
	for _, n := range m.graph.Nodes {
		if n.Compute == graph.Float {
			continue
		}
		n.Arithmetic = row
		for _, v := range n.Outputs {
			if !v.Type.DType.IsFloat() {
				codes = append(codes, v.Name)
			}
		}
	}
	return codes
}

// hashOf is the hash of the named values of all runs.
func hashOf(runs []map[string]*tensor.Tensor, names []string) string {
	h := sha256.New()
	for _, out := range runs {
		for _, name := range names {
			fmt.Fprintf(h, "%s %v %v\n", name, out[name].DType(), out[name].Shape())
			h.Write(out[name].Bytes())
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

func valuesOf(runs []map[string]*tensor.Tensor) (all []float32) {
	for _, out := range runs {
		for _, x := range out {
			all = append(all, tensor.Values[float32](x)...)
		}
	}
	return all
}

// squareError is the sum of squared differences over the sum of squares.
func squareError(got, want []float32) float64 {
	if len(got) != len(want) {
		return 1
	}
	var difference, size float64
	for i, w := range want {
		d := float64(got[i]) - float64(w)
		difference += d * d
		size += float64(w) * float64(w)
	}
	return difference / size
}
