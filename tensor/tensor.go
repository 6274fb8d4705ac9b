package tensor

import (
	"fmt"
	"math"
	"slices"
	"unsafe"
)

// Tensor is a dense array: row-major, little-endian, packed. The zero Tensor is invalid; use New, Of or FromBytes.
// A Tensor does not protect its bytes: who shares one agrees on who may write.
type Tensor struct {
	dtype DType
	shape []int
	data  []byte
}

// Element lists the Go types whose slices can view a tensor.
type Element interface {
	~float32 | ~float64 | ~int8 | ~uint8 | ~int16 | ~uint16 | ~int32 | ~uint32 | ~int64 | ~uint64 | ~bool
}

// MaxElements bounds the number of elements of one tensor, so that sizes in bytes never overflow an int.
const MaxElements = math.MaxInt / 64

// Count is the number of elements of a shape. ok is false if a dimension is negative or the product too large.
func Count(shape []int) (n int, ok bool) {
	n = 1
	empty := false
	for _, d := range shape {
		if d < 0 {
			return 0, false
		}
		if d == 0 {
			empty = true
			continue
		}
		if n > MaxElements/d {
			return 0, false
		}
		n *= d
	}
	if empty {
		return 0, true
	}
	return n, true
}

// New makes a zeroed tensor. It panics if the shape is negative or too large.
func New(dtype DType, shape ...int) *Tensor {
	n, ok := Count(shape)
	if !ok {
		panic(fmt.Sprintf("tensor: impossible shape %v", shape))
	}
	return &Tensor{dtype, slices.Clone(shape), alignedBytes(dtype.Bytes(n))}
}

// alignedBytes allocates bytes that may be viewed as any element type.
func alignedBytes(n int) []byte {
	if n == 0 {
		return nil
	}
	words := make([]uint64, (n+7)/8)
	return unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), n)
}

// FromBytes wraps data without copying. It fails if the number of bytes is not what dtype and shape need.
func FromBytes(dtype DType, shape []int, data []byte) (*Tensor, error) {
	n, ok := Count(shape)
	if !ok {
		return nil, fmt.Errorf("tensor: impossible shape %v", shape)
	}
	if dtype.Bits() == 0 {
		return nil, fmt.Errorf("tensor: no element type")
	}
	if want := dtype.Bytes(n); want != len(data) {
		return nil, fmt.Errorf("tensor: %s%v needs %d bytes, got %d", dtype, shape, want, len(data))
	}
	return &Tensor{dtype, slices.Clone(shape), data}, nil
}

// Of wraps values without copying; the element type follows from T. It panics if the count does not fit the shape.
func Of[T Element](values []T, shape ...int) *Tensor {
	n, ok := Count(shape)
	if !ok || n != len(values) {
		panic(fmt.Sprintf("tensor: %d values for shape %v", len(values), shape))
	}
	var data []byte
	if n > 0 {
		data = unsafe.Slice((*byte)(unsafe.Pointer(&values[0])), n*int(unsafe.Sizeof(values[0])))
	}
	return &Tensor{DTypeOf[T](), slices.Clone(shape), data}
}

// DTypeOf is the element type that a Go type stands for.
func DTypeOf[T Element]() DType {
	var zero T
	switch any(zero).(type) {
	case float32:
		return Float32
	case float64:
		return Float64
	case int8:
		return Int8
	case uint8:
		return Uint8
	case int16:
		return Int16
	case uint16:
		return Uint16
	case int32:
		return Int32
	case uint32:
		return Uint32
	case int64:
		return Int64
	case uint64:
		return Uint64
	case bool:
		return Bool
	}
	panic(fmt.Sprintf("tensor: no element type for %T", zero))
}

// DType is the element type.
func (t *Tensor) DType() DType { return t.dtype }

// Shape is the size of each dimension, outermost first. Do not modify it.
func (t *Tensor) Shape() []int { return t.shape }

// Len is the number of elements.
func (t *Tensor) Len() int {
	n, _ := Count(t.shape)
	return n
}

// Bytes is the storage itself, little-endian. It may be unaligned (a slice of a model file).
func (t *Tensor) Bytes() []byte { return t.data }

// Reshape is the same bytes under another shape. It panics if the number of elements differs.
func (t *Tensor) Reshape(shape ...int) *Tensor {
	if n, ok := Count(shape); !ok || n != t.Len() {
		panic(fmt.Sprintf("tensor: cannot reshape %v to %v", t.shape, shape))
	}
	return &Tensor{t.dtype, slices.Clone(shape), t.data}
}

// Clone copies the tensor; the copy's bytes are aligned.
func (t *Tensor) Clone() *Tensor {
	c := New(t.dtype, t.shape...)
	copy(c.data, t.data)
	return c
}

// String describes the tensor without its values: f32[1,3,224,224].
func (t *Tensor) String() string { return Describe(t.dtype, t.shape) }

// Describe is an element type and shape as text: f32[1,3,224,224].
func Describe(dtype DType, shape []int) string {
	b := []byte(dtype.String())
	b = append(b, '[')
	for i, d := range shape {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Append(b, d)
	}
	return string(append(b, ']'))
}

// Values views the elements as a slice of T, without copying where the bytes are aligned for T (tensors made by New,
// Of or Clone always are); otherwise it returns a copy. Unless the tensor is known to be aligned, treat the slice as
// read-only. It panics if T is not the tensor's element type; uint16 also views Float16 and BFloat16, uint8 also Bool.
func Values[T Element](t *Tensor) []T {
	want := DTypeOf[T]()
	ok := want == t.dtype ||
		want == Uint16 && (t.dtype == Float16 || t.dtype == BFloat16) ||
		want == Uint8 && t.dtype == Bool
	if !ok {
		panic(fmt.Sprintf("tensor: %s viewed as %s", t.dtype, want))
	}
	n := t.Len()
	if n == 0 {
		return nil
	}
	var zero T
	if uintptr(unsafe.Pointer(&t.data[0]))%unsafe.Alignof(zero) != 0 {
		t = t.Clone()
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&t.data[0])), n)
}
