package compile

import (
	"testing"

	"github.com/octet-nn/octet/internal/cpu"
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/quantize"
	"github.com/octet-nn/octet/internal/testmodel"
	"github.com/octet-nn/octet/tensor"
)

// Every layer of more than a million multiply-accumulates is shared evenly: no goroutine gets more than 1.15 times the
// mean, at any number of threads and at any tier. It is counted on the plans of real architectures.
func TestLayersAreSharedEvenly(t *testing.T) {
	for _, name := range testmodel.Names() {
		g := testmodel.New(name)
		in := map[string]*tensor.Tensor{}
		for _, v := range g.Inputs {
			shape, _ := v.Type.Shape.Known()
			in[v.Name] = tensor.New(v.Type.DType, shape...)
		}
		codes := quantized(t, g, in, quantize.Options{})
		for _, tier := range cpu.Available() {
			t.Run(name+" "+tier.String(), func(t *testing.T) {
				t.Setenv(cpu.Variable, tier.String())
				checkShares(t, name, g, in)
				checkShares(t, name+" int8", codes, in)
			})
		}
	}
}

func checkShares(t *testing.T, name string, g *graph.Graph, in map[string]*tensor.Tensor) {
	t.Helper()
	for _, threads := range []int{4, 8, 16, 64} {
		session, err := Compile(g, Options{Threads: threads})
		if err != nil {
			t.Fatal(err)
		}
		plan, err := session.Plan([]*tensor.Tensor{in[g.Inputs[0].Name]})
		session.Close()
		if err != nil {
			t.Fatal(err)
		}
		for i, share := range plan.Shares(threads) {
			step := &plan.Steps[i]
			if step.MACs > 1_000_000 && (share == 0 || share > 1.15) {
				t.Errorf("%s, %d threads: %s %s %s of %d multiply-accumulates: the largest share is %.2f times the mean",
					name, threads, step.Op, step.Kernel, step.Name, step.MACs, share)
			}
		}
	}
}
