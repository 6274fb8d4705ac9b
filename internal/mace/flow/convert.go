package flow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/octet-nn/octet/internal/atomicfile"
	"github.com/octet-nn/octet/internal/format/caffe"
	"github.com/octet-nn/octet/internal/format/onnx"
	"github.com/octet-nn/octet/internal/format/tensorflow"
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/mace/convert"
	"github.com/octet-nn/octet/internal/mace/deploy"
	"github.com/octet-nn/octet/internal/mace/stat"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/suggest"
)

// source is the files of a model and what its deployment file says of it.
type source struct {
	model, weights  string   // paths; weights is "" but for Caffe
	inputs, outputs []string // tensors of the deployment file, at which TensorFlow graphs are cut
	// simulate keeps nodes that round as in training. Without it TensorFlow's are taken out, and what they say is in trained:
	// MACE finds codes in its own way, from the very limits that training wrote down.
	simulate bool
	quantize bool                     // the model will be quantized
	note     func(string)             // gets what reading has to say
	trained  map[string]convert.Range // of values, by name
}

// platform reads the models of one framework.
type platform struct {
	name string
	read func(s *source) (*graph.Graph, error)
}

// platforms are the frameworks whose models can be read.
var platforms = []platform{
	{"onnx", readONNX},
	{"caffe", readCaffe},
	{"tensorflow", readTensorFlow},
}

// readable lists the platforms for messages.
func readable() string {
	var names []string
	for _, p := range platforms {
		names = append(names, p.name)
	}
	return strings.Join(names, ", ")
}

// readTensorFlow reads a frozen graph. MACE calls its values by TensorFlow's names, with :0.
func readTensorFlow(s *source) (*graph.Graph, error) {
	data, err := readFile(s.model)
	if err != nil {
		return nil, err
	}
	o := tensorflow.Options{File: s.model, Inputs: s.inputs, Outputs: s.outputs}
	ranges, constants := map[*graph.Value]convert.Range{}, 0
	if !s.simulate {
		o.Trained = func(operand *graph.Value, low, high float32, bits int) {
			if operand.Const != nil {
				constants++
				return
			}
			ranges[operand] = convert.Range{Min: float64(low), Max: float64(high)}
			if bits != 8 && s.quantize {
				s.note(fmt.Sprintf("%s was trained with %d bits; 8 are used", operand.Name, bits))
			}
		}
	}
	g, notes, err := tensorflow.Read(data, o)
	if err != nil {
		return nil, err
	}
	for _, n := range notes {
		s.note(n)
	}
	if constants > 0 && s.quantize {
		s.note(fmt.Sprintf("the model was trained with scales for %d of its constants, and as in MACE others are found for them; octet convert %s -o MODEL.onnx keeps what was trained", constants, s.model))
	}
	for _, v := range g.Values() {
		plain := slices.Contains(s.inputs, v.Name) || slices.Contains(s.outputs, v.Name) // as the deployment file spells it
		if v.Const == nil && !plain && !strings.Contains(v.Name, ":") {
			v.Name += ":0"
		}
		if r, ok := ranges[v]; ok {
			s.trained[v.Name] = r
		}
	}
	return g, nil
}

// maxModel bounds model files, in bytes.
const maxModel = 4 << 30

func readONNX(s *source) (*graph.Graph, error) {
	data, err := readFile(s.model)
	if err != nil {
		return nil, err
	}
	folder, err := os.OpenRoot(filepath.Dir(s.model)) // external data cannot lead out of it
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	return onnx.Read(data, onnx.Options{File: s.model, External: folder.FS()})
}

func readCaffe(s *source) (*graph.Graph, error) {
	if s.weights == "" {
		return nil, errors.New("a Caffe model is two files; give the .caffemodel as weight_file_path")
	}
	structure, err := readFile(s.model)
	if err != nil {
		return nil, err
	}
	weights, err := readFile(s.weights)
	if err != nil {
		return nil, err
	}
	return caffe.Read(structure, weights, caffe.Options{File: s.model, Weights: s.weights})
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxModel {
		return nil, fmt.Errorf("%s has %d bytes; models of more than 4 GiB are not read", path, info.Size())
	}
	return os.ReadFile(path)
}

// Convert says how the models of a deployment file are converted.
type Convert struct {
	Output string // the folder that gets <library name>/model/<model name>.onnx
	// QuantizeStat makes float models whose ranges are to be collected, whatever quantize says.
	QuantizeStat bool
	Arithmetic   numeric.Arithmetic // of quantized models; None means ONNX Runtime's
	Strict       bool               // an operator that cannot be quantized is an error
}

