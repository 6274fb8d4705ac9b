package caffe

import (
	"errors"
	"fmt"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// clip limits elements.
func clip(l *layer) error {
	p := l.param("clip_param")
	if !p.has("min") || !p.has("max") {
		return errors.New("clip_param needs min and max")
	}
	return l.node(&op.Clip{}, l.in[0], l.scalar("min", p.float("min", 0)), l.scalar("max", p.float("max", 0)))
}

// swish is x·sigmoid(beta·x).
func swish(l *layer) error {
	return l.node(&op.Swish{Alpha: float32(l.param("swish_param").float("beta", 1))}, l.in[0])
}

// reduced combines the elements along axes, which stay with a size of 1 if keep.
func (l *layer) reduced(suffix, kind string, keep bool, x *graph.Value, axes ...int64) (*graph.Value, error) {
	o := op.NewReduce(kind)
	o.KeepDims = keep
	return l.step(suffix, o, x, l.list("axes", axes...))
}

// meanVariance subtracts the mean of each channel, or of each sample, and divides by the standard deviation.
func meanVariance(l *layer) error {
	p := l.param("mvn_param")
	divide, across, epsilon := p.bool("normalize_variance", true), p.bool("across_channels", false), p.float("eps", 1e-9)
	axes := []int64{2, 3}
	if across {
		axes = []int64{1, 2, 3}
	}
	mean, err := l.reduced("mean", "ReduceMean", true, l.in[0], axes...)
	if err != nil {
		return err
	}
	if !divide {
		return l.node(&op.Sub{}, l.in[0], mean)
	}
	centered, err := l.step("centered", &op.Sub{}, l.in[0], mean)
	if err != nil {
		return err
	}
	squares, err := l.step("squares", &op.Mul{}, centered, centered)
	if err != nil {
		return err
	}
	variance, err := l.reduced("variance", "ReduceMean", true, squares, axes...)
	if err != nil {
		return err
	}
	deviation, err := l.step("deviation", op.NewFunction("Sqrt"), variance)
	if err != nil {
		return err
	}
	if deviation, err = l.affine(deviation, 1, epsilon); err != nil {
		return err
	}
	return l.node(&op.Div{}, centered, deviation)
}

// argMax is the index of the largest element, along an axis or of each sample; as a float, like everything in Caffe.
func argMax(l *layer) error {
	p := l.param("argmax_param")
	if p.bool("out_max_val", false) || p.int("top_k", 1, 1) != 1 {
		return errors.New("argmax_param: out_max_val and top_k are not supported")
	}
	x, at := l.in[0], 1
	var err error
	if p.has("axis") {
		if at, err = l.axisOf(p, "axis", 1); err != nil {
			return err
		}
	} else if x, err = l.step("flat", &op.Flatten{Axis: 1}, x); err != nil {
		return err
	}
	index, err := l.step("index", &op.ArgMax{Axis: at, KeepDims: true}, x)
	if err != nil {
		return err
	}
	cast := &op.Cast{To: op.OutputType{DType: tensor.Float32}}
	if p.has("axis") {
		return l.node(cast, index)
	}
	if index, err = l.step("float", cast, index); err != nil {
		return err
	}
	return l.node(&op.Unsqueeze{}, index, l.list("axes", 2))
}

// reduction combines all axes from one on.
func reduction(l *layer) error {
	p := l.param("reduction_param")
	kind := "SUM"
	if p.has("operation") {
		kind = p.enum("operation", "", "SUM", "ASUM", "SUMSQ", "MEAN") // numbers begin with 1
	}
	name := map[string]string{"SUM": "ReduceSum", "ASUM": "ReduceL1", "SUMSQ": "ReduceSumSquare", "MEAN": "ReduceMean"}[kind]
	if name == "" {
		return fmt.Errorf("reduction_param.operation is %q", kind)
	}
	at, err := l.axisOf(p, "axis", 0)
	if err != nil {
		return err
	}
	s, err := l.shape(0)
	if err != nil {
		return err
	}
	var axes []int64
	for i := at; i < len(s); i++ {
		axes = append(axes, int64(i))
	}
	x, err := l.reduced("total", name, false, l.in[0], axes...)
	if err != nil {
		return err
	}
	return l.node(&op.Mul{}, x, l.scalar("coeff", p.float("coeff", 1)))
}

// tile repeats the input along an axis.
func tile(l *layer) error {
	p := l.param("tile_param")
	at, err := l.axisOf(p, "axis", 1)
	if err != nil {
		return err
	}
	s, err := l.shape(0)
	if err != nil {
		return err
	}
	repeats := make([]int64, len(s))
	for i := range repeats {
		repeats[i] = 1
	}
	if repeats[at] = int64(p.int("tiles", 0, 1)); repeats[at] == 0 {
		return errors.New("tile_param has no tiles")
	}
	return l.node(&op.Tile{}, l.in[0], l.list("repeats", repeats...))
}

// axpy is a·x + y, with one a for each channel.
func axpy(l *layer) error {
	product, err := l.step("product", &op.Mul{}, l.in[1], l.in[0])
	if err != nil {
		return err
	}
	return l.node(&op.Add{}, product, l.in[2])
}
