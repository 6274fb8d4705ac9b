package graph

import (
	"fmt"
	"slices"

	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/tensor"
)

// Compute says which computation a node performs; Check compares it with the types of its operands.
type Compute uint8

const (
	// Float computes on float values, or moves and compares values of any type without regard to quantization.
	Float Compute = iota
	// Integer computes on integer codes throughout, rounding as the node's Arithmetic says.
	Integer
	// IntegerToFloat has integer operands and accumulators and a float result.
	IntegerToFloat
	// WeightOnly has float activations and integer weights that are dequantized as they are used.
	WeightOnly
	// DynamicActivations has float activations that are quantized per run before an integer product.
	DynamicActivations

	computeCount
)

var computeNames = [computeCount]string{"float", "integer", "integer-to-float", "weight-only", "dynamic-activations"}

func (c Compute) String() string {
	if c >= computeCount {
		return fmt.Sprintf("compute(%d)", uint8(c))
	}
	return computeNames[c]
}

// ParseCompute is the inverse of String.
func ParseCompute(name string) (Compute, bool) {
	i := slices.Index(computeNames[:], name)
	return Compute(max(i, 0)), i >= 0
}

// Operator is what a node computes: a pointer to a struct whose exported fields are its attributes. Operators are
// immutable once they are in a graph (change a copy and replace it); package op defines what else they can do.
type Operator interface {
	// Type is the canonical operator name, for example "Conv".
	Type() string
}

// Value is an edge of the graph: a graph input, a constant, or the output of one node.
type Value struct {
	Name   string // unique in its graph
	Origin string // the name in the source file where that differs from Name; see Source
	Type   Type
	Const  *tensor.Tensor // the value itself, if it is constant; never written to
}

// Source is the value's name in the file it came from, by which ranges, reports and patterns find it.
func (v *Value) Source() string {
	if v.Origin != "" {
		return v.Origin
	}
	return v.Name
}

// Node applies an operator to values.
type Node struct {
	Name       string // not necessarily unique; for messages and reports
	Op         Operator
	Inputs     []*Value // nil where an optional operand is absent
	Outputs    []*Value // nil where an optional result is not wanted
	Compute    Compute
	Arithmetic numeric.Arithmetic
}

// Input is operand i, or nil if it is absent.
func (n *Node) Input(i int) *Value {
	if i < len(n.Inputs) {
		return n.Inputs[i]
	}
	return nil
}

// Describe names the node for messages: Conv "block1/conv".
func (n *Node) Describe() string { return fmt.Sprintf("%s %q", n.Op.Type(), n.Name) }

// Graph is a network. Nodes are in an order in which every value is computed before it is used.
type Graph struct {
	Name     string
	Inputs   []*Value
	Outputs  []*Value
	Nodes    []*Node
	Metadata map[string]string // travels with the model file; may be nil
	States   []State           // what one run hands on to the next
	// Backing is what constants are parts of, if that is no memory of Go's: a mapped file. It is valid as long as it is
	// reachable, and copies of the graph share it.
	Backing any
}

// Clone copies the graph so that values and nodes of the copy can be changed. Operators and constants, which are
// immutable, are shared.
func (g *Graph) Clone() *Graph {
	values := map[*Value]*Value{nil: nil}
	value := func(v *Value) *Value {
		c, ok := values[v]
		if !ok {
			copied := *v
			c = &copied
			values[v] = c
		}
		return c
	}
	list := func(vs []*Value) []*Value {
		out := make([]*Value, len(vs))
		for i, v := range vs {
			out[i] = value(v)
		}
		return out
	}
	c := &Graph{Name: g.Name, Inputs: list(g.Inputs), Outputs: list(g.Outputs), Nodes: make([]*Node, len(g.Nodes)), Backing: g.Backing}
	for i, n := range g.Nodes {
		copied := *n
		copied.Inputs, copied.Outputs = list(n.Inputs), list(n.Outputs)
		c.Nodes[i] = &copied
	}
	c.States = slices.Clone(g.States)
	if g.Metadata != nil {
		c.Metadata = make(map[string]string, len(g.Metadata))
		for k, v := range g.Metadata {
			c.Metadata[k] = v
		}
	}
	return c
}

// Values lists every value once: inputs first, then in order of first appearance in the nodes, then outputs.
func (g *Graph) Values() []*Value {
	seen := map[*Value]bool{nil: true}
	var all []*Value
	add := func(vs []*Value) {
		for _, v := range vs {
			if !seen[v] {
				seen[v] = true
				all = append(all, v)
			}
		}
	}
	add(g.Inputs)
	for _, n := range g.Nodes {
		add(n.Inputs)
		add(n.Outputs)
	}
	add(g.Outputs)
	return all
}

// Value finds a value by Name, or else by Origin; nil if there is none.
func (g *Graph) Value(name string) *Value {
	var byOrigin *Value
	for _, v := range g.Values() {
		if v.Name == name {
			return v
		}
		if v.Origin == name && byOrigin == nil {
			byOrigin = v
		}
	}
	return byOrigin
}

// Use is one place where a value is read: operand Index of Node.
type Use struct {
	Node  *Node
	Index int
}

