package quantize

import (
	"context"
	"iter"
	"slices"

	"github.com/octet-nn/octet/internal/calibrate"
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// CorrectBias takes the mean error of the last layers, those from which no further layer is reached, out of their
// biases in g, whose quantized form is q; quantizing g again gives the corrected network, while g by itself no longer
// computes what it did. The mean is per output channel, over the samples (bias correction: Nagel et al., "Data-free quantization through weight equalization and
// bias correction", 2019, section 4.2, with measured means). The mean errors of all layers before are in it. A layer
// is corrected only if the mean error on each half of the samples makes the other half better. It returns how many
// layers were.
func CorrectBias(ctx context.Context, g, q *graph.Graph, exec graph.Executor, samples iter.Seq2[calibrate.Sample, error]) (int, error) {
	layers := lastLayers(g, q)
	if len(layers) == 0 {
		return 0, nil
	}
	var keepFloat, keepCodes []string
	for _, l := range layers {
		keepFloat = append(keepFloat, l.value.Name)
		keepCodes = append(keepCodes, l.quantized.Name)
	}
	float, err := exec.Prepare(g, keepFloat)
	if err != nil {
		return 0, err
	}
	defer graph.CloseRunner(float)
	integer, err := exec.Prepare(q, keepCodes)
	if err != nil {
		return 0, err
	}
	defer graph.CloseRunner(integer)
	n := 0
	for sample, err := range samples {
		if err != nil {
			return 0, err
		}
		want, err := float.Run(ctx, sample.Inputs)
		if err != nil {
			return 0, err
		}
		got, err := integer.Run(ctx, sample.Inputs)
		if err != nil {
			return 0, err
		}
		for _, l := range layers {
			l.half[n%2].add(want[l.value.Name], got[l.quantized.Name], l)
		}
		n++
	}
	corrected := 0
	for _, l := range layers {
		if l.correct(g) {
			corrected++
		}
	}
	return corrected, nil
}

// lastLayer is a layer whose bias may be corrected.
type lastLayer struct {
	node             *graph.Node
	bias             int          // operand
	channel          int          // axis of the result
	value, quantized *graph.Value // its result in the float network and in the quantized one
	half             [2]channelErrors
}

// channelErrors are sums over the errors of each output channel.
type channelErrors struct {
	sum   []float64
	count float64 // errors per channel
}

// lastLayers lists the layers from which no further one is reached and whose result, in both networks, is their exact
// sum: without a fused activation.
func lastLayers(g, q *graph.Graph) []*lastLayer {
	bySource := map[string]*graph.Value{}
	for _, n := range q.Nodes {
		if n.Compute == graph.Integer || n.Compute == graph.IntegerToFloat {
			for _, v := range n.Outputs {
				if v != nil {
					bySource[v.Source()] = v
				}
			}
		}
	}
	var layers []*lastLayer
	reaches := map[*graph.Value]bool{} // values that lead to a layer
	for _, n := range slices.Backward(g.Nodes) {
		weights, bias, channel := biasOperand(n)
		leads := slices.ContainsFunc(n.Outputs, func(v *graph.Value) bool { return v != nil && reaches[v] })
		if weights || leads {
			for _, v := range n.Inputs {
				if v != nil {
					reaches[v] = true
				}
			}
		}
		if leads || bias < 0 || n.Outputs[0].Type.DType != tensor.Float32 {
			continue
		}
		if v := bySource[n.Outputs[0].Source()]; v != nil {
			layers = append(layers, &lastLayer{node: n, bias: bias, channel: channel, value: n.Outputs[0], quantized: v})
		}
	}
	slices.Reverse(layers)
	return layers
}

// biasOperand is where a layer has its bias, −1 if it has no place for one, and the axis of its result that the bias
// goes along.
func biasOperand(n *graph.Node) (weights bool, bias, channel int) {
	form, why := integerForm(n)
	if why != "" || !slices.Contains(form.Roles, op.Weight) || n.Outputs[0] == nil {
		return false, -1, 0
	}
	rank := len(n.Outputs[0].Type.Shape)
	switch o := n.Op.(type) {
	case *op.Conv:
		if o.Clamp == nil {
			return true, 2, o.Layout.Channel(rank)
		}
	case *op.Gemm:
		if o.Clamp == nil && o.Beta == 1 {
			return true, 2, rank - 1
		}
	}
	return true, -1, 0
}

// add counts the errors of one sample.
func (h *channelErrors) add(want, got *tensor.Tensor, l *lastLayer) {
	if want == nil || got == nil || !slices.Equal(want.Shape(), got.Shape()) {
		return
	}
	shape := want.Shape()
	channels, inner := shape[l.channel], 1
	for _, d := range shape[l.channel+1:] {
		inner *= d
	}
	if h.sum == nil {
		h.sum = make([]float64, channels)
	}
	if len(h.sum) != channels {
		return
	}
	a := tensor.Values[float32](want)
	b := op.Reals(got, l.quantized.Type.Quant)
	for i, x := range a {
		h.sum[i/inner%channels] += float64(b[i]) - float64(x)
	}
	if channels > 0 {
		h.count += float64(len(a) / channels)
	}
}

func (h *channelErrors) mean(c int) float64 { return h.sum[c] / h.count }

// correct changes the bias if that makes errors smaller. A mean error m taken from errors with sum s and count n
// changes their sum of squares by n·m² − 2·m·s.
func (l *lastLayer) correct(g *graph.Graph) bool {
	a, b := &l.half[0], &l.half[1]
	if a.count == 0 || b.count == 0 || len(a.sum) != len(b.sum) {
		return false
	}
	for _, pair := range [][2]*channelErrors{{a, b}, {b, a}} {
		var change float64
		for c := range pair[0].sum {
			m := pair[0].mean(c)
			change += pair[1].count*m*m - 2*m*pair[1].sum[c]
		}
		if !(change < 0) {
			return false
		}
	}
	channels := len(a.sum)
	values := make([]float32, channels)
	var old *graph.Value
	if l.bias < len(l.node.Inputs) {
		old = l.node.Inputs[l.bias]
	}
	if old != nil {
		have := op.Float32s(old.Const)
		if len(have) != channels && len(have) != 1 { // a matrix that is added
			return false
		}
		for c := range values {
			values[c] = have[c%len(have)]
		}
	}
	for c := range values {
		values[c] -= float32((a.sum[c] + b.sum[c]) / (a.count + b.count))
	}
	t := tensor.Of(values, channels)
	name := l.node.Outputs[0].Name + "_bias"
	if old != nil {
		name = old.Name
	}
	bias := &graph.Value{Name: g.Index().Fresh(name + "_corrected"), Origin: name, Type: graph.TypeOf(t), Const: t}
	for len(l.node.Inputs) <= l.bias {
		l.node.Inputs = append(l.node.Inputs, nil)
	}
	l.node.Inputs[l.bias] = bias
	return true
}
