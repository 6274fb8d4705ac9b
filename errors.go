package octet

import (
	"fmt"
	"strings"

	"github.com/octet-nn/octet/internal/format"
	"github.com/octet-nn/octet/internal/op"
)

// FormatError says what is wrong with a model file: File, Offset in it (−1 where that means nothing), Node concerned,
// Why, and what to do Next. Find it with errors.As.
type FormatError = format.Error

// UnsupportedError lists, in Nodes, all nodes of a model whose operators are not known (Name of the node, Op). Find it
// with errors.As.
type UnsupportedError = op.UnsupportedError

// ShapeError lists all contradictions between shapes that were asked for and a model.
type ShapeError struct {
	Problems []string // one line each
}

// Error lists the problems.
func (e *ShapeError) Error() string { return strings.Join(e.Problems, "\n") }

func (e *ShapeError) add(format string, args ...any) {
	e.Problems = append(e.Problems, fmt.Sprintf(format, args...))
}
