package tensor

import (
	"math"
	"testing"
)

func TestCount(t *testing.T) {
	for _, tc := range []struct {
		shape []int
		want  int
		ok    bool
	}{
		{nil, 1, true},
		{[]int{0}, 0, true},
		{[]int{2, 3, 4}, 24, true},
		{[]int{-1}, 0, false},
		{[]int{1 << 40, 1 << 40}, 0, false},
		{[]int{1 << 40, 0, 1 << 40}, 0, false},
		{[]int{math.MaxInt}, 0, false},
	} {
		n, ok := Count(tc.shape)
		if ok != tc.ok || ok && n != tc.want {
			t.Errorf("Count(%v) = %d, %v; want %d, %v", tc.shape, n, ok, tc.want, tc.ok)
		}
	}
}

func TestValuesOfUnalignedBytes(t *testing.T) {
	raw := New(Uint8, 17).Bytes()
	raw[1+3] = 0x3f // the top byte of the first float
	raw[1+2] = 0x80
	x, err := FromBytes(Float32, []int{4}, raw[1:17])
	if err != nil {
		t.Fatal(err)
	}
	if v := Values[float32](x); len(v) != 4 || v[0] != 1 || v[1] != 0 {
		t.Errorf("unaligned view = %v, want [1 0 0 0]", v)
	}
}

func TestFromBytesChecksSize(t *testing.T) {
	for _, tc := range []struct {
		dtype DType
		shape []int
		bytes int
		ok    bool
	}{
		{Float32, []int{2, 2}, 16, true},
		{Float32, []int{2, 2}, 15, false},
		{Int4, []int{3}, 2, true},
		{Int4, []int{3}, 1, false},
		{Invalid, []int{1}, 0, false},
		{Int8, []int{-1}, 0, false},
		{Int8, nil, 1, true},
	} {
		if _, err := FromBytes(tc.dtype, tc.shape, make([]byte, tc.bytes)); (err == nil) != tc.ok {
			t.Errorf("FromBytes(%s, %v, %d bytes): error %v, want ok %v", tc.dtype, tc.shape, tc.bytes, err, tc.ok)
		}
	}
}

func TestDTypeNamesRoundTrip(t *testing.T) {
	for d := DType(1); d < dtypeCount; d++ {
		if got, ok := ParseDType(d.String()); !ok || got != d {
			t.Errorf("ParseDType(%q) = %v, %v", d.String(), got, ok)
		}
	}
}

func TestLimits(t *testing.T) {
	for _, tc := range []struct {
		d      DType
		lo, hi int64
	}{{Int8, -128, 127}, {Uint8, 0, 255}, {Int4, -8, 7}, {Uint4, 0, 15}, {Int16, -32768, 32767}, {Int32, math.MinInt32, math.MaxInt32}, {Uint32, 0, math.MaxUint32}} {
		if lo, hi := tc.d.Limits(); lo != tc.lo || hi != tc.hi {
			t.Errorf("%s.Limits() = %d, %d; want %d, %d", tc.d, lo, hi, tc.lo, tc.hi)
		}
	}
}
