package convert

import (
	"context"
	"math"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/rewrite"
	"github.com/octet-nn/octet/tensor"
)

// evaluate computes the first result of a node with constant operands.
func evaluate(n *graph.Node) (*tensor.Tensor, error) {
	in := make([]*tensor.Tensor, len(n.Inputs))
	for i, v := range n.Inputs {
		if v != nil {
			in[i] = v.Const
		}
	}
	out, err := op.Evaluate(context.Background(), n, in)
	if err != nil {
		return nil, err
	}
	return out[0], nil
}

// fold joins operators as MACE's converter does, which decides the names of their results: ranges are known by them.
func (c *converter) fold() error {
	if err := rewrite.Simplify(c.g, rewrite.SimplifyOptions{ConstantsOnly: true}); err != nil {
		return err
	}
	c.findInner()
	rules := []func(f *folder, n *graph.Node) bool{
		(*folder).dropUseless, (*folder).productAndSum, (*folder).scaledNorm, (*folder).batchNorm, (*folder).bias, (*folder).activation,
	}
	for _, rule := range rules {
		for c.foldPass(rule) {
		}
	}
	c.sort()
	c.log()
	return nil
}

// findInner finds the values inside of layers that became several operators as they were read. MACE knows no such
// values, so a range file need not have them. Nodes of one layer of Caffe have its name.
func (c *converter) findInner() {
	c.inner = map[*graph.Value]bool{}
	if c.o.Platform != "caffe" {
		return
	}
	index := c.g.Index()
	for _, n := range c.g.Nodes {
		for _, v := range n.Outputs {
			uses := index.Uses(v)
			other := func(u graph.Use) bool { return u.Node.Name != n.Name }
			c.inner[v] = len(uses) > 0 && !index.IsOutput(v) && !slices.ContainsFunc(uses, other)
		}
	}
}

// folder is one pass of one rule over the graph. What a change touches is left to the next pass, because the index no
// longer describes it.
type folder struct {
	c     *converter
	index *graph.Index
	gone  map[*graph.Node]bool
	stale map[*graph.Value]bool
}

// foldPass tries a rule on every node and reports whether it applied anywhere.
func (c *converter) foldPass(rule func(f *folder, n *graph.Node) bool) bool {
	f := &folder{c, c.g.Index(), map[*graph.Node]bool{}, map[*graph.Value]bool{}}
	changed := false
	for _, n := range c.g.Nodes {
		if f.gone[n] || f.touched(n) {
			continue
		}
		before := slices.Concat(n.Inputs, n.Outputs)
		if rule(f, n) {
			changed = true
			f.touch(slices.Concat(before, n.Inputs, n.Outputs))
		}
	}
	c.g.Nodes = slices.DeleteFunc(c.g.Nodes, func(n *graph.Node) bool { return f.gone[n] })
	return changed
}

func (f *folder) touch(vs []*graph.Value) {
	for _, v := range vs {
		if v != nil && v.Const == nil {
			f.stale[v] = true
		}
	}
}

// touched reports whether a node, or one that it could be joined with, has changed in this pass.
func (f *folder) touched(n *graph.Node) bool {
	stale := func(v *graph.Value) bool { return v != nil && f.stale[v] }
	if slices.ContainsFunc(n.Inputs, stale) {
		return true
	}
	for _, v := range n.Outputs {
		if stale(v) {
			return true
		}
		if u, only := f.index.OnlyUse(v); only && (slices.ContainsFunc(u.Node.Inputs, stale) || slices.ContainsFunc(u.Node.Outputs, stale)) {
			return true
		}
	}
	if len(n.Inputs) > 0 {
		if p := f.index.Producer(n.Inputs[0]); p != nil && (slices.ContainsFunc(p.Inputs, stale) || f.gone[p]) {
			return true
		}
	}
	return false
}

// drop removes a node that has become part of another.
func (f *folder) drop(n *graph.Node) {
	f.gone[n] = true
	f.touch(slices.Concat(n.Inputs, n.Outputs))
}

// replace makes the readers of old read new, of which is known what training found for either.
func (f *folder) replace(old, new *graph.Value) {
	for _, u := range f.index.Uses(old) {
		u.Node.Inputs[u.Index] = new
		f.touch(u.Node.Inputs)
		f.touch(u.Node.Outputs)
	}
	if r, ok := f.c.learned[old]; ok {
		f.c.learned[new] = r
	}
	f.touch([]*graph.Value{old, new})
}

