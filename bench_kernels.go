package octet

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/octet-nn/octet/internal/compile"
	"github.com/octet-nn/octet/internal/runtime"
	"github.com/octet-nn/octet/tensor"
)

// KernelTime is how fast the kernels of one tier compute a layer. A tier is a set of instructions; see OCTET_CPU.
type KernelTime struct {
	Tier   string  `json:"tier"`   // name of the tier
	Kernel string  `json:"kernel"` // family, as in OperatorTime
	MS     float64 `json:"ms"`     // of the fastest run
	Chosen bool    `json:"chosen"` // sessions use this one
}

// LayerKernels is one shape of layer and all kernels that this machine has for it, in the order of tiers.
type LayerKernels struct {
	Op     string       `json:"op"`     // type of the operator: Conv
	Shapes string       `json:"shapes"` // of the first two operands and the result
	MACs   int64        `json:"macs"`   // multiply-accumulates of one run
	Nodes  []string     `json:"nodes"`  // that have this shape
	Times  []KernelTime `json:"times"`  // one for each tier that has a kernel
}

// Loss is the time of the chosen kernel over that of the fastest; 1 if it is the fastest.
func (l *LayerKernels) Loss() float64 {
	fastest, chosen := 0.0, 0.0
	for i, t := range l.Times {
		if i == 0 || t.MS < fastest {
			fastest = t.MS
		}
		if t.Chosen {
			chosen = t.MS
		}
	}
	if fastest == 0 {
		return 1
	}
	return chosen / fastest
}

// BenchKernels measures, for each shape of layer of a model, the kernels of every tier that this machine has, in turns.
// Duration is for all of them together, 0 for 2 s; Operators is of no account.
func BenchKernels(ctx context.Context, m *Model, o BenchOptions) ([]LayerKernels, error) {
	duration, least := o.Duration, o.Runs
	if duration == 0 {
		duration = 2 * time.Second
	}
	if least == 0 {
		least = 10
	}
	names, chosen, err := compile.Tiers()
	if err != nil {
		return nil, err
	}
	var tiers []*tierBench
	inputs := maps.Clone(o.Inputs) // the same for all, in the same memory
	if inputs == nil {
		inputs = map[string]*tensor.Tensor{}
	}
	for _, tier := range names {
		b, err := newTierBench(m, tier, o.Threads, inputs)
		if err != nil {
			return nil, err
		}
		defer b.session.Close()
		tiers = append(tiers, b)
	}
	begin := time.Now()
	order := rand.New(rand.NewPCG(1, 1))
	for round := 0; ; round++ {
		for _, i := range order.Perm(len(tiers)) { // else the first would always run on caches that the last has left
			b := tiers[i]
			if err := b.session.RunInto(ctx, b.in, b.out, &runtime.RunOptions{Profile: &b.profile}); err != nil {
				return nil, err
			}
		}
		elapsed := time.Since(begin)
		if o.Progress != nil {
			o.Progress(int(min(elapsed, duration).Milliseconds()), int(duration.Milliseconds()))
		}
		if round+1 >= least && elapsed >= duration {
			break
		}
	}
	return layers(tiers, chosen)
}

// tierBench is a model compiled with the kernels of one tier.
type tierBench struct {
	tier    string
	session *runtime.Session
	in, out []*tensor.Tensor
	profile runtime.Profile
}

// newTierBench adds the inputs that are missing.
func newTierBench(m *Model, tier string, threads int, inputs map[string]*tensor.Tensor) (*tierBench, error) {
	s, err := compile.Compile(m.graph, compile.Options{Threads: threads, Tier: tier})
	if err != nil {
		return nil, err
	}
	b := &tierBench{tier: tier, session: s, out: make([]*tensor.Tensor, len(s.Outputs()))}
	for _, v := range infos(s.Inputs()) {
		if inputs[v.Name] == nil {
			if inputs[v.Name], err = randomInput(v); err != nil {
				return nil, err
			}
		}
		b.in = append(b.in, inputs[v.Name])
	}
	return b, nil
}

// layers puts steps of equal kind and shape together. Steps that do no arithmetic on many elements are left out: nothing
// is to be chosen there.
func layers(tiers []*tierBench, chosen string) ([]LayerKernels, error) {
	type key struct {
		op, kernel, shapes string
		macs               int64
	}
	place := map[key]int{}
	var list []LayerKernels
	const pack = "pack" // the step before a product that packs its second matrix: a part of it, in the form that its kernel wants
	for i, step := range tiers[0].profile.Steps {
		if step.Kernel == pack {
			continue
		}
		k := key{step.Op, step.Kernel, step.Shapes, step.MACs}
		at, seen := place[k]
		if !seen {
			at = len(list)
			place[k] = at
			list = append(list, LayerKernels{Op: step.Op, Shapes: step.Shapes, MACs: step.MACs})
		}
		l := &list[at]
		l.Nodes = append(l.Nodes, step.Name)
		for j, b := range tiers {
			if len(b.profile.Steps) != len(tiers[0].profile.Steps) {
				return nil, fmt.Errorf("octet: plans of tiers %s and %s have other steps", b.tier, tiers[0].tier)
			}
			fastest := b.profile.Steps[i].Fastest
			if i > 0 && b.profile.Steps[i-1].Kernel == pack {
				fastest += b.profile.Steps[i-1].Fastest
			}
			ms := float64(fastest) / float64(time.Millisecond)
			if !seen {
				l.Times = append(l.Times, KernelTime{b.tier, b.profile.Steps[i].Kernel, ms, b.tier == chosen})
			} else {
				l.Times[j].MS = min(l.Times[j].MS, ms)
			}
		}
	}
	slices.SortStableFunc(list, func(a, b LayerKernels) int { return cmp.Compare(b.chosenMS(), a.chosenMS()) })
	return list, nil
}

// chosenMS is the time of the chosen kernel.
func (l *LayerKernels) chosenMS() float64 {
	for _, t := range l.Times {
		if t.Chosen {
			return t.MS
		}
	}
	return 0
}
