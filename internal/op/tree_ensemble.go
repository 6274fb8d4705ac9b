package op

import (
	"fmt"
	"math"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/tensor"
)

// TreeEnsemble sends every row of x [batch, features] down decision trees and adds up the weights of the leaves that it
// reaches, per target (ONNX ai.onnx.ml TreeEnsemble-5). The result is [batch, Targets], of x's element type.
//
// Inner nodes have a feature, a mode, a split and what comes next where the test holds or not: another inner node or, if
// TrueLeafs or FalseLeafs says 1, a leaf. Members holds the sets of nodes whose mode is membership, in the order of the
// nodes, each followed by a NaN.
type TreeEnsemble struct {
	Targets               int
	Roots                 []int // inner nodes
	Features, Modes       []int
	Splits                *tensor.Tensor
	TrueNodes, FalseNodes []int
	TrueLeafs, FalseLeafs []int
	MissingTrue           []int // per node: the test holds for NaN; empty means never
	Members               *tensor.Tensor
	LeafTargets           []int
	LeafWeights           *tensor.Tensor
	Aggregate             int // 0 mean over the trees, 1 sum, 2 least, 3 greatest
	PostTransform         int // 0 none, 1 softmax, 2 logistic, 3 softmax that leaves 0 alone, 4 probit
}

// The modes of inner nodes.
const (
	treeLessOrEqual = iota
	treeLess
	treeGreaterOrEqual
	treeGreater
	treeEqual
	treeNotEqual
	treeMember
	treeModes
)

// Type is "TreeEnsemble".
func (*TreeEnsemble) Type() string { return "TreeEnsemble" }

// Infer keeps the batch.
func (o *TreeEnsemble) Infer(c *Inference) error {
	batch := graph.Dim{Size: graph.Unknown}
	if rank, ok := c.In(0).Rank(); ok {
		if rank != 2 {
			return fmt.Errorf("input has %d dimensions, wants 2", rank)
		}
		batch = c.In(0).Shape[0]
	}
	c.SetOut(0, c.In(0).DType, graph.Shape{batch, graph.Fixed(max(o.Targets, 0))})
	return nil
}

// check reports what does not fit, and returns the sets of membership nodes.
func (o *TreeEnsemble) check() (sets [][]float64, err error) {
	n := len(o.Features)
	for name, size := range map[string]int{"modes": len(o.Modes), "true nodes": len(o.TrueNodes), "false nodes": len(o.FalseNodes),
		"true leafs": len(o.TrueLeafs), "false leafs": len(o.FalseLeafs)} {
		if size != n {
			return nil, fmt.Errorf("%d %s for %d nodes", size, name, n)
		}
	}
	if o.Splits == nil || o.Splits.Len() != n || o.LeafWeights == nil || o.LeafWeights.Len() != len(o.LeafTargets) || len(o.MissingTrue) != 0 && len(o.MissingTrue) != n {
		return nil, fmt.Errorf("splits, weights or missing values do not fit %d nodes and %d leaves", n, len(o.LeafTargets))
	}
	if o.Targets < 1 || slices.ContainsFunc(o.LeafTargets, func(t int) bool { return t < 0 || t >= o.Targets }) {
		return nil, fmt.Errorf("the targets of leaves are not below %d", o.Targets)
	}
	if slices.ContainsFunc(o.Roots, func(r int) bool { return r < 0 || r >= n }) {
		return nil, fmt.Errorf("a tree begins at no node")
	}
	var members []float64
	if o.Members != nil {
		members = Float64s(o.Members)
	}
	sets = make([][]float64, n)
	for i := range n {
		for _, next := range [][2]int{{o.TrueNodes[i], o.TrueLeafs[i]}, {o.FalseNodes[i], o.FalseLeafs[i]}} {
			limit := n
			if next[1] != 0 {
				limit = len(o.LeafTargets)
			}
			if next[0] < 0 || next[0] >= limit {
				return nil, fmt.Errorf("node %d leads to %d, of %d", i, next[0], limit)
			}
		}
		if o.Modes[i] < 0 || o.Modes[i] >= treeModes {
			return nil, fmt.Errorf("node %d has mode %d, which is not known", i, o.Modes[i])
		}
		if o.Modes[i] != treeMember {
			continue
		}
		end := slices.IndexFunc(members, func(v float64) bool { return v != v })
		if end < 0 {
			return nil, fmt.Errorf("there is no set for node %d", i)
		}
		sets[i], members = members[:end], members[end+1:]
	}
	return sets, nil
}

