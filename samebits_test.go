package octet

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"testing"

	"github.com/octet-nn/octet/internal/cpu"
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

var update = flag.Bool("update", false, "write the golden files anew")

// floatError is what floats may differ by between tiers, as a normalized mean square error: they are added in another
// order.
const floatError = 1e-9

// goldenBits is what is known of one model.
type goldenBits struct {
	Codes string `json:",omitempty"` // hash of all values that follow from integers alone, by the reference interpreter
	Three string `json:",omitempty"` // the same of a batch of three
	// Floats are the outputs of a float model by plain Go on amd64, where they are compared across architectures.
	Floats []float32 `json:",omitempty"`
}

// TestSameBits runs every model that the repository and the shared folder have, and what this package makes of them, at
// every tier of the machine, with 1, 2, 3 and 8 threads, one sample and, where the file allows it, three. All values that
// follow from integers alone have the hashes of testdata/samebits.json, which the reference interpreter made: that is
// every integer node of an integer model but those behind floats. Whatever else there is has the same bits for every number of
// threads within a tier; across tiers, floats differ by no more than floatError.
//
// Runs allocate nothing and, but for the models that withReferences lists, have a kernel for every node.
//
// .ci/run also runs it on 386, for arm64 in an emulator, and as WebAssembly: hashes are the same everywhere. Large models
// need -models. With -update the interpreter makes the hashes of the models that are run anew.
func TestSameBits(t *testing.T) {
	if tier := os.Getenv(cpu.Variable); tier != "" {
		t.Skipf("SKIP: it runs at every tier by itself, not only at %s", tier)
	}
	const file = "testdata/samebits.json"
	golden := map[string]goldenBits{}
	if data, err := os.ReadFile(file); err == nil {
		if err := json.Unmarshal(data, &golden); err != nil {
			t.Fatal(err)
		}
	} else if !*update {
		t.Fatal(err)
	}
	t.Logf("%s: tiers %v", runtime.GOARCH, cpu.Available())
	for _, c := range bitModels(t) {
		t.Run(c.name, func(t *testing.T) {
			if c.large {
				requireModels(t)
			}
			m := c.load(t)
			if m == nil {
				t.FailNow()
			}
			b := newBits(t, c, m)
			known, ok := golden[c.name]
			if *update {
				if known, ok = b.reference(t), true; known.Codes != "" || known.Floats != nil {
					golden[c.name] = known
				}
			}
			if !ok && (b.integers > 0 || c.across) {
				t.Fatalf("%s does not know this model: run this test with -update", file)
			}
			b.check(t, known)
			b.checkAllocations(t)
		})
	}
	if *update && !t.Failed() {
		data, err := json.MarshalIndent(golden, "", "\t")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, append(data, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// bits is a model with what it is run on.
type bits struct {
	bitModel
	model    *Model
	exact    []string // values that follow from integers alone
	integers int      // how many of these integer nodes make
	inputs   []map[string]*tensor.Tensor
}

func newBits(t *testing.T, c bitModel, m *Model) *bits {
	t.Helper()
	b := &bits{bitModel: c, model: m}
	b.exact, b.integers = exactValues(m.graph)
	free := false // the first dimension of all inputs
	for i, v := range m.Inputs() {
		first := len(v.Shape) > 0 && v.Shape[0] < 0 && c.symbols[v.Symbols[0]] == 0
		free = first && (free || i == 0)
	}
	b.inputs = append(b.inputs, c.feed(m, 1))
	if free && !c.alone {
		b.inputs = append(b.inputs, c.feed(m, 3))
	}
	return b
}

// exactValues are the names of the values that nodes compute of integers, or of the inputs by converting or moving them
// alone: no float operator is before them. integers counts those that integer nodes make.
func exactValues(g *graph.Graph) (names []string, integers int) {
	exact, kept := map[*graph.Value]bool{}, map[*graph.Value]bool{}
	for _, v := range g.Inputs {
		exact[v] = true
	}
	for _, s := range g.States {
		kept[g.Outputs[s.Output]] = true // a run does not give it
	}
	for _, n := range g.Nodes {
		is := exactly(n)
		for _, v := range n.Inputs {
			is = is && (v == nil || v.Const != nil || exact[v])
		}
		for _, v := range n.Outputs {
			if v == nil || !is {
				continue
			}
			exact[v] = true
			if !kept[v] {
				names = append(names, v.Name)
			}
			if n.Compute != graph.Float || isIntegerProduct(n) {
				integers++
			}
		}
	}
	return names, integers
}

// exactly reports whether a node's results have the same bits everywhere if its operands have.
func exactly(n *graph.Node) bool {
	switch n.Compute {
	case graph.Integer, graph.IntegerToFloat:
		return true
	case graph.Float:
	default:
		return false
	}
	switch n.Op.Type() {
	case "Quantize", "Dequantize", "DynamicQuantizeLinear", "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Concat", "Slice", "Shape", "Gather", "Pad":
		return true
	}
	return isIntegerProduct(n)
}

// isIntegerProduct: ONNX has products of integers that know of no scales.
func isIntegerProduct(n *graph.Node) bool {
	return slices.Contains([]string{"ConvInteger", "MatMulInteger"}, n.Op.Type())
}

// feed is reproducible inputs: noise, codes of all sizes, small integers. The first samples of a larger batch are those of
// a smaller one.
func (c *bitModel) feed(m *Model, batch int) map[string]*tensor.Tensor {
	in := map[string]*tensor.Tensor{}
	for _, v := range m.Inputs() {
		random := rand.New(rand.NewPCG(7, 1))
		shape := slices.Clone(v.Shape)
		for i, n := range shape {
			switch {
			case n >= 0:
			case c.symbols[v.Symbols[i]] > 0:
				shape[i] = c.symbols[v.Symbols[i]]
			case i < len(c.shape) && c.shape[i] > 0:
				shape[i] = c.shape[i]
			case i == 0:
				shape[i] = batch
			default:
				shape[i] = 1
			}
		}
		n, _ := tensor.Count(shape)
		switch {
		case v.DType.IsFloat():
			values := make([]float32, n)
			for i := range values {
				values[i] = float32(random.NormFloat64() * max(c.deviation, 1))
			}
			in[v.Name] = op.FromFloat32s(v.DType, shape, values)
		case v.DType.Bits() == 8 && v.DType != tensor.Bool || v.DType == tensor.Int16:
			x := tensor.New(v.DType, shape...)
			for i := range x.Bytes() {
				x.Bytes()[i] = byte(random.Uint32())
			}
			in[v.Name] = x
		default:
			values := make([]int64, n)
			for i := range values {
				values[i] = random.Int64N(2)
			}
			in[v.Name] = op.FromInt64s(v.DType, shape, values)
		}
	}
	return in
}

// threads are those to run the model with: of slow ones, the most.
func (b *bits) threads(counts ...int) []int {
	if b.slow {
		return counts[len(counts)-1:]
	}
	return counts
}

// run runs a session twice on each batch: the second run meets memory that was used before.
func (b *bits) run(t *testing.T, o CompileOptions) []map[string]*tensor.Tensor {
	t.Helper()
	s, err := b.model.Compile(o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var all []map[string]*tensor.Tensor
	for _, in := range b.inputs {
		out, err := s.Run(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if !o.Reference && !b.slow {
			again, err := s.Run(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			sameOutputs(t, fmt.Sprintf("%v, %d threads, the second run", os.Getenv(cpu.Variable), o.Threads), again, out)
		}
		all = append(all, out)
	}
	return all
}

// reference is what the interpreter says; of floats, what plain Go does.
func (b *bits) reference(t *testing.T) (g goldenBits) {
	t.Helper()
	if b.integers > 0 {
		all := b.run(t, CompileOptions{Reference: true, Keep: b.exact})
		g.Codes = hashOf(all[0], b.exact)
		if len(all) > 1 {
			g.Three = hashOf(all[1], b.exact)
		}
	}
	if b.across {
		t.Setenv(cpu.Variable, cpu.Generic.String())
		g.Floats = valuesOf(b.run(t, CompileOptions{Threads: 1}))
	}
	return g
}

func (b *bits) check(t *testing.T, known goldenBits) {
	t.Helper()
	var before []map[string]*tensor.Tensor // results at the tier before
	worst := 0.0
	for _, tier := range cpu.Available() {
		t.Setenv(cpu.Variable, tier.String())
		alone := b.run(t, CompileOptions{Threads: 1})
		for _, threads := range b.threads(2, 3, 8) {
			for i, out := range b.run(t, CompileOptions{Threads: threads}) {
				sameOutputs(t, fmt.Sprintf("%v, batch %d, %d threads", tier, 2*i+1, threads), out, alone[i])
			}
		}
		if b.integers > 0 {
			for _, threads := range b.threads(1, 3) {
				kept := b.run(t, CompileOptions{Threads: threads, Keep: b.exact})
				for i, want := range []string{known.Codes, known.Three}[:len(kept)] {
					if hash := hashOf(kept[i], b.exact); hash != want {
						t.Errorf("%s, %v, batch %d, %d threads: the hash of %d values is %s, want %s", runtime.GOARCH, tier, 2*i+1, threads, len(b.exact), hash, want)
					}
					for name, x := range alone[i] { // what is fused across values that nobody keeps gives the same codes
						if slices.Contains(b.exact, name) && !slices.Equal(x.Bytes(), kept[i][name].Bytes()) {
							t.Errorf("%v, batch %d: output %q is not what it is where every value is kept", tier, 2*i+1, name)
						}
					}
				}
				if len(kept) > 1 {
					beginsWith(t, tier, kept[1], kept[0])
				}
			}
		}
		if known.Floats != nil {
			if e := squareError(valuesOf(alone), known.Floats); !(e <= floatError) {
				t.Errorf("%s, %v: a normalized mean square error of %g", runtime.GOARCH, tier, e)
			}
		}
		if before != nil {
			for i, out := range alone {
				for name, x := range out {
					if !x.DType().IsFloat() {
						continue
					}
					e := squareError(op.Float32s(x), op.Float32s(before[i][name]))
					worst = max(worst, e)
					if !(e <= floatError) {
						t.Errorf("%v: %s differs from the tier above by a normalized mean square error of %g", tier, name, e)
					}
				}
			}
		}
		before = alone
	}
	t.Logf("%d values follow from integers alone; across tiers floats differ by %.2g", len(b.exact), worst)
}

// checkAllocations runs the model on tensors that are there already.
func (b *bits) checkAllocations(t *testing.T) {
	t.Helper()
	t.Setenv(cpu.Variable, cpu.Available()[0].String())
	for _, threads := range []int{1, 2} {
		s, err := b.model.Compile(CompileOptions{Threads: threads})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		out := make([]*tensor.Tensor, len(s.Outputs()))
		var in []*tensor.Tensor
		for _, v := range s.Inputs() {
			in = append(in, b.inputs[0][v.Name])
		}
		run := func() {
			if err := s.RunInto(t.Context(), in, out, nil); err != nil {
				t.Fatal(err)
			}
		}
		run()
		excused := slices.Contains(withReferences, b.name)
		if refers := s.ReferenceEvaluations() > 0; refers != excused {
			t.Errorf("%d reference evaluations", s.ReferenceEvaluations())
		}
		if excused {
			continue
		}
		n := 1.0
		for try := 0; n > 0 && try < 3; try++ { // the count is of the whole process, the garbage collector's included
			n = testing.AllocsPerRun(1, run)
		}
		if n > 0 {
			t.Errorf("%d threads: %v allocations a run", threads, n)
		}
	}
}

// sameOutputs compares results bit for bit.
func sameOutputs(t *testing.T, where string, got, want map[string]*tensor.Tensor) {
	t.Helper()
	for name, x := range want {
		if y := got[name]; y == nil || y.String() != x.String() || !slices.Equal(x.Bytes(), y.Bytes()) {
			t.Errorf("%s: other bits of %q", where, name)
		}
	}
}

// beginsWith: the codes of a batch of three begin with those of its first sample, where the batch is the first dimension.
func beginsWith(t *testing.T, tier cpu.Tier, three, one map[string]*tensor.Tensor) {
	t.Helper()
	for name, x := range one {
		y := three[name]
		if x.DType().IsFloat() || len(x.Shape()) == 0 || len(y.Shape()) != len(x.Shape()) || y.Shape()[0] != 3*x.Shape()[0] {
			continue
		}
		if !slices.Equal(y.Bytes()[:len(x.Bytes())], x.Bytes()) {
			t.Errorf("%v: %q is another in a batch", tier, name)
		}
	}
}

// hashOf is the hash of the named values.
func hashOf(out map[string]*tensor.Tensor, names []string) string {
	h := sha256.New()
	for _, name := range names {
		fmt.Fprintf(h, "%s %v %v\n", name, out[name].DType(), out[name].Shape())
		h.Write(out[name].Bytes())
	}
	return hex.EncodeToString(h.Sum(nil))
}

// valuesOf is all floats of runs, by name.
func valuesOf(runs []map[string]*tensor.Tensor) (all []float32) {
	for _, out := range runs {
		for _, name := range slices.Sorted(maps.Keys(out)) {
			all = append(all, tensor.Values[float32](out[name])...)
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
		if got[i] == w || got[i] != got[i] && w != w {
			continue
		}
		d := float64(got[i]) - float64(w)
		difference += d * d
		size += float64(w) * float64(w)
	}
	if difference == 0 {
		return 0
	}
	return difference / size
}

// inArithmetic makes all integer nodes of a model compute in a row of the arithmetics.
func inArithmetic(m *Model, row numeric.Arithmetic) *Model {
	for _, n := range m.graph.Nodes {
		if n.Compute != graph.Float {
			n.Arithmetic = row
		}
	}
	return m
}
