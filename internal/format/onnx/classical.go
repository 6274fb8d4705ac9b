package onnx

import (
	"fmt"
	"maps"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// classicalDomain is ONNX's own domain of operators other than those of neural networks.
const classicalDomain = "ai.onnx.ml"

// classicalOpset is the version of that domain that is written.
const classicalOpset = 5

// classical is the rows of its operators on numbers.
func classical() map[key]row {
	return map[key]row{
		{classicalDomain, "ArrayFeatureExtractor"}: {2, 0, arrayFeatureExtractor},
		{classicalDomain, "Binarizer"}:             {1, 0, binarizer},
		{classicalDomain, "TreeEnsemble"}:          {1, 0, treeEnsemble},
	}
}

// arrayFeatureExtractor takes columns: indices of the last dimension. One row without a batch becomes a batch of one.
func arrayFeatureExtractor(c *call) error {
	x := c.in[0]
	rank, ok := x.Type.Rank()
	if !ok {
		return errUnknown
	}
	if rank == 1 {
		x = c.value("row", op.Lookup("Unsqueeze"), x, c.list("axes", 0))
	}
	flat := c.value("columns", op.Lookup("Reshape"), c.in[1], c.list("flat", -1))
	c.emit(&op.Gather{Axis: -1}, []*graph.Value{x, flat}, c.out[0])
	return nil
}

// binarizer is 1 above the threshold, else 0.
func binarizer(c *call) error {
	dtype := c.in[0].Type.DType
	if dtype == tensor.Invalid {
		return errUnknown
	}
	above := c.value("above", op.Lookup("Greater"), c.in[0], c.scalar("threshold", c.float("threshold", 0)))
	c.emit(&op.Cast{To: op.OutputType{DType: dtype}}, []*graph.Value{above}, c.out[0])
	return nil
}

// treeFields are the attributes of TreeEnsemble that are lists of numbers, and those that are tensors.
func treeFields(o *op.TreeEnsemble) (lists map[string]*[]int, tensors map[string]**tensor.Tensor) {
	return map[string]*[]int{"tree_roots": &o.Roots, "nodes_featureids": &o.Features, "nodes_truenodeids": &o.TrueNodes,
			"nodes_falsenodeids": &o.FalseNodes, "nodes_trueleafs": &o.TrueLeafs, "nodes_falseleafs": &o.FalseLeafs,
			"nodes_missing_value_tracks_true": &o.MissingTrue, "leaf_targetids": &o.LeafTargets},
		map[string]**tensor.Tensor{"nodes_splits": &o.Splits, "membership_values": &o.Members, "leaf_weights": &o.LeafWeights}
}

func treeEnsemble(c *call) error {
	o := &op.TreeEnsemble{Targets: c.int("n_targets", 0), Aggregate: c.int("aggregate_function", 1), PostTransform: c.int("post_transform", 0)}
	lists, tensors := treeFields(o)
	for name, field := range lists {
		values, _ := c.ints(name)
		for _, v := range values {
			*field = append(*field, int(v))
		}
	}
	var modes *tensor.Tensor
	tensors["nodes_modes"] = &modes
	var hits *tensor.Tensor // how often nodes are passed, which helps some implementations
	tensors["nodes_hitrates"] = &hits
	for name, field := range tensors {
		a := c.attribute(name)
		if a == nil || a.t == nil {
			continue
		}
		t, err := a.t.decode(c.im.options)
		if err != nil {
			return err
		}
		*field = t
	}
	if modes == nil || !modes.DType().IsInteger() || o.Splits == nil || o.LeafWeights == nil {
		return fmt.Errorf("attributes nodes_modes, nodes_splits and leaf_weights are required")
	}
	for _, t := range []*tensor.Tensor{o.Splits, o.LeafWeights, o.Members} {
		if t != nil && !t.DType().IsFloat() {
			return fmt.Errorf("an attribute is %s, wants floats", t)
		}
	}
	for _, m := range op.Int64s(modes) {
		o.Modes = append(o.Modes, int(m))
	}
	c.emit(o, c.in[:1], c.out[0])
	return nil
}

// writeTrees is the attributes of TreeEnsemble.
func (w *attributeWriter) writeTrees(o *op.TreeEnsemble) {
	lists, tensors := treeFields(o)
	for _, name := range slices.Sorted(maps.Keys(lists)) {
		if len(*lists[name]) > 0 {
			w.numbers(name, *lists[name])
		}
	}
	modes := make([]int64, len(o.Modes))
	for i, m := range o.Modes {
		modes[i] = int64(m)
	}
	coded := op.FromInt64s(tensor.Uint8, []int{len(modes)}, modes)
	tensors["nodes_modes"] = &coded
	for _, name := range slices.Sorted(maps.Keys(tensors)) {
		if t := *tensors[name]; t != nil {
			w.add(name, 4, appendMessage(nil, 5, tensorMessage(name, t)))
		}
	}
	w.number("n_targets", o.Targets)
	w.number("aggregate_function", o.Aggregate)
	w.number("post_transform", o.PostTransform)
}
