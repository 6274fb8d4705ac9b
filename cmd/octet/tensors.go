package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/octet-nn/octet"
	"github.com/octet-nn/octet/internal/atomicfile"
	"github.com/octet-nn/octet/internal/dataset"
	"github.com/octet-nn/octet/tensor"
)

// trailingDims are the sizes at the end of --input x=x.raw:1,3,224,224.
var trailingDims = regexp.MustCompile(`^(.+):(\d+(?:[,x]\d+)*)$`)

// inputArgument is one --input.
type inputArgument struct {
	name, file string
	dims       []int // nil if not given
}

// parseInput reads name=file[:dims]. Names may contain '=' as long as the model has an input of that name.
func parseInput(text string, known []octet.ValueInfo) (inputArgument, error) {
	name, file, ok := strings.Cut(text, "=")
	for _, in := range known {
		if rest, found := strings.CutPrefix(text, in.Name+"="); found && len(in.Name) > len(name) {
			name, file = in.Name, rest
		}
	}
	if !ok || name == "" || file == "" {
		return inputArgument{}, usagef("--input %s: write the input's name and a file, for example --input x=x.npy or --input x=x.raw:1,3,224,224", quoted(text))
	}
	a := inputArgument{name: name, file: file}
	if m := trailingDims.FindStringSubmatch(file); m != nil {
		dims, err := parseDims(m[2])
		if err != nil {
			return a, usagef("--input %s: %w", quoted(text), err)
		}
		a.file, a.dims = m[1], dims
	}
	return a, nil
}

// readInputs reads the files of --input. All problems are reported at once.
func readInputs(m *octet.Model, arguments []string, preprocess *dataset.Preprocess) (map[string]*tensor.Tensor, error) {
	inputs := map[string]*tensor.Tensor{}
	var problems []error
	for _, text := range arguments {
		a, err := parseInput(text, m.Inputs())
		if err != nil {
			return nil, err
		}
		if inputs[a.name] != nil {
			return nil, usagef("--input %s is given twice", a.name)
		}
		t, err := readInput(m, a, preprocess)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		inputs[a.name] = t
	}
	return inputs, errors.Join(problems...)
}

func readInput(m *octet.Model, a inputArgument, preprocess *dataset.Preprocess) (*tensor.Tensor, error) {
	if err := knownInput(m, "--input", a.name); err != nil {
		return nil, err
	}
	var info octet.ValueInfo
	for _, in := range m.Inputs() {
		if in.Name == a.name {
			info = in
		}
	}
	want := dataset.Input{Name: a.name, DType: info.DType, Dims: info.Shape}
	if q := info.Quantization; q != nil && len(q.Scale) == 1 {
		want.Scale, want.ZeroPoint = q.Scale[0], int(q.ZeroPoint[0])
	}
	if a.dims != nil {
		if err := fits(info, a.dims); err != nil {
			return nil, fmt.Errorf("--input %s: %w", a.name, err)
		}
		want.Dims = a.dims
	}
	t, err := dataset.ReadTensor(a.file, want, dataset.Options{Preprocess: preprocess})
	if err == nil {
		return t, nil
	}
	err = fmt.Errorf("--input %s: %w", a.name, err)
	saysItsShape := strings.EqualFold(filepath.Ext(a.file), ".npy")
	if a.dims == nil && !saysItsShape && (openDims(info) || len(info.Shape) > 0 && info.Shape[0] < 0) {
		err = fmt.Errorf("%w\nIf its sizes are in doubt, say which you mean, for example:\n  --input %s",
			err, quoted(a.name+"="+a.file+":"+strings.Join(typicalDims(info.Shape), ",")))
	}
	return nil, err
}

// fits compares sizes with an input's declaration.
func fits(in octet.ValueInfo, dims []int) error {
	if in.Shape == nil {
		return nil
	}
	ok := len(dims) == len(in.Shape)
	for i := 0; ok && i < len(dims); i++ {
		ok = in.Shape[i] < 0 || in.Shape[i] == dims[i]
	}
	if !ok {
		return fmt.Errorf("sizes %s do not fit %s", strings.Trim(strings.ReplaceAll(fmt.Sprint(dims), " ", ","), "[]"), in)
	}
	return nil
}

// missingInputs is an error with the line to type if inputs lack values.
func missingInputs(m *octet.Model, given map[string]*tensor.Tensor, line commandLine) error {
	var missing, flags []string
	for _, in := range m.Inputs() {
		if given[in.Name] == nil {
			missing = append(missing, in.String())
			flags = append(flags, "--input", in.Name+"="+dataset.FileName(in.Name)+".npy")
		}
	}
	if missing == nil {
		return nil
	}
	return fmt.Errorf("%s also needs values for %s:\n  %s", m.Path(), strings.Join(missing, ", "), line.with(flags...))
}

// writeOutputs writes every output into a file of its own and returns the files by the outputs' names.
func writeOutputs(folder, format string, outputs []octet.ValueInfo, values map[string]*tensor.Tensor) (map[string]string, error) {
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return nil, fmt.Errorf("cannot make the folder for outputs: %w", err)
	}
	files := map[string]string{}
	owner := map[string]string{}
	for _, out := range outputs {
		name := dataset.FileName(out.Name) + "." + format
		if other := owner[name]; other != "" {
			return nil, fmt.Errorf("outputs %q and %q would both be written to %s; rename one of them in the model", other, out.Name, name)
		}
		owner[name] = out.Name
		path := filepath.Join(folder, name)
		t := values[out.Name]
		err := atomicfile.Write(path, func(w io.Writer) error {
			if format == "npy" {
				return dataset.WriteNPY(w, t)
			}
			_, err := w.Write(t.Bytes())
			return err
		})
		if err != nil {
			return nil, err
		}
		files[out.Name] = path
	}
	return files, nil
}

// Summary says what a tensor's real values are like.
type Summary struct {
	Minimum number `json:"min"`
	Maximum number `json:"max"`
	Mean    number `json:"mean"`
}

func summarize(values []float64) Summary {
	low, high, sum := math.Inf(1), math.Inf(-1), 0.0
	for _, v := range values {
		low, high, sum = min(low, v), max(high, v), sum+v
	}
	return Summary{number(low), number(high), number(sum / float64(len(values)))}
}