// dropUseless removes what only hands its operand on. An operator that makes an output stays.
func (f *folder) dropUseless(n *graph.Node) bool {
	if len(n.Outputs) != 1 || n.Outputs[0] == nil || len(n.Inputs) == 0 || n.Inputs[0] == nil {
		return false
	}
	x, y := n.Inputs[0], n.Outputs[0]
	if f.index.IsOutput(y) {
		return f.nameOutput(n)
	}
	switch n.Op.(type) {
	case *op.Identity:
	case *op.Reshape, *op.Flatten:
		if !x.Type.Shape.Same(y.Type.Shape) {
			return f.mergeReshapes(n)
		}
	case *op.Mul:
		if one, ok := scalar(n.Input(1)); !ok || one != 1 || !x.Type.Shape.Same(y.Type.Shape) {
			return false
		}
	default:
		return false
	}
	f.replace(y, x)
	f.drop(n)
	return true
}

// nameOutput removes an Identity that only names an output.
func (f *folder) nameOutput(n *graph.Node) bool {
	x, y := n.Inputs[0], n.Outputs[0]
	p := f.index.Producer(x)
	if _, ok := n.Op.(*op.Identity); !ok || p == nil || f.index.IsOutput(x) || f.c.learned[x].Range == (Range{}) {
		return false
	}
	// Training wrote down the range of the operator before; as an operator of its own this one would have none.
	p.Outputs[slices.Index(p.Outputs, x)] = y
	f.replace(x, y)
	f.drop(n)
	return true
}

// mergeReshapes removes a Reshape that only another one reads.
func (f *folder) mergeReshapes(n *graph.Node) bool {
	p := f.index.Producer(n.Inputs[0])
	if _, ok := n.Op.(*op.Reshape); !ok || p == nil || n.Input(1) == nil || n.Inputs[1].Const == nil {
		return false
	}
	if slices.Contains(op.Int64s(n.Inputs[1].Const), 0) { // copies a dimension of what would be gone
		return false
	}
	switch p.Op.(type) {
	case *op.Reshape, *op.Flatten:
	default:
		return false
	}
	if _, only := f.index.OnlyUse(p.Outputs[0]); !only {
		return false
	}
	n.Inputs[0] = p.Inputs[0]
	f.drop(p)
	return true
}

// scalar is a constant of one element.
func scalar(v *graph.Value) (float64, bool) {
	if v == nil || v.Const == nil || v.Const.Len() != 1 || !v.Const.DType().IsFloat() {
		return 0, false
	}
	return op.Float64s(v.Const)[0], true
}

// productAndSum makes a product with and a sum of constants per channel, channels last, a batch normalization.
func (f *folder) productAndSum(n *graph.Node) bool {
	if _, ok := n.Op.(*op.Mul); !ok || !perChannel(n) {
		return false
	}
	use, only := f.index.OnlyUse(n.Outputs[0])
	if !only || use.Index != 0 {
		return false
	}
	add, ok := use.Node.Op.(*op.Add)
	if !ok || add.Clamp != nil || !perChannel(use.Node) {
		return false
	}
	y := use.Node.Outputs[0]
	channels := n.Inputs[1].Const.Len()
	fresh := func(suffix string, value float32) *graph.Value {
		t := tensor.Of(slices.Repeat([]float32{value}, channels), channels)
		return &graph.Value{Name: f.index.Fresh(y.Name + suffix), Type: graph.TypeOf(t), Const: t}
	}
	use.Node.Op = &op.BatchNormalization{Layout: op.NHWC}
	use.Node.Inputs = []*graph.Value{n.Inputs[0], n.Inputs[1], use.Node.Inputs[1], fresh("_mean", 0), fresh("_variance", 1)}
	f.drop(n)
	return true
}

// scaledNorm makes Caffe's BatchNorm, which only normalizes, and the Scale after it one batch normalization.
func (f *folder) scaledNorm(n *graph.Node) bool {
	norm, ok := n.Op.(*op.BatchNormalization)
	scale := next(f.index, n)
	if !ok || scale == nil || f.c.o.Platform != "caffe" || len(n.Inputs) != 5 || len(scale.Inputs) != 5 {
		return false
	}
	if s, ok := scale.Op.(*op.BatchNormalization); !ok || s.Epsilon != 0 || s.Layout != norm.Layout {
		return false
	}
	if !filled(n.Inputs[1], 1) || !filled(n.Inputs[2], 0) || !filled(scale.Inputs[3], 0) || !filled(scale.Inputs[4], 1) {
		return false
	}
	n.Inputs = []*graph.Value{n.Inputs[0], scale.Inputs[1], scale.Inputs[2], n.Inputs[3], n.Inputs[4]}
	f.become(n, scale)
	return true
}

