package octet

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/octet-nn/octet/internal/atomicfile"
	"github.com/octet-nn/octet/internal/format/onnx"
	"github.com/octet-nn/octet/internal/format/tflite"
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/tensor"
)

// SaveOptions say how a model is written; the zero value suits ONNX Runtime.
type SaveOptions struct {
	// Activations is the element type in which 8-bit activations are spelled: tensor.Uint8 (the default: the only
	// form that is fast in ONNX Runtime on x86) or tensor.Int8. The numbers they denote are the same. Models that are
	// rounded like TensorFlow Lite or MACE keep the type they have unless one is given.
	Activations tensor.DType
	// Format is "onnx" or "tflite"; "" means what the name of the file ends with, ONNX where that says nothing.
	Format string
}

// Formats of SaveOptions.
const (
	formatONNX   = "onnx"
	formatTFLite = "tflite"
)

// FormatOf is the format that the name of a file asks for: "tflite" or "onnx".
func FormatOf(path string) string {
	if strings.EqualFold(filepath.Ext(path), ".tflite") {
		return formatTFLite
	}
	return formatONNX
}

// Save writes the model: as ONNX, float as it is, quantized in QuantizeLinear/DequantizeLinear form with integer
// weights; or as TensorFlow Lite, whose quantized operators compute on codes. The file is written whole or not at all.
func (m *Model) Save(path string, o SaveOptions) error {
	if o.Format == "" {
		o.Format = FormatOf(path)
	}
	return atomicfile.Write(path, func(w io.Writer) error { return m.Write(w, o) })
}

// Write writes the model as Save does; without a Format, as ONNX.
func (m *Model) Write(w io.Writer, o SaveOptions) error {
	defer m.keep()
	if a := m.arithmetic(); a != numeric.None && m.graph.Metadata[MetadataArithmetic] == "" {
		m = m.WithMetadata(map[string]string{MetadataArithmetic: a.String()})
	}
	if len(m.graph.States) > 0 {
		m = m.withStatesNamed(o.Format)
	}
	switch o.Format {
	case "", formatONNX:
		// Without a wish, what another row of the arithmetic table rounds keeps its signedness.
		stored := o.Activations == tensor.Invalid && m.arithmetic() != numeric.None && m.arithmetic() != numeric.ONNX
		return onnx.Write(w, m.graph, onnx.WriteOptions{Activations: o.Activations, AsStored: stored})
	case formatTFLite:
		return tflite.Write(w, m.graph)
	}
	return unknownFormat(o.Format)
}

func unknownFormat(name string) error {
	return fmt.Errorf("unknown format %q: %q or %q", name, formatONNX, formatTFLite)
}

// arithmetic is the row that the model's integer operators follow; None if it has none.
func (m *Model) arithmetic() numeric.Arithmetic {
	for _, n := range m.graph.Nodes {
		if n.Compute == graph.Integer && n.Arithmetic != numeric.None {
			return n.Arithmetic
		}
	}
	return numeric.None
}
