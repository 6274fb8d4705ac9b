package onnx

import (
	"errors"
	"fmt"
	"strings"
)

// FormatError is a model file that cannot be read: what is wrong, where, and what to do about it.
type FormatError struct {
	File   string // name of the file, if the caller gave one
	Offset int    // byte offset of the message that is wrong; -1 where that means nothing
	Node   string // the node concerned, if any
	Why    string
	Next   string // what to do next; may be empty
}

// Error is one line.
func (e *FormatError) Error() string {
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

// wrong is a FormatError at an offset.
func wrong(offset int, format string, args ...any) error {
	return &FormatError{Offset: offset, Why: fmt.Sprintf(format, args...)}
}

// inFile completes errors with the name of the file.
func inFile(err error, file string) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, inFile(e, file))
		}
		return errors.Join(all...)
	}
	var e *FormatError
	if errors.As(err, &e) {
		e.File = file
		return err
	}
	return &FormatError{File: file, Offset: -1, Why: err.Error()}
}

// errUnknown marks nodes that are legal but that no canonical operator expresses; they become op.Unknown.
var errUnknown = errors.New("not expressible")
