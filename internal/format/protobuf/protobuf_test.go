package protobuf

import (
	"bytes"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/octet-nn/octet/internal/format"
)

var wide = format.Limits{}.WithDefaults()

// message is fields of every wire type: a varint 1, fixed numbers 2 and 3, text 4.
func message() []byte {
	b := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 1<<63)
	b = protowire.AppendFixed32(protowire.AppendTag(b, 2, protowire.Fixed32Type), 7)
	b = protowire.AppendFixed64(protowire.AppendTag(b, 3, protowire.Fixed64Type), 8)
	return protowire.AppendBytes(protowire.AppendTag(b, 4, protowire.BytesType), []byte("text"))
}

func TestMessage(t *testing.T) {
	data := message()
	var seen []Field
	r := Reader{Limits: wide}
	if err := r.Message(data, 100, func(f Field) error { seen = append(seen, f); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 4 || seen[0].Value != 1<<63 || seen[1].Value != 7 || seen[2].Value != 8 || string(seen[3].Bytes) != "text" {
		t.Errorf("%+v", seen)
	}
	if at := seen[3].Offset - 100; string(data[at:]) != "text" {
		t.Errorf("the text is said to be at %d of %d", at, len(data))
	}
	var text string
	var number int64
	if err := seen[3].Text(&text); err != nil || text != "text" {
		t.Errorf("%q, %v", text, err)
	}
	if err := seen[0].Integer(&number); err != nil || number != -1<<63 {
		t.Errorf("%d, %v", number, err)
	}
	if seen[0].Text(&text) == nil || seen[3].Integer(&number) == nil || r.Sub(seen[0], nil) == nil {
		t.Error("a field of another wire type was taken")
	}
}

// A message cut anywhere, but for between fields, is an error and reads nothing beyond its end.
func TestTruncated(t *testing.T) {
	data := message()
	whole := map[int]bool{}
	for b, at := data, 0; len(b) > 0; {
		whole[at] = true
		_, _, n := protowire.ConsumeField(b)
		b, at = b[n:], at+n
	}
	for n := range data {
		err := (&Reader{Limits: wide}).Message(data[:n:n], 0, func(Field) error { return nil })
		if (err == nil) != whole[n] {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestLimits(t *testing.T) {
	nested := []byte{}
	for range 50 {
		nested = protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), nested)
	}
	for _, tc := range []struct {
		limits format.Limits
		want   string
	}{
		{wide, "nested more than 40 deep"},
		{format.Limits{MaxNesting: 100, MaxEntries: 20}, "more than 20 fields"},
		{format.Limits{MaxNesting: 100, MaxEntries: 50}, ""},
	} {
		r := &Reader{Limits: tc.limits}
		var visit func(f Field) error
		visit = func(f Field) error { return r.Sub(f, visit) }
		err := r.Message(nested, 0, visit)
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%+v: %v", tc.limits, err)
		}
	}
}

func TestLists(t *testing.T) {
	data := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 5)
	data = protowire.AppendBytes(protowire.AppendTag(data, 1, protowire.BytesType), []byte{6, 0x80, 1})
	data = protowire.AppendBytes(protowire.AppendTag(data, 2, protowire.BytesType), []byte{1, 2, 3, 4})
	data = protowire.AppendFixed32(protowire.AppendTag(data, 2, protowire.Fixed32Type), 9)
	file := bytes.Clone(data)
	var integers []int64
	var packed []byte
	read := func(f Field) error {
		if f.Number == 1 {
			return f.Integers(&integers)
		}
		return f.Packed(&packed)
	}
	if err := (&Reader{Limits: wide}).Message(data, 0, read); err != nil {
		t.Fatal(err)
	}
	if len(integers) != 3 || integers[0] != 5 || integers[1] != 6 || integers[2] != 128 {
		t.Errorf("%v", integers)
	}
	if !bytes.Equal(packed, []byte{1, 2, 3, 4, 9, 0, 0, 0}) {
		t.Errorf("%v", packed)
	}
	if !bytes.Equal(data, file) {
		t.Error("appending wrote into the file")
	}
	if err := (Field{Kind: protowire.BytesType, Bytes: []byte{0x80}}).Integers(&integers); err == nil {
		t.Error("half a number was taken")
	}
	if err := (Field{Kind: protowire.VarintType}).Packed(&packed); err == nil {
		t.Error("a varint was taken for a number of fixed width")
	}
}
