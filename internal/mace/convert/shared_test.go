package convert_test

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/octet-nn/octet/internal/format/onnx"
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/mace/convert"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/testdata"
	"github.com/octet-nn/octet/tensor"
)

// message is a protobuf message in text form: fields by name, in order; values are strings or messages.
type message map[string][]any

func (m message) text(name string) string {
	if len(m[name]) == 0 {
		return ""
	}
	return m[name][0].(string)
}

func (m message) int(name string) int {
	n, _ := strconv.Atoi(m.text(name))
	return n
}

func (m message) ints(name string) []int {
	var list []int
	for _, v := range m[name] {
		n, _ := strconv.Atoi(v.(string))
		list = append(list, n)
	}
	return list
}

func (m message) float(name string) float32 {
	f, _ := strconv.ParseFloat(m.text(name), 32)
	return float32(f)
}

func (m message) messages(name string) []message {
	var list []message
	for _, v := range m[name] {
		list = append(list, v.(message))
	}
	return list
}

// info is the scale, zero point and limits that a message states.
func (m message) info() convert.Info {
	return convert.Info{Min: m.float("minval"), Max: m.float("maxval"), Scale: m.float("scale"), ZeroPoint: int32(m.int("zero_point"))}
}

func readMessage(s *bufio.Scanner) message {
	m := message{}
	for s.Scan() {
		line := strings.TrimSpace(s.Text())
		if line == "}" {
			break
		}
		if name, ok := strings.CutSuffix(line, " {"); ok {
			m[name] = append(m[name], readMessage(s))
		} else if name, value, ok := strings.Cut(line, ": "); ok {
			m[name] = append(m[name], strings.Trim(value, `"`))
		}
	}
	return m
}

// sample is a model with files that MACE made of it.
type sample struct {
	folder, source, prefix string
	input, output          string
	size                   int // height and width of the input
	low, high              float64
	settings               []setting
}

// setting is one way in which MACE quantized it.
type setting struct{ name, ranges string }

var resnet8 = sample{"resnet8_cifar10", "resnet8.onnx", "r8", "input_1", "Identity", 32, 0, 255, []setting{
	{"p0", "overall_range_percentile0"}, {"p5", "overall_range_percentile5"}, {"enh", "overall_range_percentile0enhance"}}}

var mobilenet = sample{"mobilenet_v2", "mnv2.onnx", "mnv2", "input", "MobilenetV2_Predictions_Softmax", 224, -1, 1, []setting{
	{"p0", "overall_range_percentile0"}, {"p5", "overall_range_percentile5"}}}

var samples = []sample{resnet8, mobilenet}

func (s sample) path(t testing.TB, elements ...string) string {
	return testdata.Shared(t, append([]string{"mace", s.folder}, elements...)...)
}