// filled reports whether all elements of a constant are one number.
func filled(v *graph.Value, number float32) bool {
	return v != nil && v.Const != nil && v.Const.DType() == tensor.Float32 &&
		!slices.ContainsFunc(op.Float32s(v.Const), func(x float32) bool { return x != number })
}

// perChannel reports whether the second operand is one constant for each element of the last dimension.
func perChannel(n *graph.Node) bool {
	if len(n.Inputs) != 2 || n.Inputs[0].Const != nil || n.Inputs[1].Const == nil || n.Inputs[1].Const.DType() != tensor.Float32 {
		return false
	}
	shape, c := n.Inputs[0].Type.Shape, n.Inputs[1].Const.Shape()
	return len(shape) > 1 && len(c) == 1 && shape[len(shape)-1].Size == c[0]
}

// next is the only reader of a node's only result, which is its first operand.
func next(index *graph.Index, n *graph.Node) *graph.Node {
	if len(n.Outputs) != 1 || n.Outputs[0] == nil {
		return nil
	}
	use, only := index.OnlyUse(n.Outputs[0])
	if !only || use.Index != 0 {
		return nil
	}
	return use.Node
}

// constantFilter reports whether a node's weights are a float constant that it alone reads.
func constantFilter(index *graph.Index, n *graph.Node) bool {
	w := n.Input(1)
	return w != nil && w.Const != nil && w.Const.DType() == tensor.Float32 && len(index.Uses(w)) == 1
}

// batchNorm moves batch normalization with constant statistics into the convolution before it, which keeps its name
// unless the normalization makes an output of the model.
func (f *folder) batchNorm(n *graph.Node) bool {
	groups, axis := 1, 0
	switch o := n.Op.(type) {
	case *op.Conv:
		if o.Clamp != nil || !constantFilter(f.index, n) {
			return false
		}
		axis = o.Filter.Output(len(n.Inputs[1].Type.Shape))
	case *op.ConvTranspose:
		if o.Clamp != nil || !constantFilter(f.index, n) || !f.c.foldsTransposed() {
			return false
		}
		groups = o.Groups()
		axis = o.Filter.Output(len(n.Inputs[1].Type.Shape))
		if o.Filter == op.OIHW { // ONNX has the input channels first here
			axis = o.Filter.Input(len(n.Inputs[1].Type.Shape))
		}
	default:
		return false
	}
	b := next(f.index, n)
	if b == nil || groups != 1 || n.Input(2) != nil && n.Inputs[2].Const == nil {
		return false
	}
	norm, ok := b.Op.(*op.BatchNormalization)
	if !ok || len(b.Inputs) != 5 {
		return false
	}
	var p [5][]float64 // scale, offset, mean and variance at 1…4
	for i := 1; i < 5; i++ {
		if b.Inputs[i] == nil || b.Inputs[i].Const == nil {
			return false
		}
		p[i] = op.Float64s(b.Inputs[i].Const)
	}
	w := n.Inputs[1]
	channels := w.Const.Shape()[axis]
	if len(p[1]) != channels {
		return false
	}
	factor, offset := make([]float32, channels), make([]float32, channels)
	for i := range factor {
		f := 1 / math.Sqrt(p[4][i]+float64(norm.Epsilon)) * p[1][i]
		factor[i] = float32(f)
		offset[i] = float32(-float64(p[3][i]*f) + p[2][i])
	}
	inner := 1
	for _, size := range w.Const.Shape()[axis+1:] {
		inner *= size
	}
	weights := slices.Clone(op.Float32s(w.Const))
	for i := range weights {
		weights[i] *= factor[i/inner%channels]
	}
	if old := n.Input(2); old != nil {
		for i, v := range op.Float32s(old.Const) {
			offset[i] += float32(v * factor[i])
		}
	}
	folded := constant(f.index, w.Name+"_folded", tensor.Of(weights, w.Const.Shape()...))
	folded.Origin = w.Source()
	bias := constant(f.index, n.Name+"_bias", tensor.Of(offset, channels))
	if t := f.c.trained[w]; t != nil {
		f.c.report.note("%s: what training found for its weights is lost by folding %s into them", n.Describe(), b.Describe())
	}
	n.Inputs = []*graph.Value{n.Inputs[0], folded, bias}
	if y := b.Outputs[0]; f.index.IsOutput(y) {
		if r, ok := f.c.learned[n.Outputs[0]]; ok && f.c.learned[y].Range == (Range{}) {
			f.c.learned[y] = r
		}
		n.Outputs[0] = y
	} else {
		f.replace(y, n.Outputs[0])
	}
	f.drop(b)
	return true
}

