package compile

import (
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/kernel"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/runtime"
)

// around splits a shape into the elements before, along and after an axis, which may be negative.
func around(shape []int, axis int) (outer, size, inner int) {
	if axis < 0 {
		axis += len(shape)
	}
	outer, inner = 1, 1
	for i, d := range shape {
		switch {
		case i < axis:
			outer *= d
		case i > axis:
			inner *= d
		}
	}
	return outer, shape[axis], inner
}

// lowerSoftmax is Softmax and LogSoftmax of floats.
func lowerSoftmax(_ *builder, n *graph.Node) (prepared, error) {
	if !isFloat32(n.Input(0)) {
		return nil, nil
	}
	axis, logarithm := 0, false
	switch o := n.Op.(type) {
	case *op.Softmax:
		axis = o.Axis
	case *op.LogSoftmax:
		axis, logarithm = o.Axis, true
	}
	return func(c *planning) error {
		x := c.in(0)
		y := c.out(0, x)
		k := &kernel.SoftmaxF32{Vector: c.program.vector, Log: logarithm}
		k.Outer, k.Size, k.Inner = around(x.shape, axis)
		emitUnary[float32, float32](c, "softmax_f32", k, y, x)
		return nil
	}, nil
}

// lowerSoftmaxInteger is Softmax of codes.
func lowerSoftmaxInteger(_ *builder, n *graph.Node) (prepared, error) {
	in, ok := codesOf(n.Input(0))
	out, also := codesOf(n.Outputs[0])
	if !ok || !also {
		return nil, nil
	}
	axis := n.Op.(*op.Softmax).Axis
	return func(c *planning) error {
		x := c.in(0)
		y := c.out(0, x)
		outer, size, inner := around(x.shape, axis)
		if n.Arithmetic != numeric.ONNX {
			k := &kernel.SoftmaxRows{Outer: outer, Size: size, Inner: inner, Signed: in.Signed,
				Softmax: n.Arithmetic.Softmax(op.InputCodes(n, 0), op.OutputCodes(n, nil))}
			emitScratched[byte, byte](c, "softmax_rows", k, y, x)
			return nil
		}
		k := kernel.NewSoftmaxInt8(outer, size, inner, in.Signed, in.Scale, out.Scale, out.ZeroPoint, out.lowest, out.highest)
		k.Vector = c.program.vector
		emitUnary[byte, byte](c, "softmax_int8", k, y, x)
		return nil
	}, nil
}

// lowerReduce is reductions of floats.
func lowerReduce(f kernel.ReduceOp) func(*builder, *graph.Node) (prepared, error) {
	return func(_ *builder, n *graph.Node) (prepared, error) {
		if !isFloat32(n.Input(0)) {
			return nil, nil
		}
		return func(c *planning) error {
			x := c.in(0)
			r, ok, err := c.reduction(x)
			if !ok || err != nil {
				return otherwise(c, err)
			}
			y := c.out(0)
			c.emit("reduce_f32", 0, func(m *runtime.Memory) runtime.Work {
				out, in := data[float32](m, y), data[float32](m, x)
				return runtime.Work{Tasks: r.Units(), Run: func(begin, end, _ int) { r.RunF32(f, out, in, begin, end) }}
			})
			return nil
		}, nil
	}
}

// lowerReduceInteger is reductions of codes.
func lowerReduceInteger(f kernel.ReduceOp) func(*builder, *graph.Node) (prepared, error) {
	return func(_ *builder, n *graph.Node) (prepared, error) {
		in, ok := codesOf(n.Input(0))
		out, also := codesOf(n.Outputs[0])
		if !ok || !also {
			return nil, nil
		}
		codes := kernel.ReduceCodes{Input: in.Int8Operand, Scale: out.Scale, ZeroPoint: out.ZeroPoint, Lowest: out.lowest, Highest: out.highest}
		return func(c *planning) error {
			x := c.in(0)
			r, ok, err := c.reduction(x)
			if !ok || err != nil {
				return otherwise(c, err)
			}
			codes := codes
			if n.Arithmetic != numeric.ONNX {
				axes, _ := c.reducedAxes(x)
				mean := n.Arithmetic.Mean(n.Op.(*op.Reduce).OverImage(axes, len(x.shape)), op.InputCodes(n, 0), op.OutputCodes(n, nil))
				codes.Mean = &mean
			}
			y := c.out(0)
			c.emit("reduce_int8", 0, func(m *runtime.Memory) runtime.Work {
				out, in := data[byte](m, y), data[byte](m, x)
				return runtime.Work{Tasks: r.Units(), Run: func(begin, end, _ int) { r.RunInt8(f, out, in, &codes, begin, end) }}
			})
			return nil
		}, nil
	}
}

// otherwise is what a plan does where a kernel turns out not to serve: it fails if there is an error, else it takes
// the reference evaluation.
func otherwise(c *planning, err error) error {
	if err != nil {
		return err
	}
	return reference(c)
}

// reduction describes the node's reduction of x; ok is false if its axes are not known.
func (c *planning) reduction(x *place) (r kernel.Reduction, ok bool, err error) {
	axes, ok := c.reducedAxes(x)
	if !ok {
		return r, false, nil
	}
	r, err = kernel.NewReduction(x.shape, axes)
	return r, true, err
}

// reducedAxes is the axes of x that the node reduces; ok is false if they are not known.
func (c *planning) reducedAxes(x *place) (axes []int, ok bool) {
	var given []int64
	if c.node.Input(1) != nil {
		if given, ok = c.ints(1); !ok {
			return nil, false
		}
	}
	for _, a := range given {
		if a < 0 {
			a += int64(len(x.shape))
		}
		axes = append(axes, int(a))
	}
	if len(given) == 0 && !c.node.Op.(*op.Reduce).NoopWithEmptyAxes {
		for a := range x.shape {
			axes = append(axes, a)
		}
	}
	return axes, true
}
