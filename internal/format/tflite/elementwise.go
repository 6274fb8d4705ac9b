package tflite

import (
	"math"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// operator is the build function of operators with a counterpart that has the same operands and no attributes.
func operator(make func() graph.Operator) func(c *call) error {
	return func(c *call) error {
		c.emit(make(), c.in, c.out...)
		return nil
	}
}

// function is the build function of functions of one element.
func function(name string) func(c *call) error {
	return operator(func() graph.Operator { return op.NewFunction(name) })
}

func add(c *call) error {
	o := &op.Add{}
	return c.fused(o, &o.Clamp, c.in, c.options.byte(0))
}

// arithmeticOf is the build function of operators of two operands that have nothing but an activation as options.
func arithmeticOf(make func() graph.Operator) func(c *call) error {
	return func(c *call) error { return c.activated(make(), c.in, c.options.byte(0)) }
}

// limited is the build function of activations that only limit.
func limited(activation int) func(c *call) error {
	return func(c *call) error {
		limits, _ := clamp(activation)
		c.emit(&op.Clip{}, []*graph.Value{c.in[0], c.scalar("min", limits.Min), c.scalar("max", limits.Max)}, c.out[0])
		return nil
	}
}

func relu0To1(c *call) error {
	c.emit(&op.Clip{}, []*graph.Value{c.in[0], c.scalar("min", 0), c.scalar("max", 1)}, c.out[0])
	return nil
}

func leakyRelu(c *call) error {
	c.emit(&op.LeakyRelu{Alpha: c.options.float(0, 0)}, c.in, c.out...)
	return nil
}

func gelu(c *call) error {
	c.emit(&op.Gelu{Tanh: c.options.bool(0)}, c.in, c.out...)
	return nil
}

// prelu has a constant slope, which stays real.
func prelu(c *call) error {
	slope := c.in[1]
	if slope.Const != nil && slope.Type.Quant != nil && c.im.decoder.spend(c.record.at, slope.Const.Len()) {
		reals := op.Reals(slope.Const, slope.Type.Quant)
		slope = c.constant("slope", tensor.Of(reals, slope.Const.Shape()...))
	}
	c.emit(&op.PRelu{}, []*graph.Value{c.in[0], slope}, c.out[0])
	return nil
}

func rsqrt(c *call) error {
	root := c.temporary("root")
	c.emit(op.NewFunction("Sqrt"), c.in, root)
	c.emit(op.NewFunction("Reciprocal"), []*graph.Value{root}, c.out[0])
	return nil
}

func square(c *call) error {
	c.emit(&op.Mul{}, []*graph.Value{c.in[0], c.in[0]}, c.out[0])
	return nil
}

func squaredDifference(c *call) error {
	difference := c.temporary("difference")
	c.emit(&op.Sub{}, c.in, difference)
	c.emit(&op.Mul{}, []*graph.Value{difference, difference}, c.out[0])
	return nil
}

func floorDiv(c *call) error {
	if !c.in[0].Type.DType.IsFloat() {
		// Integers are divided towards 0: what is left over, with the sign of the divisor, goes first.
		rest, whole := c.temporary("rest"), c.temporary("whole")
		c.emit(&op.Mod{}, c.in[:2], rest)
		c.emit(&op.Sub{}, []*graph.Value{c.in[0], rest}, whole)
		c.emit(&op.Div{}, []*graph.Value{whole, c.in[1]}, c.out[0])
		return nil
	}
	quotient := c.temporary("quotient")
	c.emit(&op.Div{}, c.in, quotient)
	c.emit(op.NewFunction("Floor"), []*graph.Value{quotient}, c.out[0])
	return nil
}

func comparison(name string) func(c *call) error {
	return operator(func() graph.Operator { return op.NewComparison(name) })
}

func notEqual(c *call) error {
	equal := c.temporary("equal")
	c.emit(op.NewComparison("Equal"), c.in, equal)
	c.emit(&op.Not{}, []*graph.Value{equal}, c.out[0])
	return nil
}

// selection chooses by condition. A condition of one dimension chooses whole rows of operands with more.
func selection(c *call) error {
	rank, known := c.in[0].Type.Rank()
	other, same := c.in[1].Type.Rank()
	if c.kind.name == "SELECT" && (!known || !same || rank != other && rank != 0) {
		return errUnknown
	}
	c.emit(&op.Where{}, c.in, c.out[0])
	return nil
}

func cast(c *call) error {
	to := c.out[0].Type.DType
	if to == tensor.Invalid || quantized(c.in) || quantized(c.out) {
		return errUnknown
	}
	c.emit(&op.Cast{To: op.OutputType{DType: to}}, c.in, c.out[0])
	return nil
}

// quantize makes codes of reals, or other codes of codes.
func quantize(c *call) error {
	x, y := c.in[0], c.out[0]
	switch {
	case y.Type.Quant == nil:
		return errUnknown
	case x.Type.Quant == nil:
		c.emit(&op.Quantize{}, c.in, y)
	case x.Const == nil && x.Type.Quant.IsPerTensor() && y.Type.Quant.IsPerTensor():
		c.emit(&op.Requantize{}, c.in, y)
	default:
		c.emit(&op.Quantize{}, []*graph.Value{c.real(x)}, y)
	}
	return nil
}

// dequantize makes reals of codes, or wider floats of half floats.
func dequantize(c *call) error {
	x, y := c.in[0], c.out[0]
	switch {
	case y.Type.DType != tensor.Float32:
		return errUnknown
	case x.Type.DType.IsFloat():
		c.emit(&op.Cast{To: op.OutputType{DType: tensor.Float32}}, c.in, y)
	case x.Type.Quant == nil:
		return errUnknown
	default:
		c.emit(&op.Dequantize{}, c.in, y)
	}
	return nil
}

// reduction is the build function of reductions, whose axes are operand 1.
func reduction(name string) func(c *call) error {
	return func(c *call) error {
		o := op.NewReduce(name)
		o.KeepDims = c.options.bool(0)
		axes := c.int64s(1, "axes")
		if rank, known := axes.Type.Rank(); known && rank == 0 {
			axes = c.reshaped(axes, 1)
		}
		c.emit(o, []*graph.Value{c.in[0], axes}, c.out[0])
		return nil
	}
}

// reduceBool is the build function of REDUCE_ALL, the least of 0 and 1, and REDUCE_ANY, the greatest.
func reduceBool(name string) func(c *call) error {
	return func(c *call) error {
		numbers, reduced, out := c.temporary("numbers"), c.temporary("reduced"), c.out[0]
		c.emit(&op.Cast{To: op.OutputType{DType: tensor.Int32}}, c.in[:1], numbers)
		inner := *c
		inner.in, inner.out = []*graph.Value{numbers, c.in[1]}, []*graph.Value{reduced}
		if err := reduction(name)(&inner); err != nil {
			return err
		}
		c.emit(&op.Cast{To: op.OutputType{DType: tensor.Bool}}, []*graph.Value{reduced}, out)
		return nil
	}
}

// reshaped is a list of integers under another shape.
func (c *call) reshaped(v *graph.Value, shape ...int64) *graph.Value {
	if v.Const != nil {
		sizes := make([]int, len(shape))
		for i, n := range shape {
			sizes[i] = int(n)
		}
		if n, ok := tensor.Count(sizes); ok && n == v.Const.Len() {
			return c.constant("reshaped", v.Const.Reshape(sizes...))
		}
	}
	out := c.like(v, "reshaped")
	c.emit(&op.Reshape{AllowZero: true}, []*graph.Value{v, c.list("reshaped_shape", shape...)}, out)
	return out
}

// position is the build function of ArgMax and ArgMin.
func position(least bool) func(c *call) error {
	return func(c *call) error {
		axis, ok := c.constants(1)
		if !ok || len(axis) != 1 {
			return errUnknown
		}
		c.narrowed(&op.ArgMax{Axis: int(axis[0]), Min: least}, []*graph.Value{c.in[0]}, 0)
		return nil
	}
}

// narrowed emits an operator whose result i is int64, of the element type that the file says.
func (c *call) narrowed(o graph.Operator, in []*graph.Value, i int) {
	out := append([]*graph.Value(nil), c.out...)
	dtype := out[i].Type.DType
	if dtype != tensor.Int64 && dtype != tensor.Invalid {
		out[i] = c.temporary("wide")
	}
	c.emit(o, in, out...)
	if out[i] != c.out[i] {
		c.emit(&op.Cast{To: op.OutputType{DType: dtype}}, out[i:i+1:i+1], c.out[i])
	}
}

func topK(c *call) error {
	if quantized(c.in) || len(c.out) != 2 {
		return errUnknown
	}
	k := c.reshaped(c.int64s(1, "k"), 1)
	c.narrowed(&op.TopK{Axis: -1, Largest: true, Sorted: true}, []*graph.Value{c.in[0], k}, 1)
	return nil
}

func cumSum(c *call) error {
	c.emit(&op.CumSum{Exclusive: c.options.bool(0), Reverse: c.options.bool(1)}, c.in, c.out[0])
	return nil
}

func oneHot(c *call) error {
	values := c.temporary("values")
	c.emit(&op.Concat{}, []*graph.Value{c.reshaped(c.in[3], 1), c.reshaped(c.in[2], 1)}, values)
	axis := c.options.int(0, 0)
	if axis < -1 || axis > math.MaxInt16 {
		return errUnknown
	}
	c.emit(&op.OneHot{Axis: axis}, []*graph.Value{c.in[0], c.in[1], values}, c.out[0])
	return nil
}
