package onnx

import (
	"fmt"
	"slices"
)

// inline puts the nodes of one of the model's own operators in the place of a node that calls it. Their values are
// named after the node.
func (c *call) inline(f *functionProto) error {
	im := c.im
	if im.depth >= im.options.Limits.MaxNesting {
		return fmt.Errorf("functions call each other deeper than %d", im.options.Limits.MaxNesting)
	}
	r := renamer{c: c, names: map[string]string{"": ""}, attributes: map[string]*attributeProto{}}
	for i, formal := range f.inputs {
		r.names[formal] = ""
		if i < len(c.proto.inputs) {
			r.names[formal] = c.proto.inputs[i]
		}
	}
	for i, formal := range f.outputs {
		if i < len(c.proto.outputs) && c.proto.outputs[i] != "" {
			r.names[formal] = c.proto.outputs[i]
		}
	}
	for _, a := range f.defaults {
		r.attributes[a.name] = a
	}
	for name, a := range c.attributes {
		r.attributes[name] = a
	}
	nodes := make([]*nodeProto, len(f.nodes))
	for i, n := range f.nodes {
		im.inlined++
		if im.inlined > im.options.Limits.MaxNodes {
			return fmt.Errorf("functions expand to more than %d nodes", im.options.Limits.MaxNodes)
		}
		nodes[i] = r.node(n)
	}
	// The function has operator sets of its own.
	outer := im.versions
	im.versions = map[string]int{}
	for domain, version := range outer {
		im.versions[domain] = version
	}
	for _, v := range f.opsets {
		domain := v.domain
		if domain == "ai.onnx" {
			domain = ""
		}
		im.versions[domain] = int(v.version)
	}
	im.depth++
	for _, n := range nodes {
		for _, name := range n.reads() {
			im.read[name] = true
		}
	}
	for _, n := range im.sorted(nodes) {
		im.node(n)
	}
	im.depth--
	im.versions = outer
	return nil
}

// renamer copies nodes of a function with the names and attributes of one call.
type renamer struct {
	c          *call
	names      map[string]string // of values, from the function's to the graph's
	attributes map[string]*attributeProto
}

func (r *renamer) name(inner string) string {
	outer, ok := r.names[inner]
	if !ok {
		outer = r.c.fresh(inner)
		r.names[inner] = outer
	}
	return outer
}

func (r *renamer) node(n *nodeProto) *nodeProto {
	copied := *n
	copied.name = nodeName(r.c.proto) + "/" + nodeName(n)
	copied.offset = r.c.proto.offset
	copied.inputs, copied.outputs = slices.Clone(n.inputs), slices.Clone(n.outputs)
	for _, list := range [][]string{copied.inputs, copied.outputs} {
		for i, name := range list {
			list[i] = r.name(name)
		}
	}
	copied.attributes = nil
	for _, a := range n.attributes {
		if a.ref != "" {
			given := r.attributes[a.ref]
			if given == nil {
				continue // the attribute is not given
			}
			replaced := *given
			replaced.name = a.name
			copied.attributes = append(copied.attributes, &replaced)
			continue
		}
		if len(a.graphs) > 0 {
			with := *a
			with.graphs = make([]*graphProto, len(a.graphs))
			for i, g := range a.graphs {
				with.graphs[i] = r.graph(g)
			}
			a = &with
		}
		copied.attributes = append(copied.attributes, a)
	}
	return &copied
}

// graph renames what a body reads of the function around it; its own names stay.
func (r *renamer) graph(g *graphProto) *graphProto {
	own := &renamer{c: r.c, names: map[string]string{"": ""}, attributes: r.attributes}
	keep := func(name string) { own.names[name] = name }
	for _, t := range g.initializers {
		keep(t.name)
	}
	for _, v := range g.inputs {
		keep(v.name)
	}
	for _, n := range g.nodes {
		for _, name := range n.outputs {
			keep(name)
		}
	}
	for inner, outer := range r.names {
		if _, hidden := own.names[inner]; !hidden {
			own.names[inner] = outer
		}
	}
	copied := *g
	copied.nodes = make([]*nodeProto, len(g.nodes))
	for i, n := range g.nodes {
		copied.nodes[i] = own.node(n)
		copied.nodes[i].name = n.name
	}
	copied.outputs = make([]*valueProto, len(g.outputs))
	for i, v := range g.outputs {
		renamed := *v
		renamed.name = own.name(v.name)
		copied.outputs[i] = &renamed
	}
	return &copied
}
