package op

import (
	"fmt"
	"math"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/tensor"
)

// WindowFunction is a taper of the length in operand 0: a sum of cosines with the given Coefficients,
// Σ ±a_k·cos(2πkn/N). ONNX has HannWindow, HammingWindow and BlackmanWindow.
type WindowFunction struct {
	name         string
	coefficients []float64
	Periodic     bool // N is the length, instead of one less
	Output       OutputType
}

// windowFunctions is ONNX's windows; their coefficients are in the specification.
var windowFunctions = []WindowFunction{
	{name: "HannWindow", coefficients: []float64{0.5, 0.5}},
	{name: "HammingWindow", coefficients: []float64{25.0 / 46, 21.0 / 46}},
	{name: "BlackmanWindow", coefficients: []float64{0.42, 0.5, 0.08}},
}

// Type is the window's name.
func (o *WindowFunction) Type() string { return o.name }

func (o *WindowFunction) dtype() tensor.DType {
	if o.Output.DType == tensor.Invalid {
		return tensor.Float32
	}
	return o.Output.DType
}

// Infer knows the length if operand 0 is.
func (o *WindowFunction) Infer(c *Inference) error {
	shape := unknowns(1)
	if n, ok := c.Data(0); ok && len(n) == 1 {
		shape[0] = n[0].Dim()
	}
	c.SetOut(0, o.dtype(), shape)
	return nil
}

// Evaluate computes in float64.
func (o *WindowFunction) Evaluate(c *Evaluation) error {
	n, err := scalarInt(c, 0)
	if err != nil {
		return err
	}
	if n < 0 || n > tensor.MaxElements {
		return fmt.Errorf("a window of %d elements", n)
	}
	period := float64(n)
	if !o.Periodic {
		period--
	}
	values := make([]float64, n)
	for i := range values {
		sign := 1.0
		for k, a := range o.coefficients {
			values[i] += sign * a * math.Cos(2*math.Pi*float64(k)*float64(i)/period)
			sign = -sign
		}
	}
	c.Set(0, fromFloat64sOrInts(o.dtype(), []int{int(n)}, values))
	return nil
}

// DFT is the discrete Fourier transform along the axis in operand 2 (−2 if absent), of signals whose last dimension is
// real and imaginary part, or 1 for real ones. Operand 1 is the length that signals are cut or padded to.
type DFT struct {
	Inverse  bool
	Onesided bool // half of the spectrum of a real signal is given or taken
}

// Type is "DFT".
func (*DFT) Type() string { return "DFT" }

// Infer knows the rank.
func (o *DFT) Infer(c *Inference) error {
	rank, ok := c.In(0).Rank()
	if !ok {
		c.SetOut(0, c.In(0).DType, nil)
		return nil
	}
	c.SetOut(0, c.In(0).DType, unknowns(rank))
	return nil
}

// Evaluate sums in float64 by the definition.
func (o *DFT) Evaluate(c *Evaluation) error {
	x := c.In(0)
	shape := x.Shape()
	last := len(shape) - 1
	if last < 1 || shape[last] != 1 && shape[last] != 2 || !x.DType().IsFloat() {
		return fmt.Errorf("input is %s, wants floats with a last dimension of 1 or 2", x)
	}
	axis := -2
	if c.Has(2) {
		n, err := scalarInt(c, 2)
		if err != nil {
			return err
		}
		axis = int(n)
	}
	axis, err := normalAxis(axis, len(shape))
	if err != nil {
		return err
	}
	if axis == last {
		return fmt.Errorf("axis %d holds real and imaginary parts", axis)
	}
	length := shape[axis]
	if o.Inverse && o.Onesided {
		length = 2 * (length - 1)
	}
	if c.Has(1) {
		n, err := scalarInt(c, 1)
		if err != nil {
			return err
		}
		length = int(n)
	}
	if length < 1 || length > 1<<24 {
		return fmt.Errorf("a transform of length %d", length)
	}
	out := slices.Clone(shape)
	out[axis], out[last] = length, 2
	switch {
	case o.Onesided && o.Inverse:
		out[last] = 1
	case o.Onesided:
		out[axis] = length/2 + 1
	}
	values := Float64s(x)
	result := make([]float64, product(out))
	inner, parts := product(shape[axis+1:last]), shape[last]
	for outer := range product(shape[:axis]) {
		for i := range inner {
			re, im := make([]float64, length), make([]float64, length)
			for k := range min(shape[axis], length) {
				at := ((outer*shape[axis]+k)*inner + i) * parts
				re[k] = values[at]
				if parts == 2 {
					im[k] = values[at+1]
				}
			}
			if o.Onesided && o.Inverse {
				mirror(re, im)
			}
			re, im = fourier(re, im, o.Inverse)
			for k := range out[axis] {
				at := ((outer*out[axis]+k)*inner + i) * out[last]
				result[at] = re[k]
				if out[last] == 2 {
					result[at+1] = im[k]
				}
			}
		}
	}
	c.Set(0, FromFloat64s(x.DType(), out, result))
	return nil
}

// mirror completes the spectrum of a real signal from its first half.
func mirror(re, im []float64) {
	n := len(re)
	im[0] = 0
	for k := n/2 + 1; k < n; k++ {
		re[k], im[k] = re[n-k], -im[n-k]
	}
	if n%2 == 0 {
		im[n/2] = 0
	}
}