func (s sample) graph(t testing.TB) *graph.Graph {
	t.Helper()
	data, err := os.ReadFile(s.path(t, "source", s.source))
	if err != nil {
		t.Fatal(err)
	}
	g, err := onnx.Read(data, onnx.Options{File: s.source})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// options are what the sample's deployment files say.
func (s sample) options() convert.Options {
	return convert.Options{
		Inputs:  []convert.Input{{Name: s.input, Shape: []int{1, 3, s.size, s.size}, Format: "NCHW", Low: s.low, High: s.high}},
		Outputs: []convert.Output{{Name: s.output, Format: "NONE"}},
	}
}

// quantized are the options with the ranges of a setting.
func (s sample) quantized(t testing.TB, ranges string) convert.Options {
	t.Helper()
	o := s.options()
	o.Quantize = true
	text, err := os.ReadFile(s.path(t, ranges))
	if err != nil {
		t.Fatal(err)
	}
	o.Ranges = map[string]convert.Range{}
	for line := range strings.Lines(string(text)) {
		name, limits, _ := strings.Cut(strings.TrimSpace(line), "@@")
		low, high, _ := strings.Cut(limits, ",")
		var r convert.Range
		if r.Min, err = strconv.ParseFloat(low, 64); err != nil {
			t.Fatal(err)
		}
		if r.Max, err = strconv.ParseFloat(high, 64); err != nil {
			t.Fatal(err)
		}
		o.Ranges[name] = r
	}
	return o
}

func (s sample) net(t testing.TB, name string) message {
	t.Helper()
	text, err := os.ReadFile(s.path(t, "model", s.prefix+"_"+name+".pb_txt"))
	if err != nil {
		t.Fatal(err)
	}
	return readMessage(bufio.NewScanner(bytes.NewReader(text))).messages("net_def")[0]
}

// unzip is the contents of every file of an archive, by name.
func unzip(t testing.TB, path string) map[string][]byte {
	t.Helper()
	archive, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	files := map[string][]byte{}
	for _, f := range archive.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if files[f.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// TestNamesAreMACEs compares names and order of the results of operators.
func TestNamesAreMACEs(t *testing.T) {
	for _, s := range samples {
		o := s.options()
		o.QuantizeStat = true
		g, _, err := convert.Convert(s.graph(t), o)
		if err != nil {
			t.Fatal(err)
		}
		files := []string{"float"}
		if s.prefix == "r8" {
			files = append(files, "stat")
		}
		for _, file := range files {
			var want []string
			for _, layer := range s.net(t, file).messages("op") {
				want = append(want, layer.text("output"))
			}
			if got := convert.Logged(g); !slices.Equal(got, want) {
				t.Errorf("%s: operators' results are\n%q, MACE's\n%q", s.folder, got, want)
			}
		}
		log, err := os.ReadFile(s.path(t, "range_log_named.tsv"))
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for line := range strings.Lines(string(log)) {
			if name := strings.Split(line, "\t")[1]; name != "tensor" && !slices.Contains(want, name) {
				want = append(want, name)
			}
		}
		if got := convert.Logged(g); !slices.Equal(got, want) {
			t.Errorf("%s: logged are\n%q, by MACE\n%q", s.folder, got, want)
		}
	}
}

// filterAsMACE is a filter as MACE stores it: OHWI, or HWIM for depthwise convolutions.
func filterAsMACE(t testing.TB, n *graph.Node, w *tensor.Tensor) []byte {
	t.Helper()
	o := n.Op.(*op.Conv)
	if o.Filter != op.OIHW {
		t.Fatalf("%s has a filter %s", n.Describe(), o.Filter)
	}
	shape, codes := w.Shape(), w.Bytes()
	perm := []int{0, 2, 3, 1}
	if o.Groups() > 1 {
		perm = []int{2, 3, 1, 0}
	}
	stride := []int{shape[1] * shape[2] * shape[3], shape[2] * shape[3], shape[3], 1}
	out := make([]byte, 0, len(codes))
	for a := range shape[perm[0]] {
		for b := range shape[perm[1]] {
			for c := range shape[perm[2]] {
				for d := range shape[perm[3]] {
					out = append(out, codes[a*stride[perm[0]]+b*stride[perm[1]]+c*stride[perm[2]]+d*stride[perm[3]]])
				}
			}
		}
	}
	return out
}

// TestNumbersAreMACEs compares every scale, zero point, limit, weight and bias of the quantized models.
func TestNumbersAreMACEs(t *testing.T) {
	for _, s := range samples {
		for _, setting := range s.settings {
			t.Run(s.folder+"/"+setting.name, func(t *testing.T) {
				g, report, err := convert.Convert(s.graph(t), s.quantized(t, setting.ranges))
				if err != nil {
					t.Fatal(err)
				}
				if len(report.Islands) > 0 || len(report.Notes) > 0 {
					t.Errorf("islands %v, notes %v", report.Islands, report.Notes)
				}
				net := s.net(t, "quant_"+setting.name)
				data, err := os.ReadFile(s.path(t, "model", s.prefix+"_quant_"+setting.name+".data"))
				if err != nil {
					t.Fatal(err)
				}
				activations := map[string]convert.Info{}
				for _, a := range report.Activations {
					activations[a.Name] = a.Info
				}
				compared := 0
				for _, layer := range net.messages("op") {
					if layer.text("type") == "Dequantize" {
						continue
					}
					name := strings.TrimPrefix(strings.TrimPrefix(layer.text("output"), "mace_input_node_"), "mace_output_node_")
					if got, want := activations[name], layer.messages("quantize_info")[0].info(); got != want {
						t.Errorf("%s is %+v, MACE has %+v", name, got, want)
					}
					compared++
				}
				if compared != len(report.Activations) {
					t.Errorf("compared %d values of %d", compared, len(report.Activations))
				}
				constants := map[string]message{}
				for _, c := range net.messages("tensors") {
					constants[c.text("name")] = c
				}
				for _, c := range report.Constants {
					if want := constants[c.Name].info(); c.Info != want {
						t.Errorf("constant %s is %+v, MACE has %+v", c.Name, c.Info, want)
					}
				}
				stored := map[string]bool{}
				for _, n := range g.Nodes {
					if _, ok := n.Op.(*op.Conv); !ok {
						continue
					}
					w, b := n.Inputs[1], n.Inputs[2]
					want := constants[w.Name]
					if want == nil || want.float("scale") != w.Type.Quant.Scale[0] || int32(want.int("zero_point")) != w.Type.Quant.ZeroPoint[0] {
						t.Errorf("weights %s are %s, MACE has %v", w.Name, w.Type, want)
						continue
					}
					at, size := want.int("offset"), want.int("data_size")
					if !bytes.Equal(filterAsMACE(t, n, w.Const), data[at:at+size]) {
						t.Errorf("weights %s differ from MACE's", w.Name)
					}
					want = constants[b.Name]
					if want == nil || want.float("scale") != b.Type.Quant.Scale[0] {
						t.Errorf("bias %s is %s, MACE has %v", b.Name, b.Type, want)
						continue
					}
					at, size = want.int("offset"), want.int("data_size")
					for i, sum := range tensor.Values[int32](b.Const) {
						if sum != int32(binary.LittleEndian.Uint32(data[at+4*i:])) || size != b.Const.Len() {
							t.Errorf("bias %s differs from MACE's", b.Name)
							break
						}
					}
					stored[w.Name], stored[b.Name] = true, true
				}
				if len(stored) != len(constants) || len(report.Constants) != len(constants) {
					t.Errorf("compared %d and %d constants of %d", len(stored), len(report.Constants), len(constants))
				}
			})
		}
	}
}
