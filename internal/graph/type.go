// Package graph is a network as data: values that know their type, nodes that compute them, and the rules a legal
// graph obeys. It knows no particular operator (package op), no file format and no machine.
package graph

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/octet-nn/octet/tensor"
)

// Dim is one dimension of a shape: a known size, or unknown, possibly with a name shared by equal dimensions.
type Dim struct {
	Size   int    // the size, or Unknown
	Symbol string // name of an unknown dimension; "" when known or anonymous
}

// Unknown is the Size of a dimension that is not known before the model is run.
const Unknown = -1

// Fixed is a known dimension.
func Fixed(size int) Dim { return Dim{Size: size} }

// Known reports whether the size is known.
func (d Dim) Known() bool { return d.Size >= 0 }

// Same reports whether the two dimensions are certainly equal: both known and equal, or the same named symbol.
func (d Dim) Same(e Dim) bool {
	return d.Known() && d.Size == e.Size || !d.Known() && !e.Known() && d.Symbol != "" && d.Symbol == e.Symbol
}

func (d Dim) String() string {
	switch {
	case d.Known():
		return strconv.Itoa(d.Size)
	case d.Symbol != "":
		return bare(d.Symbol)
	}
	return "?"
}

// Shape is the dimensions of a value, outermost first. A nil Shape means that even the rank is unknown; a scalar's is
// empty and not nil.
type Shape []Dim

// FixedShape is a shape of known sizes.
func FixedShape(sizes ...int) Shape {
	s := make(Shape, len(sizes))
	for i, n := range sizes {
		s[i] = Fixed(n)
	}
	return s
}

// Ranked reports whether the number of dimensions is known.
func (s Shape) Ranked() bool { return s != nil }

// Known returns the sizes if all are known.
func (s Shape) Known() (sizes []int, ok bool) {
	if s == nil {
		return nil, false
	}
	sizes = make([]int, len(s))
	for i, d := range s {
		if !d.Known() {
			return nil, false
		}
		sizes[i] = d.Size
	}
	return sizes, true
}

// Same reports whether both shapes are ranked and certainly equal.
func (s Shape) Same(t Shape) bool {
	return s != nil && t != nil && slices.EqualFunc(s, t, Dim.Same)
}

func (s Shape) String() string {
	if s == nil {
		return "[...]"
	}
	parts := make([]string, len(s))
	for i, d := range s {
		parts[i] = d.String()
	}
	return "[" + strings.Join(parts, ",") + "]"
}

// Quant says how integer codes denote real numbers: real = (code − zero point)·scale.
type Quant struct {
	// Scale has one entry per tensor, one per channel along Axis, or one per block of Block elements along Axis
	// (then in row-major order of the shape whose Axis is divided by Block).
	Scale []float32
	// ZeroPoint has as many entries as Scale.
	ZeroPoint []int32
	Axis      int
	Block     int  // elements per block along Axis; 0 where there are no blocks
	Narrow    bool // the lowest code is unused: [−127,127], 1..255
	Dynamic   bool // the parameters are computed when the value is and travel with it; Scale and ZeroPoint are empty
}

// PerTensor is a quantization with a single scale.
func PerTensor(scale float32, zeroPoint int32) *Quant {
	return &Quant{Scale: []float32{scale}, ZeroPoint: []int32{zeroPoint}}
}

// IsPerTensor reports whether one scale serves all elements.
func (q *Quant) IsPerTensor() bool {
	return q != nil && !q.Dynamic && len(q.Scale) == 1 && q.Block == 0
}

// Equal reports whether two quantizations denote the same reals by the same codes. Two nils are equal.
func (q *Quant) Equal(r *Quant) bool {
	if q == nil || r == nil {
		return q == r
	}
	if len(q.Scale) == 1 && len(r.Scale) == 1 && q.Block == 0 && r.Block == 0 {
		return q.Scale[0] == r.Scale[0] && q.ZeroPoint[0] == r.ZeroPoint[0] && q.Narrow == r.Narrow && q.Dynamic == r.Dynamic
	}
	return slices.Equal(q.Scale, r.Scale) && slices.Equal(q.ZeroPoint, r.ZeroPoint) && q.Axis == r.Axis &&
		q.Block == r.Block && q.Narrow == r.Narrow && q.Dynamic == r.Dynamic
}

// Limits is the range of codes of a value of type dtype quantized like this.
func (q *Quant) Limits(dtype tensor.DType) (lowest, highest int32) {
	lo, hi := dtype.Limits()
	if q.Narrow {
		lo++
	}
	return int32(lo), int32(hi)
}

// Clone copies q; nil stays nil.
func (q *Quant) Clone() *Quant {
	if q == nil {
		return nil
	}
	c := *q
	c.Scale, c.ZeroPoint = slices.Clone(q.Scale), slices.Clone(q.ZeroPoint)
	return &c
}

// String is the text form: q(0.1,128), q(0.1:4,0 @0) for per-channel quantization with 4 entries along axis 0.
func (q *Quant) String() string {
	if q == nil {
		return ""
	}
	var b strings.Builder
	b.WriteString("q(")
	if q.Dynamic {
		b.WriteString("dynamic")
	}
	for i, s := range q.Scale {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(strconv.FormatFloat(float64(s), 'g', -1, 32))
	}
	if !q.Dynamic {
		b.WriteByte(',')
		points := q.ZeroPoint
		if len(points) > 0 && !slices.ContainsFunc(points, func(z int32) bool { return z != points[0] }) {
			points = points[:1]
		}
		for i, z := range points {
			if i > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(strconv.Itoa(int(z)))
		}
	}
	if len(q.Scale) > 1 || q.Block > 0 {
		fmt.Fprintf(&b, "@%d", q.Axis)
	}
	if q.Block > 0 {
		fmt.Fprintf(&b, "/%d", q.Block)
	}
	if q.Narrow {
		b.WriteString(",narrow")
	}
	b.WriteByte(')')
	return b.String()
}

// Type is what is known of a value: element type, shape and, if its integers denote reals, how.
type Type struct {
	DType tensor.DType // Invalid while unknown
	Shape Shape
	Quant *Quant // shared and immutable; nil for values that are not quantized
}

// TypeOf is the type of an unquantized tensor.
func TypeOf(t *tensor.Tensor) Type {
	return Type{DType: t.DType(), Shape: FixedShape(t.Shape()...)}
}

// Rank is the number of dimensions; ok is false while it is unknown.
func (t Type) Rank() (rank int, ok bool) { return len(t.Shape), t.Shape != nil }

func (t Type) String() string { return t.DType.String() + t.Shape.String() + t.Quant.String() }
