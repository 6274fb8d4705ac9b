package flow

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/octet-nn/octet/internal/mace/deploy"
	"github.com/octet-nn/octet/internal/suggest"
	"github.com/octet-nn/octet/tensor"
)

// Sample is one set of files, a file for each input.
type Sample struct {
	// Suffix is what follows the formatted name of the input in the names of files; outputs get it too.
	Suffix string
	Files  []string // in the order of inputs
}

// shownFiles bounds how many files of a kind an error lists.
const shownFiles = 5

// OpenDir finds the samples of a folder: every file whose name begins with the formatted name of the first input, and
// for the other inputs the files whose names have the same rest. They are in the order of their names. Sizes are
// checked at once, of all files.
func OpenDir(dir string, inputs []Port) (samples []Sample, warnings []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("--input_dir: %w", err)
	}
	var files []string
	for _, e := range entries {
		if !e.IsDir() {
			files = append(files, e.Name())
		}
	}
	prefix := FormatName(inputs[0].Name)
	longer := slices.IndexFunc(inputs, func(p Port) bool { f := FormatName(p.Name); return f != prefix && strings.HasPrefix(f, prefix) })
	passed := 0
	for _, name := range files {
		suffix, ok := strings.CutPrefix(name, prefix)
		if !ok {
			continue
		}
		if longer >= 0 && strings.HasPrefix(name, FormatName(inputs[longer].Name)) {
			passed++ // it belongs to the input with the longer name
			continue
		}
		s := Sample{Suffix: suffix}
		for _, in := range inputs {
			s.Files = append(s.Files, filepath.Join(dir, FormatName(in.Name)+suffix))
		}
		samples = append(samples, s)
	}
	if passed > 0 {
		warnings = append(warnings, fmt.Sprintf("the input names %q and %q begin alike: %d files that begin with %s are taken for the second (MACE takes them for both)",
			inputs[0].Name, inputs[longer].Name, passed, FormatName(inputs[longer].Name)))
	}
	if len(samples) == 0 {
		return nil, nil, noSamples(dir, prefix, files, inputs[0])
	}
	return samples, warnings, checkFiles(samples, inputs)
}

// noSamples is the error of a folder without any file of the right name.
func noSamples(dir, prefix string, files []string, first Port) error {
	message := fmt.Sprintf("found no input file whose name starts with '%s' in %s: the names of input files start with that of the input tensor %q, "+
		"other characters than letters and digits replaced by _", prefix, dir, first.Name)
	switch {
	case len(files) == 0:
		return errors.New(message + ". The folder has no files")
	default:
		near := suggest.Nearest(prefix, files, 3)
		if len(near) == 0 {
			near = files[:min(3, len(files))]
		}
		return fmt.Errorf("%s. Its files (%d) include %s. To rename them all:\n  for f in '%s'/*; do mv \"$f\" \"$(dirname \"$f\")/%s_$(basename \"$f\")\"; done",
			message, len(files), strings.Join(near, ", "), strings.ReplaceAll(dir, "'", `'\''`), prefix)
	}
}

// checkFiles compares the sizes of all files with those that inputs have.
func checkFiles(samples []Sample, inputs []Port) error {
	var problems []string
	for _, s := range samples {
		for i, file := range s.Files {
			if err := checkFile(file, inputs[i]); err != nil {
				problems = append(problems, err.Error())
			}
		}
	}
	if len(problems) == 0 {
		return nil
	}
	more := ""
	if n := len(problems) - shownFiles; n > 0 {
		more = fmt.Sprintf("\nand %d more files", n)
	}
	return errors.New(strings.Join(problems[:min(shownFiles, len(problems))], "\n") + more)
}

// numpyMagic begins NumPy files.
const numpyMagic = "\x93NUMPY"

func checkFile(file string, in Port) error {
	info, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is missing: there is one file for each input, this one for %q", file, in.Name)
	} else if err != nil {
		return err
	}
	if info.Size() == int64(in.Bytes()) {
		return nil
	}
	elements := "float32"
	if in.Integer {
		elements = "int32"
	}
	message := fmt.Sprintf("%s has %d bytes, input %q wants %d: %s elements of four bytes in the shape %s, without a header",
		file, info.Size(), in.Name, in.Bytes(), elements, dims(in.FileShape()))
	switch {
	case beginsWith(file, numpyMagic):
		message += ". This is a NumPy file: write it with array.astype(numpy.float32).tofile(...)"
	case info.Size()*4 == int64(in.Bytes()):
		message += ". Its elements seem to have one byte"
	case info.Size() == 2*int64(in.Bytes()):
		message += ". Its elements seem to have eight bytes"
	}
	return errors.New(message)
}

func beginsWith(file, magic string) bool {
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, len(magic))
	n, _ := f.Read(head) // what cannot be read is not the beginning
	return string(head[:n]) == magic
}

// Images have few channels and more than a few rows.
const (
	maxImageChannels = 4
	minImageSide     = 8
)

