package onnx

import (
	"fmt"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
)

// composed is the rows of operators of attention, recurrent networks, detectors and signal processing.
func composed() map[key]row {
	output := map[string]string{"output_datatype": "Output", "dtype": "Output"}
	return map[key]row{
		{"", "Attention"}:                    {3, 0, plain(nil)},
		{"", "RotaryEmbedding"}:              {3, 0, plain(nil)},
		{"", "LinearAttention"}:              {3, 0, plain(nil)},
		{"", "CausalConvWithState"}:          {2, 0, causalConvWithState},
		{"", "TensorScatter"}:                {2, 0, tensorScatter},
		{"", "SwiGLU"}:                       {2, 0, swiGLU},
		{"", "RNN"}:                          {3, 0, recurrent},
		{"", "GRU"}:                          {3, 0, recurrent},
		{"", "LSTM"}:                         {3, 0, recurrent},
		{"", "NegativeLogLikelihoodLoss"}:    {2, 0, loss},
		{"", "SoftmaxCrossEntropyLoss"}:      {2, 0, loss},
		{"", "RoiAlign"}:                     {3, 0, roiAlign},
		{"", "DeformConv"}:                   {3, 0, plain(nil)},
		{"", "GridSample"}:                   {2, 0, plain(nil)},
		{"", "AffineGrid"}:                   {2, 0, plain(nil)},
		{"", "CenterCropPad"}:                {2, 0, plain(nil)},
		{"", "Col2Im"}:                       {3, 0, plain(nil)},
		{"", "MaxUnpool"}:                    {2, 0, plain(nil)},
		{"", "NonMaxSuppression"}:            {2, 0, plain(nil)},
		{"", "Einsum"}:                       {1, 0, plain(nil)},
		{"", "Det"}:                          {1, 0, plain(nil)},
		{"", "EyeLike"}:                      {1, 0, plain(output)},
		{"", "BitCast"}:                      {1, 0, plain(nil)},
		{"", "LpNormalization"}:              {1, 0, plain(nil)},
		{"", "Unique"}:                       {1, 0, unique},
		{"", "CumProd"}:                      {2, 0, plain(nil)},
		{"", "DFT"}:                          {1, 0, dft},
		{"", "STFT"}:                         {2, 0, plain(nil)},
		{"", "MelWeightMatrix"}:              {5, 0, plain(output)},
		{"", "HannWindow"}:                   {1, 0, plain(output)},
		{"", "HammingWindow"}:                {1, 0, plain(output)},
		{"", "BlackmanWindow"}:               {1, 0, plain(output)},
		{"", "Scatter"}:                      {3, 10, scatter},
		{"ai.onnx.preview", "FlexAttention"}: {3, 0, flexAttention},
	}
}

// scatter is ScatterElements by the name it had before operator set 11.
func scatter(c *call) error {
	o := op.Lookup("ScatterElements")
	if err := c.fill(o, nil); err != nil {
		return err
	}
	c.emit(o, c.in, c.out...)
	return nil
}

func causalConvWithState(c *call) error {
	activation := c.string("activation", "none")
	if !slices.Contains([]string{"none", "silu", "swish"}, activation) {
		return fmt.Errorf("activation %q is not known", activation)
	}
	c.emit(&op.CausalConvWithState{Silu: activation != "none"}, c.in, c.out...)
	return nil
}

func tensorScatter(c *call) error {
	mode := c.string("mode", "linear")
	if mode != "linear" && mode != "circular" {
		return fmt.Errorf("mode %q is not known", mode)
	}
	c.emit(&op.TensorScatter{Axis: c.int("axis", -2), Circular: mode == "circular"}, c.in, c.out...)
	return nil
}

// swiGLU is Swish of the first operand times the second.
func swiGLU(c *call) error {
	gate := c.temporary("gate")
	c.emit(&op.Swish{Alpha: c.float("alpha", 1)}, c.in[:1], gate)
	c.emit(op.Lookup("Mul"), []*graph.Value{gate, c.in[1]}, c.out...)
	return nil
}

// dft before operator set 20 had its axis as an attribute.
func dft(c *call) error {
	in := c.in
	if c.version < 20 {
		in = append(slices.Clone(in[:min(len(in), 2)]), make([]*graph.Value, 2-min(len(in), 2))...)
		in = append(in, c.list("axis", int64(c.int("axis", 1))))
	}
	return c.plain(nil, in)
}

