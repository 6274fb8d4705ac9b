package op

import (
	"fmt"
	"strings"

	"github.com/octet-nn/octet/internal/graph"
)

// UnsupportedError lists all nodes of a model that cannot be run.
type UnsupportedError struct {
	Nodes []UnsupportedNode
}

// UnsupportedNode is a node whose operator is not known.
type UnsupportedNode struct {
	Name string // of the node
	Op   string // operator, with its domain
}

// Error lists the nodes.
func (e *UnsupportedError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "the model cannot be run: %d of its nodes have operators that are not known:", len(e.Nodes))
	for _, n := range e.Nodes {
		fmt.Fprintf(&b, "\n  %s %q", n.Op, n.Name)
	}
	b.WriteString("\nIt can be inspected; to run it, cut it before these nodes or export it with standard operators.")
	return b.String()
}

// CheckSupported is nil if every operator of the graph is known, else an *UnsupportedError.
func CheckSupported(g *graph.Graph) error {
	e := &UnsupportedError{}
	e.collect(g)
	if len(e.Nodes) == 0 {
		return nil
	}
	return e
}

// collect adds the unknown nodes of a graph and of the bodies in it.
func (e *UnsupportedError) collect(g *graph.Graph) {
	for _, n := range g.Nodes {
		_, unknown := n.Op.(*Unknown)
		if _, ok := n.Op.(Operator); unknown || !ok {
			e.Nodes = append(e.Nodes, UnsupportedNode{n.Name, n.Op.Type()})
		}
		if b, ok := n.Op.(Bodied); ok {
			for _, body := range b.Bodies() {
				e.collect(body)
			}
		}
	}
}