// otherOrder is a sentence if an image's values look as if its channels were in the other order than the port says, ""
// otherwise. Neighbours in an image differ little; read in the wrong order, values side by side are not neighbours.
func (p Port) otherOrder(data []byte) string {
	if len(p.Shape) != 4 || p.Integer || p.Shape[3] < 2 || p.Shape[3] > maxImageChannels || min(p.Shape[1], p.Shape[2]) < minImageSide {
		return ""
	}
	t, err := tensor.FromBytes(tensor.Float32, []int{len(data) / 4}, data)
	if err != nil {
		return ""
	}
	values := tensor.Values[float32](t)[:p.Shape[1]*p.Shape[2]*p.Shape[3]]
	first, last := roughness(values, 1, p.Shape[2]), roughness(values, p.Shape[3], p.Shape[2]*p.Shape[3])
	given, other, seem := last, first, "NCHW"
	if p.ChannelsFirst {
		given, other, seem = first, last, "NHWC"
	}
	if !(other < 0.6*given) {
		return ""
	}
	have := "NHWC"
	if seem == have {
		have = "NCHW"
	}
	return fmt.Sprintf("the files of input %q are taken for %s, but their values look like %s, in which neighbours differ less; if so: --input_data_format %s",
		p.Name, have, seem, seem)
}

// roughness is the mean difference between elements and those right of them and below them.
func roughness(values []float32, right, below int) float64 {
	var sum float64
	for i := range len(values) - below {
		sum += math.Abs(float64(values[i+right]-values[i])) + math.Abs(float64(values[i+below]-values[i]))
	}
	return sum / float64(len(values)-below)
}

// OneSample is the sample of --input_file: the files PREFIX_<formatted name>, one for each input, or for a model with
// one input also the file itself.
func OneSample(prefix string, inputs []Port) (Sample, error) {
	var s Sample
	for _, in := range inputs {
		file := prefix + "_" + FormatName(in.Name)
		if info, err := os.Stat(prefix); len(inputs) == 1 && err == nil && !info.IsDir() {
			if _, err := os.Stat(file); err != nil {
				file = prefix
			}
		}
		s.Files = append(s.Files, file)
	}
	return s, checkFiles([]Sample{s}, inputs)
}

// FilesSample is the sample of validation_inputs_data.
func FilesSample(f *deploy.File, m *deploy.Model, resources []deploy.Resource, inputs []Port) (Sample, error) {
	var s Sample
	var problems []error
	for _, r := range resources {
		found, err := f.Find(m, r)
		if err != nil {
			problems = append(problems, err)
		}
		s.Files = append(s.Files, found.Path)
	}
	if err := errors.Join(problems...); err != nil {
		return s, err
	}
	return s, checkFiles([]Sample{s}, inputs)
}

// Read is the tensors of a sample, by the names of inputs. types has the element type that the model takes; warn gets
// what is doubtful about the values.
func (s Sample) Read(inputs []Port, types map[string]tensor.DType, warn func(string)) (map[string]*tensor.Tensor, error) {
	tensors := map[string]*tensor.Tensor{}
	for i, in := range inputs {
		data, err := os.ReadFile(s.Files[i])
		if err != nil {
			return nil, err
		}
		if len(data) != in.Bytes() { // changed since it was checked
			return nil, checkFile(s.Files[i], in)
		}
		if doubt := in.otherOrder(data); doubt != "" {
			warn(doubt)
		}
		if tensors[in.Name], err = in.Tensor(data, types[in.Name]); err != nil {
			return nil, fmt.Errorf("%s: %w", s.Files[i], err)
		}
	}
	return tensors, nil
}

// Random is inputs of values that are equally likely all over input_ranges. The values are the same in every run.
func Random(inputs []Port, types map[string]tensor.DType) (map[string]*tensor.Tensor, error) {
	random := rand.New(rand.NewPCG(1, 1))
	tensors := map[string]*tensor.Tensor{}
	for _, in := range inputs {
		t := tensor.New(types[in.Name], in.Shape...)
		value := func() float64 { return in.Range[0] + random.Float64()*(in.Range[1]-in.Range[0]) }
		switch t.DType() {
		case tensor.Float32:
			for i := range t.Len() {
				tensor.Values[float32](t)[i] = float32(value())
			}
		case tensor.Int32:
			for i := range t.Len() {
				tensor.Values[int32](t)[i] = int32(value())
			}
		case tensor.Int64:
			for i := range t.Len() {
				tensor.Values[int64](t)[i] = int64(value())
			}
		case tensor.Bool:
			for i := range t.Len() {
				t.Bytes()[i] = byte(random.IntN(2))
			}
		default:
			return nil, fmt.Errorf("input %q takes %s, for which there are no random values; give files: --input_dir or validation_inputs_data", in.Name, t.DType())
		}
		tensors[in.Name] = t
	}
	return tensors, nil
}