// Converted is a model file that was written.
type Converted struct {
	Model, Path string
	Bytes       int64
	// Quantized is whether it computes on codes; LargeWeights, whether its weights are stored as codes; Stat, whether it is for
	// collecting ranges.
	Quantized, LargeWeights, Stat bool
	Report                        *convert.Report
}

// ModelPath is where a graph's converted model lies.
func ModelPath(f *deploy.File, m *deploy.Model, g *deploy.Graph, output string) string {
	name := m.Name
	if len(m.Graphs) > 1 {
		name += "_" + g.Name
	}
	return filepath.Join(f.Folder(output, m), name+".onnx")
}

// All converts models. Files are written whole or not at all, and none before all models have been converted. warn
// gets what is doubtful.
func (c Convert) All(ctx context.Context, f *deploy.File, models []deploy.Model, warn func(string)) ([]Converted, error) {
	type made struct {
		Converted
		graph *graph.Graph
	}
	var all []made
	var problems []error
	for i := range models {
		m := &models[i]
		for j := range m.Graphs {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			g, report, err := c.one(f, m, &m.Graphs[j], warn)
			if err != nil {
				problems = append(problems, err)
				continue
			}
			all = append(all, made{Converted{
				Model: m.Name, Path: ModelPath(f, m, &m.Graphs[j], c.Output), Report: report,
				Quantized: m.Graphs[j].Quantize && !c.stat(f), LargeWeights: m.Graphs[j].LargeWeights, Stat: c.stat(f),
			}, g})
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	var done []Converted
	for _, m := range all {
		if err := os.MkdirAll(filepath.Dir(m.Path), 0o777); err != nil {
			return done, err
		}
		if err := atomicfile.Write(m.Path, func(w io.Writer) error { return onnx.Write(w, m.graph, onnx.WriteOptions{AsStored: true}) }); err != nil {
			return done, err
		}
		if info, err := os.Stat(m.Path); err == nil {
			m.Bytes = info.Size()
		}
		done = append(done, m.Converted)
	}
	return done, nil
}

func (c Convert) stat(f *deploy.File) bool { return c.QuantizeStat || f.QuantizeStat }

// one converts one graph.
func (c Convert) one(f *deploy.File, m *deploy.Model, g *deploy.Graph, warn func(string)) (*graph.Graph, *convert.Report, error) {
	if c.stat(f) {
		g = asFloat(g)
	}
	var notes []string
	s := source{quantize: g.Quantize, note: func(text string) { notes = append(notes, text) }}
	read, err := s.read(f, m, g, warn)
	o, wrong := options(f, m, g, warn)
	if err := errors.Join(err, wrong); err != nil {
		return nil, nil, err
	}
	o.QuantizeStat, o.Strict, o.Trained = c.stat(f), c.Strict, s.trained
	if o.Arithmetic, err = rowOf(c.Arithmetic, g); err != nil {
		return nil, nil, deploy.Problem{File: f.Path, At: g.At, Text: fmt.Sprintf("model %s: %v", m.Name, err)}
	}
	converted, report, err := convert.Convert(read, o)
	if err != nil {
		return nil, nil, deploy.Problem{File: f.Path, At: g.At, Text: fmt.Sprintf("model %s: %v", m.Name, err)}
	}
	if err := checkShapes(f, converted, g); err != nil {
		return nil, nil, err
	}
	report.Notes = append(notes, report.Notes...)
	return converted, report, nil
}

// read reads a model as its framework wrote it.
func (s *source) read(f *deploy.File, m *deploy.Model, g *deploy.Graph, warn func(string)) (*graph.Graph, error) {
	s.trained = map[string]convert.Range{}
	i := slices.IndexFunc(platforms, func(p platform) bool { return p.name == m.Platform })
	if i < 0 {
		return nil, deploy.Problem{File: f.Path, At: m.At, Text: fmt.Sprintf(
			"model %s: models of %s cannot be read; those of %s can. Export the model to ONNX (for example with tf2onnx or torch.onnx.export), "+
				"and write platform: onnx, the new model_file_path and its checksum", m.Name, m.Platform, readable())}
	}
	var missing []error
	find := func(r deploy.Resource, path *string) {
		found, err := f.Find(m, r)
		if err != nil {
			missing = append(missing, err)
		}
		if found.Warning != nil {
			warn(found.Warning.Error())
		}
		*path = found.Path
	}
	find(m.File, &s.model)
	if m.Weights != nil {
		find(*m.Weights, &s.weights)
	}
	if err := errors.Join(missing...); err != nil {
		return nil, err
	}
	for _, in := range g.Inputs {
		s.inputs = append(s.inputs, in.Name)
	}
	for _, out := range append(slices.Clone(g.Outputs), g.Checks...) {
		s.outputs = append(s.outputs, out.Name)
	}
	read, err := platforms[i].read(s)
	if err != nil {
		return nil, deploy.Problem{File: f.Path, At: m.File.At, Text: fmt.Sprintf("model %s: %v", m.Name, err)}
	}
	return read, nil
}

// options are what a deployment file says, for package convert.
func options(f *deploy.File, m *deploy.Model, g *deploy.Graph, warn func(string)) (convert.Options, error) {
	o := convert.Options{
		Platform: m.Platform, Quantize: g.Quantize, Schema: g.Schema, ChangeConcatRanges: g.ChangeConcatRanges, QuantizeLargeWeights: g.LargeWeights,
	}
	// Only these two orders are of images; tensors in others are taken as they are.
	order := func(format string) string {
		if format == "NHWC" || format == "NCHW" {
			return format
		}
		return "NONE"
	}
	for _, in := range g.Inputs {
		o.Inputs = append(o.Inputs, convert.Input{Name: in.Name, Shape: in.Shape, Format: order(in.Format), Low: in.Range[0], High: in.Range[1]})
	}
	for _, out := range g.Outputs {
		o.Outputs = append(o.Outputs, convert.Output{Name: out.Name, Format: order(out.Format)})
	}
	for _, out := range g.Checks {
		o.CheckTensors = append(o.CheckTensors, convert.Output{Name: out.Name, Format: order(out.Format)})
	}
	ranges, err := readRanges(f, m, g, warn)
	if err != nil || ranges == nil {
		return o, err
	}
	o.Ranges = map[string]convert.Range{}
	for _, r := range ranges {
		o.Ranges[r.Name] = convert.Range{Min: r.Min, Max: r.Max}
	}
	return o, nil
}

// readRanges reads quantize_range_file; nil if there is none.
func readRanges(f *deploy.File, m *deploy.Model, g *deploy.Graph, warn func(string)) ([]stat.Range, error) {
	if g.Ranges == nil {
		return nil, nil
	}
	found, err := f.Find(m, *g.Ranges)
	if err != nil {
		return nil, err
	}
	if found.Warning != nil {
		warn(found.Warning.Error())
	}
	file, err := os.Open(found.Path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	ranges, warnings, err := stat.ReadRanges(file, found.Path)
	for _, w := range warnings {
		warn(w)
	}
	if err != nil {
		return nil, deploy.Problem{File: f.Path, At: g.Ranges.At, Text: "quantize_range_file: " + err.Error()}
	}
	return ranges, nil
}

// checkShapes compares the shapes that the deployment file gives outputs with those they have. Shapes that differ only
// in dimensions of 1 are the same numbers in the same order.
func checkShapes(f *deploy.File, converted *graph.Graph, g *deploy.Graph) error {
	var problems []error
	for _, out := range outputsOf(g) {
		v := converted.Value(out.Name)
		if v == nil {
			var names []string
			for _, o := range converted.Outputs {
				names = append(names, o.Name)
			}
			problems = append(problems, deploy.Problem{File: f.Path, At: out.At, Text: fmt.Sprintf(
				"output_tensors: the converted model has no output %q%s", out.Name, suggest.DidYouMean(out.Name, names))})
			continue
		}
		shape, known := v.Type.Shape.Known()
		if !known {
			continue
		}
		port := newPort(out.Name, out.Shape, out.Type, out.Format, "")
		if !slices.Equal(withoutOnes(shape), withoutOnes(port.Shape)) {
			have := shape
			if port.ChannelsFirst && len(shape) == 4 {
				have = []int{shape[0], shape[3], shape[1], shape[2]}
			}
			problems = append(problems, deploy.Problem{File: f.Path, At: out.ShapeAt, Text: fmt.Sprintf(
				"output_shapes says that %q has the shape %s; with the given input_shapes it has %s", out.Name, dims(out.Shape), dims(have))})
		}
	}
	return errors.Join(problems...)
}

func withoutOnes(shape []int) []int {
	return slices.DeleteFunc(slices.Clone(shape), func(n int) bool { return n == 1 })
}