// Index answers who makes and who reads each value. It is a snapshot: build it anew after changing the graph.
type Index struct {
	producer map[*Value]*Node
	uses     map[*Value][]Use
	output   map[*Value]bool
	names    map[string]bool
}

// Index builds the index of the graph as it is now.
func (g *Graph) Index() *Index {
	count := len(g.Nodes)
	ix := &Index{
		make(map[*Value]*Node, count), make(map[*Value][]Use, 2*count), make(map[*Value]bool, len(g.Outputs)),
		make(map[string]bool, 3*count),
	}
	for _, n := range g.Nodes {
		for i, v := range n.Inputs {
			if v != nil {
				ix.uses[v] = append(ix.uses[v], Use{n, i})
				ix.names[v.Name] = true
			}
		}
		for _, v := range n.Outputs {
			if v != nil {
				ix.producer[v] = n
				ix.names[v.Name] = true
			}
		}
	}
	for _, v := range g.Outputs {
		ix.output[v] = true
		ix.names[v.Name] = true
	}
	for _, v := range g.Inputs {
		ix.names[v.Name] = true
	}
	return ix
}

// Producer is the node that computes v; nil for inputs and constants.
func (ix *Index) Producer(v *Value) *Node { return ix.producer[v] }

// Uses are the operands that read v, in node order. Being a graph output is not among them.
func (ix *Index) Uses(v *Value) []Use { return ix.uses[v] }

// IsOutput reports whether v is a graph output.
func (ix *Index) IsOutput(v *Value) bool { return ix.output[v] }

// OnlyUse is the single reader of v, provided v is not a graph output as well.
func (ix *Index) OnlyUse(v *Value) (Use, bool) {
	if u := ix.uses[v]; len(u) == 1 && !ix.output[v] {
		return u[0], true
	}
	return Use{}, false
}

// Fresh returns base or, if a value has that name already, base_1, base_2, …, and reserves it.
func (ix *Index) Fresh(base string) string {
	name := base
	for i := 1; ix.names[name]; i++ {
		name = fmt.Sprintf("%s_%d", base, i)
	}
	ix.names[name] = true
	return name
}

// ReplaceUses makes every reader of old, and the list of graph outputs, refer to new instead.
func (g *Graph) ReplaceUses(old, new *Value) {
	for _, n := range g.Nodes {
		for i, v := range n.Inputs {
			if v == old {
				n.Inputs[i] = new
			}
		}
	}
	for i, v := range g.Outputs {
		if v == old {
			g.Outputs[i] = new
		}
	}
}

// Sort puts the nodes into a valid order, keeping the present one where it can. It fails, naming the values, if the
// graph is cyclic or a node reads a value that nothing produces.
func (g *Graph) Sort() error {
	ready := map[*Value]bool{nil: true}
	for _, v := range g.Inputs {
		ready[v] = true
	}
	producer := map[*Value]*Node{}
	for _, n := range g.Nodes {
		for _, v := range n.Outputs {
			if v != nil {
				producer[v] = n
			}
		}
	}
	const (
		unvisited = iota
		open
		done
	)
	state := map[*Node]int{}
	order := make([]*Node, 0, len(g.Nodes))
	type frame struct {
		node *Node
		next int
	}
	for _, root := range g.Nodes {
		if state[root] != unvisited {
			continue
		}
		state[root] = open
		for stack := []frame{{root, 0}}; len(stack) > 0; {
			top := &stack[len(stack)-1]
			if top.next == len(top.node.Inputs) {
				state[top.node] = done
				order = append(order, top.node)
				stack = stack[:len(stack)-1]
				continue
			}
			v := top.node.Inputs[top.next]
			top.next++
			if ready[v] || v.Const != nil {
				continue
			}
			p := producer[v]
			switch {
			case p == nil:
				return fmt.Errorf("%s reads %q, which no node, input or constant provides", top.node.Describe(), v.Name)
			case state[p] == open:
				return fmt.Errorf("the graph is cyclic: %s reads %q, which depends on its own result", top.node.Describe(), v.Name)
			case state[p] == unvisited:
				state[p] = open
				stack = append(stack, frame{p, 0})
			}
		}
	}
	copy(g.Nodes, order)
	return nil
}

// RemoveDead drops nodes whose results nobody needs and reports whether there were any.
func (g *Graph) RemoveDead() bool {
	needed := map[*Value]bool{}
	for _, v := range g.Outputs {
		needed[v] = true
	}
	kept := len(g.Nodes)
	keep := make([]bool, len(g.Nodes))
	for i := len(g.Nodes) - 1; i >= 0; i-- {
		n := g.Nodes[i]
		if !slices.ContainsFunc(n.Outputs, func(v *Value) bool { return v != nil && needed[v] }) {
			kept--
			continue
		}
		keep[i] = true
		for _, v := range n.Inputs {
			needed[v] = true
		}
	}
	if kept == len(g.Nodes) {
		return false
	}
	nodes := make([]*Node, 0, kept)
	for i, n := range g.Nodes {
		if keep[i] {
			nodes = append(nodes, n)
		}
	}
	g.Nodes = nodes
	return true
}
