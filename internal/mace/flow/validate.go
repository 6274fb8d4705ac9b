package flow

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/octet-nn/octet/internal/mace/deploy"
	"github.com/octet-nn/octet/tensor"
)

// reference gives the outputs that a model's are compared with.
type reference interface {
	outputs(ctx context.Context, inputs map[string]*tensor.Tensor) (map[string]Value, error)
}

// floatReference runs the original model in float.
type floatReference struct{ session *Session }

func (r floatReference) outputs(ctx context.Context, inputs map[string]*tensor.Tensor) (map[string]Value, error) {
	return r.session.Run(ctx, inputs)
}

// fileReference is validation_outputs_data.
type fileReference map[string]Value

func (r fileReference) outputs(context.Context, map[string]*tensor.Tensor) (map[string]Value, error) {
	return r, nil
}

// validate compares the converted model with its reference and prints what MACE prints, and more.
func (t *target) validate(ctx context.Context) error {
	m, err := t.load()
	if err != nil {
		return err
	}
	s, err := m.Session(nil, t.Threads)
	if err != nil {
		return err
	}
	defer s.Close()
	float, err := FloatModel(t.file, t.model, t.graph, t.Layout)
	if err != nil {
		return err
	}
	floatSession, err := float.Session(nil, t.Threads)
	if err != nil {
		return err
	}
	defer floatSession.Close()
	var ref reference = floatReference{floatSession}
	if t.graph.ValidationOutputs != nil && t.InputDir == "" && t.InputFile == "" {
		if ref, err = t.fileReference(m); err != nil {
			return err
		}
	}
	comparisons := make([]Comparison, len(m.Outputs))
	for i, p := range m.Outputs {
		comparisons[i].Name = p.Name
	}
	count := 0
	err = t.each(ctx, m, func(sample Sample, inputs map[string]*tensor.Tensor) error {
		want, err := ref.outputs(ctx, inputs)
		if err != nil {
			return err
		}
		got, err := s.Run(ctx, inputs)
		if err != nil {
			return err
		}
		count++
		for i, p := range m.Outputs {
			if err := comparisons[i].Add(want[p.Name].numbers(), got[p.Name].numbers(), got[p.Name].Shape()); err != nil {
				return err
			}
		}
		return t.write(m, sample, got)
	})
	if err != nil {
		return err
	}
	return t.verdict(ctx, m, float, comparisons, count)
}

// numbers are the values as float32, integers that stand for themselves included.
func (v Value) numbers() []float32 {
	if v.Reals != nil || v.Tensor == nil {
		return v.Reals
	}
	var out []float32
	for _, n := range integers(v.Tensor) {
		out = append(out, float32(n))
	}
	return out
}

// manyAnswers is from how many samples on it is strange that all have the same answer.
const manyAnswers = 10

// verdict prints how the comparison went, MACE's lines first.
func (t *target) verdict(ctx context.Context, m, float *Model, comparisons []Comparison, samples int) error {
	threshold := t.Threshold
	if threshold == 0 {
		threshold = t.model.Threshold(t.graph)
	}
	var failed []error
	for i := range comparisons {
		c := &comparisons[i]
		c.WriteLine(t.Stdout, t.model.Platform)
		if c.Passed(threshold) {
			fmt.Fprint(t.Stdout, Block("Similarity Test Passed"))
			continue
		}
		fmt.Fprint(t.Stdout, Block("Similarity Test Failed"))
		failed = append(failed, fmt.Errorf("validation of model %s failed: the similarity of %q, %s, is not above the threshold %s",
			m.Name, c.Name, pythonFloat(c.Similarity()), pythonFloat(threshold)))
	}
	if len(failed) > 0 && m.Quantized() {
		failed = append(failed, fmt.Errorf("MACE's scheme has one scale for all of a layer's weights, which some networks do not bear (depthwise convolutions above all). "+
			"A scale for each channel may do better:\n  octet quantize %s --samples SAMPLES -o MODEL.int8.onnx", float.Path))
	}
	if len(failed) > 0 && !m.Quantized() && float.Simulates {
		failed = append(failed, errors.New("the original model was trained with quantization, which a float model leaves out: quantize: 1 makes what was trained"))
	}
	for i := range comparisons {
		c := &comparisons[i]
		c.WriteDetails(t.Stdout)
		if c.Answers >= manyAnswers && !c.Varied {
			t.Warn(fmt.Sprintf("the reference's first answer in %q is %d every time, for %d samples: they may be scaled in another way than in training, or of one kind", c.Name, c.answer, c.Answers))
		}
	}
	what := "random inputs"
	if t.InputDir != "" || t.InputFile != "" || t.graph.ValidationInputs != nil {
		what = fmt.Sprintf("%d samples", samples)
	} else if m.Quantized() {
		t.Warn("random inputs are unlike those that ranges were collected from; --input_dir FOLDER validates on real ones")
	}
	original := "the float model"
	if float.Simulates {
		original = "the original model, which rounds as in its training,"
	}
	fmt.Fprintf(t.Stdout, "compared with %s on %s\n", original, what)
	if m.Quantized() {
		layers, err := t.compareLayers(ctx, m, float, m.Layers())
		if err != nil {
			return errors.Join(append(failed, err)...)
		}
		writeJump(t.Stdout, layers)
	}
	return errors.Join(failed...)
}