// Evaluate walks every tree for every row, in float64.
func (o *TreeEnsemble) Evaluate(c *Evaluation) error {
	if err := wantFloats(c, 0); err != nil {
		return err
	}
	x := c.In(0)
	if len(x.Shape()) != 2 {
		return fmt.Errorf("input is %s, wants 2 dimensions", x)
	}
	sets, err := o.check()
	if err != nil {
		return err
	}
	rows, features := x.Shape()[0], x.Shape()[1]
	if slices.ContainsFunc(o.Features, func(f int) bool { return f < 0 || f >= features }) {
		return fmt.Errorf("a node asks for a feature that %s has not", x)
	}
	values, splits, weights := Float64s(x), Float64s(o.Splits), Float64s(o.LeafWeights)
	all := make([]float64, rows*o.Targets)
	for row := range rows {
		y, seen := all[row*o.Targets:][:o.Targets], make([]bool, o.Targets)
		for _, root := range o.Roots {
			leaf, err := o.leaf(root, values[row*features:][:features], splits, sets)
			if err != nil {
				return err
			}
			target, weight := o.LeafTargets[leaf], weights[leaf]
			switch {
			case o.Aggregate < 2:
				y[target] += weight
			case !seen[target]:
				y[target] = weight
			case o.Aggregate == 2:
				y[target] = min(y[target], weight)
			default:
				y[target] = max(y[target], weight)
			}
			seen[target] = true
		}
		if o.Aggregate == 0 {
			for i := range y {
				y[i] /= float64(max(len(o.Roots), 1))
			}
		}
		o.transform(y)
	}
	c.Set(0, FromFloat64s(x.DType(), []int{rows, o.Targets}, all))
	return nil
}

// leaf is the leaf that a row reaches.
func (o *TreeEnsemble) leaf(at int, x, splits []float64, sets [][]float64) (int, error) {
	for range o.Features {
		v, split := x[o.Features[at]], splits[at]
		var yes bool
		switch o.Modes[at] {
		case treeLessOrEqual:
			yes = v <= split
		case treeLess:
			yes = v < split
		case treeGreaterOrEqual:
			yes = v >= split
		case treeGreater:
			yes = v > split
		case treeEqual:
			yes = v == split
		case treeNotEqual:
			yes = v != split
		case treeMember:
			yes = slices.Contains(sets[at], v)
		}
		if v != v && len(o.MissingTrue) > 0 && o.MissingTrue[at] != 0 {
			yes = true
		}
		next, isLeaf := o.FalseNodes[at], o.FalseLeafs[at] != 0
		if yes {
			next, isLeaf = o.TrueNodes[at], o.TrueLeafs[at] != 0
		}
		if isLeaf {
			return next, nil
		}
		at = next
	}
	return 0, fmt.Errorf("a tree has a cycle")
}

// transform turns the sums of one row into what is asked for.
func (o *TreeEnsemble) transform(y []float64) {
	switch o.PostTransform {
	case 1:
		softmaxRow(y)
	case 2:
		for i, v := range y {
			y[i] = 1 / (1 + math.Exp(-v))
		}
	case 3:
		top, sum := slices.Max(y), 0.0
		for i, v := range y {
			if v != 0 {
				y[i] = math.Exp(v - top)
				sum += y[i]
			}
		}
		if sum != 0 {
			for i := range y {
				y[i] /= sum
			}
		}
	case 4:
		for i, v := range y {
			y[i] = math.Sqrt2 * math.Erfinv(2*v-1)
		}
	}
}
