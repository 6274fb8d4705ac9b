// Package format is what the readers of model files have in common: how they say what is wrong with a file, and what a
// file may ask for.
package format

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// Limits bound what an untrusted file can ask for. The zero value of a field means its default.
type Limits struct {
	MaxTensorBytes int // of one constant; default 2 GiB
	MaxNodes       int // default 250 000
	MaxNesting     int // of messages; default 40
	MaxEntries     int // names, dimensions, attributes and tensors in all; default 4 000 000
}

// WithDefaults is the limits with all fields set.
func (l Limits) WithDefaults() Limits {
	set := func(field *int, value int) {
		if *field <= 0 {
			*field = value
		}
	}
	set(&l.MaxTensorBytes, min(2<<30, math.MaxInt))
	set(&l.MaxNodes, 250_000)
	set(&l.MaxNesting, 40)
	set(&l.MaxEntries, 4_000_000)
	return l
}

// Error is a model file that cannot be read: what is wrong, where, and what to do about it.
type Error struct {
	File   string // name of the file, if the caller gave one
	Offset int    // byte offset of what is wrong; -1 where that means nothing
	Node   string // the node concerned, if any
	Why    string
	Next   string // what to do next; may be empty
}

// Error is one line.
func (e *Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File + ": ")
	}
	if e.Node != "" {
		b.WriteString(e.Node + ": ")
	}
	b.WriteString(e.Why)
	if e.Offset >= 0 {
		fmt.Fprintf(&b, " (at byte %d)", e.Offset)
	}
	if e.Next != "" {
		b.WriteString("; " + e.Next)
	}
	return b.String()
}

// Wrong is an Error at an offset.
func Wrong(offset int, text string, args ...any) error {
	return &Error{Offset: offset, Why: fmt.Sprintf(text, args...)}
}

// Damaged is an Error at an offset of a file that ends too early or is not what it seems to be.
func Damaged(offset int, text string, args ...any) error {
	return &Error{Offset: offset, Why: fmt.Sprintf(text, args...), Next: "the file may be cut off or damaged: fetch or export it again"}
}

// Within is an Error of a part of a node: of what is wrong with the part itself, if err is an Error, or else at the offset
// of the node.
func Within(offset int, node, part string, err error) *Error {
	out := &Error{Offset: offset, Node: node, Why: part + ": " + err.Error()}
	if e := (*Error)(nil); errors.As(err, &e) {
		out.Why, out.Next = part+": "+e.Why, e.Next
		if e.Offset >= 0 {
			out.Offset = e.Offset
		}
	}
	return out
}

// InFile completes errors, also joined ones, with the name of the file. Errors of other types become the Why of an
// Error.
func InFile(err error, file string) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, InFile(e, file))
		}
		return errors.Join(all...)
	}
	var e *Error
	if errors.As(err, &e) {
		e.File = file
		return err
	}
	return &Error{File: file, Offset: -1, Why: err.Error()}
}