func unique(c *call) error {
	o := &op.Unique{Flat: c.attribute("axis") == nil, Sorted: c.int("sorted", 1) != 0}
	if !o.Flat {
		o.Axis = c.int("axis", 0)
	}
	c.emit(o, c.in, c.out...)
	return nil
}

func roiAlign(c *call) error {
	// Before operator set 16 there was no attribute, and the meaning was what is now output_half_pixel.
	coordinates := "half_pixel"
	if c.version < 16 {
		coordinates = "output_half_pixel"
	}
	coordinates = c.string("coordinate_transformation_mode", coordinates)
	mode := c.string("mode", "avg")
	if !slices.Contains([]string{"half_pixel", "output_half_pixel"}, coordinates) || mode != "avg" && mode != "max" {
		return fmt.Errorf("coordinates %q or mode %q are not known", coordinates, mode)
	}
	o := &op.RoiAlign{OutputHeight: c.int("output_height", 1), OutputWidth: c.int("output_width", 1), SamplingRatio: c.int("sampling_ratio", 0),
		SpatialScale: c.float("spatial_scale", 1), HalfPixel: coordinates == "half_pixel", Max: mode == "max"}
	c.emit(o, c.in, c.out...)
	return nil
}

func loss(c *call) error {
	var l op.Loss
	if err := l.Reduction.UnmarshalText([]byte(c.string("reduction", "mean"))); err != nil {
		return err
	}
	if a := c.attribute("ignore_index"); a != nil {
		l.Ignores, l.IgnoreIndex = true, int(a.i)
	}
	if c.proto.op == "SoftmaxCrossEntropyLoss" {
		c.emit(&op.SoftmaxCrossEntropyLoss{Loss: l}, c.in, c.out...)
	} else {
		c.emit(&op.NegativeLogLikelihoodLoss{Loss: l}, c.in, c.out...)
	}
	return nil
}

// cellDefaults is the parameters that activations of recurrent layers have where none are given.
var cellDefaults = map[string]op.CellActivation{
	"LeakyRelu": {Alpha: 0.01}, "ThresholdedRelu": {Alpha: 1}, "HardSigmoid": {Alpha: 0.2, Beta: 0.5}, "Elu": {Alpha: 1},
	"Affine": {Alpha: 1}, "ScaledTanh": {Alpha: 1, Beta: 1},
}

// cellParameters says which activations take a parameter from activation_alpha, and which from activation_beta.
var cellParameters = map[string][2]bool{
	"Affine": {true, true}, "LeakyRelu": {true, false}, "ThresholdedRelu": {true, false}, "ScaledTanh": {true, true},
	"HardSigmoid": {true, true}, "Elu": {true, false},
}

func recurrent(c *call) error { return recurrentLayer(c, c.proto.op, c.in, false) }

// recurrentLayer emits the layer of the given name. dynamic says that it quantizes activations.
func recurrentLayer(c *call, name string, in []*graph.Value, dynamic bool) error {
	r := op.Recurrence{HiddenSize: c.int("hidden_size", 0), BatchFirst: c.int("layout", 0) != 0, Clip: c.float("clip", 0)}
	if err := r.Direction.UnmarshalText([]byte(c.string("direction", "forward"))); err != nil {
		return err
	}
	var alphas, betas []float32
	if a := c.attribute("activation_alpha"); a != nil {
		alphas = a.floats
	}
	if a := c.attribute("activation_beta"); a != nil {
		betas = a.floats
	}
	if a := c.attribute("activations"); a != nil {
		for _, name := range a.strings {
			activation := cellDefaults[name]
			activation.Name = name
			if takes := cellParameters[name]; takes[0] && len(alphas) > 0 {
				activation.Alpha, alphas = alphas[0], alphas[1:]
			}
			if takes := cellParameters[name]; takes[1] && len(betas) > 0 {
				activation.Beta, betas = betas[0], betas[1:]
			}
			r.Activations = append(r.Activations, activation)
		}
	}
	// The number of outputs is that of the operator: those that the file leaves out at the end are absent.
	switch name {
	case "RNN":
		c.emit(&op.RNN{Recurrence: r}, in, c.out...)
	case "GRU":
		c.emit(&op.GRU{Recurrence: r, LinearBeforeReset: c.int("linear_before_reset", 0) != 0}, in, c.out...)
	case "LSTM":
		c.emit(&op.LSTM{Recurrence: r, InputForget: c.int("input_forget", 0) != 0, Dynamic: dynamic}, in, c.out...)
	}
	return nil
}
