package octet

import (
	"io"

	"github.com/octet-nn/octet/internal/atomicfile"
	"github.com/octet-nn/octet/internal/format/onnx"
	"github.com/octet-nn/octet/tensor"
)

// SaveOptions say how a model is written; the zero value suits ONNX Runtime.
type SaveOptions struct {
	// Activations is the element type in which 8-bit activations are spelled: tensor.Uint8 (the default: the only
	// form that is fast in ONNX Runtime on x86) or tensor.Int8. The numbers they denote are the same.
	Activations tensor.DType
}

// Save writes the model as ONNX: float as it is, quantized in QuantizeLinear/DequantizeLinear form with integer
// weights. The file is written whole or not at all.
func (m *Model) Save(path string, o SaveOptions) error {
	return atomicfile.Write(path, func(w io.Writer) error { return m.Write(w, o) })
}

// Write writes the model as Save does.
func (m *Model) Write(w io.Writer, o SaveOptions) error {
	return onnx.Write(w, m.graph, onnx.WriteOptions{Activations: o.Activations})
}