func constant(index *graph.Index, name string, t *tensor.Tensor) *graph.Value {
	return &graph.Value{Name: index.Fresh(name), Type: graph.TypeOf(t), Const: t}
}

// become makes a node produce the result of the one folded into it, under its name.
func (f *folder) become(n, folded *graph.Node) {
	if r, ok := f.c.learned[n.Outputs[0]]; ok && f.c.learned[folded.Outputs[0]].Range == (Range{}) {
		f.c.learned[folded.Outputs[0]] = r
	}
	n.Name, n.Outputs[0] = folded.Name, folded.Outputs[0]
	f.drop(folded)
}

// bias moves an addition of one constant per channel into the layer before it.
func (f *folder) bias(n *graph.Node) bool {
	a := next(f.index, n)
	if a == nil || n.Input(2) != nil {
		return false
	}
	if add, ok := a.Op.(*op.Add); !ok || add.Clamp != nil || len(a.Inputs) != 2 || rewrite.ClampOf(n.Op) != nil {
		return false
	}
	var bias *graph.Value
	o := n.Op
	switch layer := n.Op.(type) {
	case *op.Conv:
		bias = f.ofChannels(a, layer.Layout)
	case *op.ConvTranspose:
		if f.c.foldsTransposed() {
			bias = f.ofChannels(a, layer.Layout)
		}
	case *op.MatMul:
		if f.c.fullyConnected(n) && perChannel(a) {
			bias, o = a.Inputs[1], &op.Gemm{Alpha: 1, Beta: 1}
		}
	case *op.Gemm:
		if layer.Alpha == 1 && f.c.fullyConnected(n) && perChannel(a) {
			bias, o = a.Inputs[1], &op.Gemm{Alpha: 1, Beta: 1, TransB: layer.TransB}
		}
	}
	if bias == nil {
		return false
	}
	n.Op, n.Inputs = o, []*graph.Value{n.Inputs[0], n.Inputs[1], bias}
	f.become(n, a)
	return true
}

// ofChannels is the constant operand of an addition, if it is one number for each channel. Of ONNX models MACE only
// takes lists for that, which are aligned at the last dimension.
func (f *folder) ofChannels(add *graph.Node, layout op.Layout) *graph.Value {
	if layout == op.NHWC {
		if perChannel(add) {
			return add.Inputs[1]
		}
		return nil
	}
	x, v := add.Inputs[0].Type.Shape, add.Inputs[1]
	if f.c.onnx() || v.Const == nil || v.Const.DType() != tensor.Float32 || len(x) < 3 || x[1].Size != v.Const.Len() {
		return nil
	}
	shape := v.Const.Shape()
	at := len(shape) - (len(x) - 1)
	if len(shape) > len(x) || at < 0 || shape[at] != v.Const.Len() {
		return nil
	}
	list := constant(f.index, v.Name+"_list", v.Const.Reshape(v.Const.Len()))
	list.Origin = v.Source()
	return list
}

// onnx reports whether the model comes from an ONNX file.
func (c *converter) onnx() bool { return c.o.Platform == "" || c.o.Platform == "onnx" }

// foldsTransposed reports whether transposed convolutions take batch normalization and bias, as those of some platforms
// do.
func (c *converter) foldsTransposed() bool {
	return c.o.Platform == "caffe" || c.o.Platform == "tensorflow"
}

// fullyConnected reports whether a matrix product is a fully-connected layer to MACE, as those of Caffe and PyTorch are.
// Others are matrix products, with which nothing is folded.
func (c *converter) fullyConnected(n *graph.Node) bool {
	switch c.o.Platform {
	case "caffe", "pytorch":
	default:
		return false
	}
	if w := n.Input(1); w == nil || w.Const == nil || len(w.Type.Shape) != 2 || len(n.Inputs[0].Type.Shape) != 2 {
		return false
	}
	switch o := n.Op.(type) {
	case *op.MatMul:
		return true
	case *op.Gemm:
		return !o.TransA
	}
	return false
}

// limit says what Relu or Clip from zero does: MACE's RELU and RELUX.
func limit(n *graph.Node) (*op.Clamp, bool) {
	switch o := n.Op.(type) {
	case *op.Function:
		if o.Type() == "Relu" {
			return &op.Clamp{Max: float32(math.Inf(1))}, true
		}
	case *op.Clip:
		low, high, ok := o.Bounds(n)
		return &op.Clamp{Max: float32(high)}, ok && low == 0
	}
	return nil, false
}