// fileReference reads validation_outputs_data.
func (t *target) fileReference(m *Model) (fileReference, error) {
	if given := t.graph.ValidationOutputs; len(given) != len(m.Outputs) { // check_tensors may be fewer or more than output_tensors
		return nil, deploy.Problem{File: t.file.Path, At: given[0].At, Text: fmt.Sprintf(
			"validation_outputs_data has %d, the model with check_tensors has %d outputs; leave validation_outputs_data out to compare with the float model", len(given), len(m.Outputs))}
	}
	ref := fileReference{}
	var problems []error
	for i, r := range t.graph.ValidationOutputs {
		p := m.Outputs[i]
		found, err := t.file.Find(t.model, r)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		data, err := readFile(found.Path)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		if len(data) != p.Bytes() {
			problems = append(problems, deploy.Problem{File: t.file.Path, At: r.At, Text: fmt.Sprintf(
				"%s has %d bytes, output %q has %d: elements of four bytes in the shape %s, without a header", found.Path, len(data), p.Name, p.Bytes(), dims(p.FileShape()))})
			continue
		}
		p.Integer = false // the bytes as they are, whatever they mean
		x, err := p.Tensor(data, tensor.Float32)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		v := Value{Tensor: x, Reals: tensor.Values[float32](x)}
		if m.Outputs[i].Integer {
			for j := range v.Reals {
				v.Reals[j] = float32(int32(binary.LittleEndian.Uint32(x.Bytes()[4*j:])))
			}
		}
		ref[p.Name] = v
	}
	return ref, errors.Join(problems...)
}

// comparedSamples is on how many samples layers are compared.
const comparedSamples = 8

// errEnough ends going through samples early.
var errEnough = errors.New("enough samples")

