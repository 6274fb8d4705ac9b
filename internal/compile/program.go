package compile

import (
	"errors"
	"fmt"
	"math"
	goruntime "runtime"
	"sync"
	"sync/atomic"

	"github.com/octet-nn/octet/internal/cpu"
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/kernel"
	"github.com/octet-nn/octet/internal/op"
)

const defaultMaxBytes = min(8<<30, math.MaxInt)

// program is the shape-independent half: the lowered graph, with a kernel for each node.
type program struct {
	inputs, outputs []*graph.Value // as declared by the graph that was compiled
	graph           *graph.Graph   // lowered; owns its constants
	kernels         []prepared     // by node; nil where only the reference evaluation serves
	traits          []trait        // by node: where its kernel can read and write
	stages          []stage        // by node: how it is a stage of a chain; see chain.go
	threads         int            // of a run
	vector          kernel.Vector  // kernels on elements
	maxBytes        int
}

// prepared is a node made ready for operands of any shape, with its constants packed. It plans the node for particular
// ones.
type prepared func(c *planning) error

// newProgram lowers the graph and chooses kernels.
func newProgram(g *graph.Graph, o Options) (*program, error) {
	g = g.Clone()
	if err := keepValues(g, o.Keep); err != nil {
		return nil, err
	}
	if err := g.Check(); err != nil {
		return nil, err
	}
	if err := op.CheckSupported(g); err != nil {
		return nil, err
	}
	if _, err := op.Infer(g); err != nil {
		return nil, err
	}
	p := &program{inputs: g.Inputs, outputs: declared(g.Outputs), maxBytes: o.MaxBytes}
	if p.maxBytes <= 0 {
		p.maxBytes = defaultMaxBytes
	}
	p.graph = g.Clone()
	if err := lower(p.graph, o.Keep); err != nil {
		return nil, err
	}
	tier, err := o.tier()
	if err != nil {
		return nil, err
	}
	b := &builder{kernels: kernel.For(tier), packed: map[graph.Use]bool{}, traits: map[*graph.Node]trait{}, stages: map[*graph.Node]stage{},
		residuals: map[*graph.Node]residualSum{}, maxBytes: p.maxBytes, direct: o.Direct, compile: newProgram}
	p.vector = b.kernels.Vector()
	if p.threads = o.Threads; p.threads <= 0 {
		p.threads = goruntime.GOMAXPROCS(0)
	}
	if p.kernels, err = b.chooseAll(p.graph.Nodes, p.threads); err != nil {
		return nil, err
	}
	p.kernels = b.join(p.graph, p.kernels)
	p.traits, p.stages = make([]trait, len(p.graph.Nodes)), make([]stage, len(p.graph.Nodes))
	for i, n := range p.graph.Nodes {
		p.traits[i], p.stages[i] = b.traits[n], b.stages[n]
	}
	b.own(p.graph)
	return p, nil
}

// tier is which kernels are used.
func (o *Options) tier() (cpu.Tier, error) {
	if o.Tier == "" {
		return cpu.Choose()
	}
	for _, tier := range cpu.Available() {
		if tier.String() == o.Tier {
			return tier, nil
		}
	}
	return cpu.Generic, fmt.Errorf("this machine has no tier %q of kernels", o.Tier)
}

// Tiers names the tiers of kernels that this machine has, best first, and the one that is used.
func Tiers() (names []string, used string, err error) {
	for _, tier := range cpu.Available() {
		names = append(names, tier.String())
	}
	tier, err := cpu.Choose()
	return names, tier.String(), err
}

// declared copies values, so that the session shows them as they were before lowering.
func declared(values []*graph.Value) []*graph.Value {
	copies := make([]*graph.Value, len(values))
	for i, v := range values {
		c := *v
		copies[i] = &c
	}
	return copies
}

// Inputs are the declared inputs.
func (p *program) Inputs() []*graph.Value { return p.inputs }

// Outputs are the graph's outputs and then the kept values.
func (p *program) Outputs() []*graph.Value { return p.outputs }

// builder chooses kernels and remembers which constants they have packed. Nodes are prepared on several goroutines.
type builder struct {
	kernels kernel.Set
	direct  bool // as in Options

	mu        sync.Mutex // of the maps
	packed    map[graph.Use]bool
	traits    map[*graph.Node]trait
	stages    map[*graph.Node]stage
	residuals map[*graph.Node]residualSum // see sums

	// For the bodies of nodes: what compiles them, and how many bytes one run may take.
	compile  func(g *graph.Graph, o Options) (*program, error)
	maxBytes int
}

// chooseAll finds the kernel for each node, on as many goroutines as a run has.
func (b *builder) chooseAll(nodes []*graph.Node, threads int) ([]prepared, error) {
	kernels, problems := make([]prepared, len(nodes)), make([]error, len(nodes))
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(threads, len(nodes)) {
		group.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(nodes) {
					return
				}
				if kernels[i], problems[i] = b.choose(nodes[i]); problems[i] != nil {
					problems[i] = fmt.Errorf("%s: %w", nodes[i].Describe(), problems[i])
				}
			}
		})
	}
	group.Wait()
	return kernels, errors.Join(problems...)
}

// choose finds the kernel for a node; nil if there is none.
func (b *builder) choose(n *graph.Node) (prepared, error) {
	for _, row := range lowerings[n.Op.Type()] {
		if row.computes&(1<<n.Compute) == 0 {
			continue
		}
		if k, err := row.lower(b, n); k != nil || err != nil {
			return k, err
		}
	}
	return nil, nil
}

// pack notes that the kernel of node n has its own copy of the constant operands i.
func (b *builder) pack(n *graph.Node, operands ...int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, i := range operands {
		b.packed[graph.Use{Node: n, Index: i}] = true
	}
}

// trait is what the kernel of a node can do besides reading operands and writing results whose elements are packed.
type trait uint8

const (
	readsViews    trait = 1 << iota // any operand, in whatever order its elements are
	readsPixels                     // operand 0, if its pixels or rows (all dimensions but the last) have the same distance
	writesPixels                    // result 0, likewise
	planarOnly                      // the latter two where there are one or two spatial dimensions
	movesElements                   // operands and results, in whatever order
	isView                          // result 0 is the bytes of operand 0
	addsResiduals                   // to result 0, a product; see joined
)

// can notes traits of the kernel of node n.
func (b *builder) can(n *graph.Node, t trait) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.traits[n] |= t
}

// canPixels is can for spatial operators, which read and write other memory than that of values unless channels are last.
func (b *builder) canPixels(n *graph.Node, l op.Layout, t trait) {
	if l == op.NHWC {
		b.can(n, t)
	}
}

// own makes the graph independent of the model file: constants that are still read are copied, the others dropped.
func (b *builder) own(g *graph.Graph) {
	read := map[*graph.Value]bool{}
	for _, v := range g.Outputs {
		read[v] = true
	}
	for _, n := range g.Nodes {
		for i, v := range n.Inputs {
			if v != nil && !b.packed[graph.Use{Node: n, Index: i}] {
				read[v] = true
			}
		}
	}
	for _, v := range g.Values() {
		switch {
		case v.Const == nil:
		case read[v]:
			v.Const = v.Const.Clone()
		default:
			v.Const = nil
		}
	}
	g.Backing = nil
}
