package octet

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/testdata"
	"github.com/octet-nn/octet/tensor"
)

// network is a model of the shared folder and what its quantized form has to be like.
type network struct {
	file     string
	shape    []int    // of its input, for one sample
	islands  []string // operators that compute floats; nil: any, but 90 % of the work in integers
	batch    bool     // the batch dimension is free
	deviates float64  // deviation of the input's values, 0: 1
	slow     bool     // the interpreter takes a minute
}

var networks = []network{
	{file: "mobilenet_v2_dq.onnx", shape: []int{1, 3, 224, 224}, islands: []string{}, batch: true},
	{file: "squeezenet1.1_fp32.onnx", shape: []int{1, 3, 224, 224}, islands: []string{"Softmax"}},
	{file: "resnet20_cifar10.onnx", shape: []int{1, 3, 32, 32}, islands: []string{}, batch: true},
	{file: "mnist_cntk.onnx", shape: []int{1, 1, 28, 28}, islands: []string{}, deviates: 100},
	{file: "mnist_cnn_pytorch.onnx", shape: []int{1, 1, 28, 28}, islands: []string{"LogSoftmax"}},
	{file: "ultraface_slim320_simplified.onnx", shape: []int{1, 3, 240, 320}, islands: []string{"Softmax"}},
	{file: "speech_embedding.onnx", shape: []int{1, 76, 32, 1}, islands: []string{}, batch: true, deviates: 10},
	{file: "ppocr_v2_cls.onnx", shape: []int{1, 3, 48, 192}, batch: true},
	{file: "ppocr_v4_det.onnx", shape: []int{1, 3, 96, 96}, batch: true},
	{file: "style_candy.onnx", shape: []int{1, 3, 720, 720}, deviates: 60, slow: true},
}

// noise is a tensor for the network's input, n samples.
func (n network) noise(input ValueInfo, samples int, seed uint64) *tensor.Tensor {
	shape := slices.Clone(n.shape)
	shape[0] = samples
	x := tensor.New(input.DType, shape...)
	random := rand.New(rand.NewPCG(seed, 1))
	for i := range tensor.Values[float32](x) {
		tensor.Values[float32](x)[i] = float32(random.NormFloat64() * max(n.deviates, 1))
	}
	return x
}

// TestNetworksAreIntegers: of the networks nothing stays float but what comes last; the compiled program agrees with the
// reference interpreter bit for bit on every integer node, at 1, 2 and 8 threads, of one sample and of three; and runs
// allocate nothing.
func TestNetworksAreIntegers(t *testing.T) {
	for _, n := range networks {
		t.Run(n.file, func(t *testing.T) {
			if testing.Short() {
				t.Skip("SKIP: the interpreter takes seconds")
			}
			if n.slow {
				requireModels(t)
			}
			m, err := Load(testdata.Shared(t, "onnx", n.file), LoadOptions{})
			if err != nil {
				t.Fatal(err)
			}
			in := m.Inputs()[0]
			var list []Sample
			for i := range 2 {
				list = append(list, Sample{ID: fmt.Sprint(i), Inputs: map[string]*tensor.Tensor{in.Name: n.noise(in, 1, uint64(i))}})
			}
			q, report, err := m.Quantize(context.Background(), SliceSamples(list...), QuantizeOptions{Method: "min-max"})
			if err != nil {
				t.Fatal(err)
			}
			n.checkIslands(t, report)
			n.checkAllocations(t, m)
			n.checkAllocations(t, q)
			n.compareIntegers(t, q, n.noise(in, 1, 7))
			if n.batch {
				n.compareIntegers(t, q, n.noise(in, 3, 8))
			}
		})
	}
}

func (n network) checkIslands(t *testing.T, report *QuantizeReport) {
	var islands []string
	for _, d := range report.Islands() {
		if d.Reason == "" {
			t.Errorf("%s %q stays float without a reason", d.Op, d.Node)
		}
		if d.MACs > 0 || !slices.Contains([]string{"Reshape", "Flatten", "Transpose", "Concat"}, d.Op) { // the others only move floats
			islands = append(islands, d.Op)
		}
	}
	t.Logf("%.1f %% on integers, islands %q", 100*report.IntegerShare, islands)
	if n.islands != nil && !slices.Equal(slices.Compact(islands), n.islands) && len(islands)+len(n.islands) > 0 {
		t.Errorf("islands %q, want %q", islands, n.islands)
	}
	if report.IntegerShare < 0.9 {
		t.Errorf("%.1f %% on integers", 100*report.IntegerShare)
	}
}

func (n network) checkAllocations(t *testing.T, m *Model) {
	for _, threads := range []int{1, 2} {
		s, err := m.Compile(CompileOptions{Threads: threads})
		if err != nil {
			t.Fatal(err)
		}
		in, out := []*tensor.Tensor{n.noise(s.Inputs()[0], 1, 3)}, make([]*tensor.Tensor, len(s.Outputs()))
		run := func() {
			if err := s.RunInto(context.Background(), in, out, nil); err != nil {
				t.Fatal(err)
			}
		}
		run()
		if allocations := testing.AllocsPerRun(3, run); allocations != 0 || s.ReferenceEvaluations() != 0 {
			t.Errorf("quantized %v, %d threads: %v allocations a run, %d reference evaluations", m.Quantized(), threads, allocations, s.ReferenceEvaluations())
		}
		s.Close()
	}
}

// compareIntegers compares what all integer nodes give, and the outputs of the program as it is compiled without keeping
// anything between thread counts.
func (n network) compareIntegers(t *testing.T, q *Model, x *tensor.Tensor) {
	var keep []string
	for _, node := range q.graph.Nodes {
		if node.Compute == graph.Integer {
			for _, v := range node.Outputs {
				keep = append(keep, v.Name)
			}
		}
	}
	in := map[string]*tensor.Tensor{q.Inputs()[0].Name: x}
	run := func(o CompileOptions) map[string]*tensor.Tensor {
		s, err := q.Compile(o)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		out, err := s.Run(context.Background(), in)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	want := run(CompileOptions{Reference: true, Keep: keep})
	alone := run(CompileOptions{Threads: 1})
	for _, threads := range []int{1, 2, 8} {
		got := run(CompileOptions{Threads: threads, Keep: keep})
		different := 0
		for _, name := range keep {
			if !bytes.Equal(got[name].Bytes(), want[name].Bytes()) {
				different++
			}
		}
		if different > 0 || len(keep) == 0 {
			t.Errorf("%v, %d threads: %d of %d integer nodes differ", x, threads, different, len(keep))
		}
		for name, y := range run(CompileOptions{Threads: threads}) {
			if !bytes.Equal(y.Bytes(), alone[name].Bytes()) {
				t.Errorf("%v, %d threads: output %q differs from that of one thread", x, threads, name)
			}
		}
	}
}