// compareLayers compares layers that both models have, in order.
func (t *target) compareLayers(ctx context.Context, m, float *Model, names []string) ([]Comparison, error) {
	names = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return m.graph.Value(n) == nil || float.graph.Value(n) == nil })
	s, err := m.Session(names, t.Threads)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	reference, err := float.Session(names, t.Threads)
	if err != nil {
		return nil, err
	}
	defer reference.Close()
	layers := make([]Comparison, len(names))
	done := 0
	quiet := *t
	quiet.Tell = func(int, int) {}
	err = quiet.each(ctx, m, func(_ Sample, inputs map[string]*tensor.Tensor) error {
		want, err := reference.Run(ctx, inputs)
		if err != nil {
			return err
		}
		got, err := s.Run(ctx, inputs)
		if err != nil {
			return err
		}
		for i, name := range names {
			layers[i].Name = name
			v := got[m.graph.Value(name).Name]
			reference := want[float.graph.Value(name).Name]
			if err := layers[i].Add(inOrder(reference, v.Shape()), v.numbers(), v.Shape()); err != nil {
				return err
			}
		}
		if done++; done == comparedSamples {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	return layers, nil
}

// inOrder is a value's numbers in the order of another shape: where one model has channels last and the other first, they are
// brought there.
func inOrder(v Value, shape []int) []float32 {
	numbers, have := v.numbers(), v.Shape()
	if len(shape) != 4 || slices.Equal(have, shape) {
		return numbers
	}
	first := []int{shape[0], shape[3], shape[1], shape[2]} // if shape has channels last
	last := []int{shape[0], shape[2], shape[3], shape[1]}  // if it has them first
	out := make([]float32, 0, len(numbers))
	for n := range shape[0] {
		for a := range shape[1] {
			for b := range shape[2] {
				for c := range shape[3] {
					switch {
					case slices.Equal(have, first):
						out = append(out, numbers[((n*have[1]+c)*have[2]+a)*have[3]+b])
					case slices.Equal(have, last):
						out = append(out, numbers[((n*have[1]+b)*have[2]+c)*have[3]+a])
					default:
						return numbers
					}
				}
			}
		}
	}
	return out
}

// jump is by how many decibels a layer has to be worse than all before it to be named.
const jump = 6

// writeJump names the first layer where the error jumps, and the worst.
func writeJump(w io.Writer, layers []Comparison) {
	if len(layers) == 0 {
		return
	}
	lowest, worst := math.Inf(1), 0
	named := false
	for i := range layers {
		db := layers[i].Decibels()
		if !math.IsInf(lowest, 1) && !named && db < lowest-jump {
			fmt.Fprintf(w, "the error jumps first at %s: SQNR %s, %s before it\n", layers[i].Name, decibels(db, 1), decibels(lowest, 1))
			named = true
		}
		lowest = min(lowest, db)
		if db < layers[worst].Decibels() {
			worst = i
		}
	}
	if math.IsInf(layers[worst].Decibels(), 1) {
		fmt.Fprintf(w, "no layer differs, of %d\n", len(layers))
		return
	}
	if !named {
		fmt.Fprint(w, "the error jumps nowhere; ")
	}
	if len(layers) > 1 {
		fmt.Fprintf(w, "the lowest SQNR of %d layers is %s, at %s\n", len(layers), decibels(layers[worst].Decibels(), 1), layers[worst].Name)
	} else {
		fmt.Fprintf(w, "the SQNR of the only layer, %s, is %s\n", layers[0].Name, decibels(layers[0].Decibels(), 1))
	}
}

// layers compares the layers of --layers and appends them to MACE's log.
func (t *target) layers(ctx context.Context) error {
	m, err := t.load()
	if err != nil {
		return err
	}
	float, err := FloatModel(t.file, t.model, t.graph, t.Layout)
	if err != nil {
		return err
	}
	names := m.Layers()
	first, last, err := pythonSlice(t.Layers, len(names))
	if err != nil {
		return err
	}
	compared, err := t.compareLayers(ctx, m, float, names[first:last])
	if err != nil {
		return err
	}
	path := filepath.Join(t.file.Folder(t.Output, t.model), t.graph.Runtime, "log.csv")
	var rows []string
	for i := range compared {
		c := &compared[i]
		c.WriteLine(t.Stdout, t.model.Platform)
		rows = append(rows, fmt.Sprintf("%s,%s,%s,%s", c.Name, pythonFloat(c.Similarity()), pythonFloat(c.SQNR()), pythonFloat(c.PixelAccuracy())))
	}
	writeJump(t.Stdout, compared)
	if err := appendCSV(path, "output_name,similarity,sqnr,pixel_accuracy", rows); err != nil {
		return err
	}
	t.Say(fmt.Sprintf("%s: %d of %d layers", path, len(rows), len(names)))
	return nil
}

// pythonSlice is the limits of a slice of n things as Python writes them: first:last, either of which may be absent or
// count from the end; or one place.
func pythonSlice(text string, n int) (first, last int, err error) {
	low, high, isSlice := strings.Cut(text, ":")
	place := func(text string, absent int) int {
		if text == "" {
			return absent
		}
		v, bad := strconv.Atoi(text)
		if bad != nil {
			err = fmt.Errorf("--layers %q: write first:last, for example 0:10 or -3:", text)
		}
		if v < 0 {
			v += n
		}
		return min(max(v, 0), n)
	}
	if !isSlice {
		first = place(low, 0)
		return first, min(first+1, n), err
	}
	first, last = place(low, 0), place(high, n)
	return first, max(first, last), err
}

// appendCSV appends rows to a file, with a header first if there is no file.
func appendCSV(path, header string, rows []string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && info.Size() == 0 {
		rows = append([]string{header}, rows...)
	}
	if err == nil {
		_, err = io.WriteString(f, strings.Join(rows, "\n")+"\n")
	}
	return errors.Join(err, f.Close())
}
