package tflite

import (
	"math"
	"strings"

	"github.com/google/flatbuffers/go"

	"github.com/octet-nn/octet/internal/format"
)

// decoder reads a flatbuffer that nobody has verified: every offset is checked before it is followed. The schema has no
// table that contains itself, so reading ends; what vectors claim in all is bounded by a budget. The first problem is
// kept, and everything read after it is empty.
type decoder struct {
	data   []byte
	budget int // entries that may still be read
	err    error
}

// table is a flatbuffer table; the zero table has no fields.
type table struct {
	d      *decoder
	at     int // of the table itself
	vtable int
	fields int // bytes of the vtable
	size   int // bytes of the table
}

func (d *decoder) fail(offset int, text string, args ...any) {
	if d.err == nil {
		d.err = format.Wrong(offset, text, args...)
	}
}

func (d *decoder) damaged(offset int, text string, args ...any) {
	if d.err == nil {
		d.err = format.Damaged(offset, text, args...)
	}
}

// spend takes n entries from the budget.
func (d *decoder) spend(offset, n int) bool {
	if d.budget -= n; d.budget < 0 {
		d.fail(offset, "the model has too many entries")
	}
	return d.err == nil
}

// has reports whether n bytes at an offset exist.
func (d *decoder) has(offset, n int) bool {
	return d.err == nil && offset >= 0 && n >= 0 && offset <= len(d.data) && n <= len(d.data)-offset
}

// follow is where the offset stored at a position leads; 0 if it leads nowhere.
func (d *decoder) follow(at int) int {
	if !d.has(at, flatbuffers.SizeUOffsetT) {
		d.damaged(at, "an offset lies beyond the end of the file")
		return 0
	}
	by := int64(flatbuffers.GetUOffsetT(d.data[at:]))
	if by == 0 || by > int64(len(d.data)-at) {
		d.damaged(at, "an offset leads beyond the end of the file")
		return 0
	}
	return at + int(by)
}

// root is the table that the file begins with.
func (d *decoder) root() table { return d.table(d.follow(0)) }

// table checks the table at a position and its list of fields.
func (d *decoder) table(at int) table {
	if d.err != nil {
		return table{d: d}
	}
	if !d.has(at, flatbuffers.SizeSOffsetT) {
		d.damaged(at, "a table lies beyond the end of the file")
		return table{d: d}
	}
	vtable := int64(at) - int64(flatbuffers.GetSOffsetT(d.data[at:]))
	if vtable < 0 || vtable > int64(len(d.data)-4) {
		d.fail(at, "a table's list of fields lies outside the file")
		return table{d: d}
	}
	t := table{d: d, at: at, vtable: int(vtable)}
	t.fields = int(flatbuffers.GetVOffsetT(d.data[vtable:]))
	t.size = int(flatbuffers.GetVOffsetT(d.data[vtable+2:]))
	if t.fields < 4 || !d.has(t.vtable, t.fields) || t.size < 4 || !d.has(at, t.size) {
		d.damaged(at, "a table reaches beyond the end of the file")
		return table{d: d}
	}
	return t
}

// field is the position of a field that takes size bytes; 0 if the table does not have it.
func (t table) field(id, size int) int {
	slot := 4 + 2*id
	if t.d == nil || t.d.err != nil || slot+2 > t.fields {
		return 0
	}
	offset := int(flatbuffers.GetVOffsetT(t.d.data[t.vtable+slot:]))
	if offset == 0 {
		return 0
	}
	if offset < 4 || offset+size > t.size {
		t.d.fail(t.at, "field %d lies outside its table", id)
		return 0
	}
	return t.at + offset
}

func (t table) byte(id int) int {
	if at := t.field(id, 1); at > 0 {
		return int(int8(t.d.data[at]))
	}
	return 0
}

func (t table) bool(id int) bool { return t.byte(id) != 0 }

func (t table) int(id, otherwise int) int {
	if at := t.field(id, 4); at > 0 {
		return int(flatbuffers.GetInt32(t.d.data[at:]))
	}
	return otherwise
}

func (t table) uint(id int) int {
	if at := t.field(id, 4); at > 0 {
		return int(int64(flatbuffers.GetUint32(t.d.data[at:])) & math.MaxInt)
	}
	return 0
}

func (t table) long(id int) uint64 {
	if at := t.field(id, 8); at > 0 {
		return flatbuffers.GetUint64(t.d.data[at:])
	}
	return 0
}

func (t table) float(id int, otherwise float32) float32 {
	if at := t.field(id, 4); at > 0 {
		return flatbuffers.GetFloat32(t.d.data[at:])
	}
	return otherwise
}

// table is a field that is another table; the zero table if it is absent.
func (t table) table(id int) table {
	if at := t.field(id, 4); at > 0 {
		return t.d.table(t.d.follow(at))
	}
	return table{}
}

// span is where the entries of a field that is a vector are: count of them, each of some size; 0, 0 if it is absent.
func (t table) span(id, size int) (start, count int) {
	at := t.field(id, 4)
	if at == 0 {
		return 0, 0
	}
	start = t.d.follow(at)
	if t.d.err != nil {
		return 0, 0
	}
	if !t.d.has(start, 4) {
		t.d.damaged(start, "a vector lies beyond the end of the file")
		return 0, 0
	}
	n := int64(flatbuffers.GetUint32(t.d.data[start:]))
	start += 4
	if n > int64(len(t.d.data)-start)/int64(size) {
		t.d.damaged(start, "a vector of %d entries reaches beyond the end of the file", n)
		return 0, 0
	}
	return start, int(n)
}

// bytes is a field that is a vector of bytes: a part of the file; nil if it is absent.
func (t table) bytes(id int) []byte {
	start, n := t.span(id, 1)
	if start == 0 {
		return nil
	}
	return t.d.data[start : start+n : start+n]
}

// maxText bounds names: longer ones are no names.
const maxText = 1 << 14

// string is a text, which the format says is UTF-8: what is not becomes U+FFFD, so that other formats can have it too.
func (t table) string(id int) string {
	b := t.bytes(id)
	if len(b) > maxText {
		t.d.fail(t.at, "a text of %d bytes is too long", len(b))
	}
	if b == nil || !t.d.spend(t.at, 1+len(b)/8) {
		return ""
	}
	return strings.ToValidUTF8(string(b), "\uFFFD")
}

// list is a vector of entries of some size, each read by one function.
func list[T any](t table, id, size int, read func(b []byte) T) []T {
	start, n := t.span(id, size)
	if n == 0 || !t.d.spend(start, n) {
		return nil
	}
	out := make([]T, n)
	for i := range out {
		out[i] = read(t.d.data[start+i*size:])
	}
	return out
}

func (t table) ints(id int) []int {
	return list(t, id, 4, func(b []byte) int { return int(flatbuffers.GetInt32(b)) })
}

func (t table) longs(id int) []int64 { return list(t, id, 8, flatbuffers.GetInt64) }

func (t table) floats(id int) []float32 { return list(t, id, 4, flatbuffers.GetFloat32) }

// tables is a field that is a vector of tables.
func (t table) tables(id int) []table {
	start, n := t.span(id, 4)
	if n == 0 || !t.d.spend(start, n) {
		return nil
	}
	out := make([]table, n)
	for i := range out {
		out[i] = t.d.table(t.d.follow(start + 4*i))
	}
	return out
}
