package compile

import (
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/runtime"
	"github.com/octet-nn/octet/tensor"
)

// conversion is a pair of element types.
type conversion struct{ from, to tensor.DType }

// conversions is the casts that have a kernel, each as a function that binds operand and result.
var conversions = map[conversion]func(m *runtime.Memory, y, x *place) func(begin, end int){
	{tensor.Float16, tensor.Float32}:  converting(numeric.FromFloat16),
	{tensor.Float32, tensor.Float16}:  converting(numeric.Float16),
	{tensor.BFloat16, tensor.Float32}: converting(numeric.FromBFloat16),
	{tensor.Float32, tensor.BFloat16}: converting(numeric.BFloat16),
	{tensor.Int64, tensor.Float32}:    converting(func(v int64) float32 { return float32(float64(v)) }),
	{tensor.Int32, tensor.Float32}:    converting(func(v int32) float32 { return float32(v) }),
	{tensor.Uint8, tensor.Float32}:    converting(func(v uint8) float32 { return float32(v) }),
	{tensor.Int8, tensor.Float32}:     converting(func(v int8) float32 { return float32(v) }),
	{tensor.Bool, tensor.Float32}:     converting(func(v uint8) float32 { return float32(v) }),
	{tensor.Bool, tensor.Int64}:       converting(func(v uint8) int64 { return int64(v) }),
	{tensor.Bool, tensor.Int32}:       converting(func(v uint8) int32 { return int32(v) }),
	{tensor.Uint8, tensor.Int32}:      converting(func(v uint8) int32 { return int32(v) }),
	{tensor.Int8, tensor.Int32}:       converting(func(v int8) int32 { return int32(v) }),
	{tensor.Uint8, tensor.Int64}:      converting(func(v uint8) int64 { return int64(v) }),
	{tensor.Int64, tensor.Bool}:       converting(func(v int64) uint8 { return truth(v != 0) }),
	{tensor.Int32, tensor.Bool}:       converting(func(v int32) uint8 { return truth(v != 0) }),
	{tensor.Uint8, tensor.Bool}:       converting(func(v uint8) uint8 { return truth(v != 0) }),
	{tensor.Float32, tensor.Bool}:     converting(func(v float32) uint8 { return truth(v != 0) }),
	{tensor.Float32, tensor.Int64}:    converting(truncating[int64](tensor.Int64)),
	{tensor.Float32, tensor.Int32}:    converting(truncating[int32](tensor.Int32)),
	{tensor.Float32, tensor.Uint8}:    converting(truncating[uint8](tensor.Uint8)),
	{tensor.Float32, tensor.Int8}:     converting(truncating[int8](tensor.Int8)),
	{tensor.Int64, tensor.Int32}:      converting(func(v int64) int32 { return int32(v) }),
	{tensor.Int32, tensor.Int64}:      converting(func(v int32) int64 { return int64(v) }),
}

// converting binds a function of one element.
func converting[A, B tensor.Element](f func(A) B) func(m *runtime.Memory, y, x *place) func(begin, end int) {
	return func(m *runtime.Memory, y, x *place) func(begin, end int) {
		out, in := view[B](m, y), view[A](m, x)
		return func(begin, end int) {
			for i, v := range in[begin:end] {
				out[begin+i] = f(v)
			}
		}
	}
}

// truncating is the conversion of a float to integers.
func truncating[T int8 | uint8 | int32 | int64](to tensor.DType) func(v float32) T {
	return func(v float32) T { return T(op.Truncated(float64(v), to)) }
}

func truth(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}

// lowerCast converts element types.
func lowerCast(_ *builder, n *graph.Node) (prepared, error) {
	from, to := n.Input(0).Type.DType, n.Outputs[0].Type.DType
	if from == to && from != tensor.Invalid {
		return lowerView(nil, n)
	}
	bind, ok := conversions[conversion{from, to}]
	if !ok {
		return nil, nil
	}
	return func(c *planning) error {
		x, y := c.in(0), c.out(0)
		c.emitElements("cast", y.len(), func(m *runtime.Memory) func(begin, end int) { return bind(m, y, x) })
		return nil
	}, nil
}
