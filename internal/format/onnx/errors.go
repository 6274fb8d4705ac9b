package onnx

import (
	"errors"

	"github.com/octet-nn/octet/internal/format"
)

// FormatError is a model file that cannot be read: what is wrong, where, and what to do about it.
type FormatError = format.Error

// wrong is a FormatError at an offset.
func wrong(offset int, text string, args ...any) error { return format.Wrong(offset, text, args...) }

// errUnknown marks nodes that are legal but that no canonical operator expresses; they become op.Unknown.
var errUnknown = errors.New("not expressible")
