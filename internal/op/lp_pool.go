package op

import (
	"fmt"
	"math"

	"github.com/octet-nn/octet/internal/numeric"
)

// LpPool is the P-norm of the elements under a sliding window (ONNX LpPool).
type LpPool struct {
	KernelShape []int
	Strides     []int // empty means 1
	Pads        []int // begin of each spatial axis, then end of each; empty means 0
	Dilations   []int // empty means 1
	P           int
	AutoPad     AutoPad
	CeilMode    bool
	Layout      Layout
}

// GlobalLpPool is the P-norm over all spatial positions, which become 1.
type GlobalLpPool struct {
	P      int
	Layout Layout
}

// Type is "LpPool".
func (*LpPool) Type() string { return "LpPool" }

// Type is "GlobalLpPool".
func (*GlobalLpPool) Type() string { return "GlobalLpPool" }

func (o *LpPool) window() window {
	return window{kernel: o.KernelShape, strides: o.Strides, dilations: o.Dilations, pads: o.Pads, auto: o.AutoPad, ceil: o.CeilMode}
}

// Infer computes the spatial sizes.
func (o *LpPool) Infer(c *Inference) error { return inferPool(c, o.window(), o.Layout) }

// Infer keeps batch and channels.
func (o *GlobalLpPool) Infer(c *Inference) error { return inferGlobalPool(c, o.Layout) }

// Evaluate computes the norms.
func (o *LpPool) Evaluate(c *Evaluation) error {
	if err := c.require(1); err != nil {
		return err
	}
	s, err := o.window().overInput(c.In(0), o.Layout)
	if err != nil {
		return err
	}
	return normWindows(c, o.Layout, s, o.P)
}

// Evaluate computes the norms.
func (o *GlobalLpPool) Evaluate(c *Evaluation) error {
	if err := c.require(1); err != nil {
		return err
	}
	s, err := everything(c.In(0), o.Layout)
	if err != nil {
		return err
	}
	return normWindows(c, o.Layout, s, o.P)
}

// normWindows computes (Σ|x|^p)^(1/p) under each window.
func normWindows(c *Evaluation, l Layout, s slide, p int) error {
	if p < 1 {
		return fmt.Errorf("there is no norm with p = %d", p)
	}
	batch, channels, _, err := spatialSizes(c.In(0), l)
	if err != nil {
		return err
	}
	values := channelsLast(Float64s(c.In(0)), l, batch, channels, s.inCount)
	out := make([]float64, batch*s.outCount*channels)
	s.taps(func(at int, _, in []int) {
		for n := range batch {
			for ch := range channels {
				var sum float64
				for _, from := range in {
					sum += positivePower(math.Abs(values[(n*s.inCount+from)*channels+ch]), float64(p))
				}
				out[(n*s.outCount+at)*channels+ch] = positivePower(sum, 1/float64(p))
			}
		}
	})
	shape := layoutSizes(l, batch, channels, s.out)
	c.Set(0, FromFloat64s(c.In(0).DType(), shape, fromChannelsLast(out, l, batch, channels, s.outCount)))
	return nil
}

// positivePower is x^y for x ≥ 0, with the same bits on every architecture (math.Pow's differ).
func positivePower(x, y float64) float64 {
	switch {
	case y == 1:
		return x
	case y == 2:
		return float64(x * x)
	case y == 0.5:
		return math.Sqrt(x)
	case x == 0:
		return 0
	}
	return numeric.Exp(float64(y * numeric.Log(x)))
}
