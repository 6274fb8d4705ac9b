package octet

import (
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// Model is a network, float or quantized. It is immutable: every operation returns a new one. It is safe for
// concurrent use.
type Model struct {
	graph *graph.Graph
	path  string // as the user named it; "" for models made in memory
	size  int64  // bytes of the file; 0 for models made in memory
	notes []string
}

// keep is called at the end of methods that look into constants: these may be parts of a mapped file, which is let go when
// nobody can reach the model any more.
func (m *Model) keep() { runtime.KeepAlive(m) }

// Notes are what reading the file found out that its user should know: where a TensorFlow graph was cut, what was read in
// another form.
func (m *Model) Notes() []string { return slices.Clone(m.notes) }

// Quantization says how the integers of a value denote reals: real = (code − ZeroPoint)·Scale. There is one entry, or
// one per channel along Axis.
type Quantization struct {
	Scale     []float32 // positive
	ZeroPoint []int32   // the codes that denote 0, as many as there are scales
	Axis      int       // of the entries, where there are several
}

// ValueInfo describes an input or output.
type ValueInfo struct {
	Name  string       // in the model file
	DType tensor.DType // type of the elements: codes, if it is quantized
	// Shape has −1 for dimensions that are not known before the model is run; nil if even their number is unknown.
	Shape []int
	// Symbols has the name of each unknown dimension, "" for known or nameless ones.
	Symbols      []string
	Quantization *Quantization // nil for values that are not quantized
}

// String is the value with its type: x f32[N,3,224,224].
func (v ValueInfo) String() string {
	shape := make(graph.Shape, len(v.Shape))
	for i, n := range v.Shape {
		shape[i] = graph.Dim{Size: n, Symbol: v.Symbols[i]}
	}
	if v.Shape == nil {
		shape = nil
	}
	return v.Name + " " + v.DType.String() + shape.String()
}

func valueInfo(v *graph.Value) ValueInfo {
	info := ValueInfo{Name: v.Name, DType: v.Type.DType}
	if v.Type.Shape.Ranked() {
		info.Shape = make([]int, len(v.Type.Shape))
		info.Symbols = make([]string, len(v.Type.Shape))
		for i, d := range v.Type.Shape {
			info.Shape[i], info.Symbols[i] = d.Size, d.Symbol
		}
	}
	if q := v.Type.Quant; q != nil {
		info.Quantization = &Quantization{slices.Clone(q.Scale), slices.Clone(q.ZeroPoint), q.Axis}
	}
	return info
}

// Inputs describes what the model takes, in the file's order; states (see States) are not among them.
func (m *Model) Inputs() []ValueInfo {
	inputs, _ := m.graph.Ports()
	return infos(inputs)
}

// Outputs describes what the model gives, in the file's order; states are not among them.
func (m *Model) Outputs() []ValueInfo {
	_, outputs := m.graph.Ports()
	return infos(outputs)
}

func infos(vs []*graph.Value) []ValueInfo {
	out := make([]ValueInfo, len(vs))
	for i, v := range vs {
		out[i] = valueInfo(v)
	}
	return out
}

// Path is where the model was loaded from; "" for a model made in memory.
func (m *Model) Path() string { return m.path }

// FileSize is the size in bytes of the file the model was loaded from; 0 for a model made in memory.
func (m *Model) FileSize() int64 { return m.size }

// Metadata is a copy of the texts that travel with the model file. Octet's own keys are the Metadata… constants.
func (m *Model) Metadata() map[string]string { return maps.Clone(m.graph.Metadata) }

// Keys of Metadata that Octet writes.
const (
	MetadataVersion     = "octet.version"     // of the program that quantized the model
	MetadataScheme      = "octet.scheme"      // quantization scheme: int8, uint8, dynamic, …
	MetadataArithmetic  = "octet.arithmetic"  // row of the arithmetic table that integer operators follow
	MetadataPreprocess  = "octet.preprocess"  // how images became numbers during calibration
	MetadataCalibration = "octet.calibration" // method and number of samples
)

// WithMetadata is the model with texts added to its metadata; an empty text removes the key.
func (m *Model) WithMetadata(texts map[string]string) *Model {
	g := m.graph.Clone()
	if g.Metadata == nil {
		g.Metadata = map[string]string{}
	}
	for k, v := range texts {
		if v == "" {
			delete(g.Metadata, k)
		} else {
			g.Metadata[k] = v
		}
	}
	return &Model{graph: g, path: m.path, size: m.size, notes: m.notes}
}

// WithShapes is the model with the shapes of some inputs fixed. A −1 leaves a dimension as it is. Shapes that
// contradict the model are reported all at once.
func (m *Model) WithShapes(shapes map[string][]int) (*Model, error) {
	defer m.keep()
	g := m.graph.Clone()
	problems := &ShapeError{}
	for _, name := range slices.Sorted(maps.Keys(shapes)) {
		i := slices.IndexFunc(g.Inputs, func(v *graph.Value) bool { return v.Name == name })
		if i < 0 {
			problems.add("the model has no input %q; its inputs are %s", name, names(g.Inputs))
			continue
		}
		v, dims := g.Inputs[i], shapes[name]
		if v.Type.Shape.Ranked() && len(dims) != len(v.Type.Shape) {
			problems.add("input %q has %d dimensions, %s, not %d", name, len(v.Type.Shape), v.Type.Shape, len(dims))
			continue
		}
		shape := make(graph.Shape, len(dims))
		for axis, n := range dims {
			shape[axis] = graph.Fixed(n)
			if !v.Type.Shape.Ranked() {
				continue
			}
			declared := v.Type.Shape[axis]
			if n < 0 {
				shape[axis] = declared
			} else if declared.Known() && declared.Size != n {
				problems.add("input %q has size %d in dimension %d, not %d", name, declared.Size, axis, n)
			}
		}
		v.Type.Shape = shape
	}
	if problems.Problems != nil {
		return nil, problems
	}
	if err := reinfer(g); err != nil {
		return nil, err
	}
	return &Model{graph: g, path: m.path, size: m.size, notes: m.notes}, nil
}

// reinfer forgets the shapes that followed from the old input shapes and finds the new ones.
func reinfer(g *graph.Graph) error {
	for _, n := range g.Nodes {
		if _, unknown := n.Op.(*op.Unknown); unknown {
			continue
		}
		for _, v := range n.Outputs {
			if v != nil {
				v.Type.Shape = nil
			}
		}
	}
	_, err := op.Infer(g)
	return err
}

func names(vs []*graph.Value) string {
	text := ""
	for i, v := range vs {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprintf("%q", v.Name)
	}
	return text
}

// WriteText writes the canonical text form: every value with its type, every node with its attributes.
func (m *Model) WriteText(w io.Writer) error {
	defer m.keep()
	_, err := io.WriteString(w, m.graph.Text())
	return err
}