// activation is MACE's type of an activation: RELU, RELUX, TANH …
func activation(n *graph.Node) (string, bool) {
	if l, ok := limit(n); ok {
		if math.IsInf(float64(l.Max), 1) || l.Max == math.MaxFloat32 {
			return "RELU", true
		}
		return "RELUX", true
	}
	switch n.Op.(type) {
	case *op.LeakyRelu:
		return "LEAKYRELU", true
	case *op.PRelu:
		return "PRELU", true
	case *op.Elu:
		return "ELU", true
	case *op.HardSigmoid:
		return "HARDSIGMOID", true
	}
	switch n.Op.Type() {
	case "Sigmoid":
		return "SIGMOID", true
	case "Tanh":
		return "TANH", true
	}
	return "", false
}

// activation moves Relu, and Clip from zero, into the layer before it. MACE folds other activations too unless
// ranges are wanted.
func (f *folder) activation(n *graph.Node) bool {
	switch n.Op.(type) {
	case *op.Conv, *op.ConvTranspose:
	case *op.MatMul, *op.Gemm:
		if !f.c.fullyConnected(n) {
			return false
		}
	default:
		return false
	}
	a := next(f.index, n)
	if a == nil || rewrite.ClampOf(n.Op) != nil {
		return false
	}
	l, ok := limit(a)
	if !ok {
		return false
	}
	clamped, ok := rewrite.WithClamp(n.Op, l)
	if !ok {
		return false
	}
	n.Op = clamped
	f.become(n, a)
	return true
}

// sort puts nodes into the order in which MACE runs them: what an output needs before it, operands in their order.
func (c *converter) sort() {
	producer := map[*graph.Value]*graph.Node{}
	for _, n := range c.g.Nodes {
		for _, v := range n.Outputs {
			if v != nil {
				producer[v] = n
			}
		}
	}
	type frame struct {
		node *graph.Node
		next int
	}
	visited := map[*graph.Node]bool{}
	var order []*graph.Node
	for _, v := range c.g.Outputs {
		root := producer[v]
		if root == nil || visited[root] {
			continue
		}
		visited[root] = true
		for stack := []frame{{root, 0}}; len(stack) > 0; {
			top := &stack[len(stack)-1]
			if top.next == len(top.node.Inputs) {
				order = append(order, top.node)
				stack = stack[:len(stack)-1]
				continue
			}
			p := producer[top.node.Inputs[top.next]]
			top.next++
			if p != nil && !visited[p] {
				visited[p] = true
				stack = append(stack, frame{p, 0})
			}
		}
	}
	c.g.Nodes = order
}

// log lists the results of what are operators to MACE, in order: float ones, without the reshapes that it folds into
// what follows.
func (c *converter) log() {
	c.isLogged = map[string]bool{}
	index := c.g.Index()
	for _, n := range c.g.Nodes {
		for _, v := range n.Outputs {
			if v != nil && v.Type.DType == tensor.Float32 && !c.folded(index, n) {
				c.logged = append(c.logged, v.Name)
				c.isLogged[v.Name] = true
			}
		}
	}
}

// loggedName is MACE's name of a value, "" if it is no operator's result to MACE.
func (c *converter) loggedName(v *graph.Value) string {
	for _, name := range []string{v.Name, v.Origin} {
		if c.isLogged[name] {
			return name
		}
	}
	return ""
}

// folded reports whether a node is no operator of its own to MACE: a reshape of an image to a matrix before Softmax,
// the one after it, and a normalization, of which MACE knows the result after Relu only.
func (c *converter) folded(index *graph.Index, n *graph.Node) bool {
	switch n.Op.(type) {
	case *op.BatchNormalization, *op.InstanceNormalization:
		if a := next(index, n); a != nil {
			_, ok := limit(a)
			return ok
		}
		return false
	case *op.Reshape, *op.Flatten:
	default:
		return false
	}
	if use, only := index.OnlyUse(n.Outputs[0]); only && foldsReshape(index, use.Node) {
		return true
	}
	p := index.Producer(n.Inputs[0])
	return p != nil && foldsReshape(index, p) && !index.IsOutput(n.Outputs[0])
}

// foldsReshape reports whether a node is a Softmax of a matrix that was an image.
func foldsReshape(index *graph.Index, n *graph.Node) bool {
	if _, ok := n.Op.(*op.Softmax); !ok || len(n.Outputs[0].Type.Shape) != 2 {
		return false
	}
	p := index.Producer(n.Inputs[0])
	if p == nil {
		return false
	}
	switch p.Op.(type) {
	case *op.Reshape, *op.Flatten:
		return len(p.Inputs[0].Type.Shape) == 4
	}
	return false
}
