package main

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/octet-nn/octet"
	"github.com/octet-nn/octet/internal/suggest"
)

// load reads a model, cuts it and fixes the shapes that were asked for. What is worth knowing of the file is said on
// stderr.
func load(path string, f shapeFlags) (*octet.Model, error) {
	m, err := octet.Load(path, octet.LoadOptions{Inputs: f.inputs, Outputs: f.outputs, Weights: f.weights})
	if err != nil {
		return nil, err
	}
	for _, note := range m.Notes() {
		fmt.Fprintf(f.cmd.ErrOrStderr(), "octet: note: %s\n", note)
	}
	return f.apply(m)
}

// loadAll loads several models and reports the first that cannot be.
func loadAll(paths []string, f shapeFlags) ([]*octet.Model, error) {
	models := make([]*octet.Model, len(paths))
	for i, path := range paths {
		each := f
		if ending := filepath.Ext(path); len(paths) > 1 && ending != ".prototxt" && ending != ".caffemodel" {
			each.weights = "" // which belong to another of the models
		}
		m, err := load(path, each)
		if err != nil {
			return nil, err
		}
		models[i] = m
	}
	return models, nil
}

// apply is the model with the shapes of --shape and --batch.
func (f shapeFlags) apply(m *octet.Model) (*octet.Model, error) {
	if f.batch < 0 {
		return nil, usagef("--batch is a count of samples; it cannot be %d", f.batch)
	}
	shapes := map[string][]int{}
	if f.batch > 0 {
		for _, in := range m.Inputs() {
			if len(in.Shape) > 0 && in.Shape[0] < 0 {
				dims := unknownDims(len(in.Shape))
				dims[0] = f.batch
				shapes[in.Name] = dims
			}
		}
	}
	for _, text := range f.shapes {
		name, dims, err := parseShape(text)
		if err != nil {
			return nil, err
		}
		if err := knownInput(m, "--shape", name); err != nil {
			return nil, err
		}
		shapes[name] = dims
	}
	if len(shapes) == 0 {
		return m, nil
	}
	fixed, err := m.WithShapes(shapes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.Path(), err)
	}
	return fixed, nil
}

func unknownDims(rank int) []int {
	dims := make([]int, rank)
	for i := range dims {
		dims[i] = -1
	}
	return dims
}

// parseShape reads name=1,3,224,224. The name may contain '='.
func parseShape(text string) (name string, dims []int, err error) {
	at := strings.LastIndexByte(text, '=')
	if at <= 0 {
		return "", nil, usagef("--shape %s: write the input's name and its sizes, for example --shape x=1,3,224,224", quoted(text))
	}
	dims, err = parseDims(text[at+1:])
	if err != nil {
		return "", nil, usagef("--shape %s: %w", quoted(text), err)
	}
	return text[:at], dims, nil
}

// parseDims reads 1,3,224,224 or 1x3x224x224.
func parseDims(text string) ([]int, error) {
	var dims []int
	for word := range strings.SplitSeq(strings.ReplaceAll(text, "x", ","), ",") {
		n, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil || n < 0 || n > 1<<31-1 {
			return nil, fmt.Errorf("%q is no size; write sizes like 1,3,224,224", word)
		}
		dims = append(dims, n)
	}
	return dims, nil
}

// knownInput is an error with near names if the model has no such input.
func knownInput(m *octet.Model, flag, name string) error {
	var known []string
	for _, in := range m.Inputs() {
		if in.Name == name {
			return nil
		}
		known = append(known, in.Name)
	}
	return fmt.Errorf("%s: %s has no input %q%s; its inputs are %s", flag, m.Path(), name, suggest.DidYouMean(name, known), describeValues(m.Inputs()))
}

func describeValues(values []octet.ValueInfo) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = v.String()
	}
	return strings.Join(texts, ", ")
}

// openDims reports whether an input has unknown sizes besides a first one, which is taken for the batch.
func openDims(in octet.ValueInfo) bool {
	if in.Shape == nil {
		return true
	}
	for i, n := range in.Shape {
		if n < 0 && i > 0 {
			return true
		}
	}
	return false
}

// typicalShapes are --shape flags for the inputs with unknown sizes, with sizes that such inputs often have.
func typicalShapes(m *octet.Model) []string {
	var flags []string
	for _, in := range m.Inputs() {
		if openDims(in) {
			flags = append(flags, "--shape", in.Name+"="+strings.Join(typicalDims(in.Shape), ","))
		}
	}
	return flags
}

func typicalDims(shape []int) []string {
	if shape == nil {
		shape = []int{-1, 3, -1, -1}
	}
	dims := make([]string, len(shape))
	for i, n := range shape {
		switch {
		case n >= 0:
			dims[i] = strconv.Itoa(n)
		case i == 0:
			dims[i] = "1"
		case len(shape) == 4:
			dims[i] = "224" // an image
		default:
			dims[i] = "128" // a sequence
		}
	}
	return dims
}

// openShapesError says which line to type for a model whose sizes are not known.
func openShapesError(m *octet.Model, line commandLine) error {
	var open []string
	for _, in := range m.Inputs() {
		if openDims(in) {
			open = append(open, in.String())
		}
	}
	return fmt.Errorf("%s leaves sizes of its inputs open: %s. Say which you mean, for example:\n  %s",
		m.Path(), strings.Join(open, ", "), line.with(typicalShapes(m)...))
}

// withShapeHint adds the line to type to an error that may come from sizes that are not known.
func withShapeHint(err error, m *octet.Model, line commandLine) error {
	if err == nil || len(typicalShapes(m)) == 0 {
		return err
	}
	return fmt.Errorf("%w\nIf that is because %s leaves sizes of its inputs open, say which you mean, for example:\n  %s",
		err, m.Path(), line.with(typicalShapes(m)...))
}
