package onnx

import (
	"fmt"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
)

// controls is the operators with bodies. It is no variable because reading bodies leads back to all tables.
func controls() map[key]row {
	return map[key]row{
		{"", "If"}:                           {1, 0, branch},
		{"", "Loop"}:                         {0, 0, loop},
		{"", "Scan"}:                         {0, 0, scan},
		{"ai.onnx.preview", "FlexAttention"}: {3, 0, flexAttention},
	}
}

// reads is the names that a node refers to, its bodies' included.
func (n *nodeProto) reads() []string {
	names := slices.Clone(n.inputs)
	for _, a := range n.attributes {
		for _, g := range a.graphs {
			for _, inner := range g.nodes {
				names = append(names, inner.reads()...)
			}
			for _, v := range g.outputs {
				names = append(names, v.name)
			}
		}
	}
	return names
}

// capture makes an input of the body stand for a value of the graph around it. Constants are shared.
func (im *importer) capture(name string) (*graph.Value, error) {
	v, err := im.outer.use(name)
	if err != nil {
		return nil, err
	}
	inner := &graph.Value{Name: name, Type: v.Type, Const: v.Const}
	im.values[name] = inner
	if v.Const == nil {
		im.captured = append(im.captured, inner)
	}
	return inner, nil
}

// body reads the graph in an attribute. Its inputs have the given types where the file does not say.
func (c *call) body(name string, types []graph.Type) (*importer, error) {
	a := c.attribute(name)
	if a == nil || len(a.graphs) != 1 {
		return nil, fmt.Errorf("attribute %q is not one graph", name)
	}
	g := a.graphs[0]
	im := &importer{options: c.im.options, values: map[string]*graph.Value{}, versions: c.im.versions, names: map[string]bool{},
		graph: &graph.Graph{Name: g.name}, outer: c.im, rows: c.im.rows, controls: c.im.controls, functions: c.im.functions, depth: c.im.depth + 1}
	if im.depth > c.im.options.Limits.MaxNesting {
		return nil, fmt.Errorf("bodies are nested deeper than %d", c.im.options.Limits.MaxNesting)
	}
	var err error
	if im.facts, err = op.Infer(&graph.Graph{}); err != nil {
		return nil, err
	}
	im.given = types
	im.run(g)
	c.im.problems = append(c.im.problems, im.problems...)
	return im, nil
}

// close adds what bodies read of the graph around them to their inputs, the same for all, and returns the operands.
func (c *call) close(bodies ...*importer) ([]*graph.Value, error) {
	var names []string
	var operands []*graph.Value
	for _, im := range bodies {
		for _, v := range im.captured {
			if slices.Contains(names, v.Name) {
				continue
			}
			outer, err := c.im.use(v.Name)
			if err != nil {
				return nil, err
			}
			names, operands = append(names, v.Name), append(operands, outer)
		}
	}
	for _, im := range bodies {
		for i, name := range names {
			at := slices.IndexFunc(im.captured, func(v *graph.Value) bool { return v.Name == name })
			if at >= 0 {
				im.graph.Inputs = append(im.graph.Inputs, im.captured[at])
				continue
			}
			free := name
			for n := 1; im.names[free] || im.values[free] != nil; n++ {
				free = fmt.Sprintf("%s_%d", name, n)
			}
			im.graph.Inputs = append(im.graph.Inputs, &graph.Value{Name: free, Type: operands[i].Type})
		}
		if err := im.graph.Sort(); err != nil {
			return nil, err
		}
		if err := im.graph.Check(); err != nil {
			return nil, err
		}
	}
	return operands, nil
}

func branch(c *call) error {
	then, err := c.body("then_branch", nil)
	if err != nil {
		return err
	}
	otherwise, err := c.body("else_branch", nil)
	if err != nil {
		return err
	}
	operands, err := c.close(then, otherwise)
	if err != nil {
		return err
	}
	if len(then.graph.Outputs) != len(otherwise.graph.Outputs) || len(c.out) > len(then.graph.Outputs) {
		return fmt.Errorf("its branches have %d and %d results, the node %d", len(then.graph.Outputs), len(otherwise.graph.Outputs), len(c.out))
	}
	c.emit(&op.If{Then: then.graph, Else: otherwise.graph}, append(slices.Clone(c.in[:1]), operands...), c.out...)
	return nil
}

func loop(c *call) error {
	in := c.in
	for len(in) < 2 {
		in = append(in, nil)
	}
	states := len(in) - 2
	types := make([]graph.Type, 2+states)
	for i, v := range in[2:] {
		if v == nil {
			return fmt.Errorf("input %d is required", 2+i)
		}
		types[2+i] = graph.Type{DType: v.Type.DType} // the shape may change from run to run
	}
	body, err := c.body("body", types)
	if err != nil {
		return err
	}
	if len(body.graph.Inputs) != 2+states || len(body.graph.Outputs) < 1+states || len(c.out) > len(body.graph.Outputs)-1 {
		return fmt.Errorf("its body has %d inputs and %d results, which do not fit %d states and %d results", len(body.graph.Inputs),
			len(body.graph.Outputs), states, len(c.out))
	}
	operands, err := c.close(body)
	if err != nil {
		return err
	}
	c.emit(&op.Loop{Body: body.graph, States: states}, append(slices.Clone(in), operands...), c.out...)
	return nil
}