// fourier is the transform by its definition; the inverse divides by the length.
func fourier(re, im []float64, inverse bool) (outRe, outIm []float64) {
	n := len(re)
	outRe, outIm = make([]float64, n), make([]float64, n)
	sin, cos := make([]float64, n), make([]float64, n)
	for i := range n {
		sin[i], cos[i] = math.Sincos(-2 * math.Pi * float64(i) / float64(n))
		if inverse {
			sin[i] = -sin[i]
		}
	}
	for k := range n {
		for i := range n {
			s, c := sin[i*k%n], cos[i*k%n]
			outRe[k] += re[i]*c - im[i]*s
			outIm[k] += re[i]*s + im[i]*c
		}
		if inverse {
			outRe[k] /= float64(n)
			outIm[k] /= float64(n)
		}
	}
	return outRe, outIm
}

// STFT is the Fourier transform of overlapping frames. Operands: signal [batch, length, 1 or 2], step between frames,
// window, length of frames (that of the window if absent). Result: [batch, frames, frequencies, 2].
type STFT struct{ Onesided bool }

// Type is "STFT".
func (*STFT) Type() string { return "STFT" }

// Infer knows the rank.
func (*STFT) Infer(c *Inference) error {
	c.SetOut(0, c.In(0).DType, unknowns(4))
	return nil
}

// Evaluate transforms frame by frame in float64.
func (o *STFT) Evaluate(c *Evaluation) error {
	x := c.In(0)
	shape := x.Shape()
	if len(shape) == 2 {
		shape = []int{shape[0], shape[1], 1}
	}
	if len(shape) != 3 || shape[2] != 1 && shape[2] != 2 || !x.DType().IsFloat() {
		return fmt.Errorf("signal is %s, wants [batch, length, 1 or 2] floats", x)
	}
	step, err := scalarInt(c, 1)
	if err != nil {
		return err
	}
	length := int64(shape[1])
	var window []float64
	if c.Has(2) {
		window = Float64s(c.In(2))
		length = int64(len(window))
	}
	if c.Has(3) {
		if length, err = scalarInt(c, 3); err != nil {
			return err
		}
	}
	if step < 1 || length < 1 || length > int64(shape[1]) || window != nil && len(window) != int(length) {
		return fmt.Errorf("frames of %d elements every %d, with a window of %d, of a signal of %d", length, step, len(window), shape[1])
	}
	frames := 1 + (shape[1]-int(length))/int(step)
	frequencies := int(length)
	if o.Onesided {
		frequencies = int(length)/2 + 1
	}
	values := Float64s(x)
	var out []float64
	for b := range shape[0] {
		for f := range frames {
			re, im := make([]float64, length), make([]float64, length)
			for i := range re {
				at := (b*shape[1] + f*int(step) + i) * shape[2]
				w := 1.0
				if window != nil {
					w = window[i]
				}
				re[i] = values[at] * w
				if shape[2] == 2 {
					im[i] = values[at+1] * w
				}
			}
			re, im = fourier(re, im, false)
			for k := range frequencies {
				out = append(out, re[k], im[k])
			}
		}
	}
	c.Set(0, FromFloat64s(x.DType(), []int{shape[0], frames, frequencies, 2}, out))
	return nil
}

// MelWeightMatrix is the triangles that sum a spectrum to mel bands. Operands: number of bands, length of the
// transform, sample rate, lowest and highest frequency.
type MelWeightMatrix struct{ Output OutputType }

// Type is "MelWeightMatrix".
func (*MelWeightMatrix) Type() string { return "MelWeightMatrix" }

func (o *MelWeightMatrix) dtype() tensor.DType {
	if o.Output.DType == tensor.Invalid {
		return tensor.Float32
	}
	return o.Output.DType
}

// Infer knows the sizes if operands 0 and 1 are.
func (o *MelWeightMatrix) Infer(c *Inference) error {
	shape := unknowns(2)
	if n, ok := c.Ints(1); ok && len(n) == 1 && n[0] >= 0 {
		shape[0] = graph.Fixed(int(n[0]/2 + 1))
	}
	if n, ok := c.Data(0); ok && len(n) == 1 {
		shape[1] = n[0].Dim()
	}
	c.SetOut(0, o.dtype(), shape)
	return nil
}

// Evaluate computes in float64.
func (o *MelWeightMatrix) Evaluate(c *Evaluation) error {
	var counts [3]int64
	for i := range counts {
		n, err := scalarInt(c, i)
		if err != nil {
			return err
		}
		if n < 1 || n > 1<<24 {
			return fmt.Errorf("operand %d is %d", i, n)
		}
		counts[i] = n
	}
	bands, length, rate := int(counts[0]), counts[1], float64(counts[2])
	if err := wantFloats(c, 3, 4); err != nil {
		return err
	}
	mel := func(hertz float64) float64 { return 2595 * math.Log10(1+hertz/700) }
	low, high := mel(Float64s(c.In(3))[0]), mel(Float64s(c.In(4))[0])
	spectrum := int(length/2 + 1)
	edges := make([]int, bands+2)
	for i := range edges {
		hertz := 700 * (math.Pow(10, (low+float64(i)*(high-low)/float64(len(edges)))/2595) - 1)
		edges[i] = int(math.Floor(float64(length+1) * hertz / rate))
		if edges[i] < 0 || edges[i] > spectrum {
			return fmt.Errorf("band edge %d lies outside the spectrum of %d", edges[i], spectrum)
		}
	}
	out := make([]float64, spectrum*bands)
	set := func(j, band int, v float64) {
		if j < spectrum {
			out[j*bands+band] = v
		}
	}
	for band := range bands {
		left, center, right := edges[band], edges[band+1], edges[band+2]
		if left == center {
			set(center, band, 1)
		} else {
			for j := left; j <= center; j++ {
				set(j, band, float64(j-left)/float64(center-left))
			}
		}
		for j := center; j < right; j++ {
			set(j, band, float64(right-j)/float64(right-center))
		}
	}
	c.Set(0, fromFloat64sOrInts(o.dtype(), []int{spectrum, bands}, out))
	return nil
}
