// Package tensor holds the values that go into and come out of a network: an element type, a shape and
// little-endian bytes in row-major order. It is small, has no dependencies and is stable.
package tensor

import "fmt"

// DType is the element type of a tensor.
type DType uint8

// The element types. Sub-byte types are packed, the first element in the low bits of the first byte.
const (
	Invalid DType = iota
	Float32
	Float64
	Float16
	BFloat16
	Int8
	Uint8
	Int16
	Uint16
	Int32
	Uint32
	Int64
	Uint64
	Bool
	Int4
	Uint4
	Int2
	Uint2
	Float8E4M3FN   // 4 exponent bits, bias 7, no infinities
	Float8E4M3FNUZ // 4 exponent bits, bias 8, no infinities, no negative zero
	Float8E5M2     // 5 exponent bits, bias 15
	Float8E5M2FNUZ // 5 exponent bits, bias 16, no infinities, no negative zero
	Float8E8M0     // a power of two: 8 exponent bits, bias 127, no sign
	Float4E2M1     // 2 exponent bits, bias 1, neither infinities nor NaN
	dtypeCount
)

var dtypes = [dtypeCount]struct {
	name string
	bits int
}{
	Invalid:  {"invalid", 0},
	Float32:  {"f32", 32},
	Float64:  {"f64", 64},
	Float16:  {"f16", 16},
	BFloat16: {"bf16", 16},
	Int8:     {"i8", 8},
	Uint8:    {"u8", 8},
	Int16:    {"i16", 16},
	Uint16:   {"u16", 16},
	Int32:    {"i32", 32},
	Uint32:   {"u32", 32},
	Int64:    {"i64", 64},
	Uint64:   {"u64", 64},
	Bool:     {"bool", 8},
	Int4:     {"i4", 4},
	Uint4:    {"u4", 4},
	Int2:     {"i2", 2},
	Uint2:    {"u2", 2},

	Float8E4M3FN:   {"f8e4m3fn", 8},
	Float8E4M3FNUZ: {"f8e4m3fnuz", 8},
	Float8E5M2:     {"f8e5m2", 8},
	Float8E5M2FNUZ: {"f8e5m2fnuz", 8},
	Float8E8M0:     {"f8e8m0", 8},
	Float4E2M1:     {"f4e2m1", 4},
}

// String is the short name used in the text form of graphs: f32, i8, u4, bool, …
func (d DType) String() string {
	if d >= dtypeCount {
		return fmt.Sprintf("dtype(%d)", uint8(d))
	}
	return dtypes[d].name
}

// ParseDType is the inverse of String. ok is false for an unknown name.
func ParseDType(name string) (d DType, ok bool) {
	for i := DType(1); i < dtypeCount; i++ {
		if dtypes[i].name == name {
			return i, true
		}
	}
	return Invalid, false
}

// Bits is the width of one element; 0 for Invalid.
func (d DType) Bits() int {
	if d >= dtypeCount {
		return 0
	}
	return dtypes[d].bits
}

// Bytes is how many bytes n elements occupy, sub-byte elements packed and the last byte padded.
func (d DType) Bytes(n int) int { return (n*d.Bits() + 7) / 8 }

// IsFloat reports whether the type is a floating-point one.
func (d DType) IsFloat() bool {
	return d >= Float32 && d <= BFloat16 || d >= Float8E4M3FN && d <= Float4E2M1
}

// IsInteger reports whether the type is an integer one; Bool is not.
func (d DType) IsInteger() bool {
	return d >= Int8 && d <= Uint64 || d >= Int4 && d <= Uint2
}

// IsSigned reports whether an integer type has negative values.
func (d DType) IsSigned() bool {
	return d == Int8 || d == Int16 || d == Int32 || d == Int64 || d == Int4 || d == Int2
}

// Limits is the range of values of an integer type of at most 32 bits.
func (d DType) Limits() (lowest, highest int64) {
	bits := d.Bits()
	if d.IsSigned() {
		return -1 << (bits - 1), 1<<(bits-1) - 1
	}
	if bits >= 64 {
		return 0, 1<<63 - 1
	}
	return 0, 1<<bits - 1
}