func scan(c *call) error {
	if c.version < 9 {
		return scanBatch(c)
	}
	o := &op.Scan{NumScanInputs: c.int("num_scan_inputs", 0)}
	o.States = len(c.in) - o.NumScanInputs
	if o.States < 0 || o.NumScanInputs < 1 || slices.Contains(c.in, nil) {
		return fmt.Errorf("%d inputs do not hold %d tensors to scan", len(c.in), o.NumScanInputs)
	}
	for name, field := range map[string]*[]int{"scan_input_axes": &o.ScanInputAxes, "scan_output_axes": &o.ScanOutputAxes,
		"scan_input_directions": &o.ScanInputDirections, "scan_output_directions": &o.ScanOutputDirections} {
		values, _ := c.ints(name)
		for _, v := range values {
			*field = append(*field, int(v))
		}
	}
	types := make([]graph.Type, len(c.in))
	for i, v := range c.in {
		types[i] = graph.Type{DType: v.Type.DType}
	}
	body, err := c.body("body", types)
	if err != nil {
		return err
	}
	if len(body.graph.Inputs) != len(c.in) || len(body.graph.Outputs) < o.States || len(c.out) > len(body.graph.Outputs) {
		return fmt.Errorf("its body has %d inputs and %d results, which do not fit %d inputs and %d results of the node",
			len(body.graph.Inputs), len(body.graph.Outputs), len(c.in), len(c.out))
	}
	operands, err := c.close(body)
	if err != nil {
		return err
	}
	o.Body = body.graph
	c.emit(o, append(slices.Clone(c.in), operands...), c.out...)
	return nil
}

// scanBatch is Scan of operator set 8: operand 0 is the lengths of sequences, and all others have a batch in front. It is a
// Scan over the batch, without states, whose body is a Scan over one sequence.
func scanBatch(c *call) error {
	if len(c.in) < 2 || c.in[0] != nil {
		return errUnknown // sequences of different lengths
	}
	in := c.in[1:]
	o := &op.Scan{NumScanInputs: c.int("num_scan_inputs", 0)}
	o.States = len(in) - o.NumScanInputs
	if o.States < 0 || o.NumScanInputs < 1 || slices.Contains(in, nil) {
		return fmt.Errorf("%d inputs do not hold %d tensors to scan", len(in), o.NumScanInputs)
	}
	directions, _ := c.ints("directions")
	for _, v := range directions {
		o.ScanInputDirections = append(o.ScanInputDirections, int(v))
	}
	types := make([]graph.Type, len(in))
	for i, v := range in {
		types[i] = graph.Type{DType: v.Type.DType}
	}
	body, err := c.body("body", types)
	if err != nil {
		return err
	}
	if len(body.graph.Inputs) != len(in) || len(body.graph.Outputs) < o.States || len(c.out) > len(body.graph.Outputs) {
		return fmt.Errorf("its body has %d inputs and %d results, which do not fit %d inputs and %d results of the node",
			len(body.graph.Inputs), len(body.graph.Outputs), len(in), len(c.out))
	}
	around, err := c.close(body)
	if err != nil {
		return err
	}
	o.Body = body.graph
	one := &graph.Graph{Name: body.graph.Name + "_batch"}
	node := &graph.Node{Name: nodeName(c.proto), Op: o}
	for i, v := range append(slices.Clone(in), around...) {
		input := &graph.Value{Name: fmt.Sprintf("in%d", i), Type: graph.Type{DType: v.Type.DType}}
		node.Inputs = append(node.Inputs, input)
	}
	one.Inputs = node.Inputs
	for i := range body.graph.Outputs {
		node.Outputs = append(node.Outputs, &graph.Value{Name: fmt.Sprintf("out%d", i)})
	}
	one.Outputs, one.Nodes = node.Outputs, []*graph.Node{node}
	c.emit(&op.Scan{Body: one, NumScanInputs: len(in)}, append(slices.Clone(in), around...), c.out...)
	return nil
}

func flexAttention(c *call) error {
	o := &op.FlexAttention{Scale: c.float("scale", 0)}
	if a := c.attribute("softmax_precision"); a != nil {
		o.SoftmaxPrecision.DType = dtypes[a.i]
	}
	types := []graph.Type{{DType: o.SoftmaxPrecision.DType}}
	var bodies []*importer
	for name, field := range map[string]**graph.Graph{"score_mod": &o.ScoreMod, "prob_mod": &o.ProbMod} {
		if c.attributes[name] == nil {
			continue
		}
		body, err := c.body(name, types)
		if err != nil {
			return err
		}
		if len(body.graph.Inputs) != 1 || len(body.graph.Outputs) != 1 {
			return fmt.Errorf("%s has %d inputs and %d results, wants 1 and 1", name, len(body.graph.Inputs), len(body.graph.Outputs))
		}
		*field = body.graph
		bodies = append(bodies, body)
	}
	operands, err := c.close(bodies...)
	if err != nil {
		return err
	}
	c.emit(o, append(slices.Clone(c.in), operands...), c.out...)
	return nil
}
