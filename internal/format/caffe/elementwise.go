package caffe

import (
	"fmt"
	"math"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

func twice(v float32) *tensor.Tensor { return tensor.Of([]float32{v, v}, 2) }

func identity(l *layer) error {
	for i := range l.out {
		if err := l.im.add(l, &op.Identity{}, l.in, l.out[i:i+1]); err != nil {
			return err
		}
	}
	return nil
}

func function(name string) func(l *layer) error {
	return func(l *layer) error { return l.node(op.NewFunction(name), l.in[0]) }
}

func relu(l *layer) error {
	slope := l.param("relu_param").float("negative_slope", 0)
	if slope == 0 {
		return l.node(op.NewFunction("Relu"), l.in[0])
	}
	return l.node(&op.LeakyRelu{Alpha: float32(slope)}, l.in[0])
}

func relu6(l *layer) error {
	return l.node(&op.Clip{}, l.in[0], l.scalar("min", 0), l.scalar("max", 6))
}

func elu(l *layer) error {
	return l.node(&op.Elu{Alpha: float32(l.param("elu_param").float("alpha", 1)), Gamma: 1, Scale: 1}, l.in[0])
}

func selu(l *layer) error {
	return l.node(&op.Elu{Alpha: 1.67326319217681884765625, Gamma: 1, Scale: 1.05070102214813232421875}, l.in[0])
}

func prelu(l *layer) error {
	p := l.param("prelu_param")
	shared := p.bool("channel_shared", false)
	blobs, err := l.blobs(1)
	if err != nil {
		return err
	}
	s, err := l.shape(0)
	if err != nil {
		return err
	}
	shape := []int{blobs[0].len()} // one for each channel, with as many ones as there are axes after it
	if shared && blobs[0].len() != 1 {
		return fmt.Errorf("channel_shared, but weights of shape %v", blobs[0].shape)
	}
	for range max(len(s)-2, 0) {
		shape = append(shape, 1)
	}
	slope, err := l.constant(blobs[0], "slope", shape...)
	if err != nil {
		return err
	}
	return l.node(&op.PRelu{}, l.in[0], slope)
}

func softmax(l *layer) error {
	at, err := l.axisOf(l.param("softmax_param"), "axis", 1)
	if err != nil {
		return err
	}
	return l.node(&op.Softmax{Axis: at}, l.in[0])
}

// batchNorm normalizes by the stored mean and variance, which are kept multiplied by a third blob.
func batchNorm(l *layer) error {
	p := l.param("batch_norm_param")
	epsilon := p.float("eps", 1e-5)
	if p.bool("fused_relu", false) {
		return fmt.Errorf("batch_norm_param.fused_relu is not supported")
	}
	blobs, err := l.blobs(3)
	if err != nil {
		return err
	}
	factor := float32(0)
	if all := blobs[2].floats(); len(all) == 1 && all[0] != 0 {
		factor = 1 / all[0]
	} else if len(all) != 1 {
		return fmt.Errorf("its third blob has shape %v; want a single number", blobs[2].shape)
	}
	statistics := func(b *blob, suffix string) *graph.Value {
		values := b.floats()
		for i := range values {
			values[i] *= factor
		}
		return l.im.constant(l.name+"/"+suffix, tensor.Of(values, len(values)))
	}
	mean, variance := statistics(blobs[0], "mean"), statistics(blobs[1], "variance")
	channels := blobs[0].len()
	if blobs[1].len() != channels {
		return fmt.Errorf("means of shape %v, but variances of shape %v", blobs[0].shape, blobs[1].shape)
	}
	if err := l.checkChannels(channels); err != nil {
		return err
	}
	return l.node(&op.BatchNormalization{Epsilon: float32(epsilon)}, l.in[0], l.filled("scale", channels, 1), l.filled("shift", channels, 0), mean, variance)
}

// checkChannels compares the size of axis 1 with that of weights.
func (l *layer) checkChannels(n int) error {
	if s := l.in[0].Type.Shape; len(s) > 1 && s[1].Known() && s[1].Size != n {
		return fmt.Errorf("weights for %d channels, but the input has %d", n, s[1].Size)
	}
	return nil
}

// scale multiplies by weights or by a second input, and may add weights.
func scale(l *layer) error {
	p := l.param("scale_param")
	at, err := l.axisOf(p, "axis", 1)
	if err != nil {
		return err
	}
	axes, withBias := p.int("num_axes", 1, -1), p.bool("bias_term", false)
	if len(l.in) == 2 {
		return l.scaleByInput(at, withBias)
	}
	needed := 1
	if withBias {
		needed = 2
	}
	blobs, err := l.blobs(needed)
	if err != nil {
		return err
	}
	if at == 1 && axes == 1 {
		// As a batch normalization it is folded into the layer before it, as its neighbour is.
		n := blobs[0].len()
		if err := l.checkChannels(n); err != nil {
			return err
		}
		factor, err := l.constant(blobs[0], "scale", n)
		if err != nil {
			return err
		}
		shift := l.filled("zero", n, 0)
		if withBias {
			if shift, err = l.constant(blobs[1], "shift", n); err != nil {
				return err
			}
		}
		return l.node(&op.BatchNormalization{}, l.in[0], factor, shift, l.filled("mean", n, 0), l.filled("variance", n, 1))
	}
	factor, err := l.along(blobs[0], "scale", at)
	if err != nil {
		return err
	}
	if !withBias {
		return l.node(&op.Mul{}, l.in[0], factor)
	}
	shift, err := l.along(blobs[1], "shift", at)
	if err != nil {
		return err
	}
	product, err := l.step("product", &op.Mul{}, l.in[0], factor)
	if err != nil {
		return err
	}
	return l.node(&op.Add{}, product, shift)
}

// along is weights that belong to the input's axes from at on, with ones for the axes after theirs.
func (l *layer) along(b *blob, suffix string, at int) (*graph.Value, error) {
	s, err := l.shape(0)
	if err != nil {
		return nil, err
	}
	shape := slices.Clone(b.shape)
	for len(shape) < len(s)-at {
		shape = append(shape, 1)
	}
	if len(shape) != len(s)-at {
		return nil, fmt.Errorf("weights of shape %v from axis %d of an input with %d dimensions", b.shape, at, len(s))
	}
	return l.constant(b, suffix, shape...)
}

// aligned is bottom 1 with ones for the axes of bottom 0 after its own.
func (l *layer) aligned(at int) (*graph.Value, error) {
	s, err := l.shape(0)
	if err != nil {
		return nil, err
	}
	t, err := l.shape(1)
	if err != nil {
		return nil, err
	}
	missing := len(s) - at - len(t)
	if missing < 0 {
		return nil, fmt.Errorf("the second input has %d dimensions from axis %d of %d on", len(t), at, len(s))
	}
	if missing == 0 {
		return l.in[1], nil
	}
	axes := []int64{}
	for i := range missing {
		axes = append(axes, int64(len(t)+i))
	}
	return l.step("aligned", &op.Unsqueeze{}, l.in[1], l.list("axes", axes...))
}

// scaleByInput multiplies by the second input.
func (l *layer) scaleByInput(at int, withBias bool) error {
	factor, err := l.aligned(at)
	if err != nil {
		return err
	}
	if !withBias {
		return l.node(&op.Mul{}, l.in[0], factor)
	}
	blobs, err := l.blobs(1)
	if err != nil {
		return err
	}
	shift, err := l.along(blobs[0], "shift", at)
	if err != nil {
		return err
	}
	product, err := l.step("product", &op.Mul{}, l.in[0], factor)
	if err != nil {
		return err
	}
	return l.node(&op.Add{}, product, shift)
}

// bias adds weights or a second input.
func bias(l *layer) error {
	p := l.param("bias_param")
	at, err := l.axisOf(p, "axis", 1)
	if err != nil {
		return err
	}
	p.int("num_axes", 1, -1) // the shape of the weights says it
	var shift *graph.Value
	if len(l.in) == 2 {
		shift, err = l.aligned(at)
	} else {
		var blobs []*blob
		if blobs, err = l.blobs(1); err == nil {
			shift, err = l.along(blobs[0], "shift", at)
		}
	}
	if err != nil {
		return err
	}
	return l.node(&op.Add{}, l.in[0], shift)
}

// affine is factor·x + shift, without the steps that change nothing.
func (l *layer) affine(x *graph.Value, factor, shift float64) (*graph.Value, error) {
	var err error
	if factor != 1 {
		if x, err = l.step("scaled", &op.Mul{}, x, l.scalar("factor", factor)); err != nil {
			return nil, err
		}
	}
	if shift != 0 {
		x, err = l.step("shifted", &op.Add{}, x, l.scalar("shift", shift))
	}
	return x, err
}

// powered is (shift + factor·x)^exponent.
func (l *layer) powered(suffix string, x *graph.Value, factor, shift, exponent float64) (*graph.Value, error) {
	x, err := l.affine(x, factor, shift)
	if err != nil {
		return nil, err
	}
	return l.step(suffix, &op.Pow{}, x, l.scalar("exponent", exponent))
}

// power is (shift + scale·x)^power.
func power(l *layer) error {
	p := l.param("power_param")
	exponent, factor, shift := p.float("power", 1), p.float("scale", 1), p.float("shift", 0)
	x, err := l.affine(l.in[0], factor, shift)
	if err != nil {
		return err
	}
	if exponent == 1 {
		return l.node(&op.Identity{}, x)
	}
	return l.node(&op.Pow{}, x, l.scalar("exponent", exponent))
}

// base is the base of an exponential or logarithm; −1 means e.
func (p *params) base() (natural float64, err error) {
	base := p.float("base", -1)
	if base != -1 && !(base > 0 && base != 1) {
		return 0, fmt.Errorf("%s.base is %v; it must be positive and not 1, or −1 for e", p.key, base)
	}
	if base == -1 {
		return 1, nil
	}
	return math.Log(base), nil
}

// exponential is base^(shift + scale·x).
func exponential(l *layer) error {
	p := l.param("exp_param")
	natural, err := p.base()
	if err != nil {
		return err
	}
	x, err := l.affine(l.in[0], natural*p.float("scale", 1), natural*p.float("shift", 0))
	if err != nil {
		return err
	}
	return l.node(op.NewFunction("Exp"), x)
}

// logarithm is the logarithm of shift + scale·x.
func logarithm(l *layer) error {
	p := l.param("log_param")
	natural, err := p.base()
	if err != nil {
		return err
	}
	x, err := l.affine(l.in[0], p.float("scale", 1), p.float("shift", 0))
	if err != nil {
		return err
	}
	if natural == 1 {
		return l.node(op.NewFunction("Log"), x)
	}
	if x, err = l.step("log", op.NewFunction("Log"), x); err != nil {
		return err
	}
	return l.node(&op.Mul{}, x, l.scalar("base", 1/natural))
}

// eltwise joins inputs of one shape, from the first to the last.
func eltwise(l *layer) error {
	p := l.param("eltwise_param")
	operation, coefficients := p.enum("operation", "PROD", "SUM", "MAX"), p.floats("coeff")
	if !p.has("operation") {
		operation = "SUM"
	}
	if len(coefficients) > 0 && (operation != "SUM" || len(coefficients) != len(l.in)) {
		return fmt.Errorf("%d coefficients for %s of %d inputs", len(coefficients), operation, len(l.in))
	}
	if operation == "MAX" {
		return l.node(&op.Max{}, l.in...)
	}
	sum, err := l.weighted(l.in[0], coefficients, 0)
	if err != nil {
		return err
	}
	if len(l.in) == 1 {
		return l.node(&op.Identity{}, sum)
	}
	for i := 1; i < len(l.in); i++ {
		x, o := l.in[i], graph.Operator(&op.Add{})
		switch {
		case operation == "PROD":
			o = &op.Mul{}
		case len(coefficients) > 0 && coefficients[i] == -1:
			o = &op.Sub{}
		default:
			if x, err = l.weighted(x, coefficients, i); err != nil {
				return err
			}
		}
		if i == len(l.in)-1 {
			return l.node(o, sum, x)
		}
		if sum, err = l.step("sum", o, sum, x); err != nil {
			return err
		}
	}
	return nil
}

// weighted is x times its coefficient.
func (l *layer) weighted(x *graph.Value, coefficients []float64, i int) (*graph.Value, error) {
	if len(coefficients) == 0 {
		return x, nil
	}
	return l.affine(x, coefficients[i], 0)
}

// normalize divides by the length of the vector of channels, or of everything in a sample, and multiplies by weights.
func normalize(l *layer) error {
	p := l.param("norm_param")
	everywhere, shared, epsilon := p.bool("across_spatial", true), p.bool("channel_shared", true), p.float("eps", 1e-10)
	blobs, err := l.blobs(1)
	if err != nil {
		return err
	}
	n := blobs[0].len()
	if shared && n != 1 {
		return fmt.Errorf("channel_shared, but weights of shape %v", blobs[0].shape)
	}
	if !shared {
		if err := l.checkChannels(n); err != nil {
			return err
		}
	}
	weights, err := l.constant(blobs[0], "scale", 1, n, 1, 1)
	if err != nil {
		return err
	}
	axes := []int64{1}
	if everywhere {
		axes = []int64{1, 2, 3}
	}
	x := l.in[0]
	squares, err := l.step("squares", &op.Mul{}, x, x)
	if err != nil {
		return err
	}
	sum := op.NewReduce("ReduceSum")
	sum.KeepDims = true
	total, err := l.step("sum", sum, squares, l.list("axes", axes...))
	if err != nil {
		return err
	}
	if total, err = l.affine(total, 1, epsilon); err != nil {
		return err
	}
	length, err := l.step("length", op.NewFunction("Sqrt"), total)
	if err != nil {
		return err
	}
	unit, err := l.step("unit", &op.Div{}, x, length)
	if err != nil {
		return err
	}
	return l.node(&op.Mul{}, unit, weights)
}
