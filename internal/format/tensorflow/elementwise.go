package tensorflow

import (
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

func relu6(c *call) error {
	return c.is(&op.Clip{}, c.in[0], c.scalar("min", 0), c.scalar("max", 6))
}

func leakyRelu(c *call) error {
	return c.is(&op.LeakyRelu{Alpha: c.float("alpha", 0.2)}, c.in[0])
}

func elu(c *call) error { return c.is(&op.Elu{Alpha: 1, Gamma: 1, Scale: 1}, c.in[0]) }

// selu has the constants of Klambauer et al. 2017.
func selu(c *call) error {
	return c.is(&op.Elu{Alpha: 1.6732632423543772, Gamma: 1, Scale: 1.0507009873554805}, c.in[0])
}

func rsqrt(c *call) error {
	return c.is(op.Lookup("Reciprocal"), c.apply("sqrt", op.Lookup("Sqrt"), c.in[0]))
}

func square(c *call) error { return c.is(op.Lookup("Mul"), c.in[0], c.in[0]) }

func squaredDifference(c *call) error {
	d := c.apply("difference", op.Lookup("Sub"), c.in[0], c.in[1])
	return c.is(op.Lookup("Mul"), d, d)
}

func addN(c *call) error {
	if len(c.in) == 1 {
		return c.pass(c.in[0])
	}
	return c.is(op.Lookup("Sum"), c.in...)
}

func floorDiv(c *call) error {
	if c.in[0].Type.DType.IsFloat() {
		return c.is(op.Lookup("Floor"), c.apply("quotient", op.Lookup("Div"), c.in[0], c.in[1]))
	}
	// Integer division of ONNX cuts towards 0: take the remainder with the sign of the divisor away first.
	rest := c.apply("rest", op.Lookup("Mod"), c.in[0], c.in[1])
	return c.is(op.Lookup("Div"), c.apply("whole", op.Lookup("Sub"), c.in[0], rest), c.in[1])
}

func floorMod(c *call) error {
	if !c.in[0].Type.DType.IsFloat() {
		return c.is(op.Lookup("Mod"), c.in[0], c.in[1])
	}
	q := c.apply("floor", op.Lookup("Floor"), c.apply("quotient", op.Lookup("Div"), c.in[0], c.in[1]))
	return c.is(op.Lookup("Sub"), c.in[0], c.apply("whole", op.Lookup("Mul"), q, c.in[1]))
}

func notEqual(c *call) error {
	return c.is(op.Lookup("Not"), c.apply("equal", op.Lookup("Equal"), c.in[0], c.in[1]))
}

func cast(c *call) error {
	to := c.dtype("DstT")
	if to == tensor.Invalid {
		return errUnknown
	}
	if to == c.in[0].Type.DType {
		return c.pass(c.in[0])
	}
	return c.is(&op.Cast{To: op.OutputType{DType: to}}, c.in[0])
}

// matMul of two matrices is Gemm without C.
func matMul(c *call) error {
	return c.is(&op.Gemm{Alpha: 1, Beta: 1, TransA: c.flag("transpose_a"), TransB: c.flag("transpose_b")}, c.in[0], c.in[1])
}

func batchMatMul(c *call) error {
	in := []*graph.Value{c.in[0], c.in[1]}
	for i, name := range []string{"adj_x", "adj_y"} {
		if !c.flag(name) {
			continue
		}
		rank, err := c.rank(i)
		if err != nil || rank < 2 {
			return errUnknown
		}
		perm := make([]int, rank)
		for d := range perm {
			perm[d] = d
		}
		perm[rank-2], perm[rank-1] = rank-1, rank-2
		in[i] = c.apply(name, &op.Transpose{Perm: perm}, in[i])
	}
	return c.is(&op.MatMul{}, in...)
}

func reduce(name string) func(c *call) error {
	return func(c *call) error {
		o := op.NewReduce(name)
		o.KeepDims = c.flag("keep_dims") || c.flag("keepdims")
		axes := c.flatWide(c.in[1])
		if axes.Const != nil && axes.Const.Len() == 0 {
			return c.pass(c.in[0]) // over no axis
		}
		return c.is(o, c.in[0], axes)
	}
}

func argMax(least bool) func(c *call) error {
	return func(c *call) error {
		axes, err := c.fixed(1)
		if err != nil || len(axes) != 1 {
			return errUnknown
		}
		o := &op.ArgMax{Axis: axes[0], Min: least}
		to := c.dtype("output_type")
		if to == tensor.Invalid || to == tensor.Int64 {
			return c.is(o, c.in[0])
		}
		return c.is(&op.Cast{To: op.OutputType{DType: to}}, c.apply("index", o, c.in[0]))
	}
}

func topK(c *call) error {
	indices := &graph.Value{Name: c.im.fresh(c.def.name + "/indices")}
	c.emit(&op.TopK{Axis: -1, Largest: true, Sorted: true}, []*graph.Value{c.in[0], c.flatWide(c.in[1])}, c.result(0), indices)
	c.emit(&op.Cast{To: op.OutputType{DType: tensor.Int32}}, []*graph.Value{indices}, c.result(1))
	return nil
}

// clipByValue limits to an interval whose ends are scalars.
func clipByValue(c *call) error {
	for _, v := range c.in[1:3] {
		if rank, ok := v.Type.Rank(); !ok || rank != 0 {
			return c.is(op.Lookup("Min"), c.apply("least", op.Lookup("Max"), c.in[0], c.in[1]), c.in[2])
		}
	}
	return c.is(&op.Clip{}, c.in[0], c.in[1], c.in[2])
}

// reduceBool is All, the least of 0 and 1, or Any, the greatest.
func reduceBool(name string) func(c *call) error {
	return func(c *call) error {
		o := op.NewReduce(name)
		o.KeepDims = c.flag("keep_dims") || c.flag("keepdims")
		axes := c.flatWide(c.in[1])
		if axes.Const != nil && axes.Const.Len() == 0 {
			return c.pass(c.in[0])
		}
		number := c.apply("i32", &op.Cast{To: op.OutputType{DType: tensor.Int32}}, c.in[0])
		return c.is(&op.Cast{To: op.OutputType{DType: tensor.Bool}}, c.apply("reduced", o, number, axes))
	}
}

// log1p is log(1 + x).
func log1p(c *call) error {
	return c.is(op.Lookup("Log"), c.apply("sum", op.Lookup("Add"), c.in[0], c.scalar("one", 1)))
}

// divNoNan is x/y, 0 where y is 0.
func divNoNan(c *call) error {
	zero := c.apply("zero", op.Lookup("Equal"), c.in[1], c.scalar("nothing", 0))
	safe := c.apply("safe", op.Lookup("Where"), zero, c.scalar("one", 1), c.in[1])
	quotient := c.apply("quotient", op.Lookup("Div"), c.in[0], safe)
	return c.is(op.Lookup("Where"), zero, c.scalar("result", 0), quotient)
}
