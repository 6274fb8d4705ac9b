// Package protobuf reads messages of untrusted protobuf files, field by field and under limits. It knows the wire format
// only: readers of model formats say what fields mean.
package protobuf

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/octet-nn/octet/internal/format"
)

// Field is one field of a message.
type Field struct {
	Number protowire.Number
	Kind   protowire.Type
	Value  uint64 // of a varint or a number of fixed width
	Bytes  []byte // of a field with a length: part of the file
	Offset int    // in the file, of what follows the tag and the length
}

// Reader reads the messages of one file.
type Reader struct {
	Limits format.Limits // MaxNesting and MaxEntries, which counts fields, concern this package

	entries, depth int
}

// Message calls visit for every field of the message b, which begins at an offset in the file.
func (r *Reader) Message(b []byte, offset int, visit func(f Field) error) error {
	r.depth++
	defer func() { r.depth-- }()
	if r.depth > r.Limits.MaxNesting {
		return format.Wrong(offset, "messages are nested more than %d deep", r.Limits.MaxNesting)
	}
	for len(b) > 0 {
		if r.entries++; r.entries > r.Limits.MaxEntries {
			return format.Wrong(offset, "the file has more than %d fields", r.Limits.MaxEntries)
		}
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return format.Damaged(offset, "the file is truncated or is not protobuf: %v", protowire.ParseError(n))
		}
		b, offset = b[n:], offset+n
		f := Field{Number: number, Kind: kind, Offset: offset}
		switch kind {
		case protowire.VarintType:
			f.Value, n = protowire.ConsumeVarint(b)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(b)
			f.Value = uint64(v)
		case protowire.Fixed64Type:
			f.Value, n = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			f.Bytes, n = protowire.ConsumeBytes(b)
			f.Offset = offset + n - len(f.Bytes)
		default:
			n = protowire.ConsumeFieldValue(number, kind, b)
		}
		if n < 0 {
			return format.Damaged(offset, "field %d is truncated or malformed: %v", number, protowire.ParseError(n))
		}
		if err := visit(f); err != nil {
			return err
		}
		b, offset = b[n:], offset+n
	}
	return nil
}

// Sub calls visit for every field of a nested message.
func (r *Reader) Sub(f Field, visit func(f Field) error) error {
	if err := f.Is(protowire.BytesType); err != nil {
		return err
	}
	return r.Message(f.Bytes, f.Offset, visit)
}

// Is checks a field's wire type.
func (f Field) Is(kind protowire.Type) error {
	if f.Kind != kind {
		return format.Wrong(f.Offset, "field %d has wire type %d instead of %d", f.Number, f.Kind, kind)
	}
	return nil
}

// Text reads a string.
func (f Field) Text(to *string) error {
	*to = string(f.Bytes)
	return f.Is(protowire.BytesType)
}

// Integer reads a varint.
func (f Field) Integer(to *int64) error {
	*to = int64(f.Value)
	return f.Is(protowire.VarintType)
}

// Integers appends a repeated varint, packed or not.
func (f Field) Integers(to *[]int64) error {
	if f.Kind == protowire.VarintType {
		*to = append(*to, int64(f.Value))
		return nil
	}
	for b := f.Bytes; len(b) > 0; {
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return format.Wrong(f.Offset, "a list of integers is malformed")
		}
		*to = append(*to, int64(v))
		b = b[n:]
	}
	return f.Is(protowire.BytesType)
}

// Packed appends a repeated number of fixed width, packed or not, as little-endian bytes. A single packed list stays
// part of the file; appending to it copies.
func (f Field) Packed(to *[]byte) error {
	switch f.Kind {
	case protowire.Fixed32Type:
		*to = protowire.AppendFixed32(*to, uint32(f.Value))
	case protowire.Fixed64Type:
		*to = protowire.AppendFixed64(*to, f.Value)
	case protowire.BytesType:
		if *to == nil {
			*to = f.Bytes[:len(f.Bytes):len(f.Bytes)]
		} else {
			*to = append(*to, f.Bytes...)
		}
	default:
		return f.Is(protowire.BytesType)
	}
	return nil
}
